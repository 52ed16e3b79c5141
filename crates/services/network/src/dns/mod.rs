//! The cluster's DNS server.
//!
//! Answers about the cluster are made in the datagram's own path, without a task or a tree of objects: the name in wire form is
//! the key of a hash map. Only questions for other servers get a task.

mod answer;
mod foreign;
mod forward;
mod metrics;
mod name;
mod names;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use maru_task::Scope;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use answer::{Reply, Terms, answer};
use forward::Forwarder;
pub use forward::Upstreams;
use metrics::{Metrics, Source, Transport, foreign_code};
use name::to_wire;
pub use names::Names;
use wire::{Code, NotAQuery, Query, Response, error};

use crate::{Cluster, NetworkOptions};

/// The longest packet that is read; queries are far shorter.
const QUERY_BYTES_MAX: usize = 4096;
/// A TCP connection may be silent this long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Datagrams answered before other tasks get their turn.
const BATCH: usize = 64;

/// The DNS server could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DnsError {
    /// An address is not to be had.
    #[error(
        "could not listen on {address} ({transport}); is another DNS server running, or is the address not this machine's?"
    )]
    Bind {
        /// Where to listen.
        address: SocketAddr,
        /// Over which transport.
        transport: &'static str,
        /// The kernel's reason.
        #[source]
        source: std::io::Error,
    },
    /// The domain cannot be one.
    #[error("\"{domain}\" cannot be a DNS domain")]
    Domain {
        /// What was given.
        domain: String,
    },
}

/// A DNS server whose sockets are bound.
pub struct DnsServer {
    sockets: Vec<(UdpSocket, TcpListener)>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for DnsServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("DnsServer").field("sockets", &self.sockets).finish_non_exhaustive()
    }
}

/// What all sockets share.
struct Shared {
    options: NetworkOptions,
    zone: Vec<u8>,
    names: ArcSwapOption<Names>,
    forwarder: Forwarder,
    forwards: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    rotation: AtomicUsize,
    metrics: Arc<Metrics>,
}

impl DnsServer {
    /// Binds all addresses, UDP and TCP. Port 0 takes the same free port for both.
    ///
    /// # Errors
    /// When an address is taken or is not this machine's, or when the domain cannot be one.
    pub async fn bind(options: &NetworkOptions) -> Result<Self, DnsError> {
        let dns = &options.dns;
        let domain = || DnsError::Domain { domain: dns.cluster_domain.clone() };
        let zone = to_wire(&dns.cluster_domain).filter(|zone| !zone.is_empty()).ok_or_else(domain)?;
        let mut sockets = Vec::new();
        for address in &dns.listen {
            let wrap = |transport| move |source| DnsError::Bind { address: *address, transport, source };
            let tcp = TcpListener::bind(address).await.map_err(wrap("TCP"))?;
            let bound = tcp.local_addr().map_err(wrap("TCP"))?;
            sockets.push((UdpSocket::bind(bound).await.map_err(wrap("UDP"))?, tcp));
        }
        let metrics = Arc::new(Metrics::new(&options.registry));
        let own = sockets.iter().filter_map(|(udp, _)| udp.local_addr().ok()).collect();
        let shared = Shared {
            zone,
            names: ArcSwapOption::empty(),
            forwarder: Forwarder::new(options, own, Arc::clone(&metrics)),
            forwards: Arc::new(Semaphore::new(dns.forwards_max)),
            connections: Arc::new(Semaphore::new(dns.connections_max)),
            rotation: AtomicUsize::new(0),
            metrics,
            options: options.clone(),
        };
        Ok(Self { sockets, shared: Arc::new(shared) })
    }

