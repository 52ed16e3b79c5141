//! Sequence diagrams. Source: Mermaid 11, sequenceDiagram.

use std::collections::BTreeMap;

use crate::ends::{End, draw_end};
use crate::finding::Findings;
use crate::graph::{Graph, draw_actor};
use crate::layered::Point;
use crate::model::{Reader, size_limits};
use crate::scan::{LOOKS, Problem, Scan, Spot, each, label, refuse};
use crate::scene::{Anchor, Role, Scene, Shape, Stroke};
use crate::width::{FONT_SIZE, width, wrap};

#[derive(Debug, Clone)]
struct Participant {
    name: String,
    text: String,
    is_actor: bool,
    is_declared: bool,
    is_used: bool,
    spot: Spot,
}

#[derive(Debug, Clone)]
enum Event {
    Message {
        from: usize,
        to: usize,
        text: String,
        stroke: Stroke,
        head: End,
        tail: End,
        number: Option<usize>,
    },
    Note {
        from: usize,
        to: usize,
        side: Side,
        text: String,
    },
    Activate(usize),
    Deactivate(usize),
    /// A frame begins, its next part begins, it ends.
    Open {
        word: &'static str,
        text: String,
    },
    Part {
        text: String,
    },
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Over,
}

/// A sequence diagram.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sequence {
    participants: Vec<Participant>,
    names: BTreeMap<String, usize>,
    events: Vec<(Event, Spot)>,
    open: Vec<(&'static str, Spot)>,
    number: Option<usize>,
    messages: usize,
    in_box: bool,
}

/// Arrows, longest first: the line, the head, the tail.
const ARROWS: [(&str, Stroke, End, End); 10] = [
    ("<<-->>", Stroke::Dashed, End::Arrow, End::Arrow),
    ("<<->>", Stroke::Plain, End::Arrow, End::Arrow),
    ("-->>", Stroke::Dashed, End::Arrow, End::None),
    ("->>", Stroke::Plain, End::Arrow, End::None),
    ("-->", Stroke::Dashed, End::None, End::None),
    ("->", Stroke::Plain, End::None, End::None),
    ("--x", Stroke::Dashed, End::Cross, End::None),
    ("-x", Stroke::Plain, End::Cross, End::None),
    ("--)", Stroke::Dashed, End::Open, End::None),
    ("-)", Stroke::Plain, End::Open, End::None),
];
/// Frames, and the words that begin their further parts.
const FRAMES: [(&str, Option<&str>); 7] = [
    ("loop", None),
    ("alt", Some("else")),
    ("opt", None),
    ("par", Some("and")),
    ("critical", Some("option")),
    ("break", None),
    ("rect", None),
];

impl Reader for Sequence {
    fn read(mut rest: Scan<'_>, text: &str, first: usize) -> Result<Self, Vec<Problem>> {
        let mut sequence = Self::default();
        let mut problems: Vec<Problem> = rest.finish().err().into_iter().collect();
        problems.extend(each(text, first, |scan| sequence.statement(scan)));
        if let Some((word, Spot { line, column })) = sequence.open.last() {
            problems.push(Problem { line: *line, column: *column, message: format!("this \"{word}\" has no \"end\"") });
        }
        size_limits(sequence.participants.len(), sequence.events.len(), first, &mut problems);
        if problems.is_empty() { Ok(sequence) } else { Err(problems) }
    }

    fn check(&self, findings: &mut Findings) {
        let is_any_declared = self.participants.iter().any(|one| one.is_declared);
        for one in &self.participants {
            let name = &one.name;
            if is_any_declared && !one.is_declared {
                let message = (
                    format!("참여자 \"{name}\"이 선언되지 않았다"),
                    format!("the participant \"{name}\" is not declared"),
                );
                let fix =
                    ("participant로 선언하거나 이름을 고친다", "declare it with participant, or correct the name");
                findings.add("model-sequence-undefined", one.spot, name, message, fix);
            }
            if !one.is_used {
                let message = (
                    format!("참여자 \"{name}\"이 메시지를 주고받지 않는다"),
                    format!("the participant \"{name}\" neither sends nor receives"),
                );
                let fix = ("메시지를 쓰거나 지운다", "write its messages or remove it");
                findings.add("model-sequence-alone", one.spot, name, message, fix);
            }
        }
        self.check_activations(findings);
    }

