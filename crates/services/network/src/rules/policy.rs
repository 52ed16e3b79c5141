//! Network policies.
//!
//! A pod that no policy speaks of is open. Each direction of which a policy speaks is closed but for what the pod's policies
//! allow together. Replies always pass. Differences to other implementations, both in favour of what is allowed: the machine
//! itself reaches every pod (probes, and the gateway's proxied requests), and every pod reaches the cluster's DNS.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use maru_net::{POD_LINK_PREFIX, Ruleset, Set, SetKind};

use super::{key, plain_chain};
use crate::model::{Namespace, Peer, Pod, PolicyModel, PolicyPort, PolicyRule, Selector};
use crate::{Cluster, NetworkOptions, Protocol};

/// Which way packets go, seen from the pod of which a policy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    fn rules(self, policy: &PolicyModel) -> Option<&Vec<PolicyRule>> {
        match self {
            Self::Ingress => policy.ingress.as_ref(),
            Self::Egress => policy.egress.as_ref(),
        }
    }

    /// The map from a pod's address to its chain.
    fn map(self) -> &'static str {
        match self {
            Self::Ingress => "policy_ingress",
            Self::Egress => "policy_egress",
        }
    }

    /// Where the other side's address is.
    fn peer_field(self) -> &'static str {
        match self {
            Self::Ingress => "ip saddr",
            Self::Egress => "ip daddr",
        }
    }
}

pub(super) fn compile(cluster: &Cluster, options: &NetworkOptions, ruleset: &mut Ruleset) {
    if cluster.policies.is_empty() {
        return;
    }
    for direction in [Direction::Ingress, Direction::Egress] {
        let mut elements = BTreeMap::new();
        for pod in cluster.pods.values() {
            let Some(address) = pod.address.filter(|address| options.pod_cidr.contains(*address)) else { continue };
            let policies: Vec<&Arc<PolicyModel>> = cluster
                .policies
                .values()
                .filter(|policy| policy.namespace == pod.namespace && policy.pods.matches(&pod.labels))
                .filter(|policy| direction.rules(policy).is_some())
                .collect();
            if policies.is_empty() {
                continue;
            }
            let mut rules: Vec<String> = policies
                .iter()
                .flat_map(|policy| direction.rules(policy).into_iter().flatten().map(move |rule| (policy, rule)))
                .flat_map(|(policy, rule)| allow(cluster, &policy.namespace, pod, rule, direction))
                .collect();
            rules.push("drop".to_owned());
            let name = format!("{}-{address}", direction.map().replace('_', "-"));
            elements.insert(address.to_string(), Some(format!("jump {name}")));
            ruleset.chains.insert(name, plain_chain(rules));
        }
        let declaration = "type ipv4_addr : verdict;".to_owned();
        ruleset.sets.insert(direction.map().to_owned(), Set { kind: SetKind::Map, declaration, elements });
    }
    hook(options, ruleset);
}

fn hook(options: &NetworkOptions, ruleset: &mut Ruleset) {
    let replies = "ct state established,related accept".to_owned();
    let egress = "ip saddr vmap @policy_egress".to_owned();
    let ingress = "ip daddr vmap @policy_ingress".to_owned();
    if let Some(forward) = ruleset.chains.get_mut("forward") {
        forward.rules.extend([replies.clone(), egress.clone(), ingress]);
    }
    if let Some(input) = ruleset.chains.get_mut("input") {
        let dns = options.all_in_process().into_iter().filter(|one| {
            options
                .dns
                .listen
                .iter()
                .any(|listen| listen.ip() == std::net::IpAddr::V4(one.address) && listen.port() == one.port)
        });
        let dns: Vec<String> = dns.map(|one| key(one.address, one.protocol, one.port)).collect();
        input.rules.push(replies);
        if !dns.is_empty() {
            input.rules.push(format!("ip daddr . meta l4proto . th dport {{ {} }} accept", dns.join(", ")));
        }
        input.rules.push(format!("iifname \"{POD_LINK_PREFIX}*\" {egress}"));
    }
}

