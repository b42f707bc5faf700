//! What everyone is told, in one order, kept until everyone has it.
//!
//! The obvious design gives each member a queue of its own; five hundred that sleep then cost five
//! hundred copies. Here there is one tape, and each member has its [`Place`] on it. Members that
//! keep up are all at its end, so it is empty as soon as it is written. Members that sleep cost a
//! number each, and the tape is never longer than [`MAX_BEHIND`] and a bit: who is further behind
//! has fallen off. Nothing here knows of sockets.

use std::io;

use crate::limits::{MAX_BEHIND, MAX_NOTICES};

/// The bytes that some member has still to get.
#[derive(Debug, Default)]
pub struct Tape {
    /// How many bytes have gone before the first one kept.
    start: u64,
    bytes: Vec<u8>,
}

/// How far one member has got.
#[derive(Debug)]
pub struct Place {
    /// The bytes it has been given, counted from the beginning of the tape.
    at: u64,
    /// Where it stops: at the end of the tape when it left.
    until: u64,
    /// What it alone is told, as soon as it has caught up.
    notices: Vec<u8>,
    /// How much of these is the rest of a line that has gone out in part: it comes before all else.
    torn: usize,
}

impl Tape {
    /// An empty tape.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes there have been.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// The place of one who joins now, and gets what comes from now on.
    #[must_use]
    pub fn join(&self) -> Place {
        Place {
            at: self.end(),
            until: u64::MAX,
            notices: Vec::new(),
            torn: 0,
        }
    }

    /// Lets a member go as soon as it has what has been said so far.
    pub fn leave(&self, place: &mut Place) {
        place.until = self.end();
    }

    /// Adds what everyone is told.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What a member is to be given next: nothing if it has everything, `None` if it has fallen
    /// off.
    #[must_use]
    pub fn next<'a>(&'a self, place: &'a Place) -> Option<&'a [u8]> {
        if place.torn > 0 {
            return Some(&place.notices[..place.torn]);
        }
        if place.has_all() {
            return Some(&place.notices);
        }
        let from = usize::try_from(place.at.checked_sub(self.start)?).ok()?;
        let rest = &self.bytes[from..];
        let length = usize::try_from(place.until - place.at).unwrap_or(usize::MAX);
        match &rest[..rest.len().min(length)] {
            [] => Some(&place.notices),
            rest => Some(rest),
        }
    }

    /// What to say of a member for which there is no [`next`](Self::next).
    #[must_use]
    pub fn fallen_off() -> io::Error {
        io::Error::other("it does not read what it is sent")
    }

    /// Notes that a member has been given the first `length` bytes of [`next`](Self::next).
    pub fn advance(&self, place: &mut Place, length: usize) {
        if place.torn == 0 && place.at < self.end().min(place.until) {
            place.at += length as u64;
            return;
        }
        let Some(last) = place.notices.drain(..length).next_back() else {
            return;
        };
        place.torn = match place.notices.iter().position(|&byte| byte == b'\n') {
            Some(end) if last != b'\n' => end + 1,
            _ => 0,
        };
        if place.notices.is_empty() {
            place.notices = Vec::new(); // a member that has everything costs no buffer
        }
    }

    /// Forgets what every member has got, and what the hindmost are too far behind for.
    pub fn trim<'a>(&mut self, places: impl Iterator<Item = &'a Place>) {
        let end = self.end();
        let waiting = places.filter(|place| !place.has_all());
        let hindmost = waiting.map(|place| place.at).min().unwrap_or(end);
        let keep = hindmost
            .max(end.saturating_sub(MAX_BEHIND as u64))
            .max(self.start);
        let gone = usize::try_from(keep - self.start).expect("what is kept is in memory");
        // Moving what stays costs time, so it is not done for every byte.
        if gone == self.bytes.len() || gone > MAX_BEHIND / 4 {
            self.bytes.drain(..gone);
            self.start = keep;
        }
    }
}

impl Place {
    /// Whether there will never be anything more on the tape for it.
    fn has_all(&self) -> bool {
        self.at == self.until
    }

    /// Adds a line that this member alone is told, once it has caught up, unless it has not read
    /// the last [`MAX_NOTICES`] bytes of such.
    pub fn notify(&mut self, notice: &[u8]) {
        if self.notices.len() < MAX_NOTICES {
            self.notices.extend_from_slice(notice);
        }
    }
}
