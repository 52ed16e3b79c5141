//! Upgrades that go through unchanged: commands, attached terminals, ports. Bytes are carried, not understood, between
//! the browser's connection and one to the API's handler in this process, so that the end of a session cuts both.

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use maru_auth::Identity;
use maru_http::{Body, Handler};
use maru_task::Scope;
use serde_json::Value;

use crate::answer::Refusal;
use crate::socket::Upgrade;
use crate::telemetry::Counted;

const BUFFER_BYTES: usize = 32 * 1024;
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// What stays open for as long as the tunnel is.
pub(crate) type Held = (tokio::sync::OwnedSemaphorePermit, Counted);

/// Passes an upgrade on to the API and returns the browser's answer. A refusal becomes the reason for closing.
pub(crate) async fn open(
    api: Handler,
    request: Request<Body>,
    identity: Identity,
    upgrade: Upgrade,
    scope: &Scope,
    held: Held,
) -> Result<Response<Body>, Refusal> {
    let lost = |error: hyper::Error| {
        tracing::warn!(%error, "a connection inside of this process broke");
        Refusal::new(StatusCode::BAD_GATEWAY, "the API did not answer")
    };
    let (near, far) = tokio::io::duplex(BUFFER_BYTES);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        request.extensions_mut().insert(identity.clone());
        let answer = api.call(request);
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    let server =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), service).with_upgrades();
    drop(scope.spawn_until_cancelled("tunnel", server));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near)).await.map_err(lost)?;
    drop(scope.spawn_until_cancelled("tunnel", connection.with_upgrades()));
    let response = sender.send_request(request).await.map_err(lost)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let (status, body) = (response.status(), response.into_body());
        let content = maru_http::collect_limited(body, ERROR_BYTES_MAX).await.unwrap_or_default();
        let error: Value = serde_json::from_slice(&content).unwrap_or_default();
        let message = error["message"].as_str().map(str::to_owned);
        let message = message.unwrap_or_else(|| String::from_utf8_lossy(&content).into_owned());
        return Ok(upgrade.refuse(scope, 4000 + status.as_u16(), &message));
    }
    let mut answer = Response::new(maru_http::empty());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    answer.headers_mut().clone_from(response.headers());
    drop(scope.spawn_until_cancelled("tunnel", async move {
        let _held = held;
        let (Some(mut browser), Ok(room)) = (upgrade.connection().await, hyper::upgrade::on(response).await) else {
            return;
        };
        let mut room = TokioIo::new(room);
        if let Err(error) = tokio::io::copy_bidirectional(&mut browser, &mut room).await {
            tracing::debug!(%error, "a tunnel ended early");
        }
    }));
    Ok(answer)
}
