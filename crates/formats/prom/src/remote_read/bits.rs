//! Bits in a row, the highest of each byte first, as Prometheus' chunks are written.

/// The bits ended, or no chunk has such bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BitsError;

#[derive(Debug, Default)]
pub(super) struct BitWriter {
    pub(super) bytes: Vec<u8>,
    /// Free bits in the last byte.
    free: u32,
}

impl BitWriter {
    /// Starts behind a head of whole bytes.
    pub(super) fn with_head(head: &[u8]) -> Self {
        Self { bytes: head.to_vec(), free: 0 }
    }

    /// Writes the lowest `count` bits of `value`.
    #[expect(clippy::cast_possible_truncation, reason = "at most eight bits are shifted to their place in a byte")]
    pub(super) fn bits(&mut self, value: u64, count: u32) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let now = left.min(self.free);
            let part = (value >> (left - now)) & (u64::MAX >> (64 - now));
            if let Some(last) = self.bytes.last_mut() {
                *last |= (part << (self.free - now)) as u8;
            }
            self.free -= now;
            left -= now;
        }
    }

    pub(super) fn uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bits(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.bits(value, 8);
    }

    pub(super) fn varint(&mut self, value: i64) {
        self.uvarint(crate::wire::to_zigzag(value));
    }

    /// Writes a number in as many bits as its size class takes.
    pub(super) fn varbit(&mut self, value: i64) {
        let class =
            if value == 0 { 0 } else { VARBIT_SIZES.iter().position(|size| fits(value, *size)).map_or(8, |at| at + 1) };
        self.classed(class, value.cast_unsigned());
    }

    pub(super) fn varbit_unsigned(&mut self, value: u64) {
        let size = VARBIT_SIZES.iter().position(|size| value >> size == 0);
        self.classed(if value == 0 { 0 } else { size.map_or(8, |at| at + 1) }, value);
    }

    /// Writes as many ones, then a zero.
    pub(super) fn ones(&mut self, count: usize) {
        (0..count).for_each(|_| self.bits(1, 1));
        self.bits(0, 1);
    }

    fn classed(&mut self, class: usize, value: u64) {
        match VARBIT_SIZES.get(class.wrapping_sub(1)) {
            None if class == 0 => self.bits(0, 1),
            None => {
                self.bits(0xff, 8);
                self.bits(value, 64);
            }
            Some(size) => {
                self.ones(class);
                self.bits(value, *size);
            }
        }
    }
}

/// Bits of each size class between 0 and "all 64".
const VARBIT_SIZES: [u32; 7] = [3, 6, 9, 12, 18, 25, 56];

/// Tells whether a signed number fits into `bits`, with one more positive than negative number.
pub(super) fn fits(value: i64, bits: u32) -> bool {
    let half = 1_i64 << (bits - 1);
    -(half - 1) <= value && value <= half
}

/// Reads back what [`fits`] allows: the highest number stands for itself, all above are negative.
pub(super) fn sign(value: u64, bits: u32) -> i64 {
    if value > 1 << (bits - 1) { value.cast_signed().wrapping_sub(1 << bits) } else { value.cast_signed() }
}

#[derive(Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a place in a byte is below eight")]
    pub(super) fn bits(&mut self, count: u32) -> Result<u64, BitsError> {
        let (mut value, mut left) = (0_u64, count);
        while left > 0 {
            let byte = *self.bytes.get(self.position / 8).ok_or(BitsError)?;
            let free = 8 - (self.position % 8) as u32;
            let now = left.min(free);
            let part = (u64::from(byte) >> (free - now)) & ((1 << now) - 1);
            value = (value << now) | part;
            self.position += now as usize;
            left -= now;
        }
        Ok(value)
    }

    /// Reads at most 32 bits.
    pub(super) fn small(&mut self, count: u32) -> Result<u32, BitsError> {
        self.bits(count).and_then(|bits| u32::try_from(bits).map_err(|_| BitsError))
    }

    pub(super) fn bit(&mut self) -> Result<bool, BitsError> {
        Ok(self.bits(1)? == 1)
    }

    pub(super) fn uvarint(&mut self) -> Result<u64, BitsError> {
        let mut value = 0_u64;
        for index in 0..10 {
            let byte = self.bits(8)?;
            value |= (byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(BitsError)
    }

    pub(super) fn varint(&mut self) -> Result<i64, BitsError> {
        Ok(crate::wire::zigzag(self.uvarint()?))
    }

    /// Counts ones up to a zero, at most `most`.
    pub(super) fn ones(&mut self, most: u32) -> Result<u32, BitsError> {
        for count in 0..most {
            if !self.bit()? {
                return Ok(count);
            }
        }
        Ok(most)
    }

    pub(super) fn varbit(&mut self) -> Result<i64, BitsError> {
        let class = self.ones(8)?;
        Ok(match VARBIT_SIZES.get((class as usize).wrapping_sub(1)) {
            None if class == 0 => 0,
            None => self.bits(64)?.cast_signed(),
            Some(size) => sign(self.bits(*size)?, *size),
        })
    }

    pub(super) fn varbit_unsigned(&mut self) -> Result<u64, BitsError> {
        let class = self.ones(8)?;
        match VARBIT_SIZES.get((class as usize).wrapping_sub(1)) {
            None if class == 0 => Ok(0),
            None => self.bits(64),
            Some(size) => self.bits(*size),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_of_all_sizes_come_back(numbers in proptest::collection::vec((any::<i64>(), 0_u32..64), 0..50)) {
            let mut writer = BitWriter::default();
            for (number, shift) in &numbers {
                writer.varbit(number >> shift);
                writer.varbit_unsigned(number.cast_unsigned() >> shift);
                writer.varint(number >> shift);
                writer.bits(1, 1);
            }
            let mut reader = BitReader::new(&writer.bytes);
            for (number, shift) in &numbers {
                prop_assert_eq!(reader.varbit(), Ok(number >> shift));
                prop_assert_eq!(reader.varbit_unsigned(), Ok(number.cast_unsigned() >> shift));
                prop_assert_eq!(reader.varint(), Ok(number >> shift));
                prop_assert_eq!(reader.bit(), Ok(true));
            }
        }
    }
}
