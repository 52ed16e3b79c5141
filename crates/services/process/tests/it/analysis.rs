//! Architectures on the API server: answers, measured numbers, decisions.

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use maru_api::{ArchitectureStatus, Digest, Feasibility, Language, Verdict};
use maru_evidence::EvidenceKind;
use maru_evidence::readers::Format;
use maru_process::{Attestation, Effort, Reasons, Wish, analyse, decide};
use maru_solver::{Certificate, Model};
use maru_time::system_clock;
use serde_json::{Value, json};

use crate::{House, PATIENCE, PROJECT};

const OURS: &str = "maru.dev/v1alpha1";

impl House {
    fn architectures(&self) -> Api<DynamicObject> {
        self.api(Some(PROJECT), OURS, "Architecture")
    }

    async fn architecture(&self) -> (DynamicObject, ArchitectureStatus) {
        let object = self.architectures().get("shop").await.unwrap();
        let status = serde_json::from_value(object.data.get("status").cloned().unwrap_or_default()).unwrap_or_default();
        (object, status)
    }

    async fn until_analysed(&self, outcome: Feasibility, said: &str) -> ArchitectureStatus {
        maru_testkit::wait_for(PATIENCE, format!("the architecture to be {outcome:?}: {said}"), async || {
            let (object, status) = self.architecture().await;
            let reason = status.reason_text.clone()?.get(Language::En).to_owned();
            let is_current = status.observed_generation == object.metadata.generation;
            (is_current && status.outcome == Some(outcome) && reason.contains(said)).then_some(status)
        })
        .await
    }

    async fn until_conflicts(&self, name: &str, expected: &[&[&str]]) {
        maru_testkit::wait_until(PATIENCE, "the conflicts of a requirement", async || {
            self.find(name).await.status.unwrap_or_default().conflicts == expected
        })
        .await;
    }

