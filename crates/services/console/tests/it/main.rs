//! The console before a real API server, as a browser meets it: over a socket, header by header.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod live;
mod login;
mod page;
mod passing;
mod safety;
mod secrets;
mod support;
