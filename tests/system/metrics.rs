//! `maru metrics` with the clients that people use: promtool, and Debian's Prometheus as sender, reader and scraper.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use maru_prom::remote_write::{RequestWriter, Sample, SeriesParts, Version};
use maru_prom::{Labels, snappy};
use maru_testkit::{TempDir, free_port, wait_until_blocking};
use serde_json::Value;

/// How long anything may take on a slow day.
const PATIENCE: Duration = Duration::from_secs(90);

/// A process that ends with the test.
pub(crate) struct Running {
    child: Child,
    pub(crate) port: u16,
    /// Goes last.
    folder: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Running {
    /// Starts `maru metrics` with an empty store and further flags.
    pub(crate) fn maru(flags: &[&str]) -> Self {
        let folder = TempDir::new();
        let (child, port) = spawn_maru(&folder, flags);
        Self { child, port, folder }
    }

    /// Ends the server at once, as a power cut would, and starts it again on the same data.
    fn kill_and_restart(&mut self, flags: &[&str]) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.port) = spawn_maru(&self.folder, flags);
    }

    /// Starts Debian's Prometheus with the rest of a configuration file.
    pub(crate) fn prometheus(configuration: &str) -> Self {
        let (folder, port) = (TempDir::new(), free_port());
        let text = format!("global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n{configuration}")
            .replace("SELF", &format!("127.0.0.1:{port}"));
        let file = folder.write("prometheus.yml", text);
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.args(["--web.enable-remote-write-receiver", "--log.level=warn"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let running = Self { child, port, folder };
        wait_until_blocking(PATIENCE, "Prometheus to be ready", || {
            running.try_get("/-/ready").is_some_and(|(status, _)| status == 200)
        });
        running
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Asks a path; HTTP/1.0 has neither chunks nor connections that stay.
    fn try_request(&self, head: &str, body: &[u8]) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let head = format!(
            "{head} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    pub(crate) fn try_get(&self, path: &str) -> Option<(u16, String)> {
        self.try_request(&format!("GET {path}"), &[])
    }

    /// Asks the API with parameters; returns the whole answer.
    pub(crate) fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let encode = |text: &str| -> String {
            let byte = |byte: u8| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            };
            text.bytes().map(byte).collect()
        };
        let pairs: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let path = format!("{path}?{}", pairs.join("&"));
        let (status, body) = self.try_get(&path).unwrap_or_else(|| panic!("no answer to {path}"));
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {status} {error}: {body}"))
    }

    /// Evaluates at a moment, or now; returns the result.
    pub(crate) fn query(&self, query: &str, time: Option<i64>) -> Value {
        let time = time.map(|time| time.to_string());
        let mut parameters = vec![("query", query)];
        parameters.extend(time.as_deref().map(|time| ("time", time)));
        let answer = self.ask("/api/v1/query", &parameters);
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].clone()
    }

    /// Sends series by remote write.
    pub(crate) fn write(&self, series: &[(Labels, Vec<(i64, f64)>)]) -> (u16, String) {
        self.try_request("POST /api/v1/write", &write_body(series)).expect("the server answers")
    }
}

/// Makes the body of a remote write.
pub(crate) fn write_body(series: &[(Labels, Vec<(i64, f64)>)]) -> Vec<u8> {
    let mut writer = RequestWriter::new(Version::V1);
    for (labels, samples) in series {
        let samples: Vec<Sample> = samples
            .iter()
            .map(|(timestamp_ms, value)| Sample { timestamp_ms: *timestamp_ms, value: *value, start_timestamp_ms: 0 })
            .collect();
        writer.series(labels, &SeriesParts { samples: &samples, ..SeriesParts::default() });
    }
    snappy::compress(&writer.finish())
}

fn spawn_maru(folder: &TempDir, flags: &[&str]) -> (Child, u16) {
    let mut command = Command::new(maru_tests::binary());
    command.args(["--json", "metrics", "--listen", "127.0.0.1:0", "--no-authentication", "--data"]);
    command.arg(folder.join("data")).args(flags);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"));
    let port = told["url"].as_str().and_then(|url| url.rsplit(':').next()).and_then(|port| port.parse().ok());
    (child, port.unwrap_or_else(|| panic!("no port in {line:?}")))
}

/// Tells whether a program is there; prints one line when not.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub(crate) fn has(program: &str) -> bool {
    let found = maru_tests::find_program(program).is_some();
    if !found {
        println!("skipped: the program {program} is not installed");
    }
    found
}

/// Returns the time in whole seconds since 1970.
pub(crate) fn now() -> i64 {
    maru_time::Clock::now(&maru_time::SystemClock).as_second()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn promtool(arguments: &[&str]) -> String {
    let output = Command::new("promtool").args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "promtool {arguments:?}: {}", text(&output));
    text(&output)
}

/// Newer versions can do more.
fn promtool_help() -> String {
    text(&Command::new("promtool").arg("--help").output().unwrap())
}

