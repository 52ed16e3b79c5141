//! Chunks: a run of samples of one series, packed.
//!
//! A chunk has two parts: its timestamps, which series of one target share, and its column of values or histograms.
//! Encoding is lossless for every bit pattern. Decoding checks everything: any bytes give samples or an error, never a panic
//! and never more than [`SAMPLES_MAX`] samples or [`CELLS_MAX`] numbers.
//! Source: ours, byte by byte in docs/formats/series-chunks.md.

mod bits;
pub(crate) mod bytes;
mod floats;
mod histograms;
pub(crate) mod integers;
mod units;
mod xor;

use std::sync::Arc;

use maru_prom::Histogram;

use self::bytes::{Reader, put_signed, put_varint};

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
    /// When the counters behind the samples started, where that changes: the first sample's time, and the start in milliseconds
    /// since 1970 as a float (0: none).
    Starts = 6,
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

impl Column {
    /// Returns the column with this number.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        [Self::Floats, Self::Histograms, Self::Count, Self::Sum, Self::Min, Self::Max, Self::Starts]
            .into_iter()
            .find(|c| *c as u8 == number)
    }
}

/// Packs floats. Timestamps should rise; any order is kept.
///
/// # Errors
/// When there are none, more than [`SAMPLES_MAX`], or the two differ in number.
pub fn encode_floats(timestamps: &[i64], values: &[f64]) -> Result<EncodedChunk, ChunkError> {
    encode_column(Column::Floats, timestamps, values)
}

/// Packs one column of floats, see [`encode_floats`].
pub(crate) fn encode_column(column: Column, timestamps: &[i64], values: &[f64]) -> Result<EncodedChunk, ChunkError> {
    if timestamps.len() != values.len() {
        return Err(ChunkError::Lengths { timestamps: timestamps.len(), values: values.len() });
    }
    let mut chunk = empty_chunk(column, timestamps)?;
    floats::encode(values, &mut chunk.values);
    Ok(chunk)
}

fn empty_chunk(column: Column, timestamps: &[i64]) -> Result<EncodedChunk, ChunkError> {
    let count = timestamps.len();
    let (Some(first), Some(last), true) = (timestamps.first(), timestamps.last(), count <= SAMPLES_MAX) else {
        return Err(ChunkError::Size(count));
    };
    let samples = u32::try_from(count).map_err(|_| ChunkError::Size(count))?;
    let mut times = Vec::new();
    integers::encode(timestamps, &mut times);
    Ok(EncodedChunk { column, samples, first_ms: *first, last_ms: *last, times, values: Vec::new() })
}

/// Packs native histograms into one or more chunks, as many as the limits ask for.
///
/// # Errors
/// When there are none, or a single histogram has more than [`CELLS_MAX`] numbers.
pub fn encode_histograms(samples: &[(i64, Arc<Histogram>)]) -> Result<Vec<EncodedChunk>, ChunkError> {
    if samples.is_empty() {
        return Err(ChunkError::Size(0));
    }
    let mut chunks = Vec::new();
    let mut start = 0;
    while start < samples.len() {
        let mut cells = 0;
        let mut end = start;
        for (_, histogram) in &samples[start..] {
            cells += histograms::cells(histogram) + histogram.positive_spans.len() + histogram.negative_spans.len();
            if cells > CELLS_MAX || end - start == SAMPLES_MAX {
                break;
            }
            end += 1;
        }
        if end == start {
            return Err(ChunkError::Size(cells));
        }
        let run = &samples[start..end];
        let timestamps: Vec<i64> = run.iter().map(|(timestamp, _)| *timestamp).collect();
        let mut chunk = empty_chunk(Column::Histograms, &timestamps)?;
        histograms::encode(run, &mut chunk.values);
        chunks.push(chunk);
        start = end;
    }
    Ok(chunks)
}

/// Appends the samples of a chunk of floats. `bytes` is what [`EncodedChunk::to_bytes`] gave.
///
/// # Errors
/// When the bytes are no such chunk; nothing is appended then.
pub fn decode_floats(bytes: &[u8], timestamps: &mut Vec<i64>, values: &mut Vec<f64>) -> Result<(), ChunkError> {
    let (head, _) = Head::take(bytes)?;
    if head.column == Column::Histograms {
        return Err(ChunkError::Damaged("a chunk of histograms has no floats"));
    }
    let lengths = (timestamps.len(), values.len());
    let decoded = decode_times(head.times, head.samples, timestamps)
        .and_then(|()| decode_values(head.values, head.samples, values));
    if decoded.is_err() {
        timestamps.truncate(lengths.0);
        values.truncate(lengths.1);
    }
    decoded
}

