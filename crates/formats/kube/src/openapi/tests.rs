//! Tests of the OpenAPI documents.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;

fn all_verbs() -> Vec<String> {
    ["get", "list", "create", "update", "patch", "delete", "deletecollection", "watch"].map(str::to_owned).to_vec()
}

fn deployments() -> Resource {
    let own = ("apps".to_owned(), "v1".to_owned(), "Deployment".to_owned());
    let scale = ("autoscaling".to_owned(), "v1".to_owned(), "Scale".to_owned());
    let verbs = ["get", "update", "patch"].map(str::to_owned).to_vec();
    Resource {
        group: "apps".to_owned(),
        version: "v1".to_owned(),
        kind: "Deployment".to_owned(),
        plural: "deployments".to_owned(),
        is_namespaced: true,
        verbs: all_verbs(),
        subresources: vec![
            Subresource { name: "status".to_owned(), kind: own, verbs: verbs.clone() },
            Subresource { name: "scale".to_owned(), kind: scale, verbs },
        ],
        schema: None,
    }
}

fn cron_tabs() -> Resource {
    let schema = Schema::from_crd(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "port": {"x-kubernetes-int-or-string": true}, "either": {"type": "integer", "oneOf": [{"minimum": 3}]}}}}}));
    Resource {
        group: "stable.example.com".to_owned(),
        version: "v1".to_owned(),
        kind: "CronTab".to_owned(),
        plural: "crontabs".to_owned(),
        is_namespaced: false,
        verbs: all_verbs(),
        subresources: Vec::new(),
        schema: Some(schema.unwrap()),
    }
}

/// Collects all `$ref`s of a document.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(target) if key == "$ref" => drop(found.insert(target.clone())),
                    value => references(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn v3_has_what_kubectl_looks_for() {
    let document = v3_document(&[deployments()]);
    let item = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"];
    assert_eq!(item["patch"]["x-kubernetes-action"], "patch");
    assert_eq!(
        item["patch"]["x-kubernetes-group-version-kind"],
        json!({"group": "apps", "version": "v1", "kind": "Deployment"})
    );
    let parameters = item["patch"]["parameters"].as_array().unwrap();
    assert!(parameters.iter().any(|p| p["name"] == "fieldValidation" && p["in"] == "query"));
    assert!(document["paths"]["/apis/apps/v1/deployments"]["get"].is_object());
    let scale = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]["patch"];
    assert_eq!(scale["x-kubernetes-group-version-kind"]["kind"], "Scale");
    let schemas = &document["components"]["schemas"];
    let spec = &schemas["io.k8s.api.apps.v1.Deployment"]["properties"]["spec"];
    assert_eq!(spec["$ref"], "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec");
    assert_eq!(schemas["io.k8s.apimachinery.pkg.api.resource.Quantity"]["oneOf"].as_array().unwrap().len(), 2);
    assert_eq!(schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]["format"], "int-or-string");
}

#[test]
fn every_reference_has_its_target() {
    for (document, prefix) in [
        (v3_document(&[deployments(), cron_tabs()]), "#/components/schemas/"),
        (v2_document(&[deployments(), cron_tabs()]), "#/definitions/"),
    ] {
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 100);
        for reference in found {
            let name = reference.strip_prefix(prefix).unwrap();
            let place = if prefix.contains("components") {
                &document["components"]["schemas"]
            } else {
                &document["definitions"]
            };
            assert!(place.get(name).is_some(), "{name}");
        }
    }
}

#[test]
fn crds_are_described_with_their_group() {
    let v3 = v3_document(&[cron_tabs()]);
    let schema = &v3["components"]["schemas"]["com.example.stable.v1.CronTab"];
    assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], "CronTab");
    assert!(schema["properties"]["metadata"]["$ref"].as_str().unwrap().ends_with("ObjectMeta"));
    assert!(v3["components"]["schemas"]["com.example.stable.v1.CronTabList"]["properties"]["items"].is_object());
    let v2 = v2_document(&[cron_tabs()]);
    let spec = &v2["definitions"]["com.example.stable.v1.CronTab"]["properties"]["spec"]["properties"];
    assert_eq!(spec["port"]["type"], "string");
    assert!(spec["either"].get("oneOf").is_none());
    assert!(v2["paths"]["/apis/stable.example.com/v1/crontabs/{name}"]["delete"].is_object());
}

#[test]
fn v2_is_encoded_for_older_clients() {
    let document = v2_document(&[deployments()]);
    let bytes = v2_protobuf(&document);
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("io.k8s.api.apps.v1.DeploymentSpec"));
    assert!(text.contains("x-kubernetes-patch-merge-key"));
    assert!(bytes.len() < document.to_string().len());
}
