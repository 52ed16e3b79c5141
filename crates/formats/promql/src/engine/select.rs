//! Selectors: from a source's samples to columns, or to windows.

use std::sync::Arc;

use maru_prom::{Histogram, Matcher, ResetHint};

use super::answer::EvaluateError;
use super::column::{Column, is_present};
use super::context::{Context, Frame, Grid, Worker, histogram_size};
use super::durations::Purpose;
use super::histograms::{self, Detail, Totals};
use super::rows::{Head, Produce};
use super::window::Call;
use crate::source::{Range, Samples, Selection, Series};
use crate::{At, DurationValue, Extension, Span, VectorSelector};

/// Where a selector or subquery looks at each step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// The moment instead of the step's.
    pub(crate) at_ms: Option<i64>,
    pub(crate) offset_ms: i64,
    pub(crate) grid: Grid,
}

impl Look {
    /// Returns the moment that is looked at for `step`.
    #[inline]
    pub(crate) fn moment(&self, step: usize) -> i64 {
        self.at_ms.unwrap_or_else(|| self.grid.at(step)).saturating_sub(self.offset_ms)
    }

    /// Returns the first and the last moment.
    pub(crate) fn bounds(&self) -> (i64, i64) {
        (self.moment(0), self.moment(self.grid.steps.saturating_sub(1)))
    }
}

impl<'q> Context<'q> {
    /// Returns where `@` and `offset` point.
    pub(crate) fn look(&self, at: Option<At>, offset: &DurationValue, frame: &Frame) -> Result<Look, EvaluateError> {
        let at_ms = at.map(|at| match at {
            At::Timestamp(at_ms) => at_ms,
            At::Start => self.grid.start_ms,
            At::End => self.end_ms,
        });
        Ok(Look { at_ms, offset_ms: self.milliseconds(offset, Purpose::Offset)?, grid: frame.grid })
    }

    /// Finds the series of `matchers`.
    pub(crate) fn find(
        &self,
        matchers: &[Matcher],
        range: Range,
        frame: &Frame,
        function: &str,
        window_ms: i64,
    ) -> Result<Vec<Box<dyn Series + 'q>>, EvaluateError> {
        self.check()?;
        let before = self.elapsed();
        let selection = Selection {
            matchers: matchers.to_vec(),
            range,
            step_ms: if frame.grid.steps > 1 { frame.grid.step_ms } else { 0 },
            function: function.to_owned(),
            window_ms,
        };
        let mut found = self.source.select(&selection).map_err(|error| source_error(&error));
        if let (Ok(series), Detail::Totals) = (&mut found, frame.detail) {
            let all = std::mem::take(series).into_iter();
            *series = all.map(|series| Box::new(Totals(series)) as Box<dyn Series + 'q>).collect();
        }
        let mut statistics = self.statistics();
        statistics.prepare += self.elapsed().saturating_sub(before);
        statistics.series += found.as_ref().map_or(0, Vec::len) as u64;
        found
    }
}

/// Words an error of the source.
pub(crate) fn source_error(error: &crate::source::SourceError) -> EvaluateError {
    match error {
        crate::source::SourceError::Limit(reason) => EvaluateError::Execution(reason.clone()),
        other => EvaluateError::Internal(other.to_string()),
    }
}

/// Reads a series into the worker's samples, which are emptied before.
pub(crate) fn read(series: &dyn Series, worker: &mut Worker) -> Result<(), EvaluateError> {
    worker.samples.clear();
    series.read(&mut worker.samples).map_err(|error| source_error(&error))?;
    worker.read += worker.samples.len() as u64;
    Ok(())
}

/// Takes the staleness markers out: windows do not see them.
pub(crate) fn strip_markers(samples: &mut Samples) {
    if samples.values.iter().any(|value| !is_present(*value)) {
        let mut kept = 0;
        for index in 0..samples.values.len() {
            if is_present(samples.values[index]) {
                samples.values[kept] = samples.values[index];
                samples.timestamps[kept] = samples.timestamps[index];
                if let Some(start) = samples.start_timestamps.get(index).copied() {
                    samples.start_timestamps[kept] = start;
                }
                kept += 1;
            }
        }
        samples.values.truncate(kept);
        samples.timestamps.truncate(kept);
        samples.start_timestamps.truncate(kept);
    }
    if samples.histograms.iter().any(|(_, histogram)| histogram.is_stale_marker()) {
        if !samples.histogram_starts.is_empty() {
            let mut markers = samples.histograms.iter().map(|(_, histogram)| histogram.is_stale_marker());
            samples.histogram_starts.retain(|_| !markers.next().unwrap_or_default());
        }
        samples.histograms.retain(|(_, histogram)| !histogram.is_stale_marker());
    }
}

