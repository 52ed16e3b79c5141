//! The gateway over a real API server, acting as the user that it acts as in a real one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use maru_apiserver::testing::{self, TestServer};
use maru_auth::Identity;
use maru_client::Client;
use maru_gateway::{Gateway, GatewayOptions, crds};
use maru_http::{Handler, Limits, Server};
use maru_task::Scope;
use maru_testkit::{TempDir, wait_for, wait_until};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

struct World {
    _directory: TempDir,
    server: TestServer,
    admin: Client,
    scope: Scope,
    gateway: Gateway,
}

impl Drop for World {
    fn drop(&mut self) {
        self.scope.cancel();
    }
}

fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

fn api(client: &Client, object: &Value) -> Api<DynamicObject> {
    let resource = resource(object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

async fn create(client: &Client, object: Value) {
    let parsed: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    api(client, &object).create(&PostParams::default(), &parsed).await.unwrap();
}

async fn install_crds(client: &Client) {
    for crd in crds() {
        create(client, crd).await;
    }
}

impl World {
    async fn start(listener_port_offset: u16) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let directory = TempDir::new();
        let server = testing::start(directory.path()).await;
        let admin = maru_client::as_user(&server.handler, "admin", &[Identity::MASTERS]);
        install_crds(&admin).await;
        let client = maru_client::as_user(&server.handler, "system:maru:gateway", &[]);
        let scope = Scope::root("test");
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let options = GatewayOptions {
            http_ports: vec![loopback(0)],
            https_ports: vec![loopback(0)],
            listener_address: IpAddr::from([127, 0, 0, 1]),
            listener_port_offset,
            threads: 2,
            published_address: Some(IpAddr::from([192, 0, 2, 7])),
            ..GatewayOptions::default()
        };
        let gateway = Gateway::start(scope.clone(), client, options).await.unwrap();
        Self { _directory: directory, server, admin, scope, gateway }
    }

    /// Starts an upstream that answers with its name, and a Service with its endpoint.
    async fn add_service(&self, name: &'static str) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let handler = Handler::new(move |_| async move { http::Response::new(maru_http::full(name)) });
        let server = Server { name, listener, tls: None, handler, limits: Limits::default() };
        drop(self.scope.spawn("upstream", maru_http::serve(self.scope.clone(), server)));
        create(
            &self.admin,
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
                "spec": {"ports": [{"name": "web", "port": 80}]},
            }),
        )
        .await;
        create(
            &self.admin,
            json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {
                    "name": format!("{name}-1"), "namespace": "default", "labels": {"kubernetes.io/service-name": name},
                },
                "addressType": "IPv4",
                "ports": [{"name": "web", "port": port, "protocol": "TCP"}],
                "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": true}}],
            }),
        )
        .await;
    }

    async fn ask(&self, host: &str) -> Option<(u16, String)> {
        ask_at(self.gateway.http_addresses()[0], host).await
    }

    async fn status(&self, api_version: &str, kind: &str, name: &str) -> Value {
        let object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"namespace": "default"}});
        api(&self.admin, &object).get(name).await.unwrap().data["status"].clone()
    }
}

async fn ask_at(address: SocketAddr, host: &str) -> Option<(u16, String)> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.get(format!("http://{address}/")).header("host", host).send().await.ok()?;
    let status = response.status().as_u16();
    Some((status, response.text().await.ok()?))
}

fn condition(conditions: &Value, kind: &str) -> String {
    let found = conditions.as_array().into_iter().flatten().find(|one| one["type"] == kind);
    found.map_or_else(|| "missing".to_owned(), |one| format!("{}/{}", one["status"], one["reason"]).replace('"', ""))
}

