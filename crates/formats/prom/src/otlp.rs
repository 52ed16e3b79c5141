//! OTLP metrics: decoded from protobuf or JSON, and translated to Prometheus' model.
//!
//! Source: OpenTelemetry protocol 1, metrics data model, "Prometheus and OpenMetrics compatibility"; OTLP/JSON mapping.

mod json;
mod messages;
mod names;
mod points;
mod translate;

pub use messages::ExportMetricsRequest;
pub use names::NameTranslation;
pub use translate::{Delta, OtlpOptions, OtlpSample, OtlpValue, Promotion, Refusal, Translation, translate};

/// A body that is no metrics request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OtlpError {
    /// The protobuf message is malformed.
    #[error("the body is no OTLP metrics request in protobuf")]
    Protobuf(#[source] prost::DecodeError),
    /// The JSON is malformed.
    #[error("the body is no OTLP metrics request in JSON")]
    Json(#[source] serde_json::Error),
}

impl ExportMetricsRequest {
    /// Reads `application/x-protobuf`.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn from_protobuf(body: &[u8]) -> Result<Self, OtlpError> {
        prost::Message::decode(body).map_err(OtlpError::Protobuf)
    }

    /// Reads `application/json`: names in lower camel case, 64-bit numbers as texts or numbers, ids as hexadecimal digits;
    /// unknown fields are passed over.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn from_json(body: &[u8]) -> Result<Self, OtlpError> {
        serde_json::from_slice(body).map_err(OtlpError::Json)
    }
}

/// Returns the protobuf answer to a request of which `refused` points were not taken; empty when all were.
#[must_use]
pub fn protobuf_response(refused: u64, message: &str) -> Vec<u8> {
    let mut writer = crate::wire::Writer::default();
    if refused > 0 || !message.is_empty() {
        writer.message(1, |partial| {
            partial.number(1, refused);
            partial.text(2, message);
        });
    }
    writer.bytes
}

/// Returns the JSON answer to a request of which `refused` points were not taken.
#[must_use]
pub fn json_response(refused: u64, message: &str) -> serde_json::Value {
    if refused == 0 && message.is_empty() {
        return serde_json::json!({});
    }
    serde_json::json!({ "partialSuccess": { "rejectedDataPoints": refused.to_string(), "errorMessage": message } })
}

#[cfg(test)]
mod tests;
