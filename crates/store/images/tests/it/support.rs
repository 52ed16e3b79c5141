//! What the tests share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use maru_images::{ImageStore, Layer};
use maru_oci::{Digest, Entry, EntryKind, ImageConfig, LayerWriter, Platform};

/// Takes the mount away also when the test fails.
pub(crate) struct Mounted(pub(crate) PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(ImageStore::discard(&self.0));
    }
}

/// A file, or a directory when the path ends with a slash.
pub(crate) fn entry(path: &str, content: &str) -> (Entry, Vec<u8>) {
    let kind = if path.ends_with('/') { EntryKind::Directory } else { EntryKind::File };
    let mode = if path.ends_with('/') { 0o755 } else { 0o644 };
    let entry = Entry {
        path: path.trim_end_matches('/').into(),
        kind,
        mode,
        uid: 0,
        gid: 0,
        modified_seconds: 1_000,
        size: content.len() as u64,
        xattrs: BTreeMap::new(),
    };
    (entry, content.as_bytes().to_vec())
}

pub(crate) fn tar(entries: &[(Entry, Vec<u8>)], gone: &[&str]) -> Vec<u8> {
    let mut writer = LayerWriter::new(Vec::new(), i64::MAX);
    for (entry, content) in entries {
        writer.add(entry, &mut content.as_slice()).unwrap();
    }
    for path in gone {
        writer.whiteout(Path::new(path)).unwrap();
    }
    writer.finish().unwrap()
}

pub(crate) fn commit(store: &ImageStore, tars: &[Vec<u8>]) -> (Digest, Vec<Layer>) {
    let layers: Vec<Layer> = tars.iter().map(|tar| store.put_layer(&mut tar.as_slice()).unwrap()).collect();
    let digest = store.commit_image(ImageConfig::for_platform(&Platform::host()), &layers).unwrap();
    (digest, layers)
}
