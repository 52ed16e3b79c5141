//! The search against brute force on small models.

use maru_solver::{Bound, Candidate, Choice, Limit, Limits, Model, ModelError, Outcome, Quantity, Scope, check, solve};
use proptest::prelude::*;

use crate::brute::{bits, conflicts, kept, models};

fn all() -> Limits {
    Limits { nodes: 1_000_000, conflicts: 1_000, searches: 1_000_000, ..Limits::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_those_of_brute_force(model in models()) {
        let full = (1_u32 << model.bounds.len()) - 1;
        let cost = |options: &[usize]| model.sum(Quantity::Cost, &Scope::All, options);
        let cheapest = kept(&model).into_iter().filter(|(_, bits)| *bits == full).map(|(options, _)| cost(&options)).min();
        match solve(&model, &all()).unwrap() {
            Outcome::Feasible(solution) => {
                prop_assert_eq!(Some(solution.cost), cheapest);
                prop_assert_eq!(cost(&solution.options), solution.cost);
                prop_assert_eq!(check(&model, &solution.certificate), Ok(()));
            }
            Outcome::Infeasible(found) => {
                prop_assert_eq!(cheapest, None);
                prop_assert!(found.complete);
                let mut sets: Vec<u32> = found.conflicts.iter().map(|conflict| bits(&conflict.bounds)).collect();
                sets.sort_unstable();
                prop_assert_eq!(sets, conflicts(&model));
                for conflict in &found.conflicts {
                    prop_assert!(conflict.minimal);
                    prop_assert_eq!(check(&model, &conflict.certificate), Ok(()));
                }
            }
            Outcome::Unknown { why, .. } => prop_assert!(false, "unknown: {why}"),
        }
    }

    #[test]
    fn limits_make_the_answer_unknown_and_never_wrong(model in models(), nodes in 0_u64..4, searches in 0_u64..4) {
        let full = (1_u32 << model.bounds.len()) - 1;
        let feasible = kept(&model).into_iter().any(|(_, bits)| bits == full);
        match solve(&model, &Limits { nodes, conflicts: 2, searches, ..Limits::default() }).unwrap() {
            Outcome::Feasible(solution) => {
                prop_assert!(feasible);
                prop_assert_eq!(check(&model, &solution.certificate), Ok(()));
            }
            Outcome::Infeasible(found) => {
                prop_assert!(!feasible);
                prop_assert!(!found.conflicts.is_empty());
                let minimal = conflicts(&model);
                for conflict in found.conflicts.iter().filter(|conflict| conflict.minimal) {
                    prop_assert!(minimal.contains(&bits(&conflict.bounds)));
                }
            }
            Outcome::Unknown { found, cost_at_least, .. } => {
                let cost = |options: &Vec<usize>| model.sum(Quantity::Cost, &Scope::All, options);
                prop_assert!(kept(&model).iter().all(|(options, bits)| *bits != full || Some(cost(options)) >= cost_at_least));
                let keeps = |options: &Vec<usize>| (0..model.bounds.len()).all(|bound| model.keeps(bound, options));
                prop_assert!(found.iter().all(keeps));
            }
        }
    }

    #[test]
    fn a_tolerance_is_kept_and_told(model in models(), nodes in 1_u64..3, within_millionths in 1_u32..600_000) {
        let full = (1_u32 << model.bounds.len()) - 1;
        let costs = kept(&model).into_iter().filter(|(_, bits)| *bits == full);
        let cheapest = costs.map(|(options, _)| model.sum(Quantity::Cost, &Scope::All, &options)).min();
        let limits = Limits { nodes, within_millionths, ..Limits::default() };
        if let Outcome::Feasible(solution) = solve(&model, &limits).unwrap() {
            prop_assert!(cheapest.is_some_and(|cheapest| solution.cost - cheapest <= solution.within));
            prop_assert_eq!(check(&model, &solution.certificate), Ok(()));
        }
    }

    #[test]
    fn the_same_model_gives_the_same_answer(model in models()) {
        prop_assert_eq!(solve(&model, &Limits::default()), solve(&model, &Limits::default()));
    }
}

/// Eight services; single copies are much cheaper, and the bound lets a fraction of one too many be. Costs are multiples
/// of 15 but for odd ones.
pub(crate) fn coarse(seed: u64) -> Model {
    let mut numbers = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |end: i64| {
        numbers ^= numbers << 13;
        numbers ^= numbers >> 7;
        numbers ^= numbers << 17;
        i64::try_from(numbers % end.unsigned_abs()).unwrap()
    };
    let choices = (0..8).map(|_| {
        let class = 2 + below(6);
        let option =
            |cost: i64, down: i64, late: i64| Candidate { name: String::new(), cost, metrics: vec![down, late] };
        let options = vec![
            option(15 * class, 20_000 + below(9), 900 + 10 * below(40)),
            option(30 * class, 400 + below(9), 500 + 10 * below(40)),
            option(30 * class + 15, 400, 300 + 10 * below(40)),
            option(40 * class + 20, 5, 300 + 10 * below(40)),
        ];
        Choice { name: String::new(), options }
    });
    let model =
        Model { metrics: vec!["down".to_owned(), "late".to_owned()], choices: choices.collect(), bounds: Vec::new() };
    let down = Limit::AtMost(20_000 * (2 + below(4)) + 15_000);
    let late = Limit::AtMost(8 * (500 + 10 * below(25)));
    Model { bounds: vec![bound(Quantity::Metric(0), down), bound(Quantity::Metric(1), late)], ..model }
}

#[test]
fn coarse_bounds_are_split_by_counting() {
    let (mut counted, mut rounded, mut solved) = (0, 0, 0);
    for seed in 0..40 {
        let model = coarse(seed);
        let costs = kept(&model).into_iter().filter(|(_, bits)| *bits == 3);
        let cheapest = costs.map(|(options, _)| model.sum(Quantity::Cost, &Scope::All, &options)).min();
        match solve(&model, &all()).unwrap() {
            Outcome::Feasible(solution) => {
                assert_eq!((Some(solution.cost), solution.within), (cheapest, 0), "{seed}");
                assert_eq!(check(&model, &solution.certificate), Ok(()));
                let proof = serde_json::to_string(&solution.certificate.proof).unwrap();
                counted += usize::from(proof.contains("\"few\""));
                rounded += usize::from(proof.contains("\"rounded\""));
                solved += 1;
            }
            Outcome::Infeasible(_) => assert_eq!(cheapest, None, "{seed}"),
            Outcome::Unknown { why, .. } => panic!("{seed}: {why}"),
        }
    }
    assert!(counted > 0 && rounded > 0 && solved > 10, "{counted} counted, {rounded} rounded of {solved}");
}

#[test]
fn what_is_not_proven_the_cheapest_says_how_near_it_is() {
    let near = (0..40).filter(|seed| {
        let limits = Limits { nodes: 1, within_millionths: 1, ..Limits::default() };
        let model = coarse(*seed);
        let Outcome::Feasible(solution) = solve(&model, &limits).unwrap() else { return false };
        assert_eq!(check(&model, &solution.certificate), Ok(()));
        let costs = kept(&model).into_iter().filter(|(_, bits)| *bits == 3);
        let cheapest = costs.map(|(options, _)| model.sum(Quantity::Cost, &Scope::All, &options)).min().unwrap();
        assert!(solution.cost - cheapest <= solution.within);
        solution.within > 0
    });
    assert!(near.count() > 0);
}

fn one_choice(values: &[(i64, i64)], bounds: Vec<Bound>) -> Model {
    let options = values
        .iter()
        .map(|(cost, metric)| Candidate { name: String::new(), cost: *cost, metrics: vec![*metric] })
        .collect();
    Model { metrics: vec!["m".to_owned()], choices: vec![Choice { name: "c".to_owned(), options }], bounds }
}

fn bound(quantity: Quantity, limit: Limit) -> Bound {
    Bound { name: "b".to_owned(), quantity, scope: Scope::All, limit }
}

#[test]
fn values_at_the_edge_are_exact() {
    let most = 1_i64 << 60;
    let model = one_choice(
        &[(most, -most), (most - 1, most)],
        vec![bound(Quantity::Metric(0), Limit::AtMost(most - 1)), bound(Quantity::Cost, Limit::AtMost(most))],
    );
    let Outcome::Feasible(solution) = solve(&model, &all()).unwrap() else { panic!("feasible") };
    assert_eq!(solution.options, [0]);
    let model = one_choice(&[(most, 0)], vec![bound(Quantity::Cost, Limit::AtMost(most - 1))]);
    assert!(matches!(solve(&model, &all()).unwrap(), Outcome::Infeasible(_)));
}

#[test]
fn values_that_could_overflow_are_refused() {
    let model = one_choice(&[(i64::MIN, 0)], Vec::new());
    assert_eq!(solve(&model, &all()), Err(ModelError::TooLarge { what: "cost".to_owned() }));
    let model = one_choice(&[(0, i64::MAX)], Vec::new());
    assert_eq!(solve(&model, &all()), Err(ModelError::TooLarge { what: "metric \"m\"".to_owned() }));
    let model = one_choice(&[(0, 0)], vec![bound(Quantity::Cost, Limit::AtLeast(i64::MIN))]);
    assert_eq!(solve(&model, &all()), Err(ModelError::TooLarge { what: "bound \"b\"".to_owned() }));
}

#[test]
fn models_that_mean_nothing_are_refused() {
    let missing = |what, index| Err(ModelError::Missing { bound: "b".to_owned(), what, index });
    let model = one_choice(&[(0, 0)], vec![bound(Quantity::Metric(1), Limit::AtMost(0))]);
    assert_eq!(solve(&model, &all()), missing("metric", 1));
    for (choices, index) in [(vec![1], 1), (vec![0, 0], 0)] {
        let scope = Scope::Only(choices);
        let model = one_choice(&[(0, 0)], vec![Bound { scope, ..bound(Quantity::Cost, Limit::AtMost(0)) }]);
        assert_eq!(solve(&model, &all()), missing("choice", index));
    }
    let model = one_choice(&[], Vec::new());
    assert_eq!(solve(&model, &all()), Err(ModelError::NoOptions { choice: "c".to_owned() }));
}
