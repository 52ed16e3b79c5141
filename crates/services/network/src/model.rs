//! What of the API's objects matters here, small and owned.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::net::Ipv4Addr;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1 as networking;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use maru_net::Cidr;

/// Everything that rules and names are made of. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cluster {
    /// Services with their endpoints by namespace and name.
    pub services: BTreeMap<(String, String), ServiceEntry>,
    /// Pods by namespace and name.
    pub pods: BTreeMap<(String, String), Arc<Pod>>,
    /// Network policies by namespace and name.
    pub policies: BTreeMap<(String, String), Arc<PolicyModel>>,
    /// Namespaces by name.
    pub namespaces: BTreeMap<String, Arc<Namespace>>,
}

/// A service with the endpoints of all its slices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceEntry {
    /// The service.
    pub service: Arc<ServiceModel>,
    /// Its endpoints, in the order of addresses.
    pub endpoints: Vec<Endpoint>,
}

/// A protocol above IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
    /// RFC 9260.
    Sctp,
}

impl Protocol {
    fn parse(text: Option<&str>) -> Option<Self> {
        match text {
            None | Some("TCP") => Some(Self::Tcp),
            Some("UDP") => Some(Self::Udp),
            Some("SCTP") => Some(Self::Sctp),
            Some(_) => None,
        }
    }
}

impl Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// Which endpoints take a kind of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Traffic {
    /// All.
    #[default]
    Cluster,
    /// Those on this node.
    Local,
}

/// A Service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceModel {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its address; none for headless services and for those that wait for one.
    pub cluster_ip: Option<Ipv4Addr>,
    /// Whether names lead to the endpoints themselves.
    pub headless: bool,
    /// The name that it stands for.
    pub external_name: Option<String>,
    /// Addresses outside the cluster that lead to it: `externalIPs` and those of a load balancer.
    pub external_addresses: Vec<Ipv4Addr>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// Seconds for which a client keeps its endpoint.
    pub affinity_seconds: Option<u32>,
    /// For traffic from outside.
    pub external_traffic: Traffic,
    /// For traffic from pods.
    pub internal_traffic: Traffic,
    /// Whether names lead also to endpoints that are not ready.
    pub publish_not_ready: bool,
    /// Whether another proxy has its address: it is not translated, and what arrives there is let in.
    pub other_proxy: bool,
}

/// Names the proxy that a Service is left to (Kubernetes, "Well-known labels").
const PROXY_LABEL: &str = "service.kubernetes.io/service-proxy-name";

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name; empty when the service has only one.
    pub name: String,
    /// The protocol.
    pub protocol: Protocol,
    /// The port at the service's address.
    pub port: u16,
    /// The port at the node's addresses.
    pub node_port: Option<u16>,
}

/// One address behind a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The address.
    pub address: Ipv4Addr,
    /// The pod's host name, which gives it a name of its own.
    pub hostname: Option<String>,
    /// The node that it is on.
    pub node: Option<String>,
    /// Whether it takes new connections.
    pub ready: bool,
    /// Whether it can answer, also while it ends.
    pub serving: bool,
    /// Whether it ends.
    pub terminating: bool,
    /// Its ports.
    pub ports: Vec<EndpointPort>,
}

/// A port of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndpointPort {
    /// The name of the service's port that it belongs to.
    pub name: String,
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
}

/// A Pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its address; none before it has one, after it has ended, and in the host's network.
    pub address: Option<Ipv4Addr>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Ports of the node that lead to it.
    pub host_ports: Vec<HostPort>,
    /// Ports by name.
    pub named_ports: Vec<EndpointPort>,
}

/// A port of the node that leads to a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Only at this address of the node.
    pub address: Option<Ipv4Addr>,
    /// The protocol.
    pub protocol: Protocol,
    /// The node's port.
    pub host_port: u16,
    /// The pod's port.
    pub pod_port: u16,
}

/// A Namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// A label selector, ready to match.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selector(LabelSelector);

impl Selector {
    /// Tells whether labels are selected. An operator that is not known selects nothing.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let equal = self.0.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
        equal
            && self.0.match_expressions.iter().flatten().all(|expression| {
                let value = labels.get(&expression.key);
                let listed = || value.is_some_and(|value| expression.values.iter().flatten().any(|one| one == value));
                match expression.operator.as_str() {
                    "In" => listed(),
                    "NotIn" => !listed(),
                    "Exists" => value.is_some(),
                    "DoesNotExist" => value.is_none(),
                    _ => false,
                }
            })
    }
}

impl From<LabelSelector> for Selector {
    fn from(selector: LabelSelector) -> Self {
        Self(selector)
    }
}

/// A NetworkPolicy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicyModel {
    /// Its namespace, whose pods it speaks of.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The pods that it speaks of.
    pub pods: Selector,
    /// What may reach them; `None` when it does not say.
    pub ingress: Option<Vec<PolicyRule>>,
    /// What they may reach; `None` when it does not say.
    pub egress: Option<Vec<PolicyRule>>,
}

