//! GatewayClasses, Gateways and their listeners.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use kube::core::{Selector, SelectorExt as _};

use super::{
    CONTROLLER, Condition, Entrances, Facts, GatewayStatus, HTTP_PORT, HTTPS_PORT, ListenerStatus, Place, Statuses,
};
use crate::certificates::{CertificateCache, Parsed};
use crate::inputs::{Index, Inputs, text};
use crate::kinds::{GROUP, Gateway, Listener};
use crate::table::HostRule;

/// A listener of one of our Gateways.
pub(super) struct OpenListener {
    pub name: String,
    pub port: u16,
    pub host: HostRule,
    pub kinds: Vec<&'static str>,
    /// Which namespaces' routes it takes.
    pub namespaces: Namespaces,
    /// Takes routes into the data plane.
    pub serves: bool,
    /// Where it is served, and for which hosts routes there are kept apart.
    pub places: Vec<(Place, HostRule)>,
    pub attached: usize,
    conditions: Vec<Condition>,
}

pub(super) enum Namespaces {
    Same,
    All,
    Selected(Option<Selector>),
}

/// One of our Gateways.
pub(super) struct OpenGateway {
    pub namespace: String,
    pub name: String,
    pub listeners: Vec<OpenListener>,
    problem: Option<(&'static str, String)>,
    own: Own,
    service: Option<GatewayService>,
}

/// A Gateway's own address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    /// Gateways have none here.
    Off,
    /// It is to come.
    Awaited,
    /// It is there.
    Assigned(IpAddr),
}

/// The Service whose address is a Gateway's own (GEP-1762).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GatewayService {
    pub namespace: String,
    pub name: String,
    pub gateway: String,
    pub gateway_uid: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// Of the listeners, with their names.
    pub ports: BTreeSet<u16>,
}

/// Names the Gateway that a Service belongs to.
pub(crate) const GATEWAY_LABEL: &str = "gateway.networking.k8s.io/gateway-name";
/// Bytes of a Service's name.
const SERVICE_NAME_MAX: usize = 63;

/// Returns the name of the Service that belongs to a Gateway.
pub(crate) fn service_name(gateway: &str, class: &str) -> String {
    let name = format!("{gateway}-{class}").replace('.', "-");
    if name.len() <= SERVICE_NAME_MAX && name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return name;
    }
    let hash = maru_ids::short_hash(&format!("{gateway}/{class}"), 10);
    let kept: String = name.chars().take(SERVICE_NAME_MAX - "gateway--".len() - hash.len()).collect();
    format!("gateway-{}-{hash}", kept.trim_end_matches('-'))
}

fn service_of(gateway: &Gateway, namespace: &str, name: &str) -> GatewayService {
    let infrastructure = gateway.spec.infrastructure.clone().unwrap_or_default();
    let mut labels = infrastructure.labels;
    labels.insert(GATEWAY_LABEL.to_owned(), name.to_owned());
    GatewayService {
        namespace: namespace.to_owned(),
        name: service_name(name, &gateway.spec.gateway_class_name),
        gateway: name.to_owned(),
        gateway_uid: text(gateway.metadata.uid.as_ref()).to_owned(),
        labels,
        annotations: infrastructure.annotations,
        ports: gateway.spec.listeners.iter().map(|listener| listener.port).collect(),
    }
}

impl OpenListener {
    /// Tells whether routes of a namespace may attach.
    pub(super) fn allows(&self, gateway: &str, namespace: &str, index: &Index<'_>) -> bool {
        match &self.namespaces {
            Namespaces::Same => gateway == namespace,
            Namespaces::All => true,
            Namespaces::Selected(selector) => {
                let none = BTreeMap::new();
                let labels = index.labels_of_namespace(namespace).unwrap_or(&none);
                selector.as_ref().is_some_and(|selector| selector.matches(labels))
            }
        }
    }
}

