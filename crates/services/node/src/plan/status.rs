//! Derives a pod's status from what is known of it. Pure.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, HostIP,
    Pod, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use maru_time::Timestamp;

use super::model::{ContainerObserved, Course, EndReason, Exit, Hook, Life, Observed, Part, Plan};
use crate::pod::{self, Member, RestartPolicy, Role};

/// What the status says besides the containers.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) host_addresses: Vec<IpAddr>,
    pub(crate) pod_addresses: Vec<IpAddr>,
    pub(crate) now: Timestamp,
}

/// Returns the whole status; conditions that are not the node's own are kept, transition times too where nothing changed.
pub(crate) fn status(pod: &Pod, observed: &Observed, plan: &Plan, facts: &Facts) -> PodStatus {
    let before = pod.status.clone().unwrap_or_default();
    let members = pod::members(pod);
    let of = |roles: &[Role]| -> Vec<ContainerStatus> {
        members
            .iter()
            .filter(|one| roles.contains(&one.role))
            .map(|one| container_status(pod, one, observed, plan))
            .collect()
    };
    let init = of(&[Role::Init, Role::Sidecar]);
    let main = of(&[Role::Main]);
    let ephemeral = of(&[Role::Ephemeral]);
    let phase = phase(pod, &before, &members, observed, plan);
    let (reason, message) = match &plan.course {
        Course::Ending(EndReason::Deadline) | Course::Ended(EndReason::Deadline) => (
            Some("DeadlineExceeded".to_owned()),
            Some("Pod was active on the node longer than the specified deadline".to_owned()),
        ),
        Course::Live | Course::Ending(_) | Course::Ended(_) => (before.reason.clone(), before.message.clone()),
    };
    let has_address = observed.sandbox == Part::Ready || !matches!(plan.course, Course::Live);
    let addresses: &[IpAddr] = if has_address { &facts.pod_addresses } else { &[] };
    let mut status = PodStatus {
        container_statuses: some(main),
        init_container_statuses: some(init),
        ephemeral_container_statuses: some(ephemeral),
        host_ip: facts.host_addresses.first().map(ToString::to_string),
        host_ips: some(facts.host_addresses.iter().map(|ip| HostIP { ip: ip.to_string() }).collect()),
        pod_ip: addresses.first().map(ToString::to_string),
        pod_ips: some(addresses.iter().map(|ip| PodIP { ip: ip.to_string() }).collect()),
        phase: Some(phase.to_owned()),
        qos_class: Some(before.qos_class.clone().unwrap_or_else(|| pod::qos(pod).as_str().to_owned())),
        reason,
        message,
        start_time: before.start_time.clone().or(Some(Time(whole_seconds(observed.start_time)))),
        observed_generation: pod.metadata.generation,
        ..before.clone()
    };
    status.conditions = Some(conditions(pod, &before, &status, observed, plan, facts.now));
    status
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    if list.is_empty() { None } else { Some(list) }
}

/// The API keeps whole seconds; comparing finer ones would find a change each time.
fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// Returns the container's id as the status shows it.
pub(crate) fn container_id(pod: &Pod, container: &str, attempt: u32) -> String {
    let input = format!("{}/{container}/{attempt}", pod::uid(pod));
    format!("maru://{}", maru_ids::short_hash(&input, 64))
}

fn container_status(pod: &Pod, member: &Member, observed: &Observed, plan: &Plan) -> ContainerStatus {
    let name = member.name();
    let seen = observed.container(name);
    let id = |attempt: u32| Some(container_id(pod, name, attempt));
    let terminated =
        |exit: &Exit| ContainerState { terminated: Some(terminated(pod, name, exit)), ..ContainerState::default() };
    let mut last_state = seen.last_exit.as_ref().map(terminated);
    let mut container_id = seen.attempts.checked_sub(1).and_then(id);
    let state = match &seen.life {
        Life::Running { attempt, at, hook: Hook::Done } | Life::Stopping { attempt, at, .. } => {
            container_id = id(*attempt);
            ContainerState {
                running: Some(ContainerStateRunning { started_at: Some(Time(whole_seconds(*at))) }),
                ..ContainerState::default()
            }
        }
        Life::Exited(exit) => match plan.waiting.get(name) {
            Some(_) => {
                last_state = Some(terminated(exit));
                waiting(observed, plan, member, pod)
            }
            None => {
                container_id = id(exit.attempt);
                terminated(exit)
            }
        },
        Life::Never | Life::Starting | Life::Running { .. } => waiting(observed, plan, member, pod),
    };
    ContainerStatus {
        name: name.to_owned(),
        image: member.container.image.clone().unwrap_or_default(),
        image_id: seen.image_id.clone().unwrap_or_default(),
        container_id,
        restart_count: i32::try_from(seen.attempts.saturating_sub(1)).unwrap_or(i32::MAX),
        ready: is_ready(member.role, &seen),
        started: Some(is_started(&seen)),
        last_state: Some(last_state.unwrap_or_default()),
        state: Some(state),
        ..ContainerStatus::default()
    }
}

