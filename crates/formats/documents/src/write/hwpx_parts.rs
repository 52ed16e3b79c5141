//! The parts of an HWPX package that hold no blocks: the header with its shapes, the package's description.
//!
//! Source: KS X 6101 (OWPML); shapes are numbered, and the section refers to the numbers.

use std::fmt::Display;

use super::hwpx_pictures;
use crate::content::Document;
use crate::xml::Xml;

/// The namespaces, as attributes of each root; readers of the format expect all of them, used or not.
pub(super) const NAMESPACES: [(&str, &str); 15] = [
    ("xmlns:ha", "http://www.hancom.co.kr/hwpml/2011/app"),
    ("xmlns:hp", "http://www.hancom.co.kr/hwpml/2011/paragraph"),
    ("xmlns:hp10", "http://www.hancom.co.kr/hwpml/2016/paragraph"),
    ("xmlns:hs", "http://www.hancom.co.kr/hwpml/2011/section"),
    ("xmlns:hc", "http://www.hancom.co.kr/hwpml/2011/core"),
    ("xmlns:hh", "http://www.hancom.co.kr/hwpml/2011/head"),
    ("xmlns:hhs", "http://www.hancom.co.kr/hwpml/2011/history"),
    ("xmlns:hm", "http://www.hancom.co.kr/hwpml/2011/master-page"),
    ("xmlns:hpf", "http://www.hancom.co.kr/schema/2011/hpf"),
    ("xmlns:dc", "http://purl.org/dc/elements/1.1/"),
    ("xmlns:opf", "http://www.idpf.org/2007/opf/"),
    ("xmlns:ooxmlchart", "http://www.hancom.co.kr/hwpml/2016/ooxmlchart"),
    ("xmlns:hwpunitchar", "http://www.hancom.co.kr/hwpml/2016/HwpUnitChar"),
    ("xmlns:epub", "http://www.idpf.org/2007/ops"),
    ("xmlns:config", "urn:oasis:names:tc:opendocument:xmlns:config:1.0"),
];

/// The kinds of script that a font is named for.
const SCRIPTS: [(&str, &str); 7] = [
    ("HANGUL", "hangul"),
    ("LATIN", "latin"),
    ("HANJA", "hanja"),
    ("JAPANESE", "japanese"),
    ("OTHER", "other"),
    ("SYMBOL", "symbol"),
    ("USER", "user"),
];

/// Shapes of characters: the order is that of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CharShape {
    Body,
    Bold,
    Italic,
    Code,
    Small,
    SmallBold,
    SmallItalic,
    SmallCode,
    Title,
    Subtitle,
    Heading1,
    Heading2,
    Heading3,
}

/// (height in hundredths of a point, bold, italic, font)
const CHAR_SHAPES: [(u32, bool, bool, u8); 13] = [
    (1000, false, false, 0),
    (1000, true, false, 0),
    (1000, false, true, 0),
    (950, false, false, 1),
    (850, false, false, 0),
    (850, true, false, 0),
    (850, false, true, 0),
    (800, false, false, 1),
    (2400, true, false, 0),
    (1300, false, false, 0),
    (1600, true, false, 0),
    (1300, true, false, 0),
    (1100, true, false, 0),
];

/// Shapes of paragraphs: the order is that of the header. `Heading(1)` to `Heading(6)`, `Indent(0)` to `Indent(3)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ParaShape {
    Body,
    Centred,
    Table,
    Caption,
    Picture,
    Heading(u8),
    Indent(u8),
}

const HEADINGS: u8 = 6;
const INDENTS: u8 = 4;

