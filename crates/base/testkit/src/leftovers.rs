//! What a test must not leave behind.

use std::path::{Path, PathBuf};

/// Returns the mount points at or beneath a directory, in the order they were made, as the calling thread sees them.
#[must_use]
pub fn mounts_under(directory: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|field| PathBuf::from(unescape(field)))
        .filter(|path| path.starts_with(directory))
        .collect()
}

/// Undoes the octal escapes of mountinfo (`\040` for a space).
fn unescape(field: &str) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, octal.and_then(|digits| u8::from_str_radix(digits, 8).ok())) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the processes in a cgroup and in all beneath it; none when there is no such cgroup.
#[must_use]
pub fn processes_in_cgroup(cgroup: &Path) -> Vec<i32> {
    let mut found: Vec<i32> = std::fs::read_to_string(cgroup.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect();
    for entry in std::fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(processes_in_cgroup(&entry.path()));
        }
    }
    found
}

/// Returns the names of the nftables tables, as `family name`, that start with a prefix; none without the `nft` program.
#[must_use]
pub fn nft_tables(name_prefix: &str) -> Vec<String> {
    let output = std::process::Command::new("nft").args(["list", "tables"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.strip_prefix("table "))
        .filter(|table| table.split(' ').nth(1).is_some_and(|name| name.starts_with(name_prefix)))
        .map(str::to_owned)
        .collect()
}

/// Returns the names of the calling thread's network links that start with a prefix.
#[must_use]
pub fn links(name_prefix: &str) -> Vec<String> {
    std::fs::read_to_string("/proc/thread-self/net/dev")
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim().to_owned())
        .filter(|name| name.starts_with(name_prefix))
        .collect()
}

/// What to look for when a test ends. Call [`Leftovers::assert_none`] inside the host that the test used.
#[derive(Debug, Clone, Default)]
pub struct Leftovers {
    /// Directories beneath which nothing may be mounted.
    pub mounts_under: Vec<PathBuf>,
    /// Directories that must be empty or gone, for example where namespaces are kept.
    pub empty_directories: Vec<PathBuf>,
    /// Cgroups that must hold no process.
    pub cgroups: Vec<PathBuf>,
    /// No table's name may start with one of these.
    pub nft_prefixes: Vec<String>,
    /// No link's name may start with one of these.
    pub link_prefixes: Vec<String>,
}

impl Leftovers {
    /// Returns a line for each thing that was left.
    #[must_use]
    pub fn find(&self) -> Vec<String> {
        let mut found = Vec::new();
        for directory in &self.mounts_under {
            found.extend(mounts_under(directory).iter().map(|path| format!("mount {}", path.display())));
        }
        for directory in &self.empty_directories {
            let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
            found.extend(entries.map(|entry| format!("file {}", entry.path().display())));
        }
        for cgroup in &self.cgroups {
            let processes = processes_in_cgroup(cgroup);
            found.extend(processes.iter().map(|pid| format!("process {pid} in {}", cgroup.display())));
        }
        for prefix in &self.nft_prefixes {
            found.extend(nft_tables(prefix).iter().map(|table| format!("nft table {table}")));
        }
        for prefix in &self.link_prefixes {
            found.extend(links(prefix).iter().map(|link| format!("link {link}")));
        }
        found
    }

    /// Fails the test when something was left.
    ///
    /// # Panics
    /// With the list of what was left.
    pub fn assert_none(&self) {
        let found = self.find();
        assert!(found.is_empty(), "left behind: {found:#?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_mount_points_are_undone() {
        assert_eq!(unescape(r"/tmp/a\040b\134c"), r"/tmp/a b\c");
        assert_eq!(unescape(r"/tmp/\04"), r"/tmp/\04");
    }

    #[test]
    fn what_is_left_is_named() {
        let directory = crate::TempDir::new();
        let file = directory.write("netns/left", "");
        let check = Leftovers { empty_directories: vec![directory.join("netns")], ..Leftovers::default() };
        assert_eq!(check.find(), [format!("file {}", file.display())]);
        std::fs::remove_file(file).unwrap();
        check.assert_none();
    }
}
