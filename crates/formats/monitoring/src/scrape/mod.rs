//! `prometheus.yml` as it is.

mod discovery;
mod http;
mod mask;
mod read;
mod remote;
mod values;

use std::time::Duration;

use maru_prom::Labels;
use maru_prom::exposition::{Escaping, ScrapeProtocol};
use maru_prom::otlp::OtlpOptions;

pub use discovery::{
    Discovery, DnsRecord, KubernetesDiscovery, KubernetesRole, KubernetesSelector, TargetGroup, read_target_groups,
};
pub use http::{
    Authentication, HttpClientConfig, Secret, SecretSource, TlsConfig, read_client as read_http_client,
    read_tls as read_tls_config,
};
pub(crate) use http::{read_client, read_tls, secret as read_secret};
pub use mask::masked;
pub use read::{read_configuration, read_jobs_value, read_scrape_file};
pub use remote::{Alerting, AlertmanagerDiscovery, Queue, RemoteWrite};
pub use values::{format_duration, parse_duration, parse_size, parse_url};

use crate::relabel::RelabelRule;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Configuration {
    /// What holds where nothing else is said.
    pub global: Global,
    /// Paths of rule files; the last part may have `*` in it.
    pub rule_files: Vec<String>,
    /// Paths of files with further `scrape_configs`.
    pub scrape_config_files: Vec<String>,
    /// What is scraped.
    pub scrape_configs: Vec<ScrapeConfig>,
    /// Where alerts go.
    pub alerting: Alerting,
    /// Where samples are sent on to.
    pub remote_write: Vec<RemoteWrite>,
    /// How much older than the newest sample of its series a sample may be, when said.
    pub out_of_order_window: Option<Duration>,
    /// How long samples are kept, when said.
    pub retention: Option<Duration>,
    /// Bytes of blocks that are kept, when said.
    pub retention_bytes: Option<u64>,
    /// How OTLP metrics become series, when said.
    pub otlp: Option<OtlpOptions>,
}

/// What holds for all jobs that say nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct Global {
    /// Between two scrapes of a target.
    pub scrape_interval: Duration,
    /// How long a scrape may take.
    pub scrape_timeout: Duration,
    /// Between two evaluations of a rule.
    pub evaluation_interval: Duration,
    /// How far back rules look by default.
    pub rule_query_offset: Duration,
    /// Labels of all that leaves this server.
    pub external_labels: Labels,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            scrape_interval: Duration::from_secs(60),
            scrape_timeout: Duration::from_secs(10),
            evaluation_interval: Duration::from_secs(60),
            rule_query_offset: Duration::ZERO,
            external_labels: Labels::empty(),
        }
    }
}

/// Bounds of what a target may bring; none where absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScrapeLimits {
    /// Samples of one scrape, after relabeling.
    pub samples: Option<usize>,
    /// Labels of one series.
    pub labels: Option<usize>,
    /// Characters of a label's name.
    pub label_name_length: Option<usize>,
    /// Characters of a label's value.
    pub label_value_length: Option<usize>,
    /// Targets of the job.
    pub targets: Option<usize>,
    /// Bytes of a body after it is decompressed.
    pub body_bytes: Option<usize>,
    /// Targets that were dropped by relabeling and are shown.
    pub kept_dropped_targets: Option<usize>,
    /// Buckets of a native histogram.
    pub histogram_buckets: Option<usize>,
}

/// Whose labels count when a target's sample has one that the target has too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LabelConflict {
    /// The target's; the sample's own is kept as `exported_…`.
    #[default]
    TargetWins,
    /// The sample's.
    SampleWins,
}

/// What becomes of timestamps in an exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimestampRules {
    /// Whether they count.
    pub honor: bool,
    /// Whether series with timestamps of their own end like others.
    pub track_staleness: bool,
}

/// What is made of histograms.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct HistogramRules {
    /// Whether native histograms are asked for and kept.
    pub scrape_native: bool,
    /// Whether classic series of native histograms are kept as well.
    pub always_classic: bool,
    /// Whether classic histograms become native ones with custom buckets.
    pub convert_classic: bool,
    /// The least factor between two buckets of a native histogram.
    pub min_bucket_factor: f64,
}

/// One job.
#[derive(Debug, Clone, PartialEq)]
pub struct ScrapeConfig {
    /// The job's name.
    pub job_name: String,
    /// Between two scrapes of a target.
    pub scrape_interval: Duration,
    /// How long a scrape may take.
    pub scrape_timeout: Duration,
    /// The path where targets show their metrics.
    pub metrics_path: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Parameters of the address.
    pub params: Vec<(String, Vec<String>)>,
    /// Whose labels count.
    pub conflict: LabelConflict,
    /// What becomes of timestamps.
    pub timestamps: TimestampRules,
    /// Formats in the order of preference.
    pub protocols: Vec<ScrapeProtocol>,
    /// The format of targets that name none.
    pub fallback_protocol: Option<ScrapeProtocol>,
    /// How unusual names are asked for.
    pub escaping: Escaping,
    /// Whether names must be those of older Prometheus.
    pub legacy_names: bool,
    /// Whether answers may be compressed.
    pub enable_compression: bool,
    /// What is made of histograms.
    pub histograms: HistogramRules,
    /// Bounds of what a target may bring.
    pub limits: ScrapeLimits,
    /// Whether `scrape_timeout_seconds` and others like it are recorded too.
    pub extra_metrics: bool,
    /// How targets are reached.
    pub client: HttpClientConfig,
    /// Where targets come from.
    pub discoveries: Vec<Discovery>,
    /// What is done to targets' labels.
    pub relabel: Vec<RelabelRule>,
    /// What is done to samples' labels.
    pub metric_relabel: Vec<RelabelRule>,
}

impl ScrapeConfig {
    /// Returns a job with the defaults of all other fields.
    #[must_use]
    pub fn new(job_name: &str, global: &Global) -> Self {
        Self {
            job_name: job_name.to_owned(),
            scrape_interval: global.scrape_interval,
            scrape_timeout: global.scrape_timeout.min(global.scrape_interval),
            metrics_path: "/metrics".to_owned(),
            scheme: "http".to_owned(),
            params: Vec::new(),
            conflict: LabelConflict::default(),
            timestamps: TimestampRules { honor: true, track_staleness: false },
            protocols: ScrapeProtocol::ALL.into_iter().filter(|one| *one != ScrapeProtocol::PrometheusProto).collect(),
            fallback_protocol: None,
            escaping: Escaping::AllowUtf8,
            legacy_names: false,
            enable_compression: true,
            histograms: HistogramRules::default(),
            limits: ScrapeLimits::default(),
            extra_metrics: false,
            client: HttpClientConfig::default(),
            discoveries: Vec::new(),
            relabel: Vec::new(),
            metric_relabel: Vec::new(),
        }
    }
}
