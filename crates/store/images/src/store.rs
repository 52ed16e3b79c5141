//! The store: references, images, garbage collection.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use maru_blobs::{BlobStore, Stored};
use maru_oci::{Descriptor, Digest, Document, ImageConfig, Manifest, Platform, Reference, media_type};
use serde::{Deserialize, Serialize};

use crate::error::{ImageError, io_error};

/// Largest image configuration that is read.
const CONFIG_BYTES_MAX: usize = 8 << 20;

/// The images of this machine, in one directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ImageStore {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) directory: PathBuf,
    pub(crate) blobs: BlobStore,
}

/// Keeps garbage collection away while new blobs have no reference yet.
#[derive(Debug)]
pub struct Lease(#[expect(dead_code, reason = "held for its lock")] File);

/// An image: its manifest and configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The manifest's digest: the image's identity.
    pub digest: Digest,
    /// The manifest.
    pub manifest: Manifest,
    /// The configuration.
    pub config: ImageConfig,
}

impl Image {
    /// Returns the layers, base first.
    ///
    /// # Errors
    /// When configuration and manifest disagree about how many there are.
    pub fn layers(&self) -> Result<Vec<Layer>, ImageError> {
        if self.manifest.layers.len() != self.config.rootfs.diff_ids.len() {
            return Err(ImageError::Malformed {
                what: format!("image {}", self.digest),
                problem: "its configuration lists another number of layers than its manifest".to_owned(),
            });
        }
        let layers = self.manifest.layers.iter().zip(&self.config.rootfs.diff_ids);
        Ok(layers
            .map(|(descriptor, diff_id)| Layer { descriptor: descriptor.clone(), diff_id: diff_id.clone() })
            .collect())
    }

    /// Returns the length of configuration and layers as stored (compressed), in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.manifest.config.size + self.manifest.layers.iter().map(|layer| layer.size).sum::<u64>()
    }
}

/// A layer in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// The blob.
    pub descriptor: Descriptor,
    /// The digest of the tar stream without compression.
    pub diff_id: Digest,
}

/// One name of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSummary {
    /// The name.
    pub reference: Reference,
    /// The digest of the manifest for this machine.
    pub digest: Digest,
    /// The digest the registry knows it by: that of the index, where there is one.
    pub registry_digest: Digest,
    /// Length of configuration and layers as stored, in bytes.
    pub size: u64,
    /// When it was built, as the configuration says.
    pub created: Option<String>,
}

/// An image that an archive held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The digest of its manifest.
    pub digest: Digest,
    /// The names the archive gave it.
    pub references: Vec<Reference>,
}

/// The file of a reference.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReferenceFile {
    pub(crate) reference: Reference,
    /// The manifest for this machine.
    pub(crate) digest: Digest,
    /// What the registry answered for the reference, an index perhaps.
    pub(crate) registry_digest: Digest,
}