pub(super) fn collect(
    inputs: &Inputs,
    facts: &Facts,
    index: &Index<'_>,
    cache: &mut CertificateCache,
    entrances: &mut Entrances,
    statuses: &mut Statuses,
) -> Vec<OpenGateway> {
    let mut classes = Vec::new();
    for class in inputs.gateway_classes.iter().filter(|class| class.spec.controller_name == CONTROLLER) {
        let name = text(class.metadata.name.as_ref()).to_owned();
        let condition = match class.spec.parameters_ref {
            None => {
                classes.push(name.clone());
                Condition::new("Accepted", true, "Accepted", "the class is served by Maru")
            }
            Some(_) => Condition::new("Accepted", false, "InvalidParameters", "parametersRef is not supported"),
        };
        statuses.classes.insert(name, vec![condition]);
    }
    let mut gateways: Vec<&Arc<Gateway>> =
        inputs.gateways.iter().filter(|gateway| classes.contains(&gateway.spec.gateway_class_name)).collect();
    // The oldest keeps a contested port.
    gateways.sort_by_key(|gateway| {
        let created = gateway.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second());
        (created, gateway.metadata.namespace.clone(), gateway.metadata.name.clone())
    });
    let mut taken = Taken::new();
    gateways.into_iter().map(|gateway| open(gateway, facts, index, cache, entrances, &mut taken)).collect()
}

/// Protocol of each place, and the hosts that are taken on it by which Gateway.
type Taken = BTreeMap<Place, (bool, Vec<(String, HostRule)>)>;

fn open(
    gateway: &Gateway,
    facts: &Facts,
    index: &Index<'_>,
    cache: &mut CertificateCache,
    entrances: &mut Entrances,
    taken: &mut Taken,
) -> OpenGateway {
    let namespace = text(gateway.metadata.namespace.as_ref()).to_owned();
    let name = text(gateway.metadata.name.as_ref()).to_owned();
    let parameters = gateway.spec.infrastructure.as_ref().and_then(|one| one.parameters_ref.as_ref());
    let problem = parameters.map(|_| ("InvalidParameters", "infrastructure.parametersRef is not supported".to_owned()));
    let owner = format!("{namespace}/{name}");
    let service = facts.own_addresses.then(|| service_of(gateway, &namespace, &name));
    let own = match &service {
        None => Own::Off,
        Some(service) => {
            index.address_for_gateway(&namespace, &service.name, &name).map_or(Own::Awaited, Own::Assigned)
        }
    };
    let mut listeners = Vec::new();
    let mut own_taken = Taken::new();
    for listener in &gateway.spec.listeners {
        let mut opened = OpenListener {
            name: listener.name.clone(),
            port: listener.port,
            host: HostRule::parse(listener.hostname.as_deref(), false),
            kinds: Vec::new(),
            namespaces: namespaces_of(listener),
            serves: false,
            places: Vec::new(),
            attached: 0,
            conditions: Vec::new(),
        };
        let (refs, certificates) = resolve(listener, &namespace, index, cache, &mut opened);
        let shared = Place::shared(listener.port);
        let on_shared = accept(listener, shared, facts, &owner, &opened.host, taken);
        let accepted = match own {
            Own::Off => on_shared.clone(),
            // What others do with the shared port is no matter at its own address.
            Own::Awaited => accept(listener, shared, &Facts::default(), &owner, &opened.host, &mut own_taken),
            Own::Assigned(address) => {
                let place = Place { address: Some(address), port: listener.port };
                opened.places.push((place, opened.host.clone()));
                accept(listener, place, facts, &owner, &opened.host, &mut own_taken)
            }
        };
        if on_shared.holds {
            // Gateways share it: their listeners' routes are merged.
            opened.places.push((shared, HostRule::Any));
        }
        opened.serves = problem.is_none() && accepted.holds && refs.holds;
        if opened.serves {
            for (place, _) in &opened.places {
                let entrance = entrances.entry(*place).or_default();
                entrance.tls = listener.protocol == "HTTPS";
                let found = certificates.iter().flatten();
                entrance.certificates.extend(found.map(|one| (opened.host.clone(), Arc::clone(one))));
            }
        }
        let programmed = if own == Own::Awaited {
            Condition::new("Programmed", false, "Pending", "the Gateway has no address yet")
        } else if opened.serves {
            Condition::new("Programmed", true, "Programmed", "the listener is served")
        } else {
            Condition::new("Programmed", false, "Invalid", "the listener is not served; see its other conditions")
        };
        let conflicted = matches!(accepted.reason, "ProtocolConflict" | "HostnameConflict");
        opened.conditions.push(if conflicted {
            Condition::new("Conflicted", true, accepted.reason, accepted.message.clone())
        } else {
            Condition::new("Conflicted", false, "NoConflicts", "")
        });
        opened.conditions.extend([accepted, programmed, refs]);
        listeners.push(opened);
    }
    OpenGateway { namespace, name, listeners, problem, own, service }
}

