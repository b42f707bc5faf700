//! The engine with threads: a reader for each member blocks in `read`, and one hub owns the group.
//!
//! ```text
//! socket ──> reader ─┐                      ┌──> socket
//! socket ──> reader ─┼── Event ──> hub ─────┼──> socket
//! socket ──> reader ─┘         (the group)  └──> socket
//! ```
//!
//! The threads share only the sockets and the channel, so nothing here is locked. While no
//! member sends and every member keeps up, all threads wait. So an idle group needs no processor
//! time. The hub handles all events that wait, and then writes to each member once.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use crate::clock::Clock;
use crate::limits::{
    ACCEPT_PAUSE, INBOX, LOG_QUIET, MAX_READ_THREADS, MAX_READERS, MAX_STALL, MAX_TURNED_AWAY,
};
use crate::message::{Decoder, Message, Refusal};
use crate::readiness::ready;
use crate::server::group::Group;
use crate::server::room::Id;

/// The stack of a reader, in bytes. Only the used part of it costs memory.
const STACK: usize = 128 * 1024;

/// What the other threads tell the hub.
enum Event {
    /// A client has connected.
    Joined(Id, SocketAddr, Arc<TcpStream>),
    /// A member has sent these messages, or something that is refused.
    Said(Id, Vec<Result<Message, Refusal>>),
    /// Nothing more is read from a member.
    Left(Id),
}

/// The sending side of the channel to the hub. The accept thread and each reader have a clone, so
/// the number of clones tells how many readers there are.
type Events = Arc<SyncSender<Event>>;

/// Serves the group, forever.
///
/// # Errors
///
/// The thread that accepts connections cannot be started.
pub fn serve(listener: TcpListener, log: fn(&str)) -> io::Result<()> {
    let (events, inbox) = sync_channel(INBOX);
    thread::Builder::new().spawn(move || accept(&listener, &Arc::new(events), log))?;
    run(&inbox, Group::new(try_write, log));
    Ok(())
}

/// The hub: the one thread that owns the group.
fn run(inbox: &Receiver<Event>, mut group: Group) {
    let mut clock = Clock::new();
    let mut next_try: Option<Instant> = None;
    loop {
        let first = match next_try {
            None => inbox.recv().map_err(RecvTimeoutError::from),
            Some(due) => inbox.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        if matches!(first, Err(RecvTimeoutError::Disconnected)) {
            return;
        }
        let now = Instant::now();
        group.set_time(&clock.now());
        for event in first.into_iter().chain(inbox.try_iter().take(INBOX)) {
            match event {
                Event::Joined(id, peer, stream) => group.join(id, peer, stream, now),
                Event::Said(id, messages) => group.hear(id, messages),
                Event::Left(id) => group.leave(id),
            }
            if group.is_round_full() {
                break;
            }
        }
        next_try = group.write(now);
    }
}

/// Writes what the socket accepts at once.
///
/// Blocking is a property of the socket, not of the thread that uses it. So the socket is made
/// non-blocking for the time of one write. A reader that already waits in `read` continues to wait.
/// A reader that calls `read` during this time gets bytes, or `WouldBlock`. After `WouldBlock`, it
/// calls `read` again.
fn try_write(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<Option<usize>> {
    stream.set_nonblocking(true)?;
    let written = ready(stream.write(bytes));
    stream.set_nonblocking(false)?;
    written
}

/// Gives every connection a reader of its own.
fn accept(listener: &TcpListener, events: &Events, log: fn(&str)) {
    let mut quiet_until = Instant::now();
    let mut turned_away = VecDeque::new();
    for id in 1.. {
        match listener.accept() {
            Ok((stream, peer)) => {
                let stream = Arc::new(stream);
                // If the hub has gone, `send` fails. Then the program is about to end.
                let _ = events.send(Event::Joined(id, peer, Arc::clone(&stream)));
                if let Err(error) = start_reader(id, &stream, events) {
                    log(&format!("cannot start a thread for {peer}: {error}"));
                    let _ = events.send(Event::Said(id, vec![Err(Refusal::GroupFull)]));
                    let _ = events.send(Event::Left(id));
                    // No thread reads what this client sends, and closing its socket now would
                    // reset the connection: see `linger`. So the socket stays open for a while.
                    turned_away.push_back(stream);
                    if turned_away.len() > MAX_TURNED_AWAY {
                        turned_away.pop_front();
                    }
                }
            }
            // With a full descriptor table this fails until a member leaves.
            Err(error) => {
                if Instant::now() >= quiet_until {
                    log(&format!("cannot accept: {error}"));
                    quiet_until = Instant::now() + LOG_QUIET;
                }
                thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
}

/// Starts a reader, unless there are too many of them.
fn start_reader(id: Id, stream: &Arc<TcpStream>, events: &Events) -> io::Result<()> {
    if Arc::strong_count(events) > MAX_READERS {
        return Err(io::Error::other("there are too many readers"));
    }
    let (stream, events) = (Arc::clone(stream), Arc::clone(events));
    let reader = thread::Builder::new().stack_size(STACK);
    reader.spawn(move || read(id, &stream, &events)).map(drop)
}

/// Reads from one member until its end of file, and sends the hub what it says.
fn read(id: Id, mut stream: &TcpStream, events: &Events) {
    let mut decoder = Decoder::new();
    let mut chunk = [0; MAX_READ_THREADS];
    while !decoder.is_closed() {
        match ready(stream.read(&mut chunk)) {
            Ok(Some(0)) | Err(_) => break,
            Ok(Some(length)) => {
                let messages = decoder.push(&chunk[..length]);
                // A part of a message does not wake the hub.
                if !messages.is_empty() {
                    let _ = events.send(Event::Said(id, messages));
                }
            }
            // The hub is writing to this member just now: see `try_write`.
            Ok(None) => thread::yield_now(),
        }
    }
    let _ = events.send(Event::Left(id));
    if decoder.is_closed() {
        linger(stream, &mut chunk);
    }
}

/// Discards what a disconnected member still sends, until it closes the connection, too. Closing a
/// socket with unread data resets the connection (RFC 1122 §4.2.2.13). Then the member may lose
/// what it has not read yet, such as the reason why it was disconnected.
fn linger(mut stream: &TcpStream, chunk: &mut [u8]) {
    let _ = stream.set_read_timeout(Some(MAX_STALL));
    let begin = Instant::now();
    while let Ok(None | Some(1..)) = ready(stream.read(chunk)) {
        if begin.elapsed() > MAX_STALL {
            return;
        }
    }
}
