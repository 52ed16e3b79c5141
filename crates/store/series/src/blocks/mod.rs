//! The set of blocks of one store: opening, merging, downsampling, retention, deletion, snapshots.
//!
//! Source: ours; the directory's layout is in docs/formats/series-blocks.md.

mod downsample;
mod merge;
mod plan;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use maru_prom::Matcher;

use crate::block::files::{self, failed};
use crate::block::{Block, BlockCache, BlockError, BlockId, BlockInfo, BlockWriter, Damage, TimeRange, WriteOptions};
use crate::chunk::Column;

/// How blocks are kept.
#[derive(Debug, Clone)]
pub struct BlocksOptions {
    /// Samples older than this (behind the newest) go; `None` keeps them.
    pub retention_ms: Option<i64>,
    /// Samples downsampled to 5 min and 1 h older than this go; `None` keeps them.
    pub retention_downsampled_ms: Option<i64>,
    /// Oldest blocks go while all take more than this; `None` keeps them.
    pub retention_bytes: Option<u64>,
    /// Spans to which blocks are merged, rising, each a multiple of the one before.
    pub spans_ms: Vec<i64>,
    /// Intervals to which samples are downsampled, rising; empty: never.
    pub resolutions_ms: Vec<i64>,
    /// Bytes of unpacked pieces that are kept in memory for all blocks together.
    pub cache_bytes: usize,
}

impl Default for BlocksOptions {
    fn default() -> Self {
        const HOUR_MS: i64 = 3_600_000;
        Self {
            retention_ms: Some(15 * 24 * HOUR_MS),
            retention_downsampled_ms: None,
            retention_bytes: None,
            spans_ms: vec![2 * HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS, 4 * 24 * HOUR_MS],
            resolutions_ms: vec![5 * 60_000, HOUR_MS],
            cache_bytes: 32 << 20,
        }
    }
}

/// What a query wants of a series: decides between samples as they came and downsampled ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadHints<'a> {
    /// The step between two evaluations in milliseconds; 0 for an instant query.
    pub step_ms: i64,
    /// The length of the range selector in milliseconds; 0 for an instant selector.
    pub window_ms: i64,
    /// The function right around the selector, such as `rate`; empty when there is none.
    pub function: &'a str,
}

/// What one round of maintenance did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MaintainReport {
    /// Blocks that were written.
    pub written: Vec<BlockId>,
    /// Blocks that were removed: merged into others, or beyond retention.
    pub removed: Vec<BlockId>,
}

/// Tells long work when to stop.
pub(crate) struct Cancel<'a> {
    cancelled: &'a AtomicBool,
    interrupts: &'a AtomicUsize,
}

impl Cancel<'_> {
    fn is_set(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || self.interrupts.load(Ordering::Relaxed) > 0
    }

    fn check(&self) -> Result<(), BlockError> {
        if self.is_set() { Err(BlockError::Cancelled) } else { Ok(()) }
    }
}

/// All blocks of one store.
#[derive(Debug)]
pub struct Blocks {
    directory: PathBuf,
    options: BlocksOptions,
    cache: BlockCache,
    /// In the order of their numbers.
    blocks: RwLock<Arc<Vec<Arc<Block>>>>,
    next_id: AtomicU64,
    /// Held by whoever changes the set of blocks or their deletions.
    changing: Mutex<()>,
    /// How many wait for `changing` with something short: long work gives way.
    interrupts: AtomicUsize,
    set_aside: Vec<Damage>,
    /// Windows that were found to have nothing to downsample.
    empty_windows: Mutex<BTreeSet<(i64, i64)>>,
}

