//! Deletes what has no owner any more, over all kinds that the API serves.

mod graph;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use kube::api::{DeleteParams, DynamicObject, PartialObjectMeta, Patch, Preconditions, PropagationPolicy};
use maru_client::ReconcileError;
use maru_task::Scope;
use serde_json::json;
use tokio::sync::Notify;

use self::graph::{Action, Graph, Node, OwnerState, Policy, can_own};
use crate::catalog::{Served, discover};
use crate::machinery::{Cache, Done, Key, MetaExt as _, MetadataOnly, Reconcile, WorkQueue, follow, patch_params};

/// Kinds whose objects own nothing and come and go often.
const IGNORED: [&str; 2] = ["events", "events.events.k8s.io"];
const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";
/// Kinds are discovered again after this time, also when no definition has changed.
const REDISCOVER: Duration = Duration::from_secs(600);
/// Changes of definitions come in bursts: creation, names accepted, established.
const SETTLE: Duration = Duration::from_millis(200);
/// How long an object with an owner of an unknown kind waits for that kind.
const UNKNOWN_KIND: Duration = Duration::from_secs(60);

type Metadata = PartialObjectMeta<DynamicObject>;

/// A request of the collector failed.
#[derive(Debug, thiserror::Error)]
#[error("could not {verb} {kind} \"{key}\"")]
struct CollectError {
    verb: &'static str,
    kind: String,
    key: Key,
    #[source]
    source: Box<kube::Error>,
}

/// Deletes what has no owner any more. Keys name uids.
pub(crate) struct GarbageCollector {
    client: Client,
    graph: Mutex<Graph>,
    queue: Arc<WorkQueue>,
    watched: Mutex<BTreeMap<String, Watched>>,
    definitions_changed: Notify,
}

/// A kind that is watched; the watch ends with its scope.
#[derive(Debug)]
struct Watched {
    kind: Arc<Served>,
    scope: Scope,
    cache: Arc<Cache<Metadata>>,
}

impl GarbageCollector {
    pub(crate) fn new(client: &Client, queue: &Arc<WorkQueue>) -> Arc<Self> {
        Arc::new(Self {
            client: client.clone(),
            graph: Mutex::default(),
            queue: Arc::clone(queue),
            watched: Mutex::default(),
            definitions_changed: Notify::new(),
        })
    }

