//! HWPX: the blocks of a document as one OWPML section.
//!
//! Source: KS X 6101 (OWPML). Lines carry no layout: readers lay the text out when they open it.

use std::fmt::Display;

use super::hwpx_parts::{self as parts, CharShape, ParaShape};
use super::hwpx_pictures as pictures;
use crate::DocumentError;
use crate::content::{
    Block, Cell, CellRole, Document, Image, ListKind, Orientation, ParagraphStyle, Run, RunStyle, Slot, Table, Tone,
};
use crate::outline::{Cursor, ListCounter, Outline};
use crate::phrases::Phrase;
use crate::xml::{Piece, Xml, clean, pieces};
use crate::zip::Zip;

/// A4 and its margins in units of 1/7200 inch.
const PAGE_SHORT: u32 = 59_528;
const PAGE_LONG: u32 = 84_186;
const MARGIN: u32 = 5_669;
const HEADER: u32 = 2_835;
/// Room for a heading above a picture and the caption below it.
const WORDS_BESIDE_PICTURE: u32 = 6_000;
const ROW_HEIGHT: u32 = 1_400;
/// What a preview shows.
const PREVIEW_CHARACTERS: usize = 1_000;

struct Writer<'o, 'a> {
    xml: Xml,
    document: &'a Document,
    outline: &'o Outline<'a>,
    cursor: Cursor<'o, 'a>,
    /// The pictures so far and their metafiles.
    metafiles: Vec<&'a [u8]>,
    paragraphs: u32,
    tables: u32,
    page_break: bool,
}

/// Returns the document as HWPX.
pub(super) fn write(document: &Document) -> Result<Vec<u8>, DocumentError> {
    let outline = Outline::of(document);
    let mut writer = Writer {
        xml: Xml::new(),
        document,
        outline: &outline,
        cursor: Cursor::new(document, &outline),
        metafiles: Vec::new(),
        paragraphs: 0,
        tables: 0,
        page_break: false,
    };
    writer.section()?;
    let Writer { xml, metafiles, .. } = writer;
    let section = xml.finish();
    let headings: Vec<&str> = outline.entries().iter().map(|entry| entry.text.as_str()).collect();
    let preview = format!("{}\r\n{}\r\n", document.title, headings.join("\r\n"));
    let preview: String = clean(&preview).take(PREVIEW_CHARACTERS).collect();
    let mut zip = Zip::default();
    zip.store("mimetype", b"application/hwp+zip")?;
    for (index, metafile) in metafiles.iter().enumerate() {
        zip.add(&pictures::file(index + 1), metafile)?;
    }
    zip.add("Contents/content.hpf", parts::package(document, metafiles.len()).as_bytes())?;
    zip.add("Contents/header.xml", parts::header().as_bytes())?;
    zip.add("Contents/section0.xml", section.as_bytes())?;
    zip.add("META-INF/container.rdf", parts::RDF.as_bytes())?;
    zip.add("META-INF/container.xml", parts::CONTAINER.as_bytes())?;
    zip.add("META-INF/manifest.xml", parts::MANIFEST.as_bytes())?;
    zip.add("Preview/PrvText.txt", preview.as_bytes())?;
    zip.add("settings.xml", parts::SETTINGS.as_bytes())?;
    zip.add("version.xml", parts::VERSION.as_bytes())?;
    zip.finish()
}

