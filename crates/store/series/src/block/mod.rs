//! Blocks: immutable directories of chunks with an index.
//!
//! Each piece of a block's files has its own checksum. A damaged piece is named and set aside; the rest serves.
//! Source: ours, byte by byte in docs/formats/series-blocks.md.

mod cache;
mod contents;
mod dictionary;
pub(crate) mod files;
mod open;
pub(crate) mod piece;
mod postings;
mod read;
mod select;
pub(crate) mod series;
mod times;
mod tombstones;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use maru_prom::Histogram;

pub use self::cache::BlockCache;
pub(crate) use self::open::NameMemo;
pub use self::open::{Block, BlockSeries};
pub use self::writer::BlockWriter;

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
    /// The newest block of samples as they came that went into it: itself, unless it was merged or downsampled from others.
    pub newest_source: BlockId,
    /// How many series it has.
    pub series: u64,
    /// How many samples; a histogram counts as one. Of a downsampled block: how many it stands for.
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
    /// The work was told to stop.
    #[error("stopped before it was done")]
    Cancelled,
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
    /// See [`BlockInfo::newest_source`].
    pub newest_source: BlockId,
}

impl WriteOptions {
    /// Returns how a block of samples as they came is written.
    #[must_use]
    pub fn raw(id: BlockId) -> Self {
        Self { id, resolution_ms: 0, level: 1, replaces: Vec::new(), newest_source: id }
    }
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

impl Samples {
    /// Forgets all samples and keeps the memory.
    pub fn clear(&mut self) {
        self.timestamps.clear();
        self.values.clear();
        self.histograms.clear();
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty() && self.histograms.is_empty()
    }

    /// Adds samples of the same series. Of two at the same time the one that is there already stays.
    pub(crate) fn merge(&mut self, other: Self) {
        if other.timestamps.first() > self.timestamps.last() {
            self.timestamps.extend_from_slice(&other.timestamps);
            self.values.extend_from_slice(&other.values);
        } else if !other.timestamps.is_empty() {
            let mut all: Vec<(i64, f64)> =
                std::mem::take(&mut self.timestamps).into_iter().zip(self.values.drain(..)).collect();
            all.extend(other.timestamps.into_iter().zip(other.values));
            all.sort_by_key(|(at, _)| *at);
            all.dedup_by_key(|(at, _)| *at);
            (self.timestamps, self.values) = all.into_iter().unzip();
        }
        let in_order = other.histograms.first().map(|(at, _)| *at) > self.histograms.last().map(|(at, _)| *at);
        let is_empty = other.histograms.is_empty();
        self.histograms.extend(other.histograms);
        if !in_order && !is_empty {
            self.histograms.sort_by_key(|(at, _)| *at);
            self.histograms.dedup_by_key(|(at, _)| *at);
        }
    }

    /// Of the floats from place `floats` on and the histograms from place `histograms` on, keeps those whose time `keep` accepts.
    pub(crate) fn keep_from(&mut self, floats: usize, histograms: usize, keep: impl Fn(i64) -> bool) {
        let mut kept = floats;
        for at in floats..self.timestamps.len() {
            if keep(self.timestamps[at]) {
                self.timestamps[kept] = self.timestamps[at];
                self.values[kept] = self.values[at];
                kept += 1;
            }
        }
        self.timestamps.truncate(kept);
        self.values.truncate(kept);
        let tail = self.histograms.split_off(histograms);
        self.histograms.extend(tail.into_iter().filter(|(at, _)| keep(*at)));
    }
}

impl TimeRange {
    /// Returns all of time.
    #[must_use]
    pub fn all() -> Self {
        Self { start_ms: i64::MIN, end_ms: i64::MAX }
    }

    /// Tells whether it contains this moment.
    #[must_use]
    pub fn contains(self, at_ms: i64) -> bool {
        (self.start_ms..=self.end_ms).contains(&at_ms)
    }

    /// Tells whether it has a moment in common with `first_ms` to `last_ms`.
    #[must_use]
    pub fn overlaps(self, first_ms: i64, last_ms: i64) -> bool {
        self.start_ms <= last_ms && first_ms <= self.end_ms
    }
}
