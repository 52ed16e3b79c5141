//! Objectives into recording rules and alerts on how fast the budget burns.
//!
//! An alert asks for two things: that the share of failures in a long and in a short window is above what the budget bears, and
//! that what was seen is evidence of it: how much more likely these counts are at that share than at the share that the target
//! allows. One failure of one request is no evidence, nine of ten are, whatever the traffic.
//! Source: "The Site Reliability Workbook", chapter 5, for the windows; Wald 1945 for the likelihood ratio.

use maru_promql::{format_duration, quote};
use serde_json::{Value, json};

use super::query::{self, Counting};
use super::{Budgeting, Indicator, Objective, Target, TimeWindow};

/// How often the counts are recorded.
const INTERVAL_SECONDS: u64 = 60;
/// Rules read windows up to this from the samples themselves, longer ones from what was recorded.
const RAW_SECONDS_MAX: u64 = 6 * 3600;
/// A half hour in which this many events are expected and none comes is silence: the chance of it is below 0.005 %.
const EXPECTED_EVENTS: f64 = 10.0;

/// Share of the budget, as which part of the window, and how severe: the workbook's for 30 days are 1 h, 6 h, 1 d and 3 d.
const BURNS: &[(f64, u64, Severity)] = &[
    (0.02, 720, Severity::Page),
    (0.05, 120, Severity::Page),
    (0.10, 30, Severity::Ticket),
    (0.10, 10, Severity::Ticket),
];
const LONG_SECONDS_MIN: u64 = 300;
const SHORT_SECONDS_MIN: u64 = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    Page,
    Ticket,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }

    /// How many times faster than the budget bears at least: in short windows, where the shortest look is a large part of the whole,
    /// a share of the budget would be less than what it bears.
    fn rate_min(self) -> f64 {
        match self {
            Self::Page => 6.0,
            Self::Ticket => 1.0,
        }
    }

    /// The logarithm of how much more likely the counts must be: 1000 and 100 times.
    fn evidence(self) -> f64 {
        match self {
            Self::Page => 1000_f64.ln(),
            Self::Ticket => 100_f64.ln(),
        }
    }
}

/// Whose objective it is.
#[derive(Debug, Clone)]
pub struct Names {
    /// The namespace of the object.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The bounds of buckets to be used, by the target's number; `None`: the threshold itself.
    pub bounds: Vec<Option<String>>,
}

/// What an objective became.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// `spec.groups` of a `PrometheusRule`.
    pub groups: Vec<Value>,
    counters: Vec<Counter>,
}

#[derive(Debug, Clone)]
struct Counter {
    labels: String,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    /// Good and all, or bad and all.
    Events { good: Option<String>, bad: Option<String>, total: String, is_counter: bool },
    /// A query whose evaluations are the events: which of them are good, and which there are.
    Evaluations { good: String, all: String },
    /// Slices that were recorded.
    Slices,
}

impl Compiled {
    /// Returns how the events of a target are counted over the last `seconds`: from the samples themselves, which is exact and
    /// slow over weeks, or from what the rules recorded.
    ///
    /// # Errors
    /// When there is no such target, or its query cannot be rewritten.
    pub fn counting(&self, target: usize, seconds: u64, is_recorded: bool) -> Result<Counting, String> {
        let counter = self.counters.get(target).ok_or_else(|| format!("there is no target {target}"))?;
        counter.counting(seconds, if is_recorded { 0 } else { u64::MAX })
    }
}

