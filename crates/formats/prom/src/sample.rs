//! What hangs on a series besides its values.

use crate::Labels;

/// The bits of the value that says "this series ends here": one NaN of the many.
pub const STALE_MARKER_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Returns the value that ends a series.
#[must_use]
pub fn stale_marker() -> f64 {
    f64::from_bits(STALE_MARKER_BITS)
}

/// Tells whether `value` ends a series; any other NaN is a value.
#[must_use]
pub fn is_stale_marker(value: f64) -> bool {
    value.to_bits() == STALE_MARKER_BITS
}

/// One observation that a sample stands for, usually with a trace's id.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// What tells where it came from, such as `trace_id`.
    pub labels: Labels,
    /// The observed value.
    pub value: f64,
    /// When, in milliseconds since 1970.
    pub timestamp_ms: i64,
}

/// The kind of a metric as its exposition says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash)]
pub enum MetricType {
    /// Only grows, except when it starts again.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations in buckets.
    Histogram,
    /// Buckets of a gauge's values.
    GaugeHistogram,
    /// Quantiles made by the client.
    Summary,
    /// Facts as labels.
    Info,
    /// One of several states.
    StateSet,
    /// Nobody said.
    #[default]
    Unknown,
}

/// What a metric's exposition says about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// The metric's kind.
    pub metric_type: MetricType,
    /// The base unit, such as `seconds`; empty when unsaid.
    pub unit: String,
    /// A sentence for people.
    pub help: String,
}
