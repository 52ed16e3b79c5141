//! What went wrong with a request, and its form on the wire.
//!
//! Source: Prometheus 3 documentation, "HTTP API", format overview.

use http::StatusCode;

/// Why a request has no answer. The text is for the person who asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// The request itself is wrong; sending it again changes nothing.
    #[error("{0}")]
    BadData(String),
    /// The query cannot be evaluated, or met a limit.
    #[error("{0}")]
    Execution(String),
    /// The query took too long.
    #[error("{0}")]
    Timeout(String),
    /// The query was given up.
    #[error("{0}")]
    Canceled(String),
    /// A fault of ours.
    #[error("{0}")]
    Internal(String),
    /// Not possible at this moment.
    #[error("{message}")]
    Unavailable {
        /// Why.
        message: String,
        /// After how many seconds to try again.
        retry_after_seconds: u32,
    },
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The request has no valid token.
    #[error("{0}")]
    Unauthorized(String),
    /// The token does not reach this far.
    #[error("{0}")]
    Forbidden(String),
    /// The body is larger than allowed.
    #[error("{0}")]
    TooLarge(String),
    /// The body is of a kind that is not spoken here.
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// The path is there but not with this method.
    #[error("the method {method} is not allowed here; use {allowed}")]
    MethodNotAllowed {
        /// The method of the request.
        method: String,
        /// Those that are.
        allowed: &'static str,
    },
}

impl Fault {
    /// A parameter that cannot be used, as Prometheus words it.
    pub(crate) fn parameter(name: &str, why: impl std::fmt::Display) -> Self {
        Self::BadData(format!("invalid parameter {name:?}: {why}"))
    }

    /// Returns the answer's status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::BadData(_) => StatusCode::BAD_REQUEST,
            Self::Execution(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Timeout(_) | Self::Canceled(_) | Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// Returns the answer's `errorType`.
    pub(crate) fn error_type(&self) -> &'static str {
        match self {
            Self::BadData(_) | Self::TooLarge(_) | Self::UnsupportedMediaType(_) | Self::MethodNotAllowed { .. } => {
                "bad_data"
            }
            Self::Execution(_) => "execution",
            Self::Timeout(_) => "timeout",
            Self::Canceled(_) => "canceled",
            Self::Internal(_) => "internal",
            Self::Unavailable { .. } => "unavailable",
            Self::NotFound(_) => "not_found",
            Self::Unauthorized(_) => "unauthorized",
            Self::Forbidden(_) => "forbidden",
        }
    }

    /// Returns after how many seconds the request may succeed.
    pub(crate) fn retry_after_seconds(&self) -> Option<u32> {
        match self {
            Self::Unavailable { retry_after_seconds, .. } => Some(*retry_after_seconds),
            Self::BadData(_)
            | Self::Execution(_)
            | Self::Timeout(_)
            | Self::Canceled(_)
            | Self::Internal(_)
            | Self::NotFound(_)
            | Self::Unauthorized(_)
            | Self::Forbidden(_)
            | Self::TooLarge(_)
            | Self::UnsupportedMediaType(_)
            | Self::MethodNotAllowed { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_status_and_type() {
        let text = || "x".to_owned();
        let cases = [
            (Fault::BadData(text()), 400, "bad_data"),
            (Fault::Execution(text()), 422, "execution"),
            (Fault::Timeout(text()), 503, "timeout"),
            (Fault::Canceled(text()), 503, "canceled"),
            (Fault::Internal(text()), 500, "internal"),
            (Fault::Unavailable { message: text(), retry_after_seconds: 1 }, 503, "unavailable"),
            (Fault::NotFound(text()), 404, "not_found"),
            (Fault::Unauthorized(text()), 401, "unauthorized"),
            (Fault::Forbidden(text()), 403, "forbidden"),
            (Fault::TooLarge(text()), 413, "bad_data"),
            (Fault::UnsupportedMediaType(text()), 415, "bad_data"),
            (Fault::MethodNotAllowed { method: "PUT".to_owned(), allowed: "GET" }, 405, "bad_data"),
        ];
        for (fault, status, error_type) in cases {
            assert_eq!((fault.status().as_u16(), fault.error_type()), (status, error_type), "{fault:?}");
        }
        assert_eq!(
            Fault::parameter("start", "cannot parse \"x\" to a valid timestamp").to_string(),
            "invalid parameter \"start\": cannot parse \"x\" to a valid timestamp"
        );
    }
}
