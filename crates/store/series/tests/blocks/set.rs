//! The set of blocks: merging, downsampling, retention, deletion, snapshots, and starts after interrupted work.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use maru_prom::{Labels, Matcher, MatcherOperator};
use maru_series::block::{BlockInfo, Samples, TimeRange};
use maru_series::blocks::{Blocks, BlocksOptions, ReadHints};
use maru_series::chunk::Column;
use maru_testkit::TempDir;

use crate::block::{Model, START, add_all, model, same};
use crate::data;

const HOUR: i64 = 3_600_000;
static RUN: AtomicBool = AtomicBool::new(false);
const PLAIN: ReadHints<'_> = ReadHints { step_ms: 0, window_ms: 0, function: "" };

fn options() -> BlocksOptions {
    BlocksOptions { retention_ms: None, ..BlocksOptions::default() }
}

/// Returns the samples of `model` in some steps.
fn part(model: &Model, steps: std::ops::Range<usize>) -> Model {
    let cut = |samples: &Samples| Samples {
        timestamps: samples.timestamps.get(steps.clone()).unwrap_or_default().to_vec(),
        values: samples.values.get(steps.clone()).unwrap_or_default().to_vec(),
        histograms: samples.histograms.get(steps.clone()).unwrap_or_default().to_vec(),
    };
    model.iter().map(|(labels, samples)| (labels.clone(), cut(samples))).collect()
}

fn write(blocks: &Blocks, model: &Model) -> BlockInfo {
    let mut writer = blocks.writer().unwrap();
    add_all(&mut writer, model, 480);
    let info = writer.finish().unwrap().unwrap();
    blocks.add(&info).unwrap();
    info
}

/// Reads all series from all blocks.
fn read_all(blocks: &Blocks, range: TimeRange, hints: ReadHints<'_>) -> Model {
    let mut found = Model::new();
    for (block, span, column) in blocks.select(range, hints) {
        for series in block.select(&[], span) {
            let into = found.entry(series.labels().clone()).or_default();
            assert_eq!(block.read(&series, span, column, into), 0);
        }
    }
    for samples in found.values_mut() {
        let all: BTreeMap<i64, f64> = samples.timestamps.drain(..).zip(samples.values.drain(..)).collect();
        (samples.timestamps, samples.values) = all.into_iter().unzip();
        samples.histograms.sort_by_key(|(at, _)| *at);
        samples.histograms.dedup_by_key(|(at, _)| *at);
    }
    found.retain(|_, samples| !samples.is_empty());
    found
}

fn check(blocks: &Blocks, model: &Model) {
    let found = read_all(blocks, TimeRange::all(), PLAIN);
    assert_eq!(found.len(), model.len());
    for (labels, samples) in model {
        assert!(same(&found[labels], samples), "{labels:?}");
    }
}

fn raw(blocks: &Blocks) -> Vec<BlockInfo> {
    blocks.list().iter().map(|block| block.info().clone()).filter(|info| info.resolution_ms == 0).collect()
}

#[test]
fn neighbours_and_late_samples_become_one_block_that_reads_the_same() {
    let directory = TempDir::new();
    let steps = 3 * 480;
    let whole = model(1, steps);
    let (blocks, damage) = Blocks::open(directory.path(), options()).unwrap();
    assert_eq!(damage, []);
    // Every third sample of the first hour comes late.
    let mut first = part(&whole, 0..480);
    let mut late = Model::new();
    for (labels, samples) in &mut first {
        let is_late = |index: usize| index < 240 && index.is_multiple_of(3);
        let mut behind = Samples::default();
        let mut kept = Samples::default();
        for (index, (at, value)) in samples.timestamps.iter().zip(&samples.values).enumerate() {
            let into = if is_late(index) { &mut behind } else { &mut kept };
            into.timestamps.push(*at);
            into.values.push(*value);
        }
        for (index, sample) in samples.histograms.iter().enumerate() {
            let into = if is_late(index) { &mut behind } else { &mut kept };
            into.histograms.push(sample.clone());
        }
        *samples = kept;
        late.insert(labels.clone(), behind);
    }
    for model in [&first, &part(&whole, 480..960), &part(&whole, 960..1440), &late] {
        write(&blocks, model);
    }
    check(&blocks, &whole);
    let start = START.div_euclid(6 * HOUR) * 6 * HOUR;
    let report = blocks.maintain(start + 14 * HOUR, &RUN).unwrap();
    assert!(!report.written.is_empty());
    assert!(raw(&blocks).len() <= 2, "{:?}", raw(&blocks));
    check(&blocks, &whole);
    assert!(blocks.maintain(start + 14 * HOUR, &RUN).unwrap().written.is_empty());
    let before: Vec<_> = blocks.list().iter().map(|block| block.info().clone()).collect();
    drop(blocks);
    let (again, damage) = Blocks::open(directory.path(), options()).unwrap();
    assert_eq!(damage, []);
    assert_eq!(again.list().iter().map(|block| block.info().clone()).collect::<Vec<_>>(), before);
    check(&again, &whole);
}

