//! A watch cache that also sees our own writes at once.
//!
//! A reconciler that reads a cache which lags behind its own writes makes things twice. So every answer of a write is
//! put into the cache too, and the revision tells which of two states is newer: revisions of one API server are
//! comparable numbers (Kubernetes API concepts, "resource versions").

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use kube::Resource;
use tokio::sync::watch;

use super::MetaExt as _;

/// Names an object of a known kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// Empty for cluster-scoped kinds.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    pub(crate) fn of<K: Resource>(object: &K) -> Self {
        Self::new(
            object.meta().namespace.as_deref().unwrap_or_default(),
            object.meta().name.as_deref().unwrap_or_default(),
        )
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() {
            formatter.write_str(&self.name)
        } else {
            write!(formatter, "{}/{}", self.namespace, self.name)
        }
    }
}

/// One object before and after a change; absent before its creation and after its end.
#[derive(Debug)]
pub(crate) struct Change<K> {
    pub(crate) before: Option<Arc<K>>,
    pub(crate) after: Option<Arc<K>>,
}

impl<K> Change<K> {
    /// Both states, as far as there are any.
    pub(crate) fn states(&self) -> impl Iterator<Item = &Arc<K>> {
        self.before.iter().chain(self.after.iter())
    }
}

/// The cache's content; a protocol engine without IO.
#[derive(Debug)]
struct Content<K> {
    objects: BTreeMap<Key, Arc<K>>,
    /// The watch has told everything up to here.
    revision: u64,
    /// Uids of objects that we removed and whose end the watch has not told yet.
    gone: BTreeSet<String>,
}

impl<K> Default for Content<K> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), revision: 0, gone: BTreeSet::new() }
    }
}

impl<K: Resource> Content<K> {
    /// Takes a complete list as of `revision`.
    fn replaced(&mut self, list: Vec<Arc<K>>, revision: u64) -> Vec<Change<K>> {
        self.revision = self.revision.max(revision);
        let mut before = std::mem::take(&mut self.objects);
        let mut changes = Vec::new();
        let mut listed_gone = BTreeSet::new();
        for object in list {
            let key = Key::of(object.as_ref());
            if self.gone.contains(object.uid()) {
                listed_gone.insert(object.uid().to_owned());
                continue;
            }
            let known = before.remove(&key);
            match known {
                Some(known) if known.revision() >= object.revision() => {
                    self.objects.insert(key, known);
                }
                Some(_) | None => {
                    self.objects.insert(key, Arc::clone(&object));
                    changes.push(Change { before: known, after: Some(object) });
                }
            }
        }
        self.gone = listed_gone;
        for (key, known) in before {
            // Written by us after the list was made.
            if known.revision() > revision {
                self.objects.entry(key).or_insert(known);
            } else {
                changes.push(Change { before: Some(known), after: None });
            }
        }
        changes
    }

    /// Takes an added or modified object from the watch.
    fn told(&mut self, object: Arc<K>) -> Option<Change<K>> {
        self.revision = self.revision.max(object.revision());
        self.put(object)
    }

    /// Takes the answer of one of our writes.
    fn wrote(&mut self, object: Arc<K>) -> Option<Change<K>> {
        // The watch has already told of this write, and perhaps of the object's end.
        if object.revision() <= self.revision { None } else { self.put(object) }
    }

    fn put(&mut self, object: Arc<K>) -> Option<Change<K>> {
        let key = Key::of(object.as_ref());
        if self.gone.contains(object.uid()) {
            return None;
        }
        let before = self.objects.get(&key).cloned();
        if before.as_ref().is_some_and(|before| before.revision() >= object.revision()) {
            return None;
        }
        self.objects.insert(key, Arc::clone(&object));
        Some(Change { before, after: Some(object) })
    }

    /// Takes an object's end from the watch.
    fn told_end(&mut self, object: &K) -> Option<Change<K>> {
        self.revision = self.revision.max(object.revision());
        self.gone.remove(object.uid());
        self.remove(&Key::of(object), object.uid())
    }

    /// Takes the end of an object that we removed.
    fn removed(&mut self, key: &Key, uid: &str) -> Option<Change<K>> {
        let change = self.remove(key, uid)?;
        self.gone.insert(uid.to_owned());
        Some(change)
    }

    fn remove(&mut self, key: &Key, uid: &str) -> Option<Change<K>> {
        if self.objects.get(key).is_none_or(|known| known.uid() != uid) {
            return None;
        }
        self.objects.remove(key).map(|before| Change { before: Some(before), after: None })
    }
}

type Listener<K> = Box<dyn Fn(&Change<K>) + Send + Sync>;

/// The objects of one kind, kept up to date.
pub(crate) struct Cache<K> {
    content: RwLock<Content<K>>,
    listeners: Mutex<Vec<Listener<K>>>,
    synced: watch::Sender<bool>,
}

impl<K> std::fmt::Debug for Cache<K> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Cache")
    }
}

impl<K> Default for Cache<K> {
    fn default() -> Self {
        Self { content: RwLock::default(), listeners: Mutex::default(), synced: watch::Sender::new(false) }
    }
}

