//! Exposition: the texts and messages by which programs show their metrics, read and written.
//!
//! [`TextParser`] reads both text formats line by line without copying; a scraper that knows which series a target shows
//! gives it the series it expects next and pays for little more than the number. [`check_open_metrics`] is stricter than any
//! scraper: it refuses what OpenMetrics forbids. [`decode_families`] reads the protobuf format, which alone has native histograms.
//! Source: Prometheus text format 0.0.4 and 1.0.0; OpenMetrics 0.0.1 and 1.0.0; `io.prometheus.client.MetricFamily`.

mod families;
mod format;
mod labels;
mod metadata;
mod names;
mod starts;
mod strict;
mod text;
mod write;

pub use families::{Family, FamilySample, FamilyValue, decode_families};
pub use format::{Escaping, Format, ScrapeProtocol};
pub use labels::ExemplarLine;
pub use names::{escape_name, is_legacy_label_name, is_legacy_metric_name, unescape_name};
pub use strict::check_open_metrics;
pub use text::{CreatedLines, Dialect, Entry, SeriesLine, TextParser};
pub use write::{FamilyHead, Writer};

/// An exposition that breaks its format's rules.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {reason}")]
#[non_exhaustive]
pub struct ExpositionError {
    /// Which line, from 1; 0 in protobuf, which has none.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

#[cfg(test)]
mod tests;
