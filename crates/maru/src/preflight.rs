//! What this machine must have, and how to mend what is missing.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use crate::settings::Settings;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Fine.
    Good,
    /// Maru starts, but something will be worse than it could be.
    Warning,
    /// Maru does not start.
    Missing,
}

/// What was looked at, what was found, and the command that mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) what: &'static str,
    pub(crate) severity: Severity,
    pub(crate) message: String,
    pub(crate) mend: String,
}

fn good(what: &'static str, message: impl Into<String>) -> Finding {
    Finding { what, severity: Severity::Good, message: message.into(), mend: String::new() }
}

fn bad(what: &'static str, severity: Severity, message: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { what, severity, message: message.into(), mend: mend.into() }
}

/// What the checks look at, so that they can be tested without another machine.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) root: bool,
    pub(crate) cores: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) free_disk_bytes: u64,
    pub(crate) filesystems: String,
    pub(crate) cgroup: Option<&'static str>,
    pub(crate) nft: Option<String>,
    pub(crate) firewall: Option<&'static str>,
}

impl Machine {
    /// Looks at this machine.
    pub(crate) fn observe(data: &Path) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let memory_bytes = read("/proc/meminfo")
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok())
            .unwrap_or(0)
            * 1024;
        Self {
            root: nix::unistd::geteuid().is_root(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes,
            free_disk_bytes: free_disk(data),
            filesystems: read("/proc/filesystems"),
            cgroup: cgroup_version(&read("/proc/self/mounts")),
            nft: nft_version(),
            firewall: active_firewall(),
        }
    }
}

fn free_disk(data: &Path) -> u64 {
    let existing = data.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    nix::sys::statvfs::statvfs(existing).map_or(0, |stat| stat.blocks_available() * stat.fragment_size())
}

fn cgroup_version(mounts: &str) -> Option<&'static str> {
    let has = |kind: &str, option: &str| {
        mounts.lines().any(|line| {
            let mut fields = line.split(' ').skip(2);
            fields.next() == Some(kind)
                && fields.next().is_some_and(|options| options.split(',').any(|one| one == option) || option.is_empty())
        })
    };
    if ["memory", "cpu", "pids"].iter().all(|controller| has("cgroup", controller)) {
        Some("v1")
    } else if has("cgroup2", "") {
        Some("v2")
    } else {
        None
    }
}

fn nft_version() -> Option<String> {
    let output = std::process::Command::new("nft").arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn active_firewall() -> Option<&'static str> {
    if Path::new("/run/firewalld").exists() {
        return Some("firewalld");
    }
    let ufw = std::fs::read_to_string("/etc/ufw/ufw.conf").unwrap_or_default();
    ufw.lines().any(|line| line.trim() == "ENABLED=yes").then_some("ufw")
}

const GIB: u64 = 1024 * 1024 * 1024;

/// Judges a machine; pure.
pub(crate) fn judge(machine: &Machine) -> Vec<Finding> {
    use Severity::{Missing, Warning};
    let mut findings = Vec::new();
    findings.push(if machine.root {
        good("privileges", "root")
    } else {
        bad("privileges", Missing, "containers, namespaces and packet rules need root", "sudo maru up")
    });
    let gib =
        |bytes: u64| format!("{:.1} GB", f64::from(u32::try_from(bytes / (1024 * 1024)).unwrap_or(u32::MAX)) / 1024.0);
    // The method's smallest server has 2 cores and 8 GB; 5 % are left to the firmware and the kernel.
    findings.push(if machine.cores >= 2 && machine.memory_bytes >= 8 * GIB * 95 / 100 {
        good("size", format!("{} cores, {}", machine.cores, gib(machine.memory_bytes)))
    } else {
        let message = format!(
            "{} cores and {}: the method's smallest server has 2 cores and 8 GB",
            machine.cores,
            gib(machine.memory_bytes)
        );
        bad("size", Warning, message, "give the machine more, or expect slow builds")
    });
    findings.push(if machine.free_disk_bytes >= 5 * GIB {
        good("disk", format!("{} free", gib(machine.free_disk_bytes)))
    } else {
        let severity = if machine.free_disk_bytes < GIB / 2 { Missing } else { Warning };
        bad(
            "disk",
            severity,
            format!("only {} free", gib(machine.free_disk_bytes)),
            "choose a folder on a larger disk with --data",
        )
    });
    findings.push(if machine.filesystems.lines().any(|line| line.ends_with("\toverlay")) {
        good("overlayfs", "present")
    } else {
        bad("overlayfs", Missing, "the kernel has no overlay file system", "modprobe overlay")
    });
    findings.push(match machine.cgroup {
        Some(version) => good("cgroups", version),
        None => bad(
            "cgroups",
            Missing,
            "no control groups with cpu, memory and pids are mounted",
            "mount -t cgroup2 none /sys/fs/cgroup",
        ),
    });
    findings.push(match &machine.nft {
        Some(version) => good("nftables", version.clone()),
        None => bad("nftables", Missing, "the program nft is missing", "apt-get install -y nftables"),
    });
    if let Some(firewall) = machine.firewall {
        findings.push(bad(
            "firewall",
            Warning,
            format!("{firewall} is active and may drop traffic of pods"),
            format!("allow forwarding for 10.42.0.0/16 in {firewall}, or switch it off"),
        ));
    }
    findings
}

