//! Events about pods: what a person reads under `kubectl describe`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use maru_client::Client;
use maru_task::Scope;
use maru_time::SharedClock;
use tokio::sync::mpsc;

use crate::pod;

/// Events that wait to be written; further ones are dropped, as they are a help and not a record.
const QUEUE_MAX: usize = 256;
/// Different events that are remembered to be counted instead of written anew.
const REMEMBERED_MAX: usize = 2048;
/// Longest message that the API takes.
const MESSAGE_MAX: usize = 1024;

/// How urgent an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Normal,
    Warning,
}

/// Writes events in the background.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    queue: mpsc::Sender<Note>,
    dropped: Arc<Mutex<u64>>,
}

#[derive(Debug, Clone)]
struct Note {
    object: ObjectReference,
    severity: Severity,
    reason: &'static str,
    message: String,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    uid: Option<String>,
    field: Option<String>,
    reason: &'static str,
    message: String,
}

struct Written {
    name: String,
    count: i32,
}

impl Events {
    pub(crate) fn start(scope: &Scope, client: Client, clock: SharedClock, node: String) -> Self {
        let (queue, notes) = mpsc::channel(QUEUE_MAX);
        let writer = Writer { client, clock, node, written: HashMap::new() };
        drop(scope.spawn_until_cancelled("events", writer.run(notes)));
        Self { queue, dropped: Arc::default() }
    }

    /// Tells something about a pod, or about one of its containers.
    pub(crate) fn note(
        &self,
        pod: &Pod,
        container: Option<&str>,
        severity: Severity,
        reason: &'static str,
        message: &str,
    ) {
        let field_path = container.map(|name| {
            let kind = match pod::member(pod, name).map(|member| member.role) {
                Some(pod::Role::Init | pod::Role::Sidecar) => "initContainers",
                Some(pod::Role::Ephemeral) => "ephemeralContainers",
                Some(pod::Role::Main) | None => "containers",
            };
            format!("spec.{kind}{{{name}}}")
        });
        let object = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: pod.metadata.name.clone(),
            namespace: pod.metadata.namespace.clone(),
            uid: pod.metadata.uid.clone(),
            resource_version: pod.metadata.resource_version.clone(),
            field_path,
        };
        let message = message.chars().take(MESSAGE_MAX).collect();
        if self.queue.try_send(Note { object, severity, reason, message }).is_err() {
            *self.dropped.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
    }
}

struct Writer {
    client: Client,
    clock: SharedClock,
    node: String,
    written: HashMap<Key, Written>,
}

impl Writer {
    async fn run(mut self, mut notes: mpsc::Receiver<Note>) {
        while let Some(note) = notes.recv().await {
            if let Err(error) = self.write(&note).await {
                tracing::debug!(reason = note.reason, %error, "event not written");
            }
        }
    }

    async fn write(&mut self, note: &Note) -> Result<(), kube::Error> {
        let namespace = note.object.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let api = Api::<Event>::namespaced(self.client.clone(), &namespace);
        let now = self.clock.now();
        let key = Key {
            uid: note.object.uid.clone(),
            field: note.object.field_path.clone(),
            reason: note.reason,
            message: note.message.clone(),
        };
        if let Some(known) = self.written.get_mut(&key) {
            known.count = known.count.saturating_add(1);
            let patch = serde_json::json!({"count": known.count, "lastTimestamp": maru_time::rfc3339_seconds(now)});
            if api.patch(&known.name, &PatchParams::default(), &Patch::Merge(patch)).await.is_ok() {
                return Ok(());
            }
            // It has expired meanwhile: written anew below.
        }
        let object_name = note.object.name.clone().unwrap_or_default();
        let name = format!("{object_name}.{}", maru_ids::random_suffix(16));
        let event = Event {
            metadata: ObjectMeta { name: Some(name.clone()), namespace: Some(namespace), ..ObjectMeta::default() },
            involved_object: note.object.clone(),
            reason: Some(note.reason.to_owned()),
            message: Some(note.message.clone()),
            type_: Some(match note.severity {
                Severity::Normal => "Normal".to_owned(),
                Severity::Warning => "Warning".to_owned(),
            }),
            source: Some(EventSource { component: Some("kubelet".to_owned()), host: Some(self.node.clone()) }),
            reporting_component: Some("kubelet".to_owned()),
            reporting_instance: Some(self.node.clone()),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            count: Some(1),
            ..Event::default()
        };
        if self.written.len() >= REMEMBERED_MAX {
            self.written.clear();
        }
        api.create(&PostParams::default(), &event).await?;
        self.written.insert(key, Written { name, count: 1 });
        Ok(())
    }
}
