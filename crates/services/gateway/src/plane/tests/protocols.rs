//! TLS, HTTP/2, gRPC, WebSocket.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::{Request, Version};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use maru_task::Scope;
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::upstreams::{Upstream, header};
use super::{Serving, client};
use crate::compile::Place;
use crate::fixtures::{add_gateway, add_ingress, add_secret, add_service, parse, world};
use crate::inputs::Inputs;

fn add_tls_ingress(inputs: &mut Inputs, host: &str, secret: &str) {
    inputs.ingresses.push(parse(json!({
        "metadata": {"name": format!("tls-{secret}"), "namespace": "shop"},
        "spec": {
            "tls": [{"hosts": [host], "secretName": secret}],
            "rules": [{"host": host, "http": {"paths": [{
                "path": "/", "pathType": "Prefix", "backend": {"service": {"name": "a", "port": {"number": 80}}},
            }]}}],
        },
    })));
}

/// Asks over TLS and trusts one certificate only; returns the version and what the upstream said.
async fn ask_tls(
    address: SocketAddr,
    host: &str,
    trusted: &CertificateDer<'_>,
) -> Result<(Version, Value), reqwest::Error> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([reqwest::Certificate::from_der(trusted).unwrap()])
        .resolve(host, address)
        .build()
        .unwrap();
    let response = client.get(format!("https://{host}:{}/", address.port())).send().await?;
    let version = response.version();
    Ok((version, serde_json::from_str(&response.text().await?).unwrap()))
}

#[tokio::test]
async fn certificates_follow_the_server_name_and_rotate_live() {
    let upstream = Upstream::start("a").await;
    let mut inputs = world();
    add_service(&mut inputs, "a", &[upstream.address], None);
    let one = add_secret(&mut inputs, "one", "one.example");
    let two = add_secret(&mut inputs, "two", "two.example");
    add_tls_ingress(&mut inputs, "one.example", "one");
    add_tls_ingress(&mut inputs, "two.example", "two");
    let serving = Serving::start(&inputs).await;
    let (version, said) = ask_tls(serving.https, "one.example", &one).await.unwrap();
    assert_eq!(version, Version::HTTP_2);
    assert_eq!(header(&said, "x-forwarded-proto"), Some("https"));
    assert_eq!(said["version"], "HTTP/1.1", "the upstream speaks what its Service says");
    ask_tls(serving.https, "two.example", &two).await.unwrap();
    assert!(ask_tls(serving.https, "two.example", &one).await.is_err());

    let renewed = add_secret(&mut inputs, "one", "one.example");
    serving.apply(&inputs);
    ask_tls(serving.https, "one.example", &renewed).await.unwrap();
    assert!(ask_tls(serving.https, "one.example", &one).await.is_err(), "the old certificate is out of use");
    serving.stop().await;
}

/// Opens a connection with HTTP/2 without TLS.
async fn connect_h2(scope: &Scope, address: SocketAddr) -> hyper::client::conn::http2::SendRequest<Full<Bytes>> {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    drop(scope.spawn("client", async move { drop(connection.await) }));
    sender
}

