//! Gates, approvals, baselines and documents: the built binary, its folder of a new project, and kubectl as two people.

use maru_tests::{System, can_run};
use serde_json::Value;

const TESTS: &str = r#"<testsuite name="orders" tests="1"><testcase name="orders/number-is-returned"/></testsuite>"#;
const ROLE: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: customer, namespace: bank}
rules:
  - {apiGroups: [maru.dev], resources: [approvals], verbs: [create, get, list]}
  - {apiGroups: [maru.dev], resources: [approvalroles], resourceNames: [customer], verbs: [approve]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: kim, namespace: bank}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: customer}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: kim}]
"#;

struct Bank(System);

impl Bank {
    /// Begins a project as a person does: init, lint, apply.
    fn start() -> Self {
        let system = System::start();
        let folder = system.folder().join("bank");
        let folder = folder.to_string_lossy().into_owned();
        let begun = system.maru(&["project", "init", &folder, "--language", "en"]);
        assert!(begun.contains("requirements/nfr-001.yaml"), "{begun}");
        system.maru(&["req", "lint", &folder, "--strict", "--language", "en"]);
        let files = format!("{folder}/.maru");
        system.maru(&["apply", "-f", &files, "-f", &format!("{files}/requirements")]);
        Self(system)
    }

    fn json(&self, words: &[&str]) -> Value {
        let mut all = vec!["-n", "bank", "--json"];
        all.extend(words);
        let output = self.0.try_maru(&all);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{all:?} answered no JSON ({error}): {said}"))
    }

    fn status(&self, kind: &str, name: &str) -> Value {
        self.0.object("bank", kind, name)["status"].clone()
    }

    fn exit_gate(&self, stage: &str) -> Value {
        let gates = self.status("project", "bank")["gates"].clone();
        let name = format!("{stage}/exit");
        gates.as_array().into_iter().flatten().find(|gate| gate["gate"] == name.as_str()).cloned().unwrap_or_default()
    }
}

fn approval(name: &str, role: &str, of: &str, decision: &str) -> String {
    format!(
        "{{\"apiVersion\": \"maru.dev/v1alpha1\", \"kind\": \"Approval\", \"metadata\": {{\"name\": \"{name}\", \"namespace\": \
         \"bank\"}}, \"spec\": {{\"role\": \"{role}\", \"of\": [{of}], \"decision\": \"{decision}\"}}}}"
    )
}

#[test]
fn a_project_goes_through_its_first_gate() {
    if !can_run(&["nft", "busybox", "kubectl"]) {
        return;
    }
    let bank = Bank::start();
    bank.0.wait("the project to be judged", || bank.exit_gate("requirements")["open"] == false);
    assert_eq!(bank.status("project", "bank")["stage"], "requirements");
    let gate = bank.json(&["project", "gate", "requirements"]);
    let unblock = gate["gates"][0]["blocked"].to_string();
    assert!(unblock.contains("the customer has not approved a baseline"), "{gate}");
    assert!(unblock.contains("maru -n bank project baseline create NAME"), "{gate}");
    let said = bank.0.try_maru(&["-n", "bank", "project", "gate", "requirements"]);
    assert_eq!(said.status.code(), Some(1), "a gate that is closed");
    let printed = bank.0.kubectl(&["-n", "bank", "get", "gates"]);
    assert!(
        printed.contains("tested-requirements") && printed.contains("is not measured (fr-001, goal-001, nfr-001)"),
        "{printed}"
    );

    // Evidence, a baseline, and the customer's word by kubectl.
    let report = bank.0.folder().write("tests.xml", TESTS);
    let report = report.to_string_lossy().into_owned();
    bank.0.maru(&["-n", "bank", "evidence", "attest", "--environment", "test", &report]);
    let taken = bank.0.maru(&["-n", "bank", "project", "baseline", "create", "v1", "--title", "as ordered"]);
    assert!(taken.contains("baseline v1 is signed: 3 requirements, the first one of the project;"), "{taken}");
    bank.0.apply(ROLE);
    let baseline = r#"{"kind": "Baseline", "name": "v1"}"#;
    let path = bank.0.folder().write("wrong.json", approval("wrong", "architect", baseline, "approved"));
    let as_kim = |path: &std::path::Path| bank.0.try_kubectl(&["--as=kim", "create", "-f", &path.to_string_lossy()]);
    let refused = as_kim(&path);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("user \"kim\" does not hold the role \"architect\""), "{why}");
    let path = bank.0.folder().write("word.json", approval("word", "customer", baseline, "approved"));
    let made = as_kim(&path);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert_eq!(bank.0.object("bank", "approval", "word")["spec"]["by"], "kim");
    bank.0.wait("the gate to open", || bank.exit_gate("requirements")["open"] == true);
    bank.0.wait("the next stage", || bank.status("project", "bank")["stage"] == "as-is");
    let listed = bank.0.maru(&["-n", "bank", "evidence", "list"]);
    assert!(listed.contains("customer") && listed.contains("v1"), "{listed}");

    changes_are_controlled(&bank);
}

