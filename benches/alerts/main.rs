//! Ten thousand alerts in a hundred groups beside Debian's prometheus-alertmanager.
//!
//! `cargo bench -p maru-benches --bench alerts` starts one server after the other and brings both the same alerts, in
//! requests of 64 as Prometheus sends them, three rounds: the first brings them, the others say them again. Words after `--`
//! choose: `maru`, `peer`, and `program=PATH` for another build of Maru.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use maru_benches::{Row, cpu_seconds, resident_megabytes};
use maru_testkit::{TempDir, free_port, wait_until_blocking};

const PATIENCE: Duration = Duration::from_secs(120);
const GROUPS: usize = 100;
const ALERTS: usize = 10_000;
const BATCH: usize = 64;
/// The first brings the alerts, the others say them again.
const ROUNDS: usize = 3;

/// What was measured of one server.
#[derive(Debug)]
struct Figures {
    first_micros: f64,
    again_micros: f64,
    kilobytes: f64,
    all_told_seconds: f64,
    groups_millis: f64,
}

#[expect(clippy::print_stderr, reason = "a bench's progress")]
fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let program = words.iter().find_map(|word| word.strip_prefix("program=").map(str::to_owned));
    let wants =
        |name: &str| words.iter().all(|word| word.starts_with("program=")) || words.iter().any(|word| word == name);
    let maru = wants("maru").then(|| {
        eprintln!("maru …");
        let program = program.unwrap_or_else(|| maru_tests::binary().display().to_string());
        measure(&program, |config, data, listen| {
            let flags = ["alerts", "--no-authentication", "--config", config, "--data", data, "--listen", listen];
            flags.map(str::to_owned).into()
        })
    });
    let peer = (wants("peer") && maru_tests::find_program("prometheus-alertmanager").is_some()).then(|| {
        eprintln!("alertmanager …");
        measure("prometheus-alertmanager", |config, data, listen| {
            [
                format!("--config.file={config}"),
                format!("--storage.path={data}"),
                format!("--web.listen-address={listen}"),
                "--cluster.listen-address=".to_owned(),
                "--log.level=error".to_owned(),
            ]
            .into()
        })
    });
    let row = |what: &str, figure: fn(&Figures) -> f64, budget: &str| Row {
        what: what.to_owned(),
        maru: maru.as_ref().map_or(f64::NAN, figure),
        peer: peer.as_ref().map(|peer| ("Alertmanager".to_owned(), figure(peer))),
        budget: budget.to_owned(),
    };
    maru_benches::print(&[
        row("CPU of an alert that comes first, µs", |figures| figures.first_micros, "31 µs"),
        row("CPU of an alert that is said again, µs", |figures| figures.again_micros, "31 µs"),
        row("memory of an alert, KB", |figures| figures.kilobytes, "3.3 KB"),
        row("all 100 webhooks told, s", |figures| figures.all_told_seconds, "-"),
        row("/api/v2/alerts/groups, ms", |figures| figures.groups_millis, "-"),
    ]);
}

