//! A ZIP writer whose output depends on nothing but its entries.
//!
//! Own code rather than the `zip` crate: these formats need store and deflate alone, fixed times and no extra fields; that is less
//! than a hundred lines over `flate2`, and no default of a library can change the bytes.
//! Source: PKWARE APPNOTE 6.3.

use flate2::{Compression, Crc, write::DeflateEncoder};
use std::io::Write as _;

use crate::DocumentError;

/// 1980-01-01 00:00:00, the first time that the format knows.
const DATE: u16 = 0x0021;
const TIME: u16 = 0;
/// Bit 11: names are UTF-8.
const FLAGS: u16 = 1 << 11;
const VERSION: u16 = 20;

/// How an entry is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Stored = 0,
    Deflated = 8,
}

/// An archive being written. Entries stand in the order of the calls.
#[derive(Debug, Default)]
pub(crate) struct Zip {
    out: Vec<u8>,
    directory: Vec<u8>,
    count: u16,
}

impl Zip {
    /// Adds an entry as it is: readers look for `mimetype` at a fixed place.
    pub(crate) fn store(&mut self, name: &str, content: &[u8]) -> Result<(), DocumentError> {
        self.entry(name, content, content, Method::Stored)
    }

    /// Adds an entry, deflated.
    pub(crate) fn add(&mut self, name: &str, content: &[u8]) -> Result<(), DocumentError> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        let deflated = encoder.write_all(content).and_then(|()| encoder.finish());
        let deflated = deflated.map_err(|source| DocumentError::Deflate { entry: name.to_owned(), source })?;
        self.entry(name, content, &deflated, Method::Deflated)
    }

    /// Returns the archive's bytes.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, DocumentError> {
        let (offset, length) = (size(self.out.len())?, size(self.directory.len())?);
        self.out.append(&mut self.directory);
        self.out.extend(b"PK\x05\x06\0\0\0\0");
        self.out.extend(self.count.to_le_bytes());
        self.out.extend(self.count.to_le_bytes());
        self.out.extend(length.to_le_bytes());
        self.out.extend(offset.to_le_bytes());
        self.out.extend([0, 0]);
        Ok(self.out)
    }

    fn entry(&mut self, name: &str, content: &[u8], kept: &[u8], method: Method) -> Result<(), DocumentError> {
        let mut crc = Crc::new();
        crc.update(content);
        let mut shared = Vec::new();
        for number in [VERSION, FLAGS, method as u16, TIME, DATE] {
            shared.extend(number.to_le_bytes());
        }
        for number in [crc.sum(), size(kept.len())?, size(content.len())?] {
            shared.extend(number.to_le_bytes());
        }
        let name_bytes = u16::try_from(name.len()).map_err(|_| too_large())?;
        shared.extend(name_bytes.to_le_bytes());
        shared.extend([0, 0]);
        let offset = size(self.out.len())?;
        self.directory.extend(b"PK\x01\x02");
        self.directory.extend(VERSION.to_le_bytes());
        self.directory.extend(&shared);
        // No comment, disk 0, no attributes.
        self.directory.extend([0; 10]);
        self.directory.extend(offset.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.out.extend(b"PK\x03\x04");
        self.out.extend(&shared);
        self.out.extend(name.as_bytes());
        self.out.extend(kept);
        self.count = self.count.checked_add(1).ok_or_else(too_large)?;
        Ok(())
    }
}

fn size(bytes: usize) -> Result<u32, DocumentError> {
    u32::try_from(bytes).map_err(|_| too_large())
}

fn too_large() -> DocumentError {
    DocumentError::TooLarge { what: "the archive", limit: 4_294_967_295 }
}
