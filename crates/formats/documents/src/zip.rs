//! A ZIP writer whose output depends on nothing but its entries, and a reader of plain archives.
//!
//! Own code rather than the `zip` crate: these formats need store and deflate alone, fixed times and no extra fields; that is less
//! than a hundred lines over `flate2`, and no default of a library can change the bytes.
//! Source: PKWARE APPNOTE 6.3.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use flate2::read::DeflateDecoder;
use flate2::{Compression, Crc, write::DeflateEncoder};

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

/// Writes files, by their paths, as one archive: the same files give the same bytes.
///
/// # Errors
/// When there are more than 65,535 of them, or they are larger than 4 GiB.
pub fn to_zip(files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, DocumentError> {
    let mut zip = Zip::default();
    for (name, content) in files {
        zip.add(name, content)?;
    }
    zip.finish()
}

/// Reads an archive's files: stored or deflated, without encryption, of one disk. Folders are passed over; what is read has
/// at most `bytes_max` bytes together.
///
/// # Errors
/// When it is no such archive, a sum does not fit, or it holds more.
pub fn from_zip(archive: &[u8], bytes_max: usize) -> Result<BTreeMap<String, Vec<u8>>, DocumentError> {
    let broken = |why: &'static str| DocumentError::Archive { why };
    let two = |at: usize| archive.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_le_bytes);
    let four = |at: usize| archive.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let size = |at: usize| four(at).and_then(|number| usize::try_from(number).ok());
    // A comment may follow the end; it has at most 65,535 bytes.
    let ends = (0..=archive.len().saturating_sub(22)).rev().take(65_536);
    let mut found = ends.filter(|at| archive.get(*at..*at + 4) == Some(b"PK\x05\x06"));
    let end = found.next().ok_or_else(|| broken("it is no ZIP archive"))?;
    let short = || broken("it is cut short");
    let (count, mut at) = (two(end + 10).ok_or_else(short)?, size(end + 16).ok_or_else(short)?);
    let (mut files, mut left) = (BTreeMap::new(), bytes_max);
    for _ in 0..count {
        if archive.get(at..at + 4) != Some(b"PK\x01\x02") {
            return Err(broken("its directory is damaged"));
        }
        let field = |offset: usize| size(at + offset).ok_or_else(short);
        let word = |offset: usize| two(at + offset).map(usize::from).ok_or_else(short);
        let (flags, method, sum) = (word(8)?, word(10)?, four(at + 16).ok_or_else(short)?);
        let (kept, whole, local) = (field(20)?, field(24)?, field(42)?);
        let name = archive.get(at + 46..at + 46 + word(28)?).ok_or_else(short)?;
        let name = std::str::from_utf8(name).map_err(|_| broken("a name is not UTF-8"))?.to_owned();
        at += 46 + word(28)? + word(30)? + word(32)?;
        if name.ends_with('/') {
            continue;
        }
        if flags & 1 == 1 || whole > left {
            return Err(broken("it is encrypted, or holds too much"));
        }
        left -= whole;
        let names = |offset: usize| two(local + offset).map(usize::from).ok_or_else(short);
        let begin = local + 30 + names(26)? + names(28)?;
        let raw = archive.get(begin..begin.saturating_add(kept)).ok_or_else(short)?;
        let content = match method {
            0 => raw.to_vec(),
            8 => {
                let mut content = Vec::new();
                // One byte more than it says: whoever says too little is found.
                let limit = u64::try_from(whole).unwrap_or(u64::MAX).saturating_add(1);
                let read = DeflateDecoder::new(raw).take(limit).read_to_end(&mut content);
                read.map_err(|_| broken("an entry cannot be unpacked"))?;
                content
            }
            _ => return Err(broken("an entry is neither stored nor deflated")),
        };
        let mut crc = Crc::new();
        crc.update(&content);
        if content.len() != whole || crc.sum() != sum {
            return Err(broken("the sum or the size of an entry does not fit"));
        }
        if files.insert(name, content).is_some() {
            return Err(broken("a name stands twice"));
        }
    }
    Ok(files)
}

fn size(bytes: usize) -> Result<u32, DocumentError> {
    u32::try_from(bytes).map_err(|_| too_large())
}

fn too_large() -> DocumentError {
    DocumentError::TooLarge { what: "the archive", limit: 4_294_967_295 }
}
