//! Records Kubernetes events: what `kubectl describe` shows below an object.

use std::collections::VecDeque;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use kube::api::{Api, ObjectMeta, Patch};
use kube::{Client, Resource};
use maru_task::Scope;
use maru_time::{SharedClock, Timestamp};
use tokio::sync::mpsc;

use super::kind::{patch_params, post_params};
use super::{MetaExt as _, condition_time};

/// Whether an event tells of something expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventType {
    Normal,
    Warning,
}

impl EventType {
    fn text(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// The object that an event is about.
#[derive(Debug, Clone, PartialEq)]
struct Subject(ObjectReference);

impl Subject {
    fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        Self(ObjectReference {
            api_version: Some(K::api_version(&()).into_owned()),
            kind: Some(K::kind(&()).into_owned()),
            namespace: object.meta().namespace.clone(),
            name: object.meta().name.clone(),
            uid: object.meta().uid.clone(),
            resource_version: object.meta().resource_version.clone(),
            field_path: None,
        })
    }
}

#[derive(Debug)]
struct Happening {
    component: &'static str,
    subject: Subject,
    event_type: EventType,
    reason: String,
    message: String,
    at: Timestamp,
}

/// Takes events; writing them never delays a controller.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    component: &'static str,
    queue: mpsc::Sender<Happening>,
    clock: SharedClock,
}

/// Events that wait to be written. When full, further ones are dropped: they are a help, not a record.
const WAITING_MAX: usize = 1024;

impl Recorder {
    /// Starts the task that writes events.
    pub(crate) fn start(scope: &Scope, client: &Client, clock: &SharedClock) -> Self {
        let (queue, incoming) = mpsc::channel(WAITING_MAX);
        drop(scope.spawn_until_cancelled("events", write_events(client.clone(), incoming)));
        Self { component: "", queue, clock: Arc::clone(clock) }
    }

    /// Returns a recorder that speaks for a component.
    pub(crate) fn of_component(&self, component: &'static str) -> Self {
        Self { component, ..self.clone() }
    }

    pub(crate) fn record<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        event_type: EventType,
        reason: &str,
        message: String,
    ) {
        let happening = Happening {
            component: self.component,
            subject: Subject::of(object),
            event_type,
            reason: reason.to_owned(),
            message,
            at: self.clock.now(),
        };
        if self.queue.try_send(happening).is_err() {
            tracing::debug!(reason, "event dropped: too many wait to be written");
        }
    }

    pub(crate) fn normal<K: Resource<DynamicType = ()>>(&self, object: &K, reason: &str, message: String) {
        self.record(object, EventType::Normal, reason, message);
    }

    pub(crate) fn warning<K: Resource<DynamicType = ()>>(&self, object: &K, reason: &str, message: String) {
        self.record(object, EventType::Warning, reason, message);
    }
}

/// Repeats of the same event that are remembered.
const REMEMBERED_MAX: usize = 1024;

/// What makes two events the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sameness {
    component: &'static str,
    uid: Option<String>,
    reason: String,
    message: String,
}

#[derive(Debug)]
struct Remembered {
    sameness: Sameness,
    namespace: String,
    name: String,
    count: i32,
}

/// Repeats add to the count of the event that was written first.
#[derive(Debug, Default)]
struct Memory(VecDeque<Remembered>);

impl Memory {
    /// Counts a repeat of a remembered event.
    fn repeat(&mut self, sameness: &Sameness) -> Option<&Remembered> {
        let index = self.0.iter().position(|one| one.sameness == *sameness)?;
        let mut found = self.0.remove(index)?;
        found.count = found.count.saturating_add(1);
        self.0.push_back(found);
        self.0.back()
    }

    fn remember(&mut self, one: Remembered) {
        if self.0.len() >= REMEMBERED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(one);
    }

    fn forget(&mut self, sameness: &Sameness) {
        self.0.retain(|one| one.sameness != *sameness);
    }
}

async fn write_events(client: Client, mut incoming: mpsc::Receiver<Happening>) {
    let mut memory = Memory::default();
    while let Some(happening) = incoming.recv().await {
        if let Err(error) = write_event(&client, &mut memory, happening).await {
            // In an ending namespace nothing can be created.
            tracing::debug!(%error, "event not written");
        }
    }
}

async fn write_event(client: &Client, memory: &mut Memory, happening: Happening) -> kube::Result<()> {
    let sameness = Sameness {
        component: happening.component,
        uid: happening.subject.0.uid.clone(),
        reason: happening.reason.clone(),
        message: happening.message.clone(),
    };
    if let Some(known) = memory.repeat(&sameness) {
        let api = Api::<Event>::namespaced(client.clone(), &known.namespace);
        let patch = serde_json::json!({"count": known.count, "lastTimestamp": condition_time(happening.at)});
        match api.patch(&known.name, &patch_params(), &Patch::Merge(&patch)).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => memory.forget(&sameness),
            Err(error) => return Err(error),
        }
    }
    let event = new_event(happening);
    let written = Api::<Event>::namespaced(client.clone(), event.namespace()).create(&post_params(), &event).await?;
    memory.remember(Remembered {
        sameness,
        namespace: written.namespace().to_owned(),
        name: written.name().to_owned(),
        count: 1,
    });
    Ok(())
}

fn new_event(happening: Happening) -> Event {
    let subject = happening.subject.0;
    // Events of cluster-scoped objects live in the default namespace.
    let namespace = subject.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let name = format!("{}.{}", subject.name.as_deref().unwrap_or_default(), maru_ids::random_suffix(16));
    let at = condition_time(happening.at);
    Event {
        metadata: ObjectMeta { name: Some(name), namespace: Some(namespace), ..ObjectMeta::default() },
        involved_object: subject,
        reason: Some(happening.reason),
        message: Some(happening.message),
        type_: Some(happening.event_type.text().to_owned()),
        source: Some(EventSource { component: Some(happening.component.to_owned()), host: None }),
        reporting_component: Some(happening.component.to_owned()),
        reporting_instance: Some(String::new()),
        count: Some(1),
        first_timestamp: Some(at.clone()),
        last_timestamp: Some(at),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sameness(message: &str) -> Sameness {
        Sameness {
            component: "test",
            uid: Some("u".to_owned()),
            reason: "Failed".to_owned(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn repeats_are_counted_and_memory_is_bounded() {
        let mut memory = Memory::default();
        for number in 0..REMEMBERED_MAX + 10 {
            let sameness = sameness(&number.to_string());
            assert!(memory.repeat(&sameness).is_none());
            memory.remember(Remembered { sameness, namespace: String::new(), name: String::new(), count: 1 });
        }
        assert_eq!(memory.0.len(), REMEMBERED_MAX);
        assert!(memory.repeat(&sameness("3")).is_none());
        assert_eq!(memory.repeat(&sameness("500")).map(|one| one.count), Some(2));
        assert_eq!(memory.repeat(&sameness("500")).map(|one| one.count), Some(3));
    }
}
