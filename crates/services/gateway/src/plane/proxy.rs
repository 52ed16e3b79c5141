//! What happens to one request.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::body::{Exchange, RequestBody, ResponseBody};
use super::headers::{self, Client, Host, TraceId};
use super::pool::Checkout;
use super::snapshot::{Cluster, Snapshot};
use super::tunnel;
use super::upstream::{self, Destination, Failure, Limits, Outgoing};
use super::worker::Worker;
use crate::compile::Transport;
use crate::inputs::Protocol;
use crate::table::{Action, PathRule, Redirect, RequestView, Target};

type Answer = Response<ResponseBody>;

/// Answers one request.
pub(crate) async fn handle(
    worker: Arc<Worker>,
    client: Arc<Client>,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    // In use until the response's head: later changes do not touch this request.
    let snapshot = worker.shared.snapshot.load_full();
    let mut exchange = begin(&worker, &snapshot, &client, &request);
    match route(&worker, &snapshot, &request, &mut exchange) {
        Ok(way) => Ok(forward(&worker, &snapshot, way, request, exchange).await),
        Err(own) => Ok(answer(own, exchange)),
    }
}

fn begin(
    worker: &Arc<Worker>,
    snapshot: &Snapshot,
    client: &Arc<Client>,
    request: &Request<Incoming>,
) -> Box<Exchange> {
    let logs = worker.shared.log.is_on();
    let user_agent = request.headers().get(header::USER_AGENT).filter(|_| logs).cloned();
    let series = snapshot.series.first().map_or_else(|| worker.no_series(), Arc::clone);
    Box::new(Exchange {
        worker: Arc::clone(worker),
        started: Instant::now(),
        series,
        code: 499,
        bytes_sent: 0,
        client: Arc::clone(client),
        protocol: match request.version() {
            Version::HTTP_2 => "HTTP/2",
            Version::HTTP_10 => "HTTP/1.0",
            _ => "HTTP/1.1",
        },
        method: request.method().clone(),
        host: Host::none(),
        target: if logs { request.uri().clone() } else { Uri::default() },
        trace_id: TraceId::default(),
        user_agent,
        upstream: None,
        in_flight: None,
        tries: 0,
        error: None,
    })
}

/// What the gateway answers itself.
enum Own {
    Refusal { status: StatusCode, reason: &'static str, grpc: bool },
    Redirect { status: StatusCode, location: String },
}

/// Decides where a request goes.
fn route<'a>(
    worker: &Worker,
    snapshot: &'a Snapshot,
    request: &Request<Incoming>,
    exchange: &mut Exchange,
) -> Result<Way<'a>, Own> {
    let grpc = is_grpc(request.headers());
    exchange.host =
        check(request).map_err(|reason| Own::Refusal { status: StatusCode::BAD_REQUEST, reason, grpc: false })?;
    let refuse = |status, reason| Own::Refusal { status, reason, grpc };
    if request.method() == Method::CONNECT {
        return Err(refuse(StatusCode::METHOD_NOT_ALLOWED, "CONNECT is not supported"));
    }
    let view = RequestView {
        host: &exchange.host.name,
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        method: request.method(),
        headers: request.headers(),
    };
    let entrance = snapshot.entrances.get(&exchange.client.place);
    let (action, matched) = entrance
        .and_then(|entrance| entrance.hosts.find(&view))
        .ok_or_else(|| refuse(StatusCode::NOT_FOUND, "no route is for this host and path"))?;
    let redirect = |redirect: &Redirect, exchange: &Exchange| Own::Redirect {
        status: redirect.status,
        location: location(redirect, exchange.client.tls, &exchange.host, request.uri(), matched),
    };
    exchange.series = Arc::clone(&snapshot.series[action.series]);
    if let Some(found) = &action.filters.redirect {
        return Err(redirect(found, exchange));
    }
    let target = choose(&action.targets, worker.random())
        .ok_or_else(|| refuse(StatusCode::INTERNAL_SERVER_ERROR, "the route has no backend"))?;
    exchange.series = Arc::clone(&snapshot.series[target.series]);
    if let Some(found) = &target.filters.redirect {
        return Err(redirect(found, exchange));
    }
    let backend = target.backend.map_err(|status| refuse(status, "the route's backend does not exist"))?;
    let cluster = &snapshot.clusters[backend];
    if cluster.transport == Transport::Broken {
        return Err(refuse(StatusCode::BAD_GATEWAY, "the backend's BackendTLSPolicy is not valid"));
    }
    Ok(Way { action, target, matched, cluster, grpc })
}

