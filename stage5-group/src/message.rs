//! The wire format: cuts a byte stream into messages, decodes them, encodes one (tutorial §5.1.2).
//!
//! A message is a JSON object (RFC 8259) with the strings `name` and `msg`. TCP does not say where
//! one ends, so the text must: at a newline, or at the brace that closes the object, whichever
//! comes first. The first is what line-based clients send, the second what the tutorial's sends.
//! Nothing here knows of sockets.

use std::fmt;

use crate::limits::{MAX_MESSAGE, MAX_NESTING};

/// What one member says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who the sender wants to be.
    pub name: String,
    /// What it says; the client ends it with a newline, as tkinter's `Text` does.
    pub text: String,
}

impl Message {
    /// The message as one line of JSON, newline included.
    #[must_use]
    pub fn encode(&self) -> String {
        let (name, text) = (quote(&self.name), quote(&self.text));
        format!("{{\"name\": {name}, \"msg\": {text}}}\n")
    }
}

/// A JSON string (RFC 8259 §7): quotes, backslashes and control characters are escaped.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            ..' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Why something that came is not a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is not the JSON that it should be.
    Malformed {
        /// The byte, counted from 0, at which it went wrong.
        at: usize,
        /// What should have stood there.
        expected: &'static str,
    },
    /// It goes on for more than [`MAX_MESSAGE`] bytes. Nothing after it is a message.
    TooLong,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { at, expected } => {
                write!(f, "not a message: expected {expected} at byte {at}")
            }
            Self::TooLong => write!(f, "too long: a message has at most {MAX_MESSAGE} bytes"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Cuts what one connection sends into messages, however the network has cut it.
#[derive(Debug, Default)]
pub struct Decoder {
    /// What has come and is not yet decoded: less than one message, between two calls.
    bytes: Vec<u8>,
    /// How much of `bytes` has been looked at, so that no byte is looked at twice.
    scanned: usize,
    /// How many braces and brackets are open there.
    depth: usize,
    in_string: bool,
    after_backslash: bool,
    too_long: bool,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what a `read` has returned, and returns the messages that end in it, in order.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Result<Message, Refusal>> {
        let mut messages = Vec::new();
        if self.too_long {
            return messages;
        }
        self.bytes.extend_from_slice(bytes);
        let mut start = 0;
        while self.scanned < self.bytes.len() {
            let ends = self.ends_with(self.bytes[self.scanned]);
            self.scanned += 1;
            let message = &self.bytes[start..self.scanned];
            if message.len() > MAX_MESSAGE {
                messages.push(Err(Refusal::TooLong));
                self.too_long = true;
                self.bytes = Vec::new();
                return messages;
            }
            if ends {
                if !message.trim_ascii().is_empty() {
                    messages.push(decode(message));
                }
                start = self.scanned;
            }
        }
        if start > 0 {
            self.bytes.drain(..start);
            // Between two messages a member costs no buffer.
            self.bytes.shrink_to_fit();
            self.scanned -= start;
        }
        messages
    }

    /// Whether a message was too long, so that nothing more will be decoded.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.too_long
    }

    /// Whether this byte is the last of a message. A newline always is: inside a JSON string there
    /// can be none, so it is where to start afresh after anything that is no message.
    fn ends_with(&mut self, byte: u8) -> bool {
        if byte == b'\n' {
            (self.depth, self.in_string, self.after_backslash) = (0, false, false);
            return true;
        }
        if self.in_string {
            match byte {
                _ if self.after_backslash => self.after_backslash = false,
                b'\\' => self.after_backslash = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth > 0 => {
                self.depth -= 1;
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

/// Decodes one message: an object with the strings `name` and `msg`. Other members are skipped;
/// where a member comes twice, the last one counts.
///
/// # Errors
///
/// [`Refusal::Malformed`]: it is not strictly RFC 8259, or a member is missing or no string, or it
/// is nested deeper than [`MAX_NESTING`].
pub fn decode(bytes: &[u8]) -> Result<Message, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|error| Refusal::Malformed {
        at: error.valid_up_to(),
        expected: "UTF-8",
    })?;
    let mut parser = Parser { text, at: 0 };
    let (mut name, mut msg) = (None, None);
    parser.object(|parser, key| {
        match key {
            "name" => name = Some(parser.string()?),
            "msg" => msg = Some(parser.string()?),
            _ => parser.skip(1)?,
        }
        Ok(())
    })?;
    parser.blank();
    if parser.peek().is_some() {
        return parser.expected("the end");
    }
    match (name, msg) {
        (Some(name), Some(text)) => Ok(Message { name, text }),
        (None, _) => parser.expected("a member \"name\" before the end"),
        (_, None) => parser.expected("a member \"msg\" before the end"),
    }
}

/// A recursive-descent parser: a function for each rule of the grammar in RFC 8259.
struct Parser<'a> {
    text: &'a str,
    /// The next byte.
    at: usize,
}

impl Parser<'_> {
    fn expected<T>(&self, expected: &'static str) -> Result<T, Refusal> {
        let at = self.at;
        Err(Refusal::Malformed { at, expected })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes the byte if it is the next one.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes bytes as long as they are of this kind; returns how many.
    fn take_while(&mut self, kind: impl Fn(u8) -> bool) -> usize {
        let start = self.at;
        while self.peek().is_some_and(&kind) {
            self.at += 1;
        }
        self.at - start
    }

    /// Insignificant white space (§2).
    fn blank(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    }

    /// An object (§4); `member` takes each value.
    fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &str) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.blank();
        if !self.take(b'{') {
            return self.expected("'{'");
        }
        self.blank();
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.blank();
            let key = self.string()?;
            self.blank();
            if !self.take(b':') {
                return self.expected("':'");
            }
            self.blank();
            member(self, &key)?;
            self.blank();
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return self.expected("',' or '}'");
            }
        }
    }

    /// An array (§5) of values that nobody wants.
    fn array(&mut self, depth: usize) -> Result<(), Refusal> {
        self.at += 1;
        self.blank();
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.blank();
            self.skip(depth)?;
            self.blank();
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return self.expected("',' or ']'");
            }
        }
    }

    /// Any value (§3), checked and forgotten, inside `depth` arrays and objects.
    fn skip(&mut self, depth: usize) -> Result<(), Refusal> {
        if depth > MAX_NESTING {
            return self.expected("less nesting");
        }
        match self.peek() {
            Some(b'{') => self.object(|parser, _| parser.skip(depth + 1)),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.literal(),
        }
    }

    /// `true`, `false` or `null`.
    fn literal(&mut self) -> Result<(), Refusal> {
        let rest = &self.text[self.at..];
        match ["true", "false", "null"]
            .into_iter()
            .find(|word| rest.starts_with(word))
        {
            Some(word) => {
                self.at += word.len();
                Ok(())
            }
            None => self.expected("a value"),
        }
    }

    /// A number (§6): no leading zero, digits on both sides of a point.
    fn number(&mut self) -> Result<(), Refusal> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _signed = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Refusal> {
        match self.take_while(|byte| byte.is_ascii_digit()) {
            0 => self.expected("a digit"),
            _ => Ok(()),
        }
    }

    /// A string (§7), its escapes undone.
    fn string(&mut self) -> Result<String, Refusal> {
        if !self.take(b'"') {
            return self.expected("a string");
        }
        let mut string = String::new();
        loop {
            let start = self.at;
            self.take_while(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
            string.push_str(&self.text[start..self.at]);
            if self.take(b'"') {
                return Ok(string);
            }
            if !self.take(b'\\') {
                return self.expected("'\"' or an escaped control character");
            }
            string.push(self.escape()?);
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<char, Refusal> {
        let c = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{C}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.code_point();
            }
            _ => return self.expected("an escape"),
        };
        self.at += 1;
        Ok(c)
    }

    /// Four hexadecimal digits, or twice four where the character takes a pair of surrogates.
    fn code_point(&mut self) -> Result<char, Refusal> {
        let first = self.hex()?;
        let second = match first {
            0xD800..=0xDBFF if self.take(b'\\') && self.take(b'u') => self.hex()?,
            _ => 0,
        };
        match char::decode_utf16([first, second]).next() {
            Some(Ok(c)) => Ok(c),
            _ => self.expected("a pair of surrogates"),
        }
    }

    fn hex(&mut self) -> Result<u16, Refusal> {
        let digits = self.text.get(self.at..self.at + 4);
        match digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            Some(digits) => {
                self.at += 4;
                Ok(u16::from_str_radix(digits, 16).expect("four hexadecimal digits fit"))
            }
            None => self.expected("four hexadecimal digits"),
        }
    }
}
