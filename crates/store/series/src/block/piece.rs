//! Pieces: what a block's files are made of, each with a checksum of its own, compressed where that pays.
//!
//! Format: docs/formats/series-blocks.md, "Pieces".

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes of a piece's head: checksum, stored length, raw length, kind, coding, two zeros.
pub(crate) const HEAD: usize = 16;

/// Bytes that a piece may have, unpacked.
pub(crate) const RAW_MAX: usize = 1 << 28;

const RAW: u8 = 0;
const ZSTD: u8 = 1;

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A block's contents.
    Contents = 1,
    /// Values of one label's name.
    Dictionary = 2,
    /// Labels and chunks of some series.
    Series = 3,
    /// Which series have some values of one label's name.
    Postings = 4,
    /// Columns of values of some chunks.
    Values = 5,
    /// Timestamps of some chunks.
    Times = 6,
    /// What was deleted.
    Tombstones = 7,
}

impl Kind {
    /// Returns the kind as words for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Contents => "contents",
            Self::Dictionary => "label values",
            Self::Series => "series",
            Self::Postings => "postings",
            Self::Values => "values",
            Self::Times => "timestamps",
            Self::Tombstones => "deletions",
        }
    }
}

/// Writes pieces. Keep one for all pieces of a block: its tables and buffers are used again.
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

/// How hard pieces are compressed.
const LEVEL: i32 = 3;

impl Packer {
    /// Appends a piece of `kind` that holds `raw`, compressed when that saves a sixty-fourth.
    pub(crate) fn put(&mut self, into: &mut Vec<u8>, kind: Kind, raw: &[u8]) {
        let (coding, stored) = match self.pack(raw) {
            Some(packed) if packed.len() < raw.len() - raw.len() / 64 => (ZSTD, packed),
            _ => (RAW, raw),
        };
        let start = into.len();
        into.reserve(HEAD + stored.len());
        into.extend_from_slice(&[0; 4]);
        into.extend_from_slice(&length_bytes(stored.len()));
        into.extend_from_slice(&length_bytes(raw.len()));
        into.extend_from_slice(&[kind as u8, coding, 0, 0]);
        into.extend_from_slice(stored);
        let checksum = crc32fast::hash(&into[start + 4..]);
        into[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
    }

    fn pack(&mut self, raw: &[u8]) -> Option<&[u8]> {
        if raw.len() < 64 {
            return None;
        }
        if self.compressor.is_none() {
            self.compressor = zstd::bulk::Compressor::new(LEVEL).ok();
        }
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(raw.len()));
        self.compressor.as_mut()?.compress_to_buffer(raw, &mut self.packed).ok()?;
        Some(&self.packed)
    }
}

/// Appends a single piece.
pub(crate) fn put(into: &mut Vec<u8>, kind: Kind, raw: &[u8]) {
    Packer::default().put(into, kind, raw);
}

fn length_bytes(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

fn word(bytes: &[u8], at: usize) -> usize {
    let word = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(u32::MAX, u32::from_le_bytes);
    usize::try_from(word).unwrap_or(usize::MAX)
}

/// What a head says of the bytes behind it.
struct Head {
    checksum: usize,
    stored: usize,
    raw: usize,
    kind: u8,
    coding: u8,
}

impl Head {
    fn of(head: &[u8; HEAD]) -> Self {
        Self { checksum: word(head, 0), stored: word(head, 4), raw: word(head, 8), kind: head[12], coding: head[13] }
    }

    /// Returns what is wrong before the checksum is computed.
    fn check(&self, kind: Kind) -> Result<(), String> {
        if self.kind != kind as u8 || self.coding > ZSTD || self.raw > RAW_MAX || self.stored > self.raw {
            return Err("its head is no piece's".to_owned());
        }
        Ok(())
    }
}

thread_local! {
    static UNPACKER: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

fn unpack(stored: &[u8], raw: usize) -> Result<Vec<u8>, String> {
    UNPACKER.with_borrow_mut(|unpacker| {
        if unpacker.is_none() {
            *unpacker = zstd::bulk::Decompressor::new().ok();
        }
        let unpacker = unpacker.as_mut().ok_or("no memory for unpacking")?;
        let bytes = unpacker.decompress(stored, raw).map_err(|error| format!("it cannot be unpacked: {error}"))?;
        if bytes.len() == raw { Ok(bytes) } else { Err("it unpacks to another length".to_owned()) }
    })
}

/// Returns the content of the piece of `kind` that `bytes` start with, and how many bytes it takes.
pub(crate) fn take(bytes: &[u8], kind: Kind) -> Result<(Vec<u8>, usize), String> {
    let head = bytes.first_chunk::<HEAD>().ok_or("the file ends in its head")?;
    let parts = Head::of(head);
    parts.check(kind)?;
    let whole = bytes.get(..HEAD + parts.stored).ok_or("the file ends in it")?;
    if usize::try_from(crc32fast::hash(&whole[4..])) != Ok(parts.checksum) {
        return Err("its checksum does not fit".to_owned());
    }
    let stored = &whole[HEAD..];
    let raw = if parts.coding == ZSTD { unpack(stored, parts.raw)? } else { stored.to_vec() };
    if raw.len() == parts.raw { Ok((raw, whole.len())) } else { Err("its length does not fit".to_owned()) }
}

/// Reads the content of the piece of `kind` at `offset`. `guess` is how many bytes it probably takes in the file; one read suffices when it does.
pub(crate) fn read(file: &File, offset: u64, guess: usize, kind: Kind) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; guess.max(HEAD)];
    let got = read_up_to(file, offset, &mut bytes)?;
    bytes.truncate(got);
    let head = bytes.first_chunk::<HEAD>().ok_or("the file ends in its head")?;
    let parts = Head::of(head);
    parts.check(kind)?;
    let whole = HEAD + parts.stored;
    if whole > bytes.len() {
        let have = bytes.len();
        bytes.resize(whole, 0);
        let more = read_up_to(file, offset + have as u64, &mut bytes[have..])?;
        bytes.truncate(have + more);
    }
    take(&bytes, kind).map(|(raw, _)| raw)
}

fn read_up_to(file: &File, offset: u64, into: &mut [u8]) -> Result<usize, String> {
    let mut done = 0;
    while done < into.len() {
        match file.read_at(&mut into[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(more) => done += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("it cannot be read: {error}")),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_and_damaged_ones_are_refused() {
        for raw in [Vec::new(), vec![1, 2, 3], vec![7; 5000]] {
            let mut bytes = Vec::new();
            put(&mut bytes, Kind::Series, &raw);
            assert_eq!(take(&bytes, Kind::Series), Ok((raw.clone(), bytes.len())));
            assert!(take(&bytes, Kind::Values).is_err());
            for cut in 0..bytes.len() {
                assert!(take(&bytes[..cut], Kind::Series).is_err());
            }
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(take(&bytes, Kind::Series).is_err(), "bit {bit}");
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}