impl Blocks {
    /// Opens the blocks of a directory and makes it when it is not there. Left-overs of interrupted work are removed;
    /// blocks that cannot be opened at all are left in place, named and not served.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn open(directory: &Path, options: BlocksOptions) -> Result<(Self, Vec<Damage>), BlockError> {
        fs::create_dir_all(directory).map_err(failed("create", directory))?;
        let cache = BlockCache::new(options.cache_bytes);
        let mut blocks = Vec::new();
        let mut set_aside = Vec::new();
        let mut highest = 0;
        for entry in fs::read_dir(directory).map_err(failed("read", directory))? {
            let path = entry.map_err(failed("read", directory))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if name.starts_with(files::UNFINISHED) {
                files::remove_unfinished(&path)?;
                continue;
            }
            let Some(id) = files::block_id(name) else { continue };
            highest = highest.max(id.0);
            files::remove_unfinished(&path.join(format!("{}{}", files::UNFINISHED, files::TOMBSTONES)))?;
            match Block::open(&path, &cache) {
                Ok(block) if block.info().id == id => {
                    highest = block.info().replaces.iter().map(|id| id.0).fold(highest, u64::max);
                    blocks.push(Arc::new(block));
                }
                Ok(block) => set_aside.push(Damage {
                    path,
                    reason: format!("it holds block {} under another name", files::directory_name(block.info().id)),
                }),
                Err(error) => set_aside.push(Damage { path, reason: reason_of(&error) }),
            }
        }
        blocks.sort_by_key(|block| block.info().id);
        let opened = Self {
            directory: directory.to_owned(),
            options,
            cache,
            blocks: RwLock::default(),
            next_id: AtomicU64::new(highest.saturating_add(1)),
            changing: Mutex::default(),
            interrupts: AtomicUsize::new(0),
            set_aside: set_aside.clone(),
            empty_windows: Mutex::default(),
        };
        let replaced: BTreeSet<BlockId> = blocks.iter().flat_map(|block| block.info().replaces.clone()).collect();
        opened.set(blocks);
        opened.remove(&replaced)?;
        set_aside.extend(opened.list().iter().flat_map(|block| block.damage()));
        Ok((opened, set_aside))
    }

    fn set(&self, blocks: Vec<Arc<Block>>) {
        *self.blocks.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(blocks);
    }

    fn current(&self) -> Arc<Vec<Arc<Block>>> {
        Arc::clone(&self.blocks.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn infos(&self) -> Vec<BlockInfo> {
        self.current().iter().map(|block| block.info().clone()).collect()
    }

    /// Returns the blocks to read for `range`: in the order of their times, each with the span of `range` that is to be read
    /// from it and the column. Spans may overlap each other where late samples came; of two samples at the same time the one
    /// from the block with the lower number is right.
    #[must_use]
    pub fn select(&self, range: TimeRange, hints: ReadHints<'_>) -> Vec<(Arc<Block>, TimeRange, Column)> {
        let blocks = self.current();
        let infos: Vec<BlockInfo> = blocks.iter().map(|block| block.info().clone()).collect();
        let parts = plan::read(&infos, range, hints, &self.options);
        let find = |id: BlockId| blocks.iter().find(|block| block.info().id == id).cloned();
        parts.into_iter().filter_map(|(id, span, column)| Some((find(id)?, span, column))).collect()
    }

    /// Returns all blocks, oldest number first.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Block>> {
        self.current().to_vec()
    }

    fn take_id(&self) -> BlockId {
        BlockId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Starts a block for samples as they came, such as the head's oldest two hours.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn writer(&self) -> Result<BlockWriter, BlockError> {
        BlockWriter::create(&self.directory, WriteOptions::raw(self.take_id()))
    }

    /// Opens a finished block and serves it from now on.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn add(&self, info: &BlockInfo) -> Result<Arc<Block>, BlockError> {
        let block = Arc::new(Block::open(&self.directory.join(files::directory_name(info.id)), &self.cache)?);
        self.swap(&BTreeSet::new(), std::slice::from_ref(&block));
        Ok(block)
    }

    /// Takes some blocks out of the set and puts others in.
    fn swap(&self, out: &BTreeSet<BlockId>, new: &[Arc<Block>]) {
        let mut current = self.blocks.write().unwrap_or_else(PoisonError::into_inner);
        let mut blocks: Vec<Arc<Block>> =
            current.iter().filter(|block| !out.contains(&block.info().id)).cloned().collect();
        blocks.extend_from_slice(new);
        blocks.sort_by_key(|block| block.info().id);
        *current = Arc::new(blocks);
    }

    /// Waits for the right to change blocks; long work that has it stops.
    fn interrupt(&self) -> MutexGuard<'_, ()> {
        self.interrupts.fetch_add(1, Ordering::Relaxed);
        let guard = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.interrupts.fetch_sub(1, Ordering::Relaxed);
        guard
    }

    /// Serves some blocks no longer and removes their files. Readers that have them go on reading.
    fn remove(&self, ids: &BTreeSet<BlockId>) -> Result<(), BlockError> {
        let there: Vec<BlockId> = self.infos().iter().map(|info| info.id).filter(|id| ids.contains(id)).collect();
        self.swap(ids, &[]);
        for id in there {
            files::remove_block(&self.directory, id)?;
        }
        Ok(())
    }

    /// Does all merging, downsampling and removing that is due when the newest sample is at `newest_ms`. Blocking; returns
    /// early when `cancelled`, or when deletions or snapshots wait. Damaged blocks are left as they are.
    ///
    /// # Errors
    /// When the disk refuses; what was there before still serves.
    pub fn maintain(&self, newest_ms: i64, cancelled: &AtomicBool) -> Result<MaintainReport, BlockError> {
        let mut report = MaintainReport::default();
        let _guard = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let cancel = Cancel { cancelled, interrupts: &self.interrupts };
        let done = self.maintain_until_done(newest_ms, &cancel, &mut report);
        match done {
            Err(BlockError::Cancelled) => Ok(report),
            other => other.map(|()| report),
        }
    }

    fn maintain_until_done(
        &self,
        newest_ms: i64,
        cancel: &Cancel<'_>,
        report: &mut MaintainReport,
    ) -> Result<(), BlockError> {
        loop {
            cancel.check()?;
            let expired: BTreeSet<BlockId> =
                plan::expired(&self.infos(), &self.options, newest_ms).into_iter().collect();
            self.remove(&expired)?;
            report.removed.extend(expired);
            // Blocks with damaged pieces stay as they are: merging them would lose what later care may still save.
            let whole: Vec<BlockInfo> = self
                .current()
                .iter()
                .filter(|block| block.damage().is_empty())
                .map(|block| block.info().clone())
                .collect();
            let outcome = if let Some(planned) = plan::merge(&whole, &self.options, newest_ms) {
                self.merge(&planned, cancel, report)
            } else if let Some(planned) = plan::downsample(&whole, &self.options, newest_ms, &self.empty()) {
                self.downsample(&planned, cancel, report)
            } else {
                return Ok(());
            };
            match outcome {
                Ok(()) => {}
                // The block is now known as damaged: the next plan leaves it out.
                Err(BlockError::Damaged { path, reason }) if self.knows_damage(&path) => {
                    tracing::warn!(path = %path.display(), reason, "a damaged block is not merged");
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn knows_damage(&self, path: &Path) -> bool {
        self.current().iter().any(|block| block.path() == path && !block.damage().is_empty())
    }

    fn merge(&self, planned: &plan::Merge, cancel: &Cancel<'_>, report: &mut MaintainReport) -> Result<(), BlockError> {
        let sources = self.find(&planned.sources);
        let written = merge::run(&self.directory, self.take_id(), &sources, planned, cancel)?;
        self.replace(&planned.sources, written.as_slice(), report)
    }

    fn downsample(
        &self,
        planned: &plan::Downsample,
        cancel: &Cancel<'_>,
        report: &mut MaintainReport,
    ) -> Result<(), BlockError> {
        let sources = self.find(&planned.sources);
        let written = downsample::run(&self.directory, || self.take_id(), &sources, planned, cancel)?;
        let replaced: Vec<BlockId> = planned.resolutions.iter().flat_map(|(_, replaced)| replaced.clone()).collect();
        if written.is_empty() {
            // Nothing was recorded then, or all was deleted: without a block to stand for it, it would be planned for ever.
            let mut empty = self.empty_windows.lock().unwrap_or_else(PoisonError::into_inner);
            empty.insert((planned.window.start_ms, planned.window.end_ms));
        }
        self.replace(&replaced, &written, report)
    }

    fn empty(&self) -> BTreeSet<(i64, i64)> {
        self.empty_windows.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn find(&self, ids: &[BlockId]) -> Vec<Arc<Block>> {
        self.current().iter().filter(|block| ids.contains(&block.info().id)).cloned().collect()
    }

    /// Serves `written` instead of `sources`.
    fn replace(
        &self,
        sources: &[BlockId],
        written: &[BlockInfo],
        report: &mut MaintainReport,
    ) -> Result<(), BlockError> {
        let mut opened = Vec::with_capacity(written.len());
        for info in written {
            let path = self.directory.join(files::directory_name(info.id));
            opened.push(Arc::new(Block::open(&path, &self.cache)?));
            report.written.push(info.id);
        }
        let out: BTreeSet<BlockId> = sources.iter().copied().collect();
        self.swap(&out, &opened);
        for id in &out {
            files::remove_block(&self.directory, *id)?;
        }
        report.removed.extend(out);
        Ok(())
    }

    /// Marks samples of all blocks as deleted, durably. Returns how many series of blocks had any.
    ///
    /// # Errors
    /// When a mark cannot be written.
    pub fn delete(&self, matchers: &[Matcher], range: TimeRange) -> Result<u64, BlockError> {
        let _guard = self.interrupt();
        self.current().iter().map(|block| block.delete(matchers, range)).sum()
    }

    /// Rewrites the blocks that have deleted samples, so that their bytes are free.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn clean_deleted(&self, cancelled: &AtomicBool) -> Result<MaintainReport, BlockError> {
        let mut report = MaintainReport::default();
        let _guard = self.interrupt();
        let cancel = Cancel { cancelled, interrupts: &self.interrupts };
        for block in self.list() {
            if !block.has_deletions() || !block.damage().is_empty() {
                continue;
            }
            let info = block.info();
            let (resolution_ms, level) = (info.resolution_ms, info.level);
            let planned = plan::Merge { sources: vec![info.id], resolution_ms, level };
            match self.merge(&planned, &cancel, &mut report) {
                Err(BlockError::Cancelled) => break,
                other => other?,
            }
        }
        Ok(report)
    }

    /// Makes `directory` and puts all blocks there: hard links where the file system can, else copies.
    ///
    /// # Errors
    /// When the disk refuses, or the directory is not empty.
    pub fn snapshot(&self, directory: &Path) -> Result<(), BlockError> {
        let _guard = self.interrupt();
        fs::create_dir_all(directory).map_err(failed("create", directory))?;
        for block in self.list() {
            files::link_or_copy(block.path(), &directory.join(files::directory_name(block.info().id)))?;
        }
        files::sync_directory(directory)
    }

    /// Returns the damage that was met so far in all blocks, and the blocks that could not be opened.
    #[must_use]
    pub fn damage(&self) -> Vec<Damage> {
        self.set_aside.iter().cloned().chain(self.list().iter().flat_map(|block| block.damage())).collect()
    }

    /// Returns the bytes of all blocks' files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.current().iter().map(|block| block.info().bytes).sum()
    }

    /// Returns the bytes that unpacked pieces take in memory now.
    #[must_use]
    pub fn cache_bytes(&self) -> usize {
        self.cache.bytes()
    }
}

fn reason_of(error: &BlockError) -> String {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        reason.push_str(": ");
        reason.push_str(&cause.to_string());
        source = cause.source();
    }
    reason
}
