//! Where rules read and write: the store, or memory for tests of rules.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use maru_prom::{Histogram, Labels, Matcher, MatcherOperator, is_stale_marker, stale_marker};
use maru_promql::{
    Answer, Engine, EngineOptions, Evaluation, Expression, MemorySource, Sample, SampleRow, SampleValue, Samples,
    Selection, Series, Source, SourceError, Stopwatch, Value,
};
use maru_series::{SeriesStore, WriteScope};
use tokio::time::Instant;

use crate::source::StoreSource;

/// A sample that a rule writes.
pub(crate) type Written = (Labels, i64, SampleValue);

/// Reads and writes samples.
pub(crate) trait Backend: Send + Sync + std::fmt::Debug {
    /// Evaluates at one moment.
    fn query(&self, expression: &Expression, at_ms: i64) -> Result<Vec<Sample>, String>;

    /// Takes samples, so that the next query sees them. Returns what was refused, in words.
    fn append(&self, samples: &[Written]) -> Result<(), String>;

    /// Lets all that was appended outlive the process.
    fn settle(&self) -> Result<(), String>;

    /// Returns the last sample of each series of a metric with one label, in a span of time.
    fn last(&self, metric: &str, label: (&str, &str), range: (i64, i64)) -> Result<Vec<(Labels, i64, f64)>, String>;
}

/// Measures one query.
struct Watch(Instant);

impl Stopwatch for Watch {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Returns the series of an answer; a number is a series without labels.
pub(crate) fn vector(answer: Answer) -> Result<Vec<Sample>, String> {
    match answer.value {
        Value::Vector(samples) => Ok(samples),
        Value::Scalar { timestamp_ms, value } => {
            Ok(vec![Sample { labels: Labels::empty(), timestamp_ms, value: SampleValue::Float(value) }])
        }
        Value::Text { .. } | Value::Matrix(_) => Err("rule result is not a vector or scalar".to_owned()),
    }
}

/// Returns the last sample of each series that a source finds.
fn last_of(
    source: &dyn Source,
    metric: &str,
    label: (&str, &str),
    range: (i64, i64),
) -> Result<Vec<(Labels, i64, f64)>, String> {
    let matcher =
        |name: &str, value: &str| Matcher::new(name, MatcherOperator::Equal, value).map_err(|error| error.to_string());
    let selection = Selection {
        matchers: vec![matcher(maru_prom::METRIC_NAME, metric)?, matcher(label.0, label.1)?],
        range: maru_promql::Range { start_ms: range.0, end_ms: range.1 },
        step_ms: 0,
        function: String::new(),
        window_ms: 0,
    };
    let mut found = Vec::new();
    for series in source.select(&selection).map_err(|error| error.to_string())? {
        let mut samples = Samples::default();
        series.read(&mut samples).map_err(|error| error.to_string())?;
        let within = samples.timestamps.iter().zip(&samples.values).rfind(|(at, _)| **at >= range.0 && **at <= range.1);
        if let Some((at, value)) = within {
            found.push((series.labels().clone(), *at, *value));
        }
    }
    Ok(found)
}

/// A store as a source that can be handed around.
#[derive(Debug, Clone)]
pub(crate) struct SharedSource {
    store: SeriesStore,
    series_max: usize,
}

impl Source for SharedSource {
    fn select<'a>(&'a self, selection: &Selection) -> Result<Vec<Box<dyn Series + 'a>>, SourceError> {
        // What is found lives as long as the store.
        let found = StoreSource { store: &self.store, series_max: self.series_max }.found(selection)?;
        Ok(found.into_iter().map(|series| Box::new(series) as Box<dyn Series + 'a>).collect())
    }
}

/// The store.
#[derive(Debug)]
pub(crate) struct StoreBackend {
    store: SeriesStore,
    engine: Arc<Engine>,
    series_max: usize,
    scope: WriteScope,
}

impl StoreBackend {
    pub(crate) fn new(store: SeriesStore, options: EngineOptions, series_max: usize) -> Self {
        let scope = WriteScope { labels: Labels::from_pairs([("origin", "rules")]), series_max: None };
        Self { store, engine: Arc::new(Engine::new(options)), series_max, scope }
    }

    fn source(&self) -> StoreSource<'_> {
        StoreSource { store: &self.store, series_max: self.series_max }
    }

    /// Returns what rehearsals read from.
    pub(crate) fn shared(&self) -> (Arc<Engine>, Arc<dyn Source>) {
        let source = SharedSource { store: self.store.clone(), series_max: self.series_max };
        (Arc::clone(&self.engine), Arc::new(source))
    }
}

/// Evaluates at each step of a range.
pub(crate) fn rows(
    engine: &Engine,
    source: &dyn Source,
    expression: &Expression,
    range: (i64, i64),
    step_ms: i64,
) -> Result<Vec<SampleRow>, String> {
    let watch = Watch(Instant::now());
    let evaluation = Evaluation { stopwatch: Some(&watch), ..Evaluation::range(range.0, range.1, step_ms) };
    match engine.evaluate(source, expression, &evaluation).map_err(|error| error.to_string())?.value {
        Value::Matrix(rows) => Ok(rows),
        Value::Vector(_) | Value::Scalar { .. } | Value::Text { .. } => {
            Err("rule result is not a vector or scalar".to_owned())
        }
    }
}

pub(crate) fn instant(
    engine: &Engine,
    source: &dyn Source,
    expression: &Expression,
    at_ms: i64,
) -> Result<Vec<Sample>, String> {
    let watch = Watch(Instant::now());
    let evaluation = Evaluation { stopwatch: Some(&watch), ..Evaluation::instant(at_ms) };
    vector(engine.evaluate(source, expression, &evaluation).map_err(|error| error.to_string())?)
}

