//! The custom resources of the Gateway API: the fields of its standard channel, as structural schemas without prose.

use serde_json::{Map, Value, json};

use crate::kinds::GROUP;

/// Returns the CustomResourceDefinitions of the Gateway API's standard channel that the gateway understands.
#[must_use]
pub fn crds() -> Vec<Value> {
    let both: &[&str] = &["v1", "v1beta1"];
    vec![
        definition(
            &Names { kind: "GatewayClass", plural: "gatewayclasses", short: &["gc"], namespaced: false },
            both,
            gateway_class(),
            &[
                ("Controller", ".spec.controllerName"),
                ("Accepted", ".status.conditions[?(@.type==\"Accepted\")].status"),
            ],
        ),
        definition(
            &Names { kind: "Gateway", plural: "gateways", short: &["gtw"], namespaced: true },
            both,
            gateway(),
            &[
                ("Class", ".spec.gatewayClassName"),
                ("Address", ".status.addresses[*].value"),
                ("Programmed", ".status.conditions[?(@.type==\"Programmed\")].status"),
            ],
        ),
        definition(
            &Names { kind: "HTTPRoute", plural: "httproutes", short: &[], namespaced: true },
            both,
            http_route(),
            &[("Hostnames", ".spec.hostnames")],
        ),
        definition(
            &Names { kind: "GRPCRoute", plural: "grpcroutes", short: &[], namespaced: true },
            &["v1"],
            grpc_route(),
            &[("Hostnames", ".spec.hostnames")],
        ),
        definition(
            &Names { kind: "ReferenceGrant", plural: "referencegrants", short: &["refgrant"], namespaced: true },
            both,
            reference_grant(),
            &[],
        ),
        definition(
            &Names { kind: "BackendTLSPolicy", plural: "backendtlspolicies", short: &["btlspolicy"], namespaced: true },
            &["v1"],
            backend_tls_policy(),
            &[],
        ),
    ]
}

struct Names {
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    namespaced: bool,
}

/// The schemas of an object's `spec` and `status`.
struct Schemas {
    spec: Value,
    status: Option<Value>,
}

fn definition(names: &Names, versions: &[&str], schemas: Schemas, columns: &[(&str, &str)]) -> Value {
    let mut columns: Vec<Value> =
        columns.iter().map(|(name, path)| json!({"name": name, "type": "string", "jsonPath": path})).collect();
    columns.push(json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}));
    let mut properties = json!({
        "apiVersion": string(),
        "kind": string(),
        "metadata": {"type": "object"},
        "spec": schemas.spec,
    });
    let mut subresources = json!({});
    if let Some(status) = schemas.status {
        properties["status"] = status;
        subresources["status"] = json!({});
    }
    let schema = json!({"type": "object", "properties": properties, "required": ["spec"]});
    let versions: Vec<Value> = versions
        .iter()
        .enumerate()
        .map(|(position, version)| {
            json!({
                "name": version,
                "served": true,
                "storage": position == 0,
                "subresources": subresources,
                "additionalPrinterColumns": columns,
                "schema": {"openAPIV3Schema": schema},
            })
        })
        .collect();
    let (plural, kind) = (names.plural, names.kind);
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{GROUP}"),
            "annotations": {
                "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api",
                "gateway.networking.k8s.io/channel": "standard",
            },
        },
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": format!("{kind}List"),
                "plural": plural,
                "singular": kind.to_lowercase(),
                "shortNames": names.short,
                "categories": ["gateway-api"],
            },
            "scope": if names.namespaced { "Namespaced" } else { "Cluster" },
            "versions": versions,
        },
    })
}

fn string() -> Value {
    json!({"type": "string"})
}

fn text(min: u32, max: u32) -> Value {
    json!({"type": "string", "minLength": min, "maxLength": max})
}

