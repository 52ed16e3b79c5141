//! What the four documents share: the cover, approvals, verdicts, evidence.

use serde::{Deserialize, Serialize};

use crate::content::{
    Block, Cell, Date, Document, Heading, Image, Language, Metadata, Numbering, Orientation, Paragraph, ParagraphStyle,
    Row, Run, RunStyle, Table, Tone,
};
use crate::phrases::Phrase;

/// What the first page of a document says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cover {
    /// The project's name.
    pub project: String,
    /// The document's number.
    #[serde(default)]
    pub number: String,
    /// The document's version.
    #[serde(default)]
    pub version: String,
    /// The date of issue.
    pub date: Date,
    /// Who issues it.
    #[serde(default)]
    pub organisation: String,
    /// Who wrote it.
    #[serde(default)]
    pub author: String,
    /// The baseline it was made from: name or fingerprint.
    #[serde(default)]
    pub baseline: Option<String>,
    /// Who signs it; empty: lines for who prepares, reviews and approves.
    #[serde(default)]
    pub approvers: Vec<Approver>,
    /// What became of it, the oldest first; empty: this is the first version.
    #[serde(default)]
    pub revisions: Vec<Revision>,
}

/// A version of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// The version.
    pub version: String,
    /// When, as text.
    #[serde(default)]
    pub at: String,
    /// What is different.
    #[serde(default)]
    pub change: String,
    /// The baseline, or who made it.
    #[serde(default)]
    pub by: String,
}

/// A person who signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approver {
    /// As whom.
    pub role: String,
    /// The name; empty leaves room for it.
    #[serde(default)]
    pub name: String,
    /// What was decided; empty leaves room for a signature.
    #[serde(default)]
    pub decision: String,
    /// When, as text; empty leaves room for it.
    #[serde(default)]
    pub at: String,
}

/// The verdict on a requirement or item, decided elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// Every check met its criterion.
    Conforming,
    /// At least one check violated it.
    Nonconforming,
    /// Evidence is missing or does not suffice.
    NotMeasured,
}

/// How much a requirement matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Without it the project fails.
    Must,
    /// It matters.
    Should,
    /// It would be good.
    Could,
    /// Not this time.
    Wont,
}

/// One record of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceRef {
    /// The record's digest, as `sha256:…`.
    pub digest: String,
    /// What kind it is: test result, SLO window, scan, approval.
    #[serde(default)]
    pub kind: String,
    /// When it was collected, as text.
    #[serde(default)]
    pub at: String,
    /// Until when it holds, as text.
    #[serde(default)]
    pub valid_until: String,
    /// What it says in one line.
    #[serde(default)]
    pub summary: String,
}

/// A picture of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// The SVG's text.
    pub svg: String,
    /// The same as an enhanced metafile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metafile: Option<Vec<u8>>,
    /// The words below it.
    pub caption: String,
    /// What it shows, for those who cannot see it.
    pub description: String,
    /// Its width on paper.
    pub width_mm: u16,
    /// Its height on paper.
    pub height_mm: u16,
}

impl Figure {
    pub(super) fn block(&self) -> Block {
        Block::Image(Image {
            svg: self.svg.clone(),
            metafile: self.metafile.clone(),
            description: self.description.clone(),
            caption: Some(self.caption.clone()),
            width_mm: self.width_mm,
            height_mm: self.height_mm,
        })
    }
}

impl Verdict {
    pub(super) fn phrase(self) -> Phrase {
        match self {
            Self::Conforming => Phrase::Conforming,
            Self::Nonconforming => Phrase::Nonconforming,
            Self::NotMeasured => Phrase::NotMeasured,
        }
    }

    pub(super) fn cell(verdict: Option<Self>, language: Language) -> Cell {
        let Some(verdict) = verdict else { return Cell::text("-") };
        let tone = match verdict {
            Self::Conforming => Tone::Good,
            Self::Nonconforming => Tone::Bad,
            Self::NotMeasured => Tone::Open,
        };
        Cell::text(verdict.phrase().text(language)).toned(tone)
    }
}

impl Priority {
    pub(super) const ALL: [Self; 4] = [Self::Must, Self::Should, Self::Could, Self::Wont];

