//! What goes wrong, and what is said about it.

use maru_tests::{System, can_run};

#[test]
fn a_second_start_and_taken_ports_are_refused_with_the_way_out() {
    if !can_run(&["busybox", "nft"]) {
        return;
    }
    let system = System::start();
    let second = system.refused(&["up"]);
    assert!(second.contains("already runs") && second.contains("--data"), "{second}");
    let mut elsewhere = System::command_on(&system.folder().join("other"), &["up", "--node-name", "node"]);
    elsewhere.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let output = system.host().spawn(&mut elsewhere).wait_with_output().expect("it ends");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success() && said.contains("6443") && said.contains("--api-port"), "{said}");
}

#[test]
fn broken_pods_say_what_is_wrong() {
    if !can_run(&["busybox", "nft"]) {
        return;
    }
    let system = System::start();
    system.apply(
        r#"
apiVersion: v1
kind: Pod
metadata: {name: no-image}
spec: {containers: [{name: main, image: "test/never-built", imagePullPolicy: Never}]}
---
apiVersion: v1
kind: Pod
metadata: {name: crashing}
spec: {containers: [{name: main, image: test/busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "echo oops; exit 3"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: no-command}
spec: {restartPolicy: Never, containers: [{name: main, image: test/busybox, imagePullPolicy: IfNotPresent, command: [/not/there]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: no-config}
spec: {containers: [{name: main, image: test/busybox, imagePullPolicy: IfNotPresent, command: [sleep, "9"], envFrom: [{configMapRef: {name: absent}}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec: {restartPolicy: Never, containers: [{name: main, image: test/busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "head -c 200m /dev/zero | tail"], resources: {limits: {memory: 32Mi}}}]}
"#,
    );
    for (pod, reason) in [
        ("no-image", "ErrImageNeverPull"),
        ("crashing", "CrashLoopBackOff"),
        ("no-config", "CreateContainerConfigError"),
        ("greedy", "OOMKilled"),
    ] {
        system.wait(&format!("{pod} to be {reason}"), || system.maru(&["get", "pod", pod]).contains(reason));
    }
    system.wait("the missing command to be named", || {
        let pod = system.object("default", "pod", "no-command").to_string();
        pod.contains("/not/there")
            && (pod.contains("StartError") || pod.contains("ContainerCannotRun") || pod.contains("RunContainerError"))
    });
    assert_eq!(system.maru(&["logs", "crashing", "--previous"]).trim(), "oops");
    let described = system.maru(&["describe", "pod", "no-config"]);
    assert!(described.contains("absent"), "{described}");
}

#[test]
fn wrong_manifests_and_missing_credentials_are_refused() {
    if !can_run(&["busybox", "nft", "curl"]) {
        return;
    }
    let system = System::start();
    let wrong = |text: &str| {
        let file = system.folder().write("wrong.yaml", text);
        system.refused(&["apply", "-f", &file.to_string_lossy()])
    };
    let unknown = wrong("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndatas: {}\n");
    assert!(unknown.contains("datas"), "{unknown}");
    let incomplete = wrong("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: main}]}\n");
    assert!(incomplete.contains("spec.containers[0].image"), "{incomplete}");
    let no_kind = wrong("apiVersion: v1\nkind: Podd\nmetadata: {name: a}\n");
    assert!(no_kind.contains("Podd"), "{no_kind}");
    let api = "https://127.0.0.1:6443/api/v1/pods";
    let (status, body) = system.http(api, &[]);
    assert!(matches!(status, 401 | 403), "{status} {body}");
    let (status, body) = system.http(api, &["-H", "Authorization: Bearer not-a-token"]);
    assert_eq!(status, 401, "{body}");
    assert!(body.contains("\"reason\":\"Unauthorized\""), "{body}");
    assert_eq!(system.http("https://127.0.0.1:6443/healthz", &[]).0, 200);
}
