//! The analysis over HTTP: what would be if limits were others. Nothing is written, and all is read as the caller.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use maru_api::{ArchitectureStatus, RequirementSpec};
use maru_auth::Identity;
use maru_http::{Body, Handler, collect_limited};
use maru_solver::Stop;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::decision::change;
use super::{Analysis, Effort, Question, analyse, questions, status_of_error};

const BODY_BYTES_MAX: usize = 256 << 10;
/// How long one answer may take; what is known by then is the answer.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Questions that are answered at a time; the others wait.
const ANSWERS_AT_A_TIME: usize = 1;
/// The fields of a criterion that are limits.
const LIMITS: [&str; 3] = ["atMost", "atLeast", "atLoad"];
const CURVE_POINTS_MAX: usize = 50;

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asking {
    /// The namespace of the project.
    project: String,
    /// Which architecture; may be left out where there is one.
    architecture: Option<String>,
    /// Limits to try in the place of those that are written.
    #[serde(default)]
    limits: Vec<OtherLimit>,
    /// How many points of the curve of cost and availability are wanted.
    #[serde(default)]
    curve_points: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OtherLimit {
    requirement: String,
    field: String,
    value: String,
}

/// A limit that can be another one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenLimit {
    requirement: String,
    title: Option<Value>,
    priority: Value,
    indicator: &'static str,
    field: &'static str,
    value: String,
}

/// Why there is no answer, as Kubernetes says it.
struct Refusal(StatusCode, &'static str, String);

impl Refusal {
    fn bad(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, "BadRequest", message.into())
    }
}

/// Returns what answers `POST /v1/analysis`. The identity in a request's extensions is who reads at `api`.
#[must_use]
pub fn answers(api: Handler) -> Handler {
    let turns = Arc::new(Semaphore::new(ANSWERS_AT_A_TIME));
    Handler::new(move |request| {
        let (api, turns) = (api.clone(), Arc::clone(&turns));
        async move {
            let (status, body) = match answer(&api, &turns, request).await {
                Ok(body) => (StatusCode::OK, body),
                Err(Refusal(status, reason, message)) => (
                    status,
                    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason,
                           "message": message, "code": status.as_u16()}),
                ),
            };
            let mut response = Response::new(maru_http::full(body.to_string()));
            *response.status_mut() = status;
            response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
            response
        }
    })
}

async fn answer(api: &Handler, turns: &Semaphore, request: Request<Body>) -> Result<Value, Refusal> {
    if request.uri().path() != "/v1/analysis" {
        let path = request.uri().path();
        return Err(Refusal(StatusCode::NOT_FOUND, "NotFound", format!("there is no \"{path}\"; ask /v1/analysis")));
    }
    if request.method() != Method::POST {
        return Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "questions are posted".to_owned()));
    }
    let Some(identity) = request.extensions().get::<Identity>().cloned() else {
        return Err(Refusal(StatusCode::UNAUTHORIZED, "Unauthorized", "nobody asks".to_owned()));
    };
    let body = collect_limited(request.into_body(), BODY_BYTES_MAX).await;
    let body = body.map_err(|error| Refusal::bad(error.to_string()))?;
    let asking: Asking =
        serde_json::from_slice(&body).map_err(|error| Refusal::bad(format!("the question cannot be read: {error}")))?;
    let client = maru_client::in_process(api, &identity);
    let found = questions(&client, &asking.project).await.map_err(|error| match error {
        kube::Error::Api(status) => Refusal(
            StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            "Refused",
            status.message.clone(),
        ),
        other => Refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", other.to_string()),
    })?;
    let names: Vec<String> = found.iter().map(|(name, _)| name.clone()).collect();
    let (name, written) = chosen(found, &asking)?;
    let limits = written_limits(&written.requirements);
    let question = with_limits(&written, &asking.limits)?;
    let curve_points = asking.curve_points.min(CURVE_POINTS_MAX);
    // Waits for its turn: a page that moves a slider gives up questions that it no longer asks, by closing them.
    let turn = turns.acquire().await;
    let (status, analysis) = work(question, curve_points).await?;
    drop(turn);
    let whole = analysis.as_ref().map_or(Value::Null, Analysis::json);
    Ok(json!({
        "architecture": name, "architectures": names, "status": status, "limits": limits, "tradeoff": whole["tradeoff"],
        "currency": analysis.as_ref().map(|analysis| &analysis.currency),
    }))
}

