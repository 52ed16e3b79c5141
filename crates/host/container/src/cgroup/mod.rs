//! Cgroups of pods and containers, version 1 (also hybrid) and 2.

mod layout;
mod stats;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::config::Resources;
use crate::error::CgroupError;
use layout::{Layout, layout};
pub use stats::{CgroupStats, Pressure, Stall};
use stats::{Places, keyed};

/// How long `remove` waits for killed processes to end.
const REMOVE_PATIENCE: Duration = Duration::from_secs(2);
const REMOVE_STEP: Duration = Duration::from_millis(5);

/// One cgroup by its path below the controllers' roots, such as `/maru-default/pod1234`. All methods block for a few file
/// operations; `remove` for up to two seconds when processes have to be killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    path: String,
}

/// A pod's cgroup.
pub type PodCgroup = Cgroup;

impl Cgroup {
    /// Names a cgroup; nothing is made.
    #[must_use]
    pub fn at(path: impl Into<String>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the path below the controllers' roots.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Names a cgroup below this one; containers are `<name>-<attempt>` below their pod.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self { path: format!("{}/{name}", self.path.trim_end_matches('/')) }
    }

    /// Names the cgroup above this one.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let parent = Path::new(&self.path).parent()?.to_str()?;
        (parent != "/" && !parent.is_empty()).then(|| Self::at(parent))
    }

    /// Makes the cgroup in every controller and sets its limits; one that exists is changed.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn create(&self, limits: &Resources) -> Result<(), CgroupError> {
        self.make()?;
        match layout() {
            Layout::Unified { root } => self.limit_unified(&join(root, &self.path), limits),
            Layout::Legacy(_) => self.limit_legacy(limits),
        }
    }

    /// Reads what it uses. A controller that is missing counts as zero.
    ///
    /// # Errors
    /// When the cgroup does not exist.
    pub fn stats(&self) -> Result<CgroupStats, CgroupError> {
        if !self.exists() {
            let path = self.directories().into_iter().next().unwrap_or_else(|| PathBuf::from(&self.path));
            return Err(CgroupError { doing: "find", path, source: io::ErrorKind::NotFound.into() });
        }
        let unified = matches!(layout(), Layout::Unified { .. });
        Ok(stats::read(&Places { unified, find: &|controller| self.directory(controller) }))
    }

    /// Tells whether it exists in any controller.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.directories().iter().any(|path| path.is_dir())
    }

    /// Kills the processes in it and in those below, and removes them all. One that does not exist is no error.
    ///
    /// # Errors
    /// When processes do not end within two seconds.
    pub fn remove(&self) -> Result<(), CgroupError> {
        let mut waited = Duration::ZERO;
        loop {
            match self.try_remove() {
                Err(_) if waited < REMOVE_PATIENCE => {
                    std::thread::sleep(REMOVE_STEP);
                    waited += REMOVE_STEP;
                }
                result => return result,
            }
        }
    }

    /// Kills and removes once; fails while killed processes have not ended yet.
    pub(crate) fn try_remove(&self) -> Result<(), CgroupError> {
        if !self.is_below_root() {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "the root and relative paths are not ours");
            return Err(CgroupError { doing: "remove", path: PathBuf::from(&self.path), source });
        }
        self.kill_all();
        self.directories().iter().try_for_each(|path| remove_tree(path))
    }

    /// Sends SIGKILL to every process in it and below.
    pub(crate) fn kill_all(&self) {
        match layout() {
            Layout::Unified { root } => {
                let path = join(root, &self.path);
                // Since Linux 5.14; leaves no time for a fork to escape.
                if std::fs::write(path.join("cgroup.kill"), "1").is_err() {
                    signal_all(&path, Signal::SIGKILL);
                }
            }
            Layout::Legacy(_) => {
                let freezer =
                    self.directory("freezer").map(|path| path.join("freezer.state")).filter(|path| path.exists());
                let paths = self.directories();
                if !paths.iter().any(|path| has_processes(path)) {
                    return;
                }
                // Frozen processes cannot fork; the signal takes effect when they thaw. A failure costs another round only.
                if let Some(state) = &freezer {
                    ignore(std::fs::write(state, "FROZEN"));
                }
                for path in &paths {
                    signal_all(path, Signal::SIGKILL);
                }
                if let Some(state) = &freezer {
                    ignore(std::fs::write(state, "THAWED"));
                }
            }
        }
    }

    /// Returns its directory on a host with version 2 alone.
    pub(crate) fn unified_directory(&self) -> Option<PathBuf> {
        match layout() {
            Layout::Unified { root } => Some(join(root, &self.path)),
            Layout::Legacy(_) => None,
        }
    }

    /// Returns how often the kernel killed a process of this very cgroup for lack of memory.
    pub(crate) fn oom_kills(&self) -> u64 {
        let file = match layout() {
            Layout::Unified { .. } => "memory.events",
            Layout::Legacy(_) => "memory.oom_control",
        };
        let text = self.directory("memory").and_then(|path| std::fs::read_to_string(path.join(file)).ok());
        keyed(&text.unwrap_or_default(), "oom_kill")
    }

    /// Moves the calling process here, in every tree that permits it.
    pub(crate) fn join_self(&self) {
        for path in self.directories() {
            ignore(std::fs::create_dir_all(&path));
            prepare_cpuset(&path);
            ignore(std::fs::write(path.join("cgroup.procs"), "0"));
        }
    }

    fn is_below_root(&self) -> bool {
        self.path.starts_with('/')
            && self.path.split('/').any(|part| !part.is_empty())
            && !self.path.split('/').any(|part| part == "..")
    }

    fn directories(&self) -> Vec<PathBuf> {
        layout().roots().into_iter().map(|root| join(root, &self.path)).collect()
    }

    fn directory(&self, controller: &str) -> Option<PathBuf> {
        match layout() {
            Layout::Unified { root } => Some(join(root, &self.path)),
            legacy @ Layout::Legacy(_) => legacy.legacy(controller).map(|root| join(root, &self.path)),
        }
    }

    fn make(&self) -> Result<(), CgroupError> {
        match layout() {
            Layout::Unified { root } => {
                let mut path = root.clone();
                for part in self.path.split('/').filter(|part| !part.is_empty()) {
                    enable_controllers(&path);
                    path.push(part);
                    make_directory(&path)?;
                }
                enable_controllers(&path);
                Ok(())
            }
            Layout::Legacy(trees) => trees.iter().filter(|tree| !tree.controllers.is_empty()).try_for_each(|tree| {
                let mut path = tree.root.clone();
                for part in self.path.split('/').filter(|part| !part.is_empty()) {
                    path.push(part);
                    make_directory(&path)?;
                    prepare_cpuset(&path);
                }
                Ok(())
            }),
        }
    }

    fn limit_unified(&self, path: &Path, limits: &Resources) -> Result<(), CgroupError> {
        if let Some(shares) = limits.cpu_shares {
            write(&path.join("cpu.weight"), &cpu_weight(shares).to_string())?;
        }
        if let Some(quota) = limits.cpu_quota_us {
            let quota = if quota > 0 { quota.to_string() } else { "max".to_owned() };
            write(&path.join("cpu.max"), &format!("{quota} {}", limits.cpu_period_us.unwrap_or(100_000)))?;
        }
        if let Some(cpus) = &limits.cpuset {
            write(&path.join("cpuset.cpus"), cpus)?;
        }
        if let Some(bytes) = limits.memory_limit_bytes {
            write(&path.join("memory.max"), &bytes.to_string())?;
            if path.join("memory.swap.max").exists() {
                write(&path.join("memory.swap.max"), "0")?;
            }
        }
        if let Some(limit) = limits.pids_max {
            write(&path.join("pids.max"), &max_or(limit))?;
        }
        Ok(())
    }

    fn limit_legacy(&self, limits: &Resources) -> Result<(), CgroupError> {
        let set = |controller: &str, file: &str, value: &str| match self.directory(controller) {
            Some(path) => write(&path.join(file), value),
            None => Err(CgroupError {
                doing: "limit",
                path: PathBuf::from(&self.path),
                source: io::Error::new(io::ErrorKind::Unsupported, format!("this host has no {controller} controller")),
            }),
        };
        if let Some(shares) = limits.cpu_shares {
            set("cpu", "cpu.shares", &shares.to_string())?;
        }
        if let Some(quota) = limits.cpu_quota_us {
            set("cpu", "cpu.cfs_period_us", &limits.cpu_period_us.unwrap_or(100_000).to_string())?;
            set("cpu", "cpu.cfs_quota_us", &quota.to_string())?;
        }
        if let Some(cpus) = &limits.cpuset {
            set("cpuset", "cpuset.cpus", cpus)?;
        }
        if let Some(bytes) = limits.memory_limit_bytes {
            let bytes = bytes.to_string();
            // The limit with swap may never be below the one without: which goes first depends on the direction.
            let first = set("memory", "memory.limit_in_bytes", &bytes);
            if accounts_swap() {
                set("memory", "memory.memsw.limit_in_bytes", &bytes)?;
            }
            first.or_else(|_| set("memory", "memory.limit_in_bytes", &bytes))?;
        }
        if let Some(limit) = limits.pids_max {
            set("pids", "pids.max", &max_or(limit))?;
        }
        Ok(())
    }
}

