//! The other kinds of the spine: evidence, architecture, project, gates, baselines, documents, work, environments.
//!
//! Long because it is a list of small types, one a kind, that are read beside each other.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::architecture::ArchitectureStatus;
use crate::digest::Digest;
use crate::object::{Object, Spec};
use crate::requirement::Outcome;
use maru_requirements::{Language, LocalText};
use maru_requirements::{Money, Rate, Ratio, Span};

macro_rules! kind {
    ($(#[$meta:meta])* $alias:ident = $spec:ident, $plural:literal, $status:ty) => {
        $(#[$meta])*
        pub type $alias = Object<$spec>;

        impl Spec for $spec {
            const KIND: &'static str = stringify!($alias);
            const PLURAL: &'static str = $plural;
            type Status = $status;
        }
    };
}

/// What is seen of a subject when evidence is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SubjectKind {
    /// A container image, by its manifest's digest.
    Image,
    /// The configuration that runs: the digest of its objects.
    Configuration,
    /// A commit. Git's own id stands in the name; the digest is of that id.
    Commit,
    /// A requirement, by its fingerprint.
    Requirement,
    /// The machines and settings of an environment.
    Environment,
    /// A file that was handed over.
    Artifact,
}

impl SubjectKind {
    /// Tells whether this is something that runs, and so may be another one now.
    #[must_use]
    pub fn is_system(self) -> bool {
        matches!(self, Self::Image | Self::Configuration | Self::Environment)
    }
}

/// What a piece of evidence is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// What it is.
    pub kind: SubjectKind,
    /// Its name: the component, the requirement, the environment.
    pub name: String,
    /// Its digest; of a requirement, the fingerprint.
    #[serde(alias = "fingerprint")]
    pub digest: Digest,
}

/// Which tool saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Producer {
    /// The tool: `junit`, `k6`, `maru` …
    pub tool: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The digest of the parameters that it ran with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Digest>,
}

/// The time in which something was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// The first moment.
    pub from: Timestamp,
    /// The last moment.
    pub to: Timestamp,
}

/// What was measured: the outcome, the value, and between which numbers it lies with which confidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// What it came to, as the producer saw it. The verdict judges the interval again where the criterion has a number.
    pub outcome: Outcome,
    /// The value, in the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The lowest value that is believable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The highest value that is believable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// The confidence of each bound: the value is at least `low` with it, and at most `high` with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// How many were looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// The unit of the value: `ratio` (of what is good), `seconds`, `perSecond`, or as the criterion writes it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// Of a ratio of requests in time: which time, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Of a latency: which quantile it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<f64>,
    /// The load under which it was measured, in requests a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// What people should know: the first failures, the missing licence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Measured {
    /// Returns an outcome without numbers.
    #[must_use]
    pub fn plain(outcome: Outcome) -> Self {
        Self {
            outcome,
            value: None,
            low: None,
            high: None,
            confidence: None,
            samples: None,
            unit: String::new(),
            threshold: None,
            quantile: None,
            load: None,
            notes: Vec::new(),
        }
    }
}

/// The index of one signed envelope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceSpec {
    /// The envelope's digest.
    pub envelope: Digest,
    /// Which kind of predicate it has.
    pub predicate_type: String,
    /// What it is called: the objective, the suite, the role, the scenario. A check asks for it by this name.
    #[serde(default)]
    pub name: String,
    /// What it is about.
    pub subjects: Vec<Subject>,
    /// Where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Who measured.
    pub producer: Producer,
    /// When.
    pub window: Window,
    /// What came out.
    pub result: Measured,
    /// The report as the tool wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Digest>,
    /// Until when it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// The record before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
}

/// Whether an envelope still stands up to being checked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceStatus {
    /// Whether signature, digest and place in the chain are right.
    pub verified: bool,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The place in the chain, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}

kind! {
    /// A piece of evidence.
    Evidence = EvidenceSpec, "evidence", EvidenceStatus
}

/// Whether a number was thought or measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// Thought.
    #[default]
    Estimate,
    /// Measured, by evidence.
    Measured,
}

/// One way to run a service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceOption {
    /// Its name.
    pub name: String,
    /// The class of machine.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// How many copies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// How many of them must be up to carry the load; none: one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<u32>,
    /// The availability of one copy, or of all when there is no number of copies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<Ratio>,
    /// The share of one copy's failures that take all copies down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_cause: Option<Ratio>,
    /// Latencies by quantile: `p99`, `p999`.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub latency: std::collections::BTreeMap<String, Span>,
    /// The load that it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Rate>,
    /// What it costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// The longest data loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_point: Option<Span>,
    /// The longest outage until it is recovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_time: Option<Span>,
    /// Whether the numbers were thought or measured.
    #[serde(default)]
    pub from: Origin,
    /// By which evidence they were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Digest>,
}

/// What a service calls.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// The other service.
    pub to: String,
    /// `request` or `event`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub per: String,
    /// Whether the caller fails when the call fails.
    #[serde(default)]
    pub critical: bool,
    /// How many calls for one request; none: one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

