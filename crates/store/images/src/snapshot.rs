//! Unpacked layers.
//!
//! `snapshots/<hex of the chain id>` holds what a layer changes upon the layers below it, in overlayfs' form. A snapshot
//! appears by a rename after its files are on disk.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use maru_oci::{Digest, Hasher, LayerLimits};

use crate::error::{ImageError, io_error};
use crate::store::{ImageStore, Layer};
use crate::unpack::{Existing, UnpackError, Unpacker};

/// Returns the chain id of each layer: the identity of the layer upon those below it (OCI "config.md", "Layer ChainID").
pub(crate) fn chain_ids<'a>(diff_ids: impl IntoIterator<Item = &'a Digest>) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::new();
    for diff_id in diff_ids {
        let next = match chain.last() {
            None => diff_id.clone(),
            Some(parent) => {
                let mut hasher = Hasher::new(maru_oci::Algorithm::Sha256);
                hasher.update(format!("{parent} {diff_id}").as_bytes());
                hasher.finish()
            }
        };
        chain.push(next);
    }
    chain
}

impl ImageStore {
    fn snapshot_path(&self, chain_id: &Digest) -> PathBuf {
        self.inner.directory.join("snapshots").join(chain_id.hex())
    }

    /// Returns the unpacked layers, base first; unpacks those that are not yet. Other processes doing the same wait.
    pub(crate) fn prepare(&self, layers: &[Layer]) -> Result<Vec<PathBuf>, ImageError> {
        let chain = chain_ids(layers.iter().map(|layer| &layer.diff_id));
        let finished: Vec<PathBuf> = chain.iter().map(|id| self.snapshot_path(id)).collect();
        let mut locks = Vec::new();
        let mut ready: Vec<PathBuf> = Vec::new();
        let mut fresh: Vec<(PathBuf, &PathBuf)> = Vec::new();
        let outcome = (|| {
            for ((layer, id), path) in layers.iter().zip(&chain).zip(&finished) {
                if fresh.is_empty() && path.is_dir() {
                    ready.push(path.clone());
                    continue;
                }
                locks.push(self.lock_chain(id)?);
                if path.is_dir() {
                    ready.push(path.clone());
                    continue;
                }
                let temporary =
                    self.inner.directory.join("snapshots").join(format!("new-{}", maru_ids::random_suffix(16)));
                fs::DirBuilder::new().mode(0o755).create(&temporary).map_err(io_error("create", &temporary))?;
                fresh.push((temporary.clone(), path));
                let lower: Vec<PathBuf> = ready.iter().rev().cloned().collect();
                self.unpack_layer(layer, &temporary, &lower)?;
                ready.push(temporary);
            }
            if let Some((first, _)) = fresh.first() {
                // The files must be on disk before their directory has the name that says so.
                let directory = File::open(first).map_err(io_error("open", first))?;
                rustix::fs::syncfs(&directory).map_err(|error| io_error("sync", first)(error.into()))?;
            }
            for (temporary, path) in &fresh {
                fs::rename(temporary, path).map_err(io_error("rename a snapshot to", path))?;
            }
            Ok(())
        })();
        if outcome.is_err() {
            for (temporary, _) in &fresh {
                // What cannot be removed now goes with the next garbage collection.
                drop(fs::remove_dir_all(temporary));
            }
        }
        outcome.map(|()| finished)
    }

    /// Layers are always locked base first, so that nobody waits in a circle.
    fn lock_chain(&self, chain_id: &Digest) -> Result<File, ImageError> {
        let path = self.inner.directory.join("locks").join(chain_id.hex());
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("open", &path))?;
        file.lock().map_err(io_error("lock", &path))?;
        Ok(file)
    }

    fn unpack_layer(&self, layer: &Layer, target: &Path, lower: &[PathBuf]) -> Result<(), ImageError> {
        let blob = self.inner.blobs.open_blob(&layer.descriptor.digest)?;
        let plain =
            maru_oci::decompress(blob).map_err(io_error("read", &self.inner.blobs.path(&layer.descriptor.digest)))?;
        let mut hashing = HashingReader { source: plain, hasher: Hasher::new(layer.diff_id.algorithm()) };
        let unusable = |error: UnpackError| ImageError::Layer {
            layer: layer.descriptor.digest.to_string(),
            problem: error.story(),
        };
        let mut unpacker = Unpacker::new(target, lower, Existing::Overlay).map_err(unusable)?;
        maru_oci::read_layer(&mut hashing, LayerLimits::default(), &mut |change, content| {
            unpacker.apply(change, content)
        })
        .map_err(unusable)?;
        unpacker.finish().map_err(unusable)?;
        let actual = hashing.hasher.finish();
        if actual == layer.diff_id {
            return Ok(());
        }
        Err(ImageError::Layer {
            layer: layer.descriptor.digest.to_string(),
            problem: format!("its content hashes to {actual}, the image's configuration says {}", layer.diff_id),
        })
    }

    /// Removes snapshots but those of the given chains. The caller keeps everybody else out.
    pub(crate) fn collect_snapshots(&self, chains: &BTreeSet<Digest>) -> Result<u64, ImageError> {
        let keep: BTreeSet<&str> = chains.iter().map(Digest::hex).collect();
        let directory = self.inner.directory.join("snapshots");
        let mut removed = 0;
        for entry in fs::read_dir(&directory).map_err(io_error("list", &directory))? {
            let path = entry.map_err(io_error("list", &directory))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if keep.contains(name) {
                continue;
            }
            fs::remove_dir_all(&path).map_err(io_error("remove", &path))?;
            removed += 1;
            match fs::remove_file(self.inner.directory.join("locks").join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error("remove", &path)(error)),
                _ => {}
            }
        }
        Ok(removed)
    }
}

struct HashingReader<R> {
    source: R,
    hasher: Hasher,
}

impl<R: io::Read> io::Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
