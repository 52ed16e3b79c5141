//! Layers from directories.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use maru_oci::{Descriptor, Entry, EntryKind, LayerLimits, LayerWriter, media_type};

use crate::error::{ImageError, io_error};
use crate::store::{ImageStore, Layer};
use crate::unpack::{Existing, OPAQUE_XATTR, Unpacker, read_xattrs};

/// How a directory becomes a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryLayer {
    /// What the directory holds.
    pub form: DirectoryForm,
    /// Later times, in seconds since 1970, are written as this one.
    pub modified_max: i64,
}

/// What a directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryForm {
    /// Files, as they should be in the image.
    Plain,
    /// Changes as overlayfs keeps them: the `upper` of a mounted root.
    Overlay,
}

impl ImageStore {
    /// Stores a directory as a layer whose bytes depend only on names, contents, owners, permissions, kept attributes and
    /// clamped times. Sockets are left out. Nobody may change the directory meanwhile.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn put_directory(&self, directory: &Path, options: DirectoryLayer) -> Result<Layer, ImageError> {
        let writer = self.inner.blobs.writer(maru_oci::Algorithm::Sha256)?;
        let mut layer = LayerWriter::new(writer, options.modified_max);
        let mut walk = Walk { root: directory, options, links: BTreeMap::new() };
        walk.directory(Path::new(""), &mut layer)?;
        let mut writer = layer.finish().map_err(io_error("write a layer from", directory))?;
        writer.flush().map_err(io_error("write a layer from", directory))?;
        let stored = writer.commit(None)?;
        Ok(Layer {
            descriptor: Descriptor::new(media_type::LAYER, stored.digest.clone(), stored.size),
            diff_id: stored.digest,
        })
    }
}

/// What was unpacked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Paths in the order of the archive, relative to the directory.
    pub paths: Vec<PathBuf>,
    /// Latest time of change among the files, in seconds since 1970.
    pub modified_max: i64,
}

/// Writes what a tar stream (not compressed) holds into a directory, upon what is there: files replace files, directories
/// merge, links to directories stay, and no path leads out of the directory. What `skip` says is left out. For packages and
/// archives.
///
/// # Errors
/// When the stream is malformed or tries to lead out, or the disk fails.
pub fn unpack_archive(
    archive: &mut dyn Read,
    directory: &Path,
    skip: &dyn Fn(&Path) -> bool,
) -> Result<Unpacked, ImageError> {
    let unusable =
        |error: crate::unpack::UnpackError| ImageError::Layer { layer: "archive".to_owned(), problem: error.story() };
    let mut unpacker = Unpacker::new(directory, &[], Existing::Merge).map_err(unusable)?;
    let mut unpacked = Unpacked::default();
    maru_oci::read_archive(archive, LayerLimits::default(), &mut |entry, content| {
        if skip(&entry.path) {
            return Ok(());
        }
        unpacked.paths.push(entry.path.clone());
        unpacked.modified_max = unpacked.modified_max.max(entry.modified_seconds);
        unpacker.apply(maru_oci::LayerChange::Add(entry), content)
    })
    .map_err(unusable)?;
    unpacker.finish().map_err(unusable)?;
    Ok(unpacked)
}

struct Walk<'a> {
    root: &'a Path,
    options: DirectoryLayer,
    /// First names of files with several.
    links: BTreeMap<(u64, u64), PathBuf>,
}

impl Walk<'_> {
    fn directory(&mut self, path: &Path, layer: &mut LayerWriter<maru_blobs::BlobWriter>) -> Result<(), ImageError> {
        let full = self.root.join(path);
        let mut names = Vec::new();
        for entry in fs::read_dir(&full).map_err(io_error("list", &full))? {
            names.push(entry.map_err(io_error("list", &full))?.file_name());
        }
        names.sort();
        for name in names {
            let path = path.join(name);
            let full = self.root.join(&path);
            let metadata = fs::symlink_metadata(&full).map_err(io_error("look at", &full))?;
            self.one(&path, &full, &metadata, layer)?;
        }
        Ok(())
    }

    fn one(
        &mut self,
        path: &Path,
        full: &Path,
        metadata: &Metadata,
        layer: &mut LayerWriter<maru_blobs::BlobWriter>,
    ) -> Result<(), ImageError> {
        let kind = metadata.file_type();
        let device = || (nix::sys::stat::major(metadata.rdev()), nix::sys::stat::minor(metadata.rdev()));
        let numbers =
            |(major, minor): (u64, u64)| (u32::try_from(major).unwrap_or(0), u32::try_from(minor).unwrap_or(0));
        let written = io_error("write a layer from", full);
        if kind.is_char_device() && metadata.rdev() == 0 && self.options.form == DirectoryForm::Overlay {
            return layer.whiteout(path).map_err(written);
        }
        let kind = if kind.is_dir() {
            EntryKind::Directory
        } else if kind.is_file() {
            EntryKind::File
        } else if kind.is_symlink() {
            EntryKind::Symlink(fs::read_link(full).map_err(io_error("read the link", full))?)
        } else if kind.is_fifo() {
            EntryKind::Fifo
        } else if kind.is_char_device() {
            let (major, minor) = numbers(device());
            EntryKind::CharacterDevice { major, minor }
        } else if kind.is_block_device() {
            let (major, minor) = numbers(device());
            EntryKind::BlockDevice { major, minor }
        } else {
            return Ok(());
        };
        let mut entry = Entry {
            path: path.to_owned(),
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            modified_seconds: metadata.mtime(),
            size: 0,
            xattrs: BTreeMap::new(),
            kind,
        };
        match entry.kind {
            EntryKind::Directory => {
                let open = File::open(full).map_err(io_error("open", full))?;
                entry.xattrs =
                    read_xattrs(&open).map_err(|error| io_error("read the attributes of", full)(error.into()))?;
                layer.add(&entry, &mut io::empty()).map_err(written)?;
                if self.options.form == DirectoryForm::Overlay && is_opaque(&open) {
                    layer.opaque(path).map_err(io_error("write a layer from", full))?;
                }
                self.directory(path, layer)
            }
            EntryKind::File => {
                if metadata.nlink() > 1 {
                    match self.links.entry((metadata.dev(), metadata.ino())) {
                        std::collections::btree_map::Entry::Occupied(first) => {
                            entry.kind = EntryKind::Hardlink(first.get().clone());
                            return layer.add(&entry, &mut io::empty()).map_err(written);
                        }
                        std::collections::btree_map::Entry::Vacant(place) => {
                            place.insert(path.to_owned());
                        }
                    }
                }
                let mut open = File::open(full).map_err(io_error("open", full))?;
                entry.xattrs =
                    read_xattrs(&open).map_err(|error| io_error("read the attributes of", full)(error.into()))?;
                entry.size = metadata.len();
                layer.add(&entry, &mut open).map_err(written)
            }
            _ => layer.add(&entry, &mut io::empty()).map_err(written),
        }
    }
}

fn is_opaque(directory: &File) -> bool {
    let mut value = [0u8; 2];
    matches!(rustix::fs::fgetxattr(directory, OPAQUE_XATTR, &mut value[..]), Ok(1) if value[0] == b'y')
}
