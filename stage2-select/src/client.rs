//! The echo client (tutorial §1.4.2): a line out, an answer back.

use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;

/// Room for one answer, in bytes: a time stamp and the 1024 bytes that the server takes at a time.
const ANSWER: usize = 1024 + 64;

/// Prompts, sends what is typed, prints what comes back; ends at an empty line or end of input.
///
/// The bytes are passed on as they are: nothing here minds a character that is split over two
/// reads, or an encoding.
///
/// # Errors
///
/// The connection broke, the server closed it, or standard output did.
pub fn chat(mut stream: TcpStream) -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout());
    let mut line = Vec::new();
    let mut answer = [0; ANSWER];
    loop {
        output.write_all(b"> ")?;
        output.flush()?;
        line.clear();
        input.read_until(b'\n', &mut line)?;
        while line.ends_with(b"\n") || line.ends_with(b"\r") {
            line.pop();
        }
        if line.is_empty() {
            return Ok(());
        }
        stream.write_all(&line)?;
        // One `read` is one answer as long as it is short. Nothing in TCP says where a long one
        // ends: its rest is printed as the answer to the next line.
        let length = stream.read(&mut answer)?;
        if length == 0 {
            let reason = "the server closed the connection";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
        }
        output.write_all(&answer[..length])?;
        output.write_all(b"\n")?;
    }
}
