//! What surrounds a pod's containers: address, namespaces, shim, hosts and resolv.conf.

use std::fs;
use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use maru_container::{PodCgroup, Shim, ShimError, ShimOptions};
use maru_net::{PodAttachment, PodNamespaces};

use super::{Report, Sandbox, Worker};
use crate::config::{HostsInput, PodFiles, hostname, hosts, resolv_conf, sysctls};
use crate::context::{Context, chain};
use crate::events::Severity;
use crate::plan::{Part, after};
use crate::pod;
use crate::record::PodRecord;
use crate::volumes::{tmpfs, unmount_below};

/// Size of a pod's `/dev/shm`.
const SHM_BYTES: u64 = 64 * 1024 * 1024;
/// Where systemd-resolved names the resolvers that it asks itself.
const BEHIND_LOCAL_CACHE: &str = "/run/systemd/resolve/resolv.conf";
/// First wait after a failure; doubles up to the cap.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_CAP: Duration = Duration::from_secs(60);

/// Returns the wait after the given number of failures in a row.
pub(super) fn retry_wait(failures: u32) -> Duration {
    RETRY_FIRST.saturating_mul(1 << failures.min(10)).min(RETRY_CAP)
}

impl Worker {
    pub(super) fn prepare_sandbox(&mut self) {
        self.memory.sandbox = Part::Working;
        if let Err(message) = self.claim_directory() {
            self.take_sandbox(Err(message));
            return;
        }
        let job = self.sandbox_job();
        drop(self.task("make sandbox", job));
    }

    /// Writes down the address before it is used, so that it is never given twice.
    fn claim_directory(&mut self) -> Result<(), String> {
        fs::create_dir_all(&self.directory).map_err(|error| format!("could not make the pod's directory: {error}"))?;
        if self.record.address.is_none() && !pod::is_host_network(&self.record.pod) {
            self.record.address = Some(self.context.take_address().map_err(|error| error.to_string())?);
        }
        self.record.has_sandbox = true;
        self.record.save(&self.directory).map_err(|error| format!("could not write the pod's record: {error}"))
    }

    pub(super) fn sandbox_job(&self) -> impl Future<Output = Report> + Send + use<> {
        let (context, record) = (Arc::clone(&self.context), self.record.clone());
        async move { Report::Sandbox(prepare(&context, &record).await) }
    }

    pub(super) fn take_sandbox(&mut self, result: Result<Sandbox, String>) {
        match result {
            Ok(sandbox) => {
                self.warn_of_host_ports();
                self.memory.sandbox_failures = 0;
                self.memory.sandbox = Part::Ready;
                let is_new = self.memory.made.is_none();
                self.memory.made = Some(sandbox);
                if is_new {
                    self.follow_shim();
                }
            }
            Err(message) => {
                let text = format!("Failed to create pod sandbox: {message}");
                self.event(None, Severity::Warning, "FailedCreatePodSandBox", &text);
                let wait = retry_wait(self.memory.sandbox_failures);
                self.memory.sandbox_failures = self.memory.sandbox_failures.saturating_add(1);
                self.memory.sandbox = Part::Failed { message, retry_at: after(self.context.now(), wait) };
            }
        }
    }

    /// Says what is asked for and not done.
    fn warn_of_host_ports(&self) {
        if pod::is_host_network(&self.record.pod) || self.memory.sandbox_failures > 0 {
            return;
        }
        for member in pod::members(&self.record.pod) {
            for port in
                member.container.ports.iter().flatten().filter_map(|port| port.host_port).filter(|port| *port > 0)
            {
                let text = format!("hostPort {port} is not supported; use a Service of type NodePort, or hostNetwork");
                self.event(Some(member.name()), Severity::Warning, "HostPortNotSupported", &text);
            }
        }
    }

    pub(super) fn remove_sandbox(&mut self) {
        self.memory.sandbox = Part::Working;
        self.memory.volumes = Part::Working;
        self.memory.abort_tasks();
        let (context, uid) = (Arc::clone(&self.context), self.uid.clone());
        let job = async move { Report::SandboxRemoved(remove_remains(&context, &uid).await) };
        drop(self.task("remove sandbox", job));
    }

