//! The open chunk of a series: samples are added one by one, in a few bytes each.
//!
//! A sample is one control byte, then the bytes it announces: first those of the time, then those of the value.
//! The high four bits tell the time: 0 the same step as before; 1, 2, 3, 4 the zigzag change of the step in 1, 2, 4, 8 bytes
//! (of the first sample: the time itself, and no step is known after it). The low four bits are the tag of the value, see `value.rs`.
//! 15 in the high bits: as many samples as the low bits say (1 to 15) have the same step and the same value as the one before.

use super::value::ValueState;
use crate::log::varint::{unzigzag, zigzag};

const RUN: u8 = 0xf0;

/// Bytes by which the buffer grows: doubling would waste half of it in every series.
const GROWTH: usize = 32;

/// Samples that wait to be packed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OpenChunk {
    bytes: Vec<u8>,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    step_ms: i64,
    value: ValueState,
    /// Where the last run's control byte is.
    is_run: bool,
    pub(crate) count: u16,
}

impl OpenChunk {
    /// Adds a sample that is later than all before.
    pub(crate) fn push(&mut self, timestamp_ms: i64, value: f64) {
        let step = if self.count == 0 { timestamp_ms } else { timestamp_ms.wrapping_sub(self.last_ms) };
        let change = step.wrapping_sub(self.step_ms);
        let coded = self.value.encode(value);
        if change == 0 && coded.tag == 0 && self.count > 0 {
            self.repeat();
        } else {
            let change = zigzag(change);
            let (kind, length) = match change {
                0 => (0x00, 0),
                1..=0xff => (0x10, 1),
                0x100..=0xffff => (0x20, 2),
                0x1_0000..=0xffff_ffff => (0x30, 4),
                _ => (0x40, 8),
            };
            self.reserve(length + 1 + coded.payload().len());
            self.bytes.push(kind | coded.tag);
            self.bytes.extend_from_slice(change.to_le_bytes().get(..length).unwrap_or_default());
            self.bytes.extend_from_slice(coded.payload());
            self.is_run = false;
        }
        if self.count == 0 {
            self.first_ms = timestamp_ms;
            self.step_ms = 0;
        } else {
            self.step_ms = step;
        }
        self.last_ms = timestamp_ms;
        self.count += 1;
    }

    fn repeat(&mut self) {
        if self.is_run
            && let Some(control) = self.bytes.last_mut()
            && *control < RUN | 15
        {
            *control += 1;
            return;
        }
        self.reserve(1);
        self.bytes.push(RUN | 1);
        self.is_run = true;
    }

    fn reserve(&mut self, length: usize) {
        if self.bytes.capacity() - self.bytes.len() < length {
            self.bytes.reserve_exact(length.max(GROWTH));
        }
    }

    /// Returns the value of the last sample.
    pub(crate) fn last_value(&self) -> f64 {
        f64::from_bits(self.value.bits)
    }

    /// Returns the bytes that [`OpenChunk::read`] understands.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets all samples and gives the memory back.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Makes the chunk that has `bytes`; `None` when they are damaged.
    pub(crate) fn restore(bytes: &[u8]) -> Option<Self> {
        let mut open = Self::default();
        each(bytes, |timestamp_ms, value| {
            if open.count == u16::MAX {
                return;
            }
            open.push(timestamp_ms, value);
        })?;
        Some(open)
    }

    /// Memory beyond the struct itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Appends the samples that `bytes` hold; `None` when they are damaged: what could be read is appended.
pub(crate) fn read(bytes: &[u8], timestamps: &mut Vec<i64>, values: &mut Vec<f64>) -> Option<()> {
    each(bytes, |timestamp_ms, value| {
        timestamps.push(timestamp_ms);
        values.push(value);
    })
}

fn each(bytes: &[u8], mut sample: impl FnMut(i64, f64)) -> Option<()> {
    let mut rest = bytes;
    let (mut last_ms, mut step_ms, mut state) = (0_i64, 0_i64, ValueState::default());
    let mut is_first = true;
    while let Some((&control, after)) = rest.split_first() {
        rest = after;
        if control >= RUN {
            for _ in 0..control & 0x0f {
                last_ms = last_ms.wrapping_add(step_ms);
                sample(last_ms, f64::from_bits(state.bits));
            }
            continue;
        }
        let length = match control >> 4 {
            0 => 0,
            1 => 1,
            2 => 2,
            3 => 4,
            4 => 8,
            _ => return None,
        };
        let (change, after) = rest.split_at_checked(length)?;
        rest = after;
        let mut eight = [0; 8];
        eight.get_mut(..length)?.copy_from_slice(change);
        let step = step_ms.wrapping_add(unzigzag(u64::from_le_bytes(eight)));
        last_ms = last_ms.wrapping_add(step);
        step_ms = if is_first { 0 } else { step };
        is_first = false;
        sample(last_ms, state.decode(control & 0x0f, &mut rest)?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(samples: &[(i64, f64)]) -> usize {
        let mut open = OpenChunk::default();
        for (timestamp, value) in samples {
            open.push(*timestamp, *value);
        }
        let (mut timestamps, mut values) = (Vec::new(), Vec::new());
        read(open.bytes(), &mut timestamps, &mut values).unwrap();
        let out: Vec<(i64, u64)> = timestamps.into_iter().zip(values.into_iter().map(f64::to_bits)).collect();
        assert_eq!(out, samples.iter().map(|(t, v)| (*t, v.to_bits())).collect::<Vec<_>>());
        let restored = OpenChunk::restore(open.bytes()).unwrap();
        assert_eq!(restored, open);
        open.bytes().len()
    }

    #[test]
    fn regular_samples_are_small() {
        let constant: Vec<(i64, f64)> = (0..120).map(|i| (1_700_000_000_000 + i * 15_000, 42.0)).collect();
        assert!(round_trip(&constant) < 30);
        let counter: Vec<(i64, f64)> =
            (0_i32..120).map(|i| (1_700_000_000_000 + i64::from(i) * 15_000, f64::from(i * i))).collect();
        assert!(round_trip(&counter) < 370);
        assert_eq!(round_trip(&[]), 0);
        round_trip(&[(0, 0.0), (0, 0.0)]);
        round_trip(&[(i64::MIN, 0.0), (i64::MAX, -0.0)]);
    }

    proptest! {
        #[test]
        fn any_samples_come_back(samples in proptest::collection::vec((any::<i64>(), any::<u64>()), 0..40)) {
            round_trip(&samples.into_iter().map(|(t, v)| (t, f64::from_bits(v))).collect::<Vec<_>>());
        }

        #[test]
        fn runs_come_back(samples in proptest::collection::vec((0_i64..3, 0_i8..2), 0..200)) {
            let mut at = 0;
            let samples: Vec<(i64, f64)> = samples.into_iter().map(|(t, v)| { at += t; (at, f64::from(v)) }).collect();
            round_trip(&samples);
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = OpenChunk::restore(&bytes);
        }
    }
}
