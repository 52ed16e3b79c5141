//! Evidence is read over the API by whoever may, without the ledger; reports open the stages of the method.

use std::path::Path;

use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use maru_api::Verdict;
use maru_evidence::readers::Format;
use maru_process::{Attestation, Desk, Ledger, Need, Parts};
use maru_time::system_clock;
use serde_json::{Value, json};

use crate::{House, PASSED, PATIENCE, PROJECT, requirement};

impl House {
    /// The desk of somebody on another machine.
    fn desk_of(&self, user: &str) -> Desk {
        let client = maru_client::as_user(&self.server.handler, user, &[]);
        Desk::new(client, Ledger::open_or_absent(Path::new("/nonexistent")), PROJECT)
    }

    async fn let_view(&self, user: &str) {
        let binding = json!({"metadata": {"name": user}, "subjects": [{"kind": "User", "name": user,
            "apiGroup": "rbac.authorization.k8s.io"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}});
        self.create(Some(PROJECT), "rbac.authorization.k8s.io/v1", "RoleBinding", binding).await;
    }
}

#[tokio::test]
async fn who_may_view_checks_and_exports_evidence_without_the_ledger() {
    let house = House::start().await;
    house.let_view("viewer").await;
    house.require("fr-1", requirement("Orders shall be taken.", &[])).await;
    house.attest(PASSED, &[], None).await;
    house.desk.rotate_key(system_clock().now()).await.unwrap();
    house.attest(PASSED, &[], None).await;
    house.until("fr-1", Verdict::Conforming, "passed").await;

    let reader = house.desk_of("viewer");
    assert!(maru_process::verify(&reader).await.is_err(), "there is no ledger here");
    maru_testkit::wait_until(PATIENCE, "all records to stand", async || {
        let summary = maru_process::summary(&reader).await.unwrap();
        summary.records == 3 && summary.problems.is_empty()
    })
    .await;
    let copy = reader.clone().with_evidence(&Need::All).await.unwrap();
    let checked = maru_process::verify(&copy).await.unwrap();
    assert_eq!((checked.records, checked.problems.as_slice()), (3, &[][..]));
    assert_eq!(copy.keys().unwrap(), house.desk.keys().unwrap());
    let folder = house.folder.join("pack");
    assert_eq!(maru_process::export(&copy, &folder).await.unwrap(), 3);
    let checked = maru_process::verify_folder(&folder, None).unwrap();
    assert_eq!((checked.records, checked.problems.as_slice()), (3, &[][..]));
    assert_eq!(maru_process::Material::gather(&reader, maru_api::Language::En).await.unwrap().statements.len(), 1);

    // Who may not read the project reads none of it, nor through an object of his own.
    assert!(house.desk_of("stranger").with_evidence(&Need::All).await.is_err());
    let known = house.desk.evidence().await.unwrap().remove(0);
    house.create(None, "v1", "Namespace", json!({"metadata": {"name": "other"}})).await;
    let evidence =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("maru.dev", "v1alpha1", "Evidence"), "evidence");
    let copied = json!({"apiVersion": "maru.dev/v1alpha1", "kind": "Evidence", "metadata": {"name": "mine"}, "spec": known.spec});
    let own: Api<DynamicObject> = Api::namespaced_with(house.client.clone(), "other", &evidence);
    own.create(&PostParams::default(), &serde_json::from_value(copied).unwrap()).await.unwrap();
    for what in ["envelope", "report", "key"] {
        let path = |namespace: &str, name: &str| {
            format!("/apis/maru.dev/v1alpha1/namespaces/{namespace}/evidence/{name}/{what}")
        };
        let get = |path: String| http::Request::get(path).body(Vec::new()).unwrap();
        assert!(house.client.request_text(get(path("other", "mine"))).await.is_err(), "{what}");
        assert!(house.client.request_text(get(path(PROJECT, &known.metadata.name))).await.is_ok(), "{what}");
    }

    // What was altered on the disk is told, also to readers far away.
    let hex = known.spec.envelope.hex();
    let blob = house.folder.join("evidence/blobs/sha256").join(hex.get(..2).unwrap()).join(&hex);
    std::fs::write(&blob, b"{}").unwrap();
    let copy = reader.with_evidence(&Need::All).await.unwrap();
    let checked = maru_process::verify(&copy).await.unwrap();
    assert!(!checked.problems.is_empty());
}

