//! Readers of what tools write: bytes in, a report out, and from a report what it says about a criterion.
//!
//! Hostile input is expected: sizes, counts and nesting are bounded, XML has no document types, nothing is unpacked.

mod approval;
mod cyclonedx;
mod drill;
mod experiment;
mod install;
mod junit;
mod k6;
mod load;
mod provenance;
mod sarif;
mod slo;
mod survey;
mod wrk;
mod xml;

use jiff::Timestamp;
use maru_api::{Criterion, Digest, Means, Measured, Outcome, Producer, Subject, SubjectKind, Window};
use maru_requirements::decode;
use serde::de::DeserializeOwned;

use crate::foreign::ForeignKey;
use crate::judge::judge;
use crate::record::{Case, Draft, EvidenceKind};

/// The most bytes that a report may have.
pub const REPORT_BYTES_MAX: usize = 64 << 20;
/// The most cases, results or parts that a report may have.
pub const REPORT_ITEMS_MAX: usize = 200_000;
const NOTE_CHARS_MAX: usize = 300;

/// What wrote a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Format {
    /// JUnit's XML.
    Junit,
    /// SARIF 2.1.
    Sarif,
    /// CycloneDX 1, JSON.
    CycloneDx,
    /// k6's summary, JSON.
    K6,
    /// wrk's text.
    Wrk,
    /// Maru's own summary of a run of load, JSON.
    Load,
    /// A window of a service level objective, JSON.
    SloWindow,
    /// A drill, JSON.
    Drill,
    /// An `Approval` object, JSON.
    Approval,
    /// A survey of what is there: our own form, a register as CSV, or Ansible's inventory.
    Survey,
    /// An installation with its time, YAML or JSON.
    Install,
    /// A proof of concept against its criteria, YAML or JSON.
    Experiment,
    /// SLSA provenance 1: in-toto statements, in DSSE envelopes or not.
    Provenance,
}

const FORMATS: [(Format, &str); 13] = [
    (Format::Junit, "junit"),
    (Format::Sarif, "sarif"),
    (Format::CycloneDx, "cyclonedx"),
    (Format::K6, "k6"),
    (Format::Wrk, "wrk"),
    (Format::Load, "load"),
    (Format::SloWindow, "slo-window"),
    (Format::Drill, "drill"),
    (Format::Approval, "approval"),
    (Format::Survey, "survey"),
    (Format::Install, "install"),
    (Format::Experiment, "experiment"),
    (Format::Provenance, "provenance"),
];

impl Format {
    /// Returns the name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        FORMATS.iter().find(|(format, _)| *format == self).map_or("", |(_, name)| name)
    }

    /// Returns the format of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        FORMATS.iter().find(|(_, known)| *known == name).map(|(format, _)| *format)
    }

    /// Guesses what wrote a report from its first bytes.
    #[must_use]
    pub fn guess(report: &[u8]) -> Option<Self> {
        const HEAD_BYTES: usize = 64 << 10;
        let head = String::from_utf8_lossy(report.get(..HEAD_BYTES).unwrap_or(report));
        let head = head.trim_start_matches('\u{feff}').trim_start();
        if head.starts_with('<') {
            // XML of CycloneDX is refused by its reader, which says what to ask of the tool.
            let marks = [("<testsuite", Self::Junit), ("cyclonedx.org/schema/bom", Self::CycloneDx)];
            return marks.iter().find(|(mark, _)| head.contains(mark)).map(|(_, format)| *format);
        }
        if head.starts_with("Running ") && head.contains(" test @ ") {
            return Some(Self::Wrk);
        }
        let own = [
            ("maru.dev/survey/v1", Self::Survey),
            ("maru.dev/install/v1", Self::Install),
            ("maru.dev/experiment/v1", Self::Experiment),
        ];
        if let Some((_, format)) = own.iter().find(|(mark, _)| head.contains(mark)) {
            return Some(*format);
        }
        if !head.starts_with('{') {
            return None;
        }
        let marks = [
            ("\"https://slsa.dev/provenance/v1\"", Self::Provenance),
            ("\"application/vnd.in-toto+json\"", Self::Provenance),
            ("\"hostvars\"", Self::Survey),
            ("\"CycloneDX\"", Self::CycloneDx),
            ("\"maru.dev/load/v1\"", Self::Load),
            ("\"maru.dev/slo-window/v1\"", Self::SloWindow),
            ("\"maru.dev/drill/v1\"", Self::Drill),
            ("\"decision\"", Self::Approval),
            ("\"http_reqs\"", Self::K6),
            ("\"runs\"", Self::Sarif),
        ];
        marks.iter().find(|(mark, _)| head.contains(mark)).map(|(_, format)| *format)
    }
}

