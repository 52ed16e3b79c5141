//! From a snapshot to nftables rules; pure.
//!
//! Packets meet, in this order:
//! - `guard` (before all): a pod sends from its own address only, and never to 127.0.0.0/8.
//! - `prerouting` and `output`: `services` looks (address, protocol, port) up in a map, and node ports by (protocol, port);
//!   the service's chain picks an endpoint, whose chain translates the destination.
//! - `forward`: network policies, on the translated packet. What the machine itself sends to pods is always allowed.
//! - `input`: service addresses that no service has, or that have no endpoint, are refused at once; policies of pods apply to
//!   what they send to the machine.
//! - `postrouting`: a pod that reached itself through a service must see another source than itself; what leaves the pod
//!   network takes the machine's address.
//!
//! On one node no other translation of the source is needed: replies of pods pass through this machine anyway. So services see
//! their clients' own addresses, also through node ports and with `externalTrafficPolicy: Cluster`.

mod policy;
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use maru_net::{Chain, Hook, HookKind, HookPoint, POD_LINK_PREFIX, Policy, Ruleset, Set, SetKind};

use crate::{Cluster, NetworkOptions, Protocol};

/// Set on packets whose source must be translated on leaving.
const MASQUERADE_MARK: &str = "0x4000";

/// Rules, and what is needed to tidy up after the previous ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compiled {
    /// The table.
    pub ruleset: Ruleset,
    /// Where UDP flows go.
    pub udp: UdpTargets,
}

/// Endpoints of UDP services by address (`None`: any address of the node) and port.
pub type UdpTargets = BTreeMap<(Option<Ipv4Addr>, u16), BTreeSet<Ipv4Addr>>;

/// Returns the table for a snapshot.
#[must_use]
pub fn compile(cluster: &Cluster, options: &NetworkOptions) -> Compiled {
    let mut compiled = Compiled { ruleset: base(options), udp: UdpTargets::new() };
    services::compile(cluster, options, &mut compiled);
    policy::compile(cluster, options, &mut compiled.ruleset);
    compiled
}

fn base_chain(kind: HookKind, point: HookPoint, priority: i32, rules: Vec<String>) -> Chain {
    Chain { hook: Some(Hook { kind, point, priority, policy: Policy::Accept }), rules }
}

fn plain_chain(rules: Vec<String>) -> Chain {
    Chain { hook: None, rules }
}

fn key(address: Ipv4Addr, protocol: Protocol, port: u16) -> String {
    format!("{address} . {protocol} . {port}")
}

fn base(options: &NetworkOptions) -> Ruleset {
    let NetworkOptions { service_cidr, pod_cidr, node_address, .. } = options;
    let mark = MASQUERADE_MARK;
    let pods = format!("\"{POD_LINK_PREFIX}*\"");
    let mut ruleset = Ruleset::default();
    let mut add = |name: &str, chain: Chain| drop(ruleset.chains.insert(name.to_owned(), chain));

    let guard = vec![
        format!("iifname {pods} fib saddr . iif oif missing drop"),
        format!("iifname {pods} ip daddr 127.0.0.0/8 drop"),
    ];
    add("guard", base_chain(HookKind::Filter, HookPoint::Prerouting, -300, guard));
    add("prerouting", base_chain(HookKind::Nat, HookPoint::Prerouting, -100, vec!["jump services".to_owned()]));
    add("output", base_chain(HookKind::Nat, HookPoint::Output, -100, vec!["jump services".to_owned()]));
    let services = vec![
        "ip daddr . meta l4proto . th dport vmap @service_ports".to_owned(),
        // The service range is local as well, and its addresses have no node ports.
        format!("ip daddr != {service_cidr} fib daddr type local meta l4proto . th dport vmap @node_ports"),
    ];
    add("services", plain_chain(services));
    // A packet that belongs to no tracked connection would pass untranslated, and its receiver would answer with a reset.
    add("forward", base_chain(HookKind::Filter, HookPoint::Forward, 0, vec!["ct state invalid drop".to_owned()]));
    let input = vec![format!(
        "ip daddr {service_cidr} meta l4proto {{ tcp, udp, sctp }} ip daddr . meta l4proto . th dport != @in_process goto refuse"
    )];
    add("input", base_chain(HookKind::Filter, HookPoint::Input, 0, input));
    let refuse =
        vec!["meta l4proto tcp reject with tcp reset".to_owned(), "reject with icmp type port-unreachable".to_owned()];
    add("refuse", plain_chain(refuse));
    let postrouting = vec![
        format!("oifname {pods} meta mark & {mark} == {mark} snat to {node_address}"),
        format!("meta mark & {mark} == {mark} masquerade"),
        // The machine reached a node port over its loopback address.
        format!("oifname {pods} ip saddr 127.0.0.0/8 snat to {node_address}"),
        format!("ip saddr {pod_cidr} ip daddr != {pod_cidr} oifname != {pods} masquerade"),
    ];
    add("postrouting", base_chain(HookKind::Nat, HookPoint::Postrouting, 100, postrouting));

    let in_process =
        options.all_in_process().into_iter().map(|one| (key(one.address, one.protocol, one.port), None)).collect();
    let service_key = "type ipv4_addr . inet_proto . inet_service";
    let mut add_set = |name: &str, kind, declaration: String, elements| {
        drop(ruleset.sets.insert(name.to_owned(), Set { kind, declaration, elements }));
    };
    add_set("in_process", SetKind::Set, format!("{service_key};"), in_process);
    add_set("service_ports", SetKind::Map, format!("{service_key} : verdict;"), BTreeMap::new());
    add_set("node_ports", SetKind::Map, "type inet_proto . inet_service : verdict;".to_owned(), BTreeMap::new());
    ruleset
}

#[cfg(test)]
mod tests;
