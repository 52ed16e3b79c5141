//! A person gives way: which requirement, how far, why; what stands in the way before and after.

use jiff::Timestamp;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use maru_api::{
    ArchitectureStatus, Criterion, Digest, Feasibility, Outcome, Producer, RequirementSpec, Span, Subject, SubjectKind,
    Window, canonical_json,
};
use maru_evidence::{Draft, EvidenceKind};
use maru_solver::{Limit, Relaxation};
use serde_json::{Value, json};

use super::bounds::decimal_percent;
use super::{Analysis, AnalysisError, Effort, Question, analyse};
use crate::control::resource;
use crate::desk::Desk;
use crate::desk_error::DeskError;
use crate::ledger::Appended;

/// So often a change is tried while others write statuses.
const CHANGE_TRIES: usize = 10;

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Another limit, as it is written: `120ms`, `99.5%`.
    Limit {
        /// The requirement.
        requirement: String,
        /// Which field of its criterion: `atMost`, `atLeast`, `atLoad`.
        field: &'static str,
        /// The limit.
        value: String,
    },
    /// One of the single relaxations that the analysis told, from 1.
    Relaxation(usize),
}

/// Who decides, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reasons {
    /// Who, when it is known.
    pub who: Option<String>,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

/// A decision before it is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The requirement.
    pub requirement: String,
    /// The field of its criterion.
    pub field: &'static str,
    /// What was written.
    pub before: String,
    /// What is written from now on.
    pub after: String,
    /// The requirement as it is from now on.
    pub spec: RequirementSpec,
    /// The fingerprint until now.
    pub fingerprint_before: Digest,
    /// The fingerprint from now on.
    pub fingerprint: Digest,
    /// What the analysis says from now on.
    pub outcome: Option<Feasibility>,
    /// What the record says, in whole.
    pub record: Value,
    /// What proves that something had to give way.
    pub certificate: Option<Vec<u8>>,
    who: Option<String>,
    at: Timestamp,
}

/// Why there is no decision.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecisionError {
    /// The architecture cannot be analysed.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// No requirement of that name.
    #[error("there is no requirement \"{0}\" with a criterion; \"maru analyze\" lists those that are analysed")]
    NoRequirement(String),
    /// No relaxation of that number.
    #[error("there is no relaxation {wanted}: \"maru analyze\" lists {found}")]
    NoRelaxation {
        /// What was asked for.
        wanted: usize,
        /// How many there are.
        found: usize,
    },
    /// A relaxation that helps nothing.
    #[error("relaxing {requirement} alone is not enough, whatever its limit")]
    NoUse {
        /// The requirement.
        requirement: String,
    },
    /// The criterion has no such limit.
    #[error("the criterion of \"{requirement}\" ({indicator}) has no {field}; it has {has}")]
    Field {
        /// The requirement.
        requirement: String,
        /// The criterion's indicator.
        indicator: &'static str,
        /// What was asked for.
        field: &'static str,
        /// What it has.
        has: String,
    },
    /// The value cannot be read.
    #[error("\"{value}\" cannot be the {field} of \"{requirement}\": {why}")]
    Value {
        /// The requirement.
        requirement: String,
        /// The field.
        field: &'static str,
        /// What was written.
        value: String,
        /// What is wrong.
        why: String,
    },
    /// Nothing changes.
    #[error("\"{requirement}\" asks for {value} already")]
    Same {
        /// The requirement.
        requirement: String,
        /// The value.
        value: String,
    },
}