/// What of the found sample is the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Value,
    Timestamp,
    StartTimestamp,
    /// The timestamp of a float; a histogram stays one.
    FloatTimestamp,
}

/// An instant selector: of each series the latest sample within the look-back.
pub(crate) struct Instant<'q> {
    series: Vec<Box<dyn Series + 'q>>,
    look: Look,
    lookback_ms: i64,
    wanted: Wanted,
    is_smoothed: bool,
    position: Span,
}

impl<'q> Context<'q> {
    /// Finds the series of an instant selector.
    pub(crate) fn instant(
        &self,
        selector: &VectorSelector,
        frame: &Frame,
        function: &str,
        wanted: Wanted,
    ) -> Result<(Vec<Head>, Instant<'q>), EvaluateError> {
        let look = self.look(selector.at, &selector.offset, frame)?;
        let is_smoothed = selector.extension == Extension::Smoothed;
        let (first, last) = look.bounds();
        let ahead = if is_smoothed { self.lookback_ms } else { 0 };
        let range = Range { start_ms: first.saturating_sub(self.lookback_ms) + 1, end_ms: last.saturating_add(ahead) };
        let series = self.find(&selector.matchers, range, frame, function, 0)?;
        let heads = series.iter().map(|series| Head { labels: series.labels().clone(), drop_name: false }).collect();
        let lookback_ms = self.lookback_ms;
        Ok((heads, Instant { series, look, lookback_ms, wanted, is_smoothed, position: selector.span }))
    }
}

impl Produce for Instant<'_> {
    fn produce(&self, index: usize, worker: &mut Worker, out: &mut Column) -> Result<(), EvaluateError> {
        let Some(series) = self.series.get(index) else { return Ok(()) };
        read(&**series, worker)?;
        if self.is_smoothed {
            strip_markers(&mut worker.samples);
            self.smooth(series.labels().metric_name(), worker, out);
        } else if worker.samples.histograms.is_empty() && self.wanted == Wanted::Value {
            self.latest_floats(worker, out);
        } else {
            self.latest(worker, out);
        }
        Ok(())
    }
}

