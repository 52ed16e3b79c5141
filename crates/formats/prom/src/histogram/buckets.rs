//! Where buckets begin and end, going over them, and other layouts of the same counts.

use super::{Histogram, Span};

/// One bucket with its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// The lower bound.
    pub lower: f64,
    /// The upper bound.
    pub upper: f64,
    /// Whether an observation of just the lower bound is in it.
    pub lower_inclusive: bool,
    /// Whether an observation of just the upper bound is in it.
    pub upper_inclusive: bool,
    /// Observations in it.
    pub count: f64,
    /// Its place within the schema; of no meaning for the zero bucket.
    pub index: i32,
}

impl Bucket {
    /// Returns the part of the bucket's width, 0 to 1, that lies at or below `value`, which is strictly between its finite bounds.
    ///
    /// Exponential buckets are taken as evenly filled on a logarithmic scale.
    pub(super) fn fraction_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper, value_log) = (self.lower.abs().log2(), self.upper.abs().log2(), value.abs().log2());
        if value > 0.0 { (value_log - lower) / (upper - lower) } else { 1.0 - (value_log - upper) / (lower - upper) }
    }
}

/// Which buckets are gone over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Positive,
    Negative,
}

/// One side's buckets, away from zero or towards it.
#[derive(Debug, Clone)]
pub struct Buckets<'a> {
    spans: &'a [Span],
    counts: &'a [f64],
    custom_values: &'a [f64],
    schema: i32,
    side: Side,
    towards_zero: bool,
    /// Of the next bucket; towards zero: one more than that.
    index: i32,
    /// Buckets that the current span still has.
    left: u32,
}

impl<'a> Buckets<'a> {
    fn new(histogram: &'a Histogram, side: Side, towards_zero: bool) -> Self {
        let (spans, counts) = match side {
            Side::Positive => (histogram.positive_spans.as_slice(), histogram.positive_buckets.as_slice()),
            Side::Negative => (histogram.negative_spans.as_slice(), histogram.negative_buckets.as_slice()),
        };
        let custom_values = histogram.custom_values.as_slice();
        let mut buckets =
            Self { spans, counts, custom_values, schema: histogram.schema, side, towards_zero, index: 0, left: 0 };
        if towards_zero {
            buckets.index = spans.iter().fold(0_i32, |index, span| {
                index.saturating_add(span.offset).saturating_add(i32::try_from(span.length).unwrap_or(i32::MAX))
            });
            buckets.left = spans.last().map_or(0, |span| span.length);
        }
        buckets
    }

    /// Returns index and count of the next bucket, without its bounds.
    pub(super) fn next_cell(&mut self) -> Option<(i32, f64)> {
        if self.towards_zero { self.previous_in_spans() } else { self.next_in_spans() }
    }

    fn next_in_spans(&mut self) -> Option<(i32, f64)> {
        while self.left == 0 {
            let (span, rest) = self.spans.split_first()?;
            (self.spans, self.left) = (rest, span.length);
            self.index = self.index.saturating_add(span.offset);
        }
        let (count, rest) = self.counts.split_first()?;
        let index = self.index;
        self.counts = rest;
        self.left -= 1;
        self.index = self.index.saturating_add(1);
        Some((index, *count))
    }

    fn previous_in_spans(&mut self) -> Option<(i32, f64)> {
        while self.left == 0 {
            let (span, rest) = self.spans.split_last()?;
            self.spans = rest;
            self.index = self.index.saturating_sub(span.offset);
            self.left = rest.last()?.length;
        }
        let (count, rest) = self.counts.split_last()?;
        self.counts = rest;
        self.left -= 1;
        self.index = self.index.saturating_sub(1);
        Some((self.index, *count))
    }

    fn bucket(&self, index: i32, count: f64) -> Bucket {
        let (inner, outer) = (
            bound(index.saturating_sub(1), self.schema, self.custom_values),
            bound(index, self.schema, self.custom_values),
        );
        let (lower, upper) = match self.side {
            Side::Positive => (inner, outer),
            Side::Negative => (-outer, -inner),
        };
        let custom = self.schema == super::CUSTOM_BUCKETS_SCHEMA;
        Bucket {
            lower,
            upper,
            lower_inclusive: if custom { index == 0 } else { lower < 0.0 },
            upper_inclusive: custom || upper > 0.0,
            count,
            index,
        }
    }
}

impl Iterator for Buckets<'_> {
    type Item = Bucket;

    fn next(&mut self) -> Option<Bucket> {
        let (index, count) = self.next_cell()?;
        Some(self.bucket(index, count))
    }
}

