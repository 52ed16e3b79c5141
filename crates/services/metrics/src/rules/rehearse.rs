//! Rehearsal: rules run over recorded samples, to see what would have fired when.
//!
//! Each expression is evaluated over the whole range at once, in columns; only the life of alerts goes step by step.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use maru_monitoring::rules::{Group, Rule, RuleFile, RuleKind, TemplateQuery};
use maru_prom::Labels;
use maru_promql::{DurationValue, Engine, Expression, MemorySource, Sample, SampleRow, SampleValue, Samples, Source};
use serde_json::{Value, json};

use super::alert::{Alert, AlertState, Alerts, ms};
use super::api::{label_map, scientific};
use super::backend::{instant, rows};
use super::evaluate::{ActiveRule, World, float, recorded_labels};
use super::overlay::Overlay;
use crate::request::rfc3339_millis;

/// Steps that are evaluated at once; longer ranges go piece by piece.
const STEPS_AT_ONCE: i64 = 2000;
/// Steps of one group over the whole range.
const STEPS_MAX: i64 = 2_000_000;
/// Firings that are told.
const FIRINGS_MAX: usize = 100_000;

/// A span of recorded time. Milliseconds since 1970, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RehearsalRange {
    /// The first moment.
    pub from_ms: i64,
    /// The last moment.
    pub to_ms: i64,
    /// The time between two evaluations of groups that say none; 0 for the usual one.
    pub interval_ms: i64,
}

/// An alert that would have fired.
#[derive(Debug, Clone, PartialEq)]
pub struct Firing {
    /// The group of its rule.
    pub group: String,
    /// The alert's labels.
    pub labels: Labels,
    /// Its texts, as they were when it began to fire.
    pub annotations: BTreeMap<String, String>,
    /// The value with which it began to fire.
    pub value: f64,
    /// Since when its condition held. Milliseconds since 1970.
    pub active_at_ms: i64,
    /// When it began to fire.
    pub from_ms: i64,
    /// When it ended; nothing when it fires at the end of the range.
    pub to_ms: Option<i64>,
}

/// What one alerting rule did.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleOutcome {
    /// Its group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// How often it fired.
    pub firings: usize,
    /// For how long, over all its alerts.
    pub firing_ms: i64,
    /// How often its condition held, but not long enough.
    pub pending_only: usize,
    /// Why it could not be evaluated; empty when it could.
    pub error: String,
}

/// What rules would have done.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsal {
    /// The range.
    pub range: RehearsalRange,
    /// All alerts that would have fired, by time.
    pub firings: Vec<Firing>,
    /// What became of each rule, in the order of the file.
    pub rules: Vec<RuleOutcome>,
    /// Labels of the whole system, which alerts get on their way out.
    pub external_labels: Labels,
    /// Whether there were more firings than are told.
    pub is_cut: bool,
}

impl Rehearsal {
    /// Returns the timeline as JSON: `alerts` by rule, and `events` as an Alertmanager would be told them, which
    /// `maru alerts rehearse` reads.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let alert = |firing: &Firing| {
            json!({
                "labels": label_map(&firing.labels),
                "annotations": firing.annotations,
                "activeAt": rfc3339_millis(firing.active_at_ms),
                "startsAt": rfc3339_millis(firing.from_ms),
                "endsAt": firing.to_ms.map(rfc3339_millis),
                "value": scientific(firing.value),
                "group": firing.group,
            })
        };
        let rule = |rule: &RuleOutcome| {
            json!({
                "group": rule.group,
                "name": rule.name,
                "firings": rule.firings,
                "firingSeconds": rule.firing_ms / 1000,
                "pendingOnly": rule.pending_only,
                "error": Some(&rule.error).filter(|error| !error.is_empty()),
            })
        };
        json!({
            "from": rfc3339_millis(self.range.from_ms),
            "to": rfc3339_millis(self.range.to_ms),
            "until": rfc3339_millis(self.range.to_ms),
            "alerts": self.firings.iter().map(alert).collect::<Vec<_>>(),
            "events": self.events(),
            "rules": self.rules.iter().map(rule).collect::<Vec<_>>(),
            "truncated": self.is_cut,
        })
    }
}

