//! Turns all objects into one plan for the data plane, and into what their statuses should say. Pure.

mod gateways;
mod ingress;
mod routes;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

use crate::certificates::{CertificateCache, CertificateTable};
use crate::inputs::{Backend, Index, Inputs, SeriesName};
use crate::kinds::ParentReference;
use crate::table::{Action, HostRule, HostTable, Route};

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
    /// Ports that cannot be served, with the reason.
    pub port_problems: BTreeMap<u16, String>,
}

/// What the data plane shall do.
#[derive(Debug)]
pub(crate) struct Plan {
    /// By the port that objects name; the data plane maps it to sockets.
    pub entrances: BTreeMap<u16, Entrance>,
    /// What routes refer to.
    pub backends: Vec<Backend>,
    /// Route and service of each series of metrics.
    pub series: Vec<SeriesName>,
    /// What statuses should say.
    pub statuses: Statuses,
}

/// One port.
#[derive(Debug, Default)]
pub(crate) struct Entrance {
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Its routes.
    pub hosts: HostTable,
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
    routes: Vec<(HostRule, Route)>,
    fallback: Option<Arc<Action>>,
    certificates: Vec<(HostRule, Arc<CertifiedKey>)>,
}

type Entrances = BTreeMap<u16, Gathered>;

/// Compiles all objects. What is broken is left out and said in the statuses.
#[must_use]
pub(crate) fn compile(inputs: &Inputs, facts: &Facts, cache: &mut CertificateCache) -> Plan {
    cache.keep(&inputs.secrets);
    let mut index = Index::new(inputs);
    let mut statuses = Statuses::default();
    let mut entrances = Entrances::new();
    entrances.entry(HTTPS_PORT).or_default().tls = true;
    entrances.entry(HTTP_PORT).or_default();

    let mut gateways = gateways::collect(inputs, facts, &index, cache, &mut entrances, &mut statuses);
    routes::attach(inputs, &mut index, &mut gateways, &mut entrances, &mut statuses);
    gateways::report(gateways, &mut statuses);
    ingress::add(inputs, facts, &mut index, cache, &mut entrances, &mut statuses);

    let entrances = entrances
        .into_iter()
        .map(|(port, gathered)| {
            let entrance = Entrance {
                tls: gathered.tls,
                hosts: HostTable::build(gathered.routes, gathered.fallback),
                certificates: CertificateTable::build(gathered.certificates),
            };
            (port, entrance)
        })
        .collect();
    let (backends, series) = index.into_parts();
    Plan { entrances, backends, series, statuses }
}
