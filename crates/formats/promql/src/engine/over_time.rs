//! What `*_over_time` and their like make of one window.

use std::sync::Arc;

use super::annotations::Note;
use super::answer::EvaluateError;
use super::column::Cell;
use super::histograms::{self, HistogramSum, Summing};
use super::math::{Mean, Sum, quantile};
use super::window::{Call, Window, is_start_reset};
use crate::Extension;

/// The functions over windows that are no rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OverTime {
    Avg,
    Changes,
    Count,
    Deriv,
    First,
    Last,
    Mad,
    Max,
    Min,
    PredictLinear,
    Present,
    Quantile,
    Resets,
    Smoothing,
    Stddev,
    Stdvar,
    Sum,
    TsOfFirst,
    TsOfLast,
    TsOfMax,
    TsOfMin,
}

impl OverTime {
    /// Returns the function called `name`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "avg_over_time" => Self::Avg,
            "changes" => Self::Changes,
            "count_over_time" => Self::Count,
            "deriv" => Self::Deriv,
            "first_over_time" => Self::First,
            "last_over_time" => Self::Last,
            "mad_over_time" => Self::Mad,
            "max_over_time" => Self::Max,
            "min_over_time" => Self::Min,
            "predict_linear" => Self::PredictLinear,
            "present_over_time" | "absent_over_time" => Self::Present,
            "quantile_over_time" => Self::Quantile,
            "resets" => Self::Resets,
            "double_exponential_smoothing" => Self::Smoothing,
            "stddev_over_time" => Self::Stddev,
            "stdvar_over_time" => Self::Stdvar,
            "sum_over_time" => Self::Sum,
            "ts_of_first_over_time" => Self::TsOfFirst,
            "ts_of_last_over_time" => Self::TsOfLast,
            "ts_of_max_over_time" => Self::TsOfMax,
            "ts_of_min_over_time" => Self::TsOfMin,
            _ => return None,
        })
    }
}

/// What a function gets besides the window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameters {
    /// The moment of the step.
    pub(crate) step_ms: i64,
    /// The scalar arguments at the step.
    pub(crate) scalars: [f64; 2],
    pub(crate) extension: Extension,
}

/// Evaluates `function` over a window that is not empty.
pub(crate) fn evaluate(
    function: OverTime,
    window: &Window<'_>,
    parameters: &Parameters,
    scratch: &mut Vec<f64>,
    call: &mut Call<'_>,
) -> Result<Cell, EvaluateError> {
    let values = window.values;
    Ok(match function {
        OverTime::Count => Cell::Float((values.len() + window.histograms.len()) as f64),
        OverTime::Present => Cell::Float(1.0),
        OverTime::First => first(window),
        OverTime::Last => last(window),
        OverTime::TsOfFirst => seconds(
            [window.timestamps.first(), window.histograms.first().map(|(at, _)| at)].into_iter().flatten().min(),
        ),
        OverTime::TsOfLast => {
            seconds([window.timestamps.last(), window.histograms.last().map(|(at, _)| at)].into_iter().flatten().max())
        }
        OverTime::Sum | OverTime::Avg => sum(window, function == OverTime::Avg, call),
        OverTime::Changes => changes(window, parameters.extension),
        OverTime::Resets => resets(window, parameters.extension),
        OverTime::Deriv | OverTime::PredictLinear | OverTime::Smoothing => {
            let cell = trend(function, window, parameters)?;
            if !window.histograms.is_empty() && !values.is_empty() {
                call.notes.add(Note::HistogramIgnoredInMixedRange, call.metric, call.position);
            }
            cell
        }
        OverTime::Mad
        | OverTime::Max
        | OverTime::Min
        | OverTime::Quantile
        | OverTime::Stddev
        | OverTime::Stdvar
        | OverTime::TsOfMax
        | OverTime::TsOfMin => {
            if values.is_empty() {
                return Ok(Cell::Absent);
            }
            if !window.histograms.is_empty() {
                call.notes.add(Note::HistogramIgnoredInMixedRange, call.metric, call.position);
            }
            Cell::Float(of_floats(function, window, parameters, scratch, call))
        }
    })
}

fn seconds(at_ms: Option<&i64>) -> Cell {
    at_ms.map_or(Cell::Absent, |at| Cell::Float(*at as f64 / 1000.0))
}

fn first(window: &Window<'_>) -> Cell {
    match (window.timestamps.first(), window.histograms.first()) {
        (Some(at), Some((histogram_at, histogram))) if histogram_at <= at => Cell::Histogram(Arc::clone(histogram)),
        (Some(_), _) => window.values.first().map_or(Cell::Absent, |value| Cell::Float(*value)),
        (None, Some((_, histogram))) => Cell::Histogram(Arc::clone(histogram)),
        (None, None) => Cell::Absent,
    }
}

