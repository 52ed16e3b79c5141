//! The parts of an XLSX package that hold no cells: workbook, styles, shared strings.
//!
//! Source: ECMA-376 part 1, §18.

use std::collections::HashMap;

use super::docx_parts::relationships;
use crate::xml::Xml;

pub(super) const S: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
pub(super) const R: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const SHEET: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml";

/// How a cell looks: the order is that of `cellXfs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Title,
    Heading,
    Text,
    Note,
    Header,
    Data,
    Good,
    Bad,
    Open,
    Link,
}

const LOOKS: [Look; 11] = [
    Look::Plain,
    Look::Title,
    Look::Heading,
    Look::Text,
    Look::Note,
    Look::Header,
    Look::Data,
    Look::Good,
    Look::Bad,
    Look::Open,
    Look::Link,
];

/// Returns the index of a look; quoted ones keep a text a text also when somebody edits the cell.
pub(super) fn style_index(look: Look, quoted: bool) -> usize {
    look as usize + if quoted { LOOKS.len() } else { 0 }
}

/// The texts of all cells, each once, in the order of their first use.
#[derive(Debug, Default)]
pub(super) struct Strings {
    index: HashMap<String, usize>,
    texts: Vec<String>,
    uses: usize,
}

impl Strings {
    /// Returns the text's index.
    pub(super) fn index(&mut self, text: &str) -> usize {
        self.uses += 1;
        if let Some(index) = self.index.get(text) {
            return *index;
        }
        let index = self.texts.len();
        self.texts.push(text.to_owned());
        self.index.insert(text.to_owned(), index);
        index
    }

    /// Returns the part with the texts.
    pub(super) fn part(&self) -> String {
        let mut xml = Xml::new();
        xml.open("sst", &[("xmlns", &S), ("count", &self.uses), ("uniqueCount", &self.texts.len())]);
        for text in &self.texts {
            xml.open("si", &[]);
            xml.leaf("t", &[("xml:space", &"preserve")], &escape_escapes(text));
            xml.close();
        }
        xml.finish()
    }
}

/// A text that looks like an escape (`_x0041_`) would be read as the character: its underscore is escaped itself (§22.9.2.19).
fn escape_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, character) in text.char_indices() {
        let rest = text.as_bytes().get(index..index + 7).unwrap_or_default();
        let escape = matches!(rest, [b'_', b'x', digits @ .., b'_'] if digits.iter().all(u8::is_ascii_hexdigit));
        if escape { out.push_str("_x005F_") } else { out.push(character) }
    }
    out
}

pub(super) fn content_types(sheets: usize, has_pictures: bool) -> String {
    let mut xml = Xml::new();
    xml.open("Types", &[("xmlns", &"http://schemas.openxmlformats.org/package/2006/content-types")]);
    for (extension, kind) in
        [("rels", "application/vnd.openxmlformats-package.relationships+xml"), ("xml", "application/xml")]
    {
        xml.empty("Default", &[("Extension", &extension), ("ContentType", &kind)]);
    }
    if has_pictures {
        xml.empty("Default", &[("Extension", &"emf"), ("ContentType", &"image/x-emf")]);
        let kind = "application/vnd.openxmlformats-officedocument.drawing+xml";
        xml.empty("Override", &[("PartName", &"/xl/drawings/drawing1.xml"), ("ContentType", &kind)]);
    }
    let properties = "application/vnd.openxmlformats-package.core-properties+xml";
    xml.empty("Override", &[("PartName", &"/docProps/core.xml"), ("ContentType", &properties)]);
    for (part, kind) in [("sharedStrings", "sharedStrings"), ("styles", "styles"), ("workbook", "sheet.main")] {
        let (name, kind) = (format!("/xl/{part}.xml"), format!("{SHEET}.{kind}+xml"));
        xml.empty("Override", &[("PartName", &name), ("ContentType", &kind)]);
    }
    for index in 1..=sheets {
        let (name, kind) = (format!("/xl/worksheets/sheet{index}.xml"), format!("{SHEET}.worksheet+xml"));
        xml.empty("Override", &[("PartName", &name), ("ContentType", &kind)]);
    }
    xml.finish()
}

pub(super) fn package_relationships() -> String {
    let properties = "http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties";
    let main = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument";
    relationships(
        [("rId1".to_owned(), main, "xl/workbook.xml"), ("rId2".to_owned(), properties, "docProps/core.xml")]
            .into_iter(),
    )
}

pub(super) fn workbook_relationships(sheets: usize) -> String {
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet";
    let targets: Vec<String> = (1..=sheets).map(|index| format!("worksheets/sheet{index}.xml")).collect();
    let sheets = targets.iter().enumerate().map(|(index, target)| (format!("rId{}", index + 1), kind, target.as_str()));
    let rest = [
        (
            "strings",
            "http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings",
            "sharedStrings.xml",
        ),
        ("styles", "http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles", "styles.xml"),
    ];
    relationships(sheets.chain(rest.into_iter().map(|(id, kind, target)| (id.to_owned(), kind, target))))
}

/// A sheet as the workbook knows it.
#[derive(Debug)]
pub(super) struct Listed<'a> {
    pub(super) name: &'a str,
    /// The range of the filter, with absolute references.
    pub(super) filter: Option<String>,
    /// How many rows are repeated on each page.
    pub(super) header_rows: usize,
}

