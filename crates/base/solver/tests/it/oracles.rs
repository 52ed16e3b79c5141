//! Random models against HiGHS and z3, through a Python that has `highspy` and `z3-solver`: `MARU_ORACLES=…/python`
//! (`tools/python-oracles` prints one). `MARU_ORACLES_MODELS` says how many models (default 50); z3 gets the small ones.

use std::io::Write as _;
use std::process::{Command, Stdio};

use maru_solver::{Bound, Candidate, Choice, Limit, Limits, Model, Outcome, Quantity, Scope, check, solve};

/// z3 is asked about models with so many selections or fewer: it takes long for others.
const SMT_SELECTIONS_MAX: usize = 500;

/// A generator of numbers that look random (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.below(high.abs_diff(low) + 1)).unwrap()
    }

    fn size(&mut self, low: usize, high: usize) -> usize {
        low + usize::try_from(self.below(high.abs_diff(low) as u64 + 1)).unwrap()
    }
}

/// Bounds lie around the middle of what sums can be: about half of the models can be kept.
pub(crate) fn model(seed: u64) -> Model {
    let mut numbers = Numbers(seed);
    let (choices, metrics) = (numbers.size(2, 14), numbers.size(1, 4));
    let spread = [10, 100, 5_000][numbers.size(0, 2)];
    let choices: Vec<Choice> = (0..choices)
        .map(|_| {
            let options = numbers.size(1, 9);
            let option = |_| Candidate {
                name: String::new(),
                cost: numbers.between(0, spread),
                metrics: (0..metrics).map(|_| numbers.between(-spread / 4, spread)).collect(),
            };
            Choice { name: String::new(), options: (0..options).map(option).collect() }
        })
        .collect();
    let mut model = Model { metrics: vec![String::new(); metrics], choices, bounds: Vec::new() };
    for _ in 0..numbers.size(0, 9) {
        let quantity = numbers.size(0, metrics).checked_sub(1).map_or(Quantity::Cost, Quantity::Metric);
        let members: Vec<usize> = (0..model.choices.len()).filter(|_| numbers.below(3) > 0).collect();
        let scope = if numbers.below(2) == 0 { Scope::All } else { Scope::Only(members) };
        let ends = model.choices.iter().enumerate().filter(|(at, _)| scope.has(*at)).map(|(at, choice)| {
            let values = || (0..choice.options.len()).map(|option| model.value(quantity, at, option));
            (values().min().unwrap(), values().max().unwrap())
        });
        let (low, high) = ends.fold((0, 0), |sum, end| (sum.0 + end.0, sum.1 + end.1));
        let part = numbers.between(15, 70);
        let (limit, span) = (numbers.below(2) == 0, (high - low) * part / 100);
        let limit = if limit { Limit::AtMost(low + span) } else { Limit::AtLeast(high - span) };
        model.bounds.push(Bound { name: String::new(), quantity, scope, limit });
    }
    model
}

const ORACLE: &str = r#"
import json, sys
import highspy, z3
for line in sys.stdin:
    task = json.loads(line)
    model, sets = task["model"], task["sets"]
    def value(quantity, option):
        return option["cost"] if quantity == "cost" else option["metrics"][quantity["metric"]]
    def rows(members):
        for index in members:
            bound = model["bounds"][index]
            scope = range(len(model["choices"])) if bound["scope"] == "all" else bound["scope"]["only"]
            (side, limit), = bound["limit"].items()
            yield side, limit, [(c, o, value(bound["quantity"], option)) for c in scope for o, option in enumerate(model["choices"][c]["options"])]
    def highs(members):
        h = highspy.Highs(); h.setOptionValue("output_flag", False); h.setOptionValue("mip_rel_gap", 0.0); h.setOptionValue("mip_abs_gap", 0.0)
        x = {}
        for c, choice in enumerate(model["choices"]):
            for o, option in enumerate(choice["options"]):
                x[c, o] = len(x); h.addVar(0, 1); h.changeColCost(x[c, o], option["cost"]); h.changeColIntegrality(x[c, o], highspy.HighsVarType.kInteger)
            n = len(choice["options"]); h.addRow(1, 1, n, [x[c, o] for o in range(n)], [1.0] * n)
        for side, limit, terms in rows(members):
            terms = [(x[c, o], v) for c, o, v in terms if v]
            low, high = (-highspy.kHighsInf, limit) if side == "atMost" else (limit, highspy.kHighsInf)
            h.addRow(low, high, len(terms), [t[0] for t in terms], [float(t[1]) for t in terms])
        h.run()
        status = h.getModelStatus()
        if status == highspy.HighsModelStatus.kOptimal: return round(h.getObjectiveValue())
        if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible): return None
        return str(status)
    def smt(members, below=None):
        s = z3.Solver(); s.set('timeout', 3000); x = {}
        for c, choice in enumerate(model["choices"]):
            for o, _ in enumerate(choice["options"]): x[c, o] = z3.Bool(f"x{c}_{o}")
            s.add(z3.PbEq([(x[c, o], 1) for o in range(len(choice["options"]))], 1))
        def total(terms): return z3.Sum([z3.IntVal(0)] + [z3.If(x[c, o], v, 0) for c, o, v in terms])
        for side, limit, terms in rows(members):
            s.add(total(terms) <= limit if side == "atMost" else total(terms) >= limit)
        if below is not None:
            s.add(total([(c, o, option["cost"]) for c, choice in enumerate(model["choices"]) for o, option in enumerate(choice["options"])]) <= below)
        return str(s.check())
    everything = range(len(model["bounds"]))
    answer = {"cheapest": highs(everything), "sets": [highs(members) for members in sets]}
    if task["smt"]:
        below = task["cost"]
        answer["smt"] = [smt(everything, below), smt(everything, None if below is None else below - 1)]
        answer["smt_sets"] = [smt(members) for members in sets]
    print(json.dumps(answer), flush=True)
