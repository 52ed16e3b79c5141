//! Which pods are bound and why others wait, by tables.

use serde_json::{Value, json};

use super::*;
use crate::pods::tests::{merge, pod};

fn node(extra: Value) -> Option<Arc<Node>> {
    let mut value = json!({
        "metadata": {"name": "n1", "labels": {"kubernetes.io/hostname": "n1"}},
        "status": {"allocatable": {"cpu": "2", "memory": "4Gi", "pods": "10"}, "conditions": [{"type": "Ready", "status": "True"}]},
    });
    merge(&mut value, extra);
    Some(Arc::new(serde_json::from_value(value).unwrap()))
}

fn wants(name: &str, cpu: &str, extra: Value) -> Arc<Pod> {
    let mut value = json!({"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}});
    merge(&mut value, extra);
    pod(name, value)
}

fn told(observed: &Observed) -> Vec<String> {
    plan(observed)
        .into_iter()
        .map(|action| match action {
            Action::Bind(pod) => format!("bind {}", pod.name()),
            Action::SelectNode(claim) => format!("select for {}", claim.name()),
            Action::Refuse { pod, message, .. } => format!("refuse {}: {message}", pod.name()),
        })
        .collect()
}

fn seen(pods: Vec<Arc<Pod>>) -> Observed {
    Observed { node: node(json!({})), pods, ..Observed::default() }
}

#[test]
fn pods_take_the_room_in_order_of_priority() {
    let pods = vec![
        wants("a-low", "1500m", json!({})),
        wants("b-high", "1", json!({"spec": {"priority": 100}})),
        wants("c-small", "500m", json!({})),
        wants("running", "500m", json!({"spec": {"nodeName": "n1"}})),
        wants("ended", "2", json!({"spec": {"nodeName": "n1"}, "status": {"phase": "Succeeded"}})),
    ];
    let expected = ["bind b-high", "refuse a-low: 0/1 nodes are available: 1 Insufficient cpu.", "bind c-small"];
    assert_eq!(told(&seen(pods)), expected);
}

#[test]
fn what_was_said_already_is_not_said_again() {
    let message = "0/1 nodes are available: 1 Insufficient cpu.";
    let condition = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]);
    let told = told(&seen(vec![wants("a", "3", json!({"status": {"conditions": condition}}))]));
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn each_reason_against_a_node_is_named() {
    let port = json!([{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]);
    let taken =
        pod("taken", json!({"metadata": {"labels": {"app": "db"}}, "spec": {"nodeName": "n1", "containers": port}}));
    let term = json!([{"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "kubernetes.io/hostname"}]);
    let anti = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}});
    let with = json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}});
    let without_match = json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
        [{"labelSelector": {"matchLabels": {"app": "none"}}, "topologyKey": "kubernetes.io/hostname"}]}});
    let cases = [
        (json!({}), json!({}), "bind p"),
        (json!({}), json!({"nodeSelector": {"disk": "ssd"}}), "node(s) didn't match Pod's node affinity/selector"),
        (json!({"spec": {"unschedulable": true}}), json!({}), "node(s) were unschedulable"),
        (
            json!({"spec": {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}}),
            json!({}),
            "node(s) had untolerated taint {k: v}",
        ),
        (
            json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}),
            json!({}),
            "node(s) had untolerated taint {node.kubernetes.io/not-ready: }",
        ),
        (json!({"status": {"allocatable": {"pods": "1"}}}), json!({}), "Too many pods"),
        (json!({}), json!({"containers": port}), "node(s) didn't have free ports for the requested pod ports"),
        (json!({}), json!({"affinity": anti}), "node(s) didn't match pod anti-affinity rules"),
        (json!({}), json!({"affinity": with}), "bind p"),
        (json!({}), json!({"affinity": without_match}), "node(s) didn't match pod affinity rules"),
        (
            json!({}),
            json!({"schedulingGates": [{"name": "wait"}]}),
            "Scheduling is blocked due to non-empty scheduling gates",
        ),
    ];
    for (on_node, spec, expected) in cases {
        let waiting = pod("p", json!({"spec": spec}));
        let waiting = if waiting.spec.as_ref().is_some_and(|spec| !spec.containers.is_empty()) {
            waiting
        } else {
            let mut with_containers = json!({"spec": {"containers": [{"name": "c"}]}});
            merge(&mut with_containers, json!({"spec": spec}));
            pod("p", with_containers)
        };
        let observed = Observed { node: node(on_node), pods: vec![Arc::clone(&taken), waiting], ..Observed::default() };
        let told = told(&observed);
        assert!(told.len() == 1 && told.iter().all(|told| told.contains(expected)), "{spec}: {told:?}");
    }
}

#[test]
fn without_a_node_pods_are_told_so() {
    let observed = Observed { pods: vec![wants("a", "1", json!({}))], ..Observed::default() };
    assert_eq!(told(&observed), ["refuse a: no nodes available to schedule pods"]);
}

#[test]
fn other_schedulers_pods_and_assumed_ones_are_left_alone() {
    let mut observed = seen(vec![
        wants("a", "1", json!({"spec": {"schedulerName": "other"}})),
        wants("b", "2", json!({})),
        wants("c", "1", json!({})),
    ]);
    observed.assumed.insert("uid-b".to_owned());
    assert_eq!(told(&observed), ["refuse c: 0/1 nodes are available: 1 Insufficient cpu."]);
}

/// The claim, the binding mode of its class, and what is done.
type ClaimCase = (Option<Arc<PersistentVolumeClaim>>, &'static str, Vec<&'static str>);

#[test]
fn claims_that_wait_for_a_consumer_get_the_node_first() {
    let uses = json!({"spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}});
    let claim = |extra: Value| -> Arc<PersistentVolumeClaim> {
        let mut value = json!({"metadata": {"name": "data", "namespace": "shop", "uid": "c"}, "spec": {"storageClassName": "local-path"}});
        merge(&mut value, extra);
        Arc::new(serde_json::from_value(value).unwrap())
    };
    let class = |mode: &str| -> Arc<StorageClass> {
        Arc::new(
            serde_json::from_value(
                json!({"metadata": {"name": "local-path"}, "provisioner": "p", "volumeBindingMode": mode}),
            )
            .unwrap(),
        )
    };
    let selected = json!({"metadata": {"annotations": {SELECTED_NODE: "n1"}}});
    let bound = json!({"spec": {"volumeName": "pv"}, "metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}, "status": {"phase": "Bound"}});
    let cases: Vec<ClaimCase> = vec![
        (None, "WaitForFirstConsumer", vec!["refuse a: persistentvolumeclaim \"data\" not found"]),
        (Some(claim(json!({}))), "Immediate", vec!["refuse a: pod has unbound immediate PersistentVolumeClaims"]),
        (Some(claim(json!({}))), "WaitForFirstConsumer", vec!["select for data"]),
        (Some(claim(selected)), "WaitForFirstConsumer", vec![]),
        (Some(claim(bound)), "WaitForFirstConsumer", vec!["bind a"]),
    ];
    for (claim, mode, expected) in cases {
        let mut observed = seen(vec![wants("a", "1", uses.clone())]);
        observed.claims.extend(claim.map(|claim| (Key::new("shop", "data"), claim)));
        observed.classes.insert("local-path".to_owned(), class(mode));
        assert_eq!(told(&observed), expected, "{mode}");
    }
}
