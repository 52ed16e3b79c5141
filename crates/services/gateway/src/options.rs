//! How a gateway is started.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use maru_telemetry::Registry;
use maru_time::SharedClock;

/// How a gateway is started.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// Where port 80 of Ingresses and Gateways is served. Port 0 lets the kernel choose.
    pub http_ports: Vec<SocketAddr>,
    /// Where port 443 of Ingresses and Gateways is served.
    pub https_ports: Vec<SocketAddr>,
    /// The address on which other ports of Gateways are served.
    pub listener_address: IpAddr,
    /// Added to the other ports of Gateways: 8080 is served on 18080 with 10000.
    pub listener_port_offset: u16,
    /// Gives each Gateway an address of its own out of the cluster's range of Services. The machine must take that range
    /// for its own (AnyIP).
    pub own_addresses: bool,
    /// Threads of the data plane, one runtime each.
    pub threads: usize,
    /// Name of our IngressClass, made when missing.
    pub ingress_class: String,
    /// Name of our GatewayClass, made when missing.
    pub gateway_class: String,
    /// File of the access log: one JSON object a line. `None` writes none.
    pub access_log: Option<PathBuf>,
    /// Size at which the access log is renamed to `….1` and begun anew.
    pub access_log_bytes_max: u64,
    /// The address that statuses tell the users.
    pub published_address: Option<IpAddr>,
    /// Peers whose `X-Forwarded-For` is believed and continued; that of others is replaced.
    pub trusted_proxies: Vec<IpAddr>,
    /// Time to connect to one endpoint.
    pub connect_timeout: Duration,
    /// Time for an upstream's response head when the route names none. Does not hold for gRPC.
    pub response_head_timeout: Duration,
    /// Time that open requests are given when the gateway stops.
    pub drain: Duration,
    /// Where the gateway's metrics are registered.
    pub registry: Registry,
    /// Wall-clock time for logs and statuses.
    pub clock: SharedClock,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        let everywhere = IpAddr::from([0, 0, 0, 0]);
        Self {
            http_ports: vec![SocketAddr::new(everywhere, 80)],
            https_ports: vec![SocketAddr::new(everywhere, 443)],
            listener_address: everywhere,
            listener_port_offset: 0,
            own_addresses: false,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            ingress_class: "maru".to_owned(),
            gateway_class: "maru".to_owned(),
            access_log: None,
            access_log_bytes_max: 64 * 1024 * 1024,
            published_address: None,
            trusted_proxies: Vec::new(),
            connect_timeout: Duration::from_secs(3),
            response_head_timeout: Duration::from_secs(60),
            drain: Duration::from_secs(10),
            registry: Registry::default(),
            clock: maru_time::system_clock(),
        }
    }
}