    /// Returns the bound addresses.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|(udp, _)| udp.local_addr().ok()).collect()
    }

    /// Answers until the scope ends, always by the newest snapshot.
    pub fn serve(self, scope: &Scope, clusters: watch::Receiver<Option<Arc<Cluster>>>) {
        drop(scope.spawn_until_cancelled("dns-names", follow(Arc::clone(&self.shared), clusters)));
        for (udp, tcp) in self.sockets {
            let (shared, tasks) = (Arc::clone(&self.shared), scope.clone());
            drop(scope.spawn_until_cancelled("dns-udp", async move { shared.serve_udp(&tasks, udp).await }));
            let (shared, tasks) = (Arc::clone(&self.shared), scope.clone());
            drop(scope.spawn_until_cancelled("dns-tcp", async move { shared.serve_tcp(&tasks, tcp).await }));
        }
    }
}

async fn follow(shared: Arc<Shared>, mut clusters: watch::Receiver<Option<Arc<Cluster>>>) {
    let mut serial = 0u32;
    loop {
        let cluster = clusters.borrow_and_update().clone();
        if let Some(cluster) = cluster {
            serial = serial.wrapping_add(1);
            shared.names.store(Some(Arc::new(Names::build(&cluster, &shared.options, serial))));
        }
        if clusters.changed().await.is_err() {
            return;
        }
    }
}

/// What is left to do with a query.
enum Next {
    Send(Vec<u8>),
    Nothing,
    Ask { query: Box<Query>, following: Option<(Box<Response>, Vec<u8>)> },
}

impl Shared {
    async fn serve_udp(self: &Arc<Self>, scope: &Scope, socket: UdpSocket) {
        let socket = Arc::new(socket);
        let mut buffer = vec![0; QUERY_BYTES_MAX];
        loop {
            let (mut length, mut client) = match socket.recv_from(&mut buffer).await {
                Ok(received) => received,
                Err(error) => {
                    // An ICMP error of an earlier answer, or a lack of memory: never the end.
                    tracing::debug!(%error, "receiving a DNS query failed");
                    tokio::task::yield_now().await;
                    continue;
                }
            };
            for _ in 0..BATCH {
                let packet = buffer.get(..length).unwrap_or_default();
                self.answer_datagram(scope, &socket, packet, client).await;
                match socket.try_recv_from(&mut buffer) {
                    Ok(received) => (length, client) = received,
                    Err(_) => break,
                }
            }
        }
    }

    async fn answer_datagram(
        self: &Arc<Self>,
        scope: &Scope,
        socket: &Arc<UdpSocket>,
        packet: &[u8],
        client: SocketAddr,
    ) {
        let start = Instant::now();
        match self.decide(packet, Transport::Udp) {
            Next::Nothing => {}
            Next::Send(answer) => {
                send(socket, &answer, client).await;
                self.metrics.duration.observe(start.elapsed());
            }
            Next::Ask { query, following } => {
                let Ok(permit) = Arc::clone(&self.forwards).try_acquire_owned() else {
                    self.metrics.refused_busy.inc();
                    return send(socket, &error(&query, Code::ServerFailure), client).await;
                };
                let (shared, socket) = (Arc::clone(self), Arc::clone(socket));
                let limit = query.udp_limit();
                drop(scope.spawn_until_cancelled("dns-forward", async move {
                    let answer = shared.ask(&query, following, limit).await;
                    send(&socket, &answer, client).await;
                    shared.metrics.duration.observe(start.elapsed());
                    drop(permit);
                }));
            }
        }
    }

    /// Does what needs no other server.
    fn decide(&self, packet: &[u8], transport: Transport) -> Next {
        let query = match Query::parse(packet) {
            Ok(query) => query,
            Err(NotAQuery::Silence) => return Next::Nothing,
            Err(NotAQuery::Answer(answer)) => return Next::Send(answer),
        };
        let limit = match transport {
            Transport::Udp => query.udp_limit(),
            Transport::Tcp => usize::from(u16::MAX),
        };
        let rotation = self.rotation.fetch_add(1, Ordering::Relaxed);
        let terms = Terms { limit, ttl: self.options.dns.ttl_seconds, rotation };
        let names = self.names.load();
        match answer(names.as_deref(), &self.zone, &query, terms) {
            Reply::Ready(code, answer) => {
                self.metrics.request(Source::Cluster, transport, query.kind);
                self.metrics.response(Source::Cluster, code.label());
                Next::Send(answer)
            }
            Reply::Forward => {
                self.metrics.request(Source::Upstream, transport, query.kind);
                match self.forwarder.cached(&query) {
                    Some(found) => {
                        self.metrics.response(Source::Upstream, foreign_code(found.foreign.code));
                        Next::Send(found.foreign.answer(&query, found.age_seconds, limit))
                    }
                    None => Next::Ask { query: Box::new(query), following: None },
                }
            }
            Reply::Follow { response, target } => {
                self.metrics.request(Source::Cluster, transport, query.kind);
                Next::Ask { query: Box::new(query), following: Some((response, target)) }
            }
        }
    }

