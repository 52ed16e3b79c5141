//! What must hold for any data: ranges are many instants, one thread is as many, and a plain reading of the
//! documentation gives the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use maru_prom::{Labels, stale_marker};
use maru_promql::{
    Engine, EngineOptions, Evaluation, MemorySource, ParseOptions, SampleRow, SampleValue, Value, parse,
};
use proptest::prelude::*;

type Points = BTreeMap<(Labels, i64), f64>;

fn engine(threads: usize) -> Engine {
    let mut options = EngineOptions::default();
    options.threads = threads;
    options.start_timestamps = true;
    Engine::new(options)
}

fn source(series: &[(Labels, Vec<(i64, f64)>)]) -> MemorySource {
    let mut source = MemorySource::default();
    for (labels, samples) in series {
        for (at, value) in samples {
            source.append(labels, *at, SampleValue::Float(*value), 0);
        }
    }
    source
}

fn points(rows: Vec<SampleRow>) -> Points {
    let mut points = Points::new();
    for row in rows {
        for (at, value) in row.floats {
            points.insert((row.labels.clone(), at), value);
        }
    }
    points
}

fn range(engine: &Engine, source: &MemorySource, query: &str, moments: (i64, i64, i64)) -> Result<Points, String> {
    let expression = parse(query, &ParseOptions::experimental()).unwrap();
    let (start_ms, end_ms, step_ms) = moments;
    let answer = engine.evaluate(source, &expression, &Evaluation::range(start_ms, end_ms, step_ms));
    match answer.map_err(|error| error.to_string())?.value {
        Value::Matrix(rows) => Ok(points(rows)),
        other => panic!("{other:?}"),
    }
}

fn instants(engine: &Engine, source: &MemorySource, query: &str, moments: (i64, i64, i64)) -> Result<Points, String> {
    let expression = parse(query, &ParseOptions::experimental()).unwrap();
    let mut points = Points::new();
    let mut at_ms = moments.0;
    while at_ms <= moments.1 {
        let answer = engine.evaluate(source, &expression, &Evaluation::instant(at_ms));
        match answer.map_err(|error| error.to_string())?.value {
            Value::Vector(samples) => {
                for sample in samples {
                    if let SampleValue::Float(value) = sample.value {
                        points.insert((sample.labels, at_ms), value);
                    }
                }
            }
            Value::Scalar { value, .. } => {
                points.insert((Labels::empty(), at_ms), value);
            }
            other => panic!("{other:?}"),
        }
        at_ms += moments.2;
    }
    Ok(points)
}

fn is_close(left: f64, right: f64) -> bool {
    left.to_bits() == right.to_bits()
        || (left.is_nan() && right.is_nan())
        || (left - right).abs() <= 1e-9 * left.abs().max(right.abs())
}

fn assert_same(query: &str, left: &Points, right: &Points) {
    let keys = |points: &Points| points.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(left), keys(right), "{query}");
    for (key, value) in left {
        assert!(is_close(*value, right[key]), "{query} at {key:?}: {value} and {}", right[key]);
    }
}

/// Values of all kinds: whole, broken, both signs, missing, the end of a series, not a number, infinite.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        10 => (0..1000).prop_map(f64::from),
        6 => -1e3..1e3_f64,
        3 => Just(0.0),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        2 => Just(stale_marker()),
    ]
}

/// Up to a dozen series, about one sample in 10 s; half of them share their timestamps.
fn data() -> impl Strategy<Value = Vec<(Labels, Vec<(i64, f64)>)>> {
    let one = (
        prop_oneof![Just("m_total"), Just("n")],
        prop_oneof![Just("a"), Just("b"), Just("c")],
        0..4_u8,
        any::<bool>(),
        any::<bool>(),
        proptest::collection::vec((value(), 1..40_i64, 0..8_u8), 0..60),
    );
    proptest::collection::vec(one, 0..12).prop_map(|all| {
        let mut series = BTreeMap::new();
        for (name, job, index, is_counter, is_even, samples) in all {
            let labels =
                Labels::from_pairs([("__name__", name), ("job", job), ("i", ["0", "1", "2", "3"][usize::from(index)])]);
            let mut at_ms = 0;
            let mut sum = 0.0;
            let mut points = Vec::new();
            for (value, gap, restart) in samples {
                at_ms += if is_even { 10_000 } else { gap * 500 };
                sum = if restart == 0 { 0.0 } else { sum + value.abs().min(1e3) };
                let is_sum = is_counter && value.is_finite();
                points.push((at_ms, if is_sum { sum } else { value }));
            }
            series.insert(labels, points);
        }
        series.into_iter().collect()
    })
}

