//! The content model: what a document says, before any format.
//!
//! Text is plain: every writer escapes it. A line feed inside a text is a line break, a tab a tab.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

use crate::DocumentError;

/// The language of a document's own words; what the data says is printed as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Korean.
    #[default]
    Ko,
    /// English.
    En,
}

impl Language {
    /// Returns the tag of BCP 47.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Ko => "ko-KR",
            Self::En => "en-US",
        }
    }
}

/// How pages lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orientation {
    /// A4 upright.
    #[default]
    Portrait,
    /// A4 on its side, for wide tables.
    Landscape,
}

/// A calendar date, given from outside: no writer reads a clock. Written as `2026-11-22`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// Returns the date as people of the language write it.
    #[must_use]
    pub fn written(self, language: Language) -> String {
        match language {
            Language::Ko => format!("{}년 {}월 {}일", self.year, self.month, self.day),
            Language::En => self.to_string(),
        }
    }

    /// Returns year, month and day.
    #[cfg(feature = "pdf")]
    pub(crate) fn parts(self) -> (u16, u8, u8) {
        (self.year, self.month, self.day)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl FromStr for Date {
    type Err = DocumentError;

    fn from_str(text: &str) -> Result<Self, DocumentError> {
        let refused = || DocumentError::Date { text: text.to_owned() };
        let mut parts = text.split('-');
        let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(refused());
        };
        let digits = |part: &str, count: usize| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
        if !(digits(year, 4) && digits(month, 2) && digits(day, 2)) {
            return Err(refused());
        }
        let year: u16 = year.parse().map_err(|_| refused())?;
        let month: u8 = month.parse().map_err(|_| refused())?;
        let day: u8 = day.parse().map_err(|_| refused())?;
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return Err(refused()),
        };
        if day == 0 || day > days { Err(refused()) } else { Ok(Self { year, month, day }) }
    }
}

impl TryFrom<String> for Date {
    type Error = DocumentError;

    fn try_from(text: String) -> Result<Self, DocumentError> {
        text.parse()
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.to_string()
    }
}

/// What a reader's "properties" window shows, and the foot of each page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The document's number in its project, as `SHOP-RD-001`.
    pub number: String,
    /// The document's version, as `1.2`.
    pub version: String,
    /// The date of issue.
    pub date: Date,
    /// Who issues it.
    pub organisation: String,
    /// Who wrote it.
    pub author: String,
    /// The baseline it was made from: name or fingerprint.
    pub baseline: Option<String>,
}

/// A document: one content for all formats.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The title on the first page.
    pub title: String,
    /// The line below the title: mostly the project's name.
    pub subtitle: Option<String>,
    /// The language of the document's own words.
    pub language: Language,
    /// How its pages lie.
    pub orientation: Orientation,
    /// Its properties.
    pub meta: Metadata,
    /// Its content in order.
    pub blocks: Vec<Block>,
}

/// One piece of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A heading; numbered ones count by level: 1, 1.1, 1.1.1.
    Heading(Heading),
    /// A paragraph.
    Paragraph(Paragraph),
    /// A table.
    Table(Table),
    /// A list.
    List(List),
    /// A picture.
    Image(Image),
    /// What follows begins a new page.
    PageBreak,
    /// The table of contents: headings of levels 1 to 3.
    Contents,
}

/// A heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// From 1 to 6; others are taken as the nearest of these.
    pub level: u8,
    /// Its text, without a number.
    pub text: String,
    /// Whether it is counted.
    pub numbering: Numbering,
    /// A name that runs elsewhere lead to.
    pub anchor: Option<String>,
}

/// Whether a heading is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// It has a number.
    Counted,
    /// It has none.
    Uncounted,
}

/// A paragraph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paragraph {
    /// Its text in pieces.
    pub runs: Vec<Run>,
    /// How it stands.
    pub style: ParagraphStyle,
}

