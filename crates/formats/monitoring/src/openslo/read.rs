//! Texts and objects into objectives, with all that is wrong.

use std::collections::BTreeMap;

use maru_yaml::{Cursor, Data, Document, ParseLimits, Problem};
use serde_json::{Map, Value, json};

use super::{Budgeting, Comparison, Duration, Indicator, Objective, Target, TimeWindow, query};

/// An objective out of a file, as an object of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its specification with indicators written inline.
    pub spec: Value,
}

/// Kinds of OpenSLO that say what is done with an objective elsewhere: read over, told to the caller.
const OTHER_KINDS: &[&str] =
    &["DataSource", "Service", "AlertPolicy", "AlertCondition", "AlertNotificationTarget", "SLI"];

/// Reads an OpenSLO file with any number of documents: objectives, with the `SLI`s that they name put in their place.
///
/// Alert policies and data sources are left out: alerts follow from the budget, and there is one store.
///
/// # Errors
/// All that is wrong, with lines.
pub fn read_documents(text: &str) -> Result<Vec<Import>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut found = Found::default();
    for (first_line, part) in split(text) {
        let document = Document::parse(&part, ParseLimits::default());
        let top = document.top();
        // A document is an object or a list of them.
        if matches!(top.data(), Some(Data::List(_))) {
            for item in top.list() {
                let line = first_line + item.at().line.saturating_sub(1);
                read_object(&item, line, &mut found);
            }
        } else {
            read_object(&top, first_line, &mut found);
        }
        problems.extend(document.problems().into_iter().map(|problem| shifted(problem, first_line)));
    }
    let Found { objectives, indicators } = found;
    let mut imports = Vec::new();
    for (name, labels, mut spec, first_line) in objectives {
        inline(&mut spec, &indicators);
        if let Err(wrong) = read_spec(&spec) {
            problems.extend(wrong.into_iter().map(|mut problem| {
                problem.at.line = first_line + 1;
                problem.at.column = 1;
                problem.message = format!("SLO \"{name}\": {}", problem.message);
                problem
            }));
        }
        imports.push(Import { name, labels, spec });
    }
    if problems.is_empty() { Ok(imports) } else { Err(problems) }
}

/// What a file holds: objectives with their labels and lines, and indicators by their names.
#[derive(Default)]
struct Found {
    objectives: Vec<(String, BTreeMap<String, String>, Value, usize)>,
    indicators: BTreeMap<String, Value>,
}

fn read_object(object: &Cursor<'_>, first_line: usize, found: &mut Found) {
    object.field("apiVersion").required().one_of(&[("openslo/v1", ())]).unwrap_or_default();
    let kind = object.field("kind").required().string().unwrap_or_default();
    let metadata = object.field("metadata");
    let name = metadata.field("name").required().string().unwrap_or_default();
    let labels = read_labels(&metadata);
    metadata.ignore(&["displayName", "annotations"]);
    metadata.finish();
    let spec = object.field("spec").required();
    object.finish();
    match kind.as_str() {
        "SLO" => found.objectives.push((name, labels, spec.json(), first_line)),
        "SLI" => drop(found.indicators.insert(name, spec.json())),
        other if OTHER_KINDS.contains(&other) => {}
        other => object.field("kind").problem(format!("\"{other}\" is no kind of OpenSLO 1")),
    }
}

fn shifted(mut problem: Problem, lines: usize) -> Problem {
    problem.at.line += lines;
    problem
}

fn read_labels(metadata: &Cursor<'_>) -> BTreeMap<String, String> {
    let first = |value: &Cursor<'_>| match value.json() {
        // OpenSLO allows a list of values for one label.
        Value::Array(list) => list.first().and_then(Value::as_str).unwrap_or_default().to_owned(),
        _ => value.string().unwrap_or_default(),
    };
    metadata.field("labels").entries().iter().map(|(key, value)| ((*key).to_owned(), first(value))).collect()
}

/// Splits at lines of `---`; returns the number of lines before each part.
fn split(text: &str) -> Vec<(usize, String)> {
    let mut parts = vec![(0, String::new())];
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_end() == "---" {
            parts.push((index + 1, String::new()));
        } else if let Some((_, part)) = parts.last_mut() {
            part.push_str(line);
        }
    }
    let says_something = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    parts.retain(|(_, part)| part.lines().any(says_something));
    parts
}

