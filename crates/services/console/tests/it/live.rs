//! Live answers and upgrades: what streams through WebSockets, and what ends them.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use http::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use maru_http::{Body, Handler};
use maru_task::Scope;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::{Desk, PATIENCE, Socket, administrator, closed, let_view, next_text};

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn event(socket: &mut Socket) -> (String, Value) {
    let event: Value = serde_json::from_str(&next_text(socket).await).unwrap();
    (event["type"].as_str().unwrap().to_owned(), event["object"].clone())
}

#[tokio::test]
async fn a_watch_has_one_event_a_message() {
    let desk = Desk::start().await;
    let cookie = desk.admin().await;
    for name in ["a", "b"] {
        desk.create(CONFIG_MAPS, &json!({"metadata": {"name": name}})).await;
    }
    let list = desk.get(&cookie, CONFIG_MAPS).await.json();
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let mut socket = desk.socket(&cookie, &format!("{CONFIG_MAPS}?watch=true&resourceVersion={version}")).await;
    let mut all = desk.socket(&cookie, &format!("{CONFIG_MAPS}?watch=true&as=table")).await;
    for expected in ["a", "b"] {
        let (kind, table) = event(&mut all).await;
        assert_eq!((kind.as_str(), &table["kind"]), ("ADDED", &json!("Table")), "{table}");
        assert_eq!(table["rows"][0]["cells"][0], expected, "{table}");
    }
    desk.create(CONFIG_MAPS, &json!({"metadata": {"name": "c"}})).await;
    let (kind, object) = event(&mut socket).await;
    assert_eq!((kind.as_str(), &object["metadata"]["name"]), ("ADDED", &json!("c")));
    let (status, _) = desk.direct(&administrator(), "DELETE", &format!("{CONFIG_MAPS}/c"), &Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(event(&mut socket).await.0, "DELETED");
    let text = desk.registry.render();
    assert!(text.contains("maru_console_websockets{kind=\"watch\"} 2"), "{text}");
    drop((socket, all));
    maru_testkit::wait_until(PATIENCE, "the WebSockets to be let go", async || {
        desk.registry.render().contains("maru_console_websockets{kind=\"watch\"} 0")
    })
    .await;
}

#[tokio::test]
async fn a_watch_that_ends_or_is_refused_says_so() {
    let desk = Desk::start().await;
    let cookie = desk.admin().await;
    let mut short = desk.socket(&cookie, &format!("{CONFIG_MAPS}?watch=true&timeoutSeconds=1")).await;
    assert_eq!(closed(&mut short).await.0, 1000);
    let mut unknown = desk.socket(&cookie, "/apis/none.example/v1/things?watch=true").await;
    assert_eq!(closed(&mut unknown).await.0, 4404);
    let_view(&desk, "kim").await;
    let kim = desk.login("kim", &[]).await;
    let (code, reason) = closed(&mut desk.socket(&kim, "/api/v1/nodes?watch=true").await).await;
    assert_eq!(code, 4403);
    assert!(reason.starts_with("nodes is forbidden: User \"kim\" cannot watch"), "{reason}");
    assert!(reason.len() <= 123);
    let (code, _) = closed(&mut desk.socket("", &format!("{CONFIG_MAPS}?watch=true")).await).await;
    assert_eq!(code, 4401);
}

#[tokio::test]
async fn a_websocket_is_opened_by_the_own_page_alone() {
    let desk = Desk::start().await;
    let cookie = desk.admin().await;
    let path = format!("{CONFIG_MAPS}?watch=true");
    let (own, cookie) = (desk.origin(), ("cookie", cookie.as_str()));
    for headers in [
        &[cookie][..],
        &[cookie, ("origin", "http://evil.example")],
        &[cookie, ("origin", "http://localhost:8080")],
        &[cookie, ("origin", &own), ("sec-fetch-site", "cross-site")],
    ] {
        match desk.try_socket(&path, headers).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 403, "{headers:?}"),
            other => panic!("{headers:?}: {other:?}"),
        }
        match desk.try_socket("/api/v1/namespaces/default/pods/p/exec?command=sh", headers).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 403, "{headers:?}"),
            other => panic!("{headers:?}: {other:?}"),
        }
    }
    let rebound = [cookie, ("origin", "http://evil.example"), ("host", "evil.example")];
    assert!(matches!(desk.try_socket(&path, &rebound).await, Err(Error::Http(response)) if response.status() == 421));
    assert!(desk.try_socket(&path, &[cookie, ("origin", &own), ("sec-fetch-site", "same-origin")]).await.is_ok());
}

#[tokio::test]
async fn the_end_of_a_session_closes_all_that_is_open() {
    let desk = Desk::start().await;
    let cookie = desk.admin().await;
    let stays = desk.admin().await;
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(desk.socket(&cookie, &format!("{CONFIG_MAPS}?watch=true")).await);
    }
    let mut other = desk.socket(&stays, &format!("{CONFIG_MAPS}?watch=true")).await;
    assert_eq!(desk.send(&cookie, "POST", "/console/v1/logout", &[], "").await.status, 204);
    for socket in &mut sockets {
        assert_eq!(closed(socket).await, (4401, "the session has ended".to_owned()));
    }
    desk.create(CONFIG_MAPS, &json!({"metadata": {"name": "c"}})).await;
    assert_eq!(event(&mut other).await.0, "ADDED");
    desk.scope.cancel();
    assert_eq!(closed(&mut other).await.0, 1001);
}

