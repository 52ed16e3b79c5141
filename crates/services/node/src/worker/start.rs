//! Starts one attempt of a container.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, VolumeMount};
use maru_container::{
    ContainerId, LogLimits, Mount, Namespace, Namespaces, Propagation, ShimError, StartRequest, Started,
};
use maru_oci::RuntimeConfig;

use super::observe::cannot_run;
use super::{Report, Sandbox, Worker};
use crate::config::{ContainerInput, Environment, PodFiles, container_config, environment, hostname};
use crate::context::{Context, chain};
use crate::events::Severity;
use crate::plan::{Hook, Problem, after};
use crate::pod::{self, Member};
use crate::probe::{Check, Target, check};
use crate::record::PodRecord;
use crate::volumes::{Sources, bind_subpath};

/// A container that could not even be made is tried again after this time, doubling up to the cap.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_CAP: Duration = Duration::from_secs(20);
/// Longest that a postStart hook may take.
const HOOK_MAX: Duration = Duration::from_secs(3600);

/// A container could not be started.
#[derive(Debug)]
pub(crate) enum StartFailure {
    /// It was not made; as if nothing happened.
    NotMade { reason: &'static str, message: String },
    /// It was made, and its program could not be executed.
    CannotRun { message: String },
}

/// What a start needs, gathered so that the work can go on beside the worker.
struct Job {
    context: Arc<Context>,
    record: PodRecord,
    member: Member,
    attempt: u32,
    sandbox: Sandbox,
    sources: Sources,
    image: RuntimeConfig,
    digest: maru_oci::Digest,
    /// The process namespace to join.
    target_pid: Option<i32>,
}

impl Worker {
    pub(super) fn start(&mut self, name: &str, attempt: u32) {
        let Some(member) = pod::member(&self.record.pod, name) else { return };
        let (Some(sandbox), Some(pulled)) = (self.memory.made.clone(), self.memory.container(name).pulled.clone())
        else {
            return;
        };
        let image = match self.context.images.config(&pulled.digest) {
            Ok(config) => config.config,
            Err(error) => {
                let failure = StartFailure::NotMade { reason: "CreateContainerError", message: chain(&error) };
                return self.take_start(name, attempt, Err(failure));
            }
        };
        let record = self.record.container(name);
        if let Some(exit) = record.exit.take() {
            record.backoff.restarted(exit.finished_at);
            record.previous = Some(exit);
        }
        record.attempts = attempt + 1;
        record.started = false;
        record.ready = false;
        record.hooked = member.container.lifecycle.as_ref().and_then(|hooks| hooks.post_start.as_ref()).is_none();
        record.image_name = member.container.image.clone();
        record.image = Some(pulled.digest.to_string());
        record.image_id = Some(pulled.image_id);
        record.stop_signal = stop_signal(&member.container, image.stop_signal.as_deref());
        self.save();
        self.memory.container(name).starting = true;
        let job = Job {
            context: Arc::clone(&self.context),
            record: self.record.clone(),
            target_pid: self.target_pid(name),
            member,
            attempt,
            sandbox,
            sources: self.memory.sources.clone(),
            image,
            digest: pulled.digest,
        };
        let container = name.to_owned();
        let future = async move { Report::Start { container, attempt, result: job.run().await } };
        drop(self.task("start container", future));
    }

    /// Returns the first process of the container that an ephemeral one wants to look into.
    fn target_pid(&self, name: &str) -> Option<i32> {
        let ephemeral =
            pod::spec(&self.record.pod).ephemeral_containers.iter().flatten().find(|one| one.name == name)?;
        let target = ephemeral.target_container_name.as_deref()?;
        self.memory.containers.get(target)?.running.map(|(_, started)| started.pid)
    }

