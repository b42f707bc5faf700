//! Attacks a group chat server, and prints which attacks it held and to which it fell.
//!
//! ```text
//! cargo run -p stage5-group --example attack -- [ROW…]               our server, both engines
//! cargo run -p stage5-group --example attack -- [ROW…] -- COMMAND…   starts it afresh for each row
//! cargo run -p stage5-group --example attack -- [ROW…] HOST:PORT     a server that is running
//! cargo run -p stage5-group --example attack -- --list               the rows
//! ```
//!
//! The server of a command says `listening on HOST:PORT` in its first line. The exit status is 0
//! only if every row held.
//!
//! In each row two members, ann and bob, behave well. Each line that is said ends with its number.
//! Ann and bob must hear every line once, whole and in order, during the attack and after it.
//!
//! To add a row, write a function, and add it to [`ROWS`]:
//!
//! ```text
//! /// Spaces before a message are nothing.
//! fn spaces(group: &mut Group) -> Seen {
//!     let eve = group.join("eve")?;                // connects, and hears itself
//!     let message = group.message("eve", "hello"); // what ann and bob must hear next
//!     eve.send(" ".repeat(1000) + &message)?;
//!     group.hear()?;                               // they hear it, or the row ends: FELL
//!     Ok("1,000 of them were skipped".to_owned())  // what was seen
//! }
//! ```

mod group;
mod scoreboard;

use std::env;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use group::{
    Group, Member, PATIENCE, Seen, author, capacity, fell, is_command, number, pair, skipped,
};
use scoreboard::{OPEN_FILES, Row};

/// How many bytes are said to members that do not read: our server drops a member before that.
const TALK: usize = 17_000_000;

/// From mild to deadly.
const ROWS: [Row; 13] = [
    ("split", "a message comes one byte at a time", split),
    ("glued", "two messages come together", glued),
    ("long", "a message of 5,000 Chinese characters", long),
    ("rubbish", "members send what is no message", rubbish),
    ("forge", "a text looks like a line of ann", forge),
    ("steal", "a member takes the name of ann", steal),
    ("escapes", "a text holds commands for the terminal", escapes),
    ("resets", "100 members reset their connection", resets),
    ("dribble", "300 members send a byte now and then", dribble),
    ("endless", "a message has no end", endless),
    ("half-close", "a member half-closes, then reads", half_close),
    ("deaf", "5 members never read", deaf),
    ("full", "more connections than open files", full),
];

fn main() -> ExitCode {
    let words = env::args_os().skip(1);
    let words: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    scoreboard::main(&ROWS, &words)
}

fn split(group: &mut Group) -> Seen {
    let eve = group.join("eve")?;
    let message = group.message("eve", "一 byte at a time");
    for byte in message.bytes() {
        eve.send([byte])?;
        thread::sleep(Duration::from_millis(5)); // so that each arrives alone
    }
    group.hear_next(&eve)?;
    Ok(format!("{} pieces became one line", message.len()))
}

fn glued(group: &mut Group) -> Seen {
    let eve = group.join("eve")?;
    eve.send(group.message("eve", "first") + &group.message("eve", "second"))?;
    group.hear_next(&eve)?;
    Ok("both were heard, in order".to_owned())
}

fn long(group: &mut Group) -> Seen {
    let eve = group.join("eve")?;
    eve.send(group.message("eve", &"长".repeat(5_000)))?;
    group.hear_next(&eve)?;
    Ok("all of it was heard".to_owned())
}

