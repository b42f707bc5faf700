//! The group chat server (tutorial §5.4), with a choice of two engines for one room.

use std::io;
use std::net::TcpListener;

use crate::clock::DateTime;
use crate::{select, threads};

/// Who reads which socket when, and who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A thread for each member, and one for the room: [`threads`].
    Threads,
    /// One thread for all, by chapter 2's readiness loop: [`select`].
    Select,
}

/// Serves the group, for ever, and logs a line for each that comes.
///
/// # Errors
///
/// The listener is not bound, or the engine cannot be started.
pub fn serve(listener: TcpListener, engine: Engine, log: fn(&str)) -> io::Result<()> {
    log(&format!("listening on {}", listener.local_addr()?));
    match engine {
        Engine::Threads => threads::serve(listener, log),
        Engine::Select => select::serve(&listener, log),
    }
}

/// The time in the layout of the tutorial's `strftime`: `2019-03-21 17:30:00`.
#[must_use]
pub fn stamp(time: &DateTime) -> String {
    let DateTime {
        year,
        month,
        day,
        hour,
        minute,
        second,
        ..
    } = time;
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}
