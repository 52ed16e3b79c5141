//! The machine's own numbers from `/proc` and `/sys`, under the names that node_exporter has for them.
//!
//! Utilisation, saturation and errors of processor, memory, disks and network, and the pressure that the kernel measures.

use std::path::Path;

use super::state::{Exposition, float};

/// Ticks of a second in `/proc/stat`: the kernel's interface has 100 on every architecture of ours.
const TICKS: f64 = 100.0;
/// Bytes of a sector in `/proc/diskstats`.
const SECTOR: f64 = 512.0;
/// Kinds of file systems that hold no data of their own.
const VIRTUAL: [&str; 24] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "securityfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "fuse.lxcfs",
];

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(path)).unwrap_or_default()
}

fn numbers(line: &str) -> Vec<u64> {
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Returns the numbers as a text. Blocks for some file reads.
pub(super) fn exposition() -> String {
    let mut out = Exposition::default();
    processor(&mut out);
    memory(&mut out);
    load_and_kernel(&mut out);
    pressure(&mut out);
    disks(&mut out);
    network(&mut out);
    out.finish()
}

/// Returns what this process uses, under the names that all clients of Prometheus have for it. Blocks for some file reads.
pub(crate) fn process() -> String {
    let mut out = Exposition::default();
    let stat = read("/proc/self/stat");
    // The command's name, in parentheses, may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
    let field = |place: usize| fields.get(place).and_then(|word| word.trim().parse::<u64>().ok()).map_or(0.0, float);
    let boot = read("/proc/stat").lines().find_map(|line| line.strip_prefix("btime ")?.parse().ok()).map_or(0.0, float);
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let status = read("/proc/self/status");
    let kilobytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).map_or(0.0, float) * 1024.0
    };
    let limits = read("/proc/self/limits");
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let files = files.and_then(|line| line.split_whitespace().next()?.parse().ok()).map_or(0.0, float);
    for (name, kind, help, value) in [
        (
            "process_cpu_seconds_total",
            "counter",
            "Total user and system CPU time spent in seconds.",
            (field(11) + field(12)) / TICKS,
        ),
        ("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", kilobytes("VmRSS")),
        ("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", kilobytes("VmSize")),
        ("process_open_fds", "gauge", "Number of open file descriptors.", float(open as u64)),
        ("process_max_fds", "gauge", "Maximum number of open file descriptors.", files),
        (
            "process_start_time_seconds",
            "gauge",
            "Start time of the process since unix epoch in seconds.",
            boot + field(19) / TICKS,
        ),
    ] {
        out.head(name, kind, help);
        out.sample(name, &[], value);
    }
    out.finish()
}

fn processor(out: &mut Exposition) {
    const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
    let stat = read("/proc/stat");
    out.head("node_cpu_seconds_total", "counter", "Seconds the CPUs spent in each mode.");
    for line in stat.lines() {
        let Some((cpu, rest)) = line.strip_prefix("cpu").and_then(|line| line.split_once(' ')) else { continue };
        if cpu.is_empty() {
            continue;
        }
        for (mode, ticks) in MODES.iter().zip(numbers(rest)) {
            out.sample("node_cpu_seconds_total", &[("cpu", cpu), ("mode", mode)], float(ticks) / TICKS);
        }
    }
    for (word, name, kind, help) in [
        ("ctxt", "node_context_switches_total", "counter", "Total number of context switches."),
        ("processes", "node_forks_total", "counter", "Total number of forks."),
        ("procs_running", "node_procs_running", "gauge", "Number of processes in runnable state."),
        ("procs_blocked", "node_procs_blocked", "gauge", "Number of processes blocked waiting for I/O to complete."),
        ("btime", "node_boot_time_seconds", "gauge", "Node boot time, in unixtime."),
    ] {
        let found = stat.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
        if let Some(value) = found.and_then(|rest| rest.trim().parse::<u64>().ok()) {
            out.head(name, kind, help);
            out.sample(name, &[], float(value));
        }
    }
}

