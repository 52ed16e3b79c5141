//! All targets of one job.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use maru_monitoring::scrape::{ScrapeConfig, TargetGroup};
use maru_prom::Labels;
use maru_task::Scope;
use tokio::sync::{mpsc, watch};

use super::client::HttpClient;
use super::scrape::{ScrapeLoop, TargetState};
use super::target::{self, Made, Target};
use super::{Shared, discovery};

/// After a change we wait this long for more of them.
const SETTLE: Duration = Duration::from_millis(50);
/// Label sets that are kept of those that were dropped, where the job says nothing.
const DROPPED_MAX: usize = 10_000;

/// Tells a loop that its target is gone, or that another loop takes it over.
#[derive(Debug, Clone)]
pub(crate) struct Gone {
    sender: Arc<watch::Sender<bool>>,
    is_replaced: Arc<AtomicBool>,
}

impl Gone {
    fn new() -> Self {
        Self { sender: Arc::new(watch::Sender::new(false)), is_replaced: Arc::default() }
    }

    pub(crate) async fn cancelled(&self) {
        // The sender lives as long as this.
        drop(self.sender.subscribe().wait_for(|gone| *gone).await);
    }

    pub(crate) fn is_replaced(&self) -> bool {
        self.is_replaced.load(Ordering::Acquire)
    }

    fn cancel(&self, is_replaced: bool) {
        self.is_replaced.store(is_replaced, Ordering::Release);
        self.sender.send_replace(true);
    }
}

/// A target that is scraped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) target: Arc<Target>,
    pub(crate) state: Arc<TargetState>,
    gone: Gone,
}

/// What tells targets apart.
type Key = (Labels, String, Duration, Duration);

#[derive(Debug, Default)]
pub(crate) struct Targets {
    pub(crate) active: BTreeMap<Key, Running>,
    pub(crate) dropped: Vec<Labels>,
    pub(crate) dropped_count: usize,
    /// Label sets that became no target, and why.
    pub(crate) wrong: Vec<String>,
}

/// What a pool leaves to the one that replaces it, by the labels and the address of the target.
pub(crate) type Inheritance = HashMap<(Labels, String), Arc<TargetState>>;

/// One job's pool.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) config: Arc<ScrapeConfig>,
    shared: Arc<Shared>,
    client: Arc<HttpClient>,
    scope: Scope,
    /// Of the discoveries and of the task that follows them.
    following: Scope,
    targets: Mutex<Targets>,
    inheritance: Mutex<Inheritance>,
}

impl Pool {
    /// Starts a pool. Relative paths start at `folder`.
    pub(crate) fn start(
        shared: &Arc<Shared>,
        config: &Arc<ScrapeConfig>,
        folder: PathBuf,
        inheritance: Inheritance,
    ) -> Arc<Self> {
        let pool = Arc::new(Self {
            config: Arc::clone(config),
            shared: Arc::clone(shared),
            client: HttpClient::new(&config.client, folder.clone()),
            scope: shared.scraping().clone(),
            following: shared.scope.child("pool"),
            targets: Mutex::default(),
            inheritance: Mutex::new(inheritance),
        });
        let (sender, receiver) = mpsc::channel(16);
        for (index, one) in config.discoveries.iter().enumerate() {
            let out = discovery::Output::new(index, sender.clone());
            discovery::start(&pool.following, shared, one, &folder, out);
        }
        drop(sender);
        let own = Arc::clone(&pool);
        drop(pool.following.spawn_until_cancelled("targets", async move { own.follow(receiver).await }));
        pool
    }

    pub(crate) fn targets(&self) -> MutexGuard<'_, Targets> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops looking for targets, and lets those that there are end.
    pub(crate) fn stop(&self) {
        self.following.cancel();
        for running in std::mem::take(&mut self.targets().active).into_values() {
            running.gone.cancel(false);
        }
    }

    /// Stops everything, and leaves what is known of the targets to another pool.
    pub(crate) fn hand_over(&self) -> Inheritance {
        self.following.cancel();
        let active = std::mem::take(&mut self.targets().active);
        active
            .into_values()
            .map(|running| {
                running.gone.cancel(true);
                ((running.target.labels.clone(), running.target.url.clone()), running.state)
            })
            .collect()
    }

