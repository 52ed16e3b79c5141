//! The schema of an object: built-in kinds from data, CRDs from their `openAPIV3Schema`.

mod builtin;
mod format;
mod node;
mod prune;
mod structural;
mod validate;

use std::sync::Arc;

use serde_json::Value;

pub use builtin::Schemas;
pub(crate) use node::{Kind, Node};

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

/// Where a schema comes from.
#[derive(Debug, Clone)]
enum Origin {
    /// The built-in definition of this name.
    BuiltIn(&'static str),
    /// A CRD, with the document it was read from.
    Crd(Arc<Value>),
    /// Nothing is known.
    Untyped,
}

/// The schema of one kind of object; cheap to clone.
#[derive(Debug, Clone)]
pub struct Schema {
    root: Arc<Node>,
    origin: Origin,
}

/// A schema that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
#[non_exhaustive]
pub struct SchemaError {
    /// Where in the schema, such as `properties[spec].items`.
    pub path: String,
    /// What is wrong.
    pub why: String,
}

impl Schema {
    /// Reads a CRD version's `schema.openAPIV3Schema`, the schema of its whole objects.
    ///
    /// # Errors
    /// Fails when it is not a structural schema.
    pub fn from_crd(open_api_v3_schema: &Value) -> Result<Self, SchemaError> {
        let root = structural::read(open_api_v3_schema)?;
        Ok(Self { root: Arc::new(root), origin: Origin::Crd(Arc::new(open_api_v3_schema.clone())) })
    }

    /// Returns the schema of objects about whose fields nothing is known but their metadata: maps merge, lists are atomic.
    #[must_use]
    pub fn untyped() -> Self {
        Self { root: Arc::new(Node::any_object()), origin: Origin::Untyped }
    }

    /// Returns the paths of fields that the schema does not have, such as `spec.template.foo`.
    #[must_use]
    pub fn unknown_fields(&self, object: &Value) -> Vec<String> {
        self.prune(&mut object.clone())
    }

    /// Removes fields that the schema does not have and, for built-in kinds, nulls; returns the paths of the unknown ones.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        prune::prune(&self.root, self.is_builtin(), object)
    }

    /// Checks types, required fields and, for CRDs, all rules but CEL's. Empty when the object is fine.
    #[must_use]
    pub fn validate(&self, object: &Value) -> Vec<FieldError> {
        validate::validate(&self.root, self.is_builtin(), object)
    }

    /// Sets fields that are absent to the schema's defaults (CRDs; defaults of built-in kinds are not in their schemas).
    pub fn default(&self, object: &mut Value) {
        prune::default(&self.root, object);
    }

    pub(crate) fn root(&self) -> &Node {
        &self.root
    }

    /// Returns the name of the built-in definition, such as `io.k8s.api.core.v1.Pod`.
    pub(crate) fn definition(&self) -> Option<&'static str> {
        match self.origin {
            Origin::BuiltIn(name) => Some(name),
            Origin::Crd(_) | Origin::Untyped => None,
        }
    }

    /// Returns the document that a CRD's schema was read from.
    pub(crate) fn document(&self) -> Option<&Value> {
        match &self.origin {
            Origin::Crd(document) => Some(document),
            Origin::BuiltIn(_) | Origin::Untyped => None,
        }
    }

    fn is_builtin(&self) -> bool {
        matches!(self.origin, Origin::BuiltIn(_))
    }
}

/// Appends a field's name to a path.
pub(crate) fn child(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests;
