//! What can go wrong with a request, and the one function that turns it into the `Status` that clients switch on.

use http::StatusCode;
use maru_kube::FieldError;
use serde_json::{Value, json};

use crate::kinds::GroupResource;

/// Makes the errors of single fields.
pub(crate) mod issue {
    use maru_kube::{FieldError, FieldErrorKind};
    use serde_json::Value;

    pub(crate) fn required(field: impl Into<String>, detail: impl Into<String>) -> FieldError {
        FieldError { detail: detail.into(), ..FieldError::required(field) }
    }

    pub(crate) fn invalid(field: impl Into<String>, value: impl Into<Value>, detail: impl Into<String>) -> FieldError {
        FieldError::new(field, FieldErrorKind::Invalid, &value.into(), detail)
    }

    pub(crate) fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> FieldError {
        FieldError::forbidden(field, detail)
    }

    pub(crate) fn duplicate(field: impl Into<String>, value: impl Into<Value>) -> FieldError {
        FieldError::new(field, FieldErrorKind::Duplicate, &value.into(), "")
    }

    pub(crate) fn not_supported(field: impl Into<String>, value: impl Into<Value>, allowed: &[&str]) -> FieldError {
        let allowed: Vec<Value> = allowed.iter().map(|one| Value::from(*one)).collect();
        FieldError::not_supported(field, &value.into(), &allowed)
    }
}

/// One entry of `details.causes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) field: String,
}

/// Why a request is refused or fails. The texts are those that clients of Kubernetes know.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{0}")]
    BadRequest(String),
    #[error("Unauthorized")]
    Unauthorized,
    #[error("{resource}{} is forbidden: {message}", quoted(name))]
    Forbidden { resource: GroupResource, name: String, message: String, causes: Vec<Cause> },
    #[error("forbidden: {0}")]
    ForbiddenPath(String),
    #[error("{resource} \"{name}\" not found")]
    NotFound { resource: GroupResource, name: String },
    #[error("the server could not find the requested resource")]
    NoSuchPath,
    #[error("{resource} \"{name}\" already exists")]
    AlreadyExists { resource: GroupResource, name: String },
    #[error("{message}")]
    NameNotGenerated { resource: GroupResource, name: String, message: String },
    #[error("Operation cannot be fulfilled on {resource} \"{name}\": {message}")]
    Conflict { resource: GroupResource, name: String, message: String },
    #[error("{message}")]
    ApplyConflict { message: String, causes: Vec<Cause> },
    #[error("{}", invalid_message(group, kind, name, issues))]
    Invalid { group: String, kind: String, name: String, issues: Vec<FieldError> },
    #[error("the server does not allow this method on the requested resource")]
    MethodNotAllowed,
    #[error("the body of the request was in an unknown format - accepted media types include: {0}")]
    UnsupportedMediaType(String),
    #[error("the request is larger than the limit of {limit} bytes")]
    TooLarge { limit: usize },
    #[error("{0}")]
    Expired(String),
    #[error("{0}")]
    Timeout(String),
    #[error("Too large resource version: {wanted}, current: {current}")]
    ResourceVersionTooLarge { wanted: u64, current: u64 },
    #[error("{message}")]
    TooManyRequests { message: String, retry_after_seconds: u32, causes: Vec<Cause> },
    #[error("{message}")]
    ServiceUnavailable { message: String, retry_after_seconds: u32 },
    /// Clients wait for as long as an answer with `Retry-After` says, many times; a full disk needs a person.
    #[error("{0}")]
    InsufficientStorage(String),
    #[error("{0} is not supported")]
    NotSupported(String),
    #[error("Internal error occurred: {0}")]
    Internal(String),
}