    pub(super) fn take_start(&mut self, name: &str, attempt: u32, result: Result<Started, StartFailure>) {
        let now = self.context.now();
        self.memory.container(name).starting = false;
        match result {
            Ok(started) => {
                let memory = self.memory.container(name);
                memory.problem = None;
                memory.problems = 0;
                memory.unhealthy = None;
                memory.running = Some((attempt, started));
                self.context.metrics.containers_started.with(&[]).inc();
                self.event(Some(name), Severity::Normal, "Started", &format!("Started container {name}"));
                if self.record.container(name).hooked {
                    self.memory.container(name).hook = Hook::Done;
                } else {
                    self.begin_hook(name);
                }
            }
            Err(StartFailure::NotMade { reason, message }) => {
                let record = self.record.container(name);
                if record.attempts == attempt + 1 {
                    record.attempts = attempt;
                    record.exit = record.previous.take();
                }
                self.event(Some(name), Severity::Warning, "Failed", &format!("Error: {message}"));
                let memory = self.memory.container(name);
                let wait = RETRY_FIRST.saturating_mul(1 << memory.problems.min(10)).min(RETRY_CAP);
                memory.problems = memory.problems.saturating_add(1);
                memory.problem = Some(Problem { reason: reason.to_owned(), message, retry_at: after(now, wait) });
                memory.image = crate::plan::Image::Unknown;
            }
            Err(StartFailure::CannotRun { message }) => {
                self.event(Some(name), Severity::Warning, "Failed", &format!("Error: {message}"));
                self.record.container(name).exit = Some(cannot_run(attempt, &message, now));
                self.memory.container(name).image = crate::plan::Image::Unknown;
                let id = ContainerId::new(name, attempt);
                self.memory.states.retain(|state| state.id != id);
                self.remove_container(id);
            }
        }
        self.save();
    }

    /// Runs the postStart hook of a container that has just started.
    pub(super) fn begin_hook(&mut self, name: &str) {
        let Some(member) = pod::member(&self.record.pod, name) else { return };
        let Some((attempt, _)) = self.memory.container(name).running else { return };
        let hook =
            member.container.lifecycle.as_ref().and_then(|hooks| hooks.post_start.as_ref()).and_then(Check::of_hook);
        let Some(hook) = hook else {
            self.memory.container(name).hook = Hook::Done;
            self.record.container(name).hooked = true;
            return;
        };
        self.memory.container(name).hook = Hook::Pending;
        let target = self.target(&member, attempt);
        let container = name.to_owned();
        let job = async move {
            let result = check(&hook, &target, HOOK_MAX).await;
            Report::Hook { container, attempt, result }
        };
        let task = self.task("postStart", job);
        self.memory.container(name).hook_task = Some(task);
    }

    pub(super) fn take_hook(&mut self, name: &str, attempt: u32, result: Result<(), String>) {
        if self.memory.container(name).running.is_none_or(|(running, _)| running != attempt) {
            return;
        }
        match result {
            Ok(()) => {
                self.memory.container(name).hook = Hook::Done;
                self.record.container(name).hooked = true;
                self.save();
            }
            Err(message) => {
                self.event(
                    Some(name),
                    Severity::Warning,
                    "FailedPostStartHook",
                    &format!("PostStartHook failed: {message}"),
                );
                self.memory.container(name).hook = Hook::Failed(message);
            }
        }
    }

