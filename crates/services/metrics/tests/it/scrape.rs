//! Scraping: what targets show, how they misbehave, and what a configuration changes.

use std::path::Path;
use std::sync::{Arc, Mutex};

use maru_testkit::wait_until;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

/// What is answered, by path.
type Answers = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A target that answers with bytes as they are given, by path.
pub(crate) struct Target {
    pub(crate) address: String,
    pub(crate) scope: Scope,
    answers: Answers,
    /// The heads of requests.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl Target {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let scope = Scope::root("target");
        let (answers, asked) = (Answers::default(), Arc::<Mutex<Vec<String>>>::default());
        let (own_scope, own_answers, own_asked) = (scope.clone(), Arc::clone(&answers), Arc::clone(&asked));
        drop(scope.spawn_until_cancelled("accept", async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (answers, asked) = (Arc::clone(&own_answers), Arc::clone(&own_asked));
                drop(own_scope.spawn_until_cancelled("connection", Self::serve(socket, answers, asked)));
            }
        }));
        Self { address, scope, answers, asked }
    }

    async fn serve(mut socket: TcpStream, answers: Answers, asked: Arc<Mutex<Vec<String>>>) {
        let mut head = Vec::new();
        while let Ok(byte) = socket.read_u8().await {
            head.push(byte);
            if !head.ends_with(b"\r\n\r\n") {
                continue;
            }
            let text = String::from_utf8_lossy(&std::mem::take(&mut head)).into_owned();
            let path = text.split_whitespace().nth(1).unwrap_or_default().to_owned();
            let answer = answers.lock().unwrap().iter().find(|(own, _)| *own == path).map(|(_, answer)| answer.clone());
            asked.lock().unwrap().push(text);
            match answer {
                Some(answer) if answer == b"hang" => std::future::pending().await,
                Some(answer) if answer.starts_with(b"endless ") => {
                    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n";
                    drop(socket.write_all(head).await);
                    while socket.write_all(&b"a_metric 1\n".repeat(1000)).await.is_ok() {}
                    return;
                }
                Some(answer) => {
                    let closes = answer.windows(17).any(|part| part == b"connection: close");
                    drop(socket.write_all(&answer).await);
                    if closes {
                        return;
                    }
                }
                None => drop(socket.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await),
            }
        }
    }

    fn set(&self, path: &str, answer: impl Into<Vec<u8>>) {
        let mut answers = self.answers.lock().unwrap();
        answers.retain(|(own, _)| own != path);
        answers.push((path.to_owned(), answer.into()));
    }

    pub(crate) fn show(&self, path: &str, kind: &str, body: &[u8]) {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
        self.set(path, [head.as_bytes(), body].concat());
    }
}

/// A server that scrapes by a file in its folder.
pub(crate) async fn scraping(configuration: &str) -> Running {
    scraping_with(configuration, |_| {}).await
}

pub(crate) async fn scraping_with(configuration: &str, change: impl FnOnce(&mut MetricsOptions)) -> Running {
    let running = Running::with(|options| {
        change(options);
        options.clock = maru_time::system_clock();
        let file = options.directory.parent().unwrap().join("prometheus.yml");
        std::fs::write(&file, configuration).unwrap();
        options.collect.file = Some(file);
        options.collect.first_at_once = true;
    })
    .await;
    let (status, _, text) = running.post("/-/reload", &[], Vec::new()).await;
    assert_eq!(status, 200, "{text}");
    running
}

fn file_of(running: &Running, name: &str) -> std::path::PathBuf {
    running.folder.join(name)
}

async fn reload(running: &Running, configuration: &str) -> (u16, String) {
    std::fs::write(file_of(running, "prometheus.yml"), configuration).unwrap();
    let (status, _, text) = running.post("/-/reload", &[], Vec::new()).await;
    (status, text)
}

