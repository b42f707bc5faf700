//! How fast is the group chat? This benchmark starts the server with each engine and connects
//! members. Some of them send lines, and it measures how fast the lines arrive.
//!
//! ```text
//! cargo bench -p stage5-group                          all loads, about a minute and a half
//! cargo bench -p stage5-group -- --quick               a few seconds: does everything arrive?
//! cargo bench -p stage5-group -- --members 8000        another number of members
//! cargo bench -p stage5-group -- --peer HOST:PORT      also measures a server that already runs
//! ```
//!
//! There are two loads. With one line in flight, the sender sends its next line when every member
//! has received the one before. So the delivery time is that of the last member. With many lines in
//! flight, each sender has a thread, which measures the time until its own lines come back. One
//! more thread reads for all the other members. The run fails if a member does not receive every
//! line.

mod measure;

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use measure::{Options, Server, TIMEOUT, figure, percentile, table};

/// The most bytes that one `read` takes. A socket's buffer rarely holds more.
const READ_SIZE: usize = 64 * 1024;

/// The pause between two passes over the members that only receive. It is long enough to leave the
/// processor to the other threads, and short enough that no socket's buffer fills.
const RECEIVE_PAUSE: Duration = Duration::from_millis(1);

/// How long a member may take to receive a line of one round. After that the senders begin another
/// round.
const ROUND_TIMEOUT: Duration = Duration::from_millis(200);

/// How many lines a sender may be ahead of the slowest member. A server disconnects a member that
/// does not read. Without this limit, it could disconnect a member that gets too little processor
/// time from this machine.
const MAX_AHEAD: u64 = 20_000;

/// How many members there are, and how much they send.
#[derive(Clone, Copy)]
struct Load {
    members: usize,
    senders: usize,
    /// The most lines of one sender that have been sent and have not come back yet.
    in_flight: usize,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq)]
