//! Computes the endpoints of a Service.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort as OldPort, EndpointSubset, Endpoints, ObjectReference, Pod, Service, ServicePort,
};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::ObjectMeta;
use maru_time::{Timestamp, rfc3339_seconds};

use crate::machinery::{MetaExt as _, controller_reference};
use crate::pods::{is_finished, is_ready, node_name};

pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";
pub(crate) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
pub(crate) const MANAGER: &str = "endpointslice-controller.k8s.io";
pub(crate) const HEADLESS: &str = "service.kubernetes.io/headless";
pub(crate) const OLD_MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
pub(crate) const OLD_MANAGER: &str = "endpoint-controller";
const LAST_CHANGE: &str = "endpoints.kubernetes.io/last-change-trigger-time";
/// Endpoints in one slice, as Kubernetes' default.
const SLICE_MAX: usize = 100;

/// A pod as an endpoint of the Service.
#[derive(Debug, Clone, PartialEq)]
struct Backend {
    addresses: BTreeMap<Family, String>,
    ready: bool,
    serving: bool,
    terminating: bool,
    hostname: Option<String>,
    node: Option<String>,
    pod: ObjectReference,
    ports: Vec<Port>,
}

/// A port as it is reached at the pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Port {
    name: String,
    protocol: String,
    number: i32,
    app_protocol: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn of(ip: &str) -> Option<Self> {
        match ip.parse().ok()? {
            std::net::IpAddr::V4(_) => Some(Self::V4),
            std::net::IpAddr::V6(_) => Some(Self::V6),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// Tells whether the endpoints of the Service are computed from pods.
pub(crate) fn has_selector(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    let is_external = spec.and_then(|spec| spec.type_.as_deref()) == Some("ExternalName");
    !is_external && spec.and_then(|spec| spec.selector.as_ref()).is_some_and(|selector| !selector.is_empty())
}

fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()) == Some("None")
}

/// Returns the slices that the Service should have. `pods` are those that it selects. Pure.
pub(crate) fn slices(service: &Service, pods: &[Arc<Pod>], now: Timestamp) -> Vec<EndpointSlice> {
    let backends = backends(service, pods);
    let mut slices = Vec::new();
    for family in families(service) {
        // Pods may give a named port different numbers: each set of ports has slices of its own.
        let mut groups: BTreeMap<Vec<Port>, Vec<Endpoint>> = BTreeMap::new();
        for backend in &backends {
            if let Some(address) = backend.addresses.get(&family) {
                groups.entry(backend.ports.clone()).or_default().push(endpoint(backend, address));
            }
        }
        if groups.is_empty() {
            groups.insert(Vec::new(), Vec::new());
        }
        for (ports, endpoints) in groups {
            let chunks: Vec<Vec<Endpoint>> = if endpoints.is_empty() {
                vec![Vec::new()]
            } else {
                endpoints.chunks(SLICE_MAX).map(<[Endpoint]>::to_vec).collect()
            };
            for (index, endpoints) in chunks.into_iter().enumerate() {
                slices.push(slice(service, family, &ports, endpoints, index, now));
            }
        }
    }
    slices
}

fn families(service: &Service) -> Vec<Family> {
    let named = service.spec.as_ref().and_then(|spec| spec.ip_families.as_ref());
    let families: Vec<Family> =
        named.into_iter().flatten().map(|family| if family == "IPv6" { Family::V6 } else { Family::V4 }).collect();
    if families.is_empty() { vec![Family::V4] } else { families }
}

fn slice(
    service: &Service,
    family: Family,
    ports: &[Port],
    endpoints: Vec<Endpoint>,
    index: usize,
    now: Timestamp,
) -> EndpointSlice {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.insert(SERVICE_NAME.to_owned(), service.name().to_owned());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    } else {
        labels.remove(HEADLESS);
    }
    // The name follows from the content's place: made twice, it is the same slice.
    let place = format!("{} {} {ports:?} {index}", service.uid(), family.name());
    let base: String = service.name().chars().take(50).collect();
    EndpointSlice {
        metadata: ObjectMeta {
            name: Some(format!("{base}-{}", maru_ids::short_hash(&place, 8))),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: Some([(LAST_CHANGE.to_owned(), rfc3339_seconds(now))].into()),
            owner_references: Some(vec![controller_reference(service)]),
            ..ObjectMeta::default()
        },
        address_type: family.name().to_owned(),
        endpoints: Some(endpoints),
        ports: Some(ports.iter().map(slice_port).collect()),
    }
}

fn slice_port(port: &Port) -> EndpointPort {
    EndpointPort {
        name: Some(port.name.clone()),
        protocol: Some(port.protocol.clone()),
        port: Some(port.number),
        app_protocol: port.app_protocol.clone(),
    }
}

fn endpoint(backend: &Backend, address: &str) -> Endpoint {
    Endpoint {
        addresses: vec![address.to_owned()],
        conditions: Some(EndpointConditions {
            ready: Some(backend.ready),
            serving: Some(backend.serving),
            terminating: Some(backend.terminating),
        }),
        hostname: backend.hostname.clone(),
        node_name: backend.node.clone(),
        target_ref: Some(backend.pod.clone()),
        ..Endpoint::default()
    }
}

