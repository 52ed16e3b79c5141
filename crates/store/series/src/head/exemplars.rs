//! Exemplars: a ring in memory, which the log and the checkpoint have too.

use std::collections::{HashMap, VecDeque};

use maru_prom::Exemplar;

use crate::block::TimeRange;

/// What became of an exemplar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is the newest of its series.
    New,
    /// It was there already, or none are kept.
    Known,
    /// It is older than another one.
    OutOfOrder,
}

/// See the head of the file.
#[derive(Debug, Default)]
pub(crate) struct Exemplars {
    ring: VecDeque<(u32, Exemplar)>,
    /// The newest of each series that is in the ring, with how many of it there are.
    newest: HashMap<u32, (i64, usize)>,
}

impl Exemplars {
    /// Adds an exemplar.
    pub(crate) fn add(&mut self, series: u32, exemplar: Exemplar, max: usize) -> Added {
        let newest = self.newest.get(&series).map(|(newest, _)| *newest);
        if newest.is_some_and(|newest| exemplar.timestamp_ms < newest) {
            let is_known = self.ring.iter().any(|(own, other)| *own == series && *other == exemplar);
            return if is_known { Added::Known } else { Added::OutOfOrder };
        }
        let is_same = newest == Some(exemplar.timestamp_ms)
            && self.ring.iter().rev().find(|(own, _)| *own == series).is_some_and(|(_, last)| *last == exemplar);
        if is_same || max == 0 {
            return Added::Known;
        }
        while self.ring.len() >= max
            && let Some((gone, _)) = self.ring.pop_front()
        {
            self.forget(gone);
        }
        let entry = self.newest.entry(series).or_insert((exemplar.timestamp_ms, 0));
        entry.0 = exemplar.timestamp_ms;
        entry.1 += 1;
        self.ring.push_back((series, exemplar));
        Added::New
    }

    /// Returns all, oldest first.
    pub(crate) fn all(&self) -> Vec<(u32, Exemplar)> {
        self.ring.iter().cloned().collect()
    }

    fn forget(&mut self, series: u32) {
        if let Some((_, count)) = self.newest.get_mut(&series) {
            *count -= 1;
            if *count == 0 {
                self.newest.remove(&series);
            }
        }
    }

    /// Returns the exemplars of the series (sorted numbers) in `range`, oldest first.
    pub(crate) fn find(&self, series: &[u32], range: TimeRange) -> Vec<(u32, Exemplar)> {
        let is_in = |exemplar: &Exemplar| (range.start_ms..=range.end_ms).contains(&exemplar.timestamp_ms);
        self.ring
            .iter()
            .filter(|(own, exemplar)| is_in(exemplar) && series.binary_search(own).is_ok())
            .cloned()
            .collect()
    }

    /// Forgets series for good. `gone` is sorted.
    pub(crate) fn remove(&mut self, gone: &[u32]) {
        self.ring.retain(|(series, _)| gone.binary_search(series).is_err());
        self.newest.retain(|series, _| gone.binary_search(series).is_err());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maru_prom::Labels;

    fn exemplar(timestamp_ms: i64, value: f64) -> Exemplar {
        Exemplar { labels: Labels::from_pairs([("trace_id", "a")]), value, timestamp_ms }
    }

    #[test]
    fn the_oldest_makes_room_and_old_ones_are_refused() {
        let mut ring = Exemplars::default();
        for at in 0..5 {
            assert_eq!(ring.add(1, exemplar(at, 1.0), 3), Added::New);
        }
        assert_eq!(ring.add(1, exemplar(1, 1.0), 3), Added::OutOfOrder);
        assert_eq!(ring.add(1, exemplar(3, 1.0), 3), Added::Known);
        assert_eq!(ring.add(2, exemplar(1, 1.0), 3), Added::New);
        let all = TimeRange { start_ms: 0, end_ms: 100 };
        assert_eq!(
            ring.find(&[1, 2], all).iter().map(|(s, e)| (*s, e.timestamp_ms)).collect::<Vec<_>>(),
            [(1, 3), (1, 4), (2, 1)]
        );
        assert_eq!(ring.find(&[2], all).len(), 1);
    }
}
