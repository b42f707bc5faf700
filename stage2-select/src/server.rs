//! The echo server for many clients on one thread (tutorial §2.2).

use std::io::{self, Read, Write};
use std::iter;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::readiness::{Backoff, ready, sleep_until};

/// The most bytes that one `read` takes: the tutorial's `BUFSIZ`.
pub const BUFSIZ: usize = 1024;

/// The most clients that are accepted in one pass: as many as can wait in the listener's backlog,
/// which std makes 128 long. On Linux, a client that finds the backlog full tries again after a
/// second.
const MAX_ACCEPTS: usize = 128;

/// How long the log is quiet about failures of `accept` after it has reported one. With a full
/// descriptor table every `accept` fails until a client leaves.
const LOG_QUIET: Duration = Duration::from_secs(60);

/// Serves all clients at once, forever, and logs a line for each.
///
/// Each pass of the loop tries the listener and then each client that is due. No try ever waits:
/// the sockets are non-blocking.
///
/// # Errors
///
/// The address of the listener cannot be read, or it cannot be made non-blocking.
pub fn serve(listener: &TcpListener, log: fn(&str)) -> io::Result<()> {
    log(&format!("listening on {}", listener.local_addr()?));
    listener.set_nonblocking(true)?;
    let mut accepting = Backoff::new(Instant::now());
    let mut quiet_until = Instant::now();
    let mut clients: Vec<Client> = Vec::new();
    let mut clock = Clock::new();
    loop {
        let now = Instant::now();
        if accepting.is_due(now) {
            let mut accepted = false;
            let waiting = iter::from_fn(|| ready(listener.accept()).transpose());
            for connection in waiting.take(MAX_ACCEPTS) {
                match connection.and_then(Client::new) {
                    Ok(client) => {
                        log(&format!("...connecting from: {}", client.peer));
                        clients.push(client);
                        accepted = true;
                    }
                    Err(error) => {
                        if now >= quiet_until {
                            log(&format!("cannot accept: {error}"));
                            quiet_until = now + LOG_QUIET;
                        }
                        break;
                    }
                }
            }
            accepting.record(accepted, now);
        }
        clients.retain_mut(|client| {
            if !client.backoff.is_due(now) {
                return true;
            }
            match client.take_turn(&mut clock) {
                Ok(Turn::Ended) => false,
                Ok(turn) => {
                    client.backoff.record(turn == Turn::Moved, now);
                    true
                }
                Err(error) => {
                    log(&format!("lost {}: {error}", client.peer));
                    false
                }
            }
        });
        let due = clients.iter().map(|client| client.backoff.due());
        sleep_until(due.fold(accepting.due(), Instant::min));
    }
}

/// One connection, and the data that its socket has not accepted yet.
#[derive(Debug)]
struct Client {
    stream: TcpStream,
    peer: SocketAddr,
    backoff: Backoff,
    /// The part of the last answer that did not fit into the socket.
    unsent: Vec<u8>,
}

/// The result of a client's turn.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// Bytes were written.
    Moved,
    /// The socket had nothing to read, or its send buffer was full.
    NotReady,
    /// End of file: the client has closed its sending side.
    Ended,
}

impl Client {
    fn new((stream, peer): (TcpStream, SocketAddr)) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            peer,
            backoff: Backoff::new(Instant::now()),
            unsent: Vec::new(),
        })
    }

    /// Reads a chunk and writes as much of the answer as the socket accepts.
    ///
    /// While a part of an answer is unsent, nothing is read. A client that does not read its
    /// answers fills the buffers of the kernel, and then it cannot send any more. This is
    /// **back-pressure**. The server's memory does not grow.
    ///
    /// # Errors
    ///
    /// The connection broke: the client reset it, for example.
    fn take_turn(&mut self, clock: &mut Clock) -> io::Result<Turn> {
        if self.unsent.is_empty() {
            let mut chunk = [0; BUFSIZ];
            match ready(self.stream.read(&mut chunk))? {
                None => return Ok(Turn::NotReady),
                Some(0) => return Ok(Turn::Ended),
                Some(length) => {
                    let stamp = format!("[{}] ", clock.now().ctime());
                    self.unsent.extend_from_slice(stamp.as_bytes());
                    self.unsent.extend_from_slice(&chunk[..length]);
                }
            }
        }
        match ready(self.stream.write(&self.unsent))? {
            None => Ok(Turn::NotReady),
            Some(length) => {
                self.unsent.drain(..length);
                Ok(Turn::Moved)
            }
        }
    }
}
