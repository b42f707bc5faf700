//! The chat client (tutorial §5.3): a window, a name, and a thread that receives.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::limits::MAX_MESSAGE;
use crate::message::Message;
use crate::window::{Event, Output, Window};

/// The most bytes that one `read` takes.
const CHUNK: usize = 16 * 1024;

/// The longest line that is shown as a whole, in bytes. The lines of our server are shorter,
/// although a byte of a message may become `�`, which has three bytes.
const MAX_LINE: usize = 4 * MAX_MESSAGE;

/// How long the client still waits for what the server has sent, after a write has failed.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(2);

const HELP: &str = "\
/name NEW  take another name
/who       list who is here
/quit      leave
/help      show this
Other text goes to everyone. A space before a slash makes it text.
";

/// Opens the window and chats under this name, until the user leaves and the server has sent all
/// unsent data. If `plain` is true, the window works in lines.
///
/// # Errors
///
/// The server closed the connection before the user did, or standard output cannot be written.
pub fn chat(stream: TcpStream, name: &str, plain: bool) -> io::Result<()> {
    // One write is one message: nothing is gained by waiting for more (Nagle, RFC 896).
    stream.set_nodelay(true)?;
    let window = Window::new(&title(name), plain);
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
    let mut user = User {
        stream: &stream,
        output: window.output(),
        name: name.to_owned(),
        closing: false,
        sent: Ok(()),
    };
    user.say("\n");
    window.mainloop(|event| match event {
        Event::Send(_) if user.closing || user.sent.is_err() => {}
        Event::Send(text) => {
            user.command(&text);
            if user.sent.is_err() {
                let _ = received.recv_timeout(RECEIVE_TIMEOUT);
                user.output.destroy();
            }
        }
        Event::Close => user.leave(),
    })?;
    user.sent
        .map_err(|error| io::Error::new(error.kind(), format!("cannot send: {error}")))?;
    let closed = io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection");
    match received.try_recv() {
        Ok(end) if user.closing => end,
        Ok(end) => end.and(Err(closed)),
        // The user has left without waiting for the server. The receive thread still reads.
        Err(_) => Ok(()),
    }
}

/// What the main thread needs for the user's commands.
struct User<'a> {
    stream: &'a TcpStream,
    output: Output,
    name: String,
    closing: bool,
    /// Whether everything could be sent.
    sent: io::Result<()>,
}

impl User<'_> {
    /// Obeys a command, or says the text to everyone.
    fn command(&mut self, text: &str) {
        let line = text.trim_end();
        match line.split_once(' ').unwrap_or((line, "")) {
            ("/quit", "") => self.leave(),
            ("/help", "") => self.output.insert(HELP.as_bytes()),
            ("/name", new) if !new.trim().is_empty() => {
                new.trim().clone_into(&mut self.name);
                self.output.title(&title(&self.name));
                self.say("\n");
            }
            ("/who", "") => self.say(text),
            (word, _) if word.starts_with('/') => {
                let notice = format!("no such command: {line} (see /help)\n");
                self.output.insert(notice.as_bytes());
            }
            _ => self.say(text),
        }
    }

    /// Sends a message. If its text is only white space, the message only makes the name known.
    fn say(&mut self, text: &str) {
        let message = Message {
            name: self.name.clone(),
            text: text.to_owned(),
        };
        let message = message.encode();
        let length = message.len();
        if length > MAX_MESSAGE {
            let notice = format!("not sent: {length} bytes; a message has at most {MAX_MESSAGE}\n");
            self.output.insert(notice.as_bytes());
        } else {
            self.sent = self.stream.write_all(message.as_bytes());
        }
    }

    /// The tutorial's `shutdown(SHUT_WR)` (§5.2): the server reads the end of file, sends the
    /// unsent data for this member, and closes. Then the receive thread reads the end of file.
    fn leave(&mut self) {
        self.closing = true;
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

fn title(name: &str) -> String {
    format!("Rust聊天群 ({name})")
}

/// The tutorial's `ReceiveThread`: shows what arrives, until the server closes.
///
/// It shows whole lines. Otherwise the answer to `/help` could appear in the middle of a line.
fn receive(mut stream: &TcpStream, output: &mut Output) -> io::Result<()> {
    let mut chunk = [0; CHUNK];
    let mut lines = Vec::new();
    let end = loop {
        let arrived = match stream.read(&mut chunk) {
            Ok(0) => break Ok(()),
            Ok(length) => &chunk[..length],
            Err(error) => break Err(error),
        };
        let newline = arrived.iter().rposition(|&byte| byte == b'\n');
        let (whole, rest) = arrived.split_at(newline.map_or(0, |index| index + 1));
        lines.extend_from_slice(whole);
        if newline.is_some() || lines.len() > MAX_LINE {
            output.insert(&lines);
            lines.clear();
        }
        lines.extend_from_slice(rest);
    };
    output.insert(&lines);
    end
}
