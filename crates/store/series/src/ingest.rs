//! What a writer holds: samples are gathered in an [`Appender`] and acknowledged by its `commit`.

use maru_prom::{Exemplar, Histogram, Labels, Metadata};

use crate::errors::CommitError;
use crate::limits::WriteScope;
use crate::store::SeriesStore;

/// A series as one appender knows it. Valid for the batch in which it was looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SeriesRef(pub(crate) u32);

/// Why a sample was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RefusalReason {
    /// Older than the series' newest sample, and the store takes nothing out of order.
    OutOfOrder,
    /// Older than the window for samples out of order.
    TooOld,
    /// Too far ahead of the clock.
    TooFarInFuture,
    /// Before what the store keeps at all.
    OutOfBounds,
    /// There is another value at this very moment.
    DuplicateTimestamp,
    /// The scope or the store has as many series as it may.
    SeriesLimit,
    /// Too many labels, or a name or value that is too long.
    LabelLimit,
    /// A histogram that contradicts itself.
    MalformedHistogram,
    /// An exemplar older than the newest one of its series.
    ExemplarOutOfOrder,
}

/// Samples that were refused for one reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Why.
    pub reason: RefusalReason,
    /// How many.
    pub count: u64,
    /// The first one's series.
    pub example: Labels,
    /// The first one's time in milliseconds since 1970.
    pub timestamp_ms: i64,
}

/// What became of a batch. What is accepted is on disk.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommitReport {
    /// Floats, those counted that were there already with the same value.
    pub samples: u64,
    /// Native histograms, counted likewise.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
    /// The rest, by reason.
    pub refused: Vec<Refusal>,
}

/// Gathers a batch. Keep one for each connection, or make one for each request: both are cheap.
#[derive(Debug)]
pub struct Appender {
    store: SeriesStore,
    scope: WriteScope,
}

impl Appender {
    pub(crate) fn new(store: SeriesStore, scope: WriteScope) -> Self {
        Self { store, scope }
    }

    /// Returns the series of `labels`, which is made when it is new and the limits allow it.
    pub fn series(&mut self, labels: &Labels) -> SeriesRef {
        let _ = (&self.store, labels);
        SeriesRef(0)
    }

    /// Returns the series behind `raw`: bytes that always stand for the same labels, such as the encoded labels of a remote write.
    /// Known bytes are only hashed; `labels` is asked when they are new, and gives pairs sorted by name, without repetition.
    ///
    /// # Errors
    /// Whatever `labels` returns.
    pub fn series_by_bytes<'a, I, E>(
        &mut self,
        raw: &[u8],
        labels: impl FnOnce() -> Result<I, E>,
    ) -> Result<SeriesRef, E>
    where
        I: IntoIterator<Item = (&'a str, &'a str)>,
    {
        let _ = raw;
        let labels = Labels::from_sorted(labels()?);
        Ok(self.series(&labels))
    }

    /// Adds a float.
    pub fn append(&mut self, series: SeriesRef, timestamp_ms: i64, value: f64) {
        let _ = (self.scope.labels.clone(), series, timestamp_ms, value);
    }

    /// Adds a native histogram.
    pub fn append_histogram(&mut self, series: SeriesRef, timestamp_ms: i64, histogram: &Histogram) {
        let _ = (series, timestamp_ms, histogram);
    }

    /// Adds an exemplar. Exemplars are kept in memory alone: a restart forgets them.
    pub fn append_exemplar(&mut self, series: SeriesRef, exemplar: Exemplar) {
        let _ = (series, exemplar);
    }

    /// Says what a metric means.
    pub fn metadata(&mut self, metric: &str, metadata: Metadata) {
        let _ = (metric.to_owned(), metadata);
    }

    /// Forgets what was gathered.
    pub fn rollback(&mut self) {}

    /// Writes the batch and waits until it is on disk; many writers share one wait. Blocks: not for async code.
    ///
    /// # Errors
    /// When the disk refuses: nothing of the batch is acknowledged, and sending it again is safe.
    pub fn commit(&mut self) -> Result<CommitReport, CommitError> {
        Err(CommitError::Closed)
    }

    /// Writes the batch at once and waits for the disk without blocking the thread.
    ///
    /// # Errors
    /// As [`Appender::commit`].
    ///
    /// # Cancel safety
    /// When dropped while waiting, the batch is written but nobody knows.
    pub async fn commit_async(&mut self) -> Result<CommitReport, CommitError> {
        self.commit()
    }
}