    async fn change(&self, name: &str, spec: Value) {
        let requirements = self.api(Some(PROJECT), OURS, "Requirement");
        let patch = Patch::Merge(json!({"spec": spec}));
        requirements.patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    async fn build(&self, services: Value) {
        let object = json!({"metadata": {"name": "shop"}, "spec": {"services": services}});
        self.create(Some(PROJECT), OURS, "Architecture", object).await;
    }

    /// Orders and payments, small or large; fast enough when both are large.
    async fn build_shop(&self) {
        let option = |name: &str, cost: u32, latency: &str| {
            json!({"name": name, "availability": "99.9%", "capacity": "100/s", "latency": {"p9995": latency},
                   "cost": format!("{cost} KRW/month")})
        };
        let options = json!([option("small", 100, "60ms"), option("large", 300, "20ms")]);
        self.build(json!([
            {"name": "orders", "calls": [{"to": "payments", "per": "request", "critical": true}], "options": options},
            {"name": "payments", "options": options, "runs": "large"},
        ]))
        .await;
    }

    async fn require_shop(&self) {
        let latency = |service: &str, quantile: f64, at_most: &str| json!({"indicator": "latency", "of": {"service": service}, "quantile": quantile, "atMost": at_most});
        let fast = json!({"statement": "Orders shall be fast.", "priority": "must", "allocatedTo": ["orders"],
            "criterion": latency("orders", 0.999, "75ms"), "verify": [{"load": "order-peak", "in": "test"}]});
        let cheap = json!({"statement": "The shop shall be cheap.", "priority": "should",
            "criterion": {"indicator": "cost", "atMost": "700 KRW/month"}, "verify": [{"approval": {"role": "owner"}}]});
        let pays = json!({"statement": "Payments shall be fast.", "priority": "must", "allocatedTo": ["payments"],
            "derivedFrom": [{"name": "nfr-fast"}], "criterion": latency("payments", 0.9995, "65ms"),
            "verify": [{"load": "pay-peak", "in": "test"}]});
        for (name, spec) in [("nfr-fast", fast), ("nfr-cheap", cheap), ("nfr-pays", pays)] {
            self.require(name, spec).await;
        }
    }

    /// Every certificate of a status is stored, and stands.
    fn check(&self, status: &ArchitectureStatus) -> Value {
        let blob = self.ledger.get(status.certificate.unwrap()).unwrap();
        let content: Value = serde_json::from_slice(&blob).unwrap();
        let model: Model = serde_json::from_value(content["model"].clone()).unwrap();
        let certificates: Vec<Certificate> = serde_json::from_value(content["certificates"].clone()).unwrap();
        assert!(!certificates.is_empty());
        for certificate in &certificates {
            maru_solver::check(&model, certificate).unwrap();
        }
        content
    }
}

#[tokio::test]
async fn an_architecture_is_analysed_and_requirements_know_their_conflicts() {
    let house = House::start().await;
    house.require_shop().await;
    house.build_shop().await;
    let status = house.until_analysed(Feasibility::Feasible, "the cheapest choice costs 600 KRW/month").await;
    let chosen: Vec<&str> = status.choice.iter().map(|one| one.option.as_str()).collect();
    assert_eq!(chosen, ["large", "large"]);
    let fast = status.numbers.iter().find(|number| number.requirement == "nfr-fast").unwrap();
    assert_eq!((fast.asked.as_str(), fast.reached.as_str()), ("≤ 75ms", "40ms"));
    house.check(&status);
    // Less money than it costs: two requirements cannot both hold.
    house.change("nfr-cheap", json!({"criterion": {"atMost": "500 KRW/month"}})).await;
    let status = house.until_analysed(Feasibility::Infeasible, "cannot all hold: nfr-cheap, nfr-fast").await;
    house.check(&status);
    let both: &[&[&str]] = &[&["nfr-cheap", "nfr-fast"]];
    house.until_conflicts("nfr-cheap", both).await;
    house.until_conflicts("nfr-fast", both).await;
    house.until_conflicts("nfr-pays", &[]).await;
    assert_eq!(
        house.find("nfr-fast").await.status.unwrap().verdict,
        Some(Verdict::NotMeasured),
        "a verdict is another matter"
    );
    // Nobody else writes what was found.
    let typed = Patch::Merge(json!({"status": {"outcome": "Feasible"}}));
    let refused = house.architectures().patch_status("shop", &PatchParams::default(), &typed).await;
    assert!(refused.unwrap_err().to_string().contains("what Maru found"));
    house.architectures().delete("shop", &DeleteParams::default()).await.unwrap();
    house.until_conflicts("nfr-fast", &[]).await;
    house.until_conflicts("nfr-cheap", &[]).await;
}

#[tokio::test]
async fn what_cannot_be_added_up_is_unknown_and_never_infeasible() {
    let house = House::start().await;
    house.require_shop().await;
    let call = |to: &str| json!([{"to": to, "per": "request", "critical": true}]);
    let options = json!([{"name": "one", "cost": "1 KRW/month", "latency": {"p9999": "1ms"}}]);
    house
        .build(json!([
            {"name": "orders", "calls": call("payments"), "options": options, "database": "db"},
            {"name": "payments", "calls": call("orders"), "options": options, "database": "db"},
        ]))
        .await;
    let status = house.until_analysed(Feasibility::Unknown, "critical calls go round").await;
    let rules: Vec<&str> = status.findings.iter().map(|finding| finding.rule.as_str()).collect();
    assert_eq!(rules, ["shared-database", "cycle"]);
    assert_eq!((status.certificate, status.conflicts.len()), (None, 0));
    house.until_conflicts("nfr-fast", &[]).await;
}

fn load(scenario: &str, quantiles: Value) -> Attestation {
    let report = json!({"kind": "maru.dev/load/v1", "scenario": scenario, "from": "2026-11-22T09:00:00Z",
        "to": "2026-11-22T09:10:00Z", "requests": 100_000, "quantiles": quantiles, "slowest": 0.4, "valid": true});
    Attestation {
        environment: Some("test".to_owned()),
        ..Attestation::new(Format::Load, report.to_string().into_bytes())
    }
}

#[tokio::test]
async fn what_was_feasible_on_paper_is_not_after_the_measurement() {
    let house = House::start().await;
    house.require_shop().await;
    house.build_shop().await;
    house.until_analysed(Feasibility::Feasible, "600 KRW/month").await;
    let report = load("pay-peak", json!({"0.999": 0.06, "0.9993": 0.068, "0.9998": 0.07}));
    let recorded = house.desk.attest(&report, system_clock().now()).await.unwrap();
    house.until("nfr-pays", Verdict::Nonconforming, "").await;
    let status = house.until_analysed(Feasibility::Infeasible, "nfr-fast (with measured numbers)").await;
    let measured = &status.measured[0];
    assert_eq!((measured.service.as_str(), measured.option.as_str()), ("payments", "large"));
    assert_eq!((measured.number.as_str(), measured.value.as_str()), ("latency p99.95", "70ms"));
    assert_eq!((measured.estimate.as_deref(), measured.evidence), (Some("20ms"), Some(recorded[0].envelope)));
    house.check(&status);
    house.until_conflicts("nfr-fast", &[&["nfr-fast"]]).await;
    // What the person wrote stays hers.
    let (object, _) = house.architecture().await;
    assert_eq!(object.data["spec"]["services"][1]["options"][1]["latency"]["p9995"], "20ms");
    // Evidence that counts no more takes its number with it: another fingerprint was measured.
    house.change("nfr-pays", json!({"criterion": {"atMost": "64ms"}})).await;
    let status = house.until_analysed(Feasibility::Feasible, "600 KRW/month").await;
    assert!(status.measured.is_empty());
}

#[tokio::test]
async fn a_decision_is_recorded_and_children_become_suspect() {
    let house = House::start().await;
    house.require_shop().await;
    let reviewed = house.find("nfr-fast").await.fingerprint();
    house.change("nfr-pays", json!({"derivedFrom": [{"name": "nfr-fast", "fingerprint": reviewed}]})).await;
    house.change("nfr-cheap", json!({"criterion": {"atMost": "500 KRW/month"}})).await;
    house.build_shop().await;
    house.until_analysed(Feasibility::Infeasible, "nfr-cheap, nfr-fast").await;
    let (_, question) = maru_process::questions(&house.client, PROJECT).await.unwrap().remove(0);
    let question = question.unwrap();
    let analysis = analyse(&question, &Effort::default()).unwrap();
    let now = system_clock().now();
    let reasons = Reasons { who: Some("kim".to_owned()), why: "고객이 동의함".to_owned(), at: now };
    let wish = Wish::Limit { requirement: "nfr-fast".to_owned(), field: "atMost", value: "80ms".to_owned() };
    let decided = decide(&question, &analysis, &wish, &reasons, &Effort::default()).unwrap();
    let recorded = house.desk.record_decision(&decided, now).await.unwrap();
    let found = house.find("nfr-fast").await;
    assert_eq!(found.fingerprint(), decided.fingerprint);
    house.until_analysed(Feasibility::Feasible, "400 KRW/month").await;
    maru_testkit::wait_until(PATIENCE, "the child to be suspect", async || {
        let suspect = house.find("nfr-pays").await.status.unwrap().suspect;
        suspect.first().is_some_and(|link| link.current == Some(decided.fingerprint))
    })
    .await;
    // The record is evidence like any other: in the chain, with what it rests on.
    assert_eq!(recorded.statement.kind, EvidenceKind::Decision);
    let raw: Value =
        serde_json::from_slice(&house.ledger.get(recorded.statement.record.raw.unwrap()).unwrap()).unwrap();
    assert_eq!((&raw["before"], &raw["after"], &raw["decidedBy"]), (&json!("75ms"), &json!("80ms"), &json!("kim")));
    assert_eq!(raw["conflicts"][0]["requirements"], json!(["nfr-cheap", "nfr-fast"]));
    let certificate: Digest = serde_json::from_value(raw["certificate"].clone()).unwrap();
    house.ledger.get(certificate).unwrap();
    let checked = maru_process::verify(&house.desk).await.unwrap();
    assert_eq!((checked.records, checked.problems.as_slice()), (1, [].as_slice()));
    // The same decision again is about another requirement by now.
    let error = house.desk.record_decision(&decided, now).await.unwrap_err();
    assert!(error.to_string().contains("changed by somebody else"), "{error}");
}
