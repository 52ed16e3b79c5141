//! Sequence diagrams as scenes: participants beside each other, time goes down.

use std::collections::BTreeMap;

use crate::boxes::draw_actor;
use crate::ends::draw_end;
use crate::layered::Point;
use crate::scene::{Anchor, Role, Scene, Shape, Stroke};
use crate::sequence::{Event, Participant, Sequence, Side};
use crate::width::{FONT_SIZE, width, wrap};

const HEAD: f64 = 44.0;
const STEP: f64 = 42.0;
const LINE: f64 = 17.0;
const SMALL: f64 = 13.0;
const NOTE_WIDTH: f64 = 170.0;
const BAR: f64 = 10.0;
const TEXT_WIDTH: f64 = 320.0;

fn high(lines: usize) -> f64 {
    f64::from(u32::try_from(lines).unwrap_or(1)) * LINE
}

fn message_lines(text: &str, number: Option<usize>) -> Vec<String> {
    let text = number.map_or_else(|| text.to_owned(), |number| format!("{number}. {text}"));
    wrap(&text, TEXT_WIDTH)
}

fn text_width(lines: &[String]) -> f64 {
    lines.iter().map(|line| width(line, SMALL)).fold(0.0, f64::max)
}

impl Sequence {
    pub(crate) fn scene(&self) -> Scene {
        let heads: Vec<Vec<String>> = self.participants.iter().map(|one| wrap(&one.text, 150.0)).collect();
        let widths: Vec<f64> = heads
            .iter()
            .map(|lines| lines.iter().map(|line| width(line, FONT_SIZE)).fold(50.0, f64::max) + 24.0)
            .collect();
        let x = self.columns(&widths);
        let tallest = heads.iter().map(Vec::len).max().unwrap_or(1);
        let head = HEAD
            + high(tallest.saturating_sub(1))
            + if self.participants.iter().any(|one| one.is_actor) { 34.0 } else { 0.0 };
        let mut drawing = Drawing {
            x: &x,
            y: head + 16.0,
            back: Scene::default(),
            bars: Scene::default(),
            front: Scene::default(),
            active: BTreeMap::new(),
            frames: Vec::new(),
        };
        for (index, (event, _)) in self.events.iter().enumerate() {
            drawing.event(event, self.events.get(index + 1).map(|(next, _)| next));
        }
        let bottom = drawing.y + 14.0;
        for (one, begins) in std::mem::take(&mut drawing.active) {
            for begin in begins {
                drawing.bar(one, begin, bottom);
            }
        }
        let Drawing { back: mut scene, mut bars, mut front, .. } = drawing;
        for x in &x {
            let points = vec![(*x, head), (*x, bottom)];
            scene.shapes.push(Shape::Way { points, stroke: Stroke::Dashed, line: Role::Muted, round: 0.0 });
        }
        scene.shapes.append(&mut bars.shapes);
        scene.shapes.append(&mut front.shapes);
        for (index, one) in self.participants.iter().enumerate() {
            draw_head(&mut scene, one, &heads[index], x[index], widths[index], head);
        }
        scene
    }

    /// Where the participants stand: as near as heads, messages and notes between them allow.
    fn columns(&self, widths: &[f64]) -> Vec<f64> {
        // What lies between two participants, by their numbers.
        let mut wishes: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        let mut wish = |from: usize, to: usize, room: f64| {
            let entry = wishes.entry((from.min(to), from.max(to))).or_insert(0.0);
            *entry = entry.max(room);
        };
        for (event, _) in &self.events {
            match event {
                Event::Message { from, to, text, number, .. } => {
                    let room = text_width(&message_lines(text, *number)) + 40.0;
                    if from == to { wish(*from, from + 1, room + 30.0) } else { wish(*from, *to, room) }
                }
                Event::Note { from, to, side: Side::Over, text } if from != to => {
                    wish(*from, *to, text_width(&wrap(text, TEXT_WIDTH)) - 20.0);
                }
                Event::Note { from, side: Side::Over, .. } => {
                    wish(*from, from + 1, NOTE_WIDTH / 2.0 + 40.0);
                    if let Some(before) = from.checked_sub(1) {
                        wish(before, *from, NOTE_WIDTH / 2.0 + 40.0);
                    }
                }
                Event::Note { from, side: Side::Right, .. } => wish(*from, from + 1, NOTE_WIDTH + 30.0),
                Event::Note { from, side: Side::Left, .. } => {
                    if let Some(before) = from.checked_sub(1) {
                        wish(before, *from, NOTE_WIDTH + 30.0);
                    }
                }
                _ => {}
            }
        }
        let mut x: Vec<f64> = Vec::new();
        for index in 0..widths.len() {
            let mut at = match index.checked_sub(1) {
                Some(before) => x[before] + widths[before] / 2.0 + 30.0 + widths[index] / 2.0,
                None => widths[index] / 2.0,
            };
            for ((from, to), room) in &wishes {
                if *to == index && *from < index {
                    at = at.max(x[*from] + room);
                }
            }
            x.push(at);
        }
        x
    }
}

