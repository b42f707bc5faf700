//! Starts the servers, runs the rows, prints the verdicts.

use std::fmt::Display;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;
use std::{env, thread};

use crate::group::{Group, PATIENCE, Seen};

/// The engines of our server.
const ENGINES: [&str; 2] = ["threads", "polling"];

/// How long a command may take until its server listens: cargo may have to compile it.
const START: Duration = Duration::from_secs(300);

/// How many files the server may have open in the row `full`.
pub const OPEN_FILES: usize = 64;

/// An attack: its name, what it does, and the function that does it.
pub type Row = (&'static str, &'static str, fn(&mut Group) -> Seen);

/// A server that this program has started. It ends with the row, even with one that panics.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    /// Starts a server, and waits until it says where it listens.
    fn start(command: &[String], few_files: bool) -> Result<(Self, SocketAddr), String> {
        let shown = command.join(" ");
        let script = format!("ulimit -n {OPEN_FILES} && exec \"$@\"");
        let mut process = Command::new(if few_files { "sh" } else { &command[0] });
        if few_files {
            process.args(["-c", &script, "sh", &command[0]]);
        }
        process.args(&command[1..]).stdin(Stdio::null());
        process.stdout(Stdio::piped()).stderr(Stdio::null());
        let child = process.spawn();
        let mut server = Self(child.map_err(|error| format!("cannot start `{shown}`: {error}"))?);
        let output = server.0.stdout.take().expect("standard output is piped");
        let (sender, first) = channel();
        thread::spawn(move || {
            // Only the first line matters, but a server may wait until somebody reads the others.
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let line = first.recv_timeout(START).unwrap_or_default();
        let address = line.strip_prefix("listening on ");
        match address.and_then(|address| address.to_socket_addrs().ok()?.next()) {
            Some(address) => Ok((server, address)),
            None => Err(format!("no `listening on HOST:PORT` comes from `{shown}`")),
        }
    }

    /// How the server has ended, if it has.
    fn status(&mut self) -> Option<ExitStatus> {
        // Its connections end a moment before its process does.
        thread::sleep(PATIENCE / 20);
        self.0.try_wait().ok().flatten()
    }
}

/// Runs one row against the server at an address.
fn attack(&(name, _, attack): &Row, address: SocketAddr) -> Seen {
    let mut group = Group::new(name, address)?;
    let seen = attack(&mut group)?;
    group.chat()?; // a line that came twice, or a server that fell late, shows here
    Ok(seen)
}

/// What is attacked.
enum Target {
    /// The server that a command starts.
    Command(Vec<String>),
    /// A server that is running.
    Running(SocketAddr),
}

/// Runs one row, and returns the verdict and what was seen.
fn judge(row: &Row, target: &Target) -> Result<(&'static str, String), String> {
    let few_files = row.0 == "full";
    let (mut server, address) = match target {
        Target::Command(command) if cfg!(unix) || !few_files => {
            let (server, address) = Server::start(command, few_files)?;
            (Some(server), address)
        }
        Target::Running(address) if !few_files => (None, *address),
        _ => return Ok(("skipped", "`ulimit -n` cannot be set here".to_owned())),
    };
    let (verdict, seen) = match attack(row, address) {
        Ok(seen) => return Ok(("held", seen)),
        Err(fault) => fault,
    };
    if seen.contains("connection")
        && let Some(status) = server.as_mut().and_then(Server::status)
    {
        return Ok((verdict, format!("the server ended with {status}")));
    }
    Ok((verdict, seen))
}

/// Prints the rows, and returns whether all held.
fn scoreboard(rows: &[Row], target: &Target) -> Result<bool, String> {
    let (mut held, mut fell, mut skipped) = (0, 0, 0);
    for row in rows {
        let (verdict, seen) = judge(row, target)?;
        print(format_args!("{:<11}{:<50}{verdict}", row.0, row.1));
        print(format_args!("{:11}{seen:.68}", ""));
        match verdict {
            "held" => held += 1,
            "FELL" => fell += 1,
            _ => skipped += 1,
        }
        if let Target::Running(address) = target
            && Group::new("", *address).is_err()
        {
            print("The server no longer answers, so the other rows are not run.");
            break;
        }
    }
    let not_run = rows.len() - held - fell - skipped;
    print(format_args!(
        "{held} held, {fell} fell, {skipped} skipped, {not_run} not run"
    ));
    Ok(held == rows.len())
}

/// Prints a line. When nobody reads it any more, the exit status still tells.
fn print(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Does what the command line asks for.
pub fn main(all: &[Row], words: &[String]) -> ExitCode {
    let (words, command) = match words.iter().position(|word| word == "--") {
        Some(at) => (&words[..at], words[at + 1..].to_vec()),
        None => (words, Vec::new()),
    };
    if words == ["--list"] {
        all.iter()
            .for_each(|row| print(format_args!("{:<11}{}", row.0, row.1)));
        return ExitCode::SUCCESS;
    }
    let (names, addresses): (Vec<_>, Vec<_>) = words.iter().partition(|word| !word.contains(':'));
    let unknown = names
        .iter()
        .find(|name| all.iter().all(|row| row.0 != **name));
    if let Some(name) = unknown {
        eprintln!("attack: there is no row {name}; --list shows all");
        return ExitCode::from(2);
    }
    let mut rows = all.to_vec();
    rows.retain(|row| names.is_empty() || names.iter().any(|name| row.0 == **name));
    let result = match (addresses.as_slice(), command.is_empty()) {
        ([], true) => ours(&rows),
        ([], false) => scoreboard(&rows, &Target::Command(command)),
        ([address], true) => connect(address).and_then(|target| scoreboard(&rows, &target)),
        _ => {
            eprintln!("attack: one server at a time, a command or an address");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(sentence) => {
            eprintln!("attack: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Attacks our own server, which cargo compiles first if it has changed.
fn ours(rows: &[Row]) -> Result<bool, String> {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let mut all = true;
    for engine in ENGINES {
        print(format_args!("our server, --engine {engine}:"));
        let mut command = vec![cargo.clone()];
        command.extend(["run", "-q", "--manifest-path", manifest, "--"].map(str::to_owned));
        command.extend(["server", "127.0.0.1:0", "--engine", engine].map(str::to_owned));
        all &= scoreboard(rows, &Target::Command(command))?;
    }
    Ok(all)
}

/// The server at an address, which must answer.
fn connect(address: &str) -> Result<Target, String> {
    let cannot = |error: io::Error| format!("cannot connect to {address}: {error}");
    let stream = address.to_socket_addrs().and_then(|mut addresses| {
        let address = addresses.next().ok_or(io::ErrorKind::NotFound)?;
        TcpStream::connect_timeout(&address, PATIENCE)
    });
    let peer = stream
        .and_then(|stream| stream.peer_addr())
        .map_err(cannot)?;
    Ok(Target::Running(peer))
}
