//! Evidence: what was seen about what, when, by which tool, signed and chained; and the verdict that follows from it.
//!
//! Owns: envelopes, the chain, readers of tools' reports, the statistics of samples, the verdict as a pure function.
//! Never: stores blobs, reads a clock, talks to a server.
//! Source: in-toto Statement 1; DSSE 1.0; RFC 8032 (Ed25519).

mod chain;
mod envelope;
pub mod export;
mod foreign;
mod index;
mod judge;
mod keys;
pub mod readers;
mod record;
mod say;
pub mod statistics;
mod verdict;

pub use chain::{Chain, Refusal, Replay, Verified, check_raw, open, open_all, replay};
pub use envelope::{
    ENVELOPE_BYTES_MAX, EnvelopeError, KeyError, PAYLOAD_TYPE, PublicKey, Signer, Verifier, pre_authentication_encoding,
};
pub use foreign::ForeignKey;
pub use index::Index;
pub use judge::{Judgement, judge, matches};
pub use keys::{Rotation, RotationError};
pub use record::{Case, Draft, EvidenceKind, KEY_NAME, Record, STATEMENT_TYPE, Statement, StatementError};
pub use verdict::{Piece, Rules, Running, VerdictStatus, derives_from_itself, verdict, worst_child};
