//! Chapter 5: tests of the group chat, first without a network, then with both engines.

mod support;

use std::net::TcpListener;
use std::process::Command;

use stage5_group::limits::{MAX_ANNOUNCED, MAX_LISTED, MAX_MESSAGE, MAX_NAME, MAX_NESTING};
use stage5_group::message::{Decoder, Malformed, Message, Refusal};
use stage5_group::names::{self, NAMES};
use stage5_group::server::room::Room;
use support::{Client, Peer, Server, run};

const BINARY: &str = env!("CARGO_BIN_EXE_stage5-group");

/// The stamp of a chat line, `[2019-03-21 17:30:00]`, in bytes.
const STAMP: usize = 21;

// ------------------------------------------------------------------ messages

fn message(name: &str, text: &str) -> Message {
    Message {
        name: name.to_owned(),
        text: text.to_owned(),
    }
}

/// What a decoder returns for these pieces.
fn decoded<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Result<Message, Refusal>> {
    let mut decoder = Decoder::new();
    pieces
        .into_iter()
        .flat_map(|piece| decoder.push(piece))
        .collect()
}

/// The byte at which a text is refused, and what was expected there.
fn refusal(text: &str) -> (usize, &'static str) {
    match Message::decode(text.as_bytes()) {
        Err(Malformed { at, expected }) => (at, expected),
        Ok(message) => panic!("{text:?} gives {message:?}"),
    }
}

#[test]
fn a_message_cut_at_any_byte_arrives_whole() {
    let stream = "{\"name\": \"业冰蝶\", \"msg\": \"a \\\"}{\\\" b\\n\"}\n rubbish\n\n{\"msg\":\"\\ud83d\\ude00\",\"name\":\"x\"}{\"name\":\"y\",\"msg\":\"\"}".as_bytes();
    let whole = decoded([stream]);
    assert_eq!(whole.len(), 4);
    assert_eq!(whole[0], Ok(message("业冰蝶", "a \"}{\" b\n")));
    assert!(whole[1].is_err());
    assert_eq!(whole[2], Ok(message("x", "😀")));
    assert_eq!(whole[3], Ok(message("y", "")));
    for cut in 0..=stream.len() {
        assert_eq!(
            decoded([&stream[..cut], &stream[cut..]]),
            whole,
            "cut at {cut}"
        );
    }
    assert_eq!(decoded(stream.chunks(1)), whole, "byte by byte");
}

#[test]
fn a_message_is_the_same_after_encoding_and_decoding() {
    let every: String = (0..0x3000)
        .filter_map(char::from_u32)
        .chain(['😀', '\u{10FFFF}'])
        .collect();
    let message = message("a\"\\b", &every);
    let line = message.encode();
    assert_eq!(line.matches('\n').count(), 1, "one line");
    assert_eq!(Message::decode(line.as_bytes()), Ok(message));
}

/// The drawn window drops other control characters, so these need the most bytes.
#[test]
fn the_longest_text_of_the_window_fits_into_a_message() {
    for c in ['\t', '"', '\\', '冰'] {
        let text = c.to_string().repeat(16 * 1024 / c.len_utf8());
        assert!(message("a", &text).encode().len() <= MAX_MESSAGE, "{c:?}");
    }
}

#[test]
fn fields_have_any_order_the_last_of_two_counts_and_unknown_fields_are_skipped() {
    for text in [
        r#"{"name":"a","msg":"b"}"#,
        "\t{ \"msg\" : \"b\" ,\r \"name\" : \"a\" } ",
        r#"{"name":"x","msg":"b","name":"a"}"#,
        r#"{"x":{"y":[1,-0.5e+3,20E-1,true,{},[]],"":null},"name":"a","z":"\u0000","msg":"b"}"#,
        r#"{"n\u0061me":"a","msg":"b"}"#,
    ] {
        assert_eq!(
            Message::decode(text.as_bytes()),
            Ok(message("a", "b")),
            "{text}"
        );
    }
}