impl ApiError {
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::BadRequest(message.into())
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::Internal(message.into())
    }

    pub(crate) fn not_found(resource: &GroupResource, name: &str) -> Self {
        Self::NotFound { resource: resource.clone(), name: name.to_owned() }
    }

    pub(crate) fn forbidden(resource: &GroupResource, name: &str, message: impl Into<String>) -> Self {
        Self::Forbidden {
            resource: resource.clone(),
            name: name.to_owned(),
            message: message.into(),
            causes: Vec::new(),
        }
    }

    /// The refusal of a write that was computed from an old version.
    pub(crate) fn modified(resource: &GroupResource, name: &str) -> Self {
        Self::Conflict {
            resource: resource.clone(),
            name: name.to_owned(),
            message: "the object has been modified; please apply your changes to the latest version and try again"
                .to_owned(),
        }
    }

    pub(crate) fn code(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } | Self::ForbiddenPath(_) => StatusCode::FORBIDDEN,
            Self::NotFound { .. } | Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::AlreadyExists { .. }
            | Self::NameNotGenerated { .. }
            | Self::Conflict { .. }
            | Self::ApplyConflict { .. } => StatusCode::CONFLICT,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Expired(_) => StatusCode::GONE,
            Self::Timeout(_) | Self::ResourceVersionTooLarge { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::ServiceUnavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::InsufficientStorage(_) => StatusCode::INSUFFICIENT_STORAGE,
            Self::NotSupported(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "BadRequest",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden { .. } | Self::ForbiddenPath(_) => "Forbidden",
            Self::NotFound { .. } | Self::NoSuchPath => "NotFound",
            Self::AlreadyExists { .. } | Self::NameNotGenerated { .. } => "AlreadyExists",
            Self::Conflict { .. } | Self::ApplyConflict { .. } => "Conflict",
            Self::Invalid { .. } => "Invalid",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::UnsupportedMediaType(_) => "UnsupportedMediaType",
            Self::TooLarge { .. } => "RequestEntityTooLarge",
            Self::Expired(_) => "Expired",
            Self::Timeout(_) | Self::ResourceVersionTooLarge { .. } => "Timeout",
            Self::TooManyRequests { .. } => "TooManyRequests",
            Self::ServiceUnavailable { .. } => "ServiceUnavailable",
            Self::InsufficientStorage(_) => "InsufficientStorage",
            Self::NotSupported(_) => "NotImplemented",
            Self::Internal(_) => "InternalError",
        }
    }

    /// The seconds of `Retry-After`, where trying again helps.
    pub(crate) fn retry_after_seconds(&self) -> Option<u32> {
        match self {
            Self::TooManyRequests { retry_after_seconds, .. }
            | Self::ServiceUnavailable { retry_after_seconds, .. } => Some(*retry_after_seconds),
            Self::ResourceVersionTooLarge { .. } | Self::NameNotGenerated { .. } => Some(1),
            _ => None,
        }
    }

    fn details(&self) -> Option<Value> {
        let of = |resource: &GroupResource, name: &str, causes: &[Cause]| {
            let mut details = json!({"name": name, "kind": resource.resource});
            if !resource.group.is_empty() {
                details["group"] = json!(resource.group);
            }
            if !causes.is_empty() {
                details["causes"] = causes_json(causes);
            }
            details
        };
        match self {
            Self::Forbidden { resource, name, causes, .. } => Some(of(resource, name, causes)),
            Self::NotFound { resource, name }
            | Self::AlreadyExists { resource, name }
            | Self::NameNotGenerated { resource, name, .. }
            | Self::Conflict { resource, name, .. } => Some(of(resource, name, &[])),
            Self::ApplyConflict { causes, .. } => Some(json!({"causes": causes_json(causes)})),
            Self::Invalid { group, kind, name, issues } => {
                let causes: Vec<Cause> = issues
                    .iter()
                    .map(|issue| Cause {
                        reason: issue.kind.reason().to_owned(),
                        message: issue.message(),
                        field: issue.field.clone(),
                    })
                    .collect();
                Some(of(&GroupResource { group: group.clone(), resource: kind.clone() }, name, &causes))
            }
            Self::TooManyRequests { causes, .. } if !causes.is_empty() => Some(json!({"causes": causes_json(causes)})),
            Self::ResourceVersionTooLarge { .. } => Some(json!({
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            })),
            Self::NoSuchPath | Self::MethodNotAllowed => Some(json!({})),
            _ => None,
        }
    }

    /// Returns the wire form: a `Status` object of `v1`.
    pub(crate) fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.to_string(),
            "reason": self.reason(),
            "code": self.code().as_u16(),
        });
        if let Some(details) = self.details() {
            status["details"] = details;
        }
        if let Some(seconds) = self.retry_after_seconds() {
            status["details"]["retryAfterSeconds"] = json!(seconds);
        }
        status
    }
}

/// A list or creation has no name.
fn quoted(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" \"{name}\"") }
}

fn causes_json(causes: &[Cause]) -> Value {
    let one = |cause: &Cause| {
        let mut json = json!({"message": cause.message});
        if !cause.reason.is_empty() {
            json["reason"] = json!(cause.reason);
        }
        if !cause.field.is_empty() {
            json["field"] = json!(cause.field);
        }
        json
    };
    Value::Array(causes.iter().map(one).collect())
}

