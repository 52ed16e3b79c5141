//! Runs of 64 numbers with a fixed count of bits each.
//!
//! Number `i` of width `w` takes the bits `i·w` to `i·w + w - 1`, bit 0 being the lowest of the first byte.

/// Numbers in one run.
pub(crate) const RUN: usize = 64;

/// Returns the bytes that `count` numbers of `width` bits take.
pub(crate) fn packed_length(count: usize, width: usize) -> usize {
    (count * width).div_ceil(8)
}

/// Returns the mask of the lowest `width` bits.
pub(crate) fn mask(width: usize) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

/// Appends the lowest `width` bits of each number.
pub(crate) fn pack(into: &mut Vec<u8>, numbers: &[u64], width: usize) {
    let end = into.len() + packed_length(numbers.len(), width);
    let mut pending = 0_u128;
    let mut pending_bits = 0;
    for number in numbers {
        pending |= u128::from(number & mask(width)) << pending_bits;
        pending_bits += width;
        while pending_bits >= 32 {
            into.extend_from_slice(&pending.to_le_bytes()[..4]);
            pending >>= 32;
            pending_bits -= 32;
        }
    }
    into.extend_from_slice(&pending.to_le_bytes()[..8]);
    into.truncate(end);
}

/// Takes the first `count` (at most [`RUN`]) numbers of `width` (at most 64) bits into `out`; the rest of `out` is undefined.
/// `packed` has [`packed_length`] bytes.
pub(crate) fn unpack(packed: &[u8], count: usize, width: usize, out: &mut [u64; RUN]) {
    if count == RUN {
        unpack_run(packed, width, out);
    } else {
        let mut padded = [0_u8; RUN * 8];
        padded[..packed.len()].copy_from_slice(packed);
        unpack_run(&padded[..RUN / 8 * width], width, out);
    }
}

/// One arm for each width, so that shifts and masks are constants.
macro_rules! by_width {
    ($width:expr, $packed:expr, $out:expr; $($w:literal)*) => {
        match $width {
            $($w => unpack_width::<$w>($packed, $out),)*
            _ => out_of_range($out),
        }
    };
}

fn out_of_range(out: &mut [u64; RUN]) {
    debug_assert!(false, "widths are checked before");
    out.fill(0);
}

fn unpack_run(packed: &[u8], width: usize, out: &mut [u64; RUN]) {
    by_width!(width, packed, out; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
        33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64);
}

fn unpack_width<const W: usize>(packed: &[u8], out: &mut [u64; RUN]) {
    if W == 0 {
        out.fill(0);
        return;
    }
    let mut words = [0_u64; RUN + 1];
    for (word, bytes) in words.iter_mut().zip(packed.chunks_exact(8)).take(W) {
        *word = bytes.try_into().map(u64::from_le_bytes).unwrap_or_default();
    }
    for (index, out) in out.iter_mut().enumerate() {
        let bit = index * W;
        let (word, shift) = (bit / 64, bit % 64);
        let low = words[word] >> shift;
        // The second word only matters when the number crosses into it; `<< 1 <<` keeps a shift of 64 defined.
        let high = if shift + W > 64 { words[word + 1] << 1 << (63 - shift) } else { 0 };
        *out = (low | high) & mask(W);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_count_comes_back() {
        for width in 0..=64 {
            for count in [1, 2, 7, 33, 63, 64] {
                let numbers: Vec<u64> =
                    (0_u64..count).map(|i| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask(width)).collect();
                let mut bytes = Vec::new();
                pack(&mut bytes, &numbers, width);
                let count = numbers.len();
                assert_eq!(bytes.len(), packed_length(count, width));
                let mut out = [0; RUN];
                unpack(&bytes, count, width, &mut out);
                assert_eq!(out[..count], numbers, "{width} bits");
            }
        }
    }
}
