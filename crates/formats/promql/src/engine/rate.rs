//! `rate`, `increase`, `delta`, `irate`, `idelta`: over floats; histograms go to their own file.

use std::sync::Arc;

use super::annotations::Note;
use super::column::{Cell, Column};
use super::context::Worker;
use super::histograms;
use super::select::Look;
use super::window::{Call, Extrapolation, Rate, Window, extrapolate, is_start_overlap, is_start_reset, start_inside};
use crate::Extension;
use crate::source::Samples;

/// Evaluates a rate over a window.
pub(crate) fn rate(window: &Window<'_>, rate: Rate, extension: Extension, call: &mut Call<'_>) -> Cell {
    match (window.values.is_empty(), window.histograms.is_empty()) {
        (true, true) => Cell::Absent,
        (false, false) => {
            call.notes.add(Note::MixedFloatsHistograms, call.metric, call.position);
            Cell::Absent
        }
        (true, false) => histograms::rate(window, rate, extension, call)
            .map_or(Cell::Absent, |histogram| Cell::Histogram(Arc::new(histogram))),
        (false, true) if extension == Extension::None => {
            extrapolated(window, rate, call).map_or(Cell::Absent, Cell::Float)
        }
        (false, true) => extended(window, rate, extension == Extension::Smoothed).map_or(Cell::Absent, Cell::Float),
    }
}

fn extrapolated(window: &Window<'_>, rate: Rate, call: &mut Call<'_>) -> Option<f64> {
    let (first, last) = (*window.values.first()?, *window.values.last()?);
    let (first_ms, last_ms) = (*window.timestamps.first()?, *window.timestamps.last()?);
    let mut increase = last - first;
    let mut started_ms = None;
    if rate.is_counter() {
        let mut is_overlap_noted = false;
        for index in 1..window.values.len() {
            let is_fall = window.values[index] < window.values[index - 1];
            let is_restart = window.starts.get(index).is_some_and(|start| {
                let before = (window.starts[index - 1], window.timestamps[index - 1]);
                if !is_overlap_noted && is_start_overlap(before, *start) {
                    call.notes.add(Note::StartTimeOverlap, call.metric, call.position);
                    is_overlap_noted = true;
                }
                is_start_reset(before, (*start, window.timestamps[index]))
            });
            if is_fall || is_restart {
                increase += window.values[index - 1];
            }
        }
        started_ms = start_inside(window.starts, first_ms, window.start_ms);
        if started_ms.is_some() {
            increase += first;
        }
    }
    let samples = window.values.len();
    let input = Extrapolation { first_ms, last_ms, samples, first_value: first, increase, started_ms };
    extrapolate(&input, window.start_ms, window.end_ms, rate).map(|factor| increase * factor)
}

/// Interpolates between two samples. A counter that fell in between began again at zero.
pub(crate) fn interpolate(before: (i64, f64), after: (i64, f64), at_ms: i64, is_counter: bool) -> f64 {
    let from = if is_counter && after.1 < before.1 { 0.0 } else { before.1 };
    from + (after.1 - from) * (at_ms - before.0) as f64 / (after.0 - before.0) as f64
}

/// The values at both edges of a window that sees samples around its range, and the samples strictly between them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Edges {
    pub(crate) left: f64,
    pub(crate) right: f64,
    /// Indices of samples inside, the end excluded.
    pub(crate) inside: std::ops::Range<usize>,
}

/// Returns the values at the edges; `None` when the range holds nothing.
pub(crate) fn edges(window: &Window<'_>, is_smoothed: bool, is_counter: bool) -> Option<Edges> {
    let (timestamps, values) = (window.timestamps, window.values);
    let last_index = timestamps.len().checked_sub(1)?;
    let before_last = &timestamps[..last_index];
    let first = before_last.partition_point(|at| *at <= window.start_ms).saturating_sub(1);
    let last = if is_smoothed { before_last.partition_point(|at| *at < window.end_ms) } else { last_index };
    if timestamps[last] <= window.start_ms || (is_smoothed && timestamps[first] > window.end_ms) {
        return None;
    }
    let sample = |index: usize| (timestamps[index], values[index]);
    let left = if is_smoothed && timestamps[first] < window.start_ms {
        interpolate(sample(first), sample(first + 1), window.start_ms, is_counter)
    } else {
        values[first]
    };
    let right = if is_smoothed && last > 0 && timestamps[last] > window.end_ms {
        interpolate(sample(last - 1), sample(last), window.end_ms, is_counter)
    } else {
        values[last]
    };
    let from = if timestamps[first] <= window.start_ms { first + 1 } else { first };
    let to = if timestamps[last] >= window.end_ms { last } else { last + 1 };
    Some(Edges { left, right, inside: from..to.max(from) })
}