fn is_started(seen: &ContainerObserved) -> bool {
    match &seen.life {
        Life::Running { hook: Hook::Done, .. } | Life::Stopping { .. } => seen.started,
        Life::Never | Life::Starting | Life::Running { .. } | Life::Exited(_) => false,
    }
}

fn is_ready(role: Role, seen: &ContainerObserved) -> bool {
    match (&seen.life, role) {
        (Life::Exited(exit), Role::Init) => exit.is_success(),
        (_, Role::Ephemeral | Role::Init) => false,
        (Life::Running { hook: Hook::Done, .. } | Life::Stopping { .. }, _) => seen.started && seen.ready,
        (Life::Never | Life::Starting | Life::Running { .. } | Life::Exited(_), Role::Sidecar | Role::Main) => false,
    }
}

fn waiting(observed: &Observed, plan: &Plan, member: &Member, pod: &Pod) -> ContainerState {
    let (reason, message) = match plan.waiting.get(member.name()) {
        Some(waiting) => (waiting.reason.clone(), waiting.message.clone()),
        None => {
            let initializing = pod::spec(pod).init_containers.as_ref().is_some_and(|list| !list.is_empty())
                && !plan.initialized
                && !observed.initialized;
            (if initializing { "PodInitializing" } else { "ContainerCreating" }.to_owned(), None)
        }
    };
    ContainerState {
        waiting: Some(ContainerStateWaiting { reason: Some(reason), message }),
        ..ContainerState::default()
    }
}

fn terminated(pod: &Pod, name: &str, exit: &Exit) -> ContainerStateTerminated {
    ContainerStateTerminated {
        container_id: Some(container_id(pod, name, exit.attempt)),
        exit_code: exit.code,
        signal: None,
        reason: Some(exit.reason.clone()),
        message: exit.message.clone(),
        started_at: exit.started_at.map(|at| Time(whole_seconds(at))),
        finished_at: Some(Time(whole_seconds(exit.finished_at))),
    }
}

fn phase(pod: &Pod, before: &PodStatus, members: &[Member], observed: &Observed, plan: &Plan) -> &'static str {
    // A pod that has ended never comes back.
    match before.phase.as_deref() {
        Some("Succeeded") => return "Succeeded",
        Some("Failed") => return "Failed",
        _ => {}
    }
    let alive = observed.containers.values().any(|one| match one.life {
        Life::Starting | Life::Running { .. } | Life::Stopping { .. } => true,
        Life::Never | Life::Exited(_) => false,
    });
    match &plan.course {
        Course::Ending(EndReason::Deadline) | Course::Ended(EndReason::Deadline) if !alive => return "Failed",
        Course::Ending(EndReason::InitFailed) | Course::Ended(EndReason::InitFailed) if !alive => return "Failed",
        Course::Live | Course::Ending(_) | Course::Ended(_) => {}
    }
    let lives: Vec<Life> =
        members.iter().filter(|one| one.role == Role::Main).map(|one| observed.container(one.name()).life).collect();
    let never = lives.iter().any(|life| matches!(life, Life::Never));
    if !alive && !lives.is_empty() {
        let ends: Vec<&Exit> =
            lives.iter().filter_map(|life| if let Life::Exited(exit) = life { Some(exit) } else { None }).collect();
        let is_over = match &plan.course {
            Course::Live => false,
            Course::Ending(_) | Course::Ended(_) => true,
        };
        if is_over && ends.len() == lives.len() {
            return if ends.iter().all(|exit| exit.is_success()) { "Succeeded" } else { "Failed" };
        }
        if is_over && pod.metadata.deletion_timestamp.is_some() && pod::restart_policy(pod) == RestartPolicy::Never {
            return "Failed";
        }
    }
    let starting_first = members.iter().filter(|one| one.role == Role::Main).any(|one| {
        let seen = observed.container(one.name());
        let pending = matches!(seen.life, Life::Starting | Life::Running { hook: Hook::Pending, .. });
        pending && seen.last_exit.is_none() && seen.attempts <= 1
    });
    if never || starting_first { "Pending" } else { "Running" }
}

