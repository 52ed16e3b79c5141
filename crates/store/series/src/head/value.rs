//! One float in a few bytes, told relative to the float before it: the alphabet of open chunks and of the log.
//!
//! Most metrics are decimal numbers of few digits. Such a float is told as the difference of its digits; any other by the bits
//! that differ. A tag of four bits says which:
//!
//! | tag | meaning | bytes that follow |
//! |---|---|---|
//! | 0 | the same bits | none |
//! | 1 to 7 | decimal with the exponent of before: zigzag difference of the digits | as many as the tag |
//! | 8 | escape: one byte, then as it says | |
//! | 9 to 15 | exclusive or with the bits of before; only the lowest (tag - 8) bytes differ | tag - 8 |
//!
//! The escape byte `e·16 + n` with e < 8 says: decimal with exponent e from now on, n bytes of difference. `0x80 + n` says: exclusive or,
//! one byte that tells how many of the lowest bytes are zero, then n bytes. All numbers are little endian.

use crate::log::varint::{unzigzag, zigzag};

/// Digits behind the decimal point that are tried.
const EXPONENT_MAX: u8 = 7;
/// No decimal was found at last.
const EXPONENT_NONE: u8 = 15;

const POWERS: [f64; 8] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];

/// Adding and taking away this rounds to a whole number, for numbers below 2^51.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
const DIGITS_MAX: f64 = 2_251_799_813_685_248.0;

/// What is known of the float before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ValueState {
    /// Its bits.
    pub(crate) bits: u64,
    /// Digits behind the point, or none.
    pub(crate) exponent: u8,
}

/// Bytes that follow a tag, at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coded {
    pub(crate) tag: u8,
    bytes: [u8; 10],
    length: u8,
}

impl Coded {
    pub(crate) fn payload(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    fn new(tag: u8) -> Self {
        Self { tag, bytes: [0; 10], length: 0 }
    }

    fn push(mut self, number: u64, length: u8) -> Self {
        let at = usize::from(self.length);
        if let Some(room) = self.bytes.get_mut(at..at + 8) {
            room.copy_from_slice(&number.to_le_bytes());
        }
        self.length += length;
        self
    }
}

#[expect(clippy::cast_possible_truncation, reason = "below 2^51 by the test before")]
fn digits(value: f64, power: f64) -> Option<i64> {
    let scaled = value * power;
    (scaled.abs() < DIGITS_MAX).then_some(((scaled + ROUNDER) - ROUNDER) as i64)
}

#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
fn exact_digits(value: f64, power: f64) -> Option<i64> {
    let digits = digits(value, power)?;
    (((digits as f64) / power).to_bits() == value.to_bits()).then_some(digits)
}

fn bytes_of(number: u64) -> u8 {
    let bits = 64 - number.leading_zeros();
    u8::try_from(bits.div_ceil(8)).unwrap_or(8)
}

fn power(exponent: u8) -> f64 {
    POWERS.get(usize::from(exponent)).copied().unwrap_or(1.0)
}

impl ValueState {
    fn last_digits(self, exponent: u8) -> i64 {
        digits(f64::from_bits(self.bits), power(exponent)).unwrap_or(0)
    }

    /// Tells `value` and remembers it.
    pub(crate) fn encode(&mut self, value: f64) -> Coded {
        let bits = value.to_bits();
        if bits == self.bits {
            return Coded::new(0);
        }
        let coded = self.decimal(value).unwrap_or_else(|| self.exclusive(bits));
        self.bits = bits;
        coded
    }

    fn decimal(&mut self, value: f64) -> Option<Coded> {
        if self.exponent <= EXPONENT_MAX
            && let Some(digits) = exact_digits(value, power(self.exponent))
        {
            let difference = zigzag(digits - self.last_digits(self.exponent));
            let length = bytes_of(difference);
            if (1..=7).contains(&length) {
                return Some(Coded::new(length).push(difference, length));
            }
        }
        // The finest exponent that fits decides at once whether there is any.
        let finest = (0..=EXPONENT_MAX).rev().find(|exponent| (value * power(*exponent)).abs() < DIGITS_MAX)?;
        if exact_digits(value, power(finest)).is_none() {
            self.exponent = EXPONENT_NONE;
            return None;
        }
        let (exponent, digits) = (0..=finest).find_map(|one| Some((one, exact_digits(value, power(one))?)))?;
        let difference = zigzag(digits - self.last_digits(exponent));
        let length = bytes_of(difference);
        if exponent == self.exponent || length > 7 {
            return None;
        }
        self.exponent = exponent;
        Some(Coded::new(8).push(u64::from(exponent << 4 | length), 1).push(difference, length))
    }

