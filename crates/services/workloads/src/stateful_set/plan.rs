//! Decides which pods and claims of a StatefulSet come and go, in order.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetStatus};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodTemplateSpec, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ObjectMeta;
use maru_kube::Rounding;
use maru_time::Timestamp;

use crate::deployment::resolve;
use crate::machinery::{MetaExt as _, controller_reference};
use crate::pods::{Availability, availability, from_template, is_finished, phase, retry_rest};
use crate::revisions::REVISION_LABEL;

const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// A revision of the template; pods carry its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Revision {
    pub(crate) name: String,
    pub(crate) template: PodTemplateSpec,
}

/// What is there.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) set: Arc<StatefulSet>,
    /// The pods that it controls.
    pub(crate) pods: Vec<Arc<Pod>>,
    /// The claims of its namespace.
    pub(crate) claims: Vec<Arc<PersistentVolumeClaim>>,
    /// What pods below the partition run.
    pub(crate) current: Revision,
    /// What the set's template is.
    pub(crate) update: Revision,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    CreateClaim(Box<PersistentVolumeClaim>),
    /// Writes who, when it goes, takes the claim along.
    SetClaimOwners {
        claim: Arc<PersistentVolumeClaim>,
        owners: Vec<OwnerReference>,
    },
    CreatePod(Box<Pod>),
    DeletePod(Arc<Pod>),
}

/// What to do next, and when to look again without a change.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) actions: Vec<Action>,
    pub(crate) wake: Option<Duration>,
}

/// Returns the ordinal in the name of one of the set's pods.
pub(crate) fn ordinal(set: &StatefulSet, pod_name: &str) -> Option<i32> {
    let digits = pod_name.strip_prefix(set.name())?.strip_prefix('-')?;
    let ordinal: i32 = digits.parse().ok()?;
    // `web-01` is no name of ours.
    (ordinal >= 0 && ordinal.to_string() == digits).then_some(ordinal)
}

/// Decides what to do next. Pure: same inputs, same actions, in the same order.
pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Plan {
    let Some(spec) = &observed.set.spec else { return Plan::default() };
    let mut planner = Planner { observed, spec, now, plan: Plan::default() };
    if !observed.set.is_deleting() {
        // Each stage says whether the next may begin.
        if planner.keep_replicas() == Stage::Passed && planner.remove_condemned() == Stage::Passed {
            planner.update();
        }
    }
    planner.plan
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Passed,
    Waiting,
}

struct Planner<'a> {
    observed: &'a Observed,
    spec: &'a StatefulSetSpec,
    now: Timestamp,
    plan: Plan,
}

