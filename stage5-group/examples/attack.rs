//! Attacks a group chat server, and prints which attacks it held and to which it fell.
//!
//! ```text
//! cargo run -p stage5-group --example attack -- [ROW…]               our server, both engines
//! cargo run -p stage5-group --example attack -- [ROW…] -- COMMAND…   starts it afresh for each row
//! cargo run -p stage5-group --example attack -- [ROW…] HOST:PORT     a server that is running
//! cargo run -p stage5-group --example attack -- --list               the rows
//! ```
//!
//! The server of a command says `listening on HOST:PORT` in its first line. The exit status is 0
//! only if every row held. In each row two members, ann and bob, behave well. Each line that is said
//! ends with its number, and both must hear every line once, whole and in order.
//!
//! A row is a function, and its entry in [`ROWS`]:
//!
//! ```text
//! fn spaces(group: &mut Group) -> Seen {
//!     let eve = group.join("eve")?;                // connects, and hears itself
//!     let message = group.message("eve", "hello"); // ann and bob must hear this next
//!     eve.send(" ".repeat(1000) + &message)?;
//!     group.hear()?;                               // they hear it, or the row ends as FELL
//!     Ok("spaces before a message are skipped".to_owned())
//! }
//! ```

use std::io::{self, BufRead, BufReader, ErrorKind, IsTerminal, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use std::{env, thread};

const ENGINES: [&str; 2] = ["threads", "select"];

/// How long anything may take. A server that needs longer has stopped.
const PATIENCE: Duration = Duration::from_secs(8);

/// How long a command may take until its server listens: cargo may have to compile it.
const START: Duration = Duration::from_secs(300);

/// How many files the server may have open in the row `full`.
const OPEN_FILES: usize = 64;

/// How many bytes are said to members that do not read: our server drops a member before that.
const TALK: usize = 17_000_000;

/// An attack: its name, what it does, and the function that does it.
type Row = (&'static str, &'static str, fn(&mut Group) -> Seen);

/// From mild to deadly.
const ROWS: [Row; 13] = [
    ("split", "a message comes one byte at a time", split),
    ("glued", "two messages come together", glued),
    ("long", "a message of 5,000 Chinese characters", long),
    ("rubbish", "members send what is no message", rubbish),
    ("forge", "a text looks like a line of ann", forge),
    ("steal", "a member takes the name of ann", steal),
    ("escapes", "a text holds commands for the terminal", escapes),
    ("resets", "100 members reset their connection", resets),
    ("dribble", "300 members send a byte now and then", dribble),
    ("endless", "a message has no end", endless),
    ("half-close", "a member half-closes, then reads", half_close),
    ("deaf", "5 members never read", deaf),
    ("full", "more connections than open files", full),
];

/// What was seen where the server held. Otherwise the verdict, FELL or skipped, and why.
type Seen<T = String> = Result<T, (&'static str, String)>;

fn fell<T>(why: impl Into<String>) -> Seen<T> {
    Err(("FELL", why.into()))
}

/// The server is not to blame for an error of this program's own.
fn skipped(error: io::Error) -> (&'static str, String) {
    ("skipped", format!("not possible here: {error}"))
}

// The rows.

fn split(group: &mut Group) -> Seen {
    let eve = group.join("eve")?;
    let message = group.message("eve", "一 byte at a time");
    for byte in message.bytes() {
        eve.send([byte])?;
        thread::sleep(Duration::from_millis(5)); // so that each arrives alone
    }
    group.hear()?;
    Ok(format!("{} pieces became one line", message.len()))
}

fn glued(group: &mut Group) -> Seen {
    let eve = group.join("eve")?;
    eve.send(group.message("eve", "first") + &group.message("eve", "second"))?;
    group.hear()?;
    Ok("both were heard, in order".to_owned())
}

fn long(group: &mut Group) -> Seen {
    let eve = group.join("eve")?;
    group.say(&eve, "eve", &"长".repeat(5_000))?;
    Ok("all of it was heard".to_owned())
}

fn rubbish(group: &mut Group) -> Seen {
    let kinds: [&[u8]; 6] = [
        b"GET /RUBBISH HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"{\"name\": \"eve\", \"msg\": \"RUBBISH\xff\xc0\x80\"}\n",
        b"{\"name\": \"eve\", \"msg\": [\"RUBBISH\"]}\n{\"name\": \"RUBBISH\"}\n",
        b"}]}{\"\\ud800RUBBISH\\u12\n\0\n\"",
        &[b'['; 60_000], // a recursive parser without a limit overflows its stack
        &[b'x'; 1_000_000],
    ];
    for bytes in kinds {
        let mut eve = group.join("eve")?;
        let _ = eve.send(bytes); // it may be cut off before it has sent everything
        let _ = eve.stream.shutdown(Shutdown::Write);
        if !eve.has_ended(PATIENCE) {
            return fell("a member sent its end of file, and the server did not close");
        }
        group.chat()?;
    }
    group.nobody_reads(|line| line.contains("RUBBISH"))?;
    Ok(format!("{} kinds of it disturbed nobody", kinds.len()))
}

fn forge(group: &mut Group) -> Seen {
    let eve = group.join("eve")?;
    let ann = group.witnesses[0].shown.clone();
    let line = format!("[2019-03-21 17:30:00]{ann}: I owe eve 100");
    group.say(&eve, "eve", &format!("hi\n{line}"))?;
    group.say(&eve, "eve", &format!("hi\r\n{line}"))?;
    group.say(&eve, &format!("eve\n{line}"), "newline in the name")?;
    group.say(&eve, &format!("{ann}: I owe eve 100"), "colon in the name")?;
    group.say(&eve, &format!(" {ann} left, I owe eve 100"), "a notice")?;
    group.nobody_reads(|line| {
        let author = author(line).unwrap_or("");
        line.contains("I owe eve") && (author == ann || author.starts_with(' '))
    })?;
    Ok("5 tries, and no line looked like ann's".to_owned())
}

fn steal(group: &mut Group) -> Seen {
    let eve = group.join("eve")?;
    let ann = group.witnesses[0].shown.clone();
    for unseen in ["", " ", "\u{200B}"] {
        group.say(&eve, &format!("{ann}{unseen}"), "I am ann")?;
    }
    group.nobody_reads(|line| {
        let author = author(line).unwrap_or("");
        line.contains("I am ann") && author.trim_matches(['\u{200B}', ' ']) == ann
    })?;
    Ok("the thief was shown under another name".to_owned())
}

fn escapes(group: &mut Group) -> Seen {
    let eve = group.join("eve")?;
    let junk = "\x1b]0;title\x07 \x1b[2J \u{9b}31m \u{202e} \r \x08 \0";
    group.say(&eve, "eve", junk)?;
    group.say(&eve, junk, "in the name")?;
    group.nobody_reads(|line| line.contains(is_command))?;
    Ok("no command reached a terminal".to_owned())
}

fn resets(group: &mut Group) -> Seen {
    // To close a socket with unread bytes is to reset its connection, on most systems.
    let (near, mut far) = pair().map_err(skipped)?;
    far.write_all(b"x").map_err(skipped)?;
    near.peek(&mut [0]).map_err(skipped)?;
    drop(near);
    if far.read(&mut [0]).is_ok() {
        return Err(skipped(ErrorKind::Unsupported.into()));
    }
    for number in 0..100 {
        let member = group.join(&format!("member {number}"))?;
        member.send(["", "{\"name\": \"half"][number % 2])?;
        group.chat()?;
        if !matches!(member.stream.peek(&mut [0]), Ok(1)) {
            return fell(format!(
                "member {number} did not hear what the others heard"
            ));
        }
    }
    Ok("the others heard every line".to_owned())
}

fn dribble(group: &mut Group) -> Seen {
    let members = (0..300).map(|number| group.join(&format!("member {number}")));
    let members = members.collect::<Seen<Vec<Member>>>()?;
    for byte in "{\"name\": \"dribble".bytes() {
        members.iter().try_for_each(|member| member.send([byte]))?;
        group.chat()?;
    }
    Ok("nobody waited for them".to_owned())
}

fn endless(group: &mut Group) -> Seen {
    let mut eve = group.join("eve")?;
    eve.send("{\"name\": \"eve\", \"msg\": \"")?;
    for _ in 0..250 {
        let sent = eve.send([b'x'; 64 * 1024]).is_ok();
        group.chat()?;
        if !sent || eve.has_ended(Duration::from_millis(1)) {
            break;
        }
    }
    match eve.has_ended(PATIENCE) {
        true => Ok("the server ended the connection".to_owned()),
        false => fell("16 MB of it, and the server still did not end it"),
    }
}

fn half_close(group: &mut Group) -> Seen {
    let talk = TALK / 2;
    capacity(talk)?;
    let mut eve = group.join("eve")?;
    // A server that waits for eve is for the row `deaf`. Here she then reads.
    group.talk(talk, |said| eve.hear(said, PATIENCE).map(drop))?;
    group.say(&eve, "eve", "last words")?;
    let _ = eve.stream.shutdown(Shutdown::Write);
    if !eve.hear(&group.said, PATIENCE)? || !eve.has_ended(PATIENCE) {
        return fell(format!("it waited in vain after line {}", eve.next - 1));
    }
    Ok(format!(
        "it heard all {} lines, then the end of file",
        group.said.len()
    ))
}

fn deaf(group: &mut Group) -> Seen {
    let capacity = capacity(TALK)?;
    let _deaf = (0..5)
        .map(|_| group.join("eve"))
        .collect::<Seen<Vec<Member>>>()?;
    group.talk(TALK, |_| Ok(()))?;
    Ok(format!(
        "the others heard {} MB; a socket holds {}",
        TALK / 1_000_000,
        capacity / 1_000_000
    ))
}

fn full(group: &mut Group) -> Seen {
    let mut crowd = Vec::new();
    // The backlog takes a connection before the server accepts it, until it is full, too.
    while crowd.len() < 2 * OPEN_FILES
        && let Ok(stream) = TcpStream::connect_timeout(&group.address, Duration::from_secs(1))
    {
        crowd.push(stream);
    }
    group.chat()?;
    if crowd.len() < OPEN_FILES - 8 {
        return fell(format!("it refused connection {}", crowd.len()));
    }
    drop(crowd);
    group.join("late")?;
    Ok("the talk went on, and afterwards a newcomer got in".to_owned())
}

// What the rows use.

/// Ann, bob, and what they must hear.
struct Group {
    name: &'static str,
    address: SocketAddr,
    witnesses: Vec<Member>,
    /// The end of each line, in order.
    said: Vec<String>,
}

impl Group {
    /// The next message, as JSON, which must become a line. A server may replace control characters.
    fn message(&mut self, name: &str, text: &str) -> String {
        let number = self.said.len();
        if number % 50 == 0 && io::stdout().is_terminal() {
            print!("\r{:<11}line {number} ", self.name);
            let _ = io::stdout().flush();
        }
        let text = format!("{text} <{number}>");
        let plain = text.rsplit(is_command).next().unwrap_or("");
        self.said.push(plain.to_owned());
        format!(
            "{{\"name\": {}, \"msg\": {}}}",
            quote(name),
            quote(&(text + "\n"))
        )
    }

    /// Connects a member, which is in as soon as it hears itself.
    fn join(&mut self, name: &str) -> Seen<Member> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE);
        let stream = stream.map_err(|error| match error.raw_os_error() {
            Some(24) if cfg!(unix) => skipped(error), // EMFILE: this program has too many files
            _ => ("FELL", format!("{name} cannot connect: {error}")),
        })?;
        let _ = stream.set_nodelay(true);
        let _ = stream.set_write_timeout(Some(PATIENCE));
        let (bytes, next, heard, shown) = (Vec::new(), self.said.len(), Vec::new(), String::new());
        let mut member = Member {
            stream,
            bytes,
            next,
            heard,
            shown,
        };
        self.say(&member, name, "is here")?;
        if !member.hear(&self.said, PATIENCE)? {
            return fell(format!("{name} did not hear itself"));
        }
        let own = member.heard.last().and_then(|line| author(line));
        member.shown = own.unwrap_or(name).to_owned();
        Ok(member)
    }

    fn say(&mut self, member: &Member, name: &str, text: &str) -> Seen<()> {
        member.send(self.message(name, text))?;
        self.hear()
    }

    /// Ann and bob each say a line.
    fn chat(&mut self) -> Seen<()> {
        for (index, name) in ["ann", "bob"].into_iter().enumerate() {
            let message = self.message(name, "meanwhile");
            self.witnesses[index].send(message)?;
            self.hear()?;
        }
        Ok(())
    }

    /// Ann says so many bytes; `late` is called when a line needs long.
    fn talk(&mut self, bytes: usize, mut late: impl FnMut(&[String]) -> Seen<()>) -> Seen<()> {
        for count in 0..bytes / 900 {
            let message = self.message("ann", &"x".repeat(900));
            self.witnesses[0].send(message)?;
            if !self.hear_within(PATIENCE / 4)? {
                late(&self.said)?;
                if !self.hear_within(PATIENCE)? {
                    return fell(format!("after {} KB everyone waited", count * 9 / 10));
                }
            }
        }
        Ok(())
    }

    /// Waits until ann and bob have heard everything.
    fn hear(&mut self) -> Seen<()> {
        match self.hear_within(PATIENCE)? {
            true => Ok(()),
            false => fell(format!(
                "a line was not heard within {} s",
                PATIENCE.as_secs()
            )),
        }
    }

    fn hear_within(&mut self, patience: Duration) -> Seen<bool> {
        for witness in &mut self.witnesses {
            if !witness.hear(&self.said, patience)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether no line that ann and bob have heard is like this.
    fn nobody_reads(&self, bad: impl Fn(&str) -> bool) -> Seen<()> {
        let mut heard = self.witnesses.iter().flat_map(|witness| &witness.heard);
        match heard.find(|line| bad(line)) {
            Some(line) => fell(format!("they read: {}", line.escape_debug())),
            None => Ok(()),
        }
    }
}

/// A connection to the server.
struct Member {
    stream: TcpStream,
    /// What it has read of the next line.
    bytes: Vec<u8>,
    /// The number of the line that it must hear next.
    next: usize,
    heard: Vec<String>,
    /// Its name, as the server shows it.
    shown: String,
}

impl Member {
    fn send(&self, bytes: impl AsRef<[u8]>) -> Seen<()> {
        let sent = (&self.stream).write_all(bytes.as_ref());
        sent.map_err(|error| ("FELL", format!("{} cannot send: {error}", self.shown)))
    }

    /// Reads lines until it has heard all that was said. Returns whether that took not too long.
    fn hear(&mut self, said: &[String], patience: Duration) -> Seen<bool> {
        let deadline = Instant::now() + patience;
        while self.next < said.len() {
            let Some(line) = self.line(deadline)? else {
                return Ok(false);
            };
            match number(&line) {
                None => {}
                Some(number) if number != self.next => {
                    return fell(format!(
                        "line {number} came where line {} should",
                        self.next
                    ));
                }
                Some(number) if !line.ends_with(&said[number]) => {
                    return fell(format!("line {number} came changed"));
                }
                Some(_) => self.next += 1,
            }
            self.heard.push(line);
        }
        Ok(true)
    }

    /// The next line, without its newline; `None` if it does not come in time.
    fn line(&mut self, deadline: Instant) -> Seen<Option<String>> {
        let mut chunk = [0; 64 * 1024];
        loop {
            if let Some(end) = self.bytes.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.bytes.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let _ = self.stream.set_read_timeout(Some(left));
            match self.stream.read(&mut chunk) {
                Ok(0) => return fell("the server closed a connection"),
                Ok(length) => self.bytes.extend_from_slice(&chunk[..length]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return fell(format!("a connection broke: {error}")),
            }
        }
    }

    /// Whether the server ends the connection in time.
    fn has_ended(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            match self.line(deadline) {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    }
}

/// The number at the end of a line that was said.
fn number(line: &str) -> Option<usize> {
    line.strip_suffix('>')?.rsplit_once('<')?.1.parse().ok()
}

/// Who said a line, as a reader sees it. A line that does not begin at the margin has no author.
fn author(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.split_once(']')?.1.split(':').next()
}

/// Whether a terminal obeys this character instead of showing it.
fn is_command(c: char) -> bool {
    c.is_control() && c != '\t' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A JSON string.
fn quote(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        ..' ' => format!("\\u{:04x}", u32::from(c)),
        _ => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// Both ends of a connection.
fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    Ok((near, listener.accept()?.0))
}

/// How many bytes a connection holds whose other end does not read: fewer than `most`, or a row
/// that says `most` bytes proves nothing.
fn capacity(most: usize) -> Seen<usize> {
    let (mut near, _far) = pair().map_err(skipped)?;
    near.set_write_timeout(Some(PATIENCE / 16))
        .map_err(skipped)?;
    let mut held = 0;
    while held < most {
        match near.write(&[b'x'; 64 * 1024]) {
            Ok(length) => held += length,
            Err(_) => return Ok(held),
        }
    }
    Err(skipped(io::Error::other(format!(
        "a socket holds {held} bytes"
    ))))
}

// The servers and the scoreboard.

/// A server that this program has started.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server, with few open files if so asked, and waits until it says where it listens.
fn start(command: &[String], few_files: bool) -> Result<(Server, SocketAddr), String> {
    let mut words = command.to_vec();
    if few_files {
        let script = format!("ulimit -n {OPEN_FILES} && exec \"$@\"");
        words.splice(
            0..0,
            ["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()],
        );
    }
    let mut process = Command::new(&words[0]);
    process
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let command = command.join(" ");
    let mut child = process
        .spawn()
        .map_err(|error| format!("cannot start `{command}`: {error}"))?;
    let output = child.stdout.take().expect("standard output is piped");
    let server = Server(child);
    let (sender, first_line) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = sender.send(line); // only the first is read, but the pipe must not fill up
        }
    });
    let line = first_line.recv_timeout(START).unwrap_or_default();
    match line.strip_prefix("listening on ").map(str::parse) {
        Some(Ok(address)) => Ok((server, address)),
        _ => Err(format!(
            "`{command}` does not say `listening on HOST:PORT` in its first line"
        )),
    }
}

/// Attacks a server with one row.
fn attack(&(name, _, attack): &Row, address: SocketAddr) -> Seen {
    let mut group = Group {
        name,
        address,
        witnesses: Vec::new(),
        said: Vec::new(),
    };
    for name in ["ann", "bob"] {
        let witness = group.join(name)?;
        group.witnesses.push(witness);
    }
    let seen = attack(&mut group)?;
    group.chat()?; // a line that was heard twice shows here
    Ok(seen)
}

/// Runs the rows, and returns whether all held.
fn scoreboard(
    rows: &[Row],
    command: &[String],
    running: Option<SocketAddr>,
) -> Result<bool, String> {
    let (mut held, mut fell) = (0, 0);
    for row in rows {
        let few_files = row.0 == "full";
        let (verdict, seen) = if few_files && (running.is_some() || !cfg!(unix)) {
            (
                "skipped",
                "it needs `ulimit -n` before the server starts".to_owned(),
            )
        } else {
            let (mut server, address) = match running {
                Some(address) => (None, address),
                None => {
                    start(command, few_files).map(|(server, address)| (Some(server), address))?
                }
            };
            let (verdict, mut seen) =
                attack(row, address).map_or_else(|why| why, |seen| ("held", seen));
            if let Some(Ok(Some(status))) = server.as_mut().map(|server| server.0.try_wait()) {
                seen += &format!(" ({status})");
            }
            (verdict, seen)
        };
        held += usize::from(verdict == "held");
        fell += usize::from(verdict == "FELL");
        let seen: String = seen.chars().take(68).collect();
        println!("\r{:<11}{:<50}{verdict}\n{:11}{seen}", row.0, row.1, "");
        if let Some(address) = running
            && verdict == "FELL"
            && let Err((_, why)) = attack(&("", "", |_| Ok(String::new())), address)
        {
            println!("The server no longer answers: {why}.");
            break;
        }
    }
    println!(
        "{held} held, {fell} fell, {} skipped or not run",
        rows.len() - held - fell
    );
    Ok(held == rows.len())
}

fn run(words: &[String]) -> Result<bool, String> {
    let (words, command) = match words.iter().position(|word| word == "--") {
        Some(at) => (&words[..at], &words[at + 1..]),
        None => (words, &[][..]),
    };
    let mut rows = Vec::new();
    let mut running = None;
    for word in words {
        if let Some(row) = ROWS.iter().find(|row| row.0 == word) {
            rows.push(*row);
        } else {
            let mut addresses = word
                .to_socket_addrs()
                .map_err(|_| format!("there is no row or server {word}"))?;
            running = addresses.next();
        }
    }
    if rows.is_empty() {
        rows = ROWS.to_vec();
    }
    if running.is_some() || !command.is_empty() {
        return scoreboard(&rows, command, running);
    }
    let mut all = true;
    for engine in ENGINES {
        let cargo = env::var("CARGO").unwrap_or("cargo".to_owned());
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let words = [
            &cargo,
            "run",
            "-q",
            "--manifest-path",
            manifest,
            "--",
            "server",
            "127.0.0.1:0",
            "--engine",
            engine,
        ];
        println!("The finished server, --engine {engine}");
        all &= scoreboard(&rows, &words.map(str::to_owned), None)?;
    }
    Ok(all)
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if words == ["--list"] {
        ROWS.iter()
            .for_each(|row| println!("{:<11}{}", row.0, row.1));
        return ExitCode::SUCCESS;
    }
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(sentence) => {
            eprintln!("attack: {sentence}");
            ExitCode::FAILURE
        }
    }
}
