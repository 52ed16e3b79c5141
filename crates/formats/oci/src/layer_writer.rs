//! Writing layers: the same entries give the same bytes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use crate::layer::{Entry, EntryKind, OPAQUE, WHITEOUT, XATTR_RECORD};

/// Writes a layer whose bytes depend on the entries only: in the order given, without names of users, times in seconds.
pub struct LayerWriter<W: io::Write> {
    builder: tar::Builder<W>,
    modified_max: i64,
}

impl<W: io::Write> std::fmt::Debug for LayerWriter<W> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("LayerWriter")
    }
}

impl<W: io::Write> LayerWriter<W> {
    /// Starts a layer; later times than `modified_max` (seconds since 1970) are written as that.
    pub fn new(output: W, modified_max: i64) -> Self {
        Self { builder: tar::Builder::new(output), modified_max }
    }

    /// Adds an entry; `content` must have exactly `entry.size` bytes.
    ///
    /// # Errors
    /// When writing fails or the content has another length.
    pub fn add(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
        let mut path = entry.path.as_os_str().as_bytes().to_vec();
        let (kind, target, device) = match &entry.kind {
            EntryKind::Directory => (EntryType::Directory, None, None),
            EntryKind::File => (EntryType::Regular, None, None),
            EntryKind::Symlink(target) => (EntryType::Symlink, Some(target), None),
            EntryKind::Hardlink(target) => (EntryType::Link, Some(target), None),
            EntryKind::CharacterDevice { major, minor } => (EntryType::Char, None, Some((*major, *minor))),
            EntryKind::BlockDevice { major, minor } => (EntryType::Block, None, Some((*major, *minor))),
            EntryKind::Fifo => (EntryType::Fifo, None, None),
        };
        if kind == EntryType::Directory {
            path.extend(if path.is_empty() { &b"./"[..] } else { b"/" });
        }
        let mut header = Header::new_ustar();
        let mut records: Vec<(String, Vec<u8>)> = Vec::new();
        header.set_entry_type(kind);
        header.set_mode(entry.mode & 0o7777);
        header.set_size(entry.size);
        set_id(entry.uid, "uid", &mut records, |id| header.set_uid(id));
        set_id(entry.gid, "gid", &mut records, |id| header.set_gid(id));
        let modified = entry.modified_seconds.min(self.modified_max);
        header.set_mtime(u64::try_from(modified).unwrap_or(0));
        if modified < 0 {
            records.push(("mtime".to_owned(), modified.to_string().into_bytes()));
        }
        if let Some((major, minor)) = device {
            header.set_device_major(major)?;
            header.set_device_minor(minor)?;
        }
        if entry.size > 0o77_777_777_777 {
            records.push(("size".to_owned(), entry.size.to_string().into_bytes()));
        }
        set_text(&path, "path", 0..100, &mut header, &mut records);
        if let Some(target) = target {
            set_text(target.as_os_str().as_bytes(), "linkpath", 157..257, &mut header, &mut records);
        }
        for (name, value) in &entry.xattrs {
            records.push((format!("{XATTR_RECORD}{}", name.to_string_lossy()), value.clone()));
        }
        if !records.is_empty() {
            self.builder.append_pax_extensions(records.iter().map(|(key, value)| (key.as_str(), value.as_slice())))?;
        }
        header.set_cksum();
        let mut content = Exact { source: content.take(entry.size), missing: entry.size };
        self.builder.append(&header, &mut content)?;
        if content.missing > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("\"{}\" became shorter while it was read", entry.path.display()),
            ));
        }
        Ok(())
    }

    /// Says that something of a lower layer is no longer there.
    ///
    /// # Errors
    /// When writing fails.
    pub fn whiteout(&mut self, path: &Path) -> io::Result<()> {
        let mut name = OsString::from_vec(WHITEOUT.to_vec());
        name.push(path.file_name().unwrap_or_default());
        self.marker(path.with_file_name(name))
    }

    /// Says that a directory no longer shows what lower layers put in it.
    ///
    /// # Errors
    /// When writing fails.
    pub fn opaque(&mut self, directory: &Path) -> io::Result<()> {
        self.marker(directory.join(std::ffi::OsStr::from_bytes(OPAQUE)))
    }

    fn marker(&mut self, path: PathBuf) -> io::Result<()> {
        let entry = Entry {
            path,
            kind: EntryKind::File,
            mode: 0,
            uid: 0,
            gid: 0,
            modified_seconds: 0,
            size: 0,
            xattrs: BTreeMap::new(),
        };
        self.add(&entry, &mut io::empty())
    }

    /// Ends the archive and returns the output.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(self) -> io::Result<W> {
        self.builder.into_inner()
    }
}

struct Exact<R> {
    source: R,
    missing: u64,
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.missing -= count as u64;
        Ok(count)
    }
}

/// Ids beyond what the header's seven octal digits hold go into a record.
fn set_id(id: u32, key: &str, records: &mut Vec<(String, Vec<u8>)>, mut set: impl FnMut(u64)) {
    if id > 0o7_777_777 {
        set(0);
        records.push((key.to_owned(), id.to_string().into_bytes()));
    } else {
        set(u64::from(id));
    }
}

