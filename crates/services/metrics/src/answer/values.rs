//! A query's result as JSON, series by series; large ones on several threads.

use std::sync::Arc;

use maru_prom::Histogram;
use maru_promql::{Cancel, Sample, SampleRow, SampleValue, Value};
use rayon::prelude::*;

use super::json::{Json, write_float, write_labels, write_millis, write_text};
use super::sink::{Gone, Sink};

/// Points that are written on one thread in one go.
const POINTS_AT_ONCE: usize = 32 * 1024;

/// Results below this are written on one thread.
const POINTS_ALONE_MAX: usize = 64 * 1024;

/// Returns the result's `resultType`.
pub(crate) fn result_type(value: &Value) -> &'static str {
    match value {
        Value::Scalar { .. } => "scalar",
        Value::Text { .. } => "string",
        Value::Vector(_) => "vector",
        Value::Matrix(_) => "matrix",
    }
}

/// Keeps at most `limit` series; tells whether there were more.
pub(crate) fn truncate(value: &mut Value, limit: usize) -> bool {
    let length = match value {
        Value::Scalar { .. } | Value::Text { .. } => return false,
        Value::Vector(samples) => {
            let length = samples.len();
            samples.truncate(limit);
            length
        }
        Value::Matrix(rows) => {
            let length = rows.len();
            rows.truncate(limit);
            length
        }
    };
    length > limit
}

/// Writes the result.
///
/// # Errors
/// When the client has gone.
pub(crate) fn write_result(sink: &mut Sink, value: &Value, cancel: &Cancel) -> Result<(), Gone> {
    match value {
        Value::Scalar { timestamp_ms, value } => {
            write_point(sink.buffer(), *timestamp_ms, *value);
            Ok(())
        }
        Value::Text { timestamp_ms, value } => {
            let mut pair = Json::array(sink.buffer());
            write_millis(pair.element(), *timestamp_ms);
            write_text(pair.element(), value);
            pair.end();
            Ok(())
        }
        Value::Vector(samples) => write_list(sink, samples, |_| 1, write_sample, cancel),
        Value::Matrix(rows) => {
            write_list(sink, rows, |row| row.floats.len() + row.histograms.len() * 16, write_row, cancel)
        }
    }
}

fn write_list<T: Sync>(
    sink: &mut Sink,
    items: &[T],
    size: impl Fn(&T) -> usize,
    write: impl Fn(&mut Vec<u8>, &T) + Sync,
    cancel: &Cancel,
) -> Result<(), Gone> {
    sink.buffer().push(b'[');
    if items.iter().map(&size).sum::<usize>() < POINTS_ALONE_MAX {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                sink.buffer().push(b',');
            }
            write(sink.buffer(), item);
            sink.checkpoint()?;
        }
    } else {
        for group in groups(items, &size).chunks(rayon::current_num_threads().max(1)) {
            let written: Vec<Vec<u8>> = group.par_iter().map(|range| write_group(items, range, &write)).collect();
            for (range, text) in group.iter().zip(written) {
                if range.start > 0 {
                    sink.buffer().push(b',');
                }
                sink.buffer().extend_from_slice(&text);
                sink.checkpoint()?;
            }
            if cancel.is_cancelled() {
                return Err(Gone);
            }
        }
    }
    sink.buffer().push(b']');
    Ok(())
}

/// Splits items into runs of about [`POINTS_AT_ONCE`] points.
fn groups<T>(items: &[T], size: impl Fn(&T) -> usize) -> Vec<std::ops::Range<usize>> {
    let (mut groups, mut start, mut points) = (Vec::new(), 0, 0);
    for (index, item) in items.iter().enumerate() {
        points += size(item) + 1;
        if points >= POINTS_AT_ONCE || index + 1 == items.len() {
            groups.push(start..index + 1);
            (start, points) = (index + 1, 0);
        }
    }
    groups
}

fn write_group<T>(items: &[T], range: &std::ops::Range<usize>, write: &impl Fn(&mut Vec<u8>, &T)) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, item) in items[range.clone()].iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(&mut out, item);
    }
    out
}

fn write_sample(out: &mut Vec<u8>, sample: &Sample) {
    out.extend_from_slice(b"{\"metric\":");
    write_labels(out, &sample.labels);
    match &sample.value {
        SampleValue::Float(value) => {
            out.extend_from_slice(b",\"value\":");
            write_point(out, sample.timestamp_ms, *value);
        }
        SampleValue::Histogram(histogram) => {
            out.extend_from_slice(b",\"histogram\":");
            write_histogram_point(out, sample.timestamp_ms, histogram);
        }
    }
    out.push(b'}');
}

fn write_row(out: &mut Vec<u8>, row: &SampleRow) {
    out.extend_from_slice(b"{\"metric\":");
    write_labels(out, &row.labels);
    if !row.floats.is_empty() {
        out.extend_from_slice(b",\"values\":[");
        for (index, (timestamp_ms, value)) in row.floats.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_point(out, *timestamp_ms, *value);
        }
        out.push(b']');
    }
    if !row.histograms.is_empty() {
        out.extend_from_slice(b",\"histograms\":[");
        for (index, (timestamp_ms, histogram)) in row.histograms.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_histogram_point(out, *timestamp_ms, histogram);
        }
        out.push(b']');
    }
    out.push(b'}');
}

