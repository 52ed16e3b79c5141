//! The store of complete blobs.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use maru_oci::{Algorithm, Digest, Hasher};

/// A blob could not be written, read or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The content is not what it should be.
    #[error("blob {expected} rejected: content hashes to {actual}; send it again")]
    DigestMismatch {
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// The blob is longer or shorter than said.
    #[error("blob {digest} has {actual} bytes, expected {expected}")]
    SizeMismatch {
        /// Which blob.
        digest: Digest,
        /// The length said.
        expected: u64,
        /// The length found.
        actual: u64,
    },
    /// The blob is not here.
    #[error("blob {digest} is not in the store")]
    Missing {
        /// Which blob.
        digest: Digest,
    },
    /// The blob is larger than the caller can take.
    #[error("blob {digest} has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Which blob.
        digest: Digest,
        /// Its length.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The disk failed.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BlobError {
    let path = path.to_owned();
    move |source| BlobError::Io { action, path, source }
}

/// A blob that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its digest, computed while it was written.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// What a collection removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// How many blobs.
    pub blobs: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Blobs in a directory. Cheap to clone. Every method blocks on the disk.
#[derive(Debug, Clone)]
pub struct BlobStore {
    directory: Arc<Path>,
    sequence: Arc<AtomicU64>,
}

impl BlobStore {
    /// Opens or creates a store.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(directory: &Path) -> Result<Self, BlobError> {
        for part in ["partial", "sha256", "sha512"] {
            make_directory(&directory.join(part))?;
        }
        Ok(Self { directory: directory.into(), sequence: Arc::default() })
    }

    /// Returns the file of a blob, whether it exists or not. The file must not be written.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.directory.join(digest.algorithm().name()).join(hex.get(..2).unwrap_or(hex)).join(hex)
    }

    /// Returns the file that receives a blob by its digest.
    pub(crate) fn partial_path(&self, digest: &Digest) -> PathBuf {
        self.directory.join("partial").join(format!("{}-{}", digest.algorithm().name(), digest.hex()))
    }

    /// Returns the length of a blob, `None` when it is not here.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn size(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        let path = self.path(digest);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("look at", &path)(error)),
        }
    }

    /// Tells whether a blob is here.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn contains(&self, digest: &Digest) -> Result<bool, BlobError> {
        Ok(self.size(digest)?.is_some())
    }

    /// Opens a blob for reading. Its content was checked when it was written, not again now.
    ///
    /// # Errors
    /// When it is not here, or the disk fails.
    pub fn open_blob(&self, digest: &Digest) -> Result<File, BlobError> {
        let path = self.path(digest);
        File::open(&path).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                BlobError::Missing { digest: digest.clone() }
            } else {
                io_error("open", &path)(error)
            }
        })
    }

    /// Reads a whole blob and checks its digest.
    ///
    /// # Errors
    /// When it is not here, larger than `limit` bytes, damaged, or the disk fails.
    pub fn read(&self, digest: &Digest, limit: usize) -> Result<Vec<u8>, BlobError> {
        let file = self.open_blob(digest)?;
        let size = file.metadata().map_err(io_error("look at", &self.path(digest)))?.len();
        let limit = limit as u64;
        if size > limit {
            return Err(BlobError::TooLarge { digest: digest.clone(), size, limit });
        }
        let mut content = Vec::new();
        file.take(limit).read_to_end(&mut content).map_err(io_error("read", &self.path(digest)))?;
        match digest.verify(&content) {
            Ok(()) => Ok(content),
            Err(maru_oci::DigestError::Mismatch { expected, actual }) => {
                Err(BlobError::DigestMismatch { expected, actual })
            }
            Err(_) => Err(BlobError::Missing { digest: digest.clone() }),
        }
    }

    /// Reads a blob to its end and checks that its bytes still have its digest.
    ///
    /// # Errors
    /// When it is not here, damaged, or the disk fails.
    pub fn verify(&self, digest: &Digest) -> Result<(), BlobError> {
        let mut file = self.open_blob(digest)?;
        let mut hasher = Hasher::new(digest.algorithm());
        let mut buffer = vec![0; 128 << 10];
        loop {
            let count = file.read(&mut buffer).map_err(io_error("read", &self.path(digest)))?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
        }
        let actual = hasher.finish();
        if actual == *digest { Ok(()) } else { Err(BlobError::DigestMismatch { expected: digest.clone(), actual }) }
    }

    /// Starts to write a blob whose digest is not known yet.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn writer(&self, algorithm: Algorithm) -> Result<BlobWriter, BlobError> {
        let number = self.sequence.fetch_add(1, Ordering::Relaxed);
        let path =
            self.directory.join("partial").join(format!("new-{}-{number}-{}", std::process::id(), self.instance()));
        let file =
            File::options().write(true).create_new(true).mode(0o600).open(&path).map_err(io_error("create", &path))?;
        // Nobody else holds it; the lock keeps collections away.
        file.lock().map_err(io_error("lock", &path))?;
        Ok(BlobWriter {
            store: self.clone(),
            file: io::BufWriter::with_capacity(128 << 10, file),
            path,
            hasher: Hasher::new(algorithm),
            size: 0,
            kept: false,
        })
    }

    /// Tells stores of one process apart.
    fn instance(&self) -> String {
        format!("{:x}", Arc::as_ptr(&self.sequence) as usize)
    }

    /// Writes a blob that is in memory.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn put(&self, content: &[u8]) -> Result<Stored, BlobError> {
        let digest = Digest::sha256(content);
        let size = content.len() as u64;
        if self.size(&digest)? == Some(size) {
            return Ok(Stored { digest, size });
        }
        let mut writer = self.writer(Algorithm::Sha256)?;
        let path = writer.path.clone();
        writer.write_all(content).map_err(io_error("write", &path))?;
        writer.commit(Some(&digest))
    }

    /// Removes a blob; removing one that is not here is no error.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove(&self, digest: &Digest) -> Result<(), BlobError> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io_error("remove", &path)(error)),
        }
    }

    /// Returns the digests and lengths of all blobs, sorted.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn list(&self) -> Result<Vec<Stored>, BlobError> {
        let mut all = Vec::new();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for shard in read_directory(&self.directory.join(algorithm.name()))? {
                for path in read_directory(&shard)? {
                    let hex = path.file_name().unwrap_or_default().to_string_lossy();
                    let Ok(digest) = format!("{}:{hex}", algorithm.name()).parse::<Digest>() else { continue };
                    // It may have been removed meanwhile.
                    if let Some(size) = self.size(&digest)? {
                        all.push(Stored { digest, size });
                    }
                }
            }
        }
        all.sort_by(|a, b| a.digest.cmp(&b.digest));
        Ok(all)
    }

    /// Removes all blobs but the marked ones, and partial blobs that nobody is writing.
    ///
    /// # Errors
    /// When the disk fails; what was removed before stays removed.
    pub fn collect(&self, marked: &BTreeSet<Digest>) -> Result<Collected, BlobError> {
        let mut collected = Collected::default();
        for blob in self.list()? {
            if !marked.contains(&blob.digest) {
                self.remove(&blob.digest)?;
                collected.blobs += 1;
                collected.bytes += blob.size;
            }
        }
        for path in read_directory(&self.directory.join("partial"))? {
            collected.bytes += crate::partial::remove_abandoned(&path)?;
        }
        Ok(collected)
    }

    /// Moves a complete, synced, verified file to the place of its digest.
    pub(crate) fn adopt(&self, from: &Path, digest: &Digest) -> Result<(), BlobError> {
        let to = self.path(digest);
        let parent = to.parent().unwrap_or(&self.directory);
        make_directory(parent)?;
        fs::rename(from, &to).map_err(io_error("rename a blob to", &to))?;
        File::open(parent).and_then(|directory| directory.sync_all()).map_err(io_error("sync", parent))
    }
}