impl ParaShape {
    pub(super) fn id(self) -> u8 {
        match self {
            Self::Body => 0,
            Self::Centred => 1,
            Self::Table => 2,
            Self::Caption => 3,
            Self::Picture => 4,
            Self::Heading(level) => 4 + level.clamp(1, HEADINGS),
            Self::Indent(depth) => 5 + HEADINGS + depth.min(INDENTS - 1),
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        [Self::Body, Self::Centred, Self::Table, Self::Caption, Self::Picture]
            .into_iter()
            .chain((1..=HEADINGS).map(Self::Heading))
            .chain((0..INDENTS).map(Self::Indent))
    }

    /// Returns (left margin, space before, space after) in units of 1/7200 inch.
    fn space(self) -> (u32, u32, u32) {
        match self {
            Self::Body => (0, 0, 400),
            Self::Centred => (0, 600, 800),
            Self::Table => (0, 0, 0),
            Self::Caption => (0, 500, 200),
            Self::Picture => (0, 600, 0),
            Self::Heading(level) => (0, 1600 - 150 * u32::from(level), 500),
            Self::Indent(depth) => (800 * (u32::from(depth) + 1), 0, 200),
        }
    }
}

/// Borders and fills: 1 and 2 are none, then cells by background.
pub(super) const FILL_NONE: u8 = 1;
pub(super) const FILL_CELL: u8 = 3;
pub(super) const FILL_HEADER: u8 = 4;
pub(super) const FILL_GOOD: u8 = 5;
pub(super) const FILL_BAD: u8 = 6;
pub(super) const FILL_OPEN: u8 = 7;
const FILLS: [(&str, Option<&str>); 7] = [
    ("NONE", None),
    ("NONE", Some("none")),
    ("SOLID", None),
    ("SOLID", Some("#E8EDF3")),
    ("SOLID", Some("#D9F0DD")),
    ("SOLID", Some("#FADCDC")),
    ("SOLID", Some("#FDF1CF")),
];

/// Opens a root with the namespaces.
pub(super) fn open_root(xml: &mut Xml, name: &'static str, own: &[(&'static str, &dyn Display)]) {
    let mut attributes: Vec<(&'static str, &dyn Display)> = Vec::new();
    for (prefix, namespace) in &NAMESPACES {
        attributes.push((prefix, namespace));
    }
    attributes.extend_from_slice(own);
    xml.open(name, &attributes);
}

pub(super) fn header() -> String {
    let mut xml = Xml::new();
    open_root(&mut xml, "hh:head", &[("version", &"1.5"), ("secCnt", &1)]);
    xml.markup("<hh:beginNum page=\"1\" footnote=\"1\" endnote=\"1\" pic=\"1\" tbl=\"1\" equation=\"1\"/>");
    xml.open("hh:refList", &[]);
    fonts(&mut xml);
    fills(&mut xml);
    char_shapes(&mut xml);
    xml.markup(
        "<hh:tabProperties itemCnt=\"1\"><hh:tabPr id=\"0\" autoTabLeft=\"0\" autoTabRight=\"0\"/></hh:tabProperties>",
    );
    numbering(&mut xml);
    para_shapes(&mut xml);
    styles(&mut xml);
    xml.close();
    xml.markup(
        "<hh:compatibleDocument targetProgram=\"HWP201X\"><hh:layoutCompatibility/></hh:compatibleDocument>\
         <hh:docOption><hh:linkinfo path=\"\" pageInherit=\"0\" footnoteInherit=\"0\"/></hh:docOption>",
    );
    xml.finish()
}

fn fonts(xml: &mut Xml) {
    xml.open("hh:fontfaces", &[("itemCnt", &SCRIPTS.len())]);
    for (script, _) in SCRIPTS {
        xml.open("hh:fontface", &[("lang", &script), ("fontCnt", &2)]);
        for (id, face) in ["함초롬돋움", "D2Coding"].iter().enumerate() {
            xml.empty("hh:font", &[("id", &id), ("face", face), ("type", &"TTF"), ("isEmbedded", &0)]);
        }
        xml.close();
    }
    xml.close();
}

fn fills(xml: &mut Xml) {
    xml.open("hh:borderFills", &[("itemCnt", &FILLS.len())]);
    for (index, (line, face)) in FILLS.iter().enumerate() {
        let attributes: [(&'static str, &dyn Display); 5] = [
            ("id", &(index + 1)),
            ("threeD", &0),
            ("shadow", &0),
            ("centerLine", &"NONE"),
            ("breakCellSeparateLine", &0),
        ];
        xml.open("hh:borderFill", &attributes);
        xml.markup("<hh:slash type=\"NONE\" Crooked=\"0\" isCounter=\"0\"/><hh:backSlash type=\"NONE\" Crooked=\"0\" isCounter=\"0\"/>");
        for side in ["hh:leftBorder", "hh:rightBorder", "hh:topBorder", "hh:bottomBorder"] {
            xml.empty(side, &[("type", line), ("width", &"0.12 mm"), ("color", &"#6A6A6A")]);
        }
        xml.markup("<hh:diagonal type=\"SOLID\" width=\"0.1 mm\" color=\"#000000\"/>");
        if let Some(face) = face {
            xml.open("hc:fillBrush", &[]);
            xml.empty("hc:winBrush", &[("faceColor", face), ("hatchColor", &"#999999"), ("alpha", &0)]);
            xml.close();
        }
        xml.close();
    }
    xml.close();
}

fn char_shapes(xml: &mut Xml) {
    xml.open("hh:charProperties", &[("itemCnt", &CHAR_SHAPES.len())]);
    for (id, (height, bold, italic, font)) in CHAR_SHAPES.iter().enumerate() {
        let attributes: [(&'static str, &dyn Display); 8] = [
            ("id", &id),
            ("height", height),
            ("textColor", &"#000000"),
            ("shadeColor", &"none"),
            ("useFontSpace", &0),
            ("useKerning", &0),
            ("symMark", &"NONE"),
            ("borderFillIDRef", &2),
        ];
        xml.open("hh:charPr", &attributes);
        let zero = 0_u8;
        let whole = 100_u8;
        for (name, value) in [
            ("hh:fontRef", font),
            ("hh:ratio", &whole),
            ("hh:spacing", &zero),
            ("hh:relSz", &whole),
            ("hh:offset", &zero),
        ] {
            let per_script: Vec<(&'static str, &dyn Display)> =
                SCRIPTS.iter().map(|(_, script)| (*script, value as &dyn Display)).collect();
            xml.empty(name, &per_script);
        }
        if *italic {
            xml.empty("hh:italic", &[]);
        }
        if *bold {
            xml.empty("hh:bold", &[]);
        }
        xml.markup(
            "<hh:underline type=\"NONE\" shape=\"SOLID\" color=\"#000000\"/><hh:strikeout shape=\"NONE\" color=\"#000000\"/>\
             <hh:outline type=\"NONE\"/><hh:shadow type=\"NONE\" color=\"#C0C0C0\" offsetX=\"10\" offsetY=\"10\"/>",
        );
        xml.close();
    }
    xml.close();
}

/// Levels without signs: headings bring their numbers as text, the same in every format.
fn numbering(xml: &mut Xml) {
    xml.markup("<hh:numberings itemCnt=\"1\"><hh:numbering id=\"1\" start=\"0\">");
    for level in 1..=10 {
        let attributes: [(&'static str, &dyn Display); 11] = [
            ("start", &1),
            ("level", &level),
            ("align", &"LEFT"),
            ("useInstWidth", &1),
            ("autoIndent", &1),
            ("widthAdjust", &0),
            ("textOffsetType", &"PERCENT"),
            ("textOffset", &50),
            ("numFormat", &"DIGIT"),
            ("charPrIDRef", &u32::MAX),
            ("checkable", &0),
        ];
        xml.empty("hh:paraHead", &attributes);
    }
    xml.markup("</hh:numbering></hh:numberings>");
}

fn para_shapes(xml: &mut Xml) {
    xml.open("hh:paraProperties", &[("itemCnt", &ParaShape::all().count())]);
    for shape in ParaShape::all() {
        let attributes: [(&'static str, &dyn Display); 8] = [
            ("id", &shape.id()),
            ("tabPrIDRef", &0),
            ("condense", &0),
            ("fontLineHeight", &0),
            ("snapToGrid", &1),
            ("suppressLineNumbers", &0),
            ("checked", &0),
            ("textDir", &"LTR"),
        ];
        xml.open("hh:paraPr", &attributes);
        let is_centred = matches!(shape, ParaShape::Centred | ParaShape::Picture);
        let align: &str = if is_centred { "CENTER" } else { "LEFT" };
        xml.empty("hh:align", &[("horizontal", &align), ("vertical", &"BASELINE")]);
        let (kind, level): (&str, u8) = match shape {
            ParaShape::Heading(level) => ("OUTLINE", level - 1),
            ParaShape::Body
            | ParaShape::Centred
            | ParaShape::Table
            | ParaShape::Caption
            | ParaShape::Picture
            | ParaShape::Indent(_) => ("NONE", 0),
        };
        xml.empty("hh:heading", &[("type", &kind), ("idRef", &0), ("level", &level)]);
        let keep = u8::from(kind == "OUTLINE" || matches!(shape, ParaShape::Caption | ParaShape::Picture));
        let breaks: [(&'static str, &dyn Display); 7] = [
            ("breakLatinWord", &"KEEP_WORD"),
            ("breakNonLatinWord", &"KEEP_WORD"),
            ("widowOrphan", &0),
            ("keepWithNext", &keep),
            ("keepLines", &0),
            ("pageBreakBefore", &0),
            ("lineWrap", &"BREAK"),
        ];
        xml.empty("hh:breakSetting", &breaks);
        xml.markup("<hh:autoSpacing eAsianEng=\"0\" eAsianNum=\"0\"/>");
        let (left, before, after) = shape.space();
        xml.open("hh:margin", &[]);
        for (name, value) in
            [("hc:intent", 0), ("hc:left", left), ("hc:right", 0), ("hc:prev", before), ("hc:next", after)]
        {
            xml.empty(name, &[("value", &value), ("unit", &"HWPUNIT")]);
        }
        xml.close();
        let spacing = if shape == ParaShape::Table { 130 } else { 160 };
        xml.empty("hh:lineSpacing", &[("type", &"PERCENT"), ("value", &spacing), ("unit", &"HWPUNIT")]);
        xml.markup("<hh:border borderFillIDRef=\"2\" offsetLeft=\"0\" offsetRight=\"0\" offsetTop=\"0\" offsetBottom=\"0\" connect=\"0\" ignoreMargin=\"0\"/>");
        xml.close();
    }
    xml.close();
}

/// Style 0 is the body's, 1 to 6 are the headings'.
fn styles(xml: &mut Xml) {
    xml.open("hh:styles", &[("itemCnt", &(HEADINGS + 1))]);
    let style = |xml: &mut Xml, id: u8, name: &str, english: &str, para: u8, character: u8| {
        let attributes: [(&'static str, &dyn Display); 9] = [
            ("id", &id),
            ("type", &"PARA"),
            ("name", &name),
            ("engName", &english),
            ("paraPrIDRef", &para),
            ("charPrIDRef", &character),
            ("nextStyleIDRef", &0),
            ("langID", &1042),
            ("lockForm", &0),
        ];
        xml.empty("hh:style", &attributes);
    };
    style(xml, 0, "바탕글", "Normal", 0, 0);
    for level in 1..=HEADINGS {
        let character = heading_shape(level) as u8;
        style(
            xml,
            level,
            &format!("개요 {level}"),
            &format!("Outline {level}"),
            ParaShape::Heading(level).id(),
            character,
        );
    }
    xml.close();
}

pub(super) fn heading_shape(level: u8) -> CharShape {
    match level {
        1 => CharShape::Heading1,
        2 => CharShape::Heading2,
        _ => CharShape::Heading3,
    }
}

/// Returns the package's description; so many pictures are in it.
pub(super) fn package(document: &Document, picture_count: usize) -> String {
    let meta = &document.meta;
    let mut xml = Xml::new();
    open_root(&mut xml, "opf:package", &[("version", &""), ("unique-identifier", &""), ("id", &"")]);
    xml.open("opf:metadata", &[]);
    xml.leaf("opf:title", &[], &document.title);
    let language = document.language.tag().split('-').next().unwrap_or_default();
    xml.leaf("opf:language", &[], language);
    let date = format!("{}T00:00:00Z", meta.date);
    for (name, value) in [
        ("creator", meta.author.as_str()),
        ("subject", document.subtitle.as_deref().unwrap_or_default()),
        ("description", meta.number.as_str()),
        ("lastsaveby", meta.author.as_str()),
        ("CreatedDate", date.as_str()),
        ("ModifiedDate", date.as_str()),
        ("keyword", meta.baseline.as_deref().unwrap_or_default()),
    ] {
        xml.leaf("opf:meta", &[("name", &name), ("content", &"text")], value);
    }
    xml.close();
    xml.open("opf:manifest", &[]);
    xml.markup(
        "<opf:item id=\"header\" href=\"Contents/header.xml\" media-type=\"application/xml\"/>\
         <opf:item id=\"section0\" href=\"Contents/section0.xml\" media-type=\"application/xml\"/>\
         <opf:item id=\"settings\" href=\"settings.xml\" media-type=\"application/xml\"/>\
         <opf:item id=\"version\" href=\"version.xml\" media-type=\"application/xml\"/>",
    );
    hwpx_pictures::manifest(&mut xml, picture_count);
    xml.close();
    xml.markup(
        "<opf:spine><opf:itemref idref=\"header\" linear=\"yes\"/><opf:itemref idref=\"section0\" linear=\"yes\"/></opf:spine>",
    );
    xml.finish()
}

/// The parts that are always the same.
pub(super) const VERSION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
<hv:HCFVersion xmlns:hv=\"http://www.hancom.co.kr/hwpml/2011/version\" tagetApplication=\"WORDPROCESSOR\" major=\"5\" minor=\"1\" \
micro=\"1\" buildNumber=\"0\" os=\"1\" xmlVersion=\"1.5\" application=\"Maru\" appVersion=\"0.1\"/>";
pub(super) const SETTINGS: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
<ha:HWPApplicationSetting xmlns:ha=\"http://www.hancom.co.kr/hwpml/2011/app\">\
<ha:CaretPosition listIDRef=\"0\" paraIDRef=\"0\" pos=\"0\"/></ha:HWPApplicationSetting>";
pub(super) const CONTAINER: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
<ocf:container xmlns:ocf=\"urn:oasis:names:tc:opendocument:xmlns:container\"><ocf:rootfiles>\
<ocf:rootfile full-path=\"Contents/content.hpf\" media-type=\"application/hwpml-package+xml\"/>\
<ocf:rootfile full-path=\"Preview/PrvText.txt\" media-type=\"text/plain\"/>\
<ocf:rootfile full-path=\"META-INF/container.rdf\" media-type=\"application/rdf+xml\"/></ocf:rootfiles></ocf:container>";
pub(super) const MANIFEST: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
<odf:manifest xmlns:odf=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0\"/>";
pub(super) const RDF: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\" xmlns:pkg=\"http://www.hancom.co.kr/hwpml/2016/meta/pkg#\">\
<rdf:Description rdf:about=\"\"><rdf:type rdf:resource=\"http://www.hancom.co.kr/hwpml/2016/meta/pkg#Document\"/>\
<pkg:hasPart rdf:resource=\"Contents/header.xml\"/><pkg:hasPart rdf:resource=\"Contents/section0.xml\"/></rdf:Description>\
<rdf:Description rdf:about=\"Contents/header.xml\"><rdf:type rdf:resource=\"http://www.hancom.co.kr/hwpml/2016/meta/pkg#HeaderFile\"/></rdf:Description>\
<rdf:Description rdf:about=\"Contents/section0.xml\"><rdf:type rdf:resource=\"http://www.hancom.co.kr/hwpml/2016/meta/pkg#SectionFile\"/></rdf:Description>\
</rdf:RDF>";