/// Where a request goes, as far as it is decided.
struct Way<'a> {
    action: &'a Action,
    target: &'a Target,
    matched: Option<&'a PathRule>,
    cluster: &'a Cluster,
    grpc: bool,
}

fn check(request: &Request<Incoming>) -> Result<Host, &'static str> {
    // The library refuses bad framing before this: see the tests.
    let headers = request.headers();
    if headers.contains_key(header::TRANSFER_ENCODING) && headers.contains_key(header::CONTENT_LENGTH) {
        return Err("both Transfer-Encoding and Content-Length");
    }
    headers::host_of(request)
}

async fn forward(
    worker: &Arc<Worker>,
    snapshot: &Snapshot,
    way: Way<'_>,
    mut request: Request<Incoming>,
    mut exchange: Box<Exchange>,
) -> Answer {
    let wanted = headers::wanted_upgrade(&request);
    let on_client = wanted.is_some().then(|| hyper::upgrade::on(&mut request));
    let Way { action, target, cluster, grpc, .. } = way;
    let protocol = match (grpc, &wanted, cluster.protocol) {
        (true, None, _) => Protocol::Http2,
        // HTTP/2 has no upgrade that fits (RFC 9113 §8.6).
        (_, Some(_), _) => Protocol::Http1,
        (false, None, protocol) => protocol,
    };
    let limits = limits_of(worker, action, &exchange, grpc);
    let outgoing = match prepare(worker, &way, request, protocol, wanted.as_ref(), &mut exchange) {
        Ok(outgoing) => outgoing,
        Err(failure) => return fail(failure, grpc, exchange),
    };
    mirror(worker, snapshot, &way, &outgoing);
    let destination = Destination { shared: &worker.shared, pool: &worker.pool, cluster, protocol };
    let random = || worker.random();
    let sent = upstream::send(&destination, outgoing, &limits, &mut exchange, random).await;
    let (mut response, checkout) = match sent {
        Ok(sent) => sent,
        Err(failure) => return fail(failure, grpc, exchange),
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some((on_client, wanted)) = on_client.zip(wanted) else {
            let failure = Failure { status: StatusCode::BAD_GATEWAY, reason: "the upstream changed protocols unasked" };
            return fail(failure, grpc, exchange);
        };
        let on_upstream = hyper::upgrade::on(&mut response);
        let headers = std::mem::take(response.headers_mut());
        return switch(worker, headers, wanted, Tunnel { on_client, on_upstream, checkout }, exchange);
    }
    exchange.code = response.status().as_u16();
    let (mut head, incoming) = response.into_parts();
    headers::strip_hop_by_hop(&mut head.headers);
    action.filters.response_headers.apply(&mut head.headers);
    target.filters.response_headers.apply(&mut head.headers);
    let mut answer = Response::new(ResponseBody::upstream(incoming, checkout, exchange, limits.deadline));
    *answer.status_mut() = head.status;
    *answer.headers_mut() = head.headers;
    answer
}

fn limits_of(worker: &Worker, action: &Action, exchange: &Exchange, grpc: bool) -> Limits {
    let named = action.request_timeout.is_some() || action.try_timeout.is_some();
    Limits {
        deadline: action.request_timeout.map(|timeout| exchange.started + timeout),
        per_try: action.try_timeout,
        head: (!named && !grpc).then_some(worker.shared.options.response_head_timeout),
    }
}

/// Makes the request that the upstream gets.
fn prepare(
    worker: &Worker,
    way: &Way<'_>,
    request: Request<Incoming>,
    protocol: Protocol,
    upgrade: Option<&HeaderValue>,
    exchange: &mut Exchange,
) -> Result<Outgoing, Failure> {
    let (head, incoming) = request.into_parts();
    let mut headers = head.headers;
    let trailers = headers::strip_hop_by_hop(&mut headers);
    headers::strip_console_sessions(&mut headers);
    if trailers && protocol == Protocol::Http2 {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol.clone());
    }
    // The library has answered it already (RFC 9110 §10.1.1).
    headers.remove(header::EXPECT);
    headers::set_forwarded(&mut headers, &exchange.client, &exchange.host);
    exchange.trace_id = headers::continue_trace(&mut headers, || worker.random());
    let filters = [&way.action.filters, &way.target.filters];
    for filters in filters {
        filters.request_headers.apply(&mut headers);
    }
    let authority = filters
        .iter()
        .rev()
        .find_map(|filters| filters.rewrite_host.as_ref())
        .unwrap_or(&exchange.host.authority)
        .clone();
    // What clients of HTTP/1.0 that name no host ask for.
    let authority = if authority.is_empty() { HeaderValue::from_static("localhost") } else { authority };
    let new_path = filters.iter().rev().find_map(|filters| filters.rewrite_path.as_ref());
    let target = match (new_path, way.matched) {
        (Some(new), Some(matched)) => {
            let path = new.apply(head.uri.path(), matched);
            with_query(&path, head.uri.query())
        }
        _ => origin_form(head.uri),
    };
    let target = target.ok_or(Failure { status: StatusCode::BAD_REQUEST, reason: "the path cannot be passed on" })?;
    let (body, sent) = if incoming.is_end_stream() {
        (RequestBody::empty(), None)
    } else {
        let (body, sent) = RequestBody::new(incoming);
        (body, Some(sent))
    };
    Ok(Outgoing { method: head.method, target, authority, headers, body, sent })
}

