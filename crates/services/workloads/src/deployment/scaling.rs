//! Spreads a change of the desired number over the sets of a rollout that is under way.

use super::rolling::Bounds;

/// What the spreading knows of an active set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) replicas: i32,
    /// The upper bound that was noted on the set when it was last scaled.
    pub(crate) noted_total_max: Option<i32>,
}

/// Returns how many replicas each active set asks for next, in proportion to what they have now. Sets come newest
/// first when `bounds` grow and oldest first when they shrink, for sets of equal size; leftovers go to the largest. Pure.
pub(crate) fn proportional(shares: &[Share], bounds: Bounds) -> Vec<i32> {
    let total: i32 = shares.iter().map(|share| share.replicas).sum();
    let allowed = if bounds.desired > 0 { bounds.total_max() } else { 0 };
    let to_add = allowed - total;
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(shares.get(*index).map_or(0, |share| share.replicas)));
    let mut next: Vec<i32> = shares.iter().map(|share| share.replicas).collect();
    let mut added = 0;
    for index in &order {
        let (Some(share), Some(next)) = (shares.get(*index), next.get_mut(*index)) else { continue };
        let rest = to_add - added;
        let own = proportion(*share, allowed, total);
        let change = if to_add > 0 { own.clamp(0, rest.max(0)) } else { own.clamp(rest.min(0), 0) };
        *next = (*next + change).max(0);
        added += change;
    }
    if let Some(next) = order.first().and_then(|index| next.get_mut(*index)) {
        *next = (*next + to_add - added).max(0);
    }
    next
}

/// How much a set changes when the whole changes to `allowed`.
fn proportion(share: Share, allowed: i32, total: i32) -> i32 {
    let before = share.noted_total_max.filter(|noted| *noted > 0).unwrap_or(total);
    if before <= 0 {
        return 0;
    }
    let scaled = f64::from(share.replicas) * f64::from(allowed) / f64::from(before);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an i32 times a ratio of i32s, rounded; casts of floats saturate"
    )]
    let rounded = scaled.round() as i32;
    rounded - share.replicas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_and_shrinking_are_spread_by_size() {
        let share = |replicas, noted| Share { replicas, noted_total_max: Some(noted) };
        let bounds = |desired, max_surge| Bounds { desired, max_surge, max_unavailable: 2 };
        let cases = [
            // From 10+3 to 15+3 with 8 old and 5 new pods.
            (vec![share(8, 13), share(5, 13)], bounds(15, 3), vec![11, 7]),
            (vec![share(8, 13), share(5, 13)], bounds(5, 2), vec![4, 3]),
            (vec![share(2, 4), share(2, 4)], bounds(0, 2), vec![0, 0]),
            (vec![share(1, 10), share(9, 10)], bounds(20, 0), vec![2, 18]),
        ];
        for (shares, bounds, expected) in cases {
            let next = proportional(&shares, bounds);
            assert_eq!(next, expected, "{shares:?} {bounds:?}");
        }
    }
}