/// One thing that is allowed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicyRule {
    /// With whom; `None` for everybody.
    pub peers: Option<Vec<Peer>>,
    /// On which ports; `None` for all.
    pub ports: Option<Vec<PolicyPort>>,
}

/// Who may talk with the selected pods.
#[derive(Debug, Clone, PartialEq)]
pub enum Peer {
    /// An address range without some of its parts.
    Block {
        /// The range.
        cidr: Cidr,
        /// What is not meant.
        except: Vec<Cidr>,
    },
    /// Pods.
    Pods {
        /// Of these namespaces; `None` for the policy's own.
        namespaces: Option<Selector>,
        /// These; `None` for all.
        pods: Option<Selector>,
    },
}

/// Ports that are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyPort {
    /// All of a protocol.
    All {
        /// The protocol.
        protocol: Protocol,
    },
    /// A range.
    Range {
        /// The protocol.
        protocol: Protocol,
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
    },
    /// Whatever the receiving pod calls so.
    Named {
        /// The protocol.
        protocol: Protocol,
        /// The name.
        name: String,
    },
}

fn port(number: i32) -> Option<u16> {
    u16::try_from(number).ok().filter(|port| *port != 0)
}

fn addresses<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<Ipv4Addr> {
    let found: BTreeSet<Ipv4Addr> = texts.filter_map(|text| text.parse().ok()).collect();
    found.into_iter().collect()
}

impl From<&core::Service> for ServiceModel {
    fn from(service: &core::Service) -> Self {
        let spec = service.spec.clone().unwrap_or_default();
        let balancer = service.status.iter().filter_map(|status| status.load_balancer.as_ref());
        let balancer =
            balancer.flat_map(|status| status.ingress.iter().flatten()).filter_map(|ingress| ingress.ip.as_ref());
        let traffic = |policy: Option<&str>| if policy == Some("Local") { Traffic::Local } else { Traffic::Cluster };
        let affinity = spec.session_affinity.as_deref() == Some("ClientIP");
        let timeout =
            spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref()?.timeout_seconds);
        let external = spec.type_.as_deref() == Some("ExternalName");
        Self {
            namespace: service.metadata.namespace.clone().unwrap_or_default(),
            name: service.metadata.name.clone().unwrap_or_default(),
            cluster_ip: spec.cluster_ip.as_deref().filter(|_| !external).and_then(|text| text.parse().ok()),
            headless: !external && spec.cluster_ip.as_deref() == Some("None"),
            external_name: spec.external_name.filter(|_| external),
            external_addresses: addresses(spec.external_ips.iter().flatten().chain(balancer)),
            ports: spec
                .ports
                .iter()
                .flatten()
                .filter_map(|found| {
                    Some(ServicePort {
                        name: found.name.clone().unwrap_or_default(),
                        protocol: Protocol::parse(found.protocol.as_deref())?,
                        port: port(found.port)?,
                        node_port: found.node_port.and_then(port),
                    })
                })
                .collect(),
            affinity_seconds: affinity
                .then(|| timeout.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(10_800)),
            external_traffic: traffic(spec.external_traffic_policy.as_deref()),
            internal_traffic: traffic(spec.internal_traffic_policy.as_deref()),
            publish_not_ready: spec.publish_not_ready_addresses.unwrap_or(false),
            other_proxy: service.metadata.labels.iter().any(|labels| labels.contains_key(PROXY_LABEL)),
        }
    }
}

/// Returns the endpoints of a slice; none when it speaks of another address family.
pub(crate) fn endpoints(slice: &EndpointSlice) -> Vec<Endpoint> {
    if slice.address_type != "IPv4" {
        return Vec::new();
    }
    let ports: Vec<EndpointPort> = slice
        .ports
        .iter()
        .flatten()
        .filter_map(|found| {
            Some(EndpointPort {
                name: found.name.clone().unwrap_or_default(),
                protocol: Protocol::parse(found.protocol.as_deref())?,
                port: port(found.port?)?,
            })
        })
        .collect();
    let of_endpoint = |endpoint: &k8s_openapi::api::discovery::v1::Endpoint| {
        let conditions = endpoint.conditions.clone().unwrap_or_default();
        let ready = conditions.ready.unwrap_or(true);
        Some(Endpoint {
            // Only the first counts: the others are the same endpoint.
            address: endpoint.addresses.first()?.parse().ok()?,
            hostname: endpoint.hostname.clone().filter(|name| !name.is_empty()),
            node: endpoint.node_name.clone(),
            ready,
            serving: conditions.serving.unwrap_or(ready),
            terminating: conditions.terminating.unwrap_or(false),
            ports: ports.clone(),
        })
    };
    slice.endpoints.iter().flatten().filter_map(of_endpoint).collect()
}

