//! Follows objectives and requirements; measures, and writes what was found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DynamicObject, ObjectMeta, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::reflector::{self, Store, reflector};
use kube::runtime::{WatchStreamExt as _, watcher};
use maru_api::{RequirementSpec, ServiceLevelObjectiveSpec, Spec};
use maru_client::Client;
use maru_http::Handler;
use maru_monitoring::openslo;
use maru_task::Scope;
use maru_time::SharedClock;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::ask::Metrics;
use crate::derive::{self, Wanted};
use crate::measure::{self, Ready, Status};

/// How often an objective is measured, at most.
const PERIOD: Duration = Duration::from_secs(15);
/// An objective that is costly to measure is measured less often: at most this share of the time is spent on it.
const COST_SHARE: u32 = 50;
/// Counts that grow are written this often when nothing else changes: an object is not a time series.
const COUNTS_PERIOD: Duration = Duration::from_secs(60);
/// Changes that come together are taken together.
const COALESCE: Duration = Duration::from_millis(50);
/// Buckets may appear after an objective.
const PREPARE_PERIOD: Duration = Duration::from_secs(60);

const MANAGER: &str = "maru-assurance";
const PROJECT_LABEL: &str = "maru.dev/project";
const ENVIRONMENT_LABEL: &str = "maru.dev/environment";
/// On objectives that follow from a requirement: its name.
const DERIVED_ANNOTATION: &str = "maru.dev/derived-from";

/// What the room is started with.
#[derive(Debug, Clone)]
pub struct AssuranceOptions {
    /// Prometheus' HTTP API, in process or elsewhere; authenticated.
    pub metrics: Handler,
    /// Tells the time.
    pub clock: SharedClock,
}

/// Starts to follow all objectives; ends with the scope.
pub fn start(scope: &Scope, client: Client, options: AssuranceOptions) {
    let changed = Arc::new(Notify::new());
    let objectives = follow_ours::<ServiceLevelObjectiveSpec>(scope, "objectives", &client, &changed);
    let requirements = follow_ours::<RequirementSpec>(scope, "requirements", &client, &changed);
    let namespaces = follow::<Namespace>(scope, "namespaces", Api::all(client.clone()), (), &changed);
    let room = Room {
        client,
        metrics: Metrics(options.metrics),
        clock: options.clock,
        objectives,
        requirements,
        namespaces,
        known: BTreeMap::new(),
    };
    drop(scope.spawn("assurance", room.run(scope.clone(), changed)));
}

fn resource<S: Spec>() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(maru_api::GROUP, maru_api::VERSION, S::KIND), S::PLURAL)
}

fn follow_ours<S: Spec>(
    scope: &Scope,
    name: &'static str,
    client: &Client,
    changed: &Arc<Notify>,
) -> Store<DynamicObject> {
    follow(scope, name, Api::all_with(client.clone(), &resource::<S>()), resource::<S>(), changed)
}

