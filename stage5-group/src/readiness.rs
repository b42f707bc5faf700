//! When to try a socket again: what stands in for the tutorial's `select()` (§2.1).
//!
//! POSIX `select` puts a program to sleep until one of its sockets is ready. std has no such call.
//! It has `set_nonblocking`: a socket that is not ready answers `WouldBlock` at once, so a loop can
//! try them all. What remains is how long to nap when none was ready. Too short burns a core, too
//! long makes people wait. Here a socket that has been quiet for a time `t` is tried again after
//! `t / 16`, so a nap never adds more than a sixteenth to a wait, up to a cap of 64 ms.

use std::io::{self, ErrorKind};
use std::thread;
use std::time::{Duration, Instant};

/// The longest nap. Sixteen tries a second cost an idle server little, a fiftieth of a core for a
/// thousand sockets, and nobody who has kept silent for a second sees 64 ms.
const LONGEST: Duration = Duration::from_millis(64);

/// The shortest nap worth taking: the kernel wakes a sleeper some 50 µs late. A shorter one only
/// lets other threads run.
const SHORTEST: Duration = Duration::from_micros(50);

/// One socket's alarm clock.
#[derive(Debug, Clone, Copy)]
pub struct Readiness {
    /// When the socket was last ready.
    active: Instant,
    /// How long it may be left alone.
    nap: Duration,
    /// When that ends.
    due: Instant,
}

impl Readiness {
    /// A socket that is to be tried at once.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            active: now,
            nap: Duration::ZERO,
            due: now,
        }
    }

    /// Whether the socket is to be tried in this pass. It is already when half of its nap is over:
    /// one pass for many sockets costs less than many passes.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.due <= now + self.nap / 2
    }

    /// Notes what a try has shown: the socket was ready, or it answered `WouldBlock`.
    pub fn tried(&mut self, ready: bool, now: Instant) {
        if ready {
            self.active = now;
        }
        self.nap = (now.duration_since(self.active) / 16).min(LONGEST);
        self.due = now + self.nap;
    }

    /// When it is to be tried at the latest; the loop naps until the first of all.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due
    }
}

/// Ends a pass: gives the processor away until the first socket is due.
pub fn rest(due: Instant) {
    match due.saturating_duration_since(Instant::now()) {
        nap if nap < SHORTEST => thread::yield_now(),
        nap => thread::sleep(nap),
    }
}

/// Turns "not ready" from an error into `None`.
///
/// # Errors
///
/// Every other error as it is.
pub fn ready<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