/// A service of the architecture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its bounded context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Its own database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// What it calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Call>,
    /// The ways to run it; one is chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<ServiceOption>,
    /// The option that runs now, which measurements are about; none: the only one, or the one with as many copies as run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<String>,
}

/// A bounded context.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Context {
    /// Its name.
    pub name: String,
    /// The team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The words that have a meaning in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<String>,
    /// Its relations to other contexts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<Relation>,
}

/// A relation between contexts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Relation {
    /// The other context.
    pub to: String,
    /// `partnership`, `customer-supplier`, `conformist` …
    #[serde(rename = "type", default)]
    pub kind: String,
}

/// The services of a system and how they could run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchitectureSpec {
    /// Bounded contexts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contexts: Vec<Context>,
    /// Services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
}

kind! {
    /// The services of a system and how they could run.
    Architecture = ArchitectureSpec, "architectures", ArchitectureStatus
}

/// An environment of a project, and its namespace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectEnvironment {
    /// Its name: `dev`, `test`, `prod`.
    pub name: String,
    /// Its namespace; none: the project's name and the environment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

fn is_empty_text(text: &LocalText) -> bool {
    [Language::Ko, Language::En].iter().all(|language| text.get(*language).is_empty())
}

/// What a project is for, and by which rules it is judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectSpec {
    /// Its name for people.
    #[serde(default)]
    pub title: LocalText,
    /// What is reached when it is done.
    #[serde(default)]
    pub goal: LocalText,
    /// Whose project it is; stands on covers.
    #[serde(default, skip_serializing_if = "is_empty_text")]
    pub organisation: LocalText,
    /// Who writes its documents; stands on covers.
    #[serde(default, skip_serializing_if = "is_empty_text")]
    pub author: LocalText,
    /// The language of reasons and documents.
    #[serde(default)]
    pub language: Language,
    /// The stage definition: the name of a `Method` in the project's namespace; empty: the one that Maru has.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// Its environments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<ProjectEnvironment>,
    /// The confidence that intervals must have; none: 95 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Ratio>,
    /// How long evidence counts that does not say it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_valid_for: Option<Span>,
    /// What is asked for before something counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<ProjectPolicy>,
}

/// What a project asks for before something counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectPolicy {
    /// The role that approves each baseline after the first; none: nobody has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes_approved_by: Option<String>,
}

/// How far a project is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectStatus {
    /// The first stage whose exit gate is closed; `done` when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stage: String,
    /// How many requirements conform.
    #[serde(default)]
    pub conforming: u64,
    /// How many do not.
    #[serde(default)]
    pub nonconforming: u64,
    /// How many are not measured.
    #[serde(default)]
    pub not_measured: u64,
    /// The last record of the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_head: Option<Digest>,
    /// How many records the chain has.
    #[serde(default)]
    pub chain_length: u64,
    /// The id of the key that signs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key_id: String,
    /// The gates, and what blocks them.
    #[serde(default)]
    pub gates: Vec<GateResult>,
    /// The last baseline.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub baseline: String,
    /// How many requirements are another than in the last baseline.
    #[serde(default)]
    pub change_count: u64,
    /// Requirements that are another than in the last baseline, the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// What is wrong with the project itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

kind! {
    /// A project: one namespace of requirements, evidence and documents.
    Project = ProjectSpec, "projects", ProjectStatus
}

/// An objective as OpenSLO 1 writes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServiceLevelObjectiveSpec(pub Value);

kind! {
    /// An objective for a service.
    ServiceLevelObjective = ServiceLevelObjectiveSpec, "servicelevelobjectives", Value
}

/// One condition of a gate, in the Common Expression Language.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Term {
    /// Must be true. Sees `requirements`, `evidence`, `approvals`, `objects`.
    pub expression: String,
    /// What is said when it is not.
    pub message: LocalText,
    /// Commands that help: `{project}` and, once for each object that makes the term fail, `{name}` are filled in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unblock: Vec<String>,
}

/// Which side of a stage a gate guards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GateSide {
    /// Before the stage begins.
    Entry,
    /// Before the stage ends.
    #[default]
    Exit,
}

/// Conditions on entering or leaving a stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateSpec {
    /// The stage's id.
    pub stage: String,
    /// Which side.
    #[serde(default)]
    pub side: GateSide,
    /// The conditions; all must hold.
    pub terms: Vec<Term>,
}

/// What blocks a gate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateResult {
    /// The gate: `<stage>/<side>`.
    pub gate: String,
    /// Whether it lets pass.
    pub open: bool,
    /// What is missing, in one line and the project's language; empty when it is open.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The terms that fail.
    #[serde(default)]
    pub blocked: Vec<Blocker>,
}

/// An object that makes a term fail.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Culprit {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// A term that fails.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blocker {
    /// The `Gate` object that has the term; none: the method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The expression.
    pub expression: String,
    /// What is said.
    pub message: LocalText,
    /// What is wrong with the expression itself, with its place: such a term keeps the gate closed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// The objects that make it fail, the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Culprit>,
    /// How many objects make it fail.
    #[serde(default)]
    pub count: u64,
    /// What would open it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unblock: Vec<String>,
}

