//! Pieces of series: labels as ordinals, and where each chunk is. What is equal or regular from series to series takes almost nothing.
//!
//! Format: docs/formats/series-blocks.md, "Series".

use std::sync::OnceLock;

use maru_prom::Labels;

use crate::chunk::bytes::{Reader, put_varint};
use crate::chunk::{ChunkError, Column, SAMPLES_MAX, integers};

/// Series in one piece.
pub(crate) const PER_PIECE: usize = 256;

/// Labels that one series may have, and chunks.
const LABELS_MAX: usize = 1 << 10;
const CHUNKS_MAX: usize = 1 << 20;

/// Where a chunk is and what it spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChunkPlace {
    pub(crate) column: Column,
    pub(crate) samples: u32,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    /// Number of its packed timestamps.
    pub(crate) times: u32,
    /// Place of its values' piece among the pieces of values.
    pub(crate) page: u32,
    /// Where its values begin in that piece, unpacked.
    pub(crate) offset: u32,
    /// How many bytes its values take.
    pub(crate) length: u32,
}

/// A label as ordinals: of its name, and of its value among the values of that name.
pub(crate) type LabelPlace = (u32, u32);

/// Some series that follow each other.
#[derive(Debug)]
pub(crate) struct SeriesPiece {
    labels: Vec<LabelPlace>,
    label_ends: Vec<u32>,
    chunks: Vec<ChunkPlace>,
    chunk_ends: Vec<u32>,
    /// Labels as text, made when first asked for.
    texts: Vec<OnceLock<Labels>>,
}

/// Appends one integer column behind its length.
fn put_column(numbers: impl Iterator<Item = i64>, into: &mut Vec<u8>) {
    let mut bytes = Vec::new();
    integers::encode(&numbers.collect::<Vec<_>>(), &mut bytes);
    put_varint(into, bytes.len() as u64);
    into.extend_from_slice(&bytes);
}

/// Appends at most [`PER_PIECE`] series.
pub(crate) fn encode(series: &[(&[LabelPlace], &[ChunkPlace])], into: &mut Vec<u8>) {
    put_varint(into, series.len() as u64);
    let mut last: &[LabelPlace] = &[];
    for (labels, _) in series {
        let shared = labels.iter().zip(last).take_while(|(a, b)| a == b).count();
        put_varint(into, shared as u64);
        put_varint(into, (labels.len() - shared) as u64);
        for (name, value) in &labels[shared..] {
            put_varint(into, u64::from(*name));
            put_varint(into, u64::from(*value));
        }
        last = labels;
    }
    let chunks = || series.iter().flat_map(|(_, chunks)| chunks.iter());
    put_column(series.iter().map(|(_, chunks)| i64::try_from(chunks.len()).unwrap_or_default()), into);
    put_column(chunks().map(|chunk| chunk.column as i64), into);
    put_column(chunks().map(|chunk| i64::from(chunk.samples)), into);
    put_column(chunks().map(|chunk| chunk.first_ms), into);
    put_column(chunks().map(|chunk| chunk.last_ms.wrapping_sub(chunk.first_ms)), into);
    put_column(chunks().map(|chunk| i64::from(chunk.times)), into);
    put_column(chunks().map(|chunk| i64::from(chunk.page)), into);
    // Where values begin follows from the lengths, except for the first.
    put_varint(into, chunks().next().map_or(0, |chunk| u64::from(chunk.offset)));
    put_column(chunks().map(|chunk| i64::from(chunk.length)), into);
}

