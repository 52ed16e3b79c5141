//! How often too few copies of a service are up. Whole numbers, always rounded towards "down": what is computed is never
//! better than the truth.

use maru_api::{Ratio, ServiceOption};

use super::bounds::NANO;

/// One, in the unit of chances.
const ONE: u128 = 1_000_000_000_000_000_000;
/// More copies of one service are an error of the model; they are read as never up.
const COPIES_MAX: u32 = 1_000;

/// Returns the chance in billionths that fewer copies are up than are needed, rounded up.
///
/// A share of each copy's failures takes all copies down (common cause); the others are independent. Without a number of
/// copies, the availability is that of the whole.
pub(super) fn unavailability_nano(option: &ServiceOption) -> Option<u64> {
    let down = option.availability?.complement().as_nano();
    let Some(copies) = option.replicas else { return Some(down) };
    let needed = option.needed.unwrap_or(1);
    if needed > copies || copies > COPIES_MAX || copies == 0 {
        return Some(NANO);
    }
    // Exact: billionths times billionths.
    let common = u128::from(down) * u128::from(option.common_cause.map_or(0, Ratio::as_nano));
    let alone = u128::from(down) * u128::from(NANO) - common;
    let spare = copies - needed;
    // What the common cause leaves, and in it the chance that too many fail by themselves.
    let chance = common + times(ONE - common, too_many_down(alone, copies, spare));
    Some(u64::try_from(chance.min(ONE).div_ceil(u128::from(NANO))).unwrap_or(NANO).min(NANO))
}

/// Returns the chance that more than `spare` of `copies` are down, each with the chance `down`; rounded up.
fn too_many_down(down: u128, copies: u32, spare: u32) -> u128 {
    let up = ONE - down;
    // The chance that so many of the copies looked at are down; the last holds all that are too many.
    let last = spare as usize + 1;
    let mut chances = vec![0; last + 1];
    chances[0] = ONE;
    for _ in 0..copies {
        for failed in (0..=last).rev() {
            let stays = if failed == last { chances[last] } else { times(chances[failed], up) };
            let joins = if failed == 0 { 0 } else { times(chances[failed - 1], down) };
            chances[failed] = (stays + joins).min(ONE);
        }
    }
    chances[last]
}

/// Multiplies two chances, rounded up.
fn times(a: u128, b: u128) -> u128 {
    (a * b).div_ceil(ONE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn option(availability: u64, copies: Option<u32>, needed: u32, common: u64) -> ServiceOption {
        ServiceOption {
            availability: Some(Ratio::from_nano(availability)),
            replicas: copies,
            needed: Some(needed),
            common_cause: Some(Ratio::from_nano(common)),
            ..ServiceOption::default()
        }
    }

    #[test]
    fn copies_with_a_common_cause() {
        // 1 % down, of that 1 % together: 100,000 nano and about 0.0099².
        assert_eq!(unavailability_nano(&option(990_000_000, Some(2), 1, 10_000_000)), Some(198_001));
        assert!(unavailability_nano(&option(990_000_000, Some(2), 2, 10_000_000)).unwrap() > 19_000_000);
        assert_eq!(unavailability_nano(&option(990_000_000, None, 2, 10_000_000)), Some(10_000_000));
        // One copy is as available as it is, to the last digit.
        assert_eq!(unavailability_nano(&option(999_000_000, Some(1), 1, 0)), Some(1_000_000));
        assert_eq!(unavailability_nano(&option(999_000_000, Some(2), 3, 0)), Some(NANO));
        // Two of three: 3 × 0.01² × 0.99 + 0.01³.
        assert_eq!(unavailability_nano(&option(990_000_000, Some(3), 2, 0)), Some(298_000));
    }

    /// The chance by adding up all 2^n cases in floating point.
    fn by_cases(option: &ServiceOption) -> f64 {
        let (copies, needed) = (option.replicas.unwrap(), option.needed.unwrap());
        let down = option.availability.unwrap().complement().as_f64();
        let common = down * option.common_cause.unwrap().as_f64();
        let alone = down - common;
        let mut chance = 0.0;
        for case in 0_u32..1 << copies {
            let failed = case.count_ones();
            if copies - failed < needed {
                chance += alone.powi(failed.cast_signed()) * (1.0 - alone).powi((copies - failed).cast_signed());
            }
        }
        (common + (1.0 - common) * chance) * 1e9
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_chance_is_never_better_than_the_truth(
            availability in 0_u64..=1_000_000_000, copies in 1_u32..9, needed in 1_u32..9, common in 0_u64..=1_000_000_000,
        ) {
            let option = option(availability, Some(copies), needed.min(copies), common);
            let told = unavailability_nano(&option).unwrap() as f64;
            let truth = by_cases(&option);
            prop_assert!(told >= truth - 1e-4 && told <= truth + 1.001, "{told} and {truth}");
        }
    }
}