kind! {
    /// Conditions on entering or leaving a stage.
    Gate = GateSpec, "gates", GateResult
}

/// What an approval is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approved {
    /// The object's kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its fingerprint or digest when it was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Digest>,
}

/// What a person decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Decision {
    /// Accepted.
    Approved,
    /// Refused.
    Rejected,
}

/// A person's word on something, at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalSpec {
    /// In which role.
    pub role: String,
    /// Who: the user that the API server authenticated, which admission fills in.
    #[serde(default)]
    pub by: String,
    /// About what.
    pub of: Vec<Approved>,
    /// What was decided.
    pub decision: Decision,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// When; none: when the object was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// Which evidence an approval became.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalStatus {
    /// The envelope's digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Digest>,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

kind! {
    /// A person's word.
    Approval = ApprovalSpec, "approvals", ApprovalStatus
}

/// What became of something since a baseline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It says something else.
    #[default]
    Changed,
    /// It is gone.
    Removed,
}

/// A requirement that is another than in a baseline.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What became of it.
    pub change: ChangeKind,
    /// The object's kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What it was in the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Digest>,
    /// What it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Digest>,
    /// What derives from it: requirements that want a review.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub impacts: Vec<String>,
}

/// An object as a baseline holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BaselineItem {
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// Its fingerprint or digest.
    pub fingerprint: Digest,
}

/// A state of the project that was agreed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BaselineSpec {
    /// Its name for people.
    #[serde(default)]
    pub title: LocalText,
    /// The baseline before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// Why it differs from the one before it.
    #[serde(default)]
    pub change: LocalText,
    /// What it holds; empty when made: everything as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<BaselineItem>,
}

/// A baseline's signature.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BaselineStatus {
    /// The signed content's digest: from this blob documents are made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Digest>,
    /// The envelope's digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<Digest>,
    /// When it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The digest of what it holds: each object's kind, name and fingerprint. Approvals are about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Digest>,
    /// The baseline before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// How many requirements it holds.
    #[serde(default)]
    pub requirements: u64,
    /// How many requirements are another than in the one before it.
    #[serde(default)]
    pub change_count: u64,
    /// Requirements that are another than in the one before it, the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Why it was not taken yet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

kind! {
    /// A state of the project that was agreed and signed.
    Baseline = BaselineSpec, "baselines", BaselineStatus
}

/// Which document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DocumentType {
    /// 요구사항 정의서
    RequirementsDefinition,
    /// 추적표
    TraceabilityMatrix,
    /// 시험 결과서
    TestResult,
    /// 감리 대응표
    AuditMatrix,
}

/// A document that is made of the project's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentSpec {
    /// Which document.
    #[serde(rename = "type")]
    pub kind: DocumentType,
    /// Its language.
    #[serde(default)]
    pub language: Language,
    /// Of which baseline; none: of now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// In which formats: html, pdf, docx, xlsx, hwpx.
    #[serde(default)]
    pub formats: Vec<String>,
}

/// A file of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentFile {
    /// The format.
    pub format: String,
    /// The content's digest.
    pub digest: Digest,
    /// How long it is.
    pub bytes: u64,
}

/// The files that were made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentStatus {
    /// The files.
    #[serde(default)]
    pub files: Vec<DocumentFile>,
    /// The digest of what they were made from; of a baseline, its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Digest>,
    /// When they were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

kind! {
    /// A document that is made of the project's state.
    Document = DocumentSpec, "documents", DocumentStatus
}

/// A conceptual model as text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelSpec {
    /// The file's name: its ending says whether it is one diagram, or Markdown with some.
    pub file: String,
    /// The text, with its front matter.
    pub text: String,
}

kind! {
    /// A conceptual model as text.
    Model = ModelSpec, "models", Value
}

/// Something to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkItemSpec {
    /// What.
    pub title: LocalText,
    /// `story`, `task` or `bug`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// What it serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requirements: Vec<String>,
    /// Who does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// In which sprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sprint: Option<String>,
    /// `todo`, `doing` or `done`, as a person sees it.
    #[serde(default)]
    pub state: String,
    /// The commits that did it, as git names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commits: Vec<String>,
}

kind! {
    /// Something to do.
    WorkItem = WorkItemSpec, "workitems", Value
}

impl WorkItem {
    /// Tells whether it is done for a requirement.
    #[must_use]
    pub fn serves(&self, requirement: &str) -> bool {
        self.spec.requirements.iter().any(|name| name == requirement)
    }
}

/// A place where the system runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentSpec {
    /// The namespace where it runs.
    pub namespace: String,
    /// `development`, `test` or `production`.
    #[serde(default)]
    pub purpose: String,
    /// What is said about it.
    #[serde(default)]
    pub description: LocalText,
}

/// What runs there now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentStatus {
    /// Images and configurations that run now.
    #[serde(default)]
    pub subjects: Vec<Subject>,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

kind! {
    /// A place where the system runs.
    Environment = EnvironmentSpec, "environments", EnvironmentStatus
}
