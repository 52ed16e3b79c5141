//! Kubernetes' protobuf request bodies into JSON values.
//!
//! A body is `k8s\0` and a `runtime.Unknown` message, whose type names the kind and whose `raw` holds the object's message.
//! The object becomes the JSON that Go's types print: zero values are left out where the type says `omitempty`.
//! Source: Kubernetes API concepts "Kubernetes Protobuf encoding"; protobuf wire format.

mod messages;
mod special;
mod wire;

use serde_json::{Map, Value};

use crate::Schemas;
use messages::{Emptiness, Field, Kind, Message, Messages, Shape};
use wire::{Payload, Reader};

/// The content type of protobuf bodies.
pub const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// The first bytes of every body.
const MAGIC: &[u8] = b"k8s\0";
/// Messages inside messages that are read.
const DEPTH_MAX: usize = 100;
const UNKNOWN: &str = "io.k8s.apimachinery.pkg.runtime.Unknown";
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// A body that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtobufError {
    /// The bytes are not a Kubernetes protobuf envelope, or not a message of its type: answer 400.
    #[error("the body is not Kubernetes protobuf: {0}")]
    Malformed(String),
    /// The envelope's kind is not built in: answer 415.
    #[error("protobuf is not supported for {api_version}, kind {kind}; send JSON")]
    NotSupported {
        /// The envelope's apiVersion.
        api_version: String,
        /// The envelope's kind.
        kind: String,
    },
}

fn malformed(why: impl Into<String>) -> ProtobufError {
    ProtobufError::Malformed(why.into())
}

/// Tells whether a body begins as a protobuf envelope does.
#[must_use]
pub fn is_protobuf(body: &[u8]) -> bool {
    body.starts_with(MAGIC)
}

/// Decodes an envelope into the JSON that Go's types would print, with apiVersion and kind.
///
/// # Errors
/// Fails when the bytes are malformed or the kind is not built in.
pub fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    let envelope = body.strip_prefix(MAGIC).ok_or_else(|| malformed("the body does not begin with k8s"))?;
    let message = Messages::builtin().get(UNKNOWN).ok_or_else(|| malformed("the envelope's type is missing"))?;
    let mut api_version = String::new();
    let mut kind = String::new();
    let mut raw: &[u8] = &[];
    let mut encoding = String::new();
    for field in Reader::new(envelope) {
        let (number, payload) = field.map_err(malformed)?;
        match (number, payload) {
            (1, Payload::Bytes(bytes)) => {
                for field in Reader::new(bytes) {
                    match field.map_err(malformed)? {
                        (1, Payload::Bytes(text)) => api_version = wire::text(text).map_err(malformed)?,
                        (2, Payload::Bytes(text)) => kind = wire::text(text).map_err(malformed)?,
                        _ => {}
                    }
                }
            }
            (2, Payload::Bytes(bytes)) => raw = bytes,
            (3, Payload::Bytes(text)) => encoding = wire::text(text).map_err(malformed)?,
            _ => debug_assert!(message.fields.len() >= 3, "the envelope has a type, a body and an encoding"),
        }
    }
    if !encoding.is_empty() {
        return Err(malformed(format!("content encoding {encoding:?} is not supported")));
    }
    let name = definition(&api_version, &kind);
    let not_supported = || ProtobufError::NotSupported { api_version: api_version.clone(), kind: kind.clone() };
    let name = name.filter(|name| Messages::builtin().get(name).is_some()).ok_or_else(not_supported)?;
    let mut object = match message_value(&name, raw, DEPTH_MAX)? {
        Value::Object(map) => map,
        other => return Err(malformed(format!("{kind} is no object but {other}"))),
    };
    object.insert("apiVersion".to_owned(), Value::String(api_version));
    object.insert("kind".to_owned(), Value::String(kind));
    Ok(Value::Object(object))
}

/// Returns the name of the definition of a kind.
fn definition(api_version: &str, kind: &str) -> Option<String> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let found = Schemas::builtin().definition_of(group, version, kind).map(str::to_owned);
    // Options come in the group of the objects they are for, whichever that is.
    let is_option = kind.ends_with("Options") || matches!(kind, "Status" | "WatchEvent");
    found.or_else(|| is_option.then(|| format!("{META}.{kind}")))
}

/// Decodes a message of a definition.
fn message_value(name: &str, bytes: &[u8], depth: usize) -> Result<Value, ProtobufError> {
    let depth = depth.checked_sub(1).ok_or_else(|| malformed("messages are nested too deep"))?;
    if let Some(value) = special::value(name, bytes, depth)? {
        return Ok(value);
    }
    let message = Messages::builtin().get(name).ok_or_else(|| malformed(format!("message {name} is not known")))?;
    let mut map = Map::new();
    fill(&message, bytes, depth, &mut map)?;
    if let [Field { emptiness: Emptiness::Inline, shape: Shape::Repeated, .. }] = message.fields.as_slice() {
        // A slice that is a type of its own: its message is its items.
        return Ok(map.remove("-").unwrap_or_else(|| Value::Array(Vec::new())));
    }
    Ok(Value::Object(map))
}