fn memory(out: &mut Exposition) {
    for line in read("/proc/meminfo").lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        let Some(value) = numbers(rest).first().copied() else { continue };
        let cleaned = name.replace('(', "_").replace(')', "");
        let (unit, factor) = if rest.ends_with("kB") { ("_bytes", 1024.0) } else { ("", 1.0) };
        let name = format!("node_memory_{cleaned}{unit}");
        out.head(&name, "gauge", &format!("Memory information field {name}."));
        out.sample(&name, &[], float(value) * factor);
    }
    for line in read("/proc/vmstat").lines() {
        let Some((field, value)) = line.split_once(' ') else { continue };
        if !matches!(field, "pgfault" | "pgmajfault" | "pgpgin" | "pgpgout" | "pswpin" | "pswpout" | "oom_kill") {
            continue;
        }
        let name = format!("node_vmstat_{field}");
        out.head(&name, "untyped", &format!("/proc/vmstat information field {field}."));
        out.sample(&name, &[], value.trim().parse().unwrap_or_default());
    }
}

fn load_and_kernel(out: &mut Exposition) {
    let load = read("/proc/loadavg");
    for (name, word) in ["node_load1", "node_load5", "node_load15"].iter().zip(load.split_whitespace()) {
        out.head(name, "gauge", "Load average.");
        out.sample(name, &[], word.parse().unwrap_or_default());
    }
    let files = numbers(&read("/proc/sys/fs/file-nr"));
    for (name, value) in ["node_filefd_allocated", "", "node_filefd_maximum"].iter().zip(files) {
        if !name.is_empty() {
            out.head(name, "gauge", "File descriptor statistics.");
            out.sample(name, &[], float(value));
        }
    }
    for (name, path) in [
        ("node_nf_conntrack_entries", "/proc/sys/net/netfilter/nf_conntrack_count"),
        ("node_nf_conntrack_entries_limit", "/proc/sys/net/netfilter/nf_conntrack_max"),
    ] {
        if let Ok(value) = read(path).trim().parse() {
            out.head(name, "gauge", "Connection tracking of the kernel.");
            out.sample(name, &[], value);
        }
    }
    let word = |path: &str| read(path).trim().to_owned();
    let (release, host) = (word("/proc/sys/kernel/osrelease"), word("/proc/sys/kernel/hostname"));
    out.head("node_uname_info", "gauge", "Labeled system information as provided by the uname system call.");
    let labels =
        [("sysname", "Linux"), ("release", &release), ("nodename", &host), ("machine", std::env::consts::ARCH)];
    out.sample("node_uname_info", &labels, 1.0);
}

/// The time in which some or all tasks waited, in seconds.
fn pressure(out: &mut Exposition) {
    for (resource, kinds) in [
        ("cpu", &[("some", "node_pressure_cpu_waiting_seconds_total")][..]),
        (
            "memory",
            &[
                ("some", "node_pressure_memory_waiting_seconds_total"),
                ("full", "node_pressure_memory_stalled_seconds_total"),
            ],
        ),
        (
            "io",
            &[("some", "node_pressure_io_waiting_seconds_total"), ("full", "node_pressure_io_stalled_seconds_total")],
        ),
    ] {
        let text = read(&format!("/proc/pressure/{resource}"));
        for (kind, name) in kinds {
            let line = text.lines().find(|line| line.starts_with(kind));
            let total = line
                .and_then(|line| line.rsplit_once("total="))
                .and_then(|(_, total)| total.trim().parse::<u64>().ok());
            if let Some(micros) = total {
                out.head(name, "counter", "Total time in seconds that tasks waited for the resource.");
                out.sample(name, &[], float(micros) / 1e6);
            }
        }
    }
}

fn disks(out: &mut Exposition) {
    const COLUMNS: [(usize, &str, f64, &str); 10] = [
        (0, "node_disk_reads_completed_total", 1.0, "counter"),
        (2, "node_disk_read_bytes_total", SECTOR, "counter"),
        (3, "node_disk_read_time_seconds_total", 0.001, "counter"),
        (4, "node_disk_writes_completed_total", 1.0, "counter"),
        (6, "node_disk_written_bytes_total", SECTOR, "counter"),
        (7, "node_disk_write_time_seconds_total", 0.001, "counter"),
        (8, "node_disk_io_now", 1.0, "gauge"),
        (9, "node_disk_io_time_seconds_total", 0.001, "counter"),
        (10, "node_disk_io_time_weighted_seconds_total", 0.001, "counter"),
        (15, "node_disk_flush_requests_total", 1.0, "counter"),
    ];
    let text = read("/proc/diskstats");
    let rows: Vec<(&str, Vec<u64>)> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(2);
            let device = words.next().filter(|device| !device.starts_with("loop") && !device.starts_with("ram"))?;
            Some((device, words.filter_map(|word| word.parse().ok()).collect()))
        })
        .collect();
    for (column, name, factor, kind) in COLUMNS {
        out.head(name, kind, "What /proc/diskstats counts.");
        for (device, values) in &rows {
            if let Some(value) = values.get(column) {
                out.sample(name, &[("device", device)], float(*value) * factor);
            }
        }
    }
    file_systems(out);
}

