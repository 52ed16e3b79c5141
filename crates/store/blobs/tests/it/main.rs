//! The blob store: digests, several writers, crashes.

#![expect(clippy::unwrap_used, reason = "the whole program is tests; helpers outside of test functions too")]

mod crash;

use std::collections::BTreeSet;
use std::io::Write as _;

use maru_blobs::{BlobError, BlobStore};
use maru_oci::{Algorithm, Digest, Hasher};

fn store() -> (tempfile::TempDir, BlobStore) {
    let home = tempfile::tempdir().unwrap();
    let store = BlobStore::open(home.path()).unwrap();
    (home, store)
}

#[test]
fn what_is_written_is_read_under_its_digest() {
    let (_home, store) = store();
    let stored = store.put(b"content").unwrap();
    assert_eq!(stored.digest, Digest::sha256(b"content"));
    assert_eq!(store.read(&stored.digest, 100).unwrap(), b"content");
    assert_eq!(store.put(b"content").unwrap(), stored);
    assert_eq!(store.list().unwrap(), std::slice::from_ref(&stored));
    assert!(matches!(store.read(&stored.digest, 3), Err(BlobError::TooLarge { size: 7, limit: 3, .. })));
    store.remove(&stored.digest).unwrap();
    store.remove(&stored.digest).unwrap();
    assert!(matches!(store.read(&stored.digest, 100), Err(BlobError::Missing { .. })));
    let mut writer = store.writer(Algorithm::Sha512).unwrap();
    writer.write_all(b"abc").unwrap();
    assert_eq!(writer.commit(None).unwrap().digest.algorithm(), Algorithm::Sha512);
}

#[test]
fn content_of_another_digest_is_refused_and_leaves_nothing() {
    let (home, store) = store();
    let wanted = Digest::sha256(b"wanted");
    let mut writer = store.writer(Algorithm::Sha256).unwrap();
    writer.write_all(b"other").unwrap();
    let error = writer.commit(Some(&wanted)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("blob {wanted} rejected: content hashes to {}; send it again", Digest::sha256(b"other"))
    );
    let mut partial = store.receive(&wanted).unwrap().unwrap();
    partial.append(b"other").unwrap();
    assert!(matches!(partial.commit(), Err(BlobError::DigestMismatch { .. })));
    drop(store.writer(Algorithm::Sha256).unwrap());
    assert!(store.list().unwrap().is_empty());
    assert_eq!(std::fs::read_dir(home.path().join("partial")).unwrap().count(), 0);
}

#[test]
fn damage_on_disk_is_found() {
    let (_home, store) = store();
    let digest = store.put(b"content").unwrap().digest;
    store.verify(&digest).unwrap();
    std::fs::write(store.path(&digest), b"contenT").unwrap();
    assert!(matches!(store.verify(&digest), Err(BlobError::DigestMismatch { .. })));
    assert!(matches!(store.read(&digest, 100), Err(BlobError::DigestMismatch { .. })));
}

#[test]
fn a_received_blob_is_continued() {
    let (home, store) = store();
    let digest = Digest::sha256(b"first second");
    let mut partial = store.receive(&digest).unwrap().unwrap();
    partial.append(b"first ").unwrap();
    drop(partial);
    let again = BlobStore::open(home.path()).unwrap();
    let mut partial = again.receive(&digest).unwrap().unwrap();
    assert_eq!(partial.size(), 6);
    partial.append(b"second").unwrap();
    partial.commit().unwrap();
    assert!(store.contains(&digest).unwrap());
    assert!(store.receive(&digest).unwrap().is_none());
}

#[test]
fn one_receives_and_the_others_wait() {
    let (home, _) = store();
    let content = vec![7u8; 1 << 20];
    let digest = Digest::sha256(&content);
    let received = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                // A store of its own each, as another process has.
                let store = BlobStore::open(home.path()).unwrap();
                if let Some(mut partial) = store.receive(&digest).unwrap() {
                    assert_eq!(partial.size(), 0);
                    for piece in content.chunks(1 << 16) {
                        partial.append(piece).unwrap();
                    }
                    partial.commit().unwrap();
                    received.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                }
                assert!(store.contains(&digest).unwrap());
            });
        }
    });
    assert_eq!(received.into_inner(), 1);
}

#[test]
fn many_write_the_same_and_different_blobs() {
    let (home, store) = store();
    std::thread::scope(|threads| {
        for writer in 0..6u8 {
            let home = &home;
            threads.spawn(move || {
                let store = BlobStore::open(home.path()).unwrap();
                for number in 0..40u8 {
                    store.put(&[number; 5_000]).unwrap();
                    store.put(&[writer, number]).unwrap();
                }
            });
        }
    });
    let all = store.list().unwrap();
    assert_eq!(all.len(), 40 + 6 * 40);
    for blob in all {
        store.verify(&blob.digest).unwrap();
    }
}

#[test]
fn a_collection_keeps_what_is_marked_and_what_is_being_written() {
    let (_home, store) = store();
    let kept = store.put(b"kept").unwrap().digest;
    store.put(b"garbage").unwrap();
    let coming = Digest::sha256(b"coming");
    let abandoned = Digest::sha256(b"abandoned");
    let mut partial = store.receive(&coming).unwrap().unwrap();
    partial.append(b"com").unwrap();
    drop(store.receive(&abandoned).unwrap().unwrap());
    let mut writer = store.writer(Algorithm::Sha256).unwrap();
    writer.write_all(b"new").unwrap();
    let collected = store.collect(&BTreeSet::from([kept.clone()])).unwrap();
    assert_eq!((collected.blobs, collected.bytes), (1, 7));
    partial.append(b"ing").unwrap();
    partial.commit().unwrap();
    let new = writer.commit(None).unwrap();
    let digests: BTreeSet<Digest> = store.list().unwrap().into_iter().map(|blob| blob.digest).collect();
    assert_eq!(digests, BTreeSet::from([kept, coming, new.digest]));
}

/// Content that both sides of the crash test can make: the number decides it.
pub(crate) fn numbered(number: u64) -> (Digest, Vec<u8>) {
    let content: Vec<u8> = (0..20_000u64).flat_map(|at| (at.wrapping_mul(number + 1)).to_le_bytes()).collect();
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(&content);
    (hasher.finish(), content)
}
