//! The state machine: alerts and time come in, notifications and records come out. It does no IO and reads no clock, so that
//! a rehearsal runs the same code. Long because the life of a group is told in one place.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use maru_prom::Labels;
use maru_time::Timestamp;

use crate::alert::{Alert, Fingerprint};
use crate::inhibit::{Inhibited, Inhibitor};
use crate::plan::{FLUSH_TIME_MIN, Plan};
use crate::silence::{Silence, SilenceError, Silences};
use crate::trace::{Attempt, Decision, FlushRecord, History, IntegrationRecord, Suppressed};

/// How the engine keeps what it knows.
#[derive(Debug, Clone, Copy)]
pub struct EngineLimits {
    /// How long expired silences and the notification log are kept.
    pub retention: Duration,
    /// How long alerts that are over are kept for questions about them.
    pub history: Duration,
    /// Most alerts that are kept, also those that are over.
    pub alerts_max: usize,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(120 * 3600),
            history: Duration::from_secs(24 * 3600),
            alerts_max: 1_000_000,
        }
    }
}

/// Something that must outlive the process.
#[derive(Debug, Clone)]
pub enum Record {
    /// A silence as it is now.
    Silence(Silence),
    /// What a receiver was told last about a group.
    Notified(LogKey, LogEntry),
    /// An alert that is new, has other texts, or is over.
    Alert(Alert),
    /// An alert is over: those who wanted to know were told.
    Over(Fingerprint),
}

/// Which group and which integration of a receiver.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogKey {
    /// The group's key.
    pub group: Arc<str>,
    /// `name/kind/number`.
    pub integration: Arc<str>,
}

/// What was told last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The alerts that fired, sorted.
    pub firing: Vec<Fingerprint>,
    /// The alerts that were over, sorted.
    pub resolved: Vec<Fingerprint>,
    /// When.
    pub at: Timestamp,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
}

/// A group of alerts at a node.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) route: usize,
    pub(crate) labels: Labels,
    pub(crate) key: Arc<str>,
    pub(crate) alerts: BTreeSet<Fingerprint>,
    next_flush: Timestamp,
    has_flushed: bool,
    /// The flush that is under way.
    flight: Option<Flight>,
}

impl Group {
    /// Tells whether nothing was looked at yet.
    pub(crate) fn is_new(&self) -> bool {
        !self.has_flushed
    }

    pub(crate) fn next_flush(&self) -> Timestamp {
        self.next_flush
    }
}

/// A look at a group.
struct Flush {
    number: u64,
    id: GroupId,
    route: usize,
    key: Arc<str>,
    labels: Labels,
}

