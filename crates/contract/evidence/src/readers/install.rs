//! An installation with its time: what was set up, step by step, and how long it took.

use jiff::Timestamp;
use maru_api::{Measured, Outcome, Span, Window};
use serde::Deserialize;

use super::{Content, Format, REPORT_ITEMS_MAX, ReadError, Report, malformed, note, noted, text_of, too_many, written};
use crate::record::{Case, EvidenceKind};

const KIND: &str = "maru.dev/install/v1";
/// How much longer steps may take together than the whole, by rounding.
const ROUNDING_SECONDS: f64 = 1.0;

/// What an installation came to.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Install {
    kind: String,
    pub(super) name: String,
    from: Timestamp,
    to: Timestamp,
    /// How long it may take; none: as long as it takes.
    #[serde(default)]
    within: Option<Span>,
    #[serde(default)]
    tool: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Step {
    name: String,
    #[serde(default)]
    took: Option<Span>,
    succeeded: bool,
    #[serde(default)]
    note: String,
}

pub(super) fn read(report: &[u8]) -> Result<Report, ReadError> {
    let install: Install = written(Format::Install, &text_of(Format::Install, report)?)?;
    if install.kind != KIND {
        return Err(malformed(Format::Install, format!("its kind is not \"{KIND}\"")));
    }
    if install.to < install.from {
        return Err(malformed(Format::Install, "it ends before it begins"));
    }
    if install.steps.len() > REPORT_ITEMS_MAX {
        return Err(too_many(Format::Install, "steps"));
    }
    let took: f64 = install.steps.iter().filter_map(|step| step.took).map(Span::as_secs_f64).sum();
    if took > install.seconds() + ROUNDING_SECONDS {
        return Err(malformed(Format::Install, "its steps took longer than the time between \"from\" and \"to\""));
    }
    let tool = if install.tool.trim().is_empty() { "person".to_owned() } else { note(&install.tool) };
    Ok(Report {
        kind: EvidenceKind::Install,
        tool,
        version: note(&install.version),
        window: Some(Window { from: install.from, to: install.to }),
        content: Content::Install(install),
    })
}

impl Install {
    fn seconds(&self) -> f64 {
        self.to.duration_since(self.from).as_secs_f64()
    }

    pub(super) fn measure(&self) -> (Measured, Vec<Case>) {
        let cases: Vec<Case> = self
            .steps
            .iter()
            .map(|step| Case {
                name: step.name.clone(),
                outcome: if step.succeeded { Outcome::Met } else { Outcome::Violated },
                note: match (step.took, note(&step.note)) {
                    (Some(took), said) if said.is_empty() => took.to_string(),
                    (Some(took), said) => format!("{took}; {said}"),
                    (None, said) => said,
                },
            })
            .collect();
        let seconds = self.seconds();
        let count = cases.len();
        let result = if let Some(failed) = cases.iter().find(|case| case.outcome == Outcome::Violated) {
            noted(Outcome::Violated, format!("\"{}\" did not succeed", note(&failed.name)))
        } else if cases.is_empty() {
            noted(Outcome::Insufficient, "it has no steps: what was installed is not known")
        } else if let Some(within) = self.within.filter(|within| seconds > within.as_secs_f64()) {
            noted(Outcome::Violated, format!("{count} steps took {seconds:.1} s, longer than {within}"))
        } else {
            let limit = self.within.map(|within| format!(", within {within}")).unwrap_or_default();
            // What this installation took is known, not estimated: one value, no spread.
            Measured {
                value: Some(seconds),
                low: Some(seconds),
                high: Some(seconds),
                samples: Some(1),
                unit: "seconds".to_owned(),
                ..noted(Outcome::Met, format!("{count} steps in {seconds:.1} s{limit}"))
            }
        };
        (result, cases)
    }
}
