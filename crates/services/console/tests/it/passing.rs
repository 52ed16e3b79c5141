//! What goes on to the API and to other rooms, and as whom.

use maru_auth::Identity;
use serde_json::{Value, json};

use crate::support::{Desk, administrator, let_view};

#[tokio::test]
async fn a_user_may_through_the_console_what_the_api_lets_them() {
    let desk = Desk::start().await;
    let_view(&desk, "kim").await;
    let cookie = desk.login("kim", &[]).await;
    let kim = Identity::new("kim", &[]);
    let config = json!({"metadata": {"name": "c"}, "data": {"a": "b"}});
    let review =
        json!({"spec": {"resourceAttributes": {"verb": "create", "resource": "pods", "namespace": "default"}}});
    for (method, path, body) in [
        ("GET", "/api/v1/namespaces/default/configmaps", Value::Null),
        ("GET", "/api/v1/namespaces/default/secrets", Value::Null),
        ("GET", "/api/v1/nodes", Value::Null),
        ("GET", "/apis/apps/v1/deployments?limit=5", Value::Null),
        ("GET", "/apis/none.example/v1/things", Value::Null),
        ("POST", "/api/v1/namespaces/default/configmaps", config),
        ("DELETE", "/api/v1/namespaces/default", Value::Null),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review),
        ("GET", "/openapi/v3", Value::Null),
        ("GET", "/version", Value::Null),
        ("GET", "/readyz", Value::Null),
    ] {
        let (status, answer) = desk.direct(&kim, method, path, &body).await;
        let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io"), ("content-type", "application/json")];
        // Lists of Secrets are for metadata and tables alone; what is refused is refused in the same words.
        let headers = if path.ends_with("secrets") { &table[..] } else { &table[1..] };
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let reply = desk.send(&cookie, method, path, headers, &text).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        if status >= 400 {
            assert_eq!(reply.json(), answer, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn writes_patches_and_dry_runs_arrive_as_they_were_sent() {
    let desk = Desk::start().await;
    let cookie = desk.admin().await;
    let path = "/api/v1/namespaces/default/configmaps/c?fieldManager=console&force=true&dryRun=All";
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  text: 한글\n";
    let headers = [("content-type", "application/apply-patch+yaml")];
    let tried = desk.send(&cookie, "PATCH", path, &headers, yaml).await;
    assert_eq!((tried.status, &tried.json()["metadata"]["managedFields"][0]["manager"]), (201, &json!("console")));
    assert_eq!(desk.get(&cookie, "/api/v1/namespaces/default/configmaps/c").await.status, 404);
    let done = desk.send(&cookie, "PATCH", path.trim_end_matches("&dryRun=All"), &headers, yaml).await;
    assert_eq!(done.status, 201, "{}", done.text());
    let (_, stored) =
        desk.direct(&administrator(), "GET", "/api/v1/namespaces/default/configmaps/c", &Value::Null).await;
    assert_eq!(stored["data"]["text"], "한글");
}

#[tokio::test]
async fn other_rooms_are_for_those_whose_roles_say_so() {
    let desk = Desk::start().await;
    let cookie = desk.login("kim", &["watchers"]).await;
    assert_eq!(desk.get(&cookie, "/console/v1/session").await.json()["rooms"], json!({}));
    let refused = desk.get(&cookie, "/prometheus/api/v1/query").await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("User \\\"kim\\\" cannot get path \\\"/maru/metrics\\\""), "{}", refused.text());

    let role = json!({
        "metadata": {"name": "watchers"},
        "rules": [
            {"nonResourceURLs": ["/maru/metrics"], "verbs": ["get"]},
            {"nonResourceURLs": ["/maru/alerts"], "verbs": ["get", "post"]},
        ],
    });
    desk.create("/apis/rbac.authorization.k8s.io/v1/clusterroles", &role).await;
    let binding = json!({
        "metadata": {"name": "watchers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "watchers"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "watchers"}],
    });
    desk.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await;
    // A new session knows at once; an old one within seconds.
    let cookie = desk.login("kim", &["watchers"]).await;
    let rooms = &desk.get(&cookie, "/console/v1/session").await.json()["rooms"];
    assert_eq!(rooms, &json!({"prometheus": "/prometheus", "alertmanager": "/alertmanager"}));
    for (method, path, status) in [
        ("GET", "/prometheus/api/v1/query", 200),
        ("POST", "/prometheus/api/v1/query", 200),
        ("GET", "/alertmanager/api/v2/silences", 200),
        ("POST", "/alertmanager/api/v2/silences", 200),
        ("POST", "/alertmanager/-/reload", 403),
        ("GET", "/prometheus/own", 403),
    ] {
        assert_eq!(desk.send(&cookie, method, path, &[], "").await.status, status, "{method} {path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_and_what_is_not_possible_too() {
    let desk = Desk::start().await;
    let cookie = desk.admin().await;
    for (method, path, status) in [
        ("GET", "/console/v1/none", 404),
        ("PUT", "/console/v1/session", 405),
        ("POST", "/", 405),
        ("DELETE", "/assets/x.js", 405),
        ("POST", "/login?code=x", 405),
        ("GET", "/apis/none/v1/x", 404),
    ] {
        let reply = desk.send(&cookie, method, path, &[], "").await;
        assert_eq!(reply.status, status, "{method} {path}");
        assert_eq!(reply.json()["kind"], "Status", "{method} {path}");
    }
}

#[tokio::test]
async fn what_it_does_is_counted() {
    let desk = Desk::start().await;
    let cookie = desk.admin().await;
    assert_eq!(desk.get(&cookie, "/version").await.status, 200);
    let text = desk.registry.render();
    for line in [
        "maru_console_requests_total{route=\"api\",code=\"200\"} 1",
        "maru_console_requests_total{route=\"login\",code=\"303\"} 1",
        "maru_console_sessions{kind=\"link\"} 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}
