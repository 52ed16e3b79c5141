//! Secrets stay masked until a person asks for one; asking is recorded.
//!
//! A page shows many things that nobody looks at twice, and a screen is seen by others. So a Secret's values reach the
//! page only one Secret at a time, with a header that says that they are wanted, after an Event on the Secret has
//! recorded who asked.

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use maru_client::Client;
use maru_http::{Body, full};
use maru_time::Timestamp;
use serde_json::{Value, json};

use crate::answer::Refusal;
use crate::sessions::Session;

const REVEAL: HeaderName = HeaderName::from_static("maru-reveal");
/// The whole object as it was applied, values and all.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// More than any list of Secrets that a page shows.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The Secrets that a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    namespace: String,
    /// Empty for all of them.
    name: String,
    subresource: String,
}

/// What is done with the answer of a request about Secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// Values are taken out.
    Mask,
    /// The answer goes out as it is, once it is recorded who asked.
    Record(Target),
}

/// Returns the Secrets that a path is about, reading it as the API server does.
pub(crate) fn target(path: &str) -> Option<Target> {
    let parts: Vec<String> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (namespace, rest) = match parts.as_slice() {
        ["api", _, "namespaces", _, "status" | "finalize", ..] => return None,
        ["api", _, "namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        ["api", _, rest @ ..] => ("", rest),
        _ => return None,
    };
    let part = |index: usize| rest.get(index).copied().unwrap_or_default().to_owned();
    (part(0) == "secrets").then(|| Target { namespace: namespace.to_owned(), name: part(1), subresource: part(2) })
}

/// Decides about a request for Secrets: refused when it wants values without saying so.
pub(crate) fn treatment(parts: &Parts, target: Target, is_watch: bool) -> Result<Treatment, Refusal> {
    let wish = parts.headers.get(REVEAL).map(|value| value.to_str().unwrap_or_default().to_ascii_lowercase());
    if parts.method != Method::GET || wants_metadata(&parts.headers) {
        return Ok(Treatment::Mask);
    }
    let is_one = !target.name.is_empty() && target.subresource.is_empty() && !is_watch;
    match wish.as_deref() {
        Some("true") if is_one => Ok(Treatment::Record(target)),
        Some("keys") => Ok(Treatment::Mask),
        _ => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "values of Secrets are masked in the console: ask for metadata or a table, for the keys of one with the \
             header \"Maru-Reveal: keys\", or for one in full with \"Maru-Reveal: true\", which is recorded",
        )),
    }
}

/// Tells whether metadata or a table is wanted; the whole object as another choice would be masked anyway.
fn wants_metadata(headers: &HeaderMap) -> bool {
    let forms =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    forms.flat_map(|form| form.split(';')).any(|one| {
        let (key, value) = one.split_once('=').unwrap_or((one, ""));
        key.trim() == "as" && (value.trim() == "Table" || value.trim().starts_with("PartialObjectMetadata"))
    })
}

