//! The store: ties the log, the head and the blocks together.
//! Long because the store's public face and the order of its maintenance are proofread together.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use maru_prom::{Exemplar, Labels, Matcher, Metadata};
use tokio::time::Instant;

use crate::block::{BlockInfo, BlockWriter, TimeRange, WriteOptions};
use crate::blocks::{Blocks, BlocksOptions, ReadHints};
use crate::errors::{MaintainError, OpenError, SelectError};
use crate::head::Head;
use crate::head::checkpoint::Start;
use crate::head::load::{Folders, load};
use crate::ingest::{Appender, SeriesRef};
use crate::limits::{OpenReport, SetAside, StoreOptions, WriteScope};
use crate::log::record::put_deleted;
use crate::log::{Batch, Log};
use crate::select::{SelectHints, SelectedSeries, select};
use crate::statistics::{Growth, Statistics};
use crate::taken::{Follower, Followers};

/// Time between two looks at what is due.
const LOOK: Duration = Duration::from_secs(2);
/// Time between two tries to write after the disk refused.
const RECOVER: Duration = Duration::from_secs(1);
/// A log that was added to is cut after so long, so that a start reads no more than that back.
const SAVE: Duration = Duration::from_secs(5 * 60);
/// A shorter log is not worth a checkpoint.
const SAVE_BYTES: u64 = 1 << 20;
/// Time of samples after which blocks are looked at again though nothing was cut.
const BLOCKS_LOOK_MS: i64 = 10 * 60_000;
/// Bytes of chunk files above which the head is cut though the newest sample does not ask for it.
const CHUNK_BYTES_MAX: u64 = 512 << 20;

/// A time-series store in one directory. Clones are the same store.
#[derive(Debug, Clone)]
pub struct SeriesStore(Arc<Inner>);

/// What all clones share.
#[derive(Debug)]
pub(crate) struct Inner {
    options: StoreOptions,
    folders: Folders,
    pub(crate) head: Head,
    pub(crate) blocks: Blocks,
    pub(crate) log: Log,
    pub(crate) followers: Followers,
    /// Held for reading from the look whether the log takes a batch until it has it.
    pub(crate) gate: RwLock<()>,
    progress: Mutex<Progress>,
    is_cancelled: AtomicBool,
    /// The newest sample when blocks were looked at last.
    blocks_seen_ms: AtomicI64,
    /// Held as long as the store is open.
    _lock: File,
}

