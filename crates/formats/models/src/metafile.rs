//! A scene as an enhanced metafile: what word processors show that know no SVG.
//!
//! Source: [MS-EMF] 2.3; little-endian throughout.

use crate::layered::Point;
use crate::scene::{Anchor, Role, Scene, Shape, Stroke};
use crate::width::width;

/// Points are 16-bit numbers: the larger side of a drawing has at most so many units.
const UNITS_MAX: f64 = 30_000.0;
/// Units per pixel, unless the drawing is too large.
const UNITS_PER_PIXEL: f64 = 10.0;
const HEADER_BYTES: usize = 88;
/// The face that Korean word processors have.
const FACE: &str = "Malgun Gothic";
/// The only object that is ever made at a time has this number; others are stock objects.
const HANDLE: u32 = 1;
const STOCK: u32 = 0x8000_0000;
const NULL_BRUSH: u32 = STOCK | 5;
const BLACK_PEN: u32 = STOCK | 7;
const NULL_PEN: u32 = STOCK | 8;
const SYSTEM_FONT: u32 = STOCK | 13;

mod record {
    pub(super) const EOF: u32 = 14;
    pub(super) const SET_WINDOW_EXTENT: u32 = 9;
    pub(super) const SET_WINDOW_ORIGIN: u32 = 10;
    pub(super) const SET_VIEWPORT_EXTENT: u32 = 11;
    pub(super) const SET_VIEWPORT_ORIGIN: u32 = 12;
    pub(super) const SET_MAP_MODE: u32 = 17;
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
    let size = |factor: f64| [whole(wide * factor), whole(high * factor)];
    writer.record(record::SET_MAP_MODE, &[8]);
    writer.record(record::SET_WINDOW_ORIGIN, &[0, 0]);
    writer.record(record::SET_WINDOW_EXTENT, &size(scale));
    writer.record(record::SET_VIEWPORT_ORIGIN, &[0, 0]);
    writer.record(record::SET_VIEWPORT_EXTENT, &size(1.0));
    writer.record(record::SET_BACKGROUND_MODE, &[1]);
    for shape in &scene.shapes {
        writer.shape(shape);
    }
    writer.record(record::EOF, &[0, 16, 20]);
    writer.finish(wide, high)
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
        match line {
            Some((role, stroke)) => {
                let style = i32::from(stroke == Stroke::Dashed);
                // Only pens without a width are dashed.
                let wide = match stroke {
                    Stroke::Plain => 1.0,
                    Stroke::Dashed => 0.0,
                    Stroke::Thick => 2.5,
                };
                let handle = i32::try_from(HANDLE).unwrap_or(1);
                self.record(record::CREATE_PEN, &[handle, style, whole(wide * self.scale), 0, colour(role)]);
                self.object(record::SELECT, HANDLE);
            }
            None => self.object(record::SELECT, NULL_PEN),
        }
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
        if line.is_some() {
            self.object(record::DELETE, HANDLE);
        }
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
                self.painted(Some(*fill), Some((*line, Stroke::Plain)), |writer| {
                    writer.points(record::POLYGON, points);
                });
            }
            Shape::Way { points, stroke, line, .. } => {
                self.painted(None, Some((*line, *stroke)), |writer| writer.points(record::POLYLINE, points));
            }
            Shape::Text { at, text, size, anchor, bold, italic, role } => {
                self.font(*size, *bold, *italic);
                self.record(record::SET_TEXT_ALIGN, &[if *anchor == Anchor::Middle { 24 | 6 } else { 24 }]);
                self.record(record::SET_TEXT_COLOUR, &[colour(*role)]);
                self.text(*at, text, *size);
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
        for value in [1, head, 0, 0, whole(wide), whole(high), 0, 0, hundredths(wide), hundredths(high)] {
            header.extend(value.to_le_bytes());
        }
        for value in [0x464d_4520, 0x0001_0000, length, i32::try_from(self.records).unwrap_or(i32::MAX), 3, 0, 0, 0] {
            header.extend(value.to_le_bytes());
        }
        // A device of 96 dots an inch.
        for value in [1920, 1080, 508, 286] {
            header.extend(i32::to_le_bytes(value));
        }
        header.resize(HEADER_BYTES, 0);
        self.out.splice(..HEADER_BYTES, header);
        self.out
    }
}
