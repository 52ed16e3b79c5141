//! What the room is told when it starts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use maru_net::Cidr;
use maru_telemetry::Registry;

use crate::Protocol;

/// What the room is told when it starts.
#[derive(Debug, Clone)]
pub struct NetworkOptions {
    /// Names the nftables table, `maru_<instance>`.
    pub instance: String,
    /// This node's name, as in `Endpoint.nodeName`.
    pub node_name: String,
    /// The range of service addresses.
    pub service_cidr: Cidr,
    /// The range of pod addresses on this node.
    pub pod_cidr: Cidr,
    /// The node's address as pods see it; what is translated on its way to a pod comes from here.
    pub node_address: Ipv4Addr,
    /// Service addresses and ports that a process of this machine serves itself, such as the API's; no rule touches them.
    /// The addresses of the DNS server need not be listed.
    pub in_process: Vec<InProcess>,
    /// The DNS server.
    pub dns: DnsOptions,
    /// Where metrics go.
    pub registry: Registry,
}

/// A service port that ends in a process of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InProcess {
    /// The service's address.
    pub address: Ipv4Addr,
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
}

impl NetworkOptions {
    /// Returns all service ports that end in this process, in order.
    #[must_use]
    pub fn all_in_process(&self) -> Vec<InProcess> {
        let dns = self.dns.listen.iter().filter_map(|listen| match listen.ip() {
            IpAddr::V4(address) if self.service_cidr.contains(address) => Some((address, listen.port())),
            _ => None,
        });
        let dns = dns.flat_map(|(address, port)| {
            [Protocol::Tcp, Protocol::Udp].map(|protocol| InProcess { address, protocol, port })
        });
        let mut all: Vec<InProcess> = self.in_process.iter().copied().chain(dns).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// The DNS server.
#[derive(Debug, Clone)]
pub struct DnsOptions {
    /// Addresses to listen on, UDP and TCP: the DNS service's address and port.
    pub listen: Vec<SocketAddr>,
    /// The domain of the cluster, such as `cluster.local`, without dots at its ends.
    pub cluster_domain: String,
    /// Seconds that answers about the cluster may be kept.
    pub ttl_seconds: u32,
    /// The file that names the servers for all other names; read again when it changes.
    pub resolv_conf: PathBuf,
    /// Time for all servers together to answer a forwarded query.
    pub forward_timeout: Duration,
    /// Forwarded queries under way at a time; further ones are answered SERVFAIL.
    pub forwards_max: usize,
    /// Answers of other servers that are kept.
    pub cache_entries_max: usize,
    /// TCP connections at a time.
    pub connections_max: usize,
}

impl DnsOptions {
    /// Returns the usual settings for a server on one address, port 53.
    #[must_use]
    pub fn on(address: Ipv4Addr) -> Self {
        Self {
            listen: vec![SocketAddr::new(address.into(), 53)],
            cluster_domain: "cluster.local".to_owned(),
            ttl_seconds: 5,
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            forward_timeout: Duration::from_secs(5),
            forwards_max: 1000,
            cache_entries_max: 4096,
            connections_max: 256,
        }
    }
}
