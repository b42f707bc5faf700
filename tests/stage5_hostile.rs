//! Chapter 5: tests with hostile clients and servers. No client can stop the group, with either
//! engine.
//!
//! The tests check what arrives, in which order, and which members are still connected. Where
//! `/proc` exists, they also check the memory, the descriptors and the threads of the server. They
//! check no times. The benchmark measures those.

mod support;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Instant;

use stage5_group::limits::{MAX_BEHIND, MAX_LISTED, MAX_MESSAGE, MAX_NAME, MAX_NOTICES};
use stage5_group::message::{Decoder, Message, Refusal};
use stage5_group::server::tape::{Cursor, Tape};
use support::{Client, DEADLINE, Peer, Server};

const BINARY: &str = env!("CARGO_BIN_EXE_stage5-group");

/// The stamp of a line, `[2019-03-21 17:30:00]`, in bytes.
const STAMP: usize = 21;

/// Makes two tests of each of these functions: with `--engine threads` and with `--engine polling`.
macro_rules! with_both_engines {
    ($($(#[$only:meta])? $test:ident)*) => {
        mod threads { $($(#[$only])? #[test] fn $test() { super::$test("threads"); })* }
        mod polling { $($(#[$only])? #[test] fn $test() { super::$test("polling"); })* }
    };
}

with_both_engines! {
    members_that_never_read_are_disconnected_and_the_others_receive_everything
    a_slow_member_receives_a_whole_burst
    a_member_that_leaves_still_receives_unsent_data
    members_that_never_finish_a_message_do_not_delay_the_others
    #[cfg(unix)] a_full_descriptor_table_does_not_stop_the_conversation
    #[cfg(unix)] a_descriptor_table_that_is_full_again_and_again_is_logged_once
    resets_and_half_messages_leak_no_descriptor_or_thread
    joins_and_leaves_leak_no_descriptor_or_thread
    a_flood_does_not_keep_other_members_from_sending
    only_the_sender_of_rubbish_is_told
    questions_from_a_member_that_does_not_read_cost_little_memory
    a_member_that_reads_stays_connected_when_many_members_send
    a_log_that_nobody_reads_does_not_delay_the_group
    a_disconnected_member_still_receives_unsent_data
    a_member_that_resets_while_it_is_behind_is_not_logged_as_slow
    members_with_the_same_name_get_different_numbers
}

fn server(engine: &str) -> Server {
    Server::start(BINARY, &["--engine", engine])
}

fn message(name: &str, text: &str) -> String {
    let (name, text) = (name.to_owned(), text.to_owned());
    Message { name, text }.encode()
}

/// Connects, sends a hello and a question, and waits for the answer.
fn join(server: &Server, name: &str) -> Peer {
    let mut peer = server.connect();
    peer.send(message(name, "\n") + &message(name, "/who"));
    peer.line_with(" here: ");
    peer
}

/// A number from `/proc/PID/status`, for example `Threads`, or `VmHWM` in KiB. `None` if there is
/// none.
fn status(server: &Server, key: &str) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

fn descriptors(server: &Server) -> Option<usize> {
    Some(
        fs::read_dir(format!("/proc/{}/fd", server.pid()))
            .ok()?
            .count(),
    )
}

fn assert_memory_under(server: &Server, mebibytes: usize) {
    if let Some(most) = status(server, "VmHWM") {
        assert!(most < mebibytes * 1024, "{most} KiB");
    }
}

/// Waits until `holds` returns true. It does not sleep: it sends the server a question, and waits
/// for the answer.
fn wait_until(witness: &mut Peer, what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "this never happened: {what}");
        witness.send(message("witness", "/who"));
        witness.line_with(" here: ");
    }
}

/// Reads chat lines of `name` with these numbers. The lines must come whole and in order.
fn read_numbers(peer: &mut Peer, name: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let line = peer.line_with(&format!("]{name}: "));
        let text = &line[STAMP + name.len() + 2..];
        assert_eq!(
            text.split(' ').next(),
            Some(number.to_string().as_str()),
            "in order"
        );
    }
}

fn members_that_never_read_are_disconnected_and_the_others_receive_everything(engine: &str) {
    const STALLED: usize = 100;
    const MESSAGES: usize = 20_000;
    let server = server(engine);
    let _stalled: Vec<TcpStream> = (0..STALLED)
        .map(|_| TcpStream::connect(server.address).expect("the server accepts"))
        .collect();
    let readers: Vec<_> = (0..5)
        .map(|n| {
            let mut peer = join(&server, &format!("r{n}"));
            thread::spawn(move || read_numbers(&mut peer, "sender", 0..MESSAGES))
        })
        .collect();
    let mut sender = join(&server, "sender");
    // The sender waits until its own lines come back. So the readers can keep up.
    let padding = "x".repeat(1000);
    for from in (0..MESSAGES).step_by(200) {
        let burst = (from..from + 200).map(|n| message("sender", &format!("{n} {padding}")));
        sender.send(burst.collect::<String>());
        read_numbers(&mut sender, "sender", from..from + 200);
    }
    for reader in readers {
        reader.join().expect("receives everything");
    }
    for _ in 0..STALLED {
        server.wait_for_log("does not read");
    }
    assert_memory_under(&server, 64);
}

fn a_slow_member_receives_a_whole_burst(engine: &str) {
    const MESSAGES: usize = 4000;
    let server = server(engine);
    let mut slow = join(&server, "slow");
    let mut sender = join(&server, "sender");
    let padding = "x".repeat(1000);
    for from in (0..MESSAGES).step_by(200) {
        let burst = (from..from + 200).map(|n| message("sender", &format!("{n} {padding}")));
        sender.send(burst.collect::<String>());
        read_numbers(&mut sender, "sender", from..from + 200);
    }
    // Everything has been sent before the slow member reads its first byte.
    read_numbers(&mut slow, "sender", 0..MESSAGES);
}

/// Sends so much that a member that does not read is behind, but so little that it stays connected.
/// Returns the number of messages.
fn fall_behind(sender: &mut Peer) -> usize {
    let padding = "x".repeat(32 * 1024);
    let count = MAX_BEHIND * 3 / 4 / padding.len();
    for number in 0..count {
        sender.send(message("sender", &format!("{number} {padding}")));
        read_numbers(sender, "sender", number..number + 1);
    }
    count
}

fn a_member_that_leaves_still_receives_unsent_data(engine: &str) {
    let server = server(engine);
    let mut sender = join(&server, "sender");
    let mut leaver = join(&server, "leaver");
    let count = fall_behind(&mut sender);
    leaver.send(message("leaver", "last words"));
    leaver.shut_down_write();
    sender.line_with("]leaver: last words");
    sender.line_with(" leaver left");
    read_numbers(&mut leaver, "sender", 0..count);
    assert!(leaver.line().ends_with("]leaver: last words"));
    assert_eq!(leaver.rest(), b"", "then the end of file");
}

fn a_disconnected_member_still_receives_unsent_data(engine: &str) {
    let server = server(engine);
    let mut sender = join(&server, "sender");
    let mut long = join(&server, "long");
    let count = fall_behind(&mut sender);
    long.send("x".repeat(5 * MAX_MESSAGE));
    sender.line_with(" long left");
    read_numbers(&mut long, "sender", 0..count);
    long.line_with("too long");
    assert_eq!(long.rest(), b"", "then the end of file");
}

fn a_member_that_resets_while_it_is_behind_is_not_logged_as_slow(engine: &str) {
    let server = server(engine);
    let mut sender = join(&server, "sender");
    let behind = join(&server, "behind");
    fall_behind(&mut sender);
    behind.reset();
    let line = server.wait_for_log("lost");
    assert!(!line.contains("does not read"), "{line}");
    sender.line_with(" behind left");
}

/// Takes the next `length` bytes for a member.
fn take(tape: &Tape, cursor: &mut Cursor, length: usize) -> String {
    let next = tape.next(cursor).expect("it is not too far behind");
    let taken = String::from_utf8(next[..length].to_vec()).expect("is text");
    Tape::advance(cursor, length);
    taken
}

/// Takes all bytes for a member.
fn take_all(tape: &Tape, cursor: &mut Cursor) -> String {
    let mut all = String::new();
    while let Some(length @ 1..) = tape.next(cursor).map(<[u8]>::len) {
        all += &take(tape, cursor, length);
    }
    all
}

#[test]
fn no_line_is_interrupted_by_another() {
    let mut tape = Tape::new();
    let mut cursor = tape.join();
    cursor.notify(b"notice\n");
    assert_eq!(take(&tape, &mut cursor, 3), "not");
    tape.push(b"line\n");
    cursor.notify(b"another\n");
    assert_eq!(take_all(&tape, &mut cursor), "ice\nline\nanother\n");
    tape.push(b"line\n");
    assert_eq!(take(&tape, &mut cursor, 2), "li");
    cursor.notify(b"notice\n");
    assert_eq!(take_all(&tape, &mut cursor), "ne\nnotice\n");
    cursor.notify(b"notice\n");
    tape.push(b"line\n");
    assert_eq!(
        take_all(&tape, &mut cursor),
        "line\nnotice\n",
        "a line for everyone comes before a notice"
    );
}

/// This member has left, and has received its last line. The server only waits for its client to
/// close.
#[test]
fn a_member_that_has_received_everything_is_never_behind() {
    let mut tape = Tape::new();
    let mut cursor = tape.join();
    tape.push(b"line\n");
    tape.leave(&mut cursor);
    assert_eq!(take_all(&tape, &mut cursor), "line\n");
    let mut other = tape.join();
    tape.push(&vec![b'x'; 2 * MAX_BEHIND]);
    tape.leave(&mut cursor);
    tape.trim([&cursor, &other].into_iter());
    assert_eq!(tape.next(&mut cursor), Some(&b""[..]));
    assert_eq!(tape.next(&mut other), None);
}

#[test]
fn waiting_notices_have_a_limit() {
    let tape = Tape::new();
    let mut cursor = tape.join();
    let notice = [b'x'; 1000];
    for _ in 0..1000 {
        cursor.notify(&notice);
    }
    let waiting = tape.next(&mut cursor).expect("is not behind").len();
    assert!((MAX_NOTICES..MAX_NOTICES + notice.len()).contains(&waiting));
}

fn members_that_never_finish_a_message_do_not_delay_the_others(engine: &str) {
    let server = server(engine);
    let mut unfinished: Vec<Peer> = (0..300).map(|_| server.connect()).collect();
    let (mut witness, mut other) = (join(&server, "witness"), join(&server, "other"));
    for (round, byte) in "{\"name\": \"drib".bytes().enumerate() {
        for member in &mut unfinished {
            member.send([byte]);
        }
        witness.send(message("witness", &format!("{round}")));
        read_numbers(&mut other, "witness", round..round + 1);
    }
    assert_memory_under(&server, 64);
}

#[cfg(unix)] // `ulimit`
fn a_full_descriptor_table_does_not_stop_the_conversation(engine: &str) {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n 64; exec {BINARY} server 127.0.0.1:0 --engine {engine}");
    command.args(["-c", &script]);
    let server = Server::spawn(command);
    let (mut witness, mut other) = (join(&server, "witness"), join(&server, "other"));
    let mut members: Vec<Peer> = (0..120).map(|_| server.connect()).collect();
    server.wait_for_log("cannot accept");
    witness.send(message("witness", "0"));
    read_numbers(&mut other, "witness", 0..1);
    // The last client waits in the backlog. It is accepted as soon as a descriptor is free.
    let mut last = members.pop().expect("there are some");
    last.send(message("last", "let me in"));
    drop(members);
    other.line_with("]last: let me in");
    drop((witness, other, last));
    let log = server.end_and_read_log();
    let again = log
        .iter()
        .filter(|line| line.contains("cannot accept"))
        .count();
    assert_eq!(again, 0, "it has been logged before");
}

/// Each time a member leaves, the waiting client is accepted, and then the next client waits.
#[cfg(unix)] // `ulimit`
fn a_descriptor_table_that_is_full_again_and_again_is_logged_once(engine: &str) {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n 20; exec {BINARY} server 127.0.0.1:0 --engine {engine}");
    command.args(["-c", &script]);
    let server = Server::spawn(command);
    let mut witness = join(&server, "witness");
    let mut accepted = Vec::new();
    let mut waiting = loop {
        let mut next = server.connect();
        next.send(message("next", "/who"));
        while next.has_nothing_yet() && !server.has_logged("cannot accept") {
            witness.send(message("witness", "/who"));
            witness.line_with(" here: ");
        }
        if next.has_nothing_yet() {
            break next;
        }
        accepted.push(next);
        assert!(accepted.len() < 20, "the descriptor table never fills");
    };
    for _ in 0..5 {
        accepted.pop();
        waiting.send(message("next", "let me in"));
        witness.line_with(": let me in");
        accepted.push(std::mem::replace(&mut waiting, server.connect()));
        for _ in 0..20 {
            witness.send(message("witness", "/who"));
            witness.line_with(" here: ");
        }
    }
    let log = server.end_and_read_log();
    let again = log.iter().filter(|line| line.contains("cannot accept"));
    assert_eq!(again.count(), 0, "it has been logged before");
}

fn resets_and_half_messages_leak_no_descriptor_or_thread(engine: &str) {
    let server = server(engine);
    let mut witness = join(&server, "witness");
    let before = (descriptors(&server), status(&server, "Threads"));
    for round in 0..250 {
        let mut peer = server.connect();
        if round % 2 == 0 {
            peer.send("{\"name\": \"half");
        } else {
            // Its own line comes back. A socket that is closed with this line unread sends a reset.
            peer.send(message("reset", "x"));
            peer.reset();
        }
    }
    let after = || (descriptors(&server), status(&server, "Threads"));
    wait_until(
        &mut witness,
        "every descriptor and thread is released",
        || after() == before,
    );
    assert_memory_under(&server, 64);
}

fn joins_and_leaves_leak_no_descriptor_or_thread(engine: &str) {
    let server = server(engine);
    let mut witness = join(&server, "witness");
    let before = (descriptors(&server), status(&server, "Threads"));
    for round in 0..1000 {
        let mut peer = server.connect();
        peer.send(message(&format!("n{round}"), "hello"));
        witness.line_with("hello");
    }
    let after = || (descriptors(&server), status(&server, "Threads"));
    wait_until(
        &mut witness,
        "every descriptor and thread is released",
        || after() == before,
    );
    assert_memory_under(&server, 64);
}

fn a_flood_does_not_keep_other_members_from_sending(engine: &str) {
    let server = server(engine);
    let mut witness = join(&server, "witness");
    let flooder = TcpStream::connect(server.address).expect("the server accepts");
    let (mut reading, mut writing) = (flooder.try_clone().expect("can be shared"), flooder);
    let drain = thread::spawn(move || {
        let mut chunk = vec![0; 1 << 16];
        while let Ok(1..) = reading.read(&mut chunk) {}
    });
    let stop = writing.try_clone().expect("can be shared");
    let flood = thread::spawn(move || {
        let burst = message("flooder", "me me me").repeat(1000);
        while writing.write_all(burst.as_bytes()).is_ok() {}
    });
    witness.line_with("]flooder: me me me");
    for number in 0..20 {
        witness.send(message("witness", &format!("{number}")));
        read_numbers(&mut witness, "witness", number..number + 1);
    }
    stop.shutdown(Shutdown::Both).expect("is connected");
    flood.join().expect("ends");
    drain.join().expect("ends");
}

fn only_the_sender_of_rubbish_is_told(engine: &str) {
    let server = server(engine);
    let mut witness = join(&server, "witness");
    let mut random = Random(1);
    let rubbish: Vec<Vec<u8>> = vec![
        (0..100_000).map(|_| random.byte()).collect(),
        vec![b'x'; 10_000_000],
        vec![b'['; 100_000],
        vec![0; 100_000],
        b"\"\\ud800\"\n{\"name\":\"\\udfff\",\"msg\":\"x\"}\n".to_vec(),
        b"{\"name\":\"\xff\xfe\",\"msg\":\"\xc0\x80\"}\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a hello of TLS\n".to_vec(),
        b"}}}]]]\n\n\n\"\n\\\n".to_vec(),
    ];
    for bytes in rubbish {
        let mut peer = server.connect();
        peer.send(&bytes);
        peer.shut_down_write();
        peer.rest();
    }
    witness.send(message("witness", "0"));
    assert!(
        witness.line().ends_with("]witness: 0"),
        "nothing came before it"
    );
    assert_memory_under(&server, 64);
}

fn questions_from_a_member_that_does_not_read_cost_little_memory(engine: &str) {
    let server = server(engine);
    let long = "😀".repeat(MAX_NAME);
    let _members: Vec<Peer> = (0..MAX_LISTED).map(|_| join(&server, &long)).collect();
    let mut witness = join(&server, "witness");
    let mut asker = join(&server, "asker");
    // Each question has 33 bytes, and its answer 13,000.
    for round in 0..20 {
        asker.send("x\n".repeat(2_000) + &message("asker", "/who").repeat(500));
        witness.send(message("witness", &format!("{round}")));
        read_numbers(&mut witness, "witness", round..round + 1);
    }
    assert_memory_under(&server, 64);
}

/// Each member first sends a message of nearly 64 KiB without its end, and later the end. The room
/// replaces each control character by three bytes. So the messages together are twice as long as a
/// member may be behind.
fn a_member_that_reads_stays_connected_when_many_members_send(engine: &str) {
    const SENDERS: usize = 2 * MAX_BEHIND / (3 * 65_000);
    let server = server(engine);
    let mut witness = join(&server, "witness");
    let mut senders: Vec<Peer> = (0..SENDERS).map(|_| server.connect()).collect();
    let (end, long) = ("\"}", message("sender", &"\x7F".repeat(65_000)));
    let beginning = long.trim_end().strip_suffix(end).expect("is its end");
    let mut readers = Vec::new();
    for sender in &mut senders {
        sender.send(beginning);
        let mut reading = sender.socket().try_clone().expect("can be shared");
        readers.push(thread::spawn(move || {
            io::copy(&mut reading, &mut io::sink())
        }));
    }
    for sender in &mut senders {
        sender.send(end);
    }
    for _ in 0..SENDERS {
        witness.line_with("�");
    }
    drop(server);
    for reader in readers {
        let _ = reader.join().expect("ends with the server");
    }
}

/// For example, a pager or a terminal stopped with `Ctrl-S` does not read the log.
fn a_log_that_nobody_reads_does_not_delay_the_group(engine: &str) {
    let mut command = Command::new(BINARY);
    command.args(["server", "127.0.0.1:0", "--engine", engine]);
    let server = Server::spawn_unread(command);
    let mut witness = join(&server, "witness");
    // The log has a line of 36 bytes for each connection. A pipe holds 64 KiB.
    for round in 0..2_000 {
        server.connect();
        witness.send(message("witness", &format!("{round}")));
        read_numbers(&mut witness, "witness", round..round + 1);
    }
}

fn members_with_the_same_name_get_different_numbers(engine: &str) {
    let server = server(engine);
    let mut first = join(&server, "业冰蝶");
    let members: Vec<Peer> = (2..50).map(|_| join(&server, "业冰蝶")).collect();
    let mut imitator = join(&server, "业冰蝶#2");
    imitator
        .send(message("业冰蝶#2", "I am the second") + &message(" 业冰蝶\u{200B}", "the first"));
    let line = first.line_with("I am the second");
    assert!(line.contains("]业冰蝶#50: "), "{line}");
    let line = first.line_with("the first");
    assert!(line.contains("]业冰蝶#50: "), "{line}");
    drop(members);
}

/// If no thread can start, the new client is told. The other members notice nothing.
#[cfg(target_os = "linux")] // `/proc` and `prlimit`
#[test]
fn a_client_is_told_if_no_thread_can_start_for_it() {
    let mut command = Command::new(BINARY);
    command.args(["server", "127.0.0.1:0"]);
    // This test limits the address space. The limit must be too low for the stack of a new
    // thread, but not for a small allocation of the hub. So the server gets one large heap from the
    // beginning (settings of glibc).
    command.envs([("MALLOC_ARENA_MAX", "1"), ("MALLOC_TOP_PAD_", "8000000")]);
    let server = Server::spawn(command);
    let (mut witness, mut other) = (join(&server, "witness"), join(&server, "other"));
    let before = status(&server, "VmSize").expect("it runs");
    let mut accepted: Vec<Peer> = (0..10).map(|_| join(&server, "extra")).collect();
    let after = status(&server, "VmSize").expect("it runs");
    // There is space for twenty and a half more members. The half is necessary: a thread needs a
    // second stack, and std aborts if only that one fails.
    let most = (after + (after - before) / 10 * 41 / 2) * 1024;
    let limited = Command::new("prlimit")
        .args([format!("--pid={}", server.pid()), format!("--as={most}")])
        .status()
        .expect("prlimit of util-linux is there");
    assert!(limited.success());
    loop {
        let mut peer = server.connect();
        peer.send(message("extra", "/who"));
        if peer.line().contains("the group is full") {
            assert_eq!(peer.rest(), b"", "then the end of file");
            // If the connection were reset, the second of these would fail.
            peer.send("still");
            peer.send("here");
            break;
        }
        accepted.push(peer);
        assert!(accepted.len() < 50, "the server never ran out of threads");
    }
    server.wait_for_log("cannot start a thread");
    witness.send(message("witness", "0"));
    read_numbers(&mut other, "witness", 0..1);
}

// ------------------------------------------------------------------ a hostile server

/// The client in line mode, connected to a server that the test plays.
fn client_of_a_hostile_server() -> (Client, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("is bound");
    let client = Client::start(BINARY, address, &["--name", "victim"]);
    let mut server = Peer::new(listener.accept().expect("the client connects").0);
    server.line_with("victim");
    (client, server)
}

#[test]
fn the_client_shows_no_control_characters_of_its_server() {
    let (client, mut server) = client_of_a_hostile_server();
    server.send(b"\x1b]0;title\x07\x1b[2J\xff\xc3\x28\xe4\xb8 \x9b31m\xc2\x9b\xe2\x80\xae\r\x08\n");
    let line = client.line();
    assert!(
        line.chars().all(|c| !c.is_control() && c != '\u{202E}'),
        "{line:?}"
    );
    assert!(line.contains("]0;title"), "{line:?}");
}

#[test]
fn the_client_can_quit_during_an_endless_flood_without_newlines() {
    let (mut client, server) = client_of_a_hostile_server();
    let mut socket = server.socket().try_clone().expect("can be shared");
    let flood = thread::spawn(move || {
        let mut sent = 0;
        while let Ok(length) = socket.write(&[b'x'; 1 << 16]) {
            sent += length;
            if sent >= 100_000_000 {
                break;
            }
        }
        sent
    });
    client.type_in("/quit\n");
    let mut end = Vec::new();
    let mut socket = server.socket();
    socket.read_to_end(&mut end).expect("the client leaves");
    let sent = flood.join().expect("ends");
    assert!(sent >= 100_000_000, "the client read only {sent} bytes");
    if let Some(most) = client.peak_memory() {
        assert!(most < 64 * 1024, "{most} KiB");
    }
    drop(server);
    let (status, output, errors) = client.wait();
    assert_eq!((status, errors.len()), (0, 0), "{errors:?}");
    assert_eq!(output.concat().len(), sent);
}

// ------------------------------------------------------------------ the decoder, at random

/// Marsaglia's xorshift. Its numbers look random, and are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    /// A number below this one.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).expect("fits")).expect("fits")
    }
}

/// How many mutated inputs are tried.
const INPUTS: usize = if cfg!(debug_assertions) {
    100_000
} else {
    1_000_000
};

#[test]
fn the_decoder_returns_the_same_messages_however_the_input_is_cut() {
    let seeds = [
        message("业冰蝶", "你好 \"quoted\" \\ \u{7}\n"),
        "{\"name\": \"\\u4e1a\", \"msg\": \"\\ud83d\\ude00\"}".to_owned(),
        "{\"x\":[1,-2.5e+3,{\"y\":[null,true]}],\"name\":\"a\",\"msg\":\"b\"}{\"name\"".to_owned(),
        "rubbish\n\n{}\n[[]]\n\"\"\n".to_owned(),
    ];
    let alphabet = b"{}[]\":,\\un09eE+-. \ntfalsru\xe4\xff\x00";
    let mut random = Random(20_190_321);
    for _ in 0..INPUTS {
        let mut input = seeds[random.below(seeds.len())].clone().into_bytes();
        for _ in 0..random.below(8) {
            let at = random.below(input.len());
            match random.below(3) {
                0 => drop(input.remove(at)),
                1 => input[at] = alphabet[random.below(alphabet.len())],
                _ => input.insert(at, alphabet[random.below(alphabet.len())]),
            }
            if input.is_empty() {
                input.push(b'{');
            }
        }
        let whole = Decoder::new().push(&input);
        let (first, second) = (random.below(input.len()), random.below(input.len()));
        let (first, second) = (first.min(second), first.max(second));
        let mut decoder = Decoder::new();
        let mut pieces = decoder.push(&input[..first]);
        pieces.extend(decoder.push(&input[first..second]));
        pieces.extend(decoder.push(&input[second..]));
        assert_eq!(pieces, whole, "{:?}", String::from_utf8_lossy(&input));
        // After any input, a newline begins a new message.
        decoder.push(b"\n");
        let good = Message {
            name: "a".to_owned(),
            text: "b".to_owned(),
        };
        assert_eq!(decoder.push(good.encode().as_bytes()), [Ok(good)]);
    }
}

#[test]
fn the_decoder_keeps_at_most_one_message() {
    let mut decoder = Decoder::new();
    for _ in 0..MAX_MESSAGE {
        assert_eq!(decoder.push(b"["), []);
    }
    assert_eq!(decoder.push(b"["), [Err(Refusal::TooLong)]);
    assert!(decoder.is_closed());
    assert_eq!(
        decoder.push(message("a", "b").as_bytes()),
        [],
        "the decoder returns nothing after that"
    );
}
