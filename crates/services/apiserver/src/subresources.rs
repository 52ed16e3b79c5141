//! Answers requests to subresources.

use std::sync::Arc;

use http::{Request, Response, StatusCode};
use maru_http::Body;
use serde_json::{Value, json};

use crate::errors::ApiError;
use crate::hooks;
use crate::meta;
use crate::options::WriteOptions;
use crate::state::{Call, State};
use crate::write::Part;
use crate::{body, contents, proxy, read, respond, scale, tokens, writes};

/// Answers a request to a subresource of a named object.
pub(crate) async fn answer(
    state: &Arc<State>,
    call: &Call,
    verb: &str,
    request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    let name = call.path.subresource.as_str();
    if !call.served.has_subresource(name) || (!call.path.rest.is_empty() && name != "proxy") {
        return Err(ApiError::NoSuchPath);
    }
    match name {
        "log" | "exec" | "attach" | "portforward" | "proxy" => return proxy::answer(state, call, request).await,
        _ => {}
    }
    if contents::is_content(call) {
        return contents::answer(state, call, verb).await;
    }
    if verb == "get" {
        return match name {
            "scale" => scale::get(state, call),
            "status" | "ephemeralcontainers" | "approval" | "resize" => read::get(state, call),
            _ => Err(ApiError::MethodNotAllowed),
        };
    }
    let content = body::read(request.into_body(), &call.headers).await?;
    let part = match name {
        "status" => Part::Status,
        "approval" => Part::Other("approval"),
        "ephemeralcontainers" => Part::Other("ephemeralcontainers"),
        "resize" => Part::Other("resize"),
        "finalize" => Part::Other("finalize"),
        _ => Part::Other(""),
    };
    match (name, verb) {
        ("scale", "update" | "patch") => scale::write(state, call, verb, &content).await,
        ("status" | "ephemeralcontainers" | "approval" | "resize", "update") | ("finalize", "update") => {
            writes::update(state, call, part, &content).await
        }
        ("status" | "ephemeralcontainers" | "approval" | "resize", "patch") => {
            writes::patch(state, call, part, &content).await
        }
        ("eviction", "create") => {
            let eviction = body::parse(&call.headers, &content)?.value;
            hooks::evict(state, call, &eviction).await?;
            Ok(respond::json(StatusCode::CREATED, &success()))
        }
        ("binding", "create") => {
            let binding = body::parse(&call.headers, &content)?.value;
            bind(state, call, &call.path.name, &binding).await
        }
        ("token", "create") => tokens::answer(state, call, &content),
        _ => Err(ApiError::MethodNotAllowed),
    }
}

/// Answers a binding of the pod with the given name.
pub(crate) async fn bind(
    state: &Arc<State>,
    call: &Call,
    pod: &str,
    binding: &Value,
) -> Result<Response<Body>, ApiError> {
    let named = meta::name(binding);
    if !named.is_empty() && named != pod {
        return Err(ApiError::bad_request(format!("the name of the binding ({named}) does not match the pod ({pod})")));
    }
    let options = WriteOptions::read(&call.query, call.header(http::header::USER_AGENT))?;
    hooks::bind(state, call, &options, pod, binding).await?;
    Ok(respond::json(StatusCode::CREATED, &success()))
}

fn success() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})
}