/// What `increase` needs of a window: the growth from its first to its last sample over all resets.
fn growth(samples: &Samples, window: TimeRange) -> Option<f64> {
    let inside: Vec<f64> = samples
        .timestamps
        .iter()
        .zip(&samples.values)
        .filter(|(at, value)| window.contains(**at) && !maru_prom::is_stale_marker(**value))
        .map(|(_, value)| *value)
        .collect();
    let grown = inside.windows(2).map(|pair| if pair[1] < pair[0] { pair[1] } else { pair[1] - pair[0] }).sum();
    (inside.len() > 1).then_some(grown)
}

fn fold(samples: &Samples, window: TimeRange, with: fn(f64, f64) -> f64) -> Option<f64> {
    let inside = samples.timestamps.iter().zip(&samples.values).filter(|(at, _)| window.contains(**at));
    inside.map(|(_, value)| *value).reduce(with)
}

fn near(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
        (a, b) => a.is_none() && b.is_none(),
    }
}

#[test]
fn downsampled_blocks_answer_as_the_samples_do() {
    let directory = TempDir::new();
    let mut whole = model(1, 24 * 240);
    let mut number = 0;
    whole.retain(|labels, samples| {
        number += 1;
        number % 9 == 0 || !samples.histograms.is_empty() || labels.metric_name() == "busy_ratio"
    });
    let reset = |index: usize| index > 1000 && index.is_multiple_of(777);
    for (labels, samples) in &mut whole {
        // Counters start again now and then.
        if labels.metric_name().ends_with("_total") {
            let mut base = 0.0;
            for index in 0..samples.values.len() {
                base = if reset(index) { samples.values[index] } else { base };
                samples.values[index] -= base;
            }
        }
    }
    let (blocks, _) = Blocks::open(directory.path(), options()).unwrap();
    for hours in 0..12 {
        write(&blocks, &part(&whole, hours * 480..(hours + 1) * 480));
    }
    let newest = START + 40 * HOUR;
    blocks.maintain(newest, &RUN).unwrap();
    let sizes = |resolution| {
        blocks
            .list()
            .iter()
            .map(|block| block.info())
            .filter(|info| info.resolution_ms == resolution)
            .map(|info| info.bytes)
            .sum::<u64>()
    };
    assert!(
        sizes(300_000) > 0 && sizes(HOUR) > 0 && sizes(300_000) < sizes(0) * 2 / 3 && sizes(HOUR) < sizes(0) / 6,
        "{} {} {}",
        sizes(0),
        sizes(300_000),
        sizes(HOUR)
    );
    check(&blocks, &whole);
    let grid = START.div_euclid(HOUR) * HOUR + 2 * HOUR;
    for (resolution, window) in [(300_000, 600_000), (HOUR, 2 * HOUR)] {
        let range = TimeRange { start_ms: grid - window + 1, end_ms: grid + 18 * HOUR };
        for function in ["increase", "min_over_time", "max_over_time", "sum_over_time"] {
            let hints = ReadHints { step_ms: resolution, window_ms: window, function };
            let parts = blocks.select(range, hints);
            let (thinned, others): (Vec<_>, Vec<_>) =
                parts.iter().partition(|(block, _, _)| block.info().resolution_ms == resolution);
            assert!(
                !thinned.is_empty() && others.iter().all(|(_, span, _)| span.end_ms - span.start_ms < 2 * HOUR),
                "{parts:?}"
            );
            let found = read_all(&blocks, range, hints);
            for (labels, samples) in whole.iter().filter(|(_, samples)| samples.histograms.is_empty()) {
                for at in (0..18 * HOUR / resolution).map(|i| grid + i * resolution) {
                    let window = TimeRange { start_ms: at - window + 1, end_ms: at };
                    let answer = |samples: &Samples| match function {
                        "increase" => growth(samples, window),
                        "min_over_time" => fold(samples, window, f64::min),
                        "max_over_time" => fold(samples, window, f64::max),
                        _ => fold(samples, window, |a, b| a + b),
                    };
                    let is_gauge = ["temperature_celsius", "memory_bytes", "queue_length", "busy_ratio"]
                        .contains(&labels.metric_name());
                    if function == "increase" && is_gauge {
                        continue;
                    }
                    let (a, b) = (answer(samples), answer(&found[labels]));
                    assert!(near(a, b), "{function} of {labels:?} at {at}: {a:?} and {b:?}");
                }
            }
        }
    }
}

