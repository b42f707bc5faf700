//! The input: a text field with a cursor, and a history of what was sent.

use crate::text::char_width;

/// The most bytes that the user can send at once. It is a quarter of the 64 KiB of a message,
/// because JSON needs more than one byte for some characters, for example two for a quotation mark.
pub const MAX_INPUT: usize = 16 * 1024;

/// How many sent texts can be recalled.
const MAX_HISTORY: usize = 100;

/// What the user is writing.
#[derive(Debug)]
pub struct Input {
    /// What was sent, the oldest first.
    history: Vec<String>,
    /// A copy of the history that the user may edit, and after it the text that was never sent.
    texts: Vec<String>,
    /// Which of the texts is shown.
    shown: usize,
    /// Where the next character goes, in bytes. Never between a character and its combining marks.
    cursor: usize,
}

impl Default for Input {
    fn default() -> Self {
        Self {
            history: Vec::new(),
            texts: vec![String::new()],
            shown: 0,
            cursor: 0,
        }
    }
}

impl Input {
    /// The text in the field.
    pub fn text(&self) -> &str {
        &self.texts[self.shown]
    }

    /// Where the next character goes, in bytes.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Whether there is no room for a character of 4 bytes, the longest.
    pub fn is_full(&self) -> bool {
        self.text().len() + 4 > MAX_INPUT
    }

    /// Inserts a character at the cursor, if there is room.
    pub fn insert(&mut self, c: char) {
        if !self.is_full() {
            self.texts[self.shown].insert(self.cursor, c);
            self.cursor += c.len_utf8();
        }
    }

    /// Erases the character before the cursor.
    pub fn backspace(&mut self) {
        let start = self.previous();
        self.texts[self.shown].drain(start..self.cursor);
        self.cursor = start;
    }

    /// Erases the character at the cursor.
    pub fn delete(&mut self) {
        let end = self.next();
        self.texts[self.shown].drain(self.cursor..end);
    }

    /// Erases everything.
    pub fn clear(&mut self) {
        self.texts[self.shown].clear();
        self.cursor = 0;
    }

    /// Moves the cursor one character back.
    pub fn left(&mut self) {
        self.cursor = self.previous();
    }

    /// Moves the cursor one character forward.
    pub fn right(&mut self) {
        self.cursor = self.next();
    }

    /// Moves the cursor to the beginning.
    pub fn home(&mut self) {
        self.cursor = 0;
    }

    /// Moves the cursor to the end.
    pub fn end(&mut self) {
        self.cursor = self.text().len();
    }

    /// Shows the text before this one in the history.
    pub fn older(&mut self) {
        self.shown = self.shown.saturating_sub(1);
        self.end();
    }

    /// Shows the text after this one in the history. After the newest, shows the text that was
    /// never sent.
    pub fn newer(&mut self) {
        self.shown = (self.shown + 1).min(self.texts.len() - 1);
        self.end();
    }

    /// Returns the text, which goes into the history, and empties the field.
    pub fn take(&mut self) -> String {
        let text = self.texts.swap_remove(self.shown);
        if self.history.last() != Some(&text) {
            self.history.push(text.clone());
        }
        if self.history.len() > MAX_HISTORY {
            self.history.remove(0);
        }
        self.texts.clone_from(&self.history);
        self.texts.push(String::new());
        self.shown = self.history.len();
        self.cursor = 0;
        text
    }

    /// Where the character before the cursor begins. Its combining marks belong to it.
    fn previous(&self) -> usize {
        let mut before = self.text()[..self.cursor].char_indices();
        let base = before.rfind(|&(_, c)| char_width(c) > 0);
        base.map_or(0, |(index, _)| index)
    }

    /// Where the character at the cursor ends, with its combining marks.
    fn next(&self) -> usize {
        let mut rest = self.text()[self.cursor..].char_indices().skip(1);
        let base = rest.find(|&(_, c)| char_width(c) > 0);
        base.map_or(self.text().len(), |(index, _)| self.cursor + index)
    }
}
