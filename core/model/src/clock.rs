use std::sync::Mutex;

use jiff::{
    SignedDuration, Timestamp,
    civil::Date,
    tz::{Offset, TimeZone},
};

/// A source of the current instant; the only way a service learns the time.
///
/// Machines do not take a clock, they take `now`.
pub trait Clock: Send + Sync {
    /// The current instant on the wall clock.
    fn now(&self) -> Timestamp;
}

/// A clock that moves only when told: for tests and simulators.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock standing at `now`.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Moves the clock forward, or backward with a negative duration.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now = now.saturating_add(by).expect("a duration of seconds always adds to a timestamp");
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Asia/Tokyo as a fixed offset: Japan has had no daylight saving time since 1951, so no zone database is needed.
fn japan() -> TimeZone {
    TimeZone::fixed(Offset::constant(9))
}

/// The civil date in Japan at an instant; eligibility is judged on this date.
#[must_use]
pub fn japan_date(at: Timestamp) -> Date {
    at.to_zoned(japan()).date()
}

/// An instant as the national messages write it: `yyyyMMddHHmmss`, 14 digits, in Japan's time.
#[must_use]
pub fn japan_timestamp_digits(at: Timestamp) -> String {
    at.to_zoned(japan()).strftime("%Y%m%d%H%M%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_in_japan_changes_at_fifteen_utc() {
        assert_eq!(japan_date("2026-11-20T14:59:59Z".parse().unwrap()).to_string(), "2026-11-20");
        assert_eq!(japan_date("2026-11-20T15:00:00Z".parse().unwrap()).to_string(), "2026-11-21");
        assert_eq!(japan_timestamp_digits("2026-11-20T15:04:05Z".parse().unwrap()), "20261121000405");
    }
}
