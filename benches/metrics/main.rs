//! The time-series store and its query engine beside Prometheus and VictoriaMetrics.
//!
//! `cargo bench -p maru-benches --bench metrics` runs all; words after `--` choose: `10k` (10,000 series over 6 hours), `100k`
//! (100,000 new series over 15 minutes), `maru`, `prometheus`, `victoria` (servers), `noqueries`. All servers get the same bytes by
//! remote write 1.0, one after the other, and answer the same queries. Peers are Debian's packages prometheus and
//! victoria-metrics; one that is missing leaves its column empty. CPU is that of the server alone.

mod answers;
mod data;
mod queries;
mod servers;
mod wire;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use maru_benches::{cpu_seconds, median_millis, resident_megabytes};

use crate::answers::{Agreement, Answer};
use crate::data::{DataSet, STEP_MS};
use crate::servers::{Kind, Server};

/// What was measured of one server, by name.
type Figures = BTreeMap<String, f64>;

/// What one server answered, by the query's name.
type Answers = BTreeMap<String, Answer>;

/// Times that each query is asked.
const QUERY_ROUNDS: u32 = 15;

#[expect(clippy::print_stderr, clippy::print_stdout, reason = "a bench's progress and output")]
fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wants = |names: &[&str], name: &str| {
        !chosen.iter().any(|one| names.contains(&one.as_str())) || chosen.iter().any(|one| one == name)
    };
    let with_queries = !chosen.iter().any(|one| one == "noqueries");
    for (name, set) in [("10k", DataSet::long(100)), ("100k", DataSet::short(1000))] {
        if !wants(&["10k", "100k"], name) {
            continue;
        }
        let mut columns: Vec<(Kind, Figures)> = Vec::new();
        let mut answers: Vec<(Kind, Answers)> = Vec::new();
        for kind in Kind::ALL {
            if !wants(&["maru", "prometheus", "victoria"], kind.word()) || !kind.is_installed() {
                continue;
            }
            eprintln!("{name} {} …", kind.name());
            let mut own = Answers::new();
            columns.push((kind, measure(kind, &set, with_queries, &mut own)));
            answers.push((kind, own));
        }
        println!("\n{} series, {} samples\n", set.series(), set.samples());
        print_table(&columns);
        print_agreement(&answers);
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn measure(kind: Kind, set: &DataSet, with_queries: bool, answers: &mut Answers) -> Figures {
    let mut figures = Figures::new();
    let mut put = |name: &str, value: f64| {
        figures.insert(name.to_owned(), value);
    };
    let mut server = Server::start(kind);
    put("00 start empty, s", server.start_seconds);
    put("01 RSS empty, MiB", resident_megabytes(server.pid()));
    let (cpu, wall) = (cpu_seconds(server.pid()), now());
    data::send(set, server.port());
    server.show_written();
    let millions = set.samples() / 1e6;
    put("02 ingest, server CPU-s per M samples", (cpu_seconds(server.pid()) - cpu) / millions);
    put("03 ingest, samples/s (wall; sender on the same cores)", set.samples() / wall.elapsed().as_secs_f64());
    let (empty, full) = (figures["01 RSS empty, MiB"], resident_megabytes(server.pid()));
    let mut put = |name: &str, value: f64| {
        figures.insert(name.to_owned(), value);
    };
    put("04 RSS after ingest, MiB", full);
    let series = f64::from(u32::try_from(set.series()).expect("fewer than four billion"));
    put("04 RSS above empty after ingest, bytes a series", (full - empty) * f64::from(1 << 20) / series);
    put("05 bytes per sample on disk, live", server.bytes_on_disk() / set.samples());
    let closed = server.close_blocks();
    let downsampled = server.downsampled_bytes();
    put("06 bytes per sample on disk, closed", (closed - downsampled) / set.samples());
    if downsampled > 0.0 {
        put("06 bytes per sample on disk, downsampled copies beside", downsampled / set.samples());
    }
    put("07 ingest with flush, server CPU-s per M samples", (cpu_seconds(server.pid()) - cpu) / millions);
    if with_queries {
        for query in queries::list(set) {
            let (wall, cpu, answer) = ask(&server, &query.path);
            put(&format!("{} p50, ms", query.name), wall);
            put(&format!("{} CPU, ms", query.name), cpu);
            answers.insert(query.name, answer);
        }
    }
    put("08 RSS at its peak, MiB", server.peak_megabytes());
    server.restart(&queries::probe(set));
    put("09 start with the data, s", server.start_seconds);
    server.stop();
    figures
}

/// Returns p50 in ms, CPU in ms for each query, and the answer.
#[expect(clippy::print_stderr, reason = "a bench's progress")]
fn ask(server: &Server, path: &str) -> (f64, f64, Answer) {
    let mut connection = wire::Connection::open(server.port());
    let path = server.kind().query_path(path);
    let (status, first) = connection.get(&path);
    if status != 200 {
        eprintln!("{path}: {status} {}", String::from_utf8_lossy(&first));
        return (f64::NAN, f64::NAN, Answer::default());
    }
    let answer = Answer::read(&serde_json::from_slice(&first).unwrap_or_default());
    let (before, mut times) = (cpu_seconds(server.pid()), Vec::new());
    for _ in 0..QUERY_ROUNDS {
        let started = now();
        connection.get(&path);
        times.push(started.elapsed());
    }
    let cpu = (cpu_seconds(server.pid()) - before) * 1000.0 / f64::from(QUERY_ROUNDS);
    (median_millis(&mut times), cpu, answer)
}

/// Prints whether all servers answered as the first of them did, by series, points and values.
#[expect(clippy::print_stdout, reason = "a bench's output")]
fn print_agreement(answers: &[(Kind, Answers)]) {
    let Some(((first, reference), others)) = answers.split_first() else { return };
    for (kind, own) in others {
        println!("\nAnswers of {} beside those of {}:", kind.name(), first.name());
        let mut same = 0;
        for (name, answer) in reference {
            let Some(other) = own.get(name) else { continue };
            match answer.compare(other) {
                Agreement::Same => same += 1,
                different => println!("- {name} ({} series): {different}", answer.series()),
            }
        }
        println!("- {same} of {} are the same: series, times and values", reference.len());
    }
}

#[expect(clippy::print_stdout, reason = "a bench's output")]
fn print_table(columns: &[(Kind, Figures)]) {
    let names: Vec<&str> = columns.iter().map(|(kind, _)| kind.name()).collect();
    println!("| what | {} | Maru / best peer |", names.join(" | "));
    println!("|---|{}", "---|".repeat(columns.len() + 1));
    let mut rows: Vec<&String> = columns.iter().flat_map(|(_, figures)| figures.keys()).collect();
    rows.sort();
    rows.dedup();
    for row in rows {
        let of = |kind: &Kind| columns.iter().find(|(own, _)| own == kind).and_then(|(_, figures)| figures.get(row));
        let cells: Vec<String> =
            columns.iter().map(|(kind, _)| of(kind).map_or_else(|| "-".to_owned(), |figure| short(*figure))).collect();
        let peers = columns.iter().filter(|(kind, _)| *kind != Kind::Maru).filter_map(|(kind, _)| of(kind));
        // Of throughput more is better.
        let best =
            if row.contains("samples/s") { peers.copied().reduce(f64::max) } else { peers.copied().reduce(f64::min) };
        let ratio = match (of(&Kind::Maru), best) {
            (Some(own), Some(best)) if best > 0.0 => format!("{:.2}", own / best),
            _ => "-".to_owned(),
        };
        let name = row.split_once(' ').map_or(row.as_str(), |(number, rest)| {
            if number.bytes().all(|byte| byte.is_ascii_digit()) { rest } else { row.as_str() }
        });
        println!("| {name} | {} | {ratio} |", cells.join(" | "));
    }
}

fn short(figure: f64) -> String {
    if figure >= 100.0 {
        format!("{figure:.0}")
    } else if figure >= 10.0 {
        format!("{figure:.1}")
    } else {
        format!("{figure:.2}")
    }
}

/// Returns when the data set ends: now, on the grid of its steps.
fn data_end_ms() -> i64 {
    let now = maru_time::Clock::now(&maru_time::SystemClock).as_millisecond();
    now - now % STEP_MS
}

/// How long a server may take for one thing.
const PATIENCE: Duration = Duration::from_secs(120);