impl Running {
    /// Returns the value of the one series that a query finds now.
    pub(crate) async fn now(&self, query: &str) -> Option<String> {
        let found = self.data("/api/v1/query", &[("query", query)]).await["result"].clone();
        assert!(found.as_array().unwrap().len() < 2, "{query}: {found}");
        found[0]["value"][1].as_str().map(str::to_owned)
    }

    pub(crate) async fn wait_for(&self, query: &str, value: &str) {
        wait_until(Duration::from_secs(60), query, || async { self.now(query).await.as_deref() == Some(value) }).await;
    }

    async fn error_of(&self, job: &str) -> String {
        let targets = self.data("/api/v1/targets", &[("scrapePool", job)]).await;
        targets["activeTargets"][0]["lastError"].as_str().unwrap_or_default().to_owned()
    }
}

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_formats_are_read_and_labels_follow_the_rules() {
    let target = Target::start().await;
    let plain =
        b"# HELP a_total Things.\n# TYPE a_total counter\na_total{job=\"own\",x=\"1\"} 5\nb 2 1000\ndropped 1\n";
    target.show("/text", TEXT, plain);
    let open = b"# TYPE o counter\no_total 7 # {trace_id=\"t\"} 0.5\n# EOF\n";
    target.show("/open", "application/openmetrics-text; version=1.0.0; charset=utf-8", open);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, b"z 9\n").unwrap();
    let packed = packed.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {TEXT}\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        packed.len()
    );
    target.set("/gzip", [head.as_bytes(), &packed].concat());
    target.set("/moved", "HTTP/1.1 302 Found\r\nlocation: /text\r\ncontent-length: 0\r\n\r\n");
    let address = &target.address;
    let job = |name: &str, path: &str, more: &str| {
        format!(
            "- job_name: {name}\n  metrics_path: {path}\n  static_configs: [{{targets: ['{address}'], labels: {{zone: s}}}}]\n{more}"
        )
    };
    let configuration = format!(
        "global: {{scrape_interval: 300ms, scrape_timeout: 300ms}}\nscrape_configs:\n{}{}{}{}{}",
        job(
            "text",
            "/text",
            "  honor_timestamps: false\n  metric_relabel_configs: [{source_labels: [__name__], regex: dropped, action: drop}]\n  params: {}\n"
        ),
        job("open", "/open", ""),
        job("gzip", "/gzip", "  basic_auth: {username: u, password: p}\n"),
        job("moved", "/moved", "  honor_labels: true\n"),
        job("missing", "/missing", ""),
    );
    let running = scraping(&configuration).await;
    running.wait_for("a_total{job=\"text\",exported_job=\"own\",x=\"1\",zone=\"s\"}", "5").await;
    running.wait_for("b{job=\"text\"}", "2").await;
    running.wait_for("o_total{job=\"open\"}", "7").await;
    running.wait_for("z{job=\"gzip\"}", "9").await;
    running.wait_for("a_total{job=\"own\"}", "5").await;
    running.wait_for("up{job=\"missing\"}", "0").await;
    running.wait_for("scrape_samples_scraped{job=\"text\"}", "3").await;
    running.wait_for("scrape_samples_post_metric_relabeling{job=\"text\"}", "2").await;
    assert_eq!(running.now("dropped{job=\"text\"}").await, None);
    assert!(running.error_of("missing").await.contains("HTTP status 404"));
    let asked = target.asked.lock().unwrap().join("\n");
    assert!(asked.contains("authorization: Basic dTpw") && asked.contains("x-prometheus-scrape-timeout-seconds: 0.3"));
    let targets = running.data("/api/v1/targets", &[("state", "active")]).await;
    assert_eq!(targets["activeTargets"].as_array().unwrap().len(), 5);
    let metadata =
        running.data("/api/v1/targets/metadata", &[("metric", "a_total"), ("match_target", "{job=\"text\"}")]).await;
    assert_eq!((&metadata[0]["type"], &metadata[0]["help"]), (&json!("counter"), &json!("Things.")));
    assert_eq!(running.data("/api/v1/scrape_pools", &[]).await["scrapePools"].as_array().unwrap().len(), 5);
    let shown = running.data("/api/v1/status/config", &[]).await["yaml"].as_str().unwrap().to_owned();
    assert!(shown.contains("<secret>") && !shown.contains("password: p"), "{shown}");
    running.stop().await;
    target.scope.shutdown(Duration::from_secs(60)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_end_with_what_showed_them() {
    let target = Target::start().await;
    target.show("/metrics", TEXT, b"stays 1\nleaves 2\n");
    let rest = "static_configs: [{targets: ['ADDRESS']}]}]\n".replace("ADDRESS", &target.address);
    let configuration =
        format!("scrape_configs: [{{job_name: a, scrape_interval: 200ms, scrape_timeout: 200ms, {rest}");
    let running = scraping(&configuration).await;
    running.wait_for("leaves", "2").await;
    // In another order, with another one in front, and one less.
    target.show("/metrics", TEXT, b"# a comment\nnew 3\nstays 4\n");
    running.wait_for("new", "3").await;
    running.wait_for("stays", "4").await;
    wait_until(Duration::from_secs(60), "the series ends", || async { running.now("leaves").await.is_none() }).await;
    // The target fails: all ends but up.
    target.show("/metrics", TEXT, b"stays x\n");
    running.wait_for("up", "0").await;
    wait_until(Duration::from_secs(60), "all series end", || async { running.now("stays").await.is_none() }).await;
    assert!(running.error_of("a").await.contains("expected a value"));
    target.show("/metrics", TEXT, b"stays 5\n");
    running.wait_for("stays", "5").await;
    // The job is taken out: its series end a little later, and up with them.
    assert_eq!(reload(&running, "scrape_configs: []\n").await.0, 200);
    wait_until(Duration::from_secs(60), "the job's series end", || async {
        running.now("stays").await.is_none() && running.now("up").await.is_none()
    })
    .await;
    running.stop().await;
    target.scope.shutdown(Duration::from_secs(60)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_targets_harm_nobody() {
    let target = Target::start().await;
    let hang = b"hang".as_slice();
    let lie =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {TEXT}\r\nconnection: close\r\ncontent-length: 1000\r\n\r\na 1\n");
    let many: String = (0..100).map(|number| format!("many{{n=\"{number}\"}} 1\n")).collect();
    // More than it says: what follows must not become the next answer.
    target.set(
        "/more",
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {TEXT}\r\ncontent-length: 4\r\n\r\na 1\nHTTP/1.1 200 OK\r\n\r\nforged 1\n"
        ),
    );
    target.set("/hang", hang);
    target.set("/endless", b"endless ".as_slice());
    target.set("/lie", lie);
    target.show("/html", "text/html", b"<html><body>login</body></html>");
    target.show("/blank", "", b"a 1\n");
    target.show("/twice", TEXT, b"twice 1\ntwice 2\ntwice 1\n");
    target.show("/many", TEXT, many.as_bytes());
    target.set("/rubbish", b"\x00\x01\x02 what\r\n\r\n".as_slice());
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut bomb, &b"bomb 1\n".repeat(1 << 18)).unwrap();
    let bomb = bomb.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {TEXT}\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        bomb.len()
    );
    target.set("/bomb", [head.as_bytes(), &bomb].concat());
    let mut configuration =
        "global: {scrape_interval: 1s, scrape_timeout: 500ms, body_size_limit: 1MB}\nscrape_configs:\n".to_owned();
    let expected = [
        ("hang", "deadline", ""),
        ("endless", "body size limit exceeded", ""),
        ("lie", "broke off", ""),
        ("more", "", ""),
        ("html", "unsupported Content-Type \"text/html\"", ""),
        ("blank", "blank Content-Type", ""),
        ("twice", "", ""),
        ("many", "sample limit exceeded", ", sample_limit: 10"),
        ("rubbish", "broke off", ""),
        ("bomb", "body size limit exceeded", ""),
    ];
    for (name, _, more) in expected {
        let address = &target.address;
        configuration.push_str(&format!(
            "- {{job_name: {name}, metrics_path: /{name}, static_configs: [{{targets: ['{address}']}}]{more}}}\n"
        ));
    }
    let running = scraping(&configuration).await;
    for (name, error, _) in expected {
        let up = if error.is_empty() { "1" } else { "0" };
        running.wait_for(&format!("up{{job=\"{name}\"}}"), up).await;
        let told = running.error_of(name).await;
        assert!(told.contains(error), "{name}: {told}");
    }
    assert_eq!(running.now("twice").await.as_deref(), Some("1"));
    assert_eq!(running.now("count(many)").await, None);
    running.wait_for("count_over_time(up{job=\"more\"}[1h]) >= bool 4", "1").await;
    running.wait_for("min_over_time(up{job=\"more\"}[1h])", "1").await;
    assert_eq!(running.now("forged").await, None);
    running.stop().await;
    target.scope.shutdown(Duration::from_secs(60)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_configuration_changes_nothing_and_tells_all() {
    let target = Target::start().await;
    target.show("/metrics", TEXT, b"a 1\n");
    target.show(
        "/sd",
        "application/json",
        format!("[{{\"targets\":[\"{}\"],\"labels\":{{\"by\":\"http\"}}}}]", target.address).as_bytes(),
    );
    let configuration = format!(
        "scrape_configs:\n- {{job_name: f, scrape_interval: 500ms, scrape_timeout: 500ms, file_sd_configs: [{{files: ['targets/*.json'], refresh_interval: 1s}}]}}\n- {{job_name: h, scrape_interval: 500ms, scrape_timeout: 500ms, http_sd_configs: [{{url: 'http://{}/sd'}}]}}\n",
        target.address
    );
    let running = scraping(&configuration).await;
    running.wait_for("up{job=\"h\",by=\"http\"}", "1").await;
    let folder = file_of(&running, "targets");
    std::fs::create_dir(&folder).unwrap();
    write_targets(&folder.join("a.json"), &target.address, "one");
    running.wait_for("up{job=\"f\",by=\"one\"}", "1").await;
    // A file that is wrong keeps its targets.
    std::fs::write(folder.join("a.json"), "[{").unwrap();
    let (status, text) =
        reload(&running, "scrape_configs:\n- job_name: f\n  scrape_interval: 5\n  nonsense: 1\n").await;
    assert_eq!(status, 500);
    assert!(text.contains("prometheus.yml: line 3") && text.contains("\"nonsense\""), "{text}");
    assert_eq!(running.data("/api/v1/status/runtimeinfo", &[]).await["reloadConfigSuccess"], json!(false));
    let targets = running.data("/api/v1/targets", &[]).await;
    assert_eq!(targets["activeTargets"].as_array().unwrap().len(), 2, "{targets}");
    write_targets(&folder.join("b.json"), &target.address, "two");
    running.wait_for("up{job=\"f\",by=\"two\"}", "1").await;
    // The same job with another interval goes on with the same series.
    assert_eq!(reload(&running, &configuration.replace("500ms", "400ms")).await.0, 200);
    running.wait_for("up{job=\"f\",by=\"two\"}", "1").await;
    let steps =
        running.data("/api/v1/targets/relabel_steps", &[("scrapePool", "f"), ("labels", "{\"a\":\"b\"}")]).await;
    assert_eq!(steps["steps"], json!([]));
    running.stop().await;
    target.scope.shutdown(Duration::from_secs(60)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discovery_that_flaps_neither_doubles_nor_loses_a_target() {
    let target = Target::start().await;
    target.show("/metrics", TEXT, b"stays 1\n");
    let listed = format!("[{{\"targets\":[\"{}\"]}}]", target.address);
    target.show("/sd", "application/json", listed.as_bytes());
    let running = scraping(&format!(
        "scrape_configs:\n- {{job_name: h, scrape_interval: 500ms, scrape_timeout: 500ms, http_sd_configs: [{{url: 'http://{}/sd', \
         refresh_interval: 100ms}}]}}\n",
        target.address
    ))
    .await;
    running.wait_for("stays", "1").await;
    let listings = || target.asked.lock().unwrap().iter().filter(|head| head.contains("GET /sd")).count();
    // There, gone, twice, wrong, refused, there again: each is looked at.
    let twice = format!("[{{\"targets\":[\"{0}\",\"{0}\"]}},{{\"targets\":[\"{0}\"]}}]", target.address);
    for _ in 0..4 {
        for (kind, body) in [
            ("application/json", "[]"),
            ("application/json", twice.as_str()),
            ("application/json", "[{"),
            ("text/html", "<html>"),
            ("application/json", listed.as_str()),
        ] {
            target.show("/sd", kind, body.as_bytes());
            let before = listings();
            wait_until(Duration::from_secs(60), "another listing", || async { listings() > before + 1 }).await;
        }
    }
    let targets = running.data("/api/v1/targets", &[]).await;
    assert_eq!(targets["activeTargets"].as_array().unwrap().len(), 1, "{targets}");
    // One loop is left: about two scrapes a second, and none that another one's samples refuse.
    let scrapes = || target.asked.lock().unwrap().iter().filter(|head| head.contains("GET /metrics")).count();
    let (before, begun) = (scrapes(), tokio::time::Instant::now());
    wait_until(Duration::from_secs(60), "ten scrapes", || async { scrapes() >= before + 10 }).await;
    assert!(begun.elapsed() > Duration::from_secs(4), "{:?}", begun.elapsed());
    running.wait_for("up", "1").await;
    running.wait_for("stays", "1").await;
    // A list that cannot be read any more keeps what it said last.
    target.set("/sd", "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n");
    let before = listings();
    wait_until(Duration::from_secs(60), "more listings", || async { listings() > before + 3 }).await;
    assert_eq!(running.data("/api/v1/targets", &[]).await["activeTargets"].as_array().unwrap().len(), 1);
    running.stop().await;
    target.scope.shutdown(Duration::from_secs(60)).await.unwrap();
}

fn write_targets(path: &Path, address: &str, by: &str) {
    std::fs::write(path, format!("[{{\"targets\": [\"{address}\"], \"labels\": {{\"by\": \"{by}\"}}}}]")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_are_reached_by_tls_when_their_certificate_is_right() {
    let folder = TempDir::new();
    let authority = CertificateAuthority::load_or_create(folder.path(), maru_time::system_clock()).unwrap();
    let secured = Running::with_tls(|_| {}, Some(authority.clone())).await;
    let file = folder.join("ca.pem");
    std::fs::write(&file, authority.certificate_pem()).unwrap();
    let address = secured.url.trim_start_matches("https://");
    let job = |name: &str, tls: &str| {
        format!(
            "- {{job_name: {name}, scheme: https, static_configs: [{{targets: ['{address}']}}], tls_config: {{{tls}}}}}\n"
        )
    };
    let configuration = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{}{}{}{}",
        job("right", &format!("ca_file: '{}'", file.display())),
        job("name", &format!("ca_file: '{}', server_name: other", file.display())),
        job("any", "insecure_skip_verify: true"),
        job("nobody", ""),
    );
    let running = scraping(&configuration).await;
    for (name, up) in [("right", "1"), ("any", "1"), ("name", "0"), ("nobody", "0")] {
        running.wait_for(&format!("up{{job=\"{name}\"}}"), up).await;
    }
    assert!(running.error_of("name").await.contains("no TLS"), "{}", running.error_of("name").await);
    running.stop().await;
    secured.stop().await;
}
