//! What chapter 3 promises: keys, screens, line mode, and a terminal that is given back.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Output as Finished, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use stage3_gui_stub::text::{columns, harmless, take_text, width, wrap};
use stage3_gui_stub::window::{Face, Key, Keyboard, Window};

const DEADLINE: Duration = Duration::from_secs(20);

const BINARY: &str = env!("CARGO_BIN_EXE_stage3-gui-stub");

// Keys.

/// One of everything, and what it means.
fn everything() -> (Vec<u8>, Vec<Key>) {
    let parts: [(&[u8], &[Key]); 22] = [
        (b"a", &[Key::Char('a')]),
        ("é".as_bytes(), &[Key::Char('é')]),
        ("中".as_bytes(), &[Key::Char('中')]),
        ("😀".as_bytes(), &[Key::Char('😀')]),
        (b"\x1b[5~", &[Key::PageUp]),
        (b"\x1b[6~", &[Key::PageDown]),
        (b"\x1b[A\x1bOP\x1b[1;5C\x1b[15~", &[]),
        (b"\x1b[<0;75;24M", &[Key::Click(75, 24)]),
        (b"\x1b[<0;75;24m", &[]),
        (b"\x1b[<64;1;2M", &[Key::WheelUp]),
        (b"\x1b[<65;1;2M", &[Key::WheelDown]),
        (b"\x1b[<2;1;2M\x1b[<;1;2M\x1b[<0;1M", &[]),
        (b"\x1bz", &[Key::Char('z')]),
        (b"\x1b\x1b[5~", &[Key::PageUp]),
        (
            "\x1b[200~中\r\x03\x1b[31m.\x1b[201~".as_bytes(),
            &[
                Key::Char('中'),
                Key::Char('\n'),
                Key::Char('\u{FFFD}'),
                Key::Char('.'),
            ],
        ),
        (b"\t\x01\x1a", &[Key::Char('\t')]),
        (b"\r\n", &[Key::Enter, Key::Enter]),
        (b"\x08\x7f", &[Key::Backspace, Key::Backspace]),
        (b"\x15", &[Key::CtrlU]),
        (
            b"\xff\xe4\xb8!",
            &[Key::Char('\u{FFFD}'), Key::Char('\u{FFFD}'), Key::Char('!')],
        ),
        (b"\x1b[12\x03", &[Key::CtrlC]),
        (b"\x1bO\x04", &[Key::Char('O'), Key::CtrlD]),
    ];
    let bytes = parts.iter().flat_map(|(bytes, _)| bytes.to_vec()).collect();
    (
        bytes,
        parts.iter().flat_map(|(_, keys)| keys.to_vec()).collect(),
    )
}

#[test]
fn keys_are_the_same_wherever_the_reads_cut_them() {
    let (bytes, keys) = everything();
    for cut in 0..=bytes.len() {
        let mut keyboard = Keyboard::default();
        let mut read = keyboard.keys(&bytes[..cut]);
        read.extend(keyboard.keys(&bytes[cut..]));
        assert_eq!(read, keys, "cut at {cut}");
    }
    let mut keyboard = Keyboard::default();
    let read: Vec<Key> = bytes
        .iter()
        .flat_map(|&byte| keyboard.keys(&[byte]))
        .collect();
    assert_eq!(read, keys);
}

#[test]
fn a_lone_escape_does_nothing_and_spares_the_next_key() {
    let mut keyboard = Keyboard::default();
    assert_eq!(keyboard.keys(b"\x1b"), []);
    assert_eq!(keyboard.keys("中".as_bytes()), [Key::Char('中')]);
}

#[test]
fn a_sequence_without_end_is_given_up() {
    let mut keyboard = Keyboard::default();
    let endless = [b"\x1b[".as_slice(), &[b'1'; 40]].concat();
    keyboard.keys(&endless);
    assert_eq!(keyboard.keys(b"a"), [Key::Char('a')]);
}

