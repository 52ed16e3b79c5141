//! Decides which waiting pods are bound to the node.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodSpec, Taint, Volume,
};
use k8s_openapi::api::storage::v1::StorageClass;
use maru_kube::Quantity;

use super::pod_affinity::affinity_problem;
use super::resources::{Amounts, add, amounts, requests};
use crate::machinery::{Key, MetaExt as _};
use crate::node_affinity::{is_wanted_node, selects_node, untolerated};
use crate::pods::{is_finished, node_name};
use crate::volumes::{SELECTED_NODE, is_bound, waits_for_consumer};

/// The scheduler that pods without another one mean.
pub(crate) const SCHEDULER_NAME: &str = "default-scheduler";

/// What is there.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    pub(crate) node: Option<Arc<Node>>,
    pub(crate) pods: Vec<Arc<Pod>>,
    /// Uids of pods that were bound while the cache does not show it yet.
    pub(crate) assumed: BTreeSet<String>,
    pub(crate) namespaces: Vec<Arc<Namespace>>,
    pub(crate) claims: BTreeMap<Key, Arc<PersistentVolumeClaim>>,
    pub(crate) volumes: BTreeMap<String, Arc<PersistentVolume>>,
    pub(crate) classes: BTreeMap<String, Arc<StorageClass>>,
}

/// One step.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Bind(Arc<Pod>),
    /// Tells the provisioner where the claim's volume is needed.
    SelectNode(Arc<PersistentVolumeClaim>),
    /// Tells why the pod waits.
    Refuse {
        pod: Arc<Pod>,
        reason: &'static str,
        message: String,
    },
}

/// Why a pod cannot be bound now.
#[derive(Debug, Clone, PartialEq)]
enum Obstacle {
    /// For the reasons given, as after "0/1 nodes are available: 1 ".
    Node(Vec<String>),
    /// Whatever the node is like.
    Pod(String),
    /// The scheduling gates are closed.
    Gated,
    /// These claims get their volume first; the pod is bound when they have it.
    Volumes(Vec<Arc<PersistentVolumeClaim>>),
}

/// Decides for all waiting pods, the most important first. Pure: same inputs, same actions, in the same order.
pub(crate) fn plan(observed: &Observed) -> Vec<Action> {
    let mut room = Room::new(observed);
    let mut actions = Vec::new();
    for pod in waiting(observed) {
        match room.obstacle(pod) {
            None => {
                room.take(pod);
                actions.push(Action::Bind(Arc::clone(pod)));
            }
            Some(Obstacle::Volumes(claims)) => {
                // The pod keeps its place while its volumes are made.
                room.take(pod);
                actions.extend(claims.into_iter().map(Action::SelectNode));
            }
            Some(obstacle) => actions.extend(refuse(pod, &obstacle)),
        }
    }
    actions
}

fn waiting(observed: &Observed) -> Vec<&Arc<Pod>> {
    let mut waiting: Vec<&Arc<Pod>> = observed
        .pods
        .iter()
        .filter(|pod| node_name(pod).is_none() && !pod.is_deleting() && !is_finished(pod))
        .filter(|pod| !observed.assumed.contains(pod.uid()))
        .filter(|pod| {
            let scheduler = pod.spec.as_ref().and_then(|spec| spec.scheduler_name.as_deref());
            scheduler.is_none_or(|name| name.is_empty() || name == SCHEDULER_NAME)
        })
        .collect();
    waiting.sort_by_key(|pod| {
        let priority = pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0);
        (Reverse(priority), pod.created_at(), Key::of(pod.as_ref()))
    });
    waiting
}