#[derive(Debug)]
struct Flight {
    number: u64,
    pending: usize,
    failed: bool,
    /// Those that were over, with the time of the version that was told.
    resolved: Vec<(Fingerprint, Timestamp)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupId(u64);

/// An alert with the groups that it is in.
#[derive(Debug)]
struct Entry {
    alert: Alert,
    groups: Vec<GroupId>,
    /// Whether its end was told.
    is_over: bool,
}

/// A message to be sent, until its deadline.
#[derive(Debug, Clone)]
pub struct Dispatch {
    /// Which flush it belongs to.
    pub flush: u64,
    /// The group.
    pub(crate) group: GroupId,
    /// The plan that it was made by.
    pub plan: Arc<Plan>,
    /// The receiver's number in the plan.
    pub receiver: usize,
    /// The integration's number in the receiver.
    pub integration: usize,
    /// The group's key.
    pub group_key: Arc<str>,
    /// The labels that all alerts of the group share by its making.
    pub group_labels: Labels,
    /// What is told.
    pub alerts: Arc<[Alert]>,
    /// The time that alerts are judged by.
    pub now: Timestamp,
    /// Until when it may be tried.
    pub deadline: Timestamp,
    /// Why it is sent.
    pub reason: Decision,
    entry: LogEntry,
}

impl Dispatch {
    /// Returns the receiver's name.
    #[must_use]
    pub fn receiver_name(&self) -> &str {
        &self.plan.receivers[self.receiver].name
    }
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it arrived.
    pub delivered: bool,
    /// All attempts.
    pub attempts: Vec<Attempt>,
}

/// The state machine.
#[derive(Debug)]
pub struct Engine {
    pub(crate) plan: Arc<Plan>,
    limits: EngineLimits,
    alerts: BTreeMap<Fingerprint, Entry>,
    groups: BTreeMap<GroupId, Group>,
    by_labels: BTreeMap<(usize, Labels), GroupId>,
    timers: BTreeSet<(Timestamp, GroupId)>,
    log: BTreeMap<LogKey, LogEntry>,
    silences: Silences,
    inhibitor: Inhibitor,
    pub(crate) history: History,
    records: Vec<Record>,
    next_id: u64,
    next_collection: Timestamp,
    immediate: VecDeque<GroupId>,
}

const COLLECTION_INTERVAL: Duration = Duration::from_secs(15 * 60);

fn after(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

impl Engine {
    /// Starts with nothing.
    #[must_use]
    pub fn new(plan: Arc<Plan>, limits: EngineLimits) -> Self {
        Self {
            inhibitor: Inhibitor::new(Arc::clone(&plan)),
            plan,
            limits,
            alerts: BTreeMap::new(),
            groups: BTreeMap::new(),
            by_labels: BTreeMap::new(),
            timers: BTreeSet::new(),
            log: BTreeMap::new(),
            silences: Silences::default(),
            history: History::default(),
            records: Vec::new(),
            next_id: 0,
            next_collection: Timestamp::MIN,
            immediate: VecDeque::new(),
        }
    }

    /// Takes what was written down before. Alerts that fired get the time that their senders need to say it again.
    pub fn restore(&mut self, record: Record, now: Timestamp) {
        match record {
            Record::Silence(silence) => self.silences.restore(silence),
            Record::Notified(key, entry) => {
                self.log.insert(key, entry);
            }
            Record::Alert(alert) => {
                let fingerprint = alert.fingerprint();
                self.inhibitor.add(&alert.labels, fingerprint);
                self.alerts.insert(fingerprint, Entry { alert, groups: Vec::new(), is_over: false });
            }
            Record::Over(fingerprint) => {
                if let Some(entry) = self.alerts.get_mut(&fingerprint) {
                    entry.is_over = true;
                }
            }
        }
        self.next_collection = after(now, COLLECTION_INTERVAL);
    }

    /// Puts restored alerts into their groups; called once when all records are there. Those that were over stay over;
    /// of the others nobody heard while nobody listened.
    pub fn restored(&mut self, now: Timestamp) {
        let grace = after(now, self.plan.resolve_timeout);
        let fingerprints: Vec<Fingerprint> = self.alerts.keys().copied().collect();
        for fingerprint in fingerprints {
            let Some(entry) = self.alerts.get_mut(&fingerprint) else { continue };
            let fired = !entry.is_over && entry.alert.ends_at > entry.alert.updated_at;
            if fired && entry.alert.ends_at < grace {
                entry.alert.ends_at = grace;
                entry.alert.timeout = true;
            }
            if !entry.is_over {
                self.route(fingerprint, now);
            }
        }
        // Groups that were told of already go on in their rhythm: senders get the time to say their alerts again.
        let told: BTreeSet<&Arc<str>> = self.log.keys().map(|key| &key.group).collect();
        for (id, group) in &mut self.groups {
            if told.contains(&group.key) {
                self.timers.remove(&(group.next_flush, *id));
                group.has_flushed = true;
                group.next_flush = after(now, self.plan.routes[group.route].group_interval);
                self.timers.insert((group.next_flush, *id));
            }
        }
    }

    /// Returns what must be written down since the last call.
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// Takes back records that could not be written.
    pub(crate) fn give_back(&mut self, mut records: Vec<Record>) {
        records.append(&mut self.records);
        self.records = records;
    }

    /// Returns all that must be known to go on: what a compacted log holds.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Record> {
        let silences = self.silences.iter().cloned().map(Record::Silence);
        let log = self.log.iter().map(|(key, entry)| Record::Notified(key.clone(), entry.clone()));
        let alerts = self.alerts.iter().flat_map(|(fingerprint, entry)| {
            let over = entry.is_over.then_some(Record::Over(*fingerprint));
            [Record::Alert(entry.alert.clone())].into_iter().chain(over)
        });
        silences.chain(log).chain(alerts).collect()
    }

    /// Takes an alert that came in.
    pub fn post(&mut self, posted: Alert, now: Timestamp) {
        let fingerprint = posted.fingerprint();
        if let Some(entry) = self.alerts.get_mut(&fingerprint) {
            let was_resolved = entry.alert.is_resolved(now);
            let merged = Alert::merged(&entry.alert, posted, now);
            let is_news = was_resolved != merged.is_resolved(now)
                || merged.annotations != entry.alert.annotations
                || merged.generator_url != entry.alert.generator_url;
            entry.alert = merged;
            entry.is_over &= was_resolved && entry.alert.is_resolved(now);
            // All groups still hold it, or its end was told: nothing to route.
            let is_routed = !entry.groups.is_empty() || entry.is_over;
            if is_news {
                self.records.push(Record::Alert(entry.alert.clone()));
            }
            if was_resolved && is_news {
                self.inhibitor.add(&entry.alert.labels, fingerprint);
            }
            if is_routed {
                return;
            }
        } else {
            if self.alerts.len() >= self.limits.alerts_max {
                self.forget_oldest(now);
            }
            self.records.push(Record::Alert(posted.clone()));
            self.inhibitor.add(&posted.labels, fingerprint);
            self.alerts.insert(fingerprint, Entry { alert: posted, groups: Vec::new(), is_over: false });
        }
        self.route(fingerprint, now);
    }

    fn route(&mut self, fingerprint: Fingerprint, now: Timestamp) {
        let Some(entry) = self.alerts.get(&fingerprint) else { return };
        let (labels, starts_at) = (entry.alert.labels.clone(), entry.alert.starts_at);
        let mut groups = Vec::new();
        for route in self.plan.routes_of(&labels) {
            let group_labels = self.plan.group_labels(route, &labels);
            let id = self.group(route, group_labels, now);
            groups.push(id);
            let wait = self.plan.routes[route].group_wait;
            let Some(group) = self.groups.get_mut(&id) else { continue };
            group.alerts.insert(fingerprint);
            // It fires for longer already than the group would wait.
            if !group.has_flushed && after(starts_at, wait) < now && group.next_flush > now {
                self.timers.remove(&(group.next_flush, id));
                group.next_flush = now;
                self.timers.insert((now, id));
            }
        }
        if let Some(entry) = self.alerts.get_mut(&fingerprint) {
            entry.groups = groups;
        }
    }

    fn group(&mut self, route: usize, labels: Labels, now: Timestamp) -> GroupId {
        let index = (route, labels);
        if let Some(id) = self.by_labels.get(&index) {
            return *id;
        }
        self.next_id += 1;
        let id = GroupId(self.next_id);
        let node = &self.plan.routes[route];
        let next_flush = after(now, node.group_wait);
        let key = group_key(&node.key, &index.1);
        self.groups.insert(
            id,
            Group {
                route,
                labels: index.1.clone(),
                key,
                alerts: BTreeSet::new(),
                next_flush,
                has_flushed: false,
                flight: None,
            },
        );
        self.timers.insert((next_flush, id));
        self.by_labels.insert(index, id);
        id
    }

    /// Returns when the engine wants to be called again.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Does what is due and returns the messages to send.
    pub fn advance(&mut self, now: Timestamp) -> Vec<Dispatch> {
        let mut dispatches = Vec::new();
        while let Some((at, id)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, id));
            self.due(id, now, &mut dispatches);
        }
        if now >= self.next_collection {
            self.collect(now);
        }
        dispatches
    }

    fn due(&mut self, id: GroupId, now: Timestamp, dispatches: &mut Vec<Dispatch>) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if group.flight.is_some() {
            // The last flush is not over. Its end looks again at once.
            self.immediate.push_back(id);
            return;
        }
        if group.alerts.is_empty() {
            let index = (group.route, group.labels.clone());
            self.by_labels.remove(&index);
            self.groups.remove(&id);
            return;
        }
        group.has_flushed = true;
        group.next_flush = after(now, self.plan.routes[group.route].group_interval);
        self.timers.insert((group.next_flush, id));
        self.flush(id, now, dispatches);
    }

    fn flush(&mut self, id: GroupId, now: Timestamp, dispatches: &mut Vec<Dispatch>) {
        self.next_id += 1;
        let number = self.next_id;
        let Some(group) = self.groups.get(&id) else { return };
        let route = &self.plan.routes[group.route];
        let plan = Arc::clone(&self.plan);
        let receiver = &plan.receivers[route.receiver];
        let mut alerts: Vec<&Alert> = group
            .alerts
            .iter()
            .filter_map(|fingerprint| self.alerts.get(fingerprint))
            .map(|entry| &entry.alert)
            .collect();
        let job = |alert: &Alert, name: &str| alert.labels.get(name).unwrap_or_default().to_owned();
        alerts.sort_by_cached_key(|alert| (job(alert, "job"), job(alert, "instance"), alert.labels.clone()));
        let resolved: Vec<(Fingerprint, Timestamp)> = alerts
            .iter()
            .filter(|alert| alert.is_resolved(now))
            .map(|alert| (alert.fingerprint(), alert.updated_at))
            .collect();
        let muted_by = self.plan.muted_by(group.route, now);
        let mut suppressed = Vec::new();
        let mut told = Vec::new();
        for alert in alerts {
            match self.suppression(&alert.labels, now) {
                _ if !muted_by.is_empty() => {}
                Some(why) => suppressed.push((alert.fingerprint(), why)),
                None => told.push(alert.clone()),
            }
        }
        let mut record = FlushRecord {
            flush: number,
            at: now,
            last_at: now,
            times: 1,
            group: Arc::clone(&group.key),
            route: group.route,
            receiver: receiver.name.clone(),
            alerts: group.alerts.iter().copied().collect(),
            muted_by,
            suppressed,
            integrations: Vec::new(),
        };
        let before = dispatches.len();
        if !told.is_empty() {
            let flush =
                Flush { number, id, route: group.route, key: Arc::clone(&group.key), labels: group.labels.clone() };
            for index in 0..receiver.integrations.len() {
                self.tell(&flush, index, &told, now, &mut record, dispatches);
            }
        }
        let pending = dispatches.len() - before;
        self.history.add(record);
        if let Some(group) = self.groups.get_mut(&id) {
            group.flight = Some(Flight { number, pending, failed: false, resolved });
            if pending == 0 {
                self.land(id, now, dispatches);
            }
        }
    }

    /// Decides about one integration of the receiver, and makes its message.
    fn tell(
        &mut self,
        flush: &Flush,
        index: usize,
        told: &[Alert],
        now: Timestamp,
        record: &mut FlushRecord,
        dispatches: &mut Vec<Dispatch>,
    ) {
        let route = &self.plan.routes[flush.route];
        let receiver = &self.plan.receivers[route.receiver];
        let integration = &receiver.integrations[index];
        let key = log_key(&flush.key, &receiver.name, integration.kind.name(), index);
        let of = |wanted: bool| {
            let mut found: Vec<Fingerprint> =
                told.iter().filter(|alert| alert.is_resolved(now) == wanted).map(Alert::fingerprint).collect();
            found.sort_unstable();
            found
        };
        let repeat = route.repeat_interval;
        let expires_at = after(now, (repeat * 2).min(self.limits.retention).max(repeat));
        let entry = LogEntry { firing: of(false), resolved: of(true), at: now, expires_at };
        let known = self.log.get(&key).filter(|known| known.expires_at > now);
        let reason = decide(known, &entry, integration.send_resolved, repeat);
        let mut alerts: Arc<[Alert]> = Arc::from([]);
        if reason.sends() {
            let wanted = told.iter().filter(|alert| integration.send_resolved || !alert.is_resolved(now));
            alerts = wanted.cloned().collect();
        }
        let is_sent = !alerts.is_empty();
        let decision = if reason.sends() && !is_sent { Decision::ResolvedUntold } else { reason };
        record.integrations.push(IntegrationRecord::new(index, integration.kind.name(), decision, is_sent));
        if is_sent {
            dispatches.push(Dispatch {
                flush: flush.number,
                group: flush.id,
                plan: Arc::clone(&self.plan),
                receiver: route.receiver,
                integration: index,
                group_key: Arc::clone(&flush.key),
                group_labels: flush.labels.clone(),
                alerts,
                now,
                deadline: after(now, route.group_interval.max(FLUSH_TIME_MIN)),
                reason,
                entry,
            });
        } else if reason.sends() {
            self.records.push(Record::Notified(key.clone(), entry.clone()));
            self.log.insert(key, entry);
        }
    }

    /// Returns why an alert is not told.
    fn suppression(&self, labels: &Labels, now: Timestamp) -> Option<Suppressed> {
        if let Some(inhibited) = self.inhibited(labels, now) {
            return Some(Suppressed::InhibitedBy(inhibited.by));
        }
        let silences: Vec<String> = self.silences.matching(labels, now).into_iter().map(str::to_owned).collect();
        (!silences.is_empty()).then_some(Suppressed::SilencedBy(silences))
    }

    /// Returns what inhibits labels.
    pub(crate) fn inhibited(&self, labels: &Labels, now: Timestamp) -> Option<Inhibited> {
        self.inhibitor.inhibited(labels, now, &|fingerprint| self.alerts.get(&fingerprint).map(|entry| &entry.alert))
    }

    /// Takes what became of a message, and returns what may be sent now that it ended.
    pub fn sent(&mut self, dispatch: &Dispatch, outcome: &Outcome, now: Timestamp) -> Vec<Dispatch> {
        let receiver = &dispatch.plan.receivers[dispatch.receiver];
        let kind = receiver.integrations[dispatch.integration].kind.name();
        if outcome.delivered {
            let key = log_key(&dispatch.group_key, &receiver.name, kind, dispatch.integration);
            self.records.push(Record::Notified(key.clone(), dispatch.entry.clone()));
            self.log.insert(key, dispatch.entry.clone());
        }
        self.history.sent(dispatch.flush, dispatch.integration, outcome, now);
        let mut dispatches = Vec::new();
        let Some(group) = self.groups.get_mut(&dispatch.group) else { return dispatches };
        let Some(flight) = group.flight.as_mut().filter(|flight| flight.number == dispatch.flush) else {
            return dispatches;
        };
        flight.pending = flight.pending.saturating_sub(1);
        flight.failed |= !outcome.delivered;
        if flight.pending == 0 {
            self.land(dispatch.group, now, &mut dispatches);
        }
        dispatches
    }

    /// Ends a flush: what was told to be over is forgotten by the group.
    fn land(&mut self, id: GroupId, now: Timestamp, dispatches: &mut Vec<Dispatch>) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let Some(flight) = group.flight.take() else { return };
        if !flight.failed {
            for (fingerprint, updated_at) in flight.resolved {
                let Some(entry) = self.alerts.get_mut(&fingerprint) else {
                    group.alerts.remove(&fingerprint);
                    continue;
                };
                if entry.alert.updated_at == updated_at {
                    group.alerts.remove(&fingerprint);
                    entry.groups.retain(|of| *of != id);
                    if !entry.groups.is_empty() {
                        continue;
                    }
                    entry.is_over = true;
                    self.records.push(Record::Over(fingerprint));
                    let labels = entry.alert.labels.clone();
                    self.inhibitor.remove(&labels, fingerprint);
                }
            }
        }
        if let Some(waiting) = self.immediate.iter().position(|waiting| *waiting == id) {
            self.immediate.remove(waiting);
            self.due(id, now, dispatches);
        }
    }

    /// Takes another configuration. Groups that it makes alike keep their timers, the log keeps what was told.
    pub fn reload(&mut self, plan: Arc<Plan>, now: Timestamp) {
        self.plan = Arc::clone(&plan);
        self.inhibitor = Inhibitor::new(plan);
        let mut kept: BTreeMap<Arc<str>, VecDeque<(GroupId, Group)>> = BTreeMap::new();
        for (id, group) in std::mem::take(&mut self.groups) {
            kept.entry(Arc::clone(&group.key)).or_default().push_back((id, group));
        }
        self.by_labels.clear();
        self.timers.clear();
        self.immediate.clear();
        let alerts: Vec<(Fingerprint, Labels, bool)> = self
            .alerts
            .iter_mut()
            .map(|(fingerprint, entry)| {
                let was_routed = !std::mem::take(&mut entry.groups).is_empty();
                (*fingerprint, entry.alert.labels.clone(), was_routed || !entry.alert.is_resolved(now))
            })
            .collect();
        for (fingerprint, labels, routed) in alerts {
            self.inhibitor.add(&labels, fingerprint);
            if routed {
                self.route(fingerprint, now);
            }
        }
        self.adopt(kept, now);
    }

    /// Lets new groups go on where old ones of the same key were: identity, rhythm, and the message under way.
    fn adopt(&mut self, mut kept: BTreeMap<Arc<str>, VecDeque<(GroupId, Group)>>, now: Timestamp) {
        let mut renamed = BTreeMap::new();
        for (new_id, mut group) in std::mem::take(&mut self.groups) {
            let old = kept.get_mut(&group.key).and_then(VecDeque::pop_front);
            let Some((id, old)) = old else {
                self.groups.insert(new_id, group);
                continue;
            };
            self.timers.remove(&(group.next_flush, new_id));
            group.next_flush = if old.has_flushed {
                let latest = after(now, self.plan.routes[group.route].group_interval);
                old.next_flush.min(latest).max(now)
            } else {
                old.next_flush.min(group.next_flush)
            };
            group.has_flushed = old.has_flushed;
            group.flight = old.flight;
            self.timers.insert((group.next_flush, id));
            self.by_labels.insert((group.route, group.labels.clone()), id);
            self.groups.insert(id, group);
            renamed.insert(new_id, id);
        }
        for entry in self.alerts.values_mut() {
            for id in &mut entry.groups {
                *id = renamed.get(id).copied().unwrap_or(*id);
            }
        }
    }

    /// Forgets what is over for long.
    fn collect(&mut self, now: Timestamp) {
        self.next_collection = after(now, COLLECTION_INTERVAL);
        let history = self.limits.history;
        let gone: Vec<Fingerprint> = self
            .alerts
            .iter()
            .filter(|(_, entry)| entry.groups.is_empty() && after(entry.alert.ends_at, history) <= now)
            .map(|(fingerprint, _)| *fingerprint)
            .collect();
        for fingerprint in gone {
            self.forget(fingerprint);
        }
        self.log.retain(|_, entry| entry.expires_at > now);
        self.silences.collect(self.limits.retention, now);
    }

    fn forget(&mut self, fingerprint: Fingerprint) {
        let Some(entry) = self.alerts.remove(&fingerprint) else { return };
        self.inhibitor.remove(&entry.alert.labels, fingerprint);
        for id in entry.groups {
            if let Some(group) = self.groups.get_mut(&id) {
                group.alerts.remove(&fingerprint);
            }
        }
    }

    /// Makes room: first those that are over, then those that were not heard of for longest.
    fn forget_oldest(&mut self, now: Timestamp) {
        let mut all: Vec<(bool, Timestamp, Fingerprint)> = self
            .alerts
            .iter()
            .map(|(fingerprint, entry)| (!entry.alert.is_resolved(now), entry.alert.updated_at, *fingerprint))
            .collect();
        all.sort_unstable();
        for (.., fingerprint) in all.into_iter().take(self.limits.alerts_max / 10 + 1) {
            self.forget(fingerprint);
        }
    }

    /// Takes a silence.
    ///
    /// # Errors
    /// When it says what cannot be.
    pub fn set_silence(
        &mut self,
        silence: Silence,
        new_id: impl FnOnce() -> String,
        now: Timestamp,
    ) -> Result<String, SilenceError> {
        let (id, changed) = self.silences.set(silence, new_id, now)?;
        self.records.extend(changed.into_iter().map(Record::Silence));
        Ok(id)
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// When there is none, or it is over.
    pub fn expire_silence(&mut self, id: &str, now: Timestamp) -> Result<(), SilenceError> {
        let expired = self.silences.expire(id, now)?;
        self.records.push(Record::Silence(expired));
        Ok(())
    }

    /// Returns a silence.
    #[must_use]
    pub fn silence(&self, id: &str) -> Option<&Silence> {
        self.silences.get(id)
    }

    /// Returns all silences.
    pub fn silences(&self) -> impl Iterator<Item = &Silence> {
        self.silences.iter()
    }

    /// Returns the identities of the silences that hold for the labels.
    #[must_use]
    pub fn silenced_by(&self, labels: &Labels, now: Timestamp) -> Vec<&str> {
        self.silences.matching(labels, now)
    }

    /// Returns all alerts, also those that are over.
    pub fn alerts(&self) -> impl Iterator<Item = (Fingerprint, &Alert)> {
        self.alerts.iter().map(|(fingerprint, entry)| (*fingerprint, &entry.alert))
    }

    /// Returns an alert.
    #[must_use]
    pub fn alert(&self, fingerprint: Fingerprint) -> Option<&Alert> {
        self.alerts.get(&fingerprint).map(|entry| &entry.alert)
    }

    pub(crate) fn groups_of(&self, fingerprint: Fingerprint) -> Vec<&Group> {
        let ids = self.alerts.get(&fingerprint).map(|entry| entry.groups.as_slice()).unwrap_or_default();
        ids.iter().filter_map(|id| self.groups.get(id)).collect()
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// Returns what was told last about a group, by receiver.
    pub(crate) fn log_of<'e>(&'e self, group: &'e str) -> impl Iterator<Item = (&'e LogKey, &'e LogEntry)> {
        self.log.iter().filter(move |(key, _)| &*key.group == group)
    }
}

