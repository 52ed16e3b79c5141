//! Pictures over the first worksheet, as enhanced metafiles: spreadsheets show these, and not all of them know SVG.
//!
//! Source: ECMA-376 part 1, §20.5 (SpreadsheetML drawings).

use super::docx_parts::relationships;
use crate::DocumentError;
use crate::content::Image;
use crate::xml::Xml;
use crate::zip::Zip;

const DRAWING: &str = "http://schemas.openxmlformats.org/drawingml/2006/main";
const SHEET_DRAWING: &str = "http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const EMU_PER_MM: u64 = 36_000;
const POINTS_PER_INCH: f64 = 72.0;
const MM_PER_INCH: f64 = 25.4;

/// A picture and the row, from 0, at whose top it begins.
pub(super) struct Picture<'a> {
    pub(super) row: usize,
    pub(super) image: &'a Image,
}

/// Returns over how many rows of a height a picture lies.
pub(super) fn rows_of(image: &Image, points: usize) -> usize {
    let height = f64::from(image.height_mm) / MM_PER_INCH * POINTS_PER_INCH;
    let mut rows = 1;
    let mut covered = points;
    while f64::from(u32::try_from(covered).unwrap_or(u32::MAX)) < height {
        rows += 1;
        covered += points;
    }
    rows
}

/// Adds the parts of the pictures of sheet 1.
pub(super) fn add(zip: &mut Zip, pictures: &[Picture<'_>]) -> Result<(), DocumentError> {
    if pictures.is_empty() {
        return Ok(());
    }
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/drawing";
    let of_sheet = relationships([("rId1".to_owned(), kind, "../drawings/drawing1.xml")].into_iter());
    zip.add("xl/worksheets/_rels/sheet1.xml.rels", of_sheet.as_bytes())?;
    zip.add("xl/drawings/drawing1.xml", drawing(pictures).as_bytes())?;
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/image";
    let targets: Vec<String> = (1..=pictures.len()).map(|id| format!("../media/image{id}.emf")).collect();
    let images = targets.iter().enumerate().map(|(index, target)| (format!("rId{}", index + 1), kind, target.as_str()));
    zip.add("xl/drawings/_rels/drawing1.xml.rels", relationships(images).as_bytes())?;
    for (index, picture) in pictures.iter().enumerate() {
        let content = picture.image.metafile.as_deref().unwrap_or_default();
        zip.add(&format!("xl/media/image{}.emf", index + 1), content)?;
    }
    Ok(())
}

fn drawing(pictures: &[Picture<'_>]) -> String {
    let mut xml = Xml::new();
    xml.open("xdr:wsDr", &[("xmlns:xdr", &SHEET_DRAWING), ("xmlns:a", &DRAWING)]);
    for (index, Picture { row, image }) in pictures.iter().enumerate() {
        let id = index + 1;
        let width = u64::from(image.width_mm) * EMU_PER_MM;
        let height = u64::from(image.height_mm) * EMU_PER_MM;
        xml.open("xdr:oneCellAnchor", &[]);
        xml.open("xdr:from", &[]);
        for (name, value) in [("xdr:col", 0), ("xdr:colOff", 0), ("xdr:row", *row), ("xdr:rowOff", 0)] {
            xml.leaf(name, &[], &value.to_string());
        }
        xml.close();
        xml.empty("xdr:ext", &[("cx", &width), ("cy", &height)]);
        xml.open("xdr:pic", &[]);
        xml.open("xdr:nvPicPr", &[]);
        let name = format!("image{id}");
        xml.empty("xdr:cNvPr", &[("id", &id), ("name", &name), ("descr", &image.description)]);
        xml.markup("<xdr:cNvPicPr><a:picLocks noChangeAspect=\"1\"/></xdr:cNvPicPr>");
        xml.close();
        xml.open("xdr:blipFill", &[]);
        xml.empty("a:blip", &[("xmlns:r", &OFFICE), ("r:embed", &format!("rId{id}"))]);
        xml.markup("<a:stretch><a:fillRect/></a:stretch>");
        xml.close();
        xml.open("xdr:spPr", &[]);
        xml.open("a:xfrm", &[]);
        xml.empty("a:off", &[("x", &0), ("y", &0)]);
        xml.empty("a:ext", &[("cx", &width), ("cy", &height)]);
        xml.close();
        xml.markup("<a:prstGeom prst=\"rect\"><a:avLst/></a:prstGeom>");
        xml.close();
        xml.close();
        xml.markup("<xdr:clientData/>");
        xml.close();
    }
    xml.finish()
}
