//! What samples allow to say: bounds of ratios and quantiles, and how many samples are needed.
//!
//! Every bound is one-sided at its confidence: "at least `low` with 95 %" and "at most `high` with 95 %" are two statements.
//! Source: Clopper and Pearson 1934; Conover, "Practical Nonparametric Statistics", confidence intervals for a quantile;
//! Press et al., "Numerical Recipes" §6.4 for the continued fraction.

/// Between which values something lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

/// Between which ranks a quantile lies; none where so few samples do not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RankBounds {
    /// The quantile is at least the sample of this rank, counted from 1.
    pub low: Option<u64>,
    /// The quantile is at most the sample of this rank, counted from 1.
    pub high: Option<u64>,
}

/// Samples above this say nothing more, and sums of them stay exact.
const SAMPLES_MAX: u64 = 1 << 52;

fn float(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are capped where floats are exact")]
    let float = count.min(SAMPLES_MAX) as f64;
    float
}

/// Returns both one-sided Clopper-Pearson bounds of the true ratio, after `successes` of `samples`.
#[must_use]
pub fn ratio_bounds(successes: u64, samples: u64, confidence: f64) -> Bounds {
    let (successes, samples) = (float(successes.min(samples)), float(samples));
    let error = (1.0 - confidence).clamp(1e-12, 1.0);
    if samples == 0.0 {
        return Bounds { low: 0.0, high: 1.0 };
    }
    let failures = samples - successes;
    let low = if successes == 0.0 { 0.0 } else { beta_quantile(error, successes, failures + 1.0) };
    let high = if failures == 0.0 { 1.0 } else { beta_quantile(1.0 - error, successes + 1.0, failures) };
    Bounds { low, high }
}

/// Returns the two-sided Clopper-Pearson interval, as tables and other programs print it.
#[must_use]
pub fn clopper_pearson(successes: u64, samples: u64, confidence: f64) -> Bounds {
    ratio_bounds(successes, samples, f64::midpoint(1.0, confidence))
}

/// Returns the bounds of a ratio from blocks of samples that follow each other in time: `(successes, samples)` each.
///
/// Neighbouring requests fail together. Where blocks differ more than independent samples would, as many samples count as
/// would have given that difference (the design effect of cluster samples, with the ratio estimator's variance).
#[must_use]
pub fn clustered_bounds(blocks: &[(u64, u64)], confidence: f64) -> Bounds {
    let successes: u64 = blocks.iter().map(|(good, total)| (*good).min(*total)).sum();
    let samples: u64 = blocks.iter().map(|(_, total)| *total).sum();
    let used: Vec<(f64, f64)> =
        blocks.iter().filter(|(_, total)| *total > 0).map(|(good, total)| (float(*good), float(*total))).collect();
    let ratio = float(successes) / float(samples).max(1.0);
    let binomial = ratio * (1.0 - ratio);
    if used.len() < 2 || binomial <= 0.0 {
        return ratio_bounds(successes, samples, confidence);
    }
    let count = float(used.len() as u64);
    let squares: f64 = used.iter().map(|(good, total)| (good - ratio * total).powi(2)).sum();
    let variance = squares * count / (count - 1.0) / float(samples).powi(2);
    let effect = (variance / (binomial / float(samples))).max(1.0);
    let (shrunk_successes, shrunk_samples) = (float(successes) / effect, float(samples) / effect);
    let failures = shrunk_samples - shrunk_successes;
    let error = (1.0 - confidence).clamp(1e-12, 1.0);
    Bounds {
        low: beta_quantile(error, shrunk_successes, failures + 1.0),
        high: beta_quantile(1.0 - error, shrunk_successes + 1.0, failures),
    }
}

/// Returns how many samples without a failure show that at least `ratio` is good: 299 for 99 % at 95 % confidence.
#[must_use]
pub fn zero_failure_samples(ratio: f64, confidence: f64) -> Option<u64> {
    if !(0.0..1.0).contains(&ratio) || !(0.0..1.0).contains(&confidence) {
        return None;
    }
    if ratio == 0.0 {
        return Some(1);
    }
    let samples = ((1.0 - confidence).ln() / ratio.ln()).ceil().max(1.0);
    whole(samples)
}

