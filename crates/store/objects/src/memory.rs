//! All objects and the recent history, in memory. Pure: no disk, no waiting.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::errors::Expired;
use crate::types::{Durability, Event, EventKind, Key, Page, PageRequest, Record, Revision, Snapshot};

/// How much history is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub events_max: usize,
    pub bytes_max: usize,
    pub age: Duration,
}

/// An object with the class that its first write chose.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub record: Arc<Record>,
    pub durability: Durability,
}

/// A change that is published, with its class.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub kind: EventKind,
    pub record: Arc<Record>,
    pub durability: Durability,
}

/// The objects of one resource, by namespace and name, with their recent events.
#[derive(Debug)]
struct Resource {
    records: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Stored>>,
    count: usize,
    events: VecDeque<Event>,
    /// All events that are newer than this are in `events`.
    floor: Revision,
    changed: tokio::sync::watch::Sender<Revision>,
}

impl Resource {
    fn new(floor: Revision) -> Self {
        Self {
            records: BTreeMap::new(),
            count: 0,
            events: VecDeque::new(),
            floor,
            changed: tokio::sync::watch::Sender::new(Revision::ZERO),
        }
    }

    fn get(&self, namespace: &str, name: &str) -> Option<&Stored> {
        self.records.get(namespace)?.get(name)
    }

    fn set(&mut self, stored: Stored) {
        let key = &stored.record.key;
        let names = self.records.entry(Arc::clone(&key.namespace)).or_default();
        if names.insert(Arc::clone(&key.name), stored).is_none() {
            self.count += 1;
        }
    }

    fn unset(&mut self, key: &Key) {
        let Some(names) = self.records.get_mut(&key.namespace) else { return };
        if names.remove(&key.name).is_some() {
            self.count -= 1;
        }
        if names.is_empty() {
            self.records.remove(&key.namespace);
        }
    }

    /// All records of a namespace or of all, behind a position.
    fn behind(&self, namespace: Option<&str>, after: Option<(&str, &str)>) -> Vec<Arc<Record>> {
        let namespaces: (Bound<&str>, Bound<&str>) = match (namespace, after) {
            (Some(namespace), _) => (Bound::Included(namespace), Bound::Included(namespace)),
            (None, Some((namespace, _))) => (Bound::Included(namespace), Bound::Unbounded),
            (None, None) => (Bound::Unbounded, Bound::Unbounded),
        };
        let mut found = Vec::with_capacity(self.count);
        for (namespace, names) in self.records.range::<str, _>(namespaces) {
            let from = match after {
                Some((after_namespace, after_name)) if **namespace == *after_namespace => Bound::Excluded(after_name),
                Some((after_namespace, _)) if **namespace < *after_namespace => continue,
                _ => Bound::Unbounded,
            };
            found.extend(names.range::<str, _>((from, Bound::Unbounded)).map(|(_, stored)| Arc::clone(&stored.record)));
        }
        found
    }
}

/// Where an event is, in the order in which all events leave the window.
#[derive(Debug)]
struct Position {
    resource: Arc<str>,
    bytes: usize,
    at: Instant,
    durability: Durability,
}

/// All objects, the published revision and the history window.
#[derive(Debug)]
pub(crate) struct Memory {
    resources: BTreeMap<Arc<str>, Resource>,
    revision: Revision,
    order: VecDeque<Position>,
    bytes: usize,
    window: Window,
    /// The floor of resources that nothing was ever forgotten of.
    base_floor: Revision,
    /// The newest revision whose event was forgotten.
    forgotten: Revision,
    /// Log rows that no reader can ask for any more.
    obsolete: VecDeque<Revision>,
    closed: bool,
}

/// What an event costs beside its value: an estimate of keys and pointers.
const EVENT_BYTES: usize = 256;

impl Memory {
    pub(crate) fn new(window: Window, base_floor: Revision) -> Self {
        Self {
            resources: BTreeMap::new(),
            revision: base_floor,
            order: VecDeque::new(),
            bytes: 0,
            window,
            base_floor,
            forgotten: base_floor,
            obsolete: VecDeque::new(),
            closed: false,
        }
    }

    fn resource_mut(&mut self, name: &Arc<str>) -> &mut Resource {
        let floor = self.base_floor;
        self.resources.entry(Arc::clone(name)).or_insert_with(|| Resource::new(floor))
    }

