//! Gates, approvals, baselines and documents, by the controller over a real API server.

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use maru_api::{Language, Verdict};
use maru_process::{Content, Snapshot};
use serde_json::{Value, json};

use crate::{House, PASSED, PATIENCE, PROJECT, requirement};

const MARU: &str = "maru.dev/v1alpha1";

impl House {
    async fn object(&self, kind: &str, name: &str) -> Value {
        let api = self.api(Some(PROJECT), MARU, kind);
        serde_json::to_value(api.get(name).await.unwrap()).unwrap()
    }

    /// Waits until a status says something.
    async fn status(&self, kind: &str, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        maru_testkit::wait_for(PATIENCE, format!("{kind} {name}: {what}"), async || {
            let status = self.object(kind, name).await["status"].clone();
            holds(&status).then_some(status)
        })
        .await
    }

    async fn make(&self, kind: &str, name: &str, spec: Value) {
        self.create(Some(PROJECT), MARU, kind, json!({"metadata": {"name": name}, "spec": spec})).await;
    }

    async fn merge(&self, kind: &str, name: &str, spec: Value) -> Result<(), String> {
        let patch = Patch::Merge(json!({"spec": spec}));
        let api = self.api(Some(PROJECT), MARU, kind);
        api.patch(name, &PatchParams::default(), &patch).await.map(drop).map_err(|error| error.to_string())
    }

    async fn approve(&self, name: &str, decision: &str, of: Value) -> Value {
        let spec = json!({"role": "customer", "of": of, "decision": decision, "comment": "as agreed"});
        self.make("Approval", name, spec).await;
        self.status("Approval", name, "recorded", |status| status["evidence"].is_string()).await
    }

    async fn project(&self, more: Value) {
        let mut spec = json!({"title": {"ko": "상점", "en": "Shop"}, "language": "en"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.make("Project", PROJECT, spec).await;
    }
}

fn gate<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["gates"].as_array().into_iter().flatten().find(|gate| gate["gate"] == name).unwrap_or(&Value::Null)
}

#[tokio::test]
async fn gates_follow_what_there_is() {
    let house = House::start().await;
    house.project(json!({})).await;
    let status = house.status("Project", PROJECT, "judged", |status| status["stage"] == "requirements").await;
    let exit = gate(&status, "requirements/exit");
    assert!(exit["reason"].as_str().unwrap().starts_with("there is no requirement; "), "{exit}");
    // A gate of its own, which closes and opens with verdicts.
    let terms = json!([{"expression": "requirements.all(r, has(r.status.verdict) && r.status.verdict == 'Conforming')",
                        "message": {"ko": "적합하지 않습니다", "en": "not all conform"},
                        "unblock": ["maru -n {project} req show {name}"]}]);
    house.require("fr-1", requirement("Orders shall be taken.", &[])).await;
    house.make("Gate", "strict", json!({"stage": "requirements", "terms": terms})).await;
    let closed = house.status("Gate", "strict", "closed", |status| status["open"] == false).await;
    assert_eq!(closed["reason"], "not all conform (fr-1)");
    assert_eq!(closed["blocked"][0]["unblock"], json!(["maru -n shop req show fr-1"]));
    assert_eq!(closed["blocked"][0]["objects"], json!([{"kind": "Requirement", "name": "fr-1"}]));
    house.attest(PASSED, &[], None).await;
    house.status("Gate", "strict", "open", |status| status["open"] == true).await;
    // What fails at run time keeps it closed, with its place.
    let failing = json!({"terms": [{"expression": "requirements[3].spec.x == 1", "message": "x"}]});
    house.merge("Gate", "strict", failing).await.unwrap();
    let broken = house.status("Gate", "strict", "broken", |status| status["open"] == false).await;
    assert_eq!(broken["blocked"][0]["error"], "line 1, column 13: the list has no place 3");
    let status = house.status("Project", PROJECT, "the gate's term", |status| {
        gate(status, "requirements/exit")["blocked"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["from"] == "strict"))
    });
    assert_eq!(status.await["stage"], "requirements");
    // A method of its own.
    house
        .make("Method", "short", json!({"phases": [{"id": "all", "stages": [
            {"id": "requirements", "exit": []},
            {"id": "release", "exit": [{"expression": "objects['WorkItem'].all(w, w.spec.state == 'done')", "message": "work is left"}]}]}]}))
        .await;
    house.merge("Project", PROJECT, json!({"method": "short"})).await.unwrap();
    house.merge("Gate", "strict", json!({"terms": [{"expression": "true", "message": "x"}]})).await.unwrap();
    house.status("Project", PROJECT, "done", |status| status["stage"] == "done").await;
    house.make("WorkItem", "w-1", json!({"title": "ship it", "requirements": ["fr-1"], "state": "doing"})).await;
    let status = house.status("Project", PROJECT, "release", |status| status["stage"] == "release").await;
    assert_eq!(gate(&status, "release/exit")["reason"], "work is left (w-1)");
    house.merge("Project", PROJECT, json!({"method": "lost"})).await.unwrap();
    let status = house.status("Project", PROJECT, "lost", |status| status["stage"] == Value::Null).await;
    assert!(gate(&status, "method")["reason"].as_str().unwrap().contains("there is no Method \"lost\""), "{status}");
}