fn invalid_message(group: &str, kind: &str, name: &str, issues: &[FieldError]) -> String {
    let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
    let each: Vec<String> = issues.iter().map(ToString::to_string).collect();
    match each.as_slice() {
        [one] => format!("{qualified} \"{name}\" is invalid: {one}"),
        many => format!("{qualified} \"{name}\" is invalid: [{}]", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployments() -> GroupResource {
        GroupResource { group: "apps".to_owned(), resource: "deployments".to_owned() }
    }

    fn pods() -> GroupResource {
        GroupResource { group: String::new(), resource: "pods".to_owned() }
    }

    /// Code, reason, message and details of each variant, as upstream's clients expect them.
    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn each_variant_has_its_status() {
        let name = || "web".to_owned();
        let cause =
            || Cause { reason: "NamespaceTerminating".to_owned(), message: "m".to_owned(), field: "f".to_owned() };
        let cases: Vec<(ApiError, u16, &str, &str, Value)> = vec![
            (ApiError::bad_request("nonsense"), 400, "BadRequest", "nonsense", Value::Null),
            (ApiError::Unauthorized, 401, "Unauthorized", "Unauthorized", Value::Null),
            (
                ApiError::Forbidden { resource: pods(), name: name(), message: "no".to_owned(), causes: vec![cause()] },
                403,
                "Forbidden",
                "pods \"web\" is forbidden: no",
                json!({"name": "web", "kind": "pods", "causes": [{"reason": "NamespaceTerminating", "message": "m", "field": "f"}]}),
            ),
            (ApiError::ForbiddenPath("x".to_owned()), 403, "Forbidden", "forbidden: x", Value::Null),
            (
                ApiError::not_found(&deployments(), "web"),
                404,
                "NotFound",
                "deployments.apps \"web\" not found",
                json!({"name": "web", "kind": "deployments", "group": "apps"}),
            ),
            (ApiError::NoSuchPath, 404, "NotFound", "the server could not find the requested resource", json!({})),
            (
                ApiError::AlreadyExists { resource: pods(), name: name() },
                409,
                "AlreadyExists",
                "pods \"web\" already exists",
                json!({"name": "web", "kind": "pods"}),
            ),
            (
                ApiError::NameNotGenerated { resource: pods(), name: name(), message: "taken".to_owned() },
                409,
                "AlreadyExists",
                "taken",
                json!({"name": "web", "kind": "pods", "retryAfterSeconds": 1}),
            ),
            (
                ApiError::modified(&pods(), "web"),
                409,
                "Conflict",
                "Operation cannot be fulfilled on pods \"web\": the object has been modified; please apply your changes to the latest version and try again",
                json!({"name": "web", "kind": "pods"}),
            ),
            (
                ApiError::ApplyConflict { message: "Apply failed".to_owned(), causes: vec![cause()] },
                409,
                "Conflict",
                "Apply failed",
                json!({"causes": [{"reason": "NamespaceTerminating", "message": "m", "field": "f"}]}),
            ),
            (
                ApiError::Invalid {
                    group: "apps".to_owned(),
                    kind: "Deployment".to_owned(),
                    name: name(),
                    issues: vec![
                        issue::required("spec.selector", ""),
                        issue::invalid("spec.replicas", -1, "must be positive"),
                    ],
                },
                422,
                "Invalid",
                "Deployment.apps \"web\" is invalid: [spec.selector: Required value, spec.replicas: Invalid value: -1: must be positive]",
                json!({"name": "web", "kind": "Deployment", "group": "apps", "causes": [
                    {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.selector"},
                    {"reason": "FieldValueInvalid", "message": "Invalid value: -1: must be positive", "field": "spec.replicas"},
                ]}),
            ),
            (
                ApiError::MethodNotAllowed,
                405,
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource",
                json!({}),
            ),
            (
                ApiError::UnsupportedMediaType("application/json".to_owned()),
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: application/json",
                Value::Null,
            ),
            (
                ApiError::TooLarge { limit: 5 },
                413,
                "RequestEntityTooLarge",
                "the request is larger than the limit of 5 bytes",
                Value::Null,
            ),
            (ApiError::Expired("too old".to_owned()), 410, "Expired", "too old", Value::Null),
            (ApiError::Timeout("slow".to_owned()), 504, "Timeout", "slow", Value::Null),
            (
                ApiError::ResourceVersionTooLarge { wanted: 9, current: 3 },
                504,
                "Timeout",
                "Too large resource version: 9, current: 3",
                json!({"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}], "retryAfterSeconds": 1}),
            ),
            (
                ApiError::TooManyRequests { message: "busy".to_owned(), retry_after_seconds: 7, causes: Vec::new() },
                429,
                "TooManyRequests",
                "busy",
                json!({"retryAfterSeconds": 7}),
            ),
            (
                ApiError::ServiceUnavailable { message: "starting".to_owned(), retry_after_seconds: 1 },
                503,
                "ServiceUnavailable",
                "starting",
                json!({"retryAfterSeconds": 1}),
            ),
            (ApiError::InsufficientStorage("full".to_owned()), 507, "InsufficientStorage", "full", Value::Null),
            (ApiError::NotSupported("x".to_owned()), 501, "NotImplemented", "x is not supported", Value::Null),
            (ApiError::internal("bug"), 500, "InternalError", "Internal error occurred: bug", Value::Null),
        ];
        for (error, code, reason, message, details) in cases {
            let status = error.to_status();
            assert_eq!(status["code"], code, "{error:?}");
            assert_eq!(status["reason"], reason, "{error:?}");
            assert_eq!(status["message"], message, "{error:?}");
            assert_eq!(status["details"], details, "{error:?}");
            assert_eq!(status["status"], "Failure");
        }
    }
}