    /// Adds an object that was there before the history begins. A version that it replaces is obsolete on disk.
    pub(crate) fn load(&mut self, record: Arc<Record>, durability: Durability) {
        self.revision = self.revision.max(record.revision);
        self.obsolete.extend(self.stored(&record.key).map(|replaced| replaced.record.revision));
        let resource = Arc::clone(&record.key.resource);
        self.resource_mut(&resource).set(Stored { record, durability });
    }

    /// Removes an object whose deletion was before the history begins.
    pub(crate) fn unload(&mut self, deletion: &Record) {
        self.revision = self.revision.max(deletion.revision);
        self.obsolete.extend(self.stored(&deletion.key).map(|replaced| replaced.record.revision));
        self.obsolete.push_back(deletion.revision);
        self.resource_mut(&Arc::clone(&deletion.key.resource)).unset(&deletion.key);
    }

    /// Declares that events of a resource before `floor` may be missing.
    pub(crate) fn raise_floor(&mut self, resource: &Arc<str>, floor: Revision) {
        let resource = self.resource_mut(resource);
        resource.floor = resource.floor.max(floor);
    }

    /// Moves the published revision forward without a change.
    pub(crate) fn advance(&mut self, revision: Revision) {
        self.revision = self.revision.max(revision);
    }

    /// Makes changes visible. Their revisions grow and are newer than all published before.
    pub(crate) fn publish(&mut self, changes: impl IntoIterator<Item = Change>, now: Instant) {
        for change in changes {
            self.publish_one(change, now);
        }
        self.trim(now);
    }

    fn publish_one(&mut self, change: Change, now: Instant) {
        let Change { kind, record, durability } = change;
        debug_assert!(record.revision > self.revision, "revisions are published in order");
        let revision = record.revision;
        let name = Arc::clone(&record.key.resource);
        let bytes = record.value.len() + EVENT_BYTES;
        let resource = self.resource_mut(&name);
        let previous = resource.get(&record.key.namespace, &record.key.name).map(|stored| Arc::clone(&stored.record));
        match kind {
            EventKind::Created | EventKind::Updated => resource.set(Stored { record: Arc::clone(&record), durability }),
            EventKind::Deleted => resource.unset(&record.key),
        }
        resource.events.push_back(Event { revision, kind, record, previous });
        resource.changed.send_replace(revision);
        self.revision = revision;
        self.bytes += bytes;
        self.order.push_back(Position { resource: name, bytes, at: now, durability });
    }

    fn trim(&mut self, now: Instant) {
        while let Some(oldest) = self.order.front() {
            let over = self.order.len() > self.window.events_max || self.bytes > self.window.bytes_max;
            if !over && now.duration_since(oldest.at) <= self.window.age {
                break;
            }
            self.forget_oldest();
        }
    }

    /// Forgets all events up to a revision.
    pub(crate) fn compact(&mut self, through: Revision) {
        let through = through.min(self.revision);
        while let Some(position) = self.order.front() {
            let oldest = self.resources.get(&position.resource).and_then(|resource| resource.events.front());
            if oldest.is_none_or(|event| event.revision > through) {
                break;
            }
            self.forget_oldest();
        }
        self.base_floor = self.base_floor.max(through);
        self.forgotten = self.forgotten.max(through);
        for resource in self.resources.values_mut() {
            resource.floor = resource.floor.max(through);
        }
    }

    fn forget_oldest(&mut self) {
        let Some(position) = self.order.pop_front() else { return };
        self.bytes -= position.bytes;
        let Some(resource) = self.resources.get_mut(&position.resource) else { return };
        let Some(event) = resource.events.pop_front() else { return };
        resource.floor = resource.floor.max(event.revision);
        self.forgotten = self.forgotten.max(event.revision);
        if position.durability == Durability::Durable {
            self.obsolete.extend(event.previous.map(|previous| previous.revision));
            if event.kind == EventKind::Deleted {
                self.obsolete.push_back(event.revision);
            }
        }
    }

    /// Takes at most `limit` log rows that can be deleted, oldest first, with the revision that history then begins at.
    pub(crate) fn take_obsolete(&mut self, limit: usize) -> (Vec<Revision>, Revision) {
        let count = limit.min(self.obsolete.len());
        (self.obsolete.drain(..count).collect(), self.forgotten)
    }

    /// Gives rows back whose deletion failed.
    pub(crate) fn return_obsolete(&mut self, rows: Vec<Revision>) {
        for row in rows.into_iter().rev() {
            self.obsolete.push_front(row);
        }
    }

    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    pub(crate) fn history_len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn stored(&self, key: &Key) -> Option<&Stored> {
        self.resources.get(&key.resource)?.get(&key.namespace, &key.name)
    }

