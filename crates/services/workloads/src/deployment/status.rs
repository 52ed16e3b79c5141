//! Computes a Deployment's status as `kubectl rollout status` and `kubectl wait` read it.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use maru_time::Timestamp;

use super::plan::{new_set, replicas};
use super::rolling::Bounds;
use super::{is_complete, is_paused};
use crate::machinery::{MetaExt as _, condition_time};

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
const REPLICA_FAILURE: &str = "ReplicaFailure";
const NEW_SET_AVAILABLE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// What a look did to the new set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewSet {
    /// It was made in this look.
    Created,
    /// It was there, or there is none.
    Unchanged,
}

/// Computes the status, and when it changes by itself. Pure.
pub(crate) fn status(
    deployment: &Deployment,
    sets: &[Arc<ReplicaSet>],
    new_set_change: NewSet,
    now: Timestamp,
) -> (DeploymentStatus, Option<Duration>) {
    let new = new_set(deployment, sets);
    let told = |count: fn(&k8s_openapi::api::apps::v1::ReplicaSetStatus) -> i32| -> i32 {
        sets.iter().filter_map(|set| set.status.as_ref()).map(count).sum()
    };
    let available = told(|status| status.available_replicas.unwrap_or(0));
    let asked: i32 = sets.iter().map(|set| replicas(set)).sum();
    let known = deployment.status.clone().unwrap_or_default();
    let mut next = DeploymentStatus {
        observed_generation: Some(deployment.generation()),
        replicas: some_if_any(told(|status| status.replicas)),
        updated_replicas: some_if_any(new.and_then(|new| new.status.as_ref()).map_or(0, |status| status.replicas)),
        ready_replicas: some_if_any(told(|status| status.ready_replicas.unwrap_or(0))),
        available_replicas: some_if_any(available),
        unavailable_replicas: some_if_any((asked - available).max(0)),
        collision_count: known.collision_count,
        conditions: known.conditions.clone(),
        ..DeploymentStatus::default()
    };
    let mut conditions = Conditions { all: next.conditions.take().unwrap_or_default(), now };
    conditions.set_available(deployment, available);
    let change = Change { deployment, known: &known, next: &next, new: new.map(|set| set.name()), new_set_change };
    let wake = conditions.set_progressing(&change);
    conditions.set_replica_failure(new, sets);
    next.conditions = (!conditions.all.is_empty()).then_some(conditions.all);
    (next, wake)
}

fn some_if_any(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}

struct Change<'a> {
    deployment: &'a Deployment,
    known: &'a DeploymentStatus,
    next: &'a DeploymentStatus,
    new: Option<&'a str>,
    new_set_change: NewSet,
}

impl Change<'_> {
    /// Tells whether the rollout has come further since the last status.
    fn is_progress(&self) -> bool {
        let old_pods = |status: &DeploymentStatus| status.replicas.unwrap_or(0) - status.updated_replicas.unwrap_or(0);
        self.next.updated_replicas > self.known.updated_replicas
            || old_pods(self.next) < old_pods(self.known)
            || self.next.ready_replicas > self.known.ready_replicas
            || self.next.available_replicas > self.known.available_replicas
    }
}

struct Conditions {
    all: Vec<DeploymentCondition>,
    now: Timestamp,
}

impl Conditions {
    fn get(&self, kind: &str) -> Option<&DeploymentCondition> {
        self.all.iter().find(|condition| condition.type_ == kind)
    }

    fn remove(&mut self, kind: &str) {
        self.all.retain(|condition| condition.type_ != kind);
    }

    /// Sets a condition; one of the same status and reason stays as it is.
    fn set(&mut self, kind: &str, status: &str, reason: &str, message: String) {
        if self.get(kind).is_some_and(|known| known.status == status && known.reason.as_deref() == Some(reason)) {
            return;
        }
        self.refresh(kind, status, reason, message);
    }

