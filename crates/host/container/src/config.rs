//! What a container is asked to be, in Maru's words. `spec` turns it into an OCI runtime specification.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything about one container except its root file system and where its output goes.
///
/// `ContainerConfig::default()` plus `args` is an ordinary unprivileged container with namespaces of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerConfig {
    /// Program and arguments; must not be empty.
    pub args: Vec<String>,
    /// Environment in order; the last of equal names wins. `PATH` and `HOME` are added when missing.
    pub env: Vec<(String, String)>,
    /// Working directory inside the container, created when missing; `/` when empty.
    pub working_directory: String,
    /// Who runs the program.
    pub user: User,
    /// Capabilities on top of, or taken from, the default set.
    pub capabilities: Capabilities,
    /// Mounts in order, besides the default ones (`/proc`, `/dev` …). One with the target of a default mount replaces it.
    pub mounts: Vec<Mount>,
    /// Device nodes besides the default ones.
    pub devices: Vec<Device>,
    /// Limits of the container's cgroup.
    pub resources: Resources,
    /// Whether the root file system is read-only.
    pub read_only_root: bool,
    /// Which system calls are allowed.
    pub seccomp: Seccomp,
    /// Which namespaces are new, shared or the host's.
    pub namespaces: Namespaces,
    /// Host name, set only in a new UTS namespace.
    pub hostname: Option<String>,
    /// Kernel parameters (`net.core.somaxconn` …), set in the container's namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Resource limits of the process; each is lowered to what Maru itself may set.
    pub rlimits: Vec<Rlimit>,
    /// Whether the program may never gain privileges through set-uid files.
    pub no_new_privileges: bool,
    /// Paths hidden from the container; `None` means the default list (nothing when privileged).
    pub masked_paths: Option<Vec<String>>,
    /// Paths made read-only; `None` means the default list (nothing when privileged).
    pub readonly_paths: Option<Vec<String>>,
    /// All capabilities, all devices, no masks, no seccomp filter, writable `/sys` and cgroups.
    pub privileged: bool,
    /// Whether the program gets a terminal; its output then is one stream.
    pub tty: bool,
    /// Whether standard input stays open for `attach`; otherwise it is `/dev/null`.
    pub stdin: bool,
    /// Whether standard input closes when its first attached client leaves.
    pub stdin_once: bool,
    /// Preference of the kernel's out-of-memory killer, -1000 to 1000. Lowering it needs CAP_SYS_RESOURCE; without it the
    /// lowest permitted value is taken.
    pub oom_score_adjustment: Option<i32>,
    /// Size of `/dev/shm` in bytes when it is not given as a mount; 64 MiB when `None`.
    pub shm_bytes: Option<u64>,
    /// File mode creation mask.
    pub umask: Option<u32>,
    /// Names and values kept with the container, not interpreted.
    pub annotations: BTreeMap<String, String>,
}

/// Who runs a program: names are looked up in the image's own `/etc/passwd` and `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// Name, number, or `user:group` as in an image's configuration; empty means root.
    pub user: String,
    /// Group by name or number; wins over the group in `user`. Without either: the user's group in the image, else 0.
    pub group: Option<String>,
    /// Groups added to those that the image's `/etc/group` gives the user.
    pub additional_groups: Vec<u32>,
    /// Whether the image's `/etc/group` is left aside (`supplementalGroupsPolicy: Strict`).
    pub ignore_image_groups: bool,
}

/// Changes to the default capability set. Names with or without `CAP_`, any case; `ALL` means all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Added after dropping.
    pub add: Vec<String>,
    /// Dropped first.
    pub drop: Vec<String>,
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Where, an absolute path inside the container. Missing directories (or the file) are created.
    pub target: String,
    /// Whether writing is refused.
    #[serde(default)]
    pub read_only: bool,
    /// Whether mounts made later pass between host and container.
    #[serde(default)]
    pub propagation: Propagation,
    /// More mount options in the spelling of mount(8), such as `noexec`.
    #[serde(default)]
    pub options: Vec<String>,
}

