//! What counts in a window allow to say about a target.

use maru_evidence::statistics::{Bounds, clustered_bounds, ratio_bounds, samples_needed, zero_failure_samples};
use maru_requirements::LocalText;
use serde::{Deserialize, Serialize};

use crate::window::Stretch;

/// Confidence of intervals, as projects have it by default.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// Whether a target held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// It did not.
    Violated,
    /// What was seen does not say.
    Insufficient,
    /// It did.
    Met,
}

/// Good and all events of a window, in pieces that follow each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    pub(crate) from: maru_time::Timestamp,
    pub(crate) to: maru_time::Timestamp,
    pub(crate) good: u64,
    pub(crate) total: u64,
    pub(crate) blocks: Vec<(u64, u64)>,
}

impl Counts {
    /// Makes counts of what queries gave for each piece: good and all, not whole where they are estimates.
    pub(crate) fn new(stretch: Stretch, pieces: &[(f64, f64)]) -> Self {
        let blocks: Vec<(u64, u64)> = pieces
            .iter()
            .map(|(good, total)| {
                let total = whole(*total);
                (whole(*good).min(total), total)
            })
            .collect();
        let (good, total) = blocks.iter().fold((0, 0), |(good, total), block| (good + block.0, total + block.1));
        Self { from: stretch.from, to: stretch.to, good, total, blocks }
    }
}

fn whole(value: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
    let whole = value.round().clamp(0.0, 9e15) as u64;
    whole
}

#[expect(clippy::cast_precision_loss, reason = "counts of events are far below 2^52")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// What is known of a target in a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Judged {
    pub(crate) outcome: Outcome,
    pub(crate) reason: LocalText,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) low: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) high: Option<f64>,
    pub(crate) confidence: f64,
    /// What is left of the budget of failures, as a share of it; negative when it is overdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) budget_left: Option<f64>,
}

/// Judges a target by the counts of a window.
pub(crate) fn judge(counts: Counts, target: f64) -> Judged {
    if counts.total == 0 {
        let needed = zero_failure_samples(target, CONFIDENCE).unwrap_or(u64::MAX);
        let reason = LocalText::both(
            format!("사건이 하나도 측정되지 않음; 실패 없이 {needed}건이 필요함"),
            format!("nothing was measured; {needed} events without a failure would do"),
        );
        return Judged {
            outcome: Outcome::Insufficient,
            reason,
            counts,
            ratio: None,
            low: None,
            high: None,
            confidence: CONFIDENCE,
            budget_left: None,
        };
    }
    let (good, total) = (counts.good, counts.total);
    let Bounds { low, high } = if counts.blocks.iter().filter(|(_, total)| *total > 0).count() > 1 {
        clustered_bounds(&counts.blocks, CONFIDENCE)
    } else {
        ratio_bounds(good, total, CONFIDENCE)
    };
    let ratio = float(good) / float(total);
    let outcome = if low >= target {
        Outcome::Met
    } else if high < target {
        Outcome::Violated
    } else {
        Outcome::Insufficient
    };
    let budget_left = 1.0 - (1.0 - ratio) / (1.0 - target);
    let reason = reason(outcome, &counts, target, ratio, (low, high));
    Judged {
        outcome,
        reason,
        counts,
        ratio: Some(ratio),
        low: Some(low),
        high: Some(high),
        confidence: CONFIDENCE,
        budget_left: Some(budget_left),
    }
}

fn reason(outcome: Outcome, counts: &Counts, target: f64, ratio: f64, (low, high): (f64, f64)) -> LocalText {
    let (good, total) = (counts.good, counts.total);
    let (value, goal, confidence) = (percent(ratio), percent(target), percent(CONFIDENCE));
    match outcome {
        Outcome::Met => LocalText::both(
            format!("{total}건 중 {good}건({value})이 양호, {confidence} 신뢰도로 {} 이상; 목표 {goal}", percent(low)),
            format!(
                "{good} of {total} were good ({value}), at least {} at {confidence} confidence; the target is {goal}",
                percent(low)
            ),
        ),
        Outcome::Violated => LocalText::both(
            format!("{total}건 중 {good}건({value})만 양호, {confidence} 신뢰도로 {} 이하; 목표 {goal}", percent(high)),
            format!(
                "only {good} of {total} were good ({value}), at most {} at {confidence} confidence; the target is {goal}",
                percent(high)
            ),
        ),
        Outcome::Insufficient => {
            let needed = samples_needed(good, total, target, CONFIDENCE).map(|needed| needed.to_string());
            let more = needed.map_or_else(
                || LocalText::both("얼마나 더 필요한지 말할 수 없음", "how many more would do cannot be said"),
                |needed| {
                    LocalText::both(format!("약 {needed}건이 더 필요함"), format!("about {needed} more are needed"))
                },
            );
            LocalText::both(
                format!(
                    "{total}건 중 {good}건({value})이 양호, {} ~ {} 사이; 목표 {goal}을(를) 판단하기에 부족: {}",
                    percent(low),
                    percent(high),
                    more.get(maru_requirements::Language::Ko)
                ),
                format!(
                    "{good} of {total} were good ({value}), between {} and {}; that does not settle {goal}: {}",
                    percent(low),
                    percent(high),
                    more.get(maru_requirements::Language::En)
                ),
            )
        }
    }
}

/// Writes a share with as many digits as tell it from 100 %.
pub(crate) fn percent(share: f64) -> String {
    let text = format!("{:.4}", share * 100.0);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pieces: &[(f64, f64)]) -> Counts {
        let stretch =
            Stretch { from: "2026-11-22T00:00:00Z".parse().unwrap(), to: "2026-11-22T01:00:00Z".parse().unwrap() };
        Counts::new(stretch, pieces)
    }

    #[test]
    fn so_many_without_failure_are_enough_and_one_less_is_not() {
        for (target, needed) in [(0.99, 299.0), (0.999, 2995.0), (0.9999, 29_956.0)] {
            assert_eq!(judge(counts(&[(needed, needed)]), target).outcome, Outcome::Met, "{target}");
            let less = judge(counts(&[(needed - 1.0, needed - 1.0)]), target);
            assert_eq!(less.outcome, Outcome::Insufficient, "{target}");
            assert!(less.reason.get(maru_requirements::Language::En).contains("more are needed"), "{less:?}");
        }
    }

    #[test]
    fn failures_violate_only_when_they_are_beyond_chance() {
        assert_eq!(judge(counts(&[(990.0, 1000.0)]), 0.999).outcome, Outcome::Violated);
        assert_eq!(judge(counts(&[(1.0, 2.0)]), 0.999).outcome, Outcome::Violated);
        assert_eq!(judge(counts(&[(999.0, 1000.0)]), 0.999).outcome, Outcome::Insufficient);
        assert_eq!(judge(counts(&[]), 0.999).outcome, Outcome::Insufficient);
    }

    #[test]
    fn failures_that_come_together_count_less() {
        let even: Vec<(f64, f64)> = vec![(995.0, 1000.0); 20];
        let mut bursts = vec![(1000.0, 1000.0); 20];
        bursts[3].0 = 900.0;
        assert_eq!(judge(counts(&even), 0.999).outcome, Outcome::Violated);
        assert_eq!(judge(counts(&bursts), 0.999).outcome, Outcome::Insufficient);
    }

    #[test]
    fn estimates_are_rounded_and_never_more_good_than_all() {
        let counts = counts(&[(1.07, 1.0), (-0.2, 0.4), (f64::NAN, 3.2)]);
        assert_eq!((counts.good, counts.total), (1, 4));
    }
}
