//! Which pods a Job makes and how it counts them, by tables.

use serde_json::{Value, json};

use super::*;
use crate::pods::tests::{merge, pod};

fn job(extra: Value) -> Arc<Job> {
    let mut value = json!({
        "metadata": {"name": "work", "namespace": "shop", "uid": "j"},
        "spec": {"parallelism": 2, "completions": 3, "backoffLimit": 2, "template": {}},
        "status": {"startTime": "2026-01-01T00:00:00Z"},
    });
    merge(&mut value, extra);
    Arc::new(serde_json::from_value(value).unwrap())
}

/// A pod; `state` is r(unning), s(ucceeded), f(ailed) or d(eleting); tracked ones still have their finalizer.
fn worker(name: &str, state: char, tracked: bool, index: Option<i32>) -> Arc<Pod> {
    let ended = json!([{"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                        "state": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:00:30Z"}}}]);
    let mut value = match state {
        's' => json!({"status": {"phase": "Succeeded", "containerStatuses": ended}}),
        'f' => json!({"status": {"phase": "Failed", "containerStatuses": ended}}),
        'd' => json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:30Z"}, "status": {"phase": "Running"}}),
        _ => json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}),
    };
    if tracked {
        merge(&mut value, json!({"metadata": {"finalizers": [TRACKING]}}));
    }
    if let Some(index) = index {
        merge(&mut value, json!({"metadata": {"annotations": {INDEX: index.to_string()}}}));
    }
    pod(name, value)
}

fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    Timestamp::from_second(start.as_second() + seconds).unwrap()
}

fn planned(job: Arc<Job>, pods: Vec<Arc<Pod>>, seconds: i64) -> Plan {
    plan(&Observed { job, pods }, at(seconds))
}

fn told(plan: &Plan) -> Vec<String> {
    plan.actions
        .iter()
        .map(|action| match action {
            Action::Untrack(pod) => format!("untrack {}", pod.name()),
            Action::Create(entries) if entries.iter().any(Option::is_some) => {
                format!("create {}", entries.iter().flatten().map(ToString::to_string).collect::<Vec<_>>().join(","))
            }
            Action::Create(entries) => format!("create {}", entries.len()),
            Action::Delete(pod) => format!("delete {}", pod.name()),
            Action::Withdraw(pod) => format!("withdraw {}", pod.name()),
            Action::DeleteJob => "delete job".to_owned(),
        })
        .collect()
}

fn conditions(plan: &Plan) -> Vec<String> {
    let all = plan.status.conditions.iter().flatten().filter(|one| one.status == "True");
    all.map(|one| format!("{} {}", one.type_, one.reason.as_deref().unwrap_or_default())).collect()
}

#[test]
fn pods_are_made_up_to_parallelism_and_what_is_left() {
    let cases = [
        (json!({}), vec![], vec!["create 2"]),
        (json!({}), vec![worker("a", 'r', true, None)], vec!["create 1"]),
        (json!({"status": {"succeeded": 2}}), vec![], vec!["create 1"]),
        (
            json!({"spec": {"parallelism": 1}}),
            vec![worker("a", 'r', true, None), worker("b", 'r', true, None)],
            vec!["withdraw a"],
        ),
        (json!({"spec": {"suspend": true}}), vec![worker("a", 'r', true, None)], vec!["withdraw a"]),
        (
            json!({"spec": {"completions": null}, "status": {"succeeded": 1}}),
            vec![worker("a", 'r', true, None)],
            vec![],
        ),
        (
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
            vec![worker("a", 'r', true, None)],
            vec!["untrack a"],
        ),
    ];
    for (extra, pods, expected) in cases {
        assert_eq!(told(&planned(job(extra.clone()), pods, 100)), expected, "{extra}");
    }
}

#[test]
fn each_ended_pod_is_counted_exactly_once() {
    // It has ended: its uid is noted, and then it may go.
    let noted = planned(job(json!({})), vec![worker("a", 's', true, None)], 100);
    assert_eq!(noted.status.uncounted_terminated_pods.as_ref().unwrap().succeeded, Some(vec!["uid-a".to_owned()]));
    assert_eq!((noted.status.succeeded, told(&noted)), (None, vec!["untrack a".to_owned(), "create 2".to_owned()]));
    // The same look again, as after a crash, changes nothing.
    let status = serde_json::to_value(&noted.status).unwrap();
    let again = planned(job(json!({"status": status})), vec![worker("a", 's', true, None)], 100);
    assert_eq!(again.status, noted.status);
    // Its finalizer is gone: now it counts.
    let counted = planned(job(json!({"status": status})), vec![worker("a", 's', false, None)], 100);
    assert_eq!((counted.status.succeeded, told(&counted)), (Some(1), vec!["create 2".to_owned()]));
    // A pod that is gone altogether counts as well.
    let counted = planned(job(json!({"status": status})), vec![], 100);
    assert_eq!(counted.status.succeeded, Some(1));
    let status = serde_json::to_value(&counted.status).unwrap();
    assert_eq!(
        planned(job(json!({"status": status})), vec![worker("a", 's', false, None)], 100).status.succeeded,
        Some(1)
    );
}

