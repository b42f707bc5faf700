//! Helpers for the tests of all chapters. Servers, connections and clients end with their test. A
//! wait ends as soon as its condition holds, and fails at a deadline.

#![allow(dead_code, reason = "each chapter uses its own part")]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use std::{fs, mem, thread};

/// How long a test waits for something that should happen at once. Only a failing test waits that
/// long.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A server of the chapter, on its own port. Dropping it kills it.
pub struct Server {
    child: Child,
    /// The address at which it listens.
    pub address: SocketAddr,
    log: Receiver<String>,
}

impl Server {
    /// Starts `BINARY server 127.0.0.1:0 OPTIONS`, and waits until it listens.
    pub fn start(binary: &str, options: &[&str]) -> Self {
        let mut command = Command::new(binary);
        command.args(["server", "127.0.0.1:0"]).args(options);
        Self::spawn(command)
    }

    /// Starts this command, and waits until it prints the address at which it listens.
    pub fn spawn(command: Command) -> Self {
        Self::spawn_read(command, usize::MAX)
    }

    /// Like `spawn`, but closes the server's standard output after `count` lines, as `| head -1`
    /// does.
    pub fn spawn_read(command: Command, count: usize) -> Self {
        Self::spawn_then(command, count, drop)
    }

    /// Like `spawn`, but reads only the first line of the server's standard output, and keeps it
    /// open.
    pub fn spawn_unread(command: Command) -> Self {
        Self::spawn_then(command, 1, mem::forget)
    }

    fn spawn_then(mut command: Command, count: usize, then: fn(BufReader<ChildStdout>)) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let log = lines(child.stdout.take().expect("is piped"), count, then);
        let first = log
            .recv_timeout(DEADLINE)
            .expect("the server prints that it listens");
        let address = first
            .strip_prefix("listening on ")
            .expect("that is its first line");
        let address = address.parse().expect("what it listens on is an address");
        Self {
            child,
            address,
            log,
        }
    }

    /// Waits until the log is closed.
    pub fn wait_for_closed_log(&self) {
        until_closed(&self.log);
    }

    /// A new connection.
    pub fn connect(&self) -> Peer {
        Peer::new(TcpStream::connect(self.address).expect("the server accepts"))
    }

    /// Waits for a line of the log that contains this.
    pub fn wait_for_log(&self, part: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("no line of the log contains {part:?}"));
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Whether the log already has a line that contains this. Lines that the test has read before
    /// do not count.
    pub fn has_logged(&self, part: &str) -> bool {
        self.log.try_iter().any(|line| line.contains(part))
    }

    /// Kills the server, and returns the lines of the log that the test has not read yet.
    pub fn end_and_read_log(mut self) -> Vec<String> {
        self.kill();
        until_closed(&self.log)
    }

    /// The process id, for `/proc`.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("can be asked").is_none()
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().expect("can be killed");
        self.child.wait().expect("ends");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that sends and receives exact bytes.
pub struct Peer {
    stream: BufReader<TcpStream>,
}

impl Peer {
    pub fn new(stream: TcpStream) -> Self {
        stream
            .set_read_timeout(Some(DEADLINE))
            .expect("is not zero");
        stream
            .set_write_timeout(Some(DEADLINE))
            .expect("is not zero");
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// The socket, for operations that this type does not have.
    pub fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream
            .get_mut()
            .write_all(bytes.as_ref())
            .expect("the peer accepts it");
    }

