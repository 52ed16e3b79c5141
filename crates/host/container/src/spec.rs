//! From a `ContainerConfig` to an OCI runtime specification that any OCI runtime can run.
//!
//! Blocking: looks into the root file system and at the sources of mounts.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path};

use nix::sys::stat::{major, minor};
use serde_json::{Map, Value, json};

use crate::capabilities::CapabilitySet;
use crate::config::{ContainerConfig, Device, Mount, MountSource, Namespace, Propagation, Resources, Rlimit};
use crate::error::ConfigError;
use crate::program::ExecConfig;
use crate::seccomp;
use crate::user::{ResolvedUser, Root, resolve_user};

/// Where programs are looked for when the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const DEFAULT_SHM_BYTES: u64 = 64 * 1024 * 1024;
const CAP_SYS_RESOURCE_BIT: u64 = 1 << 24;

const MASKED_PATHS: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
const READONLY_PATHS: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What a specification is made from.
#[derive(Debug)]
pub(crate) struct SpecInput<'a> {
    /// The root file system on the host.
    pub(crate) rootfs: &'a Path,
    /// The container's cgroup below the controllers' roots.
    pub(crate) cgroup: &'a str,
    /// What was asked for.
    pub(crate) config: &'a ContainerConfig,
}

/// Makes the specification, and the working directory in the root file system.
pub(crate) fn build(input: &SpecInput<'_>) -> Result<Value, ConfigError> {
    let config = input.config;
    let user = resolve_user(input.rootfs, &config.user)?;
    let capabilities = CapabilitySet::of(&config.capabilities, config.privileged)?;
    let root = Root::open(input.rootfs)?;
    make_working_directory(&root, config)?;
    let mut spec = json!({
        "ociVersion": "1.2.0",
        "process": process(config, &user, capabilities)?,
        "root": { "path": input.rootfs, "readonly": config.read_only_root },
        "mounts": mounts(config)?,
        "linux": linux(config, input.cgroup, capabilities)?,
        "annotations": config.annotations,
    });
    if let (Some(hostname), Namespace::New) = (&config.hostname, &config.namespaces.uts) {
        insert(&mut spec, "hostname", json!(hostname));
    }
    Ok(spec)
}

/// Makes the process of a program run in a container from the container's own process.
pub(crate) fn exec_process(spec: &Value, exec: &ExecConfig) -> Result<Value, ConfigError> {
    if exec.args.is_empty() {
        return Err(ConfigError::NoCommand);
    }
    let mut process = spec.get("process").cloned().unwrap_or_else(|| json!({}));
    insert(&mut process, "args", json!(exec.args));
    insert(&mut process, "terminal", json!(exec.tty));
    if let Some(directory) = &exec.working_directory {
        check_path("working directory", directory)?;
        insert(&mut process, "cwd", json!(directory));
    }
    let known = process.get("env").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut env: Vec<(String, String)> = known
        .iter()
        .filter_map(Value::as_str)
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    env.extend(exec.env.iter().cloned());
    if exec.tty && !env.iter().any(|(name, _)| name == "TERM") {
        env.push(("TERM".to_owned(), "xterm".to_owned()));
    }
    insert(&mut process, "env", json!(env_lines(&env)));
    Ok(process)
}

fn process(config: &ContainerConfig, user: &ResolvedUser, capabilities: CapabilitySet) -> Result<Value, ConfigError> {
    if config.args.first().is_none_or(String::is_empty) {
        return Err(ConfigError::NoCommand);
    }
    let permitted = maru_sys::read_capabilities().map_or(0, |sets| sets.permitted);
    let may_raise = permitted & CAP_SYS_RESOURCE_BIT != 0;
    // What Maru itself does not have, nobody can give.
    let names: Vec<String> = capabilities.names().into_iter().filter(|name| permitted_here(permitted, name)).collect();
    let rlimits = config.rlimits.iter().map(|limit| rlimit(limit, may_raise)).collect::<Result<Vec<_>, _>>()?;
    let mut process = json!({
        "terminal": config.tty,
        "args": config.args,
        "env": env_lines(&environment(config, user)),
        "cwd": working_directory(config),
        "noNewPrivileges": config.no_new_privileges,
        "user": { "uid": user.uid, "gid": user.gid, "additionalGids": user.groups },
        "capabilities": { "bounding": names, "effective": names, "permitted": names, "inheritable": [], "ambient": [] },
        "rlimits": rlimits,
    });
    if let Some(umask) = config.umask
        && let Some(user) = process.get_mut("user")
    {
        insert(user, "umask", json!(umask));
    }
    if let Some(wanted) = config.oom_score_adjustment {
        insert(&mut process, "oomScoreAdj", json!(oom_score(wanted, may_raise)));
    }
    Ok(process)
}

