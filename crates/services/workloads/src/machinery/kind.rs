//! One kind of object: its cache, the watch that fills it, and the writes that go through it.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, ObjectList, PartialObjectMeta, Patch, PatchParams, PostParams,
    Preconditions, PropagationPolicy, WatchEvent, WatchParams,
};
use kube::core::{ClusterResourceScope, NamespaceResourceScope};
use kube::{Client, Resource};
use maru_client::Backoff;
use maru_task::Scope;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::{Cache, Key, MetaExt as _};

/// The name under which our writes appear in `managedFields`.
pub(crate) const FIELD_MANAGER: &str = "maru-workloads";

/// A request to the API failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[error("could not {verb} {kind} \"{key}\"")]
pub(crate) struct ExecuteError {
    verb: &'static str,
    kind: String,
    key: Key,
    #[source]
    source: Box<kube::Error>,
}

impl ExecuteError {
    pub(crate) fn of<K: Resource<DynamicType = ()>>(verb: &'static str, key: Key, source: kube::Error) -> Self {
        Self { verb, kind: K::kind(&()).into_owned(), key, source: Box::new(source) }
    }

    fn reason(&self) -> &str {
        match self.source.as_ref() {
            kube::Error::Api(status) => &status.reason,
            _ => "",
        }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.reason() == "NotFound"
    }

    pub(crate) fn is_already_exists(&self) -> bool {
        self.reason() == "AlreadyExists"
    }

    pub(crate) fn is_conflict(&self) -> bool {
        self.reason() == "Conflict"
    }

    /// Tells whether the object's namespace is ending: nothing can be created there any more.
    pub(crate) fn is_namespace_ending(&self) -> bool {
        match self.source.as_ref() {
            kube::Error::Api(status) => {
                status.reason == "Forbidden"
                    && (status
                        .details
                        .iter()
                        .flat_map(|details| &details.causes)
                        .any(|cause| cause.reason == "NamespaceTerminating")
                        || status.message.contains("is being terminated"))
            }
            _ => false,
        }
    }

    /// What the API server says, as events and conditions show it.
    pub(crate) fn message(&self) -> String {
        match self.source.as_ref() {
            kube::Error::Api(status) => status.message.clone(),
            other => other.to_string(),
        }
    }
}

/// One kind of object: reads come from the cache, writes go to the API and at once into the cache.
pub(crate) struct Kind<K> {
    client: Client,
    cache: Arc<Cache<K>>,
    api: fn(&Client, &str) -> Api<K>,
    fields: Option<&'static str>,
}

impl<K> Clone for Kind<K> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), cache: Arc::clone(&self.cache), api: self.api, fields: self.fields }
    }
}

impl<K> Debug for Kind<K> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Kind")
    }
}

impl<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>> Kind<K> {
    pub(crate) fn namespaced(client: &Client) -> Self {
        let api = |client: &Client, namespace: &str| {
            if namespace.is_empty() { Api::all(client.clone()) } else { Api::namespaced(client.clone(), namespace) }
        };
        Self { client: client.clone(), cache: Arc::default(), api, fields: None }
    }

    /// Watches only the objects that the field selector selects.
    pub(crate) fn with_fields(mut self, fields: &'static str) -> Self {
        self.fields = Some(fields);
        self
    }
}

impl<K: Resource<DynamicType = (), Scope = ClusterResourceScope>> Kind<K> {
    pub(crate) fn cluster(client: &Client) -> Self {
        Self { client: client.clone(), cache: Arc::default(), api: |client, _| Api::all(client.clone()), fields: None }
    }
}

