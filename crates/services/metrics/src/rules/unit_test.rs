//! Runs files of rule tests, as `promtool test rules` does.
//!
//! Source: Prometheus 3 documentation, "Unit testing for rules".

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use maru_monitoring::rules::{
    AlertTest, ExpectedSample, ExpressionTest, Group, RuleTest, RuleTestFile, read_rule_tests,
};
use maru_prom::Labels;
use maru_promql::{EngineOptions, ParseOptions, Sample, SampleValue, format_duration, format_number};

use super::alert::{AlertState, ms};
use super::backend::{Backend, MemoryBackend, Written};
use super::evaluate::{ALERT_NAME, ActiveRule, Health, Turn, World};
use super::files::load_files;

/// Evaluations of one test.
const TURNS_MAX: i64 = 1_000_000;

/// Runs all tests of a file.
///
/// # Errors
/// All that failed, and all that is wrong with the files, in words.
pub fn test_rules(path: &Path) -> Result<(), Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(|error| vec![format!("cannot be read: {error}")])?;
    let told = |problems: Vec<maru_yaml::Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    let file = read_rule_tests(&text).map_err(told)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let files = load_files(folder, &file.rule_files, &ParseOptions::default());
    let files = files.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let groups = ordered(files.iter().flat_map(|(_, rules)| &rules.groups).collect(), &file.group_eval_order)?;
    let failures: Vec<String> = file.tests.iter().flat_map(|test| Run::new(test, &file, &groups).all()).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

/// Puts the groups that are named first, in that order.
fn ordered<'a>(groups: Vec<&'a Group>, order: &[String]) -> Result<Vec<&'a Group>, Vec<String>> {
    let unknown: Vec<String> = order
        .iter()
        .filter(|name| !groups.iter().any(|group| group.name == **name))
        .map(|name| format!("group_eval_order: there is no group \"{name}\" in the rule files"))
        .collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let mut sorted = groups;
    sorted.sort_by_key(|group| order.iter().position(|name| *name == group.name).unwrap_or(order.len()));
    Ok(sorted)
}

/// A group of one test.
struct TestGroup {
    limit: usize,
    query_offset_ms: i64,
    rules: Vec<ActiveRule>,
}

/// One test under way.
struct Run<'a> {
    test: &'a RuleTest,
    file: &'a RuleTestFile,
    groups: Vec<TestGroup>,
    backend: Arc<dyn Backend>,
    world: World,
    failures: Vec<String>,
}

impl<'a> Run<'a> {
    fn new(test: &'a RuleTest, file: &'a RuleTestFile, groups: &[&Group]) -> Self {
        let groups = groups.iter().map(|group| {
            let rules: Vec<ActiveRule> = group.rules.iter().cloned().map(ActiveRule::new).collect();
            // There is nothing before a test that alerts could be restored from.
            rules.iter().for_each(|rule| rule.state().is_restored = true);
            let query_offset_ms = group.query_offset.map_or(0, ms);
            TestGroup { limit: group.limit, query_offset_ms, rules }
        });
        let world = World {
            external_labels: Labels::from_pairs(&test.external_labels),
            external_url: test.external_url.clone(),
            parse: ParseOptions::default(),
        };
        Self {
            test,
            file,
            groups: groups.collect(),
            backend: MemoryBackend::new(EngineOptions::default()),
            world,
            failures: Vec::new(),
        }
    }

    fn fail(&mut self, text: impl std::fmt::Display) {
        let name = if self.test.name.is_empty() { String::new() } else { format!("name: {},\n    ", self.test.name) };
        self.failures.push(format!("{name}{text}"));
    }

    fn all(mut self) -> Vec<String> {
        let step = ms(self.file.evaluation_interval).max(1);
        let alert_times = self.test.alert_tests.iter().map(|test| ms(test.eval_time));
        let times = alert_times.chain(self.test.expression_tests.iter().map(|test| ms(test.eval_time)));
        let last = times.max().unwrap_or(0);
        if last / step > TURNS_MAX {
            self.fail(format_args!("the test takes more than the limit of {TURNS_MAX} evaluations"));
            return self.failures;
        }
        let mut inputs = vec![0_usize; self.test.input_series.len()];
        let mut after = 0;
        while after <= last {
            self.input(&mut inputs, after);
            if !self.evaluate(after) {
                return self.failures;
            }
            let due = self.test.alert_tests.iter().filter(|test| (after..after + step).contains(&ms(test.eval_time)));
            for test in due {
                self.alerts(test);
            }
            after += step;
        }
        for test in &self.test.expression_tests {
            self.expression(test);
        }
        self.failures
    }

    /// Adds the samples of all input series up to a moment.
    fn input(&mut self, inputs: &mut [usize], until: i64) {
        let step = ms(self.test.interval).max(1);
        let mut samples: Vec<Written> = Vec::new();
        for (series, next) in self.test.input_series.iter().zip(inputs) {
            let (labels, values) = &series.series;
            while let Some(value) = values.get(*next) {
                let at = step.saturating_mul(i64::try_from(*next).unwrap_or(i64::MAX));
                if at > until {
                    break;
                }
                if let Some(value) = value {
                    samples.push((labels.clone(), self.test.start_ms + at, value.clone()));
                }
                *next += 1;
            }
        }
        if let Err(why) = self.backend.append(&samples) {
            self.fail(format_args!("input_series: {why}"));
        }
    }

