//! Decides what to do about a pod. Pure: same inputs, same actions, in the same order.

mod backoff;
mod model;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use backoff::RestartBackoff;
pub(crate) use model::{
    Action, ContainerObserved, Course, Desired, EndReason, Exit, Hook, Image, Life, Observed, Part, Plan, Problem,
    StopCause, Unhealthy, Waiting, Wish,
};
pub(crate) use status::{Facts, status};

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Container;
use maru_time::Timestamp;

use crate::pod::{self, Member, RestartPolicy, Role};

/// How long a failure is shown by its own name before the back-off's name replaces it.
const SHOW_FAILURE: Duration = Duration::from_secs(3);

/// Returns the time `by` later than `at`.
pub(crate) fn after(at: Timestamp, by: Duration) -> Timestamp {
    let by = jiff::SignedDuration::try_from(by).unwrap_or(jiff::SignedDuration::MAX);
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// Decides what to do next about a pod.
pub(crate) fn plan(observed: &Observed, desired: &Desired<'_>, now: Timestamp) -> Plan {
    let mut planner = Planner {
        observed,
        desired,
        now,
        members: pod::members(desired.pod),
        policy: pod::restart_policy(desired.pod),
        actions: Vec::new(),
        waiting: BTreeMap::new(),
        wake_at: None,
    };
    let (course, initialized) = planner.decide();
    Plan { actions: planner.actions, waiting: planner.waiting, wake_at: planner.wake_at, course, initialized }
}

struct Planner<'a> {
    observed: &'a Observed,
    desired: &'a Desired<'a>,
    now: Timestamp,
    members: Vec<Member>,
    policy: RestartPolicy,
    actions: Vec<Action>,
    waiting: BTreeMap<String, Waiting>,
    wake_at: Option<Timestamp>,
}

/// What walking the init containers found.
enum Initialization {
    /// The one in question still has to run.
    Pending,
    /// All are done.
    Done,
    /// One failed for good.
    Failed,
}

