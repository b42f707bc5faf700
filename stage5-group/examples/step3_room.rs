//! Chapter 5, step 3: the server decides what the members see.
//!
//! One change to step 2. The `Room` gives each member a name that no other member has, announces
//! joins and leaves, and writes every line itself. So no text can look like a line of another
//! member. The room returns lines for everyone and lines for one member. The server still writes
//! these lines to one member after the other, and the list stays locked meanwhile.
//!
//! What still goes wrong, and the row of `attack` that shows it:
//! - A member that does not read stops everyone: `deaf`.
//!
//! Run it: `cargo run -p stage5-group --example step3_room -- [HOST:PORT]`

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
use stage5_group::server::room::Room;

/// The wait after a failed `accept`. The table of open files does not empty faster than that.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What all threads share. A thread that uses it locks it first.
struct Group {
    clock: Clock,
    room: Room,
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
        room: Room::new(),
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
    lock().room.join(id);
    let mut decoder = Decoder::new();
    let mut chunk = [0; 1024];
    while !decoder.is_closed()
        && let Ok(length @ 1..) = stream.as_ref().read(&mut chunk)
    {
        for message in decoder.push(&chunk[..length]) {
            lock().hear(id, message);
        }
    }
    lock().leave(id);
}

impl Group {
    /// Lets the room decide what a message means.
    fn hear(&mut self, id: u64, message: Result<Message, Refusal>) {
        self.room.set_time(stamp(&self.clock.now()));
        self.room.hear(id, message);
        self.deliver();
    }

    fn leave(&mut self, id: u64) {
        self.members.remove(&id);
        self.room.set_time(stamp(&self.clock.now()));
        self.room.leave(id);
        self.deliver();
    }

    /// Writes what the room says to everyone in turn.
    fn deliver(&mut self) {
        let output = self.room.take_output();
        for stream in self.members.values() {
            // If a member is gone, its own thread removes it from the list.
            let _ = stream.as_ref().write_all(&output.everyone);
        }
        for (id, line) in output.one {
            if let Some(stream) = self.members.get(&id) {
                let _ = stream.as_ref().write_all(&line);
            }
        }
    }
}
