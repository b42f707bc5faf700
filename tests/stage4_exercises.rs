//! Chapter 4: tests of its exercises. Each test is ignored, because it fails until its exercise is
//! solved. This command runs the tests of exercise 1:
//! `cargo test -p stage4-threads exercise_1 -- --ignored`.

mod support;

use std::io::Write;
use std::net::{Shutdown, TcpListener};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use support::{Client, Peer, Server};

const BINARY: &str = env!("CARGO_BIN_EXE_stage4-threads");

fn server() -> Server {
    Server::start(BINARY, &[])
}

#[test]
#[ignore = "exercise 1 of chapter 4"]
fn exercise_1_the_other_clients_are_told_when_a_client_connects() {
    let server = server();
    let mut first = server.connect();
    first.send("one\n");
    assert!(first.line().ends_with("] one"));
    let mut second = server.connect();
    second.send("two\n");
    let line = second.line();
    assert!(
        line.ends_with("] two"),
        "a client should not be told of its own connection, but received {line:?}"
    );
    // If the server sends nothing unasked, the next line is the answer to this one.
    first.send("three\n");
    let line = first.line();
    let address = second.socket().local_addr().expect("is connected");
    assert!(
        line.starts_with('[') && line.ends_with(&format!("] {address} joined")),
        "the first client should receive \"[...] {address} joined\" without asking, \
         but received {line:?}"
    );
    assert!(first.line().ends_with("] three"));
}

#[test]
#[ignore = "exercise 1 of chapter 4"]
fn exercise_1_the_client_shows_the_notice_while_its_user_types_nothing() {
    let server = server();
    let mut client = Client::start(BINARY, server.address, &[]);
    client.type_in("one\n");
    assert!(client.line().ends_with("] one"));
    let mut second = server.connect();
    second.send("two\n");
    second.line();
    // Without a notice, the next line would be the answer to this one.
    client.type_in("three\n");
    let line = client.line();
    assert!(line.ends_with(" joined"), "the window shows {line:?}");
}

#[test]
#[ignore = "exercise 2 of chapter 4"]
fn exercise_2_the_client_ends_although_the_server_never_closes() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("is bound");
    let mut client = Client::start(BINARY, address, &[]);
    let mut server = Peer::new(listener.accept().expect("the client connects").0);
    server.send("hello\n");
    assert_eq!(client.line(), "hello");
    client.type_in("bye\n");
    client.end_input();
    assert_eq!(server.rest(), b"bye\n", "the client still half-closes");
    let (sender, ended) = channel();
    thread::spawn(move || sender.send(client.wait()));
    // The client waits for the server for 2 s. This is a quarter of that time.
    let early = ended.recv_timeout(Duration::from_millis(500));
    assert!(
        early.is_err(),
        "the client should wait for the server, but it has ended: {early:?}"
    );
    server.send("last words\n");
    let ended = ended.recv_timeout(Duration::from_secs(6));
    let (status, output, errors) =
        ended.expect("6 s after the end of its input, the client still waits for the server");
    assert_eq!(
        (status, output, errors),
        (0, vec!["last words".to_owned()], vec![]),
        "the client should show what arrives within 2 s, and end without an error"
    );
}

/// Sends these bytes and then the end of file. Returns the answers, with `|` for each stamp.
fn answers_to(bytes: &[u8]) -> String {
    let server = server();
    let mut peer = server.connect();
    let mut writer = peer.socket().try_clone().expect("can be shared");
    let answers = thread::scope(|scope| {
        scope.spawn(move || {
            writer.write_all(bytes).expect("is accepted");
            let _ = writer.shutdown(Shutdown::Write);
        });
        String::from_utf8(peer.rest()).expect("is text")
    });
    let mut parts = answers.split('[');
    let before = parts.next().unwrap_or_default().to_owned();
    parts.fold(before, |all, part| {
        let text = part.split_once("] ").map_or(part, |(_, text)| text);
        all + "|" + text
    })
}

#[test]
#[ignore = "exercise 3 of chapter 4"]
fn exercise_3_a_long_line_gets_one_stamp() {
    let line = "x".repeat(3000) + "\n";
    let answers = answers_to(line.as_bytes());
    let stamps = answers.matches('|').count();
    assert_eq!(
        stamps, 1,
        "one line of 3000 bytes came back with {stamps} stamps"
    );
    assert!(answers == format!("|{line}"), "the line has changed");
}

#[test]
#[ignore = "exercise 3 of chapter 4"]
fn exercise_3_each_line_gets_a_stamp_even_a_last_line_without_a_newline() {
    assert_eq!(answers_to(b"one\n\ntwo\nthree"), "|one\n|\n|two\n|three");
}

#[test]
#[ignore = "exercise 3 of chapter 4"]
fn exercise_3_a_line_without_a_newline_is_answered_in_pieces() {
    let line = vec![b'x'; 1 << 20];
    let answers = answers_to(&line);
    assert_eq!(answers.matches('x').count(), line.len(), "no byte is lost");
    let stamps = answers.matches('|').count();
    assert!(
        (15..=17).contains(&stamps),
        "1 MiB without a newline should be answered in pieces of 64 KiB, 16 of them, not {stamps}"
    );
}
