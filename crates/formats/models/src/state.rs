//! State diagrams. Source: Mermaid 11, stateDiagram-v2; UML 2.5.1 §14 for what the checks mean.

use std::collections::{BTreeMap, BTreeSet};

use crate::ends::End;
use crate::finding::{Findings, reachable};
use crate::graph::{Arrow, Direction, Form, Graph, Group, Node, Part, Target};
use crate::model::{Reader, size_limits};
use crate::scan::{LOOKS, Problem, Scan, Spot, each, label, refuse};
use crate::scene::Stroke;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Plain,
    Start,
    Stop,
    Choice,
    Fork,
    Join,
    Note,
    /// Has states inside; drawn as a frame.
    Composite,
}

#[derive(Debug, Clone)]
struct State {
    name: String,
    text: String,
    more: Vec<String>,
    role: Role,
    /// The region that it stands in.
    region: Option<usize>,
    /// For composites: the first of its regions.
    inside: Option<usize>,
    spot: Spot,
}

#[derive(Debug, Clone)]
struct Transition {
    from: usize,
    to: usize,
    label: String,
    spot: Spot,
}

/// A part of a composite that runs by itself.
#[derive(Debug, Clone)]
struct Region {
    composite: usize,
    direction: Option<Direction>,
}

/// A state diagram.
#[derive(Debug, Clone, Default)]
pub(crate) struct States {
    direction: Direction,
    states: Vec<State>,
    transitions: Vec<Transition>,
    regions: Vec<Region>,
    names: BTreeMap<String, usize>,
    /// The composites that are open, with their present regions.
    open: Vec<(usize, usize)>,
    /// The note that goes on over lines.
    note: Option<(usize, Vec<String>, Spot)>,
}

impl Reader for States {
    fn read(mut rest: Scan<'_>, text: &str, first: usize) -> Result<Self, Vec<Problem>> {
        let mut states = Self::default();
        let mut problems: Vec<Problem> = rest.finish().err().into_iter().collect();
        problems.extend(each(text, first, |scan| states.statement(scan)));
        if let Some((composite, _)) = states.open.last() {
            let Spot { line, column } = states.states[*composite].spot;
            problems.push(Problem { line, column, message: "this state's '{' is not closed".to_owned() });
        }
        if let Some((.., Spot { line, column })) = states.note {
            problems.push(Problem { line, column, message: "this note has no \"end note\"".to_owned() });
        }
        size_limits(states.states.len() + states.regions.len(), states.transitions.len(), first, &mut problems);
        if problems.is_empty() { Ok(states) } else { Err(problems) }
    }

    fn check(&self, findings: &mut Findings) {
        let mut regions: BTreeSet<Option<usize>> = self.states.iter().map(|state| state.region).collect();
        regions.insert(None);
        for region in regions {
            self.check_region(region, findings);
        }
        self.check_ambiguity(findings);
        self.check_choices(findings);
    }

    fn graph(&self) -> Option<Graph> {
        let mut graph = Graph { direction: self.direction, ..Graph::default() };
        let mut targets = vec![Target::Node(0); self.states.len()];
        // A composite is a frame; several regions are dashed frames in it.
        let mut region_groups = vec![None; self.regions.len()];
        for (index, state) in self.states.iter().enumerate() {
            if state.role != Role::Composite {
                continue;
            }
            let parent = state.region.and_then(|region| region_groups.get(region).copied().flatten());
            let group = graph.groups.len();
            targets[index] = Target::Group(group);
            let regions: Vec<usize> =
                (0..self.regions.len()).filter(|region| self.regions[*region].composite == index).collect();
            let direction = regions.first().and_then(|region| self.regions[*region].direction);
            graph.groups.push(Group { label: state.text.clone(), parent, direction, is_dashed: false });
            for region in &regions {
                region_groups[*region] = Some(group);
                if regions.len() > 1 {
                    region_groups[*region] = Some(graph.groups.len());
                    let direction = self.regions[*region].direction;
                    graph.groups.push(Group { parent: Some(group), direction, is_dashed: true, ..Group::default() });
                }
            }
        }
        for (index, state) in self.states.iter().enumerate() {
            let form = match state.role {
                Role::Plain => Form::Round,
                Role::Start => Form::Start,
                Role::Stop => Form::Stop,
                Role::Choice => Form::Diamond,
                Role::Fork | Role::Join => Form::Bar,
                Role::Note => Form::Note,
                Role::Composite => continue,
            };
            let mut parts = match state.role {
                Role::Plain | Role::Note => vec![Part::Text(state.text.clone())],
                _ => Vec::new(),
            };
            if !state.more.is_empty() {
                parts.push(Part::List(state.more.clone()));
            }
            let group = state.region.and_then(|region| region_groups.get(region).copied().flatten());
            targets[index] = Target::Node(graph.nodes.len());
            graph.nodes.push(Node { form, parts, group });
        }
        for transition in &self.transitions {
            let mut arrow = Arrow::new(targets[transition.from], targets[transition.to]);
            arrow.label.clone_from(&transition.label);
            if self.states[transition.to].role == Role::Note {
                (arrow.stroke, arrow.head) = (Some(Stroke::Dashed), End::None);
            }
            graph.arrows.push(arrow);
        }
        Some(graph)
    }

