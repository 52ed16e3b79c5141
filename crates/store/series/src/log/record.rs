//! What a frame of the log says: one batch of a writer, or what was named on the way.
//!
//! A frame's content is a row of sections: a byte that tells the kind, the length, the body.
//! Values are told relative to the value of the same series before in the same file, so samples behind a damaged frame cannot be read.
//!
//! Long because each section of a record is written and read side by side.

use std::sync::Arc;

use maru_prom::{Exemplar, Histogram, Labels, Metadata, MetricType, ResetHint, Span};

use super::varint::{Reader, put, put_bytes, put_float, put_signed, put_size, put_text};
use crate::block::TimeRange;
use crate::head::value::ValueState;
use crate::starts::{Extent, StartChange};

/// Kinds of sections.
const PAIR: u8 = 1;
const SERIES: u8 = 2;
const SCOPE: u8 = 3;
const METADATA: u8 = 4;
const DELETED: u8 = 5;
const SAMPLES: u8 = 6;
const LATE_SAMPLES: u8 = 7;
const HISTOGRAMS: u8 = 8;
const LATE_HISTOGRAMS: u8 = 9;
const STARTS: u8 = 10;
const EXEMPLARS: u8 = 11;

/// One float of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    pub(crate) series: u32,
    pub(crate) timestamp_ms: i64,
    pub(crate) value: f64,
}

/// One histogram of a batch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HistogramSample {
    pub(crate) series: u32,
    pub(crate) timestamp_ms: i64,
    pub(crate) histogram: Arc<Histogram>,
}

/// A series as the log names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SeriesEntry<'a> {
    pub(crate) id: u32,
    pub(crate) scope: u32,
    pub(crate) created_s: u32,
    /// The numbers of its pairs.
    pub(crate) pairs: &'a [u8],
}

/// What a section says.
#[derive(Debug)]
pub(crate) enum Section<'a> {
    Pair { id: u32, name: &'a str, value: &'a str },
    Series(SeriesEntry<'a>),
    Scope { id: u32, labels: Labels },
    Metadata { metric: &'a str, metadata: Metadata },
    Deleted { series: u32, range: TimeRange },
    Samples { is_late: bool, samples: Vec<Sample> },
    Histograms { is_late: bool, samples: Vec<HistogramSample> },
    Starts(Vec<StartChange>),
    Exemplars(Vec<(u32, Exemplar)>),
}

fn section(out: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    body(&mut content);
    out.push(kind);
    put_bytes(out, &content);
}

pub(crate) fn put_pair(out: &mut Vec<u8>, id: u32, name: &str, value: &str) {
    section(out, PAIR, |out| {
        put(out, u64::from(id));
        put_text(out, name);
        put_text(out, value);
    });
}

pub(crate) fn put_series(out: &mut Vec<u8>, entry: &SeriesEntry<'_>) {
    section(out, SERIES, |out| {
        put(out, u64::from(entry.id));
        put(out, u64::from(entry.scope));
        put(out, u64::from(entry.created_s));
        out.extend_from_slice(entry.pairs);
    });
}

pub(crate) fn put_scope(out: &mut Vec<u8>, id: u32, labels: &Labels) {
    section(out, SCOPE, |out| {
        put(out, u64::from(id));
        for (name, value) in labels.iter() {
            put_text(out, name);
            put_text(out, value);
        }
    });
}

pub(crate) fn put_metadata(out: &mut Vec<u8>, metric: &str, metadata: &Metadata) {
    section(out, METADATA, |out| {
        put_text(out, metric);
        out.push(match metadata.metric_type {
            MetricType::Unknown => 0,
            MetricType::Counter => 1,
            MetricType::Gauge => 2,
            MetricType::Histogram => 3,
            MetricType::GaugeHistogram => 4,
            MetricType::Summary => 5,
            MetricType::Info => 6,
            MetricType::StateSet => 7,
        });
        put_text(out, &metadata.unit);
        put_text(out, &metadata.help);
    });
}

pub(crate) fn put_deleted(out: &mut Vec<u8>, series: u32, range: TimeRange) {
    section(out, DELETED, |out| {
        put(out, u64::from(series));
        put_signed(out, range.start_ms);
        put_signed(out, range.end_ms);
    });
}

/// The values before, of each series, in the file at hand.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    bits: Vec<u64>,
    exponents: Vec<u8>,
}

