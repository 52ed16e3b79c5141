//! Every selection of a small model, one after the other.

use maru_solver::{Bound, Candidate, Choice, Limit, Model, Quantity, Scope};
use proptest::prelude::*;

/// Returns all selections.
pub(crate) fn selections(model: &Model) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for choice in &model.choices {
        all = all
            .iter()
            .flat_map(|begun: &Vec<usize>| {
                (0..choice.options.len()).map(|option| {
                    let mut next = begun.clone();
                    next.push(option);
                    next
                })
            })
            .collect();
    }
    all
}

/// Tells which bounds each selection keeps, as bits.
pub(crate) fn kept(model: &Model) -> Vec<(Vec<usize>, u32)> {
    let bits = |options: &Vec<usize>| {
        (0..model.bounds.len()).filter(|bound| model.keeps(*bound, options)).fold(0, |bits, bound| bits | 1 << bound)
    };
    selections(model)
        .into_iter()
        .map(|options| {
            let bits = bits(&options);
            (options, bits)
        })
        .collect()
}

/// Returns all minimal conflicts, as bits, in order.
pub(crate) fn conflicts(model: &Model) -> Vec<u32> {
    let kept: Vec<u32> = kept(model).into_iter().map(|(_, bits)| bits).collect();
    let broken = |set: u32| !kept.iter().any(|bits| bits & set == set);
    let sets = 0..1_u32 << model.bounds.len();
    sets.filter(|set| {
        broken(*set) && (0..model.bounds.len()).all(|bound| set & 1 << bound == 0 || !broken(set & !(1 << bound)))
    })
    .collect()
}

pub(crate) fn bits(bounds: &[usize]) -> u32 {
    bounds.iter().fold(0, |bits, bound| bits | 1 << bound)
}

/// Makes small models: few enough selections to try them all, values close together so that ties and gaps occur.
pub(crate) fn models() -> impl Strategy<Value = Model> {
    let sizes = (0_usize..6, 1_usize..4, prop_oneof![Just(3_i64), Just(20), Just(1_000), Just(1_000_000_007)]);
    sizes.prop_flat_map(|(choices, metrics, spread)| {
        let option = (-spread..=spread, prop::collection::vec(-spread..=spread, metrics))
            .prop_map(|(cost, metrics)| Candidate { name: String::new(), cost, metrics });
        let options = prop::collection::vec(option, 1..5).prop_map(|options| Choice { name: String::new(), options });
        let reach = spread * 4;
        let bound =
            (0..=metrics, prop::collection::vec(any::<bool>(), choices), any::<bool>(), any::<bool>(), -reach..=reach);
        let bound = bound.prop_map(move |(quantity, members, all, at_most, value)| Bound {
            name: String::new(),
            quantity: quantity.checked_sub(1).map_or(Quantity::Cost, Quantity::Metric),
            scope: if all {
                Scope::All
            } else {
                Scope::Only(members.iter().enumerate().filter(|(_, member)| **member).map(|(at, _)| at).collect())
            },
            limit: if at_most { Limit::AtMost(value) } else { Limit::AtLeast(value) },
        });
        let names = vec![String::new(); metrics];
        (prop::collection::vec(options, choices), prop::collection::vec(bound, 0..7))
            .prop_map(move |(choices, bounds)| Model { metrics: names.clone(), choices, bounds })
    })
}