impl Mount {
    /// Returns a writable bind mount.
    #[must_use]
    pub fn bind(source: impl Into<PathBuf>, target: impl Into<String>) -> Self {
        Self {
            source: MountSource::Bind(source.into()),
            target: target.into(),
            read_only: false,
            propagation: Propagation::Private,
            options: Vec::new(),
        }
    }

    /// Returns the mount, read-only.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountSource {
    /// A file or directory of the host with the mounts below it; must exist.
    Bind(PathBuf),
    /// Memory, at most this many bytes when given.
    Tmpfs {
        /// Size limit.
        size_bytes: Option<u64>,
    },
}

/// How mounts made after the start pass between host and container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Propagation {
    /// Not at all.
    #[default]
    Private,
    /// From the host into the container.
    HostToContainer,
    /// Both ways; needs a source on a shared mount.
    Bidirectional,
}

/// A device node of the host shown in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Path on the host.
    pub host_path: PathBuf,
    /// Path in the container.
    pub container_path: String,
    /// Letters of `r`, `w` and `m`.
    pub permissions: String,
}

/// Limits of one cgroup. What is `None` is not limited.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Relative share of the processor under contention, in cgroup v1 shares (1024 = one core's request).
    pub cpu_shares: Option<u64>,
    /// Processor time per period, in microseconds.
    pub cpu_quota_us: Option<i64>,
    /// Length of the period in microseconds; 100 000 when `None`.
    pub cpu_period_us: Option<u64>,
    /// Processors, as in `0-3,7`.
    pub cpuset: Option<String>,
    /// Memory in bytes; swap is not given on top.
    pub memory_limit_bytes: Option<u64>,
    /// Number of processes and threads.
    pub pids_max: Option<i64>,
}

impl Resources {
    /// Sets the processor share from a request in thousandths of a core; 0 gives the smallest share.
    #[must_use]
    pub fn cpu_request_millis(mut self, millis: u64) -> Self {
        self.cpu_shares = Some((millis.saturating_mul(1024) / 1000).clamp(2, 262_144));
        self
    }

    /// Sets the processor quota from a limit in thousandths of a core.
    #[must_use]
    pub fn cpu_limit_millis(mut self, millis: u64) -> Self {
        let quota = millis.saturating_mul(100).max(1000);
        self.cpu_period_us = Some(100_000);
        self.cpu_quota_us = Some(i64::try_from(quota).unwrap_or(i64::MAX));
        self
    }

    /// Sets the memory limit in bytes.
    #[must_use]
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit_bytes = Some(bytes);
        self
    }
}

/// Which system calls are allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Seccomp {
    /// What ordinary programs need; system calls that administer the host answer EPERM. Programs for another architecture
    /// (32-bit ones too) are killed.
    #[default]
    RuntimeDefault,
    /// All of them.
    Unconfined,
    /// A profile file of the host in JSON, in the OCI form or the form that container engines ship; without `SCMP_ACT_NOTIFY`.
    Localhost(PathBuf),
}

/// The namespaces of a container. The mount namespace is always new.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespaces {
    /// Network.
    pub network: Namespace,
    /// System V IPC and POSIX message queues.
    pub ipc: Namespace,
    /// Host name.
    pub uts: Namespace,
    /// Process ids. `Path` may name `/proc/<pid>/ns/pid` of another container; all end when its first process ends.
    pub pid: Namespace,
    /// View of the cgroup tree.
    pub cgroup: Namespace,
}

/// Where one namespace comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Namespace {
    /// A new one.
    #[default]
    New,
    /// The host's.
    Host,
    /// An existing one, by a file that names it.
    Path(PathBuf),
}

/// A resource limit of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// As in `RLIMIT_NOFILE`.
    pub kind: String,
    /// In force.
    pub soft: u64,
    /// Most that the process may set.
    pub hard: u64,
}
