//! Boxes, arrows and groups of any diagram, laid out and drawn as a scene.
//!
//! Groups are laid out from the inside out: a group is one box in the group around it.

use crate::ends::{End, draw_end};
use crate::layered::{Item, Link, Point, place};
use crate::scene::{Anchor, Role, Scene, Shape, Stroke};
use crate::width::{FONT_SIZE, LINE_HEIGHT, widest, width, wrap};

/// Labels are broken at this width.
const LABEL_WIDTH: f64 = 210.0;
const PADDING_ACROSS: f64 = 14.0;
const PADDING_DOWN: f64 = 9.0;
const GROUP_PADDING: f64 = 16.0;
const LOOP_WIDTH: f64 = 28.0;
const SMALL: f64 = 12.0;

/// Where a diagram leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Direction {
    #[default]
    Down,
    Up,
    Right,
    Left,
}

impl Direction {
    /// Reads `TB`, `LR` and so on.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "TB" | "TD" => Self::Down,
            "BT" => Self::Up,
            "LR" => Self::Right,
            "RL" => Self::Left,
            _ => return None,
        })
    }

    fn is_across(self) -> bool {
        matches!(self, Self::Right | Self::Left)
    }
}

/// The outline of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Form {
    #[default]
    Rectangle,
    Round,
    Stadium,
    Subroutine,
    Cylinder,
    Circle,
    DoubleCircle,
    Ellipse,
    Diamond,
    Hexagon,
    /// A parallelogram leaning to the right, or to the left.
    Lean,
    LeanBack,
    /// A trapezoid that is wider below, or above.
    Foot,
    Funnel,
    Flag,
    Actor,
    Start,
    Stop,
    Bar,
    Note,
}

/// A part of what a box says; a line is drawn between parts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    /// A title in the middle, with a smaller line above it.
    Title { above: String, text: String },
    /// Plain text in the middle.
    Text(String),
    /// Lines from the left.
    List(Vec<String>),
    /// Columns from the left.
    Grid(Vec<Vec<String>>),
}

/// A box.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    pub(crate) form: Form,
    pub(crate) parts: Vec<Part>,
    pub(crate) group: Option<usize>,
}

/// What an arrow ends at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Node(usize),
    Group(usize),
}

/// An arrow.
#[derive(Debug, Clone)]
pub(crate) struct Arrow {
    pub(crate) from: Target,
    pub(crate) to: Target,
    pub(crate) label: String,
    /// None: it takes room and is not drawn.
    pub(crate) stroke: Option<Stroke>,
    pub(crate) head: End,
    pub(crate) tail: End,
    /// Words beside the ends.
    pub(crate) near_head: String,
    pub(crate) near_tail: String,
}

impl Arrow {
    pub(crate) fn new(from: Target, to: Target) -> Self {
        Self {
            from,
            to,
            label: String::new(),
            stroke: Some(Stroke::Plain),
            head: End::Arrow,
            tail: End::None,
            near_head: String::new(),
            near_tail: String::new(),
        }
    }
}

/// A frame around boxes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    pub(crate) label: String,
    pub(crate) parent: Option<usize>,
    pub(crate) direction: Option<Direction>,
    pub(crate) is_dashed: bool,
}

/// A diagram of boxes and arrows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    pub(crate) direction: Direction,
    pub(crate) nodes: Vec<Node>,
    pub(crate) arrows: Vec<Arrow>,
    pub(crate) groups: Vec<Group>,
    /// Groups are frames around where their boxes came to stand, instead of boxes of their own.
    pub(crate) is_flat: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Frame {
    fn centre(&self) -> Point {
        (self.left + self.width / 2.0, self.top + self.height / 2.0)
    }

    fn moved(self, by: Point) -> Self {
        Self { left: self.left + by.0, top: self.top + by.1, ..self }
    }
}

/// What was laid out, in the coordinates of its group.
#[derive(Debug, Default)]
struct Plan {
    width: f64,
    height: f64,
    nodes: Vec<(usize, Frame)>,
    groups: Vec<(usize, Frame)>,
    arrows: Vec<(usize, Vec<Point>, Option<Point>)>,
}

impl Plan {
    fn take(&mut self, inner: Self, by: Point) {
        self.nodes.extend(inner.nodes.into_iter().map(|(node, frame)| (node, frame.moved(by))));
        self.groups.extend(inner.groups.into_iter().map(|(group, frame)| (group, frame.moved(by))));
        let shift = |point: Point| (point.0 + by.0, point.1 + by.1);
        self.arrows.extend(
            inner
                .arrows
                .into_iter()
                .map(|(arrow, bends, label)| (arrow, bends.into_iter().map(shift).collect(), label.map(shift))),
        );
    }
}

