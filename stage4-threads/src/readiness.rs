//! When to try a socket again: what replaces the tutorial's `select()` (§2.1).
//!
//! POSIX `select` puts a program to sleep until one of its sockets is ready. std has no such call.
//! It has `set_nonblocking`: a socket that is not ready answers `WouldBlock` at once, so a loop can
//! try each socket in turn. This is **polling**. One question remains: how long should the loop
//! sleep when no socket was ready? Short sleeps keep a core busy. Long sleeps make clients wait.
//! Here a socket that has been quiet for a time `t` is tried again after `t / 16`. So a client that
//! was quiet for a time `t` waits at most `t / 16` for the next try, and never more than 64 ms.

use std::io::{self, ErrorKind};
use std::thread;
use std::time::{Duration, Instant};

/// The longest sleep. Sixteen tries per second and socket cost little: a thousand quiet sockets
/// need about a fiftieth of a core. After a second of silence, a person does not notice 64 ms.
const LONGEST: Duration = Duration::from_millis(64);

/// The shortest sleep. Linux wakes a sleeping thread about 50 µs late. For a shorter time the loop
/// does not sleep. It only lets other threads run first.
const SHORTEST: Duration = Duration::from_micros(50);

/// How long to wait before the next try of one socket: the longer the socket has been quiet, the
/// longer the wait.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// When the socket was last ready.
    active: Instant,
    /// How long to wait after the last try.
    nap: Duration,
    /// When the nap ends.
    due: Instant,
}

impl Backoff {
    /// The backoff of a socket that should be tried at once.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            active: now,
            nap: Duration::ZERO,
            due: now,
        }
    }

    /// Whether to try the socket in this pass. In the second half of its nap a socket already
    /// counts as due: one pass for many sockets costs less than many passes.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.due <= now + self.nap / 2
    }

    /// Records the result of a try: the socket was ready, or it answered `WouldBlock`.
    pub fn record(&mut self, ready: bool, now: Instant) {
        if ready {
            self.active = now;
        }
        self.nap = (now.duration_since(self.active) / 16).min(LONGEST);
        self.due = now + self.nap;
    }

    /// When the socket must be tried again. The loop sleeps until the earliest of these times.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due
    }
}

/// Ends a pass: sleeps until the first socket is due.
pub fn sleep_until(due: Instant) {
    match due.saturating_duration_since(Instant::now()) {
        nap if nap < SHORTEST => thread::yield_now(),
        nap => thread::sleep(nap),
    }
}

/// Turns "not ready" from an error into `None`.
///
/// # Errors
///
/// Every other error, unchanged.
pub fn ready<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
