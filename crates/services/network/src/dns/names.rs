//! The names of a snapshot.
//!
//! Source: Kubernetes DNS-Based Service Discovery, schema version 1.1.0.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use maru_net::Cidr;

use super::name::{labels, to_wire};
use crate::model::{Endpoint, ServiceEntry, ServicePort};
use crate::{Cluster, NetworkOptions};

/// What `dns-version` says.
const SCHEMA_VERSION: &[u8] = b"1.1.0";

/// All names of a snapshot, ready to be looked up.
#[derive(Debug)]
pub struct Names {
    zone: Vec<u8>,
    serial: u32,
    entries: HashMap<Vec<u8>, Entry>,
    namespaces: HashSet<Vec<u8>>,
    pointers: HashMap<Ipv4Addr, Vec<Vec<u8>>>,
    own_ranges: [Cidr; 2],
}

/// What a name leads to. A name without anything exists nevertheless: others are beneath it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) addresses: Vec<Ipv4Addr>,
    pub(crate) services: Vec<(u16, Vec<u8>)>,
    pub(crate) alias: Option<Vec<u8>>,
    pub(crate) text: Option<&'static [u8]>,
    pub(crate) name_server: Option<Vec<u8>>,
}

/// Where a name belongs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// It is one of ours.
    Entry(&'a Entry),
    /// It is a pod's address, spelled with dashes.
    Address(Ipv4Addr),
    /// It is an address of ours, the other way round, with these names.
    Pointers(&'a [Vec<u8>]),
    /// It would be one of ours, but there is none. The zone says so.
    Nothing { zone: &'a [u8] },
    /// Others know.
    Elsewhere,
}

const REVERSE_ZONE: &[u8] = b"\x07in-addr\x04arpa";

impl Names {
    /// Makes the names of a snapshot; `serial` grows with each.
    #[must_use]
    pub fn build(cluster: &Cluster, options: &NetworkOptions, serial: u32) -> Self {
        let zone = to_wire(&options.dns.cluster_domain).unwrap_or_default();
        let mut builder = Builder {
            names: Self {
                zone,
                serial,
                entries: HashMap::new(),
                namespaces: HashSet::new(),
                pointers: HashMap::new(),
                own_ranges: [options.service_cidr, options.pod_cidr],
            },
        };
        builder.zone(options);
        for namespace in cluster.namespaces.keys() {
            builder.namespace(namespace);
        }
        for ((namespace, _), entry) in &cluster.services {
            builder.namespace(namespace);
            builder.service(entry);
        }
        builder.names.pointers.values_mut().for_each(|names| names.dedup());
        builder.names
    }

    pub(crate) fn serial(&self) -> u32 {
        self.serial
    }

    pub(crate) fn zone(&self) -> &[u8] {
        &self.zone
    }

    /// Looks a name up; in wire form and lower case.
    pub(crate) fn find(&self, name: &[u8]) -> Found<'_> {
        if let Some(entry) = self.entries.get(name) {
            return Found::Entry(entry);
        }
        if let Some(beneath) = beneath(name, &self.zone) {
            return match self.pod_address(beneath) {
                Some(address) => Found::Address(address),
                None => Found::Nothing { zone: &self.zone },
            };
        }
        match reverse_address(name) {
            Some(address) => match self.pointers.get(&address) {
                Some(names) => Found::Pointers(names),
                None if self.own_ranges.iter().any(|range| range.contains(address)) => {
                    Found::Nothing { zone: REVERSE_ZONE }
                }
                None => Found::Elsewhere,
            },
            None => Found::Elsewhere,
        }
    }

    /// Reads `a-b-c-d.<namespace>.pod`.
    fn pod_address(&self, beneath: &[u8]) -> Option<Ipv4Addr> {
        let mut parts = labels(beneath);
        let (address, namespace, pod) = (parts.next()?, parts.next()?, parts.next()?);
        if pod != b"pod" || parts.next().is_some() || !self.namespaces.contains(namespace) {
            return None;
        }
        std::str::from_utf8(address).ok()?.replace('-', ".").parse().ok()
    }
}

/// Returns the part of a name before a zone's; `None` when it is not beneath the zone.
fn beneath<'a>(name: &'a [u8], zone: &[u8]) -> Option<&'a [u8]> {
    let rest = name.strip_suffix(zone)?;
    // The zone's bytes may by chance be the end of a longer label.
    let ends_there = labels(rest).map(|label| label.len() + 1).sum::<usize>() == rest.len();
    ends_there.then_some(rest)
}

