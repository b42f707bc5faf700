//! Chapter 3: what its exercises ask for. A test is ignored until its exercise is solved; this runs
//! the first: `cargo test -p stage3-gui-stub exercise_1 -- --ignored`.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use stage3_gui_stub::window::{Face, Keyboard};

const DEADLINE: Duration = Duration::from_secs(20);

const BINARY: &str = env!("CARGO_BIN_EXE_stage3-gui-stub");

/// A window of 40 columns and 10 rows, and the keyboard before it.
#[derive(Default)]
struct Desk {
    keyboard: Keyboard,
    face: Face,
}

impl Desk {
    fn new() -> Self {
        let mut desk = Self::default();
        desk.face.resize((40, 10));
        desk
    }

    /// Presses keys, given as the bytes that a terminal sends for them.
    fn press(&mut self, bytes: &[u8]) {
        for key in self.keyboard.keys(bytes) {
            self.face.press(key);
        }
    }

    /// What is sent after these keys and Enter.
    fn sent_after(bytes: &[u8]) -> String {
        let mut desk = Self::new();
        desk.press(bytes);
        desk.press(b"\r");
        desk.face.sent.pop_front().unwrap_or_default()
    }

    /// The five rows of the output.
    fn pane(&self) -> Vec<String> {
        self.face.draw().0[1..6].to_vec()
    }
}

#[test]
#[ignore = "exercise 1 of chapter 3"]
fn exercise_1_ctrl_w_takes_back_a_word() {
    for (typed, sent) in [
        ("one two\x17", "one \n"),
        ("one two \x17", "one \n"),
        ("one two\x17three", "one three\n"),
        ("one  \x17", ""),
        ("你好 世界\x17", "你好 \n"),
        ("\x17\x17still here", "still here\n"),
    ] {
        assert_eq!(
            Desk::sent_after(typed.as_bytes()),
            sent,
            "after {typed:?}, where \\x17 is what a terminal sends for Ctrl-W"
        );
    }
}

/// A desk whose output is the lines 0 to 99.
fn desk_with_a_hundred_lines() -> Desk {
    let mut desk = Desk::new();
    for number in 0..100 {
        desk.face.insert(&format!("{number}\n"));
    }
    desk
}

#[test]
#[ignore = "exercise 2 of chapter 3"]
fn exercise_2_home_goes_to_the_beginning_and_end_to_the_end() {
    // Terminals send one or the other.
    for (home, end) in [("\x1b[H", "\x1b[F"), ("\x1b[1~", "\x1b[4~")] {
        let mut desk = desk_with_a_hundred_lines();
        desk.press(home.as_bytes());
        assert_eq!(desk.pane(), ["0", "1", "2", "3", "4"], "after {home:?}");
        desk.face.insert("100\n");
        assert_eq!(desk.pane()[0], "0", "what is being read stays");
        desk.press(end.as_bytes());
        assert_eq!(
            desk.pane(),
            ["96", "97", "98", "99", "100"],
            "after {end:?}"
        );
        desk.face.insert("101\n");
        assert_eq!(desk.pane()[4], "101", "the end is followed again");
    }
}

#[test]
#[ignore = "exercise 2 of chapter 3"]
fn exercise_2_home_does_nothing_where_there_is_nothing_to_scroll() {
    let mut desk = Desk::new();
    desk.face.insert("0\n1\n2\n");
    let before = desk.face.draw();
    desk.press(b"\x1b[H");
    assert_eq!(desk.face.draw(), before);
    let mut desk = desk_with_a_hundred_lines();
    desk.press(b"\x1b[H\x1b[6~");
    assert_eq!(desk.pane()[0], "5", "a page down from the beginning");
}

/// A window on a terminal of its own, which util-linux `script` makes; gone when dropped.
struct Session {
    child: Child,
    screen: Receiver<String>,
    seen: String,
}

impl Session {
    fn open() -> Self {
        let command = format!("stty rows 24 cols 80; exec {BINARY}");
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

    fn press(&mut self, keys: &str) {
        let keyboard = self.child.stdin.as_mut().expect("is piped");
        keyboard.write_all(keys.as_bytes()).expect("is read");
    }

    /// Reads until the terminal has been sent this.
    fn wait_for(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let shown = self.screen.recv_timeout(DEADLINE);
            self.seen += &shown.unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.seen));
        }
    }

    fn rings(&self) -> usize {
        self.seen.matches('\x07').count()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "exercise 3 of chapter 3"]
fn exercise_3_the_window_rings_when_text_comes_and_not_when_it_is_typed() {
    let mut session = Session::open();
    session.wait_for("Enter sends");
    session.press("one");
    session.wait_for("one");
    assert_eq!(session.rings(), 0, "typing does not ring");
    session.press("\r");
    session.wait_for("\x1b[2;1H\x1b[Kone");
    // The frame in which the second text is typed comes after the first was shown.
    session.press("two");
    session.wait_for("two");
    assert_eq!(
        session.rings(),
        1,
        "the byte 0x07, once, when text is inserted"
    );
    session.press("\r");
    session.wait_for("\x1b[3;1H\x1b[Ktwo");
    session.press("\x03");
    session.wait_for("\x1b[?1049l");
    assert_eq!(session.rings(), 2, "and once more for the next");
}

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
        "{LINES} lines that come at once are drawn in a few frames, and ring {rings} times"
    );
}

#[test]
#[ignore = "exercise 3 of chapter 3"]
fn exercise_3_line_mode_does_not_ring_and_no_text_rings_by_itself() {
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
        "0x07 is written once, for the window rings by itself, and not for the one in the text"
    );
}
