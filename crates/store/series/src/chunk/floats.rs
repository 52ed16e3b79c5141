//! Columns of floats: constant, decimal integers, decimal integers with corrections, multiples of a unit, ordered bits, or XOR: what is
//! smallest.
//!
//! Format: docs/formats/series-chunks.md, "Floats".

use super::ChunkError;
use super::bits::RUN;
use super::bytes::{Reader, put_varint};
use super::{integers, units, xor};

/// One value, always the same.
const CONSTANT: u8 = 0;
/// `integer / 10^scale`, with exceptions.
const DECIMAL: u8 = 1;
/// `integer / 10^scale`, moved by some steps between neighbouring floats.
const CORRECTED: u8 = 2;
/// The bits as integers in the order of the floats.
const ORDERED: u8 = 3;
/// Each value's bits XOR those of the one before.
const XOR: u8 = 4;

/// Multiples of a unit, moved by some steps between neighbouring floats.
const UNITS: u8 = 5;

/// Powers of ten that are exact as floats and leave room for digits.
const POWERS: [f64; 18] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17];

/// Integers up to here are exact as floats.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// Values that are tried before a column is believed not to be decimal.
const PROBE: usize = 48;

/// Appends the packed `values`; of none, nothing.
pub(crate) fn encode(values: &[f64], into: &mut Vec<u8>) {
    let [first, ..] = values else { return };
    if values.iter().all(|value| value.to_bits() == first.to_bits()) {
        into.push(CONSTANT);
        into.extend_from_slice(&first.to_bits().to_le_bytes());
        return;
    }
    let mut best = decimal(values);
    // Columns that are decimal and small stay so: the others cannot beat a few bits a value.
    if best.as_ref().is_none_or(|best| best.len() > values.len()) {
        // XOR is slow to read: it must be clearly smaller.
        let xor = xor::encode(values, XOR, limit(best.as_deref()));
        let others = [corrected(values), Some(ordered(values)), in_units(values), xor];
        for other in others.into_iter().flatten() {
            let handicap = if other.first() == Some(&XOR) { other.len() / 32 } else { 0 };
            if best.as_ref().is_none_or(|best| other.len() + handicap < best.len()) {
                best = Some(other);
            }
        }
    }
    if let Some(best) = best {
        into.extend_from_slice(&best);
    }
}

fn limit(best: Option<&[u8]>) -> usize {
    best.map_or(usize::MAX, <[u8]>::len)
}

/// Returns the integer that divided by `10^scale` gives exactly `value`.
fn to_integer(value: f64, scale: usize) -> Option<i64> {
    let integer = scaled(value, scale)?;
    (from_integer(integer, scale).to_bits() == value.to_bits()).then_some(integer)
}

/// Returns the integer next to `value · 10^scale`.
#[expect(clippy::cast_possible_truncation, reason = "whole numbers within INTEGER_MAX are exact in both types")]
fn scaled(value: f64, scale: usize) -> Option<i64> {
    let scaled = (value * POWERS[scale]).round_ties_even();
    (scaled.abs() <= INTEGER_MAX).then_some(scaled as i64)
}

/// Returns `integer / 10^scale`.
#[expect(
    clippy::cast_precision_loss,
    reason = "encoders stay within INTEGER_MAX; beyond it rounding is the same everywhere"
)]
fn from_integer(integer: i64, scale: usize) -> f64 {
    integer as f64 / POWERS[scale]
}

/// Returns the smallest scale at which `value` is decimal, trying `likely` first.
fn scale_of(value: f64, likely: usize) -> Option<usize> {
    if to_integer(value, likely).is_some() {
        return (0..likely).find(|scale| to_integer(value, *scale).is_some()).or(Some(likely));
    }
    // Beyond the likely scale: not so far that every float becomes decimal by having 16 digits.
    (0..POWERS.len()).find(|scale| to_integer(value, *scale).is_some_and(|integer| integer.abs() < 1 << 50))
}

