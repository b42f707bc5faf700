//! The terminal that the window is drawn on: its mode, its size, its keys and its rows.

use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{env, mem, panic, process, thread};

/// Alternate screen, no automatic wrap, mouse clicks in SGR form, bracketed paste. These are xterm's
/// control sequences, which today's terminals follow.
const ENTER: &str = "\x1b[?1049h\x1b[?7l\x1b[?1000h\x1b[?1006h\x1b[?2004h";
const LEAVE: &str = "\x1b[?2004l\x1b[?1006l\x1b[?1000l\x1b[?7h\x1b[?25h\x1b[m\x1b[?1049l";

/// Hides the cursor, and asks the terminal to show the frame only when it is complete.
const BEGIN_FRAME: &str = "\x1b[?2026h\x1b[?25l";
const END_FRAME: &str = "\x1b[?25h\x1b[?2026l";

/// After this time all rows are drawn again, in case the terminal has lost one.
const FULL_REDRAW: Duration = Duration::from_secs(1);

/// How often a non-blocking standard input is read.
const READ_POLL: Duration = Duration::from_millis(33);

/// Standard input and standard output, if the window can be drawn there.
#[derive(Debug)]
pub struct Terminal {
    /// The mode before the window, as `stty -g` prints it. `None` means line mode.
    saved: Option<String>,
    /// Whether the window has the terminal. Locked during each write, so that nothing is written
    /// after the terminal is given back.
    taken: Mutex<bool>,
}

impl Terminal {
    /// Finds out whether the window can be drawn. Windows has no `stty`. The `stty` of another
    /// program, for example of Git, does not change the mode of the Windows console.
    pub fn new(plain: bool) -> Self {
        let able = env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
        let there = io::stdin().is_terminal() && io::stdout().is_terminal();
        let usable = cfg!(unix) && able && there && !plain;
        let saved = usable.then(|| stty(&["-g"]).ok()).flatten();
        Self {
            saved,
            taken: Mutex::new(false),
        }
    }

    /// Whether the window is drawn. Otherwise it works in lines.
    pub fn is_drawn(&self) -> bool {
        self.saved.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets raw mode: each key arrives at once and unchanged, even Ctrl-C.
    pub fn take(&self) -> io::Result<()> {
        *self.lock() = true;
        let taken = stty(&["raw", "-echo"]).and_then(|_| print(ENTER));
        taken.inspect_err(|_| _ = self.give_back())
    }

    /// Writes, unless the terminal has been given back.
    fn write(&self, frame: &str) -> io::Result<()> {
        let taken = self.lock();
        if *taken { print(frame) } else { Ok(()) }
    }

    /// Restores the terminal, once. Returns whether this call did it.
    pub fn give_back(&self) -> bool {
        let mut taken = self.lock();
        if let Some(saved) = &self.saved
            && *taken
        {
            let _ = print(LEAVE);
            let _ = stty(&[saved]);
        }
        mem::take(&mut taken)
    }

    /// If any thread panics, restores the terminal, so that the message can be read, and ends the
    /// program.
    pub fn give_back_on_panic(self: &Arc<Self>) {
        let terminal = Arc::clone(self);
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let given_back = terminal.give_back();
            hook(panic);
            if given_back {
                process::exit(101);
            }
        }));
    }

    /// The size, in columns and rows. `None` if the terminal does not know its size.
    pub fn size(&self) -> Option<(usize, usize)> {
        let size = stty(&["size"]).ok()?;
        let numbers: Vec<usize> = size.split(' ').flat_map(str::parse).collect();
        match numbers[..] {
            [rows, columns] if rows.min(columns) > 0 => Some((columns, rows)),
            _ => None,
        }
    }
}

/// What the terminal shows. A row that has not changed is drawn again only after `FULL_REDRAW`.
#[derive(Debug)]
pub struct Canvas<'a> {
    terminal: &'a Terminal,
    rows: Vec<String>,
    full_redraw: Instant,
}

impl<'a> Canvas<'a> {
    pub fn new(terminal: &'a Terminal) -> Self {
        Self {
            terminal,
            rows: Vec::new(),
            full_redraw: Instant::now(),
        }
    }

    /// Draws these rows, with one write, and puts the cursor into this column and this row.
    pub fn draw(&mut self, rows: Vec<String>, (column, row): (usize, usize)) -> io::Result<()> {
        // The title is as wide as the screen, so a new size changes the first row. The terminal may
        // also have had another size for a moment, so everything is drawn from time to time.
        let same = (self.rows.len(), self.rows.first()) == (rows.len(), rows.first());
        if !same || self.full_redraw.elapsed() > FULL_REDRAW {
            self.rows.clear();
            self.full_redraw = Instant::now();
        }
        let mut frame = String::from(BEGIN_FRAME);
        for (index, row) in rows.iter().enumerate() {
            if self.rows.get(index) != Some(row) {
                // The row is erased before it is drawn. After a full row, the cursor stands on its
                // last character, so erasing would remove that character.
                frame += &format!("\x1b[{};1H\x1b[K{row}", index + 1);
            }
        }
        frame += &format!("\x1b[{};{}H{END_FRAME}", row + 1, column + 1);
        self.rows = rows;
        self.terminal.write(&frame)
    }
}

/// Standard input. Another program may have made it non-blocking. Then `read` waits, and tries
/// again.
#[derive(Debug)]
pub struct Stdin;

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match io::stdin().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(READ_POLL),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

/// Runs POSIX `stty` on standard input, and returns what it prints.
fn stty(arguments: &[&str]) -> io::Result<String> {
    let mut stty = Command::new("stty");
    let output = stty.args(arguments).stdin(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other("stty cannot configure the terminal"));
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    Ok(printed.trim_end().to_owned())
}

/// Writes to standard output, and waits until it is written.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
