//! One line of a script: a series and its values, or when its counters started.

use maru_prom::Labels;
use maru_promql::{SampleValue, WrittenValue, parse_metric, parse_written_series};

use super::script::Point;

/// One value of a line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    pub(crate) point: Point,
    /// The histogram's notation says what its reset hint is.
    pub(crate) says_hint: bool,
}

/// When the counters behind a series' samples started.
pub(crate) type Starts = (Labels, Vec<Option<i64>>);

/// Reads `metric{label="value"} 1 2+3x4 _ stale {{…}}`.
pub(crate) fn series(line: &str) -> Result<(Labels, Vec<Value>), String> {
    let (labels, values) = parse_written_series(line).map_err(|error| error.to_string())?;
    let value = |written: WrittenValue| {
        let point = match written.value {
            None => Point::None,
            Some(SampleValue::Float(value)) => Point::Float(value),
            Some(SampleValue::Histogram(histogram)) => Point::Histogram(histogram),
        };
        Value { point, says_hint: written.says_hint }
    };
    Ok((labels, values.into_iter().map(value).collect()))
}

/// Reads `metric{label="value"}@st -30s-1mx2 _`: when counters started, in milliseconds after the sample's time.
pub(crate) fn starts(line: &str) -> Option<Result<Starts, String>> {
    let (labels, rest) = parse_metric(line).ok()?;
    let rest = rest.strip_prefix("@st")?;
    let mut starts = Vec::new();
    for item in rest.split_whitespace() {
        match start_item(item) {
            Ok(more) => starts.extend(more),
            Err(reason) => return Some(Err(format!("start timestamps {item:?}: {reason}"))),
        }
    }
    Some(Ok((labels, starts)))
}

fn start_item(item: &str) -> Result<Vec<Option<i64>>, String> {
    let (text, times) = item.split_once('x').map_or((item, None), |(text, times)| (text, Some(times)));
    let times = times.map(|times| times.parse::<usize>().map_err(|error| error.to_string())).transpose()?;
    if text == "_" {
        return Ok(vec![None; times.unwrap_or(1)]);
    }
    let signed = |text: &str| -> Result<i64, String> {
        let sign = if text.starts_with('-') { -1 } else { 1 };
        Ok(sign * super::script::duration(text.trim_start_matches(['+', '-']))?)
    };
    // The step has a sign of its own.
    let step_at = text.char_indices().skip(1).find(|(_, one)| matches!(one, '+' | '-')).map(|(at, _)| at);
    let (first, step) = text.split_at(step_at.unwrap_or(text.len()));
    let mut start = signed(first)?;
    let step = if step.is_empty() { 0 } else { signed(step)? };
    let mut starts = Vec::new();
    for _ in 0..=times.unwrap_or(0) {
        starts.push(Some(start));
        start += step;
    }
    Ok(starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_expand() {
        let (_, values) = starts("m{a=\"b\"}@st _ -30s-1mx1 1ms").unwrap().unwrap();
        assert_eq!(values, [None, Some(-30_000), Some(-90_000), Some(1)]);
        assert!(starts("m 1 2").is_none());
    }
}