fn last(window: &Window<'_>) -> Cell {
    match (window.timestamps.last(), window.histograms.last()) {
        (Some(at), Some((histogram_at, histogram))) if histogram_at >= at => Cell::Histogram(Arc::clone(histogram)),
        (Some(_), _) => window.values.last().map_or(Cell::Absent, |value| Cell::Float(*value)),
        (None, Some((_, histogram))) => Cell::Histogram(Arc::clone(histogram)),
        (None, None) => Cell::Absent,
    }
}

fn sum(window: &Window<'_>, is_mean: bool, call: &mut Call<'_>) -> Cell {
    match (window.values, window.histograms) {
        ([], []) => Cell::Absent,
        ([], histograms) => {
            let mut sum = HistogramSum::new(Summing::OverTime, is_mean);
            for (_, histogram) in histograms {
                sum.add(histogram, call);
            }
            sum.finish(call.position, call.notes).map_or(Cell::Absent, |sum| Cell::Histogram(Arc::new(sum)))
        }
        (values, []) if is_mean => Cell::Float(mean_of(values)),
        (values, []) => Cell::Float(sum_of(values)),
        (_, _) => {
            call.notes.add(Note::MixedFloatsHistograms, call.metric, call.position);
            Cell::Absent
        }
    }
}

/// Returns the compensated sum.
pub(crate) fn sum_of(values: &[f64]) -> f64 {
    let mut sum = Sum { value: 0.0, lost: 0.0 };
    for value in values {
        sum.add(*value);
    }
    if sum.value.is_infinite() { sum.value } else { sum.total() }
}

/// Returns the compensated mean.
pub(crate) fn mean_of(values: &[f64]) -> f64 {
    let mut mean = Mean::NOTHING;
    for value in values {
        mean.add(*value);
    }
    mean.mean()
}

fn of_floats(
    function: OverTime,
    window: &Window<'_>,
    parameters: &Parameters,
    scratch: &mut Vec<f64>,
    call: &mut Call<'_>,
) -> f64 {
    let values = window.values;
    match function {
        OverTime::Max => values[extreme(values, |value, best| value > best)],
        OverTime::Min => values[extreme(values, |value, best| value < best)],
        OverTime::TsOfMax => window.timestamps[extreme(values, |value, best| value >= best)] as f64 / 1000.0,
        OverTime::TsOfMin => window.timestamps[extreme(values, |value, best| value <= best)] as f64 / 1000.0,
        OverTime::Stdvar => variance(values),
        OverTime::Stddev => variance(values).sqrt(),
        OverTime::Quantile => {
            let wanted = parameters.scalars[0];
            if !(0.0..=1.0).contains(&wanted) {
                call.notes.add(Note::InvalidQuantile, &super::annotations::general(wanted, None), call.position);
            }
            scratch.clear();
            scratch.extend_from_slice(values);
            quantile(wanted, scratch)
        }
        _ => {
            // The median of the distances from the median.
            if values.iter().any(|value| value.is_nan()) {
                return f64::NAN;
            }
            scratch.clear();
            scratch.extend_from_slice(values);
            let median = quantile(0.5, scratch);
            scratch.iter_mut().for_each(|value| *value = (*value - median).abs());
            quantile(0.5, scratch)
        }
    }
}

/// Returns the index of the value that no later one `is_better` than; any number is better than NaN.
fn extreme(values: &[f64], is_better: impl Fn(f64, f64) -> bool) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if is_better(*value, values[best]) || values[best].is_nan() {
            best = index;
        }
    }
    best
}

/// Returns the variance by Welford's method, compensated.
fn variance(values: &[f64]) -> f64 {
    let mut count = 0.0;
    let mut mean = Sum { value: 0.0, lost: 0.0 };
    let mut squares = Sum { value: 0.0, lost: 0.0 };
    for value in values {
        count += 1.0;
        let distance = value - mean.total();
        mean.add(distance / count);
        squares.add(distance * (value - mean.total()));
    }
    squares.total() / count
}

fn trend(function: OverTime, window: &Window<'_>, parameters: &Parameters) -> Result<Cell, EvaluateError> {
    if function == OverTime::Smoothing {
        for (name, factor, symbol) in
            [("smoothing", parameters.scalars[0], "sf"), ("trend", parameters.scalars[1], "tf")]
        {
            if factor <= 0.0 || factor >= 1.0 {
                return Err(EvaluateError::Execution(format!(
                    "invalid {name} factor. Expected: 0 < {symbol} < 1, got: {factor:.6}"
                )));
            }
        }
    }
    if window.values.len() < 2 {
        return Ok(Cell::Absent);
    }
    Ok(Cell::Float(match function {
        OverTime::Deriv => regression(window, window.timestamps[0]).0,
        OverTime::PredictLinear => {
            let (slope, intercept) = regression(window, parameters.step_ms);
            slope * parameters.scalars[0] + intercept
        }
        _ => smooth(window.values, parameters.scalars[0], parameters.scalars[1]),
    }))
}

