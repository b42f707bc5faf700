//! How fast is the group? Starts the server with each engine, fills it with members, lets some of
//! them talk, and weighs what arrives.
//!
//! ```text
//! cargo bench -p stage5-group                          all loads, about a minute and a half
//! cargo bench -p stage5-group -- --quick               a few seconds: does everything arrive?
//! cargo bench -p stage5-group -- --members 8000        another number of members
//! cargo bench -p stage5-group -- --peer HOST:PORT      beside a server that already runs
//! ```
//!
//! There are two loads. With one line in flight, the sender says the next when everybody has the
//! one before: the delivery time is that of the last member. With many, each sender has a thread
//! that takes the time until its lines have come round, and one more thread reads for all the other
//! members. Nobody is believed: the run fails unless every member has got every line.

mod measure;

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use measure::{Options, PATIENCE, Server, figure, percentile, table};

/// What one `read` takes at the most: a socket's buffer rarely holds more.
const READ: usize = 64 * 1024;

/// How often the members who only listen are read, at the most. Seldom, so that this thread leaves
/// the processor to the others; often enough that no socket ever fills.
const LISTEN_EVERY: Duration = Duration::from_millis(1);

/// How long a member may take to hear a line of the roll before there is another round.
const ROLL: Duration = Duration::from_millis(200);

/// How far the senders may get ahead of the slowest member, in lines. A server drops those who do
/// not read, and it is not to blame if this process gets no processor.
const AHEAD: u64 = 20_000;

/// Who talks how much.
#[derive(Clone, Copy)]
struct Load {
    members: usize,
    senders: usize,
    /// How many lines of one sender are on their way at the same time.
    in_flight: usize,
}

