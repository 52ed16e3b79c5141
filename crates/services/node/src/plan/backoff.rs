//! How long a container that ends again and again has to wait.

use std::time::Duration;

use maru_time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::plan::after;

/// The wait before the second restart; the first restart is immediate.
const FIRST: Duration = Duration::from_secs(10);
/// The longest wait. A container that ran twice as long starts over.
const CAP: Duration = Duration::from_secs(300);

/// The wait that the next restart of a container is due.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct RestartBackoff {
    /// Zero until the first restart.
    wait: Duration,
    /// When the wait was set.
    set_at: Option<Timestamp>,
}

impl RestartBackoff {
    /// Returns the wait and its end for a container that ended at `ended_at`; `None` when it may start at once.
    pub(crate) fn due(&self, ended_at: Timestamp) -> Option<(Duration, Timestamp)> {
        if self.wait.is_zero() || self.is_expired(ended_at) {
            return None;
        }
        Some((self.wait, after(ended_at, self.wait)))
    }

    /// Counts a restart of a container that ended at `ended_at`.
    pub(crate) fn restarted(&mut self, ended_at: Timestamp) {
        let expired = self.is_expired(ended_at);
        self.wait = if self.wait.is_zero() || expired { FIRST } else { (self.wait * 2).min(CAP) };
        self.set_at = Some(ended_at);
    }

    fn is_expired(&self, ended_at: Timestamp) -> bool {
        self.set_at.is_some_and(|set_at| after(set_at, CAP * 2) < ended_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn waits_double_from_ten_seconds_to_five_minutes() {
        let mut backoff = RestartBackoff::default();
        let mut ended = 0;
        let mut waits = Vec::new();
        for _ in 0..8 {
            let due = backoff.due(at(ended));
            let wait = due.map_or(0, |(wait, _)| wait.as_secs());
            waits.push(wait);
            backoff.restarted(at(ended));
            ended += i64::try_from(wait).unwrap() + 1;
        }
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn ten_minutes_of_running_start_it_over() {
        let mut backoff = RestartBackoff::default();
        backoff.restarted(at(0));
        backoff.restarted(at(20));
        assert_eq!(backoff.due(at(25)).map(|(wait, _)| wait.as_secs()), Some(20));
        assert_eq!(backoff.due(at(20 + 601)), None);
        backoff.restarted(at(20 + 601));
        assert_eq!(backoff.due(at(700)).map(|(wait, _)| wait.as_secs()), Some(10));
    }
}
