//! The wire format (tutorial §5.1.2): cuts a byte stream into messages, decodes and encodes them.
//!
//! A message is a JSON object (RFC 8259) with the strings `name` and `msg`. TCP does not say where
//! a message ends, so its bytes must. A message ends at a newline, or at the brace that closes the
//! object, whichever comes first. Line-based clients send the newline; the tutorial's client sends
//! none. This module does not use sockets.
//!
#![doc = include_str!("../../docs/rustdoc-links-5.txt")]
#![doc = include_str!("../../docs/rustdoc-links.txt")]
#![doc = include_str!("../../docs/messages.md")]
#![doc = include_str!("../../docs/protocol.md")]

use std::fmt;

pub use crate::json::Malformed;
use crate::json::{Parser, quote};
use crate::limits::MAX_MESSAGE;

/// What one member says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The name that the sender wants.
    pub name: String,
    /// What the sender says. The client ends it with a newline, as tkinter's `Text` does.
    pub text: String,
}

impl Message {
    /// The message as one line of JSON, with its newline.
    #[must_use]
    pub fn encode(&self) -> String {
        let (name, text) = (quote(&self.name), quote(&self.text));
        format!("{{\"name\": {name}, \"msg\": {text}}}\n")
    }

    /// Decodes one message: an object with the strings `name` and `msg`. Other fields are skipped.
    /// If a field comes twice, the last one counts.
    ///
    /// # Errors
    ///
    /// The bytes are not strict JSON, or a field is missing, is not a string, or is nested too
    /// deeply.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut parser = Parser::new(bytes)?;
        let (mut name, mut msg) = (None, None);
        parser.object(|parser, field| {
            match field {
                "name" => name = Some(parser.string()?),
                "msg" => msg = Some(parser.string()?),
                _ => parser.skip(1)?,
            }
            Ok(())
        })?;
        parser.end()?;
        match (name, msg) {
            (Some(name), Some(text)) => Ok(Self { name, text }),
            (None, _) => parser.expected("a field \"name\" before the end"),
            (_, None) => parser.expected("a field \"msg\" before the end"),
        }
    }
}

/// Why the server refuses what came from a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is not a message.
    Malformed(Malformed),
    /// It has more than [`MAX_MESSAGE`] bytes without an end. Nothing after it is a message.
    TooLong,
    /// The server cannot serve another member.
    GroupFull,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(Malformed { at, expected }) => {
                write!(f, "not a message: expected {expected} at byte {at}")
            }
            Self::TooLong => write!(f, "too long: a message has at most {MAX_MESSAGE} bytes"),
            Self::GroupFull => write!(f, "the group is full; try again later"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Cuts what one connection sends into messages. It does not matter where the reads cut the bytes.
#[derive(Debug, Default)]
pub struct Decoder {
    /// What has been received and not decoded yet: between two calls, less than one message.
    bytes: Vec<u8>,
    /// How many of `bytes` have been scanned, so that no byte is scanned twice.
    scanned: usize,
    /// How many braces and brackets are open at that point.
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

    /// Takes what a `read` has returned. Returns the messages that end in it, in order.
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
                    messages.push(Message::decode(message).map_err(Refusal::Malformed));
                }
                start = self.scanned;
            }
        }
        if start > 0 {
            self.bytes.drain(..start);
            // A member that is between two messages costs no buffer.
            self.bytes.shrink_to_fit();
            self.scanned -= start;
        }
        messages
    }

    /// Whether a message was too long. Then nothing more is decoded.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.too_long
    }

    /// Whether this byte is the last one of a message. A newline always is. A JSON string cannot
    /// contain a newline, so the decoder starts again there after bytes that are not a message.
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