#[test]
fn five_megabytes_pasted_fill_the_input_and_no_more() {
    let paste = format!(
        "\x1b[200~{}\x1b[201~",
        "一行文字 and a line\r".repeat(200_000)
    );
    let mut keyboard = Keyboard::default();
    let mut face = face(80, 24);
    let start = Instant::now();
    for chunk in paste.as_bytes().chunks(4096) {
        keyboard
            .keys(chunk)
            .into_iter()
            .for_each(|key| face.press(key));
        let _ = face.draw();
    }
    assert!(start.elapsed() < DEADLINE);
    assert!(screen(&face).contains("the input is full"));
    face.press(Key::Enter);
    let sent = face.sent.pop_front().expect("it is sent");
    assert!(sent.starts_with("一行文字 and a line\n一行"));
    assert!(
        (16_000..=16 * 1024 + 1).contains(&sent.len()),
        "{}",
        sent.len()
    );
}

#[test]
fn no_paste_keeps_its_end_from_being_seen() {
    let mut keyboard = Keyboard::default();
    for end in [
        "",
        "\x1b",
        "\x1b[",
        "\x1b[[",
        "\x1bO",
        "\x1b[<0;1",
        "\u{e4}",
    ] {
        keyboard.keys(format!("\x1b[200~ab{end}\x1b[201~").as_bytes());
        assert_eq!(keyboard.keys(b"\x03"), [Key::CtrlC], "{end:?}");
    }
}

// What keys do.

fn face(width: usize, height: usize) -> Face {
    let mut face = Face::default();
    face.title("Rust聊天群");
    face.resize((width, height));
    face
}

fn type_in(face: &mut Face, text: &str) {
    text.chars().for_each(|c| face.press(Key::Char(c)));
}

/// The screen without its colours, and without blanks at the ends of the rows.
fn screen(face: &Face) -> String {
    let rows = face.draw().0;
    let rows: Vec<String> = rows.iter().map(|row| without_colours(row)).collect();
    rows.iter()
        .map(|row| row.trim_end().to_owned() + "\n")
        .collect()
}

fn without_colours(row: &str) -> String {
    let mut parts = row.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('m').expect("a colour").1
    })
}

#[test]
fn enter_sends_what_is_typed_with_a_newline() {
    let mut face = face(80, 24);
    type_in(&mut face, "你好 world");
    face.press(Key::Enter);
    assert_eq!(face.sent.pop_front().as_deref(), Some("你好 world\n"));
    face.press(Key::Enter);
    assert!(face.sent.is_empty(), "nothing is typed, nothing is sent");
}

#[test]
fn a_click_on_the_button_sends_and_one_beside_it_does_not() {
    for (column, row, sent) in [
        (75, 24, true),
        (70, 24, true),
        (80, 24, true),
        (69, 24, false),
        (75, 23, false),
        (usize::MAX, 24, true),
    ] {
        let mut face = face(80, 24);
        type_in(&mut face, "hello");
        face.press(Key::Click(column, row));
        assert_eq!(!face.sent.is_empty(), sent, "{column} {row}");
    }
}

#[test]
fn what_is_sent_waits_for_the_command_in_order_and_not_without_limit() {
    let mut face = face(80, 24);
    for number in 0..1000 {
        type_in(&mut face, &format!("{number}"));
        face.press(Key::Enter);
        if screen(&face).contains("still sending") {
            break;
        }
    }
    let waiting = face.sent.len();
    assert!(waiting < 1000);
    for number in 0..waiting {
        assert_eq!(face.sent.pop_front(), Some(format!("{number}\n")));
    }
    face.press(Key::Enter);
    assert_eq!(
        face.sent,
        [format!("{waiting}\n")],
        "it stayed in the input"
    );
}

#[test]
fn nothing_is_sent_once_the_window_closes() {
    let mut face = face(80, 24);
    face.press(Key::CtrlC);
    type_in(&mut face, "too late");
    face.press(Key::Enter);
    assert!(face.sent.is_empty());
    assert!(screen(&face).contains("\ntoo late\n"), "nor is it lost");
}

#[test]
fn backspace_takes_a_whole_character_and_ctrl_u_all() {
    let mut face = face(80, 24);
    type_in(&mut face, "a中e\u{301}\u{323}");
    for left in ["a中", "a", ""] {
        face.press(Key::Backspace);
        assert_eq!(screen(&face).lines().nth(17), Some(left));
    }
    face.press(Key::Backspace);
    type_in(&mut face, "a\nb");
    face.press(Key::CtrlU);
    face.press(Key::Enter);
    assert!(face.sent.is_empty());
}

