//! Objects as the table that `kubectl get` prints (`meta.k8s.io/v1` Table).

use maru_time::Timestamp;
use serde_json::Value;

/// The columns of one kind of object.
#[derive(Debug, Clone)]
pub struct Columns {}

/// What a row carries besides its cells (`includeObject`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// The object's metadata (`PartialObjectMetadata`).
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

/// A printer column of a CRD that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("additionalPrinterColumns[{index}].jsonPath: Invalid value: {path:?}: {why}")]
pub struct ColumnError {
    /// The column's place in the list.
    pub index: usize,
    /// Its JSONPath.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

impl Columns {
    /// Returns the columns of a built-in kind, or name and age for one that has no columns of its own.
    #[must_use]
    pub fn of_kind(group: &str, kind: &str) -> Self {
        unimplemented!("{group}{kind}")
    }

    /// Reads a CRD version's `additionalPrinterColumns`; absent, they are name and age.
    ///
    /// # Errors
    /// Fails when a JSONPath is malformed.
    pub fn from_crd(additional_printer_columns: &Value) -> Result<Self, ColumnError> {
        unimplemented!("{additional_printer_columns}")
    }

    /// Returns `columnDefinitions`.
    #[must_use]
    pub fn definitions(&self) -> Value {
        unimplemented!()
    }

    /// Returns one table row of an object; ages are counted up to `now`.
    #[must_use]
    pub fn row(&self, object: &Value, now: Timestamp, include: IncludeObject) -> Value {
        unimplemented!("{object}{now}{include:?}")
    }

    /// Returns the table of some objects; `list_metadata` is the list's `metadata` (resourceVersion, continue …).
    pub fn table<'a>(
        &self,
        objects: impl IntoIterator<Item = &'a Value>,
        list_metadata: Value,
        now: Timestamp,
        include: IncludeObject,
    ) -> Value {
        let rows: Vec<Value> = objects.into_iter().map(|object| self.row(object, now, include)).collect();
        unimplemented!("{list_metadata}{rows:?}")
    }
}

/// Returns an object's `PartialObjectMetadata`.
#[must_use]
pub fn partial_object_metadata(object: &Value) -> Value {
    unimplemented!("{object}")
}

/// Formats a span of time as an age (`5s`, `2m30s`, `4h`, `12d`).
#[must_use]
pub fn human_duration(seconds: i64) -> String {
    unimplemented!("{seconds}")
}
