//! Compressed header blocks: one zlib stream per direction, flushed after each block, begun with the dictionary.
//!
//! zlib's preset dictionary is nothing but a window that both ends have before the first byte. A raw deflate stream gets
//! the same window when the dictionary goes through it first, so the zlib head of six bytes is read and written here and no
//! zlib with support for dictionaries is needed.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::dictionary::{DICTIONARY, DICTIONARY_SUM};
use crate::error::{DecodeError, EncodeError};

/// Deflate with a window of 32 KiB, default level, a dictionary; RFC 1950 §2.2.
const HEAD: [u8; 2] = [0x78, 0xbb];
const HEAD_BYTES: usize = 6;
const STEP: usize = 1024;

/// Reads header blocks, in the order in which they came.
pub(crate) struct HeaderInflater {
    stream: Option<Decompress>,
}

impl HeaderInflater {
    pub(crate) fn new() -> Self {
        Self { stream: None }
    }

    /// Returns a block's bytes, at most `limit`.
    pub(crate) fn inflate(&mut self, block: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
        if let Some(stream) = &mut self.stream {
            return inflate(stream, block, limit);
        }
        let (head, block) = block.split_at_checked(HEAD_BYTES).ok_or(compression("its zlib head is cut off"))?;
        check_head(head)?;
        let mut stream = Decompress::new(false);
        // RFC 1951 §3.2.4: a stored block that is not the last one.
        let length = u16::try_from(DICTIONARY.len()).unwrap_or(u16::MAX);
        let mut stored = vec![0];
        stored.extend(length.to_le_bytes());
        stored.extend((!length).to_le_bytes());
        stored.extend(DICTIONARY.iter());
        inflate(&mut stream, &stored, DICTIONARY.len())?;
        inflate(self.stream.insert(stream), block, limit)
    }
}

fn compression(reason: &'static str) -> DecodeError {
    DecodeError::Compression { reason }
}

fn check_head(head: &[u8]) -> Result<(), DecodeError> {
    let [method, flags, sum @ ..] = head else { return Err(compression("its zlib head is cut off")) };
    if method & 0x0f != 8 || method >> 4 > 7 || (u32::from(*method) << 8 | u32::from(*flags)) % 31 != 0 {
        return Err(compression("it does not begin with a zlib head"));
    }
    if flags & 0x20 == 0 {
        return Err(compression("it does not use the dictionary"));
    }
    if sum != DICTIONARY_SUM.to_be_bytes() {
        return Err(compression("it uses another dictionary than SPDY/3's"));
    }
    Ok(())
}

fn inflate(stream: &mut Decompress, mut input: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    loop {
        out.reserve(STEP);
        let (before, length) = (stream.total_in(), out.len());
        stream
            .decompress_vec(input, &mut out, FlushDecompress::Sync)
            .map_err(|_| compression("it is not deflated data"))?;
        let taken = usize::try_from(stream.total_in() - before).unwrap_or(usize::MAX);
        input = input.get(taken..).unwrap_or_default();
        if out.len() > limit {
            return Err(DecodeError::HeadersTooLong { limit });
        }
        if input.is_empty() && out.len() < out.capacity() {
            return Ok(out);
        }
        if taken == 0 && out.len() == length {
            // The stream's last block was before, or the data stop in the middle of nothing.
            return Err(compression("data follow the end of the stream"));
        }
    }
}

/// Writes header blocks, in the order in which they are sent.
pub(crate) struct HeaderDeflater {
    stream: Option<Compress>,
}

impl HeaderDeflater {
    pub(crate) fn new() -> Self {
        Self { stream: None }
    }

    /// Appends a block.
    pub(crate) fn deflate(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if let Some(stream) = &mut self.stream {
            return deflate(stream, block, out);
        }
        out.extend(HEAD);
        out.extend(DICTIONARY_SUM.to_be_bytes());
        let mut stream = Compress::new(Compression::default(), false);
        // The peer has these bytes in its window already: what stands for them is not sent.
        deflate(&mut stream, &DICTIONARY, &mut Vec::new())?;
        deflate(self.stream.insert(stream), block, out)
    }
}

fn deflate(stream: &mut Compress, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    loop {
        // More than a flush takes: a buffer with room left tells that all is written.
        out.reserve(input.len() + STEP);
        let before = stream.total_in();
        stream.compress_vec(input, out, FlushCompress::Sync).map_err(|_| EncodeError::Compression)?;
        let taken = usize::try_from(stream.total_in() - before).unwrap_or(usize::MAX);
        input = input.get(taken..).unwrap_or_default();
        if input.is_empty() && out.len() < out.capacity() {
            return Ok(());
        }
    }
}