    fn names(&self) -> Vec<String> {
        let named = self.states.iter().filter(|state| matches!(state.role, Role::Plain | Role::Composite));
        named.map(|state| state.text.clone()).collect()
    }
}

/// An event with its guard: `pay [enough] / ship` is `pay` when `enough`.
fn trigger(label: &str) -> (String, String) {
    let before = label.split('/').next().unwrap_or_default();
    match before.split_once('[') {
        Some((event, guard)) => {
            (event.trim().to_owned(), guard.split(']').next().unwrap_or_default().trim().to_owned())
        }
        None => (before.trim().to_owned(), String::new()),
    }
}

impl States {
    fn edges(&self) -> Vec<(usize, usize)> {
        let real = self.transitions.iter().filter(|one| self.states[one.to].role != Role::Note);
        real.map(|one| (one.from, one.to)).collect()
    }

    /// The states that a composite stands for from outside: one of its members is where it is left from.
    fn composite_of(&self, region: Option<usize>) -> Option<usize> {
        region.map(|region| self.regions[region].composite)
    }

    fn check_region(&self, region: Option<usize>, findings: &mut Findings) {
        let members: Vec<usize> = (0..self.states.len())
            .filter(|state| self.states[*state].region == region && self.states[*state].role != Role::Note)
            .collect();
        if members.is_empty() {
            return;
        }
        // Transitions from outside into a state of the region begin there as well.
        let is_inside = |state: usize| self.states[state].region == region;
        let edges = self.edges();
        let mut starts: Vec<usize> =
            members.iter().copied().filter(|state| self.states[*state].role == Role::Start).collect();
        if starts.is_empty() {
            let spot = members.iter().map(|state| self.states[*state].spot).min().unwrap_or_default();
            let name = self.composite_of(region).map(|state| self.states[state].name.clone()).unwrap_or_default();
            let is_entered = edges.iter().any(|(from, to)| is_inside(*to) && !is_inside(*from));
            if !is_entered {
                let message = (
                    format!("{name} 시작 상태([*] --> …)가 없다").trim().to_owned(),
                    format!("{name} has no initial state ([*] --> …)").trim().to_owned(),
                );
                let fix = ("[*] --> 첫 상태를 쓴다", "write [*] --> first");
                findings.add("model-state-no-start", spot, &name, message, fix);
                return;
            }
        }
        starts.extend(edges.iter().filter(|(from, to)| is_inside(*to) && !is_inside(*from)).map(|(_, to)| *to));
        let own: Vec<(usize, usize)> =
            edges.into_iter().filter(|(from, to)| is_inside(*from) && is_inside(*to)).collect();
        let seen = reachable(self.states.len(), &starts, &own);
        let back: Vec<(usize, usize)> = own.iter().map(|(from, to)| (*to, *from)).collect();
        // A state of a composite is left also by what leaves the composite.
        let is_left_outside = self.composite_of(region).is_some_and(|one| self.is_left(one));
        let stops: Vec<usize> =
            members.iter().copied().filter(|state| self.states[*state].role == Role::Stop).collect();
        let ending = reachable(self.states.len(), &stops, &back);
        for state in members {
            let State { name, spot, role, .. } = &self.states[state];
            if matches!(role, Role::Start | Role::Stop) {
                continue;
            }
            if !seen[state] {
                let message =
                    (format!("상태 \"{name}\"에 닿을 수 없다"), format!("the state \"{name}\" cannot be reached"));
                let fix = ("들어오는 전이를 쓰거나 지운다", "write a transition to it or remove it");
                findings.add("model-state-unreachable", *spot, name, message, fix);
            }
            let leaves = self
                .transitions
                .iter()
                .any(|one| one.from == state && one.to != state && self.states[one.to].role != Role::Note);
            if !leaves && !is_left_outside {
                let message = (
                    format!("상태 \"{name}\"에서 나가는 전이가 없고 끝 상태도 아니다"),
                    format!("no transition leaves the state \"{name}\", and it is not final"),
                );
                let fix = ("나가는 전이나 --> [*]를 쓴다", "write a transition from it, or --> [*]");
                findings.add("model-state-dead-end", *spot, name, message, fix);
            } else if !stops.is_empty() && !ending[state] && !is_left_outside && leaves && seen[state] {
                let message = (
                    format!("상태 \"{name}\"에서 끝 상태에 닿을 수 없다"),
                    format!("the final state cannot be reached from \"{name}\""),
                );
                let fix = ("끝으로 가는 전이를 쓴다", "write a transition toward the end");
                findings.add("model-state-trap", *spot, name, message, fix);
            }
        }
    }

