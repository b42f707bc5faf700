//! The chat window: the tutorial's tkinter window (§3.1) on standard input and output.
//!
//! The parts have tkinter's names. [`Output`] is the pane that any thread may `insert` text into,
//! and through which it may `destroy` the window. The `command` is what the button 发送 does with
//! the text of the input. `WM_DELETE_WINDOW` is what happens when the user closes the window; that
//! alone does not make it go. [`Window::mainloop`] runs it all until the window is destroyed.

use std::io::{self, BufRead, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::text::take_text;

/// What the main loop waits for.
#[derive(Debug)]
enum Event {
    /// The user sends this text. It ends with a newline, as what tkinter's `Text.get` returns.
    Send(String),
    /// The user closes the window.
    Close,
    /// Some thread has changed what all share.
    Wake,
}

/// What the main loop and the [`Output`]s share.
#[derive(Debug)]
struct Shared {
    title: String,
    destroyed: bool,
    /// Why nothing more can be shown.
    failure: Option<io::Error>,
}

/// The window. It lives on the thread that calls [`mainloop`](Self::mainloop).
#[derive(Debug)]
pub struct Window {
    output: Output,
    events: Receiver<Event>,
}

/// The output pane, for any thread. Every clone is a source of bytes of its own.
#[derive(Debug, Clone)]
pub struct Output {
    /// The bytes of a character that has not come whole, 3 at the most.
    unfinished: Vec<u8>,
    shared: Arc<Mutex<Shared>>,
    events: SyncSender<Event>,
}

impl Window {
    /// A window with this title.
    #[must_use]
    pub fn new(title: &str, _plain: bool) -> Self {
        let (sender, events) = sync_channel(1);
        let shared = Arc::new(Mutex::new(Shared {
            title: title.to_owned(),
            destroyed: false,
            failure: None,
        }));
        let unfinished = Vec::new();
        let output = Output {
            unfinished,
            shared,
            events: sender,
        };
        Self { output, events }
    }

    /// The output pane.
    #[must_use]
    pub fn output(&self) -> Output {
        self.output.clone()
    }

    /// Runs the window until somebody destroys it.
    ///
    /// `command` gets the text that the user sends, newline included; `wm_delete_window` runs when
    /// the user closes the window. Both run on this thread.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn mainloop(
        self,
        mut command: impl FnMut(&str),
        mut wm_delete_window: impl FnMut(),
    ) -> io::Result<()> {
        let keyboard = self.output.events.clone();
        thread::spawn(move || read_lines(&keyboard));
        while !self.output.shared().destroyed {
            match self.events.recv() {
                Ok(Event::Send(text)) => command(&text),
                Ok(Event::Close) => wm_delete_window(),
                Ok(Event::Wake) | Err(_) => {}
            }
        }
        self.output.shared().failure.take().map_or(Ok(()), Err)
    }
}

impl Output {
    /// Shows text: UTF-8, cut anywhere. What would command the terminal is shown as `�`.
    pub fn insert(&mut self, bytes: &[u8]) {
        self.unfinished.extend_from_slice(bytes);
        let text = take_text(&mut self.unfinished);
        let mut stdout = io::stdout();
        if let Err(error) = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
        {
            self.shared().failure = Some(error);
            self.destroy();
        }
    }

    /// Changes the title.
    pub fn title(&self, title: &str) {
        title.clone_into(&mut self.shared().title);
        self.wake();
    }

    /// Ends the main loop.
    pub fn destroy(&self) {
        self.shared().destroyed = true;
        self.wake();
    }

    /// Makes the main loop look. Where its channel is full it is about to look anyway.
    fn wake(&self) {
        let _ = self.events.try_send(Event::Wake);
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // What is shared is right after every statement, so also after a panic.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Line mode: a line is "send", the end of input is "close the window".
fn read_lines(events: &SyncSender<Event>) {
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        match input.read_until(b'\n', &mut line) {
            Ok(1..) => {
                let line = String::from_utf8_lossy(&line);
                let text = format!("{}\n", line.trim_end_matches(['\r', '\n']));
                if events.send(Event::Send(text)).is_err() {
                    return;
                }
            }
            Ok(0) | Err(_) => {
                let _ = events.send(Event::Close);
                return;
            }
        }
    }
}
