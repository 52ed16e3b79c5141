//! Passes requests on to the API and to other rooms, as the session's user.

use std::sync::Arc;

use futures::StreamExt as _;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH,
    CONTENT_TYPE, HOST, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use maru_http::{Body, BoxError};

use crate::access;
use crate::answer::Refusal;
use crate::console::{Room, RoomAccess, State};
use crate::pack::pack;
use crate::secrets::{self, Treatment};
use crate::sessions::Session;
use crate::socket::{self, Bridge, Stream, Upgrade};
use crate::telemetry::Counted;
use crate::tunnel;

/// What goes through. All else stays here: credentials, identities, what proxies say, what is not known yet.
const HEADERS: &[HeaderName] = &[
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    RANGE,
    USER_AGENT,
];
const UPGRADE_HEADERS: &[HeaderName] =
    &[CONNECTION, UPGRADE, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION];

/// The query parameter by which a WebSocket, which cannot send headers, asks for another form.
const FORM: &str = "as";

/// Tells whether a path belongs to the API server.
pub(crate) fn is_api(path: &str) -> bool {
    ["/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz"]
        .iter()
        .any(|own| path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

fn headers(from: &HeaderMap, allowed: &[&[HeaderName]]) -> HeaderMap {
    let mut to = HeaderMap::new();
    for name in allowed.iter().copied().flatten() {
        for value in from.get_all(name) {
            to.append(name, value.clone());
        }
    }
    to.insert(HOST, HeaderValue::from_static("localhost"));
    to
}

/// Makes the request that goes on: nothing of the browser's connection is in it.
fn passed_on(parts: &Parts, uri: Uri, headers: HeaderMap, session: &Session, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request.extensions_mut().insert(session.identity.clone());
    request
}

/// Returns path and query alone.
fn relative(uri: &Uri) -> Uri {
    uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from)
}

/// Tells what a GET streams, if it does.
fn stream_of(uri: &Uri, masks: bool) -> Option<Stream> {
    let is_set = |wanted: &str| {
        uri.query().unwrap_or_default().split('&').any(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            key == wanted && !matches!(value, "false" | "0" | "False" | "F" | "f" | "FALSE")
        })
    };
    if uri.path().trim_end_matches('/').ends_with("/log") {
        return is_set("follow").then_some(Stream::Log);
    }
    is_set("watch").then_some(Stream::Watch { masks })
}

/// Takes the form that a WebSocket asks for out of its query, and into a header.
fn take_form(uri: &Uri, headers: &mut HeaderMap) -> Uri {
    let mut form = None;
    let kept: Vec<&str> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| match pair.split_once('=') {
            Some((FORM, "table" | "Table")) => {
                form = Some("Table");
                false
            }
            Some((FORM, "metadata" | "PartialObjectMetadata")) => {
                form = Some("PartialObjectMetadata");
                false
            }
            _ => !pair.is_empty(),
        })
        .collect();
    let accept = form
        .map_or_else(|| "application/json".to_owned(), |form| format!("application/json;as={form};g=meta.k8s.io;v=v1"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(ACCEPT, accept);
    }
    let text = if kept.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), kept.join("&")) };
    text.parse().unwrap_or_else(|_| relative(uri))
}

/// Passes a request on to the API.
pub(crate) async fn api(
    state: &Arc<State>,
    session: &Arc<Session>,
    mut request: Request<Body>,
) -> Result<Response<Body>, Refusal> {
    let upgrade = if socket::is_wanted(request.headers()) {
        let refusal = || Refusal::new(StatusCode::BAD_REQUEST, "the connection cannot become a WebSocket");
        Some(Upgrade::take(&mut request).ok_or_else(refusal)?)
    } else {
        None
    };
    let (parts, body) = request.into_parts();
    match upgrade {
        Some(upgrade) => live(state, session, &parts, upgrade).await,
        None => plain(state, session, &parts, body).await,
    }
}

