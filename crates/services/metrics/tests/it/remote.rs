//! Sending samples on, to our own server and to Debian's Prometheus; and being scraped by it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use maru_testkit::{free_port, wait_until};
use serde_json::json;

use super::*;

/// A server in the time of the machine.
async fn now(configuration: Option<&str>) -> Running {
    let running = Running::with(|options| {
        options.clock = maru_time::system_clock();
        options.collect.first_at_once = true;
        if let Some(text) = configuration {
            let file = options.directory.parent().unwrap().join("prometheus.yml");
            std::fs::write(&file, text).unwrap();
            options.collect.file = Some(file);
        }
    })
    .await;
    if configuration.is_some() {
        let (status, _, text) = running.post("/-/reload", &[], Vec::new()).await;
        assert_eq!(status, 200, "{text}");
    }
    running
}

async fn value(client: &reqwest::Client, url: &str, query: &str) -> Option<String> {
    let answer = client.get(format!("{url}/api/v1/query?{}", encode(&[("query", query)]))).send().await.ok()?;
    let answer: Value = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
    answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
}

async fn wait_for(url: &str, query: &str, expected: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    wait_until(Duration::from_secs(90), format!("{query} = {expected} at {url}"), || async {
        value(&client, url, query).await.as_deref() == Some(expected)
    })
    .await;
}

fn gauge(name: &str, seconds_ago: i64, value: f64) -> Vec<(Labels, Vec<(i64, f64)>)> {
    let at = maru_time::system_clock().now().as_millisecond() - seconds_ago * 1000;
    vec![(labels(&[("__name__", name), ("job", "j")]), vec![(at, value)])]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_reach_other_servers_also_after_an_outage() {
    for message in ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"] {
        let port = free_port();
        let configuration = format!(
            "global: {{external_labels: {{zone: seoul}}}}\nremote_write:\n- url: http://127.0.0.1:{port}/api/v1/write\n  \
             protobuf_message: {message}\n  queue_config: {{batch_send_deadline: 200ms, max_backoff: 300ms}}\n  \
             write_relabel_configs: [{{source_labels: [__name__], regex: secret.*, action: drop}}]\n"
        );
        let sender = now(Some(&configuration)).await;
        // Nobody listens yet.
        sender.write(&gauge("early", 0, 1.0)).await;
        sender.write(&gauge("secret", 0, 1.0)).await;
        let receiver = now(None).await;
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let forward = receiver.url.trim_start_matches("http://").to_owned();
        let scope = receiver.scope.clone();
        drop(receiver.scope.spawn_until_cancelled("forward", async move {
            loop {
                let (mut from, _) = listener.accept().await.unwrap();
                let mut to = tokio::net::TcpStream::connect(&forward).await.unwrap();
                // A connection that is kept open holds up no other.
                drop(scope.spawn_until_cancelled("connection", async move {
                    drop(tokio::io::copy_bidirectional(&mut from, &mut to).await);
                }));
            }
        }));
        wait_for(&receiver.url, "early{zone=\"seoul\",job=\"j\"}", "1").await;
        sender.write(&gauge("late", 0, 2.0)).await;
        wait_for(&receiver.url, "late", "2").await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        assert_eq!(value(&client, &receiver.url, "secret").await, None, "{message}");
        assert!(sender.folder.join("metrics").join("remote-write").read_dir().unwrap().next().is_some());
        sender.stop().await;
        receiver.stop().await;
    }
}

/// Debian's Prometheus with a folder of its own; ends with this.
struct Peer {
    child: Child,
    url: String,
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Peer {
    /// Starts it; `None` where it is not installed.
    fn start(folder: &Path, configuration: &str) -> Option<Self> {
        let program =
            ["/usr/bin/prometheus", "/usr/local/bin/prometheus"].into_iter().find(|path| Path::new(path).exists());
        let Some(program) = program else {
            eprintln!("skipped: prometheus is not installed");
            return None;
        };
        let port = free_port();
        std::fs::write(folder.join("peer.yml"), configuration).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", folder.join("peer.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("peer").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--web.enable-remote-write-receiver")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { child, url: format!("http://127.0.0.1:{port}") })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_scrapes_us_we_scrape_it_and_both_send_to_each_other() {
    let folder = TempDir::new();
    let ours = now(None).await;
    let address = ours.url.trim_start_matches("http://").to_owned();
    let configuration = format!(
        "global: {{scrape_interval: 1s, external_labels: {{from: peer}}}}\nscrape_configs:\n- job_name: maru\n  static_configs: [{{targets: ['{address}']}}]\n\
         remote_write:\n- url: http://{address}/api/v1/write\n  queue_config: {{batch_send_deadline: 500ms}}\n"
    );
    let Some(peer) = Peer::start(folder.path(), &configuration) else { return };
    wait_for(&peer.url, "up{job=\"maru\"}", "1").await;
    // What it has scraped comes back to us by its remote write.
    wait_for(&ours.url, "up{job=\"maru\",from=\"peer\"}", "1").await;
    let host = peer.url.trim_start_matches("http://").to_owned();
    let sender = now(Some(&format!(
        "global: {{scrape_interval: 1s, external_labels: {{from: maru}}}}\nscrape_configs:\n- job_name: peer\n  static_configs: [{{targets: ['{host}']}}]\n\
         remote_write:\n- url: {}/api/v1/write\n  queue_config: {{batch_send_deadline: 500ms}}\n",
        peer.url
    )))
    .await;
    wait_for(&sender.url, "up{job=\"peer\"}", "1").await;
    wait_for(&sender.url, "count(prometheus_build_info{job=\"peer\"})", "1").await;
    wait_for(&peer.url, "up{job=\"peer\",from=\"maru\"}", "1").await;
    let metadata = sender.data("/api/v1/targets/metadata", &[("metric", "prometheus_build_info")]).await;
    assert_eq!(metadata[0]["type"], json!("gauge"));
    sender.stop().await;
    drop(peer);
    ours.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_loses_nothing_that_was_to_be_sent_and_sends_nothing_twice_for_good() {
    let receiver = now(None).await;
    let folder = TempDir::new();
    let configuration = folder.write(
        "prometheus.yml",
        format!(
            "remote_write: [{{url: '{}/api/v1/write', queue_config: {{batch_send_deadline: 200ms}}}}]\n",
            receiver.url
        ),
    );
    let start = async |sends: bool| {
        let running = Running::with(|options| {
            options.directory = folder.join("metrics");
            options.clock = maru_time::system_clock();
            options.collect.file = sends.then(|| configuration.clone());
        })
        .await;
        if sends {
            assert_eq!(running.post("/-/reload", &[], Vec::new()).await.0, 200);
        }
        running
    };
    let sent = "count_over_time(counted[10m])";
    let sender = start(true).await;
    sender.write(&gauge("counted", 0, 1.0)).await;
    wait_for(&receiver.url, sent, "1").await;
    sender.stop().await;
    // What comes while nothing is sent is sent after the next start.
    let sender = start(false).await;
    sender.write(&gauge("counted", 0, 2.0)).await;
    sender.stop().await;
    let sender = start(true).await;
    wait_for(&receiver.url, sent, "2").await;
    sender.write(&gauge("counted", 0, 3.0)).await;
    wait_for(&receiver.url, sent, "3").await;
    wait_for(&receiver.url, "sum_over_time(counted[10m])", "6").await;
    sender.stop().await;
    let (_, told) = receiver.get("/metrics").await;
    let refused = told.as_str().unwrap().lines().find(|line| line.starts_with("maru_metrics_samples_refused_total"));
    assert_eq!(refused, None);
    receiver.stop().await;
}
