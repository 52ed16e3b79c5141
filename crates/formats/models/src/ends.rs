//! What arrows end in.

use crate::layered::Point;
use crate::scene::{Role, Scene, Shape, Stroke};

/// The end of an arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum End {
    #[default]
    None,
    /// A filled point.
    Arrow,
    /// Two lines.
    Open,
    /// A hollow triangle: inherits.
    Triangle,
    /// Part of: filled and hollow.
    Composition,
    Aggregation,
    Circle,
    Cross,
    /// How many: exactly one, at most one, any number, at least one.
    One,
    ZeroOrOne,
    Many,
    OneOrMany,
}

/// Draws an end at a point; `before` is where the line comes from.
pub(crate) fn draw_end(scene: &mut Scene, end: End, at: Point, before: Point) {
    let length = (before.0 - at.0).hypot(before.1 - at.1);
    if length == 0.0 {
        return;
    }
    let along = ((before.0 - at.0) / length, (before.1 - at.1) / length);
    // A point so far along the line and to its side.
    let to = |far: f64, aside: f64| (at.0 + along.0 * far - along.1 * aside, at.1 + along.1 * far + along.0 * aside);
    let area = |points: &[Point], fill: Role| Shape::Area { points: points.to_vec(), fill, line: Role::Line };
    let line =
        |points: &[Point]| Shape::Way { points: points.to_vec(), stroke: Stroke::Plain, line: Role::Line, round: 0.0 };
    let ring = |far: f64| Shape::Ellipse {
        centre: to(far, 0.0),
        across: 4.5,
        down: 4.5,
        fill: Role::Page,
        line: Some(Role::Line),
    };
    let bar = |far: f64| line(&[to(far, -6.0), to(far, 6.0)]);
    let foot = || line(&[to(0.0, -7.0), to(12.0, 0.0), to(0.0, 7.0)]);
    let diamond = |fill: Role| area(&[at, to(8.0, 5.0), to(16.0, 0.0), to(8.0, -5.0)], fill);
    let shapes = match end {
        End::None => Vec::new(),
        End::Arrow => vec![area(&[at, to(10.0, 4.5), to(10.0, -4.5)], Role::Line)],
        End::Open => vec![line(&[to(10.0, 5.0), at, to(10.0, -5.0)])],
        End::Triangle => vec![area(&[at, to(13.0, 7.0), to(13.0, -7.0)], Role::Page)],
        End::Composition => vec![diamond(Role::Line)],
        End::Aggregation => vec![diamond(Role::Page)],
        End::Circle => vec![ring(4.5)],
        End::Cross => vec![line(&[to(2.0, 5.0), to(12.0, -5.0)]), line(&[to(2.0, -5.0), to(12.0, 5.0)])],
        End::One => vec![bar(7.0), bar(12.0)],
        End::ZeroOrOne => vec![bar(7.0), ring(16.5)],
        End::Many => vec![foot(), ring(16.5)],
        End::OneOrMany => vec![foot(), bar(15.0)],
    };
    scene.shapes.extend(shapes);
}