    pub(super) fn target(&self, member: &Member, attempt: u32) -> Target {
        Target {
            shim: self.memory.shim().cloned(),
            id: ContainerId::new(member.name(), attempt),
            address: self.context.probe_address(&self.record),
            container: member.container.clone(),
        }
    }
}

impl Job {
    async fn run(self) -> Result<Started, StartFailure> {
        let not_made = |reason| move |message: String| StartFailure::NotMade { reason, message };
        let config_error = not_made("CreateContainerConfigError");
        let create_error = not_made("CreateContainerError");
        let options = &self.context.options;
        let (namespace, service) = &options.kubernetes_service;
        let facts = self.context.field_facts(&self.record);
        let container = &self.member.container;
        let environment = environment(&self.context.objects, &self.record.pod, container, &facts, (namespace, service))
            .await
            .map_err(|error| config_error(chain(&error)))?;
        let uid = pod::uid(&self.record.pod).to_owned();
        let directory = self.context.layout.attempt(&uid, &container.name, self.attempt);
        let log = self.context.layout.log(&uid, &container.name, self.attempt);
        let mounts = self.mounts(&environment, &directory, &log).await.map_err(config_error)?;
        let host_network = pod::is_host_network(&self.record.pod);
        let input = ContainerInput {
            pod: &self.record.pod,
            container,
            image: &self.image,
            environment,
            mounts,
            namespaces: self.namespaces(),
            hostname: Some(hostname(&self.record.pod, &options.cluster_domain).0).filter(|_| !host_network),
            pids_max: options.limits.pids_max,
            memory_capacity: self.context.capacity.memory_bytes,
            seccomp_profiles: &self.context.layout.seccomp(),
        };
        let config = container_config(input).map_err(|error| config_error(error.to_string()))?;
        let (images, digest) = (self.context.images.clone(), self.digest.clone());
        let mount = move || images.mount(&digest, &directory).map_err(|error| chain(&error));
        let rootfs = tokio::task::spawn_blocking(mount).await.map_err(|error| create_error(error.to_string()))?;
        let rootfs = rootfs.map_err(create_error)?;
        self.context.events.note(
            &self.record.pod,
            Some(&container.name),
            Severity::Normal,
            "Created",
            &format!("Created container: {}", container.name),
        );
        let request = StartRequest {
            id: ContainerId::new(&container.name, self.attempt),
            rootfs: rootfs.path,
            config,
            log_path: Some(log),
            log_limits: LogLimits { bytes_max: options.limits.log_bytes_max, files_max: options.limits.log_files_max },
        };
        match self.sandbox.shim.start(request).await {
            Ok(started) => Ok(started),
            Err(ShimError::Start { message }) => Err(StartFailure::CannotRun { message }),
            Err(error @ ShimError::Config(_)) => Err(create_error(chain(&error))),
            Err(error) => Err(create_error(chain(&error))),
        }
    }

    fn namespaces(&self) -> Namespaces {
        let spec = pod::spec(&self.record.pod);
        let host =
            |wanted: Option<bool>, otherwise: Namespace| if wanted == Some(true) { Namespace::Host } else { otherwise };
        let (network, ipc, uts) = match &self.sandbox.namespaces {
            Some(own) => {
                (Namespace::Path(own.net.clone()), Namespace::Path(own.ipc.clone()), Namespace::Path(own.uts.clone()))
            }
            None => (Namespace::Host, Namespace::New, Namespace::Host),
        };
        let pid = match self.target_pid {
            Some(pid) => Namespace::Path(PathBuf::from(format!("/proc/{pid}/ns/pid"))),
            None => Namespace::New,
        };
        Namespaces {
            network,
            ipc: host(spec.host_ipc, ipc),
            uts,
            pid: host(spec.host_pid, pid),
            cgroup: Namespace::New,
        }
    }

