//! Samples in the order of time, each moment once.

use std::sync::Arc;

use maru_prom::{Histogram, ResetHint};

use crate::block::TimeRange;

type HistogramAt = (i64, Arc<Histogram>);

/// Puts samples in order and keeps the first of those at one moment. Samples that are in order already cost one look.
pub(crate) fn tidy(timestamps: &mut Vec<i64>, values: &mut Vec<f64>, histograms: &mut Vec<HistogramAt>) {
    if !timestamps.is_sorted_by(|a, b| a < b) {
        let mut both: Vec<(i64, f64)> = timestamps.iter().copied().zip(values.iter().copied()).collect();
        both.sort_by_key(|(at, _)| *at);
        both.dedup_by_key(|(at, _)| *at);
        (*timestamps, *values) = both.into_iter().unzip();
    }
    if !histograms.is_sorted_by(|a, b| a.0 < b.0) {
        histograms.sort_by_key(|(at, _)| *at);
        histograms.dedup_by_key(|(at, _)| *at);
        // What came late may stand between a histogram and the one that its hint is about.
        histograms.iter_mut().for_each(|(_, histogram)| doubt(histogram));
    }
    if !histograms.is_empty() && !timestamps.is_empty() {
        histograms.retain(|(at, _)| timestamps.binary_search(at).is_err());
    }
}

/// Takes out the samples in `range`. Samples are in order.
pub(crate) fn hide(
    range: TimeRange,
    timestamps: &mut Vec<i64>,
    values: &mut Vec<f64>,
    histograms: &mut Vec<HistogramAt>,
) {
    let start = timestamps.partition_point(|at| *at < range.start_ms);
    let end = timestamps.partition_point(|at| *at <= range.end_ms).max(start);
    timestamps.drain(start..end);
    values.drain(start..end.min(values.len()));
    let start = histograms.partition_point(|(at, _)| *at < range.start_ms);
    let end = histograms.partition_point(|(at, _)| *at <= range.end_ms).max(start);
    if start < end
        && let Some((_, behind)) = histograms.get_mut(end)
    {
        doubt(behind);
    }
    histograms.drain(start..end);
}

/// Takes back what was said about the histogram before.
fn doubt(histogram: &mut Arc<Histogram>) {
    if histogram.reset_hint == ResetHint::NotCounterReset {
        Arc::make_mut(histogram).reset_hint = ResetHint::Unknown;
    }
}

/// Takes out the samples outside `range`. Samples are in order.
pub(crate) fn clip(
    range: TimeRange,
    timestamps: &mut Vec<i64>,
    values: &mut Vec<f64>,
    histograms: &mut Vec<HistogramAt>,
) {
    let end = timestamps.partition_point(|at| *at <= range.end_ms);
    timestamps.truncate(end);
    values.truncate(end);
    let start = timestamps.partition_point(|at| *at < range.start_ms);
    if start > 0 {
        timestamps.drain(..start);
        values.drain(..start);
    }
    histograms.retain(|(at, _)| (range.start_ms..=range.end_ms).contains(at));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_at_a_moment_stays() {
        let (mut timestamps, mut values) = (vec![1, 3, 2, 3, 1], vec![1.0, 3.0, 2.0, 9.0, 9.0]);
        tidy(&mut timestamps, &mut values, &mut Vec::new());
        assert_eq!((timestamps.as_slice(), values.as_slice()), ([1, 2, 3].as_slice(), [1.0, 2.0, 3.0].as_slice()));
        clip(TimeRange { start_ms: 2, end_ms: 9 }, &mut timestamps, &mut values, &mut Vec::new());
        assert_eq!(timestamps, [2, 3]);
        hide(TimeRange { start_ms: 3, end_ms: 3 }, &mut timestamps, &mut values, &mut Vec::new());
        assert_eq!((timestamps, values), (vec![2], vec![2.0]));
    }

    #[test]
    fn hints_about_the_histogram_before_are_taken_back_when_it_is_another() {
        let known = || Arc::new(Histogram { reset_hint: ResetHint::NotCounterReset, ..Histogram::empty(0) });
        let hints = |histograms: &[HistogramAt]| -> Vec<ResetHint> {
            histograms.iter().map(|(_, histogram)| histogram.reset_hint).collect()
        };
        let mut histograms = vec![(1, known()), (2, known()), (3, known())];
        tidy(&mut Vec::new(), &mut Vec::new(), &mut histograms);
        assert_eq!(hints(&histograms), [ResetHint::NotCounterReset; 3]);
        hide(TimeRange { start_ms: 2, end_ms: 2 }, &mut Vec::new(), &mut Vec::new(), &mut histograms);
        assert_eq!(hints(&histograms), [ResetHint::NotCounterReset, ResetHint::Unknown]);
        let mut histograms = vec![(1, known()), (3, known()), (2, known())];
        tidy(&mut Vec::new(), &mut Vec::new(), &mut histograms);
        assert_eq!(hints(&histograms), [ResetHint::Unknown; 3]);
    }
}
