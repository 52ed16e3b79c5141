//! XLSX: the document on the first sheet, and each table that names one on a sheet of its own.
//!
//! A text is written as a text whatever it begins with: no content becomes a formula. Source: ECMA-376 part 1, §18.

use std::collections::BTreeSet;

use super::docx_parts::core_properties;
use super::xlsx_parts::{self as parts, Listed, Look, Strings, quoted, style_index};
use super::xlsx_pictures::{self as pictures, Picture};
use super::xlsx_text::{CELL_UNITS_MAX, column_name, columns, is_formula_like, split, units};
use crate::DocumentError;
use crate::content::{Block, Cell, CellRole, Document, ListKind, Orientation, ParagraphStyle, Run, Slot, Table, Tone};
use crate::outline::{Cursor, ListCounter, Outline, foot};
use crate::phrases::Phrase;
use crate::xml::{Xml, clean};
use crate::zip::Zip;

const ROWS_MAX: usize = 1_048_576;
const COLUMNS_MAX: usize = 16_384;
const SHEET_NAME_UNITS_MAX: usize = 31;
/// The columns over which the first sheet's text runs.
const TEXT_COLUMNS: usize = 8;
const TEXT_COLUMN_CHARACTERS: u32 = 18;
/// The characters of a wide sheet, shared among its columns.
const SHEET_CHARACTERS: u32 = 200;

/// What a row is high at most.
const ROW_POINTS_MAX: usize = 409;
const POINTS_PER_LINE: usize = 14;
/// What a row of one line is high.
const ROW_POINTS: usize = 16;

#[derive(Default)]
struct Sheet {
    name: String,
    rows: Vec<Line>,
    widths: Vec<u32>,
    merges: Vec<String>,
    links: Vec<(String, String)>,
    header_rows: usize,
    filter: bool,
}

#[derive(Default)]
struct Line {
    cells: Vec<(usize, Value, Look)>,
    height: Option<usize>,
}

impl Line {
    /// A row below a picture.
    fn blank() -> Self {
        Self { cells: Vec::new(), height: Some(ROW_POINTS) }
    }
}

enum Value {
    Text(String),
    Number(f64),
    Empty,
}

struct Writer<'a> {
    document: &'a Document,
    names: BTreeSet<String>,
    long: Vec<(String, String)>,
    long_name: String,
    pictures: Vec<Picture<'a>>,
}

/// Returns the document as XLSX.
pub(super) fn write(document: &Document) -> Result<Vec<u8>, DocumentError> {
    let mut writer =
        Writer { document, names: BTreeSet::new(), long: Vec::new(), long_name: String::new(), pictures: Vec::new() };
    let mut sheets = writer.sheets()?;
    if !writer.long.is_empty() {
        sheets.push(writer.long_sheet());
    }
    let mut strings = Strings::default();
    let mut zip = Zip::default();
    zip.add("[Content_Types].xml", parts::content_types(sheets.len(), !writer.pictures.is_empty()).as_bytes())?;
    zip.add("_rels/.rels", parts::package_relationships().as_bytes())?;
    zip.add("docProps/core.xml", core_properties(document).as_bytes())?;
    zip.add("xl/_rels/workbook.xml.rels", parts::workbook_relationships(sheets.len()).as_bytes())?;
    let written: Vec<String> = sheets
        .iter()
        .enumerate()
        .map(|(index, sheet)| {
            let has_pictures = index == 0 && !writer.pictures.is_empty();
            sheet.part(document, index == 0, has_pictures, &mut strings)
        })
        .collect::<Result<_, _>>()?;
    zip.add("xl/sharedStrings.xml", strings.part().as_bytes())?;
    zip.add("xl/styles.xml", parts::styles().as_bytes())?;
    let listed: Vec<Listed<'_>> = sheets
        .iter()
        .map(|sheet| Listed { name: &sheet.name, filter: sheet.filter_range("$"), header_rows: sheet.header_rows })
        .collect();
    zip.add("xl/workbook.xml", parts::workbook(&listed).as_bytes())?;
    for (index, part) in written.iter().enumerate() {
        zip.add(&format!("xl/worksheets/sheet{}.xml", index + 1), part.as_bytes())?;
    }
    pictures::add(&mut zip, &writer.pictures)?;
    zip.finish()
}

impl<'a> Writer<'a> {
    fn sheets(&mut self) -> Result<Vec<Sheet>, DocumentError> {
        let document = self.document;
        let outline = Outline::of(document);
        let mut cursor = Cursor::new(document, &outline);
        let name = self.name(Phrase::Document.text(document.language));
        let widths = vec![TEXT_COLUMN_CHARACTERS; TEXT_COLUMNS];
        let mut first = Sheet { name, widths, ..Sheet::default() };
        self.long_name = self.name(Phrase::LongTexts.text(document.language));
        let mut others = Vec::new();
        self.line(&mut first, &document.title, Look::Title);
        if let Some(subtitle) = &document.subtitle {
            self.line(&mut first, subtitle, Look::Text);
        }
        for block in &document.blocks {
            self.block(block, &mut first, &mut others, &mut cursor)?;
        }
        let mut all = vec![first];
        all.append(&mut others);
        Ok(all)
    }

