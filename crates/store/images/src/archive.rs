//! Archives of images: OCI layout, and the form that `docker save` writes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use maru_blobs::Stored;
use maru_oci::{
    Algorithm, Descriptor, Digest, Entry, EntryKind, ImageConfig, Index, LayerError, LayerLimits, LayerWriter,
    Manifest, Reference, media_type,
};
use serde::{Deserialize, Serialize};

use crate::error::{ImageError, io_error};
use crate::store::{ImageStore, Loaded};

/// Largest document of an archive that is read into memory.
const DOCUMENT_BYTES_MAX: u64 = 8 << 20;
/// Annotation with the whole name.
const NAME: &str = "io.containerd.image.name";
/// Annotation with the tag, or the whole name.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// One image in docker's `manifest.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// What an archive holds besides blobs under their digests.
#[derive(Default)]
struct Contents {
    index: Option<Vec<u8>>,
    docker: Option<Vec<u8>>,
    /// Files under names of their own, as `docker save` once wrote them.
    files: BTreeMap<PathBuf, Stored>,
    links: BTreeMap<PathBuf, PathBuf>,
}

fn malformed(problem: impl Into<String>) -> ImageError {
    ImageError::Malformed { what: "the image archive".to_owned(), problem: problem.into() }
}

/// Lets errors of the store through a reader that knows only its own.
enum ReadError {
    Archive(LayerError),
    Image(ImageError),
}

impl From<LayerError> for ReadError {
    fn from(error: LayerError) -> Self {
        Self::Archive(error)
    }
}

impl From<ReadError> for ImageError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Archive(LayerError::Read(source)) => malformed(format!("it could not be read: {source}")),
            ReadError::Archive(other) => malformed(other.to_string()),
            ReadError::Image(error) => error,
        }
    }
}

impl ImageStore {
    /// Stores the images of an archive: OCI layout or `docker save`, as tar, gzip or zstd of it; gives them the names it holds.
    ///
    /// # Errors
    /// When the archive is neither, is damaged, has no image for this machine, or the disk fails.
    pub fn load(&self, archive: &mut dyn Read) -> Result<Vec<Loaded>, ImageError> {
        let _lease = self.lease()?;
        let mut plain =
            maru_oci::decompress(archive).map_err(|error| malformed(format!("it could not be read: {error}")))?;
        let mut contents = Contents::default();
        maru_oci::read_archive(&mut plain, LayerLimits::default(), &mut |entry, content| {
            self.take(&mut contents, entry, content).map_err(ReadError::Image)
        })?;
        self.finish_load(&contents)
    }

