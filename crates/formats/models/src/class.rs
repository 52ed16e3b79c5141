//! Class diagrams. Source: Mermaid 11, classDiagram.

use std::collections::BTreeMap;

use crate::ends::End;
use crate::finding::{Findings, on_circle};
use crate::graph::{Arrow, Direction, Form, Graph, Group, Node, Part, Target};
use crate::model::{Reader, size_limits};
use crate::scan::{LOOKS, Problem, Scan, Spot, each, label, refuse};
use crate::scene::Stroke;

#[derive(Debug, Clone)]
struct Class {
    name: String,
    text: String,
    annotation: String,
    members: Vec<(String, Spot)>,
    namespace: Option<usize>,
    is_declared: bool,
    spot: Spot,
}

#[derive(Debug, Clone)]
struct Relation {
    from: usize,
    to: usize,
    tail: End,
    head: End,
    is_dotted: bool,
    near: (String, String),
    label: String,
}

/// A class diagram.
#[derive(Debug, Clone, Default)]
pub(crate) struct Classes {
    direction: Direction,
    classes: Vec<Class>,
    names: BTreeMap<String, usize>,
    relations: Vec<Relation>,
    notes: Vec<(Option<usize>, String)>,
    namespaces: Vec<String>,
    /// The class whose members follow.
    body: Option<usize>,
    namespace: Option<usize>,
    open: Option<Spot>,
}

impl Reader for Classes {
    fn read(mut rest: Scan<'_>, text: &str, first: usize) -> Result<Self, Vec<Problem>> {
        let mut classes = Self::default();
        let mut problems: Vec<Problem> = rest.finish().err().into_iter().collect();
        problems.extend(each(text, first, |scan| classes.statement(scan)));
        if let (Some(Spot { line, column }), true) =
            (classes.open, classes.body.is_some() || classes.namespace.is_some())
        {
            problems.push(Problem { line, column, message: "this '{' is not closed".to_owned() });
        }
        size_limits(classes.classes.len() + classes.notes.len(), classes.relations.len(), first, &mut problems);
        if problems.is_empty() { Ok(classes) } else { Err(problems) }
    }

    fn check(&self, findings: &mut Findings) {
        let inherits: Vec<(usize, usize)> = self
            .relations
            .iter()
            .filter_map(|one| match (one.tail, one.head) {
                (End::Triangle, _) => Some((one.to, one.from)),
                (_, End::Triangle) => Some((one.from, one.to)),
                _ => None,
            })
            .collect();
        for class in on_circle(self.classes.len(), &inherits) {
            let Class { name, spot, .. } = &self.classes[class];
            let message =
                (format!("클래스 \"{name}\"이 자신을 상속한다"), format!("the class \"{name}\" inherits from itself"));
            findings.add("model-class-cycle", *spot, name, message, ("상속을 끊는다", "break the circle"));
        }
        for class in &self.classes {
            let name = &class.name;
            if !class.is_declared && class.members.is_empty() {
                let message = (
                    format!("클래스 \"{name}\"이 관계에만 나온다"),
                    format!("the class \"{name}\" appears in relations alone"),
                );
                let fix = ("class로 선언하고 구성원을 쓴다", "declare it with class and write its members");
                findings.add("model-class-undefined", class.spot, name, message, fix);
            }
            for (index, (member, spot)) in class.members.iter().enumerate() {
                if class.members.iter().take(index).any(|(other, _)| other == member) {
                    let message = (
                        format!("클래스 \"{name}\"에 \"{member}\"이 두 번 나온다"),
                        format!("\"{member}\" is written twice in the class \"{name}\""),
                    );
                    findings.add(
                        "model-class-duplicate-member",
                        *spot,
                        member,
                        message,
                        ("하나를 지운다", "remove one"),
                    );
                }
            }
        }
    }

