//! Chapter 5: tests of its exercises. Each test is ignored, because it fails until its exercise is
//! solved. This command runs the tests of exercise 1:
//! `cargo test -p stage5-group exercise_1 -- --ignored`.

mod support;

use stage5_group::limits::MAX_NOTICES;
use stage5_group::message::Message;
use support::{Client, Peer, Server};

const BINARY: &str = env!("CARGO_BIN_EXE_stage5-group");

/// The stamp of a line, `[2019-03-21 17:30:00]`, in bytes.
const STAMP: usize = 21;

/// The room must do the same with both engines.
const ENGINES: [&str; 2] = ["threads", "polling"];

fn server(engine: &str) -> Server {
    Server::start(BINARY, &["--engine", engine])
}

fn send(peer: &mut Peer, name: &str, text: &str) {
    let (name, text) = (name.to_owned(), format!("{text}\n"));
    peer.send(Message { name, text }.encode());
}

/// Connects, sends a hello, and waits for the notice.
fn join(server: &Server, name: &str) -> Peer {
    let mut peer = server.connect();
    send(&mut peer, name, "");
    peer.line_with(&format!("] {name} joined"));
    peer
}

/// The next line that is not a notice about joining or leaving, without its time.
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
fn exercise_1_me_shows_everyone_what_a_member_does() {
    for engine in ENGINES {
        let server = server(engine);
        let mut alice = join(&server, "alice");
        let mut bob = join(&server, "bob");
        send(&mut alice, "alice", "/me waves at everyone");
        assert_eq!(line(&mut bob), " * alice waves at everyone", "{engine}");
        assert_eq!(line(&mut alice), " * alice waves at everyone", "{engine}");
        send(&mut alice, "alice", " /me is how it is done");
        assert_eq!(line(&mut bob), "alice:  /me is how it is done", "{engine}");
        send(&mut alice, "alice", "/me");
        assert_eq!(line(&mut bob), "alice: /me", "{engine}");
    }
}

#[test]
#[ignore = "exercise 1 of chapter 5"]
fn exercise_1_me_cannot_forge_a_line_of_another_member() {
    let server = server("threads");
    let mut alice = join(&server, "alice");
    send(
        &mut alice,
        "alice",
        "/me waves\n[2019-03-21 17:30:00]bob: \x1b[2Jhi",
    );
    assert_eq!(line(&mut alice), " * alice waves");
    assert_eq!(
        alice.line(),
        "    [2019-03-21 17:30:00]bob: \u{FFFD}[2Jhi",
        "a further line begins with four spaces and contains no escape character"
    );
    let mut eve = server.connect();
    send(&mut eve, "* * alice owes eve money and", "");
    assert_eq!(
        eve.line().get(STAMP..),
        Some(" alice owes eve money and joined, 2 here"),
        "no notice about a name looks like an action"
    );
}

