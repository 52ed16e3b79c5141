//! A person's word: an `Approval` object.

use maru_api::{ApprovalSpec, Decision, Measured, Outcome, Window};
use serde::Deserialize;

use super::{Content, Format, ReadError, Report, from_json, malformed, note, noted};
use crate::record::EvidenceKind;

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Object { spec: ApprovalSpec },
    Spec(ApprovalSpec),
}

pub(super) fn read(report: &[u8]) -> Result<Report, ReadError> {
    let (Written::Object { spec } | Written::Spec(spec)) = from_json(Format::Approval, report)
        .map_err(|_: ReadError| malformed(Format::Approval, "an approval has role, by, of and decision"))?;
    if spec.role.trim().is_empty() || spec.by.trim().is_empty() {
        return Err(malformed(Format::Approval, "it does not say who approves in which role"));
    }
    Ok(Report {
        kind: EvidenceKind::Approval,
        tool: "person".to_owned(),
        version: String::new(),
        window: spec.at.map(|at| Window { from: at, to: at }),
        content: Content::Approval(spec),
    })
}

pub(super) fn measure(approval: &ApprovalSpec) -> Measured {
    let comment = if approval.comment.is_empty() { String::new() } else { format!(": {}", note(&approval.comment)) };
    match approval.decision {
        Decision::Approved => noted(Outcome::Met, format!("{}{comment}", note(&approval.by))),
        Decision::Rejected => noted(Outcome::Violated, format!("{}{comment}", note(&approval.by))),
    }
}
