//! Reading what a cgroup uses.

use std::path::Path;
use std::time::Duration;

/// What a cgroup uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CgroupStats {
    /// Processor time used since the cgroup was made.
    pub cpu_usage: Duration,
    /// Time in which a quota held its threads back.
    pub cpu_throttled: Duration,
    /// Memory charged, page cache included.
    pub memory_current_bytes: u64,
    /// Memory that cannot be reclaimed easily: current without inactive file pages.
    pub memory_working_set_bytes: u64,
    /// Anonymous memory.
    pub memory_rss_bytes: u64,
    /// Memory limit, when there is one.
    pub memory_limit_bytes: Option<u64>,
    /// Times that the kernel killed a process of it, or of a cgroup below, for lack of memory.
    pub oom_kills: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Bytes read from block devices.
    pub io_read_bytes: u64,
    /// Bytes written to block devices.
    pub io_write_bytes: u64,
    /// How long its tasks waited; nothing where the kernel does not measure it, as in version 1.
    pub pressure: Option<Pressure>,
}

/// How long tasks waited for each resource since the cgroup was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pressure {
    /// For a processor.
    pub cpu: Stall,
    /// For memory.
    pub memory: Stall,
    /// For disks.
    pub io: Stall,
}

/// How long tasks waited for one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stall {
    /// While some task did.
    pub some: Duration,
    /// While all did that had work.
    pub full: Duration,
}

/// Where the files of one cgroup are, by controller. Version 2 has one directory for all.
pub(super) struct Places<'a> {
    pub(super) unified: bool,
    pub(super) find: &'a dyn Fn(&str) -> Option<std::path::PathBuf>,
}

pub(super) fn read(places: &Places<'_>) -> CgroupStats {
    let file = |controller: &str, name: &str| {
        (places.find)(controller).and_then(|path| std::fs::read_to_string(path.join(name)).ok()).unwrap_or_default()
    };
    let number = |controller: &str, name: &str| file(controller, name).trim().parse::<u64>().ok();
    if places.unified {
        let cpu = file("cpu", "cpu.stat");
        let memory = file("memory", "memory.stat");
        let current = number("memory", "memory.current").unwrap_or(0);
        let io = file("io", "io.stat");
        return CgroupStats {
            cpu_usage: Duration::from_micros(keyed(&cpu, "usage_usec")),
            cpu_throttled: Duration::from_micros(keyed(&cpu, "throttled_usec")),
            memory_current_bytes: current,
            memory_working_set_bytes: current.saturating_sub(keyed(&memory, "inactive_file")),
            memory_rss_bytes: keyed(&memory, "anon"),
            memory_limit_bytes: number("memory", "memory.max"),
            oom_kills: keyed(&file("memory", "memory.events"), "oom_kill"),
            pids: number("pids", "pids.current").unwrap_or(0),
            io_read_bytes: sum_assigned(&io, "rbytes="),
            io_write_bytes: sum_assigned(&io, "wbytes="),
            pressure: stall(&file("cpu", "cpu.pressure")).map(|cpu| Pressure {
                cpu,
                memory: stall(&file("memory", "memory.pressure")).unwrap_or_default(),
                io: stall(&file("io", "io.pressure")).unwrap_or_default(),
            }),
        };
    }
    let memory = file("memory", "memory.stat");
    let current = number("memory", "memory.usage_in_bytes").unwrap_or(0);
    let io = file("blkio", "blkio.throttle.io_service_bytes_recursive");
    // "No limit" is the largest multiple of the page size.
    let limit = number("memory", "memory.limit_in_bytes").filter(|limit| *limit < 1 << 62);
    CgroupStats {
        cpu_usage: Duration::from_nanos(number("cpuacct", "cpuacct.usage").unwrap_or(0)),
        cpu_throttled: Duration::from_nanos(keyed(&file("cpu", "cpu.stat"), "throttled_time")),
        memory_current_bytes: current,
        memory_working_set_bytes: current.saturating_sub(keyed(&memory, "total_inactive_file")),
        memory_rss_bytes: keyed(&memory, "total_rss"),
        memory_limit_bytes: limit,
        oom_kills: (places.find)("memory").map_or(0, |path| oom_kills_below(&path)),
        pids: number("pids", "pids.current").unwrap_or(0),
        io_read_bytes: sum_operation(&io, "Read"),
        io_write_bytes: sum_operation(&io, "Write"),
        pressure: None,
    }
}

/// Version 1 counts kills in the victim's own cgroup only.
fn oom_kills_below(path: &Path) -> u64 {
    let own = std::fs::read_to_string(path.join("memory.oom_control")).unwrap_or_default();
    let children = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    let below: u64 = children
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| oom_kills_below(&entry.path()))
        .sum();
    keyed(&own, "oom_kill") + below
}

/// Finds `key value` in lines.
pub(super) fn keyed(text: &str, key: &str) -> u64 {
    let value = |line: &str| {
        line.split_once(' ').filter(|(name, _)| *name == key).and_then(|(_, value)| value.trim().parse().ok())
    };
    text.lines().find_map(value).unwrap_or(0)
}

/// Reads `some avg10=0.00 avg60=0.00 avg300=0.00 total=12` and the line `full`, in microseconds.
fn stall(text: &str) -> Option<Stall> {
    let total = |kind: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(kind))?;
        line.rsplit_once("total=").and_then(|(_, total)| total.trim().parse().ok()).map(Duration::from_micros)
    };
    Some(Stall { some: total("some ")?, full: total("full ").unwrap_or_default() })
}

/// Sums the values after a prefix in `8:0 rbytes=1 wbytes=2 …`.
fn sum_assigned(text: &str, prefix: &str) -> u64 {
    text.split_ascii_whitespace()
        .filter_map(|word| word.strip_prefix(prefix))
        .filter_map(|value| value.parse::<u64>().ok())
        .sum()
}

/// Sums the values of an operation in lines `8:0 Read 1`.
fn sum_operation(text: &str, operation: &str) -> u64 {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            words.nth(1).filter(|word| *word == operation)?;
            words.next()?.parse::<u64>().ok()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        assert_eq!(keyed("oom 1\noom_kill 3\n", "oom_kill"), 3);
        assert_eq!(keyed("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", "oom_kill"), 2);
        assert_eq!(sum_assigned("8:0 rbytes=10 wbytes=5 rios=1\n8:16 rbytes=1 wbytes=2\n", "rbytes="), 11);
        let pressure =
            "some avg10=0.00 avg60=0.12 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=250\n";
        let (some, full) = (Duration::from_millis(1500), Duration::from_micros(250));
        assert_eq!(stall(pressure), Some(Stall { some, full }));
        assert_eq!(stall(""), None);
        assert_eq!(sum_operation("8:0 Read 10\n8:0 Write 5\n8:16 Read 1\nTotal 16\n", "Read"), 11);
    }
}
