//! Removing what a schema does not have, and setting its defaults.

use serde_json::{Map, Value};

use super::{Kind, Node, child};

/// Removes unknown fields below `root` and, where built-in definitions describe the value, nulls; returns the unknown paths.
pub(super) fn prune(root: &Node, is_builtin: bool, object: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    walk(root, is_builtin, object, "", &mut unknown);
    unknown
}

fn walk(node: &Node, is_builtin: bool, value: &mut Value, path: &str, unknown: &mut Vec<String>) {
    let is_builtin = is_builtin || node.reference.is_some();
    let node = node.resolved();
    match value {
        Value::Object(map) => walk_map(node, is_builtin, map, path, unknown),
        Value::Array(list) => {
            let Some(items) = &node.items else { return };
            for (index, item) in list.iter_mut().enumerate() {
                walk(items, is_builtin, item, &format!("{path}[{index}]"), unknown);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn walk_map(node: &Node, is_builtin: bool, map: &mut Map<String, Value>, path: &str, unknown: &mut Vec<String>) {
    let keeps_unknown = node.preserves_unknown || (is_builtin && node.is_untyped());
    if keeps_unknown && node.properties.is_empty() && node.additional.is_none() {
        return;
    }
    map.retain(|name, value| match node.property(name) {
        None if keeps_unknown => true,
        None => {
            unknown.push(child(path, name));
            false
        }
        Some(property) => {
            if is_builtin && value.is_null() {
                // Go's decoder makes of a null the zero value, which is then left out, but for the values of a map.
                let is_text = property.resolved().kind == Some(Kind::String);
                if is_text && node.additional.is_some() && !node.properties.contains_key(name.as_str()) {
                    *value = Value::String(String::new());
                    return true;
                }
                return false;
            }
            walk(property, is_builtin, value, &child(path, name), unknown);
            true
        }
    });
}

/// Drops nulls that may not be null, and sets absent fields to their defaults (Kubernetes, "Defaulting and Nullable").
pub(super) fn default(node: &Node, value: &mut Value) {
    let node = node.resolved();
    match value {
        Value::Object(map) => {
            for (name, property) in &node.properties {
                if map.get(&**name).is_some_and(Value::is_null) && !property.resolved().nullable {
                    map.remove(&**name);
                }
                if let Some(default) = property.default.as_ref().filter(|_| !map.contains_key(&**name)) {
                    map.insert(name.to_string(), default.clone());
                }
            }
            for (name, value) in map {
                if let Some(property) = node.property(name) {
                    self::default(property, value);
                }
            }
        }
        Value::Array(list) => {
            if let Some(items) = &node.items {
                list.iter_mut().for_each(|item| self::default(items, item));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