fn decimal(values: &[f64]) -> Option<Vec<u8>> {
    let mut with_scale = [0_usize; POWERS.len()];
    let mut likely = 0;
    let mut others = 0;
    for (index, value) in values.iter().enumerate() {
        match scale_of(*value, likely) {
            Some(scale) => {
                with_scale[scale] += 1;
                likely = likely.max(scale);
            }
            None => others += 1,
        }
        if index == PROBE && others > PROBE / 2 {
            return None;
        }
    }
    // The widest scale has the fewest exceptions; a narrower one has smaller integers.
    let mut candidates = Vec::new();
    let mut exceptions = others;
    for scale in (0..POWERS.len()).rev() {
        if exceptions * 4 > values.len() + 12 {
            break;
        }
        if with_scale[scale] > 0 {
            candidates.push(scale);
            exceptions += with_scale[scale];
        }
    }
    let written = candidates.into_iter().take(4).map(|scale| write_decimal(values, scale));
    written.min_by_key(Vec::len)
}

fn write_decimal(values: &[f64], scale: usize) -> Vec<u8> {
    let mut exceptions: Vec<(usize, u64)> = Vec::new();
    let mut integers: Vec<i64> = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        if let Some(integer) = to_integer(*value, scale) {
            integers.push(integer);
            continue;
        }
        exceptions.push((index, value.to_bits()));
        // In an exception's place stands what disturbs its neighbours least: the middle between them.
        let next = values[index + 1..].iter().find_map(|value| to_integer(*value, scale));
        let last = integers.last().copied().or(next).unwrap_or_default();
        integers.push(last + (next.unwrap_or(last) - last) / 2);
    }
    let mut bytes = vec![DECIMAL, scale_byte(scale)];
    integers::encode(&integers, &mut bytes);
    put_exceptions(&exceptions, &mut bytes);
    bytes
}

fn scale_byte(scale: usize) -> u8 {
    u8::try_from(scale).unwrap_or_default()
}

/// Appends how many exceptions there are, whether all have the same bits, and each one's distance to the one before.
fn put_exceptions(exceptions: &[(usize, u64)], into: &mut Vec<u8>) {
    let same = exceptions.windows(2).all(|pair| pair[0].1 == pair[1].1);
    put_varint(into, ((exceptions.len() as u64) << 1) | u64::from(same));
    let mut next = 0;
    for (index, (place, bits)) in exceptions.iter().enumerate() {
        put_varint(into, (place - next) as u64);
        next = place + 1;
        if !same || index == 0 {
            into.extend_from_slice(&bits.to_le_bytes());
        }
    }
}

fn take_exceptions(reader: &mut Reader<'_>, values: &mut [f64]) -> Result<(), ChunkError> {
    let head = reader.count(values.len() * 2 + 1)?;
    let (count, same) = (head / 2, head % 2 == 1);
    let mut next = 0;
    let mut bits = 0;
    for index in 0..count {
        let place = next + reader.count(values.len())?;
        if !same || index == 0 {
            bits = reader.u64()?;
        }
        let value = values.get_mut(place).ok_or(ChunkError::Damaged("an exception lies outside its column"))?;
        *value = f64::from_bits(bits);
        next = place + 1;
    }
    Ok(())
}

