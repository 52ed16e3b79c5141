//! Rule files: groups of recording and alerting rules.
//!
//! Source: Prometheus 3 documentation, "Defining recording rules" and "Alerting rules".

use std::collections::BTreeMap;
use std::time::Duration;

use maru_promql::{Expression, ParseOptions, Type, parse, parse_duration};
use maru_yaml::{Cursor, Document, ParseLimits, Position, Problem};
use serde_json::Value;

use super::place::Place;

/// A rule file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleFile {
    /// Its groups in the order of the file.
    pub groups: Vec<Group>,
}

/// Rules that are evaluated one after the other at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The name, once in a file.
    pub name: String,
    /// The time between two evaluations; `None` takes the global one.
    pub interval: Option<Duration>,
    /// How far behind the moment of evaluation queries look, so that late samples are seen; `None` takes the global one.
    pub query_offset: Option<Duration>,
    /// How many series or alerts one rule may make; 0 for any number.
    pub limit: usize,
    /// The rules in their order.
    pub rules: Vec<Rule>,
    /// Where it stands in the file.
    pub at: Position,
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What becomes of the result.
    pub kind: RuleKind,
    /// What is evaluated.
    pub expression: Expression,
    /// The expression as it is written.
    pub text: String,
    /// Labels that its results get, those of the group included, by name. Of alerts they are templates.
    pub labels: BTreeMap<String, String>,
    /// Where it stands in the file.
    pub at: Position,
}

/// What becomes of a rule's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleKind {
    /// It is stored as series.
    Recording {
        /// The metric's name.
        record: String,
    },
    /// Each series of it is an alert.
    Alerting {
        /// The alert's name.
        alert: String,
        /// How long the condition must hold before the alert fires (`for`).
        hold: Duration,
        /// How long the alert goes on firing after the condition ended.
        keep_firing: Duration,
        /// Texts for people, by name; templates.
        annotations: BTreeMap<String, String>,
    },
}

impl Rule {
    /// Returns the name of the metric or of the alert.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.kind {
            RuleKind::Recording { record } => record,
            RuleKind::Alerting { alert, .. } => alert,
        }
    }

    /// Tells whether it makes alerts.
    #[must_use]
    pub fn is_alerting(&self) -> bool {
        matches!(self.kind, RuleKind::Alerting { .. })
    }
}

/// Reads a rule file.
///
/// # Errors
/// All that is wrong with it, in the order of the file.
pub fn read_rules(text: &str) -> Result<RuleFile, Vec<Problem>> {
    read_rules_with(text, &ParseOptions::default())
}

/// Reads a rule file whose expressions may use more of the language.
///
/// # Errors
/// All that is wrong with it, in the order of the file.
pub fn read_rules_with(text: &str, options: &ParseOptions) -> Result<RuleFile, Vec<Problem>> {
    let document = Document::parse(text, ParseLimits::default());
    let reader = Reader { text, options, places: std::cell::RefCell::default() };
    let top = document.top();
    let groups = reader.groups(&top.field("groups"));
    top.finish();
    reader.finish(&document, groups)
}

/// Reads the `spec` of a `PrometheusRule`: groups with the fields that the operator adds.
///
/// # Errors
/// All that is wrong with it; paths instead of lines.
pub fn read_groups(spec: &Value, options: &ParseOptions) -> Result<RuleFile, Vec<Problem>> {
    let document = Document::of_value(spec);
    let reader = Reader { text: "", options, places: std::cell::RefCell::default() };
    let top = document.top();
    let groups = reader.groups(&top.field("groups"));
    top.finish();
    reader.finish(&document, groups)
}

struct Reader<'a> {
    /// Empty when it is no file.
    text: &'a str,
    options: &'a ParseOptions,
    /// Problems whose place is inside a value.
    places: std::cell::RefCell<Vec<Problem>>,
}

