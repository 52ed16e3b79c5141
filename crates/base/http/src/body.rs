//! Bodies of requests and responses.

use std::pin::Pin;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full, Limited, StreamBody};

/// Any error of a body's producer.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of every request and response between rooms.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

/// A body could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It was longer than allowed.
    #[error("the body is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The sender broke off or broke the protocol.
    #[error("the body could not be read")]
    Read(#[source] BoxError),
}

/// Returns a body without content.
#[must_use]
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Returns a body with the given content.
pub fn full(content: impl Into<Bytes>) -> Body {
    Full::new(content.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Returns a body that is produced while it is sent.
pub fn stream<S>(chunks: S) -> Body
where
    S: futures::Stream<Item = Result<Bytes, BoxError>> + Send + 'static,
{
    StreamBody::new(futures::StreamExt::map(chunks, |chunk| chunk.map(http_body::Frame::data))).boxed_unsync()
}

/// Reads a whole body into memory. The future's type is written down: only so does the compiler see everywhere that it may be
/// sent.
///
/// # Errors
/// When it is longer than `limit` bytes or breaks off.
pub fn collect_limited<B>(body: B, limit: usize) -> Pin<Box<dyn Future<Output = Result<Bytes, BodyError>> + Send>>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Box::pin(async move {
        match Limited::new(body, limit).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(BodyError::TooLarge { limit }),
            Err(error) => Err(BodyError::Read(error)),
        }
    })
}
