//! Chapter 3: tests of keys, screens, line mode, and of restoring the terminal.

use std::io::Write;
use std::process::{Command, Output as Finished, Stdio};
use std::time::{Duration, Instant};

use stage3_gui_stub::text::{char_width, drain_text, harmless, row_starts, text_width, wrap};
use stage3_gui_stub::window::{Event, Key, Keyboard, Screen};

const DEADLINE: Duration = Duration::from_secs(20);

const BINARY: &str = env!("CARGO_BIN_EXE_stage3-gui-stub");

// Keys.

/// The bytes of one key of every kind, and the keys that they mean.
fn every_kind_of_key() -> (Vec<u8>, Vec<Key>) {
    let parts: &[(&[u8], &[Key])] = &[
        (b"a", &[Key::Char('a')]),
        ("é".as_bytes(), &[Key::Char('é')]),
        ("中".as_bytes(), &[Key::Char('中')]),
        ("😀".as_bytes(), &[Key::Char('😀')]),
        (b"\x1b[5~", &[Key::PageUp]),
        (b"\x1b[6~", &[Key::PageDown]),
        (
            b"\x1b[A\x1b[B\x1b[C\x1b[D\x1b[H\x1b[F",
            &[
                Key::Up,
                Key::Down,
                Key::Right,
                Key::Left,
                Key::Home,
                Key::End,
            ],
        ),
        (
            b"\x1bOA\x1bOB\x1bOC\x1bOD\x1bOH\x1bOF",
            &[
                Key::Up,
                Key::Down,
                Key::Right,
                Key::Left,
                Key::Home,
                Key::End,
            ],
        ),
        (
            b"\x1b[1~\x1b[7~\x1b[4~\x1b[8~\x1b[3~",
            &[Key::Home, Key::Home, Key::End, Key::End, Key::Delete],
        ),
        (b"\x1bOP\x1b[1;5C\x1b[15~\x1b[[A", &[]),
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
    let (bytes, keys) = every_kind_of_key();
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
fn a_lone_escape_does_nothing_and_does_not_change_the_next_key() {
    let mut keyboard = Keyboard::default();
    assert_eq!(keyboard.keys(b"\x1b"), []);
    assert_eq!(keyboard.keys("中".as_bytes()), [Key::Char('中')]);
}

#[test]
fn an_endless_sequence_does_not_block_the_keyboard() {
    let mut keyboard = Keyboard::default();
    let endless = [b"\x1b[".as_slice(), &[b'1'; 40]].concat();
    keyboard.keys(&endless);
    assert_eq!(keyboard.keys(b"a"), [Key::Char('a')]);
}

#[test]
fn a_paste_of_five_megabytes_fills_only_the_input() {
    let paste = format!(
        "\x1b[200~{}\x1b[201~",
        "一行文字 and a line\r".repeat(200_000)
    );
    let mut keyboard = Keyboard::default();
    let mut screen = screen(80, 24);
    let start = Instant::now();
    for chunk in paste.as_bytes().chunks(4096) {
        let events = press(&mut screen, keyboard.keys(chunk));
        assert_eq!(events, [], "a paste sends nothing");
        let _ = screen.draw();
    }
    assert!(start.elapsed() < DEADLINE);
    assert!(shown(&screen).contains("the input is full"));
    let sent = send(&mut screen).expect("it is sent");
    assert!(sent.starts_with("一行文字 and a line\n一行"));
    assert!(
        (16_000..=16 * 1024 + 1).contains(&sent.len()),
        "{}",
        sent.len()
    );
}

#[test]
fn the_keyboard_finds_the_end_of_every_paste() {
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

#[test]
fn pasted_text_presses_no_keys() {
    let mut keyboard = Keyboard::default();
    let pasted = b"\x1b[200~a\x1b[<0;75;24M\x1b[D\x1b[5~b\x1b[201~";
    assert_eq!(keyboard.keys(pasted), [Key::Char('a'), Key::Char('b')]);
}

#[test]
fn two_consecutive_ctrl_c_end_a_paste_without_an_end() {
    let mut keyboard = Keyboard::default();
    let once = [Key::Char('a'), Key::Char('\u{FFFD}'), Key::Char('b')];
    assert_eq!(keyboard.keys(b"\x1b[200~a\x03b"), once);
    assert_eq!(keyboard.keys(b"\x03"), [Key::Char('\u{FFFD}')]);
    assert_eq!(keyboard.keys(b"\x03"), [Key::CtrlC]);
    assert_eq!(keyboard.keys(b"\x03\r"), [Key::CtrlC, Key::Enter]);
}

// What keys do.

fn screen(width: usize, height: usize) -> Screen {
    let mut screen = Screen::default();
    screen.title("Rust聊天群");
    screen.resize((width, height));
    screen
}

/// Presses these keys, and returns the events that they cause.
fn press(screen: &mut Screen, keys: impl IntoIterator<Item = Key>) -> Vec<Event> {
    let events = keys.into_iter().map(|key| screen.press(key));
    events.flatten().collect()
}

fn type_in(screen: &mut Screen, text: &str) {
    let events = press(screen, text.chars().map(Key::Char));
    assert_eq!(events, [], "typing sends nothing");
}

/// Presses Enter, and returns the text that it sends.
fn send(screen: &mut Screen) -> Option<String> {
    match screen.press(Key::Enter)? {
        Event::Send(text) => Some(text),
        Event::Close => panic!("Enter closes nothing"),
    }
}

/// The screen without its colours, and without spaces at the ends of the rows.
fn shown(screen: &Screen) -> String {
    let rows = screen.draw().0;
    let rows: Vec<String> = rows.iter().map(|row| without_colours(row)).collect();
    rows.iter()
        .map(|row| row.trim_end().to_owned() + "\n")
        .collect()
}

/// The rows of the input that are shown, without the empty ones at the end.
fn input(screen: &Screen) -> Vec<String> {
    let shown = shown(screen);
    let mut rows = shown.lines().skip_while(|row| !row.starts_with('─'));
    rows.next();
    let mut rows: Vec<String> = rows.map(str::to_owned).collect();
    rows.pop();
    while rows.last().is_some_and(String::is_empty) {
        rows.pop();
    }
    rows
}

fn without_colours(row: &str) -> String {
    let mut parts = row.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('m').expect("a colour").1
    })
}

#[test]
fn enter_sends_the_input_with_a_newline() {
    let mut screen = screen(80, 24);
    type_in(&mut screen, "你好 world");
    assert_eq!(send(&mut screen).as_deref(), Some("你好 world\n"));
    assert_eq!(send(&mut screen), None, "an empty input sends nothing");
}

#[test]
fn a_click_on_the_button_sends_and_a_click_beside_it_does_not() {
    for (column, row, sends) in [
        (75, 24, true),
        (70, 24, true),
        (80, 24, true),
        (69, 24, false),
        (75, 23, false),
        (usize::MAX, 24, true),
    ] {
        let mut screen = screen(80, 24);
        type_in(&mut screen, "hello");
        let event = screen.press(Key::Click(column, row));
        let expected = sends.then(|| Event::Send("hello\n".to_owned()));
        assert_eq!(event, expected, "{column} {row}");
    }
}

#[test]
fn the_input_keeps_its_text_while_too_many_texts_wait_for_the_handler() {
    let mut screen = screen(80, 24);
    let mut sent = Vec::new();
    for number in 0..1000 {
        type_in(&mut screen, &format!("{number}"));
        sent.extend(send(&mut screen));
        if shown(&screen).contains("still sending") {
            break;
        }
    }
    let waiting = sent.len();
    assert!((1..1000).contains(&waiting));
    let numbers: Vec<String> = (0..waiting).map(|number| format!("{number}\n")).collect();
    assert_eq!(sent, numbers);
    assert_eq!(send(&mut screen), None);
    screen.handled();
    let text = format!("{waiting}\n");
    assert_eq!(send(&mut screen), Some(text), "it stayed in the input");
}

#[test]
fn a_window_that_closes_sends_nothing() {
    let mut screen = screen(80, 24);
    assert_eq!(screen.press(Key::CtrlC), Some(Event::Close));
    type_in(&mut screen, "too late");
    assert_eq!(send(&mut screen), None);
    assert!(
        shown(&screen).contains("\ntoo late\n"),
        "the text is not lost"
    );
}

#[test]
fn backspace_erases_a_whole_character_and_ctrl_u_erases_everything() {
    let mut screen = screen(80, 24);
    type_in(&mut screen, "a中e\u{301}\u{323}");
    for left in ["a中", "a", ""] {
        screen.press(Key::Backspace);
        assert_eq!(shown(&screen).lines().nth(17), Some(left));
    }
    screen.press(Key::Backspace);
    type_in(&mut screen, "a\nb");
    screen.press(Key::CtrlU);
    assert_eq!(send(&mut screen), None);
}

/// The text that is sent after these keys, given as the bytes that a terminal sends for them.
fn sent_after(bytes: &[u8]) -> String {
    let mut screen = screen(80, 24);
    assert_eq!(press(&mut screen, Keyboard::default().keys(bytes)), []);
    send(&mut screen).unwrap_or_default()
}

#[test]
fn the_cursor_moves_within_the_text_and_keys_edit_there() {
    for (typed, sent) in [
        ("ac\x1b[Db", "abc\n"),
        ("中国\x1b[D文\x1b[D\x1b[D汉", "汉中文国\n"),
        ("bc\x1b[Ha\x1b[Fd", "abcd\n"),
        ("abc\x1b[D\x1b[D\x7f", "bc\n"),
        ("abc\x1b[D\x1b[D\x1b[3~", "ac\n"),
        ("abc\x1b[D\x1b[D\x1b[C!", "ab!c\n"),
        ("中国文\x1b[H\x1b[3~\x1b[C\x7f", "文\n"),
        ("\x1b[D\x1b[D\x7f\x1b[3~a\x1b[C\x1b[C\x1b[3~b", "ab\n"),
        ("ab\x1b[D\x15c", "c\n"),
        // A combining mark stays with its character.
        ("e\u{301}x\x1b[D\x1b[Da", "ae\u{301}x\n"),
        ("ae\u{301}x\x1b[D\x7f", "ax\n"),
        ("ae\u{301}x\x1b[H\x1b[C\x1b[3~", "ax\n"),
        // A paste goes where the cursor is.
        ("ad\x1b[D\x1b[200~b\rc\x1b[201~", "ab\ncd\n"),
    ] {
        assert_eq!(sent_after(typed.as_bytes()), sent, "{typed:?}");
    }
}

#[test]
fn the_cursor_is_drawn_where_the_next_character_goes() {
    let mut screen = screen(20, 8);
    type_in(&mut screen, "中文中文中文 中文中文 ab");
    assert_eq!(input(&screen), ["中文中文中文 中文中", "文 ab"]);
    assert_eq!(screen.draw().1, (5, 6));
    // The cursor moves left one character at a time, and on to the row above.
    for cursor in [
        (4, 6),
        (3, 6),
        (2, 6),
        (0, 6),
        (17, 5),
        (15, 5),
        (13, 5),
        (12, 5),
        (10, 5),
    ] {
        screen.press(Key::Left);
        assert_eq!(screen.draw().1, cursor);
    }
    type_in(&mut screen, "x");
    assert_eq!(input(&screen), ["中文中文中x文 中文", "中文 ab"]);
    assert_eq!(screen.draw().1, (11, 5));
    screen.press(Key::Home);
    assert_eq!(screen.draw().1, (0, 5));
    screen.press(Key::End);
    assert_eq!(screen.draw().1, (7, 6));
}

#[test]
fn the_cursor_stays_on_the_screen_after_spaces_at_the_edge() {
    let mut screen = screen(20, 8);
    type_in(&mut screen, &"word".repeat(4));
    type_in(&mut screen, &" ".repeat(30));
    assert_eq!(screen.draw().1, (19, 5));
    type_in(&mut screen, "x");
    assert_eq!(input(&screen), ["wordwordwordword", "x"]);
    assert_eq!(screen.draw().1, (1, 6));
}

#[test]
fn the_input_scrolls_to_the_cursor() {
    let mut screen = screen(20, 8);
    type_in(&mut screen, "1\n2\n3\n4\n5");
    assert_eq!(input(&screen), ["4", "5"]);
    for (key, rows, cursor) in [
        (Key::Left, ["4", "5"], (0, 6)),
        (Key::Left, ["4", "5"], (1, 5)),
        (Key::Home, ["1", "2"], (0, 5)),
        (Key::Right, ["1", "2"], (1, 5)),
        (Key::Right, ["2", "3"], (0, 5)),
        (Key::End, ["4", "5"], (1, 6)),
    ] {
        screen.press(key);
        assert_eq!(input(&screen), rows, "{key:?}");
        assert_eq!(screen.draw().1, cursor, "{key:?}");
    }
}

#[test]
fn up_and_down_recall_sent_texts_and_keep_the_draft() {
    let mut screen = screen(80, 24);
    for text in ["one", "two", "two", "three"] {
        type_in(&mut screen, text);
        send(&mut screen);
    }
    type_in(&mut screen, "draft");
    let mut recalled = Vec::new();
    for key in [
        Key::Up,
        Key::Up,
        Key::Up,
        Key::Up,
        Key::Down,
        Key::Down,
        Key::Down,
        Key::Down,
    ] {
        screen.press(key);
        recalled.push(input(&screen)[0].clone());
    }
    assert_eq!(
        recalled,
        [
            "three", "two", "one", "one", "two", "three", "draft", "draft"
        ]
    );
    assert_eq!(screen.draw().1.0, 5, "the cursor is at the end");
    // A recalled text can be edited and sent. The text in the history does not change.
    press(
        &mut screen,
        [
            Key::Up,
            Key::Up,
            Key::Backspace,
            Key::Char('!'),
            Key::Up,
            Key::Down,
        ],
    );
    assert_eq!(send(&mut screen).as_deref(), Some("tw!\n"));
    press(&mut screen, [Key::Up, Key::Up, Key::Up]);
    assert_eq!(send(&mut screen).as_deref(), Some("two\n"));
}

#[test]
fn the_history_has_a_limit() {
    let mut screen = screen(80, 24);
    for number in 0..1000 {
        type_in(&mut screen, &format!("{number}"));
        send(&mut screen);
        screen.handled();
    }
    press(&mut screen, [Key::Up; 2000]);
    assert_eq!(send(&mut screen).as_deref(), Some("900\n"));
}

#[test]
fn ctrl_c_closes_and_so_does_ctrl_d_on_an_empty_input() {
    let mut screen = screen(40, 10);
    type_in(&mut screen, "x");
    assert_eq!(screen.press(Key::CtrlD), None);
    assert_eq!(screen.close_requests, 0);
    let keys = [Key::Backspace, Key::CtrlD, Key::CtrlD];
    assert_eq!(press(&mut screen, keys), [Event::Close]);
    assert_eq!(screen.close_requests, 1);
    assert_eq!(screen.press(Key::CtrlC), None, "the event is returned once");
    assert_eq!(screen.close_requests, 2);
    assert!(shown(&screen).contains("closing; Ctrl-C ends it now"));
}

// Screens.

#[test]
fn a_screen_of_40_by_10_looks_like_this() {
    let mut screen = screen(40, 10);
    screen.insert("[2019-03-21 17:30:00]业冰蝶: 今天天气真好，我们去公园\n");
    screen.insert("[2019-03-21 17:30:05]同静槐: yes\n");
    type_in(&mut screen, "Chinese 中文 mixed text up to the edge 的边");
    assert_eq!(
        shown(&screen),
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
        screen.draw().1,
        (4, 8),
        "the cursor is after the typed text"
    );
}

#[test]
fn the_smallest_screen_looks_like_this() {
    let mut screen = screen(20, 6);
    screen.title("Rust聊天群 (业冰蝶业冰蝶)");
    screen.insert("一二三四五六七八九十\n");
    type_in(&mut screen, "1234567890123456789\nab");
    assert_eq!(
        shown(&screen),
        "Rust聊天群 (业冰蝶业\n\
         一二三四五六七八九十\n\
         ────────────────────\n\
         1234567890123456789\n\
         ab\n          发送 Send\n"
    );
}

#[test]
fn a_title_cannot_control_the_terminal() {
    let mut screen = screen(40, 10);
    screen.title("a\x1b[2Jb");
    assert_eq!(
        shown(&screen).lines().next(),
        Some("                 a�[2Jb")
    );
}

#[test]
fn the_cursor_has_its_own_column_after_a_full_row() {
    let mut screen = screen(20, 6);
    type_in(&mut screen, "1234567890123456789");
    assert_eq!(screen.draw().1, (19, 3));
    type_in(&mut screen, "0");
    assert_eq!(screen.draw().1, (1, 4));
}

#[test]
fn a_title_is_cut_at_the_edge() {
    let mut screen = screen(20, 6);
    screen.title("Rust聊天群 (averylongname)");
    assert_eq!(shown(&screen).lines().next(), Some("Rust聊天群 (averylon"));
}

#[test]
fn the_button_is_white_on_blue() {
    let rows = screen(80, 24).draw().0;
    assert!(
        rows[23].ends_with("\x1b[97;48;5;33m 发送 Send \x1b[m"),
        "{:?}",
        rows[23]
    );
}

#[test]
fn a_terminal_that_is_too_small_shows_the_size_it_needs_and_recovers() {
    let mut screen = screen(20, 6);
    type_in(&mut screen, "typed");
    screen.insert("shown\n");
    let whole = shown(&screen);
    screen.resize((15, 4));
    assert_eq!(shown(&screen), "too small:\n20x6 needed\n\n\n");
    screen.resize((20, 6));
    assert_eq!(shown(&screen), whole);
    assert_eq!(
        shown(&Screen::default()),
        "",
        "a screen without a size is empty"
    );
}

#[test]
fn nothing_is_drawn_outside_the_screen_at_any_size() {
    let mut screen = screen(80, 24);
    screen.title("标题 with\nan end \u{1b}[31m".repeat(9).as_str());
    screen.insert(&"宽 e\u{301}\ttab 😀 x".repeat(30));
    screen.insert("\nline\n\n");
    type_in(&mut screen, &"输入 e\u{301}\ttab 😀 x\n".repeat(20));
    for height in 0..=40 {
        for width in 1..=100 {
            screen.resize((width, height));
            screen.press(Key::Left);
            let (rows, (column, row)) = screen.draw();
            assert_eq!(rows.len(), height);
            assert!(row < height.max(1) && column < width, "{width}x{height}");
            for row in rows {
                let row = without_colours(&row);
                assert!(text_width(&row) <= width, "{width}x{height}: {row:?}");
                assert!(!row.contains(char::is_control), "{width}x{height}: {row:?}");
            }
        }
    }
}

#[test]
fn text_that_arrives_does_not_disturb_the_input() {
    let mut screen = screen(40, 10);
    type_in(&mut screen, "half a sen");
    let (before, cursor) = screen.draw();
    screen.insert(&"a line\n".repeat(100));
    let after = screen.draw();
    assert_eq!(before[6..], after.0[6..]);
    assert_eq!(cursor, after.1);
}

/// The output pane of a window of 40 by 10.
fn pane(screen: &Screen) -> Vec<String> {
    shown(screen)
        .lines()
        .skip(1)
        .take(5)
        .map(str::to_owned)
        .collect()
}

fn insert_lines(screen: &mut Screen, numbers: std::ops::Range<usize>) {
    numbers.for_each(|number| screen.insert(&format!("{number}\n")));
}

#[test]
fn the_output_shows_its_end_and_keeps_ten_thousand_lines() {
    let mut screen = screen(40, 10);
    insert_lines(&mut screen, 0..100_000);
    assert_eq!(pane(&screen), ["99995", "99996", "99997", "99998", "99999"]);
    for _ in 0..10_000 {
        screen.press(Key::PageUp);
    }
    assert_eq!(pane(&screen), ["90000", "90001", "90002", "90003", "90004"]);
}

#[test]
fn the_text_that_is_being_read_stays_where_it_is() {
    let mut screen = screen(40, 10);
    insert_lines(&mut screen, 0..10_000);
    screen.press(Key::PageUp);
    screen.press(Key::WheelUp);
    let read = ["9987", "9988", "9989", "9990", "9991"];
    assert_eq!(pane(&screen), read);
    assert!(shown(&screen).contains("PgDn: there is more below"));
    insert_lines(&mut screen, 10_000..10_100);
    assert_eq!(pane(&screen), read, "although the oldest lines are gone");
    insert_lines(&mut screen, 10_100..30_000);
    assert_eq!(pane(&screen)[0], "20000", "until it is itself the oldest");
}

#[test]
fn page_down_and_the_wheel_return_to_the_end_and_follow_it() {
    let mut screen = screen(40, 10);
    screen.insert(&"x".repeat(40 + 38 * 7));
    screen.insert("\n1\n2\n");
    screen.press(Key::PageUp);
    screen.press(Key::PageUp);
    let mut rows = vec![format!("  {}", "x".repeat(38)); 5];
    rows[0] = "x".repeat(40);
    assert_eq!(pane(&screen), rows, "a page shows rows, not lines");
    screen.press(Key::WheelDown);
    screen.press(Key::WheelDown);
    assert_eq!(pane(&screen)[3..], ["1", "2"]);
    screen.insert("3\n");
    assert_eq!(pane(&screen)[2..], ["1", "2", "3"]);
    screen.press(Key::PageUp);
    screen.press(Key::PageDown);
    screen.insert("4\n");
    assert_eq!(pane(&screen)[3..], ["3", "4"]);
}

#[test]
fn a_pane_that_is_not_full_does_not_scroll() {
    let mut screen = screen(40, 10);
    insert_lines(&mut screen, 0..3);
    screen.press(Key::PageUp);
    insert_lines(&mut screen, 3..8);
    assert_eq!(pane(&screen), ["3", "4", "5", "6", "7"]);
}

#[test]
fn the_output_returns_to_its_end_when_a_text_is_sent() {
    let mut screen = screen(40, 10);
    insert_lines(&mut screen, 0..20);
    screen.press(Key::PageUp);
    type_in(&mut screen, "hello");
    screen.press(Key::Enter);
    assert_eq!(pane(&screen)[4], "19");
}

#[test]
fn the_line_that_is_being_read_stays_visible_after_a_resize() {
    let mut screen = screen(40, 10);
    for number in 0..50 {
        screen.insert(&format!("{number} {}\n", "x".repeat(50)));
    }
    for _ in 0..4 {
        screen.press(Key::PageUp);
    }
    let line = pane(&screen)[1]
        .split(' ')
        .next()
        .expect("a word")
        .to_owned();
    screen.resize((80, 10));
    assert!(
        pane(&screen)[0..2].iter().any(|row| row.starts_with(&line)),
        "{:?}",
        pane(&screen)
    );
}

#[test]
fn a_screen_that_grows_to_the_end_of_the_output_follows_it_again() {
    let mut screen = screen(40, 10);
    insert_lines(&mut screen, 0..9);
    screen.press(Key::WheelUp);
    screen.resize((40, 24));
    insert_lines(&mut screen, 9..30);
    assert!(shown(&screen).contains("\n29\n"));
}

#[test]
fn an_endless_line_is_cut() {
    let mut screen = screen(40, 10);
    screen.insert(&("x".repeat(4095) + "\n"));
    let last = format!("  {}", "x".repeat((4095 - 40) % 38));
    assert_eq!(
        pane(&screen)[4],
        last,
        "the newline does not begin another row"
    );
    screen.insert(&"x".repeat(4095));
    screen.insert("y");
    assert_eq!(
        pane(&screen)[2..],
        [
            format!("  {}", "x".repeat(38)),
            format!("  {}", "x".repeat((4095 - 40) % 38)),
            "  y".to_owned()
        ],
        "only a newline begins a line at the margin"
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
        assert_eq!(text_width(text), expected, "{text}");
    }
    assert_eq!(
        [
            char_width('ｱ'),
            char_width('\u{20000}'),
            char_width('\u{10FFFF}')
        ],
        [1, 2, 1]
    );
}

#[test]
fn text_wraps_at_the_last_column() {
    assert_eq!(wrap("", 4, ""), [""]);
    assert_eq!(wrap("abcd", 4, ""), ["abcd"]);
    assert_eq!(wrap("abcde\u{301}\u{302}", 5, ""), ["abcde\u{301}\u{302}"]);
    assert_eq!(wrap("abc中d", 4, ""), ["abc", "中d"]);
    assert_eq!(wrap("a\n\nb\n", 4, ""), ["a", "", "b", ""]);
    assert_eq!(wrap("ab\tc\td", 20, ""), ["ab      c       d"]);
    assert_eq!(wrap("中文\t中\tx", 10, ""), ["中文    中", "x"]);
    assert_eq!(wrap("abcdefg\nhi", 4, "  "), ["abcd", "  ef", "  g", "hi"]);
    assert_eq!(wrap("abc中\td", 4, " "), ["abc", " 中", " d"]);
}

#[test]
fn text_wraps_between_words_and_between_chinese_characters() {
    assert_eq!(wrap("one two three", 7, ""), ["one two", "three"]);
    assert_eq!(wrap("one two three", 8, ""), ["one two ", "three"]);
    assert_eq!(wrap("one two", 5, "  "), ["one ", "  two"]);
    assert_eq!(wrap("one    two", 5, ""), ["one  ", "two"]);
    assert_eq!(wrap("a longword", 6, ""), ["a ", "longwo", "rd"]);
    assert_eq!(wrap("ab中文", 4, ""), ["ab中", "文"]);
    assert_eq!(wrap("中文abc", 6, ""), ["中文", "abc"]);
    assert_eq!(wrap("中文 ab", 4, ""), ["中文", "ab"]);
    assert_eq!(
        wrap("xe\u{301} e\u{301}e\u{301}", 3, ""),
        ["xe\u{301} ", "e\u{301}e\u{301}"]
    );
    assert_eq!(wrap("中\u{fe0f}a", 2, ""), ["中\u{fe0f}", "a"]);
    assert_eq!(wrap(&" ".repeat(50), 4, ""), ["    "]);
    assert_eq!(row_starts("one    two\n", 5, ""), [0, 7, 11]);
}

#[test]
fn text_that_is_cut_anywhere_arrives_whole_and_harmless() {
    let bytes = "好\x1b[2J\u{9b}31m\u{202e}\r😀\u{7f}\n\t.".as_bytes();
    let expected = "好�[2J�31m��😀�\n\t.";
    for cut in 0..=bytes.len() {
        let mut rest = bytes[..cut].to_vec();
        let mut text = drain_text(&mut rest);
        assert!(rest.len() <= 3);
        rest.extend(&bytes[cut..]);
        text += &drain_text(&mut rest);
        assert_eq!(text, expected, "cut at {cut}");
    }
    assert!(
        ('\0'..='\u{10FFFF}')
            .map(harmless)
            .all(|c| !c.is_control() || c == '\n' || c == '\t')
    );
    assert_eq!(drain_text(&mut vec![0xff, b'a', 0xe4, 0xb8, b'b']), "�a�b");
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
    // A broken pipe is not a failure: with wrong arguments the program reads nothing.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("it ends")
}

#[test]
fn a_window_without_a_terminal_shows_lines_and_ends_with_its_input() {
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
fn no_text_can_control_the_terminal_in_line_mode_either() {
    let finished = lines(b"\x1b]0;title\x07\x1b[2J\xff\n", &[]);
    assert_eq!(
        String::from_utf8_lossy(&finished.stdout),
        "�]0;title��[2J�\n"
    );
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_next_one_is_sent() {
    let longest = "x".repeat(16 * 1024);
    let input = format!("before\n{longest}y\n{longest}\nafter");
    let finished = lines(input.as_bytes(), &[]);
    let output = String::from_utf8_lossy(&finished.stdout).into_owned();
    let shown: Vec<&str> = output.lines().collect();
    let refused = "not sent: a line has at most 16384 bytes";
    assert_eq!(shown.len(), 4);
    // The window refuses a line at once, perhaps before the program has shown the lines before it.
    assert!(shown[..3].contains(&"before") && shown.contains(&refused));
    assert!(
        shown.contains(&longest.as_str()),
        "a line of exactly the limit is sent"
    );
    assert_eq!((shown[3], finished.status.code()), ("after", Some(0)));
}

/// Only Linux reports how much memory a process has used.
#[cfg(target_os = "linux")]
#[test]
fn an_endless_line_needs_little_memory() {
    let mut child = Command::new(BINARY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let megabyte = vec![b'x'; 1 << 20];
    for _ in 0..64 {
        stdin.write_all(&megabyte).expect("it reads");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
    let status = status.expect("it still runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak
        .expect("Linux reports it")
        .trim()
        .trim_end_matches(" kB");
    assert!(
        peak.parse::<u32>().expect("a number") < 16 * 1024,
        "{peak} KiB"
    );
    drop(stdin);
    let output = child.wait_with_output().expect("ends");
    assert!(output.stdout.starts_with(b"not sent: "));
}

#[test]
fn wrong_arguments_are_refused_and_help_is_printed() {
    let refused = lines(b"", &["server"]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
    assert!(refused.stderr.starts_with(b"usage: stage3-gui-stub"));
    let help = lines(b"", &["--help"]);
    assert_eq!((help.status.code(), help.stderr.len()), (Some(0), 0));
    assert!(help.stdout.starts_with(b"usage: stage3-gui-stub"));
}

#[test]
fn a_closed_standard_output_causes_one_sentence_and_no_panic() {
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

/// On Unix a folder can be opened, but not read.
#[cfg(unix)]
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

/// Each test runs a program on a pseudo-terminal. `script` creates the terminal. Its options differ
/// on systems other than Linux.
#[cfg(target_os = "linux")]
mod on_a_terminal {
    use std::io::Read;
    use std::process::{Child, ChildStdin};
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;

    use stage3_gui_stub::window::Window;

    use super::*;

    struct Session {
        child: Child,
        keyboard: ChildStdin,
        screen: Receiver<Vec<u8>>,
        seen: String,
    }

    /// Runs the command on a terminal, and prints the terminal's mode before and after it.
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

    /// The command that runs one of the ignored tests of this test program itself.
    fn program(test: &str) -> String {
        let this = std::env::current_exe().expect("this program has a path");
        format!(
            "{} --quiet --ignored --exact on_a_terminal::{test} --nocapture",
            this.display()
        )
    }

    impl Session {
        /// Waits for `text`, and returns the output before it.
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

        /// Waits until the window is open. Returns the terminal's mode from before.
        fn wait_until_open(&mut self) -> String {
            let before = self.value("before");
            self.wait_for(ENTER);
            self.wait_for("Enter sends");
            before
        }

        /// Waits until the window has closed. Then the terminal must have its old mode, and nothing
        /// more may be drawn on it. Returns what the program prints after that.
        fn wait_until_closed(mut self, before: &str, status: &str) -> String {
            self.wait_for(LEAVE);
            let printed = self.wait_for("status=");
            assert!(!printed.contains('\x1b'), "{printed:?}");
            assert_eq!(self.wait_for("="), status);
            assert_eq!(self.value("after"), before);
            printed
        }
    }

    impl Drop for Session {
        /// Removes the terminal. This also ends a program that a failed test has left on it.
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    const ENTER: &str = "\x1b[?1049h";
    const LEAVE: &str = "\x1b[?1049l";

    #[test]
    fn the_terminal_is_restored_after_a_normal_end() {
        let mut session = on_a_terminal(BINARY);
        let before = session.wait_until_open();
        session.press("你好 world\r");
        session.wait_for("\x1b[2;1H\x1b[K你好 world");
        session.press("\x1b[200~a\rb\x1b[201~");
        session.wait_for("a\x1b[19;1H\x1b[Kb");
        session.press("\x1b[<0;75;24M");
        session.wait_for("\x1b[3;1H\x1b[Ka\x1b[4;1H\x1b[Kb");
        session.press("\x04");
        session.wait_until_closed(&before, "0");
    }

    /// A row is drawn when it has changed. From time to time all rows are drawn, in case the
    /// terminal has lost one.
    #[test]
    fn the_whole_screen_is_drawn_again_but_not_for_every_key() {
        let mut session = on_a_terminal(BINARY);
        let before = session.wait_until_open();
        let (start, mut whole) = (Instant::now(), 0);
        while whole < 2 && start.elapsed() < DEADLINE {
            session.press("x");
            let frame = session.wait_for("\x1b[?2026l");
            whole += u64::from(frame.contains("Rust聊天群"));
        }
        assert_eq!(whole, 2, "all rows are drawn again");
        assert!(
            start.elapsed().as_secs() + 1 >= whole,
            "at most once per second"
        );
        session.press("\x03");
        session.wait_until_closed(&before, "0");
    }

    #[test]
    fn two_ctrl_c_in_one_read_cause_a_close_event() {
        let mut session = on_a_terminal(&program("the_program_prints_that_it_is_closing"));
        let before = session.wait_until_open();
        session.press("\x03\x03");
        let printed = session.wait_until_closed(&before, "0");
        assert!(printed.contains("good bye"), "{printed:?}");
    }

    #[test]
    #[ignore = "run on a pseudo-terminal by another test"]
    fn the_program_prints_that_it_is_closing() {
        let window = Window::new("Rust聊天群", false);
        let mut closed = false;
        window
            .mainloop(|event| closed |= event == Event::Close)
            .expect("a terminal");
        println!("{}", if closed { "good bye" } else { "" });
    }

    /// This happens over a slow connection, or when a terminal does not mark a paste.
    #[test]
    fn lines_that_come_in_one_read_are_sent_one_by_one() {
        let mut session = on_a_terminal(BINARY);
        let before = session.wait_until_open();
        session.press("one\rtwo\rthree\r");
        for (row, line) in [(2, "one"), (3, "two"), (4, "three")] {
            session.wait_for(&format!("\x1b[{row};1H\x1b[K{line}"));
        }
        session.press("\x03");
        session.wait_until_closed(&before, "0");
    }

    #[test]
    fn the_terminal_is_restored_after_ctrl_c() {
        let mut session = on_a_terminal(BINARY);
        let before = session.wait_until_open();
        session.press("\x03");
        session.wait_until_closed(&before, "0");
    }

    #[test]
    fn the_terminal_is_restored_before_a_panic_of_any_thread_is_reported() {
        for (test, message) in [
            ("a_thread_panics", "a thread is lost"),
            ("the_handler_panics", "no more"),
        ] {
            let mut session = on_a_terminal(&program(test));
            let before = session.wait_until_open();
            session.press("x\r");
            let printed = session.wait_until_closed(&before, "101");
            assert!(printed.contains(message), "{printed:?}");
        }
    }

    #[test]
    #[ignore = "run on a pseudo-terminal by another test"]
    fn a_thread_panics() {
        let window = Window::new("panic", false);
        let mut thread = None;
        let panic_elsewhere = |_| thread = Some(thread::spawn(|| panic!("a thread is lost")));
        window.mainloop(panic_elsewhere).expect("it runs");
    }

    #[test]
    #[ignore = "run on a pseudo-terminal by another test"]
    fn the_handler_panics() {
        let window = Window::new("panic", false);
        window.mainloop(|_| panic!("no more")).expect("it runs");
    }

    #[test]
    fn a_second_ctrl_c_ends_a_window_that_the_program_does_not_destroy() {
        let mut session = on_a_terminal(&program("the_program_never_destroys_its_window"));
        let before = session.wait_until_open();
        session.press("\x03");
        session.wait_for("closing");
        session.press("\x03");
        session.wait_until_closed(&before, "0");
    }

    #[test]
    #[ignore = "run on a pseudo-terminal by another test"]
    fn the_program_never_destroys_its_window() {
        let window = Window::new("dead server", false);
        window.mainloop(|_| {}).expect("it runs");
    }

    #[test]
    fn a_second_ctrl_c_ends_a_window_whose_handler_does_not_return() {
        let mut session = on_a_terminal(&program("the_handler_never_returns"));
        let before = session.wait_until_open();
        session.press("x\r");
        session.wait_for("stuck");
        // Meanwhile the window still reacts.
        session.press("typed");
        session.wait_for("typed");
        session.press("\x03\x03");
        session.wait_until_closed(&before, "130");
    }

    #[test]
    #[ignore = "run on a pseudo-terminal by another test"]
    fn the_handler_never_returns() {
        let window = Window::new("dead server", false);
        let mut output = window.output();
        let stuck = |_| {
            output.insert(b"stuck");
            loop {
                thread::park();
            }
        };
        window.mainloop(stuck).expect("it runs");
    }

    #[test]
    fn a_flood_of_lines_is_not_drawn_line_by_line() {
        let mut session = on_a_terminal(&program("the_handler_shows_many_lines"));
        let before = session.wait_until_open();
        session.press("x\r");
        let drawn = session.wait_for("line 99999");
        assert!(
            drawn.len() < 200_000,
            "{} bytes were drawn for 1.2 MB of lines",
            drawn.len()
        );
        session.press("\x03");
        session.wait_until_closed(&before, "0");
    }

    #[test]
    #[ignore = "run on a pseudo-terminal by another test"]
    fn the_handler_shows_many_lines() {
        let window = Window::new("flood", false);
        let mut output = window.output();
        let flood = |event| match event {
            Event::Send(_) => {
                (0..100_000).for_each(|n| output.insert(format!("line {n}\n").as_bytes()))
            }
            Event::Close => output.destroy(),
        };
        window.mainloop(flood).expect("it runs");
    }

    #[test]
    fn the_window_follows_the_size_of_its_terminal() {
        let mut session = on_a_terminal(BINARY);
        let terminal = session.value("tty");
        let before = session.wait_until_open();
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
            // After a resize only the terminal knows where the rows are. So all rows are drawn
            // again, even the first one.
            session.wait_for("\x1b[1;1H");
            session.wait_for(shown);
        }
        session.press("\x03");
        session.wait_until_closed(&before, "0");
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
    fn a_window_ends_when_its_terminal_closes() {
        let command = format!("trap \"\" HUP; echo pid=$$=; exec {BINARY}");
        let mut session = on_a_terminal(&format!("sh -c '{command}'"));
        let process = session.value("pid");
        session.wait_for("Enter sends");
        drop(session);
        let start = Instant::now();
        // A process that has ended and still waits for its parent has an empty command line.
        let runs =
            || std::fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|line| !line.is_empty());
        while runs() {
            assert!(start.elapsed() < DEADLINE, "it still runs");
            thread::yield_now();
        }
    }

    #[test]
    fn a_window_on_a_dumb_terminal_uses_line_mode() {
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
    fn a_window_without_stty_uses_line_mode() {
        let mut session = on_a_terminal(&format!("PATH=/nowhere {BINARY}"));
        session.value("before");
        session.press("hello\n");
        session.wait_for("hello\r\n");
        session.wait_for("hello\r\n");
        session.press("\x04");
        assert_eq!(session.value("status"), "0");
    }

    #[test]
    fn a_plain_window_uses_line_mode_on_any_terminal() {
        let mut session = on_a_terminal(&program("the_window_works_in_lines"));
        session.value("before");
        session.press("hello\n");
        session.wait_for("hello\r\n");
        session.wait_for("hello\r\n");
        session.press("\x04");
        assert_eq!(session.value("status"), "0");
    }

    #[test]
    #[ignore = "run on a pseudo-terminal by another test"]
    fn the_window_works_in_lines() {
        let window = Window::new("plain", true);
        let mut output = window.output();
        let shown = window.mainloop(|event| match event {
            Event::Send(text) => output.insert(text.as_bytes()),
            Event::Close => output.destroy(),
        });
        shown.expect("it runs");
    }
}
