//! Prints what writing and reading costs: `cargo run --release --example ingest -- TARGETS STEPS [WRITERS]`.
//!
//! Targets have 100 series each, a sample every 15 s; 2000 samples a commit, the log on, several writers at once.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    dead_code,
    reason = "a tool for measuring"
)]

#[path = "../tests/blocks/data.rs"]
mod data;

use std::path::Path;
use std::time::{Duration, Instant};

use maru_prom::{Matcher, MatcherOperator};
use maru_series::{SelectHints, SeriesStore, StoreOptions, TimeRange, WriteScope};
use rayon::prelude::*;

const START: i64 = 1_795_305_600_000;
const BATCH: usize = 2000;

fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn rss() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
}

fn size(path: &Path) -> u64 {
    std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() })
        .sum()
}

fn options(path: &Path) -> StoreOptions {
    let mut options = StoreOptions::new(path.to_owned(), maru_time::system_clock());
    options.future_window = None;
    options
}

#[expect(clippy::too_many_lines, reason = "a measurement, told from its start to its end")]
fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|text| text.parse().unwrap()).collect();
    let (targets, steps) = (numbers[0], numbers[1]);
    let writers = numbers.get(2).copied().unwrap_or(4);
    let rows: Vec<data::Row> = (0..targets).flat_map(|target| data::target(target, steps)).collect();
    let raw: Vec<Vec<u8>> = rows.iter().map(|row| row.labels.key().as_bytes().to_vec()).collect();
    let samples = (rows.len() * steps) as f64;
    let directory = tempfile::tempdir_in(".").unwrap();
    let (store, _) = SeriesStore::open(options(directory.path())).unwrap();
    let (before_rss, before_cpu, begin) = (rss(), cpu(), Instant::now());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let part = rows.len().div_ceil(writers);
        let hands: Vec<_> = rows
            .chunks(part)
            .zip(raw.chunks(part))
            .map(|(rows, raw)| {
                let store = &store;
                scope.spawn(move || {
                    let mut appender = store.appender(&WriteScope::everyone());
                    for step in 0..steps {
                        let at = START + step as i64 * data::STEP_MS;
                        for (rows, raw) in rows.chunks(BATCH).zip(raw.chunks(BATCH)) {
                            for (row, raw) in rows.iter().zip(raw) {
                                let pairs = || Ok::<_, ()>(row.labels.iter().collect::<Vec<_>>());
                                let series = appender.series_by_bytes(raw, pairs).unwrap();
                                appender.append(series, at, row.values[step]);
                            }
                            let report = appender.commit().unwrap();
                            assert!(report.refused.is_empty(), "{:?}", report.refused);
                        }
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
                store.maintain_now().unwrap();
            }
        });
        for hand in hands {
            hand.join().unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let (used, wall) = (cpu() - before_cpu, begin.elapsed().as_secs_f64());
    println!(
        "{} series x {steps}: {:.3} CPU-s per M samples, {:.0} k samples/s",
        rows.len(),
        used / samples * 1e6,
        samples / wall / 1e3
    );
    println!("memory {:.0} B a series", (rss() - before_rss) / rows.len() as f64);
    let statistics = store.statistics(3);
    println!(
        "live {:.2} B a sample: log {} KB, chunks {} KB, blocks {} KB of {}; {} syncs",
        size(directory.path()) as f64 / samples,
        statistics.log_bytes / 1024,
        statistics.chunk_bytes / 1024,
        statistics.block_bytes / 1024,
        statistics.blocks,
        statistics.log_syncs
    );
    println!(
        "memory by use, B a series: {:?}",
        statistics.memory_bytes.iter().map(|(what, bytes)| (*what, bytes / rows.len() as u64)).collect::<Vec<_>>()
    );
    queries(&store, steps);
    drop(store);
    let (begin, begin_cpu) = (Instant::now(), cpu());
    let (store, report) = SeriesStore::open(options(directory.path())).unwrap();
    println!(
        "open {:.0} ms ({:.0} ms CPU), {} samples read back, {:?}",
        begin.elapsed().as_secs_f64() * 1e3,
        (cpu() - begin_cpu) * 1e3,
        report.samples_replayed,
        report.set_aside
    );
    queries(&store, steps);
    let begin = (cpu(), Instant::now());
    store.flush().unwrap();
    println!(
        "flush {:.3} CPU-s per M samples of all; then {:.2} B a sample",
        (cpu() - begin.0) / samples * 1e6,
        size(directory.path()) as f64 / samples
    );
    queries(&store, steps);
}

fn queries(store: &SeriesStore, steps: usize) {
    let end = START + steps as i64 * data::STEP_MS;
    for (name, metric, start_ms) in [
        ("whole range", "http_request_duration_seconds_bucket", START),
        ("whole range", "http_requests_total", START),
        ("last 5 min", "http_requests_total", end - 300_000),
        ("last 5 min", "up", end - 300_000),
    ] {
        let mut best = (f64::MAX, 0.0, 0, 0);
        for _ in 0..5 {
            let begin = Instant::now();
            let matchers = [Matcher::new("__name__", MatcherOperator::Equal, metric).unwrap()];
            let range = TimeRange { start_ms, end_ms: end };
            let found = store.select(&matchers, range, &SelectHints::default()).unwrap();
            let selected = begin.elapsed().as_secs_f64() * 1e3;
            let count: usize = found
                .par_iter()
                .map_init(
                    || (Vec::new(), Vec::new(), Vec::new()),
                    |(timestamps, values, histograms), series| {
                        timestamps.clear();
                        values.clear();
                        histograms.clear();
                        series.read(timestamps, values, histograms).unwrap();
                        values.len()
                    },
                )
                .sum();
            let whole = begin.elapsed().as_secs_f64() * 1e3;
            if whole < best.0 {
                best = (whole, selected, found.len(), count);
            }
        }
        println!(
            "  {name} of {metric}: {} series, {} samples, select {:.2} ms, all {:.2} ms",
            best.2, best.3, best.1, best.0
        );
    }
}