impl Rehearsal {
    /// Returns when an Alertmanager would have been told about beginnings and ends, by time.
    fn events(&self) -> Vec<Value> {
        let mut events: Vec<(i64, Value)> = Vec::new();
        for firing in &self.firings {
            let mut labels = self.external_labels.to_builder();
            for (name, value) in firing.labels.iter() {
                labels.set(name, value);
            }
            let event = |at_ms: i64| {
                json!({
                    "at": rfc3339_millis(at_ms),
                    "labels": label_map(&labels.build()),
                    "annotations": firing.annotations,
                    "startsAt": rfc3339_millis(firing.from_ms),
                })
            };
            events.push((firing.from_ms, event(firing.from_ms)));
            if let Some(to_ms) = firing.to_ms {
                let mut end = event(to_ms);
                end["endsAt"] = rfc3339_millis(to_ms).into();
                events.push((to_ms, end));
            }
        }
        events.sort_by_key(|(at_ms, _)| *at_ms);
        events.into_iter().map(|(_, event)| event).collect()
    }
}

/// Runs rules over recorded samples.
///
/// # Errors
/// When the range has no moments or too many.
pub(crate) fn rehearse(
    file: &RuleFile,
    engine: &Arc<Engine>,
    source: &Arc<dyn Source>,
    range: RehearsalRange,
    world: &World,
) -> Result<Rehearsal, String> {
    if range.to_ms < range.from_ms {
        return Err("the end is before the start".to_owned());
    }
    let mut stage = Stage {
        engine,
        source: Arc::new(Overlay {
            base: Arc::clone(source),
            recorded: MemorySource::default(),
            names: BTreeSet::new(),
        }),
        range,
        world,
        reach_ms: reach(file),
        firings: Vec::new(),
        rules: Vec::new(),
    };
    for group in by_dependency(&file.groups) {
        stage.group(group)?;
    }
    let mut firings = stage.firings;
    firings.sort_by(|left, right| (left.from_ms, &left.labels).cmp(&(right.from_ms, &right.labels)));
    let is_cut = firings.len() > FIRINGS_MAX;
    firings.truncate(FIRINGS_MAX);
    Ok(Rehearsal { range, firings, rules: stage.rules, external_labels: world.external_labels.clone(), is_cut })
}

/// A rehearsal under way.
struct Stage<'a> {
    engine: &'a Arc<Engine>,
    source: Arc<Overlay>,
    range: RehearsalRange,
    world: &'a World,
    /// How far back any rule looks.
    reach_ms: i64,
    firings: Vec<Firing>,
    rules: Vec<RuleOutcome>,
}