fn one_of(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

fn integer(min: i64, max: i64) -> Value {
    json!({"type": "integer", "format": "int32", "minimum": min, "maximum": max})
}

fn port() -> Value {
    integer(1, 65_535)
}

fn list(items: Value, max: u32) -> Value {
    json!({"type": "array", "items": items, "maxItems": max})
}

fn list_map(items: Value, keys: &[&str], max: u32) -> Value {
    let mut schema = list(items, max);
    schema["x-kubernetes-list-type"] = json!("map");
    schema["x-kubernetes-list-map-keys"] = json!(keys);
    schema
}

fn with_default(mut schema: Value, default: Value) -> Value {
    schema["default"] = default;
    schema
}

/// An object; names that end in `!` are required.
fn object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, schema) in fields {
        let plain = name.trim_end_matches('!');
        if plain != name {
            required.push(plain);
        }
        properties.insert(plain.to_owned(), schema);
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn text_map(max: u32) -> Value {
    json!({"type": "object", "additionalProperties": text(0, 4096), "maxProperties": max})
}

fn group() -> Value {
    json!({"type": "string", "maxLength": 253, "pattern": r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"})
}

fn kind() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"})
}

fn namespace() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"})
}

fn section_name() -> Value {
    json!({
        "type": "string", "minLength": 1, "maxLength": 253,
        "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    })
}

fn hostname() -> Value {
    json!({
        "type": "string", "minLength": 1, "maxLength": 253,
        "pattern": r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    })
}

fn duration() -> Value {
    json!({"type": "string", "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$"})
}

fn conditions() -> Value {
    let condition = object([
        ("lastTransitionTime!", json!({"type": "string", "format": "date-time"})),
        ("message!", text(0, 32_768)),
        ("observedGeneration", json!({"type": "integer", "format": "int64", "minimum": 0})),
        ("reason!", text(1, 1024)),
        ("status!", one_of(&["True", "False", "Unknown"])),
        ("type!", text(1, 316)),
    ]);
    list_map(condition, &["type"], 8)
}

/// `LabelSelector` of Kubernetes.
fn label_selector() -> Value {
    let requirement =
        object([("key!", string()), ("operator!", string()), ("values", json!({"type": "array", "items": string()}))]);
    object([
        ("matchExpressions", json!({"type": "array", "items": requirement})),
        ("matchLabels", json!({"type": "object", "additionalProperties": string()})),
    ])
}

fn local_reference() -> Value {
    object([("group!", group()), ("kind!", kind()), ("name!", text(1, 253))])
}

fn gateway_class() -> Schemas {
    let parameters =
        object([("group!", group()), ("kind!", kind()), ("name!", text(1, 253)), ("namespace", namespace())]);
    let spec = object([("controllerName!", text(1, 253)), ("description", text(0, 64)), ("parametersRef", parameters)]);
    let feature = object([("name!", string())]);
    let status = object([("conditions", conditions()), ("supportedFeatures", list_map(feature, &["name"], 64))]);
    Schemas { spec, status: Some(status) }
}

fn secret_reference() -> Value {
    object([
        ("group", with_default(group(), json!(""))),
        ("kind", with_default(kind(), json!("Secret"))),
        ("name!", text(1, 253)),
        ("namespace", namespace()),
    ])
}

fn listener() -> Value {
    let tls = object([
        ("mode", with_default(one_of(&["Terminate", "Passthrough"]), json!("Terminate"))),
        ("certificateRefs", list(secret_reference(), 64)),
        ("options", text_map(16)),
    ]);
    let namespaces = object([
        ("from", with_default(one_of(&["All", "Selector", "Same", "None"]), json!("Same"))),
        ("selector", label_selector()),
    ]);
    let route_kind = object([("group", with_default(group(), json!(GROUP))), ("kind!", kind())]);
    let allowed =
        object([("namespaces", with_default(namespaces, json!({"from": "Same"}))), ("kinds", list(route_kind, 8))]);
    object([
        ("name!", section_name()),
        ("hostname", hostname()),
        ("port!", port()),
        ("protocol!", text(1, 255)),
        ("tls", tls),
        ("allowedRoutes", with_default(allowed, json!({"namespaces": {"from": "Same"}}))),
    ])
}

fn gateway() -> Schemas {
    let address = || object([("type", with_default(text(1, 253), json!("IPAddress"))), ("value", text(1, 253))]);
    let infrastructure =
        object([("labels", text_map(8)), ("annotations", text_map(8)), ("parametersRef", local_reference())]);
    let mut listeners = list_map(listener(), &["name"], 64);
    listeners["minItems"] = json!(1);
    let spec = object([
        ("gatewayClassName!", text(1, 253)),
        ("listeners!", listeners),
        ("addresses", list(address(), 16)),
        ("infrastructure", infrastructure),
    ]);
    let supported = object([("group", with_default(group(), json!(GROUP))), ("kind!", kind())]);
    let listener_status = object([
        ("name!", section_name()),
        ("supportedKinds", list(supported, 8)),
        ("attachedRoutes!", integer(0, i64::from(i32::MAX))),
        ("conditions!", conditions()),
    ]);
    let status = object([
        ("addresses", list(address(), 16)),
        ("conditions", conditions()),
        ("listeners", list_map(listener_status, &["name"], 64)),
    ]);
    Schemas { spec, status: Some(status) }
}

fn parent_reference() -> Value {
    object([
        ("group", with_default(group(), json!(GROUP))),
        ("kind", with_default(kind(), json!("Gateway"))),
        ("namespace", namespace()),
        ("name!", text(1, 253)),
        ("sectionName", section_name()),
        ("port", port()),
    ])
}

fn route_status() -> Value {
    let parent =
        object([("parentRef!", parent_reference()), ("controllerName!", text(1, 253)), ("conditions!", conditions())]);
    object([("parents!", list(parent, 32))])
}

fn route_spec(rules: Value) -> Value {
    object([("parentRefs", list(parent_reference(), 32)), ("hostnames", list(hostname(), 16)), ("rules", rules)])
}

fn value_match(max: u32) -> Value {
    object([
        ("type", with_default(one_of(&["Exact", "RegularExpression"]), json!("Exact"))),
        ("name!", text(1, 256)),
        ("value!", text(1, max)),
    ])
}

fn header_modifier() -> Value {
    let header = || object([("name!", text(1, 256)), ("value!", text(1, 4096))]);
    object([
        ("set", list_map(header(), &["name"], 16)),
        ("add", list_map(header(), &["name"], 16)),
        ("remove", json!({"type": "array", "items": string(), "maxItems": 16, "x-kubernetes-list-type": "set"})),
    ])
}

fn backend_reference() -> Vec<(&'static str, Value)> {
    vec![
        ("group", with_default(group(), json!(""))),
        ("kind", with_default(kind(), json!("Service"))),
        ("name!", text(1, 253)),
        ("namespace", namespace()),
        ("port", port()),
    ]
}

fn path_modifier() -> Value {
    object([
        ("type!", one_of(&["ReplaceFullPath", "ReplacePrefixMatch"])),
        ("replaceFullPath", text(0, 1024)),
        ("replacePrefixMatch", text(0, 1024)),
    ])
}

fn mirror() -> Value {
    let fraction = object([
        ("numerator!", integer(0, i64::from(i32::MAX))),
        ("denominator", with_default(integer(1, i64::from(i32::MAX)), json!(100))),
    ]);
    object([("backendRef!", object(backend_reference())), ("percent", integer(0, 100)), ("fraction", fraction)])
}

fn http_filter() -> Value {
    let kinds = [
        "RequestHeaderModifier",
        "ResponseHeaderModifier",
        "RequestMirror",
        "RequestRedirect",
        "URLRewrite",
        "ExtensionRef",
    ];
    let status = json!({"type": "integer", "enum": [301, 302, 303, 307, 308], "default": 302});
    let redirect = object([
        ("scheme", one_of(&["http", "https"])),
        ("hostname", hostname()),
        ("path", path_modifier()),
        ("port", port()),
        ("statusCode", status),
    ]);
    object([
        ("type!", one_of(&kinds)),
        ("requestHeaderModifier", header_modifier()),
        ("responseHeaderModifier", header_modifier()),
        ("requestMirror", mirror()),
        ("requestRedirect", redirect),
        ("urlRewrite", object([("hostname", hostname()), ("path", path_modifier())])),
        ("extensionRef", local_reference()),
    ])
}

fn weighted(filter: Value) -> Value {
    let mut fields = backend_reference();
    fields.push(("weight", with_default(integer(0, 1_000_000), json!(1))));
    fields.push(("filters", list(filter, 16)));
    object(fields)
}

fn http_route() -> Schemas {
    let path = object([
        ("type", with_default(one_of(&["Exact", "PathPrefix", "RegularExpression"]), json!("PathPrefix"))),
        ("value", with_default(text(0, 1024), json!("/"))),
    ]);
    let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    let everything = json!({"type": "PathPrefix", "value": "/"});
    let one = object([
        ("path", with_default(path, everything.clone())),
        ("headers", list_map(value_match(4096), &["name"], 16)),
        ("queryParams", list_map(value_match(1024), &["name"], 16)),
        ("method", one_of(&methods)),
    ]);
    let rule = object([
        ("name", section_name()),
        ("matches", with_default(list(one, 64), json!([{"path": everything}]))),
        ("filters", list(http_filter(), 16)),
        ("backendRefs", list(weighted(http_filter()), 16)),
        ("timeouts", object([("request", duration()), ("backendRequest", duration())])),
    ]);
    let rules = with_default(list(rule, 16), json!([{"matches": [{"path": everything}]}]));
    Schemas { spec: route_spec(rules), status: Some(route_status()) }
}

fn grpc_route() -> Schemas {
    let kinds = ["RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef"];
    let filter = || {
        object([
            ("type!", one_of(&kinds)),
            ("requestHeaderModifier", header_modifier()),
            ("responseHeaderModifier", header_modifier()),
            ("requestMirror", mirror()),
            ("extensionRef", local_reference()),
        ])
    };
    let method = object([
        ("type", with_default(one_of(&["Exact", "RegularExpression"]), json!("Exact"))),
        ("service", text(0, 1024)),
        ("method", text(0, 1024)),
    ]);
    let one = object([("method", method), ("headers", list_map(value_match(4096), &["name"], 16))]);
    let rule = object([
        ("name", section_name()),
        ("matches", list(one, 64)),
        ("filters", list(filter(), 16)),
        ("backendRefs", list(weighted(filter()), 16)),
    ]);
    Schemas { spec: route_spec(list(rule, 16)), status: Some(route_status()) }
}

fn reference_grant() -> Schemas {
    let from = object([("group!", group()), ("kind!", kind()), ("namespace!", namespace())]);
    let to = object([("group!", group()), ("kind!", kind()), ("name", text(1, 253))]);
    let some = |items| {
        let mut schema = list(items, 16);
        schema["minItems"] = json!(1);
        schema
    };
    Schemas { spec: object([("from!", some(from)), ("to!", some(to))]), status: None }
}

fn backend_tls_policy() -> Schemas {
    let target =
        object([("group!", group()), ("kind!", kind()), ("name!", text(1, 253)), ("sectionName", section_name())]);
    let subject = object([("type!", one_of(&["Hostname", "URI"])), ("hostname", hostname()), ("uri", text(1, 253))]);
    let validation = object([
        ("caCertificateRefs", list(local_reference(), 8)),
        ("wellKnownCACertificates", text(1, 253)),
        ("hostname!", hostname()),
        ("subjectAltNames", list(subject, 5)),
    ]);
    let mut targets = list(target, 16);
    targets["minItems"] = json!(1);
    let ancestor = object([
        ("ancestorRef!", parent_reference()),
        ("controllerName!", text(1, 253)),
        ("conditions!", conditions()),
    ]);
    let status = object([("ancestors!", list(ancestor, 16))]);
    let spec = object([("targetRefs!", targets), ("validation!", validation), ("options", text_map(16))]);
    Schemas { spec, status: Some(status) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kubernetes, "Specifying a structural schema": each node has a type, and nothing else beside it.
    fn check(path: &str, schema: &Value) {
        let kind = schema["type"].as_str().unwrap_or_else(|| panic!("{path} has no type"));
        match kind {
            "object" => {
                let properties = schema["properties"].as_object();
                for (name, schema) in properties.into_iter().flatten() {
                    check(&format!("{path}.{name}"), schema);
                }
                for name in schema["required"].as_array().into_iter().flatten() {
                    let name = name.as_str().unwrap();
                    assert!(
                        properties.is_some_and(|all| all.contains_key(name)),
                        "{path}.{name} is required but unknown"
                    );
                }
            }
            "array" => {
                check(&format!("{path}[]"), &schema["items"]);
                for key in schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten() {
                    let key = key.as_str().unwrap();
                    let required = schema["items"]["required"].as_array();
                    assert!(required.is_some_and(|all| all.iter().any(|one| one == key)), "{path} is keyed by {key}");
                }
            }
            "string" | "integer" | "boolean" => {}
            other => panic!("{path} has the type {other}"),
        }
    }

    #[test]
    fn the_schemas_are_structural() {
        for crd in crds() {
            let versions = crd["spec"]["versions"].as_array().unwrap();
            assert_eq!(versions.iter().filter(|version| version["storage"] == true).count(), 1);
            for version in versions {
                check(crd["spec"]["names"]["kind"].as_str().unwrap(), &version["schema"]["openAPIV3Schema"]);
            }
        }
    }
}
