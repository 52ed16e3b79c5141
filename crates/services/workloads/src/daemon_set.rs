//! Keeps one pod of a DaemonSet on each node that it means.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, DaemonSetStatus};
use k8s_openapi::api::core::v1::{
    Affinity, Node, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Toleration,
};
use maru_client::ReconcileError;
use maru_kube::Rounding;
use maru_time::{SharedClock, Timestamp};

use crate::deployment::resolve;
use crate::machinery::{
    Claims, Done, ExecuteError, Key, Kind, Matcher, MetaExt as _, Reconcile, claim, controller_reference,
};
use crate::node_affinity::{is_wanted_node, untolerated};
use crate::pods::{
    Availability, PodControl, adopt, availability, from_template, generated_name, is_finished, is_ready, node_name,
    release, retry_rest,
};
use crate::revisions::{self, REVISION_LABEL};

/// Keeps one pod of a DaemonSet on each node that it means.
#[derive(Debug)]
pub(crate) struct DaemonSets {
    pub(crate) sets: Kind<DaemonSet>,
    pub(crate) nodes: Kind<Node>,
    pub(crate) control: PodControl,
    pub(crate) revisions: Kind<ControllerRevision>,
    pub(crate) clock: SharedClock,
}

/// What is there.
#[derive(Debug)]
struct Observed {
    set: Arc<DaemonSet>,
    nodes: Vec<Arc<Node>>,
    pods: Vec<Arc<Pod>>,
    /// The hash of the set's template.
    hash: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Action {
    CreateOn(String),
    Delete(Arc<Pod>),
}

/// Decides which pods come and go, and when to look again. Pure.
fn plan(observed: &Observed, now: Timestamp) -> (Vec<Action>, Option<Duration>) {
    let mut actions = Vec::new();
    let mut wait: Option<Duration> = None;
    if observed.set.is_deleting() {
        return (actions, None);
    }
    let by_node = observed.by_node();
    for node in &observed.nodes {
        let there = by_node.get(node.name()).map(Vec::as_slice).unwrap_or_default();
        if !observed.should_run(node) {
            actions.extend(there.iter().filter(|pod| !pod.is_deleting()).map(|pod| Action::Delete(Arc::clone(pod))));
            continue;
        }
        let (finished, mut alive): (Vec<&Arc<Pod>>, Vec<&Arc<Pod>>) =
            there.iter().filter(|pod| !pod.is_deleting()).partition(|pod| is_finished(pod));
        for pod in finished {
            match retry_rest(pod, now) {
                Some(rest) => wait = Some(wait.map_or(rest, |wait| wait.min(rest))),
                None => actions.push(Action::Delete(Arc::clone(pod))),
            }
        }
        // One that ends still has the node's ports and directories.
        if there.is_empty() {
            actions.push(Action::CreateOn(node.name().to_owned()));
        }
        alive.sort_by_key(|pod| (!is_ready(pod), pod.created_at(), pod.name().to_owned()));
        actions.extend(alive.into_iter().skip(1).map(|pod| Action::Delete(Arc::clone(pod))));
    }
    // Pods of nodes that no longer exist.
    let is_known = |name: &str| observed.nodes.iter().any(|node| node.name() == name);
    let lost = by_node.iter().filter(|(name, _)| !is_known(name)).flat_map(|(_, pods)| pods);
    actions.extend(lost.filter(|pod| !pod.is_deleting()).map(|pod| Action::Delete(Arc::clone(pod))));
    let (updates, wake) = observed.update(now);
    let new = updates.into_iter().filter(|update| !actions.contains(update)).collect::<Vec<_>>();
    actions.extend(new);
    (actions, wake.into_iter().chain(wait).min())
}

impl Observed {
    fn by_node(&self) -> BTreeMap<String, Vec<Arc<Pod>>> {
        let mut by_node: BTreeMap<String, Vec<Arc<Pod>>> = BTreeMap::new();
        for pod in &self.pods {
            by_node.entry(target_node(pod).unwrap_or_default().to_owned()).or_default().push(Arc::clone(pod));
        }
        by_node
    }

    fn should_run(&self, node: &Node) -> bool {
        let template = self.set.spec.as_ref().and_then(|spec| spec.template.spec.clone()).unwrap_or_default();
        let tolerations: Vec<Toleration> =
            template.tolerations.iter().flatten().cloned().chain(own_tolerations()).collect();
        let taints = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
        is_wanted_node(&template, node) && untolerated(&taints, &tolerations, &["NoSchedule", "NoExecute"]).is_none()
    }

    fn min_ready_seconds(&self) -> i32 {
        self.set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0)
    }