fn conditions(
    pod: &Pod,
    before: &PodStatus,
    status: &PodStatus,
    observed: &Observed,
    plan: &Plan,
    now: Timestamp,
) -> Vec<PodCondition> {
    let phase = status.phase.as_deref().unwrap_or_default();
    let sandbox = observed.sandbox == Part::Ready;
    let (containers_ready, reason, message) = containers_ready(pod, status, phase);
    let mut own = vec![
        condition("PodReadyToStartContainers", sandbox, None, None),
        initialized_condition(pod, status, observed, plan, phase),
    ];
    let (ready, ready_reason, ready_message) =
        if containers_ready { readiness_gates(pod, before) } else { (false, reason.clone(), message.clone()) };
    own.push(condition("Ready", ready, ready_reason, ready_message));
    own.push(condition("ContainersReady", containers_ready, reason, message));
    if !before.conditions.iter().flatten().any(|one| one.type_ == "PodScheduled") {
        own.push(condition("PodScheduled", true, None, None));
    }
    let mut all = Vec::new();
    for mut one in own {
        let previous = before.conditions.iter().flatten().find(|other| other.type_ == one.type_);
        one.observed_generation = pod.metadata.generation;
        one.last_transition_time = match previous {
            Some(previous) if previous.status == one.status && previous.last_transition_time.is_some() => {
                previous.last_transition_time.clone()
            }
            _ => Some(Time(whole_seconds(now))),
        };
        all.push(one);
    }
    for foreign in before.conditions.iter().flatten() {
        if !all.iter().any(|one| one.type_ == foreign.type_) {
            all.push(foreign.clone());
        }
    }
    all
}

fn condition(kind: &str, holds: bool, reason: Option<String>, message: Option<String>) -> PodCondition {
    PodCondition {
        type_: kind.to_owned(),
        status: if holds { "True" } else { "False" }.to_owned(),
        reason,
        message,
        ..PodCondition::default()
    }
}

fn initialized_condition(pod: &Pod, status: &PodStatus, observed: &Observed, plan: &Plan, phase: &str) -> PodCondition {
    let reason = match phase {
        "Succeeded" => Some("PodCompleted".to_owned()),
        _ => None,
    };
    if plan.initialized || observed.initialized || phase == "Succeeded" || pod::spec(pod).init_containers.is_none() {
        return condition("Initialized", true, reason, None);
    }
    let incomplete: Vec<&str> = status
        .init_container_statuses
        .iter()
        .flatten()
        .filter(|one| !one.ready && one.started != Some(true))
        .map(|one| one.name.as_str())
        .collect();
    let message = format!("containers with incomplete status: [{}]", incomplete.join(" "));
    condition("Initialized", false, Some("ContainersNotInitialized".to_owned()), Some(message))
}

fn containers_ready(pod: &Pod, status: &PodStatus, phase: &str) -> (bool, Option<String>, Option<String>) {
    match phase {
        "Succeeded" => return (false, Some("PodCompleted".to_owned()), None),
        "Failed" => return (false, Some("PodFailed".to_owned()), None),
        _ => {}
    }
    let sidecars: Vec<String> =
        pod::members(pod).iter().filter(|one| one.role == Role::Sidecar).map(|one| one.name().to_owned()).collect();
    let unready: Vec<&str> = status
        .init_container_statuses
        .iter()
        .flatten()
        .filter(|one| sidecars.contains(&one.name))
        .chain(status.container_statuses.iter().flatten())
        .filter(|one| !one.ready)
        .map(|one| one.name.as_str())
        .collect();
    if unready.is_empty() {
        return (true, None, None);
    }
    let message = format!("containers with unready status: [{}]", unready.join(" "));
    (false, Some("ContainersNotReady".to_owned()), Some(message))
}

fn readiness_gates(pod: &Pod, before: &PodStatus) -> (bool, Option<String>, Option<String>) {
    let mut unmet = Vec::new();
    for gate in pod::spec(pod).readiness_gates.iter().flatten() {
        let kind = &gate.condition_type;
        match before.conditions.iter().flatten().find(|one| &one.type_ == kind) {
            None => unmet.push(format!("corresponding condition of pod readiness gate \"{kind}\" does not exist.")),
            Some(found) if found.status != "True" => {
                unmet.push(format!("the status of pod readiness gate \"{kind}\" is not \"True\", but {}", found.status))
            }
            Some(_) => {}
        }
    }
    if unmet.is_empty() {
        return (true, None, None);
    }
    (false, Some("ReadinessGatesNotReady".to_owned()), Some(unmet.join(", ")))
}
