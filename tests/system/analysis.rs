//! `maru analyze`: of the shop's folder without a platform, and of a project that runs.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use maru_testkit::TempDir;
use maru_tests::{System, binary, can_run, find_program};
use serde_json::Value;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

const BANK: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: bank}
---
apiVersion: v1
kind: Namespace
metadata: {name: bank-test, labels: {maru.dev/project: bank, maru.dev/environment: test}}
---
apiVersion: maru.dev/v1alpha1
kind: Project
metadata: {name: bank, namespace: bank}
spec: {title: 은행, language: en, goal: Transfers that are never lost}
---
apiVersion: maru.dev/v1alpha1
kind: Requirement
metadata: {name: nfr-001, namespace: bank}
spec:
  statement: The ledger shall answer 95 % of the requests within 200 ms.
  source: {document: RFP-1, clause: "1"}
  allocatedTo: [ledger]
  criterion: {indicator: latency, of: {service: ledger}, quantile: 0.95, atMost: 200ms}
  verify:
    - {load: transfers, in: test}
---
apiVersion: maru.dev/v1alpha1
kind: Architecture
metadata: {name: bank, namespace: bank}
spec:
  services:
    - name: ledger
      options:
        - {name: small, latency: {p95: 150ms}, availability: 99.9%, cost: 100 KRW/month}
"#;

const SLOW: &str = r#"{"kind": "maru.dev/load/v1", "scenario": "transfers", "from": "2026-01-02T08:00:00Z", "to": "2026-01-02T08:01:00Z",
"requests": 10000, "quantiles": {"0.94": 0.24, "0.96": 0.26}, "slowest": 0.9, "valid": true}"#;

fn analyze(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.env_remove("KUBECONFIG").current_dir(folder).arg("analyze").args(arguments).stdin(Stdio::null());
    command.output().expect("the built binary starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a temporary folder");
    for entry in std::fs::read_dir(from).expect("the shop's folder") {
        let entry = entry.expect("the shop's folder");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).map(drop).expect("a temporary folder");
        }
    }
}

#[test]
fn a_folder_is_analysed_and_negotiated_without_a_platform() {
    let home = TempDir::new();
    let folder = home.path();
    copy(&Path::new(REPOSITORY).join("examples/shop/.maru"), &folder.join(".maru"));
    let korean = analyze(folder, &[]);
    assert_eq!(korean.status.code(), Some(0), "{}", text(&korean));
    assert!(text(&korean).contains("shop: 가능: 서비스 7개"), "{}", text(&korean));
    let english = analyze(folder, &["--language", "en", "--certificate", "proof.json"]);
    assert!(text(&english).contains("shop: feasible: 7 services"), "{}", text(&english));
    // The program of the guide believes the proof, and no other.
    if find_program("python3").is_some() {
        let guide = std::fs::read_to_string(Path::new(REPOSITORY).join("docs/guide/analysis.md")).expect("the guide");
        let program = guide.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a program");
        home.write("check.py", program);
        let check = || Command::new("python3").args(["check.py", "proof.json"]).current_dir(folder).output();
        assert!(text(&check().expect("python3 starts")).contains("stands"));
        let proof = std::fs::read_to_string(folder.join("proof.json")).expect("the proof");
        home.write("proof.json", proof.replace("\"within\":0", "\"within\":0,\"options\":[0,0,0,0,0,0,0]"));
        assert!(!check().expect("python3 starts").status.success());
    } else {
        println!("skipped: there is no python3 to run the guide's program");
    }
    let budget = folder.join(".maru/requirements/nfr-010.yaml");
    let before = std::fs::read_to_string(&budget).expect("the requirement");
    std::fs::write(&budget, before.replace("500000 KRW", "230000 KRW")).expect("the requirement");
    let conflict = analyze(folder, &["--language", "en"]);
    assert_eq!(conflict.status.code(), Some(1), "{}", text(&conflict));
    assert!(text(&conflict).contains("infeasible: cannot all hold: nfr-003, nfr-006, nfr-010"), "{}", text(&conflict));
    let accept = ["accept", "nfr-010", "--at-most", "250000 KRW/month", "--why", "agreed", "--who", "kim"];
    let accepted = analyze(folder, &accept);
    assert_eq!(accepted.status.code(), Some(0), "{}", String::from_utf8_lossy(&accepted.stderr));
    let after = std::fs::read_to_string(&budget).expect("the requirement");
    assert_eq!(after, before.replace("500000 KRW", "250000 KRW"), "only the value changes");
    let records = std::fs::read_dir(folder.join(".maru/decisions")).expect("records").count();
    assert_eq!(records, 1);
    let json = analyze(folder, &["--output", "json"]);
    let answer: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(answer["status"]["outcome"], "Feasible");
    assert!(answer["certificates"][0]["claim"]["cheapest"].is_object() && answer["tradeoff"]["points"].is_array());
    // What cannot be read is not known, and never "cannot".
    home.write(".maru/architecture.yaml", "kind: Architecture\nmetadata: {name: x}\nspec: {services: 3}\n");
    assert_eq!(analyze(folder, &[]).status.code(), Some(2));
    assert_eq!(analyze(folder, &["nowhere"]).status.code(), Some(2));
}

#[test]
fn a_running_project_is_analysed_again_when_something_was_measured() {
    if !can_run(&["nft", "busybox"]) {
        return;
    }
    let system = System::start();
    system.apply(BANK);
    let status = || system.object("bank", "architecture", "bank")["status"].clone();
    system.wait("the architecture to be analysed", || status()["outcome"] == "Feasible");
    assert_eq!(status()["cost"], "100 KRW/month");
    assert!(status()["reason"].as_str().is_some_and(|reason| reason.starts_with("feasible")), "the project's language");
    let report = system.folder().write("load.json", SLOW);
    system.maru(&["-n", "bank", "evidence", "attest", "--environment", "test", &report.to_string_lossy()]);
    system.wait("the measurement to end feasibility", || status()["outcome"] == "Infeasible");
    assert_eq!(status()["measured"][0]["value"], "260ms");
    let conflicts = || system.object("bank", "requirement", "nfr-001")["status"]["conflicts"].clone();
    system.wait("the requirement to know its conflict", || conflicts() == serde_json::json!([["nfr-001"]]));
    let look = system.try_maru(&["-n", "bank", "analyze", "--language", "en"]);
    assert_eq!(look.status.code(), Some(1));
    assert!(text(&look).contains("with measured numbers"), "{}", text(&look));
    let accept = ["-n", "bank", "analyze", "accept", "--relaxation", "1", "--why", "measured", "--who", "kim"];
    assert!(system.maru(&accept).contains("criterion.atMost: 200ms → 260ms"));
    system.wait("the relaxed requirement to hold", || status()["outcome"] == "Feasible");
    assert!(system.maru(&["-n", "bank", "evidence", "list"]).contains("nfr-001-atMost"));
    assert!(system.maru(&["-n", "bank", "evidence", "verify"]).contains("2 records, all stand"));
}
