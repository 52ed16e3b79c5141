//! A block's contents: what it holds and where each piece is. Kept in memory while the block is open; on disk twice.
//!
//! Format: docs/formats/series-blocks.md, "Contents".

use super::{BlockId, BlockInfo, TimeRange};
use crate::chunk::bytes::{Reader, put_signed, put_varint};
use crate::chunk::{ChunkError, integers};

/// Where a piece is: its offset, and its length with its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PiecePlace {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// Where it is once more, as many others need it; 0 when it is not.
    pub(crate) copy: u64,
}

/// A piece of the values of a label's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ValuesPlace {
    /// Number of the piece.
    pub(crate) piece: u32,
    /// Ordinal of its first value.
    pub(crate) first_ordinal: u32,
    /// Its first value; empty for postings.
    pub(crate) first_value: String,
}

/// One label's name and where its values are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NamePlace {
    pub(crate) name: String,
    /// How many values it has.
    pub(crate) values: u32,
    pub(crate) dictionaries: Vec<ValuesPlace>,
    pub(crate) postings: Vec<ValuesPlace>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) info: BlockInfo,
    /// Length of the file of chunks.
    pub(crate) chunk_bytes: u64,
    pub(crate) names: Vec<NamePlace>,
    /// Pieces of the index; offsets count from the end of the contents.
    pub(crate) index: Vec<PiecePlace>,
    /// Number of the first piece of series in `index`; the others follow it.
    pub(crate) series_first: u32,
    /// Pieces of values in the file of chunks.
    pub(crate) values: Vec<PiecePlace>,
    /// Pieces of timestamps in the file of chunks.
    pub(crate) times: Vec<PiecePlace>,
}

/// Entries that any of the tables may have.
const ENTRIES_MAX: usize = 1 << 26;

fn put_places(places: &[PiecePlace], into: &mut Vec<u8>) {
    put_varint(into, places.len() as u64);
    let offsets: Vec<i64> = places.iter().map(|place| place.offset.cast_signed()).collect();
    let lengths: Vec<i64> = places.iter().map(|place| place.length.cast_signed()).collect();
    let copies: Vec<i64> = places.iter().map(|place| place.copy.cast_signed()).collect();
    integers::encode(&offsets, into);
    integers::encode(&lengths, into);
    integers::encode(&copies, into);
}

fn take_places(reader: &mut Reader<'_>) -> Result<Vec<PiecePlace>, ChunkError> {
    let count = reader.count(ENTRIES_MAX)?;
    let mut take = || -> Result<Vec<u64>, ChunkError> {
        let mut numbers = Vec::new();
        integers::decode(reader, count, |run| numbers.extend(run.iter().map(|number| number.cast_unsigned())))?;
        Ok(numbers)
    };
    let (offsets, lengths, copies) = (take()?, take()?, take()?);
    let rows = offsets.into_iter().zip(lengths).zip(copies);
    Ok(rows.map(|((offset, length), copy)| PiecePlace { offset, length, copy }).collect())
}

fn put_text(text: &str, into: &mut Vec<u8>) {
    put_varint(into, text.len() as u64);
    into.extend_from_slice(text.as_bytes());
}

fn take_text(reader: &mut Reader<'_>) -> Result<String, ChunkError> {
    let length = reader.count(reader.rest().len())?;
    let bytes = reader.bytes(length)?;
    Ok(std::str::from_utf8(bytes).map_err(|_| ChunkError::Damaged("a name is no text"))?.to_owned())
}

fn put_values(places: &[ValuesPlace], into: &mut Vec<u8>) {
    put_varint(into, places.len() as u64);
    for place in places {
        put_varint(into, u64::from(place.piece));
        put_varint(into, u64::from(place.first_ordinal));
        put_text(&place.first_value, into);
    }
}

fn take_values(reader: &mut Reader<'_>) -> Result<Vec<ValuesPlace>, ChunkError> {
    let count = reader.count(reader.rest().len())?;
    (0..count)
        .map(|_| {
            let piece = take_u32(reader)?;
            let first_ordinal = take_u32(reader)?;
            Ok(ValuesPlace { piece, first_ordinal, first_value: take_text(reader)? })
        })
        .collect()
}

fn take_u32(reader: &mut Reader<'_>) -> Result<u32, ChunkError> {
    u32::try_from(reader.varint()?).map_err(|_| ChunkError::Damaged("a number is out of range"))
}

impl Contents {
    /// Returns it as bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, self.info.id.0);
        put_signed(&mut bytes, self.info.range.start_ms);
        put_signed(&mut bytes, self.info.range.end_ms);
        put_signed(&mut bytes, self.info.resolution_ms);
        bytes.push(self.info.level);
        put_varint(&mut bytes, self.info.replaces.len() as u64);
        for id in &self.info.replaces {
            put_varint(&mut bytes, id.0);
        }
        put_varint(&mut bytes, self.info.newest_source.0);
        put_varint(&mut bytes, self.info.series);
        put_varint(&mut bytes, self.info.samples);
        put_varint(&mut bytes, self.chunk_bytes);
        put_varint(&mut bytes, u64::from(self.series_first));
        put_places(&self.index, &mut bytes);
        put_places(&self.values, &mut bytes);
        put_places(&self.times, &mut bytes);
        put_varint(&mut bytes, self.names.len() as u64);
        for name in &self.names {
            put_text(&name.name, &mut bytes);
            put_varint(&mut bytes, u64::from(name.values));
            put_values(&name.dictionaries, &mut bytes);
            put_values(&name.postings, &mut bytes);
        }
        bytes
    }

    /// Reads what [`Contents::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ChunkError> {
        let mut reader = Reader::new(bytes, "the contents");
        let id = BlockId(reader.varint()?);
        let range = TimeRange { start_ms: reader.signed()?, end_ms: reader.signed()? };
        let resolution_ms = reader.signed()?;
        let level = reader.byte()?;
        let replaced = reader.count(reader.rest().len())?;
        let replaces = (0..replaced).map(|_| reader.varint().map(BlockId)).collect::<Result<Vec<_>, _>>()?;
        let newest_source = BlockId(reader.varint()?);
        let series = u64::from(take_u32(&mut reader)?);
        let samples = reader.varint()?;
        let chunk_bytes = reader.varint()?;
        let series_first = take_u32(&mut reader)?;
        let index = take_places(&mut reader)?;
        let values = take_places(&mut reader)?;
        let times = take_places(&mut reader)?;
        let count = reader.count(reader.rest().len())?;
        let names = (0..count)
            .map(|_| {
                let name = take_text(&mut reader)?;
                let values = take_u32(&mut reader)?;
                let dictionaries = take_values(&mut reader)?;
                Ok(NamePlace { name, values, dictionaries, postings: take_values(&mut reader)? })
            })
            .collect::<Result<Vec<_>, ChunkError>>()?;
        let info = BlockInfo { id, range, resolution_ms, level, replaces, newest_source, series, samples, bytes: 0 };
        if !reader.is_done() {
            return Err(ChunkError::Damaged("bytes follow the contents"));
        }
        Ok(Self { info, chunk_bytes, names, index, series_first, values, times })
    }

    /// Returns the label `name` and its ordinal.
    pub(crate) fn name(&self, name: &str) -> Option<(u32, &NamePlace)> {
        let place = self.names.binary_search_by(|own| own.name.as_str().cmp(name)).ok()?;
        Some((u32::try_from(place).ok()?, self.names.get(place)?))
    }
}
