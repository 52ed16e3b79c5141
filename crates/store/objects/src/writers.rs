//! The two committing threads.

use std::collections::HashSet;
use std::sync::Arc;

use maru_telemetry::Gauge;
use tokio::sync::{mpsc, oneshot};

use crate::decide::{Overlay, Refusal};
use crate::errors::CommitError;
use crate::log::{Batch, Log, LogError, Row};
use crate::memory::{Change, Memory};
use crate::shared::{DurableInFlight, EPHEMERAL_GAP, Order, RESERVED_BLOCK, Shared};
use crate::types::{Change as Asked, Durability, Record, Revision, Write};

/// Writes in one transaction.
const BATCH_WRITES: usize = 256;
/// Bytes of values in one transaction, unless a single write is larger.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Log rows deleted along with one transaction.
const BATCH_OBSOLETE: usize = 512;

/// What a writer answers.
pub(crate) type Answer = Result<Arc<Record>, Refusal>;

/// What a writer is asked.
#[derive(Debug)]
pub(crate) enum Request {
    /// To do a write.
    Write(Write, oneshot::Sender<Answer>),
    /// To reserve more revisions.
    Reserve,
    /// To stop once what was asked before is done.
    Stop,
}

type Asker = oneshot::Sender<Answer>;

/// Writes that were accepted, and those that ask for them, in the same order.
#[derive(Default)]
struct Decided {
    rows: Vec<Row>,
    askers: Vec<Asker>,
}

struct Gathered {
    writes: Vec<(Write, Asker)>,
    stop: bool,
}

fn bytes_of(write: &Write) -> usize {
    match &write.change {
        Asked::Put(value) | Asked::DeleteWith(value) => value.len(),
        Asked::Delete => 0,
    }
}

/// Waits for a request, then takes what else is there. `None` when nobody can ask any more.
fn gather(queue: &mut mpsc::Receiver<Request>, waiting: &Gauge) -> Option<Gathered> {
    let mut gathered = Gathered { writes: Vec::new(), stop: false };
    let mut bytes = 0;
    let mut next = queue.blocking_recv()?;
    waiting.set(i64::try_from(queue.len()).unwrap_or(i64::MAX));
    loop {
        match next {
            Request::Write(write, asker) => {
                bytes += bytes_of(&write);
                gathered.writes.push((write, asker));
            }
            Request::Reserve => {}
            Request::Stop => gathered.stop = true,
        }
        if gathered.stop || gathered.writes.len() >= BATCH_WRITES || bytes >= BATCH_BYTES {
            return Some(gathered);
        }
        match queue.try_recv() {
            Ok(request) => next = request,
            Err(_) => return Some(gathered),
        }
    }
}

/// Decides each write in turn; refused ones are answered at once. Revisions count up from `first`.
fn decide(memory: &Memory, writes: Vec<(Write, Asker)>, class: Durability, first: u64) -> Decided {
    let mut overlay = Overlay::new(memory);
    let mut decided = Decided::default();
    let mut revision = first;
    for (write, asker) in writes {
        match overlay.apply(&write, class, Revision(revision)) {
            Ok(row) => {
                decided.rows.push(row);
                decided.askers.push(asker);
                revision += 1;
            }
            Err(refusal) => answer(asker, Err(refusal)),
        }
    }
    decided
}

fn answer(asker: Asker, with: Answer) {
    // Who asked may have gone: then nobody waits for the answer.
    drop(asker.send(with));
}

fn answer_all(decided: Decided, result: &Result<(), CommitError>) {
    for (row, asker) in decided.rows.into_iter().zip(decided.askers) {
        let with = match result {
            Ok(()) => Ok(row.record),
            Err(error) => Err(Refusal::Answer(error.clone())),
        };
        answer(asker, with);
    }
}

fn changes(rows: &[Row], durability: Durability) -> impl Iterator<Item = Change> + '_ {
    rows.iter().map(move |row| Change { kind: row.kind, record: Arc::clone(&row.record), durability })
}

