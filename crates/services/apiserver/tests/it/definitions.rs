//! Custom resources: served at once, by the same rules.

use serde_json::{Value, json};

use crate::support::Cluster;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn definition() -> Value {
    let schema = json!({"openAPIV3Schema": {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["size"],
                "properties": {
                    "size": {"type": "integer", "minimum": 1},
                    "color": {"type": "string", "default": "red", "enum": ["red", "blue"]},
                    "replicas": {"type": "integer"},
                },
            },
            "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}}},
        },
    }});
    let version = |name: &str, is_stored: bool| {
        json!({
            "name": name, "served": true, "storage": is_stored, "schema": schema,
            "subresources": {
                "status": {},
                "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"},
            },
            "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
            "selectableFields": [{"jsonPath": ".spec.color"}],
        })
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "boxes.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Box", "plural": "boxes", "shortNames": ["bx"], "categories": ["all"]},
            "versions": [version("v1", true), version("v1beta1", false)],
        },
    })
}

fn one(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Box", "metadata": {"name": name}, "spec": spec})
}

#[tokio::test]
async fn a_definition_is_served_at_once() {
    let cluster = Cluster::start().await;
    let boxes = "/apis/example.com/v1/namespaces/default/boxes";
    assert_eq!(cluster.get(boxes).await.0, 404);
    let (status, created) = cluster.post(DEFINITIONS, &definition()).await;
    assert_eq!(status, 201, "{created}");
    let established = created["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .any(|one| one["type"] == "Established" && one["status"] == "True");
    assert!(established, "{created}");
    assert_eq!(created["status"]["acceptedNames"]["listKind"], "BoxList");
    let (_, group) = cluster.get("/apis/example.com").await;
    assert_eq!(group["preferredVersion"]["version"], "v1", "{group}");
    let (_, resources) = cluster.get("/apis/example.com/v1").await;
    let names: Vec<&str> =
        resources["resources"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["boxes", "boxes/scale", "boxes/status"]);

    let (status, created) = cluster.post(boxes, &one("a", json!({"size": 2, "surplus": true}))).await;
    assert_eq!(status, 201, "{created}");
    assert_eq!(created["spec"], json!({"size": 2, "color": "red"}), "pruned and defaulted");
    assert_eq!(created["metadata"]["generation"], 1);
    let (status, refused) = cluster.post(boxes, &one("b", json!({"size": 0, "color": "green"}))).await;
    assert_eq!((status, &refused["reason"]), (422, &json!("Invalid")), "{refused}");
    assert_eq!(refused["details"]["causes"].as_array().unwrap().len(), 2, "{refused}");

    let (_, older) = cluster.get("/apis/example.com/v1beta1/namespaces/default/boxes/a").await;
    assert_eq!(older["apiVersion"], "example.com/v1beta1");
    let (status, patched) =
        cluster.merge(&format!("{boxes}/a"), &json!({"spec": {"size": 3}, "status": {"replicas": 9}})).await;
    assert_eq!(status, 200, "{patched}");
    assert_eq!((&patched["metadata"]["generation"], &patched["status"]), (&json!(2), &Value::Null));
    let (_, patched) = cluster
        .merge(
            &format!("{boxes}/a/status"),
            &json!({"status": {"replicas": 9, "selector": "a=b"}, "spec": {"size": 8}}),
        )
        .await;
    assert_eq!((&patched["status"]["replicas"], &patched["spec"]["size"]), (&json!(9), &json!(3)));
    let (_, scale) = cluster.merge(&format!("{boxes}/a/scale"), &json!({"spec": {"replicas": 5}})).await;
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["selector"]), (&json!(5), &json!("a=b")), "{scale}");
    let (_, list) = cluster.get(&format!("{boxes}?fieldSelector=spec.color=red")).await;
    assert_eq!((&list["kind"], list["items"].as_array().unwrap().len()), (&json!("BoxList"), 1), "{list}");
    let (_, list) = cluster.get(&format!("{boxes}?fieldSelector=spec.color=blue")).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 0);

    let headers = [("content-type", "application/apply-patch+yaml")];
    let applied = "apiVersion: example.com/v1\nkind: Box\nspec: {size: 3, color: blue}\n";
    let (status, result) = cluster.send("PATCH", &format!("{boxes}/c?fieldManager=me"), &headers, applied).await;
    assert_eq!(status, 201, "{result}");

    let (status, body) = cluster.delete(&format!("{DEFINITIONS}/boxes.example.com")).await;
    assert_eq!(status, 200, "{body}");
    let gone = async {
        while cluster.get(boxes).await.0 != 404 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.expect("the objects go, then the definition");
    assert_eq!(cluster.server.store.count("example.com/boxes"), 0);
    assert_eq!(cluster.get("/apis/example.com").await.0, 404);
}

#[tokio::test]
async fn a_wrong_definition_is_refused_by_field() {
    let cluster = Cluster::start().await;
    let mut wrong = definition();
    wrong["metadata"]["name"] = json!("wrong.example.com");
    wrong["spec"]["versions"][1]["storage"] = json!(true);
    wrong["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = json!({"properties": {"spec": {}}});
    let (status, body) = cluster.post(DEFINITIONS, &wrong).await;
    assert_eq!(status, 422, "{body}");
    let fields: Vec<&str> =
        body["details"]["causes"].as_array().unwrap().iter().map(|cause| cause["field"].as_str().unwrap()).collect();
    assert!(fields.contains(&"metadata.name") && fields.contains(&"spec.versions"), "{body}");
    assert!(fields.iter().any(|field| field.starts_with("spec.versions[0].schema")), "{body}");
}
