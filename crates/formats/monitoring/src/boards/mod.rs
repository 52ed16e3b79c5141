//! Boards: rows of panels over queries, as data.
//!
//! The types are the fields of the object's `spec`; [`schema`] is what an API server checks them with.

mod built_in;
mod check;
mod grafana;
mod schema;

use serde::{Deserialize, Serialize};

pub use built_in::built_in;
pub use check::check;
pub use grafana::{ImportError, import_grafana};
pub use schema::schema;

/// How many columns the room for panels has.
pub const COLUMNS: u32 = 24;

/// A page of panels.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Board {
    /// What people call it.
    pub title: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Words that it is found by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Which time it shows at first.
    #[serde(default)]
    pub time: TimeRange,
    /// How often it is read again, as `30s`; empty: not by itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub refresh: String,
    /// What the reader chooses; queries name it as `$name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
    /// The rows from top to bottom.
    #[serde(default)]
    pub rows: Vec<Row>,
    /// What an import did not understand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A time as `now`, `now-6h`, or RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimeRange {
    /// The start.
    pub from: String,
    /// The end.
    pub to: String,
}

impl Default for TimeRange {
    fn default() -> Self {
        Self { from: "now-1h".to_owned(), to: "now".to_owned() }
    }
}

/// Something that the reader chooses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Variable {
    /// The name in queries: `$name` or `${name}`.
    pub name: String,
    /// What people call it; the name without it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Where its values come from.
    pub kind: VariableKind,
    /// Of `labelValues`: the label.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// Of `labelValues`: a selector of the series that are asked; all of them without it.
    #[serde(default, rename = "match", skip_serializing_if = "String::is_empty")]
    pub selector: String,
    /// Of `query`: an instant query; each series of the answer is a text `name{label="value"} value` that `regex` reads.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// Keeps the values that it matches; its first group, or the group `value`, is the value, the group `text` what is shown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub regex: String,
    /// Of `custom` and `interval`: the values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Choice>,
    /// What is chosen at first; the first value without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default: Vec<String>,
    /// Whether several may be chosen; queries get them as `a|b`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub multiple: bool,
    /// Whether all can be chosen at once.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all: bool,
    /// What queries get for all; all values as `a|b` without it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub all_value: String,
    /// Whether the reader does not see it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hidden: bool,
}

/// Where the values of a variable come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VariableKind {
    /// From the values of a label.
    LabelValues,
    /// From the names of metrics; `regex` chooses among them.
    MetricNames,
    /// From the series of a query.
    Query,
    /// From a list.
    #[default]
    Custom,
    /// From a list of times, as `5m`.
    Interval,
    /// One value, which nobody changes.
    Constant,
    /// What the reader types.
    Text,
}

/// One value of a variable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Choice {
    /// What queries get.
    pub value: String,
    /// What is shown; the value without it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// Panels that stand together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Row {
    /// The heading; none without it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Whether only the heading is shown at first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub collapsed: bool,
    /// A variable: the row stands once for each value that is chosen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub repeat: String,
    /// The panels, from left to right; what has no room goes to the next line.
    #[serde(default)]
    pub panels: Vec<Panel>,
}

/// One picture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Panel {
    /// The heading.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// What it shows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How it is drawn.
    pub kind: PanelKind,
    /// Columns of [`COLUMNS`].
    #[serde(default = "Panel::width_default")]
    pub width: u32,
    /// Steps of about 30 pixels.
    #[serde(default = "Panel::height_default")]
    pub height: u32,
    /// What is asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<Query>,
    /// The unit of the values; see the guide. One that is not known is written behind the number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// Digits behind the point; as many as are of use without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u32>,
    /// The least value of the axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The greatest value of the axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// From which value on which colour; in rising order, the first without `from`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<Threshold>,
    /// What values are called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mappings: Vec<Mapping>,
    /// Of `timeSeries`: how series are drawn.
    #[serde(default, skip_serializing_if = "Draw::is_default")]
    pub draw: Draw,
    /// Of `timeSeries` and `bar`: how series stand on one another.
    #[serde(default, skip_serializing_if = "Stack::is_default")]
    pub stack: Stack,
    /// Of `stat`, `gauge`, `bar`, `table`: what becomes of the values of a range.
    #[serde(default, skip_serializing_if = "Reduce::is_default")]
    pub reduce: Reduce,
    /// Of `table`: the columns in their order; all of them without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Column>,
    /// Of `text`: Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// A variable: the panel stands once for each value that is chosen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub repeat: String,
    /// Where to read on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
}

impl Panel {
    const fn width_default() -> u32 {
        12
    }

    const fn height_default() -> u32 {
        8
    }
}

/// How a panel is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PanelKind {
    /// Lines over time.
    #[default]
    TimeSeries,
    /// One number for each series, in large.
    Stat,
    /// One number for each series between `min` and `max`.
    Gauge,
    /// One bar for each series.
    Bar,
    /// A line for each series, a column for each label and query.
    Table,
    /// Buckets over time; the label `le` tells them apart.
    Heatmap,
    /// Words.
    Text,
}

/// One query of a panel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Query {
    /// What columns of tables name it by: `A`, `B` …
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// PromQL with variables.
    pub query: String,
    /// What a series is called, with `{{label}}`; all its labels without it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub legend: String,
    /// Whether only the end of the time is asked.
    #[serde(default, skip_serializing_if = "is_false")]
    pub instant: bool,
    /// The least step, as `1m`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub step: String,
    /// Whether it is asked at all.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hidden: bool,
}

/// From a value on a colour.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Threshold {
    /// The least value; without it all below the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<f64>,
    /// `green`, `yellow`, `orange`, `red`, `blue`, `purple`, `gray`, or `#rrggbb`.
    pub color: String,
}

/// What a value, or what lies between two, is called.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mapping {
    /// The value as text; `null` for no value, `NaN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// In place of `value`: from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<f64>,
    /// In place of `value`: up to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<f64>,
    /// What is shown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Its colour.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub color: String,
}

/// How series are drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Draw {
    /// Lines.
    #[default]
    Line,
    /// Lines that are filled below.
    Area,
    /// Bars.
    Bars,
    /// Points.
    Points,
}

impl Draw {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How series stand on one another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stack {
    /// They do not.
    #[default]
    None,
    /// Their values are added.
    Normal,
    /// Their shares of the sum.
    Percent,
}

impl Stack {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What becomes of the values of a range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reduce {
    /// The last one.
    #[default]
    Last,
    /// The first one.
    First,
    /// Their mean.
    Mean,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// Their sum.
    Sum,
    /// How many there are.
    Count,
    /// The last less the first.
    Delta,
}

impl Reduce {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A column of a table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Column {
    /// A label, `value` (the only query's value), `value A` (that of the query `A`), or `time`.
    pub field: String,
    /// The heading; the field without it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The unit; the panel's without it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// Digits behind the point; the panel's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u32>,
    /// From which value on which colour; the panel's without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<Threshold>,
}

/// Where to read on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Link {
    /// What is shown.
    pub title: String,
    /// Where it leads, with variables.
    pub url: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
