//! Connections to upstreams, kept by one thread for its own use.
//!
//! An HTTP/1 connection has no task of its own: whoever has it drives it while waiting for its answer. That saves two
//! wake-ups and a trip through the scheduler for each request. HTTP/2 connections are shared and have a task.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use maru_task::Scope;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::body::RequestBody;
use super::stream::{self, UpstreamStream};
use crate::inputs::Protocol;
use crate::upstream_tls::UpstreamTls;

/// Idle connections kept for one endpoint.
const IDLE_MAX: usize = 64;
/// How long an idle connection is kept. Shorter than what most servers keep theirs.
const IDLE_AGE: Duration = Duration::from_secs(30);
/// Requests at a time on one HTTP/2 connection, before another one is opened.
const STREAMS_MAX: usize = 100;
/// Connections with HTTP/2 to one endpoint.
const H2_CONNECTIONS_MAX: usize = 8;
/// HTTP/2 flow control: large enough for a fast network (RFC 9113 §5.2).
const H2_WINDOW_BYTES: u32 = 1024 * 1024;

/// Where connections of one kind lead.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub address: SocketAddr,
    pub protocol: Protocol,
    pub tls: Option<Arc<UpstreamTls>>,
}

/// What connections are interchangeable by: the address and what was checked of the peer.
type Key = (SocketAddr, u64);

impl Peer {
    fn key(&self) -> Key {
        (self.address, self.tls.as_ref().map_or(0, |tls| tls.id))
    }
}

/// An HTTP/1 connection that nobody else has.
struct Http1 {
    sender: http1::SendRequest<RequestBody>,
    /// `None` once it has ended.
    connection: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
}

impl Http1 {
    /// Reads and writes what there is to read and write.
    fn drive(&mut self, context: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && let Poll::Ready(result) = connection.as_mut().poll(context)
        {
            self.connection = None;
            if let Err(error) = result {
                tracing::debug!(%error, "a connection to an upstream ended early");
            }
        }
    }

    /// Tells whether another request can be sent: the last one is over and the peer is there.
    fn is_free(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }
}

struct Idle {
    connection: Http1,
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
    idle: Mutex<HashMap<Key, Vec<Idle>>>,
    shared: Mutex<HashMap<Key, Vec<Multiplexed>>>,
}

/// A connection in use by one request.
pub(crate) struct Checkout {
    pool: Arc<Pool>,
    key: Key,
    sender: Sender,
    /// It has carried a request before: it may be stale.
    pub reused: bool,
}

enum Sender {
    Http1(Http1),
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
    pub(crate) async fn checkout(self: &Arc<Self>, peer: &Peer) -> std::io::Result<Checkout> {
        let key = peer.key();
        let (sender, reused) = match peer.protocol {
            Protocol::Http1 => match self.take_idle(key) {
                Some(connection) => (Sender::Http1(connection), true),
                // Boxed, as it is rare and large: requests should not carry its room about.
                None => (Sender::Http1(Box::pin(self.connect_http1(peer)).await?), false),
            },
            Protocol::Http2 => match self.take_shared(key) {
                Some(shared) => (shared.into_sender(), true),
                None => (Box::pin(self.connect_http2(peer)).await?.into_sender(), false),
            },
        };
        Ok(Checkout { pool: Arc::clone(self), key, sender, reused })
    }

    fn take_idle(&self, key: Key) -> Option<Http1> {
        let mut all = lock(&self.idle);
        let idle = all.get_mut(&key)?;
        loop {
            let mut one = idle.pop()?;
            // Nobody has driven it meanwhile: now it learns whether the peer has closed it.
            if one.since.elapsed() <= IDLE_AGE && one.connection.is_free() {
                return Some(one.connection);
            }
        }
    }

    fn take_shared(&self, key: Key) -> Option<Multiplexed> {
        let mut all = lock(&self.shared);
        let connections = all.get_mut(&key)?;
        connections.retain(|one| !one.sender.is_closed());
        let full = connections.len() >= H2_CONNECTIONS_MAX;
        let least = connections.iter().min_by_key(|one| one.streams.load(Ordering::Relaxed))?;
        (full || least.streams.load(Ordering::Relaxed) < STREAMS_MAX).then(|| least.clone())
    }