fn whole(value: f64) -> Option<u64> {
    if !(0.0..=float(SAMPLES_MAX)).contains(&value) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked above")]
    let whole = value as u64;
    Some(whole)
}

/// Returns how many of `samples` a share is.
pub(crate) fn successes(ratio: f64, samples: u64) -> Option<u64> {
    whole((ratio.clamp(0.0, 1.0) * float(samples)).round())
}

/// Returns between which ranks of `samples` sorted samples the `quantile` of what they were drawn from lies.
#[must_use]
pub fn quantile_ranks(samples: u64, quantile: f64, confidence: f64) -> RankBounds {
    let nothing = RankBounds { low: None, high: None };
    if samples == 0 || samples > SAMPLES_MAX || !(0.0..=1.0).contains(&quantile) {
        return nothing;
    }
    let error = (1.0 - confidence).clamp(1e-12, 1.0);
    // The sample of rank r is at most the quantile when at least r samples fall below: P(X >= r) = 1 - P(X <= r - 1).
    let is_low = |rank: u64| binomial_cdf(rank - 1, samples, quantile) <= error;
    let is_high = |rank: u64| binomial_cdf(rank - 1, samples, quantile) >= 1.0 - error;
    let low = is_low(1).then(|| last(1, samples, is_low));
    let high = is_high(samples).then(|| samples + 1 - last(1, samples, |mirrored| is_high(samples + 1 - mirrored)));
    RankBounds { low, high }
}

/// Returns the last number of a range for which a condition holds that holds up to some point, and at the first.
fn last(first: u64, end: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut known, mut unknown) = (first, end);
    while known < unknown {
        let middle = known + (unknown - known).div_ceil(2);
        if holds(middle) {
            known = middle;
        } else {
            unknown = middle - 1;
        }
    }
    known
}

/// Returns bounds of a quantile from sorted samples; infinite where the samples do not say it.
#[must_use]
pub fn quantile_bounds(sorted: &[f64], quantile: f64, confidence: f64) -> Bounds {
    let ranks = quantile_ranks(sorted.len() as u64, quantile, confidence);
    let at = |rank: Option<u64>| {
        rank.and_then(|rank| usize::try_from(rank.saturating_sub(1)).ok()).and_then(|index| sorted.get(index)).copied()
    };
    Bounds { low: at(ranks.low).unwrap_or(f64::NEG_INFINITY), high: at(ranks.high).unwrap_or(f64::INFINITY) }
}

/// Returns about how many more samples tell on which side of `boundary` the ratio lies, if the share stays as it is.
///
/// None when the share is at the boundary, or more than 10^12 would be needed.
#[must_use]
pub fn samples_needed(successes: u64, samples: u64, boundary: f64, confidence: f64) -> Option<u64> {
    const MAX: u64 = 1_000_000_000_000;
    if samples == 0 {
        return zero_failure_samples(boundary, confidence);
    }
    let ratio = float(successes.min(samples)) / float(samples);
    let decides = |count: u64| {
        let good = whole((ratio * float(count)).round()).unwrap_or_default();
        let bounds = ratio_bounds(good, count, confidence);
        bounds.low >= boundary || bounds.high < boundary
    };
    let mut enough = samples;
    while !decides(enough) {
        enough = enough.saturating_mul(2);
        if enough > MAX {
            return None;
        }
    }
    let mut short = samples;
    while enough - short > 1 + enough / 1_000 {
        let middle = short + (enough - short) / 2;
        if decides(middle) {
            enough = middle;
        } else {
            short = middle;
        }
    }
    Some(enough - samples)
}

/// Returns P(X <= count) of `samples` draws that succeed with `probability`.
#[must_use]
pub fn binomial_cdf(count: u64, samples: u64, probability: f64) -> f64 {
    if count >= samples {
        return 1.0;
    }
    incomplete_beta(1.0 - probability, float(samples - count), float(count) + 1.0)
}

