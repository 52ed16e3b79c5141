//! Objects of a Kubernetes API, kept at hand by watching.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher::{self, Event, watcher};
use maru_client::Client;
use maru_task::Scope;
use serde_json::Value;
use tokio::sync::Notify;

/// Pauses between tries of a watch that fails.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The kinds that are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Node,
    Service,
    Pod,
    Endpoints,
    EndpointSlice,
    Ingress,
    Namespace,
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Job,
    ServiceMonitor,
    PodMonitor,
    Probe,
    PrometheusRule,
    Board,
}

impl Kind {
    /// Returns the API's group, the kind and the name of its list.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Node => ("", "Node", "nodes"),
            Self::Service => ("", "Service", "services"),
            Self::Pod => ("", "Pod", "pods"),
            Self::Endpoints => ("", "Endpoints", "endpoints"),
            Self::Namespace => ("", "Namespace", "namespaces"),
            Self::EndpointSlice => ("discovery.k8s.io", "EndpointSlice", "endpointslices"),
            Self::Ingress => ("networking.k8s.io", "Ingress", "ingresses"),
            Self::Deployment => ("apps", "Deployment", "deployments"),
            Self::ReplicaSet => ("apps", "ReplicaSet", "replicasets"),
            Self::StatefulSet => ("apps", "StatefulSet", "statefulsets"),
            Self::DaemonSet => ("apps", "DaemonSet", "daemonsets"),
            Self::Job => ("batch", "Job", "jobs"),
            Self::ServiceMonitor => ("monitoring.coreos.com", "ServiceMonitor", "servicemonitors"),
            Self::PodMonitor => ("monitoring.coreos.com", "PodMonitor", "podmonitors"),
            Self::Probe => ("monitoring.coreos.com", "Probe", "probes"),
            Self::PrometheusRule => ("monitoring.coreos.com", "PrometheusRule", "prometheusrules"),
            Self::Board => ("maru.dev", "Board", "boards"),
        }
    }

    pub(crate) fn resource(self) -> ApiResource {
        let (group, kind, plural) = self.names();
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, self.version(), kind), plural)
    }

    pub(crate) fn version(self) -> &'static str {
        if self == Self::Board { "v1alpha1" } else { "v1" }
    }

    /// Returns the kinds that say what is measured, and what is made of it.
    pub(crate) fn monitoring() -> [Self; 4] {
        [Self::ServiceMonitor, Self::PodMonitor, Self::Probe, Self::PrometheusRule]
    }

    pub(crate) fn name(self) -> &'static str {
        self.names().1
    }

    pub(crate) fn is_namespaced(self) -> bool {
        !matches!(self, Self::Node | Self::Namespace)
    }
}

/// Objects by kind, then by namespace and name.
pub(crate) type Objects = BTreeMap<Kind, BTreeMap<(String, String), Value>>;

/// What several watches have seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    objects: Mutex<Objects>,
    /// Watches that have not told everything yet.
    missing: Mutex<usize>,
    pub(crate) changed: Notify,
}

impl Seen {
    /// Watches one kind in some namespaces; in all when none is named.
    pub(crate) fn watch(
        self: &Arc<Self>,
        scope: &Scope,
        client: &Client,
        kind: Kind,
        namespaces: &[String],
        config: watcher::Config,
    ) {
        let resource = kind.resource();
        let apis: Vec<Api<DynamicObject>> = if namespaces.is_empty() {
            vec![Api::all_with(client.clone(), &resource)]
        } else {
            namespaces.iter().map(|name| Api::namespaced_with(client.clone(), name, &resource)).collect()
        };
        for api in apis {
            *self.missing.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            let work = follow(api, config.clone(), kind, Arc::clone(self));
            drop(scope.spawn_until_cancelled("kubernetes watch", work));
        }
    }

    pub(crate) fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether all watches have told what there is.
    pub(crate) fn is_complete(&self) -> bool {
        *self.missing.lock().unwrap_or_else(PoisonError::into_inner) == 0
    }
}

async fn follow(api: Api<DynamicObject>, config: watcher::Config, kind: Kind, seen: Arc<Seen>) {
    let mut events = std::pin::pin!(watcher(api, config));
    let mut arriving: BTreeMap<(String, String), Value> = BTreeMap::new();
    let (mut has_told, mut pause, mut own) = (false, RETRY.0, Vec::new());
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                tracing::debug!(?kind, %error, "a watch for targets failed; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY.1);
                continue;
            }
        };
        let mut objects = seen.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let known = objects.entry(kind).or_default();
        match event {
            Event::Init => arriving.clear(),
            Event::InitApply(object) => drop(arriving.insert(key(&object), value(&object))),
            Event::InitDone => {
                // Other namespaces of the same kind have watches of their own.
                for key in std::mem::take(&mut own) {
                    known.remove(&key);
                }
                own = arriving.keys().cloned().collect();
                known.append(&mut arriving);
                if !has_told {
                    has_told = true;
                    *seen.missing.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
                }
                pause = RETRY.0;
                seen.changed.notify_one();
            }
            Event::Apply(object) => {
                own.push(key(&object));
                known.insert(key(&object), value(&object));
                seen.changed.notify_one();
            }
            Event::Delete(object) => {
                known.remove(&key(&object));
                own.retain(|one| *one != key(&object));
                seen.changed.notify_one();
            }
        }
    }
}

fn key(object: &DynamicObject) -> (String, String) {
    (object.metadata.namespace.clone().unwrap_or_default(), object.metadata.name.clone().unwrap_or_default())
}

fn value(object: &DynamicObject) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    value
}

/// Returns a text of an object; empty when it is not there.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn number(object: &Value, pointer: &str) -> u64 {
    object.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}
