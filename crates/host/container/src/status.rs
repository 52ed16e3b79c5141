//! What is known about a container: its identity, its state, how it ended.

use std::fmt;

use maru_time::Timestamp;
use serde::{Deserialize, Serialize};

/// A container within its pod: the name and how many were started before it under that name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContainerId {
    /// Name in the pod's specification.
    pub name: String,
    /// Counts the restarts from 0.
    pub attempt: u32,
}

impl ContainerId {
    /// Returns the id of the given attempt.
    #[must_use]
    pub fn new(name: impl Into<String>, attempt: u32) -> Self {
        Self { name: name.into(), attempt }
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.name, self.attempt)
    }
}

/// A container was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Id of its first process as the host sees it.
    pub pid: i32,
    /// When the program was executed.
    pub at: Timestamp,
}

/// How a container or a program in it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitStatus {
    /// The exit code; 128 plus the signal's number when a signal ended it.
    pub code: i32,
    /// Number of the signal that ended it.
    pub signal: Option<i32>,
    /// Whether the kernel killed a process of the container for lack of memory.
    pub oom_killed: bool,
    /// When it was started.
    pub started_at: Timestamp,
    /// When its end was seen.
    pub finished_at: Timestamp,
}

impl ExitStatus {
    /// Tells whether the program ended with code 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.code == 0
    }
}

/// The life cycle of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerPhase {
    /// Being made; ends with `Running` or `Failed`.
    Creating,
    /// Its first process lives; ends with `Exited` or `Lost`.
    Running(Started),
    /// Its first process ended. Final.
    Exited(ExitStatus),
    /// It could not be started. Final.
    Failed {
        /// Why, in words for the person who wrote the pod.
        message: String,
        /// When.
        at: Timestamp,
    },
    /// Its shim died, so that nobody saw how it ended; what was left of it was killed. Final.
    Lost {
        /// When it was started, if it was.
        started_at: Option<Timestamp>,
    },
}

impl ContainerPhase {
    /// Tells whether nothing can happen to the container any more but its removal.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Creating | Self::Running(_) => false,
            Self::Exited(_) | Self::Failed { .. } | Self::Lost { .. } => true,
        }
    }
}

/// One container of a pod as its shim knows it; also the content of its state file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerState {
    /// Which container.
    pub id: ContainerId,
    /// Where it is in its life.
    pub phase: ContainerPhase,
}

/// The states of all containers of a pod at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodState {
    /// Grows with every change; pass it to `Shim::wait_change`.
    pub generation: u64,
    /// Sorted by id.
    pub containers: Vec<ContainerState>,
}