/// Puts indicators in the place of their names.
fn inline(spec: &mut Value, indicators: &BTreeMap<String, Value>) {
    let replace = |place: &mut Map<String, Value>| {
        let named = place.get("indicatorRef").and_then(Value::as_str).and_then(|name| {
            indicators.get(name).map(|indicator| json!({"metadata": {"name": name}, "spec": indicator}))
        });
        if let Some(indicator) = named {
            place.remove("indicatorRef");
            place.insert("indicator".to_owned(), indicator);
        }
    };
    let Some(top) = spec.as_object_mut() else { return };
    replace(top);
    for objective in top.get_mut("objectives").and_then(Value::as_array_mut).into_iter().flatten() {
        objective.as_object_mut().map(replace).unwrap_or_default();
    }
}

/// Reads the specification of an objective: OpenSLO's `spec`, unchanged.
///
/// # Errors
/// All that is wrong, with the paths of fields.
pub fn read_spec(spec: &Value) -> Result<Objective, Vec<Problem>> {
    let document = Document::of_value(spec);
    let top = document.top();
    let service = top.field("service").required().string().unwrap_or_default();
    let description = top.field("description").string().unwrap_or_default();
    let budgeting = top.field("budgetingMethod").required().one_of(&[
        ("Occurrences", Budgeting::Occurrences),
        ("Timeslices", Budgeting::Timeslices),
        ("RatioTimeslices", Budgeting::RatioTimeslices),
    ]);
    let budgeting = budgeting.unwrap_or(Budgeting::Occurrences);
    let window = read_window(&top.field("timeWindow"));
    let common = read_indicator(&top);
    let targets = top.field("objectives").required();
    let list = targets.list();
    if targets.is_present() && list.is_empty() {
        targets.problem("has no target; write at least one");
    }
    let targets: Vec<Target> = list
        .iter()
        .enumerate()
        .filter_map(|(index, one)| read_target(one, index, common.as_ref(), budgeting))
        .collect();
    // Alerts follow from the budget.
    top.ignore(&["alertPolicies"]);
    top.finish();
    let problems = document.problems();
    match window {
        Some(window) if problems.is_empty() => Ok(Objective { service, description, window, budgeting, targets }),
        _ => Err(problems),
    }
}

fn read_window(list: &Cursor<'_>) -> Option<TimeWindow> {
    let items = list.list();
    let [one] = items.as_slice() else {
        list.problem("must hold exactly one window, such as [{duration: 28d, isRolling: true}]");
        return None;
    };
    let duration = one.field("duration").required().read(str::parse::<Duration>);
    let is_rolling = one.field("isRolling").boolean().unwrap_or(false);
    let calendar = one.field("calendar");
    let window = if is_rolling {
        if calendar.is_present() {
            calendar.problem("a rolling window has no calendar; remove one of them");
        }
        duration.map(TimeWindow::Rolling)
    } else {
        let calendar = calendar.required();
        let start = calendar.field("startTime").required().string().unwrap_or_default();
        let zone = calendar.field("timeZone").required().string().unwrap_or_default();
        calendar.finish();
        duration.map(|duration| TimeWindow::Calendar { duration, start, zone })
    };
    one.finish();
    if let Some(duration) = duration
        && duration.seconds() < 3600
    {
        one.field("duration").problem("a window has at least an hour");
    }
    window
}

