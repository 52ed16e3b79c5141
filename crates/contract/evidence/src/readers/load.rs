//! Runs of load: what a summary of latencies allows to say about a quantile; and our own summary.
//!
//! A percentile that a tool prints is a sample of a known rank. So printed percentiles bound other quantiles: the smallest
//! printed one whose rank is at least the upper rank, the largest whose rank is at most the lower. A request that failed was
//! not answered in time: it counts as infinitely late.

use std::collections::BTreeMap;

use jiff::Timestamp;
use maru_api::{Criterion, Measured, Outcome, Ratio, Span, Window};
use serde::Deserialize;

use super::{Content, Format, REPORT_ITEMS_MAX, ReadError, Report, from_json, malformed, note, noted, too_many};
use crate::record::EvidenceKind;
use crate::statistics::{quantile_ranks, ratio_bounds};

/// A run of load as every tool's summary says it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Run {
    pub(super) scenario: Option<String>,
    /// Requests that were answered, rightly or wrongly, and whose latency was taken.
    pub(super) answered: u64,
    /// Of these, answered wrongly.
    pub(super) failed: u64,
    /// Requests that got no answer.
    pub(super) lost: u64,
    /// How long it took.
    pub(super) seconds: Option<f64>,
    /// Shares and the latency in seconds below which that share of the answered requests was.
    pub(super) percentiles: Vec<(f64, f64)>,
    pub(super) slowest: Option<f64>,
    /// Latencies in seconds and how many requests were answered rightly within.
    pub(super) within: Vec<(f64, u64)>,
    /// What the tool's own thresholds came to.
    pub(super) thresholds: Vec<(String, bool)>,
    /// Why the run does not count, when it does not.
    pub(super) unfit: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Summary {
    kind: String,
    scenario: String,
    from: Timestamp,
    to: Timestamp,
    /// All requests that were sent.
    requests: u64,
    /// Of these, answered wrongly.
    #[serde(default)]
    failed: u64,
    /// Of these, without an answer.
    #[serde(default)]
    lost: u64,
    /// Pairs of seconds and how many requests were answered rightly within.
    #[serde(default)]
    within: Vec<(f64, u64)>,
    /// Latencies in seconds by share: `"0.99"`.
    #[serde(default)]
    quantiles: BTreeMap<String, f64>,
    #[serde(default)]
    slowest: Option<f64>,
    /// Whether the generator kept what it was asked for.
    valid: bool,
    #[serde(default)]
    why: String,
    #[serde(default)]
    version: String,
}

/// Reads our own summary.
pub(super) fn read(report: &[u8]) -> Result<Report, ReadError> {
    let summary: Summary = from_json(Format::Load, report)?;
    if summary.kind != "maru.dev/load/v1" {
        return Err(malformed(Format::Load, "its kind is not \"maru.dev/load/v1\""));
    }
    if summary.to < summary.from {
        return Err(malformed(Format::Load, "it ends before it begins"));
    }
    if summary.within.len() > REPORT_ITEMS_MAX {
        return Err(too_many(Format::Load, "buckets"));
    }
    let answered = summary.requests.checked_sub(summary.lost);
    let answered = answered.ok_or_else(|| malformed(Format::Load, "more requests were lost than sent"))?;
    if summary.failed > answered || summary.within.iter().any(|(_, count)| *count > answered - summary.failed) {
        return Err(malformed(Format::Load, "its counts are more than its requests"));
    }
    let percentiles = summary
        .quantiles
        .iter()
        .filter_map(|(share, value)| Some((share.parse::<Ratio>().ok()?.as_f64(), *value)))
        .collect();
    let run = Run {
        scenario: Some(summary.scenario),
        answered,
        failed: summary.failed,
        lost: summary.lost,
        seconds: Some(summary.to.duration_since(summary.from).as_secs_f64()),
        percentiles,
        slowest: summary.slowest,
        within: summary.within,
        thresholds: Vec::new(),
        unfit: (!summary.valid).then(|| note(&format!("the generator declares its run invalid: {}", summary.why))),
    };
    Ok(Report {
        kind: EvidenceKind::Load,
        tool: "maru".to_owned(),
        version: summary.version,
        window: Some(Window { from: summary.from, to: summary.to }),
        content: Content::Load(run),
    })
}

impl Run {
    fn sent(&self) -> u64 {
        self.answered.saturating_add(self.lost)
    }

    pub(super) fn measure(&self, criterion: Option<&Criterion>, confidence: f64) -> Measured {
        if let Some(why) = &self.unfit {
            return noted(Outcome::Insufficient, why);
        }
        let mut result = match criterion {
            Some(Criterion::Latency { quantile, at_most, .. }) => self.latency(*quantile, *at_most, confidence),
            Some(Criterion::Availability { .. } | Criterion::ErrorRatio { .. }) => {
                self.ratio(self.answered.saturating_sub(self.failed), confidence)
            }
            Some(Criterion::Throughput { .. }) => self.throughput(confidence),
            _ => self.by_thresholds(),
        };
        result.load = self.seconds.filter(|seconds| *seconds > 0.0).map(|seconds| float(self.sent()) / seconds);
        result
    }