"#;

#[test]
fn highs_and_z3_agree() {
    let variable = |name| std::env::vars().find(|(key, _)| key == name).map(|(_, value)| value);
    let Some(python) = variable("MARU_ORACLES") else {
        println!("skipped: MARU_ORACLES names no Python with highspy and z3-solver");
        return;
    };
    let count: u64 = variable("MARU_ORACLES_MODELS").map_or(50, |count| count.parse().unwrap());
    let mut tasks = String::new();
    let mut answers = Vec::new();
    for seed in 0..count {
        let model = model(seed);
        let outcome = solve(&model, &Limits { nodes: 200_000, conflicts: 4, ..Limits::default() }).unwrap();
        // Each conflict, and each without one member.
        let mut sets: Vec<Vec<usize>> = Vec::new();
        let mut kept: Vec<bool> = Vec::new();
        let mut cost = None;
        match outcome {
            Outcome::Feasible(solution) => {
                check(&model, &solution.certificate).unwrap();
                cost = Some(solution.cost);
            }
            Outcome::Infeasible(found) => {
                for conflict in found.conflicts {
                    check(&model, &conflict.certificate).unwrap();
                    assert!(conflict.minimal, "model {seed}");
                    for left_out in &conflict.bounds {
                        sets.push(conflict.bounds.iter().copied().filter(|bound| bound != left_out).collect());
                        kept.push(true);
                    }
                    sets.push(conflict.bounds);
                    kept.push(false);
                }
            }
            Outcome::Unknown { why, .. } => panic!("model {seed}: {why}"),
        }
        let is_small = model.choices.iter().map(|choice| choice.options.len()).product::<usize>() <= SMT_SELECTIONS_MAX;
        let task = serde_json::json!({"model": model, "sets": sets, "cost": cost, "smt": is_small});
        tasks.push_str(&task.to_string());
        tasks.push('\n');
        answers.push((cost, kept));
    }
    let mut command = Command::new(python);
    let mut child = command.args(["-c", ORACLE]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(tasks.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let mut compared = (0, 0, 0);
    let mut given_up = 0;
    for (seed, (line, (cost, kept))) in lines.lines().zip(&answers).enumerate() {
        let told: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(told["cheapest"].as_i64(), *cost, "model {seed}: HiGHS says {}", told["cheapest"]);
        for (set, kept) in told["sets"].as_array().unwrap().iter().zip(kept) {
            assert!(set.is_null() || set.is_i64(), "model {seed}: HiGHS says {set}");
            assert_eq!(set.is_i64(), *kept, "model {seed}");
            compared.1 += 1;
        }
        if let Some(smt) = told["smt"].as_array() {
            let expected = if cost.is_some() { ["sat", "unsat"] } else { ["unsat", "unsat"] };
            // z3 may give up after a time; what it says must agree.
            let agrees = |said: &serde_json::Value, expected: &str| said == expected || said == "unknown";
            assert!(agrees(&smt[0], expected[0]) && agrees(&smt[1], expected[1]), "model {seed}: z3 says {smt:?}");
            given_up += smt.iter().filter(|said| *said == "unknown").count();
            for (set, kept) in told["smt_sets"].as_array().unwrap().iter().zip(kept) {
                assert!(agrees(set, if *kept { "sat" } else { "unsat" }), "model {seed}: z3 says {set}");
                given_up += usize::from(set == "unknown");
            }
            compared.2 += 1;
        }
        compared.0 += 1;
    }
    assert_eq!(compared.0, answers.len(), "the oracle ended early");
    let feasible = answers.iter().filter(|(cost, _)| cost.is_some()).count();
    let (models, sets, smt) = compared;
    println!(
        "{models} models agree with HiGHS ({feasible} feasible, {sets} sets of bounds), {smt} with z3 ({given_up} questions given up)"
    );
}
