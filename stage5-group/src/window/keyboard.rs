//! Turns the bytes that a terminal sends into keys.

use std::mem;

use crate::text::harmless;

const ESC: u8 = 0x1B;

/// The longest control sequence that the keyboard waits for, in bytes.
const MAX_SEQUENCE: usize = 32;

/// What the user pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character, typed or pasted.
    Char(char),
    /// Sends the input.
    Enter,
    /// Erases the character before the cursor.
    Backspace,
    /// Erases the character at the cursor.
    Delete,
    /// Erases the whole input.
    CtrlU,
    /// Moves the cursor one character back.
    Left,
    /// Moves the cursor one character forward.
    Right,
    /// Moves the cursor to the beginning of the input.
    Home,
    /// Moves the cursor to the end of the input.
    End,
    /// Recalls the text that was sent before this one.
    Up,
    /// Recalls the text that was sent after this one. After the newest, shows the text being
    /// written.
    Down,
    /// Closes the window.
    CtrlC,
    /// Closes the window if the input is empty: the terminal's end of file.
    CtrlD,
    /// Scrolls the output back by a page.
    PageUp,
    /// Scrolls the output forward by a page.
    PageDown,
    /// Scrolls the output back by a few rows.
    WheelUp,
    /// Scrolls the output forward by a few rows.
    WheelDown,
    /// The left mouse button, in this column and this row. The first is 1.
    Click(usize, usize),
}

/// Turns bytes into keys, wherever the reads cut them.
#[derive(Debug, Default)]
pub struct Keyboard {
    /// The beginning of a key whose other bytes have not arrived.
    unfinished: Vec<u8>,
    /// Whether a paste has begun and not ended. The terminal sends a mark before a paste, and one
    /// after it.
    pasting: bool,
    /// Whether the last key was a Ctrl-C within a paste.
    interrupted: bool,
}

impl Keyboard {
    /// The keys that `bytes` complete. A lone Escape waits for the next byte. Both together may
    /// begin a sequence; otherwise the Escape is dropped.
    pub fn keys(&mut self, bytes: &[u8]) -> Vec<Key> {
        let mut unfinished = mem::take(&mut self.unfinished);
        unfinished.extend_from_slice(bytes);
        let mut rest = &unfinished[..];
        let mut keys = Vec::new();
        while let Some((length, key)) = self.first(rest) {
            keys.extend(key);
            rest = &rest[length..];
        }
        self.unfinished = rest.to_vec();
        keys
    }

    /// The length of the first key in bytes, and the key if the window knows it. `None` until all
    /// its bytes are there.
    fn first(&mut self, bytes: &[u8]) -> Option<(usize, Option<Key>)> {
        match bytes {
            [] | [ESC] | [ESC, b'O'] => None,
            // In one of its modes, a terminal sends `ESC O A` instead of `ESC [ A` for an arrow
            // key.
            [ESC, b'O', letter @ b'@'..=b'~', ..] => Some((3, self.sequence(&[*letter]))),
            // A function key of the Linux console.
            [ESC, b'[', b'['] => None,
            [ESC, b'[', b'[', b'@'..=b'~', ..] => Some((4, None)),
            // A control sequence: parameters and one final byte (ECMA-48 §5.4).
            [ESC, b'[', rest @ ..] => match rest.iter().position(|b| !(b' '..=b'?').contains(b)) {
                None if rest.len() < MAX_SEQUENCE => None,
                None => Some((bytes.len(), None)),
                Some(end) if (b'@'..=b'~').contains(&rest[end]) => {
                    Some((end + 3, self.sequence(&rest[..=end])))
                }
                Some(end) => Some((end + 2, None)),
            },
            [ESC, ..] => Some((1, None)),
            _ => {
                let bytes = &bytes[..bytes.len().min(4)];
                if let Some(c) = bytes.utf8_chunks().next()?.valid().chars().next() {
                    return Some((c.len_utf8(), self.character(c)));
                }
                let error = str::from_utf8(bytes).expect_err("no character comes first");
                let length = error.error_len()?;
                Some((length, Some(Key::Char(char::REPLACEMENT_CHARACTER))))
            }
        }
    }

    fn character(&mut self, c: char) -> Option<Key> {
        // The end mark of a paste can be lost. Then Ctrl-C twice in a row ends the paste.
        let interrupts = self.pasting && c == '\x03';
        if mem::replace(&mut self.interrupted, interrupts) && interrupts {
            self.pasting = false;
        }
        match c {
            // In a paste, a terminal sends a newline as the byte of its Enter key.
            '\r' if self.pasting => Some(Key::Char('\n')),
            _ if self.pasting || c == '\t' || !c.is_control() => Some(Key::Char(harmless(c))),
            '\r' | '\n' => Some(Key::Enter),
            '\x08' | '\x7F' => Some(Key::Backspace),
            '\x03' => Some(Key::CtrlC),
            '\x04' => Some(Key::CtrlD),
            '\x15' => Some(Key::CtrlU),
            _ => None,
        }
    }

    /// The key that sends this control sequence, given without its first two bytes.
    fn sequence(&mut self, sequence: &[u8]) -> Option<Key> {
        match sequence {
            b"201~" => self.pasting = false,
            // Pasted text presses no keys.
            _ if self.pasting => {}
            b"200~" => self.pasting = true,
            b"A" => return Some(Key::Up),
            b"B" => return Some(Key::Down),
            b"C" => return Some(Key::Right),
            b"D" => return Some(Key::Left),
            b"H" | b"1~" | b"7~" => return Some(Key::Home),
            b"F" | b"4~" | b"8~" => return Some(Key::End),
            b"3~" => return Some(Key::Delete),
            b"5~" => return Some(Key::PageUp),
            b"6~" => return Some(Key::PageDown),
            [b'<', report @ .., b'M'] => {
                let report = str::from_utf8(report).ok()?.split(';');
                let numbers: Vec<usize> = report.flat_map(str::parse).collect();
                return match numbers[..] {
                    [0, column, row] => Some(Key::Click(column, row)),
                    [64, ..] => Some(Key::WheelUp),
                    [65, ..] => Some(Key::WheelDown),
                    _ => None,
                };
            }
            _ => {}
        }
        None
    }
}
