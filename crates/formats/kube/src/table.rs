//! Objects as the table that `kubectl get` prints (`meta.k8s.io/v1` Table).
//!
//! Source: Kubernetes "Receiving resources as Tables"; `additionalPrinterColumns` of CustomResourceDefinition.

mod age;
mod columns;
mod jsonpath;
mod network;
mod pod;
mod policy;
mod storage;
mod workload;

use maru_time::Timestamp;
use serde_json::{Value, json};

pub use age::human_duration;
use jsonpath::JsonPath;

/// The columns of one kind of object.
#[derive(Debug, Clone)]
pub struct Columns(Vec<Column>);

/// What a row carries besides its cells (`includeObject`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// The object's metadata (`PartialObjectMetadata`).
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

impl IncludeObject {
    /// Reads the query parameter; the empty text is the default.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "None" => Some(Self::None),
            "Metadata" | "" => Some(Self::Metadata),
            "Object" => Some(Self::Object),
            _ => None,
        }
    }
}

/// A printer column of a CRD that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("additionalPrinterColumns[{index}].jsonPath: Invalid value: {path:?}: {why}")]
pub struct ColumnError {
    /// The column's place in the list.
    pub index: usize,
    /// Its JSONPath.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

/// An object and the time that ages count to.
#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    object: &'a Value,
    now: Timestamp,
}

/// How a cell is made.
#[derive(Debug, Clone)]
enum Cell {
    Code(fn(Row<'_>) -> Value),
    Path(JsonPath),
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    kind: String,
    format: String,
    description: String,
    priority: i64,
    cell: Cell,
}

impl Column {
    /// A column that is always shown.
    fn new(name: &str, kind: &str, cell: fn(Row<'_>) -> Value) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            format: String::new(),
            description: String::new(),
            priority: 0,
            cell: Cell::Code(cell),
        }
    }

    /// A column of text that is always shown.
    fn text(name: &str, cell: fn(Row<'_>) -> Value) -> Self {
        Self::new(name, "string", cell)
    }

    /// A column of text that is shown with `-o wide`.
    fn wide(name: &str, cell: fn(Row<'_>) -> Value) -> Self {
        Self { priority: 1, ..Self::text(name, cell) }
    }

    /// The column of the object's name.
    fn name() -> Self {
        Self { format: "name".to_owned(), ..Self::text("Name", |row| json!(row.text("/metadata/name"))) }
    }

    /// The column of the object's age.
    fn age() -> Self {
        Self::text("Age", |row| json!(row.age("/metadata/creationTimestamp")))
    }

    fn cell(&self, row: Row<'_>) -> Value {
        match &self.cell {
            Cell::Code(code) => code(row),
            Cell::Path(path) => path.first(row.object).map_or(Value::Null, |value| typed_cell(&self.kind, value, row)),
        }
    }
}

/// Makes a value found by a CRD's column fit the column's type; what does not fit is not shown.
fn typed_cell(kind: &str, value: &Value, row: Row<'_>) -> Value {
    match (kind, value) {
        ("integer", Value::Number(number)) => {
            #[expect(clippy::cast_possible_truncation, reason = "a cell shows whole numbers; the cast saturates")]
            let truncated = || number.as_f64().map(|float| float as i64);
            number.as_i64().or_else(truncated).map_or(Value::Null, Value::from)
        }
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        ("string", Value::String(_)) => value.clone(),
        ("string", Value::Null) => Value::Null,
        ("string", other) => Value::String(other.to_string()),
        ("date", Value::String(text)) => Value::String(age::since_text(text, row.now)),
        _ => Value::Null,
    }
}

impl<'a> Row<'a> {
    fn at(self, pointer: &str) -> &'a Value {
        self.object.pointer(pointer).unwrap_or(&Value::Null)
    }

    fn text(self, pointer: &str) -> &'a str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    fn text_or(self, pointer: &str, absent: &'static str) -> &'a str {
        match self.text(pointer) {
            "" => absent,
            text => text,
        }
    }

    fn number(self, pointer: &str) -> i64 {
        self.at(pointer).as_i64().unwrap_or_default()
    }

    fn list(self, pointer: &str) -> &'a [Value] {
        self.at(pointer).as_array().map_or(&[], Vec::as_slice)
    }

