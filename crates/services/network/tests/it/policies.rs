//! Network policies as packets meet them.

use std::time::Duration;

use maru_testkit::{in_network, require_root_or_skip, wait_until};
use serde_json::{Value, json};

use crate::machine::{Machine, ask, serve_tcp};

fn pod(name: &str, last: u8) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "shop", "labels": { "app": name } },
        "spec": { "containers": [{ "name": "main", "ports": [{ "name": "http", "containerPort": 8080 }] }] },
        "status": { "phase": "Running", "podIP": format!("10.42.0.{last}") },
    })
}

fn policy(name: &str, spec: Value) -> Value {
    let metadata = json!({ "name": name, "namespace": "shop" });
    json!({ "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec })
}

#[test]
fn only_what_policies_allow_passes() {
    require_root_or_skip!();
    let machine = Machine::new();
    machine.host.block_on(async {
        let running = machine.start().await;
        let (web, job, db) = (running.pod(5).await, running.pod(6).await, running.pod(7).await);
        for (name, last) in [("web", 5), ("job", 6), ("db", 7)] {
            machine.api.put(pod(name, last));
        }
        serve_tcp(&db, 8080, "db");
        let ports = json!([{ "name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080 }]);
        machine.service("db", json!({ "clusterIP": "10.96.0.20", "ports": ports }), &[7]);
        let reaches = |pod: &std::path::Path, address: &'static str| in_network(pod, || ask(address)).is_ok();
        let soon = Duration::from_secs(15);
        wait_until(soon, "all is open", || std::future::ready(reaches(&job, "10.96.0.20:80"))).await;

        let from_web = json!({ "from": [{ "podSelector": { "matchLabels": { "app": "web" } } }], "ports": [{ "port": "http" }] });
        let closed = json!({ "podSelector": { "matchLabels": { "app": "db" } }, "policyTypes": ["Ingress"], "ingress": [from_web] });
        machine.api.put(policy("db", closed));
        wait_until(soon, "the job is shut out", || std::future::ready(!reaches(&job, "10.96.0.20:80"))).await;
        assert!(!reaches(&job, "10.42.0.7:8080"));
        assert!(reaches(&web, "10.96.0.20:80") && reaches(&web, "10.42.0.7:8080"));
        assert!(ask("10.96.0.20:80").is_ok(), "the machine reaches every pod");

        let nothing = json!({ "podSelector": { "matchLabels": { "app": "web" } }, "policyTypes": ["Egress"] });
        machine.api.put(policy("web", nothing.clone()));
        wait_until(soon, "the web is locked in", || std::future::ready(!reaches(&web, "10.96.0.20:80"))).await;
        // DNS passes, over TCP as here; nothing listens on the answerer's own terms, so the connection alone counts.
        assert!(in_network(&web, || crate::machine::connect("10.96.0.10:53")).is_ok());
        machine.api.delete(policy("web", nothing));
        wait_until(soon, "the web is free again", || std::future::ready(reaches(&web, "10.96.0.20:80"))).await;
        running.stop(&machine).await;
    });
}