    fn block(
        &mut self,
        block: &'a Block,
        first: &mut Sheet,
        others: &mut Vec<Sheet>,
        cursor: &mut Cursor<'_, 'a>,
    ) -> Result<(), DocumentError> {
        match block {
            Block::Heading(_) => {
                if let Some(entry) = cursor.heading() {
                    first.rows.push(Line::default());
                    self.line(first, &entry.text, Look::Heading);
                }
            }
            Block::Paragraph(paragraph) => {
                let look = match paragraph.style {
                    ParagraphStyle::Body => Look::Text,
                    ParagraphStyle::Note => Look::Note,
                };
                self.line(first, &joined(&paragraph.runs), look);
            }
            Block::List(list) => {
                let mut counter = ListCounter::default();
                for item in &list.items {
                    let number = counter.next(item.depth);
                    let indent = "    ".repeat(usize::from(item.depth.min(3)));
                    let text = joined(&item.runs);
                    let text = match list.kind {
                        ListKind::Bullets => format!("{indent}• {text}"),
                        ListKind::Numbers => format!("{indent}{number}. {text}"),
                    };
                    self.line(first, &text, Look::Text);
                }
            }
            Block::Image(image) if image.metafile.is_some() => {
                self.pictures.push(Picture { row: first.rows.len(), image });
                first.rows.extend((0..pictures::rows_of(image, ROW_POINTS)).map(|_| Line::blank()));
                let caption = cursor.figure(image.caption.as_deref());
                self.line(first, &caption.unwrap_or_else(|| image.description.clone()), Look::Note);
                first.rows.push(Line::default());
            }
            Block::Image(image) => {
                let caption = cursor.figure(image.caption.as_deref());
                let words = Phrase::PictureElsewhere.text(self.document.language);
                let text = format!("[{}] {} {words}", caption.unwrap_or_default(), image.description);
                self.line(first, &text, Look::Note);
            }
            Block::Table(table) => {
                let caption = cursor.table(table);
                if let Some(sheet) = &table.sheet {
                    let name = self.name(sheet);
                    let text = caption.unwrap_or_else(|| name.clone());
                    let place = format!("A{}", first.rows.len() + 1);
                    self.line(first, &format!("→ {text}"), Look::Link);
                    first.links.push((place, format!("{}!A1", quoted(&name))));
                    let mut sheet = Sheet {
                        name,
                        widths: table.widths(SHEET_CHARACTERS).into_iter().map(|width| width.clamp(8, 80)).collect(),
                        header_rows: table.header_rows,
                        filter: table.header_rows > 0,
                        ..Sheet::default()
                    };
                    self.table(table, &mut sheet)?;
                    others.push(sheet);
                } else {
                    if let Some(caption) = caption {
                        self.line(first, &caption, Look::Text);
                    }
                    self.table(table, first)?;
                    first.rows.push(Line::default());
                }
            }
            // A worksheet has tabs in place of pages and contents.
            Block::PageBreak | Block::Contents => {}
        }
        Ok(())
    }

    /// Adds a text over the whole width.
    fn line(&mut self, sheet: &mut Sheet, text: &str, look: Look) {
        let row = sheet.rows.len() + 1;
        let per_line = usize::try_from(TEXT_COLUMN_CHARACTERS).unwrap_or(1) * TEXT_COLUMNS;
        // Readers do not fit the height of merged cells to their text.
        let lines: usize = text.split('\n').map(|line| 1 + columns(line) / per_line).sum();
        let points = match look {
            Look::Title => 30,
            Look::Heading => 22,
            Look::Plain
            | Look::Text
            | Look::Note
            | Look::Header
            | Look::Data
            | Look::Good
            | Look::Bad
            | Look::Open
            | Look::Link => 16,
        };
        let value = self.value(text, &sheet.name, row, 0);
        sheet.rows.push(Line { cells: vec![(0, value, look)], height: Some((points * lines).min(ROW_POINTS_MAX)) });
        sheet.merges.push(format!("A{row}:{}{row}", column_name(TEXT_COLUMNS - 1)));
    }