/// Appends the samples of a chunk of histograms. `bytes` is what [`EncodedChunk::to_bytes`] gave.
///
/// # Errors
/// When the bytes are no such chunk; nothing is appended then.
pub fn decode_histograms(bytes: &[u8], samples: &mut Vec<(i64, Arc<Histogram>)>) -> Result<(), ChunkError> {
    let (head, _) = Head::take(bytes)?;
    if head.column != Column::Histograms {
        return Err(ChunkError::Damaged("a chunk of floats has no histograms"));
    }
    let mut timestamps = Vec::new();
    decode_times(head.times, head.samples, &mut timestamps)?;
    let histograms = decode_histogram_values(head.values, head.samples)?;
    samples.extend(timestamps.into_iter().zip(histograms.into_iter().map(Arc::new)));
    Ok(())
}

/// Appends `count` timestamps.
///
/// # Errors
/// When the bytes are not the timestamps of a chunk of that many samples; some may have been appended then.
pub(crate) fn decode_times(times: &[u8], count: usize, timestamps: &mut Vec<i64>) -> Result<(), ChunkError> {
    check_count(count)?;
    let mut reader = Reader::new(times, "its timestamps");
    timestamps.reserve(count);
    integers::decode(&mut reader, count, |run| timestamps.extend_from_slice(run))?;
    check_end(&reader)
}

/// Appends `count` floats.
///
/// # Errors
/// When the bytes are not the values of a chunk of that many samples; some may have been appended then.
pub(crate) fn decode_values(packed: &[u8], count: usize, values: &mut Vec<f64>) -> Result<(), ChunkError> {
    check_count(count)?;
    let mut reader = Reader::new(packed, "its values");
    floats::decode(&mut reader, count, values)?;
    check_end(&reader)
}

/// Returns `count` histograms.
///
/// # Errors
/// When the bytes are not the histograms of a chunk of that many samples.
pub(crate) fn decode_histogram_values(packed: &[u8], count: usize) -> Result<Vec<Histogram>, ChunkError> {
    check_count(count)?;
    let mut reader = Reader::new(packed, "its histograms");
    let decoded = histograms::decode(&mut reader, count)?;
    check_end(&reader)?;
    Ok(decoded)
}

fn check_count(count: usize) -> Result<(), ChunkError> {
    if (1..=SAMPLES_MAX).contains(&count) { Ok(()) } else { Err(ChunkError::Size(count)) }
}

fn check_end(reader: &Reader<'_>) -> Result<(), ChunkError> {
    if reader.is_done() { Ok(()) } else { Err(ChunkError::Damaged("bytes follow its last sample")) }
}

/// The parts of a chunk that is one run of bytes.
struct Head<'a> {
    column: Column,
    samples: usize,
    first_ms: i64,
    last_ms: i64,
    times: &'a [u8],
    values: &'a [u8],
}

impl<'a> Head<'a> {
    /// Returns the parts, and the bytes behind the chunk.
    fn take(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), ChunkError> {
        let mut reader = Reader::new(bytes, "its head");
        let column = Column::from_number(reader.byte()?).ok_or(ChunkError::Damaged("its kind is unknown"))?;
        let samples = reader.count(SAMPLES_MAX)?;
        check_count(samples)?;
        let first_ms = reader.signed()?;
        let last_ms = first_ms.wrapping_add(reader.signed()?);
        let times_length = reader.count(usize::MAX)?;
        let values_length = reader.count(usize::MAX)?;
        let times = reader.bytes(times_length)?;
        let values = reader.bytes(values_length)?;
        Ok((Self { column, samples, first_ms, last_ms, times, values }, reader.rest()))
    }
}

impl EncodedChunk {
    /// Returns the chunk as one run of bytes that tells its own length and kind. No checksum: who stores it adds one.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.times.len() + self.values.len() + 24);
        bytes.push(self.column as u8);
        put_varint(&mut bytes, u64::from(self.samples));
        put_signed(&mut bytes, self.first_ms);
        put_signed(&mut bytes, self.last_ms.wrapping_sub(self.first_ms));
        put_varint(&mut bytes, self.times.len() as u64);
        put_varint(&mut bytes, self.values.len() as u64);
        bytes.extend_from_slice(&self.times);
        bytes.extend_from_slice(&self.values);
        bytes
    }

    /// Returns the chunk that starts `bytes`, and how many bytes it takes. Only its head is checked, not its samples.
    ///
    /// # Errors
    /// When no chunk starts here.
    pub fn from_bytes(bytes: &[u8]) -> Result<(Self, usize), ChunkError> {
        let (head, rest) = Head::take(bytes)?;
        let chunk = Self {
            column: head.column,
            samples: u32::try_from(head.samples).unwrap_or_default(),
            first_ms: head.first_ms,
            last_ms: head.last_ms,
            times: head.times.to_vec(),
            values: head.values.to_vec(),
        };
        Ok((chunk, bytes.len() - rest.len()))
    }
}

#[cfg(test)]
mod tests;