    async fn follow(&self, mut receiver: mpsc::Receiver<(usize, Vec<TargetGroup>)>) {
        let mut groups: BTreeMap<usize, Vec<TargetGroup>> = BTreeMap::new();
        while let Some((index, found)) = receiver.recv().await {
            groups.insert(index, found);
            let settled = tokio::time::Instant::now() + SETTLE;
            while let Ok(Some((index, found))) = tokio::time::timeout_at(settled, receiver.recv()).await {
                groups.insert(index, found);
            }
            // A source that has said nothing yet may still show what the one before us scraped.
            self.sync(groups.values().flatten(), groups.len() == self.config.discoveries.len());
        }
    }

    /// Starts and ends loops so that each target of the groups has one. Targets that stay are not touched.
    fn sync<'a>(&self, groups: impl Iterator<Item = &'a TargetGroup>, is_complete: bool) {
        let (mut wanted, mut dropped, mut dropped_count, mut wrong) = (BTreeMap::new(), Vec::new(), 0, Vec::new());
        let dropped_max = self.config.limits.kept_dropped_targets.unwrap_or(DROPPED_MAX);
        for group in groups {
            for own in &group.targets {
                match target::make(&self.config, group, own) {
                    Made::Target(target) => drop(wanted.insert(target.key(), target)),
                    Made::Dropped(labels) => {
                        dropped_count += 1;
                        if dropped.len() < dropped_max {
                            dropped.push(labels);
                        }
                    }
                    Made::Wrong(why) => wrong.push(format!("{own:?}: {why}")),
                }
            }
        }
        for why in &wrong {
            tracing::warn!(job = self.config.job_name, error = why, "a target cannot be scraped");
        }
        let forced = self.config.limits.targets.filter(|limit| wanted.len() > *limit);
        let forced =
            forced.map(|limit| format!("target_limit exceeded (number of targets: {}, limit: {limit})", wanted.len()));
        let mut targets = self.targets();
        let keys: Vec<Key> = targets.active.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect();
        for key in keys {
            if let Some(running) = targets.active.remove(&key) {
                running.gone.cancel(false);
            }
        }
        for (key, target) in wanted {
            if let Some(running) = targets.active.get_mut(&key) {
                if running.target.discovered != target.discovered {
                    running.target = Arc::new(*target);
                }
                running.state.force(forced.clone());
                continue;
            }
            self.begin(key, Arc::new(*target), forced.clone(), &mut targets);
        }
        (targets.dropped, targets.dropped_count, targets.wrong) = (dropped, dropped_count, wrong);
        let count = targets.active.len();
        drop(targets);
        self.shared.counted(&self.config.job_name, count);
        if is_complete {
            self.end_inheritance();
        }
    }

    fn begin(&self, key: Key, target: Arc<Target>, forced: Option<String>, targets: &mut Targets) {
        let inherited = self
            .inheritance
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&(target.labels.clone(), target.url.clone()));
        let state = inherited.unwrap_or_default();
        state.force(forced);
        match ScrapeLoop::new(&self.shared, &self.client, &self.config, &target, &state) {
            Ok(scrape) => {
                let gone = Gone::new();
                let running = Running { target, state, gone: gone.clone() };
                drop(self.scope.spawn_until_cancelled("scrape", scrape.run(self.scope.clone(), gone)));
                targets.active.insert(key, running);
            }
            Err(why) => targets.wrong.push(why),
        }
    }

    /// Ends the series of targets that the pool before had and this one has not.
    fn end_inheritance(&self) {
        let left = std::mem::take(&mut *self.inheritance.lock().unwrap_or_else(PoisonError::into_inner));
        if left.is_empty() {
            return;
        }
        let mut appender = self.shared.appender();
        for state in left.into_values() {
            let mut table = state.table.lock().unwrap_or_else(PoisonError::into_inner);
            table.end_all(&mut appender, self.shared.now_ms());
        }
        self.shared.commit(appender);
    }
}
