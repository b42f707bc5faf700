//! The engine with threads: each member's reader blocks in `read`, one hub owns the room.
//!
//! ```text
//! reader ─┐                        ┌─> socket
//! reader ─┼─ Event ──> hub: room ──┼─> socket
//! reader ─┘             ^          └─> courier ──> the socket of one who is behind
//!                       └────── Event ────┘
//! ```
//!
//! Nothing but the sockets is shared, so nothing is locked; nobody polls, so an idle group costs
//! nothing. The hub takes all that is waiting and then writes to each member once: what a line costs
//! is mostly the system call, and a hundred lines in one call cost little more than one.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::limits::{ACCEPT_PAUSE, CHUNK, MAX_READERS, MAX_STALL, MAX_THREADS, REPEAT, ROUND};
use crate::message::{Decoder, Message, Refusal};
use crate::readiness::ready;
use crate::room::{Id, Room};
use crate::server::stamp;
use crate::tape::{Place, Tape};

/// How many events wait for the hub before readers do: enough to make a batch worth its calls, few
/// enough that what waits stays small, at the 64 KiB that a message may have.
const WAITING: usize = 64;

/// How much a courier carries at a time, in bytes: a copy, so it is kept small.
const LOAD: usize = 16 * 1024;

/// How long a courier waits in one call.
const PATIENCE: Duration = Duration::from_secs(1);

/// The stack of a reader or a courier, in bytes. Only what is used of it costs memory.
const STACK: usize = 128 * 1024;

/// All that can happen.
#[derive(Debug)]
enum Event {
    /// Somebody has connected.
    Joined(Id, SocketAddr, Arc<TcpStream>),
    /// A member has sent these messages, or rubbish.
    Said(Id, Vec<Result<Message, Refusal>>),
    /// A member has sent its last, or is gone.
    Left(Id),
    /// A courier has delivered its load.
    Delivered(Id),
    /// A courier has given up: its member took nothing for [`MAX_STALL`], or is gone.
    Undeliverable(Id),
}

/// The way to the hub. Every thread has a clone, and that counts them.
type Events = Arc<SyncSender<Event>>;

/// Serves the group, for ever.
///
/// # Errors
///
/// The thread that accepts connections cannot be started.
pub fn serve(listener: TcpListener, log: fn(&str)) -> io::Result<()> {
    let (events, inbox) = sync_channel(WAITING);
    let events = Arc::new(events);
    let mut hub = Hub {
        room: Room::new(),
        tape: Tape::new(),
        members: HashMap::new(),
        events: Arc::clone(&events),
        clock: Clock::new(),
        log,
    };
    thread::Builder::new().spawn(move || accept(&listener, &events, log))?;
    hub.run(&inbox);
    Ok(())
}

