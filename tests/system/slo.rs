//! From what the gateway counted to a verdict: an objective that follows from a requirement, its status, its window as evidence.

use maru_prom::Labels;
use maru_testkit::TempDir;
use maru_tests::{System, can_run, find_program};
use maru_time::{Clock as _, SystemClock};
use serde_json::Value;

use crate::metrics::write_body;

const PROJECT: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: bank}
---
apiVersion: v1
kind: Namespace
metadata: {name: bank-prod, labels: {maru.dev/project: bank, maru.dev/environment: prod}}
---
apiVersion: maru.dev/v1alpha1
kind: Project
metadata: {name: bank, namespace: bank}
spec: {title: Bank, language: en, goal: Transfers that are never lost}
---
apiVersion: maru.dev/v1alpha1
kind: Requirement
metadata: {name: nfr-001, namespace: bank}
spec:
  statement: The ledger shall serve 99 % of a day's requests.
  source: {document: RFP-1, clause: "1"}
  criterion: {indicator: availability, of: {service: ledger}, atLeast: 99%, window: 1d}
  verify:
    - {slo: ledger-availability, in: prod}
"#;

/// Requests of the ledger as the gateway counts them, one sample each 15 s, up to now.
struct Gateway<'s> {
    system: &'s System,
    token: String,
}

impl Gateway<'_> {
    fn count(&self, code: &str, each: u32) {
        let labels = [("__name__", "maru_gateway_requests_total"), ("code", code), ("service", "bank-prod/ledger:80")];
        let now = SystemClock.now().as_millisecond() / 15_000 * 15_000;
        let samples: Vec<(i64, f64)> =
            (0..=40_u32).map(|step| (now - i64::from(40 - step) * 15_000, f64::from(step * each))).collect();
        let body = write_body(&[(Labels::from_pairs(labels), samples)]);
        let file = self.system.folder().write("samples", body);
        let authorization = format!("Authorization: Bearer {}", self.token);
        let (status, answer) = self.system.http(
            "https://127.0.0.1:9090/api/v1/write",
            &[
                "-H",
                &authorization,
                "-H",
                "Content-Encoding: snappy",
                "-H",
                "Content-Type: application/x-protobuf",
                "--data-binary",
                &format!("@{}", file.display()),
            ],
        );
        assert_eq!(status, 204, "{answer}");
    }
}

fn objective(system: &System) -> Value {
    system.object("bank", "servicelevelobjective", "ledger-availability")
}

#[test]
fn a_requirement_gets_its_objective_and_the_window_decides_the_verdict() {
    if !can_run(&["nft", "busybox", "curl"]) {
        return;
    }
    let system = System::start();
    system.apply(PROJECT);
    let token = system.maru(&["metrics", "token", "create", "--name", "test", "--scope", "write"]);
    let gateway = Gateway { system: &system, token: token.trim().to_owned() };

    system.wait("the objective to be made and to be without measurements", || {
        let status = &objective(&system)["status"];
        status["outcome"] == "Insufficient" && status["reason"]["en"].to_string().contains("nothing was measured")
    });
    let made = objective(&system);
    assert_eq!(made["metadata"]["ownerReferences"][0]["name"], "nfr-001", "{made}");
    let rules = system.object("bank", "prometheusrule", "slo-ledger-availability");
    assert!(rules["spec"]["groups"].to_string().contains("SLOBurnsFast"), "{rules}");
    let refused = system.refused(&["-n", "bank", "slo", "attest", "ledger-availability"]);
    assert!(refused.contains("none has closed yet"), "{refused}");

    gateway.count("200", 100);
    system.wait("the objective to be met", || objective(&system)["status"]["outcome"] == "Met");
    let status = objective(&system)["status"].clone();
    let total = status["targets"][0]["current"]["total"].as_u64().expect("a count");
    assert!((3_500..=4_500).contains(&total), "{status}");
    assert!(system.maru(&["-n", "bank", "get", "slo"]).contains("Met"));
    system.maru(&["-n", "bank", "slo", "attest", "ledger-availability", "--open"]);
    let verdict = || system.object("bank", "requirement", "nfr-001")["status"]["verdict"].clone();
    system.wait("the requirement to conform", || verdict() == "Conforming");

    gateway.count("503", 30);
    system.wait("the objective to be violated", || objective(&system)["status"]["outcome"] == "Violated");
    system.maru(&["-n", "bank", "slo", "attest", "ledger-availability", "--open"]);
    system.wait("the requirement not to conform", || verdict() == "Nonconforming");

    // On recorded samples the same objective says the same, and its alerts would have fired.
    let file = system.folder().write("objective.yaml", objective(&system).to_string());
    let token = system.maru(&["metrics", "token", "create", "--name", "reader", "--scope", "read"]);
    let token = system.folder().write("token", token);
    let authority = system.data().join("keys/ca.crt");
    let told = system.maru(&[
        "-n",
        "bank",
        "slo",
        "backtest",
        &file.to_string_lossy(),
        "--from",
        "2h",
        "--url",
        "https://127.0.0.1:9090",
        "--token-file",
        &token.to_string_lossy(),
        "--ca-certificate",
        &authority.to_string_lossy(),
    ]);
    assert!(told.contains("Violated") && told.contains("SLOBurnsFast: fired 1 times"), "{told}");
}

#[test]
fn a_sentence_becomes_rules_that_promtool_takes() {
    let Some(promtool) = find_program("promtool") else {
        println!("skipped: promtool is not installed");
        return;
    };
    let folder = TempDir::new();
    for (index, sentence) in
        ["99.9 % of a day's API responses within 100 ms", "하루 API 응답의 99.9%가 100ms 이내"].iter().enumerate()
    {
        let maru = |words: &[&str]| {
            let output = System::command_on(&folder.join("data"), words).output().expect("the binary runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("text")
        };
        let object = maru(&["slo", "from", sentence, "--service", "orders", "--zone", "Asia/Seoul"]);
        let object = folder.write(format!("slo-{index}.yaml"), object);
        let rules = maru(&["slo", "compile", &object.to_string_lossy()]);
        assert!(rules.contains("le=\"0.1\""), "{rules}");
        let rules = folder.write(format!("rules-{index}.yaml"), rules);
        let checked = std::process::Command::new(&promtool).args(["check", "rules"]).arg(rules).output();
        let checked = checked.expect("promtool runs");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
}
