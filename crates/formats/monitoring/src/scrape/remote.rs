//! Where samples and alerts go.

use std::time::Duration;

use maru_prom::remote_write::Version;
use maru_yaml::Cursor;

use super::discovery::{Discovery, read_discoveries};
use super::http::{HttpClientConfig, Secret, read_client, read_url};
use super::values::{duration, duration_or, limit};
use crate::relabel::{RelabelRule, read_rules};

/// A server that samples are sent on to.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteWrite {
    /// The address.
    pub url: String,
    /// What the queue is called.
    pub name: String,
    /// How long a request may take.
    pub timeout: Duration,
    /// Headers that are sent with each request.
    pub headers: Vec<(String, Secret)>,
    /// What is done to samples' labels.
    pub relabel: Vec<RelabelRule>,
    /// Whether exemplars are sent.
    pub send_exemplars: bool,
    /// Whether native histograms are sent.
    pub send_native_histograms: bool,
    /// The version of the protocol.
    pub version: Version,
    /// The queue.
    pub queue: Queue,
    /// How often metadata is sent; `None`: never.
    pub metadata_interval: Option<Duration>,
    /// Metrics whose metadata one request carries.
    pub metadata_per_send_max: usize,
    /// How the server is reached.
    pub client: HttpClientConfig,
}

/// How samples wait for the server that they are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Samples that wait in each shard.
    pub capacity: usize,
    /// Requests at a time, at most.
    pub shards_max: usize,
    /// Requests at a time, at least.
    pub shards_min: usize,
    /// Samples of a request.
    pub samples_per_send_max: usize,
    /// How long a request waits to become full.
    pub batch_send_deadline: Duration,
    /// The first wait after a failure.
    pub backoff_min: Duration,
    /// The longest wait after a failure.
    pub backoff_max: Duration,
    /// Whether an answer 429 is a failure like others, or drops the request.
    pub retry_on_429: bool,
    /// Samples older than this are dropped; `None`: never.
    pub sample_age_limit: Option<Duration>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            capacity: 10_000,
            shards_max: 50,
            shards_min: 1,
            samples_per_send_max: 2000,
            batch_send_deadline: Duration::from_secs(5),
            backoff_min: Duration::from_millis(30),
            backoff_max: Duration::from_secs(5),
            // A server that is asked too much for the moment has refused nothing for good.
            retry_on_429: true,
            sample_age_limit: None,
        }
    }
}

pub(super) fn read_remote_write(item: &Cursor<'_>) -> RemoteWrite {
    let version = [("prometheus.WriteRequest", Version::V1), ("io.prometheus.write.v2.Request", Version::V2)];
    item.unsupported(&["round_robin_dns"], "; connections are spread over the addresses that a name has");
    let name = item.field("name").string().unwrap_or_default();
    let headers = item.field("headers");
    for (header, entry) in headers.entries() {
        let lower = header.to_ascii_lowercase();
        let reserved =
            ["authorization", "host", "content-encoding", "content-length", "content-type", "user-agent", "connection"];
        if reserved.contains(&lower.as_str()) || lower.starts_with("x-prometheus-remote-write") {
            entry.problem(format!("the header \"{header}\" cannot be set here"));
        }
    }
    let metadata = item.field("metadata_config");
    let sends = metadata.field("send").boolean().unwrap_or(true);
    let metadata_interval = duration_or(&metadata.field("send_interval"), Duration::from_secs(60));
    let metadata_per_send_max = limit(&metadata.field("max_samples_per_send")).unwrap_or(2000);
    metadata.finish();
    let remote = RemoteWrite {
        url: read_url(&item.field("url")),
        name,
        timeout: duration_or(&item.field("remote_timeout"), Duration::from_secs(30)),
        headers: headers.string_map().into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
        relabel: read_rules(&item.field("write_relabel_configs")),
        send_exemplars: item.field("send_exemplars").boolean().unwrap_or_default(),
        send_native_histograms: item.field("send_native_histograms").boolean().unwrap_or_default(),
        version: item.field("protobuf_message").one_of(&version).unwrap_or(Version::V1),
        queue: read_queue(&item.field("queue_config")),
        metadata_interval: sends.then_some(metadata_interval),
        metadata_per_send_max,
        client: read_client(item),
    };
    item.finish();
    remote
}

