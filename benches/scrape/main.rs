//! Scraping beside Prometheus and VictoriaMetrics: CPU seconds of the server for a million samples.
//!
//! `cargo bench -p maru-benches --bench scrape` runs all; words after `--` choose: `maru`, `prometheus`, `victoria`. A thousand
//! targets show 100 samples each, counters that grow and gauges that do not, every five seconds, in one process on the same
//! machine. CPU is that of the server alone, over a minute. Peers are Debian's packages prometheus and victoria-metrics; one that
//! is missing leaves its row out.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use maru_benches::{cpu_seconds, resident_megabytes};
use maru_testkit::{TempDir, free_port};

const TARGETS: usize = 1000;
const SAMPLES: u32 = 100;
const WARM_UP: Duration = Duration::from_secs(15);
const MEASURED: Duration = Duration::from_secs(60);

/// What a target shows at a moment.
fn exposition(round: u64) -> String {
    let mut text = String::new();
    for family in 0..SAMPLES / 10 {
        writeln!(text, "# HELP bench_{family}_total Things of a bench.\n# TYPE bench_{family}_total counter")
            .unwrap_or_default();
        for series in 0..10_u32 {
            let value = round * u64::from(series + 1);
            writeln!(text, "bench_{family}_total{{method=\"GET\",path=\"/api/v1/{series}\",code=\"200\"}} {value}")
                .unwrap_or_default();
        }
    }
    text
}

/// Answers on one connection after the other, each on a thread of its own: the client's cost is what counts.
fn serve(listener: &TcpListener, scrapes: &Arc<AtomicU64>) {
    for socket in listener.incoming().map_while(Result::ok) {
        let scrapes = Arc::clone(scrapes);
        std::thread::Builder::new()
            .stack_size(256 << 10)
            .spawn(move || answer(socket, &scrapes))
            .map(drop)
            .unwrap_or_default();
    }
}

fn answer(socket: TcpStream, scrapes: &AtomicU64) -> Option<()> {
    socket.set_nodelay(true).ok()?;
    let mut writer = socket.try_clone().ok()?;
    let mut reader = BufReader::new(socket);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line != "\r\n" {
            continue;
        }
        let body = exposition(scrapes.fetch_add(1, Ordering::Relaxed) / 1000);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        writer.write_all(&[head.as_bytes(), body.as_bytes()].concat()).ok()?;
    }
}

fn spawn(name: &str, folder: &Path, port: u16) -> Child {
    let (file, data, address) = (folder.join("prometheus.yml"), folder.join("data"), format!("127.0.0.1:{port}"));
    let (file, data) = (file.display().to_string(), data.display().to_string());
    let mut command = match name {
        "maru" => {
            let mut command = Command::new(maru_tests::binary());
            command.args(["metrics", "--data", &data, "--listen", &address, "--no-authentication", "--config", &file]);
            command
        }
        "prometheus" => {
            let mut command = Command::new("prometheus");
            command.args([
                &format!("--config.file={file}"),
                &format!("--storage.tsdb.path={data}"),
                &format!("--web.listen-address={address}"),
                "--log.level=error",
            ]);
            command
        }
        _ => {
            let mut command = Command::new("victoria-metrics");
            command.args([
                &format!("-storageDataPath={data}"),
                &format!("-httpListenAddr={address}"),
                &format!("-promscrape.config={file}"),
                "-promscrape.maxScrapeSize=16MB",
                "-loggerLevel=ERROR",
            ]);
            command
        }
    };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the server starts")
}

fn measure(name: &str, address: &str, scrapes: &AtomicU64) -> (f64, f64) {
    let folder = TempDir::new();
    let mut configuration =
        "global: {scrape_interval: 5s, scrape_timeout: 5s}\nscrape_configs:\n- job_name: bench\n  static_configs:\n"
            .to_owned();
    for target in 0..TARGETS {
        writeln!(
            configuration,
            "  - {{targets: ['{address}'], labels: {{__metrics_path__: '/t{target}', t: '{target}'}}}}"
        )
        .unwrap_or_default();
    }
    std::fs::write(folder.join("prometheus.yml"), configuration).expect("the folder is writable");
    let mut child = spawn(name, folder.path(), free_port());
    std::thread::sleep(WARM_UP);
    let (cpu, before) = (cpu_seconds(child.id()), scrapes.load(Ordering::Relaxed));
    std::thread::sleep(MEASURED);
    let cpu = cpu_seconds(child.id()) - cpu;
    let done = u32::try_from(scrapes.load(Ordering::Relaxed) - before).unwrap_or(u32::MAX);
    let memory = resident_megabytes(child.id());
    child.kill().unwrap_or_default();
    child.wait().map(drop).unwrap_or_default();
    (cpu / (f64::from(done) * f64::from(SAMPLES) / 1e6), memory)
}

#[expect(clippy::print_stdout, reason = "a bench's output")]
fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let scrapes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&scrapes);
    std::thread::spawn(move || serve(&listener, &counted));
    println!("{TARGETS} targets of {SAMPLES} samples every 5 s (budget: 2 CPU-s per M samples)\n");
    println!("{:<12} {:>22} {:>10}", "server", "CPU-s per M samples", "RSS, MiB");
    for name in ["maru", "prometheus", "victoria"] {
        let program = if name == "victoria" { "victoria-metrics" } else { name };
        let is_there = name == "maru" || maru_tests::find_program(program).is_some();
        if is_there && (chosen.is_empty() || chosen.iter().any(|one| one == name)) {
            let (cpu, memory) = measure(name, &address, &scrapes);
            println!("{name:<12} {cpu:>22.2} {memory:>10.0}");
        }
    }
}