impl Planner<'_> {
    fn decide(&mut self) -> (Course, bool) {
        if let Some(reason) = self.reason_to_end() {
            return (self.end(reason), self.observed.initialized);
        }
        self.prepare();
        match self.initialize() {
            Initialization::Pending => (Course::Live, false),
            Initialization::Failed => {
                self.actions.clear();
                (self.end(EndReason::InitFailed), false)
            }
            Initialization::Done => (self.run_main(), true),
        }
    }

    /// Returns why the pod must not go on, whatever its containers do.
    fn reason_to_end(&mut self) -> Option<EndReason> {
        match self.desired.wish {
            Wish::Delete | Wish::Forget => return Some(EndReason::Deleted),
            Wish::Run => {}
        }
        if pod::is_finished(self.desired.pod) {
            return Some(EndReason::Completed);
        }
        let seconds = pod::spec(self.desired.pod).active_deadline_seconds?;
        let deadline = after(self.observed.start_time, Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
        if deadline <= self.now {
            return Some(EndReason::Deadline);
        }
        self.wake(deadline);
        None
    }

    fn prepare(&mut self) {
        for (part, action) in
            [(&self.observed.sandbox, Action::PrepareSandbox), (&self.observed.volumes, Action::PrepareVolumes)]
        {
            match part {
                Part::Absent => self.actions.push(action),
                Part::Failed { retry_at, .. } if *retry_at <= self.now => self.actions.push(action),
                Part::Failed { retry_at, .. } => {
                    self.wake_at = Some(self.wake_at.map_or(*retry_at, |at| at.min(*retry_at)));
                }
                Part::Working | Part::Ready => {}
            }
        }
    }

    fn initialize(&mut self) -> Initialization {
        let init: Vec<Member> =
            self.members.iter().filter(|one| matches!(one.role, Role::Init | Role::Sidecar)).cloned().collect();
        if self.observed.initialized {
            for sidecar in init.iter().filter(|one| one.role == Role::Sidecar) {
                self.drive(&sidecar.container);
            }
            return Initialization::Done;
        }
        for (index, member) in init.iter().enumerate() {
            let seen = self.observed.container(member.name());
            let done = match (&member.role, &seen.life) {
                (Role::Sidecar, Life::Running { hook: Hook::Done, .. }) => {
                    self.drive(&member.container);
                    seen.started && seen.unhealthy.is_none()
                }
                (Role::Init, Life::Exited(exit)) if exit.is_success() => true,
                (Role::Init, Life::Exited(_)) if self.policy == RestartPolicy::Never => return Initialization::Failed,
                _ => {
                    self.drive(&member.container);
                    false
                }
            };
            if !done {
                // Sidecars behind this one may already run from before: they are looked after all the same.
                for later in init.iter().skip(index + 1) {
                    if matches!(self.observed.container(later.name()).life, Life::Running { .. }) {
                        self.drive(&later.container);
                    }
                }
                return Initialization::Pending;
            }
        }
        Initialization::Done
    }

    fn run_main(&mut self) -> Course {
        let main: Vec<Member> = self.members.iter().filter(|one| one.role == Role::Main).cloned().collect();
        let all_ended = main.iter().all(|one| match self.observed.container(one.name()).life {
            Life::Exited(exit) => !self.restarts(&one.container, &exit),
            Life::Never | Life::Starting | Life::Running { .. } | Life::Stopping { .. } => false,
        });
        if all_ended && !main.is_empty() {
            self.actions.clear();
            return self.end(EndReason::Completed);
        }
        for member in &main {
            let ended = match self.observed.container(member.name()).life {
                Life::Exited(exit) => !self.restarts(&member.container, &exit),
                Life::Never | Life::Starting | Life::Running { .. } | Life::Stopping { .. } => false,
            };
            if !ended {
                self.drive(&member.container);
            }
        }
        let ephemeral: Vec<Member> = self.members.iter().filter(|one| one.role == Role::Ephemeral).cloned().collect();
        for member in &ephemeral {
            if self.observed.container(member.name()).life == Life::Never {
                self.drive(&member.container);
            }
        }
        Course::Live
    }

    /// Tells whether a main container that ended so is started again.
    fn restarts(&self, container: &Container, exit: &Exit) -> bool {
        let policy = match container.restart_policy.as_deref() {
            Some("Always") => RestartPolicy::Always,
            Some("OnFailure") => RestartPolicy::OnFailure,
            Some("Never") => RestartPolicy::Never,
            _ => self.policy,
        };
        match policy {
            RestartPolicy::Always => true,
            RestartPolicy::OnFailure => !exit.is_success(),
            RestartPolicy::Never => false,
        }
    }

    /// Brings one container a step towards running.
    fn drive(&mut self, container: &Container) {
        let seen = self.observed.container(&container.name);
        match &seen.life {
            Life::Starting | Life::Stopping { .. } => {}
            Life::Running { hook, .. } => self.check_running(container, &seen, hook),
            Life::Never => self.start(container, &seen),
            Life::Exited(exit) => {
                if let Some((wait, until)) = seen.backoff.due(exit.finished_at).filter(|(_, until)| *until > self.now) {
                    self.wait_for_restart(container, exit, wait, until);
                } else {
                    self.start(container, &seen);
                }
            }
        }
    }

    fn check_running(&mut self, container: &Container, seen: &ContainerObserved, hook: &Hook) {
        let grace = pod::grace(self.desired.pod);
        let stop = match (hook, &seen.unhealthy) {
            (Hook::Failed(_), _) => Some((StopCause::HookFailed, grace)),
            (_, Some(unhealthy)) => Some((StopCause::Unhealthy(unhealthy.probe), unhealthy.grace.unwrap_or(grace))),
            (Hook::Pending | Hook::Done, None) => seen.changed.then_some((StopCause::Changed, grace)),
        };
        if let Some((cause, grace)) = stop {
            let deadline = after(self.now, grace);
            self.actions.push(Action::Stop { container: container.name.clone(), deadline, cause });
        }
    }

    fn wait_for_restart(&mut self, container: &Container, exit: &Exit, wait: Duration, until: Timestamp) {
        self.wake(until);
        let shown_until = after(exit.finished_at, SHOW_FAILURE);
        if exit.reason == "ContainerCannotRun" && self.now < shown_until {
            self.wake(shown_until);
            return self.waits(container, "RunContainerError", exit.message.clone());
        }
        let pod = self.desired.pod;
        let message = format!(
            "back-off {} restarting failed container={} pod={}_{}({})",
            go_duration(wait),
            container.name,
            pod::name(pod),
            pod::namespace(pod),
            pod::uid(pod)
        );
        self.waits(container, "CrashLoopBackOff", Some(message));
    }

    fn start(&mut self, container: &Container, seen: &ContainerObserved) {
        if let Some(problem) = &seen.problem {
            self.waits(container, &problem.reason, Some(problem.message.clone()));
            if problem.retry_at > self.now {
                return self.wake(problem.retry_at);
            }
        }
        match &seen.image {
            Image::Unknown => self.actions.push(Action::EnsureImage { container: container.name.clone() }),
            Image::Pulling => {}
            Image::Failed { reason, message, at, retry_at } => {
                let shown_until = after(*at, SHOW_FAILURE);
                if reason == "ErrImagePull" && self.now >= shown_until {
                    let image = container.image.as_deref().unwrap_or_default();
                    let text = format!("Back-off pulling image \"{image}\": ErrImagePull: {message}");
                    self.waits(container, "ImagePullBackOff", Some(text));
                } else {
                    self.waits(container, reason, Some(message.clone()));
                    self.wake(shown_until.max(self.now));
                }
                if *retry_at <= self.now {
                    self.actions.push(Action::EnsureImage { container: container.name.clone() });
                } else {
                    self.wake(*retry_at);
                }
            }
            Image::Present => {
                if self.observed.sandbox == Part::Ready && self.observed.volumes == Part::Ready {
                    self.actions.push(Action::Start { container: container.name.clone(), attempt: seen.attempts });
                }
            }
        }
    }

    /// Stops what runs, sidecars after the others and the last of them first; then cleans up.
    fn end(&mut self, reason: EndReason) -> Course {
        let since = self.observed.ending_since.unwrap_or(self.now);
        let deadline = after(since, pod::grace(self.desired.pod));
        let cause = match reason {
            EndReason::Completed => StopCause::MainEnded,
            EndReason::InitFailed | EndReason::Deleted | EndReason::Deadline => StopCause::PodEnds,
        };
        let alive: Vec<Member> = self.members.iter().filter(|one| self.is_alive(one.name())).cloned().collect();
        if alive.is_empty() {
            return self.clean_up(reason);
        }
        let others: Vec<&Member> = alive.iter().filter(|one| one.role != Role::Sidecar).collect();
        let now_due: Vec<&Member> = if deadline <= self.now {
            alive.iter().collect()
        } else if others.is_empty() {
            alive.last().into_iter().collect()
        } else {
            others
        };
        for member in now_due {
            self.stop(member.name(), deadline, &cause);
        }
        self.wake(deadline.max(after(self.now, Duration::from_millis(100))));
        Course::Ending(reason)
    }

    fn stop(&mut self, container: &str, deadline: Timestamp, cause: &StopCause) {
        let due = match self.observed.container(container).life {
            Life::Running { .. } => true,
            Life::Stopping { deadline: present, .. } => present > deadline,
            // A start takes milliseconds: it is stopped as soon as it runs.
            Life::Never | Life::Starting | Life::Exited(_) => false,
        };
        if due {
            self.actions.push(Action::Stop { container: container.to_owned(), deadline, cause: cause.clone() });
        }
    }

    fn clean_up(&mut self, reason: EndReason) -> Course {
        match self.observed.sandbox {
            Part::Working => return Course::Ending(reason),
            Part::Ready | Part::Failed { .. } => {
                self.actions.push(Action::RemoveSandbox);
                return Course::Ending(reason);
            }
            Part::Absent => {}
        }
        if self.observed.volumes != Part::Absent {
            if self.observed.volumes != Part::Working {
                self.actions.push(Action::RemoveSandbox);
            }
            return Course::Ending(reason);
        }
        match self.desired.wish {
            Wish::Delete | Wish::Forget => self.actions.push(Action::Finish),
            Wish::Run => {}
        }
        Course::Ended(reason)
    }

    fn is_alive(&self, container: &str) -> bool {
        match self.observed.container(container).life {
            Life::Starting | Life::Running { .. } | Life::Stopping { .. } => true,
            Life::Never | Life::Exited(_) => false,
        }
    }

    fn waits(&mut self, container: &Container, reason: &str, message: Option<String>) {
        self.waiting.insert(container.name.clone(), Waiting { reason: reason.to_owned(), message });
    }

    fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |before| before.min(at)));
    }
}

/// Writes a duration as Go does: `10s`, `1m20s`, `5m0s`.
fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) }
}
