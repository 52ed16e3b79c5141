//! What a node is told at its start.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use maru_container::RuntimeKind;
use maru_images::{ImageStore, RegistryOptions};
use maru_net::PodNetworks;
use maru_telemetry::Registry;
use maru_time::{SharedClock, system_clock};

/// What a node is told at its start. `NodeOptions::new` fills in Maru's defaults; all fields may be changed after it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NodeOptions {
    /// The node's name: pods with this `spec.nodeName` run here.
    pub name: String,
    /// Where pods' directories, records and logs are kept. Survives restarts.
    pub directory: PathBuf,
    /// The program that is started again as the pods' shim: this binary.
    pub executable: PathBuf,
    /// Which program makes the containers.
    pub runtime: RuntimeKind,
    /// Where images are kept.
    pub images: ImageStore,
    /// How registries are reached.
    pub registries: Arc<RegistryOptions>,
    /// Makes the pods' namespaces and links.
    pub networks: PodNetworks,
    /// The cgroup under which pods' cgroups are made, without a leading slash (`maru`).
    pub cgroup_parent: String,
    /// The addresses that pods get; the network's own, the first and the last are never given.
    pub pod_cidr: (Ipv4Addr, u8),
    /// The node's addresses, the one that pods' `hostIP` shows first.
    pub addresses: Vec<IpAddr>,
    /// The resolvers that `ClusterFirst` pods are given.
    pub cluster_dns: Vec<IpAddr>,
    /// The domain of cluster names (`cluster.local`).
    pub cluster_domain: String,
    /// The file whose resolvers `Default` pods are given.
    pub resolv_conf: PathBuf,
    /// The namespace and name of the API server's Service, whose address every pod finds in its environment.
    pub kubernetes_service: (String, String),
    /// Labels of the Node object beyond the well-known ones.
    pub labels: BTreeMap<String, String>,
    /// The version that the Node object shows as `kubeletVersion`, for example `v1.36.0`.
    pub version: String,
    /// The port where the node's handler is served, for the Node object; nothing listens on it because of this number.
    pub kubelet_port: u16,
    /// What pods may use.
    pub limits: PodLimits,
    /// How often the node says that it is alive.
    pub heartbeat: Heartbeat,
    /// Tells the time.
    pub clock: SharedClock,
    /// Where metrics are counted.
    pub registry: Registry,
}

/// What pods on this node may use.
#[derive(Debug, Clone)]
pub struct PodLimits {
    /// Pods at a time.
    pub pods_max: u32,
    /// Processes and threads of one pod; `None` leaves it to the machine.
    pub pids_max: Option<u32>,
    /// Bytes of one log file before it is rotated.
    pub log_bytes_max: u64,
    /// Log files kept for one container attempt.
    pub log_files_max: u32,
    /// Image pulls at a time.
    pub pulls_max: usize,
}

impl Default for PodLimits {
    fn default() -> Self {
        Self { pods_max: 110, pids_max: None, log_bytes_max: 10 * 1024 * 1024, log_files_max: 5, pulls_max: 3 }
    }
}

/// How often the node says that it is alive.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    /// Between renewals of the Lease.
    pub lease: Duration,
    /// Between writes of an unchanged Node status.
    pub status: Duration,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { lease: Duration::from_secs(10), status: Duration::from_secs(300) }
    }
}

impl NodeOptions {
    /// Returns the defaults for a node of this name that keeps its state in `directory`.
    #[must_use]
    pub fn new(name: &str, directory: PathBuf, executable: PathBuf, images: ImageStore, networks: PodNetworks) -> Self {
        Self {
            runtime: RuntimeKind::default(),
            images,
            registries: Arc::default(),
            networks,
            name: name.to_owned(),
            directory,
            executable,
            cgroup_parent: "maru".to_owned(),
            pod_cidr: (Ipv4Addr::new(10, 42, 0, 0), 24),
            addresses: vec![IpAddr::V4(Ipv4Addr::new(10, 42, 0, 1))],
            cluster_dns: vec![IpAddr::V4(Ipv4Addr::new(10, 96, 0, 10))],
            cluster_domain: "cluster.local".to_owned(),
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            kubernetes_service: ("default".to_owned(), "kubernetes".to_owned()),
            labels: BTreeMap::new(),
            version: "v1.36.0".to_owned(),
            kubelet_port: 10250,
            limits: PodLimits::default(),
            heartbeat: Heartbeat::default(),
            clock: system_clock(),
            registry: Registry::default(),
        }
    }
}

#[cfg(test)]
impl NodeOptions {
    /// Returns options whose every path is below a test's directory.
    pub(crate) fn for_tests(directory: &std::path::Path) -> Self {
        let images = ImageStore::open(&directory.join("images")).expect("a directory of the test's own");
        let networks = PodNetworks::new(maru_net::PodNetworkOptions {
            instance: "test".to_owned(),
            directory: directory.join("run"),
            gateway: maru_net::PodNetworkOptions::GATEWAY,
            node_address: Ipv4Addr::new(10, 42, 0, 1),
            mtu: 1500,
        });
        Self::new("node", directory.to_owned(), PathBuf::from("/nonexistent"), images, networks)
    }
}
