//! Native histograms as remote write and remote read carry them: read, checked, written.
//!
//! Source: Prometheus' specification of native histograms; `prometheus.Histogram` and
//! `io.prometheus.write.v2.Histogram`, which share their field numbers.

use crate::wire::{Field, Reader, WireError, Writer, push_doubles, push_numbers, to_zigzag, zigzag};
use crate::{CUSTOM_BUCKETS_SCHEMA, Histogram, ResetHint, Span};

/// A native histogram that contradicts itself.
#[derive(Debug, Clone, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum HistogramError {
    /// The schema is none that exists.
    #[error("the schema {0} is none: use -4 to 8 for exponential buckets, or -53 for custom ones")]
    Schema(i32),
    /// The spans name another number of buckets than there are.
    #[error("the {side} spans need {needed} buckets, but there are {given}")]
    BucketCount {
        /// `positive` or `negative`.
        side: &'static str,
        /// What the spans add up to.
        needed: u64,
        /// What came.
        given: usize,
    },
    /// A span lies before the one before.
    #[error("{side} span {index} has the negative offset {offset}")]
    SpanOffset {
        /// `positive` or `negative`.
        side: &'static str,
        /// Which one, from 1.
        index: usize,
        /// The offset.
        offset: i32,
    },
    /// A count is below zero.
    #[error("{what} has the negative count {count}")]
    NegativeCount {
        /// Which count.
        what: &'static str,
        /// The count.
        count: f64,
    },
    /// The buckets of a histogram of whole numbers do not add up to its count.
    #[error("the buckets hold {buckets} observations, but the count is {count}")]
    CountMismatch {
        /// The sum over the buckets.
        buckets: u64,
        /// The count.
        count: u64,
    },
    /// Custom bounds are unsorted, not finite or too few, or stand beside what they exclude.
    #[error("custom buckets: {0}")]
    CustomBuckets(&'static str),
}

/// A histogram sample as it came: the counts of its buckets are either deltas of whole numbers or absolute.
#[derive(Debug, Default)]
pub(crate) struct RawHistogram {
    pub(crate) is_float: bool,
    pub(crate) count: u64,
    pub(crate) count_float: f64,
    pub(crate) sum: f64,
    pub(crate) schema: i32,
    pub(crate) zero_threshold: f64,
    pub(crate) zero_count: u64,
    pub(crate) zero_count_float: f64,
    pub(crate) reset_hint: ResetHint,
    pub(crate) negative: Side,
    pub(crate) positive: Side,
    pub(crate) custom_values: Vec<f64>,
    pub(crate) timestamp_ms: i64,
    pub(crate) start_timestamp_ms: i64,
}

/// The buckets on one side of zero.
#[derive(Debug, Default)]
pub(crate) struct Side {
    pub(crate) spans: Vec<Span>,
    pub(crate) deltas: Vec<i64>,
    pub(crate) counts: Vec<f64>,
}

const MESSAGE: &str = "Histogram";

impl RawHistogram {
    /// Reads one message.
    pub(crate) fn decode(message: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(message);
        let mut raw = Self::default();
        while let Some((number, field)) = reader.field()? {
            match number {
                1 => raw.count = field.number(MESSAGE, 1)?,
                2 => (raw.is_float, raw.count_float) = (true, field.double(MESSAGE, 2)?),
                3 => raw.sum = field.double(MESSAGE, 3)?,
                4 => raw.schema = i32::try_from(zigzag(field.number(MESSAGE, 4)?)).unwrap_or(i32::MAX),
                5 => raw.zero_threshold = field.double(MESSAGE, 5)?,
                6 => raw.zero_count = field.number(MESSAGE, 6)?,
                7 => raw.zero_count_float = field.double(MESSAGE, 7)?,
                8 => raw.negative.spans.push(decode_span(field.bytes(MESSAGE, 8)?)?),
                9 => push_numbers(field, MESSAGE, 9, |delta| raw.negative.deltas.push(zigzag(delta)))?,
                10 => push_doubles(field, MESSAGE, 10, &mut raw.negative.counts)?,
                11 => raw.positive.spans.push(decode_span(field.bytes(MESSAGE, 11)?)?),
                12 => push_numbers(field, MESSAGE, 12, |delta| raw.positive.deltas.push(zigzag(delta)))?,
                13 => push_doubles(field, MESSAGE, 13, &mut raw.positive.counts)?,
                14 => raw.reset_hint = reset_hint(field)?,
                15 => raw.timestamp_ms = field.signed(MESSAGE, 15)?,
                16 => push_doubles(field, MESSAGE, 16, &mut raw.custom_values)?,
                17 => raw.start_timestamp_ms = field.signed(MESSAGE, 17)?,
                _ => {}
            }
        }
        Ok(raw)
    }

