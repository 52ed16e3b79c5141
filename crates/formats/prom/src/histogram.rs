//! Native histograms: exponential or custom buckets in one sample.
//!
//! Source: Prometheus' specification of native histograms.

mod arithmetic;
mod buckets;
mod estimate;
mod reset;
mod sum;
mod text;
mod trim;

#[cfg(test)]
mod tests;

pub use arithmetic::{Combined, HistogramLayoutError};
pub use buckets::{Bucket, Buckets};
pub use estimate::{Estimate, EstimateNotice};
pub use sum::{HistogramSum, Kahan};
pub use trim::Trim;

/// The schema that marks custom bucket bounds (classic histograms in one sample).
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// The coarsest and the finest exponential schema.
pub const EXPONENTIAL_SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

/// A run of buckets that are next to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Buckets between this run and the one before (for the first: the index of its first bucket).
    pub offset: i32,
    /// How many buckets follow each other.
    pub length: u32,
}

/// What is known about a counter's start between the sample before and this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResetHint {
    /// Must be found out by comparing.
    #[default]
    Unknown,
    /// It started again.
    CounterReset,
    /// It did not start again.
    NotCounterReset,
    /// It is no counter at all.
    Gauge,
}

/// One sample of a native histogram. Counts are floating point and absolute; clients' integers up to 2^53 are exact.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// What is known about a start between the sample before and this one.
    pub reset_hint: ResetHint,
    /// -4 to 8: bucket `i` ends at 2^(i · 2^-schema); [`CUSTOM_BUCKETS_SCHEMA`]: bounds are in `custom_values`.
    pub schema: i32,
    /// Half the width of the bucket around zero.
    pub zero_threshold: f64,
    /// Observations around zero.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// The sum of all observations.
    pub sum: f64,
    /// Where the positive buckets are.
    pub positive_spans: Vec<Span>,
    /// Where the negative buckets are.
    pub negative_spans: Vec<Span>,
    /// Count of each positive bucket that a span names, not cumulative.
    pub positive_buckets: Vec<f64>,
    /// Count of each negative bucket that a span names, not cumulative.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds without +Inf, for custom buckets only.
    pub custom_values: Vec<f64>,
}

impl Histogram {
    /// Returns a histogram without observations.
    #[must_use]
    pub fn empty(schema: i32) -> Self {
        Self {
            reset_hint: ResetHint::Unknown,
            schema,
            zero_threshold: 0.0,
            zero_count: 0.0,
            count: 0.0,
            sum: 0.0,
            positive_spans: Vec::new(),
            negative_spans: Vec::new(),
            positive_buckets: Vec::new(),
            negative_buckets: Vec::new(),
            custom_values: Vec::new(),
        }
    }

    /// Returns the sample that ends a series of histograms.
    #[must_use]
    pub fn stale_marker() -> Self {
        Self { sum: crate::stale_marker(), ..Self::empty(0) }
    }

    /// Tells whether the bounds are custom.
    #[must_use]
    pub fn has_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Tells whether this sample ends the series: its sum is the marker.
    #[must_use]
    pub fn is_stale_marker(&self) -> bool {
        crate::is_stale_marker(self.sum)
    }

    /// Tells whether both hold the same data in the same buckets, bit by bit; empty spans and the reset hint do not count.
    #[must_use]
    pub fn is_same_data(&self, other: &Self) -> bool {
        let same_bits =
            |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
        let same_numbers = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b);
        self.schema == other.schema
            && same_bits(&[self.count, self.sum, self.zero_count], &[other.count, other.sum, other.zero_count])
            && same_numbers(&[self.zero_threshold], &[other.zero_threshold])
            && (!self.has_custom_buckets() || same_numbers(&self.custom_values, &other.custom_values))
            && same_bits(&self.positive_buckets, &other.positive_buckets)
            && same_bits(&self.negative_buckets, &other.negative_buckets)
            && buckets::same_layout(&self.positive_spans, &other.positive_spans)
            && buckets::same_layout(&self.negative_spans, &other.negative_spans)
    }

    /// Returns the bytes it takes in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let spans = self.positive_spans.len() + self.negative_spans.len();
        let floats = self.positive_buckets.len() + self.negative_buckets.len() + self.custom_values.len();
        size_of::<Self>() + size_of::<Span>() * spans + size_of::<f64>() * floats
    }
}