#[tokio::test]
async fn a_persons_word_becomes_evidence_once_and_the_last_one_counts() {
    let house = House::start().await;
    house.project(json!({})).await;
    let mut spec = requirement("The shop shall be accepted.", &[]);
    spec["verify"] = json!([{"approval": {"role": "customer"}}]);
    house.require("nfr-1", spec.clone()).await;
    let of = json!([{"kind": "Requirement", "name": "nfr-1"}]);
    let terms = json!([{"expression": "approvals.exists(a, a.spec.role == 'customer' && a.spec.by == 'admin' && \
        a.spec.decision == 'approved' && a.spec.of.exists(o, o.name == 'nfr-1'))", "message": "not accepted"}]);
    house.make("Gate", "accepted", json!({"stage": "requirements", "terms": terms})).await;
    house.status("Gate", "accepted", "closed", |status| status["open"] == false).await;
    house.until("nfr-1", Verdict::NotMeasured, "no evidence").await;
    let recorded = house.approve("first", "approved", of.clone()).await;
    house.until("nfr-1", Verdict::Conforming, "admin").await;
    house.status("Gate", "accepted", "open", |status| status["open"] == true).await;
    assert_eq!(house.desk.evidence().await.unwrap().len(), 1);

    // A status that was lost makes no second record.
    let api = house.api(Some(PROJECT), MARU, "Approval");
    let room = maru_client::as_user(&house.server.handler, "system:maru:process", &[]);
    let approvals = ApiResource::from_gvk(&GroupVersionKind::gvk("maru.dev", "v1alpha1", "Approval"));
    let statuses: Api<DynamicObject> = Api::namespaced_with(room, PROJECT, &approvals);
    let lost = Patch::Merge(json!({"status": {"evidence": null}}));
    statuses.patch_status("first", &PatchParams::default(), &lost).await.unwrap();
    let again = house.status("Approval", "first", "recorded", |status| status["evidence"].is_string()).await;
    assert_eq!(again["evidence"], recorded["evidence"]);

    // Taking the object away takes nothing back; the next word does.
    api.delete("first", &DeleteParams::default()).await.unwrap();
    house.approve("second", "rejected", of.clone()).await;
    house.until("nfr-1", Verdict::Nonconforming, "as agreed").await;
    house.status("Gate", "accepted", "closed", |status| status["open"] == false).await;
    assert_eq!(house.desk.evidence().await.unwrap().len(), 2);
    house.approve("third", "approved", of).await;
    house.status("Gate", "accepted", "open", |status| status["open"] == true).await;
    // A word about another wording is no word about this one.
    spec["statement"] = json!("The shop shall be accepted by the office.");
    house.merge("Requirement", "nfr-1", spec).await.unwrap();
    house.status("Gate", "accepted", "closed", |status| status["open"] == false).await;
    assert!(maru_process::verify(&house.desk).await.unwrap().problems.is_empty());
}