/// Checks that the ports are free.
pub(crate) fn check_ports(settings: &Settings) -> Vec<Finding> {
    let ports = [
        ("the API", "--api-port", settings.api),
        ("HTTP", "--http-port", settings.http),
        ("HTTPS", "--https-port", settings.https),
        ("metrics", "--metrics-port", settings.metrics),
        ("alerts", "--alerts-port", settings.alerts),
        ("the console", "--console-listen", settings.console),
    ];
    ports.into_iter().filter_map(|(what, flag, address)| check_port(what, flag, address)).collect()
}

fn check_port(what: &str, flag: &str, address: SocketAddr) -> Option<Finding> {
    let error = TcpListener::bind(address).err()?;
    let message = match error.kind() {
        std::io::ErrorKind::AddrInUse => format!("{address} for {what} is taken by another program"),
        _ => format!("{address} for {what} cannot be used: {error}"),
    };
    let mend = format!("choose another with {flag}, or see who has it: ss -ltnp 'sport = :{}'", address.port());
    Some(bad("ports", Severity::Missing, message, mend))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            root: true,
            cores: 2,
            memory_bytes: 8 * GIB,
            free_disk_bytes: 50 * GIB,
            filesystems: "nodev\tproc\nnodev\toverlay\n".to_owned(),
            cgroup: Some("v2"),
            nft: Some("nftables v1.0.6".to_owned()),
            firewall: None,
        }
    }

    fn worst(machine: &Machine) -> Vec<(&'static str, Severity)> {
        judge(machine)
            .into_iter()
            .filter(|one| one.severity != Severity::Good)
            .map(|one| (one.what, one.severity))
            .collect()
    }

    #[test]
    fn the_smallest_server_is_enough() {
        assert_eq!(worst(&machine()), []);
    }

    #[test]
    fn what_is_missing_is_named_with_what_mends_it() {
        let poor = Machine {
            root: false,
            cores: 1,
            memory_bytes: 2 * GIB,
            free_disk_bytes: GIB / 4,
            filesystems: String::new(),
            cgroup: None,
            nft: None,
            firewall: Some("ufw"),
        };
        let found = judge(&poor);
        assert!(found.iter().all(|one| !one.mend.is_empty()), "{found:?}");
        assert_eq!(found.iter().filter(|one| one.severity == Severity::Missing).count(), 5, "{found:?}");
    }

    #[test]
    fn both_cgroup_versions_are_known() {
        let v1 = "cgroup /a cgroup rw,memory 0 0\ncgroup /b cgroup rw,cpu,cpuacct 0 0\ncgroup /c cgroup rw,pids 0 0\n";
        assert_eq!(cgroup_version(v1), Some("v1"));
        assert_eq!(cgroup_version("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"), Some("v2"));
        assert_eq!(cgroup_version("cgroup /a cgroup rw,memory 0 0\n"), None);
    }

    #[test]
    fn a_taken_port_is_named_with_its_flag() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let finding = check_port("the API", "--api-port", taken.local_addr().unwrap()).unwrap();
        assert!(finding.message.contains("is taken") && finding.mend.contains("--api-port"), "{finding:?}");
    }
}