fn reverse_address(name: &[u8]) -> Option<Ipv4Addr> {
    let octets: Vec<u8> = labels(beneath(name, REVERSE_ZONE)?)
        .map(|label| std::str::from_utf8(label).ok()?.parse().ok())
        .collect::<Option<_>>()?;
    let [d, c, b, a] = octets.try_into().ok()?;
    Some(Ipv4Addr::new(a, b, c, d))
}

struct Builder {
    names: Names,
}

impl Builder {
    fn zone(&mut self, options: &NetworkOptions) {
        let server = self.name(&["ns", "dns"]);
        let addresses = options.dns.listen.iter().filter_map(|listen| match listen.ip() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        let addresses: Vec<Ipv4Addr> = addresses.collect();
        if let Some(server) = server {
            self.entry(server.clone()).addresses = addresses;
            let zone = self.names.zone.clone();
            self.entry(zone).name_server = Some(server);
        }
        for exists in [&["dns"] as &[&str], &["svc"], &["pod"]] {
            if let Some(name) = self.name(exists) {
                self.entry(name);
            }
        }
        if let Some(name) = self.name(&["dns-version"]) {
            self.entry(name).text = Some(SCHEMA_VERSION);
        }
    }

    fn namespace(&mut self, namespace: &str) {
        self.names.namespaces.insert(namespace.to_ascii_lowercase().into_bytes());
        for kind in ["svc", "pod"] {
            if let Some(name) = self.name(&[namespace, kind]) {
                self.entry(name);
            }
        }
    }

    fn service(&mut self, entry: &ServiceEntry) {
        let service = &entry.service;
        let Some(name) = self.name(&[&service.name, &service.namespace, "svc"]) else { return };
        if let Some(target) = &service.external_name {
            // A target that is no name makes the service's name one without data.
            self.entry(name).alias = to_wire(target);
        } else if let Some(address) = service.cluster_ip {
            self.entry(name.clone()).addresses = vec![address];
            self.names.pointers.entry(address).or_default().push(name.clone());
            for port in &service.ports {
                self.service_record(&name, port, (port.port, name.clone()));
            }
        } else if service.headless {
            self.entry(name.clone());
            for endpoint in entry.endpoints.iter().filter(|one| one.ready || service.publish_not_ready) {
                self.headless_endpoint(entry, &name, endpoint);
            }
        }
    }

    fn headless_endpoint(&mut self, entry: &ServiceEntry, name: &[u8], endpoint: &Endpoint) {
        let address = endpoint.address;
        push_new(&mut self.entry(name.to_vec()).addresses, address);
        let dashed = address.to_string().replace('.', "-");
        let Some(mut own) = to_wire(endpoint.hostname.as_deref().unwrap_or(&dashed)) else { return };
        own.extend(name);
        push_new(&mut self.entry(own.clone()).addresses, address);
        // Only a chosen name is a pod's identity; the spelled address says nothing new.
        self.names.pointers.entry(address).or_default().push(own.clone());
        for port in &entry.service.ports {
            let found = endpoint.ports.iter().find(|found| found.name == port.name && found.protocol == port.protocol);
            if let Some(found) = found {
                self.service_record(name, port, (found.port, own.clone()));
            }
        }
    }

    /// Adds `_port._protocol.<service>`; ports without a name have none.
    fn service_record(&mut self, service: &[u8], port: &ServicePort, target: (u16, Vec<u8>)) {
        if port.name.is_empty() {
            return;
        }
        let Some(mut protocol) = to_wire(&format!("_{}", port.protocol)) else { return };
        protocol.extend(service);
        let Some(mut name) = to_wire(&format!("_{}", port.name)) else { return };
        name.extend(&protocol);
        self.entry(protocol);
        push_new(&mut self.entry(name).services, target);
    }

    fn entry(&mut self, name: Vec<u8>) -> &mut Entry {
        self.names.entries.entry(name).or_default()
    }

    /// Returns the wire form of a name beneath the zone; `None` when a label is too long to be one.
    fn name(&self, parts: &[&str]) -> Option<Vec<u8>> {
        let mut name = to_wire(&parts.join("."))?;
        name.extend(&self.names.zone);
        Some(name)
    }
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}
