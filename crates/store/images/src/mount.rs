//! Root file systems: overlays of unpacked layers and one writable directory.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use maru_oci::Digest;
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use crate::error::{ImageError, io_error};
use crate::store::{ImageStore, Layer};

/// Longest option string that the kernel takes: a page with its terminating zero.
const OPTIONS_LENGTH_MAX: usize = 4095;
/// Magic number of overlayfs (statfs(2)).
const OVERLAYFS: i64 = 0x794c_7630;

/// A mounted root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rootfs {
    /// The mounted root.
    pub path: PathBuf,
    /// Where changes are kept, as overlayfs writes them.
    pub upper: PathBuf,
}

impl ImageStore {
    /// Mounts an image, writable, at `directory/rootfs`; changes go to `directory/upper`. Unpacks layers that are not yet.
    /// Mounting again what is mounted changes nothing. Changes from before an unmount are there again. Device files in the
    /// image do not work. The image must stay in the `in_use` of garbage collections while it is mounted.
    ///
    /// # Errors
    /// When the image is not here, a layer cannot be unpacked, or the kernel refuses the mount.
    pub fn mount(&self, image: &Digest, directory: &Path) -> Result<Rootfs, ImageError> {
        let _lease = self.lease()?;
        self.mount_layers(&self.image(image)?.layers()?, directory)
    }

    /// Unpacks an image's layers so that mounting it later is quick.
    ///
    /// # Errors
    /// When the image is not here or a layer cannot be unpacked.
    pub fn unpack(&self, image: &Digest) -> Result<(), ImageError> {
        let _lease = self.lease()?;
        self.prepare(&self.image(image)?.layers()?).map(drop)
    }

    /// Mounts layers as `mount` does; without layers, an empty root. Hold a lease.
    ///
    /// # Errors
    /// As `mount`.
    pub fn mount_layers(&self, layers: &[Layer], directory: &Path) -> Result<Rootfs, ImageError> {
        let rootfs = Rootfs { path: directory.join("rootfs"), upper: directory.join("upper") };
        if is_mounted(&rootfs.path)? {
            return Ok(rootfs);
        }
        let mut lower: Vec<PathBuf> = self.prepare(layers)?.into_iter().rev().collect();
        if lower.is_empty() {
            let empty = directory.join("empty");
            make(&empty)?;
            lower.push(empty);
        }
        let work = directory.join("work");
        let existed = rootfs.upper.is_dir();
        for path in [&rootfs.path, &rootfs.upper, &work] {
            make(path)?;
        }
        if !existed {
            // The root's looks are those of the writable directory.
            let looks = fs::metadata(&lower[0]).map_err(io_error("look at", &lower[0]))?;
            std::os::unix::fs::chown(&rootfs.upper, Some(looks.uid()), Some(looks.gid()))
                .and_then(|()| fs::set_permissions(&rootfs.upper, Permissions::from_mode(looks.mode() & 0o7777)))
                .map_err(io_error("set the owner of", &rootfs.upper))?;
        }
        mount_overlay(&lower, &rootfs.upper, &work, &rootfs.path)?;
        Ok(rootfs)
    }

    /// Unmounts what `mount` mounted, and keeps the changes. What is not mounted is no error.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn unmount(directory: &Path) -> Result<(), ImageError> {
        let rootfs = directory.join("rootfs");
        while is_mounted(&rootfs)? {
            match rustix::mount::unmount(&rootfs, UnmountFlags::NOFOLLOW) {
                Ok(()) => {}
                // Somebody still has a file open: the mount goes when they close it.
                Err(Errno::BUSY) => rustix::mount::unmount(&rootfs, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH)
                    .map_err(|error| io_error("unmount", &rootfs)(error.into()))?,
                Err(Errno::INVAL) => return Ok(()),
                Err(error) => return Err(io_error("unmount", &rootfs)(error.into())),
            }
        }
        Ok(())
    }

    /// Unmounts what `mount` mounted and removes the changes with the directory's own files.
    ///
    /// # Errors
    /// When the kernel or the disk refuses.
    pub fn discard(directory: &Path) -> Result<(), ImageError> {
        Self::unmount(directory)?;
        for part in ["rootfs", "upper", "work", "empty"] {
            let path = directory.join(part);
            match fs::remove_dir_all(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_error("remove", &path)(error)),
            }
        }
        Ok(())
    }
}

fn make(path: &Path) -> Result<(), ImageError> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(io_error("create", path))
}

fn is_mounted(path: &Path) -> Result<bool, ImageError> {
    let (Ok(here), Some(parent)) = (fs::symlink_metadata(path), path.parent()) else { return Ok(false) };
    let above = fs::symlink_metadata(parent).map_err(io_error("look at", parent))?;
    if here.dev() == above.dev() {
        return Ok(false);
    }
    let kind = rustix::fs::statfs(path).map_err(|error| io_error("look at", path)(error.into()))?.f_type;
    Ok(kind == OVERLAYFS)
}

fn mount_overlay(lower: &[PathBuf], upper: &Path, work: &Path, target: &Path) -> Result<(), ImageError> {
    // Redirects and metadata-only copies would make `upper` incomplete by itself, and lower layers must not use them either.
    let ending = |first: &OsStr| {
        let mut options = OsString::from("lowerdir=");
        options.push(first);
        for (key, path) in [(",upperdir=", upper), (",workdir=", work)] {
            options.push(key);
            options.push(escape(path));
        }
        options.push(",index=off,metacopy=off,redirect_dir=nofollow");
        options
    };
    let mut options = ending(&join(lower.iter().map(|path| escape(path))));
    // Held until the kernel has looked the names up.
    let mut held = Vec::new();
    if options.len() > OPTIONS_LENGTH_MAX {
        for path in lower {
            held.push(File::open(path).map_err(io_error("open", path))?);
        }
        options = ending(&join(held.iter().map(|file| OsString::from(format!("/proc/self/fd/{}", file.as_raw_fd())))));
    }
    if options.len() > OPTIONS_LENGTH_MAX {
        return Err(ImageError::Layer {
            layer: target.display().to_string(),
            problem: format!("{} layers are more than can be mounted", lower.len()),
        });
    }
    let options = std::ffi::CString::new(options.as_bytes()).map_err(|_| ImageError::Malformed {
        what: target.display().to_string(),
        problem: "the path holds a zero byte".to_owned(),
    })?;
    rustix::mount::mount("overlay", target, "overlay", MountFlags::NODEV, options.as_c_str())
        .map_err(|error| io_error("mount the image at", target)(error.into()))
}

fn join(parts: impl Iterator<Item = OsString>) -> OsString {
    let mut joined = OsString::new();
    for part in parts {
        if !joined.is_empty() {
            joined.push(":");
        }
        joined.push(part);
    }
    joined
}

/// Escapes what separates options and directories.
fn escape(path: &Path) -> OsString {
    let mut escaped = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        if matches!(byte, b'\\' | b',' | b':') {
            escaped.push(b'\\');
        }
        escaped.push(*byte);
    }
    OsStr::from_bytes(&escaped).to_owned()
}