impl Counter {
    fn counting(&self, seconds: u64, raw_seconds_max: u64) -> Result<Counting, String> {
        let (labels, window) = (&self.labels, duration(seconds));
        let step = duration(INTERVAL_SECONDS);
        Ok(match &self.source {
            Source::Slices => Counting {
                good: format!("sum(sum_over_time(slo:slice:good{labels}[{window}])) or vector(0)"),
                total: format!("sum(count_over_time(slo:slice:good{labels}[{window}]))"),
            },
            Source::Evaluations { good, all } => Counting {
                good: format!("sum(sum_over_time(({good})[{window}:{step}])) or vector(0)"),
                total: format!("sum(count_over_time(({all})[{window}:{step}]))"),
            },
            Source::Events { .. } if seconds > raw_seconds_max => {
                let sum = |what: &str| {
                    format!("sum(sum_over_time(slo:{what}:rate5m{labels}[{window}])) * {INTERVAL_SECONDS}")
                };
                Counting { good: format!("{} or vector(0)", sum("good")), total: sum("total") }
            }
            Source::Events { good, bad, total, is_counter } => {
                let count = |query: &String| query::events(query, *is_counter, seconds);
                let total = count(total)?;
                let good = match (good, bad) {
                    (Some(good), _) => format!("{} or vector(0)", count(good)?),
                    (None, Some(bad)) => format!("{total} - ({} or vector(0))", count(bad)?),
                    (None, None) => return Err("there are neither good nor bad events".to_owned()),
                };
                Counting { good, total }
            }
        })
    }
}

fn duration(seconds: u64) -> String {
    format_duration(i64::try_from(seconds).unwrap_or(i64::MAX / 1000).saturating_mul(1000))
}

/// Makes rules of an objective.
///
/// # Errors
/// When a query cannot be counted over a window.
pub fn compile(objective: &Objective, names: &Names) -> Result<Compiled, String> {
    let mut groups = Vec::new();
    let mut counters = Vec::new();
    for (index, target) in objective.targets.iter().enumerate() {
        let bound = names.bounds.get(index).cloned().flatten();
        let events = source(target, bound.as_deref())?;
        let labels = json!({"slo": names.name, "slo_namespace": names.namespace, "slo_service": objective.service,
            "objective": target.name});
        let selector = format!(
            "{{slo={},slo_namespace={},objective={}}}",
            quote(names.name.as_bytes()),
            quote(names.namespace.as_bytes()),
            quote(target.name.as_bytes())
        );
        let suffix = if objective.targets.len() > 1 { format!("-{index}") } else { String::new() };
        let group = |kind: &str, seconds: u64, rules: Vec<Value>| {
            json!({"name": format!("slo-{}-{}{suffix}-{kind}", names.namespace, names.name), "interval": duration(seconds),
                "rules": rules})
        };
        let counter = if let Some(seconds) = target.slice_seconds {
            let slices = Counter { labels: selector.clone(), source: events };
            groups.push(group("slices", seconds, vec![slice_rule(objective, target, &slices, seconds, &labels)?]));
            Counter { labels: selector, source: Source::Slices }
        } else {
            Counter { labels: selector, source: events }
        };
        groups.push(group("counts", INTERVAL_SECONDS, records(objective, target, &counter, &labels)?));
        groups.push(group("alerts", INTERVAL_SECONDS, alerts(objective, target, &counter, &labels, names)));
        counters.push(counter);
    }
    Ok(Compiled { groups, counters })
}

fn source(target: &Target, bound: Option<&str>) -> Result<Source, String> {
    Ok(match &target.indicator {
        Indicator::Ratio { good, bad, total, is_counter } => {
            Source::Events { good: good.clone(), bad: bad.clone(), total: total.clone(), is_counter: *is_counter }
        }
        Indicator::Raw { query, is_failure: false } => Source::Evaluations { good: query.clone(), all: query.clone() },
        Indicator::Raw { query, is_failure: true } => {
            Source::Evaluations { good: format!("1 - ({query})"), all: query.clone() }
        }
        Indicator::Threshold { query } => {
            let Some((comparison, value)) = target.threshold else {
                return Err("a threshold metric needs \"op\" and \"value\"".to_owned());
            };
            if query::is_bucket(query) {
                let bound = bound.map_or_else(|| bucket_bound(value), str::to_owned);
                let (good, total) = query::buckets(query, &bound)?;
                Source::Events { good: Some(good), bad: None, total, is_counter: true }
            } else {
                let good = format!("({query}) {} bool {value}", comparison.sign());
                Source::Evaluations { good, all: query.clone() }
            }
        }
    })
}

