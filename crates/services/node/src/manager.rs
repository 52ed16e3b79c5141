//! Follows the pods that are bound to this node, and the objects that they are made from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret};
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use maru_task::Scope;

use crate::context::{Context, chain};
use crate::pod;
use crate::record::PodRecord;
use crate::volumes::{Dependency, dependencies};
use crate::worker::{self, Order, PodHandle, PodView, Report, remove_directories, remove_remains};

/// The pods that have a worker, by uid.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pods(Arc<Mutex<BTreeMap<String, PodHandle>>>);

impl Pods {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, PodHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, uid: &str) -> Option<PodHandle> {
        self.lock().get(uid).cloned()
    }

    pub(crate) fn views(&self) -> Vec<PodView> {
        self.lock().values().map(|handle| handle.view.borrow().clone()).collect()
    }

    /// Finds a pod by name; of several, the one that was made last.
    pub(crate) fn find(&self, namespace: &str, name: &str) -> Option<PodHandle> {
        let all = self.lock();
        let matching = all.values().filter(|handle| {
            let view = handle.view.borrow();
            pod::namespace(&view.pod) == namespace && pod::name(&view.pod) == name
        });
        matching
            .max_by_key(|handle| handle.view.borrow().pod.metadata.creation_timestamp.clone().map(|time| time.0))
            .cloned()
    }

    pub(crate) fn longest_grace(&self) -> Duration {
        self.views().iter().map(|view| pod::grace(&view.pod)).max().unwrap_or_default()
    }

    /// Orders all pods to stop and go away; returns what to wait for.
    pub(crate) fn forget_all(&self) -> Vec<PodHandle> {
        let all: Vec<PodHandle> = self.lock().values().cloned().collect();
        for handle in &all {
            handle.orders.send_replace(Order::Forget);
        }
        all
    }

    /// Tells every pod that is made from this object that it has changed.
    fn dependency_changed(&self, changed: &Dependency) {
        for handle in self.lock().values() {
            let concerned = dependencies(&handle.view.borrow().pod).contains(changed);
            // A worker with a full queue looks at everything anyway.
            if concerned && handle.reports.try_send(Report::Dependency).is_err() {
                tracing::debug!(?changed, "a pod is busy; it sees the change later");
            }
        }
    }
}

/// Follows the API on behalf of the node.
#[derive(Debug)]
pub(crate) struct Manager {
    context: Arc<Context>,
    pods: Pods,
}

impl Manager {
    pub(crate) fn start(scope: &Scope, context: Arc<Context>, pods: Pods) {
        let manager = Self { context: Arc::clone(&context), pods: pods.clone() };
        drop(scope.spawn_until_cancelled("pods", manager.follow()));
        let named = |namespace: String, name: String| Dependency::ConfigMap { namespace, name };
        drop(scope.spawn_until_cancelled(
            "config maps",
            follow_dependencies::<ConfigMap>(Arc::clone(&context), pods.clone(), named),
        ));
        let named = |namespace: String, name: String| Dependency::Secret { namespace, name };
        drop(scope.spawn_until_cancelled(
            "secrets",
            follow_dependencies::<Secret>(Arc::clone(&context), pods.clone(), named),
        ));
        let named = |namespace: String, name: String| Dependency::Claim { namespace, name };
        drop(scope.spawn_until_cancelled("claims", follow_dependencies::<PersistentVolumeClaim>(context, pods, named)));
    }

    async fn follow(self) {
        let api = Api::<Pod>::all(self.context.client.0.clone());
        let config = watcher::Config::default().fields(&format!("spec.nodeName={}", self.context.options.name));
        let mut events = std::pin::pin!(watcher(api, config).default_backoff());
        let mut seen = BTreeSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => seen.clear(),
                Ok(Event::InitApply(pod)) => {
                    seen.insert(pod::uid(&pod).to_owned());
                    self.follow_pod(pod);
                }
                Ok(Event::InitDone) => self.forget_others(&seen).await,
                Ok(Event::Apply(pod)) => self.follow_pod(pod),
                Ok(Event::Delete(pod)) => self.forget(pod::uid(&pod)).await,
                Err(error) => tracing::warn!(error = %chain(&error), "the watch for pods broke off; trying again"),
            }
        }
    }

    fn follow_pod(&self, pod: Pod) {
        let uid = pod::uid(&pod).to_owned();
        if let Some(handle) = self.pods.get(&uid) {
            handle.follow(pod);
            return;
        }
        let record = PodRecord::load(&self.context.layout.pod(&uid)).ok();
        if record.is_none() && pod::is_finished(&pod) && pod.metadata.deletion_timestamp.is_none() {
            return;
        }
        let record = record.unwrap_or_else(|| PodRecord::new(pod.clone(), self.context.now()));
        self.take_up(uid, record, Order::Follow(Arc::new(pod)));
    }

    fn take_up(&self, uid: String, record: PodRecord, order: Order) {
        let handle = worker::spawn(&self.context, record, order);
        self.pods.lock().insert(uid.clone(), handle.clone());
        let pods = self.pods.clone();
        let reap = async move {
            handle.gone().await;
            pods.lock().remove(&uid);
        };
        drop(self.context.scope.spawn_until_cancelled("reap pod", reap));
    }

    async fn forget(&self, uid: &str) {
        if let Some(handle) = self.pods.get(uid) {
            handle.orders.send_replace(Order::Forget);
            return;
        }
        match PodRecord::load(&self.context.layout.pod(uid)) {
            Ok(record) => self.take_up(uid.to_owned(), record, Order::Forget),
            Err(_) => self.remove_half_made(uid).await,
        }
    }

    /// Stops and removes what is here without an object in the API.
    async fn forget_others(&self, seen: &BTreeSet<String>) {
        let mut here: BTreeSet<String> = self.pods.lock().keys().cloned().collect();
        match self.context.layout.uids() {
            Ok(uids) => here.extend(uids),
            Err(error) => tracing::warn!(%error, "the pods' directory could not be read"),
        }
        match self.context.networks.existing() {
            Ok(attachments) => here.extend(attachments.into_iter().map(|one| one.uid)),
            Err(error) => tracing::warn!(%error, "the pods' networks could not be read"),
        }
        for uid in here.difference(seen) {
            tracing::info!(uid, "the pod's object is gone");
            self.forget(uid).await;
        }
    }

    /// Removes a pod whose record was never written.
    async fn remove_half_made(&self, uid: &str) {
        match remove_remains(&self.context, uid).await {
            Ok(()) => remove_directories(&self.context, uid).await,
            Err(error) => tracing::warn!(uid, error, "a half-made pod could not be removed"),
        }
    }
}

/// Follows objects by their metadata alone; their content is read when a pod needs it.
async fn follow_dependencies<K>(context: Arc<Context>, pods: Pods, named: fn(String, String) -> Dependency)
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
{
    let api = Api::<PartialObjectMeta<K>>::all(context.client.0.clone());
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
    let mut is_first = true;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => {}
            Ok(Event::InitDone) => is_first = false,
            // Pods read their objects when they start: only what changes later is news.
            Ok(Event::InitApply(_)) if is_first => {}
            Ok(Event::InitApply(object) | Event::Apply(object) | Event::Delete(object)) => {
                let namespace = object.metadata.namespace.unwrap_or_default();
                let name = object.metadata.name.unwrap_or_default();
                pods.dependency_changed(&named(namespace, name));
            }
            Err(error) => tracing::debug!(error = %chain(&error), "a watch broke off; trying again"),
        }
    }
}