/// Finds the x at which the regularised incomplete beta function reaches `probability`.
fn beta_quantile(probability: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    let mut guess = a / (a + b);
    let scale = ln_beta(a, b);
    for _ in 0..200 {
        let error = incomplete_beta_scaled(guess, a, b, scale) - probability;
        if error == 0.0 {
            break;
        }
        if error > 0.0 {
            high = guess;
        } else {
            low = guess;
        }
        // Newton's step where it stays inside, halving where it does not.
        let density = ((a - 1.0) * guess.ln() + (b - 1.0) * (-guess).ln_1p() - scale).exp();
        let step = guess - error / density;
        let next = if step.is_finite() && step > low && step < high { step } else { f64::midpoint(low, high) };
        if (next - guess).abs() <= 1e-15 * guess.min(1.0 - guess) || high - low <= f64::EPSILON * high.min(1.0 - low) {
            return next;
        }
        guess = next;
    }
    guess
}

/// The regularised incomplete beta function I_x(a, b).
#[must_use]
pub fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    incomplete_beta_scaled(x, a, b, ln_beta(a, b))
}

fn incomplete_beta_scaled(x: f64, a: f64, b: f64, scale: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (a * x.ln() + b * (-x).ln_1p() - scale).exp();
    let value = if x < (a + 1.0) / (a + b + 2.0) {
        front * continued_fraction(x, a, b) / a
    } else {
        1.0 - front * continued_fraction(1.0 - x, b, a) / b
    };
    value.clamp(0.0, 1.0)
}

fn continued_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    // Takes about the square root of the larger of a and b steps.
    const STEPS_MAX: u32 = 2_000_000;
    let guard = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for step in 1..STEPS_MAX {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

/// ln B(a, b), without the loss that the difference of three large logarithms brings.
fn ln_beta(a: f64, b: f64) -> f64 {
    let (small, large) = (a.min(b), a.max(b));
    if large < 20.0 {
        return ln_gamma(small) + ln_gamma(large) - ln_gamma(small + large);
    }
    let sum = small + large;
    if small < 20.0 {
        // ln Γ(large) - ln Γ(sum) by Stirling's series, differences taken before they grow.
        let difference = (large - 0.5) * (-(small / sum)).ln_1p() - small * sum.ln() + small;
        return ln_gamma(small) + difference + stirling(large) - stirling(sum);
    }
    let half_ln_two_pi = 0.918_938_533_204_672_8;
    (small - 0.5) * (small / sum).ln() + large * (-(small / sum)).ln_1p() - 0.5 * large.ln()
        + half_ln_two_pi
        + stirling(small)
        + stirling(large)
        - stirling(sum)
}

/// ln Γ(x) - ((x - 1/2) ln x - x + ln(2π)/2), for x of 20 and more.
fn stirling(x: f64) -> f64 {
    let square = x * x;
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / (1680.0 * square)) / square) / square) / x
}

