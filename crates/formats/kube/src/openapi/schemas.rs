//! The schemas of a document: built-in definitions with all they refer to, and those of CRDs.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::Schema;

/// Which OpenAPI a document is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// OpenAPI 2.0.
    V2,
    /// OpenAPI 3.0.
    V3,
}

impl Dialect {
    /// Returns a reference to a definition.
    pub(super) fn reference(self, name: &str) -> Value {
        let place = match self {
            Self::V2 => "definitions",
            Self::V3 => "components/schemas",
        };
        json!({"$ref": format!("#/{place}/{name}")})
    }
}

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// The schemas gathered so far.
pub(super) struct Schemas {
    dialect: Dialect,
    definitions: BTreeMap<String, Value>,
}

impl Schemas {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, definitions: BTreeMap::new() }
    }

    pub(super) fn finish(self) -> Value {
        Value::Object(self.definitions.into_iter().collect())
    }

    /// Adds a built-in definition and all it refers to.
    pub(super) fn add(&mut self, name: &str) {
        let mut wanted = vec![name.to_owned()];
        while let Some(name) = wanted.pop() {
            if self.definitions.contains_key(&name) {
                continue;
            }
            let Some(document) = crate::Schemas::builtin().document(&name) else { continue };
            let schema = translate(&document, self.dialect, &mut wanted);
            self.definitions.insert(name, schema);
        }
    }

    /// Adds a kind and returns a reference to it; nothing is said of a kind that is neither built in nor given a schema.
    pub(super) fn kind(&mut self, (group, version, kind): &(String, String, String), schema: Option<&Schema>) -> Value {
        let builtin = schema.and_then(Schema::definition);
        let builtin = builtin.or_else(|| crate::Schemas::builtin().definition_of(group, version, kind));
        if let (Some(name), true) = (builtin, schema.is_none_or(|s| s.document().is_none())) {
            self.add(name);
            return self.dialect.reference(name);
        }
        let name = definition_name(group, version, kind);
        if !self.definitions.contains_key(&name) {
            let mut document = schema.and_then(Schema::document).map_or_else(free_object, |document| {
                let mut wanted = Vec::new();
                translate(document, self.dialect, &mut wanted)
            });
            self.add(OBJECT_META);
            document["properties"]["apiVersion"] = json!({"type": "string"});
            document["properties"]["kind"] = json!({"type": "string"});
            document["properties"]["metadata"] = self.dialect.reference(OBJECT_META);
            document["x-kubernetes-group-version-kind"] = gvk(group, version, kind);
            self.definitions.insert(name.clone(), document);
        }
        self.dialect.reference(&name)
    }

    /// Adds the list of a kind and returns a reference to it.
    pub(super) fn list(&mut self, (group, version, kind): &(String, String, String), schema: Option<&Schema>) -> Value {
        let list_kind = format!("{kind}List");
        if let Some(name) = crate::Schemas::builtin().definition_of(group, version, &list_kind) {
            self.add(name);
            return self.dialect.reference(name);
        }
        let items = self.kind(&(group.clone(), version.clone(), kind.clone()), schema);
        self.add(LIST_META);
        let name = definition_name(group, version, &list_kind);
        let document = json!({
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": self.dialect.reference(LIST_META),
                "items": {"type": "array", "items": items},
            },
            "x-kubernetes-group-version-kind": gvk(group, version, &list_kind),
        });
        self.definitions.insert(name.clone(), document);
        self.dialect.reference(&name)
    }
}

fn free_object() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {}})
}

fn gvk(group: &str, version: &str, kind: &str) -> Value {
    json!([{"group": group, "version": version, "kind": kind}])
}

/// Returns the name of a CRD's definition: `com.example.v1.CronTab` of the group `example.com`.
fn definition_name(group: &str, version: &str, kind: &str) -> String {
    let mut parts: Vec<&str> = group.split('.').filter(|part| !part.is_empty()).collect();
    parts.reverse();
    parts.extend([version, kind]);
    parts.join(".")
}

/// Translates a schema of the data or of a CRD, and notes the definitions it refers to.
fn translate(schema: &Value, dialect: Dialect, wanted: &mut Vec<String>) -> Value {
    let Value::Object(map) = schema else { return schema.clone() };
    let mut out = Map::new();
    for (key, value) in map {
        match key.as_str() {
            "$ref" => {}
            "properties" | "patternProperties" | "definitions" => {
                let properties = value.as_object().into_iter().flatten();
                let properties = properties.map(|(name, value)| (name.clone(), translate(value, dialect, wanted)));
                out.insert(key.clone(), Value::Object(properties.collect()));
            }
            "items" | "additionalProperties" | "not" => {
                out.insert(key.clone(), translate(value, dialect, wanted));
            }
            "allOf" | "anyOf" | "oneOf" => {
                let parts = value.as_array().into_iter().flatten().map(|part| translate(part, dialect, wanted));
                let parts = Value::Array(parts.collect());
                // OpenAPI 2.0 has no anyOf, oneOf and not.
                if dialect == Dialect::V3 || key == "allOf" {
                    out.insert(key.clone(), parts);
                }
            }
            _ => {
                out.insert(key.clone(), value.clone());
            }
        }
    }
    if dialect == Dialect::V2 {
        out.remove("not");
        out.remove("nullable");
    }
    scalars(&mut out, dialect);
    if let Some(name) = map.get("$ref").and_then(Value::as_str) {
        wanted.push(name.to_owned());
        let reference = dialect.reference(name);
        match (dialect, out.is_empty()) {
            (_, true) => return reference,
            (Dialect::V2, false) => out.extend(reference.as_object().cloned().unwrap_or_default()),
            (Dialect::V3, false) => drop(out.insert("allOf".to_owned(), json!([reference]))),
        }
    }
    Value::Object(out)
}

/// Spells the scalars that the data abbreviates.
fn scalars(out: &mut Map<String, Value>, dialect: Dialect) {
    let is_quantity = out.get("format").is_some_and(|format| format == "quantity");
    let is_int_or_string = out.get("x-kubernetes-int-or-string").is_some_and(|flag| flag == true);
    match dialect {
        Dialect::V3 if is_quantity => {
            out.remove("format");
            out.insert("oneOf".to_owned(), json!([{"type": "string"}, {"type": "number"}]));
        }
        Dialect::V3 if is_int_or_string && !out.contains_key("anyOf") => {
            out.insert("format".to_owned(), json!("int-or-string"));
            out.insert("oneOf".to_owned(), json!([{"type": "integer"}, {"type": "string"}]));
        }
        Dialect::V2 if is_quantity => {
            out.remove("format");
            out.insert("type".to_owned(), json!("string"));
        }
        Dialect::V2 if is_int_or_string => {
            out.insert("type".to_owned(), json!("string"));
            out.insert("format".to_owned(), json!("int-or-string"));
        }
        Dialect::V2 | Dialect::V3 => {}
    }
}
