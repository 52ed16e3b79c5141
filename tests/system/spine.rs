//! Requirements that verify themselves: the built binary, its API, kubectl, and reports as tools write them.

use std::time::Duration;

use tokio::time::Instant;

use maru_tests::{System, can_run};
use serde_json::Value;

const PROJECT: &str = r#"
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
"#;

const REQUIREMENTS: &str = r#"
apiVersion: maru.dev/v1alpha1
kind: Requirement
metadata: {name: goal-001, namespace: bank}
spec:
  statement: 고객은 돈을 보낼 수 있어야 한다.
  source: {document: RFP-1, clause: "1"}
---
apiVersion: maru.dev/v1alpha1
kind: Requirement
metadata: {name: fr-001, namespace: bank}
spec:
  title: {ko: 이체, en: Transfer}
  statement: When a customer orders a transfer, the ledger shall book it once.
  derivedFrom: [{name: goal-001}]
  allocatedTo: [ledger]
  criterion: {indicator: behaviour, of: {service: ledger}}
  verify:
    - {test: {suite: ledger, case: "books/*"}, in: test}
---
apiVersion: maru.dev/v1alpha1
kind: Requirement
metadata: {name: nfr-001, namespace: bank}
spec:
  statement: The ledger shall answer 95 % of the requests within 200 ms.
  derivedFrom: [{name: goal-001}]
  allocatedTo: [ledger]
  criterion: {indicator: latency, of: {service: ledger}, quantile: 0.95, atMost: 200ms}
  verify:
    - {load: transfers, in: test}
---
apiVersion: maru.dev/v1alpha1
kind: Requirement
metadata: {name: nfr-002, namespace: bank}
spec:
  statement: The office shall accept the ledger.
  priority: wont
  source: {document: RFP-1, clause: "2"}
"#;

fn junit(failed: bool) -> String {
    let failure = if failed { r#"<failure message="booked twice"/>"# } else { "" };
    format!(
        r#"<?xml version="1.0"?><testsuites><testsuite name="ledger" tests="2">
<testcase name="books/once">{failure}</testcase><testcase name="books/none-when-empty"/></testsuite></testsuites>"#
    )
}

fn load(within: u64) -> String {
    format!(
        r#"{{"kind": "maru.dev/load/v1", "scenario": "transfers", "from": "2026-01-02T08:00:00Z", "to": "2026-01-02T08:01:00Z",
"requests": 1000, "within": [[0.2, {within}]], "valid": true}}"#
    )
}

struct Bank(System);

impl Bank {
    fn start() -> Self {
        let system = System::start();
        system.apply(PROJECT);
        system.apply(REQUIREMENTS);
        Self(system)
    }

    fn requirement(&self, name: &str) -> Value {
        self.0.object("bank", "requirement", name)
    }

    fn verdict(&self, name: &str) -> String {
        self.requirement(name)["status"]["verdict"].as_str().unwrap_or_default().to_owned()
    }

