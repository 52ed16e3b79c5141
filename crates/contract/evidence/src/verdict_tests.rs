//! Each row of the table of outcomes is a test.

use maru_api::{Language, Link, Requirement};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::index::Index;

const NOW: i64 = 1_800_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn spec(criterion: serde_json::Value, verify: serde_json::Value) -> RequirementSpec {
    let object =
        json!({"spec": {"statement": "x", "allocatedTo": ["orders"], "criterion": criterion, "verify": verify}});
    serde_json::from_value::<Requirement>(object).unwrap().spec
}

fn latency() -> RequirementSpec {
    spec(
        json!({"indicator": "latency", "quantile": 0.999, "atMost": "100ms"}),
        json!([{"slo": "orders-latency", "in": "prod"}]),
    )
}

fn image(version: &str) -> Subject {
    Subject { kind: SubjectKind::Image, name: "orders".to_owned(), digest: Digest::of(version.as_bytes()) }
}

fn about(name: &str, spec: &RequirementSpec) -> Subject {
    Subject { kind: SubjectKind::Requirement, name: name.to_owned(), digest: spec.fingerprint() }
}

fn running() -> Running {
    let mut running = Running::default();
    running.set("prod", vec![image("1")]);
    running
}

/// A window of the objective that ended a minute ago.
fn window(spec: &RequirementSpec, good: u64, total: u64) -> Piece {
    let bounds = crate::statistics::ratio_bounds(good, total, 0.95);
    let result = Measured {
        value: Some(good as f64 / total as f64),
        low: Some(bounds.low),
        high: Some(bounds.high),
        confidence: Some(0.95),
        samples: Some(total),
        unit: "ratio".to_owned(),
        threshold: Some(0.1),
        ..Measured::plain(Outcome::Insufficient)
    };
    Piece {
        digest: Digest::of(format!("{good} {total}").as_bytes()),
        kind: Some(EvidenceKind::SloWindow),
        name: "orders-latency".to_owned(),
        environment: Some("prod".to_owned()),
        subjects: vec![about("nfr-007", spec), image("1")],
        window: Window { from: at(NOW - 3_600), to: at(NOW - 60) },
        sequence: 0,
        result,
        cases: Vec::new(),
        valid_until: Some(at(NOW + 3_600)),
        refused: None,
    }
}

fn good(spec: &RequirementSpec) -> Piece {
    window(spec, 48_186, 48_210)
}

fn judge_with(spec: &RequirementSpec, pieces: &[Piece]) -> (Verdict, Outcome, String, String) {
    let status = verdict("nfr-007", spec, spec.fingerprint(), pieces, &running(), &Rules::default(), at(NOW));
    let reason = |language| status.reason.get(language).to_owned();
    (status.verdict.unwrap(), status.checks[0].outcome, reason(Language::En), reason(Language::Ko))
}

fn assert_short(spec: &RequirementSpec, pieces: &[Piece], expected: &str) {
    let (verdict, outcome, english, korean) = judge_with(spec, pieces);
    assert_eq!((verdict, outcome), (Verdict::NotMeasured, Outcome::Insufficient), "{english}");
    assert!(english.contains(expected), "{english}");
    assert!(!korean.is_empty() && korean != english, "{korean}");
}

fn changed(spec: &RequirementSpec, edit: impl Fn(&mut Piece)) -> Piece {
    let mut piece = good(spec);
    edit(&mut piece);
    piece
}

#[test]
fn an_interval_inside_is_met() {
    let spec = latency();
    let (verdict, outcome, english, korean) = judge_with(&spec, &[good(&spec)]);
    assert_eq!((verdict, outcome), (Verdict::Conforming, Outcome::Met));
    assert_eq!(
        english,
        "slo orders-latency met: 99.95 % within 100 ms, at least 99.929 % at 95 % confidence, 48,210 samples (asked at least 99.9 %)"
    );
    assert_eq!(
        korean,
        "slo orders-latency 충족: 99.95 % (100 ms 이내), 신뢰도 95 %에서 최소 99.929 %, 48,210건 (기준 99.9 % 이상)"
    );
}

