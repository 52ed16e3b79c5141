//! An item: one requirement as it is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::text::LocalText;
use maru_yaml::Position;

/// How much a requirement matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Without it the system is of no use.
    #[default]
    Must,
    /// Important; it is said when it is left out.
    Should,
    /// Welcome.
    Could,
    /// Agreed that it is not done now: has no verdict.
    Wont,
}

/// Where a requirement was taken from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// A document, a contract, a meeting.
    pub document: String,
    /// The place in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clause: Option<String>,
}

/// A link to a parent, as it was when a person last looked at the link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The parent.
    pub name: String,
    /// Its fingerprint at the last review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// A requirement as it is written. Quantities have their canonical spelling; texts are in normalisation form C.
///
/// As JSON it has the fields of a `Requirement`'s specification, and `name`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Its name in the project.
    pub name: String,
    /// A short name for lists.
    #[serde(skip_serializing_if = "LocalText::is_empty")]
    pub title: LocalText,
    /// The sentence.
    pub statement: LocalText,
    /// How much it matters.
    pub priority: Priority,
    /// Who asks for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stakeholders: Vec<String>,
    /// Where it was taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Its parents.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub derived_from: Vec<Link>,
    /// The components that fulfil it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allocated_to: Vec<String>,
    /// What is asked for, as a quantity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub criterion: Option<Map<String, Value>>,
    /// How it is checked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verify: Vec<Value>,
    /// Fields of the criterion that are missing or have no unit: the lint tells of them.
    #[serde(skip)]
    pub(crate) gaps: Vec<Gap>,
    /// Where it is written.
    #[serde(skip)]
    pub(crate) place: Written,
}

/// Something that a criterion lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) field: &'static str,
    pub(crate) unit: bool,
    pub(crate) fix: String,
}

/// Where an item and its fields are written. Equal to every other: places do not count when items are compared.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    pub(crate) file: Arc<str>,
    /// The text of the document that holds the item; the positions in `fields` count from its first line.
    pub(crate) text: Arc<str>,
    pub(crate) lines_before: usize,
    pub(crate) fields: BTreeMap<String, Position>,
}

impl PartialEq for Written {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A range in a file; lines and columns count characters from 1, the end is after the last character. Zeros: no file.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The file as it was named.
    pub file: String,
    /// The first line.
    pub line: usize,
    /// The first column.
    pub column: usize,
    /// The last line.
    pub end_line: usize,
    /// The column after the last.
    pub end_column: usize,
    /// The item's field: `statement`, `criterion.atMost`.
    pub field: String,
}

impl Item {
    /// Tells whether it says the same as another, and in the same place.
    pub(crate) fn is_written_as(&self, other: &Self) -> bool {
        let (one, two) = (&self.place, &other.place);
        self == other
            && one.lines_before == two.lines_before
            && one.file == two.file
            && one.fields == two.fields
            && one.text == two.text
    }

    /// Returns the specification of the `Requirement` that this is.
    #[must_use]
    pub fn to_spec(&self) -> Value {
        let mut spec = serde_json::to_value(self).unwrap_or_default();
        if let Some(fields) = spec.as_object_mut() {
            fields.remove("name");
        }
        spec
    }

    /// Returns the `Requirement` that this is, in a namespace.
    #[must_use]
    pub fn to_object(&self, namespace: &str) -> Value {
        json!({
            "apiVersion": "maru.dev/v1alpha1", "kind": "Requirement",
            "metadata": {"name": self.name, "namespace": namespace}, "spec": self.to_spec(),
        })
    }

    /// Returns the file that it is written in; empty when it came from none.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.place.file
    }

    /// Returns where a field is written: `statement`, `statement.ko`, `criterion.atMost`, `derivedFrom[0]`.
    #[must_use]
    pub fn place_of(&self, field: &str) -> Place {
        let at = self.position_of(field);
        self.to_place(field, at, at)
    }

    /// Returns where `text[start..end]`, a part of a field's text, is written.
    #[must_use]
    pub fn place_in(&self, field: &str, text: &str, start: usize, end: usize) -> Place {
        let from = self.position_of(field);
        if from.line == 0 {
            return self.to_place(field, from, from);
        }
        let (first, last) = crate::locate::locate(&self.place.text, from, text, start, end);
        self.to_place(field, first, last)
    }

    /// Tells whether it is agreed that it is not done.
    #[must_use]
    pub fn is_left_out(&self) -> bool {
        self.priority == Priority::Wont
    }

    /// Returns the criterion's indicator.
    #[must_use]
    pub fn indicator(&self) -> Option<&str> {
        self.criterion.as_ref()?.get("indicator")?.as_str()
    }

    /// The position of a field, or of the nearest field around it that has one.
    fn position_of(&self, field: &str) -> Position {
        let mut name = field;
        loop {
            if let Some(at) = self.place.fields.get(name) {
                return *at;
            }
            match name.rfind(['.', '[']) {
                Some(cut) => name = name.get(..cut).unwrap_or_default(),
                None => return self.place.fields.get("").copied().unwrap_or_default(),
            }
        }
    }

    fn to_place(&self, field: &str, first: Position, last: Position) -> Place {
        let line = |at: Position| if at.line == 0 { 0 } else { at.line + self.place.lines_before };
        Place {
            file: self.place.file.to_string(),
            line: line(first),
            column: first.column,
            end_line: line(last),
            end_column: last.column,
            field: field.to_owned(),
        }
    }
}
