//! The steps of chapter 5 under attack: each holds or falls in the rows that its page says.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::{env, fs};

use support::{Client, Server, run};

const BINARY: &str = env!("CARGO_BIN_EXE_stage5-group");

/// The servers that are attacked. The page of each says what `attack` must print about it.
const SERVERS: [&str; 5] = [
    "step1_naive",
    "step2_messages",
    "step3_room",
    "threads",
    "polling",
];

/// The block after `<!-- scoreboard: SERVERS -->` on a page of the book.
fn scoreboard(server: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    for page in fs::read_dir(docs).expect("is a folder") {
        let page = page.expect("can be read").path();
        let text = fs::read_to_string(&page).unwrap_or_default();
        for after in text.split("<!-- scoreboard: ").skip(1) {
            if let Some((servers, block)) = after.split_once(" -->\n```text\n")
                && servers.split(", ").any(|name| name == server)
            {
                let (block, _) = block.split_once("```").expect("the block ends");
                return block.to_owned();
            }
        }
    }
    panic!("no page shows the scoreboard of {server}");
}

/// A program of the folder `examples`, which `cargo test` builds beside the tests. If it runs only
/// the tests of this file, it does not build them again: `cargo build --examples` does.
fn example(name: &str) -> String {
    let test = env::current_exe().expect("the test is a file");
    let folder = test
        .ancestors()
        .nth(2)
        .expect("the test is in target/debug/deps");
    let mut path = PathBuf::from(folder);
    path.push("examples");
    path.push(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(path.exists(), "`cargo build --examples` makes {path:?}");
    path.into_os_string()
        .into_string()
        .expect("the path is text")
}

/// Runs the program, which opens more than 300 connections. Without `ulimit`, macOS allows only
/// 256.
///
/// This waits as long as the program runs, because on a slow machine the row `deaf` takes longer
/// than [`DEADLINE`](support::DEADLINE). The program has a time-out for each row.
fn attack(arguments: &[&str]) -> (i32, String, String) {
    let program = example("attack");
    let mut command;
    if cfg!(unix) {
        command = Command::new("sh");
        command.args(["-c", "ulimit -n 1024 && exec \"$@\"", "sh", &program]);
    } else {
        command = Command::new(program);
    }
    let ended = command.args(arguments).output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("is UTF-8");
    let status = ended.status.code().expect("no signal ended it");
    (status, text(ended.stdout), text(ended.stderr))
}

/// The rows and their verdicts, as `attack` prints them.
fn verdicts(output: &str) -> Vec<(&str, &str)> {
    let rows = output
        .lines()
        .map(|line| (line.split(' ').next(), line.rsplit(' ').next()));
    rows.filter_map(|(name, verdict)| Some((name?, verdict?)))
        .filter(|(name, verdict)| !name.is_empty() && ["held", "FELL", "skipped"].contains(verdict))
        .collect()
}

/// Attacks a server with every row, and compares the verdicts with its page.
fn check(server: &str) {
    let step = server.starts_with("step").then(|| example(server));
    let (status, output, errors) = match &step {
        Some(step) => attack(&["--", step, "127.0.0.1:0"]),
        None => attack(&["--", BINARY, "server", "127.0.0.1:0", "--engine", server]),
    };
    let (seen, page) = (verdicts(&output), scoreboard(server));
    let expected = verdicts(&page).into_iter().enumerate();
    let expected = expected.map(|(index, (row, verdict))| {
        // Only Linux has everything that every row needs, for example `ulimit`.
        let may_skip = !cfg!(target_os = "linux") && seen.get(index) == Some(&(row, "skipped"));
        (row, if may_skip { "skipped" } else { verdict })
    });
    let expected: Vec<(&str, &str)> = expected.collect();
    assert_eq!(seen, expected, "{server}: {output}{errors}");
    let all_held = expected.iter().all(|(_, verdict)| *verdict == "held");
    assert_eq!(status, i32::from(!all_held), "{server}: {output}{errors}");
}

/// All servers are attacked at the same time, because an attack spends most of its time waiting.
#[test]
fn every_server_holds_and_falls_as_its_page_says() {
    thread::scope(|scope| {
        for server in SERVERS {
            scope.spawn(move || check(server));
        }
    });
}

/// Two clients that type one at a time can chat on each step.
#[test]
fn our_client_can_join_every_step() {
    for step in ["step1_naive", "step2_messages", "step3_room"] {
        let mut command = Command::new(example(step));
        command.arg("127.0.0.1:0");
        let server = Server::spawn(command);
        let mut ann = Client::start(BINARY, server.address, &["--name", "ann", "--plain"]);
        ann.line_with("ann"); // the server has taken its hello
        ann.type_in("is anyone here?\n");
        ann.line_with("]ann: is anyone here?");
        let mut bob = Client::start(BINARY, server.address, &["--name", "bob", "--plain"]);
        bob.line_with("bob");
        bob.type_in("I am\n");
        ann.line_with("]bob: I am");
        bob.end_input();
        let (status, ..) = bob.wait();
        assert_eq!(status, 0, "{step}");
    }
}

#[test]
fn an_address_in_use_causes_one_sentence_and_status_1() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = taken.local_addr().expect("is bound").to_string();
    for step in ["step1_naive", "step2_messages", "step3_room"] {
        let (status, output, errors) = run(&example(step), &[&address], "");
        assert_eq!((status, output.as_str()), (1, ""), "{step}");
        assert!(errors.starts_with("the server ended: "), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[test]
fn the_list_names_every_row() {
    let (status, output, _) = attack(&["--list"]);
    assert_eq!(status, 0);
    let listed = output.lines().filter_map(|line| line.split(' ').next());
    let listed: Vec<&str> = listed.collect();
    let page = scoreboard("polling");
    let rows: Vec<&str> = verdicts(&page).into_iter().map(|(row, _)| row).collect();
    assert_eq!(listed, rows);
}

#[test]
fn wrong_arguments_are_refused() {
    for (arguments, sentence) in [
        (&["no-such-row"][..], "there is no row no-such-row"),
        (&["localhost:1", "localhost:2"], "name only one server"),
        (&["localhost:1", "--", "server"], "name only one server"),
    ] {
        let (status, output, errors) = attack(arguments);
        assert_eq!((status, output.as_str()), (2, ""), "{arguments:?}");
        assert!(errors.contains(sentence), "{errors}");
    }
}

#[test]
fn a_server_that_cannot_be_reached_is_not_reported_as_fallen() {
    let unused = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let unused = unused.expect("there is a port").to_string();
    for (arguments, sentence) in [
        (&[unused.as_str()][..], "cannot connect to "),
        (&["no such host:1"], "cannot connect to no such host:1: "),
        (
            &["--", "./no such command"],
            "cannot start `./no such command`: ",
        ),
        (
            &["--", BINARY, "--help"],
            "the command does not print `listening on HOST:PORT`",
        ),
    ] {
        let (status, output, errors) = attack(arguments);
        assert_eq!((status, output.as_str()), (1, ""), "{arguments:?}");
        assert!(errors.contains(sentence), "{errors}");
    }
}

/// Starts a server like the tutorial's. It has one thread, treats each `read` as one message, and
/// ends at the first one that is not a message.
fn fragile_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("is bound");
    thread::spawn(move || {
        listener.set_nonblocking(true).expect("is possible");
        let mut members: Vec<TcpStream> = Vec::new();
        loop {
            if let Ok((stream, _)) = listener.accept() {
                stream.set_nonblocking(true).expect("is possible");
                members.push(stream);
            }
            let mut chunk = [0; 1024];
            for index in 0..members.len() {
                let Ok(length @ 1..) = (&members[index]).read(&mut chunk) else {
                    continue;
                };
                let text = String::from_utf8_lossy(&chunk[..length]);
                let Some((_, text)) = text.split_once("\"msg\": \"") else {
                    return;
                };
                let line = text.replace("\\u000a\"}", "\n");
                for mut member in &members {
                    let _ = member.write_all(line.as_bytes());
                }
            }
            thread::yield_now();
        }
    });
    address
}

#[test]
fn a_running_server_that_falls_ends_the_attack() {
    let address = fragile_server().to_string();
    let (status, output, errors) = attack(&["glued", "split", "long", &address]);
    assert_eq!((status, errors.as_str()), (1, ""), "{output}");
    assert_eq!(verdicts(&output), [("split", "FELL")], "{output}");
    assert!(output.contains("The server no longer answers"), "{output}");
    let count = output.lines().last();
    assert_eq!(count, Some("0 held, 1 fell, 0 skipped, 2 not run"));
}

#[test]
fn a_running_server_that_holds_is_attacked_with_every_row_asked_for() {
    let server = Server::start(BINARY, &[]);
    let address = server.address.to_string();
    let (status, output, _) = attack(&["split", "steal", &address]);
    assert_eq!(verdicts(&output), [("split", "held"), ("steal", "held")]);
    assert_eq!(status, 0);
    let (status, output, _) = attack(&["full", &address]);
    assert_eq!(verdicts(&output), [("full", "skipped")], "{output}");
    assert_eq!(status, 1, "a row that was skipped has not held");
}

#[test]
fn a_running_server_that_never_answers_falls_and_ends_the_attack() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("is bound").to_string();
    let (status, output, _) = attack(&["split", "glued", &address]);
    assert_eq!(status, 1);
    assert_eq!(verdicts(&output), [("split", "FELL")], "{output}");
    assert!(output.contains("ann did not hear itself"), "{output}");
}

/// All rows use the same port, so each server must have ended before the next can start.
#[test]
fn every_server_ends_before_the_next_row_starts() {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = address.expect("there is a port").to_string();
    for step in ["step1_naive", "step2_messages"] {
        let (_, output, errors) = attack(&["split", "forge", "--", &example(step), &address]);
        let rows: Vec<&str> = verdicts(&output).iter().map(|row| row.0).collect();
        assert_eq!((rows, errors.as_str()), (vec!["split", "forge"], ""));
    }
    TcpListener::bind(&address).expect("the port is free again");
}
