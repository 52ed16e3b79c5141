//! Goal trees: a form of our own in the manner of Mermaid. Source: KAOS (goals, requirements, obstacles, agents).
//!
//! ```text
//! goalTree
//!   goal sell "고객이 언제나 주문할 수 있다"
//!   requirement nfr-001 "응답 100 ms"
//!   agent orders "주문 서비스"
//!   sell --> and: nfr-001, nfr-002
//!   orders --> nfr-001
//! ```

use std::collections::BTreeMap;

use crate::ends::End;
use crate::finding::{Findings, on_circle};
use crate::graph::{Arrow, Direction, Form, Graph, Node, Part, Target};
use crate::model::{Reader, size_limits};
use crate::scan::{LOOKS, Problem, Scan, Spot, each, label, refuse};
use crate::scene::Stroke;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Goal,
    Requirement,
    Obstacle,
    Agent,
}

#[derive(Debug, Clone)]
struct Element {
    name: String,
    text: String,
    role: Role,
    spot: Spot,
}

/// A goal tree.
#[derive(Debug, Clone, Default)]
pub(crate) struct Goals {
    elements: Vec<Element>,
    names: BTreeMap<String, usize>,
    /// From, to, the word at the arrow.
    links: Vec<(usize, usize, &'static str)>,
}

const ROLES: [(&str, Role); 4] =
    [("goal", Role::Goal), ("requirement", Role::Requirement), ("obstacle", Role::Obstacle), ("agent", Role::Agent)];

impl Reader for Goals {
    fn read(mut rest: Scan<'_>, text: &str, first: usize) -> Result<Self, Vec<Problem>> {
        let mut goals = Self::default();
        let mut problems: Vec<Problem> = rest.finish().err().into_iter().collect();
        problems.extend(each(text, first, |scan| goals.statement(scan)));
        size_limits(goals.elements.len(), goals.links.len(), first, &mut problems);
        if problems.is_empty() { Ok(goals) } else { Err(problems) }
    }

    fn check(&self, findings: &mut Findings) {
        let role = |index: usize| self.elements[index].role;
        let refines: Vec<(usize, usize)> = self
            .links
            .iter()
            .filter(|(from, ..)| matches!(role(*from), Role::Goal | Role::Requirement))
            .map(|(from, to, _)| (*from, *to))
            .collect();
        for index in on_circle(self.elements.len(), &refines) {
            let Element { name, spot, .. } = &self.elements[index];
            let message =
                (format!("목표 \"{name}\"이 자신으로 나뉜다"), format!("the goal \"{name}\" is refined into itself"));
            findings.add("model-goal-cycle", *spot, name, message, ("순환을 끊는다", "break the circle"));
        }
        for (index, element) in self.elements.iter().enumerate() {
            let (name, spot) = (&element.name, element.spot);
            let has_out = self.links.iter().any(|(from, ..)| *from == index);
            let has_into =
                |wanted: &[Role]| self.links.iter().any(|(from, to, _)| *to == index && wanted.contains(&role(*from)));
            match element.role {
                Role::Goal if !has_out => {
                    let message = (
                        format!("목표 \"{name}\"이 나뉘지 않았다"),
                        format!("the goal \"{name}\" is refined into nothing"),
                    );
                    let fix = ("목표 --> and: 요구사항을 쓴다", "write goal --> and: requirement");
                    findings.add("model-goal-unrefined", spot, name, message, fix);
                }
                Role::Requirement
                    if !has_into(&[Role::Agent]) && self.elements.iter().any(|one| one.role == Role::Agent) =>
                {
                    let message = (
                        format!("요구사항 \"{name}\"의 책임자가 없다"),
                        format!("no agent is responsible for \"{name}\""),
                    );
                    let fix = ("agent --> 요구사항을 쓴다", "write agent --> requirement");
                    findings.add("model-goal-responsible", spot, name, message, fix);
                }
                Role::Obstacle if !has_into(&[Role::Goal, Role::Requirement]) => {
                    let message = (
                        format!("장애 \"{name}\"이 해소되지 않았다"),
                        format!("nothing resolves the obstacle \"{name}\""),
                    );
                    let fix = ("요구사항 --> 장애를 쓴다", "write requirement --> obstacle");
                    findings.add("model-goal-obstacle", spot, name, message, fix);
                }
                _ => {}
            }
        }
    }

