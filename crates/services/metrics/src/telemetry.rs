//! What the service counts about itself. Names are listed here and nowhere else.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use maru_telemetry::{Counter, Family, Gauge, Histogram, Registry};

/// The service's own metrics.
#[derive(Debug)]
pub(crate) struct Telemetry {
    /// Requests by path pattern and status.
    pub(crate) requests: Arc<Family<Counter>>,
    /// Time until an answer begins, by path pattern.
    pub(crate) request_seconds: Arc<Family<Histogram>>,
    /// Work under way, by kind.
    pub(crate) running: Arc<Family<Gauge>>,
    /// Work that waits, by kind.
    pub(crate) waiting: Arc<Family<Gauge>>,
    /// Samples that writers brought and that were accepted, by protocol.
    pub(crate) samples_written: Arc<Family<Counter>>,
    /// Samples that were refused, by reason.
    pub(crate) samples_refused: Arc<Family<Counter>>,
    /// Requests of remote write so far.
    pub(crate) requests_written: AtomicU64,
    /// Samples that queries looked at.
    pub(crate) samples_queried: Arc<Counter>,
    /// Numbers of the store, set when they are asked for.
    pub(crate) store: StoreGauges,
}

/// Numbers of the store.
#[derive(Debug)]
pub(crate) struct StoreGauges {
    pub(crate) series: Arc<Gauge>,
    pub(crate) chunks: Arc<Gauge>,
    pub(crate) samples_appended: Arc<Gauge>,
    pub(crate) log_bytes: Arc<Gauge>,
    pub(crate) chunk_bytes: Arc<Gauge>,
    pub(crate) block_bytes: Arc<Gauge>,
    pub(crate) blocks: Arc<Gauge>,
}

impl Telemetry {
    pub(crate) fn new(registry: &Registry) -> Self {
        let gauge = |name, help| registry.family::<Gauge>(name, help, &[]).with(&[]);
        Self {
            requests: registry.family(
                "maru_metrics_requests_total",
                "Requests to the metrics API by path and status.",
                &["path", "code"],
            ),
            request_seconds: registry.family(
                "maru_metrics_request_duration_seconds",
                "Time until the answer began.",
                &["path"],
            ),
            running: registry.family("maru_metrics_work_running", "Queries and writes under way.", &["kind"]),
            waiting: registry.family(
                "maru_metrics_work_waiting",
                "Queries and writes that wait for their turn.",
                &["kind"],
            ),
            samples_written: registry.family(
                "maru_metrics_samples_written_total",
                "Samples that were accepted, by protocol.",
                &["protocol"],
            ),
            samples_refused: registry.family(
                "maru_metrics_samples_refused_total",
                "Samples that were refused, by reason.",
                &["reason"],
            ),
            requests_written: AtomicU64::new(0),
            samples_queried: registry
                .family("maru_metrics_samples_queried_total", "Samples that queries looked at.", &[])
                .with(&[]),
            store: StoreGauges {
                series: gauge("maru_series_head_series", "Series in memory."),
                chunks: gauge("maru_series_head_chunks", "Full chunks of the head."),
                samples_appended: gauge("maru_series_samples_appended", "Samples accepted since the store was opened."),
                log_bytes: gauge("maru_series_log_bytes", "Bytes of the log that would be replayed."),
                chunk_bytes: gauge("maru_series_head_chunk_bytes", "Bytes of the head's chunk files."),
                block_bytes: gauge("maru_series_block_bytes", "Bytes of all blocks."),
                blocks: gauge("maru_series_blocks", "Blocks on disk."),
            },
        }
    }

    /// Returns the gauges of one kind of work: running, waiting.
    pub(crate) fn work(&self, kind: &str) -> (Arc<Gauge>, Arc<Gauge>) {
        (self.running.with(&[kind]), self.waiting.with(&[kind]))
    }
}
