//! How artifacts came to be: in-toto statements with SLSA provenance 1, plain, in DSSE envelopes, or in Sigstore's bundles.
//!
//! Only a signature that was checked with a key that somebody named makes it count: anybody can write a statement.
//! Source: SLSA Provenance 1; in-toto Statement 1; DSSE 1.0.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;
use maru_api::{Digest, Measured, Outcome, Subject, SubjectKind, Window};
use serde::Deserialize;
use serde_json::Value;

use super::{Content, Format, REPORT_ITEMS_MAX, ReadError, Report, from_json, malformed, note, noted, too_many};
use crate::envelope::{PAYLOAD_TYPE, pre_authentication_encoding};
use crate::foreign::ForeignKey;
use crate::record::{Case, EvidenceKind, STATEMENT_TYPE};

const PREDICATE: &str = "https://slsa.dev/provenance/v1";
const STATEMENTS_MAX: usize = 10_000;

/// Statements about builds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Provenance(Vec<Build>);

#[derive(Debug, Clone, PartialEq)]
struct Build {
    artifacts: Vec<(String, Digest)>,
    builder: String,
    build_type: String,
    /// Git's ids of what it was built from.
    commits: Vec<String>,
    sources: Vec<String>,
    window: Option<Window>,
    signed: Signed,
}

#[derive(Debug, Clone, PartialEq)]
enum Signed {
    /// No envelope.
    Not,
    /// In an envelope whose signatures nobody checked.
    Unchecked { message: Vec<u8>, signatures: Vec<Vec<u8>> },
    /// By a key that was named.
    By(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Bundle {
        #[serde(rename = "dsseEnvelope")]
        envelope: Envelope,
    },
    Envelope(Envelope),
    Statement(Box<Statement>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    #[serde(default)]
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    sig: String,
}

#[derive(Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Descriptor>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Value,
}

#[derive(Deserialize)]
struct Descriptor {
    #[serde(default)]
    name: String,
    #[serde(default)]
    uri: String,
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Predicate {
    build_definition: Definition,
    run_details: Details,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    build_type: String,
    #[serde(default)]
    resolved_dependencies: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Details {
    builder: Builder,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Builder {
    id: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    started_on: Option<Timestamp>,
    #[serde(default)]
    finished_on: Option<Timestamp>,
}

fn wrong(why: impl std::fmt::Display) -> ReadError {
    malformed(Format::Provenance, why)
}

/// Both alphabets, padded or not: DSSE lets readers accept all of them.
fn decode(text: &str) -> Result<Vec<u8>, ReadError> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let of = |alphabet: &alphabet::Alphabet| GeneralPurpose::new(alphabet, config).decode(text);
    of(&alphabet::STANDARD).or_else(|_| of(&alphabet::URL_SAFE)).map_err(|error| wrong(format!("base64: {error}")))
}

pub(super) fn read(report: &[u8]) -> Result<Report, ReadError> {
    let mut builds = Vec::new();
    match serde_json::from_slice::<Value>(report) {
        Ok(_) => builds.push(build(report)?),
        // One statement a line.
        Err(error) => {
            let lines: Vec<&[u8]> =
                report.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).collect();
            if lines.len() < 2 {
                return Err(wrong(error));
            }
            if lines.len() > STATEMENTS_MAX {
                return Err(too_many(Format::Provenance, "statements"));
            }
            for line in lines {
                builds.push(build(line)?);
            }
        }
    }
    let windows: Vec<Window> = builds.iter().filter_map(|one| one.window).collect();
    let window = windows.iter().map(|one| one.from).min().zip(windows.iter().map(|one| one.to).max());
    let mut builders: Vec<&str> = builds.iter().map(|one| one.builder.as_str()).collect();
    builders.sort_unstable();
    builders.dedup();
    Ok(Report {
        kind: EvidenceKind::Provenance,
        tool: builders.join(", "),
        version: String::new(),
        window: window.map(|(from, to)| Window { from, to }),
        content: Content::Provenance(Provenance(builds)),
    })
}

fn build(line: &[u8]) -> Result<Build, ReadError> {
    let shape = |_: ReadError| wrong("neither an in-toto statement, nor a DSSE envelope, nor a bundle that holds one");
    let (statement, signed) = match from_json::<Line>(Format::Provenance, line).map_err(shape)? {
        Line::Statement(statement) => (*statement, Signed::Not),
        Line::Envelope(envelope) | Line::Bundle { envelope } => {
            if envelope.payload_type != PAYLOAD_TYPE {
                return Err(wrong(format!("the envelope holds \"{}\"", note(&envelope.payload_type))));
            }
            let payload = decode(&envelope.payload)?;
            let message = pre_authentication_encoding(&envelope.payload_type, &payload);
            let signatures = envelope.signatures.iter().map(|one| decode(&one.sig)).collect::<Result<Vec<_>, _>>()?;
            let signed = if signatures.is_empty() { Signed::Not } else { Signed::Unchecked { message, signatures } };
            (from_json(Format::Provenance, &payload)?, signed)
        }
    };
    statement.build(signed)
}

impl Statement {
    fn build(self, signed: Signed) -> Result<Build, ReadError> {
        if self.kind != STATEMENT_TYPE {
            return Err(wrong(format!("its type is \"{}\", not \"{STATEMENT_TYPE}\"", note(&self.kind))));
        }
        if self.predicate_type != PREDICATE {
            return Err(wrong(format!("its predicate is \"{}\"; \"{PREDICATE}\" is read", note(&self.predicate_type))));
        }
        let predicate: Predicate = serde_json::from_value(self.predicate).map_err(wrong)?;
        let (definition, details) = (predicate.build_definition, predicate.run_details);
        if details.builder.id.trim().is_empty() {
            return Err(wrong("it does not say who built"));
        }
        if self.subject.len() > REPORT_ITEMS_MAX {
            return Err(too_many(Format::Provenance, "subjects"));
        }
        let mut artifacts = Vec::new();
        for one in &self.subject {
            let name = if one.name.is_empty() { &one.uri } else { &one.name };
            let Some(digest) = one.digest.get("sha256") else {
                return Err(wrong(format!("the subject \"{}\" has no SHA-256", note(name))));
            };
            artifacts.push((name.clone(), Digest::from_hex(digest).map_err(wrong)?));
        }
        if artifacts.is_empty() {
            return Err(wrong("it is about nothing: it has no subject"));
        }
        let (mut commits, mut sources) = (Vec::new(), Vec::new());
        for one in &definition.resolved_dependencies {
            let id = one.digest.get("gitCommit").or_else(|| one.digest.get("sha1"));
            commits.extend(id.cloned());
            sources.extend(id.map(|_| one.uri.clone()).filter(|uri| !uri.is_empty()));
        }
        let window = details.metadata.started_on.zip(details.metadata.finished_on);
        if window.is_some_and(|(from, to)| to < from) {
            return Err(wrong("the build ends before it begins"));
        }
        Ok(Build {
            artifacts,
            builder: details.builder.id,
            build_type: definition.build_type,
            commits,
            sources,
            window: window.map(|(from, to)| Window { from, to }),
            signed,
        })
    }
}

impl Provenance {
    /// The builders.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.iter().map(|one| one.builder.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Believes what these keys signed; what they did not stays as it was.
    pub(super) fn trust(&mut self, keys: &[ForeignKey]) -> Result<(), ReadError> {
        for one in &mut self.0 {
            let Signed::Unchecked { message, signatures } = &one.signed else {
                return Err(wrong(format!("the statement about \"{}\" is not signed", one.artifact())));
            };
            let signer = keys.iter().find(|key| signatures.iter().any(|signature| key.has_signed(message, signature)));
            let Some(signer) = signer else {
                let about = one.artifact();
                return Err(wrong(format!(
                    "none of the named keys signed the statement about \"{about}\", or it was altered"
                )));
            };
            one.signed = Signed::By(signer.id());
        }
        Ok(())
    }

