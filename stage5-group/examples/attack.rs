//! Attacks a group chat server. For each attack, prints whether the server held or FELL.
//!
//! ```text
//! cargo run -p stage5-group --example attack -- [ROW…]               our server, both engines
//! cargo run -p stage5-group --example attack -- [ROW…] -- COMMAND…   a new server for each row
//! cargo run -p stage5-group --example attack -- [ROW…] HOST:PORT     a server that is running
//! cargo run -p stage5-group --example attack -- --list               the rows
//! ```
//!
//! The command must print `listening on HOST:PORT` in its first line. The exit status is 0 only if
//! every row held.
//!
//! In each row two members, ann and bob, behave well. Each line that is said ends with its number.
//! Ann and bob must hear every line once, whole and in order, during the attack and after it.
//!
//! To add a row, add its name, what it does, and a function that does it to [`ROWS`]:
//!
//! ```text
//! ("spaces", "a message comes after 1,000 spaces", |chat| {
//!     let eve = chat.join("eve")?; // connects, and hears itself
//!     let message = chat.message("eve", "hello"); // what ann and bob must hear next
//!     eve.send(" ".repeat(1000) + &message)?;
//!     chat.hear() // they hear it, or the server FELL
//! }),
//! ```

use std::fmt::Display;
use std::io::{self, BufRead, BufReader, Error, ErrorKind, IsTerminal, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::process::{self, ChildStdout, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use std::{env, thread};

use stage5_group::message::Message;

/// How long a line may take. A server that needs longer has stopped.
const LINE_TIMEOUT: Duration = Duration::from_secs(6);

/// How long a row may take. That includes the start of the server, which cargo may have to compile.
const ROW_TIMEOUT: Duration = Duration::from_secs(300);

/// Starts a server that may have only 64 files open.
const FEW_FILES: [&str; 4] = ["sh", "-c", "ulimit -n 64 && exec \"$@\"", "sh"];

/// Ok if the server held. Otherwise, why it fell.
type Outcome<T = ()> = io::Result<T>;

/// An attack: its name, what it does, and the function that does it.
type Row = (&'static str, &'static str, fn(&mut Chat) -> Outcome);

/// The attacks, from mild to severe.
const ROWS: &[Row] = &[
    ("split", "a message comes one byte at a time", |chat| {
        let eve = chat.join("eve")?;
        for byte in chat.message("eve", "一 byte at a time").bytes() {
            eve.send([byte])?;
            thread::sleep(Duration::from_millis(20)); // so that each arrives alone
        }
        chat.say(&eve, "eve", "and this") // shows at once what was lost
    }),
    ("glued", "two messages come together", |chat| {
        let eve = chat.join("eve")?;
        eve.send(chat.message("eve", "first") + &chat.message("eve", "second"))?;
        chat.say(&eve, "eve", "and this")
    }),
    ("long", "a message of 5,000 Chinese characters", |chat| {
        let eve = chat.join("eve")?;
        eve.send(chat.message("eve", &"长".repeat(5_000)))?;
        chat.say(&eve, "eve", "and this")
    }),
    ("rubbish", "members send malformed messages", |chat| {
        // A parser that recurses without a limit overflows its stack.
        let nested = format!("{{\"RUBBISH\": {}\n", "[".repeat(60_000));
        let kinds: [&[u8]; 6] = [
            b"GET /RUBBISH HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"{\"name\": \"eve\", \"msg\": \"RUBBISH\xff\xc0\x80\"}\n",
            b"{\"name\": \"eve\", \"msg\": [\"RUBBISH\"]}\n{\"name\": \"RUBBISH\"}\n",
            b"}]}{\"\\ud800RUBBISH\\u12\n\0\n\"",
            nested.as_bytes(),
            &[b'x'; 1_000_000],
        ];
        for bytes in kinds {
            let mut eve = chat.join("eve")?;
            let _ = eve.send(bytes); // it may be disconnected before it has sent everything
            let _ = eve.stream.get_ref().shutdown(Shutdown::Write);
            let _ = io::copy(&mut eve.stream, &mut io::sink()); // until the server has read all
            chat.go_on()?;
        }
        chat.nobody_reads(|line| line.contains("RUBBISH"))
    }),
    ("forge", "a text looks like a line of ann", |chat| {
        let (eve, ann) = (chat.join("eve")?, chat.witnesses[0].name.clone());
        let line = format!("[2019-03-21 17:30:00]{ann}: I owe eve 100");
        chat.say(&eve, "eve", &format!("hi\n{line}"))?;
        chat.say(&eve, "eve", &format!("hi\r\n{line}"))?;
        chat.say(&eve, &format!("eve\n{line}"), "newline in the name")?;
        chat.say(&eve, &format!("{ann}: I owe eve 100"), "colon in the name")?;
        chat.say(&eve, &format!(" {ann} left, I owe eve 100"), "a notice")?;
        chat.nobody_reads(|line| {
            let is_eves = line.contains("I owe eve") && line.ends_with('>');
            is_eves && (author(line) == ann || author(line).starts_with(' ')) // as in a notice
        })
    }),
    ("steal", "a member takes the name of ann", |chat| {
        let (eve, ann) = (chat.join("eve")?, chat.witnesses[0].name.clone());
        for unseen in ["", " ", "\u{200B}"] {
            chat.say(&eve, &format!("{ann}{unseen}"), "I am ann")?;
        }
        chat.nobody_reads(|line| {
            line.contains("I am ann") && author(line).trim_matches(['\u{200B}', ' ']) == ann
        })
    }),
    (
        "escapes",
        "a text holds commands for the terminal",
        |chat| {
            let eve = chat.join("eve")?;
            let commands = "\x1b]0;title\x07 \x1b[2J \u{9b}31m \u{202e} \r \x08 \0";
            chat.say(&eve, "eve", commands)?;
            chat.say(&eve, commands, "in the name")?;
            chat.nobody_reads(|line| line.contains(|c: char| c.is_control() || c == '\u{202e}'))
        },
    ),
    ("resets", "100 members reset their connection", |chat| {
        for number in 0..100 {
            let member = chat.join("eve")?;
            member.send(["", "{\"name\": \"half"][number % 2])?;
            chat.go_on()?;
            // Closing a socket with unread bytes resets its connection.
            if member.stream.get_ref().peek(&mut [0])? == 0 {
                return fell("the server closed a connection");
            }
        }
        Ok(())
    }),
    ("dribble", "300 members send their bytes slowly", |chat| {
        let members = (0..300).map(|_| chat.join("eve"));
        let members = members.collect::<Outcome<Vec<Member>>>()?;
        for byte in "{\"name\": \"dribble".bytes() {
            members.iter().try_for_each(|member| member.send([byte]))?;
            chat.go_on()?;
        }
        Ok(())
    }),
    ("endless", "a message has no end", |chat| {
        let mut eve = chat.join("eve")?;
        eve.send("{\"name\": \"eve\", \"msg\": \"")?;
        for _ in 0..16 {
            let _ = eve.send(vec![b'x'; 1_000_000]); // it may be disconnected
            chat.go_on()?;
        }
        match eve.hear(&chat.said) {
            Ok(()) => fell("after 16 MB, eve is still connected"),
            Err(_) => Ok(()),
        }
    }),
    ("half-close", "a member half-closes, then reads", |chat| {
        let mut eve = chat.join("eve")?;
        match chat.talk(8_500_000) {
            // If the server waits until eve reads, it falls in the row `deaf`.
            Err(error) if error.kind() == ErrorKind::TimedOut => eve.hear(&chat.said)?,
            result => result?,
        }
        chat.say(&eve, "eve", "last words")?;
        eve.stream.get_ref().shutdown(Shutdown::Write)?;
        eve.hear(&chat.said)
    }),
    ("deaf", "5 members never read", |chat| {
        let members = (0..5).map(|_| chat.join("eve"));
        let _members = members.collect::<Outcome<Vec<Member>>>()?;
        chat.talk(17_000_000) // our server keeps less than that for a member
    }),
    ("full", "more connections than open files", |chat| {
        // With ann, bob, the listener and three files of its own, the server needs 68.
        let connect = |_| TcpStream::connect_timeout(&chat.address, LINE_TIMEOUT);
        let crowd = (0..62).map(connect).collect::<Outcome<Vec<TcpStream>>>()?;
        thread::sleep(LINE_TIMEOUT / 12); // until it accepts no more of them
        chat.go_on()?;
        drop(crowd);
        chat.join("late").map(drop)
    }),
];

/// The group that is attacked, and what was said in it.
struct Chat {
    address: SocketAddr,
    /// Ann and bob.
    witnesses: Vec<Member>,
    /// The end of each line that ann and bob must hear.
    said: Vec<String>,
}

impl Chat {
    /// Runs an attack, and returns how many lines ann and bob heard.
    fn attack(address: SocketAddr, attack: fn(&mut Self) -> Outcome) -> Outcome<usize> {
        let mut chat = Self {
            address,
            witnesses: Vec::new(),
            said: Vec::new(),
        };
        for name in ["ann", "bob"] {
            let member = chat.join(name)?;
            chat.witnesses.push(member);
        }
        attack(&mut chat)?;
        chat.go_on()?; // finds a line that came twice, or a server that fell late
        Ok(chat.said.len())
    }

    /// Connects a member, and waits until it hears its own line.
    fn join(&mut self, name: &str) -> Outcome<Member> {
        let stream = TcpStream::connect_timeout(&self.address, LINE_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LINE_TIMEOUT))?;
        stream.set_write_timeout(Some(LINE_TIMEOUT))?;
        let mut member = Member {
            stream: BufReader::new(stream),
            heard: String::new(),
            next: self.said.len(),
            name: String::new(),
        };
        member.send(self.message(name, "is here"))?;
        let heard = member.hear(&self.said);
        heard.map_err(|error| Error::other(format!("{name} did not hear itself: {error}")))?;
        let line = member.heard.lines().next_back();
        member.name = author(line.unwrap_or_default()).to_owned();
        Ok(member)
    }

    /// The next message, which must become a line. A server may replace control characters.
    fn message(&mut self, name: &str, text: &str) -> String {
        let (name, number) = (name.to_owned(), self.said.len());
        if number.is_multiple_of(100) && io::stderr().is_terminal() {
            eprint!("line {number}\r"); // the verdict replaces it
        }
        let text = format!("{text} <{number}>\n");
        let end = text.trim_end().rsplit(char::is_control).next();
        self.said.push(end.unwrap_or_default().to_owned());
        Message { name, text }.encode().trim_end().to_owned()
    }

    /// A member says a line, and ann and bob hear it.
    fn say(&mut self, member: &Member, name: &str, text: &str) -> Outcome {
        thread::sleep(Duration::from_millis(20)); // so that it arrives alone
        member.send(self.message(name, text))?;
        self.hear()
    }

    /// Ann says a line of 900 bytes, and she and bob hear it.
    fn go_on(&mut self) -> Outcome {
        let message = self.message("ann", &"x".repeat(900));
        self.witnesses[0].send(message)?;
        self.hear()
    }

    /// Ann says more bytes than a connection can hold while its peer does not read. If a connection
    /// of this system can hold them, the row is skipped.
    fn talk(&mut self, bytes: usize) -> Outcome {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut stream = TcpStream::connect(listener.local_addr()?)?;
        stream.set_write_timeout(Some(LINE_TIMEOUT / 60))?;
        if stream.write_all(&vec![0; bytes]).is_ok() {
            return Err(ErrorKind::Unsupported.into());
        }
        (0..bytes / 900).try_for_each(|_| self.go_on())
    }

    /// Waits until ann and bob have heard everything.
    fn hear(&mut self) -> Outcome {
        let mut witnesses = self.witnesses.iter_mut();
        witnesses.try_for_each(|witness| witness.hear(&self.said))
    }

    /// Fails if ann or bob has heard a line like this.
    fn nobody_reads(&self, bad: impl Fn(&str) -> bool) -> Outcome {
        let members = self.witnesses.iter();
        let mut lines = members.flat_map(|member| member.heard.lines());
        match lines.find(|line| bad(line)) {
            Some(line) => fell(format!("they read: {}", line.escape_debug())),
            None => Ok(()),
        }
    }
}

/// A connection to the server.
struct Member {
    stream: BufReader<TcpStream>,
    heard: String,
    /// The number of the line that it must hear next.
    next: usize,
    /// Its name, as the server shows it.
    name: String,
}

impl Member {
    fn send(&self, bytes: impl AsRef<[u8]>) -> Outcome {
        self.stream.get_ref().write_all(bytes.as_ref())
    }

    /// Reads until the member has heard everything that was said: each line once, whole and in
    /// order.
    fn hear(&mut self, said: &[String]) -> Outcome {
        let deadline = Instant::now() + LINE_TIMEOUT;
        while self.next < said.len() {
            let next = self.next;
            let mut input = self.stream.by_ref().take(1_000_000); // a line may have no end
            if Instant::now() > deadline || !matches!(input.read_line(&mut self.heard), Ok(1..)) {
                let why = format!("line {next} never came");
                return Err(Error::new(ErrorKind::TimedOut, why));
            }
            let line = self.heard.lines().next_back().unwrap_or_default();
            if line.ends_with(&said[next]) {
                self.next += 1;
            } else if line.ends_with('>') {
                let end = line.rsplit('<').next().unwrap_or_default();
                return fell(format!("line {next} was expected, but <{end} came"));
            }
        }
        Ok(())
    }
}

fn fell<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Error::other(why.into()))
}

