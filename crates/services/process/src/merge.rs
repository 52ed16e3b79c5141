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

/// The fields of a project's status that gates and baselines are told in. The rest is the verdicts': two parts of the room
/// write one status, and neither may write what the other knows better.
const OF_GATES: [&str; 5] = ["stage", "gates", "baseline", "changeCount", "changes"];

/// Returns the part of a project's status that gates and baselines are told in.
pub(crate) fn of_gates(status: &Value) -> Value {
    part(status, |field| OF_GATES.contains(&field))
}

/// Returns the part of a project's status that verdicts are told in.
pub(crate) fn of_verdicts(status: &Value) -> Value {
    part(status, |field| !OF_GATES.contains(&field))
}

fn part(status: &Value, is_in: impl Fn(&str) -> bool) -> Value {
    match status {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(field, _)| is_in(field));
            Value::Object(kept.map(|(field, value)| (field.clone(), value.clone())).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn two_writers_of_a_status_leave_each_other_alone() {
        let status = json!({"stage": "tests", "gates": [], "conforming": 2});
        assert_eq!(of_gates(&status), json!({"stage": "tests", "gates": []}));
        assert_eq!(of_verdicts(&status), json!({"conforming": 2}));
        assert_eq!(of_verdicts(&Value::Null), Value::Null);
    }

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
