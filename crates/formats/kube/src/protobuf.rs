//! Kubernetes' protobuf request bodies into JSON values.

use serde_json::Value;

/// The content type of protobuf bodies.
pub const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// A body that cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtobufError {
    /// The bytes are not a Kubernetes protobuf envelope, or not a message of its type.
    #[error("the body is not Kubernetes protobuf: {0}")]
    Malformed(String),
    /// The envelope's kind is not built in.
    #[error("protobuf is not supported for {api_version}, kind {kind}; send JSON")]
    NotSupported {
        /// The envelope's apiVersion.
        api_version: String,
        /// The envelope's kind.
        kind: String,
    },
}

/// Decodes an envelope (`k8s\0` and `runtime.Unknown`) into the JSON that Go's types would print, with apiVersion and kind.
///
/// # Errors
/// Fails when the bytes are malformed or the kind is not built in.
pub fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    unimplemented!("{body:?}")
}
