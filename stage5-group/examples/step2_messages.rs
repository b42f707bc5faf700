//! Chapter 5, step 2: messages have an end, and the server continues when `accept` fails.
//!
//! Two changes to step 1. First, each member has a `Decoder`. The decoder finds where messages end,
//! however TCP has split and joined them, and refuses a message that is too long. Second, a failed
//! `accept`, for example because the table of open files is full, no longer ends the server. The
//! server waits a moment and tries again. Without the wait it would use a whole processor until a
//! member leaves.
//!
//! What still goes wrong, and the rows of `attack` that show it:
//! - The sender chooses every character that the others see: `forge`, `steal`, `escapes`.
//! - A member that does not read stops everyone: `deaf`.
//!
//! Run it: `cargo run -p stage5-group --example step2_messages -- [HOST:PORT]`

use std::collections::HashMap;
use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use stage5_group::clock::Clock;
use stage5_group::message::{Decoder, Message, Refusal};
use stage5_group::server::group::stamp;

/// The wait after a failed `accept`. The table of open files does not empty faster than that.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What all threads share. A thread that uses it locks it first.
struct Group {
    clock: Clock,
    members: HashMap<u64, Arc<TcpStream>>,
}

fn main() -> ExitCode {
    let address = env::args().nth(1);
    match run(address.as_deref().unwrap_or("127.0.0.1:3000")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the server ended: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts a thread for each connection.
fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let group = Arc::new(Mutex::new(Group {
        clock: Clock::new(),
        members: HashMap::new(),
    }));
    for (id, stream) in (1..).zip(listener.incoming()) {
        let stream = match stream {
            Ok(stream) => Arc::new(stream),
            Err(error) => {
                eprintln!("cannot accept: {error}");
                thread::sleep(ACCEPT_PAUSE);
                continue;
            }
        };
        let group = Arc::clone(&group);
        thread::spawn(move || serve(id, &stream, &group));
    }
    Ok(())
}

/// Serves one member, from its first byte to its end of file.
fn serve(id: u64, stream: &Arc<TcpStream>, group: &Mutex<Group>) {
    let lock = || group.lock().expect("no thread panics holding the lock");
    lock().members.insert(id, Arc::clone(stream));
    let mut decoder = Decoder::new();
    let mut chunk = [0; 1024];
    while !decoder.is_closed()
        && let Ok(length @ 1..) = stream.as_ref().read(&mut chunk)
    {
        for message in decoder.push(&chunk[..length]) {
            lock().hear(message);
        }
    }
    lock().members.remove(&id);
}

impl Group {
    /// Writes what a member says to everyone in turn.
    fn hear(&mut self, message: Result<Message, Refusal>) {
        let message = match message {
            Ok(message) => message,
            Err(refusal) => return eprintln!("{refusal}"),
        };
        let time = stamp(&self.clock.now());
        let line = format!("[{time}]{}: {}", message.name, message.text);
        for stream in self.members.values() {
            // If a member is gone, its own thread removes it from the list.
            let _ = stream.as_ref().write_all(line.as_bytes());
        }
    }
}
