//! What a writer holds: samples are gathered in an [`Appender`] and acknowledged by its `commit`.
//!
//! Long because the appender is one path that a batch takes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use maru_prom::{Exemplar, Histogram, Labels, Metadata};

use crate::errors::CommitError;
use crate::head::exemplars::Added;
use crate::head::hash::Hash96;
use crate::head::series::{Outcome, Series};
use crate::limits::WriteScope;
use crate::log::record::{self, HistogramSample, Sample};
use crate::log::{Batch, Failure};
use crate::store::Inner;
use crate::taken::{Taken, TakenSample};

/// A series as one appender knows it. Valid for the batch in which it was looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef(pub(crate) u32);

/// Stands for series that the limits refused.
const OVER_LIMIT: u32 = u32::MAX;
/// Stands for series whose labels were refused.
const BAD_LABELS: u32 = u32::MAX - 1;

/// Why a sample was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RefusalReason {
    /// Older than the series' newest sample, and the store takes nothing late.
    OutOfOrder,
    /// Older than the window for late samples.
    TooOld,
    /// Too far ahead of the clock.
    TooFarInFuture,
    /// Before what the store keeps at all.
    OutOfBounds,
    /// There is another value at this very moment.
    DuplicateTimestamp,
    /// The scope or the store has as many series as it may.
    SeriesLimit,
    /// No labels, too many of them, or a name or value that is too long.
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
    store: Arc<Inner>,
    scope: u32,
    samples: Vec<Sample>,
    histograms: Vec<HistogramSample>,
    /// Beside `samples` and `histograms`, up to the last one that is known.
    starts: Vec<i64>,
    histogram_starts: Vec<i64>,
    exemplars: Vec<(u32, Exemplar)>,
    metadata: Vec<(String, Metadata)>,
    /// The first labels that were refused, for limits and for themselves.
    refused_labels: [Option<Labels>; 2],
    batch: Batch,
}

impl Appender {
    pub(crate) fn new(store: Arc<Inner>, scope: &WriteScope) -> Self {
        let scope = store.head.scope(scope, &store.log);
        Self {
            store,
            scope,
            samples: Vec::new(),
            histograms: Vec::new(),
            starts: Vec::new(),
            histogram_starts: Vec::new(),
            exemplars: Vec::new(),
            metadata: Vec::new(),
            refused_labels: [None, None],
            batch: Batch::default(),
        }
    }

    /// Returns the series of `labels`, which is made when it is new and the limits allow it.
    pub fn series(&mut self, labels: &Labels) -> SeriesRef {
        let pairs: Vec<(&str, &str)> = labels.iter().collect();
        self.find_or_make(None, &pairs)
    }