/// Writes a bucket's bound as Prometheus 3 does: whole numbers with a zero behind the point.
fn bucket_bound(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.1}") } else { value.to_string() }
}

fn record(name: &str, expression: &str, labels: &Value) -> Value {
    json!({"record": name, "expr": expression, "labels": labels})
}

fn slice_rule(
    objective: &Objective,
    target: &Target,
    slices: &Counter,
    seconds: u64,
    labels: &Value,
) -> Result<Value, String> {
    let Counting { good, total } = slices.counting(seconds, u64::MAX)?;
    // A slice without events is neither good nor bad.
    let share = format!("({good}) / (({total}) > 0)");
    let expression = match objective.budgeting {
        Budgeting::RatioTimeslices => share,
        Budgeting::Timeslices | Budgeting::Occurrences => format!("{share} >= bool {}", target.slice_target),
    };
    Ok(record("slo:slice:good", &expression, labels))
}

/// One pair of windows.
struct Burn {
    severity: Severity,
    long_seconds: u64,
    short_seconds: u64,
    /// How many times faster than the budget bears.
    rate: f64,
}

fn burns(objective: &Objective, target: &Target) -> Vec<Burn> {
    let window_seconds = objective.window.duration().seconds();
    let slice_seconds = target.slice_seconds.unwrap_or(0);
    let mut burns: Vec<Burn> = Vec::new();
    for (share, part, severity) in BURNS {
        // A window of slices holds some.
        let long_seconds = (window_seconds / part).max(LONG_SECONDS_MIN).max(slice_seconds * 6) / 60 * 60;
        let short_seconds = (long_seconds / 12).max(SHORT_SECONDS_MIN).max(slice_seconds) / 60 * 60;
        if burns.iter().any(|burn| burn.long_seconds == long_seconds) || long_seconds >= window_seconds {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "lengths of time in seconds are far below 2^52")]
        let rate = (share * window_seconds as f64 / long_seconds as f64).max(severity.rate_min());
        burns.push(Burn { severity: *severity, long_seconds, short_seconds, rate });
    }
    burns
}

fn records(objective: &Objective, target: &Target, counter: &Counter, labels: &Value) -> Result<Vec<Value>, String> {
    let mut rules = Vec::new();
    if matches!(counter.source, Source::Events { .. }) {
        let Counting { good, total } = counter.counting(300, RAW_SECONDS_MAX)?;
        rules.push(record("slo:good:rate5m", &format!("(({good}) and on() ({total})) / 300"), labels));
        rules.push(record("slo:total:rate5m", &format!("({total}) / 300"), labels));
    }
    let mut windows: Vec<u64> =
        burns(objective, target).iter().flat_map(|burn| [burn.long_seconds, burn.short_seconds]).collect();
    windows.extend([1800, 3600, 86_400]);
    windows.sort_unstable();
    windows.dedup();
    let selector = &counter.labels;
    for seconds in windows {
        let Counting { good, total } = counter.counting(seconds, RAW_SECONDS_MAX)?;
        let window = duration(seconds);
        rules.push(record(&format!("slo:total:increase{window}"), &total, labels));
        let bad = format!("clamp_min(({total}) - ({good}), 0)");
        rules.push(record(&format!("slo:bad:increase{window}"), &bad, labels));
        let ratio = format!("slo:bad:increase{window}{selector} / (slo:total:increase{window}{selector} > 0)");
        rules.push(record(&format!("slo:error_ratio:increase{window}"), &ratio, labels));
    }
    let budget = 1.0 - target.target;
    if let TimeWindow::Rolling(window) = &objective.window {
        let Counting { good, total } = counter.counting(window.seconds(), RAW_SECONDS_MAX)?;
        let left = format!("1 - clamp_min(1 - ({good}) / (({total}) > 0), 0) / {budget}");
        rules.push(record("slo:budget_left:ratio", &left, labels));
        let hours = window.seconds() / 3600;
        let left = format!(
            "clamp_min(slo:budget_left:ratio{selector}, 0) * {hours} / ((slo:error_ratio:increase1h{selector} > 0) / {budget})"
        );
        rules.push(record("slo:budget_left:hours", &left, labels));
    }
    rules.push(record("slo:target:ratio", &format!("vector({})", target.target), labels));
    Ok(rules)
}