impl<'a> Writer<'_, 'a> {
    fn section(&mut self) -> Result<(), DocumentError> {
        let document = self.document;
        parts::open_root(&mut self.xml, "hs:sec", &[]);
        self.open_paragraph(ParaShape::Centred, 0);
        self.section_properties();
        self.run(CharShape::Title, &document.title);
        self.xml.close();
        if let Some(subtitle) = &document.subtitle {
            self.line(ParaShape::Centred, 0, CharShape::Subtitle, subtitle);
        }
        for block in &document.blocks {
            self.block(block)?;
        }
        if self.page_break {
            self.line(ParaShape::Body, 0, CharShape::Body, "");
        }
        Ok(())
    }

    fn block(&mut self, block: &'a Block) -> Result<(), DocumentError> {
        match block {
            Block::Heading(_) => {
                if let Some(entry) = self.cursor.heading() {
                    let shape = parts::heading_shape(entry.level);
                    self.line(ParaShape::Heading(entry.level), entry.level, shape, &entry.text);
                }
            }
            Block::Paragraph(paragraph) => {
                self.open_paragraph(ParaShape::Body, 0);
                self.runs(&paragraph.runs, paragraph.style == ParagraphStyle::Note);
                self.xml.close();
            }
            Block::Table(table) => {
                if let Some(caption) = self.cursor.table(table) {
                    self.line(ParaShape::Caption, 0, CharShape::SmallBold, &caption);
                }
                self.table(table)?;
            }
            Block::List(list) => {
                let mut counter = ListCounter::default();
                for item in &list.items {
                    let number = counter.next(item.depth);
                    let sign = match list.kind {
                        ListKind::Bullets => "• ".to_owned(),
                        ListKind::Numbers => format!("{number}. "),
                    };
                    self.open_paragraph(ParaShape::Indent(item.depth), 0);
                    self.run(CharShape::Body, &sign);
                    self.runs(&item.runs, false);
                    self.xml.close();
                }
            }
            Block::Image(image) => {
                self.image(image);
                if let Some(caption) = self.cursor.figure(image.caption.as_deref()) {
                    self.line(ParaShape::Caption, 0, CharShape::SmallBold, &caption);
                }
            }
            Block::PageBreak => self.page_break = true,
            Block::Contents => {
                let title = Phrase::Contents.text(self.document.language);
                self.line(ParaShape::Caption, 0, CharShape::Heading2, title);
                let outline = self.outline;
                for entry in outline.contents() {
                    self.line(ParaShape::Indent(entry.level - 1), 0, CharShape::Body, &entry.text);
                }
            }
        }
        Ok(())
    }

    /// A picture without a metafile is described.
    fn image(&mut self, image: &'a Image) {
        if let Some(metafile) = &image.metafile {
            self.metafiles.push(metafile);
            self.open_paragraph(ParaShape::Picture, 0);
            // A page begins below the header and ends above the footer; a heading and the caption stand on it, too.
            let page = match self.document.orientation {
                Orientation::Portrait => PAGE_LONG,
                Orientation::Landscape => PAGE_SHORT,
            };
            let room = (self.width(), page - 2 * (MARGIN + HEADER) - WORDS_BESIDE_PICTURE);
            pictures::write(&mut self.xml, image, self.metafiles.len(), room);
            self.xml.close();
        } else {
            let words = Phrase::PictureElsewhere.text(self.document.language);
            self.line(ParaShape::Body, 0, CharShape::SmallItalic, &format!("[{}] {words}", image.description));
        }
    }

    fn open_paragraph(&mut self, shape: ParaShape, style: u8) {
        self.paragraphs += 1;
        let page_break = u8::from(std::mem::take(&mut self.page_break));
        let attributes: [(&'static str, &dyn Display); 6] = [
            ("id", &self.paragraphs),
            ("paraPrIDRef", &shape.id()),
            ("styleIDRef", &style),
            ("pageBreak", &page_break),
            ("columnBreak", &0),
            ("merged", &0),
        ];
        self.xml.open("hp:p", &attributes);
    }

    fn line(&mut self, shape: ParaShape, style: u8, character: CharShape, text: &str) {
        self.open_paragraph(shape, style);
        self.run(character, text);
        self.xml.close();
    }

    fn runs(&mut self, runs: &[Run], small: bool) {
        for run in runs {
            let shape = match (run.style, small) {
                (RunStyle::Plain, false) => CharShape::Body,
                (RunStyle::Bold, false) => CharShape::Bold,
                (RunStyle::Italic, false) => CharShape::Italic,
                (RunStyle::Code, false) => CharShape::Code,
                (RunStyle::Plain, true) => CharShape::Small,
                (RunStyle::Bold, true) => CharShape::SmallBold,
                (RunStyle::Italic, true) => CharShape::SmallItalic,
                (RunStyle::Code, true) => CharShape::SmallCode,
            };
            self.run(shape, &run.text);
        }
        if runs.is_empty() {
            self.run(if small { CharShape::Small } else { CharShape::Body }, "");
        }
    }

    fn run(&mut self, shape: CharShape, text: &str) {
        let xml = &mut self.xml;
        xml.open("hp:run", &[("charPrIDRef", &(shape as u8))]);
        xml.open("hp:t", &[]);
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => xml.text(text),
                Piece::Break => xml.empty("hp:lineBreak", &[]),
                Piece::Tab => xml.empty("hp:tab", &[("width", &4000), ("leader", &0), ("type", &1)]),
            }
        }
        xml.close();
        xml.close();
    }

    fn width(&self) -> u32 {
        match self.document.orientation {
            Orientation::Portrait => PAGE_SHORT - 2 * MARGIN,
            Orientation::Landscape => PAGE_LONG - 2 * MARGIN,
        }
    }

    fn table(&mut self, table: &'a Table) -> Result<(), DocumentError> {
        let grid = table.grid()?;
        let total = self.width();
        let widths = table.widths(total);
        let rows = u32::try_from(grid.len()).unwrap_or(u32::MAX);
        self.tables += 1;
        self.open_paragraph(ParaShape::Body, 0);
        self.xml.open("hp:run", &[("charPrIDRef", &0)]);
        let repeat = u8::from(table.header_rows > 0);
        let attributes: [(&'static str, &dyn Display); 14] = [
            ("id", &(1000 + self.tables)),
            ("zOrder", &self.tables),
            ("numberingType", &"TABLE"),
            ("textWrap", &"TOP_AND_BOTTOM"),
            ("textFlow", &"BOTH_SIDES"),
            ("lock", &0),
            ("dropcapstyle", &"None"),
            ("pageBreak", &"CELL"),
            ("repeatHeader", &repeat),
            ("rowCnt", &rows),
            ("colCnt", &widths.len()),
            ("cellSpacing", &0),
            ("borderFillIDRef", &parts::FILL_CELL),
            ("noAdjust", &0),
        ];
        self.xml.open("hp:tbl", &attributes);
        let height = rows.saturating_mul(ROW_HEIGHT);
        let size: [(&'static str, &dyn Display); 5] = [
            ("width", &total),
            ("widthRelTo", &"ABSOLUTE"),
            ("height", &height),
            ("heightRelTo", &"ABSOLUTE"),
            ("protect", &0),
        ];
        self.xml.empty("hp:sz", &size);
        // Not as a character: a table that is one does not go on over pages.
        self.xml.markup(
            "<hp:pos treatAsChar=\"0\" affectLSpacing=\"0\" flowWithText=\"1\" allowOverlap=\"0\" holdAnchorAndSO=\"0\" \
             vertRelTo=\"PARA\" horzRelTo=\"COLUMN\" vertAlign=\"TOP\" horzAlign=\"LEFT\" vertOffset=\"0\" horzOffset=\"0\"/>\
             <hp:outMargin left=\"0\" right=\"0\" top=\"140\" bottom=\"140\"/>\
             <hp:inMargin left=\"400\" right=\"400\" top=\"141\" bottom=\"141\"/>",
        );
        for (row, slots) in grid.iter().enumerate() {
            self.xml.open("hp:tr", &[]);
            for (column, slot) in slots.iter().enumerate() {
                let covered = match slot {
                    Slot::Cell(cell) => Some(*cell),
                    Slot::Empty => None,
                    Slot::Below(_) | Slot::Covered => continue,
                };
                let rest = widths.get(column..).unwrap_or_default();
                self.cell(covered, (row, column), row < table.header_rows, rest);
            }
            self.xml.close();
        }
        self.xml.close();
        self.xml.empty("hp:t", &[]);
        self.xml.close();
        self.xml.close();
        Ok(())
    }

    fn cell(&mut self, cell: Option<&Cell>, (row, column): (usize, usize), in_head: bool, widths: &[u32]) {
        let header = in_head || cell.is_some_and(|cell| cell.role == CellRole::Header);
        let fill = match cell.map_or(Tone::Plain, |cell| cell.tone) {
            Tone::Good => parts::FILL_GOOD,
            Tone::Bad => parts::FILL_BAD,
            Tone::Open => parts::FILL_OPEN,
            Tone::Plain if header => parts::FILL_HEADER,
            Tone::Plain => parts::FILL_CELL,
        };
        let (columns, rows) = cell.map_or((1, 1), |cell| (cell.column_span, cell.row_span));
        let width: u32 = widths.iter().take(columns).sum();
        let height = ROW_HEIGHT.saturating_mul(u32::try_from(rows).unwrap_or(u32::MAX));
        let attributes: [(&'static str, &dyn Display); 7] = [
            ("name", &""),
            ("header", &u8::from(in_head)),
            ("hasMargin", &0),
            ("protect", &0),
            ("editable", &0),
            ("dirty", &0),
            ("borderFillIDRef", &fill),
        ];
        self.xml.open("hp:tc", &attributes);
        let list: [(&'static str, &dyn Display); 10] = [
            ("id", &""),
            ("textDirection", &"HORIZONTAL"),
            ("lineWrap", &"BREAK"),
            ("vertAlign", &"TOP"),
            ("linkListIDRef", &0),
            ("linkListNextIDRef", &0),
            ("textWidth", &0),
            ("textHeight", &0),
            ("hasTextRef", &0),
            ("hasNumRef", &0),
        ];
        self.xml.open("hp:subList", &list);
        self.open_paragraph(ParaShape::Table, 0);
        let mut runs = cell.map(|cell| cell.runs.clone()).unwrap_or_default();
        if header {
            for run in &mut runs {
                run.style = RunStyle::Bold;
            }
        }
        self.runs(&runs, true);
        self.xml.close();
        self.xml.close();
        self.xml.empty("hp:cellAddr", &[("colAddr", &column), ("rowAddr", &row)]);
        self.xml.empty("hp:cellSpan", &[("colSpan", &columns), ("rowSpan", &rows)]);
        self.xml.empty("hp:cellSz", &[("width", &width), ("height", &height)]);
        self.xml.markup("<hp:cellMargin left=\"400\" right=\"400\" top=\"141\" bottom=\"141\"/>");
        self.xml.close();
    }

    /// The page, in the first run of the first paragraph.
    fn section_properties(&mut self) {
        let xml = &mut self.xml;
        xml.open("hp:run", &[("charPrIDRef", &0)]);
        let attributes: [(&'static str, &dyn Display); 10] = [
            ("id", &""),
            ("textDirection", &"HORIZONTAL"),
            ("spaceColumns", &1134),
            ("tabStop", &8000),
            ("tabStopVal", &4000),
            ("tabStopUnit", &"HWPUNIT"),
            ("outlineShapeIDRef", &1),
            ("memoShapeIDRef", &0),
            ("textVerticalWidthHead", &0),
            ("masterPageCnt", &0),
        ];
        xml.open("hp:secPr", &attributes);
        xml.markup(
            "<hp:grid lineGrid=\"0\" charGrid=\"0\" wonggojiFormat=\"0\"/>\
             <hp:startNum pageStartsOn=\"BOTH\" page=\"0\" pic=\"0\" tbl=\"0\" equation=\"0\"/>\
             <hp:visibility hideFirstHeader=\"0\" hideFirstFooter=\"0\" hideFirstMasterPage=\"0\" border=\"SHOW_ALL\" fill=\"SHOW_ALL\" \
             hideFirstPageNum=\"0\" hideFirstEmptyLine=\"0\" showLineNumber=\"0\"/>\
             <hp:lineNumberShape restartType=\"0\" countBy=\"0\" distance=\"0\" startNumber=\"0\"/>",
        );
        // The paper's size is that of A4 upright; the second word turns it.
        let turned: &str = match self.document.orientation {
            Orientation::Portrait => "WIDELY",
            Orientation::Landscape => "NARROWLY",
        };
        let page: [(&'static str, &dyn Display); 4] =
            [("landscape", &turned), ("width", &PAGE_SHORT), ("height", &PAGE_LONG), ("gutterType", &"LEFT_ONLY")];
        xml.open("hp:pagePr", &page);
        let margins: [(&'static str, &dyn Display); 7] = [
            ("header", &HEADER),
            ("footer", &HEADER),
            ("gutter", &0),
            ("left", &MARGIN),
            ("right", &MARGIN),
            ("top", &MARGIN),
            ("bottom", &MARGIN),
        ];
        xml.empty("hp:margin", &margins);
        xml.close();
        for (name, place) in [("hp:footNotePr", "EACH_COLUMN"), ("hp:endNotePr", "END_OF_DOCUMENT")] {
            xml.open(name, &[]);
            xml.markup(
                "<hp:autoNumFormat type=\"DIGIT\" userChar=\"\" prefixChar=\"\" suffixChar=\")\" supscript=\"0\"/>\
                 <hp:noteLine length=\"-1\" type=\"SOLID\" width=\"0.12 mm\" color=\"#000000\"/>\
                 <hp:noteSpacing betweenNotes=\"283\" belowLine=\"567\" aboveLine=\"850\"/>\
                 <hp:numbering type=\"CONTINUOUS\" newNum=\"1\"/>",
            );
            xml.empty("hp:placement", &[("place", &place), ("beneathText", &0)]);
            xml.close();
        }
        for pages in ["BOTH", "EVEN", "ODD"] {
            let border: [(&'static str, &dyn Display); 6] = [
                ("type", &pages),
                ("borderFillIDRef", &parts::FILL_NONE),
                ("textBorder", &"PAPER"),
                ("headerInside", &0),
                ("footerInside", &0),
                ("fillArea", &"PAPER"),
            ];
            xml.open("hp:pageBorderFill", &border);
            xml.markup("<hp:offset left=\"1417\" right=\"1417\" top=\"1417\" bottom=\"1417\"/>");
            xml.close();
        }
        xml.close();
        xml.markup(
            "<hp:ctrl><hp:colPr id=\"\" type=\"NEWSPAPER\" layout=\"LEFT\" colCount=\"1\" sameSz=\"1\" sameGap=\"0\"/></hp:ctrl>\
             <hp:ctrl><hp:pageNum pos=\"BOTTOM_CENTER\" formatType=\"DIGIT\" sideChar=\"-\"/></hp:ctrl>",
        );
        xml.close();
    }
}
