//! The requirements definition (요구사항 정의서).

use serde::{Deserialize, Serialize};

use super::cover::{Cover, Draft, Figure, Priority, lines};
use crate::content::{Block, Cell, Document, Language, Numbering, Orientation, Row, Run, RunStyle, Table};
use crate::phrases::{Phrase, category};

/// What a requirements definition is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequirementsDefinition {
    /// The first page.
    pub cover: Cover,
    /// What the project is for: one paragraph each.
    #[serde(default)]
    pub purpose: Vec<String>,
    /// What it covers: one paragraph each.
    #[serde(default)]
    pub scope: Vec<String>,
    /// Pictures: context, use cases.
    #[serde(default)]
    pub figures: Vec<Figure>,
    /// The requirements in the order of the document.
    #[serde(default)]
    pub requirements: Vec<RequirementEntry>,
    /// The project's words.
    #[serde(default)]
    pub glossary: Vec<Term>,
}

/// What a requirement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// What the system does.
    Functional,
    /// How well it does it.
    NonFunctional,
    /// What it must keep to.
    Constraint,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Functional, Self::NonFunctional, Self::Constraint];

    fn phrase(self) -> Phrase {
        match self {
            Self::Functional => Phrase::Functional,
            Self::NonFunctional => Phrase::NonFunctional,
            Self::Constraint => Phrase::Constraint,
        }
    }
}

/// A requirement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequirementEntry {
    /// Its name, as `nfr-007`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its statement.
    pub statement: String,
    /// What it is about.
    pub kind: Kind,
    /// A category: known words are translated (performance, availability, security, …), others printed as they are.
    #[serde(default)]
    pub category: String,
    /// How much it matters.
    pub priority: Priority,
    /// Where it comes from: document and clause.
    #[serde(default)]
    pub source: String,
    /// Whom it concerns.
    #[serde(default)]
    pub stakeholders: Vec<String>,
    /// The requirements above it.
    #[serde(default)]
    pub derived_from: Vec<String>,
    /// The components that fulfil it.
    #[serde(default)]
    pub allocated_to: Vec<String>,
    /// Its criterion in words.
    #[serde(default)]
    pub criterion: String,
    /// How it is verified: one line each.
    #[serde(default)]
    pub verification: Vec<String>,
    /// Its fingerprint.
    #[serde(default)]
    pub fingerprint: String,
    /// What the lint found: one line each.
    #[serde(default)]
    pub findings: Vec<String>,
    /// The requirements that it cannot be met together with.
    #[serde(default)]
    pub conflicts: Vec<String>,
}

/// A word of the project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Term {
    /// The word.
    pub word: String,
    /// The word in English.
    #[serde(default)]
    pub english: String,
    /// What it means.
    pub meaning: String,
}

/// Returns the requirements definition in a language.
#[must_use]
pub fn requirements_definition(data: &RequirementsDefinition, language: Language) -> Document {
    let mut draft = Draft::new(&data.cover, language);
    overview(&mut draft, data);
    summary(&mut draft, &data.requirements);
    draft.heading(1, Phrase::RequirementList, Numbering::Counted);
    let rows = data.requirements.iter().map(|one| {
        Row::of(vec![
            Cell::runs(vec![Run::link(&*one.id, &*one.id)]),
            Cell::text(&one.title),
            Cell::text(one.kind.phrase().text(language)),
            Cell::text(category(&one.category, language)),
            Cell::text(one.priority.phrase().text(language)),
            Cell::text(&one.statement),
            Cell::text(&one.criterion),
            lines(&one.verification),
            Cell::text(&one.source),
            lines(&one.allocated_to),
        ])
    });
    let heads = [
        Phrase::RequirementId,
        Phrase::Title,
        Phrase::Kind,
        Phrase::Category,
        Phrase::Priority,
        Phrase::Statement,
        Phrase::Criterion,
        Phrase::Verification,
        Phrase::Source,
        Phrase::AllocatedTo,
    ];
    let widths = [5, 6, 4, 4, 4, 14, 8, 8, 5, 5];
    let caption = draft.word(Phrase::RequirementList).to_owned();
    draft.table(Some(caption), Some(Phrase::RequirementList), &heads, &widths, rows.collect());
    draft.heading(1, Phrase::RequirementDetails, Numbering::Counted);
    for one in &data.requirements {
        detail(&mut draft, one);
    }
    draft.heading(1, Phrase::Glossary, Numbering::Counted);
    let rows = data
        .glossary
        .iter()
        .map(|term| Row::of(vec![Cell::text(&term.word), Cell::text(&term.english), Cell::text(&term.meaning)]));
    let heads = [Phrase::TermWord, Phrase::English, Phrase::Meaning];
    draft.table(None, Some(Phrase::Glossary), &heads, &[2, 2, 6], rows.collect());
    draft.finish(Phrase::RequirementsDefinition, &data.cover, Orientation::Landscape)
}

