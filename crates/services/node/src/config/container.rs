//! Puts together what a container is asked to be.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Pod};
use maru_container::{ContainerConfig, Mount, Namespaces, Resources};
use maru_oci::RuntimeConfig;

use super::env::Environment;
use super::security;
use crate::pod::{self, Bound};

/// The container cannot be made as it is written; it waits with `CreateContainerConfigError`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// What is written cannot be done.
    #[error("{problem}")]
    Refused { problem: String },
    /// Neither the pod nor the image says what to run.
    #[error("no command specified")]
    NoCommand,
}

/// What a container is made from.
#[derive(Debug)]
pub(crate) struct ContainerInput<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) container: &'a Container,
    pub(crate) image: &'a RuntimeConfig,
    pub(crate) environment: Environment,
    /// Volumes and the pod's own files.
    pub(crate) mounts: Vec<Mount>,
    pub(crate) namespaces: Namespaces,
    pub(crate) hostname: Option<String>,
    pub(crate) pids_max: Option<u32>,
    pub(crate) memory_capacity: u64,
    pub(crate) seccomp_profiles: &'a Path,
}

/// Returns the container's configuration.
pub(crate) fn container_config(input: ContainerInput<'_>) -> Result<ContainerConfig, ConfigError> {
    let container = input.container;
    let context = container.security_context.clone().unwrap_or_default();
    if container.volume_devices.as_ref().is_some_and(|devices| !devices.is_empty()) {
        return Err(ConfigError::Refused { problem: "volumeDevices are not supported".to_owned() });
    }
    let args = arguments(container, input.image, &input.environment)?;
    let privileged = context.privileged.unwrap_or(false);
    let unmasked = context.proc_mount.as_deref() == Some("Unmasked");
    let working_directory = container.working_dir.clone().filter(|path| !path.is_empty());
    Ok(ContainerConfig {
        args,
        env: variables(input.image, input.environment, input.hostname.as_deref()),
        working_directory: working_directory.unwrap_or_else(|| input.image.working_dir.clone()),
        user: security::user(input.pod, container, &input.image.user)?,
        capabilities: security::capabilities(container),
        mounts: input.mounts,
        resources: resources(container, input.pids_max),
        read_only_root: context.read_only_root_filesystem.unwrap_or(false),
        seccomp: security::seccomp(input.pod, container, input.seccomp_profiles)?,
        namespaces: input.namespaces,
        hostname: input.hostname,
        sysctls: security::sysctls(input.pod)?,
        no_new_privileges: context.allow_privilege_escalation == Some(false),
        masked_paths: unmasked.then(Vec::new),
        readonly_paths: unmasked.then(Vec::new),
        privileged,
        tty: container.tty.unwrap_or(false),
        stdin: container.stdin.unwrap_or(false),
        stdin_once: container.stdin_once.unwrap_or(false),
        oom_score_adjustment: Some(security::oom_score(input.pod, container, input.memory_capacity)),
        ..ContainerConfig::default()
    })
}

fn arguments(
    container: &Container,
    image: &RuntimeConfig,
    environment: &Environment,
) -> Result<Vec<String>, ConfigError> {
    let expand = |list: &[String]| list.iter().map(|one| environment.expand(one)).collect::<Vec<_>>();
    let command = container.command.as_deref().filter(|list| !list.is_empty());
    let own = container.args.as_deref().filter(|list| !list.is_empty());
    let mut all = match command {
        Some(command) => expand(command),
        None => image.entrypoint.clone().unwrap_or_default(),
    };
    match (own, command) {
        (Some(own), _) => all.extend(expand(own)),
        (None, None) => all.extend(image.cmd.clone().unwrap_or_default()),
        // The image's arguments belong to the image's command.
        (None, Some(_)) => {}
    }
    if all.is_empty() { Err(ConfigError::NoCommand) } else { Ok(all) }
}

fn variables(image: &RuntimeConfig, environment: Environment, hostname: Option<&str>) -> Vec<(String, String)> {
    let mut all = Environment::default();
    for entry in &image.env {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        all.set(name, value.to_owned());
    }
    if let Some(hostname) = hostname {
        all.set("HOSTNAME", hostname.to_owned());
    }
    for (name, value) in environment.into_pairs() {
        all.set(&name, value);
    }
    all.into_pairs()
}