/// Returns the place of a float in the order of all floats: negative ones below 0, neighbours 1 apart.
fn order_of(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// Undoes [`order_of`].
fn from_order(order: i64) -> f64 {
    let bits = order ^ ((order >> 63).cast_unsigned() >> 1).cast_signed();
    f64::from_bits(bits.cast_unsigned())
}

fn ordered(values: &[f64]) -> Vec<u8> {
    let orders: Vec<i64> = values.iter().map(|value| order_of(*value)).collect();
    let mut bytes = vec![ORDERED];
    integers::encode(&orders, &mut bytes);
    bytes
}

/// Sums of decimal numbers are decimal but for the last bits: returns the packed column when that holds well enough.
fn corrected(values: &[f64]) -> Option<Vec<u8>> {
    let probe = values.get(..PROBE.min(values.len()))?;
    let mut best: Option<(u32, usize)> = None;
    for scale in 0..=12 {
        let Some((integers, corrections)) = correct(probe, scale) else { continue };
        let width = |numbers: &[i64]| {
            let low = numbers.iter().min().copied().unwrap_or_default();
            let high = numbers.iter().max().copied().unwrap_or_default();
            64 - high.wrapping_sub(low).leading_zeros()
        };
        let steps: Vec<i64> = integers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        let cost = width(&steps).min(width(&integers)) + width(&corrections);
        if best.is_none_or(|(least, _)| cost < least) {
            best = Some((cost, scale));
        }
    }
    let (cost, scale) = best.filter(|(cost, _)| *cost < 56)?;
    debug_assert!(cost < 64);
    let (integers, corrections) = correct(values, scale)?;
    let mut bytes = vec![CORRECTED, scale_byte(scale)];
    integers::encode(&integers, &mut bytes);
    integers::encode(&corrections, &mut bytes);
    Some(bytes)
}

/// Returns for each value its integer and the steps between neighbouring floats from there to the value.
/// Markers and the like stay at the integer before and are reached by a long way.
fn correct(values: &[f64], scale: usize) -> Option<(Vec<i64>, Vec<i64>)> {
    let mut integers = Vec::with_capacity(values.len());
    let mut corrections = Vec::with_capacity(values.len());
    let mut last = values.iter().find_map(|value| scaled(*value, scale))?;
    for value in values {
        last = scaled(*value, scale).unwrap_or(last);
        integers.push(last);
        corrections.push(order_of(*value).wrapping_sub(order_of(from_integer(last, scale))));
    }
    Some((integers, corrections))
}

/// Returns the packed column when its values are nearly multiples of one unit.
fn in_units(values: &[f64]) -> Option<Vec<u8>> {
    let units::Multiples { base, unit, numbers } = units::find(values)?;
    let corrections: Vec<i64> = values
        .iter()
        .zip(&numbers)
        .map(|(value, number)| order_of(*value).wrapping_sub(order_of(units::multiple(base, unit, *number))))
        .collect();
    let mut bytes = vec![UNITS];
    bytes.extend_from_slice(&base.to_bits().to_le_bytes());
    bytes.extend_from_slice(&unit.to_bits().to_le_bytes());
    integers::encode(&numbers, &mut bytes);
    integers::encode(&corrections, &mut bytes);
    Some(bytes)
}

/// Moves values by as many steps between neighbouring floats as `reader` says.
fn take_corrections(reader: &mut Reader<'_>, values: &mut [f64]) -> Result<(), ChunkError> {
    let mut at = 0;
    integers::decode(reader, values.len(), |run| {
        for (value, correction) in values.get_mut(at..).unwrap_or_default().iter_mut().zip(run) {
            *value = from_order(order_of(*value).wrapping_add(*correction));
        }
        at += run.len();
    })
}

/// Takes `count` values from `reader` and appends them to `values`.
///
/// # Errors
/// When the bytes are no such column; some values may have been appended then.
pub(crate) fn decode(reader: &mut Reader<'_>, count: usize, values: &mut Vec<f64>) -> Result<(), ChunkError> {
    if count == 0 {
        return Ok(());
    }
    values.reserve(count);
    match reader.byte()? {
        CONSTANT => {
            let value = f64::from_bits(reader.u64()?);
            values.resize(values.len() + count, value);
            Ok(())
        }
        DECIMAL => {
            let start = values.len();
            let scale = take_scale(reader)?;
            decode_decimal(reader, count, scale, values)?;
            take_exceptions(reader, &mut values[start..])
        }
        CORRECTED => {
            let start = values.len();
            let scale = take_scale(reader)?;
            decode_decimal(reader, count, scale, values)?;
            take_corrections(reader, &mut values[start..])
        }
        UNITS => {
            let start = values.len();
            let (base, unit) = (f64::from_bits(reader.u64()?), f64::from_bits(reader.u64()?));
            integers::decode(reader, count, |run| {
                values.extend(run.iter().map(|number| units::multiple(base, unit, *number)));
            })?;
            take_corrections(reader, &mut values[start..])
        }
        ORDERED => integers::decode(reader, count, |run| values.extend(run.iter().map(|order| from_order(*order)))),
        XOR => xor::decode(reader, count, values),
        _ => Err(ChunkError::Damaged("a column of floats is of a kind that nobody writes")),
    }
}

fn take_scale(reader: &mut Reader<'_>) -> Result<usize, ChunkError> {
    let scale = usize::from(reader.byte()?);
    if scale < POWERS.len() {
        Ok(scale)
    } else {
        Err(ChunkError::Damaged("a column has more decimals than floats have"))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "encoders stay within INTEGER_MAX; beyond it rounding is the same everywhere"
)]
fn decode_decimal(
    reader: &mut Reader<'_>,
    count: usize,
    scale: usize,
    values: &mut Vec<f64>,
) -> Result<(), ChunkError> {
    if scale == 0 {
        return integers::decode(reader, count, |run| values.extend(run.iter().map(|integer| *integer as f64)));
    }
    let power = POWERS[scale];
    let mut floats = [0.0; RUN];
    integers::decode(reader, count, |run| {
        for (float, integer) in floats.iter_mut().zip(run) {
            *float = *integer as f64 / power;
        }
        values.extend_from_slice(&floats[..run.len()]);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[f64]) -> (u8, usize) {
        let mut bytes = Vec::new();
        encode(values, &mut bytes);
        let mut back = Vec::new();
        let mut reader = Reader::new(&bytes, "a test");
        decode(&mut reader, values.len(), &mut back).unwrap();
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(values));
        assert!(reader.is_done());
        (bytes.first().copied().unwrap_or_default(), bytes.len())
    }

    fn marker() -> f64 {
        f64::from_bits(0x7ff0_0000_0000_0002)
    }

    #[test]
    fn each_kind_is_chosen_where_it_is_smallest() {
        assert_eq!(round_trip(&[2.5; 480]), (CONSTANT, 9));
        let counter: Vec<f64> = (0..480).map(|i| f64::from(i * 15 + i % 7)).collect();
        let (kind, bytes) = round_trip(&counter);
        assert!(kind == DECIMAL && bytes < 480 * 5 / 8, "{kind} {bytes}");
        let temperature: Vec<f64> = (0..480).map(|i| 20.0 + f64::from(i * 7 % 31) / 10.0).collect();
        let (kind, bytes) = round_trip(&temperature);
        assert!(kind == DECIMAL && bytes < 480 * 6 / 8, "{kind} {bytes}");
        let mut sum = 0.0;
        let sums: Vec<f64> = (0..480)
            .map(|i| {
                sum += f64::from(i * 7919 % 1000) * 0.001;
                sum
            })
            .collect();
        let (kind, bytes) = round_trip(&sums);
        assert!((kind == CORRECTED || kind == UNITS) && bytes < 480 * 2, "{kind} {bytes}");
        let ratios: Vec<f64> = (0..480).map(|i| f64::from(i * 7919 % 1000) / 300.0).collect();
        let (kind, bytes) = round_trip(&ratios);
        assert!(kind == UNITS && bytes < 480 * 5 / 3, "{kind} {bytes}");
        let mut sum = 0.0;
        let measured: Vec<f64> = (0..480)
            .map(|i| {
                sum += f64::from(i * 7919 % 65_536) * (7.3 / 65_536.0);
                sum
            })
            .collect();
        let (kind, bytes) = round_trip(&measured);
        assert!(kind == UNITS && bytes < 480 * 3, "{kind} {bytes}");
        let mut sum = 1000.0;
        let irrational: Vec<f64> = (0..480)
            .map(|i| {
                sum += f64::from(i).sin().abs();
                sum
            })
            .collect();
        let (kind, bytes) = round_trip(&irrational);
        assert!(kind == ORDERED && bytes < 480 * 6, "{kind} {bytes}");
        let rare: Vec<f64> = (0..480).map(|i| if i % 100 < 50 { 0.1_f64.sin() } else { 0.7_f64.sin() }).collect();
        let (_, bytes) = round_trip(&rare);
        assert!(bytes < 160, "{bytes}");
    }

    #[test]
    fn odd_values_do_not_ruin_decimal_ones() {
        let mut values: Vec<f64> = (0..480).map(|i| f64::from(i * 15 + i * i % 1009 % 7)).collect();
        let (_, plain) = round_trip(&values);
        values[17] = marker();
        values[200] = marker();
        values[479] = marker();
        let (kind, bytes) = round_trip(&values);
        assert!(kind == DECIMAL && bytes <= plain + 32, "{bytes} after {plain}");
        values[0] = -0.0;
        values[1] = f64::INFINITY;
        values[2] = f64::from_bits(0xfff8_0000_dead_beef);
        let (kind, bytes) = round_trip(&values);
        assert!(kind == DECIMAL && bytes <= plain + 64, "{bytes} after {plain}");
        round_trip(&[marker(), marker(), 1.0]);
        round_trip(&[marker()]);
        round_trip(&[]);
    }

    #[test]
    fn order_of_floats_is_that_of_their_places() {
        let rising = [f64::NEG_INFINITY, -1.5, -0.0, 0.0, f64::MIN_POSITIVE, 1.5, f64::INFINITY];
        for pair in rising.windows(2) {
            assert!(order_of(pair[0]) < order_of(pair[1]));
        }
        for value in rising {
            assert_eq!(from_order(order_of(value)).to_bits(), value.to_bits());
        }
    }

    fn any_float() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => any::<u64>().prop_map(f64::from_bits),
            4 => (-100_000_i32..100_000).prop_map(|i| f64::from(i) / 100.0),
            2 => (0_i32..1000).prop_map(f64::from),
            1 => Just(marker()),
            1 => Just(-0.0),
            1 => Just(f64::NAN),
            1 => Just(f64::INFINITY),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
        #[test]
        fn any_column_comes_back(values in proptest::collection::vec(any_float(), 0..200)) {
            round_trip(&values);
        }

        #[test]
        fn walks_in_any_unit_come_back(steps in proptest::collection::vec(-50_i32..5000, 1..300), unit in any::<f64>(), start in -1e9..1e9) {
            let mut at = start;
            let values: Vec<f64> = steps.iter().map(|step| { at += f64::from(*step) * unit; at }).collect();
            round_trip(&values);
        }

        #[test]
        fn decimal_walks_come_back(steps in proptest::collection::vec(-50_i32..500, 1..200), scale in 0_usize..9, every in 2_usize..40) {
            let mut at = 0.0;
            let values: Vec<f64> = steps.iter().enumerate().map(|(index, step)| {
                at += f64::from(*step) / POWERS[scale];
                if index % every == 0 { marker() } else { at }
            }).collect();
            round_trip(&values);
        }

        #[test]
        fn any_bytes_are_values_or_an_error(kind in 0_u8..7, bytes in proptest::collection::vec(any::<u8>(), 0..300), count in 0_usize..2000) {
            let mut values = Vec::new();
            let bytes: Vec<u8> = std::iter::once(kind).chain(bytes).collect();
            let decoded = decode(&mut Reader::new(&bytes, "a test"), count, &mut values);
            prop_assert!(decoded.is_err() || values.len() == count);
            prop_assert!(values.len() <= count);
        }
    }
}
