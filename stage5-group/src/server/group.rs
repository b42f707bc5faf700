//! Everyone in the group, and how much each member has received: everything that the two engines
//! share.
//!
//! An engine decides which socket to read, and when. It passes what it read to [`Group::hear`], and
//! calls [`Group::write`] after each round: all that was said in the round is then sent to each
//! member with one call. Such a call costs much more than the bytes in it, so this **batching** is
//! what makes the server fast.
//!
#![doc = include_str!("../../../docs/rustdoc-links-5.txt")]
#![doc = include_str!("../../../docs/rustdoc-links.txt")]
#![doc = include_str!("../../../docs/slow-members.md")]

use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use crate::clock::DateTime;
use crate::limits::{MAX_ROUND, MAX_STALL, RETRY};
use crate::message::{Message, Refusal};
use crate::readiness::Backoff;
use crate::server::room::{Id, Room};
use crate::server::tape::{Cursor, Tape};

/// Writes as many bytes as the socket accepts, without waiting. Returns how many those were, or
/// `None` if the socket is full.
pub type TryWrite = fn(&TcpStream, &[u8]) -> io::Result<Option<usize>>;

/// Everyone in the group.
pub struct Group {
    room: Room,
    tape: Tape,
    members: BTreeMap<Id, Member>,
    /// How long the tape may get in this round.
    round_end: u64,
    try_write: TryWrite,
    log: fn(&str),
}

/// One connection, as the group sees it.
struct Member {
    stream: Arc<TcpStream>,
    peer: SocketAddr,
    cursor: Cursor,
    backoff: Backoff,
    /// The last time when the member had received everything, or when its socket accepted
    /// something.
    last_progress: Instant,
    /// Whether nothing more is read from it. It still receives its unsent data.
    leaving: bool,
}

impl Group {
    /// An empty group. `try_write` is how this engine writes without waiting.
    #[must_use]
    pub fn new(try_write: TryWrite, log: fn(&str)) -> Self {
        Self {
            room: Room::new(),
            tape: Tape::new(),
            members: BTreeMap::new(),
            round_end: MAX_ROUND as u64,
            try_write,
            log,
        }
    }

    /// Sets the time that is written before new lines.
    pub fn set_time(&mut self, time: &DateTime) {
        self.room.set_time(stamp(time));
    }

    /// Adds a connection.
    pub fn join(&mut self, id: Id, peer: SocketAddr, stream: Arc<TcpStream>, now: Instant) {
        (self.log)(&format!("...connecting from: {peer}"));
        // Without this, Nagle's algorithm (RFC 896) holds a line back until the member has
        // acknowledged the line before. If the member has gone, this fails, and so does the next
        // read.
        let _ = stream.set_nodelay(true);
        let member = Member {
            stream,
            peer,
            cursor: self.tape.join(),
            backoff: Backoff::new(now),
            last_progress: now,
            leaving: false,
        };
        self.members.insert(id, member);
        self.room.join(id);
    }

    /// Handles what a member has sent, in order.
    pub fn hear(&mut self, id: Id, messages: Vec<Result<Message, Refusal>>) {
        for message in messages {
            self.room.hear(id, message);
            self.publish();
        }
    }

    /// Takes a member out of the room. It still receives what was said until now, and then the end
    /// of file. Calling this again changes nothing.
    pub fn leave(&mut self, id: Id) {
        if let Some(member) = self.members.get_mut(&id) {
            self.tape.leave(&mut member.cursor);
            member.leaving = true;
        }
        self.room.leave(id);
        self.publish();
    }

    /// Whether so much was said in this round that it must be written before the next message.
    /// Otherwise, when many members send at once, the members that read would fall too far behind.
    #[must_use]
    pub fn is_round_full(&self) -> bool {
        self.tape.end() > self.round_end
    }

    /// Ends a round: sends each member what its socket accepts, and disconnects the members that
    /// are lost, too slow or done. If a member has unsent data, returns when to call this again
    /// even if no message comes.
    pub fn write(&mut self, now: Instant) -> Option<Instant> {
        loop {
            let (mut next_try, mut lost) = (None, Vec::new());
            self.members.retain(|&id, member| {
                match member.deliver(&self.tape, self.try_write, now) {
                    Ok(Some(due)) => {
                        next_try = Some(next_try.map_or(due, |first: Instant| first.min(due)));
                        return true;
                    }
                    Ok(None) if !member.leaving => return true,
                    Ok(None) => {
                        let _ = member.stream.shutdown(Shutdown::Write);
                    }
                    Err(error) => {
                        (self.log)(&format!("lost {}: {error}", member.peer));
                        let _ = member.stream.shutdown(Shutdown::Both);
                        lost.push(id);
                    }
                }
                false
            });
            self.tape
                .trim(self.members.values().map(|member| &member.cursor));
            self.round_end = self.tape.end() + MAX_ROUND as u64;
            if lost.is_empty() {
                return next_try;
            }
            // The others are told that these members have left.
            for id in lost {
                self.leave(id);
            }
        }
    }

    /// Moves the output of the room to the tape and to the cursors.
    fn publish(&mut self) {
        let output = self.room.take_output();
        self.tape.push(&output.everyone);
        for (id, notice) in output.one {
            if let Some(member) = self.members.get_mut(&id) {
                member.cursor.notify(&notice);
            }
        }
    }
}

impl Member {
    /// Writes what the member has not received yet, as far as its socket accepts it. Returns when
    /// to try again, or `None` if it has received everything.
    ///
    /// # Errors
    ///
    /// The connection is broken, or the member reads too slowly.
    fn deliver(
        &mut self,
        tape: &Tape,
        try_write: TryWrite,
        now: Instant,
    ) -> io::Result<Option<Instant>> {
        let too_slow = || io::Error::other("it does not read its lines");
        loop {
            let next = tape.next(&mut self.cursor).ok_or_else(too_slow)?;
            if next.is_empty() {
                self.last_progress = now;
                return Ok(None);
            }
            if !self.backoff.is_due(now) {
                return Ok(Some(self.backoff.due()));
            }
            let written = try_write(&self.stream, next)?;
            self.backoff.record(written.is_some(), now);
            match written {
                Some(length) => {
                    Tape::advance(&mut self.cursor, length);
                    self.last_progress = now;
                }
                None if now.duration_since(self.last_progress) > MAX_STALL => {
                    return Err(too_slow());
                }
                // Do not try at once: each try causes a round, and many rounds make small batches.
                None => return Ok(Some(self.backoff.due().max(now + RETRY))),
            }
        }
    }
}

/// The time in the layout of the tutorial's `strftime`, for example `2019-03-21 17:30:00`.
#[must_use]
pub fn stamp(time: &DateTime) -> String {
    let date = format!("{:04}-{:02}-{:02}", time.year, time.month, time.day);
    let clock = format!("{:02}:{:02}:{:02}", time.hour, time.minute, time.second);
    format!("{date} {clock}")
}
