//! What a schema makes of two objects: which fields they set, how they differ, how they merge.
//!
//! Maps merge entry by entry unless they are atomic; lists are one value unless their list-type is `set` or `map`; where
//! nothing is known of a value, maps merge and lists are one value.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::set::{FieldSet, PathElement, path_text};
use crate::ListType;
use crate::schema::Node;

/// How a value is owned.
enum Shape<'a> {
    /// As a whole.
    Leaf,
    /// Entry by entry.
    Map(&'a Map<String, Value>),
    /// Item by item.
    List(&'a [Value]),
}

fn shape<'a>(node: Option<&Node>, value: &'a Value) -> Shape<'a> {
    match value {
        Value::Object(map) if !node.is_some_and(Node::is_atomic) => Shape::Map(map),
        Value::Array(list) if node.is_some_and(|n| n.resolved().list_type != ListType::Atomic) => Shape::List(list),
        _ => Shape::Leaf,
    }
}

fn property<'a>(node: Option<&'a Node>, name: &str) -> Option<&'a Node> {
    node.and_then(|n| n.property(name))
}

fn items(node: Option<&Node>) -> Option<&Node> {
    node.and_then(|n| n.resolved().items.as_deref())
}

/// Tells whether a name is a field of a struct, which the schema lists, and not an entry of a map.
fn is_named(node: Option<&Node>, name: &str) -> bool {
    node.is_some_and(|n| n.resolved().properties.contains_key(name))
}

/// Returns the path element of a list's item.
pub(super) fn element(node: Option<&Node>, item: &Value) -> PathElement {
    let Some(list) = node.map(Node::resolved).filter(|n| n.list_type == ListType::Map) else {
        return PathElement::value(item);
    };
    let mut keys = BTreeMap::new();
    for name in &list.list_keys {
        let default = || list.items.as_deref()?.property(name)?.default.as_ref();
        if let Some(value) = item.get(&**name).filter(|v| !v.is_null()).or_else(default) {
            keys.insert(name.to_string(), value);
        }
    }
    if keys.is_empty() { PathElement::value(item) } else { PathElement::key(keys) }
}

/// Returns the fields that an object sets, as an applier owns them.
pub(super) fn fields_of(node: Option<&Node>, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    match shape(node, value) {
        Shape::Leaf => {}
        Shape::Map(map) => {
            for (name, value) in map {
                let field = PathElement::Field(name.clone());
                let below = property(node, name);
                let is_leaf = match shape(below, value) {
                    Shape::Leaf => true,
                    Shape::Map(map) => map.is_empty(),
                    Shape::List(_) => false,
                };
                if is_leaf || !is_named(node, name) {
                    set.insert_member(field.clone());
                }
                set.insert_child(field, fields_of(below, value));
            }
        }
        Shape::List(list) => {
            for item in list {
                let element = element(node, item);
                let below = fields_of(items(node), item);
                set.insert_member(element.clone());
                set.insert_child(element, below);
            }
        }
    }
    set
}

/// Returns the first rule of lists that an applied object breaks: two items with one key, an item without.
pub(super) fn broken_list(node: Option<&Node>, value: &Value, path: &mut Vec<PathElement>) -> Option<String> {
    match shape(node, value) {
        Shape::Leaf => None,
        Shape::Map(map) => map.iter().find_map(|(name, value)| {
            path.push(PathElement::Field(name.clone()));
            let broken = broken_list(property(node, name), value, path);
            path.pop();
            broken
        }),
        Shape::List(list) => {
            let is_keyed = node.is_some_and(|n| n.resolved().list_type == ListType::Map);
            let mut seen = BTreeSet::new();
            list.iter().enumerate().find_map(|(index, item)| {
                let element = element(node, item);
                if is_keyed && !matches!(element, PathElement::Key(_)) {
                    let why = "associative list with keys has an element that omits all key fields";
                    return Some(format!("{}: element {index}: {why}", path_text(path)));
                }
                if !seen.insert(element.clone()) {
                    return Some(format!("{}: duplicate entries for key {element}", path_text(path)));
                }
                path.push(element);
                let broken = broken_list(items(node), item, path);
                path.pop();
                broken
            })
        }
    }
}

/// How one object differs from another.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) added: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) removed: FieldSet,
    /// Whether the new object was written whole, so that structs that are always there may be left out.
    is_written_whole: bool,
}

impl Comparison {
    /// Compares an object with what a client wrote in its place.
    pub(super) fn of(node: Option<&Node>, old: &Value, new: &Value) -> Self {
        let mut comparison = Self { is_written_whole: true, ..Self::default() };
        comparison.compare(node, Some(old), Some(new), &mut Vec::new());
        comparison
    }

