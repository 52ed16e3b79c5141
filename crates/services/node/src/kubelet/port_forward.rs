//! `/portForward`: connections to a pod's ports over SPDY (`portforward.k8s.io`).
//!
//! The client opens two streams for each connection, which name the port and carry the same `requestID`: one for the data,
//! one for what went wrong. Connections are made inside of the pod's network, so that programs which listen on the pod's
//! loopback address alone are reached too.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use http::{Request, Response};
use maru_http::Body;
use maru_spdy::{Headers, ResetStatus};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::output::BLOCK;
use super::query::Query;
use super::spdy::{Stream, Upgrade};
use super::websocket::offered;
use super::{Refusal, port_forward_channels};
use crate::context::{Context, chain};
use crate::pod;
use crate::worker::PodHandle;

const PROTOCOLS: [&str; 1] = ["portforward.k8s.io"];
/// How long the second stream of a connection may take to come.
const PAIR_WAIT: Duration = Duration::from_secs(30);
/// How long a program in the pod may take to accept.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// Connects a client with ports of a pod.
pub(super) fn answer(
    request: Request<Body>,
    context: &Arc<Context>,
    handle: &PodHandle,
    query: &Query,
) -> Result<Response<Body>, Refusal> {
    let offered = offered(request.headers());
    if offered.iter().any(|one| port_forward_channels::PROTOCOLS.contains(&one.as_str())) {
        return port_forward_channels::answer(request, context, Target::new(context, handle)?, query);
    }
    let upgrade = Upgrade::accept(request, &PROTOCOLS)?;
    let target = Target::new(context, handle)?;
    let response = upgrade.response();
    drop(context.scope.spawn_until_cancelled(
        "port-forward",
        upgrade.serve(async move |incoming| {
            forward(incoming, &target).await;
        }),
    ));
    Ok(response)
}

/// The pod whose ports are forwarded.
#[derive(Debug)]
pub(super) struct Target {
    name: String,
    uid: String,
    /// Its network; `None` for the machine's.
    network: Option<PathBuf>,
}

impl Target {
    fn new(context: &Context, handle: &PodHandle) -> Result<Self, Refusal> {
        let view = handle.view.borrow();
        let (name, uid) = (pod::name(&view.pod).to_owned(), pod::uid(&view.pod).to_owned());
        if !view.containers.values().any(|container| container.running.is_some()) {
            return Err(Refusal::Bad(format!("unable to forward ports because pod \"{name}\" is not running")));
        }
        let network = (!pod::is_host_network(&view.pod)).then(|| context.networks.namespaces(&uid).net);
        Ok(Self { name, uid, network })
    }

    /// Connects to a port on the pod's loopback addresses.
    pub(super) async fn connect(&self, port: u16) -> Result<TcpStream, String> {
        let mut failure = String::new();
        for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let address = SocketAddr::new(address, port);
            let connected = tokio::time::timeout(CONNECT_WAIT, async {
                match &self.network {
                    Some(network) => maru_net::connect_within(network, address).await.map_err(|error| chain(&error)),
                    None => TcpStream::connect(address)
                        .await
                        .map_err(|error| format!("could not connect to {address}: {error}")),
                }
            });
            match connected.await {
                Ok(Ok(stream)) => {
                    // Each write of the client is passed on as it comes.
                    drop(stream.set_nodelay(true));
                    return Ok(stream);
                }
                Ok(Err(error)) if failure.is_empty() => failure = error,
                Err(_) if failure.is_empty() => failure = format!("nobody accepted at {address} for {CONNECT_WAIT:?}"),
                _ => {}
            }
        }
        Err(failure)
    }

    /// Says why a port was not forwarded, in the words that clients know.
    pub(super) fn failure(&self, port: u16, reason: &str) -> String {
        let Self { name, uid, .. } = self;
        tracing::debug!(pod = %name, uid, port, error = %reason, "a port was not forwarded");
        format!("error forwarding port {port} to pod {name}, uid {uid}: {reason}")
    }
}

/// One of the two streams of a connection has come.
struct Half {
    kind: Kind,
    stream: Stream,
    deadline: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Error,
}

