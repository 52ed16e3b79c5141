//! The pieces of metadata lines.

use std::borrow::Cow;

use super::{labels, names};
use crate::MetricType;

pub(super) fn open_metrics_type(text: &str) -> Option<MetricType> {
    Some(match text {
        "counter" => MetricType::Counter,
        "gauge" => MetricType::Gauge,
        "histogram" => MetricType::Histogram,
        "gaugehistogram" => MetricType::GaugeHistogram,
        "summary" => MetricType::Summary,
        "info" => MetricType::Info,
        "stateset" => MetricType::StateSet,
        "unknown" => MetricType::Unknown,
        _ => return None,
    })
}

/// Splits a metadata line behind its keyword into the family's name, quoted or not, and the rest.
pub(super) fn metadata_name(text: &str) -> Option<(Cow<'_, str>, &str)> {
    if let Some(inside) = text.strip_prefix('"') {
        let mut is_escaped = false;
        let end = inside.bytes().position(|byte| {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            ends
        })?;
        let name = inside.get(..end).filter(|name| !name.is_empty())?;
        return Some((labels::unescape(name), inside.get(end + 1..)?));
    }
    let end = text
        .bytes()
        .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':')))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let is_name = names::is_legacy_metric_name(name);
    // Nothing but a space may follow: `a.b` is no name.
    (is_name && (rest.is_empty() || rest.starts_with([' ', '\t']))).then_some((Cow::Borrowed(name), rest))
}