impl Reader<'_> {
    fn finish(&self, document: &Document, groups: Vec<Group>) -> Result<RuleFile, Vec<Problem>> {
        let mut problems = document.problems();
        problems.append(&mut self.places.borrow_mut());
        problems.sort();
        problems.dedup();
        if problems.is_empty() { Ok(RuleFile { groups }) } else { Err(problems) }
    }

    fn groups(&self, list: &Cursor<'_>) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for cursor in list.list() {
            let group = self.group(&cursor);
            if !group.name.is_empty()
                && let Some(first) = groups.iter().find(|other| other.name == group.name)
            {
                let place =
                    if first.at.line == 0 { String::new() } else { format!(", first on line {}", first.at.line) };
                cursor.field("name").problem(format!("the group \"{}\" is there twice{place}", group.name));
            }
            groups.push(group);
        }
        groups
    }

    fn group(&self, cursor: &Cursor<'_>) -> Group {
        let name = cursor.field("name").required().string().unwrap_or_default();
        if cursor.field("name").is_present() && name.is_empty() {
            cursor.field("name").problem("is empty; a group needs a name");
        }
        let interval = duration(&cursor.field("interval")).filter(|interval| !interval.is_zero());
        let labels = labels(&cursor.field("labels"), LabelUse::Label);
        let group = Group {
            name,
            interval,
            query_offset: duration(&cursor.field("query_offset")),
            limit: cursor.field("limit").integer().map_or(0, |limit| usize::try_from(limit).unwrap_or(0)),
            rules: cursor.field("rules").list().iter().filter_map(|rule| self.rule(rule, &labels)).collect(),
            at: cursor.at(),
        };
        if self.text.is_empty() {
            // Of the operator's objects alone, for a program that is not here.
            drop(cursor.field("partial_response_strategy"));
        }
        cursor.finish();
        group
    }

    fn rule(&self, cursor: &Cursor<'_>, group_labels: &BTreeMap<String, String>) -> Option<Rule> {
        let (record, alert) = (cursor.field("record"), cursor.field("alert"));
        let hold = duration(&cursor.field("for"));
        let keep_firing = duration(&cursor.field("keep_firing_for"));
        let annotations = labels(&cursor.field("annotations"), LabelUse::Annotation);
        let own = labels(&cursor.field("labels"), LabelUse::Label);
        let name = |field: &Cursor<'_>| field.string().filter(|name| !name.is_empty());
        let kind = match (name(&record), name(&alert)) {
            (Some(_), Some(_)) => {
                cursor.problem("\"record\" and \"alert\" stand in one rule; make two rules of it");
                None
            }
            (None, None) => {
                cursor.problem("a rule needs \"record\" or \"alert\"");
                None
            }
            (Some(name), None) => {
                check_record(&record, &name);
                for field in ["for", "keep_firing_for", "annotations"] {
                    let field = cursor.field(field);
                    let is_zero = field.is_present() && matches!(field.string().as_deref(), Some("0" | "0s"));
                    if field.is_present() && !is_zero {
                        field.problem("a recording rule has no such field; it belongs to alerts");
                    }
                }
                Some(RuleKind::Recording { record: name })
            }
            (None, Some(alert)) => {
                for (field, texts) in [("labels", &own), ("annotations", &annotations)] {
                    check_templates(&cursor.field(field), texts);
                }
                let (hold, keep_firing) = (hold.unwrap_or_default(), keep_firing.unwrap_or_default());
                Some(RuleKind::Alerting { alert, hold, keep_firing, annotations })
            }
        };
        let (text, expression) = self.expression(&cursor.field("expr")).unzip();
        cursor.finish();
        let mut labels = group_labels.clone();
        labels.extend(own);
        Some(Rule { kind: kind?, expression: expression?, text: text?, labels, at: cursor.at() })
    }

    fn expression(&self, cursor: &Cursor<'_>) -> Option<(String, Expression)> {
        let Some(text) = cursor.string().filter(|text| !text.trim().is_empty()) else {
            cursor.problem("is missing; write the query");
            return None;
        };
        match parse(&text, self.options) {
            Ok(expression) => {
                if matches!(expression.value_type(), Type::Matrix | Type::String) {
                    cursor.problem(format!(
                        "it answers a {}, and a rule needs an instant vector or a scalar",
                        expression.value_type()
                    ));
                    return None;
                }
                // As it is told to people: without the line feed that a block of YAML ends with.
                Some((text.trim().to_owned(), expression))
            }
            Err(errors) => {
                let place = Place::of_value(self.text, cursor.at(), &text);
                for error in errors.iter() {
                    let hint = error.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
                    let (at, message) = match place.as_ref().map(|place| place.find(error.span.start)) {
                        Some(at) => (at, error.message.clone()),
                        None => (cursor.at(), format!("{}:{}: {}", error.line, error.column, error.message)),
                    };
                    let message = format!("the query does not parse: {message}{hint}");
                    self.places.borrow_mut().push(Problem { at, path: cursor.path().to_owned(), message });
                }
                None
            }
        }
    }
}

/// Reads a length of time as Prometheus' files write it.
pub(super) fn duration(cursor: &Cursor<'_>) -> Option<Duration> {
    let ms = cursor.read(parse_duration)?;
    Some(Duration::from_millis(ms.unsigned_abs()))
}

/// What a map of names and texts is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LabelUse {
    Label,
    Annotation,
}

fn labels(cursor: &Cursor<'_>, purpose: LabelUse) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (name, value) in cursor.entries() {
        let text = value.string().unwrap_or_default();
        if name.is_empty() {
            value.problem("a label needs a name");
        } else if name == maru_prom::METRIC_NAME && purpose == LabelUse::Label {
            value.problem("\"__name__\" is the metric's name and cannot be set by a label");
        }
        labels.insert(name.to_owned(), text);
    }
    labels
}

