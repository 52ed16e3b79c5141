//! The newest samples of series as text, for another Prometheus to scrape.
//!
//! Source: Prometheus 3 documentation, "Federation"; text exposition format 0.0.4.

use maru_prom::{Labels, METRIC_NAME, is_stale_marker};
use maru_promql::{Cancel, Samples};
use maru_series::{SelectHints, TimeRange};

use crate::answer::{Sink, write_float};
use crate::fault::Fault;
use crate::lookups::select_fault;
use crate::metrics::State;
use crate::request::Parameters;
use crate::selectors;

/// One line.
struct Newest {
    labels: Labels,
    timestamp_ms: i64,
    value: f64,
}

/// Answers `/federate`. For blocking threads.
pub(crate) fn federate(state: &State, parameters: &Parameters, sink: &mut Sink, cancel: &Cancel) -> Result<(), Fault> {
    let now_ms = state.now_ms();
    // The look-back does not reach its far end.
    let range = TimeRange { start_ms: now_ms - state.engine.options().lookback_ms + 1, end_ms: now_ms };
    let hints = SelectHints { series_max: Some(state.limits.query_series_max), ..SelectHints::default() };
    let mut lines: Vec<Newest> = Vec::new();
    let mut samples = Samples::default();
    for matchers in selectors::read(parameters)? {
        for series in state.store.select(&matchers, range, &hints).map_err(select_fault)? {
            if cancel.is_cancelled() {
                return Err(Fault::Canceled("the scrape was given up".to_owned()));
            }
            samples.clear();
            series.read(&mut samples.timestamps, &mut samples.values, &mut samples.histograms).map_err(select_fault)?;
            let (Some(timestamp_ms), Some(value)) = (samples.timestamps.last(), samples.values.last()) else {
                continue;
            };
            // A native histogram has no line in this format, and it hides what was before it.
            let is_newest = samples.histograms.last().is_none_or(|(time, _)| time < timestamp_ms);
            if is_newest && !is_stale_marker(*value) {
                lines.push(Newest { labels: series.labels().clone(), timestamp_ms: *timestamp_ms, value: *value });
            }
        }
    }
    lines.sort_by(|one, other| {
        (one.labels.metric_name(), &one.labels).cmp(&(other.labels.metric_name(), &other.labels))
    });
    lines.dedup_by(|one, other| one.labels == other.labels);
    sink.set_kind("text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8");
    let mut metric = None;
    for line in &lines {
        let name = line.labels.metric_name();
        if metric != Some(name) {
            metric = Some(name);
            sink.buffer().extend_from_slice(b"# TYPE ");
            write_name(sink.buffer(), name);
            sink.buffer().extend_from_slice(b" untyped\n");
        }
        write_line(sink.buffer(), line);
        if sink.checkpoint().is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn write_line(out: &mut Vec<u8>, line: &Newest) {
    let name = line.labels.metric_name();
    let is_plain = is_plain_name(name);
    if is_plain {
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b'{');
    let mut is_first = true;
    if !is_plain {
        write_quoted(out, name);
        is_first = false;
    }
    for (label, value) in line.labels.iter().filter(|(label, _)| *label != METRIC_NAME) {
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        write_name(out, label);
        out.push(b'=');
        write_quoted(out, value);
    }
    // A series that never had an instance must not get the scraper's.
    if line.labels.get("instance").is_none() {
        if !is_first {
            out.push(b',');
        }
        out.extend_from_slice(b"instance=\"\"");
    }
    out.extend_from_slice(b"} ");
    write_float(out, line.value);
    out.push(b' ');
    out.extend_from_slice(line.timestamp_ms.to_string().as_bytes());
    out.push(b'\n');
}

/// Writes a name, in quotes when it is none of the classic ones.
fn write_name(out: &mut Vec<u8>, name: &str) {
    if is_plain_name(name) { out.extend_from_slice(name.as_bytes()) } else { write_quoted(out, name) }
}

fn is_plain_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || matches!(first, b'_' | b':'))
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
}

fn write_quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            other => out.push(other),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_quote_what_is_no_classic_name() {
        let line = |pairs: &[(&str, &str)]| {
            let mut out = Vec::new();
            let labels = Labels::from_pairs(pairs.iter().copied());
            write_line(&mut out, &Newest { labels, timestamp_ms: 5, value: 0.5 });
            String::from_utf8(out).unwrap()
        };
        assert_eq!(line(&[("__name__", "up"), ("instance", "a\"b\n")]), "up{instance=\"a\\\"b\\n\"} 0.5 5\n");
        assert_eq!(
            line(&[("__name__", "my.metric"), ("a b", "c")]),
            "{\"my.metric\",\"a b\"=\"c\",instance=\"\"} 0.5 5\n"
        );
        assert_eq!(line(&[("__name__", "x")]), "x{instance=\"\"} 0.5 5\n");
    }
}
