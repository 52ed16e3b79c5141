//! What belongs to an image without being part of it, and what nothing refers to any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use maru_oci::{Descriptor, Digest, Document, Manifest, media_type};

use crate::cache::CachedResult;
use crate::error::{ImageError, io_error};
use crate::store::ImageStore;

/// What a garbage collection removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs.
    pub blobs: u64,
    /// Unpacked snapshots.
    pub snapshots: u64,
    /// Bytes of blobs; snapshots are not measured.
    pub bytes: u64,
}

impl ImageStore {
    /// Stores an artifact about an image (a bill of materials, a signature): a manifest whose subject is the image.
    /// Artifacts stay as long as their subject.
    ///
    /// # Errors
    /// When the image is not here, or the disk fails.
    pub fn attach_artifact(&self, subject: &Digest, artifact_type: &str, content: &[u8]) -> Result<Digest, ImageError> {
        let _lease = self.lease()?;
        let bytes = self.inner.blobs.read(subject, Document::BYTES_MAX)?;
        let document =
            Document::parse(&bytes).map_err(|source| ImageError::Manifest { digest: subject.clone(), source })?;
        let subject_descriptor = Descriptor::new(document.media_type(), subject.clone(), bytes.len() as u64);
        let stored = self.inner.blobs.put(content)?;
        let empty = self.inner.blobs.put(b"{}")?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.to_owned()),
            artifact_type: Some(artifact_type.to_owned()),
            config: Descriptor::new(media_type::EMPTY, empty.digest, empty.size),
            layers: vec![Descriptor::new(artifact_type, stored.digest, stored.size)],
            subject: Some(subject_descriptor),
            annotations: BTreeMap::new(),
        };
        let digest = self.put_json(&manifest)?.digest;
        let directory = self.referrers_directory(subject);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(io_error("create", &directory))?;
        let path = directory.join(digest.to_string());
        File::create(&path).map_err(io_error("create", &path))?;
        Ok(digest)
    }

    /// Returns the manifests of artifacts about an image, sorted by digest.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn artifacts(&self, subject: &Digest) -> Result<Vec<(Digest, Manifest)>, ImageError> {
        let directory = self.referrers_directory(subject);
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io_error("list", &directory)(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(io_error("list", &directory))?.file_name();
            let Some(digest) = name.to_str().and_then(|name| name.parse::<Digest>().ok()) else { continue };
            let bytes = self.inner.blobs.read(&digest, Document::BYTES_MAX)?;
            if let Ok(Document::Manifest(manifest)) = Document::parse(&bytes) {
                found.push((digest, *manifest));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    fn referrers_directory(&self, subject: &Digest) -> PathBuf {
        self.inner.directory.join("referrers").join(subject.to_string())
    }

    /// Removes what no name, none of `in_use` (images of existing containers) and none of `keep` (other blobs, e.g. of a
    /// build cache) refers to.
    ///
    /// # Errors
    /// `Busy` when something is being pulled or built; when the disk fails.
    pub fn collect_garbage(&self, in_use: &BTreeSet<Digest>, keep: &BTreeSet<Digest>) -> Result<Collected, ImageError> {
        let (lock, path) = self.lock_file()?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(ImageError::Busy),
            Err(fs::TryLockError::Error(error)) => return Err(io_error("lock", &path)(error)),
        }
        let mut marked = keep.clone();
        let mut chains = BTreeSet::new();
        let mut roots: BTreeSet<Digest> = in_use.clone();
        for file in self.reference_files()? {
            roots.insert(file.digest);
            // The index itself is kept, its other platforms are not here.
            marked.insert(file.registry_digest);
        }
        for (_, result) in self.kept_results()? {
            match result {
                CachedResult::Layer(layer) => drop(marked.insert(layer.descriptor.digest)),
                CachedResult::Image(digest) => drop(roots.insert(digest)),
            }
        }
        for root in &roots {
            match self.image(root) {
                Ok(image) => {
                    marked.extend([root.clone(), image.digest.clone(), image.manifest.config.digest.clone()]);
                    marked.extend(image.manifest.layers.iter().map(|layer| layer.digest.clone()));
                    chains.extend(crate::snapshot::chain_ids(&image.config.rootfs.diff_ids));
                    for subject in [root, &image.digest] {
                        for (digest, manifest) in self.artifacts(subject)? {
                            marked.extend([digest, manifest.config.digest]);
                            marked.extend(manifest.layers.into_iter().map(|layer| layer.digest));
                        }
                    }
                }
                Err(ImageError::Missing { .. } | ImageError::Blob(maru_blobs::BlobError::Missing { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        let blobs = self.inner.blobs.collect(&marked)?;
        self.collect_referrers(&marked)?;
        let snapshots = self.collect_snapshots(&chains)?;
        Ok(Collected { blobs: blobs.blobs, bytes: blobs.bytes, snapshots })
    }

    fn collect_referrers(&self, marked: &BTreeSet<Digest>) -> Result<(), ImageError> {
        let directory = self.inner.directory.join("referrers");
        let Ok(entries) = fs::read_dir(&directory) else { return Ok(()) };
        for entry in entries {
            let path = entry.map_err(io_error("list", &directory))?.path();
            let subject = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<Digest>().ok());
            if subject.is_none_or(|subject| !marked.contains(&subject)) {
                fs::remove_dir_all(&path).map_err(io_error("remove", &path))?;
            }
        }
        Ok(())
    }
}
