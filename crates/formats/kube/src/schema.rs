//! The schema of an object: built-in kinds from data, CRDs from their `openAPIV3Schema`.

use std::sync::Arc;

use serde_json::Value;

use crate::FieldError;

/// How the items of a list relate (`x-kubernetes-list-type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListType {
    /// The list is one value.
    #[default]
    Atomic,
    /// Items are scalars and unique.
    Set,
    /// Items are objects, told apart by their keys.
    Map,
}

/// The schemas of the built-in kinds.
#[derive(Debug)]
pub struct Schemas {}

/// The schema of one kind of object; cheap to clone.
#[derive(Debug, Clone)]
pub struct Schema(Arc<()>);

/// A schema that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema is not usable at {path:?}: {why}")]
pub struct SchemaError {
    /// Where in the schema.
    pub path: String,
    /// What is wrong.
    pub why: String,
}

impl Schemas {
    /// Returns the schemas of the built-in kinds; they are read from the binary when first used.
    #[must_use]
    pub fn builtin() -> &'static Self {
        unimplemented!()
    }

    /// Returns the schema of a kind, or nothing when it is not built in. The core group is `""`.
    #[must_use]
    pub fn root(&self, group: &str, version: &str, kind: &str) -> Option<Schema> {
        unimplemented!("{group}{version}{kind}")
    }
}

impl Schema {
    /// Reads a CRD version's `schema.openAPIV3Schema`, the schema of its whole objects.
    ///
    /// # Errors
    /// Fails when it is not a structural schema.
    pub fn from_crd(open_api_v3_schema: &Value) -> Result<Self, SchemaError> {
        unimplemented!("{open_api_v3_schema}")
    }

    /// Returns the schema of objects about whose fields nothing is known but their metadata: maps merge, lists are atomic.
    #[must_use]
    pub fn untyped() -> Self {
        unimplemented!()
    }

    /// Returns the paths of fields that the schema does not have, such as `spec.template.foo`.
    #[must_use]
    pub fn unknown_fields(&self, object: &Value) -> Vec<String> {
        unimplemented!("{object}")
    }

    /// Removes fields that the schema does not have (and, for built-in kinds, nulls) and returns the paths of unknown ones.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        unimplemented!("{object}")
    }

    /// Checks types and, for CRDs, all rules but CEL's. Empty when the object is fine.
    #[must_use]
    pub fn validate(&self, object: &Value) -> Vec<FieldError> {
        unimplemented!("{object}")
    }

    /// Sets fields that are absent to the schema's defaults (CRDs; built-in defaults are the server's code).
    pub fn default(&self, object: &mut Value) {
        unimplemented!("{object}")
    }
}
