//! Decides what a Deployment does with its ReplicaSets.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::ObjectMeta;

use super::rolling::{Bounds, Count, next_new, next_old};
use super::scaling::{Share, proportional};
use super::{is_complete, is_paused};
use crate::machinery::{Claims, MetaExt as _, controller_reference};
use crate::pods::is_finished;

pub(crate) const HASH_LABEL: &str = "pod-template-hash";
pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const TOTAL_MAX: &str = "deployment.kubernetes.io/max-replicas";
/// Annotations of the Deployment that its sets do not get.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED,
    TOTAL_MAX,
    "deprecated.deployment.rollback.to",
];

/// What is there.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) deployment: Arc<Deployment>,
    pub(crate) sets: Claims<ReplicaSet>,
    /// The pods of all its sets.
    pub(crate) pods: Vec<Arc<Pod>>,
}

/// One step.
#[derive(Debug)]
pub(crate) enum Action {
    Adopt(Arc<ReplicaSet>),
    Release(Arc<ReplicaSet>),
    Create(Box<ReplicaSet>),
    /// Merges annotations and other fields into a set.
    Update {
        set: Arc<ReplicaSet>,
        annotations: BTreeMap<String, String>,
        min_ready_seconds: Option<i32>,
    },
    Scale {
        set: Arc<ReplicaSet>,
        replicas: i32,
        annotations: BTreeMap<String, String>,
    },
    Delete(Arc<ReplicaSet>),
    /// Notes the newest revision on the Deployment.
    NoteRevision(String),
}

/// Decides what to do next. Pure: same inputs, same actions, in the same order.
pub(crate) fn plan(observed: &Observed) -> Vec<Action> {
    let deployment = observed.deployment.as_ref();
    if deployment.is_deleting() {
        return Vec::new();
    }
    let mut claims: Vec<Action> = observed.sets.release.iter().cloned().map(Action::Release).collect();
    claims.extend(observed.sets.adopt.iter().cloned().map(Action::Adopt));
    // What is taken over or let go changes the whole picture: look again after it.
    if !claims.is_empty() {
        return claims;
    }
    let rollout = Rollout::new(observed);
    if is_paused(deployment) {
        return rollout.resize().into_iter().chain(rollout.cleanup()).collect();
    }
    if rollout.is_resized() {
        return rollout.resize();
    }
    let mut actions = rollout.ensure_new();
    let steps = if rollout.is_recreate() { rollout.recreate() } else { rollout.roll() };
    actions.extend(steps);
    if actions.is_empty() && is_complete(deployment, &deployment.status.clone().unwrap_or_default()) {
        actions.extend(rollout.cleanup());
    }
    actions
}

/// Returns the set whose template is the Deployment's, if there is one.
pub(crate) fn new_set<'a>(deployment: &Deployment, sets: &'a [Arc<ReplicaSet>]) -> Option<&'a Arc<ReplicaSet>> {
    let template = &deployment.spec.as_ref()?.template;
    let mut equal: Vec<&Arc<ReplicaSet>> = sets.iter().filter(|set| has_template(set, template)).collect();
    // Several are possible after an upgrade that fills in more defaults: the oldest wins.
    equal.sort_by_key(|set| (set.created_at(), set.name().to_owned()));
    equal.first().copied()
}

fn has_template(set: &ReplicaSet, template: &PodTemplateSpec) -> bool {
    let own = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
    own.is_some_and(|own| without_hash(own) == without_hash(template))
}

fn without_hash(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    if let Some(meta) = &mut template.metadata {
        // Set by the server in some versions, never by people.
        meta.creation_timestamp = None;
        if let Some(labels) = &mut meta.labels {
            labels.remove(HASH_LABEL);
        }
    }
    template
}