/// `[1435781451.781,"1"]`
fn write_point(out: &mut Vec<u8>, timestamp_ms: i64, value: f64) {
    out.push(b'[');
    write_millis(out, timestamp_ms);
    out.extend_from_slice(b",\"");
    write_float(out, value);
    out.extend_from_slice(b"\"]");
}

fn write_histogram_point(out: &mut Vec<u8>, timestamp_ms: i64, histogram: &Arc<Histogram>) {
    out.push(b'[');
    write_millis(out, timestamp_ms);
    out.push(b',');
    write_histogram(out, histogram);
    out.push(b']');
}

/// Writes a native histogram: buckets that are not empty, each with a number that says which of its bounds it holds:
/// 0 the upper, 1 the lower, 2 none, 3 both.
fn write_histogram(out: &mut Vec<u8>, histogram: &Histogram) {
    let quoted = |out: &mut Vec<u8>, value: f64| {
        out.push(b'"');
        write_float(out, value);
        out.push(b'"');
    };
    let mut object = Json::object(out);
    quoted(object.field("count"), histogram.count);
    quoted(object.field("sum"), histogram.sum);
    let mut buckets = histogram.ascending().filter(|bucket| bucket.count != 0.0).peekable();
    if buckets.peek().is_some() {
        let mut list = Json::array(object.field("buckets"));
        for bucket in buckets {
            let rule = match (bucket.lower_inclusive, bucket.upper_inclusive) {
                (false, true) => b'0',
                (true, false) => b'1',
                (false, false) => b'2',
                (true, true) => b'3',
            };
            let mut fields = Json::array(list.element());
            fields.element().push(rule);
            for value in [bucket.lower, bucket.upper, bucket.count] {
                quoted(fields.element(), value);
            }
            fields.end();
        }
        list.end();
    }
    object.end();
}

#[cfg(test)]
mod tests {
    use maru_prom::{Labels, Span};

    use super::super::sink::answering;
    use super::*;

    async fn json(value: Value) -> serde_json::Value {
        let (mut sink, answer) = answering(false);
        tokio::task::spawn_blocking(move || {
            write_result(&mut sink, &value, &Cancel::default()).unwrap();
            sink.finish(Ok(()));
        });
        let body = maru_http::collect_limited(answer.await.unwrap().into_body(), 1 << 30).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn values_look_as_in_prometheus() {
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "a\"b")]);
        let scalar = Value::Scalar { timestamp_ms: 1500, value: f64::NAN };
        assert_eq!(json(scalar).await.to_string(), "[1.5,\"NaN\"]");
        let text = Value::Text { timestamp_ms: 0, value: "x".to_owned() };
        assert_eq!(json(text).await.to_string(), "[0,\"x\"]");
        let vector = Value::Vector(vec![Sample { labels, timestamp_ms: 1000, value: SampleValue::Float(0.5) }]);
        assert_eq!(
            json(vector).await,
            serde_json::json!([{"metric": {"__name__": "up", "job": "a\"b"}, "value": [1, "0.5"]}])
        );
    }

    #[tokio::test]
    async fn a_histogram_names_its_buckets_and_bounds() {
        let histogram = Histogram {
            reset_hint: maru_prom::ResetHint::Unknown,
            schema: 0,
            zero_threshold: 0.001,
            zero_count: 2.0,
            count: 6.0,
            sum: 5.5,
            positive_spans: vec![Span { offset: 0, length: 2 }],
            negative_spans: vec![Span { offset: 1, length: 1 }],
            positive_buckets: vec![1.0, 0.0],
            negative_buckets: vec![3.0],
            custom_values: Vec::new(),
        };
        let sample =
            Sample { labels: Labels::empty(), timestamp_ms: 0, value: SampleValue::Histogram(Arc::new(histogram)) };
        assert_eq!(
            json(Value::Vector(vec![sample])).await[0]["histogram"],
            serde_json::json!([0, {"count": "6", "sum": "5.5", "buckets": [
                [1, "-2", "-1", "3"], [3, "-0.001", "0.001", "2"], [0, "0.5", "1", "1"]]}])
        );
    }

    #[tokio::test]
    async fn many_series_are_written_in_their_order() {
        let row = |number: i64| SampleRow {
            labels: Labels::from_pairs([("n", number.to_string())]),
            floats: (0..1000).map(|at| (at, 1.0)).collect(),
            histograms: Vec::new(),
        };
        let rows = json(Value::Matrix((0..200).map(row).collect())).await;
        let names: Vec<String> =
            rows.as_array().unwrap().iter().map(|row| row["metric"]["n"].as_str().unwrap().to_owned()).collect();
        assert_eq!(names, (0..200).map(|number| number.to_string()).collect::<Vec<_>>());
        assert_eq!(rows[199]["values"].as_array().unwrap().len(), 1000);
    }
}
