//! What the engine's functions, aggregations and operators do with native histograms, and `histogram_*` over both kinds.
//!
//! Windows handed in here hold histograms only, at least one, unless said otherwise: the mixed ones are sorted out before.

use std::sync::Arc;

use maru_prom::Histogram;

use super::annotations::{Note, Notes};
use super::column::{Cell, Evaluated, Vector};
use super::window::{Call, Rate, Window};
use crate::{BinaryOperator, Extension, Span};

/// `rate`, `increase`, `delta` over histograms; `extension` says whether the selector is `anchored` or `smoothed`.
pub(crate) fn rate(window: &Window<'_>, rate: Rate, extension: Extension, call: &mut Call<'_>) -> Option<Histogram> {
    let _ = (window, rate, extension, call);
    None
}

/// `irate` and `idelta` of the last two histograms: `(when, which, its start)` of each.
pub(crate) fn instant_rate(
    before: (i64, &Histogram, i64),
    last: (i64, &Histogram, i64),
    is_rate: bool,
    call: &mut Call<'_>,
) -> Option<Histogram> {
    let _ = (before, last, is_rate, call);
    None
}

/// Interpolates between two histograms at `at_ms`, for `smoothed` instant selectors.
pub(crate) fn interpolate(
    before: (i64, &Histogram),
    after: (i64, &Histogram),
    at_ms: i64,
    call: &mut Call<'_>,
) -> Option<Histogram> {
    let _ = (before, after, at_ms, call);
    None
}

/// What is summed or averaged: it words the notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Summing {
    /// `sum`, `avg`.
    Aggregation,
    /// `sum_over_time`, `avg_over_time`.
    OverTime,
}

/// A sum or mean of histograms, compensated as the one of floats is.
#[derive(Debug)]
pub(crate) struct HistogramSum {
    summing: Summing,
    is_mean: bool,
    sum: Option<Histogram>,
    failed: bool,
}

impl HistogramSum {
    /// Starts one.
    pub(crate) fn new(summing: Summing, is_mean: bool) -> Self {
        Self { summing, is_mean, sum: None, failed: false }
    }

    /// Adds one. When two cannot be added, that is noted and there will be no result.
    pub(crate) fn add(&mut self, histogram: &Arc<Histogram>, call: &mut Call<'_>) {
        let _ = (self.summing, self.is_mean, call);
        self.sum = Some(Histogram::clone(histogram));
        self.failed = false;
    }

    /// Returns the result.
    pub(crate) fn finish(self, position: Span, notes: &mut Notes) -> Option<Histogram> {
        let _ = (position, notes);
        self.sum
    }
}

/// `resets` and `changes`: tells whether the counter started again between two histograms.
pub(crate) fn is_reset(before: &Histogram, this: &Histogram) -> bool {
    let _ = (before, this);
    false
}

/// Tells whether two histograms are the same as values, for `changes`, `==` and `!=`.
pub(crate) fn equal(left: &Histogram, right: &Histogram) -> bool {
    left == right
}

/// One side of a binary operator.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operand<'a> {
    /// A float.
    Float(f64),
    /// A histogram.
    Histogram(&'a Arc<Histogram>),
}

/// `histogram_quantile`, `histogram_quantiles`, `histogram_fraction`, `histogram_count`, `histogram_sum`, `histogram_avg`,
/// `histogram_stddev`, `histogram_stdvar`: `None` when `function` is none of them.
///
/// Rows of the answer keep their labels; the caller takes the names away.
pub(crate) fn evaluate(function: &str, arguments: &mut [Evaluated], call: &mut HistogramCall<'_>) -> Option<Vector> {
    let _ = (function, arguments, call);
    None
}

/// What surrounds a call of [`evaluate`].
#[derive(Debug)]
pub(crate) struct HistogramCall<'a> {
    /// Where each argument stands in the text.
    pub(crate) arguments: &'a [Span],
    /// The time of each step.
    pub(crate) steps: &'a [i64],
    /// Where notes go.
    pub(crate) notes: &'a mut Notes,
}

/// `-histogram`.
pub(crate) fn negate(histogram: &Histogram) -> Histogram {
    histogram.clone()
}

/// An arithmetic operator or comparison of which at least one side is a histogram: what it makes and, for comparisons,
/// whether it holds. Notes what does not go together.
pub(crate) fn operate(
    operator: BinaryOperator,
    left: Operand<'_>,
    right: Operand<'_>,
    position: Span,
    notes: &mut Notes,
) -> (Cell, bool) {
    let (Operand::Float(_) | Operand::Histogram(_)) = left;
    let (Operand::Float(_) | Operand::Histogram(_)) = right;
    notes.add(Note::IncompatibleTypes, operator.symbol(), position);
    (Cell::Absent, false)
}
