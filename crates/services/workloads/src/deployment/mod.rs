//! Rolls a Deployment's template out over ReplicaSets.

mod plan;
mod rolling;
mod scaling;
mod status;

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
use maru_client::ReconcileError;
use maru_time::SharedClock;
use serde_json::json;

use self::plan::{Action, Observed, plan, replicas};
pub(crate) use self::rolling::resolve;
use self::status::NewSet;
use crate::machinery::{
    Claims, Done, ExecuteError, Key, Kind, Matcher, MetaExt as _, Reconcile, Recorder, claim, controller_of,
};
use crate::pods::{adopt, release};
use k8s_openapi::api::core::v1::Pod;

/// Rolls a Deployment's template out over ReplicaSets.
#[derive(Debug)]
pub(crate) struct Deployments {
    pub(crate) deployments: Kind<Deployment>,
    pub(crate) sets: Kind<ReplicaSet>,
    pub(crate) pods: Kind<Pod>,
    pub(crate) recorder: Recorder,
    pub(crate) clock: SharedClock,
}

fn is_paused(deployment: &Deployment) -> bool {
    deployment.spec.as_ref().and_then(|spec| spec.paused).unwrap_or(false)
}

/// Tells whether the rollout has ended well.
fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let desired = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    status.updated_replicas.unwrap_or(0) == desired
        && status.replicas.unwrap_or(0) == desired
        && status.available_replicas.unwrap_or(0) == desired
        && status.observed_generation.unwrap_or(0) >= deployment.generation()
}

impl Reconcile for Deployments {
    const NAME: &'static str = "deployment";

    async fn reconcile(&self, key: &Key) -> Result<Done, ReconcileError> {
        let Some(deployment) = self.deployments.get(key) else { return Ok(Done::Gone) };
        let observed = self.observe(&deployment);
        let mut new_set = NewSet::Unchanged;
        for action in plan(&observed) {
            match self.execute(&observed, &action).await {
                Ok(change) if change == NewSet::Created => new_set = change,
                Ok(_) => {}
                Err(error) if error.is_namespace_ending() => return Ok(Done::Settled),
                Err(error) => return Err(error.into()),
            }
        }
        // Actions may have changed the Deployment and its sets.
        let Some(deployment) = self.deployments.get(key) else { return Ok(Done::Gone) };
        let sets = self.claims(&deployment).owned;
        let (status, wake) = status::status(&deployment, &sets, new_set, self.clock.now());
        self.write_status(&deployment, status).await?;
        Ok(Done::after(wake))
    }
}

impl Deployments {
    fn claims(&self, deployment: &Deployment) -> Claims<ReplicaSet> {
        let selector = deployment.spec.as_ref().map(|spec| &spec.selector).cloned().unwrap_or_default();
        claim(deployment, &Matcher::new(&selector), self.sets.in_namespace(deployment.namespace()))
    }

    fn observe(&self, deployment: &Arc<Deployment>) -> Observed {
        let sets = self.claims(deployment);
        let owns = |pod: &Arc<Pod>| {
            controller_of(pod.as_ref()).is_some_and(|owner| sets.owned.iter().any(|set| set.uid() == owner.uid))
        };
        let pods = self.pods.in_namespace(deployment.namespace()).into_iter().filter(owns).collect();
        Observed { deployment: Arc::clone(deployment), sets, pods }
    }

    async fn execute(&self, observed: &Observed, action: &Action) -> Result<NewSet, ExecuteError> {
        let deployment = observed.deployment.as_ref();
        match action {
            Action::Adopt(set) => {
                let now = self.deployments.read(&Key::of(deployment)).await?;
                if now.is_some_and(|now| now.uid() == deployment.uid() && !now.is_deleting()) {
                    adopt(&self.sets, deployment, set.as_ref()).await?;
                }
            }
            Action::Release(set) => release(&self.sets, deployment.uid(), set.as_ref()).await?,
            Action::Create(set) => return self.create(deployment, set).await,
            Action::Update { set, annotations, min_ready_seconds } => {
                let mut patch =
                    json!({"metadata": {"resourceVersion": set.metadata.resource_version, "annotations": annotations}});
                if let (Some(seconds), Some(patch)) = (min_ready_seconds, patch.as_object_mut()) {
                    patch.insert("spec".to_owned(), json!({"minReadySeconds": seconds}));
                }
                self.sets.patch(&Key::of(set.as_ref()), &patch).await?;
            }
            Action::Scale { set, replicas: next, annotations } => {
                self.scale(deployment, set, *next, annotations).await?
            }
            Action::Delete(set) => self.sets.delete(set).await?,
            Action::NoteRevision(revision) => {
                let patch = json!({"metadata": {"annotations": {plan::REVISION: revision}}});
                self.deployments.patch(&Key::of(deployment), &patch).await?;
            }
        }
        Ok(NewSet::Unchanged)
    }

    async fn create(&self, deployment: &Deployment, set: &ReplicaSet) -> Result<NewSet, ExecuteError> {
        let error = match self.sets.create(set).await {
            Ok(created) => {
                if replicas(&created) > 0 {
                    let message = format!("Scaled up replica set {} from 0 to {}", created.name(), replicas(&created));
                    self.recorder.normal(deployment, "ScalingReplicaSet", message);
                }
                return Ok(NewSet::Created);
            }
            Err(error) => error,
        };
        if !error.is_already_exists() {
            if !error.is_namespace_ending() {
                let message = format!("Failed to create new replica set \"{}\": {}", set.name(), error.message());
                self.recorder.warning(deployment, "ReplicaSetCreateError", message);
            }
            return Err(error);
        }
        let there = self.sets.read(&Key::of(set)).await?;
        let is_ours =
            there.is_some_and(|there| controller_of(&there).is_some_and(|owner| owner.uid == deployment.uid()));
        if is_ours {
            // The watch has not told of it yet.
            return Err(error);
        }
        // Somebody else's set has the name: the next hash differs.
        let mut status = deployment.status.clone().unwrap_or_default();
        status.collision_count = Some(status.collision_count.unwrap_or(0) + 1);
        self.deployments.replace_status(&Deployment { status: Some(status), ..deployment.clone() }).await?;
        Err(error)
    }

    async fn scale(
        &self,
        deployment: &Deployment,
        set: &ReplicaSet,
        next: i32,
        annotations: &std::collections::BTreeMap<String, String>,
    ) -> Result<(), ExecuteError> {
        // An action before this one may have changed the set's annotations.
        let current = self.sets.get(&Key::of(set));
        let revision = current.as_ref().map_or(&set.metadata.resource_version, |set| &set.metadata.resource_version);
        let patch =
            json!({"metadata": {"resourceVersion": revision, "annotations": annotations}, "spec": {"replicas": next}});
        self.sets.patch(&Key::of(set), &patch).await?;
        let before = replicas(set);
        if before != next {
            let direction = if next > before { "up" } else { "down" };
            let message = format!("Scaled {direction} replica set {} from {before} to {next}", set.name());
            self.recorder.normal(deployment, "ScalingReplicaSet", message);
        }
        Ok(())
    }

    async fn write_status(&self, deployment: &Deployment, status: DeploymentStatus) -> Result<(), ExecuteError> {
        if deployment.status.as_ref() == Some(&status) {
            return Ok(());
        }
        match self.deployments.replace_status(&Deployment { status: Some(status), ..deployment.clone() }).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }
}
