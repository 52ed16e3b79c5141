//! The image store against a real kernel, a real registry protocol and real archives.

#![expect(clippy::unwrap_used, reason = "the whole program is tests; helpers outside of test functions too")]

mod archives;
mod mounts;
mod pulls;
mod support;
