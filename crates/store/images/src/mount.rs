//! Root file systems: overlays of unpacked layers and one writable directory.

use std::path::{Path, PathBuf};

use maru_oci::Digest;

use crate::error::ImageError;
use crate::store::{ImageStore, Layer};

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
    /// Mounting again what is mounted changes nothing. Changes from before an unmount are there again.
    ///
    /// # Errors
    /// When the image is not here, a layer cannot be unpacked, or the kernel refuses the mount.
    pub fn mount(&self, image: &Digest, directory: &Path) -> Result<Rootfs, ImageError> {
        self.mount_layers(&self.image(image)?.layers()?, directory)
    }

    /// Mounts layers as `mount` does; without layers, an empty root.
    ///
    /// # Errors
    /// As `mount`.
    pub fn mount_layers(&self, _layers: &[Layer], directory: &Path) -> Result<Rootfs, ImageError> {
        Err(ImageError::Malformed {
            what: directory.display().to_string(),
            problem: "mounting is not supported yet".to_owned(),
        })
    }

    /// Unmounts what `mount` mounted, and keeps the changes. What is not mounted is no error.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn unmount(directory: &Path) -> Result<(), ImageError> {
        Err(ImageError::Malformed {
            what: directory.display().to_string(),
            problem: "mounting is not supported yet".to_owned(),
        })
    }
}
