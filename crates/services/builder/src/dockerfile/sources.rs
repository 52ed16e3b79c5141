//! What `COPY` and `ADD` take: files of the context, a stage, an image or the instruction itself, as one archive.
//!
//! The files are first listed, with the paths they get, then hashed for the cache, then written as a tar stream that is
//! unpacked into the mounted root: the rules of unpacking keep them inside.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use maru_oci::{Algorithm, Digest, Entry, EntryKind, Glob, Hasher, IgnoreRules, LayerWriter};

use crate::error::{BuildError, io_error};
use crate::inside::Inside;

/// Where the content of a listed file is.
#[derive(Debug, Clone)]
enum Content {
    None,
    Text(Vec<u8>),
    File(PathBuf),
}

/// A file with the path it gets.
#[derive(Debug, Clone)]
struct Item {
    entry: Entry,
    content: Content,
}

/// Owner and permissions given by flags.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Override {
    pub(crate) owner: Option<(u32, u32)>,
    pub(crate) mode: Option<ModeChange>,
    /// Whether the sources' own owners stay where no owner is given.
    pub(crate) keep_owner: bool,
}

/// `--chmod`
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModeChange(pub(crate) u32);

/// Everything that one instruction takes, sorted as given.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    items: Vec<Item>,
    looks: Override,
}

/// Where sources are looked for.
#[derive(Debug)]
pub(crate) struct SourceRoot<'a> {
    pub(crate) root: &'a Path,
    /// What does not exist for the build.
    pub(crate) ignore: &'a IgnoreRules,
    /// What this instruction leaves out.
    pub(crate) exclude: &'a IgnoreRules,
}

impl SourceRoot<'_> {
    /// Tells whether a file is left out: by the ignore rules for its path in the root, or by the instruction for its path
    /// in the root or in the source.
    fn leaves_out(&self, relative: &Path, within: &Path) -> bool {
        self.ignore.ignores(&text(relative))
            || self.exclude.ignores(&text(relative))
            || self.exclude.ignores(&text(within))
    }

    fn has_exceptions(&self) -> bool {
        self.ignore.has_exceptions() || self.exclude.has_exceptions()
    }
}

/// Where sources go.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    /// Relative to the root.
    pub(crate) path: PathBuf,
    /// Whether it must be, or is, a directory.
    pub(crate) directory: bool,
}

impl Selection {
    pub(crate) fn new(looks: Override) -> Self {
        Self { items: Vec::new(), looks }
    }

    fn push(&mut self, path: PathBuf, kind: EntryKind, metadata: Option<&Metadata>, content: Content, size: u64) {
        let default_mode = if kind == EntryKind::Directory { 0o755 } else { 0o644 };
        let mut mode = metadata.map_or(default_mode, |metadata| metadata.mode() & 0o7777);
        if let (Some(ModeChange(given)), true) = (self.looks.mode, !matches!(kind, EntryKind::Symlink(_))) {
            mode = given;
        }
        let own =
            metadata.filter(|_| self.looks.keep_owner).map_or((0, 0), |metadata| (metadata.uid(), metadata.gid()));
        let (uid, gid) = self.looks.owner.unwrap_or(own);
        let modified_seconds = metadata.map_or(0, |metadata| metadata.mtime());
        let entry = Entry { path, kind, mode, uid, gid, modified_seconds, size, xattrs: BTreeMap::new() };
        self.items.push(Item { entry, content });
    }

    /// Adds a directory that the destination needs.
    pub(crate) fn directory(&mut self, path: &Path) {
        let (uid, gid) = self.looks.owner.unwrap_or((0, 0));
        let entry = Entry {
            path: path.to_owned(),
            kind: EntryKind::Directory,
            mode: 0o755,
            uid,
            gid,
            modified_seconds: 0,
            size: 0,
            xattrs: BTreeMap::new(),
        };
        self.items.push(Item { entry, content: Content::None });
    }