#[test]
fn ctrl_c_closes_and_so_does_ctrl_d_on_an_empty_input() {
    let mut face = face(40, 10);
    type_in(&mut face, "x");
    face.press(Key::CtrlD);
    assert_eq!(face.closings, 0);
    face.press(Key::Backspace);
    face.press(Key::CtrlD);
    face.press(Key::CtrlD);
    assert_eq!(face.closings, 1);
    face.press(Key::CtrlC);
    assert_eq!(face.closings, 2);
    assert!(screen(&face).contains("closing, Ctrl-C again: now"));
}

// Screens.

#[test]
fn the_screen_at_40_by_10() {
    let mut face = face(40, 10);
    face.insert("[2019-03-21 17:30:00]业冰蝶: 今天天气真好，我们去公园\n");
    face.insert("[2019-03-21 17:30:05]同静槐: yes\n");
    type_in(&mut face, "Chinese 中文 mixed text up to the edge 的边");
    assert_eq!(
        screen(&face),
        "               Rust聊天群\n\
         [2019-03-21 17:30:00]业冰蝶: 今天天气真\n\
         \x20 好，我们去公园\n\
         [2019-03-21 17:30:05]同静槐: yes\n\
         \n\
         \n\
         ────────────────────────────────────────\n\
         Chinese 中文 mixed text up to the edge\n\
         的边\n\
         Enter sends, Ctrl-C closes    发送 Send\n"
    );
    assert_eq!(
        face.draw().1,
        (4, 8),
        "the cursor stands behind what is typed"
    );
}

#[test]
fn the_smallest_screen() {
    let mut face = face(20, 6);
    face.title("Rust聊天群 (业冰蝶业冰蝶)");
    face.insert("一二三四五六七八九十\n");
    type_in(&mut face, "12345678901234567890\nab");
    assert_eq!(
        screen(&face),
        "Rust聊天群 (业冰蝶业\n\
         一二三四五六七八九十\n\
         ────────────────────\n\
         12345678901234567890\n\
         ab\n          发送 Send\n"
    );
}

#[test]
fn a_title_does_not_command_the_terminal() {
    let mut face = face(40, 10);
    face.title("a\x1b[2Jb");
    assert_eq!(
        screen(&face).lines().next(),
        Some("                 a�[2Jb")
    );
}

#[test]
fn after_a_full_row_the_cursor_goes_to_the_next() {
    let mut face = face(20, 6);
    type_in(&mut face, "12345678901234567890");
    assert_eq!(face.draw().1, (0, 4));
}

#[test]
fn the_button_is_white_on_blue() {
    let rows = face(80, 24).draw().0;
    assert!(
        rows[23].ends_with("\x1b[97;48;5;33m 发送 Send \x1b[m"),
        "{:?}",
        rows[23]
    );
}

#[test]
fn a_terminal_that_is_too_small_is_told_and_recovers() {
    let mut face = face(20, 6);
    type_in(&mut face, "typed");
    face.insert("shown\n");
    let whole = screen(&face);
    face.resize((15, 4));
    assert_eq!(screen(&face), "too small:\n20x6 needed\n\n\n");
    face.resize((20, 6));
    assert_eq!(screen(&face), whole);
    assert_eq!(screen(&Face::default()), "", "and of none at all");
}

#[test]
fn nothing_is_outside_the_screen_at_any_size() {
    let mut face = face(80, 24);
    face.title("标题 with\nan end \u{1b}[31m".repeat(9).as_str());
    face.insert(&"宽 e\u{301}\ttab 😀 x".repeat(30));
    face.insert("\nline\n\n");
    type_in(&mut face, &"输入 e\u{301}\ttab 😀 x\n".repeat(20));
    for height in 0..=40 {
        for width in 1..=100 {
            face.resize((width, height));
            let (rows, (column, row)) = face.draw();
            assert_eq!(rows.len(), height);
            assert!(row < height.max(1) && column < width, "{width}x{height}");
            for row in rows {
                let row = without_colours(&row);
                assert!(columns(&row) <= width, "{width}x{height}: {row:?}");
                assert!(!row.contains(char::is_control), "{width}x{height}: {row:?}");
            }
        }
    }
}

