//! The blocking echo server (tutorial §1.3.2). It serves one client at a time.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::clock::Clock;

/// The most bytes that one `read` takes: the tutorial's `BUFSIZ`.
pub const BUFSIZ: usize = 1024;

/// How long to wait after a failed `accept`. In most servers the usual cause is that too many files
/// are open (a socket counts as one). Without the pause, the loop would fill the log.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Serves one client after the other, forever, and logs a line for each.
///
/// # Errors
///
/// The address of the listener cannot be read.
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

/// Answers each chunk with a time stamp and the same bytes, until end of file.
///
/// A chunk is what one `read` returns. TCP keeps the order of the bytes. It does not keep the
/// boundaries between the client's writes.
///
/// # Errors
///
/// The connection broke: the client reset it, for example.
fn echo(mut stream: TcpStream, clock: &mut Clock) -> io::Result<()> {
    let mut chunk = [0; BUFSIZ];
    loop {
        let length = stream.read(&mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        // With two `write_all` calls, the client could read the stamp without the text.
        let mut answer = format!("[{}] ", clock.now().ctime()).into_bytes();
        answer.extend_from_slice(&chunk[..length]);
        stream.write_all(&answer)?;
    }
}
