//! The echo client (tutorial §1.4.2). It sends a line, then waits for the answer.

use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;

/// The most bytes of one answer: a time stamp and a chunk of 1024 bytes.
const ANSWER: usize = 1024 + 64;

/// Prompts for a line, sends it and prints the answer. Ends at an empty line or at the end of
/// input.
///
/// # Errors
///
/// The connection broke, the server closed it, or standard input or output failed.
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
        // A short answer usually arrives in one `read`. TCP does not mark where an answer ends. So
        // the rest of a long answer is printed as the answer to the next line.
        let length = stream.read(&mut answer)?;
        if length == 0 {
            let reason = "the server closed the connection";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
        }
        // A chunk can begin or end within a character. The parts of that character become `�`.
        writeln!(output, "{}", String::from_utf8_lossy(&answer[..length]))?;
    }
}
