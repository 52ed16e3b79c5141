//! Keeps the objects of one kind at hand as the API server has them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{Api, DynamicObject};
use kube::runtime::watcher::{self, Event, watcher};
use maru_api::{Object, Spec};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

/// Pauses between tries of a watch that fails.
const WATCH_RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Namespace and name.
pub(crate) type Key = (String, String);

/// An object of ours as it was read: its generation and status are known also when its specification is not understood.
#[derive(Debug, Clone)]
pub(crate) struct Seen<S: Spec> {
    pub(crate) object: Result<Object<S>, String>,
    pub(crate) generation: Option<i64>,
    pub(crate) status: serde_json::Value,
}

/// The objects of one kind as last seen.
#[derive(Debug)]
pub(crate) struct Followed<T> {
    objects: Mutex<BTreeMap<Key, Arc<T>>>,
    synced: AtomicBool,
}

impl<T> Default for Followed<T> {
    fn default() -> Self {
        Self { objects: Mutex::default(), synced: AtomicBool::new(false) }
    }
}

impl<T> Followed<T> {
    /// Returns all of them, sorted by namespace and name.
    pub(crate) fn all(&self) -> BTreeMap<Key, Arc<T>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn is_synced(&self) -> bool {
        self.synced.load(Ordering::Acquire)
    }
}

/// Reads an object of one of our kinds.
pub(crate) fn read<S: Spec>(object: &DynamicObject) -> Option<Seen<S>> {
    let whole = serde_json::to_value(object).ok()?;
    let status = object.data.get("status").cloned().unwrap_or_default();
    let without_status = {
        let mut whole = whole;
        if let Some(fields) = whole.as_object_mut() {
            fields.remove("status");
        }
        whole
    };
    let object_read = serde_json::from_value::<Object<S>>(without_status).map_err(|error| error.to_string());
    Some(Seen { object: object_read, generation: object.metadata.generation, status })
}

/// Keeps `followed` at what the API server has, for as long as it runs. `keep` takes what is needed of an object.
pub(crate) async fn follow<K, T>(
    api: Api<K>,
    followed: Arc<Followed<T>>,
    changed: Arc<Notify>,
    keep: fn(&K) -> Option<T>,
) where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
    let mut arriving = BTreeMap::new();
    let mut pause = WATCH_RETRY.0;
    while let Some(event) = events.next().await {
        let mut objects = followed.objects.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Ok(Event::Init) => arriving.clear(),
            Ok(Event::InitApply(object)) => {
                if let Some(kept) = keep(&object) {
                    arriving.insert(key_of(&object), Arc::new(kept));
                }
            }
            Ok(Event::InitDone) => {
                *objects = std::mem::take(&mut arriving);
                followed.synced.store(true, Ordering::Release);
                pause = WATCH_RETRY.0;
                changed.notify_one();
            }
            Ok(Event::Apply(object)) => {
                match keep(&object) {
                    Some(kept) => drop(objects.insert(key_of(&object), Arc::new(kept))),
                    None => drop(objects.remove(&key_of(&object))),
                }
                changed.notify_one();
            }
            Ok(Event::Delete(object)) => {
                objects.remove(&key_of(&object));
                changed.notify_one();
            }
            Err(error) => {
                drop(objects);
                tracing::debug!(%error, "a watch of the process room failed; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(WATCH_RETRY.1);
            }
        }
    }
}

fn key_of<K: kube::Resource>(object: &K) -> Key {
    let metadata = object.meta();
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}
