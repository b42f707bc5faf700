//! Chapter 5, step 1: the group chat server that everyone writes first.
//!
//! A thread for each member, one locked list of all members, and three rules: one `read` returns
//! one message, a message is written to everyone in turn, and the list stays locked meanwhile.
//! The tutorial's server (§5.4) follows the first two. It has one thread, and needs no lock.
//!
//! What still goes wrong, and the rows of `attack` that show it:
//! - TCP may split and join messages, so one `read` is not one message: `split`, `glued`, `long`.
//! - A message may be endless: `endless`.
//! - The sender chooses every character that the others see: `forge`, `steal`, `escapes`.
//! - The first `accept` that fails ends the server: `full`.
//! - A member that does not read stops everyone: `deaf`.
//!
//! Run it: `cargo run -p stage5-group --example step1_naive -- [HOST:PORT]`

use std::collections::HashMap;
use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;

use stage5_group::clock::Clock;
use stage5_group::message::{Message, Refusal};
use stage5_group::server::group::stamp;

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
        let stream = Arc::new(stream?);
        let group = Arc::clone(&group);
        thread::spawn(move || serve(id, &stream, &group));
    }
    Ok(())
}

/// Serves one member, from its first byte to its end of file.
fn serve(id: u64, stream: &Arc<TcpStream>, group: &Mutex<Group>) {
    let lock = || group.lock().expect("no thread panics holding the lock");
    lock().members.insert(id, Arc::clone(stream));
    let mut chunk = [0; 1024];
    while let Ok(length @ 1..) = stream.as_ref().read(&mut chunk) {
        lock().hear(Message::decode(&chunk[..length]).map_err(Refusal::Malformed));
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