fn read_target(one: &Cursor<'_>, index: usize, common: Option<&Indicator>, budgeting: Budgeting) -> Option<Target> {
    let name = one.field("displayName").string().filter(|name| !name.is_empty()).unwrap_or_else(|| index.to_string());
    let target = read_share(one);
    let comparison = one.field("op").one_of(&[
        ("lte", Comparison::AtMost),
        ("lt", Comparison::Less),
        ("gte", Comparison::AtLeast),
        ("gt", Comparison::More),
    ]);
    let value = one.field("value").number();
    let own = read_indicator(one);
    let weight = one.field("compositeWeight").number().unwrap_or(1.0);
    if weight <= 0.0 {
        one.field("compositeWeight").problem("must be more than 0");
    }
    let slice_target = one.field("timeSliceTarget");
    let slice = one.field("timeSliceWindow");
    // A number alone is minutes.
    let slice_seconds = match slice.data() {
        Some(maru_yaml::Data::Scalar(_)) => slice.count().map(|minutes| minutes * 60),
        _ => slice.read(str::parse::<Duration>).map(Duration::seconds),
    };
    let (slice_share, slice_seconds) = match budgeting {
        Budgeting::Occurrences => (1.0, None),
        Budgeting::Timeslices | Budgeting::RatioTimeslices => {
            let share = slice_target.number();
            if budgeting == Budgeting::Timeslices && share.is_none_or(|share| !(share > 0.0 && share <= 1.0)) {
                slice_target.problem("slices of time need the share that must be good, above 0 and up to 1");
            }
            if slice_seconds.is_none_or(|seconds| !(60..=86_400).contains(&seconds)) {
                slice.problem("slices of time need their length, between 1m and 1d");
            }
            (share.unwrap_or(1.0), slice_seconds)
        }
    };
    one.finish();
    let Some(indicator) = own.or_else(|| common.cloned()) else {
        one.problem("there is no indicator: write one here or beside \"objectives\"");
        return None;
    };
    let threshold = match (&indicator, comparison, value) {
        (Indicator::Threshold { query }, Some(comparison), Some(value)) => {
            if query::is_bucket(query) && matches!(comparison, Comparison::AtLeast | Comparison::More) {
                one.field("op").problem("a counter of buckets tells how many were at most a value; write lte");
            }
            Some((comparison, value))
        }
        (Indicator::Threshold { .. }, ..) => {
            one.problem("a threshold metric needs \"op\" (lte, lt, gte or gt) and \"value\"");
            None
        }
        (_, None, None) => None,
        _ => {
            one.problem("\"op\" and \"value\" belong to a thresholdMetric; a ratioMetric has none");
            None
        }
    };
    Some(Target { name, target: target?, indicator, threshold, slice_seconds, slice_target: slice_share, weight })
}

fn read_share(one: &Cursor<'_>) -> Option<f64> {
    let (share, percent) = (one.field("target"), one.field("targetPercent"));
    let target = match (share.number(), percent.number()) {
        (Some(target), None) => target,
        (None, Some(percent)) => percent / 100.0,
        (Some(_), Some(_)) => {
            percent.problem("write \"target\" or \"targetPercent\", not both");
            return None;
        }
        (None, None) => {
            one.problem("\"target\" is missing; write for example target: 0.999");
            return None;
        }
    };
    if !(target > 0.0 && target < 1.0) {
        one.problem(format!(
            "the target {target} is not between 0 and 1; a budget of nothing is used up by one failure"
        ));
        return None;
    }
    Some(target)
}

fn read_indicator(holder: &Cursor<'_>) -> Option<Indicator> {
    let reference = holder.field("indicatorRef");
    if reference.is_present() {
        reference.problem("the SLI of this name is not in the file; write the indicator in its place");
    }
    let indicator = holder.field("indicator");
    if !indicator.is_present() {
        return None;
    }
    indicator.ignore(&["metadata"]);
    let spec = indicator.field("spec").required();
    indicator.finish();
    spec.ignore(&["description"]);
    let (ratio, threshold) = (spec.field("ratioMetric"), spec.field("thresholdMetric"));
    spec.finish();
    match (ratio.is_present(), threshold.is_present()) {
        (true, false) => read_ratio(&ratio),
        (false, true) => read_source(&threshold).map(|query| Indicator::Threshold { query }),
        _ => {
            spec.problem("needs exactly one of \"ratioMetric\" and \"thresholdMetric\"");
            None
        }
    }
}

fn read_ratio(ratio: &Cursor<'_>) -> Option<Indicator> {
    let is_counter = ratio.field("counter").boolean();
    let raw = ratio.field("raw");
    let raw_type = ratio.field("rawType").one_of(&[("success", false), ("failure", true)]);
    let (good, bad, total) = (ratio.field("good"), ratio.field("bad"), ratio.field("total"));
    ratio.finish();
    if raw.is_present() {
        if good.is_present() || bad.is_present() || total.is_present() {
            raw.problem("is a share by itself; remove \"good\", \"bad\" and \"total\"");
        }
        let query = read_source(&raw)?;
        return Some(Indicator::Raw { query, is_failure: raw_type.unwrap_or(false) });
    }
    if good.is_present() == bad.is_present() {
        ratio.problem("needs exactly one of \"good\" and \"bad\"");
    }
    let part = |field: &Cursor<'_>| if field.is_present() { read_source(field) } else { None };
    let (good, bad) = (part(&good), part(&bad));
    let total = read_source(&total.required())?;
    let is_counter = is_counter.unwrap_or(false);
    for (field, query) in [("good", &good), ("bad", &bad), ("total", &Some(total.clone()))] {
        if let Some(Err(why)) = query.as_ref().map(|query| query::events(query, is_counter, 300)) {
            ratio.field(field_name(field)).problem(why);
        }
    }
    Some(Indicator::Ratio { good, bad, total, is_counter })
}