    /// Checks the parts against each other and returns the sample. Finer schemas than 8 are made coarser.
    pub(crate) fn into_histogram(self) -> Result<Histogram, HistogramError> {
        let is_custom = self.schema == CUSTOM_BUCKETS_SCHEMA;
        if is_custom {
            self.check_custom()?;
        } else if !(-4..=52).contains(&self.schema) {
            return Err(HistogramError::Schema(self.schema));
        } else if !self.custom_values.is_empty() {
            return Err(HistogramError::CustomBuckets("the schema is exponential, but there are custom bounds"));
        }
        let (positive_spans, positive_buckets, positive_sum) = self.positive.absolute("positive", self.is_float)?;
        let (negative_spans, negative_buckets, negative_sum) = self.negative.absolute("negative", self.is_float)?;
        let (count, zero_count) = if self.is_float {
            for (what, count) in [("the histogram", self.count_float), ("the zero bucket", self.zero_count_float)] {
                if count < 0.0 {
                    return Err(HistogramError::NegativeCount { what, count });
                }
            }
            (self.count_float, self.zero_count_float)
        } else {
            let buckets = self.zero_count.saturating_add(positive_sum).saturating_add(negative_sum);
            // Observations of NaN are counted, but lie in no bucket.
            if buckets > self.count || (buckets < self.count && !self.sum.is_nan()) {
                return Err(HistogramError::CountMismatch { buckets, count: self.count });
            }
            (to_f64(self.count), to_f64(self.zero_count))
        };
        let mut histogram = Histogram {
            reset_hint: self.reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count,
            count,
            sum: self.sum,
            positive_spans,
            negative_spans,
            positive_buckets,
            negative_buckets,
            custom_values: self.custom_values,
        };
        if !is_custom && histogram.schema > FINEST_SCHEMA {
            coarsen(&mut histogram);
        }
        Ok(histogram)
    }

    fn check_custom(&self) -> Result<(), HistogramError> {
        let fail = |reason| Err(HistogramError::CustomBuckets(reason));
        if self.custom_values.iter().any(|bound| bound.is_nan()) {
            return fail("a bound is NaN");
        }
        if !self.custom_values.is_sorted_by(|left, right| left < right) {
            return fail("the bounds must rise strictly");
        }
        if self.custom_values.last() == Some(&f64::INFINITY) {
            return fail("the bound +Inf is always there and must not be named");
        }
        if self.zero_count != 0 || self.zero_count_float != 0.0 || self.zero_threshold != 0.0 {
            return fail("there must be no zero bucket");
        }
        if !self.negative.spans.is_empty() || !self.negative.deltas.is_empty() || !self.negative.counts.is_empty() {
            return fail("there must be no negative buckets");
        }
        let reach = self.positive.spans.iter().fold(0_i64, |reach, span| {
            reach.saturating_add(i64::from(span.offset)).saturating_add(i64::from(span.length))
        });
        if self.positive.spans.iter().any(|span| span.offset < 0) {
            return fail("a span has a negative offset");
        }
        if usize::try_from(reach).map_or(true, |reach| reach > self.custom_values.len() + 1) {
            return fail("there are fewer bounds than buckets");
        }
        Ok(())
    }
}

