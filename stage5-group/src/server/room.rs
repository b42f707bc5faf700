//! The members of the room, and what everyone is told: the meaning of each message.
//!
//! Events go in, lines come out. This module does not use sockets, threads or a clock. So both
//! engines can use it, and a test of it needs no network.
//!
#![doc = include_str!("../../../docs/rustdoc-links-5.txt")]
#![doc = include_str!("../../../docs/rustdoc-links.txt")]
#![doc = include_str!("../../../docs/room.md")]

use std::collections::{BTreeMap, HashSet};
use std::mem;

use crate::limits::{MAX_ANNOUNCED, MAX_LISTED, MAX_NAME};
use crate::message::{Message, Refusal};
use crate::text::{char_width, harmless};

/// The number of a connection, counted from 1. No number is used twice while the server runs.
pub type Id = u64;

/// The room.
#[derive(Debug, Default)]
pub struct Room {
    members: BTreeMap<Id, Member>,
    /// The names that are displayed: one for each member that has a name.
    taken: HashSet<String>,
    /// The time that is written before new lines.
    stamp: String,
    output: Output,
}

/// What the members are to be told.
#[derive(Debug, Default)]
pub struct Output {
    /// The bytes for everyone: whole lines.
    pub everyone: Vec<u8>,
    /// The bytes for one member each: whole lines.
    pub one: Vec<(Id, Vec<u8>)>,
}

/// One connection. Its name comes with its first message; until then both names are empty.
#[derive(Debug, Default)]
struct Member {
    /// The name that it asked for, sanitized.
    requested: String,
    /// The name that it got: with `#` and its number if another member has that name already.
    display: String,
}

impl Room {
    /// An empty room.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the time that is written before the next lines, for example `2019-03-21 17:30:00`.
    pub fn set_time(&mut self, stamp: String) {
        self.stamp = stamp;
    }

    /// Takes out what the members are to be told since the last call.
    pub fn take_output(&mut self) -> Output {
        mem::take(&mut self.output)
    }

    /// A client connects. It has no name yet, and already receives what is said.
    pub fn join(&mut self, id: Id) {
        self.members.insert(id, Member::default());
    }

    /// A member sends a message (a text, a hello or a question), or something that is refused.
    pub fn hear(&mut self, id: Id, heard: Result<Message, Refusal>) {
        let message = match heard {
            Ok(message) => message,
            Err(refusal) => return self.notify(id, &refusal.to_string()),
        };
        self.update_name(id, &message.name);
        match message.text.trim_end() {
            "" => {} // a hello: it only makes the name known
            "/who" => self.notify(id, &self.list()),
            text => self.broadcast(id, text),
        }
    }

    /// A member leaves, or its connection is lost.
    pub fn leave(&mut self, id: Id) {
        let member = self.members.remove(&id).unwrap_or_default();
        if self.taken.remove(&member.display) {
            self.announce(&format!(
                "{} left, {} here",
                member.display,
                self.taken.len()
            ));
        }
    }

    /// Learns a member's name from its first message, and a new name from a later one.
    fn update_name(&mut self, id: Id, requested: &str) {
        let requested = sanitize_name(requested);
        let member = self.members.get_mut(&id);
        let Some(member) = member.filter(|member| member.requested != requested) else {
            return;
        };
        let before = mem::take(&mut member.display);
        self.taken.remove(&before);
        // No other connection has this number, and no requested name ends in `#` and a number.
        let display = match self.taken.contains(&requested) {
            true => format!("{requested}#{id}"),
            false => requested.clone(),
        };
        self.taken.insert(display.clone());
        member.requested = requested;
        member.display.clone_from(&display);
        if before.is_empty() {
            self.announce(&format!("{display} joined, {} here", self.taken.len()));
        } else if before != display {
            self.announce(&format!("{before} is now {display}"));
        }
    }

    /// Adds a member's line for everyone. Each newline in the text becomes a newline and four
    /// spaces. So each line at the left margin begins with a time and a name from the server.
    fn broadcast(&mut self, id: Id, text: &str) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        let mut line = format!("[{}]{}: ", self.stamp, member.display);
        for (index, part) in text.lines().enumerate() {
            if index > 0 {
                line.push_str("\n    ");
            }
            line.extend(part.chars().map(harmless));
        }
        line.push('\n');
        self.output.everyone.extend_from_slice(line.as_bytes());
    }

    /// Adds a notice for everyone, unless the room is too large for it.
    fn announce(&mut self, text: &str) {
        if self.members.len() <= MAX_ANNOUNCED {
            let notice = self.notice(text);
            self.output.everyone.extend_from_slice(notice.as_bytes());
        }
    }

    /// Adds a notice for one member.
    fn notify(&mut self, id: Id, text: &str) {
        let notice = self.notice(text);
        self.output.one.push((id, notice.into_bytes()));
    }

    /// The space distinguishes a notice from a member's line: no name begins with a space.
    fn notice(&self, text: &str) -> String {
        format!("[{}] {text}\n", self.stamp)
    }

    /// The answer to `/who`, for example `3 here: 业冰蝶, 同静槐, 同静槐#2`.
    fn list(&self) -> String {
        let names = self.members.values().map(|member| member.display.as_str());
        let names = names.filter(|name| !name.is_empty()).take(MAX_LISTED);
        let names: Vec<&str> = names.collect();
        let mut list = format!("{} here: {}", self.taken.len(), names.join(", "));
        if self.taken.len() > names.len() {
            list += ", …";
        }
        match self.members.len() - self.taken.len() {
            0 => list,
            nameless => format!("{list}; {nameless} without a name"),
        }
    }
}

/// A name that is safe to display: on one line, visible, not too long, and without what only the
/// server writes. That is the colon after a name, and a number such as `#2` at its end.
fn sanitize_name(requested: &str) -> String {
    let visible = requested.chars().filter(|&c| !is_invisible(c));
    let safe = visible.map(|c| match harmless(c) {
        ':' | '：' | '︓' | '︰' | '﹕' | '∶' | '꞉' | '˸' | '׃' => '_',
        c if c.is_whitespace() => ' ',
        c => c,
    });
    // A combining mark at the beginning would change the character before the name.
    let name = safe.skip_while(|&c| c == ' ' || char_width(c) == 0);
    let name: String = name.take(MAX_NAME).collect();
    let mut name = name.as_str();
    let is_numbering = |c: char| c.is_numeric() || char_width(c) == 0; // digits, and marks on them
    loop {
        name = name.trim_end();
        match name.rsplit_once(['#', '＃', '﹟']) {
            Some((base, number)) if number.chars().all(is_numbering) => name = base,
            _ => break,
        }
    }
    if name.is_empty() {
        "guest".to_owned()
    } else {
        name.to_owned()
    }
}

/// Whether two names that differ only in this character look alike: the format characters and
/// fillers of Unicode, which are invisible.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200D}' | '\u{2060}'..='\u{2065}' | '\u{206A}'..='\u{206F}'
        | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
        | '\u{13430}'..='\u{1345F}' | '\u{16FE4}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D159}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}')
}