/// Takes the values out of whatever the API says about Secrets: objects, lists, tables, events of a watch.
pub(crate) fn mask(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(fields) => {
            for (key, field) in fields.iter_mut() {
                match (key.as_str(), field) {
                    ("data" | "stringData", Value::Object(values)) => {
                        values.values_mut().for_each(|value| *value = Value::Null);
                    }
                    ("annotations", Value::Object(annotations)) => drop(annotations.remove(LAST_APPLIED)),
                    (_, field) => mask(field),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Takes the values out of one line of a watch.
pub(crate) fn mask_line(line: &[u8]) -> Vec<u8> {
    let Ok(mut event) = serde_json::from_slice::<Value>(line) else { return Vec::new() };
    mask(&mut event);
    event.to_string().into_bytes()
}

/// Takes the values out of an answer.
pub(crate) async fn mask_response(response: Response<Body>) -> Result<Response<Body>, Refusal> {
    let (mut parts, body) = response.into_parts();
    let content = maru_http::collect_limited(body, BODY_BYTES_MAX).await;
    let content = content.map_err(|error| Refusal::new(StatusCode::BAD_GATEWAY, error.to_string()))?;
    if content.is_empty() {
        return Ok(Response::from_parts(parts, full(content)));
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(&content) else {
        // Nothing goes out that could not be looked at.
        return Err(Refusal::new(StatusCode::BAD_GATEWAY, "the API's answer about Secrets is not JSON"));
    };
    mask(&mut value);
    parts.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(parts, full(value.to_string())))
}

/// Records who asked for a Secret's values, then lets them through; without the record they stay here.
pub(crate) async fn record(
    client: &Client,
    now: Timestamp,
    session: &Session,
    target: &Target,
    response: Response<Body>,
) -> Result<Response<Body>, Refusal> {
    if !response.status().is_success() {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let content = maru_http::collect_limited(body, BODY_BYTES_MAX).await;
    let content: Bytes = content.map_err(|error| Refusal::new(StatusCode::BAD_GATEWAY, error.to_string()))?;
    let secret: Value = serde_json::from_slice(&content).unwrap_or_default();
    let (user, id) = (&session.record.user, &session.record.id);
    let time = maru_time::rfc3339_seconds(now);
    let event = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": format!("{}.{}", target.name, maru_ids::random_suffix(10)), "namespace": target.namespace},
        "involvedObject": {
            "apiVersion": "v1", "kind": "Secret", "namespace": target.namespace, "name": target.name,
            "uid": secret["metadata"]["uid"], "resourceVersion": secret["metadata"]["resourceVersion"],
        },
        "type": "Normal", "reason": "SecretRevealed", "action": "Reveal",
        "message": format!("user \"{user}\" looked at the values in the console (session {id})"),
        "source": {"component": "maru-console"}, "reportingComponent": "maru-console", "reportingInstance": id,
        "firstTimestamp": time, "lastTimestamp": time, "count": 1,
    });
    let request = http::Request::post(format!("/api/v1/namespaces/{}/events", target.namespace))
        .header("content-type", "application/json")
        .body(event.to_string().into_bytes());
    let recorded = match request {
        Ok(request) => client.request::<Value>(request).await.map(drop).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let (namespace, name) = (&target.namespace, &target.name);
    match recorded {
        Ok(()) => {
            tracing::info!(namespace, name, user, session = id, "the values of a secret were shown");
            parts.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Ok(Response::from_parts(parts, full(content)))
        }
        Err(error) => {
            tracing::error!(
                namespace,
                name,
                user,
                error,
                "showing a secret could not be recorded, so it was not shown"
            );
            Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("that you looked could not be recorded, so the values stay masked: {error}"),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_secrets_are_known_however_they_are_spelled() {
        let text = |path: &str| target(path).map(|one| format!("{}/{}/{}", one.namespace, one.name, one.subresource));
        assert_eq!(text("/api/v1/secrets").as_deref(), Some("//"));
        assert_eq!(text("/api/v1/namespaces/a/secrets").as_deref(), Some("a//"));
        assert_eq!(text("/api//v1/namespaces/a//secrets/s/").as_deref(), Some("a/s/"));
        assert_eq!(text("/api/v1/namespaces/a/%73ecrets/s").as_deref(), Some("a/s/"));
        assert_eq!(text("/%61pi/v1/namespaces/a/secrets/s/x").as_deref(), Some("a/s/x"));
        for other in ["/api/v1/namespaces/secrets", "/api/v1/namespaces/a/pods/secrets", "/apis/x/v1/secrets", "/api"] {
            assert_eq!(text(other), None, "{other}");
        }
    }

    #[test]
    fn values_go_and_keys_stay() {
        let secret = json!({
            "kind": "Secret", "data": {"password": "c2VjcmV0"}, "stringData": {"x": "secret"},
            "metadata": {"name": "s", "annotations": {"a": "b", LAST_APPLIED: "{\"data\":{\"password\":\"c2VjcmV0\"}}"},
                "managedFields": [{"fieldsV1": {"f:data": {"f:password": {}}}}]},
        });
        for mut value in [
            secret.clone(),
            json!({"kind": "SecretList", "items": [secret]}),
            json!({"kind": "Table", "rows": [{"cells": ["s", 1], "object": secret}]}),
            json!({"type": "ADDED", "object": secret}),
        ] {
            mask(&mut value);
            let text = value.to_string();
            assert!(!text.contains("c2VjcmV0") && !text.contains("\"secret\""), "{text}");
            assert!(text.contains("\"password\":null") && text.contains("f:password") && text.contains("\"a\":\"b\""));
        }
    }

    #[test]
    fn values_are_given_only_when_they_are_asked_for() {
        let ask = |method: &str, accept: &str, reveal: &str, is_watch| {
            let request =
                http::Request::builder().method(method).header("accept", accept).header("maru-reveal", reveal);
            let (parts, ()) = request.body(()).unwrap().into_parts();
            treatment(&parts, target("/api/v1/namespaces/a/secrets/s").unwrap(), is_watch)
        };
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let one = Treatment::Record(target("/api/v1/namespaces/a/secrets/s").unwrap());
        assert_eq!(ask("GET", "application/json", "true", false), Ok(one));
        assert_eq!(ask("GET", "application/json", "keys", false), Ok(Treatment::Mask));
        assert_eq!(ask("GET", table, "", false), Ok(Treatment::Mask));
        assert_eq!(ask("GET", table, "true", true), Ok(Treatment::Mask));
        assert_eq!(ask("PATCH", "application/json", "true", false), Ok(Treatment::Mask));
        assert_eq!(ask("HEAD", "application/json", "", false), Ok(Treatment::Mask));
        for (accept, is_watch) in [("application/json", false), ("", false), ("*/*", false), ("application/json", true)]
        {
            assert_eq!(ask("GET", accept, "", is_watch).unwrap_err().status, 403, "{accept}");
        }
        assert_eq!(ask("GET", &format!("{table},application/json"), "", false), Ok(Treatment::Mask));
        assert_eq!(ask("GET", "application/json", "true", true).unwrap_err().status, 403);
    }
}
