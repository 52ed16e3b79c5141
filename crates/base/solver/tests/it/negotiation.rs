//! Relaxations and curves against brute force.

use std::collections::BTreeMap;

use maru_solver::{Bound, Limit, Limits, Quantity, Relaxation, Scope, check, curve, relax, relax_by_priority};
use proptest::prelude::*;

use crate::brute::{kept, models};

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn single_relaxations_are_the_smallest(model in models()) {
        let all = kept(&model);
        for (place, bound) in model.bounds.iter().enumerate() {
            let others = ((1_u32 << model.bounds.len()) - 1) & !(1 << place);
            let sums = all.iter().filter(|(_, bits)| bits & others == others);
            let sums = sums.map(|(options, _)| bound.limit.sign() * model.sum(bound.quantity, &bound.scope, options));
            let least = sums.min().map(|sum| sum.max(bound.limit.sign() * bound.limit.value()));
            match relax(&model, place, &Limits::default()).unwrap() {
                Relaxation::To { limit, within, certificate, options } => {
                    prop_assert_eq!(within, 0);
                    prop_assert_eq!(Some(bound.limit.sign() * limit.value()), least);
                    prop_assert_eq!(check(&model, &certificate), Ok(()));
                    prop_assert!(limit.holds(model.sum(bound.quantity, &bound.scope, &options)));
                }
                Relaxation::NoUse => prop_assert_eq!(least, None),
                Relaxation::Unknown(why) => prop_assert!(false, "unknown: {why}"),
            }
        }
    }

    #[test]
    fn the_more_important_gives_way_last(model in models(), turn in 0_usize..7) {
        let mut order: Vec<usize> = (0..model.bounds.len()).collect();
        let turn = turn.min(order.len());
        order.rotate_left(turn);
        let agreement = relax_by_priority(&model, &order, &Limits::default()).unwrap().unwrap();
        // By brute force: one bound after the other, each as near as those before it let it be.
        let mut left: Vec<Vec<usize>> = kept(&model).into_iter().map(|(options, _)| options).collect();
        let mut changes = Vec::new();
        for place in order {
            let bound = &model.bounds[place];
            let sum = |options: &Vec<usize>| bound.limit.sign() * model.sum(bound.quantity, &bound.scope, options);
            let least = left.iter().map(sum).min().unwrap();
            let wanted = bound.limit.sign() * bound.limit.value();
            left.retain(|options| sum(options) <= least.max(wanted));
            if least > wanted {
                changes.push((place, bound.limit.sign() * least));
            }
        }
        let told: Vec<(usize, i64)> = agreement.changes.iter().map(|change| (change.bound, change.limit.value())).collect();
        prop_assert_eq!(told, changes);
        let cheapest = left.iter().map(|options| model.sum(Quantity::Cost, &Scope::All, options)).min().unwrap();
        prop_assert_eq!(agreement.cost, cheapest);
    }

    #[test]
    fn the_curve_has_every_point_and_no_other(model in models(), more_is_better in any::<bool>()) {
        let limit = if more_is_better { Limit::AtLeast(0) } else { Limit::AtMost(0) };
        let along = Bound { name: "m".to_owned(), quantity: Quantity::Metric(0), scope: Scope::All, limit };
        let full = (1_u32 << model.bounds.len()) - 1;
        let mut best: BTreeMap<i64, i64> = BTreeMap::new();
        for (options, bits) in kept(&model) {
            if bits == full {
                let cost = model.sum(Quantity::Cost, &Scope::All, &options);
                let metric = limit.sign() * model.sum(along.quantity, &along.scope, &options);
                best.entry(cost).and_modify(|least| *least = metric.min(*least)).or_insert(metric);
            }
        }
        let mut expected: Vec<(i64, i64)> = Vec::new();
        for (cost, metric) in best {
            if expected.last().is_none_or(|(_, last)| metric < *last) {
                expected.push((cost, metric));
            }
        }
        let found = curve(&model, &along, 10_000, &Limits::default()).unwrap();
        prop_assert!(found.complete);
        let points: Vec<(i64, i64)> =
            found.points.iter().map(|point| (point.cost, limit.sign() * point.metric)).collect();
        prop_assert_eq!(&points, &expected);
        let few = curve(&model, &along, 4, &Limits::default()).unwrap();
        prop_assert!(few.complete == (expected.len() < 4));
        for point in &few.points {
            prop_assert!(expected.contains(&(point.cost, limit.sign() * point.metric)));
        }
    }
}
