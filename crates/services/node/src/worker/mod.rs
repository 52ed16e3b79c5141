//! One pod: looks at what is, plans, acts; again at every change.
//!
//! What lasts (pulls, starts, hooks, stops) runs in tasks of the pod's scope that report back, so that a deletion is
//! noticed at any moment. The worker alone owns the pod's record.

mod images;
mod memory;
mod observe;
mod sandbox;
mod start;
mod status;
mod stop;
mod volumes;

pub(crate) use memory::{ContainerView, PodView};
pub(crate) use sandbox::{remove_directories, remove_remains};

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use maru_container::{PodState, Shim, Started};
use maru_net::PodNamespaces;
use maru_oci::Digest;
use maru_task::Scope;
use tokio::sync::{mpsc, watch};

use crate::context::Context;
use crate::plan::{self, Action, Course, Desired, Part, Plan, StopCause, Wish};
use crate::pod;
use crate::probe::ProbeEvent;
use crate::record::PodRecord;
use crate::volumes::{Sources, Tokens};
use memory::Memory;

/// Reports that wait to be read; a task with more to say waits.
const REPORTS_MAX: usize = 64;
/// A status that could not be written is tried again after this time.
const STATUS_RETRY: Duration = Duration::from_secs(2);

/// What the manager wants of a pod.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    /// Follow this object.
    Follow(Arc<Pod>),
    /// The object is gone, or the node is torn down: stop and clean up.
    Forget,
}

/// What tasks tell the worker.
#[derive(Debug)]
pub(crate) enum Report {
    /// An object that the pod is made from has changed.
    Dependency,
    Sandbox(Result<Sandbox, String>),
    SandboxRemoved(Result<(), String>),
    Volumes(Box<(Result<Sources, String>, Tokens)>),
    Image {
        container: String,
        result: Result<PulledImage, images::ImageFailure>,
    },
    Start {
        container: String,
        attempt: u32,
        result: Result<Started, start::StartFailure>,
    },
    Hook {
        container: String,
        attempt: u32,
        result: Result<(), String>,
    },
    Probe {
        container: String,
        attempt: u32,
        event: ProbeEvent,
    },
    States(PodState),
    ShimGone,
}

/// A pod's sandbox, ready.
#[derive(Debug, Clone)]
pub(crate) struct Sandbox {
    pub(crate) shim: Shim,
    /// Absent for pods in the machine's network.
    pub(crate) namespaces: Option<PodNamespaces>,
}

/// An image that a container can be made from.
#[derive(Debug, Clone)]
pub(crate) struct PulledImage {
    pub(crate) digest: Digest,
    /// As the status shows it.
    pub(crate) image_id: String,
}

/// The manager's and the kubelet API's hold on a pod's worker.
#[derive(Debug, Clone)]
pub(crate) struct PodHandle {
    pub(crate) orders: watch::Sender<Order>,
    pub(crate) reports: mpsc::Sender<Report>,
    pub(crate) view: watch::Receiver<PodView>,
}

impl PodHandle {
    /// Hands the worker a newer object. A pod that is to be forgotten stays so.
    pub(crate) fn follow(&self, pod: Pod) {
        self.orders.send_if_modified(|order| match order {
            Order::Forget => false,
            Order::Follow(_) => {
                *order = Order::Follow(Arc::new(pod));
                true
            }
        });
    }

    /// Waits until the pod is gone from this machine. Cancel safe.
    pub(crate) async fn gone(&self) {
        self.orders.closed().await;
    }
}

/// Takes up a pod: a new one, or one with a record from before.
pub(crate) fn spawn(context: &Arc<Context>, record: PodRecord, order: Order) -> PodHandle {
    let (orders, receive_orders) = watch::channel(order);
    let (reports, receive_reports) = mpsc::channel(REPORTS_MAX);
    let (show, view) = watch::channel(PodView::new(&record));
    let uid = pod::uid(&record.pod).to_owned();
    let scope = context.scope.child(&uid);
    let worker = Worker {
        context: Arc::clone(context),
        directory: context.layout.pod(&uid),
        uid,
        record,
        wish: Wish::Run,
        orders: receive_orders,
        reports: receive_reports,
        report_to: reports.clone(),
        scope: scope.clone(),
        memory: Memory::default(),
        show,
    };
    drop(scope.spawn("pod", worker.run()));
    PodHandle { orders, reports, view }
}

