//! Autoscalers: stored as `autoscaling/v2`, spoken to in `v1` by older clients.

use maru_kube::FieldError;
use serde_json::{Value, json};

use crate::errors::issue;
use crate::kinds::Served;
use crate::meta::{self, default_at};

pub(crate) fn defaults(served: &Served, object: &mut Value) {
    default_at(object, &["spec", "minReplicas"], 1);
    if served.version().name == "v1" {
        default_at(object, &["spec", "targetCPUUtilizationPercentage"], 80);
    } else if meta::list(object, &["spec", "metrics"]).is_empty() {
        meta::set_at(object, &["spec", "metrics"], Some(json!([cpu_metric(&json!(80))])));
    }
}

fn cpu_metric(percentage: &Value) -> Value {
    let target = json!({"type": "Utilization", "averageUtilization": percentage});
    json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
}

fn is_cpu(metric: &Value) -> bool {
    meta::text(metric, &["type"]) == "Resource" && meta::text(metric, &["resource", "name"]) == "cpu"
}

/// The metrics that `v1` has no field for travel in this annotation, as upstream does it.
const OTHER_METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
/// So does the behavior.
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// Converts from `v2`.
pub(crate) fn to_v1(object: &mut Value) {
    let metrics = meta::list(object, &["spec", "metrics"]).to_vec();
    let (cpu, others): (Vec<Value>, Vec<Value>) = metrics.into_iter().partition(is_cpu);
    meta::set_at(object, &["spec", "metrics"], None);
    if let Some(percentage) =
        cpu.first().and_then(|metric| meta::at(metric, &["resource", "target", "averageUtilization"]))
    {
        meta::set_at(object, &["spec", "targetCPUUtilizationPercentage"], Some(percentage.clone()));
    }
    if !others.is_empty() {
        meta::set_at(
            object,
            &["metadata", "annotations", OTHER_METRICS],
            Some(Value::Array(others).to_string().into()),
        );
    }
    if let Some(behavior) = meta::at(object, &["spec", "behavior"]).map(Value::to_string) {
        meta::set_at(object, &["metadata", "annotations", BEHAVIOR], Some(behavior.into()));
        meta::set_at(object, &["spec", "behavior"], None);
    }
    let current = meta::list(object, &["status", "currentMetrics"]).iter().find(|metric| is_cpu(metric)).cloned();
    if object.get("status").is_some() {
        meta::set_at(object, &["status", "currentMetrics"], None);
        meta::set_at(object, &["status", "conditions"], None);
    }
    if let Some(percentage) =
        current.as_ref().and_then(|metric| meta::at(metric, &["resource", "current", "averageUtilization"]))
    {
        meta::set_at(object, &["status", "currentCPUUtilizationPercentage"], Some(percentage.clone()));
    }
}

/// Converts to `v2`.
pub(crate) fn from_v1(object: &mut Value) {
    let percentage = meta::at(object, &["spec", "targetCPUUtilizationPercentage"]).cloned();
    meta::set_at(object, &["spec", "targetCPUUtilizationPercentage"], None);
    let mut metrics: Vec<Value> = percentage.as_ref().map(cpu_metric).into_iter().collect();
    if let Some(Value::Array(others)) = take_annotation(object, OTHER_METRICS) {
        metrics.extend(others);
    }
    meta::set_at(object, &["spec", "metrics"], Some(metrics.into()));
    if let Some(behavior) = take_annotation(object, BEHAVIOR) {
        meta::set_at(object, &["spec", "behavior"], Some(behavior));
    }
    if let Some(current) = meta::at(object, &["status", "currentCPUUtilizationPercentage"]).cloned() {
        meta::set_at(object, &["status", "currentCPUUtilizationPercentage"], None);
        let metric =
            json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": current}}});
        meta::set_at(object, &["status", "currentMetrics"], Some(json!([metric])));
    }
}

fn take_annotation(object: &mut Value, key: &str) -> Option<Value> {
    let annotations = object.get_mut("metadata")?.get_mut("annotations")?.as_object_mut()?;
    serde_json::from_str(annotations.remove(key)?.as_str()?).ok()
}

pub(crate) fn validate(object: &Value) -> Vec<FieldError> {
    let number = |field: &str| meta::at(object, &["spec", field]).and_then(Value::as_i64);
    let (least, most) = (number("minReplicas").unwrap_or(1), number("maxReplicas").unwrap_or_default());
    let mut issues = Vec::new();
    if most < 1 {
        issues.push(issue::invalid("spec.maxReplicas", most, "must be greater than 0"));
    }
    if most < least {
        issues.push(issue::invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"));
    }
    issues
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v1_and_back_is_the_same() {
        let memory = json!({"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 50}}});
        let stored = json!({
            "metadata": {"name": "a", "annotations": {"x": "y"}},
            "spec": {"maxReplicas": 3, "metrics": [cpu_metric(&json!(70)), memory], "behavior": {"scaleDown": {"stabilizationWindowSeconds": 1}}},
        });
        let mut object = stored.clone();
        to_v1(&mut object);
        assert_eq!(object["spec"], json!({"maxReplicas": 3, "targetCPUUtilizationPercentage": 70}));
        from_v1(&mut object);
        assert_eq!(object, stored);
    }
}
