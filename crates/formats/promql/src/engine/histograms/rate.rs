//! How fast native histograms grow.

use std::sync::Arc;

use maru_prom::{Combined, Histogram, HistogramLayoutError, ResetHint};

use super::super::annotations::{Note, Notes};
use super::super::window::{
    Call, Extrapolation, Rate, Window, extrapolate, is_start_overlap, is_start_reset, start_inside,
};
use crate::Extension;

/// `rate`, `increase`, `delta` over histograms; `extension` says whether the selector is `anchored` or `smoothed`.
pub(crate) fn rate(window: &Window<'_>, rate: Rate, extension: Extension, call: &mut Call<'_>) -> Option<Histogram> {
    match extension {
        Extension::None => extrapolated(window, rate, call),
        Extension::Anchored => extended(window, rate, false, call),
        Extension::Smoothed => extended(window, rate, true, call),
    }
}

/// A histogram with its time.
type At<'a> = (i64, &'a Histogram);

/// Words the outcome of an addition or subtraction; `None` when it was impossible.
fn noted(done: Result<Combined, HistogramLayoutError>, word: &str, call: &mut Call<'_>) -> Option<()> {
    match done {
        Ok(combined) => {
            if combined.bounds_reconciled {
                call.notes.add(Note::MismatchedCustomBuckets, word, call.position);
            }
            Some(())
        }
        Err(_) => {
            call.notes.add(Note::MixedExponentialCustomHistograms, call.metric, call.position);
            None
        }
    }
}

fn extrapolated(window: &Window<'_>, rate: Rate, call: &mut Call<'_>) -> Option<Histogram> {
    let (first_ms, first) = window.histograms.first()?;
    let (last_ms, _) = window.histograms.last()?;
    let started_ms = start_inside(window.histogram_starts, *first_ms, window.start_ms).filter(|_| rate.is_counter());
    let mut increase = if window.histograms.len() > 1 { Some(difference(window, rate, call)?) } else { None };
    if started_ms.is_some() {
        match &mut increase {
            Some(increase) => noted(increase.add(first), "addition", call)?,
            None => increase = Some(Histogram::clone(first)),
        }
    }
    let mut increase = increase?;
    let extrapolation = Extrapolation {
        first_ms: *first_ms,
        last_ms: *last_ms,
        samples: window.histograms.len(),
        first_value: if rate.is_counter() { first.count } else { 0.0 },
        increase: if rate.is_counter() { increase.count } else { 0.0 },
        started_ms,
    };
    let factor = extrapolate(&extrapolation, window.start_ms, window.end_ms, rate)?;
    increase.multiply(factor);
    Some(increase)
}

/// Returns the last histogram less the first, with what was lost when the counter started again.
fn difference(window: &Window<'_>, rate: Rate, call: &mut Call<'_>) -> Option<Histogram> {
    let points = window.histograms;
    let ((_, first), (_, second), (_, last)) = (points.first()?, points.get(1)?, points.last()?);
    // A mix of bucket kinds leaves no other note.
    let mut notes = Notes::default();
    let mut local = Call { metric: call.metric, position: call.position, notes: &mut notes };
    let result = (|| {
        let nothing;
        let mut before: &Histogram = first;
        if rate.is_counter() {
            if [first, last].iter().any(|end| end.reset_hint == ResetHint::Gauge) {
                local.notes.add(Note::NativeHistogramNotCounter, local.metric, local.position);
            }
            // Started again right after the first: that one does not matter, whatever its buckets are.
            if is_start_reset_at(window, 1) || second.is_reset_after(first) {
                nothing = Histogram { custom_values: second.custom_values.clone(), ..Histogram::empty(second.schema) };
                before = &nothing;
            }
        }
        let custom = before.has_custom_buckets();
        let mut schema = before.schema.min(last.schema);
        let mut is_mixed = last.has_custom_buckets() != custom;
        if rate.is_counter() {
            for (_, between) in points.get(1..points.len() - 1).unwrap_or_default() {
                if between.reset_hint == ResetHint::Gauge {
                    local.notes.add(Note::NativeHistogramNotCounter, local.metric, local.position);
                }
                is_mixed |= between.has_custom_buckets() != custom;
                schema = schema.min(between.schema);
            }
        }
        if is_mixed {
            return None;
        }
        let mut result = Histogram::clone(last);
        result.reduce_to_schema(schema).ok()?;
        noted(result.subtract(before), "subtraction", &mut local)?;
        if rate.is_counter() {
            add_lost(window, &mut result, before, &mut local)?;
        } else if first.reset_hint != ResetHint::Gauge || last.reset_hint != ResetHint::Gauge {
            local.notes.add(Note::NativeHistogramNotGauge, local.metric, local.position);
        }
        result.reset_hint = ResetHint::Gauge;
        result.compact();
        Some(result)
    })();
    match result {
        Some(result) => {
            call.notes.merge(notes);
            Some(result)
        }
        None => {
            call.notes.add(Note::MixedExponentialCustomHistograms, call.metric, call.position);
            None
        }
    }
}

