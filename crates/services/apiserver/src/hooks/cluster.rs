//! Namespaces, priority classes, certificate signing requests.

use std::sync::Arc;

use maru_auth::Identity;
use maru_kube::FieldError;
use serde_json::{Value, json};

use super::{Context, check_immutable};
use crate::errors::ApiError;
use crate::formats::Ownership;
use crate::kinds::Served;
use crate::meta::{self, default_at};
use crate::state::State;
use crate::write::{OwnWrites, Part};

/// Namespaces that always exist.
const PROTECTED_NAMESPACES: &[&str] = &["default", "kube-system", "kube-public", "kube-node-lease"];

pub(crate) fn namespace_defaults(object: &mut Value) {
    let name = meta::name(object).to_owned();
    meta::map_at(object, &["metadata", "labels"]).insert("kubernetes.io/metadata.name".to_owned(), name.into());
    if meta::is_being_deleted(object) {
        return;
    }
    let finalizers = meta::list(object, &["spec", "finalizers"]);
    if !finalizers.iter().any(|one| one == "kubernetes") {
        let mut finalizers = finalizers.to_vec();
        finalizers.push("kubernetes".into());
        meta::set_at(object, &["spec", "finalizers"], Some(finalizers.into()));
    }
    default_at(object, &["status", "phase"], "Active");
}

/// Only `finalize` changes the finalizers of the spec.
pub(crate) fn prepare_namespace_update(context: &Context<'_>, old: &Value, new: &mut Value) {
    match context.part {
        Part::Other("finalize") => {
            let finalizers = meta::at(new, &["spec", "finalizers"]).cloned();
            *new = old.clone();
            meta::set_at(new, &["spec", "finalizers"], finalizers);
        }
        _ => meta::set_at(new, &["spec", "finalizers"], meta::at(old, &["spec", "finalizers"]).cloned()),
    }
}

pub(crate) fn check_namespace_delete(served: &Served, object: &Value) -> Result<(), ApiError> {
    let name = meta::name(object);
    if PROTECTED_NAMESPACES.contains(&name) {
        return Err(ApiError::forbidden(&served.group_resource(), name, "this namespace may not be deleted"));
    }
    Ok(())
}

/// Makes the account that pods of a namespace run as unless they name one; a controller restores it later.
pub(crate) async fn ensure_default_account(state: &Arc<State>, namespace: &str) {
    let table = state.table();
    let Some(served) = table.stored("", "serviceaccounts") else { return };
    if state.read_raw("serviceaccounts", namespace, "default").is_some() {
        return;
    }
    let own = OwnWrites::new();
    let writer = own.writer(state, &served, namespace);
    match writer.create(json!({"metadata": {"name": "default"}}), Ownership::Update).await {
        Ok(_) | Err(ApiError::AlreadyExists { .. }) => {}
        Err(error) => tracing::warn!(namespace, %error, "no default service account; the controller tries again"),
    }
}

/// Who the server itself is.
pub(crate) fn own_identity() -> Identity {
    Identity::new("system:apiserver", &[Identity::MASTERS])
}

pub(crate) fn priority_class_defaults(object: &mut Value) {
    default_at(object, &["preemptionPolicy"], "PreemptLowerPriority");
}

/// The highest priority of a class that is not the system's.
const USER_PRIORITY_MAX: i64 = 1_000_000_000;

pub(crate) fn validate_priority_class(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut issues = check_immutable(object, old, &["value", "preemptionPolicy"]);
    let value = object.get("value").and_then(Value::as_i64).unwrap_or_default();
    if !meta::name(object).starts_with("system-") && value > USER_PRIORITY_MAX {
        issues.push(crate::errors::issue::forbidden(
            "value",
            format!("maximum allowed value of a user defined priority is {USER_PRIORITY_MAX}"),
        ));
    }
    issues
}

pub(crate) fn check_priority_class_delete(served: &Served, object: &Value) -> Result<(), ApiError> {
    let name = meta::name(object);
    if matches!(name, "system-node-critical" | "system-cluster-critical") {
        return Err(ApiError::forbidden(
            &served.group_resource(),
            name,
            "this is a system priority class and cannot be deleted",
        ));
    }
    Ok(())
}

pub(crate) fn signing_request_defaults(object: &mut Value) {
    default_at(object, &["spec", "usages"], json!(["digital signature", "key encipherment"]));
}

/// Who asks is not for the caller to say.
pub(crate) fn prepare_signing_request(context: &Context<'_>, object: &mut Value) {
    let spec = meta::map_at(object, &["spec"]);
    spec.insert("username".to_owned(), context.identity.user.clone().into());
    spec.insert("groups".to_owned(), context.identity.groups.clone().into());
    match &context.identity.uid {
        Some(uid) => spec.insert("uid".to_owned(), uid.clone().into()),
        None => spec.remove("uid"),
    };
}

pub(crate) fn keep_signing_request(old: &Value, new: &mut Value) {
    meta::set_at(new, &["spec"], old.get("spec").cloned());
}