#[test]
fn downsampled_blocks_take_in_late_samples_and_outlive_those_they_stand_for() {
    let directory = TempDir::new();
    let whole = model(1, 6 * 240);
    let (blocks, _) = Blocks::open(directory.path(), options()).unwrap();
    for hours in 0..3 {
        write(&blocks, &part(&whole, hours * 480..(hours + 1) * 480));
    }
    blocks.maintain(START + 24 * HOUR, &RUN).unwrap();
    let late: Model = [(
        Labels::from_pairs([("__name__", "late")]),
        Samples { timestamps: vec![START + 77, START + HOUR], values: vec![5.0, 7.0], histograms: Vec::new() },
    )]
    .into();
    write(&blocks, &late);
    let hints = ReadHints { step_ms: HOUR, window_ms: HOUR, function: "max_over_time" };
    let range = TimeRange { start_ms: START.div_euclid(HOUR) * HOUR + 1, end_ms: START + 5 * HOUR };
    let sees_late =
        |blocks: &Blocks| read_all(blocks, range, hints).keys().any(|labels| labels.metric_name() == "late");
    assert!(sees_late(&blocks));
    blocks.maintain(START + 24 * HOUR, &RUN).unwrap();
    assert!(sees_late(&blocks));
    assert!(blocks.select(range, hints).iter().all(|(block, _, _)| block.info().resolution_ms == HOUR));
    drop(blocks);
    // Samples as they came expire; downsampled ones stay and serve.
    let short = BlocksOptions { retention_ms: Some(HOUR), ..options() };
    let (blocks, _) = Blocks::open(directory.path(), short).unwrap();
    blocks.maintain(START + 24 * HOUR, &RUN).unwrap();
    assert_eq!(raw(&blocks), []);
    let found = read_all(&blocks, TimeRange::all(), PLAIN);
    assert_eq!(found.len(), whole.len() + 1);
    assert!(
        blocks
            .select(TimeRange::all(), PLAIN)
            .iter()
            .all(|(block, _, column)| block.info().resolution_ms == 300_000 && *column == Column::Floats)
    );
}

