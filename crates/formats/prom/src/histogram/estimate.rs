//! Quantiles, fractions and moments, estimated from buckets.

use super::{Bucket, Histogram, Kahan};

/// What a reader of an estimate should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EstimateNotice {
    /// Observations that are no number were taken as greater than all others.
    SkewedByNan,
    /// The quantile lies among observations that are no number.
    IsNan,
    /// Observations that are no number are in no bucket, so the fraction leaves them out.
    WithoutNan,
}

/// A number that buckets allow to guess.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// What to know about it.
    pub notice: Option<EstimateNotice>,
}

impl From<f64> for Estimate {
    fn from(value: f64) -> Self {
        Self { value, notice: None }
    }
}

impl Histogram {
    /// Returns the value below which the part `q` of the observations lies.
    ///
    /// Custom buckets and the zero bucket are taken as evenly filled, exponential ones as evenly filled on a logarithmic scale.
    /// Without negative buckets the zero bucket begins at 0, without positive ones it ends there.
    /// No observations or no number as `q`: NaN; `q` below 0: -Inf; above 1: +Inf.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Estimate {
        if q < 0.0 {
            return f64::NEG_INFINITY.into();
        }
        if q > 1.0 {
            return f64::INFINITY.into();
        }
        if self.count == 0.0 || q.is_nan() {
            return f64::NAN.into();
        }
        // From the nearer end, for precision; observations that are no number are in no bucket, and count as beyond the upper end.
        if self.sum.is_nan() || q < 0.5 {
            self.quantile_from(&mut self.ascending(), q, true)
        } else {
            self.quantile_from(&mut self.descending(), q, false)
        }
    }

    fn quantile_from(&self, buckets: &mut dyn Iterator<Item = Bucket>, q: f64, ascending: bool) -> Estimate {
        let mut rank = if ascending { q * self.count } else { (1.0 - q) * self.count };
        let nothing =
            Bucket { lower: 0.0, upper: 0.0, lower_inclusive: false, upper_inclusive: false, count: 0.0, index: 0 };
        let (mut bucket, mut count) = (nothing, 0.0);
        for next in &mut *buckets {
            bucket = next;
            if bucket.count == 0.0 {
                continue;
            }
            count += bucket.count;
            if count >= rank {
                break;
            }
        }
        if self.has_custom_buckets() {
            if bucket.lower == f64::NEG_INFINITY {
                if bucket.upper <= 0.0 {
                    return bucket.upper.into();
                }
                bucket.lower = 0.0;
            } else if bucket.upper == f64::INFINITY {
                return bucket.lower.into();
            }
        } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
            self.narrow_zero_bucket(&mut bucket);
        }
        // Rounding may make the buckets' sum a little greater.
        count = count.min(self.count);
        if count < rank {
            if self.sum.is_nan() {
                return Estimate { value: f64::NAN, notice: Some(EstimateNotice::IsNan) };
            }
            return bucket.upper.into();
        }
        rank = if ascending { rank - (count - bucket.count) } else { count - rank };
        let mut notice = None;
        if self.sum.is_nan() {
            // Whether really observations are missing in the buckets; -Inf and +Inf together make such a sum, too.
            let rest: f64 = buckets.map(|bucket| bucket.count).sum();
            notice = (count + rest < self.count).then_some(EstimateNotice::SkewedByNan);
        }
        Estimate { value: self.interpolate(&bucket, rank / bucket.count), notice }
    }

    fn interpolate(&self, bucket: &Bucket, fraction: f64) -> f64 {
        if self.has_custom_buckets() || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
            return bucket.lower + (bucket.upper - bucket.lower) * fraction;
        }
        let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
        if bucket.lower > 0.0 {
            (lower + (upper - lower) * fraction).exp2()
        } else {
            -(upper + (lower - upper) * (1.0 - fraction)).exp2()
        }
    }

    fn narrow_zero_bucket(&self, bucket: &mut Bucket) {
        if self.negative_buckets.is_empty() && !self.positive_buckets.is_empty() {
            bucket.lower = 0.0;
        } else if self.positive_buckets.is_empty() && !self.negative_buckets.is_empty() {
            bucket.upper = 0.0;
        }
    }

    /// Returns the part of the observations between `lower` and `upper`: the inverse of [`Self::quantile`].
    ///
    /// No observations, or a bound that is no number: NaN.
    #[must_use]
    pub fn fraction(&self, lower: f64, upper: f64) -> Estimate {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return f64::NAN.into();
        }
        if lower >= upper {
            return 0.0.into();
        }
        let mut count = 0.0;
        let (mut rank, mut lower_rank, mut upper_rank) = (0.0, None, None);
        let mut buckets = self.ascending();
        for mut bucket in &mut buckets {
            count += bucket.count;
            let around_zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
            if around_zero {
                self.narrow_zero_bucket(&mut bucket);
            }
            let linear = self.has_custom_buckets() || around_zero;
            for (at, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
                if found.is_none() {
                    *found = rank_in(&bucket, at, rank, linear);
                }
            }
            if lower_rank.is_some() && upper_rank.is_some() {
                break;
            }
            rank += bucket.count;
        }
        let mut notice = None;
        if self.sum.is_nan() {
            count += buckets.map(|bucket| bucket.count).sum::<f64>();
            notice = (count < self.count).then_some(EstimateNotice::WithoutNan);
        } else {
            count = self.count;
        }
        let at_most = |rank: Option<f64>| rank.map_or(count, |rank| if rank > count { count } else { rank });
        Estimate { value: (at_most(upper_rank) - at_most(lower_rank)) / self.count, notice }
    }

    /// Returns the mean of the observations.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum / self.count
    }

    /// Returns the variance of the observations, each taken as the middle of its bucket: the geometric one for exponential buckets.
    #[must_use]
    pub fn variance(&self) -> f64 {
        let mean = self.mean();
        let mut variance = Kahan::default();
        for bucket in self.ascending().filter(|bucket| bucket.count != 0.0) {
            let value = if self.has_custom_buckets() {
                f64::midpoint(bucket.upper, bucket.lower)
            } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
                0.0
            } else {
                (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
            };
            let distance = value - mean;
            variance.add(bucket.count * distance * distance);
        }
        variance.total() / self.count
    }
}

/// Returns how many observations are at or below `value` when that is known with this bucket; `rank` are below the bucket.
fn rank_in(bucket: &Bucket, value: f64, rank: f64, linear: bool) -> Option<f64> {
    if bucket.lower >= value {
        return Some(rank);
    }
    if bucket.upper <= value {
        return None;
    }
    // Nothing can be guessed inside a bucket without end: all of it counts as below.
    if linear && bucket.lower == f64::NEG_INFINITY {
        return Some(bucket.count);
    }
    Some(rank + bucket.count * bucket.fraction_below(value, linear))
}
