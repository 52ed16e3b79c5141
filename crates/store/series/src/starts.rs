//! When the counters behind samples started, which few series tell: a function of time that changes with a sample.
//!
//! Starts mostly stay the same for long, so only changes are kept: in memory, in the log, in checkpoints, in a column of blocks.

use crate::chunk::{ChunkError, Column, EncodedChunk, SAMPLES_MAX, encode_column};

/// Starts beyond this are no moments of this world, and a column of floats could not tell them exactly.
const START_MAX: u64 = 1 << 53;

/// For which moments a start holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// From the sample on, as it was the newest.
    On,
    /// For this sample alone, which came late.
    Only,
}

/// A start as the log tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StartChange {
    pub(crate) series: u32,
    pub(crate) timestamp_ms: i64,
    pub(crate) start_ms: i64,
    pub(crate) extent: Extent,
}

/// The starts of one series: from each moment on the start behind it, 0 for none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Starts(Vec<(i64, i64)>);

impl Starts {
    /// Makes what was written down, if it rises.
    pub(crate) fn restore(changes: Vec<(i64, i64)>) -> Option<Self> {
        changes.is_sorted_by(|a, b| a.0 < b.0).then_some(Self(changes))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn changes(&self) -> &[(i64, i64)] {
        &self.0
    }

    /// Returns the start at a moment; 0 when there is none.
    pub(crate) fn at(&self, timestamp_ms: i64) -> i64 {
        let next = self.0.partition_point(|(at, _)| *at <= timestamp_ms);
        next.checked_sub(1).and_then(|place| self.0.get(place)).map_or(0, |(_, start)| *start)
    }

    /// Says what the start at a moment is; tells whether that was not known.
    pub(crate) fn set(&mut self, timestamp_ms: i64, start_ms: i64, extent: Extent) -> bool {
        let start_ms = if start_ms.unsigned_abs() > START_MAX { 0 } else { start_ms };
        let old = self.at(timestamp_ms);
        if old == start_ms {
            return false;
        }
        let place = self.0.partition_point(|(at, _)| *at < timestamp_ms);
        match self.0.get_mut(place) {
            Some(change) if change.0 == timestamp_ms => change.1 = start_ms,
            _ => self.0.insert(place, (timestamp_ms, start_ms)),
        }
        let behind = timestamp_ms.saturating_add(1);
        if extent == Extent::Only && self.0.get(place + 1).is_none_or(|next| next.0 > behind) && behind > timestamp_ms {
            self.0.insert(place + 1, (behind, old));
        }
        true
    }

    /// Forgets what no sample from `start_ms` on needs.
    pub(crate) fn forget_before(&mut self, start_ms: i64) {
        let next = self.0.partition_point(|(at, _)| *at <= start_ms);
        self.0.drain(..next.saturating_sub(1));
        if self.0.first().is_some_and(|first| first.1 == 0) {
            self.0.remove(0);
        }
        self.0.shrink_to_fit();
    }

    /// Takes in a change behind all others, as a column tells it.
    #[expect(clippy::cast_possible_truncation, reason = "columns hold whole numbers below 2^53")]
    pub(crate) fn push(&mut self, timestamp_ms: i64, start: f64) {
        if self.0.last().is_none_or(|last| last.0 < timestamp_ms) {
            self.0.push((timestamp_ms, start as i64));
        }
    }

    /// Packs the changes.
    #[expect(clippy::cast_precision_loss, reason = "starts are below 2^53")]
    pub(crate) fn encode(&self) -> Result<Vec<EncodedChunk>, ChunkError> {
        let (times, values): (Vec<i64>, Vec<f64>) = self.0.iter().map(|(at, start)| (*at, *start as f64)).unzip();
        let chunks = times.chunks(SAMPLES_MAX).zip(values.chunks(SAMPLES_MAX));
        chunks.map(|(times, values)| encode_column(Column::Starts, times, values)).collect()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<(i64, i64)>()
    }
}

/// The starts of samples from several places, each sample with its own.
#[derive(Debug, Default)]
pub(crate) struct StartsOfSamples(Vec<(i64, i64)>);

impl StartsOfSamples {
    /// Takes in samples at these moments.
    pub(crate) fn add(&mut self, starts: &Starts, moments: impl Iterator<Item = i64>) {
        self.0.extend(moments.map(|at| (at, starts.at(at))));
    }

    /// Puts them in order; of several at one moment the first counts, as of samples.
    pub(crate) fn tidy(&mut self) {
        self.0.sort_by_key(|(at, _)| *at);
        self.0.dedup_by_key(|(at, _)| *at);
    }

    /// Returns the starts at these moments; nothing when all are unknown.
    pub(crate) fn of(&self, moments: impl Iterator<Item = i64>, starts: &mut Vec<i64>) {
        let find = |at: i64| self.0.binary_search_by_key(&at, |(at, _)| *at).ok().and_then(|place| self.0.get(place));
        starts.clear();
        if self.0.is_empty() {
            return;
        }
        starts.extend(moments.map(|at| find(at).map_or(0, |(_, start)| *start)));
        if starts.iter().all(|start| *start == 0) {
            starts.clear();
        }
    }

    /// Returns the changes between them.
    pub(crate) fn changes(&self) -> Starts {
        let mut changes: Vec<(i64, i64)> = Vec::new();
        for (at, start) in &self.0 {
            if changes.last().map_or(0, |last| last.1) != *start {
                changes.push((*at, *start));
            }
        }
        Starts(changes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_sample_keeps_its_start(samples in proptest::collection::vec((0_i64..60, 0_i64..4), 0..60), cut in 0_i64..60) {
            let (mut model, mut starts, mut log) = (BTreeMap::new(), Starts::default(), Vec::new());
            for (at, start) in samples {
                if model.contains_key(&at) {
                    continue;
                }
                let extent = if model.keys().all(|other| *other < at) { Extent::On } else { Extent::Only };
                if starts.set(at, start, extent) {
                    log.push((at, start, extent));
                }
                model.insert(at, start);
            }
            let holds = |starts: &Starts, from: i64| model.range(from..).all(|(at, start)| starts.at(*at) == *start);
            prop_assert!(holds(&starts, 0));
            // Reading the log back once more changes nothing, and gives the same from nothing.
            let (mut again, mut anew) = (starts.clone(), Starts::default());
            for (at, start, extent) in log {
                again.set(at, start, extent);
                anew.set(at, start, extent);
            }
            prop_assert!(holds(&again, 0) && holds(&anew, 0));
            let mut all = StartsOfSamples::default();
            all.add(&starts, model.keys().copied());
            all.tidy();
            prop_assert!(holds(&all.changes(), 0));
            starts.forget_before(cut);
            prop_assert!(holds(&starts, cut));
            let mut decoded = Starts::default();
            for chunk in starts.encode().unwrap() {
                let (mut times, mut values) = (Vec::new(), Vec::new());
                crate::chunk::decode_floats(&chunk.to_bytes(), &mut times, &mut values).unwrap();
                times.iter().zip(&values).for_each(|(at, value)| decoded.push(*at, *value));
            }
            prop_assert_eq!(decoded, starts);
        }
    }
}
