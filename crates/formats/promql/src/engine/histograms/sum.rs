//! Sums and means of histograms.

use std::sync::Arc;

use maru_prom::{Combined, Histogram, HistogramSum as Sum, ResetHint};

use super::super::annotations::{Note, Notes};
use super::super::window::Call;
use crate::Span;

/// What is summed or averaged: it words the notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Summing {
    /// `sum`, `avg`.
    Aggregation,
    /// `sum_over_time`, `avg_over_time`.
    OverTime,
}

/// How the mean is found.
#[derive(Debug)]
enum State {
    /// Nothing was added.
    Empty,
    /// The sum; for a mean it is divided at the end.
    Sum(Sum),
    /// The mean so far: a sum would be too great for a float.
    Mean(Sum),
    /// Two could not be added.
    Failed,
}

/// A sum or mean of histograms, compensated as the one of floats is.
#[derive(Debug)]
pub(crate) struct HistogramSum {
    summing: Summing,
    is_mean: bool,
    state: State,
    count: f64,
    has_reset: bool,
    has_no_reset: bool,
    has_reconciled_bounds: bool,
}

impl HistogramSum {
    /// Starts one.
    pub(crate) fn new(summing: Summing, is_mean: bool) -> Self {
        Self {
            summing,
            is_mean,
            state: State::Empty,
            count: 0.0,
            has_reset: false,
            has_no_reset: false,
            has_reconciled_bounds: false,
        }
    }

    /// Adds one. When two cannot be added, that is noted and there will be no result.
    pub(crate) fn add(&mut self, histogram: &Arc<Histogram>, call: &mut Call<'_>) {
        if matches!(self.state, State::Failed) {
            return;
        }
        self.count += 1.0;
        self.has_reset |= histogram.reset_hint == ResetHint::CounterReset;
        self.has_no_reset |= histogram.reset_hint == ResetHint::NotCounterReset;
        let added = match &mut self.state {
            State::Empty => {
                self.state = State::Sum(Sum::new(histogram));
                return;
            }
            State::Failed => return,
            State::Sum(sum) if !self.is_mean || !sum.may_overflow_with(histogram) => sum.add(histogram),
            State::Sum(sum) => {
                let mut next = sum.clone();
                let added = next.add(histogram);
                if added.is_err() || !next.has_overflow() {
                    *sum = next;
                    added
                } else {
                    let mut mean = sum.clone();
                    mean.divide(self.count - 1.0);
                    let added = add_to_mean(&mut mean, histogram, self.count);
                    self.state = State::Mean(mean);
                    added
                }
            }
            State::Mean(mean) => add_to_mean(mean, histogram, self.count),
        };
        match added {
            Ok(combined) => self.has_reconciled_bounds |= combined.bounds_reconciled,
            Err(_) => {
                call.notes.add(Note::MixedExponentialCustomHistograms, call.metric, call.position);
                self.state = State::Failed;
            }
        }
    }

    /// Adds what was gathered of later ones. `false`: only adding them one by one tells what comes out, as some do not go
    /// together or a sum would be too great; what this one holds is worth nothing then.
    pub(crate) fn merge(&mut self, other: Self) -> bool {
        self.count += other.count;
        self.has_reset |= other.has_reset;
        self.has_no_reset |= other.has_no_reset;
        self.has_reconciled_bounds |= other.has_reconciled_bounds;
        match (&mut self.state, other.state) {
            (_, State::Empty) => true,
            (state @ State::Empty, theirs) => {
                *state = theirs;
                true
            }
            (State::Sum(sum), State::Sum(theirs)) => {
                if self.is_mean && sum.may_overflow_with(&theirs.total(1.0)) {
                    return false;
                }
                match sum.merge(&theirs) {
                    Ok(combined) => {
                        self.has_reconciled_bounds |= combined.bounds_reconciled;
                        true
                    }
                    Err(_) => false,
                }
            }
            (State::Sum(_) | State::Mean(_) | State::Failed, State::Sum(_) | State::Mean(_) | State::Failed) => false,
        }
    }

    /// Returns the result.
    pub(crate) fn finish(self, position: Span, notes: &mut Notes) -> Option<Histogram> {
        let divisor = if self.is_mean { self.count } else { 1.0 };
        let result = match self.state {
            State::Empty | State::Failed => None,
            State::Sum(sum) => Some(sum.total(divisor)),
            State::Mean(mean) => Some(mean.total(1.0)),
        };
        if self.has_reconciled_bounds && (result.is_some() || self.summing == Summing::Aggregation) {
            notes.add(Note::MismatchedCustomBuckets, "aggregation", position);
        }
        let mut result = result?;
        if self.has_reset && self.has_no_reset {
            notes.add(Note::CounterResetCollision, "aggregation", position);
        }
        if self.summing == Summing::Aggregation {
            result.compact();
        }
        Some(result)
    }
}

/// Makes the mean of `count - 1` histograms that of `count`.
fn add_to_mean(mean: &mut Sum, histogram: &Histogram, count: f64) -> Result<Combined, maru_prom::HistogramLayoutError> {
    mean.multiply((count - 1.0) / count);
    let mut part = histogram.clone();
    part.divide(count);
    mean.add(&part)
}