fn namespaces_of(listener: &Listener) -> Namespaces {
    let namespaces = listener.allowed_routes.as_ref().and_then(|allowed| allowed.namespaces.as_ref());
    match namespaces.and_then(|namespaces| namespaces.from.as_deref()) {
        None | Some("Same") => Namespaces::Same,
        Some("All") => Namespaces::All,
        Some(_) => {
            let selector = namespaces.and_then(|namespaces| namespaces.selector.clone());
            Namespaces::Selected(selector.and_then(|selector| Selector::try_from(selector).ok()))
        }
    }
}

fn accept(
    listener: &Listener,
    place: Place,
    facts: &Facts,
    owner: &str,
    host: &HostRule,
    taken: &mut Taken,
) -> Condition {
    let refuse = |reason, message: String| Condition::new("Accepted", false, reason, message);
    let tls = match listener.protocol.as_str() {
        "HTTP" => false,
        "HTTPS" => true,
        other => return refuse("UnsupportedProtocol", format!("the protocol \"{other}\" is not supported")),
    };
    if let Some(problem) = facts.port_problems.get(&place) {
        return refuse("PortUnavailable", problem.clone());
    }
    // The ports of Ingresses have their protocol.
    let fixed = match (place.address, listener.port) {
        (None, HTTP_PORT) => Some(false),
        (None, HTTPS_PORT) => Some(true),
        _ => None,
    };
    let (protocol, hosts) = taken.entry(place).or_insert_with(|| (fixed.unwrap_or(tls), Vec::new()));
    if *protocol != tls {
        let message = format!("port {} is served with the other of HTTP and HTTPS", listener.port);
        return refuse("ProtocolConflict", message);
    }
    // Different Gateways share a port: their routes are merged.
    if hosts.iter().any(|(other, taken)| other == owner && taken == host) {
        return refuse("HostnameConflict", format!("another listener has port {} for the same hosts", listener.port));
    }
    hosts.push((owner.to_owned(), host.clone()));
    Condition::new("Accepted", true, "Accepted", "the listener is accepted")
}

