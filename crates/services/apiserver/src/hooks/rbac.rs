//! Roles and bindings: nobody grants more than they have.

use maru_auth::{Attributes, Request, RoleRef, Rule};
use maru_kube::FieldError;
use serde_json::Value;

use super::{Context, check_immutable};
use crate::errors::{ApiError, issue};
use crate::meta::{self, default_at};

const GROUP: &str = "rbac.authorization.k8s.io";

pub(crate) fn binding_defaults(object: &mut Value) {
    default_at(object, &["roleRef", "apiGroup"], GROUP);
    for subject in object.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        if matches!(meta::text(subject, &["kind"]), "User" | "Group") {
            default_at(subject, &["apiGroup"], GROUP);
        }
    }
}

pub(crate) fn validate_binding(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut issues = check_immutable(object, old, &["roleRef"]);
    let kind = meta::text(object, &["roleRef", "kind"]);
    if !matches!(kind, "Role" | "ClusterRole") {
        issues.push(issue::not_supported("roleRef.kind", kind, &["ClusterRole", "Role"]));
    }
    if meta::text(object, &["roleRef", "name"]).is_empty() {
        issues.push(issue::required("roleRef.name", ""));
    }
    for (index, subject) in meta::list(object, &["subjects"]).iter().enumerate() {
        let kind = meta::text(subject, &["kind"]);
        let field = format!("subjects[{index}]");
        if !matches!(kind, "User" | "Group" | "ServiceAccount") {
            issues.push(issue::not_supported(format!("{field}.kind"), kind, &["Group", "ServiceAccount", "User"]));
        }
        if meta::text(subject, &["name"]).is_empty() {
            issues.push(issue::required(format!("{field}.name"), ""));
        }
        let is_cluster_wide = meta::namespace(object).is_empty();
        if kind == "ServiceAccount" && is_cluster_wide && meta::text(subject, &["namespace"]).is_empty() {
            issues.push(issue::required(format!("{field}.namespace"), ""));
        }
    }
    issues
}

/// Checks a new role.
pub(crate) fn check_role(context: &Context<'_>, object: &Value) -> Result<(), ApiError> {
    if may(context, "escalate", &context.served.kind.plural, meta::name(object)) {
        return Ok(());
    }
    let rules = rules_in(object)?;
    if object.get("aggregationRule").is_some_and(|rule| !rule.is_null()) {
        let everything = Rule {
            verbs: vec!["*".to_owned()],
            api_groups: vec!["*".to_owned()],
            resources: vec!["*".to_owned()],
            ..Rule::default()
        };
        check_rules(context, object, &[everything])?;
    }
    check_rules(context, object, &rules)
}

/// Checks a changed role; metadata alone may change freely.
pub(crate) fn check_role_update(context: &Context<'_>, old: &Value, new: &Value) -> Result<(), ApiError> {
    if old.get("rules") == new.get("rules") && old.get("aggregationRule") == new.get("aggregationRule") {
        return Ok(());
    }
    check_role(context, new)
}

/// Checks a new binding.
pub(crate) fn check_binding(context: &Context<'_>, object: &Value) -> Result<(), ApiError> {
    let (kind, name) = (meta::text(object, &["roleRef", "kind"]), meta::text(object, &["roleRef", "name"]));
    let (resource, role) = match kind {
        "Role" => ("roles", RoleRef::Role { namespace: context.namespace, name }),
        _ => ("clusterroles", RoleRef::ClusterRole { name }),
    };
    if may(context, "bind", resource, name) {
        return Ok(());
    }
    let policy = context.state.policy.current(&context.state.store);
    let Some(rules) = policy.rules_of(&role) else {
        let resource = crate::kinds::GroupResource { group: GROUP.to_owned(), resource: resource.to_owned() };
        return Err(ApiError::not_found(&resource, name));
    };
    check_rules(context, object, &rules)
}

pub(crate) fn check_binding_update(context: &Context<'_>, old: &Value, new: &Value) -> Result<(), ApiError> {
    if old.get("roleRef") == new.get("roleRef") && old.get("subjects") == new.get("subjects") {
        return Ok(());
    }
    check_binding(context, new)
}

fn may(context: &Context<'_>, verb: &str, resource: &str, name: &str) -> bool {
    let request = Request::Resource { group: GROUP, resource, subresource: "", namespace: context.namespace, name };
    context
        .state
        .policy
        .current(&context.state.store)
        .authorize(context.identity, &Attributes { verb, request })
        .allowed
}

fn rules_in(object: &Value) -> Result<Vec<Rule>, ApiError> {
    match object.get("rules") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(rules) => {
            serde_json::from_value(rules.clone()).map_err(|error| ApiError::bad_request(format!("rules: {error}")))
        }
    }
}

fn check_rules(context: &Context<'_>, object: &Value, rules: &[Rule]) -> Result<(), ApiError> {
    let policy = context.state.policy.current(&context.state.store);
    policy.escalation_check(context.identity, context.namespace, rules).map_err(|missing| {
        let missing: Vec<String> = missing.iter().map(|rule| serde_json::to_string(rule).unwrap_or_default()).collect();
        ApiError::forbidden(
            &context.served.group_resource(),
            meta::name(object),
            format!(
                "user \"{}\" (groups={:?}) is attempting to grant RBAC permissions not currently held:\n{}",
                context.identity.user,
                context.identity.groups,
                missing.join("\n")
            ),
        )
    })
}
