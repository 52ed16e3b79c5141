//! A scene as an enhanced metafile: what word processors show that know no SVG.
//!
//! As plain as the format allows, for the sake of small players: a unit is a dot of a fine device, so that nothing is mapped;
//! texts begin at their point; what is drawn has a pen and a brush of its own.
//! Source: [MS-EMF] 2.3; little-endian throughout.

use crate::layered::Point;
use crate::scene::{Anchor, Role, Scene, Shape, Stroke};
use crate::width::width;

/// Points are 16-bit numbers: the larger side of a drawing has at most so many units.
const UNITS_MAX: f64 = 30_000.0;
/// Units per pixel, unless the drawing is too large.
const UNITS_PER_PIXEL: f64 = 10.0;
/// Dashes and what is between them, in pixels, as in SVG; and how many there are in a line.
const DASH: f64 = 5.0;
const GAP: f64 = 4.0;
const DASHES_MAX: usize = 10_000;
const HEADER_BYTES: usize = 88;
/// The face that Korean word processors have.
const FACE: &str = "Malgun Gothic";
/// The only object that is ever made at a time has this number; others are stock objects.
const HANDLE: u32 = 1;
const STOCK: u32 = 0x8000_0000;
const NULL_BRUSH: u32 = STOCK | 5;
const BLACK_PEN: u32 = STOCK | 7;
const SYSTEM_FONT: u32 = STOCK | 13;

mod record {
    pub(super) const EOF: u32 = 14;
    pub(super) const SET_BACKGROUND_MODE: u32 = 18;
    pub(super) const SET_TEXT_ALIGN: u32 = 22;
    pub(super) const SET_TEXT_COLOUR: u32 = 24;
    pub(super) const SELECT: u32 = 37;
    pub(super) const CREATE_PEN: u32 = 38;
    pub(super) const CREATE_BRUSH: u32 = 39;
    pub(super) const DELETE: u32 = 40;
    pub(super) const ELLIPSE: u32 = 42;
    pub(super) const ROUND_RECTANGLE: u32 = 44;
    pub(super) const CREATE_FONT: u32 = 82;
    pub(super) const TEXT: u32 = 84;
    pub(super) const POLYGON: u32 = 86;
    pub(super) const POLYLINE: u32 = 87;
}

struct Writer {
    out: Vec<u8>,
    records: u32,
    origin: Point,
    scale: f64,
}

/// Writes a scene within a frame: its upper left corner and its size, in pixels.
pub(crate) fn write(scene: &Scene, origin: Point, (wide, high): Point) -> Vec<u8> {
    let scale = UNITS_PER_PIXEL.min(UNITS_MAX / wide.max(high).max(1.0));
    let mut writer = Writer { out: vec![0; HEADER_BYTES], records: 1, origin, scale };
    writer.record(record::SET_BACKGROUND_MODE, &[1]);
    // On the base line.
    writer.record(record::SET_TEXT_ALIGN, &[24]);
    for shape in &scene.shapes {
        writer.shape(shape);
    }
    writer.record(record::EOF, &[0, 16, 20]);
    writer.finish(wide, high)
}

/// Returns the straight pieces of a line between two points: its dashes, as pens of a width have none, or the whole.
fn pieces(pair: &[Point], stroke: Stroke) -> Vec<[Point; 2]> {
    let &[from, to] = pair else { return Vec::new() };
    let length = (to.0 - from.0).hypot(to.1 - from.1);
    if stroke != Stroke::Dashed || length <= DASH {
        return vec![[from, to]];
    }
    let at = |distance: f64| {
        let part = (distance / length).min(1.0);
        (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part)
    };
    let begins = std::iter::successors(Some(0.0), |begin: &f64| Some(begin + DASH + GAP));
    begins.take_while(|begin| *begin < length).take(DASHES_MAX).map(|begin| [at(begin), at(begin + DASH)]).collect()
}

fn whole(value: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "bounded by UNITS_MAX, and `as` saturates")]
    let whole = value.round() as i32;
    whole
}

