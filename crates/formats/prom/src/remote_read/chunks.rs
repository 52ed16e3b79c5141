//! The streamed answer: frames of compressed chunks.

use std::sync::Arc;

use super::bits::BitsError;
use super::{ReadSeries, histogram_chunk, response, xor};
use crate::wire::{Reader, WireError, Writer};
use crate::{Histogram, Labels};

/// Samples of one chunk, as everybody's chunks have.
const CHUNK_SAMPLES: usize = 120;

/// `Chunk.Encoding` of floats.
const XOR: u64 = 1;
/// `Chunk.Encoding` of native histograms with floating-point counts.
const FLOAT_HISTOGRAM: u64 = 3;

/// Appends the frames of one series to `out`: each starts with its length and a checksum and holds chunks of about
/// `frame_bytes_max` together. A series without samples has no frame. Series must come in the order of their labels.
pub fn chunked_series(query_index: usize, series: &ReadSeries<'_>, frame_bytes_max: usize, out: &mut Vec<u8>) {
    let mut labels = Writer::default();
    response::write_labels(series.labels, &mut labels);
    let mut frame = Writer::default();
    for chunk in cut(series) {
        if !frame.bytes.is_empty() && frame.bytes.len() + labels.bytes.len() >= frame_bytes_max {
            write_frame(query_index, &labels, &std::mem::take(&mut frame), out);
        }
        frame.message(2, |inner| {
            inner.signed(1, chunk.min_ms);
            inner.signed(2, chunk.max_ms);
            inner.number(3, chunk.encoding);
            inner.blob(4, &chunk.data);
        });
    }
    if !frame.bytes.is_empty() {
        write_frame(query_index, &labels, &frame, out);
    }
}

fn write_frame(query_index: usize, labels: &Writer, chunks: &Writer, out: &mut Vec<u8>) {
    let mut message = Writer::default();
    message.message(1, |series| {
        series.bytes.extend_from_slice(&labels.bytes);
        series.bytes.extend_from_slice(&chunks.bytes);
    });
    message.number(2, query_index as u64);
    let mut length = Writer::default();
    length.varint(message.bytes.len() as u64);
    out.extend_from_slice(&length.bytes);
    out.extend_from_slice(&checksum(&message.bytes).to_be_bytes());
    out.extend_from_slice(&message.bytes);
}

#[derive(Debug)]
struct Chunk {
    min_ms: i64,
    max_ms: i64,
    encoding: u64,
    data: Vec<u8>,
}

/// Cuts the samples into chunks in the order of time; floats and histograms are never in one.
fn cut(series: &ReadSeries<'_>) -> Vec<Chunk> {
    let (mut floats, mut histograms, mut chunks) = (0, 0, Vec::new());
    loop {
        let next_float = series.timestamps.get(floats).copied();
        let next_histogram = series.histograms.get(histograms).map(|(timestamp, _)| *timestamp);
        match (next_float, next_histogram) {
            (None, None) => return chunks,
            (Some(float), next) if next.is_none_or(|histogram| float <= histogram) => {
                let before = series.timestamps[floats..].partition_point(|time| next.is_none_or(|next| *time <= next));
                let end = floats + before.clamp(1, CHUNK_SAMPLES);
                let times = &series.timestamps[floats..end];
                let data = xor::encode(times, &series.values[floats..end]);
                chunks.push(Chunk { min_ms: float, max_ms: times[times.len() - 1], encoding: XOR, data });
                floats = end;
            }
            (next, Some(histogram)) => {
                let rest = &series.histograms[histograms..];
                let run = rest.iter().take(CHUNK_SAMPLES).zip(rest.get(1..).unwrap_or_default());
                let count = 1 + run
                    .take(CHUNK_SAMPLES - 1)
                    .take_while(|((_, last), (time, following))| {
                        next.is_none_or(|float| *time < float) && histogram_chunk::fits_behind(last, following)
                    })
                    .count();
                let samples = &rest[..count];
                let data = histogram_chunk::encode(samples);
                let max_ms = samples[count - 1].0;
                chunks.push(Chunk { min_ms: histogram, max_ms, encoding: FLOAT_HISTOGRAM, data });
                histograms += count;
            }
            // The first arm takes it: without a histogram there is nothing to wait for.
            (Some(_), None) => return chunks,
        }
    }
}

