//! The chat window: the tutorial's tkinter window (§3.1), drawn in the terminal.
//!
//! The parts have tkinter's names. [`Output`] is the pane that any thread may `insert` text into,
//! and through which it may `destroy` the window. The `command` is what the button 发送 does with
//! the text of the input. `WM_DELETE_WINDOW` is what happens when the user closes the window; that
//! alone does not make it go. [`Window::mainloop`] runs it all until the window is destroyed.
//!
//! [`Keyboard`] makes keys of bytes, [`Face`] is what keys and text change and what the screen
//! shows: both are pure. Around them is a thin rim of threads that share the face: one reads the
//! keyboard, one draws, one follows the size of the terminal. The main loop only runs `command`,
//! so that nothing freezes while it waits for the network.
//!
//! Where there is no terminal the window works in lines: one typed is one sent, and the end of
//! input closes. A signal that kills leaves the terminal as it is: std catches none.

use std::collections::VecDeque;
use std::io::{self, BufRead, ErrorKind, IsTerminal, Read, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{env, mem, panic, process, thread};

use crate::text::{columns, harmless, take_text, width, wrap};

/// The most lines that the output keeps, and the most bytes of one, its newline included: a longer
/// one is cut in two. That is 40 MB at the worst.
const LINES: usize = 10_000;
const LINE: usize = 4096;

/// The most bytes that the input takes. A message has 64 KiB on the wire, where JSON may need
/// three bytes for one.
const INPUT: usize = 16 * 1024;

/// How many texts the user may send before the `command` has got the first.
const UNSENT: usize = 100;

/// The smallest window, in columns and rows.
const SMALLEST: (usize, usize) = (20, 6);

/// How many rows one notch of the wheel scrolls.
const NOTCH: usize = 3;

/// The time from one drawing to the next: 30 a second look like motion, more only cost.
const FRAME: Duration = Duration::from_millis(33);

/// How long a row may be taken for what the terminal still shows.
const WHOLE: Duration = Duration::from_secs(1);

/// How often the size of the terminal is looked up. A signal would tell, but std catches none.
const LOOK: Duration = Duration::from_millis(400);

/// Begins each row of the output but a line's first, so that no text, however it is padded, can
/// pass for a line of its own.
const INDENT: &str = "  ";

const BUTTON: &str = " 发送 Send ";
/// White on number 33 of the 256 colours, the nearest to the tutorial's `DodgerBlue`.
const BLUE: &str = "\x1b[97;48;5;33m";
const REVERSE: &str = "\x1b[7m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[m";

/// Alternate screen, no automatic wrap, mouse clicks in SGR form, bracketed paste: xterm's control
/// sequences, which every terminal of today follows.
const ENTER: &str = "\x1b[?1049h\x1b[?7l\x1b[?1000h\x1b[?1006h\x1b[?2004h";
const LEAVE: &str = "\x1b[?2004l\x1b[?1006l\x1b[?1000l\x1b[?7h\x1b[?25h\x1b[m\x1b[?1049l";

const ESC: u8 = 0x1B;

/// The longest control sequence that is waited for, in bytes.
const SEQUENCE: usize = 32;

/// What the user does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character of the text, typed or pasted.
    Char(char),
    /// Sends.
    Enter,
    /// Takes back the last character.
    Backspace,
    /// Takes back everything.
    CtrlU,
    /// Closes the window.
    CtrlC,
    /// Closes the window, too, if nothing is typed: the end of input.
    CtrlD,
    /// Scrolls the output by a page.
    PageUp,
    /// The same the other way.
    PageDown,
    /// Scrolls the output a little.
    WheelUp,
    /// The same the other way.
    WheelDown,
    /// The left button of the mouse, in this column and this row; the first is 1.
    Click(usize, usize),
}

/// Makes keys of the bytes that a terminal sends, however they are cut.
#[derive(Debug, Default)]
pub struct Keyboard {
    /// The beginning of a key that has not come whole.
    unfinished: Vec<u8>,
    pasting: bool,
}

