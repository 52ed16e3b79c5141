//! A drill: something was broken on purpose, and how long it took until it served again, with how much lost.

use jiff::Timestamp;
use maru_api::{Criterion, Measured, Outcome, Span, Window};
use serde::Deserialize;

use super::{Content, Format, REPORT_ITEMS_MAX, ReadError, Report, from_json, malformed, noted, too_many};
use crate::record::{Case, EvidenceKind};

/// What a drill came to.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Drill {
    kind: String,
    pub(super) scenario: String,
    from: Timestamp,
    to: Timestamp,
    succeeded: bool,
    /// The time between the last change that was kept and the fault.
    #[serde(default)]
    recovery_point: Option<Span>,
    /// The time between the fault and the first right answer.
    #[serde(default)]
    recovery_time: Option<Span>,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    name: String,
    succeeded: bool,
    #[serde(default)]
    note: String,
}

pub(super) fn read(report: &[u8]) -> Result<Report, ReadError> {
    let drill: Drill = from_json(Format::Drill, report)?;
    if drill.kind != "maru.dev/drill/v1" {
        return Err(malformed(Format::Drill, "its kind is not \"maru.dev/drill/v1\""));
    }
    if drill.to < drill.from {
        return Err(malformed(Format::Drill, "it ends before it begins"));
    }
    if drill.steps.len() > REPORT_ITEMS_MAX {
        return Err(too_many(Format::Drill, "steps"));
    }
    Ok(Report {
        kind: EvidenceKind::Drill,
        tool: "maru".to_owned(),
        version: String::new(),
        window: Some(Window { from: drill.from, to: drill.to }),
        content: Content::Drill(drill),
    })
}

impl Drill {
    pub(super) fn measure(&self, criterion: Option<&Criterion>) -> (Measured, Vec<Case>) {
        let cases: Vec<Case> = self
            .steps
            .iter()
            .map(|step| Case {
                name: step.name.clone(),
                outcome: if step.succeeded { Outcome::Met } else { Outcome::Violated },
                note: super::note(&step.note),
            })
            .collect();
        let failed = cases.iter().find(|case| case.outcome == Outcome::Violated);
        if !self.succeeded || failed.is_some() {
            let name = failed.map_or("the drill", |case| case.name.as_str());
            return (noted(Outcome::Violated, format!("{name} did not succeed")), cases);
        }
        let span = match criterion {
            Some(Criterion::RecoveryPoint { .. }) => self.recovery_point,
            Some(Criterion::RecoveryTime { .. }) => self.recovery_time,
            _ => return (Measured::plain(Outcome::Met), cases),
        };
        let result = match span.map(Span::as_secs_f64) {
            // What this drill took is known, not estimated: one value, no spread.
            Some(seconds) => Measured {
                value: Some(seconds),
                low: Some(seconds),
                high: Some(seconds),
                samples: Some(1),
                unit: "seconds".to_owned(),
                ..Measured::plain(Outcome::Met)
            },
            None => noted(Outcome::Insufficient, "the drill did not take the time that is asked for"),
        };
        (result, cases)
    }
}
