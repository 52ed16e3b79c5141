//! Flowcharts. Source: Mermaid 11, flowchart.

use std::collections::BTreeMap;

use crate::ends::End;
use crate::finding::{Findings, reachable};
use crate::graph::{Arrow, Direction, Form, Graph, Group, Node, Part, Target};
use crate::model::{Reader, size_limits};
use crate::scan::{LOOKS, Problem, Scan, Spot, each, label, refuse};
use crate::scene::Stroke;

/// A flowchart.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flow {
    direction: Direction,
    nodes: Vec<Step>,
    links: Vec<Way>,
    groups: Vec<Frame>,
    names: BTreeMap<String, usize>,
    group_names: BTreeMap<String, usize>,
    open: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Step {
    name: String,
    text: Option<String>,
    form: Form,
    group: Option<usize>,
    spot: Spot,
}

#[derive(Debug, Clone)]
struct Way {
    from: Target,
    to: Target,
    label: String,
    stroke: Option<Stroke>,
    head: End,
    tail: End,
}

#[derive(Debug, Clone)]
struct Frame {
    label: String,
    parent: Option<usize>,
    direction: Option<Direction>,
    spot: Spot,
}

/// Openings of forms with their closings, longest first.
const FORMS: [(&str, &str, Form); 16] = [
    ("(((", ")))", Form::DoubleCircle),
    ("((", "))", Form::Circle),
    ("([", "])", Form::Stadium),
    ("[[", "]]", Form::Subroutine),
    ("[(", ")]", Form::Cylinder),
    ("[/", "/]", Form::Lean),
    ("[/", "\\]", Form::Foot),
    ("[\\", "\\]", Form::LeanBack),
    ("[\\", "/]", Form::Funnel),
    ("{{", "}}", Form::Hexagon),
    ("[", "]", Form::Rectangle),
    ("(", ")", Form::Round),
    ("{", "}", Form::Diamond),
    (">", "]", Form::Flag),
    ("@{", "}", Form::Rectangle),
    (":::", "", Form::Rectangle),
];

impl Reader for Flow {
    fn read(rest: Scan<'_>, text: &str, first: usize) -> Result<Self, Vec<Problem>> {
        let mut flow = Self::default();
        let mut rest = rest;
        let mut problems = Vec::new();
        let word = rest.take_while(char::is_alphabetic);
        match Direction::of(word) {
            Some(direction) => flow.direction = direction,
            None if word.is_empty() => {}
            None => problems.push(rest.problem(format!("\"{word}\" is no direction; use TB, TD, BT, LR or RL"))),
        }
        rest.spaces();
        if rest.eat(";") {
            rest.spaces();
        }
        if !rest.is_end() && problems.is_empty() {
            problems.extend(flow.statement(rest).err());
        }
        problems.extend(each(text, first, |scan| flow.statement(scan)));
        if let Some(group) = flow.open.last().and_then(|group| flow.groups.get(*group)) {
            let Spot { line, column } = group.spot;
            problems.push(Problem { line, column, message: "this subgraph has no \"end\"".to_owned() });
        }
        size_limits(flow.nodes.len() + flow.groups.len(), flow.links.len(), first, &mut problems);
        if problems.is_empty() { Ok(flow) } else { Err(problems) }
    }

    fn check(&self, findings: &mut Findings) {
        let edges: Vec<(usize, usize)> = self.links.iter().flat_map(|link| self.spread(link)).collect();
        let is_entered = |node: usize| edges.iter().any(|(from, to)| *to == node && *from != node);
        // The first one is a start, also when something leads back to it.
        let starts: Vec<usize> = (0..self.nodes.len()).filter(|node| *node == 0 || !is_entered(*node)).collect();
        let is_reached = reachable(self.nodes.len(), &starts, &edges);
        let back: Vec<(usize, usize)> = edges.iter().map(|(from, to)| (*to, *from)).collect();
        let stops: Vec<usize> =
            (0..self.nodes.len()).filter(|node| !edges.iter().any(|(from, to)| from == node && to != node)).collect();
        let ends = reachable(self.nodes.len(), &stops, &back);
        for (index, node) in self.nodes.iter().enumerate() {
            let is_linked = edges.iter().any(|(from, to)| *from == index || *to == index);
            let (name, spot) = (&node.name, node.spot);
            if !is_linked && !edges.is_empty() {
                let message = (format!("\"{name}\"에 이어진 것이 없다"), format!("nothing is linked to \"{name}\""));
                findings.add("model-flow-alone", spot, name, message, ("잇거나 지운다", "link it or remove it"));
            } else if !is_reached.get(index).copied().unwrap_or(true) {
                let message = (format!("시작에서 \"{name}\"에 닿지 않는다"), format!("no start leads to \"{name}\""));
                let fix = ("들어오는 길을 잇는다", "link a way to it");
                findings.add("model-flow-unreachable", spot, name, message, fix);
            }
            if is_linked && !ends.get(index).copied().unwrap_or(true) {
                let message =
                    (format!("\"{name}\"에서 끝에 닿지 않는다"), format!("no way leads from \"{name}\" to an end"));
                let fix = ("끝나는 길을 잇는다", "link a way out");
                findings.add("model-flow-no-end", spot, name, message, fix);
            }
            if node.form == Form::Diamond {
                self.check_decision(index, node, findings);
            }
        }
    }