/// Returns the revision that is noted on a set.
pub(crate) fn revision(set: &ReplicaSet) -> u64 {
    set.annotation(REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The sets of a Deployment, told apart.
struct Rollout<'a> {
    deployment: &'a Deployment,
    bounds: Bounds,
    new: Option<&'a Arc<ReplicaSet>>,
    /// Oldest first.
    old: Vec<&'a Arc<ReplicaSet>>,
    pods: &'a [Arc<Pod>],
}

impl<'a> Rollout<'a> {
    fn new(observed: &'a Observed) -> Self {
        let deployment = observed.deployment.as_ref();
        let new = new_set(deployment, &observed.sets.owned);
        let mut old: Vec<&Arc<ReplicaSet>> =
            observed.sets.owned.iter().filter(|set| new.is_none_or(|new| new.uid() != set.uid())).collect();
        old.sort_by_key(|set| (set.created_at(), set.name().to_owned()));
        Self { deployment, bounds: Bounds::of(deployment), new, old, pods: &observed.pods }
    }

    fn is_recreate(&self) -> bool {
        let strategy = self.deployment.spec.as_ref().and_then(|spec| spec.strategy.as_ref());
        strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate")
    }

    fn all(&self) -> impl Iterator<Item = &'a Arc<ReplicaSet>> {
        self.old.iter().copied().chain(self.new)
    }

    fn active(&self) -> Vec<&'a Arc<ReplicaSet>> {
        self.all().filter(|set| replicas(set) > 0).collect()
    }

    /// Tells whether the desired number has changed since the active sets were last scaled.
    fn is_resized(&self) -> bool {
        self.active().iter().any(|set| {
            let noted = set.annotation(DESIRED).and_then(|text| text.parse::<i32>().ok());
            noted.is_some_and(|noted| noted != self.bounds.desired)
        })
    }

    fn next_revision(&self) -> u64 {
        self.old.iter().map(|set| revision(set)).max().unwrap_or(0) + 1
    }

    /// Makes the new set, or brings its notes up to date.
    fn ensure_new(&self) -> Vec<Action> {
        let Some(new) = self.new else {
            let next = self.next_revision().to_string();
            let mut actions = vec![Action::Create(Box::new(self.make_new(&next)))];
            if self.deployment.annotation(REVISION) != Some(next.as_str()) {
                actions.push(Action::NoteRevision(next));
            }
            return actions;
        };
        let mut actions = Vec::new();
        let wanted = self.wanted_annotations(new);
        let changed: BTreeMap<String, String> = wanted
            .iter()
            .filter(|(key, value)| new.annotation(key) != Some(value.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let min_ready = self.min_ready_seconds();
        let min_ready_changed = new.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0) != min_ready;
        if !changed.is_empty() || min_ready_changed {
            actions.push(Action::Update {
                set: Arc::clone(new),
                annotations: changed,
                min_ready_seconds: min_ready_changed.then_some(min_ready),
            });
        }
        let noted = wanted.get(REVISION).map(String::as_str).or(new.annotation(REVISION));
        if let Some(noted) = noted.filter(|noted| self.deployment.annotation(REVISION) != Some(noted)) {
            actions.push(Action::NoteRevision(noted.to_owned()));
        }
        actions
    }

    fn min_ready_seconds(&self) -> i32 {
        self.deployment.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0)
    }

    /// The annotations that the new set should carry, apart from those of scaling.
    fn wanted_annotations(&self, new: &ReplicaSet) -> BTreeMap<String, String> {
        let mut wanted = self.copied_annotations();
        let (own, next) = (revision(new), self.next_revision());
        if own < next {
            wanted.insert(REVISION.to_owned(), next.to_string());
            if own > 0 {
                let history = new
                    .annotation(REVISION_HISTORY)
                    .map_or_else(|| own.to_string(), |history| format!("{history},{own}"));
                wanted.insert(REVISION_HISTORY.to_owned(), history);
            }
        }
        wanted
    }

    fn copied_annotations(&self) -> BTreeMap<String, String> {
        let all = self.deployment.metadata.annotations.iter().flatten();
        all.filter(|(key, _)| !NOT_COPIED.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    fn scaling_annotations(&self) -> BTreeMap<String, String> {
        [
            (DESIRED.to_owned(), self.bounds.desired.to_string()),
            (TOTAL_MAX.to_owned(), self.bounds.total_max().to_string()),
        ]
        .into()
    }

    fn make_new(&self, revision: &str) -> ReplicaSet {
        let spec = self.deployment.spec.clone().unwrap_or_default();
        let collisions = self.deployment.status.as_ref().and_then(|status| status.collision_count);
        let hash = template_hash(&spec.template, collisions);
        let mut template = spec.template;
        template
            .metadata
            .get_or_insert_default()
            .labels
            .get_or_insert_default()
            .insert(HASH_LABEL.to_owned(), hash.clone());
        let mut selector: LabelSelector = spec.selector;
        selector.match_labels.get_or_insert_default().insert(HASH_LABEL.to_owned(), hash.clone());
        let mut annotations = self.copied_annotations();
        annotations.extend(self.scaling_annotations());
        annotations.insert(REVISION.to_owned(), revision.to_owned());
        let none = Count { replicas: 0, pods: 0, available: 0, is_current: true };
        let old_pods_gone = !self.is_recreate() || self.old_pods_are_gone();
        let replicas = if old_pods_gone { next_new(none, &self.old_counts(), self.bounds) } else { 0 };
        ReplicaSet {
            metadata: ObjectMeta {
                name: Some(format!("{}-{hash}", self.deployment.name())),
                namespace: self.deployment.metadata.namespace.clone(),
                labels: template.metadata.as_ref().and_then(|meta| meta.labels.clone()),
                annotations: Some(annotations),
                owner_references: Some(vec![controller_reference(self.deployment)]),
                ..ObjectMeta::default()
            },
            spec: Some(ReplicaSetSpec {
                replicas: Some(replicas),
                min_ready_seconds: spec.min_ready_seconds,
                selector,
                template: Some(template),
            }),
            status: None,
        }
    }

    fn scale(&self, set: &Arc<ReplicaSet>, next: i32) -> Option<Action> {
        let annotations = self.scaling_annotations();
        let noted = annotations.iter().all(|(key, value)| set.annotation(key) == Some(value.as_str()));
        if replicas(set) == next && (noted || next == 0) {
            return None;
        }
        Some(Action::Scale { set: Arc::clone(set), replicas: next, annotations })
    }

    fn old_counts(&self) -> Vec<Count> {
        self.old.iter().map(|set| count(set)).collect()
    }

    /// The steps of a rolling update.
    fn roll(&self) -> Vec<Action> {
        let Some(new) = self.new else { return Vec::new() };
        let old = self.old_counts();
        let next = next_new(count(new), &old, self.bounds);
        let mut actions: Vec<Action> = self.scale(new, next).into_iter().collect();
        let counted = Count { replicas: next, ..count(new) };
        let steps = self.old.iter().zip(next_old(counted, &old, self.bounds));
        actions
            .extend(steps.filter(|(set, next)| replicas(set) != *next).filter_map(|(set, next)| self.scale(set, next)));
        actions
    }

    /// The steps of a replacement: all old pods go before the first new one comes.
    fn recreate(&self) -> Vec<Action> {
        let down: Vec<Action> =
            self.old.iter().filter(|set| replicas(set) > 0).filter_map(|set| self.scale(set, 0)).collect();
        if !down.is_empty() || !self.old_pods_are_gone() {
            return down;
        }
        self.new.and_then(|new| self.scale(new, self.bounds.desired)).into_iter().collect()
    }

    fn old_pods_are_gone(&self) -> bool {
        self.pods
            .iter()
            .filter(|pod| !is_finished(pod))
            .all(|pod| self.old.iter().all(|set| !crate::machinery::is_controlled_by(pod.as_ref(), set.uid())))
    }

    /// Scales the sets after the desired number has changed, also in the middle of a rollout or while paused.
    fn resize(&self) -> Vec<Action> {
        let active = self.active();
        if active.len() <= 1 {
            let newest = || self.all().max_by_key(|set| (revision(set), set.created_at()));
            let Some(one) = active.first().copied().or_else(newest) else { return Vec::new() };
            return self.scale(one, self.bounds.desired).into_iter().collect();
        }
        if self.new.is_some_and(|new| self.is_saturated(new)) {
            return self.old.iter().filter(|set| replicas(set) > 0).filter_map(|set| self.scale(set, 0)).collect();
        }
        if self.is_recreate() {
            return Vec::new();
        }
        let mut active = active;
        let total: i32 = active.iter().map(|set| replicas(set)).sum();
        if self.bounds.total_max() > total {
            active.reverse();
        }
        let shares: Vec<Share> = active
            .iter()
            .map(|set| Share {
                replicas: replicas(set),
                noted_total_max: set.annotation(TOTAL_MAX).and_then(|text| text.parse().ok()),
            })
            .collect();
        let next = proportional(&shares, self.bounds);
        active.into_iter().zip(next).filter_map(|(set, next)| self.scale(set, next)).collect()
    }

    fn is_saturated(&self, set: &ReplicaSet) -> bool {
        let desired = self.bounds.desired;
        replicas(set) == desired
            && set.annotation(DESIRED) == Some(desired.to_string().as_str())
            && count(set).available == desired
    }

    /// Old sets beyond the history limit, lowest revision first.
    fn cleanup(&self) -> Vec<Action> {
        let limit = self.deployment.spec.as_ref().and_then(|spec| spec.revision_history_limit).unwrap_or(10);
        let limit = usize::try_from(limit).unwrap_or(0);
        let mut empty: Vec<&Arc<ReplicaSet>> = self.old.iter().copied().filter(|set| is_empty(set)).collect();
        empty.sort_by_key(|set| (revision(set), set.created_at()));
        let surplus = empty.len().saturating_sub(limit);
        empty.into_iter().take(surplus).cloned().map(Action::Delete).collect()
    }
}

pub(crate) fn replicas(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

fn is_empty(set: &ReplicaSet) -> bool {
    let count = count(set);
    count.replicas == 0 && count.pods == 0 && count.is_current && !set.is_deleting()
}

fn count(set: &ReplicaSet) -> Count {
    let status = set.status.clone().unwrap_or_default();
    Count {
        replicas: replicas(set),
        pods: status.replicas,
        available: status.available_replicas.unwrap_or(0),
        is_current: status.observed_generation.unwrap_or(0) >= set.generation(),
    }
}

/// Returns the name part that tells templates apart.
fn template_hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    let text = serde_json::to_string(&without_hash(template)).unwrap_or_default();
    maru_ids::short_hash(&format!("{text}{}", collisions.unwrap_or(0)), 10)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