const QUERIES: &[&str] = &[
    "m_total",
    "m_total offset 25s",
    "m_total @ 100",
    "rate(m_total[1m])",
    "increase(n[45s])",
    "delta(n[1m])",
    "irate(m_total[1m])",
    "idelta(n[1m])",
    "resets(m_total[1m])",
    "changes(n[1m])",
    "sum_over_time(n[1m])",
    "avg_over_time(m_total[1m])",
    "min_over_time(n[50s])",
    "max_over_time(n[50s])",
    "count_over_time(n[1m])",
    "stddev_over_time(m_total[1m])",
    "quantile_over_time(0.3, n[2m])",
    "quantile_over_time(0.9, m_total[30s])",
    "mad_over_time(n[1m])",
    "last_over_time(n[20s])",
    "first_over_time(n[20s])",
    "ts_of_max_over_time(n[1m])",
    "deriv(m_total[1m])",
    "predict_linear(m_total[1m], 60)",
    "rate(m_total[1m] anchored)",
    "increase(n[1m] smoothed)",
    "n smoothed",
    "changes(n[1m] anchored)",
    "absent(n)",
    "absent_over_time(n[20s])",
    "sum(rate(m_total[1m]))",
    "sum by (job) (n)",
    "avg without (i) (n)",
    "avg(m_total)",
    "min(n) + max(n)",
    "count by (job) ({__name__=~\"n|m_total\"})",
    "stddev(m_total)",
    "group(n)",
    "quantile by (job) (0.4, n)",
    "topk(2, n)",
    "bottomk by (job) (1, m_total)",
    "count_values(\"v\", round(n, 100))",
    "limitk(2, n)",
    "limit_ratio(0.5, n)",
    "n + on (job, i) m_total",
    "n > on (job) group_left () max by (job) (m_total)",
    "n > bool 10",
    "n < 100",
    "n and m_total",
    "n or on (job) m_total",
    "n unless on (job) m_total",
    "-n * 2 ^ 3 % 7",
    "scalar(n{job=\"a\", i=\"0\"}) + time()",
    "vector(scalar(n))",
    "timestamp(n)",
    "label_replace(n, \"x\", \"$1\", \"job\", \"(.)\")",
    "max_over_time(sum by (job) (n)[1m:15s])",
    "rate(m_total[1m:7s])",
    "sum_over_time(m_total[1m:10s] offset 20s)",
    "avg_over_time(n[30s] @ end())",
    "hour() + minute(n)",
    "clamp(n, 0, 10)",
    "round(n, 0.5)",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_range_is_its_instants(series in data(), start in 0..300_i64, step in 1..45_i64, steps in 1..12_i64) {
        let source = source(&series);
        let engine = engine(1);
        let moments = (start * 1000, (start + step * steps) * 1000, step * 1000);
        for query in QUERIES {
            // What looks at the query's own bounds is another query at each instant.
            if query.contains("end()") {
                continue;
            }
            match (range(&engine, &source, query, moments), instants(&engine, &source, query, moments)) {
                (Ok(range), Ok(instants)) => assert_same(query, &range, &instants),
                (Err(left), Err(right)) => prop_assert_eq!(left, right),
                (left, right) => prop_assert!(false, "{}: {:?} and {:?}", query, left, right),
            }
        }
    }

    #[test]
    fn threads_change_nothing(series in data(), start in 0..300_i64, step in 1..45_i64) {
        let source = source(&series);
        let (one, several) = (engine(1), engine(3));
        let moments = (start * 1000, (start + step * 80) * 1000, step * 1000);
        for query in QUERIES {
            let bits = |points: Points| points.into_iter().map(|(key, value)| (key, value.to_bits())).collect::<Vec<_>>();
            let left = range(&one, &source, query, moments).map(bits);
            let right = range(&several, &source, query, moments).map(bits);
            prop_assert_eq!(left, right, "{}", query);
        }
    }

    #[test]
    fn functions_are_as_the_documentation_reads(series in data(), at in 30..400_i64, window in 5..120_i64) {
        let source = source(&series);
        let engine = engine(1);
        let (end_ms, range_ms) = (at * 1000, window * 1000);
        for (query, reference) in REFERENCES {
            let query = query.replace('W', &format!("{window}s"));
            let found = range(&engine, &source, &query, (end_ms, end_ms + 3_000, 1_000)).unwrap();
            let mut expected = Points::new();
            for step in 0..4 {
                let end_ms = end_ms + step * 1000;
                for (labels, samples) in series.iter().filter(|(labels, _)| labels.metric_name() == "n") {
                    let inside = |(at, value): &&(i64, f64)| {
                        *at > end_ms - range_ms && *at <= end_ms && value.to_bits() != stale_marker().to_bits()
                    };
                    let window: Vec<(i64, f64)> = samples.iter().filter(inside).copied().collect();
                    if let Some(value) = (!window.is_empty()).then(|| reference(&window, end_ms, range_ms)).flatten() {
                        let labels = if query.starts_with("last") { labels.clone() } else { labels.without_name() };
                        expected.insert((labels, end_ms), value);
                    }
                }
            }
            assert_same(&query, &found, &expected);
        }
    }
}

