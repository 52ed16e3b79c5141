//! The data plane: threads with a runtime each, that serve what the current snapshot says.

mod access_log;
mod body;
mod headers;
mod metrics;
mod pool;
mod proxy;
mod snapshot;
mod stream;
#[cfg(test)]
mod tests;
mod tunnel;
mod upstream;
mod worker;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use maru_task::Scope;
use maru_telemetry::Registry;
use tokio::net::TcpSocket;
use tokio::sync::mpsc;

pub(crate) use access_log::AccessLogOptions;

use crate::compile::{Place, Plan};
use access_log::AccessLog;
use metrics::Metrics;
use snapshot::{Linker, Snapshot};
use worker::{Command, Worker};

/// How the data plane is started.
#[derive(Debug, Clone)]
pub(crate) struct DataPlaneOptions {
    /// Threads.
    pub threads: usize,
    /// Peers whose `X-Forwarded-For` is continued.
    pub trusted_proxies: Vec<IpAddr>,
    /// Time to connect to one endpoint.
    pub connect_timeout: Duration,
    /// Time for a response head, once the request is sent.
    pub response_head_timeout: Duration,
    /// Time that open requests are given at the end.
    pub drain: Duration,
    /// Where metrics are registered.
    pub registry: Registry,
    /// Wall-clock time for the log.
    pub clock: maru_time::SharedClock,
}

/// What all threads share.
pub(crate) struct Shared {
    pub snapshot: ArcSwap<Snapshot>,
    pub options: DataPlaneOptions,
    pub log: AccessLog,
    pub metrics: Metrics,
    /// Failures of endpoints are dated relative to this.
    pub started: tokio::time::Instant,
}

/// The running data plane. It stops with its scope.
pub(crate) struct DataPlane {
    shared: Arc<Shared>,
    workers: Vec<mpsc::Sender<Command>>,
    linker: Mutex<Linker>,
}

impl std::fmt::Debug for DataPlane {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("DataPlane").field("workers", &self.workers.len()).finish_non_exhaustive()
    }
}

/// Sockets that wait to be served by one thread each.
const COMMANDS: usize = 256;

impl DataPlane {
    /// Starts the threads; nothing is served yet.
    ///
    /// # Errors
    /// When the access log cannot be opened.
    pub(crate) fn start(
        scope: &Scope,
        options: DataPlaneOptions,
        log: Option<AccessLogOptions>,
    ) -> std::io::Result<Arc<Self>> {
        let metrics = Metrics::new(&options.registry);
        let threads = options.threads.max(1);
        let log = AccessLog::start(scope, log, threads, metrics.log_lines_dropped(), Arc::clone(&options.clock))?;
        let shared = Arc::new(Shared {
            snapshot: ArcSwap::from_pointee(Snapshot::default()),
            options,
            log,
            metrics,
            started: tokio::time::Instant::now(),
        });
        let mut workers = Vec::with_capacity(threads);
        for number in 0..threads {
            let (sender, commands) = mpsc::channel(COMMANDS);
            let worker = Worker::new(Arc::clone(&shared), scope.child(&format!("worker{number}")));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            drop(scope.spawn_blocking(move || runtime.block_on(worker.run(commands))));
            workers.push(sender);
        }
        Ok(Arc::new(Self { shared, workers, linker: Mutex::default() }))
    }

    /// Serves a plan from now on. Open requests finish as they began.
    pub(crate) fn apply(&self, plan: Plan) {
        let mut linker = self.linker.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = linker.link(plan, &self.shared.metrics);
        self.shared.snapshot.store(Arc::new(snapshot));
        self.shared.metrics.configurations.inc();
    }

    /// Takes an address, for `serve`; connections are refused until then.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(crate) fn bind(&self, address: SocketAddr) -> std::io::Result<Bound> {
        // Sockets that share a port would share it with another process too: ask for it alone first.
        let probe = socket_for(address)?;
        probe.bind(address)?;
        let address = probe.local_addr()?;
        drop(probe);
        let mut sockets = Vec::with_capacity(self.workers.len());
        for _ in &self.workers {
            let socket = socket_for(address)?;
            socket.set_reuseport(true)?;
            socket.bind(address)?;
            sockets.push(socket);
        }
        Ok(Bound { address, sockets })
    }

    /// Serves an entrance on a bound address.
    pub(crate) async fn serve(&self, place: Place, tls: bool, bound: Bound) {
        for (worker, socket) in self.workers.iter().zip(bound.sockets) {
            let command = Command::Listen { socket, address: bound.address, place, tls };
            // A worker that has stopped serves nothing anyway.
            drop(worker.send(command).await);
        }
    }

    /// Stops accepting on an address; open connections finish.
    pub(crate) async fn unlisten(&self, address: SocketAddr) {
        for worker in &self.workers {
            // A worker that has stopped serves nothing anyway.
            drop(worker.send(Command::Unlisten { address }).await);
        }
    }
}

/// An address that is taken: one socket for each thread.
pub(crate) struct Bound {
    pub address: SocketAddr,
    sockets: Vec<TcpSocket>,
}

fn socket_for(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    Ok(socket)
}
