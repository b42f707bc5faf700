//! Shared by both benchmarks: a server process whose memory and processor time can be measured, and
//! the printed table.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

/// How long a benchmark waits for data that should arrive at once. After that it fails.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The pause after each new connection.
const CONNECT_PAUSE: Duration = Duration::from_micros(100);

/// Descriptors that a process needs in addition to its connections, for example for its log and its
/// listener.
const OTHER_FILES: usize = 20;

/// The options on the command line.
#[derive(Default)]
pub struct Options {
    /// Take only a few seconds. That is long enough to check that everything arrives, but too short
    /// for good numbers.
    pub quick: bool,
    /// The number of connections, instead of the usual numbers.
    pub members: Option<usize>,
    /// The address of a server that already runs, which is measured, too.
    pub peer: Option<String>,
    /// The other words. Each benchmark handles them itself.
    pub rest: Vec<String>,
}

impl Options {
    /// Reads `[--quick] [--members N] [--peer HOST:PORT]`.
    ///
    /// # Errors
    ///
    /// Fails if a number or an address is missing.
    pub fn parse() -> io::Result<Self> {
        let mut options = Self::default();
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--bench" => {} // cargo passes it to every benchmark
                "--quick" => options.quick = true,
                "--members" => {
                    let number = words.next().and_then(|word| word.parse().ok());
                    let number = number.filter(|&number| number > 0);
                    options.members =
                        Some(number.ok_or(io::Error::other("--members needs a number above 0"))?);
                }
                "--peer" => {
                    let address = words
                        .next()
                        .ok_or(io::Error::other("--peer needs HOST:PORT"))?;
                    options.peer = Some(address);
                }
                _ => options.rest.push(word),
            }
        }
        Ok(options)
    }
}

/// A server to measure. If the benchmark has started it, dropping this value kills it.
pub struct Server {
    /// The address at which it listens.
    pub address: String,
    process: Option<Child>,
}

impl Server {
    /// Starts this command, and waits until it prints the address at which it listens.
    ///
    /// # Errors
    ///
    /// Fails if the command does not start, or if it prints something else first.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let mut log = BufReader::new(process.stdout.take().expect("is piped"));
        let mut first = String::new();
        log.read_line(&mut first)?;
        // If no thread read the pipe, it would be full after a few thousand lines, and the server
        // would wait.
        thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        let process = Some(process);
        match first.trim_end().strip_prefix("listening on ") {
            Some(address) => Ok(Self {
                address: address.to_owned(),
                process,
            }),
            None => Err(io::Error::other("the server does not print its address")),
        }
    }

    /// A server that already runs.
    #[must_use]
    pub fn running_at(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            process: None,
        }
    }

    /// Opens `count` connections.
    ///
    /// # Errors
    ///
    /// Fails if the server refuses a connection, or if there are too few descriptors.
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
            // The backlog of a listener is short (std: 128, the tutorial: 5). If it is full, the
            // client's kernel tries again only after a second.
            thread::sleep(CONNECT_PAUSE);
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            Ok(stream)
        };
        (0..count).map(connect).collect()
    }

    /// The text of a file in `/proc/PID`. It is `None` for a peer, and on systems without `/proc`.
    fn proc(&self, file: &str) -> Option<String> {
        let process = self.process.as_ref()?;
        fs::read_to_string(format!("/proc/{}/{file}", process.id())).ok()
    }

    /// A number from `/proc/PID/status`.
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

    /// The number of the server's threads.
    #[must_use]
    pub fn threads(&self) -> Option<f64> {
        self.status("Threads:")
    }

    /// The processor time that the server's present threads have used, in seconds. The first number
    /// in a thread's `schedstat` is in nanoseconds. The better known `stat` counts only hundredths
    /// of a second.
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

    /// How much of one core the server uses while no client sends anything, in percent.
    #[must_use]
    pub fn idle_cpu(&self, time: Duration) -> Option<f64> {
        // A polling server that is idle tries its sockets less and less often for about a second.
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

/// How many files a process may have open. The shell knows the limit, and the servers inherit it.
fn descriptor_limit() -> Option<usize> {
    let shell = Command::new("sh").args(["-c", "ulimit -n"]).output().ok()?;
    std::str::from_utf8(&shell.stdout).ok()?.trim().parse().ok()
}

/// A percentile of these sorted times, in microseconds: `percent` percent of them are not longer.
#[must_use]
pub fn percentile(times: &[Duration], percent: usize) -> f64 {
    let last = times.len().saturating_sub(1);
    let time = times.get(last * percent / 100);
    time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}

/// A figure for the table, or a dash if there is no value.
#[must_use]
pub fn figure(value: Option<f64>, decimals: usize) -> String {
    match value {
        Some(value) if value.is_finite() => format!("{value:.decimals$}"),
        _ => "–".to_owned(),
    }
}

/// Lays out rows as a Markdown table with aligned columns. The first row is the header.
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