    pub(crate) fn count(&self, resource: &str) -> usize {
        self.resources.get(resource).map_or(0, |resource| resource.count)
    }

    pub(crate) fn resource_names(&self) -> Vec<Arc<str>> {
        self.resources.iter().filter(|(_, resource)| resource.count > 0).map(|(name, _)| Arc::clone(name)).collect()
    }

    pub(crate) fn list(&self, resource: &str, namespace: Option<&str>) -> Snapshot {
        let records = self.resources.get(resource).map_or_else(Vec::new, |resource| resource.behind(namespace, None));
        Snapshot { revision: self.revision, records }
    }

    pub(crate) fn list_page(
        &self,
        name: &str,
        namespace: Option<&str>,
        request: &PageRequest,
    ) -> Result<Page, Expired> {
        let revision = request.revision.unwrap_or(self.revision);
        let resource = self.resources.get(name);
        self.check_revision(resource, revision)?;
        let Some(resource) = resource else { return Ok(Page { revision, records: Vec::new(), remaining: 0 }) };
        let after = request.after.as_ref().map(|(namespace, name)| (namespace.as_str(), name.as_str()));
        let mut records = resource.behind(namespace, after);
        let newer = resource.events.partition_point(|event| event.revision <= revision);
        if newer < resource.events.len() {
            // The first change after the revision knows what was there before it.
            let mut then: BTreeMap<(&str, &str), Option<&Arc<Record>>> = BTreeMap::new();
            for event in resource.events.range(newer..) {
                let key = (&*event.record.key.namespace, &*event.record.key.name);
                then.entry(key).or_insert(event.previous.as_ref());
            }
            records.retain(|record| !then.contains_key(&(&*record.key.namespace, &*record.key.name)));
            let wanted = |key: &(&str, &str)| {
                namespace.is_none_or(|namespace| namespace == key.0) && after.is_none_or(|after| *key > after)
            };
            records.extend(then.iter().filter(|(key, _)| wanted(key)).filter_map(|(_, record)| record.cloned()));
            records.sort_by(|a, b| (&a.key.namespace, &a.key.name).cmp(&(&b.key.namespace, &b.key.name)));
        }
        let limit = if request.limit == 0 { records.len() } else { request.limit };
        let remaining = records.len().saturating_sub(limit);
        records.truncate(limit);
        Ok(Page { revision, records, remaining })
    }

    fn check_revision(&self, resource: Option<&Resource>, revision: Revision) -> Result<(), Expired> {
        let oldest = resource.map_or(self.base_floor, |resource| resource.floor);
        if revision < oldest || revision > self.revision {
            return Err(Expired { requested: revision, oldest });
        }
        Ok(())
    }

    /// Returns what wakes readers of a resource's changes, if `after` can be continued from.
    pub(crate) fn subscribe(
        &mut self,
        resource: &Arc<str>,
        after: Revision,
    ) -> Result<tokio::sync::watch::Receiver<Revision>, Expired> {
        let found = self.resource_mut(resource);
        let (oldest, receiver) = (found.floor, found.changed.subscribe());
        if after < oldest || after > self.revision {
            return Err(Expired { requested: after, oldest });
        }
        Ok(receiver)
    }

    /// Returns at most `limit` events of a resource that are newer than `after`, and up to where they reach.
    pub(crate) fn events_after(
        &self,
        resource: &str,
        namespace: Option<&str>,
        after: Revision,
        limit: usize,
    ) -> Result<(VecDeque<Event>, Revision), Expired> {
        let Some(resource) = self.resources.get(resource) else { return Ok((VecDeque::new(), self.revision)) };
        if after < resource.floor {
            return Err(Expired { requested: after, oldest: resource.floor });
        }
        let start = resource.events.partition_point(|event| event.revision <= after);
        let mut found = VecDeque::new();
        for event in resource.events.range(start..) {
            if namespace.is_none_or(|namespace| *namespace == *event.record.key.namespace) {
                found.push_back(event.clone());
                if found.len() == limit {
                    return Ok((found, event.revision));
                }
            }
        }
        Ok((found, self.revision))
    }

    /// Returns the revision up to which there is nothing newer than `after` for a resource.
    pub(crate) fn quiet_through(&self, resource: &str, after: Revision) -> Revision {
        let last = self.resources.get(resource).and_then(|resource| resource.events.back());
        if last.is_some_and(|event| event.revision > after) { after } else { self.revision.max(after) }
    }

    /// Ends all watches once they have delivered what there is.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        for resource in self.resources.values() {
            resource.changed.send_modify(|_| {});
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }
}
