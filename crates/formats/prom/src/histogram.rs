//! Native histograms: exponential or custom buckets in one sample.
//!
//! Source: Prometheus' specification of native histograms.

/// The schema that marks custom bucket bounds (classic histograms in one sample).
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

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
}
