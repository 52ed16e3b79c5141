//! Connections to upstreams, kept by one thread for its own use.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use maru_task::Scope;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::body::RequestBody;
use crate::inputs::Protocol;

/// Idle connections kept for one endpoint.
const IDLE_MAX: usize = 64;
/// How long an idle connection is kept. Shorter than what most servers keep theirs.
const IDLE_AGE: Duration = Duration::from_secs(30);
/// How long a kept connection may take to become ready.
const READY_WAIT: Duration = Duration::from_millis(5);
/// Requests at a time on one HTTP/2 connection, before another one is opened.
const STREAMS_MAX: usize = 100;
/// Connections with HTTP/2 to one endpoint.
const H2_CONNECTIONS_MAX: usize = 8;
/// HTTP/2 flow control: large enough for a fast network (RFC 9113 §5.2).
const H2_WINDOW_BYTES: u32 = 1024 * 1024;

struct Idle {
    sender: http1::SendRequest<RequestBody>,
    since: Instant,
}

/// An HTTP/2 connection; clones share it.
#[derive(Clone)]
struct Multiplexed {
    sender: http2::SendRequest<RequestBody>,
    streams: Arc<AtomicUsize>,
}

/// The connections of one thread.
pub(crate) struct Pool {
    scope: Scope,
    connect_timeout: Duration,
    idle: Mutex<HashMap<SocketAddr, Vec<Idle>>>,
    shared: Mutex<HashMap<SocketAddr, Vec<Multiplexed>>>,
}

/// A connection in use by one request.
pub(crate) struct Checkout {
    pool: Arc<Pool>,
    address: SocketAddr,
    sender: Sender,
    /// It has carried a request before: it may be stale.
    pub reused: bool,
}

enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    Http2 { sender: http2::SendRequest<RequestBody>, _stream: Stream },
}

/// One request on a shared connection.
struct Stream(Arc<AtomicUsize>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Multiplexed {
    fn into_sender(self) -> Sender {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Sender::Http2 { sender: self.sender, _stream: Stream(self.streams) }
    }
}

/// Why a request has no response.
pub(crate) struct SendError {
    /// The request, when nothing of it was sent.
    pub unsent: Option<Request<RequestBody>>,
    pub source: hyper::Error,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    pub(crate) fn new(scope: Scope, connect_timeout: Duration) -> Arc<Self> {
        Arc::new(Self { scope, connect_timeout, idle: Mutex::default(), shared: Mutex::default() })
    }

    /// Returns a connection: an idle or shared one, else a new one.
    pub(crate) async fn checkout(
        self: &Arc<Self>,
        address: SocketAddr,
        protocol: Protocol,
    ) -> std::io::Result<Checkout> {
        let (sender, reused) = match protocol {
            Protocol::Http1 => match self.take_idle(address).await {
                Some(sender) => (Sender::Http1(sender), true),
                None => (Sender::Http1(self.connect_http1(address).await?), false),
            },
            Protocol::H2c => match self.take_shared(address) {
                Some(shared) => (shared.into_sender(), true),
                None => (self.connect_http2(address).await?.into_sender(), false),
            },
        };
        Ok(Checkout { pool: Arc::clone(self), address, sender, reused })
    }

    async fn take_idle(&self, address: SocketAddr) -> Option<http1::SendRequest<RequestBody>> {
        loop {
            let mut idle = lock(&self.idle).get_mut(&address)?.pop()?;
            if idle.sender.is_closed() || idle.since.elapsed() > IDLE_AGE {
                continue;
            }
            // It was given back with the response's last byte; its task may not have seen that yet. One that is still
            // sending its request (it was answered early) is not worth waiting for.
            if idle.sender.is_ready()
                || matches!(tokio::time::timeout(READY_WAIT, idle.sender.ready()).await, Ok(Ok(())))
            {
                return Some(idle.sender);
            }
        }
    }

    fn take_shared(&self, address: SocketAddr) -> Option<Multiplexed> {
        let mut all = lock(&self.shared);
        let connections = all.get_mut(&address)?;
        connections.retain(|one| !one.sender.is_closed());
        let full = connections.len() >= H2_CONNECTIONS_MAX;
        let least = connections.iter().min_by_key(|one| one.streams.load(Ordering::Relaxed))?;
        (full || least.streams.load(Ordering::Relaxed) < STREAMS_MAX).then(|| least.clone())
    }

    async fn connect(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let stream = tokio::time::timeout(self.connect_timeout, TcpStream::connect(address))
            .await
            .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn connect_http1(&self, address: SocketAddr) -> std::io::Result<http1::SendRequest<RequestBody>> {
        let stream = TokioIo::new(self.connect(address).await?);
        let (sender, connection) = http1::Builder::new().handshake(stream).await.map_err(std::io::Error::other)?;
        drop(self.scope.spawn("upstream", async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%address, %error, "a connection to an upstream ended early");
            }
        }));
        Ok(sender)
    }

    async fn connect_http2(&self, address: SocketAddr) -> std::io::Result<Multiplexed> {
        let stream = TokioIo::new(self.connect(address).await?);
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(H2_WINDOW_BYTES)
            .initial_connection_window_size(H2_WINDOW_BYTES)
            .keep_alive_interval(Duration::from_secs(30))
            .handshake(stream)
            .await
            .map_err(std::io::Error::other)?;
        drop(self.scope.spawn("upstream", async move {
            if let Err(error) = connection.await {
                tracing::debug!(%address, %error, "a connection to an upstream ended early");
            }
        }));
        let shared = Multiplexed { sender, streams: Arc::default() };
        lock(&self.shared).entry(address).or_default().push(shared.clone());
        Ok(shared)
    }

    /// Closes connections that nobody has used for long.
    pub(crate) fn prune(&self) {
        lock(&self.idle).retain(|_, idle| {
            idle.retain(|one| !one.sender.is_closed() && one.since.elapsed() <= IDLE_AGE);
            !idle.is_empty()
        });
        lock(&self.shared).retain(|_, connections| {
            connections.retain(|one| !one.sender.is_closed());
            !connections.is_empty()
        });
    }
}

impl Checkout {
    /// Sends a request and waits for the response's head.
    pub(crate) async fn send(&mut self, request: Request<RequestBody>) -> Result<Response<Incoming>, SendError> {
        match &mut self.sender {
            Sender::Http1(sender) => sender
                .try_send_request(request)
                .await
                .map_err(|mut error| SendError { unsent: error.take_message(), source: error.into_error() }),
            Sender::Http2 { sender, .. } => sender
                .try_send_request(request)
                .await
                .map_err(|mut error| SendError { unsent: error.take_message(), source: error.into_error() }),
        }
    }

    /// Keeps the connection for other requests, after the response has been read to its end.
    pub(crate) fn give_back(self) {
        // Shared ones are in the pool all the time.
        let Sender::Http1(sender) = self.sender else { return };
        if sender.is_closed() {
            return;
        }
        let mut idle = lock(&self.pool.idle);
        let idle = idle.entry(self.address).or_default();
        if idle.len() < IDLE_MAX {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }
}