    fn by_thresholds(&self) -> Measured {
        let crossed: Vec<String> =
            self.thresholds.iter().filter(|(_, holds)| !holds).take(3).map(|(name, _)| name.clone()).collect();
        if self.thresholds.is_empty() {
            return noted(
                Outcome::Insufficient,
                "the run has no thresholds, and no criterion says what it should reach",
            );
        }
        let outcome = if crossed.is_empty() { Outcome::Met } else { Outcome::Violated };
        Measured { notes: crossed, ..Measured::plain(outcome) }
    }

    fn ratio(&self, good: u64, confidence: f64) -> Measured {
        let mut result =
            Measured { samples: Some(self.sent()), unit: "ratio".to_owned(), ..Measured::plain(Outcome::Met) };
        if self.sent() > 0 {
            let bounds = ratio_bounds(good, self.sent(), confidence);
            result.value = Some(float(good) / float(self.sent()));
            (result.low, result.high, result.confidence) = (Some(bounds.low), Some(bounds.high), Some(confidence));
        }
        result
    }

    fn throughput(&self, confidence: f64) -> Measured {
        let good = self.answered.saturating_sub(self.failed);
        let mut result =
            Measured { samples: Some(self.sent()), unit: "perSecond".to_owned(), ..Measured::plain(Outcome::Met) };
        // Arrivals scatter like a Poisson process, which from a hundred on is as good as normal.
        if let Some(seconds) = self.seconds.filter(|seconds| *seconds > 0.0 && good >= 100) {
            let spread = normal_quantile(confidence) * float(good).sqrt();
            result.value = Some(float(good) / seconds);
            result.low = Some((float(good) - spread) / seconds);
            result.high = Some((float(good) + spread) / seconds);
            result.confidence = Some(confidence);
        }
        result
    }

    fn latency(&self, quantile: Ratio, at_most: Span, confidence: f64) -> Measured {
        let limit = at_most.as_secs_f64();
        if let Some((_, good)) = self.within.iter().find(|(bound, _)| (bound - limit).abs() <= limit * 1e-9) {
            return Measured { threshold: Some(limit), ..self.ratio(*good, confidence) };
        }
        let share = quantile.as_f64();
        let ranks = quantile_ranks(self.sent(), share, confidence);
        let known = self.ranked();
        // Failed requests move to the end of the line: what stood at a rank stands up to that many ranks earlier.
        let high = ranks.high.and_then(|rank| {
            let rank = rank.saturating_add(self.failed);
            known.iter().filter(|known| known.at_least >= rank).map(|known| known.value).min_by(f64::total_cmp)
        });
        let low = ranks.low.and_then(|rank| {
            known.iter().filter(|known| known.at_most <= rank).map(|known| known.value).max_by(f64::total_cmp)
        });
        let value =
            self.percentiles.iter().find(|(printed, _)| (printed - share).abs() < 1e-9).map(|(_, value)| *value);
        Measured {
            value: value.or(high).or(low),
            low,
            high,
            confidence: Some(confidence),
            samples: Some(self.sent()),
            unit: "seconds".to_owned(),
            quantile: Some(share),
            ..Measured::plain(Outcome::Met)
        }
    }

    /// The printed percentiles as samples between two ranks. Tools interpolate differently, by less than a rank each way.
    fn ranked(&self) -> Vec<Ranked> {
        let count = float(self.answered);
        let rank = |value: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "clamped to the samples' ranks"
            )]
            let rank = value.clamp(1.0, count.max(1.0)) as u64;
            rank
        };
        let printed = self.percentiles.iter().map(|(share, value)| Ranked {
            at_least: rank((share * count).floor() - 1.0),
            at_most: rank((share * count).ceil() + 1.0),
            value: *value,
        });
        let slowest = self.slowest.map(|value| Ranked { at_least: self.answered, at_most: self.answered, value });
        let finite = |ranked: &Ranked| ranked.value.is_finite() && ranked.value >= 0.0;
        printed.chain(slowest).filter(finite).collect()
    }
}

struct Ranked {
    at_least: u64,
    at_most: u64,
    value: f64,
}

fn float(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
    let float = count as f64;
    float
}

/// The one-sided quantile of the normal distribution (Acklam's rational approximation is not needed: halving is exact).
fn normal_quantile(confidence: f64) -> f64 {
    // P(Z <= z) through the incomplete beta function of Student's distribution with very many degrees of freedom.
    const DEGREES: f64 = 1e9;
    let cdf = |z: f64| {
        let tail = 0.5 * crate::statistics::incomplete_beta(DEGREES / (DEGREES + z * z), DEGREES / 2.0, 0.5);
        1.0 - tail
    };
    let (mut low, mut high) = (0.0, 10.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if cdf(middle) < confidence {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_quantile_is_the_published_one() {
        assert!((normal_quantile(0.95) - 1.644_853_6).abs() < 1e-5);
        assert!((normal_quantile(0.975) - 1.959_964).abs() < 1e-5);
    }
}