/// Works a wish out: the changed requirement, what the analysis says then, and the record of it.
///
/// # Errors
/// When the wish names nothing, or a value that means nothing.
pub fn decide(
    question: &Question,
    analysis: &Analysis,
    wish: &Wish,
    reasons: &Reasons,
    effort: &Effort,
) -> Result<Decided, DecisionError> {
    let status = analysis.status();
    let (name, field, value) = match wish {
        Wish::Limit { requirement, field, value } => (requirement.clone(), *field, value.clone()),
        Wish::Relaxation(number) => relaxation(question, analysis, *number)?,
    };
    let found = question.requirements.iter().find(|(other, spec)| *other == name && spec.criterion.is_some());
    let (_, spec) = found.ok_or_else(|| DecisionError::NoRequirement(name.clone()))?;
    let (before, changed) = change(&name, spec, field, &value)?;
    let mut after = question.clone();
    if let Some((_, spec)) = after.requirements.iter_mut().find(|(other, _)| *other == name) {
        spec.clone_from(&changed);
    }
    let then = match analyse(&after, effort) {
        Ok(analysis) => analysis.status(),
        Err(_) => ArchitectureStatus::default(),
    };
    let mut record = json!({
        "kind": "maru.dev/decision/v1",
        "requirement": name,
        "field": format!("criterion.{field}"),
        "before": before,
        "after": value,
        "fingerprintBefore": spec.fingerprint(),
        "fingerprintAfter": changed.fingerprint(),
        "outcomeBefore": status.outcome,
        "outcomeAfter": then.outcome,
        "costAfter": then.cost,
        "conflicts": status.conflicts,
        "certificate": status.certificate,
        "offered": status.relaxations,
        "measured": status.measured,
        "why": reasons.why,
        "at": reasons.at,
    });
    if let Some(who) = &reasons.who {
        record["decidedBy"] = json!(who);
    }
    Ok(Decided {
        requirement: name,
        field,
        before,
        after: value,
        fingerprint_before: spec.fingerprint(),
        fingerprint: changed.fingerprint(),
        spec: changed,
        outcome: then.outcome,
        record,
        certificate: status.certificate.map(|_| analysis.certificate_blob()),
        who: reasons.who.clone(),
        at: reasons.at,
    })
}

/// Returns requirement, field and value of one of the relaxations that are told.
fn relaxation(
    question: &Question,
    analysis: &Analysis,
    number: usize,
) -> Result<(String, &'static str, String), DecisionError> {
    let told = || analysis.relaxations.iter().filter(|(_, relaxation)| !matches!(relaxation, Relaxation::Unknown(_)));
    let wanted = number.checked_sub(1).and_then(|at| told().nth(at));
    let Some((bound, relaxation)) = wanted else {
        return Err(DecisionError::NoRelaxation { wanted: number, found: told().count() });
    };
    let asked = &analysis.asked[*bound];
    let name = asked.requirement.clone();
    let limit = match relaxation {
        Relaxation::To { limit, .. } if !analysis.is_never(*bound, limit.value()) => *limit,
        _ => return Err(DecisionError::NoUse { requirement: name }),
    };
    let criterion =
        question.requirements.iter().find(|(other, _)| *other == name).and_then(|(_, spec)| spec.criterion.as_ref());
    let before = analysis.model.bounds[*bound].limit;
    let field = match criterion {
        Some(Criterion::Latency { .. }) if asked.what == "capacity" => "atLoad",
        Some(Criterion::Availability { .. } | Criterion::Throughput { .. }) => "atLeast",
        _ => "atMost",
    };
    Ok((name, field, written(asked.what, criterion, before, limit, &analysis.currency)))
}

/// Writes a limit of the model as a requirement has it; rounded so that it is not stricter.
fn written(what: &str, criterion: Option<&Criterion>, before: Limit, limit: Limit, currency: &str) -> String {
    let value = limit.value();
    let unsigned = u64::try_from(value).unwrap_or(0);
    match what {
        "cost" => format!("{} {currency}", millionths(value)),
        "availability" => format!("{}%", decimal_percent(super::bounds::NANO.saturating_sub(unsigned))),
        "capacity" => {
            // One request may visit a service several times: the load is a part of what the service must carry.
            let load = match criterion {
                Some(Criterion::Latency { at_load, .. }) => *at_load,
                Some(Criterion::Throughput { at_least, .. }) => Some(*at_least),
                _ => None,
            };
            let load = load.map_or(1, |load| i64::try_from(load.as_micro_per_second_ceil()).unwrap_or(i64::MAX));
            let visits = (before.value() / load.max(1)).max(1);
            format!("{}/s", millionths(value / visits))
        }
        _ => Span::from_nanos(unsigned).to_string(),
    }
}