impl Chain {
    /// Starts a new file.
    pub(crate) fn reset(&mut self) {
        self.bits.fill(0);
        self.exponents.fill(0);
    }

    fn grow(&mut self, series: u32) {
        let size = series as usize + 1;
        if self.bits.len() < size {
            // A little more, as series come one after another.
            self.bits.resize(size + 256, 0);
            self.exponents.resize(size + 256, 0);
        }
    }

    fn state(&self, series: u32) -> ValueState {
        let at = series as usize;
        ValueState {
            bits: self.bits.get(at).copied().unwrap_or_default(),
            exponent: self.exponents.get(at).copied().unwrap_or_default(),
        }
    }

    fn set(&mut self, series: u32, state: ValueState) {
        let at = series as usize;
        if let Some(bits) = self.bits.get_mut(at) {
            *bits = state.bits;
        }
        if let Some(exponent) = self.exponents.get_mut(at) {
            *exponent = state.exponent;
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.bits.capacity() * 8 + self.exponents.capacity()
    }
}

/// Appends floats: runs of series, runs of times, tags, values.
pub(crate) fn put_samples(out: &mut Vec<u8>, chain: &mut Chain, is_late: bool, samples: &[Sample]) {
    if samples.is_empty() {
        return;
    }
    section(out, if is_late { LATE_SAMPLES } else { SAMPLES }, |out| {
        put_size(out, samples.len());
        put_series_runs(out, samples);
        put_time_runs(out, samples);
        let tags = out.len();
        out.resize(tags + samples.len().div_ceil(2), 0);
        for (index, sample) in samples.iter().enumerate() {
            chain.grow(sample.series);
            let mut state = chain.state(sample.series);
            let coded = state.encode(sample.value);
            chain.set(sample.series, state);
            if let Some(byte) = out.get_mut(tags + index / 2) {
                *byte |= if index % 2 == 0 { coded.tag } else { coded.tag << 4 };
            }
            out.extend_from_slice(coded.payload());
        }
    });
}

/// A run is the difference to the number that would follow, then twice its length, plus one when all are the same series.
fn put_series_runs(out: &mut Vec<u8>, samples: &[Sample]) {
    let mut expected = 0_i64;
    let mut rest = samples;
    while let [first, others @ ..] = rest {
        let same = others.iter().take_while(|other| other.series == first.series).count() + 1;
        let rising = (1..=others.len())
            .take_while(|ahead| {
                others
                    .get(ahead - 1)
                    .is_some_and(|other| u64::from(other.series) == u64::from(first.series) + *ahead as u64)
            })
            .count()
            + 1;
        put_signed(out, i64::from(first.series) - expected);
        let length = same.max(rising);
        put_size(out, length * 2 + usize::from(same > rising));
        rest = rest.get(length..).unwrap_or_default();
        expected = samples.get(samples.len() - rest.len() - 1).map_or(0, |last| i64::from(last.series) + 1);
    }
}

/// A run is the difference to the time before, then how often it comes.
fn put_time_runs(out: &mut Vec<u8>, samples: &[Sample]) {
    let mut last = 0_i64;
    let mut run = (0_i64, 0_usize);
    for sample in samples {
        let step = sample.timestamp_ms.wrapping_sub(last);
        last = sample.timestamp_ms;
        if run.1 > 0 && run.0 == step {
            run.1 += 1;
        } else {
            if run.1 > 0 {
                put_signed(out, run.0);
                put_size(out, run.1);
            }
            run = (step, 1);
        }
    }
    put_signed(out, run.0);
    put_size(out, run.1);
}

/// Samples that one section may hold: more than any writer sends at once.
const SAMPLES_MAX: usize = 1 << 24;

fn read_samples(body: &[u8], chain: &mut Chain) -> Option<Vec<Sample>> {
    let mut reader = Reader::new(body);
    let count = reader.size().filter(|count| (1..=SAMPLES_MAX).contains(count))?;
    // Sizes come from a checksummed frame, but memory is asked for as it is needed.
    let mut samples = Vec::with_capacity(count.min(1 << 16));
    let mut expected = 0_i64;
    while samples.len() < count {
        let first = expected.checked_add(reader.signed()?)?;
        let run = reader.size()?;
        let (length, is_same) = (run / 2, run % 2 == 1);
        if length == 0 || length > count - samples.len() {
            return None;
        }
        for ahead in 0..i64::try_from(length).ok()? {
            let series = u32::try_from(if is_same { first } else { first + ahead }).ok()?;
            samples.push(Sample { series, timestamp_ms: 0, value: 0.0 });
            expected = i64::from(series) + 1;
        }
    }
    let (mut at, mut last) = (0, 0_i64);
    while at < count {
        let step = reader.signed()?;
        let length = reader.size()?;
        let run = samples.get_mut(at..at.checked_add(length)?).filter(|run| !run.is_empty())?;
        for sample in run {
            last = last.wrapping_add(step);
            sample.timestamp_ms = last;
        }
        at += length;
    }
    let tags = reader.take(count.div_ceil(2))?;
    let mut payload = reader.take(reader.left())?;
    for (index, sample) in samples.iter_mut().enumerate() {
        let byte = *tags.get(index / 2)?;
        let tag = if index % 2 == 0 { byte & 0x0f } else { byte >> 4 };
        chain.grow(sample.series);
        let mut state = chain.state(sample.series);
        sample.value = state.decode(tag, &mut payload)?;
        chain.set(sample.series, state);
    }
    payload.is_empty().then_some(samples)
}

/// Appends histograms.
pub(crate) fn put_histograms(out: &mut Vec<u8>, is_late: bool, samples: &[HistogramSample]) {
    if samples.is_empty() {
        return;
    }
    section(out, if is_late { LATE_HISTOGRAMS } else { HISTOGRAMS }, |out| {
        put_size(out, samples.len());
        for sample in samples {
            put(out, u64::from(sample.series));
            put_signed(out, sample.timestamp_ms);
            put_histogram(out, &sample.histogram);
        }
    });
}

/// Appends starts: each relative to the one before.
pub(crate) fn put_starts(out: &mut Vec<u8>, changes: &[StartChange]) {
    if changes.is_empty() {
        return;
    }
    section(out, STARTS, |out| {
        let mut before = (0_i64, 0_i64);
        for change in changes {
            put(out, u64::from(change.series) * 2 + u64::from(change.extent == Extent::Only));
            put_signed(out, change.timestamp_ms.wrapping_sub(before.0));
            put_signed(out, change.start_ms.wrapping_sub(before.1));
            before = (change.timestamp_ms, change.start_ms);
        }
    });
}

/// Appends exemplars, each with the number of its series.
pub(crate) fn put_exemplars(out: &mut Vec<u8>, exemplars: &[(u32, Exemplar)]) {
    if exemplars.is_empty() {
        return;
    }
    section(out, EXEMPLARS, |out| {
        for (series, exemplar) in exemplars {
            put(out, u64::from(*series));
            put_signed(out, exemplar.timestamp_ms);
            put_float(out, exemplar.value);
            put_size(out, exemplar.labels.iter().count());
            for (name, value) in exemplar.labels.iter() {
                put_text(out, name);
                put_text(out, value);
            }
        }
    });
}

fn read_exemplars(mut reader: Reader<'_>) -> Option<Vec<(u32, Exemplar)>> {
    let mut exemplars = Vec::new();
    while !reader.is_empty() {
        let series = reader.small()?;
        let (timestamp_ms, value) = (reader.signed()?, reader.float()?);
        let mut pairs = Vec::new();
        for _ in 0..reader.size()? {
            pairs.push((reader.text()?, reader.text()?));
        }
        exemplars.push((series, Exemplar { labels: Labels::from_pairs(pairs), value, timestamp_ms }));
    }
    Some(exemplars)
}

fn read_starts(mut reader: Reader<'_>) -> Option<Vec<StartChange>> {
    let mut changes = Vec::new();
    let mut before = (0_i64, 0_i64);
    while !reader.is_empty() {
        let number = reader.number()?;
        before = (before.0.wrapping_add(reader.signed()?), before.1.wrapping_add(reader.signed()?));
        changes.push(StartChange {
            series: u32::try_from(number / 2).ok()?,
            timestamp_ms: before.0,
            start_ms: before.1,
            extent: if number % 2 == 1 { Extent::Only } else { Extent::On },
        });
    }
    Some(changes)
}

fn read_histograms(body: &[u8]) -> Option<Vec<HistogramSample>> {
    let mut reader = Reader::new(body);
    let count = reader.size().filter(|count| *count <= SAMPLES_MAX)?;
    let mut samples = Vec::new();
    for _ in 0..count {
        let series = reader.small()?;
        let timestamp_ms = reader.signed()?;
        samples.push(HistogramSample { series, timestamp_ms, histogram: Arc::new(read_histogram(&mut reader)?) });
    }
    reader.is_empty().then_some(samples)
}

/// Appends one histogram as it is.
pub(crate) fn put_histogram(out: &mut Vec<u8>, histogram: &Histogram) {
    out.push(match histogram.reset_hint {
        ResetHint::Unknown => 0,
        ResetHint::CounterReset => 1,
        ResetHint::NotCounterReset => 2,
        ResetHint::Gauge => 3,
    });
    put_signed(out, i64::from(histogram.schema));
    for number in [histogram.zero_threshold, histogram.zero_count, histogram.count, histogram.sum] {
        put_float(out, number);
    }
    for spans in [&histogram.positive_spans, &histogram.negative_spans] {
        put_size(out, spans.len());
        for span in spans {
            put_signed(out, i64::from(span.offset));
            put(out, u64::from(span.length));
        }
    }
    for numbers in [&histogram.positive_buckets, &histogram.negative_buckets, &histogram.custom_values] {
        put_size(out, numbers.len());
        let mut state = ValueState::default();
        for number in numbers {
            let coded = state.encode(*number);
            out.push(coded.tag);
            out.extend_from_slice(coded.payload());
        }
    }
}

/// Reads what [`put_histogram`] wrote.
pub(crate) fn read_histogram(reader: &mut Reader<'_>) -> Option<Histogram> {
    let reset_hint = match reader.byte()? {
        0 => ResetHint::Unknown,
        1 => ResetHint::CounterReset,
        2 => ResetHint::NotCounterReset,
        3 => ResetHint::Gauge,
        _ => return None,
    };
    let schema = i32::try_from(reader.signed()?).ok()?;
    let [zero_threshold, zero_count, count, sum] = [reader.float()?, reader.float()?, reader.float()?, reader.float()?];
    let [positive_spans, negative_spans] = [read_spans(reader)?, read_spans(reader)?];
    let [positive_buckets, negative_buckets, custom_values] =
        [read_numbers(reader)?, read_numbers(reader)?, read_numbers(reader)?];
    Some(Histogram {
        reset_hint,
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans,
        negative_spans,
        positive_buckets,
        negative_buckets,
        custom_values,
    })
}

fn read_spans(reader: &mut Reader<'_>) -> Option<Vec<Span>> {
    let count = reader.size()?;
    let mut spans = Vec::new();
    for _ in 0..count {
        spans.push(Span { offset: i32::try_from(reader.signed()?).ok()?, length: reader.small()? });
    }
    Some(spans)
}

fn read_numbers(reader: &mut Reader<'_>) -> Option<Vec<f64>> {
    let count = reader.size()?;
    let mut state = ValueState::default();
    let mut numbers = Vec::new();
    for _ in 0..count {
        let tag = reader.byte()?;
        let mut rest = reader.take(reader.left())?;
        numbers.push(state.decode(tag, &mut rest)?);
        *reader = Reader::new(rest);
    }
    Some(numbers)
}

/// Goes over the sections of a frame's content. `chain` is `None` when samples cannot be read any more in this file: they are left out.
/// Returns `None` when the content is not what a writer wrote.
pub(crate) fn read(content: &[u8], mut chain: Option<&mut Chain>, mut each: impl FnMut(Section<'_>)) -> Option<()> {
    let mut reader = Reader::new(content);
    while !reader.is_empty() {
        let kind = reader.byte()?;
        let body = reader.bytes()?;
        match (kind, &mut chain) {
            (SAMPLES | LATE_SAMPLES, Some(chain)) => {
                each(Section::Samples { is_late: kind == LATE_SAMPLES, samples: read_samples(body, chain)? });
            }
            (SAMPLES | LATE_SAMPLES, None) => {}
            (HISTOGRAMS | LATE_HISTOGRAMS, _) => {
                each(Section::Histograms { is_late: kind == LATE_HISTOGRAMS, samples: read_histograms(body)? });
            }
            _ => each(read_name(kind, body)?),
        }
    }
    Some(())
}

/// Goes over the names in a frame's content, without reading samples. Returns `None` when the content is not what a writer wrote.
pub(crate) fn read_names(content: &[u8], mut each: impl FnMut(Section<'_>)) -> Option<()> {
    let mut reader = Reader::new(content);
    while !reader.is_empty() {
        let kind = reader.byte()?;
        let body = reader.bytes()?;
        if !matches!(kind, SAMPLES | LATE_SAMPLES | HISTOGRAMS | LATE_HISTOGRAMS) {
            each(read_name(kind, body)?);
        }
    }
    Some(())
}

fn read_name(kind: u8, body: &[u8]) -> Option<Section<'_>> {
    let mut reader = Reader::new(body);
    Some(match kind {
        PAIR => Section::Pair { id: reader.small()?, name: reader.text()?, value: reader.text()? },
        SERIES => Section::Series(SeriesEntry {
            id: reader.small()?,
            scope: reader.small()?,
            created_s: reader.small()?,
            pairs: reader.take(reader.left())?,
        }),
        SCOPE => {
            let id = reader.small()?;
            let mut pairs = Vec::new();
            while !reader.is_empty() {
                pairs.push((reader.text()?, reader.text()?));
            }
            Section::Scope { id, labels: Labels::from_pairs(pairs) }
        }
        METADATA => {
            let metric = reader.text()?;
            let metric_type = match reader.byte()? {
                0 => MetricType::Unknown,
                1 => MetricType::Counter,
                2 => MetricType::Gauge,
                3 => MetricType::Histogram,
                4 => MetricType::GaugeHistogram,
                5 => MetricType::Summary,
                6 => MetricType::Info,
                7 => MetricType::StateSet,
                _ => return None,
            };
            let [unit, help] = [reader.text()?.to_owned(), reader.text()?.to_owned()];
            Section::Metadata { metric, metadata: Metadata { metric_type, unit, help } }
        }
        DELETED => Section::Deleted {
            series: reader.small()?,
            range: TimeRange { start_ms: reader.signed()?, end_ms: reader.signed()? },
        },
        STARTS => Section::Starts(read_starts(reader)?),
        EXEMPLARS => Section::Exemplars(read_exemplars(reader)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn samples() -> impl Strategy<Value = Vec<Sample>> {
        let one = (0_u32..40, -5_i64..20, any::<u64>());
        proptest::collection::vec(one, 1..80).prop_map(|all| {
            all.into_iter()
                .map(|(series, timestamp_ms, bits)| Sample { series, timestamp_ms, value: f64::from_bits(bits) })
                .collect()
        })
    }

    fn bits(samples: &[Sample]) -> Vec<(u32, i64, u64)> {
        samples.iter().map(|s| (s.series, s.timestamp_ms, s.value.to_bits())).collect()
    }

    proptest! {
        #[test]
        fn samples_come_back(batches in proptest::collection::vec(samples(), 1..4)) {
            let mut chain = Chain::default();
            let frames: Vec<Vec<u8>> = batches.iter().map(|samples| {
                let mut out = Vec::new();
                put_samples(&mut out, &mut chain, false, samples);
                out
            }).collect();
            let mut chain = Chain::default();
            for (frame, samples) in frames.iter().zip(&batches) {
                let mut seen = false;
                read(frame, Some(&mut chain), |section| {
                    let Section::Samples { is_late: false, samples: out } = section else { panic!("{section:?}") };
                    assert_eq!(bits(&out), bits(samples));
                    seen = true;
                }).unwrap();
                prop_assert!(seen);
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, kind in 0_u8..12) {
            let mut framed = vec![kind];
            put_bytes(&mut framed, &bytes);
            let _ = read(&framed, Some(&mut Chain::default()), |_| {});
        }
    }

    #[test]
    fn a_scrape_takes_few_bytes() {
        let mut chain = Chain::default();
        let mut lengths = Vec::new();
        for round in 0..4_u32 {
            let samples: Vec<Sample> = (0..2000_u32)
                .map(|series| Sample {
                    series,
                    timestamp_ms: 1_700_000_000_000 + i64::from(round) * 15_000,
                    value: f64::from(series * 1000 + round * (series % 50)),
                })
                .collect();
            let mut out = Vec::new();
            put_samples(&mut out, &mut chain, false, &samples);
            lengths.push(out.len());
        }
        assert!(lengths[1..].iter().all(|length| *length < 3100), "{lengths:?}");
    }

    #[test]
    fn starts_come_back() {
        let change = |series, timestamp_ms, start_ms, extent| StartChange { series, timestamp_ms, start_ms, extent };
        let changes = [
            change(7, 1_000_000, 999_000, Extent::On),
            change(3, 900_000, 0, Extent::Only),
            change(u32::MAX - 2, i64::MIN, i64::MAX, Extent::On),
        ];
        let mut out = Vec::new();
        put_starts(&mut out, &changes);
        let mut seen = Vec::new();
        read(&out, None, |section| {
            let Section::Starts(changes) = section else { panic!("{section:?}") };
            seen = changes;
        })
        .unwrap();
        assert_eq!(seen, changes);
    }

    #[test]
    fn exemplars_come_back() {
        let exemplar = |at: i64, labels: &[(&str, &str)]| Exemplar {
            labels: Labels::from_pairs(labels.iter().copied()),
            value: 0.25,
            timestamp_ms: at,
        };
        let all = vec![(7, exemplar(5, &[("trace_id", "abc"), ("한", "글")])), (0, exemplar(-3, &[]))];
        let mut content = Vec::new();
        put_exemplars(&mut content, &all);
        let mut found = Vec::new();
        read(&content, None, |section| {
            let Section::Exemplars(exemplars) = section else { panic!("{section:?}") };
            found.extend(exemplars);
        })
        .unwrap();
        assert_eq!(found, all);
        for cut in 1..content.len() {
            read(&content[..cut], None, |section| panic!("{section:?}")).unwrap_or_default();
        }
    }

    #[test]
    fn histograms_come_back() {
        let histogram = Histogram {
            reset_hint: ResetHint::Gauge,
            schema: -53,
            zero_threshold: 1e-128,
            zero_count: 2.0,
            count: 9.0,
            sum: f64::NAN,
            positive_spans: vec![Span { offset: -3, length: 2 }],
            negative_spans: vec![],
            positive_buckets: vec![1.0, 2.5],
            negative_buckets: vec![],
            custom_values: vec![0.5, 1.0],
        };
        let mut out = Vec::new();
        put_histogram(&mut out, &histogram);
        let back = read_histogram(&mut Reader::new(&out)).unwrap();
        assert_eq!(format!("{back:?}"), format!("{histogram:?}"));
    }
}