    fn is_left(&self, state: usize) -> bool {
        let leaves = self.transitions.iter().any(|one| one.from == state && one.to != state);
        leaves || self.composite_of(self.states[state].region).is_some_and(|outer| self.is_left(outer))
    }

    fn check_ambiguity(&self, findings: &mut Findings) {
        let mut seen: BTreeMap<(usize, String, String), &Transition> = BTreeMap::new();
        for one in &self.transitions {
            let from = &self.states[one.from];
            // A fork leaves by all its ways; a note is no transition.
            if from.role == Role::Fork || self.states[one.to].role == Role::Note {
                continue;
            }
            let (event, guard) = trigger(&one.label);
            let Some(before) = seen.insert((one.from, event.clone(), guard.clone()), one) else { continue };
            if before.to == one.to {
                continue;
            }
            let words = if guard.is_empty() { event.clone() } else { format!("{event} [{guard}]") };
            let words = if words.is_empty() { "(-)".to_owned() } else { words };
            let name = |state: usize| &self.states[state].name;
            let (to, other) = (name(one.to), name(before.to));
            let message = (
                format!("상태 \"{}\"에서 \"{words}\"이(가) \"{other}\"와 \"{to}\" 두 곳으로 간다", from.name),
                format!("from the state \"{}\", \"{words}\" leads to both \"{other}\" and \"{to}\"", from.name),
            );
            let fix = ("조건을 나눈다: 사건 [조건]", "tell them apart with guards: event [guard]");
            findings.add("model-state-ambiguous", one.spot, &from.name, message, fix);
        }
    }

    fn check_choices(&self, findings: &mut Findings) {
        for (index, state) in self.states.iter().enumerate().filter(|(_, state)| state.role == Role::Choice) {
            let out: Vec<&Transition> = self.transitions.iter().filter(|one| one.from == index).collect();
            let silent = out.iter().filter(|one| one.label.is_empty()).count();
            if out.len() < 2 || silent > 1 {
                let name = &state.name;
                let message = (
                    format!("선택 \"{name}\"에서 나가는 길 {}개 가운데 {silent}개에 조건이 없다", out.len()),
                    format!("of the {} ways out of the choice \"{name}\", {silent} have no guard", out.len()),
                );
                let fix = ("길마다 조건을 쓴다", "write a guard on each way");
                findings.add("model-state-choice", state.spot, name, message, fix);
            }
        }
    }

    fn statement(&mut self, mut scan: Scan<'_>) -> Result<(), Problem> {
        if let Some((state, mut lines, spot)) = self.note.take() {
            if scan.rest() == "end note" {
                self.attach(state, &lines.join("\n"), spot);
            } else {
                lines.push(label(&scan, scan.rest())?);
                self.note = Some((state, lines, spot));
            }
            return Ok(());
        }
        refuse(&scan, &LOOKS)?;
        refuse(
            &scan,
            &[
                ("class", "colours come from the theme"),
                ("scale", "sizes come from the theme"),
                ("hide", "all is shown"),
            ],
        )?;
        if scan.eat("}") {
            scan.finish()?;
            return self.open.pop().map(|_| ()).ok_or_else(|| scan.problem("'}' closes nothing"));
        }
        if scan.rest() == "--" {
            let Some((composite, region)) = self.open.last_mut() else {
                return Err(scan.problem("\"--\" divides the states inside a state; none is open"));
            };
            *region = self.regions.len();
            self.regions.push(Region { composite: *composite, direction: None });
            return Ok(());
        }
        if scan.word("direction") {
            let word = scan.take_while(char::is_alphabetic);
            let direction = Direction::of(word).ok_or_else(|| scan.wanted("TB, BT, LR or RL"))?;
            match self.open.last() {
                Some((_, region)) => self.regions[*region].direction = Some(direction),
                None => self.direction = direction,
            }
            return scan.finish();
        }
        let begin = scan;
        if scan.word("note") {
            return self.read_note(begin.spot(), scan);
        }
        if scan.word("state") {
            return self.declaration(scan);
        }
        self.transition(scan)
    }

    fn region(&self) -> Option<usize> {
        self.open.last().map(|(_, region)| *region)
    }

    fn state(&mut self, name: &str, spot: Spot) -> usize {
        let region = self.region();
        *self.names.entry(name.to_owned()).or_insert_with(|| {
            let (name, text) = (name.to_owned(), name.to_owned());
            self.states.push(State { name, text, more: Vec::new(), role: Role::Plain, region, inside: None, spot });
            self.states.len() - 1
        })
    }