/// Takes a column of `count` integers.
fn take_column(reader: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, ChunkError> {
    let length = reader.count(reader.rest().len())?;
    let mut column = Reader::new(reader.bytes(length)?, "series");
    let mut numbers = Vec::with_capacity(count);
    integers::decode(&mut column, count, |run| numbers.extend_from_slice(run))?;
    if column.is_done() { Ok(numbers) } else { Err(ChunkError::Damaged("a column of series is too long")) }
}

fn narrow(number: i64) -> Result<u32, ChunkError> {
    u32::try_from(number).map_err(|_| ChunkError::Damaged("a number of a series is out of range"))
}

impl SeriesPiece {
    /// Reads what [`encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ChunkError> {
        let mut reader = Reader::new(bytes, "series");
        let count = reader.count(PER_PIECE)?;
        let (labels, label_ends) = take_labels(&mut reader, count)?;
        let mut chunk_ends = Vec::with_capacity(count);
        let mut total = 0_u32;
        for chunks in take_column(&mut reader, count)? {
            total = total.saturating_add(narrow(chunks)?);
            chunk_ends.push(total);
        }
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        if total > CHUNKS_MAX {
            return Err(ChunkError::Damaged("series have too many chunks"));
        }
        let columns = take_column(&mut reader, total)?;
        let samples = take_column(&mut reader, total)?;
        let firsts = take_column(&mut reader, total)?;
        let spans = take_column(&mut reader, total)?;
        let times = take_column(&mut reader, total)?;
        let pages = take_column(&mut reader, total)?;
        let mut offset = narrow(reader.varint()?.cast_signed())?;
        let lengths = take_column(&mut reader, total)?;
        let mut chunks: Vec<ChunkPlace> = Vec::with_capacity(total);
        for index in 0..total {
            let page = narrow(pages[index])?;
            if chunks.last().is_some_and(|last| last.page != page) {
                offset = 0;
            }
            let chunk = ChunkPlace {
                column: u8::try_from(columns[index])
                    .ok()
                    .and_then(Column::from_number)
                    .ok_or(ChunkError::Damaged("a chunk's kind is unknown"))?,
                samples: narrow(samples[index])?,
                first_ms: firsts[index],
                last_ms: firsts[index].wrapping_add(spans[index]),
                times: narrow(times[index])?,
                page,
                offset,
                length: narrow(lengths[index])?,
            };
            if usize::try_from(chunk.samples).unwrap_or(usize::MAX) > SAMPLES_MAX {
                return Err(ChunkError::Damaged("a chunk has too many samples"));
            }
            offset = offset.checked_add(chunk.length).ok_or(ChunkError::Damaged("a chunk lies outside its piece"))?;
            chunks.push(chunk);
        }
        let texts = std::iter::repeat_with(OnceLock::new).take(count).collect();
        Ok(Self { labels, label_ends, chunks, chunk_ends, texts })
    }

    /// Returns how many series there are.
    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    /// Returns the labels of the series at `place`.
    pub(crate) fn labels(&self, place: usize) -> &[LabelPlace] {
        part(&self.labels, &self.label_ends, place)
    }

    /// Returns the chunks of the series at `place`.
    pub(crate) fn chunks(&self, place: usize) -> &[ChunkPlace] {
        part(&self.chunks, &self.chunk_ends, place)
    }

    /// Returns where the labels of the series at `place` are kept as text.
    pub(crate) fn text(&self, place: usize) -> Option<&OnceLock<Labels>> {
        self.texts.get(place)
    }

    pub(crate) fn memory(&self) -> usize {
        // Labels as text are counted as if all were made: about 200 bytes a series.
        self.labels.len() * 8 + self.chunks.len() * size_of::<ChunkPlace>() + self.len() * 240
    }
}

fn take_labels(reader: &mut Reader<'_>, count: usize) -> Result<(Vec<LabelPlace>, Vec<u32>), ChunkError> {
    let mut labels: Vec<LabelPlace> = Vec::new();
    let mut ends = Vec::with_capacity(count);
    let mut last = 0..0;
    for _ in 0..count {
        let start = labels.len();
        let shared = reader.count(last.len())?;
        labels.extend_from_within(last.start..last.start + shared);
        for _ in 0..reader.count(LABELS_MAX)? {
            let name = narrow(reader.varint()?.cast_signed())?;
            labels.push((name, narrow(reader.varint()?.cast_signed())?));
        }
        last = start..labels.len();
        ends.push(u32::try_from(labels.len()).map_err(|_| ChunkError::Damaged("series have too many labels"))?);
    }
    Ok((labels, ends))
}

fn part<'a, T>(all: &'a [T], ends: &[u32], place: usize) -> &'a [T] {
    let at = |place: usize| ends.get(place).and_then(|end| usize::try_from(*end).ok());
    let Some(end) = at(place) else { return &[] };
    let start = place.checked_sub(1).and_then(at).unwrap_or_default();
    all.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn series_come_back_and_regular_ones_are_small() {
        let mut all = Vec::new();
        let mut offset = 0;
        for number in 0..256_u32 {
            let labels = vec![(0, 3), (1, number / 16), (2, number % 16)];
            let chunks: Vec<ChunkPlace> = (0..3)
                .map(|chunk| {
                    if number == 200 && chunk == 0 {
                        offset = 0;
                    }
                    let length = 300 + number % 7;
                    offset += length;
                    ChunkPlace {
                        column: Column::Floats,
                        samples: 480,
                        first_ms: 1_700_000_000_000 + i64::from(chunk) * 7_200_000,
                        last_ms: 1_700_000_000_000 + i64::from(chunk) * 7_200_000 + 479 * 15_000,
                        times: chunk,
                        page: 4 + u32::from(number >= 200),
                        offset: offset - length,
                        length,
                    }
                })
                .collect();
            all.push((labels, chunks));
        }
        let borrowed: Vec<(&[LabelPlace], &[ChunkPlace])> =
            all.iter().map(|(labels, chunks)| (labels.as_slice(), chunks.as_slice())).collect();
        let mut bytes = Vec::new();
        encode(&borrowed, &mut bytes);
        assert!(bytes.len() < 256 * 8, "{}", bytes.len());
        let piece = SeriesPiece::decode(&bytes).unwrap();
        assert_eq!(piece.len(), 256);
        for (place, (labels, chunks)) in all.iter().enumerate() {
            assert_eq!(piece.labels(place), labels);
            assert_eq!(piece.chunks(place), chunks);
        }
        for cut in 0..bytes.len() {
            assert!(SeriesPiece::decode(&bytes[..cut]).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_series_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(SeriesPiece::decode(&bytes));
        }
    }
}