#[tokio::test]
async fn a_streamed_answer_ends_with_its_session() {
    let desk = Desk::start().await;
    let cookie = desk.admin().await;
    let path = format!("{CONFIG_MAPS}?watch=true");
    let reading = desk.get(&cookie, &path);
    let ending = async {
        maru_testkit::wait_until(PATIENCE, "the watch to begin", async || {
            desk.registry.render().contains("maru_console_requests_total{route=\"api\",code=\"200\"} 1")
        })
        .await;
        assert_eq!(desk.send(&cookie, "POST", "/console/v1/logout", &[], "").await.status, 204);
    };
    let (reply, ()) = tokio::time::timeout(PATIENCE, async { tokio::join!(reading, ending) }).await.unwrap();
    assert_eq!(reply.status, 200);
}

/// A node that logs what it is asked, and whose commands write back in capitals.
fn node(scope: &Scope) -> Handler {
    let scope = scope.clone();
    Handler::new(move |request: Request<Body>| {
        let scope = scope.clone();
        async move { if request.uri().path().starts_with("/exec/") { exec(&scope, request) } else { log(&request) } }
    })
}

/// Lines of 100 bytes without an end: as many as somebody reads.
fn log(request: &Request<Body>) -> Response<Body> {
    assert!(request.headers().get("cookie").is_none() && request.headers().get("authorization").is_none());
    if !request.uri().query().unwrap_or_default().contains("follow") {
        return Response::new(maru_http::full("one line\n"));
    }
    let lines = futures::stream::iter(0..).map(|number| Ok(format!("{number:099}\n").repeat(100).into()));
    Response::new(maru_http::stream(lines))
}

fn exec(scope: &Scope, mut request: Request<Body>) -> Response<Body> {
    let key = derive_accept_key(request.headers()["sec-websocket-key"].as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    drop(scope.spawn_until_cancelled("exec", async move {
        let io = TokioIo::new(upgrade.await.unwrap());
        let mut socket = tokio_tungstenite::WebSocketStream::from_raw_socket(io, Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            if message.is_binary() {
                let upper = message.into_data().to_ascii_uppercase();
                socket.send(Message::binary(upper)).await.unwrap();
            }
        }
    }));
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, key)
        .header(header::SEC_WEBSOCKET_PROTOCOL, "v5.channel.k8s.io")
        .body(maru_http::empty())
        .unwrap()
}

async fn with_pod() -> Desk {
    let desk = Desk::start().await;
    desk.api.server.set_kubelet(node(&desk.api.scope));
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}});
    desk.create("/api/v1/namespaces/default/pods", &pod).await;
    desk
}

#[tokio::test]
async fn a_command_goes_through_and_ends_with_its_session() {
    let desk = with_pod().await;
    let cookie = desk.admin().await;
    let path = "/api/v1/namespaces/default/pods/p/exec?command=cat&stdin=true&stdout=true";
    let headers = [
        ("cookie", cookie.as_str()),
        ("origin", &desk.origin()),
        ("sec-websocket-protocol", "v5.channel.k8s.io, v4.channel.k8s.io"),
    ];
    let mut socket = desk.try_socket(path, &headers).await.unwrap();
    for size in [3, 200_000] {
        socket.send(Message::binary(vec![b'a'; size])).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap().into_data();
        assert_eq!((answer.len(), answer.iter().all(|byte| *byte == b'A')), (size, true));
    }
    assert!(desk.registry.render().contains("maru_console_websockets{kind=\"upgrade\"} 1"));
    assert_eq!(desk.send(&cookie, "POST", "/console/v1/logout", &[], "").await.status, 204);
    let end = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");

    // A refusal is told to the page, which sees no status of a failed upgrade.
    let_view(&desk, "kim").await;
    let kim = desk.login("kim", &[]).await;
    let headers = [("cookie", kim.as_str()), headers[1], headers[2]];
    let (code, reason) = closed(&mut desk.try_socket(path, &headers).await.unwrap()).await;
    assert_eq!(code, 4403);
    assert!(
        reason.contains("cannot create resource \"pods/exec\"") || reason.contains("cannot get resource"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_log_arrives_in_whole_lines() {
    let desk = with_pod().await;
    let cookie = desk.admin().await;
    assert_eq!(desk.get(&cookie, "/api/v1/namespaces/default/pods/p/log").await.text(), "one line\n");
    let mut socket = desk.socket(&cookie, "/api/v1/namespaces/default/pods/p/log?follow=true&container=c").await;
    let mut lines = 0_u64;
    while lines < 1000 {
        let text = next_text(&mut socket).await;
        assert!(text.ends_with('\n') && text.len() <= 64 * 1024, "{}", text.len());
        for line in text.lines() {
            assert_eq!(line, format!("{:099}", lines / 100));
            lines += 1;
        }
    }
}

#[tokio::test]
async fn a_page_that_reads_nothing_is_closed_with_a_reason() {
    let desk = with_pod().await;
    let cookie = desk.admin().await;
    let mut socket = desk.socket(&cookie, "/api/v1/namespaces/default/pods/p/log?follow=true").await;
    let first = next_text(&mut socket).await;
    assert!(first.starts_with('0'));
    // It reads nothing more until it is given up; what is between is in the kernel's buffers, not in this process.
    maru_testkit::wait_until(Duration::from_secs(120), "the page to be given up", async || {
        let text = desk.registry.render();
        text.contains("maru_console_slow_pages_total 1")
    })
    .await;
    assert_eq!(closed(&mut socket).await.0, 4008);
}