    fn table(&mut self, table: &Table, sheet: &mut Sheet) -> Result<(), DocumentError> {
        let grid = table.grid()?;
        for (index, slots) in grid.iter().enumerate() {
            let row = sheet.rows.len() + 1;
            let mut line = Line::default();
            for (column, slot) in slots.iter().enumerate() {
                let in_head = index < table.header_rows;
                match slot {
                    Slot::Cell(cell) => {
                        let value = match cell.number.filter(|number| number.is_finite()) {
                            Some(number) => Value::Number(number),
                            None => self.value(&joined(&cell.runs), &sheet.name, row, column),
                        };
                        line.cells.push((column, value, look(cell, in_head)));
                        if cell.column_span > 1 || cell.row_span > 1 {
                            let last = column_name(column + cell.column_span - 1);
                            sheet.merges.push(format!(
                                "{}{row}:{last}{}",
                                column_name(column),
                                row + cell.row_span - 1
                            ));
                        }
                    }
                    Slot::Below(cell) => line.cells.push((column, Value::Empty, look(cell, in_head))),
                    Slot::Covered | Slot::Empty => line.cells.push((column, Value::Empty, Look::Data)),
                }
            }
            sheet.rows.push(line);
        }
        Ok(())
    }

    /// Returns a cell's text; what a cell cannot hold goes to the sheet of long texts.
    fn value(&mut self, text: &str, sheet: &str, row: usize, column: usize) -> Value {
        let text: String = clean(text).filter(|character| *character != '\r').collect();
        if text.is_empty() {
            return Value::Empty;
        }
        if units(&text) <= CELL_UNITS_MAX {
            return Value::Text(text);
        }
        let place = format!("{}!{}{row}", quoted(sheet), column_name(column));
        let mut parts = split(&text);
        let first = parts.next().unwrap_or_default();
        let kept = format!("{first}… → {}!{}", quoted(&self.long_name), self.long.len() + 2);
        self.long.extend(parts.map(|part| (place.clone(), part)));
        Value::Text(kept)
    }

    fn long_sheet(&mut self) -> Sheet {
        let language = self.document.language;
        let header = [Phrase::Place, Phrase::Continuation].map(|phrase| Value::Text(phrase.text(language).to_owned()));
        let line = |values: [Value; 2], look: Look| Line {
            cells: values.into_iter().enumerate().map(|(column, value)| (column, value, look)).collect(),
            height: None,
        };
        let mut rows = vec![line(header, Look::Header)];
        for (place, part) in self.long.drain(..) {
            rows.push(line([Value::Text(place), Value::Text(part)], Look::Data));
        }
        Sheet {
            name: self.long_name.clone(),
            rows,
            widths: vec![30, 120],
            header_rows: 1,
            filter: true,
            ..Sheet::default()
        }
    }

    /// Returns a name that readers take for a sheet, and that no other sheet has.
    fn name(&mut self, wanted: &str) -> String {
        let plain: String = clean(wanted)
            .map(|character| {
                if matches!(character, '[' | ']' | ':' | '*' | '?' | '/' | '\\') || character.is_control() {
                    ' '
                } else {
                    character
                }
            })
            .collect();
        let plain = plain.trim().trim_matches('\'').trim();
        // "History" is kept by a reader for itself.
        let plain = if plain.is_empty() || plain.eq_ignore_ascii_case("history") { "Sheet" } else { plain };
        let mut number = 1_usize;
        loop {
            let ending = if number == 1 { String::new() } else { format!(" {number}") };
            let mut name = String::new();
            for character in plain.chars() {
                if units(&name) + character.len_utf16() + ending.len() > SHEET_NAME_UNITS_MAX {
                    break;
                }
                name.push(character);
            }
            let name = format!("{}{ending}", name.trim_end().trim_end_matches('\''));
            if self.names.insert(name.to_lowercase()) {
                return name;
            }
            number += 1;
        }
    }
}

fn look(cell: &Cell, in_head: bool) -> Look {
    match cell.tone {
        Tone::Good => Look::Good,
        Tone::Bad => Look::Bad,
        Tone::Open => Look::Open,
        Tone::Plain if in_head || cell.role == CellRole::Header => Look::Header,
        Tone::Plain => Look::Data,
    }
}

fn joined(runs: &[Run]) -> String {
    runs.iter().map(|run| run.text.as_str()).collect()
}

impl Sheet {
    fn filter_range(&self, mark: &str) -> Option<String> {
        let last = column_name(self.widths.len().checked_sub(1)?);
        let range = format!("{mark}A{mark}{}:{mark}{last}{mark}{}", self.header_rows, self.rows.len());
        self.filter.then_some(range)
    }