/// A server that ends with the bench.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time and starts its peers")]
fn measure(program: &str, flags: impl Fn(&str, &str, &str) -> Vec<String>) -> Figures {
    let folder = TempDir::new();
    let told = Arc::new(AtomicUsize::new(0));
    let port = listen(Arc::clone(&told));
    let config = folder.join("alertmanager.yml");
    let text = format!(
        "route: {{receiver: hook, group_by: [alertname], group_wait: 1s, group_interval: 5m}}\nreceivers: [{{name: hook, webhook_configs: [{{url: 'http://127.0.0.1:{port}/'}}]}}]\n"
    );
    std::fs::write(&config, text).expect("the configuration is written");
    let address = format!("127.0.0.1:{}", free_port());
    let data = folder.join("data").display().to_string();
    let child = Command::new(program)
        .args(flags(&config.display().to_string(), &data, &address))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let server = Running(child);
    let pid = server.0.id();
    wait_until_blocking(PATIENCE, "the server", || try_request(&address, "GET", "/-/ready", "").is_some());
    let bodies = bodies();
    let empty = resident_megabytes(pid);
    let mut micros = Vec::new();
    let started = Instant::now();
    let mut all_told_seconds = f64::NAN;
    for round in 0..ROUNDS {
        let before = cpu_seconds(pid);
        let mut connection = TcpStream::connect(&address).expect("the server listens");
        for body in &bodies {
            request_on(&mut connection, &address, "POST", "/api/v2/alerts", body);
        }
        micros.push((cpu_seconds(pid) - before) * 1e6 / count(ALERTS));
        if round == 0 {
            wait_until_blocking(PATIENCE, "all webhooks", || told.load(Ordering::Relaxed) >= GROUPS);
            all_told_seconds = started.elapsed().as_secs_f64();
        }
    }
    let kilobytes = (resident_megabytes(pid) - empty) * 1024.0 / count(ALERTS);
    let asked = Instant::now();
    let groups = try_request(&address, "GET", "/api/v2/alerts/groups", "").expect("the groups are listed");
    assert!(groups.len() > 1_000_000, "only {} bytes of groups", groups.len());
    Figures {
        first_micros: micros[0],
        again_micros: micros[1..].iter().sum::<f64>() / count(ROUNDS - 1),
        kilobytes,
        all_told_seconds,
        groups_millis: asked.elapsed().as_secs_f64() * 1000.0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn count(number: usize) -> f64 {
    number as f64
}

/// Alerts as a rule on pods makes them: eight labels, two annotations, an address.
fn bodies() -> Vec<String> {
    let alerts: Vec<String> = (0..ALERTS)
        .map(|number| {
            let group = number % GROUPS;
            format!(
                "{{\"labels\":{{\"alertname\":\"Alert{group}\",\"cluster\":\"production\",\"container\":\"server\",\"instance\":\"10.0.{}.{}:8080\",\"job\":\"kubernetes-pods\",\"namespace\":\"shop\",\"pod\":\"catalog-{number}\",\"severity\":\"warning\"}},\"annotations\":{{\"summary\":\"pod catalog-{number} answers slowly\",\"description\":\"95 % of the answers of catalog-{number} took longer than 0.5 s in the last five minutes\"}},\"startsAt\":\"2026-11-22T09:00:00Z\",\"endsAt\":\"2099-01-01T00:00:00Z\",\"generatorURL\":\"http://prometheus.example:9090/graph?g0.expr=latency%3E0.5&g0.tab=1&n={group}\"}}",
                number / 250,
                number % 250
            )
        })
        .collect();
    alerts.chunks(BATCH).map(|chunk| format!("[{}]", chunk.join(","))).collect()
}

fn try_request(address: &str, method: &str, path: &str, body: &str) -> Option<Vec<u8>> {
    let mut connection = TcpStream::connect(address).ok()?;
    Some(request_on(&mut connection, address, method, path, body))
}

/// Sends a request and reads the whole answer.
fn request_on(connection: &mut TcpStream, address: &str, method: &str, path: &str, body: &str) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(body.as_bytes())).expect("it is sent");
    let mut reader = BufReader::new(connection);
    let (mut length, mut is_chunked, mut status) = (0, false, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("an answer");
        let line = line.trim_end().to_ascii_lowercase();
        if status.is_empty() {
            status.clone_from(&line);
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        is_chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        if line.is_empty() {
            break;
        }
    }
    assert!(status.contains(" 200"), "{path}: {status}");
    let mut body = vec![0; length];
    if !is_chunked {
        reader.read_exact(&mut body).expect("the body");
        return body;
    }
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a chunk");
        let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..]).expect("a chunk's content");
        reader.read_line(&mut line).expect("a chunk's end");
        if size == 0 {
            return body;
        }
    }
}

/// Answers webhooks, each with 200, and counts them.
fn listen(told: Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().map_or(0, |address| address.port());
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let told = Arc::clone(&told);
            std::thread::spawn(move || {
                let mut reader = BufReader::new(connection);
                loop {
                    let mut length = 0;
                    loop {
                        let mut line = String::new();
                        if reader.read_line(&mut line).unwrap_or(0) == 0 {
                            return;
                        }
                        let line = line.trim_end().to_ascii_lowercase();
                        if let Some(value) = line.strip_prefix("content-length:") {
                            length = value.trim().parse().unwrap_or(0);
                        }
                        if line.is_empty() {
                            break;
                        }
                    }
                    let mut body = vec![0; length];
                    if reader.read_exact(&mut body).is_err() {
                        return;
                    }
                    told.fetch_add(1, Ordering::Relaxed);
                    if reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}