fn chosen(found: Vec<(String, Result<Question, String>)>, asking: &Asking) -> Result<(String, Question), Refusal> {
    let project = &asking.project;
    let names: Vec<String> = found.iter().map(|(name, _)| name.clone()).collect();
    let missing = |message| Refusal(StatusCode::NOT_FOUND, "NotFound", message);
    let wanted = match (&asking.architecture, names.as_slice()) {
        (Some(wanted), _) => wanted.clone(),
        (None, [first, ..]) => first.clone(),
        (None, []) => return Err(missing(format!("project \"{project}\" has no Architecture"))),
    };
    let Some((name, question)) = found.into_iter().find(|(name, _)| *name == wanted) else {
        let names = names.join(", ");
        return Err(missing(format!("project \"{project}\" has no architecture \"{wanted}\"; there are: {names}")));
    };
    let question = question.map_err(|why| {
        Refusal(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", format!("Architecture \"{name}\" cannot be read: {why}"))
    })?;
    Ok((name, question))
}

fn written_limits(requirements: &[(String, RequirementSpec)]) -> Vec<WrittenLimit> {
    let mut limits = Vec::new();
    for (name, spec) in requirements {
        let Some(criterion) = &spec.criterion else { continue };
        let fields = serde_json::to_value(criterion).unwrap_or_default();
        for field in LIMITS {
            let Some(value) = fields.get(field) else { continue };
            limits.push(WrittenLimit {
                requirement: name.clone(),
                title: serde_json::to_value(&spec.title).ok(),
                priority: serde_json::to_value(spec.priority).unwrap_or_default(),
                indicator: criterion.indicator(),
                field,
                value: value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            });
        }
    }
    limits
}

fn with_limits(written: &Question, limits: &[OtherLimit]) -> Result<Question, Refusal> {
    let mut question = written.clone();
    for limit in limits {
        let Some(field) = LIMITS.into_iter().find(|field| *field == limit.field) else {
            return Err(Refusal::bad(format!("\"{}\" is no limit; there are {}", limit.field, LIMITS.join(", "))));
        };
        let of = question.requirements.iter_mut().find(|(name, _)| *name == limit.requirement);
        let Some((name, spec)) = of else {
            return Err(Refusal::bad(format!("there is no requirement \"{}\"", limit.requirement)));
        };
        match change(name, spec, field, &limit.value) {
            Ok((_, changed)) => *spec = changed,
            Err(super::DecisionError::Same { .. }) => {}
            Err(error) => return Err(Refusal::bad(error.to_string())),
        }
    }
    Ok(question)
}

/// Answers on a thread of its own, and stops when nobody waits any more.
async fn work(question: Question, curve_points: usize) -> Result<(ArchitectureStatus, Option<Analysis>), Refusal> {
    struct StopWhenDropped(Stop);
    impl Drop for StopWhenDropped {
        fn drop(&mut self) {
            self.0.stop();
        }
    }
    let effort = Effort { curve_points, ..Effort::default() };
    let stop = StopWhenDropped(effort.stop.clone());
    let mut answered = tokio::task::spawn_blocking(move || match analyse(&question, &effort) {
        Ok(analysis) => (analysis.status(), Some(analysis)),
        Err(error) => (status_of_error(&question, &error), None),
    });
    let answered = match tokio::time::timeout(TIME_MAX, &mut answered).await {
        Ok(answered) => answered,
        Err(_) => {
            stop.0.stop();
            answered.await
        }
    };
    answered.map_err(|error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", error.to_string()))
}
