//! Services, node ports and host ports.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use maru_net::{Ruleset, Set, SetKind};

use super::{Compiled, MASQUERADE_MARK, key, plain_chain};
use crate::model::{Endpoint, ServiceEntry, ServiceModel, ServicePort, Traffic};
use crate::{Cluster, InProcess, NetworkOptions, Protocol};

/// The kernel takes names of 127 bytes.
const CHAIN_NAME_BYTES_MAX: usize = 120;

/// An address and port behind a service port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    address: Ipv4Addr,
    port: u16,
}

pub(super) fn compile(cluster: &Cluster, options: &NetworkOptions, compiled: &mut Compiled) {
    let in_process: BTreeSet<InProcess> = options.all_in_process().into_iter().collect();
    let mut compiler = Compiler { options, in_process, compiled };
    for entry in cluster.services.values() {
        for port in &entry.service.ports {
            compiler.service_port(entry, port);
        }
    }
    for pod in cluster.pods.values() {
        let Some(address) = pod.address.filter(|address| options.pod_cidr.contains(*address)) else { continue };
        for host_port in &pod.host_ports {
            let target = Target { address, port: host_port.pod_port };
            compiler.host_port(host_port.address, host_port.protocol, host_port.host_port, target);
        }
    }
}

struct Compiler<'a> {
    options: &'a NetworkOptions,
    in_process: BTreeSet<InProcess>,
    compiled: &'a mut Compiled,
}

