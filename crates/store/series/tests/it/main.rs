//! The time-series store as a whole: writes, reads, restarts, faults.
#![cfg(test)]

mod damage;
mod downsampled;
mod faults;
mod limits;
mod reads;
mod restart;
mod starts;
mod writes;

use std::path::Path;
use std::time::Duration;

use maru_prom::{Labels, Matcher, MatcherOperator};
use maru_series::{Appender, OpenError, OpenReport, SelectHints, SeriesStore, StoreOptions, TimeRange, WriteScope};
use maru_time::TestClock;

/// A day at noon, on the border of a block.
pub(crate) const START_MS: i64 = 1_795_305_600_000;
pub(crate) const ALL: TimeRange = TimeRange { start_ms: i64::MIN, end_ms: i64::MAX };

pub(crate) fn options(directory: &Path) -> StoreOptions {
    let clock = TestClock::new("2026-11-22T12:00:00Z".parse().unwrap());
    let mut options = StoreOptions::new(directory.to_owned(), clock);
    options.future_window = None;
    options
}

pub(crate) fn open(directory: &Path) -> (SeriesStore, OpenReport) {
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        match SeriesStore::open(options(directory)) {
            // A child that another test starts has the lock too, until it runs its own program.
            Err(OpenError::InUse { .. }) if tokio::time::Instant::now() < end => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

pub(crate) fn late(directory: &Path) -> StoreOptions {
    StoreOptions { out_of_order_window: Duration::from_hours(1), ..options(directory) }
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

pub(crate) fn equal(name: &str, value: &str) -> Matcher {
    Matcher::new(name, MatcherOperator::Equal, value).unwrap()
}

pub(crate) fn pattern(name: &str, value: &str) -> Matcher {
    Matcher::new(name, MatcherOperator::Matches, value).unwrap()
}

pub(crate) fn appender(store: &SeriesStore) -> Appender {
    store.appender(&WriteScope::everyone())
}

/// Writes samples of one series and demands that all are taken.
pub(crate) fn write(store: &SeriesStore, name: &Labels, samples: &[(i64, f64)]) {
    let mut appender = appender(store);
    let series = appender.series(name);
    for (at, value) in samples {
        appender.append(series, *at, *value);
    }
    let report = appender.commit().unwrap();
    assert_eq!((report.samples, report.refused), (samples.len() as u64, vec![]));
}

/// A series with its floats.
pub(crate) type Floats = (Labels, Vec<(i64, f64)>);

pub(crate) fn read(store: &SeriesStore, matchers: &[Matcher], range: TimeRange) -> Vec<Floats> {
    let selected = store.select(matchers, range, &SelectHints::default()).unwrap();
    let all = selected.iter().map(|series| {
        let (mut timestamps, mut values, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
        series.read(&mut timestamps, &mut values, &mut histograms).unwrap();
        (series.labels().clone(), timestamps.into_iter().zip(values).collect())
    });
    all.filter(|(_, samples): &Floats| !samples.is_empty()).collect()
}

/// Numbers that look random and are the same each time.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The value of a series at some time: telling from a sample alone whether it is right.
pub(crate) fn value_of(series: u64, at: i64) -> f64 {
    let step = (at - START_MS) / 1000;
    match series % 5 {
        0 => 42.0,
        1 => (step * 7 + i64::try_from(series).unwrap()) as f64,
        2 => (step * 13) as f64 / 100.0,
        3 => (step as f64 * 0.1).sin(),
        _ => {
            if step % 50 == 0 {
                maru_prom::stale_marker()
            } else {
                step as f64
            }
        }
    }
}

pub(crate) fn name_of(series: u64) -> Labels {
    let (job, instance) = (format!("job-{}", series % 3), format!("host-{series}"));
    labels(&[("__name__", "m"), ("instance", &instance), ("job", &job)])
}

/// Writes rounds of samples of many series, a commit each.
pub(crate) fn write_rounds(store: &SeriesStore, series: u64, rounds: std::ops::Range<i64>, step_ms: i64) {
    let mut appender = appender(store);
    for round in rounds {
        let at = START_MS + round * step_ms;
        for one in 0..series {
            let reference = appender.series(&name_of(one));
            appender.append(reference, at, value_of(one, at));
        }
        let report = appender.commit().unwrap();
        assert_eq!((report.samples, report.refused), (series, vec![]));
    }
}

/// Demands that exactly those rounds are there.
pub(crate) fn check_rounds(store: &SeriesStore, series: u64, rounds: std::ops::Range<i64>, step_ms: i64) {
    let found = read(store, &[equal("__name__", "m")], ALL);
    assert_eq!(found.len() as u64, series);
    let mut names: Vec<(Labels, u64)> = (0..series).map(|one| (name_of(one), one)).collect();
    names.sort();
    for ((labels, samples), (name, one)) in found.into_iter().zip(names) {
        assert_eq!(labels, name);
        let expected: Vec<(i64, u64)> = rounds
            .clone()
            .map(|round| START_MS + round * step_ms)
            .map(|at| (at, value_of(one, at).to_bits()))
            .collect();
        let samples: Vec<(i64, u64)> = samples.into_iter().map(|(at, value)| (at, value.to_bits())).collect();
        let differs = samples.iter().zip(&expected).position(|(a, b)| a != b);
        let (found, wanted) = (samples.len(), expected.len());
        assert!(
            differs.is_none() && found == wanted,
            "{labels:?}: {found} samples of {wanted}, the first that differs: {:?}",
            differs.map(|at| (at, (expected[at].0 - START_MS) / step_ms, (samples[at].0 - START_MS) / step_ms))
        );
    }
}
