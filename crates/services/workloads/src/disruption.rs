//! Keeps the status of PodDisruptionBudgets: how many pods may be evicted now.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use maru_client::ReconcileError;
use maru_kube::Rounding;
use maru_time::{SharedClock, Timestamp};

use crate::deployment::resolve;
use crate::machinery::{Done, Key, Kind, Matcher, MetaExt as _, Reconcile, condition_time, controller_of};
use crate::pods::{is_finished, is_ready};

/// An eviction that was granted but did not delete its pod is forgotten after this time.
const EVICTION_MAX: Duration = Duration::from_secs(120);

/// Keeps the status of PodDisruptionBudgets.
#[derive(Debug)]
pub(crate) struct DisruptionBudgets {
    pub(crate) budgets: Kind<PodDisruptionBudget>,
    pub(crate) pods: Kind<Pod>,
    pub(crate) deployments: Kind<Deployment>,
    pub(crate) replica_sets: Kind<ReplicaSet>,
    pub(crate) stateful_sets: Kind<StatefulSet>,
    pub(crate) clock: SharedClock,
}

/// What is there.
#[derive(Debug)]
struct Observed {
    budget: Arc<PodDisruptionBudget>,
    /// The pods that it selects.
    pods: Vec<Arc<Pod>>,
    /// How many pods their controllers want together; pods without one count as wanted.
    wanted: i32,
}

/// Computes the status, and when it changes by itself. Pure.
fn status(observed: &Observed, now: Timestamp) -> (PodDisruptionBudgetStatus, Option<Duration>) {
    let budget = observed.budget.as_ref();
    let spec = budget.spec.clone().unwrap_or_default();
    let known = budget.status.clone().unwrap_or_default();
    let (disrupted, wake) = disrupted_pods(&known, &observed.pods, now);
    let living: Vec<&Arc<Pod>> = observed.pods.iter().filter(|pod| !is_finished(pod)).collect();
    let healthy =
        living.iter().filter(|pod| is_ready(pod) && !pod.is_deleting() && !disrupted.contains_key(pod.name())).count();
    let healthy = i32::try_from(healthy).unwrap_or(i32::MAX);
    let present = i32::try_from(living.len()).unwrap_or(i32::MAX);
    let (expected, desired) = match (&spec.max_unavailable, &spec.min_available) {
        (Some(most), _) => {
            let expected = observed.wanted;
            (expected, (expected - resolve(most, expected, Rounding::Up)).max(0))
        }
        (None, Some(IntOrString::Int(least))) => (present, *least),
        (None, Some(least)) => (observed.wanted, resolve(least, observed.wanted, Rounding::Up)),
        (None, None) => (present, 1),
    };
    let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
    let next = PodDisruptionBudgetStatus {
        observed_generation: Some(budget.generation()),
        current_healthy: Some(healthy),
        desired_healthy: Some(desired),
        expected_pods: Some(expected),
        disruptions_allowed: Some(allowed),
        disrupted_pods: (!disrupted.is_empty()).then_some(disrupted),
        conditions: Some(vec![condition(budget, &known, allowed, now)]),
    };
    (next, wake)
}

/// Keeps evictions that were granted and whose pods have not begun to end.
fn disrupted_pods(
    known: &PodDisruptionBudgetStatus,
    pods: &[Arc<Pod>],
    now: Timestamp,
) -> (BTreeMap<String, Time>, Option<Duration>) {
    let mut kept = BTreeMap::new();
    let mut wake: Option<Duration> = None;
    for (name, since) in known.disrupted_pods.iter().flatten() {
        let is_there = pods.iter().any(|pod| pod.name() == name && !pod.is_deleting());
        let passed = Duration::try_from(now.duration_since(since.0)).unwrap_or(Duration::ZERO);
        let rest = EVICTION_MAX.saturating_sub(passed);
        if is_there && !rest.is_zero() {
            kept.insert(name.clone(), since.clone());
            wake = Some(wake.map_or(rest, |wake| wake.min(rest)));
        }
    }
    (kept, wake)
}