/// Adds to `result` what the counter was each time before it started again.
fn add_lost(window: &Window<'_>, result: &mut Histogram, before: &Histogram, call: &mut Call<'_>) -> Option<()> {
    let mut before = before;
    let mut has_overlap = false;
    for (place, (_, this)) in window.histograms.iter().enumerate().skip(1) {
        if !has_overlap && is_start_overlap_at(window, place) {
            call.notes.add(Note::StartTimeOverlap, call.metric, call.position);
            has_overlap = true;
        }
        if is_start_reset_at(window, place) || this.is_reset_after(before) {
            noted(result.add(before), "addition", call)?;
        }
        before = this;
    }
    Some(())
}

/// Returns start and time of the sample before `place`, and of the one there.
fn starts_at(window: &Window<'_>, place: usize) -> Option<((i64, i64), (i64, i64))> {
    let at = |place: usize| Some((*window.histogram_starts.get(place)?, window.histograms.get(place)?.0));
    Some((at(place.checked_sub(1)?)?, at(place)?))
}

fn is_start_reset_at(window: &Window<'_>, place: usize) -> bool {
    starts_at(window, place).is_some_and(|(before, this)| is_start_reset(before, this))
}

fn is_start_overlap_at(window: &Window<'_>, place: usize) -> bool {
    starts_at(window, place).is_some_and(|(before, (start, _))| is_start_overlap(before, start))
}

/// `irate` and `idelta` of the last two histograms: `(when, which, its start)` of each.
pub(crate) fn instant_rate(
    before: (i64, &Histogram, i64),
    last: (i64, &Histogram, i64),
    is_rate: bool,
    call: &mut Call<'_>,
) -> Option<Histogram> {
    let ((before_ms, before, before_start), (last_ms, last, start)) = (before, last);
    if last_ms == before_ms {
        return None;
    }
    let are_gauges = [before, last].map(|histogram| histogram.reset_hint == ResetHint::Gauge);
    if is_rate && are_gauges.contains(&true) {
        call.notes.add(Note::NativeHistogramNotCounter, call.metric, call.position);
    }
    if !is_rate && are_gauges.contains(&false) {
        call.notes.add(Note::NativeHistogramNotGauge, call.metric, call.position);
    }
    let mut result = last.clone();
    let has_started = || is_start_reset((before_start, before_ms), (start, last_ms)) || last.is_reset_after(before);
    if !is_rate || !has_started() {
        noted(result.subtract(before), "subtraction", call)?;
    }
    result.reset_hint = ResetHint::Gauge;
    result.compact();
    if is_rate {
        result.divide(seconds(last_ms - before_ms));
    }
    Some(result)
}

#[expect(clippy::cast_precision_loss, reason = "times in milliseconds are far below 2^53")]
fn seconds(span_ms: i64) -> f64 {
    span_ms as f64 / 1000.0
}

/// Interpolates between two histograms at `at_ms`, for `smoothed` instant selectors.
pub(crate) fn interpolate(
    before: (i64, &Histogram),
    after: (i64, &Histogram),
    at_ms: i64,
    call: &mut Call<'_>,
) -> Option<Histogram> {
    if before.1.has_custom_buckets() != after.1.has_custom_buckets() {
        call.notes.add(Note::MixedExponentialCustomHistograms, call.metric, call.position);
        return None;
    }
    let is_counter = before.1.reset_hint != ResetHint::Gauge || after.1.reset_hint != ResetHint::Gauge;
    between(before, after, at_ms, is_counter, call)
}