impl Keyboard {
    /// The keys that `bytes` complete. A lone Escape waits for the next key, and is then dropped,
    /// unless both together are the beginning of a sequence.
    pub fn keys(&mut self, bytes: &[u8]) -> Vec<Key> {
        let mut unfinished = mem::take(&mut self.unfinished);
        unfinished.extend_from_slice(bytes);
        let mut rest = &unfinished[..];
        let mut keys = Vec::new();
        while let Some((length, key)) = self.first(rest) {
            keys.extend(key);
            rest = &rest[length..];
        }
        self.unfinished = rest.to_vec();
        keys
    }

    /// The first key, if it means anything, and how many bytes it has; `None` until it is whole.
    fn first(&mut self, bytes: &[u8]) -> Option<(usize, Option<Key>)> {
        match bytes {
            [] | [ESC] | [ESC, b'O'] => None,
            [ESC, b'O', b'@'..=b'~', ..] => Some((3, None)),
            // A function key of the Linux console.
            [ESC, b'[', b'['] => None,
            [ESC, b'[', b'[', b'@'..=b'~', ..] => Some((4, None)),
            // A control sequence: parameters and one final byte (ECMA-48 §5.4).
            [ESC, b'[', rest @ ..] => match rest.iter().position(|b| !(b' '..=b'?').contains(b)) {
                None if rest.len() < SEQUENCE => None,
                None => Some((bytes.len(), None)),
                Some(end) if (b'@'..=b'~').contains(&rest[end]) => {
                    Some((end + 3, self.sequence(&rest[..=end])))
                }
                Some(end) => Some((end + 2, None)),
            },
            [ESC, ..] => Some((1, None)),
            _ => {
                let bytes = &bytes[..bytes.len().min(4)];
                if let Some(c) = bytes.utf8_chunks().next()?.valid().chars().next() {
                    return Some((c.len_utf8(), self.character(c)));
                }
                let error = str::from_utf8(bytes).expect_err("no character comes first");
                let length = error.error_len()?;
                Some((length, Some(Key::Char(char::REPLACEMENT_CHARACTER))))
            }
        }
    }

    fn character(&self, c: char) -> Option<Key> {
        match c {
            // What a terminal pastes for a newline is what its Enter key sends.
            '\r' if self.pasting => Some(Key::Char('\n')),
            _ if self.pasting || c == '\t' || !c.is_control() => Some(Key::Char(harmless(c))),
            '\r' | '\n' => Some(Key::Enter),
            '\x08' | '\x7F' => Some(Key::Backspace),
            '\x03' => Some(Key::CtrlC),
            '\x04' => Some(Key::CtrlD),
            '\x15' => Some(Key::CtrlU),
            _ => None,
        }
    }

    fn sequence(&mut self, sequence: &[u8]) -> Option<Key> {
        match sequence {
            b"200~" => self.pasting = true,
            b"201~" => self.pasting = false,
            b"5~" => return Some(Key::PageUp),
            b"6~" => return Some(Key::PageDown),
            [b'<', report @ .., b'M'] => {
                let report = str::from_utf8(report).ok()?.split(';');
                let numbers: Vec<usize> = report.flat_map(str::parse).collect();
                return match numbers[..] {
                    [0, column, row] => Some(Key::Click(column, row)),
                    [64, ..] => Some(Key::WheelUp),
                    [65, ..] => Some(Key::WheelDown),
                    _ => None,
                };
            }
            _ => {}
        }
        None
    }
}

/// A line of the output, and a row of that line when it is wrapped.
type Place = (usize, usize);

/// What the window shows, and what the user wants of it.
#[derive(Debug, Default)]
pub struct Face {
    /// What the user has sent and the `command` has not got yet, oldest first. Each ends with a
    /// newline, as what tkinter's `Text.get` returns.
    pub sent: VecDeque<String>,
    /// How often the user has closed the window. Twice means at once, whatever is not done yet.
    pub closings: usize,
    title: String,
    /// The output, line by line, each with its newline.
    lines: VecDeque<String>,
    /// The place at the top of the output pane; `None` follows the end.
    top: Option<Place>,
    input: String,
    /// In columns and rows.
    size: (usize, usize),
}

impl Face {
    /// Changes the title.
    pub fn title(&mut self, title: &str) {
        self.title = title.chars().map(harmless).collect();
    }

