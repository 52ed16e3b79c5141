//! A Kubernetes client over any transport, and the shape of a reconciler.
//!
//! Owns: how rooms reach the Kubernetes API: in process over the API server's handler, or over a kubeconfig.
//! Never: knows a service; caches across rooms.
//! Source: Kubernetes API conventions; kube-rs.

mod controller;
mod transport;

pub use controller::{Backoff, ReconcileError};
pub use transport::{TransportError, as_user, connect_kubeconfig, in_process};

/// The client that every room is handed.
pub type Client = kube::Client;
