//! What series, labels, metadata and exemplars there are.

use maru_prom::{Metadata, MetricType};
use maru_series::{SelectError, TimeRange};

use crate::answer::{Json, Sink, write_float, write_labels, write_millis, write_text};
use crate::fault::Fault;
use crate::metrics::State;
use crate::query;
use crate::request::Parameters;
use crate::selectors;

/// Said when a list is not whole.
const TRUNCATED: &str = "results truncated due to limit";

/// Writes a list, with a warning when it has more than `limit` items.
fn write_list<T>(
    sink: &mut Sink,
    items: &[T],
    limit: Option<usize>,
    write: impl Fn(&mut Vec<u8>, &T),
) -> Result<(), Fault> {
    let shown = limit.unwrap_or(items.len()).min(items.len());
    sink.buffer().extend_from_slice(b"{\"status\":\"success\",\"data\":[");
    for (index, item) in items.iter().take(shown).enumerate() {
        if index > 0 {
            sink.buffer().push(b',');
        }
        write(sink.buffer(), item);
        if sink.checkpoint().is_err() {
            return Ok(());
        }
    }
    let out = sink.buffer();
    out.push(b']');
    if shown < items.len() {
        out.extend_from_slice(b",\"warnings\":[");
        write_text(out, TRUNCATED);
        out.push(b']');
    }
    out.push(b'}');
    Ok(())
}

/// One more than the limit is asked for: then it is known whether there were more.
fn one_more(limit: Option<usize>) -> Option<usize> {
    limit.map(|limit| limit.saturating_add(1))
}

fn range(parameters: &Parameters) -> Result<TimeRange, Fault> {
    let range = parameters.range()?;
    Ok(TimeRange { start_ms: range.start_ms, end_ms: range.end_ms })
}

/// Returns the fault of a look-up that failed.
pub(crate) fn select_fault(error: SelectError) -> Fault {
    match error {
        SelectError::TooManySeries { .. } => Fault::Execution(error.to_string()),
        other => Fault::Internal(other.to_string()),
    }
}

/// Answers `/api/v1/series`.
pub(crate) fn series(state: &State, parameters: &Parameters, sink: &mut Sink) -> Result<(), Fault> {
    let (selectors, range, limit) = (selectors::required(parameters)?, range(parameters)?, parameters.limit()?);
    let cap = state.limits.query_series_max;
    let wanted = one_more(limit).map_or(cap.saturating_add(1), |wanted| wanted.min(cap.saturating_add(1)));
    let found = state.store.series(&selectors, range, Some(wanted)).map_err(select_fault)?;
    if found.len() > cap {
        return Err(select_fault(SelectError::TooManySeries { series_max: cap }));
    }
    write_list(sink, &found, limit, write_labels)
}

/// Answers `/api/v1/labels`.
pub(crate) fn labels(state: &State, parameters: &Parameters, sink: &mut Sink) -> Result<(), Fault> {
    let (selectors, range, limit) = (selectors::read(parameters)?, range(parameters)?, parameters.limit()?);
    let found = state.store.label_names(&selectors, range, one_more(limit)).map_err(select_fault)?;
    write_list(sink, &found, limit, |out, name| write_text(out, name))
}

/// Answers `/api/v1/label/{name}/values`.
pub(crate) fn values(state: &State, name: &str, parameters: &Parameters, sink: &mut Sink) -> Result<(), Fault> {
    if name.is_empty() {
        return Err(Fault::BadData("invalid label name: \"\"".to_owned()));
    }
    let name = decode_name(name);
    let (selectors, range, limit) = (selectors::read(parameters)?, range(parameters)?, parameters.limit()?);
    let found = state.store.label_values(&name, &selectors, range, one_more(limit)).map_err(select_fault)?;
    write_list(sink, &found, limit, |out, value| write_text(out, value))
}

/// Decodes a label's name in the form that fits everywhere: `U__my_2e_label` is `my.label`. Other names stay as they are.
fn decode_name(name: &str) -> String {
    let Some(rest) = name.strip_prefix("U__") else { return name.to_owned() };
    decode_underscores(rest).unwrap_or_else(|| name.to_owned())
}

fn decode_underscores(mut rest: &str) -> Option<String> {
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once('_') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('_') {
            out.push('_');
            rest = after;
        } else {
            let (code, after) = after.split_once('_')?;
            out.push(u32::from_str_radix(code, 16).ok().and_then(char::from_u32)?);
            rest = after;
        }
    }
    out.push_str(rest);
    Some(out)
}

/// Answers `/api/v1/metadata`.
pub(crate) fn metadata(state: &State, parameters: &Parameters, sink: &mut Sink) -> Result<(), Fault> {
    let limit = parameters.limit()?;
    let each = parameters.count("limit_per_metric")?.unwrap_or(usize::MAX);
    let found = state.store.metadata(parameters.get("metric"), limit);
    sink.buffer().extend_from_slice(b"{\"status\":\"success\",\"data\":{");
    for (index, (metric, entries)) in found.iter().take(limit.unwrap_or(usize::MAX)).enumerate() {
        let out = sink.buffer();
        if index > 0 {
            out.push(b',');
        }
        write_text(out, metric);
        out.push(b':');
        let mut list = Json::array(out);
        for entry in entries.iter().take(each) {
            write_metadata(list.element(), entry);
        }
        list.end();
        if sink.checkpoint().is_err() {
            return Ok(());
        }
    }
    sink.buffer().extend_from_slice(b"}}");
    Ok(())
}

fn write_metadata(out: &mut Vec<u8>, metadata: &Metadata) {
    let mut object = Json::object(out);
    object.text("type", type_name(metadata.metric_type));
    object.text("unit", &metadata.unit);
    object.text("help", &metadata.help);
    object.end();
}

/// Returns a metric type's name on the wire.
pub(crate) fn type_name(kind: MetricType) -> &'static str {
    match kind {
        MetricType::Counter => "counter",
        MetricType::Gauge => "gauge",
        MetricType::Histogram => "histogram",
        MetricType::GaugeHistogram => "gaugehistogram",
        MetricType::Summary => "summary",
        MetricType::Info => "info",
        MetricType::StateSet => "stateset",
        MetricType::Unknown => "unknown",
    }
}

/// Answers `/api/v1/query_exemplars`.
pub(crate) fn exemplars(state: &State, parameters: &Parameters, sink: &mut Sink) -> Result<(), Fault> {
    let (range, selectors) = (range(parameters)?, query::selectors_of(state, parameters)?);
    let found = if selectors.is_empty() { Vec::new() } else { state.store.exemplars(&selectors, range) };
    write_list(sink, &found, None, |out, (labels, exemplars)| {
        let mut object = Json::object(out);
        write_labels(object.field("seriesLabels"), labels);
        let mut list = Json::array(object.field("exemplars"));
        for exemplar in exemplars {
            let mut entry = Json::object(list.element());
            write_labels(entry.field("labels"), &exemplar.labels);
            let out = entry.field("value");
            out.push(b'"');
            write_float(out, exemplar.value);
            out.push(b'"');
            write_millis(entry.field("timestamp"), exemplar.timestamp_ms);
            entry.end();
        }
        list.end();
        object.end();
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_only_where_they_are_encoded() {
        for (name, decoded) in [
            ("job", "job"),
            ("U__my_2e_label", "my.label"),
            ("U__a__b", "a_b"),
            ("U___d55c__ae00_", "한글"),
            ("U__broken_zz_", "U__broken_zz_"),
            ("U__broken_2e", "U__broken_2e"),
        ] {
            assert_eq!(decode_name(name), decoded, "{name}");
        }
    }
}
