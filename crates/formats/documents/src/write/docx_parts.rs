//! The parts of a DOCX package that hold no blocks: styles, numbering, foot, properties.
//!
//! Source: ECMA-376 part 1, §11, §17.

use crate::content::{Document, List, ListKind};
use crate::outline::foot;
use crate::xml::Xml;

pub(super) const W: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
pub(super) const R: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const CONTENT_TYPES: &str = "http://schemas.openxmlformats.org/package/2006/content-types";
const RELATIONSHIPS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const WORD: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml";
const FONT: &str = "Malgun Gothic";

/// One transparent pixel: what a reader shows that knows no SVG, when there is no metafile. The picture's description and caption stand beside it.
pub(super) const PIXEL_PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\
\0\0\0\x0bIDATx\xdac`\0\x02\0\0\x05\0\x01\xe9\xfa\xdc\xd8\0\0\0\0IEND\xaeB`\x82";

pub(super) fn content_types() -> String {
    let mut xml = Xml::new();
    xml.open("Types", &[("xmlns", &CONTENT_TYPES)]);
    let defaults = [
        ("emf", "image/x-emf"),
        ("png", "image/png"),
        ("rels", "application/vnd.openxmlformats-package.relationships+xml"),
        ("svg", "image/svg+xml"),
        ("xml", "application/xml"),
    ];
    for (extension, kind) in defaults {
        xml.empty("Default", &[("Extension", &extension), ("ContentType", &kind)]);
    }
    let properties = "application/vnd.openxmlformats-package.core-properties+xml";
    xml.empty("Override", &[("PartName", &"/docProps/core.xml"), ("ContentType", &properties)]);
    for (part, kind) in [
        ("document", "document.main"),
        ("footer1", "footer"),
        ("numbering", "numbering"),
        ("settings", "settings"),
        ("styles", "styles"),
    ] {
        let (name, kind) = (format!("/word/{part}.xml"), format!("{WORD}.{kind}+xml"));
        xml.empty("Override", &[("PartName", &name), ("ContentType", &kind)]);
    }
    xml.finish()
}

/// Returns a part with relationships: (id, type, target).
pub(super) fn relationships<'a>(all: impl Iterator<Item = (String, &'static str, &'a str)>) -> String {
    let mut xml = Xml::new();
    xml.open("Relationships", &[("xmlns", &RELATIONSHIPS)]);
    for (id, kind, target) in all {
        xml.empty("Relationship", &[("Id", &id), ("Type", &kind), ("Target", &target)]);
    }
    xml.finish()
}

pub(super) fn core_properties(document: &Document) -> String {
    let meta = &document.meta;
    let mut xml = Xml::new();
    xml.open(
        "cp:coreProperties",
        &[
            ("xmlns:cp", &"http://schemas.openxmlformats.org/package/2006/metadata/core-properties"),
            ("xmlns:dc", &"http://purl.org/dc/elements/1.1/"),
            ("xmlns:dcterms", &"http://purl.org/dc/terms/"),
            ("xmlns:xsi", &"http://www.w3.org/2001/XMLSchema-instance"),
        ],
    );
    let date = format!("{}T00:00:00Z", meta.date);
    xml.leaf("dc:title", &[], &document.title);
    xml.leaf("dc:subject", &[], document.subtitle.as_deref().unwrap_or_default());
    xml.leaf("dc:creator", &[], &meta.author);
    xml.leaf("cp:keywords", &[], meta.baseline.as_deref().unwrap_or_default());
    xml.leaf("dc:identifier", &[], &meta.number);
    xml.leaf("dc:language", &[], document.language.tag());
    xml.leaf("cp:lastModifiedBy", &[], &meta.author);
    xml.leaf("dcterms:created", &[("xsi:type", &"dcterms:W3CDTF")], &date);
    xml.leaf("dcterms:modified", &[("xsi:type", &"dcterms:W3CDTF")], &date);
    xml.leaf("cp:version", &[], &meta.version);
    xml.finish()
}

