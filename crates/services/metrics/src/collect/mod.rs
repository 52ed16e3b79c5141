//! Collecting: what is measured, how often, and where it goes on to.
//!
//! A configuration names jobs; each has a pool of targets that follows its sources; each target has a loop.

mod alertmanagers;
mod boards;
pub(crate) mod client;
mod discovery;
mod house;
mod ingest;
mod kept;
mod machine;
mod objects;
mod operator;
mod pool;
pub(crate) mod probe;
mod remote;
mod scrape;
mod show;
mod state;
mod target;
pub(crate) mod tls;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use maru_client::Client;
use maru_monitoring::scrape::{Alerting, Configuration, ScrapeConfig, masked, read_configuration, read_scrape_file};
use maru_prom::Labels;
use maru_series::{Appender, SeriesStore, WriteScope};
use maru_task::Scope;
use maru_telemetry::{Counter, Family, Gauge, Registry};
use maru_time::SharedClock;
use maru_yaml::ParseLimits;
use serde_json::Value;

pub(crate) use machine::process as process_metrics;

pub use boards::built_in_objects;
pub use house::{ClusterOptions, cluster_targets, follow_cluster};
pub use operator::crds;
pub use scrape::InProcessTarget;

use pool::{Inheritance, Pool};

/// What we call ourselves to targets.
pub(crate) const USER_AGENT: &str = concat!("Maru/", env!("CARGO_PKG_VERSION"));
/// How often samples that wait in memory are written into the log's file.
const WRITE_OUT: Duration = Duration::from_secs(2);
/// Writers that are kept for the next scrape.
const APPENDERS_MAX: usize = 64;

/// A Kubernetes API.
#[derive(Clone)]
pub struct KubeApi(pub Client);

impl std::fmt::Debug for KubeApi {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KubeApi")
    }
}

/// What collecting starts with.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CollectOptions {
    /// Targets in this process by name: a job with the scheme `in-process` scrapes them.
    pub in_process: BTreeMap<String, InProcessTarget>,
    /// The Kubernetes API that targets are found by where a configuration names none.
    pub kube: Option<KubeApi>,
    /// Whether a new target is scraped at once, before its turn in the interval.
    pub first_at_once: bool,
    /// The configuration file that is read at the start and at each reload.
    pub file: Option<PathBuf>,
    /// A file with modules of probes, as blackbox_exporter reads it; without one there are built-in modules.
    pub probe_file: Option<PathBuf>,
    /// The DNS servers that are asked for targets; empty: those of the machine.
    pub dns_servers: Vec<std::net::SocketAddr>,
    /// Values for `${NAME}` in external labels.
    pub variables: BTreeMap<String, String>,
}

/// What pools and loops share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: SeriesStore,
    pub(crate) clock: SharedClock,
    pub(crate) scope: Scope,
    scraping: OnceLock<Scope>,
    pub(crate) in_process: BTreeMap<String, InProcessTarget>,
    pub(crate) kube: Option<KubeApi>,
    pub(crate) first_at_once: bool,
    /// Empty: those of the machine.
    pub(crate) dns_servers: Vec<std::net::SocketAddr>,
    /// Where relative paths of the configuration start.
    folder: Mutex<PathBuf>,
    /// Since when the configuration is in force, in milliseconds since 1970.
    since_ms: AtomicI64,
    appenders: Mutex<Vec<Appender>>,
    has_written: AtomicBool,
    pools: Mutex<BTreeMap<String, Arc<Pool>>>,
    refused: Arc<Family<Counter>>,
    targets: Arc<Family<Gauge>>,
}

impl Shared {
    pub(crate) fn since_ms(&self) -> i64 {
        self.since_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now().as_millisecond()
    }

    /// Returns a writer with nothing gathered.
    pub(crate) fn appender(&self) -> Appender {
        let kept = self.appenders.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| self.store.appender(&WriteScope::everyone()))
    }

    /// Puts what was gathered into the store. The next scrape brings newer numbers: nobody waits for the disk.
    pub(crate) fn commit(&self, mut appender: Appender) {
        match appender.commit_later() {
            Ok(report) => {
                for (reason, count) in scrape::refusals(&report) {
                    self.refused.with(&[reason]).add(count);
                }
                self.has_written.store(true, Ordering::Relaxed);
            }
            Err(error) => tracing::warn!(%error, "scraped samples could not be recorded"),
        }
        let mut kept = self.appenders.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < APPENDERS_MAX {
            kept.push(appender);
        }
    }

    fn pools(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Pool>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where scrapes run: thousands of short turns, on a thread of their own.
    pub(crate) fn scraping(&self) -> &Scope {
        self.scraping.get_or_init(|| {
            self.scope.child_on_own_thread("scrapes").unwrap_or_else(|error| {
                tracing::warn!(%error, "scrapes get no thread of their own");
                self.scope.clone()
            })
        })
    }

    /// Tells whether a target with these labels is scraped.
    pub(crate) fn is_scraped(&self, labels: &Labels) -> bool {
        let pools: Vec<Arc<Pool>> = self.pools().values().cloned().collect();
        pools.iter().any(|pool| pool.targets().active.keys().any(|(own, ..)| own == labels))
    }

    pub(crate) fn counted(&self, job: &str, targets: usize) {
        self.targets.with(&[job]).set(i64::try_from(targets).unwrap_or(i64::MAX));
    }
}

