//! The chat client (tutorial §5.3): a window, a name, and a thread that receives.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::limits::MAX_MESSAGE;
use crate::message::Message;
use crate::window::{Output, Window};

/// The most that one `read` takes, in bytes.
const CHUNK: usize = 16 * 1024;

/// How long a server may take nothing before the client gives it up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

const HELP: &str = "\
/name NEW  take another name
/who       list who is here
/quit      leave
/help      show this
Anything else is said to everyone; begin with a blank to say what begins with a slash.
";

/// Opens the window and chats under this name, until the user leaves and the server has sent
/// what it still had; `plain` keeps to line mode.
///
/// # Errors
///
/// The server went away before the user did, or standard output did.
pub fn chat(stream: TcpStream, name: &str, plain: bool) -> io::Result<()> {
    // One write is one message: nothing is gained by waiting for more (Nagle, RFC 896).
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let stream = Arc::new(stream);
    let window = Window::new(&title(name), plain);
    let mut output = window.output();
    let receiver = thread::spawn({
        let (stream, output) = (Arc::clone(&stream), window.output());
        move || receive(&stream, output)
    });
    let name = RefCell::new(name.to_owned());
    let closing = Cell::new(false);
    // The tutorial's `shutdown(SHUT_WR)` (§5.2): the server hears the end of file, sends what it
    // still has for us, closes, and the receive thread destroys the window.
    let leave = || {
        closing.set(true);
        let _ = stream.shutdown(Shutdown::Write);
    };
    let mut say = |text: &str| {
        let message = Message {
            name: name.borrow().clone(),
            text: text.to_owned(),
        }
        .encode();
        if message.len() > MAX_MESSAGE {
            let length = message.len();
            let notice =
                format!("not sent: {length} bytes, at most {MAX_MESSAGE} go into a message\n");
            output.insert(notice.as_bytes());
        } else if (&*stream).write_all(message.as_bytes()).is_err() {
            // Half a message may be out: nothing can follow it. The receive thread sees the end.
            let _ = stream.shutdown(Shutdown::Both);
        }
    };
    say("\n");
    let mut local = window.output();
    let root = window.output();
    let command = |text: &str| {
        let line = text.trim_end();
        match line.split_once(' ').unwrap_or((line, "")) {
            ("/quit", "") => leave(),
            ("/help", "") => local.insert(HELP.as_bytes()),
            ("/name", new) if !new.trim().is_empty() => {
                new.trim().clone_into(&mut name.borrow_mut());
                root.title(&title(new.trim()));
                say("\n");
            }
            ("/who", "") => say(text),
            (word, _) if word.starts_with('/') => {
                local.insert(format!("no such command: {line} (see /help)\n").as_bytes());
            }
            _ => say(text),
        }
    };
    window.mainloop(command, leave)?;
    // The user may have left without waiting for the server.
    let _ = stream.shutdown(Shutdown::Both);
    let received = receiver.join().expect("the receive thread does not panic");
    if closing.get() {
        return received;
    }
    let reason = "the server closed the connection";
    received.and(Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason)))
}

fn title(name: &str) -> String {
    format!("Rust聊天群 ({name})")
}

/// The tutorial's `ReceiveThread`: inserts what comes into the window, then destroys it.
fn receive(mut stream: &TcpStream, mut output: Output) -> io::Result<()> {
    let mut chunk = [0; CHUNK];
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