impl Planner<'_> {
    fn is_ordered(&self) -> bool {
        self.spec.pod_management_policy.as_deref() != Some("Parallel")
    }

    fn first_ordinal(&self) -> i32 {
        self.spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or(0)
    }

    fn ordinals(&self) -> std::ops::Range<i32> {
        let first = self.first_ordinal();
        first..first.saturating_add(self.spec.replicas.unwrap_or(1).max(0))
    }

    fn pod(&self, wanted: i32) -> Option<&Arc<Pod>> {
        self.observed.pods.iter().find(|pod| ordinal(&self.observed.set, pod.name()) == Some(wanted))
    }

    /// Tells whether the pod serves; notes when it will, if only time is missing.
    fn is_available(&mut self, pod: &Pod) -> bool {
        if phase(pod) != "Running" || pod.is_deleting() {
            return false;
        }
        match availability(pod, self.spec.min_ready_seconds.unwrap_or(0), self.now) {
            Availability::Available => true,
            Availability::NotReady => false,
            Availability::In(rest) => {
                self.wake(rest);
                false
            }
        }
    }

    fn wake(&mut self, rest: Duration) {
        self.plan.wake = Some(self.plan.wake.map_or(rest, |wake| wake.min(rest)));
    }

    /// Sees to it that each ordinal has its pod and claims.
    fn keep_replicas(&mut self) -> Stage {
        for number in self.ordinals() {
            self.keep_claims(number);
            let pod = self.pod(number).cloned();
            let must_wait = match pod {
                None => {
                    self.plan.actions.push(Action::CreatePod(Box::new(self.new_pod(number))));
                    true
                }
                Some(pod) if pod.is_deleting() => true,
                Some(pod) if is_finished(&pod) => {
                    match retry_rest(&pod, self.now) {
                        Some(rest) => self.wake(rest),
                        None => self.plan.actions.push(Action::DeletePod(pod)),
                    }
                    true
                }
                Some(pod) => !self.is_available(&pod),
            };
            if must_wait && self.is_ordered() {
                return Stage::Waiting;
            }
        }
        Stage::Passed
    }

    /// Removes pods beyond the wanted number, the highest first.
    fn remove_condemned(&mut self) -> Stage {
        let wanted = self.ordinals();
        let mut condemned: Vec<(i32, Arc<Pod>)> = self
            .observed
            .pods
            .iter()
            .filter_map(|pod| Some((ordinal(&self.observed.set, pod.name())?, Arc::clone(pod))))
            .filter(|(number, _)| !wanted.contains(number))
            .collect();
        condemned.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        for (number, pod) in condemned {
            if !pod.is_deleting() {
                self.hand_claims_to_pod(number, &pod);
                self.plan.actions.push(Action::DeletePod(pod));
            }
            if self.is_ordered() {
                return Stage::Waiting;
            }
        }
        Stage::Passed
    }

    /// Replaces pods of another revision, the highest first, down to the partition.
    fn update(&mut self) {
        let strategy = self.spec.update_strategy.as_ref();
        if strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("OnDelete") {
            return;
        }
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let most = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
        let most = most.map_or(1, |most| resolve(most, self.spec.replicas.unwrap_or(1), Rounding::Up)).max(1);
        let pods: Vec<Arc<Pod>> = self.ordinals().rev().filter_map(|number| self.pod(number).cloned()).collect();
        let available: Vec<bool> = pods.iter().map(|pod| self.is_available(pod)).collect();
        let mut unavailable = i32::try_from(available.iter().filter(|is| !**is).count()).unwrap_or(i32::MAX);
        let lowest = self.first_ordinal().saturating_add(self.partition());
        for (pod, is_available) in pods.into_iter().zip(available) {
            if ordinal(&self.observed.set, pod.name()).is_some_and(|number| number < lowest) {
                return;
            }
            let is_old = pod.label(REVISION_LABEL) != Some(self.observed.update.name.as_str());
            if is_old && !pod.is_deleting() {
                if is_available && unavailable >= most {
                    return;
                }
                unavailable += i32::from(is_available);
                self.plan.actions.push(Action::DeletePod(pod));
            }
            if unavailable >= most {
                return;
            }
        }
    }

    fn partition(&self) -> i32 {
        let rolling = self.spec.update_strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
        rolling.and_then(|rolling| rolling.partition).unwrap_or(0)
    }

    fn new_pod(&self, number: i32) -> Pod {
        let is_below = number < self.first_ordinal().saturating_add(self.partition());
        let revision = if is_below { &self.observed.current } else { &self.observed.update };
        let set = self.observed.set.as_ref();
        let name = format!("{}-{number}", set.name());
        let mut pod = from_template(&revision.template, set.namespace(), name.clone(), controller_reference(set));
        let labels = pod.metadata.labels.get_or_insert_default();
        labels.insert(POD_NAME.to_owned(), name.clone());
        labels.insert(POD_INDEX.to_owned(), number.to_string());
        labels.insert(REVISION_LABEL.to_owned(), revision.name.clone());
        if let Some(spec) = &mut pod.spec {
            spec.hostname = Some(name);
            spec.subdomain.clone_from(&self.spec.service_name);
            let volumes = spec.volumes.get_or_insert_default();
            for template in self.spec.volume_claim_templates.iter().flatten() {
                volumes.retain(|volume| volume.name != template.name());
                volumes.push(claim_volume(template.name(), claim_name(set, template, number)));
            }
        }
        pod
    }

    fn keep_claims(&mut self, number: i32) {
        let set = Arc::clone(&self.observed.set);
        for template in self.spec.volume_claim_templates.iter().flatten() {
            let name = claim_name(&set, template, number);
            let found = self.observed.claims.iter().find(|claim| claim.name() == name).cloned();
            let Some(claim) = found else {
                let claim = self.new_claim(template, name);
                self.plan.actions.push(Action::CreateClaim(Box::new(claim)));
                continue;
            };
            let owner = (self.when_deleted() == Retention::Delete)
                .then(|| owner_reference("StatefulSet", set.name(), set.uid()));
            self.set_owners(&claim, owner);
        }
    }

    fn new_claim(&self, template: &PersistentVolumeClaim, name: String) -> PersistentVolumeClaim {
        let set = self.observed.set.as_ref();
        let mut labels = template.metadata.labels.clone().unwrap_or_default();
        labels.extend(self.spec.selector.match_labels.clone().unwrap_or_default());
        let owner =
            (self.when_deleted() == Retention::Delete).then(|| owner_reference("StatefulSet", set.name(), set.uid()));
        PersistentVolumeClaim {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: set.metadata.namespace.clone(),
                labels: Some(labels),
                annotations: template.metadata.annotations.clone(),
                owner_references: owner.map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            spec: template.spec.clone(),
            status: None,
        }
    }

    /// With `whenScaled: Delete`, the claims of a pod that is scaled away go with it.
    fn hand_claims_to_pod(&mut self, number: i32, pod: &Pod) {
        let set = Arc::clone(&self.observed.set);
        let owner = match (self.when_scaled(), self.when_deleted()) {
            (Retention::Delete, _) => Some(owner_reference("Pod", pod.name(), pod.uid())),
            (Retention::Retain, Retention::Delete) => Some(owner_reference("StatefulSet", set.name(), set.uid())),
            (Retention::Retain, Retention::Retain) => None,
        };
        for template in self.spec.volume_claim_templates.iter().flatten() {
            let name = claim_name(&set, template, number);
            if let Some(claim) = self.observed.claims.iter().find(|claim| claim.name() == name).cloned() {
                self.set_owners(&claim, owner.clone());
            }
        }
    }

    /// Replaces our references on the claim; those of others stay.
    fn set_owners(&mut self, claim: &Arc<PersistentVolumeClaim>, owner: Option<OwnerReference>) {
        let before = claim.metadata.owner_references.clone().unwrap_or_default();
        let is_ours = |reference: &OwnerReference| {
            reference.uid == self.observed.set.uid()
                || (reference.kind == "Pod" && ordinal(&self.observed.set, &reference.name).is_some())
        };
        let mut owners: Vec<OwnerReference> = before.iter().filter(|one| !is_ours(one)).cloned().collect();
        owners.extend(owner);
        let uids = |all: &[OwnerReference]| all.iter().map(|one| one.uid.clone()).collect::<Vec<_>>();
        if uids(&owners) != uids(&before) && !claim.is_deleting() {
            self.plan.actions.push(Action::SetClaimOwners { claim: Arc::clone(claim), owners });
        }
    }

    fn when_deleted(&self) -> Retention {
        let policy = self.spec.persistent_volume_claim_retention_policy.as_ref();
        Retention::of(policy.and_then(|policy| policy.when_deleted.as_deref()))
    }

    fn when_scaled(&self) -> Retention {
        let policy = self.spec.persistent_volume_claim_retention_policy.as_ref();
        Retention::of(policy.and_then(|policy| policy.when_scaled.as_deref()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retention {
    Retain,
    Delete,
}

impl Retention {
    fn of(text: Option<&str>) -> Self {
        if text == Some("Delete") { Self::Delete } else { Self::Retain }
    }
}

fn owner_reference(kind: &str, name: &str, uid: &str) -> OwnerReference {
    let api_version = if kind == "Pod" { "v1" } else { "apps/v1" };
    OwnerReference {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        controller: None,
        block_owner_deletion: None,
    }
}

fn claim_name(set: &StatefulSet, template: &PersistentVolumeClaim, number: i32) -> String {
    format!("{}-{}-{number}", template.name(), set.name())
}

fn claim_volume(name: &str, claim_name: String) -> Volume {
    let source = k8s_openapi::api::core::v1::PersistentVolumeClaimVolumeSource { claim_name, read_only: None };
    Volume { name: name.to_owned(), persistent_volume_claim: Some(source), ..Volume::default() }
}

/// Computes the status. Pure.
pub(crate) fn status(observed: &Observed, now: Timestamp) -> StatefulSetStatus {
    let set = observed.set.as_ref();
    let spec = set.spec.clone().unwrap_or_default();
    let known = set.status.clone().unwrap_or_default();
    let count = |is: &dyn Fn(&Pod) -> bool| {
        i32::try_from(observed.pods.iter().filter(|pod| is(pod)).count()).unwrap_or(i32::MAX)
    };
    let of_revision = |name: &str| count(&|pod| !pod.is_deleting() && pod.label(REVISION_LABEL) == Some(name));
    let is_ready = |pod: &Pod| phase(pod) == "Running" && crate::pods::is_ready(pod) && !pod.is_deleting();
    let min_ready = spec.min_ready_seconds.unwrap_or(0);
    let wanted = spec.replicas.unwrap_or(1);
    let mut next = StatefulSetStatus {
        observed_generation: Some(set.generation()),
        replicas: count(&|_| true),
        ready_replicas: Some(count(&is_ready)),
        available_replicas: Some(count(&|pod| {
            is_ready(pod) && availability(pod, min_ready, now) == Availability::Available
        })),
        current_replicas: Some(of_revision(&observed.current.name)),
        updated_replicas: Some(of_revision(&observed.update.name)),
        current_revision: Some(observed.current.name.clone()),
        update_revision: Some(observed.update.name.clone()),
        collision_count: Some(known.collision_count.unwrap_or(0)),
        conditions: known.conditions,
    };
    let is_rolling = spec.update_strategy.and_then(|strategy| strategy.type_).as_deref() != Some("OnDelete");
    if is_rolling
        && next.updated_replicas == Some(wanted)
        && next.ready_replicas == Some(wanted)
        && next.replicas == wanted
    {
        next.current_revision.clone_from(&next.update_revision);
        next.current_replicas = next.updated_replicas;
    }
    next
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
