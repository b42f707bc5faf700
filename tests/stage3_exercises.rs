//! Chapter 3: tests of its exercises. Each test is ignored, because it fails until its exercise is
//! solved. This command runs the tests of exercise 1:
//! `cargo test -p stage3-gui-stub exercise_1 -- --ignored`.

#[cfg(target_os = "linux")]
use std::io::Write;
#[cfg(target_os = "linux")]
use std::process::{Command, Stdio};

#[cfg(target_os = "linux")]
use session::Session;
use stage3_gui_stub::window::{Event, Keyboard, Screen};

#[cfg(target_os = "linux")]
const BINARY: &str = env!("CARGO_BIN_EXE_stage3-gui-stub");

/// A window of 40 columns and 10 rows, and its keyboard.
#[derive(Default)]
struct TestWindow {
    keyboard: Keyboard,
    screen: Screen,
}

impl TestWindow {
    fn new() -> Self {
        let mut window = Self::default();
        window.screen.resize((40, 10));
        window
    }

    /// Presses keys, given as the bytes that a terminal sends for them.
    fn press(&mut self, bytes: &[u8]) -> Vec<Event> {
        let keys = self.keyboard.keys(bytes).into_iter();
        keys.filter_map(|key| self.screen.press(key)).collect()
    }

    /// The text that is sent after these keys and Enter.
    fn sent_after(bytes: &[u8]) -> String {
        let mut window = Self::new();
        window.press(bytes);
        match window.press(b"\r").pop() {
            Some(Event::Send(text)) => text,
            _ => String::new(),
        }
    }

    /// The last row, which shows the hint.
    fn hint(&self) -> String {
        self.screen.draw().0[9].clone()
    }
}

#[test]
#[ignore = "exercise 1 of chapter 3"]
fn exercise_1_ctrl_w_erases_a_word() {
    for (typed, sent) in [
        ("one two\x17", "one \n"),
        ("one two \x17", "one \n"),
        ("one two\x17three", "one three\n"),
        ("one  \x17", ""),
        ("你好 世界\x17", "你好 \n"),
        ("\x17\x17still here", "still here\n"),
        ("one two\x1b[D\x17", "one o\n"),
        ("one two\x1b[H\x17", "one two\n"),
    ] {
        assert_eq!(
            TestWindow::sent_after(typed.as_bytes()),
            sent,
            "after {typed:?}, where \\x17 is what a terminal sends for Ctrl-W"
        );
    }
}

#[test]
#[ignore = "exercise 2 of chapter 3"]
fn exercise_2_the_hint_counts_the_new_lines_below() {
    let mut window = TestWindow::new();
    window.screen.insert(&"old\n".repeat(20));
    window.press(b"\x1b[5~");
    for (text, hint) in [
        ("", "PgDn: there is more below"),
        ("one", "PgDn: there is more below"),
        (" line\n", "PgDn: 1 new line "),
        ("two\nthree\nfour", "PgDn: 3 new lines"),
        ("\n", "PgDn: 4 new lines"),
    ] {
        window.screen.insert(text);
        let shown = window.hint();
        assert!(shown.contains(hint), "after {text:?} the hint is {shown:?}");
    }
    // Further up, the lines below are still new.
    window.press(b"\x1b[5~");
    assert!(
        window.hint().contains("PgDn: 4 new lines"),
        "{}",
        window.hint()
    );
}

#[test]
#[ignore = "exercise 2 of chapter 3"]
fn exercise_2_no_line_is_new_at_the_end_of_the_output() {
    // Both key sequences return to the end of the output.
    for keys in ["\x1b[6~\x1b[6~", "text\r"] {
        let mut window = TestWindow::new();
        window.screen.insert(&"old\n".repeat(20));
        window.press(b"\x1b[5~");
        window.screen.insert("new\n");
        assert!(window.hint().contains("1 new line "), "{}", window.hint());
        window.press(keys.as_bytes());
        assert!(window.hint().contains("Enter sends"), "{}", window.hint());
        window.screen.insert("seen at once\n");
        window.press(b"\x1b[5~");
        let hint = window.hint();
        assert!(
            hint.contains("there is more below"),
            "after {keys:?}: {hint}"
        );
        window.screen.insert("new\n");
        assert!(window.hint().contains("1 new line "), "{}", window.hint());
    }
}

