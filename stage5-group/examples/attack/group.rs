//! The members of a group: those that attack, and ann and bob, who must not notice.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take. A server that needs longer has stopped.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// What was seen where the server held. Otherwise the verdict, FELL or skipped, and why.
pub type Seen<T = String> = Result<T, (&'static str, String)>;

pub fn fell<T>(why: impl Into<String>) -> Seen<T> {
    Err(("FELL", why.into()))
}

/// The verdict where it is not the server that fails, but this program.
pub fn skipped(why: impl Display) -> (&'static str, String) {
    ("skipped", format!("not possible here: {why}"))
}

/// Ann, bob, and what they must hear.
pub struct Group {
    pub name: &'static str,
    pub address: SocketAddr,
    pub witnesses: Vec<Member>,
    /// The end of each line, in order.
    pub said: Vec<String>,
}

impl Group {
    /// Ann and bob join.
    pub fn new(name: &'static str, address: SocketAddr) -> Seen<Self> {
        let (witnesses, said) = (Vec::new(), Vec::new());
        let mut group = Self {
            name,
            address,
            witnesses,
            said,
        };
        for name in ["ann", "bob"] {
            let witness = group.join(name)?;
            group.witnesses.push(witness);
        }
        group.chat()?;
        Ok(group)
    }

    /// The next message, as JSON, which must become a line. A server may replace control characters.
    pub fn message(&mut self, name: &str, text: &str) -> String {
        let number = self.said.len();
        if number.is_multiple_of(50) && io::stdout().is_terminal() {
            print!("{:<11}line {number}\r", self.name); // the verdict replaces it
            let _ = io::stdout().flush();
        }
        let text = format!("{text} <{number}>");
        let plain = text.rsplit(is_command).next().unwrap_or("");
        self.said.push(plain.to_owned());
        let (name, text) = (quote(name), quote(&(text + "\n")));
        format!("{{\"name\": {name}, \"msg\": {text}}}")
    }

    /// Connects a member, which is in as soon as it hears itself.
    pub fn join(&mut self, name: &str) -> Seen<Member> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE);
        let stream = stream.map_err(|error| match error.raw_os_error() {
            Some(24) if cfg!(unix) => skipped(error), // EMFILE: this program has too many files
            _ => ("FELL", format!("no connection: {error}")),
        })?;
        let _ = stream.set_nodelay(true);
        let _ = stream.set_write_timeout(Some(PATIENCE));
        let mut member = Member {
            stream,
            bytes: Vec::new(),
            next: self.said.len(),
            heard: Vec::new(),
            shown: name.to_owned(),
        };
        member.send(self.message(name, "is here"))?;
        if !member.hear(&self.said, PATIENCE)? {
            return fell(format!("{name} did not hear itself"));
        }
        if let Some(author) = member.heard.last().and_then(|line| author(line)) {
            member.shown = author.to_owned();
        }
        Ok(member)
    }

    pub fn say(&mut self, member: &Member, name: &str, text: &str) -> Seen<()> {
        member.send(self.message(name, text))?;
        self.hear()
    }

    /// The same, after this member has said a further line: that shows at once what was lost.
    pub fn hear_next(&mut self, member: &Member) -> Seen<()> {
        thread::sleep(PATIENCE / 100); // so that it arrives alone
        self.say(member, &member.shown, "and this")
    }

    /// Ann and bob each say a line.
    pub fn chat(&mut self) -> Seen<()> {
        for (index, name) in ["ann", "bob"].into_iter().enumerate() {
            let message = self.message(name, "meanwhile");
            self.witnesses[index].send(message)?;
            self.hear()?;
        }
        Ok(())
    }

    /// Ann says so many bytes; `late` is called when a line needs long.
    pub fn talk(&mut self, bytes: usize, mut late: impl FnMut(&[String]) -> Seen<()>) -> Seen<()> {
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
    pub fn hear(&mut self) -> Seen<()> {
        match self.hear_within(PATIENCE)? {
            true => Ok(()),
            false => fell(format!(
                "everyone waited {} s for a line",
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
    pub fn nobody_reads(&self, bad: impl Fn(&str) -> bool) -> Seen<()> {
        let mut heard = self.witnesses.iter().flat_map(|witness| &witness.heard);
        match heard.find(|line| bad(line)) {
            Some(line) => fell(format!("they read: {}", line.escape_debug())),
            None => Ok(()),
        }
    }
}

/// A connection to the server.
pub struct Member {
    pub stream: TcpStream,
    /// What it has read of the next line.
    bytes: Vec<u8>,
    /// The number of the line that it must hear next.
    pub next: usize,
    heard: Vec<String>,
    /// Its name, as the server shows it.
    pub shown: String,
}

impl Member {
    pub fn send(&self, bytes: impl AsRef<[u8]>) -> Seen<()> {
        let sent = (&self.stream).write_all(bytes.as_ref());
        sent.map_err(|error| ("FELL", format!("a connection broke: {error}")))
    }

    /// Reads lines until it has heard all that was said. Returns whether that took not too long.
    pub fn hear(&mut self, said: &[String], patience: Duration) -> Seen<bool> {
        let deadline = Instant::now() + patience;
        while self.next < said.len() {
            let Some(line) = self.line(deadline)? else {
                return Ok(false);
            };
            match number(&line) {
                None => {}
                Some(number) if number < self.next => {
                    return fell(format!("line {number} came twice"));
                }
                Some(number) if number > self.next => {
                    return fell(format!("line {} was lost", self.next));
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
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            if let Some(end) = self.bytes.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.bytes.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            let _ = self.stream.set_read_timeout(Some(left));
            match self.stream.read(&mut chunk) {
                Ok(0) => return fell("the server closed a connection"),
                Ok(length) => self.bytes.extend_from_slice(&chunk[..length]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                    _ => return fell(format!("a connection broke: {error}")),
                },
            }
        }
    }

    /// Whether the server ends the connection in time.
    pub fn has_ended(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            match self.line(deadline) {
                Ok(Some(_)) => {} // what it was still sent
                end => return end.is_err(),
            }
        }
    }
}

/// The number at the end of a line that was said.
pub fn number(line: &str) -> Option<usize> {
    line.strip_suffix('>')?.rsplit_once('<')?.1.parse().ok()
}

/// Who said a line, as a reader sees it. A line that does not begin at the margin has no author.
pub fn author(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.split_once(']')?.1.split(':').next()
}

/// Whether a terminal obeys this character instead of showing it.
pub fn is_command(c: char) -> bool {
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
pub fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    Ok((near, listener.accept()?.0))
}

/// How many bytes a connection holds when its other end does not read. If that is not less than
/// `most`, to send `most` bytes would prove nothing.
pub fn capacity(most: usize) -> Seen<usize> {
    let (mut near, _far) = pair().map_err(skipped)?;
    let _ = near.set_write_timeout(Some(PATIENCE / 16));
    let mut held = 0;
    while let Ok(length) = near.write(&[b'x'; 64 * 1024]) {
        held += length;
        if held > most {
            return Err(skipped("a socket holds more than this row sends"));
        }
    }
    Ok(held)
}
