//! The group chat server (tutorial §5.4). Two engines serve one [`Group`](group::Group).
//!
#![doc = include_str!("../../docs/rustdoc-links-5.txt")]
#![doc = include_str!("../../docs/rustdoc-links.txt")]
#![doc = include_str!("../../docs/threads-or-polling.md")]

pub mod group;
pub mod polling;
pub mod room;
pub mod tape;
pub mod threads;

use std::io;
use std::net::TcpListener;

/// Decides which socket is read, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A thread for each member, and one thread for the group: [`threads`].
    Threads,
    /// One thread for everyone, with chapter 2's readiness loop: [`polling`].
    Polling,
}

/// Serves the group, forever, and logs a line for each member that joins or is lost.
///
/// # Errors
///
/// The address of the listener cannot be read, or the engine cannot be started.
pub fn serve(listener: TcpListener, engine: Engine, log: fn(&str)) -> io::Result<()> {
    log(&format!("listening on {}", listener.local_addr()?));
    match engine {
        Engine::Threads => threads::serve(listener, log),
        Engine::Polling => polling::serve(&listener, log),
    }
}
