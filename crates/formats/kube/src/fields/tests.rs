//! Tests of field ownership and server-side apply.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Schemas;

const NOW: &str = "2026-01-01T00:00:00Z";
const LATER: &str = "2026-01-01T01:00:00Z";

fn deployment_schema() -> Schema {
    Schemas::builtin().root("apps", "v1", "Deployment").unwrap()
}

fn writer<'a>(manager: &'a str, now: &str) -> Writer<'a> {
    Writer { manager, api_version: "apps/v1", subresource: "", now: now.parse().unwrap(), ignored: &["status"] }
}

fn deployment(spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
}

fn pod_spec(image: &str) -> Value {
    json!({"template": {"spec": {"containers": [{"name": "web", "image": image}]}}})
}

fn applied_by(manager: &str, live: Option<&Value>, spec: Value) -> Value {
    apply(&deployment_schema(), live, &deployment(spec), &writer(manager, NOW), OnConflict::Fail).unwrap()
}

fn conflicts(manager: &str, live: &Value, spec: Value) -> String {
    match apply(&deployment_schema(), Some(live), &deployment(spec), &writer(manager, NOW), OnConflict::Fail) {
        Err(ApplyError::Conflicts(conflicts)) => conflicts.to_string(),
        other => panic!("expected conflicts, got {other:?}"),
    }
}

fn owned(object: &Value, manager: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries.iter().find(|e| e["manager"] == manager).map_or(Value::Null, |e| e["fieldsV1"].clone())
}

#[test]
fn sets_encode_as_kubernetes_does() {
    let fields = json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}, "f:finalizers": {".": {}, "v:\"x\"": {}}},
        "f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}, "i:0": {}}}});
    let set = FieldSet::decode(&fields).unwrap();
    assert_eq!(set.encode(), fields);
    let paths: Vec<String> = set.paths().iter().map(|path| set::path_text(path)).collect();
    assert!(paths.contains(&".metadata.labels".to_owned()));
    assert!(paths.contains(&".spec.ports[port=80,protocol=\"TCP\"].port".to_owned()));
    assert!(paths.contains(&".metadata.finalizers[=\"x\"]".to_owned()));
    for bad in
        [json!({"x:a": {}}), json!({"f": {}}), json!({"i:x": {}}), json!({"k:[]": {}}), json!({"f:a": 1}), json!([])]
    {
        assert!(FieldSet::decode(&bad).is_err(), "{bad}");
    }
}