fn overview(draft: &mut Draft, data: &RequirementsDefinition) {
    draft.heading(1, Phrase::Overview, Numbering::Counted);
    draft.paragraph(draft.word(Phrase::DefinitionIntroduction));
    for (phrase, paragraphs) in [(Phrase::Purpose, &data.purpose), (Phrase::Scope, &data.scope)] {
        if !paragraphs.is_empty() {
            draft.heading(2, phrase, Numbering::Counted);
            for paragraph in paragraphs {
                draft.paragraph(paragraph);
            }
        }
    }
    if !data.figures.is_empty() {
        draft.heading(2, Phrase::Figures, Numbering::Counted);
        draft.blocks.extend(data.figures.iter().map(Figure::block));
    }
}

/// Counts by kind and priority.
fn summary(draft: &mut Draft, requirements: &[RequirementEntry]) {
    draft.heading(1, Phrase::Summary, Numbering::Counted);
    let count = |kind: Option<Kind>, priority: Option<Priority>| {
        requirements
            .iter()
            .filter(|one| kind.is_none_or(|kind| one.kind == kind))
            .filter(|one| priority.is_none_or(|priority| one.priority == priority))
            .count()
    };
    let rows = Kind::ALL.into_iter().map(Some).chain([None]).map(|kind| {
        let name = draft.word(kind.map_or(Phrase::Total, Kind::phrase));
        let mut cells = vec![Cell::header(name)];
        cells.extend(
            Priority::ALL.into_iter().map(Some).chain([None]).map(|priority| Cell::count(count(kind, priority))),
        );
        Row::of(cells)
    });
    let rows = rows.collect();
    let heads = [Phrase::Kind, Phrase::Must, Phrase::Should, Phrase::Could, Phrase::Wont, Phrase::Total];
    let caption = draft.word(Phrase::Summary).to_owned();
    draft.table(Some(caption), Some(Phrase::Summary), &heads, &[2, 1, 1, 1, 1, 1], rows);
}

fn detail(draft: &mut Draft, one: &RequirementEntry) {
    draft.named_heading(2, format!("{} {}", one.id, one.title), Some(one.id.clone()));
    let language = draft.language;
    let word = |phrase: Phrase| Cell::header(phrase.text(language));
    let wide = |phrase: Phrase, cell: Cell| Row::of(vec![word(phrase), cell.across(3)]);
    let links = |ids: &[String]| {
        let runs = ids.iter().enumerate().flat_map(|(index, id)| {
            let comma = (index > 0).then(|| Run::plain(", "));
            comma.into_iter().chain([Run::link(id, id)])
        });
        Cell::runs(runs.collect())
    };
    let mut rows = vec![
        Row::of(vec![
            word(Phrase::Kind),
            Cell::text(one.kind.phrase().text(language)),
            word(Phrase::Category),
            Cell::text(category(&one.category, language)),
        ]),
        Row::of(vec![
            word(Phrase::Priority),
            Cell::text(one.priority.phrase().text(language)),
            word(Phrase::Source),
            Cell::text(&one.source),
        ]),
        wide(Phrase::Statement, Cell::text(&one.statement)),
        wide(Phrase::Criterion, Cell::text(&one.criterion)),
        wide(Phrase::Verification, lines(&one.verification)),
        Row::of(vec![
            word(Phrase::Stakeholders),
            Cell::text(one.stakeholders.join(", ")),
            word(Phrase::AllocatedTo),
            Cell::text(one.allocated_to.join(", ")),
        ]),
        wide(Phrase::DerivedFrom, links(&one.derived_from)),
    ];
    if !one.conflicts.is_empty() {
        rows.push(wide(Phrase::Conflicts, links(&one.conflicts)));
    }
    if !one.findings.is_empty() {
        rows.push(wide(Phrase::Findings, lines(&one.findings)));
    }
    rows.push(wide(Phrase::Fingerprint, Cell::runs(vec![Run::styled(&*one.fingerprint, RunStyle::Code)])));
    draft.blocks.push(Block::Table(Table {
        caption: None,
        sheet: None,
        columns: vec![2, 5, 2, 5],
        header_rows: 0,
        rows,
    }));
}
