//! A group of rules: evaluated one after the other, at moments of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use maru_monitoring::rules::{Group, Rule};
use maru_prom::Labels;
use maru_task::Scope;
use maru_time::SharedClock;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::alert::ms;
use super::backend::{Backend, markers};
use super::evaluate::{ActiveRule, Turn, World};
use super::restore::{Bridge, restore};
use super::sender::{Notice, Sender};
use super::telemetry::GroupTelemetry;

/// A clock that is off by more than this, compared with the time that passed, was set.
const CLOCK_JUMP_MS: i64 = 10_000;

/// What names a group: its file and its own name.
pub(crate) type GroupKey = (String, String);

/// What all groups share.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) clock: SharedClock,
    pub(crate) sender: Sender,
    pub(crate) resend_ms: i64,
    pub(crate) bridge: Bridge,
    /// How many groups are evaluated at a time.
    pub(crate) permits: Arc<Semaphore>,
}

/// A group that is evaluated again and again.
#[derive(Debug)]
pub(crate) struct ActiveGroup {
    pub(crate) key: GroupKey,
    pub(crate) interval: Duration,
    pub(crate) query_offset: Duration,
    pub(crate) limit: usize,
    pub(crate) rules: Vec<ActiveRule>,
    pub(crate) world: Arc<World>,
    pub(crate) telemetry: GroupTelemetry,
    progress: Mutex<Progress>,
}

/// How far a group is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    pub(crate) evaluated_at_ms: Option<i64>,
    pub(crate) duration: Duration,
    /// Evaluations so far.
    pub(crate) turns: u64,
    /// Series of rules that are gone, to be ended with the next evaluation.
    stale: Vec<Labels>,
}

/// Tells whether two rules do the same.
fn is_same(left: &Rule, right: &Rule) -> bool {
    left.kind == right.kind && left.text == right.text && left.labels == right.labels
}

impl ActiveGroup {
    pub(crate) fn new(
        file: &str,
        group: &Group,
        defaults: (Duration, Duration),
        world: Arc<World>,
        telemetry: &super::telemetry::Telemetry,
    ) -> Self {
        let interval = group.interval.unwrap_or(defaults.0).max(Duration::from_millis(1));
        let key = (file.to_owned(), group.name.clone());
        Self {
            interval,
            query_offset: group.query_offset.unwrap_or(defaults.1),
            limit: group.limit,
            rules: group.rules.iter().cloned().map(ActiveRule::new).collect(),
            world,
            telemetry: telemetry.group(&format!("{};{}", key.0, key.1), interval, group.rules.len()),
            progress: Mutex::default(),
            key,
        }
    }

    pub(crate) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether a definition is what runs here already.
    pub(crate) fn is(&self, group: &Group, defaults: (Duration, Duration), world: &Arc<World>) -> bool {
        Arc::ptr_eq(&self.world, world)
            && self.interval == group.interval.unwrap_or(defaults.0)
            && self.query_offset == group.query_offset.unwrap_or(defaults.1)
            && self.limit == group.limit
            && self.rules.len() == group.rules.len()
            && self.rules.iter().zip(&group.rules).all(|(own, other)| is_same(&own.rule, other))
    }

    /// Takes over what the rules of an older version of the group remember.
    pub(crate) fn inherit(&self, older: &Self) {
        let mut is_taken = vec![false; older.rules.len()];
        for rule in &self.rules {
            let found =
                older.rules.iter().enumerate().find(|(index, old)| !is_taken[*index] && rule.is_successor_of(old));
            if let Some((index, old)) = found {
                is_taken[index] = true;
                *rule.state() = std::mem::take(&mut *old.state());
            }
        }
        let mut progress = self.progress();
        let before = older.progress().clone();
        progress.evaluated_at_ms = before.evaluated_at_ms;
        progress.duration = before.duration;
        progress.turns = before.turns;
        progress.stale = before.stale;
        for (old, _) in older.rules.iter().zip(&is_taken).filter(|(_, is_taken)| !**is_taken) {
            progress.stale.extend(old.state().previous.drain());
        }
    }

    /// Returns all series that its rules wrote last, and forgets them.
    fn take_series(&self) -> Vec<Labels> {
        let mut series = std::mem::take(&mut self.progress().stale);
        for rule in &self.rules {
            series.extend(rule.state().previous.drain());
        }
        series
    }

    /// Where in the interval the group's moments lie, so that not all groups are evaluated at once.
    fn phase_ms(&self) -> i64 {
        let hash = hash(&format!("{};{}", self.key.0, self.key.1));
        let interval = u64::try_from(ms(self.interval)).unwrap_or(1).max(1);
        i64::try_from(hash % interval).unwrap_or(0)
    }

    /// Returns the group's last moment up to `now_ms`.
    pub(crate) fn moment(&self, now_ms: i64) -> i64 {
        let (interval, phase) = (ms(self.interval).max(1), self.phase_ms());
        now_ms - (now_ms - phase).rem_euclid(interval)
    }

