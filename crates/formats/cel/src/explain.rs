//! Why a condition does not hold: the objects that make it false.

use serde_json::{Map as JsonMap, Value as Json};

use crate::evaluate::{Limits, Run, Variables};
use crate::functions::Function;
use crate::tree::{Expression, Fold, Kind, Node, Operator};
use crate::value::{List, Map, Value};

/// Objects that are named at most.
const NAMED_MAX: usize = 1_000;

impl Expression {
    /// Returns the objects (maps of the input with `metadata.name`) that make a condition false: those for which `all`
    /// fails, those that `!exists` finds, those in a list that should be empty. None when nothing in particular is to
    /// blame, as when something is missing.
    #[must_use]
    pub fn culprits<'a>(&self, variables: &Variables<'a>, limits: Limits) -> Vec<&'a JsonMap<String, Json>> {
        let mut found = Culprits { run: Run::new(variables, limits), objects: Vec::new() };
        found.blame(&self.root, true);
        found.objects
    }
}

struct Culprits<'e, 'a> {
    run: Run<'e, 'a>,
    objects: Vec<&'a JsonMap<String, Json>>,
}

impl<'e, 'a> Culprits<'e, 'a> {
    fn is(&mut self, node: &'e Node, value: bool) -> bool {
        self.run.condition(node).is_ok_and(|found| found == value)
    }

    /// Finds what keeps a node from being `wanted`.
    fn blame(&mut self, node: &'e Node, wanted: bool) {
        if self.objects.len() >= NAMED_MAX {
            return;
        }
        match &node.kind {
            Kind::Not(of) => self.blame(of, !wanted),
            Kind::And(nodes) | Kind::Or(nodes) => {
                for part in nodes {
                    if !self.is(part, wanted) {
                        self.blame(part, wanted);
                    }
                }
            }
            Kind::Conditional { condition, then, other } => {
                let branch = if self.is(condition, true) { then } else { other };
                self.blame(branch, wanted);
            }
            // What is missing for exists() has no name.
            Kind::Fold { fold: fold @ (Fold::All | Fold::Exists), range, variable, body, .. }
                if wanted == (*fold == Fold::All) =>
            {
                self.blame_members(range, variable, body, wanted);
            }
            Kind::Binary { operator, left, right } if is_bound(*operator, wanted) => {
                self.blame_size(left);
                self.blame_size(right);
            }
            _ => {}
        }
    }

    fn blame_members(&mut self, range: &'e Node, variable: &'e str, body: &'e Node, wanted: bool) {
        let Ok(list) = self.run.range(range) else { return };
        let mut failing = Vec::new();
        let before = self.objects.len();
        for value in members(&list) {
            if self.objects.len() >= NAMED_MAX {
                return;
            }
            let object = object_of(&value);
            self.run.bound.push((variable, value));
            match self.run.condition(body) {
                Ok(found) if found == wanted => {}
                Ok(_) => match object {
                    Some(object) => self.objects.push(object),
                    None => self.blame(body, wanted),
                },
                Err(_) => failing.extend(object),
            }
            self.run.bound.pop();
        }
        // A member that fails decides only where no other does.
        if self.objects.len() == before {
            failing.truncate(NAMED_MAX);
            self.objects.append(&mut failing);
        }
    }

    /// A list that is too long names what is in it.
    fn blame_size(&mut self, node: &'e Node) {
        if let Kind::Call { function: Function::Size, arguments, .. } = &node.kind
            && let [list] = arguments.as_slice()
            && let Ok(list) = self.run.range(list)
        {
            let objects = members(&list).filter_map(|value| object_of(&value)).take(NAMED_MAX);
            self.objects.extend(objects);
        }
    }
}

fn is_bound(operator: Operator, wanted: bool) -> bool {
    match operator {
        Operator::Equal | Operator::Less | Operator::LessOrEqual => wanted,
        Operator::NotEqual | Operator::Greater | Operator::GreaterOrEqual => !wanted,
        _ => false,
    }
}

fn members<'l, 'a>(list: &'l List<'a>) -> impl Iterator<Item = Value<'a>> + use<'l, 'a> {
    (0..list.len()).filter_map(|index| list.get(index))
}

fn object_of<'a>(value: &Value<'a>) -> Option<&'a JsonMap<String, Json>> {
    match value {
        Value::Map(Map::Json(object)) => {
            let name = object.get("metadata").and_then(|metadata| metadata.get("name"));
            name.is_some_and(Json::is_string).then_some(*object)
        }
        _ => None,
    }
}
