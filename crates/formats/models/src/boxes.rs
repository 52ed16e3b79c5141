//! Boxes: how large they are by what they say, and how they are drawn.

use crate::graph::{Form, Frame, LABEL_WIDTH, Node, Part, SMALL};
use crate::layered::{Item, Point};
use crate::scene::{Anchor, Role, Scene, Shape, Stroke};
use crate::width::{FONT_SIZE, LINE_HEIGHT, widest, width, wrap};

const PADDING_ACROSS: f64 = 14.0;
const PADDING_DOWN: f64 = 9.0;

fn lines_of(part: &Part) -> Vec<String> {
    match part {
        Part::Title { text, .. } | Part::Text(text) => wrap(text, LABEL_WIDTH),
        Part::List(lines) => lines.clone(),
        Part::Grid(_) => Vec::new(),
    }
}

fn columns_of(rows: &[Vec<String>]) -> Vec<f64> {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let wide = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| width(cell, SMALL)).fold(0.0, f64::max)
    };
    (0..count).map(|column| wide(column) + 14.0).collect()
}

fn part_size(part: &Part) -> Item {
    let tall = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX)) * LINE_HEIGHT;
    match part {
        Part::Title { above, .. } => {
            let lines = lines_of(part);
            let wide = lines.iter().map(|line| widest(line) * 1.05).fold(width(above, SMALL), f64::max);
            let more = if above.is_empty() { 0.0 } else { SMALL + 4.0 };
            Item { width: wide, height: tall(lines.len()) + more }
        }
        Part::Text(_) => {
            let lines = lines_of(part);
            Item { width: lines.iter().map(|line| widest(line)).fold(0.0, f64::max), height: tall(lines.len()) }
        }
        Part::List(lines) => {
            Item { width: lines.iter().map(|line| width(line, SMALL)).fold(0.0, f64::max), height: tall(lines.len()) }
        }
        Part::Grid(rows) => Item { width: columns_of(rows).iter().sum(), height: tall(rows.len()) },
    }
}

pub(crate) fn size_of(node: &Node) -> Item {
    let sizes: Vec<Item> = node.parts.iter().map(part_size).collect();
    let wide = sizes.iter().map(|size| size.width).fold(0.0, f64::max);
    let high: f64 = sizes.iter().map(|size| size.height + 2.0 * PADDING_DOWN).sum();
    let (width, height) = ((wide + 2.0 * PADDING_ACROSS).max(44.0), high.max(36.0));
    let (width, height) = match node.form {
        Form::Rectangle | Form::Round | Form::Note => (width, height),
        Form::Stadium => (width + 12.0, height),
        Form::Subroutine | Form::Flag => (width + 16.0, height),
        Form::Cylinder => (width, height + 16.0),
        Form::Circle | Form::DoubleCircle => {
            let across = wide.hypot(high - 2.0 * PADDING_DOWN) + 18.0;
            (across, across)
        }
        Form::Ellipse => (wide * 1.3 + 24.0, high * 1.3),
        Form::Diamond if node.parts.is_empty() => (30.0, 30.0),
        Form::Diamond => (wide + high + 12.0, (wide + high + 12.0).min(high * 2.2)),
        Form::Hexagon | Form::Lean | Form::LeanBack | Form::Foot | Form::Funnel => (width + height, height),
        Form::Actor => (wide.max(36.0) + 8.0, 52.0 + high - PADDING_DOWN),
        Form::Start => (18.0, 18.0),
        Form::Stop => (22.0, 22.0),
        Form::Bar => (80.0, 8.0),
    };
    Item { width, height }
}