async fn plain(
    state: &Arc<State>,
    session: &Arc<Session>,
    parts: &Parts,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let streams = (parts.method == Method::GET).then(|| stream_of(&parts.uri, false)).flatten();
    let mut headers = headers(&parts.headers, &[HEADERS]);
    let treatment = match secrets::target(parts.uri.path()) {
        Some(_) if streams.is_some() => {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "Secrets are watched over a WebSocket, with as=table or as=metadata",
            ));
        }
        Some(target) => {
            // Only what is not compressed can be looked at.
            headers.remove(ACCEPT_ENCODING);
            Some(secrets::treatment(parts, target, false)?)
        }
        None => None,
    };
    let request = passed_on(parts, relative(&parts.uri), headers, session, body);
    let response = state.api.call(request).await;
    match treatment {
        Some(Treatment::Mask) => secrets::mask_response(response).await,
        Some(Treatment::Record(target)) => {
            secrets::record(&state.client, state.clock.now(), session, &target, response).await
        }
        None if streams.is_some() => Ok(until_end(response, session)),
        None => Ok(pack(&parts.headers, response).await),
    }
}

/// Cuts a streamed answer off when its session ends.
fn until_end(response: Response<Body>, session: &Session) -> Response<Body> {
    let token = session.scope.token();
    response.map(|body| {
        let chunks = body.into_data_stream().map(|chunk| chunk.map_err(|error| -> BoxError { error }));
        maru_http::stream(chunks.take_until(async move { token.cancelled().await }))
    })
}

async fn live(
    state: &Arc<State>,
    session: &Arc<Session>,
    parts: &Parts,
    upgrade: Upgrade,
) -> Result<Response<Body>, Refusal> {
    let Ok(permit) = Arc::clone(&session.sockets).try_acquire_owned() else {
        return Ok(upgrade.refuse(
            &state.scope,
            4429,
            "this session has as many WebSockets open as it may; close a page",
        ));
    };
    let target = secrets::target(parts.uri.path());
    let stream = stream_of(&parts.uri, target.is_some());
    let kind = match stream {
        Some(Stream::Watch { .. }) => "watch",
        Some(Stream::Log) => "log",
        None => "upgrade",
    };
    let held = (permit, Counted::new(state.telemetry.sockets.with(&[kind])));
    let Some(stream) = stream else {
        let headers = headers(&parts.headers, &[HEADERS, UPGRADE_HEADERS]);
        let request = passed_on(parts, relative(&parts.uri), headers, session, maru_http::empty());
        return tunnel::open(state.api.clone(), request, session.identity.clone(), upgrade, &session.scope, held).await;
    };
    let mut headers = headers(&parts.headers, &[&[USER_AGENT]]);
    let uri = take_form(&parts.uri, &mut headers);
    let request = passed_on(parts, uri, headers, session, maru_http::empty());
    if let Some(target) = target {
        let (asked, ()) = {
            let mut asked = Request::new(());
            asked.headers_mut().clone_from(request.headers());
            asked.into_parts()
        };
        if let Err(refusal) = secrets::treatment(&asked, target, true) {
            return Ok(upgrade.refuse(&state.scope, 4000 + refusal.status.as_u16(), &refusal.message));
        }
    }
    let response = upgrade.response();
    let (session, server) = (session.scope.clone(), state.scope.clone());
    let slow = state.telemetry.slow.with(&[]);
    let bridge = Bridge { api: state.api.clone(), request, stream, session, server, slow };
    drop(state.scope.spawn("live", async move {
        let _held = held;
        bridge.run(upgrade).await;
    }));
    Ok(response)
}

/// Passes a request on to another room, when the user's roles let it.
pub(crate) async fn room(
    state: &Arc<State>,
    session: &Arc<Session>,
    room: &Room,
    request: Request<Body>,
) -> Result<Response<Body>, Refusal> {
    let (parts, body) = request.into_parts();
    let inner = parts.uri.path().strip_prefix(&room.prefix).unwrap_or_default();
    let inner = if inner.is_empty() { "/" } else { inner };
    if let Some(verb) = room.access.verb(&parts.method, inner)
        && !access::may(&state.api, session, &room.role_path, verb).await
    {
        let user = &session.identity.user;
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            format!("forbidden: User \"{user}\" cannot {verb} path \"{}\"", room.role_path),
        ));
    }
    let text = parts.uri.query().map_or_else(|| inner.to_owned(), |query| format!("{inner}?{query}"));
    let uri = text.parse().map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "the path cannot be passed on"))?;
    let headers = headers(&parts.headers, &[HEADERS]);
    let mut response = room.handler.call(passed_on(&parts, uri, headers, session, body)).await;
    // The room misses a token of its own for what the page does not do; the session is as good as before.
    if response.status() == StatusCode::UNAUTHORIZED {
        *response.status_mut() = StatusCode::FORBIDDEN;
        response.headers_mut().remove(WWW_AUTHENTICATE);
    }
    Ok(pack(&parts.headers, response).await)
}