pub(super) fn settings() -> String {
    let mut xml = Xml::new();
    xml.open("w:settings", &[("xmlns:w", &W)]);
    xml.empty("w:zoom", &[("w:percent", &100)]);
    xml.empty("w:defaultTabStop", &[("w:val", &800)]);
    xml.open("w:compat", &[]);
    let uri = "http://schemas.microsoft.com/office/word";
    xml.empty("w:compatSetting", &[("w:name", &"compatibilityMode"), ("w:uri", &uri), ("w:val", &15)]);
    xml.finish()
}

pub(super) fn footer(document: &Document) -> String {
    let mut xml = Xml::new();
    xml.open("w:ftr", &[("xmlns:w", &W)]);
    xml.open("w:p", &[]);
    xml.open("w:pPr", &[]);
    xml.empty("w:pStyle", &[("w:val", &"Footer")]);
    xml.close();
    let text = |xml: &mut Xml, text: &str| {
        xml.open("w:r", &[]);
        xml.leaf("w:t", &[("xml:space", &"preserve")], text);
        xml.close();
    };
    let field = |xml: &mut Xml, instruction: &str| {
        xml.open("w:fldSimple", &[("w:instr", &instruction)]);
        text(xml, "1");
        xml.close();
    };
    text(&mut xml, &format!("{} · ", foot(document)));
    field(&mut xml, "PAGE");
    text(&mut xml, " / ");
    field(&mut xml, "NUMPAGES");
    xml.finish()
}

/// Numbering 1 is bullets; the counted lists follow, each with its own so that each begins at 1.
pub(super) fn numbering(lists: &[&List]) -> String {
    let mut xml = Xml::new();
    xml.open("w:numbering", &[("xmlns:w", &W)]);
    for (id, format) in [(0, "bullet"), (1, "decimal")] {
        xml.open("w:abstractNum", &[("w:abstractNumId", &id)]);
        xml.empty("w:multiLevelType", &[("w:val", &"hybridMultilevel")]);
        for level in 0..4 {
            xml.open("w:lvl", &[("w:ilvl", &level)]);
            xml.empty("w:start", &[("w:val", &1)]);
            xml.empty("w:numFmt", &[("w:val", &format)]);
            let label = if id == 0 { "•".to_owned() } else { format!("%{}.", level + 1) };
            xml.empty("w:lvlText", &[("w:val", &label)]);
            xml.empty("w:lvlJc", &[("w:val", &"left")]);
            xml.open("w:pPr", &[]);
            xml.empty("w:ind", &[("w:left", &(400 * (level + 1))), ("w:hanging", &360)]);
            xml.close();
            xml.close();
        }
        xml.close();
    }
    xml.open("w:num", &[("w:numId", &1)]);
    xml.empty("w:abstractNumId", &[("w:val", &0)]);
    xml.close();
    let counted = lists.iter().filter(|list| list.kind == ListKind::Numbers).count();
    for id in 0..counted {
        xml.open("w:num", &[("w:numId", &(id + 2))]);
        xml.empty("w:abstractNumId", &[("w:val", &1)]);
        xml.open("w:lvlOverride", &[("w:ilvl", &0)]);
        xml.empty("w:startOverride", &[("w:val", &1)]);
        xml.close();
        xml.close();
    }
    xml.finish()
}

struct Style {
    id: &'static str,
    name: &'static str,
    half_points: u32,
    bold: bool,
    before: u32,
    after: u32,
    centred: bool,
    outline: Option<u32>,
    left: u32,
}

const PLAIN: Style = Style {
    id: "",
    name: "",
    half_points: 20,
    bold: false,
    before: 0,
    after: 120,
    centred: false,
    outline: None,
    left: 0,
};

