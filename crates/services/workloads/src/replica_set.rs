//! Keeps as many pods of a ReplicaSet running as it asks for.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use maru_client::ReconcileError;
use maru_time::{SharedClock, Timestamp};

use crate::machinery::{
    Claims, Done, ExecuteError, Key, Kind, Matcher, MetaExt as _, Reconcile, claim, condition_time,
    controller_reference,
};
use crate::pods::{
    self, Availability, PodControl, adopt, availability, from_template, generated_name, is_active, is_ready, release,
    retry_rest,
};

/// Pods made or deleted in one look.
const BURST_MAX: usize = 500;

/// Keeps as many pods of a ReplicaSet running as it asks for.
#[derive(Debug)]
pub(crate) struct ReplicaSets {
    pub(crate) sets: Kind<ReplicaSet>,
    pub(crate) control: PodControl,
    pub(crate) clock: SharedClock,
}

#[derive(Debug)]
enum Action {
    Adopt(Arc<Pod>),
    Release(Arc<Pod>),
    Create { count: usize },
    Delete(Arc<Pod>),
}

/// Decides which pods come and go. Pure.
fn plan(set: &ReplicaSet, claims: &Claims<Pod>, now: Timestamp) -> Vec<Action> {
    let mut actions: Vec<Action> = claims.release.iter().cloned().map(Action::Release).collect();
    actions.extend(claims.adopt.iter().cloned().map(Action::Adopt));
    if set.is_deleting() {
        return actions;
    }
    let active: Vec<&Arc<Pod>> = claims.owned.iter().chain(&claims.adopt).filter(|pod| is_active(pod)).collect();
    let wanted = usize::try_from(wanted(set)).unwrap_or(0);
    if active.len() < wanted {
        if failure_rest(&claims.owned, now).is_some() {
            return actions;
        }
        actions.push(Action::Create { count: (wanted - active.len()).min(BURST_MAX) });
    } else {
        let surplus = (active.len() - wanted).min(BURST_MAX);
        actions.extend(least_worth_first(active).into_iter().take(surplus).map(Action::Delete));
    }
    actions
}

/// Returns how long new pods wait because several have failed one after the other: one failure is replaced at once, a
/// node that refuses every pod must not fill the API with them. Pure.
fn failure_rest(pods: &[Arc<Pod>], now: Timestamp) -> Option<Duration> {
    let mut failed: Vec<&Arc<Pod>> = pods.iter().filter(|pod| pods::phase(pod) == "Failed").collect();
    failed.sort_by_key(|pod| Reverse(pod.created_at()));
    let [newest, before, ..] = failed.as_slice() else { return None };
    retry_rest(before, newest.created_at()).and_then(|_| retry_rest(newest, now))
}

