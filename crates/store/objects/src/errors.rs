//! What can go wrong.

use std::path::PathBuf;
use std::sync::Arc;

use crate::types::{Key, Revision};

/// The store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("the object store in \"{}\" is in use by another process; stop that one first", directory.display())]
    InUse {
        /// Where the store is.
        directory: PathBuf,
    },
    /// The directory cannot be used.
    #[error("the directory \"{}\" cannot be used for the object store", directory.display())]
    Directory {
        /// Where the store is.
        directory: PathBuf,
        /// The kernel's reason.
        #[source]
        source: std::io::Error,
    },
    /// The database cannot be read or prepared.
    #[error("the object database \"{}\" cannot be used", file.display())]
    Database {
        /// The database's file.
        file: PathBuf,
        /// SQLite's reason.
        #[source]
        source: rusqlite::Error,
    },
    /// The database was written by another version of the format.
    #[error("the object database \"{}\" has format {found}, this program reads format {known}", file.display())]
    Format {
        /// The database's file.
        file: PathBuf,
        /// The format found.
        found: i64,
        /// The format that is understood.
        known: i64,
    },
    /// The database contradicts itself.
    #[error("the object database \"{}\" is damaged at {key}: {problem}; restore it from a backup", file.display())]
    Damaged {
        /// The database's file.
        file: PathBuf,
        /// The object concerned.
        key: Key,
        /// What contradicts.
        problem: &'static str,
    },
    /// A sealed value cannot be opened.
    #[error("{key} is sealed with another key than the one given")]
    Sealed {
        /// The object concerned.
        key: Key,
    },
    /// A thread could not be started.
    #[error("the writer's thread could not be started")]
    Thread(#[source] std::io::Error),
}

/// A write did not happen.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The object exists and should not.
    #[error("{key} exists already")]
    Exists {
        /// The object concerned.
        key: Key,
        /// Its revision.
        current: Revision,
    },
    /// The object does not exist and should.
    #[error("{key} does not exist")]
    Missing {
        /// The object concerned.
        key: Key,
    },
    /// The object has another revision than expected.
    #[error("{key} is at revision {current}, not at the expected {expected}")]
    Conflict {
        /// The object concerned.
        key: Key,
        /// What the write expected.
        expected: Revision,
        /// What is there.
        current: Revision,
    },
    /// The value is too large.
    #[error("{key} has {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// The object concerned.
        key: Key,
        /// The size of the refused value.
        bytes: usize,
        /// The largest allowed.
        limit: usize,
    },
    /// There is no room on the disk. Nothing is lost; a later try succeeds once there is room again.
    #[error("the disk is full; free some space and try again")]
    DiskFull {
        /// SQLite's reason.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// The write failed for a passing reason; nothing was changed.
    #[error("the write failed; nothing was changed")]
    Database {
        /// SQLite's reason.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// The disk failed to sync: what it holds is unsure, so no write is accepted until a restart.
    #[error("the object store stopped accepting writes as the disk failed: {reason}; check the disk, then restart")]
    Broken {
        /// The first failure.
        reason: Arc<str>,
    },
    /// The store is closing.
    #[error("the object store is closed")]
    Closed,
}

/// The revision asked for is older than the history that is kept: list again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("revision {requested} is too old; the oldest that can be continued from is {oldest}")]
pub struct Expired {
    /// The revision asked for.
    pub requested: Revision,
    /// The oldest revision that can be asked for.
    pub oldest: Revision,
}

/// A watch has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The watcher was slower than the history window: list again.
    #[error(transparent)]
    Expired(#[from] Expired),
    /// The store is closed.
    #[error("the object store is closed")]
    Closed,
}