/// Tells why a pod waits, unless its status tells so already.
fn refuse(pod: &Arc<Pod>, obstacle: &Obstacle) -> Option<Action> {
    let (reason, message) = match obstacle {
        Obstacle::Gated => ("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates".to_owned()),
        Obstacle::Pod(message) => ("Unschedulable", message.clone()),
        Obstacle::Node(reasons) if reasons.is_empty() => {
            ("Unschedulable", "no nodes available to schedule pods".to_owned())
        }
        Obstacle::Node(reasons) => {
            let reasons: Vec<String> = reasons.iter().map(|reason| format!("1 {reason}")).collect();
            ("Unschedulable", format!("0/1 nodes are available: {}.", reasons.join(", ")))
        }
        Obstacle::Volumes(_) => return None,
    };
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let is_known = conditions.into_iter().flatten().any(|known| {
        known.type_ == "PodScheduled"
            && known.status == "False"
            && known.reason.as_deref() == Some(reason)
            && known.message.as_deref() == Some(message.as_str())
    });
    (!is_known).then(|| Action::Refuse { pod: Arc::clone(pod), reason, message })
}

/// The node with what is taken of it.
struct Room<'a> {
    observed: &'a Observed,
    taken: Amounts,
    pods: Vec<&'a Arc<Pod>>,
    ports: Vec<HostPort>,
}

impl<'a> Room<'a> {
    fn new(observed: &'a Observed) -> Self {
        let mut room = Self { observed, taken: Amounts::new(), pods: Vec::new(), ports: Vec::new() };
        let name = observed.node.as_ref().map(|node| node.name());
        let here =
            |pod: &Pod| (node_name(pod).is_some() && node_name(pod) == name) || observed.assumed.contains(pod.uid());
        for pod in observed.pods.iter().filter(|pod| !is_finished(pod) && here(pod)) {
            room.take(pod);
        }
        room
    }

    fn take(&mut self, pod: &'a Arc<Pod>) {
        add(&mut self.taken, &requests(pod));
        self.ports.extend(host_ports(pod));
        self.pods.push(pod);
    }

    fn obstacle(&self, pod: &Pod) -> Option<Obstacle> {
        let spec = pod.spec.as_ref()?;
        if spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()) {
            return Some(Obstacle::Gated);
        }
        let volumes = match self.check_claims(pod, spec) {
            Ok(volumes) => volumes,
            Err(message) => return Some(Obstacle::Pod(message)),
        };
        let Some(node) = self.observed.node.as_deref() else { return Some(Obstacle::Node(Vec::new())) };
        let mut reasons: Vec<String> = node_problem(spec, node).into_iter().collect();
        if reasons.is_empty() {
            reasons.extend(self.shortages(pod, node));
            if host_ports(pod).iter().any(|port| self.ports.iter().any(|taken| taken.conflicts(port))) {
                reasons.push("node(s) didn't have free ports for the requested pod ports".to_owned());
            }
            reasons.extend(affinity_problem(pod, node, &self.pods, &self.observed.namespaces));
            if volumes.iter().any(|claim| !self.volume_is_reachable(claim, node)) {
                reasons.push("node(s) didn't match PersistentVolume's node affinity".to_owned());
            }
        }
        if !reasons.is_empty() {
            return Some(Obstacle::Node(reasons));
        }
        let unbound: Vec<Arc<PersistentVolumeClaim>> = volumes.into_iter().filter(|claim| !is_bound(claim)).collect();
        if unbound.is_empty() {
            return None;
        }
        let to_tell =
            unbound.into_iter().filter(|claim| claim.annotation(SELECTED_NODE) != Some(node.name())).collect();
        Some(Obstacle::Volumes(to_tell))
    }

    fn shortages(&self, pod: &Pod, node: &Node) -> Vec<String> {
        let allocatable = amounts(node.status.as_ref().and_then(|status| status.allocatable.as_ref()));
        let mut shortages = Vec::new();
        let pods_now = i64::try_from(self.pods.len()).unwrap_or(i64::MAX);
        if allocatable.get("pods").is_some_and(|most| pods_now >= most.value()) {
            shortages.push("Too many pods".to_owned());
        }
        for (name, wanted) in requests(pod).into_iter().filter(|(_, wanted)| !wanted.is_zero()) {
            let taken = self.taken.get(&name).copied().unwrap_or(Quantity::ZERO);
            let all = allocatable.get(&name).copied().unwrap_or(Quantity::ZERO);
            if taken.saturating_add(wanted) > all {
                shortages.push(format!("Insufficient {name}"));
            }
        }
        shortages
    }

    /// Returns the pod's claims; fails when one is missing or waits for something that the scheduler cannot give.
    fn check_claims(&self, pod: &Pod, spec: &PodSpec) -> Result<Vec<Arc<PersistentVolumeClaim>>, String> {
        let mut claims = Vec::new();
        for name in spec.volumes.iter().flatten().filter_map(|volume| claim_name(pod, volume)) {
            let Some(claim) = self.observed.claims.get(&Key::new(pod.namespace(), &name)) else {
                return Err(format!("persistentvolumeclaim \"{name}\" not found"));
            };
            if claim.is_deleting() {
                return Err(format!("persistentvolumeclaim \"{name}\" is being deleted"));
            }
            let class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_ref());
            let class = class.and_then(|name| self.observed.classes.get(name));
            if !is_bound(claim) && !class.is_some_and(|class| waits_for_consumer(class)) {
                return Err("pod has unbound immediate PersistentVolumeClaims".to_owned());
            }
            claims.push(Arc::clone(claim));
        }
        Ok(claims)
    }

    fn volume_is_reachable(&self, claim: &PersistentVolumeClaim, node: &Node) -> bool {
        let name = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_ref());
        let volume = name.and_then(|name| self.observed.volumes.get(name)).and_then(|volume| volume.spec.as_ref());
        let affinity =
            volume.and_then(|spec| spec.node_affinity.as_ref()).and_then(|affinity| affinity.required.as_ref());
        affinity.is_none_or(|selector| selects_node(selector, node))
    }
}

