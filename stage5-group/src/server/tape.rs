//! What everyone is told, in one order, kept until everyone has received it.
//!
//! The obvious design gives each member a queue of its own. Five hundred members that do not read
//! then cost five hundred copies. Here there is one tape, and each member has a [`Cursor`] on it.
//! The cursors of members that keep up stand at the end, so the tape is empty as soon as it is
//! written. A member that does not read costs the server only one number. The tape keeps about
//! [`MAX_BEHIND`] bytes at most: a member that is further behind is disconnected. This module does
//! not use sockets.

use std::mem;

use crate::limits::{MAX_BEHIND, MAX_NOTICES};

/// The bytes that some member has not received yet.
#[derive(Debug, Default)]
pub struct Tape {
    /// How many bytes came before the first one that is kept.
    start: u64,
    bytes: Vec<u8>,
}

/// How much of the tape one member has received.
#[derive(Debug)]
pub struct Cursor {
    /// How many bytes of the tape it has received, counted from the beginning of the tape.
    at: u64,
    /// Where it stops: for a member that has left, the end of the tape at that moment.
    until: u64,
    /// Whole lines only for this member. They are sent once it has received the whole tape.
    notices: Vec<u8>,
    /// The notices that are being sent. Their rest comes before anything else: a line that has been
    /// sent in part must not be interrupted by another one.
    sending: Vec<u8>,
}

impl Tape {
    /// An empty tape.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes have been pushed since the beginning.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// The cursor of a member that joins now. It receives what is pushed from now on.
    #[must_use]
    pub fn join(&self) -> Cursor {
        Cursor {
            at: self.end(),
            until: u64::MAX,
            notices: Vec::new(),
            sending: Vec::new(),
        }
    }

    /// Ends a member's part of the tape here: it receives only what has been pushed so far.
    pub fn leave(&self, cursor: &mut Cursor) {
        cursor.until = cursor.until.min(self.end());
    }

    /// Adds what everyone is told: whole lines.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What a member is sent next. It is empty if the member has received everything, and `None` if
    /// the member is so far behind that the tape no longer has it.
    pub fn next<'a>(&'a self, cursor: &'a mut Cursor) -> Option<&'a [u8]> {
        let tape = self.unread(cursor)?;
        if cursor.sending.is_empty() && tape.is_empty() {
            cursor.sending = mem::take(&mut cursor.notices);
        }
        Some(match &cursor.sending[..] {
            [] => tape,
            notices => notices,
        })
    }

    /// Records that a member has received the first `length` bytes of [`next`](Self::next).
    pub fn advance(cursor: &mut Cursor, length: usize) {
        if cursor.sending.is_empty() {
            cursor.at += length as u64;
        } else if length < cursor.sending.len() {
            cursor.sending.drain(..length);
        } else {
            cursor.sending = Vec::new(); // a member that has everything costs no buffer
        }
    }

    /// Drops what every member has received, and what only members too far behind still need.
    pub fn trim<'a>(&mut self, cursors: impl Iterator<Item = &'a Cursor>) {
        let end = self.end();
        let waiting = cursors.filter(|cursor| !cursor.is_at_its_end());
        let slowest = waiting.map(|cursor| cursor.at).min().unwrap_or(end);
        let keep = slowest
            .max(end.saturating_sub(MAX_BEHIND as u64))
            .max(self.start);
        let forget = usize::try_from(keep - self.start).expect("what is kept is in memory");
        // Moving the bytes that stay takes time. So it is done rarely, in large pieces.
        if forget == self.bytes.len() || forget > MAX_BEHIND / 4 {
            self.bytes.drain(..forget);
            self.start = keep;
        }
    }

    /// The part of the tape that a member has not received; `None` if its beginning is gone.
    fn unread(&self, cursor: &Cursor) -> Option<&[u8]> {
        if cursor.is_at_its_end() {
            return Some(&[]);
        }
        let from = usize::try_from(cursor.at.checked_sub(self.start)?).ok()?;
        let to = usize::try_from(cursor.until.min(self.end()) - self.start).ok()?;
        self.bytes.get(from..to)
    }
}

impl Cursor {
    /// Whether the tape will never have anything more for this member.
    fn is_at_its_end(&self) -> bool {
        self.at == self.until
    }

    /// Adds a line only for this member. The line is dropped if [`MAX_NOTICES`] bytes of notices
    /// already wait: a member that asks questions and does not read must not fill the memory.
    pub fn notify(&mut self, notice: &[u8]) {
        if self.notices.len() < MAX_NOTICES {
            self.notices.extend_from_slice(notice);
        }
    }
}