    /// Returns the series behind `raw`: bytes that always stand for the same labels, such as the encoded labels of a remote write.
    /// Known bytes are only hashed; `labels` is asked when they are new, and gives pairs sorted by name, without repetition, without empty values.
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
        let hash = self.store.head.hash(raw);
        if let Some(id) = self.store.head.find_wire(hash) {
            return Ok(SeriesRef(id));
        }
        let pairs: Vec<(&str, &str)> = labels()?.into_iter().collect();
        Ok(self.find_or_make(Some(hash), &pairs))
    }

    fn find_or_make(&mut self, hash: Option<Hash96>, pairs: &[(&str, &str)]) -> SeriesRef {
        let store = &self.store;
        match store.head.series(self.scope, pairs, store.now_s(), &store.log, true) {
            Ok(id) => {
                if let Some(hash) = hash {
                    store.head.remember_wire(hash, id);
                }
                SeriesRef(id)
            }
            Err(reason) => {
                let [over_limit, bad_labels] = &mut self.refused_labels;
                let (example, id) = match reason {
                    RefusalReason::SeriesLimit => (over_limit, OVER_LIMIT),
                    _ => (bad_labels, BAD_LABELS),
                };
                example.get_or_insert_with(|| Labels::from_sorted(pairs.iter().copied()));
                SeriesRef(id)
            }
        }
    }

    /// Adds a float.
    pub fn append(&mut self, series: SeriesRef, timestamp_ms: i64, value: f64) {
        self.samples.push(Sample { series: series.0, timestamp_ms, value });
    }

    /// Adds a float and when the counter behind it started, in milliseconds since 1970; 0: nobody knows.
    pub fn append_with_start(&mut self, series: SeriesRef, timestamp_ms: i64, value: f64, start_ms: i64) {
        if start_ms != 0 {
            self.starts.resize(self.samples.len(), 0);
            self.starts.push(start_ms);
        }
        self.append(series, timestamp_ms, value);
    }

    /// Adds a native histogram and when its counters started, see [`Appender::append_with_start`].
    pub fn append_histogram_with_start(
        &mut self,
        series: SeriesRef,
        timestamp_ms: i64,
        histogram: &Histogram,
        start_ms: i64,
    ) {
        if start_ms != 0 {
            self.histogram_starts.resize(self.histograms.len(), 0);
            self.histogram_starts.push(start_ms);
        }
        self.append_histogram(series, timestamp_ms, histogram);
    }

    /// Adds a native histogram.
    pub fn append_histogram(&mut self, series: SeriesRef, timestamp_ms: i64, histogram: &Histogram) {
        let histogram = Arc::new(histogram.clone());
        self.histograms.push(HistogramSample { series: series.0, timestamp_ms, histogram });
    }

    /// Adds an exemplar. The newest ones are kept, as many as the limits say.
    pub fn append_exemplar(&mut self, series: SeriesRef, exemplar: Exemplar) {
        self.exemplars.push((series.0, exemplar));
    }

    /// Says what a metric means.
    pub fn metadata(&mut self, metric: &str, metadata: Metadata) {
        self.metadata.push((metric.to_owned(), metadata));
    }

    /// Returns how many floats and histograms are gathered.
    #[must_use]
    pub fn gathered(&self) -> usize {
        self.samples.len() + self.histograms.len()
    }

    /// Forgets what was gathered.
    pub fn rollback(&mut self) {
        self.samples.clear();
        self.histograms.clear();
        self.starts.clear();
        self.histogram_starts.clear();
        self.exemplars.clear();
        self.metadata.clear();
        self.refused_labels = [None, None];
        self.batch.clear();
    }

    /// Writes the batch and waits until it is on disk; many writers share one wait. Blocks: not for async code.
    ///
    /// # Errors
    /// When the disk refuses: nothing of the batch is acknowledged, and sending it again is safe.
    pub fn commit(&mut self) -> Result<CommitReport, CommitError> {
        let (report, number) = self.submit()?;
        self.store.log.wait(number).map_err(commit_error)?;
        Ok(report)
    }

    /// Takes the batch into memory and into the log's queue, and does not wait: for samples that their source shows again soon,
    /// such as scraped ones. [`crate::SeriesStore::write_out`] puts them into the log's file.
    ///
    /// # Errors
    /// As [`Appender::commit`].
    pub fn commit_later(&mut self) -> Result<CommitReport, CommitError> {
        self.submit().map(|(report, _)| report)
    }

    /// Writes the batch at once and waits for the disk without blocking the thread.
    ///
    /// # Errors
    /// As [`Appender::commit`].
    ///
    /// # Cancel safety
    /// When dropped while waiting, the batch is written but nobody knows.
    pub async fn commit_async(&mut self) -> Result<CommitReport, CommitError> {
        let (report, number) = self.submit()?;
        if !self.store.log.is_durable(number) {
            let store = Arc::clone(&self.store);
            let waited = tokio::task::spawn_blocking(move || store.log.wait(number)).await;
            waited.map_err(|_| CommitError::Closed)?.map_err(commit_error)?;
        }
        Ok(report)
    }

    /// Puts the batch into memory and into the log's queue; returns what to wait for.
    fn submit(&mut self) -> Result<(CommitReport, u64), CommitError> {
        let outcome = self.apply();
        self.rollback();
        outcome
    }

    fn apply(&mut self) -> Result<(CommitReport, u64), CommitError> {
        let store = Arc::clone(&self.store);
        store.make_ready().map_err(|error| commit_error(Failure::new(&error)))?;
        // As long as this is held, the log's readiness does not change behind our back.
        let gate = store.gate.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(failure) = store.log.failure() {
            return Err(commit_error(failure));
        }
        let mut work = Work {
            store: &store,
            report: CommitReport::default(),
            oldest_ms: i64::MAX,
            newest_ms: i64::MIN,
            refused: Vec::new(),
            taken: (!store.followers.is_empty()).then(Taken::default),
        };
        self.batch.clear();
        work.samples(&self.samples, &self.starts, &mut self.batch);
        work.histograms(&mut self.histograms, &self.histogram_starts, &mut self.batch);
        let accepted = work.report.samples + work.report.histograms;
        store.head.saw(work.oldest_ms, work.newest_ms, accepted);
        work.exemplars(&mut self.exemplars, &mut self.batch);
        work.metadata(&self.metadata);
        let overflow = self.refused_by_limits(&mut work);
        work.overflow(self.scope, overflow, &mut self.batch);
        let taken = work.taken.take();
        let report = work.finish();
        // Also when the log refuses: what is in memory is there for good, and the same batch brings nothing new the next time.
        if let Some(mut taken) = taken {
            taken.exemplars = self.batch.exemplars.iter().map(|(id, one)| (SeriesRef(*id), one.clone())).collect();
            if !taken.is_empty() {
                store.followers.tell(taken);
            }
        }
        let number = store.log.append(&self.batch).map_err(commit_error)?;
        drop(gate);
        Ok((report, number))
    }

    /// Names the refused series of this batch; returns how many samples were over the limit.
    fn refused_by_limits(&mut self, work: &mut Work<'_>) -> u64 {
        let mut over_limit = 0;
        let [limit_labels, bad_labels] = &mut self.refused_labels;
        for (stands, reason, labels) in [
            (OVER_LIMIT, RefusalReason::SeriesLimit, limit_labels),
            (BAD_LABELS, RefusalReason::LabelLimit, bad_labels),
        ] {
            let samples = self.samples.iter().filter(|sample| sample.series == stands);
            let histograms = self.histograms.iter().filter(|sample| sample.series == stands);
            let mut times = samples.map(|sample| sample.timestamp_ms).chain(histograms.map(|s| s.timestamp_ms));
            let Some(timestamp_ms) = times.next() else { continue };
            let count = times.count() as u64 + 1;
            if stands == OVER_LIMIT {
                over_limit = count;
            }
            work.report.refused.push(Refusal {
                reason,
                count,
                example: labels.take().unwrap_or_default(),
                timestamp_ms,
            });
        }
        over_limit
    }
}