    /// Compares an object with what an apply made of it.
    pub(super) fn of_apply(node: Option<&Node>, old: &Value, new: &Value) -> Self {
        let mut comparison = Self::default();
        comparison.compare(node, Some(old), Some(new), &mut Vec::new());
        comparison
    }

    /// Leaves out some fields and all below them.
    pub(super) fn without(&self, ignored: &FieldSet) -> Self {
        Self {
            added: self.added.recursive_difference(ignored),
            modified: self.modified.recursive_difference(ignored),
            removed: self.removed.recursive_difference(ignored),
            ..*self
        }
    }

    pub(super) fn is_same(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// Returns the fields that the new object has anew or with another value.
    pub(super) fn changed(&self) -> FieldSet {
        self.added.union(&self.modified)
    }

    fn compare(&mut self, node: Option<&Node>, old: Option<&Value>, new: Option<&Value>, path: &mut Vec<PathElement>) {
        let shapes = (old.map(|v| shape(node, v)), new.map(|v| shape(node, v)));
        match shapes {
            (Some(Shape::Map(old)), Some(Shape::Map(new))) if !(old.is_empty() && new.is_empty()) => {
                self.maps(node, Some(old), Some(new), path);
            }
            (Some(Shape::Map(old)), None) if !old.is_empty() => {
                self.maps(node, Some(old), None, path);
                self.removed.insert(path);
            }
            (None, Some(Shape::Map(new))) if !new.is_empty() => {
                self.maps(node, None, Some(new), path);
                self.added.insert(path);
            }
            (Some(Shape::List(old)), Some(Shape::List(new))) if !(old.is_empty() && new.is_empty()) => {
                self.lists(node, old, new, path);
            }
            (Some(Shape::List(old)), None) if !old.is_empty() => {
                self.lists(node, old, &[], path);
                self.removed.insert(path);
            }
            (None, Some(Shape::List(new))) if !new.is_empty() => {
                self.lists(node, &[], new, path);
                self.added.insert(path);
            }
            // A null is an empty map or list: what is below it vanishes, itself does not.
            (Some(Shape::Map(old)), _) if new.is_some_and(Value::is_null) => self.maps(node, Some(old), None, path),
            (_, Some(Shape::Map(new))) if old.is_some_and(Value::is_null) => self.maps(node, None, Some(new), path),
            (Some(Shape::List(old)), _) if new.is_some_and(Value::is_null) => self.lists(node, old, &[], path),
            (_, Some(Shape::List(new))) if old.is_some_and(Value::is_null) => self.lists(node, &[], new, path),
            _ => match (old, new) {
                (None, Some(_)) => self.added.insert(path),
                (Some(_), None) => self.removed.insert(path),
                (Some(old), Some(new)) if !is_equal(old, new) => self.modified.insert(path),
                _ => {}
            },
        }
    }

    fn maps(
        &mut self,
        node: Option<&Node>,
        old: Option<&Map<String, Value>>,
        new: Option<&Map<String, Value>>,
        path: &mut Vec<PathElement>,
    ) {
        let empty = Value::Object(Map::new());
        let names: BTreeSet<&String> = old.into_iter().chain(new).flat_map(Map::keys).collect();
        for name in names {
            let below = property(node, name);
            let (mut left, mut right) = (old.and_then(|m| m.get(name)), new.and_then(|m| m.get(name)));
            if old.is_some() && new.is_some() && is_plain_struct(below, name) {
                // Where the parent stays, these structs are always there: appearing and vanishing is no change.
                left = left.or(Some(&empty));
                right = right.or(Some(&empty).filter(|_| self.is_written_whole));
            }
            path.push(PathElement::Field(name.clone()));
            self.compare(below, left, right, path);
            path.pop();
        }
    }

    fn lists(&mut self, node: Option<&Node>, old: &[Value], new: &[Value], path: &mut Vec<PathElement>) {
        // Of items with one key the first counts.
        let index = |list: &[Value]| {
            let mut map = BTreeMap::new();
            for (at, item) in list.iter().enumerate() {
                map.entry(element(node, item)).or_insert(at);
            }
            map
        };
        let (left, right) = (index(old), index(new));
        let elements: BTreeSet<&PathElement> = left.keys().chain(right.keys()).collect();
        for element in elements {
            let before = left.get(element).and_then(|at| old.get(*at));
            let after = right.get(element).and_then(|at| new.get(*at));
            path.push(element.clone());
            self.compare(items(node), before, after, path);
            path.pop();
        }
    }
}

/// Structs that Kubernetes' types hold by value; all others are pointers, whose appearance is a change of its own.
fn is_plain_struct(node: Option<&Node>, name: &str) -> bool {
    const NAMES: &[&str] =
        &["metadata", "spec", "status", "template", "jobTemplate", "strategy", "updateStrategy", "resources", "source"];
    node.is_some_and(|n| n.reference.is_some()) && NAMES.contains(&name)
}

/// Compares values; numbers are equal when they have one value.
fn is_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| is_equal(value, other)))
        }
        _ => left == right,
    }
}

