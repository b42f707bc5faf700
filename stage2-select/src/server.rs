//! The echo server for many clients on one thread (tutorial §2.2).

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use crate::clock::Clock;
use crate::readiness::{Readiness, ready, rest};

/// The most that one `read` takes, in bytes: the tutorial's `BUFSIZ`.
pub const BUFSIZ: usize = 1024;

/// The most clients that are accepted in one pass: as many as wait in the listener's backlog, where
/// std has room for 128. Who finds it full tries again only after a second.
const BACKLOG: usize = 128;

/// Serves every client at once, for ever, and logs a line for each.
///
/// Each pass of the loop tries the listener and then each client that is due. No try ever waits:
/// the sockets are non-blocking.
///
/// # Errors
///
/// The listener is not bound, or cannot be made non-blocking.
pub fn serve(listener: &TcpListener, log: fn(&str)) -> io::Result<()> {
    log(&format!("listening on {}", listener.local_addr()?));
    listener.set_nonblocking(true)?;
    let mut accepting = Readiness::new(Instant::now());
    let mut full = false;
    let mut clients: Vec<Client> = Vec::new();
    let mut clock = Clock::new();
    loop {
        let now = Instant::now();
        if accepting.is_due(now) {
            for _ in 0..BACKLOG {
                let accepted = ready(listener.accept().and_then(Client::new));
                accepting.tried(matches!(accepted, Ok(Some(_))), now);
                match accepted {
                    Ok(Some(client)) => {
                        log(&format!("...connecting from: {}", client.peer));
                        clients.push(client);
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
        clients.retain_mut(|client| {
            if !client.readiness.is_due(now) {
                return true;
            }
            let moved = client.turn(&mut clock);
            client.readiness.tried(matches!(moved, Ok(Some(_))), now);
            if let Err(error) = &moved {
                log(&format!("lost {}: {error}", client.peer));
            }
            matches!(moved, Ok(None | Some(1..)))
        });
        let dues = clients.iter().map(|client| client.readiness.due());
        rest(dues.fold(accepting.due(), Instant::min));
    }
}

/// One connection, and what it has still to be told.
#[derive(Debug)]
struct Client {
    stream: TcpStream,
    peer: SocketAddr,
    readiness: Readiness,
    /// The part of the last answer that did not fit into the socket.
    pending: Vec<u8>,
}

impl Client {
    fn new((stream, peer): (TcpStream, SocketAddr)) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            peer,
            readiness: Readiness::new(Instant::now()),
            pending: Vec::new(),
        })
    }

    /// Reads a chunk and answers it as far as the socket takes the answer.
    ///
    /// Returns how many bytes moved: `None` where the socket was not ready, 0 at end of file.
    ///
    /// While an answer is pending nothing is read. A client that does not take its answers fills
    /// the buffers of the kernel, then it cannot send any more: that is back-pressure, and the
    /// server's memory never sees the flood.
    ///
    /// # Errors
    ///
    /// The client reset the connection.
    fn turn(&mut self, clock: &mut Clock) -> io::Result<Option<usize>> {
        if self.pending.is_empty() {
            let mut chunk = [0; BUFSIZ];
            match ready(self.stream.read(&mut chunk))? {
                Some(length @ 1..) => {
                    let stamp = format!("[{}] ", clock.now().ctime());
                    self.pending.extend_from_slice(stamp.as_bytes());
                    self.pending.extend_from_slice(&chunk[..length]);
                }
                nothing => return Ok(nothing),
            }
        }
        let written = ready(self.stream.write(&self.pending))?;
        self.pending.drain(..written.unwrap_or(0));
        Ok(written)
    }
}