fn rubbish(group: &mut Group) -> Seen {
    // A parser that recurses without a limit overflows its stack.
    let nested = format!("{{\"RUBBISH\": {}\n", "[".repeat(60_000));
    let kinds: [&[u8]; 6] = [
        b"GET /RUBBISH HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"{\"name\": \"eve\", \"msg\": \"RUBBISH\xff\xc0\x80\"}\n",
        b"{\"name\": \"eve\", \"msg\": [\"RUBBISH\"]}\n{\"name\": \"RUBBISH\"}\n",
        b"}]}{\"\\ud800RUBBISH\\u12\n\0\n\"",
        nested.as_bytes(),
        &[b'x'; 1_000_000],
    ];
    for bytes in kinds {
        let mut eve = group.join("eve")?;
        let _ = eve.send(bytes); // it may be cut off before it has sent everything
        let _ = eve.stream.shutdown(Shutdown::Write);
        if !eve.has_ended(PATIENCE) {
            return fell("a member sent its end of file, and the server did not close");
        }
        group.chat()?;
    }
    group.nobody_reads(|line| line.contains("RUBBISH"))?;
    Ok(format!("{} kinds of it disturbed nobody", kinds.len()))
}

fn forge(group: &mut Group) -> Seen {
    let eve = group.join("eve")?;
    let ann = group.witnesses[0].shown.clone();
    let line = format!("[2019-03-21 17:30:00]{ann}: I owe eve 100");
    group.say(&eve, "eve", &format!("hi\n{line}"))?;
    group.say(&eve, "eve", &format!("hi\r\n{line}"))?;
    group.say(&eve, &format!("eve\n{line}"), "newline in the name")?;
    group.say(&eve, &format!("{ann}: I owe eve 100"), "colon in the name")?;
    group.say(&eve, &format!(" {ann} left, I owe eve 100"), "a notice")?;
    group.nobody_reads(|line| {
        let author = author(line).unwrap_or("");
        let is_hers = number(line).is_some() && line.contains("I owe eve");
        is_hers && (author == ann || author.starts_with(' ')) // a notice begins with a space
    })?;
    Ok("5 tries, and no line looked like ann's".to_owned())
}

fn steal(group: &mut Group) -> Seen {
    let eve = group.join("eve")?;
    let ann = group.witnesses[0].shown.clone();
    for unseen in ["", " ", "\u{200B}"] {
        group.say(&eve, &format!("{ann}{unseen}"), "I am ann")?;
    }
    group.nobody_reads(|line| {
        let author = author(line).unwrap_or("");
        line.contains("I am ann") && author.trim_matches(['\u{200B}', ' ']) == ann
    })?;
    Ok("the thief was shown under another name".to_owned())
}

fn escapes(group: &mut Group) -> Seen {
    let eve = group.join("eve")?;
    let junk = "\x1b]0;title\x07 \x1b[2J \u{9b}31m \u{202e} \r \x08 \0";
    group.say(&eve, "eve", junk)?;
    group.say(&eve, junk, "in the name")?;
    group.nobody_reads(|line| line.contains(is_command))?;
    Ok("no command reached a terminal".to_owned())
}

fn resets(group: &mut Group) -> Seen {
    // To close a socket with unread bytes is to reset its connection, on most systems.
    let (near, mut far) = pair().map_err(skipped)?;
    far.write_all(b"x").map_err(skipped)?;
    near.peek(&mut [0]).map_err(skipped)?;
    drop(near);
    if far.read(&mut [0]).is_ok() {
        return Err(skipped("this system does not reset such a connection"));
    }
    for number in 0..100 {
        let member = group.join(&format!("member {number}"))?;
        member.send(["", "{\"name\": \"half"][number % 2])?;
        group.chat()?;
        if !matches!(member.stream.peek(&mut [0]), Ok(1)) {
            return fell("a member did not hear what the others heard");
        }
    }
    Ok("the others heard every line".to_owned())
}

fn dribble(group: &mut Group) -> Seen {
    let members = (0..300).map(|number| group.join(&format!("member {number}")));
    let members = members.collect::<Seen<Vec<Member>>>()?;
    for byte in "{\"name\": \"dribble".bytes() {
        members.iter().try_for_each(|member| member.send([byte]))?;
        group.chat()?;
    }
    Ok("nobody waited for them".to_owned())
}

fn endless(group: &mut Group) -> Seen {
    let mut eve = group.join("eve")?;
    eve.send("{\"name\": \"eve\", \"msg\": \"")?;
    for _ in 0..16 {
        let sent = eve.send(vec![b'x'; 1_000_000]);
        group.chat()?;
        if sent.is_err() || eve.has_ended(Duration::from_millis(1)) {
            break;
        }
    }
    match eve.has_ended(PATIENCE) {
        true => Ok("the server ended the connection".to_owned()),
        false => fell("16 MB of it, and the server still did not end it"),
    }
}

fn half_close(group: &mut Group) -> Seen {
    let talk = TALK / 2;
    capacity(talk)?;
    let mut eve = group.join("eve")?;
    // A server that waits for eve is for the row `deaf`. Here she then reads.
    group.talk(talk, |said| eve.hear(said, PATIENCE).map(drop))?;
    group.say(&eve, "eve", "last words")?;
    let _ = eve.stream.shutdown(Shutdown::Write);
    if !eve.hear(&group.said, PATIENCE)? || !eve.has_ended(PATIENCE) {
        return fell(format!("it waited in vain after line {}", eve.next - 1));
    }
    let count = group.said.len();
    Ok(format!("it heard all {count} lines, then the end of file"))
}

fn deaf(group: &mut Group) -> Seen {
    let (said, held) = (TALK / 1_000_000, capacity(TALK)? / 1_000_000);
    let members = (0..5).map(|_| group.join("eve"));
    let _members = members.collect::<Seen<Vec<Member>>>()?;
    group.talk(TALK, |_| Ok(()))?;
    Ok(format!("{said} MB were heard, where a socket holds {held}"))
}

fn full(group: &mut Group) -> Seen {
    let mut crowd = Vec::new();
    // The backlog takes a connection before the server accepts it, until it is full, too.
    while crowd.len() < 2 * OPEN_FILES
        && let Ok(stream) = TcpStream::connect_timeout(&group.address, PATIENCE / 2)
    {
        crowd.push(stream);
    }
    group.chat()?;
    let count = crowd.len();
    if count < OPEN_FILES - 8 {
        return fell(format!("it accepted only {count} connections"));
    }
    drop(crowd);
    group.join("late")?;
    Ok("the talk went on, and afterwards a newcomer got in".to_owned())
}