    async fn mounts(&self, environment: &Environment, directory: &Path, log: &Path) -> Result<Vec<Mount>, String> {
        if pod::spec(&self.record.pod).share_process_namespace == Some(true) {
            return Err("shareProcessNamespace is not supported".to_owned());
        }
        let pod_directory = self.context.layout.pod(pod::uid(&self.record.pod));
        let mut files = PodFiles::of(&pod_directory);
        if pod::spec(&self.record.pod).host_ipc == Some(true) {
            files.shm = PathBuf::from("/dev/shm");
        }
        let container = &self.member.container;
        let mut mounts = files.mounts(container);
        let message_path =
            container.termination_message_path.clone().unwrap_or_else(|| "/dev/termination-log".to_owned());
        let message_file = directory.join("termination-log");
        if !message_path.is_empty() {
            mounts.push(Mount::bind(&message_file, message_path));
        }
        let wanted = self.wanted_mounts(environment)?;
        let (directory, log) = (directory.to_owned(), log.to_owned());
        let work = move || {
            fs::create_dir_all(&directory)
                .and_then(|()| make_log_directory(&log))
                .map_err(|error| error.to_string())?;
            fs::write(&message_file, "").map_err(|error| error.to_string())?;
            fs::set_permissions(&message_file, fs::Permissions::from_mode(0o666)).map_err(|error| error.to_string())?;
            for (index, wanted) in wanted.into_iter().enumerate() {
                mounts.push(wanted.resolve(&directory.join("subpaths").join(index.to_string()))?);
            }
            Ok(mounts)
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
    }

    fn wanted_mounts(&self, environment: &Environment) -> Result<Vec<WantedMount>, String> {
        let mounts = self.member.container.volume_mounts.iter().flatten();
        mounts.map(|mount| wanted_mount(mount, &self.sources, environment)).collect()
    }
}

fn make_log_directory(log: &Path) -> std::io::Result<()> {
    log.parent().map_or(Ok(()), fs::create_dir_all)
}

/// A mount whose subPath is still to be opened.
struct WantedMount {
    volume: PathBuf,
    sub_path: Option<String>,
    mount: Mount,
}

fn wanted_mount(mount: &VolumeMount, sources: &Sources, environment: &Environment) -> Result<WantedMount, String> {
    let source = sources
        .by_name
        .get(&mount.name)
        .ok_or_else(|| format!("volumeMount \"{}\" names no volume of the pod", mount.name))?;
    let sub_path = match (&mount.sub_path, &mount.sub_path_expr) {
        (Some(path), _) if !path.is_empty() => Some(path.clone()),
        (_, Some(expression)) if !expression.is_empty() => {
            let expanded = environment.expand(expression);
            if expanded.contains("$(") {
                return Err(format!("subPathExpr \"{expression}\" names an unknown variable"));
            }
            Some(expanded)
        }
        _ => None,
    };
    let mut bind = Mount::bind(&source.path, mount.mount_path.clone());
    bind.read_only = source.read_only || mount.read_only.unwrap_or(false);
    bind.propagation = match mount.mount_propagation.as_deref() {
        Some("HostToContainer") => Propagation::HostToContainer,
        Some("Bidirectional") => Propagation::Bidirectional,
        _ => Propagation::Private,
    };
    Ok(WantedMount { volume: source.path.clone(), sub_path, mount: bind })
}

impl WantedMount {
    fn resolve(self, at: &Path) -> Result<Mount, String> {
        let Some(sub_path) = self.sub_path else { return Ok(self.mount) };
        let bound = bind_subpath(&self.volume, &sub_path, at).map_err(|error| chain(&error))?;
        Ok(Mount { source: maru_container::MountSource::Bind(bound), ..self.mount })
    }
}

/// Returns the number of the signal that asks the container to stop.
fn stop_signal(container: &Container, of_image: Option<&str>) -> Option<i32> {
    let own = container.lifecycle.as_ref().and_then(|hooks| hooks.stop_signal.as_deref());
    let text = own.or(of_image)?;
    if let Ok(number) = text.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let name = text.to_uppercase();
    let name = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    if let Some(offset) = name.strip_prefix("SIGRTMIN") {
        let offset: i32 = if offset.is_empty() { 0 } else { offset.trim_start_matches('+').parse().ok()? };
        return (0..=30).contains(&offset).then_some(34 + offset);
    }
    name.parse::<nix::sys::signal::Signal>().ok().map(|signal| signal as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn stop_signals_have_names_or_numbers() {
        let container: Container = serde_json::from_value(json!({"name": "c"})).unwrap();
        for (text, expected) in [
            (None, None),
            (Some("SIGQUIT"), Some(3)),
            (Some("quit"), Some(3)),
            (Some("15"), Some(15)),
            (Some("SIGRTMIN+3"), Some(37)),
            (Some("99"), None),
            (Some("SIGNO"), None),
        ] {
            assert_eq!(stop_signal(&container, text), expected, "{text:?}");
        }
    }

    #[test]
    fn mounts_follow_volume_and_mount() {
        let sources = Sources {
            by_name: [("v".to_owned(), crate::volumes::Source { path: "/pods/v".into(), read_only: true })].into(),
            refresh_at: None,
        };
        let mut environment = Environment::default();
        environment.set("POD", "p-0".to_owned());
        let mount = |value: serde_json::Value| {
            let mount: VolumeMount = serde_json::from_value(value).unwrap();
            wanted_mount(&mount, &sources, &environment).map(|wanted| (wanted.sub_path, wanted.mount.read_only))
        };
        assert_eq!(mount(json!({"name": "v", "mountPath": "/x"})), Ok((None, true)));
        assert_eq!(
            mount(json!({"name": "v", "mountPath": "/x", "subPathExpr": "$(POD)/a"})),
            Ok((Some("p-0/a".to_owned()), true))
        );
        assert!(mount(json!({"name": "v", "mountPath": "/x", "subPathExpr": "$(NO)"})).is_err());
        assert!(mount(json!({"name": "w", "mountPath": "/x"})).is_err());
    }
}
