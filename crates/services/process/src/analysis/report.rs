//! Values of the model in the units that people write, and the answer as JSON that another program can check.

use maru_api::{Digest, Span, canonical_json};
use maru_solver::{Certificate, Limit, Outcome, Quantity, Relaxation};
use serde_json::{Value, json};

use super::Analysis;
use super::bounds::{NANO, decimal_percent, never};

impl Analysis {
    /// Returns all certificates of the answer.
    #[must_use]
    pub fn certificates(&self) -> Vec<&Certificate> {
        match &self.outcome {
            Outcome::Feasible(solution) => vec![&solution.certificate],
            Outcome::Infeasible(found) => found.conflicts.iter().map(|conflict| &conflict.certificate).collect(),
            Outcome::Unknown { .. } => Vec::new(),
        }
    }

    /// Returns what a checker needs: the model, where its bounds come from, and the certificates.
    #[must_use]
    pub fn certificate_blob(&self) -> Vec<u8> {
        let content = json!({
            "kind": "maru.dev/analysis/v1",
            "asked": self.asked,
            "model": self.model,
            "certificates": self.certificates(),
        });
        canonical_json(&content).into_bytes()
    }

    /// Returns the digest of [`Self::certificate_blob`]; none when nothing is certified.
    #[must_use]
    pub fn certificate_digest(&self) -> Option<Digest> {
        (!self.certificates().is_empty()).then(|| Digest::of(&self.certificate_blob()))
    }

    /// Returns the analysis as JSON: the status that it makes, all numbers, model and certificates.
    #[must_use]
    pub fn json(&self) -> Value {
        let answer = match &self.outcome {
            Outcome::Feasible(solution) => {
                json!({"options": solution.options, "cost": solution.cost, "within": solution.within})
            }
            Outcome::Infeasible(found) => {
                let conflicts = found.conflicts.iter();
                let relaxations = self.relaxations.iter().map(|(bound, relaxation)| match relaxation {
                    Relaxation::To { limit, .. } => json!({"bound": bound, "limit": limit}),
                    Relaxation::NoUse => json!({"bound": bound, "limit": null}),
                    Relaxation::Unknown(why) => json!({"bound": bound, "unknown": why.to_string()}),
                });
                let by_priority = self.agreement.as_ref().map(|agreement| {
                    let changes = agreement.changes.iter();
                    json!({
                        "changes": changes.map(|change| json!({"bound": change.bound, "limit": change.limit})).collect::<Vec<_>>(),
                        "options": agreement.options,
                        "cost": agreement.cost,
                    })
                });
                json!({
                    "conflicts": conflicts.map(|one| json!({"bounds": one.bounds, "minimal": one.minimal})).collect::<Vec<_>>(),
                    "complete": found.complete,
                    "relaxations": relaxations.collect::<Vec<_>>(),
                    "byPriority": by_priority,
                })
            }
            Outcome::Unknown { why, found, cost_at_least } => {
                json!({"why": why.to_string(), "options": found, "costAtLeast": cost_at_least})
            }
        };
        json!({
            "status": self.status(),
            "answer": answer,
            "tradeoff": self.tradeoff.as_ref().map(|tradeoff| json!({
                "requirement": tradeoff.requirement,
                "complete": tradeoff.curve.complete,
                "unknown": tradeoff.curve.unknown.as_ref().map(ToString::to_string),
                "points": tradeoff.curve.points.iter().map(|point| json!({
                    "cost": point.cost, "unavailability": point.metric, "options": point.options,
                })).collect::<Vec<_>>(),
            })),
            "asked": self.asked,
            "measuredOptions": self.measured.0,
            "options": self.measured.1,
            "currency": self.currency,
            "certificates": self.certificates(),
            "model": self.model,
        })
    }

    /// Tells how near to the cheapest the choice is that all agree on, when that is not the cheapest for certain.
    #[must_use]
    pub fn agreement_within(&self) -> Option<String> {
        let within = self.agreement.as_ref().map(|agreement| agreement.within)?;
        (within > 0).then(|| self.value("cost", within))
    }

    /// Counts the relaxations that should be told and were not found in time, and whether the one by priority is one.
    #[must_use]
    pub fn relaxations_untold(&self) -> usize {
        let by_priority = matches!(self.outcome, Outcome::Infeasible(_)) && self.agreement.is_none();
        let single = self.relaxations.iter().filter(|(_, one)| matches!(one, Relaxation::Unknown(_))).count();
        single + self.relaxations_left + usize::from(by_priority)
    }

    /// Returns the points of the curve: availability, cost, and how many services' options differ from the point before.
    #[must_use]
    pub fn tradeoff_rows(&self) -> Vec<[String; 3]> {
        let Some(tradeoff) = &self.tradeoff else { return Vec::new() };
        let mut before: Option<&[usize]> = None;
        let mut rows = Vec::new();
        for point in &tradeoff.curve.points {
            let changed = before.map_or_else(Vec::new, |before| {
                let pairs = before.iter().zip(&point.options).enumerate();
                pairs
                    .filter(|(_, (old, new))| old != new)
                    .map(|(place, (_, new))| {
                        let choice = &self.model.choices[place];
                        format!("{} → {}", choice.name, choice.options[*new].name)
                    })
                    .collect()
            });
            rows.push([self.value("availability", point.metric), self.value("cost", point.cost), changed.join(", ")]);
            before = Some(&point.options);
        }
        rows
    }

    /// Writes what is asked: `≤ 300ms`, `≥ 99.9%`.
    pub(super) fn limit(&self, bound: usize, limit: Limit) -> String {
        let what = self.asked[bound].what;
        // Unavailability is at most what availability is at least.
        let sign = match (limit, what) {
            (Limit::AtLeast(_), _) | (_, "availability") => "≥",
            (Limit::AtMost(_), _) => "≤",
        };
        format!("{sign} {}", self.value(what, limit.value()))
    }

    /// Tells whether a time is beyond all that was measured.
    pub(super) fn is_never(&self, bound: usize, value: i64) -> bool {
        let is_time = matches!(self.asked[bound].what, "latency" | "recoveryPoint" | "recoveryTime");
        is_time && self.model.bounds[bound].quantity != Quantity::Cost && value >= never(self.model.choices.len())
    }

    /// Writes how much values differ.
    pub(super) fn difference(&self, what: &str, value: i64) -> String {
        match what {
            "availability" => format!("{}%", decimal_percent(u64::try_from(value).unwrap_or(0))),
            _ => self.value(what, value),
        }
    }

    /// Writes a value of the model in the unit that requirements are written in.
    pub(super) fn value(&self, what: &str, value: i64) -> String {
        match what {
            "cost" => format!("{} {}", grouped(value, 1_000_000), self.currency).trim_end().to_owned(),
            "capacity" => format!("{}/s", grouped(value, 1_000_000)),
            "availability" => {
                let down = u64::try_from(value).unwrap_or(0).min(NANO);
                format!("{}%", decimal_percent(NANO - down))
            }
            _ if value >= never(self.model.choices.len()) => "∞".to_owned(),
            _ => Span::from_nanos(u64::try_from(value).unwrap_or(0)).to_string(),
        }
    }
}

/// Writes a number of units with commas between thousands.
fn grouped(value: i64, unit: i64) -> String {
    let (whole, rest) = (value.div_euclid(unit), value.rem_euclid(unit));
    let digits = whole.unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    let sign = if whole < 0 { "-" } else { "" };
    let decimals = unit.ilog10() as usize;
    let rest = format!("{rest:0decimals$}");
    let rest = rest.trim_end_matches('0');
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{text}{point}{rest}")
}
