//! Windows: the samples that a range selector sees at one step.

use std::sync::Arc;

use maru_prom::Histogram;

use super::annotations::Notes;
use crate::Span;

/// The samples of one series in one range, staleness markers taken out.
///
/// Ranges are open at the left: a sample exactly at `start_ms` is outside. Only `anchored` and `smoothed` selectors see
/// samples around the range, as far as the look-back goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window<'a> {
    /// When the floats are, rising.
    pub(crate) timestamps: &'a [i64],
    /// The floats.
    pub(crate) values: &'a [f64],
    /// When the counter behind each float started; empty when not known or not wanted.
    pub(crate) starts: &'a [i64],
    /// The histograms, rising in time.
    pub(crate) histograms: &'a [(i64, Arc<Histogram>)],
    /// When the counter behind each histogram started; empty when not known or not wanted.
    pub(crate) histogram_starts: &'a [i64],
    /// Where the range begins, itself outside.
    pub(crate) start_ms: i64,
    /// Where the range ends, itself inside.
    pub(crate) end_ms: i64,
}

/// What surrounds a window.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// The name of the series' metric; empty when it has none.
    pub(crate) metric: &'a str,
    /// Where the argument (the range selector) stands in the text; for notes.
    pub(crate) position: Span,
    /// Where notes go.
    pub(crate) notes: &'a mut Notes,
}

/// Which of the three functions of one family is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the functions are called so")]
pub(crate) enum Rate {
    /// `rate`: of counters, a second.
    Rate,
    /// `increase`: of counters.
    Increase,
    /// `delta`: of gauges.
    Delta,
}

impl Rate {
    /// Tells whether a fall means that the counter started again.
    pub(crate) fn is_counter(self) -> bool {
        self != Self::Delta
    }
}

/// What extrapolation needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extrapolation {
    /// The first sample's time.
    pub(crate) first_ms: i64,
    /// The last sample's time.
    pub(crate) last_ms: i64,
    /// How many samples there are.
    pub(crate) samples: usize,
    /// The first sample's value (a histogram's count), and the increase so far (a histogram's count).
    /// For gauges: zero.
    pub(crate) first_value: f64,
    /// See `first_value`.
    pub(crate) increase: f64,
    /// When the counter started, if that is inside the range and before the first sample: see
    /// [`start_inside`]; the increase then already contains the first value.
    pub(crate) started_ms: Option<i64>,
}

/// Returns when the counter started if that is known, inside the range and before the first sample.
pub(crate) fn start_inside(starts: &[i64], first_ms: i64, range_start_ms: i64) -> Option<i64> {
    starts.first().copied().filter(|start| *start != 0 && *start > range_start_ms && *start < first_ms)
}

/// Returns the factor that brings a difference of samples to the length of the range (for `rate`: to a second);
/// `None` when there are too few samples.
pub(crate) fn extrapolate(input: &Extrapolation, start_ms: i64, end_ms: i64, rate: Rate) -> Option<f64> {
    // In milliseconds: they are whole numbers, and the ratio is the same.
    let mut to_start = (input.first_ms - start_ms) as f64;
    let mut to_end = (end_ms - input.last_ms) as f64;
    let mut sampled = (input.last_ms - input.first_ms) as f64;
    let gaps = input.samples.saturating_sub(1);
    let between = if gaps > 0 { sampled / gaps as f64 } else { 0.0 };
    let threshold = between * 1.1;
    if let (Some(started_ms), true) = (input.started_ms, rate.is_counter()) {
        to_start = 0.0;
        sampled = (input.last_ms - started_ms) as f64;
    } else if gaps == 0 {
        return None;
    } else {
        if to_start >= threshold {
            to_start = between / 2.0;
        }
        if rate.is_counter() && input.increase > 0.0 && input.first_value >= 0.0 {
            let to_zero = sampled * (input.first_value / input.increase);
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
    }
    if to_end >= threshold {
        to_end = between / 2.0;
    }
    let factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
    Some(if rate == Rate::Rate { factor / ((end_ms - start_ms) as f64 / 1000.0) } else { factor })
}

/// Tells whether the counter started again between two samples, going by when they say it started.
pub(crate) fn is_start_reset(before: (i64, i64), this: (i64, i64)) -> bool {
    let ((before_start, before_ms), (start, this_ms)) = (before, this);
    if start == 0 || start >= this_ms || start < before_ms {
        return false;
    }
    // A start exactly at the sample before: each sample counts from the one before, unless that one's start is unknown.
    start > before_ms || (before_start <= before_ms && before_start != 0 && before_start != before_ms)
}

/// Tells whether a sample claims to have started before the sample before it, and not with it.
pub(crate) fn is_start_overlap(before: (i64, i64), start: i64) -> bool {
    let (before_start, before_ms) = before;
    start != 0 && start < before_ms && start != before_start
}