fn read_queue(of: &Cursor<'_>) -> Queue {
    let default = Queue::default();
    let queue = Queue {
        capacity: at_least_one(&of.field("capacity")).unwrap_or(default.capacity),
        shards_max: at_least_one(&of.field("max_shards")).unwrap_or(default.shards_max),
        shards_min: at_least_one(&of.field("min_shards")).unwrap_or(default.shards_min),
        samples_per_send_max: at_least_one(&of.field("max_samples_per_send")).unwrap_or(default.samples_per_send_max),
        batch_send_deadline: duration_or(&of.field("batch_send_deadline"), default.batch_send_deadline),
        backoff_min: duration_or(&of.field("min_backoff"), default.backoff_min),
        backoff_max: duration_or(&of.field("max_backoff"), default.backoff_max),
        retry_on_429: of.field("retry_on_http_429").boolean().unwrap_or(default.retry_on_429),
        sample_age_limit: duration(&of.field("sample_age_limit")).filter(|age| !age.is_zero()),
    };
    if queue.shards_min > queue.shards_max {
        of.problem("min_shards is more than max_shards");
    }
    if queue.backoff_min > queue.backoff_max {
        of.problem("min_backoff is more than max_backoff");
    }
    of.finish();
    queue
}

fn at_least_one(of: &Cursor<'_>) -> Option<usize> {
    let count = of.count()?;
    if count == 0 {
        of.problem("it must be more than 0");
    }
    usize::try_from(count).ok()
}

/// Where alerts go.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Alerting {
    /// What is done to alerts' labels.
    pub relabel: Vec<RelabelRule>,
    /// Sets of Alertmanagers; each alert goes to all of all sets.
    pub alertmanagers: Vec<AlertmanagerDiscovery>,
}

/// A set of Alertmanagers.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertmanagerDiscovery {
    /// `http` or `https`.
    pub scheme: String,
    /// What stands before `/api/v2/alerts`.
    pub path_prefix: String,
    /// How long a request may take.
    pub timeout: Duration,
    /// How they are reached.
    pub client: HttpClientConfig,
    /// Where their addresses come from.
    pub discoveries: Vec<Discovery>,
    /// What is done to their own labels.
    pub relabel: Vec<RelabelRule>,
    /// What is done to alerts' labels on the way to these.
    pub alert_relabel: Vec<RelabelRule>,
}

pub(super) fn read_alerting(of: &Cursor<'_>) -> Alerting {
    let relabel = read_rules(&of.field("alert_relabel_configs"));
    let alertmanagers = of.field("alertmanagers").list().iter().map(read_alertmanager).collect();
    of.finish();
    Alerting { relabel, alertmanagers }
}

fn read_alertmanager(item: &Cursor<'_>) -> AlertmanagerDiscovery {
    let version = item.field("api_version");
    if version.string().is_some_and(|text| text != "v2") {
        version.problem("only v2 of the Alertmanager's API exists today");
    }
    let set = AlertmanagerDiscovery {
        scheme: read_scheme(&item.field("scheme")),
        path_prefix: item.field("path_prefix").string().unwrap_or_default(),
        timeout: duration_or(&item.field("timeout"), Duration::from_secs(10)),
        client: read_client(item),
        discoveries: read_discoveries(item),
        relabel: read_rules(&item.field("relabel_configs")),
        alert_relabel: read_rules(&item.field("alert_relabel_configs")),
    };
    item.finish();
    set
}

pub(super) fn read_scheme(of: &Cursor<'_>) -> String {
    of.one_of(&[("http", "http"), ("https", "https")]).unwrap_or("http").to_owned()
}