fn check_record(cursor: &Cursor<'_>, name: &str) {
    if name.contains(['{', '}']) {
        cursor.problem(format!("\"{name}\" has braces, which no metric's name has; is it the expression?"));
    } else if name.starts_with("__") {
        cursor.problem(format!("\"{name}\" begins with __, which is kept for the system; choose another name"));
    }
}

fn check_templates(cursor: &Cursor<'_>, texts: &BTreeMap<String, String>) {
    for (name, text) in texts {
        if let Err(error) = super::template::check(text)
            && let Some((_, value)) = cursor.entries().into_iter().find(|(own, _)| own == name)
        {
            value.problem(format!("the template does not parse: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        read_rules(text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_is_read_whole() {
        let text = r#"
groups:
- name: shop
  interval: 30s
  query_offset: 1m
  limit: 10
  labels: {team: shop, level: low}
  rules:
  - record: job:requests:rate5m
    expr: sum by (job) (rate(requests_total[5m]))
    labels: {level: 1.10}
  - alert: Down
    expr: |
      up
        == 0
    for: 5m
    keep_firing_for: 1h
    annotations: {summary: '{{ $labels.instance }} is down'}
"#;
        let file = read_rules(text).unwrap();
        let group = &file.groups[0];
        assert_eq!((group.interval, group.limit, group.at.line), (Some(Duration::from_secs(30)), 10, 3));
        assert_eq!(group.query_offset, Some(Duration::from_secs(60)));
        let labels =
            |rule: &Rule| rule.labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        assert_eq!(labels(&group.rules[0]), ["level=1.10", "team=shop"]);
        assert_eq!(labels(&group.rules[1]), ["level=low", "team=shop"]);
        assert_eq!((group.rules[1].text.as_str(), group.rules[1].name()), ("up\n  == 0", "Down"));
        let RuleKind::Alerting { hold, keep_firing, .. } = &group.rules[1].kind else { panic!("it is an alert") };
        assert_eq!((hold.as_secs(), keep_firing.as_secs()), (300, 3600));
        assert_eq!(read_rules("").unwrap(), RuleFile::default());
    }

    #[test]
    fn all_that_is_wrong_is_told_with_its_place() {
        let text = r#"
groups:
- name: a
  intervall: 1m
  rules:
  - record: __x
    expr: up
  - record: up{a="b"}
    expr: up
  - alert: X
    expr: "sum(\"a\" + up"
    annotations: {a: '{{ .Labels.x }', b: '{{ nothing }}'}
  - alert: Y
    expr: up[5m]
    labels: {__name__: z}
  - alert: Z
    expr: >-
      up
      == bool and 1
- name: a
"#;
        assert_eq!(
            problems(text),
            [
                "line 4, column 3: groups[0]: there is no field \"intervall\"; did you mean \"interval\"?",
                "line 6, column 5: groups[0].rules[0].record: \"__x\" begins with __, which is kept for the system; choose another name",
                "line 8, column 5: groups[0].rules[1].record: \"up{a=\"b\"}\" has braces, which no metric's name has; is it the expression?",
                &problems(text)[3],
                &problems(text)[4],
                &problems(text)[5],
                "line 14, column 5: groups[0].rules[3].expr: it answers a range vector, and a rule needs an instant vector or a scalar",
                "line 15, column 14: groups[0].rules[3].labels.__name__: \"__name__\" is the metric's name and cannot be set by a label",
                &problems(text)[8],
                "line 20, column 3: groups[1].name: the group \"a\" is there twice, first on line 3",
            ]
        );
        for (index, start) in [
            (3, "line 11, column 26: groups[0].rules[2].expr: the query does not parse:"),
            (4, "line 12, column 19: groups[0].rules[2].annotations.a: the template does not parse:"),
            (5, "line 12, column 40: groups[0].rules[2].annotations.b: the template does not parse:"),
            (8, "line 19, column 19: groups[0].rules[4].expr: the query does not parse:"),
        ] {
            let told = &problems(text)[index];
            assert!(told.starts_with(start), "{told}");
        }
    }

    #[test]
    fn objects_have_paths_in_the_place_of_lines() {
        let spec = serde_json::json!({"groups": [
            {"name": "a", "partial_response_strategy": "abort", "rules": [{"record": "x", "expr": 1}]},
            {"name": "b", "rules": [{"record": "x", "expr": "sum("}]},
        ]});
        let problems = read_groups(&spec, &ParseOptions::default()).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert_eq!((problems[0].at.line, problems[0].path.as_str()), (0, "groups[1].rules[0].expr"));
    }
}