/// A frame that is open: its top, its word, its text, the places of its further parts.
type OpenFrame = (f64, &'static str, String, Vec<(f64, String)>);

/// What happens, being drawn from the top down.
struct Drawing<'x> {
    x: &'x [f64],
    y: f64,
    /// Frames; bars on lifelines; messages and notes.
    back: Scene,
    bars: Scene,
    front: Scene,
    active: BTreeMap<usize, Vec<f64>>,
    frames: Vec<OpenFrame>,
}

impl Drawing<'_> {
    fn event(&mut self, event: &Event, next: Option<&Event>) {
        match event {
            Event::Message { to, .. } => {
                let begins = matches!(next, Some(Event::Activate(one)) if one == to);
                self.message(event, begins);
            }
            Event::Note { from, to, side, text } => self.note((*from, *to), *side, text),
            Event::Activate(one) => self.active.entry(*one).or_default().push(self.y - 12.0),
            Event::Deactivate(one) => {
                if let Some(begin) = self.active.entry(*one).or_default().pop() {
                    self.bar(*one, begin, self.y - 12.0);
                }
            }
            Event::Open { word, text } => {
                self.frames.push((self.y + 4.0, word, text.clone(), Vec::new()));
                self.y += if *word == "rect" { 10.0 } else { LINE + 14.0 };
            }
            Event::Part { text } => {
                if let Some((.., parts)) = self.frames.last_mut() {
                    parts.push((self.y + 6.0, text.clone()));
                }
                self.y += LINE + 12.0;
            }
            Event::Close => {
                self.y += 8.0;
                if let Some(frame) = self.frames.pop() {
                    self.frame(&frame);
                }
                self.y += 8.0;
            }
        }
    }

    fn bar(&mut self, one: usize, begin: f64, end: f64) {
        self.bars.shapes.push(Shape::Rectangle {
            left: self.x[one] - BAR / 2.0,
            top: begin,
            width: BAR,
            height: (end - begin).max(8.0),
            round: 0.0,
            fill: Role::Strong,
            line: Some(Role::Line),
        });
    }

    fn message(&mut self, event: &Event, begins: bool) {
        let Event::Message { from, to, text, stroke, head, tail, number } = event else { return };
        let lines = message_lines(text, *number);
        let is_active = |one: &usize| self.active.get(one).is_some_and(|begins| !begins.is_empty());
        self.y += high(lines.len()).max(LINE) + 12.0;
        let y = self.y;
        let reach = |is_active: bool| if is_active { BAR / 2.0 } else { 0.0 };
        let (reach_from, reach_to) = (reach(is_active(from)), reach(begins || is_active(to)));
        let (from_x, to_x) = (self.x[*from], self.x[*to]);
        let middle = if from == to { from_x + 12.0 } else { from_x.midpoint(to_x) };
        let anchor = if from == to { Anchor::Start } else { Anchor::Middle };
        texts(&mut self.front, &lines, (middle, y - 6.0 - high(lines.len() - 1)), anchor, Role::Page);
        let points = if from == to {
            let begin = from_x + reach_from;
            vec![(begin, y), (begin + 30.0, y), (begin + 30.0, y + 18.0), (begin, y + 18.0)]
        } else {
            let side = if to_x > from_x { 1.0 } else { -1.0 };
            vec![(from_x + side * reach_from, y), (to_x - side * reach_to, y)]
        };
        self.front.way(points.clone(), *stroke);
        if let [first, second, ..] = points.as_slice() {
            draw_end(&mut self.front, *tail, *first, *second);
        }
        if let [.., before, last] = points.as_slice() {
            draw_end(&mut self.front, *head, *last, *before);
        }
        self.y += if from == to { STEP - 12.0 } else { 12.0 };
    }

    fn note(&mut self, (from, to): (usize, usize), side: Side, text: &str) {
        let (low, high_x) = (self.x[from].min(self.x[to]), self.x[from].max(self.x[to]));
        let (left, width) = match side {
            Side::Over if from != to => (low - 30.0, high_x - low + 60.0),
            Side::Over => (low - NOTE_WIDTH / 2.0, NOTE_WIDTH),
            Side::Right => (high_x + 12.0, NOTE_WIDTH),
            Side::Left => (low - 12.0 - NOTE_WIDTH, NOTE_WIDTH),
        };
        let lines = wrap(text, width - 16.0);
        let (top, height) = (self.y + 4.0, high(lines.len()) + 12.0);
        let (fill, line) = (Role::Strong, Some(Role::Line));
        self.front.shapes.push(Shape::Rectangle { left, top, width, height, round: 2.0, fill, line });
        texts(&mut self.front, &lines, (left + width / 2.0, top + 4.0 + LINE * 0.75), Anchor::Middle, fill);
        self.y += height + 12.0;
    }

    fn frame(&mut self, (top, word, text, parts): &OpenFrame) {
        let inset = f64::from(u32::try_from(self.frames.len()).unwrap_or(0)) * 8.0;
        let left = self.x.first().copied().unwrap_or_default() - 70.0 + inset;
        let right = self.x.last().copied().unwrap_or_default() + 70.0 - inset;
        let (top, wide, height) = (*top, right - left, self.y - top);
        let is_plain = *word == "rect";
        let (fill, line) = if is_plain { (Role::Group, None) } else { (Role::Page, Some(Role::Muted)) };
        // A frame that ends later lies further back.
        self.back.shapes.insert(0, Shape::Rectangle { left, top, width: wide, height, round: 3.0, fill, line });
        if is_plain {
            return;
        }
        let mut words = |at: Point, text: String, bold: bool| {
            let (anchor, role) = (Anchor::Start, Role::Muted);
            behind(&mut self.front, at, &text, anchor, Role::Page);
            self.front.shapes.push(Shape::Text { at, text, size: SMALL, anchor, bold, italic: false, role });
        };
        words((left + 8.0, top + 15.0), (*word).to_owned(), true);
        if !text.is_empty() {
            let at = left + 20.0 + width(word, SMALL) * 1.1;
            words((at, top + 15.0), format!("[{}]", text.replace('\n', " ")), false);
        }
        for (y, text) in parts {
            words((left + 8.0, y + 15.0), format!("[{}]", text.replace('\n', " ")), false);
            let points = vec![(left, *y), (right, *y)];
            self.back.shapes.push(Shape::Way { points, stroke: Stroke::Dashed, line: Role::Muted, round: 0.0 });
        }
    }
}

