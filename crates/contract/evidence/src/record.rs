//! What an envelope says: an in-toto Statement whose predicate carries Maru's record.
//!
//! Source: in-toto Attestation Framework, Statement 1, ResourceDescriptor 1, test-result 0.1.

use jiff::Timestamp;
use maru_api::{
    Digest, EvidenceSpec, Means, Measured, Outcome, Producer, Subject, SubjectKind, Window, canonical_json,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The type of a statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// What a piece of evidence was made by: decides the predicate's type and which checks it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EvidenceKind {
    /// A window of a service level objective.
    SloWindow,
    /// A run of tests.
    Test,
    /// A person's word.
    Approval,
    /// A scan.
    Scan,
    /// A run of load.
    Load,
    /// A drill.
    Drill,
    /// A measured installation.
    Install,
    /// A survey.
    Survey,
    /// A proof of concept.
    Experiment,
    /// A list of parts.
    Bom,
    /// How an artifact came to be.
    Provenance,
    /// A state of the project that was agreed.
    Baseline,
    /// Another key signs from here on.
    Key,
    /// A requirement that was changed so that all can hold, and why.
    Decision,
}

const KINDS: [(EvidenceKind, &str, &str); 14] = [
    (EvidenceKind::SloWindow, "slo", "https://maru.dev/slo-window/v1"),
    (EvidenceKind::Test, "test", "https://in-toto.io/attestation/test-result/v0.1"),
    (EvidenceKind::Approval, "approval", "https://maru.dev/approval/v1"),
    (EvidenceKind::Scan, "scan", "https://maru.dev/scan/v1"),
    (EvidenceKind::Load, "load", "https://maru.dev/load/v1"),
    (EvidenceKind::Drill, "drill", "https://maru.dev/drill/v1"),
    (EvidenceKind::Install, "install", "https://maru.dev/install/v1"),
    (EvidenceKind::Survey, "survey", "https://maru.dev/survey/v1"),
    (EvidenceKind::Experiment, "experiment", "https://maru.dev/experiment/v1"),
    (EvidenceKind::Bom, "bom", "https://cyclonedx.org/bom"),
    (EvidenceKind::Provenance, "provenance", "https://slsa.dev/provenance/v1"),
    (EvidenceKind::Baseline, "baseline", "https://maru.dev/baseline/v1"),
    (EvidenceKind::Key, "key", "https://maru.dev/key/v1"),
    (EvidenceKind::Decision, "decision", "https://maru.dev/decision/v1"),
];

impl EvidenceKind {
    /// Returns the predicate's type.
    #[must_use]
    pub fn predicate_type(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, _, uri)| uri)
    }

    /// Returns the word that a check uses for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, word, _)| word)
    }

    /// Returns the kind of a predicate's type.
    #[must_use]
    pub fn of_predicate(uri: &str) -> Option<Self> {
        KINDS.iter().find(|(_, _, known)| *known == uri).map(|(kind, ..)| *kind)
    }

    /// Returns the kind that a check asks for.
    #[must_use]
    pub fn of_means(means: &Means) -> Option<Self> {
        let word = means.kind();
        KINDS.iter().find(|(_, known, _)| *known == word).map(|(kind, ..)| *kind)
    }
}

/// One case of a report: a test, a rule of a scanner, a step of a drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// Its name.
    pub name: String,
    /// What it came to.
    pub outcome: Outcome,
    /// What the tool said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What was seen: Maru's part of a predicate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// The project whose chain it is in.
    pub project: String,
    /// The place in the chain, from 0.
    pub sequence: u64,
    /// The envelope before it in the chain; none at the first place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
    /// When it was signed.
    pub recorded: Timestamp,
    /// What a check asks for it by: the objective, the suite, the role, the tool, the scenario.
    pub name: String,
    /// Where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Who measured.
    pub producer: Producer,
    /// When.
    pub window: Window,
    /// What came out.
    pub result: Measured,
    /// The cases, where there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<Case>,
    /// The digest of the report as the tool wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Digest>,
    /// Until when it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
}

/// A piece of evidence before it has its place in the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// What it was made by.
    pub kind: EvidenceKind,
    /// What it is about.
    pub subjects: Vec<Subject>,
    /// What a check asks for it by.
    pub name: String,
    /// Where it was measured.
    pub environment: Option<String>,
    /// Who measured.
    pub producer: Producer,
    /// When.
    pub window: Window,
    /// What came out.
    pub result: Measured,
    /// The cases, where there are any.
    pub cases: Vec<Case>,
    /// The digest of the report as the tool wrote it.
    pub raw: Option<Digest>,
    /// Until when it counts.
    pub valid_until: Option<Timestamp>,
}

/// An in-toto Statement of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// What it was made by.
    pub kind: EvidenceKind,
    /// What it is about.
    pub subjects: Vec<Subject>,
    /// What was seen.
    pub record: Record,
}

/// Why a payload is no statement of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// Not JSON of the right shape.
    #[error("the payload is no in-toto Statement: {0}")]
    Malformed(String),
    /// Another version of the statement.
    #[error("the payload's type is \"{0}\", not \"{STATEMENT_TYPE}\"")]
    Type(String),
    /// A predicate that Maru does not make.
    #[error("the predicate's type \"{0}\" is not known")]
    Predicate(String),
    /// A window that ends before it begins.
    #[error("the window ends before it begins")]
    Window,
    /// Nothing that it is about.
    #[error("the statement has no subject")]
    NoSubject,
}

