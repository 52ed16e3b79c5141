//! What readers and the two writers share, and the order in which the writers publish.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use maru_telemetry::Gauge;
use tokio::time::Instant;

use crate::errors::CommitError;
use crate::memory::{Change, Memory};
use crate::types::{Key, Revision};

/// Revisions left free before each durable batch, for ephemeral writes that are published while it is being synced.
/// So ephemeral writes never wait for a sync, and revisions are still published in order.
pub(crate) const EPHEMERAL_GAP: u64 = 1000;

/// How far revisions are reserved on disk ahead of their use: after a crash that loses ephemeral writes, counting goes
/// on behind the reservation, so no revision ever means two things.
pub(crate) const RESERVED_BLOCK: u64 = 100_000;

/// The revisions that are given out and what is being written.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// The last revision given out below a durable batch in flight.
    pub last: u64,
    /// Revisions up to here survive a crash as used.
    pub reserved: u64,
    /// The durable batch that is being synced.
    pub durable: Option<DurableInFlight>,
    /// The keys of the ephemeral batch that is being written.
    pub ephemeral: Option<HashSet<Key>>,
    /// The durable writer waits for the ephemeral one; no new ephemeral batch starts.
    pub durable_waits: bool,
    /// Resources that have, or had, ephemeral objects, as known on disk.
    pub ephemeral_resources: HashSet<Arc<str>>,
    /// Those not yet on disk.
    pub new_ephemeral_resources: Vec<Arc<str>>,
    /// Why the last durable batch failed, until one succeeds.
    pub refused: Option<CommitError>,
    /// Why no write is accepted any more.
    pub broken: Option<Arc<str>>,
}

/// A durable batch between its revisions being given out and its publication.
#[derive(Debug)]
pub(crate) struct DurableInFlight {
    pub first: u64,
    pub keys: HashSet<Key>,
}

/// What is shown of the store's insides.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    /// Events that can still be watched.
    pub history: Arc<Gauge>,
    /// Writes that wait for the durable writer.
    pub durable_queue: Arc<Gauge>,
    /// Writes that wait for the ephemeral writer.
    pub ephemeral_queue: Arc<Gauge>,
}

/// Memory and order; the lock of `order` is always taken first.
#[derive(Debug)]
pub(crate) struct Shared {
    memory: RwLock<Memory>,
    order: Mutex<Order>,
    moved: Condvar,
    pub gauges: Gauges,
}

impl Shared {
    pub(crate) fn new(memory: Memory, order: Order, gauges: Gauges) -> Self {
        Self { memory: RwLock::new(memory), order: Mutex::new(order), moved: Condvar::new(), gauges }
    }

    /// Makes changes visible.
    pub(crate) fn publish(&self, changes: impl IntoIterator<Item = Change>) {
        let mut memory = self.write_memory();
        memory.publish(changes, Instant::now());
        self.gauges.history.set(i64::try_from(memory.history_len()).unwrap_or(i64::MAX));
    }

    pub(crate) fn read_memory(&self) -> RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write_memory(&self) -> RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `ready` holds. The other writer wakes it through `moved`.
    pub(crate) fn wait_order<'a>(
        &self,
        order: MutexGuard<'a, Order>,
        mut ready: impl FnMut(&Order) -> bool,
    ) -> MutexGuard<'a, Order> {
        self.moved.wait_while(order, |order| !ready(order)).unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn moved(&self) {
        self.moved.notify_all();
    }

    pub(crate) fn revision(&self) -> Revision {
        self.read_memory().revision()
    }
}
