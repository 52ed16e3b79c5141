//! What the gateway reads, indexed for the compiler.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Secret, Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};

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
}

/// What an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS.
    H2c,
}

/// The endpoints of one port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backend {
    /// `namespace/name:port`, as metrics and logs say it.
    pub label: Arc<str>,
    /// What the endpoints speak.
    pub protocol: Protocol,
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

impl BackendProblem {
    pub(crate) fn message(self, namespace: &str, name: &str) -> String {
        match self {
            Self::NoService => format!("the Service \"{namespace}/{name}\" does not exist"),
            Self::NoPort => format!("the Service \"{namespace}/{name}\" has no such port"),
            Self::External => format!("the Service \"{namespace}/{name}\" is an ExternalName, which is not supported"),
        }
    }
}

type Name<'a> = (&'a str, &'a str);

/// Route and service of a series of metrics.
pub(crate) type SeriesName = (Arc<str>, Arc<str>);

/// Finds objects by name, and collects what routes refer to.
pub(crate) struct Index<'a> {
    services: HashMap<Name<'a>, &'a Service>,
    slices: HashMap<Name<'a>, Vec<&'a EndpointSlice>>,
    secrets: HashMap<Name<'a>, &'a Arc<Secret>>,
    namespaces: HashMap<&'a str, &'a Namespace>,
    grants: &'a [Arc<kinds::ReferenceGrant>],
    backends: Vec<Backend>,
    backend_ids: HashMap<(String, String, String, bool), usize>,
    series: Vec<SeriesName>,
    series_ids: HashMap<SeriesName, usize>,
}

pub(crate) fn text(part: Option<&String>) -> &str {
    part.map_or("", String::as_str)
}

impl<'a> Index<'a> {
    pub(crate) fn new(inputs: &'a Inputs) -> Self {
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
            backends: Vec::new(),
            backend_ids: HashMap::new(),
            series: Vec::new(),
            series_ids: HashMap::new(),
        };
        // The first series is that of requests without a route.
        index.series("none", "none");
        index
    }

    pub(crate) fn into_parts(self) -> (Vec<Backend>, Vec<SeriesName>) {
        (self.backends, self.series)
    }

    pub(crate) fn secret(&self, namespace: &str, name: &str) -> Option<&'a Arc<Secret>> {
        self.secrets.get(&(namespace, name)).copied()
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

    /// Returns the index of a backend. `grpc` routes speak HTTP/2 whatever the Service says.
    pub(crate) fn backend(
        &mut self,
        namespace: &str,
        name: &str,
        port: PortName<'_>,
        grpc: bool,
    ) -> Result<usize, BackendProblem> {
        let service = *self.services.get(&(namespace, name)).ok_or(BackendProblem::NoService)?;
        let spec = service.spec.as_ref().ok_or(BackendProblem::NoPort)?;
        if spec.type_.as_deref() == Some("ExternalName") {
            return Err(BackendProblem::External);
        }
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
        let protocol = if grpc { Protocol::H2c } else { protocol_of(port) };
        let slices = self.slices.get(&(namespace, name)).map_or(&[][..], Vec::as_slice);
        let label = format!("{namespace}/{name}:{}", port.port).into();
        self.backends.push(Backend { label, protocol, endpoints: ready_endpoints(slices, port) });
        self.backend_ids.insert(key, self.backends.len() - 1);
        Ok(self.backends.len() - 1)
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
        Some("kubernetes.io/h2c" | "h2c" | "grpc" | "http2") => Protocol::H2c,
        Some(_) => Protocol::Http1,
        None if matches!(named, "grpc" | "h2c" | "http2") => Protocol::H2c,
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
