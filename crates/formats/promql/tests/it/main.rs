//! The engine as its users meet it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod promqltest;
mod scripts;