impl Stage<'_> {
    fn group(&mut self, group: &Group) -> Result<(), String> {
        let interval = group.interval.map_or(self.range.interval_ms, ms).max(1);
        if (self.range.to_ms - self.range.from_ms + self.reach_ms) / interval > STEPS_MAX {
            return Err(format!(
                "the group \"{}\" would be evaluated more than {STEPS_MAX} times; choose a shorter range",
                group.name
            ));
        }
        let offset = group.query_offset.map_or(0, ms);
        for rule in &group.rules {
            match &rule.kind {
                RuleKind::Recording { record } => {
                    if let Err(error) = self.record(rule, record, interval, offset) {
                        self.rules.push(outcome(group, rule, error));
                    }
                }
                RuleKind::Alerting { .. } => {
                    let (firings, told) = self.alert(group, rule, interval, offset);
                    self.firings.extend(firings);
                    self.rules.push(told);
                }
            }
        }
        Ok(())
    }

    /// Evaluates a recording rule, also for the time before the range that other rules look back to.
    fn record(&mut self, rule: &Rule, record: &str, interval: i64, offset: i64) -> Result<(), String> {
        let from = self.range.from_ms - self.reach_ms / interval * interval;
        let mut all: BTreeMap<Labels, Samples> = BTreeMap::new();
        for (start, end) in pieces(from - offset, self.range.to_ms - offset, interval) {
            for row in rows(self.engine, &*self.source, &rule.expression, (start, end), interval)? {
                let samples = all.entry(recorded_labels(&row.labels, record, &rule.labels)).or_default();
                samples.timestamps.extend(row.floats.iter().map(|(at, _)| *at));
                samples.values.extend(row.floats.iter().map(|(_, value)| *value));
                samples.histograms.extend(row.histograms);
            }
        }
        let overlay = Arc::get_mut(&mut self.source).ok_or("a query still runs")?;
        // What the running system recorded under this name says nothing about the rule that is rehearsed.
        overlay.names.insert(record.to_owned());
        for (labels, mut samples) in all {
            end_gaps(&mut samples, interval);
            overlay.recorded.insert(labels, samples);
        }
        Ok(())
    }

    fn alert(&self, group: &Group, rule: &Rule, interval: i64, offset: i64) -> (Vec<Firing>, RuleOutcome) {
        let active = ActiveRule::new(rule.clone());
        let mut life = Life {
            group: &group.name,
            alerts: Alerts::default(),
            open: HashMap::new(),
            firings: Vec::new(),
            pending_only: 0,
        };
        let mut error = String::new();
        for (start, end) in pieces(self.range.from_ms - offset, self.range.to_ms - offset, interval) {
            let done = rows(self.engine, &*self.source, &rule.expression, (start, end), interval)
                .and_then(|rows| self.steps(&active, rows, (start, end, interval, offset), &mut life));
            if let Err(why) = done {
                error = why;
                break;
            }
        }
        let firings = life.close();
        let firing_ms = firings.iter().map(|firing| firing.to_ms.unwrap_or(self.range.to_ms) - firing.from_ms).sum();
        let told = RuleOutcome {
            firings: firings.len(),
            firing_ms,
            pending_only: life.pending_only,
            ..outcome(group, rule, error)
        };
        (firings, told)
    }

    /// Lets the alerts of a rule live through the steps of one piece.
    fn steps(
        &self,
        rule: &ActiveRule,
        rows: Vec<SampleRow>,
        (start, end, interval, offset): (i64, i64, i64, i64),
        life: &mut Life<'_>,
    ) -> Result<(), String> {
        let mut by_step: BTreeMap<i64, Vec<Sample>> = BTreeMap::new();
        for row in rows {
            let floats = row.floats.into_iter().map(|(at, value)| (at, SampleValue::Float(value)));
            let all = floats.chain(row.histograms.into_iter().map(|(at, value)| (at, SampleValue::Histogram(value))));
            for (at, value) in all {
                by_step.entry(at).or_default().push(Sample { labels: row.labels.clone(), timestamp_ms: at, value });
            }
        }
        let mut at = start;
        while at <= end {
            let samples = by_step.remove(&at).unwrap_or_default();
            if samples.is_empty() && life.alerts.0.is_empty() {
                // Nothing happens before the next sample.
                match by_step.first_key_value() {
                    Some((next, _)) => at = *next,
                    None => break,
                }
                continue;
            }
            let moment = at + offset;
            let observed = rule.observe_with(moment, self.world, self.query(moment), &samples)?;
            life.alerts.step(observed, moment, rule.timing);
            life.follow(moment);
            at += interval;
        }
        Ok(())
    }

    /// Answers the queries of templates as of a moment.
    fn query(&self, at_ms: i64) -> TemplateQuery {
        let (engine, source, options) = (Arc::clone(self.engine), Arc::clone(&self.source), self.world.parse);
        Arc::new(move |text| {
            let expression = maru_promql::parse(text, &options).map_err(|errors| errors.to_string())?;
            let result = instant(&engine, &*source, &expression, at_ms)?;
            Ok(result.into_iter().map(|sample| (sample.labels, float(&sample.value))).collect())
        })
    }
}

/// The alerts of one rule, and what became of them so far.
struct Life<'a> {
    group: &'a str,
    alerts: Alerts,
    /// Alerts that are not over, with their firing once they fire.
    open: HashMap<Labels, Option<Firing>>,
    firings: Vec<Firing>,
    pending_only: usize,
}

impl Life<'_> {
    /// Notes what a step changed.
    fn follow(&mut self, at_ms: i64) {
        let mut ended: Vec<Labels> = Vec::new();
        for alert in self.alerts.0.values() {
            match alert.state {
                AlertState::Pending => {
                    self.open.entry(alert.labels.clone()).or_insert(None);
                }
                AlertState::Firing => {
                    let group = self.group;
                    self.open
                        .entry(alert.labels.clone())
                        .or_insert(None)
                        .get_or_insert_with(|| firing(alert, group, at_ms));
                }
                AlertState::Inactive => ended.push(alert.labels.clone()),
            }
        }
        for labels in ended {
            self.alerts.0.remove(&labels);
            if let Some(Some(firing)) = self.open.remove(&labels) {
                self.firings.push(Firing { to_ms: Some(at_ms), ..firing });
            }
        }
        // Those that were pending and are no more.
        let alerts = &self.alerts;
        let before = self.open.len();
        self.open.retain(|labels, _| alerts.0.contains_key(labels));
        self.pending_only += before - self.open.len();
    }

    /// Returns all firings; those that go on have no end.
    fn close(&mut self) -> Vec<Firing> {
        let mut firings = std::mem::take(&mut self.firings);
        firings.extend(self.open.drain().filter_map(|(_, firing)| firing));
        firings
    }
}

