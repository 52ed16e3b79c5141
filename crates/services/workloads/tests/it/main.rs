//! The controllers against a whole API server in this process; a driver stands in for the node's part.

mod deployments;
mod endings;
mod services;
mod support;
mod volumes;
