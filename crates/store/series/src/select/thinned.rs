//! What a function gets from downsampled samples: the same answer, a sound one, or none.
//!
//! Intervals keep of floats the first and last sample, those around restarts of counters and around staleness markers, and beside
//! them the count, sum, least and greatest of all. Of histograms they keep first, last and those around restarts.

use std::sync::Arc;

use crate::block::{Block, BlockSeries, Samples, TimeRange};
use crate::chunk::Column;

/// How a function reads a downsampled block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thinned {
    /// The samples that were kept answer it: they are true samples, with the first, last and every restart among them.
    Kept,
    /// One number of each interval answers it, at the time of the interval's last sample.
    Numbers(Column),
    /// As many samples as each interval had answer it, each the interval's mean.
    Means,
    /// It needs every sample.
    Refused,
}

impl Thinned {
    /// Returns how `function` reads: the one right around the selector, empty when there is none.
    pub(crate) fn of(function: &str) -> Self {
        match function {
            "min_over_time" => Self::Numbers(Column::Min),
            "max_over_time" => Self::Numbers(Column::Max),
            "sum_over_time" => Self::Numbers(Column::Sum),
            "count_over_time" | "avg_over_time" => Self::Means,
            "changes"
            | "double_exponential_smoothing"
            | "mad_over_time"
            | "quantile_over_time"
            | "stddev_over_time"
            | "stdvar_over_time"
            | "ts_of_max_over_time"
            | "ts_of_min_over_time" => Self::Refused,
            _ => Self::Kept,
        }
    }

    /// Tells whether histograms of which only some were kept give no answer.
    pub(crate) fn needs_all_histograms(self) -> bool {
        match self {
            Self::Kept | Self::Numbers(Column::Min | Column::Max) => false,
            Self::Numbers(_) | Self::Means | Self::Refused => true,
        }
    }
}

/// Appends the samples of each interval's mean, as many as there were, spread evenly over the interval up to its last sample's time.
pub(crate) fn read_means(block: &Arc<Block>, series: &BlockSeries, range: TimeRange, into: &mut Samples) {
    let interval_ms = block.info().resolution_ms.max(1);
    let (mut counts, mut sums) = (Samples::default(), Samples::default());
    // What is missing is named by the block's damage.
    block.read(series, range, Column::Count, &mut counts);
    block.read(series, range, Column::Sum, &mut sums);
    let mut totals = sums.timestamps.iter().zip(&sums.values).peekable();
    for (last_ms, count) in counts.timestamps.iter().zip(&counts.values) {
        while totals.next_if(|(at, _)| *at < last_ms).is_some() {}
        let Some((_, sum)) = totals.next_if(|(at, _)| *at == last_ms) else { continue };
        let start_ms = last_ms.saturating_sub(1).div_euclid(interval_ms).saturating_mul(interval_ms);
        let samples = whole(*count).clamp(0, last_ms.saturating_sub(start_ms));
        for number in 1..=samples {
            // The last one stands at the interval's last sample.
            into.timestamps.push(start_ms + (last_ms - start_ms) * number / samples);
            into.values.push(sum / count);
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "counts are whole and far below 2^53; others become 0 or the limit"
)]
fn whole(count: f64) -> i64 {
    count as i64
}
