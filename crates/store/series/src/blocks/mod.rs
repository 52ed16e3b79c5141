//! The set of blocks of one store: opening, merging, downsampling, retention, deletion, snapshots.
//!
//! Source: ours; the directory's layout is in docs/formats/series-blocks.md.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use maru_prom::Matcher;

use crate::block::{Block, BlockError, BlockId, BlockInfo, BlockWriter, Damage, TimeRange};
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

/// All blocks of one store.
#[derive(Debug)]
pub struct Blocks {
    options: BlocksOptions,
}

impl Blocks {
    /// Opens the blocks of a directory and makes it when it is not there. Left-overs of interrupted work are removed;
    /// blocks that cannot be opened at all are left in place, named and not served.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn open(directory: &Path, options: BlocksOptions) -> Result<(Self, Vec<Damage>), BlockError> {
        let _ = directory;
        Ok((Self { options }, Vec::new()))
    }

    /// Returns the blocks to read for `range`: in the order of their times, each with the span of `range` that is to be read from it and the column. The spans of
    /// blocks with raw samples may overlap each other when late samples came; then the block with the higher number yields.
    #[must_use]
    pub fn select(&self, range: TimeRange, hints: ReadHints<'_>) -> Vec<(Arc<Block>, TimeRange, Column)> {
        let _ = (range, hints, &self.options);
        Vec::new()
    }

    /// Returns all blocks, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Block>> {
        Vec::new()
    }

    /// Starts a block for samples as they came, such as the head's oldest two hours.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn writer(&self) -> Result<BlockWriter, BlockError> {
        Err(BlockError::Limit("anything yet".to_owned()))
    }

    /// Opens a finished block and serves it from now on.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn add(&self, info: &BlockInfo) -> Result<Arc<Block>, BlockError> {
        Err(BlockError::Limit(format!("block {:?} yet", info.id)))
    }

    /// Does all merging, downsampling and removing that is due when the newest sample is at `newest_ms`. Blocking; returns early when `cancelled`.
    ///
    /// # Errors
    /// When the disk refuses; what was there before still serves.
    pub fn maintain(&self, newest_ms: i64, cancelled: &AtomicBool) -> Result<MaintainReport, BlockError> {
        let _ = (newest_ms, cancelled);
        Ok(MaintainReport::default())
    }

    /// Marks samples of all blocks as deleted, durably. Returns how many series of blocks had any.
    ///
    /// # Errors
    /// When a mark cannot be written.
    pub fn delete(&self, matchers: &[Matcher], range: TimeRange) -> Result<u64, BlockError> {
        let _ = (matchers, range);
        Ok(0)
    }

    /// Rewrites the blocks that have deleted samples, so that their bytes are free.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn clean_deleted(&self, cancelled: &AtomicBool) -> Result<MaintainReport, BlockError> {
        let _ = cancelled;
        Ok(MaintainReport::default())
    }

    /// Makes `directory` and puts all blocks there: hard links where the file system can, else copies.
    ///
    /// # Errors
    /// When the disk refuses, or the directory is not empty.
    pub fn snapshot(&self, directory: &Path) -> Result<(), BlockError> {
        let _ = directory;
        Ok(())
    }

    /// Returns the damage that was met so far in all blocks.
    #[must_use]
    pub fn damage(&self) -> Vec<Damage> {
        Vec::new()
    }

    /// Returns the bytes of all blocks' files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        0
    }
}
