//! Label selectors of aggregation rules.

use serde_json::Value;

/// Tells whether a `LabelSelector` object matches labels; an empty one matches all.
pub(crate) fn matches(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    let exact = selector["matchLabels"].as_object();
    exact.is_none_or(|pairs| pairs.iter().all(|(key, value)| label(key) == value.as_str()))
        && selector["matchExpressions"].as_array().is_none_or(|all| all.iter().all(|one| expression(one, &label)))
}

fn expression<'a>(expression: &Value, label: &impl Fn(&str) -> Option<&'a str>) -> bool {
    let Some(key) = expression["key"].as_str() else { return false };
    let value = label(key);
    let listed = value.is_some_and(|value| {
        expression["values"].as_array().is_some_and(|values| values.iter().any(|one| one.as_str() == Some(value)))
    });
    match expression["operator"].as_str() {
        Some("In") => listed,
        Some("NotIn") => !listed,
        Some("Exists") => value.is_some(),
        Some("DoesNotExist") => value.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_match_as_documented() {
        let labels = json!({"tier": "web", "env": "test"});
        let table = [
            (json!({}), true),
            (json!({"matchLabels": {"tier": "web"}}), true),
            (json!({"matchLabels": {"tier": "db"}}), false),
            (json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["web", "db"]}]}), true),
            (json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web"]}]}), false),
            (json!({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}), true),
            (json!({"matchExpressions": [{"key": "env", "operator": "Exists"}]}), true),
            (json!({"matchExpressions": [{"key": "env", "operator": "DoesNotExist"}]}), false),
            (json!({"matchExpressions": [{"key": "env", "operator": "Near"}]}), false),
        ];
        for (selector, expected) in table {
            assert_eq!(matches(&selector, &labels), expected, "{selector}");
        }
    }
}