#[test]
fn receiving_does_not_disturb_what_is_typed() {
    let mut face = face(40, 10);
    type_in(&mut face, "half a sen");
    let (before, cursor) = face.draw();
    face.insert(&"a line\n".repeat(100));
    let after = face.draw();
    assert_eq!(before[6..], after.0[6..]);
    assert_eq!(cursor, after.1);
}

/// The output pane of a window of 40 by 10.
fn pane(face: &Face) -> Vec<String> {
    screen(face)
        .lines()
        .skip(1)
        .take(5)
        .map(str::to_owned)
        .collect()
}

fn insert_lines(face: &mut Face, numbers: std::ops::Range<usize>) {
    numbers.for_each(|number| face.insert(&format!("{number}\n")));
}

#[test]
fn the_output_follows_its_end_and_keeps_ten_thousand_lines() {
    let mut face = face(40, 10);
    insert_lines(&mut face, 0..100_000);
    assert_eq!(pane(&face), ["99995", "99996", "99997", "99998", "99999"]);
    for _ in 0..10_000 {
        face.press(Key::PageUp);
    }
    assert_eq!(pane(&face), ["90000", "90001", "90002", "90003", "90004"]);
}

#[test]
fn what_is_being_read_stays_where_it_is() {
    let mut face = face(40, 10);
    insert_lines(&mut face, 0..10_000);
    face.press(Key::PageUp);
    face.press(Key::WheelUp);
    let read = ["9987", "9988", "9989", "9990", "9991"];
    assert_eq!(pane(&face), read);
    assert!(screen(&face).contains("PgDn: there is more below"));
    insert_lines(&mut face, 10_000..10_100);
    assert_eq!(pane(&face), read, "though the oldest lines have gone");
    insert_lines(&mut face, 10_100..30_000);
    assert_eq!(pane(&face)[0], "20000", "until it goes itself");
}

#[test]
fn page_down_and_the_wheel_come_back_to_the_end_and_follow_it() {
    let mut face = face(40, 10);
    face.insert(&"x".repeat(40 + 38 * 7));
    face.insert("\n1\n2\n");
    face.press(Key::PageUp);
    face.press(Key::PageUp);
    let mut rows = vec![format!("  {}", "x".repeat(38)); 5];
    rows[0] = "x".repeat(40);
    assert_eq!(pane(&face), rows, "a page shows rows, not lines");
    face.press(Key::WheelDown);
    face.press(Key::WheelDown);
    assert_eq!(pane(&face)[3..], ["1", "2"]);
    face.insert("3\n");
    assert_eq!(pane(&face)[2..], ["1", "2", "3"]);
    face.press(Key::PageUp);
    face.press(Key::PageDown);
    face.insert("4\n");
    assert_eq!(pane(&face)[3..], ["3", "4"]);
}

#[test]
fn a_pane_that_is_not_full_does_not_scroll() {
    let mut face = face(40, 10);
    insert_lines(&mut face, 0..3);
    face.press(Key::PageUp);
    insert_lines(&mut face, 3..8);
    assert_eq!(pane(&face), ["3", "4", "5", "6", "7"]);
}

#[test]
fn sending_returns_to_the_end() {
    let mut face = face(40, 10);
    insert_lines(&mut face, 0..20);
    face.press(Key::PageUp);
    type_in(&mut face, "hello");
    face.press(Key::Enter);
    assert_eq!(pane(&face)[4], "19");
}

#[test]
fn the_line_that_is_read_survives_a_resize() {
    let mut face = face(40, 10);
    for number in 0..50 {
        face.insert(&format!("{number} {}\n", "x".repeat(50)));
    }
    for _ in 0..4 {
        face.press(Key::PageUp);
    }
    let line = pane(&face)[1].split(' ').next().expect("a word").to_owned();
    face.resize((80, 10));
    assert!(
        pane(&face)[0..2].iter().any(|row| row.starts_with(&line)),
        "{:?}",
        pane(&face)
    );
}

#[test]
fn a_screen_that_grows_past_what_was_read_follows_the_end_again() {
    let mut face = face(40, 10);
    insert_lines(&mut face, 0..9);
    face.press(Key::WheelUp);
    face.resize((40, 24));
    insert_lines(&mut face, 9..30);
    assert!(screen(&face).contains("\n29\n"));
}

