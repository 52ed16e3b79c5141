//! What the tests of this room share.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use maru_apiserver::testing::{self, TestServer};
use maru_auth::Identity;
use maru_console::{Console, ConsoleOptions, LinkSpec, Room, RoomAccess};
use maru_http::{Handler, Limits, Server};
use maru_task::Scope;
use maru_telemetry::Registry;
use maru_time::TestClock;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

pub(crate) type Socket = WebSocketStream<TcpStream>;

/// How long anything may take on a slow day.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What the browser would send back from now on.
    pub(crate) fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap().to_owned()
    }
}

/// A console on a port of its own, before an API server in the same process.
pub(crate) struct Desk {
    pub(crate) api: TestServer,
    pub(crate) console: Console,
    pub(crate) address: SocketAddr,
    pub(crate) scope: Scope,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) clock: std::sync::Arc<TestClock>,
    pub(crate) registry: Registry,
}

/// Tells who asked, as another room sees it.
fn echo() -> Handler {
    Handler::new(|request: Request<maru_http::Body>| async move {
        let identity = request.extensions().get::<Identity>().map(|identity| identity.user.clone());
        let headers: Vec<&str> = request.headers().keys().map(http::HeaderName::as_str).collect();
        let said = json!({"uri": request.uri().to_string(), "user": identity, "headers": headers});
        let mut response = http::Response::new(maru_http::full(said.to_string()));
        // Something that it wants a token of its own for.
        if request.uri().path() == "/own" {
            *response.status_mut() = http::StatusCode::UNAUTHORIZED;
        }
        for (name, value) in [("set-cookie", "stolen=1"), ("access-control-allow-origin", "*")] {
            response.headers_mut().insert(name, http::HeaderValue::from_static(value));
        }
        response
    })
}

