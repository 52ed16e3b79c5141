//! Tests of the three patches.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Schemas;

fn deployment_schema() -> Schema {
    Schemas::builtin().root("apps", "v1", "Deployment").unwrap()
}

fn pod(spec: Value) -> Value {
    json!({"spec": spec})
}

/// Patches a pod's spec strategically.
fn patched(spec: Value, patch: Value) -> Value {
    let schema = Schemas::builtin().root("", "v1", "Pod").unwrap();
    strategic(&schema, &pod(spec), &pod(patch)).unwrap()["spec"].clone()
}

#[test]
fn json_patch_examples_of_rfc_6902() {
    let object = json!({"foo": ["bar", "baz"], "a": {"b": 1}});
    let patch = json!([{"op": "test", "path": "/a/b", "value": 1}, {"op": "add", "path": "/foo/1", "value": "qux"},
        {"op": "remove", "path": "/a/b"}, {"op": "copy", "from": "/foo/0", "path": "/c"}, {"op": "move", "from": "/c", "path": "/d"}]);
    assert_eq!(json(&object, &patch).unwrap(), json!({"foo": ["bar", "qux", "baz"], "a": {}, "d": "bar"}));
    for bad in [
        json!([{"op": "remove", "path": "/x"}]),
        json!([{"op": "test", "path": "/a/b", "value": 2}]),
        json!([{"op": "add", "path": "/x/y", "value": 2}]),
    ] {
        assert!(matches!(json(&object, &bad), Err(PatchError::DoesNotApply(_))), "{bad}");
    }
    assert!(matches!(json(&object, &json!({})), Err(PatchError::Malformed(_))));
    assert!(matches!(json(&object, &json!([{"op": "what", "path": ""}])), Err(PatchError::Malformed(_))));
}

#[test]
fn json_patch_copies_are_bounded() {
    let mut operations = vec![json!({"op": "add", "path": "/a", "value": {"x": "y".repeat(1000)}})];
    operations.extend((0..40).map(|n| json!({"op": "copy", "from": "", "path": format!("/c{n}")})));
    assert!(matches!(json(&json!({}), &Value::Array(operations)), Err(PatchError::TooLarge(_))));
    let many = vec![json!({"op": "remove", "path": "/a"}); OPERATIONS_MAX + 1];
    assert!(matches!(json(&json!({}), &Value::Array(many)), Err(PatchError::TooLarge(_))));
}

#[test]
fn merge_patch_examples_of_rfc_7386() {
    for (object, patch, expected) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
    ] {
        assert_eq!(merge(&object, &patch).unwrap(), expected);
    }
    assert!(merge(&json!({}), &json!([1])).is_err());
}

#[test]
fn the_documented_container_is_added_and_the_tolerations_are_replaced() {
    let spec = json!({"containers": [{"name": "a", "image": "nginx"}], "tolerations": [{"key": "x"}]});
    let patch = json!({"containers": [{"name": "b", "image": "redis"}], "tolerations": [{"key": "y"}]});
    assert_eq!(
        patched(spec, patch),
        json!({"containers": [{"name": "b", "image": "redis"}, {"name": "a", "image": "nginx"}], "tolerations": [{"key": "y"}]})
    );
}

#[test]
fn set_image_as_kubectl_sends_it() {
    let object = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "side", "image": "s:1"}, {"name": "web", "image": "w:1", "env": [{"name": "A", "value": "1"}]}]}}}});
    let patch = json!({"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "side"}, {"name": "web"}],
        "containers": [{"image": "w:2", "name": "web"}]}}}});
    let result = strategic(&deployment_schema(), &object, &patch).unwrap();
    assert_eq!(
        result["spec"]["template"]["spec"],
        json!({"containers": [{"name": "side", "image": "s:1"}, {"name": "web", "image": "w:2", "env": [{"name": "A", "value": "1"}]}]})
    );
}

#[test]
fn items_are_deleted_by_directive_and_by_null() {
    let spec = json!({"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}], "tty": true}],
        "nodeName": "n"});
    let patch = json!({"nodeName": null,
        "containers": [{"name": "a", "tty": null, "env": [{"name": "X", "$patch": "delete"}, {"name": "Z", "value": "3"}]}]});
    assert_eq!(
        patched(spec, patch),
        json!({"containers": [{"name": "a", "env": [{"name": "Z", "value": "3"}, {"name": "Y", "value": "2"}]}]})
    );
}