fn example(server: &Running, end: i64) {
    let series = |name: &str, instance: &str, factor: f64| {
        let labels = Labels::from_pairs([("__name__", name), ("instance", instance), ("job", "api")]);
        let samples =
            (0..=20).map(|step| ((end - 300 + 15 * i64::from(step)) * 1000, factor * f64::from(step))).collect();
        (labels, samples)
    };
    let (status, told) = server.write(&[
        series("requests_total", "a", 15.0),
        series("requests_total", "b", 30.0),
        series("temperature", "a", 0.0),
    ]);
    assert_eq!(status, 204, "{told}");
}

#[test]
fn promtool_asks_what_it_can_ask() {
    if !has("promtool") {
        return;
    }
    let server = Running::maru(&[]);
    let (url, end) = (server.url(), now());
    example(&server, end);
    let at = end.to_string();
    if promtool_help().contains("check healthy") {
        assert!(promtool(&["check", "healthy", "--url", &url]).contains("SUCCESS"));
        assert!(promtool(&["check", "ready", "--url", &url]).contains("SUCCESS"));
    }
    let told = promtool(&["query", "instant", "--time", &at, &url, "sum by (job) (rate(requests_total[4m]))"]);
    assert_eq!(told.trim(), format!("{{job=\"api\"}} => 3 @[{at}]"));
    let start = (end - 30).to_string();
    let told = promtool(&[
        "query",
        "range",
        "--start",
        &start,
        "--end",
        &at,
        "--step",
        "15s",
        &url,
        "requests_total{instance=\"a\"}",
    ]);
    assert_eq!(
        told.trim(),
        format!(
            "requests_total{{instance=\"a\", job=\"api\"}} =>\n270 @[{}]\n285 @[{}]\n300 @[{end}]",
            end - 30,
            end - 15
        )
    );
    let told = promtool(&["query", "series", "--match", "requests_total", &url]);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines,
        [
            "{__name__=\"requests_total\", instance=\"a\", job=\"api\"}",
            "{__name__=\"requests_total\", instance=\"b\", job=\"api\"}"
        ]
    );
    assert_eq!(promtool(&["query", "labels", &url, "instance"]).lines().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(
        promtool(&["query", "labels", "--match", "temperature", &url, "instance"]).lines().collect::<Vec<_>>(),
        ["a"]
    );
    let wrong = Command::new("promtool").args(["query", "instant", &url, "sum("]).output().unwrap();
    assert!(!wrong.status.success() && text(&wrong).contains("bad_data"), "{}", text(&wrong));
    // What the server says about itself is an exposition without faults.
    let (_, exposition) = server.try_get("/metrics").unwrap();
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(exposition.as_bytes()).unwrap();
    let checked = check.wait_with_output().unwrap();
    assert!(checked.status.success(), "{}", text(&checked));
    push_where_promtool_can(&server);
}

/// Newer versions of promtool push an exposition by remote write.
fn push_where_promtool_can(server: &Running) {
    if !promtool_help().contains("push metrics") {
        return;
    }
    let file = server.folder.write("pushed.prom", "# TYPE pushed gauge\npushed{from=\"promtool\"} 42\n");
    promtool(&["push", "metrics", &format!("{}/api/v1/write", server.url()), &file.to_string_lossy()]);
    assert_eq!(server.query("pushed", None)[0]["value"][1], "42");
}

#[test]
fn prometheus_sends_reads_and_scrapes() {
    if !has("prometheus") {
        return;
    }
    let server = Running::maru(&[]);
    let sender = Running::prometheus(&format!(
        "scrape_configs: [{{job_name: self, static_configs: [{{targets: [\"SELF\"]}}]}}]\n\
         remote_write: [{{url: \"{}/api/v1/write\", queue_config: {{batch_send_deadline: 1s}}, metadata_config: {{send_interval: 1s}}, \
         send_exemplars: true}}]\n",
        server.url()
    ));
    let value = |result: &Value| result[0]["value"][1].as_str().unwrap_or_default().to_owned();
    wait_until_blocking(PATIENCE, "samples to arrive by remote write", || {
        value(&server.query("count_over_time(up{job=\"self\"}[1m]) >= 10", None)).parse::<f64>().is_ok()
    });
    // Both have the same series, but for those that say how the sending goes.
    let of_self = "count({job=\"self\",__name__!~\"prometheus_remote_.*|.*_exemplars_.*\"})";
    wait_until_blocking(PATIENCE, "all series to arrive", || {
        value(&server.query(of_self, None)) == value(&sender.query(of_self, None))
    });
    for counter in ["prometheus_remote_storage_samples_failed_total", "prometheus_remote_storage_samples_retried_total"]
    {
        assert_eq!(value(&sender.query(&format!("sum({counter})"), None)), "0", "{counter}");
    }
    wait_until_blocking(PATIENCE, "metadata to arrive", || {
        server.ask("/api/v1/metadata", &[("metric", "prometheus_build_info")])["data"]["prometheus_build_info"][0]["type"]
            == "gauge"
    });
    let reader =
        Running::prometheus(&format!("remote_read: [{{url: \"{}/api/v1/read\", read_recent: true}}]\n", server.url()));
    // A moment at which nothing moves any more.
    let then = now() - 5;
    for query in [
        "prometheus_build_info{job=\"self\"}",
        "sum by (handler) (prometheus_http_requests_total)",
        "histogram_quantile(0.9, sum by (le) (prometheus_http_request_duration_seconds_bucket))",
        "count({__name__=~\"go_.+\"})",
        "count_over_time(up[30s])",
    ] {
        let (own, read) = (server.query(query, Some(then)), reader.query(query, Some(then)));
        assert_eq!(own, read, "{query}");
        assert_ne!(own, Value::Array(Vec::new()), "{query}");
    }
    let names =
        |running: &Running| running.ask("/api/v1/label/__name__/values", &[])["data"].as_array().map_or(0, Vec::len);
    assert!(names(&server) > 100);

    let scraper = Running::prometheus(&format!(
        "scrape_configs: [{{job_name: federate, honor_labels: true, metrics_path: /federate, params: {{\"match[]\": ['{{job=\"self\"}}']}}, \
         static_configs: [{{targets: [\"127.0.0.1:{}\"]}}]}}]\n",
        server.port
    ));
    wait_until_blocking(PATIENCE, "the federated series", || value(&scraper.query("up{job=\"self\"}", None)) == "1");
    assert_eq!(value(&scraper.query("scrape_samples_scraped{job=\"federate\"} > bool 100", None)), "1");
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let mut server = Running::maru(&[]);
    let end = now();
    for round in 0..5 {
        let labels = Labels::from_pairs([("__name__", "round"), ("job", "kill")]);
        let at = (end - 50 + 10 * round) * 1000;
        let (status, told) = server.write(&[(labels, vec![(at, f64::from(i32::try_from(round).unwrap()))])]);
        assert_eq!(status, 204, "{told}");
        server.kill_and_restart(&[]);
        assert_eq!(
            server.query("count_over_time(round[5m])", Some(end))[0]["value"][1],
            (round + 1).to_string(),
            "after round {round}"
        );
    }
}