    /// Returns the number of entries of a map or list.
    fn count(self, pointer: &str) -> usize {
        match self.at(pointer) {
            Value::Object(map) => map.len(),
            Value::Array(list) => list.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }

    fn age(self, pointer: &str) -> String {
        age::since(self.at(pointer), self.now)
    }

    fn is_being_deleted(self) -> bool {
        !self.at("/metadata/deletionTimestamp").is_null()
    }

    /// Returns the status of a condition.
    fn condition(self, kind: &str) -> Option<&'a str> {
        let found = self.list("/status/conditions").iter().find(|c| c["type"] == kind)?;
        found["status"].as_str()
    }
}

/// Joins the texts of a field of list items.
fn joined(list: &[Value], field: &str) -> String {
    let texts: Vec<&str> = list.iter().map(|item| item[field].as_str().unwrap_or_default()).collect();
    texts.join(",")
}

/// Prints a map of labels as `a=b,c=d`, sorted.
fn labels(map: &Value) -> String {
    let pairs = map.as_object().into_iter().flatten();
    let mut pairs: Vec<String> = pairs.map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    pairs.sort_unstable();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

/// Prints a LabelSelector object.
fn selector(object: &Value) -> String {
    match crate::selector::LabelSelector::from_object(object) {
        Ok(selector) if selector.requirements().is_empty() => "<none>".to_owned(),
        Ok(selector) => selector.to_string(),
        Err(_) => "<error>".to_owned(),
    }
}

impl Columns {
    /// Returns the columns of a built-in kind, or name and age for one that has no columns of its own.
    #[must_use]
    pub fn of_kind(group: &str, kind: &str) -> Self {
        let found = columns::of_kind(group, kind);
        Self(found.unwrap_or_else(|| vec![Column::name(), Column::age()]))
    }

    /// Reads a CRD version's `additionalPrinterColumns`; absent, they are name and age.
    ///
    /// # Errors
    /// Fails when a JSONPath is malformed.
    pub fn from_crd(additional_printer_columns: &Value) -> Result<Self, ColumnError> {
        let mut columns = vec![Column::name()];
        let list = additional_printer_columns.as_array().map_or(&[][..], Vec::as_slice);
        for (index, column) in list.iter().enumerate() {
            let text = |key: &str| column[key].as_str().unwrap_or_default().to_owned();
            let path = text("jsonPath");
            let parsed = JsonPath::parse(&path).map_err(|why| ColumnError { index, path: path.clone(), why })?;
            columns.push(Column {
                name: text("name"),
                kind: text("type"),
                format: text("format"),
                description: text("description"),
                priority: column["priority"].as_i64().unwrap_or_default(),
                cell: Cell::Path(parsed),
            });
        }
        if list.is_empty() {
            columns.push(Column::age());
        }
        Ok(Self(columns))
    }

    /// Returns `columnDefinitions`.
    #[must_use]
    pub fn definitions(&self) -> Value {
        let definition = |column: &Column| {
            json!({
                "name": column.name,
                "type": column.kind,
                "format": column.format,
                "description": column.description,
                "priority": column.priority,
            })
        };
        Value::Array(self.0.iter().map(definition).collect())
    }

    /// Returns one table row of an object; ages are counted up to `now`.
    #[must_use]
    pub fn row(&self, object: &Value, now: Timestamp, include: IncludeObject) -> Value {
        let row = Row { object, now };
        let cells: Vec<Value> = self.0.iter().map(|column| column.cell(row)).collect();
        let mut row = json!({ "cells": cells });
        match include {
            IncludeObject::None => {}
            IncludeObject::Metadata => row["object"] = partial_object_metadata(object),
            IncludeObject::Object => row["object"] = object.clone(),
        }
        if let Some(conditions) = pod::row_conditions(object) {
            row["conditions"] = conditions;
        }
        row
    }

    /// Returns the table of some objects; `list_metadata` is the list's `metadata` (resourceVersion, continue …).
    pub fn table<'a>(
        &self,
        objects: impl IntoIterator<Item = &'a Value>,
        list_metadata: Value,
        now: Timestamp,
        include: IncludeObject,
    ) -> Value {
        let rows: Vec<Value> = objects.into_iter().map(|object| self.row(object, now, include)).collect();
        json!({
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": list_metadata,
            "columnDefinitions": self.definitions(),
            "rows": rows,
        })
    }
}

/// Returns an object's `PartialObjectMetadata`.
#[must_use]
pub fn partial_object_metadata(object: &Value) -> Value {
    let metadata = object.get("metadata").cloned().unwrap_or_else(|| json!({}));
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
}

#[cfg(test)]
mod tests;
