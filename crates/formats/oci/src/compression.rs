//! Decompression of layers and archives.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Returns the plain stream of one that may be compressed with gzip or zstd, as its first bytes tell.
///
/// # Errors
/// When the first bytes cannot be read.
pub fn decompress<'a, R: Read + 'a>(source: R) -> io::Result<Box<dyn Read + 'a>> {
    let mut source = BufReader::with_capacity(64 << 10, source);
    let magic = source.fill_buf()?;
    Ok(if magic.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::with_capacity(64 << 10, MultiGzDecoder::new(source)))
    } else if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
        || (magic.get(1..4) == Some(&[0x2a, 0x4d, 0x18]) && magic[0] & 0xf0 == 0x50)
    {
        Box::new(ZstdFrames { source, decoder: FrameDecoder::new(), open: false })
    } else {
        Box::new(source)
    })
}

/// Reads all frames of a zstd stream and skips skippable ones. Checksums of frames are not looked at: digests of blobs are.
struct ZstdFrames<R> {
    source: BufReader<R>,
    decoder: FrameDecoder,
    open: bool,
}

impl<R: Read> ZstdFrames<R> {
    /// Starts the next frame with content; false at the end of the stream.
    fn next_frame(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    io::copy(&mut self.source.by_ref().take(u64::from(length)), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
    }
}

impl<R: Read> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.open {
                if !self.next_frame()? {
                    return Ok(0);
                }
                self.open = true;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            }
            let count = self.decoder.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            if !self.decoder.is_finished() {
                continue;
            }
            self.open = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn plain(source: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decompress(source)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn gzip_with_several_members_is_read_whole() {
        let mut source = Vec::new();
        for part in [&b"first "[..], b"second"] {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(part).unwrap();
            source.extend(encoder.finish().unwrap());
        }
        assert_eq!(plain(&source).unwrap(), b"first second");
        assert!(plain(&source[..source.len() - 3]).is_err());
    }

    #[test]
    fn zstd_with_several_and_skippable_frames_is_read_whole() {
        let frame =
            |content: &[u8]| ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest);
        let mut source = frame(b"first ");
        source.extend([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
        source.extend(frame(&vec![7; 300_000]));
        let out = plain(&source).unwrap();
        assert_eq!(out.len(), 300_006);
        assert!(out.starts_with(b"first "));
        assert!(plain(&source[..source.len() - 3]).is_err());
    }

    #[test]
    fn what_is_not_compressed_passes_through() {
        assert_eq!(plain(b"plain").unwrap(), b"plain");
        assert_eq!(plain(b"").unwrap(), b"");
    }
}