fn alerts(objective: &Objective, target: &Target, counter: &Counter, labels: &Value, names: &Names) -> Vec<Value> {
    let budget = 1.0 - target.target;
    let selector = &counter.labels;
    let mut rules = Vec::new();
    for severity in [Severity::Page, Severity::Ticket] {
        let terms: Vec<String> = burns(objective, target)
            .iter()
            .filter(|burn| burn.severity == severity)
            .map(|burn| burn_term(burn, budget, selector))
            .collect();
        if terms.is_empty() {
            continue;
        }
        let mut labels = labels.clone();
        labels["severity"] = severity.word().into();
        let left = |name: &str, format: &str| {
            format!(
                "{{{{ with query `slo:budget_left:{name}{selector}` }}}}{{{{ . | first | value | {format} }}}}{{{{ else }}}}?{{{{ end }}}}"
            )
        };
        rules.push(json!({
            "alert": match severity { Severity::Page => "SLOBurnsFast", Severity::Ticket => "SLOBurns" },
            "expr": terms.join(" or "),
            "labels": labels,
            "annotations": {
                "summary": format!("{} of {} spends its error budget too fast: {{{{ $value | humanizePercentage }}}} fail",
                    names.name, objective.service),
                "description": format!("Left of the budget: {}; at the last hour's rate it lasts {} hours. Target {}.",
                    left("ratio", "humanizePercentage"), left("hours", "printf \"%.1f\""), target.target),
            },
        }));
    }
    if matches!(counter.source, Source::Events { .. }) {
        let mut labels = labels.clone();
        labels["severity"] = "ticket".into();
        let expected = EXPECTED_EVENTS * 48.0;
        rules.push(json!({
            "alert": "SLOHearsNothing",
            "expr": format!("(slo:total:increase1d{selector} > {expected}) unless (slo:total:increase30m{selector} > 0)"),
            "labels": labels,
            "annotations": {
                "summary": format!("nothing was measured for {} of {} in half an hour, where ten or more were expected",
                    names.name, objective.service),
            },
        }));
    }
    rules
}