/// Who is measured.
#[derive(Clone, Copy, PartialEq)]
enum Subject<'a> {
    /// The limit: the same bytes straight to the same number of sockets.
    Bare,
    Engine(&'static str),
    Peer(&'a str),
}

/// One row of the table.
struct Outcome {
    deliveries: f64,
    seconds: f64,
    /// How long the lines took, in order.
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
        [word, ..] => Err(io::Error::other(format!("what is {word}?"))),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every load against everyone, and prints the table.
fn compare(options: &Options) -> io::Result<()> {
    let time = Duration::from_millis(if options.quick { 100 } else { 2_000 });
    let mut subjects = vec![
        Subject::Bare,
        Subject::Engine("threads"),
        Subject::Engine("polling"),
    ];
    let mut sizes = vec![10, 100, 1_000];
    let mut talks = vec![(1, 1), (10, 50)];
    if let Some(address) = &options.peer {
        // The tutorial's server decodes what one `recv` returns: it takes one line at a time.
        subjects.push(Subject::Peer(address));
        sizes.truncate(2);
        talks.truncate(1);
    }
    if let Some(members) = options.members {
        sizes = vec![members];
    }
    let head = "server, members, senders, in flight, M deliveries/s, rate of bare, p50 µs, p50 of bare, \
                p99 µs, CPU µs/delivery, idle CPU %, resident MB, KB/member, threads";
    let mut rows = vec![head.split(", ").map(str::to_owned).collect()];
    for members in sizes {
        for &(senders, in_flight) in &talks {
            let load = Load {
                members,
                senders: senders.min(members),
                in_flight,
            };
            let mut bare = None;
            for &subject in &subjects {
                eprintln!(
                    "{}: {members} members, {} talking, {in_flight} in flight ...",
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
        "Every member has got every line. Lines are {} bytes long.",
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

    /// Starts the server, fills it, waits until it is quiet, and then puts the load on it.
    fn measure(self, load: Load, time: Duration) -> io::Result<Outcome> {
        let server = self.start(load)?;
        let empty = server.resident();
        let members = call_the_roll(server.connect(load.members)?, load.senders)?;
        let mut members: Vec<Member> = members.into_iter().map(Member::new).collect();
        // The limit is a loop without a nap: what it costs at rest says nothing.
        let idle = match self {
            Self::Bare => None,
            _ => server.idle_cpu(time / 2),
        };
        let before = server.cpu();
        let start = Instant::now();
        let mut times = match load.in_flight {
            1 => take_turns(&mut members, time)?,
            _ => talk_and_listen(&mut members, load, time)?,
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
    /// Deliveries a second, in millions.
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

/// What a sender sends. The name and the text make it as long as the line that comes of it,
/// `[2019-03-21 17:30:00]s0: s0 says 00000000`, so that the bare writes are the same bytes.
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

/// Lets every sender say a line, again and again until everybody has heard the same round: then
/// all have been let in, all senders have their names, and nothing but chat lines will follow.
fn call_the_roll(members: Vec<TcpStream>, senders: usize) -> io::Result<Vec<TcpStream>> {
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
        let mut everybody = true;
        for member in &mut members {
            everybody &= hears(member, round, senders)?;
            if !everybody {
                break;
            }
        }
        if everybody {
            break;
        }
        if start.elapsed() > PATIENCE {
            return Err(io::Error::other("some members are not let in"));
        }
    }
    // Nothing is left in the buffers: the last line of the round was the last that was said.
    Ok(members.into_iter().map(BufReader::into_inner).collect())
}

/// Whether this member hears all the senders of the round.
fn hears(member: &mut BufReader<TcpStream>, round: u64, senders: usize) -> io::Result<bool> {
    let said = format!("says {round:08}");
    member.get_ref().set_read_timeout(Some(ROLL))?;
    let mut heard = 0;
    while heard < senders {
        let mut line = String::new();
        match member.read_line(&mut line) {
            Ok(0) => return Err(io::Error::other("the server has closed a connection")),
            Ok(_) => heard += usize::from(line.contains(&said)),
            Err(error) if is_not_ready(&error) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    member.get_ref().set_read_timeout(Some(PATIENCE))?;
    Ok(true)
}

fn is_not_ready(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// One member talks, a line at a time, and everybody must have it before the next; returns how long
/// each line took.
fn take_turns(members: &mut [Member], time: Duration) -> io::Result<Vec<Duration>> {
    let mut buffer = [0; READ];
    let mut times = Vec::new();
    let mut said = 0;
    let end = Instant::now() + time;
    while said == 0 || Instant::now() < end {
        let line = line(&name(0), said);
        said += 1;
        let start = Instant::now();
        members[0].stream.write_all(line.as_bytes())?;
        // Backwards: who was let in last is mostly written to last, so this thread, too, mostly
        // waits once, and does not have to be woken for every member.
        for member in members.iter_mut().rev() {
            while member.lines < said {
                member.wait(&mut buffer)?;
            }
            member.check(said)?;
        }
        times.push(start.elapsed());
    }
    Ok(times)
}

/// The senders talk for so long, then everybody reads on until they have every line; returns how
/// long each line took to come round.
fn talk_and_listen(
    members: &mut [Member],
    load: Load,
    time: Duration,
) -> io::Result<Vec<Duration>> {
    let (senders, listeners) = members.split_at_mut(load.senders);
    for listener in &*listeners {
        listener.stream.set_nonblocking(true)?;
    }
    // How many lines there are is known when the last sender has ended.
    let said = AtomicU64::new(u64::MAX);
    let end = Instant::now() + time;
    let progress: Vec<_> = (0..=senders.len()).map(|_| AtomicU64::new(0)).collect();
    let (listened_to, progress) = (&progress[senders.len()], progress.as_slice());
    let times = thread::scope(|scope| {
        let listening = scope.spawn(|| listen(listeners, &said, listened_to));
        let talking: Vec<_> = senders
            .iter_mut()
            .enumerate()
            .map(|(sender, member)| {
                scope.spawn(move || {
                    let times = talk(member, sender, load.in_flight, end, progress);
                    progress[sender].store(u64::MAX, Ordering::Relaxed);
                    times
                })
            })
            .collect();
        let talked = talking
            .into_iter()
            .map(|sender| sender.join().expect("does not panic"));
        let times = talked
            .collect::<io::Result<Vec<_>>>()
            .map(|times| times.concat());
        // 0 ends the listening, too, where a sender has failed.
        said.store(
            times.as_ref().map_or(0, |times| times.len() as u64),
            Ordering::Relaxed,
        );
        let listened = listening.join().expect("does not panic");
        times.and_then(|times| listened.map(|()| times))
    })?;
    for sender in &*senders {
        sender.stream.set_nonblocking(true)?;
    }
    listen(senders, &said, listened_to)?;
    Ok(times)
}

/// One connection, and how many lines have come through it.
struct Member {
    stream: TcpStream,
    lines: u64,
}

impl Member {
    fn new(stream: TcpStream) -> Self {
        Self { stream, lines: 0 }
    }

    /// Reads once, and counts; returns what has come.
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

    /// The same, where something must come.
    fn wait<'a>(&mut self, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        self.read(buffer)
            .map_err(|error| match is_not_ready(&error) {
                true => io::Error::other(format!("a line has not come within {PATIENCE:?}")),
                false => error,
            })
    }

    /// Fails if it has got more lines than were said.
    fn check(&self, said: u64) -> io::Result<()> {
        match self.lines {
            lines if lines > said => Err(io::Error::other(format!(
                "{lines} lines came and {said} were said"
            ))),
            _ => Ok(()),
        }
    }
}

/// Counts lines. Most of the load's own time is spent here, so it counts in bytes, of which the
/// processor adds many at once, and carries before a byte can overflow.
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

/// Says lines until the time is over, never more at once than are allowed in flight, and returns
/// how long each took to come round.
fn talk(
    member: &mut Member,
    sender: usize,
    in_flight: usize,
    until: Instant,
    progress: &[AtomicU64],
) -> io::Result<Vec<Duration>> {
    let mut buffer = vec![0; READ];
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
        while slowest().is_some_and(|slowest| member.lines > slowest.saturating_add(AHEAD)) {
            thread::sleep(LISTEN_EVERY);
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
        let whole = whole_lines(&partial);
        for line in partial[..whole].split(|&byte| byte == b'\n') {
            if contains(line, awaited.as_bytes()) {
                let sent_at = sent_at.pop_front().expect("what is awaited has been sent");
                times.push(now - sent_at);
                awaited = text(&name, times.len() as u64);
            }
        }
        partial.drain(..whole);
    }
}

/// How many of these bytes are whole lines.
fn whole_lines(bytes: &[u8]) -> usize {
    let end = bytes.iter().rposition(|&byte| byte == b'\n');
    end.map_or(0, |end| end + 1)
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|window| window == part)
}

/// Reads for members who only listen, until each has as many lines as were said; shows how many
/// the slowest has.
fn listen(members: &mut [Member], said: &AtomicU64, progress: &AtomicU64) -> io::Result<()> {
    let mut buffer = [0; READ];
    let mut last = Instant::now();
    loop {
        let said = said.load(Ordering::Relaxed);
        let mut missing = 0;
        let mut slowest = u64::MAX;
        for member in &mut *members {
            match member.read(&mut buffer) {
                Ok(_) => last = Instant::now(),
                Err(error) if is_not_ready(&error) => {}
                Err(error) => return Err(error),
            }
            member.check(said)?;
            missing += usize::from(member.lines < said);
            slowest = slowest.min(member.lines);
        }
        progress.store(slowest, Ordering::Relaxed);
        if missing == 0 {
            return Ok(());
        }
        if said < u64::MAX && last.elapsed() > PATIENCE {
            return Err(io::Error::other(format!(
                "{missing} members have not got every line"
            )));
        }
        thread::sleep(LISTEN_EVERY);
    }
}

/// The limit of what one thread can do: passes on whatever a sender has sent to every socket, as
/// it is. No room, no decoding, nobody else is read, nobody may leave, and it never sleeps.
fn serve_bare(load: &[String]) -> io::Result<()> {
    let number = |index: usize| load.get(index).and_then(|word| word.parse().ok());
    let (Some(members), Some(senders)) = (number(0), number(1)) else {
        return Err(io::Error::other("--bare MEMBERS SENDERS"));
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening on {}", listener.local_addr()?);
    let mut sockets: Vec<TcpStream> = Vec::new();
    while sockets.len() < members {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        // One sender can be waited for; several must be tried in turn.
        stream.set_nonblocking(senders > 1)?;
        sockets.push(stream);
    }
    let mut buffer = vec![0; READ];
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
            let whole = whole_lines(partial);
            batch.extend(partial.drain(..whole));
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