#[test]
#[ignore = "exercise 1 of chapter 5"]
fn exercise_1_the_client_sends_me_to_the_server() {
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
fn exercise_2_only_the_named_member_receives_the_text() {
    for engine in ENGINES {
        let server = server(engine);
        let mut alice = join(&server, "alice");
        let mut bob = join(&server, "业冰蝶");
        let mut carol = join(&server, "carol");
        send(&mut alice, "alice", "/msg 业冰蝶 psst\nit is me");
        assert_eq!(line(&mut alice), " you to 业冰蝶: psst", "{engine}: echo");
        assert_eq!(alice.line(), "    it is me", "{engine}: echo");
        send(&mut alice, "alice", "aloud");
        assert_eq!(line(&mut bob), " alice to you: psst", "{engine}");
        assert_eq!(bob.line(), "    it is me", "{engine}");
        assert_eq!(line(&mut bob), "alice: aloud", "{engine}");
        assert_eq!(line(&mut carol), "alice: aloud", "{engine}: nothing before");
    }
}

#[test]
#[ignore = "exercise 2 of chapter 5"]
fn exercise_2_a_name_may_contain_spaces_or_belong_to_no_member() {
    let server = server("threads");
    let mut alice = join(&server, "alice");
    let mut short = join(&server, "new");
    let mut long = join(&server, "new name");
    send(&mut alice, "alice", "/msg new name hi");
    assert_eq!(line(&mut long), " alice to you: hi");
    assert_eq!(line(&mut alice), " you to new name: hi");
    send(&mut alice, "alice", "/msg new hi");
    assert_eq!(line(&mut short), " alice to you: hi");
    assert_eq!(line(&mut alice), " you to new: hi");
    send(&mut alice, "alice", "/msg nobody hi");
    let told = line(&mut alice);
    assert!(
        told.starts_with(' '),
        "a notice that no member has this name, not {told:?}"
    );
    send(&mut alice, "alice", "aloud");
    assert_eq!(line(&mut short), "alice: aloud", "nothing before it");
}

#[test]
#[ignore = "exercise 2 of chapter 5"]
fn exercise_2_the_client_sends_msg_to_the_server() {
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
fn exercise_3_last_repeats_twenty_lines_to_the_member_that_asks() {
    for engine in ENGINES {
        let server = server(engine);
        let mut early = join(&server, "early");
        let mut lines: Vec<String> = Vec::new();
        for number in 0..25 {
            send(&mut early, "early", &format!("line {number}"));
            lines.push(early.line_with("early: "));
        }
        let mut late = join(&server, "late");
        send(&mut late, "late", "/last");
        for (number, expected) in lines[5..].iter().enumerate() {
            let received = late.line();
            assert_eq!(&received, expected, "{engine}: line {number} of the answer");
        }
        send(&mut late, "late", "thanks");
        assert_eq!(
            line(&mut late),
            "late: thanks",
            "{engine}: no more than 20 lines"
        );
        assert_eq!(
            line(&mut early),
            "late: thanks",
            "{engine}: only the member that asks receives the lines"
        );
    }
}

#[test]
#[ignore = "exercise 3 of chapter 5"]
fn exercise_3_the_answer_fits_into_the_limit_of_notices() {
    let server = server("threads");
    let mut early = join(&server, "early");
    let long = "x".repeat(8 * 1024);
    for number in 0..20 {
        send(&mut early, "early", &format!("{number} {long}"));
        early.line_with("early: ");
    }
    let mut late = join(&server, "late");
    send(&mut late, "late", "/last");
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
fn exercise_3_the_client_sends_last_to_the_server() {
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
fn exercise_4_only_members_of_a_room_receive_its_lines() {
    for engine in ENGINES {
        let server = server(engine);
        let mut alice = join(&server, "alice");
        let mut bob = join(&server, "bob");
        let mut carol = join(&server, "carol");
        send(&mut alice, "alice", "/join kitchen");
        let told = " alice is now in kitchen";
        for peer in [&mut alice, &mut bob, &mut carol] {
            assert_eq!(line(peer), told, "{engine}: everyone is told");
        }
        send(&mut bob, "bob", "/join kitchen");
        for peer in [&mut alice, &mut bob, &mut carol] {
            assert_eq!(line(peer), " bob is now in kitchen", "{engine}");
        }
        send(&mut carol, "carol", "outside");
        assert_eq!(line(&mut carol), "carol: outside", "{engine}");
        send(&mut alice, "alice", "inside");
        for peer in [&mut alice, &mut bob] {
            assert_eq!(line(peer), "alice: inside", "{engine}: no line of carol");
        }
        // Back to the room where everyone begins.
        send(&mut alice, "alice", "/join");
        assert_eq!(
            line(&mut carol),
            " alice is back",
            "{engine}: carol has received nothing from the kitchen"
        );
        send(&mut alice, "alice", "out again");
        assert_eq!(line(&mut carol), "alice: out again", "{engine}");
        send(&mut bob, "bob", "alone");
        assert_eq!(line(&mut bob), " alice is back", "{engine}");
        assert_eq!(line(&mut bob), "bob: alone", "{engine}");
    }
}

#[test]
#[ignore = "exercise 4 of chapter 5"]
fn exercise_4_the_name_of_a_room_is_sanitized() {
    let server = server("threads");
    let mut alice = join(&server, "alice");
    send(&mut alice, "alice", "/join  a\nb\x1b[2J: c ");
    assert_eq!(
        line(&mut alice),
        " alice is now in a b\u{FFFD}[2J_ c",
        "the name of a room is made safe like that of a member"
    );
}

#[test]
#[ignore = "exercise 4 of chapter 5"]
fn exercise_4_the_client_sends_join_to_the_server() {
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