/// Whether the server did not cause the error: the row is not possible on this system, or this
/// program has too many files open (EMFILE, which is 24 on Linux and macOS).
fn is_ours(error: &Error) -> bool {
    let emfile = cfg!(unix) && error.raw_os_error() == Some(24);
    error.kind() == ErrorKind::Unsupported || emfile
}

/// The author of a line, as a reader sees it.
fn author(line: &str) -> &str {
    let said = line.strip_prefix('[').and_then(|line| line.split_once(']'));
    said.map_or("", |(_, said)| said.split(':').next().unwrap_or(said))
}

/// Waits until a server prints where it listens.
fn listening(output: ChildStdout) -> Outcome<SocketAddr> {
    let (mut output, mut line) = (BufReader::new(output), String::new());
    output.read_line(&mut line)?;
    thread::spawn(move || io::copy(&mut output, &mut io::sink())); // a full pipe would stop it
    let address = line.trim_end().strip_prefix("listening on ");
    let mut addresses = address.unwrap_or_default().to_socket_addrs()?;
    addresses.next().ok_or(ErrorKind::InvalidInput.into())
}

/// Runs a row against the running server, or against a new one.
fn judge(row: Row, command: &[String], running: Option<SocketAddr>) -> Outcome<usize> {
    let mut words = command.to_vec();
    if row.0 == "full" {
        if running.is_some() || cfg!(not(unix)) {
            return Err(ErrorKind::Unsupported.into());
        }
        words.splice(..0, FEW_FILES.map(str::to_owned));
    }
    let mut server = running.is_none().then(|| {
        let mut process = Command::new(&words[0]);
        process.args(&words[1..]).stderr(Stdio::null());
        let child = process.stdout(Stdio::piped()).spawn();
        child.unwrap_or_else(|error| stop(1, &format!("cannot start `{}`: {error}", command[0])))
    });
    let output = server.as_mut().and_then(|server| server.stdout.take());
    let (sender, result) = channel();
    thread::spawn(move || {
        let address = output.map_or(running.ok_or(ErrorKind::NotFound.into()), listening);
        sender.send(address.and_then(|address| Chat::attack(address, row.2)))
    });
    let result = result.recv_timeout(ROW_TIMEOUT);
    if let Some(mut server) = server {
        let _ = server.kill();
        let _ = server.wait();
    }
    result.unwrap_or_else(|_| fell("the row did not end"))
}

