//! Sets of field paths and their `fieldsV1` form.
//!
//! Source: KEP-555; `meta/v1` FieldsV1: keys are `f:<name>`, `k:<keys of a list item as JSON>`, `v:<value as JSON>`,
//! `i:<index>`; `.` stands for the path itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

use super::FieldsError;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathElement {
    /// A field of a struct or an entry of a map.
    Field(String),
    /// An item of a list by its keys: their names and values as JSON, sorted by name.
    Key(Vec<(String, String)>),
    /// An item of a set by its value, as JSON.
    Value(String),
    /// An item of a list by its place.
    Index(usize),
}

impl PathElement {
    /// Creates the element of a list item with these keys.
    #[must_use]
    pub fn key(keys: BTreeMap<String, &Value>) -> Self {
        Self::Key(keys.into_iter().map(|(name, value)| (name, canonical(value))).collect())
    }

    /// Creates the element of a set's item.
    #[must_use]
    pub fn value(value: &Value) -> Self {
        Self::Value(canonical(value))
    }

    fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => {
                let quote = |name: &String| Value::String(name.clone()).to_string();
                let pairs: Vec<String> = keys.iter().map(|(name, value)| format!("{}:{value}", quote(name))).collect();
                format!("k:{{{}}}", pairs.join(","))
            }
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    fn decode(text: &str) -> Result<Self, FieldsError> {
        let malformed = || FieldsError(format!("{text:?} is not a path element"));
        let (kind, rest) = text.split_once(':').ok_or_else(malformed)?;
        match kind {
            "f" => Ok(Self::Field(rest.to_owned())),
            "i" => rest.parse().map(Self::Index).map_err(|_| malformed()),
            "v" => serde_json::from_str(rest).map(|value: Value| Self::value(&value)).map_err(|_| malformed()),
            "k" => {
                let keys: BTreeMap<String, Value> = serde_json::from_str(rest).map_err(|_| malformed())?;
                Ok(Self::key(keys.iter().map(|(name, value)| (name.clone(), value)).collect()))
            }
            _ => Err(malformed()),
        }
    }
}

/// Returns a value's JSON in which equal numbers and maps have equal texts.
fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "a whole number within ±2^53 is exact")]
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => (float as i64).to_string(),
            _ => number.to_string(),
        },
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            let pairs: Vec<String> =
                sorted.into_iter().map(|(k, v)| format!("{}:{}", Value::String(k.clone()), canonical(v))).collect();
            format!("{{{}}}", pairs.join(","))
        }
        other => other.to_string(),
    }
}

impl fmt::Display for PathElement {
    /// Prints the form that conflicts are told in: `.spec`, `[name="web"]`, `[="value"]`, `[0]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                let pairs: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(f, "[{}]", pairs.join(","))
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A set of field paths.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSet {
    members: BTreeSet<PathElement>,
    /// Never holds an empty set.
    children: BTreeMap<PathElement, FieldSet>,
}

impl FieldSet {
    /// Decodes `fieldsV1`.
    ///
    /// # Errors
    /// Fails when a key has none of the forms `f:`, `k:`, `v:`, `i:` or `.`.
    pub fn decode(fields: &Value) -> Result<Self, FieldsError> {
        let Value::Object(map) = fields else { return Err(FieldsError("fieldsV1 must be an object".to_owned())) };
        let mut set = Self::default();
        for (key, below) in map {
            if key == "." {
                // Belongs to the element above, which reads it.
                continue;
            }
            let element = PathElement::decode(key)?;
            let child = Self::decode(below)?;
            if child.is_empty() || below.get(".").is_some() {
                set.members.insert(element.clone());
            }
            set.insert_child(element, child);
        }
        Ok(set)
    }