/// A colour as the format has it: blue, green, red.
fn colour(role: Role) -> i32 {
    let value = role.light().trim_start_matches('#');
    let value = i32::from_str_radix(value, 16).unwrap_or_default();
    (value & 0xff) << 16 | (value & 0xff00) | value >> 16
}

impl Writer {
    fn record(&mut self, kind: u32, values: &[i32]) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.bytes(kind, &bytes);
    }

    fn bytes(&mut self, kind: u32, content: &[u8]) {
        let padding = (4 - content.len() % 4) % 4;
        let length = u32::try_from(8 + content.len() + padding).unwrap_or(u32::MAX);
        self.out.extend(kind.to_le_bytes());
        self.out.extend(length.to_le_bytes());
        self.out.extend(content);
        self.out.extend(std::iter::repeat_n(0, padding));
        self.records += 1;
    }

    fn object(&mut self, kind: u32, handle: u32) {
        self.bytes(kind, &handle.to_le_bytes());
    }

    fn at(&self, point: Point) -> (i32, i32) {
        (whole((point.0 - self.origin.0) * self.scale), whole((point.1 - self.origin.1) * self.scale))
    }

    /// Selects a pen and a brush, draws, and puts them away.
    fn painted(&mut self, fill: Option<Role>, line: Option<(Role, Stroke)>, draw: impl FnOnce(&mut Self)) {
        // Without a line, the thinnest one in the colour of the fill.
        let (role, wide) = match line {
            Some((role, Stroke::Plain | Stroke::Dashed)) => (role, 1.0),
            Some((role, Stroke::Thick)) => (role, 2.5),
            None => (fill.unwrap_or(Role::Page), 0.0),
        };
        let handle = i32::try_from(HANDLE).unwrap_or(1);
        self.record(record::CREATE_PEN, &[handle, 0, whole(wide * self.scale), 0, colour(role)]);
        self.object(record::SELECT, HANDLE);
        match fill {
            Some(role) => {
                self.record(record::CREATE_BRUSH, &[2, 0, colour(role), 0]);
                self.object(record::SELECT, 2);
            }
            None => self.object(record::SELECT, NULL_BRUSH),
        }
        draw(self);
        self.object(record::SELECT, BLACK_PEN);
        self.object(record::SELECT, NULL_BRUSH);
        self.object(record::DELETE, HANDLE);
        if fill.is_some() {
            self.object(record::DELETE, 2);
        }
    }

    fn points(&mut self, kind: u32, points: &[Point]) {
        let all: Vec<(i32, i32)> = points.iter().map(|point| self.at(*point)).collect();
        let x = || all.iter().map(|point| point.0);
        let y = || all.iter().map(|point| point.1);
        let bounds = [x().min(), y().min(), x().max(), y().max()].map(Option::unwrap_or_default);
        let mut content: Vec<u8> = bounds.into_iter().flat_map(i32::to_le_bytes).collect();
        content.extend(u32::try_from(all.len()).unwrap_or_default().to_le_bytes());
        for (x, y) in all {
            for value in [x, y] {
                content.extend(i16::try_from(value).unwrap_or(i16::MAX).to_le_bytes());
            }
        }
        self.bytes(kind, &content);
    }

    fn shape(&mut self, shape: &Shape) {
        match shape {
            Shape::Rectangle { left, top, width, height, round, fill, line } => {
                let (from, to) = (self.at((*left, *top)), self.at((left + width, top + height)));
                let corner = whole(round.min(height / 2.0) * 2.0 * self.scale);
                let line = line.map(|role| (role, Stroke::Plain));
                self.painted(Some(*fill), line, |writer| {
                    writer.record(record::ROUND_RECTANGLE, &[from.0, from.1, to.0, to.1, corner, corner]);
                });
            }
            Shape::Ellipse { centre, across, down, fill, line } => {
                let from = self.at((centre.0 - across, centre.1 - down));
                let to = self.at((centre.0 + across, centre.1 + down));
                let line = line.map(|role| (role, Stroke::Plain));
                self.painted(Some(*fill), line, |writer| writer.record(record::ELLIPSE, &[from.0, from.1, to.0, to.1]));
            }
            Shape::Area { points, fill, line } => {
                // Closed in so many words: there are players that leave the last side away.
                let closed: Vec<Point> = points.iter().chain(points.first()).copied().collect();
                self.painted(Some(*fill), Some((*line, Stroke::Plain)), |writer| {
                    writer.points(record::POLYGON, &closed);
                });
            }
            Shape::Way { points, stroke, line, .. } => {
                // Piece by piece: there are players that fill a line with corners.
                let pieces = points.windows(2).flat_map(|pair| pieces(pair, *stroke));
                self.painted(None, Some((*line, *stroke)), |writer| {
                    pieces.for_each(|piece| writer.points(record::POLYLINE, &piece));
                });
            }
            Shape::Text { at, text, size, anchor, bold, italic, role } => {
                self.font(*size, *bold, *italic);
                let before = if *anchor == Anchor::Middle { width(text, *size) / 2.0 } else { 0.0 };
                self.record(record::SET_TEXT_COLOUR, &[colour(*role)]);
                self.text((at.0 - before, at.1), text, *size);
                self.object(record::SELECT, SYSTEM_FONT);
                self.object(record::DELETE, HANDLE);
            }
        }
    }

    fn font(&mut self, size: f64, bold: bool, italic: bool) {
        let mut content: Vec<u8> = HANDLE.to_le_bytes().to_vec();
        let weight = if bold { 700 } else { 400 };
        for value in [-whole(size * self.scale), 0, 0, 0, weight] {
            content.extend(value.to_le_bytes());
        }
        content.extend([u8::from(italic), 0, 0, 1, 0, 0, 0, 0]);
        content.extend(FACE.encode_utf16().flat_map(u16::to_le_bytes));
        // The rest of the face's name, and the long form of the description, which says nothing more.
        content.resize(4 + 320, 0);
        self.bytes(record::CREATE_FONT, &content);
        self.object(record::SELECT, HANDLE);
    }

    fn text(&mut self, at: Point, text: &str, size: f64) {
        let shown = |character: char| if character.is_control() { ' ' } else { character };
        let text: String = text.chars().map(shown).filter(|one| !matches!(one, '\u{202a}'..='\u{202e}')).collect();
        let (x, y) = self.at(at);
        let mut units: Vec<u8> = Vec::new();
        let mut advances: Vec<u8> = Vec::new();
        let mut count = 0_u32;
        for character in text.chars() {
            let mut buffer = [0; 2];
            let wide = whole(width(&character.to_string(), size) * self.scale);
            for (index, unit) in character.encode_utf16(&mut buffer).iter().enumerate() {
                units.extend(unit.to_le_bytes());
                advances.extend(if index == 0 { wide } else { 0 }.to_le_bytes());
                count += 1;
            }
        }
        units.resize(units.len().next_multiple_of(4), 0);
        // Bounds, mode, scales; reference, count, where the text is, options, a rectangle, where the advances are.
        const HEAD: u32 = 8 + 16 + 4 + 8 + 8 + 4 + 4 + 4 + 16 + 4;
        let mut content: Vec<u8> = vec![0; 16];
        content.extend(1_u32.to_le_bytes());
        content.extend([1.0_f32.to_le_bytes(), 1.0_f32.to_le_bytes()].concat());
        content.extend([x.to_le_bytes(), y.to_le_bytes()].concat());
        content.extend(count.to_le_bytes());
        content.extend(HEAD.to_le_bytes());
        content.extend([0; 4 + 16]);
        content.extend((HEAD + u32::try_from(units.len()).unwrap_or_default()).to_le_bytes());
        content.extend(units);
        content.extend(advances);
        self.bytes(record::TEXT, &content);
    }

    /// Writes the header in its place.
    fn finish(mut self, wide: f64, high: f64) -> Vec<u8> {
        // A pixel is 1/96 inch: hundredths of a millimetre.
        let hundredths = |pixels: f64| whole(pixels * 2540.0 / 96.0);
        let length = i32::try_from(self.out.len()).unwrap_or(i32::MAX);
        let mut header: Vec<u8> = Vec::new();
        let head = i32::try_from(HEADER_BYTES).unwrap_or(88);
        let units = |pixels: f64| whole(pixels * self.scale);
        for value in [1, head, 0, 0, units(wide), units(high), 0, 0, hundredths(wide), hundredths(high)] {
            header.extend(value.to_le_bytes());
        }
        for value in [0x464d_4520, 0x0001_0000, length, i32::try_from(self.records).unwrap_or(i32::MAX), 3, 0, 0, 0] {
            header.extend(value.to_le_bytes());
        }
        // A device of as many dots an inch as 96 pixels have units: 20 inches by 11.25.
        for value in [units(1920.0), units(1080.0), 508, 286] {
            header.extend(i32::to_le_bytes(value));
        }
        header.resize(HEADER_BYTES, 0);
        self.out.splice(..HEADER_BYTES, header);
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records: types and contents.
    fn records(metafile: &[u8]) -> Vec<(u32, &[u8])> {
        let number = |at: usize| u32::from_le_bytes(metafile[at..at + 4].try_into().unwrap());
        let mut found = Vec::new();
        let mut at = 0;
        while at < metafile.len() {
            let length = number(at + 4) as usize;
            assert!(length >= 8 && length.is_multiple_of(4), "{length} at {at}");
            found.push((number(at), &metafile[at + 8..at + length]));
            at += length;
        }
        assert_eq!((number(40), number(48) as usize, number(52) as usize), (0x464d_4520, at, found.len()));
        found
    }

    fn numbers(content: &[u8]) -> Vec<i32> {
        content.chunks(4).map(|four| i32::from_le_bytes(four.try_into().unwrap())).collect()
    }

    #[test]
    fn units_are_dots_of_the_device_and_nothing_is_mapped() {
        let mut scene = Scene::default();
        scene.way(vec![(0.0, 0.0), (10.0, 0.0), (10.0, 20.0)], Stroke::Plain);
        scene.way(vec![(0.0, 0.0), (20.0, 0.0)], Stroke::Dashed);
        scene.shapes.push(Shape::Area {
            points: vec![(0.0, 0.0), (4.0, 0.0), (4.0, 4.0)],
            fill: Role::Node,
            line: Role::Line,
        });
        scene.shapes.push(Shape::Text {
            at: (50.0, 10.0),
            text: "주문".to_owned(),
            size: 10.0,
            anchor: Anchor::Middle,
            bold: false,
            italic: false,
            role: Role::Text,
        });
        let metafile = write(&scene, (0.0, 0.0), (100.0, 50.0));
        let records = records(&metafile);
        let head = numbers(records[0].1);
        assert_eq!(head[..8], [0, 0, 1000, 500, 0, 0, 2646, 1323]);
        assert_eq!(head[16..20], [19_200, 10_800, 508, 286]);
        assert!(records.iter().all(|(kind, _)| !(9..=12).contains(kind) && *kind != 17));
        // Two pieces of the way with a corner, and of the dashes, which are 5 with 4 between them, the last is cut.
        let lines: Vec<&[u8]> =
            records.iter().filter(|(kind, _)| *kind == record::POLYLINE).map(|(_, lines)| *lines).collect();
        let ends: Vec<Vec<i32>> = lines.iter().map(|line| numbers(&line[..16])).collect();
        let wanted = [[0, 0, 100, 0], [100, 0, 100, 200], [0, 0, 50, 0], [90, 0, 140, 0], [180, 0, 200, 0]];
        assert_eq!(ends, wanted.map(Vec::from));
        // A text in the middle begins half its width before its point.
        let text = numbers(records.iter().find(|(kind, _)| *kind == record::TEXT).unwrap().1);
        assert_eq!((text[7], text[8]), (500 - whole(width("주문", 10.0) * 5.0), 100));
        // A corner is named twice to close an area.
        let area = records.iter().find(|(kind, _)| *kind == record::POLYGON).unwrap().1;
        assert_eq!(numbers(&area[16..20]), [4]);
        assert_eq!(area[20..24], area[32..36]);
    }
}
