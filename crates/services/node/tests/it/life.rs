//! From creation to deletion.

use serde_json::json;

use crate::host::{container, on_machine, sh, waiting};

/// A program that runs until it is told to stop.
const WAIT: &str = "trap 'echo bye; exit 0' TERM; while true; do sleep 0.1; done";

#[test]
fn a_pod_runs_is_reached_and_goes_away_without_a_trace() {
    on_machine(async |machine| {
        let mut init = sh("init", "echo prepared > /data/index.html; echo init done");
        init["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
        let mut web =
            sh("web", "echo serving; hostname; cat /etc/hosts /etc/resolv.conf; exec httpd -f -p 80 -h /data");
        web["volumeMounts"] = json!([{"name": "data", "mountPath": "/data", "readOnly": true}]);
        web["ports"] = json!([{"name": "http", "containerPort": 80}]);
        web["readinessProbe"] = json!({"httpGet": {"path": "/index.html", "port": "http"}, "periodSeconds": 1});
        web["startupProbe"] = json!({"tcpSocket": {"port": 80}, "periodSeconds": 1});
        web["livenessProbe"] = json!({"exec": {"command": ["cat", "/data/index.html"]}, "periodSeconds": 1});
        let spec =
            json!({"initContainers": [init], "containers": [web], "volumes": [{"name": "data", "emptyDir": {}}]});
        machine.create("web", spec).await;
        let pod = machine.wait_ready("web").await;
        let status = pod.status.clone().unwrap();
        assert_eq!(status.phase.as_deref(), Some("Running"));
        assert!(status.pod_ip.as_deref().unwrap().starts_with("10.42.0."), "{status:?}");
        assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
        assert!(container(&pod, 0).image_id.contains("@sha256:"), "{status:?}");
        let ended = status.init_container_statuses.unwrap()[0].state.clone().unwrap().terminated.unwrap();
        assert_eq!((ended.exit_code, ended.reason.as_deref()), (0, Some("Completed")));

        let address = status.pod_ip.unwrap();
        let logs = machine.logs("web", "web", "").await;
        for text in ["serving\nweb\n", &format!("{address}\tweb\n"), "nameserver 10.96.0.10\noptions ndots:5\n"] {
            assert!(logs.contains(text), "{text:?} in {logs}");
        }
        assert_eq!(machine.logs("web", "init", "").await, "init done\n");
        let mut stream = tokio::net::TcpStream::connect((address.as_str(), 80)).await.unwrap();
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("prepared\n"), "{answer}");

        machine.delete("web").await;
        machine.wait_gone("web").await;
        maru_testkit::wait_until(crate::host::PATIENCE, "the pod's traces are gone", async || {
            machine.networks.existing().unwrap().is_empty()
        })
        .await;
        machine.assert_clean();
    });
}

#[test]
fn pods_that_end_succeed_or_fail_with_code_and_message() {
    on_machine(async |machine| {
        for (name, script, phase, code, reason, message) in [
            ("good", "echo fine", "Succeeded", 0, "Completed", None),
            ("bad", "echo why > /dev/termination-log; exit 3", "Failed", 3, "Error", Some("why\n")),
        ] {
            machine.create(name, json!({"restartPolicy": "Never", "containers": [sh("a", script)]})).await;
            let pod = machine.wait_phase(name, phase).await;
            let ended = container(&pod, 0).state.unwrap().terminated.unwrap();
            assert_eq!(
                (ended.exit_code, ended.reason.as_deref(), ended.message.as_deref()),
                (code, Some(reason), message)
            );
            assert_eq!(container(&pod, 0).restart_count, 0);
        }
        assert_eq!(machine.logs("good", "a", "").await, "fine\n");
    });
}

#[test]
fn a_crashing_container_restarts_with_back_off_and_keeps_its_last_log() {
    on_machine(async |machine| {
        machine.create("crash", json!({"containers": [sh("a", "echo attempt; exit 1")]})).await;
        let pod = machine.wait("crash", "in back-off", |pod| waiting(pod) == "CrashLoopBackOff").await;
        let status = container(&pod, 0);
        assert!(status.restart_count >= 1, "{status:?}");
        assert_eq!(status.last_state.unwrap().terminated.unwrap().exit_code, 1);
        assert_eq!(machine.logs("crash", "a", "previous=true").await, "attempt\n");
        assert_eq!(machine.logs("crash", "a", "").await, "attempt\n");
    });
}

