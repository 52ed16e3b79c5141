//! One thread of the data plane: accepts, serves, drains.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use maru_task::Scope;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;

use super::Shared;
use super::access_log::LogBuffer;
use super::headers::Client;
use super::metrics::Series;
use super::pool::Pool;
use super::proxy;
use crate::compile::Place;

/// Connections of clients at a time on one thread; further ones wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 16_384;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;
/// Time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a request's head, also between requests.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a request's head.
const HEADER_BYTES_MAX: u32 = 64 * 1024;
/// Requests at a time on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;
/// Streams that a client may reset before they are handled (CVE-2023-44487).
const PENDING_RESETS_MAX: usize = 20;
/// Flow control of HTTP/2.
const WINDOW_BYTES: u32 = 1024 * 1024;
/// How often unused connections to upstreams are looked for.
const PRUNE_PERIOD: Duration = Duration::from_secs(10);

/// What a worker is told.
pub(crate) enum Command {
    Listen { socket: TcpSocket, address: SocketAddr, place: Place, tls: bool },
    Unlisten { address: SocketAddr },
}

/// One thread's own things.
pub(crate) struct Worker {
    pub shared: Arc<Shared>,
    pub scope: Scope,
    pub pool: Arc<Pool>,
    pub log: LogBuffer,
    random: AtomicU64,
    no_series: OnceLock<Arc<Series>>,
    permits: Arc<Semaphore>,
}