impl<K> Kind<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(crate) fn cache(&self) -> &Arc<Cache<K>> {
        &self.cache
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.cache.get(key)
    }

    pub(crate) fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        self.cache.in_namespace(namespace)
    }

    pub(crate) fn all(&self) -> Vec<Arc<K>> {
        self.cache.all()
    }

    /// The API of a namespace, or of all for `""`.
    pub(crate) fn api(&self, namespace: &str) -> Api<K> {
        (self.api)(&self.client, namespace)
    }

    /// Keeps the cache up to date until the scope is cancelled.
    pub(crate) fn start(&self, scope: &Scope) {
        let source = Objects { api: self.api(""), fields: self.fields };
        let cache = Arc::clone(&self.cache);
        drop(scope.spawn_until_cancelled("watch", follow(K::plural(&()).into_owned(), source, cache)));
    }

    /// Waits until the first list has arrived.
    pub(crate) fn synced(&self) -> BoxFuture<'static, ()> {
        let cache = Arc::clone(&self.cache);
        Box::pin(async move { cache.wait_synced().await })
    }

    /// Reads from the API, past the cache.
    pub(crate) async fn read(&self, key: &Key) -> Result<Option<K>, ExecuteError> {
        self.api(&key.namespace)
            .get_opt(&key.name)
            .await
            .map_err(|source| ExecuteError::of::<K>("read", key.clone(), source))
    }

    pub(crate) async fn create(&self, object: &K) -> Result<Arc<K>, ExecuteError> {
        let answer = self.api(object.namespace()).create(&post_params(), object).await;
        match answer {
            Ok(created) => Ok(self.cache.wrote(created)),
            Err(source) => Err(ExecuteError::of::<K>("create", Key::of(object), source)),
        }
    }

    /// Changes fields; a `metadata.resourceVersion` in the patch makes a stale one fail.
    pub(crate) async fn patch(&self, key: &Key, patch: &Value) -> Result<Arc<K>, ExecuteError> {
        let answer = self.api(&key.namespace).patch(&key.name, &patch_params(), &Patch::Merge(patch)).await;
        match answer {
            Ok(changed) => Ok(self.cache.wrote(changed)),
            Err(source) => Err(ExecuteError::of::<K>("change", key.clone(), source)),
        }
    }

    /// Writes the status; fails when the object has changed since it was read.
    pub(crate) async fn replace_status(&self, object: &K) -> Result<Arc<K>, ExecuteError> {
        let answer = self.api(object.namespace()).replace_status(object.name(), &post_params(), object).await;
        match answer {
            Ok(changed) => Ok(self.cache.wrote(changed)),
            Err(source) => Err(ExecuteError::of::<K>("write the status of", Key::of(object), source)),
        }
    }

    /// Deletes exactly this object; that it is gone already is no error.
    pub(crate) async fn delete(&self, object: &K) -> Result<(), ExecuteError> {
        self.delete_with(object, None).await
    }

    /// Deletes exactly this object with the given grace period.
    pub(crate) async fn delete_with(&self, object: &K, grace_period_seconds: Option<u32>) -> Result<(), ExecuteError> {
        let params = DeleteParams {
            grace_period_seconds,
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions { uid: Some(object.uid().to_owned()), resource_version: None }),
            ..DeleteParams::default()
        };
        match self.api(object.namespace()).delete(object.name(), &params).await {
            Ok(answer) => {
                match answer.left() {
                    Some(ending) if ending.is_deleting() => drop(self.cache.wrote(ending)),
                    Some(_) | None => self.cache.removed(&Key::of(object), object.uid()),
                }
                Ok(())
            }
            Err(source) => {
                let error = ExecuteError::of::<K>("delete", Key::of(object), source);
                if error.is_not_found() {
                    self.cache.removed(&Key::of(object), object.uid());
                    return Ok(());
                }
                // A conflict says that another object has the name now; the watch will tell.
                if error.is_conflict() { Ok(()) } else { Err(error) }
            }
        }
    }

    /// Replaces the finalizers of the state that was read; that the object is gone is no error.
    pub(crate) async fn remove_finalizer(&self, object: &K, finalizer: &str) -> Result<(), ExecuteError> {
        let rest: Vec<&String> = object.meta().finalizers.iter().flatten().filter(|one| *one != finalizer).collect();
        let patch = serde_json::json!({"metadata": {"resourceVersion": object.meta().resource_version, "uid": object.uid(), "finalizers": rest}});
        match self.api(object.namespace()).patch(object.name(), &patch_params(), &Patch::Merge(&patch)).await {
            Ok(changed)
                if changed.is_deleting()
                    && changed.meta().finalizers.as_ref().is_none_or(Vec::is_empty)
                    && rest.is_empty() =>
            {
                // A pod may still run out its grace period: what the watch tells is right in both cases.
                Ok(())
            }
            Ok(changed) => {
                self.cache.wrote(changed);
                Ok(())
            }
            Err(source) => match ExecuteError::of::<K>("release", Key::of(object), source) {
                error if error.is_not_found() => Ok(()),
                error => Err(error),
            },
        }
    }
}

pub(crate) fn post_params() -> PostParams {
    PostParams { dry_run: false, field_manager: Some(FIELD_MANAGER.to_owned()) }
}

pub(crate) fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

/// Where a cache gets its objects.
pub(crate) trait Source<K: Clone>: Send + Sync {
    fn list(&self) -> impl Future<Output = kube::Result<ObjectList<K>>> + Send;
    fn watch(
        &self,
        revision: &str,
    ) -> impl Future<Output = kube::Result<BoxStream<'static, kube::Result<WatchEvent<K>>>>> + Send;
}

struct Objects<K> {
    api: Api<K>,
    fields: Option<&'static str>,
}

impl<K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static> Source<K> for Objects<K> {
    async fn list(&self) -> kube::Result<ObjectList<K>> {
        self.api.list(&ListParams { field_selector: self.fields.map(str::to_owned), ..ListParams::default() }).await
    }

