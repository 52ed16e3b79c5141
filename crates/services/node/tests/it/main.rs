//! The whole node against a real API server: real images, networks, shims and containers, in namespaces of each test's own.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "the whole program is tests; helpers outside of test functions too"
)]

mod adopt;
mod channels;
mod content;
mod host;
mod kubelet;
mod life;
mod spdy;
mod speed;