struct Worker {
    context: Arc<Context>,
    uid: String,
    directory: std::path::PathBuf,
    record: PodRecord,
    wish: Wish,
    orders: watch::Receiver<Order>,
    reports: mpsc::Receiver<Report>,
    report_to: mpsc::Sender<Report>,
    scope: Scope,
    memory: Memory,
    show: watch::Sender<PodView>,
}

/// Whether the worker has anything left to do.
enum Next {
    Wait,
    Gone,
}

impl Worker {
    async fn run(mut self) {
        self.take_order();
        self.notice_deletion();
        self.adopt().await;
        loop {
            if self.scope.is_cancelled() {
                break;
            }
            self.settle_exits().await;
            self.notice_deletion();
            let now = self.context.now();
            let observed = self.observe();
            let plan = plan::plan(&observed, &Desired { pod: &self.record.pod, wish: self.wish.clone() }, now);
            self.note_course(&plan);
            let observed = self.observe();
            // Who reads in the status that a container runs finds it running here.
            self.show.send_replace(self.view());
            let written = self.write_status(&observed, &plan).await;
            if let Next::Gone = self.execute(&plan).await {
                break;
            }
            self.follow_probes();
            self.show.send_replace(self.view());
            let wake = self.wake_in(&plan, written);
            tokio::select! {
                () = self.scope.cancelled() => break,
                changed = self.orders.changed() => if changed.is_ok() { self.take_order() } else { break },
                Some(report) = self.reports.recv() => {
                    self.take_report(report);
                    // Whatever came together is looked at together.
                    while let Ok(report) = self.reports.try_recv() {
                        self.take_report(report);
                    }
                }
                () = tokio::time::sleep(wake) => {}
            }
        }
        // Tasks of this pod end with it; containers and shims do not.
        self.memory.abort_tasks();
        self.scope.cancel();
    }

    fn wake_in(&self, plan: &Plan, written: bool) -> Duration {
        let mut wake = Duration::from_secs(600);
        let due = [plan.wake_at, self.memory.sources.refresh_at.filter(|_| self.memory.volumes == Part::Ready)];
        for at in due.into_iter().flatten() {
            let left = Duration::try_from(at.duration_since(self.context.now())).unwrap_or_default();
            wake = wake.min(left.max(Duration::from_millis(10)));
        }
        let is_deleting = self.wish == Wish::Delete && self.memory.cleaned && !self.memory.deleted;
        if written && !is_deleting { wake } else { wake.min(STATUS_RETRY) }
    }

    fn take_order(&mut self) {
        let order = self.orders.borrow_and_update().clone();
        match order {
            Order::Forget => self.wish = Wish::Forget,
            Order::Follow(pod) => {
                if status::is_older(&pod, &self.record.pod) {
                    return;
                }
                let changed = pod.metadata.labels != self.record.pod.metadata.labels
                    || pod.metadata.annotations != self.record.pod.metadata.annotations;
                self.record.pod = pod.as_ref().clone();
                if changed {
                    self.memory.volumes_stale = true;
                }
                self.save();
            }
        }
    }

    /// A deletion is never taken back, and may be seen first in the answer to a status write.
    fn notice_deletion(&mut self) {
        if self.wish == Wish::Run && self.record.pod.metadata.deletion_timestamp.is_some() {
            self.wish = Wish::Delete;
        }
    }

    /// Writes the record; without a directory there is nothing to remember yet.
    fn save(&self) {
        if !self.directory.exists() {
            return;
        }
        if let Err(error) = self.record.save(&self.directory) {
            tracing::warn!(uid = %self.uid, %error, "the pod's record could not be written");
        }
    }

    /// Remembers when the pod began to end and when its init containers were done.
    fn note_course(&mut self, plan: &Plan) {
        let mut changed = false;
        match plan.course {
            Course::Live => {}
            Course::Ending(_) | Course::Ended(_) => {
                if self.record.ending_since.is_none() {
                    self.record.ending_since = Some(self.context.now());
                    changed = true;
                }
            }
        }
        self.note_back_off(plan);
        if plan.initialized && !self.record.initialized {
            self.record.initialized = true;
            changed = true;
        }
        if changed {
            self.save();
        }
    }

