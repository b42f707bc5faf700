//! Who is here, and what everybody is told: the chat itself.
//!
//! Events go in, bytes come out. Nothing here knows of sockets, threads or the time of day, so the
//! two engines share it, and a test can play a whole evening through it without a network.

use std::collections::{BTreeMap, HashSet};
use std::mem;

use crate::limits::{MAX_ANNOUNCED, MAX_LISTED, MAX_NAME};
use crate::message::{Message, Refusal};
use crate::text::{harmless, width};

/// One connection, for as long as the server runs; never given twice.
pub type Id = u64;

/// The room.
#[derive(Debug, Default)]
pub struct Room {
    members: BTreeMap<Id, Member>,
    /// The names that are shown now.
    shown: HashSet<String>,
    /// The time that new lines bear.
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

/// One connection. It gets what is said from its beginning on, but nobody knows it before it has
/// sent a message, for that is where its name is.
#[derive(Debug, Default)]
struct Member {
    /// The name that it asked for, presentable.
    asked: String,
    /// The name that it got: empty before its first message, unique after.
    shown: String,
}

impl Room {
    /// An empty room.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the time that the following lines bear, as `2019-03-21 17:30:00`.
    pub fn set_time(&mut self, stamp: String) {
        self.stamp = stamp;
    }

    /// Takes out what the members are to be told since the last time.
    pub fn take_output(&mut self) -> Output {
        mem::take(&mut self.output)
    }

    /// Somebody connects.
    pub fn join(&mut self, id: Id) {
        self.members.insert(id, Member::default());
    }

    /// Something comes from a member: a message, a hello, a question, or rubbish.
    pub fn hear(&mut self, id: Id, heard: Result<Message, Refusal>) {
        let message = match heard {
            Ok(message) => message,
            Err(refusal) => return self.tell(id, &refusal.to_string()),
        };
        self.know(id, &message.name);
        match message.text.trim() {
            "" => {} // a hello: the name was all there is to it
            "/who" => self.tell(id, &self.list()),
            _ => self.broadcast(id, message.text.trim_end()),
        }
    }

    /// Somebody has nothing more to say, or is gone.
    pub fn leave(&mut self, id: Id) {
        let Some(Member { shown, .. }) = self.members.remove(&id) else {
            return;
        };
        if self.shown.remove(&shown) {
            self.announce(&format!("{shown} left, {} here", self.shown.len()));
        }
    }

    /// Learns a member's name, from its first message, or from one with another name than before.
    fn know(&mut self, id: Id, asked: &str) {
        let name = presentable(asked);
        let member = self.members.get_mut(&id);
        let Some(member) = member.filter(|member| member.asked != name) else {
            return;
        };
        let before = mem::take(&mut member.shown);
        self.shown.remove(&before);
        let now = free_name(&name, &self.shown);
        self.shown.insert(now.clone());
        member.asked = name;
        member.shown.clone_from(&now);
        if before.is_empty() {
            self.announce(&format!("{now} joined, {} here", self.shown.len()));
        } else if before != now {
            self.announce(&format!("{before} is now {now}"));
        }
    }

    /// A member's line, for everyone. A newline in the text becomes a newline and four blanks:
    /// only the server begins a line at the margin, with a time and a name that it vouches for.
    fn broadcast(&mut self, id: Id, text: &str) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        let mut line = format!("[{}]{}: ", self.stamp, member.shown);
        for (index, part) in text.lines().enumerate() {
            if index > 0 {
                line.push_str("\n    ");
            }
            line.extend(part.chars().map(harmless));
        }
        line.push('\n');
        self.output.everyone.extend_from_slice(line.as_bytes());
    }

    /// A notice for everyone, while the room is small enough to be interested.
    fn announce(&mut self, text: &str) {
        if self.members.len() <= MAX_ANNOUNCED {
            let notice = self.notice(text);
            self.output.everyone.extend_from_slice(notice.as_bytes());
        }
    }

    /// A notice for one.
    fn tell(&mut self, id: Id, text: &str) {
        let notice = self.notice(text);
        self.output.one.push((id, notice.into_bytes()));
    }

    /// A notice is told from a chat line by the blank: no name begins with one.
    fn notice(&self, text: &str) -> String {
        format!("[{}] {text}\n", self.stamp)
    }

    /// Who is here: `3 here: 业冰蝶, 同静槐, 同静槐#2`.
    fn list(&self) -> String {
        let named = self.members.values().map(|member| member.shown.as_str());
        let names: Vec<&str> = named
            .filter(|name| !name.is_empty())
            .take(MAX_LISTED)
            .collect();
        let mut list = format!("{} here: {}", self.shown.len(), names.join(", "));
        if self.shown.len() > names.len() {
            list += ", …";
        }
        match self.members.len() - self.shown.len() {
            0 => list,
            nameless => format!("{list}; {nameless} without a name"),
        }
    }
}

/// The name, with a number if somebody else has it: `业冰蝶#2`.
fn free_name(name: &str, taken: &HashSet<String>) -> String {
    let mut free = name.to_owned();
    let mut number = 2;
    while taken.contains(&free) {
        free = format!("{name}#{number}");
        number += 1;
    }
    free
}

/// A name as it may be shown: on one line, visible, not too long, and without what only the server
/// writes: the colon that ends a name in a chat line, and a number such as `#2` at the end.
fn presentable(asked: &str) -> String {
    let visible = asked
        .chars()
        .filter(|&c| !is_invisible(c))
        .map(|c| match harmless(c) {
            ':' | '：' => '_',
            c if c.is_whitespace() => ' ',
            c => c,
        });
    // A combining mark at the beginning would change what stands before the name.
    let name = visible.skip_while(|&c| c == ' ' || width(c) == 0);
    let name: String = name.take(MAX_NAME).collect();
    let mut name = name.as_str();
    loop {
        name = name.trim_end();
        match name.rsplit_once(['#', '＃']) {
            Some((base, number)) if number.chars().all(char::is_numeric) => name = base,
            _ => break,
        }
    }
    if name.is_empty() {
        "guest".to_owned()
    } else {
        name.to_owned()
    }
}

/// Whether two names could differ in this character and look alike: the format characters and
/// fillers of Unicode that leave no mark.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200D}' | '\u{2060}'..='\u{2065}' | '\u{206A}'..='\u{206F}'
        | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}
