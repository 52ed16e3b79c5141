//! Unpacking and mounting.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use maru_images::{DirectoryForm, DirectoryLayer, ImageError, ImageStore};
use maru_oci::{Entry, EntryKind};

use crate::support::{Mounted, commit, entry, tar};

#[test]
fn layers_are_seen_through_each_other() {
    let home = tempfile::tempdir().unwrap();
    let store = ImageStore::open(&home.path().join("images")).unwrap();
    let base = tar(
        &[entry("etc/", ""), entry("etc/a", "a"), entry("etc/b", "b"), entry("data/", ""), entry("data/old", "x")],
        &[],
    );
    let (mut private, _) = entry("etc/", "");
    private.mode = 0o2710;
    private.gid = 7;
    let middle = tar(&[(private, Vec::new())], &["etc/b"]);
    // The parent is not in this layer, so it keeps the looks of the one below.
    let top = tar(&[entry("etc/c", "c"), entry("data/", "")], &["data"]);
    let (digest, _) = commit(&store, &[base, middle, top]);
    let directory = home.path().join("pod");
    let _mounted = Mounted(directory.clone());
    let rootfs = store.mount(&digest, &directory).unwrap();
    assert_eq!(store.mount(&digest, &directory).unwrap(), rootfs);
    assert_eq!(fs::read_to_string(rootfs.path.join("etc/a")).unwrap(), "a");
    assert_eq!(fs::read_to_string(rootfs.path.join("etc/c")).unwrap(), "c");
    assert!(!rootfs.path.join("etc/b").exists());
    assert!(!rootfs.path.join("data/old").exists());
    let etc = fs::metadata(rootfs.path.join("etc")).unwrap();
    assert_eq!((etc.mode() & 0o7777, etc.gid()), (0o2710, 7));
    assert_eq!(fs::metadata(&rootfs.path).unwrap().permissions().mode() & 0o7777, 0o755);
    fs::write(rootfs.path.join("etc/a"), "changed").unwrap();
    ImageStore::unmount(&directory).unwrap();
    ImageStore::unmount(&directory).unwrap();
    let again = store.mount(&digest, &directory).unwrap();
    assert_eq!(fs::read_to_string(again.path.join("etc/a")).unwrap(), "changed");
}

#[test]
fn changes_become_a_layer_that_depends_on_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let store = ImageStore::open(&home.path().join("images")).unwrap();
    let base = tar(
        &[entry("etc/", ""), entry("etc/a", "a"), entry("etc/b", "b"), entry("dir/", ""), entry("dir/x", "x")],
        &[],
    );
    let (digest, layers) = commit(&store, &[base]);
    let mut made = Vec::new();
    for attempt in ["one", "two"] {
        let directory = home.path().join(attempt);
        let mounted = Mounted(directory.clone());
        let rootfs = store.mount(&digest, &directory).unwrap();
        fs::write(rootfs.path.join("etc/new"), "new").unwrap();
        fs::hard_link(rootfs.path.join("etc/new"), rootfs.path.join("etc/same")).unwrap();
        fs::remove_file(rootfs.path.join("etc/b")).unwrap();
        fs::remove_dir_all(rootfs.path.join("dir")).unwrap();
        fs::create_dir(rootfs.path.join("dir")).unwrap();
        fs::write(rootfs.path.join("dir/y"), "y").unwrap();
        std::os::unix::fs::symlink("etc/new", rootfs.path.join("link")).unwrap();
        let options = DirectoryLayer { form: DirectoryForm::Overlay, modified_max: 0 };
        made.push(store.put_directory(&rootfs.upper, options).unwrap());
        drop(mounted);
    }
    assert_eq!(made[0], made[1]);
    let config = store.config(&digest).unwrap();
    let changed = store.commit_image(config, &[layers[0].clone(), made[0].clone()]).unwrap();
    let directory = home.path().join("three");
    let _mounted = Mounted(directory.clone());
    let rootfs = store.mount(&changed, &directory).unwrap();
    assert_eq!(fs::read_to_string(rootfs.path.join("etc/same")).unwrap(), "new");
    assert_eq!(fs::read_to_string(rootfs.path.join("link")).unwrap(), "new");
    assert_eq!(
        fs::metadata(rootfs.path.join("etc/new")).unwrap().ino(),
        fs::metadata(rootfs.path.join("etc/same")).unwrap().ino()
    );
    assert_eq!(fs::metadata(rootfs.path.join("etc/new")).unwrap().mtime(), 0);
    assert!(!rootfs.path.join("etc/b").exists());
    assert!(!rootfs.path.join("dir/x").exists());
    assert_eq!(fs::read_to_string(rootfs.path.join("dir/y")).unwrap(), "y");
}

