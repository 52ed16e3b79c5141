//! Boxes, arrows and groups of any diagram, laid out and drawn as a scene.
//!
//! Groups are laid out from the inside out: a group is one box in the group around it.

use crate::boxes::{draw_node, size_of};
use crate::ends::{End, draw_end};
use crate::layered::{Item, Link, Point, place};
use crate::scene::{Anchor, Role, Scene, Shape, Stroke};
use crate::width::{FONT_SIZE, LINE_HEIGHT, width, wrap};

/// Labels are broken at this width.
pub(crate) const LABEL_WIDTH: f64 = 210.0;
const GROUP_PADDING: f64 = 16.0;
const LOOP_WIDTH: f64 = 28.0;
pub(crate) const SMALL: f64 = 12.0;

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
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Frame {
    pub(crate) fn centre(&self) -> Point {
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
