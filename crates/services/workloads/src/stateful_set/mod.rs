//! Keeps pods with stable names and volumes, in order.

mod plan;

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use maru_client::ReconcileError;
use maru_time::SharedClock;
use serde_json::json;

use self::plan::{Action, Observed, Revision, ordinal, plan, status};
use crate::machinery::{Claims, Done, ExecuteError, Key, Kind, Matcher, MetaExt as _, Reconcile, Recorder, claim};
use crate::pods::{adopt, release};
use crate::revisions::{self, REVISION_LABEL};

/// Keeps pods with stable names and volumes, in order.
#[derive(Debug)]
pub(crate) struct StatefulSets {
    pub(crate) sets: Kind<StatefulSet>,
    pub(crate) pods: Kind<Pod>,
    pub(crate) claims: Kind<PersistentVolumeClaim>,
    pub(crate) revisions: Kind<ControllerRevision>,
    pub(crate) recorder: Recorder,
    pub(crate) clock: SharedClock,
}

impl Reconcile for StatefulSets {
    const NAME: &'static str = "statefulset";

    async fn reconcile(&self, key: &Key) -> Result<Done, ReconcileError> {
        let Some(set) = self.sets.get(key) else { return Ok(Done::Gone) };
        match self.look(&set).await {
            Ok(done) => Ok(done),
            Err(error) if error.is_namespace_ending() => Ok(Done::Settled),
            Err(error) => Err(error.into()),
        }
    }
}

impl StatefulSets {
    async fn look(&self, set: &Arc<StatefulSet>) -> Result<Done, ExecuteError> {
        let claims = self.members(set);
        self.settle_ownership(set, &claims).await?;
        let Some(spec) = &set.spec else { return Ok(Done::Settled) };
        let history = revisions::owned(&self.revisions, set.namespace(), set.uid());
        let collisions = set.status.as_ref().and_then(|status| status.collision_count);
        let newest = if set.is_deleting() {
            let Some(newest) = history.iter().max_by_key(|one| one.revision) else { return Ok(Done::Settled) };
            Arc::clone(newest)
        } else {
            revisions::execute(&self.revisions, revisions::plan(set.as_ref(), &spec.template, &history, collisions))
                .await?
        };
        let observed = self.observe(set, &history, &newest);
        let plan = plan(&observed, self.clock.now());
        for action in &plan.actions {
            self.execute(set, action).await?;
        }
        let observed = self.observe(set, &history, &newest);
        self.write_status(set, status(&observed, self.clock.now())).await?;
        self.truncate(&observed, &history, spec.revision_history_limit).await?;
        Ok(Done::after(plan.wake))
    }

    /// The pods that are the set's by label and by name.
    fn members(&self, set: &StatefulSet) -> Claims<Pod> {
        let selector = set.spec.as_ref().map(|spec| spec.selector.clone()).unwrap_or_default();
        let mut claims = claim(set, &Matcher::new(&selector), self.pods.in_namespace(set.namespace()));
        claims.owned.retain(|pod| ordinal(set, pod.name()).is_some());
        claims.adopt.retain(|pod| ordinal(set, pod.name()).is_some());
        claims
    }

    async fn settle_ownership(&self, set: &StatefulSet, claims: &Claims<Pod>) -> Result<(), ExecuteError> {
        for pod in &claims.release {
            release(&self.pods, set.uid(), pod.as_ref()).await?;
        }
        if claims.adopt.is_empty() {
            return Ok(());
        }
        let now = self.sets.read(&Key::of(set)).await?;
        if now.is_some_and(|now| now.uid() == set.uid() && !now.is_deleting()) {
            for pod in &claims.adopt {
                adopt(&self.pods, set, pod.as_ref()).await?;
            }
        }
        Ok(())
    }

    fn observe(
        &self,
        set: &Arc<StatefulSet>,
        history: &[Arc<ControllerRevision>],
        newest: &ControllerRevision,
    ) -> Observed {
        let of = |revision: &ControllerRevision| {
            revisions::template(revision).map(|template| Revision { name: revision.name().to_owned(), template })
        };
        let template = set.spec.as_ref().map(|spec| spec.template.clone()).unwrap_or_default();
        let update = Revision { name: newest.name().to_owned(), template };
        let known = set.status.as_ref().and_then(|status| status.current_revision.as_deref());
        let current = known.and_then(|name| history.iter().find(|one| one.name() == name)).and_then(|one| of(one));
        Observed {
            set: Arc::clone(set),
            pods: self.members(set).owned,
            claims: self.claims.in_namespace(set.namespace()),
            current: current.unwrap_or_else(|| update.clone()),
            update,
        }
    }

    async fn execute(&self, set: &Arc<StatefulSet>, action: &Action) -> Result<(), ExecuteError> {
        let set = set.as_ref();
        match action {
            Action::CreateClaim(claim) => match self.claims.create(claim).await {
                Ok(_) => {
                    let message = format!("create Claim {} in StatefulSet {} success", claim.name(), set.name());
                    self.recorder.normal(set, "SuccessfulCreate", message);
                    Ok(())
                }
                Err(error) if error.is_already_exists() => Ok(()),
                Err(error) => Err(self.failed(set, "create Claim", claim.name(), error)),
            },
            Action::SetClaimOwners { claim, owners } => {
                let patch = json!({"metadata": {"resourceVersion": claim.metadata.resource_version, "ownerReferences": owners}});
                self.claims.patch(&Key::of(claim.as_ref()), &patch).await.map(drop)
            }
            Action::CreatePod(pod) => match self.pods.create(pod).await {
                Ok(_) => {
                    let message = format!("create Pod {} in StatefulSet {} successful", pod.name(), set.name());
                    self.recorder.normal(set, "SuccessfulCreate", message);
                    Ok(())
                }
                Err(error) => Err(self.failed(set, "create Pod", pod.name(), error)),
            },
            Action::DeletePod(pod) => match self.pods.delete(pod).await {
                Ok(()) => {
                    let message = format!("delete Pod {} in StatefulSet {} successful", pod.name(), set.name());
                    self.recorder.normal(set, "SuccessfulDelete", message);
                    Ok(())
                }
                Err(error) => Err(self.failed(set, "delete Pod", pod.name(), error)),
            },
        }
    }

    fn failed(&self, set: &StatefulSet, what: &str, name: &str, error: ExecuteError) -> ExecuteError {
        if !error.is_namespace_ending() && !error.is_conflict() {
            let reason = if what.starts_with("delete") { "FailedDelete" } else { "FailedCreate" };
            let message = format!("{what} {name} in StatefulSet {} failed error: {}", set.name(), error.message());
            self.recorder.warning(set, reason, message);
        }
        error
    }

    async fn write_status(&self, set: &StatefulSet, status: StatefulSetStatus) -> Result<(), ExecuteError> {
        if set.status.as_ref() == Some(&status) {
            return Ok(());
        }
        match self.sets.replace_status(&StatefulSet { status: Some(status), ..set.clone() }).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn truncate(
        &self,
        observed: &Observed,
        history: &[Arc<ControllerRevision>],
        limit: Option<i32>,
    ) -> Result<(), ExecuteError> {
        if observed.set.is_deleting() {
            return Ok(());
        }
        let mut needed: Vec<&str> = observed.pods.iter().filter_map(|pod| pod.label(REVISION_LABEL)).collect();
        needed.extend([observed.current.name.as_str(), observed.update.name.as_str()]);
        for revision in revisions::surplus(history, &needed, limit) {
            self.revisions.delete(&revision).await?;
        }
        Ok(())
    }
}