/// How far maintenance is.
#[derive(Debug)]
struct Progress {
    /// The newest checkpoint.
    start: Start,
    /// Samples before this were looked for in the head.
    looked_ms: i64,
    tried: Option<Instant>,
    /// When the log was cut last.
    saved: Instant,
    chunk_bytes_after_cut: u64,
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn read_all(error: &dyn std::error::Error) -> MaintainError {
    MaintainError::new("save the head", error)
}

impl SeriesStore {
    /// Opens the store, or makes it. Damage is set aside, named in the report, and does not stop the start.
    ///
    /// # Errors
    /// When the directory cannot be used, or another process uses it.
    pub fn open(options: StoreOptions) -> Result<(Self, OpenReport), OpenError> {
        let range_ms = milliseconds(options.block_range);
        if range_ms < 1000 || range_ms > i64::from(u32::MAX) {
            let reason = "it must be between a second and 49 days".to_owned();
            return Err(OpenError::Option { option: "block_range", reason });
        }
        let folders = Folders::new(&options.directory);
        for folder in [&folders.head, &folders.log, &folders.blocks] {
            std::fs::create_dir_all(folder).map_err(io("make", folder))?;
        }
        let lock_path = folders.root.join("lock");
        let lock = File::options().create(true).append(true).open(&lock_path).map_err(io("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { directory: options.directory.clone() });
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(io("lock", &lock_path)(error)),
        }
        let (blocks, block_damage) = Blocks::open(&folders.blocks, blocks_options(&options, range_ms))
            .map_err(|error| io("read", &folders.blocks)(std::io::Error::other(error)))?;
        let late_window_ms = milliseconds(options.out_of_order_window);
        let loaded = load(&folders, &options.limits, range_ms, late_window_ms).map_err(io("read", &folders.head))?;
        let log = Log::new(folders.log.clone(), loaded.log.newest, loaded.log.bytes);
        let inner = Inner {
            options,
            folders,
            head: loaded.head,
            blocks,
            log,
            followers: Followers::default(),
            gate: RwLock::new(()),
            progress: Mutex::new(Progress {
                start: loaded.start,
                looked_ms: loaded.start.cut_ms,
                tried: None,
                saved: Instant::now(),
                chunk_bytes_after_cut: 0,
            }),
            is_cancelled: AtomicBool::new(false),
            blocks_seen_ms: AtomicI64::new(i64::MIN),
            _lock: lock,
        };
        for damage in &block_damage {
            inner.head.report(inner.set_aside(damage));
        }
        let report = OpenReport {
            set_aside: inner.head.damage(),
            series: inner.head.count(&[], TimeRange { start_ms: i64::MIN, end_ms: i64::MAX }),
            samples_replayed: loaded.samples_replayed,
            torn_bytes: loaded.torn_bytes,
            blocks: inner.blocks.list().len(),
        };
        let has_damage = !report.set_aside.is_empty();
        let store = Self(Arc::new(inner));
        // Damage is told once: the checkpoint leaves the damaged pieces behind. So is a long log read back once.
        if has_damage || store.0.log.bytes() > store.0.options.log_bytes_max {
            // When the disk does not take it, writers are told so; reading goes on.
            if let Err(error) = store.0.checkpoint() {
                tracing::warn!(error = %error, "could not save the head after the start");
            }
        }
        Ok((store, report))
    }

    /// Returns a writer in the name of `scope`.
    #[must_use]
    pub fn appender(&self, scope: &WriteScope) -> Appender {
        Appender::new(Arc::clone(&self.0), scope)
    }

    /// Tells `follower` of every batch that is taken in from now on, as long as somebody holds it.
    pub fn follow(&self, follower: &Arc<dyn Follower>) {
        self.0.followers.add(follower);
    }

    /// Returns the labels of a series; empty when it was forgotten, which takes some hours without a sample.
    #[must_use]
    pub fn labels(&self, series: SeriesRef) -> Labels {
        self.0.head.labels(series.0)
    }

    /// Returns the series that fulfil all matchers and may have samples in `range`, in the order of their labels.
    ///
    /// # Errors
    /// When there are more than the hints allow, or an index cannot be read.
    pub fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        hints: &SelectHints,
    ) -> Result<Vec<SelectedSeries>, SelectError> {
        select(&self.0, matchers, range, hints)
    }

    /// Returns the label sets that fulfil one of the selectors and may have samples in `range`, sorted, at most `limit`.
    ///
    /// # Errors
    /// When an index cannot be read.
    pub fn series(
        &self,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
        limit: Option<usize>,
    ) -> Result<Vec<Labels>, SelectError> {
        let mut all = Vec::new();
        for matchers in selectors {
            all.extend(self.0.head.label_sets(matchers, range));
            for (block, range, _) in self.0.blocks.select(range, ReadHints { step_ms: 0, window_ms: 0, function: "" }) {
                all.extend(block.select(matchers, range).into_iter().map(|series| series.labels().clone()));
            }
        }
        // Rows of sorted lists: the sort takes them as they are.
        all.sort();
        all.dedup();
        all.truncate(limit.unwrap_or(usize::MAX));
        Ok(all)
    }

    /// Returns the label names of the series that fulfil one of the selectors (all series when there is none), sorted, at most `limit`.
    ///
    /// # Errors
    /// When an index cannot be read.
    pub fn label_names(
        &self,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
        limit: Option<usize>,
    ) -> Result<Vec<String>, SelectError> {
        let mut names = std::collections::BTreeSet::new();
        for matchers in or_all(selectors) {
            self.0.head.label_names(matchers, range, &mut names);
            for (block, _, _) in self.0.blocks.select(range, ReadHints { step_ms: 0, window_ms: 0, function: "" }) {
                names.extend(block.label_names(matchers));
            }
        }
        Ok(names.into_iter().take(limit.unwrap_or(usize::MAX)).collect())
    }

    /// Returns the values of the label `name` among the series that fulfil one of the selectors, sorted, at most `limit`.
    ///
    /// # Errors
    /// When an index cannot be read.
    pub fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
        limit: Option<usize>,
    ) -> Result<Vec<String>, SelectError> {
        let mut values = std::collections::BTreeSet::new();
        for matchers in or_all(selectors) {
            self.0.head.label_values(name, matchers, range, &mut values);
            for (block, _, _) in self.0.blocks.select(range, ReadHints { step_ms: 0, window_ms: 0, function: "" }) {
                values.extend(block.label_values(name, matchers));
            }
        }
        Ok(values.into_iter().take(limit.unwrap_or(usize::MAX)).collect())
    }

