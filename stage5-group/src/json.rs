//! JSON as RFC 8259 defines it: a strict reader, and the quoting of a string.
//!
//! The reader is a recursive-descent parser: one method for each rule of the grammar. The number
//! after § is the section of the RFC.

use crate::limits::MAX_NESTING;

/// The first place where a text is not the JSON that the parser expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The position of the byte, counted from 0.
    pub at: usize,
    /// What should be there.
    pub expected: &'static str,
}

/// Writes a string (§7): quotes, backslashes and control characters are escaped.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            ..' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Reads a text from its beginning to its end.
pub struct Parser<'a> {
    text: &'a str,
    /// The position of the next byte.
    at: usize,
}

impl<'a> Parser<'a> {
    /// A parser at the beginning of the text.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        match str::from_utf8(bytes) {
            Ok(text) => Ok(Self { text, at: 0 }),
            Err(error) => Err(Malformed {
                at: error.valid_up_to(),
                expected: "UTF-8",
            }),
        }
    }

    /// Returns the error that something else should be here.
    pub fn expected<T>(&self, expected: &'static str) -> Result<T, Malformed> {
        let at = self.at;
        Err(Malformed { at, expected })
    }

    /// Reads white space and the end of the text.
    pub fn end(&mut self) -> Result<(), Malformed> {
        self.white_space();
        match self.peek() {
            None => Ok(()),
            Some(_) => self.expected("the end"),
        }
    }

    /// Reads an object (§4). `field` receives each name, and must read the value.
    pub fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, &str) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.white_space();
        if !self.take(b'{') {
            return self.expected("'{'");
        }
        self.list(b'}', "',' or '}'", |parser| {
            let name = parser.string()?;
            parser.white_space();
            if !parser.take(b':') {
                return parser.expected("':'");
            }
            parser.white_space();
            field(parser, &name)
        })
    }

    /// Reads any value (§3), and drops it. The value is inside `depth` arrays and objects.
    pub fn skip(&mut self, depth: usize) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'{' | b'[') if depth == MAX_NESTING => self.expected("less nesting"),
            Some(b'{') => self.object(|parser, _| parser.skip(depth + 1)),
            Some(b'[') => {
                self.at += 1;
                self.list(b']', "',' or ']'", |parser| parser.skip(depth + 1))
            }
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.literal(),
        }
    }

    /// Reads a string (§7), and decodes its escapes.
    pub fn string(&mut self) -> Result<String, Malformed> {
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

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes the byte if it is the next one.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes bytes as long as they are of this kind. Returns how many it took.
    fn take_while(&mut self, kind: impl Fn(u8) -> bool) -> usize {
        let start = self.at;
        while self.peek().is_some_and(&kind) {
            self.at += 1;
        }
        self.at - start
    }

    /// White space between tokens (§2).
    fn white_space(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    }

    /// Reads the items of an object (§4) or an array (§5), with commas between them, up to the byte
    /// `close`.
    fn list(
        &mut self,
        close: u8,
        expected: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.white_space();
        if self.take(close) {
            return Ok(());
        }
        loop {
            self.white_space();
            item(self)?;
            self.white_space();
            if self.take(close) {
                return Ok(());
            }
            if !self.take(b',') {
                return self.expected(expected);
            }
        }
    }

    /// Reads `true`, `false` or `null` (§3).
    fn literal(&mut self) -> Result<(), Malformed> {
        for word in ["true", "false", "null"] {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(());
            }
        }
        self.expected("a value")
    }

    /// Reads a number (§6). It has no leading zero, and it has digits on both sides of a point.
    fn number(&mut self) -> Result<(), Malformed> {
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

    fn digits(&mut self) -> Result<(), Malformed> {
        match self.take_while(|byte| byte.is_ascii_digit()) {
            0 => self.expected("a digit"),
            _ => Ok(()),
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Result<char, Malformed> {
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

    /// Reads four hexadecimal digits (§7). A character that needs a pair of surrogates has two
    /// groups of them. The grammar also allows half of a pair, but the RFC calls the result
    /// unpredictable (§8.2). This server refuses it. That is the server's own rule, and a rule of
    /// I-JSON (RFC 7493 §2.1).
    fn code_point(&mut self) -> Result<char, Malformed> {
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

    fn hex(&mut self) -> Result<u16, Malformed> {
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
