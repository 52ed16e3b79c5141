//! What was acknowledged is there after a stop at any moment.

use std::path::Path;

use maru_series::{OpenError, SeriesStore};

use crate::{ALL, check_rounds, open, options, read, write_rounds};

/// Copies a store's files, as a crash at this moment would leave them.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_second_process_is_told_that_the_store_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    assert!(matches!(SeriesStore::open(options(directory.path())), Err(OpenError::InUse { .. })));
    drop(store);
    open(directory.path());
}

#[test]
fn all_is_there_after_a_crash_at_any_round() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    for round in 0..40 {
        // Chunks fill up, checkpoints are made and blocks are cut in between.
        write_rounds(&store, 7, round * 20..(round + 1) * 20, 20_000);
        if round % 7 == 3 {
            store.maintain_now().unwrap();
        }
        let crashed = tempfile::tempdir().unwrap();
        copy(directory.path(), crashed.path());
        let (again, report) = open(crashed.path());
        assert_eq!(report.set_aside, vec![], "round {round}");
        check_rounds(&again, 7, 0..(round + 1) * 20, 20_000);
        // And it goes on from there, and stops, and starts.
        write_rounds(&again, 7, (round + 1) * 20..(round + 1) * 20 + 130, 20_000);
        drop(again);
        let (again, report) = open(crashed.path());
        assert_eq!(report.set_aside, vec![], "round {round}");
        check_rounds(&again, 7, 0..(round + 1) * 20 + 130, 20_000);
    }
}

#[test]
fn logs_and_checkpoints_of_before_their_frames_were_packed_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    // So few bytes that no frame is packed: only the first bytes of the files differ from the old ones.
    write_rounds(&store, 2, 0..4, 15_000);
    store.flush().unwrap();
    write_rounds(&store, 2, 4..8, 15_000);
    drop(store);
    let mut changed = 0;
    for folder in ["log", "head"] {
        for entry in std::fs::read_dir(directory.path().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(2).any(|mark| mark == b"mZ"), "{}", path.display());
            if bytes.starts_with(b"maruLOG2") {
                bytes[7] = b'1';
                let sum = crc32fast::hash(&bytes[..28]);
                bytes[28..32].copy_from_slice(&sum.to_le_bytes());
            } else if bytes.starts_with(b"maruCKP2") {
                bytes[7] = b'1';
            } else {
                continue;
            }
            changed += 1;
            std::fs::write(&path, bytes).unwrap();
        }
    }
    assert_eq!(changed, 2);
    let (store, report) = open(directory.path());
    assert_eq!(report.set_aside, vec![]);
    check_rounds(&store, 2, 0..8, 15_000);
}

#[test]
fn a_log_cut_off_at_any_byte_keeps_every_whole_batch() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let mut ends = Vec::new();
    let path = directory.path().join("log").join("0000000000000001.log");
    for round in 0..6 {
        write_rounds(&store, 4, round..round + 1, 15_000);
        ends.push(std::fs::metadata(&path).unwrap().len());
    }
    drop(store);
    let bytes = std::fs::read(&path).unwrap();
    for length in 0..bytes.len() {
        let crashed = tempfile::tempdir().unwrap();
        copy(directory.path(), crashed.path());
        std::fs::write(crashed.path().join("log").join("0000000000000001.log"), &bytes[..length]).unwrap();
        let (again, report) = open(crashed.path());
        assert_eq!(report.set_aside, vec![], "{length}");
        let rounds = ends.iter().filter(|end| **end <= length as u64).count();
        if rounds > 0 {
            check_rounds(&again, 4, 0..i64::try_from(rounds).unwrap(), 15_000);
        }
        // The torn end is not taken for damage later either.
        write_rounds(&again, 4, 10..11, 15_000);
        drop(again);
        let (again, report) = open(crashed.path());
        assert_eq!(report.set_aside, vec![], "{length}");
        assert_eq!(read(&again, &[], ALL).first().unwrap().1.len(), rounds + 1);
    }
}

#[test]
fn a_store_that_is_idle_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    write_rounds(&store, 4, 0..300, 30_000);
    store.maintain_now().unwrap();
    let syncs = store.statistics(1).log_syncs;
    let before = listing(directory.path());
    for _ in 0..3 {
        store.maintain_now().unwrap();
    }
    assert_eq!((store.statistics(1).log_syncs, listing(directory.path())), (syncs, before));
}

fn listing(directory: &Path) -> Vec<(std::path::PathBuf, u64, std::time::SystemTime)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let data = entry.metadata().unwrap();
        if data.is_dir() {
            all.extend(listing(&entry.path()));
        } else {
            all.push((entry.path(), data.len(), data.modified().unwrap()));
        }
    }
    all.sort();
    all
}

#[tokio::test]
async fn maintenance_ends_with_its_scope() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let scope = maru_task::Scope::root("test");
    store.maintain(&scope);
    let writing = store.clone();
    tokio::task::spawn_blocking(move || write_rounds(&writing, 4, 0..600, 30_000)).await.unwrap();
    let watched = store.clone();
    maru_testkit::wait_until(std::time::Duration::from_secs(60), "a block", || {
        let watched = watched.clone();
        async move { watched.statistics(1).blocks > 0 }
    })
    .await;
    scope.shutdown(std::time::Duration::from_secs(60)).await.unwrap();
    check_rounds(&store, 4, 0..600, 30_000);
}