    /// Stores the images of an OCI layout directory.
    ///
    /// # Errors
    /// As `load`.
    pub fn load_directory(&self, directory: &Path) -> Result<Vec<Loaded>, ImageError> {
        let _lease = self.lease()?;
        let path = directory.join("index.json");
        let mut contents =
            Contents { index: Some(fs::read(&path).map_err(io_error("read", &path))?), ..Contents::default() };
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let blobs = directory.join("blobs").join(algorithm.name());
            for entry in fs::read_dir(&blobs).into_iter().flatten() {
                let path = entry.map_err(io_error("list", &blobs))?.path();
                let name = PathBuf::from("blobs").join(algorithm.name()).join(path.file_name().unwrap_or_default());
                let mut file = File::open(&path).map_err(io_error("open", &path))?;
                let size = file.metadata().map_err(io_error("look at", &path))?.len();
                self.take(&mut contents, file_entry(name, size), &mut file)?;
            }
        }
        self.finish_load(&contents)
    }

    /// Takes one file of an archive.
    fn take(&self, contents: &mut Contents, entry: Entry, content: &mut dyn Read) -> Result<(), ImageError> {
        match &entry.kind {
            EntryKind::File => {}
            EntryKind::Symlink(target) | EntryKind::Hardlink(target) => {
                let base = if matches!(entry.kind, EntryKind::Hardlink(_)) {
                    Path::new("")
                } else {
                    entry.path.parent().unwrap_or(Path::new(""))
                };
                contents.links.insert(entry.path.clone(), normal(&base.join(target)));
                return Ok(());
            }
            _ => return Ok(()),
        }
        let small = |content: &mut dyn Read| -> Result<Vec<u8>, ImageError> {
            if entry.size > DOCUMENT_BYTES_MAX {
                return Err(malformed(format!("{} is larger than {DOCUMENT_BYTES_MAX} bytes", entry.path.display())));
            }
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).map_err(|error| malformed(format!("it could not be read: {error}")))?;
            Ok(bytes)
        };
        match entry.path.to_str() {
            Some("index.json") => contents.index = Some(small(content)?),
            Some("manifest.json") => contents.docker = Some(small(content)?),
            Some("oci-layout" | "repositories") => {}
            _ => {
                let expected = blob_name(&entry.path);
                let algorithm = expected.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
                let mut writer = self.inner.blobs.writer(algorithm)?;
                io::copy(content, &mut writer)
                    .map_err(io_error("write an image archive into", &self.inner.directory))?;
                let stored = writer.commit(expected.as_ref())?;
                contents.files.insert(entry.path, stored);
            }
        }
        Ok(())
    }

    fn finish_load(&self, contents: &Contents) -> Result<Vec<Loaded>, ImageError> {
        let docker: Vec<DockerImage> = match &contents.docker {
            Some(bytes) => {
                serde_json::from_slice(bytes).map_err(|error| malformed(format!("manifest.json: {error}")))?
            }
            None => Vec::new(),
        };
        let loaded = match (&contents.index, &contents.docker) {
            (Some(index), _) => self.load_oci(index, &docker)?,
            (None, Some(_)) => {
                docker.iter().map(|image| self.load_docker(image, contents)).collect::<Result<_, _>>()?
            }
            (None, None) => {
                return Err(malformed("it has neither index.json (OCI layout) nor manifest.json (docker save)"));
            }
        };
        if loaded.is_empty() {
            return Err(malformed("it holds no image for this machine"));
        }
        for Loaded { digest, references } in &loaded {
            for reference in references {
                self.tag(digest, reference)?;
            }
        }
        Ok(loaded)
    }

    fn load_oci(&self, index: &[u8], docker: &[DockerImage]) -> Result<Vec<Loaded>, ImageError> {
        let index: Index = serde_json::from_slice(index).map_err(|error| malformed(format!("index.json: {error}")))?;
        let mut all: BTreeMap<Digest, BTreeSet<Reference>> = BTreeMap::new();
        for descriptor in &index.manifests {
            // Bills of materials and signatures lie beside images.
            if descriptor.annotations.contains_key("vnd.docker.reference.type") || descriptor.artifact_type.is_some() {
                continue;
            }
            if !self.inner.blobs.contains(&descriptor.digest)? {
                return Err(malformed(format!("its index names {}, which is not in it", descriptor.digest)));
            }
            let image = match self.image(&descriptor.digest) {
                Ok(image) => image,
                // One of several platforms need not be complete.
                Err(ImageError::Platform { .. }) if index.manifests.len() > 1 => continue,
                Err(ImageError::Missing { digest }) => return Err(malformed(format!("{digest} is not in it"))),
                Err(error) => return Err(error),
            };
            let suits = image.config.architecture.is_empty()
                || maru_oci::Platform::host().architecture == image.config.architecture;
            if !suits && index.manifests.len() > 1 {
                continue;
            }
            for layer in image.layers()? {
                if !self.inner.blobs.contains(&layer.descriptor.digest)? {
                    return Err(malformed(format!("layer {} is not in it", layer.descriptor.digest)));
                }
            }
            let names = all.entry(image.digest.clone()).or_default();
            for key in [NAME, REF_NAME] {
                // A bare tag names nothing.
                let name = descriptor.annotations.get(key).filter(|name| key == NAME || name.contains(['/', ':']));
                names.extend(name.and_then(|name| name.parse::<Reference>().ok()));
            }
            let config = &image.manifest.config.digest;
            let same = docker.iter().filter(|docker| docker.config.contains(config.hex()));
            names.extend(
                same.flat_map(|docker| docker.repo_tags.iter().flatten())
                    .filter_map(|tag| tag.parse::<Reference>().ok()),
            );
        }
        Ok(all
            .into_iter()
            .map(|(digest, references)| Loaded { digest, references: references.into_iter().collect() })
            .collect())
    }

    fn load_docker(&self, image: &DockerImage, contents: &Contents) -> Result<Loaded, ImageError> {
        let find = |name: &str| -> Result<&Stored, ImageError> {
            let mut path = normal(Path::new(name));
            // Layers that several images share were once links.
            for _ in 0..8 {
                match contents.links.get(&path) {
                    Some(target) => path.clone_from(target),
                    None => break,
                }
            }
            contents.files.get(&path).ok_or_else(|| malformed(format!("\"{name}\" is not in it")))
        };
        let config = find(&image.config)?;
        let bytes = self.inner.blobs.read(&config.digest, usize::try_from(DOCUMENT_BYTES_MAX).unwrap_or(usize::MAX))?;
        let parsed: ImageConfig =
            serde_json::from_slice(&bytes).map_err(|error| malformed(format!("{}: {error}", image.config)))?;
        if parsed.rootfs.diff_ids.len() != image.layers.len() {
            return Err(malformed(format!("{} lists another number of layers than manifest.json", image.config)));
        }
        let mut layers = Vec::new();
        for name in &image.layers {
            let stored = find(name)?;
            layers.push(Descriptor::new(self.layer_type(&stored.digest)?, stored.digest.clone(), stored.size));
        }
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.to_owned()),
            artifact_type: None,
            config: Descriptor::new(media_type::CONFIG, config.digest.clone(), config.size),
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        };
        let digest = self.put_json(&manifest)?.digest;
        let references = image.repo_tags.iter().flatten().filter_map(|tag| tag.parse().ok()).collect();
        Ok(Loaded { digest, references })
    }

    fn layer_type(&self, digest: &Digest) -> Result<&'static str, ImageError> {
        let mut magic = Vec::new();
        let file = self.inner.blobs.open_blob(digest)?;
        file.take(4).read_to_end(&mut magic).map_err(io_error("read", &self.inner.blobs.path(digest)))?;
        Ok(match magic.as_slice() {
            [0x1f, 0x8b, ..] => media_type::LAYER_GZIP,
            [0x28, 0xb5, 0x2f, 0xfd] => media_type::LAYER_ZSTD,
            _ => media_type::LAYER,
        })
    }

    /// Writes images as a tar archive in OCI layout that `docker load` reads too. The same images give the same bytes.
    ///
    /// # Errors
    /// When an image is not here, or writing fails.
    pub fn save(&self, references: &[Reference], archive: &mut dyn Write) -> Result<(), ImageError> {
        let _lease = self.lease()?;
        let mut manifests = Vec::new();
        let mut docker: Vec<DockerImage> = Vec::new();
        let mut blobs: BTreeSet<Digest> = BTreeSet::new();
        for reference in references {
            let missing = || ImageError::Malformed {
                what: reference.familiar(),
                problem: "it is not on this machine".to_owned(),
            };
            let image = self.image(&self.resolve(reference)?.ok_or_else(missing)?)?;
            let size = self.inner.blobs.size(&image.digest)?.unwrap_or(0);
            let kind = image.manifest.media_type.as_deref().unwrap_or(media_type::MANIFEST);
            let mut descriptor = Descriptor::new(kind, image.digest.clone(), size);
            descriptor.annotations.insert(NAME.to_owned(), reference.to_string());
            if let Some(tag) = reference.tag() {
                descriptor.annotations.insert(REF_NAME.to_owned(), tag.to_owned());
            }
            manifests.push(descriptor);
            docker.push(DockerImage {
                config: name_of(&image.manifest.config.digest),
                repo_tags: reference.tag().map(|_| vec![reference.familiar()]),
                layers: image.manifest.layers.iter().map(|layer| name_of(&layer.digest)).collect(),
            });
            blobs.extend([image.digest, image.manifest.config.digest]);
            blobs.extend(image.manifest.layers.into_iter().map(|layer| layer.digest));
        }
        let index = Index {
            schema_version: 2,
            media_type: Some(media_type::INDEX.to_owned()),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: BTreeMap::new(),
        };
        let json = |value: serde_json::Result<Vec<u8>>| value.map_err(|error| malformed(error.to_string()));
        let (index, docker) = (json(serde_json::to_vec(&index))?, json(serde_json::to_vec(&docker))?);
        let written = || io_error("write the archive of", &self.inner.directory);
        let mut writer = LayerWriter::new(archive, 0);
        for (name, content) in [
            ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.as_slice()),
            ("index.json", &index),
            ("manifest.json", &docker),
        ] {
            writer.add(&file_entry(name.into(), content.len() as u64), &mut &*content).map_err(written())?;
        }
        for digest in &blobs {
            let mut file = self.inner.blobs.open_blob(digest)?;
            let size = self.inner.blobs.size(digest)?.unwrap_or(0);
            writer.add(&file_entry(name_of(digest).into(), size), &mut file).map_err(written())?;
        }
        writer.finish().and_then(|archive| archive.flush()).map_err(written())
    }
}

fn name_of(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

/// Reads `blobs/<algorithm>/<hex>`.
fn blob_name(path: &Path) -> Option<Digest> {
    let mut parts = path.to_str()?.strip_prefix("blobs/")?.split('/');
    let (algorithm, hex) = (parts.next()?, parts.next()?);
    parts.next().is_none().then(|| format!("{algorithm}:{hex}").parse().ok()).flatten()
}

fn file_entry(path: PathBuf, size: u64) -> Entry {
    Entry {
        path,
        kind: EntryKind::File,
        mode: 0o644,
        uid: 0,
        gid: 0,
        modified_seconds: 0,
        size,
        xattrs: BTreeMap::new(),
    }
}

/// Resolves `.` and `..` in a path of an archive.
fn normal(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::Normal(name) => cleaned.push(name),
            std::path::Component::ParentDir => drop(cleaned.pop()),
            _ => {}
        }
    }
    cleaned
}
