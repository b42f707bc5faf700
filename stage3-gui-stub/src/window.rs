//! The chat window: the tutorial's tkinter window (§3.1), drawn in the terminal.
//!
//! The parts have tkinter's names. [`Window::mainloop`] runs the window and gives each [`Event`] to
//! the program's handler: the user sends a text, or closes the window. [`Output`] is the pane that
//! shows text. Any thread may `insert` text into it or `destroy` the window.
//!
//! [`Keyboard`] turns bytes into keys. [`Screen`] is what the window shows and what a key changes.
//! Neither does any input or output. Two threads do: one reads keys, one draws. The main loop only
//! runs the handler, so the window still works while the handler waits for the network.
//!
//! Without a terminal the window works in lines: each line is sent, and the end of the input closes
//! the window. If a signal kills the program, the terminal stays as it is: std cannot catch signals.

mod input;
mod keyboard;
mod screen;
mod terminal;

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{mem, process, thread};

use input::MAX_INPUT;
pub use keyboard::{Key, Keyboard};
use screen::MAX_UNHANDLED;
pub use screen::{Event, Screen};
use terminal::{Canvas, Stdin, Terminal, print};

use crate::text::drain_text;

/// The time from one drawing to the next: 30 drawings per second look smooth.
const FRAME: Duration = Duration::from_millis(33);

/// How often the window asks for the size of the terminal. The kernel reports a new size with a
/// signal, but std cannot catch signals.
const SIZE_POLL: Duration = Duration::from_millis(400);

/// How long the handler may take to return after the user has closed twice.
const HANDLER_TIMEOUT: Duration = Duration::from_millis(500);

/// The size of a VT100, for a terminal that does not know its own size.
const USUAL_SIZE: (usize, usize) = (80, 24);

/// The window. It belongs to the thread that calls [`mainloop`](Self::mainloop).
#[derive(Debug)]
pub struct Window {
    shared: Arc<Shared>,
    events: Receiver<Event>,
}

/// The output pane, for any thread. Each `Output` is a byte stream of its own.
#[derive(Debug)]
pub struct Output {
    /// The bytes of a character that has not arrived completely: at most 3.
    unfinished: Vec<u8>,
    shared: Arc<Shared>,
}

/// What the threads share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the thread that draws.
    redraw: Condvar,
    terminal: Arc<Terminal>,
}

#[derive(Debug)]
struct State {
    screen: Screen,
    /// The screen has changed since it was drawn.
    dirty: bool,
    /// Sends events to the main loop. `None` once the window is destroyed or was closed twice: the
    /// main loop ends when this, the last sender, is dropped.
    events: Option<SyncSender<Event>>,
    /// Why nothing more can be shown or read.
    failure: Option<io::Error>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is valid after each statement, so it is valid after a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is shown.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        state.dirty = true;
        self.redraw.notify_one();
    }

    fn destroy(&self, failure: Option<io::Error>) {
        self.change(|state| {
            state.events = None;
            state.failure = state.failure.take().or(failure);
        });
    }
}

