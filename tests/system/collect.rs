//! What `maru up` measures without configuration, and by the objects of the Prometheus operator.

use maru_tests::System;
use serde_json::Value;

/// A monitor of a Service, one that is wrong, a probe and a rule.
const MONITORS: &str = r#"
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: web}
spec:
  selector: {}
  endpoints: [{port: http, path: /metrics, interval: 1s, scrapeTimeout: 1s}]
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: wrong}
spec:
  selector: {}
  endpoints: [{port: http, intervall: 1s}]
---
apiVersion: monitoring.coreos.com/v1
kind: Probe
metadata: {name: api}
spec:
  module: tcp_connect
  interval: 1s
  scrapeTimeout: 1s
  targets: {staticConfig: {static: ["127.0.0.1:6443"]}}
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: rules}
spec:
  groups: [{name: g, interval: 1s, rules: [{record: up:count, expr: count(up)}]}]
"#;

/// Returns the values that a query finds.
fn query(system: &System, token: &str, text: &str) -> Vec<Value> {
    let data = format!("query={text}");
    let header = format!("Authorization: Bearer {token}");
    let arguments = ["-k", "-H", &header, "--data-urlencode", &data];
    let (status, answer) = system.http("https://127.0.0.1:9090/api/v1/query", &arguments);
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    answer["data"]["result"].as_array().cloned().unwrap_or_default()
}

#[test]
fn everything_is_measured_without_configuration() {
    if !maru_tests::can_run(&["kubectl", "curl"]) {
        return;
    }
    let system = System::start();
    let token = system.maru(&["metrics", "token", "create", "--name", "test", "--scope", "read"]).trim().to_owned();
    let is_there = |what: &str| !query(&system, &token, what).is_empty();
    for what in [
        "up{job=\"maru\"} == 1",
        "up{job=\"node\"} == 1",
        "up{job=\"cadvisor\"} == 1",
        "up{job=\"kube-state\"} == 1",
        "node_cpu_seconds_total{mode=\"idle\"}",
        "node_memory_MemAvailable_bytes",
        "kube_node_info",
        "kube_namespace_status_phase{namespace=\"default\",phase=\"Active\"} == 1",
        "apiserver_request_total",
        "process_resident_memory_bytes{job=\"maru\"} > 1e6",
    ] {
        system.wait(what, || is_there(what));
    }
    for board in ["machine", "maru", "objectives", "pods", "services"] {
        system.wait("the board to be accepted", || {
            system.object("maru-system", "board", board)["status"]["conditions"][0]["status"] == "True"
        });
    }
    system.build_image();
    system.apply(crate::WEB);
    system.apply(MONITORS);
    for what in [
        "kube_pod_status_phase{phase=\"Running\",pod=~\"web-.*\"} == 1",
        "container_memory_working_set_bytes{container!=\"\",pod=~\"web-.*\"}",
        "kube_deployment_status_replicas_available{deployment=\"web\"} > 0",
        // The pods are found; what they answer is none of metrics.
        "up{job=\"web\",namespace=\"default\",endpoint=\"http\"}",
        "probe_success{instance=\"127.0.0.1:6443\"} == 1",
        "up:count",
    ] {
        system.wait(what, || is_there(what));
    }
    system.wait("the wrong object to be told so", || {
        let object = system.object("default", "servicemonitor", "wrong");
        let condition = &object["status"]["conditions"][0];
        condition["status"] == "False" && condition["message"].as_str().is_some_and(|text| text.contains("intervall"))
    });
}
