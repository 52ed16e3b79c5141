//! The store's front.

use std::collections::HashSet;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use maru_telemetry::{Counter, Family, Gauge, Histogram, Registry};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::decide::Refusal;
use crate::errors::{CommitError, Expired, OpenError};
use crate::log::{Batch, Log, LogError, Row};
use crate::memory::{Change, Memory, Window};
use crate::shared::{Gauges, Order, RESERVED_BLOCK, Shared};
use crate::sqlite::{DurableLog, EphemeralLog};
use crate::types::{
    Change as Asked, Durability, EventKind, Key, Page, PageRequest, Record, Revision, Sealer, Snapshot, Write,
};
use crate::watch::Watcher;
use crate::writers::{DurableWriter, EphemeralWriter, Request};

/// Writes that may wait for a writer; further ones wait before the queue.
const QUEUE_WRITES: usize = 1024;

/// How a store is opened.
#[derive(Clone)]
pub struct StoreOptions {
    /// Where its files are; created (0700) when missing.
    pub directory: PathBuf,
    /// Encrypts values on disk.
    pub sealer: Option<Arc<dyn Sealer>>,
    /// How many past events of all resources together are kept for watchers and for pages at older revisions.
    pub history_events_max: usize,
    /// How many bytes of values the history may hold.
    pub history_bytes_max: usize,
    /// How long an event is kept, within the two limits above; older ones leave at the next write.
    pub history_age: Duration,
    /// The largest value in bytes.
    pub value_bytes_max: usize,
    /// Where the store's metrics are registered.
    pub registry: Registry,
}

impl StoreOptions {
    /// Returns the usual options for a directory.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            sealer: None,
            history_events_max: 20_000,
            history_bytes_max: 64 * 1024 * 1024,
            history_age: Duration::from_secs(300),
            value_bytes_max: 3 * 1024 * 1024,
            registry: Registry::default(),
        }
    }
}

impl std::fmt::Debug for StoreOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StoreOptions").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// Objects under one revision. Clones share the store; it closes when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    durable: mpsc::Sender<Request>,
    ephemeral: mpsc::Sender<Request>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    value_bytes_max: usize,
    metrics: Metrics,
    /// Keeps other processes out for as long as it is open.
    lock: Mutex<Option<std::fs::File>>,
}

#[derive(Debug)]
struct Metrics {
    seconds: [Arc<Histogram>; 2],
    refused: Arc<Family<Counter>>,
}

impl Metrics {
    fn new(registry: &Registry) -> Self {
        let seconds = registry.family::<Histogram>(
            "maru_objects_commit_seconds",
            "Time from asking for a write to its acknowledgement.",
            &["durability"],
        );
        Self {
            seconds: [seconds.with(&["durable"]), seconds.with(&["ephemeral"])],
            refused: registry.family("maru_objects_refused_total", "Writes that did not happen.", &["reason"]),
        }
    }

    fn record(&self, class: Durability, took: Duration, result: &Result<Arc<Record>, CommitError>) {
        match result {
            Ok(_) => {
                let index = match class {
                    Durability::Durable => 0,
                    Durability::Ephemeral => 1,
                };
                self.seconds[index].observe(took);
            }
            Err(error) => self.refused.with(&[reason(error)]).inc(),
        }
    }
}

fn gauges(registry: &Registry) -> Gauges {
    let history = "Events that can still be watched.";
    let queue = "Writes that wait for a writer.";
    let queue = registry.family::<Gauge>("maru_objects_queue_writes", queue, &["durability"]);
    Gauges {
        history: registry.family::<Gauge>("maru_objects_history_events", history, &[]).with(&[]),
        durable_queue: queue.with(&["durable"]),
        ephemeral_queue: queue.with(&["ephemeral"]),
    }
}

fn reason(error: &CommitError) -> &'static str {
    match error {
        CommitError::Exists { .. } => "exists",
        CommitError::Missing { .. } => "missing",
        CommitError::Conflict { .. } => "conflict",
        CommitError::TooLarge { .. } => "too-large",
        CommitError::DiskFull { .. } => "disk-full",
        CommitError::Database { .. } => "database",
        CommitError::Broken { .. } => "broken",
        CommitError::Closed => "closed",
    }
}

impl Store {
    /// Opens or creates the store of a directory and reads all objects into memory. Blocks on the disk.
    ///
    /// # Errors
    /// When the directory is in use, not writable or damaged.
    pub fn open(options: StoreOptions) -> Result<Self, OpenError> {
        let lock = lock_directory(&options.directory)?;
        let durable_log = DurableLog::open(&options.directory, options.sealer.clone())?;
        let (ephemeral_log, records) = EphemeralLog::open(&options.directory, options.sealer.clone())?;
        Self::start(&options, lock, durable_log, ephemeral_log, records)
    }

