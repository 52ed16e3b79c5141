//! The server: made from its parts, reachable in process and over TLS.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, ArcSwapOption};
use http::Request;
use maru_auth::{BearerTokens, Identity, TokenIssuer};
use maru_http::{Body, Handler, Limits, Server, TlsSource};
use maru_kube::Schemas;
use maru_objects::Store;
use maru_task::Scope;
use maru_telemetry::Registry;
use maru_time::SharedClock;
use tokio::net::TcpListener;

use crate::allocation::Cidr;
use crate::authz::PolicyCache;
use crate::bootstrap;
use crate::expiry;
use crate::handler::handle;
use crate::hooks;
use crate::kinds::{self, KindTable};
use crate::metrics::Metrics;
use crate::state::{Addresses, REQUESTS_MAX, State};

/// What an API server is made from.
#[derive(Debug, Clone)]
pub struct ApiServerOptions {
    /// Where the objects are.
    pub store: Store,
    /// Tells the time of creations, deletions and tokens.
    pub clock: SharedClock,
    /// Signs and checks the tokens of service accounts.
    pub tokens: Arc<TokenIssuer>,
    /// Static tokens, such as the administrator's.
    pub bearer: Option<Arc<BearerTokens>>,
    /// The addresses of Services; the first one is this server's.
    pub service_cidr: Cidr,
    /// The ports of Services on every node.
    pub node_ports: RangeInclusive<u16>,
    /// Where pods reach this server behind the address of the Service `kubernetes`.
    pub advertise: Option<(IpAddr, u16)>,
    /// Answers for the pods of the node, with a kubelet's paths; may be given later.
    pub kubelet: Option<Handler>,
    /// Where the server's metrics are registered, and what `/metrics` shows.
    pub registry: Registry,
}

impl ApiServerOptions {
    /// Returns the usual options: services in 10.96.0.0/16, node ports from 30000 to 32767.
    ///
    /// # Panics
    /// Never: the range is constant.
    #[must_use]
    pub fn new(store: Store, tokens: Arc<TokenIssuer>) -> Self {
        Self {
            store,
            clock: maru_time::system_clock(),
            tokens,
            bearer: None,
            service_cidr: "10.96.0.0/16".parse().expect("a constant range"),
            node_ports: 30000..=32767,
            advertise: None,
            kubelet: None,
            registry: Registry::default(),
        }
    }
}

/// The server could not start.
#[derive(Debug, thiserror::Error)]
#[error("the API server's first objects could not be written: {reason}")]
pub struct StartError {
    reason: String,
}

/// A running API server. Clones share it.
#[derive(Debug, Clone)]
pub struct ApiServer {
    state: Arc<State>,
}

impl ApiServer {
    /// Starts the server: reads the definitions of custom resources and writes the objects that every cluster has.
    ///
    /// # Errors
    /// When those objects cannot be written.
    pub async fn start(scope: &Scope, options: ApiServerOptions) -> Result<Self, StartError> {
        let schemas = Schemas::builtin();
        let builtin = kinds::builtin(|group, version, kind| schemas.root(group, version, kind));
        let state = Arc::new(State {
            kinds: ArcSwap::from_pointee(KindTable::new(builtin.clone())),
            builtin,
            store: options.store,
            clock: options.clock,
            tokens: options.tokens,
            bearer: options.bearer,
            policy: PolicyCache::default(),
            kubelet: ArcSwapOption::from_pointee(options.kubelet),
            contents: ArcSwapOption::empty(),
            metrics: Metrics::new(&options.registry),
            registry: options.registry,
            scope: scope.child("apiserver"),
            addresses: Addresses {
                service_cidr: options.service_cidr,
                node_ports: options.node_ports,
                advertise: options.advertise,
            },
            service_writes: tokio::sync::Mutex::new(()),
            definition_writes: tokio::sync::Mutex::new(()),
            requests: tokio::sync::Semaphore::new(REQUESTS_MAX),
            cleanups: Mutex::new(BTreeSet::new()),
        });
        hooks::definitions_changed(&state);
        bootstrap::run(&state).await.map_err(|error| StartError { reason: error.to_string() })?;
        expiry::start(&state);
        Ok(Self { state })
    }

    /// Returns what answers requests in this process. It trusts an [`Identity`] in a request's extensions; without one
    /// the request's credentials count.
    #[must_use]
    pub fn handler(&self) -> Handler {
        let state = Arc::clone(&self.state);
        Handler::new(move |request| handle(Arc::clone(&state), request))
    }

    /// Gives the server the node that answers for pods: logs, commands, ports.
    pub fn set_kubelet(&self, kubelet: Handler) {
        self.state.kubelet.store(Some(Arc::new(kubelet)));
    }

    /// Gives the server the room that keeps what stands behind evidence, baselines and documents; it is asked for
    /// `/<subresource>/<namespace>/<digest>`.
    pub fn set_contents(&self, contents: Handler) {
        self.state.contents.store(Some(Arc::new(contents)));
    }

    /// Serves a listener over TLS until the scope that the server was started in ends. Identities come from the
    /// connection's client certificate or the request's bearer token alone.
    pub fn serve(&self, listener: TcpListener, tls: TlsSource) {
        let inner = self.handler();
        let handler = Handler::new(move |mut request: Request<Body>| {
            request.extensions_mut().remove::<Identity>();
            inner.call(request)
        });
        let server = Server { name: "apiserver", listener, tls: Some(tls), handler, limits: Limits::default() };
        let scope = self.state.scope.clone();
        drop(self.state.scope.spawn("listener", async move {
            if let Err(error) = maru_http::serve(scope, server).await {
                tracing::error!(%error, "the API server's listener stopped");
            }
        }));
    }
}