    /// Asks other servers. Never fails: the answer then says so.
    async fn ask(&self, query: &Query, following: Option<(Box<Response>, Vec<u8>)>, limit: usize) -> Vec<u8> {
        let Some((mut response, target)) = following else {
            return match self.forwarder.ask(query).await {
                Some(found) => {
                    self.metrics.response(Source::Upstream, foreign_code(found.code));
                    found.answer(query, 0, limit)
                }
                None => {
                    self.metrics.response(Source::Upstream, Code::ServerFailure.label());
                    error(query, Code::ServerFailure)
                }
            };
        };
        let other = query.about(&target);
        let kept = self.forwarder.cached(&other).map(|found| found.foreign);
        let found = match kept {
            Some(found) => Some(found),
            None => self.forwarder.ask(&other).await,
        };
        let code = if found.is_some() { Code::NoError } else { Code::ServerFailure };
        self.metrics.response(Source::Cluster, code.label());
        match found {
            Some(found) => {
                found.append_to(&mut response, self.options.dns.ttl_seconds);
                response.finish()
            }
            None => error(query, Code::ServerFailure),
        }
    }

    async fn serve_tcp(self: &Arc<Self>, scope: &Scope, listener: TcpListener) {
        loop {
            let permit = Arc::clone(&self.connections).acquire_owned().await.expect("the semaphore is never closed");
            match listener.accept().await {
                Ok((stream, client)) => {
                    let shared = Arc::clone(self);
                    drop(scope.spawn_until_cancelled("dns-connection", async move {
                        if let Err(error) = shared.serve_connection(stream).await {
                            tracing::debug!(%client, %error, "DNS connection ended early");
                        }
                        drop(permit);
                    }));
                }
                Err(error) => {
                    tracing::warn!(%error, "accept failed; trying again in 100 ms");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Answers one query after the other (RFC 7766 allows any order).
    async fn serve_connection(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut packet = Vec::new();
        loop {
            let reading = async {
                let length = usize::from(stream.read_u16().await?);
                packet.resize(length, 0);
                stream.read_exact(&mut packet).await
            };
            match tokio::time::timeout(IDLE_TIMEOUT, reading).await {
                Err(_) => return Ok(()),
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
                Ok(read) => drop(read?),
            }
            let start = Instant::now();
            let answer = match self.decide(&packet, Transport::Tcp) {
                Next::Nothing => return Ok(()),
                Next::Send(answer) => answer,
                Next::Ask { query, following } => match self.forwards.try_acquire() {
                    Ok(_permit) => self.ask(&query, following, usize::from(u16::MAX)).await,
                    Err(_) => {
                        self.metrics.refused_busy.inc();
                        error(&query, Code::ServerFailure)
                    }
                },
            };
            let length = u16::try_from(answer.len()).map_err(std::io::Error::other)?;
            // In one segment: clients that read the length alone would wait for the rest.
            let framed = [&length.to_be_bytes(), answer.as_slice()].concat();
            let sending = stream.write_all(&framed);
            tokio::time::timeout(IDLE_TIMEOUT, sending).await??;
            self.metrics.duration.observe(start.elapsed());
        }
    }
}

async fn send(socket: &UdpSocket, answer: &[u8], client: SocketAddr) {
    if let Err(error) = socket.send_to(answer, client).await {
        tracing::debug!(%client, %error, "sending a DNS answer failed");
    }
}

#[cfg(test)]
mod tests;
