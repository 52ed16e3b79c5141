//! All groups: started, exchanged when their definition changes, ended.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use maru_monitoring::relabel::RelabelRule;
use maru_monitoring::rules::{Group, RuleFile};
use maru_prom::Labels;
use maru_promql::{EngineOptions, ParseOptions};
use maru_series::SeriesStore;
use maru_task::Scope;
use maru_telemetry::Registry;
use maru_time::SharedClock;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::alert::ms;
use super::backend::StoreBackend;
use super::evaluate::World;
use super::files::{FileProblem, load_files};
use super::group::{ActiveGroup, GroupKey, Surroundings, end, run};
use super::rehearse::{Rehearsal, RehearsalRange, rehearse};
use super::restore::Bridge;
use super::sender::{Alertmanagers, Outgoing, Sender};
use super::telemetry::Telemetry;

/// What rules start with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RulesOptions {
    /// Tells the time.
    pub clock: SharedClock,
    /// Where is counted.
    pub registry: Registry,
    /// The address at which people reach the system, for links in alerts.
    pub external_url: String,
    /// How expressions are read.
    pub parse: ParseOptions,
    /// Series that one selector may find.
    pub series_max: usize,
    /// How long a firing alert is not sent again.
    pub resend_delay: Duration,
    /// Alerts that were active longer ago than this before a start begin anew.
    pub outage_tolerance: Duration,
    /// How long a restored alert does not fire after a start.
    pub grace_period: Duration,
    /// How many groups are evaluated at a time; 0 for one a core, two at least.
    pub concurrency: usize,
    /// Who is told.
    pub alertmanagers: watch::Receiver<Alertmanagers>,
}

impl RulesOptions {
    /// Returns the defaults: nobody is told.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self {
            clock,
            registry: Registry::default(),
            external_url: String::new(),
            parse: ParseOptions::default(),
            series_max: 1_000_000,
            resend_delay: Duration::from_secs(60),
            outage_tolerance: Duration::from_secs(3600),
            grace_period: Duration::from_secs(600),
            concurrency: 0,
            alertmanagers: watch::channel(Alertmanagers::default()).1,
        }
    }
}

/// What a configuration says about all rules.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSettings {
    /// The time between two evaluations of groups that say none.
    pub evaluation_interval: Duration,
    /// How far behind queries look in groups that do not say it.
    pub query_offset: Duration,
    /// Labels of the whole system.
    pub external_labels: Labels,
    /// Rules for all alerts on their way out.
    pub alert_relabel_configs: Vec<RelabelRule>,
}

impl Default for RuleSettings {
    fn default() -> Self {
        Self {
            evaluation_interval: Duration::from_secs(60),
            query_offset: Duration::ZERO,
            external_labels: Labels::empty(),
            alert_relabel_configs: Vec::new(),
        }
    }
}

/// Evaluates rules. Clones are the same manager.
#[derive(Debug, Clone)]
pub struct Manager(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    scope: Scope,
    around: Arc<Surroundings>,
    backend: Arc<StoreBackend>,
    telemetry: Arc<Telemetry>,
    options: RulesOptions,
    plan: Mutex<Plan>,
    running: Mutex<BTreeMap<GroupKey, Running>>,
}