/// Checks what a listener refers to, and which kinds of routes it takes.
fn resolve(
    listener: &Listener,
    namespace: &str,
    index: &Index<'_>,
    cache: &mut CertificateCache,
    opened: &mut OpenListener,
) -> (Condition, Vec<Option<Arc<rustls::sign::CertifiedKey>>>) {
    let refuse = |reason, message: String| Condition::new("ResolvedRefs", false, reason, message);
    let mut condition = Condition::new("ResolvedRefs", true, "ResolvedRefs", "all references are resolved");
    let supported: &[&'static str] =
        if matches!(listener.protocol.as_str(), "HTTP" | "HTTPS") { &["HTTPRoute", "GRPCRoute"] } else { &[] };
    let wanted = listener.allowed_routes.as_ref().map_or(&[][..], |allowed| allowed.kinds.as_slice());
    if wanted.is_empty() {
        opened.kinds = supported.to_vec();
    }
    for kind in wanted {
        let ours = kind.group.as_deref().unwrap_or(GROUP) == GROUP;
        match supported.iter().find(|supported| ours && **supported == kind.kind) {
            Some(kind) => opened.kinds.push(kind),
            None => {
                condition = refuse("InvalidRouteKinds", format!("routes of kind \"{}\" are not supported", kind.kind))
            }
        }
    }
    if listener.protocol != "HTTPS" {
        return (condition, Vec::new());
    }
    let tls = listener.tls.clone().unwrap_or_default();
    if tls.mode.as_deref().is_some_and(|mode| mode != "Terminate") {
        return (refuse("InvalidCertificateRef", "only the TLS mode Terminate is supported".to_owned()), Vec::new());
    }
    let mut certificates = Vec::new();
    for reference in &tls.certificate_refs {
        match certificate(reference, namespace, index, cache) {
            Ok(found) => certificates.push(Some(found)),
            Err((reason, message)) => condition = refuse(reason, message),
        }
    }
    if tls.certificate_refs.is_empty() {
        condition = refuse("InvalidCertificateRef", "an HTTPS listener needs certificateRefs".to_owned());
    }
    (condition, certificates)
}

fn certificate(
    reference: &crate::kinds::ObjectReference,
    namespace: &str,
    index: &Index<'_>,
    cache: &mut CertificateCache,
) -> Result<Arc<rustls::sign::CertifiedKey>, (&'static str, String)> {
    let invalid = |message: String| ("InvalidCertificateRef", message);
    let name = &reference.name;
    if reference.group.as_deref().is_some_and(|group| !group.is_empty())
        || reference.kind.as_deref().is_some_and(|kind| kind != "Secret")
    {
        return Err(invalid(format!("the reference \"{name}\" is not to a Secret")));
    }
    let of = reference.namespace.as_deref().unwrap_or(namespace);
    if !index.is_granted((GROUP, "Gateway", namespace), ("", "Secret"), of, name) {
        return Err(("RefNotPermitted", format!("no ReferenceGrant lets this Gateway use the Secret \"{of}/{name}\"")));
    }
    let secret = index.secret(of, name).ok_or_else(|| invalid(format!("the Secret \"{of}/{name}\" does not exist")))?;
    let parsed: Parsed = cache.parse(secret);
    parsed.map_err(|problem| invalid(format!("{problem} (Secret \"{of}/{name}\")")))
}

/// Writes down what was found, once all routes are attached.
/// Returns the Services that they need.
pub(super) fn report(gateways: Vec<OpenGateway>, statuses: &mut Statuses) -> Vec<GatewayService> {
    let mut services = Vec::new();
    for gateway in gateways {
        let serving = gateway.listeners.iter().filter(|listener| listener.serves).count();
        let all = gateway.listeners.len();
        let accepted = match (&gateway.problem, serving == all) {
            (Some((reason, message)), _) => Condition::new("Accepted", false, reason, message.clone()),
            (None, true) => Condition::new("Accepted", true, "Accepted", "the Gateway is accepted"),
            (None, false) => {
                let message = format!("{} of {all} listeners cannot be served", all - serving);
                Condition::new("Accepted", serving > 0, "ListenersNotValid", message)
            }
        };
        let programmed = if gateway.own == Own::Awaited {
            Condition::new("Programmed", false, "AddressNotAssigned", "the Gateway has no address yet")
        } else if accepted.holds && serving > 0 {
            Condition::new("Programmed", true, "Programmed", "the Gateway is served")
        } else {
            Condition::new("Programmed", false, "Invalid", "no listener is served")
        };
        let listeners = gateway.listeners.into_iter().map(|listener| ListenerStatus {
            name: listener.name,
            kinds: listener.kinds,
            attached: listener.attached,
            conditions: listener.conditions,
        });
        let address = match gateway.own {
            Own::Assigned(address) => Some(address),
            Own::Off | Own::Awaited => None,
        };
        let conditions = vec![accepted, programmed];
        let status = GatewayStatus { conditions, listeners: listeners.collect(), address };
        statuses.gateways.insert((gateway.namespace, gateway.name), status);
        services.extend(gateway.service);
    }
    services
}
