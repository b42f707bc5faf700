//! The engine on one thread: chapter 2's readiness loop, with a room in the middle.
//!
//! Each pass reads what has come from whoever is due, lets the room make of it what it does, and
//! then writes to each member once. No socket ever blocks, so nobody holds up anybody.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use crate::clock::Clock;
use crate::limits::{BACKLOG, MAX_STALL, READ, ROUND};
use crate::message::Decoder;
use crate::readiness::{Readiness, ready, rest};
use crate::room::{Id, Room};
use crate::server::stamp;
use crate::tape::{Place, Tape};

/// Serves the group, for ever.
///
/// # Errors
///
/// The listener cannot be made non-blocking.
pub fn serve(listener: &TcpListener, log: fn(&str)) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut accepting = Readiness::new(Instant::now());
    let mut full = false;
    let mut next_id = 0;
    let mut clock = Clock::new();
    let mut group = Group {
        room: Room::new(),
        tape: Tape::new(),
        members: BTreeMap::new(),
        next: 0,
        log,
    };
    loop {
        let now = Instant::now();
        if accepting.is_due(now) {
            for _ in 0..BACKLOG {
                let accepted = ready(listener.accept().and_then(prepare));
                accepting.tried(matches!(accepted, Ok(Some(_))), now);
                match accepted {
                    Ok(Some((stream, peer))) => {
                        group.join(next_id, stream, peer, now);
                        next_id += 1;
                    }
                    // Nobody is waiting, so everybody is in.
                    Ok(None) => {
                        full = false;
                        break;
                    }
                    // With a full descriptor table each try fails until somebody leaves: said once.
                    Err(error) => {
                        if !full {
                            log(&format!("cannot accept: {error}"));
                        }
                        full = true;
                        break;
                    }
                }
            }
        }
        group.room.set_time(stamp(&clock.now()));
        group.read(now);
        group.write(now);
        let dues = group.members.values().map(|member| member.due(&group.tape));
        rest(dues.fold(accepting.due(), Instant::min));
    }
}

/// Sets what a member's socket needs: it never waits, and has no Nagle delay (RFC 896), which
/// would hold a line back until the one before is acknowledged.
fn prepare((stream, peer): (TcpStream, SocketAddr)) -> io::Result<(TcpStream, SocketAddr)> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    Ok((stream, peer))
}

/// Everything that the loop goes through.
struct Group {
    room: Room,
    tape: Tape,
    members: BTreeMap<Id, Member>,
    /// Whose turn to be read it is first.
    next: Id,
    log: fn(&str),
}

/// One connection.
struct Member {
    stream: TcpStream,
    peer: SocketAddr,
    decoder: Decoder,
    place: Place,
    reading: Readiness,
    writing: Readiness,
    /// When it last had everything, or took something.
    moved: Instant,
    /// Whether nothing more can come from it.
    gone: bool,
    /// Whether it has been told that nothing more comes for it.
    closed: bool,
}

impl Group {
    fn join(&mut self, id: Id, stream: TcpStream, peer: SocketAddr, now: Instant) {
        (self.log)(&format!("...connecting from: {peer}"));
        self.room.join(id);
        let member = Member {
            stream,
            peer,
            decoder: Decoder::new(),
            place: self.tape.join(),
            reading: Readiness::new(now),
            writing: Readiness::new(now),
            moved: now,
            gone: false,
            closed: false,
        };
        self.members.insert(id, member);
    }

    /// Reads once from every member that is due, and lets the room hear it, until enough has been
    /// said for one round. Whoever has not been read then comes first in the next pass.
    fn read(&mut self, now: Instant) {
        let mut chunk = [0; READ];
        let in_turn = self.members.range(self.next..);
        let in_turn = in_turn.chain(self.members.range(..self.next));
        let due = in_turn.filter(|(_, member)| !member.gone && member.reading.is_due(now));
        let due: Vec<Id> = due.map(|(&id, _)| id).collect();
        let enough = self.tape.end() + ROUND as u64;
        for id in due {
            if self.tape.end() > enough {
                self.next = id;
                break;
            }
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            let was_leaving = member.is_leaving();
            let read = ready(member.stream.read(&mut chunk));
            let messages = match read {
                Ok(Some(length)) => member.decoder.push(&chunk[..length]),
                _ => Vec::new(),
            };
            // Who sends a byte now and then is not to keep the loop awake.
            let talks = !messages.is_empty() || matches!(read, Ok(Some(READ)));
            member.reading.tried(talks, now);
            member.gone = matches!(read, Ok(Some(0)) | Err(_));
            let leaves = member.is_leaving() && !was_leaving;
            for message in messages {
                self.room.hear(id, message);
                self.publish();
            }
            if leaves {
                self.leave(id);
            }
        }
    }

    /// Takes a member out of the room; it still gets what has been said so far.
    fn leave(&mut self, id: Id) {
        if let Some(member) = self.members.get_mut(&id) {
            self.tape.leave(&mut member.place);
        }
        self.room.leave(id);
        self.publish();
    }

    /// Puts what the room has to say where it can be sent from.
    fn publish(&mut self) {
        let output = self.room.take_output();
        self.tape.push(&output.everyone);
        for (id, notice) in output.one {
            if let Some(member) = self.members.get_mut(&id) {
                member.place.notify(&notice);
            }
        }
    }

    /// Writes to everyone who has something coming, and parts with who is done, gone, or too far
    /// behind.
    fn write(&mut self, now: Instant) {
        self.members
            .retain(|&id, member| match member.keep_up(&self.tape, now) {
                Ok(end) => !end,
                Err(error) => {
                    (self.log)(&format!("lost {}: {error}", member.peer));
                    self.room.leave(id);
                    false
                }
            });
        self.publish();
        self.tape
            .trim(self.members.values().map(|member| &member.place));
    }
}

impl Member {
    /// Whether it has said its last, or been shown the door, and only gets what it has coming.
    fn is_leaving(&self) -> bool {
        self.gone || self.decoder.is_closed()
    }

    /// Writes what the socket takes. Returns whether this was the last that it had coming.
    ///
    /// # Errors
    ///
    /// The connection is broken, or the member does not read.
    fn keep_up(&mut self, tape: &Tape, now: Instant) -> io::Result<bool> {
        loop {
            let next = tape.next(&self.place).ok_or_else(Tape::fallen_off)?;
            if next.is_empty() && self.is_leaving() {
                // To close a connection with bytes unread is to reset it (RFC 1122 §4.2.2.13), and a
                // reset takes back what the member has not read yet. So it is to close first.
                if !mem::replace(&mut self.closed, true) {
                    let _ = self.stream.shutdown(Shutdown::Write);
                }
                return Ok(self.gone || now.duration_since(self.moved) > MAX_STALL);
            }
            if next.is_empty() {
                self.moved = now;
                return Ok(false);
            }
            if !self.writing.is_due(now) {
                return Ok(false);
            }
            let written = ready(self.stream.write(next))?;
            self.writing.tried(written.is_some(), now);
            match written {
                Some(length) => {
                    tape.advance(&mut self.place, length);
                    self.moved = now;
                }
                None if now.duration_since(self.moved) > MAX_STALL => {
                    return Err(Tape::fallen_off());
                }
                None => return Ok(false),
            }
        }
    }

    /// When it is to be tried at the latest.
    fn due(&self, tape: &Tape) -> Instant {
        let caught_up = tape.next(&self.place).is_some_and(<[u8]>::is_empty);
        match (self.gone, caught_up) {
            (false, true) => self.reading.due(),
            (false, false) => self.reading.due().min(self.writing.due()),
            (true, _) => self.writing.due(),
        }
    }
}
