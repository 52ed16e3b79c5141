//! The write-ahead log: what was acknowledged since the last checkpoint.
//!
//! Many writers share one wait for the disk: while one of them writes and syncs, the others' frames gather, and the next of them
//! writes all that gathered. Nothing is written and nothing synced while nobody writes.
//! Source: ours, byte by byte in docs/formats/series-log.md.

pub(crate) mod frame;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod varint;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use maru_prom::Exemplar;
use record::{Chain, HistogramSample, Sample};

use crate::starts::StartChange;

/// What a segment begins with.
pub(crate) const MAGIC: &[u8; 8] = b"maruLOG2";
/// What segments began with before frames were packed; they are read as the others.
pub(crate) const MAGIC_UNPACKED: &[u8; 8] = b"maruLOG1";
/// Bytes before the first frame: the magic, four zeros, number of the segment before, its length, checksum.
pub(crate) const HEAD: usize = 32;

/// See the head of the file.
#[derive(Debug)]
pub(crate) struct Log {
    directory: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    chain: Chain,
    /// Names that go before the next batch, in the order in which they were given.
    names: Vec<u8>,
    /// Frames that wait to be written.
    waiting: Vec<u8>,
    packer: frame::Packer,
    /// The last frame that was added, counted from the start of the process.
    added: u64,
    /// The last frame that is on disk.
    durable: u64,
    is_writing: bool,
    failure: Option<Failure>,
    segment: Option<Segment>,
    /// Number of the first segment to be made, number of the one before it, and how much of that counts.
    first: (u64, u64, u64),
    /// Bytes of segments before this one that are still needed.
    older_bytes: u64,
    syncs: u64,
}

#[derive(Debug, Clone)]
struct Segment {
    file: Arc<File>,
    number: u64,
    length: u64,
}

/// Why the log does not take anything at the moment.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: io::ErrorKind,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(error: &io::Error) -> Self {
        Self { kind: error.kind(), text: error.to_string() }
    }

    pub(crate) fn to_error(&self) -> io::Error {
        io::Error::new(self.kind, self.text.clone())
    }
}

/// Whether a write waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sync {
    Now,
    Later,
}

/// One batch, as the log takes it.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) samples: Vec<Sample>,
    pub(crate) late: Vec<Sample>,
    pub(crate) histograms: Vec<HistogramSample>,
    pub(crate) late_histograms: Vec<HistogramSample>,
    pub(crate) starts: Vec<StartChange>,
    /// Each with its series.
    pub(crate) exemplars: Vec<(u32, Exemplar)>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.samples.is_empty()
            && self.late.is_empty()
            && self.histograms.is_empty()
            && self.late_histograms.is_empty()
            && self.exemplars.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.samples.clear();
        self.late.clear();
        self.histograms.clear();
        self.late_histograms.clear();
        self.starts.clear();
        self.exemplars.clear();
    }
}

/// Returns the path of a segment.
pub(crate) fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:016x}.log"))
}

/// Makes sure that names in a directory are on disk.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

