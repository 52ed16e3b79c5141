//! DOCX: the blocks of a document as word processing markup.
//!
//! Source: ECMA-376 part 1, §17; the order of elements is the schema's. Pictures as SVG: [MS-ODRAWXML] svgBlip.

use super::docx_parts as parts;
use crate::DocumentError;
use crate::content::{
    Block, CellRole, Document, Image, List, ListKind, Orientation, ParagraphStyle, Run, RunStyle, Slot, Table, Tone,
};
use crate::outline::{Cursor, Outline};
use crate::phrases::Phrase;
use crate::xml::{Piece, Xml, pieces};
use crate::zip::Zip;

/// A4 and its margins in twentieths of a point.
const PAGE_SHORT: u32 = 11_906;
const PAGE_LONG: u32 = 16_838;
const MARGIN: u32 = 1_134;
/// English metric units per millimetre.
const EMU_PER_MM: u64 = 36_000;
/// The text of a cell in a row that stays on one page.
const UNBROKEN_BYTES_MAX: usize = 600;
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const DRAWING: &str = "http://schemas.openxmlformats.org/drawingml/2006/main";
const PICTURE: &str = "http://schemas.openxmlformats.org/drawingml/2006/picture";

struct Writer<'o, 'a> {
    xml: Xml,
    document: &'a Document,
    outline: &'o Outline<'a>,
    cursor: Cursor<'o, 'a>,
    images: Vec<&'a Image>,
    lists: Vec<&'a List>,
}

/// Returns the document as DOCX.
pub(super) fn write(document: &Document) -> Result<Vec<u8>, DocumentError> {
    let outline = Outline::of(document);
    let mut writer = Writer {
        xml: Xml::new(),
        document,
        outline: &outline,
        cursor: Cursor::new(document, &outline),
        images: Vec::new(),
        lists: Vec::new(),
    };
    writer.body()?;
    let Writer { xml, images, lists, .. } = writer;
    let mut zip = Zip::default();
    zip.add("[Content_Types].xml", parts::content_types().as_bytes())?;
    zip.add("_rels/.rels", package_relationships().as_bytes())?;
    zip.add("docProps/core.xml", parts::core_properties(document).as_bytes())?;
    zip.add("word/_rels/document.xml.rels", document_relationships(&images).as_bytes())?;
    zip.add("word/document.xml", xml.finish().as_bytes())?;
    zip.add("word/footer1.xml", parts::footer(document).as_bytes())?;
    for (index, image) in images.iter().enumerate() {
        let content = image.metafile.as_deref().unwrap_or(parts::PIXEL_PNG);
        zip.add(&format!("word/media/image{}.{}", index + 1, fallback(image)), content)?;
        zip.add(&format!("word/media/image{}.svg", index + 1), image.svg.as_bytes())?;
    }
    zip.add("word/numbering.xml", parts::numbering(&lists).as_bytes())?;
    zip.add("word/settings.xml", parts::settings().as_bytes())?;
    zip.add("word/styles.xml", parts::styles(document).as_bytes())?;
    zip.finish()
}

fn package_relationships() -> String {
    let properties = "http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties";
    let main = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument";
    parts::relationships(
        [("rId1".to_owned(), main, "word/document.xml"), ("rId2".to_owned(), properties, "docProps/core.xml")]
            .into_iter(),
    )
}

/// The ending of what readers show that know no SVG.
fn fallback(image: &Image) -> &'static str {
    if image.metafile.is_some() { "emf" } else { "png" }
}

fn document_relationships(images: &[&Image]) -> String {
    let fixed = [
        ("rId1", "http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles", "styles.xml"),
        ("rId2", "http://schemas.openxmlformats.org/officeDocument/2006/relationships/numbering", "numbering.xml"),
        ("rId3", "http://schemas.openxmlformats.org/officeDocument/2006/relationships/settings", "settings.xml"),
        ("rId4", "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footer", "footer1.xml"),
    ];
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/image";
    let target = |(index, image): (usize, &&Image)| {
        let number = index + 1;
        [("plain", fallback(image)), ("svg", "svg")]
            .map(|(id, end)| (format!("{id}{number}"), format!("media/image{number}.{end}")))
    };
    let targets: Vec<(String, String)> = images.iter().enumerate().flat_map(target).collect();
    let all = fixed.into_iter().map(|(id, kind, target)| (id.to_owned(), kind, target));
    parts::relationships(all.chain(targets.iter().map(|(id, target)| (id.clone(), kind, target.as_str()))))
}

/// Whether a cell leaves room on a page: a row that is longer than one must break.
fn is_short(slot: &Slot<'_>) -> bool {
    let Slot::Cell(cell) = slot else { return true };
    cell.runs.iter().map(|run| run.text.len()).sum::<usize>() <= UNBROKEN_BYTES_MAX
}

