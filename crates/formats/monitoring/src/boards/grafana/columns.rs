//! What is said of single series and columns, and which columns a table has.

use std::collections::BTreeMap;

use maru_promql::{Expression, ParseOptions, parse};
use regex::Regex;

use super::fields::Fields;
use super::style;
use crate::boards::{Column, Panel, PanelKind, Threshold};

/// Tells whether what is said of single series only changes how they look.
fn is_look(id: &str) -> bool {
    const MEANING: [&str; 4] = ["custom.transform", "custom.hidden", "custom.stacking", "custom.drawStyle"];
    id == "color" || (id.starts_with("custom.") && !MEANING.contains(&id))
}

/// What is said of one column alone.
#[derive(Debug, Default)]
pub(super) struct Change {
    title: String,
    unit: String,
    decimals: Option<u32>,
    thresholds: Vec<Threshold>,
    is_hidden: bool,
}

/// Reads what overrides, transformations and old styles say of columns, by their names here.
pub(super) fn changes(fields: &Fields<'_>) -> BTreeMap<String, Change> {
    let is_table = fields.text("type").starts_with("table");
    let mut all: BTreeMap<String, Change> = BTreeMap::new();
    for one in fields.get("fieldConfig")["overrides"].as_array().into_iter().flatten() {
        let (matcher, of) = (one["matcher"]["id"].as_str().unwrap_or_default(), &one["matcher"]["options"]);
        let name = of.as_str().map_or_else(|| of.to_string(), str::to_owned);
        let ids = || one["properties"].as_array().into_iter().flatten().filter_map(|one| one["id"].as_str());
        if ids().all(is_look) {
            fields.look("colours of single series");
            continue;
        }
        if !is_table || matcher != "byName" {
            fields.note(format!("what is said of \"{name}\" alone ({matcher}) is left out"));
            continue;
        }
        let change = all.entry(field_name(&name)).or_default();
        for property in one["properties"].as_array().into_iter().flatten() {
            let value = &property["value"];
            match property["id"].as_str().unwrap_or_default() {
                "displayName" => value.as_str().unwrap_or_default().clone_into(&mut change.title),
                "unit" => change.unit = style::unit(fields, value.as_str().unwrap_or_default()),
                "decimals" => change.decimals = value.as_u64().and_then(|count| u32::try_from(count).ok()),
                "thresholds" => change.thresholds = style::thresholds(fields, value, None),
                "custom.hidden" => change.is_hidden = value == true,
                id if id.starts_with("custom.") || id == "color" => {}
                id => fields.note(format!("\"{id}\" of the column \"{name}\" is left out")),
            }
        }
    }
    for one in fields.get("styles").as_array().into_iter().flatten() {
        let name = one["pattern"].as_str().unwrap_or_default();
        if name.is_empty() || name.starts_with('/') {
            if one["type"] != "date" && name != "/.*/" {
                fields.note(format!("what is said of the columns \"{name}\" is left out"));
            }
            continue;
        }
        let change = all.entry(field_name(name)).or_default();
        one["alias"].as_str().unwrap_or_default().clone_into(&mut change.title);
        change.unit = style::unit(fields, one["unit"].as_str().unwrap_or_default());
        change.decimals = one["decimals"].as_u64().and_then(|count| u32::try_from(count).ok());
        change.is_hidden = one["type"] == "hidden";
    }
    all
}

/// Chooses the columns of a table: those that a transformation puts in order, else those that its queries have.
pub(super) fn choose(fields: &Fields<'_>, panel: &mut Panel, mut changes: BTreeMap<String, Change>) {
    fields.ignore(&["styles", "columns", "sort", "transform"]);
    let is_table = panel.kind == PanelKind::Table;
    let mut order: BTreeMap<u64, String> = BTreeMap::new();
    for one in fields.get("transformations").as_array().into_iter().flatten() {
        let id = one["id"].as_str().unwrap_or_default();
        match id {
            "organize" if is_table => {
                let options = &one["options"];
                for (name, hidden) in options["excludeByName"].as_object().into_iter().flatten() {
                    changes.entry(field_name(name)).or_default().is_hidden |= hidden == true;
                }
                for (name, title) in options["renameByName"].as_object().into_iter().flatten() {
                    let change = changes.entry(field_name(name)).or_default();
                    if change.title.is_empty() {
                        title.as_str().unwrap_or_default().clone_into(&mut change.title);
                    }
                }
                for (name, place) in options["indexByName"].as_object().into_iter().flatten() {
                    order.insert(place.as_u64().unwrap_or(u64::MAX), field_name(name));
                }
            }
            // Lines with the same labels are one line here in any case.
            "merge" | "joinByField" | "seriesToColumns" if is_table => {}
            _ => fields.note(format!("the transformation \"{id}\" is left out")),
        }
    }
    if !is_table || (changes.is_empty() && order.is_empty()) {
        return;
    }
    let mut names: Vec<String> = order.into_values().collect();
    let known = known_columns(panel);
    names.extend(known.iter().flatten().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());
    if known.is_none() && names.is_empty() {
        names = changes.keys().cloned().collect();
        fields.note("which columns its query has is not known; only those that are named are shown");
    }
    // A name that the panel itself gave is that of the column here.
    for name in changes.keys().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>() {
        let titled = changes.iter().find(|(_, change)| change.title == name).map(|(field, _)| field.clone());
        if let (Some(field), Some(said)) = (titled, changes.remove(&name)) {
            let change = changes.entry(field).or_default();
            change.unit = if said.unit.is_empty() { std::mem::take(&mut change.unit) } else { said.unit };
            change.decimals = said.decimals.or(change.decimals);
            if !said.thresholds.is_empty() {
                change.thresholds = said.thresholds;
            }
            change.is_hidden |= said.is_hidden;
        }
    }
    panel.columns = names
        .into_iter()
        .filter_map(|field| {
            let change = changes.remove(&field).unwrap_or_default();
            let column = Column {
                field,
                title: change.title,
                unit: change.unit,
                decimals: change.decimals,
                thresholds: change.thresholds,
            };
            (!change.is_hidden).then_some(column)
        })
        .collect();
}

/// Returns the columns that the queries of a table have, where their aggregations say so.
fn known_columns(panel: &Panel) -> Option<Vec<String>> {
    let mut labels: Vec<String> = Vec::new();
    for query in &panel.queries {
        // Variables of labels would be no names.
        let parsed = parse(&query.query.replace(['$', '{', '}'], ""), &ParseOptions::default());
        let by = parse(&query.query, &ParseOptions::default()).or(parsed).ok().and_then(|one| grouping(&one))?;
        labels.extend(by.into_iter().filter(|label| !labels.contains(label)).collect::<Vec<_>>());
    }
    let single = panel.queries.len() == 1;
    labels.extend(
        panel.queries.iter().map(|query| if single { "value".to_owned() } else { format!("value {}", query.name) }),
    );
    Some(labels)
}

fn grouping(expression: &Expression) -> Option<Vec<String>> {
    let text = expression.to_string();
    let pattern = Regex::new(r"^[a-z_]+ by \(([^)]*)\)").expect("a constant");
    let labels = pattern.captures(&text)?.get(1)?.as_str().to_owned();
    Some(labels.split(',').map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()).collect())
}

/// Returns our name of a column.
fn field_name(name: &str) -> String {
    match name.strip_prefix("Value #") {
        Some(query) => format!("value {query}"),
        None if name == "Value" => "value".to_owned(),
        None if name == "Time" => "time".to_owned(),
        None => name.to_owned(),
    }
}