/// Texts beyond what the header's field holds go into a record, with their start in the field.
fn set_text(
    text: &[u8],
    key: &str,
    field: std::ops::Range<usize>,
    header: &mut Header,
    records: &mut Vec<(String, Vec<u8>)>,
) {
    let room = field.len();
    let shown = text.get(..room).unwrap_or(text);
    header.as_mut_bytes()[field.start..field.start + shown.len()].copy_from_slice(shown);
    if text.len() > room {
        records.push((key.to_owned(), text.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{LayerChange, LayerError, LayerLimits, read_layer};
    use proptest::prelude::*;

    fn file(path: &str, size: u64) -> Entry {
        Entry {
            path: path.into(),
            kind: EntryKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            modified_seconds: 5,
            size,
            xattrs: BTreeMap::new(),
        }
    }

    fn read(bytes: &[u8], limits: LayerLimits) -> Result<Vec<(LayerChange, Vec<u8>)>, LayerError> {
        let mut all = Vec::new();
        read_layer(&mut &bytes[..], limits, &mut |change, content| {
            let mut text = Vec::new();
            content.read_to_end(&mut text)?;
            all.push((change, text));
            Ok::<_, LayerError>(())
        })?;
        Ok(all)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let long = "d/".repeat(90) + "long-name";
        let entries = [
            Entry { kind: EntryKind::Directory, mode: 0o1777, ..file("tmp", 0) },
            file("tmp/a", 3),
            Entry {
                xattrs: BTreeMap::from([("security.capability".into(), vec![1, 0, b'\n', 0xff])]),
                uid: 4_000_000_000,
                ..file(&long, 3)
            },
            Entry { kind: EntryKind::Symlink(format!("../{long}").into()), mode: 0o777, ..file("link", 0) },
            Entry { kind: EntryKind::Hardlink("tmp/a".into()), ..file("hard", 0) },
            Entry { kind: EntryKind::CharacterDevice { major: 1, minor: 3 }, ..file("null", 0) },
            Entry { kind: EntryKind::Fifo, ..file("pipe", 0) },
        ];
        let mut writer = LayerWriter::new(Vec::new(), 100);
        for entry in &entries {
            writer.add(entry, &mut &b"abc"[..usize::try_from(entry.size).unwrap()]).unwrap();
        }
        writer.whiteout(Path::new("a/gone")).unwrap();
        writer.opaque(Path::new("b")).unwrap();
        let bytes = writer.finish().unwrap();
        let found = read(&bytes, LayerLimits::default()).unwrap();
        let expected: Vec<LayerChange> = entries
            .iter()
            .cloned()
            .map(LayerChange::Add)
            .chain([LayerChange::Whiteout("a/gone".into()), LayerChange::Opaque("b".into())])
            .collect();
        assert_eq!(found.iter().map(|(change, _)| change.clone()).collect::<Vec<_>>(), expected);
        assert_eq!(found[2].1, b"abc");
    }

    #[test]
    fn times_are_clamped() {
        let mut writer = LayerWriter::new(Vec::new(), 0);
        writer.add(&file("a", 0), &mut io::empty()).unwrap();
        let found = read(&writer.finish().unwrap(), LayerLimits::default()).unwrap();
        assert!(matches!(&found[0].0, LayerChange::Add(entry) if entry.modified_seconds == 0));
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        for path in ["../x", "a/../../x", "a/.."] {
            let mut writer = LayerWriter::new(Vec::new(), 0);
            writer.add(&file(path, 0), &mut io::empty()).unwrap();
            assert!(
                matches!(read(&writer.finish().unwrap(), LayerLimits::default()), Err(LayerError::Escape { .. })),
                "{path}"
            );
        }
        let mut writer = LayerWriter::new(Vec::new(), 0);
        writer
            .add(&Entry { kind: EntryKind::Hardlink("../../etc/shadow".into()), ..file("x", 0) }, &mut io::empty())
            .unwrap();
        assert!(matches!(read(&writer.finish().unwrap(), LayerLimits::default()), Err(LayerError::Escape { .. })));
        let mut writer = LayerWriter::new(Vec::new(), 0);
        writer.add(&file("/abs/./x", 0), &mut io::empty()).unwrap();
        let found = read(&writer.finish().unwrap(), LayerLimits::default()).unwrap();
        assert!(matches!(&found[0].0, LayerChange::Add(entry) if entry.path == Path::new("abs/x")));
    }

    #[test]
    fn limits_hold() {
        let mut writer = LayerWriter::new(Vec::new(), 0);
        writer.add(&file("a", 10_000), &mut io::repeat(0)).unwrap();
        writer.add(&file("b", 0), &mut io::empty()).unwrap();
        let bytes = writer.finish().unwrap();
        let limits = LayerLimits::default();
        assert!(matches!(
            read(&bytes, LayerLimits { bytes_max: 5_000, ..limits }),
            Err(LayerError::TooLarge { what: "bytes", .. })
        ));
        assert!(matches!(
            read(&bytes, LayerLimits { entries_max: 1, ..limits }),
            Err(LayerError::TooLarge { what: "entries", .. })
        ));
        assert!(matches!(read(&bytes[..6_000], limits), Err(LayerError::Malformed { .. })));
        let mut writer = LayerWriter::new(Vec::new(), 0);
        writer.add(&file(&"n".repeat(4_000), 0), &mut io::empty()).unwrap();
        let bytes = writer.finish().unwrap();
        assert!(matches!(
            read(&bytes, LayerLimits { extension_bytes_max: 1_000, ..limits }),
            Err(LayerError::TooLarge { .. })
        ));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            drop(read(&bytes, LayerLimits::default()));
        }

        #[test]
        fn damaged_archives_never_panic(at in 0usize..1_536, byte in any::<u8>()) {
            let mut writer = LayerWriter::new(Vec::new(), 0);
            writer.add(&file("a", 4), &mut &b"abcd"[..]).unwrap();
            let mut bytes = writer.finish().unwrap();
            bytes[at] = byte;
            drop(read(&bytes, LayerLimits::default()));
        }
    }
}
