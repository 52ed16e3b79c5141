//! What benches share: rows of results with ratios, CPU time of processes, quantiles.
//!
//! Owns: how a figure is taken and printed.
//! Never: judges; a bench prints, it does not fail on a slow day.

use std::time::Duration;

/// One figure of Maru beside that of a peer.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was measured, with its unit.
    pub what: String,
    /// Maru's figure.
    pub maru: f64,
    /// The peer and its figure, where there is one.
    pub peer: Option<(String, f64)>,
    /// What the design allows.
    pub budget: String,
}

/// Prints rows as a Markdown table.
#[expect(clippy::print_stdout, reason = "a bench's output")]
pub fn print(rows: &[Row]) {
    println!("\n| what | Maru | peer | ratio Maru / peer | budget |\n|---|---|---|---|---|");
    for row in rows {
        let (peer, ratio) = match &row.peer {
            Some((name, figure)) => (format!("{name} {figure:.2}"), format!("{:.2}", row.maru / figure)),
            None => ("-".to_owned(), "-".to_owned()),
        };
        println!("| {} | {:.2} | {peer} | {ratio} | {} |", row.what, row.maru, row.budget);
    }
}

/// Returns the seconds of CPU that a process has used, user and system together.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The program's name may hold spaces; fields are counted after its closing bracket.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Returns a process's resident memory in megabytes.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn resident_megabytes(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0
}

/// Returns the median of durations in milliseconds.
#[must_use]
pub fn median_millis(durations: &mut [Duration]) -> f64 {
    durations.sort();
    durations.get(durations.len() / 2).map_or(0.0, Duration::as_secs_f64) * 1000.0
}
