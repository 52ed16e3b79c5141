//! JSON patch, merge patch and strategic merge patch.

mod strategic;

use json_patch::PatchOperation;
use serde_json::Value;

use crate::Schema;

/// Operations of one JSON patch.
pub const OPERATIONS_MAX: usize = 10_000;
/// Bytes that the `copy` operations of one JSON patch may add in sum.
pub const COPIED_BYTES_MAX: usize = 3 * 1024 * 1024;

/// A patch that cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// The patch does not have the shape of its type: answer 400.
    #[error("the patch is malformed: {0}")]
    Malformed(String),
    /// A `test` failed or a path is missing: answer 422.
    #[error("the server rejected our request due to an error in our request: {0}")]
    DoesNotApply(String),
    /// The patch is beyond a limit: answer 413.
    #[error("the patch is too large: {0}")]
    TooLarge(String),
}

/// Applies a JSON patch (RFC 6902): all operations or none.
///
/// # Errors
/// Fails when the patch is malformed or too large, a path does not exist, or a test fails.
pub fn json(object: &Value, patch: &Value) -> Result<Value, PatchError> {
    let operations: Vec<PatchOperation> = serde::Deserialize::deserialize(patch)
        .map_err(|error: serde_json::Error| PatchError::Malformed(error.to_string()))?;
    if operations.len() > OPERATIONS_MAX {
        let why =
            format!("the allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {}", operations.len());
        return Err(PatchError::TooLarge(why));
    }
    let mut result = object.clone();
    let mut copied_bytes = 0;
    for operation in &operations {
        if let PatchOperation::Copy(copy) = operation {
            copied_bytes += result.pointer(copy.from.as_str()).map_or(0, |value| value.to_string().len());
            if copied_bytes > COPIED_BYTES_MAX {
                return Err(PatchError::TooLarge(format!("copies add more than {COPIED_BYTES_MAX} bytes")));
            }
        }
        json_patch::patch(&mut result, std::slice::from_ref(operation))
            .map_err(|error| PatchError::DoesNotApply(error.to_string()))?;
    }
    Ok(result)
}

/// Applies a merge patch (RFC 7386).
///
/// # Errors
/// Fails when the patch is not an object.
pub fn merge(object: &Value, patch: &Value) -> Result<Value, PatchError> {
    if !patch.is_object() {
        return Err(PatchError::Malformed("a merge patch of an object must be an object".to_owned()));
    }
    let mut result = object.clone();
    json_patch::merge(&mut result, patch);
    Ok(result)
}

/// Applies a strategic merge patch, guided by the schema's patch strategies and merge keys.
///
/// # Errors
/// Fails when the patch is malformed: a directive of the wrong form, an item without its merge key.
pub fn strategic(schema: &Schema, object: &Value, patch: &Value) -> Result<Value, PatchError> {
    match (object, patch) {
        (Value::Object(object), Value::Object(patch)) => {
            strategic::merge_map(Some(schema.root()), object.clone(), patch).map(Value::Object)
        }
        _ => Err(PatchError::Malformed("a strategic merge patch of an object must be an object".to_owned())),
    }
}

#[cfg(test)]
mod tests;
