//! Downsampling: of each interval the first and last sample, those around resets, and count, sum, smallest and largest.
//!
//! Intervals are open at the left as windows of queries are: (k·r, (k+1)·r]. What they keep stands at the time of their last
//! sample. So a window whose ends lie on the grid sees whole intervals, and gets the very answer of the samples as they came:
//! `rate` and `increase` need a window's first and last sample and all resets, the others the columns.

use std::path::Path;
use std::sync::Arc;

use maru_prom::{Histogram, is_stale_marker};

use super::merge::{self, for_each_series};
use super::{Cancel, plan};
use crate::block::{Block, BlockError, BlockId, BlockInfo, BlockWriter, Samples, WriteOptions};
use crate::chunk::{Column, EncodedChunk};
use crate::starts::Starts;

/// A series that falls more often than once in so many samples is no counter: its falls are no resets.
const FALLS_ARE_RESETS_UP_TO: usize = 8;

/// The columns of one series at one resolution.
#[derive(Debug, Default)]
struct Thinned {
    kept: Samples,
    ends: Vec<i64>,
    counts: Vec<f64>,
    sums: Vec<f64>,
    least: Vec<f64>,
    most: Vec<f64>,
}

/// Downsamples a window to some resolutions, reading its samples once. Returns what was written.
pub(crate) fn run(
    parent: &Path,
    mut next_id: impl FnMut() -> BlockId,
    blocks: &[Arc<Block>],
    planned: &plan::Downsample,
    cancel: &Cancel<'_>,
) -> Result<Vec<BlockInfo>, BlockError> {
    let mut writers = Vec::new();
    let newest_source = blocks.iter().map(|block| block.info().newest_source).max();
    for (resolution_ms, replaces) in &planned.resolutions {
        let id = next_id();
        let newest_source = newest_source.unwrap_or(id);
        let options =
            WriteOptions { id, resolution_ms: *resolution_ms, level: 1, replaces: replaces.clone(), newest_source };
        writers.push((BlockWriter::create(parent, options)?, *resolution_ms));
    }
    let mut total = 0;
    for_each_series(blocks, cancel, |labels, holders| {
        let mut samples = Samples::default();
        for (block, series) in holders {
            for column in [Column::Floats, Column::Histograms] {
                let mut own = Samples::default();
                if block.read_column(series, planned.window, column, &mut own) > 0 {
                    return Err(merge::damaged(block));
                }
                samples.merge(own);
            }
        }
        if samples.is_empty() {
            return Ok(());
        }
        total += (samples.timestamps.len() + samples.histograms.len()) as u64;
        let starts = merge::starts(holders, planned.window)?;
        let packed_starts = starts.encode().map_err(merge::refused)?;
        for (writer, resolution_ms) in &mut writers {
            let mut chunks = thin(&samples, &starts, *resolution_ms).pack()?;
            chunks.extend(packed_starts.iter().cloned());
            writer.add(labels, &chunks)?;
        }
        Ok(())
    })?;
    let mut written = Vec::new();
    for (mut writer, _) in writers {
        writer.set_samples(total);
        written.extend(writer.finish()?);
    }
    Ok(written)
}

/// Returns the number of the interval that contains `at_ms`.
fn interval(at_ms: i64, resolution_ms: i64) -> i64 {
    at_ms.saturating_sub(1).div_euclid(resolution_ms)
}

fn thin(samples: &Samples, starts: &Starts, resolution_ms: i64) -> Thinned {
    let mut thinned = Thinned::default();
    let falls = samples.values.windows(2).filter(|pair| pair[1] < pair[0]).count();
    let is_counter = falls * FALLS_ARE_RESETS_UP_TO <= samples.values.len();
    let mut start = 0;
    for group in samples.timestamps.chunk_by(|a, b| interval(*a, resolution_ms) == interval(*b, resolution_ms)) {
        let end = start + group.len();
        thinned.floats(group, &samples.values[start..end], is_counter, starts);
        start = end;
    }
    let same = |a: &(i64, Arc<Histogram>), b: &(i64, Arc<Histogram>)| {
        interval(a.0, resolution_ms) == interval(b.0, resolution_ms)
    };
    for group in samples.histograms.chunk_by(same) {
        thinned.histograms(group, starts);
    }
    thinned
}

impl Thinned {
    /// Adds the floats of one interval.
    fn floats(&mut self, timestamps: &[i64], values: &[f64], is_counter: bool, starts: &Starts) {
        let (mut count, mut sum, mut lost) = (0.0, 0.0, 0.0);
        let (mut least, mut most) = (f64::NAN, f64::NAN);
        for value in values.iter().copied().filter(|value| !is_stale_marker(*value)) {
            count += 1.0;
            // Kahan: what the sum is too small for is carried along.
            let next: f64 = sum + value;
            lost += if f64::abs(sum) >= f64::abs(value) { (sum - next) + value } else { (value - next) + sum };
            sum = next;
            least = if least.is_nan() || value < least { value } else { least };
            most = if most.is_nan() || value > most { value } else { most };
        }
        if count > 0.0 {
            self.ends.extend(timestamps.last());
            self.counts.push(count);
            self.sums.push(if sum.is_finite() { sum + lost } else { sum });
            self.least.push(least);
            self.most.push(most);
        }
        let last = values.len().saturating_sub(1);
        for (at, value) in values.iter().enumerate() {
            let falls = |a: Option<&f64>, b: Option<&f64>| matches!((a, b), (Some(a), Some(b)) if b < a);
            let before_reset = is_counter && falls(Some(value), values.get(at + 1));
            let after_reset = is_counter && at > 0 && falls(values.get(at - 1), Some(value));
            // A series that ends and begins again keeps its gap.
            let at_gap = is_stale_marker(*value) || at > 0 && values.get(at - 1).is_some_and(|v| is_stale_marker(*v));
            let before_gap = values.get(at + 1).is_some_and(|next| is_stale_marker(*next));
            let at_start = is_at_start(starts, at, |place| timestamps.get(place).copied());
            if at == 0 || at == last || before_reset || after_reset || at_gap || before_gap || at_start {
                self.kept.timestamps.extend(timestamps.get(at));
                self.kept.values.push(*value);
            }
        }
    }

