//! The thin shell around the engine: a clock that ticks, tasks that send, a file that remembers.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use maru_http::Handler;
use maru_task::Scope;
use maru_telemetry::Registry;
use maru_time::{SharedClock, Timestamp, system_clock};
use tokio::sync::{Notify, Semaphore};

use crate::access::Gate;
use crate::config::{ConfigError, ConfigSource};
use crate::engine::{Dispatch, Engine, EngineLimits, Outcome};
use crate::journal::Journal;
use crate::notify::{Notifier, Transport};
use crate::telemetry::Telemetry;
use crate::watch::{WatchConfig, watch};

/// How often the clock is looked at when nothing is due: it may have been set.
const TICK_MAX: Duration = Duration::from_secs(5);
/// Messages that are sent at the same time.
const SENDING_MAX: usize = 200;

/// How the service runs.
#[derive(Debug, Clone)]
pub struct AlertsOptions {
    /// Where it remembers.
    pub directory: PathBuf,
    /// Where the configuration is.
    pub config: ConfigSource,
    /// The address by which people reach it, for links in messages.
    pub external_url: String,
    /// What is expected to be heard, and which drills are held.
    pub watch: WatchConfig,
    /// Who may do what.
    pub gate: Gate,
    /// Web pages that may read answers.
    pub cors_origins: Vec<String>,
    /// The clock.
    pub clock: SharedClock,
    /// Where it counts.
    pub registry: Registry,
    /// How messages leave.
    pub transport: Transport,
    /// How much it keeps.
    pub limits: EngineLimits,
}

impl AlertsOptions {
    /// Returns the usual options.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            config: ConfigSource::None,
            external_url: "http://localhost:9093".to_owned(),
            watch: WatchConfig::default(),
            gate: Gate::open(),
            cors_origins: Vec::new(),
            clock: system_clock(),
            registry: Registry::default(),
            transport: Transport::default(),
            limits: EngineLimits::default(),
        }
    }
}

