//! Files that test rules: series that are made up, and what the rules must answer to them.
//!
//! Source: Prometheus 3 documentation, "Unit testing for rules".

use std::collections::BTreeMap;
use std::time::Duration;

use maru_prom::Labels;
use maru_promql::{Expression, ParseOptions, SampleValue, SeriesValues, parse, parse_series, parse_value};
use maru_yaml::{Cursor, Document, ParseLimits, Position, Problem};

use super::file::duration;

/// The time between two evaluations when the file says none.
const EVALUATION_INTERVAL: Duration = Duration::from_secs(60);

/// A file of tests.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleTestFile {
    /// Files of rules, relative to this file; with `*` and `?`.
    pub rule_files: Vec<String>,
    /// The time between two evaluations of all groups.
    pub evaluation_interval: Duration,
    /// Groups that are evaluated first, in this order.
    pub group_eval_order: Vec<String>,
    /// Whether numbers that differ in their last bits count as equal.
    pub fuzzy_compare: bool,
    /// The tests.
    pub tests: Vec<RuleTest>,
}

/// One test.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleTest {
    /// What it is called in reports; may be empty.
    pub name: String,
    /// The time between two values of the input.
    pub interval: Duration,
    /// The first moment in milliseconds since 1970.
    pub start_ms: i64,
    /// What is measured.
    pub input_series: Vec<InputSeries>,
    /// Which alerts must fire when.
    pub alert_tests: Vec<AlertTest>,
    /// What queries must answer when.
    pub expression_tests: Vec<ExpressionTest>,
    /// Labels of the whole system, for templates.
    pub external_labels: BTreeMap<String, String>,
    /// The address of the system, for templates.
    pub external_url: String,
    /// Where it stands.
    pub at: Position,
}

/// A series that is made up.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSeries {
    /// Its labels and its values.
    pub series: SeriesValues,
    /// Where it stands.
    pub at: Position,
}

/// Which alerts of one name must fire at a moment: these and no others.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertTest {
    /// After the test's start.
    pub eval_time: Duration,
    /// The alert's name.
    pub alertname: String,
    /// The alerts.
    pub expected: Vec<ExpectedAlert>,
    /// Where it stands.
    pub at: Position,
}

/// An alert that must fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedAlert {
    /// Its labels; `alertname` need not be said.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// What a query must answer at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpressionTest {
    /// The query as it is written.
    pub text: String,
    /// The query.
    pub expression: Expression,
    /// After the test's start.
    pub eval_time: Duration,
    /// The answer's series, in any order.
    pub expected: Vec<ExpectedSample>,
    /// Where it stands.
    pub at: Position,
}

/// A series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedSample {
    /// Its labels.
    pub labels: Labels,
    /// Its value.
    pub value: SampleValue,
}

/// Reads a file of tests.
///
/// # Errors
/// All that is wrong with it, in the order of the file.
pub fn read_rule_tests(text: &str) -> Result<RuleTestFile, Vec<Problem>> {
    let document = Document::parse(text, ParseLimits::default());
    let top = document.top();
    let evaluation_interval =
        duration(&top.field("evaluation_interval")).filter(|time| !time.is_zero()).unwrap_or(EVALUATION_INTERVAL);
    let file = RuleTestFile {
        rule_files: top.field("rule_files").strings(),
        evaluation_interval,
        group_eval_order: top.field("group_eval_order").strings(),
        fuzzy_compare: top.field("fuzzy_compare").boolean().unwrap_or(false),
        tests: top.field("tests").list().iter().map(|test| rule_test(test, evaluation_interval)).collect(),
    };
    for (index, name) in file.group_eval_order.iter().enumerate() {
        if file.group_eval_order.iter().take(index).any(|other| other == name) {
            top.field("group_eval_order").problem(format!("the group \"{name}\" is there twice"));
        }
    }
    top.finish();
    let problems = document.problems();
    if problems.is_empty() { Ok(file) } else { Err(problems) }
}

