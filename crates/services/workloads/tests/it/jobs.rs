//! Jobs and CronJobs from start to end.

use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::support::Cluster;

fn job(name: &str, exit: i32, extra: &Value) -> Value {
    let mut spec = json!({
        "template": {
            "metadata": {"annotations": {"test/exit": exit.to_string()}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]},
        },
    });
    for (key, field) in extra.as_object().unwrap() {
        spec[key] = field.clone();
    }
    json!({"metadata": {"name": name}, "spec": spec})
}

fn has(job: &Job, kind: &str) -> bool {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.clone().any(|condition| condition.type_ == kind && condition.status == "True")
}

#[tokio::test]
async fn a_job_runs_to_its_completions() {
    let cluster = Cluster::start().await;
    cluster.create::<Job>(job("work", 0, &json!({"completions": 5, "parallelism": 2}))).await;
    let done = cluster.wait::<Job>("work", "complete", |job| has(job, "Complete")).await;
    let status = done.status.unwrap();
    assert_eq!((status.succeeded, status.failed, status.active), (Some(5), None, None));
    assert!(status.completion_time.is_some());
    let pods = cluster.list::<Pod>().await;
    assert_eq!(pods.len(), 5, "no pod too many");
    assert!(pods.iter().all(|pod| pod.finalizers().is_empty()));
    assert_eq!(cluster.wait_event("work", "Completed").await, "Job completed");
    cluster.api::<Job>().delete("work", &DeleteParams::background()).await.unwrap();
    cluster.wait_list::<Pod>("no pods", <[Pod]>::is_empty).await;
}

#[tokio::test]
async fn an_indexed_job_runs_each_index_once() {
    let cluster = Cluster::start().await;
    cluster
        .create::<Job>(job("work", 0, &json!({"completions": 4, "parallelism": 4, "completionMode": "Indexed"})))
        .await;
    let done = cluster.wait::<Job>("work", "complete", |job| has(job, "Complete")).await;
    assert_eq!(done.status.unwrap().completed_indexes.as_deref(), Some("0-3"));
    let mut indexes: Vec<String> = cluster
        .list::<Pod>()
        .await
        .iter()
        .filter_map(|pod| pod.annotations().get("batch.kubernetes.io/job-completion-index").cloned())
        .collect();
    indexes.sort();
    assert_eq!(indexes, ["0", "1", "2", "3"]);
}

#[tokio::test]
async fn a_failing_job_ends_at_its_limit() {
    let cluster = Cluster::start().await;
    cluster.create::<Job>(job("work", 1, &json!({"backoffLimit": 0}))).await;
    let failed = cluster.wait::<Job>("work", "failed", |job| has(job, "Failed")).await;
    let reasons: Vec<_> =
        failed.status.as_ref().unwrap().conditions.iter().flatten().filter_map(|one| one.reason.clone()).collect();
    assert_eq!(reasons, ["BackoffLimitExceeded", "BackoffLimitExceeded"]);
    assert_eq!(failed.status.unwrap().failed, Some(1));
}

#[tokio::test]
async fn a_finished_job_goes_after_its_time() {
    let cluster = Cluster::start().await;
    cluster.create::<Job>(job("work", 0, &json!({"ttlSecondsAfterFinished": 1}))).await;
    cluster.wait::<Job>("work", "complete", |job| has(job, "Complete")).await;
    cluster.wait_gone::<Job>("work").await;
    cluster.wait_list::<Pod>("no pods", <[Pod]>::is_empty).await;
}

#[tokio::test]
async fn a_suspended_job_has_no_pods_until_it_is_resumed() {
    let cluster = Cluster::start().await;
    cluster.create::<Job>(job("work", 0, &json!({"suspend": true}))).await;
    cluster.wait::<Job>("work", "suspended", |job| has(job, "Suspended")).await;
    assert!(cluster.list::<Pod>().await.is_empty());
    cluster.patch::<Job>("work", json!({"spec": {"suspend": false}})).await;
    cluster.wait::<Job>("work", "complete", |job| has(job, "Complete")).await;
}

#[tokio::test]
async fn a_cron_job_starts_its_jobs_and_keeps_its_history() {
    let cluster = Cluster::start().await;
    let template = job("ignored", 0, &json!({}));
    let cron = json!({
        "metadata": {"name": "tick"},
        "spec": {"schedule": "@every 1s", "successfulJobsHistoryLimit": 2, "jobTemplate": {"spec": template["spec"]}},
    });
    cluster.create::<CronJob>(cron).await;
    let ran = cluster
        .wait::<CronJob>("tick", "ran", |cron| {
            cron.status.as_ref().is_some_and(|status| status.last_successful_time.is_some())
        })
        .await;
    assert!(ran.status.unwrap().last_schedule_time.is_some());
    let jobs = cluster.list::<Job>().await;
    assert!(jobs[0].name_any().starts_with("tick-"), "{}", jobs[0].name_any());
    cluster.api::<CronJob>().delete("tick", &DeleteParams::background()).await.unwrap();
    cluster.wait_list::<Job>("no jobs", <[Job]>::is_empty).await;
}
