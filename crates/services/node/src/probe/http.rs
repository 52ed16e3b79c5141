//! An HTTP GET: a status from 200 to 399 is success.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::HTTPGetAction;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Target, connect, tls};

/// Redirects to the same host that are followed.
const REDIRECTS_MAX: u32 = 10;
/// Body that is read, so that servers do not see the connection break off.
const BODY_MAX: usize = 10 * 1024;

#[derive(Debug, Clone)]
struct Place {
    tls: bool,
    host: String,
    port: u16,
    path: String,
}

impl Place {
    fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}:{}{}", bracketed(&self.host), self.port, self.path)
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

pub(super) async fn get(action: &HTTPGetAction, target: &Target, timeout: Duration) -> Result<(), String> {
    let host = match action.host.as_deref().filter(|host| !host.is_empty()) {
        Some(host) => host.to_owned(),
        None => target.address.to_string(),
    };
    let path = action.path.clone().unwrap_or_default();
    let mut place = Place {
        tls: action.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
        host,
        port: target.port(&action.port)?,
        path: if path.starts_with('/') { path } else { format!("/{path}") },
    };
    for _ in 0..=REDIRECTS_MAX {
        let response = get_once(action, &place, timeout).await?;
        match after_redirect(&place, &response) {
            Some(next) => place = next,
            None => return judge(response.status()),
        }
    }
    Err(format!("Get \"{}\": stopped after {REDIRECTS_MAX} redirects", place.url()))
}

fn judge(status: StatusCode) -> Result<(), String> {
    if (200..400).contains(&status.as_u16()) {
        Ok(())
    } else {
        Err(format!("HTTP probe failed with statuscode: {}", status.as_u16()))
    }
}

/// Returns where a redirect leads when it stays on the same host; one that leaves it counts as an answer.
fn after_redirect(place: &Place, response: &Response<()>) -> Option<Place> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location: Uri = response.headers().get(header::LOCATION)?.to_str().ok()?.parse().ok()?;
    let path = location.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let Some(host) = location.host() else { return Some(Place { path, ..place.clone() }) };
    let tls = location.scheme_str() == Some("https");
    let port = location.port_u16().unwrap_or(if tls { 443 } else { 80 });
    (bracketed(host) == bracketed(&place.host)).then(|| Place { tls, host: place.host.clone(), port, path })
}

async fn get_once(action: &HTTPGetAction, place: &Place, timeout: Duration) -> Result<Response<()>, String> {
    let url = place.url();
    let exchange = async {
        let stream = connect(&place.host, place.port, timeout).await?;
        let request = request(action, place)?;
        if place.tls {
            exchange(tls::connect(stream, place.host.trim_matches(['[', ']'])).await?, request).await
        } else {
            exchange(stream, request).await
        }
    };
    match tokio::time::timeout(timeout, exchange).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(format!("Get \"{url}\": {error}")),
        Err(_) => {
            Err(format!("Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"))
        }
    }
}

fn request(action: &HTTPGetAction, place: &Place) -> Result<Request<Empty<Bytes>>, String> {
    let mut request = Request::builder()
        .uri(&place.path)
        .body(Empty::new())
        .map_err(|error| format!("the path \"{}\" cannot be asked for: {error}", place.path))?;
    let headers = request.headers_mut();
    headers.insert(header::USER_AGENT, HeaderValue::from_static("kube-probe/1.36"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let host = format!("{}:{}", bracketed(&place.host), place.port);
    headers.insert(header::HOST, HeaderValue::try_from(host).map_err(|error| error.to_string())?);
    for one in action.http_headers.iter().flatten() {
        let name = HeaderName::try_from(&one.name).map_err(|error| format!("header \"{}\": {error}", one.name))?;
        let value = HeaderValue::try_from(&one.value).map_err(|error| format!("header \"{}\": {error}", one.name))?;
        match name {
            header::HOST | header::USER_AGENT | header::ACCEPT => drop(headers.insert(name, value)),
            name => drop(headers.append(name, value)),
        }
    }
    Ok(request)
}

async fn exchange<S>(stream: S, request: Request<Empty<Bytes>>) -> Result<Response<()>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let mut connection = std::pin::pin!(connection);
    let answer = async {
        let (head, body) = sender.send_request(request).await.map_err(words)?.into_parts();
        read_some(body).await;
        Ok(Response::from_parts(head, ()))
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // The connection may end together with the answer.
        ended = &mut connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(words(error)),
        },
    }
}

async fn read_some(mut body: Incoming) {
    let mut seen = 0;
    while let Some(Ok(frame)) = body.frame().await {
        seen += frame.data_ref().map_or(0, Bytes::len);
        if seen > BODY_MAX {
            break;
        }
    }
}

fn words(error: hyper::Error) -> String {
    if error.is_incomplete_message() { "EOF".to_owned() } else { error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::target;
    use maru_http::{Handler, Limits, Server};
    use maru_task::Scope;

    async fn server(handler: Handler) -> (Scope, u16) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scope = Scope::root("test");
        let server = Server { name: "test", listener, tls: None, handler, limits: Limits::default() };
        drop(scope.spawn("serve", maru_http::serve(scope.clone(), server)));
        (scope, port)
    }

    fn action(port: u16, path: &str) -> HTTPGetAction {
        serde_json::from_value(serde_json::json!({"port": port, "path": path, "httpHeaders": [
            {"name": "X-One", "value": "1"}, {"name": "Host", "value": "shop.example"},
        ]}))
        .unwrap()
    }

    #[tokio::test]
    async fn status_headers_and_redirects_are_heeded() {
        let (scope, port) = server(Handler::new(|request| async move {
            let host = request.headers().get("host").cloned();
            let (code, location) = match request.uri().path() {
                "/ok" if request.headers()["x-one"] == "1" && host.unwrap() == "shop.example" => (204, None),
                "/moved" => (302, Some("/ok")),
                "/loop" => (302, Some("/loop")),
                "/away" => (302, Some("http://elsewhere.example/")),
                "/not-found" => (404, None),
                _ => (500, None),
            };
            let mut response = Response::new(maru_http::full("x".repeat(50_000)));
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
            if let Some(location) = location {
                response.headers_mut().insert("location", HeaderValue::from_static(location));
            }
            response
        }))
        .await;
        let target = target("127.0.0.1", serde_json::json!({"name": "c"}));
        for (path, expected) in [
            ("/ok", None),
            ("moved", None),
            ("/away", None),
            ("/loop", Some("stopped after 10 redirects")),
            ("/not-found", Some("HTTP probe failed with statuscode: 404")),
            ("/other", Some("HTTP probe failed with statuscode: 500")),
        ] {
            let result = get(&action(port, path), &target, Duration::from_secs(5)).await;
            match (expected, result) {
                (None, result) => assert_eq!(result, Ok(()), "{path}"),
                (Some(words), result) => assert!(result.unwrap_err().contains(words), "{path}"),
            }
        }
        scope.shutdown(Duration::from_secs(5)).await.unwrap();
    }

    #[tokio::test]
    async fn a_silent_server_times_out() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = target("127.0.0.1", serde_json::json!({"name": "c"}));
        let error = get(&action(port, "/"), &target, Duration::from_millis(50)).await.unwrap_err();
        assert!(error.contains("context deadline exceeded"), "{error}");
    }
}
