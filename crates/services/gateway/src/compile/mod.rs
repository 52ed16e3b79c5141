//! Turns all objects into one plan for the data plane, and into what their statuses should say. Pure.

mod gateways;
mod ingress;
mod policies;
mod routes;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

use crate::certificates::{CertificateCache, CertificateTable};
pub(crate) use gateways::{GATEWAY_LABEL, GatewayService};
pub(crate) use policies::{Policies, Transport};

use crate::inputs::{Backend, Collected, Index, Inputs, SeriesName};
use crate::kinds::ParentReference;
use crate::table::{Action, HostRule, ListenerTable, Route};

/// Names us in GatewayClasses, IngressClasses and statuses.
pub(crate) const CONTROLLER: &str = "maru.dev/gateway";

/// The port of Ingresses without TLS.
pub(crate) const HTTP_PORT: u16 = 80;
/// The port of Ingresses with TLS.
pub(crate) const HTTPS_PORT: u16 = 443;

/// What the compiler must know beside the objects.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Name of our IngressClass, which older Ingresses name in an annotation.
    pub ingress_class: String,
    /// What cannot be served, with the reason.
    pub port_problems: BTreeMap<Place, String>,
    /// Each Gateway gets an address of its own, beside the ones that all share.
    pub own_addresses: bool,
    /// Addresses of names outside the cluster.
    pub resolved: BTreeMap<String, Vec<IpAddr>>,
}

/// Where requests come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    /// A Gateway's own address; `None` for the ones that all share.
    pub address: Option<IpAddr>,
    /// The port that objects name; the data plane maps it to sockets.
    pub port: u16,
}

impl Place {
    /// A port that all Gateways and Ingresses share.
    pub(crate) fn shared(port: u16) -> Self {
        Self { address: None, port }
    }
}

/// What the data plane shall do.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Where requests come in.
    pub entrances: BTreeMap<Place, Entrance>,
    /// What routes refer to.
    pub backends: Vec<Backend>,
    /// Route and service of each series of metrics.
    pub series: Vec<SeriesName>,
    /// What statuses should say.
    pub statuses: Statuses,
    /// The Services that give Gateways their own addresses.
    pub services: Vec<GatewayService>,
    /// Names outside that addresses are needed of.
    pub wanted_names: BTreeSet<String>,
}

/// One port.
#[derive(Debug, Default)]
pub(crate) struct Entrance {
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Its routes.
    pub hosts: ListenerTable,
    /// Its certificates.
    pub certificates: CertificateTable,
}

/// A condition without its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    /// Its type.
    pub kind: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// Why, in one word.
    pub reason: &'static str,
    /// Why, for a person.
    pub message: String,
}

impl Condition {
    pub(crate) fn new(kind: &'static str, holds: bool, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, holds, reason, message: message.into() }
    }
}

/// What the statuses of all our objects should say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Statuses {
    /// By name.
    pub classes: BTreeMap<String, Vec<Condition>>,
    /// By namespace and name.
    pub gateways: BTreeMap<(String, String), GatewayStatus>,
    /// By namespace and name.
    pub http_routes: BTreeMap<(String, String), Vec<ParentStatus>>,
    /// By namespace and name.
    pub grpc_routes: BTreeMap<(String, String), Vec<ParentStatus>>,
    /// By namespace and name.
    pub backend_tls_policies: BTreeMap<(String, String), Vec<ParentStatus>>,
    /// Namespace and name of each Ingress that is ours.
    pub ingresses: Vec<(String, String)>,
}

/// What a Gateway's status should say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct GatewayStatus {
    /// Of the whole.
    pub conditions: Vec<Condition>,
    /// Of each listener, in order.
    pub listeners: Vec<ListenerStatus>,
    /// The Gateway's own address.
    pub address: Option<IpAddr>,
}

/// What a listener's status should say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ListenerStatus {
    /// The listener's name.
    pub name: String,
    /// The kinds of routes that it takes.
    pub kinds: Vec<&'static str>,
    /// How many routes are attached.
    pub attached: usize,
    /// Its conditions.
    pub conditions: Vec<Condition>,
}

/// What a route's status should say of one parent.
#[derive(Debug, PartialEq)]
pub(crate) struct ParentStatus {
    /// The parent, as the route names it.
    pub parent: ParentReference,
    /// The conditions.
    pub conditions: Vec<Condition>,
}

impl Eq for ParentStatus {}

/// What is being gathered for one port.
#[derive(Default)]
struct Gathered {
    tls: bool,
    /// By the hosts of their listener; where all share a port, under all hosts.
    routes: BTreeMap<HostRule, Vec<(HostRule, Route)>>,
    fallback: Option<Arc<Action>>,
    certificates: Vec<(HostRule, Arc<CertifiedKey>)>,
}

type Entrances = BTreeMap<Place, Gathered>;

/// Compiles all objects. What is broken is left out and said in the statuses.
#[must_use]
pub(crate) fn compile(inputs: &Inputs, facts: &Facts, cache: &mut CertificateCache) -> Plan {
    cache.keep(&inputs.secrets);
    let policies = Policies::resolve(inputs, cache);
    let mut index = Index::new(inputs, policies, &facts.resolved);
    let mut statuses = Statuses::default();
    let mut entrances = Entrances::new();
    entrances.entry(Place::shared(HTTPS_PORT)).or_default().tls = true;
    entrances.entry(Place::shared(HTTP_PORT)).or_default();

    let mut gateways = gateways::collect(inputs, facts, &index, cache, &mut entrances, &mut statuses);
    let reached = routes::attach(inputs, &mut index, &mut gateways, &mut entrances, &mut statuses);
    let services = gateways::report(gateways, &mut statuses);
    ingress::add(inputs, facts, &mut index, cache, &mut entrances, &mut statuses);

    let entrances = entrances
        .into_iter()
        .map(|(place, gathered)| {
            let entrance = Entrance {
                tls: gathered.tls,
                hosts: ListenerTable::build(gathered.routes, gathered.fallback),
                certificates: CertificateTable::build(gathered.certificates),
            };
            (place, entrance)
        })
        .collect();
    let Collected { policies, wanted_names, backends, series } = index.into_parts();
    statuses.backend_tls_policies = policies.report(&reached);
    Plan { entrances, backends, series, statuses, services, wanted_names }
}