impl Instant<'_> {
    /// The usual case: floats only, and their values are wanted. A marker is [`super::column::ABSENT`] by itself.
    fn latest_floats(&self, worker: &mut Worker, out: &mut Column) {
        let mut geometry = std::mem::take(&mut worker.geometry);
        geometry.lay(&worker.samples.timestamps, &self.look, self.lookback_ms);
        let values = worker.samples.values.as_slice();
        let mut looked = 0_u64;
        for (place, slide) in out.floats.iter_mut().zip(&geometry.slides) {
            if slide.to > slide.from
                && let Some(value) = values.get(slide.to - 1)
            {
                *place = *value;
                looked += u64::from(is_present(*value));
            }
        }
        worker.looked += looked;
        for (count, value) in worker.per_step.iter_mut().zip(&out.floats) {
            *count += u64::from(is_present(*value));
        }
        worker.geometry = geometry;
    }

    fn latest(&self, worker: &mut Worker, out: &mut Column) {
        let samples = std::mem::take(&mut worker.samples);
        let (mut floats, mut histograms) = (0, 0);
        let steps = out.floats.len();
        for step in 0..steps {
            let moment = self.look.moment(step);
            while samples.timestamps.get(floats).is_some_and(|at| *at <= moment) {
                floats += 1;
            }
            while samples.histograms.get(histograms).is_some_and(|(at, _)| *at <= moment) {
                histograms += 1;
            }
            let float = floats.checked_sub(1).map(|index| (samples.timestamps[index], index));
            let histogram = histograms.checked_sub(1).map(|index| (samples.histograms[index].0, index));
            let is_float = match (float, histogram) {
                (None, None) => continue,
                (Some((float, _)), Some((histogram, _))) => float > histogram,
                (Some(_), None) => true,
                (None, Some(_)) => false,
            };
            let Some((at, index)) = (if is_float { float } else { histogram }) else { continue };
            if at <= moment - self.lookback_ms {
                continue;
            }
            let (starts, is_marker) = if is_float {
                (&samples.start_timestamps, !is_present(samples.values[index]))
            } else {
                (&samples.histogram_starts, samples.histograms[index].1.is_stale_marker())
            };
            if is_marker {
                continue;
            }
            match self.wanted {
                Wanted::Value if is_float => out.floats[step] = samples.values[index],
                Wanted::Value | Wanted::FloatTimestamp if !is_float => {
                    let histogram = &samples.histograms[index].1;
                    out.histograms.resize(steps, None);
                    out.histograms[step] = Some(Arc::clone(histogram));
                    worker.count(step, histogram_size(histogram));
                    continue;
                }
                Wanted::Value | Wanted::Timestamp | Wanted::FloatTimestamp => out.floats[step] = at as f64 / 1000.0,
                Wanted::StartTimestamp => {
                    out.floats[step] = starts.get(index).copied().unwrap_or_default() as f64 / 1000.0;
                }
            }
            worker.count(step, 1);
        }
        worker.samples = samples;
    }

    /// `smoothed`: between the samples before and after the moment.
    fn smooth(&self, metric: &str, worker: &mut Worker, out: &mut Column) {
        let samples = std::mem::take(&mut worker.samples);
        for step in 0..out.floats.len() {
            let moment = self.look.moment(step);
            let (from, to) = (moment.saturating_sub(self.lookback_ms), moment.saturating_add(self.lookback_ms));
            let first = samples.timestamps.partition_point(|at| *at <= from);
            let end = samples.timestamps.partition_point(|at| *at <= to);
            let first_histogram = samples.histograms.partition_point(|(at, _)| *at <= from);
            let end_histogram = samples.histograms.partition_point(|(at, _)| *at <= to);
            let (has_floats, has_histograms) = (first < end, first_histogram < end_histogram);
            if has_floats && has_histograms {
                worker.notes.add(super::annotations::Note::MixedFloatsHistograms, metric, self.position);
            } else if has_floats {
                let (timestamps, values) = (&samples.timestamps[first..end], &samples.values[first..end]);
                let next = timestamps.partition_point(|at| *at < moment);
                let before = next.checked_sub(1).map(|index| (timestamps[index], values[index]));
                let after = timestamps.get(next).map(|at| (*at, values[next]));
                out.floats[step] = match (before, after) {
                    (_, Some((at, value))) if at == moment => value,
                    (Some(before), Some(after)) => super::rate::interpolate(before, after, moment, false),
                    (Some((_, value)), None) => value,
                    (None, _) => continue,
                };
                worker.count(step, 1);
            } else if has_histograms {
                let window = &samples.histograms[first_histogram..end_histogram];
                let mut call = Call { metric, position: self.position, notes: &mut worker.notes };
                if let Some(histogram) = smooth_histogram(window, moment, &mut call) {
                    worker.count(step, histogram_size(&histogram));
                    out.set(step, super::column::Cell::Histogram(histogram));
                }
            }
        }
        worker.samples = samples;
    }
}

fn smooth_histogram(window: &[(i64, Arc<Histogram>)], moment: i64, call: &mut Call<'_>) -> Option<Arc<Histogram>> {
    let next = window.partition_point(|(at, _)| *at < moment);
    match (next.checked_sub(1).and_then(|index| window.get(index)), window.get(next)) {
        (_, Some((at, histogram))) if *at == moment => Some(Arc::clone(histogram)),
        (Some((before_ms, before)), Some((after_ms, after))) => {
            histograms::interpolate((*before_ms, before), (*after_ms, after), moment, call).map(Arc::new)
        }
        (Some((_, histogram)), None) => {
            let mut histogram = Histogram::clone(histogram);
            histogram.reset_hint = ResetHint::Unknown;
            Some(Arc::new(histogram))
        }
        (None, _) => None,
    }
}