fn firing(alert: &Alert, group: &str, at_ms: i64) -> Firing {
    Firing {
        group: group.to_owned(),
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        value: alert.value,
        active_at_ms: alert.active_at_ms,
        from_ms: alert.fired_at_ms.unwrap_or(at_ms),
        to_ms: None,
    }
}

fn outcome(group: &Group, rule: &Rule, error: String) -> RuleOutcome {
    let (group, name) = (group.name.clone(), rule.name().to_owned());
    RuleOutcome { group, name, firings: 0, firing_ms: 0, pending_only: 0, error }
}

/// Cuts a range into pieces of whole steps.
fn pieces(start: i64, end: i64, step: i64) -> impl Iterator<Item = (i64, i64)> {
    let mut next = start;
    std::iter::from_fn(move || {
        (next <= end).then(|| {
            let last = (next + (STEPS_AT_ONCE - 1) * step).min(end);
            let piece = (next, last);
            next += STEPS_AT_ONCE * step;
            piece
        })
    })
}

/// Puts a marker where a recorded series misses a step, as the running system would.
fn end_gaps(samples: &mut Samples, step: i64) {
    if !samples.histograms.is_empty() {
        return;
    }
    let (mut timestamps, mut values) = (Vec::new(), Vec::new());
    for (index, (at, value)) in samples.timestamps.iter().zip(&samples.values).enumerate() {
        timestamps.push(*at);
        values.push(*value);
        if samples.timestamps.get(index + 1).is_none_or(|next| *next > at + step) {
            timestamps.push(at + step);
            values.push(maru_prom::stale_marker());
        }
    }
    (samples.timestamps, samples.values) = (timestamps, values);
}

/// Returns how far back the rules of a file look, all windows of one expression together.
fn reach(file: &RuleFile) -> i64 {
    let rules = file.groups.iter().flat_map(|group| &group.rules);
    let own = |rule: &Rule| {
        let mut sum = 0_i64;
        rule.expression.walk(&mut |node, _| {
            let windows: [&DurationValue; 2] = match node {
                Expression::Matrix(matrix) => [&matrix.range, &matrix.selector.offset],
                Expression::Subquery(subquery) => [&subquery.range, &subquery.offset],
                Expression::Vector(selector) => [&selector.offset, &DurationValue::ZERO],
                Expression::Number(_)
                | Expression::String(_)
                | Expression::Call(_)
                | Expression::Aggregation(_)
                | Expression::Binary(_)
                | Expression::Unary(_)
                | Expression::Parentheses(_) => [&DurationValue::ZERO, &DurationValue::ZERO],
            };
            for window in windows {
                if let DurationValue::Fixed(ms) = window {
                    sum = sum.saturating_add((*ms).max(0));
                }
            }
        });
        sum
    };
    let has_records = file.groups.iter().flat_map(|group| &group.rules).any(|rule| !rule.is_alerting());
    if has_records { rules.map(own).max().unwrap_or(0).min(90 * 86_400_000) } else { 0 }
}

/// Orders groups so that what they read from each other is there; those that read in a circle stay in their order.
fn by_dependency(groups: &[Group]) -> Vec<&Group> {
    let records = |group: &Group| -> BTreeSet<String> {
        group.rules.iter().filter(|rule| !rule.is_alerting()).map(|rule| rule.name().to_owned()).collect()
    };
    let reads = |group: &Group| -> BTreeSet<String> {
        let selectors = group.rules.iter().flat_map(|rule| rule.expression.selectors());
        selectors.map(|selector| selector.name.clone()).collect()
    };
    let mut waiting: Vec<&Group> = groups.iter().collect();
    let mut sorted = Vec::new();
    while !waiting.is_empty() {
        let is_free = |index: &usize| {
            let reads = reads(waiting[*index]);
            let others = waiting.iter().enumerate().filter(|(other, _)| other != index);
            others.flat_map(|(_, group)| records(group)).all(|record| !reads.contains(&record))
        };
        let next = (0..waiting.len()).find(is_free).unwrap_or(0);
        sorted.push(waiting.remove(next));
    }
    sorted
}
