//! A disk without room.

use std::path::Path;
use std::process::Command;

use maru_objects::{CommitError, Durability, Expected, Key};

use crate::{open, put};

const DIRECTORY: &str = "MARU_OBJECTS_FULL_DIRECTORY";

/// Needs root: a small file system is mounted in a mount namespace of its own, which ends with the child.
#[test]
fn a_full_disk_refuses_writes_loses_nothing_and_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=2m tmpfs "$1" && exec "$2" disk_full::child_fills_its_disk --exact --ignored --nocapture"#;
    let result = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-ec", script, "sh"])
        .arg(directory.path())
        .arg(std::env::current_exe().unwrap())
        .env(DIRECTORY, directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&result.stdout).into_owned() + &String::from_utf8_lossy(&result.stderr);
    assert!(result.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "runs as the child of another test"]
fn child_fills_its_disk() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let ballast = directory.join("ballast");
    std::fs::write(&ballast, vec![1u8; 1024 * 1024]).unwrap();
    let store = open(&directory.join("store"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let value = vec![7u8; 20_000];
    let mut written = Vec::new();
    let refused = runtime.block_on(async {
        for turn in 0..1000 {
            let key = Key::new("pods", "a", &format!("pod{turn:04}"));
            match store.commit(put(&key, Expected::Absent, value.clone(), Durability::Durable)).await {
                Ok(record) => written.push(record),
                Err(error) => return error,
            }
        }
        panic!("the disk never got full");
    });
    assert!(matches!(refused, CommitError::DiskFull { .. }), "{refused:?}");
    assert!(!written.is_empty() && store.broken().is_none());
    let count = store.count("pods");
    assert_eq!(count, written.len(), "a refused write is not visible");

    std::fs::remove_file(&ballast).unwrap();
    let key = Key::new("pods", "a", "later");
    let later = runtime.block_on(store.commit(put(&key, Expected::Absent, value, Durability::Durable))).unwrap();
    written.push(later);
    store.close();
    let store = open(&directory.join("store"));
    assert_eq!(store.list("pods", None).records.len(), written.len());
    for record in written {
        assert_eq!(store.get(&record.key), Some(record));
    }
}
