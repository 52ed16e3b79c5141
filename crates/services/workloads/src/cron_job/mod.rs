//! Starts Jobs by a schedule.

mod plan;
mod schedule;

use std::sync::Arc;

use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job};
use maru_client::ReconcileError;
use maru_time::{SharedClock, Timestamp};

use self::plan::{Action, Observed, note_started, plan};
use crate::machinery::{Done, EventType, ExecuteError, Key, Kind, MetaExt as _, Reconcile, Recorder, is_controlled_by};

/// Starts Jobs by a schedule.
#[derive(Debug)]
pub(crate) struct CronJobs {
    pub(crate) cron_jobs: Kind<CronJob>,
    pub(crate) jobs: Kind<Job>,
    pub(crate) recorder: Recorder,
    pub(crate) clock: SharedClock,
}

impl Reconcile for CronJobs {
    const NAME: &'static str = "cronjob";

    async fn reconcile(&self, key: &Key) -> Result<Done, ReconcileError> {
        let Some(cron_job) = self.cron_jobs.get(key) else { return Ok(Done::Gone) };
        match self.look(&cron_job).await {
            Ok(done) => Ok(done),
            Err(error) if error.is_namespace_ending() => Ok(Done::Settled),
            Err(error) => Err(error.into()),
        }
    }
}

impl CronJobs {
    async fn look(&self, cron_job: &Arc<CronJob>) -> Result<Done, ExecuteError> {
        let mut jobs = self.jobs.in_namespace(cron_job.namespace());
        jobs.retain(|job| is_controlled_by(job.as_ref(), cron_job.uid()));
        let zone = cron_job.spec.time_zone.as_deref();
        let zone = match zone {
            None | Some("" | "UTC" | "Etc/UTC") => Some(TimeZone::UTC),
            Some(name) => maru_time::zone(name),
        };
        let plan = plan(&Observed { cron_job: Arc::clone(cron_job), jobs, zone }, self.clock.now());
        for news in &plan.news {
            let event_type = if news.is_problem { EventType::Warning } else { EventType::Normal };
            self.recorder.record(cron_job.as_ref(), event_type, news.reason, news.message.clone());
        }
        let mut status = plan.status;
        for action in &plan.actions {
            if let Some((job, scheduled_at)) = self.execute(cron_job, action).await? {
                note_started(&mut status, &job, scheduled_at);
            }
        }
        self.write_status(cron_job, status).await?;
        Ok(Done::after(plan.wake))
    }

    async fn execute(
        &self,
        cron_job: &CronJob,
        action: &Action,
    ) -> Result<Option<(Arc<Job>, Timestamp)>, ExecuteError> {
        match action {
            Action::Forget(job) | Action::Replace(job) => {
                self.jobs.delete(job).await?;
                self.recorder.normal(cron_job, "SuccessfulDelete", format!("Deleted job {}", job.name()));
                Ok(None)
            }
            Action::Start { job, scheduled_at } => match self.jobs.create(job).await {
                Ok(created) => {
                    self.recorder.normal(cron_job, "SuccessfulCreate", format!("Created job {}", created.name()));
                    Ok(Some((created, *scheduled_at)))
                }
                Err(error) if error.is_already_exists() => {
                    let there = self.jobs.read(&Key::of(job.as_ref())).await?;
                    let is_ours = there.filter(|there| is_controlled_by(there, cron_job.uid()));
                    is_ours.map(|there| Some((Arc::new(there), *scheduled_at))).ok_or(error)
                }
                Err(error) => {
                    if !error.is_namespace_ending() {
                        self.recorder.warning(
                            cron_job,
                            "FailedCreate",
                            format!("Error creating job: {}", error.message()),
                        );
                    }
                    Err(error)
                }
            },
        }
    }

    async fn write_status(&self, cron_job: &CronJob, status: CronJobStatus) -> Result<(), ExecuteError> {
        if cron_job.status.clone().unwrap_or_default() == status {
            return Ok(());
        }
        match self.cron_jobs.replace_status(&CronJob { status: Some(status), ..cron_job.clone() }).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }
}
