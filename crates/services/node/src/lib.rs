//! Runs the pods that are bound to this machine: what a kubelet does, in process.
//!
//! Owns: the pods' directories, addresses, volumes, containers, probes and logs; the Node object and its Lease.
//! Never: schedules; programs Services; decides who may read a log or run a command (the API server does, before it
//! passes such a request on).
//! Source: Kubernetes "Pod Lifecycle", "Volumes", "Configure Liveness, Readiness and Startup Probes"; the kubelet's API.

mod node;
mod options;

pub use node::{Node, NodeError};
pub use options::{Heartbeat, NodeOptions, PodLimits};
