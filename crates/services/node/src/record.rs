//! What the node remembers of a pod on disk, so that a restart finds everything again.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;
use maru_time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::plan::{Exit, RestartBackoff};

const FILE: &str = "pod.json";

/// What the node remembers of a pod.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PodRecord {
    /// The newest object seen; what is stopped and cleaned up when the object itself is gone.
    pub(crate) pod: Pod,
    /// The pod's address; kept until the pod is forgotten.
    #[serde(default)]
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) start_time: Timestamp,
    /// When it began to end, once it did.
    #[serde(default)]
    pub(crate) ending_since: Option<Timestamp>,
    /// Whether its init containers are done.
    #[serde(default)]
    pub(crate) initialized: bool,
    /// Whether a sandbox may exist: set before it is made, cleared after it was removed.
    #[serde(default)]
    pub(crate) has_sandbox: bool,
    /// Whether volumes may exist.
    #[serde(default)]
    pub(crate) has_volumes: bool,
    #[serde(default)]
    pub(crate) containers: BTreeMap<String, ContainerRecord>,
}

/// What the node remembers of a container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ContainerRecord {
    /// Starts that were made; the next attempt's number.
    pub(crate) attempts: u32,
    /// How the newest attempt ended, once it did.
    #[serde(default)]
    pub(crate) exit: Option<Exit>,
    /// How the attempt before ended.
    #[serde(default)]
    pub(crate) previous: Option<Exit>,
    #[serde(default)]
    pub(crate) backoff: RestartBackoff,
    /// The digest of the manifest that the newest attempt runs.
    #[serde(default)]
    pub(crate) image: Option<String>,
    /// The image's name as the specification had it for the newest attempt.
    #[serde(default)]
    pub(crate) image_name: Option<String>,
    /// The image's id as the status shows it.
    #[serde(default)]
    pub(crate) image_id: Option<String>,
    /// The signal that asks the newest attempt to stop.
    #[serde(default)]
    pub(crate) stop_signal: Option<i32>,
    /// Whether the newest attempt's postStart hook is done.
    #[serde(default)]
    pub(crate) hooked: bool,
    /// Whether the newest attempt's startup probe has succeeded.
    #[serde(default)]
    pub(crate) started: bool,
    /// Whether the newest attempt was ready; it counts after a restart until its probe says otherwise.
    #[serde(default)]
    pub(crate) ready: bool,
}

impl PodRecord {
    pub(crate) fn new(pod: Pod, now: Timestamp) -> Self {
        Self {
            pod,
            address: None,
            start_time: now,
            ending_since: None,
            initialized: false,
            has_sandbox: false,
            has_volumes: false,
            containers: BTreeMap::new(),
        }
    }

    pub(crate) fn container(&mut self, name: &str) -> &mut ContainerRecord {
        self.containers.entry(name.to_owned()).or_default()
    }

    /// Writes the record whole or not at all. Not synced: after a crash of the machine nothing of the pod runs anyway.
    pub(crate) fn save(&self, directory: &Path) -> io::Result<()> {
        let bytes = serde_json::to_vec(self)?;
        let next = directory.join("pod.json.next");
        fs::write(&next, bytes)?;
        fs::rename(next, directory.join(FILE))
    }

    pub(crate) fn load(directory: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(directory.join(FILE))?)?)
    }
}

/// Where the parts of pods are below the node's directory.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn pods(&self) -> PathBuf {
        self.root.join("pods")
    }

    pub(crate) fn pod(&self, uid: &str) -> PathBuf {
        self.pods().join(uid)
    }

    /// The shim's directory; short, as a socket's path may not be long.
    pub(crate) fn shim(&self, uid: &str) -> PathBuf {
        self.root.join("shims").join(uid)
    }

    /// A container's root file system and what belongs to one attempt.
    pub(crate) fn attempt(&self, uid: &str, container: &str, attempt: u32) -> PathBuf {
        self.pod(uid).join("containers").join(container).join(attempt.to_string())
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub(crate) fn pod_logs(&self, uid: &str) -> PathBuf {
        self.logs().join(uid)
    }

    pub(crate) fn log(&self, uid: &str, container: &str, attempt: u32) -> PathBuf {
        self.pod_logs(uid).join(container).join(format!("{attempt}.log"))
    }

    pub(crate) fn seccomp(&self) -> PathBuf {
        self.root.join("seccomp")
    }

    /// Returns the uids of all pods that have a directory or a shim, sorted.
    pub(crate) fn uids(&self) -> io::Result<Vec<String>> {
        let mut all = std::collections::BTreeSet::new();
        for directory in [self.pods(), self.root.join("shims")] {
            match fs::read_dir(&directory) {
                Ok(entries) => {
                    for entry in entries {
                        all.extend(entry?.file_name().into_string());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_again_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let pod: Pod = serde_json::from_value(
            serde_json::json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}),
        )
        .unwrap();
        let mut record = PodRecord::new(pod, Timestamp::UNIX_EPOCH);
        record.address = Some(Ipv4Addr::new(10, 42, 0, 5));
        record.container("c").attempts = 3;
        record.save(directory.path()).unwrap();
        let found = PodRecord::load(directory.path()).unwrap();
        assert_eq!(found.address, record.address);
        assert_eq!(found.containers["c"].attempts, 3);
        assert_eq!(found.pod, record.pod);
    }
}
