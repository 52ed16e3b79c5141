//! Tests of tables.

use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-01-02T00:00:00Z";

/// Returns the cells of an object by its columns' names.
fn cells(group: &str, object: &Value) -> Value {
    let columns = Columns::of_kind(group, object["kind"].as_str().unwrap_or_default());
    let row = columns.row(object, NOW.parse().unwrap(), IncludeObject::Metadata);
    let definitions = columns.definitions();
    let names = definitions.as_array().unwrap().iter().map(|d| d["name"].as_str().unwrap().to_owned());
    Value::Object(names.zip(row["cells"].as_array().unwrap().clone()).collect())
}

fn pod(status: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "creationTimestamp": "2026-01-01T23:58:00Z"},
        "spec": {"nodeName": "n1", "containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}, {"name": "s",
        "restartPolicy": "Always"}]}, "status": status})
}

fn pod_cells(status: Value) -> (String, String, String) {
    let cells = cells("", &pod(status));
    let text = |name: &str| cells[name].as_str().unwrap().to_owned();
    (text("Ready"), text("Status"), text("Restarts"))
}

#[test]
fn ages() {
    for (seconds, text) in [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (11_100, "3h5m"),
        (28_800, "8h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (180_000, "2d2h"),
        (691_200, "8d"),
        (63_072_000, "2y"),
        (63_158_400, "2y1d"),
        (252_288_000, "8y"),
    ] {
        assert_eq!(human_duration(seconds), text, "{seconds}");
    }
}

#[test]
fn pods_tell_what_their_containers_do() {
    let running = |name: &str| json!({"name": name, "ready": true, "restartCount": 0, "state": {"running": {}}});
    let done = json!({"name": "i", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
    let sidecar = json!({"name": "s", "started": true, "ready": true, "restartCount": 0, "state": {"running": {}}});
    let init = json!([done, sidecar]);
    let told = |ready: &str, status: &str, restarts: &str| (ready.to_owned(), status.to_owned(), restarts.to_owned());
    assert_eq!(pod_cells(json!({"phase": "Pending"})), told("0/3", "Pending", "0"));
    assert_eq!(
        pod_cells(json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": {"running": {}}}]})),
        told("0/3", "Init:0/2", "0")
    );
    assert_eq!(
        pod_cells(json!({"phase": "Pending", "initContainerStatuses": [
            {"name": "i", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]})),
        told("0/3", "Init:CrashLoopBackOff", "2")
    );
    assert_eq!(
        pod_cells(
            json!({"phase": "Running", "initContainerStatuses": init, "containerStatuses": [running("a"), running("b")]})
        ),
        told("3/3", "Running", "0")
    );
    let crashed = json!({"name": "b", "ready": false, "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"finishedAt": "2026-01-01T23:59:30Z"}}});
    assert_eq!(
        pod_cells(
            json!({"phase": "Running", "initContainerStatuses": init, "containerStatuses": [running("a"), crashed]})
        ),
        told("2/3", "CrashLoopBackOff", "3 (30s ago)")
    );
    let ended = |code: i64| json!({"name": "a", "state": {"terminated": {"exitCode": code}}});
    assert_eq!(
        pod_cells(json!({"phase": "Failed", "initContainerStatuses": init, "containerStatuses": [ended(3)]})),
        told("1/3", "ExitCode:3", "0")
    );
    let mut deleted = pod(json!({"phase": "Running", "podIP": "10.42.0.7"}));
    deleted["metadata"]["deletionTimestamp"] = json!(NOW);
    let row = cells("", &deleted);
    assert_eq!(row["Status"], "Terminating");
    assert_eq!(row["IP"], "10.42.0.7");
    assert_eq!(row["Age"], "2m");
    assert_eq!(row["Nominated Node"], "<none>");
}

#[test]
fn finished_pods_have_a_row_condition() {
    let columns = Columns::of_kind("", "Pod");
    let row = columns.row(&pod(json!({"phase": "Succeeded"})), NOW.parse().unwrap(), IncludeObject::None);
    assert_eq!(row["conditions"][0]["reason"], "Succeeded");
    assert!(row.get("object").is_none());
}

#[test]
fn workloads() {
    let deployment = json!({"kind": "Deployment", "metadata": {"name": "web", "creationTimestamp": "2025-12-31T00:00:00Z"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": {"spec": {"containers": [
            {"name": "a", "image": "x:1"}, {"name": "b", "image": "y:2"}]}}},
        "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 2}});
    assert_eq!(
        cells("apps", &deployment),
        json!({"Name": "web", "Ready": "2/3", "Up-to-date": 3, "Available": 2, "Age": "2d", "Containers": "a,b",
            "Images": "x:1,y:2", "Selector": "app=web"})
    );
    let job = json!({"kind": "Job", "metadata": {"name": "j"}, "spec": {"completions": 2}, "status": {"succeeded": 2,
        "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:05Z",
        "conditions": [{"type": "Complete", "status": "True"}]}});
    let job = cells("batch", &job);
    assert_eq!(
        (&job["Status"], &job["Completions"], &job["Duration"], &job["Age"]),
        (&json!("Complete"), &json!("2/2"), &json!("5s"), &json!("<unknown>"))
    );
    let cron = cells(
        "batch",
        &json!({"kind": "CronJob", "spec": {"schedule": "* * * * *", "suspend": false}, "status": {"active": [{}]}}),
    );
    assert_eq!(
        (&cron["Suspend"], &cron["Active"], &cron["Last Schedule"]),
        (&json!("False"), &json!(1), &json!("<none>"))
    );
    let hpa = json!({"kind": "HorizontalPodAutoscaler", "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 1,
        "maxReplicas": 5, "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}}]},
        "status": {"currentReplicas": 2, "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 50}}}]}});
    let hpa = cells("autoscaling", &hpa);
    assert_eq!(
        (&hpa["Reference"], &hpa["Targets"], &hpa["MinPods"]),
        (&json!("Deployment/web"), &json!("cpu: 50%/80%"), &json!("1"))
    );
}

#[test]
fn services_and_endpoints() {
    let service = |spec: Value| cells("", &json!({"kind": "Service", "metadata": {"name": "s"}, "spec": spec}));
    let row = service(
        json!({"type": "NodePort", "clusterIP": "10.96.0.5", "ports": [{"port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP"}]}),
    );
    assert_eq!(row["Port(s)"], "80:30080/TCP,53/UDP");
    assert_eq!(row["External-IP"], "<none>");
    assert_eq!(service(json!({"type": "LoadBalancer"}))["External-IP"], "<pending>");
    assert_eq!(service(json!({"type": "ExternalName", "externalName": "a.b"}))["External-IP"], "a.b");
    let endpoints = json!({"kind": "Endpoints", "subsets": [{"addresses": [{"ip": "1.1.1.1"}, {"ip": "2.2.2.2"}], "ports": [{"port": 80}, {"port": 81}]}]});
    assert_eq!(cells("", &endpoints)["Endpoints"], "1.1.1.1:80,2.2.2.2:80,1.1.1.1:81 + 1 more...");
    let slice = json!({"kind": "EndpointSlice", "addressType": "IPv4", "ports": [{"port": 80}], "endpoints": [{"addresses": ["1.1.1.1"]}]});
    assert_eq!(cells("discovery.k8s.io", &slice)["Endpoints"], "1.1.1.1");
    let node = json!({"kind": "Node", "metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}, "spec": {"unschedulable": true},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}});
    let node = cells("", &node);
    assert_eq!(
        (&node["Status"], &node["Roles"], &node["Internal-IP"]),
        (&json!("Ready,SchedulingDisabled"), &json!("control-plane"), &json!("10.0.0.1"))
    );
    let ingress =
        json!({"kind": "Ingress", "spec": {"ingressClassName": "maru", "tls": [{}], "rules": [{"host": "a"}, {}]}});
    let ingress = cells("networking.k8s.io", &ingress);
    assert_eq!(
        (&ingress["Class"], &ingress["Hosts"], &ingress["Ports"]),
        (&json!("maru"), &json!("a"), &json!("80, 443"))
    );
}

#[test]
fn volumes_and_events() {
    let claim = json!({"kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec": {"volumeName": "pv", "storageClassName": "local"},
        "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce", "ReadWriteMany"]}});
    let row = cells("", &claim);
    assert_eq!(
        (&row["Capacity"], &row["Access Modes"], &row["StorageClass"]),
        (&json!("1Gi"), &json!("RWO,RWX"), &json!("local"))
    );
    let event = json!({"kind": "Event", "type": "Warning", "reason": "BackOff", "message": "again ", "count": 4,
        "involvedObject": {"kind": "Pod", "name": "web"}, "firstTimestamp": "2026-01-01T23:50:00Z", "lastTimestamp": "2026-01-01T23:59:55Z"});
    let row = cells("", &event);
    assert_eq!(
        (&row["Last Seen"], &row["Object"], &row["Message"]),
        (&json!("5s (x4 over 10m)"), &json!("pod/web"), &json!("again"))
    );
    let event = json!({"kind": "Event", "regarding": {"kind": "Pod", "name": "web"}, "note": "n", "eventTime": "2026-01-01T23:59:50.000000Z"});
    let row = cells("events.k8s.io", &event);
    assert_eq!((&row["Last Seen"], &row["Object"], &row["Message"]), (&json!("10s"), &json!("pod/web"), &json!("n")));
}

#[test]
fn columns_of_a_crd() {
    let columns = Columns::from_crd(&json!([
        {"name": "Spec", "type": "string", "jsonPath": ".spec.cronSpec"},
        {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas", "priority": 1},
        {"name": "Since", "type": "date", "jsonPath": ".status.at"},
        {"name": "List", "type": "string", "jsonPath": ".spec.list"},
        {"name": "None", "type": "string", "jsonPath": ".spec.none"}]))
    .unwrap();
    let object = json!({"metadata": {"name": "x"}, "spec": {"cronSpec": "*", "replicas": 2, "list": [1, 2]}, "status": {"at": "2026-01-01T23:59:00Z"}});
    let table =
        columns.table([&object], json!({"resourceVersion": "7"}), NOW.parse().unwrap(), IncludeObject::Metadata);
    assert_eq!(table["rows"][0]["cells"], json!(["x", "*", 2, "60s", "[1,2]", null]));
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(table["columnDefinitions"][2]["priority"], 1);
    assert_eq!(table["metadata"]["resourceVersion"], "7");
    assert!(Columns::from_crd(&json!([{"name": "x", "type": "string", "jsonPath": ".a["}])).is_err());
    assert_eq!(Columns::from_crd(&Value::Null).unwrap().definitions().as_array().unwrap().len(), 2);
}

#[test]
fn every_kind_prints_an_empty_object() {
    for (group, _, kind) in crate::Schemas::builtin().kinds() {
        let row =
            Columns::of_kind(group, kind).row(&json!({"kind": kind}), NOW.parse().unwrap(), IncludeObject::Object);
        assert!(row["cells"].is_array(), "{kind}");
    }
}
