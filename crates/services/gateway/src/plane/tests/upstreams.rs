//! Upstreams for tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Request, Response, StatusCode};
use maru_http::{Body, Handler, Limits, Server};
use maru_task::Scope;
use serde_json::{Value, json};

/// An upstream that answers with what it was asked.
pub(super) struct Upstream {
    pub address: SocketAddr,
    pub requests: Arc<AtomicUsize>,
    pub scope: Scope,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.scope.cancel();
    }
}

impl Upstream {
    pub(super) async fn start(name: &'static str) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let handler = Handler::new(move |request| {
            counted.fetch_add(1, Ordering::Relaxed);
            answer(name, request)
        });
        let scope = Scope::root(name);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server { name, listener, tls: None, handler, limits: Limits::default() };
        let serving = maru_http::serve(scope.clone(), server);
        drop(scope.spawn("upstream", async move { serving.await.unwrap() }));
        Self { address, requests, scope }
    }
}

/// Returns an address where nothing listens.
pub(super) fn nowhere() -> SocketAddr {
    ([127, 0, 0, 1], maru_testkit::free_port()).into()
}

async fn answer(name: &'static str, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    if path == "/slow" {
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    }
    if path == "/early" {
        return Response::new(maru_http::full("enough"));
    }
    if path == "/close" {
        let mut response = Response::new(maru_http::full("bye"));
        response.headers_mut().insert("connection", http::HeaderValue::from_static("close"));
        return response;
    }
    if path == "/hop" {
        let mut response = Response::new(maru_http::full("hop"));
        response.headers_mut().insert("keep-alive", http::HeaderValue::from_static("timeout=5"));
        response.headers_mut().insert("x-kept", http::HeaderValue::from_static("yes"));
        return response;
    }
    if path == "/chunks" {
        return Response::new(chunks());
    }
    let grpc = head.headers.get("content-type").is_some_and(|value| value == "application/grpc");
    let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
    if grpc {
        return answer_grpc(&head, body);
    }
    let headers: Vec<Value> = head
        .headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let said = json!({
        "upstream": name,
        "method": head.method.as_str(),
        "uri": head.uri.to_string(),
        "version": format!("{:?}", head.version),
        "headers": headers,
        "body_bytes": body.len(),
    });
    let mut response = Response::new(maru_http::full(said.to_string()));
    if path == "/teapot" {
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
    }
    response
}

fn chunks() -> Body {
    let chunks = ["one ", "two ", "three"].map(|chunk| Ok(bytes::Bytes::from_static(chunk.as_bytes())));
    maru_http::stream(futures::stream::iter(chunks))
}

/// Echoes a message and ends with trailers.
fn answer_grpc(head: &http::request::Parts, body: bytes::Bytes) -> Response<Body> {
    use http_body_util::BodyExt as _;
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    let te = head.headers.get("te").cloned().unwrap_or_else(|| http::HeaderValue::from_static("none"));
    trailers.insert("x-te", te);
    let frames = [Ok(http_body::Frame::data(body)), Ok(http_body::Frame::trailers(trailers))];
    let body = http_body_util::StreamBody::new(futures::stream::iter(frames)).boxed_unsync();
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
    response
}

/// Returns a header of an echoed request.
pub(super) fn header<'a>(said: &'a Value, name: &str) -> Option<&'a str> {
    let headers = said["headers"].as_array().unwrap();
    headers.iter().find(|pair| pair[0] == name).and_then(|pair| pair[1].as_str())
}
