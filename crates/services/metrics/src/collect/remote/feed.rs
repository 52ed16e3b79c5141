//! What waits to be sent to one server, and how far sending is on disk.
//!
//! The note on disk names a moment: every stored sample that was not sent is newer. It is written before a sample that would
//! contradict it is acknowledged to whoever wrote it, so that a process may be killed at any moment.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use maru_prom::Labels;
use maru_series::{Follower, SeriesRef, SeriesStore, Taken};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Samples that wait in memory; of more only the times are kept, and the samples are read from the store later.
const WAITING_MAX: usize = 200_000;
/// What waits longer in memory is read from the store later: a series may be forgotten by its number, not by its samples.
const WAITING_TIME_MAX: Duration = Duration::from_mins(10);
/// The note is this much older than need be while samples come: those that are a little late do not change it.
const SLACK_MS: i64 = 2000;

/// Two moments in milliseconds since 1970, both inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
}

impl Span {
    pub(super) fn at(at_ms: i64) -> Self {
        Self { first_ms: at_ms, last_ms: at_ms }
    }

    fn join(&mut self, other: Self) {
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
    }
}

/// What has to be read from the store again.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// Of all series.
    pub(super) all: Option<Span>,
    /// Of these.
    pub(super) series: HashMap<Labels, Span>,
}

impl Behind {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_none() && self.series.is_empty()
    }

    fn first_ms(&self) -> Option<i64> {
        self.all.iter().chain(self.series.values()).map(|span| span.first_ms).min()
    }
}

/// What is to be sent next.
#[derive(Debug)]
pub(super) enum Next {
    /// From the store.
    Stored(Behind),
    /// As it came, in this order.
    Fresh(Vec<Arc<Taken>>),
    Nothing,
}

/// When something is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// More may come.
    Between,
    /// Nothing comes any more.
    Last,
}

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Feed {
    file: PathBuf,
    state: Mutex<State>,
    /// Told when so many samples wait that a request is full.
    pub(super) full: Notify,
    full_at: usize,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Arc<Taken>>,
    waiting_samples: usize,
    /// Since when something waits without a pause.
    waiting_since: Instant,
    /// What did not fit, before `waiting`.
    over: BTreeMap<SeriesRef, Span>,
    behind: Behind,
    /// The oldest of what is being sent.
    sending_ms: Option<i64>,
    /// The newest of what was sent.
    sent_ms: i64,
    /// What the note says.
    noted_ms: i64,
}

impl State {
    /// Returns the moment after which everything is that was not sent.
    fn position_ms(&self) -> i64 {
        let waiting = self.waiting.iter().flat_map(|taken| taken.times().map(|(_, at)| at)).min();
        let over = self.over.values().map(|span| span.first_ms).min();
        let oldest = [waiting, over, self.behind.first_ms(), self.sending_ms].into_iter().flatten().min();
        oldest.map_or(self.sent_ms, |oldest| oldest.saturating_sub(1).min(self.sent_ms))
    }

    fn fold(&mut self) {
        for taken in std::mem::take(&mut self.waiting) {
            for (series, at) in taken.times() {
                self.over.entry(series).or_insert(Span::at(at)).join(Span::at(at));
            }
        }
        self.waiting_samples = 0;
    }
}

impl Feed {
    /// Goes on from the note; without one that can be read, from `since_ms`.
    pub(super) fn open(file: PathBuf, since_ms: i64, now_ms: i64, full_at: usize) -> Arc<Self> {
        let noted = std::fs::read_to_string(&file)
            .ok()
            .and_then(|text| serde_json::from_str::<Value>(&text).ok()?["position_ms"].as_i64());
        // A clock that was ahead must not keep anything back.
        let position_ms = noted.unwrap_or(since_ms).min(now_ms);
        if noted != Some(position_ms) {
            write(&file, position_ms);
        }
        let state = State {
            waiting: VecDeque::new(),
            waiting_samples: 0,
            waiting_since: Instant::now(),
            over: BTreeMap::new(),
            behind: Behind::default(),
            sending_ms: None,
            sent_ms: position_ms,
            noted_ms: position_ms,
        };
        Arc::new(Self { file, state: Mutex::new(state), full: Notify::new(), full_at })
    }