#[test]
fn evidence_under_another_configuration_does_not_count() {
    let spec = latency();
    let configuration = |content: &[u8]| Subject {
        kind: SubjectKind::Configuration,
        name: "orders".to_owned(),
        digest: Digest::of(content),
    };
    let piece = changed(&spec, |piece| piece.subjects.push(configuration(b"limits: 3")));
    let decide = |subjects: Vec<Subject>, piece: &Piece| {
        let mut running = Running::default();
        running.set("prod", subjects);
        let status = verdict("nfr-007", &spec, spec.fingerprint(), [piece], &running, &Rules::default(), at(NOW));
        (status.verdict, status.reason.get(Language::En).to_owned())
    };
    assert_eq!(decide(vec![image("1"), configuration(b"limits: 3")], &piece).0, Some(Verdict::Conforming));
    for now in [vec![configuration(b"limits: 4")], vec![configuration(b"limits: 3"), configuration(b"limits: 4")]] {
        let (verdict, reason) = decide([vec![image("1")], now].concat(), &piece);
        assert_eq!(verdict, Some(Verdict::NotMeasured));
        assert!(reason.contains("about another configuration of orders"), "{reason}");
    }
    // Evidence that names no configuration does not depend on one.
    let without = good(&spec);
    assert_eq!(decide(vec![image("1"), configuration(b"limits: 4")], &without).0, Some(Verdict::Conforming));
}

#[test]
fn an_interval_outside_is_violated() {
    let spec = latency();
    let (verdict, outcome, english, _) = judge_with(&spec, &[window(&spec, 47_000, 48_210)]);
    assert_eq!((verdict, outcome), (Verdict::Nonconforming, Outcome::Violated));
    assert!(english.starts_with("slo orders-latency violated: 97.49 % within 100 ms, at most 97.61 %"), "{english}");
}

#[test]
fn an_interval_across_asks_for_more() {
    let spec = latency();
    assert_short(&spec, &[window(&spec, 1_000, 1_000)], "(1,000 samples), across 99.9 %, needs about 2,000 more");
    // Zero failures decide at exactly the published size.
    assert_eq!(judge_with(&spec, &[window(&spec, 2_995, 2_995)]).0, Verdict::Conforming);
    assert_eq!(judge_with(&spec, &[window(&spec, 2_994, 2_994)]).0, Verdict::NotMeasured);
}

#[test]
fn no_evidence_is_not_measured() {
    assert_short(&latency(), &[], "slo orders-latency: no evidence");
    let spec = latency();
    assert_short(&spec, &[changed(&spec, |piece| piece.name = "other".to_owned())], "no evidence");
    assert_short(&spec, &[changed(&spec, |piece| piece.kind = Some(EvidenceKind::Load))], "no evidence");
    assert_short(&spec, &[changed(&spec, |piece| piece.subjects.clear())], "there is evidence, but not about nfr-007");
    assert_short(
        &spec,
        &[changed(&spec, |piece| piece.environment = Some("test".to_owned()))],
        "no evidence from prod, only from \"test\"",
    );
    assert_short(&RequirementSpec { verify: latency().verify, ..RequirementSpec::default() }, &[], "no evidence");
    let status =
        verdict("x", &RequirementSpec::default(), Digest::of(b""), &[], &running(), &Rules::default(), at(NOW));
    assert_eq!(status.verdict, Some(Verdict::NotMeasured));
    assert_eq!(status.reason.get(Language::En), "nothing verifies it");
}

#[test]
fn expired_evidence_is_not_measured() {
    let spec = latency();
    assert_short(
        &spec,
        &[changed(&spec, |piece| piece.valid_until = Some(at(NOW)))],
        "the evidence expired at 2027-01-15 08:00 UTC",
    );
    let mut strict = latency();
    strict.verify[0].valid_for = Some(Span::from_secs(30));
    assert_short(&strict, &[good(&strict)], "expired");
    let rules = Rules { valid_for: Some(Span::from_secs(30)), ..Rules::default() };
    let endless = changed(&spec, |piece| piece.valid_until = None);
    let status = verdict("nfr-007", &spec, spec.fingerprint(), [&endless], &running(), &rules, at(NOW));
    assert_eq!(status.verdict, Some(Verdict::NotMeasured));
}

