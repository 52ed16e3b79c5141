//! The kinds of `maru.dev`: verdicts are found and never typed, evidence and baselines never change, terms of gates are CEL.

use maru_api::GATE_VARIABLES;
use maru_cel::Expression;
use maru_kube::FieldError;
use serde_json::Value;

use super::{Context, approvals};
use crate::errors::{ApiError, issue};
use crate::meta;
use crate::write::Part;

const GROUP: &str = "maru.dev";
/// Users that exist in this process only: no certificate, token or impersonation makes one.
const ROOMS: &str = "system:maru:";
/// The room that finds verdicts.
const PROCESS: &str = "system:maru:process";
/// Kinds whose status only that room writes.
const FOUND: &[&str] =
    &["requirements", "evidence", "gates", "baselines", "projects", "approvals", "documents", "architectures"];

/// The room that judges objectives.
const ASSURANCE: &str = "system:maru:assurance";

/// Returns the room that alone writes the status of a kind.
fn writer(plural: &str) -> Option<&'static str> {
    match plural {
        "servicelevelobjectives" => Some(ASSURANCE),
        plural if FOUND.contains(&plural) => Some(PROCESS),
        _ => None,
    }
}

/// Tells what is refused although RBAC allows it, before a status in the wrong place is dropped in silence.
pub(crate) fn admit(context: &Context<'_>, old: Option<&Value>, new: &Value) -> Result<(), ApiError> {
    admit_status(context, old, new)?;
    if context.served.kind.group == GROUP
        && context.served.kind.plural == "evidence"
        && context.part == Part::Main
        && let Some(old) = old
        && old.get("spec") != new.get("spec")
    {
        let message =
            "evidence never changes: what was seen was seen; record new evidence with \"maru evidence attest\"";
        return Err(refuse(context, new, message));
    }
    if context.served.kind.group == GROUP
        && context.served.kind.plural == "baselines"
        && context.part == Part::Main
        && let Some(old) = old
        && is_taken(old)
        && old.get("spec") != new.get("spec")
    {
        let message = "the baseline is signed and never changes; what changed since then goes into a next one: maru project \
                       baseline create NAME --change WHY";
        return Err(refuse(context, new, message));
    }
    Ok(())
}

fn is_taken(baseline: &Value) -> bool {
    !meta::text(baseline, &["status", "envelope"]).is_empty()
}

/// Completes a new object and admits it.
pub(crate) fn prepare_create(context: &Context<'_>, object: &mut Value) -> Result<(), ApiError> {
    match kind_of(context) {
        Some("approvals") => approvals::prepare_create(context, object),
        _ => Ok(()),
    }
}

/// Completes a changed object and admits it.
pub(crate) fn prepare_update(context: &Context<'_>, old: &Value, new: &mut Value) -> Result<(), ApiError> {
    match kind_of(context) {
        Some("approvals") if context.part == Part::Main => approvals::prepare_update(context, old, new),
        _ => Ok(()),
    }
}

fn kind_of<'a>(context: &Context<'a>) -> Option<&'a str> {
    let kind = &context.served.kind;
    (kind.group == GROUP).then_some(kind.plural.as_str())
}

/// Returns the terms of gates that are no CEL, each with its place.
pub(crate) fn validate(context: &Context<'_>, object: &Value) -> Vec<FieldError> {
    if context.part == Part::Status {
        return Vec::new();
    }
    match kind_of(context) {
        Some("gates") => validate_terms(object, &["spec", "terms"], "spec.terms"),
        Some("methods") => {
            let mut issues = Vec::new();
            for (place, phase) in meta::list(object, &["spec", "phases"]).iter().enumerate() {
                for (index, stage) in meta::list(phase, &["stages"]).iter().enumerate() {
                    for side in ["entry", "exit"] {
                        let field = format!("spec.phases[{place}].stages[{index}].{side}");
                        issues.extend(validate_terms(stage, &[side], &field));
                    }
                }
            }
            issues
        }
        _ => Vec::new(),
    }
}

fn validate_terms(object: &Value, path: &[&str], field: &str) -> Vec<FieldError> {
    let terms = meta::list(object, path).iter().enumerate();
    terms
        .filter_map(|(place, term)| {
            let expression = meta::text(term, &["expression"]);
            let error = Expression::parse(expression, &GATE_VARIABLES).err()?;
            Some(issue::invalid(format!("{field}[{place}].expression"), expression, error.to_string()))
        })
        .collect()
}

/// The same for what is applied, whose status is dropped before it is merged.
pub(crate) fn admit_status(context: &Context<'_>, old: Option<&Value>, new: &Value) -> Result<(), ApiError> {
    let kind = &context.served.kind;
    let writer = if kind.group == GROUP { writer(&kind.plural) } else { None };
    if writer.is_none_or(|writer| context.identity.user == writer) {
        return Ok(());
    }
    let verdict = |object: &Value| meta::at(object, &["status", "verdict"]).cloned();
    let typed = verdict(new);
    let is_requirement = context.served.kind.plural == "requirements";
    if is_requirement && typed.is_some() && typed != old.and_then(verdict) {
        let message = format!(
            "verdict {} was typed by \"{}\", and a verdict is never typed: it follows from evidence about what runs now; \
             record evidence with \"maru evidence attest\", and remove status from the object",
            typed.unwrap_or_default(),
            context.identity.user
        );
        return Err(refuse(context, new, &message));
    }
    if context.part == Part::Status {
        let message = format!(
            "the status of {} is what Maru found; nobody else writes it, and \"{}\" is not Maru",
            context.served.kind.plural, context.identity.user
        );
        return Err(refuse(context, new, &message));
    }
    Ok(())
}

/// Evidence and signed baselines go with their namespace only.
pub(crate) fn check_delete(context: &Context<'_>, object: &Value) -> Result<(), ApiError> {
    let kind = &context.served.kind;
    if kind.group == GROUP && kind.plural == "evidence" && !context.identity.user.starts_with(ROOMS) {
        let message = "evidence is append-only: a removed record would break the chain; it expires by itself, and goes \
                       with its namespace";
        return Err(refuse(context, object, message));
    }
    if kind.group == GROUP
        && kind.plural == "baselines"
        && is_taken(object)
        && !context.identity.user.starts_with(ROOMS)
    {
        let message = "the baseline is signed, and documents are made again from it; it goes with its namespace";
        return Err(refuse(context, object, message));
    }
    Ok(())
}

fn refuse(context: &Context<'_>, object: &Value, message: &str) -> ApiError {
    ApiError::forbidden(&context.served.group_resource(), meta::name(object), message)
}