enum Subject<'a> {
    /// A simple program for comparison. It copies the same bytes to the same number of sockets.
    Bare,
    Engine(&'static str),
    Peer(&'a str),
}

/// One row of the table.
struct Outcome {
    deliveries: f64,
    seconds: f64,
    /// How long each line took, sorted.
    times: Vec<Duration>,
    cpu: Option<f64>,
    idle: Option<f64>,
    resident: Option<f64>,
    empty: Option<f64>,
    threads: Option<f64>,
}

fn main() -> ExitCode {
    let result = Options::parse().and_then(|options| match options.rest.as_slice() {
        [] => compare(&options),
        [bare, load @ ..] if bare == "--bare" => serve_bare(load),
        [word, ..] => Err(io::Error::other(format!("unknown argument: {word}"))),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every load against every server, and prints the table.
fn compare(options: &Options) -> io::Result<()> {
    let time = Duration::from_millis(if options.quick { 100 } else { 2_000 });
    let mut subjects = vec![
        Subject::Bare,
        Subject::Engine("threads"),
        Subject::Engine("polling"),
    ];
    let mut sizes = vec![10, 100, 1_000];
    let mut loads = vec![(1, 1), (10, 50)];
    if let Some(address) = &options.peer {
        // The tutorial's server treats what one `recv` returns as one message, so it can receive
        // only one line at a time.
        subjects.push(Subject::Peer(address));
        sizes.truncate(2);
        loads.truncate(1);
    }
    if let Some(members) = options.members {
        sizes = vec![members];
    }
    let head = "server, members, senders, in flight, M deliveries/s, rate of bare, p50 µs, p50 of bare, \
                p99 µs, CPU µs/delivery, idle CPU %, resident MB, KB/member, threads";
    let mut rows = vec![head.split(", ").map(str::to_owned).collect()];
    for members in sizes {
        for &(senders, in_flight) in &loads {
            let load = Load {
                members,
                senders: senders.min(members),
                in_flight,
            };
            let mut bare = None;
            for &subject in &subjects {
                eprintln!(
                    "{}: {members} members, {} sending, {in_flight} in flight ...",
                    subject.name(),
                    load.senders
                );
                let outcome = subject.measure(load, time)?;
                let bare = bare.get_or_insert((outcome.rate(), outcome.median()));
                rows.push(outcome.row(&subject.name(), load, *bare));
            }
        }
    }
    println!("\n{}", table(&rows));
    println!(
        "Every member has received every line. A line has {} bytes.",
        line("s0", 0).len()
    );
    Ok(())
}

impl Subject<'_> {
    fn name(self) -> String {
        match self {
            Self::Bare => "bare writes".to_owned(),
            Self::Engine(name) => name.to_owned(),
            Self::Peer(address) => format!("peer {address}"),
        }
    }

    fn start(self, load: Load) -> io::Result<Server> {
        match self {
            Self::Bare => {
                let load = [load.members, load.senders].map(|number| number.to_string());
                Server::start(Command::new(env::current_exe()?).arg("--bare").args(load))
            }
            Self::Engine(name) => {
                let binary = env!("CARGO_BIN_EXE_stage5-group");
                let arguments = ["server", "127.0.0.1:0", "--engine", name];
                Server::start(Command::new(binary).args(arguments))
            }
            Self::Peer(address) => Ok(Server::running_at(address)),
        }
    }

    /// Starts the server, connects the members, measures the idle server, and then runs the load.
    fn measure(self, load: Load, time: Duration) -> io::Result<Outcome> {
        let server = self.start(load)?;
        let empty = server.resident();
        let members = wait_until_all_joined(server.connect(load.members)?, load.senders)?;
        let mut members: Vec<Member> = members.into_iter().map(Member::new).collect();
        // The bare writes may poll without a pause, so an idle cost would mean nothing.
        let idle = match self {
            Self::Bare => None,
            _ => server.idle_cpu(time / 2),
        };
        let before = server.cpu();
        let start = Instant::now();
        let mut times = match load.in_flight {
            1 => send_one_at_a_time(&mut members, time)?,
            _ => send_and_receive(&mut members, load, time)?,
        };
        let seconds = start.elapsed().as_secs_f64();
        let cpu = server
            .cpu()
            .zip(before)
            .map(|(after, before)| after - before);
        times.sort_unstable();
        Ok(Outcome {
            deliveries: times.len() as f64 * load.members as f64,
            seconds,
            times,
            cpu,
            idle,
            resident: server.resident(),
            empty,
            threads: server.threads(),
        })
    }
}

impl Outcome {
    /// Deliveries per second, in millions.
    fn rate(&self) -> f64 {
        self.deliveries / self.seconds / 1e6
    }

    fn median(&self) -> f64 {
        percentile(&self.times, 50)
    }

    fn row(&self, name: &str, load: Load, bare: (f64, f64)) -> Vec<String> {
        let per_member = self.resident.zip(self.empty);
        let per_member = per_member.map(|(now, empty)| (now - empty) / load.members as f64);
        vec![
            name.to_owned(),
            load.members.to_string(),
            load.senders.to_string(),
            load.in_flight.to_string(),
            figure(Some(self.rate()), 2),
            figure(Some(self.rate() / bare.0 * 100.0), 0) + " %",
            figure(Some(self.median()), 0),
            figure(Some(self.median() / bare.1), 2) + " ×",
            figure(Some(percentile(&self.times, 99)), 0),
            figure(self.cpu.map(|cpu| cpu / self.deliveries * 1e6), 3),
            figure(self.idle, 1),
            figure(self.resident.map(|resident| resident / 1024.0), 1),
            figure(per_member, 1),
            figure(self.threads, 0),
        ]
    }
}

/// The message that a sender sends. It has exactly as many bytes as the line that a server makes of
/// it, `[2019-03-21 17:30:00]s0: s0 says 00000000`. So the bare writes send as many bytes as a
/// server.
fn line(name: &str, number: u64) -> String {
    format!(
        "{{\"name\":\"{name}\", \"msg\":\"{}\\n\"}}\n",
        text(name, number)
    )
}

fn text(name: &str, number: u64) -> String {
    format!("{name} says {number:08}")
}

fn name(sender: usize) -> String {
    format!("s{sender}")
}

/// Waits until every member has joined. In each round every sender sends a line. The rounds end
/// when all members have received the lines of the same round. Then all members have been accepted,
/// all senders have their names, and only chat lines will follow.
fn wait_until_all_joined(members: Vec<TcpStream>, senders: usize) -> io::Result<Vec<TcpStream>> {
    let mut members: Vec<_> = members
        .into_iter()
        .map(|stream| BufReader::with_capacity(1024, stream))
        .collect();
    let start = Instant::now();
    for round in 1.. {
        for (sender, member) in members[..senders].iter_mut().enumerate() {
            let line = line(&name(sender), round);
            member.get_mut().write_all(line.as_bytes())?;
        }
        let mut all_received = true;
        for member in &mut members {
            all_received &= receives_round(member, round, senders)?;
            if !all_received {
                break;
            }
        }
        if all_received {
            break;
        }
        if start.elapsed() > TIMEOUT {
            return Err(io::Error::other("some members could not join"));
        }
    }
    // The buffers are empty, because the last line of this round is the last line that was sent.
    Ok(members.into_iter().map(BufReader::into_inner).collect())
}

/// Whether this member receives the lines of all senders in this round.
fn receives_round(
    member: &mut BufReader<TcpStream>,
    round: u64,
    senders: usize,
) -> io::Result<bool> {
    let expected = format!("says {round:08}");
    member.get_ref().set_read_timeout(Some(ROUND_TIMEOUT))?;
    let mut received = 0;
    while received < senders {
        let mut line = String::new();
        match member.read_line(&mut line) {
            Ok(0) => return Err(io::Error::other("the server has closed a connection")),
            Ok(_) => received += usize::from(line.contains(&expected)),
            Err(error) if is_not_ready(&error) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    member.get_ref().set_read_timeout(Some(TIMEOUT))?;
    Ok(true)
}

fn is_not_ready(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// One member sends one line at a time. Every member must have received it before the next one is
/// sent. Returns how long each line took.
fn send_one_at_a_time(members: &mut [Member], time: Duration) -> io::Result<Vec<Duration>> {
    let mut buffer = [0; READ_SIZE];
    let mut times = Vec::new();
    let mut sent = 0;
    let end = Instant::now() + time;
    while sent == 0 || Instant::now() < end {
        let line = line(&name(0), sent);
        sent += 1;
        let start = Instant::now();
        members[0].stream.write_all(line.as_bytes())?;
        // The last member comes first here. The server mostly writes to that member last. So this
        // thread mostly waits once, and not for every member.
        for member in members.iter_mut().rev() {
            while member.lines < sent {
                member.wait(&mut buffer)?;
            }
            member.check(sent)?;
        }
        times.push(start.elapsed());
    }
    Ok(times)
}

/// The senders send until the time is over. Then every member reads until it has received every
/// line. Returns how long each line took to come back to its sender.
fn send_and_receive(
    members: &mut [Member],
    load: Load,
    time: Duration,
) -> io::Result<Vec<Duration>> {
    let (senders, receivers) = members.split_at_mut(load.senders);
    for receiver in &*receivers {
        receiver.stream.set_nonblocking(true)?;
    }
    // The number of lines is known when the last sender has finished.
    let sent = AtomicU64::new(u64::MAX);
    let end = Instant::now() + time;
    let progress: Vec<_> = (0..=senders.len()).map(|_| AtomicU64::new(0)).collect();
    let (receiver_progress, progress) = (&progress[senders.len()], progress.as_slice());
    let times = thread::scope(|scope| {
        let receiving = scope.spawn(|| receive_lines(receivers, &sent, receiver_progress));
        let sending: Vec<_> = senders
            .iter_mut()
            .enumerate()
            .map(|(sender, member)| {
                scope.spawn(move || {
                    let times = send_lines(member, sender, load.in_flight, end, progress);
                    progress[sender].store(u64::MAX, Ordering::Relaxed);
                    times
                })
            })
            .collect();
        let results = sending
            .into_iter()
            .map(|sender| sender.join().expect("does not panic"));
        let times = results
            .collect::<io::Result<Vec<_>>>()
            .map(|times| times.concat());
        // If a sender has failed, 0 makes the receiving thread end, too.
        sent.store(
            times.as_ref().map_or(0, |times| times.len() as u64),
            Ordering::Relaxed,
        );
        let received = receiving.join().expect("does not panic");
        times.and_then(|times| received.map(|()| times))
    })?;
    for sender in &*senders {
        sender.stream.set_nonblocking(true)?;
    }
    receive_lines(senders, &sent, receiver_progress)?;
    Ok(times)
}

/// One connection, and how many lines it has received.
struct Member {
    stream: TcpStream,
    lines: u64,
}

impl Member {
    fn new(stream: TcpStream) -> Self {
        Self { stream, lines: 0 }
    }

    /// Reads once, and counts the lines. Returns the bytes.
    fn read<'a>(&mut self, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        match self.stream.read(buffer)? {
            0 => Err(io::Error::other("the server has closed a connection")),
            length => {
                let bytes = &buffer[..length];
                self.lines += newlines(bytes);
                Ok(bytes)
            }
        }
    }

    /// Like `read`, but fails if no bytes arrive in time.
    fn wait<'a>(&mut self, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        self.read(buffer)
            .map_err(|error| match is_not_ready(&error) {
                true => io::Error::other(format!("no line has arrived within {TIMEOUT:?}")),
                false => error,
            })
    }

    /// Fails if the member has received more lines than were sent.
    fn check(&self, sent: u64) -> io::Result<()> {
        match self.lines {
            lines if lines > sent => Err(io::Error::other(format!(
                "{lines} lines arrived, but only {sent} were sent"
            ))),
            _ => Ok(()),
        }
    }
}

/// Counts the newlines. The benchmark spends most of its own time here. So it counts in `u8`,
/// because the processor adds many of them at once. 255 bytes cannot overflow a `u8`.
fn newlines(bytes: &[u8]) -> u64 {
    let blocks = bytes.chunks(255);
    let counts = blocks.map(|block| {
        block
            .iter()
            .map(|&byte| u8::from(byte == b'\n'))
            .sum::<u8>()
    });
    counts.map(u64::from).sum()
}

/// Sends lines until the time is over, with at most `in_flight` lines in flight. Returns how long
/// each line took to come back.
fn send_lines(
    member: &mut Member,
    sender: usize,
    in_flight: usize,
    until: Instant,
    progress: &[AtomicU64],
) -> io::Result<Vec<Duration>> {
    let mut buffer = vec![0; READ_SIZE];
    let mut partial = Vec::new();
    let mut sent_at = VecDeque::new();
    let mut times = Vec::new();
    let mut number = 0;
    let name = name(sender);
    let mut awaited = text(&name, 0);
    loop {
        progress[sender].store(member.lines, Ordering::Relaxed);
        let slowest = || {
            progress
                .iter()
                .map(|lines| lines.load(Ordering::Relaxed))
                .min()
        };
        while slowest().is_some_and(|slowest| member.lines > slowest.saturating_add(MAX_AHEAD)) {
            thread::sleep(RECEIVE_PAUSE);
        }
        let now = Instant::now();
        if now < until {
            let mut lines = String::new();
            while sent_at.len() < in_flight {
                lines += &line(&name, number);
                number += 1;
                sent_at.push_back(now);
            }
            member.stream.write_all(lines.as_bytes())?;
        } else if sent_at.is_empty() {
            return Ok(times);
        }
        let bytes = member.wait(&mut buffer)?;
        let now = Instant::now();
        partial.extend_from_slice(bytes);
        let complete = complete_lines(&partial);
        for line in partial[..complete].split(|&byte| byte == b'\n') {
            if contains(line, awaited.as_bytes()) {
                let sent_at = sent_at.pop_front().expect("the awaited line has been sent");
                times.push(now - sent_at);
                awaited = text(&name, times.len() as u64);
            }
        }
        partial.drain(..complete);
    }
}

/// How many of these bytes belong to complete lines.
fn complete_lines(bytes: &[u8]) -> usize {
    let end = bytes.iter().rposition(|&byte| byte == b'\n');
    end.map_or(0, |end| end + 1)
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|window| window == part)
}

/// Reads for these members until each has received as many lines as were sent. Stores in `progress`
/// how many lines the slowest one has received.
fn receive_lines(members: &mut [Member], sent: &AtomicU64, progress: &AtomicU64) -> io::Result<()> {
    let mut buffer = [0; READ_SIZE];
    let mut last = Instant::now();
    loop {
        let sent = sent.load(Ordering::Relaxed);
        let mut missing = 0;
        let mut slowest = u64::MAX;
        for member in &mut *members {
            match member.read(&mut buffer) {
                Ok(_) => last = Instant::now(),
                Err(error) if is_not_ready(&error) => {}
                Err(error) => return Err(error),
            }
            member.check(sent)?;
            missing += usize::from(member.lines < sent);
            slowest = slowest.min(member.lines);
        }
        progress.store(slowest, Ordering::Relaxed);
        if missing == 0 {
            return Ok(());
        }
        if sent < u64::MAX && last.elapsed() > TIMEOUT {
            return Err(io::Error::other(format!(
                "{missing} members have not received every line"
            )));
        }
        thread::sleep(RECEIVE_PAUSE);
    }
}

/// The server for comparison. One thread copies the bytes of each sender to every socket. It has no
/// room, decodes nothing, reads only from the senders, and ends when one of them closes.
fn serve_bare(load: &[String]) -> io::Result<()> {
    let number = |index: usize| load.get(index).and_then(|word| word.parse().ok());
    let (Some(members), Some(senders)) = (number(0), number(1)) else {
        return Err(io::Error::other("usage: --bare MEMBERS SENDERS"));
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening on {}", listener.local_addr()?);
    let mut sockets: Vec<TcpStream> = Vec::new();
    while sockets.len() < members {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        // With one sender the thread can wait in `read`. Several senders must be tried in turn.
        stream.set_nonblocking(senders > 1)?;
        sockets.push(stream);
    }
    let mut buffer = vec![0; READ_SIZE];
    let mut batch = Vec::new();
    let mut partial = vec![Vec::new(); senders];
    loop {
        for (mut socket, partial) in sockets.iter().zip(&mut partial) {
            match socket.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => partial.extend_from_slice(&buffer[..length]),
                Err(error) if is_not_ready(&error) => {}
                Err(error) => return Err(error),
            }
            let complete = complete_lines(partial);
            batch.extend(partial.drain(..complete));
        }
        if batch.is_empty() {
            thread::yield_now();
        }
        for mut socket in &sockets {
            let mut rest = batch.as_slice();
            while !rest.is_empty() {
                match socket.write(rest) {
                    Ok(length) => rest = &rest[length..],
                    Err(error) if is_not_ready(&error) => thread::yield_now(),
                    Err(error) => return Err(error),
                }
            }
        }
        batch.clear();
    }
}
