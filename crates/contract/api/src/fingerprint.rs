//! What an approval or a baseline says of an object: the digest of its meaning.

use serde_json::{Value, json};

use crate::digest::Digest;
use crate::object::Spec as _;
use crate::requirement::{Requirement, RequirementSpec};
use maru_requirements::canonical_json;

/// An object without a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FingerprintError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// A baseline that Maru has not looked at.
    #[error("Maru has not looked at this baseline yet; try again in a moment")]
    NotLookedAt,
}

/// Returns the fingerprint of an object of ours: of a requirement the one that evidence is made for, of a baseline the
/// digest of what it holds, of anything else the digest of its canonical specification.
///
/// # Errors
/// When it has none.
pub fn fingerprint_of(object: &Value) -> Result<Digest, FingerprintError> {
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    if kind == RequirementSpec::KIND {
        let one: Requirement = serde_json::from_value(json!({
            "metadata": object.get("metadata").cloned().unwrap_or_default(),
            "spec": object.get("spec").cloned().unwrap_or_default(),
        }))
        .map_err(|error| FingerprintError::Unreadable(error.to_string()))?;
        return Ok(one.fingerprint());
    }
    if kind == crate::kinds::BaselineSpec::KIND {
        let text = object.pointer("/status/fingerprint").and_then(Value::as_str);
        return text.and_then(|text| text.parse().ok()).ok_or(FingerprintError::NotLookedAt);
    }
    let meaning = json!({"kind": kind, "spec": object.get("spec").cloned().unwrap_or_default()});
    Ok(Digest::of(canonical_json(&meaning).as_bytes()))
}
