//! The running gateway.

use std::net::SocketAddr;

use maru_client::Client;
use maru_task::Scope;

use crate::options::GatewayOptions;

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
    /// The access log cannot be opened.
    #[error("the access log \"{}\" cannot be opened", path.display())]
    AccessLog {
        /// Which file.
        path: std::path::PathBuf,
        /// The kernel's reason.
        #[source]
        source: std::io::Error,
    },
    /// A thread of the data plane could not be started.
    #[error("a thread of the data plane could not be started")]
    Thread(#[source] std::io::Error),
}

/// A running gateway. It stops with the scope it was started in.
#[derive(Debug)]
pub struct Gateway {}

impl Gateway {
    /// Starts serving, and follows Ingresses, Gateways and routes through `client` from then on.
    ///
    /// # Errors
    /// When a port of the options or the access log cannot be used.
    pub async fn start(_scope: Scope, _client: Client, _options: GatewayOptions) -> Result<Self, GatewayError> {
        todo!()
    }

    /// Returns where port 80 is served.
    #[must_use]
    pub fn http_addresses(&self) -> &[SocketAddr] {
        todo!()
    }

    /// Returns where port 443 is served.
    #[must_use]
    pub fn https_addresses(&self) -> &[SocketAddr] {
        todo!()
    }
}