impl Log {
    /// Makes the log ready. No segment is made before there is something to write.
    /// `newest` is the number of the newest segment on disk with the length of it that counts; `older_bytes` what all segments take.
    pub(crate) fn new(directory: PathBuf, newest: Option<(u64, u64)>, older_bytes: u64) -> Self {
        let state = State {
            chain: Chain::default(),
            names: Vec::new(),
            waiting: Vec::new(),
            packer: frame::Packer::default(),
            added: 0,
            durable: 0,
            is_writing: false,
            failure: None,
            segment: None,
            first: newest.map_or((1, 0, 0), |(number, length)| (number + 1, number, length)),
            older_bytes,
            syncs: 0,
        };
        Self { directory, state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns why nothing is taken at the moment.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.lock().failure.clone()
    }

    /// Adds names that the next batch needs. They are written with it, or before another batch that comes first.
    pub(crate) fn name(&self, put: impl FnOnce(&mut Vec<u8>)) {
        put(&mut self.lock().names);
    }

    /// Adds a batch behind all names so far; returns the number to [`Log::wait`] for.
    pub(crate) fn append(&self, batch: &Batch) -> Result<u64, Failure> {
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        if state.names.is_empty() && batch.is_empty() {
            return Ok(state.added);
        }
        let start = frame::begin(&mut state.waiting);
        state.waiting.append(&mut state.names);
        record::put_samples(&mut state.waiting, &mut state.chain, false, &batch.samples);
        record::put_samples(&mut state.waiting, &mut state.chain, true, &batch.late);
        record::put_histograms(&mut state.waiting, false, &batch.histograms);
        record::put_histograms(&mut state.waiting, true, &batch.late_histograms);
        record::put_starts(&mut state.waiting, &batch.starts);
        record::put_exemplars(&mut state.waiting, &batch.exemplars);
        frame::end(&mut state.waiting, start, &mut state.packer);
        state.added += 1;
        Ok(state.added)
    }

    /// Tells whether a frame is on disk already.
    pub(crate) fn is_durable(&self, number: u64) -> bool {
        self.lock().durable >= number
    }

    /// Waits until a frame is on disk, and puts it there when nobody else does.
    pub(crate) fn wait(&self, number: u64) -> Result<(), Failure> {
        let mut state = self.lock();
        loop {
            if state.durable >= number {
                return Ok(());
            }
            if let Some(failure) = &state.failure {
                return Err(failure.clone());
            }
            if state.is_writing {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state = self.write(state, Sync::Now);
        }
    }

    /// Writes what waits without waiting for the disk: it outlives the process, and the machine once the kernel or a later
    /// sync has written it.
    pub(crate) fn write_out(&self) -> Result<(), Failure> {
        let mut state = self.lock();
        while state.is_writing {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.failure.is_none() && !state.waiting.is_empty() {
            state = self.write(state, Sync::Later);
        }
        state.failure.clone().map_or(Ok(()), Err)
    }

    /// Writes what waits, without the lock.
    fn write<'a>(&'a self, mut state: MutexGuard<'a, State>, sync: Sync) -> MutexGuard<'a, State> {
        if state.segment.is_none() {
            let (number, before, length) = state.first;
            match self.begin_segment(number, before, length) {
                Ok(segment) => state.segment = Some(segment),
                Err(error) => state.failure = Some(Failure::new(&error)),
            }
        }
        let Some(segment) = state.segment.clone() else {
            self.changed.notify_all();
            return state;
        };
        let bytes = std::mem::take(&mut state.waiting);
        let target = state.added;
        state.is_writing = true;
        drop(state);
        let written = segment.file.write_all_at(&bytes, segment.length);
        let outcome = written.and_then(|()| if sync == Sync::Now { segment.file.sync_data() } else { Ok(()) });
        if outcome.is_err() {
            // What is half written would be taken for damage.
            segment.file.set_len(segment.length).unwrap_or_default();
        }
        let mut state = self.lock();
        state.is_writing = false;
        match outcome {
            Ok(()) => {
                if sync == Sync::Now {
                    state.syncs += 1;
                    state.durable = target;
                }
                if let Some(segment) = &mut state.segment {
                    segment.length += bytes.len() as u64;
                }
            }
            Err(error) => state.failure = Some(Failure::new(&error)),
        }
        if state.waiting.is_empty() {
            // The buffer is used again.
            let mut bytes = bytes;
            bytes.clear();
            bytes.shrink_to(1 << 20);
            state.waiting = bytes;
        }
        self.changed.notify_all();
        state
    }

    fn begin_segment(&self, number: u64, before: u64, before_length: u64) -> io::Result<Segment> {
        let path = segment_path(&self.directory, number);
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&[0; 4]);
        head.extend_from_slice(&before.to_le_bytes());
        head.extend_from_slice(&before_length.to_le_bytes());
        let sum = crc32fast::hash(&head);
        head.extend_from_slice(&sum.to_le_bytes());
        let written =
            file.write_all_at(&head, 0).and_then(|()| file.sync_all()).and_then(|()| sync_directory(&self.directory));
        if let Err(error) = written {
            // A segment without a head would be taken for damage.
            std::fs::remove_file(&path).unwrap_or_default();
            return Err(error);
        }
        Ok(Segment { file: Arc::new(file), number, length: head.len() as u64 })
    }

    /// Ends the segment and starts the next one; returns its number. What waits is written before.
    /// After a failure, what waits is dropped: it is in memory, and the checkpoint that follows saves it.
    pub(crate) fn rotate(&self) -> io::Result<u64> {
        let mut state = self.lock();
        while state.is_writing {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.failure.is_none() && state.durable < state.added {
            state = self.write(state, Sync::Now);
            while state.is_writing {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if let Some(failure) = &state.failure {
                return Err(failure.to_error());
            }
        }
        let (number, before, length) =
            state.segment.as_ref().map_or(state.first, |old| (old.number + 1, old.number, old.length));
        // The lock is held: nobody may tell values relative to those of the old segment any more.
        let segment = self.begin_segment(number, before, length)?;
        state.chain.reset();
        state.waiting.clear();
        state.older_bytes += state.segment.as_ref().map_or(0, |old| old.length);
        state.segment = Some(segment);
        Ok(number)
    }

    /// Says that all frames so far are saved by a checkpoint, and that the log takes frames again.
    pub(crate) fn recovered(&self) {
        let mut state = self.lock();
        state.failure = None;
        state.durable = state.added;
        drop(state);
        self.changed.notify_all();
    }

    /// Removes the segments before `number`: a checkpoint has what they say.
    pub(crate) fn cut(&self, number: u64) -> io::Result<()> {
        for (old, path) in replay::segments(&self.directory)? {
            if old < number {
                std::fs::remove_file(path)?;
            }
        }
        self.lock().older_bytes = 0;
        Ok(())
    }

    /// Returns the bytes that a start would read back.
    pub(crate) fn bytes(&self) -> u64 {
        let state = self.lock();
        state.older_bytes + state.segment.as_ref().map_or(0, |segment| segment.length) + state.waiting.len() as u64
    }

    /// Returns how often the disk was waited for.
    pub(crate) fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let state = self.lock();
        state.chain.heap_bytes() + state.waiting.capacity() + state.names.capacity() + state.packer.heap_bytes()
    }
}
