//! Decides which pods of a Job come and go, and what its status says.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use maru_time::Timestamp;

use super::indexes;
use super::policy::{Verdict, verdict};
use super::tally::Fate;
use crate::machinery::{MetaExt as _, condition_time};
use crate::pods::{is_finished, is_ready, phase};

/// Holds a pod until it is counted.
pub(crate) const TRACKING: &str = "batch.kubernetes.io/job-tracking";
pub(crate) const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// Pods made in one look.
const BURST_MAX: usize = 500;

/// What is there.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) job: Arc<Job>,
    pub(crate) pods: Vec<Arc<Pod>>,
}

/// One step, after the status is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Lets a pod go that is counted.
    Untrack(Arc<Pod>),
    /// Makes one pod for each entry; with its index when the Job has indexes.
    Create(Vec<Option<i32>>),
    /// Ends a pod; it counts as failed.
    Delete(Arc<Pod>),
    /// Ends a pod that is not needed now; it does not count.
    Withdraw(Arc<Pod>),
    /// The Job's time after its end is over.
    DeleteJob,
}

/// What happened to the Job, to be told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) is_problem: bool,
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// What to do next.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) status: JobStatus,
    pub(crate) actions: Vec<Action>,
    pub(crate) news: Vec<News>,
    /// When to look again without a change.
    pub(crate) wake: Option<Duration>,
}

/// Decides what to do next. Pure: same inputs, same plan.
pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Plan {
    let job = observed.job.as_ref();
    let status = job.status.clone().unwrap_or_default();
    let Some(spec) = &job.spec else { return Plan { status, ..Plan::default() } };
    if job.is_deleting() {
        let actions =
            observed.pods.iter().filter(|pod| pod.has_finalizer(TRACKING)).cloned().map(Action::Untrack).collect();
        return Plan { status, actions, ..Plan::default() };
    }
    let mut planner = Planner { spec, observed, now, plan: Plan { status, ..Plan::default() } };
    if is_finished_job(&planner.plan.status) {
        planner.after_the_end();
    } else {
        planner.look();
    }
    planner.plan
}

/// Tells whether the Job has ended, well or not.
pub(crate) fn is_finished_job(status: &JobStatus) -> bool {
    has_condition(status, "Complete") || has_condition(status, "Failed")
}

fn has_condition(status: &JobStatus, kind: &str) -> bool {
    condition(status, kind).is_some_and(|condition| condition.status == "True")
}

fn condition<'a>(status: &'a JobStatus, kind: &str) -> Option<&'a JobCondition> {
    status.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

/// Returns the completion index that a pod was made for.
pub(crate) fn index_of(pod: &Pod) -> Option<i32> {
    pod.annotation(INDEX).and_then(|text| text.parse().ok())
}

/// Why a Job ends before its time.
struct Failure {
    reason: &'static str,
    message: String,
}

pub(super) struct Planner<'a> {
    pub(super) spec: &'a JobSpec,
    pub(super) observed: &'a Observed,
    pub(super) now: Timestamp,
    pub(super) plan: Plan,
}