fn millionths(value: i64) -> String {
    let text = format!("{}.{:06}", value / 1_000_000, value % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Changes one limit of a criterion; returns what was written.
pub(super) fn change(
    name: &str,
    spec: &RequirementSpec,
    field: &'static str,
    value: &str,
) -> Result<(String, RequirementSpec), DecisionError> {
    let Some(criterion) = &spec.criterion else { return Err(DecisionError::NoRequirement(name.to_owned())) };
    let mut fields = serde_json::to_value(criterion).unwrap_or_default();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let Some(before) = fields.get(field).map(text) else {
        let limits = ["atMost", "atLeast", "atLoad"].into_iter().filter(|limit| fields.get(*limit).is_some());
        let has: Vec<&str> = limits.collect();
        let has = if has.is_empty() { "no limit".to_owned() } else { has.join(" and ") };
        let indicator = criterion.indicator();
        return Err(DecisionError::Field { requirement: name.to_owned(), indicator, field, has });
    };
    fields[field] = value.into();
    let read: Criterion = serde_json::from_value(fields).map_err(|error| DecisionError::Value {
        requirement: name.to_owned(),
        field,
        value: value.to_owned(),
        why: error.to_string(),
    })?;
    if read == *criterion {
        return Err(DecisionError::Same { requirement: name.to_owned(), value: before });
    }
    Ok((before, RequirementSpec { criterion: Some(read), ..spec.clone() }))
}

impl Decided {
    /// Returns the record as it is stored.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        canonical_json(&self.record).into_bytes()
    }

    fn draft(&self) -> Draft {
        let subject =
            Subject { kind: SubjectKind::Requirement, name: self.requirement.clone(), digest: self.fingerprint };
        let mut result = maru_api::Measured::plain(Outcome::Met);
        let by = self.who.as_ref().map(|who| format!(" by {who}")).unwrap_or_default();
        result.notes = vec![format!("{} → {}{by}", self.before, self.after)];
        Draft {
            kind: EvidenceKind::Decision,
            subjects: vec![subject],
            name: format!("{}-{}", self.requirement, self.field),
            environment: None,
            producer: Producer {
                tool: "maru".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                parameters: None,
            },
            window: Window { from: self.at, to: self.at },
            result,
            cases: Vec::new(),
            raw: Some(Digest::of(&self.content())),
            valid_until: None,
        }
    }
}

impl Desk {
    /// Changes the requirement's object and records the decision: signed, in the project's chain.
    ///
    /// # Errors
    /// When the requirement changed meanwhile, or the record cannot be made.
    pub async fn record_decision(&self, decided: &Decided, now: Timestamp) -> Result<Appended, DeskError> {
        self.change_criterion(decided).await?;
        self.repair().await?;
        self.ledger().put(&decided.content())?;
        if let Some(certificate) = &decided.certificate {
            self.ledger().put(certificate)?;
        }
        self.record(decided.draft(), now).await
    }

    /// Writes the new limit, unless the requirement is another one by now.
    async fn change_criterion(&self, decided: &Decided) -> Result<(), DeskError> {
        let name = &decided.requirement;
        let refused = |source| DeskError::Api {
            action: format!("change requirement \"{name}\" of \"{}\"", self.name()),
            source: Box::new(source),
        };
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client().clone(), self.name(), &resource::<RequirementSpec>());
        // A status that is written in between changes the version too: then it is looked at again.
        for _ in 0..CHANGE_TRIES {
            let object = api.get(name).await.map_err(refused)?;
            let now: Option<RequirementSpec> =
                object.data.get("spec").cloned().and_then(|spec| serde_json::from_value(spec).ok());
            if now.as_ref().map(RequirementSpec::fingerprint) != Some(decided.fingerprint_before) {
                break;
            }
            let patch = json!({
                "metadata": {"resourceVersion": object.metadata.resource_version},
                "spec": {"criterion": {(decided.field): decided.after}},
            });
            match api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
                Ok(_) => return Ok(()),
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(source) => return Err(refused(source)),
            }
        }
        Err(DeskError::Changed { name: name.clone() })
    }
}
