//! Decides what a write does to what is there. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use crate::errors::CommitError;
use crate::log::Row;
use crate::memory::{Memory, Stored};
use crate::types::{Change, Durability, EventKind, Expected, Key, Record, Revision, Write};

/// What a write found out of its place.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The caller is told.
    Answer(CommitError),
    /// The object has the other class by now: the write belongs to the other writer.
    OtherClass,
}

/// Sees the objects as they are after the batch's earlier writes.
pub(crate) struct Overlay<'a> {
    memory: &'a Memory,
    changed: HashMap<Key, Option<Arc<Record>>>,
}

impl<'a> Overlay<'a> {
    pub(crate) fn new(memory: &'a Memory) -> Self {
        Self { memory, changed: HashMap::new() }
    }

    fn current(&self, key: &Key) -> Option<Arc<Record>> {
        match self.changed.get(key) {
            Some(record) => record.clone(),
            None => self.memory.stored(key).map(|stored| Arc::clone(&stored.record)),
        }
    }

    /// Decides one write; when it happens, it gets `revision`.
    pub(crate) fn apply(&mut self, write: &Write, class: Durability, revision: Revision) -> Result<Row, Refusal> {
        let key = &write.key;
        if self.memory.stored(key).is_some_and(|stored: &Stored| stored.durability != class) {
            return Err(Refusal::OtherClass);
        }
        let current = self.current(key);
        check(write, current.as_deref()).map_err(Refusal::Answer)?;
        let row = match (&write.change, current) {
            (Change::Put(value), Some(current)) => Row {
                kind: EventKind::Updated,
                record: Arc::new(Record {
                    key: current.key.clone(),
                    revision,
                    created_revision: current.created_revision,
                    value: value.clone(),
                }),
            },
            (Change::Put(value), None) => Row {
                kind: EventKind::Created,
                record: Arc::new(Record {
                    key: key.clone(),
                    revision,
                    created_revision: revision,
                    value: value.clone(),
                }),
            },
            (Change::Delete | Change::DeleteWith(_), Some(current)) => {
                let value = match &write.change {
                    Change::DeleteWith(value) => value.clone(),
                    Change::Put(_) | Change::Delete => current.value.clone(),
                };
                let record =
                    Record { key: current.key.clone(), revision, created_revision: current.created_revision, value };
                Row { kind: EventKind::Deleted, record: Arc::new(record) }
            }
            (Change::Delete | Change::DeleteWith(_), None) => {
                return Err(Refusal::Answer(CommitError::Missing { key: key.clone() }));
            }
        };
        let after = (row.kind != EventKind::Deleted).then(|| Arc::clone(&row.record));
        self.changed.insert(key.clone(), after);
        Ok(row)
    }
}

fn check(write: &Write, current: Option<&Record>) -> Result<(), CommitError> {
    let key = || write.key.clone();
    match (write.expected, current) {
        (Expected::Any, _) | (Expected::Absent, None) => Ok(()),
        (Expected::Absent, Some(current)) => Err(CommitError::Exists { key: key(), current: current.revision }),
        (Expected::Revision(_), None) => Err(CommitError::Missing { key: key() }),
        (Expected::Revision(expected), Some(current)) if expected == current.revision => Ok(()),
        (Expected::Revision(expected), Some(current)) => {
            Err(CommitError::Conflict { key: key(), expected, current: current.revision })
        }
    }
}