fn permitted_here(permitted: u64, name: &str) -> bool {
    CapabilitySet::from_names([name]).bits() & permitted != 0
}

/// Lowering needs CAP_SYS_RESOURCE; without it the score stays where it is.
fn oom_score(wanted: i32, may_lower: bool) -> i32 {
    let wanted = wanted.clamp(-1000, 1000);
    if may_lower {
        return wanted;
    }
    let current = std::fs::read_to_string("/proc/self/oom_score_adj").ok().and_then(|text| text.trim().parse().ok());
    wanted.max(current.unwrap_or(0))
}

fn rlimit(limit: &Rlimit, may_raise: bool) -> Result<Value, ConfigError> {
    let ours = maru_sys::resource_limit(&limit.kind).ok_or_else(|| ConfigError::Rlimit { name: limit.kind.clone() })?;
    let mut hard = if may_raise { limit.hard } else { limit.hard.min(ours.hard) };
    if limit.kind == "RLIMIT_NOFILE" {
        // Above this nobody may go.
        let most = std::fs::read_to_string("/proc/sys/fs/nr_open").ok().and_then(|text| text.trim().parse().ok());
        hard = hard.min(most.unwrap_or(hard));
    }
    Ok(json!({ "type": limit.kind, "hard": hard, "soft": limit.soft.min(hard) }))
}

fn environment(config: &ContainerConfig, user: &ResolvedUser) -> Vec<(String, String)> {
    let given = |name: &str| config.env.iter().any(|(known, _)| known == name);
    let mut env = Vec::new();
    let mut default = |name: &str, value: &str| {
        if !given(name) {
            env.push((name.to_owned(), value.to_owned()));
        }
    };
    default("PATH", DEFAULT_PATH);
    if let Some(hostname) = &config.hostname {
        default("HOSTNAME", hostname);
    }
    if config.tty {
        default("TERM", "xterm");
    }
    default("HOME", &user.home);
    env.extend(config.env.iter().cloned());
    env
}

/// The last of equal names wins and keeps the place of the first.
fn env_lines(env: &[(String, String)]) -> Vec<String> {
    let mut lines: Vec<(&str, String)> = Vec::with_capacity(env.len());
    for (name, value) in env {
        let line = format!("{name}={value}");
        match lines.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = line,
            None => lines.push((name, line)),
        }
    }
    lines.into_iter().map(|(_, line)| line).collect()
}

fn working_directory(config: &ContainerConfig) -> &str {
    if config.working_directory.is_empty() { "/" } else { &config.working_directory }
}

/// Makes the working directory where it will be seen: in the mount that holds it, else in the root file system.
fn make_working_directory(root: &Root, config: &ContainerConfig) -> Result<(), ConfigError> {
    let path = working_directory(config);
    check_path("working directory", path)?;
    let holds = |mount: &&Mount| Path::new(path).starts_with(&mount.target);
    let mount = config.mounts.iter().filter(holds).max_by_key(|mount| Path::new(&mount.target).components().count());
    match mount.map(|mount| (&mount.source, mount)) {
        None => root.make_directories(path),
        Some((MountSource::Bind(source), mount)) if !mount.read_only => {
            let below = Path::new(path).strip_prefix(&mount.target).map(Path::to_owned).unwrap_or_default();
            Root::open(source)?.make_directories(&below.to_string_lossy())
        }
        Some(_) => Ok(()),
    }
}

fn check_path(what: &'static str, path: &str) -> Result<(), ConfigError> {
    let fine = path.starts_with('/') && !Path::new(path).components().any(|part| part == Component::ParentDir);
    if fine { Ok(()) } else { Err(ConfigError::Path { what, path: path.to_owned() }) }
}

fn mounts(config: &ContainerConfig) -> Result<Vec<Value>, ConfigError> {
    let mut wanted: Vec<&Mount> = config.mounts.iter().collect();
    // Parents first; equal depths keep their order.
    wanted.sort_by_key(|mount| Path::new(&mount.target).components().count());
    let replaced = |target: &str| wanted.iter().any(|mount| mount.target.trim_end_matches('/') == target);
    let mut all = default_mounts(config);
    all.retain(|mount| mount.get("destination").and_then(Value::as_str).is_none_or(|target| !replaced(target)));
    for mount in wanted {
        all.push(user_mount(mount)?);
    }
    Ok(all)
}