fn commit_error(failure: Failure) -> CommitError {
    use std::io::ErrorKind;
    const RETRY_AFTER: Duration = Duration::from_secs(5);
    let source = failure.to_error();
    match failure.kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            CommitError::DiskFull { retry_after: RETRY_AFTER, source }
        }
        _ => CommitError::Log { retry_after: RETRY_AFTER, source },
    }
}

/// One batch on its way into memory.
struct Work<'a> {
    store: &'a Inner,
    report: CommitReport,
    oldest_ms: i64,
    newest_ms: i64,
    /// Reason, how often, the first one's series and time.
    refused: Vec<(RefusalReason, u64, u32, i64)>,
    /// What is told to those who follow the store; `None` when nobody does.
    taken: Option<Taken>,
}

impl Work<'_> {
    fn saw(&mut self, timestamp_ms: i64) {
        self.oldest_ms = self.oldest_ms.min(timestamp_ms);
        self.newest_ms = self.newest_ms.max(timestamp_ms);
    }

    fn refuse(&mut self, reason: RefusalReason, series: u32, timestamp_ms: i64) {
        if let Some(known) = self.refused.iter_mut().find(|known| known.0 == reason) {
            known.1 += 1;
        } else {
            self.refused.push((reason, 1, series, timestamp_ms));
        }
    }

    fn samples(&mut self, samples: &[Sample], starts: &[i64], batch: &mut Batch) {
        let mut again = Vec::new();
        self.samples_once(samples, starts, batch, &mut again);
        if !again.is_empty() {
            let (mut again, starts): (Vec<Sample>, Vec<i64>) = again.into_iter().unzip();
            for sample in &mut again {
                sample.series = self.store.head.revive(sample.series);
            }
            self.samples_once(&again, &starts, batch, &mut Vec::new());
        }
    }

    fn samples_once(&mut self, samples: &[Sample], starts: &[i64], batch: &mut Batch, again: &mut Vec<(Sample, i64)>) {
        if samples.is_empty() {
            return;
        }
        let head = &self.store.head;
        let (earliest, latest) = self.store.accepted_times();
        let mut adding = head.adding();
        batch.samples.reserve(samples.len());
        head.with_each(samples.iter().map(|sample| sample.series), |place, id, series| {
            let Some(sample) = samples.get(place) else { return };
            let Some(series) = series else {
                if id < BAD_LABELS {
                    self.refuse(RefusalReason::OutOfBounds, id, sample.timestamp_ms);
                }
                return;
            };
            let start_ms = starts.get(place).copied().unwrap_or_default();
            if series.is_retired {
                again.push((*sample, start_ms));
                return;
            }
            if let Some(reason) = out_of_bounds(sample.timestamp_ms, earliest, latest) {
                self.refuse(reason, id, sample.timestamp_ms);
                return;
            }
            let outcome = series.add(id, sample.timestamp_ms, sample.value, &mut adding);
            match outcome {
                Outcome::Newest => {
                    batch.samples.push(*sample);
                    self.saw(sample.timestamp_ms);
                }
                Outcome::Late => {
                    batch.late.push(*sample);
                    self.saw(sample.timestamp_ms);
                }
                Outcome::Same => {
                    self.report.samples += 1;
                    return;
                }
                Outcome::Refused(reason) => {
                    self.refuse(reason, id, sample.timestamp_ms);
                    return;
                }
            }
            self.report.samples += 1;
            if let Some(taken) = &mut self.taken {
                let Sample { timestamp_ms, value, .. } = *sample;
                let is_late = outcome == Outcome::Late;
                taken.floats.push(TakenSample { series: SeriesRef(id), timestamp_ms, value, start_ms, is_late });
            }
            batch.starts.extend(series.set_start(id, sample.timestamp_ms, start_ms));
        });
    }

    fn histograms(&mut self, samples: &mut [HistogramSample], starts: &[i64], batch: &mut Batch) {
        let (earliest, latest) = self.store.accepted_times();
        for (place, sample) in samples.iter_mut().enumerate() {
            if sample.series >= BAD_LABELS {
                continue;
            }
            let timestamp_ms = sample.timestamp_ms;
            if !is_well_formed(&sample.histogram) {
                self.refuse(RefusalReason::MalformedHistogram, sample.series, timestamp_ms);
                continue;
            }
            if let Some(reason) = out_of_bounds(timestamp_ms, earliest, latest) {
                self.refuse(reason, sample.series, timestamp_ms);
                continue;
            }
            let head = &self.store.head;
            if head.with(sample.series, |series| series.is_retired) == Some(true) {
                sample.series = head.revive(sample.series);
            }
            let mut adding = head.adding();
            let add =
                |series: &mut Series| series.add_histogram(sample.series, timestamp_ms, &sample.histogram, &mut adding);
            let outcome = head.with(sample.series, add);
            match outcome {
                Some(Outcome::Newest) => {
                    batch.histograms.push(sample.clone());
                    self.saw(timestamp_ms);
                }
                Some(Outcome::Late) => {
                    batch.late_histograms.push(sample.clone());
                    self.saw(timestamp_ms);
                }
                Some(Outcome::Same) => {
                    self.report.histograms += 1;
                    continue;
                }
                Some(Outcome::Refused(reason)) => {
                    self.refuse(reason, sample.series, timestamp_ms);
                    continue;
                }
                None => {
                    self.refuse(RefusalReason::OutOfBounds, sample.series, timestamp_ms);
                    continue;
                }
            }
            self.report.histograms += 1;
            let start_ms = starts.get(place).copied().unwrap_or_default();
            if let Some(taken) = &mut self.taken {
                let (series, value) = (SeriesRef(sample.series), Arc::clone(&sample.histogram));
                let is_late = outcome == Some(Outcome::Late);
                taken.histograms.push(TakenSample { series, timestamp_ms, value, start_ms, is_late });
            }
            let set = |series: &mut Series| series.set_start(sample.series, timestamp_ms, start_ms);
            batch.starts.extend(head.with(sample.series, set).flatten());
        }
    }

    fn exemplars(&mut self, exemplars: &mut Vec<(u32, Exemplar)>, batch: &mut Batch) {
        for (series, exemplar) in exemplars.drain(..).filter(|(series, _)| *series < BAD_LABELS) {
            let timestamp_ms = exemplar.timestamp_ms;
            match self.store.head.add_exemplar(series, exemplar.clone()) {
                Added::New => batch.exemplars.push((series, exemplar)),
                Added::Known => {}
                Added::OutOfOrder => {
                    self.refuse(RefusalReason::ExemplarOutOfOrder, series, timestamp_ms);
                    continue;
                }
            }
            self.report.exemplars += 1;
        }
    }

    fn metadata(&self, metadata: &[(String, Metadata)]) {
        for (metric, metadata) in metadata {
            if self.store.head.put_metadata(metric, metadata) {
                self.store.log.name(|out| record::put_metadata(out, metric, metadata));
            }
        }
    }

    /// Counts samples over the limit in a series of its own, so that they are seen in every graph.
    fn overflow(&mut self, scope: u32, count: u64, batch: &mut Batch) {
        if count == 0 {
            return;
        }
        let store = self.store;
        let Some(state) = store.head.scope_state(scope) else { return };
        let total = state.overflow_samples.fetch_add(count, Ordering::Relaxed) + count;
        let Some(series) = store.head.overflow_series(scope, store.now_s(), &store.log) else { return };
        let timestamp_ms = store.now_ms();
        let mut adding = store.head.adding();
        #[expect(clippy::cast_precision_loss, reason = "a count of samples is far below 2^53")]
        let value = total as f64;
        let outcome = store.head.with(series, |own| own.add(series, timestamp_ms, value, &mut adding));
        if outcome == Some(Outcome::Newest) {
            batch.samples.push(Sample { series, timestamp_ms, value });
            if let Some(taken) = &mut self.taken {
                let series = SeriesRef(series);
                taken.floats.push(TakenSample { series, timestamp_ms, value, start_ms: 0, is_late: false });
            }
            store.head.saw(timestamp_ms, timestamp_ms, 1);
        }
    }

    fn finish(mut self) -> CommitReport {
        for (reason, count, series, timestamp_ms) in std::mem::take(&mut self.refused) {
            let example = self.store.head.labels(series);
            self.report.refused.push(Refusal { reason, count, example, timestamp_ms });
        }
        self.report.refused.sort_by_key(|refusal| refusal.reason);
        self.report
    }
}

fn out_of_bounds(timestamp_ms: i64, earliest: i64, latest: i64) -> Option<RefusalReason> {
    if timestamp_ms > latest {
        Some(RefusalReason::TooFarInFuture)
    } else if timestamp_ms < earliest {
        Some(RefusalReason::OutOfBounds)
    } else {
        None
    }
}

/// Tells whether spans and buckets of a histogram fit each other.
fn is_well_formed(histogram: &Histogram) -> bool {
    let fits = |spans: &[maru_prom::Span], buckets: &[f64]| {
        spans.iter().map(|span| u64::from(span.length)).sum::<u64>() == buckets.len() as u64
    };
    fits(&histogram.positive_spans, &histogram.positive_buckets)
        && fits(&histogram.negative_spans, &histogram.negative_buckets)
}
