//! Decides which Jobs a CronJob starts and forgets.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, CronJobStatus, Job};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::ObjectMeta;
use maru_time::Timestamp;

use super::schedule::Schedule;
use crate::job::is_finished_job;
use crate::machinery::{MetaExt as _, controller_reference};

const SCHEDULED_AT: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/// So many missed times mean that the clock was wrong or that nobody was here for long.
const MISSED_MAX: usize = 100;

/// What is there.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) cron_job: Arc<CronJob>,
    /// The Jobs that it controls.
    pub(crate) jobs: Vec<Arc<Job>>,
    /// The zone that its schedule means; none when there is no such zone.
    pub(crate) zone: Option<TimeZone>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Removes a Job beyond the history limit.
    Forget(Arc<Job>),
    /// Ends a Job whose successor is due.
    Replace(Arc<Job>),
    Start {
        job: Box<Job>,
        scheduled_at: Timestamp,
    },
}

/// What happened, to be told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) is_problem: bool,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// What to do next.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) status: CronJobStatus,
    pub(crate) actions: Vec<Action>,
    pub(crate) news: Vec<News>,
    pub(crate) wake: Option<Duration>,
}

/// Decides what to do next. Pure: same inputs, same plan.
pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Plan {
    let cron_job = observed.cron_job.as_ref();
    let mut plan = Plan { status: cron_job.status.clone().unwrap_or_default(), ..Plan::default() };
    let spec = &cron_job.spec;
    if cron_job.is_deleting() {
        return plan;
    }
    update_active(&mut plan, &observed.jobs);
    forget_old(&mut plan, spec, &observed.jobs);
    if spec.suspend.unwrap_or(false) {
        return plan;
    }
    let schedule = match (Schedule::parse(&spec.schedule), &observed.zone) {
        (Ok(schedule), Some(_)) => schedule,
        (Ok(_), None) => {
            let zone = spec.time_zone.clone().unwrap_or_default();
            plan.tell(true, "UnknownTimeZone", format!("invalid timeZone: \"{zone}\""));
            return plan;
        }
        (Err(error), _) => {
            plan.tell(true, "UnparseableSchedule", format!("unparseable schedule: \"{}\": {error}", spec.schedule));
            return plan;
        }
    };
    let zone = observed.zone.clone().unwrap_or(TimeZone::UTC);
    start_due(&mut plan, observed, spec, &Timetable { schedule, zone, now });
    plan
}

impl Plan {
    fn tell(&mut self, is_problem: bool, reason: &'static str, message: String) {
        self.news.push(News { is_problem, reason, message });
    }
}

/// Brings the list of running Jobs up to date.
fn update_active(plan: &mut Plan, jobs: &[Arc<Job>]) {
    let known = plan.status.active.take().unwrap_or_default();
    let mut active = Vec::new();
    for reference in known {
        match jobs.iter().find(|job| Some(job.uid()) == reference.uid.as_deref()) {
            None => {
                let name = reference.name.clone().unwrap_or_default();
                plan.tell(false, "MissingJob", format!("Active job went missing: {name}"));
            }
            Some(job) if is_ended(job) => {
                let end = if ended_with(job, "Complete") { "Complete" } else { "Failed" };
                plan.tell(false, "SawCompletedJob", format!("Saw completed job: {}, condition: {end}", job.name()));
            }
            Some(_) => active.push(reference),
        }
    }
    // Started before a crash, and not noted.
    for job in jobs.iter().filter(|job| !is_ended(job)) {
        if !active.iter().any(|known| known.uid.as_deref() == Some(job.uid())) {
            active.push(reference_to(job));
        }
    }
    let completions = jobs.iter().filter(|job| ended_with(job, "Complete"));
    let last = completions.filter_map(|job| job.status.as_ref()?.completion_time.as_ref()).map(|time| time.0).max();
    let known = plan.status.last_successful_time.as_ref().map(|time| time.0);
    plan.status.last_successful_time = last.max(known).map(Time);
    plan.status.active = (!active.is_empty()).then_some(active);
}

