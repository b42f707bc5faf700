//! Chapter 4: tests of the client, which receives on its own thread.

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use support::{Client, Peer, Server, run};

const BINARY: &str = env!("CARGO_BIN_EXE_stage4-threads");

/// The chapter's client, connected to a server that the test plays.
fn start_client() -> (Client, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("is bound");
    let client = Client::start(BINARY, address, &[]);
    let (stream, _) = listener.accept().expect("the client connects");
    (client, Peer::new(stream))
}

#[test]
fn the_client_shows_what_arrives_while_the_user_is_typing() {
    let (mut client, mut server) = start_client();
    client.type_in("half a li");
    server.send("unasked\n");
    assert_eq!(client.line(), "unasked");
    client.type_in("ne\n");
    assert_eq!(server.line(), "half a line");
}

#[test]
fn the_client_sends_each_line_with_its_newline_so_that_each_answer_is_a_line() {
    let server = Server::start(BINARY, &[]);
    let mut client = Client::start(BINARY, server.address, &[]);
    for text in ["hi", "业冰蝶"] {
        client.type_in(&format!("{text}\n"));
        let line = client.line();
        assert!(
            line.starts_with('[') && line.ends_with(&format!("] {text}")),
            "{line}"
        );
    }
}

#[test]
fn the_client_shows_what_the_server_sends_after_the_end_of_input() {
    let (mut client, mut server) = start_client();
    client.type_in("bye\n");
    client.end_input();
    assert_eq!(server.rest(), b"bye\n");
    server.send("good bye\n");
    drop(server);
    let (status, output, errors) = client.wait();
    assert_eq!(
        (status, output, errors),
        (0, vec!["good bye".to_owned()], vec![])
    );
}

#[test]
fn a_client_that_loses_its_server_ends_with_one_sentence_although_the_user_types_nothing() {
    let (client, server) = start_client();
    drop(server);
    let (status, output, errors) = client.wait();
    assert_eq!(
        (status, output.len(), errors.len()),
        (1, 0, 1),
        "{errors:?}"
    );
}

#[test]
fn a_character_split_over_two_reads_is_shown_whole() {
    let (client, mut server) = start_client();
    let (first, second) = "line\n业冰蝶\n".as_bytes().split_at(7);
    server.send(first);
    // The client has read what it shows. So the rest arrives in another read.
    assert_eq!(client.line(), "line");
    server.send(second);
    assert_eq!(client.line(), "业冰蝶");
}

#[test]
fn a_character_that_could_control_the_terminal_is_shown_as_a_replacement() {
    let (client, mut server) = start_client();
    server.send("\x1b[2Jred\u{202E}\u{9b}31m\n");
    assert_eq!(client.line(), "\u{FFFD}[2Jred\u{FFFD}\u{FFFD}31m");
    server.send(b"\xff\xc3(\n");
    assert_eq!(client.line(), "\u{FFFD}\u{FFFD}(");
}

/// The test needs a shell, for the pipe.
#[cfg(unix)]
#[test]
fn a_closed_standard_output_causes_one_sentence_and_no_panic() {
    let mut command = Command::new("sh");
    let (status, output, errors) = {
        let server = Server::start(BINARY, &[]);
        let script = format!(
            "yes | {{ {BINARY} client {}; echo status $? >&2; }} | head -n 1",
            server.address
        );
        command.args(["-c", &script]);
        Client::spawn(command).wait()
    };
    assert_eq!((status, output.len()), (0, 1));
    assert!(
        errors[0].starts_with("stage4-threads: ") && errors[1] == "status 1",
        "{errors:?}"
    );
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
    // This is more than a pipe holds.
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
        errors.starts_with("stage4-threads: cannot send: "),
        "{errors}"
    );
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert_eq!(child.wait().expect("ends").code(), Some(1));
}

/// `script` creates the terminal. Its options differ on systems other than Linux.
#[cfg(target_os = "linux")]
#[test]
fn a_user_who_closes_the_window_twice_does_not_wait_for_the_server() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("is bound");
    let command = format!("stty rows 24 cols 80; exec {BINARY} client {address}");
    let mut child = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env("TERM", "xterm-256color")
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script of util-linux is there");
    let mut server = Peer::new(listener.accept().expect("the client connects").0);
    let mut keyboard = child.stdin.take().expect("is piped");
    keyboard.write_all(b"bye\r").expect("it reads");
    assert_eq!(server.line(), "bye");
    keyboard.write_all(b"\x03").expect("it reads");
    // The server reads the end of file, and does not close.
    assert_eq!(server.rest(), b"");
    keyboard.write_all(b"\x03").expect("it reads");
    let mut screen = String::new();
    let mut stdout = child.stdout.take().expect("is piped");
    stdout.read_to_string(&mut screen).expect("is text");
    assert!(
        screen.ends_with("\x1b[?1049l"),
        "the client prints nothing after the window"
    );
    assert_eq!(child.wait().expect("ends").code(), Some(0));
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
    assert!(output.ends_with("] yours"), "{output}");
    host.end_input();
    assert_eq!(host.wait().0, 0);
}

#[test]
fn a_failure_prints_one_sentence_and_ends_with_status_1() {
    let (status, output, errors) = run(BINARY, &["client", "127.0.0.1:1"], "");
    assert_eq!((status, output.as_str()), (1, ""));
    assert!(
        errors.contains("cannot connect to") && errors.lines().count() == 1,
        "{errors}"
    );
    assert_eq!(run(BINARY, &["servers"], "").0, 2);
    assert_eq!(run(BINARY, &["--help"], "").0, 0);
}
