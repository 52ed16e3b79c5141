//! Dashboards of Grafana as boards.
//!
//! What a board cannot hold is named in its notes; what only changes looks is named there in one line.
//! Source: Grafana documentation, "Dashboard JSON model" and "Variables"; schema versions 14 to 41.

mod columns;
mod fields;
mod panel;
mod style;
mod variable;

use serde_json::Value;

use super::{Board, Panel, Row, TimeRange, check};
use fields::{Fields, Notes};

/// The longest text that is read.
const BYTES_MAX: usize = 16 << 20;
/// The most panels that are read.
const PANELS_MAX: usize = 2000;

/// Why a text is no dashboard.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It is too long.
    #[error("it has {bytes} bytes; at most {BYTES_MAX} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It is not JSON.
    #[error("it is no JSON")]
    Json(#[from] serde_json::Error),
    /// It is JSON of something else.
    #[error("it is no dashboard of Grafana: {0}")]
    Other(String),
}

/// Makes a board of a dashboard's JSON: as it is exported, or as Grafana's API answers.
///
/// # Errors
/// When it is no dashboard; what is in one and not understood is in the notes of the board.
pub fn import_grafana(text: &str) -> Result<Board, ImportError> {
    if text.len() > BYTES_MAX {
        return Err(ImportError::TooLong { bytes: text.len() });
    }
    let mut value: Value = serde_json::from_str(text)?;
    if value["dashboard"].is_object() {
        value = value["dashboard"].take();
    }
    if value["spec"]["elements"].is_object() || value["elements"].is_object() {
        let why = "it is of the schema \"v2\", which is not supported; export it with \"classic\" as its model";
        return Err(ImportError::Other(why.to_owned()));
    }
    if value["kind"] == "Dashboard" && value["spec"].is_object() {
        value = value["spec"].take();
    }
    let Some(map) = value.as_object() else {
        return Err(ImportError::Other("it is no object".to_owned()));
    };
    if !value["panels"].is_array() && !value["rows"].is_array() {
        return Err(ImportError::Other("it has neither \"panels\" nor \"rows\"".to_owned()));
    }
    let constants = constants(&value["__inputs"]);
    let notes = Notes::default();
    let mut board = read(&Fields::new(map, String::new(), &notes), &constants);
    for problem in check(&board) {
        notes.add("", problem);
    }
    board.notes = notes.finish();
    Ok(board)
}

/// Returns the values that an exported dashboard asks for, by the text that stands for them.
fn constants(inputs: &Value) -> Vec<(String, String)> {
    let inputs = inputs.as_array().into_iter().flatten();
    let constants = inputs.filter(|input| input["type"] == "constant");
    let texts = constants.filter_map(|input| Some((input["name"].as_str()?, input["value"].as_str()?)));
    texts.map(|(name, value)| (format!("${{{name}}}"), value.to_owned())).collect()
}

fn read(top: &Fields<'_>, constants: &[(String, String)]) -> Board {
    top.ignore(&[
        "__elements",
        "__inputs",
        "__requires",
        "editable",
        "fiscalYearStartMonth",
        "gnetId",
        "graphTooltip",
        "hideControls",
        "id",
        "iteration",
        "liveNow",
        "originalTitle",
        "preload",
        "revision",
        "schemaVersion",
        "sharedCrosshair",
        "slug",
        "style",
        "timezone",
        "timepicker",
        "uid",
        "version",
        "weekStart",
    ]);
    let time = top.child("time");
    let mut board = Board {
        title: Some(top.text("title")).filter(|title| !title.is_empty()).unwrap_or_else(|| "Untitled".to_owned()),
        description: top.text("description"),
        tags: top.texts("tags"),
        refresh: top.text("refresh"),
        time: match (time.text("from"), time.text("to")) {
            (from, to) if from.is_empty() || to.is_empty() => TimeRange::default(),
            (from, to) => TimeRange { from, to },
        },
        ..Board::default()
    };
    time.finish();
    let list = top.child("templating");
    for variable in list.children("list") {
        board.variables.extend(variable::read(&variable, constants));
    }
    list.finish();
    for annotation in top.child("annotations").children("list") {
        let is_built_in = annotation.get("builtIn") == 1 || annotation.get("enable") == false;
        if !is_built_in {
            top.note(format!("the annotation \"{}\" is left out", annotation.text("name")));
        }
    }
    for link in top.children("links") {
        top.note(format!("the link \"{}\" is left out", link.text("title")));
    }
    let mut count = 0;
    for row in top.children("rows") {
        board.rows.push(old_row(&row, constants, &mut count));
    }
    new_rows(top.children("panels"), constants, &mut board, &mut count);
    if count > PANELS_MAX {
        top.note(format!("{} panels are left out: at most {PANELS_MAX} are read", count - PANELS_MAX));
    }
    top.finish();
    board.rows.retain(|row| !row.panels.is_empty() || !row.title.is_empty());
    board
}

fn panels_of(list: Vec<Fields<'_>>, constants: &[(String, String)], count: &mut usize) -> Vec<Panel> {
    *count += list.len();
    let room = PANELS_MAX.saturating_sub(*count - list.len());
    list.into_iter().take(room).map(|one| panel::read(&one, constants)).collect()
}

/// Reads a row as they were before version 16: with its panels, whose widths are of 12.
fn old_row(row: &Fields<'_>, constants: &[(String, String)], count: &mut usize) -> Row {
    row.ignore(&["height", "repeatIteration", "repeatRowId", "titleSize", "editable"]);
    let shows_title = row.get("showTitle") == true || row.get("repeat").is_string() || row.get("collapse") == true;
    let title = row.text("title");
    let read = Row {
        title: if shows_title { title } else { String::new() },
        collapsed: row.flag("collapse"),
        repeat: row.text("repeat"),
        panels: panels_of(row.children("panels"), constants, count),
    };
    row.finish();
    read
}

/// Reads panels with places on a grid; those of the kind `row` begin a row.
fn new_rows<'v>(panels: Vec<Fields<'v>>, constants: &[(String, String)], board: &mut Board, count: &mut usize) {
    let mut panels = panels;
    let place = |panel: &Fields<'v>| {
        let place = panel.get("gridPos");
        (place["y"].as_u64().unwrap_or(0), place["x"].as_u64().unwrap_or(0))
    };
    panels.sort_by_key(place);
    let mut open: Option<Row> = None;
    for one in panels {
        if one.get("type") != "row" {
            open.get_or_insert_default().panels.extend(panels_of(vec![one], constants, count));
            continue;
        }
        board.rows.extend(open.take());
        one.ignore(&[
            "datasource",
            "gridPos",
            "id",
            "repeatIteration",
            "scopedVars",
            "targets",
            "type",
            "showTitle",
            "titleSize",
        ]);
        let mut inner = one.children("panels");
        inner.sort_by_key(place);
        open = Some(Row {
            title: one.text("title"),
            collapsed: one.flag("collapsed"),
            repeat: one.text("repeat"),
            panels: panels_of(inner, constants, count),
        });
        one.finish();
    }
    board.rows.extend(open);
}

#[cfg(test)]
mod tests;
