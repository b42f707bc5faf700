//! Chapter 1: tests of the blocking echo server and its client.

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use stage1_echo::clock::{DateTime, parse_offset};
use support::{Client, Server, run};

const BINARY: &str = env!("CARGO_BIN_EXE_stage1-echo");

/// `[Thu Mar 21 12:55:05 2019] `, in bytes.
const STAMP: usize = 27;

fn server() -> Server {
    Server::start(BINARY, &[])
}

/// Whether the answer begins with a stamp such as `[Thu Mar 21 12:55:05 2019] `.
fn is_stamped(answer: &[u8]) -> bool {
    let shape: String = answer[..STAMP]
        .iter()
        .map(|&byte| match byte {
            b'0'..=b'9' => '0',
            b'a'..=b'z' | b'A'..=b'Z' => 'a',
            _ => char::from(byte),
        })
        .collect();
    shape.replace("aaa  0", "aaa 00") == "[aaa aaa 00 00:00:00 0000] "
}

#[test]
fn an_answer_is_a_stamp_and_the_same_bytes() {
    let server = server();
    let mut peer = server.connect();
    peer.send("你好");
    let answer = peer.bytes(STAMP + 6);
    assert!(is_stamped(&answer), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(&answer[STAMP..], "你好".as_bytes());
}

#[test]
fn bytes_that_are_not_utf8_come_back_unchanged() {
    let server = server();
    let mut peer = server.connect();
    let bytes: Vec<u8> = (0..=255).collect();
    peer.send(&bytes);
    assert_eq!(peer.bytes(STAMP + 256)[STAMP..], bytes);
}

#[test]
fn a_second_client_waits_for_the_first() {
    let server = server();
    let mut first = server.connect();
    first.send("one");
    first.bytes(STAMP + 3);
    let mut second = server.connect();
    second.send("two");
    // The server answers the first client twenty more times, and the second one never.
    for _ in 0..20 {
        first.send("again");
        first.bytes(STAMP + 5);
    }
    assert!(second.has_nothing_yet());
    drop(first);
    assert_eq!(&second.bytes(STAMP + 3)[STAMP..], b"two");
}

#[test]
fn a_line_of_3000_bytes_gets_at_least_three_stamps() {
    let server = server();
    let mut peer = server.connect();
    peer.send([b'x'; 3000]);
    peer.shut_down_write();
    let answers = peer.rest();
    let stamps = answers.iter().filter(|&&byte| byte == b'[').count();
    assert!(
        stamps >= 3,
        "one read takes at most 1024 bytes, but there are {stamps} stamps"
    );
    assert_eq!(answers.iter().filter(|&&byte| byte == b'x').count(), 3000);
}

#[test]
fn a_client_that_resets_does_not_stop_the_server() {
    let server = server();
    let mut resetting = server.connect();
    resetting.send("unread");
    resetting.reset();
    server.wait_for_log("lost");
    let mut next = server.connect();
    next.send("still there?");
    assert_eq!(&next.bytes(STAMP + 12)[STAMP..], b"still there?");
}

#[test]
fn a_client_that_connects_and_closes_does_not_stop_the_server() {
    let server = server();
    drop(server.connect());
    let mut next = server.connect();
    next.send("x");
    next.bytes(STAMP + 1);
}

#[test]
fn the_log_has_a_line_for_each_client() {
    let server = server();
    let mut peer = server.connect();
    peer.send("x");
    peer.bytes(STAMP + 1);
    let address = peer.socket().local_addr().expect("is connected");
    assert_eq!(
        server.wait_for_log("connecting"),
        format!("...connecting from: {address}")
    );
}

#[test]
fn a_closed_standard_output_does_not_end_the_server() {
    let mut command = Command::new(BINARY);
    command.args(["server", "127.0.0.1:0"]);
    let server = Server::spawn_read(command, 1);
    server.wait_for_closed_log();
    for _ in 0..3 {
        let mut peer = server.connect();
        peer.send("x");
        peer.bytes(STAMP + 1);
    }
}

#[test]
fn the_client_shows_one_answer_for_each_line() {
    let server = server();
    let address = server.address.to_string();
    let (status, output, errors) = run(BINARY, &["client", &address], "hi\n业冰蝶\n");
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!((status, errors.as_str()), (0, ""));
    assert!(
        lines[0].starts_with("> [") && lines[0].ends_with("] hi"),
        "{output}"
    );
    assert!(
        lines[1].starts_with("> [") && lines[1].ends_with("] 业冰蝶"),
        "{output}"
    );
    assert_eq!(lines[2..], ["> "]);
}

/// The server cuts a line of 1200 bytes within a character, because 1024 is not a multiple of 3. On
/// Windows a console accepts only UTF-8. So the client must not print half of a character.
#[test]
fn the_client_shows_a_cut_character_as_a_replacement_character() {
    let server = server();
    let mut client = Command::new(BINARY)
        .args(["client", &server.address.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut stdin = client.stdin.take().expect("is piped");
    let line = "中".repeat(400) + "\n";
    stdin.write_all(line.as_bytes()).expect("is read");
    drop(stdin);
    let output = client.wait_with_output().expect("ends");
    let shown = String::from_utf8(output.stdout).expect("the output is UTF-8");
    assert!(shown.contains("中\u{fffd}"), "{shown}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn an_empty_line_ends_the_client() {
    let server = server();
    let address = server.address.to_string();
    let (status, output, _) = run(BINARY, &["client", &address], "hi\n\nnot sent\n");
    assert_eq!(status, 0);
    assert!(!output.contains("not sent"), "{output}");
}

#[test]
fn the_client_of_the_tutorial_works_with_this_server() {
    // That client, in Python, sends the bytes of `input()`, without a newline, and prints what one
    // `recv` returns.
    let server = server();
    let mut peer = server.connect();
    for line in ["hi", "你好，世界"] {
        peer.send(line);
        let answer = peer.bytes(STAMP + line.len());
        assert_eq!(&answer[STAMP..], line.as_bytes());
    }
}

#[test]
fn a_client_that_loses_its_server_ends_with_one_sentence_and_status_1() {
    let mut server = server();
    let mut client = Client::start(BINARY, server.address, &[]);
    client.type_in("hi\n");
    client.line_with("hi");
    server.kill();
    client.type_in("anybody?\n");
    let (status, _, errors) = client.wait();
    assert_eq!(status, 1);
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[test]
fn a_program_without_a_role_hosts_and_a_second_one_joins_it() {
    let mut command = Command::new(BINARY);
    command.arg("127.0.0.1:0");
    let mut host = Client::spawn(command);
    let line = host.line();
    let address = line
        .strip_prefix("hosting at ")
        .expect("prints its address")
        .to_owned();
    host.type_in("mine\n");
    assert!(host.line().ends_with("] mine"));
    // A server answers there now, so the same command joins it instead of starting another one.
    assert_eq!(
        run(BINARY, &[&address], ""),
        (0, "> ".to_owned(), String::new())
    );
    host.end_input();
    assert_eq!(host.wait().0, 0);
}

#[test]
fn wrong_arguments_print_the_usage_and_end_with_status_2() {
    for arguments in [
        &["sever"][..],
        &["server", "nowhere"],
        &["client", "a:1", "b"],
        &["a:99999"],
    ] {
        let (status, output, errors) = run(BINARY, arguments, "");
        assert_eq!((status, output.as_str()), (2, ""), "{arguments:?}");
        assert!(errors.starts_with("usage: stage1-echo"), "{errors}");
    }
    let (status, output, _) = run(BINARY, &["--help"], "");
    assert_eq!(status, 0);
    assert!(output.starts_with("usage: stage1-echo"), "{output}");
}

#[test]
fn a_failure_prints_one_sentence_and_ends_with_status_1() {
    let server = server();
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
        assert!(errors.contains(sentence), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[test]
fn the_calendar_is_right_for_known_days() {
    for (seconds, text) in [
        (0, "Thu Jan  1 00:00:00 1970"),
        (1_553_172_905, "Thu Mar 21 12:55:05 2019"),
        (951_782_400, "Tue Feb 29 00:00:00 2000"),
        (4_107_542_399, "Sun Feb 28 23:59:59 2100"),
        (4_107_542_400, "Mon Mar  1 00:00:00 2100"),
        (-1, "Wed Dec 31 23:59:59 1969"),
    ] {
        assert_eq!(DateTime::from_unix(seconds).ctime(), text);
    }
}

#[test]
fn offsets_are_read_in_the_form_that_date_prints() {
    assert_eq!(parse_offset("+0000"), Some(0));
    assert_eq!(parse_offset("+0545"), Some(20_700));
    assert_eq!(parse_offset("-0330"), Some(-12_600));
    for wrong in ["", "0800", "+08", "+08:00", "+08000", "+-800", "中"] {
        assert_eq!(parse_offset(wrong), None, "{wrong}");
    }
}

#[cfg(unix)] // `date`
#[test]
fn the_stamp_is_local_time() {
    let seconds_of_day = |zone: &str| {
        let mut command = Command::new(BINARY);
        command.args(["server", "127.0.0.1:0"]).env("TZ", zone);
        let server = Server::spawn(command);
        let mut peer = server.connect();
        peer.send("x");
        let answer = String::from_utf8(peer.bytes(STAMP + 1)).expect("is ASCII");
        let time = answer[12..20]
            .split(':')
            .map(|part| part.parse::<i64>().expect("is a number"));
        time.fold(0, |sum, part| sum * 60 + part)
    };
    let utc = seconds_of_day("UTC0");
    // In `TZ`, a positive number means west of Greenwich. This zone is 5 hours and 45 minutes east.
    let kathmandu = seconds_of_day("NPT-5:45");
    let ahead = (kathmandu - utc).rem_euclid(86_400);
    assert!((20_700..20_760).contains(&ahead), "ahead by {ahead} s");
}
