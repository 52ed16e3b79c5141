//! Prometheus' chunk of native histograms with floating-point counts.
//!
//! Source: Prometheus TSDB chunk formats: a count in two bytes, one byte with the reset hint; the layout of the buckets once; the
//! first sample whole, all others as a difference of differences of time and the bits that differ in each number.

use std::sync::Arc;

use super::bits::{BitReader, BitWriter, BitsError};
use super::xor::Xor;
use crate::{CUSTOM_BUCKETS_SCHEMA, Histogram, ResetHint, Span};

/// Tells whether `next` can stand behind `last` in one chunk: same layout, and no counter started again in between, since
/// only the first sample of a chunk can say so.
pub(super) fn fits_behind(last: &Histogram, next: &Histogram) -> bool {
    if last.is_stale_marker() || next.is_stale_marker() {
        return last.is_stale_marker() && next.is_stale_marker();
    }
    let is_gauge = |histogram: &Histogram| histogram.reset_hint == ResetHint::Gauge;
    let same_layout = last.schema == next.schema
        && last.zero_threshold.to_bits() == next.zero_threshold.to_bits()
        && last.positive_spans == next.positive_spans
        && last.negative_spans == next.negative_spans
        && last.custom_values == next.custom_values;
    if !same_layout || is_gauge(last) != is_gauge(next) || next.reset_hint == ResetHint::CounterReset {
        return false;
    }
    let grows = |last: &[f64], next: &[f64]| last.iter().zip(next).all(|(last, next)| last <= next);
    is_gauge(next)
        || (last.count <= next.count
            && last.zero_count <= next.zero_count
            && grows(&last.positive_buckets, &next.positive_buckets)
            && grows(&last.negative_buckets, &next.negative_buckets))
}

/// Writes samples that fit behind each other.
pub(super) fn encode(samples: &[(i64, Arc<Histogram>)]) -> Vec<u8> {
    let count = u16::try_from(samples.len()).unwrap_or(u16::MAX);
    let hint = match samples.first().map(|(_, histogram)| histogram.reset_hint) {
        Some(ResetHint::CounterReset) => 0x80,
        Some(ResetHint::NotCounterReset) => 0x40,
        Some(ResetHint::Gauge) => 0xc0,
        Some(ResetHint::Unknown) | None => 0,
    };
    let [high, low] = count.to_be_bytes();
    let mut writer = BitWriter::with_head(&[high, low, hint]);
    let (mut last, mut last_delta) = (0_i64, 0_i64);
    let mut numbers: Vec<Xor> = Vec::new();
    for (index, (timestamp, histogram)) in samples.iter().take(count.into()).enumerate() {
        if index == 0 {
            encode_layout(histogram, &mut writer);
            writer.varbit(*timestamp);
            for number in counts(histogram) {
                writer.bits(number.to_bits(), 64);
                numbers.push(Xor::new(number));
            }
        } else {
            let delta = timestamp.wrapping_sub(last);
            writer.varbit(delta.wrapping_sub(last_delta));
            last_delta = delta;
            counts(histogram).zip(&mut numbers).for_each(|(number, xor)| xor.write(number, &mut writer));
        }
        last = *timestamp;
    }
    writer.bytes
}

/// Returns a sample's numbers in the order of the chunk. A marker of the end has nothing but its sum.
fn counts(histogram: &Histogram) -> impl Iterator<Item = f64> {
    let is_marker = histogram.is_stale_marker();
    let head = if is_marker { [0.0, 0.0] } else { [histogram.count, histogram.zero_count] };
    let buckets = histogram.positive_buckets.iter().chain(&histogram.negative_buckets).copied();
    head.into_iter().chain([histogram.sum]).chain(buckets.filter(move |_| !is_marker))
}

fn encode_layout(histogram: &Histogram, writer: &mut BitWriter) {
    if histogram.is_stale_marker() {
        // No threshold, schema 0, no spans.
        writer.bits(0, 8);
        writer.bits(0, 3);
        return;
    }
    encode_threshold(histogram.zero_threshold, writer);
    writer.varbit(histogram.schema.into());
    for spans in [&histogram.positive_spans, &histogram.negative_spans] {
        writer.varbit_unsigned(spans.len() as u64);
        for span in spans {
            writer.varbit_unsigned(span.length.into());
            writer.varbit(span.offset.into());
        }
    }
    if histogram.schema == CUSTOM_BUCKETS_SCHEMA {
        writer.varbit_unsigned(histogram.custom_values.len() as u64);
        histogram.custom_values.iter().for_each(|bound| encode_bound(*bound, writer));
    }
}

/// A power of two between 2^-243 and 2^10 takes one byte.
fn encode_threshold(threshold: f64, writer: &mut BitWriter) {
    let bits = threshold.to_bits();
    let (mantissa, exponent) = (bits & ((1 << 52) - 1), (bits >> 52).cast_signed() - 1022);
    if bits == 0 {
        writer.bits(0, 8);
    } else if mantissa == 0 && (-242..=11).contains(&exponent) {
        writer.bits((exponent + 243).cast_unsigned(), 8);
    } else {
        writer.bits(255, 8);
        writer.bits(bits, 64);
    }
}

