//! Range selectors: slides a window over each series once, for all steps.

use super::annotations::Note;
use super::answer::EvaluateError;
use super::column::{Cell, Column, is_present};
use super::context::{Context, Frame, Worker, histogram_size};
use super::durations::Purpose;
use super::over_time::{self, OverTime, Parameters};
use super::rate;
use super::rows::{Head, Produce};
use super::select::{Look, read, strip_markers};
use super::window::{Call, Rate, Window};
use crate::source::{Range, Samples, Series};
use crate::{Extension, MatrixSelector, Span};

/// A function over windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RangeFunction {
    Rate(Rate),
    InstantRate { is_rate: bool },
    OverTime(OverTime),
}

impl RangeFunction {
    /// Returns the function called `name`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "rate" => Self::Rate(Rate::Rate),
            "increase" => Self::Rate(Rate::Increase),
            "delta" => Self::Rate(Rate::Delta),
            "irate" => Self::InstantRate { is_rate: true },
            "idelta" => Self::InstantRate { is_rate: false },
            name => Self::OverTime(OverTime::named(name)?),
        })
    }

    /// Tells whether the answer is one of the samples, so that the metric keeps its name.
    pub(crate) fn keeps_name(self) -> bool {
        matches!(self, Self::OverTime(OverTime::First | OverTime::Last))
    }

    /// Refuses modifiers that the function called `name` cannot take.
    pub(crate) fn check_extension(self, name: &str, extension: Extension) -> Result<(), EvaluateError> {
        let is_rate = matches!(self, Self::Rate(_));
        let counts = matches!(self, Self::OverTime(OverTime::Changes | OverTime::Resets));
        match extension {
            Extension::Anchored if !is_rate && !counts => Err(EvaluateError::Execution(format!(
                "anchored modifier can only be used with: changes, delta, increase, rate, resets - not with {name}"
            ))),
            Extension::Smoothed if !is_rate => Err(EvaluateError::Execution(format!(
                "smoothed modifier can only be used with: delta, increase, rate - not with {name}"
            ))),
            Extension::None | Extension::Anchored | Extension::Smoothed => Ok(()),
        }
    }
}

/// Where the samples of windows come from.
pub(crate) enum Origin<'q> {
    Series(Vec<Box<dyn Series + 'q>>),
    /// A subquery's answer, and the moments of it.
    Subquery(super::column::Vector, super::context::Grid),
}

/// A function over the windows of a selector or subquery.
pub(crate) struct Windows<'q> {
    pub(crate) function: RangeFunction,
    pub(crate) origin: Origin<'q>,
    pub(crate) look: Look,
    pub(crate) range_ms: i64,
    pub(crate) lookback_ms: i64,
    pub(crate) extension: Extension,
    /// The scalar arguments: one value per step each.
    pub(crate) scalars: Vec<Vec<f64>>,
    /// Where the first argument stands.
    pub(crate) position: Span,
    /// Counters' start timestamps are looked at.
    pub(crate) start_timestamps: bool,
    /// The label `__type__` says what a metric is.
    pub(crate) type_and_unit_labels: bool,
}

impl<'q> Context<'q> {
    /// Finds the series of a range selector.
    pub(crate) fn range_series(
        &self,
        matrix: &MatrixSelector,
        look: &Look,
        frame: &Frame,
        function: &str,
    ) -> Result<(Vec<Box<dyn Series + 'q>>, i64), EvaluateError> {
        let range_ms = self.milliseconds(&matrix.range, Purpose::Length)?;
        let (first, last) = look.bounds();
        let (behind, ahead) = match matrix.selector.extension {
            Extension::None => (0, 0),
            Extension::Anchored => (self.lookback_ms, 0),
            Extension::Smoothed => (self.lookback_ms, self.lookback_ms),
        };
        let range = Range {
            start_ms: first.saturating_sub(range_ms).saturating_sub(behind).saturating_add(1),
            end_ms: last.saturating_add(ahead),
        };
        Ok((self.find(&matrix.selector.matchers, range, frame, function, range_ms)?, range_ms))
    }
}

