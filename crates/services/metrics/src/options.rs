//! What the metrics service can be told.

use std::path::PathBuf;
use std::time::Duration;

use maru_prom::otlp::OtlpOptions;
use maru_telemetry::Registry;
use maru_time::SharedClock;
use tokio::sync::watch;

use crate::access::{Delegate, TokenFile};
use crate::collect::CollectOptions;
use crate::rules::Alertmanagers;

/// Who may use the service.
#[derive(Debug, Clone)]
pub enum Access {
    /// Everybody who reaches it. Only right on loopback: whoever binds the listener checks that.
    Open,
    /// Whoever shows a token of the file, or one that the delegate knows.
    Tokens {
        /// Tokens with their scopes.
        file: TokenFile,
        /// Asked about tokens that are not in the file.
        delegate: Option<Delegate>,
    },
}

/// What one request, and all together, may take. Each has a default.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Queries at a time; each uses several threads for its own.
    pub queries_max: usize,
    /// Queries that wait for their turn; further ones are refused.
    pub queries_waiting_max: usize,
    /// How long a query may take, waiting included.
    pub query_timeout: Duration,
    /// Samples that one query may hold in memory.
    pub query_samples_max: u64,
    /// Bytes that one query may take.
    pub query_memory_bytes_max: u64,
    /// Series that one selector, or a request for series, may find.
    pub query_series_max: usize,
    /// Steps of a range query.
    pub query_points_max: i64,
    /// Threads that one query may use; 0 means one per core.
    pub query_threads: usize,
    /// Bytes of a query's text.
    pub query_text_bytes_max: usize,
    /// Writes at a time.
    pub writes_max: usize,
    /// Writes that wait for their turn; further ones are told to try again.
    pub writes_waiting_max: usize,
    /// Bytes of a write's body as it is sent.
    pub write_bytes_max: usize,
    /// Bytes of a write's body after it is decompressed.
    pub write_decompressed_bytes_max: usize,
    /// Bytes of one frame of a streamed remote read.
    pub read_frame_bytes_max: usize,
    /// Samples that a remote read without streaming may return.
    pub read_samples_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queries_max: 20,
            queries_waiting_max: 200,
            query_timeout: Duration::from_secs(120),
            query_samples_max: 50_000_000,
            query_memory_bytes_max: 1 << 30,
            query_series_max: 1_000_000,
            query_points_max: 11_000,
            query_threads: 0,
            query_text_bytes_max: 1 << 20,
            writes_max: 64,
            writes_waiting_max: 1000,
            write_bytes_max: 32 << 20,
            write_decompressed_bytes_max: 64 << 20,
            read_frame_bytes_max: 1 << 20,
            read_samples_max: 50_000_000,
        }
    }
}

/// What the service starts with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MetricsOptions {
    /// Where the store keeps its files.
    pub directory: PathBuf,
    /// Tells the time.
    pub clock: SharedClock,
    /// Where the service counts.
    pub registry: Registry,
    /// Who may use it.
    pub access: Access,
    /// What a request may take.
    pub limits: Limits,
    /// Whether series may be deleted and snapshots taken over HTTP.
    pub admin_api: bool,
    /// Origins of web pages that browsers may read answers from; `*` stands for all. With [`Access::Open`] only pages of
    /// loopback are ever allowed.
    pub cors_origins: Vec<String>,
    /// How far back an instant selector looks for a sample.
    pub lookback: Duration,
    /// The step of subqueries that say none.
    pub evaluation_interval: Duration,
    /// Whether experimental functions, durations and modifiers of the language may be used.
    pub experimental_promql: bool,
    /// How long samples are kept; zero for ever.
    pub retention: Duration,
    /// Bytes of blocks that are kept; zero for any number.
    pub retention_bytes: u64,
    /// How much older than a series' newest sample a new one may be.
    pub out_of_order_window: Duration,
    /// How many series may be in memory; zero for the store's default.
    pub series_max: u64,
    /// How many series each writer may have in memory; zero for the store's default.
    pub scope_series_max: u64,
    /// How OTLP metrics become series.
    pub otlp: OtlpOptions,
    /// What is collected, and from whom.
    pub collect: CollectOptions,
    /// The flags that the service was started with, for `/api/v1/status/flags`.
    pub flags: Vec<(String, String)>,
    /// Our own version.
    pub version: String,
    /// The address at which people reach the service, for links in alerts.
    pub external_url: String,
    /// Who is told about alerts.
    pub alertmanagers: watch::Receiver<Alertmanagers>,
}

impl MetricsOptions {
    /// Returns the defaults for a store in `directory`, open to everybody who reaches it.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            clock: maru_time::system_clock(),
            registry: Registry::default(),
            access: Access::Open,
            limits: Limits::default(),
            admin_api: false,
            cors_origins: vec!["*".to_owned()],
            lookback: Duration::from_secs(300),
            evaluation_interval: Duration::from_secs(60),
            experimental_promql: false,
            retention: Duration::from_secs(15 * 86_400),
            retention_bytes: 0,
            out_of_order_window: Duration::ZERO,
            series_max: 0,
            scope_series_max: 0,
            otlp: OtlpOptions::default(),
            collect: CollectOptions::default(),
            flags: Vec::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            external_url: String::new(),
            alertmanagers: watch::channel(Alertmanagers::default()).1,
        }
    }
}
