//! What the gateway reads, indexed for the compiler.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};

use crate::compile::{GATEWAY_LABEL, Policies, Transport};
use crate::kinds;

/// All objects that the configuration is made from.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    pub ingresses: Vec<Arc<Ingress>>,
    pub ingress_classes: Vec<Arc<IngressClass>>,
    pub services: Vec<Arc<Service>>,
    pub endpoint_slices: Vec<Arc<EndpointSlice>>,
    pub secrets: Vec<Arc<Secret>>,
    pub namespaces: Vec<Arc<Namespace>>,
    pub gateway_classes: Vec<Arc<kinds::GatewayClass>>,
    pub gateways: Vec<Arc<kinds::Gateway>>,
    pub http_routes: Vec<Arc<kinds::HttpRoute>>,
    pub grpc_routes: Vec<Arc<kinds::GrpcRoute>>,
    pub reference_grants: Vec<Arc<kinds::ReferenceGrant>>,
    pub backend_tls_policies: Vec<Arc<kinds::BackendTlsPolicy>>,
    /// Those that hold authorities.
    pub config_maps: Vec<Arc<ConfigMap>>,
}

/// What an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, known beforehand.
    Http2,
}

/// The endpoints of one port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backend {
    /// `namespace/name:port`, as metrics and logs say it.
    pub label: Arc<str>,
    /// What the endpoints speak.
    pub protocol: Protocol,
    /// How they are reached.
    pub transport: Transport,
    /// The ready endpoints, sorted.
    pub endpoints: Vec<SocketAddr>,
}

/// Which port of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortName<'a> {
    Number(u16),
    Name(&'a str),
}

/// A reference to a backend that cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BackendProblem {
    NoService,
    NoPort,
    External,
}

/// Who refers to a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Referrer {
    /// An Ingress: Services that stand for a name outside are followed.
    Ingress,
    /// An HTTPRoute.
    HttpRoute,
    /// A GRPCRoute: speaks HTTP/2 whatever the Service says.
    GrpcRoute,
}

impl BackendProblem {
    pub(crate) fn message(self, namespace: &str, name: &str) -> String {
        match self {
            Self::NoService => format!("the Service \"{namespace}/{name}\" does not exist"),
            Self::NoPort => format!("the Service \"{namespace}/{name}\" has no such port"),
            // As the Gateway API advises, because of CVE-2021-25740.
            Self::External => {
                format!("the Service \"{namespace}/{name}\" is an ExternalName, which only Ingresses can refer to")
            }
        }
    }
}

type Name<'a> = (&'a str, &'a str);

/// Route and service of a series of metrics.
pub(crate) type SeriesName = (Arc<str>, Arc<str>);

/// What routes refer to.
pub(crate) struct Collected {
    pub policies: Policies,
    /// Names outside that addresses are needed of.
    pub wanted_names: BTreeSet<String>,
    pub backends: Vec<Backend>,
    pub series: Vec<SeriesName>,
}

/// Finds objects by name, and collects what routes refer to.
pub(crate) struct Index<'a> {
    services: HashMap<Name<'a>, &'a Service>,
    slices: HashMap<Name<'a>, Vec<&'a EndpointSlice>>,
    secrets: HashMap<Name<'a>, &'a Arc<Secret>>,
    namespaces: HashMap<&'a str, &'a Namespace>,
    grants: &'a [Arc<kinds::ReferenceGrant>],
    policies: Policies,
    /// Addresses of names outside, as far as they are known.
    resolved: &'a BTreeMap<String, Vec<IpAddr>>,
    wanted_names: BTreeSet<String>,
    backends: Vec<Backend>,
    backend_ids: HashMap<(String, String, String, bool), usize>,
    series: Vec<SeriesName>,
    series_ids: HashMap<SeriesName, usize>,
}

pub(crate) fn text(part: Option<&String>) -> &str {
    part.map_or("", String::as_str)
}