pub(crate) fn draw_node(scene: &mut Scene, node: &Node, frame: &Frame) {
    let Frame { left, top, width, height } = *frame;
    let (right, bottom) = (left + width, top + height);
    let (x, y) = frame.centre();
    let (fill, line) = (Role::Node, Role::Line);
    let area = |points: &[Point]| Shape::Area { points: points.to_vec(), fill, line };
    let rectangle =
        |round: f64, fill: Role| Shape::Rectangle { left, top, width, height, round, fill, line: Some(line) };
    let round = |shrink: f64, fill: Role| Shape::Ellipse {
        centre: (x, y),
        across: width / 2.0 - shrink,
        down: height / 2.0 - shrink,
        fill,
        line: Some(line),
    };
    let lean = height / 2.0;
    let mut text_top = top;
    match node.form {
        Form::Rectangle => scene.shapes.push(rectangle(0.0, fill)),
        Form::Round => scene.shapes.push(rectangle(8.0, fill)),
        Form::Stadium => scene.shapes.push(rectangle(height / 2.0, fill)),
        Form::Subroutine => {
            scene.shapes.push(rectangle(0.0, fill));
            scene.way(vec![(left + 8.0, top), (left + 8.0, bottom)], Stroke::Plain);
            scene.way(vec![(right - 8.0, top), (right - 8.0, bottom)], Stroke::Plain);
        }
        Form::Cylinder => {
            let lid =
                |y: f64| Shape::Ellipse { centre: (x, y), across: width / 2.0, down: 8.0, fill, line: Some(line) };
            scene.shapes.push(lid(bottom - 8.0));
            let (top, height) = (top + 8.0, height - 16.0);
            scene.shapes.push(Shape::Rectangle { left, top, width, height, round: 0.0, fill, line: None });
            scene.way(vec![(left, top), (left, top + height)], Stroke::Plain);
            scene.way(vec![(right, top), (right, top + height)], Stroke::Plain);
            scene.shapes.push(lid(top));
            text_top = top + 8.0;
        }
        Form::Circle | Form::Ellipse => scene.shapes.push(round(0.0, fill)),
        Form::DoubleCircle => scene.shapes.extend([round(0.0, fill), round(4.0, fill)]),
        Form::Diamond => scene.shapes.push(area(&[(x, top), (right, y), (x, bottom), (left, y)])),
        Form::Hexagon => scene.shapes.push(area(&[
            (left + lean, top),
            (right - lean, top),
            (right, y),
            (right - lean, bottom),
            (left + lean, bottom),
            (left, y),
        ])),
        Form::Lean => {
            scene.shapes.push(area(&[(left + lean, top), (right, top), (right - lean, bottom), (left, bottom)]))
        }
        Form::LeanBack => {
            scene.shapes.push(area(&[(left, top), (right - lean, top), (right, bottom), (left + lean, bottom)]));
        }
        Form::Foot => {
            scene.shapes.push(area(&[(left + lean, top), (right - lean, top), (right, bottom), (left, bottom)]))
        }
        Form::Funnel => {
            scene.shapes.push(area(&[(left, top), (right, top), (right - lean, bottom), (left + lean, bottom)]));
        }
        Form::Flag => {
            scene.shapes.push(area(&[(left, top), (right, top), (right, bottom), (left, bottom), (left + 12.0, y)]));
        }
        Form::Note => scene.shapes.push(rectangle(0.0, Role::Strong)),
        Form::Actor => {
            draw_actor(scene, (x, top));
            text_top = top + 46.0 - PADDING_DOWN;
        }
        Form::Start => scene.shapes.push(round(0.0, Role::Line)),
        Form::Stop => scene.shapes.extend([round(0.0, Role::Page), round(5.0, Role::Line)]),
        Form::Bar => scene.shapes.push(rectangle(2.0, Role::Line)),
    }
    draw_parts(scene, node, frame, text_top);
}

/// A figure: head, body, arms, legs; 44 high.
pub(crate) fn draw_actor(scene: &mut Scene, top: Point) {
    let (x, y) = top;
    scene.shapes.push(Shape::Ellipse {
        centre: (x, y + 8.0),
        across: 7.0,
        down: 7.0,
        fill: Role::Node,
        line: Some(Role::Line),
    });
    for points in [
        vec![(x, y + 15.0), (x, y + 30.0)],
        vec![(x - 12.0, y + 21.0), (x + 12.0, y + 21.0)],
        vec![(x, y + 30.0), (x - 10.0, y + 43.0)],
        vec![(x, y + 30.0), (x + 10.0, y + 43.0)],
    ] {
        scene.way(points, Stroke::Plain);
    }
}

fn draw_parts(scene: &mut Scene, node: &Node, frame: &Frame, text_top: f64) {
    let (x, y) = frame.centre();
    let whole: f64 = node.parts.iter().map(|part| part_size(part).height + 2.0 * PADDING_DOWN).sum();
    // One part stands in the middle of the form.
    let is_centred = node.parts.len() == 1 && !matches!(node.form, Form::Actor | Form::Cylinder);
    let mut top = if is_centred { y - whole / 2.0 } else { text_top };
    for (index, part) in node.parts.iter().enumerate() {
        if index > 0 {
            scene.way(vec![(frame.left, top), (frame.left + frame.width, top)], Stroke::Plain);
        }
        let mut base = top + PADDING_DOWN + 15.0;
        let mut put = |at: Point, text: String, size: f64, anchor: Anchor, bold: bool| {
            let (italic, role) = (false, Role::Text);
            scene.shapes.push(Shape::Text { at, text, size, anchor, bold, italic, role });
        };
        let left = frame.left + PADDING_ACROSS;
        match part {
            Part::Title { above, .. } => {
                if !above.is_empty() {
                    put((x, base - 2.0), above.clone(), SMALL, Anchor::Middle, false);
                    base += SMALL + 4.0;
                }
                for line in lines_of(part) {
                    put((x, base), line, FONT_SIZE, Anchor::Middle, true);
                    base += LINE_HEIGHT;
                }
            }
            Part::Text(_) => {
                for line in lines_of(part) {
                    put((x, base), line, FONT_SIZE, Anchor::Middle, false);
                    base += LINE_HEIGHT;
                }
            }
            Part::List(lines) => {
                for line in lines {
                    put((left, base), line.clone(), SMALL, Anchor::Start, false);
                    base += LINE_HEIGHT;
                }
            }
            Part::Grid(rows) => {
                let columns = columns_of(rows);
                for row in rows {
                    let mut at = left;
                    for (cell, wide) in row.iter().zip(&columns) {
                        put((at, base), cell.clone(), SMALL, Anchor::Start, false);
                        at += wide;
                    }
                    base += LINE_HEIGHT;
                }
            }
        }
        top += part_size(part).height + 2.0 * PADDING_DOWN;
    }
}
