//! Services: defaults, cluster addresses, node ports.

use std::net::{IpAddr, Ipv4Addr};

use maru_kube::{FieldError, names};
use serde_json::{Value, json};

use super::{Context, immutable};
use crate::allocation::{self, AllocationError};
use crate::errors::{ApiError, issue};
use crate::meta::{self, default_at};
use crate::write::invalid;

const NONE: &str = "None";

pub(crate) fn defaults(object: &mut Value) {
    default_at(object, &["spec", "sessionAffinity"], "None");
    default_at(object, &["spec", "type"], "ClusterIP");
    if meta::text(object, &["spec", "sessionAffinity"]) == "ClientIP" {
        default_at(object, &["spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"], 10800);
    }
    let kind = meta::text(object, &["spec", "type"]).to_owned();
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        default_at(object, &["spec", "externalTrafficPolicy"], "Cluster");
    }
    if kind == "LoadBalancer" {
        default_at(object, &["spec", "allocateLoadBalancerNodePorts"], true);
    }
    if kind != "ExternalName" {
        default_at(object, &["spec", "internalTrafficPolicy"], "Cluster");
        default_at(object, &["spec", "ipFamilies"], json!(["IPv4"]));
        default_at(object, &["spec", "ipFamilyPolicy"], "SingleStack");
    }
    let ports = object.get_mut("spec").and_then(|spec| spec.get_mut("ports")).and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten() {
        default_at(port, &["protocol"], "TCP");
        if let Some(number) = port.get("port").cloned() {
            default_at(port, &["targetPort"], number);
        }
    }
    default_at(object, &["status", "loadBalancer"], json!({}));
}

pub(crate) fn prepare_create(context: &Context<'_>, object: &mut Value) -> Result<(), ApiError> {
    assign(context, object)
}

/// Keeps what was assigned when the writer leaves it out, gives back what the new type has no use for.
pub(crate) fn prepare_update(context: &Context<'_>, old: &Value, new: &mut Value) -> Result<(), ApiError> {
    let (before, after) =
        (meta::text(old, &["spec", "type"]).to_owned(), meta::text(new, &["spec", "type"]).to_owned());
    if after == "ExternalName" && before != "ExternalName" {
        for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
            meta::set_at(new, &["spec", key], None);
        }
    } else if before != "ExternalName" {
        for key in ["clusterIP", "clusterIPs"] {
            if meta::at(new, &["spec", key]).is_none_or(|value| value.is_null() || value == "") {
                meta::set_at(new, &["spec", key], meta::at(old, &["spec", key]).cloned());
            }
        }
    }
    if !uses_node_ports(new) {
        let was_given = |port: &Value| {
            meta::list(old, &["spec", "ports"]).iter().any(|one| one.get("nodePort") == port.get("nodePort"))
        };
        let ports = new.get_mut("spec").and_then(|spec| spec.get_mut("ports")).and_then(Value::as_array_mut);
        for port in ports.into_iter().flatten() {
            if was_given(port) {
                meta::root(port).remove("nodePort");
            }
        }
        for key in ["externalTrafficPolicy", "healthCheckNodePort", "allocateLoadBalancerNodePorts"] {
            meta::set_at(new, &["spec", key], None);
        }
    } else {
        keep_node_ports(old, new);
    }
    assign(context, new)
}

fn keep_node_ports(old: &Value, new: &mut Value) {
    let before = meta::list(old, &["spec", "ports"]).to_vec();
    let ports = new.get_mut("spec").and_then(|spec| spec.get_mut("ports")).and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten() {
        let same = |one: &&Value| one.get("port") == port.get("port") && one.get("protocol") == port.get("protocol");
        if node_port(port).is_none()
            && let Some(number) = before.iter().find(same).and_then(node_port)
        {
            meta::root(port).insert("nodePort".to_owned(), number.into());
        }
    }
}

fn uses_node_ports(object: &Value) -> bool {
    match meta::text(object, &["spec", "type"]) {
        "NodePort" => true,
        "LoadBalancer" => {
            meta::at(object, &["spec", "allocateLoadBalancerNodePorts"]).and_then(Value::as_bool) != Some(false)
        }
        _ => false,
    }
}

fn node_port(port: &Value) -> Option<u16> {
    port.get("nodePort")
        .and_then(Value::as_u64)
        .and_then(|number| u16::try_from(number).ok())
        .filter(|number| *number > 0)
}

/// Gives addresses and ports that are missing, and checks those that are named against all other services.
fn assign(context: &Context<'_>, object: &mut Value) -> Result<(), ApiError> {
    let others: Vec<Value> = context
        .state
        .list_raw(&context.served.kind.store, None)
        .into_iter()
        .filter(|other| meta::name(other) != meta::name(object) || meta::namespace(other) != meta::namespace(object))
        .collect();
    let refuse = |field: &str, value: &Value, error: &AllocationError| {
        let issues = vec![issue::invalid(field, value.clone(), error.to_string())];
        invalid(context.served, meta::name(object), issues)
    };
    let mut address = None;
    if meta::text(object, &["spec", "type"]) != "ExternalName" && meta::text(object, &["spec", "clusterIP"]) != NONE {
        let wanted = meta::text(object, &["spec", "clusterIP"]);
        let taken: Vec<Ipv4Addr> = others.iter().filter_map(cluster_ip).collect();
        let cidr = context.state.addresses.service_cidr;
        address = Some(
            allocation::address(cidr, &taken, wanted)
                .map_err(|error| refuse("spec.clusterIPs", &json!([wanted]), &error))?,
        );
    }
    if let Some(address) = address {
        meta::set_at(object, &["spec", "clusterIP"], Some(address.to_string().into()));
        meta::set_at(object, &["spec", "clusterIPs"], Some(json!([address.to_string()])));
    } else if meta::text(object, &["spec", "clusterIP"]) == NONE {
        meta::set_at(object, &["spec", "clusterIPs"], Some(json!([NONE])));
    }
    if uses_node_ports(object) {
        assign_node_ports(context, object, &others)?;
    }
    Ok(())
}

