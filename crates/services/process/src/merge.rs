//! What is to be written so that a status becomes another (RFC 7386).

use serde_json::{Map, Value};

/// Returns the merge patch that makes `wanted` of `observed`; none when they are the same.
pub(crate) fn difference(observed: &Value, wanted: &Value) -> Option<Value> {
    match (observed, wanted) {
        (Value::Object(observed), Value::Object(wanted)) => {
            let mut patch = Map::new();
            for (key, value) in wanted {
                let before = observed.get(key).unwrap_or(&Value::Null);
                if value.is_object() && !before.is_object() {
                    patch.insert(key.clone(), value.clone());
                } else if let Some(change) = difference(before, value) {
                    patch.insert(key.clone(), change);
                }
            }
            for key in observed.keys().filter(|key| !wanted.contains_key(*key)) {
                patch.insert(key.clone(), Value::Null);
            }
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        _ if observed == wanted => None,
        _ => Some(wanted.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_says_only_what_differs() {
        let observed = json!({"a": 1, "b": {"c": 1, "d": 2}, "e": [1], "f": null, "g": 3});
        assert_eq!(difference(&observed, &observed), None);
        let wanted = json!({"a": 1, "b": {"c": 2}, "e": [1, 2], "f": null, "h": {"i": 1}});
        assert_eq!(
            difference(&observed, &wanted),
            Some(json!({"b": {"c": 2, "d": null}, "e": [1, 2], "g": null, "h": {"i": 1}}))
        );
        assert_eq!(difference(&Value::Null, &json!({"a": 1})), Some(json!({"a": 1})));
    }
}