impl Window {
    /// A window with this title. It works in lines if `plain` is true, or if there is no terminal
    /// that it can be drawn on.
    #[must_use]
    pub fn new(title: &str, plain: bool) -> Self {
        // There is room for every event that the screen allows to wait, so a key never finds the
        // channel full.
        let (sender, events) = sync_channel(MAX_UNHANDLED + 1);
        let mut screen = Screen::default();
        screen.title(title);
        let state = State {
            screen,
            dirty: true,
            events: Some(sender),
            failure: None,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            redraw: Condvar::new(),
            terminal: Arc::new(Terminal::new(plain)),
        });
        Self { shared, events }
    }

    /// The output pane.
    #[must_use]
    pub fn output(&self) -> Output {
        Output {
            unfinished: Vec::new(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Runs the window until the program destroys it, or until the user has closed it twice.
    ///
    /// `handler` runs on this thread. If it does not return after the user has closed twice, the
    /// process ends with exit status 130. If any thread panics while the window is drawn, the process
    /// ends with 101.
    ///
    /// # Errors
    ///
    /// The terminal cannot be set up, standard input cannot be read, or standard output cannot be
    /// written.
    pub fn mainloop(self, mut handler: impl FnMut(Event)) -> io::Result<()> {
        let shared = &self.shared;
        // Dropped when this function returns. The thread that reads keys notices that.
        let (_running, ended) = channel();
        let spawn = |work: fn(&Shared)| {
            let shared = Arc::clone(shared);
            thread::spawn(move || work(&shared));
        };
        if shared.terminal.is_drawn() {
            shared.terminal.give_back_on_panic();
            shared.terminal.take()?;
            let shared = Arc::clone(shared);
            thread::spawn(move || read_keys(&shared, &ended));
            spawn(paint);
        } else {
            spawn(read_lines);
        }
        while let Ok(event) = self.events.recv() {
            // The state's `events` is `None` after `destroy`, and after the user has closed twice.
            // Then the events that remain are dropped, except `Close`: the handler may not have
            // seen it yet.
            let open = shared.lock().events.is_some();
            if open || event == Event::Close {
                handler(event);
            }
            shared.change(|state| state.screen.handled());
        }
        shared.terminal.give_back();
        let failure = shared.lock().failure.take();
        failure.map_or(Ok(()), Err)
    }
}

impl Output {
    /// Shows UTF-8 text, which may be cut anywhere, even within a character. A character that would
    /// control the terminal is shown as `�`.
    ///
    /// In line mode the text is written when this returns. A drawn window is drawn later.
    pub fn insert(&mut self, bytes: &[u8]) {
        self.unfinished.extend_from_slice(bytes);
        let text = drain_text(&mut self.unfinished);
        if self.shared.terminal.is_drawn() {
            self.shared.change(|state| state.screen.insert(&text));
        } else if let Err(error) = print(&text) {
            self.shared.destroy(Some(error));
        }
    }

    /// Changes the title.
    pub fn title(&self, title: &str) {
        self.shared.change(|state| state.screen.title(title));
    }

    /// Ends the main loop.
    pub fn destroy(&self) {
        self.shared.destroy(None);
    }
}

/// Reads keys until the user has closed the window twice. The end of the input counts as closing it
/// twice.
fn read_keys(shared: &Shared, ended: &Receiver<()>) {
    let mut keyboard = Keyboard::default();
    let mut chunk = [0; 4096];
    let mut closed_twice = false;
    while !closed_twice {
        let keys = match Stdin.read(&mut chunk) {
            Ok(length @ 1..) => keyboard.keys(&chunk[..length]),
            _ => vec![Key::CtrlC; 2],
        };
        shared.change(|state| {
            for key in keys {
                let event = state.screen.press(key);
                if let (Some(event), Some(events)) = (event, &state.events) {
                    let _ = events.try_send(event);
                }
            }
            closed_twice = state.screen.close_requests > 1;
            if closed_twice {
                state.events = None;
            }
        });
    }
    if ended.recv_timeout(HANDLER_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
        shared.terminal.give_back();
        // The status that a shell reports for a program that Ctrl-C has ended.
        process::exit(130);
    }
}

/// Line mode: each line is sent, and the end of the input closes the window.
fn read_lines(shared: &Shared) {
    // Waits while too many events wait for the handler.
    let send = |event| {
        let events = shared.lock().events.clone();
        events.is_some_and(|events| events.send(event).is_ok())
    };
    let mut input = BufReader::new(Stdin);
    let mut line = Vec::new();
    loop {
        line.clear();
        let room = MAX_INPUT as u64 + 1;
        match input.by_ref().take(room).read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) if line.len() > MAX_INPUT && !line.ends_with(b"\n") => {
                let notice = format!("not sent: a line has at most {MAX_INPUT} bytes\n");
                print(&notice).unwrap_or_else(|error| shared.destroy(Some(error)));
                // If this fails, the next read fails, too.
                let _ = input.skip_until(b'\n');
            }
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                let text = text.trim_end_matches(['\r', '\n']);
                if !send(Event::Send(format!("{text}\n"))) {
                    return;
                }
            }
            Err(error) => {
                shared.lock().failure = Some(error);
                break;
            }
        }
    }
    send(Event::Close);
}

/// Draws all changes since the last drawing together, until the window is destroyed. Follows the
/// size of the terminal.
fn paint(shared: &Shared) {
    let mut canvas = Canvas::new(&shared.terminal);
    let (mut size, mut next_look) = (USUAL_SIZE, Instant::now());
    loop {
        if Instant::now() >= next_look {
            size = shared.terminal.size().unwrap_or(size);
            next_look = Instant::now() + SIZE_POLL;
        }
        let mut state = shared.lock();
        state.dirty |= state.screen.resize(size);
        let unchanged = |state: &mut State| !state.dirty;
        let redraw = &shared.redraw;
        let waited = redraw.wait_timeout_while(state, SIZE_POLL, unchanged);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.events.is_none() {
            return;
        }
        if !mem::take(&mut state.dirty) {
            continue;
        }
        let (rows, cursor) = state.screen.draw();
        drop(state);
        if let Err(error) = canvas.draw(rows, cursor) {
            return shared.destroy(Some(error));
        }
        thread::sleep(FRAME);
    }
}