/// The condition of one pair of windows; its value is the share of failures in the long one.
fn burn_term(burn: &Burn, budget: f64, selector: &str) -> String {
    // Where the rate would ask for more failures than there can be, nearly all is enough.
    let share = (burn.rate * budget).min(0.9 + 0.1 * budget);
    let (long, short) = (duration(burn.long_seconds), duration(burn.short_seconds));
    let bad = format!("slo:bad:increase{long}{selector}");
    let total = format!("slo:total:increase{long}{selector}");
    let ratio = format!("slo:error_ratio:increase{long}{selector}");
    // How likely the counts are at the share that is asked about, beside the share that the budget bears. Where that is the same one,
    // what was seen is the share.
    let (failed, worked) = if share > budget * 1.5 {
        ((share / budget).ln().to_string(), ((1.0 - share) / (1.0 - budget)).ln().to_string())
    } else {
        (format!("ln({ratio} / {budget})"), format!("ln(clamp_min(1 - {ratio}, 1e-9) / {})", 1.0 - budget))
    };
    let enough = burn.severity.evidence();
    // A slower burn than the budget bears is none, whatever was seen.
    format!(
        "(({ratio} > {share} and ({bad} * {failed} + ({total} - {bad}) * {worked}) > {enough}) \
         unless (slo:error_ratio:increase{short}{selector} <= {share}))"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openslo::read_spec;

    fn compiled(spec: &Value) -> Compiled {
        let names = Names { namespace: "shop".into(), name: "orders".into(), bounds: Vec::new() };
        compile(&read_spec(spec).unwrap(), &names).unwrap()
    }

    fn rules(compiled: &Compiled) -> Vec<&Value> {
        compiled.groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect()
    }

    fn source_of(query: &str) -> Value {
        json!({"metricSource": {"type": "Prometheus", "spec": {"query": query}}})
    }

    fn bucket_spec() -> Value {
        json!({
            "service": "orders", "budgetingMethod": "Occurrences",
            "timeWindow": [{"duration": "1d", "isRolling": false,
                "calendar": {"startTime": "2026-01-01 00:00:00", "timeZone": "Asia/Seoul"}}],
            "indicator": {"spec": {"thresholdMetric": source_of("request_seconds_bucket{service=\"orders\"}")}},
            "objectives": [{"target": 0.999, "op": "lte", "value": 0.1}],
        })
    }

    #[test]
    fn the_sentence_of_the_lecture_counts_its_bucket() {
        let counting = compiled(&bucket_spec()).counting(0, 86_400, false).unwrap();
        assert_eq!(
            counting.good,
            r#"sum(increase(request_seconds_bucket{le="0.1",service="orders"}[1d])) or vector(0)"#
        );
        assert_eq!(counting.total, r#"sum(increase(request_seconds_bucket{le="+Inf",service="orders"}[1d]))"#);
    }

    #[test]
    fn every_rule_is_a_query_that_parses() {
        let ratio = |budgeting: &str, slices: Value, indicator: Value| {
            let mut target = json!({"target": 0.99});
            for (key, value) in slices.as_object().unwrap() {
                target[key] = value.clone();
            }
            json!({"service": "s", "budgetingMethod": budgeting, "timeWindow": [{"duration": "28d", "isRolling": true}],
                "indicator": {"spec": indicator}, "objectives": [target]})
        };
        let good = json!({"ratioMetric": {"counter": true, "good": source_of("ok"), "total": source_of("all")}});
        let bad = json!({"ratioMetric": {"counter": true, "bad": source_of("failed"), "total": source_of("all")}});
        let raw = json!({"ratioMetric": {"raw": source_of("share"), "rawType": "failure"}});
        let value = json!({"thresholdMetric": source_of("lag_seconds")});
        let slices = json!({"timeSliceTarget": 0.9, "timeSliceWindow": "5m"});
        let threshold = json!({"op": "lt", "value": 5});
        let threshold_slices = json!({"op": "lt", "value": 5, "timeSliceTarget": 0.9, "timeSliceWindow": 5});
        for spec in [
            bucket_spec(),
            ratio("Occurrences", json!({}), good.clone()),
            ratio("Occurrences", json!({}), bad),
            ratio("Occurrences", json!({}), raw),
            ratio("Occurrences", threshold, value.clone()),
            ratio("Timeslices", slices.clone(), good.clone()),
            ratio("Timeslices", threshold_slices, value),
            ratio("RatioTimeslices", slices, good),
        ] {
            let compiled = compiled(&spec);
            let rules = rules(&compiled);
            assert!(rules.iter().any(|rule| rule["alert"] == "SLOBurnsFast"), "{rules:?}");
            for rule in rules {
                let text = rule["expr"].as_str().unwrap();
                query::check(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            }
            for seconds in [300, 86_400, 28 * 86_400] {
                let counting = compiled.counting(0, seconds, seconds > 86_400).unwrap();
                query::check(&counting.good).unwrap();
                query::check(&counting.total).unwrap();
            }
        }
    }

    #[test]
    fn thirty_days_give_the_windows_of_the_workbook() {
        let spec = json!({"service": "s", "budgetingMethod": "Occurrences",
            "timeWindow": [{"duration": "30d", "isRolling": true}],
            "indicator": {"spec": {"ratioMetric": {"counter": true, "good": source_of("ok"), "total": source_of("all")}}},
            "objectives": [{"target": 0.999}]});
        let objective = read_spec(&spec).unwrap();
        let pairs: Vec<(u64, u64, String)> = burns(&objective, &objective.targets[0])
            .iter()
            .map(|burn| (burn.long_seconds / 60, burn.short_seconds / 60, format!("{:.1}", burn.rate)))
            .collect();
        assert_eq!(
            pairs,
            [(60, 5, "14.4"), (360, 30, "6.0"), (1440, 120, "3.0"), (4320, 360, "1.0")].map(|(l, s, r)| (
                l,
                s,
                r.to_owned()
            ))
        );
    }

    #[test]
    fn a_target_that_leaves_a_large_budget_can_still_burn() {
        let burn = Burn { severity: Severity::Page, long_seconds: 3600, short_seconds: 300, rate: 14.4 };
        assert!(burn_term(&burn, 0.1, "{}").contains("> 0.91 "));
    }

    /// Evaluates the alerts of a target of 99.9 % over 30 days after so many failures and events in the windows of 1 h and 5 m.
    fn alerts_after(hour: (u32, u32), minutes: Option<(u32, u32)>) -> Vec<String> {
        use maru_prom::Labels;
        use maru_promql::{Engine, EngineOptions, Evaluation, MemorySource, SampleValue, Value as Answered};
        let spec = json!({"service": "s", "budgetingMethod": "Occurrences",
            "timeWindow": [{"duration": "30d", "isRolling": true}],
            "indicator": {"spec": {"ratioMetric": {"counter": true, "good": source_of("ok"), "total": source_of("all")}}},
            "objectives": [{"target": 0.999}]});
        let compiled = compiled(&spec);
        let mut source = MemorySource::default();
        for (window, counts) in [("1h", Some(hour)), ("5m", minutes)] {
            let Some((bad, total)) = counts else { continue };
            let ratio = f64::from(bad) / f64::from(total);
            let values = [
                ("bad:increase", f64::from(bad)),
                ("total:increase", f64::from(total)),
                ("error_ratio:increase", ratio),
            ];
            for (name, value) in values {
                let name = format!("slo:{name}{window}");
                let labels =
                    [("__name__", name.as_str()), ("objective", "0"), ("slo", "orders"), ("slo_namespace", "shop")];
                source.append(&Labels::from_pairs(labels), 1_000_000, SampleValue::Float(value), 0);
            }
        }
        let engine = Engine::new(EngineOptions::default());
        let fires = |rule: &&Value| {
            let expression =
                maru_promql::parse(rule["expr"].as_str().unwrap(), &maru_promql::ParseOptions::default()).unwrap();
            let answer = engine.evaluate(&source, &expression, &Evaluation::instant(1_000_000)).unwrap();
            matches!(answer.value, Answered::Vector(found) if !found.is_empty())
        };
        let all = rules(&compiled).into_iter().filter(|rule| rule["alert"].is_string()).filter(fires);
        all.map(|rule| rule["alert"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn alerts_want_evidence_at_any_traffic() {
        let fast = ["SLOBurnsFast".to_owned()];
        // One failure of one request, and two of two, are no evidence; nine of ten and three of three are.
        assert!(alerts_after((1, 1), Some((1, 1))).is_empty());
        assert!(alerts_after((2, 2), Some((2, 2))).is_empty());
        assert_eq!(alerts_after((3, 3), Some((3, 3))), fast);
        assert_eq!(alerts_after((9, 10), Some((9, 10))), fast);
        // Much traffic: 2 % fail where 1.44 % burn too fast; 1 % does not.
        assert_eq!(alerts_after((200, 10_000), Some((20, 1000))), fast);
        assert!(alerts_after((100, 10_000), Some((10, 1000))).is_empty());
        // The trouble is over: the short window says so. Silence says nothing.
        assert!(alerts_after((200, 10_000), Some((0, 1000))).is_empty());
        assert_eq!(alerts_after((90, 100), None), fast);
    }

    /// Evaluates the rules of an objective of 99 % over the last hour, each minute for half an hour after it was made, over counters that
    /// have been counting for a day: so many requests a minute, of which so many fail. Returns the alerts that fired at some time.
    fn fires_in_an_hour(requests: f64, failures: f64) -> std::collections::BTreeSet<String> {
        use maru_prom::Labels;
        use maru_promql::{Engine, EngineOptions, Evaluation, MemorySource, SampleValue, Value as Answered};
        let compiled = compiled(&json!({"service": "s", "budgetingMethod": "Occurrences",
            "timeWindow": [{"duration": "1h", "isRolling": true}],
            "indicator": {"spec": {"ratioMetric": {"counter": true, "good": source_of("requests{code=\"200\"}"),
                "total": source_of("requests")}}},
            "objectives": [{"target": 0.99}]}));
        let mut source = MemorySource::default();
        let (day, made) = (86_400_000_i64, 86_400_000_i64);
        for (code, each) in [("200", requests - failures), ("500", failures)] {
            for step in 0..=(day + 1_800_000) / 15_000 {
                let labels = Labels::from_pairs([("__name__", "requests"), ("code", code)]);
                #[expect(clippy::cast_precision_loss, reason = "some thousand steps")]
                let value = 1e9 + (each * step as f64 / 4.0).floor();
                source.append(&labels, step * 15_000, SampleValue::Float(value), 0);
            }
        }
        let engine = Engine::new(EngineOptions::default());
        let mut fired = std::collections::BTreeSet::new();
        for at in (made..made + 1_800_000).step_by(60_000) {
            for rule in rules(&compiled) {
                let text = rule["expr"].as_str().unwrap();
                let expression = maru_promql::parse(text, &maru_promql::ParseOptions::default()).unwrap();
                let answer = engine.evaluate(&source, &expression, &Evaluation::instant(at)).unwrap();
                let Answered::Vector(found) = answer.value else { panic!("{text}: no vector") };
                if let Some(alert) = rule["alert"].as_str() {
                    fired.extend((!found.is_empty()).then(|| alert.to_owned()));
                    continue;
                }
                for sample in found {
                    let mut labels = sample.labels.to_builder();
                    labels.set("__name__", rule["record"].as_str().unwrap());
                    for (name, value) in rule["labels"].as_object().unwrap() {
                        labels.set(name, value.as_str().unwrap());
                    }
                    source.append(&labels.build(), at, sample.value, 0);
                }
            }
        }
        fired
    }

    #[test]
    fn an_objective_of_an_hour_alerts_only_when_it_is_being_missed() {
        let fired = |requests, failures| -> Vec<String> { fires_in_an_hour(requests, failures).into_iter().collect() };
        assert_eq!(fired(6000.0, 0.0), Vec::<String>::new());
        // Within what 99 % bear: half of it, and nearly all.
        assert_eq!(fired(6000.0, 30.0), Vec::<String>::new());
        assert_eq!(fired(6000.0, 56.0), Vec::<String>::new());
        // Spent in forty minutes: a ticket; in six: a page.
        assert_eq!(fired(6000.0, 90.0), ["SLOBurns"]);
        assert_eq!(fired(6000.0, 600.0), ["SLOBurns", "SLOBurnsFast"]);
        // A few requests of which one fails now and then are no evidence.
        assert_eq!(fired(2.0, 0.1), Vec::<String>::new());
    }

    #[test]
    fn no_pair_of_windows_asks_for_less_than_the_budget_bears() {
        for hours in [1, 6, 24, 7 * 24, 28 * 24, 90 * 24] {
            let spec = json!({"service": "s", "budgetingMethod": "Occurrences",
                "timeWindow": [{"duration": format!("{hours}h"), "isRolling": true}],
                "indicator": {"spec": {"ratioMetric": {"counter": true, "good": source_of("ok"), "total": source_of("all")}}},
                "objectives": [{"target": 0.99}]});
            let objective = read_spec(&spec).unwrap();
            let burns = burns(&objective, &objective.targets[0]);
            assert!(burns.iter().any(|burn| burn.severity == Severity::Page), "{hours}");
            for burn in burns {
                assert!(burn.rate >= burn.severity.rate_min(), "{hours} h: {}", burn.rate);
            }
        }
    }
}
