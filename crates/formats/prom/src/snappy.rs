//! Snappy blocks, as remote write and remote read wrap their bodies.

/// A body that is no snappy block, or too large a one.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnappyError {
    /// The head says more bytes than the limit: nothing was allocated.
    #[error("the body unpacks to {actual} bytes, more than the limit of {limit}; send smaller requests")]
    TooLarge {
        /// What the body's head says.
        actual: usize,
        /// The limit.
        limit: usize,
    },
    /// The bytes are no snappy block.
    #[error("the body is no snappy block: {0}")]
    Malformed(String),
}

/// Unpacks `block` into `buffer`, whose memory is used again, and returns the content.
///
/// # Errors
/// When the block is malformed or says that it holds more than `bytes_max`.
pub fn decompress<'a>(block: &[u8], bytes_max: usize, buffer: &'a mut Vec<u8>) -> Result<&'a [u8], SnappyError> {
    let malformed = |error: snap::Error| SnappyError::Malformed(error.to_string());
    let length = snap::raw::decompress_len(block).map_err(malformed)?;
    if length > bytes_max {
        return Err(SnappyError::TooLarge { actual: length, limit: bytes_max });
    }
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    let written = snap::raw::Decoder::new().decompress(block, buffer).map_err(malformed)?;
    Ok(&buffer[..written])
}

/// Packs `content` into one block.
#[must_use]
pub fn compress(content: &[u8]) -> Vec<u8> {
    // Fails for more than 4 GiB only, which no message here reaches.
    snap::raw::Encoder::new().compress_vec(content).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_block_that_says_too_much_is_refused_before_memory_is_taken() {
        let mut block = vec![0xff, 0xff, 0xff, 0xff, 0x0f];
        block.extend([0; 9]);
        let mut buffer = Vec::new();
        let error = decompress(&block, 1 << 20, &mut buffer).unwrap_err();
        assert_eq!(error, SnappyError::TooLarge { actual: 0xffff_ffff, limit: 1 << 20 });
        assert_eq!(buffer.capacity(), 0);
    }

    proptest! {
        #[test]
        fn blocks_come_back_and_arbitrary_bytes_never_panic(content: Vec<u8>) {
            let mut buffer = Vec::new();
            prop_assert_eq!(decompress(&compress(&content), 1 << 20, &mut buffer).unwrap(), content.as_slice());
            std::hint::black_box(decompress(&content, 1 << 16, &mut buffer).is_ok());
            prop_assert!(buffer.len() <= 1 << 16);
        }
    }
}
