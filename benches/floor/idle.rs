//! What Maru needs while nothing happens.

use std::process::{Command, Stdio};
use std::time::Duration;

use maru_benches::{Row, cpu_seconds, resident_megabytes};
use maru_tests::System;

const WATCHED: Duration = Duration::from_secs(60);

pub(super) fn run() -> Vec<Row> {
    let system = System::start();
    let pid = system.server_pid();
    std::thread::sleep(Duration::from_secs(10));
    let before = cpu_seconds(pid);
    let synced = count_syncs(pid);
    if synced.is_none() {
        std::thread::sleep(WATCHED);
    }
    let used = cpu_seconds(pid) - before;
    let row = |what: &str, maru: f64, budget: &str| Row {
        what: what.to_owned(),
        maru,
        peer: None,
        budget: budget.to_owned(),
    };
    let mut rows = vec![
        row("idle memory, MB", resident_megabytes(pid), "100"),
        row("idle CPU, % of a core", used / WATCHED.as_secs_f64() * 100.0, "1"),
    ];
    rows.extend(synced.map(|count| row("idle fsyncs in a minute", count, "0")));
    rows
}

/// Counts fsync calls with strace, where it is installed.
fn count_syncs(pid: u32) -> Option<f64> {
    maru_tests::find_program("strace")?;
    let output = Command::new("timeout")
        .args(["-s", "INT", &WATCHED.as_secs().to_string(), "strace", "-f", "-q"])
        .args(["-e", "trace=fsync,fdatasync,sync_file_range", "-p", &pid.to_string()])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let count = text.lines().filter(|line| line.contains("sync(") || line.contains("sync_file_range(")).count();
    Some(f64::from(u32::try_from(count).unwrap_or(u32::MAX)))
}
