//! Prometheus' XOR chunk of float samples.
//!
//! Source: Prometheus TSDB chunk formats: a count in two bytes; then the first timestamp and value whole, the second timestamp as
//! a difference, all others as a difference of differences; values as the bits that differ from the value before.

use super::bits::{BitReader, BitWriter, BitsError, fits, sign};

/// Remembers which bits of the last value differed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Xor {
    pub(super) value: f64,
    /// Zeros before and after the differing bits; `None` before the first difference.
    window: Option<(u32, u32)>,
}

impl Xor {
    pub(super) fn new(value: f64) -> Self {
        Self { value, window: None }
    }

    pub(super) fn write(&mut self, value: f64, writer: &mut BitWriter) {
        let delta = value.to_bits() ^ self.value.to_bits();
        self.value = value;
        if delta == 0 {
            writer.bits(0, 1);
            return;
        }
        let (leading, trailing) = (delta.leading_zeros().min(31), delta.trailing_zeros());
        match self.window {
            Some((before, after)) if leading >= before && trailing >= after => {
                writer.bits(0b10, 2);
                writer.bits(delta >> after, 64 - before - after);
            }
            _ => {
                self.window = Some((leading, trailing));
                let significant = 64 - leading - trailing;
                writer.bits(0b11, 2);
                writer.bits(leading.into(), 5);
                // 64 does not fit and 0 never happens: 0 stands for 64.
                writer.bits(significant.into(), 6);
                writer.bits(delta >> trailing, significant);
            }
        }
    }

    pub(super) fn read(&mut self, reader: &mut BitReader<'_>) -> Result<(), BitsError> {
        if !reader.bit()? {
            return Ok(());
        }
        let (leading, trailing) = if reader.bit()? {
            let leading = reader.small(5)?;
            let significant = reader.small(6)?;
            let significant = if significant == 0 { 64 } else { significant };
            let trailing = 64_u32.checked_sub(leading + significant).ok_or(BitsError)?;
            self.window = Some((leading, trailing));
            (leading, trailing)
        } else {
            self.window.ok_or(BitsError)?
        };
        let delta = reader.bits(64 - leading - trailing)? << trailing;
        self.value = f64::from_bits(self.value.to_bits() ^ delta);
        Ok(())
    }
}

/// Bits of the three middle classes of differences of differences.
const CLASSES: [u32; 3] = [14, 17, 20];

/// Writes a chunk of at most 65,535 samples.
pub(super) fn encode(timestamps: &[i64], values: &[f64]) -> Vec<u8> {
    let count = u16::try_from(timestamps.len()).unwrap_or(u16::MAX);
    let mut writer = BitWriter::with_head(&count.to_be_bytes());
    let (mut last, mut last_delta, mut xor) = (0_i64, 0_i64, Xor::new(0.0));
    for (index, (timestamp, value)) in timestamps.iter().zip(values).take(count.into()).enumerate() {
        let delta = timestamp.wrapping_sub(last);
        match index {
            0 => {
                writer.varint(*timestamp);
                writer.bits(value.to_bits(), 64);
                xor = Xor::new(*value);
                last = *timestamp;
                continue;
            }
            1 => writer.uvarint(delta.cast_unsigned()),
            _ => {
                let change = delta.wrapping_sub(last_delta);
                match CLASSES.iter().position(|class| fits(change, *class)) {
                    _ if change == 0 => writer.bits(0, 1),
                    Some(class) => {
                        writer.ones(class + 1);
                        writer.bits(change.cast_unsigned(), CLASSES[class]);
                    }
                    None => {
                        writer.bits(0b1111, 4);
                        writer.bits(change.cast_unsigned(), 64);
                    }
                }
            }
        }
        xor.write(*value, &mut writer);
        (last, last_delta) = (*timestamp, delta);
    }
    writer.bytes
}

/// Reads a chunk.
pub(super) fn decode(chunk: &[u8], timestamps: &mut Vec<i64>, values: &mut Vec<f64>) -> Result<(), BitsError> {
    let (head, rest) = chunk.split_first_chunk::<2>().ok_or(BitsError)?;
    let mut reader = BitReader::new(rest);
    let (mut last, mut delta, mut xor) = (0_i64, 0_i64, Xor::new(0.0));
    for index in 0..u16::from_be_bytes(*head) {
        match index {
            0 => {
                last = reader.varint()?;
                xor = Xor::new(f64::from_bits(reader.bits(64)?));
            }
            1 => {
                delta = reader.uvarint()?.cast_signed();
                last = last.wrapping_add(delta);
                xor.read(&mut reader)?;
            }
            _ => {
                let class = reader.ones(4)? as usize;
                let change = match class.checked_sub(1).map(|class| CLASSES.get(class)) {
                    None => 0,
                    Some(Some(bits)) => sign(reader.bits(*bits)?, *bits),
                    Some(None) => reader.bits(64)?.cast_signed(),
                };
                delta = delta.wrapping_add(change);
                last = last.wrapping_add(delta);
                xor.read(&mut reader)?;
            }
        }
        timestamps.push(last);
        values.push(xor.value);
    }
    Ok(())
}