fn default_mounts(config: &ContainerConfig) -> Vec<Value> {
    let mount = |target: &str, kind: &str, source: &str, options: &[&str]| json!({ "destination": target, "type": kind, "source": source, "options": options });
    let access = if config.privileged { "rw" } else { "ro" };
    let shm_size = format!("size={}", config.shm_bytes.unwrap_or(DEFAULT_SHM_BYTES));
    let shm = if config.namespaces.ipc == Namespace::Host {
        mount("/dev/shm", "bind", "/dev/shm", &["rbind", "rw"])
    } else {
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &shm_size])
    };
    vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        shm,
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", access]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", access]),
    ]
}

fn user_mount(mount: &Mount) -> Result<Value, ConfigError> {
    check_path("mount target", &mount.target)?;
    let access = if mount.read_only { "ro" } else { "rw" };
    let mut options: Vec<String> = Vec::new();
    let (kind, source) = match &mount.source {
        MountSource::Bind(source) => {
            std::fs::metadata(source).map_err(|error| ConfigError::MountSource {
                target: mount.target.clone(),
                source_path: source.clone(),
                source: error,
            })?;
            options.push("rbind".into());
            options.push(
                match mount.propagation {
                    Propagation::Private => "rprivate",
                    Propagation::HostToContainer => "rslave",
                    Propagation::Bidirectional => "rshared",
                }
                .into(),
            );
            ("bind", json!(source))
        }
        MountSource::Tmpfs { size_bytes } => {
            options.extend(["nosuid".to_owned(), "nodev".to_owned(), "mode=1777".to_owned()]);
            options.extend(size_bytes.map(|bytes| format!("size={bytes}")));
            ("tmpfs", json!("tmpfs"))
        }
    };
    options.push(access.into());
    options.extend(mount.options.iter().cloned());
    Ok(json!({ "destination": mount.target, "type": kind, "source": source, "options": options }))
}

fn linux(config: &ContainerConfig, cgroup: &str, capabilities: CapabilitySet) -> Result<Value, ConfigError> {
    let defaults = |given: &Option<Vec<String>>, default: &[&str]| match given {
        Some(paths) => json!(paths),
        None if config.privileged => json!([]),
        None => json!(default),
    };
    let mut wanted = config.devices.clone();
    if config.privileged {
        wanted.extend(host_devices());
    }
    let devices = wanted.iter().map(device).collect::<Result<Vec<_>, _>>()?;
    let mut linux = json!({
        "cgroupsPath": cgroup,
        "namespaces": namespaces(config),
        "maskedPaths": defaults(&config.masked_paths, &MASKED_PATHS),
        "readonlyPaths": defaults(&config.readonly_paths, &READONLY_PATHS),
        "resources": resources(&config.resources, device_rules(config.privileged, &devices)),
        "devices": devices.iter().map(|(node, _)| node.clone()).collect::<Vec<_>>(),
    });
    if !config.sysctls.is_empty() {
        insert(&mut linux, "sysctl", json!(config.sysctls));
    }
    if config.mounts.iter().any(|mount| mount.propagation == Propagation::Bidirectional) {
        insert(&mut linux, "rootfsPropagation", json!("shared"));
    }
    if !config.privileged
        && let Some(profile) = seccomp::profile(&config.seccomp, capabilities)?
    {
        insert(&mut linux, "seccomp", json!(profile));
    }
    Ok(linux)
}

fn namespaces(config: &ContainerConfig) -> Vec<Value> {
    let wanted = &config.namespaces;
    let listed = [
        ("network", &wanted.network),
        ("ipc", &wanted.ipc),
        ("uts", &wanted.uts),
        ("pid", &wanted.pid),
        ("cgroup", &wanted.cgroup),
    ];
    let mut all: Vec<Value> = listed
        .into_iter()
        .filter_map(|(kind, namespace)| match namespace {
            Namespace::New => Some(json!({ "type": kind })),
            Namespace::Host => None,
            Namespace::Path(path) => Some(json!({ "type": kind, "path": path })),
        })
        .collect();
    all.push(json!({ "type": "mount" }));
    all
}