#[tokio::test]
async fn reports_open_the_stages_that_no_requirement_asks_for() {
    let house = House::start().await;
    house
        .create(
            Some(PROJECT),
            "maru.dev/v1alpha1",
            "Project",
            json!({"metadata": {"name": PROJECT}, "spec": {"language": "en"}}),
        )
        .await;
    let environment =
        json!({"metadata": {"name": "dev"}, "spec": {"namespace": "shop-test", "purpose": "development"}});
    house.create(Some(PROJECT), "maru.dev/v1alpha1", "Environment", environment).await;
    let times = json!({"from": "2026-11-22T09:00:00Z", "to": "2026-11-22T09:10:00Z"});
    let report = |more: Value| {
        let mut report = times.clone();
        report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        report.to_string().into_bytes()
    };
    let built = maru_api::Digest::of(b"orders");
    house.run("orders-1", "orders", built).await;
    let signer = maru_evidence::Signer::from_pkcs8(&maru_evidence::Signer::generate().unwrap()).unwrap();
    let statement = json!({"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "shop/orders", "digest": {"sha256": built.hex()}}],
        "predicateType": "https://slsa.dev/provenance/v1", "predicate": {
            "buildDefinition": {"buildType": "https://build.example/v1", "externalParameters": {}},
            "runDetails": {"builder": {"id": "https://build.example"}}}});
    let envelope = signer.sign(statement.to_string().as_bytes());
    let key = maru_evidence::ForeignKey::from_pem(&signer.public_key().to_pem()).unwrap();
    let attest = async |attestation: Attestation| house.desk.attest(&attestation, system_clock().now()).await.unwrap();
    let is_open = async |stage: &str| {
        let api: Api<DynamicObject> = house.api(Some(PROJECT), "maru.dev/v1alpha1", "Project");
        let project = serde_json::to_value(api.get(PROJECT).await.unwrap()).unwrap();
        let gates = project["status"]["gates"].as_array().cloned().unwrap_or_default();
        gates.iter().find(|gate| gate["gate"] == format!("{stage}/exit")).is_some_and(|gate| gate["open"] == true)
    };
    // Nobody checked who signed it: recorded, and it opens nothing.
    attest(Attestation::new(Format::Provenance, envelope.clone())).await;
    let stages = [
        ("as-is", Attestation::new(Format::Survey, "name,type,os\npos-1,server,Windows\n".into())),
        (
            "development-environment",
            Attestation::new(
                Format::Install,
                report(json!({"kind": "maru.dev/install/v1",
            "name": "dev", "within": "30m", "steps": [{"name": "cluster", "took": "9m", "succeeded": true}]})),
            ),
        ),
        (
            "proof-of-concept",
            Attestation::new(
                Format::Experiment,
                report(json!({"kind": "maru.dev/experiment/v1",
            "name": "mesh", "criteria": [{"name": "burst", "unit": "s", "atMost": 60, "measured": 41}]})),
            ),
        ),
        (
            "development-scenario",
            Attestation {
                environment: Some("test".to_owned()),
                keys: vec![key.clone()],
                ..Attestation::new(Format::Provenance, envelope.clone())
            },
        ),
    ];
    for (stage, attestation) in stages {
        assert!(!is_open(stage).await, "{stage}");
        attest(attestation).await;
        maru_testkit::wait_until(PATIENCE, format!("{stage} to open"), async || is_open(stage).await).await;
    }
    what_runs_is_what_was_built(&house, key, envelope).await;
}

