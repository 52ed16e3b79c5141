//! Jobs and cron jobs.

use maru_kube::FieldError;
use serde_json::{Value, json};

use super::{check_immutable, pod_defaults, pod_validation};
use crate::errors::issue;
use crate::meta::{self, default_at};

const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";
const JOB_NAME: &str = "batch.kubernetes.io/job-name";

pub(crate) fn job_defaults(object: &mut Value) {
    pod_defaults::template(object, &["spec", "template"]);
    let completions = meta::at(object, &["spec", "completions"]).is_some_and(|value| !value.is_null());
    let parallelism = meta::at(object, &["spec", "parallelism"]).is_some_and(|value| !value.is_null());
    if !completions && !parallelism {
        default_at(object, &["spec", "completions"], 1);
    }
    default_at(object, &["spec", "parallelism"], 1);
    let per_index = meta::at(object, &["spec", "backoffLimitPerIndex"]).is_some_and(|value| !value.is_null());
    default_at(object, &["spec", "backoffLimit"], if per_index { i64::from(i32::MAX) } else { 6 });
    default_at(object, &["spec", "completionMode"], "NonIndexed");
    default_at(object, &["spec", "suspend"], false);
    let has_policy = meta::at(object, &["spec", "podFailurePolicy"]).is_some_and(|value| !value.is_null());
    default_at(object, &["spec", "podReplacementPolicy"], if has_policy { "Failed" } else { "TerminatingOrFailed" });
}

pub(crate) fn cron_job_defaults(object: &mut Value) {
    pod_defaults::template(object, &["spec", "jobTemplate", "spec", "template"]);
    default_at(object, &["spec", "concurrencyPolicy"], "Allow");
    default_at(object, &["spec", "suspend"], false);
    default_at(object, &["spec", "successfulJobsHistoryLimit"], 3);
    default_at(object, &["spec", "failedJobsHistoryLimit"], 1);
    if meta::at(object, &["spec", "jobTemplate"]).is_some() {
        meta::map_at(object, &["spec", "jobTemplate", "metadata"]);
    }
}

/// Makes the selector that only this job's pods match, unless the job brings its own.
pub(crate) fn generate_selector(object: &mut Value) {
    if meta::at(object, &["spec", "manualSelector"]).and_then(Value::as_bool) == Some(true) {
        return;
    }
    let (uid, name) = (meta::uid(object).to_owned(), meta::name(object).to_owned());
    let labels = meta::map_at(object, &["spec", "template", "metadata", "labels"]);
    for (key, value) in [(CONTROLLER_UID, &uid), ("controller-uid", &uid), (JOB_NAME, &name), ("job-name", &name)] {
        labels.insert(key.to_owned(), value.clone().into());
    }
    meta::set_at(object, &["spec", "selector"], Some(json!({"matchLabels": {CONTROLLER_UID: uid}})));
}

pub(crate) fn validate_job(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut issues = Vec::new();
    for field in ["parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"] {
        if let Some(number) = meta::at(object, &["spec", field]).and_then(Value::as_i64).filter(|number| *number < 0) {
            issues.push(issue::invalid(format!("spec.{field}"), number, "must be greater than or equal to 0"));
        }
    }
    issues.extend(pod_validation::template(object, "spec.template", &["OnFailure", "Never"]));
    issues.extend(check_immutable(
        object,
        old,
        &["spec.selector", "spec.completionMode", "spec.podFailurePolicy", "spec.backoffLimitPerIndex"],
    ));
    let is_indexed = meta::text(object, &["spec", "completionMode"]) == "Indexed";
    if !is_indexed {
        issues.extend(check_immutable(object, old, &["spec.completions"]));
    }
    // While suspended and never started, scheduling directives may still change.
    let may_change = old.is_some_and(|old| {
        meta::at(old, &["spec", "suspend"]).and_then(Value::as_bool) == Some(true)
            && meta::at(old, &["status", "startTime"]).is_none()
    });
    if !may_change {
        issues.extend(check_immutable(object, old, &["spec.template"]));
    }
    issues
}

pub(crate) fn validate_cron_job(object: &Value) -> Vec<FieldError> {
    let mut issues = Vec::new();
    let schedule = meta::text(object, &["spec", "schedule"]);
    if schedule.is_empty() {
        issues.push(issue::required("spec.schedule", ""));
    } else if !schedule.starts_with('@') && schedule.split_whitespace().count() != 5 {
        issues.push(issue::invalid(
            "spec.schedule",
            schedule,
            format!("expected exactly 5 fields, found {}: [{schedule}]", schedule.split_whitespace().count()),
        ));
    }
    let policy = meta::text(object, &["spec", "concurrencyPolicy"]);
    if !matches!(policy, "Allow" | "Forbid" | "Replace") {
        issues.push(issue::not_supported("spec.concurrencyPolicy", policy, &["Allow", "Forbid", "Replace"]));
    }
    if meta::name(object).len() > 52 {
        issues.push(issue::invalid("metadata.name", meta::name(object), "must be no more than 52 characters"));
    }
    issues.extend(pod_validation::template(object, "spec.jobTemplate.spec.template", &["OnFailure", "Never"]));
    issues
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_selects_its_own_pods() {
        let mut job = json!({
            "metadata": {"name": "j", "uid": "u"},
            "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}},
        });
        job_defaults(&mut job);
        generate_selector(&mut job);
        assert_eq!(job["spec"]["selector"], json!({"matchLabels": {CONTROLLER_UID: "u"}}));
        assert_eq!(job["spec"]["template"]["metadata"]["labels"]["job-name"], "j");
        assert_eq!(validate_job(&job, None), []);
        let old = job.clone();
        job["spec"]["template"]["spec"]["containers"][0]["image"] = json!("other");
        assert_eq!(validate_job(&job, Some(&old))[0].field, "spec.template");
    }

    #[test]
    fn a_pod_of_a_job_does_not_always_restart() {
        let job = json!({"spec": {"template": {"spec": {"restartPolicy": "Always", "containers": [{"name": "c", "image": "i"}]}}}});
        assert_eq!(validate_job(&job, None)[0].field, "spec.template.spec.restartPolicy");
    }
}
