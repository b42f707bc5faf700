//! Chapter 5: what its exercises ask for. A test is ignored until its exercise is solved; this runs
//! the first: `cargo test -p stage5-group exercise_1 -- --ignored`.

mod support;

use stage5_group::limits::MAX_NOTICES;
use stage5_group::message::Message;
use support::{Client, Peer, Server};

const BINARY: &str = env!("CARGO_BIN_EXE_stage5-group");

/// The stamp of a line, `[2019-03-21 17:30:00]`, in bytes.
const STAMP: usize = 21;

/// What the room does it must do with either engine.
const ENGINES: [&str; 2] = ["threads", "polling"];

fn server(engine: &str) -> Server {
    Server::start(BINARY, &["--engine", engine])
}

fn say(peer: &mut Peer, name: &str, text: &str) {
    let (name, text) = (name.to_owned(), format!("{text}\n"));
    peer.send(Message { name, text }.encode());
}

/// Connects, says hello, and waits until everyone knows.
fn join(server: &Server, name: &str) -> Peer {
    let mut peer = server.connect();
    say(&mut peer, name, "");
    peer.line_with(&format!("] {name} joined"));
    peer
}

/// The next line that tells of no joining and no leaving, without its stamp.
fn line(peer: &mut Peer) -> String {
    loop {
        let line = peer.line();
        if !line.ends_with(" here") {
            return line.get(STAMP..).unwrap_or(&line).to_owned();
        }
    }
}

#[test]
#[ignore = "exercise 1 of chapter 5"]
fn exercise_1_me_tells_everyone_what_somebody_does() {
    for engine in ENGINES {
        let server = server(engine);
        let mut alice = join(&server, "alice");
        let mut bob = join(&server, "bob");
        say(&mut alice, "alice", "/me waves at everyone");
        assert_eq!(line(&mut bob), " * alice waves at everyone", "{engine}");
        assert_eq!(line(&mut alice), " * alice waves at everyone", "{engine}");
        say(&mut alice, "alice", " /me is how it is done");
        assert_eq!(line(&mut bob), "alice:  /me is how it is done", "{engine}");
        say(&mut alice, "alice", "/me");
        assert_eq!(line(&mut bob), "alice: /me", "{engine}");
    }
}

#[test]
#[ignore = "exercise 1 of chapter 5"]
fn exercise_1_me_does_not_help_to_write_in_anothers_name() {
    let server = server("threads");
    let mut alice = join(&server, "alice");
    say(
        &mut alice,
        "alice",
        "/me waves\n[2019-03-21 17:30:00]bob: \x1b[2Jhi",
    );
    assert_eq!(line(&mut alice), " * alice waves");
    assert_eq!(
        alice.line(),
        "    [2019-03-21 17:30:00]bob: \u{FFFD}[2Jhi",
        "a second line begins with four blanks and cannot command the terminal, as in what is said"
    );
    let mut eve = server.connect();
    say(&mut eve, "* * alice owes eve money and", "");
    assert_eq!(
        eve.line().get(STAMP..),
        Some(" alice owes eve money and joined, 2 here"),
        "no notice of a name reads as if somebody did something"
    );
}

#[test]
#[ignore = "exercise 1 of chapter 5"]
fn exercise_1_the_client_knows_me() {
    let server = server("threads");
    let mut client = Client::start(BINARY, server.address, &["--name", "alice"]);
    client.line_with("alice joined");
    client.type_in("/me waves\n");
    let line = client.line();
    assert!(
        line.ends_with("] * alice waves"),
        "the client shows {line:?}"
    );
    client.type_in("/me\n");
    client.line_with("alice: /me");
    client.type_in("/help\n");
    client.line_with("/me");
}

#[test]
#[ignore = "exercise 2 of chapter 5"]
fn exercise_2_a_message_for_one_is_heard_by_that_one() {
    for engine in ENGINES {
        let server = server(engine);
        let mut alice = join(&server, "alice");
        let mut bob = join(&server, "业冰蝶");
        let mut carol = join(&server, "carol");
        say(&mut alice, "alice", "/msg 业冰蝶 psst\nit is me");
        assert_eq!(line(&mut alice), " you to 业冰蝶: psst", "{engine}: echo");
        assert_eq!(alice.line(), "    it is me", "{engine}: echo");
        say(&mut alice, "alice", "aloud");
        assert_eq!(line(&mut bob), " alice to you: psst", "{engine}");
        assert_eq!(bob.line(), "    it is me", "{engine}");
        assert_eq!(line(&mut bob), "alice: aloud", "{engine}");
        assert_eq!(line(&mut carol), "alice: aloud", "{engine}: nothing before");
    }
}

#[test]
#[ignore = "exercise 2 of chapter 5"]
fn exercise_2_names_have_blanks_and_may_be_nobodys() {
    let server = server("threads");
    let mut alice = join(&server, "alice");
    let mut short = join(&server, "new");
    let mut long = join(&server, "new name");
    say(&mut alice, "alice", "/msg new name hi");
    assert_eq!(line(&mut long), " alice to you: hi");
    assert_eq!(line(&mut alice), " you to new name: hi");
    say(&mut alice, "alice", "/msg new hi");
    assert_eq!(line(&mut short), " alice to you: hi");
    assert_eq!(line(&mut alice), " you to new: hi");
    say(&mut alice, "alice", "/msg nobody hi");
    let told = line(&mut alice);
    assert!(
        told.starts_with(' '),
        "a notice that nobody has this name, not {told:?}"
    );
    say(&mut alice, "alice", "aloud");
    assert_eq!(line(&mut short), "alice: aloud", "nothing before it");
}

