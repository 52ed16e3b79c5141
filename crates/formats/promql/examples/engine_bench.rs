//! Measures the engine alone, over series in memory: `cargo run --release -p maru-promql --example engine_bench`.
//!
//! The data is that of the benches of the whole server: counters, gauges and classic histograms of 100 instances every
//! 15 s for 6 h. Reading a series copies its samples, which takes the place of decoding.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use maru_prom::{Labels, METRIC_NAME};
use maru_promql::{
    Engine, EngineOptions, Evaluation, Expression, MemorySource, ParseOptions, Samples, Selection, Series, Source,
    SourceError, Value, When, parse,
};

const STEP_MS: i64 = 15_000;
const SAMPLES: i64 = 1_440 + 20;

/// Series found by the metric's name, as an index would: looking through all of them is no work of the engine.
struct Indexed {
    by_name: BTreeMap<String, MemorySource>,
}

impl Source for Indexed {
    fn select<'a>(&'a self, selection: &Selection) -> Result<Vec<Box<dyn Series + 'a>>, SourceError> {
        let mut found = Vec::new();
        for (name, source) in &self.by_name {
            if selection.matchers.iter().all(|matcher| matcher.name() != METRIC_NAME || matcher.matches(name)) {
                let mut rest = selection.clone();
                rest.matchers.retain(|matcher| matcher.name() != METRIC_NAME);
                found.extend(source.select(&rest)?);
            }
        }
        Ok(found)
    }
}

