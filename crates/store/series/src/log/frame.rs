//! Frames: bytes with their length and checksum, as the log and checkpoints are made of.
//!
//! ```text
//! "mF", or "mZ" when the content is packed: 2 bytes
//! length of what follows the checksum, 4 bytes, little endian
//! CRC-32 of that (of "mZ", all bits inverted), 4 bytes, little endian
//! content; when packed: its length, 4 bytes, little endian, and zstd
//! ```

use std::borrow::Cow;

/// What a frame begins with.
const MARK: [u8; 2] = *b"mF";
/// What a frame with packed content begins with.
const PACKED: [u8; 2] = *b"mZ";
/// Bytes before the content.
pub(crate) const HEAD: usize = 10;

/// Shorter contents are not worth packing.
const PACK_BYTES_MIN: usize = 256;
/// Bytes that a packed content may have.
const CONTENT_BYTES_MAX: usize = 256 << 20;
/// The quickest level: it halves both log and checkpoints, and others gain a few hundredths.
const LEVEL: i32 = 1;

/// Packs contents. Keep one: its tables are used again.
#[derive(Default)]
pub(crate) struct Packer {
    compressor: Option<zstd::bulk::Compressor<'static>>,
    packed: Vec<u8>,
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Packer").finish_non_exhaustive()
    }
}

impl Packer {
    /// Returns the packed form of `content` when it is clearly shorter.
    fn pack(&mut self, content: &[u8]) -> Option<&[u8]> {
        if !(PACK_BYTES_MIN..=CONTENT_BYTES_MAX).contains(&content.len()) {
            return None;
        }
        if self.compressor.is_none() {
            self.compressor = zstd::bulk::Compressor::new(LEVEL).ok();
        }
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(content.len()));
        self.compressor.as_mut()?.compress_to_buffer(content, &mut self.packed).ok()?;
        (self.packed.len() + content.len() / 16 < content.len()).then_some(&self.packed)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.packed.capacity()
    }
}

/// Returns the checksum of what follows a head: another one for packed contents, so that no flipped byte makes one of the other.
fn checksum(is_packed: bool, stored: &[u8]) -> u32 {
    let sum = crc32fast::hash(stored);
    if is_packed { !sum } else { sum }
}

/// Starts a frame at the end of `out`; returns where, for [`end`].
pub(crate) fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&MARK);
    out.extend_from_slice(&[0; HEAD - 2]);
    start
}

/// Ends the frame that was started at `start`: all bytes since are its content, packed when that pays. A frame without content is
/// taken back.
pub(crate) fn end(out: &mut Vec<u8>, start: usize, packer: &mut Packer) {
    if out.len() <= start + HEAD {
        out.truncate(start);
        return;
    }
    let content = out.get(start + HEAD..).unwrap_or_default();
    if let Some(packed) = packer.pack(content) {
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        out.truncate(start);
        out.extend_from_slice(&PACKED);
        out.extend_from_slice(&[0; HEAD - 2]);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(packed);
    }
    let Some((head, content)) = out.get_mut(start..).and_then(|frame| frame.split_at_mut_checked(HEAD)) else { return };
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let sum = checksum(head.starts_with(&PACKED), content);
    if let Some((_, numbers)) = head.split_at_mut_checked(2) {
        let (first, second) = numbers.split_at_mut(4);
        first.copy_from_slice(&length.to_le_bytes());
        second.copy_from_slice(&sum.to_le_bytes());
    }
}

/// A whole frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// Where it begins.
    pub(crate) start: usize,
    /// Where the next one begins.
    pub(crate) end: usize,
    /// What follows its head.
    stored: &'a [u8],
    pub(crate) is_packed: bool,
}

impl<'a> Frame<'a> {
    /// Returns the content; `None` when it cannot be unpacked, which no writer wrote.
    pub(crate) fn content(&self) -> Option<Cow<'a, [u8]>> {
        if !self.is_packed {
            return Some(Cow::Borrowed(self.stored));
        }
        let (length, packed) = self.stored.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= CONTENT_BYTES_MAX)?;
        let content = zstd::bulk::decompress(packed, length).ok()?;
        (content.len() == length).then_some(Cow::Owned(content))
    }
}

/// What a file holds at some place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A whole frame.
    Frame(Frame<'a>),
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

    fn frame_at(&self, at: usize) -> Option<Frame<'a>> {
        let (mark, rest) = self.bytes.get(at..)?.split_first_chunk::<2>()?;
        let is_packed = *mark == PACKED;
        if !is_packed && *mark != MARK {
            return None;
        }
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (sum, rest) = rest.split_first_chunk::<4>()?;
        let stored = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        let end = at + HEAD + stored.len();
        (checksum(is_packed, stored) == u32::from_le_bytes(*sum)).then_some(Frame { start: at, end, stored, is_packed })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let start = self.at;
        if let Some(frame) = self.frame_at(start) {
            self.at = frame.end;
            return Some(Piece::Frame(frame));
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
            end(&mut out, start, &mut Packer::default());
        }
        out
    }

    #[test]
    fn long_contents_are_packed_and_come_back() {
        let (mut out, mut packer) = (Vec::new(), Packer::default());
        let contents: Vec<Vec<u8>> = vec![b"short".to_vec(), vec![7; 5000], (0..=255).cycle().take(3000).collect()];
        for content in &contents {
            let start = begin(&mut out);
            out.extend_from_slice(content);
            end(&mut out, start, &mut packer);
        }
        assert!(out.len() < 1000, "{}", out.len());
        let back: Vec<Vec<u8>> = Frames::new(&out, 0)
            .map(|piece| match piece {
                Piece::Frame(frame) => frame.content().unwrap().into_owned(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(back, contents);
    }

    #[test]
    fn no_flipped_byte_makes_one_kind_of_frame_of_the_other() {
        let mut bytes = three();
        bytes[1] = b'Z';
        assert_eq!(Frames::new(&bytes, 0).next(), Some(Piece::Damaged(0, 13)));
    }

    #[test]
    fn a_packed_content_that_nobody_wrote_is_refused() {
        let good = zstd::bulk::compress(&[1; 500], 1).unwrap();
        for (length, packed) in [(499_u32, good.as_slice()), (501, &good), (u32::MAX, &good), (3, b"abc")] {
            let mut stored = length.to_le_bytes().to_vec();
            stored.extend_from_slice(packed);
            let frame = Frame { start: 0, end: 0, stored: &stored, is_packed: true };
            assert_eq!(frame.content(), None);
        }
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
