//! What goes into the store and what comes out of it.

use std::sync::Arc;

use bytes::Bytes;

/// A point in the history of all objects; every write makes a new one. Grows, with gaps, over restarts and crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl Revision {
    /// Before everything.
    pub const ZERO: Self = Self(0);
}

impl std::fmt::Display for Revision {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::str::FromStr for Revision {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Names one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Group and plural, such as `apps/deployments`, or the plural alone in the core group, such as `pods`.
    pub resource: Arc<str>,
    /// Empty when cluster-scoped.
    pub namespace: Arc<str>,
    /// The object's name.
    pub name: Arc<str>,
}

impl Key {
    /// Returns the key of an object; `namespace` is empty when cluster-scoped.
    #[must_use]
    pub fn new(resource: &str, namespace: &str, name: &str) -> Self {
        Self { resource: resource.into(), namespace: namespace.into(), name: name.into() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() {
            write!(formatter, "{}/{}", self.resource, self.name)
        } else {
            write!(formatter, "{}/{}/{}", self.resource, self.namespace, self.name)
        }
    }
}

/// One version of one object. Shared as `Arc<Record>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which object.
    pub key: Key,
    /// The revision of this version; of a deleted object: that of its deletion.
    pub revision: Revision,
    /// The revision of the object's first version.
    pub created_revision: Revision,
    /// The object as JSON, without `metadata.resourceVersion`. Of a deleted object: its last content.
    pub value: Bytes,
}

/// What a write expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The object does not exist.
    Absent,
    /// The object exists in exactly this version.
    Revision(Revision),
    /// Anything, for `Put` also nothing.
    Any,
}

/// What a write does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Creates the object or replaces its content.
    Put(Bytes),
    /// Removes the object. Its deletion is watched with the last content.
    Delete,
    /// Removes the object, with this content as the last one that watchers see.
    DeleteWith(Bytes),
}

/// What a write survives. The write that creates an object decides for the object's whole life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Acknowledged means synced to the disk.
    #[default]
    Durable,
    /// Survives the process, not the machine: leases, heartbeats, events. Never waits for a sync.
    Ephemeral,
}

/// One write to one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Which object.
    pub key: Key,
    /// What must be there for the write to happen.
    pub expected: Expected,
    /// What happens.
    pub change: Change,
    /// What it survives.
    pub durability: Durability,
}

/// All objects of a resource at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Everything up to this revision is in `records`; watch from here.
    pub revision: Revision,
    /// Sorted by namespace, then name.
    pub records: Vec<Arc<Record>>,
}

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageRequest {
    /// The revision to list at; now when `None`.
    pub revision: Option<Revision>,
    /// Starts behind this namespace and name.
    pub after: Option<(String, String)>,
    /// At most this many; 0 is no limit.
    pub limit: usize,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The revision that the page shows.
    pub revision: Revision,
    /// Sorted by namespace, then name.
    pub records: Vec<Arc<Record>>,
    /// How many follow behind the page.
    pub remaining: usize,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It came into being.
    Created,
    /// Its content was replaced.
    Updated,
    /// It was removed.
    Deleted,
}

/// One change of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub revision: Revision,
    /// What.
    pub kind: EventKind,
    /// The object after the change; for a deletion its last content, at the deletion's revision.
    pub record: Arc<Record>,
    /// The object before the change.
    pub previous: Option<Arc<Record>>,
}

/// Encrypts values on disk; memory holds them plain.
pub trait Sealer: Send + Sync {
    /// Returns the sealed value, or `None` when values of this key are stored plain.
    fn seal(&self, key: &Key, plain: &[u8]) -> Option<Vec<u8>>;

    /// Returns the plain value, or `None` when it was not sealed by this sealer for this key.
    fn open(&self, key: &Key, sealed: &[u8]) -> Option<Vec<u8>>;
}
