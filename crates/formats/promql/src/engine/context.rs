//! What one query's evaluation carries around: its limits, its cancellation, its notes, its counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use maru_prom::Histogram;

use super::annotations::Notes;
use super::answer::{EvaluateError, Statistics};
use super::options::{EngineOptions, Evaluation};
use crate::source::{Samples, Source};

/// Evenly spaced moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) start_ms: i64,
    /// Above 0, also when there is one moment only.
    pub(crate) step_ms: i64,
    pub(crate) steps: usize,
}

impl Grid {
    /// Returns the moments from `start_ms` up to and with `end_ms`.
    pub(crate) fn new(start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        let step_ms = step_ms.max(1);
        let steps = if end_ms < start_ms { 0 } else { (end_ms.saturating_sub(start_ms) / step_ms).saturating_add(1) };
        Self { start_ms, step_ms, steps: usize::try_from(steps).unwrap_or(usize::MAX) }
    }

    /// Returns one moment.
    pub(crate) fn one(at_ms: i64) -> Self {
        Self { start_ms: at_ms, step_ms: 1, steps: 1 }
    }

    /// Returns moment `step`.
    #[inline]
    pub(crate) fn at(&self, step: usize) -> i64 {
        self.start_ms.saturating_add(self.step_ms.saturating_mul(i64::try_from(step).unwrap_or(i64::MAX)))
    }
}

/// How samples of an expression count in the query's statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tally {
    /// Each at its step.
    Steps,
    /// Each at every step of the query: the expression is evaluated once for all.
    EachStep,
    /// Not at all: what a subquery hands on is counted when it is looked at.
    Nothing,
}

/// When an expression is evaluated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) grid: Grid,
    pub(crate) tally: Tally,
    /// What of histograms is wanted.
    pub(crate) detail: super::histograms::Detail,
}

/// Scratch and gathered facts of one thread.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    pub(crate) samples: Samples,
    pub(crate) column: super::column::Column,
    pub(crate) scratch: Vec<f64>,
    pub(crate) geometry: super::geometry::Geometry,
    pub(crate) notes: Notes,
    /// Samples looked at, and read.
    pub(crate) looked: u64,
    pub(crate) read: u64,
    /// Samples looked at for each step; empty unless asked for.
    pub(crate) per_step: Vec<u64>,
}

impl Worker {
    /// Counts `samples` that were looked at for `step`.
    #[inline]
    pub(crate) fn count(&mut self, step: usize, samples: usize) {
        let samples = samples as u64;
        self.looked += samples;
        if let Some(place) = self.per_step.get_mut(step) {
            *place += samples;
        }
    }
}

impl Worker {
    /// Counts the samples of all windows.
    pub(crate) fn count_all(&mut self, geometry: &super::geometry::Geometry) {
        self.looked += geometry.looked;
        for (count, slide) in self.per_step.iter_mut().zip(&geometry.slides) {
            *count += (slide.to - slide.from) as u64;
        }
    }
}

/// Returns what a histogram counts as: its size in units of a float with its time.
pub(crate) fn histogram_size(histogram: &Histogram) -> usize {
    let spans = histogram.positive_spans.len() + histogram.negative_spans.len();
    let buckets = histogram.positive_buckets.len() + histogram.negative_buckets.len() + histogram.custom_values.len();
    (168 + 8 * (spans + buckets) + 8) / 16
}

/// One evaluation.
pub(crate) struct Context<'q> {
    pub(crate) source: &'q dyn Source,
    pub(crate) options: &'q EngineOptions,
    pub(crate) evaluation: &'q Evaluation<'q>,
    pub(crate) lookback_ms: i64,
    /// The query's moments, and its end as asked for.
    pub(crate) grid: Grid,
    pub(crate) end_ms: i64,
    /// The step and length of the query in seconds, as `step()` and `range()` say: 0 for an instant.
    pub(crate) step_seconds: f64,
    pub(crate) range_seconds: f64,
    pub(crate) per_step: bool,
    pub(crate) pool: Option<&'q rayon::ThreadPool>,
    timeout: Option<Duration>,
    notes: Mutex<Notes>,
    samples: AtomicU64,
    bytes: AtomicU64,
    peak: AtomicU64,
    statistics: Mutex<Statistics>,
}

impl<'q> Context<'q> {
    pub(crate) fn new(
        source: &'q dyn Source,
        options: &'q EngineOptions,
        evaluation: &'q Evaluation<'q>,
        pool: Option<&'q rayon::ThreadPool>,
    ) -> Self {
        let (grid, end_ms, step_seconds) = match evaluation.when {
            super::When::Instant { at_ms } => (Grid::one(at_ms), at_ms, 0.0),
            super::When::Range { start_ms, end_ms, step_ms } => {
                let step = if start_ms == end_ms { 0.0 } else { step_ms as f64 / 1000.0 };
                (Grid::new(start_ms, end_ms, step_ms), end_ms, step)
            }
        };
        let timeout = evaluation.timeout.map_or(options.timeout, |own| own.min(options.timeout));
        Self {
            source,
            options,
            evaluation,
            lookback_ms: evaluation.lookback_ms.unwrap_or(options.lookback_ms),
            grid,
            end_ms,
            step_seconds,
            range_seconds: end_ms.saturating_sub(grid.start_ms) as f64 / 1000.0,
            per_step: options.per_step_statistics || evaluation.per_step_statistics,
            pool,
            timeout: evaluation.stopwatch.is_some().then_some(timeout),
            notes: Mutex::default(),
            samples: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            statistics: Mutex::default(),
        }
    }