impl Origin<'_> {
    /// Returns what the series are called.
    pub(crate) fn heads(&self) -> Vec<Head> {
        match self {
            Self::Series(series) => {
                series.iter().map(|series| Head { labels: series.labels().clone(), drop_name: false }).collect()
            }
            Self::Subquery(vector, _) => {
                let rows = vector.rows.iter();
                rows.map(|row| Head { labels: row.labels.clone(), drop_name: row.drop_name }).collect()
            }
        }
    }

    /// Reads series `index` into the worker's samples, staleness markers taken out.
    fn read(&self, index: usize, worker: &mut Worker) -> Result<(), EvaluateError> {
        match self {
            Self::Series(series) => {
                if let Some(series) = series.get(index) {
                    read(&**series, worker)?;
                    strip_markers(&mut worker.samples);
                }
            }
            Self::Subquery(vector, grid) => {
                worker.samples.clear();
                let Some(row) = vector.rows.get(index) else { return Ok(()) };
                for (step, value) in row.column.floats.iter().enumerate() {
                    if is_present(*value) {
                        worker.samples.timestamps.push(grid.at(step));
                        worker.samples.values.push(*value);
                    }
                }
                for (step, histogram) in row.column.histograms.iter().enumerate() {
                    if let Some(histogram) = histogram {
                        worker.samples.histograms.push((grid.at(step), without_hint(histogram)));
                    }
                }
            }
        }
        Ok(())
    }

    fn labels(&self, index: usize) -> Option<&maru_prom::Labels> {
        match self {
            Self::Series(series) => series.get(index).map(|series| series.labels()),
            Self::Subquery(vector, _) => vector.rows.get(index).map(|row| &row.labels),
        }
    }
}

/// A subquery leaves samples out or hands them on twice: what they say of restarts holds no longer.
fn without_hint(histogram: &std::sync::Arc<maru_prom::Histogram>) -> std::sync::Arc<maru_prom::Histogram> {
    match histogram.reset_hint {
        maru_prom::ResetHint::Unknown | maru_prom::ResetHint::Gauge => std::sync::Arc::clone(histogram),
        maru_prom::ResetHint::CounterReset | maru_prom::ResetHint::NotCounterReset => {
            let mut histogram = maru_prom::Histogram::clone(histogram);
            histogram.reset_hint = maru_prom::ResetHint::Unknown;
            std::sync::Arc::new(histogram)
        }
    }
}

impl Produce for Windows<'_> {
    fn produce(&self, index: usize, worker: &mut Worker, out: &mut Column) -> Result<(), EvaluateError> {
        self.origin.read(index, worker)?;
        let Some(labels) = self.origin.labels(index) else { return Ok(()) };
        let mut samples = std::mem::take(&mut worker.samples);
        if !self.start_timestamps {
            samples.start_timestamps.clear();
            samples.histogram_starts.clear();
        }
        let metric = labels.metric_name();
        let is_plain = samples.histograms.is_empty() && self.extension == Extension::None;
        let result = match self.function {
            _ if samples.is_empty() => Ok(()),
            RangeFunction::Rate(rate) if is_plain && samples.start_timestamps.is_empty() => {
                rate::rate_column(&samples, &self.look, self.range_ms, rate, worker, out);
                Ok(())
            }
            RangeFunction::InstantRate { is_rate } if is_plain && samples.start_timestamps.is_empty() => {
                super::sliding::instant_rate(is_rate, &samples, self, worker, out);
                Ok(())
            }
            RangeFunction::OverTime(function)
                if is_plain && super::sliding::column(function, &samples, self, worker, out) =>
            {
                Ok(())
            }
            RangeFunction::Rate(_) | RangeFunction::InstantRate { .. } | RangeFunction::OverTime(_) => {
                self.each_window(&samples, metric, worker, out)
            }
        };
        worker.samples = samples;
        if matches!(self.function, RangeFunction::Rate(Rate::Rate | Rate::Increase)) {
            self.note_no_counter(labels, metric, worker, out);
        }
        result
    }
}