/// Why a report cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Too long.
    #[error("the {format} report has {bytes} bytes; at most {REPORT_BYTES_MAX} are read")]
    TooLong {
        /// The format.
        format: &'static str,
        /// How long it is.
        bytes: usize,
    },
    /// Too many of something.
    #[error("the {format} report has more than {REPORT_ITEMS_MAX} {what}")]
    TooMany {
        /// The format.
        format: &'static str,
        /// Of what.
        what: &'static str,
    },
    /// Not the format that it should be.
    #[error("the report is no {format}: {why}")]
    Malformed {
        /// The format.
        format: &'static str,
        /// Where and what.
        why: String,
    },
    /// A key was named for a report that carries no signature.
    #[error("a report of the kind {kind} carries no signature that a key could check; leave the key out")]
    Unsigned {
        /// The kind.
        kind: &'static str,
    },
}

fn malformed(format: Format, why: impl std::fmt::Display) -> ReadError {
    ReadError::Malformed { format: format.name(), why: why.to_string() }
}

fn too_many(format: Format, what: &'static str) -> ReadError {
    ReadError::TooMany { format: format.name(), what }
}

/// A report that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What evidence it becomes.
    pub kind: EvidenceKind,
    /// Which tool wrote it.
    pub tool: String,
    /// The tool's version, where the report says it.
    pub version: String,
    /// When it was measured, where the report says it.
    pub window: Option<Window>,
    content: Content,
}

#[derive(Debug, Clone, PartialEq)]
enum Content {
    Tests(Vec<junit::Suite>),
    Scan(sarif::Scan),
    Parts(cyclonedx::Parts),
    Load(load::Run),
    Slo(slo::SloWindow),
    Drill(drill::Drill),
    Approval(maru_api::ApprovalSpec),
    Survey(survey::Survey),
    Install(install::Install),
    Experiment(experiment::Experiment),
    Provenance(provenance::Provenance),
}

/// Reads a report.
///
/// # Errors
/// When it is too large, or not of that format. Never panics, whatever the bytes.
pub fn read(format: Format, report: &[u8]) -> Result<Report, ReadError> {
    if report.len() > REPORT_BYTES_MAX {
        return Err(ReadError::TooLong { format: format.name(), bytes: report.len() });
    }
    match format {
        Format::Junit => junit::read(report),
        Format::Sarif => sarif::read(report),
        Format::CycloneDx => cyclonedx::read(report),
        Format::K6 => k6::read(report),
        Format::Wrk => wrk::read(report),
        Format::Load => load::read(report),
        Format::SloWindow => slo::read(report),
        Format::Drill => drill::read(report),
        Format::Approval => approval::read(report),
        Format::Survey => survey::read(report),
        Format::Install => install::read(report),
        Format::Experiment => experiment::read(report),
        Format::Provenance => provenance::read(report),
    }
}

/// What a report is about, where it does not say it itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Circumstances {
    /// What a check asks for it by; none: as the report says.
    pub name: Option<String>,
    /// What it is about.
    pub subjects: Vec<Subject>,
    /// Where it was measured.
    pub environment: Option<String>,
    /// The digest of the parameters that the tool ran with.
    pub parameters: Option<Digest>,
    /// When, where the report does not say it.
    pub window: Window,
    /// Until when it counts.
    pub valid_until: Option<Timestamp>,
    /// The confidence that bounds must have.
    pub confidence: f64,
}

