//! Loading and saving archives.

use std::io::Write as _;

use maru_images::{ImageError, ImageStore};
use maru_oci::{Digest, ImageConfig, Platform, Reference};

use crate::support::{commit, entry, tar};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_is_saved_is_loaded_again() {
    let home = tempfile::tempdir().unwrap();
    let store = ImageStore::open(&home.path().join("one")).unwrap();
    let (digest, _) = commit(&store, &[tar(&[entry("a", "a")], &[]), tar(&[entry("b", "b")], &[])]);
    let reference: Reference = "shop/orders:1".parse().unwrap();
    store.tag(&digest, &reference).unwrap();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    store.save(std::slice::from_ref(&reference), &mut first).unwrap();
    store.save(std::slice::from_ref(&reference), &mut second).unwrap();
    assert_eq!(first, second);
    for (number, bytes) in [first.clone(), gzip(&first)].into_iter().enumerate() {
        let other = ImageStore::open(&home.path().join(format!("other-{number}"))).unwrap();
        let loaded = other.load(&mut bytes.as_slice()).unwrap();
        assert_eq!((loaded[0].digest.clone(), loaded[0].references.clone()), (digest.clone(), vec![reference.clone()]));
        assert_eq!(other.resolve(&reference).unwrap(), Some(digest.clone()));
    }
    // The same as a directory.
    let directory = home.path().join("layout");
    std::fs::create_dir(&directory).unwrap();
    maru_images::unpack_archive(&mut first.as_slice(), &directory, &|_| false).unwrap();
    let other = ImageStore::open(&home.path().join("from-directory")).unwrap();
    assert_eq!(other.load_directory(&directory).unwrap()[0].digest, digest);
}

#[test]
fn archives_of_docker_save_are_loaded() {
    let home = tempfile::tempdir().unwrap();
    let layer = tar(&[entry("a", "a")], &[]);
    let mut config = ImageConfig::for_platform(&Platform::host());
    config.rootfs.diff_ids = vec![Digest::sha256(&layer), Digest::sha256(&layer)];
    let config = serde_json::to_string(&config).unwrap();
    let manifest =
        r#"[{"Config":"abc.json","RepoTags":["shop/x:1","shop/x:2"],"Layers":["l1/layer.tar","l2/layer.tar"]}]"#;
    let (mut link, _) = entry("l2/layer.tar", "");
    link.kind = maru_oci::EntryKind::Symlink("../l1/layer.tar".into());
    let (mut file, _) = entry("l1/layer.tar", "");
    file.size = layer.len() as u64;
    let archive =
        tar(&[entry("manifest.json", manifest), entry("abc.json", &config), (file, layer), (link, Vec::new())], &[]);
    let store = ImageStore::open(home.path()).unwrap();
    let loaded = store.load(&mut archive.as_slice()).unwrap();
    assert_eq!(loaded[0].references.len(), 2);
    assert_eq!(store.image(&loaded[0].digest).unwrap().layers().unwrap().len(), 2);
    store.unpack(&loaded[0].digest).unwrap();
}

#[test]
fn what_is_no_image_archive_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let store = ImageStore::open(home.path()).unwrap();
    let absent = Digest::sha256(b"absent");
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"x","digest":"{absent}","size":1}}]}}"#);
    for (bytes, part) in [
        (Vec::new(), "neither index.json"),
        (b"not a tar archive at all".to_vec(), "ends within a header"),
        (tar(&[entry("readme", "x")], &[]), "neither index.json"),
        (tar(&[entry("index.json", "{")], &[]), "index.json"),
        (tar(&[entry("index.json", &index)], &[]), "which is not in it"),
    ] {
        let error = store.load(&mut bytes.as_slice()).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    let forged = tar(&[entry(&format!("blobs/sha256/{}", absent.hex()), "forged")], &[]);
    let error = store.load(&mut forged.as_slice()).unwrap_err();
    assert!(matches!(error, ImageError::Blob(maru_blobs::BlobError::DigestMismatch { .. })), "{error}");
    assert!(!store.blobs().contains(&absent).unwrap());
}
