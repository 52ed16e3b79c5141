//! What reconcilers share: how long a failing object waits.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Any error of a reconciler; its chain is logged once, where it is handled.
pub type ReconcileError = Box<dyn std::error::Error + Send + Sync>;

/// Exponential, capped, jittered delays for each object that fails.
#[derive(Debug)]
pub struct Backoff<K> {
    failures: Mutex<HashMap<K, u32>>,
    first: Duration,
    cap: Duration,
}

impl<K: Eq + Hash> Backoff<K> {
    /// Creates delays that double from `first` up to `cap`.
    #[must_use]
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self { failures: Mutex::default(), first, cap }
    }

    /// Counts a failure and returns how long to wait, with up to a quarter of jitter on top.
    pub fn failed(&self, key: K) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key).or_insert(0);
        let delay = self.first.saturating_mul(1 << (*count).min(20)).min(self.cap);
        *count = count.saturating_add(1);
        let mut jitter = [0u8; 1];
        maru_ids::fill_random(&mut jitter);
        delay + delay.mul_f64(f64::from(jitter[0]) / 1024.0)
    }

    /// Forgets the failures of an object.
    pub fn succeeded(&self, key: &K) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap_and_start_over() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let delays: Vec<u128> = (0..6).map(|_| backoff.failed("a").as_millis()).collect();
        for (delay, base) in delays.iter().zip([100, 200, 400, 800, 1000, 1000]) {
            assert!(*delay >= base && *delay <= base + base / 4, "{delays:?}");
        }
        backoff.succeeded(&"a");
        assert!(backoff.failed("a").as_millis() <= 125);
    }
}
