//! What the tests of this room share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;
use maru_apiserver::testing::{self, TestServer};
use maru_auth::{CertificateAuthority, ClientAuth, Identity, ServerNames};
use serde_json::{Value, json};

/// A server with a client of its administrator.
pub(crate) struct Cluster {
    pub(crate) server: TestServer,
    pub(crate) client: kube::Client,
    pub(crate) directory: tempfile::TempDir,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = testing::start(directory.path()).await;
        let client = maru_client::in_process(&server.handler, &Identity::new("admin", &[Identity::MASTERS]));
        Self { server, client, directory }
    }

    /// Sends a request as the administrator and returns status and body.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        let (status, _, bytes) =
            self.send_as(&Identity::new("admin", &[Identity::MASTERS]), method, path, headers, body).await;
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub(crate) async fn send_as(
        &self,
        identity: &Identity,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, http::HeaderMap, bytes::Bytes) {
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(maru_http::full(body.to_owned())).unwrap();
        request.extensions_mut().insert(identity.clone());
        let response = self.server.handler.call(request).await;
        let (parts, body) = response.into_parts();
        let bytes = maru_http::collect_limited(body, 64 * 1024 * 1024).await.unwrap();
        (parts.status.as_u16(), parts.headers, bytes)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send("POST", path, &[("content-type", "application/json")], &body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send("PUT", path, &[("content-type", "application/json")], &body.to_string()).await
    }

    pub(crate) async fn merge(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send("PATCH", path, &[("content-type", "application/merge-patch+json")], &body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        self.send("DELETE", path, &[], "").await
    }
}

/// The server's listener, with the authority that clients trust.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    pub(crate) authority: Arc<CertificateAuthority>,
}

impl Listening {
    pub(crate) async fn start(cluster: &Cluster) -> Self {
        let authority =
            CertificateAuthority::load_or_create(&cluster.directory.path().join("ca"), maru_time::system_clock())
                .unwrap();
        let names = ServerNames { dns: vec!["localhost".to_owned()], ips: vec!["127.0.0.1".parse().unwrap()] };
        let tls = authority.server_tls(names, ClientAuth::Optional).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        cluster.server.server.serve(listener, tls);
        Self { address, authority }
    }

    /// A kubeconfig whose user has a certificate or a token.
    pub(crate) fn kubeconfig(&self, user: Value) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": format!("https://{}", self.address),
                "certificate-authority-data": STANDARD.encode(self.authority.certificate_pem()),
            }}],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "default"}}],
        })
    }

    pub(crate) fn certificate_user(&self, user: &str, groups: &[&str]) -> Value {
        let issued = self.authority.issue_client(user, groups, Duration::from_secs(3600)).unwrap();
        json!({
            "client-certificate-data": STANDARD.encode(&issued.certificate_pem),
            "client-key-data": STANDARD.encode(issued.key_pem.reveal()),
        })
    }

    pub(crate) fn certificate_client(&self, user: &str, groups: &[&str]) -> kube::Client {
        self.client(self.certificate_user(user, groups))
    }

    pub(crate) fn token_client(&self, token: Option<&str>) -> kube::Client {
        self.client(token.map_or_else(|| json!({}), |token| json!({"token": token})))
    }

    fn client(&self, user: Value) -> kube::Client {
        let kubeconfig: kube::config::Kubeconfig = serde_json::from_value(self.kubeconfig(user)).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).now_or_never().unwrap().unwrap();
        kube::Client::try_from(config).unwrap()
    }
}
