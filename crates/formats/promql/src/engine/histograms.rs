//! What the engine's functions, aggregations and operators do with native histograms, and `histogram_*` over both kinds.
//!
//! Windows handed in here hold histograms only, at least one, unless said otherwise: the mixed ones are sorted out before.

mod classic;
mod functions;
mod rate;
mod sum;
mod totals;

use std::sync::Arc;

use maru_prom::{Histogram, ResetHint, Trim};

use super::annotations::{Note, Notes};
use super::column::Cell;
use crate::{BinaryOperator, Span};

pub(crate) use functions::{HistogramCall, evaluate};
pub(crate) use rate::{instant_rate, interpolate, rate};
pub(crate) use sum::{HistogramSum, Summing};
pub(crate) use totals::{Detail, Totals};

/// `resets` and `changes`: tells whether the counter started again between two histograms.
pub(crate) fn is_reset(before: &Histogram, this: &Histogram) -> bool {
    this.is_reset_after(before)
}

/// Tells whether two histograms are the same as values, for `changes`, `==` and `!=`.
pub(crate) fn equal(left: &Histogram, right: &Histogram) -> bool {
    left.is_same_data(right)
}

/// One side of a binary operator.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operand<'a> {
    /// A float.
    Float(f64),
    /// A histogram.
    Histogram(&'a Arc<Histogram>),
}

impl Operand<'_> {
    fn kind(self) -> &'static str {
        match self {
            Self::Float(_) => "float",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// `-histogram`.
pub(crate) fn negate(histogram: &Histogram) -> Histogram {
    changed(histogram, Histogram::negate)
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
    let cell = |histogram: Histogram| (Cell::Histogram(Arc::new(histogram)), true);
    match (left, operator, right) {
        (Operand::Float(factor), BinaryOperator::Multiply, Operand::Histogram(histogram))
        | (Operand::Histogram(histogram), BinaryOperator::Multiply, Operand::Float(factor)) => {
            cell(changed(histogram, |histogram| histogram.multiply(factor)))
        }
        (Operand::Histogram(histogram), BinaryOperator::Divide, Operand::Float(divisor)) => {
            cell(changed(histogram, |histogram| histogram.divide(divisor)))
        }
        (Operand::Histogram(histogram), BinaryOperator::TrimUpper, Operand::Float(at)) => {
            cell(trimmed(histogram, Trim::Below(at)))
        }
        (Operand::Histogram(histogram), BinaryOperator::TrimLower, Operand::Float(at)) => {
            cell(trimmed(histogram, Trim::Above(at)))
        }
        (Operand::Histogram(left), BinaryOperator::Add | BinaryOperator::Subtract, Operand::Histogram(right)) => {
            match combined(operator, left, right, position, notes) {
                Some(histogram) => cell(histogram),
                None => (Cell::Absent, false),
            }
        }
        (Operand::Histogram(left), BinaryOperator::Equal, Operand::Histogram(right)) => {
            (Cell::Histogram(Arc::clone(left)), equal(left, right))
        }
        (Operand::Histogram(left), BinaryOperator::NotEqual, Operand::Histogram(right)) => {
            (Cell::Histogram(Arc::clone(left)), !equal(left, right))
        }
        (left, operator, right) => {
            let symbol = operator.symbol();
            let detail = format!("{symbol}\0{} {symbol} {}", left.kind(), right.kind());
            notes.add(Note::IncompatibleTypes, &detail, position);
            (Cell::Absent, false)
        }
    }
}

fn changed(histogram: &Histogram, change: impl FnOnce(&mut Histogram)) -> Histogram {
    let mut copy = histogram.clone();
    change(&mut copy);
    copy.compact();
    copy
}

fn trimmed(histogram: &Histogram, trim: Trim) -> Histogram {
    let mut copy = histogram.clone();
    copy.trim(trim);
    copy
}

/// Adds or subtracts two histograms.
fn combined(
    operator: BinaryOperator,
    left: &Histogram,
    right: &Histogram,
    position: Span,
    notes: &mut Notes,
) -> Option<Histogram> {
    let mut result = left.clone();
    let (done, word) = if operator == BinaryOperator::Add {
        (result.add(right), "addition")
    } else {
        (result.subtract(right), "subtraction")
    };
    let Ok(done) = done else {
        notes.add(Note::IncompatibleBucketLayout, operator.symbol(), position);
        return None;
    };
    if operator == BinaryOperator::Subtract {
        result.reset_hint = ResetHint::Gauge;
    }
    if done.reset_hints_collide {
        notes.add(Note::CounterResetCollision, word, position);
    }
    if done.bounds_reconciled {
        notes.add(Note::MismatchedCustomBuckets, word, position);
    }
    result.compact();
    Some(result)
}
