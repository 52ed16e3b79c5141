//! For tests: an API that answers GET and LIST from a fixed set of objects.

use maru_auth::Identity;
use maru_http::Handler;
use serde_json::{Value, json};

use crate::objects::Objects;

/// Returns a client's view of exactly these objects.
pub(crate) fn objects(existing: Vec<Value>) -> Objects {
    Objects::new(client(existing))
}

pub(crate) fn client(existing: Vec<Value>) -> maru_client::Client {
    let handler = Handler::new(move |request| {
        let answer = answer(&existing, request.uri().path());
        async move {
            let (code, body) = answer;
            let mut response = http::Response::new(maru_http::full(body.to_string()));
            *response.status_mut() = code;
            response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
            response
        }
    });
    maru_client::in_process(&handler, &Identity::new("node", &[]))
}

fn answer(existing: &[Value], path: &str) -> (http::StatusCode, Value) {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (namespace, plural, name) = match parts.as_slice() {
        ["api", _, "namespaces", namespace, plural] => (*namespace, *plural, None),
        ["api", _, "namespaces", namespace, plural, name] => (*namespace, *plural, Some(*name)),
        ["api", _, plural, name] => ("", *plural, Some(*name)),
        _ => ("", "", None),
    };
    let mut matching = existing.iter().filter(|one| {
        let kind = one["kind"].as_str().unwrap_or_default().to_lowercase();
        plural == format!("{kind}s") && one["metadata"]["namespace"].as_str().unwrap_or_default() == namespace
    });
    match name {
        Some(name) => match matching.find(|one| one["metadata"]["name"] == name) {
            Some(found) => (http::StatusCode::OK, found.clone()),
            None => (
                http::StatusCode::NOT_FOUND,
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": "not found"}),
            ),
        },
        None => (
            http::StatusCode::OK,
            json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": matching.collect::<Vec<_>>()}),
        ),
    }
}