fn resources(container: &Container, pids_max: Option<u32>) -> Resources {
    let own = container.resources.as_ref();
    let mut resources = Resources::default().cpu_request_millis(pod::cpu_millis(own, Bound::Request).unwrap_or(0));
    if let Some(limit) = pod::cpu_millis(own, Bound::Limit).filter(|limit| *limit > 0) {
        resources = resources.cpu_limit_millis(limit);
    }
    if let Some(limit) = pod::memory_bytes(own, Bound::Limit).filter(|limit| *limit > 0) {
        resources = resources.memory_limit(limit);
    }
    resources.pids_max = pids_max.map(i64::from);
    resources
}

/// The pod's own files that every container sees.
#[derive(Debug, Clone)]
pub(crate) struct PodFiles {
    pub(crate) hosts: PathBuf,
    pub(crate) resolv_conf: PathBuf,
    pub(crate) hostname: PathBuf,
    pub(crate) shm: PathBuf,
}

impl PodFiles {
    /// Returns the files of a pod's directory.
    pub(crate) fn of(directory: &Path) -> Self {
        Self {
            hosts: directory.join("hosts"),
            resolv_conf: directory.join("resolv.conf"),
            hostname: directory.join("hostname"),
            shm: directory.join("shm"),
        }
    }

    /// Returns the mounts, except those whose target the container mounts itself.
    pub(crate) fn mounts(&self, container: &Container) -> Vec<Mount> {
        let is_taken = |target: &str| {
            container.volume_mounts.iter().flatten().any(|mount| mount.mount_path.trim_end_matches('/') == target)
        };
        [
            (&self.hosts, "/etc/hosts"),
            (&self.resolv_conf, "/etc/resolv.conf"),
            (&self.hostname, "/etc/hostname"),
            (&self.shm, "/dev/shm"),
        ]
        .into_iter()
        .filter(|(_, target)| !is_taken(target))
        .map(|(source, target)| Mount::bind(source, target))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(container: serde_json::Value, image: RuntimeConfig) -> Result<ContainerConfig, ConfigError> {
        let pod: Pod =
            serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {"containers": [container]}})).unwrap();
        let mut environment = Environment::default();
        environment.set("A", "1".to_owned());
        container_config(ContainerInput {
            pod: &pod,
            container: &pod::spec(&pod).containers[0],
            image: &image,
            environment,
            mounts: Vec::new(),
            namespaces: Namespaces::default(),
            hostname: Some("host".to_owned()),
            pids_max: Some(100),
            memory_capacity: 1 << 30,
            seccomp_profiles: Path::new("/profiles"),
        })
    }

    fn image(entrypoint: &[&str], cmd: &[&str]) -> RuntimeConfig {
        let list = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        RuntimeConfig { entrypoint: list(entrypoint), cmd: list(cmd), ..RuntimeConfig::default() }
    }

    #[test]
    fn command_and_arguments_follow_the_documented_table() {
        for (container, expected) in [
            (json!({"name": "c"}), Some(vec!["/entry", "arg"])),
            (json!({"name": "c", "command": ["/own"]}), Some(vec!["/own"])),
            (json!({"name": "c", "args": ["x$(A)"]}), Some(vec!["/entry", "x1"])),
            (json!({"name": "c", "command": ["/own"], "args": ["$(B)"]}), Some(vec!["/own", "$(B)"])),
        ] {
            let args = config(container, image(&["/entry"], &["arg"])).ok().map(|config| config.args);
            assert_eq!(args, expected.map(|words| words.into_iter().map(str::to_owned).collect()));
        }
        assert!(matches!(config(json!({"name": "c"}), image(&[], &[])), Err(ConfigError::NoCommand)));
    }

    #[test]
    fn the_pod_s_variables_win_over_the_image_s() {
        let mut image = image(&["/x"], &[]);
        image.env = vec!["A=image".to_owned(), "PATH=/bin".to_owned()];
        let env = config(json!({"name": "c"}), image).unwrap().env;
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(env, [pair("A", "1"), pair("PATH", "/bin"), pair("HOSTNAME", "host")]);
    }

    #[test]
    fn requests_and_limits_reach_the_cgroup() {
        let limits = json!({"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "250m"}});
        let found = config(json!({"name": "c", "resources": limits}), image(&["/x"], &[])).unwrap();
        assert_eq!(found.resources.cpu_shares, Some(256));
        assert_eq!(found.resources.cpu_quota_us, Some(50_000));
        assert_eq!(found.resources.memory_limit_bytes, Some(64 << 20));
        assert_eq!(found.resources.pids_max, Some(100));
        assert_eq!(config(json!({"name": "c"}), image(&["/x"], &[])).unwrap().oom_score_adjustment, Some(1000));
    }
}
