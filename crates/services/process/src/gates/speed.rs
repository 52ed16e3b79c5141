//! How long a look at gates takes: `cargo test --release -p maru-process --lib speed -- --ignored --nocapture`.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::api::DynamicObject;
use maru_api::{Digest, MethodSpec, ProjectSpec, RequirementSpec, Spec as _, WorkItemSpec};
use maru_time::Timestamp;
use serde_json::{Value, json};

use super::judge::{Inputs, judge};
use super::world::{Noted, Room, note};
use super::{Mind, baseline_status};
use crate::{approve, baseline};

const REQUIREMENTS: usize = 5_000;
const RECORDS: usize = 50_000;
const WORK_ITEMS: usize = 1_000;

fn requirement(index: usize, statement: &str) -> Arc<Value> {
    let parent = if index < 100 { json!([]) } else { json!([{"name": format!("nfr-{:05}", index % 100)}]) };
    Arc::new(json!({
        "kind": RequirementSpec::KIND, "metadata": {"name": format!("nfr-{index:05}"), "namespace": "shop"},
        "spec": {"statement": format!("{statement} {index}"), "priority": "must", "derivedFrom": parent, "allocatedTo": ["orders"],
            "criterion": {"indicator": "latency", "quantile": 0.9, "atMost": "100ms"},
            "verify": [{"load": format!("load-{index:05}"), "in": "test"}]},
        "status": {"verdict": "Conforming", "lint": [], "suspect": [],
            "checks": [{"check": 0, "outcome": "Met", "evidence": Digest::of(&index.to_le_bytes())}]},
    }))
}

fn evidence(index: usize) -> Arc<Noted> {
    let one = index % REQUIREMENTS;
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "maru.dev/v1alpha1", "kind": "Evidence", "metadata": {"name": format!("e-{index:06}")},
        "spec": {"envelope": Digest::of(&index.to_le_bytes()), "predicateType": "https://maru.dev/load/v1",
            "name": format!("load-{one:05}"), "environment": "test",
            "subjects": [{"kind": "requirement", "name": format!("nfr-{one:05}"), "digest": Digest::of(b"x")}],
            "producer": {"tool": "k6"}, "window": {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:10:00Z"},
            "result": {"outcome": "Met", "samples": 1000, "low": 0.98, "high": 0.99}},
        "status": {"verified": true, "sequence": index},
    }))
    .unwrap();
    Arc::new(note(&object).unwrap())
}

#[test]
#[ignore = "takes a minute; run it in release"]
fn looks_at_a_large_project() {
    let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
    let mut room = Room { project: "shop".to_owned(), ..Room::default() };
    let mut of = |kind: &str, objects: Vec<Arc<Value>>| drop(room.objects.insert(kind.to_owned(), objects));
    of(RequirementSpec::KIND, (0..REQUIREMENTS).map(|index| requirement(index, "The shop shall answer")).collect());
    let work = |index: usize| {
        let served: Vec<String> = (0..5).map(|one| format!("nfr-{:05}", index * 5 + one)).collect();
        Arc::new(json!({"kind": WorkItemSpec::KIND, "metadata": {"name": format!("w-{index:04}")},
            "spec": {"title": "work", "state": "done", "requirements": served}, "status": {}}))
    };
    of(WorkItemSpec::KIND, (0..WORK_ITEMS).map(work).collect());
    let project = json!({"kind": ProjectSpec::KIND, "metadata": {"name": "shop"}, "spec": {}, "status": {}});
    of(ProjectSpec::KIND, vec![Arc::new(project)]);
    room.evidence = (0..RECORDS).map(evidence).collect();
    let method = Ok(MethodSpec::maru().unwrap());
    let mut mind = Mind::default();
    let content = baseline::Content {
        format: String::new(),
        project: "shop".to_owned(),
        name: "v1".to_owned(),
        title: "".into(),
        change: "".into(),
        previous: None,
        at: now,
        items: Vec::new(),
        objects: BTreeMap::new(),
        evidence: baseline::FrozenEvidence::default(),
    };
    mind.last = Some(baseline::Last { name: "v1".to_owned(), digest: Digest::of(b"v1"), content: Arc::new(content) });
    for round in ["first look", "nothing changed", "one requirement changed"] {
        if round == "one requirement changed" {
            room.objects.get_mut(RequirementSpec::KIND).unwrap()[77] = requirement(77, "The shop shall close");
        }
        let started = tokio::time::Instant::now();
        let own = room.clone();
        let words = approve::words(&own, now);
        let heard = started.elapsed();
        let found = baseline_status(mind.last.as_ref(), &own);
        let compared = started.elapsed();
        let inputs = Inputs::new(&own, &found, approve::views(&words), &mut mind.links, now);
        let gathered = started.elapsed();
        let judged = judge(&own, &method, &inputs, &mut mind.terms);
        println!(
            "{round}: {:?} (words {heard:?}, changes {:?}, inputs {:?}, terms {:?}), {} gates",
            started.elapsed(),
            compared.saturating_sub(heard),
            gathered.saturating_sub(compared),
            started.elapsed().saturating_sub(gathered),
            judged.gates.len()
        );
    }
}