#[test]
fn deletions_hold_through_merging_and_cleaning_frees_their_bytes() {
    let directory = TempDir::new();
    let whole = model(1, 480);
    let (blocks, _) = Blocks::open(directory.path(), options()).unwrap();
    write(&blocks, &whole);
    let up = Matcher::new("__name__", MatcherOperator::NotEqual, "up").unwrap();
    let deleted = blocks.delete(&[up], TimeRange { start_ms: START, end_ms: START + 239 * data::STEP_MS }).unwrap();
    assert_eq!(deleted, 100);
    let mut left = whole.clone();
    for (labels, samples) in &mut left {
        if labels.metric_name() != "up" {
            samples.timestamps.drain(..240.min(samples.timestamps.len()));
            samples.values.drain(..240.min(samples.values.len()));
            samples.histograms.drain(..240.min(samples.histograms.len()));
        }
    }
    check(&blocks, &left);
    let before = blocks.bytes();
    let reader = blocks.list().pop().unwrap();
    let report = blocks.clean_deleted(&RUN).unwrap();
    assert_eq!((report.written.len(), report.removed.len()), (1, 1));
    assert!(blocks.bytes() < before * 2 / 3);
    assert!(!blocks.list()[0].has_deletions());
    check(&blocks, &left);
    // A reader that had the old block goes on reading.
    assert_eq!(reader.select(&[], TimeRange::all()).len(), whole.len());
    blocks.delete(&[], TimeRange::all()).unwrap();
    blocks.clean_deleted(&RUN).unwrap();
    assert_eq!(blocks.list().len(), 0);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn snapshots_are_whole_and_stay_when_the_original_goes() {
    let directory = TempDir::new();
    let whole = model(1, 480);
    let (blocks, _) = Blocks::open(&directory.join("blocks"), options()).unwrap();
    write(&blocks, &part(&whole, 0..240));
    write(&blocks, &part(&whole, 240..480));
    blocks.snapshot(&directory.join("copy")).unwrap();
    assert!(blocks.snapshot(&directory.join("copy")).is_err(), "never over another one");
    blocks.delete(&[], TimeRange::all()).unwrap();
    blocks.clean_deleted(&RUN).unwrap();
    let (copy, damage) = Blocks::open(&directory.join("copy"), options()).unwrap();
    assert_eq!(damage, []);
    check(&copy, &whole);
}

#[test]
fn interrupted_work_is_finished_or_undone_at_the_next_start() {
    let directory = TempDir::new();
    let whole = model(1, 3 * 480);
    let (blocks, _) = Blocks::open(&directory.join("blocks"), options()).unwrap();
    for hours in 0..3 {
        write(&blocks, &part(&whole, hours * 480..(hours + 1) * 480));
    }
    blocks.snapshot(&directory.join("before")).unwrap();
    blocks.maintain(START + 24 * HOUR, &RUN).unwrap();
    let settled: Vec<_> = blocks.list().iter().map(|block| block.info().id).collect();
    drop(blocks);
    // As if the sources had not been removed yet, and another merge were half-way.
    for entry in fs::read_dir(directory.join("before")).unwrap() {
        let from = entry.unwrap().path();
        let to = directory.join("blocks").join(from.file_name().unwrap());
        if to.exists() {
            continue;
        }
        fs::create_dir(&to).unwrap();
        for file in fs::read_dir(&from).unwrap() {
            let file = file.unwrap().path();
            fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
        }
    }
    fs::create_dir(directory.join("blocks/tmp-00000000000000ff")).unwrap();
    directory.write("blocks/tmp-00000000000000ff/chunks", "half");
    let (blocks, damage) = Blocks::open(&directory.join("blocks"), options()).unwrap();
    assert_eq!(damage, []);
    assert_eq!(blocks.list().iter().map(|block| block.info().id).collect::<Vec<_>>(), settled);
    assert_eq!(fs::read_dir(directory.join("blocks")).unwrap().count(), settled.len());
    check(&blocks, &whole);
}

#[test]
fn damaged_blocks_are_neither_merged_nor_lost() {
    let directory = TempDir::new();
    let whole = model(1, 3 * 480);
    let (blocks, _) = Blocks::open(directory.path(), options()).unwrap();
    let infos: Vec<_> = (0..3).map(|hours| write(&blocks, &part(&whole, hours * 480..(hours + 1) * 480))).collect();
    let chunks = directory.join(format!("{:016x}/chunks", infos[1].id.0));
    let mut bytes = fs::read(&chunks).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&chunks, bytes).unwrap();
    blocks.maintain(START + 24 * HOUR, &RUN).unwrap();
    assert_eq!(blocks.damage().len(), 1);
    assert!(blocks.list().iter().any(|block| block.info().id == infos[1].id));
    // One that cannot be opened at all is named and left where it is; the rest serves.
    fs::write(directory.join(format!("{:016x}/index", infos[1].id.0)), "gone").unwrap();
    drop(blocks);
    let (blocks, damage) = Blocks::open(directory.path(), options()).unwrap();
    assert_eq!(damage.len(), 1, "{damage:?}");
    assert!(damage[0].path.ends_with(format!("{:016x}", infos[1].id.0)));
    assert!(directory.join(format!("{:016x}", infos[1].id.0)).exists());
    assert!(!blocks.list().is_empty());
}

#[test]
fn cancelled_work_changes_nothing() {
    let directory = TempDir::new();
    let whole = model(1, 3 * 480);
    let (blocks, _) = Blocks::open(directory.path(), options()).unwrap();
    for hours in 0..3 {
        write(&blocks, &part(&whole, hours * 480..(hours + 1) * 480));
    }
    let report = blocks.maintain(START + 24 * HOUR, &AtomicBool::new(true)).unwrap();
    assert_eq!((report.written.len(), report.removed.len()), (0, 0));
    check(&blocks, &whole);
}

#[test]
fn deletions_and_readers_go_on_while_blocks_are_merged() {
    let directory = TempDir::new();
    let whole = model(1, 3 * 480);
    let (blocks, _) = Blocks::open(directory.path(), options()).unwrap();
    for hours in 0..3 {
        write(&blocks, &part(&whole, hours * 480..(hours + 1) * 480));
    }
    let blocks = Arc::new(blocks);
    std::thread::scope(|scope| {
        scope.spawn(|| blocks.maintain(START + 24 * HOUR, &RUN).unwrap());
        let up = Matcher::new("__name__", MatcherOperator::Equal, "up").unwrap();
        blocks.delete(&[up], TimeRange::all()).unwrap();
        for _ in 0..5 {
            assert_eq!(read_all(&blocks, TimeRange::all(), PLAIN).len(), whole.len() - 1);
        }
    });
    blocks.maintain(START + 24 * HOUR, &RUN).unwrap();
    let mut left = whole.clone();
    left.retain(|labels, _| labels.metric_name() != "up");
    check(&blocks, &left);
}
