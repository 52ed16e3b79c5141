//! Flipped and missing bytes in any file: that piece is named and set aside, the rest serves.

use std::path::{Path, PathBuf};

use crate::restart::copy;
use crate::{ALL, Numbers, open, read, value_of, write_rounds};

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.file_name().unwrap() != "lock" {
            all.push(path);
        }
    }
    all.sort();
    all
}

/// A store with a block, chunk files, a checkpoint and a log.
fn rich_store(directory: &Path) {
    let (store, _) = open(directory);
    write_rounds(&store, 6, 0..400, 30_000);
    store.maintain_now().unwrap();
    write_rounds(&store, 6, 400..500, 30_000);
}

/// Nothing that is found is wrong, whatever is missing.
fn check_truth(directory: &Path, what: &str) -> (usize, usize) {
    let (store, report) = open(directory);
    let mut samples = 0;
    for (labels, found) in read(&store, &[], ALL) {
        let series: u64 = labels.get("instance").unwrap().strip_prefix("host-").unwrap().parse().unwrap();
        for (at, value) in found {
            assert_eq!(value.to_bits(), value_of(series, at).to_bits(), "{what}");
            samples += 1;
        }
    }
    let damage = report.set_aside.len().max(store.damage().len());
    // Writing goes on.
    write_rounds(&store, 6, 600..601, 30_000);
    (samples, damage)
}

#[test]
fn a_flipped_byte_in_any_file_is_named_and_the_rest_serves() {
    let directory = tempfile::tempdir().unwrap();
    rich_store(directory.path());
    let mut numbers = Numbers(7);
    for file in files(directory.path()) {
        let bytes = std::fs::read(&file).unwrap();
        let name = file.strip_prefix(directory.path()).unwrap().to_owned();
        assert!(!bytes.is_empty(), "{} is empty", name.display());
        for _ in 0..12 {
            let at = usize::try_from(numbers.below(bytes.len() as u64)).unwrap();
            let damaged = tempfile::tempdir().unwrap();
            copy(directory.path(), damaged.path());
            let mut flipped = bytes.clone();
            flipped[at] ^= u8::try_from(1 + numbers.below(255)).unwrap();
            std::fs::write(damaged.path().join(&name), &flipped).unwrap();
            let what = format!("byte {at} of {}", name.display());
            let (samples, damage) = check_truth(damaged.path(), &what);
            assert!(damage > 0 || samples == 3000, "{what}: {samples} samples and nothing said");
            assert!(samples >= 300, "{what}: only {samples} samples are left");
            // Of the head's files, the piece is kept for who wants to look at it.
            if damage > 0 && !name.starts_with("blocks") {
                assert!(damaged.path().join("damaged").exists(), "{what}");
            }
            check_again(damaged.path(), &what);
        }
    }
}

/// The next start works too.
fn check_again(directory: &Path, what: &str) {
    let (store, _) = open(directory);
    assert!(!read(&store, &[], ALL).is_empty(), "{what}");
}

#[test]
fn a_file_that_is_cut_off_or_gone_does_not_stop_the_start() {
    let directory = tempfile::tempdir().unwrap();
    rich_store(directory.path());
    let mut numbers = Numbers(9);
    for file in files(directory.path()) {
        let bytes = std::fs::read(&file).unwrap();
        let name = file.strip_prefix(directory.path()).unwrap().to_owned();
        assert!(!bytes.is_empty(), "{} is empty", name.display());
        for round in 0..8 {
            let damaged = tempfile::tempdir().unwrap();
            copy(directory.path(), damaged.path());
            let target = damaged.path().join(&name);
            let what = if round == 0 {
                std::fs::remove_file(&target).unwrap();
                format!("{} is gone", name.display())
            } else {
                let length = usize::try_from(numbers.below(bytes.len() as u64)).unwrap();
                std::fs::write(&target, &bytes[..length]).unwrap();
                format!("{} has only {length} bytes", name.display())
            };
            check_truth(damaged.path(), &what);
            check_again(damaged.path(), &what);
        }
    }
}
