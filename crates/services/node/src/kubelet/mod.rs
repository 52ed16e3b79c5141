//! The HTTP interface of a kubelet. Whoever reaches it is allowed to: the API server has asked before.

mod logs;
mod output;
mod port_forward;
mod port_forward_channels;
mod query;
mod spdy;
mod spdy_command;
mod stats;
mod streams;
mod websocket;

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode, header};
use maru_container::ContainerId;
use maru_http::{Body, Handler, full};
use serde_json::{Value, json};

use crate::context::Context;
use crate::manager::Pods;
use crate::worker::PodHandle;
use query::Query;

/// Returns what answers the paths of a kubelet.
pub(crate) fn handler(context: Arc<Context>, pods: Pods) -> Handler {
    let kubelet = Arc::new(Kubelet { context, pods });
    Handler::new(move |request| {
        let kubelet = Arc::clone(&kubelet);
        async move { kubelet.answer(request).await.unwrap_or_else(Refusal::into_response) }
    })
}

struct Kubelet {
    context: Arc<Context>,
    pods: Pods,
}

/// Why a request is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the server could not find the requested resource")]
    Path,
    #[error("pods \"{name}\" not found")]
    Pod { name: String },
    #[error("{0}")]
    Bad(String),
    #[error("{0}")]
    Failed(String),
}

impl Refusal {
    fn into_response(self) -> Response<Body> {
        let (code, reason) = match &self {
            Self::Path | Self::Pod { .. } => (StatusCode::NOT_FOUND, "NotFound"),
            Self::Bad(_) => (StatusCode::BAD_REQUEST, "BadRequest"),
            Self::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        };
        let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.to_string(), "reason": reason, "code": code.as_u16()});
        let mut response = as_json(&body);
        *response.status_mut() = code;
        response
    }
}

fn as_json(body: &Value) -> Response<Body> {
    with_type(body.to_string(), "application/json")
}

fn as_text(body: impl Into<bytes::Bytes>) -> Response<Body> {
    with_type(body, "text/plain; charset=utf-8")
}

fn with_type(body: impl Into<bytes::Bytes>, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(full(body));
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}

impl Kubelet {
    async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let path = request.uri().path().to_owned();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let query = Query::parse(request.uri().query().unwrap_or_default());
        let is_spdy = spdy::is_requested(request.headers());
        let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
        match parts.as_slice() {
            ["healthz" | "livez" | "readyz", ..] if is_get => Ok(as_text("ok")),
            ["pods"] if is_get => Ok(self.list()),
            ["containerLogs", namespace, pod, container] if is_get => {
                logs::answer(&self.context, &self.find(namespace, pod)?, container, &query).await
            }
            ["exec", namespace, pod, container] | ["exec", namespace, pod, _, container] if is_spdy => {
                spdy_command::exec(request, &self.context, &self.find(namespace, pod)?, container, &query).await
            }
            ["exec", namespace, pod, container] | ["exec", namespace, pod, _, container] => {
                streams::exec(request, &self.context, &self.find(namespace, pod)?, container, &query).await
            }
            ["attach", namespace, pod, container] | ["attach", namespace, pod, _, container] if is_spdy => {
                spdy_command::attach(request, &self.context, &self.find(namespace, pod)?, container, &query).await
            }
            ["attach", namespace, pod, container] | ["attach", namespace, pod, _, container] => {
                streams::attach(request, &self.context, &self.find(namespace, pod)?, container, &query).await
            }
            ["portForward", namespace, pod] | ["portForward", namespace, pod, _] => {
                port_forward::answer(request, &self.context, &self.find(namespace, pod)?, &query)
            }
            ["stats", "summary"] if is_get => Ok(as_json(&stats::summary(&self.context, &self.pods).await)),
            ["metrics", "resource"] if is_get => Ok(as_text(stats::resource(&self.context, &self.pods).await)),
            ["metrics", "cadvisor"] if is_get => Ok(as_text(stats::cadvisor(&self.context, &self.pods).await)),
            ["metrics"] if is_get => Ok(as_text(self.context.options.registry.render())),
            _ => Err(Refusal::Path),
        }
    }

    fn find(&self, namespace: &str, name: &str) -> Result<PodHandle, Refusal> {
        self.pods.find(namespace, name).ok_or_else(|| Refusal::Pod { name: name.to_owned() })
    }

    fn list(&self) -> Response<Body> {
        let items: Vec<Value> =
            self.pods.views().iter().map(|view| serde_json::to_value(view.pod.as_ref()).unwrap_or_default()).collect();
        as_json(&json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}))
    }
}

/// Finds the running attempt of a container.
fn running(handle: &PodHandle, container: &str) -> Result<(maru_container::Shim, ContainerId), Refusal> {
    let view = handle.view.borrow();
    if crate::pod::member(&view.pod, container).is_none() {
        let name = crate::pod::name(&view.pod);
        return Err(Refusal::Bad(format!("container {container} is not valid for pod {name}")));
    }
    let attempt = view.containers.get(container).and_then(|one| one.running).map(|(attempt, _)| attempt);
    match (attempt, &view.shim) {
        (Some(attempt), Some(shim)) => Ok((shim.clone(), ContainerId::new(container, attempt))),
        _ => Err(Refusal::Bad(format!("container not found (\"{container}\"): it is not running"))),
    }
}
