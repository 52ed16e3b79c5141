//! Starts the caches and the controllers, and tells which change wakes whom.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::{Client, Resource};
use maru_task::Scope;

use crate::WorkloadOptions;
use crate::machinery::{Cache, ControllerMetrics, Key, Kind, MetaExt as _, Reconcile, Recorder, WorkQueue, drive};
use crate::service_accounts::{ROOT_CA_NAME, ServiceAccounts};

/// Runs all controllers until the scope is cancelled.
///
/// The client should act as a user that may do everything. Several runs against one API server would work against
/// each other: the caller sees to it that there is one.
pub async fn run(scope: Scope, client: Client, options: WorkloadOptions) {
    let wiring = Wiring {
        recorder: Recorder::start(&scope, &client, &options.clock),
        metrics: ControllerMetrics::new(&options.registry),
        kinds: Kinds::new(&client),
        scope: scope.clone(),
        options,
    };
    wiring.service_accounts();
    wiring.kinds.start(&scope);
    scope.cancelled().await;
}

/// The caches that controllers share.
#[derive(Debug, Clone)]
struct Kinds {
    namespaces: Kind<Namespace>,
    accounts: Kind<ServiceAccount>,
    authorities: Kind<ConfigMap>,
}

impl Kinds {
    fn new(client: &Client) -> Self {
        Self {
            namespaces: Kind::cluster(client),
            accounts: Kind::namespaced(client),
            authorities: Kind::namespaced(client).with_fields("metadata.name=kube-root-ca.crt"),
        }
    }

    fn start(&self, scope: &Scope) {
        self.namespaces.start(scope);
        self.accounts.start(scope);
        self.authorities.start(scope);
    }
}

struct Wiring {
    scope: Scope,
    options: WorkloadOptions,
    kinds: Kinds,
    recorder: Recorder,
    metrics: ControllerMetrics,
}

impl Wiring {
    /// Runs a reconciler once all caches that it reads have their first list.
    fn drive<R: Reconcile>(
        &self,
        queue: Arc<WorkQueue>,
        reconciler: R,
        synced: impl Future<Output = ()> + Send + 'static,
    ) {
        let (scope, metrics) = (self.scope.clone(), self.metrics.clone());
        drop(self.scope.spawn(R::NAME, async move {
            if scope.token().run_until_cancelled(synced).await.is_some() {
                drive(scope, queue, Arc::new(reconciler), metrics).await;
            }
        }));
    }

    fn service_accounts(&self) {
        let kinds = self.kinds.clone();
        let queue = Arc::new(WorkQueue::default());
        wake_self(kinds.namespaces.cache(), &queue);
        wake(kinds.accounts.cache(), &queue, |account| {
            (account.name() == "default").then(|| Key::new("", account.namespace()))
        });
        wake(kinds.authorities.cache(), &queue, |map| {
            (map.name() == ROOT_CA_NAME).then(|| Key::new("", map.namespace()))
        });
        let reconciler = ServiceAccounts {
            namespaces: kinds.namespaces.clone(),
            accounts: kinds.accounts.clone(),
            authorities: kinds.authorities.clone(),
            root_ca_pem: self.options.root_ca_pem.clone(),
        };
        self.drive(queue, reconciler, async move {
            kinds.namespaces.cache().wait_synced().await;
            kinds.accounts.cache().wait_synced().await;
            kinds.authorities.cache().wait_synced().await;
        });
    }
}

/// Wakes the controller of a kind for each changed object.
fn wake_self<K: Resource + Send + Sync + 'static>(cache: &Arc<Cache<K>>, queue: &Arc<WorkQueue>) {
    wake(cache, queue, |object| Some(Key::of(object)));
}

/// Wakes a controller for what `keys` names in the states before and after a change.
fn wake<K, I>(cache: &Arc<Cache<K>>, queue: &Arc<WorkQueue>, keys: impl Fn(&K) -> I + Send + Sync + 'static)
where
    K: Resource + Send + Sync + 'static,
    I: IntoIterator<Item = Key>,
{
    let queue = Arc::clone(queue);
    cache.on_change(move |change| {
        for key in change.states().flat_map(|state| keys(state)) {
            queue.add(key);
        }
    });
}
