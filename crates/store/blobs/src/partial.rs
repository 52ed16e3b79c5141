//! Blobs that are being received and may be continued later, by this or another process.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use maru_oci::{Digest, Hasher};

use crate::store::{BlobError, BlobStore, Stored, io_error};

/// A blob of known digest on its way. Holds an exclusive lock: one receiver at a time over all processes.
/// Dropped without `commit`, it keeps what came so that a later receiver continues.
#[derive(Debug)]
pub struct Partial {
    store: BlobStore,
    digest: Digest,
    file: File,
    hasher: Hasher,
    size: u64,
}

impl BlobStore {
    /// Waits until nobody else receives a blob, then returns the right to receive it, continuing what is there already;
    /// `None` when the blob is complete by then.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn receive(&self, digest: &Digest) -> Result<Option<Partial>, BlobError> {
        loop {
            if self.contains(digest)? {
                return Ok(None);
            }
            let path = self.partial_path(digest);
            let mut file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(io_error("create", &path))?;
            file.lock().map_err(io_error("lock", &path))?;
            // The former holder may have completed or removed the file that was opened before.
            if !is_same_file(&file, &path)? {
                continue;
            }
            let mut hasher = Hasher::new(digest.algorithm());
            let mut size = 0;
            let mut buffer = vec![0; 128 << 10];
            loop {
                let count = file.read(&mut buffer).map_err(io_error("read", &path))?;
                if count == 0 {
                    break;
                }
                hasher.update(&buffer[..count]);
                size += count as u64;
            }
            return Ok(Some(Partial { store: self.clone(), digest: digest.clone(), file, hasher, size }));
        }
    }
}

fn is_same_file(file: &File, path: &Path) -> Result<bool, BlobError> {
    let held = file.metadata().map_err(io_error("look at", path))?;
    match fs::metadata(path) {
        Ok(found) => Ok(found.ino() == held.ino() && found.dev() == held.dev()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error("look at", path)(error)),
    }
}

/// Removes a partial file unless somebody holds it; returns the bytes freed.
pub(crate) fn remove_abandoned(path: &Path) -> Result<u64, BlobError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(io_error("open", path)(error)),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(0),
        Err(fs::TryLockError::Error(error)) => return Err(io_error("lock", path)(error)),
    }
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    match fs::remove_file(path) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(io_error("remove", path)(error)),
    }
}

impl Partial {
    /// Returns how many bytes are here already: the offset to continue at.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Forgets what is here, to start from the first byte.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn restart(&mut self) -> Result<(), BlobError> {
        let path = self.store.partial_path(&self.digest);
        self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0))).map_err(io_error("truncate", &path))?;
        self.hasher = Hasher::new(self.digest.algorithm());
        self.size = 0;
        Ok(())
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.file.write_all(bytes).map_err(io_error("write", &self.store.partial_path(&self.digest)))?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Checks the digest and makes the blob durable and visible. Content of another digest is removed.
    ///
    /// # Errors
    /// When the digest is another, or the disk fails.
    pub fn commit(self) -> Result<Stored, BlobError> {
        let path = self.store.partial_path(&self.digest);
        let actual = self.hasher.finish();
        if actual != self.digest {
            fs::remove_file(&path).map_err(io_error("remove", &path))?;
            return Err(BlobError::DigestMismatch { expected: self.digest, actual });
        }
        self.file.sync_data().map_err(io_error("sync", &path))?;
        self.store.adopt(&path, &self.digest)?;
        Ok(Stored { digest: self.digest, size: self.size })
    }
}