    fn wanted_nodes(&self) -> usize {
        self.nodes.iter().filter(|node| self.should_run(node)).count()
    }

    /// Replaces pods of an older template: the broken at once, the others as many as may be missing.
    fn update(&self, now: Timestamp) -> (Vec<Action>, Option<Duration>) {
        let strategy = self.set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let wanted = i32::try_from(self.wanted_nodes()).unwrap_or(i32::MAX);
        let most = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
        // With maxSurge alone nothing may be missing; on one node a pod still has to go before its successor comes.
        let most = most.map_or(1, |most| resolve(most, wanted, Rounding::Up)).max(1);
        let mut wake: Option<Duration> = None;
        let mut is_available = |pod: &Pod| match availability(pod, self.min_ready_seconds(), now) {
            Availability::Available => !pod.is_deleting(),
            Availability::NotReady => false,
            Availability::In(rest) => {
                wake = Some(wake.map_or(rest, |wake| wake.min(rest)));
                false
            }
        };
        let states: Vec<(&Arc<Pod>, bool)> = self.pods.iter().map(|pod| (pod, is_available(pod))).collect();
        let available = i32::try_from(states.iter().filter(|(_, is)| *is).count()).unwrap_or(i32::MAX);
        let mut room = (most - (wanted - available).max(0)).max(0);
        let mut actions = Vec::new();
        if strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("OnDelete") {
            return (actions, wake);
        }
        for (pod, is_available) in states {
            if pod.is_deleting() || is_finished(pod) || pod.label(REVISION_LABEL) == Some(self.hash.as_str()) {
                continue;
            }
            if !is_available {
                actions.push(Action::Delete(Arc::clone(pod)));
            } else if room > 0 {
                room -= 1;
                actions.push(Action::Delete(Arc::clone(pod)));
            }
        }
        (actions, wake)
    }

    /// Computes the status. Pure.
    fn status(&self, now: Timestamp) -> DaemonSetStatus {
        let by_node = self.by_node();
        let wanted = i32::try_from(self.wanted_nodes()).unwrap_or(i32::MAX);
        let mut next = DaemonSetStatus {
            desired_number_scheduled: wanted,
            observed_generation: Some(self.set.generation()),
            collision_count: self.set.status.as_ref().and_then(|status| status.collision_count),
            conditions: self.set.status.as_ref().and_then(|status| status.conditions.clone()),
            ..DaemonSetStatus::default()
        };
        let (mut available, mut updated) = (0, 0);
        for node in &self.nodes {
            let there = by_node.get(node.name()).map(Vec::as_slice).unwrap_or_default();
            let alive: Vec<&Arc<Pod>> = there.iter().filter(|pod| !pod.is_deleting() && !is_finished(pod)).collect();
            if !self.should_run(node) {
                next.number_misscheduled += i32::from(!alive.is_empty());
                continue;
            }
            next.current_number_scheduled += i32::from(!alive.is_empty());
            next.number_ready += i32::from(alive.iter().any(|pod| is_ready(pod)));
            let is_available = |pod: &Pod| availability(pod, self.min_ready_seconds(), now) == Availability::Available;
            available += i32::from(alive.iter().any(|pod| is_available(pod)));
            updated += i32::from(alive.iter().any(|pod| pod.label(REVISION_LABEL) == Some(self.hash.as_str())));
        }
        let some = |count: i32| (count != 0).then_some(count);
        next.number_available = some(available);
        next.number_unavailable = some((wanted - available).max(0));
        next.updated_number_scheduled = some(updated);
        next
    }
}

/// Returns the node that a pod of ours is on or is meant for.
fn target_node(pod: &Pod) -> Option<&str> {
    let spec = pod.spec.as_ref()?;
    if let Some(name) = node_name(pod) {
        return Some(name);
    }
    let affinity = spec.affinity.as_ref()?.node_affinity.as_ref()?;
    let terms = &affinity.required_during_scheduling_ignored_during_execution.as_ref()?.node_selector_terms;
    let fields = terms.iter().flat_map(|term| term.match_fields.iter().flatten());
    fields
        .filter(|field| field.key == "metadata.name")
        .find_map(|field| field.values.as_ref()?.first())
        .map(String::as_str)
}

