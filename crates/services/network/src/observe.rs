//! Follows the API and publishes a snapshot after each burst of changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt as _};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::runtime::{WatchStreamExt as _, watcher};
use maru_client::Client;
use tokio::sync::watch;

use crate::model::{Cluster, Endpoint, Namespace, Pod, PolicyModel, ServiceEntry, ServiceModel, endpoints};

/// A change waits this long for others, so that a rollout is a few snapshots and not hundreds.
const COALESCE: Duration = Duration::from_millis(50);
/// Names the service that a slice belongs to.
const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

type Key = (String, String);

/// One thing that the API said.
enum Change {
    Service(Step<Arc<ServiceModel>>),
    Slice(Step<Arc<Slice>>),
    Pod(Step<Arc<Pod>>),
    Policy(Step<Arc<PolicyModel>>),
    Namespace(Step<Arc<Namespace>>),
}

/// One step of a watch.
enum Step<T> {
    /// All objects follow; what is known is to be replaced when they are complete.
    Begin,
    /// One of them.
    Listed(Key, T),
    /// They are complete.
    Complete,
    /// An object is new or has changed.
    Set(Key, T),
    /// An object has gone.
    Gone(Key),
}

#[derive(Debug)]
struct Slice {
    service: Option<Key>,
    endpoints: Vec<Endpoint>,
}

/// The objects of one kind.
struct Mirror<T> {
    current: BTreeMap<Key, T>,
    listed: BTreeMap<Key, T>,
    complete: bool,
}

impl<T> Default for Mirror<T> {
    fn default() -> Self {
        Self { current: BTreeMap::new(), listed: BTreeMap::new(), complete: false }
    }
}

impl<T> Mirror<T> {
    fn apply(&mut self, step: Step<T>) {
        match step {
            Step::Begin => self.listed.clear(),
            Step::Listed(key, object) => drop(self.listed.insert(key, object)),
            Step::Complete => {
                self.current = std::mem::take(&mut self.listed);
                self.complete = true;
            }
            Step::Set(key, object) => drop(self.current.insert(key, object)),
            Step::Gone(key) => drop(self.current.remove(&key)),
        }
    }
}

#[derive(Default)]
struct Observed {
    services: Mirror<Arc<ServiceModel>>,
    slices: Mirror<Arc<Slice>>,
    pods: Mirror<Arc<Pod>>,
    policies: Mirror<Arc<PolicyModel>>,
    namespaces: Mirror<Arc<Namespace>>,
}

impl Observed {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Service(step) => self.services.apply(step),
            Change::Slice(step) => self.slices.apply(step),
            Change::Pod(step) => self.pods.apply(step),
            Change::Policy(step) => self.policies.apply(step),
            Change::Namespace(step) => self.namespaces.apply(step),
        }
    }

    /// Rules made of half a list would cut connections.
    fn is_complete(&self) -> bool {
        self.services.complete
            && self.slices.complete
            && self.pods.complete
            && self.policies.complete
            && self.namespaces.complete
    }

    fn snapshot(&self) -> Cluster {
        let mut by_service: BTreeMap<&Key, Vec<Endpoint>> = BTreeMap::new();
        for slice in self.slices.current.values() {
            if let Some(service) = &slice.service {
                by_service.entry(service).or_default().extend(slice.endpoints.iter().cloned());
            }
        }
        let entry = |(key, service): (&Key, &Arc<ServiceModel>)| {
            let mut endpoints = by_service.get(key).cloned().unwrap_or_default();
            endpoints.sort_unstable();
            // While an endpoint moves from one slice to another it may be in both.
            endpoints.dedup();
            (key.clone(), ServiceEntry { service: Arc::clone(service), endpoints })
        };
        Cluster {
            services: self.services.current.iter().map(entry).collect(),
            pods: self.pods.current.clone(),
            policies: self.policies.current.clone(),
            namespaces: self
                .namespaces
                .current
                .iter()
                .map(|((_, name), found)| (name.clone(), Arc::clone(found)))
                .collect(),
        }
    }
}

/// Publishes snapshots until dropped; the first when every kind has been listed.
pub(crate) async fn run(client: Client, clusters: watch::Sender<Option<Arc<Cluster>>>) {
    let mut changes = futures::stream::select_all([
        changes(&client, Change::Service, |service: &core::Service| Arc::new(ServiceModel::from(service))),
        changes(&client, Change::Slice, |slice: &EndpointSlice| Arc::new(Slice::from(slice))),
        changes(&client, Change::Pod, |pod: &core::Pod| Arc::new(Pod::from(pod))),
        changes(&client, Change::Policy, |policy: &NetworkPolicy| Arc::new(PolicyModel::from(policy))),
        changes(&client, Change::Namespace, |namespace: &core::Namespace| Arc::new(Namespace::from(namespace))),
    ]);
    let mut observed = Observed::default();
    while let Some(change) = changes.next().await {
        observed.apply(change);
        let burst_ends = tokio::time::Instant::now() + COALESCE;
        while let Ok(Some(change)) = tokio::time::timeout_at(burst_ends, changes.next()).await {
            observed.apply(change);
        }
        if observed.is_complete() {
            let snapshot = observed.snapshot();
            clusters.send_if_modified(|current| {
                let modified = current.as_deref() != Some(&snapshot);
                if modified {
                    *current = Some(Arc::new(snapshot));
                }
                modified
            });
        }
    }
}

fn changes<K, T>(client: &Client, wrap: fn(Step<T>) -> Change, convert: fn(&K) -> T) -> BoxStream<'static, Change>
where
    K: kube::Resource + Clone + std::fmt::Debug + Send + serde::de::DeserializeOwned + 'static,
    K::DynamicType: Default,
    T: Send + 'static,
{
    let key = |object: &K| {
        let metadata = object.meta();
        (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
    };
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    watcher(kube::Api::<K>::all(client.clone()), watcher::Config::default())
        .default_backoff()
        .filter_map(move |event| {
            let step = match event {
                Ok(watcher::Event::Init) => Some(Step::Begin),
                Ok(watcher::Event::InitApply(object)) => Some(Step::Listed(key(&object), convert(&object))),
                Ok(watcher::Event::InitDone) => Some(Step::Complete),
                Ok(watcher::Event::Apply(object)) => Some(Step::Set(key(&object), convert(&object))),
                Ok(watcher::Event::Delete(object)) => Some(Step::Gone(key(&object))),
                Err(error) => {
                    tracing::warn!(kind, %error, "watch failed; trying again");
                    None
                }
            };
            std::future::ready(step.map(wrap))
        })
        .boxed()
}

impl From<&EndpointSlice> for Slice {
    fn from(slice: &EndpointSlice) -> Self {
        let service = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME_LABEL));
        let namespace = slice.metadata.namespace.clone().unwrap_or_default();
        Self { service: service.map(|name| (namespace, name.clone())), endpoints: endpoints(slice) }
    }
}
