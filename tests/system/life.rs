//! From a start on an empty folder to the end, and what survives in between.

use maru_tests::{System, can_run};

use super::WEB;

#[test]
fn a_deployment_answers_and_can_be_looked_into() {
    if !can_run(&["busybox", "nft", "curl"]) {
        return;
    }
    let system = System::start();
    system.apply(WEB);
    system.maru(&["wait", "deploy/web"]);
    let address =
        system.object("default", "service", "web")["spec"]["clusterIP"].as_str().unwrap_or_default().to_owned();
    // Packet rules follow the endpoints within a moment.
    let ask = || system.http(&format!("http://{address}/"), &[]);
    system.wait("the service to answer", || ask().0 == 200);
    let (_, body) = ask();
    assert!(body.starts_with("web-"), "{body}");
    assert!(system.maru(&["logs", "deploy/web"]).contains("started"));
    assert_eq!(system.maru(&["exec", "deploy/web", "--", "sh", "-c", "echo $((40 + 2))"]).trim(), "42");
    let failed = system.try_maru(&["exec", "deploy/web", "--", "sh", "-c", "exit 7"]);
    assert_eq!(failed.status.code(), Some(7));
    let table = system.maru(&["get", "pods"]);
    assert!(table.contains("READY") && table.contains("1/1") && table.contains("Running"), "{table}");
    assert!(system.maru(&["status"]).contains("2/2"));
    let described = system.maru(&["describe", "deploy", "web"]);
    assert!(described.contains("ScalingReplicaSet"), "{described}");
    system.maru(&["delete", "deploy/web"]);
    system.wait("the pods to be gone", || system.objects("default", "pods").is_empty());
}

#[test]
fn pods_survive_a_crash_and_a_stop_without_a_restart() {
    if !can_run(&["busybox", "nft", "curl"]) {
        return;
    }
    let mut system = System::start();
    system.apply(WEB);
    system.maru(&["wait", "deploy/web"]);
    let containers = |system: &System| -> Vec<String> {
        let mut ids: Vec<String> = system
            .objects("default", "pods")
            .iter()
            .map(|pod| {
                format!(
                    "{} {}",
                    pod["status"]["containerStatuses"][0]["containerID"],
                    pod["status"]["containerStatuses"][0]["restartCount"]
                )
            })
            .collect();
        ids.sort();
        ids
    };
    let before = containers(&system);
    system.wait("the service to answer", || {
        let address =
            system.object("default", "service", "web")["spec"]["clusterIP"].as_str().unwrap_or_default().to_owned();
        system.http(&format!("http://{address}/"), &[]).0 == 200
    });
    let address =
        system.object("default", "service", "web")["spec"]["clusterIP"].as_str().unwrap_or_default().to_owned();
    system.kill();
    let (status, _) = system.http(&format!("http://{address}/"), &[]);
    assert_eq!(status, 200, "the service answers while Maru is dead");
    system.up();
    system.maru(&["wait", "deploy/web"]);
    assert_eq!(containers(&system), before);
    system.terminate();
    let (status, _) = system.http(&format!("http://{address}/"), &[]);
    assert_eq!(status, 200, "the service answers while Maru is stopped");
    system.up();
    system.maru(&["wait", "deploy/web"]);
    assert_eq!(containers(&system), before);
    assert!(system.maru(&["logs", "deploy/web"]).contains("started"));
}

#[test]
fn a_volume_keeps_its_content_when_its_pod_is_replaced() {
    if !can_run(&["busybox", "nft"]) {
        return;
    }
    let system = System::start();
    system.apply(
        r#"
apiVersion: v1
kind: Service
metadata: {name: keeper}
spec: {clusterIP: None, selector: {app: keeper}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: keeper}
spec:
  serviceName: keeper
  replicas: 1
  selector: {matchLabels: {app: keeper}}
  template:
    metadata: {labels: {app: keeper}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: keeper
          image: test/busybox
          imagePullPolicy: IfNotPresent
          command: [sh, -c, "date +%N >> /data/starts; exec sleep 1000"]
          volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"#,
    );
    system.maru(&["wait", "statefulset/keeper"]);
    let uid = system.object("default", "pod", "keeper-0")["metadata"]["uid"].clone();
    system.maru(&["delete", "pod/keeper-0"]);
    system.wait("the pod to be replaced", || {
        system.objects("default", "pods").iter().any(|pod| pod["metadata"]["uid"] != uid)
    });
    system.maru(&["wait", "statefulset/keeper"]);
    let starts = system.maru(&["exec", "keeper-0", "--", "cat", "/data/starts"]);
    assert_eq!(starts.lines().count(), 2, "{starts}");
}

#[test]
fn a_job_runs_to_its_end_and_its_output_stays() {
    if !can_run(&["busybox", "nft"]) {
        return;
    }
    let system = System::start();
    system.apply(
        r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: greeting}
data: {text: hello}
---
apiVersion: v1
kind: Secret
metadata: {name: word}
stringData: {password: swordfish}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  template:
    spec:
      restartPolicy: Never
      initContainers:
        - {name: first, image: test/busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "echo init > /shared/file"], volumeMounts: [{name: shared, mountPath: /shared}]}
      containers:
        - name: main
          image: test/busybox
          imagePullPolicy: IfNotPresent
          command: [sh, -c, "echo $GREETING $PASSWORD $(cat /shared/file) $(cat /config/text) on $NODE; id -u"]
          env:
            - {name: GREETING, valueFrom: {configMapKeyRef: {name: greeting, key: text}}}
            - {name: PASSWORD, valueFrom: {secretKeyRef: {name: word, key: password}}}
            - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
          securityContext: {runAsUser: 1234}
          volumeMounts: [{name: shared, mountPath: /shared}, {name: config, mountPath: /config}]
      volumes: [{name: shared, emptyDir: {}}, {name: config, configMap: {name: greeting}}]
"#,
    );
    system.maru(&["wait", "job/once"]);
    assert_eq!(
        system.maru(&["logs", "-l", "job-name=once", "-c", "main"]).trim(),
        "hello swordfish init hello on node\n1234"
    );
}
