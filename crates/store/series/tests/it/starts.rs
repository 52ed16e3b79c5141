//! When the counters behind samples started: kept through restarts, blocks, merges and downsampling.

use std::path::Path;
use std::sync::Arc;

use maru_prom::{Histogram, Labels};
use maru_series::{SelectHints, SeriesStore, TimeRange};

use crate::restart::copy;
use crate::{ALL, START_MS, appender, equal, labels, late, open};

/// Time and start of the floats, and of the histograms.
type Starts = (Vec<(i64, i64)>, Vec<(i64, i64)>);

fn starts(store: &SeriesStore, name: &str, range: TimeRange, hints: &SelectHints) -> Starts {
    let selected = store.select(&[equal("__name__", name)], range, hints).unwrap();
    let (mut timestamps, mut values, mut histograms) = (Vec::new(), Vec::new(), Vec::<(i64, Arc<Histogram>)>::new());
    let (mut starts, mut histogram_starts) = (Vec::new(), Vec::new());
    assert_eq!(selected.len(), 1, "{name}");
    selected[0]
        .read_with_starts(&mut timestamps, &mut values, &mut histograms, &mut starts, &mut histogram_starts)
        .unwrap();
    assert!(starts.is_empty() || starts.len() == timestamps.len());
    assert!(histogram_starts.is_empty() || histogram_starts.len() == histograms.len());
    let at = |starts: &[i64], place: usize| starts.get(place).copied().unwrap_or_default();
    (
        timestamps.iter().enumerate().map(|(place, moment)| (*moment, at(&starts, place))).collect(),
        histograms.iter().enumerate().map(|(place, (moment, _))| (*moment, at(&histogram_starts, place))).collect(),
    )
}

/// The start of the sample of a minute: the counter starts again every now and then, and some samples do not tell.
fn start_of(minute: i64) -> i64 {
    if minute % 11 == 10 { 0 } else { START_MS + (minute / 50) * 50 * 60_000 - 1 }
}

fn write(store: &SeriesStore, name: &Labels, minutes: impl Iterator<Item = i64>, is_delta: bool) {
    let mut appender = appender(store);
    let series = appender.series(name);
    let mut count = 0;
    for minute in minutes {
        let at = START_MS + minute * 60_000;
        let start_ms = if is_delta { at - 60_000 } else { start_of(minute) };
        if minute % 100 < 40 && !is_delta {
            let histogram = Histogram { count: minute as f64, ..Histogram::empty(0) };
            appender.append_histogram_with_start(series, at, &histogram, start_ms);
        } else {
            appender.append_with_start(series, at, minute as f64, start_ms);
        }
        count += 1;
    }
    let report = appender.commit().unwrap();
    assert_eq!((report.samples + report.histograms, report.refused), (count, vec![]));
}

const MINUTES: i64 = 900;

/// Demands all starts of what was written.
fn check(store: &SeriesStore, written: impl Fn(i64) -> bool) {
    let (floats, histograms) = starts(store, "mixed", ALL, &SelectHints::default());
    let expected = |is_histogram: bool| -> Vec<(i64, i64)> {
        let own = (0..MINUTES).filter(|minute| written(*minute) && (minute % 100 < 40) == is_histogram);
        own.map(|minute| (START_MS + minute * 60_000, start_of(minute))).collect()
    };
    assert_eq!(floats, expected(false));
    assert_eq!(histograms, expected(true));
    let (deltas, _) = starts(store, "deltas", ALL, &SelectHints::default());
    let own = (0..MINUTES).filter(|minute| written(*minute)).map(|minute| START_MS + minute * 60_000);
    assert_eq!(deltas, own.map(|at| (at, at - 60_000)).collect::<Vec<_>>());
    let (none, _) = starts(store, "none", ALL, &SelectHints::default());
    assert!(none.iter().all(|(_, start)| *start == 0) && !none.is_empty());
}

/// Opens a copy of the files, as a crash at this moment would leave them.
fn check_crashed(directory: &Path, written: impl Fn(i64) -> bool) {
    let crashed = tempfile::tempdir().unwrap();
    copy(directory, crashed.path());
    let (again, report) = open(crashed.path());
    assert_eq!(report.set_aside, vec![]);
    check(&again, &written);
}

#[test]
fn starts_stay_with_their_samples() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = SeriesStore::open(late(directory.path())).unwrap();
    crate::write(&store, &labels(&[("__name__", "none")]), &[(START_MS, 1.0)]);
    let (mixed, deltas) = (labels(&[("__name__", "mixed")]), labels(&[("__name__", "deltas")]));
    for hour in 0..MINUTES / 60 {
        // Every seventh minute comes late.
        let minutes = hour * 60..(hour + 1) * 60;
        for is_late in [false, true] {
            for (name, is_delta) in [(&mixed, false), (&deltas, true)] {
                write(&store, name, minutes.clone().filter(|minute| (minute % 7 == 3) == is_late), is_delta);
            }
            let written = |minute: i64| minute < hour * 60 || (minute < minutes.end && (is_late || minute % 7 != 3));
            check(&store, written);
            check_crashed(directory.path(), written);
        }
        if hour % 2 == 1 {
            store.maintain_now().unwrap();
            check_crashed(directory.path(), |minute| minute < minutes.end);
        }
    }
    let before = store.blocks();
    assert!(before.len() > 1, "{before:?}");
    store.flush().unwrap();
    check(&store, |_| true);
    check_crashed(directory.path(), |_| true);
    let snapshot = store.snapshot(false).unwrap();
    check(&open(&snapshot).0, |_| true);
    assert!(store.blocks().iter().any(|block| block.level > 1), "nothing was merged: {:?}", store.blocks());
}

#[test]
fn downsampling_keeps_samples_where_counters_start() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let deltas = labels(&[("__name__", "deltas")]);
    // The counter starts again without falling: only its start tells.
    let mut appender = appender(&store);
    let series = appender.series(&deltas);
    let count = 4 * 24 * 60;
    for minute in 0..count {
        let at = START_MS + minute * 60_000;
        appender.append_with_start(series, at, minute as f64, START_MS + minute / 333 * 333 * 60_000 - 1);
    }
    assert_eq!(appender.commit().unwrap().refused, vec![]);
    for _ in 0..3 {
        store.flush().unwrap();
    }
    // On the grid, open at the left.
    let range = TimeRange { start_ms: START_MS + 1, end_ms: START_MS + 48 * 3_600_000 };
    let hints = SelectHints {
        step_ms: 3_600_000,
        window_ms: 3_600_000,
        function: "increase".to_owned(),
        allows_downsampled: true,
        ..SelectHints::default()
    };
    let (thinned, _) = starts(&store, "deltas", range, &hints);
    assert!(thinned.len() < 48 * 60 / 2, "{}", thinned.len());
    let changes: Vec<(i64, i64)> =
        thinned.chunk_by(|a, b| a.1 == b.1).filter_map(|same| same.first().copied()).collect();
    let expected: Vec<(i64, i64)> = (1..=48 * 60)
        .filter(|minute| minute % 333 == 0)
        .map(|minute| (START_MS + minute * 60_000, START_MS + minute * 60_000 - 1))
        .collect();
    assert_eq!(changes[1..], expected);
}
