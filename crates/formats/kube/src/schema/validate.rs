//! Checking a value against a schema, with the messages of Kubernetes.

use serde_json::{Map, Value, json};

use super::node::Rules;
use super::{Kind, ListType, Node, child, format};
use crate::{FieldError, FieldErrorKind, Quantity};

/// Errors told for one object; more would not help whoever reads them.
const ERRORS_MAX: usize = 100;

/// Checks an object.
pub(super) fn validate(root: &Node, is_builtin: bool, object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    Check { errors: &mut errors, is_root: true }.value(root, is_builtin, object, "");
    errors.truncate(ERRORS_MAX);
    errors
}

/// Tells whether a value keeps a schema's rules.
fn holds(node: &Node, value: &Value) -> bool {
    let mut errors = Vec::new();
    Check { errors: &mut errors, is_root: false }.value(node, false, value, "");
    errors.is_empty()
}

struct Check<'a> {
    errors: &'a mut Vec<FieldError>,
    is_root: bool,
}

impl Check<'_> {
    fn push(&mut self, path: &str, kind: FieldErrorKind, value: &Value, detail: String) {
        self.errors.push(FieldError::new(path, kind, value, detail));
    }

    fn invalid(&mut self, path: &str, value: &Value, detail: &str) {
        self.push(path, FieldErrorKind::Invalid, value, format!("{path} in body {detail}"));
    }

    fn value(&mut self, site: &Node, is_builtin: bool, value: &Value, path: &str) {
        if self.errors.len() >= ERRORS_MAX {
            return;
        }
        let is_builtin = is_builtin || site.reference.is_some();
        let node = site.resolved();
        if value.is_null() && (node.nullable || is_builtin) {
            return;
        }
        if !self.kind(node, value, path) {
            return;
        }
        match value {
            Value::Object(map) => self.map(node, is_builtin, map, path),
            Value::Array(list) => self.list(site, is_builtin, list, path),
            Value::String(text) => self.text(node, value, text, path),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        if let Some(rules) = &node.rules {
            self.rules(rules, value, path);
        }
    }

    /// Checks the JSON type and the number formats; false when nothing below needs a look.
    fn kind(&mut self, node: &Node, value: &Value, path: &str) -> bool {
        if node.is_int_or_string {
            let fits = value.is_string() || value.as_i64().is_some();
            if !fits {
                self.wrong_type(path, "integer,string", value);
            }
            return fits;
        }
        if node.format.as_deref() == Some("quantity") {
            match Quantity::from_json(value) {
                Ok(_) => return false,
                Err(error) => {
                    self.push(path, FieldErrorKind::Invalid, value, error.to_string());
                    return false;
                }
            }
        }
        let Some(kind) = node.kind else { return true };
        let fits = match kind {
            Kind::Object => value.is_object(),
            Kind::Array => value.is_array(),
            Kind::String => value.is_string(),
            Kind::Boolean => value.is_boolean(),
            Kind::Number => value.is_number(),
            Kind::Integer => is_integer(value),
        };
        if !fits {
            self.wrong_type(path, kind.name(), value);
            return false;
        }
        let is_in_range = match (kind, node.format.as_deref()) {
            (Kind::Integer, Some("int32")) => value.as_i64().is_none_or(|n| i32::try_from(n).is_ok()),
            (Kind::Integer, _) => value.as_i64().is_some() || value.is_f64(),
            _ => true,
        };
        if !is_in_range {
            let format = node.format.as_deref().unwrap_or("int64");
            self.push(
                path,
                FieldErrorKind::Invalid,
                value,
                format!("{path} in body must be of type {format}: {value}"),
            );
        }
        true
    }

    fn wrong_type(&mut self, path: &str, expected: &str, value: &Value) {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) if is_integer(value) => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let detail = format!("{path} in body must be of type {expected}: \"{found}\"");
        self.push(path, FieldErrorKind::TypeInvalid, &json!(found), detail);
    }

    fn map(&mut self, node: &Node, is_builtin: bool, map: &Map<String, Value>, path: &str) {
        for name in &node.required {
            let is_missing = match map.get(&**name) {
                None => true,
                Some(Value::Null) => is_builtin,
                Some(_) => false,
            };
            // Go's structs cannot tell an absent boolean from false.
            let is_flag = is_builtin && node.property(name).is_some_and(|p| p.resolved().kind == Some(Kind::Boolean));
            if is_missing && !is_flag {
                self.errors.push(FieldError::required(child(path, name)));
            }
        }
        let is_root = std::mem::replace(&mut self.is_root, false);
        for (name, value) in map {
            let path = child(path, name);
            let before = self.errors.len();
            if let Some(property) = node.property(name) {
                self.value(property, is_builtin, value, &path);
            }
            if is_root && is_builtin && name == "status" {
                // What a status must hold is for those who write it to know; its types still count.
                let kept = |error: &FieldError| error.kind != FieldErrorKind::Required;
                let status: Vec<FieldError> = self.errors.split_off(before).into_iter().filter(kept).collect();
                self.errors.extend(status);
            }
        }
    }

    fn list(&mut self, site: &Node, is_builtin: bool, list: &[Value], path: &str) {
        let node = site.resolved();
        if let Some(items) = &node.items {
            for (index, item) in list.iter().enumerate() {
                self.value(items, is_builtin, item, &format!("{path}[{index}]"));
            }
        }
        if is_builtin || node.list_type == ListType::Atomic {
            return;
        }
        let mut seen = std::collections::BTreeSet::new();
        for (index, item) in list.iter().enumerate() {
            let key = match node.list_type {
                ListType::Map => {
                    let pairs = node.list_keys.iter().filter_map(|k| Some((k.to_string(), item.get(&**k)?.clone())));
                    Value::Object(pairs.collect())
                }
                ListType::Set | ListType::Atomic => item.clone(),
            };
            if !seen.insert(key.to_string()) {
                self.push(&format!("{path}[{index}]"), FieldErrorKind::Duplicate, &key, String::new());
            }
        }
    }

    fn text(&mut self, node: &Node, value: &Value, text: &str, path: &str) {
        if let Some(format) = node.format.as_deref().filter(|format| !format::has(format, text)) {
            self.push(
                path,
                FieldErrorKind::Invalid,
                value,
                format!("{path} in body must be of type {format}: {value}"),
            );
        }
    }

    fn rules(&mut self, rules: &Rules, value: &Value, path: &str) {
        if !rules.enumeration.is_empty() && !rules.enumeration.contains(value) {
            self.errors.push(FieldError::not_supported(path, value, &rules.enumeration));
        }
        match value {
            Value::String(text) => self.text_rules(rules, value, text, path),
            Value::Number(_) => self.number_rules(rules, value, path),
            Value::Array(list) => self.list_rules(rules, value, list, path),
            Value::Object(map) => self.map_rules(rules, value, map, path),
            Value::Null | Value::Bool(_) => {}
        }
        self.combinations(rules, value, path);
    }

    fn text_rules(&mut self, rules: &Rules, value: &Value, text: &str, path: &str) {
        let length = text.chars().count() as u64;
        if let Some(max) = rules.length_max.filter(|max| length > *max) {
            self.push(path, FieldErrorKind::TooLong, value, format!("may not be more than {max} bytes"));
        }
        if let Some(min) = rules.length_min.filter(|min| length < *min) {
            self.invalid(path, value, &format!("should be at least {min} chars long"));
        }
        if let Some(pattern) = rules.pattern.as_ref().filter(|pattern| pattern.is_match(text) == Some(false)) {
            self.invalid(path, value, &format!("should match '{}'", pattern.text));
        }
    }

    fn number_rules(&mut self, rules: &Rules, value: &Value, path: &str) {
        let number = value.as_f64().unwrap_or(f64::NAN);
        if let Some(min) = rules.minimum.filter(|min| number < *min || (rules.exclusive_minimum && number <= *min)) {
            let words = if rules.exclusive_minimum { "greater than" } else { "greater than or equal to" };
            self.invalid(path, value, &format!("should be {words} {min}"));
        }
        if let Some(max) = rules.maximum.filter(|max| number > *max || (rules.exclusive_maximum && number >= *max)) {
            let words = if rules.exclusive_maximum { "less than" } else { "less than or equal to" };
            self.invalid(path, value, &format!("should be {words} {max}"));
        }
        if let Some(factor) = rules.multiple_of.filter(|factor| *factor > 0.0) {
            let quotient = number / factor;
            if (quotient - quotient.round()).abs() > 1e-9 {
                self.invalid(path, value, &format!("should be a multiple of {factor}"));
            }
        }
    }

    fn list_rules(&mut self, rules: &Rules, value: &Value, list: &[Value], path: &str) {
        let length = list.len() as u64;
        if let Some(max) = rules.items_max.filter(|max| length > *max) {
            self.push(
                path,
                FieldErrorKind::TooMany,
                &json!(length),
                format!("{length}: must have at most {max} items"),
            );
        }
        if let Some(min) = rules.items_min.filter(|min| length < *min) {
            self.invalid(path, value, &format!("should have at least {min} items"));
        }
        if rules.unique_items {
            let unique: std::collections::BTreeSet<String> = list.iter().map(Value::to_string).collect();
            if unique.len() < list.len() {
                self.invalid(path, value, "shouldn't contain duplicates");
            }
        }
    }

    fn map_rules(&mut self, rules: &Rules, value: &Value, map: &Map<String, Value>, path: &str) {
        let length = map.len() as u64;
        if let Some(max) = rules.properties_max.filter(|max| length > *max) {
            self.push(
                path,
                FieldErrorKind::TooMany,
                &json!(length),
                format!("{length}: must have at most {max} items"),
            );
        }
        if let Some(min) = rules.properties_min.filter(|min| length < *min) {
            self.invalid(path, value, &format!("should have at least {min} properties"));
        }
    }

    fn combinations(&mut self, rules: &Rules, value: &Value, path: &str) {
        let mut fails = |words: String| self.push(path, FieldErrorKind::Invalid, value, format!("\"{path}\" {words}"));
        if rules.all_of.iter().any(|node| !holds(node, value)) {
            fails("must validate all the schemas (allOf)".to_owned());
        }
        if !rules.any_of.is_empty() && !rules.any_of.iter().any(|node| holds(node, value)) {
            fails("must validate at least one schema (anyOf)".to_owned());
        }
        if !rules.one_of.is_empty() {
            match rules.one_of.iter().filter(|node| holds(node, value)).count() {
                1 => {}
                0 => fails("must validate one and only one schema (oneOf). Found none valid".to_owned()),
                more => {
                    fails(format!("must validate one and only one schema (oneOf). Found {more} valid alternatives"))
                }
            }
        }
        if rules.not.as_ref().is_some_and(|node| holds(node, value)) {
            fails("must not validate the schema (not)".to_owned());
        }
    }
}

/// Tells whether a number is whole; `1.0` is, as in JSON Schema.
fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
}
