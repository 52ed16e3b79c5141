//! Columns of 64-bit integers: a prediction, a base, a common divisor, and runs of 64 remainders in as many bits as they need.
//!
//! Arithmetic wraps, so every column comes back. Format: docs/formats/series-chunks.md, "Integers".

use super::ChunkError;
use super::bits::{RUN, mask, pack, packed_length, unpack};
use super::bytes::{Reader, low_byte, put_signed, put_varint, varint_length, zigzag};

/// What a number is predicted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prediction {
    /// Nothing: 0.
    None = 0,
    /// The number before.
    Previous = 1,
    /// A straight line from the first number.
    Line = 2,
}

const PREDICTION_BITS: u8 = 0b11;
/// Each run has its own base.
const FLAG_RUN_BASES: u8 = 0b100;
/// All remainders have a common divisor above 1.
const FLAG_DIVISOR: u8 = 0b1000;
/// All remainders are 0: no runs follow.
const FLAG_EXACT: u8 = 0b1_0000;
const FLAGS_KNOWN: u8 = 0b1_1111;

/// Set in a run's head when some of its numbers have more bits than the rest.
const RUN_PATCHED: u8 = 0x80;

/// Appends the packed `numbers`; of none, nothing.
pub(crate) fn encode(numbers: &[i64], into: &mut Vec<u8>) {
    let [first, ..] = numbers else { return };
    let mut best: Option<Plan> = None;
    let line_step = likely_step(numbers);
    for prediction in [Prediction::Previous, Prediction::None, Prediction::Line] {
        if prediction == Prediction::Line && line_step == 0 {
            continue;
        }
        let plan = Plan::new(numbers, *first, prediction, line_step);
        let exact = plan.exact;
        if best.as_ref().is_none_or(|best| plan.bytes < best.bytes) {
            best = Some(plan);
        }
        if exact {
            break;
        }
    }
    if let Some(plan) = best {
        plan.write(into);
    }
}

/// Returns the step between most neighbours, or one near it: the middle of a few.
fn likely_step(numbers: &[i64]) -> i64 {
    let stride = (numbers.len() / 16).max(1);
    let mut steps: Vec<i64> = numbers.windows(2).step_by(stride).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).copied().unwrap_or_default()
}

/// One way to write a column, and what it costs.
struct Plan {
    prediction: Prediction,
    first: i64,
    step: i64,
    base: i64,
    divisor: u64,
    run_bases: bool,
    exact: bool,
    remainders: Vec<u64>,
    bytes: usize,
}

impl Plan {
    fn new(numbers: &[i64], first: i64, prediction: Prediction, line_step: i64) -> Self {
        let (step, mut residuals): (i64, Vec<i64>) = match prediction {
            Prediction::None => (0, numbers.to_vec()),
            Prediction::Previous => (0, numbers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect()),
            Prediction::Line => {
                let mut expected = first;
                let residuals = numbers.iter().skip(1).map(|number| {
                    expected = expected.wrapping_add(line_step);
                    number.wrapping_sub(expected)
                });
                (line_step, residuals.collect())
            }
        };
        let base = residuals.iter().copied().min().unwrap_or_default();
        let mut divisor = 0_u64;
        let mut all = 0_u64;
        for residual in &mut residuals {
            *residual = residual.wrapping_sub(base);
            all |= residual.cast_unsigned();
            if divisor != 1 {
                divisor = greatest_common_divisor(divisor, residual.cast_unsigned());
            }
        }
        let divisor = divisor.max(1);
        let remainders: Vec<u64> = if divisor > 1 {
            residuals.iter().map(|residual| residual.cast_unsigned() / divisor).collect()
        } else {
            residuals.iter().map(|residual| residual.cast_unsigned()).collect()
        };
        let exact = all == 0;
        let mut plan = Self { prediction, first, step, base, divisor, run_bases: false, exact, remainders, bytes: 0 };
        plan.bytes = 1 + varint_length(zigzag(base));
        if prediction != Prediction::None {
            plan.bytes += varint_length(zigzag(first));
        }
        if prediction == Prediction::Line {
            plan.bytes += varint_length(zigzag(step));
        }
        if divisor > 1 {
            plan.bytes += varint_length(divisor);
        }
        if !exact {
            let one_base: usize = plan.remainders.chunks(RUN).map(|run| 1 + Layout::of(run, 0).bytes).sum();
            let own_bases: usize = plan
                .remainders
                .chunks(RUN)
                .map(|run| {
                    let base = run.iter().copied().min().unwrap_or_default();
                    1 + varint_length(base) + Layout::of(run, base).bytes
                })
                .sum();
            plan.run_bases = own_bases < one_base;
            plan.bytes += own_bases.min(one_base);
        }
        plan
    }