    /// Changes the size, in columns and rows.
    pub fn resize(&mut self, size: (usize, usize)) {
        self.size = size;
        if let Some((line, _)) = self.top {
            // The line that is being read has other rows now: it is shown from its beginning.
            self.scroll((line, 0));
        }
    }

    /// Adds text to the output. It must be [`harmless`].
    pub fn insert(&mut self, text: &str) {
        for c in text.chars() {
            let full = |line: &String| {
                line.ends_with('\n') || c != '\n' && line.len() + c.len_utf8() >= LINE
            };
            if self.lines.back().is_none_or(full) {
                if self.lines.len() == LINES {
                    self.lines.pop_front();
                    let above = |(line, row)| if line > 0 { (line - 1, row) } else { (0, 0) };
                    self.top = self.top.map(above);
                }
                let cut = self.lines.back().is_some_and(|line| !line.ends_with('\n'));
                let beginning = if cut { INDENT } else { "" };
                self.lines.push_back(beginning.to_owned());
            }
            self.lines.back_mut().expect("there is a line").push(c);
        }
    }

    /// Does what the key is for.
    pub fn press(&mut self, key: Key) {
        match key {
            Key::Char(c) if !self.is_full() => self.input.push(c),
            Key::Char(_) => {}
            Key::Enter => self.send(),
            Key::Click(column, row) => {
                let (width, height) = self.size;
                if row == height && column > width.saturating_sub(columns(BUTTON)) {
                    self.send();
                }
            }
            // A character goes with all that is combined with it.
            Key::Backspace => while self.input.pop().is_some_and(|c| width(c) == 0) {},
            Key::CtrlU => self.input.clear(),
            Key::CtrlC => self.closings += 1,
            Key::CtrlD if self.input.is_empty() => self.closings = self.closings.max(1),
            Key::CtrlD => {}
            Key::PageUp => self.scroll(self.above(self.top(), self.output_rows())),
            Key::PageDown => self.scroll(self.below(self.top(), self.output_rows())),
            Key::WheelUp => self.scroll(self.above(self.top(), NOTCH)),
            Key::WheelDown => self.scroll(self.below(self.top(), NOTCH)),
        }
    }

    /// Whether a character of 4 bytes, the longest, has no room.
    fn is_full(&self) -> bool {
        self.input.len() + 4 > INPUT
    }

    /// The text stays in the input while the `command` is too far behind, and once the window
    /// closes.
    fn send(&mut self) {
        if self.closings == 0 && self.sent.len() < UNSENT && !self.input.is_empty() {
            self.input.push('\n');
            self.sent.push_back(mem::take(&mut self.input));
            self.top = None;
        }
    }

    fn scroll(&mut self, top: Place) {
        self.top = (top < self.bottom()).then_some(top);
    }

    fn top(&self) -> Place {
        let bottom = self.bottom();
        self.top.map_or(bottom, |top| top.min(bottom))
    }

    /// The top that has the end of the output on the pane's last row.
    fn bottom(&self) -> Place {
        self.above((self.lines.len(), 0), self.output_rows())
    }

    /// The place so many rows above another, or the beginning.
    fn above(&self, (mut line, mut row): Place, rows: usize) -> Place {
        while row < rows && line > 0 {
            line -= 1;
            row += self.rows(line).len();
        }
        (line, row.saturating_sub(rows))
    }

    fn below(&self, (mut line, mut row): Place, rows: usize) -> Place {
        row += rows;
        while line < self.lines.len() && row >= self.rows(line).len() {
            row -= self.rows(line).len();
            line += 1;
        }
        (line, row)
    }

    fn rows(&self, line: usize) -> Vec<String> {
        let line = self.lines[line].trim_end_matches('\n');
        wrap(line, self.size.0.max(SMALLEST.0), INDENT)
    }

    /// The tutorial's input has 6 rows; it gives way where the screen is low.
    fn input_rows(&self) -> usize {
        (self.size.1 / 4).clamp(2, 6)
    }

    /// What the title, the rule, the input and the button leave.
    fn output_rows(&self) -> usize {
        self.size.1.saturating_sub(self.input_rows() + 3).max(1)
    }