impl From<&core::Pod> for Pod {
    fn from(pod: &core::Pod) -> Self {
        let spec = pod.spec.as_ref();
        let status = pod.status.as_ref();
        let ended = status
            .and_then(|status| status.phase.as_deref())
            .is_some_and(|phase| matches!(phase, "Succeeded" | "Failed"));
        let host_network = spec.is_some_and(|spec| spec.host_network.unwrap_or(false));
        // Restartable init containers may have ports too.
        let containers =
            spec.into_iter().flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
        let ports: Vec<&core::ContainerPort> =
            containers.flat_map(|container| container.ports.iter().flatten()).collect();
        Self {
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            name: pod.metadata.name.clone().unwrap_or_default(),
            address: status
                .and_then(|status| status.pod_ip.as_deref())
                .filter(|_| !host_network && !ended)
                .and_then(|text| text.parse().ok()),
            labels: pod.metadata.labels.clone().unwrap_or_default(),
            host_ports: ports
                .iter()
                .filter_map(|found| {
                    Some(HostPort {
                        address: found
                            .host_ip
                            .as_deref()
                            .and_then(|text| text.parse().ok())
                            .filter(|ip: &Ipv4Addr| !ip.is_unspecified()),
                        protocol: Protocol::parse(found.protocol.as_deref())?,
                        host_port: found.host_port.and_then(port)?,
                        pod_port: port(found.container_port)?,
                    })
                })
                .collect(),
            named_ports: ports
                .iter()
                .filter_map(|found| {
                    Some(EndpointPort {
                        name: found.name.clone()?,
                        protocol: Protocol::parse(found.protocol.as_deref())?,
                        port: port(found.container_port)?,
                    })
                })
                .collect(),
        }
    }
}

impl From<&core::Namespace> for Namespace {
    fn from(namespace: &core::Namespace) -> Self {
        Self {
            name: namespace.metadata.name.clone().unwrap_or_default(),
            labels: namespace.metadata.labels.clone().unwrap_or_default(),
        }
    }
}

impl From<&networking::NetworkPolicy> for PolicyModel {
    fn from(policy: &networking::NetworkPolicy) -> Self {
        let spec = policy.spec.clone().unwrap_or_default();
        let types = spec.policy_types.clone().unwrap_or_default();
        // Without types, a policy speaks of ingress, and of egress when it has egress rules.
        let speaks_of = |kind: &str, by_default: bool| {
            if types.is_empty() { by_default } else { types.iter().any(|one| one == kind) }
        };
        let has_egress = spec.egress.as_ref().is_some_and(|rules| !rules.is_empty());
        let ingress = spec
            .ingress
            .iter()
            .flatten()
            .map(|rule| PolicyRule { peers: peers(rule.from.as_deref()), ports: policy_ports(rule.ports.as_deref()) });
        let egress = spec
            .egress
            .iter()
            .flatten()
            .map(|rule| PolicyRule { peers: peers(rule.to.as_deref()), ports: policy_ports(rule.ports.as_deref()) });
        Self {
            namespace: policy.metadata.namespace.clone().unwrap_or_default(),
            name: policy.metadata.name.clone().unwrap_or_default(),
            pods: Selector(spec.pod_selector.clone().unwrap_or_default()),
            ingress: speaks_of("Ingress", true).then(|| ingress.collect()),
            egress: speaks_of("Egress", has_egress).then(|| egress.collect()),
        }
    }
}

/// No peers mean everybody; a peer that cannot be read allows nobody.
fn peers(found: Option<&[networking::NetworkPolicyPeer]>) -> Option<Vec<Peer>> {
    let found = found.filter(|found| !found.is_empty())?;
    let of_peer = |peer: &networking::NetworkPolicyPeer| match &peer.ip_block {
        Some(block) => Some(Peer::Block {
            cidr: block.cidr.parse().ok()?,
            except: block.except.iter().flatten().filter_map(|text| text.parse().ok()).collect(),
        }),
        None => Some(Peer::Pods {
            namespaces: peer.namespace_selector.clone().map(Selector),
            pods: peer.pod_selector.clone().map(Selector),
        }),
    };
    Some(found.iter().filter_map(of_peer).collect())
}

/// No ports mean all; a port that cannot be read allows none.
fn policy_ports(found: Option<&[networking::NetworkPolicyPort]>) -> Option<Vec<PolicyPort>> {
    let found = found.filter(|found| !found.is_empty())?;
    let of_port = |found: &networking::NetworkPolicyPort| {
        let protocol = Protocol::parse(found.protocol.as_deref())?;
        Some(match &found.port {
            None => PolicyPort::All { protocol },
            Some(IntOrString::String(name)) => PolicyPort::Named { protocol, name: name.clone() },
            Some(IntOrString::Int(first)) => {
                let first = port(*first)?;
                PolicyPort::Range { protocol, first, last: found.end_port.and_then(port).unwrap_or(first) }
            }
        })
    };
    Some(found.iter().filter_map(of_port).collect())
}
