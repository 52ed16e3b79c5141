//! Columns: what an expression is at all steps of a query.

use std::sync::Arc;

use maru_prom::{Histogram, Labels};

/// The float of a step that has no float. It is the staleness marker, which no sample that an expression sees can be:
/// selectors take the markers out and arithmetic makes quiet NaNs only. One array is half the traffic of two.
pub(crate) const ABSENT: f64 = f64::from_bits(maru_prom::STALE_MARKER_BITS);

/// Tells whether a step has a float.
#[inline]
pub(crate) fn is_present(value: f64) -> bool {
    value.to_bits() != maru_prom::STALE_MARKER_BITS
}

/// What one series is at one step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// There is no sample.
    Absent,
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

/// What one series is at all steps.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Column {
    /// One per step; [`ABSENT`] where there is none.
    pub(crate) floats: Vec<f64>,
    /// One per step, or empty when there is no histogram at all. A step with a histogram has no float.
    pub(crate) histograms: Vec<Option<Arc<Histogram>>>,
}

impl Column {
    /// Returns a column without samples.
    pub(crate) fn absent(steps: usize) -> Self {
        Self { floats: vec![ABSENT; steps], histograms: Vec::new() }
    }

    /// Returns what is at `step`.
    pub(crate) fn cell(&self, step: usize) -> Cell {
        match self.histograms.get(step) {
            Some(Some(histogram)) => Cell::Histogram(Arc::clone(histogram)),
            _ => match self.floats.get(step) {
                Some(value) if is_present(*value) => Cell::Float(*value),
                _ => Cell::Absent,
            },
        }
    }

    /// Returns the histogram at `step`.
    pub(crate) fn histogram(&self, step: usize) -> Option<&Arc<Histogram>> {
        self.histograms.get(step)?.as_ref()
    }

    /// Puts `cell` at `step`.
    pub(crate) fn set(&mut self, step: usize, cell: Cell) {
        let steps = self.floats.len();
        let (float, histogram) = match cell {
            Cell::Absent => (ABSENT, None),
            Cell::Float(value) => (value, None),
            Cell::Histogram(histogram) => (ABSENT, Some(histogram)),
        };
        if histogram.is_some() && self.histograms.is_empty() {
            self.histograms.resize(steps, None);
        }
        if let Some(place) = self.histograms.get_mut(step) {
            *place = histogram;
        }
        if let Some(place) = self.floats.get_mut(step) {
            *place = float;
        }
    }

    /// Tells whether `step` has a sample.
    pub(crate) fn has(&self, step: usize) -> bool {
        self.floats.get(step).is_some_and(|value| is_present(*value)) || self.histogram(step).is_some()
    }

    /// Tells whether no step has a sample.
    pub(crate) fn is_empty(&self) -> bool {
        !self.floats.iter().any(|value| is_present(*value)) && !self.histograms.iter().any(Option::is_some)
    }
}

/// One series of an instant vector at all steps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// The labels; with delayed name removal still with the name that `drop_name` will take away.
    pub(crate) labels: Labels,
    /// The metric's name (and type and unit) must not be in the answer.
    pub(crate) drop_name: bool,
    /// The samples.
    pub(crate) column: Column,
}

/// An instant vector at all steps.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Vector {
    /// In no particular order; instant queries keep the order that `sort` and `topk` make.
    pub(crate) rows: Vec<Row>,
}

/// What an argument of a function is at all steps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Evaluated {
    /// One float per step.
    Scalar(Vec<f64>),
    /// A text.
    Text(String),
    /// An instant vector.
    Vector(Vector),
}