#[test]
fn a_create_owns_what_it_sets() {
    let mut object = deployment(json!({"replicas": 1, "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
            {"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]}]}}}));
    object["metadata"]["labels"] = json!({"app": "web"});
    update(&deployment_schema(), None, &mut object, &writer("kubectl-create", NOW)).unwrap();
    assert_eq!(
        object["metadata"]["managedFields"],
        json!([{"manager": "kubectl-create", "operation": "Update", "apiVersion": "apps/v1", "time": NOW, "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                "f:spec": {"f:replicas": {}, "f:selector": {}, "f:template": {
                    "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                    "f:spec": {"f:containers": {".": {}, "k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {}, "f:ports": {".": {},
                        "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}}}}}])
    );
}

#[test]
fn an_update_takes_changed_fields_and_keeps_the_rest() {
    let schema = deployment_schema();
    let mut first = deployment(json!({"replicas": 1, "paused": true}));
    update(&schema, None, &mut first, &writer("a", NOW)).unwrap();
    let mut second = first.clone();
    second["spec"]["replicas"] = json!(2);
    second["spec"].as_object_mut().unwrap().remove("paused");
    update(&schema, Some(&first), &mut second, &writer("b", LATER)).unwrap();
    assert_eq!(owned(&second, "a"), Value::Null);
    assert_eq!(owned(&second, "b"), json!({"f:spec": {"f:replicas": {}}}));
}

#[test]
fn a_write_without_a_change_keeps_even_the_time() {
    let schema = deployment_schema();
    let mut first = deployment(json!({"replicas": 1}));
    update(&schema, None, &mut first, &writer("a", NOW)).unwrap();
    let mut second = first.clone();
    second["metadata"]["resourceVersion"] = json!("9");
    update(&schema, Some(&first), &mut second, &writer("b", LATER)).unwrap();
    assert_eq!(second["metadata"]["managedFields"], first["metadata"]["managedFields"]);
    let mut third = deployment(json!({"replicas": 1}));
    update(&schema, Some(&first), &mut third, &writer("b", LATER)).unwrap();
    assert_eq!(third["metadata"]["managedFields"], first["metadata"]["managedFields"]);
}

#[test]
fn status_has_its_own_entry_and_the_main_resource_never_owns_it() {
    let schema = deployment_schema();
    let mut first = deployment(json!({"replicas": 1}));
    first["status"] = json!({"replicas": 5});
    update(&schema, None, &mut first, &writer("a", NOW)).unwrap();
    assert!(owned(&first, "a").get("f:status").is_none());
    let mut second = first.clone();
    second["status"] = json!({"replicas": 1, "conditions": [{"type": "Available", "status": "True"}]});
    let status = Writer { subresource: "status", ignored: &["spec"], ..writer("controller", LATER) };
    update(&schema, Some(&first), &mut second, &status).unwrap();
    let entry =
        second["metadata"]["managedFields"].as_array().unwrap().iter().find(|e| e["manager"] == "controller").unwrap();
    assert_eq!(entry["subresource"], "status");
    assert!(entry["fieldsV1"]["f:status"]["f:conditions"].get("k:{\"type\":\"Available\"}").is_some());
}

#[test]
fn managed_fields_can_be_reset_and_are_not_lost_by_leaving_them_out() {
    let schema = deployment_schema();
    let mut first = deployment(json!({"replicas": 1}));
    update(&schema, None, &mut first, &writer("a", NOW)).unwrap();
    let mut reset = first.clone();
    reset["metadata"]["managedFields"] = json!([{}]);
    update(&schema, Some(&first), &mut reset, &writer("a", NOW)).unwrap();
    assert!(reset["metadata"].get("managedFields").is_none());
    let mut unaware = deployment(json!({"replicas": 1, "paused": true}));
    update(&schema, Some(&first), &mut unaware, &writer("a", LATER)).unwrap();
    assert_eq!(owned(&unaware, "a"), json!({"f:spec": {"f:replicas": {}, "f:paused": {}}}));
}

#[test]
fn old_updaters_are_merged() {
    let schema = deployment_schema();
    let mut live = deployment(json!({"replicas": 0}));
    update(&schema, None, &mut live, &writer("first", NOW)).unwrap();
    for n in 0..20 {
        let mut next = live.clone();
        next["metadata"]["labels"][format!("l{n}")] = json!("x");
        let now = format!("2026-01-01T00:00:{n:02}Z");
        update(&schema, Some(&live), &mut next, &writer(&format!("m{n}"), &now)).unwrap();
        live = next;
    }
    let entries = live["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 10);
    assert!(owned(&live, "ancient-changes")["f:metadata"]["f:labels"].get("f:l0").is_some());
    assert!(owned(&live, "m19")["f:metadata"]["f:labels"].get("f:l19").is_some());
}

#[test]
fn an_apply_creates_and_owns_exactly_what_it_names() {
    let object = applied_by("me", None, json!({"replicas": 3, "template": {"metadata": {"labels": {"app": "web"}}}}));
    assert_eq!(
        object["metadata"]["managedFields"],
        json!([{"manager": "me", "operation": "Apply", "apiVersion": "apps/v1", "time": NOW, "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {"f:metadata": {"f:labels": {"f:app": {}}}}}}}])
    );
}

#[test]
fn the_documented_conflict_is_told_and_forced() {
    let live = applied_by("kubectl", None, json!({"replicas": 3}));
    assert_eq!(
        conflicts("other", &live, json!({"replicas": 4})),
        "Apply failed with 1 conflict: conflict with \"kubectl\": .spec.replicas"
    );
    let forced = apply(
        &deployment_schema(),
        Some(&live),
        &deployment(json!({"replicas": 4})),
        &writer("other", LATER),
        OnConflict::Force,
    )
    .unwrap();
    assert_eq!(forced["spec"]["replicas"], 4);
    assert_eq!(owned(&forced, "kubectl"), Value::Null);
    assert_eq!(owned(&forced, "other"), json!({"f:spec": {"f:replicas": {}}}));
}

#[test]
fn conflicts_name_managers_by_update_with_their_version() {
    let mut live = deployment(json!({"replicas": 3, "paused": true, "template": pod_spec("a:1")["template"]}));
    update(&deployment_schema(), None, &mut live, &writer("kubectl-edit", NOW)).unwrap();
    let mut spec = pod_spec("a:2");
    spec["replicas"] = json!(5);
    assert_eq!(
        conflicts("me", &live, spec),
        "Apply failed with 2 conflicts: conflicts with \"kubectl-edit\" using apps/v1:\n- .spec.replicas\n\
         - .spec.template.spec.containers[name=\"web\"].image"
    );
}

#[test]
fn equal_values_are_owned_together() {
    let live = applied_by("a", None, json!({"replicas": 3}));
    let both = applied_by("b", Some(&live), json!({"replicas": 3, "paused": true}));
    assert_eq!(owned(&both, "a"), json!({"f:spec": {"f:replicas": {}}}));
    assert_eq!(owned(&both, "b"), json!({"f:spec": {"f:replicas": {}, "f:paused": {}}}));
    // Giving the field up leaves it to the other.
    let left = applied_by("b", Some(&both), json!({"paused": true}));
    assert_eq!(left["spec"], json!({"replicas": 3, "paused": true}));
    // The last owner's giving up removes it.
    let gone = applied_by("a", Some(&left), json!({}));
    assert_eq!(gone["spec"], json!({"paused": true}));
}

#[test]
fn items_of_lists_with_keys_merge_and_vanish_alone() {
    let live = applied_by("a", None, pod_spec("a:1"));
    let side = json!({"template": {"spec": {"containers": [{"name": "side", "image": "s:1"}]}}});
    let both = applied_by("b", Some(&live), side);
    let names = |object: &Value| -> Vec<String> {
        let containers = object["spec"]["template"]["spec"]["containers"].as_array().unwrap();
        containers.iter().map(|c| c["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&both), ["web", "side"]);
    let left = applied_by("b", Some(&both), json!({"paused": true}));
    assert_eq!(names(&left), ["web"]);
    assert_eq!(left["metadata"]["name"], "web");
}

#[test]
fn ports_that_differ_by_protocol_are_two_items() {
    let ports = |list: Value| json!({"template": {"spec": {"containers": [{"name": "web", "ports": list}]}}});
    let live = applied_by("a", None, ports(json!([{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}])));
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["ports"].as_array().unwrap().len(), 2);
    let twice = deployment(ports(json!([{"containerPort": 53}, {"containerPort": 53, "protocol": "TCP"}])));
    let error = apply(&deployment_schema(), None, &twice, &writer("a", NOW), OnConflict::Fail).unwrap_err();
    assert_eq!(
        error.to_string(),
        ".spec.template.spec.containers[name=\"web\"].ports: duplicate entries for key [containerPort=53,protocol=\"TCP\"]"
    );
}

#[test]
fn applied_order_wins_and_others_keep_their_place() {
    let containers = |names: &[&str]| {
        let list: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"template": {"spec": {"containers": list}}})
    };
    let live = applied_by("a", None, containers(&["1", "2", "3", "4"]));
    let order = |spec: Value| -> Vec<String> {
        let object = applied_by("b", Some(&live), spec);
        let list = object["spec"]["template"]["spec"]["containers"].as_array().unwrap().clone();
        list.iter().map(|c| c["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(order(containers(&["2", "new", "4"])), ["1", "2", "3", "new", "4"]);
    assert_eq!(order(containers(&["new"])), ["1", "2", "3", "4", "new"]);
    assert_eq!(order(containers(&["3", "new", "1"])), ["2", "3", "4", "new", "1"]);
}

#[test]
fn nothing_changed_returns_the_live_object() {
    let live = applied_by("a", None, json!({"replicas": 3, "template": pod_spec("a:1")["template"]}));
    let again = apply(
        &deployment_schema(),
        Some(&live),
        &deployment(json!({"replicas": 3, "template": pod_spec("a:1")["template"]})),
        &writer("a", LATER),
        OnConflict::Fail,
    );
    assert_eq!(again.unwrap(), live);
}

#[test]
fn an_object_without_managers_gets_one_before_its_first_apply() {
    let live = deployment(json!({"replicas": 1, "paused": true}));
    assert_eq!(
        conflicts("me", &live, json!({"replicas": 2})),
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using apps/v1: .spec.replicas"
    );
    let object = applied_by("me", Some(&live), json!({"replicas": 1}));
    assert_eq!(owned(&object, "before-first-apply"), json!({"f:spec": {"f:replicas": {}, "f:paused": {}}}));
}

#[test]
fn kubectl_takes_over_from_client_side_apply() {
    let schema = deployment_schema();
    let last = deployment(json!({"replicas": 1}));
    let mut live = deployment(json!({"replicas": 1, "paused": true}));
    live["metadata"]["annotations"] = json!({LAST_APPLIED: last.to_string()});
    update(&schema, None, &mut live, &writer("kubectl-client-side-apply", NOW)).unwrap();
    let taken = applied_by("kubectl", Some(&live), json!({"replicas": 2}));
    assert_eq!(taken["spec"]["replicas"], 2);
    let annotation: Value =
        serde_json::from_str(taken["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap()).unwrap();
    assert_eq!(annotation, deployment(json!({"replicas": 2})));
    // What the annotation does not have is still another's.
    assert!(conflicts("kubectl", &live, json!({"paused": false})).contains("kubectl-client-side-apply"));
    assert!(conflicts("someone", &live, json!({"replicas": 2})).contains(".spec.replicas"));
}

#[test]
fn atomic_values_are_owned_whole() {
    let live = applied_by("a", None, json!({"selector": {"matchLabels": {"app": "x"}}}));
    assert_eq!(owned(&live, "a"), json!({"f:spec": {"f:selector": {}}}));
    assert!(conflicts("b", &live, json!({"selector": {"matchLabels": {"other": "y"}}})).ends_with(".spec.selector"));
}

#[test]
fn crds_and_untyped_objects_merge_too() {
    let schema = Schema::from_crd(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "list": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}))
    .unwrap();
    let object = |spec: Value| json!({"apiVersion": "x/v1", "kind": "X", "metadata": {"name": "x"}, "spec": spec});
    let by = |schema: &Schema, manager: &str, live: Option<&Value>, spec: Value| {
        apply(schema, live, &object(spec), &writer(manager, NOW), OnConflict::Fail).unwrap()
    };
    let live = by(&schema, "a", None, json!({"list": ["x"], "free": {"p": {"q": [1]}}}));
    let both = by(&schema, "b", Some(&live), json!({"list": ["y"], "free": {"r": 1}}));
    assert_eq!(both["spec"], json!({"list": ["x", "y"], "free": {"p": {"q": [1]}, "r": 1}}));
    let left = by(&schema, "a", Some(&both), json!({"list": []}));
    assert_eq!(left["spec"], json!({"list": ["y"], "free": {"r": 1}}));
    let untyped = by(&Schema::untyped(), "a", None, json!({"any": [1, {"x": 2}]}));
    assert_eq!(owned(&untyped, "a"), json!({"f:spec": {".": {}, "f:any": {}}}));
}

#[test]
fn managed_fields_in_a_configuration_are_refused() {
    let mut object = deployment(json!({}));
    object["metadata"]["managedFields"] = json!([]);
    let error = apply(&deployment_schema(), None, &object, &writer("a", NOW), OnConflict::Fail).unwrap_err();
    assert_eq!(error, ApplyError::Malformed("metadata.managedFields must be nil".to_owned()));
}

fn spec() -> impl Strategy<Value = Value> {
    let labels = || proptest::collection::btree_map("[a-c]", "[xy]", 0..3);
    let container = ("[a-c]", proptest::option::of("[xy]"), proptest::option::of(any::<bool>()));
    let containers = proptest::collection::btree_map("[a-c]", container, 0..3);
    (proptest::option::of(0..3_i32), labels(), labels(), containers).prop_map(|(replicas, labels, selector, containers)| {
        let containers: Vec<Value> = containers
            .into_iter()
            .map(|(name, (_, image, tty))| {
                let mut container = json!({"name": name});
                if let Some(image) = image {
                    container["image"] = json!(image);
                }
                if let Some(tty) = tty {
                    container["tty"] = json!(tty);
                }
                container
            })
            .collect();
        let mut spec = json!({"selector": {"matchLabels": selector}, "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}}});
        if let Some(replicas) = replicas {
            spec["replicas"] = json!(replicas);
        }
        spec
    })
}

proptest! {
    #[test]
    fn applying_twice_is_applying_once(live in spec(), other in spec(), config in spec()) {
        let schema = deployment_schema();
        let live = applied_by("first", None, live);
        let live = apply(&schema, Some(&live), &deployment(other), &writer("second", NOW), OnConflict::Force).unwrap();
        let once = apply(&schema, Some(&live), &deployment(config.clone()), &writer("me", NOW), OnConflict::Force).unwrap();
        let twice = apply(&schema, Some(&once), &deployment(config.clone()), &writer("me", LATER), OnConflict::Fail).unwrap();
        prop_assert_eq!(&twice, &once);
        // What was applied is what is there, and is owned.
        let again = walk::merge(Some(schema.root()), &once, &deployment(config));
        prop_assert!(Comparison::of(Some(schema.root()), &once, &again).is_same());
    }

    #[test]
    fn a_first_applier_that_gives_all_up_leaves_nothing(config in spec()) {
        let live = applied_by("me", None, config);
        let empty = applied_by("me", Some(&live), json!({}));
        prop_assert!(empty["metadata"].get("managedFields").is_none() || owned(&empty, "me") == json!({"f:spec": {}}), "{}", empty);
    }

    #[test]
    fn a_set_decodes_to_what_was_encoded(config in spec()) {
        let set = walk::fields_of(Some(deployment_schema().root()), &deployment(config));
        prop_assert_eq!(FieldSet::decode(&set.encode()).unwrap(), set.clone());
        prop_assert!(set.difference(&set).is_empty());
        prop_assert_eq!(set.intersection(&set), set.clone());
        prop_assert_eq!(set.union(&set), set);
    }

    #[test]
    fn any_fields_decode_or_fail(key in "[.fkvi]:?\\PC{0,10}", below in "\\PC{0,5}") {
        drop(FieldSet::decode(&json!({key.clone(): {below.clone(): {}}, below: key})));
    }
}
