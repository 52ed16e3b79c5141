//! What a store accepts at most, and how it is set up.

use std::path::PathBuf;
use std::time::Duration;

use maru_prom::Labels;
use maru_time::SharedClock;

/// Bounds of what writers may bring in. Each has a default that a healthy system never meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Series in memory over all scopes.
    pub series_max: usize,
    /// Series in memory of one scope that names no limit of its own.
    pub scope_series_max: usize,
    /// Labels of one series, the metric's name included.
    pub labels_max: usize,
    /// Bytes of one label name.
    pub label_name_bytes_max: usize,
    /// Bytes of one label value.
    pub label_value_bytes_max: usize,
    /// Exemplars kept in memory over all series; the oldest make room.
    pub exemplars_max: usize,
    /// Metrics whose metadata is kept.
    pub metadata_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            series_max: 10_000_000,
            scope_series_max: 1_000_000,
            labels_max: 128,
            label_name_bytes_max: 1024,
            label_value_bytes_max: 16 * 1024,
            exemplars_max: 100_000,
            metadata_max: 100_000,
        }
    }
}

/// Who writes, as far as limits and "who added these series" are concerned: a tenant, a job, a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteScope {
    /// What names it, such as `{namespace="shop"}`; empty for the one scope of a store without tenants.
    pub labels: Labels,
    /// Its own limit of series in memory; `None` takes the store's.
    pub series_max: Option<usize>,
}

impl WriteScope {
    /// Returns the scope of those who name none.
    #[must_use]
    pub fn everyone() -> Self {
        Self { labels: Labels::empty(), series_max: None }
    }
}

/// Called after each durable step of maintenance with its name, while the step's locks are held: tests stop the world there.
#[derive(Clone)]
pub struct StepHook(std::sync::Arc<dyn Fn(&'static str) + Send + Sync>);

impl StepHook {
    /// Returns the hook that calls `hook`.
    #[must_use]
    pub fn new(hook: impl Fn(&'static str) + Send + Sync + 'static) -> Self {
        Self(std::sync::Arc::new(hook))
    }

    pub(crate) fn passed(&self, step: &'static str) {
        (self.0)(step);
    }
}

impl std::fmt::Debug for StepHook {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("StepHook")
    }
}

/// How a store is set up.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where its files are; made when missing.
    pub directory: PathBuf,
    /// What tells the time.
    pub clock: SharedClock,
    /// How long samples are kept; `None` forever.
    pub retention: Option<Duration>,
    /// Bytes on disk above which the oldest blocks go; `None` for no bound.
    pub retention_bytes: Option<u64>,
    /// The span of the first blocks. Two hours unless a test wants otherwise.
    pub block_range: Duration,
    /// How far behind the store's newest sample a sample may be that is older than the newest of its series; zero refuses all of those.
    pub out_of_order_window: Duration,
    /// How far ahead of the clock a sample may be; `None` for any time.
    pub future_window: Option<Duration>,
    /// How far behind the store's newest sample any sample may be; `None` for any time within retention.
    pub past_window: Option<Duration>,
    /// Bounds of what writers may bring in.
    pub limits: Limits,
    /// Bytes of the log after which open chunks are saved and the log is cut.
    pub log_bytes_max: u64,
    /// Whether blocks are thinned out into steps of 5 minutes and 1 hour.
    pub is_downsampling: bool,
    /// For tests that stop at each durable step; `None` otherwise.
    pub step_hook: Option<StepHook>,
}

impl StoreOptions {
    /// Returns the defaults: kept for 15 days, samples up to ten minutes ahead, nothing out of order.
    #[must_use]
    pub fn new(directory: PathBuf, clock: SharedClock) -> Self {
        Self {
            directory,
            clock,
            retention: Some(Duration::from_hours(15 * 24)),
            retention_bytes: None,
            block_range: Duration::from_hours(2),
            out_of_order_window: Duration::ZERO,
            future_window: Some(Duration::from_mins(10)),
            past_window: None,
            limits: Limits::default(),
            log_bytes_max: 8 << 20,
            is_downsampling: true,
            step_hook: None,
        }
    }
}

/// A piece of a file that was damaged. It was moved aside, and the rest serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// The file it was found in, relative to the store's directory.
    pub file: PathBuf,
    /// Where the piece is now, relative to the store's directory; `None` when the disk would not take it.
    pub moved_to: Option<PathBuf>,
    /// What is wrong and what is missing because of it.
    pub reason: String,
}

/// What happened while a store was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Damage, which a person should look at.
    pub set_aside: Vec<SetAside>,
    /// Series in memory.
    pub series: usize,
    /// Samples that were read back from the log.
    pub samples_replayed: u64,
    /// Bytes of an unacknowledged write that a crash left half done, which were passed over.
    pub torn_bytes: u64,
    /// Blocks on disk.
    pub blocks: usize,
}