/// Merges an applied value into a live one.
pub(super) fn merge(node: Option<&Node>, live: &Value, applied: &Value) -> Value {
    match (shape(node, live), shape(node, applied)) {
        (Shape::Map(live), Shape::Map(applied)) => {
            let mut merged = live.clone();
            for (name, value) in applied {
                let value = live.get(name).map_or_else(|| value.clone(), |old| merge(property(node, name), old, value));
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Shape::List(live), Shape::List(applied)) => Value::Array(merge_lists(node, live, applied)),
        _ => applied.clone(),
    }
}

/// Merges lists of items with keys: applied items stand in their order, and live ones keep their place before the applied
/// items that followed them; an item that is new comes after them.
fn merge_lists(node: Option<&Node>, live: &[Value], applied: &[Value]) -> Vec<Value> {
    let live: Vec<(PathElement, &Value)> = live.iter().map(|item| (element(node, item), item)).collect();
    let applied: Vec<(PathElement, &Value)> = applied.iter().map(|item| (element(node, item), item)).collect();
    let is_applied: BTreeSet<&PathElement> = applied.iter().map(|(element, _)| element).collect();
    let mut live_items = BTreeMap::new();
    for (element, item) in &live {
        live_items.entry(element).or_insert(*item);
    }
    let mut merged = Vec::new();
    let mut rest = live.iter().peekable();
    for (at, (element, item)) in applied.iter().enumerate() {
        // Live items that are applied out of their live order lose their place; this one is next to keep it.
        let next = applied.iter().skip(at).map(|(e, _)| e).find(|e| live_items.contains_key(e));
        while let Some((other, value)) = rest.next_if(|(other, _)| Some(other) != next) {
            if !is_applied.contains(other) {
                merged.push((*value).clone());
            }
        }
        match live_items.get(element) {
            Some(old) => {
                rest.next_if(|(other, _)| other == element);
                merged.push(merge(items(node), old, item));
            }
            None => merged.push((*item).clone()),
        }
    }
    merged.extend(rest.filter(|(element, _)| !is_applied.contains(element)).map(|(_, value)| (*value).clone()));
    merged
}

/// What becomes of a map or list from which the last entry is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Emptied {
    /// It stays as null, which still counts as owned.
    Null,
    /// It goes.
    Removed,
}

/// Returns an object without the fields of a set.
pub(super) fn remove(node: Option<&Node>, value: &Value, set: &FieldSet, emptied: Emptied) -> Value {
    match shape(node, value) {
        Shape::Leaf => value.clone(),
        Shape::Map(map) => {
            let mut kept = Map::new();
            for (name, value) in map {
                let field = PathElement::Field(name.clone());
                if set.members().contains(&field) {
                    continue;
                }
                let Some(below) = set.children().get(&field) else {
                    kept.insert(name.clone(), value.clone());
                    continue;
                };
                let rest = remove(property(node, name), value, below, emptied);
                match (is_empty(&rest) && !is_empty(value), emptied) {
                    (false, _) => drop(kept.insert(name.clone(), rest)),
                    (true, Emptied::Null) => drop(kept.insert(name.clone(), Value::Null)),
                    (true, Emptied::Removed) => {}
                }
            }
            Value::Object(kept)
        }
        Shape::List(list) => {
            let keep = |item: &Value| {
                let element = element(node, item);
                if set.members().contains(&element) {
                    return None;
                }
                let below = set.children().get(&element);
                Some(below.map_or_else(|| item.clone(), |below| remove(items(node), item, below, emptied)))
            };
            Value::Array(list.iter().filter_map(keep).collect())
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Adds to a set the fields of structs that have members below them; sets leave these out.
pub(super) fn with_named_fields(node: Option<&Node>, set: &FieldSet) -> FieldSet {
    let mut full = FieldSet::default();
    for member in set.members() {
        full.insert_member(member.clone());
    }
    for (element, child) in set.children() {
        let below = match element {
            PathElement::Field(name) => {
                if is_named(node, name) {
                    full.insert_member(element.clone());
                }
                property(node, name)
            }
            PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_) => items(node),
        };
        full.insert_child(element.clone(), with_named_fields(below, child));
    }
    full
}
