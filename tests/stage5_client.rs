//! Chapter 5: tests of the client. The tests themselves play the server.

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use support::{Client, Peer};

const BINARY: &str = env!("CARGO_BIN_EXE_stage5-group");

/// The first message of the client, its hello: its name, and a text of one newline.
const HELLO: &str = r#"{"name": "alice", "msg": "\n"}"#;

/// The chapter's client, connected to a server that the test plays. It has sent its hello.
fn start_client() -> (Client, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("is bound");
    let client = Client::start(BINARY, address, &["--name", "alice"]);
    let mut server = Peer::new(listener.accept().expect("the client connects").0);
    assert_eq!(server.line(), HELLO);
    (client, server)
}

#[test]
fn input_after_quit_is_ignored_and_no_line_is_lost() {
    let (mut client, mut server) = start_client();
    client.type_in("/quit\ntoo late\n/who\n/help\n");
    assert_eq!(server.rest(), b"", "nothing is sent after /quit");
    let lines: Vec<String> = (0..300).map(|number| format!("line {number}")).collect();
    for line in &lines {
        server.send(format!("{line}\n"));
    }
    drop(server);
    let (status, output, errors) = client.wait();
    assert_eq!((status, output, errors), (0, lines, vec![]));
}

#[test]
fn an_answer_of_the_client_never_interrupts_a_line_of_the_server() {
    let (mut client, mut server) = start_client();
    // The client has read what it shows, and with it the half line.
    server.send("first\nhalf a ");
    assert_eq!(client.line(), "first");
    client.type_in("/help\n");
    assert!(client.line().starts_with("/name"));
    client.line_with("Other text");
    server.send("line\nno newline");
    assert_eq!(client.line(), "half a line");
    drop(server);
    let (_, output, _) = client.wait();
    assert_eq!(output, ["no newline"], "the last line may lack its newline");
}

#[test]
fn an_endless_line_needs_little_memory_and_is_shown() {
    const LENGTH: usize = 32 << 20;
    let (client, mut server) = start_client();
    let megabyte = vec![b'x'; 1 << 20];
    for _ in 0..LENGTH >> 20 {
        server.send(&megabyte);
    }
    // Only Linux reports how much memory a process has used.
    if let Some(peak) = client.peak_memory() {
        assert!(peak < LENGTH / 1024 / 2, "{peak} KiB");
    }
    drop(server);
    let (_, output, _) = client.wait();
    assert_eq!(output.len(), 1);
    assert_eq!(output[0].len(), LENGTH);
}

#[test]
fn a_text_whose_message_is_too_long_is_refused() {
    let (mut client, mut server) = start_client();
    // JSON needs six bytes for each of these characters.
    client.type_in(&format!("{}\nnext\n", "\x01".repeat(16_000)));
    client.line_with("not sent: 96031 bytes; a message has at most 65536");
    assert_eq!(server.line(), r#"{"name": "alice", "msg": "next\n"}"#);
}

#[test]
fn a_line_that_is_too_long_is_refused() {
    let (mut client, mut server) = start_client();
    client.type_in(&format!("{}\nnext\n", "x".repeat(100_000)));
    client.line_with("not sent: a line has at most 16384 bytes");
    assert_eq!(server.line(), r#"{"name": "alice", "msg": "next\n"}"#);
}

/// The receive thread waits, because no program reads standard output. The client does not wait for
/// this thread.
#[test]
fn a_failed_write_ends_the_client_although_the_receive_thread_still_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("is bound").to_string();
    let mut child = Command::new(BINARY)
        .args(["client", &address])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let (mut stream, _) = listener.accept().expect("the client connects");
    // This is more than a pipe holds. The client's hello stays unread, so closing resets the
    // connection.
    let lines = "a line that nobody reads\n".repeat(10_000);
    stream
        .write_all(lines.as_bytes())
        .expect("the client reads");
    drop(stream);
    let _unread = child.stdout.take();
    let mut stdin = child.stdin.take().expect("is piped");
    while stdin.write_all(b"hello\n").is_ok() {}
    let mut errors = String::new();
    let mut stderr = child.stderr.take().expect("is piped");
    stderr.read_to_string(&mut errors).expect("is text");
    assert!(
        errors.starts_with("stage5-group: cannot send: "),
        "{errors}"
    );
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert_eq!(child.wait().expect("ends").code(), Some(1));
}