    /// Sets a condition and its time of update; the time of transition changes with the status only.
    fn refresh(&mut self, kind: &str, status: &str, reason: &str, message: String) {
        let now = condition_time(self.now);
        let since =
            self.get(kind).filter(|known| known.status == status).and_then(|known| known.last_transition_time.clone());
        let condition = DeploymentCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_update_time: Some(now.clone()),
            last_transition_time: Some(since.unwrap_or(now)),
        };
        match self.all.iter_mut().find(|known| known.type_ == kind) {
            Some(known) => *known = condition,
            None => self.all.push(condition),
        }
    }

    fn set_available(&mut self, deployment: &Deployment, available: i32) {
        if available >= Bounds::of(deployment).available_min() {
            self.set(AVAILABLE, "True", "MinimumReplicasAvailable", "Deployment has minimum availability.".to_owned());
        } else {
            let message = "Deployment does not have minimum availability.".to_owned();
            self.set(AVAILABLE, "False", "MinimumReplicasUnavailable", message);
        }
    }

    /// Returns when the deadline passes, while it runs.
    fn set_progressing(&mut self, change: &Change<'_>) -> Option<Duration> {
        let deployment = change.deployment;
        let Some(deadline) = progress_deadline(deployment) else {
            self.remove(PROGRESSING);
            return None;
        };
        let reason = self.get(PROGRESSING).and_then(|known| known.reason.clone()).unwrap_or_default();
        if is_paused(deployment) {
            if reason != TIMED_OUT {
                self.set(PROGRESSING, "Unknown", "DeploymentPaused", "Deployment is paused".to_owned());
            }
            return None;
        }
        if reason == "DeploymentPaused" {
            self.set(PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed".to_owned());
        }
        let subject = change
            .new
            .map_or_else(|| format!("Deployment \"{}\"", deployment.name()), |name| format!("ReplicaSet \"{name}\""));
        if change.new_set_change == NewSet::Created {
            let message = format!("Created new replica set \"{}\"", change.new.unwrap_or_default());
            self.refresh(PROGRESSING, "True", "NewReplicaSetCreated", message);
        } else if self.get(PROGRESSING).is_none() && change.new.is_some() {
            let message = format!("Found new replica set \"{}\"", change.new.unwrap_or_default());
            self.refresh(PROGRESSING, "True", "FoundNewReplicaSet", message);
        }
        let was_complete = reason == NEW_SET_AVAILABLE && change.next.replicas == change.next.updated_replicas;
        if was_complete && change.new_set_change == NewSet::Unchanged {
            return None;
        }
        if is_complete(deployment, change.next) {
            let message = format!("{subject} has successfully progressed.");
            self.set(PROGRESSING, "True", NEW_SET_AVAILABLE, message);
            return None;
        }
        if change.is_progress() {
            self.refresh(PROGRESSING, "True", "ReplicaSetUpdated", format!("{subject} is progressing."));
        }
        self.check_deadline(&subject, deadline)
    }

    fn check_deadline(&mut self, subject: &str, deadline: Duration) -> Option<Duration> {
        let known = self.get(PROGRESSING)?;
        let reason = known.reason.as_deref().unwrap_or_default();
        if reason == TIMED_OUT || reason == NEW_SET_AVAILABLE {
            return None;
        }
        let since = known.last_update_time.as_ref().map_or(self.now, |Time(at)| *at);
        let waited = Duration::try_from(self.now.duration_since(since)).unwrap_or(Duration::ZERO);
        if let Some(rest) = deadline.checked_sub(waited).filter(|rest| !rest.is_zero()) {
            return Some(rest);
        }
        self.set(PROGRESSING, "False", TIMED_OUT, format!("{subject} has timed out progressing."));
        None
    }

    fn set_replica_failure(&mut self, new: Option<&Arc<ReplicaSet>>, sets: &[Arc<ReplicaSet>]) {
        let failure = new.into_iter().chain(sets).find_map(|set| {
            let conditions = set.status.as_ref()?.conditions.as_ref()?;
            conditions.iter().find(|condition| condition.type_ == REPLICA_FAILURE && condition.status == "True")
        });
        match failure {
            Some(failure) => {
                let reason = failure.reason.clone().unwrap_or_default();
                self.set(REPLICA_FAILURE, "True", &reason, failure.message.clone().unwrap_or_default());
            }
            None => self.remove(REPLICA_FAILURE),
        }
    }
}