impl Side {
    /// Returns the spans, the counts of the buckets, and for whole numbers their sum.
    fn absolute(self, side: &'static str, is_float: bool) -> Result<(Vec<Span>, Vec<f64>, u64), HistogramError> {
        let late = self.spans.iter().enumerate().skip(1).find(|(_, span)| span.offset < 0);
        if let Some((index, span)) = late {
            return Err(HistogramError::SpanOffset { side, index: index + 1, offset: span.offset });
        }
        let needed = self.spans.iter().map(|span| u64::from(span.length)).sum::<u64>();
        let given = if is_float { self.counts.len() } else { self.deltas.len() };
        if needed != given as u64 {
            return Err(HistogramError::BucketCount { side, needed, given });
        }
        if is_float {
            if let Some(count) = self.counts.iter().copied().find(|count| *count < 0.0) {
                return Err(HistogramError::NegativeCount { what: "a bucket", count });
            }
            return Ok((self.spans, self.counts, 0));
        }
        let (mut count, mut sum) = (0_i64, 0_u64);
        let mut counts = Vec::with_capacity(self.deltas.len());
        for delta in self.deltas {
            count = count.saturating_add(delta);
            let Ok(absolute) = u64::try_from(count) else {
                return Err(HistogramError::NegativeCount { what: "a bucket", count: to_f64_signed(count) });
            };
            sum = sum.saturating_add(absolute);
            counts.push(to_f64(absolute));
        }
        Ok((self.spans, counts, sum))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts above 2^53 lose their last digits, as in every client")]
pub(crate) fn to_f64(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "for a message only")]
fn to_f64_signed(count: i64) -> f64 {
    count as f64
}

/// The finest schema that is stored.
const FINEST_SCHEMA: i32 = 8;

/// Merges buckets until the schema is [`FINEST_SCHEMA`].
pub(crate) fn coarsen(histogram: &mut Histogram) {
    let shift = u32::try_from(histogram.schema - FINEST_SCHEMA).unwrap_or(0);
    for (spans, buckets) in [
        (&mut histogram.positive_spans, &mut histogram.positive_buckets),
        (&mut histogram.negative_spans, &mut histogram.negative_buckets),
    ] {
        let (mut index, mut counts) = (0_i64, buckets.iter());
        let mut merged: Vec<(i64, f64)> = Vec::new();
        for span in spans.iter() {
            index += i64::from(span.offset);
            for count in counts.by_ref().take(span.length as usize) {
                // Bucket i ends at 2^(i·2^-schema): the coarser bucket that holds it is the ceiling of i / 2^shift.
                let coarse = if shift < 63 { ((index - 1) >> shift) + 1 } else { i64::from(index > 0) };
                match merged.last_mut() {
                    Some((last, sum)) if *last == coarse => *sum += count,
                    _ => merged.push((coarse, *count)),
                }
                index += 1;
            }
        }
        *spans = spans_of(merged.iter().map(|(index, _)| *index));
        *buckets = merged.into_iter().map(|(_, count)| count).collect();
    }
    histogram.schema = FINEST_SCHEMA;
}

/// Returns the spans of buckets at rising `indexes`.
pub(crate) fn spans_of(indexes: impl IntoIterator<Item = i64>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut next = 0_i64;
    for index in indexes {
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => spans.push(Span { offset: i32::try_from(index - next).unwrap_or(i32::MAX), length: 1 }),
        }
        next = index + 1;
    }
    spans
}

fn reset_hint(field: Field<'_>) -> Result<ResetHint, WireError> {
    Ok(match field.number(MESSAGE, 14)? {
        1 => ResetHint::CounterReset,
        2 => ResetHint::NotCounterReset,
        3 => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    })
}