/// What lies behind one line of text, so that no lifeline runs through it.
fn behind(scene: &mut Scene, at: Point, text: &str, anchor: Anchor, fill: Role) {
    let wide = width(text, SMALL);
    let left = match anchor {
        Anchor::Start => at.0,
        Anchor::Middle => at.0 - wide / 2.0,
    };
    let (left, top, width, height) = (left - 2.0, at.1 - SMALL + 1.0, wide + 4.0, SMALL + 3.0);
    scene.shapes.push(Shape::Rectangle { left, top, width, height, round: 2.0, fill, line: None });
}

fn texts(scene: &mut Scene, lines: &[String], first: Point, anchor: Anchor, fill: Role) {
    let mut at = first;
    for text in lines {
        behind(scene, at, text, anchor, fill);
        let (text, role) = (text.clone(), Role::Text);
        scene.shapes.push(Shape::Text { at, text, size: SMALL, anchor, bold: false, italic: false, role });
        at.1 += LINE;
    }
}

fn draw_head(scene: &mut Scene, one: &Participant, lines: &[String], x: f64, width: f64, head: f64) {
    let mut base = if one.is_actor {
        draw_actor(scene, (x, head - 50.0 - high(lines.len())));
        head - high(lines.len() - 1) - 6.0
    } else {
        let height = high(lines.len()) + 20.0;
        let (left, top) = (x - width / 2.0, head - height);
        let (fill, line) = (Role::Node, Some(Role::Line));
        scene.shapes.push(Shape::Rectangle { left, top, width, height, round: 3.0, fill, line });
        top + 24.0
    };
    for text in lines {
        scene.shapes.push(Shape::Text {
            at: (x, base),
            text: text.clone(),
            size: FONT_SIZE,
            anchor: Anchor::Middle,
            bold: true,
            italic: false,
            role: Role::Text,
        });
        base += LINE;
    }
}