#[test]
fn a_line_without_end_is_cut() {
    let mut face = face(40, 10);
    face.insert(&("x".repeat(4095) + "\n"));
    let last = format!("  {}", "x".repeat((4095 - 40) % 38));
    assert_eq!(pane(&face)[4], last, "the newline begins no further row");
    face.insert(&"x".repeat(4095));
    face.insert("y");
    assert_eq!(
        pane(&face)[2..],
        [
            format!("  {}", "x".repeat(38)),
            format!("  {}", "x".repeat((4095 - 40) % 38)),
            "  y".to_owned()
        ],
        "nothing but a newline begins a line at the margin"
    );
}

// Text.

#[test]
fn characters_have_the_widths_of_unicode_annex_11() {
    for (text, expected) in [
        ("aé─€", 4),
        ("中あ한ＡＢ「", 12),
        ("😀🚀✅⭐", 8),
        ("e\u{301}\u{200d}\u{fe0f}ำ่", 2),
        ("🇨🇳", 2),
    ] {
        assert_eq!(columns(text), expected, "{text}");
    }
    assert_eq!(
        [width('ｱ'), width('\u{20000}'), width('\u{10FFFF}')],
        [1, 2, 1]
    );
}

#[test]
fn text_wraps_where_its_columns_end() {
    assert_eq!(wrap("", 4, ""), [""]);
    assert_eq!(wrap("abcd", 4, ""), ["abcd"]);
    assert_eq!(wrap("abcde\u{301}\u{302}", 5, ""), ["abcde\u{301}\u{302}"]);
    assert_eq!(wrap("abc中d", 4, ""), ["abc", "中d"]);
    assert_eq!(wrap("a\n\nb\n", 4, ""), ["a", "", "b", ""]);
    assert_eq!(wrap("ab\tc\td", 20, ""), ["ab      c       d"]);
    assert_eq!(wrap("中文\t中\tx", 10, ""), ["中文    中", "x"]);
    assert_eq!(wrap("abcdefg\nhi", 4, "  "), ["abcd", "  ef", "  g", "hi"]);
    assert_eq!(wrap("abc中\td", 4, " "), ["abc", " 中 ", " d"]);
}

#[test]
fn text_cut_anywhere_comes_whole_and_harmless() {
    let bytes = "好\x1b[2J\u{9b}31m\u{202e}\r😀\u{7f}\n\t.".as_bytes();
    let expected = "好�[2J�31m��😀�\n\t.";
    for cut in 0..=bytes.len() {
        let mut rest = bytes[..cut].to_vec();
        let mut text = take_text(&mut rest);
        assert!(rest.len() <= 3);
        rest.extend(&bytes[cut..]);
        text += &take_text(&mut rest);
        assert_eq!(text, expected, "cut at {cut}");
    }
    assert!(
        ('\0'..='\u{10FFFF}')
            .map(harmless)
            .all(|c| !c.is_control() || c == '\n' || c == '\t')
    );
    assert_eq!(take_text(&mut vec![0xff, b'a', 0xe4, 0xb8, b'b']), "�a�b");
}

// Line mode.

fn lines(input: &[u8], arguments: &[&str]) -> Finished {
    let mut child = Command::new(BINARY)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // A broken pipe is fine: with wrong arguments it reads nothing.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("it ends")
}

#[test]
fn without_a_terminal_a_line_is_shown_and_the_end_of_input_ends() {
    let finished = lines("hello\n\n你好\r\nno newline".as_bytes(), &[]);
    assert_eq!(
        String::from_utf8_lossy(&finished.stdout),
        "hello\n\n你好\nno newline\n"
    );
    assert_eq!(
        (finished.status.code(), finished.stderr.len()),
        (Some(0), 0)
    );
}

#[test]
fn in_line_mode_too_no_text_commands_the_terminal() {
    let finished = lines(b"\x1b]0;title\x07\x1b[2J\xff\n", &[]);
    assert_eq!(
        String::from_utf8_lossy(&finished.stdout),
        "�]0;title��[2J�\n"
    );
}

