//! The node: starts, adopts and stops what runs on this machine.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use maru_client::Client;
use maru_http::Handler;
use maru_task::Scope;
use tokio::sync::Semaphore;

use crate::NodeOptions;
use crate::addresses::Addresses;
use crate::context::{ClientHandle, Context};
use crate::events::Events;
use crate::kubelet;
use crate::machine::{self, Capacity};
use crate::manager::{Manager, Pods};
use crate::metrics::NodeMetrics;
use crate::objects::Objects;
use crate::record::{Layout, PodRecord};
use crate::worker::remove_remains;

/// The node could not be started or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A file or directory of the node cannot be used.
    #[error("the node's directory \"{path}\" cannot be used")]
    Directory {
        /// Which.
        path: String,
        /// The kernel's reason.
        #[source]
        source: std::io::Error,
    },
    /// Pods did not stop in time, or something of them could not be removed.
    #[error("{count} pods are not removed yet; try again: {problem}")]
    Remaining {
        /// How many.
        count: usize,
        /// What is known about the reason.
        problem: String,
    },
}

/// Time beyond the longest grace period that pods may take to go away.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(30);

/// The running node. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Node {
    context: Arc<Context>,
    pods: Pods,
    handler: Handler,
    /// Follows the API; ends before pods are stopped for good.
    following: Scope,
}

impl Node {
    /// Adopts the pods that still run from before, then follows the API until the scope ends. Pods outlive the scope.
    ///
    /// # Errors
    /// When the node's directory cannot be used.
    pub async fn start(scope: Scope, client: Client, options: NodeOptions) -> Result<Self, NodeError> {
        let layout = Layout::new(options.directory.clone());
        for directory in [layout.pods(), layout.logs(), layout.seccomp()] {
            let wrap = |source| NodeError::Directory { path: directory.display().to_string(), source };
            tokio::fs::create_dir_all(&directory).await.map_err(wrap)?;
        }
        let given = given_addresses(&layout)?;
        let (network, prefix_length) = options.pod_cidr;
        let context = Arc::new(Context {
            objects: Objects::new(client.clone()),
            events: Events::start(&scope, client.clone(), Arc::clone(&options.clock), options.name.clone()),
            client: ClientHandle(client),
            images: options.images.clone(),
            networks: options.networks.clone(),
            addresses: Mutex::new(Addresses::new(network, prefix_length, given)),
            pulls: Semaphore::new(options.limits.pulls_max.max(1)),
            capacity: Capacity::read(&options),
            metrics: NodeMetrics::new(&options.registry),
            layout,
            scope: scope.clone(),
            options,
        });
        let pods = Pods::default();
        let following = scope.child("following");
        Manager::start(&following, Arc::clone(&context), pods.clone());
        drop(following.spawn_until_cancelled("node status", machine::keep(Arc::clone(&context))));
        drop(following.spawn_until_cancelled(
            "image garbage",
            crate::garbage::collect_images(Arc::clone(&context), pods.clone()),
        ));
        let handler = kubelet::handler(Arc::clone(&context), pods.clone());
        Ok(Self { context, pods, handler, following })
    }

    /// Returns what answers the paths of a kubelet's port 10250: logs, exec, attach, statistics.
    #[must_use]
    pub fn kubelet(&self) -> Handler {
        self.handler.clone()
    }

    /// Stops every pod on this machine, each within its grace period, and removes its sandbox, mounts, cgroups and
    /// directory. The objects stay; the node no longer follows the API.
    ///
    /// # Errors
    /// When something could not be removed; the rest was.
    pub async fn stop_all(&self) -> Result<(), NodeError> {
        self.following.cancel();
        let longest = self.pods.longest_grace();
        let waiting = self.pods.forget_all();
        let all = futures::future::join_all(waiting.iter().map(crate::worker::PodHandle::gone));
        let in_time = tokio::time::timeout(longest + REMOVAL_PATIENCE, all).await.is_ok();
        let problem = if in_time { Ok(()) } else { Err("some did not stop in time".to_owned()) };
        let problem = problem.and(self.remove_leftovers().await);
        let left = self.context.layout.uids().unwrap_or_default().len();
        let cgroup = maru_container::Cgroup::at(format!("/{}", self.context.options.cgroup_parent.trim_matches('/')));
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || cgroup.remove()).await {
            tracing::debug!(%error, "the cgroup above the pods stays");
        }
        match problem {
            Ok(()) if left == 0 => Ok(()),
            Ok(()) => {
                Err(NodeError::Remaining { count: left, problem: "their directories are still there".to_owned() })
            }
            Err(problem) => Err(NodeError::Remaining { count: left, problem }),
        }
    }

    /// Removes what has no worker: remains of pods without a record.
    async fn remove_leftovers(&self) -> Result<(), String> {
        let mut result = Ok(());
        for uid in self.context.layout.uids().map_err(|error| error.to_string())? {
            let removed = remove_remains(&self.context, &uid).await;
            if removed.is_ok() {
                crate::worker::remove_directories(&self.context, &uid).await;
            }
            result = result.and(removed);
        }
        result
    }
}

/// Returns the addresses that pods hold from before.
fn given_addresses(layout: &Layout) -> Result<Vec<std::net::Ipv4Addr>, NodeError> {
    let wrap = |source| NodeError::Directory { path: layout.pods().display().to_string(), source };
    let uids = layout.uids().map_err(wrap)?;
    Ok(uids.iter().filter_map(|uid| PodRecord::load(&layout.pod(uid)).ok()?.address).collect())
}
