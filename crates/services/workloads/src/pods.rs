//! What controllers of pods share: reading a pod's state, making, deleting, adopting and releasing pods.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;
use kube::api::ObjectMeta;
use maru_time::Timestamp;
use serde_json::json;

use crate::machinery::{ExecuteError, Key, Kind, MetaExt as _, Recorder, controller_reference};

/// The longest name that leaves room for a generated suffix.
const NAME_BASE_MAX: usize = 57;

/// Returns `base-xxxxx` with five random characters.
pub(crate) fn generated_name(base: &str) -> String {
    let base: String = base.chars().take(NAME_BASE_MAX).collect();
    format!("{base}-{}", maru_ids::random_suffix(5))
}

/// Returns the pod's phase; a pod without one is pending.
pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

/// Tells whether the pod's containers have ended for good.
pub(crate) fn is_finished(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Tells whether the pod runs or will run: neither finished nor being deleted.
pub(crate) fn is_active(pod: &Pod) -> bool {
    !is_finished(pod) && !pod.is_deleting()
}

pub(crate) fn node_name(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

/// Returns since when the pod is ready.
pub(crate) fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status == "True")?;
    Some(ready.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0))
}

pub(crate) fn is_ready(pod: &Pod) -> bool {
    ready_since(pod).is_some()
}

/// A pod that fails at once is not replaced at once.
const RETRY: Duration = Duration::from_secs(10);

/// Returns how long to wait before a failed pod is replaced; none when it may be now. Pure.
pub(crate) fn retry_rest(pod: &Pod, now: Timestamp) -> Option<Duration> {
    let age = Duration::try_from(now.duration_since(pod.created_at())).unwrap_or(Duration::ZERO);
    RETRY.checked_sub(age).filter(|rest| !rest.is_zero())
}

/// Whether a pod has been ready for long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Availability {
    NotReady,
    /// Ready, and available after this time.
    In(Duration),
    Available,
}

/// Tells whether a pod has been ready for `min_ready_seconds`.
pub(crate) fn availability(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> Availability {
    let Some(since) = ready_since(pod) else { return Availability::NotReady };
    let rest = i64::from(min_ready_seconds) - now.as_second().saturating_sub(since.as_second());
    match u64::try_from(rest) {
        Ok(rest) if min_ready_seconds > 0 && rest > 0 => Availability::In(Duration::from_secs(rest)),
        Ok(_) | Err(_) => Availability::Available,
    }
}

/// Returns a pod as the template describes it.
pub(crate) fn from_template(
    template: &PodTemplateSpec,
    namespace: &str,
    name: String,
    controller: OwnerReference,
) -> Pod {
    let meta = template.metadata.clone().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(namespace.to_owned()),
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: Some(vec![controller]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

/// Makes, deletes, adopts and releases pods, and tells of it in events.
#[derive(Debug, Clone)]
pub(crate) struct PodControl {
    pub(crate) pods: Kind<Pod>,
    pub(crate) recorder: Recorder,
}

impl PodControl {
    /// Makes a pod for `owner`.
    pub(crate) async fn create<O: Resource<DynamicType = ()>>(
        &self,
        owner: &O,
        pod: &Pod,
    ) -> Result<Arc<Pod>, ExecuteError> {
        match self.pods.create(pod).await {
            Ok(created) => {
                self.recorder.normal(owner, "SuccessfulCreate", format!("Created pod: {}", created.name()));
                Ok(created)
            }
            Err(error) => {
                if !error.is_namespace_ending() && !error.is_already_exists() {
                    self.recorder.warning(owner, "FailedCreate", format!("Error creating: {}", error.message()));
                }
                Err(error)
            }
        }
    }

    /// Makes several pods, in batches that double: when the first fails, only few requests were in vain.
    pub(crate) async fn create_all<O: Resource<DynamicType = ()>>(
        &self,
        owner: &O,
        pods: &[Pod],
    ) -> Result<(), ExecuteError> {
        let mut rest = pods;
        let mut batch = 1;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(batch.min(rest.len()));
            let made = futures::future::join_all(now.iter().map(|pod| self.create(owner, pod))).await;
            made.into_iter().collect::<Result<Vec<_>, _>>()?;
            rest = later;
            batch *= 2;
        }
        Ok(())
    }

    /// Deletes a pod of `owner`.
    pub(crate) async fn delete<O: Resource<DynamicType = ()>>(&self, owner: &O, pod: &Pod) -> Result<(), ExecuteError> {
        match self.pods.delete(pod).await {
            Ok(()) => {
                self.recorder.normal(owner, "SuccessfulDelete", format!("Deleted pod: {}", pod.name()));
                Ok(())
            }
            Err(error) => {
                self.recorder.warning(owner, "FailedDelete", format!("Error deleting: {}", error.message()));
                Err(error)
            }
        }
    }
}

/// Makes `owner` the controller of an object that has none.
pub(crate) async fn adopt<O, K>(kind: &Kind<K>, owner: &O, object: &K) -> Result<(), ExecuteError>
where
    O: Resource<DynamicType = ()>,
    K: Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let mut owners = object.meta().owner_references.clone().unwrap_or_default();
    owners.push(controller_reference(owner));
    set_owners(kind, object, &owners).await
}

/// Lets an object go that its controller no longer selects.
pub(crate) async fn release<K>(kind: &Kind<K>, owner_uid: &str, object: &K) -> Result<(), ExecuteError>
where
    K: Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let mut owners = object.meta().owner_references.clone().unwrap_or_default();
    owners.retain(|reference| reference.uid != owner_uid);
    set_owners(kind, object, &owners).await
}

async fn set_owners<K>(kind: &Kind<K>, object: &K, owners: &[OwnerReference]) -> Result<(), ExecuteError>
where
    K: Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let meta =
        json!({"resourceVersion": object.meta().resource_version, "uid": object.uid(), "ownerReferences": owners});
    match kind.patch(&Key::of(object), &json!({"metadata": meta})).await {
        Ok(_) => Ok(()),
        // It is gone, or it has changed: what is then to be done shows at the next look.
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::Value;

    use super::*;

    /// A pod for plan tests; `extra` is merged over it.
    pub(crate) fn pod(name: &str, extra: Value) -> Arc<Pod> {
        let mut value = json!({"metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}")}});
        merge(&mut value, extra);
        Arc::new(serde_json::from_value(value).unwrap())
    }

    /// Merges objects key by key.
    pub(crate) fn merge(into: &mut Value, from: Value) {
        match (into, from) {
            (Value::Object(into), Value::Object(from)) => {
                for (key, value) in from {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
            (into, from) => *into = from,
        }
    }

    #[test]
    fn a_pod_that_failed_young_is_replaced_later() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let made = pod("a", json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}));
        assert_eq!(retry_rest(&made, at("2026-01-01T00:00:04Z")), Some(Duration::from_secs(6)));
        assert_eq!(retry_rest(&made, at("2026-01-01T00:00:10Z")), None);
    }

    #[test]
    fn a_pod_is_available_after_min_ready_seconds() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let ready = pod(
            "a",
            json!({"status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:10Z"}]}}),
        );
        assert_eq!(availability(&ready, 0, at("2026-01-01T00:00:10Z")), Availability::Available);
        assert_eq!(availability(&ready, 5, at("2026-01-01T00:00:12Z")), Availability::In(Duration::from_secs(3)));
        assert_eq!(availability(&ready, 5, at("2026-01-01T00:00:15Z")), Availability::Available);
        assert_eq!(availability(&pod("b", json!({})), 0, at("2026-01-01T00:00:10Z")), Availability::NotReady);
    }
}