impl Windows<'_> {
    /// Evaluates window by window.
    fn each_window(
        &self,
        samples: &Samples,
        metric: &str,
        worker: &mut Worker,
        out: &mut Column,
    ) -> Result<(), EvaluateError> {
        let (behind, ahead) = match self.extension {
            Extension::None => (0, 0),
            Extension::Anchored => (self.lookback_ms, 0),
            Extension::Smoothed => (self.lookback_ms, self.lookback_ms),
        };
        let mut floats = Slide::default();
        let mut histograms = Slide::default();
        let mut scratch = std::mem::take(&mut worker.scratch);
        for step in 0..out.floats.len() {
            let end_ms = self.look.moment(step);
            let start_ms = end_ms.saturating_sub(self.range_ms);
            let (from_ms, to_ms) = (start_ms.saturating_sub(behind), end_ms.saturating_add(ahead));
            floats.advance(samples.timestamps.len(), from_ms, to_ms, |index| samples.timestamps[index]);
            histograms.advance(samples.histograms.len(), from_ms, to_ms, |index| samples.histograms[index].0);
            if floats.is_empty() && histograms.is_empty() {
                continue;
            }
            let window = Window {
                timestamps: &samples.timestamps[floats.from..floats.to],
                values: &samples.values[floats.from..floats.to],
                starts: samples.start_timestamps.get(floats.from..floats.to).unwrap_or_default(),
                histograms: &samples.histograms[histograms.from..histograms.to],
                histogram_starts: samples.histogram_starts.get(histograms.from..histograms.to).unwrap_or_default(),
                start_ms,
                end_ms,
            };
            let size: usize = window.histograms.iter().map(|(_, histogram)| histogram_size(histogram)).sum();
            worker.count(step, window.values.len() + size);
            let mut call = Call { metric, position: self.position, notes: &mut worker.notes };
            let cell = match self.function {
                RangeFunction::Rate(rate) => rate::rate(&window, rate, self.extension, &mut call),
                RangeFunction::InstantRate { is_rate } => rate::instant_rate(&window, is_rate, &mut call),
                RangeFunction::OverTime(function) => {
                    let parameters = self.parameters(step);
                    over_time::evaluate(function, &window, &parameters, &mut scratch, &mut call)?
                }
            };
            if cell != Cell::Absent {
                out.set(step, cell);
            }
        }
        worker.scratch = scratch;
        Ok(())
    }

    pub(crate) fn parameters(&self, step: usize) -> Parameters {
        let scalar = |index: usize| self.scalars.get(index).and_then(|scalar| scalar.get(step)).copied();
        let scalars = [scalar(0).unwrap_or(f64::NAN), scalar(1).unwrap_or(f64::NAN)];
        Parameters { step_ms: self.look.grid.at(step), scalars, extension: self.extension }
    }

    /// Notes a rate of what does not look like a counter.
    fn note_no_counter(&self, labels: &maru_prom::Labels, metric: &str, worker: &mut Worker, out: &Column) {
        let is_counter = if self.type_and_unit_labels {
            matches!(labels.get("__type__"), Some("counter" | "histogram"))
        } else {
            ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| metric.ends_with(suffix))
        };
        if is_counter || metric.is_empty() || !out.floats.iter().any(|value| is_present(*value)) {
            return;
        }
        if self.type_and_unit_labels {
            let detail = format!("{}\0{metric}", labels.get("__type__").unwrap_or_default());
            worker.notes.add(Note::PossibleNonCounterLabel, &detail, self.position);
        } else {
            worker.notes.add(Note::PossibleNonCounter, metric, self.position);
        }
    }
}

/// A window's place in sorted samples, moving with the steps.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Slide {
    pub(crate) from: usize,
    /// Behind the last.
    pub(crate) to: usize,
}

impl Slide {
    /// Moves to the samples after `from_ms` and not after `to_ms`.
    #[inline]
    pub(crate) fn advance(&mut self, count: usize, from_ms: i64, to_ms: i64, at: impl Fn(usize) -> i64) {
        while self.to < count && at(self.to) <= to_ms {
            self.to += 1;
        }
        while self.from < self.to && at(self.from) <= from_ms {
            self.from += 1;
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.from == self.to
    }
}
