//! What goes wrong, and what is said about it.

use std::time::Duration;

use maru_auth::{TokenIssuer, TokenSpec};
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

#[test]
fn an_expired_token_is_refused_though_the_servers_own_key_signed_it() {
    if !can_run(&["busybox", "nft", "curl"]) {
        return;
    }
    let system = System::start();
    let account = system.object("default", "serviceaccount", "default");
    let spec = TokenSpec {
        namespace: "default".to_owned(),
        service_account: "default".to_owned(),
        uid: account["metadata"]["uid"].as_str().unwrap_or_default().to_owned(),
        audiences: Vec::new(),
        lifetime: Duration::from_secs(600),
        bound: None,
    };
    let ask = |hours_ago: i64| {
        let then = maru_time::system_clock().now().as_second() - hours_ago * 3600;
        let clock = maru_time::TestClock::new(maru_time::Timestamp::from_second(then).expect("a time"));
        let issuer = TokenIssuer::load_or_create(&system.data().join("keys"), clock).expect("the key");
        let (token, _) = issuer.issue(&spec).expect("a token");
        let header = format!("Authorization: Bearer {}", token.reveal());
        system.http("https://127.0.0.1:6443/api/v1/namespaces/default/pods", &["-H", &header])
    };
    // A token of now is known, and may not see pods; one of yesterday is nobody's.
    let (status, body) = ask(0);
    assert_eq!(status, 403, "{body}");
    assert!(body.contains("system:serviceaccount:default:default"), "{body}");
    let (status, body) = ask(24);
    assert_eq!(status, 401, "{body}");
}

#[test]
fn a_full_disk_refuses_writes_loses_nothing_and_heals() {
    if !can_run(&["busybox", "nft"]) {
        return;
    }
    let mut system = System::new();
    let data = system.data().to_string_lossy().into_owned();
    std::fs::create_dir_all(&data).expect("the folder can be made");
    system.host().output("mount", &["-t", "tmpfs", "-o", "size=600m", "maru-test", &data]);
    system.build_image();
    system.up();
    system.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: before}\ndata: {a: kept}\n");
    let filler = format!("{data}/filler");
    let mut fill = std::process::Command::new("dd");
    fill.args(["if=/dev/zero", &format!("of={filler}"), "bs=4k"]).stderr(std::process::Stdio::null());
    let filled = system.host().spawn(&mut fill).wait().expect("it ends");
    assert!(!filled.success(), "the disk did not fill");
    let body = "x".repeat(200_000);
    let manifest =
        |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: {body}}}\n");
    let file = system.folder().write("large.yaml", manifest("refused"));
    let refused = system.refused(&["apply", "-f", &file.to_string_lossy()]);
    assert!(refused.contains("space") || refused.contains("full"), "{refused}");
    // What was there is still served, by a server that still runs.
    assert_eq!(system.object("default", "configmap", "before")["data"]["a"], "kept");
    system.host().output("rm", &[&filler]);
    let file = system.folder().write("after.yaml", manifest("after"));
    system.wait("writes to be taken again", || {
        system.try_maru(&["apply", "-f", &file.to_string_lossy()]).status.success()
    });
    system.kill();
    system.up();
    assert_eq!(system.object("default", "configmap", "before")["data"]["a"], "kept");
    assert_eq!(system.object("default", "configmap", "after")["data"]["a"], body.as_str());
    assert!(system.refused(&["get", "configmap", "refused"]).contains("not found"));
    system.maru(&["down"]);
    system.host().output("umount", &[&data]);
}
