//! Keeps the objects of one kind at hand as the API server has them, and says which of them changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{Api, DynamicObject};
use kube::runtime::watcher::{self, Event, watcher};
use maru_api::{Object, RequirementSpec, Spec};
use maru_requirements::{Item, ItemError, item_from_value};
use maru_time::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Notify;

/// Pauses between tries of a watch that fails.
const WATCH_RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// When the file of a requirement was committed, as git tells: times with commas between them, the first one first.
pub(crate) const HISTORY: &str = "maru.dev/history";

/// Namespace and name.
pub(crate) type Key = (String, String);

/// All objects of one kind.
pub(crate) type All<T> = BTreeMap<Key, Arc<T>>;

/// An object of ours as it was read: its generation and status are known also when its specification is not understood.
#[derive(Debug, Clone)]
pub(crate) struct Seen<S: Spec> {
    pub(crate) spec: Result<S, String>,
    pub(crate) generation: Option<i64>,
    pub(crate) status: Value,
}

impl<S: Spec> From<Object<S>> for Seen<S> {
    fn from(object: Object<S>) -> Self {
        Self { generation: object.metadata.generation, status: Value::Null, spec: Ok(object.spec) }
    }
}

/// A requirement, and the item that it is when it is read as text.
#[derive(Debug, Clone)]
pub(crate) struct SeenRequirement {
    pub(crate) seen: Seen<RequirementSpec>,
    pub(crate) item: Result<Arc<Item>, Vec<ItemError>>,
    pub(crate) created: Option<Timestamp>,
    /// When its file was committed, the first time first.
    pub(crate) history: Vec<Timestamp>,
}

/// The objects of one kind, between two looks at them.
#[derive(Debug)]
struct Pending<T> {
    /// All objects, when they were listed anew.
    listed: Option<All<T>>,
    changed: BTreeMap<Key, Option<Arc<T>>>,
}

/// What became of the objects of one kind since they were looked at last.
#[derive(Debug)]
pub(crate) struct Followed<T> {
    pending: Mutex<Pending<T>>,
    synced: AtomicBool,
}

impl<T> Default for Followed<T> {
    fn default() -> Self {
        let pending = Pending { listed: None, changed: BTreeMap::new() };
        Self { pending: Mutex::new(pending), synced: AtomicBool::new(false) }
    }
}

impl<T> Followed<T> {
    /// Brings `all` up to date; returns what changed, came or went.
    pub(crate) fn take(&self, all: &mut All<T>) -> BTreeSet<Key> {
        let (listed, changed) = {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            (pending.listed.take(), std::mem::take(&mut pending.changed))
        };
        let mut keys: BTreeSet<Key> = changed.keys().cloned().collect();
        if let Some(listed) = listed {
            keys.extend(all.keys().cloned());
            keys.extend(listed.keys().cloned());
            *all = listed;
        }
        for (key, object) in changed {
            match object {
                Some(object) => drop(all.insert(key, object)),
                None => drop(all.remove(&key)),
            }
        }
        keys
    }

    pub(crate) fn is_synced(&self) -> bool {
        self.synced.load(Ordering::Acquire)
    }
}

impl<T: PartialEq> Followed<T> {
    /// Brings `all` up to date; tells whether anything of what is kept is another now.
    pub(crate) fn take_other(&self, all: &mut All<T>) -> bool {
        let before = {
            let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            let known = |key: &Key| (key.clone(), all.get(key).cloned());
            match &pending.listed {
                Some(_) => None,
                None => Some(pending.changed.keys().map(known).collect::<BTreeMap<_, _>>()),
            }
        };
        let keys = self.take(all);
        let is_other = |key: &Key| {
            before.as_ref().is_none_or(|before| before.get(key).is_none_or(|one| one.as_ref() != all.get(key)))
        };
        keys.iter().any(is_other)
    }
}

/// Reads an object of one of our kinds.
pub(crate) fn read<S: Spec>(object: &DynamicObject) -> Option<Seen<S>> {
    let spec = object.data.get("spec").unwrap_or(&Value::Null);
    Some(Seen {
        spec: S::deserialize(spec).map_err(|error| error.to_string()),
        generation: object.metadata.generation,
        status: object.data.get("status").cloned().unwrap_or_default(),
    })
}

/// Reads a requirement, also as an item.
pub(crate) fn read_requirement(object: &DynamicObject) -> Option<SeenRequirement> {
    let written = json!({"metadata": {"name": object.metadata.name}, "spec": object.data.get("spec")});
    let history = object.metadata.annotations.as_ref().and_then(|all| all.get(HISTORY));
    let times = history.iter().flat_map(|text| text.split(',')).filter_map(|time| time.trim().parse().ok());
    Some(SeenRequirement {
        seen: read(object)?,
        item: item_from_value(&written).map(Arc::new),
        created: object.metadata.creation_timestamp.as_ref().map(|time| time.0),
        history: times.collect(),
    })
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
    let pending = || followed.pending.lock().unwrap_or_else(PoisonError::into_inner);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => arriving.clear(),
            Ok(Event::InitApply(object)) => {
                if let Some(kept) = keep(&object) {
                    arriving.insert(key_of(&object), Arc::new(kept));
                }
            }
            Ok(Event::InitDone) => {
                *pending() = Pending { listed: Some(std::mem::take(&mut arriving)), changed: BTreeMap::new() };
                followed.synced.store(true, Ordering::Release);
                pause = WATCH_RETRY.0;
                changed.notify_one();
            }
            Ok(Event::Apply(object)) => {
                let kept = keep(&object).map(Arc::new);
                pending().changed.insert(key_of(&object), kept);
                changed.notify_one();
            }
            Ok(Event::Delete(object)) => {
                pending().changed.insert(key_of(&object), None);
                changed.notify_one();
            }
            Err(error) => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_once_and_a_new_list_tells_of_all() {
        let key = |name: &str| ("shop".to_owned(), name.to_owned());
        let followed: Followed<u8> = Followed::default();
        let mut all = All::default();
        let list = |names: &[(&str, u8)]| names.iter().map(|(name, value)| (key(name), Arc::new(*value))).collect();
        followed.pending.lock().unwrap().listed = Some(list(&[("a", 1), ("b", 1)]));
        assert_eq!(followed.take(&mut all), BTreeSet::from([key("a"), key("b")]));
        assert!(followed.take(&mut all).is_empty());
        followed.pending.lock().unwrap().changed = BTreeMap::from([(key("a"), None), (key("c"), Some(Arc::new(2)))]);
        assert_eq!(followed.take(&mut all), BTreeSet::from([key("a"), key("c")]));
        assert_eq!(all.keys().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), ["b", "c"]);
        followed.pending.lock().unwrap().listed = Some(list(&[("d", 1)]));
        assert_eq!(followed.take(&mut all), BTreeSet::from([key("b"), key("c"), key("d")]));
        assert_eq!(all.len(), 1);
    }
}
