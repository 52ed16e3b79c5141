//! The audit matrix (감리 대응표): item, verdict, evidence.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::cover::{Cover, Draft, EvidenceRef, Verdict, lines, short, verdict_counts};
use crate::content::{Cell, Document, Language, Numbering, Orientation, Row};
use crate::phrases::Phrase;

/// What an audit matrix is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditMatrix {
    /// The first page.
    pub cover: Cover,
    /// The items in the order of the audit.
    #[serde(default)]
    pub items: Vec<AuditItem>,
}

/// An item that auditors check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditItem {
    /// Its number, as `SA-03`.
    pub id: String,
    /// The area of the audit it belongs to.
    #[serde(default)]
    pub area: String,
    /// What is checked.
    pub item: String,
    /// By what rule: law, standard, contract.
    #[serde(default)]
    pub basis: String,
    /// The requirements that answer it.
    #[serde(default)]
    pub requirements: Vec<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in words.
    #[serde(default)]
    pub reason: String,
    /// The records behind the verdict.
    #[serde(default)]
    pub evidence: Vec<EvidenceRef>,
    /// What auditors found.
    #[serde(default)]
    pub finding: String,
    /// What was done about it.
    #[serde(default)]
    pub action: String,
    /// Who does it.
    #[serde(default)]
    pub owner: String,
    /// Until when, as text.
    #[serde(default)]
    pub due: String,
}

/// Returns the audit matrix in a language.
#[must_use]
pub fn audit_matrix(data: &AuditMatrix, language: Language) -> Document {
    let mut draft = Draft::new(&data.cover, language);
    draft.heading(1, Phrase::Summary, Numbering::Counted);
    draft.paragraph(draft.word(Phrase::AuditIntroduction));
    summary(&mut draft, data);
    draft.heading(1, Phrase::AuditItems, Numbering::Counted);
    items(&mut draft, data);
    draft.heading(1, Phrase::EvidenceList, Numbering::Counted);
    let mut evidence: BTreeMap<&str, &EvidenceRef> = BTreeMap::new();
    for one in data.items.iter().flat_map(|item| &item.evidence) {
        evidence.entry(&one.digest).or_insert(one);
    }
    draft.evidence_table(&evidence.into_values().collect::<Vec<_>>(), Phrase::EvidenceList);
    draft.how_to_verify();
    draft.finish(Phrase::AuditMatrix, &data.cover, Orientation::Landscape)
}

fn summary(draft: &mut Draft, data: &AuditMatrix) {
    let mut areas: Vec<&str> = Vec::new();
    for item in &data.items {
        if !areas.contains(&item.area.as_str()) {
            areas.push(&item.area);
        }
    }
    let total = draft.word(Phrase::Total);
    let rows = areas.into_iter().map(Some).chain([None]).map(|area| {
        let of = || data.items.iter().filter(move |item| area.is_none_or(|area| item.area == area));
        let mut cells = vec![Cell::header(area.unwrap_or(total))];
        cells.extend(verdict_counts(of().map(|item| Some(item.verdict))).map(Cell::count));
        cells.push(Cell::count(of().count()));
        Row::of(cells)
    });
    let rows = rows.collect();
    let heads = [Phrase::AuditArea, Phrase::Conforming, Phrase::Nonconforming, Phrase::NotMeasured, Phrase::Total];
    let caption = draft.word(Phrase::Summary).to_owned();
    draft.table(Some(caption), Some(Phrase::Summary), &heads, &[3, 1, 1, 1, 1], rows);
    draft.note(Phrase::VerdictMeaning);
}

fn items(draft: &mut Draft, data: &AuditMatrix) {
    let language = draft.language;
    let rows = data.items.iter().map(|item| {
        let evidence: Vec<String> = item.evidence.iter().map(|one| short(&one.digest)).collect();
        Row::of(vec![
            Cell::text(&item.id),
            Cell::text(&item.area),
            Cell::text(&item.item),
            Cell::text(&item.basis),
            Cell::text(item.requirements.join(", ")),
            Verdict::cell(Some(item.verdict), language),
            Cell::text(&item.reason),
            lines(&evidence),
            Cell::text(&item.finding),
            Cell::text(&item.action),
            Cell::text(&item.owner),
            Cell::text(&item.due),
        ])
    });
    let rows = rows.collect();
    let heads = [
        Phrase::AuditId,
        Phrase::AuditArea,
        Phrase::AuditItemWord,
        Phrase::AuditBasis,
        Phrase::Requirements,
        Phrase::Verdict,
        Phrase::Reason,
        Phrase::Evidence,
        Phrase::AuditFinding,
        Phrase::AuditAction,
        Phrase::AuditOwner,
        Phrase::AuditDue,
    ];
    let caption = draft.word(Phrase::AuditItems).to_owned();
    draft.table(Some(caption), Some(Phrase::AuditItems), &heads, &[3, 4, 7, 5, 5, 3, 7, 6, 5, 5, 3, 4], rows);
}