impl Compiler<'_> {
    fn service_port(&mut self, entry: &ServiceEntry, port: &ServicePort) {
        let service = &entry.service;
        let Some(cluster_ip) = service.cluster_ip else { return };
        if service.other_proxy {
            let key = key(cluster_ip, port.protocol, port.port);
            let served = self.ruleset().sets.get_mut("in_process").expect("the base has made this set");
            served.elements.insert(key, None);
            return;
        }
        let id = InProcess { address: cluster_ip, protocol: port.protocol, port: port.port };
        if !self.in_process.contains(&id) {
            let targets = self.targets(entry, port, service.internal_traffic);
            self.remember_udp(Some(cluster_ip), port.protocol, port.port, &targets);
            if let Some(chain) = self.service_chain("svc", service, port, &targets) {
                self.add_service_element(cluster_ip, port.protocol, port.port, &chain);
            }
        }
        if port.node_port.is_some() || !service.external_addresses.is_empty() {
            self.external(entry, port);
        }
    }

    /// Traffic from outside: node ports and external addresses.
    fn external(&mut self, entry: &ServiceEntry, port: &ServicePort) {
        let service = &entry.service;
        let targets = self.targets(entry, port, service.external_traffic);
        let chain = self.service_chain("ext", service, port, &targets);
        for address in &service.external_addresses {
            self.remember_udp(Some(*address), port.protocol, port.port, &targets);
            if let Some(chain) = &chain {
                self.add_service_element(*address, port.protocol, port.port, chain);
            }
        }
        if let Some(node_port) = port.node_port {
            self.remember_udp(None, port.protocol, node_port, &targets);
            if let Some(chain) = &chain {
                self.add_node_element(port.protocol, node_port, chain);
            }
        }
    }

    fn host_port(&mut self, host: Option<Ipv4Addr>, protocol: Protocol, port: u16, target: Target) {
        self.remember_udp(host, protocol, port, &[target]);
        let chain = self.endpoint_chain(protocol, target, None);
        match host {
            Some(host) => self.add_service_element(host, protocol, port, &chain),
            None => self.add_node_element(protocol, port, &chain),
        }
    }

    /// The endpoints that take new connections: the ready ones, or, when there is none, those that still answer while they
    /// end, as a rollout may have a moment without a ready one.
    fn targets(&self, entry: &ServiceEntry, port: &ServicePort, traffic: Traffic) -> Vec<Target> {
        let here = |endpoint: &&Endpoint| match traffic {
            Traffic::Cluster => true,
            Traffic::Local => endpoint.node.as_ref().is_none_or(|node| *node == self.options.node_name),
        };
        let of = |wanted: &dyn Fn(&Endpoint) -> bool| {
            let endpoints = entry.endpoints.iter().filter(here).filter(|endpoint| wanted(endpoint));
            let targets: BTreeSet<Target> = endpoints
                .filter_map(|endpoint| {
                    let found = endpoint
                        .ports
                        .iter()
                        .find(|found| found.name == port.name && found.protocol == port.protocol)?;
                    Some(Target { address: endpoint.address, port: found.port })
                })
                .collect();
            targets.into_iter().collect::<Vec<_>>()
        };
        let ready = of(&|endpoint| endpoint.ready);
        if ready.is_empty() { of(&|endpoint| endpoint.serving && endpoint.terminating) } else { ready }
    }

    /// Adds the chain that picks an endpoint; `None` without endpoints.
    fn service_chain(
        &mut self,
        prefix: &str,
        service: &ServiceModel,
        port: &ServicePort,
        targets: &[Target],
    ) -> Option<String> {
        if targets.is_empty() {
            return None;
        }
        let id = format!("{}/{}/{}/{}", service.namespace, service.name, port.name, port.protocol);
        let hash = maru_ids::short_hash(&id, 8);
        let mut rules = Vec::new();
        let mut chains = Vec::new();
        for target in targets {
            let affinity = service.affinity_seconds.map(|seconds| (format!("{prefix}-{hash}"), seconds));
            chains.push(self.endpoint_chain(port.protocol, *target, affinity.as_ref()));
            if let (Some((owner, _)), Some(chain)) = (&affinity, chains.last()) {
                rules.push(format!("ip saddr @{} goto {chain}", affinity_set(owner, *target)));
            }
        }
        rules.push(match chains.as_slice() {
            [only] => format!("goto {only}"),
            many => {
                let choices: Vec<String> =
                    many.iter().enumerate().map(|(number, chain)| format!("{number} : goto {chain}")).collect();
                format!("numgen random mod {} vmap {{ {} }}", many.len(), choices.join(", "))
            }
        });
        let mut name = format!("{prefix}-{hash}-{}/{}/{}", service.namespace, service.name, port.port);
        name.truncate(name.floor_char_boundary(CHAIN_NAME_BYTES_MAX));
        self.ruleset().chains.insert(name.clone(), plain_chain(rules));
        Some(name)
    }

    /// Adds the chain that translates to one endpoint. With affinity it belongs to one service port, else all that lead to
    /// the endpoint share it.
    fn endpoint_chain(&mut self, protocol: Protocol, target: Target, affinity: Option<&(String, u32)>) -> String {
        let Target { address, port } = target;
        let name = match affinity {
            Some((owner, _)) => format!("ep-{owner}-{address}/{port}"),
            None => format!("ep-{protocol}-{address}/{port}"),
        };
        let mark = format!("meta mark set meta mark or {MASQUERADE_MARK}");
        let mut rules = if self.options.pod_cidr.contains(address) {
            vec![format!("ip saddr {address} {mark}")]
        } else {
            // Elsewhere: its replies must come back through this machine.
            vec![mark]
        };
        if let Some((owner, seconds)) = affinity {
            let set = affinity_set(owner, target);
            rules.push(format!("update @{set} {{ ip saddr }}"));
            let declaration = format!("type ipv4_addr; flags dynamic,timeout; timeout {seconds}s;");
            let empty = Set { kind: SetKind::Set, declaration, elements: std::collections::BTreeMap::new() };
            self.ruleset().sets.insert(set, empty);
        }
        rules.push(format!("meta l4proto {protocol} dnat to {address}:{port}"));
        self.ruleset().chains.insert(name.clone(), plain_chain(rules));
        name
    }

    fn add_service_element(&mut self, address: Ipv4Addr, protocol: Protocol, port: u16, chain: &str) {
        self.add_element("service_ports", key(address, protocol, port), chain);
    }

    fn add_node_element(&mut self, protocol: Protocol, port: u16, chain: &str) {
        self.add_element("node_ports", format!("{protocol} . {port}"), chain);
    }

    /// The first one that claims an element has it: two services cannot share an external address and port.
    fn add_element(&mut self, map: &str, key: String, chain: &str) {
        let map = self.ruleset().sets.get_mut(map).expect("the base has made this map");
        map.elements.entry(key).or_insert_with(|| Some(format!("goto {chain}")));
    }

    fn remember_udp(&mut self, address: Option<Ipv4Addr>, protocol: Protocol, port: u16, targets: &[Target]) {
        if protocol == Protocol::Udp {
            let endpoints = targets.iter().map(|target| target.address).collect();
            self.compiled.udp.insert((address, port), endpoints);
        }
    }

    fn ruleset(&mut self) -> &mut Ruleset {
        &mut self.compiled.ruleset
    }
}

/// Sets hold the clients that an endpoint keeps. Their names may not contain slashes in all versions of nft.
fn affinity_set(owner: &str, target: Target) -> String {
    format!("aff-{owner}-{}-{}", target.address, target.port)
}
