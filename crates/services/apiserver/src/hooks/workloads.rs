//! Deployments, replica sets, stateful sets, daemon sets, replication controllers.

use maru_kube::FieldError;
use maru_kube::selector::LabelSelector;
use serde_json::Value;

use super::{check_immutable, pod_defaults, pod_validation};
use crate::errors::issue;
use crate::meta::{self, default_at};

pub(crate) fn deployment_defaults(object: &mut Value) {
    pod_defaults::template(object, &["spec", "template"]);
    default_at(object, &["spec", "replicas"], 1);
    default_at(object, &["spec", "strategy", "type"], "RollingUpdate");
    if meta::text(object, &["spec", "strategy", "type"]) == "RollingUpdate" {
        default_at(object, &["spec", "strategy", "rollingUpdate", "maxUnavailable"], "25%");
        default_at(object, &["spec", "strategy", "rollingUpdate", "maxSurge"], "25%");
    }
    default_at(object, &["spec", "revisionHistoryLimit"], 10);
    default_at(object, &["spec", "progressDeadlineSeconds"], 600);
}

pub(crate) fn replica_set_defaults(object: &mut Value) {
    pod_defaults::template(object, &["spec", "template"]);
    default_at(object, &["spec", "replicas"], 1);
}

pub(crate) fn replication_controller_defaults(object: &mut Value) {
    pod_defaults::template(object, &["spec", "template"]);
    default_at(object, &["spec", "replicas"], 1);
    let labels = meta::at(object, &["spec", "template", "metadata", "labels"]).cloned();
    if let Some(labels) = labels {
        default_at(object, &["spec", "selector"], labels.clone());
        default_at(object, &["metadata", "labels"], labels);
    }
}

pub(crate) fn stateful_set_defaults(object: &mut Value) {
    pod_defaults::template(object, &["spec", "template"]);
    default_at(object, &["spec", "replicas"], 1);
    default_at(object, &["spec", "podManagementPolicy"], "OrderedReady");
    default_at(object, &["spec", "updateStrategy", "type"], "RollingUpdate");
    if meta::text(object, &["spec", "updateStrategy", "type"]) == "RollingUpdate" {
        default_at(object, &["spec", "updateStrategy", "rollingUpdate", "partition"], 0);
    }
    default_at(object, &["spec", "revisionHistoryLimit"], 10);
    default_at(object, &["spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted"], "Retain");
    default_at(object, &["spec", "persistentVolumeClaimRetentionPolicy", "whenScaled"], "Retain");
    let claims =
        object.get_mut("spec").and_then(|spec| spec.get_mut("volumeClaimTemplates")).and_then(Value::as_array_mut);
    for claim in claims.into_iter().flatten() {
        default_at(claim, &["apiVersion"], "v1");
        default_at(claim, &["kind"], "PersistentVolumeClaim");
        default_at(claim, &["spec", "volumeMode"], "Filesystem");
        default_at(claim, &["status", "phase"], "Pending");
    }
}

pub(crate) fn daemon_set_defaults(object: &mut Value) {
    pod_defaults::template(object, &["spec", "template"]);
    default_at(object, &["spec", "updateStrategy", "type"], "RollingUpdate");
    if meta::text(object, &["spec", "updateStrategy", "type"]) == "RollingUpdate" {
        default_at(object, &["spec", "updateStrategy", "rollingUpdate", "maxUnavailable"], 1);
        default_at(object, &["spec", "updateStrategy", "rollingUpdate", "maxSurge"], 0);
    }
    default_at(object, &["spec", "revisionHistoryLimit"], 10);
}

/// Checks what all kinds with a selector and a pod template share.
pub(crate) fn validate(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut issues = validate_replicas(object);
    issues.extend(check_immutable(object, old, &["spec.selector"]));
    issues.extend(validate_selector(object));
    issues.extend(pod_validation::template(object, "spec.template", &["Always"]));
    if meta::text(object, &["spec", "strategy", "type"]) == "Recreate"
        && meta::at(object, &["spec", "strategy", "rollingUpdate"]).is_some_and(|value| !value.is_null())
    {
        issues.push(issue::forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        ));
    }
    issues
}

/// Checks that the selector is there and selects the template's pods.
fn validate_selector(object: &Value) -> Vec<FieldError> {
    let Some(value) = meta::at(object, &["spec", "selector"]).filter(|value| !value.is_null()) else {
        return vec![issue::required("spec.selector", "")];
    };
    let selector = match LabelSelector::from_object(value) {
        Ok(selector) => selector,
        Err(error) => return vec![issue::invalid("spec.selector", value.clone(), error.to_string())],
    };
    if selector.is_everything() {
        return vec![issue::invalid("spec.selector", value.clone(), "empty selector is invalid for deployment")];
    }
    let labels = meta::at(object, &["spec", "template", "metadata", "labels"]).cloned().unwrap_or(Value::Null);
    if selector.matches(&labels) {
        return Vec::new();
    }
    vec![issue::invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")]
}

/// Checks that there are not less than none.
pub(crate) fn validate_replicas(object: &Value) -> Vec<FieldError> {
    let mut issues = Vec::new();
    for field in ["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        if let Some(number) = meta::at(object, &["spec", field]).and_then(Value::as_i64).filter(|number| *number < 0) {
            issues.push(issue::invalid(format!("spec.{field}"), number, "must be greater than or equal to 0"));
        }
    }
    issues
}

pub(crate) fn validate_stateful_set(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut issues = validate_replicas(object);
    issues.extend(validate_selector(object));
    issues.extend(pod_validation::template(object, "spec.template", &["Always"]));
    let Some(old) = old else { return issues };
    let changeable = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let rest = |object: &Value| {
        let mut spec = object.get("spec").cloned().unwrap_or_default();
        for key in changeable {
            meta::root(&mut spec).remove(key);
        }
        spec
    };
    if rest(old) != rest(object) {
        issues.push(issue::forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
    issues
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment() -> Value {
        json!({"spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        }})
    }

    #[test]
    fn a_deployment_gets_upstreams_defaults_and_is_fine() {
        let mut object = deployment();
        deployment_defaults(&mut object);
        assert_eq!(
            object["spec"]["strategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}})
        );
        assert_eq!(validate(&object, None), []);
    }

    #[test]
    fn a_selector_must_select_its_template_and_stays() {
        let mut object = deployment();
        deployment_defaults(&mut object);
        let old = object.clone();
        object["spec"]["selector"]["matchLabels"]["a"] = json!("c");
        let issues = validate(&object, Some(&old));
        let fields: Vec<&str> = issues.iter().map(|issue| issue.field.as_str()).collect();
        assert_eq!(fields, ["spec.selector", "spec.template.metadata.labels"]);
    }

    #[test]
    fn a_stateful_sets_claims_do_not_change() {
        let mut object = deployment();
        stateful_set_defaults(&mut object);
        let old = object.clone();
        object["spec"]["replicas"] = json!(3);
        assert_eq!(validate_stateful_set(&object, Some(&old)), []);
        object["spec"]["serviceName"] = json!("other");
        assert_eq!(validate_stateful_set(&object, Some(&old))[0].field, "spec");
    }
}