#[test]
fn a_failing_liveness_probe_restarts_the_container() {
    on_machine(async |machine| {
        let mut one =
            sh("a", "touch /tmp/alive; sleep 1; rm /tmp/alive; trap 'exit 0' TERM; while true; do sleep 0.1; done");
        one["livenessProbe"] =
            json!({"exec": {"command": ["cat", "/tmp/alive"]}, "periodSeconds": 1, "failureThreshold": 1});
        machine.create("sick", json!({"containers": [one]})).await;
        machine.wait("sick", "restarted", |pod| container(pod, 0).restart_count >= 1).await;
        let events = machine.events("sick").await;
        assert!(events.iter().any(|event| event.starts_with("Unhealthy: Liveness probe failed")), "{events:?}");
        assert!(
            events.iter().any(|event| event == "Killing: Container a failed liveness probe, will be restarted"),
            "{events:?}"
        );
    });
}

#[test]
fn stopping_runs_the_hook_and_gives_time_to_end() {
    on_machine(async |machine| {
        let mut one = sh("a", &format!("echo up; {WAIT}"));
        one["lifecycle"] = json!({
            "postStart": {"exec": {"command": ["sh", "-c", "echo started > /proc/1/fd/1"]}},
            "preStop": {"exec": {"command": ["sh", "-c", "echo stopping > /proc/1/fd/1"]}},
        });
        machine.create("polite", json!({"terminationGracePeriodSeconds": 20, "containers": [one]})).await;
        machine.wait_ready("polite").await;
        machine.wait_log("polite", "a", "started").await;
        let follow = machine.logs("polite", "a", "follow=true");
        let delete = async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            machine.delete("polite").await;
        };
        let (logs, ()) = tokio::join!(follow, delete);
        assert!(logs.contains("stopping\nbye\n"), "{logs}");
        machine.wait_gone("polite").await;
    });
}

#[test]
fn what_cannot_start_says_why() {
    on_machine(async |machine| {
        let mut missing = sh("a", "true");
        missing["image"] = json!("test/none:1");
        missing["imagePullPolicy"] = json!("Never");
        machine.create("no-image", json!({"containers": [missing]})).await;
        machine.create("no-program", json!({"containers": [{"name": "a", "command": ["/no/such/program"]}]})).await;
        let mut no_map = sh("a", "echo $KEY; sleep 60");
        no_map["env"] = json!([{"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "k"}}}]);
        machine.create("no-map", json!({"containers": [no_map]})).await;
        let mut root = sh("a", "true");
        root["securityContext"] = json!({"runAsNonRoot": true});
        machine.create("root", json!({"containers": [root]})).await;

        machine.wait("no-image", "without image", |pod| waiting(pod) == "ErrImageNeverPull").await;
        let pod = machine.wait("no-program", "not run", |pod| waiting(pod) == "CrashLoopBackOff").await;
        let ended = container(&pod, 0).last_state.unwrap().terminated.unwrap();
        assert_eq!(ended.reason.as_deref(), Some("ContainerCannotRun"), "{ended:?}");
        machine.wait("root", "refused", |pod| waiting(pod) == "CreateContainerConfigError").await;
        let pod = machine.wait("no-map", "without map", |pod| waiting(pod) == "CreateContainerConfigError").await;
        let message = container(&pod, 0).state.unwrap().waiting.unwrap().message;
        assert_eq!(message.as_deref(), Some("configmap \"late\" not found"));
        // What was missing appears.
        machine
            .make(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}, "data": {"k": "here"}}))
            .await;
        machine.wait_log("no-map", "a", "here").await;
    });
}

#[test]
fn sidecars_run_beside_and_end_after_the_main_container() {
    on_machine(async |machine| {
        let mut side = sh("side", &format!("echo side up; {WAIT}"));
        side["restartPolicy"] = json!("Always");
        machine
            .create("job", json!({"restartPolicy": "Never", "initContainers": [side], "containers": [sh("main", "sleep 1; echo done")]}))
            .await;
        let pod = machine.wait_phase("job", "Succeeded").await;
        let side = &pod.status.unwrap().init_container_statuses.unwrap()[0];
        assert_eq!(side.state.clone().unwrap().terminated.unwrap().exit_code, 0);
        assert!(machine.logs("job", "side", "").await.contains("side up\nbye\n"));
    });
}

#[test]
fn out_of_memory_is_told_by_name() {
    on_machine(async |machine| {
        let mut one = sh("a", "x=x; while true; do x=$x$x; done");
        one["resources"] = json!({"limits": {"memory": "16Mi"}});
        machine.create("greedy", json!({"restartPolicy": "Never", "containers": [one]})).await;
        let pod = machine.wait_phase("greedy", "Failed").await;
        assert_eq!(container(&pod, 0).state.unwrap().terminated.unwrap().reason.as_deref(), Some("OOMKilled"));
    });
}
