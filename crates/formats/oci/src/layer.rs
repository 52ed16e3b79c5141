//! Layers: tar streams of changes to a file system.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use tar::{EntryType, Header};

/// Length of a tar block.
const BLOCK: usize = 512;
/// Prefix of a file name that removes what the rest names.
pub(crate) const WHITEOUT: &[u8] = b".wh.";
/// Name of the file that hides what lower layers have in its directory.
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";
/// Prefix of the records that carry extended attributes.
pub(crate) const XATTR_RECORD: &str = "SCHILY.xattr.";

/// One change that a layer makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerChange {
    /// Something is there, in place of what was.
    Add(Entry),
    /// Something is no longer there.
    Whiteout(PathBuf),
    /// A directory no longer shows what lower layers put in it.
    Opaque(PathBuf),
}

/// Something in a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative path without `.` and `..`; empty for the root itself.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits with set-user-id, set-group-id and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change, in seconds since 1970.
    pub modified_seconds: i64,
    /// Length in bytes; zero for all but regular files.
    pub size: u64,
    /// Extended attributes.
    pub xattrs: BTreeMap<OsString, Vec<u8>>,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link; the target is not checked in any way.
    Symlink(PathBuf),
    /// Another name of a file; the target is relative to the root, without `.` and `..`.
    Hardlink(PathBuf),
    /// A character device.
    CharacterDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// Bounds of what a layer may cost.
#[derive(Debug, Clone, Copy)]
pub struct LayerLimits {
    /// Bytes after decompression.
    pub bytes_max: u64,
    /// Entries.
    pub entries_max: u64,
    /// Bytes of the extension headers of one entry.
    pub extension_bytes_max: u64,
}

impl Default for LayerLimits {
    fn default() -> Self {
        Self { bytes_max: 64 << 30, entries_max: 4_000_000, extension_bytes_max: 1 << 20 }
    }
}

/// A layer cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The stream broke off, or is not what it says it is compressed with.
    #[error("the stream could not be read")]
    Read(#[from] io::Error),
    /// It is not a tar archive, or uses what is not supported.
    #[error("the archive is malformed: {problem}")]
    Malformed {
        /// What is wrong.
        problem: String,
    },
    /// A path leads out of the layer.
    #[error("the archive holds \"{}\", which leads out of it", path.display())]
    Escape {
        /// The path.
        path: PathBuf,
    },
    /// It is larger than allowed.
    #[error("the archive exceeds the limit of {limit} {what}")]
    TooLarge {
        /// The limit.
        limit: u64,
        /// Of what.
        what: &'static str,
    },
}

fn malformed(problem: impl Into<String>) -> LayerError {
    LayerError::Malformed { problem: problem.into() }
}

/// Counts what is read and fails beyond a limit.
struct Bounded<'a> {
    source: &'a mut dyn Read,
    left: u64,
    exceeded: bool,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => {
                self.exceeded = true;
                return Err(io::Error::other("the archive is too large"));
            }
        }
        Ok(count)
    }
}

