//! Times the solver on architectures made at random: `cargo run --release --example speed -p maru-solver`.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement for people, on the real clock")]

use std::time::Instant;

use maru_solver::{
    Bound, Candidate, Choice, Limit, Limits, Model, Outcome, Quantity, Relaxation, Scope, check, relax, solve,
};

/// A generator of numbers that look random (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((mixed ^ (mixed >> 31)) % end.unsigned_abs()).unwrap_or(0)
    }
}

/// Metrics: unavailability (millionths), capacity (requests a second), then one latency (µs) for each chain.
fn architecture(services: usize, options: usize, chains: usize, tightness: i64, seed: u64) -> Model {
    let mut numbers = Numbers(seed);
    let members: Vec<Vec<usize>> =
        (0..chains).map(|chain| (0..services).filter(|_| chain == 0 || numbers.below(3) == 0).collect()).collect();
    let mut choices = Vec::new();
    for service in 0..services {
        let base = 500 + numbers.below(4_000);
        let option = |index: usize| {
            let replicas = 1 + numbers.below(6);
            let class = 1 + numbers.below(40);
            // Prices as price lists have them: so much for a core, a third more for copies in several zones.
            let zones = numbers.below(2);
            let cost = replicas * class * (3 + zones) * 5;
            let beta = if zones == 1 { 5 } else { 100 };
            let down = 20_000 / 50_i64.pow(u32::try_from(replicas - 1).unwrap_or(0).min(3)) + beta;
            let latency = base * 12 / (class + 4) + base / (replicas + 2);
            let mut metrics = vec![down, replicas * class * 40];
            metrics.extend(members.iter().map(|members| if members.contains(&service) { latency } else { 0 }));
            Candidate { name: format!("o{index}"), cost, metrics }
        };
        choices.push(Choice { name: format!("s{service}"), options: (0..options).map(option).collect() });
    }
    let range = |metric: usize| {
        let ends = choices.iter().map(|choice: &Choice| {
            let values = || choice.options.iter().map(|option| option.metrics[metric]);
            (values().min().unwrap_or(0), values().max().unwrap_or(0))
        });
        ends.fold((0, 0), |sum, end| (sum.0 + end.0, sum.1 + end.1))
    };
    let mut bounds = Vec::new();
    for metric in std::iter::once(0).chain(2..2 + chains) {
        let (low, high) = range(metric);
        let limit = Limit::AtMost(low + (high - low) * tightness / 100);
        bounds.push(Bound { name: format!("m{metric}"), quantity: Quantity::Metric(metric), scope: Scope::All, limit });
    }
    for service in 0..services {
        let limit = Limit::AtLeast(40 * (1 + numbers.below(20)));
        let scope = Scope::Only(vec![service]);
        bounds.push(Bound { name: format!("capacity {service}"), quantity: Quantity::Metric(1), scope, limit });
    }
    let metrics = (0..2 + chains).map(|metric| format!("m{metric}")).collect();
    Model { metrics, choices, bounds }
}

fn main() {
    for (services, options, chains) in [(12, 18, 3), (60, 18, 4), (60, 1_000, 4), (200, 18, 5), (200, 18, 12)] {
        for (tightness, seed) in [(20, 1), (10, 2), (5, 3)] {
            let mut model = architecture(services, options, chains, tightness, seed);
            // What the room of the process allows: fewer nodes where each costs more.
            let nodes = (180_000_000 / (services * options) as u64).clamp(1_000, 15_000);
            let limits = |nodes| Limits { nodes, within_millionths: 10_000, ..Limits::default() };
            println!("{services} × {options}, {chains} chains, {tightness} %:");
            let mut cost = None;
            for nodes in [1, nodes] {
                let begin = Instant::now();
                let outcome = solve(&model, &limits(nodes));
                let took = begin.elapsed();
                print!("    {nodes} nodes: {} in {took:.1?}", told(&outcome));
                if let Ok(Outcome::Feasible(solution)) = outcome {
                    let begin = Instant::now();
                    let believed = check(&model, &solution.certificate).is_ok();
                    print!(", checked {believed} in {:.1?}", begin.elapsed());
                    cost = Some(solution.cost);
                }
                println!();
            }
            let Some(cost) = cost else { continue };
            let limit = Limit::AtMost(cost * 95 / 100);
            model.bounds.push(Bound { name: "cost".to_owned(), quantity: Quantity::Cost, scope: Scope::All, limit });
            let begin = Instant::now();
            let outcome = solve(&model, &limits(nodes));
            println!("    5 % cheaper: {} in {:.1?}", told(&outcome), begin.elapsed());
            let begin = Instant::now();
            let relaxed = match relax(&model, model.bounds.len() - 1, &limits(nodes)) {
                Ok(Relaxation::To { limit, within, .. }) => format!("to {} within {within}", limit.value()),
                other => format!("{other:?}"),
            };
            println!("    the cost relaxed: {relaxed} in {:.1?}", begin.elapsed());
        }
    }
}

fn told(outcome: &Result<Outcome, maru_solver::ModelError>) -> String {
    match outcome {
        Ok(Outcome::Feasible(solution)) => format!("cheapest {} within {}", solution.cost, solution.within),
        Ok(Outcome::Infeasible(found)) => {
            let sizes: Vec<usize> = found.conflicts.iter().map(|conflict| conflict.bounds.len()).collect();
            let minimal = found.conflicts.iter().filter(|conflict| conflict.minimal).count();
            format!("conflicts of {sizes:?} bounds, {minimal} minimal, all {}", found.complete)
        }
        Ok(Outcome::Unknown { why, found, cost_at_least }) => {
            format!("unknown ({why}), found some {}, at least {cost_at_least:?}", found.is_some())
        }
        Err(error) => error.to_string(),
    }
}
