//! Writes what tar streams hold into a directory, without ever leaving it.
//!
//! Every path is resolved by the kernel with the directory as root (`openat2`, `RESOLVE_IN_ROOT`): a symbolic link inside
//! the stream can lead anywhere inside the directory and nowhere else.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use maru_oci::{Entry, EntryKind, LayerChange, LayerError};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags,
};
use rustix::io::Errno;

/// Marks a directory whose lower contents are hidden.
pub(crate) const OPAQUE_XATTR: &str = "trusted.overlay.opaque";

/// What cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    #[error("{0}")]
    Layer(#[from] LayerError),
    #[error("\"{}\": {problem}", path.display())]
    Entry { path: PathBuf, problem: String },
}

impl UnpackError {
    /// Returns the whole story in one line.
    pub(crate) fn story(&self) -> String {
        match self {
            Self::Layer(LayerError::Read(source)) => format!("the stream could not be read: {source}"),
            other => other.to_string(),
        }
    }
}

/// What to do with what is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// A layer: entries come once; removals of lower layers become overlayfs' marks.
    Overlay,
    /// Packages and archives upon each other: files replace files, links to directories stay.
    Merge,
}

/// A directory that is being filled.
pub(crate) struct Unpacker {
    root: OwnedFd,
    /// Unpacked lower layers, nearest first.
    lower: Vec<OwnedFd>,
    existing: Existing,
    /// The directory used last, as most entries follow their siblings.
    recent: Option<(PathBuf, OwnedFd)>,
    /// Times are set last: filling a directory changes its own.
    times: BTreeMap<PathBuf, i64>,
}

const RESOLVE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn problem(path: &Path, action: &str, error: Errno) -> UnpackError {
    UnpackError::Entry { path: path.to_owned(), problem: format!("could not {action}: {}", io::Error::from(error)) }
}

fn name_of(path: &Path) -> &OsStr {
    path.file_name().unwrap_or(OsStr::new("."))
}

