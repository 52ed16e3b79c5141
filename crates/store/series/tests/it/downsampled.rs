//! What queries get where samples as they came are gone and downsampled ones are left.

use std::sync::Arc;
use std::time::Duration;

use maru_prom::{Histogram, Labels};
use maru_series::{SelectError, SelectHints, SeriesStore, StoreOptions};

use crate::{ALL, START_MS, appender, equal, labels, options, write};

const HOUR_MS: i64 = 3_600_000;
const STEP_MS: i64 = 15_000;

fn counter() -> Labels {
    labels(&[("__name__", "requests_total")])
}

fn gauge() -> Labels {
    labels(&[("__name__", "temperature")])
}

/// What the gauge shows at a step.
fn warmth(step: i64) -> f64 {
    f64::from(i32::try_from(step * 7919 % 101).unwrap())
}

/// A store with 48 hours of samples, of which those of the first 24 or more are downsampled only.
fn thinned(directory: &std::path::Path) -> SeriesStore {
    let options = StoreOptions { retention: Some(Duration::from_hours(20)), ..options(directory) };
    let (store, _) = SeriesStore::open(options).unwrap();
    for half_day in 0..4 {
        let steps = half_day * 2880..(half_day + 1) * 2880;
        let at = |step: i64| START_MS + step * STEP_MS;
        // A counter that starts again once in a while.
        let count = |step: i64| f64::from(i32::try_from(step % 1700 * 3).unwrap());
        write(&store, &counter(), &steps.clone().map(|step| (at(step), count(step))).collect::<Vec<_>>());
        write(&store, &gauge(), &steps.clone().map(|step| (at(step), warmth(step))).collect::<Vec<_>>());
        let mut appender = appender(&store);
        let series = appender.series(&labels(&[("__name__", "latency")]));
        for step in steps {
            let histogram = Histogram { count: 2.0, sum: 1.5, ..Histogram::empty(0) };
            appender.append_histogram(series, at(step), &histogram);
        }
        assert_eq!(appender.commit().unwrap().refused, vec![]);
        store.flush().unwrap();
        store.maintain_now().unwrap();
    }
    let raw = store.blocks().iter().filter(|block| block.resolution_ms == 0).map(|b| b.range.start_ms).min().unwrap();
    assert!(raw > START_MS + 20 * HOUR_MS, "samples as they came are there from {raw} on");
    store
}

/// Reads floats as `function` over a window reads them.
fn read(store: &SeriesStore, name: &str, function: &str, window: (i64, i64)) -> Result<Vec<(i64, f64)>, SelectError> {
    let hints = SelectHints {
        step_ms: 0,
        function: function.to_owned(),
        window_ms: window.1 - window.0,
        series_max: None,
        allows_downsampled: true,
    };
    let range = maru_series::TimeRange { start_ms: window.0 + 1, end_ms: window.1 };
    let found = store.select(&[equal("__name__", name)], range, &hints)?;
    let (mut timestamps, mut values, mut histograms) = (Vec::new(), Vec::new(), Vec::<(i64, Arc<Histogram>)>::new());
    for series in found {
        series.read(&mut timestamps, &mut values, &mut histograms)?;
    }
    Ok(timestamps.into_iter().zip(values).filter(|(at, _)| (range.start_ms..=range.end_ms).contains(at)).collect())
}

#[test]
fn every_function_gets_something_sound_or_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let store = thinned(directory.path());
    let start = START_MS + 6 * HOUR_MS;
    let window = (start, start + 2 * HOUR_MS);
    let steps: Vec<f64> = (1..=480).map(|step| warmth(6 * 240 + step)).collect();
    let values = |function| -> Vec<f64> {
        read(&store, "temperature", function, window).unwrap().into_iter().map(|(_, value)| value).collect()
    };
    assert_eq!(values("count_over_time").len(), 480);
    assert!((values("count_over_time").iter().sum::<f64>() - steps.iter().sum::<f64>()).abs() < 1e-6);
    assert_eq!(values("avg_over_time").len(), 480);
    assert_eq!(values("min_over_time").into_iter().fold(f64::MAX, f64::min), 0.0);
    assert_eq!(values("max_over_time").into_iter().fold(f64::MIN, f64::max), 100.0);
    assert!((values("sum_over_time").iter().sum::<f64>() - steps.iter().sum::<f64>()).abs() < 1e-6);
    // Those that were kept are true samples, and the last is among them.
    for function in ["last_over_time", "first_over_time", "deriv", "irate", "present_over_time", ""] {
        let kept = read(&store, "temperature", function, window).unwrap();
        assert!(kept.iter().all(|(at, value)| *value == warmth((at - START_MS) / STEP_MS)), "{function}");
        assert_eq!(kept.last(), Some(&(window.1, warmth(8 * 240))), "{function}");
    }
    // Growth is right, restarts included.
    let kept = read(&store, "requests_total", "increase", (START_MS + HOUR_MS, START_MS + 11 * HOUR_MS)).unwrap();
    let growth: f64 =
        kept.windows(2).map(|pair| if pair[1].1 < pair[0].1 { pair[1].1 } else { pair[1].1 - pair[0].1 }).sum();
    let true_growth: i64 = (242..=11 * 240).map(|step| if step % 1700 == 0 { 0 } else { 3 }).sum();
    // The first kept sample may stand up to an interval behind the window's start.
    assert!((growth - true_growth as f64).abs() <= 60.0, "{growth} {true_growth}");
    for function in [
        "changes",
        "double_exponential_smoothing",
        "mad_over_time",
        "quantile_over_time",
        "stddev_over_time",
        "stdvar_over_time",
        "ts_of_max_over_time",
        "ts_of_min_over_time",
    ] {
        let error = read(&store, "temperature", function, window).unwrap_err().to_string();
        assert!(error.contains(function) && error.contains("300 s"), "{error}");
        // Where every sample is still there, they are answered.
        let end = START_MS + 47 * HOUR_MS;
        assert_eq!(read(&store, "temperature", function, (end - HOUR_MS, end)).unwrap().len(), 240, "{function}");
    }
    for function in ["sum_over_time", "avg_over_time", "count_over_time"] {
        let error = read(&store, "latency", function, window).unwrap_err().to_string();
        assert!(error.contains(function) && error.contains("histogram"), "{error}");
    }
    assert!(read(&store, "latency", "rate", window).is_ok());
}

#[test]
fn sums_of_histograms_come_from_samples_as_they_came() {
    let directory = tempfile::tempdir().unwrap();
    let store = thinned(directory.path());
    let end = START_MS.div_euclid(HOUR_MS) * HOUR_MS + 40 * HOUR_MS;
    let hints = SelectHints {
        step_ms: HOUR_MS,
        function: "sum_over_time".to_owned(),
        window_ms: HOUR_MS,
        series_max: None,
        allows_downsampled: true,
    };
    let range = maru_series::TimeRange { start_ms: end - 6 * HOUR_MS + 1, end_ms: end };
    let found = store.select(&[equal("__name__", "latency")], range, &hints).unwrap();
    let (mut timestamps, mut values, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
    found[0].read(&mut timestamps, &mut values, &mut histograms).unwrap();
    assert_eq!((histograms.len(), timestamps.len()), (6 * 240, 0));
    assert_eq!(store.select(&[], ALL, &SelectHints::default()).unwrap().len(), 3);
}
