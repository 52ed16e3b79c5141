//! Label and field selectors: their text, their object form, and what they match.
//!
//! Source: Kubernetes "Labels and Selectors", "Field Selectors"; `meta/v1` LabelSelector.

mod field;
mod label;

pub use field::{FieldRequirement, FieldSelector};
pub use label::{LabelRequirement, LabelSelector, Operator};

/// A selector that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorError {
    /// The text breaks the grammar.
    #[error("{0}")]
    Syntax(String),
    /// A key, value or operator breaks a rule.
    #[error("{field}: Invalid value: {value:?}: {why}")]
    Invalid {
        /// Where: `key`, `values[0]` …
        field: String,
        /// What was found.
        value: String,
        /// What is asked for.
        why: String,
    },
    /// The selector object does not have the shape of a LabelSelector.
    #[error("{field}: {why}")]
    Shape {
        /// Where in the selector.
        field: String,
        /// What is asked for.
        why: String,
    },
}
