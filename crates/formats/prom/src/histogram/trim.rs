//! Cutting off the observations beyond a value.

use super::{Bucket, Histogram};

/// Which observations stay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trim {
    /// Those at or below the value.
    Below(f64),
    /// Those above the value.
    Above(f64),
}

/// What of a bucket stays, and the value that stands for it.
struct Rest {
    count: f64,
    middle: f64,
}

impl Trim {
    /// Returns what stays of a bucket that is not the zero bucket. What lies in a bucket that is cut is guessed as for quantiles.
    fn rest(self, bucket: &Bucket, custom: bool) -> Rest {
        let all = || Rest { count: bucket.count, middle: middle(bucket.lower, bucket.upper, custom) };
        let nothing = Rest { count: 0.0, middle: 0.0 };
        let is_endless = bucket.lower == f64::NEG_INFINITY || bucket.upper == f64::INFINITY;
        match self {
            Self::Below(at) if bucket.upper <= at => all(),
            Self::Below(at) if bucket.lower < at && is_endless => self.rest_of_endless(bucket, at),
            Self::Below(at) if bucket.lower < at => {
                let below = bucket.count * bucket.fraction_below(at, custom);
                Rest { count: below, middle: middle(bucket.lower, at, custom) }
            }
            Self::Above(at) if bucket.lower >= at => all(),
            Self::Above(at) if bucket.upper > at && is_endless => self.rest_of_endless(bucket, at),
            Self::Above(at) if bucket.upper > at => {
                let below = bucket.count * bucket.fraction_below(at, custom);
                Rest { count: bucket.count - below, middle: middle(at, bucket.upper, custom) }
            }
            Self::Below(_) | Self::Above(_) => nothing,
        }
    }

    /// Returns what stays of a bucket that has no lower or no upper end and that is cut at `at`.
    fn rest_of_endless(self, bucket: &Bucket, at: f64) -> Rest {
        let nothing = Rest { count: 0.0, middle: 0.0 };
        // The lowest custom bucket: taken as beginning at 0 when it ends above that.
        if bucket.lower == f64::NEG_INFINITY {
            let is_above_zero = bucket.upper > 0.0 && bucket.upper.is_finite();
            return match self {
                Self::Below(_) if at > 0.0 && is_above_zero => {
                    Rest { count: bucket.count * at / bucket.upper, middle: at / 2.0 }
                }
                Self::Below(_) if bucket.upper <= 0.0 => Rest { count: bucket.count, middle: at },
                Self::Above(_) if at >= 0.0 && is_above_zero => {
                    Rest { count: bucket.count * (1.0 - at / bucket.upper), middle: f64::midpoint(at, bucket.upper) }
                }
                Self::Below(_) | Self::Above(_) => nothing,
            };
        }
        match self {
            Self::Above(_) => Rest { count: bucket.count, middle: at },
            Self::Below(_) => nothing,
        }
    }

    /// Returns what stays of the zero bucket, which is evenly filled between its ends.
    fn rest_around_zero(self, count: f64, lower: f64, upper: f64) -> Rest {
        let part = |from: f64, to: f64| Rest {
            count: count * ((to - from) / (upper - lower)),
            middle: f64::midpoint(from, to),
        };
        let all = Rest { count, middle: f64::midpoint(lower, upper) };
        let nothing = Rest { count: 0.0, middle: 0.0 };
        match self {
            Self::Below(at) if at <= lower => nothing,
            Self::Below(at) if at >= upper => all,
            Self::Below(at) => part(lower, at),
            Self::Above(at) if at <= lower => all,
            Self::Above(at) if at >= upper => nothing,
            Self::Above(at) => part(at, upper),
        }
    }
}

/// Returns the value in the middle of an interval that does not cross zero: the geometric mean unless `linear`.
fn middle(lower: f64, upper: f64, linear: bool) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        (false, false) if linear => f64::midpoint(lower, upper),
        (false, false) => (lower * upper).abs().sqrt().copysign(if upper > 0.0 { upper } else { lower }),
    }
}

impl Histogram {
    /// Cuts off the observations beyond a value. Count and sum are guessed anew from the buckets when something was cut.
    pub fn trim(&mut self, trim: Trim) {
        let custom = self.has_custom_buckets();
        let (mut count, mut sum, mut is_cut) = (0.0, 0.0, false);
        let mut rests = |buckets: super::Buckets<'_>| {
            let mut has_filled = false;
            let counts: Vec<f64> = buckets
                .map(|bucket| {
                    if bucket.count == 0.0 {
                        return 0.0;
                    }
                    has_filled = true;
                    let rest = trim.rest(&bucket, custom);
                    count += rest.count;
                    sum += rest.middle * rest.count;
                    is_cut |= rest.count != bucket.count;
                    rest.count
                })
                .collect();
            (counts, has_filled)
        };
        let (positive, has_positive) = rests(self.positive());
        let (negative, has_negative) = rests(self.negative());
        if self.zero_count > 0.0 {
            let lower = if has_positive && !has_negative { 0.0 } else { -self.zero_threshold };
            let upper = if has_negative && !has_positive { 0.0 } else { self.zero_threshold };
            let rest = trim.rest_around_zero(self.zero_count, lower, upper);
            is_cut |= rest.count != self.zero_count;
            sum += rest.middle * rest.count;
            count += rest.count;
            self.zero_count = rest.count;
        }
        if is_cut {
            (self.positive_buckets, self.negative_buckets, self.count, self.sum) = (positive, negative, count, sum);
            self.compact();
        }
    }
}
