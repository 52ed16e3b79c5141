//! Use case diagrams: a form of our own in the manner of Mermaid, which has none. Source: UML 2.5.1 §18.
//!
//! ```text
//! usecaseDiagram
//!   actor customer as "고객"
//!   system "쇼핑몰" {
//!     usecase order as "주문하기"
//!     usecase pay as "결제하기"
//!   }
//!   customer --> order
//!   order ..> pay : include
//! ```

use std::collections::BTreeMap;

use crate::ends::End;
use crate::finding::{Findings, on_circle, reachable};
use crate::graph::{Arrow, Direction, Form, Graph, Group, Node, Part, Target};
use crate::model::{Reader, size_limits};
use crate::scan::{LOOKS, Problem, Scan, Spot, each, label, refuse};
use crate::scene::Stroke;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Actor,
    UseCase,
    /// Not declared.
    Unknown,
}

#[derive(Debug, Clone)]
struct Element {
    name: String,
    text: String,
    role: Role,
    system: Option<usize>,
    spot: Spot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// An actor takes part.
    Takes,
    Includes,
    Extends,
    /// Is a special case of.
    Is,
}

/// A use case diagram.
#[derive(Debug, Clone, Default)]
pub(crate) struct UseCases {
    direction: Option<Direction>,
    elements: Vec<Element>,
    names: BTreeMap<String, usize>,
    relations: Vec<(usize, usize, Relation, String, Spot)>,
    systems: Vec<(String, Spot)>,
    system: Option<usize>,
}

impl Reader for UseCases {
    fn read(mut rest: Scan<'_>, text: &str, first: usize) -> Result<Self, Vec<Problem>> {
        let mut cases = Self::default();
        let mut problems: Vec<Problem> = rest.finish().err().into_iter().collect();
        problems.extend(each(text, first, |scan| cases.statement(scan)));
        if let Some((_, Spot { line, column })) = cases.system.and_then(|system| cases.systems.get(system)) {
            problems.push(Problem {
                line: *line,
                column: *column,
                message: "this system's '{' is not closed".to_owned(),
            });
        }
        size_limits(cases.elements.len() + cases.systems.len(), cases.relations.len(), first, &mut problems);
        if problems.is_empty() { Ok(cases) } else { Err(problems) }
    }

    fn check(&self, findings: &mut Findings) {
        // From actors over what they take part in, what that includes and what extends it.
        let mut edges: Vec<(usize, usize)> = Vec::new();
        for (from, to, relation, ..) in &self.relations {
            match relation {
                Relation::Takes => edges.extend([(*from, *to), (*to, *from)]),
                Relation::Includes => edges.push((*from, *to)),
                Relation::Extends => edges.push((*to, *from)),
                Relation::Is => edges.extend([(*from, *to), (*to, *from)]),
            }
        }
        let actors: Vec<usize> =
            (0..self.elements.len()).filter(|one| self.elements[*one].role == Role::Actor).collect();
        let seen = reachable(self.elements.len(), &actors, &edges);
        for (index, element) in self.elements.iter().enumerate() {
            let (name, spot) = (&element.name, element.spot);
            let is_linked = self.relations.iter().any(|(from, to, ..)| *from == index || *to == index);
            match element.role {
                Role::Unknown => {
                    let message = (format!("\"{name}\"이 선언되지 않았다"), format!("\"{name}\" is not declared"));
                    let fix = ("actor나 usecase로 선언한다", "declare it with actor or usecase");
                    findings.add("model-use-case-undefined", spot, name, message, fix);
                }
                Role::Actor if !is_linked => {
                    let message = (
                        format!("행위자 \"{name}\"에 유스케이스가 없다"),
                        format!("the actor \"{name}\" takes part in nothing"),
                    );
                    findings.add(
                        "model-use-case-actor-alone",
                        spot,
                        name,
                        message,
                        ("잇거나 지운다", "link it or remove it"),
                    );
                }
                Role::UseCase if !seen.get(index).copied().unwrap_or_default() => {
                    let message = (
                        format!("유스케이스 \"{name}\"에 닿는 행위자가 없다"),
                        format!("no actor reaches the use case \"{name}\""),
                    );
                    findings.add(
                        "model-use-case-alone",
                        spot,
                        name,
                        message,
                        ("행위자를 잇는다", "link an actor to it"),
                    );
                }
                _ => {}
            }
        }
        let includes = |one: &&(usize, usize, Relation, String, Spot)| one.2 == Relation::Includes;
        let edges: Vec<(usize, usize)> =
            self.relations.iter().filter(includes).map(|(from, to, ..)| (*from, *to)).collect();
        for index in on_circle(self.elements.len(), &edges) {
            let Element { name, spot, .. } = &self.elements[index];
            let message = (
                format!("유스케이스 \"{name}\"이 자신을 포함한다"),
                format!("the use case \"{name}\" includes itself"),
            );
            findings.add("model-use-case-cycle", *spot, name, message, ("포함을 끊는다", "break the circle"));
        }
    }

