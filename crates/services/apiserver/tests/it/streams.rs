//! Commands and logs reach the node, with the upgrade of the connection.

use futures::{SinkExt as _, StreamExt as _};
use http::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams, LogParams};
use maru_http::{Body, Handler};
use maru_task::Scope;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::support::{Cluster, Listening};

/// A node that writes back in capitals what a command is sent, and logs the request it was asked with.
fn node(scope: &Scope) -> Handler {
    let scope = scope.clone();
    Handler::new(move |request: Request<Body>| {
        let scope = scope.clone();
        async move { if request.uri().path().starts_with("/exec/") { exec(&scope, request) } else { log(&request) } }
    })
}

fn log(request: &Request<Body>) -> Response<Body> {
    assert!(!request.headers().contains_key(header::AUTHORIZATION), "credentials stay here");
    Response::new(maru_http::full(format!("{}\n", request.uri())))
}

fn exec(scope: &Scope, mut request: Request<Body>) -> Response<Body> {
    assert_eq!(request.uri().path(), "/exec/default/p/c");
    let query = request.uri().query().unwrap().to_owned();
    assert!(query.contains("command=cat") && query.contains("input=true") && query.contains("output=true"), "{query}");
    let key = derive_accept_key(request.headers()["sec-websocket-key"].as_bytes());
    let protocol =
        request.headers()["sec-websocket-protocol"].to_str().unwrap().split(',').next().unwrap().trim().to_owned();
    let upgrade = hyper::upgrade::on(&mut request);
    drop(scope.spawn("exec", async move {
        let io = TokioIo::new(upgrade.await.unwrap());
        let mut socket = tokio_tungstenite::WebSocketStream::from_raw_socket(io, Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            let data = message.into_data();
            match data.first() {
                Some(0) if data.len() > 1 => {
                    let mut answer = vec![1];
                    answer.extend(data[1..].to_ascii_uppercase());
                    socket.send(Message::binary(answer)).await.unwrap();
                    let mut status = vec![3];
                    status.extend(json!({"status": "Success", "metadata": {}}).to_string().into_bytes());
                    socket.send(Message::binary(status)).await.unwrap();
                    drop(socket.close(None).await);
                    return;
                }
                _ => {}
            }
        }
    }));
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header("sec-websocket-accept", key)
        .header("sec-websocket-protocol", protocol)
        .body(maru_http::empty())
        .unwrap()
}

#[tokio::test]
async fn a_command_talks_to_the_node_and_logs_name_their_container() {
    let cluster = Cluster::start().await;
    let listening = Listening::start(&cluster).await;
    let pods: Api<Pod> = Api::namespaced(listening.certificate_client("admin", &["system:masters"]), "default");
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}});
    let (status, body) = cluster.post("/api/v1/namespaces/default/pods", &pod).await;
    assert_eq!(status, 201, "{body}");
    // Not with the client: it tries again for minutes, as it should.
    let (status, body) = cluster.get("/api/v1/namespaces/default/pods/p/log").await;
    assert_eq!((status, &body["reason"]), (503, &json!("ServiceUnavailable")), "no node yet: {body}");
    cluster.server.server.set_kubelet(node(&cluster.server.scope));

    let text = pods.logs("p", &LogParams { tail_lines: Some(5), ..LogParams::default() }).await.unwrap();
    assert_eq!(text, "/containerLogs/default/p/c?tailLines=5\n");
    let error =
        pods.logs("p", &LogParams { container: Some("x".to_owned()), ..LogParams::default() }).await.unwrap_err();
    assert!(
        matches!(&error, kube::Error::Api(status) if status.message == "container x is not valid for pod p"),
        "{error:?}"
    );

    let params = AttachParams::default().stdin(true).stdout(true).stderr(false);
    let mut process = pods.exec("p", ["cat"], &params).await.unwrap();
    let mut stdin = process.stdin().unwrap();
    let mut stdout = process.stdout().unwrap();
    stdin.write_all(b"hello").await.unwrap();
    let mut seen = [0u8; 5];
    stdout.read_exact(&mut seen).await.unwrap();
    assert_eq!(&seen, b"HELLO");
    let status = process.take_status().unwrap().await.unwrap();
    assert_eq!(status.status.as_deref(), Some("Success"));
}