impl Desk {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut ConsoleOptions)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let api = testing::start(directory.path()).await;
        let clock = TestClock::new("2026-01-01T00:00:00Z".parse().unwrap());
        let registry = Registry::default();
        let mut options = ConsoleOptions {
            api: api.handler.clone(),
            rooms: vec![
                Room {
                    name: "prometheus".to_owned(),
                    prefix: "/prometheus".to_owned(),
                    handler: echo(),
                    role_path: "/maru/metrics".to_owned(),
                    access: RoomAccess::Reads,
                },
                Room {
                    name: "alertmanager".to_owned(),
                    prefix: "/alertmanager".to_owned(),
                    handler: echo(),
                    role_path: "/maru/alerts".to_owned(),
                    access: RoomAccess::ByMethod,
                },
            ],
            client: maru_client::as_user(&api.handler, "system:maru:console", &[]),
            clock: clock.clone(),
            registry: registry.clone(),
            folder: directory.path().join("console"),
            instance: "test".to_owned(),
            machine: "box".to_owned(),
            version: "1.2.3".to_owned(),
            hosts: vec!["box.example".to_owned()],
            tls: false,
            assets: None,
        };
        change(&mut options);
        let (scope, console, address) = serve(options).await;
        Self { api, console, address, scope, directory, clock, registry }
    }

    /// Another process on the same folder.
    pub(crate) async fn restart(&mut self) {
        self.scope.shutdown(PATIENCE).await.unwrap();
        let options = ConsoleOptions {
            api: self.api.handler.clone(),
            rooms: Vec::new(),
            client: maru_client::as_user(&self.api.handler, "system:maru:console", &[]),
            clock: self.clock.clone(),
            registry: Registry::default(),
            folder: self.directory.path().join("console"),
            instance: "test".to_owned(),
            machine: "box".to_owned(),
            version: "1.2.3".to_owned(),
            hosts: Vec::new(),
            tls: false,
            assets: None,
        };
        (self.scope, self.console, self.address) = serve(options).await;
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.host())
    }

    pub(crate) fn host(&self) -> String {
        format!("console.localhost:{}", self.address.port())
    }

    /// Sends a request with these headers alone, besides `Host`.
    pub(crate) async fn bare(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let scope = Scope::root("client");
        drop(scope.spawn("connection", connection));
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header("host", self.host());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Sends a request as the page does.
    pub(crate) async fn send(
        &self,
        cookie: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let origin = self.origin();
        let mut all = vec![("cookie", cookie), ("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "empty")];
        if method != "GET" {
            all.push(("origin", &origin));
        }
        all.extend(headers);
        self.bare(method, path, &all, body).await
    }

    pub(crate) async fn get(&self, cookie: &str, path: &str) -> Reply {
        self.send(cookie, "GET", path, &[], "").await
    }

    pub(crate) async fn post(&self, cookie: &str, path: &str, body: &Value) -> Reply {
        self.send(cookie, "POST", path, &[("content-type", "application/json")], &body.to_string()).await
    }

    /// Makes a link.
    pub(crate) fn link(&self, user: &str, groups: &[&str]) -> String {
        let spec = LinkSpec {
            user: user.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            lifetime: Duration::from_secs(600),
        };
        format!("/login?code={}", self.console.links().create(&spec).unwrap().reveal())
    }

    /// Logs in by a link and returns the cookie.
    pub(crate) async fn login(&self, user: &str, groups: &[&str]) -> String {
        let reply = self.bare("GET", &self.link(user, groups), &[], "").await;
        assert_eq!(reply.status, 303, "{}", reply.text());
        reply.cookie()
    }

    pub(crate) async fn admin(&self) -> String {
        self.login("admin", &[Identity::MASTERS]).await
    }

    /// Asks the API itself, without the console.
    pub(crate) async fn direct(&self, identity: &Identity, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(maru_http::full(if body.is_null() { String::new() } else { body.to_string() }))
            .unwrap();
        request.extensions_mut().insert(identity.clone());
        let response = self.api.handler.call(request).await;
        let status = response.status().as_u16();
        let body = maru_http::collect_limited(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    pub(crate) async fn create(&self, path: &str, object: &Value) {
        let (status, answer) = self.direct(&administrator(), "POST", path, object).await;
        assert_eq!(status, 201, "{answer}");
    }

    /// Opens a WebSocket as the page does.
    pub(crate) async fn socket(&self, cookie: &str, path: &str) -> Socket {
        self.try_socket(path, &[("cookie", cookie), ("origin", &self.origin())]).await.unwrap()
    }

    pub(crate) async fn try_socket(&self, path: &str, headers: &[(&str, &str)]) -> Result<Socket, Error> {
        let mut request = format!("ws://{}{path}", self.host()).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(
                http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                http::HeaderValue::from_str(value).unwrap(),
            );
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        tokio_tungstenite::client_async(request, stream).await.map(|(socket, _)| socket)
    }
}

async fn serve(options: ConsoleOptions) -> (Scope, Console, SocketAddr) {
    let scope = Scope::root("console");
    let console = Console::start(&scope, options).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server { name: "console", listener, tls: None, handler: console.handler(), limits: Limits::default() };
    drop(scope.spawn("accept", maru_http::serve(scope.clone(), server)));
    (scope, console, address)
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.scope.cancel();
    }
}

pub(crate) fn administrator() -> Identity {
    Identity::new("admin", &[Identity::MASTERS])
}

/// Returns the next text of a WebSocket.
pub(crate) async fn next_text(socket: &mut Socket) -> String {
    match next(socket).await {
        Message::Text(text) => text.as_str().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Returns how a WebSocket was closed, after whatever it still said.
pub(crate) async fn closed(socket: &mut Socket) -> (u16, String) {
    loop {
        if let Message::Close(frame) = next(socket).await {
            let CloseFrame { code, reason } = frame.unwrap();
            return (code.into(), reason.as_str().to_owned());
        }
    }
}

async fn next(socket: &mut Socket) -> Message {
    let message = async {
        loop {
            let message = socket.next().await.unwrap().unwrap();
            if !matches!(message, Message::Ping(_) | Message::Pong(_)) {
                return message;
            }
        }
    };
    tokio::time::timeout(PATIENCE, message).await.expect("a message in time")
}

/// Lets a user look at things, as the role `view` does.
pub(crate) async fn let_view(desk: &Desk, user: &str) {
    let binding = json!({
        "metadata": {"name": format!("view-{user}")},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    });
    desk.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await;
}
