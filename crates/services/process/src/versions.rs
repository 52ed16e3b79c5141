//! The versions of documents: the baselines they were made from, and who approved them.

use maru_api::{ApprovalSpec, Decision, Language, Spec as _};
use maru_documents as documents;
use maru_time::rfc3339_seconds;

use crate::baseline::Content;
use crate::ledger::{Ledger, LedgerError};
use crate::papers::word;

/// As many baselines as a document's history tells.
const REVISIONS_MAX: usize = 100;

/// The baselines up to one, the oldest first.
pub(crate) fn revisions_of(
    ledger: &Ledger,
    content: &Content,
    language: Language,
) -> Result<Vec<documents::Revision>, LedgerError> {
    let revision = |content: &Content| documents::Revision {
        version: String::new(),
        at: rfc3339_seconds(content.at),
        change: content.change.get(language).to_owned(),
        by: content.name.clone(),
    };
    let mut found = vec![revision(content)];
    let mut before = content.previous;
    while let Some(digest) = before.filter(|_| found.len() < REVISIONS_MAX) {
        let content = Content::load(ledger, digest)?;
        found.push(revision(&content));
        before = content.previous;
    }
    found.reverse();
    for (index, one) in found.iter_mut().enumerate() {
        one.version = format!("{}.0", index + 1);
        if one.change.is_empty() && index == 0 {
            one.change = word(language, "처음 작성", "first version").to_owned();
        }
    }
    Ok(found)
}

/// Who approved what a baseline holds.
pub(crate) fn approvers_of(content: &Content, language: Language) -> Vec<documents::Approver> {
    let approvals = content.objects.get(ApprovalSpec::KIND).into_iter().flatten();
    let specs = approvals.filter_map(|object| serde_json::from_value::<ApprovalSpec>(object.get("spec")?.clone()).ok());
    let approver = |one: ApprovalSpec| documents::Approver {
        role: one.role,
        name: one.by,
        decision: match one.decision {
            Decision::Approved => word(language, "승인", "approved"),
            Decision::Rejected => word(language, "반려", "rejected"),
        }
        .to_owned(),
        at: one.at.map(rfc3339_seconds).unwrap_or_default(),
    };
    specs.map(approver).collect()
}
