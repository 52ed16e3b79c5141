//! Reads and writes the parts of untyped objects that every kind has.

use serde_json::{Map, Value};

/// Returns the value at a path of keys.
pub(crate) fn at<'a>(object: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, key| value.get(key))
}

/// Returns the text at a path, empty when there is none.
pub(crate) fn text<'a>(object: &'a Value, path: &[&str]) -> &'a str {
    at(object, path).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the list at a path, empty when there is none.
pub(crate) fn list<'a>(object: &'a Value, path: &[&str]) -> &'a [Value] {
    at(object, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Returns the map at a key of a map, made when missing or of another type.
pub(crate) fn map_in<'a>(parent: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let entry = parent.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !entry.is_object() {
        *entry = Value::Object(Map::new());
    }
    entry.as_object_mut().expect("made an object above")
}

/// Returns the object as a map, made when it is of another type.
pub(crate) fn root(object: &mut Value) -> &mut Map<String, Value> {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    object.as_object_mut().expect("made an object above")
}

/// Returns the map at a path, made when missing.
pub(crate) fn map_at<'a>(object: &'a mut Value, path: &[&str]) -> &'a mut Map<String, Value> {
    path.iter().fold(root(object), |map, key| map_in(map, key))
}

/// Returns `metadata`, made when missing.
pub(crate) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    map_at(object, &["metadata"])
}

/// Sets the value at a path when there is none (or null).
pub(crate) fn default_at(object: &mut Value, path: &[&str], value: impl Into<Value>) {
    let Some((last, parents)) = path.split_last() else { return };
    let map = map_at(object, parents);
    if map.get(*last).is_none_or(Value::is_null) {
        map.insert((*last).to_owned(), value.into());
    }
}

/// Sets the value at a path, or removes it.
pub(crate) fn set_at(object: &mut Value, path: &[&str], value: Option<Value>) {
    let Some((last, parents)) = path.split_last() else { return };
    match value {
        Some(value) => {
            map_at(object, parents).insert((*last).to_owned(), value);
        }
        None => {
            let mut map = object.as_object_mut();
            for key in parents {
                map = map.and_then(|map| map.get_mut(*key)).and_then(Value::as_object_mut);
            }
            if let Some(map) = map {
                map.remove(*last);
            }
        }
    }
}

pub(crate) fn name(object: &Value) -> &str {
    text(object, &["metadata", "name"])
}

pub(crate) fn namespace(object: &Value) -> &str {
    text(object, &["metadata", "namespace"])
}

pub(crate) fn uid(object: &Value) -> &str {
    text(object, &["metadata", "uid"])
}

pub(crate) fn resource_version(object: &Value) -> &str {
    text(object, &["metadata", "resourceVersion"])
}

pub(crate) fn kind(object: &Value) -> &str {
    text(object, &["kind"])
}

pub(crate) fn is_being_deleted(object: &Value) -> bool {
    at(object, &["metadata", "deletionTimestamp"]).is_some_and(|value| !value.is_null())
}

pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    list(object, &["metadata", "finalizers"]).iter().filter_map(Value::as_str).collect()
}

pub(crate) fn generation(object: &Value) -> i64 {
    at(object, &["metadata", "generation"]).and_then(Value::as_i64).unwrap_or_default()
}

/// Removes null entries of maps, as decoding into types and encoding again does; lists keep theirs.
pub(crate) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_fill_gaps_and_nulls_only() {
        let mut object = json!({"spec": {"a": 1, "b": null}});
        default_at(&mut object, &["spec", "a"], 2);
        default_at(&mut object, &["spec", "b"], 2);
        default_at(&mut object, &["spec", "c", "d"], 3);
        assert_eq!(object, json!({"spec": {"a": 1, "b": 2, "c": {"d": 3}}}));
    }

    #[test]
    fn removing_what_is_not_there_makes_nothing() {
        let mut object = json!({"spec": {"a": 1}});
        set_at(&mut object, &["status", "x"], None);
        set_at(&mut object, &["spec", "a"], None);
        assert_eq!(object, json!({"spec": {}}));
    }
}