/// What a function makes of the samples in a window, written down as plainly as can be.
type Reference = fn(&[(i64, f64)], i64, i64) -> Option<f64>;

const REFERENCES: &[(&str, Reference)] = &[
    ("count_over_time(n[W])", |window, _, _| Some(window.len() as f64)),
    ("last_over_time(n[W])", |window, _, _| window.last().map(|(_, value)| *value)),
    ("max_over_time(n[W])", |window, _, _| {
        let numbers = window.iter().map(|(_, value)| *value).filter(|value| !value.is_nan());
        Some(numbers.fold(f64::NAN, f64::max))
    }),
    ("min_over_time(n[W])", |window, _, _| {
        let numbers = window.iter().map(|(_, value)| *value).filter(|value| !value.is_nan());
        Some(numbers.fold(f64::NAN, f64::min))
    }),
    ("changes(n[W])", |window, _, _| {
        let is_change = |pair: &&[(i64, f64)]| pair[0].1 != pair[1].1 && !(pair[0].1.is_nan() && pair[1].1.is_nan());
        Some(window.windows(2).filter(is_change).count() as f64)
    }),
    ("resets(n[W])", |window, _, _| Some(window.windows(2).filter(|pair| pair[1].1 < pair[0].1).count() as f64)),
    ("idelta(n[W])", |window, _, _| match window {
        [.., before, last] => Some(last.1 - before.1),
        _ => None,
    }),
    ("increase(n[W])", |window, end_ms, range_ms| extrapolated(window, end_ms, range_ms, true)),
    ("delta(n[W])", |window, end_ms, range_ms| extrapolated(window, end_ms, range_ms, false)),
    ("quantile_over_time(0.7, n[W])", |window, _, _| {
        let mut values: Vec<f64> = window.iter().map(|(_, value)| *value).collect();
        values.sort_by(|left, right| {
            right.is_nan().cmp(&left.is_nan()).then(left.partial_cmp(right).unwrap_or(std::cmp::Ordering::Equal))
        });
        let rank = 0.7 * (values.len() - 1) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let (low, weight) = (rank as usize, rank.fract());
        let high = (low + 1).min(values.len() - 1);
        Some(values[low] * (1.0 - weight) + values[high] * weight)
    }),
];

/// "The increase is extrapolated to cover the full time range": to the edges, when samples are that close to them, else by
/// half their distance; a counter not to below zero.
fn extrapolated(window: &[(i64, f64)], end_ms: i64, range_ms: i64, is_counter: bool) -> Option<f64> {
    let [first, .., last] = window else { return None };
    let falls = window.windows(2).filter(|pair| is_counter && pair[1].1 < pair[0].1);
    let difference = falls.fold(last.1 - first.1, |sum, pair| sum + pair[0].1);
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let sampled = seconds(last.0 - first.0);
    let between = sampled / (window.len() - 1) as f64;
    let (mut before, mut after) = (seconds(first.0 - (end_ms - range_ms)), seconds(end_ms - last.0));
    if before >= between * 1.1 {
        before = between / 2.0;
    }
    if is_counter && difference > 0.0 && first.1 >= 0.0 {
        let to_zero = sampled * (first.1 / difference);
        if to_zero < before {
            before = to_zero;
        }
    }
    if after >= between * 1.1 {
        after = between / 2.0;
    }
    Some(difference * ((sampled + before + after) / sampled))
}