    fn graph(&self) -> Option<Graph> {
        None
    }

    fn names(&self) -> Vec<String> {
        self.participants.iter().map(|one| one.text.clone()).collect()
    }
}

impl Sequence {
    fn check_activations(&self, findings: &mut Findings) {
        let mut active: BTreeMap<usize, Vec<Spot>> = BTreeMap::new();
        for (event, spot) in &self.events {
            match event {
                Event::Activate(one) => active.entry(*one).or_default().push(*spot),
                Event::Deactivate(one) if active.entry(*one).or_default().pop().is_none() => {
                    let name = &self.participants[*one].name;
                    let message = (
                        format!("활성이 아닌 \"{name}\"을 비활성으로 한다"),
                        format!("\"{name}\" is deactivated without being active"),
                    );
                    let fix = ("activate나 +를 쓴다", "write activate or + before");
                    findings.add("model-sequence-activation", *spot, name, message, fix);
                }
                _ => {}
            }
        }
        for (one, spots) in active {
            for spot in spots {
                let name = &self.participants[one].name;
                let message = (format!("\"{name}\"의 활성이 끝나지 않는다"), format!("\"{name}\" stays active"));
                let fix = ("deactivate나 -를 쓴다", "write deactivate or - after");
                findings.add("model-sequence-activation", spot, name, message, fix);
            }
        }
    }

    fn participant(&mut self, name: &str, spot: Spot) -> usize {
        *self.names.entry(name.to_owned()).or_insert_with(|| {
            let (name, text) = (name.to_owned(), name.to_owned());
            self.participants.push(Participant {
                name,
                text,
                is_actor: false,
                is_declared: false,
                is_used: false,
                spot,
            });
            self.participants.len() - 1
        })
    }

    fn statement(&mut self, mut scan: Scan<'_>) -> Result<(), Problem> {
        refuse(&scan, &LOOKS)?;
        refuse(
            &scan,
            &[
                ("links", "a diagram leads nowhere"),
                ("link", "a diagram leads nowhere"),
                ("properties", "looks come from the theme"),
                ("details", "looks come from the theme"),
                ("create", "declare participants at the top"),
                ("destroy", "write the last message"),
                ("title", "write it in the front matter"),
                ("accTitle", "write title in the front matter"),
                ("accDescr", "write description in the front matter"),
            ],
        )?;
        let begin = scan;
        let spot = begin.spot();
        for (word, is_actor) in [("participant", false), ("actor", true)] {
            if scan.word(word) {
                return self.declaration(scan, is_actor);
            }
        }
        if scan.word("autonumber") {
            self.number = Some(1);
            return scan.finish();
        }
        if scan.word("box") {
            if self.in_box {
                return Err(begin.problem("a box stands inside a box"));
            }
            self.in_box = true;
            self.open.push(("box", spot));
            return Ok(());
        }
        if scan.word("end") {
            let Some((word, _)) = self.open.pop() else { return Err(begin.problem("\"end\" closes nothing")) };
            if word == "box" {
                self.in_box = false
            } else {
                self.events.push((Event::Close, spot))
            }
            return scan.finish();
        }
        for (word, part) in FRAMES {
            if scan.word(word) {
                let text = if word == "rect" { String::new() } else { label(&begin, scan.all())? };
                if self.open.len() >= 10 {
                    return Err(begin.problem("frames stand deeper than 10"));
                }
                self.open.push((word, spot));
                self.events.push((Event::Open { word, text }, spot));
                return Ok(());
            }
            if part.is_some_and(|part| scan.word(part)) {
                if self.open.last().is_none_or(|(open, _)| *open != word) {
                    return Err(begin.problem(format!("\"{}\" belongs into \"{word}\"", part.unwrap_or_default())));
                }
                let text = label(&begin, scan.all())?;
                self.events.push((Event::Part { text }, spot));
                return Ok(());
            }
        }
        if scan.word("activate") || scan.word("deactivate") {
            let at = scan.spot();
            let name = self.name(&mut scan)?;
            let one = self.participant(&name, at);
            let event = if begin.rest().starts_with('a') { Event::Activate(one) } else { Event::Deactivate(one) };
            self.events.push((event, spot));
            return scan.finish();
        }
        if scan.word("Note") || scan.word("note") {
            return self.note(scan, spot);
        }
        self.message(scan)
    }

