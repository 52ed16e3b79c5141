//! One rule at one moment: its query, its samples, its alerts.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use maru_monitoring::rules::{
    Rule, RuleKind, RuleText, TemplateData, TemplateQuery, TemplateWorld, expand_all, functions,
};
use maru_prom::{Labels, METRIC_NAME};
use maru_promql::{Expression, ParseOptions, Sample, SampleValue, parse};
use tokio::time::Instant;

use super::alert::{Alert, AlertTiming, Alerts, Observation, ms};
use super::backend::{Backend, Written, markers};

/// The label that holds an alert's name.
pub(crate) const ALERT_NAME: &str = "alertname";
/// The series that tell which alerts are pending or firing.
const ALERTS: &str = "ALERTS";
/// The series that tell since when, for the time after a restart.
pub(crate) const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";
/// The label of [`ALERTS`] that holds the state.
const ALERT_STATE: &str = "alertstate";

/// Whether a rule could be evaluated last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Health {
    /// It was not evaluated yet.
    #[default]
    Unknown,
    /// It could.
    Good,
    /// It could not, and why.
    Bad(String),
}

impl Health {
    /// Returns the word of the API.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Good => "ok",
            Self::Bad(_) => "err",
        }
    }
}

/// A rule that is evaluated again and again.
#[derive(Debug)]
pub(crate) struct ActiveRule {
    pub(crate) rule: Rule,
    labels: BTreeMap<String, RuleText>,
    annotations: BTreeMap<String, RuleText>,
    pub(crate) timing: AlertTiming,
    state: Mutex<RuleState>,
}

/// What a rule remembers between two evaluations.
#[derive(Debug, Clone, Default)]
pub(crate) struct RuleState {
    pub(crate) alerts: Alerts,
    /// Whether alerts know since when they hold, so that series may tell it.
    pub(crate) is_restored: bool,
    /// Series that it wrote last.
    pub(crate) previous: HashSet<Labels>,
    pub(crate) health: Health,
    pub(crate) evaluated_at_ms: Option<i64>,
    pub(crate) duration: Duration,
    pub(crate) samples: usize,
}

/// What all rules of a group share in one evaluation.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) backend: &'a Arc<dyn Backend>,
    pub(crate) at_ms: i64,
    pub(crate) query_offset_ms: i64,
    pub(crate) limit: usize,
    pub(crate) world: &'a World,
}

/// What rules know of the system.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) external_labels: Labels,
    pub(crate) external_url: String,
    pub(crate) parse: ParseOptions,
}

impl ActiveRule {
    /// Makes a rule ready. Texts that do not parse are kept as they are: whoever read the file has refused them.
    pub(crate) fn new(rule: Rule) -> Self {
        let texts = |texts: &BTreeMap<String, String>| -> BTreeMap<String, RuleText> {
            let parsed = |text: &String| RuleText::parse(text).unwrap_or_else(|_| RuleText::Plain(text.clone()));
            texts.iter().map(|(name, text)| (name.clone(), parsed(text))).collect()
        };
        let (annotations, timing) = match &rule.kind {
            RuleKind::Recording { .. } => (BTreeMap::new(), AlertTiming::default()),
            RuleKind::Alerting { hold, keep_firing, annotations, .. } => {
                (texts(annotations), AlertTiming { hold_ms: ms(*hold), keep_firing_ms: ms(*keep_firing) })
            }
        };
        Self { labels: texts(&rule.labels), annotations, timing, state: Mutex::default(), rule }
    }

    /// Returns what it remembers. Held for short times only, never during a query.
    pub(crate) fn state(&self) -> MutexGuard<'_, RuleState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether another rule's memory may become this one's.
    pub(crate) fn is_successor_of(&self, other: &Self) -> bool {
        self.rule.name() == other.rule.name()
            && self.rule.is_alerting() == other.rule.is_alerting()
            && self.rule.labels == other.rule.labels
    }

    /// Evaluates once; returns whether there is a result. What it writes can be read at once; it is not durable yet.
    pub(crate) fn evaluate(&self, turn: &Turn<'_>) -> bool {
        let started = Instant::now();
        let samples = self.samples(turn);
        let has_result = samples.is_ok();
        // Alerts live on though their series cannot be written: a full disk must not keep anybody asleep.
        let outcome = samples.and_then(|samples| self.write(turn, samples));
        if let Err(why) = &outcome {
            tracing::warn!(
                rule = self.rule.name(),
                error = why,
                "a rule could not be evaluated or its result not written"
            );
        }
        let mut state = self.state();
        state.evaluated_at_ms = Some(turn.at_ms);
        state.duration = started.elapsed();
        state.health = outcome.map_or_else(Health::Bad, |()| Health::Good);
        has_result
    }

    fn samples(&self, turn: &Turn<'_>) -> Result<Vec<Written>, String> {
        let query_ms = turn.at_ms - turn.query_offset_ms;
        let result = turn.backend.query(&self.rule.expression, query_ms)?;
        match &self.rule.kind {
            RuleKind::Recording { record } => self.recorded(turn, record, result),
            RuleKind::Alerting { .. } => self.alerts(turn, &result),
        }
    }

