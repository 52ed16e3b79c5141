//! Writes responses: what the client accepts, as JSON, compressed when large and wanted.

use std::io::Write as _;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use maru_http::{Body, full};
use serde_json::Value;

use crate::errors::ApiError;

/// Smaller bodies are not compressed.
const COMPRESS_BYTES_MIN: usize = 128 * 1024;

/// The shape that the client wants objects in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum View {
    #[default]
    Object,
    Table,
    /// `PartialObjectMetadata` or its list.
    Metadata,
}

/// Reads the shape from the `Accept` header: the first alternative that is understood. Protobuf is never answered.
pub(crate) fn view(headers: &HeaderMap) -> View {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut first = None;
    for alternative in accept.split(',') {
        let mut parts = alternative.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let parameter = |name: &str| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let view = match parameter("as") {
            None => View::Object,
            Some("Table") if matches!(parameter("v"), Some("v1" | "v1beta1") | None) => View::Table,
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") => View::Metadata,
            Some(_) => continue,
        };
        match media_type {
            "application/json" | "application/*" | "*/*" => return view,
            _ => first = first.or(Some(view)),
        }
    }
    first.unwrap_or_default()
}

/// Returns a JSON response.
pub(crate) fn json(status: StatusCode, value: &Value) -> Response<Body> {
    bytes(status, "application/json", Bytes::from(value.to_string()))
}

/// Returns a response of bytes.
pub(crate) fn bytes(status: StatusCode, content_type: &'static str, content: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(content));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// Returns the response of a failed request.
pub(crate) fn error(error: &ApiError) -> Response<Body> {
    let mut response = json(error.code(), &error.to_status());
    if let Some(seconds) = error.retry_after_seconds() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Returns a JSON response, compressed when it is large and the client accepts that.
pub(crate) fn compressible(request: &HeaderMap, status: StatusCode, content: Bytes) -> Response<Body> {
    if content.len() < COMPRESS_BYTES_MIN || !accepts_gzip(request) {
        return bytes(status, "application/json", content);
    }
    // Level 1, as upstream: the time matters more than the last few per cent.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
    let compressed = encoder.write_all(&content).and_then(|()| encoder.finish());
    let Ok(compressed) = compressed else {
        return bytes(status, "application/json", content);
    };
    let mut response = bytes(status, "application/json", compressed);
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

fn accepts_gzip(request: &HeaderMap) -> bool {
    request
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|one| matches!(one.split(';').next().unwrap_or_default().trim(), "gzip" | "*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_understood_alternative_counts() {
        let cases = [
            ("", View::Object),
            ("application/json", View::Object),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", View::Table),
            ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", View::Object),
            (
                "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
                View::Metadata,
            ),
            ("application/vnd.kubernetes.protobuf,application/json", View::Object),
            ("application/vnd.kubernetes.protobuf", View::Object),
        ];
        for (accept, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(view(&headers), expected, "{accept}");
        }
    }
}