    fn graph(&self) -> Option<Graph> {
        let nodes = self.nodes.iter().map(|step| Node {
            form: step.form,
            parts: vec![Part::Text(step.text.clone().unwrap_or_else(|| step.name.clone()))],
            group: step.group,
        });
        let arrows = self.links.iter().map(|link| Arrow {
            label: link.label.clone(),
            stroke: link.stroke,
            head: link.head,
            tail: link.tail,
            ..Arrow::new(link.from, link.to)
        });
        let groups = self.groups.iter().map(|frame| Group {
            label: frame.label.clone(),
            parent: frame.parent,
            direction: frame.direction,
            is_dashed: false,
        });
        let (nodes, arrows, groups) = (nodes.collect(), arrows.collect(), groups.collect());
        Some(Graph { direction: self.direction, nodes, arrows, groups, is_flat: false })
    }

    fn names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.text.clone().unwrap_or_else(|| node.name.clone())).collect()
    }
}

impl Flow {
    /// The nodes that a link joins: one to a group joins all of its members.
    fn spread(&self, link: &Way) -> Vec<(usize, usize)> {
        if link.stroke.is_none() {
            return Vec::new();
        }
        let members = |target: Target| match target {
            Target::Node(node) => vec![node],
            Target::Group(group) => (0..self.nodes.len()).filter(|node| self.is_in(*node, group)).collect(),
        };
        let ends: Vec<usize> = members(link.to);
        let pairs = members(link.from).into_iter().flat_map(|from| ends.iter().map(move |to| (from, *to)));
        let mut pairs: Vec<(usize, usize)> = pairs.collect();
        // A line without points leads both ways.
        if link.head == End::None || link.tail != End::None {
            pairs.extend(pairs.clone().into_iter().map(|(from, to)| (to, from)));
        }
        pairs
    }

    fn is_in(&self, node: usize, group: usize) -> bool {
        let mut at = self.nodes.get(node).and_then(|node| node.group);
        while let Some(one) = at {
            if one == group {
                return true;
            }
            at = self.groups.get(one).and_then(|frame| frame.parent);
        }
        false
    }

    fn check_decision(&self, index: usize, node: &Step, findings: &mut Findings) {
        let out: Vec<&Way> = self.links.iter().filter(|link| link.from == Target::Node(index)).collect();
        let silent = out.iter().filter(|link| link.label.is_empty()).count();
        if out.len() >= 2 && silent <= 1 || out.is_empty() {
            return;
        }
        let name = node.text.as_deref().unwrap_or(&node.name).replace('\n', " ");
        let message = (
            format!("갈림 \"{name}\"에서 나가는 길 {}개 가운데 {silent}개에 조건이 없다", out.len()),
            format!("of the {} ways out of the decision \"{name}\", {silent} have no condition", out.len()),
        );
        let fix = ("길마다 조건을 쓴다: A -->|예| B", "write a condition on each way: A -->|yes| B");
        findings.add("model-flow-decision", node.spot, &node.name, message, fix);
    }

