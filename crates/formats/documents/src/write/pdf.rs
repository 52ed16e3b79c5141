//! PDF: the same blocks, laid out by Typst with fonts of our own; PDF/A-2a, tagged, with the document's date.
//!
//! The layout is `pdf.typ`, a constant; what a document says goes to it as data and is never evaluated. A character that the
//! fonts lack is written as its code point, as `[U+1F600]`: nothing is lost and nothing becomes an empty box.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use serde::Serialize;
use typst::diag::{FileError, FileResult, SourceDiagnostic};
use typst::foundations::{Bytes, Datetime, Duration, Smart};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Library, LibraryExt, World};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards};

use crate::DocumentError;
use crate::content::{
    Block, CellRole, Document, ListKind, Numbering, Orientation, ParagraphStyle, Run, RunStyle, Slot, Table, Tone,
};
use crate::outline::{Cursor, ListCounter, Outline, foot};
use crate::phrases::Phrase;
use crate::xml::clean;

const LAYOUT: &str = include_str!("pdf.typ");
const FONTS: [&[u8]; 3] = [
    include_bytes!("../../fonts/MaruGothic-Regular.ttf.gz"),
    include_bytes!("../../fonts/MaruGothic-Bold.ttf.gz"),
    include_bytes!("../../fonts/MaruMono-Regular.ttf.gz"),
];
/// Words longer than this may be broken anywhere: digests, paths.
const WORD_CHARACTERS_MAX: usize = 14;
const WORD_PIECE: usize = 6;
/// Titles, names and descriptions in the file's properties are cut here; on the pages they are whole.
const PROPERTY_BYTES_MAX: usize = 4000;
/// Cells with more characters may be cut by the end of a page.
const LONG_CELL_CHARACTERS: usize = 600;

/// Fonts, and what Typst wants to know about them.
struct Fonts {
    book: LazyHash<FontBook>,
    fonts: Vec<Font>,
}

static TYPESETTING: LazyLock<(LazyHash<Library>, Fonts)> = LazyLock::new(|| {
    let mut fonts = Vec::new();
    for packed in FONTS {
        let mut data = Vec::new();
        // The fonts are constants: a test reads all of them.
        if GzDecoder::new(packed).read_to_end(&mut data).is_ok() {
            fonts.extend(Font::iter(Bytes::new(data)));
        }
    }
    (LazyHash::new(Library::default()), Fonts { book: LazyHash::new(FontBook::from_fonts(&fonts)), fonts })
});

/// Tells whether the fonts draw a character.
fn is_drawn(character: char) -> bool {
    character.is_whitespace()
        || TYPESETTING.1.fonts.iter().take(2).all(|font| font.info().coverage.contains(character.into()))
}

/// The files that the layout reads; it has no others, and no network.
struct Room {
    main: Source,
    files: BTreeMap<String, Bytes>,
}

fn file_id(name: &str) -> Option<FileId> {
    VirtualPath::new(name).ok().map(|path| RootedPath::new(VirtualRoot::Project, path).intern())
}

impl World for Room {
    fn library(&self) -> &LazyHash<Library> {
        &TYPESETTING.0
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &TYPESETTING.1.book
    }

    fn main(&self) -> FileId {
        self.main.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == self.main.id() { Ok(self.main.clone()) } else { Err(FileError::AccessDenied) }
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        let name = id.get().vpath().get_without_slash();
        self.files.get(name).cloned().ok_or(FileError::AccessDenied)
    }

    fn font(&self, index: usize) -> Option<Font> {
        TYPESETTING.1.fonts.get(index).cloned()
    }

    fn today(&self, _offset: Option<Duration>) -> Option<Datetime> {
        None
    }
}

/// Returns the document as PDF.
pub(super) fn write(document: &Document) -> Result<Vec<u8>, DocumentError> {
    let (data, pictures) = data(document)?;
    let json = serde_json::to_vec(&data).map_err(|error| refused(&error.to_string()))?;
    let mut files = BTreeMap::from([("data.json".to_owned(), Bytes::new(json))]);
    files.extend(pictures.into_iter().map(|(name, svg)| (name, Bytes::from_string(svg))));
    let main = file_id("main.typ").ok_or_else(|| refused("no name for the layout"))?;
    let room = Room { main: Source::new(main, LAYOUT.to_owned()), files };
    let laid = typst::compile::<PagedDocument>(&room).output.map_err(|errors| told(&errors))?;
    let standards = PdfStandards::new(&[PdfStandard::A_2a]).map_err(|error| refused(error.message()))?;
    let options = PdfOptions { creator: Smart::Custom(Some("Maru".to_owned())), standards, ..PdfOptions::default() };
    let written = typst_pdf::pdf(&laid, &options).map_err(|errors| told(&errors));
    // What was remembered is of use for this document alone.
    typst::comemo::evict(0);
    written
}