    /// The rows of the screen, and the column and the row of the cursor; the first is 0.
    #[must_use]
    pub fn draw(&self) -> (Vec<String>, (usize, usize)) {
        let (width, height) = self.size;
        if width < SMALLEST.0 || height < SMALLEST.1 {
            let (columns, rows) = SMALLEST;
            let told = format!("too small:\n{columns}x{rows} needed");
            let mut lines = wrap(&told, width.max(1), "");
            lines.resize(height, String::new());
            return (lines, (0, 0));
        }
        let title = wrap(&self.title, width, "").swap_remove(0);
        let free = width - columns(&title);
        let (left, right) = (" ".repeat(free / 2), " ".repeat(free.div_ceil(2)));
        let mut lines = vec![format!("{REVERSE}{left}{title}{right}{PLAIN}")];

        let (line, row) = self.top();
        let rows = (line..self.lines.len()).flat_map(|line| self.rows(line));
        lines.extend(rows.skip(row).take(self.output_rows()));
        lines.resize(1 + self.output_rows(), String::new());
        lines.push(format!("{DIM}{}{PLAIN}", "─".repeat(width)));

        let mut input = wrap(&self.input, width, "");
        if input.last().is_some_and(|row| columns(row) == width) {
            input.push(String::new());
        }
        let input = &input[input.len().saturating_sub(self.input_rows())..];
        let cursor_column = input.last().map_or(0, |row| columns(row));
        let cursor = (cursor_column, lines.len() + input.len() - 1);
        lines.extend_from_slice(input);
        lines.resize(height - 1, String::new());

        let room = width - columns(BUTTON);
        let hint = Some(self.hint()).filter(|hint| hint.len() < room);
        let hint = hint.unwrap_or_default();
        lines.push(format!("{DIM}{hint:room$}{PLAIN}{BLUE}{BUTTON}{PLAIN}"));
        (lines, cursor)
    }

    fn hint(&self) -> &'static str {
        if self.closings > 0 {
            "closing, Ctrl-C again: now"
        } else if self.sent.len() == UNSENT && !self.input.is_empty() {
            "still sending"
        } else if self.is_full() {
            "the input is full"
        } else if self.top.is_some() {
            "PgDn: there is more below"
        } else {
            "Enter sends, Ctrl-C closes"
        }
    }
}

/// What the threads share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The face is not as it was drawn.
    redraw: Condvar,
    /// The main loop has something to do, or has done it.
    event: Condvar,
    terminal: Terminal,
}

#[derive(Debug, Default)]
struct State {
    face: Face,
    stale: bool,
    destroyed: bool,
    /// The main loop is not to be had: it runs what the user of the window has given it.
    busy: bool,
    /// Why nothing more can be shown.
    failure: Option<io::Error>,
}

impl State {
    fn over(&self) -> bool {
        self.destroyed || self.face.closings > 1
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is right after every statement, so also after a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, on: &Condvar, until: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = on.wait_while(self.lock(), |state| !until(state));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is shown.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        state.stale = true;
        self.redraw.notify_one();
        change(&mut state)
    }

    /// Runs what the user of the window has given: it may take its time.
    fn run<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        job: impl FnOnce(),
    ) -> MutexGuard<'a, State> {
        state.busy = true;
        drop(state);
        self.event.notify_all();
        job();
        let mut state = self.lock();
        state.busy = false;
        state
    }

    fn destroy(&self, failure: Option<io::Error>) {
        self.change(|state| {
            state.destroyed = true;
            state.failure = state.failure.take().or(failure);
        });
        self.event.notify_all();
    }
}

/// The window. It lives on the thread that calls [`mainloop`](Self::mainloop).
#[derive(Debug)]
pub struct Window {
    shared: Arc<Shared>,
}

/// The output pane, for any thread. Each is a source of bytes of its own.
#[derive(Debug)]
pub struct Output {
    /// The bytes of a character that has not come whole, 3 at the most.
    unfinished: Vec<u8>,
    shared: Arc<Shared>,
}

impl Window {
    /// A window with this title, in line mode if it is to be `plain` or there is no terminal that
    /// it could be drawn on.
    #[must_use]
    pub fn new(title: &str, plain: bool) -> Self {
        let mut state = State::default();
        state.face.title(title);
        let state = Mutex::new(state);
        let terminal = Terminal::new(plain);
        let (redraw, event) = Default::default();
        let shared = Shared {
            state,
            redraw,
            event,
            terminal,
        };
        let shared = Arc::new(shared);
        Self { shared }
    }