    /// Hears of what the store takes in from now on; what it has already and was not sent is read first.
    pub(super) fn start(self: &Arc<Self>, store: &SeriesStore) {
        let follower: Arc<dyn Follower> = Arc::clone(self) as Arc<dyn Follower>;
        // Under the lock and in this order: a batch may be in both, in neither is none.
        let mut state = self.state();
        store.follow(&follower);
        let newest_ms = store.newest_ms().unwrap_or(i64::MIN);
        let first_ms = state.sent_ms.saturating_add(1);
        if newest_ms >= first_ms {
            state.behind.all = Some(Span { first_ms, last_ms: newest_ms });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is next, of what is fresh so many samples and the rest of their batch.
    pub(super) fn next(&self, store: &SeriesStore, samples_max: usize) -> Next {
        self.name(store);
        let mut state = self.state();
        if !state.behind.is_empty() {
            state.sending_ms = state.behind.first_ms();
            return Next::Stored(std::mem::take(&mut state.behind));
        }
        let mut batches = Vec::new();
        let mut samples = 0;
        while samples < samples_max
            && let Some(taken) = state.waiting.pop_front()
        {
            samples += taken.len();
            batches.push(taken);
        }
        state.waiting_samples = state.waiting_samples.saturating_sub(samples);
        state.waiting_since = Instant::now();
        state.sending_ms = batches.iter().flat_map(|taken| taken.times().map(|(_, at)| at)).min();
        if batches.is_empty() { Next::Nothing } else { Next::Fresh(batches) }
    }

    /// Gives series whose samples did not fit their names, as long as the store knows them.
    pub(super) fn name(&self, store: &SeriesStore) {
        let mut state = self.state();
        for (series, span) in std::mem::take(&mut state.over) {
            let labels = store.labels(series);
            if !labels.is_empty() {
                state.behind.series.entry(labels).or_insert(span).join(span);
            }
        }
    }

    /// The server takes nothing: when that goes on for long, nothing waits in memory that can be read again.
    pub(super) fn settle(&self, store: &SeriesStore) {
        let mut state = self.state();
        if state.waiting_since.elapsed() > WAITING_TIME_MAX {
            state.fold();
            drop(state);
            self.name(store);
        }
    }

    /// Returns how many batches wait.
    pub(super) fn batches(&self) -> usize {
        self.state().waiting.len()
    }

    /// Returns how many samples wait in memory.
    pub(super) fn samples(&self) -> usize {
        self.state().waiting_samples
    }

    /// What is being sent has arrived up to a moment; `rest_ms` is the oldest of what has not.
    pub(super) fn sent(&self, newest_ms: Option<i64>, rest_ms: Option<i64>, now_ms: i64) {
        let mut state = self.state();
        state.sending_ms = rest_ms;
        if let Some(newest_ms) = newest_ms {
            state.sent_ms = state.sent_ms.max(newest_ms.min(now_ms));
        }
    }

    /// Returns up to when everything was sent.
    pub(super) fn position_ms(&self) -> i64 {
        self.state().position_ms()
    }

    /// Puts on disk how far sending is.
    pub(super) fn note(&self, moment: Moment) {
        let mut state = self.state();
        let position_ms = state.position_ms();
        let slack_ms = if moment == Moment::Last { 0 } else { SLACK_MS };
        let noted_ms = position_ms.saturating_sub(slack_ms);
        // It never goes back here: what comes late has moved it already.
        if noted_ms > state.noted_ms {
            write(&self.file, noted_ms);
            state.noted_ms = noted_ms;
        }
    }
}

impl Follower for Feed {
    fn follow(&self, taken: &Arc<Taken>) {
        let mut state = self.state();
        let oldest = taken.times().map(|(_, at)| at).min();
        if let Some(oldest_ms) = oldest
            && oldest_ms <= state.noted_ms
        {
            state.noted_ms = oldest_ms.saturating_sub(1);
            write(&self.file, state.noted_ms);
        }
        if state.waiting.is_empty() {
            state.waiting_since = Instant::now();
        }
        state.waiting_samples += taken.len();
        state.waiting.push_back(Arc::clone(taken));
        if state.waiting_samples > WAITING_MAX {
            state.fold();
        }
        if state.waiting_samples >= self.full_at {
            self.full.notify_one();
        }
    }
}

/// Puts a position on disk, whole or not at all. It does not wait for the disk: a kill does not harm what the system has.
fn write(file: &Path, position_ms: i64) {
    let write = || -> std::io::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let next = file.with_extension("new");
        std::fs::write(&next, json!({"position_ms": position_ms}).to_string())?;
        std::fs::rename(next, file)
    };
    if let Err(error) = write() {
        tracing::warn!(file = %file.display(), %error, "how far samples were sent cannot be noted");
    }
}
