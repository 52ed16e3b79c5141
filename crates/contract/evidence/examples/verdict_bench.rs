//! Measures verdicts: `cargo run --release -p maru-evidence --example verdict_bench`.
//!
//! 5,000 requirements in three levels, 50,000 records: ten for each requirement that is measured, as a year of windows gives.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement")]

use std::time::Instant;

use jiff::Timestamp;
use maru_api::{
    Check, Criterion, Digest, Link, Means, Measured, Outcome, Producer, Ratio, RequirementSpec, Span, Subject,
    SubjectKind, Target, Window,
};
use maru_evidence::{Chain, Draft, EvidenceKind, Index, Piece, Rules, Signer, Verifier, replay};

const REQUIREMENTS: usize = 5_000;
const RECORDS: usize = 50_000;
const COMPONENTS: usize = 60;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn name(number: usize) -> String {
    format!("req-{number:05}")
}

/// The first hundred are parents; every other has one of them as its parent.
fn requirement(number: usize) -> RequirementSpec {
    let mut spec = RequirementSpec { statement: format!("requirement {number}").into(), ..RequirementSpec::default() };
    if number < 100 {
        return spec;
    }
    spec.derived_from = vec![Link { name: name(number % 100), fingerprint: None }];
    spec.allocated_to = vec![format!("service-{}", number % COMPONENTS)];
    spec.criterion = Some(Criterion::Latency {
        of: Target::default(),
        quantile: Ratio::from_nano(990_000_000),
        at_most: Span::from_millis(100),
        window: None,
        at_load: None,
    });
    let by = Means::Slo(format!("slo-{}", number % 500));
    spec.verify = vec![Check { by, environment: Some("prod".to_owned()), confidence: None, valid_for: None }];
    spec
}

fn image(number: usize) -> Subject {
    let name = format!("service-{}", number % COMPONENTS);
    Subject { kind: SubjectKind::Image, digest: Digest::of(name.as_bytes()), name }
}

fn draft(record: usize) -> Draft {
    let number = 100 + record % (REQUIREMENTS - 100);
    let spec = requirement(number);
    let second = i64::try_from(record).unwrap_or_default();
    Draft {
        kind: EvidenceKind::SloWindow,
        subjects: vec![
            Subject { kind: SubjectKind::Requirement, name: name(number), digest: spec.fingerprint() },
            image(number),
        ],
        name: format!("slo-{}", number % 500),
        environment: Some("prod".to_owned()),
        producer: Producer { tool: "maru".to_owned(), ..Producer::default() },
        window: Window { from: at(second), to: at(second + 60) },
        result: Measured {
            value: Some(0.999),
            low: Some(0.998),
            high: Some(0.9995),
            confidence: Some(0.95),
            samples: Some(10_000),
            unit: "ratio".to_owned(),
            threshold: Some(0.1),
            ..Measured::plain(Outcome::Met)
        },
        cases: Vec::new(),
        raw: None,
        valid_until: Some(at(1_000_000 + second)),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let signer = Signer::from_pkcs8(&Signer::generate()?)?;
    let verifier = Verifier::new([signer.public_key()]);
    let mut chain = Chain::new("bench");
    let mut blobs = Vec::with_capacity(RECORDS);
    let begin = Instant::now();
    for record in 0..RECORDS {
        let (digest, envelope) = chain.sign(&signer, draft(record), at(100_000));
        chain.append(&verifier, digest, &envelope)?;
        blobs.push((digest, envelope));
    }
    println!("sign and append {RECORDS} records: {:?}", begin.elapsed());

    let begin = Instant::now();
    let replay = replay("bench", &verifier, &blobs);
    println!("check the whole chain of {} records: {:?}", replay.records.len(), begin.elapsed());

    let pieces: Vec<Piece> = replay.records.into_iter().map(Piece::from).collect();
    let specs: Vec<RequirementSpec> = (0..REQUIREMENTS).map(requirement).collect();
    let mut last = pieces.last().cloned().ok_or("no record")?;
    let begin = Instant::now();
    let mut index = Index::new(Rules::default());
    index.set_running("prod", (0..COMPONENTS).map(image).collect());
    for (number, spec) in specs.iter().enumerate() {
        index.set_requirement(&name(number), spec.clone());
    }
    for piece in pieces {
        index.add(piece);
    }
    let changed = index.refresh(at(100_000)).len();
    println!("{changed} verdicts from scratch: {:?}, totals {:?}", begin.elapsed(), index.totals());

    last.digest = Digest::of(b"one more");
    last.window.to = at(100_000);
    (last.result.low, last.result.high, last.result.value) = (Some(0.1), Some(0.2), Some(0.15));
    let begin = Instant::now();
    index.add(last);
    let changed = index.refresh(at(100_001)).len();
    println!("one more record, {changed} verdicts changed: {:?}, totals {:?}", begin.elapsed(), index.totals());

    let mut edited = requirement(777);
    edited.statement = "edited".into();
    let begin = Instant::now();
    index.set_requirement(&name(777), edited);
    let changed = index.refresh(at(100_001)).len();
    println!("one requirement edited, {changed} verdicts changed: {:?}", begin.elapsed());

    let mut subjects: Vec<Subject> = (0..COMPONENTS).map(image).collect();
    if let Some(first) = subjects.first_mut() {
        first.digest = Digest::of(b"a new image");
    }
    let begin = Instant::now();
    index.set_running("prod", subjects);
    let changed = index.refresh(at(100_001)).len();
    println!("one image replaced, {changed} verdicts changed: {:?}", begin.elapsed());
    Ok(())
}
