//! What the controllers are told when they start.

use std::path::PathBuf;

use maru_telemetry::Registry;
use maru_time::SharedClock;

/// What the controllers are told when they start.
#[derive(Debug, Clone)]
pub struct WorkloadOptions {
    /// The name of the node that pods are bound to.
    pub node_name: String,
    /// Where local-path volumes get their directories; made when missing.
    pub storage_directory: PathBuf,
    /// The certificate of the API server's authority; every namespace gets it as ConfigMap `kube-root-ca.crt`.
    pub root_ca_pem: String,
    /// Takes the controllers' metrics.
    pub registry: Registry,
    /// Tells the time.
    pub clock: SharedClock,
}

impl WorkloadOptions {
    /// Returns options with the machine's clock and a registry of their own.
    #[must_use]
    pub fn new(node_name: &str, storage_directory: impl Into<PathBuf>, root_ca_pem: &str) -> Self {
        Self {
            node_name: node_name.to_owned(),
            storage_directory: storage_directory.into(),
            root_ca_pem: root_ca_pem.to_owned(),
            registry: Registry::default(),
            clock: maru_time::system_clock(),
        }
    }
}
