//! Tries of one request at the endpoints of a backend.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Shared;
use super::body::{Exchange, RequestBody};
use super::pool::{Checkout, Peer, Pool};
use super::snapshot::{Cluster, InFlight};
use crate::inputs::Protocol;

/// Tries of one request.
const TRIES_MAX: u32 = 3;
/// Time for a mirrored request.
const COPY_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a request got no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    pub status: StatusCode,
    pub reason: &'static str,
}

impl Failure {
    pub(crate) const NO_ENDPOINT: Self =
        Self { status: StatusCode::SERVICE_UNAVAILABLE, reason: "no endpoint is ready" };
    const CONNECT: Self = Self { status: StatusCode::BAD_GATEWAY, reason: "no endpoint could be reached" };
    const BROKEN: Self = Self { status: StatusCode::BAD_GATEWAY, reason: "the upstream broke off" };
    pub(crate) const LATE: Self = Self { status: StatusCode::GATEWAY_TIMEOUT, reason: "the upstream took too long" };
}

/// A request as it goes to an upstream, whichever endpoint that is.
pub(crate) struct Outgoing {
    pub method: Method,
    /// Path and query.
    pub target: Uri,
    /// The host that the upstream sees.
    pub authority: HeaderValue,
    pub headers: HeaderMap,
    pub body: RequestBody,
    /// Resolves when the body has been sent; there is none when there is no body.
    pub sent: Option<oneshot::Receiver<()>>,
}

/// Where a request goes.
pub(crate) struct Destination<'a> {
    pub shared: &'a Shared,
    pub pool: &'a Arc<Pool>,
    pub cluster: &'a Cluster,
    pub protocol: Protocol,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The whole request ends by then.
    pub deadline: Option<Instant>,
    /// One try's response head, counted from its beginning.
    pub per_try: Option<Duration>,
    /// A response head, counted from the end of the request.
    pub head: Option<Duration>,
}

/// Sends a request to the endpoints of a cluster until one answers, as far as it may be repeated.
pub(crate) async fn send(
    destination: &Destination<'_>,
    outgoing: Outgoing,
    limits: &Limits,
    exchange: &mut Exchange,
    mut random: impl FnMut() -> u64,
) -> Result<(Response<Incoming>, Checkout), Failure> {
    let Destination { shared, pool, cluster, protocol } = *destination;
    let Outgoing { method, target, authority, headers, body, mut sent } = outgoing;
    // Without a body, and by its method (RFC 9110 §9.2.2), it can be made again after it was sent.
    let repeatable = sent.is_none() && is_idempotent(&method);
    let head = Head { method, target, authority, headers };
    let spare = repeatable.then(|| head.clone());
    let mut request = Some(head.into_request(protocol, body)?);
    let mut tried: Vec<SocketAddr> = Vec::new();
    let mut failure = Failure::NO_ENDPOINT;
    while exchange.tries < TRIES_MAX {
        let now = u64::try_from(shared.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let Some(endpoint) = cluster.pick(&tried, now, &mut random) else { break };
        exchange.tries += 1;
        exchange.upstream = Some(endpoint.address);
        let mut checkout = match pool.checkout(&cluster.peer(endpoint, protocol)).await {
            Ok(checkout) => checkout,
            Err(error) => {
                tracing::debug!(address = %endpoint.address, %error, "an endpoint could not be reached");
                shared.metrics.upstream_failures.with(&["connect"]).inc();
                endpoint.failed(now);
                tried.push(endpoint.address);
                failure = Failure::CONNECT;
                continue;
            }
        };
        exchange.in_flight = Some(InFlight::new(endpoint));
        let again = match request.take() {
            Some(request) => request,
            None => match spare.clone() {
                Some(head) => head.into_request(protocol, RequestBody::empty())?,
                None => break,
            },
        };
        let result = tokio::select! {
            result = checkout.send(again) => result,
            () = too_late(limits, sent.as_mut()) => {
                shared.metrics.upstream_failures.with(&["timeout"]).inc();
                return Err(Failure::LATE);
            }
        };
        match result {
            Ok(response) => return Ok((response, checkout)),
            Err(error) => {
                tracing::debug!(address = %endpoint.address, error = %error.source, "an upstream did not answer");
                shared.metrics.upstream_failures.with(&["broken"]).inc();
                failure = Failure::BROKEN;
                request = error.unsent;
                // A kept connection may be stale: its endpoint deserves another try.
                if !checkout.reused {
                    tried.push(endpoint.address);
                }
                if request.is_none() && spare.is_none() {
                    break;
                }
            }
        }
    }
    exchange.in_flight = None;
    Err(failure)
}

/// Sends a copy of a request and throws the answer away.
pub(crate) async fn send_copy(pool: &Arc<Pool>, peer: &Peer, outgoing: Outgoing) {
    let Outgoing { method, target, authority, headers, body, .. } = outgoing;
    let Ok(request) = (Head { method, target, authority, headers }).into_request(peer.protocol, body) else { return };
    let sending = async {
        let mut checkout = pool.checkout(peer).await.ok()?;
        let mut body = checkout.send(request).await.ok()?.into_body();
        let mut next = |context: &mut Context<'_>| {
            checkout.drive(context);
            Pin::new(&mut body).poll_frame(context)
        };
        while let Some(frame) = poll_fn(&mut next).await {
            frame.ok()?;
        }
        checkout.give_back();
        Some(())
    };
    if tokio::time::timeout(COPY_TIMEOUT, sending).await.ok().flatten().is_none() {
        tracing::debug!(address = %peer.address, "a mirrored request failed");
    }
}

/// Waits until a try has taken too long.
async fn too_late(limits: &Limits, sent: Option<&mut oneshot::Receiver<()>>) {
    let now = Instant::now();
    let after = |limit: Option<Duration>| limit.map(|limit| now + limit);
    let fixed = earlier(limits.deadline, after(limits.per_try));
    if let Some(sent) = sent {
        tokio::select! {
            () = until(fixed) => return,
            // An error says the same: the sender is dropped at the body's end.
            _ = sent => {}
        }
        let head = limits.head.map(|limit| Instant::now() + limit);
        return until(earlier(fixed, head)).await;
    }
    until(earlier(fixed, after(limits.head))).await;
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE)
}

#[derive(Clone)]
struct Head {
    method: Method,
    target: Uri,
    authority: HeaderValue,
    headers: HeaderMap,
}

impl Head {
    fn into_request(self, protocol: Protocol, body: RequestBody) -> Result<Request<RequestBody>, Failure> {
        const BAD: Failure = Failure { status: StatusCode::BAD_REQUEST, reason: "the request cannot be passed on" };
        let Self { method, target, authority, mut headers } = self;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        match protocol {
            Protocol::Http1 => {
                headers.insert(http::header::HOST, authority);
                *request.uri_mut() = target;
                *request.version_mut() = Version::HTTP_11;
            }
            Protocol::Http2 => {
                headers.remove(http::header::HOST);
                let path = target.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
                let uri = Uri::builder().scheme("http").authority(authority.as_bytes()).path_and_query(path).build();
                *request.uri_mut() = uri.map_err(|_| BAD)?;
                *request.version_mut() = Version::HTTP_2;
            }
        }
        *request.headers_mut() = headers;
        Ok(request)
    }
}
