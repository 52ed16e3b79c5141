//! Stops a container: hook, signal, and at the deadline SIGKILL. And follows its probes while it runs.

use std::sync::Arc;
use std::time::Duration;

use maru_container::{ContainerId, Shim};
use maru_time::{SharedClock, Timestamp};
use tokio::sync::{mpsc, watch};

use super::memory::Stopping;
use super::{Report, Worker, stop_message};
use crate::context::chain;
use crate::events::{Events, Severity};
use crate::plan::{Hook, StopCause, Unhealthy};
use crate::pod;
use crate::probe::{Check, ProbeEvent, ProbeKind, ProbePlan, Target, check, run_probes};

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;
/// After the preStop hook a program gets at least this long, also when the hook used up the grace period.
const AFTER_HOOK_MIN: Duration = Duration::from_secs(2);
/// How often a kill is repeated when the end is not seen.
const KILL_AGAIN: Duration = Duration::from_secs(2);
/// Probe events on their way to the worker.
const PROBE_EVENTS_MAX: usize = 8;

impl Worker {
    pub(super) fn stop(&mut self, name: &str, deadline: Timestamp, cause: &StopCause) {
        if let Some(stopping) = &self.memory.container(name).stopping {
            stopping.deadline.send_replace(deadline);
            return;
        }
        let Some(member) = pod::member(&self.record.pod, name) else { return };
        let Some((attempt, _)) = self.memory.container(name).running else { return };
        let Some(shim) = self.memory.shim().cloned() else { return };
        self.event(Some(name), Severity::Normal, "Killing", &stop_message(name, cause));
        let memory = self.memory.container(name);
        memory.abort_tasks();
        let (sender, receiver) = watch::channel(deadline);
        let stop = Stop {
            shim,
            id: ContainerId::new(name, attempt),
            hook: member
                .container
                .lifecycle
                .as_ref()
                .and_then(|hooks| hooks.pre_stop.as_ref())
                .and_then(Check::of_hook),
            target: self.target(&member, attempt),
            signal: self.record.container(name).stop_signal.unwrap_or(SIGTERM),
            deadline: receiver,
            clock: Arc::clone(&self.context.options.clock),
            events: self.context.events.clone(),
            pod: Arc::new(self.record.pod.clone()),
        };
        let task = self.scope.spawn_until_cancelled("stop container", stop.run()).abort_handle();
        self.memory.container(name).stopping = Some(Stopping { deadline: sender, task });
    }

    /// Starts the probes of containers that run, and ends those of others.
    pub(super) fn follow_probes(&mut self) {
        for member in pod::members(&self.record.pod) {
            if member.role == pod::Role::Init {
                continue;
            }
            let name = member.name();
            let memory = self.memory.container(name);
            let due = match (&memory.running, &memory.hook, &memory.stopping, &memory.probes) {
                (Some((attempt, started)), Hook::Done, None, None) => Some((*attempt, started.at)),
                _ => None,
            };
            let plan = ProbePlan::of(&member.container);
            let Some((attempt, at)) = due.filter(|_| !plan.is_empty()) else { continue };
            let running_for = Duration::try_from(self.context.now().duration_since(at)).unwrap_or_default();
            let started = self.record.container(name).started;
            let target = self.target(&member, attempt);
            let (sender, mut events) = mpsc::channel(PROBE_EVENTS_MAX);
            let (report_to, container) = (self.report_to.clone(), name.to_owned());
            let task = self.scope.spawn_until_cancelled("probes", async move {
                let pass_on = async {
                    while let Some(event) = events.recv().await {
                        let report = Report::Probe { container: container.clone(), attempt, event };
                        if report_to.send(report).await.is_err() {
                            return;
                        }
                    }
                };
                tokio::join!(run_probes(plan, target, running_for, started, sender), pass_on);
            });
            self.memory.container(name).probes = Some((attempt, task.abort_handle()));
        }
    }

    pub(super) fn take_probe(&mut self, name: &str, attempt: u32, event: ProbeEvent) {
        let memory = self.memory.container(name);
        if memory.running.is_none_or(|(running, _)| running != attempt) || memory.stopping.is_some() {
            return;
        }
        match event {
            ProbeEvent::Failure { kind, message } => {
                self.context.metrics.probe_failures.with(&[kind.name()]).inc();
                let text = format!("{} probe failed: {message}", kind.title());
                self.event(Some(name), Severity::Warning, "Unhealthy", &text);
            }
            ProbeEvent::Verdict { kind: ProbeKind::Startup, success: true, .. } => {
                self.record.container(name).started = true;
                self.save();
            }
            ProbeEvent::Verdict { kind: ProbeKind::Readiness, success, .. } => {
                if self.record.container(name).ready != success {
                    self.record.container(name).ready = success;
                    self.save();
                }
            }
            ProbeEvent::Verdict { kind: ProbeKind::Liveness, success: true, .. } => {}
            ProbeEvent::Verdict { kind: ProbeKind::Startup | ProbeKind::Liveness, success: false, grace } => {
                let kind = match event {
                    ProbeEvent::Verdict { kind, .. } | ProbeEvent::Failure { kind, .. } => kind.name(),
                };
                self.memory.container(name).unhealthy = Some(Unhealthy { probe: kind, grace });
            }
        }
    }
}

/// One stop, from hook to kill. It is aborted when the container's end is seen.
struct Stop {
    shim: Shim,
    id: ContainerId,
    hook: Option<Check>,
    target: Target,
    signal: i32,
    deadline: watch::Receiver<Timestamp>,
    clock: SharedClock,
    events: Events,
    pod: Arc<k8s_openapi::api::core::v1::Pod>,
}

impl Stop {
    async fn run(mut self) {
        if let Some(hook) = self.hook.take() {
            let (left, target) = (self.left(), self.target.clone());
            let mut deadline = self.deadline.clone();
            let result = tokio::select! {
                result = check(&hook, &target, left) => result,
                () = passed(&mut deadline, &self.clock) => Err("the grace period ended".to_owned()),
            };
            if let Err(message) = result {
                let text = format!("PreStopHook failed: {message}");
                self.events.note(&self.pod, Some(&self.id.name), Severity::Warning, "FailedPreStopHook", &text);
            }
            self.send(self.signal).await;
            tokio::time::sleep(AFTER_HOOK_MIN.min(self.left().max(AFTER_HOOK_MIN))).await;
        } else {
            self.send(self.signal).await;
        }
        let mut deadline = self.deadline.clone();
        passed(&mut deadline, &self.clock).await;
        loop {
            self.send(SIGKILL).await;
            tokio::time::sleep(KILL_AGAIN).await;
        }
    }

    fn left(&self) -> Duration {
        left(*self.deadline.borrow(), &self.clock)
    }

    async fn send(&self, signal: i32) {
        if let Err(error) = self.shim.signal(&self.id, signal).await {
            tracing::debug!(container = %self.id, signal, error = %chain(&error), "signal not sent");
        }
    }
}

fn left(deadline: Timestamp, clock: &SharedClock) -> Duration {
    Duration::try_from(deadline.duration_since(clock.now())).unwrap_or_default()
}

/// Waits until a deadline, which may move.
async fn passed(deadline: &mut watch::Receiver<Timestamp>, clock: &SharedClock) {
    loop {
        let at = *deadline.borrow_and_update();
        let left = left(at, clock);
        if left.is_zero() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(left) => {}
            changed = deadline.changed() => if changed.is_err() { return },
        }
    }
}