    /// Returns how many series fulfil all matchers and may have samples in `range`.
    ///
    /// # Errors
    /// When an index cannot be read.
    pub fn count(&self, matchers: &[Matcher], range: TimeRange) -> Result<usize, SelectError> {
        if self.0.blocks.select(range, ReadHints { step_ms: 0, window_ms: 0, function: "" }).is_empty() {
            return Ok(self.0.head.count(matchers, range));
        }
        Ok(self.select(matchers, range, &SelectHints::default())?.len())
    }

    /// Returns the exemplars in `range` of the series that fulfil one of the selectors, by series in the order of labels, then by time.
    #[must_use]
    pub fn exemplars(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Vec<(Labels, Vec<Exemplar>)> {
        self.0.head.exemplars(selectors, range)
    }

    /// Returns what is known about metrics, by name: of one metric, or of all up to `limit`.
    #[must_use]
    pub fn metadata(&self, metric: Option<&str>, limit: Option<usize>) -> Vec<(String, Vec<Metadata>)> {
        self.0.head.metadata(metric, limit)
    }

    /// Hides the samples in `range` of the series that fulfil all matchers. They leave the disk with the next merge, or by
    /// [`SeriesStore::clean_tombstones`].
    ///
    /// # Errors
    /// When that could not be written down.
    pub fn delete(&self, matchers: &[Matcher], range: TimeRange) -> Result<(), MaintainError> {
        let store = &self.0;
        store.make_ready().map_err(|error| MaintainError::new("delete samples", &error))?;
        // A block that is being cut must not take what is deleted meanwhile.
        let progress = store.progress();
        let hidden = store.head.delete(matchers, range);
        for (series, range) in hidden {
            store.log.name(|out| put_deleted(out, series, range));
        }
        let written = store.log.append(&Batch::default()).and_then(|number| store.log.wait(number));
        written.map_err(|failure| MaintainError::new("delete samples", &failure.to_error()))?;
        store.blocks.delete(matchers, range).map_err(|error| MaintainError::new("delete samples", &error))?;
        drop(progress);
        Ok(())
    }

    /// Rewrites the blocks that hold hidden samples without them.
    ///
    /// # Errors
    /// When a block could not be written; the old one stays.
    pub fn clean_tombstones(&self) -> Result<(), MaintainError> {
        let _progress = self.0.progress();
        self.0
            .blocks
            .clean_deleted(&self.0.is_cancelled)
            .map_err(|error| MaintainError::new("clean tombstones", &error))?;
        Ok(())
    }

    /// Makes a copy of all blocks, and of the head unless `skip_head`, below the store's `snapshots` folder; returns its path.
    /// The copy is a store of its own.
    ///
    /// # Errors
    /// When it could not be written; nothing is left of it then.
    pub fn snapshot(&self, skip_head: bool) -> Result<PathBuf, MaintainError> {
        let store = &self.0;
        let _progress = store.progress();
        let parent = store.folders.root.join("snapshots");
        let stamp = store.options.clock.now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let target = (0..)
            .map(|count| parent.join(if count == 0 { stamp.clone() } else { format!("{stamp}-{count}") }))
            .find(|path| !path.exists())
            .unwrap_or_else(|| parent.join(&stamp));
        let outcome = store.write_snapshot(&target.join("blocks"), skip_head);
        if outcome.is_err() {
            std::fs::remove_dir_all(&target).unwrap_or_default();
        }
        outcome.map(|()| target)
    }

    /// Returns numbers about the store; lists hold at most `limit` entries.
    #[must_use]
    pub fn statistics(&self, limit: usize) -> Statistics {
        let store = &self.0;
        let mut statistics = Statistics {
            log_bytes: store.log.bytes(),
            log_syncs: store.log.syncs(),
            block_bytes: store.blocks.bytes(),
            blocks: store.blocks.list().len() as u64,
            ..Statistics::default()
        };
        store.head.statistics(limit, &mut statistics);
        let log = ("log", store.log.heap_bytes());
        let memory = store.head.memory().into_iter().chain([log]);
        statistics.memory_bytes = memory.map(|(what, bytes)| (what, bytes as u64)).collect();
        statistics
    }

    /// Returns the blocks on disk by time.
    #[must_use]
    pub fn blocks(&self) -> Vec<BlockInfo> {
        self.0.blocks.list().iter().map(|block| block.info().clone()).collect()
    }

    /// Returns the damage that was met since the store was opened.
    #[must_use]
    pub fn damage(&self) -> Vec<SetAside> {
        let blocks = self.0.blocks.damage();
        let mut all = self.0.head.damage();
        all.extend(blocks.iter().map(|damage| self.0.set_aside(damage)));
        all.dedup();
        all
    }

    /// Returns who added series in the last `window`, most first; lists hold at most `limit` entries.
    #[must_use]
    pub fn who_added(&self, window: Duration, limit: usize) -> Vec<Growth> {
        let window_s = u32::try_from(window.as_secs()).unwrap_or(u32::MAX);
        self.0.head.who_added(self.0.now_s().saturating_sub(window_s), limit)
    }

    /// Returns when the store's newest sample was, in milliseconds since 1970.
    #[must_use]
    pub fn newest_ms(&self) -> Option<i64> {
        let in_blocks = self.0.blocks.list().iter().map(|block| block.info().range.end_ms).max();
        Some(self.0.head.newest_ms()).filter(|newest| *newest != i64::MIN).max(in_blocks)
    }

    /// Writes what [`Appender::commit_later`] left in the log's queue, without a sync: after this it outlives the process.
    /// Blocks: not for async code.
    ///
    /// # Errors
    /// When the disk refuses; the store tries again by itself.
    pub fn write_out(&self) -> Result<(), MaintainError> {
        self.0.log.write_out().map_err(|failure| MaintainError::new("write the log", &failure.to_error()))
    }

    /// Does what is due now: cuts blocks, merges, thins out, drops what is too old, cuts the log. Blocks: not for async code.
    ///
    /// # Errors
    /// The first failure; the other steps are done.
    pub fn maintain_now(&self) -> Result<(), MaintainError> {
        self.0.maintain_now()
    }

    /// Writes the whole head into blocks, though they are not due, and merges.
    ///
    /// # Errors
    /// As [`SeriesStore::maintain_now`].
    pub fn flush(&self) -> Result<(), MaintainError> {
        let newest = self.0.head.newest_ms();
        if newest != i64::MIN {
            let mut progress = self.0.progress();
            self.0.cut(&mut progress, newest.saturating_add(1))?;
        }
        self.0.maintain_blocks()
    }

    /// Runs [`SeriesStore::maintain_now`] as a task of `scope` whenever something is due. An idle store writes nothing.
    pub fn maintain(&self, scope: &maru_task::Scope) {
        let store = Arc::clone(&self.0);
        let own = scope.clone();
        drop(scope.spawn("series maintenance", async move {
            store.is_cancelled.store(false, Ordering::Relaxed);
            loop {
                tokio::select! {
                    () = own.cancelled() => break,
                    () = tokio::time::sleep(LOOK) => {}
                }
                if !store.is_due() {
                    continue;
                }
                let working = Arc::clone(&store);
                let mut work = own.spawn_blocking(move || working.maintain_now());
                let outcome = tokio::select! {
                    outcome = &mut work => outcome,
                    () = own.cancelled() => {
                        store.is_cancelled.store(true, Ordering::Relaxed);
                        work.await
                    }
                };
                if let Ok(Err(error)) = outcome {
                    tracing::warn!(error = %error, "could not maintain the time-series store; trying again");
                }
            }
        }));
    }
}

fn or_all(selectors: &[Vec<Matcher>]) -> Vec<&[Matcher]> {
    if selectors.is_empty() { vec![&[]] } else { selectors.iter().map(Vec::as_slice).collect() }
}

fn io<'a>(action: &'static str, path: &'a std::path::Path) -> impl Fn(std::io::Error) -> OpenError + 'a {
    move |source| OpenError::Io { action, path: path.to_owned(), source }
}

fn blocks_options(options: &StoreOptions, range_ms: i64) -> BlocksOptions {
    let mut blocks = BlocksOptions {
        retention_ms: options.retention.map(milliseconds),
        retention_bytes: options.retention_bytes,
        ..BlocksOptions::default()
    };
    blocks.spans_ms = [1, 3, 12, 48].iter().map(|times| range_ms.saturating_mul(*times)).collect();
    if !options.is_downsampling {
        blocks.resolutions_ms.clear();
    }
    blocks
}

impl Inner {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_aside(&self, damage: &crate::block::Damage) -> SetAside {
        let file = damage.path.strip_prefix(&self.folders.root).unwrap_or(&damage.path).to_owned();
        SetAside { file, moved_to: None, reason: damage.reason.clone() }
    }