/// Returns the Endpoints that the Service should have. `pods` are those that it selects. Pure.
pub(crate) fn endpoints(service: &Service, pods: &[Arc<Pod>], now: Timestamp) -> Endpoints {
    let publishes_all = publishes_not_ready(service);
    let Some(family) = families(service).first().copied() else { return Endpoints::default() };
    // The old form has no word for endpoints that end: they are left out.
    let backends: Vec<Backend> =
        backends(service, pods).into_iter().filter(|one| !one.terminating || publishes_all).collect();
    let mut groups: BTreeMap<Vec<Port>, (Vec<EndpointAddress>, Vec<EndpointAddress>)> = BTreeMap::new();
    for backend in &backends {
        let Some(ip) = backend.addresses.get(&family) else { continue };
        let address = EndpointAddress {
            ip: ip.clone(),
            hostname: backend.hostname.clone(),
            node_name: backend.node.clone(),
            target_ref: Some(backend.pod.clone()),
        };
        let (ready, not_ready) = groups.entry(backend.ports.clone()).or_default();
        if backend.ready { ready.push(address) } else { not_ready.push(address) }
    }
    let some = |addresses: Vec<EndpointAddress>| (!addresses.is_empty()).then_some(addresses);
    let subsets: Vec<EndpointSubset> = groups
        .into_iter()
        .map(|(ports, (ready, not_ready))| EndpointSubset {
            addresses: some(ready),
            not_ready_addresses: some(not_ready),
            ports: (!ports.is_empty()).then(|| ports.iter().map(old_port).collect()),
        })
        .collect();
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.insert(OLD_MANAGED_BY.to_owned(), OLD_MANAGER.to_owned());
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    Endpoints {
        metadata: ObjectMeta {
            name: service.metadata.name.clone(),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: Some([(LAST_CHANGE.to_owned(), rfc3339_seconds(now))].into()),
            ..ObjectMeta::default()
        },
        subsets: (!subsets.is_empty()).then_some(subsets),
    }
}

fn old_port(port: &Port) -> OldPort {
    OldPort {
        name: (!port.name.is_empty()).then(|| port.name.clone()),
        protocol: Some(port.protocol.clone()),
        port: port.number,
        app_protocol: port.app_protocol.clone(),
    }
}

fn publishes_not_ready(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses).unwrap_or(false)
}

fn backends(service: &Service, pods: &[Arc<Pod>]) -> Vec<Backend> {
    let mut backends: Vec<Backend> =
        pods.iter().filter(|pod| !is_finished(pod)).filter_map(|pod| backend(service, pod)).collect();
    backends.sort_by(|one, two| (&one.pod.namespace, &one.pod.name).cmp(&(&two.pod.namespace, &two.pod.name)));
    backends
}

/// Returns the pod as an endpoint; none while it has no address.
fn backend(service: &Service, pod: &Pod) -> Option<Backend> {
    let addresses = addresses(pod);
    if addresses.is_empty() {
        return None;
    }
    let publishes_all = publishes_not_ready(service);
    let terminating = pod.is_deleting();
    let serving = is_ready(pod) || publishes_all;
    let spec = pod.spec.as_ref()?;
    let is_named = spec.subdomain.as_deref() == Some(service.name());
    Some(Backend {
        addresses,
        ready: publishes_all || (serving && !terminating),
        serving,
        terminating,
        hostname: spec.hostname.clone().filter(|hostname| is_named && !hostname.is_empty()),
        node: node_name(pod).map(str::to_owned),
        pod: ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        },
        ports: ports(service, pod),
    })
}

fn addresses(pod: &Pod) -> BTreeMap<Family, String> {
    let Some(status) = &pod.status else { return BTreeMap::new() };
    let listed = status.pod_ips.iter().flatten().map(|ip| ip.ip.clone());
    let mut first = BTreeMap::new();
    for ip in listed.chain(status.pod_ip.clone()) {
        if let Some(family) = Family::of(&ip) {
            first.entry(family).or_insert(ip);
        }
    }
    first
}

/// Returns the Service's ports as the pod has them; a named port that the pod lacks is left out.
fn ports(service: &Service, pod: &Pod) -> Vec<Port> {
    let all = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let mut ports: Vec<Port> = all
        .filter_map(|port| {
            Some(Port {
                name: port.name.clone().unwrap_or_default(),
                protocol: protocol(port.protocol.as_deref()).to_owned(),
                number: target_port(port, pod)?,
                app_protocol: port.app_protocol.clone(),
            })
        })
        .collect();
    ports.sort();
    ports
}

fn protocol(protocol: Option<&str>) -> &str {
    protocol.filter(|protocol| !protocol.is_empty()).unwrap_or("TCP")
}

fn target_port(port: &ServicePort, pod: &Pod) -> Option<i32> {
    match &port.target_port {
        None => Some(port.port),
        Some(IntOrString::Int(0)) => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) => {
            let spec = pod.spec.as_ref()?;
            let sidecars =
                spec.init_containers.iter().flatten().filter(|one| one.restart_policy.as_deref() == Some("Always"));
            let mut ports =
                spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
            let wanted = protocol(port.protocol.as_deref());
            let found =
                ports.find(|own| own.name.as_deref() == Some(name) && protocol(own.protocol.as_deref()) == wanted);
            found.map(|own| own.container_port)
        }
    }
}

/// Tells whether two slices say the same; the time of the last change aside.
pub(crate) fn is_same_slice(one: &EndpointSlice, two: &EndpointSlice) -> bool {
    one.endpoints.as_deref().unwrap_or_default() == two.endpoints.as_deref().unwrap_or_default()
        && one.ports.as_deref().unwrap_or_default() == two.ports.as_deref().unwrap_or_default()
        && one.address_type == two.address_type
        && one.metadata.labels == two.metadata.labels
}

/// Tells whether two Endpoints say the same; the time of the last change aside.
pub(crate) fn is_same_endpoints(one: &Endpoints, two: &Endpoints) -> bool {
    one.subsets.as_deref().unwrap_or_default() == two.subsets.as_deref().unwrap_or_default()
        && one.metadata.labels == two.metadata.labels
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