    fn reason(&self, name: &str) -> String {
        self.requirement(name)["status"]["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits for a verdict; returns how long it took.
    fn await_verdict(&self, name: &str, verdict: &str, reason: &str) -> Duration {
        let started = Instant::now();
        self.0.wait(&format!("{name} to be {verdict} because of \"{reason}\""), || {
            let one = self.requirement(name);
            one["status"]["verdict"] == verdict && one["status"]["reason"].as_str().unwrap_or_default().contains(reason)
        });
        started.elapsed()
    }

    fn attest(&self, name: &str, content: &str, more: &[&str]) -> Value {
        let path = self.0.folder().write(name, content);
        let path = path.to_string_lossy().into_owned();
        let mut words = vec!["-n", "bank", "--json", "evidence", "attest", "--environment", "test", path.as_str()];
        words.extend(more);
        serde_json::from_str(&self.0.maru(&words)).expect("the answer is JSON")
    }
}

#[test]
fn verdicts_follow_evidence_and_nothing_else() {
    if !can_run(&["nft", "busybox"]) {
        return;
    }
    let bank = Bank::start();
    bank.await_verdict("fr-001", "NotMeasured", "no evidence");
    bank.await_verdict("goal-001", "NotMeasured", "not measured below");
    let fr = bank.requirement("fr-001");
    assert_eq!(fr["status"]["class"]["kind"], "functional", "{fr}");
    assert_eq!(bank.requirement("nfr-001")["status"]["class"]["category"], "performance");
    assert_eq!(bank.verdict("nfr-002"), "", "what is not done has no verdict");

    // A test that passes, a load whose interval is inside.
    bank.attest("pass.xml", &junit(false), &["--kind", "junit", "--requirement", "fr-001"]);
    let took = bank.await_verdict("fr-001", "Conforming", "2 tests passed");
    println!("the verdict followed after {took:?}");
    bank.attest("load.json", &load(990), &[]);
    bank.await_verdict("nfr-001", "Conforming", "99 % within 200 ms");
    bank.await_verdict("goal-001", "Conforming", "children conform");

    // One that fails, one that is outside, one across.
    bank.attest("fail.xml", &junit(true), &[]);
    bank.await_verdict("fr-001", "Nonconforming", "books/once");
    bank.await_verdict("goal-001", "Nonconforming", "fr-001");
    bank.attest("slow.json", &load(800).replace("08:01:00", "08:02:00"), &[]);
    bank.await_verdict("nfr-001", "Nonconforming", "80 %");
    bank.attest("across.json", &load(950).replace("08:01:00", "08:03:00"), &[]);
    bank.await_verdict("nfr-001", "NotMeasured", "across");

    // Another wording asks for evidence again; the old wording finds its own again.
    bank.attest("again.xml", &junit(false), &[]);
    bank.await_verdict("fr-001", "Conforming", "passed");
    bank.0.apply(&REQUIREMENTS.replace("book it once", "book it exactly once"));
    bank.await_verdict("fr-001", "NotMeasured", "another wording");
    bank.0.apply(REQUIREMENTS);
    bank.await_verdict("fr-001", "Conforming", "passed");

    let list = bank.0.maru(&["-n", "bank", "req", "list"]);
    assert!(list.contains("fr-001") && list.contains("Conforming"), "{list}");
    let trace = bank.0.maru(&["-n", "bank", "req", "trace"]);
    assert!(trace.contains("  fr-001") && trace.contains("적합"), "{trace}");
    let status = bank.0.maru(&["-n", "bank", "project", "status"]);
    assert!(status.contains("0 problems"), "{status}");
    let project = bank.0.object("bank", "project", "bank");
    assert_eq!(project["status"]["chainLength"], 6, "{project}");
    assert_eq!(project["status"]["conforming"], 1, "{project}");
}

#[test]
fn typed_verdicts_and_forged_evidence_are_told_apart() {
    if !can_run(&["nft", "busybox"]) {
        return;
    }
    let bank = Bank::start();
    bank.await_verdict("fr-001", "NotMeasured", "no evidence");
    let typed = REQUIREMENTS
        .replace("{name: fr-001, namespace: bank}", "{name: fr-001, namespace: bank}\nstatus: {verdict: Conforming}");
    let path = bank.0.folder().write("typed.yaml", &typed);
    let refusal = bank.0.refused(&["apply", "-f", &path.to_string_lossy()]);
    assert!(refusal.contains("a verdict is never typed"), "{refusal}");
    if can_run(&["kubectl"]) {
        let patch = r#"{"status":{"verdict":"Conforming"}}"#;
        for words in [vec!["--subresource=status"], vec![], vec!["--subresource=status", "--as=system:maru:process"]] {
            let mut all = vec!["-n", "bank", "patch", "requirement", "fr-001", "--type=merge", "-p", patch];
            all.extend(words);
            let output = bank.0.try_kubectl(&all);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success(), "{said}");
            assert!(said.contains("never typed") || said.contains("nobody acts as"), "{said}");
        }
        let printed = bank.0.kubectl(&["-n", "bank", "get", "requirements"]);
        let header: Vec<&str> = printed.lines().next().unwrap_or_default().split_whitespace().collect();
        assert_eq!(header, ["NAME", "VERDICT", "CLASS", "PRIORITY", "REASON", "AGE"], "{printed}");
        assert!(printed.contains("NotMeasured") && printed.contains("must"), "{printed}");
    }

    // An object that says something else than its envelope, and one without any envelope.
    bank.attest("fail.xml", &junit(true), &[]);
    bank.await_verdict("fr-001", "Nonconforming", "books/once");
    let evidence = bank.0.objects("bank", "evidence");
    let mut forged = evidence.first().expect("one was recorded").clone();
    forged["metadata"] = serde_json::json!({"name": "forged", "namespace": "bank"});
    forged["spec"]["result"]["outcome"] = "Met".into();
    forged["spec"]["window"]["to"] = "2027-01-01T00:00:00Z".into();
    forged.as_object_mut().expect("an object").remove("status");
    bank.0.apply(&forged.to_string());
    let load = bank.attest("load.json", &load(990), &[]);
    bank.await_verdict("nfr-001", "Conforming", "99 %");
    let mut foreign = forged.clone();
    foreign["metadata"]["name"] = "foreign".into();
    foreign["spec"]["envelope"] = format!("sha256:{}", "0".repeat(64)).into();
    bank.0.apply(&foreign.to_string());
    bank.0.wait("both to be found out", || {
        let of = |name: &str| {
            bank.0.object("bank", "evidence", name)["status"]["reason"].as_str().unwrap_or_default().to_owned()
        };
        of("forged").contains("altered or forged") && of("foreign").contains("not in the store")
    });
    bank.await_verdict("fr-001", "Nonconforming", "books/once");
    let name = evidence[0]["metadata"]["name"].as_str().expect("a name").to_owned();
    let refusal = bank.0.refused(&["-n", "bank", "delete", "evidence", &name]);
    assert!(refusal.contains("append-only"), "{refusal}");
    let output = bank.0.try_maru(&["-n", "bank", "evidence", "verify"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && said.contains("bad   forged") && said.contains("2 records"), "{said}");

    // Exported, it is checked without the server; an altered byte is found.
    let folder = bank.0.folder().join("export");
    bank.0.maru(&["-n", "bank", "evidence", "export", &folder.to_string_lossy()]);
    let checked = bank.0.maru(&["evidence", "verify", &folder.to_string_lossy()]);
    assert!(checked.contains("2 records, all stand"), "{checked}");
    let digest = load["recorded"][0].as_str().and_then(|text| text.strip_prefix("sha256:")).expect("a digest");
    let envelope = folder.join("envelopes").join(format!("{digest}.json"));
    let text = std::fs::read_to_string(&envelope).expect("the envelope was exported");
    std::fs::write(&envelope, text.replacen('A', "B", 1)).expect("it can be written");
    let output = bank.0.try_maru(&["evidence", "verify", &folder.to_string_lossy()]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && said.contains(digest), "{said}");

    // The envelope on the disk is altered while Maru is down: what was believed is not any more.
    let mut bank = bank;
    bank.0.terminate();
    let blob = bank.0.data().join("evidence/blobs/sha256").join(digest.get(..2).expect("digits")).join(digest);
    let text = std::fs::read_to_string(&blob).expect("the envelope is there");
    std::fs::write(&blob, text.replacen('A', "B", 1)).expect("it can be written");
    bank.0.up();
    bank.await_verdict("nfr-001", "NotMeasured", "does not stand");
    assert!(bank.reason("nfr-001").contains("hashes to"), "{}", bank.reason("nfr-001"));
}

/// A repository with a requirement in Markdown that was committed twice, long ago.
fn repository(bank: &Bank) -> std::path::PathBuf {
    let folder = bank.0.folder().join("repository");
    let item = ".maru/requirements/goal-002.md";
    let git = |words: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.arg("-C").arg(&folder).args(["-c", "user.name=Kim", "-c", "user.email=kim@example.com"]).args(words);
        command.env("GIT_AUTHOR_DATE", "2020-05-01T09:00:00Z").env("GIT_COMMITTER_DATE", "2020-05-01T09:00:00Z");
        let output = command.output().expect("git runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    for (text, words) in [("Transfers shall be quick.", ["init", "-q"]), ("The bank shall be quick.", ["add", "."])] {
        let content = format!("---\nsource: {{document: RFP-1}}\n---\n# Quick\n\n{text}\n");
        bank.0.folder().write(format!("repository/{item}"), &content);
        git(&words);
        git(&["add", "."]);
        git(&["commit", "-q", "-m", text]);
    }
    folder
}

#[test]
fn a_folder_becomes_requirements_that_say_what_they_are() {
    if !can_run(&["nft", "busybox", "git"]) {
        return;
    }
    let bank = Bank::start();
    let folder = repository(&bank);
    let applied = bank.0.maru(&["-n", "bank", "req", "apply", &folder.to_string_lossy()]);
    assert!(applied.contains("goal-002 created") && applied.contains("--prune"), "{applied}");
    bank.0.wait("the class and the findings of the goal", || {
        let status = &bank.requirement("goal-002")["status"];
        status["class"]["volatility"] == "stable"
            && status["lint"].as_array().is_some_and(|list| list.iter().any(|one| one["rule"] == "vague-word"))
    });
    let goal = bank.requirement("goal-002");
    assert!(
        goal["metadata"]["annotations"]["maru.dev/history"].as_str().is_some_and(|text| text.starts_with("2020-05-01"))
    );
    bank.0.wait("the goal to know what derives from it", || {
        bank.requirement("goal-001")["status"]["class"]["impact"] == 2
    });
    let shown = bank.0.maru(&["-n", "bank", "req", "show", "goal-002"]);
    assert!(shown.contains("vague-word") && shown.contains("stable"), "{shown}");

    // One that cannot be read, in the middle: nothing is applied, and its place is told.
    bank.0.folder().write("repository/.maru/requirements/a.yaml", "name: a\nstatement: The bank shall open.\n");
    bank.0.folder().write("repository/.maru/requirements/b.yaml", "name: b\nstatment: The bank shall close.\n");
    let refusal = bank.0.refused(&["-n", "bank", "req", "apply", &folder.to_string_lossy()]);
    assert!(refusal.contains("nothing was applied") && refusal.contains("b.yaml:2"), "{refusal}");
    assert!(!bank.0.objects("bank", "requirement").iter().any(|one| one["metadata"]["name"] == "a"));
    std::fs::remove_file(folder.join(".maru/requirements/b.yaml")).expect("it is there");
    let applied = bank.0.maru(&["-n", "bank", "req", "apply", &folder.to_string_lossy(), "--prune"]);
    assert!(applied.contains("a created") && applied.contains("fr-001 deleted"), "{applied}");
    assert_eq!(bank.0.objects("bank", "requirement").len(), 2);
}

#[test]
fn keys_hand_over_and_an_altered_envelope_is_noticed_while_maru_runs() {
    if !can_run(&["nft", "busybox"]) {
        return;
    }
    let bank = Bank::start();
    bank.attest("pass.xml", &junit(false), &[]);
    bank.await_verdict("fr-001", "Conforming", "2 tests passed");
    let rotated = bank.0.maru(&["-n", "bank", "evidence", "key", "rotate"]);
    assert!(rotated.contains("signs now"), "{rotated}");
    let load = bank.attest("load.json", &load(990), &[]);
    bank.await_verdict("nfr-001", "Conforming", "99 %");
    bank.await_verdict("fr-001", "Conforming", "2 tests passed");
    let keys: Value =
        serde_json::from_str(&bank.0.maru(&["-n", "bank", "--json", "evidence", "key", "list"])).expect("JSON");
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(2), "{keys}");
    let folder = bank.0.folder().join("export");
    bank.0.maru(&["-n", "bank", "evidence", "export", &folder.to_string_lossy()]);
    let first = bank.0.folder().write("first.pem", keys["keys"][0]["pem"].as_str().expect("a key"));
    let first = first.to_string_lossy();
    let checked = bank.0.maru(&["evidence", "verify", &folder.to_string_lossy(), "--key", &first]);
    assert!(checked.contains("3 records, all stand"), "{checked}");

    // Whoever is elsewhere, with a kubeconfig only, lists, checks and exports all of it; only signing is done there.
    let kubeconfig = bank.0.data().join("admin.kubeconfig");
    let elsewhere = bank.0.folder().join("elsewhere");
    let elsewhere = |words: &[&str]| {
        let data = elsewhere.to_string_lossy().into_owned();
        let kubeconfig = kubeconfig.to_string_lossy().into_owned();
        let mut all = vec!["--data", &data, "--kubeconfig", &kubeconfig, "-n", "bank"];
        all.extend(words);
        bank.0.try_maru_as_is(&all)
    };
    let archive = bank.0.folder().join("bank.zip").to_string_lossy().into_owned();
    for words in [
        vec!["req", "list"],
        vec!["req", "trace"],
        vec!["evidence", "list"],
        vec!["evidence", "verify"],
        vec!["evidence", "key", "list"],
        vec!["project", "status"],
        vec!["export", "--archive", &archive, "--format", "html"],
    ] {
        let output = elsewhere(&words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let checked = bank.0.maru(&["evidence", "verify", &archive]);
    assert!(checked.contains("3 records, all stand"), "{checked}");
    let output = elsewhere(&["evidence", "key", "rotate"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("on the machine that Maru runs on"), "{said}");

    let digest = load["recorded"][0].as_str().and_then(|text| text.strip_prefix("sha256:")).expect("a digest");
    let blob = bank.0.data().join("evidence/blobs/sha256").join(digest.get(..2).expect("digits")).join(digest);
    let text = std::fs::read_to_string(&blob).expect("the envelope is there");
    std::fs::write(&blob, text.replacen('A', "B", 1)).expect("it can be written");
    bank.await_verdict("nfr-001", "NotMeasured", "does not stand");
    std::fs::write(&blob, text).expect("it can be written");
    bank.await_verdict("nfr-001", "Conforming", "99 %");
}