/// What shall run.
#[derive(Debug, Default)]
struct Plan {
    settings: RuleSettings,
    world: Arc<World>,
    /// Files with their groups, by where they come from.
    sources: BTreeMap<String, Vec<(String, RuleFile)>>,
    /// Files that are wrong by now, so that what they said before goes on: what is wrong, by file.
    wrong: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Running {
    group: Arc<ActiveGroup>,
    scope: Scope,
    task: JoinHandle<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Manager {
    /// Starts without any rules, as tasks of `scope`.
    #[must_use]
    pub fn start(scope: &Scope, store: SeriesStore, engine: EngineOptions, options: RulesOptions) -> Self {
        let scope = scope.child("rules");
        let telemetry = Arc::new(Telemetry::new(&options.registry));
        let backend = Arc::new(StoreBackend::new(store, engine, options.series_max));
        let sender =
            Sender::start(&scope, Arc::clone(&options.clock), Arc::clone(&telemetry), options.alertmanagers.clone());
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).max(2);
        let permits = if options.concurrency > 0 { options.concurrency } else { cores };
        let around = Surroundings {
            backend: Arc::clone(&backend) as Arc<dyn super::backend::Backend>,
            clock: Arc::clone(&options.clock),
            sender,
            resend_ms: ms(options.resend_delay),
            bridge: Bridge { outage_tolerance_ms: ms(options.outage_tolerance), grace_ms: ms(options.grace_period) },
            permits: Arc::new(Semaphore::new(permits)),
        };
        let plan = Plan { world: Arc::new(world(&RuleSettings::default(), &options)), ..Plan::default() };
        Self(Arc::new(Inner {
            scope,
            around: Arc::new(around),
            backend,
            telemetry,
            options,
            plan: Mutex::new(plan),
            running: Mutex::default(),
        }))
    }

    /// Reads rule files and runs what they say; groups whose definition is the same go on undisturbed.
    ///
    /// # Errors
    /// All that is wrong with any file: what ran before goes on.
    pub fn reload(&self, folder: &Path, patterns: &[String], settings: RuleSettings) -> Result<(), Vec<FileProblem>> {
        let files = load_files(folder, patterns, &self.0.options.parse)?;
        {
            let mut plan = lock(&self.0.plan);
            if plan.settings != settings {
                plan.world = Arc::new(world(&settings, &self.0.options));
                plan.settings = settings;
            }
            plan.sources.insert("files".to_owned(), files);
        }
        self.apply();
        Ok(())
    }

    /// Runs groups that do not come from files, in the place of those that `source` gave before. `wrong` says why what a file
    /// said before goes on, by file.
    pub fn set_groups(&self, source: &str, files: Vec<(String, RuleFile)>, wrong: BTreeMap<String, String>) {
        {
            let mut plan = lock(&self.0.plan);
            plan.sources.insert(source.to_owned(), files);
            plan.wrong = wrong;
        }
        self.apply();
    }

    /// Says what is wrong with the file of a group that goes on as it was before.
    pub(crate) fn problem(&self, file: &str) -> Option<String> {
        lock(&self.0.plan).wrong.get(file).cloned()
    }

    /// Starts, exchanges and ends groups as the plan says.
    fn apply(&self) {
        let inner = &*self.0;
        let plan = lock(&inner.plan);
        let defaults = (plan.settings.evaluation_interval, plan.settings.query_offset);
        inner.around.sender.set_outgoing(Outgoing {
            external_labels: plan.settings.external_labels.clone(),
            relabel: plan.settings.alert_relabel_configs.clone().into(),
        });
        let mut running = lock(&inner.running);
        let mut next = BTreeMap::new();
        for (file, rules) in plan.sources.values().flatten() {
            for group in &rules.groups {
                let key = (file.clone(), group.name.clone());
                let before = running.remove(&key);
                let kept = match before {
                    Some(old) if old.group.is(group, defaults, &plan.world) => old,
                    before => self.start_group(file, group, defaults, &plan.world, before),
                };
                next.insert(key, kept);
            }
        }
        let gone = std::mem::replace(&mut *running, next);
        drop(running);
        drop(plan);
        for old in gone.into_values() {
            old.scope.cancel();
            let (scope, around, telemetry) =
                (inner.scope.clone(), Arc::clone(&inner.around), Arc::clone(&inner.telemetry));
            drop(inner.scope.spawn("end-group", async move {
                // An evaluation that is under way ends first.
                drop(old.task.await);
                telemetry.forget(&old.group.telemetry);
                end(scope, old.group, around).await;
            }));
        }
    }

    fn start_group(
        &self,
        file: &str,
        group: &Group,
        defaults: (Duration, Duration),
        world: &Arc<World>,
        before: Option<Running>,
    ) -> Running {
        let inner = &*self.0;
        let group = Arc::new(ActiveGroup::new(file, group, defaults, Arc::clone(world), &inner.telemetry));
        let scope = inner.scope.child("group");
        if let Some(before) = &before {
            before.scope.cancel();
        }
        let (own, own_scope, around) = (Arc::clone(&group), scope.clone(), Arc::clone(&inner.around));
        let task = scope.spawn("evaluate", async move {
            if let Some(before) = before {
                // An evaluation that is under way ends first.
                drop(before.task.await);
                own.inherit(&before.group);
            }
            run(own_scope, own, around).await;
        });
        Running { group, scope, task }
    }

    /// Returns all groups in the order of their files and names.
    pub(crate) fn groups(&self) -> Vec<Arc<ActiveGroup>> {
        lock(&self.0.running).values().map(|running| Arc::clone(&running.group)).collect()
    }

    pub(crate) fn sender(&self) -> &Sender {
        &self.0.around.sender
    }

    pub(crate) fn backend(&self) -> &Arc<StoreBackend> {
        &self.0.backend
    }

    pub(crate) fn options(&self) -> &RulesOptions {
        &self.0.options
    }

    /// Runs rules over recorded samples; an interval of zero is that of the settings. Blocks, maybe for long.
    ///
    /// # Errors
    /// When the range has no moments or too many.
    pub fn rehearse(&self, file: &RuleFile, range: RehearsalRange) -> Result<Rehearsal, String> {
        let (engine, source) = self.0.backend.shared();
        let (interval, world) = {
            let plan = lock(&self.0.plan);
            (plan.settings.evaluation_interval, Arc::clone(&plan.world))
        };
        let interval_ms = if range.interval_ms > 0 { range.interval_ms } else { ms(interval) };
        rehearse(file, &engine, &source, RehearsalRange { interval_ms, ..range }, &world)
    }

    /// Returns how often groups were evaluated so far.
    #[must_use]
    pub fn evaluations(&self) -> u64 {
        self.groups().iter().map(|group| group.progress().turns).sum()
    }

    /// Returns the settings that hold.
    #[must_use]
    pub fn settings(&self) -> RuleSettings {
        lock(&self.0.plan).settings.clone()
    }
}

fn world(settings: &RuleSettings, options: &RulesOptions) -> World {
    World {
        external_labels: settings.external_labels.clone(),
        external_url: options.external_url.clone(),
        parse: options.parse,
    }
}