fn refuse_all(writes: Vec<(Write, Asker)>, error: &CommitError) {
    for (_, asker) in writes {
        answer(asker, Err(Refusal::Answer(error.clone())));
    }
}

/// Commits durable writes until it is stopped.
pub(crate) struct DurableWriter<L> {
    pub shared: Arc<Shared>,
    pub log: L,
}

impl<L: Log> DurableWriter<L> {
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        while let Some(Gathered { writes, stop }) = gather(&mut queue, &self.shared.gauges.durable_queue) {
            self.commit(writes);
            if let Err(error) = self.log.upkeep() {
                self.note(error);
            }
            if stop {
                break;
            }
        }
        queue.close();
        while let Ok(request) = queue.try_recv() {
            if let Request::Write(_, asker) = request {
                answer(asker, Err(Refusal::Answer(CommitError::Closed)));
            }
        }
    }

    fn commit(&mut self, writes: Vec<(Write, Asker)>) {
        let mut order = self.shared.order();
        if let Some(reason) = &order.broken {
            let error = CommitError::Broken { reason: Arc::clone(reason) };
            drop(order);
            return refuse_all(writes, &error);
        }
        order.durable_waits = true;
        // What the ephemeral writer has in hand is published first, so that each write sees what there is.
        order = self.shared.wait_order(order, |order| order.ephemeral.is_none());
        order.durable_waits = false;
        let first = order.last + EPHEMERAL_GAP + 1;
        let decided = decide(&self.shared.read_memory(), writes, Durability::Durable, first);
        let (last, reserve) = reservation(&order, first, decided.rows.len());
        let new_resources = std::mem::take(&mut order.new_ephemeral_resources);
        if decided.rows.is_empty() && reserve.is_none() && new_resources.is_empty() {
            drop(order);
            self.shared.moved();
            return;
        }
        let keys = decided.rows.iter().map(|row| row.record.key.clone()).collect();
        order.durable = Some(DurableInFlight { first, keys });
        drop(order);
        self.shared.moved();

        let (obsolete, floor) = self.shared.write_memory().take_obsolete(BATCH_OBSOLETE);
        let batch =
            Batch { rows: &decided.rows, obsolete: &obsolete, floor, reserve, ephemeral_resources: &new_resources };
        let result = self.log.append(&batch).map_err(|error| self.note(error));

        let mut order = self.shared.order();
        order.durable_waits = true;
        order = self.shared.wait_order(order, |order| order.ephemeral.is_none());
        order.durable_waits = false;
        order.durable = None;
        match &result {
            Ok(()) => {
                order.reserved = reserve.unwrap_or(order.reserved);
                order.refused = None;
                self.shared.publish(changes(&decided.rows, Durability::Durable));
            }
            Err(error) => {
                order.refused = Some(error.clone());
                order.new_ephemeral_resources.extend(new_resources);
                self.shared.write_memory().return_obsolete(obsolete);
            }
        }
        // Revisions of a failed batch are not given out again.
        order.last = order.last.max(last);
        drop(order);
        self.shared.moved();
        answer_all(decided, &result);
    }

    /// Remembers an error that ends the writing, and says what to tell the writers.
    fn note(&self, error: LogError) -> CommitError {
        match error {
            LogError::Full(source) => CommitError::DiskFull { source: Arc::new(source) },
            LogError::Passing(source) => {
                tracing::warn!(error = %source, "the object store could not write");
                CommitError::Database { source: Arc::new(source) }
            }
            LogError::Unsure(source) => {
                tracing::error!(error = %source, "the disk failed; the object store accepts no more writes");
                let reason: Arc<str> = source.to_string().into();
                self.shared.order().broken.get_or_insert_with(|| Arc::clone(&reason));
                CommitError::Broken { reason }
            }
        }
    }
}

/// Returns the last revision of a batch, and the new reservation when it is time for one.
fn reservation(order: &Order, first: u64, rows: usize) -> (u64, Option<u64>) {
    let rows = u64::try_from(rows).unwrap_or(u64::MAX);
    let last = if rows == 0 { order.last } else { first + rows - 1 };
    let due = last + RESERVED_BLOCK / 2 > order.reserved;
    (last, due.then_some(last + RESERVED_BLOCK))
}