fn rule_test(cursor: &Cursor<'_>, evaluation_interval: Duration) -> RuleTest {
    let test = RuleTest {
        name: cursor.field("name").string().unwrap_or_default(),
        interval: duration(&cursor.field("interval")).filter(|time| !time.is_zero()).unwrap_or(evaluation_interval),
        start_ms: cursor.field("start_timestamp").read(moment).unwrap_or(0),
        input_series: cursor.field("input_series").list().iter().filter_map(input_series).collect(),
        alert_tests: cursor.field("alert_rule_test").list().iter().filter_map(alert_test).collect(),
        expression_tests: cursor.field("promql_expr_test").list().iter().filter_map(expression_test).collect(),
        external_labels: cursor.field("external_labels").string_map().into_iter().collect(),
        external_url: cursor.field("external_url").string().unwrap_or_default(),
        at: cursor.at(),
    };
    cursor.finish();
    test
}

/// Reads RFC 3339 or seconds since 1970.
fn moment(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.abs() < 1e12
    {
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the line above")]
        return Ok((seconds * 1000.0).round() as i64);
    }
    let time: Result<maru_time::Timestamp, _> = text.parse();
    time.map(maru_time::Timestamp::as_millisecond)
        .map_err(|_| "it is no moment; write seconds since 1970, or 2026-11-22T09:00:00Z".to_owned())
}

fn input_series(cursor: &Cursor<'_>) -> Option<InputSeries> {
    let (name, values) = (cursor.field("series").required().string(), cursor.field("values").string());
    cursor.finish();
    let line = format!("{} {}", name?, values.unwrap_or_default());
    match parse_series(&line) {
        Ok(series) => Some(InputSeries { series, at: cursor.at() }),
        Err(error) => {
            cursor.problem(format!("the series does not parse: {error}"));
            None
        }
    }
}

fn alert_test(cursor: &Cursor<'_>) -> Option<AlertTest> {
    let eval_time = duration(&cursor.field("eval_time")).unwrap_or_default();
    let alertname = cursor.field("alertname").string();
    if alertname.as_deref().unwrap_or_default().is_empty() {
        cursor.field("alertname").problem("is missing; name the alert");
    }
    let expected = cursor.field("exp_alerts").list().iter().map(expected_alert).collect();
    cursor.finish();
    Some(AlertTest { eval_time, alertname: alertname?, expected, at: cursor.at() })
}

fn expected_alert(cursor: &Cursor<'_>) -> ExpectedAlert {
    let map = |name| cursor.field(name).string_map().into_iter().collect();
    let alert = ExpectedAlert { labels: map("exp_labels"), annotations: map("exp_annotations") };
    cursor.finish();
    alert
}

fn expression_test(cursor: &Cursor<'_>) -> Option<ExpressionTest> {
    let field = cursor.field("expr").required();
    let eval_time = duration(&cursor.field("eval_time")).unwrap_or_default();
    let expected = cursor.field("exp_samples").list().iter().filter_map(expected_sample).collect();
    cursor.finish();
    let text = field.string()?;
    match parse(&text, &ParseOptions::default()) {
        Ok(expression) => Some(ExpressionTest { text, expression, eval_time, expected, at: cursor.at() }),
        Err(errors) => {
            field.problem(format!("the query does not parse: {errors}"));
            None
        }
    }
}

fn expected_sample(cursor: &Cursor<'_>) -> Option<ExpectedSample> {
    let (labels, value, histogram) = (cursor.field("labels"), cursor.field("value"), cursor.field("histogram"));
    let text = labels.string().unwrap_or_default();
    let labels = if text.trim().is_empty() {
        Some(Labels::empty())
    } else {
        labels.read(|text| parse_series(text).map(|(labels, _)| labels))
    };
    let value = if histogram.is_present() {
        histogram.read(parse_value)
    } else if value.is_present() {
        value.read(number).map(SampleValue::Float)
    } else {
        Some(SampleValue::Float(0.0))
    };
    cursor.finish();
    Some(ExpectedSample { labels: labels?, value: value? })
}

/// Reads a number as YAML (`.inf`, `.nan`) or PromQL (`Inf`, `NaN`) writes it.
fn number(text: &str) -> Result<f64, String> {
    match text.to_ascii_lowercase().trim_start_matches('+').trim_start_matches('.') {
        "inf" => return Ok(f64::INFINITY),
        "-inf" | "-.inf" => return Ok(f64::NEG_INFINITY),
        "nan" => return Ok(f64::NAN),
        _ => {}
    }
    maru_prom::number::parse_float(text).ok_or_else(|| "it is no number".to_owned())
}
