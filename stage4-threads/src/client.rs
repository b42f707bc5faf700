//! The client with a receive thread (tutorial §4): what arrives is shown while the user types.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;

use crate::window::{Output, Window};

/// The most that one `read` takes, in bytes: the tutorial's `BUFSIZ`.
const BUFSIZ: usize = 1024;

/// Opens the window, sends what is typed with its newline, shows what comes, until both ends have
/// closed.
///
/// # Errors
///
/// The server went away before the user did, or standard output did.
pub fn chat(stream: TcpStream) -> io::Result<()> {
    let window = Window::new("Rust聊天群", false);
    let stream = Arc::new(stream);
    let receiver = thread::spawn({
        let (stream, output) = (Arc::clone(&stream), window.output());
        move || receive(&stream, output)
    });
    let closing = Cell::new(false);
    window.mainloop(
        // Where writing fails reading ends, and the receive thread destroys the window.
        |text| drop((&*stream).write_all(text.as_bytes())),
        // The tutorial's `shutdown(SHUT_WR)` (§5.2): the server reads to the end, answers what it
        // has read, closes, and the receive thread meets the end of file.
        || {
            closing.set(true);
            let _ = stream.shutdown(Shutdown::Write);
        },
    )?;
    // The user may have left without waiting for the server.
    let _ = stream.shutdown(Shutdown::Both);
    let received = receiver.join().expect("the receive thread does not panic");
    if closing.get() {
        return received;
    }
    let reason = "the server closed the connection";
    received.and(Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason)))
}

/// The tutorial's `ReceiveThread`: inserts what comes into the window, then destroys it.
fn receive(mut stream: &TcpStream, mut output: Output) -> io::Result<()> {
    let mut chunk = [0; BUFSIZ];
    let end = loop {
        match stream.read(&mut chunk) {
            Ok(0) => break Ok(()),
            Ok(length) => output.insert(&chunk[..length]),
            Err(error) => break Err(error),
        }
    };
    // Whoever still waits in a write is not to wait any longer.
    let _ = stream.shutdown(Shutdown::Both);
    output.destroy();
    end
}
