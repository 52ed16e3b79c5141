//! The kinds of `maru.dev`: verdicts are found and never typed, evidence never changes.

use serde_json::Value;

use super::Context;
use crate::errors::ApiError;
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
    Ok(())
}

/// The same for what is applied, whose status is dropped before it is merged.
pub(crate) fn admit_status(context: &Context<'_>, old: Option<&Value>, new: &Value) -> Result<(), ApiError> {
    let kind = &context.served.kind;
    if kind.group != GROUP || !FOUND.contains(&kind.plural.as_str()) || context.identity.user == PROCESS {
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

/// Evidence goes with its namespace only.
pub(crate) fn check_delete(context: &Context<'_>, object: &Value) -> Result<(), ApiError> {
    let kind = &context.served.kind;
    if kind.group == GROUP && kind.plural == "evidence" && !context.identity.user.starts_with(ROOMS) {
        let message = "evidence is append-only: a removed record would break the chain; it expires by itself, and goes \
                       with its namespace";
        return Err(refuse(context, object, message));
    }
    Ok(())
}

fn refuse(context: &Context<'_>, object: &Value, message: &str) -> ApiError {
    ApiError::forbidden(&context.served.group_resource(), meta::name(object), message)
}
