//! Chapter 1: tests of `tap`, the tool that shows the bytes between a client and a server.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, fs, thread};

use support::{Client, Peer, run};

/// The most memory that `tap` may use, in KiB.
const MEMORY: usize = 10 * 1024;

/// The path of the example, built in the same profile as this test.
fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(build).clone()
}

/// `cargo test -p stage1-echo` has already built it. `cargo test --test stage1_tap` has not.
fn build() -> PathBuf {
    let test = env::current_exe().expect("a test knows where it is");
    let folder = test.ancestors().nth(2).expect("it is in target/debug/deps");
    let binary = folder.join(format!("examples/tap{}", env::consts::EXE_SUFFIX));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tap.rs");
    let changed = |path: &str| fs::metadata(path).and_then(|file| file.modified()).ok();
    let built = changed(&binary.to_string_lossy());
    if built.is_none() || built < changed(source) {
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(profile) => profile,
        };
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--package", "stage1-echo"])
            .args(["--example", "tap", "--profile", profile, "--target-dir"])
            .arg(folder.parent().expect("is in a folder"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(status.is_ok_and(|status| status.success()), "no {binary:?}");
    }
    binary
}

/// A running `tap`. The test itself plays the server.
struct Tap {
    process: Client,
    address: String,
    server: TcpListener,
}

impl Tap {
    fn start() -> Self {
        let server = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let server_address = server.local_addr().expect("is bound").to_string();
        let (process, address) = start(&server_address);
        Self {
            process,
            address,
            server,
        }
    }

    /// A connection through `tap`: the client's socket and the server's.
    fn connect(&self) -> (Peer, Peer) {
        let client = TcpStream::connect(&self.address).expect("tap accepts");
        let (server, _) = self.server.accept().expect("tap connects");
        (Peer::new(client), Peer::new(server))
    }

    /// The next line of `tap`, without the time.
    fn event(&self) -> String {
        event(&self.process)
    }

    /// Fails if `tap` has used too much memory. Only Linux reports it.
    fn check_memory(&self) {
        let peak = self.process.peak_memory();
        assert!(peak.is_none_or(|peak| peak < MEMORY), "{peak:?} KiB");
        assert!(cfg!(not(target_os = "linux")) || peak.is_some());
    }
}

fn start(server: &str) -> (Client, String) {
    let mut command = Command::new(binary());
    command.args(["127.0.0.1:0", server]);
    listen(command, server)
}

/// Starts this command, and waits until it prints the address at which it listens.
fn listen(command: Command, server: &str) -> (Client, String) {
    let process = Client::spawn(command);
    let first = process.line();
    let address = first
        .strip_prefix("listening on ")
        .and_then(|rest| rest.strip_suffix(&format!(", passing on to {server}")))
        .expect("that is its first line");
    let address = address.to_owned();
    (process, address)
}

fn event(process: &Client) -> String {
    let line = process.line();
    let (start, what) = line.split_once(" s  ").expect("has a time");
    let (number, seconds) = start.split_once(' ').expect("has a number");
    assert!(seconds.trim().parse::<f64>().is_ok(), "{line:?}");
    format!("{number} {what}")
}

#[test]
fn every_read_is_a_line_and_every_byte_arrives() {
    let tap = Tap::start();
    let (mut client, mut server) = tap.connect();
    let address = client.socket().local_addr().expect("is connected");
    client.send("hello");
    assert_eq!(server.bytes(5), b"hello");
    server.send("[Thu Mar 21 12:55:05 2019] hello");
    client.bytes(32);
    client.send("你好\n");
    server.bytes(7);
    client.shut_down_write();
    assert_eq!(server.rest(), b"");
    drop(server);
    assert_eq!(client.rest(), b"");
    let expected = [
        format!("#1 connected from {address}"),
        r#"#1 client -> server   5 bytes  "hello""#.to_owned(),
        r#"#1 server -> client  32 bytes  "[Thu Mar 21 12:55:05 2019] hello""#.to_owned(),
        r#"#1 client -> server   7 bytes  "你好\n""#.to_owned(),
        "#1 client -> server  end of file".to_owned(),
        "#1 server -> client  end of file".to_owned(),
    ];
    for line in expected {
        assert_eq!(tap.event(), line);
    }
    let (_client, _server) = tap.connect();
    assert!(tap.event().starts_with("#2 connected from 127.0.0.1:"));
}

#[test]
fn a_character_that_is_cut_in_two_is_visible_in_both_lines() {
    let tap = Tap::start();
    let (mut client, mut server) = tap.connect();
    tap.event();
    client.send(&"你".as_bytes()[..2]);
    assert_eq!(tap.event(), r#"#1 client -> server   2 bytes  "\xe4\xbd""#);
    client.send(&"你".as_bytes()[2..]);
    assert_eq!(tap.event(), r#"#1 client -> server   1 byte   "\xa0""#);
    assert_eq!(server.bytes(3), "你".as_bytes());
}

#[test]
fn bytes_that_are_not_printable_text_are_escaped() {
    let tap = Tap::start();
    let (mut client, _server) = tap.connect();
    tap.event();
    client.send("{\"msg\": \"it's\\n\"}\n\x1b[2J\u{202e}\0\t\r");
    assert_eq!(
        tap.event(),
        r#"#1 client -> server  28 bytes  "{"msg": "it's\\n"}\n\u{1b}[2J\u{202e}\0\t\r""#
    );
}

#[test]
fn a_long_chunk_is_shortened_in_the_middle_but_never_within_a_character() {
    let tap = Tap::start();
    let (mut client, _server) = tap.connect();
    tap.event();
    for (text, shown) in [
        ("x".repeat(96), format!("96 bytes  \"{}\"", "x".repeat(96))),
        (
            format!("{}{}", "a".repeat(100), "z".repeat(100)),
            format!(
                "200 bytes  \"{}\" ... \"{}\"",
                "a".repeat(28),
                "z".repeat(28)
            ),
        ),
        (
            "中".repeat(100),
            format!(
                "300 bytes  \"{}\" ... \"{}\"",
                "中".repeat(10),
                "中".repeat(9)
            ),
        ),
    ] {
        client.send(text);
        let event = tap.event();
        assert!(event.ends_with(&shown), "{event}");
    }
}

#[test]
fn a_half_close_is_passed_on_as_a_half_close() {
    let tap = Tap::start();
    let (mut client, mut server) = tap.connect();
    tap.event();
    client.send("2 + 2");
    client.shut_down_write();
    assert_eq!(server.rest(), b"2 + 2");
    server.send("4");
    assert_eq!(client.bytes(1), b"4");
    server.send("and more");
    server.shut_down_write();
    assert_eq!(client.rest(), b"and more");
}

#[test]
fn a_reset_is_passed_on_as_end_of_file_if_no_bytes_are_unread() {
    let tap = Tap::start();
    for (number, from, to) in [(1, "client", "server"), (2, "server", "client")] {
        let (client, server) = tap.connect();
        tap.event();
        let (resetting, mut other) = if from == "client" {
            (client, server)
        } else {
            (server, client)
        };
        other.send("never read");
        tap.event();
        resetting.reset();
        assert_eq!(other.rest(), b"");
        let line = format!("#{number} {from} -> {to}  connection reset, passed on as end of file");
        assert_eq!(tap.event(), line);
        drop(other);
        assert_eq!(
            tap.event(),
            format!("#{number} {to} -> {from}  end of file")
        );
    }
}

/// The server sends more than all buffers hold. So some bytes are unread when the reset arrives.
#[test]
fn a_reset_is_passed_on_as_a_reset_if_bytes_are_unread() {
    let tap = Tap::start();
    let (client, server) = tap.connect();
    tap.event();
    let sender = thread::spawn(move || server.socket().write_all(&vec![b'x'; 64 << 20]));
    // `tap` passes on the first bytes. The client reads none of them.
    client.socket().peek(&mut [0]).expect("some arrive");
    tap.event();
    client.reset();
    let result = sender.join().expect("no panic");
    assert!(
        result.is_err(),
        "the server cannot send 64 MiB to a client that has gone"
    );
    let mut line = tap.event();
    while !line.starts_with("#1 client -> server  connection reset") {
        line = tap.event();
    }
    tap.check_memory();
}

/// A closed socket answers with a reset, so a later `write` to it fails.
#[test]
fn bytes_for_a_client_that_has_gone_are_not_delivered() {
    let tap = Tap::start();
    let (client, server) = tap.connect();
    tap.event();
    drop(client);
    assert_eq!(tap.event(), "#1 client -> server  end of file");
    // When `tap` has noticed, it closes its connection to the server, too.
    while server.socket().write_all(b"anybody?").is_ok() {}
    let mut line = tap.event();
    while line.contains("anybody?") {
        line = tap.event();
    }
    assert!(
        line.starts_with("#1 server -> client  not delivered: "),
        "{line}"
    );
}

#[cfg(unix)]
#[test]
fn tap_continues_after_it_had_too_many_connections() {
    use std::{io, time::Instant};
    use support::DEADLINE;

    let server = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let server_address = server.local_addr().expect("is bound").to_string();
    thread::spawn(move || {
        for stream in server.incoming().flatten() {
            thread::spawn(move || io::copy(&mut &stream, &mut &stream));
        }
    });
    let mut command = Command::new("sh");
    // Descriptors for standard input, output and errors, the listener, and three connections.
    let limit = "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; ulimit -n 10";
    let script = format!("{limit}; exec \"$0\" 127.0.0.1:0 \"$1\"");
    command
        .arg("-c")
        .arg(script)
        .arg(binary())
        .arg(&server_address);
    let (process, address) = listen(command, &server_address);
    let connect = || TcpStream::connect(&address).expect("the backlog has room");
    let clients: Vec<TcpStream> = (0..20).map(|_| connect()).collect();
    process.line_with("cannot accept: ");
    drop(clients);
    // `tap` cannot connect to the server until the other connections have ended.
    let is_served = || {
        let mut client = connect();
        client
            .set_read_timeout(Some(DEADLINE))
            .expect("is not zero");
        client.write_all(b"x").is_ok() && matches!(client.read(&mut [0]), Ok(1))
    };
    let deadline = Instant::now() + DEADLINE;
    while !is_served() {
        assert!(Instant::now() < deadline, "tap serves no client any more");
    }
}

#[test]
fn an_absent_server_causes_one_sentence_per_connection() {
    let (process, address) = start("127.0.0.1:1");
    for number in 1..=3 {
        let mut client = Peer::new(TcpStream::connect(&address).expect("tap accepts"));
        assert_eq!(client.rest(), b"");
        assert!(event(&process).starts_with(&format!("#{number} connected")));
        let sentence = format!("#{number} no connection to 127.0.0.1:1: ");
        let line = event(&process);
        assert!(line.starts_with(&sentence), "{line}");
    }
}

#[test]
fn the_bytes_of_a_hundred_connections_do_not_mix() {
    let tap = Tap::start();
    let mut connections: Vec<(Peer, Peer)> = (0..100).map(|_| tap.connect()).collect();
    for (number, (client, _)) in connections.iter_mut().enumerate() {
        client.send(format!("{number:>10}"));
    }
    for (number, (client, server)) in connections.iter_mut().enumerate() {
        assert_eq!(server.bytes(10), format!("{number:>10}").as_bytes());
        server.send(format!("{number:<10}"));
        assert_eq!(client.bytes(10), format!("{number:<10}").as_bytes());
    }
    for (client, server) in &mut connections {
        client.shut_down_write();
        assert_eq!(server.rest(), b"");
    }
    tap.check_memory();
}

#[test]
fn many_megabytes_arrive_in_both_directions_in_little_memory() {
    const BLOCKS: usize = 256;
    // The length is not a multiple of the length of any buffer. So a lost chunk moves all bytes
    // after it.
    let block: Vec<u8> = (0..65_537_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .collect();
    let tap = Tap::start();
    let (client, server) = tap.connect();
    let send = |mut socket: &TcpStream| {
        for _ in 0..BLOCKS {
            socket.write_all(&block).expect("tap accepts it");
        }
    };
    let receive = |mut socket: &TcpStream| {
        let mut received = vec![0; block.len()];
        for number in 0..BLOCKS {
            socket.read_exact(&mut received).expect("tap passes it on");
            assert!(received == block, "block {number} differs");
        }
    };
    thread::scope(|scope| {
        for socket in [client.socket(), server.socket()] {
            scope.spawn(|| send(socket));
            scope.spawn(|| receive(socket));
        }
    });
    tap.check_memory();
}

#[test]
fn tap_continues_if_nobody_reads_its_lines() {
    let server = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let server_address = server.local_addr().expect("is bound").to_string();
    let mut child = Command::new(binary())
        .args(["127.0.0.1:0", &server_address])
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut first = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("is piped"));
    output.read_line(&mut first).expect("it prints a line");
    drop(output);
    let address = first.split([' ', ',']).nth(2).expect("prints its address");
    for _ in 0..3 {
        let mut client = Peer::new(TcpStream::connect(address).expect("tap accepts"));
        let mut server = Peer::new(server.accept().expect("tap connects").0);
        client.send("x");
        assert_eq!(server.bytes(1), b"x");
    }
    child.kill().expect("can be killed");
    child.wait().expect("ends");
}

#[test]
fn wrong_arguments_print_the_usage_and_end_with_status_2() {
    let binary = binary().display().to_string();
    for arguments in [&["4000"][..], &["--help"], &["a:1", "b:2", "c:3"]] {
        let (status, output, errors) = run(&binary, arguments, "");
        assert_eq!((status, output.as_str()), (2, ""), "{arguments:?}");
        assert!(errors.starts_with("usage: tap"), "{errors}");
    }
}

#[test]
fn an_address_in_use_causes_one_sentence_and_status_1() {
    let other = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let taken = other.local_addr().expect("is bound").to_string();
    let (status, output, errors) = run(&binary().display().to_string(), &[&taken], "");
    assert_eq!((status, output.as_str()), (1, ""));
    let sentence = format!("tap: cannot listen on {taken}: ");
    assert!(errors.starts_with(&sentence), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}