    fn start(
        options: &StoreOptions,
        lock: std::fs::File,
        mut durable_log: DurableLog,
        mut ephemeral_log: EphemeralLog,
        records: Vec<Arc<Record>>,
    ) -> Result<Self, OpenError> {
        let file = options.directory.join("objects.db");
        let (memory, order, stale) = recover(options, &durable_log, records)?;
        let reserve = Batch { reserve: Some(order.reserved), ..Batch::default() };
        durable_log.append(&reserve).map_err(|error| open_error(&file, error))?;
        ephemeral_log.append(&Batch { rows: &stale, ..Batch::default() }).map_err(|error| open_error(&file, error))?;

        let shared = Arc::new(Shared::new(memory, order, gauges(&options.registry)));
        let (durable, durable_queue) = mpsc::channel(QUEUE_WRITES);
        let (ephemeral, ephemeral_queue) = mpsc::channel(QUEUE_WRITES);
        let durable_writer = DurableWriter { shared: Arc::clone(&shared), log: durable_log };
        let ephemeral_writer =
            EphemeralWriter { shared: Arc::clone(&shared), log: ephemeral_log, durable: durable.downgrade() };
        let threads = vec![
            start_thread("objects-durable", move || durable_writer.run(durable_queue))?,
            start_thread("objects-ephemeral", move || ephemeral_writer.run(ephemeral_queue))?,
        ];
        Ok(Self(Arc::new(Inner {
            shared,
            durable,
            ephemeral,
            threads: Mutex::new(threads),
            value_bytes_max: options.value_bytes_max,
            metrics: Metrics::new(&options.registry),
            lock: Mutex::new(Some(lock)),
        })))
    }

    /// Returns the object's current version.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Record>> {
        self.0.shared.read_memory().stored(key).map(|stored| Arc::clone(&stored.record))
    }

    /// Returns all objects of a resource, in one namespace or in all.
    #[must_use]
    pub fn list(&self, resource: &str, namespace: Option<&str>) -> Snapshot {
        self.0.shared.read_memory().list(resource, namespace)
    }

    /// Returns a part of a list, consistent at one revision.
    ///
    /// # Errors
    /// When the revision has left the history window, or lies in the future.
    pub fn list_page(&self, resource: &str, namespace: Option<&str>, request: &PageRequest) -> Result<Page, Expired> {
        self.0.shared.read_memory().list_page(resource, namespace, request)
    }

    /// Does one write and returns the new version (of a deletion: the last content at the deletion's revision) once it
    /// is durable, or written when ephemeral.
    ///
    /// # Errors
    /// When the expectation does not hold, or the disk refuses.
    ///
    /// # Cancel safety
    /// A dropped call leaves open whether the write happens.
    pub async fn commit(&self, write: Write) -> Result<Arc<Record>, CommitError> {
        let (class, started) = (write.durability, Instant::now());
        let result = self.route(write).await;
        self.0.metrics.record(class, started.elapsed(), &result);
        result
    }

    async fn route(&self, write: Write) -> Result<Arc<Record>, CommitError> {
        let bytes = match &write.change {
            Asked::Put(value) | Asked::DeleteWith(value) => value.len(),
            Asked::Delete => 0,
        };
        if bytes > self.0.value_bytes_max {
            return Err(CommitError::TooLarge { key: write.key, bytes, limit: self.0.value_bytes_max });
        }
        loop {
            // The class of what is there decides; it may change in between, then the writer sends the write back.
            let class =
                self.0.shared.read_memory().stored(&write.key).map_or(write.durability, |stored| stored.durability);
            let queue = match class {
                Durability::Durable => &self.0.durable,
                Durability::Ephemeral => &self.0.ephemeral,
            };
            let (asker, answer) = oneshot::channel();
            queue.send(Request::Write(write.clone(), asker)).await.map_err(|_| CommitError::Closed)?;
            match answer.await {
                Ok(Ok(record)) => return Ok(record),
                Ok(Err(Refusal::Answer(error))) => return Err(error),
                Ok(Err(Refusal::OtherClass)) => {}
                Err(_) => return Err(CommitError::Closed),
            }
        }
    }

    /// Starts delivering the changes of a resource, in one namespace or in all, that are newer than `after`.
    ///
    /// # Errors
    /// When changes newer than `after` have left the history window, or `after` lies in the future.
    pub fn watch(&self, resource: &str, namespace: Option<&str>, after: Revision) -> Result<Watcher, Expired> {
        Watcher::start(&self.0.shared, resource, namespace, after)
    }

    /// Returns the current revision: everything up to it can be read and watched.
    #[must_use]
    pub fn progress(&self) -> Revision {
        self.0.shared.revision()
    }

    /// Forgets the history up to `through`, as the store does by itself by age and size. On disk it goes with later writes.
    pub fn compact(&self, through: Revision) {
        self.0.shared.write_memory().compact(through);
    }

    /// Returns the names of all resources that have objects, sorted.
    #[must_use]
    pub fn resources(&self) -> Vec<Arc<str>> {
        self.0.shared.read_memory().resource_names()
    }

    /// Returns how many objects of a resource there are.
    #[must_use]
    pub fn count(&self, resource: &str) -> usize {
        self.0.shared.read_memory().count(resource)
    }

    /// Returns why the store stopped accepting writes, if it did.
    #[must_use]
    pub fn broken(&self) -> Option<Arc<str>> {
        self.0.shared.order().broken.clone()
    }

    /// Stops accepting writes, finishes those accepted and closes the files. Blocks on the disk.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Inner {
    fn close(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        if threads.is_empty() {
            return;
        }
        // The ephemeral writer first: it may still ask the durable one for revisions.
        for (queue, thread) in [&self.ephemeral, &self.durable].into_iter().zip(threads.into_iter().rev()) {
            let mut stop = Request::Stop;
            while let Err(mpsc::error::TrySendError::Full(back)) = queue.try_send(stop) {
                stop = back;
                std::thread::sleep(Duration::from_millis(1));
            }
            if thread.join().is_err() {
                tracing::error!("a writer of the object store panicked");
            }
        }
        self.shared.write_memory().close();
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

fn start_thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(OpenError::Thread)
}