impl<'a> Index<'a> {
    pub(crate) fn new(inputs: &'a Inputs, policies: Policies, resolved: &'a BTreeMap<String, Vec<IpAddr>>) -> Self {
        let mut slices: HashMap<Name<'a>, Vec<&'a EndpointSlice>> = HashMap::new();
        for slice in &inputs.endpoint_slices {
            let labels = slice.metadata.labels.as_ref();
            if let Some(service) = labels.and_then(|labels| labels.get("kubernetes.io/service-name")) {
                slices.entry((text(slice.metadata.namespace.as_ref()), service)).or_default().push(slice);
            }
        }
        let mut index = Self {
            services: inputs
                .services
                .iter()
                .map(|one| ((text(one.metadata.namespace.as_ref()), text(one.metadata.name.as_ref())), &**one))
                .collect(),
            slices,
            secrets: inputs
                .secrets
                .iter()
                .map(|one| ((text(one.metadata.namespace.as_ref()), text(one.metadata.name.as_ref())), one))
                .collect(),
            namespaces: inputs.namespaces.iter().map(|one| (text(one.metadata.name.as_ref()), &**one)).collect(),
            grants: &inputs.reference_grants,
            policies,
            resolved,
            wanted_names: BTreeSet::new(),
            backends: Vec::new(),
            backend_ids: HashMap::new(),
            series: Vec::new(),
            series_ids: HashMap::new(),
        };
        // The first series is that of requests without a route.
        index.series("none", "none");
        index
    }

    pub(crate) fn into_parts(self) -> Collected {
        let Self { policies, wanted_names, backends, series, .. } = self;
        Collected { policies, wanted_names, backends, series }
    }

    pub(crate) fn secret(&self, namespace: &str, name: &str) -> Option<&'a Arc<Secret>> {
        self.secrets.get(&(namespace, name)).copied()
    }

    /// Returns the address of the Service that belongs to a Gateway, once it has one.
    pub(crate) fn address_for_gateway(&self, namespace: &str, name: &str, gateway: &str) -> Option<IpAddr> {
        let service = self.services.get(&(namespace, name))?;
        let ours = service.metadata.labels.as_ref()?.get(GATEWAY_LABEL)? == gateway;
        service.spec.as_ref()?.cluster_ip.as_ref().filter(|_| ours)?.parse().ok()
    }

    pub(crate) fn labels_of_namespace(&self, name: &str) -> Option<&'a BTreeMap<String, String>> {
        self.namespaces.get(name).and_then(|namespace| namespace.metadata.labels.as_ref())
    }

    /// Returns the index of the series of a route and a service.
    pub(crate) fn series(&mut self, route: &str, service: &str) -> usize {
        let key: SeriesName = (route.into(), service.into());
        *self.series_ids.entry(key.clone()).or_insert_with(|| {
            self.series.push(key);
            self.series.len() - 1
        })
    }

    pub(crate) fn label_of(&self, backend: usize) -> Arc<str> {
        Arc::clone(&self.backends[backend].label)
    }

    /// Returns the index of a backend.
    pub(crate) fn backend(
        &mut self,
        namespace: &str,
        name: &str,
        port: PortName<'_>,
        referrer: Referrer,
    ) -> Result<usize, BackendProblem> {
        let service = *self.services.get(&(namespace, name)).ok_or(BackendProblem::NoService)?;
        let spec = service.spec.as_ref().ok_or(BackendProblem::NoPort)?;
        if spec.type_.as_deref() == Some("ExternalName") {
            return match (referrer, spec.external_name.as_deref()) {
                (Referrer::Ingress, Some(host)) => self.external((namespace, name), host, spec.ports.as_deref(), port),
                _ => Err(BackendProblem::External),
            };
        }
        let grpc = referrer == Referrer::GrpcRoute;
        let ports = spec.ports.as_deref().unwrap_or_default();
        let port = ports
            .iter()
            .find(|one| match port {
                PortName::Number(number) => one.port == i32::from(number),
                PortName::Name(name) => one.name.as_deref() == Some(name),
            })
            .ok_or(BackendProblem::NoPort)?;
        let key = (namespace.to_owned(), name.to_owned(), port.port.to_string(), grpc);
        if let Some(known) = self.backend_ids.get(&key) {
            return Ok(*known);
        }
        let protocol = if grpc { Protocol::Http2 } else { protocol_of(port) };
        let slices = self.slices.get(&(namespace, name)).map_or(&[][..], Vec::as_slice);
        let label = format!("{namespace}/{name}:{}", port.port).into();
        let transport = self.policies.transport(namespace, name, port.name.as_deref().unwrap_or_default());
        Ok(self.add(key, Backend { label, protocol, transport, endpoints: ready_endpoints(slices, port) }))
    }

    fn add(&mut self, key: (String, String, String, bool), backend: Backend) -> usize {
        self.backends.push(backend);
        self.backend_ids.insert(key, self.backends.len() - 1);
        self.backends.len() - 1
    }

    /// Returns the index of a backend outside. Its Service needs no ports.
    fn external(
        &mut self,
        (namespace, name): Name<'_>,
        host: &str,
        ports: Option<&[ServicePort]>,
        port: PortName<'_>,
    ) -> Result<usize, BackendProblem> {
        let named = |one: &&ServicePort| match port {
            PortName::Number(number) => one.port == i32::from(number),
            PortName::Name(name) => one.name.as_deref() == Some(name),
        };
        let found = ports.unwrap_or_default().iter().find(named);
        let number = match (found, port) {
            (Some(found), _) => u16::try_from(found.port).map_err(|_| BackendProblem::NoPort)?,
            (None, PortName::Number(number)) => number,
            (None, PortName::Name(_)) => return Err(BackendProblem::NoPort),
        };
        let key = (namespace.to_owned(), name.to_owned(), number.to_string(), false);
        if let Some(known) = self.backend_ids.get(&key) {
            return Ok(*known);
        }
        self.wanted_names.insert(host.to_owned());
        let addresses = self.resolved.get(host).map_or(&[][..], Vec::as_slice);
        let port = found.and_then(|found| found.name.as_deref()).unwrap_or_default();
        let backend = Backend {
            label: format!("{namespace}/{name}:{number}").into(),
            protocol: found.map_or(Protocol::Http1, protocol_of),
            transport: self.policies.transport(namespace, name, port),
            endpoints: addresses.iter().map(|address| SocketAddr::new(*address, number)).collect(),
        };
        Ok(self.add(key, backend))
    }

    /// Tells whether objects of one namespace may name an object of another one.
    pub(crate) fn is_granted(
        &self,
        from: (&str, &str, &str),
        to: (&str, &str),
        to_namespace: &str,
        to_name: &str,
    ) -> bool {
        let (from_group, from_kind, from_namespace) = from;
        let (to_group, to_kind) = to;
        from_namespace == to_namespace
            || self.grants.iter().filter(|grant| text(grant.metadata.namespace.as_ref()) == to_namespace).any(|grant| {
                grant
                    .spec
                    .from
                    .iter()
                    .any(|one| one.group == from_group && one.kind == from_kind && one.namespace == from_namespace)
                    && grant.spec.to.iter().any(|one| {
                        one.group == to_group
                            && one.kind == to_kind
                            && one.name.as_deref().is_none_or(|name| name.is_empty() || name == to_name)
                    })
            })
    }
}

