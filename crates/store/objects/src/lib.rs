//! Keeps Kubernetes objects under one global revision: compare-and-swap, lists, watches, history.
//!
//! Owns: the object database, the global revision, the history window, group commit, compaction.
//! Never: serves HTTP, understands an object's content, lets a reader wait for the disk.
//! Source: docs/formats/objects.md; SQLite "Write-Ahead Logging"; Kubernetes API concepts, "Resource versions".
//!
//! One thread commits durable writes in groups and acknowledges them after the sync; a second one takes ephemeral writes
//! (leases, heartbeats, events) and never syncs. Reads, lists and watches are answered from memory alone.

mod decide;
mod errors;
mod log;
mod memory;
mod shared;
mod sqlite;
mod store;
mod types;
mod watch;
mod writers;

pub use errors::{CommitError, Expired, OpenError, WatchError};
pub use store::{Store, StoreOptions};
pub use types::{
    Change, Durability, Event, EventKind, Expected, Key, Page, PageRequest, Record, Revision, Sealer, Snapshot, Write,
};
pub use watch::Watcher;
