//! Sequence diagrams. Source: Mermaid 11, sequenceDiagram.

use std::collections::BTreeMap;

use crate::ends::End;
use crate::finding::Findings;
use crate::graph::Graph;
use crate::model::{Reader, size_limits};
use crate::scan::{LOOKS, Problem, Scan, Spot, each, label, refuse};
use crate::scene::Stroke;

#[derive(Debug, Clone)]
pub(crate) struct Participant {
    name: String,
    pub(crate) text: String,
    pub(crate) is_actor: bool,
    is_declared: bool,
    is_used: bool,
    spot: Spot,
}

#[derive(Debug, Clone)]
pub(crate) enum Event {
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
pub(crate) enum Side {
    Left,
    Right,
    Over,
}

/// A sequence diagram.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sequence {
    pub(crate) participants: Vec<Participant>,
    names: BTreeMap<String, usize>,
    pub(crate) events: Vec<(Event, Spot)>,
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