/// Writes ephemeral objects until it is stopped.
pub(crate) struct EphemeralWriter<L> {
    pub shared: Arc<Shared>,
    pub log: L,
    /// Asks the durable writer for more revisions.
    pub durable: mpsc::WeakSender<Request>,
}

impl<L: Log> EphemeralWriter<L> {
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        while let Some(Gathered { writes, stop }) = gather(&mut queue, &self.shared.gauges.ephemeral_queue) {
            if !writes.is_empty() {
                self.commit(writes);
            }
            if stop {
                break;
            }
        }
        queue.close();
        while let Ok(request) = queue.try_recv() {
            if let Request::Write(_, asker) = request {
                answer(asker, Err(Refusal::Answer(CommitError::Closed)));
            }
        }
    }

    fn commit(&mut self, writes: Vec<(Write, Asker)>) {
        let count = u64::try_from(writes.len()).unwrap_or(u64::MAX);
        let mut order = self.shared.order();
        self.declare(&mut order, &writes);
        if order.last + count + RESERVED_BLOCK / 2 > order.reserved {
            // When the queue is full the durable writer is awake, and reserves by itself.
            if let Some(durable) = self.durable.upgrade() {
                drop(durable.try_send(Request::Reserve));
            }
        }
        order = self.shared.wait_order(order, |order| {
            let free = order.durable.as_ref().is_none_or(|batch| {
                order.last + count < batch.first && writes.iter().all(|(write, _)| !batch.keys.contains(&write.key))
            });
            let reserved = order.last + count <= order.reserved || order.refused.is_some();
            order.broken.is_some() || (free && !order.durable_waits && reserved)
        });
        let refused = match &order.broken {
            Some(reason) => Some(CommitError::Broken { reason: Arc::clone(reason) }),
            // Only when the durable log has refused to reserve for a long time.
            None if order.last + count > order.reserved => order.refused.clone(),
            None => None,
        };
        if let Some(error) = refused {
            drop(order);
            return refuse_all(writes, &error);
        }
        let decided = decide(&self.shared.read_memory(), writes, Durability::Ephemeral, order.last + 1);
        if decided.rows.is_empty() {
            return;
        }
        order.last += u64::try_from(decided.rows.len()).unwrap_or(u64::MAX);
        order.ephemeral = Some(decided.rows.iter().map(|row| row.record.key.clone()).collect::<HashSet<_>>());
        drop(order);

        let result = self.log.append(&Batch { rows: &decided.rows, ..Batch::default() }).map_err(note_ephemeral);

        let mut order = self.shared.order();
        if result.is_ok() {
            self.shared.publish(changes(&decided.rows, Durability::Ephemeral));
        }
        order.ephemeral = None;
        drop(order);
        self.shared.moved();
        answer_all(decided, &result);
    }

    /// Remembers which resources may lose objects in a crash: their history does not reach back over a restart.
    fn declare(&self, order: &mut Order, writes: &[(Write, Asker)]) {
        for (write, _) in writes {
            if !order.ephemeral_resources.contains(&write.key.resource) {
                order.ephemeral_resources.insert(Arc::clone(&write.key.resource));
                order.new_ephemeral_resources.push(Arc::clone(&write.key.resource));
                if let Some(durable) = self.durable.upgrade() {
                    drop(durable.try_send(Request::Reserve));
                }
            }
        }
    }
}

