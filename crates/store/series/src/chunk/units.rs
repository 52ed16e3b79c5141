//! Columns of multiples of one unit that is no decimal number: ratios with a constant divisor, sums of quantized measurements.
//!
//! The unit is found from the smallest differences, whose ratio is one of small whole numbers, and made exact by the largest.
//! Format: docs/formats/series-chunks.md, "Floats".

/// Differences from which the unit is found.
const PROBE: usize = 12;
/// Denominators of ratios that are tried; beyond them any two floats would seem to have a common unit.
const DENOMINATOR_MAX: f64 = 65_536.0;
/// Finer units of which the one that is known may be a multiple.
const PARTS_MAX: u32 = 64;
/// How far from a whole number a multiple may be at first, and once the unit is nearly exact.
const NEAR: f64 = 1.0 / 64.0;

/// A column as `base + unit · number`, nearly.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Multiples {
    pub(crate) base: f64,
    pub(crate) unit: f64,
    pub(crate) numbers: Vec<i64>,
}

/// Returns `base + unit · number`, rounded twice, the same everywhere.
#[expect(
    clippy::cast_precision_loss,
    reason = "the encoder stays below 2^53; beyond that rounding is the same everywhere"
)]
pub(crate) fn multiple(base: f64, unit: f64, number: i64) -> f64 {
    base + unit * number as f64
}

/// Finds the unit of a column; `None` when it has none, or values that are no finite numbers.
pub(crate) fn find(values: &[f64]) -> Option<Multiples> {
    let base = *values.first()?;
    if values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let mut steps: Vec<f64> =
        values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).filter(|step| *step > 0.0).collect();
    let count = PROBE.min(steps.len());
    if count < 3 {
        return None;
    }
    steps.select_nth_unstable_by(count - 1, f64::total_cmp);
    steps.truncate(count);
    steps.sort_unstable_by(f64::total_cmp);
    // Each step may be wrong by the rounding of the values around it.
    let largest = values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let error = largest * f64::EPSILON;
    let unit = common_unit(&steps, error)?;
    exact(values, base, unit)
}

/// Returns the largest number of which all steps, which rise, are nearly multiples.
fn common_unit(steps: &[f64], error: f64) -> Option<f64> {
    let mut unit = *steps.first()?;
    for step in steps {
        let ratio = step / unit;
        // What the errors of both do to the ratio.
        let tolerance = (error / unit * (1.0 + ratio)).max(1e-12) * 2.0;
        if tolerance > NEAR {
            return None;
        }
        let whole = ratio.round();
        if (ratio - whole).abs() <= tolerance {
            continue;
        }
        let parts = denominator(ratio, tolerance)?;
        unit /= parts;
        if steps[0] / unit > DENOMINATOR_MAX {
            return None;
        }
    }
    Some(unit)
}

/// Returns the smallest denominator of a fraction that is `ratio` within the tolerance.
fn denominator(ratio: f64, tolerance: f64) -> Option<f64> {
    // Continued fraction: denominators of its convergents.
    let (mut before, mut now) = (0.0, 1.0);
    let mut rest = ratio.fract();
    for _ in 0..24 {
        if rest < 1e-9 {
            return None;
        }
        let inverse = 1.0 / rest;
        (before, now) = (now, inverse.floor() * now + before);
        if now > DENOMINATOR_MAX {
            return None;
        }
        let near = ratio * now;
        if (near - near.round()).abs() <= tolerance * now {
            // So good a fraction must not be chance: a random ratio has one with an error of about 1/denominator².
            return (tolerance * now * now < NEAR).then_some(now);
        }
        rest = inverse.fract();
    }
    None
}

/// Tells all values as multiples, and makes the unit exact by those that are farthest from the base.
fn exact(values: &[f64], base: f64, unit: f64) -> Option<Multiples> {
    let mut order: Vec<(f64, usize)> = values.iter().enumerate().map(|(place, value)| (value - base, place)).collect();
    order.sort_unstable_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
    let mut unit = unit;
    let mut farthest = 0.0_f64;
    let mut finer = 0;
    let mut place = 0;
    while let Some((distance, _)) = order.get(place) {
        let ratio = distance / unit;
        let whole = ratio.round();
        if whole.abs() >= 4_503_599_627_370_496.0 {
            return None;
        }
        if (ratio - whole).abs() > 0.125 {
            // The steps that were looked at had a common factor.
            let parts = (2..=PARTS_MAX).find(|parts| {
                let ratio = ratio * f64::from(*parts);
                (ratio - ratio.round()).abs() < NEAR
            })?;
            finer += 1;
            if finer > 3 {
                return None;
            }
            unit /= f64::from(parts);
            (place, farthest) = (0, 0.0);
            continue;
        }
        if whole.abs() > farthest {
            farthest = whole.abs();
            unit = distance / whole;
        }
        place += 1;
    }
    let numbers = values.iter().map(|value| whole_number((value - base) / unit)).collect();
    Some(Multiples { base, unit, numbers })
}

#[expect(clippy::cast_possible_truncation, reason = "below 2^52 by the test before")]
fn whole_number(ratio: f64) -> i64 {
    ratio.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_found_and_chance_is_not_taken_for_one() {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            f64::from(u32::try_from(state >> 32).unwrap())
        };
        let thirds: Vec<f64> = (0..240).map(|_| (random() % 1000.0).floor() / 300.0).collect();
        let found = find(&thirds).unwrap();
        assert!((found.unit * 300.0).recip().fract().min(0.5) < 0.01, "{}", found.unit);
        let mut sum = 0.0;
        let sums: Vec<f64> = (0..480)
            .map(|_| {
                sum += (random() % 1_048_576.0).floor() / 1_048_576.0 * 7.3;
                sum
            })
            .collect();
        let found = find(&sums).unwrap();
        assert!((found.unit - 7.3 / 1_048_576.0).abs() < 1e-15, "{}", found.unit);
        for (value, number) in sums.iter().zip(&found.numbers) {
            let distance = (value - multiple(found.base, found.unit, *number)).abs();
            assert!(distance <= 40.0 * f64::EPSILON * value.abs(), "{value}");
        }
        let chance: Vec<f64> = (0..480).map(|_| (random() + 0.5).sqrt()).collect();
        assert_eq!(find(&chance), None);
        assert_eq!(find(&[1.0, f64::NAN, 2.0, 3.0]), None);
        assert_eq!(find(&[]), None);
    }
}
