//! The blocking echo server (tutorial §1.3.2): one client at a time.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::clock::Clock;

/// The most that one `read` takes, in bytes: the tutorial's `BUFSIZ`.
pub const BUFSIZ: usize = 1024;

/// A rest after a failed `accept`: what made it fail, too many open files say, lasts longer
/// than a loop takes to come round.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Serves one client after the other, for ever, and logs a line for each.
///
/// While one is served the next waits in the listener's backlog, connected but unheard.
///
/// # Errors
///
/// The listener has no address: it is not bound.
pub fn serve(listener: &TcpListener, log: fn(&str)) -> io::Result<()> {
    log(&format!("listening on {}", listener.local_addr()?));
    let mut clock = Clock::new();
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                log(&format!("...connecting from: {peer}"));
                if let Err(error) = echo(stream, &mut clock) {
                    log(&format!("lost {peer}: {error}"));
                }
            }
            Err(error) => {
                log(&format!("cannot accept: {error}"));
                thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
}

/// Answers each chunk with a time stamp and the same bytes, until the client's end of file.
///
/// A chunk is whatever one `read` returns, up to [`BUFSIZ`] bytes. TCP keeps the bytes and their
/// order, not the boundaries between the client's writes, so a long line is more than one chunk.
///
/// # Errors
///
/// The client reset the connection.
fn echo(mut stream: TcpStream, clock: &mut Clock) -> io::Result<()> {
    let mut chunk = [0; BUFSIZ];
    loop {
        let length = stream.read(&mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        // One `write_all`: two would let the client read the stamp without the text.
        let mut answer = format!("[{}] ", clock.now().ctime()).into_bytes();
        answer.extend_from_slice(&chunk[..length]);
        stream.write_all(&answer)?;
    }
}