/// A number of a file system, and its name.
type Column = (&'static str, fn(&nix::sys::statvfs::Statvfs) -> f64);

fn file_systems(out: &mut Exposition) {
    let mounts = read("/proc/self/mounts");
    let mut rows = Vec::new();
    let mut seen = Vec::new();
    for line in mounts.lines() {
        let mut words = line.split_whitespace();
        let (Some(device), Some(point), Some(kind)) = (words.next(), words.next(), words.next()) else { continue };
        if VIRTUAL.contains(&kind) || seen.contains(&device) || point.starts_with("/var/lib/kubelet") {
            continue;
        }
        let point = point.replace("\\040", " ");
        if let Ok(room) = nix::sys::statvfs::statvfs(point.as_str()) {
            seen.push(device);
            rows.push((device, point, kind, room));
        }
    }
    let columns: [Column; 5] = [
        ("node_filesystem_size_bytes", |room| float(room.blocks() * room.fragment_size())),
        ("node_filesystem_free_bytes", |room| float(room.blocks_free() * room.fragment_size())),
        ("node_filesystem_avail_bytes", |room| float(room.blocks_available() * room.fragment_size())),
        ("node_filesystem_files", |room| float(room.files())),
        ("node_filesystem_files_free", |room| float(room.files_free())),
    ];
    for (name, value) in columns {
        out.head(name, "gauge", "Room on file systems.");
        for (device, point, kind, room) in &rows {
            out.sample(name, &[("device", device), ("fstype", kind), ("mountpoint", point)], value(room));
        }
    }
}

fn network(out: &mut Exposition) {
    const COLUMNS: [(usize, &str); 8] = [
        (0, "node_network_receive_bytes_total"),
        (1, "node_network_receive_packets_total"),
        (2, "node_network_receive_errs_total"),
        (3, "node_network_receive_drop_total"),
        (8, "node_network_transmit_bytes_total"),
        (9, "node_network_transmit_packets_total"),
        (10, "node_network_transmit_errs_total"),
        (11, "node_network_transmit_drop_total"),
    ];
    let text = read("/proc/net/dev");
    // The links of pods come and go, and are counted with their pods.
    let rows: Vec<(&str, Vec<u64>)> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(device, rest)| (device.trim(), numbers(rest)))
        .filter(|(device, _)| !device.starts_with("veth") && !device.starts_with("maru"))
        .collect();
    for (column, name) in COLUMNS {
        out.head(name, "counter", "What /proc/net/dev counts.");
        for (device, values) in &rows {
            if let Some(value) = values.get(column) {
                out.sample(name, &[("device", device)], float(*value));
            }
        }
    }
    let snmp = read("/proc/net/snmp");
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Tcp:"));
    if let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        for (field, value) in names.split_whitespace().zip(values.split_whitespace()) {
            if matches!(field, "ActiveOpens" | "PassiveOpens" | "RetransSegs" | "InErrs" | "CurrEstab" | "OutRsts") {
                let name = format!("node_netstat_Tcp_{field}");
                out.head(&name, "untyped", &format!("Statistic Tcp{field}."));
                out.sample(&name, &[], value.parse().unwrap_or_default());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use maru_prom::exposition::{CreatedLines, Dialect, Entry, TextParser};

    #[test]
    fn this_process_is_measured() {
        let text = super::process();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{name}: {text}")).parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_open_fds") > 2.0 && value("process_max_fds") >= value("process_open_fds"));
        // After the machine was started, in this decade.
        assert!(value("process_start_time_seconds") > 1.7e9);
    }

    #[test]
    fn this_machine_can_be_measured() {
        let text = super::exposition();
        let mut parser = TextParser::new(text.as_bytes(), Dialect::Prometheus, CreatedLines::Series).unwrap();
        let mut names = std::collections::BTreeSet::new();
        while let Some(entry) = parser.next_entry().unwrap() {
            if let Entry::Series(line) = entry {
                names.insert(line.series.split('{').next().unwrap().to_owned());
            }
        }
        for name in [
            "node_cpu_seconds_total",
            "node_memory_MemAvailable_bytes",
            "node_load1",
            "node_network_receive_bytes_total",
        ] {
            assert!(names.contains(name), "{name}: {names:?}");
        }
    }
}
