//! Pictures in an HWPX section, as enhanced metafiles beside it in the package.
//!
//! The same metafiles as in DOCX and XLSX: text stays text, and no fonts are needed here, as a picture of points would.
//! Source: KS X 6101 (OWPML), `PictureType`; the order of elements is that of Hancom's own files.

use std::fmt::Display;

use crate::content::Image;
use crate::xml::{Attributes, Xml};

/// Ids of objects: tables begin at 1000.
const FIRST_ID: usize = 500_000;
/// The unit is 1/7200 inch, and 254 mm are ten inches.
const UNITS_PER_254_MM: u64 = 72_000;

/// Returns the name of a picture, counted from 1, in the package.
pub(super) fn file(number: usize) -> String {
    format!("BinData/image{number}.emf")
}

/// Adds the pictures to the manifest of the package.
pub(super) fn manifest(xml: &mut Xml, count: usize) {
    for number in 1..=count {
        let attributes: [(&'static str, &dyn Display); 4] = [
            ("id", &format!("image{number}")),
            ("href", &file(number)),
            ("media-type", &"image/emf"),
            // Spelled like this by the standard; without it the picture is looked for outside the package.
            ("isEmbeded", &1),
        ];
        xml.empty("opf:item", &attributes);
    }
}

/// Returns width and height in units, made smaller to fit into the room.
fn size(image: &Image, room: (u32, u32)) -> (u32, u32) {
    let units = |mm: u16| (u64::from(mm) * UNITS_PER_254_MM / 254).max(1);
    let (width, height) = (units(image.width_mm), units(image.height_mm));
    let shown = width.min(room.0.into()).min(width * u64::from(room.1) / height).max(1);
    let whole = |units: u64| u32::try_from(units).unwrap_or(u32::MAX);
    (whole(shown), whole((height * shown / width).max(1)))
}

/// Writes a picture, counted from 1, into the paragraph that is open; the room for it has a width and a height.
pub(super) fn write(xml: &mut Xml, image: &Image, number: usize, room: (u32, u32)) {
    let (width, height) = size(image, room);
    let id = FIRST_ID + number;
    xml.open("hp:run", &[("charPrIDRef", &0)]);
    let attributes: [(&'static str, &dyn Display); 11] = [
        ("id", &id),
        ("zOrder", &number),
        ("numberingType", &"PICTURE"),
        ("textWrap", &"TOP_AND_BOTTOM"),
        ("textFlow", &"BOTH_SIDES"),
        ("lock", &0),
        ("dropcapstyle", &"None"),
        ("href", &""),
        ("groupLevel", &0),
        ("instid", &id),
        ("reverse", &0),
    ];
    xml.open("hp:pic", &attributes);
    let sides: Attributes<'_> = &[("width", &width), ("height", &height)];
    xml.markup("<hp:offset x=\"0\" y=\"0\"/>");
    xml.empty("hp:orgSz", sides);
    xml.empty("hp:curSz", sides);
    xml.markup("<hp:flip horizontal=\"0\" vertical=\"0\"/>");
    let centre: [(&'static str, &dyn Display); 4] =
        [("angle", &0), ("centerX", &(width / 2)), ("centerY", &(height / 2)), ("rotateimage", &1)];
    xml.empty("hp:rotationInfo", &centre);
    xml.open("hp:renderingInfo", &[]);
    for matrix in ["hc:transMatrix", "hc:scaMatrix", "hc:rotMatrix"] {
        xml.empty(matrix, &[("e1", &1), ("e2", &0), ("e3", &0), ("e4", &0), ("e5", &1), ("e6", &0)]);
    }
    xml.close();
    let source: [(&'static str, &dyn Display); 5] = [
        ("binaryItemIDRef", &format!("image{number}")),
        ("bright", &0),
        ("contrast", &0),
        ("effect", &"REAL_PIC"),
        ("alpha", &0),
    ];
    xml.empty("hc:img", &source);
    xml.open("hp:imgRect", &[]);
    for (name, x, y) in [("hc:pt0", 0, 0), ("hc:pt1", width, 0), ("hc:pt2", width, height), ("hc:pt3", 0, height)] {
        xml.empty(name, &[("x", &x), ("y", &y)]);
    }
    xml.close();
    xml.empty("hp:imgClip", &[("left", &0), ("right", &width), ("top", &0), ("bottom", &height)]);
    xml.markup("<hp:inMargin left=\"0\" right=\"0\" top=\"0\" bottom=\"0\"/>");
    xml.empty("hp:imgDim", &[("dimwidth", &width), ("dimheight", &height)]);
    xml.markup("<hp:effects/>");
    let shown: [(&'static str, &dyn Display); 5] = [
        ("width", &width),
        ("widthRelTo", &"ABSOLUTE"),
        ("height", &height),
        ("heightRelTo", &"ABSOLUTE"),
        ("protect", &0),
    ];
    xml.empty("hp:sz", &shown);
    // As a character: the paragraph centres it and keeps it with its caption.
    xml.markup(
        "<hp:pos treatAsChar=\"1\" affectLSpacing=\"0\" flowWithText=\"1\" allowOverlap=\"0\" holdAnchorAndSO=\"0\" \
         vertRelTo=\"PARA\" horzRelTo=\"COLUMN\" vertAlign=\"TOP\" horzAlign=\"LEFT\" vertOffset=\"0\" horzOffset=\"0\"/>\
         <hp:outMargin left=\"0\" right=\"0\" top=\"0\" bottom=\"0\"/>",
    );
    xml.leaf("hp:shapeComment", &[], &image.description);
    xml.close();
    xml.empty("hp:t", &[]);
    xml.close();
}
