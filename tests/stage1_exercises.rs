//! Chapter 1: tests of its exercises. Each test is ignored, because it fails until its exercise is
//! solved. This command runs the tests of exercise 1:
//! `cargo test -p stage1-echo exercise_1 -- --ignored`.

mod support;

use std::io::Read;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use support::Server;

const BINARY: &str = env!("CARGO_BIN_EXE_stage1-echo");

/// `[Thu Mar 21 12:55:05 2019] `, in bytes.
const STAMP: usize = 27;

fn server() -> Server {
    Server::start(BINARY, &[])
}

#[test]
#[ignore = "exercise 1 of chapter 1"]
fn exercise_1_the_log_says_how_many_bytes_a_client_has_sent() {
    let server = server();
    let mut peer = server.connect();
    let address = peer.socket().local_addr().expect("is connected");
    for text in ["你好", "abc"] {
        peer.send(text);
        peer.bytes(STAMP + text.len());
    }
    drop(peer);
    // The server serves one client after the other. If the next one has an answer, the first has
    // closed.
    let mut next = server.connect();
    next.send("x");
    next.bytes(STAMP + 1);
    let log = server.end_and_read_log();
    let expected = format!("...closed: {address}, 9 bytes");
    assert!(log.contains(&expected), "no line {expected:?} in {log:#?}");
}

#[test]
#[ignore = "exercise 2 of chapter 1"]
fn exercise_2_a_silent_client_is_disconnected_and_the_next_one_is_served() {
    let server = server();
    let mut silent = server.connect();
    let mut next = server.connect();
    next.send("x");
    let timeout = Some(Duration::from_secs(10));
    next.socket()
        .set_read_timeout(timeout)
        .expect("is not zero");
    let answered = next.socket().read(&mut [0; STAMP + 1]);
    assert!(
        answered.is_ok_and(|length| length > 0),
        "the first client sends nothing, and after 10 s the second client is still waiting"
    );
    assert_eq!(
        silent.rest(),
        b"",
        "the silent client should read an end of file"
    );
    let address = silent.socket().local_addr().expect("was connected");
    let line = server.wait_for_log("lost");
    let expected = format!("lost {address}: silent");
    assert!(
        line.starts_with(&expected),
        "the log should begin a line with {expected:?}, but it says {line:?}"
    );
}

#[test]
#[ignore = "exercise 2 of chapter 1"]
fn exercise_2_a_client_that_keeps_sending_stays_connected() {
    let server = server();
    let mut peer = server.connect();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        peer.send("x");
        peer.bytes(STAMP + 1);
    }
    drop(peer);
    let silent = server.connect();
    let timeout = Some(Duration::from_secs(10));
    silent
        .socket()
        .set_read_timeout(timeout)
        .expect("is not zero");
    let end = silent.socket().read(&mut [0; 1]);
    assert!(
        matches!(end, Ok(0)),
        "a client that sends nothing should read an end of file, but read {end:?}"
    );
}

#[test]
#[ignore = "exercise 3 of chapter 1"]
fn exercise_3_a_datagram_is_answered_with_one_datagram() {
    let server = server();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("there is a port");
    socket.connect(server.address).expect("is an address");
    let timeout = Some(Duration::from_secs(5));
    socket.set_read_timeout(timeout).expect("is not zero");
    // All are sent before the first answer is read. Each stays one datagram, even the empty one.
    let texts = ["one".to_owned(), String::new(), "x".repeat(2000)];
    for text in &texts {
        socket
            .send(text.as_bytes())
            .expect("the server listens by UDP at the address where it listens by TCP");
    }
    for text in texts {
        let mut answer = [0; 4096];
        let length = socket
            .recv(&mut answer)
            .unwrap_or_else(|error| panic!("no answer by UDP from {}: {error}", server.address));
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert!(
            answer.starts_with('[') && answer.len() == STAMP + text.len(),
            "a datagram of {} bytes should come back as one stamp and the same bytes, not {answer:?}",
            text.len()
        );
        assert!(
            answer.ends_with(&text),
            "the answer ends with other bytes than were sent: {answer:?}"
        );
    }
}

#[test]
#[ignore = "exercise 3 of chapter 1"]
fn exercise_3_datagrams_do_not_wait_for_the_client_that_is_being_served() {
    let server = server();
    let mut peer = server.connect();
    peer.send("x");
    peer.bytes(STAMP + 1);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("there is a port");
    socket.connect(server.address).expect("is an address");
    let timeout = Some(Duration::from_secs(5));
    socket.set_read_timeout(timeout).expect("is not zero");
    socket.send(b"x").expect("is sent");
    let answer = socket.recv(&mut [0; 64]);
    assert!(
        answer.is_ok(),
        "no answer by UDP while a client is connected by TCP: {answer:?}"
    );
}
