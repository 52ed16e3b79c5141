//! SPDY/3.1 framing: bytes to frames and back, and the server's view of a session.
//!
//! Owns: the meaning of frames, compressed header blocks and stream states; limits on what a peer may send.
//! Never: reads a socket, waits, retries, does flow control (see below).
//! Source: SPDY Protocol, Draft 3.1; RFC 1950 and RFC 1951 for header blocks.
//!
//! Kubernetes kept SPDY for `exec`, `attach` and `port-forward` long after browsers had left it. Its clients send no
//! `WINDOW_UPDATE` and wait for none, so windows are read and written here but not enforced: the connection's own
//! back-pressure holds a sender up.

mod compression;
mod decode;
mod dictionary;
mod encode;
mod error;
mod frame;
mod headers;
mod session;
#[cfg(test)]
mod tests;

pub use decode::{Decoder, Limits};
pub use encode::Encoder;
pub use error::{DecodeError, EncodeError};
pub use frame::{Frame, GoAwayStatus, ResetStatus, Setting, StreamId};
pub use headers::Headers;
pub use session::{Received, Session};
