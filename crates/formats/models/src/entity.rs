//! Entity-relationship diagrams. Source: Mermaid 11, erDiagram.

use std::collections::BTreeMap;

use crate::ends::End;
use crate::finding::Findings;
use crate::graph::{Arrow, Direction, Form, Graph, Node, Part, Target};
use crate::model::{Reader, size_limits};
use crate::scan::{LOOKS, Problem, Scan, Spot, each, label, refuse};
use crate::scene::Stroke;

#[derive(Debug, Clone)]
struct Attribute {
    kind: String,
    name: String,
    keys: Vec<&'static str>,
    comment: String,
}

#[derive(Debug, Clone)]
struct Entity {
    name: String,
    text: String,
    attributes: Vec<Attribute>,
    spot: Spot,
}

#[derive(Debug, Clone)]
struct Relation {
    from: usize,
    to: usize,
    tail: End,
    head: End,
    is_dotted: bool,
    label: String,
}

/// An entity-relationship diagram.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entities {
    direction: Direction,
    entities: Vec<Entity>,
    names: BTreeMap<String, usize>,
    relations: Vec<Relation>,
    body: Option<usize>,
}

/// How many, as written at the left and at the right end.
const TAILS: [(&str, End); 4] = [("||", End::One), ("|o", End::ZeroOrOne), ("}o", End::Many), ("}|", End::OneOrMany)];
const HEADS: [(&str, End); 4] = [("||", End::One), ("o|", End::ZeroOrOne), ("o{", End::Many), ("|{", End::OneOrMany)];

impl Reader for Entities {
    fn read(mut rest: Scan<'_>, text: &str, first: usize) -> Result<Self, Vec<Problem>> {
        let mut entities = Self::default();
        let mut problems: Vec<Problem> = rest.finish().err().into_iter().collect();
        problems.extend(each(text, first, |scan| entities.statement(scan)));
        if let Some(entity) = entities.body {
            let Spot { line, column } = entities.entities[entity].spot;
            problems.push(Problem { line, column, message: "this entity's '{' is not closed".to_owned() });
        }
        size_limits(entities.entities.len(), entities.relations.len(), first, &mut problems);
        if problems.is_empty() { Ok(entities) } else { Err(problems) }
    }

    fn check(&self, findings: &mut Findings) {
        for (index, entity) in self.entities.iter().enumerate() {
            let (name, spot) = (&entity.name, entity.spot);
            if entity.attributes.is_empty() {
                let message =
                    (format!("개체 \"{name}\"에 속성이 없다"), format!("the entity \"{name}\" has no attributes"));
                let fix = ("속성을 쓴다: 개체 { string id PK }", "write them: entity { string id PK }");
                findings.add("model-entity-no-attributes", spot, name, message, fix);
            } else if !entity.attributes.iter().any(|one| one.keys.contains(&"PK")) {
                let message =
                    (format!("개체 \"{name}\"에 기본 키가 없다"), format!("the entity \"{name}\" has no primary key"));
                findings.add(
                    "model-entity-no-key",
                    spot,
                    name,
                    message,
                    ("속성에 PK를 쓴다", "mark an attribute with PK"),
                );
            }
            let own: Vec<&Relation> =
                self.relations.iter().filter(|one| one.from == index || one.to == index).collect();
            if own.is_empty() && self.entities.len() > 1 {
                let message =
                    (format!("개체 \"{name}\"에 관계가 없다"), format!("the entity \"{name}\" has no relation"));
                findings.add("model-entity-alone", spot, name, message, ("관계를 쓴다", "write its relations"));
            }
            let foreign = entity.attributes.iter().find(|one| one.keys.contains(&"FK"));
            if let Some(key) = foreign.filter(|_| own.is_empty()) {
                let key = &key.name;
                let message = (
                    format!("개체 \"{name}\"의 외래 키 \"{key}\"에 맞는 관계가 없다"),
                    format!("no relation goes with the foreign key \"{key}\" of \"{name}\""),
                );
                findings.add("model-entity-foreign-key", spot, name, message, ("관계를 쓴다", "write the relation"));
            }
        }
    }

    fn graph(&self) -> Option<Graph> {
        let nodes = self.entities.iter().map(|entity| {
            let mut parts = vec![Part::Title { above: String::new(), text: entity.text.clone() }];
            let row =
                |one: &Attribute| vec![one.kind.clone(), one.name.clone(), one.keys.join(","), one.comment.clone()];
            let mut rows: Vec<Vec<String>> = entity.attributes.iter().map(row).collect();
            // Columns that are empty throughout take no room.
            while rows.first().is_some_and(|row| !row.is_empty())
                && rows.iter().all(|row| row.last().is_some_and(String::is_empty))
            {
                rows.iter_mut().for_each(|row| drop(row.pop()));
            }
            if !rows.is_empty() {
                parts.push(Part::Grid(rows));
            }
            Node { form: Form::Rectangle, parts, group: None }
        });
        let arrows = self.relations.iter().map(|one| Arrow {
            label: one.label.clone(),
            stroke: Some(if one.is_dotted { Stroke::Dashed } else { Stroke::Plain }),
            head: one.head,
            tail: one.tail,
            ..Arrow::new(Target::Node(one.from), Target::Node(one.to))
        });
        Some(Graph { direction: self.direction, nodes: nodes.collect(), arrows: arrows.collect(), ..Graph::default() })
    }

