//! The newest samples of series, for another Prometheus to scrape.
//!
//! Source: Prometheus 3 documentation, "Federation".

use std::sync::Arc;

use maru_prom::exposition::{Escaping, FamilyHead, ScrapeProtocol, Writer};
use maru_prom::{Histogram, Labels, is_stale_marker};
use maru_promql::{Cancel, Samples};
use maru_series::{SelectHints, TimeRange};

use crate::answer::Sink;
use crate::fault::Fault;
use crate::lookups::select_fault;
use crate::metrics::State;
use crate::read::with_external;
use crate::request::Parameters;
use crate::selectors;

/// One line.
struct Newest {
    labels: Labels,
    timestamp_ms: i64,
    value: Value,
}

enum Value {
    Float(f64),
    Histogram(Arc<Histogram>),
}

/// Answers `/federate`. For blocking threads.
pub(crate) fn federate(
    state: &State,
    parameters: &Parameters,
    form: (ScrapeProtocol, Escaping),
    sink: &mut Sink,
    cancel: &Cancel,
) -> Result<(), Fault> {
    let mut lines = newest(state, parameters, cancel)?;
    lines.sort_by(|one, other| {
        (one.labels.metric_name(), &one.labels).cmp(&(other.labels.metric_name(), &other.labels))
    });
    lines.dedup_by(|one, other| one.labels == other.labels);
    let (protocol, escaping) = form;
    sink.set_kind_text(&protocol.content_type(escaping));
    let mut writer = Writer::new(protocol, escaping);
    let mut metric = None;
    for line in &lines {
        let name = line.labels.metric_name();
        if metric != Some(name) {
            metric = Some(name);
            writer.family(&FamilyHead { name, ..FamilyHead::default() });
        }
        // A series that never had an instance must not get the scraper's.
        let extra = [("instance", "")];
        match &line.value {
            Value::Float(value) => writer.sample(&line.labels, &extra, *value, Some(line.timestamp_ms)),
            Value::Histogram(histogram) => {
                // The texts have no words for it: those who want it ask for protobuf.
                writer.histogram(&line.labels, &extra, histogram, Some(line.timestamp_ms));
            }
        }
    }
    sink.buffer().extend_from_slice(&writer.finish());
    Ok(())
}

/// Returns the newest sample of each series that selectors find, unless the series has ended.
fn newest(state: &State, parameters: &Parameters, cancel: &Cancel) -> Result<Vec<Newest>, Fault> {
    let now_ms = state.now_ms();
    // The look-back does not reach its far end.
    let range = TimeRange { start_ms: now_ms - state.engine.options().lookback_ms + 1, end_ms: now_ms };
    let hints = SelectHints { series_max: Some(state.limits.query_series_max), ..SelectHints::default() };
    let external = state.external_labels();
    let (mut lines, mut samples) = (Vec::new(), Samples::default());
    for matchers in selectors::read(parameters)? {
        for series in state.store.select(&matchers, range, &hints).map_err(select_fault)? {
            if cancel.is_cancelled() {
                return Err(Fault::Canceled("the scrape was given up".to_owned()));
            }
            samples.clear();
            let read = series.read(&mut samples.timestamps, &mut samples.values, &mut samples.histograms);
            read.map_err(select_fault)?;
            let float = samples.timestamps.last().zip(samples.values.last());
            let histogram = samples.histograms.last();
            let line = match (float, histogram) {
                (Some((at, value)), histogram) if histogram.is_none_or(|(other, _)| other < at) => {
                    (!is_stale_marker(*value)).then_some((*at, Value::Float(*value)))
                }
                (_, Some((at, histogram))) => {
                    (!histogram.is_stale_marker()).then(|| (*at, Value::Histogram(Arc::clone(histogram))))
                }
                _ => None,
            };
            let labels = with_external(series.labels(), &external);
            lines.extend(line.map(|(timestamp_ms, value)| Newest { labels, timestamp_ms, value }));
        }
    }
    Ok(lines)
}
