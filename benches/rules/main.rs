//! A thousand rules over 100,000 series beside Prometheus.
//!
//! `cargo bench -p maru-benches --bench rules` measures Maru and Debian's prometheus, one after the other, with the same samples
//! and the same rule files; words after `--` choose: `maru`, `prometheus`, and `program=PATH` for another build of Maru. CPU is that of the server alone, and
//! the time is what each server tells of its own groups.

#[path = "../metrics/wire.rs"]
mod wire;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use maru_benches::{Row, cpu_seconds, resident_megabytes};
use maru_prom::remote_write::{RequestWriter, Sample, SeriesParts, Version};
use maru_prom::{Labels, snappy};
use maru_testkit::{TempDir, free_port};

use crate::wire::{Connection, try_get};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// Metrics, each with its own rules.
const METRICS: u32 = 500;
/// Series of one metric.
const SERIES: u32 = 200;
/// Rules of one metric: one recording, one alerting.
const RULES: u32 = 2;
/// Metrics whose rules share a group.
const METRICS_OF_GROUP: u32 = 10;
/// Samples of one series, 15 seconds apart.
const STEPS: i64 = 21;
const STEP_MS: i64 = 15_000;
/// Seconds between two evaluations of a group.
const INTERVAL: u32 = 10;
/// Rounds of evaluations that are measured.
const ROUNDS: u32 = 3;

/// What was measured of one server.
struct Figures {
    /// Seconds that all groups took in one round, one after the other.
    groups: f64,
    cpu: f64,
    megabytes: f64,
}

