//! What an API server checks boards with.

use serde_json::{Map, Value, json};

/// Returns the structural schema of a board's `spec`.
#[must_use]
pub fn schema() -> Value {
    let variable = object(
        &["name", "kind"],
        json!({
            "name": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "description": "The name in queries: $name or ${name}."},
            "title": text("What people call it."),
            "kind": one_of(&["labelValues", "metricNames", "query", "custom", "interval", "constant", "text"]),
            "label": text("Of labelValues: the label."),
            "match": text("Of labelValues: a selector of the series that are asked."),
            "query": text("Of query: an instant query."),
            "regex": text("Keeps the values that it matches; its first group is the value."),
            "values": list(object(&["value"], json!({"value": text("What queries get."), "text": text("What is shown.")}))),
            "default": list(text("What is chosen at first.")),
            "multiple": flag("Whether several may be chosen; queries get a|b."),
            "all": flag("Whether all can be chosen at once."),
            "allValue": text("What queries get for all; a|b without it."),
            "hidden": flag("Whether the reader does not see it."),
        }),
    );
    let row = object(
        &["panels"],
        json!({
            "title": text("The heading."),
            "collapsed": flag("Whether only the heading is shown at first."),
            "repeat": text("A variable: the row stands once for each value that is chosen."),
            "panels": list(panel()),
        }),
    );
    object(
        &["title", "rows"],
        json!({
            "title": {"type": "string", "minLength": 1, "description": "What people call it."},
            "description": text("What it is for."),
            "tags": list(text("A word that it is found by.")),
            "time": object(&["from", "to"], json!({"from": text("now-1h, or RFC 3339."), "to": text("now, or RFC 3339.")})),
            "refresh": text("How often it is read again, as 30s."),
            "variables": list(variable),
            "rows": list(row),
            "notes": list(text("What an import did not understand.")),
        }),
    )
}

fn panel() -> Value {
    let thresholds = || {
        list(object(
            &["color"],
            json!({"from": number("The least value; without it all below the next."),
                "color": text("green, yellow, orange, red, blue, purple, gray, or #rrggbb.")}),
        ))
    };
    let query = object(
        &["query"],
        json!({
            "name": text("What columns of tables name it by: A, B."),
            "query": {"type": "string", "minLength": 1, "description": "PromQL with variables."},
            "legend": text("What a series is called, with {{label}}."),
            "instant": flag("Whether only the end of the time is asked."),
            "step": text("The least step, as 1m."),
            "hidden": flag("Whether it is not asked."),
        }),
    );
    let mapping = object(
        &[],
        json!({"value": text("The value as text."), "from": number("From here on."), "to": number("Up to here."),
            "text": text("What is shown."), "color": text("Its colour.")}),
    );
    let column = object(
        &["field"],
        json!({"field": text("A label, value, value A, or time."), "title": text("The heading."), "unit": text("The unit."),
            "decimals": count(), "thresholds": thresholds()}),
    );
    object(
        &["kind"],
        json!({
            "title": text("The heading."),
            "description": text("What it shows."),
            "kind": one_of(&["timeSeries", "stat", "gauge", "bar", "table", "heatmap", "text"]),
            "width": {"type": "integer", "minimum": 1, "maximum": super::COLUMNS, "default": 12},
            "height": {"type": "integer", "minimum": 1, "maximum": 100, "default": 8},
            "queries": list(query),
            "unit": text("The unit of the values."),
            "decimals": count(),
            "min": number("The least value of the axis."),
            "max": number("The greatest value of the axis."),
            "thresholds": thresholds(),
            "mappings": list(mapping),
            "draw": one_of(&["line", "area", "bars", "points"]),
            "stack": one_of(&["none", "normal", "percent"]),
            "reduce": one_of(&["last", "first", "mean", "min", "max", "sum", "count", "delta"]),
            "columns": list(column),
            "text": text("Markdown."),
            "repeat": text("A variable: the panel stands once for each value that is chosen."),
            "links": list(object(&["title", "url"], json!({"title": text("What is shown."), "url": text("Where it leads.")}))),
        }),
    )
}

fn object(required: &[&str], properties: Value) -> Value {
    let mut schema = Map::from_iter([("type".to_owned(), json!("object")), ("properties".to_owned(), properties)]);
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema.into()
}

fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

fn one_of(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn flag(description: &str) -> Value {
    json!({"type": "boolean", "description": description})
}

fn number(description: &str) -> Value {
    json!({"type": "number", "description": description})
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": 20, "description": "Digits behind the point."})
}
