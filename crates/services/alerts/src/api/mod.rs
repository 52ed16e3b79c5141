//! Alertmanager's API, version 2, as its clients speak it, and what only Maru answers.

mod alerts;
mod requests;
mod silences;
mod traces;

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use maru_http::{Body, Handler};
use serde_json::{Value as Json, json};

use crate::access::{Gate, Need};
use crate::service::Shared;
use requests::Query;

pub(crate) use alerts::read_posted;

/// Most bytes of a body.
const BODY_BYTES_MAX: usize = 16 << 20;

/// What a request is answered with.
pub(crate) struct Reply {
    status: StatusCode,
    kind: &'static str,
    body: Vec<u8>,
}

impl Reply {
    fn json(value: &Json) -> Self {
        Self::json_with(StatusCode::OK, value)
    }

    /// Answers with what is serialized without a tree in between.
    fn serialized(value: &impl serde::Serialize) -> Self {
        let mut body = serde_json::to_vec(value).unwrap_or_default();
        body.push(b'\n');
        Self { status: StatusCode::OK, kind: "application/json", body }
    }

    fn json_with(status: StatusCode, value: &Json) -> Self {
        Self { status, kind: "application/json", body: format!("{value}\n").into_bytes() }
    }

    /// Refuses with a JSON text, as handlers do.
    fn refuse(status: StatusCode, why: impl Into<String>) -> Self {
        Self::json_with(status, &Json::String(why.into()))
    }

    /// Refuses what does not have the form of the API: `code` says how.
    fn malformed(status: StatusCode, code: u32, why: impl Into<String>) -> Self {
        Self::json_with(status, &json!({"code": code, "message": why.into()}))
    }

    fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: text.into().into_bytes() }
    }

    fn empty() -> Self {
        Self { status: StatusCode::OK, kind: "", body: Vec::new() }
    }

    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(maru_http::full(self.body));
        *response.status_mut() = self.status;
        if !self.kind.is_empty() {
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        }
        response
    }
}

type Answer = Result<Reply, Reply>;

/// Returns what answers requests.
pub(crate) fn handler(shared: &Arc<Shared>, gate: Gate) -> Handler {
    let shared = Arc::clone(shared);
    Handler::new(move |request| {
        let (shared, gate) = (Arc::clone(&shared), gate.clone());
        async move {
            let headers = request.headers().clone();
            let reply = answer(&shared, &gate, request).await.unwrap_or_else(|refused| refused);
            let mut response = reply.into_response();
            cors(&shared, &headers, response.headers_mut());
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
    })
}

/// Lets the web pages that are allowed to read answers do so.
fn cors(shared: &Shared, request: &HeaderMap, response: &mut HeaderMap) {
    let Some(origin) = request.get(header::ORIGIN) else { return };
    let own = &shared.options.cors_origins;
    response.append(header::VARY, HeaderValue::from_static("Origin"));
    if !own.iter().any(|own| own == "*" || own.as_bytes() == origin.as_bytes()) {
        return;
    }
    response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    response.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("Accept, Authorization, Content-Type, Origin"),
    );
    response.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE, OPTIONS"));
}

/// Returns what a request needs; nothing for those that everybody may ask.
fn need(method: &Method, path: &str) -> Option<Need> {
    match (method, path) {
        (_, "/-/healthy" | "/-/ready") | (&Method::OPTIONS, _) => None,
        (_, "/-/reload") => Some(Need::Admin),
        (&Method::GET | &Method::HEAD, _) => Some(Need::Read),
        _ => Some(Need::Write),
    }
}