#[expect(clippy::print_stderr, reason = "a bench's progress")]
fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let program = words.iter().find_map(|word| word.strip_prefix("program=").map(str::to_owned));
    let wants =
        |name: &str| words.iter().all(|word| word.starts_with("program=")) || words.iter().any(|word| word == name);
    let mut measured: [Option<Figures>; 2] = [None, None];
    if wants("maru") {
        eprintln!("maru …");
        let maru = program.unwrap_or_else(|| maru_tests::binary().display().to_string());
        measured[0] = Some(measure(&maru, &["metrics", "--no-authentication", "--config"], "--listen", "--data"));
    }
    if wants("prometheus") && maru_tests::find_program("prometheus").is_some() {
        eprintln!("prometheus …");
        let flags = ["--web.enable-remote-write-receiver", "--log.level=error", "--config.file"];
        measured[1] = Some(measure("prometheus", &flags, "--web.listen-address", "--storage.tsdb.path"));
    }
    let [maru, peer] = measured;
    let row = |what: &str, figure: fn(&Figures) -> f64, budget: &str| Row {
        what: what.to_owned(),
        maru: maru.as_ref().map_or(f64::NAN, figure),
        peer: peer.as_ref().map(|peer| ("Prometheus".to_owned(), figure(peer))),
        budget: budget.to_owned(),
    };
    maru_benches::print(&[
        row("1,000 rules over 100,000 series, groups one after the other, s", |figures| figures.groups, "1 s"),
        row("the same, server CPU-s", |figures| figures.cpu, "-"),
        row("RSS, MiB", |figures| figures.megabytes, "-"),
    ]);
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn now() -> Instant {
    Instant::now()
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn measure(program: &str, flags: &[&str], listen: &str, data: &str) -> Figures {
    let (folder, port) = (TempDir::new(), free_port());
    let config = folder.join("prometheus.yml");
    std::fs::write(folder.join("rules.yml"), rules()).expect("the folder is writable");
    std::fs::write(&config, format!("global: {{evaluation_interval: {INTERVAL}s}}\nrule_files: [rules.yml]\n"))
        .expect("the folder is writable");
    let child = Command::new(program)
        .args(arguments(
            flags,
            &config,
            &[(listen, &format!("127.0.0.1:{port}")), (data, &folder.path().display().to_string())],
        ))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let server = Running(child.expect("the server starts"));
    wait("the server answers", || try_get(port, "/-/ready").is_some_and(|(status, _)| status == 200));
    send(port);
    let pid = server.0.id();
    let iterations = || metric(port, "prometheus_rule_group_iterations_total{");
    let groups = f64::from(METRICS / METRICS_OF_GROUP);
    // The first round with all samples warms up.
    let before = iterations();
    wait("a round is over", || iterations() >= before + 2.0 * groups);
    let (cpu, before) = (cpu_seconds(pid), iterations());
    wait("the rounds are over", || iterations() >= before + f64::from(ROUNDS) * groups);
    let rounds = (iterations() - before) / groups;
    let figures = Figures {
        groups: metric(port, "prometheus_rule_group_last_duration_seconds{"),
        cpu: (cpu_seconds(pid) - cpu) / rounds,
        megabytes: resident_megabytes(pid),
    };
    let failures = metric(port, "prometheus_rule_evaluation_failures_total{");
    assert!(failures < 1.0, "{failures} evaluations failed");
    figures
}

/// Puts the flags together: `--flag=value` is understood by all.
fn arguments(flags: &[&str], config: &Path, more: &[(&str, &str)]) -> Vec<String> {
    let (last, first) = flags.split_last().expect("the last flag takes the configuration");
    let mut all: Vec<String> = first.iter().map(|flag| (*flag).to_owned()).collect();
    all.push(format!("{last}={}", config.display()));
    all.extend(more.iter().map(|(flag, value)| format!("{flag}={value}")));
    all
}

fn wait(what: &str, is_done: impl Fn() -> bool) {
    let started = now();
    while !is_done() {
        assert!(started.elapsed() < PATIENCE, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Returns the sum of a metric's series.
fn metric(port: u16, start: &str) -> f64 {
    let (_, body) = Connection::open(port).get("/metrics");
    let text = String::from_utf8_lossy(&body);
    let lines = text.lines().filter(|line| line.starts_with(start));
    lines.filter_map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok())).sum()
}

fn rules() -> String {
    let mut text = String::from("groups:\n");
    for metric in 0..METRICS {
        if metric % METRICS_OF_GROUP == 0 {
            write!(text, "- name: g{}\n  rules:\n", metric / METRICS_OF_GROUP).expect("a text takes all");
        }
        write!(
            text,
            "  - {{record: 'job:m{metric}:rate5m', expr: 'sum by (job) (rate(m{metric}_total[5m]))'}}\n  \
             - {{alert: A{metric}, expr: 'm{metric}_total > 1e12', for: 5m}}\n"
        )
        .expect("a text takes all");
    }
    text
}

/// Writes five minutes of all series, up to now.
fn send(port: u16) {
    assert_eq!((METRICS * SERIES, METRICS * RULES), (100_000, 1000), "as the row says");
    let mut connection = Connection::open(port);
    let clock = maru_time::system_clock();
    let end_ms = clock.now().as_millisecond();
    let headers = "Content-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n";
    for metric in 0..METRICS {
        let mut writer = RequestWriter::new(Version::V1);
        for series in 0..SERIES {
            let name = format!("m{metric}_total");
            let instance = format!("10.0.{}.{}:8080", series / 250, series % 250);
            let job = format!("job{}", series % 5);
            let labels = Labels::from_pairs([("__name__", name.as_str()), ("instance", &instance), ("job", &job)]);
            let samples: Vec<Sample> = (0..STEPS)
                .map(|step| Sample {
                    timestamp_ms: end_ms - (STEPS - 1 - step) * STEP_MS,
                    value: f64::from(series) * 15.0 * f64::from(i32::try_from(step).unwrap_or(0)),
                    start_timestamp_ms: 0,
                })
                .collect();
            writer.series(&labels, &SeriesParts { samples: &samples, ..SeriesParts::default() });
        }
        let body = snappy::compress(&writer.finish());
        let (status, answer) = connection.post("/api/v1/write", headers, &body);
        assert!(status < 300, "{status} {}", String::from_utf8_lossy(&answer));
    }
}