/// Reads a stream's headers: its kind, port and connection.
fn purpose(headers: &Headers) -> Option<(Kind, u16, String)> {
    let kind = match headers.get("streamtype")? {
        "data" => Kind::Data,
        "error" => Kind::Error,
        _ => return None,
    };
    let port = headers.get("port")?.parse().ok().filter(|port| *port > 0)?;
    Some((kind, port, headers.get("requestid")?.to_owned()))
}

/// Takes the streams of the client in pairs and carries each connection, until the client has gone.
async fn forward(mut incoming: mpsc::Receiver<Stream>, target: &Target) {
    let mut halves: BTreeMap<(u16, String), Half> = BTreeMap::new();
    let mut connections = FuturesUnordered::new();
    loop {
        let deadline = halves.values().map(|half| half.deadline).min();
        tokio::select! {
            stream = incoming.recv() => {
                let Some(stream) = stream else { return };
                let Some((kind, port, request)) = purpose(&stream.headers) else {
                    tracing::debug!(headers = ?stream.headers, "a stream does not tell what to forward");
                    stream.output.reset(ResetStatus::ProtocolError).await;
                    continue;
                };
                match halves.remove(&(port, request.clone())) {
                    Some(first) if first.kind != kind => {
                        let (data, error) = if kind == Kind::Data { (stream, first.stream) } else { (first.stream, stream) };
                        connections.push(connection(target, port, data, error));
                    }
                    first => {
                        let half = Half { kind, stream, deadline: Instant::now() + PAIR_WAIT };
                        halves.insert((port, request), half);
                        if let Some(first) = first {
                            first.stream.output.reset(ResetStatus::ProtocolError).await;
                        }
                    }
                }
            }
            Some(()) = connections.next() => {}
            () = wait_until(deadline) => {
                let now = Instant::now();
                for (_, half) in halves.extract_if(.., |_, half| half.deadline <= now) {
                    half.stream.output.reset(ResetStatus::Cancel).await;
                }
            }
        }
    }
}

async fn wait_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Carries one connection to its end.
async fn connection(target: &Target, port: u16, data: Stream, error: Stream) {
    let connected = tokio::select! {
        connected = target.connect(port) => connected,
        () = data.output.reset_by_client() => {
            error.output.finish().await;
            return;
        }
    };
    match connected {
        Ok(backend) => carry(backend, data, &error).await,
        Err(reason) => {
            // The client may have left meanwhile.
            drop(error.output.write(Bytes::from(target.failure(port, &reason))).await);
            error.output.finish().await;
            data.output.finish().await;
        }
    }
}

async fn carry(backend: TcpStream, data: Stream, error: &Stream) {
    let Stream { mut input, output, .. } = data;
    let (mut from_backend, mut to_backend) = backend.into_split();
    let upstream = async {
        while let Some(data) = input.read().await {
            if to_backend.write_all(&data).await.is_err() {
                // It does not read any more; what it has to say still counts. What comes is thrown away.
                while input.read().await.is_some() {}
                return;
            }
        }
        // Half-closed: the program sees the end and may still answer.
        drop(to_backend.shutdown().await);
    };
    let downstream = async {
        let mut block = vec![0; BLOCK];
        loop {
            // A connection that breaks has ended, for the client as well.
            let count = from_backend.read(&mut block).await.unwrap_or(0);
            let data = block.get(..count).unwrap_or_default();
            if data.is_empty() || output.write(Bytes::copy_from_slice(data)).await.is_err() {
                break;
            }
        }
        // The client waits for the end of both before it ends its own side.
        output.finish().await;
        error.output.finish().await;
    };
    tokio::select! {
        ((), ()) = async { tokio::join!(upstream, downstream) } => {}
        () = output.reset_by_client() => error.output.finish().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_tell_what_they_are_for() {
        let read = |pairs: &[(&str, &str)]| purpose(&pairs.iter().copied().collect());
        let wanted = Some((Kind::Data, 8080, "3".to_owned()));
        assert_eq!(read(&[("streamType", "data"), ("port", "8080"), ("requestID", "3")]), wanted);
        assert_eq!(read(&[("streamType", "error"), ("port", "0"), ("requestID", "3")]), None);
        assert_eq!(read(&[("streamType", "error"), ("port", "70000"), ("requestID", "3")]), None);
        assert_eq!(read(&[("streamType", "stdin"), ("port", "80"), ("requestID", "3")]), None);
        assert_eq!(read(&[("streamType", "error"), ("port", "80")]), None);
    }
}