pub(super) fn workbook(sheets: &[Listed<'_>]) -> String {
    let mut xml = Xml::new();
    xml.open("workbook", &[("xmlns", &S), ("xmlns:r", &R)]);
    xml.open("bookViews", &[]);
    xml.empty("workbookView", &[("xWindow", &0), ("yWindow", &0), ("windowWidth", &28_800), ("windowHeight", &16_000)]);
    xml.close();
    xml.open("sheets", &[]);
    for (index, sheet) in sheets.iter().enumerate() {
        let id = index + 1;
        xml.empty("sheet", &[("name", &sheet.name), ("sheetId", &id), ("r:id", &format!("rId{id}"))]);
    }
    xml.close();
    if sheets.iter().any(|sheet| sheet.header_rows > 0) {
        xml.open("definedNames", &[]);
        for (index, sheet) in sheets.iter().enumerate() {
            if let Some(filter) = &sheet.filter {
                let range = format!("{}!{filter}", quoted(sheet.name));
                let name = "_xlnm._FilterDatabase";
                xml.leaf("definedName", &[("name", &name), ("localSheetId", &index), ("hidden", &1)], &range);
            }
        }
        for (index, sheet) in sheets.iter().enumerate().filter(|(_, sheet)| sheet.header_rows > 0) {
            let range = format!("{}!$1:${}", quoted(sheet.name), sheet.header_rows);
            xml.leaf("definedName", &[("name", &"_xlnm.Print_Titles"), ("localSheetId", &index)], &range);
        }
        xml.close();
    }
    xml.finish()
}

/// Returns a sheet's name as references write it.
pub(super) fn quoted(name: &str) -> String {
    format!("'{}'", name.replace('\'', "''"))
}

pub(super) fn styles() -> String {
    let mut xml = Xml::new();
    xml.open("styleSheet", &[("xmlns", &S)]);
    xml.markup(
        "<fonts count=\"6\">\
         <font><sz val=\"10\"/><name val=\"Malgun Gothic\"/></font>\
         <font><b/><sz val=\"10\"/><name val=\"Malgun Gothic\"/></font>\
         <font><b/><sz val=\"18\"/><name val=\"Malgun Gothic\"/></font>\
         <font><b/><sz val=\"13\"/><name val=\"Malgun Gothic\"/></font>\
         <font><sz val=\"9\"/><color rgb=\"FF444444\"/><name val=\"Malgun Gothic\"/></font>\
         <font><u/><sz val=\"10\"/><color rgb=\"FF0B4F9C\"/><name val=\"Malgun Gothic\"/></font>\
         </fonts><fills count=\"6\">\
         <fill><patternFill patternType=\"none\"/></fill><fill><patternFill patternType=\"gray125\"/></fill>\
         <fill><patternFill patternType=\"solid\"><fgColor rgb=\"FFE8EDF3\"/></patternFill></fill>\
         <fill><patternFill patternType=\"solid\"><fgColor rgb=\"FFD9F0DD\"/></patternFill></fill>\
         <fill><patternFill patternType=\"solid\"><fgColor rgb=\"FFFADCDC\"/></patternFill></fill>\
         <fill><patternFill patternType=\"solid\"><fgColor rgb=\"FFFDF1CF\"/></patternFill></fill>\
         </fills><borders count=\"2\"><border><left/><right/><top/><bottom/><diagonal/></border><border>\
         <left style=\"thin\"><color rgb=\"FF8A8A8A\"/></left><right style=\"thin\"><color rgb=\"FF8A8A8A\"/></right>\
         <top style=\"thin\"><color rgb=\"FF8A8A8A\"/></top><bottom style=\"thin\"><color rgb=\"FF8A8A8A\"/></bottom>\
         <diagonal/></border></borders>\
         <cellStyleXfs count=\"1\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\"/></cellStyleXfs>",
    );
    xml.open("cellXfs", &[("count", &(2 * LOOKS.len()))]);
    for quoted in [0, 1] {
        for look in LOOKS {
            let (font, fill, border) = match look {
                Look::Plain | Look::Text => (0, 0, 0),
                Look::Title => (2, 0, 0),
                Look::Heading => (3, 0, 0),
                Look::Note => (4, 0, 0),
                Look::Header => (1, 2, 1),
                Look::Data => (0, 0, 1),
                Look::Good => (0, 3, 1),
                Look::Bad => (0, 4, 1),
                Look::Open => (0, 5, 1),
                Look::Link => (5, 0, 0),
            };
            let attributes: [(&'static str, &dyn std::fmt::Display); 10] = [
                ("numFmtId", &0),
                ("fontId", &font),
                ("fillId", &fill),
                ("borderId", &border),
                ("xfId", &0),
                ("quotePrefix", &quoted),
                ("applyFont", &1),
                ("applyFill", &1),
                ("applyBorder", &1),
                ("applyAlignment", &1),
            ];
            xml.open("xf", &attributes);
            xml.empty("alignment", &[("vertical", &"top"), ("wrapText", &1)]);
            xml.close();
        }
    }
    xml.close();
    xml.markup("<cellStyles count=\"1\"><cellStyle name=\"Normal\" xfId=\"0\" builtinId=\"0\"/></cellStyles>");
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_look_like_escapes_stay_texts() {
        assert_eq!(escape_escapes("a_x000D_b_xyz_가_x00"), "a_x005F_x000D_b_xyz_가_x00");
    }
}