/// Returns path and query alone.
fn origin_form(uri: Uri) -> Option<Uri> {
    if uri.authority().is_none() && uri.scheme().is_none() && uri.path_and_query().is_some() {
        return Some(uri);
    }
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = uri.into_parts().path_and_query.or_else(|| Some(PathAndQuery::from_static("/")));
    Uri::from_parts(parts).ok()
}

fn with_query(path: &str, query: Option<&str>) -> Option<Uri> {
    match query {
        Some(query) => format!("{path}?{query}").parse().ok(),
        None => path.parse().ok(),
    }
}

/// Sends copies of a request without a body; nobody waits for their answers.
fn mirror(worker: &Arc<Worker>, snapshot: &Snapshot, way: &Way<'_>, outgoing: &Outgoing) {
    if outgoing.sent.is_some() {
        return;
    }
    let mirrors = way.action.filters.mirrors.iter().chain(&way.target.filters.mirrors);
    for mirror in mirrors {
        let cluster = &snapshot.clusters[mirror.backend];
        if !mirror.takes(worker.random()) || cluster.transport == Transport::Broken {
            continue;
        }
        let Some(endpoint) = cluster.pick(&[], 0, || worker.random()) else { continue };
        let (pool, peer) = (Arc::clone(&worker.pool), cluster.peer(endpoint, cluster.protocol));
        let copy = Outgoing {
            method: outgoing.method.clone(),
            target: outgoing.target.clone(),
            authority: outgoing.authority.clone(),
            headers: outgoing.headers.clone(),
            body: RequestBody::empty(),
            sent: None,
        };
        drop(worker.scope.spawn_until_cancelled("mirror", async move {
            upstream::send_copy(&pool, &peer, copy).await;
        }));
    }
}

/// Both ends of a connection that changes protocols.
struct Tunnel {
    on_client: OnUpgrade,
    on_upstream: OnUpgrade,
    checkout: Checkout,
}

/// Passes bytes both ways once the upstream has agreed to change protocols.
fn switch(
    worker: &Arc<Worker>,
    mut headers: HeaderMap,
    wanted: HeaderValue,
    tunnel: Tunnel,
    mut exchange: Box<Exchange>,
) -> Answer {
    headers::strip_hop_by_hop(&mut headers);
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, wanted);
    exchange.code = StatusCode::SWITCHING_PROTOCOLS.as_u16();
    // The exchange lasts as long as the tunnel; what the client gets now is the head alone.
    let scope = worker.scope.clone();
    drop(scope.clone().spawn("tunnel", async move {
        let Tunnel { on_client, on_upstream, checkout } = tunnel;
        let (Ok(client), Ok(upstream), ()) = tokio::join!(on_client, on_upstream, checkout.run()) else { return };
        tokio::select! {
            sent = tunnel::run(TokioIo::new(client), TokioIo::new(upstream)) => exchange.bytes_sent = sent,
            () = scope.cancelled() => {}
        }
    }));
    let mut answer = Response::new(ResponseBody::nothing());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *answer.headers_mut() = headers;
    answer
}