    async fn connect(&self, peer: &Peer) -> std::io::Result<TokioIo<UpstreamStream>> {
        let connecting = async {
            let stream = TcpStream::connect(peer.address).await?;
            stream.set_nodelay(true)?;
            stream::open(stream, peer.tls.as_deref(), peer.protocol).await
        };
        let stream = tokio::time::timeout(self.connect_timeout, connecting)
            .await
            .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
        Ok(TokioIo::new(stream))
    }

    async fn connect_http1(&self, peer: &Peer) -> std::io::Result<Http1> {
        let stream = self.connect(peer).await?;
        let (sender, connection) = http1::Builder::new().handshake(stream).await.map_err(std::io::Error::other)?;
        let mut made = Http1 { sender, connection: Some(Box::pin(connection.with_upgrades())) };
        // The sender is ready once the connection has been driven for the first time.
        made.is_free();
        Ok(made)
    }

    async fn connect_http2(&self, peer: &Peer) -> std::io::Result<Multiplexed> {
        let stream = self.connect(peer).await?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(H2_WINDOW_BYTES)
            .initial_connection_window_size(H2_WINDOW_BYTES)
            .keep_alive_interval(Duration::from_secs(30))
            .handshake(stream)
            .await
            .map_err(std::io::Error::other)?;
        let address = peer.address;
        drop(self.scope.spawn("upstream", async move {
            if let Err(error) = connection.await {
                tracing::debug!(%address, %error, "a connection to an upstream ended early");
            }
        }));
        let shared = Multiplexed { sender, streams: Arc::default() };
        lock(&self.shared).entry(peer.key()).or_default().push(shared.clone());
        Ok(shared)
    }

    /// Closes connections that nobody has used for long, and those that their peers have closed.
    pub(crate) fn prune(&self) {
        lock(&self.idle).retain(|_, idle| {
            idle.retain_mut(|one| one.since.elapsed() <= IDLE_AGE && one.connection.is_free());
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
        let sent = match &mut self.sender {
            Sender::Http1(http1) => {
                let mut response = pin!(http1.sender.try_send_request(request));
                // The connection's own steps bring the response: nobody needs to be woken for it.
                let connection = &mut http1.connection;
                poll_fn(|context| {
                    if let Some(driven) = connection
                        && driven.as_mut().poll(context).is_ready()
                    {
                        *connection = None;
                    }
                    response.as_mut().poll(&mut Context::from_waker(Waker::noop()))
                })
                .await
            }
            Sender::Http2 { sender, .. } => sender.try_send_request(request).await,
        };
        sent.map_err(|mut error| SendError { unsent: error.take_message(), source: error.into_error() })
    }

    /// Moves the connection on while its response's body is read; to be called before the body is polled.
    pub(crate) fn drive(&mut self, context: &mut Context<'_>) {
        if let Sender::Http1(http1) = &mut self.sender {
            http1.drive(context);
        }
    }

    /// Drives the connection to its end, which it reaches by changing protocols.
    pub(crate) async fn run(mut self) {
        poll_fn(|context| {
            self.drive(context);
            match &self.sender {
                Sender::Http1(Http1 { connection: Some(_), .. }) => Poll::Pending,
                Sender::Http1(_) | Sender::Http2 { .. } => Poll::Ready(()),
            }
        })
        .await;
    }

    /// Keeps the connection for other requests, after the response has been read to its end.
    pub(crate) fn give_back(self) {
        // Shared ones are in the pool all the time.
        let Sender::Http1(mut connection) = self.sender else { return };
        // One that is still sending its request (it was answered early) is not worth waiting for.
        if !connection.is_free() {
            return;
        }
        let mut idle = lock(&self.pool.idle);
        let idle = idle.entry(self.key).or_default();
        if idle.len() < IDLE_MAX {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }
}