/// How a paragraph stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParagraphStyle {
    /// Body text.
    Body,
    /// A smaller note.
    Note,
}

/// A piece of text in one style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The text.
    pub text: String,
    /// Its style.
    pub style: RunStyle,
    /// The anchor of a heading that it leads to; one that does not exist leads nowhere. Nothing leads outside the document.
    pub target: Option<String>,
}

impl Run {
    /// Returns plain text.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: RunStyle::Plain, target: None }
    }

    /// Returns text in a style.
    pub fn styled(text: impl Into<String>, style: RunStyle) -> Self {
        Self { text: text.into(), style, target: None }
    }

    /// Returns text that leads to a heading's anchor.
    pub fn link(text: impl Into<String>, target: impl Into<String>) -> Self {
        Self { text: text.into(), style: RunStyle::Plain, target: Some(target.into()) }
    }
}

/// The style of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStyle {
    /// As the paragraph.
    Plain,
    /// Bold.
    Bold,
    /// Italic.
    Italic,
    /// Of fixed width: digests, commands.
    Code,
}

/// A list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Counted or not.
    pub kind: ListKind,
    /// Its items in order.
    pub items: Vec<ListItem>,
}

/// Whether a list is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// With bullets.
    Bullets,
    /// With numbers.
    Numbers,
}

/// An item of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListItem {
    /// Its text in pieces.
    pub runs: Vec<Run>,
    /// How deep it stands: 0 to 3; deeper ones stand at 3.
    pub depth: u8,
}

/// A picture, as SVG text.
///
/// The SVG is checked: no scripts, no references outside itself, no entities (see `check_svg`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The SVG's text.
    pub svg: String,
    /// The same as an enhanced metafile, for DOCX, XLSX and HWPX, whose readers do not all know SVG; without one, XLSX and HWPX describe the picture.
    pub metafile: Option<Vec<u8>>,
    /// What it shows, for those who cannot see it.
    pub description: String,
    /// The words below it; counted as figures.
    pub caption: Option<String>,
    /// Its width on paper.
    pub width_mm: u16,
    /// Its height on paper.
    pub height_mm: u16,
}

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The words above it; counted as tables.
    pub caption: Option<String>,
    /// The name of its own worksheet in XLSX; without one its rows stand on the first sheet, in order.
    pub sheet: Option<String>,
    /// The columns' widths, relative to each other; also says how many there are.
    pub columns: Vec<u16>,
    /// How many rows from the top are headers: repeated on each page, frozen on a worksheet.
    pub header_rows: usize,
    /// The rows. One with fewer cells than columns ends with empty ones.
    pub rows: Vec<Row>,
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// The cells from the left, without those that a span of another cell covers.
    pub cells: Vec<Cell>,
}

impl Row {
    /// Returns a row of the cells.
    #[must_use]
    pub fn of(cells: Vec<Cell>) -> Self {
        Self { cells }
    }
}

/// A cell of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Its text in pieces.
    pub runs: Vec<Run>,
    /// How many columns it covers: at least 1.
    pub column_span: usize,
    /// How many rows it covers: at least 1.
    pub row_span: usize,
    /// What it is.
    pub role: CellRole,
    /// Its background.
    pub tone: Tone,
    /// The value on a worksheet when the text is a number; a text stays a text, whatever it begins with.
    pub number: Option<f64>,
}

