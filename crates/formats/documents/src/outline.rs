//! What is counted over a whole document: headings, tables, figures; where links lead.

use std::collections::BTreeMap;

use crate::content::{Block, Document, Heading, Numbering, Run, Table};
use crate::phrases::Phrase;

/// The deepest level that a table of contents shows.
const CONTENTS_LEVEL_MAX: u8 = 3;
const LEVELS: usize = 6;

/// A heading with its number.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// From 1 to 6.
    pub(crate) level: u8,
    /// Number and text.
    pub(crate) text: String,
    /// The mark that links lead to: of ASCII letters and digits, unique.
    pub(crate) mark: String,
    heading: &'a Heading,
}

/// The counted parts of a document.
#[derive(Debug)]
pub(crate) struct Outline<'a> {
    entries: Vec<Entry<'a>>,
    marks: BTreeMap<&'a str, usize>,
}

impl<'a> Outline<'a> {
    /// Counts the document's headings.
    pub(crate) fn of(document: &'a Document) -> Self {
        let mut counters = [0_usize; LEVELS];
        let mut outline = Self { entries: Vec::new(), marks: BTreeMap::new() };
        for block in &document.blocks {
            let Block::Heading(heading) = block else { continue };
            let level = heading.level.clamp(1, 6);
            let depth = usize::from(level);
            let text = match heading.numbering {
                Numbering::Uncounted => heading.text.clone(),
                Numbering::Counted => {
                    counters[depth - 1] += 1;
                    counters[depth..].fill(0);
                    let number: Vec<String> = counters[..depth].iter().map(|count| count.max(&1).to_string()).collect();
                    format!("{}. {}", number.join("."), heading.text)
                }
            };
            let index = outline.entries.len();
            if let Some(anchor) = &heading.anchor {
                outline.marks.entry(anchor).or_insert(index);
            }
            outline.entries.push(Entry { level, text, mark: format!("h{}", index + 1), heading });
        }
        outline
    }

    /// Returns the headings in order.
    pub(crate) fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// Returns the headings that a table of contents shows.
    pub(crate) fn contents(&self) -> impl Iterator<Item = &Entry<'a>> {
        self.entries
            .iter()
            .filter(|entry| entry.level <= CONTENTS_LEVEL_MAX && entry.heading.numbering == Numbering::Counted)
    }

    /// Returns the mark that a run leads to.
    pub(crate) fn target(&self, run: &Run) -> Option<&str> {
        let index = self.marks.get(run.target.as_deref()?)?;
        self.entries.get(*index).map(|entry| entry.mark.as_str())
    }
}

/// Counts through a document while it is written: the next heading, table and figure.
#[derive(Debug)]
pub(crate) struct Cursor<'o, 'a> {
    document: &'a Document,
    outline: &'o Outline<'a>,
    headings: usize,
    tables: usize,
    figures: usize,
}

impl<'o, 'a> Cursor<'o, 'a> {
    /// Returns a cursor before the first block.
    pub(crate) fn new(document: &'a Document, outline: &'o Outline<'a>) -> Self {
        Self { document, outline, headings: 0, tables: 0, figures: 0 }
    }

    /// Returns the next heading; call once per heading.
    pub(crate) fn heading(&mut self) -> Option<&'o Entry<'a>> {
        self.headings += 1;
        self.outline.entries().get(self.headings - 1)
    }

    /// Returns the words above a table; call once per table.
    pub(crate) fn table(&mut self, table: &Table) -> Option<String> {
        let caption = table.caption.as_ref()?;
        self.tables += 1;
        Some(format!("{} {}. {caption}", Phrase::Table.text(self.document.language), self.tables))
    }

    /// Returns the words below a figure; call once per figure.
    pub(crate) fn figure(&mut self, caption: Option<&str>) -> Option<String> {
        let caption = caption?;
        self.figures += 1;
        Some(format!("{} {}. {caption}", Phrase::Figure.text(self.document.language), self.figures))
    }
}

/// Returns the line at the foot of each page, before the page's number.
pub(crate) fn foot(document: &Document) -> String {
    let meta = &document.meta;
    let mut parts = vec![meta.number.clone(), document.title.clone()];
    if !meta.version.is_empty() {
        // A baseline may be called "v1" already.
        let mark = if meta.version.starts_with(|letter: char| letter.is_ascii_digit()) { "v" } else { "" };
        parts.push(format!("{mark}{}", meta.version));
    }
    parts.push(meta.date.to_string());
    parts.retain(|part| !part.is_empty());
    parts.join(" · ")
}

/// Returns the text before a list's item: a number, counted per depth, or a bullet.
#[derive(Debug, Default)]
pub(crate) struct ListCounter {
    counts: [usize; 4],
}

impl ListCounter {
    /// Returns the number of the next item at a depth from 0 to 3.
    pub(crate) fn next(&mut self, depth: u8) -> usize {
        let depth = usize::from(depth.min(3));
        self.counts[depth] += 1;
        self.counts[depth + 1..].fill(0);
        self.counts[depth]
    }
}