#[test]
fn enough_successes_end_the_job() {
    let nearly = planned(
        job(json!({"status": {"succeeded": 2}})),
        vec![worker("a", 's', true, None), worker("b", 'r', true, None)],
        100,
    );
    assert_eq!(told(&nearly), ["untrack a", "delete b"]);
    assert_eq!(conditions(&nearly), ["SuccessCriteriaMet CompletionsReached"]);
    let status = serde_json::to_value(&nearly.status).unwrap();
    let done = planned(job(json!({"status": status})), vec![worker("a", 's', false, None)], 101);
    assert_eq!(conditions(&done), ["SuccessCriteriaMet CompletionsReached", "Complete CompletionsReached"]);
    assert_eq!((done.status.succeeded, done.status.completion_time.is_some()), (Some(3), true));
    assert_eq!(done.news[0].reason, "Completed");
}

#[test]
fn failures_wait_and_then_end_the_job() {
    let one = planned(job(json!({})), vec![worker("a", 'f', true, None)], 32);
    assert_eq!((told(&one), one.wake), (vec!["untrack a".to_owned()], Some(Duration::from_secs(8))));
    let two = planned(job(json!({})), vec![worker("a", 'f', false, None), worker("b", 'f', false, None)], 32);
    assert_eq!(two.wake, Some(Duration::from_secs(18)));
    let waited = planned(job(json!({})), vec![worker("a", 'f', false, None)], 40);
    assert_eq!(told(&waited), ["create 2"]);
    let too_many = planned(
        job(json!({"status": {"failed": 2}})),
        vec![worker("c", 'f', true, None), worker("d", 'r', true, None)],
        100,
    );
    assert_eq!(conditions(&too_many), ["FailureTarget BackoffLimitExceeded"]);
    assert_eq!(told(&too_many), ["untrack c", "delete d"]);
    let status = serde_json::to_value(&too_many.status).unwrap();
    let ended = planned(job(json!({"status": status})), vec![], 101);
    assert_eq!(conditions(&ended), ["FailureTarget BackoffLimitExceeded", "Failed BackoffLimitExceeded"]);
}

#[test]
fn a_deadline_ends_the_job_and_is_waited_for() {
    let deadline = json!({"spec": {"activeDeadlineSeconds": 60}});
    assert_eq!(planned(job(deadline.clone()), vec![], 50).wake, Some(Duration::from_secs(10)));
    let late = planned(job(deadline), vec![worker("a", 'r', true, None)], 60);
    assert_eq!(
        (conditions(&late), told(&late)),
        (vec!["FailureTarget DeadlineExceeded".to_owned()], vec!["delete a".to_owned()])
    );
}

#[test]
fn indexes_are_handed_out_once_each() {
    let indexed = json!({"spec": {"completionMode": "Indexed", "completions": 4, "parallelism": 3}, "status": {"completedIndexes": "1"}});
    let pods = vec![worker("a", 'r', true, Some(0)), worker("b", 's', true, Some(2))];
    let plan = planned(job(indexed), pods, 100);
    assert_eq!(told(&plan), ["untrack b", "create 3"]);
    assert_eq!(plan.status.completed_indexes.as_deref(), Some("1,2"));
}

#[test]
fn an_index_fails_alone() {
    let per_index =
        json!({"spec": {"completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimitPerIndex": 0}});
    let pods = vec![worker("a", 'f', true, Some(0)), worker("b", 'r', true, Some(1))];
    let plan = planned(job(per_index), pods, 100);
    assert_eq!((told(&plan), plan.status.failed_indexes.as_deref()), (vec!["untrack a".to_owned()], Some("0")));
    assert!(conditions(&plan).is_empty());
}

#[test]
fn a_success_policy_ends_the_job_early() {
    let policy = json!({"spec": {"completionMode": "Indexed", "successPolicy": {"rules": [{"succeededIndexes": "0", "succeededCount": 1}]}},
                        "status": {"completedIndexes": "0"}});
    let plan = planned(job(policy), vec![worker("b", 'r', true, Some(1))], 100);
    assert_eq!(
        (conditions(&plan), told(&plan)),
        (vec!["SuccessCriteriaMet SuccessPolicy".to_owned()], vec!["delete b".to_owned()])
    );
}

#[test]
fn suspension_starts_the_clock_anew() {
    let suspended = planned(job(json!({"spec": {"suspend": true}})), vec![], 100);
    assert_eq!(
        (conditions(&suspended), suspended.status.start_time.clone()),
        (vec!["Suspended JobSuspended".to_owned()], None)
    );
    let status = serde_json::to_value(&suspended.status).unwrap();
    let resumed = planned(job(json!({"status": status})), vec![], 200);
    assert_eq!(resumed.status.start_time.as_ref().map(|time| time.0), Some(at(200)));
    assert!(conditions(&resumed).is_empty());
}

#[test]
fn a_finished_job_goes_after_its_time() {
    let condition = json!([{"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:01:00Z"}]);
    let finished = json!({"spec": {"ttlSecondsAfterFinished": 30}, "status": {"conditions": condition}});
    assert_eq!(planned(job(finished.clone()), vec![], 80).wake, Some(Duration::from_secs(10)));
    assert_eq!(told(&planned(job(finished), vec![], 90)), ["delete job"]);
}

#[test]
fn restarts_of_containers_count_against_the_limit() {
    let on_failure = json!({"spec": {"template": {"spec": {"restartPolicy": "OnFailure", "containers": []}}}});
    let restarted = json!([{"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 2}]);
    let mut value = json!({"metadata": {"finalizers": [TRACKING]}, "status": {"phase": "Running"}});
    merge(&mut value, json!({"status": {"containerStatuses": restarted}}));
    let plan = planned(job(on_failure), vec![pod("a", value)], 100);
    assert_eq!(conditions(&plan), ["FailureTarget BackoffLimitExceeded"]);
}