    /// Encodes to `fieldsV1`.
    #[must_use]
    pub fn encode(&self) -> Value {
        let mut map = Map::new();
        for member in self.members.iter().filter(|m| !self.children.contains_key(*m)) {
            map.insert(member.encode(), Value::Object(Map::new()));
        }
        for (element, child) in &self.children {
            let mut below = child.encode();
            if let (true, Value::Object(below)) = (self.members.contains(element), &mut below) {
                below.insert(".".to_owned(), Value::Object(Map::new()));
            }
            map.insert(element.encode(), below);
        }
        Value::Object(map)
    }

    /// Creates the set of the fields given as names joined by dots, such as `status` or `metadata.labels`.
    #[must_use]
    pub fn of_names(names: &[&str]) -> Self {
        let mut set = Self::default();
        for name in names {
            let path: Vec<PathElement> = name.split('.').map(|part| PathElement::Field(part.to_owned())).collect();
            set.insert(&path);
        }
        set
    }

    /// Tells whether the set has no path.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.is_empty()
    }

    /// Adds a path; the empty path is never a member.
    pub fn insert(&mut self, path: &[PathElement]) {
        match path {
            [] => {}
            [last] => drop(self.members.insert(last.clone())),
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Tells whether a path is in the set.
    #[must_use]
    pub fn has(&self, path: &[PathElement]) -> bool {
        match path {
            [] => false,
            [last] => self.members.contains(last),
            [first, rest @ ..] => self.children.get(first).is_some_and(|child| child.has(rest)),
        }
    }

    /// Returns the paths of both sets.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut set = self.clone();
        set.members.extend(other.members.iter().cloned());
        for (element, child) in &other.children {
            let below = set.children.entry(element.clone()).or_default();
            *below = below.union(child);
        }
        set
    }

    /// Returns the paths that only this set has.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut set = Self { members: self.members.difference(&other.members).cloned().collect(), ..Self::default() };
        for (element, child) in &self.children {
            let below = other.children.get(element).map_or_else(|| child.clone(), |removed| child.difference(removed));
            set.insert_child(element.clone(), below);
        }
        set
    }

    /// Returns the paths that are neither in the other set nor below one of its members.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        let mut set = Self { members: self.members.difference(&other.members).cloned().collect(), ..Self::default() };
        for (element, child) in self.children.iter().filter(|(element, _)| !other.members.contains(*element)) {
            let below = other
                .children
                .get(element)
                .map_or_else(|| child.clone(), |removed| child.recursive_difference(removed));
            set.insert_child(element.clone(), below);
        }
        set
    }

    /// Returns the paths that both sets have.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut set = Self { members: self.members.intersection(&other.members).cloned().collect(), ..Self::default() };
        for (element, child) in &self.children {
            if let Some(below) = other.children.get(element) {
                set.insert_child(element.clone(), child.intersection(below));
            }
        }
        set
    }

    /// Returns all paths: members of each level, then what is below them.
    #[must_use]
    pub fn paths(&self) -> Vec<Vec<PathElement>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    pub(super) fn members(&self) -> &BTreeSet<PathElement> {
        &self.members
    }

    pub(super) fn children(&self) -> &BTreeMap<PathElement, Self> {
        &self.children
    }

    pub(super) fn insert_member(&mut self, element: PathElement) {
        self.members.insert(element);
    }

    pub(super) fn insert_child(&mut self, element: PathElement, child: Self) {
        if !child.is_empty() {
            self.children.insert(element, child);
        }
    }

    fn collect(&self, prefix: &mut Vec<PathElement>, paths: &mut Vec<Vec<PathElement>>) {
        for member in &self.members {
            prefix.push(member.clone());
            paths.push(prefix.clone());
            prefix.pop();
        }
        for (element, child) in &self.children {
            prefix.push(element.clone());
            child.collect(prefix, paths);
            prefix.pop();
        }
    }
}

/// Prints a path as conflicts are told: `.spec.containers[name="web"].image`.
pub(super) fn path_text(path: &[PathElement]) -> String {
    path.iter().map(ToString::to_string).collect()
}
