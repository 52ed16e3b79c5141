//! A window of a service level objective: how many were good of how many.

use jiff::Timestamp;
use maru_api::{Measured, Outcome, Ratio, Window};
use serde::{Deserialize, Serialize};

use super::{Content, Format, REPORT_ITEMS_MAX, ReadError, Report, from_json, malformed, too_many};
use crate::record::EvidenceKind;
use crate::statistics::{clustered_bounds, ratio_bounds};

/// What an objective counted in a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SloWindow {
    kind: String,
    /// The objective's name.
    pub(super) objective: String,
    from: Timestamp,
    to: Timestamp,
    /// How many were good.
    good: u64,
    /// Of how many.
    total: u64,
    /// The share that the objective itself asks for: decides for requirements without a number of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Ratio>,
    /// Of a latency: within which time it was good, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    /// The window in pieces that follow each other, `[good, total]` each: failures that come together count less.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<(u64, u64)>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    version: String,
}

pub(super) fn read(report: &[u8]) -> Result<Report, ReadError> {
    let window: SloWindow = from_json(Format::SloWindow, report)?;
    let wrong = |why: &str| Err(malformed(Format::SloWindow, why));
    if window.kind != "maru.dev/slo-window/v1" {
        return wrong("its kind is not \"maru.dev/slo-window/v1\"");
    }
    if window.to < window.from {
        return wrong("it ends before it begins");
    }
    if window.blocks.len() > REPORT_ITEMS_MAX {
        return Err(too_many(Format::SloWindow, "blocks"));
    }
    let sum = |pick: fn(&(u64, u64)) -> u64| window.blocks.iter().map(pick).fold(0, u64::saturating_add);
    if window.good > window.total || window.blocks.iter().any(|(good, total)| good > total) {
        return wrong("more are good than there are");
    }
    if !window.blocks.is_empty() && (sum(|block| block.0), sum(|block| block.1)) != (window.good, window.total) {
        return wrong("its blocks do not add up to the window");
    }
    Ok(Report {
        kind: EvidenceKind::SloWindow,
        tool: "maru".to_owned(),
        version: window.version.clone(),
        window: Some(Window { from: window.from, to: window.to }),
        content: Content::Slo(window),
    })
}

impl SloWindow {
    pub(super) fn measure(&self, confidence: f64) -> Measured {
        let mut result = Measured {
            samples: Some(self.total),
            unit: "ratio".to_owned(),
            threshold: self.threshold,
            ..Measured::plain(Outcome::Insufficient)
        };
        if self.total > 0 {
            let bounds = if self.blocks.len() > 1 {
                clustered_bounds(&self.blocks, confidence)
            } else {
                ratio_bounds(self.good, self.total, confidence)
            };
            #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
            let value = self.good as f64 / self.total as f64;
            result.value = Some(value);
            if let Some(target) = self.target.map(Ratio::as_f64) {
                if bounds.low >= target {
                    result.outcome = Outcome::Met;
                } else if bounds.high < target {
                    result.outcome = Outcome::Violated;
                }
            }
            (result.low, result.high, result.confidence) = (Some(bounds.low), Some(bounds.high), Some(confidence));
        }
        result
    }
}
