//! kubectl as people use it.

use maru_tests::{System, can_run};

use super::WEB;

#[test]
fn kubectl_applies_scales_restarts_and_deletes() {
    if !can_run(&["busybox", "nft", "kubectl"]) {
        return;
    }
    let system = System::start();
    let file = system.folder().write("web.yaml", WEB);
    let file = file.to_string_lossy().into_owned();
    assert!(system.kubectl(&["apply", "-f", &file]).contains("deployment.apps/web created"));
    assert!(
        system.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]).contains("successfully rolled out")
    );
    assert!(system.kubectl(&["apply", "-f", &file]).contains("deployment.apps/web unchanged"));
    let wide = system.kubectl(&["get", "pods", "-o", "wide"]);
    assert!(wide.contains("NODE") && wide.contains("10.42.0."), "{wide}");
    system.kubectl(&["scale", "deployment/web", "--replicas=3"]);
    system.kubectl(&["wait", "--for=jsonpath={.status.readyReplicas}=3", "deployment/web", "--timeout=60s"]);
    system.kubectl(&["label", "deployment/web", "tier=front"]);
    system.kubectl(&["rollout", "restart", "deployment/web"]);
    system.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    system.kubectl(&["set", "image", "deployment/web", "web=test/missing"]);
    system.wait("the missing image to be told", || {
        let pods = system.kubectl(&["get", "pods"]);
        pods.contains("ImagePullBackOff") || pods.contains("ErrImagePull")
    });
    system.kubectl(&["rollout", "undo", "deployment/web"]);
    system.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    system.kubectl(&["wait", "--for=condition=Available", "deployment/web", "--timeout=60s"]);
    let described = system.kubectl(&["describe", "deployment", "web"]);
    assert!(described.contains("NewReplicaSet") && described.contains("ScalingReplicaSet"), "{described}");
    assert!(system.kubectl(&["logs", "deployment/web"]).contains("started"));
    assert_eq!(system.kubectl(&["exec", "deployment/web", "--", "cat", "/proc/1/comm"]).trim(), "httpd");
    assert!(system.kubectl(&["explain", "deployment.spec.replicas"]).contains("integer"));
    system.kubectl(&["delete", "-f", &file]);
    system.wait("everything to be gone", || system.kubectl(&["get", "pods", "-o", "name"]).trim().is_empty());
}

#[test]
fn kubectl_applies_on_the_server_and_creates_by_protobuf() {
    if !can_run(&["busybox", "nft", "kubectl"]) {
        return;
    }
    let system = System::start();
    let file = system.folder().write("web.yaml", WEB);
    let file = file.to_string_lossy().into_owned();
    system.kubectl(&["apply", "--server-side", "-f", &file]);
    system.kubectl(&["create", "configmap", "settings", "--from-literal=colour=blue"]);
    assert_eq!(system.kubectl(&["get", "configmap", "settings", "-o", "jsonpath={.data.colour}"]), "blue");
    system.kubectl(&["create", "namespace", "other"]);
    system.kubectl(&["create", "deployment", "small", "-n", "other", "--image=test/busybox", "--", "sleep", "1000"]);
    assert_eq!(system.kubectl(&["auth", "can-i", "delete", "pods"]).trim(), "yes");
    assert!(system.kubectl(&["create", "token", "default"]).trim().split('.').count() == 3);
    assert!(system.kubectl(&["diff", "--server-side", "-f", &file]).is_empty());
    // Another manager's field is a conflict that names it.
    let other = WEB.replace("replicas: 2", "replicas: 5");
    let other = system.folder().write("other.yaml", other);
    let refused =
        system.try_kubectl(&["apply", "--server-side", "--field-manager=other", "-f", &other.to_string_lossy()]);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && message.contains(".spec.replicas"), "{message}");
    system.kubectl(&["delete", "namespace", "other", "--timeout=60s"]);
}

#[test]
fn a_debugger_joins_a_running_pod() {
    if !can_run(&["busybox", "nft", "kubectl"]) {
        return;
    }
    let system = System::start();
    let file = system.folder().write("web.yaml", WEB.replace("replicas: 2", "replicas: 1"));
    system.kubectl(&["apply", "-f", &file.to_string_lossy()]);
    system.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    let pod = system.kubectl(&["get", "pods", "-o", "jsonpath={.items[0].metadata.name}"]);
    let script = "wget -q -O - http://127.0.0.1:8080/; ps | grep -c httpd; sleep 600";
    let debug = [
        "debug",
        &pod,
        "--image=test/busybox",
        "--image-pull-policy=IfNotPresent",
        "-c",
        "look",
        "--target=web",
        "--",
        "sh",
        "-c",
        script,
    ];
    system.kubectl(&debug);
    system.wait("the debugger to see the program", || {
        let logs = system.try_kubectl(&["logs", &pod, "-c", "look"]);
        let seen = String::from_utf8_lossy(&logs.stdout).into_owned();
        seen.contains(pod.as_str()) && seen.lines().any(|line| line.parse::<u32>().is_ok_and(|count| count >= 2))
    });
    let restarts = system.kubectl(&["get", "pod", &pod, "-o", "jsonpath={.status.containerStatuses[0].restartCount}"]);
    assert_eq!(restarts, "0");
    assert_eq!(system.kubectl(&["exec", &pod, "-c", "look", "--", "echo", "here"]).trim(), "here");
}
