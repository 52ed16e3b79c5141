//! The head: all series in memory, their newest samples, and the index over them.
//!
//! Locks are taken in this order: the index, then pages of series (one at a time), then the chunk files and the log.

pub(crate) mod checkpoint;
pub(crate) mod chunks;
pub(crate) mod cut;
pub(crate) mod exemplars;
pub(crate) mod hash;
pub(crate) mod index;
pub(crate) mod load;
mod open;
mod order;
mod postings;
pub(crate) mod series;
pub(crate) mod tell;
pub(crate) mod value;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use maru_prom::{Labels, Matcher, Metadata};

use self::chunks::ChunkFiles;
use self::exemplars::Exemplars;
use self::hash::{Hash96, HashKey, WireTable};
use self::index::Index;
use self::order::Order;
use self::postings::PatternCache;
use self::series::{Adding, HeadSamples, Series};
use crate::block::TimeRange;
use crate::ingest::RefusalReason;
use crate::limits::{Limits, SetAside, WriteScope};
use crate::log::Log;
use crate::log::record::{self, SeriesEntry};
use crate::log::varint::put;

/// Series that share a lock.
const PAGE: usize = 256;
/// Tables of wire bytes.
const WIRE_TABLES: usize = 64;

type Slots = Vec<Option<Series>>;

/// 256 series with numbers next to each other.
#[derive(Debug, Default)]
struct Page(Mutex<Slots>);

/// A scope with what it may and did.
#[derive(Debug)]
pub(crate) struct ScopeState {
    pub(crate) labels: Labels,
    pub(crate) series_max: AtomicUsize,
    pub(crate) series: AtomicUsize,
    pub(crate) overflow_samples: AtomicU64,
    /// The series that shows `overflow_samples`; made at the first refusal.
    overflow_series: Mutex<Option<u32>>,
}

/// Keeps locks that are taken all the time in cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// See the head of the file.
#[derive(Debug)]
pub(crate) struct Head {
    key: HashKey,
    limits: Limits,
    range_ms: i64,
    late_window_ms: i64,
    index: RwLock<Index>,
    order: RwLock<Order>,
    patterns: PatternCache,
    wire: [Apart<RwLock<WireTable>>; WIRE_TABLES],
    pages: RwLock<Vec<Option<Arc<Page>>>>,
    scopes: RwLock<Vec<Arc<ScopeState>>>,
    pub(crate) files: ChunkFiles,
    metadata: RwLock<BTreeMap<String, Metadata>>,
    exemplars: Mutex<Exemplars>,
    newest_ms: AtomicI64,
    /// No sample of the head is older.
    oldest_ms: AtomicI64,
    /// What becomes `oldest_ms` when a cut is through; see [`Head::raise_oldest`].
    oldest_after_cut_ms: AtomicI64,
    samples_appended: AtomicU64,
    /// Series that are there and not retired.
    active: AtomicUsize,
    damage: Mutex<Vec<SetAside>>,
}

