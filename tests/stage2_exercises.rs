//! Chapter 2: tests of its exercises. Each test is ignored, because it fails until its exercise is
//! solved. This command runs the tests of exercise 1:
//! `cargo test -p stage2-select exercise_1 -- --ignored`.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use support::{DEADLINE, Peer, Server};

const BINARY: &str = env!("CARGO_BIN_EXE_stage2-select");

/// `[Thu Mar 21 12:55:05 2019] `, in bytes.
const STAMP: usize = 27;

/// How many clients the server of exercise 1 serves at once.
const MAX_CLIENTS: usize = 256;

fn server() -> Server {
    Server::start(BINARY, &[])
}

/// A client that the server has accepted, because it has received an answer.
fn accepted_client(server: &Server) -> Peer {
    let mut peer = server.connect();
    peer.send("x");
    peer.bytes(STAMP + 1);
    peer
}

#[test]
#[ignore = "exercise 1 of chapter 2"]
fn exercise_1_a_client_that_connects_to_a_full_server_is_told_that_it_is_full() {
    let server = server();
    let mut clients: Vec<Peer> = (0..MAX_CLIENTS).map(|_| accepted_client(&server)).collect();
    for _ in 0..3 {
        let one_more = server.connect();
        let timeout = Some(Duration::from_secs(5));
        one_more
            .socket()
            .set_read_timeout(timeout)
            .expect("is not zero");
        let mut told = String::new();
        let end = one_more.socket().read_to_string(&mut told);
        assert!(
            end.is_ok() && told == "the server is full\n",
            "with {MAX_CLIENTS} clients connected, the next one should read \"the server is full\\n\" \
             and then an end of file; it read {told:?} and {end:?}"
        );
    }
    // All clients that were accepted are still served. When one leaves, another is accepted.
    for client in &mut clients {
        client.send("y");
        client.bytes(STAMP + 1);
    }
    let mut leaver = clients.pop().expect("there are some");
    leaver.shut_down_write();
    leaver.rest();
    let mut next = server.connect();
    next.send("x");
    assert_eq!(
        next.bytes(1),
        b"[",
        "one client has left, so the next one is served"
    );
}

/// Sends without reading until the server accepts no more bytes.
fn flood(stream: &mut TcpStream) {
    stream
        .set_write_timeout(Some(Duration::from_secs(3)))
        .expect("is not zero");
    loop {
        match stream.write(&[b'x'; 1024]) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Sends without reading until the server accepts no more bytes, then reads all answers. Returns
/// the two log lines that exercise 2 asks for, and the log without the line for the new connection.
fn log_of_a_client_that_reads_late() -> (String, String, Vec<String>) {
    let server = server();
    let mut stream = TcpStream::connect(server.address).expect("the server accepts");
    let address = stream.local_addr().expect("is connected");
    flood(&mut stream);
    stream.shutdown(Shutdown::Write).expect("is connected");
    stream
        .set_read_timeout(Some(DEADLINE))
        .expect("is not zero");
    stream.read_to_end(&mut Vec::new()).expect("it ends");
    let log = server.end_and_read_log();
    let is_other = |line: &String| !line.contains("connecting");
    (
        format!("...not reading: {address}"),
        format!("...reading again: {address}"),
        log.into_iter().filter(is_other).collect(),
    )
}

#[test]
#[ignore = "exercise 2 of chapter 2"]
fn exercise_2_the_log_says_when_a_client_stops_reading_and_when_it_reads_again() {
    let (stops, starts, log) = log_of_a_client_that_reads_late();
    assert_eq!(
        log.first(),
        Some(&stops),
        "a client has filled its buffers without reading; the log says {log:?}"
    );
    assert_eq!(
        log.last(),
        Some(&starts),
        "then the client has read everything"
    );
    for pair in log.windows(2) {
        assert_ne!(
            pair[0], pair[1],
            "one line when the client stops reading and one when it continues, not one for each try"
        );
    }
}

#[test]
#[ignore = "exercise 2 of chapter 2"]
fn exercise_2_a_lost_client_is_not_logged_as_reading_again() {
    let server = server();
    let mut stream = TcpStream::connect(server.address).expect("the server accepts");
    flood(&mut stream);
    server.wait_for_log("...not reading: ");
    // Closing a socket that holds unread bytes resets the connection.
    drop(stream);
    server.wait_for_log("lost ");
    let after: Vec<String> = server.end_and_read_log();
    assert!(after.is_empty(), "{after:?}");
}

/// Sends `length` bytes and reads the answers at the same time. Returns how long that takes.
fn time_to_echo(server: SocketAddr, length: usize) -> Duration {
    let mut stream = TcpStream::connect(server).expect("the server accepts");
    stream
        .set_read_timeout(Some(DEADLINE))
        .expect("is not zero");
    let mut sender = stream.try_clone().expect("can be shared");
    let start = Instant::now();
    let sender = thread::spawn(move || {
        sender.write_all(&vec![b'x'; length]).expect("is accepted");
        sender.shutdown(Shutdown::Write).expect("is connected");
    });
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).expect("it ends");
    let time = start.elapsed();
    sender.join().expect("does not panic");
    let echoed = answers.iter().filter(|&&byte| byte == b'x').count();
    assert_eq!(echoed, length, "every byte should come back, limit or not");
    time
}

#[test]
#[ignore = "exercise 3 of chapter 2"]
fn exercise_3_a_client_gets_at_most_four_megabytes_a_second() {
    let server = server();
    let time = time_to_echo(server.address, 8 << 20);
    assert!(
        time > Duration::from_secs(1),
        "at 4 MB a second, after the allowance at the beginning, 8 MiB should take more than 1 s, \
         not {time:?}"
    );
}

#[test]
#[ignore = "exercise 3 of chapter 2"]
fn exercise_3_a_limited_client_does_not_delay_the_others() {
    let server = server();
    let address = server.address;
    let flood = thread::spawn(move || time_to_echo(address, 8 << 20));
    let mut peer = accepted_client(&server);
    let mut longest = Duration::ZERO;
    while !flood.is_finished() {
        let start = Instant::now();
        peer.send("x");
        peer.bytes(STAMP + 1);
        longest = longest.max(start.elapsed());
    }
    let time = flood.join().expect("does not panic");
    assert!(
        time > Duration::from_secs(1),
        "8 MiB came back in {time:?}, without a limit"
    );
    assert!(
        longest < Duration::from_secs(1),
        "while one client was limited, another one waited {longest:?} for an answer"
    );
}
