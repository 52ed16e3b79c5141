//! Classic histograms: one series per bucket, each counting all observations up to its bound.

/// Differences between two buckets that are smaller than this part of them are rounding.
const ROUNDING: f64 = 1e-12;

/// One bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bucket {
    /// Its upper bound.
    pub(super) bound: f64,
    /// All observations up to it.
    pub(super) count: f64,
}

/// Where counts fell with growing bounds and were lifted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lifted {
    /// The least and the greatest bound concerned.
    pub(super) bounds: (f64, f64),
    /// The greatest fall.
    pub(super) difference_max: f64,
}

/// Joins buckets of equal bounds. They are in the order of their bounds.
pub(super) fn join_equal(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|later, earlier| {
        let is_equal = later.bound == earlier.bound;
        if is_equal {
            earlier.count += later.count;
        }
        is_equal
    });
}

/// Makes counts rise with the bounds: scrapes in between, lost samples and rounding let them fall.
pub(super) fn lift(buckets: &mut [Bucket]) -> Option<Lifted> {
    let (first, rest) = buckets.split_first_mut()?;
    let mut before = first.count;
    let mut lifted: Option<Lifted> = None;
    for bucket in rest {
        if bucket.count == before {
            continue;
        }
        if is_nearly(before, bucket.count) {
            bucket.count = before;
        } else if bucket.count < before {
            let bound = bucket.bound;
            let all = lifted.get_or_insert(Lifted { bounds: (f64::INFINITY, f64::NEG_INFINITY), difference_max: 0.0 });
            all.bounds = (all.bounds.0.min(bound), all.bounds.1.max(bound));
            all.difference_max = all.difference_max.max(before - bucket.count);
            bucket.count = before;
        } else {
            before = bucket.count;
        }
    }
    lifted
}

/// Tells whether two numbers differ by rounding only.
fn is_nearly(one: f64, other: f64) -> bool {
    if one == other || (one.is_nan() && other.is_nan()) {
        return true;
    }
    let sum = one.abs() + other.abs();
    let difference = (one - other).abs();
    if one == 0.0 || other == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < ROUNDING * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < ROUNDING
}

/// Tells whether the last bucket has no end: without that the total is not known.
pub(super) fn is_complete(buckets: &[Bucket]) -> bool {
    buckets.last().is_some_and(|last| last.bound == f64::INFINITY)
}

/// Returns the value below which the part `q` of the observations lies, each bucket taken as evenly filled. The buckets are
/// in order, joined and lifted. The lowest one begins at 0 when it ends above; beyond the last bound there is only that bound.
pub(super) fn quantile(q: f64, buckets: &[Bucket]) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let (Some(last), true) = (buckets.last(), is_complete(buckets) && buckets.len() >= 2) else { return f64::NAN };
    if last.count == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * last.count;
    let place = buckets.partition_point(|bucket| {
        // No number is never reached.
        let reached = bucket.count >= rank;
        !reached
    });
    let place = place.min(buckets.len() - 1);
    let before = place.checked_sub(1).and_then(|before| buckets.get(before));
    let Some(bucket) = buckets.get(place) else { return f64::NAN };
    match before {
        Some(before) if place == buckets.len() - 1 => before.bound,
        None if bucket.bound <= 0.0 => bucket.bound,
        _ => {
            let (start, mut count) = (before.map_or(0.0, |before| before.bound), bucket.count);
            if let Some(before) = before {
                count -= before.count;
                rank -= before.count;
            }
            start + (bucket.bound - start) * (rank / count)
        }
    }
}

/// Returns the part of the observations between `lower` and `upper`. The buckets are in order and joined.
pub(super) fn fraction(lower: f64, upper: f64, buckets: &[Bucket]) -> f64 {
    let (Some(first), Some(last), true) = (buckets.first(), buckets.last(), is_complete(buckets)) else {
        return f64::NAN;
    };
    let total = last.count;
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let mut start = if first.bound <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let (mut rank, mut lower_rank, mut upper_rank) = (0.0, None, None);
    for bucket in buckets {
        for (value, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if found.is_some() {
                continue;
            }
            if start >= value {
                *found = Some(rank);
            } else if bucket.bound > value {
                // Nothing can be guessed inside a bucket without end.
                *found = Some(if start == f64::NEG_INFINITY {
                    bucket.count
                } else {
                    rank + (bucket.count - rank) * (value - start) / (bucket.bound - start)
                });
            }
        }
        (rank, start) = (bucket.count, bucket.bound);
    }
    let at_most = |rank: Option<f64>| rank.map_or(total, |rank: f64| if rank > total { total } else { rank });
    (at_most(upper_rank) - at_most(lower_rank)) / total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|(bound, count)| Bucket { bound: *bound, count: *count }).collect()
    }

    #[test]
    fn quantiles_interpolate_and_stop_at_the_last_bound() {
        let some = buckets(&[(1.0, 1.0), (2.0, 3.0), (f64::INFINITY, 4.0)]);
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|q| quantile(q, &some)), [0.0, 1.0, 1.5, 2.0, 2.0]);
        assert_eq!(quantile(-0.1, &some), f64::NEG_INFINITY);
        assert_eq!(quantile(1.1, &some), f64::INFINITY);
        assert!(quantile(f64::NAN, &some).is_nan());
        assert!(quantile(0.5, &some[..2]).is_nan(), "the total is not known");
        assert!(quantile(0.5, &buckets(&[(f64::INFINITY, 4.0)])).is_nan());
    }

    #[test]
    fn falling_counts_are_lifted_and_told_but_not_rounding() {
        let mut some = buckets(&[(1.0, 5.0), (2.0, 3.0), (3.0, 5.0 - 1e-13), (f64::INFINITY, 4.0)]);
        let lifted = lift(&mut some).unwrap();
        assert_eq!(lifted.bounds, (2.0, f64::INFINITY));
        assert_eq!(lifted.difference_max, 2.0);
        assert!(some.iter().all(|bucket| bucket.count == 5.0));
    }

    #[test]
    fn fractions_are_the_inverse_of_quantiles() {
        let some = buckets(&[(1.0, 1.0), (2.0, 3.0), (f64::INFINITY, 4.0)]);
        assert_eq!(fraction(f64::NEG_INFINITY, 1.5, &some), 0.5);
        assert_eq!(fraction(0.0, 2.0, &some), 0.75);
        assert_eq!(fraction(2.0, f64::INFINITY, &some), 0.25);
        assert_eq!(fraction(2.0, 1.0, &some), 0.0);
    }
}
