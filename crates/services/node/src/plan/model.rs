//! What the plan looks at and what it asks for.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use maru_time::Timestamp;
use serde::{Deserialize, Serialize};

use super::backoff::RestartBackoff;

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exit {
    /// Counts the restarts from 0.
    pub(crate) attempt: u32,
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
    /// As in the status: `Completed`, `Error`, `OOMKilled`, `ContainerCannotRun`, `ContainerStatusUnknown`.
    pub(crate) reason: String,
    pub(crate) message: Option<String>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Timestamp,
}

impl Exit {
    pub(crate) fn is_success(&self) -> bool {
        self.code == 0
    }
}

/// Where a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Life {
    /// Not started yet in this pod; ends with `Starting`.
    Never,
    /// Being made; ends with `Running`, or with `Exited` when it cannot run.
    Starting,
    /// Its program runs; ends with `Stopping` or `Exited`.
    Running { attempt: u32, at: Timestamp, hook: Hook },
    /// It was asked to stop; ends with `Exited`, at the latest soon after the deadline.
    Stopping { attempt: u32, at: Timestamp, deadline: Timestamp },
    /// It has ended; ends with `Starting` when it may start again.
    Exited(Exit),
}

/// Where a running container's postStart hook is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hook {
    /// It runs; until it ends the container does not count as running.
    Pending,
    /// It succeeded, or there is none.
    Done,
    /// It failed: the container is stopped.
    Failed(String),
}

/// Where a container's image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Image {
    /// Not looked for yet for the next start.
    Unknown,
    /// Being looked for or pulled.
    Pulling,
    /// On this machine.
    Present,
    /// Not to be had; tried again at `retry_at`.
    Failed {
        /// As in the status: `ErrImagePull`, `ErrImageNeverPull`, `InvalidImageName`.
        reason: String,
        message: String,
        at: Timestamp,
        retry_at: Timestamp,
    },
}

/// Why the last start did not even make a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// As in the status: `CreateContainerConfigError`, `CreateContainerError` …
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) retry_at: Timestamp,
}

/// All that is known of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerObserved {
    pub(crate) life: Life,
    /// How often a start was made; the next attempt's number.
    pub(crate) attempts: u32,
    /// The end before the present life.
    pub(crate) last_exit: Option<Exit>,
    pub(crate) image: Image,
    /// The digest that the present or last attempt ran.
    pub(crate) image_id: Option<String>,
    pub(crate) backoff: RestartBackoff,
    pub(crate) problem: Option<Problem>,
    /// Whether the startup probe has succeeded (or there is none).
    pub(crate) started: bool,
    /// Whether the readiness probe succeeds (or there is none).
    pub(crate) ready: bool,
    /// Why a probe wants the container stopped.
    pub(crate) unhealthy: Option<Unhealthy>,
    /// Whether the specification names another image than the newest attempt runs.
    pub(crate) changed: bool,
}

/// Why a probe wants a container stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unhealthy {
    /// `liveness` or `startup`.
    pub(crate) probe: &'static str,
    /// The probe's own grace period.
    pub(crate) grace: Option<Duration>,
}

impl Default for ContainerObserved {
    fn default() -> Self {
        Self {
            life: Life::Never,
            attempts: 0,
            last_exit: None,
            image: Image::Unknown,
            image_id: None,
            backoff: RestartBackoff::default(),
            problem: None,
            started: false,
            ready: false,
            unhealthy: None,
            changed: false,
        }
    }
}

/// Where the pod's sandbox (address, namespaces, shim) or its volumes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Not made.
    Absent,
    /// Being made or removed.
    Working,
    /// There.
    Ready,
    /// Could not be made; tried again at `retry_at`.
    Failed { message: String, retry_at: Timestamp },
}

/// All that is known of a pod on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) sandbox: Part,
    pub(crate) volumes: Part,
    pub(crate) containers: BTreeMap<String, ContainerObserved>,
    /// When the pod began to end, once it did.
    pub(crate) ending_since: Option<Timestamp>,
    /// When the pod was taken up here.
    pub(crate) start_time: Timestamp,
    /// Whether the init containers were done before in this sandbox; they then do not run again.
    pub(crate) initialized: bool,
}

impl Observed {
    pub(crate) fn container(&self, name: &str) -> ContainerObserved {
        self.containers.get(name).cloned().unwrap_or_default()
    }
}

/// What is wanted of the pod.
#[derive(Debug, Clone)]
pub(crate) struct Desired<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) wish: Wish,
}

/// What is wanted of the pod beyond its specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    /// It should run.
    Run,
    /// Its object is marked for deletion: stop it, then delete the object.
    Delete,
    /// Its object is gone, or the node is torn down: stop it and clean up.
    Forget,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Allocate the address, make the namespaces, start the shim, write hosts and resolv.conf.
    PrepareSandbox,
    /// Make all volumes.
    PrepareVolumes,
    /// Find the container's image here, or pull it.
    EnsureImage { container: String },
    /// Make and start the container.
    Start { container: String, attempt: u32 },
    /// Run the preStop hook, then the stop signal, and at the deadline SIGKILL. Given again: moves the deadline.
    Stop { container: String, deadline: Timestamp, cause: StopCause },
    /// End the shim, detach the network, unmount everything. Logs and the record stay.
    RemoveSandbox,
    /// Write the final status, delete the object if it is marked, forget the pod with its directory.
    Finish,
}

/// Why a container is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StopCause {
    /// The pod ends.
    PodEnds,
    /// All main containers have ended, so sidecars follow.
    MainEnded,
    /// A probe failed too often.
    Unhealthy(&'static str),
    /// The postStart hook failed.
    HookFailed,
    /// The specification names another image.
    Changed,
}

/// Why a container waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) reason: String,
    pub(crate) message: Option<String>,
}

/// Where the pod as a whole is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Course {
    /// It runs or is on its way.
    Live,
    /// It will not run again and is being stopped.
    Ending(EndReason),
    /// Nothing of it runs any more and nothing will.
    Ended(EndReason),
}

/// Why a pod does not run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// Its main containers ended and are not restarted.
    Completed,
    /// An init container failed and is not restarted.
    InitFailed,
    /// It was deleted, or the node is torn down.
    Deleted,
    /// It ran longer than `activeDeadlineSeconds`.
    Deadline,
}

/// What to do about a pod, and what its status should say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) actions: Vec<Action>,
    /// Reasons of the containers that wait.
    pub(crate) waiting: BTreeMap<String, Waiting>,
    /// When to look again although nothing happened.
    pub(crate) wake_at: Option<Timestamp>,
    pub(crate) course: Course,
    /// Whether all init containers are done (sidecars: started).
    pub(crate) initialized: bool,
}
