//! Functions over windows of floats that need not look at every sample of every window again.

use super::column::Column;
use super::context::Worker;
use super::math::{Sum, quantile_of_sorted};
use super::over_time::{OverTime, mean_of, sum_of};
use super::ranges::{Slide, Windows};
use crate::source::Samples;

/// Evaluates `function` for all steps when there is a short way; tells whether there was.
pub(crate) fn column(
    function: OverTime,
    samples: &Samples,
    windows: &Windows<'_>,
    worker: &mut Worker,
    out: &mut Column,
) -> bool {
    let (timestamps, values) = (samples.timestamps.as_slice(), samples.values.as_slice());
    let seconds = |index: usize| timestamps[index] as f64 / 1000.0;
    let slides = Slides { samples, windows };
    match function {
        OverTime::Count => slides.each(worker, out, |slide| (slide.to - slide.from) as f64),
        OverTime::Present => slides.each(worker, out, |_| 1.0),
        OverTime::First => slides.each(worker, out, |slide| values[slide.from]),
        OverTime::Last => slides.each(worker, out, |slide| values[slide.to - 1]),
        OverTime::TsOfFirst => slides.each(worker, out, |slide| seconds(slide.from)),
        OverTime::TsOfLast => slides.each(worker, out, |slide| seconds(slide.to - 1)),
        OverTime::Sum | OverTime::Avg => sums(function == OverTime::Avg, values, &slides, worker, out),
        OverTime::Min => extremes(values, &slides, worker, out, |value, other| value < other),
        OverTime::Max => extremes(values, &slides, worker, out, |value, other| value > other),
        #[expect(clippy::float_cmp, reason = "a change is any change")]
        OverTime::Changes => {
            counts(values, &slides, worker, out, |before, this| before != this && !(before.is_nan() && this.is_nan()))
        }
        OverTime::Resets if samples.start_timestamps.is_empty() => {
            counts(values, &slides, worker, out, |before, this| this < before);
        }
        OverTime::Quantile => return quantiles(values, &slides, worker, out),
        OverTime::Deriv
        | OverTime::Mad
        | OverTime::PredictLinear
        | OverTime::Resets
        | OverTime::Smoothing
        | OverTime::Stddev
        | OverTime::Stdvar
        | OverTime::TsOfMax
        | OverTime::TsOfMin => return false,
    }
    true
}

/// `irate` and `idelta`: of the last two samples.
pub(crate) fn instant_rate(
    is_rate: bool,
    samples: &Samples,
    windows: &Windows<'_>,
    worker: &mut Worker,
    out: &mut Column,
) {
    let (timestamps, values) = (samples.timestamps.as_slice(), samples.values.as_slice());
    Slides { samples, windows }.each(worker, out, |slide| {
        if slide.to - slide.from < 2 {
            return super::column::ABSENT;
        }
        let (from, to) = (values[slide.to - 2], values[slide.to - 1]);
        if !is_rate {
            return to - from;
        }
        let seconds = (timestamps[slide.to - 1] - timestamps[slide.to - 2]) as f64 / 1000.0;
        (if to < from { to } else { to - from }) / seconds
    });
}

/// The windows over one series.
struct Slides<'a> {
    samples: &'a Samples,
    windows: &'a Windows<'a>,
}

impl Slides<'_> {
    /// Calls `evaluate` for each window that holds something.
    fn each(&self, worker: &mut Worker, out: &mut Column, mut evaluate: impl FnMut(Slide) -> f64) {
        let mut geometry = std::mem::take(&mut worker.geometry);
        geometry.lay(&self.samples.timestamps, &self.windows.look, self.windows.range_ms);
        worker.count_all(&geometry);
        for (place, slide) in out.floats.iter_mut().zip(&geometry.slides) {
            if !slide.is_empty() {
                *place = evaluate(*slide);
            }
        }
        worker.geometry = geometry;
    }
}

