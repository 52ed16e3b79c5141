//! OpenAPI v2 documents as protobuf.
//!
//! Source: `openapi.v2.Document` of the gnostic models; values of extensions are YAML texts, for which JSON serves.

use serde_json::{Map, Value};

/// A message that is being written.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
            number >>= 7;
        }
        self.0.push(u8::try_from(number).unwrap_or_default());
    }

    fn bytes(&mut self, field: u32, content: &[u8]) {
        self.varint(u64::from(field << 3 | 2));
        self.varint(content.len() as u64);
        self.0.extend_from_slice(content);
    }

    fn message(&mut self, field: u32, message: &Self) {
        self.bytes(field, &message.0);
    }

    fn text(&mut self, field: u32, value: &Value) {
        if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
            self.bytes(field, text.as_bytes());
        }
    }

    fn texts(&mut self, field: u32, value: &Value) {
        for text in value.as_array().into_iter().flatten() {
            self.text(field, text);
        }
    }

    fn flag(&mut self, field: u32, value: &Value) {
        if value.as_bool() == Some(true) {
            self.varint(u64::from(field << 3));
            self.varint(1);
        }
    }

    fn count(&mut self, field: u32, value: &Value) {
        if let Some(number) = value.as_u64().filter(|number| *number > 0) {
            self.varint(u64::from(field << 3));
            self.varint(number);
        }
    }

    fn double(&mut self, field: u32, value: &Value) {
        if let Some(number) = value.as_f64().filter(|number| *number != 0.0) {
            self.varint(u64::from(field << 3 | 1));
            self.0.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// Writes extensions (`x-…`) as named values.
    fn extensions(&mut self, field: u32, map: &Map<String, Value>) {
        for (name, value) in map.iter().filter(|(name, _)| name.starts_with("x-")) {
            self.message(field, &named(name, &any(value)));
        }
    }
}

fn named(name: &str, value: &Message) -> Message {
    let mut message = Message::default();
    message.bytes(1, name.as_bytes());
    message.message(2, value);
    message
}

fn any(value: &Value) -> Message {
    let mut message = Message::default();
    message.bytes(2, value.to_string().as_bytes());
    message
}

/// Wraps a message in one whose only field it is.
fn wrapped(field: u32, inner: &Message) -> Message {
    let mut message = Message::default();
    message.message(field, inner);
    message
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

pub(super) fn document(document: &Value) -> Vec<u8> {
    let mut message = Message::default();
    message.text(1, &document["swagger"]);
    let mut info = Message::default();
    info.text(1, &document["info"]["title"]);
    info.text(2, &document["info"]["version"]);
    message.message(2, &info);
    let mut paths = Message::default();
    for (name, item) in entries(&document["paths"]) {
        paths.message(2, &named(name, &path_item(item)));
    }
    message.message(8, &paths);
    message.message(9, &named_schemas(&document["definitions"]));
    message.0
}

fn named_schemas(value: &Value) -> Message {
    let mut message = Message::default();
    for (name, value) in entries(value) {
        message.message(1, &named(name, &schema(value)));
    }
    message
}

fn path_item(item: &Value) -> Message {
    let mut message = Message::default();
    for (method, field) in [("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("patch", 8)] {
        if let Some(value) = item.get(method) {
            message.message(field, &operation(value));
        }
    }
    for value in item["parameters"].as_array().into_iter().flatten() {
        message.message(9, &wrapped(1, &parameter(value)));
    }
    message
}

fn operation(operation: &Value) -> Message {
    let mut message = Message::default();
    message.texts(6, &operation["produces"]);
    message.texts(7, &operation["consumes"]);
    for value in operation["parameters"].as_array().into_iter().flatten() {
        message.message(8, &wrapped(1, &parameter(value)));
    }
    let mut responses = Message::default();
    for (code, value) in entries(&operation["responses"]) {
        let mut response = Message::default();
        response.text(1, &value["description"]);
        response.message(2, &wrapped(1, &schema(&value["schema"])));
        responses.message(1, &named(code, &wrapped(1, &response)));
    }
    message.message(9, &responses);
    message.texts(10, &operation["schemes"]);
    if let Some(map) = operation.as_object() {
        message.extensions(13, map);
    }
    message
}

/// Writes a `Parameter`: of the body, of the query or of the path.
fn parameter(parameter: &Value) -> Message {
    let mut inner = Message::default();
    let place = parameter["in"].as_str().unwrap_or_default();
    if place == "body" {
        inner.text(2, &parameter["name"]);
        inner.text(3, &parameter["in"]);
        inner.flag(4, &parameter["required"]);
        inner.message(5, &schema(&parameter["schema"]));
        return wrapped(1, &inner);
    }
    inner.flag(1, &parameter["required"]);
    inner.text(2, &parameter["in"]);
    inner.text(4, &parameter["name"]);
    // The two messages differ in one field before the type.
    let (kind, unique, field) = if place == "query" { (6, 20, 3) } else { (5, 19, 4) };
    inner.text(kind, &parameter["type"]);
    inner.flag(unique, &parameter["uniqueItems"]);
    wrapped(2, &wrapped(field, &inner))
}

fn schema(value: &Value) -> Message {
    let mut message = Message::default();
    let Some(map) = value.as_object() else { return message };
    message.text(1, &value["$ref"]);
    message.text(2, &value["format"]);
    message.text(3, &value["title"]);
    message.text(4, &value["description"]);
    if let Some(default) = map.get("default") {
        message.message(5, &any(default));
    }
    message.double(6, &value["multipleOf"]);
    message.double(7, &value["maximum"]);
    message.flag(8, &value["exclusiveMaximum"]);
    message.double(9, &value["minimum"]);
    message.flag(10, &value["exclusiveMinimum"]);
    message.count(11, &value["maxLength"]);
    message.count(12, &value["minLength"]);
    message.text(13, &value["pattern"]);
    message.count(14, &value["maxItems"]);
    message.count(15, &value["minItems"]);
    message.flag(16, &value["uniqueItems"]);
    message.count(17, &value["maxProperties"]);
    message.count(18, &value["minProperties"]);
    message.texts(19, &value["required"]);
    for item in value["enum"].as_array().into_iter().flatten() {
        message.message(20, &any(item));
    }
    match &value["additionalProperties"] {
        Value::Object(_) => message.message(21, &wrapped(1, &schema(&value["additionalProperties"]))),
        flag => {
            let mut item = Message::default();
            item.flag(2, flag);
            if !item.0.is_empty() {
                message.message(21, &item);
            }
        }
    }
    if !value["type"].is_null() {
        let mut kind = Message::default();
        kind.text(1, &value["type"]);
        message.message(22, &kind);
    }
    if value["items"].is_object() {
        message.message(23, &wrapped(1, &schema(&value["items"])));
    }
    for part in value["allOf"].as_array().into_iter().flatten() {
        message.message(24, &schema(part));
    }
    if value["properties"].is_object() {
        message.message(25, &named_schemas(&value["properties"]));
    }
    message.extensions(31, map);
    message
}