/// Returns how long a rollout may stand still; none when it is switched off by the largest number.
fn progress_deadline(deployment: &Deployment) -> Option<Duration> {
    let seconds = deployment.spec.as_ref().and_then(|spec| spec.progress_deadline_seconds).unwrap_or(600);
    if seconds == i32::MAX {
        return None;
    }
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(status: serde_json::Value) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": "d", "generation": 2},
            "spec": {"replicas": 2, "progressDeadlineSeconds": 60, "selector": {"matchLabels": {"app": "web"}},
                     "template": {"metadata": {"labels": {"app": "web"}}}},
            "status": status,
        }))
        .unwrap()
    }

    fn set(replicas: i32, ready: i32) -> Arc<ReplicaSet> {
        Arc::new(
            serde_json::from_value(json!({
                "metadata": {"name": "web-1", "namespace": "shop", "uid": "s", "generation": 1},
                "spec": {"replicas": replicas, "selector": {}, "template": {"metadata": {"labels": {"app": "web", "pod-template-hash": "1"}}}},
                "status": {"replicas": replicas, "readyReplicas": ready, "availableReplicas": ready, "observedGeneration": 1},
            }))
            .unwrap(),
        )
    }

    fn reasons(status: &DeploymentStatus) -> Vec<String> {
        let conditions = status.conditions.iter().flatten();
        conditions
            .map(|one| format!("{}={}/{}", one.type_, one.status, one.reason.as_deref().unwrap_or_default()))
            .collect()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_rollout_goes_from_created_over_progress_to_available() {
        let (first, wake) = status(&deployment(json!({})), &[set(2, 0)], NewSet::Created, at(0));
        assert_eq!(
            reasons(&first),
            ["Available=False/MinimumReplicasUnavailable", "Progressing=True/ReplicaSetUpdated"]
        );
        assert_eq!(wake, Some(Duration::from_secs(60)));
        let known = deployment(serde_json::to_value(&first).unwrap());
        let (second, _) = status(&known, &[set(2, 1)], NewSet::Unchanged, at(10));
        assert_eq!(second.ready_replicas, Some(1));
        let known = deployment(serde_json::to_value(&second).unwrap());
        let (third, wake) = status(&known, &[set(2, 2)], NewSet::Unchanged, at(20));
        assert_eq!(
            reasons(&third),
            ["Available=True/MinimumReplicasAvailable", "Progressing=True/NewReplicaSetAvailable"]
        );
        assert_eq!(
            (third.replicas, third.updated_replicas, third.unavailable_replicas, wake),
            (Some(2), Some(2), None, None)
        );
        // The same again changes nothing: no write.
        let known = deployment(serde_json::to_value(&third).unwrap());
        assert_eq!(status(&known, &[set(2, 2)], NewSet::Unchanged, at(500)).0, third);
    }

    #[test]
    fn without_progress_the_deadline_passes() {
        let (first, _) = status(&deployment(json!({})), &[set(2, 0)], NewSet::Created, at(0));
        let known = deployment(serde_json::to_value(&first).unwrap());
        let (waiting, wake) = status(&known, &[set(2, 0)], NewSet::Unchanged, at(45));
        assert_eq!((waiting, wake), (first, Some(Duration::from_secs(15))));
        let (late, wake) = status(&known, &[set(2, 0)], NewSet::Unchanged, at(60));
        assert_eq!(reasons(&late).last().map(String::as_str), Some("Progressing=False/ProgressDeadlineExceeded"));
        assert_eq!(wake, None);
    }

    #[test]
    fn a_failing_set_shows_in_the_deployment() {
        let mut failing = set(2, 0).as_ref().clone();
        let condition =
            json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}]);
        failing.status.as_mut().unwrap().conditions = serde_json::from_value(condition).unwrap();
        let (with, _) = status(&deployment(json!({})), &[Arc::new(failing)], NewSet::Unchanged, at(0));
        assert!(reasons(&with).contains(&"ReplicaFailure=True/FailedCreate".to_owned()));
    }
}