    fn recorded(&self, turn: &Turn<'_>, record: &str, result: Vec<Sample>) -> Result<Vec<Written>, String> {
        if turn.limit > 0 && result.len() > turn.limit {
            return Err(format!("exceeded limit of {} with {} series", turn.limit, result.len()));
        }
        let mut seen = HashSet::with_capacity(result.len());
        let mut samples = Vec::with_capacity(result.len());
        for sample in result {
            let labels = recorded_labels(&sample.labels, record, &self.rule.labels);
            if !seen.insert(labels.clone()) {
                return Err("vector contains metrics with the same labelset after applying rule labels".to_owned());
            }
            samples.push((labels, sample.timestamp_ms, sample.value));
        }
        Ok(samples)
    }

    fn alerts(&self, turn: &Turn<'_>, result: &[Sample]) -> Result<Vec<Written>, String> {
        let observed = self.observe_with(turn.at_ms, turn.world, template_query(turn), result)?;
        let mut state = self.state();
        let active = state.alerts.step(observed, turn.at_ms, self.timing);
        if turn.limit > 0 && active > turn.limit {
            state.alerts = Alerts::default();
            return Err(format!("exceeded limit of {} with {active} alerts", turn.limit));
        }
        if !state.is_restored {
            return Ok(Vec::new());
        }
        let at_ms = turn.at_ms - turn.query_offset_ms;
        Ok(state.alerts.active().flat_map(|alert| alert_samples(alert, at_ms)).collect())
    }

    /// Returns the alerts of a result with their labels and texts.
    pub(crate) fn observe_with(
        &self,
        at_ms: i64,
        world: &World,
        query: TemplateQuery,
        result: &[Sample],
    ) -> Result<Vec<Observation>, String> {
        let name = self.rule.name();
        let world = TemplateWorld {
            now_ms: at_ms,
            external_labels: world.external_labels.clone(),
            external_url: world.external_url.clone(),
            query,
        };
        let functions = functions(&world);
        let mut seen = HashSet::with_capacity(result.len());
        let mut observed = Vec::with_capacity(result.len());
        for sample in result {
            let value = float(&sample.value);
            let data = TemplateData::new(&world, &sample.labels, value);
            let (own, failed) = expand_all(&self.labels, &data, &functions);
            let (annotations, failed_text) = expand_all(&self.annotations, &data, &functions);
            if let Some(error) = failed.or(failed_text) {
                tracing::warn!(alert = name, %error, "a template of an alert could not be expanded");
            }
            let mut labels = sample.labels.to_builder();
            labels.remove(METRIC_NAME);
            for (label, value) in &own {
                labels.set(label, value);
            }
            labels.set(ALERT_NAME, name);
            let labels = labels.build();
            if !seen.insert(labels.clone()) {
                return Err("vector contains metrics with the same labelset after applying alert labels".to_owned());
            }
            observed.push(Observation { labels, annotations, value });
        }
        Ok(observed)
    }

    /// Writes samples, and ends the series that are not among them any more.
    fn write(&self, turn: &Turn<'_>, samples: Vec<Written>) -> Result<(), String> {
        let outcome = if samples.is_empty() { Ok(()) } else { turn.backend.append(&samples) };
        let mut state = self.state();
        state.samples = samples.len();
        let written: HashSet<Labels> = samples.into_iter().map(|(labels, ..)| labels).collect();
        let previous = std::mem::replace(&mut state.previous, written);
        let vanished: Vec<Labels> = previous.into_iter().filter(|labels| !state.previous.contains(labels)).collect();
        drop(state);
        if !vanished.is_empty()
            && let Err(why) = turn.backend.append(&markers(vanished, turn.at_ms - turn.query_offset_ms))
        {
            // Expected where another rule has the series now.
            tracing::debug!(rule = self.rule.name(), error = why, "series that vanished could not be ended");
        }
        outcome
    }
}

/// Returns the labels of a recorded series.
pub(crate) fn recorded_labels(labels: &Labels, record: &str, own: &BTreeMap<String, String>) -> Labels {
    let mut builder = labels.to_builder();
    builder.set(METRIC_NAME, record);
    for (name, value) in own {
        builder.set(name, value);
    }
    builder.build()
}

/// Returns what is written for an alert: its state, and since when.
pub(crate) fn alert_samples(alert: &Alert, at_ms: i64) -> [Written; 2] {
    let mut labels = alert.labels.to_builder();
    labels.set(METRIC_NAME, ALERTS_FOR_STATE);
    let since = labels.build();
    labels.set(METRIC_NAME, ALERTS).set(ALERT_STATE, alert.state.word());
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are below 2^53")]
    let active_at = alert.active_at_ms.div_euclid(1000) as f64;
    [(labels.build(), at_ms, SampleValue::Float(1.0)), (since, at_ms, SampleValue::Float(active_at))]
}

/// Returns a sample's number; a histogram has none.
pub(crate) fn float(value: &SampleValue) -> f64 {
    match value {
        SampleValue::Float(value) => *value,
        SampleValue::Histogram(_) => 0.0,
    }
}

/// Returns what answers the queries of templates.
fn template_query(turn: &Turn<'_>) -> TemplateQuery {
    let (backend, at_ms, parse_options) = (Arc::clone(turn.backend), turn.at_ms, turn.world.parse);
    Arc::new(move |text| {
        let expression: Expression = parse(text, &parse_options).map_err(|errors| errors.to_string())?;
        let result = backend.query(&expression, at_ms)?;
        Ok(result.into_iter().map(|sample| (sample.labels, float(&sample.value))).collect())
    })
}
