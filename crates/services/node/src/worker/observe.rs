//! What is: adoption after a restart, ends of containers, and the view for the plan.

use std::path::PathBuf;

use maru_container::{ContainerId, ContainerPhase, ContainerState, Shim, ShimError};
use maru_time::Timestamp;

use super::memory::ContainerMemory;
use super::{ContainerView, PodView, Report, Sandbox, Worker};
use crate::context::chain;
use crate::events::Severity;
use crate::logs::tail_for_message;
use crate::plan::Wish;
use crate::plan::{ContainerObserved, Exit, Hook, Life, Observed, Part};
use crate::pod;
use crate::probe::ProbePlan;
use crate::record::ContainerRecord;

/// Longest termination message in bytes.
const MESSAGE_MAX: usize = 4096;

impl Worker {
    /// Finds what still runs from before.
    pub(super) async fn adopt(&mut self) {
        let was_left = Part::Failed { message: "found after a restart".to_owned(), retry_at: self.context.now() };
        if self.record.has_volumes {
            self.memory.volumes = was_left.clone();
        }
        if !self.record.has_sandbox {
            return;
        }
        self.memory.sandbox = was_left;
        let directory = self.context.layout.shim(&self.uid);
        let adopted = match Shim::connect(&directory).await {
            Ok(shim) => shim.states().await.map(|states| (shim, states)),
            Err(error) => Err(error),
        };
        match adopted {
            Ok((shim, states)) => {
                tracing::info!(
                    namespace = pod::namespace(&self.record.pod),
                    name = pod::name(&self.record.pod),
                    containers = states.containers.len(),
                    "pod adopted"
                );
                let namespaces =
                    (!pod::is_host_network(&self.record.pod)).then(|| self.context.networks.namespaces(&self.uid));
                self.memory.states = states.containers;
                self.adopt_containers();
                self.memory.made = Some(Sandbox { shim, namespaces });
                if self.wish == Wish::Run {
                    self.repair().await;
                }
                self.follow_shim();
            }
            Err(error) => {
                tracing::info!(uid = %self.uid, error = %chain(&error), "the pod's shim is gone");
                self.lose_sandbox();
            }
        }
    }

    /// Checks network, files and volumes of an adopted pod, so that it does not look unready meanwhile.
    async fn repair(&mut self) {
        let sandbox = self.sandbox_job().await;
        self.take_report(sandbox);
        let volumes = self.volumes_job(None).await;
        self.take_report(volumes);
    }

    /// Takes the shim's word for what runs.
    fn adopt_containers(&mut self) {
        for state in self.memory.states.clone() {
            let record = self.record.container(&state.id.name);
            // Started, but the record was not written any more.
            record.attempts = record.attempts.max(state.id.attempt + 1);
            let is_newest = record.attempts == state.id.attempt + 1;
            if let (ContainerPhase::Running(started), true) = (&state.phase, is_newest) {
                let hook = if record.hooked { Hook::Done } else { Hook::Pending };
                let memory = self.memory.container(&state.id.name);
                memory.running = Some((state.id.attempt, *started));
                memory.hook = hook;
            }
        }
        let known: Vec<ContainerId> = self.memory.states.iter().map(|state| state.id.clone()).collect();
        for (name, record) in &mut self.record.containers {
            let Some(attempt) = record.attempts.checked_sub(1) else { continue };
            let ended = record.exit.as_ref().is_some_and(|exit| exit.attempt == attempt);
            if !ended && !known.contains(&ContainerId::new(name, attempt)) {
                // The shim was never told to start it.
                record.attempts = attempt;
                record.exit = record.previous.take();
            }
        }
        let pending: Vec<String> = self
            .memory
            .containers
            .iter()
            .filter(|(_, memory)| memory.hook == Hook::Pending)
            .map(|(name, _)| name.clone())
            .collect();
        for name in pending {
            self.begin_hook(&name);
        }
    }

    /// Records what a shim that is gone left behind: all has ended, and the pod starts over in a new sandbox.
    pub(super) fn lose_sandbox(&mut self) {
        let directory = self.context.layout.shim(&self.uid);
        let left = maru_container::stored_states(&directory).unwrap_or_default();
        self.memory.abort_tasks();
        self.memory.states = left;
        let now = self.context.now();
        let names: Vec<String> = self.record.containers.keys().cloned().collect();
        for name in names {
            let record = self.record.container(&name);
            let Some(attempt) = record.attempts.checked_sub(1) else { continue };
            if record.exit.as_ref().is_some_and(|exit| exit.attempt == attempt) {
                continue;
            }
            let found = self.memory.states.iter().find(|state| state.id.name == name && state.id.attempt == attempt);
            let exit = found.and_then(|state| ended(state, now)).unwrap_or_else(|| unknown_exit(attempt, None, now));
            self.record_exit(&name, exit);
            let attempt_directory = self.context.layout.attempt(&self.uid, &name, attempt);
            let log_directory = self.context.layout.pod_logs(&self.uid).join(&name);
            drop(self.scope.spawn("remove attempt", remove_attempt(attempt_directory, log_directory, attempt)));
        }
        self.memory.states.clear();
        self.memory.made = None;
        let lost = Part::Failed { message: "the shim is gone".to_owned(), retry_at: now };
        self.memory.sandbox = lost.clone();
        self.memory.volumes = lost;
        if self.record.ending_since.is_none() {
            // A new sandbox begins with the init containers again.
            self.record.initialized = false;
            let init: Vec<String> = pod::members(&self.record.pod)
                .iter()
                .filter(|one| one.role == pod::Role::Init)
                .map(|one| one.name().to_owned())
                .collect();
            for name in init {
                self.memory.container(&name).image = crate::plan::Image::Unknown;
                if let Some(exit) = self.record.container(&name).exit.take() {
                    self.record.container(&name).previous = Some(exit);
                }
            }
        }
        self.save();
    }