    /// Evaluates all groups; returns whether all rules could be evaluated.
    fn evaluate(&mut self, after: i64) -> bool {
        let mut failures = Vec::new();
        for group in &self.groups {
            let turn = Turn {
                backend: &self.backend,
                at_ms: self.test.start_ms + after,
                query_offset_ms: group.query_offset_ms,
                limit: group.limit,
                world: &self.world,
            };
            for rule in &group.rules {
                rule.evaluate(&turn);
                if let Health::Bad(why) = &rule.state().health {
                    let time = format_duration(after);
                    failures.push(format!("rule: {}, time: {time}, err: {why}", rule.rule.name()));
                }
            }
        }
        let is_good = failures.is_empty();
        failures.iter().for_each(|failure| self.fail(failure));
        is_good
    }

    /// Compares the alerts that fire.
    fn alerts(&mut self, test: &AlertTest) {
        type Texts = (BTreeMap<String, String>, BTreeMap<String, String>);
        let mut got: Vec<Texts> = Vec::new();
        for rule in self.groups.iter().flat_map(|group| &group.rules) {
            if !rule.rule.is_alerting() || rule.rule.name() != test.alertname {
                continue;
            }
            let state = rule.state();
            let firing = state.alerts.iter().filter(|alert| alert.state == AlertState::Firing);
            got.extend(firing.map(|alert| (texts(&alert.labels), alert.annotations.clone())));
        }
        let mut expected: Vec<Texts> = test
            .expected
            .iter()
            .map(|alert| {
                let mut labels = alert.labels.clone();
                labels.insert(ALERT_NAME.to_owned(), test.alertname.clone());
                labels.retain(|_, value| !value.is_empty());
                (labels, alert.annotations.clone())
            })
            .collect();
        got.sort();
        expected.sort();
        if got != expected {
            let shown = |alerts: &[Texts]| {
                let one = |(labels, annotations): &Texts| {
                    format!("\n            Labels:{}\n            Annotations:{}", braces(labels), braces(annotations))
                };
                if alerts.is_empty() { "[]".to_owned() } else { alerts.iter().map(one).collect::<String>() }
            };
            self.fail(format_args!(
                "alertname: {}, time: {}, line {},\n        exp:{},\n        got:{}",
                test.alertname,
                format_duration(ms(test.eval_time)),
                test.at.line,
                shown(&expected),
                shown(&got)
            ));
        }
    }

    /// Compares the answer of a query.
    fn expression(&mut self, test: &ExpressionTest) {
        let time = format_duration(ms(test.eval_time));
        let at_ms = self.test.start_ms + ms(test.eval_time);
        let mut got = match self.backend.query(&test.expression, at_ms) {
            Ok(got) => got,
            Err(why) => return self.fail(format_args!("expr: {:?}, time: {time}, err: {why}", test.text)),
        };
        got.sort_by(|left, right| left.labels.cmp(&right.labels));
        let mut expected: Vec<&ExpectedSample> = test.expected.iter().collect();
        expected.sort_by(|left, right| left.labels.cmp(&right.labels));
        let is_same = |(got, expected): (&Sample, &&ExpectedSample)| {
            got.labels == expected.labels && is_equal(&got.value, &expected.value, self.file.fuzzy_compare)
        };
        if got.len() == expected.len() && got.iter().zip(&expected).all(is_same) {
            return;
        }
        let shown = |samples: Vec<(&Labels, &SampleValue)>| {
            let one = |(labels, value): (&Labels, &SampleValue)| {
                format!("\n            {} {}", braces(&texts(labels)), number(value))
            };
            if samples.is_empty() { "nil".to_owned() } else { samples.into_iter().map(one).collect::<String>() }
        };
        self.fail(format_args!(
            "expr: {:?}, time: {time}, line {},\n        exp:{},\n        got:{}",
            test.text,
            test.at.line,
            shown(expected.iter().map(|sample| (&sample.labels, &sample.value)).collect()),
            shown(got.iter().map(|sample| (&sample.labels, &sample.value)).collect())
        ));
    }
}

fn texts(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn braces(texts: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = texts.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn number(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => format_number(*value),
        SampleValue::Histogram(histogram) => histogram.to_notation(),
    }
}

fn is_equal(got: &SampleValue, expected: &SampleValue, fuzzy: bool) -> bool {
    match (got, expected) {
        (SampleValue::Float(got), SampleValue::Float(expected)) => {
            #[expect(clippy::float_cmp, reason = "tests of rules name exact numbers")]
            let is_same = got == expected || (got.is_nan() && expected.is_nan());
            is_same || (fuzzy && (got.next_up() - expected).abs().min((got.next_down() - expected).abs()) == 0.0)
        }
        (SampleValue::Histogram(got), SampleValue::Histogram(expected)) => got.to_notation() == expected.to_notation(),
        (SampleValue::Float(_), SampleValue::Histogram(_)) | (SampleValue::Histogram(_), SampleValue::Float(_)) => {
            false
        }
    }
}