impl Cell {
    /// Returns a cell with plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::runs(vec![Run::plain(text)])
    }

    /// Returns a cell with pieces of text.
    #[must_use]
    pub fn runs(runs: Vec<Run>) -> Self {
        Self { runs, column_span: 1, row_span: 1, role: CellRole::Data, tone: Tone::Plain, number: None }
    }

    /// Returns a header cell with plain text.
    pub fn header(text: impl Into<String>) -> Self {
        Self { role: CellRole::Header, ..Self::text(text) }
    }

    /// Returns a cell with a count.
    #[must_use]
    pub fn count(count: usize) -> Self {
        // Counts above 2^32 do not occur in a document; the text is exact in any case.
        let number = u32::try_from(count).ok().map(f64::from);
        Self { number, ..Self::text(count.to_string()) }
    }

    /// Returns the cell with a background.
    #[must_use]
    pub fn toned(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    /// Returns the cell covering some columns.
    #[must_use]
    pub fn across(self, column_span: usize) -> Self {
        Self { column_span, ..self }
    }

    /// Returns the cell covering some rows.
    #[must_use]
    pub fn down(self, row_span: usize) -> Self {
        Self { row_span, ..self }
    }
}

/// What a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellRole {
    /// A value.
    Data,
    /// The name of what stands beside or below it.
    Header,
}

/// The background of a cell. It never says anything alone: the text says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// None.
    Plain,
    /// All is well.
    Good,
    /// Something is wrong.
    Bad,
    /// Not known yet.
    Open,
}

/// What one position of a table's grid holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Slot<'a> {
    /// The upper left corner of a cell.
    Cell(&'a Cell),
    /// The left end of the part of a cell that began in a row above.
    Below(&'a Cell),
    /// Covered by what is to the left.
    Covered,
    /// No cell was given.
    Empty,
}

impl Table {
    /// Returns the grid: one vector of slots per row, each as long as there are columns.
    pub(crate) fn grid(&self) -> Result<Vec<Vec<Slot<'_>>>, DocumentError> {
        let width = self.columns.len();
        let refuse = |row: usize, why: &'static str| DocumentError::Table {
            table: self.caption.clone().or_else(|| self.sheet.clone()).unwrap_or_default(),
            row: row + 1,
            why,
        };
        if width == 0 || self.rows.is_empty() || self.columns.contains(&0) {
            return Err(refuse(0, "it needs rows, and columns wider than 0"));
        }
        let mut grid = vec![vec![Slot::Empty; width]; self.rows.len()];
        for (row_index, row) in self.rows.iter().enumerate() {
            let mut column = 0;
            for cell in &row.cells {
                while column < width && !matches!(grid[row_index][column], Slot::Empty) {
                    column += 1;
                }
                if cell.column_span == 0 || cell.row_span == 0 {
                    return Err(refuse(row_index, "a span of 0"));
                }
                let right = column.saturating_add(cell.column_span);
                let bottom = row_index.saturating_add(cell.row_span);
                if right > width {
                    return Err(refuse(row_index, "more cells than columns"));
                }
                if bottom > grid.len() || (row_index < self.header_rows && bottom > self.header_rows) {
                    return Err(refuse(row_index, "a span that leaves the table or its header"));
                }
                for (below, line) in grid[row_index..bottom].iter_mut().enumerate() {
                    for (beside, slot) in line[column..right].iter_mut().enumerate() {
                        if !matches!(slot, Slot::Empty) {
                            return Err(refuse(row_index, "spans that overlap"));
                        }
                        *slot = match (below, beside) {
                            (0, 0) => Slot::Cell(cell),
                            (_, 0) => Slot::Below(cell),
                            _ => Slot::Covered,
                        };
                    }
                }
                column = right;
            }
        }
        Ok(grid)
    }

    /// Returns the columns' widths in units of which the table has `total`; their sum is `total`.
    pub(crate) fn widths(&self, total: u32) -> Vec<u32> {
        let sum: u64 = self.columns.iter().map(|share| u64::from(*share)).sum::<u64>().max(1);
        let mut left = total;
        let last = self.columns.len().saturating_sub(1);
        let mut widths = Vec::with_capacity(self.columns.len());
        for (index, share) in self.columns.iter().enumerate() {
            let part = u32::try_from(u64::from(total) * u64::from(*share) / sum).unwrap_or(total);
            let width = if index == last { left } else { part };
            left = left.saturating_sub(part);
            widths.push(width);
        }
        widths
    }
}
