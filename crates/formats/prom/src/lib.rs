//! What Prometheus and its clients put on the wire: labels, samples, native histograms, matchers, exposition texts,
//! remote write and read, OTLP metrics.
//!
//! Owns: the data model of time series, and bytes ⇄ that model.
//! Never: does IO, reads a clock, evaluates a query (see `maru-promql`), stores anything (see `maru-series`).
//! Source: Prometheus data model; exposition formats 0.0.4 and OpenMetrics 1.0; remote write 1.0 and 2.0; remote read;
//! OTLP 1; native histograms specification.

pub mod exposition;
mod histogram;
mod labels;
mod matcher;
mod native;
pub mod number;
pub mod otlp;
pub mod remote_read;
pub mod remote_write;
mod sample;
pub mod snappy;
mod wire;

pub use histogram::{
    Bucket, Buckets, CUSTOM_BUCKETS_SCHEMA, Combined, EXPONENTIAL_SCHEMAS, Estimate, EstimateNotice, Histogram,
    HistogramLayoutError, HistogramSum, Kahan, ResetHint, Span, Trim,
};
pub use labels::{Labels, LabelsBuilder, METRIC_NAME};
pub use matcher::{Matcher, MatcherError, MatcherOperator, anchored_regex};
pub use native::HistogramError;
pub use sample::{Exemplar, Metadata, MetricType, STALE_MARKER_BITS, is_stale_marker, stale_marker};
pub use wire::WireError;
