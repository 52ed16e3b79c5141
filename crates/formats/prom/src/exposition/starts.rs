//! Which `…_created` line belongs to which series.

use std::borrow::Cow;

use super::labels::{self, Item, Rules};
use super::text::Dialect;
use crate::MetricType;

/// Returns where the samples of a family end whose `# TYPE` was just read; other metadata may come first.
pub(super) fn family_end(rest: &str) -> usize {
    let mut at = 0;
    let mut has_samples = false;
    for line in rest.split_inclusive('\n') {
        let is_comment = line.starts_with('#');
        if is_comment && (has_samples || line.starts_with("# TYPE") || line.starts_with("# EOF")) {
            break;
        }
        has_samples |= !is_comment;
        at += line.len();
    }
    at
}

pub(super) fn has_starts(metric_type: MetricType) -> bool {
    matches!(metric_type, MetricType::Counter | MetricType::Histogram | MetricType::Summary)
}

/// Returns the metric's name of a series as written.
pub(super) fn series_name(series: &str) -> Cow<'_, str> {
    match labels::split_series(series) {
        (Some(name), _) => Cow::Borrowed(name),
        (None, Some(inside)) => {
            let rules = Rules { dialect: Dialect::OpenMetrics, is_strict: false, is_exemplar: false };
            let mut found = Cow::Borrowed("");
            let read = labels::read(inside, rules, |item| {
                if let Item::Metric(name) = item {
                    found = labels::unescape(name);
                }
            });
            if read.is_ok() { found } else { Cow::Borrowed("") }
        }
        (None, None) => Cow::Borrowed(""),
    }
}

/// Returns what the series of one point share: their labels without `le` and `quantile`.
pub(super) fn start_key(series: &str) -> String {
    let mut key = String::new();
    if let (_, Some(inside)) = labels::split_series(series) {
        let rules = Rules { dialect: Dialect::OpenMetrics, is_strict: false, is_exemplar: false };
        let read = labels::read(inside, rules, |item| {
            if let Item::Label { name, value } = item
                && !matches!(name, "le" | "quantile")
            {
                key.extend([name, "=", value, "\n"]);
            }
        });
        debug_assert!(read.is_ok(), "{series:?} was read before");
    }
    key
}
