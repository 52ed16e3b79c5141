//! Telling whether a counter started again.

use super::buckets::{Buckets, bound, exponential_bound, index_in};
use super::sum::intersection;
use super::{CUSTOM_BUCKETS_SCHEMA, Histogram, ResetHint};

impl Histogram {
    /// Tells whether the counter started again between `previous` and this sample: by the hint where it says so, otherwise
    /// because the count, the zero count or a bucket shrank, the resolution grew or the zero bucket narrowed.
    #[must_use]
    pub fn is_reset_after(&self, previous: &Self) -> bool {
        match self.reset_hint {
            ResetHint::CounterReset => true,
            ResetHint::NotCounterReset => false,
            ResetHint::Unknown | ResetHint::Gauge => self.shrank_since(previous),
        }
    }

    /// Returns the hint that a store gives this sample, which came right behind `previous`: "not reset" where that is sure, so that
    /// readers need not compare buckets. A gauge stays one, and a start that was told stays told.
    #[must_use]
    pub fn hint_behind(&self, previous: Option<&Self>) -> ResetHint {
        match self.reset_hint {
            hint @ (ResetHint::Gauge | ResetHint::CounterReset) => hint,
            ResetHint::Unknown | ResetHint::NotCounterReset => match previous {
                Some(previous) if self.continues(previous) => ResetHint::NotCounterReset,
                _ => ResetHint::Unknown,
            },
        }
    }

    /// Tells whether this counter grew out of `previous`, in the same layout.
    fn continues(&self, previous: &Self) -> bool {
        if previous.reset_hint == ResetHint::Gauge || previous.is_stale_marker() != self.is_stale_marker() {
            return self.is_stale_marker() && previous.reset_hint != ResetHint::Gauge;
        }
        self.schema == previous.schema
            && self.zero_threshold == previous.zero_threshold
            && self.custom_values == previous.custom_values
            && !self.shrank_since(previous)
    }

    fn shrank_since(&self, previous: &Self) -> bool {
        if self.count < previous.count {
            return true;
        }
        if self.has_custom_buckets() {
            if !previous.has_custom_buckets() {
                return true;
            }
            if self.custom_values != previous.custom_values {
                return self.has_smaller_common_bucket(previous);
            }
            return has_smaller_bucket(&mut exact(self.positive()), &mut exact(previous.positive()));
        }
        // The schema of custom buckets is below all others: what it was before then is finer.
        if previous.has_custom_buckets()
            || self.schema > previous.schema
            || self.zero_threshold < previous.zero_threshold
        {
            return true;
        }
        // What the zero bucket covers now is compared with it; a filled bucket that it would cut tells of another start.
        let (zero_count, threshold) = previous.zero_count_for(self.zero_threshold);
        if threshold != self.zero_threshold || self.zero_count < zero_count {
            return true;
        }
        let sides = [(self.positive(), previous.positive()), (self.negative(), previous.negative())];
        sides.into_iter().any(|(mine, theirs)| {
            let mut mine = merged(mine, self.schema, self.schema, threshold);
            let mut theirs = merged(theirs, previous.schema, self.schema, threshold);
            has_smaller_bucket(&mut mine, &mut theirs)
        })
    }

    /// Compares custom buckets of different bounds, joined between the bounds that both have.
    fn has_smaller_common_bucket(&self, previous: &Self) -> bool {
        let common = intersection(&self.custom_values, &previous.custom_values);
        let joined = |histogram: &Self| {
            let mut buckets = vec![0.0; common.len() + 1];
            for (index, count) in exact(histogram.positive()) {
                let upper = bound(index, CUSTOM_BUCKETS_SCHEMA, &histogram.custom_values);
                if let Some(bucket) = buckets.get_mut(common.partition_point(|bound| *bound < upper)) {
                    *bucket += count;
                }
            }
            buckets
        };
        joined(self).iter().zip(joined(previous)).any(|(mine, theirs)| *mine < theirs)
    }
}

fn exact(mut buckets: Buckets<'_>) -> impl Iterator<Item = (i32, f64)> {
    std::iter::from_fn(move || buckets.next_cell())
}

/// Goes over buckets in a coarser schema, without those that end at `threshold` or nearer to zero.
fn merged(buckets: Buckets<'_>, schema: i32, target: i32, threshold: f64) -> impl Iterator<Item = (i32, f64)> {
    let beyond = exact(buckets)
        .skip_while(move |(index, _)| threshold > 0.0 && exponential_bound(*index, schema) <= threshold)
        .map(move |(index, count)| (index_in(index, schema, target), count));
    let mut cells = beyond.peekable();
    std::iter::from_fn(move || {
        let (index, mut sum) = cells.next()?;
        while let Some((_, count)) = cells.next_if(|(next, _)| *next == index) {
            sum += count;
        }
        Some((index, sum))
    })
}

/// Tells whether a filled bucket is missing now or holds less.
fn has_smaller_bucket(
    mine: &mut impl Iterator<Item = (i32, f64)>,
    previous: &mut impl Iterator<Item = (i32, f64)>,
) -> bool {
    let mut own = mine.next();
    for (index, count) in previous {
        while own.is_some_and(|(own, _)| own < index) {
            own = mine.next();
        }
        let now = own.filter(|(own, _)| *own == index).map(|(_, now)| now);
        if now.map_or(count != 0.0, |now| now < count) {
            return true;
        }
    }
    false
}