    /// Adds the histograms of one interval.
    fn histograms(&mut self, group: &[(i64, Arc<Histogram>)], starts: &Starts) {
        let last = group.len().saturating_sub(1);
        let falls = |a: Option<&(i64, Arc<Histogram>)>, b: Option<&(i64, Arc<Histogram>)>| match (a, b) {
            (Some((_, a)), Some((_, b))) => is_reset(a, b),
            _ => false,
        };
        for (at, sample) in group.iter().enumerate() {
            let before_reset = falls(Some(sample), group.get(at + 1));
            let after_reset = at > 0 && falls(group.get(at - 1), Some(sample));
            let at_start = is_at_start(starts, at, |place| group.get(place).map(|(at, _)| *at));
            if at == 0 || at == last || before_reset || after_reset || at_start {
                self.kept.histograms.push(sample.clone());
            }
        }
    }

    fn pack(&self) -> Result<Vec<EncodedChunk>, BlockError> {
        let floats =
            |values: &[f64]| Samples { timestamps: self.ends.clone(), values: values.to_vec(), histograms: Vec::new() };
        let mut chunks = merge::pack(&self.kept, Column::Floats)?;
        for (column, values) in [
            (Column::Count, &self.counts),
            (Column::Sum, &self.sums),
            (Column::Min, &self.least),
            (Column::Max, &self.most),
        ] {
            if !values.is_empty() {
                chunks.extend(merge::pack(&floats(values), column)?);
            }
        }
        Ok(chunks)
    }
}

/// Tells whether the counter behind a sample started anew before or behind it.
fn is_at_start(starts: &Starts, at: usize, moment: impl Fn(usize) -> Option<i64>) -> bool {
    if starts.is_empty() {
        return false;
    }
    let start = |place: Option<usize>| place.and_then(&moment).map(|at| starts.at(at));
    let own = start(Some(at));
    [at.checked_sub(1), at.checked_add(1)].into_iter().any(|other| start(other).is_some_and(|other| Some(other) != own))
}

/// Tells whether the counter behind two histograms started again between them, or whether that cannot be ruled out.
fn is_reset(before: &Histogram, after: &Histogram) -> bool {
    use maru_prom::ResetHint;
    match after.reset_hint {
        ResetHint::Gauge => false,
        ResetHint::CounterReset => true,
        ResetHint::Unknown | ResetHint::NotCounterReset => {
            let shrinks = |a: &[f64], b: &[f64]| a.len() > b.len() || a.iter().zip(b).any(|(a, b)| b < a);
            let same_places =
                before.positive_spans == after.positive_spans && before.negative_spans == after.negative_spans;
            after.count < before.count
                || after.zero_count < before.zero_count
                || after.schema != before.schema
                || before.custom_values != after.custom_values
                || after.is_stale_marker() != before.is_stale_marker()
                || !same_places
                || shrinks(&before.positive_buckets, &after.positive_buckets)
                || shrinks(&before.negative_buckets, &after.negative_buckets)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        let timestamps = (1..).map(|i| i * 15_000).take(values.len()).collect();
        Samples { timestamps, values: values.to_vec(), histograms: Vec::new() }
    }

    #[test]
    fn intervals_keep_what_queries_on_the_grid_need() {
        let mut values: Vec<f64> = (0..40).map(f64::from).collect();
        values[5] = 2.0;
        values[6] = maru_prom::stale_marker();
        let thinned = thin(&samples(&values), &Starts::default(), 300_000);
        assert_eq!(thinned.ends, [300_000, 600_000]);
        assert_eq!(thinned.counts, [19.0, 20.0]);
        let all: Vec<f64> = values[..20].iter().copied().filter(|value| !is_stale_marker(*value)).collect();
        assert_eq!(thinned.sums[0], all.iter().sum::<f64>());
        assert_eq!((thinned.least[0], thinned.most[0]), (0.0, 19.0));
        let kept: Vec<i64> = thinned.kept.timestamps.iter().map(|at| at / 15_000).collect();
        assert_eq!(kept, [1, 5, 6, 7, 8, 20, 21, 40]);
    }

    #[test]
    fn falls_of_a_gauge_are_no_resets() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i % 2)).collect();
        assert_eq!(thin(&samples(&values), &Starts::default(), 300_000).kept.timestamps.len(), 4);
    }
}