fn choose(targets: &[Target], random: u64) -> Option<&Target> {
    let total: u64 = targets.iter().map(|target| u64::from(target.weight)).sum();
    let mut at = random.checked_rem(total)?;
    targets.iter().find(|target| match at.checked_sub(u64::from(target.weight)) {
        None => true,
        Some(rest) => {
            at = rest;
            false
        }
    })
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

fn answer(own: Own, mut exchange: Box<Exchange>) -> Answer {
    match own {
        Own::Refusal { status, reason, grpc } => refuse(status, reason, grpc, exchange),
        Own::Redirect { status, location } => {
            exchange.code = status.as_u16();
            let mut answer = Response::new(ResponseBody::own("", exchange));
            *answer.status_mut() = status;
            if let Ok(location) = HeaderValue::try_from(location) {
                answer.headers_mut().insert(header::LOCATION, location);
            }
            answer
        }
    }
}

/// Returns where a redirect leads. Without a port of its own it keeps the client's, unless the scheme changes.
fn location(redirect: &Redirect, tls: bool, host: &Host, uri: &Uri, matched: Option<&PathRule>) -> String {
    let own_scheme = if tls { "https" } else { "http" };
    let scheme = redirect.scheme.as_deref().unwrap_or(own_scheme);
    let name = redirect.hostname.as_deref().unwrap_or(&host.name);
    let kept = if redirect.scheme.is_some() { None } else { host.port };
    let usual = if scheme == "https" { 443 } else { 80 };
    let port = redirect.port.or(kept).filter(|port| *port != usual).map(|port| format!(":{port}")).unwrap_or_default();
    let path = match (&redirect.path, matched) {
        (Some(new), Some(matched)) => new.apply(uri.path(), matched),
        _ => uri.path().to_owned(),
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{name}{port}{path}{query}")
}

fn fail(failure: Failure, grpc: bool, exchange: Box<Exchange>) -> Answer {
    refuse(failure.status, failure.reason, grpc, exchange)
}

/// Answers in the gateway's own name. gRPC clients get their own kind of status.
fn refuse(status: StatusCode, reason: &'static str, grpc: bool, mut exchange: Box<Exchange>) -> Answer {
    exchange.code = status.as_u16();
    exchange.error = Some(reason);
    if grpc {
        let mut answer = Response::new(ResponseBody::own("", exchange));
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from_static(grpc_status(status)));
        headers.insert("grpc-message", HeaderValue::from_static(reason));
        return answer;
    }
    let close = status == StatusCode::BAD_REQUEST && exchange.protocol != "HTTP/2";
    let mut answer = Response::new(ResponseBody::own(format!("{reason}\n"), exchange));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if close {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// gRPC, "HTTP to gRPC Status Code Mapping".
fn grpc_status(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "13",
        StatusCode::NOT_FOUND => "12",
        StatusCode::GATEWAY_TIMEOUT => "4",
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => "14",
        _ => "2",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Filters, NewPath};

    #[test]
    fn redirects_lead_where_the_specification_says() {
        let host = |port| Host { name: "a.example".to_owned(), port, ..Host::none() };
        let uri: Uri = "/old/x?q=1".parse().unwrap();
        let matched = PathRule::Prefix("/old".to_owned());
        let plain = Redirect { scheme: None, hostname: None, path: None, port: None, status: StatusCode::FOUND };
        let https = Some("https".to_owned());
        let path = Some(NewPath::Prefix("/new".to_owned()));
        let table = [
            (Redirect { scheme: https.clone(), ..plain.clone() }, Some(8080), "https://a.example/old/x?q=1"),
            (Redirect { hostname: Some("b".to_owned()), ..plain.clone() }, Some(8080), "http://b:8080/old/x?q=1"),
            (Redirect { path, ..plain.clone() }, None, "http://a.example/new/x?q=1"),
            (
                Redirect { port: Some(8443), scheme: https.clone(), ..plain.clone() },
                None,
                "https://a.example:8443/old/x?q=1",
            ),
            (Redirect { port: Some(443), scheme: https, ..plain.clone() }, None, "https://a.example/old/x?q=1"),
            (Redirect { port: Some(80), ..plain }, Some(8080), "http://a.example/old/x?q=1"),
        ];
        for (redirect, port, expected) in table {
            assert_eq!(location(&redirect, false, &host(port), &uri, Some(&matched)), expected);
        }
    }

    #[test]
    fn weights_share_requests() {
        let target = |weight| Target { weight, backend: Ok(0), series: 0, filters: Filters::default() };
        let targets = [target(1), target(0), target(3)];
        let picks: Vec<u32> = (0..8).map(|random| choose(&targets, random).unwrap().weight).collect();
        assert_eq!(picks, [1, 3, 3, 3, 1, 3, 3, 3]);
        assert!(choose(&[target(0)], 7).is_none() && choose(&[], 7).is_none());
    }
}
