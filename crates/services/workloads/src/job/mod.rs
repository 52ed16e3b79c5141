//! Runs pods until enough of them have succeeded.

mod indexes;
mod plan;
mod policy;
mod tally;

use std::sync::Arc;

use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, Pod};
use maru_client::ReconcileError;
use maru_time::SharedClock;

pub(crate) use self::plan::is_finished_job;
use self::plan::{Action, INDEX, Observed, TRACKING, plan};
use crate::machinery::{
    Claims, Done, EventType, ExecuteError, Key, Kind, Matcher, MetaExt as _, Reconcile, claim, controller_of,
    controller_reference,
};
use crate::pods::{PodControl, adopt, from_template, generated_name, release};

const CONTROLLER: &str = "kubernetes.io/job-controller";

/// Runs pods until enough of them have succeeded.
#[derive(Debug)]
pub(crate) struct Jobs {
    pub(crate) jobs: Kind<Job>,
    pub(crate) control: PodControl,
    pub(crate) clock: SharedClock,
}

impl Reconcile for Jobs {
    const NAME: &'static str = "job";

    async fn reconcile(&self, key: &Key) -> Result<Done, ReconcileError> {
        self.free_orphans(key).await?;
        let Some(job) = self.jobs.get(key) else { return Ok(Done::Gone) };
        let manager = job.spec.as_ref().and_then(|spec| spec.managed_by.as_deref());
        if manager.is_some_and(|manager| manager != CONTROLLER) {
            return Ok(Done::Settled);
        }
        match self.look(&job).await {
            Ok(done) => Ok(done),
            Err(error) if error.is_namespace_ending() => Ok(Done::Settled),
            Err(error) => Err(error.into()),
        }
    }
}

impl Jobs {
    async fn look(&self, job: &Arc<Job>) -> Result<Done, ExecuteError> {
        let claims = self.members(job);
        self.settle_ownership(job, &claims).await?;
        let plan = plan(&Observed { job: Arc::clone(job), pods: self.members(job).owned }, self.clock.now());
        self.write_status(job, &plan.status).await?;
        for news in &plan.news {
            let event_type = if news.is_problem { EventType::Warning } else { EventType::Normal };
            self.control.recorder.record(job.as_ref(), event_type, &news.reason, news.message.clone());
        }
        for action in &plan.actions {
            self.execute(job, action).await?;
        }
        Ok(Done::after(plan.wake))
    }

    fn members(&self, job: &Job) -> Claims<Pod> {
        let pods = self.control.pods.in_namespace(job.namespace());
        match job.spec.as_ref().and_then(|spec| spec.selector.as_ref()) {
            Some(selector) => claim(job, &Matcher::new(selector), pods),
            None => Claims { owned: Vec::new(), adopt: Vec::new(), release: Vec::new() },
        }
    }

    async fn settle_ownership(&self, job: &Job, claims: &Claims<Pod>) -> Result<(), ExecuteError> {
        for pod in &claims.release {
            self.control.pods.remove_finalizer(pod, TRACKING).await?;
            release(&self.control.pods, job.uid(), pod.as_ref()).await?;
        }
        if claims.adopt.is_empty() {
            return Ok(());
        }
        let now = self.jobs.read(&Key::of(job)).await?;
        if now.is_some_and(|now| now.uid() == job.uid() && !now.is_deleting()) {
            for pod in &claims.adopt {
                adopt(&self.control.pods, job, pod.as_ref()).await?;
            }
        }
        Ok(())
    }

    /// Pods whose Job is gone wait for nobody.
    async fn free_orphans(&self, key: &Key) -> Result<(), ExecuteError> {
        let job = self.jobs.get(key);
        for pod in self.control.pods.in_namespace(&key.namespace) {
            let owner = controller_of(pod.as_ref()).filter(|owner| owner.kind == "Job" && owner.name == key.name);
            let is_orphan = owner.is_some_and(|owner| job.as_ref().is_none_or(|job| job.uid() != owner.uid));
            if is_orphan && pod.has_finalizer(TRACKING) {
                self.control.pods.remove_finalizer(&pod, TRACKING).await?;
            }
        }
        Ok(())
    }

    async fn execute(&self, job: &Arc<Job>, action: &Action) -> Result<(), ExecuteError> {
        match action {
            Action::Untrack(pod) => self.control.pods.remove_finalizer(pod, TRACKING).await,
            Action::Create(entries) => {
                let pods: Vec<Pod> = entries.iter().map(|index| new_pod(job, *index)).collect();
                self.control.create_all(job.as_ref(), &pods).await
            }
            Action::Delete(pod) => self.control.delete(job.as_ref(), pod).await,
            Action::Withdraw(pod) => {
                self.control.pods.remove_finalizer(pod, TRACKING).await?;
                self.control.delete(job.as_ref(), pod).await
            }
            Action::DeleteJob => self.jobs.delete(job).await,
        }
    }

    async fn write_status(&self, job: &Job, status: &JobStatus) -> Result<(), ExecuteError> {
        if job.status.as_ref() == Some(status) {
            return Ok(());
        }
        match self.jobs.replace_status(&Job { status: Some(status.clone()), ..job.clone() }).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Returns a pod of the Job; with an index it knows it by annotation, label, host name and environment.
fn new_pod(job: &Job, index: Option<i32>) -> Pod {
    let template = job.spec.as_ref().map(|spec| spec.template.clone()).unwrap_or_default();
    let name = index.map_or_else(|| job.name().to_owned(), |index| format!("{}-{index}", job.name()));
    let mut pod = from_template(&template, job.namespace(), generated_name(&name), controller_reference(job));
    pod.metadata.finalizers.get_or_insert_default().push(TRACKING.to_owned());
    let Some(index) = index else { return pod };
    pod.metadata.annotations.get_or_insert_default().insert(INDEX.to_owned(), index.to_string());
    pod.metadata.labels.get_or_insert_default().insert(INDEX.to_owned(), index.to_string());
    if let Some(spec) = &mut pod.spec {
        spec.hostname = Some(name);
        for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
            container.env.get_or_insert_default().push(index_variable());
        }
    }
    pod
}

fn index_variable() -> EnvVar {
    let field = ObjectFieldSelector { api_version: None, field_path: format!("metadata.annotations['{INDEX}']") };
    EnvVar {
        name: "JOB_COMPLETION_INDEX".to_owned(),
        value: None,
        value_from: Some(EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() }),
    }
}
