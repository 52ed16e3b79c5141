//! The controller over a real API server, with a ledger in a temporary directory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod analysis;

mod gates;

mod readers;

use std::time::Duration;

use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use maru_api::{Digest, Requirement, Subject, SubjectKind, Verdict};
use maru_apiserver::testing::{self, TestServer};
use maru_auth::Identity;
use maru_client::Client;
use maru_evidence::readers::Format;
use maru_process::{Attestation, Desk, Ledger, ProcessOptions};
use maru_testkit::TempDir;
use maru_time::{TestClock, Timestamp, system_clock};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
const PROJECT: &str = "shop";

struct House {
    server: TestServer,
    client: Client,
    ledger: Ledger,
    desk: Desk,
    folder: TempDir,
}

impl House {
    async fn start() -> Self {
        let folder = TempDir::new();
        let server = testing::start(folder.path()).await;
        let client = maru_client::as_user(&server.handler, "admin", &[Identity::MASTERS]);
        let definitions: Api<DynamicObject> = Api::all_with(
            client.clone(),
            &ApiResource::from_gvk(&GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition")),
        );
        for definition in maru_process::crds() {
            definitions.create(&PostParams::default(), &serde_json::from_value(definition).unwrap()).await.unwrap();
        }
        let ledger = Ledger::open(&folder.join("evidence")).unwrap();
        let desk = Desk::new(client.clone(), ledger.clone(), PROJECT);
        let house = Self { server, client, ledger, desk, folder };
        house.create(None, "v1", "Namespace", json!({"metadata": {"name": PROJECT}})).await;
        let labels = json!({"maru.dev/project": PROJECT, "maru.dev/environment": "test"});
        house.create(None, "v1", "Namespace", json!({"metadata": {"name": "shop-test", "labels": labels}})).await;
        house.server.server.set_contents(maru_process::contents(house.ledger.clone()));
        // The room's own rights, not those of an administrator.
        let room = maru_client::as_user(&house.server.handler, "system:maru:process", &[]);
        let options = ProcessOptions { ledger: house.ledger.clone(), clock: system_clock() };
        maru_process::start(&house.server.scope, room, options);
        house
    }

    fn api(&self, namespace: Option<&str>, api_version: &str, kind: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    async fn create(&self, namespace: Option<&str>, api_version: &str, kind: &str, mut object: Value) {
        object["apiVersion"] = api_version.into();
        object["kind"] = kind.into();
        let object = serde_json::from_value(object).unwrap();
        self.api(namespace, api_version, kind).create(&PostParams::default(), &object).await.unwrap();
    }

    async fn require(&self, name: &str, spec: Value) {
        let object = json!({"metadata": {"name": name}, "spec": spec});
        self.create(Some(PROJECT), "maru.dev/v1alpha1", "Requirement", object).await;
    }

    async fn find(&self, name: &str) -> Requirement {
        self.desk.requirements().await.unwrap().into_iter().find(|one| one.metadata.name == name).unwrap()
    }

    async fn until(&self, name: &str, verdict: Verdict, reason: &str) -> Requirement {
        maru_testkit::wait_for(PATIENCE, format!("{name} to be {verdict:?}: {reason}"), async || {
            let one = self.find(name).await;
            let status = one.status.clone().unwrap_or_default();
            let said = status.reason_text.map(|text| text.get(maru_api::Language::En).to_owned()).unwrap_or_default();
            (status.verdict == Some(verdict) && said.contains(reason)).then_some(one)
        })
        .await
    }

    /// A pod of a component that runs an image, and reads the ConfigMap of the component's name.
    async fn run(&self, name: &str, component: &str, image: Digest) {
        let pod = json!({"metadata": {"name": name, "labels": {"app": component}},
                         "spec": {"containers": [{"name": "main", "image": "shop/x", "envFrom": [
                            {"configMapRef": {"name": component, "optional": true}}]}]}});
        self.create(Some("shop-test"), "v1", "Pod", pod).await;
        let status = json!({"status": {"phase": "Running", "containerStatuses": [{
            "name": "main", "image": "shop/x", "imageID": format!("docker.io/shop/x@{image}"), "ready": true,
            "restartCount": 0, "state": {"running": {}}}]}});
        let pods = self.api(Some("shop-test"), "v1", "Pod");
        pods.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }

    async fn attest(&self, content: &str, requirements: &[&str], valid_for: Option<&str>) {
        self.desk.attest(&attestation(content, requirements, valid_for), system_clock().now()).await.unwrap();
    }
}

fn attestation(content: &str, requirements: &[&str], valid_for: Option<&str>) -> Attestation {
    Attestation {
        requirements: requirements.iter().map(|name| (*name).to_owned()).collect(),
        environment: Some("test".to_owned()),
        valid_for: valid_for.map(|span| span.parse().unwrap()),
        ..Attestation::new(Format::Junit, content.as_bytes().to_vec())
    }
}

fn requirement(statement: &str, parents: &[&str]) -> Value {
    let parents: Vec<Value> = parents.iter().map(|name| json!({"name": name})).collect();
    json!({"statement": statement, "derivedFrom": parents, "allocatedTo": ["orders"],
           "verify": [{"test": {"suite": "orders"}, "in": "test"}]})
}

const PASSED: &str = r#"<testsuite name="orders" tests="1"><testcase name="a"/></testsuite>"#;

#[tokio::test]
async fn evidence_is_about_what_runs_now() {
    let house = House::start().await;
    let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
    house.run("orders-1", "orders", one).await;
    house.require("fr-1", requirement("Orders shall be taken.", &[])).await;
    house.until("fr-1", Verdict::NotMeasured, "no evidence").await;
    house.attest(PASSED, &[], None).await;
    let found = house.until("fr-1", Verdict::Conforming, "1 tests passed").await;
    let evidence = house.desk.evidence().await.unwrap();
    let image = Subject { kind: SubjectKind::Image, name: "orders".to_owned(), digest: one };
    assert!(evidence[0].spec.subjects.contains(&image), "{evidence:?}");
    assert_eq!(found.status.unwrap().checks[0].evidence, Some(evidence[0].spec.envelope));
    // A second version joins: what was seen of the first does not speak for both.
    house.run("orders-2", "orders", other).await;
    house.until("fr-1", Verdict::NotMeasured, "another orders").await;
    house.api(Some("shop-test"), "v1", "Pod").delete("orders-2", &kube::api::DeleteParams::default()).await.unwrap();
    house.until("fr-1", Verdict::Conforming, "passed").await;
}

#[tokio::test]
async fn another_configuration_asks_for_evidence_again() {
    let house = House::start().await;
    let map = |limit: &str| json!({"metadata": {"name": "orders"}, "data": {"limit": limit}});
    house.create(Some("shop-test"), "v1", "ConfigMap", map("1")).await;
    house.run("orders-1", "orders", Digest::of(b"one")).await;
    house.require("fr-1", requirement("Orders shall be taken.", &[])).await;
    let environment = json!({"metadata": {"name": "test"}, "spec": {"namespace": "shop-test"}});
    house.create(Some(PROJECT), "maru.dev/v1alpha1", "Environment", environment).await;
    house.attest(PASSED, &[], None).await;
    house.until("fr-1", Verdict::Conforming, "1 tests passed").await;
    let subjects = house.desk.evidence().await.unwrap().remove(0).spec.subjects;
    assert!(subjects.iter().any(|one| one.kind == SubjectKind::Configuration && one.name == "orders"), "{subjects:?}");
    let environments = house.api(Some(PROJECT), "maru.dev/v1alpha1", "Environment");
    maru_testkit::wait_until(PATIENCE, "the environment to say what runs in it", async || {
        let one = environments.get("test").await.unwrap();
        one.data["status"]["subjects"].as_array().is_some_and(|list| list.len() == 2)
    })
    .await;
    let maps = house.api(Some("shop-test"), "v1", "ConfigMap");
    let change = async |limit: &str| {
        let change = Patch::Merge(json!({"data": {"limit": limit}}));
        maps.patch("orders", &PatchParams::default(), &change).await.unwrap();
    };
    change("2").await;
    house.until("fr-1", Verdict::NotMeasured, "another configuration of orders").await;
    change("1").await;
    house.until("fr-1", Verdict::Conforming, "passed").await;
}

#[tokio::test]
async fn class_and_findings_stand_on_the_object() {
    let house = House::start().await;
    let source = json!({"document": "RFP"});
    house.require("goal", json!({"statement": "The shop shall sell.", "source": source})).await;
    house.require("fr-1", requirement("The orders service shall take orders very quickly.", &["goal"])).await;
    house.require("fr-2", requirement("Orders shall be paid.", &["fr-1"])).await;
    maru_testkit::wait_until(PATIENCE, "the class of the goal", async || {
        house.find("goal").await.status.and_then(|status| status.class).is_some_and(|class| class.impact == 2)
    })
    .await;
    let status = house.find("fr-1").await.status.unwrap();
    let class = status.class.unwrap();
    assert_eq!((class.kind.as_str(), class.origin.as_deref()), ("functional", Some("derived")));
    assert_eq!((class.volatility.as_deref(), class.impact), (Some("new"), 1));
    assert!(!class.why.is_empty());
    let vague = status.lint.iter().find(|one| one.rule == "vague-word").unwrap();
    assert!(vague.place.starts_with("statement: \""), "{vague:?}");
    // A file's history counts before what this server has seen.
    let history =
        json!({"metadata": {"annotations": {"maru.dev/history": "2020-01-01T00:00:00Z,2020-02-01T00:00:00Z"}}});
    let better = json!({"spec": {"statement": "The orders service shall take orders."}});
    let requirements = house.api(Some(PROJECT), "maru.dev/v1alpha1", "Requirement");
    for change in [history, better] {
        requirements.patch("fr-1", &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    }
    maru_testkit::wait_until(PATIENCE, "the findings to follow the text", async || {
        let status = house.find("fr-1").await.status.unwrap();
        let volatility = status.class.and_then(|class| class.volatility);
        !status.lint.iter().any(|one| one.rule == "vague-word")
            && volatility.as_deref() == Some("stable")
            && status.changed.len() == 1
    })
    .await;
}

#[tokio::test]
async fn a_key_hands_over_to_the_next() {
    let house = House::start().await;
    house.require("fr-1", requirement("Orders shall be taken.", &[])).await;
    house.attest(PASSED, &["fr-1"], None).await;
    let first = house.ledger.public_key(PROJECT).unwrap().unwrap();
    house.desk.rotate_key(system_clock().now()).await.unwrap();
    house.until("fr-1", Verdict::Conforming, "passed").await;
    house.attest(&PASSED.replace("tests=\"1\"", "tests=\"1\" errors=\"0\""), &["fr-1"], None).await;
    let keys = house.desk.keys().unwrap();
    assert_eq!(keys.iter().map(|one| one.since).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(keys[0].key, first);
    let checked = maru_process::verify(&house.desk).await.unwrap();
    assert_eq!((checked.records, checked.problems.as_slice()), (3, [].as_slice()));
    let pack = house.folder.join("pack");
    assert_eq!(maru_process::export(&house.desk, &pack).await.unwrap(), 3);
    assert_eq!(std::fs::read_dir(pack.join("keys")).unwrap().count(), 2);
    // Who was told of either key on paper may trust the other in its time.
    for key in [None, Some(keys[0].key), Some(keys[1].key)] {
        let checked = maru_process::verify_folder(&pack, key).unwrap();
        assert_eq!((checked.records, checked.problems.as_slice()), (3, [].as_slice()));
    }
    let foreign = Ledger::open(&house.folder.join("other")).unwrap().signer("other").unwrap().public_key();
    assert_eq!(maru_process::verify_folder(&pack, Some(foreign)).unwrap().records, 0);
    // Without its report, signed by the new key, the record alone does not make the other key trusted.
    let report = house.desk.evidence().await.unwrap().remove(1).spec.raw.unwrap();
    std::fs::remove_file(pack.join("raw").join(report.hex())).unwrap();
    assert_eq!(maru_process::verify_folder(&pack, Some(keys[0].key)).unwrap().records, 2);
}

#[tokio::test]
async fn evidence_expires_by_time_alone() {
    let house = House::start().await;
    house.require("fr-1", requirement("Orders shall be taken.", &[])).await;
    house.attest(PASSED, &["fr-1"], Some("2s")).await;
    house.until("fr-1", Verdict::Conforming, "passed").await;
    house.until("fr-1", Verdict::NotMeasured, "expired").await;
}

#[tokio::test]
async fn parents_follow_their_worst_child_and_links_become_suspect() {
    let house = House::start().await;
    house.require("goal", json!({"statement": "The shop shall sell."})).await;
    let reviewed = house.find("goal").await.fingerprint();
    let mut child = requirement("Orders shall be taken.", &[]);
    child["derivedFrom"] = json!([{"name": "goal", "fingerprint": reviewed}]);
    house.require("fr-1", child).await;
    house.require("fr-2", requirement("Orders shall be paid.", &["goal", "gone"])).await;
    house.attest(PASSED, &["fr-1"], None).await;
    house.until("fr-1", Verdict::Conforming, "passed").await;
    house.until("goal", Verdict::NotMeasured, "fr-2").await;
    house.attest(PASSED, &["fr-2"], None).await;
    let goal = house.until("goal", Verdict::Conforming, "2 children conform").await;
    assert!(house.find("fr-1").await.status.unwrap().suspect.is_empty());
    assert_eq!(house.find("fr-2").await.status.unwrap().suspect[0].name, "gone");
    let changed = json!({"spec": {"statement": "The shop shall sell well."}});
    let requirements = house.api(Some(PROJECT), "maru.dev/v1alpha1", "Requirement");
    requirements.patch("goal", &PatchParams::default(), &Patch::Merge(changed)).await.unwrap();
    maru_testkit::wait_until(PATIENCE, "the link to be suspect", async || {
        let suspect = house.find("fr-1").await.status.unwrap().suspect;
        suspect.first().is_some_and(|link| link.reviewed == Some(goal.fingerprint()) && link.current != link.reviewed)
    })
    .await;
    // Looking at the link again, and saying so, clears it.
    let now = house.find("goal").await.fingerprint();
    let reviewed = json!({"spec": {"derivedFrom": [{"name": "goal", "fingerprint": now}]}});
    requirements.patch("fr-1", &PatchParams::default(), &Patch::Merge(reviewed)).await.unwrap();
    maru_testkit::wait_until(PATIENCE, "the link to be reviewed", async || {
        house.find("fr-1").await.status.unwrap().suspect.is_empty()
    })
    .await;
}

#[tokio::test]
async fn records_made_at_once_are_one_chain_and_a_cut_short_one_is_mended() {
    let house = House::start().await;
    house.require("fr-1", requirement("Orders shall be taken.", &[])).await;
    let wanted = attestation(PASSED, &["fr-1"], None);
    let all = futures::future::join_all((0..8).map(|_| house.desk.attest(&wanted, system_clock().now()))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    // Signed, but the object was never made: as after a crash.
    let last = all.into_iter().next_back().unwrap().unwrap().remove(0).statement;
    let draft = maru_evidence::Draft {
        kind: last.kind,
        subjects: last.subjects,
        name: last.record.name,
        environment: last.record.environment,
        producer: last.record.producer,
        window: last.record.window,
        result: last.record.result,
        cases: last.record.cases,
        raw: last.record.raw,
        valid_until: None,
    };
    house.ledger.append(PROJECT, draft, system_clock().now()).unwrap();
    house.attest(PASSED, &["fr-1"], None).await;
    let checked = maru_process::verify(&house.desk).await.unwrap();
    assert_eq!((checked.records, checked.problems.as_slice()), (10, [].as_slice()));
    let pack = house.folder.join("pack");
    assert_eq!(maru_process::export(&house.desk, &pack).await.unwrap(), 10);
    let checked = maru_process::verify_folder(&pack, None).unwrap();
    assert_eq!((checked.records, checked.problems.as_slice()), (10, [].as_slice()));
    let foreign = Ledger::open(&house.folder.join("other")).unwrap().signer("other").unwrap().public_key();
    assert_eq!(maru_process::verify_folder(&pack, Some(foreign)).unwrap().records, 0);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_told() {
    let house = House::start().await;
    house.require("fr-1", requirement("Orders shall be taken.", &[])).await;
    let now = TestClock::new(Timestamp::UNIX_EPOCH);
    let now = maru_time::Clock::now(&*now);
    let ask = async |change: &dyn Fn(&mut Attestation)| {
        let mut wanted = attestation(PASSED, &[], None);
        change(&mut wanted);
        house.desk.attest(&wanted, now).await.unwrap_err().to_string()
    };
    type Change<'a> = &'a dyn Fn(&mut Attestation);
    let cases: [(Change<'_>, &str); 5] = [
        (&|wanted| wanted.content = b"<x/>".to_vec(), "no junit"),
        (&|wanted| wanted.requirements = vec!["fr-9".to_owned()], "has no requirement \"fr-9\""),
        (
            &|wanted| wanted.name = Some("carts".to_owned()),
            "no requirement of project \"shop\" asks for test \"carts\"",
        ),
        (&|wanted| wanted.environment = Some("moon".to_owned()), "asks for test \"orders\" in \"moon\""),
        (
            &|wanted| {
                wanted.requirements = vec!["fr-1".to_owned()];
                wanted.environment = Some("moon".to_owned());
            },
            "requirement \"fr-1\" asks for test orders in test",
        ),
    ];
    for (change, expected) in cases {
        let message = ask(change).await;
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(house.ledger.head(PROJECT).unwrap().length, 0, "nothing was recorded");
    assert!(Ledger::open(&house.folder.join("x")).unwrap().head("../x").is_err());
}