fn cluster_ip(service: &Value) -> Option<Ipv4Addr> {
    match meta::text(service, &["spec", "clusterIP"]).parse().ok()? {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

fn assign_node_ports(context: &Context<'_>, object: &mut Value, others: &[Value]) -> Result<(), ApiError> {
    let all = |service: &Value| -> Vec<(u16, String)> {
        meta::list(service, &["spec", "ports"])
            .iter()
            .filter_map(|port| node_port(port).map(|number| (number, meta::text(port, &["protocol"]).to_owned())))
            .collect()
    };
    let mut taken: Vec<(u16, String)> = others.iter().flat_map(all).collect();
    let mut ports = meta::list(object, &["spec", "ports"]).to_vec();
    // Named ports first, so that a free one is not given to another.
    for pass_named in [true, false] {
        for (index, port) in ports.iter_mut().enumerate() {
            let named = node_port(port);
            if named.is_some() != pass_named {
                continue;
            }
            let protocol = meta::text(port, &["protocol"]).to_owned();
            let used: Vec<u16> = taken.iter().filter(|(_, one)| *one == protocol).map(|(number, _)| *number).collect();
            let number = allocation::port(&context.state.addresses.node_ports, &used, named).map_err(|error| {
                let issues =
                    vec![issue::invalid(format!("spec.ports[{index}].nodePort"), json!(named), error.to_string())];
                invalid(context.served, meta::name(object), issues)
            })?;
            taken.push((number, protocol));
            meta::root(port).insert("nodePort".to_owned(), number.into());
        }
    }
    meta::set_at(object, &["spec", "ports"], Some(ports.into()));
    Ok(())
}

pub(crate) fn validate(_context: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    let mut issues = Vec::new();
    let kind = meta::text(object, &["spec", "type"]);
    if !TYPES.contains(&kind) {
        issues.push(issue::not_supported("spec.type", kind, TYPES));
    }
    let ip = meta::text(object, &["spec", "clusterIP"]);
    if let Some(old) = old {
        let before = meta::text(old, &["spec", "clusterIP"]);
        if !before.is_empty() && before != ip && kind != "ExternalName" {
            issues.push(immutable("spec.clusterIPs[0]", &json!(ip)));
        }
    }
    if kind == "ExternalName" {
        let name = meta::text(object, &["spec", "externalName"]);
        if name.is_empty() {
            issues.push(issue::required("spec.externalName", ""));
        }
        return issues;
    }
    if matches!(kind, "NodePort" | "LoadBalancer") && ip == NONE {
        issues.push(issue::invalid(
            "spec.clusterIPs[0]",
            NONE,
            format!("may not be set to 'None' for {kind} services"),
        ));
    }
    let ports = meta::list(object, &["spec", "ports"]);
    if ports.is_empty() && ip != NONE {
        issues.push(issue::required("spec.ports", ""));
    }
    issues.extend(port_issues(ports));
    issues
}

fn port_issues(ports: &[Value]) -> Vec<FieldError> {
    const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
    let mut issues = Vec::new();
    let mut seen: Vec<(&str, Option<i64>, &str)> = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let field = format!("spec.ports[{index}]");
        let (name, protocol) = (meta::text(port, &["name"]), meta::text(port, &["protocol"]));
        let number = port.get("port").and_then(Value::as_i64);
        if name.is_empty() {
            if ports.len() > 1 {
                issues.push(issue::required(format!("{field}.name"), ""));
            }
        } else {
            issues.extend(
                names::check_dns1123_label(name)
                    .into_iter()
                    .map(|why| issue::invalid(format!("{field}.name"), name, why)),
            );
            if seen.iter().any(|(other, ..)| *other == name) {
                issues.push(issue::duplicate(format!("{field}.name"), name));
            }
        }
        match number {
            None => issues.push(issue::required(format!("{field}.port"), "")),
            Some(number) if !(1..=65535).contains(&number) => {
                issues.push(issue::invalid(format!("{field}.port"), number, "must be between 1 and 65535, inclusive"));
            }
            Some(number) if seen.iter().any(|(_, other, one)| *other == Some(number) && *one == protocol) => {
                issues.push(issue::duplicate(field.as_str(), port.clone()));
            }
            Some(_) => {}
        }
        if !PROTOCOLS.contains(&protocol) {
            issues.push(issue::not_supported(format!("{field}.protocol"), protocol, PROTOCOLS));
        }
        seen.push((name, number, protocol));
    }
    issues
}