fn resources(limits: &Resources, devices: Vec<Value>) -> Value {
    let mut cpu = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            cpu.insert(name.to_owned(), value);
        }
    };
    set("shares", limits.cpu_shares.map(|shares| json!(shares)));
    set("quota", limits.cpu_quota_us.map(|quota| json!(quota)));
    set("period", limits.cpu_quota_us.map(|_| json!(limits.cpu_period_us.unwrap_or(100_000))));
    set("cpus", limits.cpuset.as_ref().map(|cpus| json!(cpus)));
    let mut all = json!({ "devices": devices });
    if !cpu.is_empty() {
        insert(&mut all, "cpu", Value::Object(cpu));
    }
    if let Some(bytes) = limits.memory_limit_bytes {
        let mut memory = json!({ "limit": bytes });
        if crate::cgroup::accounts_swap() {
            insert(&mut memory, "swap", json!(bytes));
        }
        insert(&mut all, "memory", memory);
    }
    if let Some(limit) = limits.pids_max {
        insert(&mut all, "pids", json!({ "limit": limit }));
    }
    all
}

/// The runtime adds the usual harmless devices.
fn device_rules(privileged: bool, devices: &[(Value, Value)]) -> Vec<Value> {
    let mut rules = vec![json!({ "allow": privileged, "access": "rwm" })];
    if !privileged {
        rules.extend(devices.iter().map(|(_, rule)| rule.clone()));
    }
    rules
}

/// Returns a device's node and its rule.
fn device(wanted: &Device) -> Result<(Value, Value), ConfigError> {
    check_path("device", &wanted.container_path)?;
    let failed = |source| ConfigError::MountSource {
        target: wanted.container_path.clone(),
        source_path: wanted.host_path.clone(),
        source,
    };
    let metadata = std::fs::metadata(&wanted.host_path).map_err(failed)?;
    let kind = match (metadata.file_type().is_char_device(), metadata.file_type().is_block_device()) {
        (true, _) => "c",
        (_, true) => "b",
        (false, false) => return Err(failed(std::io::Error::other("it is no device"))),
    };
    let (major, minor) = (major(metadata.rdev()), minor(metadata.rdev()));
    let node = json!({
        "path": wanted.container_path, "type": kind, "major": major, "minor": minor,
        "fileMode": metadata.mode() & 0o777, "uid": metadata.uid(), "gid": metadata.gid(),
    });
    let rule = json!({ "allow": true, "type": kind, "major": major, "minor": minor, "access": wanted.permissions });
    Ok((node, rule))
}

/// Returns the devices directly in the host's `/dev`, without those every container has its own of.
fn host_devices() -> Vec<Device> {
    const OWN: [&str; 9] = ["console", "full", "null", "ptmx", "random", "tty", "urandom", "zero", "fuse"];
    let Ok(entries) = std::fs::read_dir("/dev") else { return Vec::new() };
    let mut devices: Vec<Device> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_char_device() || kind.is_block_device()))
        .filter_map(|entry| Some((entry.path(), entry.file_name().into_string().ok()?)))
        .filter(|(_, name)| name == "fuse" || !OWN.contains(&name.as_str()))
        .map(|(path, name)| Device {
            host_path: path,
            container_path: format!("/dev/{name}"),
            permissions: "rwm".into(),
        })
        .collect();
    devices.sort_by(|first, second| first.container_path.cmp(&second.container_path));
    devices
}

