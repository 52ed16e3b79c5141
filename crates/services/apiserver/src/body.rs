//! Reads the bodies of requests: JSON, YAML and protobuf.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use maru_http::{Body, BodyError, collect_limited};
use maru_kube::Parsed;
use serde_json::Value;

use crate::errors::ApiError;
use crate::state::BODY_BYTES_MAX;

const ACCEPTED: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// Reads a whole body within the limit.
pub(crate) async fn read(body: Body, headers: &HeaderMap) -> Result<bytes::Bytes, ApiError> {
    if headers.get(CONTENT_ENCODING).is_some_and(|value| value != "identity") {
        return Err(ApiError::UnsupportedMediaType("no content encoding but identity".to_owned()));
    }
    collect_limited(body, BODY_BYTES_MAX).await.map_err(|error| match error {
        BodyError::TooLarge { limit } => ApiError::TooLarge { limit },
        other => ApiError::bad_request(other.to_string()),
    })
}

/// Returns the media type of a body, lowercase and without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_lowercase()
}

/// Parses an object.
pub(crate) fn parse(headers: &HeaderMap, bytes: &[u8]) -> Result<Parsed, ApiError> {
    let parsed = match media_type(headers).as_str() {
        "" | "application/json" | "text/json" | "application/x-www-form-urlencoded" => parse_json(bytes)?,
        "application/yaml" | "text/yaml" | "application/x-yaml" => parse_yaml(bytes)?,
        "application/vnd.kubernetes.protobuf" => {
            Parsed { value: crate::formats::decode_protobuf(bytes)?, duplicates: Vec::new() }
        }
        _ => return Err(ApiError::UnsupportedMediaType(ACCEPTED.to_owned())),
    };
    if !parsed.value.is_object() {
        return Err(ApiError::bad_request("the body of the request is not an object"));
    }
    Ok(parsed)
}

pub(crate) fn parse_json(bytes: &[u8]) -> Result<Parsed, ApiError> {
    maru_kube::json::parse(bytes).map_err(|error| ApiError::bad_request(error.to_string()))
}

pub(crate) fn parse_yaml(bytes: &[u8]) -> Result<Parsed, ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ApiError::bad_request("the body of the request is not UTF-8"))?;
    maru_kube::yaml::parse(text).map_err(|error| ApiError::bad_request(error.to_string()))
}

/// Parses the options in the body of a deletion; none is fine.
pub(crate) fn parse_options(headers: &HeaderMap, bytes: &[u8]) -> Result<Value, ApiError> {
    if bytes.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    Ok(parse(headers, bytes)?.value)
}