/// The label by which overflow is seen.
pub(crate) const OVERFLOW_LABEL: &str = "__overflow__";
/// The metric that counts samples of refused series.
pub(crate) const OVERFLOW_METRIC: &str = "maru_series_overflow_samples_total";

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Head {
    pub(crate) fn new(limits: Limits, range_ms: i64, late_window_ms: i64, files: ChunkFiles) -> Self {
        let key = HashKey::random();
        Self {
            key,
            limits,
            range_ms,
            late_window_ms,
            index: RwLock::new(Index::new(key)),
            order: RwLock::default(),
            patterns: PatternCache::default(),
            wire: std::array::from_fn(|_| Apart::default()),
            pages: RwLock::default(),
            scopes: RwLock::default(),
            files,
            metadata: RwLock::default(),
            exemplars: Mutex::default(),
            newest_ms: AtomicI64::new(i64::MIN),
            oldest_ms: AtomicI64::new(i64::MAX),
            oldest_after_cut_ms: AtomicI64::new(i64::MAX),
            samples_appended: AtomicU64::new(0),
            active: AtomicUsize::new(0),
            damage: Mutex::default(),
        }
    }

    pub(crate) fn hash(&self, raw: &[u8]) -> Hash96 {
        self.key.hash96(raw)
    }

    fn wire_table(&self, hash: Hash96) -> Option<&RwLock<WireTable>> {
        let [_, second, _] = hash;
        self.wire.get(second as usize % WIRE_TABLES).map(|table| &table.0)
    }

    /// Returns the series that these bytes stand for.
    pub(crate) fn find_wire(&self, hash: Hash96) -> Option<u32> {
        read(self.wire_table(hash)?).find(hash)
    }

    /// Remembers what bytes stand for.
    pub(crate) fn remember_wire(&self, hash: Hash96, series: u32) {
        if let Some(table) = self.wire_table(hash) {
            table.write().unwrap_or_else(PoisonError::into_inner).insert(hash, series);
        }
    }

    /// Returns the number of a scope, which is made when it is new.
    pub(crate) fn scope(&self, scope: &WriteScope, log: &Log) -> u32 {
        let number = |place: usize| u32::try_from(place).unwrap_or_default();
        let set_limit = |state: &ScopeState| {
            if let Some(max) = scope.series_max {
                state.series_max.store(max, Ordering::Relaxed);
            }
        };
        let known = read(&self.scopes);
        if let Some(place) = known.iter().position(|state| state.labels == scope.labels) {
            known.get(place).into_iter().for_each(|state| set_limit(state));
            return number(place);
        }
        drop(known);
        let mut scopes = self.scopes.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = scopes.iter().position(|state| state.labels == scope.labels) {
            return number(place);
        }
        let state = self.new_scope(scope.labels.clone());
        set_limit(&state);
        scopes.push(Arc::new(state));
        let id = number(scopes.len() - 1);
        log.name(|out| record::put_scope(out, id, &scope.labels));
        id
    }

    fn new_scope(&self, labels: Labels) -> ScopeState {
        ScopeState {
            labels,
            series_max: AtomicUsize::new(self.limits.scope_series_max),
            series: AtomicUsize::new(0),
            overflow_samples: AtomicU64::new(0),
            overflow_series: Mutex::default(),
        }
    }

    /// Makes sure that a scope has its number, as it was read back.
    fn restore_scope(&self, id: u32, labels: Labels) {
        let mut scopes = self.scopes.write().unwrap_or_else(PoisonError::into_inner);
        let id = id as usize;
        while scopes.len() < id {
            scopes.push(Arc::new(self.new_scope(Labels::empty())));
        }
        if id == scopes.len() {
            scopes.push(Arc::new(self.new_scope(labels)));
        } else if let Some(state) = scopes.get_mut(id)
            && state.labels != labels
        {
            let fresh = self.new_scope(labels);
            fresh.series.store(state.series.load(Ordering::Relaxed), Ordering::Relaxed);
            *state = Arc::new(fresh);
        }
    }

    pub(crate) fn scope_state(&self, id: u32) -> Option<Arc<ScopeState>> {
        read(&self.scopes).get(id as usize).cloned()
    }

    /// Returns the series of these labels (sorted by name, none twice), which is made when it is new and the limits allow it.
    pub(crate) fn series<'a>(
        &self,
        scope: u32,
        labels: &[(&'a str, &'a str)],
        now_s: u32,
        log: &Log,
        is_limited: bool,
    ) -> Result<u32, RefusalReason> {
        if let Some(id) = self.find(labels) {
            return Ok(id);
        }
        let limits = &self.limits;
        if labels.is_empty()
            || labels.len() > limits.labels_max
            || labels.iter().any(|(name, value)| {
                name.len() > limits.label_name_bytes_max || value.len() > limits.label_value_bytes_max
            })
        {
            return Err(RefusalReason::LabelLimit);
        }
        let state = self.scope_state(scope);
        let is_full = state
            .as_ref()
            .is_some_and(|state| state.series.load(Ordering::Relaxed) >= state.series_max.load(Ordering::Relaxed));
        if is_limited && (is_full || self.active.load(Ordering::Relaxed) >= limits.series_max) {
            return Err(RefusalReason::SeriesLimit);
        }
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let mut encoded = Vec::with_capacity(labels.len() * 4);
        let mut named = Vec::new();
        for (name, value) in labels {
            let next = index.next_pair();
            let id = index.pair_id(name, value);
            if id == next {
                record::put_pair(&mut named, id, name, value);
            }
            put(&mut encoded, u64::from(id));
        }
        let Some(made) = index.series_of_pairs(&encoded, true) else { return Err(RefusalReason::SeriesLimit) };
        if made.is_new {
            record::put_series(&mut named, &SeriesEntry { id: made.id, scope, created_s: now_s, pairs: &encoded });
            self.place(made.id, Series::new(made.id, scope, now_s));
            self.active.fetch_add(1, Ordering::Relaxed);
            state.iter().for_each(|state| {
                state.series.fetch_add(1, Ordering::Relaxed);
            });
        }
        if !named.is_empty() {
            // Under the index's lock, so that no batch that uses the names can come before them.
            log.name(|out| out.extend_from_slice(&named));
        }
        Ok(made.id)
    }

    /// Returns the series of these labels.
    pub(crate) fn find(&self, labels: &[(&str, &str)]) -> Option<u32> {
        let index = read(&self.index);
        let mut encoded = Vec::with_capacity(labels.len() * 4);
        for (name, value) in labels {
            put(&mut encoded, u64::from(index.find_pair(name, value)?));
        }
        index.find_encoded(&encoded)
    }

    /// Returns the series that counts the refused samples of a scope.
    pub(crate) fn overflow_series(&self, scope: u32, now_s: u32, log: &Log) -> Option<u32> {
        let state = self.scope_state(scope)?;
        let mut known = lock(&state.overflow_series);
        if known.is_none() {
            let mut builder = state.labels.to_builder();
            builder.set(maru_prom::METRIC_NAME, OVERFLOW_METRIC).set(OVERFLOW_LABEL, "true");
            let labels = builder.build();
            let pairs: Vec<(&str, &str)> = labels.iter().collect();
            *known = self.series(scope, &pairs, now_s, log, false).ok();
        }
        *known
    }

    /// Puts a series into its place. A place that is taken stays as it is.
    fn place(&self, id: u32, series: Series) {
        let at = id as usize / PAGE;
        let mut pages = self.pages.write().unwrap_or_else(PoisonError::into_inner);
        if pages.len() <= at {
            pages.resize_with(at + 1, || None);
        }
        let Some(page) = pages.get_mut(at) else { return };
        let mut slots = lock(&page.get_or_insert_default().0);
        let slot = id as usize % PAGE;
        if slots.len() <= slot {
            slots.resize_with(slot + 1, || None);
        }
        if let Some(slot) = slots.get_mut(slot)
            && slot.is_none()
        {
            *slot = Some(series);
        }
    }

    fn page(&self, id: u32) -> Option<Arc<Page>> {
        read(&self.pages).get(id as usize / PAGE)?.clone()
    }

    /// Does something with one series.
    pub(crate) fn with<T>(&self, id: u32, act: impl FnOnce(&mut Series) -> T) -> Option<T> {
        let page = self.page(id)?;
        let mut slots = lock(&page.0);
        slots.get_mut(id as usize % PAGE)?.as_mut().map(act)
    }

    /// Does something with series one after another; a lock serves all neighbours. Series that are gone are told as `None`.
    pub(crate) fn with_each(
        &self,
        ids: impl Iterator<Item = u32>,
        mut act: impl FnMut(usize, u32, Option<&mut Series>),
    ) {
        let pages = read(&self.pages);
        let mut held: Option<(usize, MutexGuard<'_, Slots>)> = None;
        for (place, id) in ids.enumerate() {
            let at = id as usize / PAGE;
            if held.as_ref().is_none_or(|(page, _)| *page != at) {
                drop(held.take());
                held = pages.get(at).and_then(Option::as_ref).map(|page| (at, lock(&page.0)));
            }
            let slot = held.as_mut().and_then(|(_, slots)| slots.get_mut(id as usize % PAGE)).and_then(Option::as_mut);
            act(place, id, slot);
        }
    }

    /// Does something with every series, page by page.
    pub(crate) fn for_all(&self, mut act: impl FnMut(u32, &mut Series)) {
        let count = read(&self.pages).len();
        for at in 0..count {
            let Some(page) = read(&self.pages).get(at).cloned().flatten() else { continue };
            let mut slots = lock(&page.0);
            for (slot, series) in slots.iter_mut().enumerate() {
                if let Some(series) = series {
                    act(u32::try_from(at * PAGE + slot).unwrap_or(u32::MAX), series);
                }
            }
        }
    }

    /// Makes what adding samples needs.
    pub(crate) fn adding(&self) -> Adding<'_> {
        Adding {
            files: &self.files,
            range_ms: self.range_ms,
            newest_ms: self.newest_ms(),
            late_window_ms: self.late_window_ms,
            timestamps: Vec::new(),
            values: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// Returns the newest sample's time; the least number when there is none.
    pub(crate) fn newest_ms(&self) -> i64 {
        self.newest_ms.load(Ordering::Relaxed)
    }

    /// Counts samples that were added, the oldest and the newest of which are at these moments.
    pub(crate) fn saw(&self, oldest_ms: i64, newest_ms: i64, samples: u64) {
        self.newest_ms.fetch_max(newest_ms, Ordering::Relaxed);
        // In this order: see `raise_oldest`.
        self.oldest_after_cut_ms.fetch_min(oldest_ms, Ordering::SeqCst);
        self.oldest_ms.fetch_min(oldest_ms, Ordering::SeqCst);
        self.samples_appended.fetch_add(samples, Ordering::Relaxed);
    }

    /// Tells whether there may be samples in `range` at all.
    pub(crate) fn may_have(&self, range: TimeRange) -> bool {
        self.oldest_ms.load(Ordering::SeqCst) <= range.end_ms && range.start_ms <= self.newest_ms()
    }

    /// Looks anew for the oldest sample, by `look`, while samples may be added. Whatever is added to a series that was looked at
    /// already is told to `oldest_after_cut_ms` first and to `oldest_ms` then, so that one of the two last steps here meets it.
    pub(crate) fn raise_oldest(&self, look: impl FnOnce() -> Option<i64>) {
        self.oldest_after_cut_ms.store(i64::MAX, Ordering::SeqCst);
        let oldest = look();
        self.oldest_ms.store(oldest.unwrap_or(i64::MAX), Ordering::SeqCst);
        self.oldest_ms.fetch_min(self.oldest_after_cut_ms.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// Makes a retired series one that is there again, and returns the number its labels have now.
    pub(crate) fn revive(&self, id: u32) -> u32 {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let now = index.revive(id);
        let scope = self.with(now, |series| {
            let was_retired = std::mem::take(&mut series.is_retired);
            was_retired.then_some(series.scope)
        });
        drop(index);
        if let Some(Some(scope)) = scope {
            self.active.fetch_add(1, Ordering::Relaxed);
            if let Some(state) = self.scope_state(scope) {
                state.series.fetch_add(1, Ordering::Relaxed);
            }
        }
        now
    }

    /// Returns the series that fulfil all matchers and have samples in `range`, in the order of their labels, with these and a copy
    /// of what reading needs; `Err` with how many there are when they are more than `max`.
    pub(crate) fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        max: Option<usize>,
    ) -> Result<Vec<(Labels, HeadSamples)>, usize> {
        let index = read(&self.index);
        let mut ids = postings::resolve(&index, &self.patterns, matchers);
        let mut copies = Vec::with_capacity(ids.len());
        let mut kept = Vec::with_capacity(ids.len());
        self.with_each(ids.iter().copied(), |_, id, series| {
            let Some(series) = series else { return };
            let copy = series.copy(range);
            if !copy.is_empty() {
                kept.push(id);
                copies.push(Some(copy));
            }
        });
        if max.is_some_and(|max| kept.len() > max) {
            return Err(kept.len());
        }
        ids.clone_from(&kept);
        self.sort(&index, &mut ids);
        let selected = ids.into_iter().filter_map(|id| {
            let place = kept.binary_search(&id).ok()?;
            Some((index.labels(id), copies.get_mut(place)?.take()?))
        });
        Ok(selected.collect())
    }

    /// Returns the numbers of the series that fulfil all matchers and have samples in `range`, sorted by number.
    fn resolve(&self, index: &Index, matchers: &[Matcher], range: TimeRange) -> Vec<u32> {
        let ids = postings::resolve(index, &self.patterns, matchers);
        let mut kept = Vec::with_capacity(ids.len());
        self.with_each(ids.into_iter(), |_, id, series| {
            if series.is_some_and(|series| series.has(range)) {
                kept.push(id);
            }
        });
        kept
    }

    fn sort(&self, index: &Index, ids: &mut [u32]) {
        let mut order = self.order.write().unwrap_or_else(PoisonError::into_inner);
        order.update(index);
        order.sort(ids);
    }

    /// Says that a file is damaged.
    pub(crate) fn report(&self, piece: SetAside) {
        let mut damage = lock(&self.damage);
        if damage.len() < 1000 && !damage.contains(&piece) {
            tracing::warn!(file = %piece.file.display(), reason = %piece.reason, "a damaged piece was set aside");
            damage.push(piece);
        }
    }

    pub(crate) fn damage(&self) -> Vec<SetAside> {
        lock(&self.damage).clone()
    }

    /// Returns the labels of a series; empty when it is not there.
    pub(crate) fn labels(&self, id: u32) -> Labels {
        read(&self.index).labels(id)
    }
}
