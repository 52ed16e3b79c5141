//! A process under load is killed again and again.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use maru_objects::{Durability, Expected, Key, Revision, Store};

use crate::{delete, open, put};

const KILLS: u64 = 50;
const WRITERS: u32 = 8;
const DIRECTORY: &str = "MARU_OBJECTS_CRASH_DIRECTORY";

/// Each writer has three keys; what it does to a key is decided by how often it has written it.
fn key_of(writer: u32, slot: u32) -> Key {
    let resource = if is_ephemeral(writer) { "leases" } else { "pods" };
    Key::new(resource, &format!("writer{writer}"), &format!("slot{slot}"))
}

fn is_ephemeral(writer: u32) -> bool {
    writer % 4 == 3
}

fn deletes(turn: u64) -> bool {
    turn % 5 == 4
}

/// The child: writes until it is killed, and reports each acknowledgement as one line in one write.
#[test]
#[ignore = "runs as the child of another test"]
fn child_writes_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let store = open(Path::new(&directory));
    let mut watcher = store.watch("pods", None, store.progress()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async move {
        let writers = write_all_keys(&store);
        let watching = async {
            let mut last = Revision::ZERO;
            loop {
                match watcher.next().await {
                    Ok(event) if event.revision > last => last = event.revision,
                    other => {
                        println!("wrong: {other:?} after {last}");
                        std::process::abort();
                    }
                }
            }
        };
        // Neither ever ends.
        tokio::select! {
            () = writers => {}
            () = watching => {}
        }
    });
}

async fn write_all_keys(store: &Store) {
    let mut set = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        set.spawn(async move { write_forever(&store, writer).await });
    }
    set.join_all().await;
}

async fn write_forever(store: &Store, writer: u32) {
    let durability = if is_ephemeral(writer) { Durability::Ephemeral } else { Durability::Durable };
    // The turn of each key goes on from what is there.
    let mut turns: Vec<u64> = (0..3).map(|slot| read_turn(store, &key_of(writer, slot)).unwrap_or(0)).collect();
    for round in 0u32.. {
        let slot = round % 3;
        let index = usize::try_from(slot).unwrap();
        let key = key_of(writer, slot);
        let current = store.get(&key);
        let turn = match &current {
            Some(record) => turn_of(&record.value) + 1,
            // Behind a deletion: one more than any turn seen, rounded up to the turn after a deletion.
            None => turns[index].next_multiple_of(5),
        };
        let expected = current.as_ref().map_or(Expected::Absent, |record| Expected::Revision(record.revision));
        let write = if deletes(turn) { delete(&key, expected) } else { put(&key, expected, content(turn), durability) };
        let record = store.commit(write).await.unwrap();
        turns[index] = turn + 1;
        let line = format!("ack {writer} {slot} {turn} {}\n", record.revision);
        let mut out = std::io::stdout().lock();
        if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
            std::process::abort();
        }
    }
}

fn content(turn: u64) -> String {
    format!("{turn}:{}", "x".repeat(usize::try_from(turn * 37 % 2000).unwrap()))
}

fn turn_of(value: &[u8]) -> u64 {
    let text = std::str::from_utf8(value).unwrap();
    let turn = text.split(':').next().unwrap().parse().unwrap();
    assert_eq!(text, content(turn), "a value is whole");
    turn
}

fn read_turn(store: &Store, key: &Key) -> Option<u64> {
    store.get(key).map(|record| turn_of(&record.value) + 1)
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What was acknowledged last for a key.
#[derive(Debug, Clone, Copy)]
struct Acknowledged {
    turn: u64,
    revision: Revision,
}

type Known = BTreeMap<(u32, u32), Acknowledged>;

#[test]
fn everything_acknowledged_survives_fifty_kills() {
    let directory = tempfile::tempdir().unwrap();
    let mut known = Known::new();
    let mut newest = Revision::ZERO;
    let mut total = 0;
    for kill in 0..KILLS {
        let lines = run_and_kill(directory.path(), Duration::from_millis(30 + kill * 13 % 70));
        let before = newest;
        for line in &lines {
            let mut parts = line.split(' ').skip(1).map(|part| part.parse::<u64>().unwrap());
            let mut part = || parts.next().unwrap();
            let (writer, slot, turn) = (u32::try_from(part()).unwrap(), u32::try_from(part()).unwrap(), part());
            let revision = Revision(part());
            assert!(revision > before, "revision {revision} was used before the kill");
            let acknowledged = Acknowledged { turn, revision };
            if let Some(earlier) = known.insert((writer, slot), acknowledged) {
                assert!(revision > earlier.revision, "{acknowledged:?} after {earlier:?}");
            }
            newest = newest.max(revision);
        }
        total += lines.len();
        let store = open(directory.path());
        for (place, acknowledged) in &known {
            check(&store, *place, *acknowledged);
        }
        assert!(store.progress() >= newest);
        newest = newest.max(store.progress());
        store.close();
        // What was in flight at the kill may have happened: from now on that is what is known.
        let store = open(directory.path());
        for ((writer, slot), acknowledged) in &mut known {
            *acknowledged = match store.get(&key_of(*writer, *slot)) {
                Some(record) => Acknowledged { turn: turn_of(&record.value), revision: record.revision },
                None => Acknowledged { turn: acknowledged.turn / 5 * 5 + 4, ..*acknowledged },
            };
        }
        store.close();
    }
    assert!(total > 1000, "only {total} writes were acknowledged: that was no load");
}

fn run_and_kill(directory: &Path, after: Duration) -> Vec<String> {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::child_writes_until_it_is_killed", "--exact", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut child = Killed(child);
    let mut reader = BufReader::new(child.0.stdout.take().unwrap());
    let mut lines = Vec::new();
    let mut started = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            break;
        }
        assert!(!line.starts_with("wrong"), "{line}");
        // The last line may be torn by the kill.
        if let Some(whole) = line.strip_suffix('\n').filter(|line| line.starts_with("ack ")) {
            lines.push(whole.to_owned());
            let started = *started.get_or_insert_with(tokio::time::Instant::now);
            if started.elapsed() >= after {
                drop(child.0.kill());
            }
        }
    }
    lines
}

/// A key shows its last acknowledged write, or the one that was in flight behind it.
fn check(store: &Store, (writer, slot): (u32, u32), acknowledged: Acknowledged) {
    let Acknowledged { turn, revision } = acknowledged;
    let found = store.get(&key_of(writer, slot)).map(|record| (turn_of(&record.value), record.revision));
    let place = format!("writer {writer}, slot {slot}: {acknowledged:?}, found {found:?}");
    match found {
        Some((found_turn, found_revision)) if found_turn == turn => assert_eq!(found_revision, revision, "{place}"),
        Some((found_turn, found_revision)) => {
            // Behind a deletion a new child counts from 0.
            let follows = found_turn == turn + 1 || (deletes(turn) && found_turn == 0);
            assert!(follows && !deletes(found_turn) && found_revision > revision, "{place}");
        }
        None => assert!(deletes(turn) || deletes(turn + 1), "{place}"),
    }
}
