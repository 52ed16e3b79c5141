//! Whole answers that need no work.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use maru_http::Body;

use super::json::Json;
use crate::fault::Fault;

/// Returns the answer that tells a fault.
pub(crate) fn error(fault: &Fault) -> Response<Body> {
    let mut out = Vec::new();
    let mut json = Json::object(&mut out);
    json.text("status", "error");
    json.text("errorType", fault.error_type());
    json.text("error", &fault.to_string());
    json.end();
    let mut response = whole(fault.status(), "application/json", out);
    if let Some(seconds) = fault.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    match fault {
        Fault::Unauthorized(_) => {
            let challenge = HeaderValue::from_static("Bearer realm=\"maru metrics\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        Fault::MethodNotAllowed { allowed, .. } => {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        _ => {}
    }
    response
}

/// Returns a text.
pub(crate) fn plain(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    whole(status, "text/plain; charset=utf-8", text.into().into_bytes())
}

/// Returns an answer without content.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(maru_http::empty());
    *response.status_mut() = status;
    response
}

fn whole(status: StatusCode, kind: &'static str, content: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(maru_http::full(content));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Tells whether the client takes gzip.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|list| {
        list.split(',').any(|one| {
            let (name, weight) = one.split_once(';').unwrap_or((one, ""));
            matches!(name.trim(), "gzip" | "*") && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_when_it_is_not_refused() {
        let takes = |list: &'static str| {
            accepts_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(list))]))
        };
        assert!(takes("gzip") && takes("deflate, gzip;q=1.0") && takes("*"));
        assert!(!takes("identity") && !takes("gzip;q=0") && !takes("br"));
    }
}