    /// Tells once for each attempt that a container or its image waits.
    fn note_back_off(&mut self, plan: &Plan) {
        for (name, waiting) in &plan.waiting {
            let message = match waiting.reason.as_str() {
                "CrashLoopBackOff" => format!(
                    "Back-off restarting failed container {name} in pod {}_{}({})",
                    pod::name(&self.record.pod),
                    pod::namespace(&self.record.pod),
                    self.uid
                ),
                "ImagePullBackOff" => {
                    let member = pod::member(&self.record.pod, name);
                    let image = member.and_then(|member| member.container.image).unwrap_or_default();
                    format!("Back-off pulling image \"{image}\"")
                }
                _ => continue,
            };
            let attempts = self.record.container(name).attempts;
            let memory = self.memory.container(name);
            let waited_for = (waiting.reason.clone(), attempts, memory.pull_failures);
            if memory.told.as_ref() != Some(&waited_for) {
                memory.told = Some(waited_for);
                self.event(Some(name), crate::events::Severity::Warning, "BackOff", &message);
            }
        }
    }

    async fn execute(&mut self, plan: &Plan) -> Next {
        for action in &plan.actions {
            tracing::debug!(
                namespace = pod::namespace(&self.record.pod),
                name = pod::name(&self.record.pod),
                ?action,
                "act"
            );
            match action {
                Action::PrepareSandbox => self.prepare_sandbox(),
                Action::PrepareVolumes => self.prepare_volumes(),
                Action::EnsureImage { container } => self.ensure_image(container),
                Action::Start { container, attempt } => self.start(container, *attempt),
                Action::Stop { container, deadline, cause } => self.stop(container, *deadline, cause),
                Action::RemoveSandbox => self.remove_sandbox(),
                Action::Finish => return self.finish().await,
            }
        }
        let stale =
            self.memory.volumes_stale || self.memory.sources.refresh_at.is_some_and(|at| at <= self.context.now());
        if stale && self.memory.volumes == Part::Ready && !self.memory.volumes_refreshing && plan.course == Course::Live
        {
            self.refresh_volumes();
        }
        Next::Wait
    }

    fn take_report(&mut self, report: Report) {
        match report {
            Report::Dependency => self.take_dependency(),
            Report::Sandbox(result) => self.take_sandbox(result),
            Report::SandboxRemoved(result) => self.take_removed(result),
            Report::Volumes(result) => self.take_volumes(*result),
            Report::Image { container, result } => self.take_image(&container, result),
            Report::Start { container, attempt, result } => self.take_start(&container, attempt, result),
            Report::Hook { container, attempt, result } => self.take_hook(&container, attempt, result),
            Report::Probe { container, attempt, event } => self.take_probe(&container, attempt, event),
            Report::States(states) => self.memory.states = states.containers,
            Report::ShimGone => self.take_shim_gone(),
        }
    }

    /// What had failed for want of an object is tried again at once.
    fn take_dependency(&mut self) {
        self.memory.volumes_stale = true;
        if let Part::Failed { .. } = self.memory.volumes {
            self.memory.volumes = Part::Absent;
        }
        for container in self.memory.containers.values_mut() {
            container.problem = None;
        }
    }

    fn event(&self, container: Option<&str>, severity: crate::events::Severity, reason: &'static str, message: &str) {
        self.context.events.note(&self.record.pod, container, severity, reason, message);
    }

    /// Runs a task of this pod whose result comes back as a report.
    fn task<F>(&self, name: &'static str, future: F) -> tokio::task::AbortHandle
    where
        F: Future<Output = Report> + Send + 'static,
    {
        let report_to = self.report_to.clone();
        let task = self.scope.spawn_until_cancelled(name, async move {
            let report = future.await;
            // The worker is gone only when the whole pod is.
            drop(report_to.send(report).await);
        });
        task.abort_handle()
    }

    /// Deletes the object when it is marked for it, and forgets the pod.
    async fn finish(&mut self) -> Next {
        if !self.memory.cleaned {
            sandbox::remove_directories(&self.context, &self.uid).await;
            if let Some(address) = self.record.address.take() {
                self.context.give_back_address(address);
            }
            self.memory.cleaned = true;
        }
        match self.wish {
            Wish::Forget => Next::Gone,
            Wish::Run => Next::Wait,
            Wish::Delete => {
                if !self.memory.deleted {
                    self.memory.deleted = self.delete_object().await;
                }
                Next::Wait
            }
        }
    }
}

/// Says in an event why a container is stopped.
fn stop_message(container: &str, cause: &StopCause) -> String {
    match cause {
        StopCause::PodEnds | StopCause::MainEnded => format!("Stopping container {container}"),
        StopCause::Unhealthy(probe) => format!("Container {container} failed {probe} probe, will be restarted"),
        StopCause::HookFailed => format!("FailedPostStartHook: container {container} is stopped"),
        StopCause::Changed => format!("Container {container} definition changed, will be restarted"),
    }
}
