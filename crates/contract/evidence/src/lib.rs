//! Evidence: what was seen about what, when, by which tool, signed and chained; and the verdict that follows from it.
//!
//! Owns: envelopes, the chain, readers of tools' reports, the verdict as a pure function.
//! Never: stores blobs, reads a clock, talks to a server.
//! Source: in-toto Statement 1; DSSE 1.0; RFC 8032 (Ed25519).