impl Graph {
    /// Lays out and draws.
    pub(crate) fn scene(&self) -> Scene {
        let plan = self.plan(None, self.direction);
        let mut scene = Scene::default();
        let mut nodes = vec![Frame::default(); self.nodes.len()];
        let mut groups = vec![Frame::default(); self.groups.len()];
        if self.is_flat {
            for (index, group) in self.groups.iter().enumerate() {
                let own = plan.nodes.iter().filter(|(node, _)| self.nodes[*node].group == Some(index));
                if let Some(frame) = around(own.map(|(_, frame)| frame)) {
                    self.draw_group(&mut scene, group, &frame);
                }
            }
        }
        for (group, frame) in &plan.groups {
            groups[*group] = *frame;
            self.draw_group(&mut scene, &self.groups[*group], frame);
        }
        for (node, frame) in &plan.nodes {
            nodes[*node] = *frame;
        }
        let mut labels = Scene::default();
        let mut routes: Vec<(Vec<Point>, Option<Point>)> = vec![Default::default(); self.arrows.len()];
        for (arrow, bends, label) in plan.arrows {
            routes[arrow] = (bends, label);
        }
        for (arrow, (bends, label)) in self.arrows.iter().zip(routes) {
            self.draw_arrow(&mut scene, &mut labels, arrow, bends, label, (&nodes, &groups));
        }
        for (node, frame) in &plan.nodes {
            draw_node(&mut scene, &self.nodes[*node], frame);
        }
        scene.shapes.append(&mut labels.shapes);
        scene
    }

    fn parent(&self, target: Target) -> Option<usize> {
        match target {
            Target::Node(_) if self.is_flat => None,
            Target::Node(node) => self.nodes[node].group,
            Target::Group(group) => self.groups[group].parent,
        }
    }

    /// The targets from one out to the top.
    fn path(&self, target: Target) -> Vec<Target> {
        let mut path = vec![target];
        while let Some(parent) = path.last().and_then(|last| self.parent(*last)) {
            path.push(Target::Group(parent));
        }
        path
    }

    /// The members of `group` in which an arrow begins and ends, when they are two of it.
    fn ends_in(&self, arrow: &Arrow, group: Option<usize>) -> Option<(Target, Target)> {
        let member = |target: Target| self.path(target).into_iter().find(|one| self.parent(*one) == group);
        let (from, to) = (member(arrow.from)?, member(arrow.to)?);
        (from != to || arrow.from == arrow.to && from == arrow.from).then_some((from, to))
    }

