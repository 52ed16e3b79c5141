//! What the analysis of an architecture found.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use maru_requirements::LocalText;

/// Whether the requirements can hold together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Feasibility {
    /// Some choice of options keeps all that was analysed.
    Feasible,
    /// No choice does: proven.
    Infeasible,
    /// The analysis was given up, or the architecture cannot be read. Never read as one of the others.
    Unknown,
}

/// What the analysis of an architecture found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ArchitectureStatus {
    /// The generation that was analysed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The digest of everything that the answer depends on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<Digest>,
    /// The answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Feasibility>,
    /// What the choice costs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cost: String,
    /// None is cheaper by more than this; none: none is cheaper.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// One line for people, in the project's language.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The line in both languages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_text: Option<LocalText>,
    /// The cheapest choice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choice: Vec<ChosenOption>,
    /// What the choice comes to, by requirement.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<RequirementNumber>,
    /// Minimal sets of requirements that cannot all hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<ConflictSet>,
    /// Whether there are no others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete: Option<bool>,
    /// What relaxing one requirement alone would do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relaxations: Vec<SingleRelaxation>,
    /// How far the less important gives way until all can hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_priority: Vec<SingleRelaxation>,
    /// What the cheapest choice costs then.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cost_by_priority: String,
    /// The blob with the model and the certificates: another program can check the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Digest>,
    /// Numbers that evidence put in the place of estimates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measured: Vec<MeasuredNumber>,
    /// Requirements that the architecture has no numbers for, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_analysed: Vec<LeftOut>,
    /// What is wrong with the architecture itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<ArchitectureFinding>,
}

/// The option that is chosen for a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChosenOption {
    /// The service.
    pub service: String,
    /// The option.
    pub option: String,
    /// What it costs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cost: String,
}

/// What a choice comes to for one requirement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequirementNumber {
    /// The requirement.
    pub requirement: String,
    /// What is bounded: `latency`, `availability`, `capacity`, `cost`, `recoveryPoint`, `recoveryTime`.
    pub what: String,
    /// The service, when it is about one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What is asked: `at most 300 ms`.
    pub asked: String,
    /// What the choice comes to.
    pub reached: String,
}

/// Requirements that cannot all hold, while any of them can be left out to make the rest hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConflictSet {
    /// The requirements.
    pub requirements: Vec<String>,
    /// Whether the set is known to be minimal.
    pub minimal: bool,
    /// The bounds in plain words, those of many services in one row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<LocalText>,
}

/// What relaxing one requirement alone would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SingleRelaxation {
    /// The requirement.
    pub requirement: String,
    /// What is bounded.
    pub what: String,
    /// The service, when it is about one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What is asked now.
    pub now: String,
    /// The strictest value with which all can hold; none: no value of it alone is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// None is enough that is stricter by more than this; none: this is the strictest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
}

/// A number that evidence put in the place of an estimate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MeasuredNumber {
    /// The service.
    pub service: String,
    /// The option that runs.
    pub option: String,
    /// Which number: `latency p99.9`, `availability`, `capacity`.
    pub number: String,
    /// The number as it was measured.
    pub value: String,
    /// What stood there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<String>,
    /// The requirement whose check asked for the measurement.
    pub requirement: String,
    /// The evidence. A measurement that was not used has none and says why in `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Digest>,
}

/// A requirement that was left out of the analysis.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// The requirement.
    pub requirement: String,
    /// Why.
    pub why: LocalText,
}

/// Something wrong with an architecture.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchitectureFinding {
    /// The rule: `shared-database`, `unknown-service`, `cycle`, `no-options` …
    pub rule: String,
    /// `error` or `warning`.
    pub severity: String,
    /// The services that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// What is wrong.
    pub message: LocalText,
    /// What to do.
    pub fix: LocalText,
}