    fn graph(&self) -> Option<Graph> {
        let nodes = self.elements.iter().map(|element| Node {
            form: if element.role == Role::UseCase { Form::Ellipse } else { Form::Actor },
            parts: vec![Part::Text(element.text.clone())],
            group: element.system,
        });
        let role = |index: usize| self.elements[index].role;
        let arrows = self.relations.iter().map(|(from, to, relation, text, _)| {
            // Actors stand first, and what extends a use case after it: so the arrow may be read backwards.
            let is_turned = *relation == Relation::Extends || role(*to) == Role::Actor && role(*from) != Role::Actor;
            let (first, second) = if is_turned { (*to, *from) } else { (*from, *to) };
            let mut arrow = Arrow::new(Target::Node(first), Target::Node(second));
            let (stroke, head, words) = match relation {
                Relation::Takes => (Stroke::Plain, End::None, text.clone()),
                Relation::Includes => (Stroke::Dashed, End::Open, "«include»".to_owned()),
                Relation::Extends => (Stroke::Dashed, End::Open, "«extend»".to_owned()),
                Relation::Is => (Stroke::Plain, End::Triangle, text.clone()),
            };
            (arrow.tail, arrow.head) = if is_turned { (head, End::None) } else { (End::None, head) };
            (arrow.stroke, arrow.label) = (Some(stroke), words);
            arrow
        });
        let groups = self.systems.iter().map(|(label, _)| Group { label: label.clone(), ..Group::default() });
        let direction = self.direction.unwrap_or(Direction::Right);
        let (nodes, arrows, groups) = (nodes.collect(), arrows.collect(), groups.collect());
        Some(Graph { direction, nodes, arrows, groups, is_flat: self.is_plain() })
    }

    fn names(&self) -> Vec<String> {
        self.elements.iter().map(|element| element.text.clone()).collect()
    }
}

impl UseCases {
    /// Tells whether actors stand in the first layer and all use cases after it: then one frame around these holds no actor.
    fn is_plain(&self) -> bool {
        let role = |index: usize| self.elements[index].role;
        let is_led_to = |index: usize| {
            self.relations.iter().any(|(from, to, relation, ..)| match relation {
                Relation::Extends => *from == index,
                Relation::Takes => *from == index || *to == index,
                Relation::Includes | Relation::Is => *to == index,
            })
        };
        self.systems.len() <= 1
            && self.relations.iter().all(|(from, to, ..)| role(*from) != Role::Actor || role(*to) != Role::Actor)
            && (0..self.elements.len()).all(|one| role(one) == Role::Actor || is_led_to(one))
    }

    fn element(&mut self, name: &str, spot: Spot) -> usize {
        *self.names.entry(name.to_owned()).or_insert_with(|| {
            let (name, text) = (name.to_owned(), name.to_owned());
            self.elements.push(Element { name, text, role: Role::Unknown, system: None, spot });
            self.elements.len() - 1
        })
    }

    fn statement(&mut self, mut scan: Scan<'_>) -> Result<(), Problem> {
        let begin = scan;
        refuse(&scan, &LOOKS)?;
        if scan.word("direction") {
            let word = scan.take_while(char::is_alphabetic);
            self.direction = Some(Direction::of(word).ok_or_else(|| scan.wanted("TB, BT, LR or RL"))?);
            return scan.finish();
        }
        if scan.word("system") {
            if self.system.is_some() {
                return Err(begin.problem("a system stands inside a system"));
            }
            let text = match scan.quoted()? {
                Some(text) => text,
                None => scan.name().ok_or_else(|| scan.wanted("the name of a system"))?,
            };
            self.systems.push((label(&begin, text)?, begin.spot()));
            self.system = Some(self.systems.len() - 1);
            scan.spaces();
            if !scan.eat("{") {
                return Err(scan.wanted("\"{\""));
            }
            return scan.finish();
        }
        if scan.eat("}") {
            if self.system.take().is_none() {
                return Err(begin.problem("'}' closes nothing"));
            }
            return scan.finish();
        }
        for (word, role) in [("actor", Role::Actor), ("usecase", Role::UseCase)] {
            if scan.word(word) {
                return self.declaration(scan, role);
            }
        }
        self.relation(scan)
    }

    fn declaration(&mut self, mut scan: Scan<'_>, role: Role) -> Result<(), Problem> {
        let begin = scan;
        let name = scan.name().ok_or_else(|| begin.wanted("a name"))?;
        let index = self.element(name, begin.spot());
        if self.elements[index].role != Role::Unknown {
            return Err(begin.problem(format!("\"{name}\" is declared already")));
        }
        scan.spaces();
        if scan.word("as") {
            let text = match scan.quoted()? {
                Some(text) => text,
                None => scan.all(),
            };
            self.elements[index].text = label(&begin, text)?;
        }
        self.elements[index].role = role;
        self.elements[index].system = self.system.filter(|_| role == Role::UseCase);
        scan.finish()
    }

    /// `a --> b`, `a ..> b : include`, `a --|> b`.
    fn relation(&mut self, mut scan: Scan<'_>) -> Result<(), Problem> {
        let begin = scan;
        let name = scan.name().ok_or_else(|| scan.wanted("actor, usecase, system or a relation"))?;
        scan.spaces();
        let arrows = ["--|>", "-->", "..>", "--"];
        let Some(arrow) = arrows.into_iter().find(|arrow| scan.eat(arrow)) else {
            return Err(scan.wanted("--, -->, ..> or --|>"));
        };
        scan.spaces();
        let spot = scan.spot();
        let other = scan.name().ok_or_else(|| scan.wanted("the name of an actor or a use case"))?;
        scan.spaces();
        let text = if scan.eat(":") { label(&begin, scan.all())? } else { String::new() };
        let relation = match (arrow, text.as_str()) {
            ("..>", "include") => Relation::Includes,
            ("..>", "extend") => Relation::Extends,
            ("..>", _) => return Err(begin.problem("say what \"..>\" means: \": include\" or \": extend\"")),
            ("--|>", _) => Relation::Is,
            _ => Relation::Takes,
        };
        let (from, to) = (self.element(name, begin.spot()), self.element(other, spot));
        self.relations.push((from, to, relation, text, begin.spot()));
        scan.finish()
    }
}