    fn names(&self) -> Vec<String> {
        self.entities.iter().map(|entity| entity.text.clone()).collect()
    }
}

impl Entities {
    fn entity(&mut self, scan: &mut Scan<'_>) -> Result<usize, Problem> {
        let begin = *scan;
        let name = match scan.quoted()? {
            Some(name) => name,
            None => scan.name().ok_or_else(|| begin.wanted("the name of an entity"))?,
        };
        let spot = begin.spot();
        let index = *self.names.entry(name.to_owned()).or_insert_with(|| {
            let (name, text) = (name.to_owned(), name.to_owned());
            self.entities.push(Entity { name, text, attributes: Vec::new(), spot });
            self.entities.len() - 1
        });
        if scan.eat("[") {
            let text = match scan.quoted()? {
                Some(text) => scan.until("]").map(|_| text),
                None => scan.until("]"),
            };
            self.entities[index].text = label(&begin, text.ok_or_else(|| scan.wanted("\"]\""))?)?;
        }
        Ok(index)
    }

    fn statement(&mut self, mut scan: Scan<'_>) -> Result<(), Problem> {
        let begin = scan;
        if let Some(entity) = self.body {
            if scan.eat("}") {
                self.body = None;
                return scan.finish();
            }
            let attribute = attribute(&mut scan)?;
            self.entities[entity].attributes.push(attribute);
            return scan.finish();
        }
        refuse(&scan, &LOOKS)?;
        refuse(&scan, &[("class", "colours come from the theme"), ("title", "write it in the front matter")])?;
        if scan.word("direction") {
            let word = scan.take_while(char::is_alphabetic);
            self.direction = Direction::of(word).ok_or_else(|| scan.wanted("TB, BT, LR or RL"))?;
            return scan.finish();
        }
        let from = self.entity(&mut scan)?;
        scan.spaces();
        if scan.is_end() {
            return Ok(());
        }
        if scan.eat("{") {
            scan.spaces();
            if !scan.eat("}") {
                self.body = Some(from);
            }
            return scan.finish();
        }
        let find = |scan: &mut Scan<'_>, ends: &[(&str, End)]| {
            ends.iter().find(|(text, _)| scan.eat(text)).map(|(_, end)| *end)
        };
        let tail = find(&mut scan, &TAILS).ok_or_else(|| scan.wanted("how many: ||, |o, }o or }|"))?;
        let is_dotted = scan.eat("..");
        if !is_dotted && !scan.eat("--") {
            return Err(scan.wanted("\"--\" or \"..\""));
        }
        let head = find(&mut scan, &HEADS).ok_or_else(|| scan.wanted("how many: ||, o|, o{ or |{"))?;
        scan.spaces();
        let other = scan;
        let to = self.entity(&mut scan)?;
        // As in Mermaid: a name for people stands where an entity is described.
        if other.rest().strip_suffix(scan.rest()).is_some_and(|taken| taken.contains('[')) {
            return Err(other.problem("the entity's name for people belongs to its description: name[text] { … }"));
        }
        scan.spaces();
        if !scan.eat(":") {
            return Err(scan.wanted("\":\" and the name of the relation"));
        }
        scan.spaces();
        let text = match scan.quoted()? {
            Some(text) => text,
            None => scan.all(),
        };
        let label = label(&begin, text)?;
        self.relations.push(Relation { from, to, tail, head, is_dotted, label });
        scan.finish()
    }
}

/// `string name PK,FK "comment"`.
fn attribute(scan: &mut Scan<'_>) -> Result<Attribute, Problem> {
    let is_type = |character: char| {
        character.is_alphanumeric() || matches!(character, '_' | '-' | '(' | ')' | '[' | ']' | ',' | '.')
    };
    let kind = scan.take_while(is_type).to_owned();
    if kind.is_empty() {
        return Err(scan.wanted("the type of an attribute"));
    }
    scan.spaces();
    scan.eat("*");
    let name = scan.take_while(is_type).to_owned();
    if name.is_empty() {
        return Err(scan.wanted("the name of an attribute"));
    }
    scan.spaces();
    let mut keys = Vec::new();
    while let Some(key) = ["PK", "FK", "UK"].into_iter().find(|key| scan.word(key)) {
        keys.push(key);
        scan.eat(",");
        scan.spaces();
    }
    let comment = scan.quoted()?.unwrap_or_default();
    let comment = label(scan, comment)?;
    Ok(Attribute { kind, name, keys, comment })
}
