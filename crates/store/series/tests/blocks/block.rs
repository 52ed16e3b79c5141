//! One block: round trips, selection against a filter over all series, damage in each of its files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use maru_prom::{Histogram, Labels, Matcher, MatcherOperator, ResetHint, Span};
use maru_series::block::{Block, BlockCache, BlockId, BlockWriter, Samples, TimeRange, WriteOptions};
use maru_series::chunk::{Column, encode_floats, encode_histograms};
use maru_testkit::TempDir;
use proptest::prelude::*;

use crate::data;

pub const START: i64 = 1_700_000_000_000 / 7_200_000 * 7_200_000;

pub type Model = BTreeMap<Labels, Samples>;

pub fn histogram(seed: u64) -> Histogram {
    let scale = seed as f64;
    Histogram {
        reset_hint: ResetHint::Unknown,
        schema: 3,
        zero_threshold: 0.001,
        zero_count: scale,
        count: scale * 16.0,
        sum: scale * 0.37,
        positive_spans: vec![Span { offset: -2, length: 5 }],
        negative_spans: Vec::new(),
        positive_buckets: (1..=5).map(|bucket| scale * f64::from(bucket)).collect(),
        negative_buckets: Vec::new(),
        custom_values: Vec::new(),
    }
}

/// Some targets' series, and a native histogram each.
pub fn model(targets: usize, steps: usize) -> Model {
    let times: Vec<i64> = (0..steps as i64).map(|i| START + i * data::STEP_MS).collect();
    let mut model = Model::new();
    for target in 0..targets {
        for row in data::target(target, steps) {
            let samples = Samples { timestamps: times.clone(), values: row.values, histograms: Vec::new() };
            model.insert(row.labels, samples);
        }
        let labels = Labels::from_pairs([("__name__", "latency"), ("target", &target.to_string())]);
        let histograms = times.iter().enumerate().map(|(i, at)| (*at, Arc::new(histogram(i as u64 + 1)))).collect();
        model.insert(labels, Samples { histograms, ..Samples::default() });
    }
    model
}

pub fn add_all(writer: &mut BlockWriter, model: &Model, samples_per_chunk: usize) {
    for (labels, samples) in model {
        let mut chunks = Vec::new();
        for (times, values) in
            samples.timestamps.chunks(samples_per_chunk).zip(samples.values.chunks(samples_per_chunk))
        {
            chunks.push(encode_floats(times, values).unwrap());
        }
        for histograms in samples.histograms.chunks(samples_per_chunk) {
            chunks.extend(encode_histograms(histograms).unwrap());
        }
        writer.add(labels, &chunks).unwrap();
    }
}

pub fn write(directory: &Path, model: &Model, samples_per_chunk: usize) -> PathBuf {
    let mut writer = BlockWriter::create(directory, WriteOptions::raw(BlockId(1))).unwrap();
    add_all(&mut writer, model, samples_per_chunk);
    let info = writer.finish().unwrap().unwrap();
    assert_eq!(info.series, model.len() as u64);
    directory.join("0000000000000001")
}

pub fn same(a: &Samples, b: &Samples) -> bool {
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    a.timestamps == b.timestamps && bits(&a.values) == bits(&b.values) && a.histograms == b.histograms
}

fn matcher(name: &str, operator: MatcherOperator, value: &str) -> Matcher {
    Matcher::new(name, operator, value).unwrap()
}

