//! Compares this crate with what Kubernetes' own libraries answered to the same random questions.
//!
//! `tests/data/reference.bin` is deflated text with one line a question: what is asked, a tab, and JSON with question and
//! answer. The answers are those of Kubernetes 1.37's Go modules.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Read as _;

use maru_kube::fields::{self, OnConflict, Writer};
use maru_kube::selector::LabelSelector;
use maru_kube::{Quantity, Schema, Schemas, names, patch, yaml};
use serde_json::{Value, json};

/// Returns the questions of one sort.
fn questions(sort: &str) -> Vec<Value> {
    let mut text = String::new();
    let data: &[u8] = include_bytes!("../data/reference.bin");
    flate2::read::ZlibDecoder::new(data).read_to_string(&mut text).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once('\t')).filter(|(found, _)| *found == sort);
    let questions: Vec<Value> = lines.map(|(_, json)| serde_json::from_str(json).unwrap()).collect();
    assert!(questions.len() > 100, "{sort}: {}", questions.len());
    questions
}

fn schema(kind: &Value) -> Schema {
    let group = if kind == "Deployment" { "apps" } else { "" };
    Schemas::builtin().root(group, "v1", kind.as_str().unwrap()).unwrap()
}

/// Makes managed fields comparable: without times, which the reference took from its clock, sorted, and without the `.` of
/// entries by update, because the reference knew of no structs that are always there.
fn comparable(object: &Value) -> Value {
    let mut object = object.clone();
    drop_plain_structs(&mut object);
    if let Some(entries) = object["metadata"]["managedFields"].as_array_mut() {
        for entry in entries.iter_mut() {
            entry.as_object_mut().unwrap().remove("time");
            if entry["operation"] == "Update" {
                entry["fieldsV1"] = without_dots(&entry["fieldsV1"]);
            }
        }
        // The reference makes this manager also of structs that are always there and empty.
        entries.retain(|entry| entry["manager"] != "before-first-apply");
        entries.sort_by_key(|entry| (entry["operation"].to_string(), entry["manager"].to_string()));
    }
    object
}

/// Removes empty structs that Go's types always hold, which the reference was given in each object.
fn drop_plain_structs(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(drop_plain_structs);
            map.retain(|name, value| {
                let is_plain = matches!(name.as_str(), "template" | "metadata" | "spec" | "strategy" | "resources");
                !is_plain || *value != json!({})
            });
        }
        Value::Array(list) => list.iter_mut().for_each(drop_plain_structs),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn without_dots(fields: &Value) -> Value {
    let kept = fields.as_object().unwrap().iter().filter(|(name, _)| *name != ".");
    Value::Object(kept.map(|(name, below)| (name.clone(), without_dots(below))).collect())
}

/// Does one step and returns the object, or the error's text.
fn step(schema: &Schema, live: Option<&Value>, step: &Value) -> Result<Value, String> {
    let object = &step["object"];
    let writer = Writer {
        manager: step["manager"].as_str().unwrap(),
        api_version: object["apiVersion"].as_str().unwrap(),
        subresource: "",
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        ignored: &[],
    };
    let on_conflict = if step["op"] == "force" { OnConflict::Force } else { OnConflict::Fail };
    if step["op"] == "update" {
        let mut object = object.clone();
        fields::update(schema, live, &mut object, &writer).map_err(|error| error.to_string())?;
        return Ok(object);
    }
    fields::apply(schema, live, object, &writer, on_conflict).map_err(|error| error.to_string())
}

#[test]
fn field_ownership_is_that_of_kubernetes() {
    for question in questions("ssa") {
        let schema = schema(&question["kind"]);
        let mut live: Option<Value> = None;
        for (at, asked) in question["steps"].as_array().unwrap().iter().enumerate() {
            let context =
                || format!("step {at} {} by {} of {}\nfrom {:?}", asked["op"], asked["manager"], asked["object"], live);
            match step(&schema, live.as_ref(), asked) {
                Ok(mut answer) => {
                    answer["metadata"]["uid"] = json!("u");
                    assert_eq!(comparable(&answer), comparable(&asked["live"]), "{}", context());
                }
                Err(error) => assert_eq!(error, asked["error"].as_str().unwrap(), "{}", context()),
            }
            live = Some(asked["live"].clone()).filter(|live| live["metadata"].is_object());
        }
    }
}