impl Report {
    /// Returns the names under which checks can ask for parts of this report: suites, the objective, the tool …
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match &self.content {
            Content::Tests(suites) => {
                let mut names: Vec<String> = suites.iter().map(|suite| suite.name.clone()).collect();
                names.sort();
                names.dedup();
                names
            }
            Content::Scan(_) | Content::Parts(_) => vec![self.tool.clone()],
            Content::Load(run) => run.scenario.iter().cloned().collect(),
            Content::Slo(window) => vec![window.objective.clone()],
            Content::Drill(drill) => vec![drill.scenario.clone()],
            Content::Approval(approval) => vec![approval.role.clone()],
            Content::Survey(survey) => survey.name.iter().cloned().collect(),
            Content::Install(install) => vec![install.name.clone()],
            Content::Experiment(experiment) => vec![experiment.name.clone()],
            Content::Provenance(provenance) => provenance.names(),
        }
    }

    /// Tells whether the report is worth recording although no requirement asks for it: stages of the project do.
    #[must_use]
    pub fn is_of_project(&self) -> bool {
        matches!(
            self.content,
            Content::Survey(_) | Content::Install(_) | Content::Experiment(_) | Content::Provenance(_)
        )
    }

    /// Returns what the report is about by itself, beside what runs and what asks for it: a survey, an installation and an
    /// experiment are about themselves; a provenance is about what was built, and from which commits.
    #[must_use]
    pub fn subjects(&self, name: &str, raw: &[u8]) -> Vec<Subject> {
        match &self.content {
            Content::Provenance(provenance) => provenance.subjects(name),
            _ if self.is_of_project() => {
                vec![Subject { kind: SubjectKind::Artifact, name: name.to_owned(), digest: Digest::of(raw) }]
            }
            _ => Vec::new(),
        }
    }

    /// Checks the signatures inside of the report: only what these keys signed counts.
    ///
    /// # Errors
    /// When this kind of report is not signed, or by none of the keys.
    pub fn trust(&mut self, keys: &[ForeignKey]) -> Result<(), ReadError> {
        match &mut self.content {
            Content::Provenance(provenance) => provenance.trust(keys),
            _ => Err(ReadError::Unsigned { kind: self.kind.word() }),
        }
    }

    /// Returns what the report says about a criterion, with bounds at a confidence; `name` chooses the suite of tests.
    #[must_use]
    pub fn measure(&self, name: &str, criterion: Option<&Criterion>, confidence: f64) -> (Measured, Vec<Case>) {
        let (mut result, cases, means) = match &self.content {
            Content::Tests(suites) => {
                let (result, cases) = junit::measure(suites, name);
                (result, cases, Means::Test { suite: name.to_owned(), case: None })
            }
            Content::Scan(scan) => {
                let (result, cases) = scan.measure();
                (result, cases, Means::Scan(name.to_owned()))
            }
            Content::Parts(parts) => {
                let (result, cases) = parts.measure(criterion);
                (result, cases, Means::Bom(name.to_owned()))
            }
            Content::Load(run) => (run.measure(criterion, confidence), Vec::new(), Means::Load(name.to_owned())),
            Content::Slo(window) => (window.measure(confidence), Vec::new(), Means::Slo(name.to_owned())),
            Content::Drill(drill) => {
                let (result, cases) = drill.measure(criterion);
                (result, cases, Means::Drill(name.to_owned()))
            }
            Content::Approval(approval) => {
                (approval::measure(approval), Vec::new(), Means::Approval { role: name.to_owned() })
            }
            Content::Survey(survey) => {
                let (result, cases) = survey.measure();
                (result, cases, Means::Survey(name.to_owned()))
            }
            Content::Install(install) => {
                let (result, cases) = install.measure();
                (result, cases, Means::Install(name.to_owned()))
            }
            Content::Experiment(experiment) => {
                let (result, cases) = experiment.measure();
                (result, cases, Means::Experiment(name.to_owned()))
            }
            Content::Provenance(provenance) => {
                let (result, cases) = provenance.measure(name);
                (result, cases, Means::Provenance(name.to_owned()))
            }
        };
        result.outcome = judge(criterion, &means, &result, &cases, confidence).outcome;
        (result, cases)
    }

    /// Makes the report into evidence about a criterion.
    #[must_use]
    pub fn draft(&self, raw: &[u8], criterion: Option<&Criterion>, circumstances: Circumstances) -> Draft {
        let name = circumstances.name.or_else(|| self.names().into_iter().next()).unwrap_or_default();
        let (result, cases) = self.measure(&name, criterion, circumstances.confidence);
        Draft {
            kind: self.kind,
            subjects: circumstances.subjects,
            name,
            environment: circumstances.environment,
            producer: Producer {
                tool: self.tool.clone(),
                version: self.version.clone(),
                parameters: circumstances.parameters,
            },
            window: self.window.unwrap_or(circumstances.window),
            result,
            cases,
            raw: Some(Digest::of(raw)),
            valid_until: circumstances.valid_until,
        }
    }
}

fn from_json<T: DeserializeOwned>(format: Format, report: &[u8]) -> Result<T, ReadError> {
    let report = report.strip_prefix("\u{feff}".as_bytes()).unwrap_or(report);
    serde_json::from_slice(report).map_err(|error| malformed(format, error))
}

/// Returns the text of a report that people write: UTF-8, UTF-16 or EUC-KR.
fn text_of(format: Format, report: &[u8]) -> Result<String, ReadError> {
    let (text, _) = decode(report).map_err(|(line, why)| malformed(format, format!("line {line}: {why}")))?;
    Ok(text)
}

/// Reads what people write: JSON, or YAML without anchors.
fn written<T: DeserializeOwned>(format: Format, text: &str) -> Result<T, ReadError> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| malformed(format, error));
    }
    let node = maru_yaml::parse(text)
        .map_err(|error| malformed(format, format!("line {}: {}", error.at.line, error.message)))?;
    serde_json::from_value(node.to_value()).map_err(|error| malformed(format, error))
}

/// Cuts a tool's words to what fits into a note.
fn note(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().filter(|letter| !letter.is_control()).take(NOTE_CHARS_MAX).collect()
}

/// Returns an outcome with a note.
fn noted(outcome: Outcome, text: impl Into<String>) -> Measured {
    Measured { notes: vec![text.into()], ..Measured::plain(outcome) }
}

#[cfg(test)]
mod tests;
