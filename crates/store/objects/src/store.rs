//! The store's front.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use maru_telemetry::Registry;

use crate::errors::{CommitError, Expired, OpenError};
use crate::types::{Key, Page, PageRequest, Record, Revision, Sealer, Snapshot, Write};
use crate::watch::Watcher;

/// How a store is opened.
#[derive(Clone)]
pub struct StoreOptions {
    /// Where its files are; created (0700) when missing.
    pub directory: PathBuf,
    /// Encrypts values on disk.
    pub sealer: Option<Arc<dyn Sealer>>,
    /// How many past events of all resources together are kept for watchers and for pages at older revisions.
    pub history_events_max: usize,
    /// How many bytes of values the history may hold.
    pub history_bytes_max: usize,
    /// How long an event is kept at least, within the two limits above; older ones leave at the next write.
    pub history_age: Duration,
    /// The largest value in bytes.
    pub value_bytes_max: usize,
    /// Where the store's metrics are registered.
    pub registry: Registry,
}

impl StoreOptions {
    /// Returns the usual options for a directory.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            sealer: None,
            history_events_max: 20_000,
            history_bytes_max: 64 * 1024 * 1024,
            history_age: Duration::from_secs(300),
            value_bytes_max: 3 * 1024 * 1024,
            registry: Registry::default(),
        }
    }
}

impl std::fmt::Debug for StoreOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StoreOptions").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// Objects under one revision. Clones share the store; it closes when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Store {}

impl Store {
    /// Opens or creates the store of a directory and reads all objects into memory. Blocks on the disk.
    ///
    /// # Errors
    /// When the directory is in use, not writable or damaged.
    pub fn open(_options: StoreOptions) -> Result<Self, OpenError> {
        todo!()
    }

    /// Returns the object's current version.
    #[must_use]
    pub fn get(&self, _key: &Key) -> Option<Arc<Record>> {
        todo!()
    }

    /// Returns all objects of a resource, in one namespace or in all.
    #[must_use]
    pub fn list(&self, _resource: &str, _namespace: Option<&str>) -> Snapshot {
        todo!()
    }

    /// Returns a part of a list, consistent at one revision.
    ///
    /// # Errors
    /// When the revision has left the history window, or lies in the future.
    pub fn list_page(&self, _resource: &str, _namespace: Option<&str>, _request: &PageRequest) -> Result<Page, Expired> {
        todo!()
    }

    /// Does one write and returns the new version (of a deletion: the last content at the deletion's revision) once it
    /// is durable, or written when ephemeral.
    ///
    /// # Errors
    /// When the expectation does not hold, or the disk refuses.
    ///
    /// # Cancel safety
    /// A dropped call leaves open whether the write happens.
    pub async fn commit(&self, _write: Write) -> Result<Arc<Record>, CommitError> {
        todo!()
    }

    /// Starts delivering the changes of a resource, in one namespace or in all, that are newer than `after`.
    ///
    /// # Errors
    /// When changes newer than `after` have left the history window, or `after` lies in the future.
    pub fn watch(&self, _resource: &str, _namespace: Option<&str>, _after: Revision) -> Result<Watcher, Expired> {
        todo!()
    }

    /// Returns the current revision: everything up to it can be read and watched.
    #[must_use]
    pub fn progress(&self) -> Revision {
        todo!()
    }

    /// Forgets the history up to `through`, as the store does by itself by age and size. On disk it goes with later writes.
    pub fn compact(&self, _through: Revision) {
        todo!()
    }

    /// Returns the names of all resources that have objects, sorted.
    #[must_use]
    pub fn resources(&self) -> Vec<Arc<str>> {
        todo!()
    }

    /// Returns how many objects of a resource there are.
    #[must_use]
    pub fn count(&self, _resource: &str) -> usize {
        todo!()
    }

    /// Returns why the store stopped accepting writes, if it did.
    #[must_use]
    pub fn broken(&self) -> Option<Arc<str>> {
        todo!()
    }

    /// Stops accepting writes, finishes those accepted and closes the files. Blocks on the disk.
    pub fn close(&self) {
        todo!()
    }
}