fn condition(
    budget: &PodDisruptionBudget,
    known: &PodDisruptionBudgetStatus,
    allowed: i32,
    now: Timestamp,
) -> Condition {
    let (status, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let before = known.conditions.iter().flatten().find(|one| one.type_ == "DisruptionAllowed" && one.status == status);
    Condition {
        type_: "DisruptionAllowed".to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: String::new(),
        observed_generation: Some(budget.generation()),
        last_transition_time: before.map_or_else(|| condition_time(now), |before| before.last_transition_time.clone()),
    }
}

impl Reconcile for DisruptionBudgets {
    const NAME: &'static str = "disruption";

    async fn reconcile(&self, key: &Key) -> Result<Done, ReconcileError> {
        let Some(budget) = self.budgets.get(key) else { return Ok(Done::Gone) };
        let observed = self.observe(&budget);
        let (status, wake) = status(&observed, self.clock.now());
        if budget.status.as_ref() != Some(&status) {
            let written = self
                .budgets
                .replace_status(&PodDisruptionBudget { status: Some(status), ..budget.as_ref().clone() })
                .await;
            if let Err(error) = written
                && !error.is_not_found()
            {
                return Err(error.into());
            }
        }
        Ok(Done::after(wake))
    }
}

impl DisruptionBudgets {
    fn observe(&self, budget: &Arc<PodDisruptionBudget>) -> Observed {
        let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref()).map(Matcher::new);
        let mut pods = self.pods.in_namespace(budget.namespace());
        pods.retain(|pod| selector.as_ref().is_some_and(|selector| selector.matches(pod.label_map())));
        let mut wanted_by_controller: BTreeMap<String, i32> = BTreeMap::new();
        let mut wanted = 0;
        for pod in pods.iter().filter(|pod| !is_finished(pod)) {
            match self.wanted_by_controller(pod) {
                Some((uid, count)) => {
                    wanted_by_controller.insert(uid, count);
                }
                None => wanted += 1,
            }
        }
        wanted += wanted_by_controller.values().sum::<i32>();
        Observed { budget: Arc::clone(budget), pods, wanted }
    }

    /// Returns the uid of the pod's uppermost controller and how many pods that wants.
    fn wanted_by_controller(&self, pod: &Pod) -> Option<(String, i32)> {
        let owner = controller_of(pod)?;
        let key = Key::new(pod.namespace(), &owner.name);
        match owner.kind.as_str() {
            "ReplicaSet" => {
                let set = self.replica_sets.get(&key)?;
                let above = controller_of(set.as_ref()).filter(|above| above.kind == "Deployment");
                if let Some(deployment) =
                    above.and_then(|above| self.deployments.get(&Key::new(pod.namespace(), &above.name)))
                {
                    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
                    return Some((deployment.uid().to_owned(), wanted));
                }
                Some((set.uid().to_owned(), set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)))
            }
            "StatefulSet" => {
                let set = self.stateful_sets.get(&key)?;
                Some((set.uid().to_owned(), set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::pods::tests::pod;

    fn observed(spec: Value, healthy: usize, broken: usize, wanted: i32) -> Observed {
        let ready = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        let mut pods: Vec<Arc<Pod>> = (0..healthy).map(|number| pod(&format!("ok-{number}"), ready.clone())).collect();
        pods.extend((0..broken).map(|number| pod(&format!("broken-{number}"), json!({}))));
        let budget = serde_json::from_value(
            json!({"metadata": {"name": "b", "namespace": "shop", "generation": 1}, "spec": spec}),
        )
        .unwrap();
        Observed { budget: Arc::new(budget), pods, wanted }
    }

    #[test]
    fn budgets_allow_what_is_above_the_desired_number() {
        let cases = [
            (json!({"minAvailable": 2}), 3, 0, 3, [3, 2, 3, 1]),
            (json!({"minAvailable": 2}), 2, 1, 3, [2, 2, 3, 0]),
            (json!({"minAvailable": "50%"}), 3, 0, 5, [3, 3, 5, 0]),
            (json!({"maxUnavailable": 1}), 3, 0, 3, [3, 2, 3, 1]),
            (json!({"maxUnavailable": "34%"}), 3, 0, 3, [3, 1, 3, 2]),
            (json!({"maxUnavailable": 1}), 0, 0, 0, [0, 0, 0, 0]),
        ];
        for (spec, healthy, broken, wanted, expected) in cases {
            let (status, _) = status(&observed(spec.clone(), healthy, broken, wanted), Timestamp::UNIX_EPOCH);
            let told =
                [status.current_healthy, status.desired_healthy, status.expected_pods, status.disruptions_allowed];
            assert_eq!(told.map(Option::unwrap_or_default), expected, "{spec}");
        }
    }

    #[test]
    fn a_granted_eviction_counts_until_its_pod_ends_or_time_is_over() {
        let mut seen = observed(json!({"minAvailable": 1}), 2, 0, 2);
        let mut budget = seen.budget.as_ref().clone();
        let granted = json!({"currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2, "disruptionsAllowed": 0,
                             "disruptedPods": {"ok-0": "1970-01-01T00:00:00Z", "gone": "1970-01-01T00:00:00Z"}});
        budget.status = serde_json::from_value(granted).unwrap();
        seen.budget = Arc::new(budget);
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let (first, wake) = status(&seen, at(30));
        assert_eq!(
            (first.disruptions_allowed, first.disrupted_pods.map(|pods| pods.len()), wake),
            (Some(0), Some(1), Some(Duration::from_secs(90)))
        );
        assert_eq!(status(&seen, at(120)).0.disruptions_allowed, Some(1));
    }
}