/// Returns the group's key: `{}/{team="db"}:{alertname="Down"}`.
pub(crate) fn group_key(route: &str, labels: &Labels) -> Arc<str> {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    Arc::from(format!("{route}:{{{}}}", pairs.join(", ")))
}

fn log_key(group: &Arc<str>, receiver: &str, kind: &str, index: usize) -> LogKey {
    LogKey { group: Arc::clone(group), integration: Arc::from(format!("{receiver}/{kind}/{index}")) }
}

/// Tells whether all of `part` is in `whole`; both sorted.
fn is_subset(part: &[Fingerprint], whole: &[Fingerprint]) -> bool {
    part.iter().all(|one| whole.binary_search(one).is_ok())
}

/// Decides whether a receiver is told.
fn decide(known: Option<&LogEntry>, now: &LogEntry, send_resolved: bool, repeat: Duration) -> Decision {
    let Some(known) = known else {
        return if now.firing.is_empty() { Decision::NothingToTell } else { Decision::FirstNotification };
    };
    if !is_subset(&now.firing, &known.firing) {
        return Decision::NewAlerts;
    }
    if now.firing.is_empty() {
        return if known.firing.is_empty() { Decision::NothingToTell } else { Decision::AllResolved };
    }
    if send_resolved && !is_subset(&now.resolved, &known.resolved) {
        return Decision::NewResolved;
    }
    if after(known.at, repeat) < now.at { Decision::Repeat } else { Decision::NothingNew }
}