impl Histogram {
    /// Goes over the positive buckets, the one next to zero first.
    #[must_use]
    pub fn positive(&self) -> Buckets<'_> {
        Buckets::new(self, Side::Positive, false)
    }

    /// Goes over the negative buckets, the one next to zero first.
    #[must_use]
    pub fn negative(&self) -> Buckets<'_> {
        Buckets::new(self, Side::Negative, false)
    }

    /// Returns the bucket around zero; exponential schemas only.
    #[must_use]
    pub fn zero_bucket(&self) -> Bucket {
        Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
            index: 0,
        }
    }

    /// Goes over all buckets from the lowest to the highest, the zero bucket only when it has observations.
    /// A bucket that overlaps the zero bucket begins where that ends.
    pub fn ascending(&self) -> impl Iterator<Item = Bucket> {
        let lower = Buckets::new(self, Side::Negative, true);
        self.around_zero(lower, self.positive())
    }

    /// Goes over all buckets from the highest to the lowest, like [`Self::ascending`].
    pub fn descending(&self) -> impl Iterator<Item = Bucket> {
        let upper = Buckets::new(self, Side::Positive, true);
        self.around_zero(upper, self.negative())
    }

    fn around_zero<'a>(&'a self, first: Buckets<'a>, last: Buckets<'a>) -> impl Iterator<Item = Bucket> + 'a {
        let clip = |mut bucket: Bucket| {
            if bucket.lower > 0.0 {
                bucket.lower = bucket.lower.max(self.zero_threshold);
            } else if bucket.upper < 0.0 {
                bucket.upper = bucket.upper.min(-self.zero_threshold);
            }
            bucket
        };
        first.map(clip).chain((self.zero_count > 0.0).then(|| self.zero_bucket())).chain(last.map(clip))
    }
}

/// 2^(1/2) to 2^(1/256), from which the bounds between two powers of two are multiplied. The first is the float below the
/// nearest one: so do all clients round, and bounds have to be the same everywhere.
#[expect(clippy::approx_constant, reason = "not the square root of two, but the float below it")]
const ROOTS_OF_TWO: [f64; 8] = [
    1.414_213_562_373_095,
    1.189_207_115_002_721,
    1.090_507_732_665_257_7,
    1.044_273_782_427_413_8,
    1.021_897_148_654_116_7,
    1.010_889_286_051_700_5,
    1.005_429_901_112_802_7,
    1.002_711_275_050_202_5,
];

/// Returns the upper bound of bucket `index`, or the lower one of the bucket after it.
pub(super) fn bound(index: i32, schema: i32, custom_values: &[f64]) -> f64 {
    if schema == super::CUSTOM_BUCKETS_SCHEMA {
        return match usize::try_from(index) {
            Ok(index) => custom_values.get(index).copied().unwrap_or(f64::INFINITY),
            Err(_) => f64::NEG_INFINITY,
        };
    }
    exponential_bound(index, schema)
}

pub(super) fn exponential_bound(index: i32, schema: i32) -> f64 {
    // The last bucket of regular numbers would end at 2^1024; it ends at the greatest number, and only infinity lies beyond.
    if schema <= 0 {
        let exponent = i64::from(index) << schema.unsigned_abs().min(31);
        return if exponent == 1024 { f64::MAX } else { power_of_two(0.5, exponent + 1) };
    }
    let schema = schema.unsigned_abs().min(8);
    let (exponent, part) = (i64::from(index >> schema) + 1, index & ((1 << schema) - 1));
    if part == 0 && exponent == 1025 {
        return f64::MAX;
    }
    let mut fraction = 0.5;
    for (place, root) in (0..schema).rev().zip(ROOTS_OF_TWO) {
        if part >> place & 1 == 1 {
            fraction *= root;
        }
    }
    power_of_two(fraction, exponent)
}

/// Returns `fraction` · 2^`exponent`, rounded once.
fn power_of_two(fraction: f64, exponent: i64) -> f64 {
    let mut rest = exponent.clamp(-2200, 2200);
    let mut result = fraction;
    while rest != 0 {
        let step = rest.clamp(-1000, 1000);
        let biased = u64::try_from(step + 1023).unwrap_or_default();
        result *= f64::from_bits(biased << 52);
        rest -= step;
    }
    result
}

/// Returns the index, in `target`, of the bucket that holds bucket `index` of the finer `schema`.
pub(super) fn index_in(index: i32, schema: i32, target: i32) -> i32 {
    let shift = u32::try_from(schema.saturating_sub(target)).unwrap_or_default().min(31);
    (index.saturating_sub(1) >> shift).saturating_add(1)
}

/// Tells whether two lists of spans name the same buckets.
pub(super) fn same_layout(one: &[Span], other: &[Span]) -> bool {
    one == other || runs(one).eq(runs(other))
}

/// Goes over the spans as first index and length, joined where nothing is between them.
fn runs(spans: &[Span]) -> impl Iterator<Item = (i64, u64)> {
    let mut spans = spans.iter();
    let mut end = 0_i64;
    let mut open: Option<(i64, u64)> = None;
    let mut done = false;
    std::iter::from_fn(move || {
        while !done {
            let Some(span) = spans.next() else {
                done = true;
                break;
            };
            let start = end + i64::from(span.offset);
            end = start + i64::from(span.length);
            match &mut open {
                _ if span.length == 0 => {}
                Some((first, length)) if i128::from(*first) + i128::from(*length) == i128::from(start) => {
                    *length += u64::from(span.length);
                }
                _ => {
                    if let Some(run) = open.replace((start, u64::from(span.length))) {
                        return Some(run);
                    }
                }
            }
        }
        open.take()
    })
}

/// Collects counts in the order of their buckets into spans.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) spans: Vec<Span>,
    pub(super) counts: Vec<f64>,
    /// Behind the last bucket.
    end: i32,
}

impl Layout {
    pub(super) fn push(&mut self, index: i32, count: f64) {
        match self.spans.last_mut() {
            Some(span) if index == self.end => span.length += 1,
            _ => self.spans.push(Span { offset: index.saturating_sub(self.end), length: 1 }),
        }
        self.counts.push(count);
        self.end = index.saturating_add(1);
    }
}
