//! Tests of schemas.

use serde_json::{Value, json};

use super::*;

fn builtin(group: &str, version: &str, kind: &str) -> Schema {
    Schemas::builtin().root(group, version, kind).unwrap()
}

fn messages(schema: &Schema, object: &Value) -> Vec<String> {
    schema.validate(object).iter().map(ToString::to_string).collect()
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "creationTimestamp": null},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "strategy": {},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
                {"name": "web", "image": "nginx", "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": 1, "memory": "1Gi"}},
                 "readinessProbe": {"httpGet": {"path": "/", "port": "http"}}}]}}},
        "status": {"conditions": [{"type": "Available"}]}
    })
}

#[test]
fn every_built_in_definition_can_be_read() {
    let kinds: Vec<_> =
        Schemas::builtin().kinds().map(|(g, v, k)| (g.to_owned(), v.to_owned(), k.to_owned())).collect();
    assert!(kinds.len() > 300, "{}", kinds.len());
    for (group, version, kind) in &kinds {
        let schema = builtin(group, version, kind);
        assert!(schema.definition().is_some());
        reach(schema.root(), &mut std::collections::BTreeSet::new());
    }
}

fn reach(node: &Node, seen: &mut std::collections::BTreeSet<String>) {
    if let Some(name) = &node.reference {
        if !seen.insert(name.to_string()) {
            return;
        }
        assert!(Schemas::builtin().definition(name).is_some(), "{name}");
    }
    let node = node.resolved();
    node.properties
        .values()
        .chain(node.additional.as_deref())
        .chain(node.items.as_deref())
        .for_each(|n| reach(n, seen));
}

#[test]
fn merge_rules_of_lists_are_there() {
    let schema = builtin("", "v1", "Pod");
    let containers = schema.root().property("spec").unwrap().property("containers").unwrap();
    assert_eq!(containers.list_type, ListType::Map);
    assert_eq!(containers.list_keys, ["name".into()]);
    assert!(containers.patch_merges);
    let ports = containers.items.as_ref().unwrap().property("ports").unwrap();
    assert_eq!(ports.list_keys.len(), 2);
    let protocol = ports.items.as_ref().unwrap().property("protocol").unwrap();
    assert_eq!(protocol.default, Some(json!("TCP")));
}

#[test]
fn a_right_deployment_passes() {
    assert_eq!(messages(&builtin("apps", "v1", "Deployment"), &deployment()), Vec::<String>::new());
}

#[test]
fn wrong_types_and_missing_fields_are_told_with_their_paths() {
    let schema = builtin("apps", "v1", "Deployment");
    let mut object = deployment();
    object["spec"]["replicas"] = json!("two");
    object["spec"]["template"]["spec"]["containers"][0].as_object_mut().unwrap().remove("name");
    object["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] = json!("much");
    object["spec"]["minReadySeconds"] = json!(3_000_000_000_u64);
    let mut messages = messages(&schema, &object);
    messages.sort_unstable();
    assert_eq!(
        messages,
        [
            "spec.minReadySeconds: Invalid value: 3000000000: spec.minReadySeconds in body must be of type int32: 3000000000",
            "spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\"",
            "spec.template.spec.containers[0].name: Required value",
            "spec.template.spec.containers[0].resources.limits.cpu: Invalid value: \"much\": quantities must match the regular \
             expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ]
    );
}

#[test]
fn unknown_fields_are_told_and_pruned() {
    let schema = builtin("apps", "v1", "Deployment");
    let mut object = deployment();
    object["spec"]["replica"] = json!(1);
    object["spec"]["template"]["spec"]["containers"][0]["imagee"] = json!("x");
    object["metadata"]["annotations"] = json!({"a": null, "b": "c"});
    let mut unknown = schema.unknown_fields(&object);
    unknown.sort_unstable();
    assert_eq!(unknown, ["spec.replica", "spec.template.spec.containers[0].imagee"]);
    schema.prune(&mut object);
    assert_eq!(object["metadata"], json!({"name": "web", "annotations": {"a": "", "b": "c"}}));
    assert!(object["spec"].get("replica").is_none());
    assert!(schema.unknown_fields(&object).is_empty());
}

#[test]
fn free_form_values_are_kept() {
    let schema = builtin("apps", "v1", "ControllerRevision");
    let object =
        json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "data": {"x": {"y": [1]}}, "revision": 1});
    assert!(schema.unknown_fields(&object).is_empty());
    let crd = builtin("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let object = json!({"spec": {"versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
        "type": "object", "properties": {"a": {"type": "string", "default": {"any": 1}}, "b": {"type": "array", "items": {"type": "string"}}}}}}]}});
    assert!(crd.unknown_fields(&object).is_empty());
}