#[test]
fn evidence_from_the_future_is_not_measured() {
    let spec = latency();
    let piece = changed(&spec, |piece| piece.window.to = at(NOW + 600));
    assert_short(&spec, std::slice::from_ref(&piece), "from the future");
    // A clock that is a little ahead does no harm.
    let piece = changed(&spec, |piece| piece.window.to = at(NOW + 30));
    assert_eq!(judge_with(&spec, &[piece]).0, Verdict::Conforming);
}

#[test]
fn a_wrong_signature_digest_or_chain_is_not_measured() {
    let spec = latency();
    let refused = changed(&spec, |piece| piece.refused = Some(Refusal::Replayed(piece.digest).to_string()));
    assert_short(&spec, &[refused], "the evidence does not stand: the record sha256:");
}

#[test]
fn another_image_or_configuration_is_not_measured() {
    let spec = latency();
    let old = changed(&spec, |piece| piece.subjects = vec![about("nfr-007", &spec), image("0")]);
    assert_short(&spec, &[old], "about another orders than the one that runs now");
    let none = changed(&spec, |piece| piece.subjects = vec![about("nfr-007", &spec)]);
    assert_short(&spec, &[none], "about another orders");
    let configuration =
        Subject { kind: SubjectKind::Configuration, name: "orders".to_owned(), digest: Digest::of(b"old") };
    let piece = changed(&spec, |piece| piece.subjects.push(configuration.clone()));
    assert_short(&spec, &[piece], "orders does not run now");
    // While two versions run, evidence about one does not speak for both.
    let mut two = running();
    two.set("prod", vec![image("1"), image("2")]);
    let status = verdict("nfr-007", &spec, spec.fingerprint(), [&good(&spec)], &two, &Rules::default(), at(NOW));
    assert_eq!(status.verdict, Some(Verdict::NotMeasured));
    let both = changed(&spec, |piece| piece.subjects.push(image("2")));
    let status = verdict("nfr-007", &spec, spec.fingerprint(), [&both], &two, &Rules::default(), at(NOW));
    assert_eq!(status.verdict, Some(Verdict::Conforming));
}

#[test]
fn another_wording_of_the_requirement_is_not_measured() {
    let before = latency();
    let mut after = latency();
    after.statement = "y".into();
    assert_short(&after, &[good(&before)], "made for another wording of the requirement");
}

#[test]
fn too_little_confidence_is_not_measured() {
    let mut spec = latency();
    spec.verify[0].confidence = Some("0.99".parse().unwrap());
    assert_short(&spec, &[good(&spec)], "measured at 95 % confidence, but 99 % is asked");
    let spec = latency();
    let point = changed(&spec, |piece| (piece.result.low, piece.result.high) = (None, None));
    assert_short(&spec, &[point], "a value without an interval");
    let empty = changed(&spec, |piece| {
        piece.result = Measured { samples: Some(0), unit: "ratio".to_owned(), ..Measured::plain(Outcome::Met) }
    });
    assert_short(&spec, &[empty], "no samples, needs about 3,000");
    let loose = changed(&spec, |piece| piece.result.threshold = Some(0.2));
    assert_short(&spec, &[loose], "it is the share within 200 ms, which says nothing about 100ms");
    let wrong = changed(&spec, |piece| piece.result.unit = "apples".to_owned());
    assert_short(&spec, &[wrong], "its unit is \"apples\"");
}

#[test]
fn the_newest_valid_evidence_decides() {
    let spec = latency();
    let bad = window(&spec, 47_000, 48_210);
    let newer = |seconds: i64, mut piece: Piece| {
        piece.window.to = at(NOW - 60 + seconds);
        piece
    };
    assert_eq!(judge_with(&spec, &[bad.clone(), newer(10, good(&spec))]).0, Verdict::Conforming);
    assert_eq!(judge_with(&spec, &[newer(10, good(&spec)), bad.clone()]).0, Verdict::Conforming);
    assert_eq!(judge_with(&spec, &[newer(10, bad.clone()), good(&spec)]).0, Verdict::Nonconforming);
    // A newer one that does not count hides nothing.
    let mut expired = newer(10, bad);
    expired.valid_until = Some(at(NOW - 1));
    assert_eq!(judge_with(&spec, &[expired, good(&spec)]).0, Verdict::Conforming);
}