#[test]
fn wrong_arguments_are_refused_and_help_is_given() {
    let refused = lines(b"", &["server"]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
    assert!(refused.stderr.starts_with(b"usage: stage3-gui-stub"));
    let help = lines(b"", &["--help"]);
    assert_eq!((help.status.code(), help.stderr.len()), (Some(0), 0));
    assert!(help.stdout.starts_with(b"usage: stage3-gui-stub"));
}

#[test]
fn a_reader_that_goes_away_gets_no_panic() {
    let mut child = Command::new(BINARY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("a pipe");
    while stdin.write_all(b"hello\n").is_ok() {}
    let finished = child.wait_with_output().expect("it ends");
    let error = String::from_utf8_lossy(&finished.stderr);
    assert!(
        error.starts_with("stage3-gui-stub: ") && error.lines().count() == 1,
        "{error}"
    );
    assert_eq!(finished.status.code(), Some(1));
}

// On a pseudo-terminal, which util-linux `script` makes.

struct Session {
    child: Child,
    keyboard: ChildStdin,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

/// Runs the command between two looks at the terminal's mode.
fn on_a_terminal(command: &str) -> Session {
    let command = format!(
        "stty rows 24 cols 80; echo tty=$(tty)=; echo before=$(stty -g)=; \
         {command}; echo status=$?=; echo after=$(stty -g)="
    );
    let mut child = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env("TERM", "xterm-256color")
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script of util-linux is there");
    let keyboard = child.stdin.take().expect("a pipe");
    let mut stdout = child.stdout.take().expect("a pipe");
    let (sender, screen) = channel();
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = stdout.read(&mut chunk) {
            let _ = sender.send(chunk[..length].to_vec());
        }
    });
    Session {
        child,
        keyboard,
        screen,
        seen: String::new(),
    }
}

/// This test program itself, running one of its ignored tests.
fn program(test: &str) -> String {
    let this = std::env::current_exe().expect("this program has a path");
    format!(
        "{} --quiet --ignored --exact {test} --nocapture",
        this.display()
    )
}

impl Session {
    /// Waits for `text`, and returns what came before it.
    fn wait_for(&mut self, text: &str) -> String {
        let start = Instant::now();
        loop {
            if let Some(found) = self.seen.find(text) {
                let before = self.seen[..found].to_owned();
                self.seen.drain(..found + text.len());
                return before;
            }
            let left = DEADLINE.saturating_sub(start.elapsed());
            let chunk = self.screen.recv_timeout(left);
            let chunk = chunk.unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.seen));
            self.seen += &String::from_utf8_lossy(&chunk);
        }
    }

    fn value(&mut self, name: &str) -> String {
        self.wait_for(&format!("{name}="));
        self.wait_for("=")
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("it reads");
    }

    /// Waits until the window is there; returns how the terminal was before.
    fn opened(&mut self) -> String {
        let before = self.value("before");
        self.wait_for(ENTER);
        self.wait_for("Enter sends");
        before
    }

    /// Expects the window to go: the terminal is as it was, and nothing is drawn on it any more.
    /// Returns what the program still said.
    fn gone(mut self, before: &str, status: &str) -> String {
        self.wait_for(LEAVE);
        let said = self.wait_for("status=");
        assert!(!said.contains('\x1b'), "{said:?}");
        assert_eq!(self.wait_for("="), status);
        assert_eq!(self.value("after"), before);
        said
    }
}