fn refused(why: &str) -> DocumentError {
    DocumentError::Layout { why: why.to_owned() }
}

fn told(errors: &[SourceDiagnostic]) -> DocumentError {
    refused(&errors.iter().map(|error| error.message.to_string()).collect::<Vec<_>>().join("; "))
}

#[derive(Serialize)]
struct Data {
    title: String,
    heading: Vec<String>,
    subtitle: Option<Vec<String>>,
    author: Vec<String>,
    keywords: Vec<String>,
    date: (u16, u8, u8),
    language: &'static str,
    landscape: bool,
    foot: String,
    blocks: Vec<Part>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Part {
    Heading { level: u8, parts: Vec<String>, mark: String, counted: bool, long: bool },
    Paragraph { note: bool, runs: Vec<Piece> },
    Table { caption: Option<Vec<String>>, columns: Vec<u16>, header: usize, cells: Vec<CellPart> },
    List { items: Vec<Item> },
    Image { file: String, width: u16, alt: String, caption: Option<Vec<String>> },
    Break,
    Contents { title: &'static str, entries: Vec<Entry> },
}

#[derive(Serialize)]
struct Piece {
    parts: Vec<String>,
    style: &'static str,
    mark: Option<String>,
}

#[derive(Serialize)]
struct CellPart {
    x: usize,
    y: usize,
    columns: usize,
    rows: usize,
    runs: Vec<Piece>,
    header: bool,
    tone: &'static str,
    number: bool,
    long: bool,
}

#[derive(Serialize)]
struct Item {
    depth: u8,
    label: String,
    runs: Vec<Piece>,
}

#[derive(Serialize)]
struct Entry {
    level: u8,
    parts: Vec<String>,
    mark: String,
}

/// The documents' pictures: names of files, and their SVG.
type Pictures = Vec<(String, String)>;

fn data(document: &Document) -> Result<(Data, Pictures), DocumentError> {
    let outline = Outline::of(document);
    let mut cursor = Cursor::new(document, &outline);
    let mut pictures = Pictures::new();
    let mut blocks = Vec::new();
    for block in &document.blocks {
        blocks.push(part(document, block, &outline, &mut cursor, &mut pictures)?);
    }
    let meta = &document.meta;
    let filled = |texts: &[&str]| texts.iter().filter(|text| !text.is_empty()).map(|text| plain(text)).collect();
    let data = Data {
        title: plain(&document.title),
        heading: parts(&document.title),
        subtitle: document.subtitle.as_deref().map(parts),
        author: filled(&[&meta.author, &meta.organisation]),
        keywords: filled(&[&meta.number, &meta.version, meta.baseline.as_deref().unwrap_or_default()]),
        date: meta.date.parts(),
        language: document.language.tag().get(..2).unwrap_or("ko"),
        landscape: document.orientation == Orientation::Landscape,
        foot: drawn(&foot(document)).replace('\n', " "),
        blocks,
    };
    Ok((data, pictures))
}

fn part<'a>(
    document: &Document,
    block: &Block,
    outline: &Outline<'a>,
    cursor: &mut Cursor<'_, 'a>,
    pictures: &mut Pictures,
) -> Result<Part, DocumentError> {
    Ok(match block {
        Block::Heading(heading) => {
            let entry = cursor.heading().ok_or_else(|| refused("a heading was not counted"))?;
            let counted = heading.numbering == Numbering::Counted;
            // A string of PDF/A holds 32,767 bytes: what is longer is no heading for readers of the structure.
            let long = entry.text.len() > PROPERTY_BYTES_MAX;
            Part::Heading { level: entry.level, parts: parts(&entry.text), mark: entry.mark.clone(), counted, long }
        }
        Block::Paragraph(paragraph) => {
            Part::Paragraph { note: paragraph.style == ParagraphStyle::Note, runs: runs(&paragraph.runs, outline) }
        }
        Block::Table(table) => {
            let caption = cursor.table(table).as_deref().map(parts);
            let columns = table.columns.clone();
            let header = table.header_rows.min(table.rows.len());
            Part::Table { caption, columns, header, cells: cells(table, outline)? }
        }
        Block::List(list) => {
            let mut counter = ListCounter::default();
            let items = list.items.iter().map(|item| {
                let depth = item.depth.min(3);
                let number = counter.next(depth);
                let label = match list.kind {
                    ListKind::Bullets => "•".to_owned(),
                    ListKind::Numbers => format!("{number}."),
                };
                Item { depth, label, runs: runs(&item.runs, outline) }
            });
            Part::List { items: items.collect() }
        }
        Block::Image(image) => {
            let file = format!("picture-{}.svg", pictures.len() + 1);
            pictures.push((file.clone(), image.svg.clone()));
            let caption = cursor.figure(image.caption.as_deref()).as_deref().map(parts);
            Part::Image { file, width: image.width_mm, alt: plain(&image.description), caption }
        }
        Block::PageBreak => Part::Break,
        Block::Contents => {
            let entries = outline.contents().map(|entry| Entry {
                level: entry.level,
                parts: parts(&plain(&entry.text)),
                mark: entry.mark.clone(),
            });
            Part::Contents { title: Phrase::Contents.text(document.language), entries: entries.collect() }
        }
    })
}

fn cells(table: &Table, outline: &Outline<'_>) -> Result<Vec<CellPart>, DocumentError> {
    let mut found = Vec::new();
    for (y, row) in table.grid()?.iter().enumerate() {
        for (x, slot) in row.iter().enumerate() {
            let Slot::Cell(cell) = slot else { continue };
            let characters: usize = cell.runs.iter().map(|run| run.text.len() / 2).sum();
            found.push(CellPart {
                x,
                y,
                columns: cell.column_span,
                rows: cell.row_span,
                runs: runs(&cell.runs, outline),
                header: y < table.header_rows || cell.role == CellRole::Header,
                tone: match cell.tone {
                    Tone::Plain => "plain",
                    Tone::Good => "good",
                    Tone::Bad => "bad",
                    Tone::Open => "open",
                },
                number: cell.number.is_some(),
                long: characters > LONG_CELL_CHARACTERS,
            });
        }
    }
    Ok(found)
}

fn runs(all: &[Run], outline: &Outline<'_>) -> Vec<Piece> {
    let piece = |run: &Run| Piece {
        parts: parts(&run.text),
        style: match run.style {
            RunStyle::Plain => "plain",
            RunStyle::Bold => "bold",
            RunStyle::Italic => "italic",
            RunStyle::Code => "code",
        },
        mark: outline.target(run).map(str::to_owned),
    };
    all.iter().map(piece).collect()
}

/// A text on one line, as properties hold it.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for character in clean(text) {
        if out.len() > PROPERTY_BYTES_MAX {
            out.push('…');
            break;
        }
        out.push(if character.is_whitespace() { ' ' } else { character });
    }
    out
}

