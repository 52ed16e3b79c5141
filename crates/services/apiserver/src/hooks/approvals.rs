//! Approvals: a person's word is the word of whoever the server authenticated, in a role that RBAC gives them.

use maru_api::{API_VERSION, GROUP, VERSION};
use maru_auth::{Attributes, Request};
use serde_json::Value;

use super::Context;
use crate::errors::ApiError;
use crate::meta;

/// The resource of RBAC whose names are roles; it has no objects.
const ROLES: &str = "approvalroles";
/// What may be done with a role.
const APPROVE: &str = "approve";

/// Completes a new approval: who says it, and the fingerprints of what it is about.
pub(crate) fn prepare_create(context: &Context<'_>, object: &mut Value) -> Result<(), ApiError> {
    complete(context, None, object)?;
    let role = meta::text(object, &["spec", "role"]).to_owned();
    if !may(context, &role) {
        let message = format!(
            "user \"{}\" does not hold the role \"{role}\" in \"{}\"; an administrator gives it with: kubectl create role {role} -n {} \
             --verb={APPROVE} --resource={ROLES}.{GROUP} --resource-name={role}, and a role binding",
            context.identity.user, context.namespace, context.namespace
        );
        return Err(refuse(context, object, &message));
    }
    Ok(())
}

/// What was said was said.
pub(crate) fn prepare_update(context: &Context<'_>, old: &Value, new: &mut Value) -> Result<(), ApiError> {
    complete(context, Some(old), new)?;
    if old.get("spec") != new.get("spec") {
        let message =
            "an approval never changes: what was said was said; create another one with the decision of today";
        return Err(refuse(context, new, message));
    }
    Ok(())
}

/// Fills in what the writer left open, from the approval as it was, else from now.
fn complete(context: &Context<'_>, old: Option<&Value>, object: &mut Value) -> Result<(), ApiError> {
    let by = old.map_or(context.identity.user.as_str(), |old| meta::text(old, &["spec", "by"])).to_owned();
    let written = meta::text(object, &["spec", "by"]).to_owned();
    if old.is_none() && !written.is_empty() && written != by {
        let message = format!(
            "the approval says that it is by \"{written}\", and the server knows you as \"{by}\"; leave spec.by out, nobody \
             speaks for another"
        );
        return Err(refuse(context, object, &message));
    }
    if written.is_empty() {
        meta::set_at(object, &["spec", "by"], Some(by.into()));
    }
    if meta::text(object, &["spec", "role"]).trim().is_empty() {
        return Err(refuse(context, object, "spec.role is empty; say in which role you decide"));
    }
    let count = meta::list(object, &["spec", "of"]).len();
    if count == 0 {
        return Err(refuse(
            context,
            object,
            "spec.of is empty; say what you decide about: [{kind: Baseline, name: v1}]",
        ));
    }
    for place in 0..count {
        let one = meta::list(object, &["spec", "of"]).get(place).cloned().unwrap_or_default();
        if one.get("fingerprint").is_some_and(Value::is_string) {
            continue;
        }
        let known = old.and_then(|old| {
            let of = meta::list(old, &["spec", "of"]);
            let same = |own: &&Value| own.get("kind") == one.get("kind") && own.get("name") == one.get("name");
            of.iter().find(same).and_then(|own| own.get("fingerprint").cloned())
        });
        let fingerprint = match known {
            Some(known) => known,
            None => fingerprint_now(context, object, &one)?,
        };
        let entries = object.pointer_mut("/spec/of").and_then(Value::as_array_mut);
        if let Some(Value::Object(entry)) = entries.and_then(|entries| entries.get_mut(place)) {
            entry.insert("fingerprint".to_owned(), fingerprint);
        }
    }
    Ok(())
}

/// Returns the fingerprint of an object as it is at this moment.
fn fingerprint_now(context: &Context<'_>, object: &Value, of: &Value) -> Result<Value, ApiError> {
    let (kind, name) = (meta::text(of, &["kind"]), meta::text(of, &["name"]));
    let kinds = context.state.table().of_version(GROUP, VERSION);
    let Some(served) = kinds.into_iter().find(|served| served.kind.kind == kind) else {
        let message = format!("spec.of names the kind \"{kind}\", which {API_VERSION} has not");
        return Err(refuse(context, object, &message));
    };
    let Ok(found) = context.state.read(&served, context.namespace, name) else {
        let message = format!("spec.of names {kind} \"{name}\", which is not in \"{}\"", context.namespace);
        return Err(refuse(context, object, &message));
    };
    match maru_api::fingerprint_of(&found.object) {
        Ok(digest) => Ok(digest.to_string().into()),
        Err(error) => Err(refuse(context, object, &format!("{kind} \"{name}\" has no fingerprint: {error}"))),
    }
}

fn may(context: &Context<'_>, role: &str) -> bool {
    let request =
        Request::Resource { group: GROUP, resource: ROLES, subresource: "", namespace: context.namespace, name: role };
    let attributes = Attributes { verb: APPROVE, request };
    context.state.policy.current(&context.state.store).authorize(context.identity, &attributes).allowed
}

fn refuse(context: &Context<'_>, object: &Value, message: &str) -> ApiError {
    ApiError::forbidden(&context.served.group_resource(), meta::name(object), message)
}
