//! Debian's Alertmanager as receiver, and Debian's Prometheus beside us with the same rules and the same samples.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use maru_monitoring::scrape::HttpClientConfig;
use maru_prom::remote_write::Version;
use maru_testkit::{free_port, wait_until};
use maru_time::system_clock;

use super::*;
use crate::Running;

const PATIENCE: Duration = Duration::from_secs(120);

/// A program that ends with the test.
struct Peer(Child);

impl Peer {
    fn start(program: &str, arguments: &[String]) -> Self {
        let child = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.unwrap())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        drop(self.0.wait());
    }
}

/// Debian's Alertmanager; its address.
async fn alertmanager(folder: &Path) -> (Peer, String) {
    let config = folder.join("alertmanager.yml");
    std::fs::write(&config, "route: {receiver: nobody, group_wait: 0s}\nreceivers: [{name: nobody}]\n").unwrap();
    let url = format!("http://127.0.0.1:{}", free_port());
    let arguments = [
        format!("--config.file={}", config.display()),
        format!("--storage.path={}", folder.join("alertmanager").display()),
        format!("--web.listen-address={}", url.trim_start_matches("http://")),
        "--cluster.listen-address=".to_owned(),
    ];
    let peer = Peer::start("prometheus-alertmanager", &arguments);
    ready(&url).await;
    (peer, url)
}

async fn ready(url: &str) {
    let client = client();
    let path = format!("{url}/-/ready");
    wait_until(PATIENCE, &format!("{url} is ready"), async || {
        client.get(&path).send().await.is_ok_and(|answer| answer.status().is_success())
    })
    .await;
}

fn client() -> reqwest::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy().build().unwrap()
}

async fn get(url: &str) -> Value {
    let body = client().get(url).send().await.unwrap().bytes().await.unwrap();
    serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{url}: {}", String::from_utf8_lossy(&body)))
}

fn target(url: &str) -> AlertmanagerTarget {
    AlertmanagerTarget {
        url: format!("{url}/api/v2/alerts"),
        transport: Transport::Http { config: HttpClientConfig::default(), folder: PathBuf::new() },
        timeout: Duration::from_secs(10),
        alert_relabel_configs: Arc::default(),
    }
}