    fn passed(&self, step: &'static str) {
        if let Some(hook) = &self.options.step_hook {
            hook.passed(step);
        }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.options.clock.now().as_millisecond()
    }

    pub(crate) fn now_s(&self) -> u32 {
        u32::try_from(self.options.clock.now().as_second()).unwrap_or_default()
    }

    /// Returns the first and the last moment that a sample may have now.
    pub(crate) fn accepted_times(&self) -> (i64, i64) {
        let latest = self
            .options
            .future_window
            .map_or(i64::MAX - 1, |window| self.now_ms().saturating_add(milliseconds(window)));
        let newest = self.head.newest_ms();
        let earliest = [self.options.past_window, self.options.retention]
            .into_iter()
            .flatten()
            .filter(|_| newest != i64::MIN)
            .map(|window| newest.saturating_sub(milliseconds(window)))
            .max();
        (earliest.unwrap_or(i64::MIN + 1).max(i64::MIN + 1), latest)
    }

    /// Makes the log take batches again after the disk refused, when it does not any more.
    pub(crate) fn make_ready(&self) -> Result<(), std::io::Error> {
        let Some(failure) = self.log.failure() else {
            if self.log.bytes() > self.options.log_bytes_max.saturating_mul(4)
                && let Ok(mut progress) = self.progress.try_lock()
                && let Err(error) = self.checkpoint_with(&mut progress)
            {
                tracing::warn!(error = %error, "could not save the head");
            }
            return Ok(());
        };
        let Ok(mut progress) = self.progress.try_lock() else { return Err(failure.to_error()) };
        if progress.tried.is_some_and(|tried| tried.elapsed() < RECOVER) {
            return Err(failure.to_error());
        }
        self.recover(&mut progress)
    }

