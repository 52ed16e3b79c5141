//! Reading: selections over blocks, the head and what came out of order, merged.

use std::sync::Arc;

use maru_prom::{Histogram, Labels};

use crate::errors::SelectError;

/// What the reader is going to do, from which the store chooses what to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelectHints {
    /// The step between two evaluations in milliseconds; 0 for an instant.
    pub step_ms: i64,
    /// The function right around the selector, such as `rate`; empty for none.
    pub function: String,
    /// The length of a range selector in milliseconds; 0 for none.
    pub window_ms: i64,
    /// Series at most; more is an error.
    pub series_max: Option<usize>,
    /// Whether thinned-out blocks may answer when the step and window are long enough.
    pub allows_downsampled: bool,
}

/// One series of a selection. Reading it is what costs; many may be read at once from several threads while writes go on.
#[derive(Debug)]
pub struct SelectedSeries {
    labels: Labels,
}

impl SelectedSeries {
    /// Returns the series' labels.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Appends the samples of the selection's range in the order of time: floats to the first two, histograms to the third.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read(
        &self,
        timestamps: &mut Vec<i64>,
        values: &mut Vec<f64>,
        histograms: &mut Vec<(i64, Arc<Histogram>)>,
    ) -> Result<(), SelectError> {
        let _ = (timestamps, values, histograms);
        Ok(())
    }
}