    fn plan(&self, group: Option<usize>, direction: Direction) -> Plan {
        let nodes = (0..self.nodes.len()).map(Target::Node);
        let groups = (0..self.groups.len()).filter(|_| !self.is_flat).map(Target::Group);
        let members: Vec<Target> = nodes.chain(groups).filter(|one| self.parent(*one) == group).collect();
        let mut inner: Vec<Option<Plan>> = Vec::new();
        let mut sizes: Vec<Item> = Vec::new();
        for member in &members {
            let (size, plan) = match member {
                Target::Node(node) => (size_of(&self.nodes[*node]), None),
                Target::Group(one) => {
                    let plan = self.plan(Some(*one), self.groups[*one].direction.unwrap_or(direction));
                    (Item { width: plan.width, height: plan.height }, Some(plan))
                }
            };
            sizes.push(size);
            inner.push(plan);
        }
        let mut links = Vec::new();
        let mut arrows = Vec::new();
        let mut room = sizes.clone();
        for (index, arrow) in self.arrows.iter().enumerate() {
            let Some((from, to)) = self.ends_in(arrow, group) else { continue };
            let place = |target| members.iter().position(|one| *one == target);
            let (Some(from), Some(to)) = (place(from), place(to)) else { continue };
            let label = label_size(&arrow.label);
            if from == to {
                let more = LOOP_WIDTH + label.map_or(0.0, |size| size.width);
                room[from].width = room[from].width.max(sizes[from].width + 2.0 * more);
            }
            let turn = |size: Item| if direction.is_across() { turned(size) } else { size };
            links.push(Link { from, to, label: label.map(turn) });
            arrows.push(index);
        }
        if direction.is_across() {
            room = room.into_iter().map(turned).collect();
        }
        let placed = place(&room, &links);
        let (wide, high) = (placed.width, placed.height);
        let (frame_width, frame_height) = if direction.is_across() { (high, wide) } else { (wide, high) };
        let label_width = group.map_or(0.0, |group| width(&self.groups[group].label, FONT_SIZE) + 8.0);
        let (padding, head) = match group {
            Some(group) if self.groups[group].label.is_empty() => (GROUP_PADDING, 0.0),
            Some(_) => (GROUP_PADDING, LINE_HEIGHT),
            None => (0.0, 0.0),
        };
        let extra = (label_width - frame_width).max(0.0) / 2.0;
        let turn = |point: Point| {
            let (x, y) = match direction {
                Direction::Down => point,
                Direction::Up => (point.0, high - point.1),
                Direction::Right => (point.1, point.0),
                Direction::Left => (high - point.1, point.0),
            };
            (x + padding + extra, y + padding + head)
        };
        let mut plan = Plan {
            width: frame_width + 2.0 * (padding + extra),
            height: frame_height + 2.0 * padding + head,
            ..Plan::default()
        };
        for (((member, size), inner), centre) in members.iter().zip(sizes).zip(inner).zip(placed.centres) {
            let (x, y) = turn(centre);
            let (left, top) = (x - size.width / 2.0, y - size.height / 2.0);
            let frame = Frame { left, top, width: size.width, height: size.height };
            match member {
                Target::Node(node) => plan.nodes.push((*node, frame)),
                Target::Group(group) => plan.groups.push((*group, frame)),
            }
            if let Some(inner) = inner {
                plan.take(inner, (left, top));
            }
        }
        for (arrow, route) in arrows.into_iter().zip(placed.routes) {
            plan.arrows.push((arrow, route.bends.into_iter().map(turn).collect(), route.label.map(turn)));
        }
        plan
    }

    fn draw_group(&self, scene: &mut Scene, group: &Group, frame: &Frame) {
        let Frame { left, top, width, height } = *frame;
        if group.is_dashed {
            let corners =
                vec![(left, top), (left + width, top), (left + width, top + height), (left, top + height), (left, top)];
            scene.shapes.push(Shape::Way { points: corners, stroke: Stroke::Dashed, line: Role::Muted, round: 0.0 });
        } else {
            let (fill, line) = (Role::Group, Some(Role::Muted));
            scene.shapes.push(Shape::Rectangle { left, top, width, height, round: 4.0, fill, line });
        }
        scene.shapes.push(Shape::Text {
            at: (left + width / 2.0, top + GROUP_PADDING + 4.0),
            text: group.label.replace('\n', " "),
            size: FONT_SIZE,
            anchor: Anchor::Middle,
            bold: true,
            italic: false,
            role: Role::Muted,
        });
    }

    fn draw_arrow(
        &self,
        scene: &mut Scene,
        labels: &mut Scene,
        arrow: &Arrow,
        bends: Vec<Point>,
        label: Option<Point>,
        (nodes, groups): (&[Frame], &[Frame]),
    ) {
        let Some(stroke) = arrow.stroke else { return };
        let frame = |target: Target| match target {
            Target::Node(node) => (nodes[node], self.nodes[node].form),
            Target::Group(group) => (groups[group], Form::Rectangle),
        };
        let ((from, from_form), (to, to_form)) = (frame(arrow.from), frame(arrow.to));
        let mut label = label;
        let points = if arrow.from == arrow.to {
            let (right, middle) = (from.left + from.width, from.top + from.height / 2.0);
            let out = right + LOOP_WIDTH - 6.0;
            let size = label_size(&arrow.label).map_or(0.0, |size| size.width);
            label = Some((out + 4.0 + size / 2.0, middle));
            vec![(right, middle - 9.0), (out, middle - 9.0), (out, middle + 9.0), (right, middle + 9.0)]
        } else {
            let first = bends.first().copied().unwrap_or(to.centre());
            let last = bends.last().copied().unwrap_or(from.centre());
            let mut points = vec![border(&from, from_form, first)];
            points.extend(bends);
            points.push(border(&to, to_form, last));
            points
        };
        // The ends lie above the line: some are hollow.
        scene.way(points.clone(), stroke);
        if let [tail, after, ..] = points.as_slice() {
            draw_end(scene, arrow.tail, *tail, *after);
            near(labels, &arrow.near_tail, *tail, *after);
        }
        if let [.., before, head] = points.as_slice() {
            draw_end(scene, arrow.head, *head, *before);
            near(labels, &arrow.near_head, *head, *before);
        }
        if !arrow.label.is_empty() {
            let middle = label.unwrap_or_else(|| halfway(&points));
            draw_label(labels, &arrow.label, middle);
        }
    }
}

