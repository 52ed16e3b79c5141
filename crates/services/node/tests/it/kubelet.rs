//! The kubelet's HTTP interface: logs, exec, statistics, and the Node object.

use futures::{SinkExt as _, StreamExt as _};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::api::Api;
use maru_task::Scope;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::host::{PATIENCE, on_machine, serve, sh, websocket};

/// Runs a program; returns stdout, stderr and the final Status.
async fn exec(address: std::net::SocketAddr, query: &str, input: Option<&str>) -> (String, String, Value) {
    let mut socket = websocket(address, &format!("/exec/default/shell/a?{query}"), "v5.channel.k8s.io").await;
    if let Some(input) = input {
        let mut message = vec![0];
        message.extend(input.as_bytes());
        socket.send(Message::Binary(message.into())).await.unwrap();
        socket.send(Message::Binary(vec![255, 0].into())).await.unwrap();
    }
    let (mut out, mut err, mut status) = (Vec::new(), Vec::new(), Value::Null);
    while let Some(Ok(message)) = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap() {
        let Message::Binary(data) = message else { continue };
        match data.split_first() {
            Some((1, content)) => out.extend_from_slice(content),
            Some((2, content)) => err.extend_from_slice(content),
            Some((3, content)) => status = serde_json::from_slice(content).unwrap(),
            _ => {}
        }
    }
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), status)
}

#[test]
fn programs_run_in_containers_with_streams_and_exit_codes() {
    on_machine(async |machine| {
        machine
            .create("shell", json!({"containers": [sh("a", "trap 'exit 0' TERM; while true; do sleep 0.1; done")]}))
            .await;
        machine.wait_ready("shell").await;
        let scope = Scope::root("serve");
        let address = serve(machine, &scope).await;
        let (out, err, status) =
            exec(address, "stdout=1&stderr=1&command=sh&command=-c&command=echo+out;echo+err+%3E%262;exit+7", None)
                .await;
        assert_eq!((out.as_str(), err.as_str()), ("out\n", "err\n"));
        assert_eq!(status["details"]["causes"][0]["message"], "7");
        let (out, _, status) = exec(address, "stdin=1&stdout=1&command=cat", Some("through")).await;
        assert_eq!((out.as_str(), status["status"].as_str()), ("through", Some("Success")));
        let (out, _, _) =
            exec(address, "stdout=1&tty=1&command=sh&command=-c&command=test+-t+1+%26%26+echo+tty", None).await;
        assert_eq!(out, "tty\r\n");
        let (_, _, status) = exec(address, "stdout=1&command=/no/such", None).await;
        assert_eq!(status["status"], "Failure");
        scope.shutdown(PATIENCE).await.unwrap();
    });
}

#[test]
fn logs_are_chosen_by_the_request() {
    on_machine(async |machine| {
        machine
            .create("log", json!({"restartPolicy": "Never", "containers": [sh("a", "echo 1; echo 2; echo 3 >&2")]}))
            .await;
        machine.wait_phase("log", "Succeeded").await;
        assert_eq!(machine.logs("log", "a", "").await.lines().count(), 3);
        assert_eq!(machine.logs("log", "a", "stream=Stderr").await, "3\n");
        assert_eq!(machine.logs("log", "a", "limitBytes=1").await.len(), 1);
        assert_eq!(machine.logs("log", "a", "tailLines=1").await.lines().count(), 1);
        let stamped = machine.logs("log", "a", "timestamps=true&tailLines=1").await;
        assert!(stamped.split(' ').next().unwrap().ends_with('Z'), "{stamped}");
        for (path, code, words) in [
            ("/containerLogs/default/log/none", 400, "container none is not valid for pod log"),
            ("/containerLogs/default/none/a", 404, "pods \\\"none\\\" not found"),
            ("/containerLogs/default/log/a?previous=true", 400, "previous terminated container"),
            ("/containerLogs/default/log/a?tailLines=x", 400, "tailLines"),
            ("/portForward/default/log", 400, "an upgrade to SPDY/3.1"),
            ("/nowhere", 404, "could not find"),
        ] {
            let (status, body) = machine.get(path).await;
            assert_eq!(status, code, "{path} {body}");
            assert!(body.contains(words), "{path} {body}");
        }
    });
}

#[test]
fn the_node_registers_reports_and_measures() {
    on_machine(async |machine| {
        machine
            .create("busy", json!({"containers": [sh("a", "trap 'exit 0' TERM; while true; do sleep 0.01; done")]}))
            .await;
        machine.wait_ready("busy").await;
        let nodes: Api<Node> = Api::all(machine.client.clone());
        let node = maru_testkit::wait_for(PATIENCE, "the Node has a status", async || {
            nodes
                .get_opt("node")
                .await
                .unwrap()
                .filter(|node| node.status.as_ref().is_some_and(|status| status.capacity.is_some()))
        })
        .await;
        let status = node.status.unwrap();
        assert!(status.conditions.unwrap().iter().any(|one| one.type_ == "Ready" && one.status == "True"));
        assert!(status.images.unwrap()[0].names.as_ref().unwrap().iter().any(|name| name.contains("test/busybox")));
        let leases: Api<Lease> = Api::namespaced(machine.client.clone(), "kube-node-lease");
        maru_testkit::wait_until(PATIENCE, "the Lease", async || leases.get_opt("node").await.unwrap().is_some()).await;
        let (_, summary) = machine.get("/stats/summary").await;
        let summary: Value = serde_json::from_str(&summary).unwrap();
        assert_eq!(summary["pods"][0]["podRef"]["name"], "busy");
        assert!(summary["pods"][0]["containers"][0]["memory"]["workingSetBytes"].as_u64().unwrap() > 0);
        for path in ["/metrics/resource", "/metrics/cadvisor"] {
            let (_, text) = machine.get(path).await;
            assert!(
                text.lines().any(|line| line.starts_with("container_cpu_usage_seconds_total{container=\"a\"")),
                "{text}"
            );
        }
        let (_, pods) = machine.get("/pods").await;
        assert!(pods.contains("\"busy\""));
    });
}