    fn recover(&self, progress: &mut Progress) -> Result<(), std::io::Error> {
        progress.tried = Some(Instant::now());
        // Nobody is between memory and log: the checkpoint has all that was refused by the log.
        let gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let segment = self.log.rotate()?;
        let start = self.head.checkpoint(&self.folders.head, Start { segment, ..progress.start })?;
        progress.start = start;
        self.log.recovered();
        drop(gate);
        tracing::info!("the disk takes writes again");
        self.log.cut(segment)
    }

    fn checkpoint(&self) -> Result<(), MaintainError> {
        let mut progress = self.progress();
        self.checkpoint_with(&mut progress)
    }

    /// Saves the head and cuts the log.
    fn checkpoint_with(&self, progress: &mut Progress) -> Result<(), MaintainError> {
        let segment = self.log.rotate().map_err(|error| read_all(&error))?;
        self.passed("log rotated");
        let start = Start { segment, ..progress.start };
        let start = self.head.checkpoint(&self.folders.head, start).map_err(|error| read_all(&error))?;
        self.passed("checkpoint written");
        progress.start = start;
        progress.saved = Instant::now();
        self.log.cut(segment).map_err(|error| MaintainError::new("cut the log", &error))?;
        self.passed("log cut");
        Ok(())
    }

    /// Returns the moment before which samples should be in blocks by now.
    fn cut_due(&self, progress: &Progress) -> Option<i64> {
        let newest = self.head.newest_ms();
        if newest == i64::MIN {
            return None;
        }
        let range = milliseconds(self.options.block_range);
        // A clock that was wrong must not move the border for good.
        let (_, latest) = self.accepted_times();
        let border = |newest: i64| newest.saturating_sub(range / 2).div_euclid(range).saturating_mul(range);
        let end_ms = border(newest.min(latest));
        if end_ms > progress.looked_ms {
            return Some(end_ms);
        }
        let is_large = self.head.files.bytes() > progress.chunk_bytes_after_cut.saturating_mul(2).max(CHUNK_BYTES_MAX);
        is_large.then(|| border(newest))
    }

    fn is_due(&self) -> bool {
        let Ok(progress) = self.progress.try_lock() else { return false };
        self.log.failure().is_some()
            || self.is_save_due(&progress)
            || self.cut_due(&progress).is_some()
            || self.are_blocks_due()
    }