/// Calls `visit` for each change of a layer, with the content of regular files. The stream must not be compressed (see
/// `decompress`); it is read to its end, also what follows the archive.
///
/// # Errors
/// When the layer cannot be read, or `visit` fails.
pub fn read_layer<E: From<LayerError>>(
    source: &mut dyn Read,
    limits: LayerLimits,
    visit: &mut dyn FnMut(LayerChange, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    read_archive(source, limits, &mut |entry, content| match classify(entry)? {
        None => Ok(()),
        Some(change) => visit(change, content),
    })
}

/// Calls `visit` for each entry of a tar archive, without giving whiteouts a meaning.
///
/// # Errors
/// When the archive cannot be read, or `visit` fails.
pub fn read_archive<E: From<LayerError>>(
    source: &mut dyn Read,
    limits: LayerLimits,
    visit: &mut dyn FnMut(Entry, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let mut source = Bounded { source, left: limits.bytes_max, exceeded: false };
    let mut entries = 0u64;
    let outcome = loop {
        entries += 1;
        if entries > limits.entries_max {
            return Err(LayerError::TooLarge { limit: limits.entries_max, what: "entries" }.into());
        }
        match next_entry(&mut source, limits) {
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
            Ok(Some(entry)) => {
                let size = entry.size;
                let mut content = source.by_ref().take(size);
                let visited = visit(entry, &mut content);
                let left = content.limit();
                if source.exceeded {
                    break Err(LayerError::TooLarge { limit: limits.bytes_max, what: "bytes" });
                }
                visited?;
                if let Err(error) = skip(&mut source, left, size) {
                    break Err(error);
                }
            }
        }
    };
    match outcome.and_then(|()| Ok(io::copy(&mut source, &mut io::sink()).map(drop)?)) {
        Err(LayerError::Read(_)) if source.exceeded => {
            Err(LayerError::TooLarge { limit: limits.bytes_max, what: "bytes" }.into())
        }
        other => other.map_err(E::from),
    }
}

/// Skips the rest of an entry's content and its padding.
fn skip(source: &mut dyn Read, left: u64, size: u64) -> Result<(), LayerError> {
    let padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    let wanted = left + padding;
    let skipped = io::copy(&mut source.take(wanted), &mut io::sink())?;
    // Some writers leave out the padding of the last entry.
    if skipped < left { Err(malformed("it ends within a file")) } else { Ok(()) }
}

/// Reads the next header that stands for an entry, with the extension headers before it.
fn next_entry(source: &mut dyn Read, limits: LayerLimits) -> Result<Option<Entry>, LayerError> {
    let mut extensions = Extensions::default();
    loop {
        let mut block = [0u8; BLOCK];
        if !read_block(source, &mut block)? || block.iter().all(|byte| *byte == 0) {
            return if extensions.any { Err(malformed("it ends after an extension header")) } else { Ok(None) };
        }
        let header = Header::from_byte_slice(&block);
        check_sum(header, &block)?;
        let kind = header.entry_type();
        let extension = kind.is_pax_local_extensions() || kind.is_gnu_longname() || kind.is_gnu_longlink();
        if !extension && !kind.is_pax_global_extensions() {
            return entry(header, extensions).map(Some);
        }
        let size = header.entry_size().map_err(|error| malformed(error.to_string()))?;
        extensions.bytes = extensions.bytes.saturating_add(size);
        if extensions.bytes > limits.extension_bytes_max {
            return Err(LayerError::TooLarge {
                limit: limits.extension_bytes_max,
                what: "bytes in the headers of one entry",
            });
        }
        let mut content = Vec::new();
        source.take(size).read_to_end(&mut content)?;
        skip(source, size - content.len() as u64, size)?;
        if kind.is_gnu_longname() {
            extensions.path = Some(until_zero(content));
        } else if kind.is_gnu_longlink() {
            extensions.link = Some(until_zero(content));
        } else if kind.is_pax_local_extensions() {
            extensions.read_records(&content)?;
        }
        extensions.any |= extension;
    }
}

/// Reads a whole block; false at the end of the stream.
fn read_block(source: &mut dyn Read, block: &mut [u8; BLOCK]) -> Result<bool, LayerError> {
    let mut filled = 0;
    while filled < BLOCK {
        match source.read(&mut block[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(malformed("it ends within a header")),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

fn check_sum(header: &Header, block: &[u8; BLOCK]) -> Result<(), LayerError> {
    let expected = header.cksum().map_err(|_| malformed("a header has no checksum; this is not a tar archive"))?;
    let actual: u32 =
        block.iter().enumerate().map(|(at, byte)| u32::from(if (148..156).contains(&at) { b' ' } else { *byte })).sum();
    if expected == actual {
        Ok(())
    } else {
        Err(malformed("the checksum of a header is wrong; this is not a tar archive"))
    }
}

/// What extension headers say about the next entry.
#[derive(Debug, Default)]
struct Extensions {
    any: bool,
    bytes: u64,
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    modified_seconds: Option<i64>,
    xattrs: BTreeMap<OsString, Vec<u8>>,
}

impl Extensions {
    fn read_records(&mut self, content: &[u8]) -> Result<(), LayerError> {
        let mut rest = content;
        while !rest.is_empty() {
            let (key, value, after) =
                split_record(rest).ok_or_else(|| malformed("a record of an extension header is broken"))?;
            rest = after;
            let text =
                || std::str::from_utf8(value).map_err(|_| malformed(format!("the value of \"{key}\" is not UTF-8")));
            let number = || -> Result<u64, LayerError> {
                text()?.parse().map_err(|_| malformed(format!("the value of \"{key}\" is not a number")))
            };
            match key {
                "path" => self.path = Some(value.to_vec()),
                "linkpath" => self.link = Some(value.to_vec()),
                "size" => self.size = Some(number()?),
                "uid" => self.uid = Some(number()?),
                "gid" => self.gid = Some(number()?),
                "mtime" => {
                    let seconds = text()?.split('.').next().unwrap_or_default();
                    self.modified_seconds = Some(seconds.parse().map_err(|_| malformed("a time is not a number"))?);
                }
                key if key.starts_with("GNU.sparse.") => return Err(malformed("sparse files are not supported")),
                key => {
                    if let Some(name) = key.strip_prefix(XATTR_RECORD) {
                        self.xattrs.insert(name.into(), value.to_vec());
                    }
                }
            }
        }
        Ok(())
    }
}

/// Splits `<length> <key>=<value>\n` off (POSIX pax interchange format); values may hold any byte.
fn split_record(content: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let space = content.iter().take(20).position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&content[..space]).ok()?.parse().ok()?;
    let record = content.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((std::str::from_utf8(&record[..equals]).ok()?, &record[equals + 1..], &content[length..]))
}

fn until_zero(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

fn entry(header: &Header, extensions: Extensions) -> Result<Entry, LayerError> {
    let field = |error: io::Error| malformed(error.to_string());
    let id = |extended: Option<u64>, plain: io::Result<u64>| -> Result<u32, LayerError> {
        let id = extended.map_or(plain, Ok).map_err(field)?;
        u32::try_from(id).map_err(|_| malformed(format!("{id} is not a user or group id")))
    };
    let raw = extensions.path.unwrap_or_else(|| header.path_bytes().into_owned());
    let path = clean(&raw)?;
    let link = extensions.link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
    let target = || link.clone().ok_or_else(|| malformed(format!("the link \"{}\" has no target", path.display())));
    let device = || -> Result<(u32, u32), LayerError> {
        Ok((header.device_major().map_err(field)?.unwrap_or(0), header.device_minor().map_err(field)?.unwrap_or(0)))
    };
    let kind = match header.entry_type() {
        EntryType::Regular | EntryType::Continuous if raw.ends_with(b"/") => EntryKind::Directory,
        EntryType::Regular | EntryType::Continuous => EntryKind::File,
        EntryType::Directory => EntryKind::Directory,
        EntryType::Symlink => EntryKind::Symlink(OsString::from_vec(target()?).into()),
        EntryType::Link => EntryKind::Hardlink(clean(&target()?)?),
        EntryType::Char => device().map(|(major, minor)| EntryKind::CharacterDevice { major, minor })?,
        EntryType::Block => device().map(|(major, minor)| EntryKind::BlockDevice { major, minor })?,
        EntryType::Fifo => EntryKind::Fifo,
        EntryType::GNUSparse => return Err(malformed("sparse files are not supported")),
        other => return Err(malformed(format!("\"{}\" is of unknown type {:?}", path.display(), other.as_byte()))),
    };
    let size = match kind {
        EntryKind::File => extensions.size.map_or_else(|| header.entry_size(), Ok).map_err(field)?,
        _ => 0,
    };
    let modified = header.mtime().map_err(field)?;
    Ok(Entry {
        kind,
        mode: header.mode().map_err(field)? & 0o7777,
        uid: id(extensions.uid, header.uid())?,
        gid: id(extensions.gid, header.gid())?,
        modified_seconds: extensions.modified_seconds.unwrap_or_else(|| i64::try_from(modified).unwrap_or(0)),
        size,
        xattrs: extensions.xattrs,
        path,
    })
}

/// Makes a path relative to the root; one that leads out of it is refused.
fn clean(raw: &[u8]) -> Result<PathBuf, LayerError> {
    let path = Path::new(std::ffi::OsStr::from_bytes(raw));
    if raw.contains(&0) {
        return Err(malformed("a path holds a zero byte"));
    }
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            Component::ParentDir => return Err(LayerError::Escape { path: path.to_owned() }),
        }
    }
    Ok(cleaned)
}

/// Tells additions from removals; `None` for other builders' private files.
fn classify(entry: Entry) -> Result<Option<LayerChange>, LayerError> {
    let Some(name) = entry.path.file_name().map(std::ffi::OsStr::as_bytes) else {
        return Ok(Some(LayerChange::Add(entry)));
    };
    let parent = entry.path.parent().unwrap_or(Path::new("")).to_owned();
    if name == OPAQUE {
        return Ok(Some(LayerChange::Opaque(parent)));
    }
    let Some(hidden) = name.strip_prefix(WHITEOUT) else { return Ok(Some(LayerChange::Add(entry))) };
    // `.wh..wh.` names are aufs' own bookkeeping.
    if hidden.starts_with(WHITEOUT) {
        return Ok(None);
    }
    if matches!(hidden, b"" | b"." | b"..") {
        return Err(LayerError::Escape { path: entry.path });
    }
    Ok(Some(LayerChange::Whiteout(parent.join(std::ffi::OsStr::from_bytes(hidden)))))
}
