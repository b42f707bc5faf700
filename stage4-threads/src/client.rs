//! The client with a receive thread (tutorial §4). It shows what arrives while the user types.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::window::{Event, Output, Window};

/// The most bytes that one `read` takes: the tutorial's `BUFSIZ`.
const BUFSIZ: usize = 1024;

/// How long the client still waits for what the server has sent, after a write has failed. Bytes
/// that are on their way need less time, and the user should not wait longer.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens the window, sends each line that the user types, and shows what arrives, until both sides
/// have closed.
///
/// # Errors
///
/// The server closed the connection before the user did, or standard output cannot be written.
pub fn chat(stream: TcpStream) -> io::Result<()> {
    let window = Window::new("Rust聊天群", false);
    let output = window.output();
    let stream = Arc::new(stream);
    let (sender, received) = channel();
    thread::spawn({
        let (stream, mut output) = (Arc::clone(&stream), window.output());
        move || {
            let _ = sender.send(receive(&stream, &mut output));
            // The main thread may be waiting in `write_all` or in the main loop.
            let _ = stream.shutdown(Shutdown::Both);
            output.destroy();
        }
    });
    let mut closing = false;
    let mut sent = Ok(());
    window.mainloop(|event| match event {
        Event::Send(_) if closing || sent.is_err() => {}
        Event::Send(text) => {
            sent = (&*stream).write_all(text.as_bytes());
            if sent.is_err() {
                let _ = received.recv_timeout(RECEIVE_TIMEOUT);
                output.destroy();
            }
        }
        // The half-close (tutorial §5.2). The server answers what it has read, then reads the end of
        // file, and closes. Then the receive thread reads an end of file, too.
        Event::Close => {
            closing = true;
            let _ = stream.shutdown(Shutdown::Write);
        }
    })?;
    sent.map_err(|error| io::Error::new(error.kind(), format!("cannot send: {error}")))?;
    let closed = io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection");
    match received.try_recv() {
        Ok(end) if closing => end,
        Ok(end) => end.and(Err(closed)),
        // The user has left without waiting for the server. The receive thread still reads.
        Err(_) => Ok(()),
    }
}

/// The tutorial's `ReceiveThread`: shows what arrives, until the server closes.
fn receive(mut stream: &TcpStream, output: &mut Output) -> io::Result<()> {
    let mut chunk = [0; BUFSIZ];
    loop {
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            length => output.insert(&chunk[..length]),
        }
    }
}