    /// Adds a text as a file.
    pub(crate) fn text(&mut self, path: PathBuf, text: Vec<u8>) {
        let size = text.len() as u64;
        self.push(path, EntryKind::File, None, Content::Text(text), size);
    }

    /// Adds one file by its place on the host.
    pub(crate) fn file(&mut self, path: PathBuf, file: &Path) -> Result<(), BuildError> {
        let metadata = fs::metadata(file).map_err(io_error("look at", file))?;
        self.push(path, EntryKind::File, Some(&metadata), Content::File(file.to_owned()), metadata.len());
        Ok(())
    }

    /// Adds what a source names: a file, or all that is in a directory.
    pub(crate) fn source(&mut self, from: &SourceRoot<'_>, source: &str, to: &Destination) -> Result<(), BuildError> {
        let inside = Inside::open(from.root)?;
        let Some(place) = inside.locate(source)? else { return Err(missing(source)) };
        let metadata = fs::metadata(&place).map_err(io_error("look at", &place))?;
        let relative = place.strip_prefix(canonical(from.root)?).map_err(|_| missing(source))?.to_owned();
        if metadata.is_dir() {
            return self.below(from, &relative, Path::new(""), &to.path);
        }
        if from.ignore.ignores(&text(&relative)) {
            return Err(missing(source));
        }
        let name = source.rsplit('/').find(|part| !part.is_empty()).unwrap_or(source);
        let path = if to.directory { to.path.join(name) } else { to.path.clone() };
        self.push(path, EntryKind::File, Some(&metadata), Content::File(place), metadata.len());
        Ok(())
    }

    /// Adds what is in a directory, sorted by name. `relative` is its path in the root, `within` that in the source.
    fn below(&mut self, from: &SourceRoot<'_>, relative: &Path, within: &Path, to: &Path) -> Result<(), BuildError> {
        let place = canonical(from.root)?.join(relative);
        let mut names = Vec::new();
        for entry in fs::read_dir(&place).map_err(io_error("list", &place))? {
            names.push(entry.map_err(io_error("list", &place))?.file_name());
        }
        names.sort();
        for name in names {
            let (relative, within, to, place) =
                (relative.join(&name), within.join(&name), to.join(&name), place.join(&name));
            let ignored = from.leaves_out(&relative, &within);
            let metadata = fs::symlink_metadata(&place).map_err(io_error("look at", &place))?;
            if metadata.is_dir() {
                let before = self.items.len();
                if ignored && !from.has_exceptions() {
                    continue;
                }
                self.push(to.clone(), EntryKind::Directory, Some(&metadata), Content::None, 0);
                self.below(from, &relative, &within, &to)?;
                // Only what is an exception makes a directory exist that is left out itself.
                if ignored && self.items.len() == before + 1 {
                    self.items.pop();
                }
            } else if ignored {
            } else if metadata.is_symlink() {
                let target = fs::read_link(&place).map_err(io_error("read the link", &place))?;
                self.push(to, EntryKind::Symlink(target), Some(&metadata), Content::None, 0);
            } else if metadata.is_file() {
                self.push(to, EntryKind::File, Some(&metadata), Content::File(place), metadata.len());
            }
        }
        Ok(())
    }

    /// Returns a digest of everything but times.
    pub(crate) fn digest(&self) -> Result<Digest, BuildError> {
        let mut all = Hasher::new(Algorithm::Sha256);
        for Item { entry, content } in &self.items {
            all.update(entry.path.as_os_str().as_bytes());
            all.update(format!("\0{:o} {} {} {} ", entry.mode, entry.uid, entry.gid, entry.size).as_bytes());
            match &entry.kind {
                EntryKind::Symlink(target) => all.update(target.as_os_str().as_bytes()),
                other => all.update(format!("{other:?}").as_bytes()),
            }
            match content {
                Content::None => {}
                Content::Text(text) => all.update(Digest::sha256(text).hex().as_bytes()),
                Content::File(path) => all.update(hash_file(path)?.hex().as_bytes()),
            }
            all.update(b"\n");
        }
        Ok(all.finish())
    }