    pub(super) fn take_removed(&mut self, result: Result<(), String>) {
        match result {
            Ok(()) => {
                self.memory.sandbox = Part::Absent;
                self.memory.volumes = Part::Absent;
                self.memory.made = None;
                self.memory.states.clear();
                self.record.has_sandbox = false;
                self.record.has_volumes = false;
                self.save();
            }
            Err(message) => {
                tracing::warn!(uid = %self.uid, error = %message, "the pod's sandbox could not be removed; trying again");
                let failed = Part::Failed { message, retry_at: after(self.context.now(), RETRY_FIRST) };
                self.memory.sandbox = failed.clone();
                self.memory.volumes = failed;
            }
        }
    }
}

async fn prepare(context: &Context, record: &PodRecord) -> Result<Sandbox, String> {
    let uid = pod::uid(&record.pod).to_owned();
    let (host, _) = hostname(&record.pod, &context.options.cluster_domain);
    write_files(context, record, &host).await?;
    let network = attach(context, record, &host);
    let (namespaces, shim) = tokio::try_join!(network, shim(context, &uid))?;
    Ok(Sandbox { shim, namespaces })
}

/// Makes the pod's namespaces; pods in the machine's network have none.
async fn attach(context: &Context, record: &PodRecord, host: &str) -> Result<Option<PodNamespaces>, String> {
    let Some(address) = record.address.filter(|_| !pod::is_host_network(&record.pod)) else { return Ok(None) };
    let attachment = PodAttachment {
        uid: pod::uid(&record.pod).to_owned(),
        address: address.into(),
        hostname: host.chars().take(63).collect(),
        sysctls: sysctls(&record.pod).map_err(|error| error.to_string())?,
    };
    context.networks.attach(&attachment).await.map(Some).map_err(|error| chain(&error))
}

/// Finds the pod's shim, or starts it.
async fn shim(context: &Context, uid: &str) -> Result<Shim, String> {
    let directory = context.layout.shim(uid);
    match Shim::connect(&directory).await {
        Ok(shim) => Ok(shim),
        Err(ShimError::Gone { .. }) => {
            let options = ShimOptions {
                executable: Some(context.options.executable.clone()),
                directory,
                pod_uid: uid.to_owned(),
                cgroup: context.cgroup(uid),
                runtime: context.options.runtime.clone(),
            };
            Shim::spawn(options).await.map_err(|error| chain(&error))
        }
        Err(error) => Err(chain(&error)),
    }
}

async fn write_files(context: &Context, record: &PodRecord, host: &str) -> Result<(), String> {
    let directory = context.layout.pod(pod::uid(&record.pod));
    let files = PodFiles::of(&directory);
    let own_hosts = if pod::is_host_network(&record.pod) {
        tokio::fs::read_to_string("/etc/hosts").await.unwrap_or_default()
    } else {
        String::new()
    };
    let mut resolv = tokio::fs::read_to_string(&context.options.resolv_conf).await.unwrap_or_default();
    if names_only_loopback(&resolv) {
        // The machine's own cache cannot be reached from a pod: what it asks is named in this file.
        resolv = tokio::fs::read_to_string(BEHIND_LOCAL_CACHE).await.unwrap_or(resolv);
    }
    let hosts = hosts(&HostsInput {
        pod: &record.pod,
        addresses: &context.pod_addresses(record),
        cluster_domain: &context.options.cluster_domain,
        host_file: &own_hosts,
    });
    let resolv = resolv_conf(&record.pod, &context.options.cluster_dns, &context.options.cluster_domain, &resolv);
    let host_ipc = pod::spec(&record.pod).host_ipc.unwrap_or(false);
    let host = format!("{host}\n");
    let work = move || -> std::io::Result<()> {
        // In place: a running container has these very files mounted.
        for (path, text) in [(&files.hosts, &hosts), (&files.resolv_conf, &resolv), (&files.hostname, &host)] {
            let unchanged = fs::read(path).is_ok_and(|present| present == text.as_bytes());
            if !unchanged {
                fs::write(path, text)?;
                fs::set_permissions(path, fs::Permissions::from_mode(0o644))?;
            }
        }
        if !host_ipc && tmpfs(&files.shm, Some(SHM_BYTES))? {
            fs::set_permissions(&files.shm, fs::Permissions::from_mode(0o1777))?;
        }
        Ok(())
    };
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?;
    done.map_err(|error| format!("could not write the pod's files: {error}"))
}