impl RoomAccess {
    /// The verb that the room's own tokens need for a request; none when the room decides itself.
    pub(crate) fn verb(self, method: &Method, path: &str) -> Option<&'static str> {
        match self {
            Self::Reads => Some("get"),
            Self::ByMethod if path.starts_with("/-/") && !matches!(path, "/-/healthy" | "/-/ready") => Some("delete"),
            Self::ByMethod if matches!(*method, Method::GET | Method::HEAD) => Some("get"),
            Self::ByMethod => Some("post"),
            Self::Own => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_has_its_own_paths() {
        for own in ["/api", "/api/", "/apis/apps/v1", "/openapi/v3", "/version", "/readyz"] {
            assert!(is_api(own), "{own}");
        }
        for other in ["/", "/apiary", "//api/v1", "/metrics", "/%61pi/v1", "/console/v1/session"] {
            assert!(!is_api(other), "{other}");
        }
    }

    #[test]
    fn streams_are_known_by_their_query() {
        let stream = |uri: &str| stream_of(&uri.parse().unwrap(), false);
        assert_eq!(stream("/api/v1/pods?watch=true"), Some(Stream::Watch { masks: false }));
        assert_eq!(stream("/api/v1/pods?limit=1&watch"), Some(Stream::Watch { masks: false }));
        assert_eq!(stream("/api/v1/namespaces/a/pods/p/log?follow=true&container=c"), Some(Stream::Log));
        for other in [
            "/api/v1/pods?watch=false",
            "/api/v1/namespaces/a/pods/p/log",
            "/api/v1/namespaces/a/pods/p/exec?command=sh",
        ] {
            assert_eq!(stream(other), None, "{other}");
        }
    }

    #[test]
    fn a_websocket_asks_for_a_form_in_its_query() {
        let mut headers = HeaderMap::new();
        let uri = take_form(&"/api/v1/secrets?as=table&watch=true&resourceVersion=4".parse().unwrap(), &mut headers);
        assert_eq!(uri.to_string(), "/api/v1/secrets?watch=true&resourceVersion=4");
        assert_eq!(headers[ACCEPT], "application/json;as=Table;g=meta.k8s.io;v=v1");
        let uri = take_form(&"/api/v1/pods?watch=true&as=x".parse().unwrap(), &mut headers);
        assert_eq!(uri.to_string(), "/api/v1/pods?watch=true&as=x");
        assert_eq!(headers[ACCEPT], "application/json");
    }

    #[test]
    fn only_known_headers_go_on() {
        let mut from = HeaderMap::new();
        for name in [
            "authorization",
            "cookie",
            "impersonate-user",
            "x-remote-user",
            "x-forwarded-for",
            "forwarded",
            "te",
            "accept",
            "content-type",
        ] {
            from.insert(HeaderName::from_static(name), HeaderValue::from_static("x"));
        }
        let to = headers(&from, &[HEADERS]);
        let mut names: Vec<&str> = to.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "content-type", "host"]);
    }

    #[test]
    fn changes_of_a_room_need_more_than_reads() {
        let verb = |method, path| RoomAccess::ByMethod.verb(&method, path);
        assert_eq!(verb(Method::GET, "/api/v2/silences"), Some("get"));
        assert_eq!(verb(Method::POST, "/api/v2/silences"), Some("post"));
        assert_eq!(verb(Method::POST, "/-/reload"), Some("delete"));
        assert_eq!(RoomAccess::Reads.verb(&Method::POST, "/api/v1/query"), Some("get"));
        assert_eq!(RoomAccess::Own.verb(&Method::POST, "/analysis"), None);
    }
}
