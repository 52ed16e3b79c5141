//! JSON patch, merge patch and strategic merge patch.

use serde_json::Value;

use crate::Schema;

/// A patch that cannot be applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// The patch does not have the shape of its type: answer 400.
    #[error("the patch is malformed: {0}")]
    Malformed(String),
    /// A `test` failed or a path is missing: answer 422.
    #[error("the patch does not apply: {0}")]
    DoesNotApply(String),
}

/// Applies a JSON patch (RFC 6902): all operations or none.
///
/// # Errors
/// Fails when the patch is malformed, or a path does not exist or a test fails.
pub fn json(object: &Value, patch: &Value) -> Result<Value, PatchError> {
    unimplemented!("{object}{patch}")
}

/// Applies a merge patch (RFC 7386).
///
/// # Errors
/// Fails when the patch is not an object.
pub fn merge(object: &Value, patch: &Value) -> Result<Value, PatchError> {
    unimplemented!("{object}{patch}")
}

/// Applies a strategic merge patch, guided by the schema's patch strategies and merge keys.
///
/// # Errors
/// Fails when the patch is malformed: a directive of the wrong form, an item without its merge key.
pub fn strategic(schema: &Schema, object: &Value, patch: &Value) -> Result<Value, PatchError> {
    unimplemented!("{schema:?}{object}{patch}")
}