#[test]
fn requirements_combine_their_checks() {
    let requirement = spec(
        json!({"indicator": "latency", "quantile": 0.999, "atMost": "100ms"}),
        json!([{"slo": "orders-latency", "in": "prod"}, {"approval": {"role": "customer"}}]),
    );
    let approval = |outcome| Piece {
        kind: Some(EvidenceKind::Approval),
        name: "customer".to_owned(),
        environment: None,
        subjects: vec![about("nfr-007", &requirement)],
        result: Measured::plain(outcome),
        ..good(&requirement)
    };
    let bad = window(&requirement, 47_000, 48_210);
    let all = |pieces: &[Piece]| judge_with(&requirement, pieces).0;
    assert_eq!(all(&[good(&requirement), approval(Outcome::Met)]), Verdict::Conforming);
    assert_eq!(all(&[good(&requirement), approval(Outcome::Violated)]), Verdict::Nonconforming);
    assert_eq!(all(&[good(&requirement)]), Verdict::NotMeasured);
    // Violated outweighs what is missing.
    assert_eq!(all(&[bad]), Verdict::Nonconforming);
    let wont = RequirementSpec { priority: Priority::Wont, ..requirement.clone() };
    let status = verdict("nfr-007", &wont, wont.fingerprint(), [&good(&wont)], &running(), &Rules::default(), at(NOW));
    assert_eq!(status.verdict, None);
}

#[test]
fn a_parent_takes_its_worst_child() {
    use Verdict::{Conforming, Nonconforming, NotMeasured};
    for (children, expected) in [
        (vec![("a", Some(Conforming)), ("b", Some(Conforming))], Conforming),
        (vec![("a", Some(Conforming)), ("b", Some(NotMeasured))], NotMeasured),
        (vec![("a", Some(Nonconforming)), ("b", Some(NotMeasured))], Nonconforming),
        (vec![("a", Some(Conforming)), ("b", None)], Conforming),
        (vec![("a", None)], NotMeasured),
        (vec![], NotMeasured),
    ] {
        assert_eq!(worst_child(&children).verdict, Some(expected), "{children:?}");
    }
    let status = worst_child(&[("fr-001", Some(Nonconforming))]);
    assert_eq!(status.reason.get(Language::En), "nonconforming below: fr-001");
}

fn child(parent: &str, requirement: RequirementSpec) -> RequirementSpec {
    RequirementSpec { derived_from: vec![Link { name: parent.to_owned(), fingerprint: None }], ..requirement }
}

#[test]
fn the_index_decides_again_only_what_changed() {
    let leaf = child("goal", latency());
    let mut index = Index::new(Rules::default());
    index.set_requirement("goal", RequirementSpec { statement: "g".into(), ..RequirementSpec::default() });
    index.set_requirement("nfr-007", leaf.clone());
    index.set_requirement("other", spec(json!({"indicator": "behaviour"}), json!([{"test": {"suite": "orders"}}])));
    index.set_running("prod", vec![image("1")]);
    assert_eq!(index.refresh(at(NOW)).len(), 3);
    assert_eq!(index.totals(), (0, 0, 3));
    assert!(index.refresh(at(NOW)).is_empty());

    let names = |changed: &[(std::sync::Arc<str>, VerdictStatus)]| -> Vec<String> {
        changed.iter().map(|(name, _)| name.to_string()).collect()
    };
    index.add(good(&leaf));
    assert_eq!(names(&index.refresh(at(NOW))), ["goal", "nfr-007"]);
    assert_eq!(index.totals(), (2, 0, 1));
    // Time passes: the evidence expires, and the parent follows.
    assert_eq!(index.next_change(), Some(at(NOW + 3_600)));
    assert!(index.refresh(at(NOW + 3_599)).is_empty());
    assert_eq!(names(&index.refresh(at(NOW + 3_600))), ["goal", "nfr-007"]);
    assert_eq!(index.totals(), (0, 0, 3));
    // Another version runs.
    index.set_running("prod", vec![image("2")]);
    index.refresh(at(NOW + 3_600));
    assert!(index.status("nfr-007").unwrap().reason.get(Language::En).contains("another orders"));
    // An edit makes the evidence stale.
    index.set_requirement("nfr-007", RequirementSpec { statement: "edited".into(), ..leaf });
    index.refresh(at(NOW));
    assert!(index.status("nfr-007").unwrap().reason.get(Language::En).contains("another wording"));
    index.remove_requirement("nfr-007");
    assert_eq!(names(&index.refresh(at(NOW))), ["goal"]);
    assert_eq!(index.asking(EvidenceKind::Test, "orders", Some("test")).len(), 1);
}