    fn statement(&mut self, mut scan: Scan<'_>) -> Result<(), Problem> {
        refuse(&scan, &LOOKS)?;
        refuse(&scan, &[("class", "colours come from the theme"), ("namespace", "it is of class diagrams")])?;
        let begin = scan;
        if scan.word("subgraph") {
            return self.subgraph(begin.spot(), scan);
        }
        if scan.word("end") {
            if self.open.pop().is_none() {
                return Err(begin.problem("\"end\" closes nothing; a node of this name is written End"));
            }
            return scan.finish();
        }
        if scan.word("direction") {
            let word = scan.take_while(char::is_alphabetic);
            let direction = Direction::of(word).ok_or_else(|| scan.wanted("TB, BT, LR or RL"))?;
            match self.open.last().and_then(|group| self.groups.get_mut(*group)) {
                Some(group) => group.direction = Some(direction),
                None => self.direction = direction,
            }
            return scan.finish();
        }
        loop {
            self.chain(&mut scan)?;
            scan.spaces();
            if !scan.eat(";") {
                return scan.finish();
            }
            scan.spaces();
            if scan.is_end() {
                return Ok(());
            }
        }
    }

    fn subgraph(&mut self, spot: Spot, mut scan: Scan<'_>) -> Result<(), Problem> {
        let begin = scan;
        let (name, text) = if let Some(text) = scan.quoted()? {
            (text.to_owned(), label(&begin, text)?)
        } else {
            let name = scan.name().unwrap_or_default().to_owned();
            scan.spaces();
            if scan.eat("[") {
                let quoted = scan.quoted()?;
                let text = match quoted {
                    Some(text) => scan.until("]").map(|_| text),
                    None => scan.until("]"),
                };
                (name, label(&scan, text.ok_or_else(|| scan.wanted("\"]\""))?)?)
            } else {
                // A title of several words is the name as well.
                let rest = scan.all();
                let whole = if rest.is_empty() { name } else { format!("{name} {rest}").trim().to_owned() };
                (whole.clone(), label(&begin, &whole)?)
            }
        };
        scan.finish()?;
        if self.open.len() >= 8 {
            return Err(begin.problem("subgraphs stand deeper than 8"));
        }
        let group = self.groups.len();
        let parent = self.open.last().copied();
        self.groups.push(Frame { label: text, parent, direction: None, spot });
        if !name.is_empty() {
            if self.names.contains_key(&name) {
                return Err(begin.problem(format!("\"{name}\" is a node already")));
            }
            self.group_names.insert(name, group);
        }
        self.open.push(group);
        Ok(())
    }

    /// `A & B --> C -->|text| D`.
    fn chain(&mut self, scan: &mut Scan<'_>) -> Result<(), Problem> {
        let mut before = self.group_of_nodes(scan)?;
        loop {
            scan.spaces();
            if scan.is_end() || scan.rest().starts_with(';') {
                return Ok(());
            }
            let link = link(scan)?;
            scan.spaces();
            let after = self.group_of_nodes(scan)?;
            for from in &before {
                for to in &after {
                    self.links.push(Way { from: *from, to: *to, ..link.clone() });
                }
            }
            before = after;
        }
    }

    fn group_of_nodes(&mut self, scan: &mut Scan<'_>) -> Result<Vec<Target>, Problem> {
        let mut all = vec![self.node(scan)?];
        loop {
            scan.spaces();
            if !scan.eat("&") {
                return Ok(all);
            }
            scan.spaces();
            all.push(self.node(scan)?);
        }
    }

    fn node(&mut self, scan: &mut Scan<'_>) -> Result<Target, Problem> {
        let begin = *scan;
        let name = scan.name().ok_or_else(|| begin.wanted("the name of a node"))?;
        if name == "end" {
            return Err(begin.problem("\"end\" is a word of the language; write End"));
        }
        let shape = shape(scan)?;
        if let Some(group) = self.group_names.get(name) {
            return match shape {
                Some(_) => Err(begin.problem(format!("\"{name}\" is a subgraph already"))),
                None => Ok(Target::Group(*group)),
            };
        }
        let inside = self.open.last().copied();
        let index = *self.names.entry(name.to_owned()).or_insert_with(|| {
            let spot = begin.spot();
            self.nodes.push(Step { name: name.to_owned(), text: None, form: Form::Rectangle, group: inside, spot });
            self.nodes.len() - 1
        });
        if let Some(node) = self.nodes.get_mut(index) {
            if let Some((form, text)) = shape {
                node.form = form;
                node.text = Some(text);
            }
            // A node belongs to the subgraph that names it.
            node.group = node.group.or(inside);
        }
        Ok(Target::Node(index))
    }
}