/// Returns the rules that let through what a policy's rule allows; none when it allows nobody or no port.
fn allow(cluster: &Cluster, namespace: &str, pod: &Pod, rule: &PolicyRule, direction: Direction) -> Vec<String> {
    let peers = match &rule.peers {
        None => vec![PeerMatch { text: String::new(), pods: None }],
        Some(peers) => peers.iter().filter_map(|peer| peer_match(cluster, namespace, peer, direction)).collect(),
    };
    let mut rules = Vec::new();
    for peer in peers {
        match (&rule.ports, direction) {
            (None, _) => rules.push(format!("{}return", peer.text)),
            (Some(ports), Direction::Ingress) => {
                let ports = port_matches(ports, &[pod]);
                rules.extend(ports.iter().map(|port| format!("{}{port} return", peer.text)));
            }
            (Some(ports), Direction::Egress) => rules.extend(egress_ports(cluster, ports, &peer)),
        }
    }
    rules
}

/// Named ports of egress rules are those of the pods that are reached.
fn egress_ports(cluster: &Cluster, ports: &[PolicyPort], peer: &PeerMatch) -> Vec<String> {
    let (named, numbered): (Vec<PolicyPort>, Vec<PolicyPort>) =
        ports.iter().cloned().partition(|port| matches!(port, PolicyPort::Named { .. }));
    let mut rules: Vec<String> =
        port_matches(&numbered, &[]).iter().map(|port| format!("{}{port} return", peer.text)).collect();
    if named.is_empty() {
        return rules;
    }
    for pod in cluster.pods.values() {
        let Some(address) = pod.address else { continue };
        if peer.pods.as_ref().is_none_or(|pods| pods.contains(&address)) {
            let ports = port_matches(&named, &[pod]);
            rules.extend(ports.iter().map(|port| format!("ip daddr {address} {port} return")));
        }
    }
    rules
}

/// The part of a rule that says who.
struct PeerMatch {
    /// Ends with a space unless empty.
    text: String,
    /// The pods that are meant; `None` when it is about addresses.
    pods: Option<Vec<Ipv4Addr>>,
}

fn peer_match(cluster: &Cluster, namespace: &str, peer: &Peer, direction: Direction) -> Option<PeerMatch> {
    let field = direction.peer_field();
    match peer {
        Peer::Block { cidr, except } => {
            let except: Vec<String> = except.iter().map(ToString::to_string).collect();
            let exceptions =
                if except.is_empty() { String::new() } else { format!("{field} != {{ {} }} ", except.join(", ")) };
            Some(PeerMatch { text: format!("{field} {cidr} {exceptions}"), pods: None })
        }
        Peer::Pods { namespaces, pods } => {
            let selected = |pod: &&Arc<Pod>| {
                in_namespaces(cluster, namespace, namespaces.as_ref(), pod)
                    && pods.as_ref().is_none_or(|selector| selector.matches(&pod.labels))
            };
            let mut addresses: Vec<Ipv4Addr> =
                cluster.pods.values().filter(selected).filter_map(|pod| pod.address).collect();
            addresses.sort_unstable();
            addresses.dedup();
            let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            (!list.is_empty())
                .then(|| PeerMatch { text: format!("{field} {{ {} }} ", list.join(", ")), pods: Some(addresses) })
        }
    }
}

fn in_namespaces(cluster: &Cluster, own: &str, selector: Option<&Selector>, pod: &Pod) -> bool {
    let Some(selector) = selector else { return pod.namespace == own };
    let labels = cluster.namespaces.get(&pod.namespace).map(|found: &Arc<Namespace>| &found.labels);
    labels.is_some_and(|labels| selector.matches(labels))
}

/// Returns a match for each port; a named one as the given pods number it.
fn port_matches(ports: &[PolicyPort], pods: &[&Pod]) -> Vec<String> {
    let range = |protocol: &Protocol, first: u16, last: u16| {
        let ports = if first >= last { first.to_string() } else { format!("{first}-{last}") };
        format!("meta l4proto {protocol} th dport {ports}")
    };
    ports
        .iter()
        .flat_map(|port| match port {
            PolicyPort::All { protocol } => vec![format!("meta l4proto {protocol}")],
            PolicyPort::Range { protocol, first, last } => vec![range(protocol, *first, *last)],
            PolicyPort::Named { protocol, name } => pods
                .iter()
                .flat_map(|pod| &pod.named_ports)
                .filter(|found| found.name == *name && found.protocol == *protocol)
                .map(|found| range(protocol, found.port, found.port))
                .collect(),
        })
        .collect()
}