#[cfg(target_os = "linux")]
mod session {
    use std::io::{Read, Write};
    use std::process::{Child, Command, Stdio};
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;
    use std::time::Duration;

    const DEADLINE: Duration = Duration::from_secs(20);

    /// A window on its own pseudo-terminal. `script` creates the terminal. Its options differ on
    /// systems other than Linux. Dropping the session ends it.
    pub struct Session {
        child: Child,
        screen: Receiver<String>,
        seen: String,
    }

    impl Session {
        pub fn open() -> Self {
            let command = format!("stty rows 24 cols 80; exec {}", super::BINARY);
            let mut child = Command::new("script")
                .args(["-qec", &command, "/dev/null"])
                .env("TERM", "xterm-256color")
                .env("SHELL", "/bin/sh")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("script of util-linux is there");
            let mut stdout = child.stdout.take().expect("is piped");
            let (sender, screen) = channel();
            thread::spawn(move || {
                let mut chunk = [0; 4096];
                while let Ok(length @ 1..) = stdout.read(&mut chunk) {
                    let _ = sender.send(String::from_utf8_lossy(&chunk[..length]).into_owned());
                }
            });
            Self {
                child,
                screen,
                seen: String::new(),
            }
        }

        pub fn press(&mut self, keys: &str) {
            let keyboard = self.child.stdin.as_mut().expect("is piped");
            keyboard.write_all(keys.as_bytes()).expect("is read");
        }

        /// Reads until the program has written this to the terminal.
        pub fn wait_for(&mut self, text: &str) {
            while !self.seen.contains(text) {
                let shown = self.screen.recv_timeout(DEADLINE);
                self.seen += &shown.unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.seen));
            }
        }

        pub fn rings(&self) -> usize {
            self.seen.matches('\x07').count()
        }
    }

    impl Drop for Session {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "exercise 3 of chapter 3"]
fn exercise_3_the_window_rings_when_text_arrives_and_not_while_the_user_types() {
    let mut session = Session::open();
    session.wait_for("Enter sends");
    session.press("one");
    session.wait_for("one");
    assert_eq!(session.rings(), 0, "typing does not ring");
    session.press("\r");
    session.wait_for("\x1b[2;1H\x1b[Kone");
    // The frame with the second typed text is drawn after the first text was inserted.
    session.press("two");
    session.wait_for("two");
    assert_eq!(
        session.rings(),
        1,
        "the window should write the byte 0x07 once when text is inserted"
    );
    session.press("\r");
    session.wait_for("\x1b[3;1H\x1b[Ktwo");
    session.press("\x03");
    session.wait_for("\x1b[?1049l");
    assert_eq!(session.rings(), 2, "the second text should ring once more");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "exercise 3 of chapter 3"]
fn exercise_3_a_flood_does_not_ring_for_each_line() {
    const LINES: usize = 50;
    let mut session = Session::open();
    session.wait_for("Enter sends");
    let lines: String = (0..LINES)
        .map(|number| format!("line {number}\r"))
        .collect();
    session.press(&lines);
    session.wait_for(&format!("line {}", LINES - 1));
    session.press("\x03");
    session.wait_for("\x1b[?1049l");
    let rings = session.rings();
    assert!(
        (1..LINES / 2).contains(&rings),
        "{LINES} lines that arrive at once are drawn in a few frames, but ring {rings} times"
    );
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "exercise 3 of chapter 3"]
fn exercise_3_line_mode_does_not_ring_and_a_text_cannot_ring() {
    let mut child = Command::new(BINARY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut stdin = child.stdin.take().expect("is piped");
    stdin.write_all(b"a\x07b\n").expect("is read");
    drop(stdin);
    let output = child.wait_with_output().expect("ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a\u{FFFD}b\n");
    let mut session = Session::open();
    session.wait_for("Enter sends");
    session.press("\x1b[200~\x07\x1b[201~\r");
    session.wait_for("\x1b[2;1H\x1b[K\u{FFFD}");
    session.press("x");
    session.wait_for("x");
    assert_eq!(
        session.rings(),
        1,
        "0x07 should be written once, for the inserted text, and not for the 0x07 in the text"
    );
}