#[test]
fn tokens_are_made_on_the_command_line_and_wrong_flags_are_told_at_once() {
    let folder = TempDir::new();
    let maru = |arguments: &[&str]| {
        let mut command = Command::new(maru_tests::binary());
        command
            .arg("metrics")
            .arg("--data")
            .arg(folder.join("data"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let made = maru(&["token", "create", "--name", "grafana", "--scope", "read"]);
    assert!(made.status.success() && text(&made).starts_with("maru_"), "{}", text(&made));
    let again = maru(&["token", "create", "--name", "grafana", "--scope", "read"]);
    assert!(!again.status.success() && text(&again).contains("already"), "{}", text(&again));
    let listed = text(&maru(&["token", "ls"]));
    assert!(listed.contains("grafana") && listed.contains("read") && !listed.contains("maru_"), "{listed}");
    assert!(maru(&["token", "rm", "grafana"]).status.success());
    let wrong = maru(&["--listen", "0.0.0.0:0", "--no-authentication", "--retention", "soon"]);
    let told = text(&wrong);
    assert!(!wrong.status.success() && told.contains("loopback") && told.contains("--retention"), "{told}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let told = text(&maru(&["--listen", &address, "--no-authentication"]));
    assert!(told.contains(&address) && told.contains("--listen"), "{told}");
}

/// Gives a service account the right to read metrics.
const READER: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: dashboards}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: metrics-reader}
rules: [{nonResourceURLs: [/maru/metrics], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: dashboards-read-metrics}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: metrics-reader}
subjects: [{kind: ServiceAccount, name: dashboards, namespace: default}]
"#;

#[test]
fn in_the_house_metrics_take_own_tokens_and_those_of_service_accounts() {
    if !maru_tests::can_run(&["busybox", "nft", "curl", "kubectl"]) {
        return;
    }
    let system = maru_tests::System::start();
    let ask = |token: &str, path: &str| {
        let header = format!("Authorization: Bearer {token}");
        system.http(&format!("https://127.0.0.1:9090{path}"), &["-H", &header])
    };
    let query = "/api/v1/query?query=1%2B1";
    assert_eq!(system.http(&format!("https://127.0.0.1:9090{query}"), &[]).0, 401);
    let own = system.maru(&["metrics", "token", "create", "--name", "ops", "--scope", "read"]);
    let (status, answer) = ask(own.trim(), query);
    assert!(status == 200 && answer.contains("\"2\""), "{status} {answer}");
    // What all rooms count is there as well.
    let (status, counted) = ask(own.trim(), "/metrics");
    assert!(status == 200 && counted.contains("apiserver_request_total"), "{status} {counted}");
    system.apply(READER);
    let token = system.kubectl(&["create", "token", "dashboards"]);
    system.wait("the role to hold", || ask(token.trim(), query).0 == 200);
    assert_eq!(ask(token.trim(), "/api/v1/read").0, 405);
    let write = system.http(
        "https://127.0.0.1:9090/api/v1/write",
        &["-X", "POST", "-H", &format!("Authorization: Bearer {}", token.trim())],
    );
    assert_eq!(write.0, 403, "{}", write.1);
    let other = system.kubectl(&["create", "token", "default"]);
    assert_eq!(ask(other.trim(), query).0, 403);
}