/// `anchored` and `smoothed`: the difference of the values at the edges.
fn extended(window: &Window<'_>, rate: Rate, is_smoothed: bool) -> Option<f64> {
    let Edges { left, right, inside } = edges(window, is_smoothed, rate.is_counter())?;
    let mut increase = right - left;
    if rate.is_counter() {
        let mut before = left;
        let mut lost = 0.0;
        for value in window.values.get(inside).unwrap_or_default().iter().chain([&right]) {
            if *value < before {
                lost += before;
            }
            before = *value;
        }
        increase += lost;
    }
    let seconds = (window.end_ms - window.start_ms) as f64 / 1000.0;
    Some(if rate == Rate::Rate { increase / seconds } else { increase })
}

/// One of the last two samples of a window.
#[derive(Clone, Copy)]
enum Last<'a> {
    Float(f64),
    Histogram(&'a maru_prom::Histogram),
}

/// Evaluates `irate` or `idelta`.
pub(crate) fn instant_rate(window: &Window<'_>, is_rate: bool, call: &mut Call<'_>) -> Cell {
    let floats = window.values.len();
    let start = |starts: &[i64], index: usize| starts.get(index).copied().unwrap_or_default();
    let mut last: Vec<(i64, Last<'_>, i64)> = (floats.saturating_sub(2)..floats)
        .map(|index| (window.timestamps[index], Last::Float(window.values[index]), start(window.starts, index)))
        .collect();
    for index in window.histograms.len().saturating_sub(2)..window.histograms.len() {
        let (at, histogram) = &window.histograms[index];
        last.push((*at, Last::Histogram(histogram), start(window.histogram_starts, index)));
    }
    last.sort_by_key(|(at, ..)| *at);
    let [.., before, this] = last[..] else { return Cell::Absent };
    let interval = this.0 - before.0;
    if interval == 0 {
        return Cell::Absent;
    }
    match (before.1, this.1) {
        (Last::Float(from), Last::Float(to)) => {
            let is_reset = is_rate && (to < from || is_start_reset((before.2, before.0), (this.2, this.0)));
            let difference = if is_reset { to } else { to - from };
            Cell::Float(if is_rate { difference / (interval as f64 / 1000.0) } else { difference })
        }
        (Last::Histogram(from), Last::Histogram(to)) => {
            histograms::instant_rate((before.0, from, before.2), (this.0, to, this.2), is_rate, call)
                .map_or(Cell::Absent, |histogram| Cell::Histogram(Arc::new(histogram)))
        }
        (Last::Float(_), Last::Histogram(_)) | (Last::Histogram(_), Last::Float(_)) => {
            call.notes.add(Note::MixedFloatsHistograms, call.metric, call.position);
            Cell::Absent
        }
    }
}

/// A rate over all windows of a series of floats without start timestamps, in one pass over samples and steps.
///
/// The counter's restarts are found once; of each window only those inside are looked at, in their order, so that the
/// result is the same as that of a sum over the window.
pub(crate) fn rate_column(
    samples: &Samples,
    look: &Look,
    range_ms: i64,
    rate: Rate,
    worker: &mut Worker,
    out: &mut Column,
) {
    let (timestamps, values) = (samples.timestamps.as_slice(), samples.values.as_slice());
    let mut geometry = std::mem::take(&mut worker.geometry);
    geometry.lay(timestamps, look, range_ms);
    geometry.lay_rate(rate);
    worker.count_all(&geometry);
    let mut resets: Vec<usize> = Vec::new();
    if rate.is_counter() && values.windows(2).any(|pair| pair[1] < pair[0]) {
        resets.extend((1..values.len()).filter(|index| values[*index] < values[index - 1]));
    }
    let mut first_reset = 0;
    let steps = geometry.slides.iter().zip(&geometry.factors).zip(&geometry.cuts);
    for (step, (place, ((slide, factor), cut))) in out.floats.iter_mut().zip(steps).enumerate() {
        if *factor == 0.0 {
            continue;
        }
        let (Some(first), Some(last)) = (values.get(slide.from), values.get(slide.to.wrapping_sub(1))) else {
            continue;
        };
        let mut increase = last - first;
        if !resets.is_empty() {
            while resets.get(first_reset).is_some_and(|reset| *reset <= slide.from) {
                first_reset += 1;
            }
            for reset in resets[first_reset..].iter().take_while(|reset| **reset < slide.to) {
                increase += values[reset - 1];
            }
        }
        *place = increase * factor;
        if increase > first * cut && rate.is_counter() && *first >= 0.0 {
            let end_ms = look.moment(step);
            let input = Extrapolation {
                first_ms: timestamps[slide.from],
                last_ms: timestamps[slide.to - 1],
                samples: slide.to - slide.from,
                first_value: *first,
                increase,
                started_ms: None,
            };
            if let Some(factor) = extrapolate(&input, end_ms - range_ms, end_ms, rate) {
                *place = increase * factor;
            }
        }
    }
    worker.geometry = geometry;
}
