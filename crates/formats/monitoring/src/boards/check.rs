//! What is wrong with a board, beyond what its schema says.

use std::collections::BTreeSet;

use maru_promql::{ParseOptions, parse};
use regex::{Captures, Regex};

use super::{Board, Panel, PanelKind, Variable, VariableKind};

/// What the reader of a board always has, with a value that queries take.
const ALWAYS: [(&str, &str); 10] = [
    ("__interval", "1m"),
    ("__interval_ms", "60000"),
    ("__rate_interval", "5m"),
    ("__range", "1h"),
    ("__range_s", "3600"),
    ("__range_ms", "3600000"),
    ("__from", "0"),
    ("__to", "0"),
    ("__rate_interval_ms", "300000"),
    ("__auto", "1m"),
];
/// What stands for a variable's value where it has none: a text, a number, a time.
const SAMPLES: [&str; 3] = ["a", "1", "5m"];

/// Returns all that is wrong with a board; nothing when it is right.
#[must_use]
pub fn check(board: &Board) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut names = BTreeSet::new();
    for variable in &board.variables {
        if !names.insert(variable.name.as_str()) {
            wrong.push(format!("variable \"{}\": the name stands twice", variable.name));
        }
        check_variable(board, variable, &mut wrong);
    }
    for (index, row) in board.rows.iter().enumerate() {
        let place = if row.title.is_empty() { format!("row {}", index + 1) } else { format!("row \"{}\"", row.title) };
        check_repeat(&row.repeat, &names, &place, &mut wrong);
        for (index, panel) in row.panels.iter().enumerate() {
            let title = if panel.title.is_empty() { (index + 1).to_string() } else { format!("\"{}\"", panel.title) };
            let place = format!("{place}, panel {title}");
            check_repeat(&panel.repeat, &names, &place, &mut wrong);
            check_panel(board, panel, &place, &mut wrong);
        }
    }
    wrong
}

fn check_repeat(repeat: &str, names: &BTreeSet<&str>, place: &str, wrong: &mut Vec<String>) {
    if !repeat.is_empty() && !names.contains(repeat) {
        wrong.push(format!("{place}: it is to be repeated for the variable \"{repeat}\", which there is not"));
    }
}

fn check_variable(board: &Board, variable: &Variable, wrong: &mut Vec<String>) {
    let place = format!("variable \"{}\"", variable.name);
    let needed = match variable.kind {
        VariableKind::LabelValues => ("label", &variable.label),
        VariableKind::Query => ("query", &variable.query),
        VariableKind::Constant => ("default", variable.default.first().unwrap_or(&variable.query)),
        VariableKind::MetricNames | VariableKind::Custom | VariableKind::Interval | VariableKind::Text => ("", &place),
    };
    if needed.1.is_empty() {
        wrong.push(format!("{place}: it needs \"{}\"", needed.0));
    }
    let is_list = matches!(variable.kind, VariableKind::Custom | VariableKind::Interval);
    if is_list && variable.values.is_empty() {
        wrong.push(format!("{place}: it needs \"values\""));
    }
    if let Err(error) = Regex::new(&variable.regex) {
        wrong.push(format!("{place}: \"{}\" is no regular expression: {error}", variable.regex));
    }
    for query in [&variable.selector, &variable.query].into_iter().filter(|query| !query.is_empty()) {
        check_query(board, query, &place, wrong);
    }
}

fn check_panel(board: &Board, panel: &Panel, place: &str, wrong: &mut Vec<String>) {
    if panel.kind == PanelKind::Text {
        return;
    }
    if panel.queries.is_empty() {
        wrong.push(format!("{place}: it needs a query"));
    }
    for query in &panel.queries {
        check_query(board, &query.query, place, wrong);
    }
    let from: Vec<f64> = panel.thresholds.iter().filter_map(|one| one.from).collect();
    if !from.is_sorted() {
        wrong.push(format!("{place}: its thresholds do not rise"));
    }
}

/// Says what is wrong with a query: variables that there are not, and what is no PromQL with any value of them.
fn check_query(board: &Board, query: &str, place: &str, wrong: &mut Vec<String>) {
    for name in variables(query) {
        let is_known = ALWAYS.iter().any(|(one, _)| *one == name) || board.variables.iter().any(|one| one.name == name);
        if !is_known {
            wrong.push(format!("{place}: there is no variable \"{name}\""));
            return;
        }
    }
    let mut first = None;
    for sample in SAMPLES {
        let text = fill(query, |name| {
            let always = ALWAYS.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
            always
                .or_else(|| Some(value_of(board, name)).filter(|value| !value.is_empty()))
                .unwrap_or_else(|| sample.to_owned())
        });
        let options = ParseOptions {
            experimental_functions: true,
            duration_expressions: true,
            extended_range_selectors: true,
            fill_modifiers: true,
            ..ParseOptions::default()
        };
        match parse(&text, &options) {
            Ok(_) => return,
            Err(error) => first = first.or(Some(error)),
        }
    }
    if let Some(error) = first {
        wrong.push(format!("{place}: \"{query}\": {error}"));
    }
}

/// Returns a value that a variable may have; empty where that is not known.
fn value_of(board: &Board, name: &str) -> String {
    let variable = board.variables.iter().find(|one| one.name == name);
    let Some(variable) = variable else { return String::new() };
    let mut first = variable.values.iter().map(|one| &one.value).chain(&variable.default);
    first.find(|value| !matches!(value.as_str(), "auto" | "$__all" | "")).cloned().unwrap_or_default()
}

fn pattern() -> Regex {
    Regex::new(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::[a-z]+)?\}|([A-Za-z_][A-Za-z0-9_]*))").expect("a constant")
}

fn name_of<'t>(found: &Captures<'t>) -> &'t str {
    found.get(1).or_else(|| found.get(2)).map_or("", |name| name.as_str())
}

/// Returns the variables that a text names, in its order.
pub(super) fn variables(text: &str) -> Vec<&str> {
    pattern().captures_iter(text).map(|found| name_of(&found)).collect()
}

/// Puts values in the places of variables.
fn fill(text: &str, value: impl Fn(&str) -> String) -> String {
    pattern().replace_all(text, |found: &Captures<'_>| value(name_of(found))).into_owned()
}