fn fill(message: &Message, bytes: &[u8], depth: usize, map: &mut Map<String, Value>) -> Result<(), ProtobufError> {
    for field in message.fields.iter().filter(|f| f.emptiness == Emptiness::Always && f.shape == Shape::One) {
        if let Some(zero) = field.kind.zero() {
            map.insert(field.name.clone(), zero);
        }
    }
    for item in Reader::new(bytes) {
        let (number, payload) = item.map_err(malformed)?;
        // Fields that are newer than the tables are dropped, as unknown fields of JSON are.
        let Some(field) = message.fields.iter().find(|f| f.number == number) else { continue };
        match (field.shape, field.emptiness, &field.kind, payload) {
            (Shape::One, Emptiness::Inline, Kind::Message(name), Payload::Bytes(bytes)) => {
                let depth = depth.checked_sub(1).ok_or_else(|| malformed("messages are nested too deep"))?;
                let inlined = Messages::builtin().get(name).ok_or_else(|| malformed(format!("{name} is not known")))?;
                fill(&inlined, bytes, depth, map)?;
            }
            (Shape::One, emptiness, kind, payload) => {
                let value = value_of(kind, payload, depth)?;
                let is_dropped = value.is_null() || (emptiness == Emptiness::OmitEmpty && is_zero(kind, &value));
                if is_dropped {
                    map.remove(&field.name);
                } else {
                    map.insert(field.name.clone(), value);
                }
            }
            (Shape::Repeated, _, kind, payload) => {
                let list = map.entry(field.name.clone()).or_insert_with(|| Value::Array(Vec::new()));
                let Value::Array(list) = list else { continue };
                push_items(kind, payload, depth, list)?;
            }
            (Shape::Map, _, kind, Payload::Bytes(bytes)) => {
                let (key, value) = entry(kind, bytes, depth)?;
                let entries = map.entry(field.name.clone()).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(entries) = entries {
                    entries.insert(key, value);
                }
            }
            (Shape::Map, ..) => return Err(malformed(format!("field {} is no map", field.name))),
        }
    }
    Ok(())
}

/// Adds one item, or the items of a packed list of numbers.
fn push_items(kind: &Kind, payload: Payload<'_>, depth: usize, list: &mut Vec<Value>) -> Result<(), ProtobufError> {
    match (kind, payload) {
        (Kind::Integer | Kind::Boolean, Payload::Bytes(packed)) => {
            for number in wire::packed(packed) {
                list.push(value_of(kind, Payload::Number(number.map_err(malformed)?), depth)?);
            }
        }
        (kind, payload) => list.push(value_of(kind, payload, depth)?),
    }
    Ok(())
}

/// Decodes one entry of a map.
fn entry(kind: &Kind, bytes: &[u8], depth: usize) -> Result<(String, Value), ProtobufError> {
    let mut key = String::new();
    let mut value = None;
    for field in Reader::new(bytes) {
        match field.map_err(malformed)? {
            (1, Payload::Bytes(text)) => key = wire::text(text).map_err(malformed)?,
            (2, payload) => value = Some(value_of(kind, payload, depth)?),
            _ => {}
        }
    }
    let empty = || match kind {
        Kind::Message(_) => value_of(kind, Payload::Bytes(&[]), depth),
        scalar => Ok(scalar.zero().unwrap_or(Value::Null)),
    };
    Ok((key, value.map_or_else(empty, Ok)?))
}

fn value_of(kind: &Kind, payload: Payload<'_>, depth: usize) -> Result<Value, ProtobufError> {
    match (kind, payload) {
        (Kind::Text, Payload::Bytes(bytes)) => wire::text(bytes).map(Value::String).map_err(malformed),
        (Kind::Bytes, Payload::Bytes(bytes)) => Ok(Value::String(special::base64(bytes))),
        (Kind::Integer, Payload::Number(number)) => Ok(Value::from(number.cast_signed())),
        (Kind::Boolean, Payload::Number(number)) => Ok(Value::from(number != 0)),
        (Kind::Double, Payload::Fixed64(bits)) => serde_json::Number::from_f64(f64::from_bits(bits))
            .map(Value::Number)
            .ok_or_else(|| malformed("a number must be finite")),
        (Kind::Message(name), Payload::Bytes(bytes)) => message_value(name, bytes, depth),
        (kind, payload) => Err(malformed(format!("a field of kind {kind:?} is encoded as {}", payload.name()))),
    }
}

/// Tells whether Go leaves a value out: numbers, texts and flags that are zero, never structs.
fn is_zero(kind: &Kind, value: &Value) -> bool {
    match value {
        Value::Object(_) => false,
        Value::Array(list) => list.is_empty(),
        other => kind.zero().is_some_and(|zero| zero == *other) || (matches!(kind, Kind::Bytes) && *other == ""),
    }
}

#[cfg(test)]
mod tests;