#[test]
fn strategic_merge_patch_answers_as_kubernetes() {
    for question in questions("smp") {
        let schema = schema(&question["kind"]);
        // The reference cannot order lists that are both empty.
        if question["error"] == "no elements in any of the given slices" {
            continue;
        }
        match patch::strategic(&schema, &question["object"], &question["patch"]) {
            // The reference keeps nulls in what is new; decoding to Go's types drops them.
            // The reference overwrites the order that it then keeps when an item is deleted.
            Ok(answer) if question["patch"].to_string().contains(r#""$patch":"delete""#) => {
                assert_eq!(sorted(&answer), sorted(&without_nulls(&question["result"])), "{question}");
            }
            Ok(answer) => assert_eq!(answer, without_nulls(&question["result"]), "{question}"),
            Err(error) => assert_ne!(question["error"], "", "{error}: {question}"),
        }
    }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.iter().map(|(name, value)| (name.clone(), sorted(value))).collect()),
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(sorted).collect();
            list.sort_by_key(Value::to_string);
            Value::Array(list)
        }
        scalar => scalar.clone(),
    }
}

/// Drops what decoding to Go's types drops: nulls, and directives that were left in what is replaced.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(name, value)| !value.is_null() && !name.starts_with('$'));
            Value::Object(kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(without_nulls).collect()),
        scalar => scalar.clone(),
    }
}

#[test]
fn quantities_are_read_as_kubernetes_reads_them() {
    for question in questions("quantity") {
        match question["text"].as_str().unwrap().parse::<Quantity>() {
            // Beyond 64 bits the reference's numbers wrap around.
            Ok(quantity) if quantity.milli_value().unsigned_abs() >= i64::MAX.unsigned_abs() => {}
            // The reference keeps some texts that are not canonical: with fractions of three digits, with odd exponents.
            Ok(quantity) if question["canonical"].as_str().unwrap_or("").contains(['.', '-']) => {
                assert_eq!(Ok(quantity), question["canonical"].as_str().unwrap().parse(), "{question}");
            }
            Ok(quantity) => {
                assert_eq!(quantity.to_string(), question["canonical"], "{question}");
                assert_eq!(json!(quantity.value()), question["value"], "{question}");
                assert_eq!(json!(quantity.milli_value()), question["milli"], "{question}");
            }
            Err(error) => assert!(question["error"].is_string(), "{error}: {question}"),
        }
    }
}

#[test]
fn label_selectors_are_read_as_kubernetes_reads_them() {
    let labels = [
        json!({}),
        json!({"a": "b"}),
        json!({"a": "2"}),
        json!({"a": "", "in": "x"}),
        json!({"a": "c", "notin": "in", "x/y": "z"}),
    ];
    for question in questions("selector") {
        match LabelSelector::parse(question["text"].as_str().unwrap()) {
            Ok(selector) => {
                let printed = question["printed"].as_str().unwrap_or("an error");
                assert_eq!(selector.to_string(), printed.replace("==", "="), "{question}");
                let matches: Vec<bool> = labels.iter().map(|labels| selector.matches(labels)).collect();
                assert_eq!(json!(matches), question["matches"], "{question}");
            }
            Err(error) => {
                let expected = question["error"].as_str().unwrap_or("no error");
                // The reference has no path for keys and values.
                let bare = |text: &str| text.replace("unable to parse requirement: ", "");
                let is_same = bare(&error.to_string()) == bare(expected) || expected.contains("<nil>");
                assert!(is_same, "{error}: {question}");
            }
        }
    }
}

#[test]
fn names_are_checked_with_kubernetes_messages() {
    for question in questions("name") {
        let text = question["text"].as_str().unwrap();
        for (rule, answer) in [
            ("label", names::check_dns1123_label(text)),
            ("subdomain", names::check_dns1123_subdomain(text)),
            ("label1035", names::check_dns1035_label(text)),
            ("qualified", names::check_qualified_name(text)),
            ("value", names::check_label_value(text)),
            ("key", names::check_config_key(text)),
            ("port", names::check_port_name(text)),
            ("segment", names::check_path_segment(text)),
        ] {
            let expected = question[rule].as_array().cloned().unwrap_or_default();
            assert_eq!(answer, expected, "{rule} {text:?}");
        }
    }
}

/// Prints a value with numbers of fifteen digits: the reference prints large ones with fewer.
fn rounded(value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_f64() => format!("{:.14e}", number.as_f64().unwrap()),
        Value::Object(map) => map.iter().map(|(name, value)| format!("{name}: {}, ", rounded(value))).collect(),
        Value::Array(list) => list.iter().map(|item| format!("- {}, ", rounded(item))).collect(),
        other => other.to_string(),
    }
}

#[test]
fn manifests_are_read_as_kubernetes_reads_them() {
    let mut wrong = Vec::new();
    for question in questions("yaml") {
        let text = question["text"].as_str().unwrap();
        // Keys keep their spelling here, and numbers beyond all range are refused.
        if text.ends_with(": x\n") || text.contains("1e400") {
            continue;
        }
        let answer = yaml::parse(text);
        let is_same = match &answer {
            Ok(parsed) => question.get("json").map(rounded) == Some(rounded(&parsed.value)),
            Err(_) => question.get("error").is_some(),
        };
        if !is_same {
            wrong.push(format!("{question} {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