impl Unpacker {
    pub(crate) fn new(root: &Path, lower: &[PathBuf], existing: Existing) -> Result<Self, UnpackError> {
        let open = |path: &Path| {
            rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty()).map_err(|error| problem(path, "open it", error))
        };
        let lower = lower.iter().map(|path| open(path)).collect::<Result<_, _>>()?;
        Ok(Self { root: open(root)?, lower, existing, recent: None, times: BTreeMap::new() })
    }

    /// Does one change.
    pub(crate) fn apply(&mut self, change: LayerChange, content: &mut dyn Read) -> Result<(), UnpackError> {
        match change {
            LayerChange::Add(entry) => self.add(&entry, content),
            LayerChange::Whiteout(path) => self.whiteout(&path),
            LayerChange::Opaque(path) => {
                let directory = self.directory(&path)?;
                set_opaque(&directory, OsStr::new(".")).map_err(|error| problem(&path, "mark it opaque", error))
            }
        }
    }

    /// Sets the times of directories. Call last.
    pub(crate) fn finish(self) -> Result<(), UnpackError> {
        for (path, seconds) in &self.times {
            match rustix::fs::openat2(&self.root, dot(path), DIRECTORY, Mode::empty(), RESOLVE) {
                Ok(directory) => set_time(&directory, OsStr::new("."), *seconds)
                    .map_err(|error| problem(path, "set its time", error))?,
                // Replaced by something else later in the stream.
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(error) => return Err(problem(path, "open it", error)),
            }
        }
        Ok(())
    }

    /// Returns a directory by its path, made with the looks it has in lower layers when it is not there.
    fn directory(&mut self, path: &Path) -> Result<OwnedFd, UnpackError> {
        if let Some((recent, descriptor)) = &self.recent
            && recent == path
        {
            return descriptor
                .try_clone()
                .map_err(|error| UnpackError::Entry { path: path.to_owned(), problem: error.to_string() });
        }
        let found = match rustix::fs::openat2(&self.root, dot(path), DIRECTORY, Mode::empty(), RESOLVE) {
            Ok(found) => found,
            Err(Errno::NOENT) => self.make_directory(path)?,
            // A removal mark of this very layer is in the way, or a file.
            Err(Errno::NOTDIR) => self.make_directory(path)?,
            Err(error) => return Err(problem(path, "open it", error)),
        };
        let kept = found
            .try_clone()
            .map_err(|error| UnpackError::Entry { path: path.to_owned(), problem: error.to_string() })?;
        self.recent = Some((path.to_owned(), kept));
        Ok(found)
    }

    fn make_directory(&mut self, path: &Path) -> Result<OwnedFd, UnpackError> {
        let Some(parent) = path.parent() else {
            return Err(UnpackError::Entry { path: path.to_owned(), problem: "the root is gone".to_owned() });
        };
        let parent = self.directory(parent)?;
        let looks = self.lower.iter().find_map(|lower| {
            let directory = rustix::fs::openat2(lower, dot(path), DIRECTORY, Mode::empty(), RESOLVE).ok()?;
            rustix::fs::fstat(&directory).ok()
        });
        let entry = Entry {
            path: path.to_owned(),
            kind: EntryKind::Directory,
            mode: looks.as_ref().map_or(0o755, |stat| stat.st_mode & 0o7777),
            uid: looks.as_ref().map_or(0, |stat| stat.st_uid),
            gid: looks.as_ref().map_or(0, |stat| stat.st_gid),
            modified_seconds: looks.as_ref().map_or(0, |stat| stat.st_mtime),
            size: 0,
            xattrs: BTreeMap::new(),
        };
        self.add_directory(&parent, &entry)?;
        rustix::fs::openat2(&self.root, dot(path), DIRECTORY, Mode::empty(), RESOLVE)
            .map_err(|error| problem(path, "open it", error))
    }

    fn add(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), UnpackError> {
        let path = &entry.path;
        if path.as_os_str().is_empty() {
            let root = self.directory(path)?;
            return self.set_looks(&root, OsStr::new("."), entry);
        }
        let parent = self.directory(path.parent().unwrap_or(Path::new("")))?;
        let name = name_of(path);
        if entry.kind == EntryKind::Directory {
            return self.add_directory(&parent, entry);
        }
        self.make_room(&parent, path)?;
        let failed = |action: &'static str| move |error| problem(path, action, error);
        match &entry.kind {
            EntryKind::Directory => {}
            EntryKind::File => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file =
                    rustix::fs::openat(&parent, name, flags, Mode::RUSR | Mode::WUSR).map_err(failed("create it"))?;
                let mut file = File::from(file);
                let copied = io::copy(content, &mut file).map_err(|error| UnpackError::Entry {
                    path: path.clone(),
                    problem: format!("could not write it: {error}"),
                })?;
                if copied != entry.size {
                    return Err(UnpackError::Entry {
                        path: path.clone(),
                        problem: "the archive ends within it".to_owned(),
                    });
                }
            }
            EntryKind::Symlink(target) => rustix::fs::symlinkat(target, &parent, name).map_err(failed("link it"))?,
            EntryKind::Hardlink(target) => return self.link(&parent, name, target, path),
            EntryKind::Fifo => {
                rustix::fs::mknodat(&parent, name, FileType::Fifo, Mode::empty(), 0).map_err(failed("create it"))?
            }
            EntryKind::CharacterDevice { major, minor } => {
                let device = rustix::fs::makedev(*major, *minor);
                rustix::fs::mknodat(&parent, name, FileType::CharacterDevice, Mode::empty(), device)
                    .map_err(failed("create it"))?;
            }
            EntryKind::BlockDevice { major, minor } => {
                let device = rustix::fs::makedev(*major, *minor);
                rustix::fs::mknodat(&parent, name, FileType::BlockDevice, Mode::empty(), device)
                    .map_err(failed("create it"))?;
            }
        }
        self.set_looks(&parent, name, entry)
    }

    fn add_directory(&mut self, parent: &OwnedFd, entry: &Entry) -> Result<(), UnpackError> {
        let path = &entry.path;
        let name = name_of(path);
        match kind_of(parent, name).map_err(|error| problem(path, "look at it", error))? {
            Some((FileType::Directory, _)) => {}
            Some((FileType::Symlink, _)) if self.existing == Existing::Merge && self.leads_to_directory(path) => {
                return Ok(());
            }
            found => {
                let hidden = found.as_ref().is_some_and(is_whiteout);
                if found.is_some() {
                    self.make_room(parent, path)?;
                }
                rustix::fs::mkdirat(parent, name, Mode::RWXU).map_err(|error| problem(path, "create it", error))?;
                if hidden {
                    set_opaque(parent, name).map_err(|error| problem(path, "mark it opaque", error))?;
                }
            }
        }
        self.set_looks(parent, name, entry)
    }

    fn leads_to_directory(&self, path: &Path) -> bool {
        rustix::fs::openat2(&self.root, dot(path), DIRECTORY, Mode::empty(), RESOLVE).is_ok()
    }

    /// Removes what is in the way of something that is not a directory.
    fn make_room(&mut self, parent: &OwnedFd, path: &Path) -> Result<(), UnpackError> {
        let name = name_of(path);
        match kind_of(parent, name).map_err(|error| problem(path, "look at it", error))? {
            None => Ok(()),
            Some((FileType::Directory, _)) => {
                self.recent = None;
                remove_tree(parent, name).map_err(|error| problem(path, "replace the directory", error))
            }
            Some(_) => {
                // The directory used last may have been reached through this link.
                self.recent = None;
                rustix::fs::unlinkat(parent, name, AtFlags::empty()).map_err(|error| problem(path, "replace it", error))
            }
        }
    }

    /// Makes a hard link; to a file of a lower layer, a copy of it.
    fn link(&mut self, parent: &OwnedFd, name: &OsStr, target: &Path, path: &Path) -> Result<(), UnpackError> {
        let target_parent = dot(target.parent().unwrap_or(Path::new("")));
        let source = rustix::fs::openat2(&self.root, target_parent, DIRECTORY, Mode::empty(), RESOLVE);
        let linked =
            source.and_then(|source| rustix::fs::linkat(&source, name_of(target), parent, name, AtFlags::empty()));
        match linked {
            Ok(()) => Ok(()),
            Err(Errno::NOENT | Errno::NOTDIR) => self.copy_from_lower(target, path),
            Err(error) => Err(problem(path, "link it", error)),
        }
    }

    fn copy_from_lower(&mut self, target: &Path, path: &Path) -> Result<(), UnpackError> {
        let missing = || UnpackError::Entry {
            path: path.to_owned(),
            problem: format!("it links to \"{}\", which is not there", target.display()),
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let mut found = None;
        for lower in &self.lower {
            match rustix::fs::openat2(lower, target, flags, Mode::empty(), RESOLVE) {
                Ok(file) => {
                    found = Some(file);
                    break;
                }
                Err(Errno::NOENT | Errno::NOTDIR | Errno::NXIO | Errno::LOOP) => {}
                Err(error) => return Err(problem(path, "open what it links to", error)),
            }
        }
        let source = found.ok_or_else(missing)?;
        let stat = rustix::fs::fstat(&source).map_err(|error| problem(path, "look at what it links to", error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(missing());
        }
        let entry = Entry {
            path: path.to_owned(),
            kind: EntryKind::File,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            modified_seconds: stat.st_mtime,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            xattrs: read_xattrs(&source)
                .map_err(|error| problem(path, "read the attributes of what it links to", error))?,
        };
        self.add(&entry, &mut File::from(source))
    }

    fn whiteout(&mut self, path: &Path) -> Result<(), UnpackError> {
        if self.existing == Existing::Merge {
            return Err(UnpackError::Entry {
                path: path.to_owned(),
                problem: "a removal has no meaning here".to_owned(),
            });
        }
        let parent = self.directory(path.parent().unwrap_or(Path::new("")))?;
        let name = name_of(path);
        match kind_of(&parent, name).map_err(|error| problem(path, "look at it", error))? {
            None => rustix::fs::mknodat(&parent, name, FileType::CharacterDevice, Mode::empty(), 0)
                .map_err(|error| problem(path, "mark it removed", error)),
            // What this layer itself put there stays; only what is below goes.
            Some((FileType::Directory, _)) => {
                set_opaque(&parent, name).map_err(|error| problem(path, "mark it opaque", error))
            }
            Some(_) => Ok(()),
        }
    }

    /// Sets owner, permissions, attributes and time.
    fn set_looks(&mut self, parent: &OwnedFd, name: &OsStr, entry: &Entry) -> Result<(), UnpackError> {
        let path = &entry.path;
        let failed = |action: &'static str| move |error| problem(path, action, error);
        let owner = (Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)));
        rustix::fs::chownat(parent, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(failed("set its owner"))?;
        if !matches!(entry.kind, EntryKind::Symlink(_)) {
            // Changing the owner clears set-user-id, so permissions come second. `name` was made here or is a directory.
            rustix::fs::chmodat(parent, name, Mode::from_raw_mode(entry.mode), AtFlags::empty())
                .map_err(failed("set its permissions"))?;
        }
        for (attribute, value) in entry.xattrs.iter().filter(|(attribute, _)| is_kept(attribute)) {
            match rustix::fs::lsetxattr(in_directory(parent, name), attribute, value, XattrFlags::empty()) {
                // The file system has no user attributes on links and devices.
                Ok(()) | Err(Errno::NOTSUP | Errno::PERM) => {}
                Err(error) => return Err(problem(path, "set its attributes", error)),
            }
        }
        if entry.kind == EntryKind::Directory {
            self.times.insert(path.clone(), entry.modified_seconds);
            return Ok(());
        }
        set_time(parent, name, entry.modified_seconds).map_err(failed("set its time"))
    }
}

