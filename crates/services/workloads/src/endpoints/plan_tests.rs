//! Which endpoints follow from which pods.

use serde_json::{Value, json};

use super::*;
use crate::pods::tests::{merge, pod};

fn service(extra: Value) -> Service {
    let mut value = json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "s", "labels": {"team": "a"}},
        "spec": {"clusterIP": "10.96.0.5", "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    });
    merge(&mut value, extra);
    serde_json::from_value(value).unwrap()
}

fn backend_pod(name: &str, ip: &str, ready: bool, port: i32, extra: Value) -> Arc<Pod> {
    let status = if ready { "True" } else { "False" };
    let mut value = json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": port}]}]},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [{"type": "Ready", "status": status}]},
    });
    merge(&mut value, extra);
    pod(name, value)
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

/// Writes a slice's endpoints as short text: address, then r(eady), s(erving), t(erminating).
fn told(slice: &EndpointSlice) -> Vec<String> {
    let endpoints = slice.endpoints.iter().flatten();
    endpoints
        .map(|endpoint| {
            let conditions = endpoint.conditions.clone().unwrap_or_default();
            let mark = |is: Option<bool>, letter: &'static str| if is == Some(true) { letter } else { "-" };
            let hostname = endpoint.hostname.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
            format!(
                "{} {}{}{}{hostname}",
                endpoint.addresses.join(","),
                mark(conditions.ready, "r"),
                mark(conditions.serving, "s"),
                mark(conditions.terminating, "t")
            )
        })
        .collect()
}

#[test]
fn conditions_follow_readiness_and_deletion() {
    let ending = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    let pods = [
        backend_pod("a", "10.42.0.2", true, 8080, json!({})),
        backend_pod("b", "10.42.0.3", false, 8080, json!({})),
        backend_pod("c", "10.42.0.4", true, 8080, ending),
        backend_pod("d", "10.42.0.5", true, 8080, json!({"status": {"phase": "Succeeded"}})),
        backend_pod("e", "", true, 8080, json!({})),
    ];
    let slices = slices(&service(json!({})), &pods, now());
    assert_eq!(slices.len(), 1);
    assert_eq!(told(&slices[0]), ["10.42.0.2 rs-", "10.42.0.3 ---", "10.42.0.4 -st"]);
    let ports = slices[0].ports.as_ref().unwrap();
    assert_eq!((ports[0].name.as_deref(), ports[0].port), (Some("http"), Some(8080)));
    let labels = slices[0].metadata.labels.as_ref().unwrap();
    assert_eq!(
        (labels[SERVICE_NAME].as_str(), labels[MANAGED_BY].as_str(), labels["team"].as_str()),
        ("web", MANAGER, "a")
    );
    let old = endpoints(&service(json!({})), &pods, now());
    let subset = &old.subsets.as_ref().unwrap()[0];
    let ips = |addresses: &Option<Vec<EndpointAddress>>| {
        addresses.iter().flatten().map(|one| one.ip.clone()).collect::<Vec<_>>()
    };
    assert_eq!(ips(&subset.addresses), ["10.42.0.2"]);
    assert_eq!(ips(&subset.not_ready_addresses), ["10.42.0.3"]);
}

#[test]
fn headless_services_name_their_pods_and_may_publish_all() {
    let headless = service(json!({"spec": {"clusterIP": "None", "publishNotReadyAddresses": true}}));
    let named = json!({"spec": {"hostname": "web-0", "subdomain": "web"}});
    let pods = [
        backend_pod("web-0", "10.42.0.2", false, 8080, named),
        backend_pod("web-1", "10.42.0.3", true, 8080, json!({"spec": {"hostname": "web-1", "subdomain": "other"}})),
    ];
    let slices = slices(&headless, &pods, now());
    assert_eq!(told(&slices[0]), ["10.42.0.2 rs- web-0", "10.42.0.3 rs-"]);
    assert_eq!(slices[0].metadata.labels.as_ref().unwrap().get(HEADLESS).map(String::as_str), Some(""));
}

#[test]
fn different_numbers_of_a_named_port_give_different_slices() {
    let pods =
        [backend_pod("a", "10.42.0.2", true, 8080, json!({})), backend_pod("b", "10.42.0.3", true, 9090, json!({}))];
    let slices = slices(&service(json!({})), &pods, now());
    assert_eq!(slices.iter().map(told).collect::<Vec<_>>(), [["10.42.0.2 rs-"], ["10.42.0.3 rs-"]]);
    assert_ne!(slices[0].name(), slices[1].name());
}

#[test]
fn many_endpoints_are_split() {
    let pods: Vec<Arc<Pod>> = (0..250)
        .map(|number| backend_pod(&format!("p{number:03}"), &format!("10.42.1.{number}"), true, 80, json!({})))
        .collect();
    let sizes: Vec<usize> =
        slices(&service(json!({})), &pods, now()).iter().map(|slice| slice.endpoints.as_ref().unwrap().len()).collect();
    assert_eq!(sizes, [100, 100, 50]);
}

#[test]
fn a_service_without_pods_has_one_empty_slice() {
    let slices = slices(&service(json!({})), &[], now());
    assert_eq!((slices.len(), slices[0].endpoints.as_ref().unwrap().len()), (1, 0));
    assert!(!has_selector(&service(json!({"spec": {"selector": null}}))));
    assert!(!has_selector(&service(json!({"spec": {"type": "ExternalName"}}))));
}