    fn exclusive(&self, bits: u64) -> Coded {
        let difference = bits ^ self.bits;
        let length = bytes_of(difference);
        let zeros = u8::try_from(difference.trailing_zeros() / 8).unwrap_or(0);
        if length <= 7 && zeros < 2 {
            return Coded::new(8 + length).push(difference, length);
        }
        let kept = length - zeros;
        Coded::new(8).push(u64::from(0x80 | kept), 1).push(u64::from(zeros), 1).push(difference >> (8 * zeros), kept)
    }

    /// Undoes [`ValueState::encode`]; takes what it needs from the front of `payload`.
    pub(crate) fn decode(&mut self, tag: u8, payload: &mut &[u8]) -> Option<f64> {
        match tag {
            0 => {}
            1..=7 => {
                let difference = unzigzag(number(payload, tag)?);
                self.set_decimal(self.exponent, difference)?;
            }
            8 => {
                let escape = byte(payload)?;
                if escape & 0x80 == 0 {
                    let exponent = escape >> 4;
                    let difference = unzigzag(number(payload, escape & 0x0f)?);
                    self.set_decimal(exponent, difference)?;
                    self.exponent = exponent;
                } else {
                    let zeros = byte(payload)?;
                    let difference = number(payload, escape & 0x0f)?;
                    self.bits ^= difference.checked_shl(8 * u32::from(zeros))?;
                }
            }
            9..=15 => self.bits ^= number(payload, tag - 8)?,
            _ => return None,
        }
        Some(f64::from_bits(self.bits))
    }

    #[expect(clippy::cast_precision_loss, reason = "what the encoder wrote is below 2^53; anything else is damage")]
    fn set_decimal(&mut self, exponent: u8, difference: i64) -> Option<()> {
        let power = *POWERS.get(usize::from(exponent))?;
        let digits = self.last_digits(exponent).checked_add(difference)?;
        self.bits = ((digits as f64) / power).to_bits();
        Some(())
    }
}

fn byte(payload: &mut &[u8]) -> Option<u8> {
    let (&first, rest) = payload.split_first()?;
    *payload = rest;
    Some(first)
}

fn number(payload: &mut &[u8], length: u8) -> Option<u64> {
    let length = usize::from(length);
    // A number is at most 8 bytes; reading 8 at once is quicker where there are as many.
    if let Some(eight) = payload.first_chunk::<8>()
        && (1..=8).contains(&length)
    {
        *payload = payload.get(length..)?;
        return Some(u64::from_le_bytes(*eight) & (u64::MAX >> (64 - 8 * length)));
    }
    let (taken, rest) = payload.split_at_checked(length)?;
    *payload = rest;
    let mut eight = [0; 8];
    eight.get_mut(..length)?.copy_from_slice(taken);
    Some(u64::from_le_bytes(eight))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[f64]) -> usize {
        let (mut tags, mut payload) = (Vec::new(), Vec::new());
        let mut state = ValueState::default();
        for value in values {
            let coded = state.encode(*value);
            tags.push(coded.tag);
            payload.extend_from_slice(coded.payload());
        }
        let mut state = ValueState::default();
        let mut rest = payload.as_slice();
        for (tag, value) in tags.iter().zip(values) {
            let decoded = state.decode(*tag, &mut rest).unwrap();
            assert_eq!(decoded.to_bits(), value.to_bits(), "{value} in {values:?}");
        }
        assert!(rest.is_empty());
        payload.len()
    }

    #[test]
    fn decimals_take_the_bytes_of_their_difference() {
        let counter: Vec<f64> = (0..100).map(|i| f64::from(1_000_000 + i * 17)).collect();
        assert!(round_trip(&counter) <= 105);
        let seconds: Vec<f64> = (0..100).map(|i| f64::from(4_321_000 + i * 117) / 100.0).collect();
        assert!(round_trip(&seconds) <= 210);
        round_trip(&[0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, f64::MAX, 1e300, 0.1]);
        round_trip(&[f64::from_bits(0x7ff0_0000_0000_0002), 1.5, f64::from_bits(0x7ff0_0000_0000_0002)]);
        round_trip(&[2_251_799_813_685_247.0, -2_251_799_813_685_247.0, 9e15, 1.0, 0.000_000_1]);
    }

    proptest! {
        #[test]
        fn any_bits_come_back(bits in proptest::collection::vec(any::<u64>(), 0..50)) {
            round_trip(&bits.into_iter().map(f64::from_bits).collect::<Vec<_>>());
        }

        #[test]
        fn any_decimals_come_back(numbers in proptest::collection::vec((any::<i32>(), 0_u8..9), 0..50)) {
            round_trip(&numbers.into_iter().map(|(n, e)| f64::from(n) / 10_f64.powi(i32::from(e))).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_survived(tag in 0_u8..16, bytes: Vec<u8>, bits: u64, exponent: u8) {
            let mut state = ValueState { bits, exponent };
            let _ = state.decode(tag, &mut bytes.as_slice());
        }
    }
}
