//! What was decided about groups and why, kept for questions: "why was I (not) paged?".

use std::collections::VecDeque;
use std::sync::Arc;

use maru_time::Timestamp;

use crate::alert::Fingerprint;
use crate::engine::Outcome;

/// Most flushes that are kept.
const FLUSHES_MAX: usize = 5_000;
/// Most alerts that the kept flushes may name together.
const NAMED_MAX: usize = 500_000;
/// Most attempts of one message that are kept: the first ones and the last.
const ATTEMPTS_MAX: usize = 8;

/// Why a receiver is told, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It was never told of this group.
    FirstNotification,
    /// An alert fires that it was not told of.
    NewAlerts,
    /// An alert is over that it was told of.
    NewResolved,
    /// All alerts that it was told of are over.
    AllResolved,
    /// It was told long ago.
    Repeat,
    /// It was told of all this already.
    NothingNew,
    /// All alerts were over before anything was told.
    NothingToTell,
    /// All alerts are over, and it does not want to know (`send_resolved: false`).
    ResolvedUntold,
}

impl Decision {
    /// Tells whether a message goes out.
    #[must_use]
    pub fn sends(self) -> bool {
        match self {
            Self::FirstNotification | Self::NewAlerts | Self::NewResolved | Self::AllResolved | Self::Repeat => true,
            Self::NothingNew | Self::NothingToTell | Self::ResolvedUntold => false,
        }
    }

    /// Says it to a person.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::FirstNotification => "first notification of the group",
            Self::NewAlerts => "an alert fires that was not told of yet",
            Self::NewResolved => "an alert is over that was told of",
            Self::AllResolved => "all alerts are over",
            Self::Repeat => "repeat_interval is over",
            Self::NothingNew => "all of it was told already, and repeat_interval is not over",
            Self::NothingToTell => "all alerts were over before anything was told",
            Self::ResolvedUntold => "all alerts are over, and send_resolved is false",
        }
    }
}

/// Why an alert was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suppressed {
    /// Another alert fires.
    InhibitedBy(Fingerprint),
    /// Silences hold.
    SilencedBy(Vec<String>),
}

/// One try to send a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// What came of it.
    pub answer: String,
}

/// What was decided about one integration.
#[derive(Debug, Clone)]
pub struct IntegrationRecord {
    /// Its number in the receiver.
    pub index: usize,
    /// Its kind.
    pub kind: &'static str,
    /// Why it was told, or not.
    pub decision: Decision,
    /// What became of the message; nothing while it is under way or when there is none.
    pub delivered: Option<bool>,
    /// Whether a message is under way.
    pub under_way: bool,
    /// How many attempts there were.
    pub attempt_count: usize,
    /// The first and the last attempts.
    pub attempts: Vec<Attempt>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl IntegrationRecord {
    pub(crate) fn new(index: usize, kind: &'static str, decision: Decision, under_way: bool) -> Self {
        Self {
            index,
            kind,
            decision,
            delivered: None,
            under_way,
            attempt_count: 0,
            attempts: Vec::new(),
            ended_at: None,
        }
    }
}

/// What was decided about a group at one time, or at several times alike.
#[derive(Debug, Clone)]
pub struct FlushRecord {
    pub(crate) flush: u64,
    /// When first.
    pub at: Timestamp,
    /// When last.
    pub last_at: Timestamp,
    /// How often.
    pub times: u64,
    /// The group's key.
    pub group: Arc<str>,
    /// The node.
    pub route: usize,
    /// The receiver.
    pub receiver: String,
    /// The group's alerts, sorted.
    pub alerts: Arc<[Fingerprint]>,
    /// The times because of which nothing was sent.
    pub muted_by: Vec<String>,
    /// The alerts that were left out.
    pub suppressed: Vec<(Fingerprint, Suppressed)>,
    /// What was decided about each integration.
    pub integrations: Vec<IntegrationRecord>,
}

impl FlushRecord {
    fn is_like(&self, other: &Self) -> bool {
        let quiet = |record: &Self| record.integrations.iter().all(|one| !one.under_way && one.delivered.is_none());
        let decisions = |record: &Self| record.integrations.iter().map(|one| one.decision).collect::<Vec<_>>();
        self.group == other.group
            && self.receiver == other.receiver
            && self.alerts == other.alerts
            && self.muted_by == other.muted_by
            && self.suppressed == other.suppressed
            && quiet(self)
            && quiet(other)
            && decisions(self) == decisions(other)
    }
}

/// The last decisions about all groups.
#[derive(Debug, Default)]
pub(crate) struct History {
    flushes: VecDeque<FlushRecord>,
    /// How many alerts they name.
    named: usize,
}

impl History {
    /// Takes a decision; one like the group's last only counts.
    pub(crate) fn add(&mut self, record: FlushRecord) {
        let recent = self.flushes.iter_mut().rev().take(1000).find(|known| known.group == record.group);
        if let Some(known) = recent.filter(|known| known.is_like(&record)) {
            known.last_at = record.at;
            known.times += 1;
            return;
        }
        self.named += record.alerts.len();
        while self.flushes.len() >= FLUSHES_MAX || self.named > NAMED_MAX {
            let Some(oldest) = self.flushes.pop_front() else { break };
            self.named -= oldest.alerts.len();
        }
        self.flushes.push_back(record);
    }

    pub(crate) fn sent(&mut self, flush: u64, integration: usize, outcome: &Outcome, now: Timestamp) {
        let record = self.flushes.iter_mut().rev().find(|record| record.flush == flush);
        let found = record.and_then(|record| record.integrations.iter_mut().find(|one| one.index == integration));
        let Some(found) = found else { return };
        found.under_way = false;
        found.delivered = Some(outcome.delivered);
        found.ended_at = Some(now);
        found.attempt_count = outcome.attempts.len();
        let half = ATTEMPTS_MAX / 2;
        found.attempts = outcome.attempts.clone();
        if found.attempts.len() > ATTEMPTS_MAX {
            found.attempts.drain(half..outcome.attempts.len() - half);
        }
    }

    /// Returns the decisions about groups that held an alert, oldest first.
    pub(crate) fn of(&self, fingerprint: Fingerprint) -> impl Iterator<Item = &FlushRecord> {
        self.flushes.iter().filter(move |record| record.alerts.binary_search(&fingerprint).is_ok())
    }
}