/// A text as the fonts can draw it.
fn drawn(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in clean(text).filter(|character| *character != '\r') {
        if is_drawn(character) {
            out.push(character);
        } else {
            out.push_str(&format!("[U+{:04X}]", u32::from(character)));
        }
    }
    out
}

/// Splits a text where a line may end besides where it may anyhow: inside words that no line can hold. Breaks and tabs are parts.
fn parts(text: &str) -> Vec<String> {
    let mut found: Vec<String> = vec![String::new()];
    let mut word = 0_usize;
    let text = drawn(text);
    let mut lengths = word_lengths(&text).into_iter();
    let mut long = false;
    for character in text.chars() {
        if matches!(character, '\n' | '\t') {
            found.push(character.to_string());
            found.push(String::new());
            word = 0;
            continue;
        }
        if is_breakable(character) {
            word = 0;
        } else {
            if word == 0 {
                long = lengths.next().is_some_and(|length| length > WORD_CHARACTERS_MAX);
            }
            word += 1;
        }
        if let Some(last) = found.last_mut() {
            last.push(character);
        }
        if long && word > 0 && (word.is_multiple_of(WORD_PIECE) || matches!(character, '/' | '-' | '_' | '.' | ':')) {
            found.push(String::new());
        }
    }
    found.retain(|part| !part.is_empty());
    found
}

/// Spaces, and letters between which a line may end anyhow.
fn is_breakable(character: char) -> bool {
    character.is_whitespace() || matches!(u32::from(character), 0x1100..=0x11ff | 0x2e80..=0xd7ff | 0xf900..=0xfaff)
}

fn word_lengths(text: &str) -> Vec<usize> {
    text.split(is_breakable).map(|word| word.chars().count()).filter(|length| *length > 0).collect()
}
