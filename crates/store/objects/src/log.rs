//! What a writer asks of the disk.

use std::sync::Arc;

use crate::types::{EventKind, Record, Revision};

/// One change to write.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub kind: EventKind,
    pub record: Arc<Record>,
}

/// What is written in one transaction.
#[derive(Debug, Default)]
pub(crate) struct Batch<'a> {
    pub rows: &'a [Row],
    /// Rows that nobody can ask for any more, and where history begins without them.
    pub obsolete: &'a [Revision],
    pub floor: Revision,
    /// The new reservation.
    pub reserve: Option<u64>,
    /// Resources that have ephemeral objects from now on.
    pub ephemeral_resources: &'a [Arc<str>],
}

/// A batch was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// There is no room; nothing has changed.
    #[error("the disk is full")]
    Full(#[source] rusqlite::Error),
    /// Something that may pass; nothing has changed.
    #[error("the write failed")]
    Passing(#[source] rusqlite::Error),
    /// What is on the disk is unsure.
    #[error("the disk failed")]
    Unsure(#[source] rusqlite::Error),
}

impl LogError {
    /// Tells apart what a writer can do about an error.
    pub(crate) fn classify(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        use rusqlite::ffi;
        let rusqlite::Error::SqliteFailure(cause, _) = &error else { return Self::Passing(error) };
        match (cause.code, cause.extended_code) {
            (ErrorCode::DiskFull, _) => Self::Full(error),
            (_, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC | ffi::SQLITE_IOERR_CLOSE) => Self::Unsure(error),
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => Self::Unsure(error),
            _ => Self::Passing(error),
        }
    }
}

/// Where a writer's batches go.
pub(crate) trait Log: Send {
    /// Writes a batch, wholly or not at all; returns when it is as safe as this log makes it.
    fn append(&mut self, batch: &Batch<'_>) -> Result<(), LogError>;

    /// Does the upkeep that is due, between batches.
    fn upkeep(&mut self) -> Result<(), LogError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(extended_code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(extended_code), None)
    }

    #[test]
    fn a_failed_sync_is_unsure_and_a_full_disk_is_not() {
        assert!(matches!(LogError::classify(failure(rusqlite::ffi::SQLITE_FULL)), LogError::Full(_)));
        assert!(matches!(LogError::classify(failure(rusqlite::ffi::SQLITE_IOERR_FSYNC)), LogError::Unsure(_)));
        assert!(matches!(LogError::classify(failure(rusqlite::ffi::SQLITE_CORRUPT)), LogError::Unsure(_)));
        assert!(matches!(LogError::classify(failure(rusqlite::ffi::SQLITE_BUSY)), LogError::Passing(_)));
    }
}
