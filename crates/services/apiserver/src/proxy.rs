//! Passes requests for logs, commands, streams and ports on to the node that runs the pod.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{Request, Response, Uri};
use maru_http::Body;
use serde_json::Value;

use crate::errors::ApiError;
use crate::meta;
use crate::routes::ResourcePath;
use crate::state::{Call, State};

const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// Tells whether a request may stay open for long.
pub(crate) fn is_stream(path: &ResourcePath) -> bool {
    matches!(path.subresource.as_str(), "log" | "exec" | "attach" | "portforward" | "proxy")
}

/// Answers by asking the node; an upgrade of the connection goes through.
pub(crate) async fn answer(
    state: &Arc<State>,
    call: &Call,
    request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    let target = target(state, call)?;
    let kubelet = state.kubelet.load_full().ok_or_else(|| ApiError::ServiceUnavailable {
        message: "no node is ready to answer for its pods yet".to_owned(),
        retry_after_seconds: 1,
    })?;
    let (mut parts, body) = request.into_parts();
    parts.uri = target
        .parse::<Uri>()
        .map_err(|error| ApiError::bad_request(format!("the request cannot be passed on: {error}")))?;
    // The node trusts this server, not the caller's credentials.
    parts.headers.remove(AUTHORIZATION);
    parts.extensions.remove::<maru_auth::Identity>();
    Ok(kubelet.call(Request::from_parts(parts, body)).await)
}

fn target(state: &State, call: &Call) -> Result<String, ApiError> {
    let stored = state.read(
        &call.served,
        if call.served.kind.namespaced { &call.path.namespace } else { "" },
        &call.path.name,
    )?;
    let path = &call.path;
    if path.subresource == "proxy" {
        return Ok(with_query(format!("/{}", path.rest), call, &[]));
    }
    let pod = &stored.object;
    if meta::text(pod, &["spec", "nodeName"]).is_empty() {
        return Err(ApiError::bad_request(format!("pod {} does not have a host assigned", path.name)));
    }
    let (namespace, name) = (encode(&path.namespace), encode(&path.name));
    if path.subresource == "portforward" {
        return Ok(with_query(format!("/portForward/{namespace}/{name}"), call, &[]));
    }
    if matches!(path.subresource.as_str(), "exec" | "attach")
        && matches!(meta::text(pod, &["status", "phase"]), "Succeeded" | "Failed")
    {
        return Err(ApiError::bad_request(format!(
            "cannot exec into a container in a completed pod; current phase is {}",
            meta::text(pod, &["status", "phase"])
        )));
    }
    let container = encode(&container(pod, call)?);
    let verb = match path.subresource.as_str() {
        "log" => "containerLogs",
        other => other,
    };
    Ok(with_query(format!("/{verb}/{namespace}/{name}/{container}"), call, &["container"]))
}

/// Returns the container that is meant: the one named, the marked default, or the only one.
fn container(pod: &Value, call: &Call) -> Result<String, ApiError> {
    let all: Vec<&str> = ["initContainers", "containers", "ephemeralContainers"]
        .iter()
        .flat_map(|list| meta::list(pod, &["spec", list]))
        .map(|container| meta::text(container, &["name"]))
        .collect();
    let refuse = |message: String| Err(ApiError::bad_request(message));
    let named = call.query.text("container");
    if !named.is_empty() {
        if all.contains(&named) {
            return Ok(named.to_owned());
        }
        return refuse(format!("container {named} is not valid for pod {}", call.path.name));
    }
    let marked = meta::text(pod, &["metadata", "annotations", DEFAULT_CONTAINER]);
    if all.contains(&marked) {
        return Ok(marked.to_owned());
    }
    match meta::list(pod, &["spec", "containers"]) {
        [only] => Ok(meta::text(only, &["name"]).to_owned()),
        many => {
            let names: Vec<&str> = many.iter().map(|container| meta::text(container, &["name"])).collect();
            refuse(format!(
                "a container name must be specified for pod {}, choose one of: [{}]",
                call.path.name,
                names.join(" ")
            ))
        }
    }
}

fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .replace("%2D", "-")
        .replace("%2E", ".")
}

fn with_query(path: String, call: &Call, without: &[&str]) -> String {
    let pairs: Vec<String> = call
        .query
        .pairs()
        .filter(|(key, _)| !without.contains(key))
        .map(|(key, value)| format!("{}={}", encode(node_parameter(&call.path.subresource, key)), encode(value)))
        .collect();
    if pairs.is_empty() { path } else { format!("{path}?{}", pairs.join("&")) }
}

/// A node knows the streams of exec and attach by other names than the API.
fn node_parameter<'a>(subresource: &str, key: &'a str) -> &'a str {
    match (subresource, key) {
        ("exec" | "attach", "stdin") => "input",
        ("exec" | "attach", "stdout") => "output",
        ("exec" | "attach", "stderr") => "error",
        _ => key,
    }
}