fn wanted(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// Sorts pods by how little is lost when they go: not bound, pending, not ready, of low deletion cost, ready for the
/// shortest time, often restarted, young.
fn least_worth_first(pods: Vec<&Arc<Pod>>) -> Vec<Arc<Pod>> {
    let mut pods: Vec<Arc<Pod>> = pods.into_iter().cloned().collect();
    pods.sort_by_cached_key(|pod| {
        let phase_rank = match pods::phase(pod) {
            "Pending" => 0,
            "Running" => 2,
            _ => 1,
        };
        (
            pods::node_name(pod).is_some(),
            phase_rank,
            is_ready(pod),
            deletion_cost(pod),
            Reverse(pods::ready_since(pod)),
            Reverse(restarts(pod)),
            Reverse(pod.created_at()),
            pod.name().to_owned(),
        )
    });
    pods
}

fn deletion_cost(pod: &Pod) -> i32 {
    pod.annotation("controller.kubernetes.io/pod-deletion-cost").and_then(|text| text.parse().ok()).unwrap_or(0)
}

pub(crate) fn restarts(pod: &Pod) -> i32 {
    let containers = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    containers.into_iter().flatten().map(|container| container.restart_count).max().unwrap_or(0)
}

/// Computes the status, and when it changes by itself. Pure.
fn status(
    set: &ReplicaSet,
    pods: &[Arc<Pod>],
    failure: Option<&ExecuteError>,
    now: Timestamp,
) -> (ReplicaSetStatus, Option<Duration>) {
    let spec = set.spec.clone().unwrap_or_default();
    let template_labels = spec.template.as_ref().and_then(|template| template.metadata.as_ref()?.labels.clone());
    let template = Matcher::of_labels(template_labels.as_ref());
    let mut status = ReplicaSetStatus {
        observed_generation: Some(set.generation()),
        fully_labeled_replicas: Some(0),
        ready_replicas: Some(0),
        available_replicas: Some(0),
        ..ReplicaSetStatus::default()
    };
    let mut wake: Option<Duration> = None;
    for pod in pods.iter().filter(|pod| is_active(pod)) {
        status.replicas += 1;
        if template.matches(pod.label_map()) {
            increment(&mut status.fully_labeled_replicas);
        }
        match availability(pod, spec.min_ready_seconds.unwrap_or(0), now) {
            Availability::NotReady => {}
            Availability::In(rest) => {
                increment(&mut status.ready_replicas);
                wake = Some(wake.map_or(rest, |wake| wake.min(rest)));
            }
            Availability::Available => {
                increment(&mut status.ready_replicas);
                increment(&mut status.available_replicas);
            }
        }
    }
    status.conditions = conditions(set, failure, now);
    (status, wake)
}

fn increment(count: &mut Option<i32>) {
    *count = Some(count.unwrap_or(0) + 1);
}

fn conditions(set: &ReplicaSet, failure: Option<&ExecuteError>, now: Timestamp) -> Option<Vec<ReplicaSetCondition>> {
    let known = set.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let mut conditions: Vec<ReplicaSetCondition> =
        known.iter().filter(|condition| condition.type_ != "ReplicaFailure").cloned().collect();
    if let Some(error) = failure {
        let known = known.into_iter().find(|condition| condition.type_ == "ReplicaFailure");
        conditions.push(ReplicaSetCondition {
            type_: "ReplicaFailure".to_owned(),
            status: "True".to_owned(),
            reason: Some("FailedCreate".to_owned()),
            message: Some(error.message()),
            last_transition_time: known
                .and_then(|known| known.last_transition_time)
                .or_else(|| Some(condition_time(now))),
        });
    }
    (!conditions.is_empty()).then_some(conditions)
}

impl Reconcile for ReplicaSets {
    const NAME: &'static str = "replicaset";

    async fn reconcile(&self, key: &Key) -> Result<Done, ReconcileError> {
        let Some(set) = self.sets.get(key) else { return Ok(Done::Gone) };
        let Some(selector) = set.spec.as_ref().map(|spec| Matcher::new(&spec.selector)) else {
            return Ok(Done::Settled);
        };
        let claims = claim(set.as_ref(), &selector, self.control.pods.in_namespace(&key.namespace));
        let now = self.clock.now();
        let result = self.act(&set, plan(&set, &claims, now)).await;
        let failure = result.as_ref().err().filter(|error| !error.is_namespace_ending());
        let pods = claim(set.as_ref(), &selector, self.control.pods.in_namespace(&key.namespace)).owned;
        let (status, wake) = status(&set, &pods, failure, self.clock.now());
        self.write_status(&set, status).await?;
        match result {
            Err(error) if !error.is_namespace_ending() => Err(error.into()),
            Ok(()) | Err(_) => Ok(Done::after(wake.into_iter().chain(failure_rest(&pods, now)).min())),
        }
    }
}

impl ReplicaSets {
    async fn act(&self, set: &Arc<ReplicaSet>, actions: Vec<Action>) -> Result<(), ExecuteError> {
        if actions.iter().any(|action| matches!(action, Action::Adopt(_))) && !self.still_exists(set).await? {
            return Ok(());
        }
        for action in &actions {
            self.execute(set, action).await?;
        }
        Ok(())
    }

    /// Asks the API, past the cache: a set that is being deleted adopts nothing.
    async fn still_exists(&self, set: &ReplicaSet) -> Result<bool, ExecuteError> {
        let now = self.sets.read(&Key::of(set)).await?;
        Ok(now.is_some_and(|now| now.uid() == set.uid() && !now.is_deleting()))
    }

    async fn execute(&self, set: &Arc<ReplicaSet>, action: &Action) -> Result<(), ExecuteError> {
        match action {
            Action::Adopt(pod) => adopt(&self.control.pods, set.as_ref(), pod.as_ref()).await,
            Action::Release(pod) => release(&self.control.pods, set.uid(), pod.as_ref()).await,
            Action::Create { count } => {
                let template = set.spec.as_ref().and_then(|spec| spec.template.clone()).unwrap_or_default();
                let controller = controller_reference(set.as_ref());
                let new_pod =
                    || from_template(&template, set.namespace(), generated_name(set.name()), controller.clone());
                let pods: Vec<Pod> = std::iter::repeat_with(new_pod).take(*count).collect();
                self.control.create_all(set.as_ref(), &pods).await
            }
            Action::Delete(pod) => self.control.delete(set.as_ref(), pod).await,
        }
    }

    async fn write_status(&self, set: &ReplicaSet, status: ReplicaSetStatus) -> Result<(), ExecuteError> {
        if set.status.as_ref() == Some(&status) {
            return Ok(());
        }
        match self.sets.replace_status(&ReplicaSet { status: Some(status), ..set.clone() }).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::pods::tests::pod;

    fn set(replicas: i32) -> ReplicaSet {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 3},
            "spec": {"replicas": replicas, "minReadySeconds": 10, "selector": {"matchLabels": {"app": "web"}},
                     "template": {"metadata": {"labels": {"app": "web"}}}},
        }))
        .unwrap()
    }

    fn now() -> Timestamp {
        "2026-01-01T00:10:00Z".parse().unwrap()
    }

    fn claims(owned: Vec<Arc<Pod>>) -> Claims<Pod> {
        Claims { owned, adopt: Vec::new(), release: Vec::new() }
    }

    fn deleted(actions: &[Action]) -> Vec<&str> {
        actions
            .iter()
            .filter_map(|action| match action {
                Action::Delete(pod) => Some(pod.name()),
                Action::Adopt(_) | Action::Release(_) | Action::Create { .. } => None,
            })
            .collect()
    }

    fn running(ready_at: Option<&str>) -> Value {
        let ready =
            ready_at.map_or(json!([]), |at| json!([{"type": "Ready", "status": "True", "lastTransitionTime": at}]));
        json!({"spec": {"nodeName": "n", "containers": []}, "status": {"phase": "Running", "conditions": ready}})
    }

    #[test]
    fn missing_pods_are_made_and_finished_ones_replaced() {
        let pods = vec![
            pod("run", running(None)),
            pod("done", json!({"status": {"phase": "Succeeded"}})),
            pod("dying", json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})),
        ];
        let actions = plan(&set(3), &claims(pods), now());
        assert!(matches!(actions.as_slice(), [Action::Create { count: 2 }]), "{actions:?}");
    }

    #[test]
    fn scale_down_removes_the_least_worth_first() {
        let cost =
            |cost: &str| json!({"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": cost}}});
        let with = |mut base: Value, extra: Value| {
            crate::pods::tests::merge(&mut base, extra);
            base
        };
        let early = "2026-01-01T00:00:00Z";
        let late = "2026-01-01T00:05:00Z";
        let pods = vec![
            pod("a-ready-long", running(Some(early))),
            pod("b-ready-short", running(Some(late))),
            pod("c-not-ready", running(None)),
            pod("d-pending", json!({"spec": {"nodeName": "n", "containers": []}, "status": {"phase": "Pending"}})),
            pod("e-unbound", json!({})),
            pod("f-cheap", with(running(Some(early)), cost("-5"))),
        ];
        assert_eq!(
            deleted(&plan(&set(0), &claims(pods), now())),
            ["e-unbound", "d-pending", "c-not-ready", "f-cheap", "b-ready-short", "a-ready-long"]
        );
    }

    #[test]
    fn pods_that_keep_failing_are_replaced_slowly() {
        let failed = |name: &str, at: &str| {
            pod(name, json!({"metadata": {"creationTimestamp": at}, "status": {"phase": "Failed"}}))
        };
        let one = vec![failed("a", "2026-01-01T00:09:59Z")];
        assert!(matches!(plan(&set(1), &claims(one), now()).as_slice(), [Action::Create { count: 1 }]));
        let two = vec![failed("a", "2026-01-01T00:09:55Z"), failed("b", "2026-01-01T00:09:59Z")];
        assert_eq!(failure_rest(&two, now()), Some(Duration::from_secs(9)));
        assert!(plan(&set(1), &claims(two), now()).is_empty());
        let long_ago = vec![failed("a", "2026-01-01T00:01:00Z"), failed("b", "2026-01-01T00:09:59Z")];
        assert_eq!(failure_rest(&long_ago, now()), None);
    }

    #[test]
    fn a_set_that_ends_makes_nothing() {
        let mut ending = set(3);
        ending.metadata.deletion_timestamp = Some(condition_time(Timestamp::UNIX_EPOCH));
        assert!(plan(&ending, &claims(Vec::new()), now()).is_empty());
    }

    #[test]
    fn status_counts_ready_and_available_pods() {
        let now = "2026-01-01T00:05:04Z".parse().unwrap();
        let mut pods =
            vec![pod("a", running(Some("2026-01-01T00:00:00Z"))), pod("b", running(Some("2026-01-01T00:05:00Z")))];
        pods.push(pod("c", running(None)));
        let (status, wake) = status(&set(3), &pods, None, now);
        assert_eq!(
            (status.replicas, status.ready_replicas, status.available_replicas, status.observed_generation),
            (3, Some(2), Some(1), Some(3))
        );
        assert_eq!(wake, Some(Duration::from_secs(6)));
    }
}