fn field_name(name: &str) -> &'static str {
    match name {
        "good" => "good",
        "bad" => "bad",
        _ => "total",
    }
}

/// Returns the query of a metric source. Only Prometheus' language is spoken here.
fn read_source(metric: &Cursor<'_>) -> Option<String> {
    let source = metric.field("metricSource").required();
    metric.finish();
    source.ignore(&["metricSourceRef"]);
    let kind = source.field("type");
    if let Some(kind_name) = kind.string()
        && !kind_name.eq_ignore_ascii_case("prometheus")
    {
        kind.problem(format!("\"{kind_name}\" is not supported; write the query in PromQL and the type Prometheus"));
    }
    let spec = source.field("spec").required();
    source.finish();
    let fields = [spec.field("query"), spec.field("promql"), spec.field("expr")];
    spec.finish();
    let given: Vec<&Cursor<'_>> = fields.iter().filter(|field| field.is_present()).collect();
    let [one] = given.as_slice() else {
        spec.problem("needs exactly one query: \"query\"");
        return None;
    };
    let text = one.string()?;
    if let Err(why) = query::check(&text) {
        one.problem(why);
        return None;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
apiVersion: openslo/v1
kind: SLI
metadata: {name: answered}
spec:
  ratioMetric:
    counter: true
    good: {metricSource: {type: Prometheus, spec: {query: 'http_requests_total{code!~"5.."}'}}}
    total: {metricSource: {type: Prometheus, spec: {query: http_requests_total}}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: answered, displayName: Answered, labels: {team: [blue]}}
spec:
  service: storefront
  indicatorRef: answered
  timeWindow: [{duration: 28d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{displayName: all, targetPercent: 99.9}]
"#;

    #[test]
    fn a_file_gives_objectives_with_their_indicators_inline() {
        let imports = read_documents(FILE).unwrap();
        assert_eq!((imports.len(), imports[0].name.as_str()), (1, "answered"));
        assert_eq!(imports[0].labels["team"], "blue");
        let objective = read_spec(&imports[0].spec).unwrap();
        assert!((objective.targets[0].target - 0.999).abs() < 1e-12);
        assert_eq!(objective.targets[0].name, "all");
        let object = |(_, part): (usize, String)| Document::parse(&part, ParseLimits::default()).top().json();
        let list: Vec<Value> = split(FILE).into_iter().map(object).collect();
        assert_eq!(read_documents(&json!(list).to_string()), Ok(imports), "a list is a file, too");
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let wrong = json!({"service": "s", "budgetingMethod": "Occurences", "timeWindow": [{"duration": "5 days"}],
            "objectives": [{"target": 1, "op": "lte"}, {"target": 0.9, "targetPercent": 90}], "extra": 1});
        let told: Vec<String> = read_spec(&wrong).unwrap_err().iter().map(|one| one.path.clone()).collect();
        for path in ["budgetingMethod", "timeWindow[0].duration", "timeWindow[0].calendar", "objectives[0]", ""] {
            assert!(told.iter().any(|one| one == path), "{path} is not in {told:?}");
        }
        let line = read_documents("apiVersion: openslo/v1\nkind: SLX\nmetadata: {name: a}\nspec: {}\n").unwrap_err();
        assert_eq!((line[0].at.line, line[0].path.as_str()), (2, "kind"));
    }

    #[test]
    fn a_query_that_is_no_promql_is_refused_where_it_stands() {
        let broken = FILE.replace("query: http_requests_total}", "query: 'sum(' }");
        let told = read_documents(&broken).unwrap_err();
        assert!(told[0].message.contains("does not parse"), "{told:?}");
    }
}
