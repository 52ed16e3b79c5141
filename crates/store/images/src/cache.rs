//! Results of build steps, by the digest of everything they depend on.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::time::SystemTime;

use maru_oci::Digest;
use serde::{Deserialize, Serialize};

use crate::error::{ImageError, io_error};
use crate::store::{ImageStore, Layer};

/// The result of a build step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CachedResult {
    /// A layer.
    Layer(Box<Layer>),
    /// A whole image.
    Image(Digest),
}

impl ImageStore {
    fn cache_path(&self, key: &Digest) -> PathBuf {
        self.inner.directory.join("build-cache").join(key.hex())
    }

    /// Keeps the result of a build step, also from garbage collection, until `forget_results`.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remember(&self, key: &Digest, result: &CachedResult) -> Result<(), ImageError> {
        let path = self.cache_path(key);
        let directory = self.inner.directory.join("build-cache");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(io_error("create", &directory))?;
        let bytes = serde_json::to_vec(result)
            .map_err(|error| ImageError::Malformed { what: path.display().to_string(), problem: error.to_string() })?;
        let temporary = directory.join(format!("new-{}", maru_ids::random_suffix(12)));
        fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, &path)).map_err(io_error("write", &path))
    }

    /// Returns the kept result of a build step, when all of it is still here.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn recall(&self, key: &Digest) -> Result<Option<CachedResult>, ImageError> {
        let path = self.cache_path(key);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        // A file broken by a crash is as good as none.
        let Ok(result) = serde_json::from_slice::<CachedResult>(&bytes) else { return Ok(None) };
        let complete = match &result {
            CachedResult::Layer(layer) => self.inner.blobs.contains(&layer.descriptor.digest)?,
            CachedResult::Image(digest) => match self.image(digest) {
                Ok(image) => {
                    let mut complete = true;
                    for layer in &image.manifest.layers {
                        complete &= self.inner.blobs.contains(&layer.digest)?;
                    }
                    complete
                }
                Err(ImageError::Missing { .. } | ImageError::Blob(maru_blobs::BlobError::Missing { .. })) => false,
                Err(error) => return Err(error),
            },
        };
        if complete {
            // Its age is the time since it was last of use; a failure only makes it look older.
            #[expect(
                clippy::disallowed_methods,
                reason = "the age of a file is compared with other times of the file system"
            )]
            let now = SystemTime::now();
            drop(fs::File::open(&path).and_then(|file| file.set_modified(now)));
        }
        Ok(complete.then_some(result))
    }

    /// Forgets results that were last of use before a time; their blobs go with the next garbage collection. Returns how many.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn forget_results(&self, used_before: SystemTime) -> Result<usize, ImageError> {
        let mut forgotten = 0;
        for (path, _) in self.kept_results()? {
            let modified =
                fs::metadata(&path).and_then(|metadata| metadata.modified()).map_err(io_error("look at", &path))?;
            if modified < used_before {
                fs::remove_file(&path).map_err(io_error("remove", &path))?;
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }

    pub(crate) fn kept_results(&self) -> Result<Vec<(PathBuf, CachedResult)>, ImageError> {
        let directory = self.inner.directory.join("build-cache");
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io_error("list", &directory)(error)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry.map_err(io_error("list", &directory))?.path();
            let read = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            all.extend(read.map(|result| (path, result)));
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    }
}