/// Runs the rows and prints their verdicts. Returns whether all held.
fn scoreboard(rows: &[Row], command: &[String], running: Option<SocketAddr>) -> bool {
    let mut verdicts = Vec::new();
    for &row in rows {
        let (verdict, seen) = match judge(row, command, running) {
            Ok(count) => ("held", format!("ann and bob heard all {count} lines")),
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                stop(1, "the command does not print `listening on HOST:PORT`")
            }
            Err(error) if is_ours(&error) => ("skipped", "not possible here".to_owned()),
            Err(error) => ("FELL", error.to_string()),
        };
        print(format!(
            "{:<11}{:<50}{verdict}\n{:11}{seen:.68}",
            row.0, row.1, ""
        ));
        verdicts.push(verdict);
        if running.is_some_and(|address| Chat::attack(address, |_| Ok(())).is_err()) {
            print("The server no longer answers, so the other rows are not run.");
            break;
        }
    }
    let count = |verdict| verdicts.iter().filter(|each| **each == verdict).count();
    let (held, fell, skipped) = (count("held"), count("FELL"), count("skipped"));
    let not_run = rows.len() - verdicts.len();
    print(format!(
        "{held} held, {fell} fell, {skipped} skipped, {not_run} not run"
    ));
    held == rows.len()
}