    /// The output pane.
    #[must_use]
    pub fn output(&self) -> Output {
        Output {
            unfinished: Vec::new(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Runs the window until somebody destroys it, or the user has closed it twice.
    ///
    /// `command` gets the text that the user sends, newline included; `wm_delete_window` runs when
    /// the user closes the window. Both run on this thread. If one of them does not return and the
    /// user closes once more, the process ends, with exit status 130; if any thread panics, with 101.
    ///
    /// # Errors
    ///
    /// The terminal cannot be set up, or standard output cannot be written.
    pub fn mainloop(
        self,
        mut command: impl FnMut(&str),
        mut wm_delete_window: impl FnMut(),
    ) -> io::Result<()> {
        let shared = &self.shared;
        if shared.terminal.saved.is_some() {
            give_back_on_panic(shared);
            shared.terminal.take()?;
            for work in [read_keys, paint, follow_size] {
                let shared = Arc::clone(shared);
                thread::spawn(move || work(&shared));
            }
        } else {
            let shared = Arc::clone(shared);
            thread::spawn(move || read_lines(&shared));
        }
        let mut told = false;
        let mut state = shared.lock();
        loop {
            state = if state.over() {
                break;
            } else if let Some(text) = state.face.sent.pop_front() {
                shared.run(state, || command(&text))
            } else if state.face.closings > 0 && !mem::replace(&mut told, true) {
                shared.run(state, &mut wm_delete_window)
            } else {
                let waited = shared.event.wait(state);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
        }
        // Who closes twice in one breath has closed, too.
        if state.face.closings > 0 && !told {
            state = shared.run(state, &mut wm_delete_window);
        }
        let failure = state.failure.take();
        drop(state);
        shared.terminal.give_back();
        failure.map_or(Ok(()), Err)
    }
}

impl Output {
    /// Shows text: UTF-8, cut anywhere. What would command the terminal is shown as `�`.
    ///
    /// In line mode it returns when the text is written; what is drawn is drawn later.
    pub fn insert(&mut self, bytes: &[u8]) {
        self.unfinished.extend_from_slice(bytes);
        let text = take_text(&mut self.unfinished);
        if self.shared.terminal.saved.is_some() {
            self.shared.change(|state| state.face.insert(&text));
        } else if let Err(error) = print(&text) {
            self.shared.destroy(Some(error));
        }
    }

    /// Changes the title.
    pub fn title(&self, title: &str) {
        self.shared.change(|state| state.face.title(title));
    }

    /// Ends the main loop.
    pub fn destroy(&self) {
        self.shared.destroy(None);
    }
}

/// Line mode: a line is "send", the end of input is "close the window".
fn read_lines(shared: &Shared) {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    loop {
        match input.read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(FRAME);
                continue;
            }
            Err(error) => {
                shared.lock().failure = Some(error);
                break;
            }
        }
        let text = String::from_utf8_lossy(&line);
        let text = format!("{}\n", text.trim_end_matches(['\r', '\n']));
        let mut state = shared.wait(&shared.event, |state| state.face.sent.is_empty());
        state.face.sent.push_back(text);
        shared.event.notify_all();
        line.clear();
    }
    shared.lock().face.closings = 1;
    shared.event.notify_all();
}

/// Reads the terminal. Where nothing more can come the user is gone, as after closing twice.
fn read_keys(shared: &Shared) {
    let mut input = io::stdin().lock();
    let mut keyboard = Keyboard::default();
    let mut chunk = [0; 4096];
    loop {
        let length = match input.read(&mut chunk) {
            Err(error)
                if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) =>
            {
                // Another program may have left the terminal non-blocking.
                thread::sleep(FRAME);
                continue;
            }
            read => read.unwrap_or(0),
        };
        let keys = match length {
            0 => vec![Key::CtrlC; 2],
            _ => keyboard.keys(&chunk[..length]),
        };
        let stuck = shared.change(|state| {
            keys.into_iter().for_each(|key| state.face.press(key));
            state.face.closings > 1 && state.busy
        });
        shared.event.notify_all();
        if stuck {
            shared.terminal.give_back();
            // As a shell reports what Ctrl-C has ended.
            process::exit(130);
        }
        if length == 0 {
            return;
        }
    }
}

fn follow_size(shared: &Shared) {
    // That of a VT100, if the terminal does not know its size.
    let mut size = (80, 24);
    while !shared.lock().over() {
        size = terminal_size().unwrap_or(size);
        if shared.lock().face.size != size {
            shared.change(|state| state.face.resize(size));
        }
        thread::sleep(LOOK);
    }
}

/// Draws what has changed, all that is waiting in one go and in one write, until the window has
/// gone. A row that is as it was is not drawn again for a while.
fn paint(shared: &Shared) {
    let (mut shown, mut whole) = (Vec::new(), Instant::now());
    loop {
        let mut state = shared.wait(&shared.redraw, |state| state.stale);
        if state.over() {
            return;
        }
        state.stale = false;
        let (lines, (column, row)) = state.face.draw();
        drop(state);
        // The title bar is as wide as the screen: the terminal has another size now. It may also
        // have had one in between, so now and then all is drawn.
        let same = (shown.len(), shown.first()) == (lines.len(), lines.first());
        if !same || whole.elapsed() > WHOLE {
            shown.clear();
            whole = Instant::now();
        }
        let mut frame = String::from("\x1b[?2026h\x1b[?25l");
        for (row, line) in lines.iter().enumerate() {
            if shown.get(row) != Some(line) {
                // Erased first: after a full row the cursor stands on its last character.
                frame += &format!("\x1b[{};1H\x1b[K{line}", row + 1);
            }
        }
        frame += &format!("\x1b[{};{}H\x1b[?25h\x1b[?2026l", row + 1, column + 1);
        if let Err(error) = shared.terminal.write(&frame) {
            return shared.destroy(Some(error));
        }
        shown = lines;
        thread::sleep(FRAME);
    }
}

/// The terminal that the window is drawn on.
#[derive(Debug)]
struct Terminal {
    /// How it was, in the words of `stty -g`; `None` in line mode.
    saved: Option<String>,
    /// Whether it is to be given back. Locked while something is written, so that nothing is after.
    taken: Mutex<bool>,
}

impl Terminal {
    fn new(plain: bool) -> Self {
        let able = env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
        let there = io::stdin().is_terminal() && io::stdout().is_terminal();
        let usable = able && there && !plain;
        let saved = usable.then(|| stty(&["-g"]).ok()).flatten();
        Self {
            saved,
            taken: Mutex::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Raw: every key comes at once and as it is, and Ctrl-C is one of them.
    fn take(&self) -> io::Result<()> {
        *self.lock() = true;
        let taken = stty(&["raw", "-echo"]).and_then(|_| print(ENTER));
        taken.inspect_err(|_| _ = self.give_back())
    }

    /// Writes, unless the terminal has been given back.
    fn write(&self, frame: &str) -> io::Result<()> {
        let taken = self.lock();
        if *taken { print(frame) } else { Ok(()) }
    }

    /// Makes the terminal what it was, once. Tells whether this was the time.
    fn give_back(&self) -> bool {
        let mut taken = self.lock();
        if let Some(saved) = &self.saved
            && *taken
        {
            let _ = print(LEAVE);
            let _ = stty(&[saved]);
        }
        mem::take(&mut taken)
    }
}

/// A panic in any thread ends the program, and can be read.
fn give_back_on_panic(shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let given_back = shared.terminal.give_back();
        hook(panic);
        if given_back {
            process::exit(101);
        }
    }));
}

/// In columns and rows.
fn terminal_size() -> Option<(usize, usize)> {
    let size = stty(&["size"]).ok()?;
    let numbers: Vec<usize> = size.split(' ').flat_map(str::parse).collect();
    match numbers[..] {
        [rows, columns] if rows.min(columns) > 0 => Some((columns, rows)),
        _ => None,
    }
}

/// POSIX `stty`, on the terminal that is standard input.
fn stty(arguments: &[&str]) -> io::Result<String> {
    let mut stty = Command::new("stty");
    let output = stty.args(arguments).stdin(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other("stty: the terminal cannot be set"));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(said.trim_end().to_owned())
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
