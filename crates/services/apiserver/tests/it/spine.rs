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
async fn whether_an_objective_holds_is_written_by_the_room_that_measures() {
    let cluster = start().await;
    let objective = json!({"apiVersion": "maru.dev/v1alpha1", "kind": "ServiceLevelObjective", "metadata": {"name": "o"},
        "spec": {"service": "s"}});
    let path = format!("{GROUP}/servicelevelobjectives");
    assert_eq!(cluster.post(&path, &objective).await.0, 201);
    let status = json!({"status": {"outcome": "Met"}});
    let (code, answer) = cluster.merge(&format!("{path}/o/status"), &status).await;
    assert_explained(code, &answer, "nobody else writes it");
    let assurance = Identity::new("system:maru:assurance", &[]);
    let (code, _, body) =
        cluster.send_as(&assurance, "PATCH", &format!("{path}/o/status"), &[MERGE], &status.to_string()).await;
    assert_eq!(code, 200, "{}", String::from_utf8_lossy(&body));
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

const GROUP: &str = "/apis/maru.dev/v1alpha1/namespaces/default";

#[tokio::test]
async fn terms_that_are_no_cel_are_refused_with_their_place() {
    let cluster = start().await;
    let gate = |expression: &str| {
        json!({"apiVersion": "maru.dev/v1alpha1", "kind": "Gate", "metadata": {"name": "g"}, "spec": {
            "stage": "requirements", "side": "exit", "terms": [{"expression": "true", "message": "x"},
            {"expression": expression, "message": "x"}]}})
    };
    let path = format!("{GROUP}/gates");
    for (expression, place) in [
        ("size(requirements) >", "line 1, column 21: a value is missing before the end"),
        (
            "requirments.all(r, true)",
            "\"requirments\" is not known; there are requirements, evidence, approvals, objects, now",
        ),
        ("size(requirements) > 0 &&\n nope()", "line 2, column 2: there is no function \"nope\""),
    ] {
        let (status, answer) = cluster.post(&path, &gate(expression)).await;
        assert_eq!(status, 422, "{answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains("spec.terms[1].expression") && message.contains(place), "{message}");
    }
    assert_eq!(cluster.post(&path, &gate("size(requirements) > 0")).await.0, 201);
    let worse = json!({"spec": {"terms": [{"expression": "((", "message": "x"}]}});
    assert_eq!(cluster.merge(&format!("{path}/g"), &worse).await.0, 422);
    let method = json!({"apiVersion": "maru.dev/v1alpha1", "kind": "Method", "metadata": {"name": "m"}, "spec": {
        "phases": [{"id": "a", "stages": [{"id": "s", "exit": [{"expression": "1 +", "message": "x"}]}]}]}});
    let (status, answer) = cluster.post(&format!("{GROUP}/methods"), &method).await;
    assert_eq!(status, 422, "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("spec.phases[0].stages[0].exit[0].expression"), "{answer}");
}

#[tokio::test]
async fn an_approval_is_the_word_of_who_gave_it() {
    let cluster = start().await;
    assert_eq!(cluster.post(REQUIREMENTS, &requirement("r1")).await.0, 201);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "customer"}, "rules": [
        {"apiGroups": ["maru.dev"], "resources": ["approvals"], "verbs": ["create", "get", "update", "patch", "delete"]},
        {"apiGroups": ["maru.dev"], "resources": ["approvalroles"], "resourceNames": ["customer"], "verbs": ["approve"]}]});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "kim"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "customer"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "kim"}]});
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    assert_eq!(cluster.post(&format!("{rbac}/roles"), &role).await.0, 201);
    assert_eq!(cluster.post(&format!("{rbac}/rolebindings"), &binding).await.0, 201);
    let kim = Identity::new("kim", &["system:authenticated"]);
    let path = format!("{GROUP}/approvals");
    let approval = |name: &str, role: &str, by: Option<&str>, of: Value| {
        let mut one = json!({"apiVersion": "maru.dev/v1alpha1", "kind": "Approval", "metadata": {"name": name},
            "spec": {"role": role, "of": of, "decision": "approved"}});
        if let Some(by) = by {
            one["spec"]["by"] = by.into();
        }
        one.to_string()
    };
    const JSON: (&str, &str) = ("content-type", "application/json");
    let send = async |method: &'static str, path: &str, header, body: &str| {
        let (status, _, body) = cluster.send_as(&kim, method, path, &[header], body).await;
        (status, serde_json::from_slice::<Value>(&body).unwrap())
    };
    let r1 = json!([{"kind": "Requirement", "name": "r1"}]);
    for (body, part) in [
        (approval("a", "architect", None, r1.clone()), "user \"kim\" does not hold the role \"architect\""),
        (
            approval("a", "customer", Some("park"), r1.clone()),
            "says that it is by \"park\", and the server knows you as \"kim\"",
        ),
        (approval("a", "customer", None, json!([])), "spec.of is empty"),
        (
            approval("a", "customer", None, json!([{"kind": "Requirement", "name": "r9"}])),
            "names Requirement \"r9\", which is not",
        ),
        (approval("a", "customer", None, json!([{"kind": "Thing", "name": "r9"}])), "names the kind \"Thing\""),
    ] {
        let (status, answer) = send("POST", &path, JSON, &body).await;
        assert_explained(status, &answer, part);
    }
    let (status, made) = send("POST", &path, JSON, &approval("a", "customer", None, r1.clone())).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["spec"]["by"], "kim");
    let read: maru_api::Requirement =
        serde_json::from_value(cluster.get(&format!("{REQUIREMENTS}/r1")).await.1).unwrap();
    assert_eq!(made["spec"]["of"][0]["fingerprint"], read.fingerprint().to_string());

    // What was said was said, also for an administrator; the same again is no change, with another wording as well.
    let one = format!("{path}/a");
    let (status, answer) = cluster.merge(&one, &json!({"spec": {"decision": "rejected"}})).await;
    assert_explained(status, &answer, "an approval never changes");
    let (status, answer) = cluster.merge(&one, &json!({"spec": {"by": "park"}})).await;
    assert_explained(status, &answer, "an approval never changes");
    let reworded = json!({"spec": {"statement": "The shop shall answer in time."}});
    assert_eq!(cluster.merge(&format!("{REQUIREMENTS}/r1"), &reworded).await.0, 200);
    assert_eq!(cluster.merge(&one, &json!({"spec": {"of": r1}})).await.0, 200);
    let apply = format!("{one}?fieldManager=kim&force=true");
    let (status, answer) =
        send("PATCH", &apply, ("content-type", "application/apply-patch+yaml"), &approval("a", "customer", None, r1))
            .await;
    assert_eq!((status, &answer["spec"]), (200, &made["spec"]), "{answer}");
}

#[tokio::test]
async fn a_signed_baseline_neither_changes_nor_goes() {
    let cluster = start().await;
    let path = format!("{GROUP}/baselines");
    let baseline =
        json!({"apiVersion": "maru.dev/v1alpha1", "kind": "Baseline", "metadata": {"name": "v1"}, "spec": {}});
    assert_eq!(cluster.post(&path, &baseline).await.0, 201);
    let one = format!("{path}/v1");
    assert_eq!(cluster.merge(&one, &json!({"spec": {"change": "first"}})).await.0, 200);
    let process = Identity::new("system:maru:process", &[Identity::MASTERS]);
    let signed = json!({"status": {"envelope": format!("sha256:{}", "0".repeat(64))}}).to_string();
    assert_eq!(cluster.send_as(&process, "PATCH", &format!("{one}/status"), &[MERGE], &signed).await.0, 200);
    let (status, answer) = cluster.merge(&one, &json!({"spec": {"change": "another"}})).await;
    assert_explained(status, &answer, "is signed and never changes");
    let (status, answer) = cluster.delete(&one).await;
    assert_explained(status, &answer, "it goes with its namespace");
    assert_eq!(cluster.merge(&one, &json!({"metadata": {"labels": {"a": "b"}}})).await.0, 200);
}
