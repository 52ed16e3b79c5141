//! Who owns which field: managedFields and server-side apply.

use maru_time::Timestamp;
use serde_json::Value;

use crate::Schema;

/// A set of field paths, as `fieldsV1` encodes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSet {}

impl FieldSet {
    /// Decodes `fieldsV1`.
    ///
    /// # Errors
    /// Fails when a key has none of the forms `f:`, `k:`, `v:`, `i:` or `.`.
    pub fn decode(fields: &Value) -> Result<Self, FieldsError> {
        unimplemented!("{fields}")
    }

    /// Encodes to `fieldsV1`.
    #[must_use]
    pub fn encode(&self) -> Value {
        unimplemented!()
    }

    /// Creates the set of the paths given as field names joined by dots, such as `status` or `metadata.labels`, with all below them.
    #[must_use]
    pub fn of_names(paths: &[&str]) -> Self {
        unimplemented!("{paths:?}")
    }
}

/// A fieldsV1 or managedFields value that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("managed fields are malformed: {0}")]
pub struct FieldsError(pub(crate) String);

/// Who writes, and how.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    /// The field manager (`fieldManager`, or the user agent's first word).
    pub manager: &'a str,
    /// The object's `apiVersion` in this request.
    pub api_version: &'a str,
    /// The subresource written (`status`, `scale`), or `""`.
    pub subresource: &'a str,
    /// The time that a changed entry gets.
    pub now: Timestamp,
    /// Top-level or deeper fields that this write resets and that its manager thus never owns: `status` for a write of the
    /// main resource, `spec` for one of the status subresource. Dotted names.
    pub ignored: &'a [&'a str],
}

/// Whether an apply takes fields that others own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// Fail and tell the conflicts.
    Fail,
    /// Take the fields (`force=true`).
    Force,
}

/// One field that an apply would change and another manager owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The manager as clients print it: `"kubectl" using apps/v1`.
    pub manager: String,
    /// The field's path: `.spec.containers[name="web"].image`.
    pub field: String,
}

/// The conflicts of an apply; `Display` is the message of the Status (409, reason Conflict).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflicts(pub Vec<Conflict>);

/// Why an apply failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApplyError {
    /// Others own fields that would change: answer 409.
    Conflicts(Conflicts),
    /// The applied object or the managed fields are malformed: answer 400 or 422.
    Malformed(String),
}

/// Sets `metadata.managedFields` of `new` after a create (`live` absent), update or patch.
///
/// Fields that differ from `live` become the writer's; when nothing but managed fields would change, they stay as they were,
/// times included. A client that sends `managedFields: [{}]` resets them.
///
/// # Errors
/// Fails when managed fields cannot be read.
pub fn update(schema: &Schema, live: Option<&Value>, new: &mut Value, writer: &Writer<'_>) -> Result<(), FieldsError> {
    unimplemented!("{schema:?}{live:?}{new}{writer:?}")
}

/// Merges an applied configuration into the live object (server-side apply) and returns the new object with managed fields set.
///
/// With no live object, creates it. When nothing changed the live object is returned as it is.
///
/// # Errors
/// Fails on conflicts with other managers unless forced, and when `applied` or the managed fields are malformed.
pub fn apply(
    schema: &Schema,
    live: Option<&Value>,
    applied: &Value,
    writer: &Writer<'_>,
    on_conflict: OnConflict,
) -> Result<Value, ApplyError> {
    unimplemented!("{schema:?}{live:?}{applied}{writer:?}{on_conflict:?}")
}
