//! What a failed pod means for its Job.

use k8s_openapi::api::batch::v1::{Job, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyRule};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};

use crate::machinery::MetaExt as _;

/// What a failed pod means for its Job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It counts towards the back-off limit.
    Count,
    /// It is replaced and does not count.
    Ignore,
    /// The index has failed for good.
    FailIndex,
    /// The Job has failed, for this reason.
    FailJob(String),
}

/// Applies the first rule of the Job's policy that matches the pod. Pure.
pub(crate) fn verdict(job: &Job, pod: &Pod) -> Verdict {
    let rules =
        job.spec.iter().filter_map(|spec| spec.pod_failure_policy.as_ref()).flat_map(|policy| policy.rules.iter());
    for (index, rule) in rules.enumerate() {
        let Some(why) = matches(rule, pod) else { continue };
        return match rule.action.as_str() {
            "Ignore" => Verdict::Ignore,
            "FailIndex" => Verdict::FailIndex,
            "FailJob" => Verdict::FailJob(format!(
                "{why} for pod {}/{} matching FailJob rule at index {index}",
                pod.namespace(),
                pod.name()
            )),
            _ => Verdict::Count,
        };
    }
    Verdict::Count
}

fn matches(rule: &PodFailurePolicyRule, pod: &Pod) -> Option<String> {
    if let Some(codes) = &rule.on_exit_codes {
        return matching_container(codes, pod);
    }
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let pattern = rule.on_pod_conditions.iter().flatten().find(|pattern| {
        let status = pattern.status.as_deref().unwrap_or("True");
        conditions.iter().any(|condition| condition.type_ == pattern.type_ && condition.status == status)
    })?;
    Some(format!("Pod has condition {}", pattern.type_))
}

fn matching_container(codes: &PodFailurePolicyOnExitCodesRequirement, pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.iter().flatten().chain(status.init_container_statuses.iter().flatten());
    for container in
        containers.filter(|container| codes.container_name.as_ref().is_none_or(|name| *name == container.name))
    {
        let ended: Option<&ContainerStateTerminated> =
            container.state.as_ref().and_then(|state| state.terminated.as_ref());
        let Some(code) = ended.map(|ended| ended.exit_code).filter(|code| *code != 0) else { continue };
        if codes.values.contains(&code) == (codes.operator == "In") {
            return Some(format!("Container {} for pod failed with exit code {code}", container.name));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_matching_rule_decides() {
        let job: Job = serde_json::from_value(json!({"spec": {"template": {}, "podFailurePolicy": {"rules": [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}},
            {"action": "FailIndex", "onExitCodes": {"operator": "NotIn", "values": [1, 42]}},
        ]}}}))
        .unwrap();
        let pod = |container: &str, code: i32, conditions: serde_json::Value| -> Pod {
            serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "shop"}, "status": {"conditions": conditions, "containerStatuses": [
                {"name": container, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": code}}},
            ]}}))
            .unwrap()
        };
        let disrupted = json!([{"type": "DisruptionTarget", "status": "True"}]);
        assert_eq!(verdict(&job, &pod("main", 42, disrupted)), Verdict::Ignore);
        assert!(matches!(verdict(&job, &pod("main", 42, json!([]))), Verdict::FailJob(_)));
        assert_eq!(verdict(&job, &pod("side", 42, json!([]))), Verdict::Count);
        assert_eq!(verdict(&job, &pod("main", 1, json!([]))), Verdict::Count);
        assert_eq!(verdict(&job, &pod("main", 7, json!([]))), Verdict::FailIndex);
    }
}
