//! A listener that accepts, limits and drains connections.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use maru_task::Scope;
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

use crate::{Body, Handler};

/// What is known of the connection that a request came over; in the request's extensions.
#[derive(Debug, Clone)]
pub struct ConnectionInfo {
    /// The peer's address.
    pub remote: SocketAddr,
    /// The address that the peer connected to.
    pub local: SocketAddr,
    /// The peer's certificates, leaf first, verified by the TLS configuration; empty without one.
    pub client_certificates: Arc<[CertificateDer<'static>]>,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// Returns the TLS configuration for the next connection, so that certificates can be renewed while serving.
pub type TlsSource = Arc<dyn Fn() -> Arc<rustls::ServerConfig> + Send + Sync>;

/// What a listener allows.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at a time; further ones wait in the kernel's backlog.
    pub connections_max: usize,
    /// Time for a TLS handshake.
    pub handshake_timeout: Duration,
    /// Time for a request's head.
    pub header_read_timeout: Duration,
    /// Bytes of a request's head in HTTP/1, and of the header list in HTTP/2.
    pub header_bytes_max: u32,
    /// Streams at a time on one HTTP/2 connection.
    pub streams_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            handshake_timeout: Duration::from_secs(10),
            header_read_timeout: Duration::from_secs(30),
            header_bytes_max: 128 * 1024,
            streams_max: 250,
        }
    }
}

/// A listener with what answers on it.
pub struct Server {
    /// Named in logs.
    pub name: &'static str,
    /// The bound socket.
    pub listener: TcpListener,
    /// TLS, when the listener speaks it.
    pub tls: Option<TlsSource>,
    /// Answers the requests.
    pub handler: Handler,
    /// What is allowed.
    pub limits: Limits,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Server")
            .field("name", &self.name)
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

/// A listener stopped for another reason than its scope's end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The socket is not usable.
    #[error("the listener \"{name}\" has no local address")]
    Address {
        /// The listener's name.
        name: &'static str,
        /// The kernel's reason.
        #[source]
        source: std::io::Error,
    },
}

/// Accepts connections until the scope is cancelled; open connections then finish their requests.
///
/// # Errors
/// When the socket has no local address. A failing accept (for example, no descriptor left) is retried after a pause.
pub async fn serve(scope: Scope, server: Server) -> Result<(), ServerError> {
    let local = server.listener.local_addr().map_err(|source| ServerError::Address { name: server.name, source })?;
    let permits = Arc::new(Semaphore::new(server.limits.connections_max));
    let connection = Arc::new(ConnectionServer {
        name: server.name,
        tls: server.tls,
        handler: server.handler,
        limits: server.limits,
        scope: scope.clone(),
    });
    loop {
        let (permit, stream, remote) = tokio::select! {
            () = scope.cancelled() => return Ok(()),
            // Cancel safe: a dropped permit is returned, a dropped accept leaves the connection in the backlog.
            next = next_connection(server.name, &permits, &server.listener) => next,
        };
        let served = Arc::clone(&connection);
        drop(scope.spawn("connection", async move { served.serve(stream, local, remote, permit).await }));
    }
}

async fn next_connection(
    name: &str,
    permits: &Arc<Semaphore>,
    listener: &TcpListener,
) -> (OwnedSemaphorePermit, TcpStream, SocketAddr) {
    let permit = Arc::clone(permits).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => return (permit, stream, remote),
            Err(error) => {
                tracing::warn!(listener = name, %error, "accept failed; trying again in 100 ms");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

struct ConnectionServer {
    name: &'static str,
    tls: Option<TlsSource>,
    handler: Handler,
    limits: Limits,
    scope: Scope,
}

impl ConnectionServer {
    async fn serve(&self, stream: TcpStream, local: SocketAddr, remote: SocketAddr, permit: OwnedSemaphorePermit) {
        let _permit = permit;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(listener = self.name, %error, "no TCP_NODELAY");
        }
        // With AnyIP the connection's own local address is more exact than the listener's.
        let local = stream.local_addr().unwrap_or(local);
        let Some(source) = &self.tls else {
            let info = ConnectionInfo { remote, local, client_certificates: Arc::new([]), tls: false };
            return self.serve_http(TokioIo::new(stream), info, Version::Unknown).await;
        };
        let acceptor = TlsAcceptor::from(source());
        match tokio::time::timeout(self.limits.handshake_timeout, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let certificates: Arc<[CertificateDer<'static>]> = stream
                    .get_ref()
                    .1
                    .peer_certificates()
                    .unwrap_or_default()
                    .iter()
                    .map(|one| one.clone().into_owned())
                    .collect();
                let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let info = ConnectionInfo { remote, local, client_certificates: certificates, tls: true };
                self.serve_http(TokioIo::new(stream), info, if h2 { Version::Http2 } else { Version::Unknown }).await;
            }
            Ok(Err(error)) => tracing::debug!(listener = self.name, %remote, %error, "handshake failed"),
            Err(_) => tracing::debug!(listener = self.name, %remote, "handshake took too long"),
        }
    }

    async fn serve_http<I>(&self, io: TokioIo<I>, info: ConnectionInfo, version: Version)
    where
        I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let handler = self.handler.clone();
        let service = hyper::service::service_fn(move |request| answer(handler.clone(), info.clone(), request));
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_read_timeout)
            .max_buf_size(usize::try_from(self.limits.header_bytes_max).unwrap_or(usize::MAX).max(8192));
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(self.limits.header_bytes_max)
            .max_concurrent_streams(self.limits.streams_max)
            .keep_alive_interval(Duration::from_secs(30));
        let result = match version {
            Version::Unknown => {
                let connection = pin!(builder.serve_connection_with_upgrades(io, service));
                drive(&self.scope, connection, auto::UpgradeableConnection::graceful_shutdown).await
            }
            // Only this way does the library not guess what was agreed on: a wrong preface is an error then (RFC 9113
            // §3.4). HTTP/2 has no upgrades.
            Version::Http2 => {
                let builder = builder.http2_only();
                let connection = pin!(builder.serve_connection(io, service));
                drive(&self.scope, connection, auto::Connection::graceful_shutdown).await
            }
        };
        if let Err(error) = result {
            tracing::debug!(listener = self.name, %error, "connection ended early");
        }
    }
}

/// What a connection speaks, as far as it was agreed on.
#[derive(Debug, Clone, Copy)]
enum Version {
    /// HTTP/1, or HTTP/2 when it begins so.
    Unknown,
    Http2,
}

/// Serves a connection; when the scope ends, its open requests end first.
async fn drive<C: Future>(scope: &Scope, mut connection: Pin<&mut C>, stop: impl FnOnce(Pin<&mut C>)) -> C::Output {
    tokio::select! {
        result = connection.as_mut() => result,
        () = scope.cancelled() => {
            stop(connection.as_mut());
            connection.await
        }
    }
}

async fn answer(
    handler: Handler,
    info: ConnectionInfo,
    request: Request<Incoming>,
) -> Result<http::Response<Body>, std::convert::Infallible> {
    let mut request: Request<Body> = request.map(|body| body.map_err(|error| error.into()).boxed_unsync());
    request.extensions_mut().insert(info);
    Ok(handler.call(request).await)
}