impl Planner<'_> {
    pub(super) fn is_indexed(&self) -> bool {
        self.spec.completion_mode.as_deref() == Some("Indexed")
    }

    fn is_suspended(&self) -> bool {
        self.spec.suspend.unwrap_or(false)
    }

    pub(super) fn completions(&self) -> Option<i32> {
        self.spec.completions
    }

    fn look(&mut self) {
        self.count();
        let active = self.with_fate(Fate::Active);
        self.note_suspension(!active.is_empty());
        let failure = self.failure(&active);
        let is_failing = has_condition(&self.plan.status, "FailureTarget");
        if let Some(failure) = failure.filter(|_| !is_failing) {
            self.set_condition("FailureTarget", failure.reason, &failure.message);
        }
        if has_condition(&self.plan.status, "FailureTarget") {
            self.end(&active, "Failed");
        } else if has_condition(&self.plan.status, "SuccessCriteriaMet") || self.is_complete(&active) {
            if !has_condition(&self.plan.status, "SuccessCriteriaMet") {
                let reason = if self.meets_success_policy() { "SuccessPolicy" } else { "CompletionsReached" };
                self.set_condition("SuccessCriteriaMet", reason, "Reached expected number of succeeded pods");
            }
            self.end(&active, "Complete");
        } else {
            self.manage(&active);
        }
        self.write_counts(&active);
        self.wake_at_deadline();
    }

    fn failure(&self, active: &[Arc<Pod>]) -> Option<Failure> {
        let of_policy = self.with_fate(Fate::Failed).iter().find_map(|pod| match verdict(&self.observed.job, pod) {
            Verdict::FailJob(message) => Some(Failure { reason: "PodFailurePolicy", message }),
            Verdict::Count | Verdict::Ignore | Verdict::FailIndex => None,
        });
        of_policy.or_else(|| self.limit_failure(active)).or_else(|| {
            let is_late = !self.is_suspended() && self.deadline_rest().is_some_and(|rest| rest.is_zero());
            is_late.then(|| Failure {
                reason: "DeadlineExceeded",
                message: "Job was active longer than specified deadline".to_owned(),
            })
        })
    }

    fn limit_failure(&self, active: &[Arc<Pod>]) -> Option<Failure> {
        let exceeded = || Failure {
            reason: "BackoffLimitExceeded",
            message: "Job has reached the specified backoff limit".to_owned(),
        };
        if self.spec.backoff_limit_per_index.is_some() {
            return self.index_failure(active);
        }
        let limit = self.spec.backoff_limit.unwrap_or(6);
        if self.failed() > limit {
            return Some(exceeded());
        }
        let restart_policy = self.spec.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
        if restart_policy != Some("OnFailure") {
            return None;
        }
        let restarts: i32 = active.iter().map(|pod| restarts_of_all(pod)).sum();
        (restarts > 0 && restarts >= limit).then(exceeded)
    }

    fn index_failure(&self, active: &[Arc<Pod>]) -> Option<Failure> {
        let failed = self.failed_indexes();
        if self.spec.max_failed_indexes.is_some_and(|most| length(failed.len()) > most) {
            let message = "Job has exceeded the specified maximal number of failed indexes".to_owned();
            return Some(Failure { reason: "MaxFailedIndexesExceeded", message });
        }
        let is_through = length(failed.len()) + self.succeeded() >= self.completions().unwrap_or(0);
        (!failed.is_empty() && active.is_empty() && is_through)
            .then(|| Failure { reason: "FailedIndexes", message: "Job has failed indexes".to_owned() })
    }

    fn is_complete(&self, active: &[Arc<Pod>]) -> bool {
        match self.completions() {
            Some(wanted) => self.succeeded() >= wanted || self.meets_success_policy(),
            // One success says that the work is done; the others finish theirs.
            None => self.succeeded() > 0 && active.is_empty(),
        }
    }

    fn meets_success_policy(&self) -> bool {
        let Some(policy) = self.spec.success_policy.as_ref().filter(|_| self.is_indexed()) else { return false };
        let done = self.done_indexes();
        policy.rules.iter().any(|rule| {
            let named =
                rule.succeeded_indexes.as_deref().map(|text| indexes::parse(text, self.completions().unwrap_or(0)));
            let counted = named.as_ref().map_or(done.len(), |named| named.intersection(&done).count());
            let needed = rule.succeeded_count.or_else(|| named.as_ref().map(|named| length(named.len())));
            needed.is_some_and(|needed| length(counted) >= needed)
        })
    }

    fn note_suspension(&mut self, has_active: bool) {
        let was_suspended = has_condition(&self.plan.status, "Suspended");
        if self.is_suspended() {
            if !was_suspended {
                self.set_condition("Suspended", "JobSuspended", "Job suspended");
                self.tell(false, "Suspended", "Job suspended");
            }
            if !has_active {
                self.plan.status.start_time = None;
            }
            return;
        }
        if was_suspended {
            self.write_condition("Suspended", "False", "JobResumed", "Job resumed");
            self.tell(false, "Resumed", "Job resumed");
            self.plan.status.start_time = None;
        }
        if self.plan.status.start_time.is_none() {
            self.plan.status.start_time = Some(condition_time(self.now));
        }
    }

    /// Ends all pods; when they are gone and counted, the Job has ended.
    fn end(&mut self, active: &[Arc<Pod>], last: &str) {
        self.plan.actions.extend(active.iter().cloned().map(Action::Delete));
        let ending = self.observed.pods.iter().any(|pod| pod.is_deleting() && !is_finished(pod));
        let noted = self.plan.status.uncounted_terminated_pods.clone().unwrap_or_default();
        if !active.is_empty() || ending || noted.failed.is_some() || noted.succeeded.is_some() {
            return;
        }
        let target = if last == "Failed" { "FailureTarget" } else { "SuccessCriteriaMet" };
        let found = condition(&self.plan.status, target).cloned();
        let (reason, message) = found
            .map_or_else(Default::default, |one| (one.reason.unwrap_or_default(), one.message.unwrap_or_default()));
        self.set_condition(last, &reason, &message);
        if last == "Complete" {
            self.plan.status.completion_time = Some(condition_time(self.now));
            self.tell(false, "Completed", "Job completed");
        } else {
            self.tell(true, &reason, &message);
        }
        self.wake_for_removal();
    }

    /// Makes missing pods and withdraws surplus ones.
    fn manage(&mut self, active: &[Arc<Pod>]) {
        let wanted = if self.is_suspended() { 0 } else { self.wanted_active(length(active.len())) };
        let have = length(active.len());
        if have > wanted {
            let surplus = usize::try_from(have - wanted).unwrap_or(0);
            let mut pods = active.to_vec();
            pods.sort_by_key(|pod| {
                (is_ready(pod), phase(pod) == "Running", std::cmp::Reverse(pod.created_at()), pod.name().to_owned())
            });
            self.plan.actions.extend(pods.into_iter().take(surplus).map(Action::Withdraw));
            return;
        }
        let ending = length(self.with_fate(Fate::Ending).len());
        let missing = usize::try_from(wanted - have - ending).unwrap_or(0).min(BURST_MAX);
        if missing == 0 {
            return;
        }
        if let Some(rest) = self.backoff_rest() {
            self.wake(rest);
            return;
        }
        let entries = if self.is_indexed() {
            self.free_indexes(active).take(missing).map(Some).collect()
        } else {
            vec![None; missing]
        };
        if !entries.is_empty() {
            self.plan.actions.push(Action::Create(entries));
        }
    }

    fn wanted_active(&self, active: i32) -> i32 {
        let parallelism = self.spec.parallelism.unwrap_or(1).max(0);
        match self.completions() {
            Some(completions) => {
                let failed = length(self.failed_indexes().len());
                (completions - self.succeeded() - failed).clamp(0, parallelism)
            }
            // Who works may finish; nobody new begins.
            None if self.succeeded() > 0 => active.min(parallelism),
            None => parallelism,
        }
    }

    fn free_indexes(&self, active: &[Arc<Pod>]) -> impl Iterator<Item = i32> + use<> {
        let mut taken = self.done_indexes();
        taken.extend(self.failed_indexes());
        taken.extend(active.iter().filter_map(|pod| index_of(pod)));
        taken.extend(self.with_fate(Fate::Ending).iter().filter_map(|pod| index_of(pod)));
        (0..self.completions().unwrap_or(0)).filter(move |index| !taken.contains(index))
    }

    fn deadline_rest(&self) -> Option<Duration> {
        let seconds = u64::try_from(self.spec.active_deadline_seconds?).ok()?;
        let start = self.plan.status.start_time.as_ref()?.0;
        let active = Duration::try_from(self.now.duration_since(start)).unwrap_or(Duration::ZERO);
        Some(Duration::from_secs(seconds).saturating_sub(active))
    }

    fn wake_at_deadline(&mut self) {
        let runs = !self.is_suspended() && !is_finished_job(&self.plan.status);
        if let Some(rest) = self.deadline_rest().filter(|rest| runs && !rest.is_zero()) {
            self.wake(rest);
        }
    }

    fn write_counts(&mut self, active: &[Arc<Pod>]) {
        let some = |count: usize| (count != 0).then(|| length(count));
        let ended = is_finished_job(&self.plan.status);
        let ending = self.observed.pods.iter().filter(|pod| pod.is_deleting() && !is_finished(pod)).count();
        let failed_indexes = self.failed_indexes();
        let status = &mut self.plan.status;
        status.active = if ended { None } else { some(active.len()) };
        status.ready = Some(length(active.iter().filter(|pod| is_ready(pod)).count()));
        status.terminating = Some(length(ending));
        if self.spec.backoff_limit_per_index.is_some() {
            status.failed_indexes = Some(indexes::format(&failed_indexes));
        }
    }

    /// Lets the last pods go, and the Job when its time after the end is over.
    fn after_the_end(&mut self) {
        let tracked = self.observed.pods.iter().filter(|pod| pod.has_finalizer(TRACKING));
        self.plan.actions.extend(tracked.cloned().map(Action::Untrack));
        self.wake_for_removal();
    }

    fn wake_for_removal(&mut self) {
        let Some(seconds) = self.spec.ttl_seconds_after_finished.and_then(|seconds| u64::try_from(seconds).ok()) else {
            return;
        };
        let status = &self.plan.status;
        let end =
            condition(status, "Complete").filter(|one| one.status == "True").or_else(|| condition(status, "Failed"));
        let Some(at) = end.and_then(|end| end.last_transition_time.as_ref()).map(|time| time.0) else { return };
        let passed = Duration::try_from(self.now.duration_since(at)).unwrap_or(Duration::ZERO);
        match Duration::from_secs(seconds).checked_sub(passed).filter(|rest| !rest.is_zero()) {
            Some(rest) => self.wake(rest),
            None => self.plan.actions.push(Action::DeleteJob),
        }
    }

    fn wake(&mut self, rest: Duration) {
        self.plan.wake = Some(self.plan.wake.map_or(rest, |wake| wake.min(rest)));
    }

    fn tell(&mut self, is_problem: bool, reason: &str, message: &str) {
        self.plan.news.push(News { is_problem, reason: reason.to_owned(), message: message.to_owned() });
    }

    fn set_condition(&mut self, kind: &str, reason: &str, message: &str) {
        self.write_condition(kind, "True", reason, message);
    }

    fn write_condition(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        let now = condition_time(self.now);
        let conditions = self.plan.status.conditions.get_or_insert_default();
        conditions.retain(|one| one.type_ != kind);
        conditions.push(JobCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_probe_time: Some(now.clone()),
            last_transition_time: Some(now),
        });
    }
}

pub(super) fn length(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn restarts_of_all(pod: &Pod) -> i32 {
    let Some(status) = &pod.status else { return 0 };
    let containers = status.container_statuses.iter().flatten().chain(status.init_container_statuses.iter().flatten());
    containers.map(|container| container.restart_count).sum()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
