//! What can be wrong with frames.

/// Bytes that are not SPDY/3.1, or more of them than allowed. The session cannot go on: its compression state is lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A control frame of another version.
    #[error("a control frame of SPDY version {version} came; only version 3 is spoken here")]
    Version {
        /// The frame's version.
        version: u16,
    },
    /// A control frame is longer than allowed.
    #[error("a control frame of {length} bytes is longer than the limit of {limit}")]
    FrameTooLong {
        /// Its length.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// A control frame has another length than its kind has.
    #[error("a {kind} frame cannot have {length} bytes")]
    Length {
        /// The frame's kind.
        kind: &'static str,
        /// Its length.
        length: usize,
    },
    /// A header block is longer than allowed after decompression.
    #[error("a header block is longer than the limit of {limit} bytes")]
    HeadersTooLong {
        /// The limit.
        limit: usize,
    },
    /// A header block cannot be decompressed.
    #[error("a header block cannot be decompressed: {reason}")]
    Compression {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A header block does not hold headers.
    #[error("a header block is malformed: {reason}")]
    Headers {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A stream number that cannot be.
    #[error("a {kind} frame names stream 0")]
    StreamZero {
        /// The frame's kind.
        kind: &'static str,
    },
    /// An earlier error ended the session.
    #[error("the session has ended with an error before")]
    Ended,
}

/// A frame that cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The length field has 24 bits.
    #[error("a frame of {length} bytes is longer than the 16777215 that its length field can tell")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// The compressor failed.
    #[error("a header block could not be compressed")]
    Compression,
}