#[tokio::test]
async fn grpc_passes_with_its_trailers() {
    let upstream = Upstream::start("rpc").await;
    let mut inputs = world();
    add_service(&mut inputs, "rpc", &[upstream.address], Some("kubernetes.io/h2c"));
    add_service(&mut inputs, "plain", &[upstream.address], None);
    add_service(&mut inputs, "empty", &[], None);
    add_ingress(&mut inputs, Some("rpc"), "/", "rpc");
    add_ingress(&mut inputs, Some("plain"), "/", "plain");
    add_ingress(&mut inputs, Some("empty"), "/", "empty");
    let serving = Serving::start(&inputs).await;
    let scope = Scope::root("clients");
    let mut sender = connect_h2(&scope, serving.http).await;
    for host in ["rpc", "plain", "empty"] {
        let request = Request::post(format!("http://{host}/shop.Orders/Place"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(Bytes::from_static(b"\0\0\0\0\x02hi")))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        if host == "empty" {
            assert_eq!(response.headers()["grpc-status"], "14", "gRPC clients are told in their own way");
            continue;
        }
        let collected = response.into_body().collect().await.unwrap();
        let trailers = collected.trailers().cloned().unwrap();
        assert_eq!(
            (&trailers["grpc-status"], &trailers["x-te"]),
            (&"0".parse().unwrap(), &"trailers".parse().unwrap())
        );
        assert_eq!(collected.to_bytes().as_ref(), b"\0\0\0\0\x02hi");
    }
    let request = Request::get("http://rpc/echo").body(Full::default()).unwrap();
    let said = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    let said: Value = serde_json::from_slice(&said).unwrap();
    assert_eq!((&said["version"], &said["uri"]), (&json!("HTTP/2.0"), &json!("http://rpc/echo")));
    drop(sender);
    scope.shutdown(Duration::from_secs(5)).await.unwrap();
    serving.stop().await;
}

/// An upstream that echoes WebSocket messages.
async fn websocket_upstream(scope: &Scope) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let inner = scope.clone();
    drop(scope.spawn_until_cancelled("websockets", async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            drop(inner.spawn_until_cancelled("websocket", async move {
                let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_text() && socket.send(message).await.is_err() {
                        break;
                    }
                }
            }));
        }
    }));
    address
}

#[tokio::test]
async fn websockets_pass_and_outlive_configurations() {
    let scope = Scope::root("upstreams");
    let address = websocket_upstream(&scope).await;
    let mut inputs = world();
    add_service(&mut inputs, "a", &[address], None);
    add_ingress(&mut inputs, Some("chat.example"), "/", "a");
    let serving = Serving::start(&inputs).await;
    let stream = TcpStream::connect(serving.http).await.unwrap();
    let (mut socket, response) = tokio_tungstenite::client_async("ws://chat.example/room", stream).await.unwrap();
    assert_eq!(response.status(), 101);
    for turn in 0..10 {
        socket.send(Message::text(format!("hello {turn}"))).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap(), format!("hello {turn}"));
        if turn == 5 {
            inputs.ingresses.clear();
            serving.apply(&inputs);
        }
    }
    socket.close(None).await.unwrap();
    serving.stop().await;
    scope.shutdown(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn an_upgrade_that_the_upstream_refuses_is_no_tunnel() {
    let upstream = Upstream::start("a").await;
    let mut inputs = world();
    add_service(&mut inputs, "a", &[upstream.address], None);
    add_ingress(&mut inputs, None, "/", "a");
    let serving = Serving::start(&inputs).await;
    let response = client()
        .get(format!("http://{}/x", serving.http))
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let said: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(header(&said, "upgrade"), Some("websocket"));
    serving.stop().await;
}

#[tokio::test]
async fn other_ports_of_gateways_are_served_when_told() {
    let upstream = Upstream::start("a").await;
    let mut inputs = world();
    add_service(&mut inputs, "a", &[upstream.address], None);
    add_gateway(&mut inputs, json!([{"name": "web", "port": 8080, "protocol": "HTTP"}]));
    crate::fixtures::add_http_route(
        &mut inputs,
        "shop",
        json!([]),
        json!([{"backendRefs": [{"name": "a", "port": 80}]}]),
    );
    let serving = Serving::start(&inputs).await;
    let bound = serving.plane.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = bound.address;
    serving.plane.serve(Place::shared(8080), false, bound).await;
    assert_eq!(serving.get("x", "/").await.status(), 404, "port 80 has no routes");
    let ask = || async { client().get(format!("http://{address}/")).send().await.map(|response| response.status()) };
    maru_testkit::wait_until(Duration::from_secs(5), "the port to be served", || async { ask().await.is_ok() }).await;
    assert_eq!(ask().await.unwrap(), 200);
    assert!(serving.plane.bind(address).is_err(), "a port is served once");
    serving.plane.unlisten(address).await;
    maru_testkit::wait_until(Duration::from_secs(5), "the port to be closed", || async { ask().await.is_err() }).await;
    serving.stop().await;
}
