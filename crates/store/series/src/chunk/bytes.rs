//! Numbers of varying length, and a reader that never goes beyond its bytes.

use super::ChunkError;

/// Appends `value` with 7 bits a byte, lowest first, the top bit saying that more follow.
pub(crate) fn put_varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    into.push(low_byte(value));
}

/// Appends a signed number: the sign in the lowest bit, then as [`put_varint`].
pub(crate) fn put_signed(into: &mut Vec<u8>, value: i64) {
    put_varint(into, zigzag(value));
}

/// Returns the lowest 8 bits.
#[expect(clippy::cast_possible_truncation, reason = "the lowest 8 bits are what is asked for")]
pub(crate) fn low_byte(value: u64) -> u8 {
    value as u8
}

/// Returns how many bytes [`put_varint`] takes.
pub(crate) fn varint_length(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Returns the number whose lowest bit is the sign of `value`.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Undoes [`zigzag`].
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Takes numbers from the front of bytes.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// What is being read, for errors.
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`, which are `what`.
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// Returns what has not been taken.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Tells whether all has been taken.
    pub(crate) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes `length` bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], ChunkError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(ChunkError::Truncated(self.what))?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes one byte.
    pub(crate) fn byte(&mut self) -> Result<u8, ChunkError> {
        let (first, rest) = self.rest.split_first().ok_or(ChunkError::Truncated(self.what))?;
        self.rest = rest;
        Ok(*first)
    }

    /// Takes a number that [`put_varint`] wrote.
    pub(crate) fn varint(&mut self) -> Result<u64, ChunkError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(ChunkError::Damaged("a number is longer than 64 bits"))
    }

    /// Takes a number that [`put_signed`] wrote.
    pub(crate) fn signed(&mut self) -> Result<i64, ChunkError> {
        self.varint().map(unzigzag)
    }

    /// Takes a count or length of at most `max`.
    pub(crate) fn count(&mut self, max: usize) -> Result<usize, ChunkError> {
        let value = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        if value > max { Err(ChunkError::Damaged("a count is beyond its limit")) } else { Ok(value) }
    }

    /// Takes 8 bytes, lowest first.
    pub(crate) fn u64(&mut self) -> Result<u64, ChunkError> {
        let bytes = self.bytes(8)?;
        Ok(bytes.try_into().map(u64::from_le_bytes).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_take_the_length_that_was_told() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::MAX >> 1, u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(bytes.len(), varint_length(value), "{value}");
            assert_eq!(Reader::new(&bytes, "a test").varint(), Ok(value));
            assert_eq!(zigzag(unzigzag(value)), value);
        }
        assert_eq!(unzigzag(zigzag(i64::MIN)), i64::MIN);
        assert!(Reader::new(&[0xff; 11], "a test").varint().is_err());
        assert_eq!(Reader::new(&[0x80], "a test").varint(), Err(ChunkError::Truncated("a test")));
    }
}