fn shape(scan: &mut Scan<'_>) -> Result<Option<(Form, String)>, Problem> {
    let begin = *scan;
    for (open, close, form) in FORMS {
        let mut copy = begin;
        if !copy.eat(open) {
            continue;
        }
        match open {
            "@{" => return Err(begin.problem("shapes as \"@{…}\" are not supported; use brackets")),
            ":::" => return Err(begin.problem("\":::\" is not supported: colours come from the theme")),
            _ => {}
        }
        copy.spaces();
        let text = if let Some(text) = copy.quoted()? {
            copy.spaces();
            if !copy.eat(close) {
                continue;
            }
            text
        } else {
            let Some(text) = copy.until(close) else { continue };
            if let Some(bad) = text.chars().find(|one| "()[]{}\"|".contains(*one)) {
                // Another form may close later on the line.
                if FORMS.iter().filter(|(other, ..)| *other == open).count() > 1 && bad != '"' {
                    continue;
                }
                return Err(begin.problem(format!("'{bad}' in a text needs quotes: [\"…\"]")));
            }
            text
        };
        *scan = copy;
        let text = label(&begin, text)?;
        return if text.is_empty() { Err(begin.problem("the text is empty")) } else { Ok(Some((form, text))) };
    }
    match begin.peek() {
        Some(opening @ ('[' | '(' | '{' | '>')) => {
            Err(begin.problem(format!("'{opening}' is not closed on this line")))
        }
        _ => Ok(None),
    }
}

/// `-->`, `-- text -->`, `-->|text|` and their kin.
fn link(scan: &mut Scan<'_>) -> Result<Way, Problem> {
    let begin = *scan;
    let mut way = Way {
        from: Target::Node(0),
        to: Target::Node(0),
        label: String::new(),
        stroke: Some(Stroke::Plain),
        head: End::None,
        tail: End::None,
    };
    let end_of = |scan: &mut Scan<'_>| match scan.peek() {
        Some('>') => Some(End::Arrow),
        Some('o') => Some(End::Circle),
        Some('x') => Some(End::Cross),
        _ => None,
    };
    let is_line = |rest: &str| rest.starts_with("--") || rest.starts_with("==") || rest.starts_with("-.");
    for (mark, end) in [("<", End::Arrow), ("o", End::Circle), ("x", End::Cross)] {
        if scan.rest().strip_prefix(mark).is_some_and(is_line) {
            scan.eat(mark);
            way.tail = end;
            break;
        }
    }
    let mut words = None;
    if scan.rest().starts_with("~~~") {
        scan.take_while(|one| one == '~');
        way.stroke = None;
    } else if scan.rest().starts_with("-.") {
        way.stroke = Some(Stroke::Dashed);
        scan.eat("-");
        scan.take_while(|one| one == '.');
        if !scan.eat("-") {
            words = Some(scan.until(".-").ok_or_else(|| begin.problem("the dotted link does not end: -. text .->"))?);
        }
    } else if is_line(scan.rest()) {
        let dash = if scan.rest().starts_with("==") { '=' } else { '-' };
        way.stroke = Some(if dash == '=' { Stroke::Thick } else { Stroke::Plain });
        let count = scan.take_while(|one| one == dash).len();
        if count == 2 && end_of(scan).is_none() {
            let end = if dash == '=' { "==" } else { "--" };
            let closing =
                if dash == '=' { "the link does not end: == text ==>" } else { "the link does not end: -- text -->" };
            words = Some(scan.until(end).ok_or_else(|| begin.problem(closing))?);
            scan.take_while(|one| one == dash);
        }
    } else {
        return Err(begin.wanted("a link such as -->"));
    }
    if way.stroke.is_some()
        && let Some(end) = end_of(scan)
    {
        scan.take_while(|one| matches!(one, '>' | 'o' | 'x')).chars().next();
        way.head = end;
    }
    scan.spaces();
    if words.is_none() && scan.eat("|") {
        let quoted = scan.quoted()?;
        let until = scan.until("|").ok_or_else(|| begin.problem("the text of the link has no second \"|\""))?;
        words = Some(quoted.unwrap_or(until));
    }
    let text = words.unwrap_or_default().trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    way.label = label(&begin, text)?;
    Ok(way)
}
