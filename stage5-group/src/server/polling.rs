//! The engine on one thread: chapter 2's readiness loop, with a group in the middle.
//!
//! Each pass reads from every member that is due, and then writes to each member once. No socket
//! ever blocks, so no member makes another one wait.

use std::io::{self, Read, Write};
use std::iter;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use crate::clock::Clock;
use crate::limits::{LOG_QUIET, MAX_ACCEPTS, MAX_READ_POLLING, MAX_STALL};
use crate::message::Decoder;
use crate::readiness::{Backoff, ready, sleep_until};
use crate::server::group::Group;
use crate::server::room::Id;

/// Serves the group, forever.
///
/// # Errors
///
/// The listener cannot be made non-blocking.
pub fn serve(listener: &TcpListener, log: fn(&str)) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut accepting = Backoff::new(Instant::now());
    let mut quiet_until = Instant::now();
    let mut ids = 1..;
    let mut readers: Vec<Reader> = Vec::new();
    let mut group = Group::new(|mut stream, bytes| ready(stream.write(bytes)), log);
    let mut clock = Clock::new();
    loop {
        let now = Instant::now();
        group.set_time(&clock.now());
        if accepting.is_due(now) {
            let before = readers.len();
            let waiting = iter::from_fn(|| ready(listener.accept()).transpose());
            for (connection, id) in waiting.take(MAX_ACCEPTS).zip(&mut ids) {
                let nonblocking = connection.and_then(|(stream, peer)| {
                    stream.set_nonblocking(true)?;
                    Ok((Arc::new(stream), peer))
                });
                match nonblocking {
                    Ok((stream, peer)) => {
                        group.join(id, peer, Arc::clone(&stream), now);
                        readers.push(Reader {
                            id,
                            stream,
                            decoder: Decoder::new(),
                            backoff: Backoff::new(now),
                            disconnected: None,
                        });
                    }
                    // With a full descriptor table this fails until a member leaves.
                    Err(error) => {
                        if now >= quiet_until {
                            log(&format!("cannot accept: {error}"));
                            quiet_until = now + LOG_QUIET;
                        }
                        break;
                    }
                }
            }
            accepting.record(readers.len() > before, now);
        }
        read(&mut readers, &mut group, now);
        let next_try = group.write(now);
        let due = readers.iter().map(|reader| reader.backoff.due());
        sleep_until(due.chain(next_try).fold(accepting.due(), Instant::min));
    }
}

/// Reads once from each member that is due, until the round is full. The next pass then begins with
/// the members that have not been read.
fn read(readers: &mut Vec<Reader>, group: &mut Group, now: Instant) {
    let mut chunk = [0; MAX_READ_POLLING];
    let mut had_their_turn = 0;
    readers.retain_mut(|reader| {
        if group.is_round_full() {
            return true;
        }
        let stays = !reader.backoff.is_due(now) || reader.read(&mut chunk, group, now);
        had_their_turn += usize::from(stays);
        stays
    });
    readers.rotate_left(had_their_turn);
}

/// The receiving side of one connection.
struct Reader {
    id: Id,
    stream: Arc<TcpStream>,
    decoder: Decoder,
    backoff: Backoff,
    /// When the member was disconnected for what it sent. What it still sends is discarded.
    disconnected: Option<Instant>,
}

impl Reader {
    /// Reads once. Returns whether there is anything more to read.
    fn read(&mut self, chunk: &mut [u8], group: &mut Group, now: Instant) -> bool {
        let read = ready((&*self.stream).read(chunk));
        let messages = match read {
            Ok(Some(length)) => self.decoder.push(&chunk[..length]),
            _ => Vec::new(),
        };
        // A member that sends one byte from time to time must not keep the loop awake.
        let talks = !messages.is_empty() || matches!(read, Ok(Some(MAX_READ_POLLING)));
        self.backoff.record(talks, now);
        group.hear(self.id, messages);
        let ended = matches!(read, Ok(Some(0)) | Err(_));
        if self.decoder.is_closed() && self.disconnected.is_none() {
            self.disconnected = Some(now);
        }
        if ended || self.disconnected == Some(now) {
            group.leave(self.id);
        }
        // Closing a socket with unread data resets the connection (RFC 1122 §4.2.2.13). Then a
        // disconnected member may lose what it has not read yet, such as the reason. So the server
        // waits until the member has closed the connection, but not longer than `MAX_STALL`.
        let is_over = |since| now.duration_since(since) > MAX_STALL;
        !ended && !self.disconnected.is_some_and(is_over)
    }
}
