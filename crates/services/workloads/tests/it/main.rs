//! The controllers against a whole API server in this process; a driver stands in for the node's part.

mod deployments;
mod endings;
mod jobs;
mod services;
mod sets;
mod steadiness;
mod support;
mod volumes;