/// Returns the pod of the set for a node: bound by the scheduler, but only there.
fn new_pod(set: &DaemonSet, hash: &str, node: &str) -> Pod {
    let template = set.spec.as_ref().map(|spec| spec.template.clone()).unwrap_or_default();
    let mut pod = from_template(&template, set.namespace(), generated_name(set.name()), controller_reference(set));
    pod.metadata.labels.get_or_insert_default().insert(REVISION_LABEL.to_owned(), hash.to_owned());
    let spec: &mut PodSpec = pod.spec.get_or_insert_default();
    let field = NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![node.to_owned()]),
    };
    let affinity: &mut NodeAffinity =
        spec.affinity.get_or_insert_with(Affinity::default).node_affinity.get_or_insert_default();
    // The template's own terms have been checked for this node.
    affinity.required_during_scheduling_ignored_during_execution = Some(NodeSelector {
        node_selector_terms: vec![NodeSelectorTerm { match_expressions: None, match_fields: Some(vec![field]) }],
    });
    spec.tolerations.get_or_insert_default().extend(own_tolerations());
    pod
}

/// Taints of a node in trouble do not keep daemons away.
fn own_tolerations() -> impl Iterator<Item = Toleration> {
    let taints = [
        ("node.kubernetes.io/not-ready", "NoExecute"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
        ("node.kubernetes.io/disk-pressure", "NoSchedule"),
        ("node.kubernetes.io/memory-pressure", "NoSchedule"),
        ("node.kubernetes.io/pid-pressure", "NoSchedule"),
        ("node.kubernetes.io/unschedulable", "NoSchedule"),
    ];
    taints.into_iter().map(|(key, effect)| Toleration {
        key: Some(key.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some(effect.to_owned()),
        ..Toleration::default()
    })
}

impl Reconcile for DaemonSets {
    const NAME: &'static str = "daemonset";

    async fn reconcile(&self, key: &Key) -> Result<Done, ReconcileError> {
        let Some(set) = self.sets.get(key) else { return Ok(Done::Gone) };
        match self.look(&set).await {
            Ok(done) => Ok(done),
            Err(error) if error.is_namespace_ending() => Ok(Done::Settled),
            Err(error) => Err(error.into()),
        }
    }
}

impl DaemonSets {
    async fn look(&self, set: &Arc<DaemonSet>) -> Result<Done, ExecuteError> {
        let Some(spec) = &set.spec else { return Ok(Done::Settled) };
        self.settle_ownership(set).await?;
        if set.is_deleting() {
            return Ok(Done::Settled);
        }
        let history = revisions::owned(&self.revisions, set.namespace(), set.uid());
        let collisions = set.status.as_ref().and_then(|status| status.collision_count);
        let step = revisions::plan(set.as_ref(), &spec.template, &history, collisions);
        let newest = revisions::execute(&self.revisions, step).await?;
        let hash = revisions::hash(&newest).to_owned();
        let (actions, wake) = plan(&self.observe(set, &hash), self.clock.now());
        for action in &actions {
            match action {
                Action::CreateOn(node) => drop(self.control.create(set.as_ref(), &new_pod(set, &hash, node)).await?),
                Action::Delete(pod) => self.control.delete(set.as_ref(), pod).await?,
            }
        }
        let observed = self.observe(set, &hash);
        self.write_status(set, observed.status(self.clock.now())).await?;
        let mut needed: Vec<&str> = observed.pods.iter().filter_map(|pod| pod.label(REVISION_LABEL)).collect();
        needed.push(hash.as_str());
        for revision in revisions::surplus(&history, &needed, spec.revision_history_limit) {
            self.revisions.delete(&revision).await?;
        }
        Ok(Done::after(wake))
    }

    fn members(&self, set: &DaemonSet) -> Claims<Pod> {
        let selector = set.spec.as_ref().map(|spec| spec.selector.clone()).unwrap_or_default();
        claim(set, &Matcher::new(&selector), self.control.pods.in_namespace(set.namespace()))
    }

    fn observe(&self, set: &Arc<DaemonSet>, hash: &str) -> Observed {
        Observed { set: Arc::clone(set), nodes: self.nodes.all(), pods: self.members(set).owned, hash: hash.to_owned() }
    }

    async fn settle_ownership(&self, set: &DaemonSet) -> Result<(), ExecuteError> {
        let claims = self.members(set);
        for pod in &claims.release {
            release(&self.control.pods, set.uid(), pod.as_ref()).await?;
        }
        if claims.adopt.is_empty() {
            return Ok(());
        }
        let now = self.sets.read(&Key::of(set)).await?;
        if now.is_some_and(|now| now.uid() == set.uid() && !now.is_deleting()) {
            for pod in &claims.adopt {
                adopt(&self.control.pods, set, pod.as_ref()).await?;
            }
        }
        Ok(())
    }

    async fn write_status(&self, set: &DaemonSet, status: DaemonSetStatus) -> Result<(), ExecuteError> {
        if set.status.as_ref() == Some(&status) {
            return Ok(());
        }
        match self.sets.replace_status(&DaemonSet { status: Some(status), ..set.clone() }).await {
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

    fn set(extra: Value) -> Arc<DaemonSet> {
        let mut value = json!({
            "metadata": {"name": "log", "namespace": "shop", "uid": "d", "generation": 1},
            "spec": {"selector": {"matchLabels": {"app": "log"}}, "template": {"spec": {"containers": [{"name": "c"}]}},
                     "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}},
        });
        crate::pods::tests::merge(&mut value, extra);
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn node(extra: Value) -> Arc<Node> {
        let mut value = json!({"metadata": {"name": "n1"}});
        crate::pods::tests::merge(&mut value, extra);
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn on_node(name: &str, hash: &str, extra: Value) -> Arc<Pod> {
        let ready = json!([{"type": "Ready", "status": "True"}]);
        let mut value = json!({"metadata": {"labels": {REVISION_LABEL: hash}}, "spec": {"nodeName": "n1", "containers": []},
                               "status": {"phase": "Running", "conditions": ready}});
        crate::pods::tests::merge(&mut value, extra);
        pod(name, value)
    }

    fn told(observed: &Observed) -> Vec<String> {
        let (actions, _) = plan(observed, "2026-01-01T00:00:00Z".parse().unwrap());
        actions
            .iter()
            .map(|action| match action {
                Action::CreateOn(node) => format!("create on {node}"),
                Action::Delete(pod) => format!("delete {}", pod.name()),
            })
            .collect()
    }

    /// Its name, the set's fields, the node's fields, the pods that there are, and what is done.
    type Case = (&'static str, Value, Value, Vec<Arc<Pod>>, Vec<&'static str>);

    #[test]
    fn each_wanted_node_has_one_pod_of_the_template() {
        let deleting = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        let taint = json!({"spec": {"taints": [{"key": "only", "effect": "NoSchedule"}]}});
        let pressure =
            json!({"spec": {"taints": [{"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}]}});
        let cases: Vec<Case> = vec![
            ("first", json!({}), json!({}), vec![], vec!["create on n1"]),
            ("there", json!({}), json!({}), vec![on_node("a", "new", json!({}))], vec![]),
            (
                "two",
                json!({}),
                json!({}),
                vec![on_node("a", "new", json!({})), on_node("b", "new", json!({}))],
                vec!["delete b"],
            ),
            (
                "failed",
                json!({}),
                json!({}),
                vec![on_node("a", "new", json!({"status": {"phase": "Failed", "conditions": null}}))],
                vec!["delete a"],
            ),
            ("old", json!({}), json!({}), vec![on_node("a", "old", json!({}))], vec!["delete a"]),
            (
                "old, on delete",
                json!({"spec": {"updateStrategy": {"type": "OnDelete"}}}),
                json!({}),
                vec![on_node("a", "old", json!({}))],
                vec![],
            ),
            ("ending", json!({}), json!({}), vec![on_node("a", "old", deleting)], vec![]),
            ("tainted", json!({}), taint, vec![on_node("a", "new", json!({}))], vec!["delete a"]),
            ("in trouble", json!({}), pressure, vec![], vec!["create on n1"]),
            (
                "not selected",
                json!({"spec": {"template": {"spec": {"nodeSelector": {"disk": "ssd"}}}}}),
                json!({}),
                vec![],
                vec![],
            ),
        ];
        for (name, extra, on, pods, expected) in cases {
            let observed = Observed { set: set(extra), nodes: vec![node(on)], pods, hash: "new".to_owned() };
            assert_eq!(told(&observed), expected, "{name}");
        }
    }

    #[test]
    fn a_new_pod_is_meant_for_its_node() {
        let pod = new_pod(&set(json!({})), "new", "n1");
        assert_eq!(target_node(&pod), Some("n1"));
        assert_eq!(pod.spec.unwrap().tolerations.unwrap().len(), 6);
    }

    #[test]
    fn status_counts_nodes() {
        let pods = vec![on_node("a", "new", json!({}))];
        let observed = Observed { set: set(json!({})), nodes: vec![node(json!({}))], pods, hash: "new".to_owned() };
        let status = observed.status(Timestamp::UNIX_EPOCH);
        assert_eq!(
            (
                status.desired_number_scheduled,
                status.number_ready,
                status.number_available,
                status.updated_number_scheduled
            ),
            (1, 1, Some(1), Some(1))
        );
        assert_eq!(status.number_unavailable, None);
    }
}
