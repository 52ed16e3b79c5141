//! Floats by the XOR with the one before: good for values that often repeat and have no common shape.
//!
//! Source: "Gorilla: A Fast, Scalable, In-Memory Time Series Database", Pelkonen et al., 2015, §4.1.3;
//! bits are filled from the lowest up. Format: docs/formats/series-chunks.md, "XOR".

use super::ChunkError;
use super::bits::mask;
use super::bytes::Reader;

/// Bits of the count of leading zeros.
const LEADING_BITS: usize = 5;
/// Bits of the count of meaningful bits, less one.
const LENGTH_BITS: usize = 6;

struct BitWriter {
    bytes: Vec<u8>,
    pending: u128,
    bits: usize,
}

impl BitWriter {
    fn put(&mut self, value: u64, width: usize) {
        self.pending |= u128::from(value & mask(width)) << self.bits;
        self.bits += width;
        while self.bits >= 8 {
            self.bytes.push(self.pending.to_le_bytes()[0]);
            self.pending >>= 8;
            self.bits -= 8;
        }
    }
}

struct BitReader<'a, 'b> {
    reader: &'b mut Reader<'a>,
    pending: u128,
    bits: usize,
}

impl BitReader<'_, '_> {
    fn take(&mut self, width: usize) -> Result<u64, ChunkError> {
        while self.bits < width {
            if let Some((word, _)) = self.reader.rest().split_first_chunk::<8>() {
                let word = u64::from_le_bytes(*word);
                // As many whole bytes as fit above what is pending.
                self.pending |= u128::from(word) << self.bits;
                self.bits += 64;
                self.reader.bytes(8)?;
            } else {
                self.pending |= u128::from(self.reader.byte()?) << self.bits;
                self.bits += 8;
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "the mask keeps at most 64 bits")]
        let value = self.pending as u64 & mask(width);
        self.pending >>= width;
        self.bits -= width;
        Ok(value)
    }
}

/// Returns the packed `values` behind `kind`; `None` once they take more than `limit` bytes.
pub(crate) fn encode(values: &[f64], kind: u8, limit: usize) -> Option<Vec<u8>> {
    let mut writer = BitWriter { bytes: vec![kind], pending: 0, bits: 0 };
    let mut last = 0_u64;
    let mut window: Option<(usize, usize)> = None;
    for (index, value) in values.iter().enumerate() {
        let bits = value.to_bits();
        let change = bits ^ last;
        last = bits;
        if index == 0 {
            writer.put(bits, 64);
            continue;
        }
        if change == 0 {
            writer.put(0, 1);
            continue;
        }
        let leading = (change.leading_zeros() as usize).min((1 << LEADING_BITS) - 1);
        let trailing = change.trailing_zeros() as usize;
        match window {
            Some((wide_leading, length))
                if leading >= wide_leading
                    && trailing >= 64 - wide_leading - length
                    && length <= 64 - leading - trailing + LEADING_BITS + LENGTH_BITS =>
            {
                writer.put(0b01, 2);
                writer.put(change >> (64 - wide_leading - length), length);
            }
            _ => {
                let length = 64 - leading - trailing;
                writer.put(0b11, 2);
                writer.put(leading as u64, LEADING_BITS);
                writer.put(length as u64 - 1, LENGTH_BITS);
                writer.put(change >> trailing, length);
                window = Some((leading, length));
            }
        }
        if writer.bytes.len() > limit {
            return None;
        }
    }
    if writer.bits > 0 {
        writer.put(0, 8 - writer.bits);
    }
    Some(writer.bytes)
}

/// Takes `count` values from `reader` and appends them to `values`.
///
/// # Errors
/// When the bytes end too early or a window is wider than 64 bits.
pub(crate) fn decode(reader: &mut Reader<'_>, count: usize, values: &mut Vec<f64>) -> Result<(), ChunkError> {
    let start = reader.clone();
    let mut bits = BitReader { reader, pending: 0, bits: 0 };
    let mut taken = 64;
    let mut last = bits.take(64)?;
    values.push(f64::from_bits(last));
    let mut window = (0, 0);
    for _ in 1..count {
        taken += 1;
        if bits.take(1)? == 1 {
            taken += 1;
            if bits.take(1)? == 1 {
                let leading = bits.take(LEADING_BITS)?;
                let length = bits.take(LENGTH_BITS)? + 1;
                taken += LEADING_BITS + LENGTH_BITS;
                window = (usize::try_from(leading).unwrap_or_default(), usize::try_from(length).unwrap_or_default());
            }
            let (leading, length) = window;
            if length == 0 || leading + length > 64 {
                return Err(ChunkError::Damaged("a window of bits does not fit a float"));
            }
            taken += length;
            last ^= bits.take(length)? << (64 - leading - length);
        }
        values.push(f64::from_bits(last));
    }
    // The bit reader fetched ahead: go on behind the last byte that was used.
    *reader = start;
    reader.bytes(taken.div_ceil(8))?;
    Ok(())
}
