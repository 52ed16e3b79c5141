//! The running gateway.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use maru_client::Client;
use maru_task::Scope;

use crate::certificates::CertificateCache;
use crate::compile::{Facts, HTTP_PORT, HTTPS_PORT, Place};
use crate::control::Control;
use crate::options::GatewayOptions;
use crate::plane::{AccessLogOptions, DataPlane, DataPlaneOptions};

/// The gateway could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// A port of the configuration cannot be served.
    #[error("port {} on {} cannot be served; is another program using it?", address.port(), address.ip())]
    Bind {
        /// Where.
        address: SocketAddr,
        /// The kernel's reason.
        #[source]
        source: std::io::Error,
    },
    /// The access log or a thread's runtime cannot be opened.
    #[error("the data plane could not be started (access log: {})", access_log.as_deref().unwrap_or_else(|| std::path::Path::new("none")).display())]
    Start {
        /// Where the log should go.
        access_log: Option<std::path::PathBuf>,
        /// The kernel's reason.
        #[source]
        source: std::io::Error,
    },
}

/// A running gateway. It stops with the scope it was started in.
#[derive(Debug)]
pub struct Gateway {
    http_addresses: Vec<SocketAddr>,
    https_addresses: Vec<SocketAddr>,
}

impl Gateway {
    /// Takes its ports, then follows Ingresses, Gateways and routes through `client`. The ports are served as soon as all
    /// of them are known, which does not delay the return.
    ///
    /// # Errors
    /// When a port of the options or the access log cannot be used.
    pub async fn start(scope: Scope, client: Client, options: GatewayOptions) -> Result<Self, GatewayError> {
        let log =
            options.access_log.clone().map(|path| AccessLogOptions { path, bytes_max: options.access_log_bytes_max });
        let plane_options = DataPlaneOptions {
            threads: options.threads,
            trusted_proxies: options.trusted_proxies.clone(),
            connect_timeout: options.connect_timeout,
            response_head_timeout: options.response_head_timeout,
            drain: options.drain,
            registry: options.registry.clone(),
            clock: Arc::clone(&options.clock),
        };
        let plane = DataPlane::start(&scope, plane_options, log)
            .map_err(|source| GatewayError::Start { access_log: options.access_log.clone(), source })?;
        let mut waiting = Vec::new();
        let mut port_problems = BTreeMap::new();
        let mut bind = |addresses: &[SocketAddr], port, tls| {
            if addresses.is_empty() {
                port_problems.insert(Place::shared(port), format!("port {port} is not served on this machine"));
            }
            let mut bound_addresses = Vec::new();
            for address in addresses {
                let bound = plane.bind(*address).map_err(|source| GatewayError::Bind { address: *address, source })?;
                bound_addresses.push(bound.address);
                waiting.push((Place::shared(port), tls, bound));
            }
            Ok(bound_addresses)
        };
        let http_addresses = bind(&options.http_ports, HTTP_PORT, false)?;
        let https_addresses = bind(&options.https_ports, HTTPS_PORT, true)?;
        let facts = Facts {
            ingress_class: options.ingress_class.clone(),
            port_problems,
            own_addresses: options.own_addresses,
            resolved: BTreeMap::new(),
        };
        let control = Control {
            client,
            options,
            plane,
            waiting,
            cache: CertificateCache::default(),
            ports: BTreeMap::new(),
            facts,
        };
        drop(scope.spawn("control", control.run(scope.clone())));
        Ok(Self { http_addresses, https_addresses })
    }

    /// Returns where port 80 is served.
    #[must_use]
    pub fn http_addresses(&self) -> &[SocketAddr] {
        &self.http_addresses
    }

    /// Returns where port 443 is served.
    #[must_use]
    pub fn https_addresses(&self) -> &[SocketAddr] {
        &self.https_addresses
    }
}
