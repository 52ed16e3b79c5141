//! Columns of native histograms: sections of one layout, in which every count is a column of floats of its own.
//!
//! A bucket's counts over time are a counter: as a column they pack as well as any. A new layout of buckets starts a section.
//! Format: docs/formats/series-chunks.md, "Histograms".

use std::sync::Arc;

use maru_prom::{Histogram, ResetHint, Span};

use super::bytes::{Reader, low_byte, put_signed, put_varint};
use super::{CELLS_MAX, ChunkError, floats};

/// Columns that every histogram has: count, zero count, sum.
const FIXED_COLUMNS: usize = 3;

/// Returns how many numbers one sample takes.
pub(crate) fn cells(histogram: &Histogram) -> usize {
    FIXED_COLUMNS + histogram.positive_buckets.len() + histogram.negative_buckets.len() + histogram.custom_values.len()
}

fn same_layout(a: &Histogram, b: &Histogram) -> bool {
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    a.schema == b.schema
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && a.positive_buckets.len() == b.positive_buckets.len()
        && a.negative_buckets.len() == b.negative_buckets.len()
        && bits(&a.custom_values) == bits(&b.custom_values)
}

/// Appends the packed histograms.
pub(crate) fn encode(samples: &[(i64, Arc<Histogram>)], into: &mut Vec<u8>) {
    for section in samples.chunk_by(|a, b| Arc::ptr_eq(&a.1, &b.1) || same_layout(&a.1, &b.1)) {
        let [(_, layout), ..] = section else { continue };
        put_varint(into, section.len() as u64);
        put_layout(layout, into);
        for run in section.chunk_by(|a, b| a.1.reset_hint == b.1.reset_hint) {
            put_varint(into, ((run.len() as u64) << 2) | run.first().map_or(0, |(_, h)| hint_bits(h.reset_hint)));
        }
        let mut column = Vec::with_capacity(section.len());
        let mut put = |pick: &dyn Fn(&Histogram) -> f64| {
            column.clear();
            column.extend(section.iter().map(|(_, histogram)| pick(histogram)));
            floats::encode(&column, into);
        };
        put(&|histogram| histogram.count);
        put(&|histogram| histogram.zero_count);
        put(&|histogram| histogram.sum);
        for bucket in 0..layout.positive_buckets.len() {
            put(&|histogram| histogram.positive_buckets[bucket]);
        }
        for bucket in 0..layout.negative_buckets.len() {
            put(&|histogram| histogram.negative_buckets[bucket]);
        }
    }
}

fn put_layout(layout: &Histogram, into: &mut Vec<u8>) {
    put_signed(into, i64::from(layout.schema));
    into.extend_from_slice(&layout.zero_threshold.to_bits().to_le_bytes());
    for (spans, buckets) in
        [(&layout.positive_spans, &layout.positive_buckets), (&layout.negative_spans, &layout.negative_buckets)]
    {
        put_varint(into, spans.len() as u64);
        for span in spans {
            put_signed(into, i64::from(span.offset));
            put_varint(into, u64::from(span.length));
        }
        put_varint(into, buckets.len() as u64);
    }
    put_varint(into, layout.custom_values.len() as u64);
    for bound in &layout.custom_values {
        into.extend_from_slice(&bound.to_bits().to_le_bytes());
    }
}

fn hint_bits(hint: ResetHint) -> u64 {
    match hint {
        ResetHint::Unknown => 0,
        ResetHint::CounterReset => 1,
        ResetHint::NotCounterReset => 2,
        ResetHint::Gauge => 3,
    }
}

fn hint_of(bits: u8) -> ResetHint {
    match bits & 0b11 {
        0 => ResetHint::Unknown,
        1 => ResetHint::CounterReset,
        2 => ResetHint::NotCounterReset,
        _ => ResetHint::Gauge,
    }
}