const RULES: &str = r#"
groups:
- name: fast
  interval: 1s
  rules:
  - record: job:temperature:avg
    expr: avg by (job) (temperature)
    labels: {kind: recorded}
  - record: nested
    expr: job:temperature:avg * 2
  - alert: Hot
    expr: temperature > 20
    labels: {severity: page, room: '{{ $labels.instance }}'}
    annotations: {summary: '{{ $labels.instance }} has {{ $value | humanize }} °C "x" \ <é>'}
  - alert: Later
    expr: temperature > 10
    for: 1h
  - alert: Never
    expr: temperature > 1000
  - alert: Gone
    expr: absent(nothing{place="here"})
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn debians_alertmanager_takes_our_alerts_and_their_end() {
    if !has("prometheus-alertmanager") {
        return;
    }
    let folder = TempDir::new();
    let (_peer, url) = alertmanager(&folder.join("")).await;
    let (sender, receiver) = tokio::sync::watch::channel(Alertmanagers::default());
    let mut options = MetricsOptions::new(folder.join("metrics"));
    options.clock = system_clock();
    options.external_url = "http://maru.test".to_owned();
    options.alertmanagers = receiver;
    let scope = Scope::root("test");
    let metrics = Metrics::open(&scope, options).await.unwrap();
    let service = Service { metrics, scope, folder };
    service.load(RULES, RuleSettings { external_labels: labels(&[("cluster", "home")]), ..RuleSettings::default() });
    // Alertmanagers may come while rules run.
    sender.send_replace(Alertmanagers { active: vec![target(&url)], dropped: vec!["http://dropped".to_owned()] });
    let write = |value: f64| {
        let now = system_clock().now().as_millisecond();
        let series = labels(&[("__name__", "temperature"), ("instance", "a"), ("job", "rooms")]);
        service.write(&[(series, now, value)]);
    };
    write(25.5);
    let alerts = format!("{url}/api/v2/alerts?filter=alertname%3D%22Hot%22");
    wait_until(PATIENCE, "the alert is there", async || {
        get(&alerts).await.as_array().is_some_and(|all| all.len() == 1)
    })
    .await;
    let alert = get(&alerts).await[0].clone();
    let expected = serde_json::json!({
        "alertname": "Hot", "cluster": "home", "instance": "a", "job": "rooms", "room": "a", "severity": "page",
    });
    assert_eq!(alert["labels"], expected);
    assert_eq!(alert["annotations"]["summary"], "a has 25.5 °C \"x\" \\ <é>");
    assert_eq!(alert["generatorURL"], "http://maru.test/graph?g0.expr=temperature+%3E+20&g0.tab=1");
    let told = service.data("/api/v1/alertmanagers").await;
    assert_eq!(told["activeAlertmanagers"][0]["url"], format!("{url}/api/v2/alerts"));
    assert_eq!(told["droppedAlertmanagers"][0]["url"], "http://dropped");
    write(5.0);
    // Only alerts that go on are listed.
    wait_until(PATIENCE, "the alert ends", async || get(&alerts).await.as_array().is_some_and(Vec::is_empty)).await;
    let explained = service.data("/api/v1/alerts/explain?rule=Hot").await;
    wait_until(PATIENCE, "the end is noted", async || {
        let explained = service.data("/api/v1/alerts/explain?rule=Hot").await;
        explained["rules"][0]["alerts"][0]["sends"][0]["as"] == "resolved"
    })
    .await;
    assert_eq!(explained["rules"][0]["alerts"][0]["state"], "inactive");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn debians_prometheus_makes_the_same_series_of_the_same_rules() {
    if !has("prometheus") {
        return;
    }
    let ours = Running::with(|options| options.clock = system_clock()).await;
    let rules = ours.folder.join("rules.yml");
    std::fs::write(&rules, RULES).unwrap();
    let config = ours.folder.join("prometheus.yml");
    std::fs::write(&config, "rule_files: [rules.yml]\n").unwrap();
    let url = format!("http://127.0.0.1:{}", free_port());
    let arguments = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", ours.folder.join("theirs").display()),
        format!("--web.listen-address={}", url.trim_start_matches("http://")),
        "--web.enable-remote-write-receiver".to_owned(),
    ];
    let _peer = Peer::start("prometheus", &arguments);
    ready(&url).await;
    let patterns = [rules.display().to_string()];
    ours.metrics.rules().reload(Path::new(""), &patterns, RuleSettings::default()).unwrap();
    let temperatures = [("a", "rooms", 25.0), ("b", "rooms", 15.0), ("c", "streets", 5.0)];
    let write = async || {
        let now = system_clock().now().as_millisecond();
        let series: Vec<_> = temperatures
            .iter()
            .map(|(instance, job, value)| {
                (labels(&[("__name__", "temperature"), ("instance", instance), ("job", job)]), vec![(now, *value)])
            })
            .collect();
        let body = crate::request(Version::V1, &series);
        let sent = client()
            .post(format!("{url}/api/v1/write"))
            .header("content-encoding", "snappy")
            .header("content-type", "application/x-protobuf")
            .header("x-prometheus-remote-write-version", "0.1.0")
            .body(body)
            .send()
            .await
            .unwrap();
        assert!(sent.status().is_success(), "{}", sent.status());
        ours.write(&series).await;
    };
    write().await;
    let query = "{__name__=~\"ALERTS|ALERTS_FOR_STATE|nested|job:.*\"}";
    let path = format!("/api/v1/query?{}", crate::encode(&[("query", query)]));
    // Label sets with values; of ALERTS_FOR_STATE, which tells times, the label sets.
    let series = async |base: &str| -> Vec<String> {
        let answer = get(&format!("{base}{path}")).await;
        let one = |row: &Value| {
            let metric = &row["metric"];
            let value = if metric["__name__"] == "ALERTS_FOR_STATE" { Value::Null } else { row["value"][1].clone() };
            format!("{metric} {value}")
        };
        let mut all: Vec<String> = answer["data"]["result"].as_array().unwrap().iter().map(one).collect();
        all.sort();
        all
    };
    // Two alerts hot, two pending, one absent, each with two series; two and two recorded.
    wait_until(PATIENCE, "both have the same series", async || {
        write().await;
        let (own, theirs) = (series(&ours.url).await, series(&url).await);
        own.len() == 12 && own == theirs
    })
    .await;
    compare_rules(&ours.url, &url).await;
    ours.stop().await;
}

/// Both tell the same about their rules and alerts.
async fn compare_rules(ours: &str, theirs: &str) {
    let rules = async |base: &str| get(&format!("{base}/api/v1/rules")).await["data"]["groups"][0].clone();
    let (own, theirs) = (rules(ours).await, rules(theirs).await);
    assert_eq!(own["name"], theirs["name"]);
    let fields = ["name", "query", "health", "type", "state", "duration", "labels", "annotations"];
    for (own, theirs) in own["rules"].as_array().unwrap().iter().zip(theirs["rules"].as_array().unwrap()) {
        for field in fields {
            assert_eq!(own[field], theirs[field], "{field}");
        }
        let mut shown = [own, theirs].map(|rule| {
            let alerts = rule["alerts"].as_array().cloned().unwrap_or_default();
            let one = |alert: &Value| {
                format!("{} {} {} {}", alert["labels"], alert["state"], alert["value"], alert["annotations"])
            };
            let mut alerts: Vec<String> = alerts.iter().map(one).collect();
            alerts.sort();
            alerts
        });
        let [own, theirs] = &mut shown;
        assert_eq!(own, theirs);
    }
}