/// The service could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlertsError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The folder cannot be used.
    #[error("cannot use the folder of alerts \"{path}\"")]
    Directory {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Alertmanager.
#[derive(Debug, Clone)]
pub struct Alerts {
    pub(crate) shared: Arc<Shared>,
}

/// What requests and tasks share.
#[derive(Debug)]
pub(crate) struct Shared {
    engine: Mutex<Engine>,
    /// Held while records are taken from the engine and written: their order stays.
    journal: Arc<tokio::sync::Mutex<Arc<Mutex<Journal>>>>,
    wake: Notify,
    sending: Arc<Semaphore>,
    notifier: Notifier,
    scope: Scope,
    pub(crate) telemetry: Telemetry,
    pub(crate) options: AlertsOptions,
    pub(crate) started: Timestamp,
    stopping: std::sync::atomic::AtomicBool,
    config: Mutex<ConfigSource>,
}

impl Alerts {
    /// Reads what is remembered and the configuration, and starts.
    ///
    /// # Errors
    /// When the configuration is wrong, or the folder cannot be used.
    pub fn open(scope: &Scope, options: AlertsOptions) -> Result<Self, AlertsError> {
        let telemetry = Telemetry::new(&options.registry);
        let loaded = options.config.load()?;
        for warning in &loaded.warnings {
            tracing::warn!(warning, "the configuration of alerts");
        }
        let directory = |source| AlertsError::Directory { path: options.directory.clone(), source };
        let (journal, records) = Journal::open(&options.directory).map_err(directory)?;
        let now = options.clock.now();
        let mut engine = Engine::new(loaded.plan, options.limits);
        for record in records {
            engine.restore(record, now);
        }
        engine.restored(now);
        telemetry.reloaded(Some(now.as_second()));
        let notifier = Notifier {
            transport: options.transport.clone(),
            clock: Arc::clone(&options.clock),
            external_url: options.external_url.trim_end_matches('/').to_owned(),
            telemetry: telemetry.clone(),
            scope: scope.clone(),
        };
        let shared = Arc::new(Shared {
            engine: Mutex::new(engine),
            journal: Arc::new(tokio::sync::Mutex::new(Arc::new(Mutex::new(journal)))),
            wake: Notify::new(),
            sending: Arc::new(Semaphore::new(SENDING_MAX)),
            notifier,
            scope: scope.clone(),
            telemetry,
            started: now,
            stopping: std::sync::atomic::AtomicBool::new(false),
            config: Mutex::new(options.config.clone()),
            options,
        });
        drop(scope.spawn("timers", run(Arc::clone(&shared))));
        drop(scope.spawn_until_cancelled("watch", watch(Arc::clone(&shared))));
        Ok(Self { shared })
    }

    /// Returns what answers requests; the gate decides who is let in.
    #[must_use]
    pub fn handler(&self) -> Handler {
        crate::api::handler(&self.shared, self.shared.options.gate.clone())
    }

    /// Returns what answers requests of rooms in the same process: they need no token.
    #[must_use]
    pub fn room_handler(&self) -> Handler {
        crate::api::handler(&self.shared, Gate::open())
    }

    /// Takes a configuration from another place. A wrong one changes nothing.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn configure(&self, source: ConfigSource) -> Result<(), ConfigError> {
        self.shared.configure(source)
    }

    /// Reads the configuration again. A wrong one changes nothing.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn reload(&self) -> Result<(), ConfigError> {
        self.shared.reload()
    }

    /// Answers from now on that it is not ready.
    pub fn set_stopping(&self) {
        self.shared.stopping.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Shared {
    /// Gives the engine for a moment. Nobody waits for anything while holding it.
    pub(crate) fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Says that something may be due earlier than thought.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(crate) fn reload(&self) -> Result<(), ConfigError> {
        let source = self.config.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.configure(source)
    }

    fn configure(&self, source: ConfigSource) -> Result<(), ConfigError> {
        match source.load() {
            Ok(loaded) => {
                *self.config.lock().unwrap_or_else(PoisonError::into_inner) = source;
                let now = self.now();
                self.engine().reload(loaded.plan, now);
                self.telemetry.reloaded(Some(now.as_second()));
                for warning in &loaded.warnings {
                    tracing::warn!(warning, "the configuration of alerts");
                }
                tracing::info!("the configuration of alerts was read again");
                self.wake();
                Ok(())
            }
            Err(error) => {
                self.telemetry.reloaded(None);
                tracing::error!(error = %error, "the new configuration of alerts cannot be used; the old one stays");
                Err(error)
            }
        }
    }

    /// Writes down what the engine wants remembered. When this returns, it is.
    ///
    /// # Errors
    /// When the disk does not take it; it is tried again with the next change.
    pub(crate) async fn remember(&self) -> std::io::Result<()> {
        let held = Arc::clone(&self.journal).lock_owned().await;
        let journal = Arc::clone(&held);
        let is_overgrown = journal.lock().unwrap_or_else(PoisonError::into_inner).is_overgrown();
        let (records, snapshot) = {
            let mut engine = self.engine();
            (engine.take_records(), is_overgrown.then(|| engine.snapshot()))
        };
        if records.is_empty() {
            return Ok(());
        }
        let work = move || {
            let _held = held;
            let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
            let result = match &snapshot {
                Some(whole) => journal.compact(whole),
                None => journal.append(&records),
            };
            (result, records)
        };
        let Ok((result, records)) = self.scope.spawn_blocking(work).await else { return Ok(()) };
        if let Err(error) = &result {
            self.telemetry.journal_failed();
            tracing::error!(error = %error, "the log of alerts cannot be written");
            self.engine().give_back(records);
        }
        result
    }

    /// Sends messages, each in a task of its own.
    fn dispatch(self: &Arc<Self>, dispatches: Vec<Dispatch>) {
        for dispatch in dispatches {
            let shared = Arc::clone(self);
            drop(self.scope.spawn("notification", async move { shared.deliver(dispatch).await }));
        }
    }

    async fn deliver(self: Arc<Self>, dispatch: Dispatch) {
        let receiver = &dispatch.plan.receivers[dispatch.receiver];
        self.telemetry.dispatched(receiver.integrations[dispatch.integration].kind.name());
        let permit = tokio::select! {
            permit = Arc::clone(&self.sending).acquire_owned() => permit.ok(),
            () = self.scope.cancelled() => None,
        };
        let outcome = match permit {
            Some(_permit) => self.notifier.deliver(&dispatch).await,
            None => Outcome { delivered: false, attempts: Vec::new() },
        };
        let more = self.engine().sent(&dispatch, &outcome, self.now());
        // What failed is said in there, and tried again with the next change.
        drop(self.remember().await);
        self.dispatch(more);
    }
}

/// Does what is due, again and again.
async fn run(shared: Arc<Shared>) {
    loop {
        let now = shared.now();
        let (dispatches, next) = {
            let mut engine = shared.engine();
            (engine.advance(now), engine.next_wake())
        };
        shared.dispatch(dispatches);
        drop(shared.remember().await);
        let pause = next.map_or(TICK_MAX, |next| {
            Duration::try_from(next.duration_since(shared.now())).unwrap_or_default().min(TICK_MAX)
        });
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.wake.notified() => {}
            () = shared.scope.cancelled() => return,
        }
    }
}
