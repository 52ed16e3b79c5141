//! The controllers against a whole API server in this process; a driver stands in for the node's part.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod deployments;
mod endings;
mod jobs;
mod services;
mod sets;
mod steadiness;
mod support;
mod volumes;