#[test]
fn a_layer_cannot_write_outside_its_directory() {
    let home = tempfile::tempdir().unwrap();
    let store = ImageStore::open(&home.path().join("images")).unwrap();
    let outside = home.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let (mut link, _) = entry("way", "");
    link.kind = EntryKind::Symlink(outside.clone());
    let (mut climb, _) = entry("climb", "");
    climb.kind = EntryKind::Symlink("../../../../../../../../../../../../tmp".into());
    let absolute = tar(&[(link.clone(), Vec::new()), entry("way/planted", "x")], &[]);
    let climbing = tar(&[(climb, Vec::new()), entry("climb/planted-by-maru-test", "x")], &[]);
    for (number, bad) in [absolute, climbing].into_iter().enumerate() {
        let (digest, _) = commit(&store, &[bad]);
        let directory = home.path().join(number.to_string());
        let _mounted = Mounted(directory.clone());
        // Either refused, or kept inside.
        drop(store.mount(&digest, &directory));
        assert!(fs::read_dir(&outside).unwrap().next().is_none());
        assert!(!std::path::Path::new("/tmp/planted-by-maru-test").exists());
    }
    let mut hard: Entry = link.clone();
    hard.path = "hard".into();
    hard.kind = EntryKind::Hardlink("way/../../../etc/passwd".into());
    let (digest, _) = commit(&store, &[tar(&[(link, Vec::new()), (hard, Vec::new())], &[])]);
    let error = store.mount(&digest, &home.path().join("hard")).unwrap_err();
    assert!(matches!(error, ImageError::Layer { .. }), "{error}");
    assert!(
        fs::read_dir(home.path().join("images/snapshots")).unwrap().all(|entry| !entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("new-"))
    );
}

#[test]
fn many_layers_fit_into_one_mount() {
    let home = tempfile::tempdir().unwrap();
    let store = ImageStore::open(&home.path().join("images")).unwrap();
    let tars: Vec<Vec<u8>> = (0..100).map(|number| tar(&[entry(&format!("file-{number}"), "x")], &[])).collect();
    let (digest, _) = commit(&store, &tars);
    let directory = home.path().join("pod, with: odd\\name");
    let _mounted = Mounted(directory.clone());
    let rootfs = store.mount(&digest, &directory).unwrap();
    assert_eq!(fs::read_dir(&rootfs.path).unwrap().count(), 100);
}

#[test]
fn several_unpack_the_same_layers_at_once() {
    let home = tempfile::tempdir().unwrap();
    let big = "x".repeat(300_000);
    let tars: Vec<Vec<u8>> = (0..5).map(|number| tar(&[entry(&format!("file-{number}"), &big)], &[])).collect();
    let path = home.path().join("images");
    let (digest, _) = commit(&ImageStore::open(&path).unwrap(), &tars);
    std::thread::scope(|threads| {
        for _ in 0..6 {
            // A store of its own each, as another process has.
            threads.spawn(|| ImageStore::open(&path).unwrap().unpack(&digest).unwrap());
        }
    });
    assert_eq!(fs::read_dir(path.join("snapshots")).unwrap().count(), 5);
}

#[test]
fn garbage_goes_and_what_is_used_stays() {
    let home = tempfile::tempdir().unwrap();
    let store = ImageStore::open(&home.path().join("images")).unwrap();
    let shared = tar(&[entry("shared", "s")], &[]);
    let (named, _) = commit(&store, &[shared.clone(), tar(&[entry("a", "a")], &[])]);
    let (used, _) = commit(&store, &[shared, tar(&[entry("b", "b")], &[])]);
    let (lost, _) = commit(&store, &[tar(&[entry("c", "c")], &[])]);
    for image in [&named, &used, &lost] {
        store.unpack(image).unwrap();
    }
    store.tag(&named, &"shop/named:1".parse().unwrap()).unwrap();
    let bill = store.attach_artifact(&named, maru_oci::media_type::CYCLONEDX, b"{}").unwrap();
    let lease = store.lease().unwrap();
    assert!(matches!(store.collect_garbage(&BTreeSet::new(), &BTreeSet::new()), Err(ImageError::Busy)));
    drop(lease);
    let in_use = BTreeSet::from([used.clone()]);
    let collected = store.collect_garbage(&in_use, &BTreeSet::new()).unwrap();
    assert_eq!((collected.blobs, collected.snapshots), (3, 1));
    assert!(store.image(&named).is_ok() && store.image(&used).is_ok());
    assert!(matches!(store.image(&lost), Err(ImageError::Missing { .. })));
    assert_eq!(store.artifacts(&named).unwrap()[0].0, bill);
    assert!(store.remove(&"shop/named:1".parse().unwrap()).unwrap());
    assert!(!store.remove(&"shop/named:1".parse().unwrap()).unwrap());
    store.collect_garbage(&BTreeSet::new(), &BTreeSet::new()).unwrap();
    assert!(store.blobs().list().unwrap().is_empty());
    assert_eq!(fs::read_dir(home.path().join("images/snapshots")).unwrap().count(), 0);
}

#[test]
fn names_resolve_to_images() {
    let home = tempfile::tempdir().unwrap();
    let store = ImageStore::open(&home.path().join("images")).unwrap();
    let (digest, _) = commit(&store, &[tar(&[entry("a", "a")], &[])]);
    store.tag(&digest, &"shop/orders:dev".parse().unwrap()).unwrap();
    assert_eq!(store.resolve(&"docker.io/shop/orders:dev".parse().unwrap()).unwrap(), Some(digest.clone()));
    assert_eq!(store.resolve(&format!("anything@{digest}").parse().unwrap()).unwrap(), Some(digest.clone()));
    assert_eq!(store.resolve(&"shop/orders:other".parse().unwrap()).unwrap(), None);
    assert_eq!(store.list().unwrap().len(), 1);
    let missing = maru_oci::Digest::sha256(b"missing");
    assert!(store.tag(&missing, &"shop/x".parse().unwrap()).is_err());
}