impl Backend for StoreBackend {
    fn query(&self, expression: &Expression, at_ms: i64) -> Result<Vec<Sample>, String> {
        instant(&self.engine, &self.source(), expression, at_ms)
    }

    fn append(&self, samples: &[Written]) -> Result<(), String> {
        let mut appender = self.store.appender(&self.scope);
        for (labels, at_ms, value) in samples {
            let series = appender.series(labels);
            match value {
                SampleValue::Float(value) => appender.append(series, *at_ms, *value),
                SampleValue::Histogram(histogram) => appender.append_histogram(series, *at_ms, histogram),
            }
        }
        let report = appender.commit_later().map_err(|error| told(&error))?;
        let Some(first) = report.refused.first() else { return Ok(()) };
        let count: u64 = report.refused.iter().map(|refusal| refusal.count).sum();
        Err(format!("{count} samples were refused, first {:?}: {:?}", first.example, first.reason))
    }

    fn settle(&self) -> Result<(), String> {
        // Not synced: after a crash of the machine the next evaluations tell the same.
        self.store.write_out().map_err(|error| error.to_string())
    }

    fn last(&self, metric: &str, label: (&str, &str), range: (i64, i64)) -> Result<Vec<(Labels, i64, f64)>, String> {
        last_of(&self.source(), metric, label, range)
    }
}

fn told(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// Memory, for tests of rules.
#[derive(Debug)]
pub(crate) struct MemoryBackend {
    engine: Engine,
    source: RwLock<(MemorySource, HashMap<Labels, Newest>)>,
}

/// The newest sample of a series: when it was, and the histogram that it is.
type Newest = (i64, Option<Arc<Histogram>>);

impl MemoryBackend {
    pub(crate) fn new(options: EngineOptions) -> Arc<Self> {
        Arc::new(Self { engine: Engine::new(options), source: RwLock::default() })
    }
}

impl Backend for MemoryBackend {
    fn query(&self, expression: &Expression, at_ms: i64) -> Result<Vec<Sample>, String> {
        let source = self.source.read().unwrap_or_else(PoisonError::into_inner);
        instant(&self.engine, &source.0, expression, at_ms)
    }

    fn append(&self, samples: &[Written]) -> Result<(), String> {
        let mut guard = self.source.write().unwrap_or_else(PoisonError::into_inner);
        let (source, newest) = &mut *guard;
        let mut refused = None;
        for (labels, at_ms, value) in samples {
            // As a store that takes nothing out of order.
            let before = newest.get(labels);
            if before.is_some_and(|(last, _)| last >= at_ms) {
                refused.get_or_insert_with(|| format!("out of order sample for {labels:?}"));
                continue;
            }
            let value = hinted(value, before.and_then(|(_, histogram)| histogram.as_deref()));
            let histogram = match &value {
                SampleValue::Histogram(histogram) => Some(Arc::clone(histogram)),
                SampleValue::Float(_) => None,
            };
            newest.insert(labels.clone(), (*at_ms, histogram));
            source.append(labels, *at_ms, value, 0);
        }
        refused.map_or(Ok(()), Err)
    }

    fn settle(&self) -> Result<(), String> {
        Ok(())
    }

    fn last(&self, metric: &str, label: (&str, &str), range: (i64, i64)) -> Result<Vec<(Labels, i64, f64)>, String> {
        let source = self.source.read().unwrap_or_else(PoisonError::into_inner);
        last_of(&source.0, metric, label, range)
    }
}

/// Returns a sample as a store keeps it: a histogram says whether its counter went on.
fn hinted(value: &SampleValue, before: Option<&Histogram>) -> SampleValue {
    match value {
        SampleValue::Histogram(histogram) => {
            let reset_hint = histogram.hint_behind(before);
            SampleValue::Histogram(Arc::new(Histogram { reset_hint, ..Histogram::clone(histogram) }))
        }
        SampleValue::Float(_) => value.clone(),
    }
}

/// Returns the samples that end series at a moment.
pub(crate) fn markers(series: impl IntoIterator<Item = Labels>, at_ms: i64) -> Vec<Written> {
    let marker = stale_marker();
    debug_assert!(is_stale_marker(marker), "the marker is one");
    let mut samples: Vec<Written> =
        series.into_iter().map(|labels| (labels, at_ms, SampleValue::Float(marker))).collect();
    samples.sort_by(|left, right| left.0.cmp(&right.0));
    samples
}

#[cfg(test)]
mod tests {
    use maru_prom::ResetHint;
    use maru_promql::{ParseOptions, parse};

    use super::*;

    #[test]
    fn memory_knows_as_a_store_does_whether_a_histogram_went_on() {
        let backend = MemoryBackend::new(EngineOptions::default());
        let labels = Labels::from_pairs([("__name__", "h")]);
        let expression = parse("h", &ParseOptions::default()).unwrap();
        let counts = [(2.0, ResetHint::Unknown), (3.0, ResetHint::NotCounterReset), (1.0, ResetHint::Unknown)];
        for (at_ms, (count, expected)) in (0..).zip(counts) {
            let histogram = Histogram { count, sum: count, zero_count: count, ..Histogram::empty(0) };
            let value = SampleValue::Histogram(Arc::new(histogram));
            backend.append(&[(labels.clone(), at_ms, value)]).unwrap();
            let found = backend.query(&expression, at_ms).unwrap();
            let SampleValue::Histogram(histogram) = &found[0].value else { panic!("{found:?}") };
            assert_eq!(histogram.reset_hint, expected, "at {at_ms}");
        }
    }
}
