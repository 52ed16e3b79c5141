//! Variables: `templating.list`.

use regex::Regex;
use serde_json::Value;

use super::fields::{Fields, texts};
use crate::boards::{Choice, Variable, VariableKind};

/// What stands for all values.
const ALL: &str = "$__all";

/// Reads a variable; `None` for one that there is no use for here.
#[expect(clippy::too_many_lines, reason = "a list of fields")]
pub(super) fn read(fields: &Fields<'_>, constants: &[(String, String)]) -> Option<Variable> {
    let name = fields.text("name");
    let note = |note: &str| fields.note(format!("variable \"{name}\": {note}"));
    fields.ignore(&[
        "datasource",
        "definition",
        "error",
        "id",
        "index",
        "initialGroup",
        "initialLock",
        "options",
        "refresh",
        "skipUrlSync",
        "tagValuesQuery",
        "tagsQuery",
        "tags",
        "useTags",
        "state",
        "global",
        "auto_min",
        "staticOptions",
        "description",
    ]);
    if fields.number("sort").is_some_and(|sort| sort > 1.0) {
        fields.looks(&["sort"]);
    }
    let kind = match fields.text("type").as_str() {
        "query" => VariableKind::Query,
        "custom" => VariableKind::Custom,
        "interval" => VariableKind::Interval,
        "constant" => VariableKind::Constant,
        "textbox" => VariableKind::Text,
        "datasource" => {
            note("it chooses a data source, and there is one store here");
            return None;
        }
        other => {
            note(&format!("the kind \"{other}\" is not supported"));
            return None;
        }
    };
    let hide = fields.get("hide");
    let mut variable = Variable {
        title: fields.text("label"),
        kind,
        regex: regex_of(&fields.text("regex")),
        multiple: fields.flag("multi"),
        all: fields.flag("includeAll"),
        all_value: fields.text("allValue"),
        hidden: *hide == 2 || *hide == "hideVariable",
        name: name.clone(),
        ..Variable::default()
    };
    let chosen = texts(&fields.get("current")["value"]);
    if !(variable.all && chosen.iter().any(|value| value == ALL)) {
        variable.default = chosen.into_iter().filter(|value| value != ALL).collect();
    }
    let query = match fields.get("query") {
        Value::Object(query) => query.get("query").and_then(Value::as_str).unwrap_or_default().to_owned(),
        _ => fields.text("query"),
    };
    let query = super::panel::expression(&query, constants);
    match kind {
        VariableKind::Query => {
            if let Err(why) = of_query(&mut variable, &query) {
                note(&why);
            }
        }
        VariableKind::Custom | VariableKind::Interval => {
            variable.values = choices(&query);
            if fields.flag("auto") {
                variable.values.insert(0, Choice { value: "auto".to_owned(), text: String::new() });
            }
            fields.ignore(&["auto_count"]);
            for value in variable.default.iter_mut().filter(|value| value.starts_with("$__auto")) {
                "auto".clone_into(value);
            }
        }
        VariableKind::Constant => {
            variable.default = vec![query];
            variable.hidden = true;
        }
        _ => {
            if variable.default.is_empty() && !query.is_empty() {
                variable.default = vec![query];
            }
        }
    }
    fields.finish();
    Some(variable)
}

/// Reads the functions that Grafana knows beside PromQL.
fn of_query(variable: &mut Variable, query: &str) -> Result<(), String> {
    let inner = |name: &str| {
        let rest = query.trim().strip_prefix(name)?.trim_start().strip_prefix('(')?;
        rest.trim_end().strip_suffix(')').map(str::trim)
    };
    if let Some(inside) = inner("label_values") {
        // The label is behind the last comma, which stands in no braces.
        let (selector, label) =
            match inside.rfind(',').filter(|at| !inside.get(*at..).is_some_and(|rest| rest.contains('}'))) {
                Some(at) => (inside.get(..at).unwrap_or_default(), inside.get(at + 1..).unwrap_or_default()),
                None => ("", inside),
            };
        variable.kind = VariableKind::LabelValues;
        selector.trim().clone_into(&mut variable.selector);
        label.trim().clone_into(&mut variable.label);
    } else if let Some(inside) = inner("metrics") {
        variable.kind = VariableKind::MetricNames;
        if variable.regex.is_empty() && inside != ".*" {
            variable.regex = format!("({inside})");
        } else if inside != ".*" {
            return Err(format!("\"metrics({inside})\" beside a regular expression: only the latter is kept"));
        }
    } else if let Some(inside) = inner("query_result") {
        inside.clone_into(&mut variable.query);
    } else if inner("label_names").is_some() {
        "label_names()".clone_into(&mut variable.query);
        return Err("\"label_names()\" is not supported".to_owned());
    } else {
        query.clone_into(&mut variable.query);
    }
    Ok(())
}

/// Takes the slashes away that Grafana writes around.
fn regex_of(text: &str) -> String {
    let Some(inner) = text.strip_prefix('/') else { return text.to_owned() };
    let (inner, flags) = inner.rsplit_once('/').unwrap_or((inner, ""));
    // Groups are named in two ways; ours is that of both since.
    let inner = inner.replace("\\/", "/");
    if flags.contains('i') { format!("(?i){inner}") } else { inner }
}

/// Reads `a, b, c`, also `text : value`; a comma with a backslash belongs to the value.
fn choices(text: &str) -> Vec<Choice> {
    let split = Regex::new(r"(?:\\,|[^,])+").expect("a constant");
    let parts = split.find_iter(text).map(|part| part.as_str().replace("\\,", ",")).collect::<Vec<_>>();
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    parts
        .map(|part| match part.split_once(" : ") {
            Some((text, value)) => Choice { value: value.trim().to_owned(), text: text.trim().to_owned() },
            None => Choice { value: part.to_owned(), text: String::new() },
        })
        .collect()
}
