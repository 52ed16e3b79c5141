//! A queue of keys: each at most once, never worked on twice at a time, with timers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Key;

/// The queue's state; an engine without IO. Its size is bounded by the number of objects.
#[derive(Debug, Default)]
struct Keys {
    ready: VecDeque<Key>,
    is_ready: BTreeSet<Key>,
    running: BTreeSet<Key>,
    /// Became due while running.
    again: BTreeSet<Key>,
    due: BTreeMap<Key, Instant>,
    timers: BTreeSet<(Instant, Key)>,
}

impl Keys {
    fn add(&mut self, key: Key) {
        if self.running.contains(&key) {
            self.again.insert(key);
        } else if self.is_ready.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    /// Adds the key at a time; an earlier timer of the same key stays, a later one goes.
    fn add_at(&mut self, key: Key, at: Instant) {
        match self.due.get(&key) {
            Some(due) if *due <= at => return,
            Some(due) => {
                self.timers.remove(&(*due, key.clone()));
            }
            None => {}
        }
        self.timers.insert((at, key.clone()));
        self.due.insert(key, at);
    }

    fn take(&mut self, now: Instant) -> Option<Key> {
        while self.timers.first().is_some_and(|(at, _)| *at <= now) {
            let (_, key) = self.timers.pop_first()?;
            self.due.remove(&key);
            self.add(key);
        }
        let key = self.ready.pop_front()?;
        self.is_ready.remove(&key);
        self.running.insert(key.clone());
        Some(key)
    }

    fn finished(&mut self, key: &Key) {
        self.running.remove(key);
        if self.again.remove(key) {
            self.add(key.clone());
        }
    }
}

/// A queue of keys: each at most once, never worked on twice at a time, with timers.
#[derive(Debug, Default)]
pub(crate) struct WorkQueue {
    keys: Mutex<Keys>,
    changed: Notify,
}

impl WorkQueue {
    /// Asks for a look at the object.
    pub(crate) fn add(&self, key: Key) {
        self.with(|keys| keys.add(key));
        self.changed.notify_one();
    }

    /// Asks for a look at the object after some time, unless one is due earlier.
    pub(crate) fn add_after(&self, key: Key, delay: Duration) {
        let at = Instant::now() + delay;
        self.with(|keys| keys.add_at(key, at));
        self.changed.notify_one();
    }

    /// Waits for the next key; the caller must call `finished` for it. Cancel safe.
    pub(crate) async fn next(&self) -> Key {
        loop {
            let now = Instant::now();
            let (key, timer) = self.with(|keys| (keys.take(now), keys.timers.first().map(|(at, _)| *at)));
            if let Some(key) = key {
                return key;
            }
            match timer {
                Some(at) => drop(tokio::time::timeout_at(at, self.changed.notified()).await),
                None => self.changed.notified().await,
            }
        }
    }

    /// Ends the work on a key; it is ready again at once when it was asked for meanwhile.
    pub(crate) fn finished(&self, key: &Key) {
        self.with(|keys| keys.finished(key));
        self.changed.notify_one();
    }

    /// How many keys wait to be worked on now.
    pub(crate) fn depth(&self) -> usize {
        self.with(|keys| keys.ready.len())
    }

    fn with<R>(&self, act: impl FnOnce(&mut Keys) -> R) -> R {
        act(&mut self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new("", name)
    }

    #[tokio::test(start_paused = true)]
    async fn keys_come_once_and_in_order() {
        let queue = WorkQueue::default();
        for name in ["b", "a", "b"] {
            queue.add(key(name));
        }
        assert_eq!(queue.depth(), 2);
        assert_eq!(queue.next().await, key("b"));
        assert_eq!(queue.next().await, key("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_key_waits_until_it_is_finished() {
        let queue = WorkQueue::default();
        queue.add(key("a"));
        let running = queue.next().await;
        queue.add(key("a"));
        assert!(tokio::time::timeout(Duration::from_secs(1), queue.next()).await.is_err());
        queue.finished(&running);
        assert_eq!(queue.next().await, key("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_timer_of_a_key_wins() {
        let queue = WorkQueue::default();
        let start = Instant::now();
        queue.add_after(key("a"), Duration::from_secs(10));
        queue.add_after(key("a"), Duration::from_secs(3));
        queue.add_after(key("a"), Duration::from_secs(5));
        let due = queue.next().await;
        assert_eq!(start.elapsed(), Duration::from_secs(3));
        queue.finished(&due);
        assert!(tokio::time::timeout(Duration::from_secs(60), queue.next()).await.is_err());
    }
}