    pub(super) fn take_shim_gone(&mut self) {
        if self.memory.made.is_some() && self.memory.sandbox != Part::Working {
            self.event(
                None,
                Severity::Normal,
                "SandboxChanged",
                "Pod sandbox changed, it will be killed and re-created.",
            );
            self.lose_sandbox();
        }
    }

    /// Follows the shim's states until it ends.
    pub(super) fn follow_shim(&mut self) {
        let Some(shim) = self.memory.shim().cloned() else { return };
        if let Some(before) = self.memory.follower.take() {
            before.abort();
        }
        let report_to = self.report_to.clone();
        let task = self.scope.spawn_until_cancelled("follow shim", async move {
            let mut generation = 0;
            loop {
                match shim.wait_change(generation).await {
                    Ok(states) => {
                        generation = states.generation;
                        if report_to.send(Report::States(states)).await.is_err() {
                            return;
                        }
                    }
                    Err(ShimError::Gone { .. } | ShimError::Disconnected { .. }) => {
                        drop(report_to.send(Report::ShimGone).await);
                        return;
                    }
                    Err(error) => {
                        tracing::warn!(error = %chain(&error), "a shim's states could not be read; trying again");
                        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                    }
                }
            }
        });
        self.memory.follower = Some(task.abort_handle());
    }

    /// Records the ends of containers that the shim tells of, and lets it forget them.
    pub(super) async fn settle_exits(&mut self) {
        let now = self.context.now();
        for state in self.memory.states.clone() {
            if !state.phase.is_final() {
                continue;
            }
            let name = &state.id.name;
            if self.memory.container(name).starting {
                continue;
            }
            let record = self.record.container(name);
            let is_newest = record.attempts == state.id.attempt + 1;
            let is_recorded = record.exit.as_ref().is_some_and(|exit| exit.attempt == state.id.attempt);
            if let Some(mut exit) = ended(&state, now).filter(|_| is_newest && !is_recorded) {
                if exit.message.is_none() {
                    exit.message = self.termination_message(name, &exit).await;
                }
                self.record_exit(name, exit);
                self.save();
            }
            self.memory.states.retain(|other| other.id != state.id);
            self.remove_container(state.id.clone());
        }
    }

    /// Removes a container that has ended from the shim, and its root file system.
    pub(super) fn remove_container(&self, id: ContainerId) {
        let Some(shim) = self.memory.shim().cloned() else { return };
        let directory = self.context.layout.attempt(&self.uid, &id.name, id.attempt);
        let log_directory = self.context.layout.pod_logs(&self.uid).join(&id.name);
        let task = self.scope.spawn("remove container", async move {
            if let Err(error) = shim.remove(&id).await {
                tracing::debug!(container = %id, error = %chain(&error), "container not removed yet");
            }
            tracing::debug!(container = %id, "container removed");
            remove_attempt(directory, log_directory, id.attempt).await;
        });
        drop(task);
    }

    fn record_exit(&mut self, name: &str, exit: Exit) {
        tracing::info!(
            namespace = pod::namespace(&self.record.pod),
            name = pod::name(&self.record.pod),
            container = name,
            attempt = exit.attempt,
            code = exit.code,
            reason = %exit.reason,
            "container ended"
        );
        self.context.metrics.containers_ended.with(&[&exit.reason]).inc();
        let memory = self.memory.container(name);
        memory.abort_tasks();
        memory.running = None;
        memory.unhealthy = None;
        memory.hook = Hook::Done;
        // The next start looks for the image again.
        memory.image = crate::plan::Image::Unknown;
        let record = self.record.container(name);
        record.started = false;
        record.ready = false;
        record.exit = Some(exit);
    }

    async fn termination_message(&self, name: &str, exit: &Exit) -> Option<String> {
        let member = pod::member(&self.record.pod, name)?;
        let file = self.context.layout.attempt(&self.uid, name, exit.attempt).join("termination-log");
        let written = tokio::fs::read(&file).await.unwrap_or_default();
        let text = String::from_utf8_lossy(written.get(..MESSAGE_MAX).unwrap_or(&written)).into_owned();
        if !text.trim().is_empty() {
            return Some(text);
        }
        let from_logs = member.container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
        if !from_logs || exit.is_success() {
            return None;
        }
        let log = self.context.layout.log(&self.uid, name, exit.attempt);
        tokio::task::spawn_blocking(move || tail_for_message(&log)).await.ok().flatten()
    }

