//! Tests of protobuf bodies.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Encodes a field with a length.
fn bytes_field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![(number << 3) | 2];
    let mut length = content.len();
    while length >= 0x80 {
        out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap());
    out.extend_from_slice(content);
    out
}

fn number_field(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn body(api_version: &str, kind: &str, object: &[u8]) -> Vec<u8> {
    let meta = [bytes_field(1, api_version.as_bytes()), bytes_field(2, kind.as_bytes())].concat();
    [MAGIC.to_vec(), bytes_field(1, &meta), bytes_field(2, object)].concat()
}

#[test]
fn every_message_can_be_read_and_reaches_known_messages() {
    let mut count = 0;
    for name in Messages::builtin().names() {
        let message = Messages::builtin().get(name).unwrap();
        for field in &message.fields {
            if let Kind::Message(reference) = &field.kind {
                assert!(Messages::builtin().get(reference).is_some(), "{name}.{}: {reference}", field.name);
            }
        }
        count += 1;
        message_value(name, &[], DEPTH_MAX).unwrap();
    }
    assert!(count > 800, "{count}");
}

#[test]
fn zero_values_are_printed_as_go_prints_them() {
    // ObjectMeta{name: "web", namespace: ""}, Spec{replicas: 0, minReadySeconds: 0, template: {spec: {containers: [{name: "a"}]}}}
    let container = [bytes_field(1, b"a"), bytes_field(2, b"")].concat();
    let pod_spec = bytes_field(2, &container);
    let template = bytes_field(2, &pod_spec);
    let spec = [number_field(1, 0), bytes_field(3, &template), number_field(5, 0)].concat();
    let metadata = [bytes_field(1, b"web"), bytes_field(3, b""), bytes_field(8, b"")].concat();
    let object = [bytes_field(1, &metadata), bytes_field(2, &spec)].concat();
    assert_eq!(
        decode(&body("apps/v1", "Deployment", &object)).unwrap(),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"replicas": 0, "template": {"spec": {"containers": [{"name": "a"}]}}}})
    );
}

#[test]
fn inlined_and_special_messages() {
    let source = bytes_field(2, b"");
    let volume = [bytes_field(1, b"v"), bytes_field(2, &source)].concat();
    let spec = bytes_field(1, &volume);
    let pod = bytes_field(2, &spec);
    assert_eq!(decode(&body("v1", "Pod", &pod)).unwrap()["spec"]["volumes"], json!([{"name": "v", "emptyDir": {}}]));
    let port = [bytes_field(4, &[number_field(1, 1), bytes_field(3, b"http")].concat()), number_field(3, 80)].concat();
    let service = bytes_field(2, &bytes_field(1, &port));
    assert_eq!(
        decode(&body("v1", "Service", &service)).unwrap()["spec"]["ports"],
        json!([{"port": 80, "targetPort": "http"}])
    );
    let entry = [bytes_field(1, b"k"), bytes_field(2, b"\xff\x00")].concat();
    let secret = bytes_field(2, &entry);
    assert_eq!(decode(&body("v1", "Secret", &secret)).unwrap()["data"], json!({"k": "/wA="}));
}

#[test]
fn delete_options_of_any_group_are_known() {
    let options = bytes_field(4, b"Background");
    for group in ["v1", "apps/v1", "example.com/v1"] {
        let decoded = decode(&body(group, "DeleteOptions", &options)).unwrap();
        assert_eq!(decoded, json!({"apiVersion": group, "kind": "DeleteOptions", "propagationPolicy": "Background"}));
    }
}

#[test]
fn what_is_not_built_in_or_broken_is_refused() {
    assert!(matches!(decode(&body("example.com/v1", "Thing", b"")), Err(ProtobufError::NotSupported { .. })));
    assert!(matches!(decode(b"{}"), Err(ProtobufError::Malformed(_))));
    assert!(matches!(decode(&body("v1", "Pod", &[0x0a, 0x05])), Err(ProtobufError::Malformed(_))));
    assert!(matches!(decode(&body("v1", "Pod", &[0x08, 0x05])), Err(ProtobufError::Malformed(_))));
}

#[test]
fn nesting_is_limited() {
    let mut schema = Vec::new();
    for _ in 0..1000 {
        schema = bytes_field(28, &schema);
        schema.splice(0..1, [0xe2, 0x01]);
    }
    let crd = bytes_field(2, &bytes_field(7, &bytes_field(4, &bytes_field(1, &schema))));
    let result = decode(&body("apiextensions.k8s.io/v1", "CustomResourceDefinition", &crd));
    assert_eq!(result, Err(ProtobufError::Malformed("messages are nested too deep".to_owned())));
}

/// Removes what JSON and protobuf may differ in without a difference in meaning: nulls, and lists and maps without items.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().map(|(name, value)| (name.clone(), normal(value)));
            Value::Object(kept.filter(|(_, value)| !value.is_null() && *value != json!([])).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(normal).collect()),
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        other => other.clone(),
    }
}

/// Objects that Go's types printed both ways; lines of base64, a tab, and JSON.
#[test]
fn objects_decode_to_the_json_that_go_prints() {
    use base64::Engine as _;
    use std::io::Read as _;

    let mut text = String::new();
    let data: &[u8] = include_bytes!("../../tests/data/protobuf.bin");
    flate2::read::ZlibDecoder::new(data).read_to_string(&mut text).unwrap();
    let mut count = 0;
    for (body, expected) in text.lines().map(|line| line.split_once('\t').unwrap()) {
        let body = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
        let expected: Value = serde_json::from_str(expected).unwrap();
        let decoded = decode(&body).unwrap_or_else(|error| panic!("{}: {error}", expected["kind"]));
        assert_eq!(normal(&decoded), normal(&expected), "{}", expected["kind"]);
        count += 1;
    }
    assert!(count > 100, "{count}");
}

proptest! {
    #[test]
    fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..4_usize) {
        let kind = [("v1", "Pod"), ("apps/v1", "Deployment"), ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            ("v1", "Event")][at];
        drop(decode(&bytes));
        drop(decode(&[MAGIC, bytes.as_slice()].concat()));
        drop(decode(&body(kind.0, kind.1, &bytes)));
    }
}
