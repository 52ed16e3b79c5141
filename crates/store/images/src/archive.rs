//! Archives of images.

use std::io::{Read, Write};
use std::path::Path;

use maru_oci::Reference;

use crate::error::ImageError;
use crate::store::{ImageStore, Loaded};

impl ImageStore {
    /// Stores the images of an archive: OCI layout or `docker save`, as tar or gzip of it.
    ///
    /// # Errors
    /// When the archive is neither, is damaged, or the disk fails.
    pub fn load(&self, _archive: &mut dyn Read) -> Result<Vec<Loaded>, ImageError> {
        Err(ImageError::Malformed {
            what: "the archive".to_owned(),
            problem: "loading is not supported yet".to_owned(),
        })
    }

    /// Stores the images of an OCI layout directory.
    ///
    /// # Errors
    /// As `load`.
    pub fn load_directory(&self, _directory: &Path) -> Result<Vec<Loaded>, ImageError> {
        Err(ImageError::Malformed {
            what: "the archive".to_owned(),
            problem: "loading is not supported yet".to_owned(),
        })
    }

    /// Writes images as a tar archive in OCI layout that `docker load` reads too.
    ///
    /// # Errors
    /// When an image is not here, or writing fails.
    pub fn save(&self, _references: &[Reference], _archive: &mut dyn Write) -> Result<(), ImageError> {
        Err(ImageError::Malformed { what: "the archive".to_owned(), problem: "saving is not supported yet".to_owned() })
    }
}
