//! Watches while many write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use maru_objects::{
    CommitError, Durability, EventKind, Expected, Key, Record, Revision, Store, StoreOptions, WatchError, Watcher,
};

use crate::{delete, open, put};

/// Follows a watch up to a revision and checks that each event fits the state before it.
async fn follow(
    mut watcher: Watcher,
    mut state: BTreeMap<String, Arc<Record>>,
    through: Revision,
) -> BTreeMap<String, Arc<Record>> {
    let mut last = Revision::ZERO;
    while last < through {
        let event =
            tokio::time::timeout(Duration::from_secs(20), watcher.next()).await.expect("an event in time").unwrap();
        assert!(event.revision > last, "{} after {last}", event.revision);
        assert_eq!(event.record.revision, event.revision);
        last = event.revision;
        let name = event.record.key.to_string();
        let before = state.get(&name).cloned();
        assert_eq!(
            before.as_ref().map(|record| record.revision),
            event.previous.as_ref().map(|record| record.revision)
        );
        match event.kind {
            EventKind::Created => assert!(before.is_none()),
            EventKind::Updated | EventKind::Deleted => assert!(before.is_some()),
        }
        match event.kind {
            EventKind::Created | EventKind::Updated => state.insert(name, event.record),
            EventKind::Deleted => state.remove(&name),
        };
    }
    state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn watches_miss_nothing_while_many_write() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let start = store.list("things", None);
    let writers: Vec<_> = (0..8)
        .map(|writer: u32| {
            let store = store.clone();
            tokio::task::spawn_blocking(move || {
                tokio::runtime::Handle::current().block_on(async move {
                    for turn in 0..150u32 {
                        let durability =
                            if writer.is_multiple_of(2) { Durability::Durable } else { Durability::Ephemeral };
                        // Half the keys are shared by all writers of a class.
                        let name = if turn % 2 == 0 { format!("own{writer}") } else { format!("shared{}", writer % 2) };
                        let key = Key::new("things", &format!("ns{}", writer % 2), &name);
                        let write = if turn % 7 == 6 {
                            delete(&key, Expected::Any)
                        } else {
                            put(&key, Expected::Any, turn.to_string(), durability)
                        };
                        match store.commit(write).await {
                            Ok(_) | Err(CommitError::Missing { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
            })
        })
        .collect();
    // Lists taken at any time continue without a gap.
    let mut followers = vec![(store.watch("things", None, start.revision).unwrap(), BTreeMap::new())];
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let list = store.list("things", None);
        let state = list.records.iter().map(|record| (record.key.to_string(), Arc::clone(record))).collect();
        followers.push((store.watch("things", None, list.revision).unwrap(), state));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let end = store.list("things", None);
    // All watchers end at the same last event, also those that started after it.
    let last = store
        .commit(put(&Key::new("things", "ns0", "last"), Expected::Absent, "end", Durability::Durable))
        .await
        .unwrap();
    assert!(last.revision > end.revision);
    let end: BTreeMap<String, Arc<Record>> =
        store.list("things", None).records.iter().map(|record| (record.key.to_string(), Arc::clone(record))).collect();
    for (watcher, state) in followers {
        assert_eq!(follow(watcher, state, last.revision).await, end);
    }
}

#[tokio::test]
async fn a_namespace_watch_sees_its_namespace_only_and_moves_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut watcher = store.watch("things", Some("a"), store.progress()).unwrap();
    for (namespace, resource) in [("b", "things"), ("a", "others"), ("a", "things"), ("b", "things")] {
        let key = Key::new(resource, namespace, &format!("x{}", store.progress()));
        store.commit(put(&key, Expected::Absent, "1", Durability::Durable)).await.unwrap();
    }
    let event = watcher.next().await.unwrap();
    assert_eq!((&*event.record.key.namespace, event.kind), ("a", EventKind::Created));
    assert!(watcher.try_next().unwrap().is_none());
    assert_eq!(watcher.progress(), store.progress(), "a bookmark may say what is current");
}

#[tokio::test]
async fn a_slow_watcher_is_told_to_list_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions { history_events_max: 10, ..StoreOptions::new(directory.path()) }).unwrap();
    let start = store.progress();
    let mut watcher = store.watch("things", None, start).unwrap();
    let key = Key::new("things", "", "one");
    for turn in 0..20 {
        store.commit(put(&key, Expected::Any, turn.to_string(), Durability::Durable)).await.unwrap();
    }
    assert!(matches!(watcher.next().await, Err(WatchError::Expired(_))));
    assert!(store.watch("things", None, start).is_err(), "nor can a new watch start there");
    assert!(store.watch("things", None, Revision(store.progress().0 + 1)).is_err(), "nor in the future");
    assert!(store.watch("others", None, start).is_ok(), "another resource has lost nothing");
}

#[tokio::test]
async fn closing_ends_a_watch_after_its_events() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut watcher = store.watch("things", None, store.progress()).unwrap();
    let key = Key::new("things", "", "one");
    store.commit(put(&key, Expected::Any, "1", Durability::Durable)).await.unwrap();
    store.close();
    assert!(watcher.next().await.is_ok());
    assert_eq!(watcher.next().await, Err(WatchError::Closed));
    let refused = store.commit(put(&key, Expected::Any, "2", Durability::Durable)).await;
    assert!(matches!(refused, Err(CommitError::Closed)), "{refused:?}");
}