fn cron_tab() -> Schema {
    Schema::from_crd(&json!({
        "type": "object",
        "required": ["spec"],
        "properties": {"spec": {
            "type": "object",
            "required": ["cronSpec"],
            "properties": {
                "cronSpec": {"type": "string", "pattern": "^[0-9* ]+$", "maxLength": 9},
                "replicas": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
                "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
                "port": {"x-kubernetes-int-or-string": true},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                    "items": {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "integer", "default": 7}}}},
                "either": {"type": "object", "properties": {"x": {"type": "string"}, "y": {"type": "string"}},
                    "oneOf": [{"required": ["x"]}, {"required": ["y"]}]}
            }}}
    }))
    .unwrap()
}

#[test]
fn a_crd_is_validated() {
    let schema = cron_tab();
    let object = json!({"metadata": {"name": "a"}, "spec": {"cronSpec": "x", "replicas": 11, "mode": "c", "port": true,
        "labels": {"a": 1}, "list": [{"k": "1"}, {"k": "1"}], "either": {"x": "", "y": ""}}});
    let mut messages = messages(&schema, &object);
    messages.sort_unstable();
    assert_eq!(
        messages,
        [
            "spec.cronSpec: Invalid value: \"x\": spec.cronSpec in body should match '^[0-9* ]+$'",
            "spec.either: Invalid value: {\"x\":\"\",\"y\":\"\"}: \"spec.either\" must validate one and only one schema (oneOf). \
             Found 2 valid alternatives",
            "spec.labels.a: Invalid value: \"integer\": spec.labels.a in body must be of type string: \"integer\"",
            "spec.list[1]: Duplicate value: {\"k\":\"1\"}",
            "spec.mode: Unsupported value: \"c\": supported values: \"a\", \"b\"",
            "spec.port: Invalid value: \"boolean\": spec.port in body must be of type integer,string: \"boolean\"",
            "spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10",
        ]
    );
    assert_eq!(super::tests::messages(&schema, &json!({"metadata": {}})), ["spec: Required value"]);
}

#[test]
fn a_crd_is_pruned_and_defaulted() {
    let schema = cron_tab();
    let mut object = json!({"apiVersion": "x/v1", "kind": "CronTab", "metadata": {"name": "a", "bad": 1}, "other": 1,
        "spec": {"cronSpec": "*", "foo": 1, "free": {"a": {"b": 1}}, "labels": {"x": "y"}, "list": [{"k": "1"}], "mode": null, "port": null}});
    let mut unknown = schema.prune(&mut object);
    unknown.sort_unstable();
    assert_eq!(unknown, ["metadata.bad", "other", "spec.foo"]);
    schema.default(&mut object);
    assert_eq!(
        object["spec"],
        json!({"cronSpec": "*", "free": {"a": {"b": 1}}, "labels": {"x": "y"}, "list": [{"k": "1", "v": 7}], "mode": "a", "replicas": 1})
    );
}

#[test]
fn schemas_that_are_not_structural_are_refused() {
    let error = |schema: Value| Schema::from_crd(&schema).unwrap_err().to_string();
    assert_eq!(error(json!({"type": "string"})), "openAPIV3Schema.type: must be object at the root");
    assert_eq!(
        error(json!({"type": "object", "properties": {"spec": {"properties": {}}}})),
        "openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields"
    );
    assert!(error(json!({"type": "object", "properties": {"a": {"type": "array"}}})).contains("items"));
    assert!(
        error(json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}})).contains("regular")
    );
}

#[test]
fn untyped_objects_keep_everything_but_unknown_metadata() {
    let mut object = json!({"metadata": {"name": "a", "bad": 1}, "spec": {"x": [null]}, "any": null});
    assert_eq!(Schema::untyped().prune(&mut object), ["metadata.bad"]);
    assert_eq!(object, json!({"metadata": {"name": "a"}, "spec": {"x": [null]}, "any": null}));
}