async fn answer(shared: &Arc<Shared>, gate: &Gate, request: Request<Body>) -> Answer {
    let (parts, body) = request.into_parts();
    let (method, path) = (&parts.method, parts.uri.path());
    if let Some(need) = need(method, path) {
        let admitted = gate.admit(parts.headers.clone(), need).await;
        admitted.map_err(|(status, why)| Reply::refuse(status, why))?;
    }
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (segments.as_slice(), is_read, method) {
        (_, _, &Method::OPTIONS) => Ok(Reply { status: StatusCode::NO_CONTENT, ..Reply::empty() }),
        (["-", "healthy"], true, _) => Ok(Reply::text(StatusCode::OK, "OK")),
        (["-", "ready"], true, _) if shared.is_stopping() => {
            Ok(Reply::text(StatusCode::SERVICE_UNAVAILABLE, "stopping"))
        }
        (["-", "ready"], true, _) => Ok(Reply::text(StatusCode::OK, "OK")),
        (["-", "reload"], _, &Method::POST | &Method::PUT) => match shared.reload() {
            Ok(()) => Ok(Reply::empty()),
            Err(error) => {
                Err(Reply::text(StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {error}\n")))
            }
        },
        (["metrics"], true, _) => Ok(metrics(shared)),
        (["api", "v1", ..], ..) => Err(Reply::json_with(
            StatusCode::GONE,
            &json!({"status": "deprecated", "error": "the API version 1 is gone; use /api/v2"}),
        )),
        (["api", "v2", "status"], true, _) => Ok(status(shared)),
        (["api", "v2", "receivers"], true, _) => {
            let plan = Arc::clone(&shared.engine().plan);
            let names: Vec<Json> = plan.receivers.iter().map(|receiver| json!({"name": receiver.name})).collect();
            Ok(Reply::json(&Json::Array(names)))
        }
        (["api", "v2", "alerts"], true, _) => alerts::list(shared, &query),
        (["api", "v2", "alerts"], _, &Method::POST) => alerts::post(shared, &collect(body).await?).await,
        (["api", "v2", "alerts", "groups"], true, _) => alerts::groups(shared, &query),
        (["api", "v2", "alerts", "traces"], true, _) => traces::by_labels(shared, &query),
        (["api", "v2", "alerts", fingerprint, "trace"], true, _) => traces::one(shared, fingerprint),
        (["api", "v2", "silences"], true, _) => silences::list(shared, &query),
        (["api", "v2", "silences"], _, &Method::POST) => silences::post(shared, &collect(body).await?).await,
        (["api", "v2", "silence", id], true, _) => silences::get(shared, id),
        (["api", "v2", "silence", id], _, &Method::DELETE) => silences::delete(shared, id).await,
        ([""], true, _) => Ok(Reply::text(StatusCode::OK, FRONT)),
        _ => Err(Reply::text(StatusCode::NOT_FOUND, "404 page not found\n")),
    }
}

/// What a person sees who opens the address in a browser.
const FRONT: &str = "Maru alerts\n\n/api/v2/alerts  /api/v2/alerts/groups  /api/v2/silences  /api/v2/status  /api/v2/receivers\n/api/v2/alerts/{fingerprint}/trace tells why somebody was, or was not, told.\nUse amtool, Grafana or \"maru alerts\" with this address.\n";

async fn collect(body: Body) -> Result<Vec<u8>, Reply> {
    match maru_http::collect_limited(body, BODY_BYTES_MAX).await {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(error) => Err(Reply::refuse(StatusCode::PAYLOAD_TOO_LARGE, error.to_string())),
    }
}

fn status(shared: &Shared) -> Reply {
    let plan = Arc::clone(&shared.engine().plan);
    Reply::json(&json!({
        "cluster": {"peers": [], "status": "disabled"},
        "config": {"original": plan.original},
        "uptime": requests::millis(shared.started),
        "versionInfo": {
            "branch": "",
            "buildDate": "",
            "buildUser": "",
            "goVersion": "",
            "revision": "",
            // The version whose behaviour clients may expect.
            "version": concat!("0.34.0+maru.", env!("CARGO_PKG_VERSION")),
        },
    }))
}

fn metrics(shared: &Shared) -> Reply {
    let now = shared.now();
    let engine = shared.engine();
    let (mut active, mut suppressed) = (0, 0);
    for (_, alert) in engine.alerts().filter(|(_, alert)| !alert.is_resolved(now)) {
        let is_quiet =
            engine.inhibited(&alert.labels, now).is_some() || !engine.silenced_by(&alert.labels, now).is_empty();
        if is_quiet { suppressed += 1 } else { active += 1 }
    }
    shared.telemetry.set_alerts(active, suppressed);
    for state in [crate::SilenceState::Active, crate::SilenceState::Pending, crate::SilenceState::Expired] {
        let number = engine.silences().filter(|silence| silence.state(now) == state).count();
        shared.telemetry.set_silences(state.name(), number);
    }
    shared.telemetry.set_groups(engine.groups().count());
    drop(engine);
    Reply {
        status: StatusCode::OK,
        kind: "text/plain; version=0.0.4; charset=utf-8",
        body: shared.options.registry.render().into_bytes(),
    }
}