    fn graph(&self) -> Option<Graph> {
        let mut nodes: Vec<Node> = Vec::new();
        for class in &self.classes {
            let above = if class.annotation.is_empty() { String::new() } else { format!("«{}»", class.annotation) };
            let mut parts = vec![Part::Title { above, text: class.text.clone() }];
            let of = |methods: bool| -> Vec<String> {
                let members = class.members.iter().map(|(member, _)| member.clone());
                members.filter(|member| member.contains('(') == methods).collect()
            };
            parts.extend([of(false), of(true)].into_iter().filter(|list| !list.is_empty()).map(Part::List));
            nodes.push(Node { form: Form::Rectangle, parts, group: class.namespace });
        }
        let mut arrows: Vec<Arrow> = Vec::new();
        for one in &self.relations {
            let mut arrow = Arrow::new(Target::Node(one.from), Target::Node(one.to));
            (arrow.tail, arrow.head) = (one.tail, one.head);
            arrow.stroke = Some(if one.is_dotted { Stroke::Dashed } else { Stroke::Plain });
            (arrow.near_tail, arrow.near_head) = one.near.clone();
            arrow.label.clone_from(&one.label);
            arrows.push(arrow);
        }
        for (class, text) in &self.notes {
            let group = class.and_then(|class| self.classes[class].namespace);
            nodes.push(Node { form: Form::Note, parts: vec![Part::Text(text.clone())], group });
            if let Some(class) = class {
                let mut arrow = Arrow::new(Target::Node(*class), Target::Node(nodes.len() - 1));
                (arrow.stroke, arrow.head) = (Some(Stroke::Dashed), End::None);
                arrows.push(arrow);
            }
        }
        let groups = self.namespaces.iter().map(|name| Group { label: name.clone(), ..Group::default() }).collect();
        Some(Graph { direction: self.direction, nodes, arrows, groups, is_flat: false })
    }

    fn names(&self) -> Vec<String> {
        self.classes.iter().map(|class| class.text.clone()).collect()
    }
}

fn end(scan: &mut Scan<'_>, ends: &[(&str, End)]) -> End {
    ends.iter().find(|(text, _)| scan.eat(text)).map_or(End::None, |(_, end)| *end)
}

/// `List~T~` is List of T.
fn generic(text: &str) -> String {
    let mut is_open = false;
    let turn = |character: char| {
        if character != '~' {
            return character;
        }
        is_open = !is_open;
        if is_open { '<' } else { '>' }
    };
    text.chars().map(turn).collect()
}

impl Classes {
    fn class(&mut self, name: &str, spot: Spot) -> usize {
        let namespace = self.namespace;
        *self.names.entry(name.to_owned()).or_insert_with(|| {
            self.classes.push(Class {
                name: name.to_owned(),
                text: name.to_owned(),
                annotation: String::new(),
                members: Vec::new(),
                namespace,
                is_declared: false,
                spot,
            });
            self.classes.len() - 1
        })
    }

    fn statement(&mut self, mut scan: Scan<'_>) -> Result<(), Problem> {
        let begin = scan;
        if let Some(class) = self.body {
            if scan.eat("}") {
                self.body = None;
                return scan.finish();
            }
            return self.member(class, scan);
        }
        refuse(&scan, &LOOKS)?;
        refuse(&scan, &[("link", "a diagram leads nowhere"), ("callback", "a diagram runs nothing")])?;
        if scan.eat("}") {
            if self.namespace.take().is_none() {
                return Err(begin.problem("'}' closes nothing"));
            }
            return scan.finish();
        }
        if scan.word("direction") {
            let word = scan.take_while(char::is_alphabetic);
            self.direction = Direction::of(word).ok_or_else(|| scan.wanted("TB, BT, LR or RL"))?;
            return scan.finish();
        }
        if scan.word("namespace") {
            let name = scan.name().ok_or_else(|| scan.wanted("the name of a namespace"))?;
            if self.namespace.is_some() {
                return Err(begin.problem("a namespace stands inside a namespace"));
            }
            self.namespaces.push(name.to_owned());
            self.namespace = Some(self.namespaces.len() - 1);
            scan.spaces();
            if !scan.eat("{") {
                return Err(scan.wanted("\"{\""));
            }
            self.open = Some(begin.spot());
            return scan.finish();
        }
        if scan.word("note") {
            return self.note(scan);
        }
        if scan.word("class") {
            return self.declaration(scan);
        }
        if scan.eat("<<") {
            let word = scan.until(">>").ok_or_else(|| scan.wanted("\">>\""))?.trim().to_owned();
            scan.spaces();
            let spot = scan.spot();
            let name = scan.name().ok_or_else(|| scan.wanted("the name of a class"))?;
            let class = self.class(name, spot);
            self.classes[class].annotation = word;
            return scan.finish();
        }
        self.relation(scan)
    }