#[test]
fn what_was_written_is_read_back() {
    let directory = TempDir::new();
    let model = model(3, 300);
    let cache = BlockCache::new(1 << 20);
    let block = Block::open(&write(directory.path(), &model, 120), &cache).unwrap();
    assert_eq!(block.info().samples, 303 * 300);
    assert_eq!(block.info().range, TimeRange { start_ms: START, end_ms: START + 299 * data::STEP_MS });
    let found = block.select(&[], TimeRange::all());
    assert_eq!(found.len(), model.len());
    for (series, (labels, samples)) in found.iter().zip(&model) {
        assert_eq!(series.labels(), labels);
        let mut into = Samples::default();
        assert_eq!(block.read(series, TimeRange::all(), Column::Floats, &mut into), 0);
        assert!(same(&into, samples), "{labels:?}");
        // A part, from the middle of one chunk to the middle of another.
        let part = TimeRange { start_ms: START + 50 * data::STEP_MS, end_ms: START + 200 * data::STEP_MS };
        into.clear();
        block.read(series, part, Column::Floats, &mut into);
        assert_eq!(into.timestamps.len() + into.histograms.len(), 151);
        assert!(into.values.iter().zip(samples.values.iter().skip(50)).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
    assert!(block.select(&[], TimeRange { start_ms: 0, end_ms: START - 1 }).is_empty());
    let names: std::collections::BTreeSet<&str> =
        model.keys().flat_map(|labels| labels.iter().map(|(name, _)| name)).collect();
    assert_eq!(block.label_names(&[]), names.into_iter().collect::<Vec<_>>());
    let up = [matcher("__name__", MatcherOperator::Equal, "up")];
    assert_eq!(block.label_names(&up), ["__name__", "instance", "job", "namespace", "pod"]);
    assert_eq!(block.label_values("job", &up), ["service-0", "service-1", "service-2"]);
    assert_eq!(block.label_values("handler", &[]), ["/", "/cart", "/items", "/login", "/orders"]);
    assert_eq!(block.label_values("nothing", &[]), Vec::<String>::new());
    assert_eq!(block.label_value_counts("target"), [("0".to_owned(), 1), ("1".to_owned(), 1), ("2".to_owned(), 1)]);
    assert_eq!(block.verify(), []);
    assert!(cache.bytes() <= 1 << 20);
    drop(found);
    drop(block);
    assert_eq!(cache.bytes(), 0);
}

#[test]
fn series_out_of_order_are_refused_and_unfinished_blocks_leave_nothing() {
    let directory = TempDir::new();
    let chunk = encode_floats(&[1], &[1.0]).unwrap();
    let mut writer = BlockWriter::create(directory.path(), WriteOptions::raw(BlockId(1))).unwrap();
    writer.add(&Labels::from_pairs([("a", "2")]), std::slice::from_ref(&chunk)).unwrap();
    assert!(writer.add(&Labels::from_pairs([("a", "2")]), std::slice::from_ref(&chunk)).is_err());
    assert!(writer.add(&Labels::from_pairs([("a", "1")]), std::slice::from_ref(&chunk)).is_err());
    drop(writer);
    let writer = BlockWriter::create(directory.path(), WriteOptions::raw(BlockId(1))).unwrap();
    assert!(writer.finish().unwrap().is_none());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

fn any_labels() -> impl Strategy<Value = Labels> {
    let value =
        prop_oneof![Just("a"), Just("b"), Just("ab"), Just("abc"), Just("x1"), Just("x22"), Just("ü\n"), Just("")];
    proptest::collection::vec((prop_oneof![Just("__name__"), Just("l"), Just("m"), Just("zone")], value), 0..4)
        .prop_map(Labels::from_pairs)
}

fn any_matcher() -> impl Strategy<Value = Matcher> {
    let name = prop_oneof![Just("__name__"), Just("l"), Just("m"), Just("zone"), Just("absent")];
    let text = prop_oneof![Just("a"), Just("ab"), Just("x1"), Just("none"), Just("")];
    let pattern = prop_oneof![
        Just("a|b"),
        Just("a.*"),
        Just("x[0-9]+"),
        Just(".*"),
        Just(".+"),
        Just("a|"),
        Just(""),
        Just("ab?c?"),
        Just("(?i)AB"),
        Just("ü."),
        Just("[^a]"),
        Just("a|x.*"),
        Just("$|b")
    ];
    prop_oneof![
        (name.clone(), text.clone()).prop_map(|(name, text)| matcher(name, MatcherOperator::Equal, text)),
        (name.clone(), text).prop_map(|(name, text)| matcher(name, MatcherOperator::NotEqual, text)),
        (name.clone(), pattern.clone()).prop_map(|(name, text)| matcher(name, MatcherOperator::Matches, text)),
        (name, pattern).prop_map(|(name, text)| matcher(name, MatcherOperator::NotMatches, text)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn selection_is_that_of_a_filter_over_all_series(
        series in proptest::collection::btree_set(any_labels(), 1..40),
        selections in proptest::collection::vec(proptest::collection::vec(any_matcher(), 0..4), 1..12),
    ) {
        let directory = TempDir::new();
        let samples = Samples { timestamps: vec![1], values: vec![1.0], histograms: Vec::new() };
        let model: Model = series.into_iter().map(|labels| (labels, samples.clone())).collect();
        let path = write(directory.path(), &model, 10);
        let block = Block::open(&path, &BlockCache::new(1 << 20)).unwrap();
        for matchers in selections {
            let fits = |labels: &&Labels| matchers.iter().all(|m| m.matches(labels.get(m.name()).unwrap_or_default()));
            let wanted: Vec<Labels> = model.keys().filter(fits).cloned().collect();
            let found: Vec<Labels> = block.select(&matchers, TimeRange::all()).iter().map(|s| s.labels().clone()).collect();
            prop_assert_eq!(found, wanted.clone(), "{:?}", matchers);
            let mut values: Vec<&str> = wanted.iter().filter_map(|labels| labels.get("l")).collect();
            values.sort_unstable();
            values.dedup();
            prop_assert_eq!(block.label_values("l", &matchers), values);
        }
        prop_assert_eq!(block.damage(), []);
    }
}

/// Opens a damaged block and checks that what it serves is right and what it does not serve is named.
/// Returns how many samples it serves, and how much damage it has named.
fn check_damaged(path: &Path, model: &Model) -> Option<(usize, usize)> {
    let block = Block::open(path, &BlockCache::new(4 << 20)).ok()?;
    let found = block.select(&[], TimeRange::all());
    let mut served = 0;
    let mut missing = found.len() < model.len();
    for series in &found {
        let wanted = model.get(series.labels()).unwrap_or_else(|| panic!("{:?} was never written", series.labels()));
        let mut into = Samples::default();
        let lost = block.read(series, TimeRange::all(), Column::Floats, &mut into);
        let all = wanted.timestamps.len() + wanted.histograms.len();
        assert_eq!(into.timestamps.len() + into.histograms.len() + lost as usize, all);
        missing |= lost > 0;
        assert!(lost > 0 || same(&into, wanted));
        served += all - lost as usize;
    }
    // A selection by postings agrees with the labels, also when postings are gone.
    for series in block.select(&[matcher("job", MatcherOperator::Equal, "service-1")], TimeRange::all()) {
        assert_eq!(series.labels().get("job"), Some("service-1"));
    }
    assert!(!missing || !block.damage().is_empty());
    Some((served, block.damage().len()))
}

/// Many small series and some that fill several pieces.
fn large_model() -> Model {
    let mut model: Model = model(3, 2);
    let mut random = data::Random::new(7);
    for number in 0..20 {
        let samples = Samples {
            timestamps: (0..480).map(|i| START + i * data::STEP_MS).collect(),
            values: (0..480).map(|_| f64::from_bits(random.next())).collect(),
            histograms: Vec::new(),
        };
        model.insert(
            Labels::from_pairs([("__name__", "random"), ("job", "service-1"), ("n", &number.to_string())]),
            samples,
        );
    }
    model
}

#[test]
fn flipped_bits_and_cuts_cost_their_piece_only() {
    let directory = TempDir::new();
    let model = large_model();
    let all: usize = model.values().map(|samples| samples.timestamps.len() + samples.histograms.len()).sum();
    let path = write(directory.path(), &model, 480);
    let mut served_least = all;
    for file in ["index", "chunks"] {
        let file = path.join(file);
        let whole = fs::read(&file).unwrap();
        let mut noticed = 0;
        let places: Vec<usize> = (0..whole.len()).step_by((whole.len() / 70).max(1)).collect();
        for place in &places {
            let mut flipped = whole.clone();
            flipped[*place] ^= 1 << (place % 8);
            fs::write(&file, &flipped).unwrap();
            let (served, _) =
                check_damaged(&path, &model).expect("one flipped bit leaves one of the two contents whole");
            served_least = served_least.min(served);
            let block = Block::open(&path, &BlockCache::new(4 << 20)).unwrap();
            noticed += usize::from(!block.verify().is_empty());
        }
        // The magic number of the chunks is part of no piece.
        assert!(noticed + 1 >= places.len(), "{noticed} of {} in {file:?}", places.len());
        for cut in (0..whole.len()).step_by((whole.len() / 40).max(1)) {
            fs::write(&file, &whole[..cut]).unwrap();
            let checked = check_damaged(&path, &model);
            assert!(checked.is_some_and(|(_, damage)| damage > 0) || file.ends_with("index"), "cut at {cut}");
        }
        fs::write(&file, &whole).unwrap();
    }
    assert!(served_least > 0, "the rest serves");
    assert_eq!(check_damaged(&path, &model), Some((all, 0)));
    fs::remove_file(path.join("chunks")).unwrap();
    assert!(matches!(check_damaged(&path, &model), Some((0, 1..))));
}

#[test]
fn postings_that_are_damaged_are_made_up_for_by_looking_at_every_series() {
    let directory = TempDir::new();
    let model = model(2, 20);
    let path = write(directory.path(), &model, 120);
    let file = path.join("index");
    let whole = fs::read(&file).unwrap();
    let wanted = model.keys().filter(|labels| labels.get("job") == Some("service-1")).count();
    let mut made_up = 0;
    for place in (0..whole.len()).step_by(9) {
        let mut flipped = whole.clone();
        flipped[place] ^= 1;
        fs::write(&file, &flipped).unwrap();
        let block = Block::open(&path, &BlockCache::new(4 << 20)).unwrap();
        let found = block.select(&[matcher("job", MatcherOperator::Equal, "service-1")], TimeRange::all()).len();
        let damage = block.damage();
        assert!(found <= wanted);
        if damage.iter().any(|damage| damage.reason.starts_with("postings")) {
            assert_eq!(found, wanted);
            made_up += 1;
        }
    }
    assert!(made_up > 0);
}

#[test]
fn deleted_samples_are_gone_at_once_and_after_opening_again() {
    let directory = TempDir::new();
    let model = model(2, 100);
    let path = write(directory.path(), &model, 40);
    let cache = BlockCache::new(1 << 20);
    let block = Block::open(&path, &cache).unwrap();
    let hole = TimeRange { start_ms: START + 10 * data::STEP_MS, end_ms: START + 59 * data::STEP_MS };
    let job = [matcher("job", MatcherOperator::Equal, "service-1")];
    assert_eq!(block.delete(&job, hole).unwrap(), 100);
    assert_eq!(block.delete(&[matcher("job", MatcherOperator::Equal, "none")], hole).unwrap(), 0);
    let again = Block::open(&path, &cache).unwrap();
    for block in [&block, &again] {
        for series in block.select(&[], TimeRange::all()) {
            let mut into = Samples::default();
            assert_eq!(block.read(&series, TimeRange::all(), Column::Floats, &mut into), 0);
            let left = into.timestamps.len() + into.histograms.len();
            assert_eq!(left, if series.labels().get("job") == Some("service-1") { 50 } else { 100 });
            assert!(left == 100 || into.timestamps.iter().all(|at| !hole.contains(*at)));
        }
    }
    // Damaged deletions are named; the samples serve.
    let file = path.join("tombstones");
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, bytes).unwrap();
    let damaged = Block::open(&path, &cache).unwrap();
    assert_eq!(damaged.damage().len(), 1);
}
