//! Messages whose JSON is not their fields.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maru_time::{Timestamp, rfc3339_micros, rfc3339_seconds};
use serde_json::Value;

use super::wire::{self, Payload, Reader};
use super::{ProtobufError, malformed, message_value};

const SCHEMA_PROPS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";

/// Encodes bytes as Go prints them.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes a message with a JSON form of its own; `None` for all others. Null means that the field is left out.
pub(super) fn value(name: &str, bytes: &[u8], depth: usize) -> Result<Option<Value>, ProtobufError> {
    let (package, last) = name.rsplit_once('.').unwrap_or(("", name));
    let value = match last {
        "Quantity" => text_field(bytes)?,
        "IntOrString" => int_or_string(bytes)?,
        "Time" if package.ends_with("meta.v1") => time(bytes, rfc3339_seconds)?,
        "MicroTime" => time(bytes, rfc3339_micros)?,
        "RawExtension" | "FieldsV1" | "JSON" => raw_json(bytes)?,
        "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrBool" | "JSONSchemaPropsOrStringArray" => {
            schema_or(last, bytes, depth)?
        }
        _ => return Ok(None),
    };
    Ok(Some(value))
}

/// Reads a message whose first field is its text.
fn text_field(bytes: &[u8]) -> Result<Value, ProtobufError> {
    let mut value = String::from("0");
    for field in Reader::new(bytes) {
        if let (1, Payload::Bytes(text)) = field.map_err(malformed)? {
            value = wire::text(text).map_err(malformed)?;
        }
    }
    Ok(Value::String(value))
}

fn int_or_string(bytes: &[u8]) -> Result<Value, ProtobufError> {
    let mut is_text = false;
    let mut number = 0;
    let mut text = String::new();
    for field in Reader::new(bytes) {
        match field.map_err(malformed)? {
            (1, Payload::Number(kind)) => is_text = kind == 1,
            (2, Payload::Number(value)) => number = value.cast_signed(),
            (3, Payload::Bytes(value)) => text = wire::text(value).map_err(malformed)?,
            _ => {}
        }
    }
    Ok(if is_text { Value::String(text) } else { Value::from(number) })
}

/// Reads seconds and nanoseconds; the zero time is null.
fn time(bytes: &[u8], print: fn(Timestamp) -> String) -> Result<Value, ProtobufError> {
    /// The first second of year 1, Go's zero time.
    const GO_ZERO_SECONDS: i64 = -62_135_596_800;
    let (mut seconds, mut nanos, mut is_empty) = (0_i64, 0_i32, true);
    for field in Reader::new(bytes) {
        match field.map_err(malformed)? {
            (1, Payload::Number(value)) => seconds = value.cast_signed(),
            (2, Payload::Number(value)) => nanos = i32::try_from(value.cast_signed()).unwrap_or_default(),
            _ => {}
        }
        is_empty = false;
    }
    if is_empty || seconds == GO_ZERO_SECONDS {
        return Ok(Value::Null);
    }
    let at = Timestamp::new(seconds, nanos).map_err(|_| malformed("a time is out of range"))?;
    Ok(Value::String(print(at)))
}

/// Reads a message whose first field is JSON.
fn raw_json(bytes: &[u8]) -> Result<Value, ProtobufError> {
    let mut value = Value::Null;
    for field in Reader::new(bytes) {
        if let (1, Payload::Bytes(json)) = field.map_err(malformed)? {
            if super::is_protobuf(json) {
                value = super::decode(json)?;
            } else if !json.is_empty() {
                value = serde_json::from_slice(json).map_err(|error| malformed(format!("raw JSON: {error}")))?;
            }
        }
    }
    Ok(value)
}

/// Reads a schema, or what may stand in its place.
fn schema_or(name: &str, bytes: &[u8], depth: usize) -> Result<Value, ProtobufError> {
    let mut schema = None;
    let mut flag = false;
    let mut list = Vec::new();
    for field in Reader::new(bytes) {
        match (name, field.map_err(malformed)?) {
            ("JSONSchemaPropsOrBool", (1, Payload::Number(value))) => flag = value != 0,
            ("JSONSchemaPropsOrBool", (2, Payload::Bytes(bytes)))
            | ("JSONSchemaPropsOrArray" | "JSONSchemaPropsOrStringArray", (1, Payload::Bytes(bytes))) => {
                schema = Some(message_value(SCHEMA_PROPS, bytes, depth)?);
            }
            ("JSONSchemaPropsOrArray", (2, Payload::Bytes(bytes))) => {
                list.push(message_value(SCHEMA_PROPS, bytes, depth)?)
            }
            ("JSONSchemaPropsOrStringArray", (2, Payload::Bytes(text))) => {
                list.push(Value::String(wire::text(text).map_err(malformed)?));
            }
            _ => {}
        }
    }
    Ok(match schema {
        Some(schema) => schema,
        None if name == "JSONSchemaPropsOrBool" => Value::Bool(flag),
        None => Value::Array(list),
    })
}
