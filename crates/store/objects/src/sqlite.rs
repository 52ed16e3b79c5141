//! The two databases: `objects.db`, synced at each commit, and `ephemeral.db`, never synced.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, params};

use crate::errors::OpenError;
use crate::log::{Batch, Log, LogError};
use crate::memory::Memory;
use crate::types::{EventKind, Key, Record, Revision, Sealer};

/// Marks our files for `file(1)`: "MARU".
const APPLICATION_ID: i64 = 0x4d41_5255;
const FORMAT: i64 = 1;

/// The write-ahead log is folded into the database when about this much was written.
const CHECKPOINT_BYTES: usize = 4 * 1024 * 1024;

const DURABLE_TABLES: &str = "
    CREATE TABLE log (revision INTEGER PRIMARY KEY, resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
        operation INTEGER NOT NULL, created INTEGER NOT NULL, sealed INTEGER NOT NULL, value BLOB NOT NULL);
    CREATE TABLE current (resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL,
        PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID;
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE ephemeral_resources (resource TEXT PRIMARY KEY) WITHOUT ROWID;";

const EPHEMERAL_TABLES: &str = "
    CREATE TABLE current (resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL,
        created INTEGER NOT NULL, sealed INTEGER NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID;";

/// One open database with what seals its values.
pub(crate) struct Database {
    connection: Connection,
    file: PathBuf,
    sealer: Option<Arc<dyn Sealer>>,
}

impl Database {
    fn open(
        file: PathBuf,
        synchronous: &str,
        tables: &str,
        sealer: Option<Arc<dyn Sealer>>,
    ) -> Result<Self, OpenError> {
        let wrap = |source| OpenError::Database { file: file.clone(), source };
        let connection = Connection::open(&file).map_err(wrap)?;
        connection.set_prepared_statement_cache_capacity(32);
        connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(wrap)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(wrap)?;
        connection.pragma_update(None, "synchronous", synchronous).map_err(wrap)?;
        connection.pragma_update(None, "cache_size", -16_384).map_err(wrap)?;
        let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(wrap)?;
        if found == 0 {
            let script = format!(
                "BEGIN; {tables} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;"
            );
            connection.execute_batch(&script).map_err(wrap)?;
        } else if found != FORMAT {
            return Err(OpenError::Format { file, found, known: FORMAT });
        }
        Ok(Self { connection, file, sealer })
    }

    fn wrap(&self, source: rusqlite::Error) -> OpenError {
        OpenError::Database { file: self.file.clone(), source }
    }

    fn unseal(&self, key: &Key, sealed: bool, value: Vec<u8>) -> Result<Bytes, OpenError> {
        if !sealed {
            return Ok(value.into());
        }
        let opened = self.sealer.as_ref().and_then(|sealer| sealer.open(key, &value));
        opened.map(Bytes::from).ok_or_else(|| OpenError::Sealed { key: key.clone() })
    }
}

fn seal(sealer: Option<&Arc<dyn Sealer>>, record: &Record) -> Option<Vec<u8>> {
    sealer.and_then(|sealer| sealer.seal(&record.key, &record.value))
}

/// Revisions stay far below 2^63: at a million a second that would take 290,000 years.
fn to_sql(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

fn from_sql(revision: i64) -> Revision {
    Revision(u64::try_from(revision).unwrap_or(0))
}

/// A row of either database before its value is unsealed.
struct RawRow {
    key: Key,
    operation: i64,
    revision: Revision,
    created: Revision,
    sealed: bool,
    value: Vec<u8>,
}

fn read_rows(
    database: &Database,
    query: &str,
    mut each: impl FnMut(RawRow) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let mut statement = database.connection.prepare(query).map_err(|error| database.wrap(error))?;
    let mut rows = statement.query([]).map_err(|error| database.wrap(error))?;
    while let Some(row) = rows.next().map_err(|error| database.wrap(error))? {
        let read = || -> rusqlite::Result<RawRow> {
            Ok(RawRow {
                key: Key::new(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?),
                operation: row.get(3)?,
                revision: from_sql(row.get(4)?),
                created: from_sql(row.get(5)?),
                sealed: row.get(6)?,
                value: row.get(7)?,
            })
        };
        each(read().map_err(|error| database.wrap(error))?)?;
    }
    Ok(())
}

fn operation_of(kind: EventKind) -> i64 {
    match kind {
        EventKind::Created => 1,
        EventKind::Updated => 2,
        EventKind::Deleted => 3,
    }
}

/// A change as it was found in the log.
#[derive(Debug)]
pub(crate) struct Logged {
    pub kind: EventKind,
    pub record: Arc<Record>,
}

/// What the durable database says beside its rows.
#[derive(Debug, Default)]
pub(crate) struct Meta {
    /// Revisions up to here may have been used.
    pub reserved: u64,
    /// History before this is incomplete.
    pub floor: Revision,
    pub ephemeral_resources: Vec<Arc<str>>,
}

/// `objects.db`.
pub(crate) struct DurableLog {
    database: Database,
    written_bytes: usize,
}

impl DurableLog {
    pub(crate) fn open(directory: &Path, sealer: Option<Arc<dyn Sealer>>) -> Result<Self, OpenError> {
        let database = Database::open(directory.join("objects.db"), "FULL", DURABLE_TABLES, sealer)?;
        // The writer folds the log itself, between commits.
        database.connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(|error| database.wrap(error))?;
        Ok(Self { database, written_bytes: CHECKPOINT_BYTES })
    }

    pub(crate) fn meta(&self) -> Result<Meta, OpenError> {
        let connection = &self.database.connection;
        let value = |name: &str| -> rusqlite::Result<i64> {
            connection.query_row("SELECT coalesce(max(value), 0) FROM meta WHERE name = ?1", [name], |row| row.get(0))
        };
        let read = || -> rusqlite::Result<Meta> {
            let mut statement = connection.prepare("SELECT resource FROM ephemeral_resources")?;
            let names = statement.query_map([], |row| row.get::<_, Arc<str>>(0))?;
            Ok(Meta {
                reserved: from_sql(value("reserved")?).0,
                floor: from_sql(value("floor")?),
                ephemeral_resources: names.collect::<rusqlite::Result<_>>()?,
            })
        };
        read().map_err(|error| self.database.wrap(error))
    }

    /// Reads the whole log, oldest first.
    pub(crate) fn replay(&self, mut each: impl FnMut(Logged)) -> Result<(), OpenError> {
        let query =
            "SELECT resource, namespace, name, operation, revision, created, sealed, value FROM log ORDER BY revision";
        read_rows(&self.database, query, |row| {
            let kind = match row.operation {
                1 => EventKind::Created,
                2 => EventKind::Updated,
                3 => EventKind::Deleted,
                _ => {
                    let file = self.database.file.clone();
                    return Err(OpenError::Damaged { file, key: row.key, problem: "its operation is not known" });
                }
            };
            let value = self.database.unseal(&row.key, row.sealed, row.value)?;
            let record = Record { key: row.key, revision: row.revision, created_revision: row.created, value };
            each(Logged { kind, record: Arc::new(record) });
            Ok(())
        })
    }

    /// Checks that the replayed log and the table of current revisions say the same.
    pub(crate) fn verify(&self, memory: &Memory) -> Result<(), OpenError> {
        let mut count = 0;
        let query = "SELECT resource, namespace, name, 0, revision, 0, 0, x'' FROM current";
        read_rows(&self.database, query, |row| {
            count += 1;
            if memory.stored(&row.key).is_none_or(|stored| stored.record.revision != row.revision) {
                let file = self.database.file.clone();
                return Err(OpenError::Damaged {
                    file,
                    key: row.key,
                    problem: "its current version is not in the log",
                });
            }
            Ok(())
        })?;
        let known: usize = memory.resource_names().iter().map(|name| memory.count(name)).sum();
        if known != count {
            let file = self.database.file.clone();
            let key = Key::new("*", "", "*");
            return Err(OpenError::Damaged { file, key, problem: "the log has objects that are not current" });
        }
        Ok(())
    }

    fn write(&mut self, batch: &Batch<'_>) -> rusqlite::Result<()> {
        let sealer = self.database.sealer.as_ref();
        let transaction = self.database.connection.transaction()?;
        {
            let mut append = transaction.prepare_cached(
                "INSERT INTO log (revision, resource, namespace, name, operation, created, sealed, value)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?;
            let mut point = transaction.prepare_cached(
                "INSERT INTO current (resource, namespace, name, revision) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (resource, namespace, name) DO UPDATE SET revision = excluded.revision",
            )?;
            let mut unpoint = transaction
                .prepare_cached("DELETE FROM current WHERE resource = ?1 AND namespace = ?2 AND name = ?3")?;
            let mut forget = transaction.prepare_cached("DELETE FROM log WHERE revision = ?1")?;
            let mut set = transaction.prepare_cached(
                "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )?;
            let mut declare =
                transaction.prepare_cached("INSERT OR IGNORE INTO ephemeral_resources (resource) VALUES (?1)")?;
            for row in batch.rows {
                let Record { key, revision, created_revision, value } = &*row.record;
                let sealed = seal(sealer, &row.record);
                let content = sealed.as_deref().unwrap_or(value);
                self.written_bytes += content.len() + 300;
                append.execute(params![
                    to_sql(*revision),
                    key.resource,
                    key.namespace,
                    key.name,
                    operation_of(row.kind),
                    to_sql(*created_revision),
                    sealed.is_some(),
                    content
                ])?;
                match row.kind {
                    EventKind::Created | EventKind::Updated => {
                        point.execute(params![key.resource, key.namespace, key.name, to_sql(*revision)])?;
                    }
                    EventKind::Deleted => {
                        unpoint.execute(params![key.resource, key.namespace, key.name])?;
                    }
                }
            }
            for revision in batch.obsolete {
                forget.execute([to_sql(*revision)])?;
                self.written_bytes += 100;
            }
            if !batch.obsolete.is_empty() {
                set.execute(params!["floor", to_sql(batch.floor)])?;
            }
            if let Some(reserved) = batch.reserve {
                set.execute(params!["reserved", to_sql(Revision(reserved))])?;
            }
            for resource in batch.ephemeral_resources {
                declare.execute([resource])?;
            }
        }
        transaction.commit()
    }
}

impl Log for DurableLog {
    fn append(&mut self, batch: &Batch<'_>) -> Result<(), LogError> {
        self.write(batch).map_err(LogError::classify)
    }

    fn upkeep(&mut self) -> Result<(), LogError> {
        if self.written_bytes < CHECKPOINT_BYTES {
            return Ok(());
        }
        self.written_bytes = 0;
        // Readers from outside (a backup) may hold it up: then it goes on at the next time.
        self.database.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).map_err(LogError::classify)
    }
}

/// `ephemeral.db`.
pub(crate) struct EphemeralLog {
    database: Database,
}

impl EphemeralLog {
    /// Opens it; what cannot be read after a power failure is thrown away, as ephemeral objects may be lost.
    pub(crate) fn open(
        directory: &Path,
        sealer: Option<Arc<dyn Sealer>>,
    ) -> Result<(Self, Vec<Arc<Record>>), OpenError> {
        let attempt = || {
            let log = Self {
                database: Database::open(directory.join("ephemeral.db"), "OFF", EPHEMERAL_TABLES, sealer.clone())?,
            };
            let records = log.load()?;
            Ok((log, records))
        };
        attempt().or_else(|error: OpenError| {
            if !matches!(error, OpenError::Database { .. } | OpenError::Sealed { .. }) {
                return Err(error);
            }
            tracing::warn!(%error, "the ephemeral objects cannot be read; starting without them");
            for name in ["ephemeral.db", "ephemeral.db-wal", "ephemeral.db-shm"] {
                match std::fs::remove_file(directory.join(name)) {
                    Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                        return Err(OpenError::Directory { directory: directory.to_owned(), source });
                    }
                    _ => {}
                }
            }
            attempt()
        })
    }

    fn load(&self) -> Result<Vec<Arc<Record>>, OpenError> {
        let check: String = self
            .database
            .connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|error| self.database.wrap(error))?;
        if check != "ok" {
            let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            return Err(self.database.wrap(rusqlite::Error::SqliteFailure(error, Some(check))));
        }
        let mut records = Vec::new();
        let query =
            "SELECT resource, namespace, name, 0, revision, created, sealed, value FROM current ORDER BY revision";
        read_rows(&self.database, query, |row| {
            let value = self.database.unseal(&row.key, row.sealed, row.value)?;
            records.push(Arc::new(Record {
                key: row.key,
                revision: row.revision,
                created_revision: row.created,
                value,
            }));
            Ok(())
        })?;
        Ok(records)
    }

    fn write(&mut self, batch: &Batch<'_>) -> rusqlite::Result<()> {
        let sealer = self.database.sealer.as_ref();
        let transaction = self.database.connection.transaction()?;
        {
            let mut put = transaction.prepare_cached(
                "INSERT OR REPLACE INTO current (resource, namespace, name, revision, created, sealed, value)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            let mut remove = transaction
                .prepare_cached("DELETE FROM current WHERE resource = ?1 AND namespace = ?2 AND name = ?3")?;
            for row in batch.rows {
                let Record { key, revision, created_revision, value } = &*row.record;
                match row.kind {
                    EventKind::Created | EventKind::Updated => {
                        let sealed = seal(sealer, &row.record);
                        put.execute(params![
                            key.resource,
                            key.namespace,
                            key.name,
                            to_sql(*revision),
                            to_sql(*created_revision),
                            sealed.is_some(),
                            sealed.as_deref().unwrap_or(value)
                        ])?;
                    }
                    EventKind::Deleted => {
                        remove.execute(params![key.resource, key.namespace, key.name])?;
                    }
                }
            }
        }
        transaction.commit()
    }
}

impl Log for EphemeralLog {
    fn append(&mut self, batch: &Batch<'_>) -> Result<(), LogError> {
        self.write(batch).map_err(LogError::classify)
    }

    fn upkeep(&mut self) -> Result<(), LogError> {
        Ok(())
    }
}