/// Attributes that images may set: overlayfs' and security modules' own are not theirs to give.
pub(crate) fn is_kept(attribute: &OsStr) -> bool {
    attribute == "security.capability" || attribute.as_bytes().starts_with(b"user.")
}

/// Names something in an open directory for calls that take only paths.
fn in_directory(directory: &OwnedFd, name: &OsStr) -> PathBuf {
    use std::os::fd::AsRawFd as _;
    let mut path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    path.push(name);
    path
}

fn set_opaque(parent: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    rustix::fs::lsetxattr(in_directory(parent, name), OPAQUE_XATTR, b"y", XattrFlags::empty())
}

fn set_time(parent: &OwnedFd, name: &OsStr, seconds: i64) -> Result<(), Errno> {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: 0 },
    };
    rustix::fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}

/// The empty path is the root itself.
fn dot(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn kind_of(parent: &OwnedFd, name: &OsStr) -> Result<Option<(FileType, Stat)>, Errno> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some((FileType::from_raw_mode(stat.st_mode), stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_whiteout(found: &(FileType, Stat)) -> bool {
    found.0 == FileType::CharacterDevice && found.1.st_rdev == 0
}

fn remove_tree(parent: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    for entry in rustix::fs::Dir::read_from(&directory)? {
        let entry = entry?;
        let child = OsStr::from_bytes(entry.file_name().to_bytes());
        if child == "." || child == ".." {
            continue;
        }
        match kind_of(&directory, child)? {
            Some((FileType::Directory, _)) => remove_tree(&directory, child)?,
            Some(_) => rustix::fs::unlinkat(&directory, child, AtFlags::empty())?,
            None => {}
        }
    }
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
}

/// Returns the attributes of an open file that images may hold.
pub(crate) fn read_xattrs(file: impl AsFd) -> Result<BTreeMap<OsString, Vec<u8>>, Errno> {
    let mut list = vec![0u8; 64 << 10];
    let length = match rustix::fs::flistxattr(&file, &mut list[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let mut found = BTreeMap::new();
    for name in list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(OsStr::from_bytes) {
        if !is_kept(name) {
            continue;
        }
        let mut value = vec![0u8; 64 << 10];
        let length = rustix::fs::fgetxattr(&file, name, &mut value[..])?;
        value.truncate(length);
        found.insert(name.to_owned(), value);
    }
    Ok(found)
}