    fn write(&self, into: &mut Vec<u8>) {
        let mut flags = self.prediction as u8;
        for (flag, set) in
            [(FLAG_RUN_BASES, self.run_bases), (FLAG_DIVISOR, self.divisor > 1), (FLAG_EXACT, self.exact)]
        {
            flags |= if set { flag } else { 0 };
        }
        into.push(flags);
        if self.prediction != Prediction::None {
            put_signed(into, self.first);
        }
        if self.prediction == Prediction::Line {
            put_signed(into, self.step);
        }
        put_signed(into, self.base);
        if self.divisor > 1 {
            put_varint(into, self.divisor);
        }
        if self.exact {
            return;
        }
        for run in self.remainders.chunks(RUN) {
            let base = if self.run_bases { run.iter().copied().min().unwrap_or_default() } else { 0 };
            let layout = Layout::of(run, base);
            let width = low_byte(layout.width as u64);
            into.push(if layout.patches > 0 { width | RUN_PATCHED } else { width });
            if self.run_bases {
                put_varint(into, base);
            }
            let mut numbers = [0_u64; RUN];
            for (number, value) in numbers.iter_mut().zip(run) {
                *number = value - base;
            }
            pack(into, &numbers[..run.len()], layout.width);
            if layout.patches > 0 {
                into.push(low_byte(layout.patches as u64));
                for (index, number) in numbers[..run.len()].iter().enumerate() {
                    if *number > mask(layout.width) {
                        into.push(low_byte(index as u64));
                        put_varint(into, number >> layout.width);
                    }
                }
            }
        }
    }
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// How a run is packed: the width of most numbers; those with more bits are patched.
struct Layout {
    width: usize,
    patches: usize,
    /// Without the run's head and base.
    bytes: usize,
}

impl Layout {
    /// Returns the layout with the fewest bytes for `run` above `base`.
    fn of(run: &[u64], base: u64) -> Self {
        let mut with_bits = [0_u8; 65];
        for number in run {
            with_bits[64 - (number - base).leading_zeros() as usize] += 1;
        }
        let widest = with_bits.iter().rposition(|count| *count > 0).unwrap_or_default();
        let mut best = Self { width: widest, patches: 0, bytes: packed_length(run.len(), widest) };
        let mut patches = 0;
        for width in (0..widest).rev() {
            patches += usize::from(with_bits[width + 1]);
            if patches * 2 >= best.bytes || patches > run.len() / 4 {
                break;
            }
            // A patch takes its place and the bits above the width; those of the widest are an upper bound.
            let bytes = packed_length(run.len(), width) + 1 + patches * (1 + (widest - width).div_ceil(7));
            if bytes < best.bytes {
                best = Self { width, patches, bytes };
            }
        }
        best
    }
}

/// Takes `count` numbers from `reader` and hands them to `each` in runs of at most [`RUN`].
///
/// # Errors
/// When the bytes are no such column. Some runs may have been handed over then.
pub(crate) fn decode(reader: &mut Reader<'_>, count: usize, mut each: impl FnMut(&[i64])) -> Result<(), ChunkError> {
    if count == 0 {
        return Ok(());
    }
    let flags = reader.byte()?;
    if flags & !FLAGS_KNOWN != 0 || flags & PREDICTION_BITS > Prediction::Line as u8 {
        return Err(ChunkError::Damaged("a column of integers has flags that nobody sets"));
    }
    let prediction = flags & PREDICTION_BITS;
    let first = if prediction == Prediction::None as u8 { 0 } else { reader.signed()? };
    let step = if prediction == Prediction::Line as u8 { reader.signed()? } else { 0 };
    let base = reader.signed()?;
    let divisor = if flags & FLAG_DIVISOR != 0 { reader.varint()? } else { 1 };
    let head = Head { exact: flags & FLAG_EXACT != 0, run_bases: flags & FLAG_RUN_BASES != 0, base, divisor };
    match prediction {
        0 => head.runs(reader, count, |run, _| each(run)),
        1 => {
            let mut last = first;
            each(&[first]);
            head.runs(reader, count - 1, |run, _| {
                for number in &mut *run {
                    last = last.wrapping_add(*number);
                    *number = last;
                }
                each(run);
            })
        }
        _ => {
            each(&[first]);
            head.runs(reader, count - 1, |run, start| {
                let mut expected = first.wrapping_add(step.wrapping_mul(start.cast_signed()));
                for number in &mut *run {
                    expected = expected.wrapping_add(step);
                    *number = number.wrapping_add(expected);
                }
                each(run);
            })
        }
    }
}

/// What the remainders of all runs share.
struct Head {
    exact: bool,
    run_bases: bool,
    base: i64,
    divisor: u64,
}

impl Head {
    /// Takes `count` remainders and hands over runs of residuals, each with how many came before it.
    fn runs(
        &self,
        reader: &mut Reader<'_>,
        count: usize,
        mut each: impl FnMut(&mut [i64], u64),
    ) -> Result<(), ChunkError> {
        let mut packed = [0_u64; RUN];
        let mut numbers = [0_i64; RUN];
        let mut done = 0;
        while done < count {
            let length = RUN.min(count - done);
            let mut base = self.base;
            if self.exact {
                numbers.fill(base);
            } else {
                let head = reader.byte()?;
                let width = usize::from(head & !RUN_PATCHED);
                if width > 64 {
                    return Err(ChunkError::Damaged("a run has numbers of more than 64 bits"));
                }
                if self.run_bases {
                    base = base.wrapping_add(reader.varint()?.wrapping_mul(self.divisor).cast_signed());
                }
                unpack(reader.bytes(packed_length(length, width))?, length, width, &mut packed);
                if head & RUN_PATCHED != 0 {
                    patch(reader, &mut packed[..length], width)?;
                }
                if self.divisor == 1 {
                    for (number, packed) in numbers.iter_mut().zip(&packed) {
                        *number = packed.cast_signed().wrapping_add(base);
                    }
                } else {
                    for (number, packed) in numbers.iter_mut().zip(&packed) {
                        *number = packed.wrapping_mul(self.divisor).cast_signed().wrapping_add(base);
                    }
                }
            }
            each(&mut numbers[..length], done as u64);
            done += length;
        }
        Ok(())
    }
}

fn patch(reader: &mut Reader<'_>, numbers: &mut [u64], width: usize) -> Result<(), ChunkError> {
    for _ in 0..reader.byte()? {
        let place = usize::from(reader.byte()?);
        let high = reader.varint()?;
        let number = numbers.get_mut(place).ok_or(ChunkError::Damaged("a patch lies outside its run"))?;
        *number |= if width < 64 { high << width } else { 0 };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(numbers: &[i64]) -> usize {
        let mut bytes = Vec::new();
        encode(numbers, &mut bytes);
        let mut back = Vec::new();
        let mut reader = Reader::new(&bytes, "a test");
        decode(&mut reader, numbers.len(), |run| back.extend_from_slice(run)).unwrap();
        assert_eq!(back, numbers);
        assert!(reader.is_done());
        bytes.len()
    }

    #[test]
    fn regular_numbers_take_almost_nothing() {
        let grid: Vec<i64> = (0..1440).map(|i| 1_700_000_000_000 + i * 15_000).collect();
        assert!(round_trip(&grid) < 16, "{}", round_trip(&grid));
        let mut gap = grid.clone();
        for number in &mut gap[700..] {
            *number += 60_000;
        }
        assert!(round_trip(&gap) < 64, "{}", round_trip(&gap));
        let jitter: Vec<i64> = grid.iter().zip(0_i64..).map(|(t, i)| t + (i * 7919) % 4).collect();
        assert!(round_trip(&jitter) < 1440 * 2 / 8 + 40, "{}", round_trip(&jitter));
    }

    #[test]
    fn outliers_and_divisors_are_cheap() {
        let mut numbers: Vec<i64> = (0..480).map(|i: i64| (i * i * 37 % 1009 % 16) * 4096).collect();
        let plain = round_trip(&numbers);
        assert!(plain < 480 * 4 / 8 + 20, "{plain}");
        numbers[100] = 1 << 40;
        assert!(round_trip(&numbers) < plain + 40, "{}", round_trip(&numbers));
    }

    #[test]
    fn extremes_wrap() {
        round_trip(&[i64::MIN, i64::MAX, 0, -1, 1, i64::MIN, i64::MIN]);
        round_trip(&[i64::MAX]);
        round_trip(&[]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
        #[test]
        fn any_column_comes_back(numbers in proptest::collection::vec(any::<i64>(), 0..200)) {
            round_trip(&numbers);
        }

        #[test]
        fn any_walk_comes_back(steps in proptest::collection::vec(-1000_i64..1_000_000, 0..300), scale in 1_i64..5000) {
            let walk: Vec<i64> = steps.iter().scan(0_i64, |at, step| { *at += step * scale; Some(*at) }).collect();
            round_trip(&walk);
        }

        #[test]
        fn any_bytes_are_numbers_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300), count in 0_usize..2000) {
            let mut taken = 0;
            let decoded = decode(&mut Reader::new(&bytes, "a test"), count, |run| taken += run.len());
            prop_assert!(taken == count || decoded.is_err() && taken < count);
        }
    }
}