#[tokio::test]
async fn an_ingress_is_served_as_soon_as_it_is_written() {
    let world = World::start(0).await;
    world.add_service("one").await;
    world.add_service("two").await;
    // Our class is the default one: the gateway has made it.
    let classes = resource("networking.k8s.io/v1", "IngressClass");
    let classes: Api<DynamicObject> = Api::all_with(world.admin.clone(), &classes);
    wait_until(SOON, "the IngressClass", || async { classes.get("maru").await.is_ok() }).await;
    let mut ingress = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "shop", "namespace": "default"},
        "spec": {"rules": [{"host": "shop.example", "http": {"paths": [{
            "path": "/", "pathType": "Prefix", "backend": {"service": {"name": "one", "port": {"name": "web"}}},
        }]}}]},
    });
    create(&world.admin, ingress.clone()).await;
    wait_until(SOON, "the first service", || async {
        world.ask("shop.example").await == Some((200, "one".to_owned()))
    })
    .await;
    wait_until(SOON, "the Ingress' address", || async {
        let status = world.status("networking.k8s.io/v1", "Ingress", "shop").await;
        status["loadBalancer"]["ingress"][0]["ip"] == "192.0.2.7"
    })
    .await;
    ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = json!("two");
    let patch = Patch::Merge(&ingress);
    api(&world.admin, &ingress).patch("shop", &PatchParams::default(), &patch).await.unwrap();
    wait_until(SOON, "the second service", || async {
        world.ask("shop.example").await == Some((200, "two".to_owned()))
    })
    .await;
    api(&world.admin, &ingress).delete("shop", &kube::api::DeleteParams::default()).await.unwrap();
    wait_until(SOON, "no route", || async { world.ask("shop.example").await.is_some_and(|(status, _)| status == 404) })
        .await;
    assert!(!world.server.scope.is_cancelled());
}

#[tokio::test]
async fn a_gateway_and_its_route_are_served_and_say_so() {
    let port = maru_testkit::free_port();
    let world = World::start(port - 1).await;
    world.add_service("one").await;
    let listeners = json!([
        {"name": "web", "port": 80, "protocol": "HTTP"},
        {"name": "extra", "port": 1, "protocol": "HTTP"},
        {"name": "wrong", "port": 9000, "protocol": "TCP"},
    ]);
    let v1 = "gateway.networking.k8s.io/v1";
    create(
        &world.admin,
        json!({
            "apiVersion": v1, "kind": "Gateway", "metadata": {"name": "gate", "namespace": "default"},
            "spec": {"gatewayClassName": "maru", "listeners": listeners},
        }),
    )
    .await;
    create(
        &world.admin,
        json!({
            "apiVersion": v1, "kind": "HTTPRoute", "metadata": {"name": "route", "namespace": "default"},
            "spec": {
                "parentRefs": [{"name": "gate"}],
                "hostnames": ["shop.example"],
                "rules": [{"backendRefs": [{"name": "one", "port": 80}]}],
            },
        }),
    )
    .await;
    wait_until(SOON, "port 80", || async { world.ask("shop.example").await == Some((200, "one".to_owned())) }).await;
    let extra = SocketAddr::from(([127, 0, 0, 1], port));
    wait_until(SOON, "the other port", || async {
        ask_at(extra, "shop.example").await == Some((200, "one".to_owned()))
    })
    .await;
    let gateway = wait_for(SOON, "the Gateway's status", || async {
        let status = world.status(v1, "Gateway", "gate").await;
        (status["listeners"][0]["attachedRoutes"] == 1).then_some(status)
    })
    .await;
    assert_eq!(condition(&gateway["conditions"], "Programmed"), "True/Programmed");
    assert_eq!(condition(&gateway["conditions"], "Accepted"), "True/ListenersNotValid");
    assert_eq!(gateway["addresses"][0]["value"], "192.0.2.7");
    assert_eq!(condition(&gateway["listeners"][1]["conditions"], "Programmed"), "True/Programmed");
    assert_eq!(condition(&gateway["listeners"][2]["conditions"], "Accepted"), "False/UnsupportedProtocol");
    let route = wait_for(SOON, "the route's status", || async {
        let status = world.status(v1, "HTTPRoute", "route").await;
        (condition(&status["parents"][0]["conditions"], "ResolvedRefs") != "missing").then_some(status)
    })
    .await;
    assert_eq!(route["parents"][0]["controllerName"], "maru.dev/gateway");
    assert_eq!(condition(&route["parents"][0]["conditions"], "Accepted"), "True/Accepted");
    assert_eq!(condition(&route["parents"][0]["conditions"], "ResolvedRefs"), "True/ResolvedRefs");
    // Once all is said, nothing is written any more.
    let before = world.server.store.progress();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.server.store.progress(), before);
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_at_the_start() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let directory = TempDir::new();
    let server = testing::start(directory.path()).await;
    let scope = Scope::root("test");
    let client = maru_client::as_user(&server.handler, "system:maru:gateway", &[]);
    let options = GatewayOptions { http_ports: vec![address], https_ports: Vec::new(), ..GatewayOptions::default() };
    let error = Gateway::start(scope.clone(), client, options).await.unwrap_err();
    let expected = format!("port {} on 127.0.0.1 cannot be served; is another program using it?", address.port());
    assert_eq!(error.to_string(), expected);
    scope.shutdown(SOON).await.unwrap();
}
