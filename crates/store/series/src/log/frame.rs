//! Frames: bytes with their length and checksum, as the log and checkpoints are made of.
//!
//! ```text
//! "mF"  2 bytes
//! length of the content, 4 bytes, little endian
//! CRC-32 of the content, 4 bytes, little endian
//! content
//! ```

/// What every frame begins with.
const MARK: [u8; 2] = *b"mF";
/// Bytes before the content.
pub(crate) const HEAD: usize = 10;

/// Starts a frame at the end of `out`; returns where, for [`end`].
pub(crate) fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&MARK);
    out.extend_from_slice(&[0; HEAD - 2]);
    start
}

/// Ends the frame that was started at `start`: all bytes since are its content. A frame without content is taken back.
pub(crate) fn end(out: &mut Vec<u8>, start: usize) {
    if out.len() <= start + HEAD {
        out.truncate(start);
        return;
    }
    let Some((head, content)) = out.get_mut(start..).and_then(|frame| frame.split_at_mut_checked(HEAD)) else { return };
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let sum = crc32fast::hash(content);
    if let Some((_, numbers)) = head.split_at_mut_checked(2) {
        let (first, second) = numbers.split_at_mut(4);
        first.copy_from_slice(&length.to_le_bytes());
        second.copy_from_slice(&sum.to_le_bytes());
    }
}

/// What a file holds at some place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A whole frame; where it begins, and its content.
    Frame(usize, &'a [u8]),
    /// Bytes that are no frame, with whole frames behind them.
    Damaged(usize, usize),
    /// Bytes at the end that are no frame.
    Torn(usize, usize),
}

/// Goes over the frames of a file.
#[derive(Debug)]
pub(crate) struct Frames<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Frames<'a> {
    /// Starts at `at`.
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    fn frame_at(&self, at: usize) -> Option<&'a [u8]> {
        let rest = self.bytes.get(at..)?;
        let rest = rest.strip_prefix(&MARK)?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (sum, rest) = rest.split_first_chunk::<4>()?;
        let content = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        (crc32fast::hash(content) == u32::from_le_bytes(*sum)).then_some(content)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let start = self.at;
        if let Some(content) = self.frame_at(start) {
            self.at += HEAD + content.len();
            return Some(Piece::Frame(start, content));
        }
        let next = (start + 1..self.bytes.len()).find(|at| self.frame_at(*at).is_some());
        self.at = next.unwrap_or(self.bytes.len());
        Some(if next.is_some() { Piece::Damaged(start, self.at) } else { Piece::Torn(start, self.at) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn three() -> Vec<u8> {
        let mut out = Vec::new();
        for content in ["one", "two two", "three three three"] {
            let start = begin(&mut out);
            out.extend_from_slice(content.as_bytes());
            end(&mut out, start);
        }
        out
    }

    #[test]
    fn a_cut_file_keeps_its_whole_frames() {
        let bytes = three();
        for length in 0..bytes.len() {
            let pieces: Vec<Piece<'_>> = Frames::new(&bytes[..length], 0).collect();
            let whole = pieces.iter().filter(|piece| matches!(piece, Piece::Frame(..))).count();
            assert_eq!(whole, [13, 30, 57].iter().filter(|end| **end <= length).count());
            assert!(!pieces.iter().any(|piece| matches!(piece, Piece::Damaged(..))));
        }
    }

    proptest! {
        #[test]
        fn one_flipped_byte_costs_one_frame(at in 0_usize..57, bits in 1_u8..) {
            let mut bytes = three();
            bytes[at] ^= bits;
            let whole = Frames::new(&bytes, 0).filter(|piece| matches!(piece, Piece::Frame(..))).count();
            prop_assert_eq!(whole, 2);
        }
    }
}