/// What a port speaks: its `appProtocol`, else the beginning of its name.
fn protocol_of(port: &ServicePort) -> Protocol {
    let named = port.name.as_deref().unwrap_or_default();
    let named = named.split('-').next().unwrap_or_default();
    match port.app_protocol.as_deref() {
        Some("kubernetes.io/h2c" | "h2c" | "grpc" | "http2") => Protocol::Http2,
        Some(_) => Protocol::Http1,
        None if matches!(named, "grpc" | "h2c" | "http2") => Protocol::Http2,
        None => Protocol::Http1,
    }
}

fn ready_endpoints(slices: &[&EndpointSlice], service_port: &ServicePort) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for slice in slices {
        let ports = slice.ports.as_deref().unwrap_or_default();
        let wanted = service_port.name.as_deref().unwrap_or_default();
        let port = ports.iter().find(|port| port.name.as_deref().unwrap_or_default() == wanted);
        let Some(port) = port.and_then(|port| port.port).and_then(|port| u16::try_from(port).ok()) else { continue };
        for endpoint in slice.endpoints.as_deref().unwrap_or_default() {
            if endpoint.conditions.as_ref().and_then(|conditions| conditions.ready) == Some(false) {
                continue;
            }
            // All addresses of one endpoint are the same endpoint.
            let address = endpoint.addresses.first().and_then(|address| address.parse::<IpAddr>().ok());
            found.extend(address.map(|address| SocketAddr::new(address, port)));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}
