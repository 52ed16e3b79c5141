//! What the machine has.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use k8s_openapi::api::core::v1::NodeSystemInfo;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::NodeOptions;

/// What the machine can give to pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Capacity {
    pub(crate) cpu_millis: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) disk_bytes: u64,
    pub(crate) pods: u32,
}

impl Capacity {
    pub(crate) fn read(options: &NodeOptions) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let disk_bytes = nix::sys::statvfs::statvfs(&options.directory)
            .map_or(0, |disk| disk.blocks().saturating_mul(disk.fragment_size()));
        Self {
            cpu_millis: u64::try_from(cores).unwrap_or(1) * 1000,
            memory_bytes: memory_total().unwrap_or(0),
            disk_bytes,
            pods: options.limits.pods_max,
        }
    }

    /// Returns the amounts as the Node object shows them.
    pub(crate) fn quantities(&self) -> BTreeMap<String, Quantity> {
        [
            ("cpu", (self.cpu_millis / 1000).to_string()),
            ("memory", format!("{}Ki", self.memory_bytes / 1024)),
            ("ephemeral-storage", format!("{}Ki", self.disk_bytes / 1024)),
            ("pods", self.pods.to_string()),
        ]
        .into_iter()
        .map(|(name, amount)| (name.to_owned(), Quantity(amount)))
        .collect()
    }

    /// Returns the amounts in thousandths.
    pub(crate) fn allocatable_millis(&self) -> BTreeMap<String, i64> {
        let milli = |units: u64| i64::try_from(units).unwrap_or(i64::MAX).saturating_mul(1000);
        [
            ("cpu", i64::try_from(self.cpu_millis).unwrap_or(i64::MAX)),
            ("memory", milli(self.memory_bytes)),
            ("ephemeral-storage", milli(self.disk_bytes)),
        ]
        .into_iter()
        .map(|(name, amount)| (name.to_owned(), amount))
        .collect()
    }
}

fn memory_total() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Returns the memory in use that cannot be reclaimed easily, for the node's statistics.
pub(crate) fn memory_available() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Returns what the machine runs, for the Node object.
pub(super) fn system_info(options: &NodeOptions) -> NodeSystemInfo {
    let first_line = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let machine_id = first_line("/etc/machine-id");
    let system_uuid = Some(first_line("/sys/class/dmi/id/product_uuid")).filter(|uuid| !uuid.is_empty());
    NodeSystemInfo {
        architecture: architecture().to_owned(),
        boot_id: first_line("/proc/sys/kernel/random/boot_id"),
        container_runtime_version: format!("maru://{}", env!("CARGO_PKG_VERSION")),
        kernel_version: first_line("/proc/sys/kernel/osrelease"),
        kube_proxy_version: options.version.clone(),
        kubelet_version: options.version.clone(),
        system_uuid: system_uuid.unwrap_or_else(|| machine_id.clone()),
        machine_id,
        operating_system: "linux".to_owned(),
        os_image: os_image(Path::new("/etc/os-release")),
        ..NodeSystemInfo::default()
    }
}

/// Returns the architecture in Go's words.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

fn os_image(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_processors_memory_and_disk() {
        let directory = tempfile::tempdir().unwrap();
        let options = NodeOptions::for_tests(directory.path());
        let capacity = Capacity::read(&options);
        assert!(capacity.cpu_millis >= 1000 && capacity.memory_bytes > 1 << 20 && capacity.disk_bytes > 0);
        assert_eq!(capacity.quantities()["pods"].0, "110");
        assert!(memory_available().unwrap() <= capacity.memory_bytes);
        assert!(!system_info(&options).kernel_version.is_empty());
    }
}