impl Drop for Session {
    /// Takes the terminal away, which also ends what a failed test has left on it.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";

#[test]
fn the_terminal_is_given_back_after_a_normal_end() {
    let mut session = on_a_terminal(BINARY);
    let before = session.opened();
    session.press("你好 world\r");
    session.wait_for("\x1b[2;1H\x1b[K你好 world");
    session.press("\x1b[200~a\rb\x1b[201~");
    session.wait_for("a\x1b[19;1H\x1b[Kb");
    session.press("\x1b[<0;75;24M");
    session.wait_for("\x1b[3;1H\x1b[Ka\x1b[4;1H\x1b[Kb");
    session.press("\x04");
    session.gone(&before, "0");
}

/// A row is drawn when it has changed, and once in a while in case the terminal has lost it.
#[test]
fn the_whole_screen_is_drawn_again_but_not_for_every_key() {
    let mut session = on_a_terminal(BINARY);
    let before = session.opened();
    let (start, mut whole) = (Instant::now(), 0);
    while whole < 2 && start.elapsed() < DEADLINE {
        session.press("x");
        let frame = session.wait_for("\x1b[?2026l");
        whole += u64::from(frame.contains("Rust聊天群"));
    }
    assert_eq!(whole, 2, "it heals");
    assert!(start.elapsed().as_secs() + 1 >= whole, "once a second");
    session.press("\x03");
    session.gone(&before, "0");
}

#[test]
fn who_closes_twice_at_once_has_closed() {
    let mut session = on_a_terminal(&program("says_that_it_is_closing"));
    let before = session.opened();
    session.press("\x03\x03");
    let said = session.gone(&before, "0");
    assert!(said.contains("good bye"), "{said:?}");
}

#[test]
#[ignore = "runs in a terminal, for who_closes_twice_at_once_has_closed"]
fn says_that_it_is_closing() {
    let window = Window::new("Rust聊天群", false);
    let mut closed = false;
    window
        .mainloop(|_| {}, || closed = true)
        .expect("a terminal");
    println!("{}", if closed { "good bye" } else { "" });
}

/// As over a slow line, or pasted where the terminal does not say so.
#[test]
fn lines_that_come_in_one_read_are_sent_one_by_one() {
    let mut session = on_a_terminal(BINARY);
    let before = session.opened();
    session.press("one\rtwo\rthree\r");
    for (row, line) in [(2, "one"), (3, "two"), (4, "three")] {
        session.wait_for(&format!("\x1b[{row};1H\x1b[K{line}"));
    }
    session.press("\x03");
    session.gone(&before, "0");
}

#[test]
fn an_input_that_cannot_be_read_is_an_error() {
    let stdin = std::fs::File::open("/").expect("is there");
    let child = Command::new(BINARY)
        .stdin(stdin)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let output = child.expect("starts").wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("stage3-gui-stub: "));
}

#[test]
fn the_terminal_is_given_back_after_ctrl_c() {
    let mut session = on_a_terminal(BINARY);
    let before = session.opened();
    session.press("\x03");
    session.gone(&before, "0");
}

#[test]
fn the_terminal_is_given_back_before_a_panic_of_any_thread_is_reported() {
    for (test, message) in [
        ("panic_in_a_thread", "a thread is lost"),
        ("panic_in_the_command", "no more"),
    ] {
        let mut session = on_a_terminal(&program(test));
        let before = session.opened();
        session.press("x\r");
        let said = session.gone(&before, "101");
        assert!(said.contains(message), "{said:?}");
    }
}

#[test]
#[ignore = "run on a pseudo-terminal by another test"]
fn panic_in_a_thread() {
    let window = Window::new("panic", false);
    let mut thread = None;
    let lose = |_: &str| thread = Some(thread::spawn(|| panic!("a thread is lost")));
    window.mainloop(lose, || {}).expect("it runs");
}

#[test]
#[ignore = "run on a pseudo-terminal by another test"]
fn panic_in_the_command() {
    let window = Window::new("panic", false);
    window
        .mainloop(|_| panic!("no more"), || {})
        .expect("it runs");
}

#[test]
fn a_second_ctrl_c_leaves_though_nobody_destroys_the_window() {
    let mut session = on_a_terminal(&program("nobody_destroys"));
    let before = session.opened();
    session.press("\x03");
    session.wait_for("closing");
    session.press("\x03");
    session.gone(&before, "0");
}

#[test]
#[ignore = "run on a pseudo-terminal by another test"]
fn nobody_destroys() {
    let window = Window::new("dead server", false);
    window.mainloop(|_| {}, || {}).expect("it runs");
}

#[test]
fn a_second_ctrl_c_leaves_though_the_command_does_not_return() {
    let mut session = on_a_terminal(&program("the_command_never_returns"));
    let before = session.opened();
    session.press("x\r");
    session.wait_for("stuck");
    // The window goes on meanwhile.
    session.press("typed");
    session.wait_for("typed");
    session.press("\x03\x03");
    session.gone(&before, "130");
}

#[test]
#[ignore = "run on a pseudo-terminal by another test"]
fn the_command_never_returns() {
    let window = Window::new("dead server", false);
    let mut output = window.output();
    let stuck = |_: &str| {
        output.insert(b"stuck");
        loop {
            thread::park();
        }
    };
    window.mainloop(stuck, || {}).expect("it runs");
}