#[test]
fn escapes_are_decoded() {
    let text = r#"{"name":"\u4e1a\u51b0\u8776","msg":"\"\\\/\b\f\n\r\t\ud83d\ude00\u00E9"}"#;
    let expected = message("业冰蝶", "\"\\/\u{8}\u{C}\n\r\t😀é");
    assert_eq!(Message::decode(text.as_bytes()), Ok(expected));
}

#[test]
fn text_that_is_not_strict_json_is_refused_with_its_position() {
    for (text, at, expected) in [
        ("", 0, "'{'"),
        ("[]", 0, "'{'"),
        ("{", 1, "a string"),
        ("{name:1}", 1, "a string"),
        ("{'name':1}", 1, "a string"),
        (r#"{"name"}"#, 7, "':'"),
        (r#"{"name":1}"#, 8, "a string"),
        (r#"{"msg":null}"#, 7, "a string"),
        (r#"{"name":"a" "msg":"b"}"#, 12, "',' or '}'"),
        (r#"{"name":"a",}"#, 12, "a string"),
        (r#"{"name":"a"}"#, 12, "a field \"msg\" before the end"),
        (r#"{"msg":"a"}"#, 11, "a field \"name\" before the end"),
        (r#"{"name":"a","msg":"b"}x"#, 22, "the end"),
        (r#"{"x":01}"#, 6, "',' or '}'"),
        (r#"{"x":+1}"#, 5, "a value"),
        (r#"{"x":.5}"#, 5, "a value"),
        (r#"{"x":1.}"#, 7, "a digit"),
        (r#"{"x":-}"#, 6, "a digit"),
        (r#"{"x":1e}"#, 7, "a digit"),
        (r#"{"x":NaN}"#, 5, "a value"),
        (r#"{"x":True}"#, 5, "a value"),
        (r#"{"x":[1,]}"#, 8, "a value"),
        (r#"{"x":[1 2]}"#, 8, "',' or ']'"),
        ("{\"x\":\"\t\"}", 6, "'\"' or an escaped control character"),
        (r#"{"x":"\x41"}"#, 7, "an escape"),
        (r#"{"x":"\u12g4"}"#, 8, "four hexadecimal digits"),
        (r#"{"x":"\u+123"}"#, 8, "four hexadecimal digits"),
        (r#"{"x":"\ud800"}"#, 12, "a pair of surrogates"),
        (r#"{"x":"\udc00\ud800"}"#, 12, "a pair of surrogates"),
        (r#"{"x":"\ud800\u0041"}"#, 18, "a pair of surrogates"),
        ("\u{FEFF}{}", 0, "'{'"),
        ("{\u{a0}}", 1, "a string"),
    ] {
        assert_eq!(refusal(text), (at, expected), "{text:?}");
    }
    let at_byte_9 = Err(Malformed {
        at: 9,
        expected: "UTF-8",
    });
    assert_eq!(Message::decode(b"{\"name\":\"\xff\"}"), at_byte_9);
}

#[test]
fn nesting_is_allowed_up_to_its_limit() {
    for (open, value, close) in [("[", "", "]"), ("[", "1", "]"), ("{\"y\":", "1", "}")] {
        let nested = |depth: usize| {
            // The message itself is the first level.
            let (open, close) = (open.repeat(depth - 1), close.repeat(depth - 1));
            let message = format!(r#"{{"name":"a","msg":"b","x":{open}{value}{close}}}"#);
            Message::decode(message.as_bytes())
        };
        assert!(nested(MAX_NESTING).is_ok());
        assert!(nested(MAX_NESTING + 1).is_err());
        assert!(nested(30_000).is_err());
    }
}

#[test]
fn the_decoder_starts_again_after_a_newline() {
    for rubbish in [
        "{\"name\":\"unfinished",
        "[[[[{",
        "\"",
        "}}]]",
        "\\",
        "GET / HTTP/1.1\r",
    ] {
        let stream = format!("{rubbish}\n{{\"name\":\"a\",\"msg\":\"b\"}}");
        let messages = decoded([stream.as_bytes()]);
        assert_eq!(messages.len(), 2, "{rubbish}");
        assert!(messages[0].is_err(), "{rubbish}");
        assert_eq!(messages[1], Ok(message("a", "b")), "{rubbish}");
    }
}

#[test]
fn a_message_may_be_as_long_as_the_limit_but_not_longer() {
    let of_length = |length: usize| {
        let frame = message("a", "").encode().len();
        message("a", &"x".repeat(length - frame)).encode()
    };
    for piece in [1, 1000, MAX_MESSAGE + 1] {
        let fits = of_length(MAX_MESSAGE);
        let messages = decoded(fits.as_bytes().chunks(piece));
        assert!(messages.len() == 1 && messages[0].is_ok());
        // With one byte less, only the newline would be over the limit, and the object would fit.
        let too_long = of_length(MAX_MESSAGE + 2) + &of_length(100);
        assert_eq!(
            decoded(too_long.as_bytes().chunks(piece)),
            [Err(Refusal::TooLong)]
        );
    }
}

// ------------------------------------------------------------------ the room

/// A room without a server. It returns the lines for everyone and the lines for one member, with
/// `|` for each stamp.
struct TestRoom {
    room: Room,
}

impl TestRoom {
    fn new() -> Self {
        let mut room = Room::new();
        room.set_time("2019-03-21 17:30:00".to_owned());
        Self { room }
    }

    /// A room with members of these names. The first one has id 0.
    fn with(names: &[&str]) -> Self {
        let mut test = Self::new();
        for (id, name) in (0..).zip(names) {
            test.room.join(id);
            test.send(id, name, "\n");
        }
        test
    }

    fn send(&mut self, id: u64, name: &str, text: &str) -> String {
        self.room.hear(id, Ok(message(name, text)));
        self.take_output().0
    }

    fn take_output(&mut self) -> (String, Vec<(u64, String)>) {
        let text = |bytes| {
            let text: String = String::from_utf8(bytes).expect("is text");
            text.replace("[2019-03-21 17:30:00]", "|")
        };
        let output = self.room.take_output();
        let one = output
            .one
            .into_iter()
            .map(|(id, bytes)| (id, text(bytes)))
            .collect();
        (text(output.everyone), one)
    }
}

#[test]
fn a_line_has_time_name_and_text() {
    let mut room = Room::new();
    room.set_time("2019-03-21 17:30:00".to_owned());
    room.join(7);
    room.hear(7, Ok(message("业冰蝶", "你好\n")));
    let everyone = String::from_utf8(room.take_output().everyone).expect("is text");
    let expected =
        "[2019-03-21 17:30:00] 业冰蝶 joined, 1 here\n[2019-03-21 17:30:00]业冰蝶: 你好\n";
    assert_eq!(everyone, expected);
}

#[test]
fn a_text_of_white_space_is_a_hello_and_is_not_broadcast() {
    let mut test = TestRoom::new();
    test.room.join(0);
    assert_eq!(test.send(0, "a", " \n"), "| a joined, 1 here\n");
    assert_eq!(test.send(0, "a", ""), "");
    assert_eq!(test.send(0, "a", "x\n\n"), "|a: x\n");
}

#[test]
fn a_name_in_use_gets_a_number_and_a_free_name_does_not() {
    let mut test = TestRoom::with(&["a", "b"]);
    test.room.join(2);
    assert_eq!(test.send(2, "a", "x"), "| a#2 joined, 3 here\n|a#2: x\n");
    test.room.join(3);
    assert_eq!(test.send(3, "a", "x"), "| a#3 joined, 4 here\n|a#3: x\n");
    assert_eq!(test.send(0, "c", "x"), "| a is now c\n|c: x\n");
    test.room.leave(3);
    assert_eq!(test.take_output().0, "| a#3 left, 3 here\n");
    test.room.join(4);
    assert_eq!(test.send(4, "a", ""), "| a joined, 4 here\n");
    assert_eq!(
        test.send(2, "a", "y"),
        "|a#2: y\n",
        "a member that has a number keeps it"
    );
}

#[test]
fn names_are_sanitized() {
    let long = "长".repeat(MAX_NAME + 5);
    let cut = "长".repeat(MAX_NAME);
    let tail = format!("{}#2345", "长".repeat(MAX_NAME - 2));
    for (asked, shown) in [
        ("  a b  ", "a b"),
        ("", "guest"),
        (" \t\n", "guest"),
        (long.as_str(), cut.as_str()),
        ("a\nb\tc", "a b c"),
        ("a\x1b[31m", "a\u{FFFD}[31m"),
        ("\u{202E}a", "\u{FFFD}a"),
        ("a\u{200B}\u{FEFF}", "a"),
        (" \u{301} \u{20E3}e\u{301}", "e\u{301}"),
        ("\u{301}", "guest"),
        ("a: hi", "a_ hi"),
        ("a：hi", "a_hi"),
        ("a#2", "a"),
        ("a #2 #3", "a"),
        ("a＃２", "a"),
        ("#7", "guest"),
        ("a#2\u{301}", "a"),
        ("a\u{FE5F}2", "a"),
        ("a\u{A789} hi", "a_ hi"),
        ("\u{2800}3 here\u{2800}", "3 here"),
        ("C#", "C"),
        ("C# 中", "C# 中"),
        (tail.as_str(), &cut[..cut.len() - 6]),
    ] {
        let mut test = TestRoom::new();
        test.room.join(0);
        assert_eq!(
            test.send(0, asked, ""),
            format!("| {shown} joined, 1 here\n"),
            "{asked:?}"
        );
    }
}

#[test]
fn no_text_forges_a_line_of_another_member() {
    let mut test = TestRoom::with(&["a", "b"]);
    let forged = "x\n[2019-03-21 17:30:00]a: I owe b a beer\r\n\u{2028}[..]a: too\u{85}\x1b[2K";
    let line = test.send(1, "b", forged);
    assert_eq!(
        line.lines()
            .filter(|line| !line.starts_with("    "))
            .count(),
        1,
        "{line}"
    );
    assert_eq!(
        line,
        "|b: x\n    |a: I owe b a beer\n    \u{FFFD}[..]a: too\u{FFFD}\u{FFFD}[2K\n"
    );
}

#[test]
fn no_name_forges_a_line_of_another_member() {
    let mut test = TestRoom::with(&["a", "a"]);
    test.room.join(2);
    for name in ["a", "a#1", "a\u{200D}", "a: hi", " a", "a\n"] {
        let line = test.send(2, name, "x");
        let line = line.lines().last().expect("there is one");
        assert!(
            !line.starts_with("|a: ") && !line.starts_with("|a#1: "),
            "{name:?}: {line}"
        );
    }
}

#[test]
fn the_answer_to_who_goes_only_to_the_member_that_asks() {
    let mut test = TestRoom::with(&["a", "b"]);
    test.room.join(2);
    test.take_output();
    assert_eq!(test.send(1, "b", "/who\n"), "");
    test.room.hear(1, Ok(message("b", "/who\n")));
    let answer = (1, "| 2 here: a, b; 1 without a name\n".to_owned());
    assert_eq!(test.take_output(), (String::new(), vec![answer]));
}

#[test]
fn the_answer_to_who_lists_at_most_a_hundred_names() {
    let names: Vec<String> = (0..=MAX_LISTED).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (present, end) in [(MAX_LISTED, ", n99\n"), (MAX_LISTED + 1, ", n99, …\n")] {
        let mut test = TestRoom::with(&names[..present]);
        test.take_output();
        test.room.hear(0, Ok(message("n0", "/who")));
        let (_, answer) = &test.take_output().1[0];
        assert!(
            answer.starts_with(&format!("| {present} here: n0, n1, ")),
            "{answer}"
        );
        assert!(answer.ends_with(end), "{answer}");
    }
}

#[test]
fn only_the_sender_is_told_what_is_wrong_with_its_message() {
    let mut test = TestRoom::with(&["a"]);
    test.room.hear(
        0,
        Err(Refusal::Malformed(Malformed {
            at: 3,
            expected: "':'",
        })),
    );
    let notice = (0, "| not a message: expected ':' at byte 3\n".to_owned());
    assert_eq!(test.take_output(), (String::new(), vec![notice]));
}

#[test]
fn a_room_above_the_limit_announces_neither_a_join_nor_a_leave() {
    let names: Vec<String> = (0..=MAX_ANNOUNCED).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut test = TestRoom::with(&names[..MAX_ANNOUNCED - 1]);
    let last = u64::try_from(MAX_ANNOUNCED).expect("is small");
    test.room.join(last);
    assert_eq!(
        test.send(last, "x", ""),
        format!("| x joined, {MAX_ANNOUNCED} here\n")
    );
    test.room.join(last + 1);
    assert_eq!(test.send(last + 1, "y", ""), "");
    assert_eq!(test.send(last + 1, "y", "hi"), "|y: hi\n");
    test.room.join(last + 2);
    assert_eq!(test.send(last + 2, "z", ""), "");
    test.room.leave(last + 2);
    assert_eq!(test.take_output().0, "");
    // Now the room is as small as the limit.
    test.room.leave(last + 1);
    assert_eq!(
        test.take_output().0,
        format!("| y left, {MAX_ANNOUNCED} here\n")
    );
}

#[test]
fn a_connection_without_a_name_leaves_without_a_notice() {
    let mut test = TestRoom::with(&["a"]);
    test.room.join(1);
    test.room.leave(1);
    assert_eq!(test.take_output().0, "");
}

#[test]
fn a_random_name_is_one_of_the_ten_and_not_always_the_same() {
    let picked: std::collections::HashSet<_> = (0..200).map(|_| names::pick()).collect();
    assert!(picked.iter().all(|name| NAMES.contains(name)));
    assert!(picked.len() > 1);
}

// ------------------------------------------------------------------ both engines

/// Makes two tests of each of these functions: with `--engine threads` and with `--engine polling`.
macro_rules! with_both_engines {
    ($($test:ident)*) => {
        mod threads { $(#[test] fn $test() { super::$test("threads"); })* }
        mod polling { $(#[test] fn $test() { super::$test("polling"); })* }
    };
}

with_both_engines! {
    everyone_receives_all_lines_in_the_same_order
    an_object_without_a_newline_is_delivered_at_once
    a_read_may_return_a_part_of_a_message_or_several_messages
    a_bad_message_does_not_stop_the_next_one_and_only_its_sender_is_told
    a_member_that_sends_too_long_a_message_is_told_and_disconnected
    everyone_receives_the_last_line_of_a_member_that_half_closes
    joins_and_leaves_are_announced
    a_new_member_receives_nothing_from_before
    a_reset_does_not_stop_the_server
    half_a_message_or_silence_does_not_disturb_the_group
    all_piped_input_is_delivered_and_answered
    two_clients_can_chat
    the_command_name_changes_the_name
    a_client_that_loses_its_server_says_so_in_one_sentence
    the_server_continues_after_its_standard_output_is_closed
    a_program_without_a_role_hosts_a_group_and_others_join_it
    a_host_at_an_unspecified_address_joins_its_own_group
}

fn server(engine: &str) -> Server {
    Server::start(BINARY, &["--engine", engine])
}

/// Connects, sends a hello, and waits for the notice.
fn join(server: &Server, name: &str) -> Peer {
    let mut peer = server.connect();
    peer.send(message(name, "\n").encode());
    peer.line_with(&format!("] {name} joined"));
    peer
}

/// The next line that is not a notice, without its stamp.
fn chat_line(peer: &mut Peer) -> String {
    loop {
        let line = peer.line();
        if !line[STAMP..].starts_with(' ') {
            return line[STAMP..].to_owned();
        }
    }
}

fn everyone_receives_all_lines_in_the_same_order(engine: &str) {
    let server = server(engine);
    let mut peers: Vec<Peer> = (0..10).map(|n| join(&server, &format!("n{n}"))).collect();
    for round in 0..50 {
        for (n, peer) in peers.iter_mut().enumerate() {
            peer.send(message(&format!("n{n}"), &format!("{round}\n")).encode());
        }
    }
    let first: Vec<String> = (0..500).map(|_| chat_line(&mut peers[0])).collect();
    for (n, peer) in peers.iter_mut().enumerate() {
        let own = first
            .iter()
            .filter(|line| line.starts_with(&format!("n{n}: ")));
        let expected: Vec<String> = (0..50).map(|round| format!("n{n}: {round}")).collect();
        assert!(
            own.eq(&expected),
            "the lines of one member keep their order"
        );
        if n > 0 {
            let lines: Vec<String> = (0..500).map(|_| chat_line(peer)).collect();
            assert_eq!(lines, first, "the same order for all");
        }
    }
}

fn an_object_without_a_newline_is_delivered_at_once(engine: &str) {
    // This is what `json.dumps` returns for the tutorial's first name. No newline follows.
    let server = server(engine);
    let mut peer = server.connect();
    peer.send(r#"{"name": "\u4e1a\u51b0\u8776", "msg": "\u4f60\u597d\n"}"#);
    assert_eq!(chat_line(&mut peer), "业冰蝶: 你好");
}

fn a_read_may_return_a_part_of_a_message_or_several_messages(engine: &str) {
    let server = server(engine);
    let mut peer = server.connect();
    peer.socket().set_nodelay(true).expect("is connected");
    for byte in message("a", "in pieces\n").encode().bytes() {
        peer.send([byte]);
    }
    assert_eq!(chat_line(&mut peer), "a: in pieces");
    peer.send([message("a", "1").encode(), message("a", "2").encode()].concat());
    assert_eq!(
        [chat_line(&mut peer), chat_line(&mut peer)],
        ["a: 1", "a: 2"]
    );
}

fn a_bad_message_does_not_stop_the_next_one_and_only_its_sender_is_told(engine: &str) {
    let server = server(engine);
    let mut bad = join(&server, "bad");
    let mut other = join(&server, "other");
    bad.line_with("other joined");
    bad.send("{\"name\": 7}\nGET / HTTP/1.1\r\n");
    assert_eq!(
        bad.line()[STAMP..],
        *" not a message: expected a string at byte 9"
    );
    assert_eq!(
        bad.line()[STAMP..],
        *" not a message: expected '{' at byte 0"
    );
    bad.send(message("bad", "good").encode());
    assert_eq!(bad.line()[STAMP..], *"bad: good");
    assert_eq!(
        other.line()[STAMP..],
        *"bad: good",
        "nothing came before it"
    );
}

fn a_member_that_sends_too_long_a_message_is_told_and_disconnected(engine: &str) {
    let server = server(engine);
    let mut witness = join(&server, "witness");
    let mut peer = join(&server, "long");
    // The server reads and discards the rest of the message. If the rest stayed unread, closing
    // would reset the connection, and the notice could be lost.
    peer.send("x".repeat(10 * MAX_MESSAGE));
    let notice = format!(" too long: a message has at most {MAX_MESSAGE} bytes");
    assert_eq!(peer.line()[STAMP..], notice);
    assert_eq!(peer.rest(), b"");
    witness.line_with("long joined");
    assert_eq!(witness.line()[STAMP..], *" long left, 1 here");
}

fn everyone_receives_the_last_line_of_a_member_that_half_closes(engine: &str) {
    let server = server(engine);
    let mut stays = join(&server, "stays");
    let mut leaves = join(&server, "leaves");
    leaves.send(message("leaves", "good bye\n").encode());
    leaves.shut_down_write();
    assert_eq!(leaves.line()[STAMP..], *"leaves: good bye");
    assert_eq!(leaves.rest(), b"", "then the end of file");
    assert_eq!(chat_line(&mut stays), "leaves: good bye");
    assert_eq!(stays.line()[STAMP..], *" leaves left, 1 here");
}

fn joins_and_leaves_are_announced(engine: &str) {
    let server = server(engine);
    let mut first = join(&server, "first");
    for round in 0..3 {
        drop(join(&server, "second"));
        assert_eq!(
            first.line()[STAMP..],
            *" second joined, 2 here",
            "round {round}"
        );
        assert_eq!(
            first.line()[STAMP..],
            *" second left, 1 here",
            "round {round}"
        );
    }
}

fn a_new_member_receives_nothing_from_before(engine: &str) {
    let server = server(engine);
    let mut early = join(&server, "early");
    early.send(message("early", "before").encode());
    assert_eq!(chat_line(&mut early), "early: before");
    let mut late = server.connect();
    late.send(message("late", "after").encode());
    assert_eq!(late.line()[STAMP..], *" late joined, 2 here");
    assert_eq!(late.line()[STAMP..], *"late: after");
}

fn a_reset_does_not_stop_the_server(engine: &str) {
    let server = server(engine);
    let mut witness = join(&server, "witness");
    let mut resetting = server.connect();
    resetting.send(message("reset", "unread").encode());
    resetting.reset();
    witness.line_with("reset left");
    witness.send(message("witness", "still there?").encode());
    assert_eq!(chat_line(&mut witness), "witness: still there?");
}

fn half_a_message_or_silence_does_not_disturb_the_group(engine: &str) {
    let server = server(engine);
    let mut half = server.connect();
    half.send("{\"name\":\"half\",\"msg\":\"");
    drop(half);
    let _silent = server.connect();
    let mut witness = join(&server, "witness");
    witness.send(message("witness", "/who").encode());
    let who = witness.line_with("here:");
    assert!(who[STAMP..].starts_with(" 1 here: witness"), "{who}");
}

fn all_piped_input_is_delivered_and_answered(engine: &str) {
    let server = server(engine);
    let mut witness = join(&server, "witness");
    let address = server.address.to_string();
    let (status, output, errors) = run(BINARY, &["client", &address, "--name", "p"], "a\nb");
    assert_eq!((status, errors.as_str()), (0, ""));
    let lines: Vec<&str> = output.lines().map(|line| &line[STAMP..]).collect();
    assert_eq!(lines, [" p joined, 2 here", "p: a", "p: b"]);
    assert_eq!(
        [chat_line(&mut witness), chat_line(&mut witness)],
        ["p: a", "p: b"]
    );
}

fn two_clients_can_chat(engine: &str) {
    let server = server(engine);
    let mut alice = Client::start(BINARY, server.address, &["--name", "alice"]);
    alice.line_with("alice joined, 1 here");
    let mut bob = Client::start(BINARY, server.address, &["--name", "业冰蝶", "--plain"]);
    alice.line_with("业冰蝶 joined, 2 here");
    bob.type_in("你好\n");
    assert_eq!(alice.line()[STAMP..], *"业冰蝶: 你好");
    alice.type_in("/who\n");
    assert_eq!(alice.line()[STAMP..], *" 2 here: alice, 业冰蝶");
    alice.type_in("/nonsense\n");
    assert!(alice.line().contains("/help"));
    alice.type_in("/help\n");
    alice.line_with("/quit");
    alice.type_in(&format!("{}\n", "x".repeat(MAX_MESSAGE)));
    alice.line_with("not sent");
    alice.type_in("/quit\n");
    let (status, _, errors) = alice.wait();
    assert_eq!((status, errors.len()), (0, 0), "{errors:?}");
    bob.line_with("alice left, 1 here");
    bob.end_input();
    assert_eq!(bob.wait().0, 0);
}

fn the_command_name_changes_the_name(engine: &str) {
    let server = server(engine);
    let mut client = Client::start(BINARY, server.address, &["--name", "old"]);
    client.type_in("/name new name\nhi\n");
    client.line_with("] old is now new name");
    client.line_with("]new name: hi");
    client.type_in("/name\n");
    client.line_with("no such command: /name");
}

fn a_client_that_loses_its_server_says_so_in_one_sentence(engine: &str) {
    let mut server = server(engine);
    let client = Client::start(BINARY, server.address, &[]);
    client.line_with("joined");
    server.kill();
    let (status, _, errors) = client.wait();
    assert_eq!((status, errors.len()), (1, 1), "{errors:?}");
}

fn the_server_continues_after_its_standard_output_is_closed(engine: &str) {
    let mut command = Command::new(BINARY);
    command.args(["server", "127.0.0.1:0", "--engine", engine]);
    let server = Server::spawn_read(command, 1);
    server.wait_for_closed_log();
    for name in ["a", "b", "c"] {
        join(&server, name);
    }
}

fn a_program_without_a_role_hosts_a_group_and_others_join_it(engine: &str) {
    let mut command = Command::new(BINARY);
    command.args(["127.0.0.1:0", "--engine", engine, "--name", "host"]);
    let mut host = Client::spawn(command);
    let line = host.line();
    let address = line
        .strip_prefix("hosting at ")
        .expect("prints its address")
        .to_owned();
    host.line_with("host joined, 1 here");
    let (status, output, errors) = run(BINARY, &[&address, "--name", "guest"], "hi\n");
    assert_eq!((status, errors.as_str()), (0, ""));
    assert!(output.ends_with("]guest: hi"), "{output}");
    host.line_with("]guest: hi");
    host.line_with("guest left, 1 here");
    host.end_input();
    assert_eq!(host.wait().0, 0);
}

/// On Windows no client can connect to `0.0.0.0`, although a listener can have that address.
fn a_host_at_an_unspecified_address_joins_its_own_group(engine: &str) {
    let mut command = Command::new(BINARY);
    command.args(["0.0.0.0:0", "--engine", engine, "--name", "host"]);
    let mut host = Client::spawn(command);
    assert!(host.line().starts_with("hosting at 0.0.0.0:"));
    host.line_with("host joined, 1 here");
    host.end_input();
    assert_eq!(host.wait().0, 0);
}

// ------------------------------------------------------------------ the command line

#[test]
fn the_client_sends_what_the_tutorials_server_understands() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("is bound");
    let mut client = Client::start(BINARY, address, &["--name", "业冰蝶"]);
    let mut server = Peer::new(listener.accept().expect("the client connects").0);
    assert_eq!(server.line(), r#"{"name": "业冰蝶", "msg": "\n"}"#);
    client.type_in("say \"hi\"\n");
    assert_eq!(
        server.line(),
        r#"{"name": "业冰蝶", "msg": "say \"hi\"\n"}"#
    );
    // The client shows the server's line as it is.
    server.send("[2019-03-21 17:30:00]业冰蝶: say \"hi\"\n");
    assert_eq!(client.line(), "[2019-03-21 17:30:00]业冰蝶: say \"hi\"");
}

#[test]
fn wrong_arguments_print_the_usage_and_end_with_status_2() {
    for arguments in [
        "sever",
        "server nowhere",
        "server a:1 b:2",
        "server --engine",
        "server --engine fibers",
        "server --name a",
        "client --engine polling",
        "client --name",
        "--verbose",
    ] {
        let words: Vec<&str> = arguments.split(' ').collect();
        let (status, output, errors) = run(BINARY, &words, "");
        assert_eq!((status, output.as_str()), (2, ""), "{arguments}");
        assert!(errors.starts_with("usage: stage5-group"), "{errors}");
    }
    assert_eq!(run(BINARY, &["client", "--name", " "], "").0, 2);
    let (status, output, _) = run(BINARY, &["client", "--help"], "");
    assert_eq!(status, 0);
    assert!(output.starts_with("usage: stage5-group"), "{output}");
}

#[test]
fn a_failure_prints_one_sentence_and_ends_with_status_1() {
    let server = server("threads");
    let taken = server.address.to_string();
    for (arguments, sentence) in [
        (["server", &taken], "cannot listen on"),
        (["client", "127.0.0.1:1"], "cannot connect to 127.0.0.1:1"),
        (
            ["client", "nobody.invalid:3000"],
            "cannot connect to nobody.invalid:3000",
        ),
    ] {
        let (status, output, errors) = run(BINARY, &arguments, "");
        assert_eq!((status, output.as_str()), (1, ""), "{arguments:?}");
        assert!(
            errors.contains(sentence) && errors.lines().count() == 1,
            "{errors}"
        );
    }
}
