//! Runs the pods that are bound to this machine: what a kubelet does, in process.
//!
//! Owns: the pods' directories, addresses, volumes, containers, probes and logs; the Node object and its Lease.
//! Never: schedules; programs Services; decides who may read a log or run a command (the API server does, before it
//! passes such a request on).
//! Source: Kubernetes "Pod Lifecycle", "Volumes", "Configure Liveness, Readiness and Startup Probes"; the kubelet's API.

mod addresses;
mod config;
mod context;
mod events;
mod garbage;
mod kubelet;
mod logs;
mod machine;
mod manager;
mod metrics;
mod node;
mod objects;
mod options;
mod plan;
mod pod;
mod probe;
mod record;
#[cfg(test)]
mod test_api;
mod volumes;
mod worker;

pub use node::{Node, NodeError};
pub use options::{Heartbeat, NodeOptions, PodLimits};
