//! Objects for tests.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::certificates::CertificateCache;
use crate::compile::{CONTROLLER, Facts, Plan, compile};
use crate::inputs::Inputs;

pub(crate) fn parse<K: DeserializeOwned>(object: Value) -> Arc<K> {
    Arc::new(serde_json::from_value(object).unwrap())
}

/// Returns inputs with our classes, and the namespaces `shop` and `other`.
pub(crate) fn world() -> Inputs {
    Inputs {
        ingress_classes: vec![parse(json!({
            "metadata": {
                "name": "maru",
                "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"},
            },
            "spec": {"controller": CONTROLLER},
        }))],
        gateway_classes: vec![parse(json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
            "metadata": {"name": "maru"}, "spec": {"controllerName": CONTROLLER},
        }))],
        namespaces: vec![
            parse(json!({"metadata": {"name": "shop", "labels": {"team": "a"}}})),
            parse(json!({"metadata": {"name": "other"}})),
        ],
        ..Inputs::default()
    }
}

/// Adds a Service with port 80 and its endpoints.
pub(crate) fn add_service(inputs: &mut Inputs, name: &str, endpoints: &[SocketAddr], app_protocol: Option<&str>) {
    inputs.services.push(parse(json!({
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"ports": [{"name": "web", "port": 80, "appProtocol": app_protocol}]},
    })));
    for (number, endpoint) in endpoints.iter().enumerate() {
        inputs.endpoint_slices.push(parse(json!({
            "metadata": {
                "name": format!("{name}-{number}"),
                "namespace": "shop",
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "ports": [{"name": "web", "port": endpoint.port()}],
            "endpoints": [{"addresses": [endpoint.ip().to_string()], "conditions": {"ready": true}}],
        })));
    }
}

/// Adds an Ingress with one path to port 80 of a Service.
pub(crate) fn add_ingress(inputs: &mut Inputs, host: Option<&str>, path: &str, service: &str) {
    let name = format!("ingress{}", inputs.ingresses.len());
    inputs.ingresses.push(parse(json!({
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"rules": [{
            "host": host,
            "http": {"paths": [{
                "path": path,
                "pathType": "Prefix",
                "backend": {"service": {"name": service, "port": {"name": "web"}}},
            }]},
        }]},
    })));
}

/// Adds a Gateway named `gate` in the namespace `shop`.
pub(crate) fn add_gateway(inputs: &mut Inputs, listeners: Value) {
    add_named_gateway(inputs, "gate", listeners);
}

/// Adds a Gateway in the namespace `shop`.
pub(crate) fn add_named_gateway(inputs: &mut Inputs, name: &str, listeners: Value) {
    inputs.gateways.push(parse(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": name, "namespace": "shop", "generation": 1, "uid": format!("uid-{name}")},
        "spec": {"gatewayClassName": "maru", "listeners": listeners},
    })));
}

/// Adds an HTTPRoute of the Gateway `gate`.
pub(crate) fn add_http_route(inputs: &mut Inputs, namespace: &str, hostnames: Value, rules: Value) {
    let name = format!("route{}", inputs.http_routes.len());
    inputs.http_routes.push(parse(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": namespace, "generation": 1},
        "spec": {"parentRefs": [{"name": "gate", "namespace": "shop"}], "hostnames": hostnames, "rules": rules},
    })));
}

pub(crate) fn plan(inputs: &Inputs) -> Plan {
    plan_with(inputs, |_| {})
}

/// Compiles with other facts than the usual ones.
pub(crate) fn plan_with(inputs: &Inputs, change: impl FnOnce(&mut Facts)) -> Plan {
    let mut facts = Facts { ingress_class: "maru".to_owned(), ..Facts::default() };
    change(&mut facts);
    compile(inputs, &facts, &mut CertificateCache::default())
}

/// Adds a policy for TLS to a Service, and the authority that it trusts.
pub(crate) fn add_tls_policy(inputs: &mut Inputs, name: &str, service: &str, authority: &str, validation: Value) {
    inputs.config_maps.push(parse(json!({
        "metadata": {"name": format!("{name}-ca"), "namespace": "shop"}, "data": {"ca.crt": authority},
    })));
    let mut validation = validation;
    validation["caCertificateRefs"] = json!([{"group": "", "kind": "ConfigMap", "name": format!("{name}-ca")}]);
    inputs.backend_tls_policies.push(parse(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "BackendTLSPolicy",
        "metadata": {"name": name, "namespace": "shop", "generation": 1},
        "spec": {"targetRefs": [{"group": "", "kind": "Service", "name": service}], "validation": validation},
    })));
}

/// Adds a TLS Secret for a host, signed by itself; returns its certificate.
pub(crate) fn add_secret(inputs: &mut Inputs, name: &str, host: &str) -> rustls::pki_types::CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
    let encode = |text: String| serde_json::to_value(k8s_openapi::ByteString(text.into_bytes())).unwrap();
    inputs.secrets.retain(|secret| secret.metadata.name.as_deref() != Some(name));
    inputs.secrets.push(parse(json!({
        "metadata": {"name": name, "namespace": "shop"},
        "type": "kubernetes.io/tls",
        "data": {"tls.crt": encode(made.cert.pem()), "tls.key": encode(made.signing_key.serialize_pem())},
    })));
    made.cert.der().clone()
}
