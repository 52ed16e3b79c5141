//! Wall-clock time behind a trait that tests can replace.
//!
//! Owns: the only call to the system's wall clock; the machine's time zones.
//! Never: measures durations (use `tokio::time`), sleeps.
//! Source: RFC 3339 for the text form, as Kubernetes writes it.

use std::sync::{Arc, Mutex, PoisonError};

pub use jiff::Timestamp;

mod zone;

pub use zone::zone;

/// Tells the wall-clock time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// A clock that is handed around.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Returns the machine's clock, shared.
#[must_use]
pub fn system_clock() -> SharedClock {
    Arc::new(SystemClock)
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct TestClock(Mutex<Timestamp>);

impl TestClock {
    /// Creates a clock that shows `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Arc<Self> {
        Arc::new(Self(Mutex::new(start)))
    }

    /// Sets the time shown, also backwards.
    pub fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Moves the time shown forward.
    pub fn advance(&self, by: std::time::Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now
            .saturating_add(jiff::SignedDuration::try_from(by).unwrap_or(jiff::SignedDuration::MAX))
            .unwrap_or(Timestamp::MAX);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Formats to whole seconds in UTC, as Kubernetes' `Time` (`2026-11-22T09:00:00Z`).
#[must_use]
pub fn rfc3339_seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Formats to microseconds in UTC, as Kubernetes' `MicroTime`.
#[must_use]
pub fn rfc3339_micros(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Formats to nanoseconds in UTC with all nine digits, as container logs do.
#[must_use]
pub fn rfc3339_nanos(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_have_a_fixed_width() {
        let at: Timestamp = "2026-11-22T09:00:05.000001200Z".parse().unwrap();
        assert_eq!(rfc3339_seconds(at), "2026-11-22T09:00:05Z");
        assert_eq!(rfc3339_micros(at), "2026-11-22T09:00:05.000001Z");
        assert_eq!(rfc3339_nanos(at), "2026-11-22T09:00:05.000001200Z");
    }

    #[test]
    fn a_test_clock_moves_only_when_told() {
        let clock = TestClock::new("2026-01-01T00:00:00Z".parse().unwrap());
        let before = clock.now();
        clock.advance(std::time::Duration::from_secs(90));
        assert_eq!(clock.now().as_second() - before.as_second(), 90);
    }
}
