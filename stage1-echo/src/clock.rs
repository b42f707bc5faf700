//! Local time, which std does not have: the tutorial's `time.ctime()` and `time.localtime()`.
//!
//! The program `date +%z` prints the offset from UTC, which depends on the variable `TZ` and on the
//! system's time zone. If there is no program `date`, for example on Windows, the time is UTC. The
//! calendar is that of POSIX ("Seconds Since the Epoch", XBD §4.16): the Gregorian calendar, also
//! for the time before it was introduced. The layout is that of C's `asctime`.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// How long an offset is used, in seconds. Nearly every time zone changes its offset at a full
/// quarter of an hour. So the clock asks for the offset again in each quarter.
const QUARTER: i64 = 15 * 60;

/// Tells local time. It keeps the offset from UTC, because asking for it starts a program.
#[derive(Debug)]
pub struct Clock {
    /// In seconds east of UTC. An atomic number can be set by one thread and read by another.
    offset: Arc<AtomicI64>,
    quarter: i64,
}

impl Clock {
    /// Asks `date` for the offset from UTC.
    #[must_use]
    pub fn new() -> Self {
        let quarter = unix_time() / QUARTER;
        let offset = Arc::new(AtomicI64::new(offset_from_utc().unwrap_or(0)));
        Self { offset, quarter }
    }

    /// The local time now.
    pub fn now(&mut self) -> DateTime {
        let now = unix_time();
        if now / QUARTER != self.quarter {
            self.quarter = now / QUARTER;
            let offset = Arc::clone(&self.offset);
            // This runs on its own thread, so that no client waits for `date`. If the thread or
            // `date` cannot be started, the offset stays as it is.
            let ask = move || offset_from_utc().map(|new| offset.store(new, Ordering::Relaxed));
            let _ = thread::Builder::new().spawn(ask);
        }
        DateTime::from_unix(now + self.offset.load(Ordering::Relaxed))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// A date and a time of day, in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    /// The year, for example 2019.
    pub year: i64,
    /// The month, 1 to 12.
    pub month: u8,
    /// The day of the month, 1 to 31.
    pub day: u8,
    /// The day of the week, 0 for Sunday.
    pub weekday: u8,
    /// The hour, 0 to 23.
    pub hour: u8,
    /// The minute, 0 to 59.
    pub minute: u8,
    /// The second, 0 to 59: POSIX time has no leap seconds.
    pub second: u8,
}

impl DateTime {
    /// Splits seconds since 1970-01-01 00:00:00 into a date and a time. For a local time, add the
    /// offset from UTC first.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        let days = seconds.div_euclid(86_400);
        let time = seconds.rem_euclid(86_400);
        // If a year begins on 1 March, the leap day comes last. Then the number of a month is
        // enough to compute its first day. Source: Howard Hinnant, "chrono-Compatible Low-Level
        // Date Algorithms".
        let since_0000_03_01 = days + 719_468;
        let era = since_0000_03_01.div_euclid(146_097);
        let day_of_era = since_0000_03_01.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let months_since_march = (5 * day_of_year + 2) / 153;
        let month = (months_since_march + 2) % 12 + 1;
        let small = |n: i64| u8::try_from(n).expect("a part of a date fits into a byte");
        Self {
            year: era * 400 + year_of_era + i64::from(month <= 2),
            month: small(month),
            day: small(day_of_year - (153 * months_since_march + 2) / 5 + 1),
            weekday: small((days + 4).rem_euclid(7)),
            hour: small(time / 3_600),
            minute: small(time / 60 % 60),
            second: small(time % 60),
        }
    }

    /// The layout of C's `ctime`: `Thu Mar 21 12:55:05 2019`. It has 24 characters if the year has
    /// four digits. A day of one digit has a space before it.
    #[must_use]
    pub fn ctime(&self) -> String {
        format!(
            "{} {} {:>2} {:02}:{:02}:{:02} {}",
            DAYS[usize::from(self.weekday)],
            MONTHS[usize::from(self.month) - 1],
            self.day,
            self.hour,
            self.minute,
            self.second,
            self.year
        )
    }
}

/// Seconds since the Epoch, 1970-01-01 00:00:00 UTC.
fn unix_time() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(0))
}

/// The current offset, in seconds east of UTC. `None` if `date` does not print one.
fn offset_from_utc() -> Option<i64> {
    let date = Command::new("date")
        .arg("+%z")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    parse_offset(std::str::from_utf8(&date.ok()?.stdout).ok()?.trim())
}

/// Reads an offset in the form that `date +%z` prints: `+0800` is 28,800 seconds east of UTC.
/// `None` if the text has another form.
#[must_use]
pub fn parse_offset(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = digits.split_at(2);
    Some(sign * (hours.parse::<i64>().ok()? * 3_600 + minutes.parse::<i64>().ok()? * 60))
}
