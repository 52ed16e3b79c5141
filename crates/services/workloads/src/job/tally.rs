//! Counts the pods of a Job: each exactly once, and what their failures mean for the next try.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::UncountedTerminatedPods;
use k8s_openapi::api::core::v1::Pod;
use maru_time::Timestamp;

use super::indexes;
use super::plan::{Action, Planner, TRACKING, index_of, length};
use super::policy::{Verdict, verdict};
use crate::machinery::MetaExt as _;
use crate::pods::phase;

const BACKOFF_FIRST: Duration = Duration::from_secs(10);
const BACKOFF_CAP: Duration = Duration::from_secs(600);

/// How a pod counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Active,
    /// On its way out, and not counted before it has ended.
    Ending,
    Succeeded,
    Failed,
}

impl Planner<'_> {
    pub(super) fn replaces_only_failed(&self) -> bool {
        self.spec.pod_replacement_policy.as_deref() == Some("Failed") || self.spec.pod_failure_policy.is_some()
    }

    pub(super) fn fate(&self, pod: &Pod) -> Fate {
        match phase(pod) {
            "Succeeded" => Fate::Succeeded,
            "Failed" => Fate::Failed,
            _ if pod.is_deleting() && self.replaces_only_failed() => Fate::Ending,
            // It may never get to tell that it has ended.
            _ if pod.is_deleting() => Fate::Failed,
            _ => Fate::Active,
        }
    }

    pub(super) fn with_fate(&self, fate: Fate) -> Vec<Arc<Pod>> {
        self.observed.pods.iter().filter(|pod| self.fate(pod) == fate).cloned().collect()
    }

    /// Moves pods that have ended into the counts: first their uids are noted, then their finalizers go, then they
    /// are added up. A crash between leaves nothing counted twice.
    pub(super) fn count(&mut self) {
        let noted = self.plan.status.uncounted_terminated_pods.take().unwrap_or_default();
        let (mut succeeded, mut failed) = (noted.succeeded.unwrap_or_default(), noted.failed.unwrap_or_default());
        let tracked =
            |uid: &String| self.observed.pods.iter().any(|pod| pod.uid() == uid && pod.has_finalizer(TRACKING));
        let counted = |uids: &mut Vec<String>| {
            let before = uids.len();
            uids.retain(|uid| tracked(uid));
            i32::try_from(before - uids.len()).unwrap_or(i32::MAX)
        };
        let (more_succeeded, more_failed) = (counted(&mut succeeded), counted(&mut failed));
        let mut done = self.done_indexes();
        for pod in self.observed.pods.iter().filter(|pod| pod.has_finalizer(TRACKING)) {
            let fate = self.fate(pod);
            let uid = pod.uid().to_owned();
            match fate {
                Fate::Active | Fate::Ending => continue,
                Fate::Succeeded => {
                    let index = index_of(pod);
                    let is_new = !self.is_indexed() || index.is_some_and(|index| done.insert(index));
                    if !succeeded.contains(&uid) && is_new {
                        succeeded.push(uid);
                    }
                }
                Fate::Failed => {
                    if !failed.contains(&uid) && verdict(&self.observed.job, pod) != Verdict::Ignore {
                        failed.push(uid);
                    }
                }
            }
            self.plan.actions.push(Action::Untrack(Arc::clone(pod)));
        }
        let status = &mut self.plan.status;
        add(&mut status.succeeded, more_succeeded);
        add(&mut status.failed, more_failed);
        if self.spec.completion_mode.as_deref() == Some("Indexed") {
            status.completed_indexes = Some(indexes::format(&done)).filter(|text| !text.is_empty());
        }
        let some = |uids: Vec<String>| (!uids.is_empty()).then_some(uids);
        status.uncounted_terminated_pods =
            Some(UncountedTerminatedPods { failed: some(failed), succeeded: some(succeeded) });
    }

    pub(super) fn done_indexes(&self) -> BTreeSet<i32> {
        let text = self.plan.status.completed_indexes.as_deref().unwrap_or_default();
        indexes::parse(text, self.completions().unwrap_or(0))
    }

    pub(super) fn succeeded(&self) -> i32 {
        if self.is_indexed() {
            return length(self.done_indexes().len());
        }
        let noted = self.plan.status.uncounted_terminated_pods.as_ref().and_then(|noted| noted.succeeded.as_ref());
        self.plan.status.succeeded.unwrap_or(0) + length(noted.map_or(0, Vec::len))
    }

    pub(super) fn failed(&self) -> i32 {
        let noted = self.plan.status.uncounted_terminated_pods.as_ref().and_then(|noted| noted.failed.as_ref());
        self.plan.status.failed.unwrap_or(0) + length(noted.map_or(0, Vec::len))
    }

    /// Indexes that have failed more often than one index may.
    pub(super) fn failed_indexes(&self) -> BTreeSet<i32> {
        let mut failed = BTreeSet::new();
        let Some(limit) = self.spec.backoff_limit_per_index else { return failed };
        let pods = self.with_fate(Fate::Failed);
        for index in pods.iter().filter_map(|pod| index_of(pod)) {
            let of_index: Vec<Verdict> = pods
                .iter()
                .filter(|pod| index_of(pod) == Some(index))
                .map(|pod| verdict(&self.observed.job, pod))
                .collect();
            let counted = of_index.iter().filter(|verdict| **verdict == Verdict::Count).count();
            if length(counted) > limit || of_index.contains(&Verdict::FailIndex) {
                failed.insert(index);
            }
        }
        let known = self.plan.status.failed_indexes.as_deref().unwrap_or_default();
        failed.extend(indexes::parse(known, self.completions().unwrap_or(0)));
        failed
    }

    /// How long to wait before the next try: doubling with each failure since the last success.
    pub(super) fn backoff_rest(&self) -> Option<Duration> {
        let last_success = self.with_fate(Fate::Succeeded).iter().map(|pod| ended_at(pod)).max();
        let failures: Vec<Timestamp> = self
            .with_fate(Fate::Failed)
            .iter()
            .filter(|pod| verdict(&self.observed.job, pod) != Verdict::Ignore)
            .map(|pod| ended_at(pod))
            .filter(|at| last_success.is_none_or(|success| *at > success))
            .collect();
        let last = failures.iter().max()?;
        let doublings = u32::try_from(failures.len() - 1).unwrap_or(u32::MAX).min(10);
        let delay = BACKOFF_FIRST.saturating_mul(1 << doublings).min(BACKOFF_CAP);
        let waited = Duration::try_from(self.now.duration_since(*last)).unwrap_or(Duration::ZERO);
        delay.checked_sub(waited).filter(|rest| !rest.is_zero())
    }
}

fn add(count: &mut Option<i32>, more: i32) {
    if more > 0 {
        *count = Some(count.unwrap_or(0).saturating_add(more));
    }
}

/// Returns when the pod's last container ended, as far as it is told.
fn ended_at(pod: &Pod) -> Timestamp {
    let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let ends = containers.filter_map(|container| container.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref());
    let deletion = pod.metadata.deletion_timestamp.as_ref();
    ends.chain(deletion).map(|time| time.0).max().unwrap_or_else(|| pod.created_at())
}
