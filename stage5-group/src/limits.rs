//! Every limit of the group chat, with its reason. A server without limits fails when it has used
//! up its memory, its descriptors or its threads.

use std::time::Duration;

/// The longest message on the wire, in bytes, with its newline: about thirty pages of text. A
/// member that sends more bytes without an end receives a notice and is disconnected.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// How deep arrays and objects in a message may be nested. The decoder calls itself for each level,
/// and the sender must not choose how often.
pub const MAX_NESTING: usize = 64;

/// The longest name, in characters, without the `#2` that the server may add.
pub const MAX_NAME: usize = 32;

/// The largest room in which joins, leaves and new names are announced. In a room of n members, n
/// joins would be announced to n members each.
pub const MAX_ANNOUNCED: usize = 100;

/// How many names `/who` lists, so that the answer is not a flood.
pub const MAX_LISTED: usize = 100;

/// The most bytes that the polling engine reads from one member in a pass, so that a member that
/// sends without a pause does not delay the others.
pub const MAX_READ_POLLING: usize = 8 * 1024;

/// The most bytes that a reader of the threads engine reads at once. What the reader decodes waits
/// in memory for the hub, and two bytes that are not a message become a refusal of 48 bytes.
pub const MAX_READ_THREADS: usize = 1024;

/// How many events may wait for the hub before the readers wait. If the number is larger, each
/// round of writing sends more lines. If it is smaller, the events need less memory: a message has
/// up to 64 KiB.
pub const INBOX: usize = 64;

/// How many bytes a member may be behind the others before it is disconnected. It can be up to a
/// quarter more, because the tape is cut in large pieces. All members that are behind share these
/// bytes. With half of this limit, the server under full load disconnected members that read as
/// fast as Python can.
pub const MAX_BEHIND: usize = 12 * 1024 * 1024;

/// How many bytes of notices may wait for one member. A member that asks questions and does not
/// read the answers receives no further answers.
pub const MAX_NOTICES: usize = 64 * 1024;

/// How many bytes may be said in one round before they are written to everyone. This is much less
/// than [`MAX_BEHIND`], so that a member that reads is not disconnected when many members send at
/// once.
pub const MAX_ROUND: usize = 1024 * 1024;

/// How long a member with unsent data may accept none of it. A machine that changes its network
/// needs a few seconds. After a minute the member has probably gone.
pub const MAX_STALL: Duration = Duration::from_secs(60);

/// How soon a member with a full socket is tried again. A shorter time makes more rounds of writing,
/// with fewer lines in each.
pub const RETRY: Duration = Duration::from_millis(1);

/// The most connections that the polling engine accepts in one pass: as many as can wait in the
/// listener's backlog, which std makes 128 long. A client that finds the backlog full tries again
/// after a second.
pub const MAX_ACCEPTS: usize = 128;

/// The most readers of the threads engine. On Linux a process usually has room for about 16,000
/// threads, because each needs four of its 65,530 memory mappings (`vm.max_map_count`). The limit is
/// lower, because std aborts the program if a new thread finds no room for its signal stack.
pub const MAX_READERS: usize = 15_000;

/// How many connections that found the group full stay open. The oldest of them is closed for a
/// further one. By then its client has had time to read why it was disconnected.
pub const MAX_TURNED_AWAY: usize = 64;

/// The pause after a failed `accept`. The usual cause, a full descriptor table, does not end
/// sooner.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long the log is quiet about a failure that it has reported.
pub const LOG_QUIET: Duration = Duration::from_secs(60);