fn make_directory(path: &Path) -> Result<(), BlobError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error("create", path))
}

fn read_directory(path: &Path) -> Result<Vec<PathBuf>, BlobError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("list", path)(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(io_error("list", path))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Receives a blob whose digest is computed on the way. Dropped without `commit`, it leaves nothing.
#[derive(Debug)]
pub struct BlobWriter {
    store: BlobStore,
    file: io::BufWriter<File>,
    path: PathBuf,
    hasher: Hasher,
    size: u64,
    kept: bool,
}

impl BlobWriter {
    /// Makes the blob durable and visible. With `expected`, content of another digest is refused and removed.
    ///
    /// # Errors
    /// When the digest is another, or the disk fails.
    pub fn commit(mut self, expected: Option<&Digest>) -> Result<Stored, BlobError> {
        self.file.flush().map_err(io_error("write", &self.path))?;
        let actual = self.hasher.clone().finish();
        if let Some(expected) = expected.filter(|expected| **expected != actual) {
            return Err(BlobError::DigestMismatch { expected: expected.clone(), actual });
        }
        let size = self.size;
        if self.store.size(&actual)? == Some(size) {
            return Ok(Stored { digest: actual, size });
        }
        self.file.get_ref().sync_data().map_err(io_error("sync", &self.path))?;
        self.store.adopt(&self.path, &actual)?;
        self.kept = true;
        Ok(Stored { digest: actual, size })
    }

    /// Returns how many bytes were written.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Write for BlobWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.file.write(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now is removed by the next collection.
            drop(fs::remove_file(&self.path));
        }
    }
}
