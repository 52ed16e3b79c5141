//! Ingresses, network policies, endpoint slices.

use maru_kube::FieldError;
use serde_json::{Value, json};

use super::check_immutable;
use crate::errors::issue;
use crate::meta::{self, default_at};

pub(crate) fn endpoint_slice_defaults(object: &mut Value) {
    for port in object.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        default_at(port, &["name"], "");
        default_at(port, &["protocol"], "TCP");
    }
}

pub(crate) fn network_policy_defaults(object: &mut Value) {
    for direction in ["ingress", "egress"] {
        let rules = object.get_mut("spec").and_then(|spec| spec.get_mut(direction)).and_then(Value::as_array_mut);
        for rule in rules.into_iter().flatten() {
            for port in rule.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
                default_at(port, &["protocol"], "TCP");
            }
        }
    }
    if meta::list(object, &["spec", "policyTypes"]).is_empty() {
        let has_egress = !meta::list(object, &["spec", "egress"]).is_empty();
        let types = if has_egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        meta::set_at(object, &["spec", "policyTypes"], Some(types));
    }
}

pub(crate) fn validate_ingress(object: &Value) -> Vec<FieldError> {
    const PATH_TYPES: &[&str] = &["Exact", "ImplementationSpecific", "Prefix"];
    let mut issues = Vec::new();
    let rules = meta::list(object, &["spec", "rules"]);
    let default = meta::at(object, &["spec", "defaultBackend"]).filter(|value| !value.is_null());
    if rules.is_empty() && default.is_none() {
        issues.push(issue::invalid(
            "spec",
            object.get("spec").cloned().unwrap_or_default(),
            "either `defaultBackend` or `rules` must be specified",
        ));
    }
    if let Some(backend) = default {
        issues.extend(backend_issues(backend, "spec.defaultBackend"));
    }
    for (index, rule) in rules.iter().enumerate() {
        let host = meta::text(rule, &["host"]);
        let plain = host.strip_prefix("*.").unwrap_or(host);
        if !host.is_empty() {
            let wrong = maru_kube::names::check_dns1123_subdomain(plain);
            issues.extend(wrong.into_iter().map(|why| issue::invalid(format!("spec.rules[{index}].host"), host, why)));
        }
        for (position, path) in meta::list(rule, &["http", "paths"]).iter().enumerate() {
            let field = format!("spec.rules[{index}].http.paths[{position}]");
            let kind = meta::text(path, &["pathType"]);
            let text = meta::text(path, &["path"]);
            if kind.is_empty() {
                issues.push(issue::required(format!("{field}.pathType"), "pathType must be specified"));
            } else if !PATH_TYPES.contains(&kind) {
                issues.push(issue::not_supported(format!("{field}.pathType"), kind, PATH_TYPES));
            } else if kind != "ImplementationSpecific" && !text.starts_with('/') {
                issues.push(issue::invalid(format!("{field}.path"), text, "must be an absolute path"));
            }
            if let Some(backend) = path.get("backend") {
                issues.extend(backend_issues(backend, &format!("{field}.backend")));
            }
        }
    }
    issues
}

fn backend_issues(backend: &Value, field: &str) -> Vec<FieldError> {
    let service = backend.get("service").filter(|value| !value.is_null());
    let resource = backend.get("resource").filter(|value| !value.is_null());
    match (service, resource) {
        (None, None) => vec![issue::required(field, "a service or resource is required")],
        (Some(_), Some(_)) => {
            vec![issue::invalid(field, backend.clone(), "cannot set both resource and service backends")]
        }
        (Some(service), None) => {
            let mut issues = Vec::new();
            if meta::text(service, &["name"]).is_empty() {
                issues.push(issue::required(format!("{field}.service.name"), ""));
            }
            let (name, number) = (
                meta::text(service, &["port", "name"]),
                meta::at(service, &["port", "number"]).and_then(Value::as_i64),
            );
            if name.is_empty() == number.is_none() {
                issues.push(issue::required(
                    format!("{field}.service.port"),
                    "exactly one of port name and number is required",
                ));
            }
            issues
        }
        (None, Some(_)) => Vec::new(),
    }
}

pub(crate) fn validate_endpoint_slice(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    const TYPES: &[&str] = &["FQDN", "IPv4", "IPv6"];
    let mut issues = check_immutable(object, old, &["addressType"]);
    let kind = meta::text(object, &["addressType"]);
    if kind.is_empty() {
        issues.push(issue::required("addressType", ""));
    } else if !TYPES.contains(&kind) {
        issues.push(issue::not_supported("addressType", kind, TYPES));
    }
    for (index, endpoint) in meta::list(object, &["endpoints"]).iter().enumerate() {
        if meta::list(endpoint, &["addresses"]).is_empty() {
            issues.push(issue::required(format!("endpoints[{index}].addresses"), "must contain at least 1 address"));
        }
    }
    issues
}
