//! Where cgroups are mounted on this host.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

const ROOT: &str = "/sys/fs/cgroup";

/// The cgroup file systems of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Layout {
    /// Version 2 alone.
    Unified {
        /// Where it is mounted.
        root: PathBuf,
    },
    /// Version 1, maybe with a version 2 tree without controllers beside it.
    Legacy(Vec<Hierarchy>),
}

/// One mounted tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// Where it is mounted.
    pub(super) root: PathBuf,
    /// Its controllers; empty for the trees that only name processes.
    pub(super) controllers: Vec<String>,
}

/// Returns the layout, looked up once.
pub(super) fn layout() -> &'static Layout {
    static LAYOUT: OnceLock<Layout> = OnceLock::new();
    LAYOUT.get_or_init(|| {
        let unified = statfs(ROOT).is_ok_and(|found| found.filesystem_type() == CGROUP2_SUPER_MAGIC);
        if unified {
            return Layout::Unified { root: PathBuf::from(ROOT) };
        }
        Layout::Legacy(parse(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()))
    })
}

impl Layout {
    /// Returns the tree of a version 1 controller.
    pub(super) fn legacy(&self, controller: &str) -> Option<&Path> {
        match self {
            Self::Unified { .. } => None,
            Self::Legacy(trees) => trees
                .iter()
                .find(|tree| tree.controllers.iter().any(|known| known == controller))
                .map(|tree| tree.root.as_path()),
        }
    }

    /// Returns all trees.
    pub(super) fn roots(&self) -> Vec<&Path> {
        match self {
            Self::Unified { root } => vec![root],
            Self::Legacy(trees) => trees.iter().map(|tree| tree.root.as_path()).collect(),
        }
    }
}

/// The controllers that are of use here; others in the mount's options are flags such as `rw`.
const CONTROLLERS: [&str; 12] = [
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "freezer",
    "hugetlb",
    "memory",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
];

/// Reads proc_pid_mountinfo(5).
fn parse(mountinfo: &str) -> Vec<Hierarchy> {
    let mut trees: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((mount, kind)) = line.split_once(" - ") else { continue };
        let mut kind = kind.split(' ');
        let (Some(name @ ("cgroup" | "cgroup2")), Some(options)) = (kind.next(), kind.nth(1)) else { continue };
        let (Some(within), Some(root)) = (mount.split(' ').nth(3), mount.split(' ').nth(4)) else { continue };
        let controllers: Vec<String> = options
            .split(',')
            .filter(|option| name == "cgroup" && CONTROLLERS.contains(option))
            .map(str::to_owned)
            .collect();
        let tree = Hierarchy { root: PathBuf::from(root), controllers };
        // A tree may be mounted twice; a mount of a part of it is somebody else's.
        let known = trees.iter().any(|known| known.controllers == tree.controllers && !tree.controllers.is_empty());
        if within == "/" && !known {
            trees.push(tree);
        }
    }
    trees
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_with_their_controllers() {
        let text = "30 25 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n\
            31 30 0:27 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw\n\
            32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 - cgroup cgroup rw,cpu,cpuacct\n\
            33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
            34 30 0:28 /docker/1 /mnt rw - cgroup cgroup rw,cpu,cpuacct\n";
        let trees = parse(text);
        assert_eq!(trees.len(), 3);
        assert_eq!(trees[1].controllers, ["cpu", "cpuacct"]);
        let layout = Layout::Legacy(trees);
        assert_eq!(layout.legacy("cpuacct"), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct")));
        assert_eq!(layout.legacy("memory"), None);
    }
}
