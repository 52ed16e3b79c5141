//! Over real TLS: who a request is from, what it may do.

use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::{Api, ListParams, PostParams};
use serde_json::json;

use crate::support::{Cluster, Listening};

#[tokio::test]
async fn a_client_certificate_names_user_and_groups() {
    let cluster = Cluster::start().await;
    let listening = Listening::start(&cluster).await;
    let admin = listening.certificate_client("admin", &["system:masters"]);
    let maps: Api<ConfigMap> = Api::namespaced(admin, "default");
    maps.list(&ListParams::default()).await.unwrap();
    let nobody = listening.certificate_client("nobody", &["strangers"]);
    let maps: Api<ConfigMap> = Api::namespaced(nobody, "default");
    let error = maps.list(&ListParams::default()).await.unwrap_err();
    let kube::Error::Api(status) = error else { panic!("{error:?}") };
    assert_eq!(status.code, 403);
    assert_eq!(
        status.message,
        "configmaps is forbidden: User \"nobody\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\""
    );
}

#[tokio::test]
async fn strangers_see_health_and_version_only() {
    let cluster = Cluster::start().await;
    let listening = Listening::start(&cluster).await;
    let anonymous = listening.token_client(None);
    let text = anonymous.request_text(http::Request::get("/readyz?verbose").body(Vec::new()).unwrap()).await.unwrap();
    assert!(text.contains("[+]ping ok\n") && text.ends_with("readyz check passed\n"), "{text}");
    anonymous.apiserver_version().await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(anonymous, "default");
    let error = maps.list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(&error, kube::Error::Api(status) if status.code == 403), "{error:?}");
    let wrong = listening.token_client(Some("wrong"));
    let maps: Api<ConfigMap> = Api::namespaced(wrong, "default");
    let error = maps.list(&ListParams::default()).await.unwrap_err();
    assert!(
        matches!(&error, kube::Error::Api(status) if status.code == 401 && status.reason == "Unauthorized"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_bound_token_ends_with_its_pod() {
    let cluster = Cluster::start().await;
    let listening = Listening::start(&cluster).await;
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let (status, pod) = cluster.post("/api/v1/namespaces/default/pods", &pod).await;
    assert_eq!(status, 201, "{pod}");
    let request = json!({"spec": {"expirationSeconds": 600, "boundObjectRef": {"kind": "Pod", "name": "p", "uid": pod["metadata"]["uid"]}}});
    let (status, token) = cluster.post("/api/v1/namespaces/default/serviceaccounts/default/token", &request).await;
    assert_eq!(status, 201, "{token}");
    let token = token["status"]["token"].as_str().unwrap();
    let role = json!({"metadata": {"name": "reader"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]});
    let (status, body) = cluster.post("/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles", &role).await;
    assert_eq!(status, 201, "{body}");
    let maps: Api<ConfigMap> = Api::namespaced(listening.token_client(Some(token)), "default");
    assert!(
        matches!(maps.list(&ListParams::default()).await.unwrap_err(), kube::Error::Api(status) if status.code == 403)
    );
    let binding = json!({
        "metadata": {"name": "reader"},
        "roleRef": {"kind": "Role", "name": "reader", "apiGroup": "rbac.authorization.k8s.io"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
    });
    let (status, body) =
        cluster.post("/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", &binding).await;
    assert_eq!(status, 201, "{body}");
    maps.list(&ListParams::default()).await.unwrap();
    let (status, review) =
        cluster.post("/apis/authentication.k8s.io/v1/tokenreviews", &json!({"spec": {"token": token}})).await;
    assert_eq!(status, 201);
    assert_eq!(review["status"]["authenticated"], true, "{review}");
    assert_eq!(review["status"]["user"]["username"], "system:serviceaccount:default:default");
    let (status, body) = cluster.delete("/api/v1/namespaces/default/pods/p").await;
    assert_eq!(status, 200, "{body}");
    assert!(
        matches!(maps.list(&ListParams::default()).await.unwrap_err(), kube::Error::Api(status) if status.code == 401)
    );
}

#[tokio::test]
async fn nobody_grants_more_than_they_have() {
    let cluster = Cluster::start().await;
    let listening = Listening::start(&cluster).await;
    let (status, body) = cluster
        .post(
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            &json!({"metadata": {"name": "role-writer"}, "rules": [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["create", "get"]}]}),
        )
        .await;
    assert_eq!(status, 201, "{body}");
    let binding = json!({
        "metadata": {"name": "role-writer"},
        "roleRef": {"kind": "ClusterRole", "name": "role-writer", "apiGroup": "rbac.authorization.k8s.io"},
        "subjects": [{"kind": "User", "name": "jane"}],
    });
    let (status, body) = cluster.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await;
    assert_eq!(status, 201, "{body}");
    let jane = listening.certificate_client("jane", &[]);
    let roles: Api<k8s_openapi::api::rbac::v1::Role> = Api::namespaced(jane.clone(), "default");
    let secrets = serde_json::from_value(
        json!({"metadata": {"name": "s"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}),
    )
    .unwrap();
    let error = roles.create(&PostParams::default(), &secrets).await.unwrap_err();
    assert!(
        matches!(&error, kube::Error::Api(status) if status.code == 403 && status.message.contains("attempting to grant")),
        "{error:?}"
    );
    let own = serde_json::from_value(json!({"metadata": {"name": "o"}, "rules": [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["get"]}]})).unwrap();
    roles.create(&PostParams::default(), &own).await.unwrap();
}

#[tokio::test]
async fn acting_as_somebody_else_must_be_allowed() {
    let cluster = Cluster::start().await;
    let path = "/api/v1/namespaces/default/configmaps";
    let headers = [("impersonate-user", "jane"), ("impersonate-group", "devs")];
    let (status, body) = cluster.send("GET", path, &headers, "").await;
    assert_eq!(status, 403, "jane herself may not: {body}");
    assert!(body["message"].as_str().unwrap().contains("User \"jane\" cannot list"), "{body}");
    let nobody = maru_auth::Identity::new("nobody", &[]);
    let (status, _, body) = cluster.send_as(&nobody, "GET", path, &[("impersonate-user", "admin")], "").await;
    let text = String::from_utf8_lossy(&body).into_owned();
    assert_eq!(status, 403);
    assert!(text.contains("cannot impersonate resource \\\"users\\\""), "{text}");
    let (status, body) =
        cluster.send("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", &headers, "{}").await;
    assert_eq!((status, &body["status"]["userInfo"]["username"]), (201, &json!("jane")), "{body}");
}

#[tokio::test]
async fn an_account_token_names_its_account() {
    let cluster = Cluster::start().await;
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), "default");
    let request = serde_json::from_value(json!({"spec": {"audiences": []}})).unwrap();
    let token = accounts.create_token_request("default", &PostParams::default(), &request).await.unwrap();
    assert!(token.status.unwrap().token.unwrap().split('.').count() == 3);
}
