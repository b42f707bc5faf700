//! Who is here, and what everybody is told: the chat itself.
//!
//! Events go in, bytes come out. Nothing here knows of sockets, threads or the time of day, so the
//! two engines share it, and a test can play a whole evening through it without a network.

use std::collections::{BTreeMap, HashSet};
use std::mem;

use crate::limits::{MAX_ANNOUNCED, MAX_LISTED, MAX_NAME};
use crate::message::{Message, Refusal};
use crate::text::{char_width, harmless};

/// One connection, for as long as the server runs; never given twice.
pub type Id = u64;

/// The room.
#[derive(Debug, Default)]
pub struct Room {
    /// Those with a name.
    members: BTreeMap<Id, Member>,
    /// Those without: nobody knows a connection before it has sent a message, for that is where its
    /// name is. It gets what is said from its beginning on.
    nameless: HashSet<Id>,
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

/// One who has said who it is.
#[derive(Debug, Default)]
struct Member {
    /// The name that it asked for, presentable.
    asked: String,
    /// The name that it got, which nobody else has.
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
        self.nameless.insert(id);
    }

    /// Something comes from a member: a message, a hello, a question, or rubbish.
    pub fn hear(&mut self, id: Id, heard: Result<Message, Refusal>) {
        let message = match heard {
            Ok(message) => message,
            Err(refusal) => return self.tell(id, &refusal.to_string()),
        };
        self.know(id, &message.name);
        match message.text.trim_end() {
            "" => {} // a hello: the name was all there is to it
            "/who" => self.tell(id, &self.list()),
            text => self.broadcast(id, text),
        }
    }

    /// Somebody has nothing more to say, or is gone.
    pub fn leave(&mut self, id: Id) {
        self.nameless.remove(&id);
        if let Some(Member { shown, .. }) = self.members.remove(&id) {
            self.shown.remove(&shown);
            self.announce(&format!("{shown} left, {} here", self.members.len()));
        }
    }

    /// Learns a member's name, from its first message, or from one with another name than before.
    fn know(&mut self, id: Id, asked: &str) {
        let name = presentable(asked);
        if self.nameless.remove(&id) {
            self.members.insert(id, Member::default());
        }
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
            self.announce(&format!("{now} joined, {} here", self.members.len()));
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
        if self.members.len() + self.nameless.len() <= MAX_ANNOUNCED {
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
        let names = self.members.values().map(|member| member.shown.as_str());
        let names: Vec<&str> = names.take(MAX_LISTED).collect();
        let mut list = format!("{} here: {}", self.members.len(), names.join(", "));
        if self.members.len() > names.len() {
            list += ", …";
        }
        match self.nameless.len() {
            0 => list,
            nameless => format!("{list}; {nameless} without a name"),
        }
    }
}

/// The name, with a number if somebody else has it: `业冰蝶#2`.
///
/// The number is the next after one that is in use. It is found by doubling and then halving, in
/// a dozen tries among thousands of the same name, so that changing names is no way to keep the
/// room busy.
fn free_name(name: &str, taken: &HashSet<String>) -> String {
    let numbered = |number| match number {
        1 => name.to_owned(),
        _ => format!("{name}#{number}"),
    };
    let (mut used, mut free) = (0, 1);
    while taken.contains(&numbered(free)) {
        (used, free) = (free, free * 2);
    }
    while used + 1 < free {
        let middle = usize::midpoint(used, free);
        if taken.contains(&numbered(middle)) {
            used = middle;
        } else {
            free = middle;
        }
    }
    numbered(free)
}

/// A name as it may be shown: on one line, visible, not too long, and without what only the server
/// writes: the colon that ends a name in a chat line, and a number such as `#2` at the end.
fn presentable(asked: &str) -> String {
    let visible = asked
        .chars()
        .filter(|&c| !is_invisible(c))
        .map(|c| match harmless(c) {
            ':' | '：' | '︓' | '︰' | '﹕' | '∶' | '꞉' | '˸' | '׃' => '_',
            c if c.is_whitespace() => ' ',
            c => c,
        });
    // A combining mark at the beginning would change what stands before the name.
    let name = visible.skip_while(|&c| c == ' ' || char_width(c) == 0);
    let name: String = name.take(MAX_NAME).collect();
    let mut name = name.as_str();
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

/// Whether this may stand in a number, or on one of its digits.
fn is_numbering(c: char) -> bool {
    c.is_numeric() || char_width(c) == 0
}

/// Whether two names could differ in this character and look alike: the format characters and
/// fillers of Unicode that leave no mark.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200D}' | '\u{2060}'..='\u{2065}' | '\u{206A}'..='\u{206F}'
        | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
        | '\u{13430}'..='\u{1345F}' | '\u{16FE4}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D159}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}')
}
