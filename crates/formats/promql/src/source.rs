//! Where the engine gets its samples from.

use std::sync::Arc;

use maru_prom::{Histogram, Labels, Matcher};

/// A span of time, both ends included, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first moment.
    pub start_ms: i64,
    /// The last moment.
    pub end_ms: i64,
}

/// What one selector of a query asks for.
#[derive(Debug, Clone)]
pub struct Selection {
    /// All must hold.
    pub matchers: Vec<Matcher>,
    /// Which samples are needed at least; a source may hand out more.
    pub range: Range,
    /// The step between two evaluations in milliseconds; 0 for an instant query. A source may answer from samples that are thinned out in advance when
    /// the step is much longer than they are apart.
    pub step_ms: i64,
    /// The function or aggregation right around the selector, such as `rate`; empty when there is none.
    pub function: String,
    /// The length of a range selector in milliseconds; 0 for an instant selector.
    pub window_ms: i64,
}

/// Samples of one series in the order of time. Floats and histograms are kept apart; no timestamp is in both.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// Timestamps of the floats in milliseconds since 1970, strictly rising.
    pub timestamps: Vec<i64>,
    /// The floats, staleness markers included.
    pub values: Vec<f64>,
    /// Histogram samples, strictly rising in time; a stale marker is a histogram whose sum is the marker.
    pub histograms: Vec<(i64, Arc<Histogram>)>,
    /// When the counter behind a sample started, beside `timestamps`: empty when no start is known, 0 for a sample without one.
    pub start_timestamps: Vec<i64>,
    /// The same beside `histograms`.
    pub histogram_starts: Vec<i64>,
}

impl Samples {
    /// Forgets all samples and keeps the memory.
    pub fn clear(&mut self) {
        self.timestamps.clear();
        self.values.clear();
        self.histograms.clear();
        self.start_timestamps.clear();
        self.histogram_starts.clear();
    }

    /// Returns how many samples there are; a histogram counts as one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timestamps.len() + self.histograms.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a source could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A limit of the source was met.
    #[error("{0}")]
    Limit(String),
    /// A read failed.
    #[error("could not read samples: {0}")]
    Read(String),
}

/// One series that a selection found. Reading is what costs; the engine reads many at once from several threads.
pub trait Series: Send + Sync {
    /// Returns the series' labels.
    fn labels(&self) -> &Labels;

    /// Appends the samples of the selection's range to `into`, which is empty.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read(&self, into: &mut Samples) -> Result<(), SourceError>;
}

/// What holds series.
pub trait Source: Send + Sync {
    /// Returns the series of a selection in the order of their labels, no label set twice.
    ///
    /// # Errors
    /// When a limit is met or the index cannot be read.
    fn select<'a>(&'a self, selection: &Selection) -> Result<Vec<Box<dyn Series + 'a>>, SourceError>;
}