/// Gives every connection a reader of its own.
fn accept(listener: &TcpListener, events: &Events, log: fn(&str)) {
    let mut clock = Clock::new();
    let mut said: Option<Instant> = None;
    for id in 0.. {
        match listener.accept().and_then(prepare) {
            Ok((stream, peer)) => {
                let reading = Arc::clone(&stream);
                let reader = move |events: Events| read(id, peer, &reading, &events);
                if let Err(error) = start(events, MAX_READERS, reader) {
                    log(&format!("cannot start a thread for {peer}: {error}"));
                    let time = stamp(&clock.now());
                    let notice = format!("[{time}] the group is full, try again later\n");
                    let _ = (&*stream).write_all(notice.as_bytes());
                }
            }
            // With a full descriptor table each try fails until somebody leaves: said now and then.
            Err(error) => {
                if said.is_none_or(|last| last.elapsed() > REPEAT) {
                    log(&format!("cannot accept: {error}"));
                    said = Some(Instant::now());
                }
                thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
}

/// Starts a reader or a courier, unless there are so many threads already.
fn start(
    events: &Events,
    most: usize,
    work: impl FnOnce(Events) + Send + 'static,
) -> io::Result<()> {
    if Arc::strong_count(events) >= most {
        return Err(io::Error::other("there are too many"));
    }
    let events = Arc::clone(events);
    thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || work(events))?;
    Ok(())
}

/// Sets what a member's socket needs: no Nagle delay (RFC 896), which would hold a line back until
/// the one before is acknowledged, and a limit to how long a courier waits in one call.
fn prepare((stream, peer): (TcpStream, SocketAddr)) -> io::Result<(Arc<TcpStream>, SocketAddr)> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok((Arc::new(stream), peer))
}

/// Reads one member until its end of file, and tells the hub.
fn read(id: Id, peer: SocketAddr, stream: &Arc<TcpStream>, events: &Events) {
    // A hub that is gone cannot be told anything: `send` fails, and that is the end of the program.
    let _ = events.send(Event::Joined(id, peer, Arc::clone(stream)));
    let mut decoder = Decoder::new();
    let mut chunk = [0; CHUNK];
    while !decoder.is_closed() {
        match ready(stream.as_ref().read(&mut chunk)) {
            Ok(Some(length @ 1..)) => {
                let messages = decoder.push(&chunk[..length]);
                // A part of a message is nothing to wake the hub for.
                if !messages.is_empty() {
                    let _ = events.send(Event::Said(id, messages));
                }
            }
            // The hub is writing to this member at this very moment: see `Member::write`.
            Ok(None) => thread::yield_now(),
            Ok(Some(0)) | Err(_) => break,
        }
    }
    let _ = events.send(Event::Left(id));
    if decoder.is_closed() {
        discard(stream, &mut chunk);
    }
}

/// Throws away what still comes from one who has been shown the door, until it has seen that. To
/// close a connection with bytes unread is to reset it (RFC 1122 §4.2.2.13), and a reset takes
/// back what the member has not read yet, such as why it has to go.
fn discard(mut stream: &TcpStream, chunk: &mut [u8]) {
    let _ = stream.set_read_timeout(Some(MAX_STALL));
    let begin = Instant::now();
    loop {
        match ready(stream.read(chunk)) {
            Ok(None | Some(1..)) if begin.elapsed() < MAX_STALL => {}
            _ => return,
        }
    }
}

/// Carries loads to one member that is behind, at the pace at which it reads.
fn carry(id: Id, mut stream: &TcpStream, loads: &Receiver<Vec<u8>>, events: &Events) {
    for load in loads {
        let (mut rest, mut moved) = (&load[..], Instant::now());
        // A write that waits in vain returns after `PATIENCE`. The next may take something although
        // none woke this one: the kernel does that only when much of a full socket is free again.
        while !rest.is_empty() && moved.elapsed() < MAX_STALL {
            match ready(stream.write(rest)) {
                Ok(Some(length @ 1..)) => (rest, moved) = (&rest[length..], Instant::now()),
                Ok(None) => {}
                Ok(Some(0)) | Err(_) => break,
            }
        }
        let event = match rest {
            [] => Event::Delivered(id),
            _ => Event::Undeliverable(id),
        };
        let _ = events.send(event);
    }
}

/// The one thread that knows everything.
struct Hub {
    room: Room,
    tape: Tape,
    members: HashMap<Id, Member>,
    /// For the couriers.
    events: Events,
    clock: Clock,
    log: fn(&str),
}

/// One connection, as the hub sees it.
struct Member {
    stream: Arc<TcpStream>,
    peer: SocketAddr,
    place: Place,
    /// Who waits for it while it is behind.
    courier: Option<Sender<Vec<u8>>>,
    /// Whether the courier has a load. Nobody else may write then.
    carrying: bool,
    /// Whether it has said its last and waits only for what it still has coming.
    leaving: bool,
}

impl Hub {
    fn run(&mut self, inbox: &Receiver<Event>) {
        while let Ok(event) = inbox.recv() {
            self.room.set_time(stamp(&self.clock.now()));
            let enough = self.tape.end() + ROUND as u64;
            self.handle(event);
            for event in inbox.try_iter().take(WAITING) {
                self.handle(event);
                if self.tape.end() > enough {
                    break;
                }
            }
            self.deliver();
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Joined(id, peer, stream) => {
                (self.log)(&format!("...connecting from: {peer}"));
                let place = self.tape.join();
                let member = Member {
                    stream,
                    peer,
                    place,
                    courier: None,
                    carrying: false,
                    leaving: false,
                };
                self.members.insert(id, member);
                self.room.join(id);
            }
            Event::Said(id, messages) => {
                for message in messages {
                    self.room.hear(id, message);
                    self.publish();
                }
            }
            Event::Left(id) => {
                if let Some(member) = self.members.get_mut(&id) {
                    self.tape.leave(&mut member.place);
                    member.leaving = true;
                }
                self.room.leave(id);
                self.publish();
            }
            Event::Delivered(id) => {
                if let Some(member) = self.members.get_mut(&id) {
                    member.carrying = false;
                }
            }
            Event::Undeliverable(id) => {
                if let Some(member) = self.members.remove(&id) {
                    (self.log)(&format!("lost {}: {}", member.peer, Tape::fallen_off()));
                    let _ = member.stream.shutdown(Shutdown::Both);
                }
            }
        }
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

    /// Writes to everyone who keeps up, and parts with who is done, gone, or too far behind.
    fn deliver(&mut self) {
        self.members.retain(|&id, member| {
            match member.keep_up(id, &self.tape, &self.events) {
                Ok(end) => {
                    if end {
                        let _ = member.stream.shutdown(Shutdown::Write);
                    }
                    !end
                }
                Err(error) => {
                    (self.log)(&format!("lost {}: {error}", member.peer));
                    // Its reader, which still blocks in `read`, meets the end of file.
                    let _ = member.stream.shutdown(Shutdown::Both);
                    false
                }
            }
        });
        self.tape
            .trim(self.members.values().map(|member| &member.place));
    }
}

impl Member {
    /// Brings the member up to date, itself or by a courier. Returns whether this was the last
    /// that it had coming.
    ///
    /// # Errors
    ///
    /// The connection is broken, or the member is too far behind, or there is no thread for a
    /// courier.
    fn keep_up(&mut self, id: Id, tape: &Tape, events: &Events) -> io::Result<bool> {
        loop {
            let next = tape.next(&self.place).ok_or_else(Tape::fallen_off)?;
            if self.carrying {
                return Ok(false);
            }
            if next.is_empty() {
                self.courier = None;
                return Ok(self.leaving);
            }
            let (length, written) = (next.len(), self.write(next)?);
            tape.advance(&mut self.place, written);
            if written < length {
                self.hire(id, events)?;
                self.load(tape);
            }
        }
    }

    /// Writes what the socket takes at once; returns how many bytes.
    ///
    /// Whether a socket blocks is a matter of the socket, not of the thread that uses it. So it is
    /// made not to for the moment. A reader that waits in `read` goes on waiting; one that begins
    /// to just now is told `WouldBlock`, and begins again.
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_nonblocking(true)?;
        let written = ready((&*self.stream).write(bytes));
        self.stream.set_nonblocking(false)?;
        Ok(written?.unwrap_or(0))
    }

    /// Starts a courier, if there is none: it may wait for the member, the hub may not.
    fn hire(&mut self, id: Id, events: &Events) -> io::Result<()> {
        if self.courier.is_some() {
            return Ok(());
        }
        let (courier, loads) = channel();
        let stream = Arc::clone(&self.stream);
        let carrier = move |events: Events| carry(id, &stream, &loads, &events);
        start(events, MAX_THREADS, carrier)?;
        self.courier = Some(courier);
        Ok(())
    }

    /// Gives the courier a load. Once that is delivered there is room again, and the hub writes.
    fn load(&mut self, tape: &Tape) {
        let load = tape.next(&self.place).unwrap_or_default();
        let load = load[..load.len().min(LOAD)].to_vec();
        if let Some(courier) = &self.courier {
            tape.advance(&mut self.place, load.len());
            self.carrying = true;
            let _ = courier.send(load);
        }
    }
}