/// The frame around others, with room for its label.
fn around<'f>(frames: impl Iterator<Item = &'f Frame>) -> Option<Frame> {
    let (mut low, mut high) = ((f64::INFINITY, f64::INFINITY), (f64::NEG_INFINITY, f64::NEG_INFINITY));
    for frame in frames {
        low = (low.0.min(frame.left), low.1.min(frame.top));
        high = (high.0.max(frame.left + frame.width), high.1.max(frame.top + frame.height));
    }
    let (left, top) = (low.0 - GROUP_PADDING, low.1 - GROUP_PADDING - LINE_HEIGHT);
    let (width, height) = (high.0 + GROUP_PADDING - left, high.1 + GROUP_PADDING - top);
    low.0.is_finite().then_some(Frame { left, top, width, height })
}

fn turned(size: Item) -> Item {
    Item { width: size.height, height: size.width }
}

fn halfway(points: &[Point]) -> Point {
    let middle = points.len() / 2;
    match (points.get(middle.saturating_sub(1)), points.get(middle)) {
        (Some(one), Some(other)) => (one.0.midpoint(other.0), one.1.midpoint(other.1)),
        _ => (0.0, 0.0),
    }
}

fn label_size(label: &str) -> Option<Item> {
    let lines = wrap(label, LABEL_WIDTH);
    let wide = lines.iter().map(|line| width(line, SMALL)).fold(0.0, f64::max);
    let high = f64::from(u32::try_from(lines.len()).unwrap_or(1)) * (SMALL + 4.0) + 4.0;
    (!label.is_empty()).then_some(Item { width: wide + 10.0, height: high })
}

fn draw_label(scene: &mut Scene, label: &str, middle: Point) {
    let Some(size) = label_size(label) else { return };
    let (left, top) = (middle.0 - size.width / 2.0, middle.1 - size.height / 2.0);
    let (width, height) = (size.width, size.height);
    scene.shapes.push(Shape::Rectangle { left, top, width, height, round: 3.0, fill: Role::Page, line: None });
    let mut down = top + SMALL + 2.0;
    for text in wrap(label, LABEL_WIDTH) {
        let at = (middle.0, down);
        let (anchor, role) = (Anchor::Middle, Role::Text);
        scene.shapes.push(Shape::Text { at, text, size: SMALL, anchor, bold: false, italic: false, role });
        down += SMALL + 4.0;
    }
}

/// Words beside the end of an arrow.
fn near(scene: &mut Scene, text: &str, end: Point, before: Point) {
    if text.is_empty() {
        return;
    }
    let length = (before.0 - end.0).hypot(before.1 - end.1).max(1.0);
    let along = ((before.0 - end.0) / length, (before.1 - end.1) / length);
    let at = (end.0 + along.0 * 22.0 + 6.0, end.1 + along.1 * 22.0 + if along.1 < 0.0 { 0.0 } else { SMALL });
    let (anchor, role) = (Anchor::Start, Role::Muted);
    let text = text.to_owned();
    scene.shapes.push(Shape::Text { at, text, size: SMALL, anchor, bold: false, italic: false, role });
}

/// Where a line from the middle of a box toward a point leaves its outline.
fn border(frame: &Frame, form: Form, toward: Point) -> Point {
    let (x, y) = frame.centre();
    let (dx, dy) = (toward.0 - x, toward.1 - y);
    if dx == 0.0 && dy == 0.0 {
        return (x, y);
    }
    let (half_width, half_height) = (frame.width / 2.0, frame.height / 2.0);
    let part = match form {
        Form::Circle | Form::DoubleCircle | Form::Ellipse | Form::Start | Form::Stop => {
            1.0 / (dx / half_width).hypot(dy / half_height)
        }
        Form::Diamond => 1.0 / (dx.abs() / half_width + dy.abs() / half_height),
        _ => {
            let across = if dx == 0.0 { f64::INFINITY } else { half_width / dx.abs() };
            let down = if dy == 0.0 { f64::INFINITY } else { half_height / dy.abs() };
            across.min(down)
        }
    };
    (x + dx * part, y + dy * part)
}

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

fn size_of(node: &Node) -> Item {
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

fn draw_node(scene: &mut Scene, node: &Node, frame: &Frame) {
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