    /// Writes it all as a tar stream.
    fn write(&self, output: impl Write) -> io::Result<()> {
        let mut writer = LayerWriter::new(output, i64::MAX);
        for Item { entry, content } in &self.items {
            match content {
                Content::None => writer.add(entry, &mut io::empty())?,
                Content::Text(text) => writer.add(entry, &mut text.as_slice())?,
                Content::File(path) => writer.add(entry, &mut File::open(path)?)?,
            }
        }
        writer.finish()?.flush()
    }

    /// Writes it all into a root file system.
    pub(crate) fn copy_into(&self, root: &Path) -> Result<(), BuildError> {
        let (mut reader, writer) = io::pipe().map_err(io_error("make a pipe for", root))?;
        let (written, unpacked) = std::thread::scope(|scope| {
            let writing = scope.spawn(|| self.write(io::BufWriter::with_capacity(64 << 10, writer)));
            let unpacked = maru_images::unpack_archive(&mut reader, root, &|_| false);
            // A writer whose reader has failed must not wait for it.
            drop(reader);
            (writing.join(), unpacked)
        });
        unpacked?;
        written.map_err(|_| BuildError::Interrupted)?.map_err(io_error("copy into", root))
    }
}

pub(crate) fn missing(source: &str) -> BuildError {
    BuildError::Source { source_path: source.to_owned() }
}

fn canonical(root: &Path) -> Result<PathBuf, BuildError> {
    root.canonicalize().map_err(io_error("resolve", root))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

pub(crate) fn hash_file(path: &Path) -> Result<Digest, BuildError> {
    let mut file = File::open(path).map_err(io_error("open", path))?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut buffer = vec![0; 128 << 10];
    loop {
        let count = file.read(&mut buffer).map_err(io_error("read", path))?;
        if count == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..count]);
    }
}

/// Returns the sources that a word names, sorted: itself, or what its pattern matches.
pub(crate) fn matches(from: &SourceRoot<'_>, word: &str) -> Result<Vec<String>, BuildError> {
    let cleaned = clean(word);
    let pattern = Glob::new(&cleaned)
        .map_err(|problem| BuildError::Specification { problem: format!("\"{word}\": {problem}") })?;
    if pattern.is_literal() && !cleaned.contains('\\') {
        return Ok(vec![cleaned]);
    }
    let depth = if cleaned.contains("**") { usize::MAX } else { cleaned.matches('/').count() };
    let mut found = Vec::new();
    search(from, &canonical(from.root)?, Path::new(""), depth, &pattern, &mut found)?;
    found.sort();
    if found.is_empty() { Err(missing(word)) } else { Ok(found) }
}

fn search(
    from: &SourceRoot<'_>,
    root: &Path,
    at: &Path,
    depth: usize,
    pattern: &Glob,
    found: &mut Vec<String>,
) -> Result<(), BuildError> {
    let place = root.join(at);
    for entry in fs::read_dir(&place).map_err(io_error("list", &place))? {
        let entry = entry.map_err(io_error("list", &place))?;
        let path = at.join(entry.file_name());
        let name = text(&path);
        let ignored = from.ignore.ignores(&name) || from.exclude.ignores(&name);
        if pattern.matches(&name) && !ignored {
            found.push(name);
        }
        let directory = entry.file_type().map_err(io_error("look at", &place))?.is_dir();
        if directory && depth > 0 && (!ignored || from.ignore.has_exceptions()) {
            search(from, root, &path, depth.saturating_sub(1), pattern, found)?;
        }
    }
    Ok(())
}

/// Makes a path relative to its root, without `.`; `..` stops at the root.
pub(crate) fn clean(word: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in word.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    parts.join("/")
}