fn insert(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Capabilities, Seccomp, User};

    fn spec_of(config: &ContainerConfig) -> Result<Value, ConfigError> {
        let root = tempfile::tempdir().unwrap();
        build(&SpecInput { rootfs: root.path(), cgroup: "/test/pod/app-0", config })
    }

    fn program() -> ContainerConfig {
        ContainerConfig { args: vec!["app".into()], ..ContainerConfig::default() }
    }

    fn at<'a>(spec: &'a Value, pointer: &str) -> &'a Value {
        spec.pointer(pointer).unwrap_or(&Value::Null)
    }

    #[test]
    fn a_plain_container_is_confined() {
        let spec = spec_of(&program()).unwrap();
        assert_eq!(at(&spec, "/linux/seccomp/defaultAction"), "SCMP_ACT_ERRNO");
        assert_eq!(at(&spec, "/linux/resources/devices/0/allow"), false);
        let bounding = at(&spec, "/process/capabilities/bounding").as_array().unwrap();
        assert!(!bounding.contains(&json!("CAP_MKNOD")) && !bounding.contains(&json!("CAP_SYS_ADMIN")));
        assert!(at(&spec, "/linux/maskedPaths").as_array().unwrap().contains(&json!("/proc/kcore")));
        assert_eq!(at(&spec, "/linux/namespaces").as_array().unwrap().len(), 6);
        assert_eq!(at(&spec, "/process/cwd"), "/");
    }

    #[test]
    fn a_privileged_container_is_not() {
        let spec = spec_of(&ContainerConfig { privileged: true, ..program() }).unwrap();
        assert_eq!(at(&spec, "/linux/seccomp"), &Value::Null);
        assert_eq!(at(&spec, "/linux/resources/devices/0/allow"), true);
        assert_eq!(at(&spec, "/linux/maskedPaths"), &json!([]));
    }

    #[test]
    fn the_last_of_equal_environment_names_wins() {
        let env =
            [("A", "1"), ("B", "2"), ("A", "3")].map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let spec = spec_of(&ContainerConfig { env, ..program() }).unwrap();
        let lines = at(&spec, "/process/env").as_array().unwrap();
        assert!(lines.contains(&json!("A=3")) && !lines.contains(&json!("A=1")) && lines.contains(&json!("HOME=/")));
        assert!(lines.iter().any(|line| line.as_str().unwrap().starts_with("PATH=/usr/local/sbin:")));
    }

    #[test]
    fn a_mount_replaces_the_default_one_of_its_target_and_parents_come_first() {
        let shm = tempfile::tempdir().unwrap();
        let mounts = vec![
            Mount::bind(shm.path(), "/data/deep").read_only(),
            Mount::bind(shm.path(), "/data"),
            Mount::bind(shm.path(), "/dev/shm"),
        ];
        let spec = spec_of(&ContainerConfig { mounts, ..program() }).unwrap();
        let mounts = at(&spec, "/mounts").as_array().unwrap();
        let place = |target: &str| mounts.iter().position(|mount| mount["destination"] == target).unwrap();
        assert!(place("/data") < place("/data/deep"));
        let of_shm: Vec<_> = mounts.iter().filter(|mount| mount["destination"] == "/dev/shm").collect();
        assert_eq!(of_shm.len(), 1);
        assert_eq!(of_shm[0]["type"], "bind");
        assert_eq!(mounts[place("/data/deep")]["options"], json!(["rbind", "rprivate", "ro"]));
    }

    #[test]
    fn what_cannot_work_is_told_before_anything_is_made() {
        let error = |config: ContainerConfig| spec_of(&config).unwrap_err().to_string();
        assert_eq!(error(ContainerConfig::default()), "the container has no command");
        let user = User { user: "ghost".into(), ..User::default() };
        assert!(error(ContainerConfig { user, ..program() }).contains("no user \"ghost\""));
        let missing = ContainerConfig { mounts: vec![Mount::bind("/no/such", "/data")], ..program() };
        assert_eq!(error(missing), "mount at \"/data\": source /no/such cannot be used");
        let relative = ContainerConfig { working_directory: "../etc".into(), ..program() };
        assert!(error(relative).contains("must be an absolute path"));
        let seccomp = Seccomp::Localhost("/no/such.json".into());
        assert!(error(ContainerConfig { seccomp, ..program() }).contains("/no/such.json"));
        let capabilities = Capabilities { add: vec!["FLY".into()], drop: Vec::new() };
        assert_eq!(error(ContainerConfig { capabilities, ..program() }), "no capability \"FLY\"");
    }

    #[test]
    fn limits_are_not_raised_above_our_own() {
        let ours = maru_sys::resource_limit("RLIMIT_NOFILE").unwrap();
        let wanted = Rlimit { kind: "RLIMIT_NOFILE".into(), soft: u64::MAX, hard: u64::MAX };
        assert_eq!(rlimit(&wanted, false).unwrap()["hard"], ours.hard);
        assert!(rlimit(&wanted, true).unwrap()["hard"].as_u64().unwrap() < u64::MAX);
        let core = Rlimit { kind: "RLIMIT_CORE".into(), soft: 0, hard: u64::MAX };
        assert_eq!(rlimit(&core, true).unwrap()["hard"], u64::MAX);
    }

    #[test]
    fn a_program_inherits_the_containers_process() {
        let spec = spec_of(&ContainerConfig { env: vec![("A".into(), "1".into())], ..program() }).unwrap();
        let exec = ExecConfig {
            args: vec!["sh".into()],
            env: vec![("A".into(), "2".into())],
            tty: true,
            ..ExecConfig::default()
        };
        let process = exec_process(&spec, &exec).unwrap();
        assert_eq!(process["args"], json!(["sh"]));
        assert!(process["env"].as_array().unwrap().contains(&json!("A=2")));
        assert_eq!(process["capabilities"], spec["process"]["capabilities"]);
    }
}