    fn is_save_due(&self, progress: &Progress) -> bool {
        let bytes = self.log.bytes();
        bytes > self.options.log_bytes_max || (bytes > SAVE_BYTES && progress.saved.elapsed() > SAVE)
    }

    fn are_blocks_due(&self) -> bool {
        let newest = self.head.newest_ms();
        newest != i64::MIN && newest.saturating_sub(self.blocks_seen_ms.load(Ordering::Relaxed)) > BLOCKS_LOOK_MS
    }

    fn maintain_now(&self) -> Result<(), MaintainError> {
        let mut outcome = Ok(());
        {
            let mut progress = self.progress();
            if self.log.failure().is_some() {
                outcome = self.recover(&mut progress).map_err(|error| MaintainError::new("write the log", &error));
            }
            if outcome.is_ok()
                && let Some(end_ms) = self.cut_due(&progress)
            {
                outcome = self.cut(&mut progress, end_ms);
            }
            if outcome.is_ok() && self.is_save_due(&progress) {
                outcome = self.checkpoint_with(&mut progress);
            }
        }
        // Also when the disk is full: what is too old goes, and makes room.
        let blocks = if self.are_blocks_due() { self.maintain_blocks() } else { Ok(()) };
        outcome.and(blocks)
    }

    fn maintain_blocks(&self) -> Result<(), MaintainError> {
        let in_blocks = self.blocks.list().iter().map(|block| block.info().range.end_ms).max();
        let newest = self.head.newest_ms();
        self.blocks_seen_ms.store(newest, Ordering::Relaxed);
        let Some(newest) = Some(newest).filter(|newest| *newest != i64::MIN).max(in_blocks) else { return Ok(()) };
        self.blocks
            .maintain(newest, &self.is_cancelled)
            .map_err(|error| MaintainError::new("maintain the blocks", &error))?;
        self.passed("blocks maintained");
        Ok(())
    }

    /// Moves what is before `end_ms` from the head into blocks.
    fn cut(&self, progress: &mut Progress, end_ms: i64) -> Result<(), MaintainError> {
        if self.head.oldest_ms().is_none_or(|oldest| oldest >= end_ms) {
            progress.looked_ms = progress.looked_ms.max(end_ms);
            return Ok(());
        }
        let failed = |error: &dyn std::error::Error| MaintainError::new("cut a block", error);
        let cut = self.head.cut(end_ms, || self.blocks.writer()).map_err(|error| failed(&error))?;
        self.passed("blocks written");
        for info in &cut.blocks {
            self.blocks.add(info).map_err(|error| failed(&error))?;
        }
        self.passed("blocks added");
        let needed = self.head.drop_cut(&cut);
        // A series that has had nothing for a whole span, also not in blocks that were just cut, is forgotten.
        let range_s = u32::try_from(self.options.block_range.as_secs()).unwrap_or(u32::MAX);
        let before_ms = end_ms.saturating_sub(milliseconds(self.options.block_range));
        self.head.forget_empty(before_ms, self.now_s().saturating_sub(range_s));
        progress.looked_ms = progress.looked_ms.max(end_ms);
        progress.start.cut_at = cut.at;
        progress.start.cut_ms = end_ms;
        self.head.files.end_file();
        self.checkpoint_with(progress)?;
        let removed = self.head.files.remove_unneeded(|number| {
            // A file that was begun since may have chunks that were not counted.
            needed.contains(&number) || number >= cut.at.file()
        });
        self.passed("chunk files removed");
        progress.chunk_bytes_after_cut = self.head.files.bytes();
        self.blocks_seen_ms.store(i64::MIN, Ordering::Relaxed);
        removed.map_err(|error| MaintainError::new("remove chunk files", &error))
    }

    fn write_snapshot(&self, target: &std::path::Path, skip_head: bool) -> Result<(), MaintainError> {
        let failed = |error: &dyn std::error::Error| MaintainError::new("make a snapshot", error);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(|error| failed(&error))?;
        }
        self.blocks.snapshot(target).map_err(|error| failed(&error))?;
        if !skip_head {
            let last = self.blocks.list().iter().map(|block| block.info().id).max();
            let id = crate::block::BlockId(last.map_or(1, |id| id.0 + 1));
            let writer = BlockWriter::create(target, WriteOptions::raw(id)).map_err(|error| failed(&error))?;
            self.head.write_all(writer).map_err(|error| failed(&error))?;
        }
        Ok(())
    }
}