/// Held by each connection; the worker ends when all are gone.
type Alive = mpsc::Sender<()>;

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, scope: Scope) -> Self {
        let mut seed = [0u8; 8];
        maru_ids::fill_random(&mut seed);
        let pool = Pool::new(scope.clone(), shared.options.connect_timeout);
        Self {
            shared,
            scope,
            pool,
            log: LogBuffer::default(),
            random: AtomicU64::new(u64::from_ne_bytes(seed) | 1),
            no_series: OnceLock::new(),
            permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        }
    }

    /// Returns a number that is good enough for balancing and trace ids (xorshift64*, Marsaglia 2003). Only this
    /// worker's thread calls it.
    pub(crate) fn random(&self) -> u64 {
        let mut state = self.random.load(Ordering::Relaxed);
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.random.store(state, Ordering::Relaxed);
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Returns the series of requests that come before the first configuration.
    pub(crate) fn no_series(&self) -> Arc<Series> {
        Arc::clone(self.no_series.get_or_init(|| Arc::new(self.shared.metrics.series("none", "none"))))
    }

    /// Serves until the scope is cancelled, then lets open requests end.
    pub(crate) async fn run(self, mut commands: mpsc::Receiver<Command>) {
        let worker = Arc::new(self);
        let (alive, mut all_gone) = mpsc::channel(1);
        let mut listeners: HashMap<SocketAddr, Scope> = HashMap::new();
        let mut prune = tokio::time::interval(PRUNE_PERIOD);
        let logging = Arc::clone(&worker);
        // Goes on while open requests end; what is left then is written by `done`.
        let logging = worker.scope.spawn("log", async move { logging.log.run(&logging.shared.log).await });
        loop {
            let command = tokio::select! {
                () = worker.scope.cancelled() => break,
                command = commands.recv() => command,
                _ = prune.tick() => {
                    worker.pool.prune();
                    continue;
                }
            };
            match command {
                Some(Command::Listen { socket, address, place, tls }) => match socket.listen(BACKLOG) {
                    Ok(listener) => {
                        let scope = worker.scope.child("listener");
                        let accepting = Arc::clone(&worker).accept(scope.clone(), listener, place, tls, alive.clone());
                        drop(scope.spawn("accept", accepting));
                        listeners.insert(address, scope);
                    }
                    Err(error) => tracing::warn!(%address, %error, "the gateway cannot listen"),
                },
                Some(Command::Unlisten { address }) => {
                    if let Some(scope) = listeners.remove(&address) {
                        scope.cancel();
                    }
                }
                None => break,
            }
        }
        drop((alive, listeners));
        // Nobody sends: it resolves when the last connection is gone.
        if tokio::time::timeout(worker.shared.options.drain, all_gone.recv()).await.is_err() {
            tracing::warn!("connections of the gateway were cut off as they did not end in time");
        }
        logging.abort();
        worker.log.done(&worker.shared.log).await;
    }

    async fn accept(self: Arc<Self>, scope: Scope, listener: TcpListener, place: Place, tls: bool, alive: Alive) {
        let acceptor = tls.then(|| self.acceptor(place)).flatten();
        if tls && acceptor.is_none() {
            return;
        }
        loop {
            let (stream, remote, permit) = tokio::select! {
                () = scope.cancelled() => return,
                // Cancel safe: a dropped permit is returned, a dropped accept leaves the connection in the backlog.
                next = self.next_connection(&listener) => next,
            };
            let worker = Arc::clone(&self);
            let (acceptor, alive) = (acceptor.clone(), alive.clone());
            // Connections outlive their listener: they belong to the worker.
            drop(self.scope.spawn("connection", async move {
                let _held = (permit, alive);
                worker.shared.metrics.connections.add(1);
                Arc::clone(&worker).connection(stream, remote, place, acceptor).await;
                worker.shared.metrics.connections.add(-1);
            }));
        }
    }

    async fn next_connection(&self, listener: &TcpListener) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => return (stream, remote, permit),
                Err(error) => {
                    tracing::warn!(%error, "accept failed; trying again in 100 ms");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn acceptor(&self, place: Place) -> Option<TlsAcceptor> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        match builder {
            Ok(builder) => {
                let resolver = Resolver { shared: Arc::clone(&self.shared), place };
                let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(resolver));
                config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
                Some(TlsAcceptor::from(Arc::new(config)))
            }
            Err(error) => {
                tracing::error!(%error, "the gateway has no TLS");
                None
            }
        }
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        remote: SocketAddr,
        place: Place,
        acceptor: Option<TlsAcceptor>,
    ) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let local_port = stream.local_addr().map_or(place.port, |local| local.port());
        let trusted = &self.shared.options.trusted_proxies;
        let client = Client::new(remote, acceptor.is_some(), place, local_port, trusted);
        let Some(acceptor) = acceptor else {
            return self.serve(stream, client, Version::Unknown).await;
        };
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                self.serve(stream, client, if h2 { Version::Http2 } else { Version::Unknown }).await;
            }
            Ok(Err(error)) => tracing::debug!(%remote, %error, "handshake failed"),
            Err(_) => tracing::debug!(%remote, "handshake took too long"),
        }
    }

    async fn serve<I>(self: Arc<Self>, stream: I, client: Client, version: Version)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let scope = self.scope.clone();
        let (remote, client) = (client.remote, Arc::new(client));
        let service = service_fn(move |request| proxy::handle(Arc::clone(&self), Arc::clone(&client), request));
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_READ_TIMEOUT)
            .max_buf_size(usize::try_from(HEADER_BYTES_MAX).unwrap_or(usize::MAX));
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(HEADER_BYTES_MAX)
            .max_concurrent_streams(STREAMS_MAX)
            .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .keep_alive_interval(Duration::from_secs(30));
        let stream = TokioIo::new(stream);
        let result = match version {
            Version::Unknown => {
                let connection = pin!(builder.serve_connection_with_upgrades(stream, service));
                drive(&scope, connection, auto::UpgradeableConnection::graceful_shutdown).await
            }
            // Only this way does the library not guess what was agreed on: a wrong preface is an error then (RFC 9113
            // §3.4). HTTP/2 has no upgrades.
            Version::Http2 => {
                let builder = builder.http2_only();
                let connection = pin!(builder.serve_connection(stream, service));
                drive(&scope, connection, auto::Connection::graceful_shutdown).await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%remote, %error, "connection ended early");
        }
    }
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

/// What a connection speaks, as ALPN says.
#[derive(Debug, Clone, Copy)]
enum Version {
    /// HTTP/1, or HTTP/2 when it begins so.
    Unknown,
    Http2,
}

/// Finds certificates in the snapshot of the moment: a rotated Secret holds from the next handshake on.
struct Resolver {
    shared: Arc<Shared>,
    place: Place,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Resolver").field("place", &self.place).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let snapshot = self.shared.snapshot.load();
        snapshot.entrances.get(&self.place)?.certificates.find(hello.server_name())
    }
}
