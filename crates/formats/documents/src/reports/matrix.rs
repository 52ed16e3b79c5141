//! The traceability matrix (추적표).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::cover::{Cover, Draft, EvidenceRef, Priority, Verdict, lines, short, verdict_counts};
use crate::content::{Cell, Document, Language, Numbering, Orientation, Row};
use crate::phrases::Phrase;

/// What a traceability matrix is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TraceabilityMatrix {
    /// The first page.
    pub cover: Cover,
    /// One row per requirement, in the order of the document.
    #[serde(default)]
    pub rows: Vec<TraceRow>,
    /// Artefacts that no requirement asks for.
    #[serde(default)]
    pub orphans: Vec<Orphan>,
}

/// A requirement and what it is linked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TraceRow {
    /// The requirement's name.
    pub requirement: String,
    /// Its title.
    pub title: String,
    /// How much it matters.
    pub priority: Priority,
    /// Where it comes from.
    #[serde(default)]
    pub source: String,
    /// The requirements above it.
    #[serde(default)]
    pub derived_from: Vec<String>,
    /// Components that fulfil it.
    #[serde(default)]
    pub components: Vec<String>,
    /// Models and diagrams about it.
    #[serde(default)]
    pub models: Vec<String>,
    /// What is done for it.
    #[serde(default)]
    pub work: Vec<String>,
    /// The commits that did it.
    #[serde(default)]
    pub code: Vec<String>,
    /// Tests that verify it.
    #[serde(default)]
    pub tests: Vec<String>,
    /// Objectives that verify it in operation.
    #[serde(default)]
    pub objectives: Vec<String>,
    /// Evidence for its verdict.
    #[serde(default)]
    pub evidence: Vec<EvidenceRef>,
    /// Its verdict; none for what will not be done.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// Why, in words.
    #[serde(default)]
    pub reason: String,
    /// Links whose other end changed since they were reviewed.
    #[serde(default)]
    pub suspect: Vec<String>,
}

/// An artefact that no requirement asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// Test, component, model, objective.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What is missing.
    #[serde(default)]
    pub reason: String,
}

/// Returns the traceability matrix in a language.
#[must_use]
pub fn traceability_matrix(data: &TraceabilityMatrix, language: Language) -> Document {
    let mut draft = Draft::new(&data.cover, language);
    summary(&mut draft, data);
    matrix(&mut draft, data);
    gaps(&mut draft, data);
    reverse(&mut draft, data);
    draft.heading(1, Phrase::Orphans, Numbering::Counted);
    let rows = data
        .orphans
        .iter()
        .map(|one| Row::of(vec![Cell::text(&one.kind), Cell::text(&one.name), Cell::text(&one.reason)]));
    let heads = [Phrase::ArtefactKind, Phrase::Artefact, Phrase::Reason];
    draft.table(None, Some(Phrase::Orphans), &heads, &[2, 4, 6], rows.collect());
    draft.heading(1, Phrase::EvidenceList, Numbering::Counted);
    let mut evidence: BTreeMap<&str, &EvidenceRef> = BTreeMap::new();
    for one in data.rows.iter().flat_map(|row| &row.evidence) {
        evidence.entry(&one.digest).or_insert(one);
    }
    draft.evidence_table(&evidence.into_values().collect::<Vec<_>>(), Phrase::EvidenceList);
    draft.how_to_verify();
    draft.finish(Phrase::TraceabilityMatrix, &data.cover, Orientation::Landscape)
}

fn summary(draft: &mut Draft, data: &TraceabilityMatrix) {
    draft.heading(1, Phrase::Summary, Numbering::Counted);
    let rows = Priority::ALL.into_iter().map(Some).chain([None]).map(|priority| {
        let of = || data.rows.iter().filter(move |row| priority.is_none_or(|priority| row.priority == priority));
        let counts = verdict_counts(of().map(|row| row.verdict));
        let mut cells = vec![Cell::header(draft.word(priority.map_or(Phrase::Total, Priority::phrase)))];
        cells.extend(counts.map(Cell::count));
        cells.push(Cell::count(of().count()));
        Row::of(cells)
    });
    let rows = rows.collect();
    let heads = [Phrase::Priority, Phrase::Conforming, Phrase::Nonconforming, Phrase::NotMeasured, Phrase::Total];
    let caption = draft.word(Phrase::Summary).to_owned();
    draft.table(Some(caption), Some(Phrase::Summary), &heads, &[2, 1, 1, 1, 1], rows);
    draft.note(Phrase::VerdictMeaning);
}