impl<'a> Writer<'_, 'a> {
    fn body(&mut self) -> Result<(), DocumentError> {
        let document = self.document;
        self.xml.open("w:document", &[("xmlns:w", &parts::W), ("xmlns:r", &parts::R)]);
        self.xml.open("w:body", &[]);
        self.paragraph("Title", None, &[Run::plain(&*document.title)]);
        if let Some(subtitle) = &document.subtitle {
            self.paragraph("Subtitle", None, &[Run::plain(subtitle)]);
        }
        for block in &document.blocks {
            self.block(block)?;
        }
        self.section();
        Ok(())
    }

    fn section(&mut self) {
        let xml = &mut self.xml;
        xml.open("w:sectPr", &[]);
        xml.empty("w:footerReference", &[("w:type", &"default"), ("r:id", &"rId4")]);
        match self.document.orientation {
            Orientation::Portrait => xml.empty("w:pgSz", &[("w:w", &PAGE_SHORT), ("w:h", &PAGE_LONG)]),
            Orientation::Landscape => {
                xml.empty("w:pgSz", &[("w:w", &PAGE_LONG), ("w:h", &PAGE_SHORT), ("w:orient", &"landscape")]);
            }
        }
        let margins: [(&'static str, &dyn std::fmt::Display); 7] = [
            ("w:top", &MARGIN),
            ("w:right", &MARGIN),
            ("w:bottom", &MARGIN),
            ("w:left", &MARGIN),
            ("w:header", &567),
            ("w:footer", &567),
            ("w:gutter", &0),
        ];
        xml.empty("w:pgMar", &margins);
        xml.close();
    }

    fn width(&self) -> u32 {
        match self.document.orientation {
            Orientation::Portrait => PAGE_SHORT - 2 * MARGIN,
            Orientation::Landscape => PAGE_LONG - 2 * MARGIN,
        }
    }

    fn block(&mut self, block: &'a Block) -> Result<(), DocumentError> {
        match block {
            Block::Heading(_) => {
                if let Some(entry) = self.cursor.heading() {
                    let style = format!("Heading{}", entry.level);
                    self.paragraph(&style, Some(&entry.mark), &[Run::plain(&*entry.text)]);
                }
            }
            Block::Paragraph(paragraph) => {
                let style = match paragraph.style {
                    ParagraphStyle::Body => "Normal",
                    ParagraphStyle::Note => "Note",
                };
                self.paragraph(style, None, &paragraph.runs);
            }
            Block::Table(table) => {
                if let Some(caption) = self.cursor.table(table) {
                    self.paragraph("Caption", None, &[Run::plain(caption)]);
                }
                self.table(table)?;
            }
            Block::List(list) => self.list(list),
            Block::Image(image) => self.image(image),
            Block::PageBreak => {
                self.xml.markup("<w:p><w:r><w:br w:type=\"page\"/></w:r></w:p>");
            }
            Block::Contents => self.contents(),
        }
        Ok(())
    }

    fn paragraph(&mut self, style: &str, mark: Option<&str>, runs: &[Run]) {
        self.xml.open("w:p", &[]);
        self.xml.open("w:pPr", &[]);
        self.xml.empty("w:pStyle", &[("w:val", &style)]);
        self.xml.close();
        if let Some(mark) = mark {
            let id = mark.trim_start_matches('h');
            self.xml.empty("w:bookmarkStart", &[("w:id", &id), ("w:name", &mark)]);
            self.runs(runs);
            self.xml.empty("w:bookmarkEnd", &[("w:id", &id)]);
        } else {
            self.runs(runs);
        }
        self.xml.close();
    }

    fn runs(&mut self, runs: &[Run]) {
        for run in runs {
            let outline = self.outline;
            let target = outline.target(run);
            if let Some(mark) = target {
                self.xml.open("w:hyperlink", &[("w:anchor", &mark), ("w:history", &1)]);
            }
            self.run(run);
            if target.is_some() {
                self.xml.close();
            }
        }
    }

    fn run(&mut self, run: &Run) {
        let xml = &mut self.xml;
        xml.open("w:r", &[]);
        match run.style {
            RunStyle::Plain => {}
            RunStyle::Bold => xml.markup("<w:rPr><w:b/></w:rPr>"),
            RunStyle::Italic => xml.markup("<w:rPr><w:i/></w:rPr>"),
            RunStyle::Code => {
                xml.markup("<w:rPr><w:rFonts w:ascii=\"Consolas\" w:hAnsi=\"Consolas\" w:cs=\"Consolas\"/></w:rPr>")
            }
        }
        for piece in pieces(&run.text) {
            match piece {
                Piece::Text(text) => xml.leaf("w:t", &[("xml:space", &"preserve")], text),
                Piece::Break => xml.empty("w:br", &[]),
                Piece::Tab => xml.empty("w:tab", &[]),
            }
        }
        xml.close();
    }

    fn table(&mut self, table: &'a Table) -> Result<(), DocumentError> {
        let grid = table.grid()?;
        let total = self.width();
        let widths = table.widths(total);
        self.xml.open("w:tbl", &[]);
        self.xml.open("w:tblPr", &[]);
        self.xml.empty("w:tblW", &[("w:w", &total), ("w:type", &"dxa")]);
        self.xml.open("w:tblBorders", &[]);
        for side in ["w:top", "w:left", "w:bottom", "w:right", "w:insideH", "w:insideV"] {
            self.xml.empty(side, &[("w:val", &"single"), ("w:sz", &4), ("w:space", &0), ("w:color", &"8A8A8A")]);
        }
        self.xml.close();
        self.xml.empty("w:tblLayout", &[("w:type", &"fixed")]);
        self.xml.open("w:tblCellMar", &[]);
        for (side, space) in [("w:top", 50), ("w:left", 90), ("w:bottom", 50), ("w:right", 90)] {
            self.xml.empty(side, &[("w:w", &space), ("w:type", &"dxa")]);
        }
        self.xml.close();
        self.xml.close();
        self.xml.open("w:tblGrid", &[]);
        for width in &widths {
            self.xml.empty("w:gridCol", &[("w:w", width)]);
        }
        self.xml.close();
        for (index, row) in grid.iter().enumerate() {
            self.xml.open("w:tr", &[]);
            self.xml.markup(if index < table.header_rows {
                "<w:trPr><w:cantSplit/><w:tblHeader/></w:trPr>"
            } else if row.iter().all(is_short) {
                "<w:trPr><w:cantSplit/></w:trPr>"
            } else {
                "<w:trPr/>"
            });
            for (column, slot) in row.iter().enumerate() {
                self.slot(slot, index < table.header_rows, widths.get(column..).unwrap_or_default());
            }
            self.xml.close();
        }
        self.xml.close();
        // Two tables without a paragraph between them would be one.
        self.xml.markup("<w:p><w:pPr><w:pStyle w:val=\"TableText\"/></w:pPr></w:p>");
        Ok(())
    }

    fn slot(&mut self, slot: &Slot<'_>, in_head: bool, widths: &[u32]) {
        let (cell, merge) = match slot {
            Slot::Covered => return,
            Slot::Empty => (None, None),
            Slot::Cell(cell) => (Some(*cell), (cell.row_span > 1).then_some("restart")),
            Slot::Below(cell) => (Some(*cell), Some("continue")),
        };
        let columns = cell.map_or(1, |cell| cell.column_span);
        let width: u32 = widths.iter().take(columns).sum();
        let header = in_head || cell.is_some_and(|cell| cell.role == CellRole::Header);
        let fill = match cell.map_or(Tone::Plain, |cell| cell.tone) {
            Tone::Good => Some("D9F0DD"),
            Tone::Bad => Some("FADCDC"),
            Tone::Open => Some("FDF1CF"),
            Tone::Plain if header => Some("E8EDF3"),
            Tone::Plain => None,
        };
        self.xml.open("w:tc", &[]);
        self.xml.open("w:tcPr", &[]);
        self.xml.empty("w:tcW", &[("w:w", &width), ("w:type", &"dxa")]);
        if columns > 1 {
            self.xml.empty("w:gridSpan", &[("w:val", &columns)]);
        }
        if let Some(merge) = merge {
            self.xml.empty("w:vMerge", &[("w:val", &merge)]);
        }
        if let Some(fill) = fill {
            self.xml.empty("w:shd", &[("w:val", &"clear"), ("w:color", &"auto"), ("w:fill", &fill)]);
        }
        self.xml.close();
        match slot {
            Slot::Cell(cell) if header => {
                let bold: Vec<Run> = cell.runs.iter().map(|run| Run { style: RunStyle::Bold, ..run.clone() }).collect();
                self.paragraph("TableText", None, &bold);
            }
            Slot::Cell(cell) => self.paragraph("TableText", None, &cell.runs),
            Slot::Below(_) | Slot::Empty | Slot::Covered => self.paragraph("TableText", None, &[]),
        }
        self.xml.close();
    }

    fn list(&mut self, list: &'a List) {
        self.lists.push(list);
        let number = match list.kind {
            ListKind::Bullets => 1,
            ListKind::Numbers => 1 + self.lists.iter().filter(|list| list.kind == ListKind::Numbers).count(),
        };
        for item in &list.items {
            self.xml.open("w:p", &[]);
            self.xml.open("w:pPr", &[]);
            self.xml.empty("w:pStyle", &[("w:val", &"ListParagraph")]);
            self.xml.open("w:numPr", &[]);
            self.xml.empty("w:ilvl", &[("w:val", &item.depth.min(3))]);
            self.xml.empty("w:numId", &[("w:val", &number)]);
            self.xml.close();
            self.xml.close();
            self.runs(&item.runs);
            self.xml.close();
        }
    }

    /// Entries without pages' numbers: a reader that lays pages out otherwise would make them wrong. Readers update the field on request.
    fn contents(&mut self) {
        let title = Phrase::Contents.text(self.document.language);
        self.paragraph("TOCHeading", None, &[Run::plain(title)]);
        let outline = self.outline;
        let mut first = true;
        for entry in outline.contents() {
            self.xml.open("w:p", &[]);
            self.xml.open("w:pPr", &[]);
            self.xml.empty("w:pStyle", &[("w:val", &format!("TOC{}", entry.level))]);
            self.xml.close();
            if first {
                self.xml.markup(
                    "<w:r><w:fldChar w:fldCharType=\"begin\"/></w:r>\
                     <w:r><w:instrText xml:space=\"preserve\"> TOC \\o \"1-3\" \\n \\h \\z \\u </w:instrText></w:r>\
                     <w:r><w:fldChar w:fldCharType=\"separate\"/></w:r>",
                );
                first = false;
            }
            self.xml.open("w:hyperlink", &[("w:anchor", &entry.mark), ("w:history", &1)]);
            self.run(&Run::plain(&*entry.text));
            self.xml.close();
            self.xml.close();
        }
        if !first {
            self.xml.markup("<w:p><w:r><w:fldChar w:fldCharType=\"end\"/></w:r></w:p>");
        }
    }

    fn image(&mut self, image: &'a Image) {
        self.images.push(image);
        let id = self.images.len();
        let width = u64::from(image.width_mm) * EMU_PER_MM;
        let height = u64::from(image.height_mm) * EMU_PER_MM;
        let name = format!("image{id}");
        let xml = &mut self.xml;
        xml.markup("<w:p><w:pPr><w:keepNext/><w:jc w:val=\"center\"/></w:pPr><w:r><w:drawing>");
        let wp = "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing";
        xml.open("wp:inline", &[("xmlns:wp", &wp), ("distT", &0), ("distB", &0), ("distL", &0), ("distR", &0)]);
        xml.empty("wp:extent", &[("cx", &width), ("cy", &height)]);
        xml.empty("wp:docPr", &[("id", &id), ("name", &name), ("descr", &image.description)]);
        xml.open("a:graphic", &[("xmlns:a", &DRAWING)]);
        xml.open("a:graphicData", &[("uri", &PICTURE)]);
        xml.open("pic:pic", &[("xmlns:pic", &PICTURE)]);
        xml.open("pic:nvPicPr", &[]);
        xml.empty("pic:cNvPr", &[("id", &id), ("name", &name), ("descr", &image.description)]);
        xml.empty("pic:cNvPicPr", &[]);
        xml.close();
        xml.open("pic:blipFill", &[]);
        xml.open("a:blip", &[("xmlns:r", &OFFICE), ("r:embed", &format!("plain{id}"))]);
        xml.open("a:extLst", &[]);
        xml.open("a:ext", &[("uri", &"{96DAC541-7B7A-43D3-8B79-37D633B846F1}")]);
        let svg = "http://schemas.microsoft.com/office/drawing/2016/SVG/main";
        xml.empty("asvg:svgBlip", &[("xmlns:asvg", &svg), ("r:embed", &format!("svg{id}"))]);
        xml.close();
        xml.close();
        xml.close();
        xml.markup("<a:stretch><a:fillRect/></a:stretch>");
        xml.close();
        xml.open("pic:spPr", &[]);
        xml.open("a:xfrm", &[]);
        xml.empty("a:off", &[("x", &0), ("y", &0)]);
        xml.empty("a:ext", &[("cx", &width), ("cy", &height)]);
        xml.close();
        xml.markup("<a:prstGeom prst=\"rect\"><a:avLst/></a:prstGeom>");
        for _ in 0..5 {
            xml.close();
        }
        xml.markup("</w:drawing></w:r></w:p>");
        if let Some(caption) = self.cursor.figure(image.caption.as_deref()) {
            self.paragraph("Caption", None, &[Run::plain(caption)]);
        }
        // Readers that know no SVG may show nothing in the picture's place: the description says what it shows.
        if image.metafile.is_none() {
            self.paragraph("Note", None, &[Run::plain(&*image.description)]);
        }
    }
}