/// A requirement may ask for it as well: then what runs must be what was built.
async fn what_runs_is_what_was_built(house: &House, key: maru_evidence::ForeignKey, envelope: Vec<u8>) {
    let spec = json!({"statement": "Only signed builds shall run.", "allocatedTo": ["orders"],
        "verify": [{"provenance": "https://build.example", "in": "test"}]});
    house.require("nfr-1", spec).await;
    house.until("nfr-1", Verdict::NotMeasured, "not about nfr-1").await;
    let about = Attestation {
        environment: Some("test".to_owned()),
        keys: vec![key],
        ..Attestation::new(Format::Provenance, envelope)
    };
    let recorded = house.desk.attest(&about, system_clock().now()).await.unwrap();
    assert_eq!(recorded.len(), 1);
    house.until("nfr-1", Verdict::Conforming, "1 builds, signed").await;
    let pods = house.api(Some("shop-test"), "v1", "Pod");
    let status = json!({"status": {"containerStatuses": [{"name": "main", "image": "shop/x", "ready": true, "restartCount": 0,
        "imageID": format!("docker.io/shop/x@{}", maru_api::Digest::of(b"another")), "state": {"running": {}}}]}});
    pods.patch_status("orders-1", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    house.until("nfr-1", Verdict::NotMeasured, "another orders than the one that runs now").await;
}

/// Runs a program in a folder; none when it is not on this machine.
fn run(folder: &Path, program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let output = std::process::Command::new(program).args(arguments).current_dir(folder).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Some((output.status.success(), said))
}

#[tokio::test]
async fn one_archive_holds_a_project_and_the_programs_that_check_it() {
    let house = House::start().await;
    let project = json!({"metadata": {"name": PROJECT}, "spec": {"language": "en"}});
    house.create(Some(PROJECT), "maru.dev/v1alpha1", "Project", project).await;
    house.require("fr-1", requirement("Orders shall be taken.", &[])).await;
    house.attest(PASSED, &[], None).await;
    house.until("fr-1", Verdict::Conforming, "passed").await;
    let baseline = json!({"metadata": {"name": "v1"}, "spec": {"title": "as ordered"}});
    house.create(Some(PROJECT), "maru.dev/v1alpha1", "Baseline", baseline).await;
    let taken = maru_testkit::wait_for(PATIENCE, "the baseline to be signed", async || {
        let all = house.desk.list::<maru_api::BaselineSpec>().await.unwrap();
        let status = all.into_iter().next()?.status?;
        Some((status.content?, status.envelope?))
    })
    .await;
    let parts = || Parts {
        documents: [("matrix.html".to_owned(), b"<p>matrix</p>".to_vec())].into(),
        baseline: Some((house.desk.content(taken.0).unwrap(), taken.0, taken.1)),
    };
    let place = |name: &str| house.folder.join(name);
    let records = maru_process::export_whole(&house.desk, parts(), &place("a.zip")).await.unwrap();
    assert_eq!(records, 2);
    // Of a baseline: the same bytes, whatever was recorded since.
    house.attest(PASSED, &[], None).await;
    maru_process::export_whole(&house.desk, parts(), &place("b.zip")).await.unwrap();
    assert!(std::fs::read(place("a.zip")).unwrap() == std::fs::read(place("b.zip")).unwrap(), "the bytes differ");
    let now = Parts { documents: parts().documents, baseline: None };
    assert_eq!(maru_process::export_whole(&house.desk, now, &place("now.tar")).await.unwrap(), 3);
    maru_process::export_whole(&house.desk, parts(), &place("folder")).await.unwrap();
    for name in ["a.zip", "now.tar", "folder"] {
        let checked = maru_process::verify_folder(&place(name), None).unwrap();
        assert_eq!(checked.problems, [], "{name}");
    }
    // Whoever has no key of the project makes one too; its sums are not signed.
    house.let_view("viewer").await;
    let copy = house.desk_of("viewer").with_evidence(&Need::All).await.unwrap();
    let now = Parts { documents: parts().documents, baseline: None };
    maru_process::export_whole(&copy, now, &place("viewer.zip")).await.unwrap();
    assert_eq!(maru_process::verify_folder(&place("viewer.zip"), None).unwrap().problems, []);

    if run(house.folder.path(), "jq", &["--version"]).is_some()
        && run(house.folder.path(), "openssl", &["version"]).is_some()
    {
        let (is_right, said) = run(&place("folder"), "sh", &["verify.sh"]).unwrap();
        assert!(is_right && said.contains("verified 2 records of shop") && said.contains("signed by key"), "{said}");
    } else {
        println!("skipped: openssl and jq are not here");
    }
    // A Python that has the library, perhaps of a virtual environment.
    let python =
        std::env::var_os("MARU_PYTHON").map_or_else(|| "python3".into(), |name| name.to_string_lossy().into_owned());
    let has_library = run(house.folder.path(), &python, &["-c", "import securesystemslib.dsse, cryptography"]);
    if has_library.is_some_and(|(works, _)| works) {
        let (is_right, said) = run(&place("folder"), &python, &["evidence/verify.py", "evidence"]).unwrap();
        assert!(is_right && said.contains("verified 2 records of shop"), "{said}");
    } else {
        println!("skipped: {python} has no securesystemslib; name one that has by MARU_PYTHON");
    }
    if let Some((is_right, said)) = run(house.folder.path(), "python3", &["-m", "zipfile", "-t", "a.zip"]) {
        assert!(is_right, "{said}");
    }
    // An altered document, an added file, and sums that were made anew are found.
    std::fs::write(place("folder/documents/matrix.html"), "<p>better</p>").unwrap();
    let problems = |place: &Path| {
        let checked = maru_process::verify_folder(place, None).unwrap();
        checked.problems.into_iter().map(|one| one.why).collect::<Vec<_>>()
    };
    assert_eq!(problems(&place("folder")), ["documents/matrix.html is not as SHA256SUMS says"]);
    if let Some((is_right, said)) = run(&place("folder"), "sh", &["verify.sh"]) {
        assert!(!is_right, "{said}");
    }
    let sums = std::fs::read_to_string(place("folder/SHA256SUMS")).unwrap();
    let digest = |text: &str| maru_api::Digest::of(text.as_bytes()).hex();
    let forged = sums.replace(&digest("<p>matrix</p>"), &digest("<p>better</p>"));
    std::fs::write(place("folder/SHA256SUMS"), forged).unwrap();
    assert_eq!(problems(&place("folder")), ["SHA256SUMS.sig does not fit SHA256SUMS"]);
}
