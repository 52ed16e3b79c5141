//! The kinds of `maru.dev`: what admission refuses, and to whom.

use maru_auth::Identity;
use serde_json::{Value, json};

use crate::support::Cluster;

const REQUIREMENTS: &str = "/apis/maru.dev/v1alpha1/namespaces/default/requirements";
const EVIDENCE: &str = "/apis/maru.dev/v1alpha1/namespaces/default/evidence";
const MERGE: (&str, &str) = ("content-type", "application/merge-patch+json");

async fn start() -> Cluster {
    let cluster = Cluster::start().await;
    for definition in maru_api::crds() {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let (status, answer) = cluster.post(path, &definition).await;
        assert_eq!(status, 201, "{answer}");
    }
    cluster
}

fn requirement(name: &str) -> Value {
    json!({"apiVersion": "maru.dev/v1alpha1", "kind": "Requirement", "metadata": {"name": name},
           "spec": {"statement": "The shop shall answer."}})
}

fn assert_explained(status: u16, answer: &Value, part: &str) {
    assert_eq!((status, answer["reason"].as_str()), (403, Some("Forbidden")), "{answer}");
    assert!(answer["message"].as_str().unwrap().contains(part), "{answer}");
}

#[tokio::test]
async fn a_typed_verdict_is_refused_with_the_way_to_a_real_one() {
    let cluster = start().await;
    let mut typed = requirement("r1");
    typed["status"] = json!({"verdict": "Conforming"});
    let (status, answer) = cluster.post(REQUIREMENTS, &typed).await;
    assert_explained(status, &answer, "maru evidence attest");
    assert_eq!(cluster.post(REQUIREMENTS, &requirement("r1")).await.0, 201);
    let one = format!("{REQUIREMENTS}/r1");
    let verdict = json!({"status": {"verdict": "Conforming"}});
    for path in [one.clone(), format!("{one}/status")] {
        let (status, answer) = cluster.merge(&path, &verdict).await;
        assert_explained(status, &answer, "a verdict is never typed");
    }
    let (status, answer) = cluster.merge(&format!("{one}/status"), &json!({"status": {"reason": "trust me"}})).await;
    assert_explained(status, &answer, "nobody else writes it");
    let apply = format!("{one}?fieldManager=me&force=true");
    let (status, answer) =
        cluster.send("PATCH", &apply, &[("content-type", "application/apply-patch+yaml")], &typed.to_string()).await;
    assert_explained(status, &answer, "was typed by");

    let process = Identity::new("system:maru:process", &[Identity::MASTERS]);
    let (status, _, body) =
        cluster.send_as(&process, "PATCH", &format!("{one}/status"), &[MERGE], &verdict.to_string()).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    // What was read may be written back with another text.
    let (_, mut read) = cluster.get(&one).await;
    assert_eq!(read["status"]["verdict"], "Conforming");
    read["spec"]["statement"] = json!("The shop shall answer in time.");
    assert_eq!(cluster.put(&one, &read).await.0, 200);
}

#[tokio::test]
async fn nobody_acts_as_a_part_of_maru() {
    let cluster = start().await;
    let headers = [("impersonate-user", "system:maru:process"), MERGE];
    let (status, answer) = cluster.send("PATCH", &format!("{REQUIREMENTS}/r1/status"), &headers, "{}").await;
    assert_explained(status, &answer, "which nobody acts as");
}

#[tokio::test]
async fn evidence_neither_changes_nor_goes() {
    let cluster = start().await;
    let digest = format!("sha256:{}", "0".repeat(64));
    let evidence = json!({"apiVersion": "maru.dev/v1alpha1", "kind": "Evidence", "metadata": {"name": "e1"}, "spec": {
        "envelope": digest, "predicateType": "test", "subjects": [], "producer": {"tool": "junit"},
        "window": {"from": "2026-11-22T00:00:00Z", "to": "2026-11-22T00:00:00Z"}, "result": {"outcome": "Violated"}}});
    let (status, answer) = cluster.post(EVIDENCE, &evidence).await;
    assert_eq!(status, 201, "{answer}");
    let one = format!("{EVIDENCE}/e1");
    let (status, answer) = cluster.merge(&one, &json!({"spec": {"result": {"outcome": "Met"}}})).await;
    assert_explained(status, &answer, "evidence never changes");
    let (status, answer) = cluster.delete(&one).await;
    assert_explained(status, &answer, "append-only");
    assert_eq!(cluster.merge(&one, &json!({"metadata": {"labels": {"seen": "yes"}}})).await.0, 200);
}