    async fn watch(&self, revision: &str) -> kube::Result<BoxStream<'static, kube::Result<WatchEvent<K>>>> {
        let params = WatchParams { field_selector: self.fields.map(str::to_owned), ..WatchParams::default() };
        Ok(self.api.watch(&params, revision).await?.boxed())
    }
}

/// Lists and watches only the metadata of a kind that is known by discovery.
pub(crate) struct MetadataOnly(pub(crate) Api<DynamicObject>);

type Metadata = PartialObjectMeta<DynamicObject>;

impl Source<Metadata> for MetadataOnly {
    async fn list(&self) -> kube::Result<ObjectList<Metadata>> {
        let mut list = self.0.list_metadata(&ListParams::default()).await?;
        list.items = list.items.into_iter().map(without_notes).collect();
        Ok(list)
    }

    async fn watch(&self, revision: &str) -> kube::Result<BoxStream<'static, kube::Result<WatchEvent<Metadata>>>> {
        let events = self.0.watch_metadata(&WatchParams::default(), revision).await?;
        let events = events.map(|event| {
            Ok(match event? {
                WatchEvent::Added(object) => WatchEvent::Added(without_notes(object)),
                WatchEvent::Modified(object) => WatchEvent::Modified(without_notes(object)),
                other @ (WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) | WatchEvent::Error(_)) => other,
            })
        });
        Ok(events.boxed())
    }
}

/// Keeps only what tells who depends on whom.
fn without_notes(mut object: Metadata) -> Metadata {
    object.metadata.labels = None;
    object.metadata.annotations = None;
    object
}

/// Why a watch ended.
enum Ended {
    /// The server no longer has the history: a new list is needed.
    Expired,
    /// The connection ended; the watch can go on from where it was.
    Closed,
}

/// Fills a cache: lists, then watches from there, for ever.
pub(crate) async fn follow<K, S>(name: String, source: S, cache: Arc<Cache<K>>)
where
    K: Resource + Clone + Send + Sync + 'static,
    S: Source<K>,
{
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
    let mut warned = false;
    loop {
        let list = match source.list().await {
            Ok(list) => list,
            Err(error) => {
                // A kind whose definition has just gone is not missed.
                let is_gone = matches!(&error, kube::Error::Api(status) if status.code == 404);
                if warned || is_gone {
                    tracing::debug!(kind = name, %error, "list failed; trying again");
                } else {
                    tracing::warn!(kind = name, %error, "list failed; trying again");
                    warned = true;
                }
                tokio::time::sleep(backoff.failed(())).await;
                continue;
            }
        };
        warned = false;
        let mut revision = list.metadata.resource_version.unwrap_or_default();
        cache.replaced(list.items, revision.parse().unwrap_or_default());
        loop {
            let start = Instant::now();
            let ended = watch_once(&name, &source, &cache, &mut revision).await;
            if start.elapsed() > Duration::from_secs(5) {
                backoff.succeeded(&());
            } else {
                tokio::time::sleep(backoff.failed(())).await;
            }
            match ended {
                Ended::Expired => break,
                Ended::Closed => {}
            }
        }
    }
}

async fn watch_once<K, S>(name: &str, source: &S, cache: &Cache<K>, revision: &mut String) -> Ended
where
    K: Resource + Clone + Send + Sync + 'static,
    S: Source<K>,
{
    let mut events = match source.watch(revision).await {
        Ok(events) => events,
        Err(kube::Error::Api(status)) if status.code == 410 || status.code == 404 => return Ended::Expired,
        Err(error) => {
            tracing::debug!(kind = name, %error, "watch failed; trying again");
            return Ended::Closed;
        }
    };
    while let Some(event) = events.next().await {
        match event {
            Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                advance(revision, &object);
                cache.told(object);
            }
            Ok(WatchEvent::Deleted(object)) => {
                advance(revision, &object);
                cache.told_end(&object);
            }
            Ok(WatchEvent::Bookmark(bookmark)) => {
                *revision = bookmark.metadata.resource_version;
                cache.told_progress(revision.parse().unwrap_or_default());
            }
            Ok(WatchEvent::Error(status)) if status.code == 410 => return Ended::Expired,
            Ok(WatchEvent::Error(status)) => {
                tracing::debug!(kind = name, error = %status.message, "watch failed; trying again");
                return Ended::Closed;
            }
            Err(error) => {
                tracing::debug!(kind = name, %error, "watch broke off; trying again");
                return Ended::Closed;
            }
        }
    }
    Ended::Closed
}

fn advance<K: Resource>(revision: &mut String, object: &K) {
    if let Some(told) = &object.meta().resource_version {
        revision.clone_from(told);
    }
}