/// Reads one span; also the exposition's, which is the same message.
pub(crate) fn decode_span(message: &[u8]) -> Result<Span, WireError> {
    let mut reader = Reader::new(message);
    let mut span = Span { offset: 0, length: 0 };
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => span.offset = i32::try_from(zigzag(field.number("BucketSpan", 1)?)).unwrap_or(i32::MAX),
            2 => span.length = u32::try_from(field.number("BucketSpan", 2)?).unwrap_or(u32::MAX),
            _ => {}
        }
    }
    Ok(span)
}

/// Writes the fields of one histogram message: of whole numbers where all counts are, else of floats.
pub(crate) fn encode(histogram: &Histogram, timestamp_ms: i64, start_timestamp_ms: i64, writer: &mut Writer) {
    match whole(histogram) {
        Some(whole) => {
            writer.always_number(1, whole.count);
            writer.double(3, histogram.sum);
            writer.zigzag(4, histogram.schema.into());
            writer.double(5, histogram.zero_threshold);
            writer.always_number(6, whole.zero_count);
            encode_spans(8, &histogram.negative_spans, writer);
            writer.packed_numbers(9, whole.negative.into_iter().map(to_zigzag));
            encode_spans(11, &histogram.positive_spans, writer);
            writer.packed_numbers(12, whole.positive.into_iter().map(to_zigzag));
        }
        None => {
            writer.always_double(2, histogram.count);
            writer.double(3, histogram.sum);
            writer.zigzag(4, histogram.schema.into());
            writer.double(5, histogram.zero_threshold);
            writer.always_double(7, histogram.zero_count);
            encode_spans(8, &histogram.negative_spans, writer);
            writer.packed_doubles(10, &histogram.negative_buckets);
            encode_spans(11, &histogram.positive_spans, writer);
            writer.packed_doubles(13, &histogram.positive_buckets);
        }
    }
    let hint = match histogram.reset_hint {
        ResetHint::Unknown => 0,
        ResetHint::CounterReset => 1,
        ResetHint::NotCounterReset => 2,
        ResetHint::Gauge => 3,
    };
    writer.number(14, hint);
    writer.signed(15, timestamp_ms);
    writer.packed_doubles(16, &histogram.custom_values);
    writer.signed(17, start_timestamp_ms);
}

fn encode_spans(field: u32, spans: &[Span], writer: &mut Writer) {
    for span in spans {
        writer.message(field, |inner| {
            inner.zigzag(1, span.offset.into());
            inner.number(2, span.length.into());
        });
    }
}

/// A histogram whose counts are all whole: buckets as deltas.
pub(crate) struct Whole {
    pub(crate) count: u64,
    pub(crate) zero_count: u64,
    pub(crate) positive: Vec<i64>,
    pub(crate) negative: Vec<i64>,
}

