//! HTTPRoutes and GRPCRoutes: to which listeners they attach.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::ObjectMeta;

use super::gateways::OpenGateway;
use super::rules::{self, Compiled, Compiler};
use super::{Condition, Entrances, ParentStatus, Statuses};
use crate::inputs::{Index, Inputs, text};
use crate::kinds::{GROUP, ParentReference};
use crate::table::{HostRule, Origin, Route};

/// Through which Gateways each Service is reached; all by namespace and name.
pub(super) type Reached = BTreeMap<(String, String), BTreeSet<(String, String)>>;

/// One route of either kind.
struct Attaching<'a> {
    kind: &'static str,
    metadata: &'a ObjectMeta,
    parents: &'a [ParentReference],
    hosts: Vec<HostRule>,
    compiled: Compiled,
}

pub(super) fn attach(
    inputs: &Inputs,
    index: &mut Index<'_>,
    gateways: &mut [OpenGateway],
    entrances: &mut Entrances,
    statuses: &mut Statuses,
) -> Reached {
    let mut reached = Reached::new();
    for route in &inputs.http_routes {
        if !has_our_parent(&route.metadata, &route.spec.parent_refs, gateways) {
            continue;
        }
        let compiled = rules::http(&mut Compiler::new("HTTPRoute", &route.metadata, index), &route.spec.rules);
        let attaching = Attaching {
            kind: "HTTPRoute",
            metadata: &route.metadata,
            parents: &route.spec.parent_refs,
            hosts: hosts_of(&route.spec.hostnames),
            compiled,
        };
        let status = attach_one(&attaching, index, gateways, entrances, &mut reached);
        statuses.http_routes.insert(name_of(&route.metadata), status);
    }
    for route in &inputs.grpc_routes {
        if !has_our_parent(&route.metadata, &route.spec.parent_refs, gateways) {
            continue;
        }
        let compiled = rules::grpc(&mut Compiler::new("GRPCRoute", &route.metadata, index), &route.spec.rules);
        let attaching = Attaching {
            kind: "GRPCRoute",
            metadata: &route.metadata,
            parents: &route.spec.parent_refs,
            hosts: hosts_of(&route.spec.hostnames),
            compiled,
        };
        let status = attach_one(&attaching, index, gateways, entrances, &mut reached);
        statuses.grpc_routes.insert(name_of(&route.metadata), status);
    }
    reached
}

fn name_of(metadata: &ObjectMeta) -> (String, String) {
    (text(metadata.namespace.as_ref()).to_owned(), text(metadata.name.as_ref()).to_owned())
}

fn hosts_of(hostnames: &[String]) -> Vec<HostRule> {
    if hostnames.is_empty() {
        return vec![HostRule::Any];
    }
    hostnames.iter().map(|host| HostRule::parse(Some(host), false)).collect()
}

fn is_parent(metadata: &ObjectMeta, parent: &ParentReference, gateway: &OpenGateway) -> bool {
    parent.group.as_deref().unwrap_or(GROUP) == GROUP
        && parent.kind.as_deref().unwrap_or("Gateway") == "Gateway"
        && parent.name == gateway.name
        && parent.namespace.as_deref().unwrap_or(text(metadata.namespace.as_ref())) == gateway.namespace
}

fn has_our_parent(metadata: &ObjectMeta, parents: &[ParentReference], gateways: &[OpenGateway]) -> bool {
    parents.iter().any(|parent| gateways.iter().any(|gateway| is_parent(metadata, parent, gateway)))
}

fn attach_one(
    route: &Attaching<'_>,
    index: &Index<'_>,
    gateways: &mut [OpenGateway],
    entrances: &mut Entrances,
    reached: &mut Reached,
) -> Vec<ParentStatus> {
    let mut statuses = Vec::new();
    for parent in route.parents {
        let gateway = gateways.iter_mut().find(|gateway| is_parent(route.metadata, parent, gateway));
        let Some(gateway) = gateway else { continue };
        for service in &route.compiled.services {
            let gateway = (gateway.namespace.clone(), gateway.name.clone());
            reached.entry(service.clone()).or_default().insert(gateway);
        }
        let accepted = match (&route.compiled.problem, attach_to(route, parent, index, gateway, entrances)) {
            (_, Err((reason, message))) => Condition::new("Accepted", false, reason, message),
            (Some(message), Ok(())) => Condition::new("Accepted", false, "UnsupportedValue", message.clone()),
            (None, Ok(())) => Condition::new("Accepted", true, "Accepted", "the route is attached"),
        };
        let resolved = match &route.compiled.broken_reference {
            Some((reason, message)) => Condition::new("ResolvedRefs", false, reason, message.clone()),
            None => Condition::new("ResolvedRefs", true, "ResolvedRefs", "all references are resolved"),
        };
        statuses.push(ParentStatus { parent: parent.clone(), conditions: vec![accepted, resolved] });
    }
    statuses
}

fn attach_to(
    route: &Attaching<'_>,
    parent: &ParentReference,
    index: &Index<'_>,
    gateway: &mut OpenGateway,
    entrances: &mut Entrances,
) -> Result<(), (&'static str, String)> {
    let route_namespace = text(route.metadata.namespace.as_ref());
    let OpenGateway { namespace, listeners, .. } = gateway;
    let mut progress = 0;
    for listener in listeners {
        let named = parent.section_name.as_ref().is_none_or(|section| *section == listener.name)
            && parent.port.is_none_or(|port| port == listener.port);
        if !named {
            continue;
        }
        progress = progress.max(1);
        if !listener.kinds.contains(&route.kind) || !listener.allows(namespace, route_namespace, index) {
            continue;
        }
        progress = progress.max(2);
        let hosts: Vec<HostRule> = route.hosts.iter().filter_map(|host| host.intersect(&listener.host)).collect();
        if hosts.is_empty() {
            continue;
        }
        progress = 3;
        listener.attached += 1;
        if !listener.serves {
            continue;
        }
        for (place, of_listener) in &listener.places {
            let routes = entrances.entry(*place).or_default().routes.entry(of_listener.clone()).or_default();
            for host in &hosts {
                routes.extend(entries(route).map(|route| (host.clone(), route)));
            }
        }
    }
    match progress {
        0 => Err(("NoMatchingParent", "the Gateway has no listener of that name and port".to_owned())),
        1 => Err(("NotAllowedByListeners", "no listener takes this kind of route from this namespace".to_owned())),
        2 => Err(("NoMatchingListenerHostname", "no listener serves the route's hostnames".to_owned())),
        _ => Ok(()),
    }
}

fn entries(route: &Attaching<'_>) -> impl Iterator<Item = Route> {
    let created = route.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second());
    let name = format!("{}/{}", text(route.metadata.namespace.as_ref()), text(route.metadata.name.as_ref()));
    route.compiled.routes.iter().map(move |(matcher, action, position)| {
        let origin = Origin { created, name: name.clone(), position: *position };
        Route { matcher: matcher.clone(), origin, action: action.clone() }
    })
}