fn note_ephemeral(error: LogError) -> CommitError {
    match error {
        LogError::Full(source) => CommitError::DiskFull { source: Arc::new(source) },
        LogError::Passing(source) | LogError::Unsure(source) => {
            tracing::warn!(error = %source, "an ephemeral object could not be written");
            CommitError::Database { source: Arc::new(source) }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc as std_mpsc;
    use std::time::Duration;

    use super::*;
    use crate::memory::Window;
    use crate::shared::Gauges;
    use crate::types::{Expected, Key};

    /// A log whose appends wait for permission and then do what they are told.
    struct Scripted(std_mpsc::Receiver<Result<(), LogError>>);

    impl Log for Scripted {
        fn append(&mut self, _: &Batch<'_>) -> Result<(), LogError> {
            self.0.recv().unwrap_or(Ok(()))
        }

        fn upkeep(&mut self) -> Result<(), LogError> {
            Ok(())
        }
    }

    struct Running {
        shared: Arc<Shared>,
        durable: mpsc::Sender<Request>,
        ephemeral: mpsc::Sender<Request>,
        disk: std_mpsc::Sender<Result<(), LogError>>,
    }

    fn start() -> Running {
        let window = Window { events_max: 100, bytes_max: 1 << 20, age: Duration::from_secs(60) };
        let order = Order { last: 1, reserved: RESERVED_BLOCK, ..Order::default() };
        let shared = Arc::new(Shared::new(Memory::new(window, Revision(1)), order, Gauges::default()));
        let (disk, script) = std_mpsc::channel();
        let (durable, durable_queue) = mpsc::channel(16);
        let (ephemeral, ephemeral_queue) = mpsc::channel(16);
        let durable_writer = DurableWriter { shared: Arc::clone(&shared), log: Scripted(script) };
        let page_cache = Scripted(std_mpsc::channel().1);
        let ephemeral_writer =
            EphemeralWriter { shared: Arc::clone(&shared), log: page_cache, durable: durable.downgrade() };
        std::thread::spawn(move || durable_writer.run(durable_queue));
        std::thread::spawn(move || ephemeral_writer.run(ephemeral_queue));
        Running { shared, durable, ephemeral, disk }
    }

    fn ask(
        queue: &mpsc::Sender<Request>,
        name: &str,
        expected: Expected,
        durability: Durability,
    ) -> oneshot::Receiver<Answer> {
        let (asker, answer) = oneshot::channel();
        let key = Key::new("things", "", name);
        let write = Write { key, expected, change: Asked::Put(Vec::new().into()), durability };
        queue.blocking_send(Request::Write(write, asker)).unwrap();
        answer
    }

    fn sync_failure() -> LogError {
        LogError::classify(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC),
            None,
        ))
    }

    #[test]
    fn ephemeral_writes_pass_a_sync_that_takes_its_time() {
        let running = start();
        let durable = ask(&running.durable, "durable", Expected::Absent, Durability::Durable);
        while running.shared.order().durable.is_none() {
            std::thread::yield_now();
        }
        let mut last = Revision::ZERO;
        for turn in 0..20 {
            let name = format!("ephemeral{turn}");
            let record = ask(&running.ephemeral, &name, Expected::Absent, Durability::Ephemeral);
            let record = record.blocking_recv().unwrap().unwrap();
            assert!(record.revision > last);
            last = record.revision;
            assert_eq!(running.shared.revision(), last, "it is visible while the disk is busy");
        }
        // The first ephemeral object of the resource is noted on the disk by a second batch.
        running.disk.send(Ok(())).unwrap();
        let durable = durable.blocking_recv().unwrap().unwrap();
        assert!(durable.revision > last && running.shared.revision() == durable.revision);
    }

    #[test]
    fn a_failed_sync_ends_the_writing_and_changes_nothing() {
        let running = start();
        running.disk.send(Err(sync_failure())).unwrap();
        for _ in 0..2 {
            let answer = ask(&running.durable, "one", Expected::Absent, Durability::Durable).blocking_recv().unwrap();
            assert!(matches!(answer, Err(Refusal::Answer(CommitError::Broken { .. }))), "{answer:?}");
        }
        let answer = ask(&running.ephemeral, "two", Expected::Absent, Durability::Ephemeral).blocking_recv().unwrap();
        assert!(matches!(answer, Err(Refusal::Answer(CommitError::Broken { .. }))), "{answer:?}");
        assert_eq!(running.shared.read_memory().count("things"), 0);
    }
}