    /// Evaluates all rules at one moment. Blocks. Returns the alerts to be sent.
    pub(crate) fn evaluate(&self, around: &Surroundings, at_ms: i64) -> Vec<Notice> {
        let started = Instant::now();
        let turn = Turn {
            backend: &around.backend,
            at_ms,
            query_offset_ms: ms(self.query_offset),
            limit: self.limit,
            world: &self.world,
        };
        let mut notices = Vec::new();
        let mut samples = 0;
        for rule in &self.rules {
            self.telemetry.evaluations.inc();
            if !rule.evaluate(&turn) {
                self.telemetry.failures.inc();
                continue;
            }
            let mut state = rule.state();
            samples += state.samples;
            self.telemetry.evaluation_seconds.observe(state.duration);
            if rule.rule.is_alerting() {
                let due = state.alerts.take_due(at_ms, around.resend_ms, ms(self.interval));
                notices
                    .extend(due.into_iter().map(|alert| Notice::new(alert, &rule.rule.text, &self.world.external_url)));
            }
        }
        let stale = std::mem::take(&mut self.progress().stale);
        self.end_series(around, stale, at_ms);
        if let Err(error) = around.backend.settle() {
            tracing::warn!(file = self.key.0, group = self.key.1, error, "results of rules are not on disk yet");
        }
        let duration = started.elapsed();
        self.telemetry.duration.set(duration.as_secs_f64());
        self.telemetry.durations.observe(duration);
        self.telemetry.samples.set(i64::try_from(samples).unwrap_or(i64::MAX));
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are below 2^53")]
        self.telemetry.evaluated_at.set(at_ms as f64 / 1000.0);
        let mut progress = self.progress();
        progress.evaluated_at_ms = Some(at_ms);
        progress.duration = duration;
        progress.turns += 1;
        notices
    }

    /// Writes the markers that end series; one that somebody else writes now goes on.
    fn end_series(&self, around: &Surroundings, series: Vec<Labels>, at_ms: i64) {
        if series.is_empty() {
            return;
        }
        if let Err(why) = around.backend.append(&markers(series, at_ms - ms(self.query_offset))) {
            tracing::debug!(group = self.key.1, error = why, "series of rules that are gone could not be ended");
        }
    }

    fn restore(&self, around: &Surroundings) {
        let now_ms = around.clock.now().as_millisecond();
        for rule in &self.rules {
            match restore(rule, around.backend.as_ref(), now_ms, around.bridge) {
                Ok(0) => {}
                Ok(alerts) => tracing::info!(rule = rule.rule.name(), alerts, "alerts hold since before the restart"),
                Err(error) => {
                    tracing::warn!(
                        rule = rule.rule.name(),
                        error,
                        "since when alerts hold could not be read; they begin anew"
                    );
                    rule.state().is_restored = true;
                }
            }
        }
    }
}

/// FNV-1a: the same in each process.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Wall-clock time beside time that never jumps.
struct Pace {
    wall_ms: i64,
    monotonic: Instant,
}

impl Pace {
    fn start(now_ms: i64) -> Self {
        Self { wall_ms: now_ms, monotonic: Instant::now() }
    }

    /// Returns by how much the clock was set since the last call; 0 for what clocks drift.
    fn jump(&mut self, now_ms: i64) -> i64 {
        let now = Instant::now();
        let expected = self.wall_ms + ms(now - self.monotonic);
        *self = Self { wall_ms: now_ms, monotonic: now };
        let jump = now_ms - expected;
        if jump.abs() > CLOCK_JUMP_MS { jump } else { 0 }
    }
}

/// Evaluates the group at its moments until the scope is cancelled.
pub(crate) async fn run(scope: Scope, group: Arc<ActiveGroup>, around: Arc<Surroundings>) {
    let now = || around.clock.now().as_millisecond();
    let interval = ms(group.interval).max(1);
    let mut pace = Pace::start(now());
    let mut last = group.moment(now());
    loop {
        let wait = (last + interval - now()).clamp(1, interval);
        tokio::select! {
            () = scope.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(wait.unsigned_abs())) => {}
        }
        let jump = pace.jump(now());
        if jump != 0 {
            tracing::warn!(
                group = group.key.1,
                seconds = jump / 1000,
                "the clock was set; alerts keep how long they hold"
            );
            group.rules.iter().for_each(|rule| rule.state().alerts.shift(jump));
            last = group.moment(last + jump);
        }
        let at = group.moment(now());
        if at <= last {
            continue;
        }
        let turns = (at - last) / interval;
        group.telemetry.iterations.add(turns.unsigned_abs());
        group.telemetry.missed.add((turns - 1).unsigned_abs());
        last = at;
        let permit = tokio::select! {
            () = scope.cancelled() => return,
            permit = Arc::clone(&around.permits).acquire_owned() => permit,
        };
        let (own, shared) = (Arc::clone(&group), Arc::clone(&around));
        let work = scope.spawn_blocking(move || {
            let notices = own.evaluate(&shared, at);
            // Also later: a rule that joins the group knows nothing yet.
            if own.progress().turns >= 2 {
                own.restore(&shared);
            }
            drop(permit);
            notices
        });
        match work.await {
            Ok(notices) => around.sender.send(notices),
            Err(error) => tracing::error!(group = group.key.1, %error, "the evaluation of a group broke off"),
        }
    }
}

/// Ends the series of a group that is gone: a little later, in case another one writes them now.
pub(crate) async fn end(scope: Scope, group: Arc<ActiveGroup>, around: Arc<Surroundings>) {
    let at_ms = around.clock.now().as_millisecond();
    let series = group.take_series();
    tokio::select! {
        () = scope.cancelled() => {}
        () = tokio::time::sleep(group.interval * 2) => {
            let work = scope.spawn_blocking(move || {
                group.end_series(&around, series, at_ms);
                around.backend.settle()
            });
            drop(work.await);
        }
    }
}
