//! A whole API server in a temporary directory, for the tests of this and other rooms.

use std::path::Path;
use std::sync::Arc;

use maru_auth::{SecretSealer, TokenIssuer};
use maru_http::Handler;
use maru_objects::{Store, StoreOptions};
use maru_task::Scope;

use crate::{ApiServer, ApiServerOptions, SealedSecrets};

/// A running server of a test. Its tasks end when it is dropped.
#[derive(Debug)]
pub struct TestServer {
    /// Answers requests that carry an identity: hand it to `maru_client::in_process`.
    pub handler: Handler,
    /// The server.
    pub server: ApiServer,
    /// The store beneath it.
    pub store: Store,
    /// What its tasks run in.
    pub scope: Scope,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.scope.cancel();
    }
}

/// Returns the usual options over a store in `directory`.
///
/// # Panics
/// When the directory cannot be used.
#[must_use]
pub fn options(directory: &Path) -> ApiServerOptions {
    let sealer = SecretSealer::load_or_create(&directory.join("keys")).expect("a test's directory can be written");
    let mut store = StoreOptions::new(directory.join("objects"));
    store.sealer = Some(Arc::new(SealedSecrets::new(sealer)));
    let store = Store::open(store).expect("a test's directory can be written");
    let tokens = TokenIssuer::load_or_create(&directory.join("keys"), maru_time::system_clock())
        .expect("a test's directory can be written");
    ApiServerOptions::new(store, Arc::new(tokens))
}

/// Starts a server with the namespaces `default`, `kube-system`, `kube-public` and `kube-node-lease`, each with its
/// default service account, and the usual roles.
///
/// # Panics
/// When the directory cannot be used.
pub async fn start(directory: &Path) -> TestServer {
    start_with(options(directory)).await
}

/// Starts a server with other options.
///
/// # Panics
/// When the first objects cannot be written.
pub async fn start_with(options: ApiServerOptions) -> TestServer {
    let scope = Scope::root("test");
    let store = options.store.clone();
    let server = ApiServer::start(&scope, options).await.expect("an empty store takes the first objects");
    TestServer { handler: server.handler(), server, store, scope }
}
