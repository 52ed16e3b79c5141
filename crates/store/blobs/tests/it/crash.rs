//! A writer is killed at any moment; what it acknowledged is there, and nothing that is there is damaged.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use maru_blobs::BlobStore;

use crate::numbered;

/// How often the writer is killed.
const KILLS: u64 = 12;
/// Names the store's directory to the writer.
const DIRECTORY: &str = "MARU_BLOBS_CRASH_DIRECTORY";

/// The writer: a process of its own, which says each digest when it is acknowledged.
#[test]
#[ignore = "started by the other test"]
fn writer() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let store = BlobStore::open(Path::new(&directory)).unwrap();
    for number in 0.. {
        let (digest, content) = numbered(number);
        if number % 2 == 0 {
            store.put(&content).unwrap();
        } else if let Some(mut partial) = store.receive(&digest).unwrap() {
            let done = usize::try_from(partial.size()).unwrap();
            for piece in content[done..].chunks(10_000) {
                partial.append(piece).unwrap();
            }
            partial.commit().unwrap();
        }
        // Written at once: the test harness catches what goes through `print!`.
        let line = format!("acknowledged {digest}\n");
        std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
    }
}

#[test]
fn a_killed_writer_loses_nothing_that_it_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::writer", "--ignored", "--nocapture"])
            .env(DIRECTORY, home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let wanted = 1 + round * 3;
        let mut seen = 0;
        while seen < wanted {
            let line = lines.next().expect("the writer writes until it is killed").unwrap();
            if let Some(digest) = line.strip_prefix("acknowledged ") {
                acknowledged.insert(digest.parse::<maru_oci::Digest>().unwrap());
                seen += 1;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said between the last line read and its end counts as well.
        for line in lines.map_while(Result::ok) {
            acknowledged
                .extend(line.strip_prefix("acknowledged ").and_then(|digest| digest.parse::<maru_oci::Digest>().ok()));
        }
        let store = BlobStore::open(home.path()).unwrap();
        for digest in &acknowledged {
            store.verify(digest).unwrap();
        }
        for blob in store.list().unwrap() {
            store.verify(&blob.digest).unwrap();
        }
    }
    let store = BlobStore::open(home.path()).unwrap();
    let kept = store.list().unwrap().len();
    let marked = store.list().unwrap().into_iter().map(|blob| blob.digest).collect();
    store.collect(&marked).unwrap();
    assert_eq!(store.list().unwrap().len(), kept);
    assert_eq!(std::fs::read_dir(home.path().join("partial")).unwrap().count(), 0);
}