/// ln Γ(x) for x above 0: shifted up to where Stirling's series is exact to the last digits.
fn ln_gamma(x: f64) -> f64 {
    let (mut shifted, mut product) = (x, 1.0);
    while shifted < 20.0 {
        product *= shifted;
        shifted += 1.0;
    }
    (shifted - 0.5) * shifted.ln() - shifted + 0.918_938_533_204_672_8 + stirling(shifted) - product.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(actual: f64, expected: f64, tolerance: f64) {
        assert!((actual - expected).abs() <= tolerance, "{actual} is not {expected}");
    }

    #[test]
    fn intervals_are_the_published_ones() {
        // Two-sided 95 % limits as tables of the binomial distribution print them.
        for (successes, samples, low, high) in [
            (0, 10, 0.0, 0.308_497_107_818_760_7),
            (1, 10, 0.002_528_578_544_461_785, 0.445_016_117_028_195_4),
            (5, 10, 0.187_086_028_447_398_55, 0.812_913_971_552_601_5),
            (10, 10, 0.691_502_892_181_239_3, 1.0),
            (10, 20, 0.271_957_849_560_791_83, 0.728_042_150_439_208_2),
            (2, 100, 0.002_431_336_823_942_542, 0.070_383_932_471_070_11),
            (999, 1000, 0.994_441_075_720_173_4, 0.999_974_682_512_508_8),
        ] {
            let bounds = clopper_pearson(successes, samples, 0.95);
            near(bounds.low, low, 1e-9);
            near(bounds.high, high, 1e-9);
        }
    }

    #[test]
    fn zero_failure_sample_sizes_are_the_published_ones() {
        for (ratio, samples) in [(0.9, 29), (0.95, 59), (0.99, 299), (0.999, 2_995), (0.9999, 29_956)] {
            assert_eq!(zero_failure_samples(ratio, 0.95), Some(samples));
            assert!(ratio_bounds(samples, samples, 0.95).low >= ratio);
            assert!(ratio_bounds(samples - 1, samples - 1, 0.95).low < ratio);
        }
        assert_eq!(zero_failure_samples(0.90, 0.90), Some(22));
        assert_eq!(zero_failure_samples(0.99, 0.99), Some(459));
        assert_eq!(zero_failure_samples(1.0, 0.95), None);
    }

    #[test]
    fn ranks_of_the_median_are_the_published_ones() {
        // Two-sided 95 % limits of the median (sign test): each side at 97.5 %.
        for (samples, low, high) in [(6, 1, 6), (10, 2, 9), (20, 6, 15), (30, 10, 21), (50, 18, 33), (100, 40, 61)] {
            let ranks = quantile_ranks(samples, 0.5, 0.975);
            assert_eq!((ranks.low, ranks.high), (Some(low), Some(high)), "{samples}");
        }
        // Five samples cannot bound a median with that confidence.
        assert_eq!(quantile_ranks(5, 0.5, 0.975), RankBounds { low: None, high: None });
        // The largest of 299 bounds the 99th percentile from above, of 298 not (Wilks 1941).
        assert_eq!(quantile_ranks(299, 0.99, 0.95).high, Some(299));
        assert_eq!(quantile_ranks(298, 0.99, 0.95).high, None);
        assert_eq!(quantile_ranks(59, 0.95, 0.95).high, Some(59));
        assert_eq!(quantile_ranks(93, 0.95, 0.95).high, Some(92));
    }

    #[test]
    fn large_samples_are_exact_enough() {
        // The normal approximation is good to the digits compared here.
        let samples = 1_000_000_000;
        let bounds = ratio_bounds(999_000_000, samples, 0.95);
        let deviation = (0.999 * 0.001 / 1e9_f64).sqrt();
        near(bounds.low, 0.999 - 1.644_853_626_951 * deviation, 1e-2 * deviation);
        near(bounds.high, 0.999 + 1.644_853_626_951 * deviation, 1e-2 * deviation);
        near(incomplete_beta(0.5, 1e8, 1e8), 0.5, 1e-8);
    }

    #[test]
    fn more_samples_are_asked_for_where_the_interval_crosses() {
        // 99.95 % of 1,000 against 99.9 %: not decided; with what is asked for it is.
        let more = samples_needed(1_000, 1_000, 0.999, 0.95).unwrap();
        assert!((1_990..=2_000).contains(&more), "{more}");
        assert_eq!(samples_needed(0, 0, 0.999, 0.95), Some(2_995));
        let more = samples_needed(9_995, 10_000, 0.999, 0.95).unwrap();
        assert!(ratio_bounds((10_000 + more) * 9_995 / 10_000, 10_000 + more, 0.95).low >= 0.998_9, "{more}");
        assert_eq!(samples_needed(999, 1_000, 0.999, 0.95), None);
    }

    #[test]
    fn failures_that_come_together_count_less() {
        let even = [(99, 100); 100];
        let mut bursts = [(100, 100); 100];
        bursts[0] = (0, 100);
        let (even, burst) = (clustered_bounds(&even, 0.95), clustered_bounds(&bursts, 0.95));
        assert!(burst.low < even.low - 0.01 && burst.high > even.high, "{burst:?} {even:?}");
        let independent = ratio_bounds(9_900, 10_000, 0.95);
        near(even.low, independent.low, 1e-12);
    }

    #[test]
    fn bounds_of_quantiles_come_from_samples() {
        let samples: Vec<f64> = (1..=1_000).map(f64::from).collect();
        let bounds = quantile_bounds(&samples, 0.5, 0.95);
        assert_eq!((bounds.low, bounds.high), (474.0, 527.0));
        assert!(quantile_bounds(&samples, 0.999, 0.95).high.is_infinite());
    }
}
