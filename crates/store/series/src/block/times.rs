//! Pieces of packed timestamps, each of which many chunks may share.

use crate::chunk::ChunkError;
use crate::chunk::bytes::Reader;

/// Packed timestamps in one piece.
pub(crate) const PER_PIECE: usize = 128;

/// Some packed timestamps.
#[derive(Debug)]
pub(crate) struct TimesPiece {
    bytes: Vec<u8>,
    /// Where each begins and ends in `bytes`.
    places: Vec<(u32, u32)>,
}

impl TimesPiece {
    /// Reads packed timestamps, each behind its length, to the end of `bytes`.
    pub(crate) fn decode(bytes: Vec<u8>) -> Result<Self, ChunkError> {
        let mut reader = Reader::new(&bytes, "timestamps");
        let mut places = Vec::new();
        while !reader.is_done() {
            let length = reader.count(bytes.len())?;
            let start = bytes.len() - reader.rest().len();
            reader.bytes(length)?;
            let narrow = |number: usize| u32::try_from(number).unwrap_or_default();
            places.push((narrow(start), narrow(start + length)));
        }
        if places.len() > PER_PIECE {
            return Err(ChunkError::Damaged("there are too many timestamps in it"));
        }
        Ok(Self { bytes, places })
    }

    /// Returns the packed timestamps at `place`.
    pub(crate) fn get(&self, place: usize) -> Option<&[u8]> {
        let (start, end) = self.places.get(place)?;
        self.bytes.get(usize::try_from(*start).ok()?..usize::try_from(*end).ok()?)
    }

    pub(crate) fn memory(&self) -> usize {
        self.bytes.len() + self.places.len() * 8
    }
}