#[test]
fn a_flood_is_taken_in_before_it_is_drawn() {
    let mut session = on_a_terminal(&program("flood"));
    let before = session.opened();
    session.press("x\r");
    let drawn = session.wait_for("line 99999");
    assert!(
        drawn.len() < 200_000,
        "{} bytes for 1.2 MB of lines",
        drawn.len()
    );
    session.press("\x03");
    session.gone(&before, "0");
}

#[test]
#[ignore = "run on a pseudo-terminal by another test"]
fn flood() {
    let window = Window::new("flood", false);
    let mut output = window.output();
    let root = window.output();
    let flood =
        |_: &str| (0..100_000).for_each(|n| output.insert(format!("line {n}\n").as_bytes()));
    window.mainloop(flood, || root.destroy()).expect("it runs");
}

#[test]
fn a_resize_is_followed_and_too_small_a_terminal_is_told() {
    let mut session = on_a_terminal(BINARY);
    let terminal = session.value("tty");
    let before = session.opened();
    for (rows, columns, shown) in [
        ("20", "80", "\x1b[20;1H"),
        ("10", "40", "\x1b[10;1H"),
        ("4", "15", "too small"),
        ("60", "200", "\x1b[60;1H"),
    ] {
        let mut stty = Command::new("stty");
        let resized = stty
            .args(["-F", &terminal, "rows", rows, "cols", columns])
            .status();
        assert!(resized.expect("stty is there").success());
        // Where the rows are after a resize only the terminal knows: the first is drawn again, too.
        session.wait_for("\x1b[1;1H");
        session.wait_for(shown);
    }
    session.press("\x03");
    session.gone(&before, "0");
}

#[test]
fn a_terminal_that_does_not_know_its_size_gets_24_rows_and_the_title() {
    let mut session = on_a_terminal(&format!("stty rows 0 cols 0; {BINARY}"));
    session.wait_for("Rust聊天群");
    session.wait_for("\x1b[24;1H");
    session.press("\x03");
    assert_eq!(session.value("status"), "0");
}

#[test]
fn a_terminal_that_goes_away_ends_the_window() {
    let command = format!("trap \"\" HUP; echo pid=$$=; exec {BINARY}");
    let mut session = on_a_terminal(&format!("sh -c '{command}'"));
    let process = session.value("pid");
    session.wait_for("Enter sends");
    drop(session);
    let start = Instant::now();
    // What has ended and nobody has asked for yet has no command line any more.
    let runs =
        || std::fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|line| !line.is_empty());
    while runs() {
        assert!(start.elapsed() < DEADLINE, "it still runs");
        thread::yield_now();
    }
}

#[test]
fn a_dumb_terminal_gets_line_mode() {
    for term in ["TERM=dumb", "TERM=", "-u TERM"] {
        let mut session = on_a_terminal(&format!("env {term} {BINARY}"));
        session.value("before");
        session.press("hello\n");
        session.wait_for("hello\r\n");
        session.wait_for("hello\r\n");
        session.press("\x04");
        assert_eq!(session.value("status"), "0");
    }
}

#[test]
fn without_stty_there_is_line_mode() {
    let mut session = on_a_terminal(&format!("PATH=/nowhere {BINARY}"));
    session.value("before");
    session.press("hello\n");
    session.wait_for("hello\r\n");
    session.wait_for("hello\r\n");
    session.press("\x04");
    assert_eq!(session.value("status"), "0");
}

#[test]
fn a_plain_window_is_line_mode_on_any_terminal() {
    let mut session = on_a_terminal(&program("plain"));
    session.value("before");
    session.press("hello\n");
    session.wait_for("hello\r\n");
    session.wait_for("hello\r\n");
    session.press("\x04");
    assert_eq!(session.value("status"), "0");
}

#[test]
#[ignore = "run on a pseudo-terminal by another test"]
fn plain() {
    let window = Window::new("plain", true);
    let mut output = window.output();
    let root = window.output();
    let shown = window.mainloop(|text| output.insert(text.as_bytes()), || root.destroy());
    shown.expect("it runs");
}
