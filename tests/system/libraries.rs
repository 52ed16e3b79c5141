//! Programs that speak to the API through a client library.

use std::process::{Command, Stdio};

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, AttachParams, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{WatchStreamExt as _, watcher};
use maru_tests::{PATIENCE, System, can_run};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[test]
#[expect(clippy::disallowed_methods, reason = "tests are configured by their environment")]
fn the_python_client_walks_through_the_api() {
    if !can_run(&["busybox", "nft"]) {
        return;
    }
    let Ok(python) = std::env::var("MARU_PYTHON_CLIENT") else {
        println!("skipped: MARU_PYTHON_CLIENT names no Python with the Kubernetes client (tools/python-client)");
        return;
    };
    let system = System::start();
    let mut walk = Command::new(python);
    walk.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/clients/walk.py"))
        .arg(system.data().join("admin.kubeconfig"))
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = system.host().spawn(&mut walk).wait_with_output().expect("it ends");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("done"), "{said}\nserver log:\n{}", system.server_log());
}

fn shell(name: &str, script: &str) -> Pod {
    let container = json!({
        "name": "main", "image": "test/busybox", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script],
    });
    let spec = json!({"terminationGracePeriodSeconds": 1, "containers": [container]});
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).expect("a pod")
}

#[test]
fn kube_rs_walks_through_the_api_over_tls() {
    if !can_run(&["busybox", "nft"]) {
        return;
    }
    let system = System::start();
    let kubeconfig = system.data().join("admin.kubeconfig");
    system.host().block_on(async {
        tokio::time::timeout(2 * PATIENCE, walk(&kubeconfig)).await.expect("the walk ends");
    });
}

async fn walk(kubeconfig: &std::path::Path) {
    let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).expect("the kubeconfig is one");
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
        .await
        .expect("the kubeconfig is whole");
    let client = kube::Client::try_from(config).expect("a client");
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let server = "mkdir -p /www; echo page > /www/index.html; echo started; exec httpd -f -p 127.0.0.1:8080 -h /www";
    pods.create(&PostParams::default(), &shell("web", server)).await.expect("it is created");
    let again = pods.create(&PostParams::default(), &shell("web", server)).await.expect_err("it is there");
    assert!(matches!(again, kube::Error::Api(status) if status.is_already_exists()));
    await_condition(pods.clone(), "web", conditions::is_pod_running()).await.expect("it runs");
    let logged = pods.logs("web", &kube::api::LogParams::default()).await.expect("its log");
    assert_eq!(logged, "started\n");

    let attach = AttachParams::default().stdin(true).stderr(false);
    let mut program = pods.exec("web", ["cat"], &attach).await.expect("a program");
    let mut input = program.stdin().expect("its input");
    input.write_all(b"through").await.expect("it takes input");
    drop(input);
    let mut out = vec![0; 7];
    program.stdout().expect("its output").read_exact(&mut out).await.expect("it answers");
    assert_eq!(out, b"through");
    program.abort();

    let mut forwarder = pods.portforward("web", &[8080]).await.expect("ports");
    let mut stream = forwarder.take_stream(8080).expect("the port");
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.expect("it takes a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    assert!(answer.ends_with("page\n"), "{answer}");
    drop(stream);
    forwarder.abort();

    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    let mut events = Box::pin(watcher(maps.clone(), watcher::Config::default()).default_backoff().applied_objects());
    let settings =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}});
    maps.patch("settings", &PatchParams::apply("walk"), &Patch::Apply(&settings)).await.expect("it is applied");
    while let Some(map) = events.try_next().await.expect("events") {
        if map.metadata.name.as_deref() == Some("settings") {
            break;
        }
    }
    let listed = maps.list(&ListParams::default().limit(1)).await.expect("a page");
    assert_eq!(listed.items.len(), 1);
    pods.delete("web", &DeleteParams::default()).await.expect("it goes");
    drop(events.next());
}