    fn member(&mut self, class: usize, mut scan: Scan<'_>) -> Result<(), Problem> {
        let begin = scan;
        if scan.eat("<<") {
            self.classes[class].annotation = scan.until(">>").ok_or_else(|| scan.wanted("\">>\""))?.trim().to_owned();
            return scan.finish();
        }
        let text = label(&begin, scan.all())?;
        self.classes[class].members.push((generic(&text), begin.spot()));
        Ok(())
    }

    fn declaration(&mut self, mut scan: Scan<'_>) -> Result<(), Problem> {
        let spot = scan.spot();
        let name = self.name(&mut scan)?;
        let class = self.class(&name.0, spot);
        (self.classes[class].is_declared, self.classes[class].text) = (true, name.1);
        if scan.eat("[") {
            let text = scan.quoted()?.ok_or_else(|| scan.wanted("a text in quotes"))?;
            self.classes[class].text = label(&scan, text)?;
            if !scan.eat("]") {
                return Err(scan.wanted("\"]\""));
            }
        }
        scan.spaces();
        if scan.rest().starts_with(":::") {
            return Err(scan.problem("\":::\" is not supported: colours come from the theme"));
        }
        if scan.eat("{") {
            scan.spaces();
            if !scan.eat("}") {
                self.body = Some(class);
                self.open = Some(spot);
            }
        }
        scan.finish()
    }

    /// A name, and as it is shown: with what stands in `~…~`.
    fn name(&mut self, scan: &mut Scan<'_>) -> Result<(String, String), Problem> {
        if scan.eat("`") {
            let name = scan.until("`").ok_or_else(|| scan.wanted("a second backquote"))?;
            return Ok((name.to_owned(), name.to_owned()));
        }
        let name = scan.name().ok_or_else(|| scan.wanted("the name of a class"))?;
        let mut text = name.to_owned();
        if scan.eat("~") {
            let inside = scan.until("~").ok_or_else(|| scan.wanted("a second \"~\""))?;
            text = format!("{name}<{inside}>");
        }
        Ok((name.to_owned(), text))
    }

    fn note(&mut self, mut scan: Scan<'_>) -> Result<(), Problem> {
        let class = if scan.word("for") {
            let spot = scan.spot();
            let name = self.name(&mut scan)?;
            scan.spaces();
            Some(self.class(&name.0, spot))
        } else {
            None
        };
        let text = scan.quoted()?.ok_or_else(|| scan.wanted("a text in quotes"))?;
        self.notes.push((class, label(&scan, text)?));
        scan.finish()
    }

    /// `A "1" <|-- "0..*" B : text`, or `A : member`.
    fn relation(&mut self, mut scan: Scan<'_>) -> Result<(), Problem> {
        let begin = scan;
        let name = self.name(&mut scan)?;
        scan.spaces();
        if scan.eat(":") {
            let class = self.class(&name.0, begin.spot());
            scan.spaces();
            return self.member(class, scan);
        }
        let near_tail = scan.quoted()?.unwrap_or_default().to_owned();
        scan.spaces();
        if scan.rest().starts_with("()") {
            return Err(scan.problem("\"()\" (lollipop) is not supported; write an interface and ..|>"));
        }
        let ends = [("<|", End::Triangle), ("*", End::Composition), ("o", End::Aggregation), ("<", End::Open)];
        let tail = end(&mut scan, &ends);
        let is_dotted = scan.rest().starts_with("..");
        if !scan.eat("--") && !scan.eat("..") {
            return Err(scan.wanted("a relation such as <|-- or -->"));
        }
        let ends = [("|>", End::Triangle), ("*", End::Composition), (">", End::Open)];
        let mut head = end(&mut scan, &ends);
        // An `o` may begin a name.
        let mut ahead = scan;
        if head == End::None && ahead.eat("o") && ahead.peek().is_some_and(char::is_whitespace) {
            (scan, head) = (ahead, End::Aggregation);
        }
        scan.spaces();
        let near_head = scan.quoted()?.unwrap_or_default().to_owned();
        scan.spaces();
        let spot = scan.spot();
        let other = self.name(&mut scan)?;
        scan.spaces();
        let text = if scan.eat(":") { label(&begin, scan.all())? } else { String::new() };
        let (from, to) = (self.class(&name.0, begin.spot()), self.class(&other.0, spot));
        self.relations.push(Relation { from, to, tail, head, is_dotted, near: (near_tail, near_head), label: text });
        scan.finish()
    }
}