#[test]
#[ignore = "exercise 2 of chapter 5"]
fn exercise_2_the_client_knows_msg() {
    let server = server("threads");
    let mut client = Client::start(BINARY, server.address, &["--name", "alice"]);
    client.line_with("alice joined");
    client.type_in("/msg alice note to self\n");
    let line = client.line();
    assert!(
        line.contains("] alice to you: ") || line.contains("] you to alice: "),
        "the client shows {line:?}"
    );
}

#[test]
#[ignore = "exercise 3 of chapter 5"]
fn exercise_3_last_gives_the_last_twenty_lines_to_the_one_who_asks() {
    for engine in ENGINES {
        let server = server(engine);
        let mut early = join(&server, "early");
        let mut said: Vec<String> = Vec::new();
        for number in 0..25 {
            say(&mut early, "early", &format!("line {number}"));
            said.push(early.line_with("early: "));
        }
        let mut late = join(&server, "late");
        say(&mut late, "late", "/last");
        for (number, expected) in said[5..].iter().enumerate() {
            let got = late.line();
            assert_eq!(&got, expected, "{engine}: line {number} of the answer");
        }
        say(&mut late, "late", "thanks");
        assert_eq!(line(&mut late), "late: thanks", "{engine}: 20, no more");
        assert_eq!(line(&mut early), "late: thanks", "{engine}: only who asks");
    }
}

#[test]
#[ignore = "exercise 3 of chapter 5"]
fn exercise_3_the_answer_has_a_limit() {
    let server = server("threads");
    let mut early = join(&server, "early");
    let long = "x".repeat(8 * 1024);
    for number in 0..20 {
        say(&mut early, "early", &format!("{number} {long}"));
        early.line_with("early: ");
    }
    let mut late = join(&server, "late");
    say(&mut late, "late", "/last");
    let (mut length, mut last) = (0, false);
    while !last {
        let line = line(&mut late);
        length += STAMP + line.len() + 1;
        last = line.starts_with("early: 19 ");
    }
    assert!(length <= MAX_NOTICES, "the answer has {length} bytes");
}

#[test]
#[ignore = "exercise 3 of chapter 5"]
fn exercise_3_the_client_knows_last() {
    let server = server("threads");
    let mut client = Client::start(BINARY, server.address, &["--name", "alice"]);
    client.type_in("hello\n");
    client.line_with("alice: hello");
    client.type_in("/last\n");
    let line = client.line();
    assert!(line.ends_with("]alice: hello"), "the client shows {line:?}");
}

#[test]
#[ignore = "exercise 4 of chapter 5"]
fn exercise_4_what_is_said_in_a_room_stays_in_the_room() {
    for engine in ENGINES {
        let server = server(engine);
        let mut alice = join(&server, "alice");
        let mut bob = join(&server, "bob");
        let mut carol = join(&server, "carol");
        say(&mut alice, "alice", "/join kitchen");
        let told = " alice is now in kitchen";
        for peer in [&mut alice, &mut bob, &mut carol] {
            assert_eq!(line(peer), told, "{engine}: everyone is told");
        }
        say(&mut bob, "bob", "/join kitchen");
        for peer in [&mut alice, &mut bob, &mut carol] {
            assert_eq!(line(peer), " bob is now in kitchen", "{engine}");
        }
        say(&mut carol, "carol", "outside");
        assert_eq!(line(&mut carol), "carol: outside", "{engine}");
        say(&mut alice, "alice", "inside");
        for peer in [&mut alice, &mut bob] {
            assert_eq!(line(peer), "alice: inside", "{engine}: not what carol said");
        }
        // Back to where everybody begins.
        say(&mut alice, "alice", "/join");
        assert_eq!(
            line(&mut carol),
            " alice is back",
            "{engine}: carol has heard nothing of the kitchen"
        );
        say(&mut alice, "alice", "out again");
        assert_eq!(line(&mut carol), "alice: out again", "{engine}");
        say(&mut bob, "bob", "alone");
        assert_eq!(line(&mut bob), " alice is back", "{engine}");
        assert_eq!(line(&mut bob), "bob: alone", "{engine}");
    }
}

#[test]
#[ignore = "exercise 4 of chapter 5"]
fn exercise_4_a_room_has_a_presentable_name() {
    let server = server("threads");
    let mut alice = join(&server, "alice");
    say(&mut alice, "alice", "/join  a\nb\x1b[2J: c ");
    assert_eq!(
        line(&mut alice),
        " alice is now in a b\u{FFFD}[2J_ c",
        "the name of a room is shown like that of a member"
    );
}

#[test]
#[ignore = "exercise 4 of chapter 5"]
fn exercise_4_the_client_knows_join() {
    let server = server("threads");
    let mut client = Client::start(BINARY, server.address, &["--name", "alice"]);
    client.line_with("alice joined");
    client.type_in("/join kitchen\n");
    let line = client.line();
    assert!(
        line.ends_with("] alice is now in kitchen"),
        "the client shows {line:?}"
    );
}
