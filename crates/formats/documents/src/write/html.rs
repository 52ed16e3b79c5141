//! HTML: one file that needs nothing else, with styles for screen and paper, without scripts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::DocumentError;
use crate::content::{
    Block, CellRole, Document, Image, List, ListKind, Orientation, ParagraphStyle, Run, RunStyle, Slot, Table, Tone,
};
use crate::outline::{Cursor, Outline, foot};
use crate::phrases::Phrase;
use crate::xml::{Piece, Xml, pieces};

/// Neither scripts nor anything from elsewhere, whatever the content holds.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// The document's styles. Colours keep a contrast of 4.5 and are printed; long tables repeat their headers.
const STYLE: &str = "
:root { color-scheme: light; }
body { font: 15px/1.6 'Malgun Gothic', 'Apple SD Gothic Neo', 'Noto Sans KR', NanumGothic, 'Segoe UI', sans-serif;
  color: #1a1a1a; background: #fff; max-width: 1100px; margin: 2rem auto; padding: 0 1.5rem; word-break: keep-all;
  overflow-wrap: anywhere; }
h1, h2, h3, h4, h5, h6 { line-height: 1.3; break-after: avoid; margin: 1.6em 0 .6em; }
.title { text-align: center; font-size: 2rem; margin: 2rem 0 .2rem; }
.subtitle { text-align: center; font-size: 1.15rem; color: #444; margin: 0 0 2rem; }
.note { color: #444; font-size: .9rem; }
table { border-collapse: collapse; width: 100%; margin: .4rem 0 1.2rem; font-size: .88rem; table-layout: fixed; }
caption { text-align: left; font-weight: bold; padding: .3rem 0; }
th, td { border: 1px solid #8a8a8a; padding: .3rem .45rem; vertical-align: top; text-align: left; }
th { background: #e8edf3; }
tr { break-inside: avoid; }
thead { display: table-header-group; }
.number { text-align: right; }
.good { background: #d9f0dd; } .bad { background: #fadcdc; } .open { background: #fdf1cf; }
code { font: .92em D2Coding, Consolas, Menlo, monospace; overflow-wrap: anywhere; }
a { color: #0b4f9c; }
nav ul { list-style: none; padding: 0; } nav .l2 { padding-left: 1.4rem; } nav .l3 { padding-left: 2.8rem; }
figure { margin: 1rem 0; text-align: center; break-inside: avoid; } figure img { max-width: 100%; height: auto; }
footer { margin-top: 3rem; border-top: 1px solid #8a8a8a; padding-top: .5rem; color: #444; font-size: .85rem; }
.break { break-after: page; }
@media print {
  body { font-size: 10pt; max-width: none; margin: 0; padding: 0; }
  th, .good, .bad, .open { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  a { color: inherit; text-decoration: none; }
}
";

const PAGE_PORTRAIT: &str =
    "@page { size: A4 portrait; margin: 20mm 18mm; @bottom-right { content: counter(page) ' / ' counter(pages); } }\n";
const PAGE_LANDSCAPE: &str =
    "@page { size: A4 landscape; margin: 16mm; @bottom-right { content: counter(page) ' / ' counter(pages); } }\n";

/// Returns the document as HTML.
pub(super) fn write(document: &Document) -> Result<Vec<u8>, DocumentError> {
    let outline = Outline::of(document);
    let mut cursor = Cursor::new(document, &outline);
    let mut html = Xml::after("<!DOCTYPE html>\n");
    html.open("html", &[("lang", &document.language.tag())]);
    write_head(&mut html, document);
    html.open("body", &[]);
    html.open("main", &[]);
    html.leaf("h1", &[("class", &"title")], &document.title);
    if let Some(subtitle) = &document.subtitle {
        html.leaf("p", &[("class", &"subtitle")], subtitle);
    }
    for block in &document.blocks {
        write_block(&mut html, document, block, &outline, &mut cursor)?;
        html.text("\n");
    }
    html.close();
    html.leaf("footer", &[], &foot(document));
    let mut text = html.finish();
    text.push('\n');
    Ok(text.into_bytes())
}

fn write_head(html: &mut Xml, document: &Document) {
    html.open("head", &[]);
    html.empty("meta", &[("charset", &"utf-8")]);
    html.empty("meta", &[("http-equiv", &"Content-Security-Policy"), ("content", &POLICY)]);
    html.empty("meta", &[("name", &"viewport"), ("content", &"width=device-width, initial-scale=1")]);
    html.empty("meta", &[("name", &"generator"), ("content", &"Maru")]);
    html.empty("meta", &[("name", &"author"), ("content", &document.meta.author)]);
    html.empty("meta", &[("name", &"date"), ("content", &document.meta.date)]);
    html.leaf("title", &[], &document.title);
    html.open("style", &[]);
    html.markup(STYLE);
    html.markup(match document.orientation {
        Orientation::Portrait => PAGE_PORTRAIT,
        Orientation::Landscape => PAGE_LANDSCAPE,
    });
    html.close();
    html.close();
    html.text("\n");
}

fn write_block<'a>(
    html: &mut Xml,
    document: &Document,
    block: &Block,
    outline: &Outline<'a>,
    cursor: &mut Cursor<'_, 'a>,
) -> Result<(), DocumentError> {
    match block {
        Block::Heading(_) => {
            if let Some(entry) = cursor.heading() {
                // The title is the one h1.
                let name = match entry.level {
                    1 => "h2",
                    2 => "h3",
                    3 => "h4",
                    4 => "h5",
                    _ => "h6",
                };
                html.leaf(name, &[("id", &entry.mark)], &entry.text);
            }
        }
        Block::Paragraph(paragraph) => {
            let class: &str = match paragraph.style {
                ParagraphStyle::Body => "body",
                ParagraphStyle::Note => "note",
            };
            html.open("p", &[("class", &class)]);
            write_runs(html, &paragraph.runs, outline);
            html.close();
        }
        Block::Table(table) => {
            let caption = cursor.table(table);
            write_table(html, table, caption.as_deref(), outline)?;
        }
        Block::List(list) => write_list(html, list, outline),
        Block::Image(image) => {
            let caption = cursor.figure(image.caption.as_deref());
            write_image(html, image, caption.as_deref());
        }
        Block::PageBreak => html.leaf("div", &[("class", &"break")], ""),
        Block::Contents => {
            html.open("nav", &[("aria-label", &Phrase::Contents.text(document.language))]);
            html.leaf("h2", &[], Phrase::Contents.text(document.language));
            html.open("ul", &[]);
            for entry in outline.contents() {
                html.open("li", &[("class", &format!("l{}", entry.level))]);
                html.leaf("a", &[("href", &format!("#{}", entry.mark))], &entry.text);
                html.close();
            }
            html.close();
            html.close();
        }
    }
    Ok(())
}

fn write_runs(html: &mut Xml, runs: &[Run], outline: &Outline<'_>) {
    for run in runs {
        let mut opened = 0;
        if let Some(mark) = outline.target(run) {
            html.open("a", &[("href", &format!("#{mark}"))]);
            opened += 1;
        }
        let style = match run.style {
            RunStyle::Plain => None,
            RunStyle::Bold => Some("strong"),
            RunStyle::Italic => Some("em"),
            RunStyle::Code => Some("code"),
        };
        if let Some(name) = style {
            html.open(name, &[]);
            opened += 1;
        }
        for piece in pieces(&run.text) {
            match piece {
                Piece::Text(text) => html.text(text),
                Piece::Break => html.empty("br", &[]),
                Piece::Tab => html.text("\t"),
            }
        }
        for _ in 0..opened {
            html.close();
        }
    }
}

fn write_table(
    html: &mut Xml,
    table: &Table,
    caption: Option<&str>,
    outline: &Outline<'_>,
) -> Result<(), DocumentError> {
    let grid = table.grid()?;
    html.open("table", &[]);
    if let Some(caption) = caption {
        html.leaf("caption", &[], caption);
    }
    html.open("colgroup", &[]);
    for share in table.widths(1000) {
        html.empty("col", &[("style", &format!("width:{}.{}%", share / 10, share % 10))]);
    }
    html.close();
    let header_rows = table.header_rows.min(grid.len());
    let (head, body) = grid.split_at(header_rows);
    for (part, rows) in [("thead", head), ("tbody", body)] {
        if rows.is_empty() {
            continue;
        }
        html.open(part, &[]);
        for row in rows {
            html.open("tr", &[]);
            for slot in row {
                write_slot(html, slot, part == "thead", outline);
            }
            html.close();
            html.text("\n");
        }
        html.close();
    }
    html.close();
    Ok(())
}

fn write_slot(html: &mut Xml, slot: &Slot<'_>, in_head: bool, outline: &Outline<'_>) {
    let cell = match slot {
        Slot::Cell(cell) => cell,
        Slot::Empty => {
            html.leaf("td", &[], "");
            return;
        }
        Slot::Below(_) | Slot::Covered => return,
    };
    let name = if in_head || cell.role == CellRole::Header { "th" } else { "td" };
    let class: &str = match (cell.tone, cell.number.is_some()) {
        (Tone::Good, _) => "good",
        (Tone::Bad, _) => "bad",
        (Tone::Open, _) => "open",
        (Tone::Plain, true) => "number",
        (Tone::Plain, false) => "",
    };
    let scope: &str = if in_head { "col" } else { "row" };
    let mut attributes: Vec<(&'static str, &dyn std::fmt::Display)> = Vec::new();
    if name == "th" && !(in_head && cell.column_span > 1) {
        attributes.push(("scope", &scope));
    }
    if !class.is_empty() {
        attributes.push(("class", &class));
    }
    if cell.column_span > 1 {
        attributes.push(("colspan", &cell.column_span));
    }
    if cell.row_span > 1 {
        attributes.push(("rowspan", &cell.row_span));
    }
    html.open(name, &attributes);
    write_runs(html, &cell.runs, outline);
    html.close();
}

/// Nested lists, from the items' depths.
fn write_list(html: &mut Xml, list: &List, outline: &Outline<'_>) {
    let name = match list.kind {
        ListKind::Bullets => "ul",
        ListKind::Numbers => "ol",
    };
    let mut depth = 0_u8;
    html.open(name, &[]);
    for (index, item) in list.items.iter().enumerate() {
        // An item stands at most one deeper than the one before.
        let wanted = item.depth.min(3).min(if index == 0 { 0 } else { depth + 1 });
        if index > 0 && wanted <= depth {
            html.close();
        }
        while depth > wanted {
            html.close();
            html.close();
            depth -= 1;
        }
        if wanted > depth {
            html.open(name, &[]);
            depth += 1;
        }
        html.open("li", &[]);
        write_runs(html, &item.runs, outline);
    }
    if !list.items.is_empty() {
        html.close();
    }
    for _ in 0..depth {
        html.close();
        html.close();
    }
    html.close();
}

/// A picture in an `img` runs no scripts and loads nothing, whatever it holds.
fn write_image(html: &mut Xml, image: &Image, caption: Option<&str>) {
    html.open("figure", &[]);
    let source = format!("data:image/svg+xml;base64,{}", STANDARD.encode(image.svg.as_bytes()));
    let width = format!("width:{}mm", image.width_mm);
    html.empty("img", &[("src", &source), ("alt", &image.description), ("style", &width)]);
    if let Some(caption) = caption {
        html.leaf("figcaption", &[], caption);
    }
    html.close();
}
