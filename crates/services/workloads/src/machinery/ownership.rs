//! Who controls what: controller references, adoption and release.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;

use super::{Matcher, MetaExt as _};

/// Returns the reference that makes `owner` the controller of a new object.
pub(crate) fn controller_reference<K: Resource<DynamicType = ()>>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: owner.name().to_owned(),
        uid: owner.uid().to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Returns the reference to an object's controller.
pub(crate) fn controller_of<K: Resource>(object: &K) -> Option<&OwnerReference> {
    object.meta().owner_references.as_ref()?.iter().find(|reference| reference.controller == Some(true))
}

/// Tells whether the owner with this uid controls the object.
pub(crate) fn is_controlled_by<K: Resource>(object: &K, owner_uid: &str) -> bool {
    controller_of(object).is_some_and(|reference| reference.uid == owner_uid)
}

/// What an owner does about the objects in its namespace.
#[derive(Debug)]
pub(crate) struct Claims<K> {
    /// Controlled and selected.
    pub(crate) owned: Vec<Arc<K>>,
    /// Selected and without a controller: to be taken over.
    pub(crate) adopt: Vec<Arc<K>>,
    /// Controlled and no longer selected: to be let go.
    pub(crate) release: Vec<Arc<K>>,
}

/// Decides which objects an owner has, takes over and lets go. Pure.
pub(crate) fn claim<O: Resource, K: Resource>(owner: &O, selector: &Matcher, candidates: Vec<Arc<K>>) -> Claims<K> {
    let mut claims = Claims { owned: Vec::new(), adopt: Vec::new(), release: Vec::new() };
    for object in candidates {
        let is_selected = selector.matches(object.label_map());
        match controller_of(object.as_ref()) {
            Some(reference) if reference.uid == owner.uid() => {
                if is_selected {
                    claims.owned.push(object);
                } else if !owner.is_deleting() && !object.is_deleting() {
                    claims.release.push(object);
                }
            }
            Some(_) => {}
            None if is_selected && !owner.is_deleting() && !object.is_deleting() => claims.adopt.push(object),
            None => {}
        }
    }
    claims
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::ReplicaSet;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::*;

    #[test]
    fn selected_orphans_are_adopted_and_unselected_children_released() {
        let owner: ReplicaSet = serde_json::from_value(json!({"metadata": {"name": "web", "uid": "u1"}})).unwrap();
        let pod = |name: &str, app: &str, owner: Option<&str>, deleting: bool| -> Arc<Pod> {
            let owners = owner.map(|uid| json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": uid, "controller": true}]));
            let deleted = deleting.then_some("2026-01-01T00:00:00Z");
            Arc::new(serde_json::from_value(json!({"metadata": {"name": name, "labels": {"app": app}, "ownerReferences": owners, "deletionTimestamp": deleted}})).unwrap())
        };
        let labels = [("app".to_owned(), "web".to_owned())].into();
        let claims = claim(
            &owner,
            &Matcher::of_labels(Some(&labels)),
            vec![
                pod("own", "web", Some("u1"), false),
                pod("own-other-label", "db", Some("u1"), false),
                pod("orphan", "web", None, false),
                pod("dying-orphan", "web", None, true),
                pod("foreign", "web", Some("u2"), false),
                pod("unrelated", "db", None, false),
            ],
        );
        let names = |pods: &[Arc<Pod>]| pods.iter().map(|pod| pod.name().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&claims.owned), ["own"]);
        assert_eq!(names(&claims.adopt), ["orphan"]);
        assert_eq!(names(&claims.release), ["own-other-label"]);
    }
}