    /// Keeps watching all kinds that there are; reports to `ready` when the first lists of all have arrived.
    pub(crate) async fn watch_kinds(self: Arc<Self>, scope: Scope, ready: tokio::sync::oneshot::Sender<()>) {
        let mut ready = Some(ready);
        loop {
            match discover(&self.client).await {
                Ok(kinds) => {
                    let new = self.adjust(&scope, kinds);
                    join_all(new.iter().map(|cache| cache.wait_synced())).await;
                    // Owners of a kind that was unknown can be asked for now.
                    let unresolved = self.graph().unresolved();
                    self.wake(unresolved);
                    if ready.take().is_some_and(|ready| ready.send(()).is_err()) {
                        tracing::debug!("the collector was stopped before it began");
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %error, "discovery failed; trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            }
            drop(tokio::time::timeout(REDISCOVER, self.definitions_changed.notified()).await);
            tokio::time::sleep(SETTLE).await;
        }
    }

    /// Starts watching new kinds and forgets those that are gone. Returns the caches of the new ones.
    fn adjust(self: &Arc<Self>, scope: &Scope, kinds: Vec<Served>) -> Vec<Arc<Cache<Metadata>>> {
        let wanted: BTreeMap<String, Served> = kinds
            .into_iter()
            .filter(|kind| kind.can_watch && !IGNORED.contains(&kind.name().as_str()))
            .map(|kind| (kind.name(), kind))
            .collect();
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let ended: Vec<String> = watched
            .iter()
            .filter(|(name, one)| wanted.get(*name) != Some(one.kind.as_ref()))
            .map(|(name, _)| name.clone())
            .collect();
        for name in ended {
            if let Some(one) = watched.remove(&name) {
                one.scope.cancel();
                one.cache.all().iter().for_each(|object| self.forget(object.uid()));
            }
        }
        let mut new = Vec::new();
        for (name, kind) in wanted {
            if watched.contains_key(&name) {
                continue;
            }
            let one = self.watch(scope, &name, Arc::new(kind));
            new.push(Arc::clone(&one.cache));
            watched.insert(name, one);
        }
        new
    }

    fn watch(self: &Arc<Self>, scope: &Scope, name: &str, kind: Arc<Served>) -> Watched {
        let cache = Arc::new(Cache::<Metadata>::default());
        let scope = scope.child("kind");
        // The cache must not keep the collector alive that keeps the cache.
        let collector = Arc::downgrade(self);
        let kind_of_nodes = Arc::clone(&kind);
        let is_definition = name == DEFINITIONS;
        cache.on_change(move |change| {
            let Some(collector) = collector.upgrade() else { return };
            let Some(after) = &change.after else {
                if let Some(before) = &change.before {
                    collector.forget(before.uid());
                }
                if is_definition {
                    collector.definitions_changed.notify_one();
                }
                return;
            };
            // The name's former holder ended without being told of.
            if let Some(before) = change.before.as_ref().filter(|before| before.uid() != after.uid()) {
                collector.forget(before.uid());
            }
            collector.learn(Node::of(&kind_of_nodes, after.as_ref()));
            if is_definition {
                collector.definitions_changed.notify_one();
            }
        });
        let source = MetadataOnly(kind.api(&self.client, ""));
        drop(scope.spawn_until_cancelled("watch", follow(name.to_owned(), source, Arc::clone(&cache))));
        Watched { kind, scope, cache }
    }

    fn learn(&self, node: Node) {
        let wake = self.graph().put(node);
        self.wake(wake);
    }

    fn forget(&self, uid: &str) {
        let wake = self.graph().remove(uid);
        self.wake(wake);
    }

    fn wake(&self, uids: Vec<String>) {
        for uid in uids {
            self.queue.add(Key::new("", &uid));
        }
    }

    fn graph(&self) -> std::sync::MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn served(&self, owner: &OwnerReference) -> Option<Arc<Served>> {
        let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let found =
            watched.values().find(|one| one.kind.resource.kind == owner.kind && one.kind.resource.group == group);
        found.map(|one| Arc::clone(&one.kind))
    }

    /// Asks the API for an owner that the graph does not know. None when its kind is unknown.
    async fn ask(&self, dependent: &Node, owner: &OwnerReference) -> Result<Option<OwnerState>, CollectError> {
        let Some(kind) = self.served(owner) else { return Ok(None) };
        if !can_own(&kind, dependent) {
            return Ok(Some(OwnerState::Solid));
        }
        let api = kind.api(&self.client, &dependent.key.namespace);
        match api.get_metadata_opt(&owner.name).await {
            Ok(Some(found)) if found.uid() == owner.uid => {
                let waits = found.is_deleting() && found.has_finalizer(graph::FOREGROUND);
                Ok(Some(if waits { OwnerState::Waiting } else { OwnerState::Solid }))
            }
            Ok(Some(_) | None) => Ok(Some(OwnerState::Absent)),
            Err(source) => {
                let key = Key::new(&dependent.key.namespace, &owner.name);
                Err(CollectError { verb: "read", kind: owner.kind.clone(), key, source: Box::new(source) })
            }
        }
    }

    async fn execute(&self, action: &Action) -> Result<(), CollectError> {
        let (verb, node, result) = match action {
            Action::Delete { node, policy } => {
                let params = DeleteParams {
                    propagation_policy: Some(match policy {
                        Policy::Background => PropagationPolicy::Background,
                        Policy::Foreground => PropagationPolicy::Foreground,
                        Policy::Orphan => PropagationPolicy::Orphan,
                    }),
                    // What has changed since is looked at anew.
                    preconditions: Some(Preconditions {
                        uid: Some(node.uid.clone()),
                        resource_version: Some(node.revision.clone()),
                    }),
                    ..DeleteParams::default()
                };
                tracing::debug!(kind = node.kind.name(), object = %node.key, "deleting an object without owner");
                ("delete", node, self.api(node).delete(&node.key.name, &params).await.map(drop))
            }
            Action::DropOwners { node, uids } => {
                let rest: Vec<&OwnerReference> =
                    node.owners.iter().filter(|owner| !uids.contains(&owner.uid)).collect();
                ("drop owners of", node, self.patch(node, json!({"ownerReferences": rest})).await)
            }
            Action::RemoveFinalizer { node, finalizer } => {
                let rest: Vec<&String> = node.finalizers.iter().filter(|one| one != finalizer).collect();
                ("release", node, self.patch(node, json!({"finalizers": rest})).await)
            }
        };
        match result {
            Ok(()) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => {
                // The watch may be behind; what is gone is gone.
                Ok(())
            }
            Err(source) => {
                Err(CollectError { verb, kind: node.kind.name(), key: node.key.clone(), source: Box::new(source) })
            }
        }
    }

    fn api(&self, node: &Node) -> kube::Api<DynamicObject> {
        node.kind.api(&self.client, &node.key.namespace)
    }

    async fn patch(&self, node: &Node, mut meta: serde_json::Value) -> kube::Result<()> {
        if let Some(meta) = meta.as_object_mut() {
            meta.insert("uid".to_owned(), json!(node.uid));
            meta.insert("resourceVersion".to_owned(), json!(node.revision));
        }
        let patch = json!({"metadata": meta});
        self.api(node).patch_metadata(&node.key.name, &patch_params(), &Patch::Merge(&patch)).await.map(drop)
    }
}

/// The collector as it is driven.
pub(crate) struct Collector(pub(crate) Arc<GarbageCollector>);

impl Reconcile for Collector {
    const NAME: &'static str = "garbage-collector";

    async fn reconcile(&self, key: &Key) -> Result<Done, ReconcileError> {
        let collector = &self.0;
        let (node, unknown) = {
            let graph = collector.graph();
            (graph.get(&key.name).cloned(), graph.unknown_owners(&key.name))
        };
        let Some(node) = node else { return Ok(Done::Gone) };
        let mut asked = BTreeMap::new();
        let mut done = Done::Gone;
        for owner in unknown {
            match collector.ask(&node, &owner).await? {
                Some(state) => {
                    asked.insert(owner.uid.clone(), state);
                }
                None => done = Done::After(UNKNOWN_KIND),
            }
        }
        let actions = collector.graph().plan(&key.name, &asked);
        for action in &actions {
            collector.execute(action).await?;
        }
        Ok(done)
    }
}
