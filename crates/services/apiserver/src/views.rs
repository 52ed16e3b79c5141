//! Tables: which columns a kind has, what a row carries.

use maru_kube::table::{Columns, IncludeObject};
use serde_json::{Value, json};

use crate::kinds::{PrinterColumn, Served};
use crate::query::Query;

/// Returns the columns of a kind in a version.
pub(crate) fn columns(served: &Served) -> Columns {
    if !served.kind.is_custom {
        return Columns::of_kind(&served.kind.group, &served.kind.kind);
    }
    let columns: Vec<Value> = served.version().columns.iter().map(column_json).collect();
    let given = if columns.is_empty() { Value::Null } else { Value::Array(columns) };
    Columns::from_crd(&given).unwrap_or_else(|error| {
        // The definition was checked when it was written; name and age always work.
        tracing::warn!(kind = %served.kind.kind, %error, "printer columns cannot be used");
        Columns::of_kind("", "")
    })
}

fn column_json(column: &PrinterColumn) -> Value {
    json!({
        "name": column.name,
        "type": column.kind,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
        "jsonPath": column.json_path,
    })
}

/// Reads `includeObject`.
pub(crate) fn include(query: &Query) -> IncludeObject {
    match query.text("includeObject") {
        "None" => IncludeObject::None,
        "Object" => IncludeObject::Object,
        _ => IncludeObject::Metadata,
    }
}
