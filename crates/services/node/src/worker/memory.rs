//! What a worker knows of its pod beyond the record: it is made anew after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use maru_container::{ContainerState, Shim, Started};
use maru_time::Timestamp;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::{PulledImage, Sandbox};
use crate::plan::{Hook, Image, Part, Problem, Unhealthy};
use crate::record::PodRecord;
use crate::volumes::{Sources, Tokens};

/// What a worker knows of its pod beyond the record.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) sandbox: Part,
    pub(super) made: Option<Sandbox>,
    pub(super) sandbox_failures: u32,
    /// Follows the shim's states.
    pub(super) follower: Option<AbortHandle>,
    /// The containers as the shim last told.
    pub(super) states: Vec<ContainerState>,
    pub(super) volumes: Part,
    pub(super) volume_failures: u32,
    pub(super) volumes_stale: bool,
    pub(super) volumes_refreshing: bool,
    pub(super) sources: Sources,
    pub(super) tokens: Tokens,
    pub(super) containers: BTreeMap<String, ContainerMemory>,
    /// Whether nothing of the pod is left on this machine.
    pub(super) cleaned: bool,
    /// Whether the object was deleted, as far as it depends on this node.
    pub(super) deleted: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            sandbox: Part::Absent,
            made: None,
            sandbox_failures: 0,
            follower: None,
            states: Vec::new(),
            volumes: Part::Absent,
            volume_failures: 0,
            volumes_stale: false,
            volumes_refreshing: false,
            sources: Sources::default(),
            tokens: Tokens::new(),
            containers: BTreeMap::new(),
            cleaned: false,
            deleted: false,
        }
    }
}

/// What a worker knows of one container.
#[derive(Debug)]
pub(super) struct ContainerMemory {
    pub(super) image: Image,
    pub(super) pulled: Option<PulledImage>,
    pub(super) pull_failures: u32,
    pub(super) starting: bool,
    pub(super) running: Option<(u32, Started)>,
    pub(super) hook: Hook,
    pub(super) hook_task: Option<AbortHandle>,
    pub(super) stopping: Option<Stopping>,
    pub(super) probes: Option<(u32, AbortHandle)>,
    pub(super) unhealthy: Option<Unhealthy>,
    pub(super) problem: Option<Problem>,
    pub(super) problems: u32,
    /// The wait that an event was written about: its reason, the attempts and the failed pulls before it.
    pub(super) told: Option<(String, u32, u32)>,
}

impl Default for ContainerMemory {
    fn default() -> Self {
        Self {
            image: Image::Unknown,
            pulled: None,
            pull_failures: 0,
            starting: false,
            running: None,
            hook: Hook::Done,
            hook_task: None,
            stopping: None,
            probes: None,
            unhealthy: None,
            problem: None,
            problems: 0,
            told: None,
        }
    }
}

/// A stop that is under way.
#[derive(Debug)]
pub(super) struct Stopping {
    pub(super) deadline: watch::Sender<Timestamp>,
    pub(super) task: AbortHandle,
}

impl Memory {
    pub(super) fn container(&mut self, name: &str) -> &mut ContainerMemory {
        self.containers.entry(name.to_owned()).or_default()
    }

    pub(super) fn shim(&self) -> Option<&Shim> {
        self.made.as_ref().map(|sandbox| &sandbox.shim)
    }

    pub(super) fn abort_tasks(&mut self) {
        if let Some(follower) = self.follower.take() {
            follower.abort();
        }
        for container in self.containers.values_mut() {
            container.abort_tasks();
        }
    }
}

impl ContainerMemory {
    /// Ends what belongs to a running attempt.
    pub(super) fn abort_tasks(&mut self) {
        if let Some(task) = self.hook_task.take() {
            task.abort();
        }
        if let Some(stopping) = self.stopping.take() {
            stopping.task.abort();
        }
        if let Some((_, task)) = self.probes.take() {
            task.abort();
        }
    }
}

/// What others may see of a pod: the kubelet API's handlers, and the collection of garbage.
#[derive(Debug, Clone)]
pub(crate) struct PodView {
    pub(crate) pod: Arc<Pod>,
    pub(crate) shim: Option<Shim>,
    pub(crate) containers: BTreeMap<String, ContainerView>,
}

/// What others may see of a container.
#[derive(Debug, Clone, Default)]
pub(crate) struct ContainerView {
    /// Starts that were made.
    pub(crate) attempts: u32,
    /// The attempt that runs, since when.
    pub(crate) running: Option<(u32, Timestamp)>,
    /// Whether the newest attempt has ended.
    pub(crate) ended: bool,
    /// The manifest's digest of the newest attempt.
    pub(crate) image: Option<String>,
}

impl PodView {
    pub(super) fn new(record: &PodRecord) -> Self {
        let containers = record.containers.iter().map(|(name, container)| {
            let view = ContainerView {
                attempts: container.attempts,
                running: None,
                ended: container.exit.is_some(),
                image: container.image.clone(),
            };
            (name.clone(), view)
        });
        Self { pod: Arc::new(record.pod.clone()), shim: None, containers: containers.collect() }
    }
}