    fn graph(&self) -> Option<Graph> {
        let nodes = self.elements.iter().map(|element| {
            let (form, above) = match element.role {
                Role::Goal => (Form::Lean, String::new()),
                Role::Requirement => (Form::Rectangle, element.name.clone()),
                Role::Obstacle => (Form::LeanBack, String::new()),
                Role::Agent => (Form::Hexagon, String::new()),
            };
            let text = element.text.clone();
            let part = if above.is_empty() { Part::Text(text) } else { Part::Title { above, text } };
            Node { form, parts: vec![part], group: None }
        });
        let arrows = self.links.iter().map(|(from, to, word)| {
            let mut arrow = Arrow::new(Target::Node(*from), Target::Node(*to));
            let is_refined = matches!(*word, "and" | "or");
            arrow.stroke = Some(if is_refined { Stroke::Plain } else { Stroke::Dashed });
            arrow.head = if *word == "obstructs" { End::Cross } else { End::Arrow };
            arrow.label = if *word == "and" { String::new() } else { (*word).to_owned() };
            arrow
        });
        let (nodes, arrows) = (nodes.collect(), arrows.collect());
        Some(Graph { direction: Direction::Down, nodes, arrows, ..Graph::default() })
    }

    fn names(&self) -> Vec<String> {
        self.elements.iter().map(|element| element.text.clone()).collect()
    }
}

impl Goals {
    fn statement(&mut self, mut scan: Scan<'_>) -> Result<(), Problem> {
        let begin = scan;
        refuse(&scan, &LOOKS)?;
        for (word, role) in ROLES {
            let mut ahead = scan;
            if ahead.word(word) && !ahead.rest().starts_with("-->") {
                scan = ahead;
                let spot = scan.spot();
                let name = scan.name().ok_or_else(|| scan.wanted("a name"))?;
                scan.spaces();
                let text = match scan.quoted()? {
                    Some(text) => label(&begin, text)?,
                    None => name.to_owned(),
                };
                if self.names.insert(name.to_owned(), self.elements.len()).is_some() {
                    return Err(begin.problem(format!("\"{name}\" is declared already")));
                }
                self.elements.push(Element { name: name.to_owned(), text, role, spot });
                return scan.finish();
            }
        }
        let from = self.known(&mut scan)?;
        scan.spaces();
        if !scan.eat("-->") {
            return Err(scan.wanted("\"-->\""));
        }
        scan.spaces();
        let words = [("and:", "and"), ("or:", "or")];
        let refined = words.into_iter().find(|(text, _)| scan.eat(text)).map(|(_, word)| word);
        loop {
            scan.spaces();
            let at = scan;
            let to = self.known(&mut scan)?;
            let word = match (self.elements[from].role, self.elements[to].role, refined) {
                (Role::Goal | Role::Requirement, Role::Goal | Role::Requirement, word) => word.unwrap_or("and"),
                (Role::Obstacle, Role::Goal | Role::Requirement, None) => "obstructs",
                (Role::Goal | Role::Requirement, Role::Obstacle, None) => "resolves",
                (Role::Agent, Role::Goal | Role::Requirement, None) => "responsible",
                _ => {
                    return Err(
                        at.problem("these two are not linked so; goals lead to goals, agents and obstacles to goals")
                    );
                }
            };
            self.links.push((from, to, word));
            scan.spaces();
            if !scan.eat(",") {
                return scan.finish();
            }
        }
    }

    fn known(&self, scan: &mut Scan<'_>) -> Result<usize, Problem> {
        let begin = *scan;
        let name = scan.name().ok_or_else(|| begin.wanted("goal, requirement, obstacle, agent or a name"))?;
        self.names.get(name).copied().ok_or_else(|| begin.problem(format!("\"{name}\" is not declared above")))
    }
}
