//! Functions over windows of floats that need not look at every sample of every window again.

use super::column::Column;
use super::context::Worker;
use super::over_time::OverTime;
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
    match function {
        OverTime::Count => slide(samples, windows, worker, out, |slide| (slide.to - slide.from) as f64),
        OverTime::Present => slide(samples, windows, worker, out, |_| 1.0),
        OverTime::First => slide(samples, windows, worker, out, |slide| values[slide.from]),
        OverTime::Last => slide(samples, windows, worker, out, |slide| values[slide.to - 1]),
        OverTime::TsOfFirst => slide(samples, windows, worker, out, |slide| timestamps[slide.from] as f64 / 1000.0),
        OverTime::TsOfLast => slide(samples, windows, worker, out, |slide| timestamps[slide.to - 1] as f64 / 1000.0),
        OverTime::Sum => {
            slide(samples, windows, worker, out, |slide| super::over_time::sum_of(&values[slide.from..slide.to]))
        }
        OverTime::Avg => {
            slide(samples, windows, worker, out, |slide| super::over_time::mean_of(&values[slide.from..slide.to]))
        }
        OverTime::Min | OverTime::Max => {
            // Candidates in the order of time, each better than all after it: the first one inside is the best.
            let is_max = function == OverTime::Max;
            let mut candidates = std::collections::VecDeque::new();
            let mut seen = 0;
            slide(samples, windows, worker, out, |slide| {
                while seen < slide.to {
                    let value = values[seen];
                    while let Some(last) = candidates.back() {
                        let other: f64 = values[*last];
                        let loses =
                            other.is_nan() || (!value.is_nan() && if is_max { other < value } else { other > value });
                        if !loses {
                            break;
                        }
                        candidates.pop_back();
                    }
                    candidates.push_back(seen);
                    seen += 1;
                }
                while candidates.front().is_some_and(|first| *first < slide.from) {
                    candidates.pop_front();
                }
                candidates.front().map_or(f64::NAN, |first| values[*first])
            });
        }
        OverTime::Changes
        | OverTime::Deriv
        | OverTime::Mad
        | OverTime::PredictLinear
        | OverTime::Quantile
        | OverTime::Resets
        | OverTime::Smoothing
        | OverTime::Stddev
        | OverTime::Stdvar
        | OverTime::TsOfMax
        | OverTime::TsOfMin => return false,
    }
    true
}

/// Calls `evaluate` for each window that holds something.
fn slide(
    samples: &Samples,
    windows: &Windows<'_>,
    worker: &mut Worker,
    out: &mut Column,
    mut evaluate: impl FnMut(Slide) -> f64,
) {
    let timestamps = samples.timestamps.as_slice();
    let mut slide = Slide::default();
    for (step, place) in out.floats.iter_mut().enumerate() {
        let end_ms = windows.look.moment(step);
        slide.advance(timestamps.len(), end_ms.saturating_sub(windows.range_ms), end_ms, |index| timestamps[index]);
        if !slide.is_empty() {
            worker.count(step, slide.to - slide.from);
            *place = evaluate(slide);
        }
    }
}