fn fill() -> Indexed {
    let mut by_name: BTreeMap<String, MemorySource> = BTreeMap::new();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut add = |name: &str, pairs: &[(&str, String)], is_counter: bool| {
        let pairs = pairs.iter().map(|(name, value)| (*name, value.clone()));
        let labels = Labels::from_pairs(pairs.chain([(METRIC_NAME, name.to_owned())]));
        let mut value = (random() * 1000.0).floor();
        let mut samples = Samples::default();
        for sample in 0..SAMPLES {
            value = if is_counter { value + (random() * 50.0).floor() } else { (random() * 1e4).floor() / 10.0 };
            samples.timestamps.push(sample * STEP_MS);
            samples.values.push(value);
        }
        by_name.entry(name.to_owned()).or_default().insert(labels, samples);
    };
    for instance in 0..100 {
        let common = [("instance", format!("host-{instance}:9100")), ("job", format!("job-{}", instance % 10))];
        let with = |more: &[(&'static str, String)]| [common.to_vec(), more.to_vec()].concat();
        for code in 0..4 {
            for method in 0..5 {
                let more = [("code", format!("{}00", code + 2)), ("method", format!("m{method}"))];
                add("http_requests_total", &with(&more), true);
            }
        }
        for handler in 0..3 {
            for bucket in 0..12 {
                let more = [("handler", format!("/h{handler}")), ("le", format!("0.{bucket:02}"))];
                add("latency_seconds_bucket", &with(&more), true);
            }
        }
        for kind in 0..44 {
            add("memory_bytes", &with(&[("kind", format!("k{kind}"))]), false);
        }
    }
    Indexed { by_name }
}

fn main() {
    // A part of a case's name, to measure that alone.
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let source = fill();
    println!("{} series, {} samples each", source.by_name.values().map(MemorySource::len).sum::<usize>(), SAMPLES);
    let end_ms = (SAMPLES - 1) * STEP_MS;
    let range = When::Range { start_ms: end_ms - 1_439 * STEP_MS, end_ms, step_ms: STEP_MS };
    let instant = When::Instant { at_ms: end_ms };
    let cases = [
        ("range sum(rate), 3600 series", range, "sum(rate(latency_seconds_bucket[5m]))"),
        ("range sum by (le)(rate), 3600", range, "sum by (le)(rate(latency_seconds_bucket[5m]))"),
        ("range sum by (job)(rate), 2000", range, "sum by (job)(rate(http_requests_total[5m]))"),
        (
            "range histogram_quantile, 3600",
            range,
            "histogram_quantile(0.9, sum by (le, job)(rate(latency_seconds_bucket[5m])))",
        ),
        ("range histogram_quantile without sum", range, "histogram_quantile(0.9, rate(latency_seconds_bucket[5m]))"),
        ("range avg by (kind), 4400 gauges", range, "avg by (kind)(memory_bytes)"),
        ("range max by (kind)", range, "max by (kind)(memory_bytes)"),
        (
            "range error ratio",
            range,
            "sum(rate(http_requests_total{code=\"500\"}[5m])) / sum(rate(http_requests_total[5m]))",
        ),
        ("range avg_over_time[1h]", range, "sum(avg_over_time(memory_bytes{kind=\"k1\"}[1h]))"),
        ("range sum_over_time[1h]", range, "sum(sum_over_time(memory_bytes{kind=\"k1\"}[1h]))"),
        ("range max_over_time[1h]", range, "sum(max_over_time(memory_bytes{kind=\"k1\"}[1h]))"),
        ("range quantile_over_time[1h]", range, "sum(quantile_over_time(0.9, memory_bytes{kind=\"k1\"}[1h]))"),
        ("range rate whole, 2000 series", range, "rate(http_requests_total[5m])"),
        (
            "range join",
            range,
            "http_requests_total{code=\"200\"} * on(instance) group_left sum by (instance)(memory_bytes)",
        ),
        ("instant sum by (job)(rate), 2000", instant, "sum by (job)(rate(http_requests_total[5m]))"),
        (
            "instant histogram_quantile, 3600",
            instant,
            "histogram_quantile(0.9, sum by (le, job)(rate(latency_seconds_bucket[5m])))",
        ),
        ("instant topk", instant, "topk(10, sum by (instance)(rate(http_requests_total[5m])))"),
        ("instant whole metric, 2000", instant, "http_requests_total"),
        ("instant count of all 10k", instant, "count({__name__=~\".+\"})"),
        ("instant sum of 3600", instant, "sum(latency_seconds_bucket)"),
        (
            "instant sum by (label_replace)",
            instant,
            "sum by (x)(label_replace(http_requests_total{code=\"200\"}, \"x\", \"$1\", \"instance\", \"host-(.*):.*\"))",
        ),
        ("instant subquery", instant, "max_over_time(sum by (job)(rate(http_requests_total[5m]))[1h:1m])"),
        ("instant quantile_over_time[1h]", instant, "quantile_over_time(0.95, memory_bytes{kind=\"k1\"}[1h])"),
    ];
    for threads in [1, 2] {
        let mut options = EngineOptions::default();
        options.threads = threads;
        let engine = Engine::new(options);
        println!("-- {threads} threads");
        for (name, when, text) in cases.iter().filter(|(name, ..)| name.contains(&wanted)) {
            measure(&engine, &source, name, *when, text);
        }
    }
}

fn measure(engine: &Engine, source: &Indexed, name: &str, when: When, text: &str) {
    let expression = match parse(text, &ParseOptions::default()) {
        Ok(expression) => expression,
        Err(error) => return println!("{name}: {error}"),
    };
    let (mut best, mut best_cpu) = (Duration::MAX, Duration::MAX);
    let mut points = 0;
    for _ in 0..7 {
        let before = cpu();
        let (took, found) = once(engine, source, when, &expression);
        best = best.min(took);
        best_cpu = best_cpu.min(cpu().saturating_sub(before));
        points = found;
    }
    let (wall, cpu) = (best.as_secs_f64() * 1e3, best_cpu.as_secs_f64() * 1e3);
    println!("{name:40} {wall:8.2} ms, {cpu:8.2} ms of this thread's CPU time, {points} points");
}

/// Returns the CPU time of this thread: on a busy machine the better figure, with one thread.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split_whitespace().next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

fn once(engine: &Engine, source: &Indexed, when: When, expression: &Expression) -> (Duration, usize) {
    let mut evaluation = Evaluation::instant(0);
    evaluation.when = when;
    let before = Instant::now();
    let answer = engine.evaluate(source, expression, &evaluation);
    let took = before.elapsed();
    let points = match answer.map(|answer| answer.value) {
        Ok(Value::Vector(samples)) => samples.len(),
        Ok(Value::Matrix(rows)) => rows.iter().map(|row| row.floats.len()).sum(),
        Ok(_) => 1,
        Err(error) => {
            println!("{error}");
            0
        }
    };
    (took, points)
}
