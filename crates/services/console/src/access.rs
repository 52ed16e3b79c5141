//! What a session may do with other rooms, as its roles say.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request};
use maru_http::Handler;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::sessions::Session;

/// How long an answer is believed.
const BELIEVED: Duration = Duration::from_secs(10);
const REVIEW_BYTES_MAX: usize = 64 * 1024;

/// Answers by path and verb, with how long each is believed.
pub(crate) type Known = BTreeMap<(String, &'static str), (Instant, bool)>;

/// Tells whether the session's user may use a path that roles name (`nonResourceURLs`) with a verb.
pub(crate) async fn may(api: &Handler, session: &Session, path: &str, verb: &'static str) -> bool {
    let key = (path.to_owned(), verb);
    let known = session.access.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
    if let Some((until, allowed)) = known
        && Instant::now() < until
    {
        return allowed;
    }
    let allowed = ask(api, session, path, verb).await;
    let mut access = session.access.lock().unwrap_or_else(PoisonError::into_inner);
    access.insert(key, (Instant::now() + BELIEVED, allowed));
    allowed
}

async fn ask(api: &Handler, session: &Session, path: &str, verb: &str) -> bool {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"nonResourceAttributes": {"path": path, "verb": verb}},
    });
    let mut request = Request::new(maru_http::full(review.to_string()));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = http::Uri::from_static("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews");
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.extensions_mut().insert(session.identity.clone());
    let response = api.call(request).await;
    let Ok(body) = maru_http::collect_limited(response.into_body(), REVIEW_BYTES_MAX).await else { return false };
    serde_json::from_slice::<Value>(&body).is_ok_and(|review| review["status"]["allowed"] == true)
}
