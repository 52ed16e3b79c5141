//! What a restart keeps.

use std::sync::Arc;

use maru_objects::{Durability, Expected, Key, OpenError, Sealer, Store, StoreOptions};

use crate::{delete, open, put};

#[tokio::test]
async fn a_durable_watch_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (first, second) = (Key::new("pods", "a", "first"), Key::new("pods", "a", "second"));
    let created = store.commit(put(&first, Expected::Absent, "1", Durability::Durable)).await.unwrap();
    let updated = store.commit(put(&first, Expected::Any, "2", Durability::Durable)).await.unwrap();
    store.commit(put(&second, Expected::Absent, "3", Durability::Durable)).await.unwrap();
    store.commit(delete(&second, Expected::Any)).await.unwrap();
    store.close();
    let store = open(directory.path());
    assert_eq!(store.get(&first), Some(Arc::clone(&updated)));
    let mut watcher = store.watch("pods", None, created.revision).unwrap();
    let event = watcher.next().await.unwrap();
    assert_eq!((event.record, event.previous), (updated, Some(created)));
    assert_eq!(watcher.next().await.unwrap().record.value, "3");
    let deleted = watcher.next().await.unwrap();
    assert_eq!(deleted.previous.unwrap().key, second);
    assert!(watcher.try_next().unwrap().is_none());
}

#[tokio::test]
async fn revisions_grow_although_ephemeral_objects_get_lost() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let key = Key::new("leases", "a", "one");
    let before = store.commit(put(&key, Expected::Absent, "1", Durability::Ephemeral)).await.unwrap();
    store.close();
    for file in ["ephemeral.db", "ephemeral.db-wal", "ephemeral.db-shm"] {
        drop(std::fs::remove_file(directory.path().join(file)));
    }
    let store = open(directory.path());
    assert!(store.get(&key).is_none());
    assert!(store.progress() > before.revision);
    assert!(store.watch("leases", None, before.revision).is_err(), "what got lost is not hidden");
}

#[tokio::test]
async fn an_unreadable_ephemeral_database_costs_only_itself() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (lease, pod) = (Key::new("leases", "a", "one"), Key::new("pods", "a", "one"));
    store.commit(put(&lease, Expected::Absent, "1", Durability::Ephemeral)).await.unwrap();
    store.commit(put(&pod, Expected::Absent, "1", Durability::Durable)).await.unwrap();
    store.close();
    std::fs::write(directory.path().join("ephemeral.db"), [7u8; 9000]).unwrap();
    let store = open(directory.path());
    assert!(store.get(&lease).is_none() && store.get(&pod).is_some());
    store.commit(put(&lease, Expected::Absent, "2", Durability::Ephemeral)).await.unwrap();
}

#[tokio::test]
async fn a_second_store_of_a_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    assert!(matches!(Store::open(StoreOptions::new(directory.path())), Err(OpenError::InUse { .. })));
    drop(store);
    open(directory.path()).close();
}

#[tokio::test]
async fn history_leaves_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions { history_events_max: 50, ..StoreOptions::new(directory.path()) };
    let store = Store::open(options.clone()).unwrap();
    let key = Key::new("pods", "a", "one");
    for turn in 0..400 {
        store.commit(put(&key, Expected::Any, turn.to_string(), Durability::Durable)).await.unwrap();
        let other = Key::new("pods", "a", &format!("other{turn}"));
        store.commit(put(&other, Expected::Any, "1", Durability::Durable)).await.unwrap();
        store.commit(delete(&other, Expected::Any)).await.unwrap();
    }
    store.close();
    let database = rusqlite::Connection::open(directory.path().join("objects.db")).unwrap();
    let rows: i64 = database.query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap();
    assert!(rows <= 55, "{rows} rows are left");
    drop(database);
    assert_eq!(Store::open(options).unwrap().get(&key).unwrap().value, "399");
}

struct Reverse;

impl Sealer for Reverse {
    fn seal(&self, key: &Key, plain: &[u8]) -> Option<Vec<u8>> {
        (&*key.resource == "secrets").then(|| plain.iter().rev().copied().collect())
    }

    fn open(&self, _: &Key, sealed: &[u8]) -> Option<Vec<u8>> {
        Some(sealed.iter().rev().copied().collect())
    }
}

#[tokio::test]
async fn sealed_values_are_sealed_on_disk_alone() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions { sealer: Some(Arc::new(Reverse)), ..StoreOptions::new(directory.path()) };
    let store = Store::open(options.clone()).unwrap();
    let key = Key::new("secrets", "a", "one");
    store.commit(put(&key, Expected::Absent, "correct horse", Durability::Durable)).await.unwrap();
    store.close();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let content = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!content.windows(13).any(|window| window == b"correct horse"));
    }
    assert!(matches!(Store::open(StoreOptions::new(directory.path())), Err(OpenError::Sealed { .. })));
    assert_eq!(Store::open(options).unwrap().get(&key).unwrap().value, "correct horse");
}