fn matrix(draft: &mut Draft, data: &TraceabilityMatrix) {
    draft.heading(1, Phrase::Matrix, Numbering::Counted);
    draft.paragraph(draft.word(Phrase::MatrixIntroduction));
    let language = draft.language;
    let rows = data.rows.iter().map(|row| {
        let evidence: Vec<String> = row.evidence.iter().map(|one| short(&one.digest)).collect();
        let mut above = row.derived_from.clone();
        above.extend((!row.source.is_empty()).then(|| row.source.clone()));
        Row::of(vec![
            Cell::text(&row.requirement),
            Cell::text(&row.title),
            Cell::text(row.priority.phrase().text(language)),
            lines(&above),
            lines(&row.components),
            lines(&row.models),
            lines(&[row.work.as_slice(), &row.code].concat()),
            lines(&row.tests),
            lines(&row.objectives),
            lines(&evidence),
            Verdict::cell(row.verdict, language),
            Cell::text(&row.reason),
        ])
    });
    let rows = rows.collect();
    let heads = [
        Phrase::RequirementId,
        Phrase::Title,
        Phrase::Priority,
        Phrase::Source,
        Phrase::Components,
        Phrase::Models,
        Phrase::WorkAndCommits,
        Phrase::Tests,
        Phrase::Objectives,
        Phrase::Evidence,
        Phrase::Verdict,
        Phrase::Reason,
    ];
    let widths = [5, 7, 4, 5, 6, 6, 5, 7, 5, 7, 4, 8];
    let caption = draft.word(Phrase::Matrix).to_owned();
    draft.table(Some(caption), Some(Phrase::Matrix), &heads, &widths, rows);
}

/// What is missing between a requirement and its verdict.
fn gaps(draft: &mut Draft, data: &TraceabilityMatrix) {
    draft.heading(1, Phrase::Gaps, Numbering::Counted);
    let language = draft.language;
    let mut rows = Vec::new();
    for row in data.rows.iter().filter(|row| row.priority != Priority::Wont) {
        let mut found = Vec::new();
        if row.tests.is_empty() && row.objectives.is_empty() {
            found.push(draft.word(Phrase::NoTest).to_owned());
        }
        if row.components.is_empty() {
            found.push(draft.word(Phrase::NoComponent).to_owned());
        }
        if row.evidence.is_empty() {
            found.push(draft.word(Phrase::NoEvidence).to_owned());
        }
        let suspect = draft.word(Phrase::Suspect);
        found.extend(row.suspect.iter().map(|link| format!("{suspect}: {link}")));
        if !found.is_empty() || row.verdict != Some(Verdict::Conforming) {
            rows.push(Row::of(vec![
                Cell::text(&row.requirement),
                Cell::text(&row.title),
                Verdict::cell(row.verdict, language),
                lines(&found),
                Cell::text(&row.reason),
            ]));
        }
    }
    if rows.is_empty() {
        draft.paragraph(draft.word(Phrase::NoGaps));
        return;
    }
    draft.paragraph(draft.word(Phrase::GapsIntroduction));
    let heads = [Phrase::RequirementId, Phrase::Title, Phrase::Verdict, Phrase::Gaps, Phrase::Reason];
    let caption = draft.word(Phrase::Gaps).to_owned();
    draft.table(Some(caption), Some(Phrase::Gaps), &heads, &[2, 4, 2, 5, 6], rows);
}

/// The artefacts of one kind that a row names.
type Artefacts = fn(&TraceRow) -> &[String];

/// From each artefact back to its requirements.
fn reverse(draft: &mut Draft, data: &TraceabilityMatrix) {
    draft.heading(1, Phrase::ReverseMatrix, Numbering::Counted);
    draft.paragraph(draft.word(Phrase::ReverseIntroduction));
    let mut rows = Vec::new();
    let kinds: [(Phrase, Artefacts); 6] = [
        (Phrase::Components, |row| &row.components),
        (Phrase::Models, |row| &row.models),
        (Phrase::Work, |row| &row.work),
        (Phrase::Commits, |row| &row.code),
        (Phrase::Tests, |row| &row.tests),
        (Phrase::Objectives, |row| &row.objectives),
    ];
    for (kind, of) in kinds {
        let mut back: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for row in &data.rows {
            for artefact in of(row) {
                back.entry(artefact).or_default().push(row.requirement.clone());
            }
        }
        for (artefact, requirements) in back {
            rows.push(Row::of(vec![
                Cell::text(draft.word(kind)),
                Cell::text(artefact),
                Cell::text(requirements.join(", ")),
                Cell::count(requirements.len()),
            ]));
        }
    }
    let heads = [Phrase::ArtefactKind, Phrase::Artefact, Phrase::Requirements, Phrase::Count];
    let caption = draft.word(Phrase::ReverseMatrix).to_owned();
    draft.table(Some(caption), Some(Phrase::ReverseMatrix), &heads, &[2, 4, 8, 1], rows);
}
