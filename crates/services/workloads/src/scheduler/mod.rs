//! Binds waiting pods to this node when they fit.

mod plan;
mod pod_affinity;
mod resources;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::{
    Binding, Namespace, Node, ObjectReference, PersistentVolume, PersistentVolumeClaim, Pod, PodCondition,
};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Resource;
use kube::api::{ObjectMeta, PostParams};
use maru_client::ReconcileError;
use maru_time::SharedClock;
use serde_json::json;

use self::plan::{Action, Observed, plan};
pub(crate) use self::plan::{SCHEDULER_NAME, claim_name};
use crate::machinery::{Done, ExecuteError, Key, Kind, MetaExt as _, Reconcile, Recorder, condition_time};
use crate::pods::node_name;
use crate::volumes::SELECTED_NODE;

/// Binds waiting pods to this node. It has one key: all decisions are made together, as pods compete for the node.
#[derive(Debug)]
pub(crate) struct Scheduler {
    pub(crate) node_name: String,
    pub(crate) nodes: Kind<Node>,
    pub(crate) pods: Kind<Pod>,
    pub(crate) namespaces: Kind<Namespace>,
    pub(crate) claims: Kind<PersistentVolumeClaim>,
    pub(crate) volumes: Kind<PersistentVolume>,
    pub(crate) classes: Kind<StorageClass>,
    pub(crate) recorder: Recorder,
    pub(crate) clock: SharedClock,
    /// Uids of pods that were bound while the cache does not show it yet.
    pub(crate) assumed: Mutex<BTreeSet<String>>,
}

/// The only key.
pub(crate) fn scheduler_key() -> Key {
    Key::new("", "node")
}

impl Reconcile for Scheduler {
    const NAME: &'static str = "scheduler";

    async fn reconcile(&self, _: &Key) -> Result<Done, ReconcileError> {
        let observed = self.observe();
        let actions = plan(&observed);
        let results = futures::future::join_all(actions.iter().map(|action| self.execute(action))).await;
        let mut failed = None;
        for result in results {
            match result {
                Ok(()) => {}
                // The pod or the claim has changed or gone; its change wakes us.
                Err(error) if error.is_not_found() || error.is_conflict() => {
                    tracing::debug!(%error, "decision was outdated");
                }
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(Done::Settled), |error| Err(error.into()))
    }
}

impl Scheduler {
    fn observe(&self) -> Observed {
        let pods = self.pods.all();
        let mut assumed = self.assumed.lock().unwrap_or_else(PoisonError::into_inner);
        let unbound: BTreeSet<&str> = pods.iter().filter(|pod| node_name(pod).is_none()).map(|pod| pod.uid()).collect();
        assumed.retain(|uid| unbound.contains(uid.as_str()));
        Observed {
            node: self.nodes.get(&Key::new("", &self.node_name)),
            assumed: assumed.clone(),
            pods,
            namespaces: self.namespaces.all(),
            claims: self.claims.all().into_iter().map(|claim| (Key::of(claim.as_ref()), claim)).collect(),
            volumes: self.volumes.all().into_iter().map(|volume| (volume.name().to_owned(), volume)).collect(),
            classes: self.classes.all().into_iter().map(|class| (class.name().to_owned(), class)).collect(),
        }
    }

    async fn execute(&self, action: &Action) -> Result<(), ExecuteError> {
        match action {
            Action::Bind(pod) => self.bind(pod).await,
            Action::SelectNode(claim) => {
                let patch = json!({"metadata": {
                    "resourceVersion": claim.metadata.resource_version,
                    "annotations": {SELECTED_NODE: self.node_name},
                }});
                self.claims.patch(&Key::of(claim.as_ref()), &patch).await.map(drop)
            }
            Action::Refuse { pod, reason, message } => self.refuse(pod, reason, message).await,
        }
    }

    async fn bind(&self, pod: &Arc<Pod>) -> Result<(), ExecuteError> {
        let binding = Binding {
            metadata: ObjectMeta {
                name: pod.metadata.name.clone(),
                namespace: pod.metadata.namespace.clone(),
                uid: pod.metadata.uid.clone(),
                ..ObjectMeta::default()
            },
            target: ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some(Node::kind(&()).into_owned()),
                name: Some(self.node_name.clone()),
                ..ObjectReference::default()
            },
        };
        self.assumed.lock().unwrap_or_else(PoisonError::into_inner).insert(pod.uid().to_owned());
        let bound: Result<serde_json::Value, kube::Error> = self
            .pods
            .api(pod.namespace())
            .create_subresource("binding", pod.name(), &PostParams::default(), &binding)
            .await;
        if let Err(source) = bound {
            self.assumed.lock().unwrap_or_else(PoisonError::into_inner).remove(pod.uid());
            let error = ExecuteError::of::<Pod>("bind", Key::of(pod.as_ref()), source);
            if !error.is_not_found() && !error.is_conflict() {
                self.recorder.warning(
                    pod.as_ref(),
                    "FailedScheduling",
                    format!("binding rejected: {}", error.message()),
                );
            }
            return Err(error);
        }
        let message = format!("Successfully assigned {} to {}", Key::of(pod.as_ref()), self.node_name);
        self.recorder.normal(pod.as_ref(), "Scheduled", message);
        Ok(())
    }

    async fn refuse(&self, pod: &Arc<Pod>, reason: &str, message: &str) -> Result<(), ExecuteError> {
        let mut refused = pod.as_ref().clone();
        let conditions = refused.status.get_or_insert_default().conditions.get_or_insert_default();
        let since = conditions
            .iter()
            .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")
            .and_then(|condition| condition.last_transition_time.clone());
        conditions.retain(|condition| condition.type_ != "PodScheduled");
        conditions.push(PodCondition {
            type_: "PodScheduled".to_owned(),
            status: "False".to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_transition_time: Some(since.unwrap_or_else(|| condition_time(self.clock.now()))),
            ..PodCondition::default()
        });
        self.pods.replace_status(&refused).await?;
        if reason == "Unschedulable" {
            self.recorder.warning(pod.as_ref(), "FailedScheduling", message.to_owned());
        }
        Ok(())
    }
}