/// The configuration that is in force.
#[derive(Debug, Default)]
struct Loaded {
    /// As it may be shown.
    shown: String,
    at_ms: i64,
    is_good: bool,
}

/// Why a configuration was not taken: all of it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct ConfigurationError(pub Vec<String>);

/// Collects. Clones are the same collector.
#[derive(Debug, Clone)]
pub struct Collector {
    inner: Arc<Inner>,
    /// Where alerts go, and where relative paths start.
    alerting: Arc<tokio::sync::watch::Sender<(Alerting, PathBuf)>>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    /// Where the service keeps its data.
    directory: PathBuf,
    file: Option<PathBuf>,
    variables: BTreeMap<String, String>,
    loaded: Mutex<Loaded>,
    /// Told the configuration whenever a new one is in force.
    followers: tokio::sync::watch::Sender<Arc<Configuration>>,
}

impl Collector {
    pub(crate) fn new(
        scope: &Scope,
        store: &SeriesStore,
        clock: &SharedClock,
        registry: &Registry,
        options: CollectOptions,
        directory: &Path,
    ) -> Self {
        let shared = Arc::new(Shared {
            store: store.clone(),
            clock: Arc::clone(clock),
            scope: scope.child("collect"),
            scraping: OnceLock::new(),
            in_process: options.in_process,
            kube: options.kube,
            since_ms: AtomicI64::new(0),
            first_at_once: options.first_at_once,
            dns_servers: options.dns_servers,
            folder: Mutex::default(),
            appenders: Mutex::default(),
            has_written: AtomicBool::new(false),
            pools: Mutex::default(),
            refused: registry.family(
                "maru_scrape_samples_refused_total",
                "Scraped samples that the store refused, by reason.",
                &["reason"],
            ),
            targets: registry.family(
                "prometheus_target_scrape_pool_targets",
                "Current number of targets in this scrape pool.",
                &["scrape_job"],
            ),
        });
        let writer = Arc::clone(&shared);
        drop(shared.scope.spawn("write out", async move { write_out(writer).await }));
        let loaded = Loaded { at_ms: shared.now_ms(), is_good: true, ..Loaded::default() };
        let inner = Inner {
            shared,
            directory: directory.to_owned(),
            file: options.file,
            variables: options.variables,
            loaded: Mutex::new(loaded),
            followers: tokio::sync::watch::Sender::new(Arc::default()),
        };
        let collector = Self { inner: Arc::new(inner), alerting: Arc::default() };
        collector.send_on(remote::RemoteTelemetry::new(registry), directory.join("remote-write"));
        collector
    }

    /// Reads the configuration file again; `take` puts its rules in force, or says what is wrong with them. When anything is
    /// wrong, the configuration that runs goes on running.
    ///
    /// # Errors
    /// All that is wrong, with the file's name and lines.
    pub(crate) fn reload(
        &self,
        take: impl FnOnce(&Configuration, &Path) -> Result<(), Vec<String>>,
    ) -> Result<(), ConfigurationError> {
        let Some(path) = &self.inner.file else {
            return Err(ConfigurationError(vec!["there is no configuration file; start with --config".to_owned()]));
        };
        let folder = path.parent().unwrap_or_else(|| Path::new(".")).to_owned();
        let outcome = read_file(path, &self.inner.variables).and_then(|read| take(&read.0, &folder).map(|()| read));
        match outcome {
            Ok((configuration, shown)) => {
                self.apply(configuration, shown, folder);
                Ok(())
            }
            Err(wrong) => {
                self.loaded().is_good = false;
                Err(ConfigurationError(wrong))
            }
        }
    }

    /// Puts a configuration in force: jobs that stay the same are not touched. Relative paths start at `folder`.
    pub fn apply(&self, configuration: Configuration, shown: String, folder: PathBuf) {
        let shared = &self.inner.shared;
        let configuration = Arc::new(configuration);
        self.apply_jobs(&configuration.scrape_configs, &folder);
        *self.loaded() = Loaded { shown, at_ms: shared.now_ms(), is_good: true };
        folder.clone_into(&mut shared.folder.lock().unwrap_or_else(PoisonError::into_inner));
        self.alerting.send_replace((configuration.alerting.clone(), folder));
        self.inner.shared.since_ms.store(self.inner.shared.now_ms(), Ordering::Relaxed);
        self.inner.followers.send_replace(configuration);
    }