/// Tells whether the kernel limits swap per cgroup.
pub(crate) fn accounts_swap() -> bool {
    match layout() {
        Layout::Unified { root } => std::fs::read_dir(root)
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .any(|entry| entry.path().join("memory.swap.max").exists()),
        legacy @ Layout::Legacy(_) => {
            legacy.legacy("memory").is_some_and(|root| root.join("memory.memsw.limit_in_bytes").exists())
        }
    }
}

/// Converts shares (2 to 262144, 1024 the usual) to a weight (1 to 10000, 100 the usual), by the curve through these three
/// points that OCI runtimes agreed on.
fn cpu_weight(shares: u64) -> u64 {
    let shares = u32::try_from(shares.clamp(2, 262_144)).unwrap_or(262_144);
    let log = f64::from(shares).log2();
    let weight = 10f64.powf((log * log + 125.0 * log) / 612.0 - 7.0 / 34.0).ceil();
    (1..=10_000_u32).find(|candidate| f64::from(*candidate) >= weight).unwrap_or(10_000).into()
}

fn max_or(limit: i64) -> String {
    if limit > 0 { limit.to_string() } else { "max".to_owned() }
}

fn join(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn make_directory(path: &Path) -> Result<(), CgroupError> {
    match std::fs::create_dir(path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            Err(CgroupError { doing: "make", path: path.to_owned(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Gives the children of a version 2 cgroup the controllers they need. One that cannot be enabled shows when a limit is set.
fn enable_controllers(path: &Path) {
    let file = path.join("cgroup.subtree_control");
    for controller in ["+cpu", "+cpuset", "+io", "+memory", "+pids"] {
        ignore(std::fs::write(&file, controller));
    }
}

/// A new version 1 cpuset has no processors and takes no process until it is given its parent's.
fn prepare_cpuset(path: &Path) {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let empty = std::fs::read_to_string(path.join(name)).is_ok_and(|text| text.trim().is_empty());
        let Some(parent) = path.parent().filter(|_| empty) else { continue };
        // Version 2 has files of the same name, where empty means the parent's.
        if path.join("cgroup.controllers").exists() {
            continue;
        }
        if let Ok(inherited) = std::fs::read_to_string(parent.join(name)) {
            ignore(std::fs::write(path.join(name), inherited.trim()));
        }
    }
}

fn write(path: &Path, value: &str) -> Result<(), CgroupError> {
    std::fs::write(path, value).map_err(|source| CgroupError { doing: "limit", path: path.to_owned(), source })
}

fn has_processes(path: &Path) -> bool {
    std::fs::read_to_string(path.join("cgroup.procs")).is_ok_and(|text| !text.is_empty())
        || children(path).iter().any(|child| has_processes(child))
}

fn signal_all(path: &Path, signal: Signal) {
    for pid in std::fs::read_to_string(path.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
    {
        // 0 is a process of a namespace we do not see. One that ended meanwhile is what is wanted.
        if pid > 0 {
            ignore(kill(Pid::from_raw(pid), signal));
        }
    }
    for child in children(path) {
        signal_all(&child, signal);
    }
}

fn remove_tree(path: &Path) -> Result<(), CgroupError> {
    for child in children(path) {
        remove_tree(&child)?;
    }
    match std::fs::remove_dir(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(CgroupError { doing: "remove", path: path.to_owned(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn children(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

/// For steps whose failure shows in, or is mended by, the step after them.
fn ignore<T, E>(_result: Result<T, E>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights() {
        assert_eq!([2, 512, 1024, 262_144].map(cpu_weight), [1, 59, 100, 10_000]);
    }

    #[test]
    fn the_root_is_never_removed() {
        for path in ["/", "", "relative", "/a/../.."] {
            assert!(Cgroup::at(path).try_remove().is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_cgroup_without_a_name_of_its_own_has_no_parent() {
        assert_eq!(Cgroup::at("/maru/pod1").parent(), Some(Cgroup::at("/maru")));
        assert_eq!(Cgroup::at("/maru").parent(), None);
    }
}