const STYLES: [Style; 17] = [
    Style { id: "Title", name: "Title", half_points: 48, bold: true, before: 600, centred: true, ..PLAIN },
    Style { id: "Subtitle", name: "Subtitle", half_points: 26, after: 480, centred: true, ..PLAIN },
    Style { id: "Heading1", name: "heading 1", half_points: 32, bold: true, before: 360, outline: Some(0), ..PLAIN },
    Style { id: "Heading2", name: "heading 2", half_points: 26, bold: true, before: 280, outline: Some(1), ..PLAIN },
    Style { id: "Heading3", name: "heading 3", half_points: 22, bold: true, before: 220, outline: Some(2), ..PLAIN },
    Style { id: "Heading4", name: "heading 4", half_points: 20, bold: true, before: 180, outline: Some(3), ..PLAIN },
    Style { id: "Heading5", name: "heading 5", half_points: 20, bold: true, before: 160, outline: Some(4), ..PLAIN },
    Style { id: "Heading6", name: "heading 6", half_points: 20, bold: true, before: 160, outline: Some(5), ..PLAIN },
    Style { id: "TOCHeading", name: "TOC Heading", half_points: 28, bold: true, before: 240, ..PLAIN },
    Style { id: "TOC1", name: "toc 1", after: 60, ..PLAIN },
    Style { id: "TOC2", name: "toc 2", after: 40, left: 400, ..PLAIN },
    Style { id: "TOC3", name: "toc 3", after: 40, left: 800, ..PLAIN },
    Style { id: "Caption", name: "caption", half_points: 18, bold: true, before: 120, after: 60, ..PLAIN },
    Style { id: "TableText", name: "Table Text", half_points: 17, after: 0, ..PLAIN },
    Style { id: "Note", name: "Note", half_points: 17, ..PLAIN },
    Style { id: "Footer", name: "footer", half_points: 16, after: 0, centred: true, ..PLAIN },
    Style { id: "ListParagraph", name: "List Paragraph", after: 60, ..PLAIN },
];

pub(super) fn styles(document: &Document) -> String {
    let mut xml = Xml::new();
    xml.open("w:styles", &[("xmlns:w", &W)]);
    xml.open("w:docDefaults", &[]);
    xml.open("w:rPrDefault", &[]);
    xml.open("w:rPr", &[]);
    xml.empty("w:rFonts", &[("w:ascii", &FONT), ("w:eastAsia", &FONT), ("w:hAnsi", &FONT), ("w:cs", &FONT)]);
    xml.empty("w:sz", &[("w:val", &20)]);
    xml.empty("w:szCs", &[("w:val", &20)]);
    xml.empty("w:lang", &[("w:val", &document.language.tag()), ("w:eastAsia", &"ko-KR"), ("w:bidi", &"ar-SA")]);
    xml.close();
    xml.close();
    xml.open("w:pPrDefault", &[]);
    xml.open("w:pPr", &[]);
    xml.empty("w:spacing", &[("w:after", &120), ("w:line", &300), ("w:lineRule", &"auto")]);
    xml.close();
    xml.close();
    xml.close();
    xml.open("w:style", &[("w:type", &"paragraph"), ("w:default", &1), ("w:styleId", &"Normal")]);
    xml.empty("w:name", &[("w:val", &"Normal")]);
    xml.empty("w:qFormat", &[]);
    xml.close();
    xml.open("w:style", &[("w:type", &"table"), ("w:default", &1), ("w:styleId", &"TableNormal")]);
    xml.empty("w:name", &[("w:val", &"Normal Table")]);
    xml.close();
    for style in &STYLES {
        write_style(&mut xml, style);
    }
    xml.finish()
}

fn write_style(xml: &mut Xml, style: &Style) {
    xml.open("w:style", &[("w:type", &"paragraph"), ("w:styleId", &style.id)]);
    xml.empty("w:name", &[("w:val", &style.name)]);
    xml.empty("w:basedOn", &[("w:val", &"Normal")]);
    xml.empty("w:qFormat", &[]);
    xml.open("w:pPr", &[]);
    if style.outline.is_some() || style.id == "Caption" {
        xml.empty("w:keepNext", &[]);
    }
    xml.empty("w:spacing", &[("w:before", &style.before), ("w:after", &style.after)]);
    if style.left > 0 {
        xml.empty("w:ind", &[("w:left", &style.left)]);
    }
    if style.centred {
        xml.empty("w:jc", &[("w:val", &"center")]);
    }
    if let Some(level) = style.outline {
        xml.empty("w:outlineLvl", &[("w:val", &level)]);
    }
    xml.close();
    xml.open("w:rPr", &[]);
    if style.bold {
        xml.empty("w:b", &[]);
    }
    xml.empty("w:sz", &[("w:val", &style.half_points)]);
    xml.empty("w:szCs", &[("w:val", &style.half_points)]);
    xml.close();
    xml.close();
}