    fn declaration(&mut self, mut scan: Scan<'_>, is_actor: bool) -> Result<(), Problem> {
        let spot = scan.spot();
        let name = self.name(&mut scan)?;
        let one = self.participant(&name, spot);
        if self.participants[one].is_declared {
            return Err(scan.problem(format!("\"{name}\" is declared already")));
        }
        (self.participants[one].is_declared, self.participants[one].is_actor) = (true, is_actor);
        scan.spaces();
        if scan.word("as") {
            let text = label(&scan, scan.rest())?;
            if text.is_empty() {
                return Err(scan.wanted("the participant's name for people"));
            }
            self.participants[one].text = text;
            return Ok(());
        }
        scan.finish()
    }

    /// A participant's name: words up to an arrow, a colon or a comma.
    fn name(&mut self, scan: &mut Scan<'_>) -> Result<String, Problem> {
        let begin = *scan;
        let mut name = String::new();
        let arrows = ARROWS.map(|(arrow, ..)| arrow);
        while let Some(part) = scan.name_before(&arrows) {
            if !name.is_empty() {
                name.push(' ');
            }
            name.push_str(part);
            let mut ahead = *scan;
            ahead.spaces();
            let goes_on = ahead.peek().is_some_and(|next| next.is_alphanumeric()) && !ahead.clone().word("as");
            if !goes_on {
                break;
            }
            *scan = ahead;
        }
        if name.is_empty() { Err(begin.wanted("the name of a participant")) } else { Ok(name) }
    }

    fn note(&mut self, mut scan: Scan<'_>, spot: Spot) -> Result<(), Problem> {
        let side = if scan.word("left") && scan.word("of") {
            Side::Left
        } else if scan.word("right") && scan.word("of") {
            Side::Right
        } else if scan.word("over") {
            Side::Over
        } else {
            return Err(scan.wanted("\"left of\", \"right of\" or \"over\""));
        };
        let at = scan.spot();
        let name = self.name(&mut scan)?;
        let from = self.participant(&name, at);
        let mut to = from;
        scan.spaces();
        if side == Side::Over && scan.eat(",") {
            scan.spaces();
            let at = scan.spot();
            let name = self.name(&mut scan)?;
            to = self.participant(&name, at);
            scan.spaces();
        }
        if !scan.eat(":") {
            return Err(scan.wanted("\":\" and the note"));
        }
        let text = label(&scan, scan.rest())?;
        self.events.push((Event::Note { from, to, side, text }, spot));
        Ok(())
    }

    fn message(&mut self, mut scan: Scan<'_>) -> Result<(), Problem> {
        let begin = scan;
        let name = self.name(&mut scan)?;
        scan.spaces();
        let found = ARROWS.iter().find(|(arrow, ..)| scan.eat(arrow));
        let Some((_, stroke, head, tail)) = found else { return Err(scan.wanted("an arrow such as ->> or -->>")) };
        scan.spaces();
        let (activates, deactivates) = (scan.eat("+"), scan.eat("-"));
        scan.spaces();
        let at = scan.spot();
        let other = self.name(&mut scan)?;
        let (from, to) = (self.participant(&name, begin.spot()), self.participant(&other, at));
        scan.spaces();
        if !scan.eat(":") {
            return Err(scan.wanted("\":\" and the message"));
        }
        let text = label(&begin, scan.rest())?;
        let number = self.number;
        self.number = number.map(|number| number + 1);
        self.messages += 1;
        for one in [from, to] {
            self.participants[one].is_used = true;
        }
        let (stroke, head, tail) = (*stroke, *head, *tail);
        self.events.push((Event::Message { from, to, text, stroke, head, tail, number }, begin.spot()));
        if activates {
            self.events.push((Event::Activate(to), begin.spot()));
        }
        if deactivates {
            self.events.push((Event::Deactivate(from), begin.spot()));
        }
        Ok(())
    }
}

/// Drawing: participants beside each other, time goes down.
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