/// Returns slope (a second) and value at `intercept_ms` of the least-squares line.
fn regression(window: &Window<'_>, intercept_ms: i64) -> (f64, f64) {
    let initial = window.values[0];
    #[expect(clippy::float_cmp, reason = "a constant is exactly constant")]
    if window.values.iter().all(|value| *value == initial) {
        return if initial.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, initial) };
    }
    let zero = Sum { value: 0.0, lost: 0.0 };
    let (mut sum_x, mut sum_y, mut sum_xy, mut sum_xx) = (zero, zero, zero, zero);
    for (at, y) in window.timestamps.iter().zip(window.values) {
        let x = (at - intercept_ms) as f64 / 1000.0;
        sum_x.add(x);
        sum_y.add(*y);
        sum_xy.add(x * y);
        sum_xx.add(x * x);
    }
    let count = window.values.len() as f64;
    let (sum_x, sum_y) = (sum_x.total(), sum_y.total());
    let covariance = sum_xy.total() - sum_x * sum_y / count;
    let variance = sum_xx.total() - sum_x * sum_x / count;
    let slope = covariance / variance;
    (slope, sum_y / count - slope * sum_x / count)
}

/// Double exponential smoothing; there are at least two values.
fn smooth(values: &[f64], smoothing: f64, trend_factor: f64) -> f64 {
    let (mut before, mut level) = (0.0, values[0]);
    let mut trend = values[1] - values[0];
    for (index, value) in values.iter().enumerate().skip(1) {
        if index > 1 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        (before, level) = (level, smoothing * value + (1.0 - smoothing) * (level + trend));
    }
    level
}

/// A sample of a window, whichever kind: its time, its histogram if it is one, else its value, and when it started.
type Any<'a> = (i64, Option<&'a maru_prom::Histogram>, f64, i64);

/// Calls `pair` for each two neighbours of floats and histograms together; `None` when there is nothing in the range.
fn pairs(window: &Window<'_>, extension: Extension, mut pair: impl FnMut(&Any<'_>, &Any<'_>) -> bool) -> Cell {
    let (mut float, mut histogram) = (0, 0);
    if extension == Extension::Anchored {
        let floats = window.timestamps.partition_point(|at| *at <= window.start_ms);
        let histograms = window.histograms.partition_point(|(at, _)| *at <= window.start_ms);
        if floats >= window.timestamps.len() && histograms >= window.histograms.len() {
            return Cell::Absent;
        }
        // Of the samples before the range the latest one stands at its begin.
        let last_float = floats.checked_sub(1).map(|index| window.timestamps[index]);
        let last_histogram = histograms.checked_sub(1).map(|index| window.histograms[index].0);
        (float, histogram) = match (last_float, last_histogram) {
            (None, None) => (0, 0),
            (Some(_), None) => (floats - 1, histograms),
            (Some(float_ms), Some(histogram_ms)) if float_ms >= histogram_ms => (floats - 1, histograms),
            (_, Some(_)) => (floats, histograms - 1),
        };
    }
    let mut count = 0_usize;
    let mut before: Option<Any<'_>> = None;
    loop {
        let float_ms = window.timestamps.get(float);
        let this: Any<'_> = match (float_ms, window.histograms.get(histogram)) {
            (None, None) => break,
            (Some(at), next) if next.is_none_or(|(histogram_ms, _)| at < histogram_ms) => {
                float += 1;
                let start = window.starts.get(float - 1).copied().unwrap_or_default();
                (*at, None, window.values[float - 1], start)
            }
            (_, Some((at, found))) => {
                histogram += 1;
                let start = window.histogram_starts.get(histogram - 1).copied().unwrap_or_default();
                (*at, Some(found), 0.0, start)
            }
            (Some(_), None) => break,
        };
        if let Some(before) = &before {
            count += usize::from(pair(before, &this));
        }
        before = Some(this);
    }
    Cell::Float(count as f64)
}

fn changes(window: &Window<'_>, extension: Extension) -> Cell {
    #[expect(clippy::float_cmp, reason = "a change is any change")]
    pairs(window, extension, |before, this| match (before.1, this.1) {
        (None, None) => before.2 != this.2 && !(before.2.is_nan() && this.2.is_nan()),
        (Some(before), Some(this)) => !histograms::equal(before, this),
        (None, Some(_)) | (Some(_), None) => true,
    })
}

fn resets(window: &Window<'_>, extension: Extension) -> Cell {
    pairs(window, extension, |before, this| match (before.1, this.1) {
        (None, None) => this.2 < before.2 || is_start_reset((before.3, before.0), (this.3, this.0)),
        (Some(from), Some(to)) => {
            is_start_reset((before.3, before.0), (this.3, this.0)) || histograms::is_reset(from, to)
        }
        (None, Some(_)) | (Some(_), None) => true,
    })
}