    pub(super) fn phrase(self) -> Phrase {
        match self {
            Self::Must => Phrase::Must,
            Self::Should => Phrase::Should,
            Self::Could => Phrase::Could,
            Self::Wont => Phrase::Wont,
        }
    }
}

/// A document being put together.
pub(super) struct Draft {
    pub(super) language: Language,
    pub(super) blocks: Vec<Block>,
}

impl Draft {
    /// Begins a document with its cover, the approvals and the table of contents.
    pub(super) fn new(cover: &Cover, language: Language) -> Self {
        let mut draft = Self { language, blocks: Vec::new() };
        let word = |phrase: Phrase| phrase.text(language);
        let mut lines = vec![
            (Phrase::Project, cover.project.clone()),
            (Phrase::DocumentNumber, cover.number.clone()),
            (
                Phrase::Version,
                if cover.version.is_empty() { word(Phrase::Draft).to_owned() } else { cover.version.clone() },
            ),
            (Phrase::Issued, cover.date.written(language)),
            (Phrase::Organisation, cover.organisation.clone()),
            (Phrase::Author, cover.author.clone()),
        ];
        lines.extend(cover.baseline.iter().map(|baseline| (Phrase::Baseline, baseline.clone())));
        draft.heading(2, Phrase::DocumentInformation, Numbering::Uncounted);
        let rows = lines.into_iter().map(|(name, value)| Row::of(vec![Cell::header(word(name)), Cell::text(value)]));
        draft.blocks.push(Block::Table(Table {
            caption: None,
            sheet: None,
            columns: vec![1, 3],
            header_rows: 0,
            rows: rows.collect(),
        }));
        draft.approvals(cover);
        draft.revisions(cover);
        draft.blocks.push(Block::PageBreak);
        draft.blocks.push(Block::Contents);
        draft.blocks.push(Block::PageBreak);
        draft
    }

    /// Who signed, or lines for signatures.
    fn approvals(&mut self, cover: &Cover) {
        self.heading(2, Phrase::Approvals, Numbering::Uncounted);
        let open = [Phrase::Prepared, Phrase::Reviewed, Phrase::Approved].map(|phrase| Approver {
            role: self.word(phrase).to_owned(),
            name: if phrase == Phrase::Prepared { cover.author.clone() } else { String::new() },
            decision: String::new(),
            at: String::new(),
        });
        let approvers = if cover.approvers.is_empty() { &open[..] } else { &cover.approvers };
        let rows = approvers.iter().map(|one| {
            let texts = [&one.role, &one.name, &one.decision, &one.at];
            Row::of(texts.map(Cell::text).to_vec())
        });
        let heads = [Phrase::Role, Phrase::Name, Phrase::Signature, Phrase::SignedOn];
        self.table(None, None, &heads, &[2, 3, 3, 2], rows.collect());
    }

    fn revisions(&mut self, cover: &Cover) {
        self.heading(2, Phrase::Revisions, Numbering::Uncounted);
        let first = Revision {
            version: if cover.version.is_empty() { self.word(Phrase::Draft).to_owned() } else { cover.version.clone() },
            at: cover.date.to_string(),
            change: self.word(Phrase::FirstVersion).to_owned(),
            by: cover.author.clone(),
        };
        let revisions = if cover.revisions.is_empty() { std::slice::from_ref(&first) } else { &cover.revisions };
        let rows = revisions.iter().map(|one| {
            let texts = [&one.version, &one.at, &one.change, &one.by];
            Row::of(texts.map(Cell::text).to_vec())
        });
        let heads = [Phrase::Version, Phrase::RevisionDate, Phrase::Change, Phrase::Author];
        self.table(None, None, &heads, &[2, 3, 7, 3], rows.collect());
    }

    /// How the evidence behind a document is checked, with the command.
    pub(super) fn how_to_verify(&mut self) {
        self.heading(1, Phrase::HowToVerify, Numbering::Counted);
        self.paragraph(self.word(Phrase::HowToVerifyText));
        for command in ["maru evidence verify evidence.tar", "sha256sum envelopes/*"] {
            let runs = vec![Run::styled(command, RunStyle::Code)];
            self.blocks.push(Block::Paragraph(Paragraph { runs, style: ParagraphStyle::Body }));
        }
    }

