//! The program that the guide prints, against the checker: both believe the same certificates.

use std::io::Write as _;
use std::process::{Command, Stdio};

use maru_solver::{Certificate, Limits, Outcome, Relaxation, check, relax, solve};

use crate::certificates::corrupt;
use crate::oracles::model;
use crate::search::coarse;

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/guide/analysis.md");
const MODELS: u64 = 90;

const DRIVER: &str = r#"
import json, sys
program = {}
exec(open(sys.argv[1]).read().split("```python\n")[1].split("```")[0], program)
for line in sys.stdin:
    task = json.loads(line)
    try:
        program["check"](task["model"], task["certificate"])
        print("true")
    except (AssertionError, KeyError, IndexError, TypeError):
        print("false")
"#;

#[test]
fn the_program_of_the_guide_believes_what_the_checker_believes() {
    let child =
        Command::new("python3").args(["-c", DRIVER, GUIDE]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        println!("skipped: there is no python3");
        return;
    };
    let mut tasks = String::new();
    let mut believed = Vec::new();
    for seed in 0..MODELS {
        let model = if seed % 3 == 0 { coarse(seed) } else { model(seed) };
        let mut certificates: Vec<Certificate> = match solve(&model, &Limits::default()).unwrap() {
            Outcome::Feasible(solution) => vec![solution.certificate],
            Outcome::Infeasible(found) => found.conflicts.into_iter().map(|conflict| conflict.certificate).collect(),
            Outcome::Unknown { why, .. } => panic!("model {seed}: {why}"),
        };
        if let Some(bound) = (model.bounds.len() as u64).checked_sub(1)
            && let Relaxation::To { certificate, .. } =
                relax(&model, usize::try_from(seed % (bound + 1)).unwrap(), &Limits::default()).unwrap()
        {
            certificates.push(certificate);
        }
        for certificate in certificates {
            let mut bad = certificate.clone();
            corrupt(&mut bad, u8::try_from(seed % 13).unwrap(), usize::try_from(seed).unwrap());
            for one in [certificate, bad] {
                believed.push(check(&model, &one).is_ok());
                tasks.push_str(&serde_json::json!({"model": model, "certificate": one}).to_string());
                tasks.push('\n');
            }
        }
    }
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(tasks.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let told: Vec<bool> = told.lines().map(|line| line == "true").collect();
    assert_eq!(told, believed);
    assert!(told.contains(&true) && told.contains(&false), "{} certificates", told.len());
}
