//! A real server in a temporary directory, real clients.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on may panic, and says why it is left out"
)]

mod definitions;
mod kubectl;
mod objects;
mod protocol;
mod restart;
mod spine;
mod streams;
mod support;
mod tls;