/// Takes `count` histograms from `reader`.
///
/// # Errors
/// When the bytes are no such column.
pub(crate) fn decode(reader: &mut Reader<'_>, count: usize) -> Result<Vec<Histogram>, ChunkError> {
    let mut histograms: Vec<Histogram> = Vec::new();
    let mut cells_left = CELLS_MAX;
    while histograms.len() < count {
        let length = reader.count(count - histograms.len())?;
        if length == 0 {
            return Err(ChunkError::Damaged("a section has no histograms"));
        }
        let (layout, positive, negative) = take_layout(reader)?;
        let cells = (FIXED_COLUMNS + positive + negative + layout.custom_values.len())
            .saturating_add(layout.positive_spans.len() + layout.negative_spans.len())
            .saturating_mul(length);
        cells_left = cells_left.checked_sub(cells).ok_or(ChunkError::Size(cells))?;
        let start = histograms.len();
        take_hints(reader, length, &layout, &mut histograms)?;
        let section = &mut histograms[start..];
        let mut column = Vec::with_capacity(length);
        let mut take = |set: &mut dyn FnMut(&mut Histogram, f64)| {
            column.clear();
            floats::decode(reader, length, &mut column)?;
            for (histogram, value) in section.iter_mut().zip(&column) {
                set(histogram, *value);
            }
            Ok(())
        };
        take(&mut |histogram, value| histogram.count = value)?;
        take(&mut |histogram, value| histogram.zero_count = value)?;
        take(&mut |histogram, value| histogram.sum = value)?;
        for _ in 0..positive {
            take(&mut |histogram, value| histogram.positive_buckets.push(value))?;
        }
        for _ in 0..negative {
            take(&mut |histogram, value| histogram.negative_buckets.push(value))?;
        }
    }
    Ok(histograms)
}

/// Appends `length` copies of `layout`, each with its hint.
fn take_hints(
    reader: &mut Reader<'_>,
    length: usize,
    layout: &Histogram,
    into: &mut Vec<Histogram>,
) -> Result<(), ChunkError> {
    let mut left = length;
    while left > 0 {
        let head = reader.varint()?;
        let run = usize::try_from(head >> 2).unwrap_or(usize::MAX);
        if run == 0 || run > left {
            return Err(ChunkError::Damaged("a run of reset hints does not fit its section"));
        }
        left -= run;
        let hint = hint_of(low_byte(head & 0b11));
        into.extend(std::iter::repeat_n(Histogram { reset_hint: hint, ..layout.clone() }, run));
    }
    Ok(())
}

/// Takes a layout: a histogram without counts, and how many positive and negative buckets there are.
fn take_layout(reader: &mut Reader<'_>) -> Result<(Histogram, usize, usize), ChunkError> {
    let schema = i32::try_from(reader.signed()?).map_err(|_| ChunkError::Damaged("a schema is out of range"))?;
    let zero_threshold = f64::from_bits(reader.u64()?);
    let mut take_side = || -> Result<(Vec<Span>, usize), ChunkError> {
        // A span takes at least two bytes.
        let count = reader.count(reader.rest().len() / 2)?;
        let mut spans = Vec::with_capacity(count);
        for _ in 0..count {
            let offset = i32::try_from(reader.signed()?);
            let length = u32::try_from(reader.varint()?);
            let (Ok(offset), Ok(length)) = (offset, length) else {
                return Err(ChunkError::Damaged("a span is out of range"));
            };
            spans.push(Span { offset, length });
        }
        Ok((spans, reader.count(CELLS_MAX)?))
    };
    let (positive_spans, positive) = take_side()?;
    let (negative_spans, negative) = take_side()?;
    let count = reader.count(reader.rest().len() / 8)?;
    let custom_values = (0..count).map(|_| reader.u64().map(f64::from_bits)).collect::<Result<Vec<_>, _>>()?;
    let layout = Histogram {
        reset_hint: ResetHint::Unknown,
        schema,
        zero_threshold,
        zero_count: 0.0,
        count: 0.0,
        sum: 0.0,
        positive_spans,
        negative_spans,
        positive_buckets: Vec::new(),
        negative_buckets: Vec::new(),
        custom_values,
    };
    Ok((layout, positive, negative))
}