/// Returns the claim that a volume of the pod means.
pub(crate) fn claim_name(pod: &Pod, volume: &Volume) -> Option<String> {
    if let Some(source) = &volume.persistent_volume_claim {
        return Some(source.claim_name.clone());
    }
    volume.ephemeral.as_ref().map(|_| format!("{}-{}", pod.name(), volume.name))
}

/// Returns why the node is none for the pod, resources aside.
fn node_problem(spec: &PodSpec, node: &Node) -> Option<String> {
    let mut taints: Vec<Taint> = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    if node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true) {
        let cordon = vec![taint("node.kubernetes.io/unschedulable")];
        if untolerated(&cordon, tolerations, &["NoSchedule"]).is_some() {
            return Some("node(s) were unschedulable".to_owned());
        }
    }
    if !is_node_ready(node) {
        taints.push(taint("node.kubernetes.io/not-ready"));
    }
    if let Some(taint) = untolerated(&taints, tolerations, &["NoSchedule", "NoExecute"]) {
        let value = taint.value.as_deref().unwrap_or_default();
        return Some(format!("node(s) had untolerated taint {{{}: {value}}}", taint.key));
    }
    (!is_wanted_node(spec, node)).then(|| "node(s) didn't match Pod's node affinity/selector".to_owned())
}

fn taint(key: &str) -> Taint {
    Taint { key: key.to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() }
}

fn is_node_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// A port of the machine that a pod wants for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HostPort {
    ip: String,
    protocol: String,
    port: i32,
}

impl HostPort {
    fn conflicts(&self, other: &Self) -> bool {
        let any = |ip: &str| ip.is_empty() || ip == "0.0.0.0" || ip == "::";
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip == other.ip || any(&self.ip) || any(&other.ip))
    }
}

fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let sidecars = spec.init_containers.iter().flatten().filter(|one| one.restart_policy.as_deref() == Some("Always"));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            Some(HostPort {
                ip: port.host_ip.clone().unwrap_or_default(),
                protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
                port: port.host_port.filter(|port| *port > 0)?,
            })
        })
        .collect()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
