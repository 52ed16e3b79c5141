//! The glossary of a project as an object.

use maru_requirements::LocalText;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::object::{Object, Spec};

/// A word with its meaning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GlossaryTerm {
    /// The word; in both languages when it has two forms.
    pub term: LocalText,
    /// What it means.
    #[serde(default)]
    pub definition: LocalText,
    /// Other words for the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
}

/// The words that a project has agreed on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GlossarySpec {
    /// The words.
    #[serde(default)]
    pub terms: Vec<GlossaryTerm>,
}

/// The words that a project has agreed on.
pub type Glossary = Object<GlossarySpec>;

impl Spec for GlossarySpec {
    const KIND: &'static str = "Glossary";
    const PLURAL: &'static str = "glossaries";
    type Status = Value;
}