/// Sums and means. Where all values have one sign nothing can cancel, and any order of compensated additions gives the
/// same to the last digit or so: then no sample is added more than twice. Else each window is added up on its own.
fn sums(is_mean: bool, values: &[f64], slides: &Slides<'_>, worker: &mut Worker, out: &mut Column) {
    let is_tame = (values.iter().all(|value| *value >= 0.0) || values.iter().all(|value| *value <= 0.0))
        && values.iter().sum::<f64>().is_finite();
    if !is_tame {
        slides.each(worker, out, |slide| {
            let window = &values[slide.from..slide.to];
            if is_mean { mean_of(window) } else { sum_of(window) }
        });
        return;
    }
    // A queue of two stacks: sums from each sample up to `middle`, and the sum of those behind it.
    let mut suffixes: Vec<Sum> = Vec::new();
    let (mut begin, mut middle, mut end) = (0, 0, 0);
    let mut behind = Sum { value: 0.0, lost: 0.0 };
    slides.each(worker, out, |slide| {
        if slide.from >= middle {
            (begin, middle, end) = (slide.from, slide.to, slide.to);
            behind = Sum { value: 0.0, lost: 0.0 };
            suffixes.clear();
            let mut suffix = behind;
            suffixes.extend(values[begin..middle].iter().rev().map(|value| {
                suffix.add(*value);
                suffix
            }));
            suffixes.reverse();
        }
        for value in &values[end..slide.to] {
            behind.add(*value);
        }
        end = slide.to;
        let mut sum = suffixes[slide.from - begin];
        sum.add(behind.value);
        sum.lost += behind.lost;
        let count = (slide.to - slide.from) as f64;
        if is_mean { sum.value / count + sum.lost / count } else { sum.total() }
    });
}

/// Minima and maxima: keeps candidates in the order of time, none of them beaten by a later one.
fn extremes(
    values: &[f64],
    slides: &Slides<'_>,
    worker: &mut Worker,
    out: &mut Column,
    is_better: impl Fn(f64, f64) -> bool,
) {
    let mut candidates: std::collections::VecDeque<usize> = std::collections::VecDeque::new();
    let mut seen = 0;
    slides.each(worker, out, |slide| {
        for (index, value) in values.iter().enumerate().take(slide.to).skip(seen.max(slide.from)) {
            while candidates.back().is_some_and(|last| values[*last].is_nan() || is_better(*value, values[*last])) {
                candidates.pop_back();
            }
            candidates.push_back(index);
        }
        seen = slide.to;
        while candidates.front().is_some_and(|first| *first < slide.from) {
            candidates.pop_front();
        }
        candidates.front().map_or(f64::NAN, |first| values[*first])
    });
}

/// Counts neighbours that `is_counted`, by the counts up to each sample.
fn counts(
    values: &[f64],
    slides: &Slides<'_>,
    worker: &mut Worker,
    out: &mut Column,
    is_counted: impl Fn(f64, f64) -> bool,
) {
    let mut up_to: Vec<u32> = Vec::with_capacity(values.len());
    let mut count = 0;
    for (index, value) in values.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| values[before]);
        count += u32::from(before.is_some_and(|before| is_counted(before, *value)));
        up_to.push(count);
    }
    slides.each(worker, out, |slide| f64::from(up_to[slide.to - 1] - up_to[slide.from]));
}

/// Quantiles: keeps the window's values sorted while it moves.
fn quantiles(values: &[f64], slides: &Slides<'_>, worker: &mut Worker, out: &mut Column) -> bool {
    let Some(wanted) = slides.windows.scalars.first() else { return false };
    if wanted.iter().any(|wanted| !(0.0..=1.0).contains(wanted)) {
        return false;
    }
    let wanted = *wanted.first().unwrap_or(&f64::NAN);
    if slides.windows.scalars.iter().flatten().any(|other| other.to_bits() != wanted.to_bits()) {
        return false;
    }
    let mut sorted: Vec<u64> = Vec::new();
    let mut before = Slide::default();
    slides.each(worker, out, |slide| {
        let moved = (slide.from - before.from) + (slide.to - before.to);
        if slide.from >= before.to || moved > (slide.to - slide.from) / 8 + 8 {
            sorted.clear();
            sorted.extend(values[slide.from..slide.to].iter().map(|value| key(*value)));
            sorted.sort_unstable();
        } else {
            for value in &values[before.to..slide.to] {
                let key = key(*value);
                let place = sorted.partition_point(|other| *other < key);
                sorted.insert(place, key);
            }
            for value in &values[before.from..slide.from] {
                let key = key(*value);
                let place = sorted.partition_point(|other| *other < key);
                if place < sorted.len() {
                    sorted.remove(place);
                }
            }
        }
        before = slide;
        quantile_of_sorted(wanted, sorted.len(), |index| value(sorted[index]))
    });
    true
}

const SIGN: u64 = 1 << 63;

/// Maps a float to a number that sorts as floats do, NaN before all.
fn key(value: f64) -> u64 {
    let bits = value.to_bits();
    if value.is_nan() {
        0
    } else if bits & SIGN == 0 {
        bits | SIGN
    } else {
        !bits
    }
}

fn value(key: u64) -> f64 {
    match key {
        0 => f64::NAN,
        key if key & SIGN == 0 => f64::from_bits(!key),
        key => f64::from_bits(key & !SIGN),
    }
}