fn reference_to(job: &Job) -> ObjectReference {
    ObjectReference {
        api_version: Some("batch/v1".to_owned()),
        kind: Some("Job".to_owned()),
        namespace: job.metadata.namespace.clone(),
        name: job.metadata.name.clone(),
        uid: job.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

fn is_ended(job: &Job) -> bool {
    job.status.as_ref().is_some_and(is_finished_job)
}

fn ended_with(job: &Job, kind: &str) -> bool {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.clone().any(|condition| condition.type_ == kind && condition.status == "True")
}

fn forget_old(plan: &mut Plan, spec: &CronJobSpec, jobs: &[Arc<Job>]) {
    let limits = [
        ("Complete", spec.successful_jobs_history_limit.unwrap_or(3)),
        ("Failed", spec.failed_jobs_history_limit.unwrap_or(1)),
    ];
    for (kind, limit) in limits {
        let mut ended: Vec<&Arc<Job>> = jobs.iter().filter(|job| ended_with(job, kind) && !job.is_deleting()).collect();
        ended.sort_by_key(|job| {
            (
                job.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0),
                job.name().to_owned(),
            )
        });
        let surplus = ended.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        plan.actions.extend(ended.into_iter().take(surplus).cloned().map(Action::Forget));
    }
}

struct Timetable {
    schedule: Schedule,
    zone: TimeZone,
    now: Timestamp,
}

fn start_due(plan: &mut Plan, observed: &Observed, spec: &CronJobSpec, table: &Timetable) {
    let cron_job = observed.cron_job.as_ref();
    let since = plan.status.last_schedule_time.as_ref().map_or_else(|| cron_job.created_at(), |time| time.0);
    let next = table.schedule.next(since, table.now, &table.zone);
    plan.wake = next.and_then(|next| Duration::try_from(next.duration_since(table.now)).ok());
    let Some(due) = table.schedule.last(since, table.now, &table.zone) else { return };
    if missed(table, since) > MISSED_MAX && spec.starting_deadline_seconds.is_none() {
        let advice = "Set or decrease .spec.startingDeadlineSeconds or check clock skew";
        plan.tell(true, "TooManyMissedTimes", format!("too many missed start times. {advice}"));
    }
    let late = table.now.as_second().saturating_sub(due.as_second());
    if spec.starting_deadline_seconds.is_some_and(|deadline| late > deadline) {
        plan.tell(true, "MissSchedule", format!("Missed scheduled time to start a job: {due}"));
        // Noted, so that it is told once.
        plan.status.last_schedule_time = Some(Time(due));
        return;
    }
    let running: Vec<&Arc<Job>> = observed.jobs.iter().filter(|job| !is_ended(job)).collect();
    let policy = spec.concurrency_policy.as_deref().unwrap_or("Allow");
    if policy == "Forbid" && !running.is_empty() {
        plan.tell(
            false,
            "JobAlreadyActive",
            "Not starting job because prior execution is running and concurrency policy is Forbid".to_owned(),
        );
        return;
    }
    if policy == "Replace" {
        plan.actions.extend(running.iter().map(|job| Action::Replace(Arc::clone(job))));
        plan.status.active = None;
    }
    let job = new_job(cron_job, spec, due, &table.zone);
    plan.actions.push(Action::Start { job: Box::new(job), scheduled_at: due });
}

fn missed(table: &Timetable, since: Timestamp) -> usize {
    let mut at = since;
    let mut count = 0;
    while count <= MISSED_MAX {
        match table.schedule.next(since, at, &table.zone).filter(|next| *next <= table.now) {
            Some(next) => at = next,
            None => break,
        }
        count += 1;
    }
    count
}

/// The Job of a scheduled time; its name follows from the time, so that it is never started twice.
fn new_job(cron_job: &CronJob, spec: &CronJobSpec, scheduled_at: Timestamp, zone: &TimeZone) -> Job {
    let meta = spec.job_template.metadata.clone().unwrap_or_default();
    let mut annotations = meta.annotations.unwrap_or_default();
    let local = scheduled_at.to_zoned(zone.clone());
    annotations
        .insert(SCHEDULED_AT.to_owned(), local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string().replace("+00:00", "Z"));
    let base: String = cron_job.name().chars().take(52).collect();
    Job {
        metadata: ObjectMeta {
            name: Some(format!("{base}-{}", scheduled_at.as_second().div_euclid(60))),
            namespace: cron_job.metadata.namespace.clone(),
            labels: meta.labels,
            annotations: Some(annotations),
            owner_references: Some(vec![controller_reference(cron_job)]),
            ..ObjectMeta::default()
        },
        spec: spec.job_template.spec.clone(),
        status: None,
    }
}

/// Notes a started Job. Pure.
pub(crate) fn note_started(status: &mut CronJobStatus, job: &Job, scheduled_at: Timestamp) {
    let active = status.active.get_or_insert_default();
    if !active.iter().any(|known| known.uid.as_deref() == Some(job.uid())) {
        active.push(reference_to(job));
    }
    status.last_schedule_time = Some(Time(scheduled_at));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::pods::tests::merge;

    fn cron_job(extra: Value) -> Arc<CronJob> {
        let mut value = json!({
            "metadata": {"name": "tick", "namespace": "shop", "uid": "c", "creationTimestamp": "2026-01-01T00:00:30Z"},
            "spec": {"schedule": "*/10 * * * *", "jobTemplate": {"spec": {"template": {}}}},
        });
        merge(&mut value, extra);
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn job(name: &str, end: Option<&str>, started: &str) -> Arc<Job> {
        let conditions = end.map(|kind| json!([{"type": kind, "status": "True"}]));
        Arc::new(
            serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}")},
                "status": {"conditions": conditions, "startTime": started, "completionTime": end.map(|_| started)},
            }))
            .unwrap(),
        )
    }

    fn planned(cron_job: Arc<CronJob>, jobs: Vec<Arc<Job>>, now: &str) -> Plan {
        plan(&Observed { cron_job, jobs, zone: Some(TimeZone::UTC) }, now.parse().unwrap())
    }

    fn told(plan: &Plan) -> Vec<String> {
        plan.actions
            .iter()
            .map(|action| match action {
                Action::Forget(job) => format!("forget {}", job.name()),
                Action::Replace(job) => format!("replace {}", job.name()),
                Action::Start { job, scheduled_at } => format!("start {} for {scheduled_at}", job.name()),
            })
            .collect()
    }

    const FIRST: &str = "start tick-29453770 for 2026-01-01T00:10:00Z";

    #[test]
    fn jobs_start_when_due_and_never_twice() {
        let early = planned(cron_job(json!({})), vec![], "2026-01-01T00:09:00Z");
        assert_eq!((told(&early), early.wake), (vec![], Some(Duration::from_secs(60))));
        let due = planned(cron_job(json!({})), vec![], "2026-01-01T00:10:01Z");
        assert_eq!(told(&due), [FIRST]);
        let started = json!({"status": {"lastScheduleTime": "2026-01-01T00:10:00Z"}});
        assert!(told(&planned(cron_job(started), vec![], "2026-01-01T00:11:00Z")).is_empty());
        // After a long absence only the last time counts.
        let late = planned(cron_job(json!({})), vec![], "2026-01-01T05:05:00Z");
        assert_eq!(told(&late), ["start tick-29454060 for 2026-01-01T05:00:00Z"]);
        assert!(
            told(&planned(cron_job(json!({"spec": {"suspend": true}})), vec![], "2026-01-01T00:11:00Z")).is_empty()
        );
    }

    #[test]
    fn the_concurrency_policy_is_kept() {
        let running = || vec![job("old", None, "2026-01-01T00:01:00Z")];
        let with = |policy: &str| {
            planned(cron_job(json!({"spec": {"concurrencyPolicy": policy}})), running(), "2026-01-01T00:10:01Z")
        };
        assert_eq!(told(&with("Allow")), [FIRST]);
        assert_eq!((told(&with("Forbid")), with("Forbid").news[0].reason), (vec![], "JobAlreadyActive"));
        assert_eq!(told(&with("Replace")), ["replace old", FIRST]);
    }

    #[test]
    fn a_missed_deadline_is_told_once() {
        let strict = json!({"spec": {"startingDeadlineSeconds": 20}});
        let missed = planned(cron_job(strict.clone()), vec![], "2026-01-01T00:11:00Z");
        assert_eq!((told(&missed), missed.news[0].reason), (vec![], "MissSchedule"));
        let mut after = json!({"status": missed.status});
        merge(&mut after, strict);
        assert!(planned(cron_job(after), vec![], "2026-01-01T00:11:10Z").news.is_empty());
    }

    #[test]
    fn history_and_active_jobs_are_kept_in_order() {
        let active = json!({"status": {"lastScheduleTime": "2026-01-01T00:10:00Z", "active": [{"name": "a", "uid": "uid-a"}, {"name": "lost", "uid": "uid-lost"}]},
                            "spec": {"successfulJobsHistoryLimit": 1}});
        let jobs = vec![
            job("a", Some("Complete"), "2026-01-01T00:03:00Z"),
            job("b", Some("Complete"), "2026-01-01T00:01:00Z"),
            job("c", Some("Failed"), "2026-01-01T00:02:00Z"),
            job("d", None, "2026-01-01T00:04:00Z"),
        ];
        let plan = planned(cron_job(active), jobs, "2026-01-01T00:11:00Z");
        assert_eq!(told(&plan), ["forget b"]);
        assert_eq!(plan.news.iter().map(|news| news.reason).collect::<Vec<_>>(), ["SawCompletedJob", "MissingJob"]);
        let names: Vec<_> = plan.status.active.iter().flatten().filter_map(|one| one.name.clone()).collect();
        assert_eq!(names, ["d"]);
        assert_eq!(
            plan.status.last_successful_time.map(|time| time.0.to_string()).as_deref(),
            Some("2026-01-01T00:03:00Z")
        );
    }

    #[test]
    fn what_cannot_be_understood_is_told() {
        let wrong = planned(cron_job(json!({"spec": {"schedule": "every day"}})), vec![], "2026-01-01T00:11:00Z");
        assert_eq!((wrong.news[0].reason, wrong.wake), ("UnparseableSchedule", None));
    }
}
