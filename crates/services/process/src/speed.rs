//! How long a look takes: `cargo test --release -p maru-process --lib speed -- --ignored --nocapture`.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use maru_api::{Digest, Measured, Object, Outcome, Producer, RequirementSpec, Subject, SubjectKind, Window};
use maru_evidence::{Chain, Draft, EvidenceKind, open};
use maru_time::Timestamp;
use serde_json::json;

use crate::follow::{Key, Seen, read_requirement};
use crate::ledger::{Head, Ledger};
use crate::plan::Projects;
use crate::seal::Seals;
use crate::view::{Changes, View};

const REQUIREMENTS: usize = 5_000;
const RECORDS: usize = 50_000;

fn requirement(index: usize) -> (Key, kube::api::DynamicObject) {
    let parent = json!([{"name": format!("nfr-{:05}", index / 10)}]);
    let object = json!({
        "apiVersion": "maru.dev/v1alpha1", "kind": "Requirement",
        "metadata": {"name": format!("nfr-{index:05}"), "namespace": "shop", "generation": 1},
        "spec": {
            "statement": {
                "ko": format!("사용자가 주문 {index}을 요청하면, 주문 서비스는 하루 요청의 99.9%에 100ms 이내로 응답해야 한다."),
                "en": format!("When a customer asks for order {index}, the order service shall answer 99.9 % of a day's requests within 100 ms."),
            },
            "priority": "must", "allocatedTo": ["orders"], "derivedFrom": if index < 10 { json!([]) } else { parent },
            "criterion": {"indicator": "latency", "quantile": 0.95, "atMost": "200ms", "window": "1d", "atLoad": "50/s"},
            "verify": [{"load": format!("load-{index:05}"), "in": "test"}],
        },
    });
    (("shop".to_owned(), format!("nfr-{index:05}")), serde_json::from_value(object).unwrap())
}

fn write(ledger: &Ledger, folder: &std::path::Path, digest: Digest, content: &[u8]) {
    let hex = digest.hex();
    let place = folder.join("blobs/sha256").join(hex.get(..2).unwrap());
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join(&hex), content).unwrap();
    assert!(ledger.stamp(digest).is_some());
}

fn draft(index: usize, fingerprint: Digest, now: Timestamp) -> Draft {
    let name = format!("nfr-{:05}", index % REQUIREMENTS);
    Draft {
        kind: EvidenceKind::Load,
        subjects: vec![Subject { kind: SubjectKind::Requirement, name, digest: fingerprint }],
        name: format!("load-{:05}", index % REQUIREMENTS),
        environment: Some("test".to_owned()),
        producer: Producer { tool: "k6".to_owned(), ..Producer::default() },
        window: Window { from: now, to: now },
        result: Measured { samples: Some(1_000), low: Some(0.98), high: Some(0.999), ..Measured::plain(Outcome::Met) },
        cases: Vec::new(),
        raw: None,
        valid_until: None,
    }
}

#[test]
#[ignore = "takes a minute; run it in release"]
fn a_start_and_a_record() {
    let folder = maru_testkit::TempDir::new();
    let ledger = Ledger::open(folder.path()).unwrap();
    let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
    let signer = ledger.signer("shop").unwrap();
    let verifier = ledger.verifier("shop").unwrap();
    let mut chain = Chain::new("shop");
    let mut view = View::default();
    let started = tokio::time::Instant::now();
    for (key, object) in (0..REQUIREMENTS).map(requirement) {
        view.requirements.insert(key, Arc::new(read_requirement(&object).unwrap()));
    }
    println!("{REQUIREMENTS} requirements read in {:?}", started.elapsed());
    let fingerprint = |index: usize| {
        let name = format!("nfr-{:05}", index % REQUIREMENTS);
        let one = &view.requirements[&("shop".to_owned(), name)];
        one.seen.spec.as_ref().map(RequirementSpec::fingerprint).unwrap()
    };
    let fingerprints: Vec<Digest> = (0..REQUIREMENTS).map(fingerprint).collect();
    let mut evidence: Vec<(Key, _)> = Vec::new();
    for index in 0..=RECORDS {
        let (digest, envelope) = chain.sign(&signer, draft(index, fingerprints[index % REQUIREMENTS], now), now);
        chain.append(&verifier, digest, &envelope).unwrap();
        write(&ledger, folder.path(), digest, &envelope);
        let verified = open(&verifier, digest, &envelope).unwrap();
        let object: Object<_> = Object::new("shop", "x", verified.statement.index(digest));
        evidence.push((("shop".to_owned(), format!("e-{index:06}")), Arc::new(Seen::from(object))));
        if index + 1 == RECORDS {
            let head = Head { head: Some(digest), length: RECORDS as u64, pending: false };
            fs::write(folder.path().join("projects/shop/head.json"), serde_json::to_vec(&head).unwrap()).unwrap();
        }
    }
    let (last, object) = evidence.pop().unwrap();
    view.evidence.extend(evidence);

    let started = tokio::time::Instant::now();
    let (mut seals, mut projects) = (Seals::new(ledger), Projects::default());
    let mut changes = Changes { requirements: view.requirements.keys().cloned().collect(), ..Changes::default() };
    changes.evidence = view.evidence.keys().cloned().collect();
    let sealed = seals.look(&view, &changes.evidence, &changes.projects);
    let looked = started.elapsed();
    let plan = projects.plan(&view, &changes, sealed, now);
    println!("{RECORDS} records opened in {looked:?}, judged in {:?}", started.elapsed().saturating_sub(looked));
    assert_eq!(plan.writes.len(), REQUIREMENTS + RECORDS);

    let digest = object.spec.as_ref().map(|spec| spec.envelope).unwrap();
    let head = Head { head: Some(digest), length: RECORDS as u64 + 1, pending: false };
    fs::write(folder.path().join("projects/shop/head.json"), serde_json::to_vec(&head).unwrap()).unwrap();
    view.evidence.insert(last.clone(), object);
    let changes = Changes { evidence: BTreeSet::from([last]), ..Changes::default() };
    let started = tokio::time::Instant::now();
    let sealed = seals.look(&view, &changes.evidence, &changes.projects);
    let plan = projects.plan(&view, &changes, sealed, now);
    println!("one record more in {:?}: {} statuses", started.elapsed(), plan.writes.len());

    let mut times = Vec::new();
    for round in 0..21 {
        let (key, mut object) = requirement(77);
        object.data["spec"]["statement"] = format!("The order service shall answer {round} orders.").into();
        view.requirements.insert(key.clone(), Arc::new(read_requirement(&object).unwrap()));
        let changes = Changes { requirements: BTreeSet::from([key]), ..Changes::default() };
        let started = tokio::time::Instant::now();
        let sealed = seals.look(&view, &changes.evidence, &changes.projects);
        let plan = projects.plan(&view, &changes, sealed, now);
        times.push(started.elapsed());
        assert_eq!(plan.writes.len(), 11);
    }
    let first = times[0];
    times.sort_unstable();
    println!("one requirement worded anew: {first:?} at first, median of 21 {:?}, fastest {:?}", times[10], times[0]);
    let started = tokio::time::Instant::now();
    assert!(!seals.look_again());
    println!("a round of files in {:?}", started.elapsed());
}