/// A stream of frames that is damaged.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// A frame is no such message.
    #[error("a frame is malformed")]
    Wire(#[from] WireError),
    /// A frame's checksum is another.
    #[error("a frame of {0} bytes fails its checksum")]
    Checksum(usize),
    /// A chunk's bits are no chunk.
    #[error("a chunk is malformed")]
    Chunk,
    /// A chunk is coded in a way that is not known here.
    #[error("chunks of encoding {0} are not supported: use 1 (floats) or 3 (native histograms of floats)")]
    Encoding(u64),
}

impl From<BitsError> for FrameError {
    fn from(_: BitsError) -> Self {
        Self::Chunk
    }
}

/// One frame's content, unpacked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChunkedFrame {
    /// Which query it answers.
    pub query_index: u64,
    /// The series' labels.
    pub labels: Labels,
    /// Timestamps of the floats.
    pub timestamps: Vec<i64>,
    /// The floats.
    pub values: Vec<f64>,
    /// The native histograms.
    pub histograms: Vec<(i64, Arc<Histogram>)>,
}

/// Reads a whole stream of frames.
///
/// # Errors
/// When a frame is cut, fails its checksum or cannot be unpacked.
pub fn decode_frames(stream: &[u8]) -> Result<Vec<ChunkedFrame>, FrameError> {
    let mut reader = Reader::new(stream);
    let mut frames = Vec::new();
    while !reader.rest().is_empty() {
        let length = reader.varint()?;
        let expected = reader.take(4)?;
        let message = reader.take(length)?;
        if checksum(message).to_be_bytes() != expected {
            return Err(FrameError::Checksum(message.len()));
        }
        frames.push(decode_frame(message)?);
    }
    Ok(frames)
}

fn decode_frame(message: &[u8]) -> Result<ChunkedFrame, FrameError> {
    let mut frame = ChunkedFrame::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => {
                let mut pairs = Vec::new();
                let mut series = Reader::new(field.bytes("ChunkedReadResponse", 1)?);
                while let Some((number, field)) = series.field()? {
                    match number {
                        1 => pairs.push(response::decode_label(field.bytes("ChunkedSeries", 1)?)?),
                        2 => decode_chunk(field.bytes("ChunkedSeries", 2)?, &mut frame)?,
                        _ => {}
                    }
                }
                frame.labels = Labels::from_pairs(pairs);
            }
            2 => frame.query_index = field.number("ChunkedReadResponse", 2)?,
            _ => {}
        }
    }
    Ok(frame)
}

fn decode_chunk(message: &[u8], frame: &mut ChunkedFrame) -> Result<(), FrameError> {
    let (mut encoding, mut data) = (0, &[][..]);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            3 => encoding = field.number("Chunk", 3)?,
            4 => data = field.bytes("Chunk", 4)?,
            _ => {}
        }
    }
    match encoding {
        XOR => xor::decode(data, &mut frame.timestamps, &mut frame.values)?,
        FLOAT_HISTOGRAM => histogram_chunk::decode(data, &mut frame.histograms)?,
        other => return Err(FrameError::Encoding(other)),
    }
    Ok(())
}

/// CRC-32 with Castagnoli's polynomial, eight bytes a step.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut sum = u32::MAX;
    for word in words {
        let [a, b, c, d, e, f, g, h] = *word;
        let low = sum ^ u32::from_le_bytes([a, b, c, d]);
        sum = TABLES[7][(low & 0xff) as usize]
            ^ TABLES[6][(low >> 8 & 0xff) as usize]
            ^ TABLES[5][(low >> 16 & 0xff) as usize]
            ^ TABLES[4][(low >> 24) as usize]
            ^ TABLES[3][e as usize]
            ^ TABLES[2][f as usize]
            ^ TABLES[1][g as usize]
            ^ TABLES[0][h as usize];
    }
    for byte in rest {
        sum = TABLES[0][((sum ^ u32::from(*byte)) & 0xff) as usize] ^ (sum >> 8);
    }
    !sum
}

static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut tables = [[0; 256]; 8];
    let (mut byte, mut first) = (0, 0);
    while byte < 256 {
        let (mut sum, mut bit) = (first, 0);
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ POLYNOMIAL } else { sum >> 1 };
            bit += 1;
        }
        tables[0][byte] = sum;
        byte += 1;
        first += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let sum = tables[table - 1][byte];
            tables[table][byte] = (sum >> 8) ^ tables[0][(sum & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}