#[test]
fn what_derives_from_itself_is_not_measured() {
    let mut index = Index::new(Rules::default());
    let goal = RequirementSpec { statement: "g".into(), ..RequirementSpec::default() };
    index.set_requirement("a", child("b", goal.clone()));
    index.set_requirement("b", child("a", goal));
    let changed = index.refresh(at(NOW));
    assert_eq!(changed.len(), 2);
    assert!(changed[0].1.reason.get(Language::En).contains("derives from itself"));
}

#[test]
fn drills_tests_and_controls_are_judged() {
    let requirement = spec(json!({"indicator": "recoveryTime", "atMost": "15m"}), json!([{"drill": "restore"}]));
    let drill = |seconds: f64| Piece {
        kind: Some(EvidenceKind::Drill),
        name: "restore".to_owned(),
        result: Measured {
            value: Some(seconds),
            low: Some(seconds),
            high: Some(seconds),
            samples: Some(1),
            unit: "seconds".to_owned(),
            ..Measured::plain(Outcome::Met)
        },
        subjects: vec![about("nfr-007", &requirement)],
        ..good(&requirement)
    };
    assert_eq!(
        judge_with(&requirement, &[drill(720.0)]).2,
        "drill restore met: 12 min, 1 samples (asked at most 15 min)"
    );
    assert_eq!(judge_with(&requirement, &[drill(960.0)]).0, Verdict::Nonconforming);

    let requirement = spec(
        json!({"indicator": "behaviour"}),
        json!([{"test": {"suite": "orders", "case": "contract/*"}, "in": "prod"}]),
    );
    let case = |name: &str, outcome| Case { name: name.to_owned(), outcome, note: String::new() };
    let tests = |cases: Vec<Case>| Piece {
        kind: Some(EvidenceKind::Test),
        name: "orders".to_owned(),
        result: Measured::plain(cases.iter().map(|case| case.outcome).max().unwrap_or(Outcome::Insufficient)),
        cases,
        ..good(&requirement)
    };
    let (met, violated, skipped) = (Outcome::Met, Outcome::Violated, Outcome::Insufficient);
    let all = |cases| judge_with(&requirement, &[tests(cases)]);
    assert_eq!(all(vec![case("contract/a", met), case("unit/b", violated)]).0, Verdict::Conforming);
    assert_eq!(
        all(vec![case("contract/a", violated), case("contract/b", met)]).2,
        "test orders contract/* 1 of 2 tests failed, the first is \"contract/a\""
    );
    assert_eq!(all(vec![case("contract/a", met), case("contract/b", skipped)]).0, Verdict::NotMeasured);
    assert!(all(vec![case("unit/b", met)]).2.contains("no test that fits \"contract/*\" ran"));

    let requirement = spec(json!({"indicator": "control", "id": "image-signed"}), json!([{"scan": "*", "in": "prod"}]));
    let scan = |cases: Vec<Case>| Piece {
        kind: Some(EvidenceKind::Scan),
        name: "checkov".to_owned(),
        result: Measured::plain(met),
        cases,
        ..good(&requirement)
    };
    assert_eq!(
        judge_with(&requirement, &[scan(vec![case("image-signed", met), case("x", violated)])]).0,
        Verdict::Conforming
    );
    assert_eq!(judge_with(&requirement, &[scan(vec![case("image-signed", violated)])]).0, Verdict::Nonconforming);
    assert!(judge_with(&requirement, &[scan(vec![case("x", met)])]).2.contains("did not run the check"));
}

proptest! {
    #[test]
    fn the_order_of_evidence_does_not_matter(seed in any::<u64>()) {
        let spec = latency();
        let mut pieces = vec![good(&spec), window(&spec, 47_000, 48_210), window(&spec, 10, 10)];
        pieces.push(changed(&spec, |piece| piece.refused = Some("x".to_owned())));
        let expected = judge_with(&spec, &pieces);
        let turn = usize::try_from(seed % 4).unwrap();
        pieces.rotate_left(turn);
        pieces.swap(0, usize::try_from(seed / 4 % 4).unwrap());
        prop_assert_eq!(judge_with(&spec, &pieces), expected);
    }
}