#[tokio::test]
async fn baselines_are_signed_and_changes_are_controlled() {
    let house = House::start().await;
    house.project(json!({"policy": {"changesApprovedBy": "customer"}})).await;
    house.make("Baseline", "empty", json!({})).await;
    house.status("Baseline", "empty", "told", |status| status["reason"] == "there are no requirements to freeze").await;
    house.api(Some(PROJECT), MARU, "Baseline").delete("empty", &DeleteParams::default()).await.unwrap();
    house.require("goal", json!({"statement": "The shop shall sell."})).await;
    house.require("fr-1", requirement("Orders shall be taken.", &["goal"])).await;
    house.require("fr-2", requirement("Orders shall be shown.", &["fr-1"])).await;
    house.make("Baseline", "v1", json!({"title": "first"})).await;
    let first = house.status("Baseline", "v1", "taken", |status| status["envelope"].is_string()).await;
    assert_eq!((&first["requirements"], &first["changeCount"]), (&json!(3), &json!(0)), "{first}");
    let refused = house.merge("Baseline", "v1", json!({"change": "later"})).await.unwrap_err();
    assert!(refused.contains("is signed and never changes"), "{refused}");

    // One is reworded, one comes, one goes.
    house.merge("Requirement", "goal", json!({"statement": "The shop shall sell fast."})).await.unwrap();
    house.require("fr-3", requirement("Orders shall be kept.", &[])).await;
    house.api(Some(PROJECT), MARU, "Requirement").delete("fr-2", &DeleteParams::default()).await.unwrap();
    let status = house.status("Project", PROJECT, "three changes", |status| status["changeCount"] == 3).await;
    assert_eq!(status["baseline"], "v1");
    let told: Vec<(&str, &str)> = status["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["change"].as_str().unwrap(), one["name"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("added", "fr-3"), ("changed", "goal"), ("removed", "fr-2")]);
    assert_eq!(status["changes"][1]["impacts"], json!(["fr-1"]));

    // The next one says why, and is approved as it stands.
    house.make("Baseline", "v2", json!({})).await;
    let waits = |part: &'static str| move |status: &Value| status["reason"].as_str().unwrap_or_default().contains(part);
    house.status("Baseline", "v2", "why", waits("say in spec.change why it differs from baseline \"v1\"")).await;
    house.merge("Baseline", "v2", json!({"change": "the market asks for speed", "previous": "v0"})).await.unwrap();
    house.status("Baseline", "v2", "previous", waits("the last baseline is \"v1\"")).await;
    house.merge("Baseline", "v2", json!({"previous": "v1"})).await.unwrap();
    let command = "maru -n shop project approve Baseline/v2 --role customer";
    house.status("Baseline", "v2", "approval", waits(command)).await;
    let of = json!([{"kind": "Baseline", "name": "v2"}]);
    house.approve("no", "rejected", of.clone()).await;
    house.status("Baseline", "v2", "rejected", waits("admin rejected it as customer: as agreed")).await;
    // Approved as it was: what changed meanwhile was not approved.
    house.merge("Requirement", "fr-3", json!({"statement": "Orders shall be kept for a year."})).await.unwrap();
    let before = house.status("Baseline", "v2", "waits again", waits(command)).await;
    house.approve("yes", "approved", of).await;
    let second = house.status("Baseline", "v2", "taken", |status| status["envelope"].is_string()).await;
    assert_eq!(second["fingerprint"], before["fingerprint"]);
    assert_eq!((&second["previous"], &second["changeCount"]), (&json!("v1"), &json!(3)));
    let status = house.status("Project", PROJECT, "no changes", |status| status["baseline"] == "v2").await;
    assert_eq!(status["changeCount"], 0, "{status}");
    assert!(maru_process::verify(&house.desk).await.unwrap().problems.is_empty());

    let load =
        |status: &Value| Content::load(&house.ledger, status["content"].as_str().unwrap().parse().unwrap()).unwrap();
    let (one, two) = (load(&first), load(&second));
    assert_eq!(one.snapshot().changes_to(&two.snapshot()).len(), 3);
    assert_eq!(Snapshot::of(two.objects.values().flatten()).fingerprint(), two.snapshot().fingerprint());
    let of_chain = house.desk.evidence().await.unwrap();
    assert_eq!(of_chain.iter().filter(|one| one.spec.predicate_type.ends_with("/baseline/v1")).count(), 2);
}

#[tokio::test]
async fn documents_of_a_baseline_are_the_same_bytes_for_ever() {
    let house = House::start().await;
    house.project(json!({})).await;
    house.require("fr-1", requirement("Orders shall be taken.", &[])).await;
    house.attest(PASSED, &[], None).await;
    house.until("fr-1", Verdict::Conforming, "1 tests passed").await;
    let spec = |baseline: Option<&str>| {
        json!({"type": "traceabilityMatrix", "language": "ko", "baseline": baseline,
        "formats": ["html", "docx", "xlsx", "hwpx"]})
    };
    house.make("Document", "early", spec(Some("v1"))).await;
    house.status("Document", "early", "waits", |status| status["reason"] == "there is no signed baseline \"v1\"").await;
    house.make("Baseline", "v1", json!({})).await;
    let taken = house.status("Baseline", "v1", "taken", |status| status["envelope"].is_string()).await;
    let made = |status: &Value| {
        status["files"].as_array().is_some_and(|files| files.len() == 4) && status.get("reason").is_none()
    };
    let early = house.status("Document", "early", "made", made).await;
    let now = house.make("Document", "now", json!({"type": "testResult", "language": "en"}));
    now.await;
    let now = house.status("Document", "now", "made", |status| status["files"][0]["format"] == "html").await;

    // The project goes on: another wording, another verdict, another title.
    house.merge("Requirement", "fr-1", json!({"statement": "Orders shall be taken at once."})).await.unwrap();
    house.merge("Project", PROJECT, json!({"title": "Store"})).await.unwrap();
    house.until("fr-1", Verdict::NotMeasured, "wording").await;
    house.make("Document", "late", spec(Some("v1"))).await;
    let late = house.status("Document", "late", "made", made).await;
    assert_eq!(early["files"], late["files"]);
    // By hand as well.
    let content = taken["content"].as_str().unwrap().parse().unwrap();
    let content = Content::load(&house.ledger, content).unwrap();
    for _ in 0..2 {
        let day = content.at.to_string().chars().take(10).collect::<String>().parse().unwrap();
        let documents = house.desk.material_of(&content, Language::Ko).unwrap().documents(Language::Ko, day);
        let (_, matrix) = documents.iter().find(|(name, _)| *name == "traceability-matrix").unwrap();
        let html = maru_documents::write(matrix, maru_documents::Format::Html).unwrap();
        let file = early["files"].as_array().unwrap().iter().find(|file| file["format"] == "html").unwrap();
        assert_eq!(maru_api::Digest::of(&html).to_string(), file["digest"]);
        assert_eq!(house.ledger.get(file["digest"].as_str().unwrap().parse().unwrap()).unwrap(), html);
        assert!(String::from_utf8(html).unwrap().contains("v1"));
    }
    assert_eq!(now["files"].as_array().unwrap().len(), 1);
    // What it rests on is gone: no document rather than another one.
    let envelope = house.desk.evidence().await.unwrap()[0].spec.envelope;
    let (hex, shard) = (envelope.hex(), envelope.hex().chars().take(2).collect::<String>());
    let blob = house.folder.join(format!("evidence/blobs/sha256/{shard}/{hex}"));
    std::fs::remove_file(&blob).unwrap();
    let error = house.desk.material_of(&content, Language::Ko).unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains(&envelope.to_string()), "{error}");
}