    fn part(
        &self,
        document: &Document,
        first: bool,
        has_pictures: bool,
        strings: &mut Strings,
    ) -> Result<String, DocumentError> {
        if self.rows.len() > ROWS_MAX {
            return Err(DocumentError::TooLarge { what: "a worksheet's number of rows", limit: 1_048_576 });
        }
        if self.widths.len() > COLUMNS_MAX || self.rows.iter().any(|row| row.cells.len() > COLUMNS_MAX) {
            return Err(DocumentError::TooLarge { what: "a worksheet's number of columns", limit: 16_384 });
        }
        let mut xml = Xml::new();
        xml.open("worksheet", &[("xmlns", &parts::S)]);
        xml.markup("<sheetPr><pageSetUpPr fitToPage=\"1\"/></sheetPr>");
        self.view(&mut xml, first);
        xml.open("cols", &[]);
        for (index, width) in self.widths.iter().enumerate() {
            let id = index + 1;
            xml.empty("col", &[("min", &id), ("max", &id), ("width", width), ("customWidth", &1)]);
        }
        xml.close();
        self.data(&mut xml, strings);
        if let Some(range) = self.filter_range("") {
            xml.empty("autoFilter", &[("ref", &range)]);
        }
        if !self.merges.is_empty() {
            xml.open("mergeCells", &[("count", &self.merges.len())]);
            for range in &self.merges {
                xml.empty("mergeCell", &[("ref", range)]);
            }
            xml.close();
        }
        if !self.links.is_empty() {
            xml.open("hyperlinks", &[]);
            for (place, location) in &self.links {
                xml.empty("hyperlink", &[("ref", place), ("location", location)]);
            }
            xml.close();
        }
        xml.markup(
            "<pageMargins left=\"0.5\" right=\"0.5\" top=\"0.6\" bottom=\"0.6\" header=\"0.3\" footer=\"0.3\"/>",
        );
        let orientation: &str = match document.orientation {
            Orientation::Portrait if first => "portrait",
            Orientation::Portrait | Orientation::Landscape => "landscape",
        };
        xml.empty("pageSetup", &[("paperSize", &9), ("fitToHeight", &0), ("orientation", &orientation)]);
        xml.open("headerFooter", &[]);
        // A foot holds at most 255 units, and "&" begins its codes.
        let words: String = foot(document).replace('&', "&&").chars().take(200).collect();
        xml.leaf("oddFooter", &[], &format!("&L{} &R&P / &N", words.trim_end_matches('&')));
        xml.close();
        if has_pictures {
            xml.empty("drawing", &[("xmlns:r", &parts::R), ("r:id", &"rId1")]);
        }
        Ok(xml.finish())
    }

    fn view(&self, xml: &mut Xml, first: bool) {
        xml.open("sheetViews", &[]);
        xml.open("sheetView", &[("tabSelected", &u8::from(first)), ("workbookViewId", &0)]);
        if self.header_rows > 0 {
            let corner = format!("A{}", self.header_rows + 1);
            xml.empty(
                "pane",
                &[
                    ("ySplit", &self.header_rows),
                    ("topLeftCell", &corner),
                    ("activePane", &"bottomLeft"),
                    ("state", &"frozen"),
                ],
            );
        }
        xml.close();
        xml.close();
        xml.markup("<sheetFormatPr defaultRowHeight=\"16\"/>");
    }

    /// Returns an estimate of the row's height in points, for readers that do not fit rows to their text.
    fn height(&self, line: &Line) -> usize {
        let lines = line.cells.iter().map(|(column, value, _)| {
            let Value::Text(text) = value else { return 1 };
            let width = self.widths.get(*column).and_then(|width| usize::try_from(*width).ok()).unwrap_or(1);
            text.split('\n').map(|line| 1 + columns(line) / width.max(1)).sum()
        });
        (POINTS_PER_LINE * lines.max().unwrap_or(1) + 2).min(ROW_POINTS_MAX)
    }

    fn data(&self, xml: &mut Xml, strings: &mut Strings) {
        xml.open("sheetData", &[]);
        for (index, line) in self.rows.iter().enumerate() {
            let row = index + 1;
            if let Some(height) = line.height {
                xml.open("row", &[("r", &row), ("ht", &height), ("customHeight", &1)]);
            } else {
                xml.open("row", &[("r", &row), ("ht", &self.height(line))]);
            }
            for (column, value, look) in &line.cells {
                let place = format!("{}{row}", column_name(*column));
                match value {
                    Value::Empty => xml.empty("c", &[("r", &place), ("s", &style_index(*look, false))]),
                    Value::Number(number) => {
                        xml.open("c", &[("r", &place), ("s", &style_index(*look, false))]);
                        xml.leaf("v", &[], &number.to_string());
                        xml.close();
                    }
                    Value::Text(text) => {
                        let style = style_index(*look, is_formula_like(text));
                        xml.open("c", &[("r", &place), ("s", &style), ("t", &"s")]);
                        xml.leaf("v", &[], &strings.index(text).to_string());
                        xml.close();
                    }
                }
            }
            xml.close();
        }
        xml.close();
    }
}
