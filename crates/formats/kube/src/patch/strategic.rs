//! Strategic merge patch.
//!
//! Source: Kubernetes "Update API Objects in Place Using kubectl patch" and the strategic merge patch documentation.

use serde_json::{Map, Value};

use super::PatchError;
use crate::schema::Node;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ELEMENT_ORDER: &str = "$setElementOrder/";
const DELETE_FROM_PRIMITIVE_LIST: &str = "$deleteFromPrimitiveList/";

/// What `$patch` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

fn malformed(why: impl Into<String>) -> PatchError {
    PatchError::Malformed(why.into())
}

fn directive(patch: &Map<String, Value>) -> Result<Directive, PatchError> {
    match patch.get(PATCH) {
        None => Ok(Directive::Merge),
        Some(Value::String(name)) if name == "merge" => Ok(Directive::Merge),
        Some(Value::String(name)) if name == "replace" => Ok(Directive::Replace),
        Some(Value::String(name)) if name == "delete" => Ok(Directive::Delete),
        Some(other) => Err(malformed(format!("unrecognized type of strategic merge patch: {other}"))),
    }
}

fn list_of<'a>(key: &str, value: &'a Value) -> Result<&'a [Value], PatchError> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| malformed(format!("{key} must be a list")))
}

/// Merges a patch into a map; without a node (nothing is known of the value) lists are replaced.
pub(super) fn merge_map(
    node: Option<&Node>,
    mut object: Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<Map<String, Value>, PatchError> {
    match directive(patch)? {
        Directive::Merge => {}
        Directive::Replace => return Ok(without_directives(patch)),
        Directive::Delete => return Ok(Map::new()),
    }
    if let Some(keys) = patch.get(RETAIN_KEYS) {
        let keys = list_of(RETAIN_KEYS, keys)?;
        if patch.iter().any(|(key, value)| !key.starts_with('$') && !value.is_null() && !keys.iter().any(|k| k == key))
        {
            return Err(malformed("$retainKeys must name every field that the patch sets"));
        }
        object.retain(|key, _| keys.iter().any(|k| k == key));
    }
    for (key, values) in patch {
        let Some(field) = key.strip_prefix(DELETE_FROM_PRIMITIVE_LIST) else { continue };
        let values = list_of(key, values)?;
        if let Some(list) = object.get_mut(field).and_then(Value::as_array_mut) {
            list.retain(|item| !values.contains(item));
        }
    }
    for (key, value) in patch {
        if key.starts_with('$') {
            check_key(key)?;
            continue;
        }
        let order = patch.get(&format!("{SET_ELEMENT_ORDER}{key}"));
        let property = node.and_then(|n| n.property(key));
        if let Some(merged) = merge_value(property, object.remove(key), value, order)? {
            object.insert(key.clone(), merged);
        }
    }
    for (key, order) in patch {
        let Some(field) = key.strip_prefix(SET_ELEMENT_ORDER).filter(|field| !patch.contains_key(*field)) else {
            continue;
        };
        if let Some(Value::Array(list)) = object.get_mut(field) {
            let merge_key = node.and_then(|n| n.property(field)).and_then(|p| p.patch_merge_key.as_deref());
            let server_order = list.clone();
            *list = ordered(std::mem::take(list), &server_order, list_of(key, order)?, merge_key);
        }
    }
    Ok(object)
}

fn check_key(key: &str) -> Result<(), PatchError> {
    let is_known = key == PATCH
        || key == RETAIN_KEYS
        || key.starts_with(SET_ELEMENT_ORDER)
        || key.starts_with(DELETE_FROM_PRIMITIVE_LIST);
    if is_known { Ok(()) } else { Err(malformed(format!("unknown directive {key:?}"))) }
}

/// Merges one field; `None` removes it.
fn merge_value(
    node: Option<&Node>,
    current: Option<Value>,
    patch: &Value,
    order: Option<&Value>,
) -> Result<Option<Value>, PatchError> {
    let replaces = node.is_some_and(|n| n.patch_replaces);
    let merged = match (patch, current) {
        (Value::Null, _) => return Ok(None),
        (Value::Object(patch), _) if replaces => Value::Object(without_directives(patch)),
        (Value::Object(patch), Some(Value::Object(current))) => Value::Object(merge_map(node, current, patch)?),
        // What is new is taken as it is; a directive in it has nothing to act on.
        (Value::Object(_), _) => return Ok(as_new(patch)),
        (Value::Array(patch), current) => {
            let merging = node.filter(|n| n.patch_merges);
            let Some(node) = merging else {
                return Ok(Some(Value::Array(patch.iter().filter_map(as_new).collect())));
            };
            let order = order.map(|order| list_of(SET_ELEMENT_ORDER, order)).transpose()?;
            Value::Array(match current {
                Some(Value::Array(current)) => merge_list(node, current, patch, order)?,
                _ => {
                    let new: Vec<Value> = patch.iter().filter_map(as_new).collect();
                    ordered(new, &[], order.unwrap_or(patch), node.patch_merge_key.as_deref())
                }
            })
        }
        (scalar, _) => scalar.clone(),
    };
    Ok(Some(merged))
}

fn merge_list(
    node: &Node,
    current: Vec<Value>,
    patch: &[Value],
    order: Option<&[Value]>,
) -> Result<Vec<Value>, PatchError> {
    let items = node.resolved().items.as_deref();
    let merge_key = node.patch_merge_key.as_deref();
    let merged = match merge_key {
        Some(key) if patch.iter().all(Value::is_object) => match merge_items(items, key, current.clone(), patch)? {
            Merged::Replaced(list) => return Ok(list),
            Merged::Items(list) => list,
        },
        Some(_) => return Err(malformed("the items of a list with a merge key must be objects")),
        None => {
            let mut merged = current.clone();
            for item in patch {
                if !merged.contains(item) {
                    merged.push(item.clone());
                }
            }
            merged
        }
    };
    // Items of the patch stand in its order, unless the order is given.
    Ok(ordered(ordered(merged, &current, patch, merge_key), &current, order.unwrap_or(patch), merge_key))
}

enum Merged {
    Items(Vec<Value>),
    /// An item said `$patch: replace`: the list is the patch's.
    Replaced(Vec<Value>),
}

fn merge_items(
    items: Option<&Node>,
    merge_key: &str,
    mut current: Vec<Value>,
    patch: &[Value],
) -> Result<Merged, PatchError> {
    let mut merges = Vec::new();
    let mut is_replaced = false;
    for item in patch {
        let Value::Object(map) = item else { continue };
        let key = || {
            let missing = || malformed(format!("map: {item} does not contain declared merge key: {merge_key}"));
            map.get(merge_key).ok_or_else(missing)
        };
        match directive(map)? {
            Directive::Replace => is_replaced = true,
            Directive::Delete => {
                let key = key()?;
                current.retain(|existing| existing.get(merge_key) != Some(key));
            }
            Directive::Merge => merges.push((key()?, map)),
        }
    }
    if is_replaced {
        return Ok(Merged::Replaced(
            merges.into_iter().map(|(_, map)| Value::Object(without_directives(map))).collect(),
        ));
    }
    for (key, map) in merges {
        let found = current.iter_mut().find(|existing| existing.get(merge_key) == Some(key));
        match found {
            Some(slot) => {
                let existing = match slot.take() {
                    Value::Object(existing) => existing,
                    _ => Map::new(),
                };
                *slot = Value::Object(merge_map(items, existing, map)?);
            }
            None => current.push(Value::Object(without_directives(map))),
        }
    }
    Ok(Merged::Items(current))
}

/// Orders a merged list: items that `order` names stand in that order; the others keep their place before those items that
/// followed them on the server.
fn ordered(merged: Vec<Value>, server_order: &[Value], order: &[Value], merge_key: Option<&str>) -> Vec<Value> {
    let key = |item: &Value| match merge_key {
        Some(name) => item.get(name).cloned().unwrap_or(Value::Null),
        None => item.clone(),
    };
    let place = |list: &[Value], item: &Value| {
        let wanted = key(item);
        list.iter().position(|other| key(other) == wanted)
    };
    let (mut named, others): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| place(order, item).is_some());
    named.sort_by_key(|item| place(order, item));
    let mut result = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for item in named {
        let limit = place(server_order, &item);
        while let Some(other) = others.next_if(|other| {
            let place = place(server_order, other);
            place.zip(limit).is_some_and(|(other, item)| other < item)
        }) {
            result.push(other);
        }
        result.push(item);
    }
    result.extend(others);
    result
}

/// Returns a map of a patch that replaces what was there, without directives and nulls.
fn without_directives(map: &Map<String, Value>) -> Map<String, Value> {
    let kept = map.iter().filter(|(key, value)| !key.starts_with('$') && !value.is_null());
    kept.map(|(key, value)| (key.clone(), bare(value))).collect()
}

fn bare(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(without_directives(map)),
        Value::Array(list) => Value::Array(list.iter().map(bare).collect()),
        scalar => scalar.clone(),
    }
}

/// Returns a value of a patch that is new: without nulls, and without what `$patch` marks, as there is nothing to act on.
fn as_new(value: &Value) -> Option<Value> {
    Some(match value {
        Value::Object(map) if map.contains_key(PATCH) => return None,
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, value)| !key.starts_with('$') && !value.is_null());
            Value::Object(kept.filter_map(|(key, value)| Some((key.clone(), as_new(value)?))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().filter_map(as_new).collect()),
        scalar => scalar.clone(),
    })
}