impl<K: Resource> Cache<K> {
    /// Calls `listener` after each change. It must be quick: it only adds keys to queues.
    pub(crate) fn on_change(&self, listener: impl Fn(&Change<K>) + Send + Sync + 'static) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(listener));
    }

    /// Waits until the first list has arrived.
    pub(crate) async fn wait_synced(&self) {
        // The sender lives as long as the cache: the only error cannot happen.
        drop(self.synced.subscribe().wait_for(|synced| *synced).await);
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.read(|content| content.objects.get(key).cloned())
    }

    /// All objects, sorted by namespace and name.
    pub(crate) fn all(&self) -> Vec<Arc<K>> {
        self.read(|content| content.objects.values().cloned().collect())
    }

    /// The objects of one namespace, sorted by name.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let first = Key::new(namespace, "");
        self.read(|content| {
            content
                .objects
                .range((Bound::Included(first), Bound::Unbounded))
                .take_while(|(key, _)| key.namespace == namespace)
                .map(|(_, object)| Arc::clone(object))
                .collect()
        })
    }

    pub(crate) fn replaced(&self, list: Vec<K>, revision: u64) {
        let list = list.into_iter().map(|object| Arc::new(slim(object))).collect();
        self.change(|content| content.replaced(list, revision));
        self.synced.send_replace(true);
    }

    pub(crate) fn told(&self, object: K) {
        let object = Arc::new(slim(object));
        self.change(|content| content.told(object));
    }

    pub(crate) fn told_end(&self, object: &K) {
        self.change(|content| content.told_end(object));
    }

    pub(crate) fn told_progress(&self, revision: u64) {
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        content.revision = content.revision.max(revision);
    }

    pub(crate) fn wrote(&self, object: K) -> Arc<K> {
        let object = Arc::new(slim(object));
        self.change(|content| content.wrote(Arc::clone(&object)));
        object
    }

    pub(crate) fn removed(&self, key: &Key, uid: &str) {
        self.change(|content| content.removed(key, uid));
    }

    fn read<R>(&self, read: impl FnOnce(&Content<K>) -> R) -> R {
        read(&self.content.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<C: IntoIterator<Item = Change<K>>>(&self, change: impl FnOnce(&mut Content<K>) -> C) {
        let changes = change(&mut self.content.write().unwrap_or_else(PoisonError::into_inner));
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            for listener in listeners.iter() {
                listener(&change);
            }
        }
    }
}

/// Drops what no controller reads and what takes the most memory.
fn slim<K: Resource>(mut object: K) -> K {
    object.meta_mut().managed_fields = None;
    object
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::ObjectMeta;

    use super::*;

    fn object(name: &str, uid: &str, revision: u64) -> Arc<ConfigMap> {
        Arc::new(ConfigMap {
            metadata: ObjectMeta {
                namespace: Some("shop".to_owned()),
                name: Some(name.to_owned()),
                uid: Some(uid.to_owned()),
                resource_version: Some(revision.to_string()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        })
    }

    fn revisions(content: &Content<ConfigMap>) -> Vec<(String, u64)> {
        content.objects.values().map(|object| (object.name().to_owned(), object.revision())).collect()
    }

    #[test]
    fn own_writes_are_seen_before_the_watch_tells_them() {
        let mut content = Content::default();
        assert!(content.wrote(object("a", "1", 5)).is_some());
        assert!(content.told(object("a", "1", 5)).is_none());
        assert_eq!(revisions(&content), [("a".to_owned(), 5)]);
    }

    #[test]
    fn a_late_answer_does_not_bring_a_deleted_object_back() {
        let mut content = Content::default();
        content.told(object("a", "1", 5));
        content.told_end(&object("a", "1", 6));
        assert!(content.wrote(object("a", "1", 5)).is_none());
        assert!(content.objects.is_empty());
    }

    #[test]
    fn a_removed_object_does_not_come_back_by_older_news() {
        let mut content = Content::default();
        content.told(object("a", "1", 5));
        assert!(content.removed(&Key::new("shop", "a"), "1").is_some());
        assert!(content.told(object("a", "1", 6)).is_none());
        assert!(content.objects.is_empty());
        assert!(content.told_end(&object("a", "1", 7)).is_none());
        assert!(content.gone.is_empty());
        // A new object of the same name is another object.
        assert!(content.told(object("a", "2", 8)).is_some());
    }

    #[test]
    fn the_end_of_an_old_object_leaves_its_successor() {
        let mut content = Content::default();
        content.told(object("a", "1", 5));
        content.wrote(object("a", "2", 9));
        assert!(content.told_end(&object("a", "1", 8)).is_none());
        assert_eq!(revisions(&content), [("a".to_owned(), 9)]);
    }

    #[test]
    fn a_new_list_keeps_newer_own_writes_and_drops_the_rest() {
        let mut content = Content::default();
        content.told(object("ended", "1", 5));
        content.told(object("changed", "2", 6));
        content.wrote(object("own", "3", 20));
        let changes = content.replaced(vec![object("changed", "2", 9), object("new", "4", 10)], 12);
        assert_eq!(changes.len(), 3);
        assert_eq!(revisions(&content), [("changed".to_owned(), 9), ("new".to_owned(), 10), ("own".to_owned(), 20)]);
    }
}
