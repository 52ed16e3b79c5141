//! The configuration as it may be shown: without its secrets.

use serde_json::Value;

/// Fields whose texts are secrets wherever they stand.
const SECRETS: [&str; 8] =
    ["password", "credentials", "bearer_token", "client_secret", "secret_key", "key", "secrets", "api_key"];

/// Returns the tree of a configuration with its secrets replaced by `<secret>`, and with passwords in addresses hidden.
#[must_use]
pub fn masked(tree: &Value) -> Value {
    match tree {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let value = if SECRETS.contains(&name.as_str()) && !value.is_object() {
                    hidden(value)
                } else if name == "headers" {
                    value.as_object().map_or_else(
                        || masked(value),
                        |headers| headers.iter().map(|(name, _)| (name.clone(), Value::from("<secret>"))).collect(),
                    )
                } else {
                    masked(value)
                };
                (name.clone(), value)
            })
            .collect(),
        Value::Array(items) => items.iter().map(masked).collect(),
        Value::String(text) => Value::String(without_password(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => tree.clone(),
    }
}

fn hidden(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(hidden).collect(),
        _ => Value::from("<secret>"),
    }
}

fn without_password(text: &str) -> String {
    let hide = || {
        let (scheme, rest) = text.split_once("://")?;
        let (user, host) = rest.split_once('@').filter(|(user, _)| !user.contains('/'))?;
        let (user, _) = user.split_once(':')?;
        Some(format!("{scheme}://{user}:xxxxx@{host}"))
    };
    hide().unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_secret_is_left() {
        let shown = masked(&json!({
            "basic_auth": {"username": "u", "password": "p"}, "url": "http://u:p@h/x", "key_file": "f",
            "http_headers": {"X": {"secrets": ["s"], "values": ["v"]}}, "headers": {"A": "b"},
        }));
        let expected = json!({
            "basic_auth": {"username": "u", "password": "<secret>"}, "url": "http://u:xxxxx@h/x", "key_file": "f",
            "http_headers": {"X": {"secrets": ["<secret>"], "values": ["v"]}}, "headers": {"A": "<secret>"},
        });
        assert_eq!(shown, expected);
    }
}
