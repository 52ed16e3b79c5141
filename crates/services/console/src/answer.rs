//! Answers of the room itself: JSON, `Status` as Kubernetes' clients know it, small pages.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use maru_http::{Body, full};
use serde_json::{Value, json};

/// Why a request is refused: the status and a text for the person who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub(crate) fn no_session() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "nobody is logged in; open a login link (\"maru console link\" prints one), or log in with a token",
        )
    }

    /// Returns the answer: a `Status`, as the API itself gives.
    pub(crate) fn response(&self) -> Response<Body> {
        let reason = match self.status.as_u16() {
            400 => "BadRequest",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            405 => "MethodNotAllowed",
            429 => "TooManyRequests",
            503 => "ServiceUnavailable",
            _ => "InternalError",
        };
        let mut response = json(
            self.status,
            &json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": self.message, "reason": reason, "code": self.status.as_u16(),
            }),
        );
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<crate::records::ConsoleError> for Refusal {
    fn from(error: crate::records::ConsoleError) -> Self {
        tracing::error!(error = %error, "the console cannot write");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

/// Returns JSON that nobody keeps.
pub(crate) fn json(status: StatusCode, value: &Value) -> Response<Body> {
    content(status, "application/json", value.to_string())
}

/// Returns an answer without content.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(maru_http::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Sends the browser to a path of this site.
pub(crate) fn redirect(path: &str) -> Response<Body> {
    let mut response = empty(StatusCode::SEE_OTHER);
    let place = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, place);
    response
}

/// Returns content that nobody keeps.
pub(crate) fn content(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Returns a page that says one thing in two languages; the nonce lets its style through.
pub(crate) fn page(status: StatusCode, nonce: &str, title: &str, paragraphs: &[&str]) -> Response<Body> {
    let mut text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} · Maru</title><style nonce=\"{nonce}\">:root{{color-scheme:light dark}}body{{font:1rem/1.6 system-ui,sans-serif;max-width:40rem;\
         margin:12vh auto;padding:0 1rem}}code{{background:#8882;padding:.15em .4em;border-radius:.3em}}</style></head><body><main><h1>{title}</h1>"
    );
    for paragraph in paragraphs {
        text.push_str("<p>");
        text.push_str(paragraph);
        text.push_str("</p>");
    }
    text.push_str("</main></body></html>\n");
    content(status, "text/html; charset=utf-8", text)
}