/// Keeps the objects of one kind at hand, and tells when they change.
fn follow<K>(scope: &Scope, name: &'static str, api: Api<K>, kind: K::DynamicType, changed: &Arc<Notify>) -> Store<K>
where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Clone + Eq + Hash + Send + Sync,
{
    let writer = reflector::store::Writer::new(kind);
    let store = writer.as_reader();
    let events = reflector(writer, watcher(api, watcher::Config::default()).default_backoff());
    let changed = Arc::clone(changed);
    let following = events.for_each(move |event| {
        if event.is_ok() {
            changed.notify_one();
        }
        std::future::ready(())
    });
    drop(scope.spawn_until_cancelled(name, following));
    store
}

/// Namespace and name.
type Key = (String, String);

/// What is remembered of an objective between two looks.
struct Known {
    generation: Option<i64>,
    ready: Option<Arc<Ready>>,
    prepared: Instant,
    due: Instant,
    written: Instant,
    status: Status,
}

struct Room {
    client: Client,
    metrics: Metrics,
    clock: SharedClock,
    objectives: Store<DynamicObject>,
    requirements: Store<DynamicObject>,
    namespaces: Store<Namespace>,
    known: BTreeMap<Key, Known>,
}

impl Room {
    async fn run(mut self, scope: Scope, changed: Arc<Notify>) {
        loop {
            tokio::select! {
                () = scope.cancelled() => return,
                () = changed.notified() => {
                    tokio::time::sleep(COALESCE).await;
                    self.derive().await;
                }
                () = tokio::time::sleep_until(self.next_due()) => {}
            }
            let objects = self.objectives.state();
            let there: BTreeSet<Key> = objects.iter().map(|object| key_of(object)).collect();
            self.known.retain(|key, _| there.contains(key));
            for object in objects {
                tokio::select! {
                    () = scope.cancelled() => return,
                    () = self.look(&object) => {}
                }
            }
        }
    }

    /// With nothing to measure the room sleeps until something changes.
    fn next_due(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(86_400);
        self.known.values().map(|known| known.due).min().unwrap_or(far)
    }

    async fn look(&mut self, object: &DynamicObject) {
        let key = key_of(object);
        let now = Instant::now();
        let generation = object.metadata.generation;
        let before = self.known.remove(&key);
        let is_same = before.as_ref().is_some_and(|known| known.generation == generation);
        if is_same && before.as_ref().is_some_and(|known| known.due > now) {
            self.known.extend(before.map(|known| (key, known)));
            return;
        }
        let mut known = before.unwrap_or_else(|| Known::new(object, now));
        if !is_same || known.ready.is_none() || known.prepared + PREPARE_PERIOD <= now {
            known.prepared = now;
            known.generation = generation;
            match self.prepare(object, &key).await {
                Ok(ready) => known.ready = Some(Arc::new(ready)),
                Err(problems) => {
                    known.ready = None;
                    self.settle(&key, &mut known, Status::broken(problems)).await;
                    known.due = now + PREPARE_PERIOD;
                    self.known.insert(key, known);
                    return;
                }
            }
        }
        if let Some(ready) = known.ready.clone() {
            let measured = measure::measure(&self.metrics, &ready, &known.status.targets, self.clock.now()).await;
            let status = match measured {
                Ok(status) => Status { rules: Some(rules_name(&key.1)), ..status },
                Err(why) => Status::broken(vec![why]),
            };
            self.settle(&key, &mut known, status).await;
        }
        known.due = now + PERIOD.max(now.elapsed() * COST_SHARE);
        self.known.insert(key, known);
    }

    async fn prepare(&self, object: &DynamicObject, key: &Key) -> Result<Ready, Vec<String>> {
        let spec = object.data.get("spec").cloned().unwrap_or_default();
        let objective = openslo::read_spec(&spec);
        let objective = objective.map_err(|wrong| {
            let told = wrong.iter().map(|one| {
                if one.path.is_empty() { one.message.clone() } else { format!("{}: {}", one.path, one.message) }
            });
            told.collect::<Vec<String>>()
        })?;
        let now = self.clock.now();
        let ready = measure::prepare(&self.metrics, objective, &key.0, &key.1, now).await.map_err(|why| vec![why])?;
        self.write_rules(object, key, &ready).await.map_err(|error| vec![error])?;
        Ok(ready)
    }

    /// Writes the rules as an object that the metrics room, or the operator of a cluster, takes.
    async fn write_rules(&self, object: &DynamicObject, key: &Key, ready: &Ready) -> Result<(), String> {
        let name = rules_name(&key.1);
        let rule = json!({
            "apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule",
            "metadata": {
                "name": name, "namespace": key.0,
                "labels": {"app.kubernetes.io/managed-by": "maru", "maru.dev/slo": key.1},
                "ownerReferences": [{"apiVersion": maru_api::API_VERSION, "kind": "ServiceLevelObjective", "name": key.1,
                    "uid": object.metadata.uid, "controller": true}],
            },
            "spec": {"groups": ready.compiled.groups},
        });
        let gvk = GroupVersionKind::gvk("monitoring.coreos.com", "v1", "PrometheusRule");
        let kind = ApiResource::from_gvk_with_plural(&gvk, "prometheusrules");
        self.apply(&kind, key.0.as_str(), &name, &rule)
            .await
            .map_err(|error| format!("the rules cannot be written: {error}"))
    }

    async fn apply(&self, kind: &ApiResource, namespace: &str, name: &str, object: &Value) -> Result<(), kube::Error> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, kind);
        api.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object)).await.map(drop)
    }

    /// Writes a status where it tells people something new; one that was not written is not remembered either.
    async fn settle(&self, key: &Key, known: &mut Known, mut status: Status) {
        status.observed_generation = known.generation;
        let has_moved = known.written.elapsed() >= COUNTS_PERIOD && measure::has_moved(&known.status, &status);
        if !has_moved && !measure::differs(&known.status, &status) {
            return;
        }
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &key.0, &resource::<ServiceLevelObjectiveSpec>());
        // The status is one whole: fields that went are taken away.
        let whole = json!([{"op": "add", "path": "/status", "value": status}]);
        let Ok(patch) = serde_json::from_value::<json_patch::Patch>(whole) else { return };
        match api.patch_status(&key.1, &PatchParams::default(), &Patch::Json::<()>(patch)).await {
            Ok(_) => (known.written, known.status) = (Instant::now(), status),
            Err(kube::Error::Api(answer)) if answer.code == 404 => {}
            Err(error) => {
                let (namespace, name) = key;
                tracing::warn!(namespace, name, %error, "an objective's status could not be written; trying again");
            }
        }
    }

    /// Makes the objectives that requirements name and nobody wrote.
    async fn derive(&self) {
        for object in self.requirements.state() {
            let (namespace, requirement) = key_of(&object);
            // Most name no objective: those are not read whole at each change.
            let checks = object.data.pointer("/spec/verify").and_then(Value::as_array);
            if !checks.is_some_and(|checks| checks.iter().any(|check| check.get("slo").is_some())) {
                continue;
            }
            let spec = object.data.get("spec").cloned().unwrap_or_default();
            let Ok(spec) = serde_json::from_value::<RequirementSpec>(spec) else { continue };
            for wanted in derive::wanted(&spec, &self.environments(&namespace)) {
                let reference = reflector::ObjectRef::new_with(&wanted.name, resource::<ServiceLevelObjectiveSpec>())
                    .within(&namespace);
                let there = self.objectives.get(&reference);
                let is_ours = there.as_ref().is_none_or(|there| derived_from(&there.metadata) == Some(&requirement));
                let is_same = there.as_ref().is_some_and(|there| there.data.get("spec") == Some(&wanted.spec));
                if is_ours && !is_same {
                    self.write_objective(&object, &namespace, &requirement, wanted).await;
                }
            }
        }
    }

    async fn write_objective(&self, owner: &DynamicObject, namespace: &str, requirement: &str, wanted: Wanted) {
        let object = json!({
            "apiVersion": maru_api::API_VERSION, "kind": "ServiceLevelObjective",
            "metadata": {
                "name": wanted.name, "namespace": namespace,
                "labels": {"app.kubernetes.io/managed-by": "maru", ENVIRONMENT_LABEL: wanted.environment},
                "annotations": {DERIVED_ANNOTATION: requirement},
                "ownerReferences": [{"apiVersion": maru_api::API_VERSION, "kind": "Requirement", "name": requirement,
                    "uid": owner.metadata.uid}],
            },
            "spec": wanted.spec,
        });
        let kind = resource::<ServiceLevelObjectiveSpec>();
        if let Err(error) = self.apply(&kind, namespace, &wanted.name, &object).await {
            tracing::warn!(namespace, requirement, objective = wanted.name, %error, "an objective could not be made");
        }
    }

    /// Returns where each environment of a project is, by the labels of namespaces.
    fn environments(&self, project: &str) -> BTreeMap<String, String> {
        let namespaces = self.namespaces.state();
        let of_project = namespaces.iter().filter_map(|namespace| {
            let labels = namespace.metadata.labels.as_ref()?;
            let environment = labels.get(ENVIRONMENT_LABEL)?;
            (labels.get(PROJECT_LABEL)? == project).then(|| (environment.clone(), namespace.metadata.name.clone()))
        });
        of_project.filter_map(|(environment, name)| Some((environment, name?))).collect()
    }
}

impl Known {
    /// Begins with what the object says, so that a restart writes nothing new and counts no closed window again.
    fn new(object: &DynamicObject, now: Instant) -> Self {
        let status = object.data.get("status").cloned().and_then(|status| serde_json::from_value(status).ok());
        Self {
            generation: None,
            ready: None,
            prepared: now,
            due: now,
            written: now,
            status: status.unwrap_or_else(|| Status::broken(Vec::new())),
        }
    }
}

fn rules_name(objective: &str) -> String {
    format!("slo-{objective}")
}

fn derived_from(metadata: &ObjectMeta) -> Option<&String> {
    metadata.annotations.as_ref()?.get(DERIVED_ANNOTATION)
}

fn key_of(object: &DynamicObject) -> Key {
    (object.metadata.namespace.clone().unwrap_or_default(), object.metadata.name.clone().unwrap_or_default())
}