/// Interpolates; a counter that started again in between did so at zero.
fn between(
    before: (i64, &Histogram),
    after: (i64, &Histogram),
    at_ms: i64,
    is_counter: bool,
    call: &mut Call<'_>,
) -> Option<Histogram> {
    let ((before_ms, before), (after_ms, after)) = (before, after);
    if at_ms == before_ms {
        return Some(before.clone());
    }
    let mut result = after.clone();
    if at_ms == after_ms {
        return Some(result);
    }
    let part = seconds(at_ms - before_ms) / seconds(after_ms - before_ms);
    if is_counter && after.is_reset_after(before) {
        result.multiply(part);
        return Some(result);
    }
    noted(result.subtract(before), "subtraction", call)?;
    result.multiply(part);
    noted(result.add(before), "addition", call)?;
    Some(result)
}

/// `rate`, `increase` and `delta` that take the value before the range as that at its start, or interpolate at its ends.
fn extended(window: &Window<'_>, rate: Rate, is_smoothed: bool, call: &mut Call<'_>) -> Option<Histogram> {
    let points = window.histograms;
    let mut last = points.len().checked_sub(1)?;
    let earlier = points.get(..last)?;
    let first = earlier.partition_point(|(at, _)| *at <= window.start_ms).saturating_sub(1);
    if is_smoothed {
        last = earlier.partition_point(|(at, _)| *at < window.end_ms);
    }
    let used = points.get(first..=last)?;
    let ((first_ms, first), (last_ms, final_one)) = (used.first()?, used.last()?);
    if *last_ms <= window.start_ms || (is_smoothed && *first_ms > window.end_ms) {
        return None;
    }
    for (_, point) in used {
        if point.has_custom_buckets() != first.has_custom_buckets() {
            call.notes.add(Note::MixedExponentialCustomHistograms, call.metric, call.position);
            return None;
        }
        if rate.is_counter() && point.reset_hint == ResetHint::Gauge {
            call.notes.add(Note::NativeHistogramNotCounter, call.metric, call.position);
        }
    }
    let pair = |one: usize, other: usize| -> Option<(At<'_>, At<'_>)> {
        let (one, other) = (used.get(one)?, used.get(other)?);
        Some(((one.0, &one.1), (other.0, &other.1)))
    };
    let left = if is_smoothed && *first_ms < window.start_ms {
        let (before, after) = pair(0, 1)?;
        between(before, after, window.start_ms, rate.is_counter(), call)?
    } else {
        Histogram::clone(first)
    };
    let right = if is_smoothed && used.len() > 1 && *last_ms > window.end_ms {
        let (before, after) = pair(used.len() - 2, used.len() - 1)?;
        between(before, after, window.end_ms, rate.is_counter(), call)?
    } else {
        Histogram::clone(final_one)
    };
    if !rate.is_counter() && [&left, &right].iter().any(|end| end.reset_hint != ResetHint::Gauge) {
        call.notes.add(Note::NativeHistogramNotGauge, call.metric, call.position);
    }
    let mut result = right.clone();
    noted(result.subtract(&left), "subtraction", call)?;
    if rate.is_counter() {
        for lost in lost_between(used, &left, &right, is_smoothed && *first_ms < window.start_ms) {
            noted(result.add(lost), "addition", call)?;
        }
    }
    if rate == Rate::Rate {
        result.divide(seconds(window.end_ms - window.start_ms));
    }
    result.reset_hint = ResetHint::Gauge;
    result.compact();
    Some(result)
}

/// Returns what the counter was each time before it started again. `left` and `right` stand for the first and the last point.
fn lost_between<'a>(
    used: &'a [(i64, Arc<Histogram>)],
    left: &'a Histogram,
    right: &Histogram,
    is_left_interpolated: bool,
) -> Vec<&'a Histogram> {
    let mut before = left;
    let mut inner = used.get(1..).unwrap_or_default();
    if let [(_, first), (_, second), ..] = used
        && is_left_interpolated
        && second.is_reset_after(first)
    {
        // The interpolation has taken this start into account.
        before = second;
        inner = inner.get(1..).unwrap_or_default();
        if inner.is_empty() {
            return Vec::new();
        }
    }
    let mut lost = Vec::new();
    let inner = inner.split_last().map_or(inner, |(_, inner)| inner);
    if used.len() == 1 {
        return lost;
    }
    for (_, point) in inner {
        if point.is_reset_after(before) {
            lost.push(before);
        }
        before = point;
    }
    if right.is_reset_after(before) {
        lost.push(before);
    }
    lost
}
