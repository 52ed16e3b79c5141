//! The kinds of `maru.dev`: what their fields mean, as types and as schemas.
//!
//! Owns: Requirement, Evidence, Architecture, Project and their sisters; the CustomResourceDefinitions that serve them;
//! the stages of a project. Texts, quantities and canonical forms are those of `maru-requirements`.
//! Never: talks to a server, decides a verdict (see `maru-evidence`).
//! Source: OpenSLO 1.0 for `ServiceLevelObjective`; apiextensions.k8s.io/v1 for schemas.

mod architecture;
mod criterion;
mod definitions;
mod digest;
mod fingerprint;
mod glossary;
mod kinds;
mod method;
mod object;
mod requirement;
mod verify;

pub use architecture::{
    ArchitectureFinding, ArchitectureStatus, ChosenOption, ConflictSet, Feasibility, LeftOut, MeasuredNumber,
    RequirementNumber, SingleRelaxation,
};
pub use criterion::{Criterion, CriterionError, INDICATORS, Target};
pub use definitions::crds;
pub use digest::{Digest, DigestError};
pub use fingerprint::{FingerprintError, fingerprint_of};
pub use glossary::{Glossary, GlossarySpec, GlossaryTerm};
pub use kinds::{
    Approval, ApprovalSpec, ApprovalStatus, Approved, Architecture, ArchitectureSpec, Baseline, BaselineItem,
    BaselineSpec, BaselineStatus, Blocker, Call, Change, ChangeKind, Context, Culprit, Decision, Document,
    DocumentFile, DocumentSpec, DocumentStatus, DocumentType, Environment, EnvironmentSpec, EnvironmentStatus,
    Evidence, EvidenceSpec, EvidenceStatus, Gate, GateResult, GateSide, GateSpec, Measured, Model, ModelSpec, Origin,
    Producer, Project, ProjectEnvironment, ProjectPolicy, ProjectSpec, ProjectStatus, Relation, Service,
    ServiceLevelObjective, ServiceLevelObjectiveSpec, ServiceOption, Subject, SubjectKind, Term, Window, WorkItem,
    WorkItemSpec,
};
pub use maru_requirements::{
    Amount, Language, LocalText, Money, Per, Priority, QuantityError, Rate, Ratio, Source, Span, canonical_json,
    canonical_text,
};
pub use method::{GATE_VARIABLES, Method, MethodSpec, Phase, Stage};
pub use object::{Metadata, Object, Spec};
pub use requirement::{
    CheckStatus, Class, Link, LintFinding, Outcome, Requirement, RequirementSpec, RequirementStatus, Suspect, Verdict,
};
pub use verify::{Check, CheckError, Means};

/// The API group of all our kinds.
pub const GROUP: &str = "maru.dev";
/// The version of all our kinds.
pub const VERSION: &str = "v1alpha1";
/// The group and version as objects carry them.
pub const API_VERSION: &str = "maru.dev/v1alpha1";