    pub(super) fn word(&self, phrase: Phrase) -> &'static str {
        phrase.text(self.language)
    }

    pub(super) fn heading(&mut self, level: u8, phrase: Phrase, numbering: Numbering) {
        let text = self.word(phrase).to_owned();
        self.blocks.push(Block::Heading(Heading { level, text, numbering, anchor: None }));
    }

    /// A counted heading of data, which links may lead to.
    pub(super) fn named_heading(&mut self, level: u8, text: String, anchor: Option<String>) {
        self.blocks.push(Block::Heading(Heading { level, text, numbering: Numbering::Counted, anchor }));
    }

    pub(super) fn paragraph(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Paragraph(Paragraph { runs: vec![Run::plain(text)], style: ParagraphStyle::Body }));
    }

    pub(super) fn note(&mut self, phrase: Phrase) {
        let runs = vec![Run::plain(self.word(phrase))];
        self.blocks.push(Block::Paragraph(Paragraph { runs, style: ParagraphStyle::Note }));
    }

    /// Adds a table with a header row; one without rows says that there are none.
    pub(super) fn table(
        &mut self,
        caption: Option<String>,
        sheet: Option<Phrase>,
        heads: &[Phrase],
        columns: &[u16],
        rows: Vec<Row>,
    ) {
        let mut all = vec![Row::of(heads.iter().map(|head| Cell::header(self.word(*head))).collect())];
        if rows.is_empty() {
            all.push(Row::of(vec![Cell::text(self.word(Phrase::None)).across(columns.len())]));
        }
        all.extend(rows);
        self.blocks.push(Block::Table(Table {
            caption,
            sheet: sheet.map(|phrase| self.word(phrase).to_owned()),
            columns: columns.to_vec(),
            header_rows: 1,
            rows: all,
        }));
    }

    pub(super) fn evidence_table(&mut self, evidence: &[&EvidenceRef], sheet: Phrase) {
        let rows = evidence.iter().map(|one| {
            Row::of(vec![
                Cell::runs(vec![Run::styled(&*one.digest, RunStyle::Code)]),
                Cell::text(&one.kind),
                Cell::text(&one.summary),
                Cell::text(&one.at),
                Cell::text(&one.valid_until),
            ])
        });
        let rows = rows.collect();
        let heads = [Phrase::Digest, Phrase::EvidenceKind, Phrase::Content, Phrase::CollectedAt, Phrase::ValidUntil];
        self.table(Some(self.word(sheet).to_owned()), Some(sheet), &heads, &[5, 2, 4, 2, 2], rows);
    }

    /// Ends the document.
    pub(super) fn finish(self, title: Phrase, cover: &Cover, orientation: Orientation) -> Document {
        Document {
            title: self.word(title).to_owned(),
            subtitle: Some(cover.project.clone()),
            language: self.language,
            orientation,
            meta: Metadata {
                number: cover.number.clone(),
                version: cover.version.clone(),
                date: cover.date,
                organisation: cover.organisation.clone(),
                author: cover.author.clone(),
                baseline: cover.baseline.clone(),
            },
            blocks: self.blocks,
        }
    }
}

/// One line per value.
pub(super) fn lines(values: &[String]) -> Cell {
    Cell::text(values.join("\n"))
}

/// The beginning of a digest, enough to find it in the list of evidence.
pub(super) fn short(digest: &str) -> String {
    let (kind, hex) = digest.split_once(':').unwrap_or(("", digest));
    let head: String = hex.chars().take(12).collect();
    if kind.is_empty() || head.len() == hex.len() { digest.to_owned() } else { format!("{kind}:{head}…") }
}

/// Counts of verdicts by row.
pub(super) fn verdict_counts(verdicts: impl Iterator<Item = Option<Verdict>>) -> [usize; 3] {
    let mut counts = [0; 3];
    for verdict in verdicts.flatten() {
        counts[match verdict {
            Verdict::Conforming => 0,
            Verdict::Nonconforming => 1,
            Verdict::NotMeasured => 2,
        }] += 1;
    }
    counts
}
