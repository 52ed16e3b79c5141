//! Which series have a value of a label: rising ordinals of series for each value, and the algebra of such lists.

use crate::chunk::ChunkError;
use crate::chunk::bytes::{Reader, put_varint};

/// Bytes from which on a piece is full.
pub(crate) const PIECE_BYTES: usize = 16 << 10;

/// Appends one list: runs of neighbours, or gaps, whichever is shorter.
pub(crate) fn encode(ordinals: &[u32], into: &mut Vec<u8>) {
    let runs: Vec<&[u32]> = ordinals.chunk_by(|a, b| a + 1 == *b).collect();
    let by_runs = runs.len() * 2 < ordinals.len();
    let count = if by_runs { runs.len() } else { ordinals.len() };
    put_varint(into, ((count as u64) << 1) | u64::from(by_runs));
    let mut next = 0;
    if by_runs {
        for run in runs {
            let [first, ..] = run else { continue };
            put_varint(into, u64::from(first - next));
            put_varint(into, run.len() as u64);
            next = first + u32::try_from(run.len()).unwrap_or_default();
        }
    } else {
        for ordinal in ordinals {
            put_varint(into, u64::from(ordinal - next));
            next = ordinal + 1;
        }
    }
}

/// Lists of values that follow each other.
#[derive(Debug)]
pub(crate) struct PostingsPiece {
    bytes: Vec<u8>,
    /// Where each list begins in `bytes`.
    starts: Vec<u32>,
    /// How many series the block has.
    series: u32,
}

impl PostingsPiece {
    /// Reads lists of a block with `series` series, one behind the other to the end of `bytes`.
    pub(crate) fn decode(bytes: Vec<u8>, series: u32) -> Result<Self, ChunkError> {
        let mut reader = Reader::new(&bytes, "postings");
        let mut starts = Vec::new();
        while !reader.is_done() {
            let start = bytes.len() - reader.rest().len();
            starts.push(u32::try_from(start).map_err(|_| ChunkError::Damaged("postings are too long"))?);
            skim(&mut reader, series, |_, _| {})?;
        }
        Ok(Self { bytes, starts, series })
    }

    /// Appends the list at `place`.
    pub(crate) fn list(&self, place: usize, into: &mut Vec<u32>) -> Result<(), ChunkError> {
        let start = self.starts.get(place).ok_or(ChunkError::Damaged("a value has no postings"))?;
        let bytes = self.bytes.get(usize::try_from(*start).unwrap_or_default()..).unwrap_or_default();
        skim(&mut Reader::new(bytes, "postings"), self.series, |first, length| into.extend(first..first + length))
    }

    pub(crate) fn memory(&self) -> usize {
        self.bytes.len() + self.starts.len() * 4
    }
}

/// Goes over one list and hands over its runs: first ordinal and length, all below `series`.
fn skim(reader: &mut Reader<'_>, series: u32, mut each: impl FnMut(u32, u32)) -> Result<(), ChunkError> {
    let head = reader.varint()?;
    let by_runs = head & 1 == 1;
    let mut next = 0_u64;
    for _ in 0..head >> 1 {
        let first = next.saturating_add(reader.varint()?);
        let length = if by_runs { reader.varint()? } else { 1 };
        next = first.saturating_add(length);
        if next > u64::from(series) {
            return Err(ChunkError::Damaged("postings name a series that is not there"));
        }
        let narrow = |number: u64| u32::try_from(number).unwrap_or_default();
        each(narrow(first), narrow(length));
    }
    Ok(())
}

/// Keeps of `list` what is also in `other`.
pub(crate) fn intersect(list: &mut Vec<u32>, other: &[u32]) {
    let mut rest = other;
    list.retain(|ordinal| {
        rest = &rest[gallop(rest, *ordinal)..];
        rest.first() == Some(ordinal)
    });
}

/// Takes from `list` what is in `other`.
pub(crate) fn subtract(list: &mut Vec<u32>, other: &[u32]) {
    let mut rest = other;
    list.retain(|ordinal| {
        rest = &rest[gallop(rest, *ordinal)..];
        rest.first() != Some(ordinal)
    });
}

/// Returns the first place in `list` that is not below `ordinal`, looking near the front first.
fn gallop(list: &[u32], ordinal: u32) -> usize {
    let mut bound = 1;
    while list.get(bound).is_some_and(|value| *value < ordinal) {
        bound *= 2;
    }
    let start = bound / 2;
    let end = bound.min(list.len());
    start + list[start..end].partition_point(|value| *value < ordinal)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lists_come_back(lists in proptest::collection::vec(proptest::collection::btree_set(0_u32..500, 0..200), 1..5)) {
            let mut bytes = Vec::new();
            for list in &lists {
                encode(&list.iter().copied().collect::<Vec<_>>(), &mut bytes);
            }
            let piece = PostingsPiece::decode(bytes.clone(), 500).unwrap();
            for (place, list) in lists.iter().enumerate() {
                let mut out = Vec::new();
                piece.list(place, &mut out).unwrap();
                prop_assert_eq!(out, list.iter().copied().collect::<Vec<_>>());
            }
            if lists.iter().any(|list| list.contains(&499)) {
                prop_assert!(PostingsPiece::decode(bytes, 499).is_err());
            }
        }

        #[test]
        fn any_bytes_are_lists_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(PostingsPiece::decode(bytes, 1000));
        }

        #[test]
        fn algebra_is_that_of_sets(a in proptest::collection::btree_set(0_u32..200, 0..100), b in proptest::collection::btree_set(0_u32..200, 0..100)) {
            let (list, other): (Vec<u32>, Vec<u32>) = (a.iter().copied().collect(), b.iter().copied().collect());
            let mut both = list.clone();
            intersect(&mut both, &other);
            prop_assert_eq!(both.into_iter().collect::<BTreeSet<_>>(), &a & &b);
            let mut rest = list;
            subtract(&mut rest, &other);
            prop_assert_eq!(rest.into_iter().collect::<BTreeSet<_>>(), &a - &b);
        }
    }
}