/// Bounds with at most three decimals take few bits.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be between 0 and 33,554,430")]
fn encode_bound(bound: f64, writer: &mut BitWriter) {
    let thousands = bound * 1000.0;
    let whole = thousands.round();
    if (0.0..=33_554_430.0).contains(&thousands) && (whole / 1000.0).to_bits() == bound.to_bits() {
        writer.varbit_unsigned(whole as u64 + 1);
    } else {
        writer.bits(0, 1);
        writer.bits(bound.to_bits(), 64);
    }
}

/// Spans or bounds of one histogram: more than any client makes.
const LAYOUT_MAX: u64 = 1 << 16;

/// Reads a chunk.
pub(super) fn decode(chunk: &[u8], into: &mut Vec<(i64, Arc<Histogram>)>) -> Result<(), BitsError> {
    let ([high, low, hint], rest) = chunk.split_first_chunk::<3>().ok_or(BitsError)?;
    let mut reader = BitReader::new(rest);
    let count = u16::from_be_bytes([*high, *low]);
    if count == 0 {
        return Ok(());
    }
    let mut histogram = decode_layout(&mut reader)?;
    histogram.reset_hint = match hint & 0xc0 {
        0x80 => ResetHint::CounterReset,
        0x40 => ResetHint::NotCounterReset,
        0xc0 => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    };
    let buckets = |spans: &[Span]| spans.iter().map(|span| u64::from(span.length)).sum::<u64>();
    let (positive, negative) = (buckets(&histogram.positive_spans), buckets(&histogram.negative_spans));
    if positive + negative > LAYOUT_MAX {
        return Err(BitsError);
    }
    let (mut last, mut delta) = (0_i64, 0_i64);
    let mut numbers: Vec<Xor> = Vec::new();
    for index in 0..count {
        if index == 0 {
            last = reader.varbit()?;
            for _ in 0..3 + positive + negative {
                numbers.push(Xor::new(f64::from_bits(reader.bits(64)?)));
            }
        } else {
            delta = delta.wrapping_add(reader.varbit()?);
            last = last.wrapping_add(delta);
            // A marker has no buckets.
            let (head, buckets) = numbers.split_at_mut(3);
            head.iter_mut().try_for_each(|xor| xor.read(&mut reader))?;
            if !crate::is_stale_marker(head.last().map_or(0.0, |sum| sum.value)) {
                buckets.iter_mut().try_for_each(|xor| xor.read(&mut reader))?;
            }
            if histogram.reset_hint != ResetHint::Gauge {
                histogram.reset_hint = ResetHint::NotCounterReset;
            }
        }
        let mut values = numbers.iter().map(|xor| xor.value);
        histogram.count = values.next().unwrap_or_default();
        histogram.zero_count = values.next().unwrap_or_default();
        histogram.sum = values.next().unwrap_or_default();
        histogram.positive_buckets = values.by_ref().take(usize::try_from(positive).unwrap_or_default()).collect();
        histogram.negative_buckets = values.collect();
        into.push((last, Arc::new(histogram.clone())));
    }
    Ok(())
}

fn decode_layout(reader: &mut BitReader<'_>) -> Result<Histogram, BitsError> {
    let zero_threshold = match reader.bits(8)? {
        0 => 0.0,
        255 => f64::from_bits(reader.bits(64)?),
        exponent => f64::from_bits((exponent + 1022 - 243) << 52),
    };
    let schema = i32::try_from(reader.varbit()?).map_err(|_| BitsError)?;
    let positive_spans = decode_spans(reader)?;
    let negative_spans = decode_spans(reader)?;
    let mut custom_values = Vec::new();
    if schema == CUSTOM_BUCKETS_SCHEMA {
        for _ in 0..limited(reader.varbit_unsigned()?)? {
            custom_values.push(match reader.varbit_unsigned()? {
                0 => f64::from_bits(reader.bits(64)?),
                thousands => crate::native::to_f64(thousands - 1) / 1000.0,
            });
        }
    }
    Ok(Histogram {
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
    })
}

fn decode_spans(reader: &mut BitReader<'_>) -> Result<Vec<Span>, BitsError> {
    (0..limited(reader.varbit_unsigned()?)?)
        .map(|_| {
            let length = u32::try_from(reader.varbit_unsigned()?).map_err(|_| BitsError)?;
            let offset = i32::try_from(reader.varbit()?).map_err(|_| BitsError)?;
            Ok(Span { offset, length })
        })
        .collect()
}

fn limited(count: u64) -> Result<u64, BitsError> {
    if count > LAYOUT_MAX { Err(BitsError) } else { Ok(count) }
}