    /// `[*]` of the present region: one start and one stop each.
    fn pseudo(&mut self, role: Role, spot: Spot) -> usize {
        let region = self.region();
        let found = self.states.iter().position(|state| state.role == role && state.region == region);
        found.unwrap_or_else(|| {
            let (name, text, more) = ("[*]".to_owned(), String::new(), Vec::new());
            self.states.push(State { name, text, more, role, region, inside: None, spot });
            self.states.len() - 1
        })
    }

    /// `state "text" as s`, `state s <<choice>>`, `state s {`.
    fn declaration(&mut self, mut scan: Scan<'_>) -> Result<(), Problem> {
        let begin = scan;
        let mut text = None;
        if let Some(quoted) = scan.quoted()? {
            text = Some(label(&begin, quoted)?);
            scan.spaces();
            if !scan.word("as") {
                return Err(scan.wanted("\"as\" and a name"));
            }
        }
        let at = scan.spot();
        let name = scan.name().ok_or_else(|| scan.wanted("the name of a state"))?;
        let state = self.state(name, at);
        if let Some(text) = text {
            self.states[state].text = text;
        }
        scan.spaces();
        if scan.eat("<<") {
            let word = scan.until(">>").ok_or_else(|| scan.wanted("\">>\""))?;
            self.states[state].role = match word.trim() {
                "choice" => Role::Choice,
                "fork" => Role::Fork,
                "join" => Role::Join,
                other => {
                    return Err(begin.problem(format!("\"<<{other}>>\" is not supported; use choice, fork or join")));
                }
            };
        } else if scan.eat("{") {
            if self.open.len() >= 6 {
                return Err(begin.problem("states stand deeper than 6"));
            }
            if self.states[state].inside.is_some() {
                return Err(begin.problem(format!("the state \"{name}\" has its inside already")));
            }
            let region = self.regions.len();
            self.regions.push(Region { composite: state, direction: None });
            (self.states[state].role, self.states[state].inside) = (Role::Composite, Some(region));
            self.open.push((state, region));
        } else if scan.eat(":") {
            self.states[state].text = label(&begin, scan.all())?;
        }
        scan.finish()
    }

    fn transition(&mut self, mut scan: Scan<'_>) -> Result<(), Problem> {
        let begin = scan;
        let from = self.end(&mut scan, Role::Start)?;
        scan.spaces();
        if scan.eat(":") {
            let text = label(&begin, scan.all())?;
            // The first words about a state are its name for people; more stand below.
            let state = &mut self.states[from];
            if state.text == state.name {
                state.text = text
            } else {
                state.more.push(text)
            }
            return Ok(());
        }
        if scan.is_end() {
            return Ok(());
        }
        if !scan.eat("-->") {
            return Err(scan.wanted("\"-->\" or \":\""));
        }
        scan.spaces();
        let to = self.end(&mut scan, Role::Stop)?;
        scan.spaces();
        let text = if scan.eat(":") { label(&begin, scan.all())? } else { String::new() };
        self.transitions.push(Transition { from, to, label: text, spot: begin.spot() });
        scan.finish()
    }

    fn end(&mut self, scan: &mut Scan<'_>, role: Role) -> Result<usize, Problem> {
        let spot = scan.spot();
        if scan.eat("[*]") {
            return Ok(self.pseudo(role, spot));
        }
        if scan.rest().starts_with("[H") {
            return Err(scan.problem("history states are not supported"));
        }
        let name = scan.name().ok_or_else(|| scan.wanted("the name of a state or [*]"))?;
        if scan.rest().starts_with(":::") {
            return Err(scan.problem("\":::\" is not supported: colours come from the theme"));
        }
        Ok(self.state(name, spot))
    }

    /// `note right of s : text`, or over lines up to `end note`.
    fn read_note(&mut self, spot: Spot, mut scan: Scan<'_>) -> Result<(), Problem> {
        if !(scan.word("right") || scan.word("left")) || !scan.word("of") {
            return Err(scan.wanted("\"right of\" or \"left of\" a state"));
        }
        let at = scan.spot();
        let name = scan.name().ok_or_else(|| scan.wanted("the name of a state"))?;
        let state = self.state(name, at);
        scan.spaces();
        if scan.eat(":") {
            let text = label(&scan, scan.rest())?;
            self.attach(state, &text, spot);
            return Ok(());
        }
        self.note = Some((state, Vec::new(), spot));
        scan.finish()
    }

    fn attach(&mut self, state: usize, text: &str, spot: Spot) {
        let region = self.states[state].region;
        let (name, text) = ("note".to_owned(), text.to_owned());
        self.states.push(State { name, text, more: Vec::new(), role: Role::Note, region, inside: None, spot });
        let to = self.states.len() - 1;
        self.transitions.push(Transition { from: state, to, label: String::new(), spot });
    }
}
