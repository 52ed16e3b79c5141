//! Values of one label's name, in order: an ordinal is a value's place among all values of the name.

use crate::chunk::ChunkError;
use crate::chunk::bytes::{Reader, put_varint};

/// Bytes of text from which on a piece is full.
pub(crate) const PIECE_TEXT: usize = 16 << 10;

/// A run of values that follow each other.
#[derive(Debug)]
pub(crate) struct Dictionary {
    text: String,
    /// Where each value ends in `text`.
    ends: Vec<u32>,
}

/// Appends a run of values in order.
pub(crate) fn encode(values: &[&str], into: &mut Vec<u8>) {
    put_varint(into, values.len() as u64);
    for value in values {
        put_varint(into, value.len() as u64);
    }
    for value in values {
        into.extend_from_slice(value.as_bytes());
    }
}

impl Dictionary {
    /// Reads what [`encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ChunkError> {
        let mut reader = Reader::new(bytes, "label values");
        let count = reader.count(bytes.len())?;
        let mut ends = Vec::with_capacity(count);
        let mut end = 0_usize;
        for _ in 0..count {
            end = end.saturating_add(reader.count(bytes.len())?);
            ends.push(u32::try_from(end).map_err(|_| ChunkError::Damaged("label values are too long"))?);
        }
        let text = std::str::from_utf8(reader.rest()).map_err(|_| ChunkError::Damaged("label values are no text"))?;
        if text.len() != end || ends.iter().any(|end| !text.is_char_boundary(usize::try_from(*end).unwrap_or_default()))
        {
            return Err(ChunkError::Damaged("label values do not fit their lengths"));
        }
        Ok(Self { text: text.to_owned(), ends })
    }

    /// Returns how many values there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns the value at `place` of this run.
    pub(crate) fn get(&self, place: usize) -> Option<&str> {
        let end = usize::try_from(*self.ends.get(place)?).ok()?;
        let start = match place.checked_sub(1) {
            Some(before) => usize::try_from(*self.ends.get(before)?).ok()?,
            None => 0,
        };
        self.text.get(start..end)
    }

    /// Goes over the values in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|place| self.get(place).unwrap_or_default())
    }

    /// Returns the first place whose value is not below `value`.
    pub(crate) fn lower_bound(&self, value: &str) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.get(middle).unwrap_or_default() < value {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    pub(crate) fn memory(&self) -> usize {
        self.text.len() + self.ends.len() * 4
    }
}