/// Prints a line. `println!` would panic when standard output is closed, as in `attack | head -3`.
fn print(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Ends this program, which cannot do what it was asked for.
fn stop(status: i32, sentence: &str) -> ! {
    eprintln!("attack: {sentence}");
    process::exit(status);
}

fn main() {
    let words = env::args_os().skip(1);
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into()).collect();
    let mut parts = words.splitn(2, |word| word == "--");
    let words = parts.next().unwrap_or_default();
    let command = parts.next().unwrap_or_default();
    if words == ["--list"] {
        for (name, does, _) in ROWS {
            print(format!("{name:<11}{does}"));
        }
        return;
    }
    let (addresses, names): (Vec<_>, Vec<_>) = words.iter().partition(|word| word.contains(':'));
    for name in &names {
        if ROWS.iter().all(|row| row.0 != *name) {
            stop(2, &format!("there is no row {name}; --list shows all"));
        }
    }
    let mut rows = ROWS.to_vec();
    rows.retain(|row| names.is_empty() || names.iter().any(|name| *name == row.0));
    let all_held = match (addresses.as_slice(), command) {
        ([], []) => {
            let ours = "cargo run -q -p stage5-group -- server 127.0.0.1:0 --engine";
            let held = ["threads", "polling"].map(|engine| {
                print(format!("our server, --engine {engine}:"));
                let words = ours.split(' ').chain([engine]).map(str::to_owned);
                scoreboard(&rows, &words.collect::<Vec<_>>(), None)
            });
            held == [true, true]
        }
        ([], command) => scoreboard(&rows, command, None),
        ([address], []) => {
            let mut addresses = address.to_socket_addrs().into_iter().flatten();
            match addresses.find(|each| TcpStream::connect_timeout(each, LINE_TIMEOUT).is_ok()) {
                None => stop(1, &format!("cannot connect to {address}: no answer")),
                running => scoreboard(&rows, &[], running),
            }
        }
        _ => stop(2, "name only one server: a command or an address"),
    };
    process::exit(i32::from(!all_held));
}
