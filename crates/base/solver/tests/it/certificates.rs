//! Certificates prove what they say and nothing else.

use maru_solver::{Certificate, Claim, Doubt, End, Limits, Model, Multiplier, Outcome, Term, check, solve};
use proptest::prelude::*;

use crate::brute::{conflicts, kept, models};

fn certificates(model: &Model) -> Vec<Certificate> {
    match solve(model, &Limits::default()).unwrap() {
        Outcome::Feasible(solution) => vec![solution.certificate],
        Outcome::Infeasible(found) => found.conflicts.into_iter().map(|conflict| conflict.certificate).collect(),
        Outcome::Unknown { why, .. } => panic!("unknown: {why}"),
    }
}

/// Whether a claim is true, by brute force.
fn is_true(model: &Model, claim: &Claim) -> bool {
    let cost = |options: &[usize]| model.sum(maru_solver::Quantity::Cost, &maru_solver::Scope::All, options);
    let full = (1_u32 << model.bounds.len()) - 1;
    match claim {
        Claim::Conflict { bounds } => {
            let set = crate::brute::bits(bounds);
            conflicts(model).iter().any(|conflict| conflict & set == *conflict)
        }
        Claim::Cheapest { options, within } => {
            let all = kept(model);
            let mine = all.iter().find(|(other, _)| other == options);
            mine.is_some_and(|(_, bits)| *bits == full)
                && all.iter().all(|(other, bits)| {
                    *bits != full || cost(other) + i64::try_from(*within).unwrap() >= cost(options)
                })
        }
        Claim::Nearest { .. } => unreachable!("not made here"),
    }
}

/// Changes one thing of a certificate.
pub(crate) fn corrupt(certificate: &mut Certificate, what: u8, seed: usize) {
    let count = certificate.proof.nodes.len();
    let node = &mut certificate.proof.nodes[seed % count];
    let multipliers = match (what % 2, node.steps.is_empty(), &mut node.end) {
        (0, false, _) | (_, false, End::Split { .. } | End::Count { .. }) => {
            let steps = node.steps.len();
            &mut node.steps[seed % steps].multipliers
        }
        (_, _, End::Combination(multipliers)) => multipliers,
        (_, _, End::Split { branches, .. }) => {
            branches.remove(seed % 2);
            return;
        }
        (_, _, End::Count { options, at_most, few, many }) => {
            match seed % 4 {
                0 => *at_most += 1,
                1 => drop(options.pop()),
                2 => *few = *many,
                _ => std::mem::swap(few, many),
            }
            return;
        }
    };
    let used = multipliers.len().max(1);
    match what {
        0 | 1 => multipliers.clear(),
        2 | 3 => drop(multipliers.drain(..1.min(multipliers.len()))),
        4 | 5 => multipliers.iter_mut().for_each(|multiplier| multiplier.times /= 2),
        6 | 7 => multipliers.iter_mut().skip(seed % used).for_each(|multiplier| multiplier.times = u64::MAX),
        8 => multipliers.push(Multiplier { of: Term::Bound(seed % 9), times: 1 }),
        9 => multipliers.push(Multiplier { of: Term::Count(seed % (count + 1)), times: 1 }),
        10 => match &mut certificate.claim {
            Claim::Conflict { bounds } => drop(bounds.pop()),
            Claim::Cheapest { options, .. } | Claim::Nearest { options, .. } => {
                options.iter_mut().for_each(|option| *option += 1);
            }
        },
        11 => certificate.proof.nodes.truncate(seed % count),
        12 if !node.beaten.is_empty() => {
            let index = seed % node.beaten.len();
            let beaten = &mut node.beaten[index];
            match seed % 3 {
                0 => beaten.by = beaten.options[0],
                1 => std::mem::swap(&mut beaten.by, &mut beaten.options[0]),
                _ => beaten.options.push(beaten.by + 1),
            }
        }
        _ => node.steps.clear(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A changed certificate is refused, or what it says happens to be true.
    #[test]
    fn nothing_false_is_believed(model in models(), what in 0_u8..13, seed in 0_usize..1_000) {
        for mut certificate in certificates(&model) {
            prop_assert!(is_true(&model, &certificate.claim));
            corrupt(&mut certificate, what, seed);
            if check(&model, &certificate).is_ok() {
                prop_assert!(is_true(&model, &certificate.claim));
            }
        }
    }

    /// The certificate of one model is no certificate of another where the claim is false.
    #[test]
    fn certificates_do_not_travel(model in models(), tighter in 0_usize..7, by in -50_i64..50) {
        let mut other = model.clone();
        if let Some(bound) = other.bounds.get_mut(tighter) {
            bound.limit = bound.limit.with_value(bound.limit.value() + by);
        }
        for certificate in certificates(&model) {
            if check(&other, &certificate).is_ok() {
                prop_assert!(is_true(&other, &certificate.claim));
            }
        }
    }

    #[test]
    fn certificates_survive_json(model in models()) {
        for certificate in certificates(&model) {
            let text = serde_json::to_string(&certificate).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Certificate>(&text).unwrap(), &certificate);
        }
    }
}

#[test]
fn a_proof_that_refers_to_itself_is_refused() {
    let choice = maru_solver::Choice { name: String::new(), options: vec![maru_solver::Candidate::default()] };
    let model = Model { metrics: Vec::new(), choices: vec![choice], bounds: Vec::new() };
    let end = End::Split { choice: 0, branches: vec![(vec![0], 0)] };
    let proof = maru_solver::Proof { nodes: vec![maru_solver::Node { end, ..maru_solver::Node::default() }] };
    let claim = Claim::Conflict { bounds: Vec::new() };
    assert_eq!(check(&model, &Certificate { claim, proof }), Err(Doubt::Reference { node: 0 }));
}
