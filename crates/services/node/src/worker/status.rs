//! Writes the pod's status when it has changed, and deletes the object when the pod is gone.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::{Map, Value, json};

use super::Worker;
use crate::plan::{Facts, Observed, Plan, Wish, status};
use crate::pod;

/// Longest wait for the API server; the worker has other things to do.
const API_TIMEOUT: Duration = Duration::from_secs(10);

/// Tells whether an object is older than another of the same uid.
pub(super) fn is_older(object: &Pod, than: &Pod) -> bool {
    let revision = |pod: &Pod| pod.metadata.resource_version.as_deref().and_then(|text| text.parse::<u64>().ok());
    match (revision(object), revision(than)) {
        (Some(object), Some(than)) => object < than,
        _ => false,
    }
}

/// Returns the patch that makes `before` into `after`: whole values, and null for what is gone.
fn difference(before: &Value, after: &Value) -> Map<String, Value> {
    let empty = Map::new();
    let (before, after) = (before.as_object().unwrap_or(&empty), after.as_object().unwrap_or(&empty));
    let mut patch = Map::new();
    for (key, value) in after {
        if before.get(key) != Some(value) {
            patch.insert(key.clone(), value.clone());
        }
    }
    for key in before.keys() {
        if !after.contains_key(key) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    patch
}

impl Worker {
    /// Writes the status when it differs; tells whether the API now has it.
    pub(super) async fn write_status(&mut self, observed: &Observed, plan: &Plan) -> bool {
        if self.wish == Wish::Forget || self.memory.deleted {
            return true;
        }
        let facts = Facts {
            host_addresses: self.context.options.addresses.clone(),
            pod_addresses: self.context.pod_addresses(&self.record),
            now: self.context.now(),
        };
        let wanted = status(&self.record.pod, observed, plan, &facts);
        let before = serde_json::to_value(&self.record.pod.status).unwrap_or_default();
        let after = serde_json::to_value(&wanted).unwrap_or_default();
        let patch = difference(&before, &after);
        if patch.is_empty() {
            return true;
        }
        let namespace = pod::namespace(&self.record.pod);
        let api = Api::<Pod>::namespaced(self.context.client.0.clone(), namespace);
        let body = json!({"metadata": {"uid": self.uid}, "status": patch});
        let write = async {
            api.patch_status(pod::name(&self.record.pod), &PatchParams::default(), &Patch::Strategic(body)).await
        };
        match tokio::time::timeout(API_TIMEOUT, write).await {
            Ok(Ok(pod)) => {
                self.context.metrics.status_writes.with(&[]).inc();
                if !is_older(&pod, &self.record.pod) {
                    self.record.pod = pod;
                    self.save();
                }
                true
            }
            Ok(Err(kube::Error::Api(answer))) if answer.code == 404 => true,
            Ok(Err(error)) => {
                tracing::debug!(uid = %self.uid, %error, "the pod's status was not written yet");
                false
            }
            Err(_) => false,
        }
    }

    /// Deletes the object at once, unless it is another one meanwhile; tells whether nothing is left to do.
    pub(super) async fn delete_object(&self) -> bool {
        let api = Api::<Pod>::namespaced(self.context.client.0.clone(), pod::namespace(&self.record.pod));
        let parameters = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions { uid: Some(self.uid.clone()), resource_version: None }),
            ..DeleteParams::default()
        };
        match tokio::time::timeout(API_TIMEOUT, api.delete(pod::name(&self.record.pod), &parameters)).await {
            Ok(Ok(_)) => true,
            Ok(Err(kube::Error::Api(answer))) if matches!(answer.code, 404 | 409) => true,
            Ok(Err(error)) => {
                tracing::debug!(uid = %self.uid, %error, "the pod's object was not deleted yet");
                false
            }
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patch_has_what_changed_and_null_for_what_is_gone() {
        let before = json!({"a": 1, "b": [1, 2], "c": "x"});
        let after = json!({"a": 1, "b": [1], "d": {}});
        assert_eq!(Value::Object(difference(&before, &after)), json!({"b": [1], "c": null, "d": {}}));
        assert!(difference(&before, &before).is_empty());
    }

    #[test]
    fn older_objects_are_told_by_their_revision() {
        let pod = |revision: &str| -> Pod {
            serde_json::from_value(json!({"metadata": {"resourceVersion": revision}})).unwrap()
        };
        assert!(is_older(&pod("9"), &pod("10")));
        assert!(!is_older(&pod("10"), &pod("10")));
        assert!(!is_older(&pod("x"), &pod("10")));
    }
}
