//! Prints what a block of 100 targets x 100 series x 6 h takes on disk and how fast it is read: `cargo run --release --example block_sizes`.
#![allow(
    clippy::print_stdout,
    clippy::too_many_lines,
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

use std::time::Instant;

use maru_prom::{Matcher, MatcherOperator};
use maru_series::block::{Block, BlockCache, BlockId, BlockWriter, Samples, TimeRange, WriteOptions};
use maru_series::chunk::{Column, encode_floats};

fn main() {
    let steps = 1440;
    let mut rows: Vec<data::Row> = (0..100).flat_map(|target| data::target(target, steps)).collect();
    rows.sort_by(|a, b| a.labels.cmp(&b.labels));
    let samples = (rows.len() * steps) as f64;
    let jitter = std::env::args().any(|argument| argument == "jitter");
    for length in [480, 1440] {
        let directory = tempfile::tempdir().unwrap();
        let begin = Instant::now();
        let mut writer = BlockWriter::create(directory.path(), WriteOptions::raw(BlockId(1))).unwrap();
        for row in &rows {
            let target = row.labels.get("pod").unwrap().len() as u64
                + row.labels.get("pod").unwrap().bytes().map(u64::from).sum::<u64>();
            let mut random = data::Random::new(target);
            let times: Vec<i64> = (0..steps)
                .map(|i| 1_700_000_000_000 + i as i64 * data::STEP_MS + if jitter { random.below(4) as i64 } else { 0 })
                .collect();
            let chunks: Vec<_> = (0..steps)
                .step_by(length)
                .map(|start| encode_floats(&times[start..start + length], &row.values[start..start + length]).unwrap())
                .collect();
            writer.add(&row.labels, &chunks).unwrap();
        }
        let info = writer.finish().unwrap().unwrap();
        let seconds = begin.elapsed().as_secs_f64();
        let path = directory.path().join("0000000000000001");
        let size = |name: &str| std::fs::metadata(path.join(name)).unwrap().len() as f64 / samples;
        println!(
            "{length} samples a chunk: {:.3} B a sample (chunks {:.3}, index {:.4} = {:.1} B a series), written in {seconds:.2} s = {:.0} ns a sample",
            info.bytes as f64 / samples,
            size("chunks"),
            size("index"),
            size("index") * steps as f64,
            seconds * 1e9 / samples
        );
        for (name, selector) in [
            ("sum(rate) over buckets", "http_request_duration_seconds_bucket"),
            ("requests", "http_requests_total"),
            ("one", "up"),
        ] {
            let cache = BlockCache::new(64 << 20);
            for round in ["first", "again"] {
                let begin = Instant::now();
                let block = Block::open(&path, &cache).unwrap();
                let open = begin.elapsed();
                let matchers = [Matcher::new("__name__", MatcherOperator::Equal, selector).unwrap()];
                for pass in ["cold", "warm"] {
                    let begin = Instant::now();
                    let series = block.select(&matchers, TimeRange::all());
                    let select = begin.elapsed();
                    let begin = Instant::now();
                    let mut into = Samples::default();
                    let mut read = 0;
                    let mut sum = 0.0;
                    for series in &series {
                        into.clear();
                        assert_eq!(block.read(series, TimeRange::all(), Column::Floats, &mut into), 0);
                        read += into.values.len();
                        sum += into.values[into.values.len() - 1];
                    }
                    println!(
                        "  {name} {round} {pass}: {} series, open {open:?}, select {select:?}, read {:?} = {:.2} ns a sample ({sum})",
                        series.len(),
                        begin.elapsed(),
                        begin.elapsed().as_secs_f64() * 1e9 / read as f64
                    );
                }
            }
        }
        let cache = BlockCache::new(64 << 20);
        let block = Block::open(&path, &cache).unwrap();
        let matchers = [Matcher::new("instance", MatcherOperator::Matches, "10.0.0.7:8080|10.0.0.8:8080").unwrap()];
        let begin = Instant::now();
        println!(
            "  two instances: {} series in {:?}",
            block.select(&matchers, TimeRange::all()).len(),
            begin.elapsed()
        );
        let begin = Instant::now();
        println!("  again: {} series in {:?}", block.select(&matchers, TimeRange::all()).len(), begin.elapsed());
        let begin = Instant::now();
        println!("  all: {} series in {:?}", block.select(&[], TimeRange::all()).len(), begin.elapsed());
        println!("  verify: {:?}", block.verify());
    }
}
