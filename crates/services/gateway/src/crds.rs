//! The custom resources of the Gateway API.

use serde_json::Value;

/// Returns the CustomResourceDefinitions of the Gateway API's standard channel that the gateway understands.
#[must_use]
pub fn crds() -> Vec<Value> {
    todo!()
}