    /// Puts together all that is known for the plan.
    pub(super) fn observe(&self) -> Observed {
        let members = pod::members(&self.record.pod);
        let fresh_record = ContainerRecord::default();
        let fresh_memory = ContainerMemory::default();
        let containers = members.iter().map(|member| {
            let record = self.record.containers.get(member.name()).unwrap_or(&fresh_record);
            let memory = self.memory.containers.get(member.name()).unwrap_or(&fresh_memory);
            let probes = ProbePlan::of(&member.container);
            let seen = ContainerObserved {
                life: life(record, memory),
                attempts: record.attempts,
                last_exit: last_exit(record),
                image: memory.image.clone(),
                image_id: record.image_id.clone(),
                backoff: record.backoff.clone(),
                problem: memory.problem.clone(),
                started: record.started || !probes.has_startup(),
                ready: record.ready || !probes.has_readiness(),
                unhealthy: memory.unhealthy.clone(),
                changed: record.image_name.is_some() && record.image_name != member.container.image,
            };
            (member.name().to_owned(), seen)
        });
        Observed {
            sandbox: self.memory.sandbox.clone(),
            volumes: self.memory.volumes.clone(),
            containers: containers.collect(),
            ending_since: self.record.ending_since,
            start_time: self.record.start_time,
            initialized: self.record.initialized,
        }
    }

    /// Returns what others may see.
    pub(super) fn view(&self) -> PodView {
        let containers = self.record.containers.iter().map(|(name, record)| {
            let running = self.memory.containers.get(name).and_then(|memory| memory.running);
            let view = ContainerView {
                attempts: record.attempts,
                running: running.map(|(attempt, started)| (attempt, started.at)),
                ended: record.exit.is_some(),
                image: record.image.clone(),
            };
            (name.clone(), view)
        });
        PodView {
            pod: std::sync::Arc::new(self.record.pod.clone()),
            shim: self.memory.shim().cloned(),
            containers: containers.collect(),
        }
    }
}

fn life(record: &ContainerRecord, memory: &ContainerMemory) -> Life {
    if memory.starting {
        return Life::Starting;
    }
    if let Some((attempt, started)) = memory.running {
        return match &memory.stopping {
            Some(stopping) => Life::Stopping { attempt, at: started.at, deadline: *stopping.deadline.borrow() },
            None => Life::Running { attempt, at: started.at, hook: memory.hook.clone() },
        };
    }
    match &record.exit {
        Some(exit) => Life::Exited(exit.clone()),
        None => Life::Never,
    }
}

/// The end before the present life: of the attempt before, while the newest runs or has ended.
fn last_exit(record: &ContainerRecord) -> Option<Exit> {
    record.previous.clone()
}

/// Removes what one attempt had on disk, and the logs of the attempts before the one before it.
async fn remove_attempt(directory: PathBuf, log_directory: PathBuf, attempt: u32) {
    let work = move || {
        maru_images::ImageStore::unmount(&directory).map_err(std::io::Error::other)?;
        crate::volumes::unmount_below(&directory)?;
        match std::fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        crate::logs::remove_older(&log_directory, attempt.saturating_sub(1))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a container's directory was not removed yet"),
        Err(error) => tracing::warn!(%error, "removing a container's directory broke off"),
    }
}

/// Reads how a container ended; `None` while it has not.
fn ended(state: &ContainerState, now: Timestamp) -> Option<Exit> {
    let attempt = state.id.attempt;
    match &state.phase {
        ContainerPhase::Creating | ContainerPhase::Running(_) => None,
        ContainerPhase::Exited(status) => Some(Exit {
            attempt,
            code: status.code,
            signal: status.signal,
            reason: match (status.oom_killed, status.code) {
                (true, _) => "OOMKilled",
                (false, 0) => "Completed",
                (false, _) => "Error",
            }
            .to_owned(),
            message: None,
            started_at: Some(status.started_at),
            finished_at: status.finished_at,
        }),
        ContainerPhase::Failed { message, at } => Some(cannot_run(attempt, message, *at)),
        ContainerPhase::Lost { started_at } => Some(unknown_exit(attempt, *started_at, now)),
    }
}

/// The end of a container whose program could not be started.
pub(super) fn cannot_run(attempt: u32, message: &str, at: Timestamp) -> Exit {
    Exit {
        attempt,
        code: if message.contains("not found") { 127 } else { 128 },
        signal: None,
        reason: "ContainerCannotRun".to_owned(),
        message: Some(message.to_owned()),
        started_at: Some(at),
        finished_at: at,
    }
}

fn unknown_exit(attempt: u32, started_at: Option<Timestamp>, now: Timestamp) -> Exit {
    Exit {
        attempt,
        code: 137,
        signal: None,
        reason: "ContainerStatusUnknown".to_owned(),
        message: Some("The container could not be located when the pod was looked at again".to_owned()),
        started_at,
        finished_at: now,
    }
}