    /// Ends the query when it was cancelled or takes too long. Called between any two pieces of work.
    pub(crate) fn check(&self) -> Result<(), EvaluateError> {
        if self.evaluation.cancel.is_cancelled() {
            return Err(EvaluateError::Cancelled);
        }
        match (self.timeout, self.evaluation.stopwatch) {
            (Some(timeout), Some(stopwatch)) if stopwatch.elapsed() > timeout => Err(EvaluateError::Timeout(timeout)),
            _ => Ok(()),
        }
    }

    /// Returns the time since the query began; zero without a stopwatch.
    pub(crate) fn elapsed(&self) -> Duration {
        self.evaluation.stopwatch.map(super::Stopwatch::elapsed).unwrap_or_default()
    }

    /// Counts memory that the query takes from now on.
    pub(crate) fn hold(&self, samples: usize, bytes: usize) -> Result<(), EvaluateError> {
        let (samples, bytes) = (samples as u64, bytes as u64);
        let all = self.samples.fetch_add(samples, Ordering::Relaxed).saturating_add(samples);
        self.peak.fetch_max(all, Ordering::Relaxed);
        if all > self.options.samples_max {
            return Err(EvaluateError::Execution(format!(
                "query processing would load too many samples into memory in query execution: more than {} \
                 (samples_max); select fewer series, shorten the time range or lengthen the step",
                self.options.samples_max
            )));
        }
        let all = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if all > self.options.memory_bytes_max {
            return Err(EvaluateError::Execution(format!(
                "query processing would take more than {} bytes of memory (memory_bytes_max); select fewer series, \
                 shorten the time range or lengthen the step",
                self.options.memory_bytes_max
            )));
        }
        Ok(())
    }

    /// Returns what is held now, for [`Context::settle`].
    pub(crate) fn mark(&self) -> (u64, u64) {
        (self.samples.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// Says that of all that is held since `mark` only `samples` and `bytes` are left.
    pub(crate) fn settle(&self, mark: (u64, u64), samples: usize, bytes: usize) -> Result<(), EvaluateError> {
        self.samples.store(mark.0, Ordering::Relaxed);
        self.bytes.store(mark.1, Ordering::Relaxed);
        self.hold(samples, bytes)
    }

    /// Locks the notes: short, never while evaluating.
    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn statistics(&self) -> MutexGuard<'_, Statistics> {
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a worker for `frame`.
    pub(crate) fn worker(&self, frame: &Frame) -> Worker {
        let mut worker = Worker::default();
        if self.per_step && frame.tally == Tally::Steps {
            worker.per_step = vec![0; frame.grid.steps];
        }
        worker
    }

    /// Takes over what a worker noted and counted.
    pub(crate) fn absorb(&self, worker: &mut Worker, frame: &Frame) {
        let notes = std::mem::take(&mut worker.notes);
        if !notes.is_empty() {
            self.notes().merge(notes);
        }
        if worker.looked == 0 && worker.read == 0 {
            return;
        }
        let mut statistics = self.statistics();
        statistics.samples_read += worker.read;
        let steps = self.grid.steps as u64;
        match frame.tally {
            Tally::Nothing => {}
            Tally::Steps => {
                statistics.samples += worker.looked;
                self.add_per_step(&mut statistics, |step| worker.per_step.get(step).copied().unwrap_or_default());
            }
            Tally::EachStep => {
                statistics.samples += worker.looked * steps;
                self.add_per_step(&mut statistics, |_| worker.looked);
            }
        }
        worker.looked = 0;
        worker.read = 0;
        worker.per_step.fill(0);
    }

    fn add_per_step(&self, statistics: &mut Statistics, count: impl Fn(usize) -> u64) {
        if !self.per_step {
            return;
        }
        let places = &mut statistics.samples_per_step;
        if places.is_empty() {
            *places = (0..self.grid.steps).map(|step| (self.grid.at(step), 0)).collect();
        }
        for (step, (_, place)) in places.iter_mut().enumerate() {
            *place += count(step);
        }
    }

    /// Returns all notes and counts.
    pub(crate) fn finish(&self) -> (Notes, Statistics) {
        let mut statistics = std::mem::take(&mut *self.statistics());
        statistics.samples_peak = self.peak.load(Ordering::Relaxed);
        (std::mem::take(&mut *self.notes()), statistics)
    }
}