/// Returns the whole numbers; `None` when a count is no whole number below 2^53, or they do not add up.
pub(crate) fn whole(histogram: &Histogram) -> Option<Whole> {
    let mut sum = whole_count(histogram.zero_count)?;
    let mut deltas = |buckets: &[f64]| -> Option<Vec<i64>> {
        let mut last = 0_i64;
        buckets
            .iter()
            .map(|count| {
                let count = whole_count(*count)?;
                sum = sum.checked_add(count)?;
                let count = i64::try_from(count).ok()?;
                let delta = count - last;
                last = count;
                Some(delta)
            })
            .collect()
    };
    let positive = deltas(&histogram.positive_buckets)?;
    let negative = deltas(&histogram.negative_buckets)?;
    let (count, zero_count) = (whole_count(histogram.count)?, whole_count(histogram.zero_count)?);
    let adds_up = sum == count || (histogram.sum.is_nan() && sum < count);
    adds_up.then_some(Whole { count, zero_count, positive, negative })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be whole, positive and below 2^53"
)]
fn whole_count(count: f64) -> Option<u64> {
    let is_negative_zero = count == 0.0 && count.is_sign_negative();
    ((0.0..=9_007_199_254_740_992.0).contains(&count) && count.fract() == 0.0 && !is_negative_zero)
        .then_some(count as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn sample() -> Histogram {
        Histogram {
            reset_hint: ResetHint::NotCounterReset,
            schema: 3,
            zero_threshold: 0.001,
            zero_count: 2.0,
            count: 12.0,
            sum: 18.4,
            positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 1, length: 1 }],
            negative_spans: vec![Span { offset: 0, length: 1 }],
            positive_buckets: vec![1.0, 5.0, 2.0],
            negative_buckets: vec![2.0],
            custom_values: Vec::new(),
        }
    }

    fn round_trip(histogram: &Histogram) -> Histogram {
        let mut writer = Writer::default();
        encode(histogram, 7, 5, &mut writer);
        let raw = RawHistogram::decode(&writer.bytes).unwrap();
        assert_eq!((raw.timestamp_ms, raw.start_timestamp_ms), (7, 5));
        raw.into_histogram().unwrap()
    }

    #[test]
    fn whole_and_float_histograms_come_back() {
        let whole = sample();
        assert_eq!(round_trip(&whole), whole);
        let float = Histogram { positive_buckets: vec![1.5, 5.0, 2.0], count: 12.5, ..sample() };
        assert_eq!(round_trip(&float), float);
        let custom = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            zero_threshold: 0.0,
            zero_count: 0.0,
            count: 6.0,
            positive_spans: vec![Span { offset: 0, length: 3 }],
            positive_buckets: vec![1.0, 2.0, 3.0],
            negative_spans: vec![],
            negative_buckets: vec![],
            custom_values: vec![0.1, 1.0],
            ..sample()
        };
        assert_eq!(round_trip(&custom), custom);
    }

    #[test]
    fn contradictions_are_named() {
        let decode = |change: &dyn Fn(&mut RawHistogram)| {
            let mut writer = Writer::default();
            encode(&sample(), 1, 0, &mut writer);
            let mut raw = RawHistogram::decode(&writer.bytes).unwrap();
            change(&mut raw);
            raw.into_histogram().map(|_| ())
        };
        assert_eq!(decode(&|_| {}), Ok(()));
        assert_eq!(decode(&|raw| raw.schema = -5), Err(HistogramError::Schema(-5)));
        assert_eq!(decode(&|raw| raw.count = 13), Err(HistogramError::CountMismatch { buckets: 12, count: 13 }));
        assert_eq!(decode(&|raw| (raw.count, raw.sum) = (13, f64::NAN)), Ok(()));
        let missing = HistogramError::BucketCount { side: "positive", needed: 3, given: 2 };
        assert_eq!(decode(&|raw| raw.positive.deltas.truncate(2)), Err(missing));
        let offset = HistogramError::SpanOffset { side: "positive", index: 2, offset: -1 };
        assert_eq!(decode(&|raw| raw.positive.spans[1].offset = -1), Err(offset));
        let negative = HistogramError::NegativeCount { what: "a bucket", count: -1.0 };
        assert_eq!(decode(&|raw| raw.negative.deltas[0] = -1), Err(negative));
        let custom = HistogramError::CustomBuckets("the schema is exponential, but there are custom bounds");
        assert_eq!(decode(&|raw| raw.custom_values.push(1.0)), Err(custom));
    }

    #[test]
    fn finer_schemas_are_made_coarser() {
        // Schema 9: buckets 1 and 2 end at 2^(1/512) and 2^(2/512); both lie in bucket 1 of schema 8.
        let mut fine = Histogram {
            schema: 9,
            positive_spans: vec![Span { offset: 0, length: 4 }],
            positive_buckets: vec![1.0, 2.0, 3.0, 4.0],
            ..sample()
        };
        coarsen(&mut fine);
        assert_eq!((fine.schema, fine.positive_buckets), (8, vec![1.0, 5.0, 4.0]));
        assert_eq!(fine.positive_spans, [Span { offset: 0, length: 3 }]);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            if let Ok(raw) = RawHistogram::decode(&bytes) {
                std::hint::black_box(raw.into_histogram().is_ok());
            }
        }
    }
}
