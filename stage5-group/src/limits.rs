//! Every limit of the chat, with its reason. A server that sets none has the limits of its memory.

use std::time::Duration;

/// The longest message on the wire, in bytes, its newline included. A member that sends more
/// without an end has no end in mind: a notice, and the door.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// The deepest nesting of arrays and objects in a message. The decoder recurses, and the sender
/// must not choose how deep.
pub const MAX_NESTING: usize = 64;

/// The longest name, in characters, before the server's `#2`.
pub const MAX_NAME: usize = 32;

/// The largest room in which joins and leaves are announced. In a larger one everybody coming in
/// would be told about everybody: n² lines.
pub const MAX_ANNOUNCED: usize = 100;

/// How many names `/who` lists: the answer must not be a flood.
pub const MAX_LISTED: usize = 100;

/// The most that the select engine reads from one member in a pass, in bytes, so that one who sends
/// without pause does not keep the others from getting in.
pub const READ: usize = 8 * 1024;

/// The same for a reader of the threads engine. What it has made of that waits with it for the hub,
/// and two bytes of rubbish make a refusal of 48.
pub const CHUNK: usize = 1024;

/// How far behind everybody else a member may fall, in bytes, before it is dropped; up to a quarter
/// more, for the tape is cut in pieces. All the members that are behind share these bytes.
pub const MAX_BEHIND: usize = 12 * 1024 * 1024;

/// How many bytes of notices may wait for one member: who asks faster than it reads is not answered.
pub const MAX_NOTICES: usize = 64 * 1024;

/// How much may be said in one round, in bytes, before all are written to: a good deal less than
/// [`MAX_BEHIND`], so that many who speak at once do not push off somebody who does read.
pub const ROUND: usize = 1024 * 1024;

/// How long a member that has something to read may take nothing of it.
pub const MAX_STALL: Duration = Duration::from_secs(60);

/// The most newcomers that the select engine accepts in one pass: as many as wait in the listener's
/// backlog, where std has room for 128. Who finds it full tries again only after a second.
pub const BACKLOG: usize = 128;

/// The most threads of the threads engine. Linux has room for some 16,000 in a process, since a
/// thread takes four of its 65,530 memory mappings (`vm.max_map_count`). It must not come to that,
/// for std aborts the program when a thread that has started finds no room for its signal stack.
pub const MAX_THREADS: usize = 15_000;

/// With how many threads the threads engine takes in nobody more: most of the rest is for couriers.
pub const MAX_READERS: usize = 8_100;

/// A rest after a failed `accept`: a full descriptor table does not empty itself any sooner.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long the log keeps silent about a trouble that it has told.
pub const REPEAT: Duration = Duration::from_secs(60);