#[test]
fn replace_and_delete_of_maps_and_lists() {
    let spec = || json!({"containers": [{"name": "a"}, {"name": "b"}], "nodeSelector": {"x": "1", "y": "2"}});
    assert_eq!(
        patched(spec(), json!({"nodeSelector": {"$patch": "replace", "z": "3"}}))["nodeSelector"],
        json!({"z": "3"})
    );
    assert_eq!(patched(spec(), json!({"nodeSelector": {"$patch": "delete"}}))["nodeSelector"], json!({}));
    assert_eq!(
        patched(spec(), json!({"containers": [{"$patch": "replace"}, {"name": "c"}]}))["containers"],
        json!([{"name": "c"}])
    );
    assert!(patched(json!({}), json!({"affinity": {"$patch": "delete"}})).get("affinity").is_none());
}

#[test]
fn primitive_lists_merge_delete_and_keep_an_order() {
    let schema = deployment_schema();
    let object = json!({"metadata": {"finalizers": ["a", "b", "c"]}});
    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"], "$setElementOrder/finalizers": ["d", "c"],
        "finalizers": ["d"]}});
    assert_eq!(strategic(&schema, &object, &patch).unwrap(), json!({"metadata": {"finalizers": ["d", "a", "c"]}}));
    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}});
    assert_eq!(strategic(&schema, &object, &patch).unwrap(), json!({"metadata": {"finalizers": ["b", "c"]}}));
}

#[test]
fn retain_keys_clears_the_other_members_of_a_union() {
    let spec = json!({"volumes": [{"name": "v", "emptyDir": {}}]});
    let patch = json!({"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}]});
    assert_eq!(patched(spec, patch), json!({"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}));
    let object = json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
    let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    assert_eq!(
        strategic(&deployment_schema(), &object, &patch).unwrap(),
        json!({"spec": {"strategy": {"type": "Recreate"}}})
    );
}

#[test]
fn order_alone_reorders() {
    let spec = json!({"containers": [{"name": "a"}, {"name": "b"}, {"name": "server"}]});
    let patch = json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]});
    assert_eq!(patched(spec, patch), json!({"containers": [{"name": "b"}, {"name": "a"}, {"name": "server"}]}));
}

#[test]
fn broken_patches_are_refused() {
    let schema = deployment_schema();
    let object = json!({"spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}});
    let error = |spec: Value| {
        strategic(&schema, &object, &json!({"spec": {"template": {"spec": spec}}})).unwrap_err().to_string()
    };
    assert!(error(json!({"containers": [{"image": "x"}]})).contains("does not contain declared merge key: name"));
    assert!(error(json!({"containers": ["x"]})).contains("must be objects"));
    assert!(error(json!({"$patch": "what"})).contains("unrecognized type"));
    assert!(error(json!({"$what": 1})).contains("unknown directive"));
    assert!(error(json!({"$retainKeys": ["a"], "b": 1})).contains("$retainKeys"));
    assert!(strategic(&schema, &object, &json!([])).is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-c$]{0,3}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let key = "[a-c]|name|spec|containers|\\$patch|\\$retainKeys|\\$setElementOrder/containers";
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..5).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn any_patch_applies_or_fails(object in any_json(), patch in any_json()) {
        drop(strategic(&deployment_schema(), &object, &patch));
        drop(merge(&object, &patch));
        drop(json(&object, &patch));
    }

    #[test]
    fn the_empty_patch_changes_nothing(object in any_json()) {
        prop_assume!(object.is_object());
        prop_assert_eq!(merge(&object, &json!({})).unwrap(), object.clone());
        prop_assert_eq!(json(&object, &json!([])).unwrap(), object.clone());
        prop_assert_eq!(strategic(&deployment_schema(), &object, &json!({})).unwrap(), object);
    }

    #[test]
    fn merging_twice_is_merging_once(object in any_json(), patch in any_json()) {
        prop_assume!(patch.is_object());
        let once = merge(&object, &patch).unwrap();
        prop_assert_eq!(merge(&once, &patch).unwrap(), once);
    }
}