fn open_error(file: &Path, error: LogError) -> OpenError {
    match error {
        LogError::Full(source) | LogError::Passing(source) | LogError::Unsure(source) => {
            OpenError::Database { file: file.to_owned(), source }
        }
    }
}

fn lock_directory(directory: &Path) -> Result<std::fs::File, OpenError> {
    let wrap = |source| OpenError::Directory { directory: directory.to_owned(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(wrap)?;
    let lock = std::fs::File::create(directory.join("lock")).map_err(wrap)?;
    // A child that the last owner is just starting holds its descriptors until it executes its program.
    for _ in 0..LOCK_TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(std::fs::TryLockError::Error(source)) => return Err(wrap(source)),
        }
    }
    Err(OpenError::InUse { directory: directory.to_owned() })
}

/// How often a lock that is held is tried, and the pause between.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// Rebuilds memory from what the disk holds, and says which ephemeral rows are to be removed.
fn recover(
    options: &StoreOptions,
    log: &DurableLog,
    ephemeral: Vec<Arc<Record>>,
) -> Result<(Memory, Order, Vec<Row>), OpenError> {
    let window = Window {
        events_max: options.history_events_max,
        bytes_max: options.history_bytes_max,
        age: options.history_age,
    };
    let meta = log.meta()?;
    let mut memory = Memory::new(window, meta.floor);
    let now = Instant::now();
    log.replay(|logged| {
        let begun = logged.record.revision > meta.floor;
        match logged.kind {
            _ if begun => {
                let change = Change { kind: logged.kind, record: logged.record, durability: Durability::Durable };
                memory.publish([change], now);
            }
            EventKind::Created | EventKind::Updated => memory.load(logged.record, Durability::Durable),
            EventKind::Deleted => memory.unload(&logged.record),
        }
    })?;
    log.verify(&memory)?;

    let mut ephemeral_resources: HashSet<Arc<str>> = meta.ephemeral_resources.into_iter().collect();
    let mut stale = Vec::new();
    for record in ephemeral {
        ephemeral_resources.insert(Arc::clone(&record.key.resource));
        if memory.stored(&record.key).is_some() {
            // It was deleted, then created again as a durable one; its deletion got lost.
            stale.push(Row { kind: EventKind::Deleted, record });
        } else {
            memory.load(record, Durability::Ephemeral);
        }
    }
    // A new store begins at 1: 0 means "any" to Kubernetes.
    let last = memory.revision().0.max(meta.reserved).max(1);
    memory.advance(Revision(last));
    #[expect(clippy::iter_over_hash_type, reason = "each resource is raised by itself")]
    for resource in &ephemeral_resources {
        memory.raise_floor(resource, Revision(last));
    }
    let order = Order { last, reserved: last + RESERVED_BLOCK, ephemeral_resources, ..Order::default() };
    Ok((memory, order, stale))
}
