//! Structural schemas of CRDs.
//!
//! Source: Kubernetes "Specifying a structural schema".

use super::{Kind, ListType, Node, SchemaError};
use serde_json::Value;

/// Reads the schema of a CRD's objects and checks that it is structural.
pub(super) fn read(schema: &Value) -> Result<Node, SchemaError> {
    let mut root = Node::read(schema, "openAPIV3Schema")?;
    if root.kind != Some(Kind::Object) {
        return Err(error("openAPIV3Schema.type", "must be object at the root"));
    }
    check(&root, "openAPIV3Schema")?;
    root.add_object_fields();
    add_embedded_fields(&mut root);
    Ok(root)
}

fn error(path: &str, why: &str) -> SchemaError {
    SchemaError { path: path.to_owned(), why: why.to_owned() }
}

fn check(node: &Node, path: &str) -> Result<(), SchemaError> {
    if node.reference.is_some() {
        return Err(error(&format!("{path}.$ref"), "Forbidden: references are not supported"));
    }
    if node.kind.is_none() && !node.is_int_or_string && !node.preserves_unknown {
        return Err(error(&format!("{path}.type"), "Required value: must not be empty for specified object fields"));
    }
    if node.additional.is_some() && !node.properties.is_empty() {
        let why = "Forbidden: additionalProperties and properties are mutual exclusive";
        return Err(error(&format!("{path}.additionalProperties"), why));
    }
    if node.kind == Some(Kind::Array) && node.items.is_none() {
        return Err(error(&format!("{path}.items"), "Required value: must be specified"));
    }
    if node.list_type == ListType::Map && node.list_keys.is_empty() {
        let why = "Required value: must be specified if x-kubernetes-list-type is map";
        return Err(error(&format!("{path}.x-kubernetes-list-map-keys"), why));
    }
    for (name, property) in &node.properties {
        // Whatever a schema says of metadata is replaced by what metadata is.
        if path == "openAPIV3Schema" && &**name == "metadata" {
            continue;
        }
        check(property, &format!("{path}.properties[{name}]"))?;
    }
    if let Some(additional) = &node.additional {
        check(additional, &format!("{path}.additionalProperties"))?;
    }
    if let Some(items) = &node.items {
        check(items, &format!("{path}.items"))?;
    }
    Ok(())
}

fn add_embedded_fields(node: &mut Node) {
    if node.is_embedded_resource {
        node.add_object_fields();
    }
    for property in node.properties.values_mut() {
        add_embedded_fields(property);
    }
    if let Some(additional) = &mut node.additional {
        add_embedded_fields(additional);
    }
    if let Some(items) = &mut node.items {
        add_embedded_fields(items);
    }
}