/// The name of the subject that is the next key: an artifact whose digest is the key's id.
pub const KEY_NAME: &str = "evidence-key";

const SUBJECTS_MAX: usize = 20_000;
const CASES_MAX: usize = 200_000;

#[derive(Serialize, Deserialize)]
struct StatementText<P> {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Descriptor>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: P,
}

/// The part of a predicate that is read; what its own specification asks for stands beside it.
#[derive(Deserialize)]
struct Predicate {
    maru: Record,
}

#[derive(Serialize, Deserialize)]
struct Descriptor {
    name: String,
    digest: DigestSet,
    annotations: Annotations,
}

#[derive(Serialize, Deserialize)]
struct DigestSet {
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Annotations {
    #[serde(rename = "maru.dev/kind")]
    kind: SubjectKind,
}

impl Statement {
    /// Returns the payload: canonical JSON.
    #[must_use]
    pub fn to_payload(&self) -> Vec<u8> {
        let subject = self
            .subjects
            .iter()
            .map(|subject| Descriptor {
                name: subject.name.clone(),
                digest: DigestSet { sha256: subject.digest.hex() },
                annotations: Annotations { kind: subject.kind },
            })
            .collect();
        let mut predicate = self.standard_fields();
        predicate.insert("maru".to_owned(), serde_json::to_value(&self.record).unwrap_or_default());
        let text = StatementText {
            kind: STATEMENT_TYPE.to_owned(),
            subject,
            predicate_type: self.kind.predicate_type().to_owned(),
            predicate,
        };
        canonical_json(&serde_json::to_value(text).unwrap_or_default()).into_bytes()
    }

    /// The fields that the predicate's own specification asks for.
    fn standard_fields(&self) -> Map<String, Value> {
        let record = &self.record;
        let fields = match self.kind {
            EvidenceKind::Test => {
                let names = |outcome: Outcome| -> Vec<&str> {
                    let cases = record.cases.iter().filter(|case| case.outcome == outcome);
                    cases.map(|case| case.name.as_str()).collect()
                };
                let result = match record.result.outcome {
                    Outcome::Met => "PASSED",
                    Outcome::Insufficient => "WARNED",
                    Outcome::Violated => "FAILED",
                };
                let configuration: Vec<Value> = record
                    .producer
                    .parameters
                    .iter()
                    .map(|digest| json!({"name": "parameters", "digest": {"sha256": digest.hex()}}))
                    .collect();
                json!({
                    "result": result, "configuration": configuration, "passedTests": names(Outcome::Met),
                    "warnedTests": names(Outcome::Insufficient), "failedTests": names(Outcome::Violated),
                })
            }
            _ => json!({}),
        };
        fields.as_object().cloned().unwrap_or_default()
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// When it is no statement that Maru makes.
    pub fn from_payload(payload: &[u8]) -> Result<Self, StatementError> {
        let malformed = |error: serde_json::Error| StatementError::Malformed(error.to_string());
        let text: StatementText<Predicate> = serde_json::from_slice(payload).map_err(malformed)?;
        if text.kind != STATEMENT_TYPE {
            return Err(StatementError::Type(text.kind.chars().take(80).collect()));
        }
        let kind = EvidenceKind::of_predicate(&text.predicate_type)
            .ok_or_else(|| StatementError::Predicate(text.predicate_type.chars().take(80).collect()))?;
        let record = text.predicate.maru;
        if record.window.to < record.window.from {
            return Err(StatementError::Window);
        }
        if text.subject.is_empty() {
            return Err(StatementError::NoSubject);
        }
        if text.subject.len() > SUBJECTS_MAX || record.cases.len() > CASES_MAX {
            return Err(StatementError::Malformed("it has too many subjects or cases".to_owned()));
        }
        let subjects = text
            .subject
            .into_iter()
            .map(|descriptor| {
                let digest = Digest::from_hex(&descriptor.digest.sha256)
                    .map_err(|error| StatementError::Malformed(error.to_string()))?;
                Ok(Subject { kind: descriptor.annotations.kind, name: descriptor.name, digest })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { kind, subjects, record })
    }

    /// Returns the id of the key that signs all records after this one, when this one says so.
    #[must_use]
    pub fn next_key(&self) -> Option<Digest> {
        let is_key = |subject: &&Subject| subject.kind == SubjectKind::Artifact && subject.name == KEY_NAME;
        self.subjects.iter().find(is_key).filter(|_| self.kind == EvidenceKind::Key).map(|subject| subject.digest)
    }

    /// Returns the specification of the object that indexes this statement's envelope.
    #[must_use]
    pub fn index(&self, envelope: Digest) -> EvidenceSpec {
        let record = &self.record;
        EvidenceSpec {
            envelope,
            predicate_type: self.kind.predicate_type().to_owned(),
            name: record.name.clone(),
            subjects: self.subjects.clone(),
            environment: record.environment.clone(),
            producer: record.producer.clone(),
            window: record.window,
            result: record.result.clone(),
            raw: record.raw,
            valid_until: record.valid_until,
            previous: record.previous,
        }
    }
}
