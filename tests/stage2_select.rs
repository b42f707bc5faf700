//! Chapter 2: tests of the server that serves many clients on one thread.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use support::{Client, DEADLINE, Server, run};

const BINARY: &str = env!("CARGO_BIN_EXE_stage2-select");

/// `[Thu Mar 21 12:55:05 2019] `, in bytes.
const STAMP: usize = 27;

fn server() -> Server {
    Server::start(BINARY, &[])
}

#[test]
fn a_second_client_does_not_wait_for_the_first() {
    let server = server();
    let mut first = server.connect();
    first.send("one");
    first.bytes(STAMP + 3);
    let mut second = server.connect();
    second.send("two");
    assert_eq!(&second.bytes(STAMP + 3)[STAMP..], b"two");
    first.send("three");
    assert_eq!(&first.bytes(STAMP + 5)[STAMP..], b"three");
}

#[test]
fn two_hundred_clients_each_get_their_own_answer() {
    let server = server();
    let mut peers: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for (number, peer) in peers.iter_mut().enumerate() {
        peer.send(format!("I am {number:03}"));
    }
    for (number, peer) in peers.iter_mut().enumerate().rev() {
        assert_eq!(
            peer.bytes(STAMP + 8)[STAMP..],
            *format!("I am {number:03}").as_bytes()
        );
    }
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
fn a_client_that_resets_does_not_stop_the_server() {
    let server = server();
    let mut other = server.connect();
    let mut resetting = server.connect();
    resetting.send("unread");
    resetting.reset();
    server.wait_for_log("lost");
    other.send("still there?");
    assert_eq!(&other.bytes(STAMP + 12)[STAMP..], b"still there?");
}

#[test]
fn bytes_sent_before_the_end_of_file_are_answered() {
    let server = server();
    let mut peer = server.connect();
    peer.send([b'x'; 5000]);
    peer.shut_down_write();
    let answers = peer.rest();
    assert_eq!(answers.iter().filter(|&&byte| byte == b'x').count(), 5000);
}

/// The server stops reading from a client that does not read. So the client's writes stop, too.
/// When the client finally reads, every byte arrives.
#[test]
fn output_larger_than_every_buffer_reaches_a_reader_that_starts_late() {
    let server = server();
    let mut stream = TcpStream::connect(server.address).expect("the server accepts");
    stream
        .set_read_timeout(Some(DEADLINE))
        .expect("is not zero");
    // The bytes of a block differ, so that a wrong order is noticed.
    let block: Vec<u8> = (0..1024)
        .map(|n| b'a' + u8::try_from(n % 26).expect("small"))
        .collect();
    stream
        .set_write_timeout(Some(Duration::from_millis(500)))
        .expect("is not zero");
    let mut sent = Vec::new();
    loop {
        let rest = &block[sent.len() % block.len()..];
        match stream.write(rest) {
            Ok(length) => sent.extend_from_slice(&rest[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break;
            }
            Err(error) => panic!("{error}"),
        }
        assert!(
            sent.len() < 1 << 30,
            "the server reads without a limit although the client does not read"
        );
    }
    // Other clients are served at once.
    let mut other = server.connect();
    other.send("x");
    other.bytes(STAMP + 1);

    let mut reader = stream.try_clone().expect("can be shared");
    let answers = thread::spawn(move || {
        let mut answers = Vec::new();
        reader
            .read_to_end(&mut answers)
            .expect("the connection ends");
        answers
    });
    stream
        .shutdown(std::net::Shutdown::Write)
        .expect("is connected");
    let answers = answers.join().expect("does not panic");
    assert!(
        without_stamps(&answers) == sent,
        "{} bytes came back of {}",
        answers.len(),
        sent.len()
    );
}

/// The text of the answers. No text in these tests contains a bracket.
fn without_stamps(answers: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = answers;
    while let Some(start) = rest.iter().position(|&byte| byte == b'[') {
        text.extend_from_slice(&rest[..start]);
        rest = &rest[start + STAMP..];
    }
    text.extend_from_slice(rest);
    text
}

#[cfg(unix)]
#[test]
fn a_full_descriptor_table_is_logged_once_and_the_next_client_waits() {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        &format!("ulimit -n 16; exec {BINARY} server 127.0.0.1:0"),
    ]);
    let server = Server::spawn(command);
    let mut peers: Vec<_> = (0..20).map(|_| server.connect()).collect();
    server.wait_for_log("cannot accept");
    peers[0].send("in");
    peers[0].bytes(STAMP + 2);
    // The last one waits in the backlog. It is accepted when the others leave.
    let mut last = peers.pop().expect("there are 20");
    last.send("me too");
    peers.clear();
    last.bytes(STAMP + 6);
    drop(last);
    let log = server.end_and_read_log();
    assert!(
        !log.iter().any(|line| line.contains("cannot accept")),
        "the log says it a second time: {log:?}"
    );
}

#[cfg(unix)]
#[test]
fn a_descriptor_table_that_is_full_again_is_logged_once() {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n 16; exec {BINARY} server 127.0.0.1:0");
    command.args(["-c", &script]);
    let server = Server::spawn(command);
    let mut peers = Vec::new();
    loop {
        peers.push(server.connect());
        if server.wait_for_log("").starts_with("cannot accept") {
            break;
        }
    }
    for _ in 0..5 {
        // When a client leaves, the one that waits is accepted, and the table is full again.
        drop(peers.remove(0));
        let line = server.wait_for_log("");
        assert!(line.starts_with("...connecting from"), "{line}");
        // The client returns, and the server cannot accept it.
        peers.push(server.connect());
        for _ in 0..20 {
            peers[0].send("x");
            peers[0].bytes(STAMP + 1);
        }
    }
    drop(peers);
    let log = server.end_and_read_log();
    assert!(
        !log.iter().any(|line| line.contains("cannot accept")),
        "{log:?}"
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
fn a_client_that_loses_its_server_ends_with_one_sentence_and_status_1() {
    let mut server = server();
    let mut client = Client::start(BINARY, server.address, &[]);
    client.type_in("hi\n");
    client.line_with("hi");
    server.kill();
    client.type_in("anybody?\n");
    let (status, _, errors) = client.wait();
    assert_eq!((status, errors.len()), (1, 1), "{errors:?}");
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
    let (status, output, errors) = run(BINARY, &[&address], "yours\n");
    assert_eq!((status, errors.as_str()), (0, ""));
    assert!(
        output.starts_with("> [") && output.ends_with("] yours\n> "),
        "{output}"
    );
    host.end_input();
    assert_eq!(host.wait().0, 0);
}

#[test]
fn a_failure_prints_one_sentence_and_ends_with_status_1() {
    let server = server();
    let taken = server.address.to_string();
    for (arguments, sentence) in [
        (["server", &taken], "cannot listen on"),
        (["client", "127.0.0.1:1"], "cannot connect to 127.0.0.1:1"),
    ] {
        let (status, output, errors) = run(BINARY, &arguments, "");
        assert_eq!((status, output.as_str()), (1, ""), "{arguments:?}");
        assert!(
            errors.contains(sentence) && errors.lines().count() == 1,
            "{errors}"
        );
    }
    assert_eq!(run(BINARY, &["servers"], "").0, 2);
    assert_eq!(run(BINARY, &["--help"], "").0, 0);
}
