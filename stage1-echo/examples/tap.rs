//! Shows the bytes that pass between a client and a server of any chapter. Start a server, then
//! `cargo run -p stage1-echo --example tap`, then a client that connects to 127.0.0.1:4000.
//!
//! Each line is one `read`, with the seconds since the first connection. A reset is passed on as a
//! reset if bytes from the other side are still unread. Otherwise it is passed on as an end of
//! file, and its line says so. std has no function that resets a connection.

use std::io::{self, ErrorKind::ConnectionReset, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{env, thread};

const USAGE: &str = "usage: tap [LISTEN [SERVER]]\n\
    accepts clients at LISTEN (127.0.0.1:4000), and connects each to SERVER (127.0.0.1:3000)\n";

/// The most bytes that one `read` takes. `tap` never holds more than these in each direction.
const CHUNK: usize = 16 * 1024;

/// A longer chunk is shortened to its first and last `PART` bytes.
const WHOLE: usize = 96;
const PART: usize = 28;

fn main() -> ExitCode {
    let args = env::args_os().skip(1);
    let args: Vec<String> = args.map(|arg| arg.to_string_lossy().into()).collect();
    if args.len() > 2 || !args.iter().all(|arg| arg.contains(':')) {
        let _ = io::stderr().write_all(USAGE.as_bytes());
        return ExitCode::from(2);
    }
    let address = |at, default| args.get(at).map_or(default, String::as_str);
    let (listen, server) = (address(0, "127.0.0.1:4000"), address(1, "127.0.0.1:3000"));
    if let Err(error) = TcpListener::bind(listen).and_then(|listener| run(&listener, server)) {
        let _ = writeln!(io::stderr(), "tap: cannot listen on {listen}: {error}");
    }
    ExitCode::FAILURE
}

/// Accepts clients forever.
fn run(listener: &TcpListener, server: &str) -> io::Result<()> {
    let here = listener.local_addr()?;
    let _ = writeln!(io::stdout(), "listening on {here}, passing on to {server}");
    let (mut number, mut start) = (0, None);
    loop {
        let accepted = listener.accept().and_then(|(client, peer)| {
            number += 1;
            let start = *start.get_or_insert_with(Instant::now);
            let say = move |text: &str| {
                let seconds = start.elapsed().as_secs_f64();
                // `println!` would panic when standard output is closed.
                let _ = writeln!(io::stdout(), "#{number:<2}{seconds:>7.3} s  {text}");
            };
            say(&format!("connected from {peer}"));
            let server = server.to_owned();
            thread::Builder::new().spawn(move || connect(&client, &server, say))
        });
        if let Err(error) = accepted {
            let _ = writeln!(io::stdout(), "cannot accept: {error}");
            // The cause, such as too many open files, does not end at once.
            thread::sleep(Duration::from_secs(1));
        }
    }
}

/// Connects to the server, and passes on bytes until both directions have ended.
fn connect(client: &TcpStream, address: &str, say: impl Fn(&str) + Sync) {
    let (up, down) = (Mutex::new(false), Mutex::new(false));
    let result = TcpStream::connect(address).and_then(|server| {
        // A small chunk is passed on at once: the kernel must not wait for more bytes.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let say_up = |text: &str| say(&format!("client -> server {text}"));
        let say_down = |text: &str| say(&format!("server -> client {text}"));
        thread::scope(|scope| {
            let upward = || pass_on([client, &server], [&up, &down], say_up);
            thread::Builder::new().spawn_scoped(scope, upward)?;
            pass_on([&server, client], [&down, &up], say_down);
            Ok(())
        })
    });
    if let Err(error) = result {
        say(&format!("no connection to {address}: {error}"));
    }
}

/// Passes on the bytes of one direction until it ends. Nothing is read during a `write`, so a slow
/// receiver slows down the sender. Each direction has a lock, which is held during its `write`. Its
/// value is true if a `write` has failed.
fn pass_on(
    [mut from, mut to]: [&TcpStream; 2],
    [this, opposite]: [&Mutex<bool>; 2],
    say: impl Fn(&str),
) {
    let failed = |direction: &Mutex<bool>| *direction.lock().expect("no thread panics");
    let mut chunk = vec![0; CHUNK];
    let error = loop {
        match from.read(&mut chunk) {
            // The kernel reports a reset once. If the other direction's `write` got the report,
            // `read` returns 0, but the socket has no peer any more.
            Ok(0) if from.peer_addr().is_err() && failed(opposite) => break Some(ConnectionReset),
            Ok(0) => break None,
            Err(error) => break Some(error.kind()),
            Ok(length) => {
                say(&show(&chunk[..length]));
                let mut failed = this.lock().expect("no thread panics");
                if let Err(error) = to.write_all(&chunk[..length]) {
                    *failed = true;
                    return say(&format!(" not delivered: {error}"));
                }
            }
        }
    };
    match error {
        // Both sockets are closed now. Closing a socket with unread bytes resets its connection.
        Some(error) if failed(opposite) => return say(&format!(" {error}")),
        Some(error) => say(&format!(" {error}, passed on as end of file")),
        None => say(" end of file"),
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// The length of a chunk, and its text.
fn show(bytes: &[u8]) -> String {
    let length = bytes.len();
    let unit = if length == 1 { "byte " } else { "bytes" };
    if length <= WHOLE {
        return format!("{length:>3} {unit}  \"{}\"", escape(bytes));
    }
    // The text is never cut within a character: that would look like the end of a `read`.
    let is_start = |at: &usize| bytes[*at] & 0b1100_0000 != 0b1000_0000;
    let cut = |at: usize| (at..at + 4).find(is_start).unwrap_or(at);
    let (head, tail) = (&bytes[..cut(PART)], &bytes[cut(length - PART)..]);
    format!(
        "{length} {unit}  \"{}\" ... \"{}\"",
        escape(head),
        escape(tail)
    )
}

/// Keeps printable characters, and writes others in the form `\n` or `\u{1b}`. A byte that is not
/// part of a whole UTF-8 character has the form `\xe4`.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for part in bytes.utf8_chunks() {
        for c in part.valid().chars() {
            match c {
                '"' | '\'' => text.push(c),
                _ => text.extend(c.escape_debug()),
            }
        }
        text += &part.invalid().escape_ascii().to_string();
    }
    text
}