    /// Reads exactly `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).expect("they arrive");
        bytes
    }

    /// Reads the next line. Returns it without its newline.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line arrives");
        assert!(line.ends_with('\n'), "the connection ended within {line:?}");
        line.pop();
        line
    }

    /// Skips lines until one contains this, and returns that line.
    pub fn line_with(&mut self, part: &str) -> String {
        loop {
            let line = self.line();
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Whether no bytes wait to be read.
    pub fn has_nothing_yet(&mut self) -> bool {
        self.socket().set_nonblocking(true).expect("is possible");
        let waiting = self.stream.fill_buf().map(<[u8]>::len);
        self.socket().set_nonblocking(false).expect("is possible");
        waiting.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Closes the sending side.
    pub fn shut_down_write(&mut self) {
        self.socket()
            .shutdown(Shutdown::Write)
            .expect("is connected");
    }

    /// Reads everything up to the end of file.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream
            .read_to_end(&mut rest)
            .expect("the connection ends");
        rest
    }

    /// Ends the connection with a reset instead of an end of file. A socket that is closed while it
    /// holds unread bytes sends a reset (RFC 2525 §2.17). So the other side must have sent some
    /// bytes.
    pub fn reset(self) {
        let mut byte = [0];
        self.socket()
            .peek(&mut byte)
            .expect("there are unread bytes");
    }
}

/// A client of the chapter in line mode. Dropping it kills it.
pub struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    output: Receiver<String>,
    errors: Receiver<String>,
}

impl Client {
    /// Starts `BINARY client ADDRESS OPTIONS`.
    pub fn start(binary: &str, address: SocketAddr, options: &[&str]) -> Self {
        let mut command = Command::new(binary);
        command.args(["client", &address.to_string()]).args(options);
        Self::spawn(command)
    }

    pub fn spawn(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let output = lines(child.stdout.take().expect("is piped"), usize::MAX, drop);
        let errors = lines(child.stderr.take().expect("is piped"), usize::MAX, drop);
        Self {
            stdin: child.stdin.take(),
            child,
            output,
            errors,
        }
    }

    /// Writes this to the client's standard input, as if a user typed it.
    pub fn type_in(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("is open");
        stdin.write_all(text.as_bytes()).expect("is read");
    }

    /// The most memory that it has used, in KiB. `None` on systems without `/proc`.
    pub fn peak_memory(&self) -> Option<usize> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        peak.split_whitespace().next()?.parse().ok()
    }

    /// Closes its standard input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// The next line that it shows.
    pub fn line(&self) -> String {
        self.output
            .recv_timeout(DEADLINE)
            .expect("the client shows a line")
    }

    /// Skips lines until one contains this, and returns that line.
    pub fn line_with(&self, part: &str) -> String {
        loop {
            let line = self.line();
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Waits until the client ends. Returns its exit status, the lines of its output that the test
    /// has not read yet, and its error messages.
    pub fn wait(mut self) -> (i32, Vec<String>, Vec<String>) {
        let output = until_closed(&self.output);
        let errors = until_closed(&self.errors);
        let status = self.child.wait().expect("ends");
        (status.code().expect("no signal ended it"), output, errors)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command with this standard input until it ends. Returns its exit status, its output, and
/// its error messages.
pub fn run(binary: &str, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut command = Command::new(binary);
    command.args(arguments);
    let mut client = Client::spawn(command);
    let (mut stdin, input) = (client.stdin.take().expect("is open"), input.to_owned());
    // A program that does not read its input may end before all of it is written.
    thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let (status, output, errors) = client.wait();
    (status, output.join("\n"), errors.join("\n"))
}

/// Reads the first `count` lines of `source` on a thread, which then passes `source` to `then`.
fn lines<R: Read + Send + 'static>(
    source: R,
    count: usize,
    then: fn(BufReader<R>),
) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        let mut source = BufReader::new(source);
        for line in source.by_ref().split(b'\n').take(count) {
            let Ok(line) = line else { return };
            let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
        }
        then(source);
    });
    lines
}

/// All lines up to the end of file.
fn until_closed(lines: &Receiver<String>) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        match lines.recv_timeout(DEADLINE) {
            Ok(line) => all.push(line),
            Err(RecvTimeoutError::Disconnected) => return all,
            Err(RecvTimeoutError::Timeout) => panic!("the program does not end; it showed {all:?}"),
        }
    }
}
