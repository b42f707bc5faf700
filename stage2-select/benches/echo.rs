//! How fast is the echo server? This benchmark starts it and connects clients. Each busy client
//! sends a line, waits for the answer, and then sends the next line.
//!
//! ```text
//! cargo bench -p stage2-select                          all loads, about half a minute
//! cargo bench -p stage2-select -- --quick               a few seconds: is every answer right?
//! cargo bench -p stage2-select -- --members 500         another number of clients
//! cargo bench -p stage2-select -- --peer HOST:PORT      also measures a server that already runs
//! ```
//!
//! All clients run on one thread. It tries each socket in turn, as the server does.

mod measure;

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use measure::{Options, Server, TIMEOUT, figure, percentile, table};

/// The line that every client sends.
const LINE: &[u8] = b"How fast is the echo?\n";

/// The length of the stamp before each answer, for example `[Thu Mar 21 12:55:05 2019] `.
const STAMP: usize = 27;

fn main() -> ExitCode {
    match Options::parse().and_then(|options| compare(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every load, then measures the idle server. Prints one table for each.
fn compare(options: &Options) -> io::Result<()> {
    if let Some(word) = options.rest.first() {
        return Err(io::Error::other(format!("unknown argument: {word}")));
    }
    let time = Duration::from_millis(if options.quick { 100 } else { 2_000 });
    let mut loads = vec![(1, 1), (100, 100), (900, 900), (900, 1)];
    let mut idle_counts = vec![0, 1, 100, 1_000];
    if let Some(clients) = options.members {
        loads = vec![(clients, clients), (clients, 1)];
        idle_counts = vec![clients];
    }
    let head = "server, clients, busy, echoes/s, p50 µs, p99 µs, CPU µs/echo";
    let mut rows = vec![head.split(", ").map(str::to_owned).collect()];
    for (clients, busy) in loads {
        let mut subjects = vec![("stage2-select", start()?)];
        if let Some(address) = &options.peer {
            subjects.push(("peer", Server::running_at(address)));
        }
        for (name, server) in subjects {
            eprintln!("{name}: {clients} clients, {busy} busy ...");
            let mut sockets = server.connect(clients)?;
            // Every client is accepted now. The idle ones stay idle for a while.
            echo(&mut sockets, Duration::ZERO)?;
            thread::sleep(time / 4);
            let before = server.cpu();
            let start = Instant::now();
            let mut times = echo(&mut sockets[..busy], time)?;
            let seconds = start.elapsed().as_secs_f64();
            times.sort_unstable();
            let cpu = server
                .cpu()
                .zip(before)
                .map(|(after, before)| after - before);
            let echoes = times.len() as f64;
            rows.push(vec![
                name.to_owned(),
                clients.to_string(),
                busy.to_string(),
                figure(Some(echoes / seconds), 0),
                figure(Some(percentile(&times, 50)), 0),
                figure(Some(percentile(&times, 99)), 0),
                figure(cpu.map(|cpu| cpu / echoes * 1e6), 1),
            ]);
        }
    }
    let head = ["idle connections", "idle CPU %", "resident MB", "threads"];
    let mut rest = vec![head.map(str::to_owned).to_vec()];
    for idle in idle_counts {
        eprintln!("stage2-select: {idle} connections, all idle ...");
        let server = start()?;
        let mut sockets = server.connect(idle)?;
        echo(&mut sockets, Duration::ZERO)?;
        rest.push(vec![
            idle.to_string(),
            figure(server.idle_cpu(time), 2),
            figure(server.resident().map(|resident| resident / 1024.0), 1),
            figure(server.threads(), 0),
        ]);
    }
    println!("\n{}\n{}", table(&rows), table(&rest));
    println!("Every answer was right. A line has {} bytes.", LINE.len());
    Ok(())
}

fn start() -> io::Result<Server> {
    let binary = env!("CARGO_BIN_EXE_stage2-select");
    Server::start(Command::new(binary).args(["server", "127.0.0.1:0"]))
}

/// Every client sends a line, waits for the answer, and repeats this until the time is over. Each
/// sends at least one line. Returns how long the answers took.
fn echo(sockets: &mut [TcpStream], time: Duration) -> io::Result<Vec<Duration>> {
    let mut clients = Vec::new();
    for stream in sockets {
        stream.set_nonblocking(true)?;
        stream.write_all(LINE)?;
        let (answer, sent_at) = (Vec::new(), Some(Instant::now()));
        clients.push(Client {
            stream,
            answer,
            sent_at,
        });
    }
    let end = Instant::now() + time;
    let mut times = Vec::new();
    let mut last_answer = Instant::now();
    loop {
        let mut answered = 0;
        let mut waiting = 0;
        for client in &mut clients {
            if let Some(time) = client.advance(Instant::now() < end)? {
                times.push(time);
                answered += 1;
            }
            waiting += usize::from(client.sent_at.is_some());
        }
        if waiting == 0 {
            return Ok(times);
        }
        if answered > 0 {
            last_answer = Instant::now();
        } else if last_answer.elapsed() > TIMEOUT {
            return Err(io::Error::other(format!(
                "{waiting} clients receive no answer"
            )));
        } else {
            thread::yield_now();
        }
    }
}

/// One connection.
struct Client<'a> {
    stream: &'a mut TcpStream,
    /// The part of the answer that has arrived.
    answer: Vec<u8>,
    /// When the line was sent. `None` if no answer is expected.
    sent_at: Option<Instant>,
}

impl Client<'_> {
    /// Reads the bytes that have arrived. If the answer is complete, checks it, sends the next line
    /// (if `another` is true), and returns how long the answer took.
    fn advance(&mut self, another: bool) -> io::Result<Option<Duration>> {
        let Some(sent_at) = self.sent_at else {
            return Ok(None);
        };
        let mut buffer = [0; 256];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err(io::Error::other("the server has closed a connection")),
            Ok(length) => self.answer.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        if self.answer.len() < STAMP + LINE.len() {
            return Ok(None);
        }
        if self.answer[STAMP..] != *LINE {
            let answer = String::from_utf8_lossy(&self.answer);
            return Err(io::Error::other(format!("a wrong answer: {answer:?}")));
        }
        let took = sent_at.elapsed();
        self.answer.clear();
        self.sent_at = None;
        if another {
            self.stream.write_all(LINE)?;
            self.sent_at = Some(sent_at + took);
        }
        Ok(Some(took))
    }
}
