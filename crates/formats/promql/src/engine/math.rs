//! Arithmetic as IEEE 754 and Go's library have it, and compensated sums.

use crate::BinaryOperator;

/// A sum with what rounding took from it (Kahan, in Neumaier's form).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sum {
    pub(crate) value: f64,
    pub(crate) lost: f64,
}

impl Sum {
    /// The sum of nothing. Negative zero is the neutral element of addition: the sum of -0 alone stays -0.
    pub(crate) const ZERO: Self = Self { value: -0.0, lost: 0.0 };

    /// Adds `value`.
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        (self.value, self.lost) = add(self.value, self.lost, value);
    }

    /// Returns the sum; an infinite one has lost nothing.
    #[inline]
    pub(crate) fn total(self) -> f64 {
        self.value + self.lost
    }
}

/// Adds `value` to `sum`, of which rounding took `lost` so far.
#[inline]
pub(crate) fn add(sum: f64, lost: f64, value: f64) -> (f64, f64) {
    let total = sum + value;
    let more = if sum.abs() >= value.abs() { (sum - total) + value } else { (value - total) + sum };
    (total, if total.is_infinite() { 0.0 } else { lost + more })
}

/// A mean: by the sum as long as that does not overflow, then step by step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mean {
    /// The sum, or (once `is_stepwise`) the mean.
    pub(crate) sum: Sum,
    pub(crate) count: f64,
    pub(crate) is_stepwise: bool,
}

impl Mean {
    pub(crate) const NOTHING: Self = Self { sum: Sum::ZERO, count: 0.0, is_stepwise: false };

    /// Adds `value`.
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.sum = Sum { value, lost: 0.0 };
            return;
        }
        if !self.is_stepwise {
            let (total, lost) = add(self.sum.value, self.sum.lost, value);
            if !total.is_infinite() {
                self.sum = Sum { value: total, lost };
                return;
            }
            self.is_stepwise = true;
            self.sum.value /= self.count - 1.0;
            self.sum.lost /= self.count - 1.0;
        }
        self.add_stepwise(value, 1.0);
    }

    /// Adds the mean `value` of `weight` values, which are counted already.
    fn add_stepwise(&mut self, value: f64, weight: f64) {
        let share = (self.count - weight) / self.count;
        let part = value * (weight / self.count);
        (self.sum.value, self.sum.lost) = add(share * self.sum.value, share * self.sum.lost, part);
    }

    /// Adds what another one has gathered.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0.0 {
            return;
        }
        if self.count == 0.0 {
            *self = *other;
            return;
        }
        let (total, lost) = add(self.sum.value, self.sum.lost, other.sum.value);
        if !self.is_stepwise && !other.is_stepwise && !total.is_infinite() {
            self.sum = Sum { value: total, lost: lost + other.sum.lost };
            self.count += other.count;
            return;
        }
        if !self.is_stepwise {
            self.is_stepwise = true;
            self.sum = Sum { value: self.sum.value / self.count, lost: self.sum.lost / self.count };
        }
        self.count += other.count;
        self.add_stepwise(other.mean(), other.count);
    }

    /// Returns the mean.
    #[inline]
    pub(crate) fn mean(&self) -> f64 {
        if self.is_stepwise { self.sum.total() } else { self.sum.value / self.count + self.sum.lost / self.count }
    }
}

/// Returns the quantile of `values`, which it sorts: NaN counts as the smallest.
pub(crate) fn quantile(quantile: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || quantile.is_nan() {
        return f64::NAN;
    }
    if quantile < 0.0 {
        return f64::NEG_INFINITY;
    }
    if quantile > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|left, right| match (left.is_nan(), right.is_nan()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Less,
        (false, true) => std::cmp::Ordering::Greater,
        (false, false) => left.partial_cmp(right).unwrap_or(std::cmp::Ordering::Equal),
    });
    quantile_of_sorted(quantile, values.len(), |index| values[index])
}

/// Returns the quantile (0 to 1) of `count` sorted values, at least one: between two of them by their distance.
pub(crate) fn quantile_of_sorted(quantile: f64, count: usize, value: impl Fn(usize) -> f64) -> f64 {
    let rank = quantile * (count - 1) as f64;
    let weight = rank - rank.floor();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the number of values")]
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(count - 1);
    value(lower) * (1.0 - weight) + value(upper) * weight
}

/// Returns the smaller; NaN when one is.
pub(crate) fn min(left: f64, right: f64) -> f64 {
    if left.is_nan() || right.is_nan() {
        return f64::NAN;
    }
    if left == 0.0 && right == 0.0 {
        return if left.is_sign_negative() { left } else { right };
    }
    left.min(right)
}

/// Returns the larger; NaN when one is.
pub(crate) fn max(left: f64, right: f64) -> f64 {
    if left.is_nan() || right.is_nan() {
        return f64::NAN;
    }
    if left == 0.0 && right == 0.0 {
        return if left.is_sign_negative() { right } else { left };
    }
    left.max(right)
}

/// Computes `left operator right`; comparisons give 1 or 0.
#[inline]
pub(crate) fn arithmetic(operator: BinaryOperator, left: f64, right: f64) -> f64 {
    match operator {
        BinaryOperator::Add => left + right,
        BinaryOperator::Subtract => left - right,
        BinaryOperator::Multiply => left * right,
        BinaryOperator::Divide => left / right,
        BinaryOperator::Modulo => left % right,
        BinaryOperator::Power => left.powf(right),
        BinaryOperator::Atan2 => left.atan2(right),
        BinaryOperator::Equal
        | BinaryOperator::NotEqual
        | BinaryOperator::Less
        | BinaryOperator::LessOrEqual
        | BinaryOperator::Greater
        | BinaryOperator::GreaterOrEqual => f64::from(u8::from(compare(operator, left, right))),
        BinaryOperator::TrimUpper
        | BinaryOperator::TrimLower
        | BinaryOperator::And
        | BinaryOperator::Or
        | BinaryOperator::Unless => f64::NAN,
    }
}

/// Tells whether a comparison holds.
#[inline]
#[expect(clippy::float_cmp, reason = "PromQL compares exactly")]
pub(crate) fn compare(operator: BinaryOperator, left: f64, right: f64) -> bool {
    match operator {
        BinaryOperator::Equal => left == right,
        BinaryOperator::NotEqual => left != right,
        BinaryOperator::Less => left < right,
        BinaryOperator::LessOrEqual => left <= right,
        BinaryOperator::Greater => left > right,
        BinaryOperator::GreaterOrEqual => left >= right,
        _ => false,
    }
}

/// Writes a float without an exponent, with as few digits as tell it apart.
pub(crate) fn plain(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        format!("{value}")
    }
}