    fn of<'a>(&'a self, builder: &'a str) -> impl Iterator<Item = &'a Build> {
        // Under another name than a builder's, it is about all of them.
        let is_known = self.0.iter().any(|one| one.builder == builder);
        self.0.iter().filter(move |one| !is_known || one.builder == builder)
    }

    /// What the statements of a builder are about: what he made, and the commits that he made it from.
    pub(super) fn subjects(&self, builder: &str) -> Vec<Subject> {
        let mut subjects: Vec<Subject> = self
            .of(builder)
            .flat_map(|one| {
                let artifact = |(name, digest): &(String, Digest)| Subject {
                    kind: SubjectKind::Artifact,
                    name: name.clone(),
                    digest: *digest,
                };
                let commit = |id: &String| Subject {
                    kind: SubjectKind::Commit,
                    name: id.clone(),
                    digest: Digest::of(id.as_bytes()),
                };
                one.artifacts.iter().map(artifact).chain(one.commits.iter().map(commit)).collect::<Vec<_>>()
            })
            .collect();
        subjects.sort();
        subjects.dedup();
        subjects
    }

    pub(super) fn measure(&self, builder: &str) -> (Measured, Vec<Case>) {
        let cases: Vec<Case> = self.of(builder).map(Build::case).collect();
        let short = cases.iter().filter(|case| case.outcome != Outcome::Met).count();
        let result = if short == 0 {
            noted(Outcome::Met, format!("{} builds, signed", cases.len()))
        } else if self.0.iter().any(|one| one.signed == Signed::Not) {
            noted(Outcome::Insufficient, "it is not signed: nothing shows who wrote it")
        } else {
            noted(Outcome::Insufficient, "the signature was not checked: name the builder's public key with --key")
        };
        (result, cases)
    }
}

impl Build {
    fn artifact(&self) -> String {
        self.artifacts.first().map(|(name, _)| note(name)).unwrap_or_default()
    }

    fn case(&self) -> Case {
        let names: Vec<&str> = self.artifacts.iter().map(|(name, _)| name.as_str()).collect();
        let source = self.sources.first().map(|uri| format!(" from {uri}")).unwrap_or_default();
        let commit = self.commits.first().map(|id| format!(" at {id}")).unwrap_or_default();
        let (outcome, signed) = match &self.signed {
            Signed::By(key) => (Outcome::Met, format!("signed by key {key}")),
            Signed::Unchecked { .. } => (Outcome::Insufficient, "signature not checked".to_owned()),
            Signed::Not => (Outcome::Insufficient, "not signed".to_owned()),
        };
        let said = format!("{}{source}{commit}, {signed}", self.build_type);
        Case { name: note(&names.join(", ")), outcome, note: note(&said) }
    }
}
