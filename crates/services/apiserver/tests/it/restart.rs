//! What is on disk: everything but plain secrets, and it is there again after a restart.

use maru_apiserver::testing;
use maru_auth::Identity;
use serde_json::{Value, json};

async fn send(server: &testing::TestServer, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let mut request = http::Request::builder().method(method).uri(path).header("content-type", "application/json");
    request = request.header("user-agent", "test");
    let content = if body.is_null() { maru_http::empty() } else { maru_http::full(body.to_string()) };
    let mut request = request.body(content).unwrap();
    request.extensions_mut().insert(Identity::new("admin", &[Identity::MASTERS]));
    let response = server.handler.call(request).await;
    let status = response.status().as_u16();
    let bytes = maru_http::collect_limited(response.into_body(), 1 << 24).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

fn files_contain(directory: &std::path::Path, needle: &[u8]) -> bool {
    std::fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return files_contain(&path, needle);
        }
        std::fs::read(&path).unwrap().windows(needle.len()).any(|window| window == needle)
    })
}

#[tokio::test]
async fn a_restart_changes_nothing_and_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let definition = json!({
        "metadata": {"name": "boxes.example.com"},
        "spec": {
            "group": "example.com", "scope": "Cluster", "names": {"kind": "Box", "plural": "boxes"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    });
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"password": "correct-horse"}});
    let map = json!({"metadata": {"name": "m"}, "data": {"open": "battery-staple"}});
    let server = testing::start(directory.path()).await;
    for (path, object) in [
        ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition),
        ("/api/v1/namespaces/default/secrets", &secret),
        ("/api/v1/namespaces/default/configmaps", &map),
        ("/apis/example.com/v1/boxes", &json!({"metadata": {"name": "b"}})),
    ] {
        let (status, body) = send(&server, "POST", path, object).await;
        assert_eq!(status, 201, "{body}");
    }
    let before = send(&server, "GET", "/api/v1/namespaces/default/secrets/s", &Value::Null).await.1;
    assert_eq!(before["data"]["password"], "Y29ycmVjdC1ob3JzZQ==");
    server.scope.shutdown(std::time::Duration::from_secs(5)).await.unwrap();
    server.store.close();
    drop(server);
    assert!(files_contain(directory.path(), b"battery-staple"));
    assert!(!files_contain(directory.path(), b"Y29ycmVjdC1ob3JzZQ=="), "secrets are sealed");
    assert!(!files_contain(directory.path(), b"correct-horse"));

    let server = testing::start(directory.path()).await;
    let after = send(&server, "GET", "/api/v1/namespaces/default/secrets/s", &Value::Null).await.1;
    assert_eq!(before, after);
    let (status, body) = send(&server, "GET", "/apis/example.com/v1/boxes/b", &Value::Null).await;
    assert_eq!(status, 200, "{body}");
    let revision = server.store.progress();
    server.store.close();
    drop(server);
    let server = testing::start(directory.path()).await;
    let list = server.store.list("namespaces", None);
    assert!(
        list.records.iter().all(|record| record.revision <= revision),
        "a start writes nothing that is there already"
    );
}