fn changes_are_controlled(bank: &Bank) {
    // What is signed stays; what changes is listed and waits for the customer.
    let edit = bank.0.try_kubectl(&[
        "-n",
        "bank",
        "patch",
        "baseline",
        "v1",
        "--type=merge",
        "-p",
        r#"{"spec":{"change":"x"}}"#,
    ]);
    let why = String::from_utf8_lossy(&edit.stderr).into_owned();
    assert!(!edit.status.success() && why.contains("is signed and never changes"), "{why}");
    let early = bank.0.folder().join("early");
    let export = |folder: &std::path::Path| {
        let folder = folder.to_string_lossy().into_owned();
        bank.0.maru(&["-n", "bank", "export", &folder, "--baseline", "v1", "--language", "en"]);
    };
    export(&early);
    let reword = r#"{"spec":{"statement":"A customer shall be able to order in one minute."}}"#;
    bank.0.kubectl(&["-n", "bank", "patch", "requirement", "goal-001", "--type=merge", "-p", reword]);
    bank.0.wait("the change to be listed", || bank.status("project", "bank")["changeCount"] == 1);
    let diff = bank.json(&["project", "baseline", "diff"]);
    assert_eq!(diff["changes"][0]["name"], "goal-001", "{diff}");
    assert_eq!(diff["changes"][0]["impacts"], serde_json::json!(["fr-001", "nfr-001"]));
    let waits = bank.0.try_maru(&["-n", "bank", "project", "baseline", "create", "v2", "--change", "faster"]);
    let why = String::from_utf8_lossy(&waits.stdout).into_owned();
    assert!(
        !waits.status.success() && why.contains("maru -n bank project approve Baseline/v2 --role customer"),
        "{why}"
    );
    bank.0.maru(&["-n", "bank", "project", "approve", "Baseline/v2", "--role", "customer", "--comment", "go"]);
    bank.0.wait("the second baseline", || bank.status("baseline", "v2")["envelope"].is_string());
    let list = bank.json(&["project", "baseline", "ls"]);
    assert_eq!(list["baselines"].as_array().map(Vec::len), Some(2), "{list}");

    // The first one's documents are the same files for ever, also as an object.
    let late = bank.0.folder().join("late");
    export(&late);
    for name in ["requirements-definition.html", "traceability-matrix.docx", "test-result.xlsx", "audit-matrix.hwpx"] {
        let read = |folder: &std::path::Path| std::fs::read(folder.join(name)).expect("the file was written");
        assert_eq!(read(&early), read(&late), "{name}");
    }
    bank.0.apply(
        "{apiVersion: maru.dev/v1alpha1, kind: Document, metadata: {name: matrix, namespace: bank}, spec: {type: traceabilityMatrix, \
         language: en, baseline: v1, formats: [docx]}}",
    );
    bank.0.wait("the document", || bank.status("document", "matrix")["files"][0]["format"] == "docx");
    let digest = bank.status("document", "matrix")["files"][0]["digest"].as_str().unwrap_or_default().to_owned();
    let file = early.join("traceability-matrix.docx").to_string_lossy().into_owned();
    let sum = std::process::Command::new("sha256sum").arg(&file).output().expect("sha256sum runs");
    assert!(String::from_utf8_lossy(&sum.stdout).starts_with(digest.trim_start_matches("sha256:")), "{digest}");
    let checked = bank.0.maru(&["-n", "bank", "evidence", "verify"]);
    assert!(checked.contains("all stand"), "{checked}");
    let status = bank.0.maru(&["-n", "bank", "project", "status"]);
    assert!(status.contains("baseline  v2, 0 changes since"), "{status}");
}

#[test]
fn a_hostile_gate_stays_closed_and_says_why() {
    if !can_run(&["nft", "busybox", "kubectl"]) {
        return;
    }
    let bank = Bank::start();
    let gate = |expression: &str| {
        format!(
            "apiVersion: maru.dev/v1alpha1\nkind: Gate\nmetadata: {{name: own, namespace: bank}}\nspec:\n  stage: requirements\n  terms:\n  \
             - {{message: it is not so, expression: \"{expression}\"}}\n"
        )
    };
    for (expression, place) in [
        ("size(requirements) >".to_owned(), "line 1, column 21"),
        ("true && missing".to_owned(), "line 1, column 9"),
        ("(".repeat(4000), "nested deeper"),
    ] {
        let path = bank.0.folder().write("gate.yaml", gate(&expression));
        let refused = bank.0.try_kubectl(&["apply", "-f", &path.to_string_lossy()]);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && why.contains(place), "{why}");
    }
    let names: Vec<String> = ('a'..='t').map(|name| format!("requirements.all({name}, ")).collect();
    let endless = format!("{}true{}", names.concat(), ")".repeat(names.len()));
    bank.0.apply(&gate(&endless));
    bank.0.wait("the gate to be closed", || {
        bank.status("gate", "own")["reason"].as_str().unwrap_or_default().contains("it takes more than")
    });
    assert_eq!(bank.status("gate", "own")["open"], false);
    bank.0.apply(&gate("true"));
    bank.0.wait("the gate to open", || bank.status("gate", "own")["open"] == true);
}
