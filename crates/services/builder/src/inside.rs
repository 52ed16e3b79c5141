//! Reading and writing below a directory that is not trusted: no link in it leads out.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use maru_oci::{Entry, EntryKind, LayerWriter};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{BuildError, io_error};

/// A directory as the root of paths.
#[derive(Debug)]
pub(crate) struct Inside {
    path: PathBuf,
    root: OwnedFd,
}

const RESOLVE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

impl Inside {
    pub(crate) fn open(path: &Path) -> Result<Self, BuildError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty())
            .map_err(|error| io_error("open", path)(error.into()))?;
        Ok(Self { path: path.to_owned(), root })
    }

    fn resolve(&self, path: &Path, flags: OFlags) -> Result<Option<OwnedFd>, BuildError> {
        let relative = path.strip_prefix("/").unwrap_or(path);
        let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        match rustix::fs::openat2(&self.root, relative, flags | OFlags::CLOEXEC, Mode::empty(), RESOLVE) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(io_error("open", &self.path.join(relative))(error.into())),
        }
    }

    /// Tells whether something is there, through links.
    pub(crate) fn exists(&self, path: impl AsRef<Path>) -> Result<bool, BuildError> {
        Ok(self.resolve(path.as_ref(), OFlags::PATH)?.is_some())
    }

    /// Tells whether something is there by this very name, a dangling link too.
    pub(crate) fn has_name(&self, path: impl AsRef<Path>) -> Result<bool, BuildError> {
        Ok(self.resolve(path.as_ref(), OFlags::PATH | OFlags::NOFOLLOW)?.is_some())
    }

    /// Tells whether a directory is there, through links.
    pub(crate) fn is_directory(&self, path: impl AsRef<Path>) -> Result<bool, BuildError> {
        Ok(self.resolve(path.as_ref(), OFlags::PATH | OFlags::DIRECTORY)?.is_some())
    }

    /// Reads a regular file; `None` when it is not there.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> Result<Option<Vec<u8>>, BuildError> {
        /// Larger files are not read whole.
        const BYTES_MAX: u64 = 16 << 20;
        let path = path.as_ref();
        let Some(file) = self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK)? else { return Ok(None) };
        let file = File::from(file);
        if !file.metadata().map_err(io_error("look at", path))?.is_file() {
            return Ok(None);
        }
        let mut content = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut content).map_err(io_error("read", path))?;
        Ok(Some(content))
    }

    pub(crate) fn read_text(&self, path: impl AsRef<Path>) -> Result<Option<String>, BuildError> {
        Ok(self.read(path)?.map(|content| String::from_utf8_lossy(&content).into_owned()))
    }

    /// Returns the regular files below a directory, sorted; links are not followed.
    pub(crate) fn files_below(&self, path: impl AsRef<Path>) -> Result<Vec<PathBuf>, BuildError> {
        let mut found = Vec::new();
        if let Some(directory) = self.resolve(path.as_ref(), OFlags::RDONLY | OFlags::DIRECTORY)? {
            walk(&directory, path.as_ref(), &mut found).map_err(io_error("list", path.as_ref()))?;
        }
        found.sort();
        Ok(found)
    }

    /// Returns where a path leads on the host, through links inside; `None` when it leads nowhere.
    pub(crate) fn locate(&self, path: impl AsRef<Path>) -> Result<Option<PathBuf>, BuildError> {
        use std::os::fd::AsRawFd as _;
        let Some(found) = self.resolve(path.as_ref(), OFlags::PATH)? else { return Ok(None) };
        let name = format!("/proc/self/fd/{}", found.as_raw_fd());
        fs::read_link(&name).map(Some).map_err(io_error("read", Path::new(&name)))
    }
}

fn walk(directory: &OwnedFd, path: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    for entry in rustix::fs::Dir::read_from(directory)? {
        let entry = entry?;
        let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        match entry.file_type() {
            rustix::fs::FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let below = rustix::fs::openat(directory, name, flags, Mode::empty())?;
                walk(&below, &path.join(name), found)?;
            }
            rustix::fs::FileType::RegularFile => found.push(path.join(name)),
            _ => {}
        }
    }
    Ok(())
}

/// Files to be written into a directory as one archive, so that the archive's rules keep them inside.
#[derive(Debug, Default)]
pub(crate) struct Additions(Vec<(Entry, Vec<u8>)>);

/// Who owns what is added, and who may use it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Looks {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Looks {
    /// Root's file that everybody reads.
    pub(crate) const FILE: Self = Self { mode: 0o644, uid: 0, gid: 0 };
    /// Root's directory that everybody reads.
    pub(crate) const DIRECTORY: Self = Self { mode: 0o755, uid: 0, gid: 0 };
}

impl Additions {
    fn push(&mut self, path: impl AsRef<Path>, kind: EntryKind, looks: Looks, content: Vec<u8>) {
        let path = path.as_ref();
        let entry = Entry {
            path: path.strip_prefix("/").unwrap_or(path).to_owned(),
            kind,
            mode: looks.mode,
            uid: looks.uid,
            gid: looks.gid,
            modified_seconds: 0,
            size: content.len() as u64,
            xattrs: BTreeMap::new(),
        };
        self.0.push((entry, content));
    }

    pub(crate) fn file(&mut self, path: impl AsRef<Path>, content: impl Into<Vec<u8>>, looks: Looks) {
        self.push(path, EntryKind::File, looks, content.into());
    }

    pub(crate) fn directory(&mut self, path: impl AsRef<Path>, looks: Looks) {
        self.push(path, EntryKind::Directory, looks, Vec::new());
    }

    pub(crate) fn link(&mut self, path: impl AsRef<Path>, target: impl Into<PathBuf>) {
        self.push(path, EntryKind::Symlink(target.into()), Looks { mode: 0o777, uid: 0, gid: 0 }, Vec::new());
    }

    /// Writes them, with one time for all.
    pub(crate) fn write(self, root: &Path, modified: i64) -> Result<(), BuildError> {
        let mut writer = LayerWriter::new(Vec::new(), i64::MAX);
        for (mut entry, content) in self.0 {
            entry.modified_seconds = modified;
            writer.add(&entry, &mut content.as_slice()).map_err(io_error("write into", root))?;
        }
        let tar = writer.finish().map_err(io_error("write into", root))?;
        maru_images::unpack_archive(&mut tar.as_slice(), root, &|_| false)?;
        Ok(())
    }
}