/// Tells whether a resolver file names resolvers of the machine itself and no other.
fn names_only_loopback(file: &str) -> bool {
    let mut servers = file.lines().filter_map(|line| line.trim().strip_prefix("nameserver")).map(str::trim).peekable();
    servers.peek().is_some() && servers.all(|server| server.starts_with("127.") || server == "::1")
}

/// Removes all of a pod that runs or is mounted; record and logs stay. What is gone already is no error.
pub(crate) async fn remove_remains(context: &Context, uid: &str) -> Result<(), String> {
    let shim_directory = context.layout.shim(uid);
    match Shim::connect(&shim_directory).await {
        Ok(shim) => match shim.shutdown().await {
            Ok(()) | Err(ShimError::Gone { .. }) => {}
            Err(error) => return Err(chain(&error)),
        },
        Err(ShimError::Gone { .. }) => {
            // Reading what it left kills what it left.
            let directory = shim_directory.clone();
            let read = move || maru_container::stored_states(&directory);
            match tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())? {
                Ok(_) | Err(ShimError::Gone { .. } | ShimError::Io { .. }) => {}
                Err(error) => return Err(chain(&error)),
            }
        }
        Err(error) => return Err(chain(&error)),
    }
    tracing::debug!(uid, "shim ended");
    context.networks.detach(uid).await.map_err(|error| chain(&error))?;
    tracing::debug!(uid, "network detached");
    let (pod_directory, cgroup) = (context.layout.pod(uid), PodCgroup::at(context.cgroup(uid)));
    let work = move || -> Result<(), String> {
        cgroup.remove().map_err(|error| chain(&error))?;
        unmount_below(&pod_directory).map_err(|error| format!("could not unmount the pod's volumes: {error}"))?;
        remove_made(&pod_directory).map_err(|error| format!("could not remove the pod's files: {error}"))?;
        remove_all(&shim_directory).map_err(|error| format!("could not remove the shim's directory: {error}"))
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}

/// Removes what is made for containers from a pod's directory; the record stays.
fn remove_made(directory: &Path) -> std::io::Result<()> {
    for name in ["containers", "volumes", "subpaths", "shm"] {
        remove_all(&directory.join(name))?;
    }
    Ok(())
}

fn remove_all(directory: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(directory) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes a pod's directory and logs.
pub(crate) async fn remove_directories(context: &Context, uid: &str) {
    let (directory, logs) = (context.layout.pod(uid), context.layout.pod_logs(uid));
    let work = move || -> std::io::Result<()> {
        unmount_below(&directory)?;
        remove_all(&logs)?;
        remove_all(&directory)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(uid, %error, "the pod's directory could not be removed"),
        Err(error) => tracing::warn!(uid, %error, "removing the pod's directory broke off"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_cache_is_told_from_other_resolvers() {
        assert!(names_only_loopback("# stub\nnameserver 127.0.0.53\noptions edns0\n"));
        assert!(!names_only_loopback("nameserver 127.0.0.1\nnameserver 192.0.2.1\n"));
        assert!(!names_only_loopback("search example\n"));
    }

    #[test]
    fn waits_double_up_to_a_minute() {
        assert_eq!([0, 1, 2, 10, 99].map(|failures| retry_wait(failures).as_secs()), [1, 2, 4, 60, 60]);
    }
}