impl ImageStore {
    /// Opens or creates the store of a directory.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(directory: &Path) -> Result<Self, ImageError> {
        for part in ["references", "snapshots", "locks"] {
            let path = directory.join(part);
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(io_error("create", &path))?;
        }
        let blobs = BlobStore::open(&directory.join("blobs"))?;
        let directory = directory.canonicalize().map_err(io_error("resolve", directory))?;
        Ok(Self { inner: Arc::new(Inner { directory, blobs }) })
    }

    /// Returns the store's directory, for what must be on the same file system.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// Returns the blobs, for what is kept beside images (bills of materials, build caches).
    #[must_use]
    pub fn blobs(&self) -> &BlobStore {
        &self.inner.blobs
    }

    /// Keeps garbage collection away until dropped; waits for a collection that is running.
    ///
    /// # Errors
    /// When the lock file cannot be used.
    pub fn lease(&self) -> Result<Lease, ImageError> {
        let (file, path) = self.lock_file()?;
        file.lock_shared().map_err(io_error("lock", &path))?;
        Ok(Lease(file))
    }

    pub(crate) fn lock_file(&self) -> Result<(File, PathBuf), ImageError> {
        let path = self.inner.directory.join("lock");
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("open", &path))?;
        Ok((file, path))
    }

    /// Returns the digest of the image that a reference names on this machine, without asking any registry.
    /// A digest in the reference may be that of the image's index; a tag beside a digest does not matter.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn resolve(&self, reference: &Reference) -> Result<Option<Digest>, ImageError> {
        let wanted = match reference.digest() {
            Some(digest) => reference.with_digest(digest.clone()),
            None => reference.clone(),
        };
        if let Some(found) = self.read_reference(&self.reference_path(&wanted))? {
            return Ok(self.inner.blobs.contains(&found.digest)?.then_some(found.digest));
        }
        // Any repository will do for a manifest that is here: its content is the same.
        match reference.digest() {
            Some(digest) if self.inner.blobs.contains(digest)? => match self.image(digest) {
                Ok(image) => Ok(Some(image.digest)),
                Err(ImageError::Missing { .. } | ImageError::Manifest { .. } | ImageError::Malformed { .. }) => {
                    Ok(None)
                }
                Err(error) => Err(error),
            },
            _ => Ok(None),
        }
    }

    /// Returns the image with a manifest's digest. For an index's digest, returns the image for this machine.
    ///
    /// # Errors
    /// When it is not here, damaged, or for other machines only.
    pub fn image(&self, digest: &Digest) -> Result<Image, ImageError> {
        let missing = |error| match error {
            maru_blobs::BlobError::Missing { .. } => ImageError::Missing { digest: digest.clone() },
            other => ImageError::Blob(other),
        };
        let bytes = self.inner.blobs.read(digest, Document::BYTES_MAX).map_err(missing)?;
        let document =
            Document::parse(&bytes).map_err(|source| ImageError::Manifest { digest: digest.clone(), source })?;
        let (digest, manifest) = match document {
            Document::Manifest(manifest) => (digest.clone(), *manifest),
            Document::Index(index) => {
                let entry = select(&index, &digest.to_string())?;
                let bytes = self.inner.blobs.read(&entry.digest, Document::BYTES_MAX).map_err(missing)?;
                match Document::parse(&bytes) {
                    Ok(Document::Manifest(manifest)) => (entry.digest.clone(), *manifest),
                    Ok(Document::Index(_)) => {
                        return Err(ImageError::Malformed {
                            what: format!("index {digest}"),
                            problem: "it holds another index".to_owned(),
                        });
                    }
                    Err(source) => return Err(ImageError::Manifest { digest: entry.digest.clone(), source }),
                }
            }
        };
        let config = self.inner.blobs.read(&manifest.config.digest, CONFIG_BYTES_MAX)?;
        let config = serde_json::from_slice(&config).map_err(|error| ImageError::Malformed {
            what: format!("configuration {}", manifest.config.digest),
            problem: error.to_string(),
        })?;
        Ok(Image { digest, manifest, config })
    }

    /// Returns the configuration of an image.
    ///
    /// # Errors
    /// As `image`.
    pub fn config(&self, digest: &Digest) -> Result<ImageConfig, ImageError> {
        Ok(self.image(digest)?.config)
    }

    /// Gives an image a name; the name's former image loses it.
    ///
    /// # Errors
    /// When the image is not here, or the disk fails.
    pub fn tag(&self, digest: &Digest, reference: &Reference) -> Result<(), ImageError> {
        let image = self.image(digest)?;
        self.write_reference(reference, &image.digest, digest)
    }

    pub(crate) fn write_reference(
        &self,
        reference: &Reference,
        digest: &Digest,
        registry_digest: &Digest,
    ) -> Result<(), ImageError> {
        let file = ReferenceFile {
            reference: reference.clone(),
            digest: digest.clone(),
            registry_digest: registry_digest.clone(),
        };
        let path = self.reference_path(reference);
        let temporary = path.with_extension(format!("{}.new", maru_ids::random_suffix(12)));
        let written = (|| {
            let mut output = File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
            output.write_all(&serde_json::to_vec_pretty(&file)?)?;
            output.sync_data()?;
            fs::rename(&temporary, &path)
        })();
        if written.is_err() {
            // The write's own error is the one to report.
            drop(fs::remove_file(&temporary));
        }
        written.map_err(io_error("write", &path))
    }

    /// Removes a name; the image itself goes with the next garbage collection. Tells whether the name was there.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove(&self, reference: &Reference) -> Result<bool, ImageError> {
        let path = self.reference_path(reference);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(io_error("remove", &path)(error)),
        }
    }

    /// Returns all names with their images, sorted by name.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn list(&self) -> Result<Vec<ImageSummary>, ImageError> {
        let mut all = Vec::new();
        for file in self.reference_files()? {
            let image = match self.image(&file.digest) {
                Ok(image) => image,
                Err(ImageError::Missing { .. } | ImageError::Blob(maru_blobs::BlobError::Missing { .. })) => continue,
                Err(error) => return Err(error),
            };
            all.push(ImageSummary {
                size: image.size(),
                created: image.config.created,
                reference: file.reference,
                digest: file.digest,
                registry_digest: file.registry_digest,
            });
        }
        all.sort_by(|a, b| a.reference.cmp(&b.reference));
        Ok(all)
    }

    fn reference_path(&self, reference: &Reference) -> PathBuf {
        self.inner
            .directory
            .join("references")
            .join(format!("{}.json", maru_ids::short_hash(&reference.to_string(), 64)))
    }

    pub(crate) fn reference_files(&self) -> Result<Vec<ReferenceFile>, ImageError> {
        let directory = self.inner.directory.join("references");
        let mut files = Vec::new();
        for entry in fs::read_dir(&directory).map_err(io_error("list", &directory))? {
            let path = entry.map_err(io_error("list", &directory))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                files.extend(self.read_reference(&path)?);
            }
        }
        Ok(files)
    }

    fn read_reference(&self, path: &Path) -> Result<Option<ReferenceFile>, ImageError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", path)(error)),
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| ImageError::Malformed { what: path.display().to_string(), problem: error.to_string() })
    }

    /// Stores a configuration and a manifest over layers that are in the store; returns the image's digest.
    /// The layers' diff ids replace those in the configuration. Hold a lease until the image has a name.
    ///
    /// # Errors
    /// When a layer is not in the store, or the disk fails.
    pub fn commit_image(&self, mut config: ImageConfig, layers: &[Layer]) -> Result<Digest, ImageError> {
        for layer in layers {
            if !self.inner.blobs.contains(&layer.descriptor.digest)? {
                return Err(maru_blobs::BlobError::Missing { digest: layer.descriptor.digest.clone() }.into());
            }
        }
        config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
        let stored = self.put_json(&config)?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.to_owned()),
            artifact_type: None,
            config: Descriptor::new(media_type::CONFIG, stored.digest, stored.size),
            layers: layers.iter().map(|layer| layer.descriptor.clone()).collect(),
            subject: None,
            annotations: std::collections::BTreeMap::new(),
        };
        Ok(self.put_json(&manifest)?.digest)
    }

    pub(crate) fn put_json<T: Serialize>(&self, value: &T) -> Result<Stored, ImageError> {
        let bytes = serde_json::to_vec(value).map_err(|error| ImageError::Malformed {
            what: "a document to store".to_owned(),
            problem: error.to_string(),
        })?;
        Ok(self.inner.blobs.put(&bytes)?)
    }

    /// Stores a layer from an uncompressed tar stream, which must be well-formed; hold a lease until an image uses it.
    ///
    /// # Errors
    /// When reading or the disk fails.
    pub fn put_layer(&self, tar: &mut dyn Read) -> Result<Layer, ImageError> {
        let mut writer = self.inner.blobs.writer(maru_oci::Algorithm::Sha256)?;
        io::copy(tar, &mut writer).map_err(io_error("write a layer into", &self.inner.directory))?;
        let stored = writer.commit(None)?;
        Ok(Layer {
            descriptor: Descriptor::new(media_type::LAYER, stored.digest.clone(), stored.size),
            diff_id: stored.digest,
        })
    }
}

pub(crate) fn select<'index>(index: &'index maru_oci::Index, subject: &str) -> Result<&'index Descriptor, ImageError> {
    let platform = Platform::host();
    index.select(&platform).ok_or_else(|| {
        let offered: Vec<String> =
            index.manifests.iter().filter_map(|entry| entry.platform.as_ref()).map(ToString::to_string).collect();
        ImageError::Platform {
            subject: subject.to_owned(),
            platform: platform.to_string(),
            offered: if offered.is_empty() { "no platform".to_owned() } else { offered.join(", ") },
        }
    })
}
