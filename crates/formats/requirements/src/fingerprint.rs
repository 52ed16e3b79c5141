//! The canonical form that fingerprints are taken of (docs/formats/evidence.md).

use serde::Serialize;
use serde_json::{Value, json};

use crate::item::{Item, Priority};
use crate::text::{LocalText, canonical_text};

/// What a verdict depends on.
///
/// Titles, stakeholders, sources and the fingerprints of links do not count: reviewing a link changes no meaning.
#[derive(Debug, Clone, Copy)]
pub struct Meaning<'a, C, V> {
    /// The sentence.
    pub statement: &'a LocalText,
    /// How much it matters.
    pub priority: Priority,
    /// What is asked for; quantities have their canonical spelling.
    pub criterion: Option<&'a C>,
    /// The names of the parents, in any order.
    pub derived_from: &'a [&'a str],
    /// The components, in any order.
    pub allocated_to: &'a [String],
    /// How it is checked.
    pub verify: &'a [V],
}

impl<C: Serialize, V: Serialize> Meaning<'_, C, V> {
    /// Returns what the fingerprint is the digest of: canonical JSON.
    #[must_use]
    pub fn canonical_form(&self) -> String {
        let statement = match self.statement {
            LocalText::Plain(text) => json!(canonical_text(text)),
            LocalText::Local { ko, en } => {
                let part = |text: &Option<String>| text.as_deref().map(canonical_text);
                without_nulls(json!({"ko": part(ko), "en": part(en)}))
            }
        };
        let mut parents = self.derived_from.to_vec();
        parents.sort_unstable();
        parents.dedup();
        let mut components: Vec<&str> = self.allocated_to.iter().map(String::as_str).collect();
        components.sort_unstable();
        components.dedup();
        canonical_json(&without_nulls(json!({
            "statement": statement,
            "priority": self.priority,
            "criterion": self.criterion,
            "derivedFrom": parents,
            "allocatedTo": components,
            "verify": self.verify,
        })))
    }
}

impl Item {
    /// Returns what the fingerprint is taken of: canonical JSON of what a verdict depends on.
    #[must_use]
    pub fn canonical_form(&self) -> String {
        let parents: Vec<&str> = self.derived_from.iter().map(|link| link.name.as_str()).collect();
        let meaning = Meaning {
            statement: &self.statement,
            priority: self.priority,
            criterion: self.criterion.as_ref(),
            derived_from: &parents,
            allocated_to: &self.allocated_to,
            verify: &self.verify,
        };
        meaning.canonical_form()
    }

    /// Returns `sha256:` and the digest of the canonical form.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.canonical_form().as_bytes());
        digest.as_ref().iter().fold(String::from("sha256:"), |text, byte| text + &format!("{byte:02x}"))
    }
}

fn without_nulls(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
    }
    value
}

/// Writes JSON with sorted keys and no white space (RFC 8785, for the texts and numbers that occur here).
#[must_use]
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_canonical(item, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut keys: Vec<(&String, &Value)> = fields.iter().collect();
            keys.sort_unstable_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
            text.push('{');
            for (index, (key, field)) in keys.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::String(key.clone()).to_string());
                text.push(':');
                write_canonical(field, text);
            }
            text.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use crate::read::item_from_value;
    use serde_json::json;

    #[test]
    fn the_canonical_form_is_the_one_of_the_kinds() {
        let written = json!({
            "metadata": {"name": "nfr-007"},
            "spec": {
                "title": "주문 응답 시간",
                "statement": "사용자가 주문을 요청하면, 주문 서비스는 하루 요청의 99.9%에 100ms 이내로 응답해야 한다.",
                "stakeholders": ["customer-operations"],
                "source": {"document": "RFP-2026-11", "clause": "3.2"},
                "derivedFrom": [{"name": "goal-002"}], "allocatedTo": ["orders", "orders"],
                "criterion": {"indicator": "latency", "of": {"service": "orders", "route": "POST /orders"},
                              "quantile": "99.9%", "atMost": "0.1s", "window": "24h", "atLoad": "3000/min"},
                "verify": [{"slo": "orders-latency", "in": "prod"}, {"approval": {"role": "customer"}}]
            }
        });
        let item = item_from_value(&written).unwrap();
        assert_eq!(
            item.canonical_form(),
            concat!(
                r#"{"allocatedTo":["orders"],"criterion":{"atLoad":"50/s","atMost":"100ms","indicator":"latency","#,
                r#""of":{"route":"POST /orders","service":"orders"},"quantile":0.999,"window":"1d"},"derivedFrom":["goal-002"],"#,
                r#""priority":"must","statement":"사용자가 주문을 요청하면, 주문 서비스는 하루 요청의 99.9%에 100ms 이내로 응답해야 한다.","#,
                r#""verify":[{"in":"prod","slo":"orders-latency"},{"approval":{"role":"customer"}}]}"#
            )
        );
        assert_eq!(item.fingerprint().len(), 71);
        let again = item_from_value(&json!({"name": "nfr-007", "spec": item.to_spec()}));
        assert_eq!(again.map(|again| again.fingerprint()), Ok(item.fingerprint()));
    }
}
