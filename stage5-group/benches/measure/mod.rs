//! What the benchmarks share: the server as a process that can be weighed, and the table.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

/// How long the load waits for what should come at once, before it says that something is lost.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The pause after each connection.
const KNOCK_EVERY: Duration = Duration::from_micros(100);

/// Descriptors that a process needs beside its connections: its log, its listener, its code.
const OTHER_FILES: usize = 20;

/// What the command line asks for.
#[derive(Default)]
pub struct Options {
    /// A few seconds in all: enough to see that everything arrives, too short for good figures.
    pub quick: bool,
    /// So many connections instead of the usual numbers.
    pub members: Option<usize>,
    /// A server that already runs, to be measured beside ours.
    pub peer: Option<String>,
    /// Words that only the benchmark itself understands.
    pub rest: Vec<String>,
}

impl Options {
    /// Reads `[--quick] [--members N] [--peer HOST:PORT]`.
    ///
    /// # Errors
    ///
    /// A number or an address is missing.
    pub fn parse() -> io::Result<Self> {
        let mut options = Self::default();
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--bench" => {} // cargo says it to every benchmark
                "--quick" => options.quick = true,
                "--members" => {
                    let number = words.next().and_then(|word| word.parse().ok());
                    let number = number.filter(|&number| number > 0);
                    options.members = Some(number.ok_or(io::Error::other("--members N"))?);
                }
                "--peer" => {
                    let address = words.next().ok_or(io::Error::other("--peer HOST:PORT"))?;
                    options.peer = Some(address);
                }
                _ => options.rest.push(word),
            }
        }
        Ok(options)
    }
}

/// A server to be measured; one that we have started is killed when dropped.
pub struct Server {
    /// Where it listens.
    pub address: String,
    process: Option<Child>,
}

impl Server {
    /// Starts this command, and waits until it says where it listens.
    ///
    /// # Errors
    ///
    /// It does not start, or says something else.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let mut log = BufReader::new(process.stdout.take().expect("is piped"));
        let mut first = String::new();
        log.read_line(&mut first)?;
        // A pipe that nobody empties would stop the server after some thousand lines.
        thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        let process = Some(process);
        match first.trim_end().strip_prefix("listening on ") {
            Some(address) => Ok(Self {
                address: address.to_owned(),
                process,
            }),
            None => Err(io::Error::other("the server does not say where it listens")),
        }
    }

    /// A server that somebody else has started.
    #[must_use]
    pub fn running_at(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            process: None,
        }
    }

    /// Opens so many connections.
    ///
    /// # Errors
    ///
    /// The server refuses one, or the descriptors do not suffice.
    pub fn connect(&self, count: usize) -> io::Result<Vec<TcpStream>> {
        if let Some(limit) = descriptor_limit()
            && limit < count + OTHER_FILES
        {
            let need = count + OTHER_FILES;
            return Err(io::Error::other(format!(
                "{count} connections need {need} descriptors and the limit is {limit}: \
                 raise it with `ulimit -n {need}`, or ask for fewer with `-- --members N`"
            )));
        }
        let connect = |_| {
            let stream = TcpStream::connect(&self.address)?;
            // A server queues few who wait to be let in (std: 128, the tutorial: 5); who comes when
            // the queue is full tries again after a second.
            thread::sleep(KNOCK_EVERY);
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        (0..count).map(connect).collect()
    }

    /// A file of `/proc/PID`: `None` for a peer, and where there is no `/proc`.
    fn proc(&self, file: &str) -> Option<String> {
        let process = self.process.as_ref()?;
        fs::read_to_string(format!("/proc/{}/{file}", process.id())).ok()
    }

    /// A number of `/proc/PID/status`.
    fn status(&self, key: &str) -> Option<f64> {
        let status = self.proc("status")?;
        let value = status.lines().find_map(|line| line.strip_prefix(key))?;
        value.split_whitespace().next()?.parse().ok()
    }

    /// Resident memory, in KiB.
    #[must_use]
    pub fn resident(&self) -> Option<f64> {
        self.status("VmRSS:")
    }

    /// How many threads there are.
    #[must_use]
    pub fn threads(&self) -> Option<f64> {
        self.status("Threads:")
    }

    /// The processor time that the threads there are have used, in seconds. The first number of a
    /// thread's `schedstat` is in nanoseconds, where the better known `stat` counts hundredths of
    /// a second.
    #[must_use]
    pub fn cpu(&self) -> Option<f64> {
        let process = self.process.as_ref()?;
        let tasks = fs::read_dir(format!("/proc/{}/task", process.id())).ok()?;
        let mut nanoseconds = 0.0;
        for task in tasks.flatten() {
            let schedstat = fs::read_to_string(task.path().join("schedstat")).ok()?;
            nanoseconds += schedstat.split(' ').next()?.parse::<f64>().ok()?;
        }
        Some(nanoseconds / 1e9)
    }

    /// The share of one core that it uses while nobody says anything, in per cent.
    #[must_use]
    pub fn idle_cpu(&self, time: Duration) -> Option<f64> {
        // Polling slows down until it has been silent for a second.
        thread::sleep(time * 3 / 2);
        let before = self.cpu()?;
        thread::sleep(time);
        Some((self.cpu()? - before) / time.as_secs_f64() * 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// How many files a process may have open, as the shell knows it; the servers inherit the same.
fn descriptor_limit() -> Option<usize> {
    let shell = Command::new("sh").args(["-c", "ulimit -n"]).output().ok()?;
    std::str::from_utf8(&shell.stdout).ok()?.trim().parse().ok()
}

/// The time that so many per cent of these, which are in order, do not exceed; in microseconds.
#[must_use]
pub fn percentile(times: &[Duration], per_cent: usize) -> f64 {
    let last = times.len().saturating_sub(1);
    let time = times.get(last * per_cent / 100);
    time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}

/// A figure of the table, or a dash where there is none.
#[must_use]
pub fn figure(value: Option<f64>, decimals: usize) -> String {
    match value {
        Some(value) if value.is_finite() => format!("{value:.decimals$}"),
        _ => "–".to_owned(),
    }
}

/// Lays out rows as a Markdown table, the columns in line; the first row is the head.
#[must_use]
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut table = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(table, "| {cell:<width$} |"),
                _ => write!(table, " {cell:>width$} |"),
            };
        }
        table.push('\n');
        if index == 0 {
            table.push_str("| --- |");
            table.push_str(&" ---: |".repeat(columns.saturating_sub(1)));
            table.push('\n');
        }
    }
    table
}
