//! What stands behind objects of `maru.dev`: envelopes and reports of evidence, what baselines hold, files of documents.
//!
//! Another room keeps it by digest. The object says which; who may get the subresource may read it.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use maru_http::{Body, Handler, collect_limited, empty};
use serde_json::Value;

use crate::errors::ApiError;
use crate::meta;
use crate::state::{Call, State};

const GROUP: &str = "maru.dev";
/// Kinds, the subresources that they have for their contents, and the type of what is answered.
const HELD: [(&str, &str, &str); 5] = [
    ("evidence", "envelope", "application/vnd.dsse.envelope.v1+json"),
    ("evidence", "report", "application/octet-stream"),
    ("evidence", "key", "application/x-pem-file"),
    ("baselines", "content", "application/json"),
    ("documents", "file", "application/octet-stream"),
];
/// The longest text that says why there is no content.
const REASON_BYTES_MAX: usize = 4096;

/// Returns the subresources of a kind that are contents.
pub(crate) fn subresources_of(group: &str, plural: &str) -> impl Iterator<Item = &'static str> {
    let held = HELD.iter().filter(move |(kind, ..)| group == GROUP && *kind == plural);
    held.map(|(_, name, _)| *name)
}

/// Tells whether a subresource is content.
pub(crate) fn is_content(call: &Call) -> bool {
    let kind = &call.served.kind;
    subresources_of(&kind.group, &kind.plural).any(|name| name == call.path.subresource)
}

/// Answers with the content.
pub(crate) async fn answer(state: &Arc<State>, call: &Call, verb: &str) -> Result<Response<Body>, ApiError> {
    if verb != "get" {
        return Err(ApiError::MethodNotAllowed);
    }
    let (room, asked) = ask(state, call)?;
    let response = room.call(asked).await;
    match response.status() {
        StatusCode::OK => Ok(typed(response, &call.path.subresource)),
        StatusCode::NOT_FOUND => Err(ApiError::not_found(&call.served.group_resource(), &call.path.name)),
        _ => {
            let why = collect_limited(response.into_body(), REASON_BYTES_MAX).await.unwrap_or_default();
            Err(ApiError::internal(String::from_utf8_lossy(&why)))
        }
    }
}

/// Returns who is asked, and what.
fn ask(state: &State, call: &Call) -> Result<(Arc<Handler>, Request<Body>), ApiError> {
    let (path, name) = (&call.path, call.path.subresource.as_str());
    let object = state.read(&call.served, &path.namespace, &path.name)?.object;
    let digest = digest_of(&object, name, call);
    let digest = digest
        .ok_or_else(|| ApiError::bad_request(format!("{} \"{}\" has no {name}", call.served.kind.kind, path.name)))?;
    let room = state.contents.load_full().ok_or_else(|| ApiError::ServiceUnavailable {
        message: "nobody keeps the contents of evidence and documents in this process".to_owned(),
        retry_after_seconds: 1,
    })?;
    let asked = Request::builder().method(Method::GET).uri(format!("/{name}/{}/{digest}", path.namespace));
    let asked = asked.body(empty()).map_err(|error| ApiError::bad_request(format!("the digest is none: {error}")))?;
    Ok((room, asked))
}

fn typed(mut response: Response<Body>, name: &str) -> Response<Body> {
    let kind = HELD.iter().find(|(_, known, _)| *known == name).map_or("application/octet-stream", |(.., kind)| kind);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // Reports are what tools wrote: no browser is to guess that one is a page.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The digest that an object names. Of evidence it is the envelope's for all three: it says which report and which key.
fn digest_of(object: &Value, name: &str, call: &Call) -> Option<String> {
    let text = |path: &[&str]| Some(meta::text(object, path).to_owned()).filter(|digest| !digest.is_empty());
    match name {
        "envelope" | "report" | "key" => text(&["spec", "envelope"]),
        "content" => text(&["status", "content"]),
        "file" => {
            let wanted = call.query.text("format");
            let files = meta::list(object, &["status", "files"]);
            let found = files.iter().find(|file| wanted.is_empty() || meta::text(file, &["format"]) == wanted);
            found.map(|file| meta::text(file, &["digest"]).to_owned())
        }
        _ => None,
    }
}
