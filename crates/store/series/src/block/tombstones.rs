//! What was deleted from a block: for each series some spans of time. Samples stay in the chunks until the block is merged.
//!
//! Format: docs/formats/series-blocks.md, "Deletions".

use std::collections::BTreeMap;
use std::path::Path;

use super::files::{self, TOMBSTONES, TOMBSTONES_MAGIC};
use super::piece::{self, Kind};
use super::{BlockError, TimeRange};
use crate::chunk::ChunkError;
use crate::chunk::bytes::{Reader, put_signed, put_varint};

/// Deleted spans by the ordinal of their series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tombstones {
    spans: BTreeMap<u32, Vec<TimeRange>>,
}

impl Tombstones {
    /// Reads a block's deletions.
    pub(crate) fn open(directory: &Path) -> Result<Self, String> {
        let bytes = match std::fs::read(directory.join(TOMBSTONES)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(format!("deletions: they cannot be read: {error}")),
        };
        let rest = bytes.strip_prefix(TOMBSTONES_MAGIC).ok_or("deletions: not a file of deletions")?;
        let (raw, _) = piece::take(rest, Kind::Tombstones).map_err(|reason| format!("deletions: {reason}"))?;
        Self::decode(&raw).map_err(|error| format!("deletions: {error}"))
    }

    fn decode(raw: &[u8]) -> Result<Self, ChunkError> {
        let mut reader = Reader::new(raw, "deletions");
        let mut spans = BTreeMap::new();
        let mut next = 0_u64;
        for _ in 0..reader.count(raw.len())? {
            let ordinal = next.saturating_add(reader.varint()?);
            next = ordinal.saturating_add(1);
            let ordinal = u32::try_from(ordinal).map_err(|_| ChunkError::Damaged("a series is out of range"))?;
            let count = reader.count(raw.len())?;
            let mut own = Vec::new();
            for _ in 0..count {
                let start_ms = reader.signed()?;
                own.push(TimeRange { start_ms, end_ms: start_ms.wrapping_add(reader.varint()?.cast_signed()) });
            }
            spans.insert(ordinal, own);
        }
        Ok(Self { spans })
    }

    /// Writes a block's deletions.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), BlockError> {
        let mut raw = Vec::new();
        put_varint(&mut raw, self.spans.len() as u64);
        let mut next = 0;
        for (ordinal, spans) in &self.spans {
            put_varint(&mut raw, u64::from(ordinal - next));
            next = ordinal + 1;
            put_varint(&mut raw, spans.len() as u64);
            for span in spans {
                put_signed(&mut raw, span.start_ms);
                put_varint(&mut raw, span.end_ms.wrapping_sub(span.start_ms).cast_unsigned());
            }
        }
        let mut bytes = TOMBSTONES_MAGIC.to_vec();
        piece::put(&mut bytes, Kind::Tombstones, &raw);
        files::replace(directory, TOMBSTONES, &bytes)
    }

    /// Adds a span to a series; spans that touch become one.
    pub(crate) fn add(&mut self, ordinal: u32, span: TimeRange) {
        let spans = self.spans.entry(ordinal).or_default();
        let mut merged = span;
        spans.retain(|own| {
            let touches =
                own.start_ms <= merged.end_ms.saturating_add(1) && merged.start_ms <= own.end_ms.saturating_add(1);
            if touches {
                merged.start_ms = merged.start_ms.min(own.start_ms);
                merged.end_ms = merged.end_ms.max(own.end_ms);
            }
            !touches
        });
        let place = spans.partition_point(|own| own.start_ms < merged.start_ms);
        spans.insert(place, merged);
    }

    /// Tells whether nothing was deleted.
    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Returns the deleted spans of a series, in order, apart from each other.
    pub(crate) fn of(&self, ordinal: u32) -> &[TimeRange] {
        self.spans.get(&ordinal).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maru_testkit::TempDir;

    #[test]
    fn spans_join_and_come_back() {
        let span = |start_ms, end_ms| TimeRange { start_ms, end_ms };
        let mut tombstones = Tombstones::default();
        for (ordinal, start, end) in
            [(7, 10, 20), (7, 40, 50), (7, 15, 30), (7, 31, 33), (2, i64::MIN, i64::MAX), (7, 0, 5)]
        {
            tombstones.add(ordinal, span(start, end));
        }
        assert_eq!(tombstones.of(7), [span(0, 5), span(10, 33), span(40, 50)]);
        let directory = TempDir::new();
        assert_eq!(Tombstones::open(directory.path()), Ok(Tombstones::default()));
        tombstones.write(directory.path()).unwrap();
        assert_eq!(Tombstones::open(directory.path()), Ok(tombstones));
        let path = directory.join(TOMBSTONES);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(Tombstones::open(directory.path()).is_err());
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &flipped).unwrap();
            assert!(Tombstones::open(directory.path()).is_err());
        }
    }
}