    fn apply_jobs(&self, jobs: &[ScrapeConfig], folder: &Path) {
        let shared = &self.inner.shared;
        let mut pools = shared.pools();
        let mut old = std::mem::take(&mut *pools);
        for job in jobs {
            let kept = old.remove(&job.job_name);
            let pool = match kept {
                Some(pool) if *pool.config == *job => pool,
                Some(pool) => {
                    let keeps_series = pool.config.metric_relabel == job.metric_relabel
                        && pool.config.conflict == job.conflict
                        && pool.config.timestamps == job.timestamps;
                    let inheritance = pool.hand_over();
                    let inheritance = if keeps_series { inheritance } else { Inheritance::new() };
                    Pool::start(shared, &Arc::new(job.clone()), folder.to_owned(), inheritance)
                }
                None => Pool::start(shared, &Arc::new(job.clone()), folder.to_owned(), Inheritance::new()),
            };
            pools.insert(job.job_name.clone(), pool);
        }
        for (name, pool) in old {
            pool.stop();
            shared.targets.remove(&[&name]);
        }
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.inner.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the configuration in force, and tells when another one is.
    #[must_use]
    pub fn configurations(&self) -> tokio::sync::watch::Receiver<Arc<Configuration>> {
        self.inner.followers.subscribe()
    }

    /// Tells whether there is a configuration file to reload.
    #[must_use]
    pub fn has_file(&self) -> bool {
        self.inner.file.is_some()
    }

    /// Returns the configuration as it may be shown, when it was put in force, and whether the last one offered was good.
    pub(crate) fn state(&self) -> (String, i64, bool) {
        let loaded = self.loaded();
        (loaded.shown.clone(), loaded.at_ms, loaded.is_good)
    }

    pub(crate) fn pools(&self) -> Vec<Arc<Pool>> {
        self.inner.shared.pools().values().cloned().collect()
    }
}

/// Reads a configuration file and those that it names with further jobs; `variables` are the values for `${NAME}` in
/// external labels.
///
/// # Errors
/// All that is wrong, with files and lines.
pub fn read_configuration_file(
    path: &Path,
    variables: &BTreeMap<String, String>,
) -> Result<Configuration, ConfigurationError> {
    read_file(path, variables).map(|(configuration, _)| configuration).map_err(ConfigurationError)
}

/// Reads a configuration file and those that it names, and returns it with the text that may be shown.
fn read_file(path: &Path, variables: &BTreeMap<String, String>) -> Result<(Configuration, String), Vec<String>> {
    let variable = |name: &str| variables.get(name).cloned();
    let text = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| vec![format!("{}: cannot be read: {error}", path.display())])
    };
    let told = |path: &Path, problems: Vec<maru_yaml::Problem>| -> Vec<String> {
        problems.iter().map(|problem| format!("{}: {problem}", path.display())).collect()
    };
    let content = text(path)?;
    let mut configuration = read_configuration(&content, &variable).map_err(|problems| told(path, problems))?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut wrong = Vec::new();
    for pattern in configuration.scrape_config_files.clone() {
        for file in discovery::matching(&folder.join(pattern)) {
            let read = text(&file).and_then(|content| {
                read_scrape_file(&content, &configuration.global, &configuration.scrape_configs)
                    .map_err(|problems| told(&file, problems))
            });
            match read {
                Ok(jobs) => configuration.scrape_configs.extend(jobs),
                Err(problems) => wrong.extend(problems),
            }
        }
    }
    if wrong.is_empty() { Ok((configuration, show_text(&content))) } else { Err(wrong) }
}

/// Returns a configuration's text without its secrets.
fn show_text(content: &str) -> String {
    let tree = maru_yaml::parse_with(content, ParseLimits { aliases: 1000, ..ParseLimits::default() });
    let tree = tree.map_or(Value::Null, |tree| tree.to_value());
    maru_kube::yaml::to_text(&masked(&tree))
}

async fn write_out(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = shared.scope.cancelled() => {}
            () = tokio::time::sleep(WRITE_OUT) => {}
        }
        if shared.has_written.swap(false, Ordering::Relaxed) {
            let store = shared.store.clone();
            let written = shared.scope.spawn_blocking(move || store.write_out()).await;
            if let Ok(Err(error)) = written {
                tracing::warn!(%error, "scraped samples could not be written; trying again");
            }
        }
        if shared.scope.is_cancelled() {
            // Pools hold what holds them: without this the store would stay open.
            drop(std::mem::take(&mut *shared.pools()));
            return;
        }
    }
}
