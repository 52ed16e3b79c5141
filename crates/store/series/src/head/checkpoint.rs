//! Checkpoints: the names of all series and their open chunks, so that the log before can be cut.
//!
//! A checkpoint is written beside the one before and takes its place when it is whole and on disk.
//! Source: ours, byte by byte in docs/formats/series-head.md.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::chunks::Position;
use super::open::OpenChunk;
use super::series::{HistogramAt, Last, Series};
use super::{Head, read};
use crate::log::frame;
use crate::log::record::{self, SeriesEntry, put_histogram, read_histogram};
use crate::log::sync_directory;
use crate::log::varint::{Reader, put, put_bytes, put_float, put_signed, put_size};
use crate::starts::Starts;

pub(crate) const MAGIC: &[u8; 8] = b"maruCKP2";
/// What checkpoints began with before frames were packed; they are read as the others.
pub(crate) const MAGIC_UNPACKED: &[u8; 8] = b"maruCKP1";
/// Bytes after which a frame ends.
const FRAME_BYTES: usize = 64 << 10;
/// Names that are copied out of the index at once.
const NAMES_AT_ONCE: usize = 4096;
const NAMES_AT_ONCE_32: u32 = 4096;
/// Exemplars of one section.
const EXEMPLARS_AT_ONCE: usize = 256;

/// What a frame says.
pub(crate) const START: u8 = b'H';
pub(crate) const NAMES: u8 = b'N';
pub(crate) const STATES: u8 = b'S';
pub(crate) const END: u8 = b'E';

/// What a checkpoint says about the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    /// The first log segment that is not in it.
    pub(crate) segment: u64,
    pub(crate) next_series: u32,
    pub(crate) next_pair: u32,
    /// Chunk files are on disk up to here.
    pub(crate) synced: Position,
    /// Chunks before `cut_at` that end before `cut_ms` are in blocks.
    pub(crate) cut_at: Position,
    pub(crate) cut_ms: i64,
    pub(crate) newest_ms: i64,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            segment: 0,
            next_series: 0,
            next_pair: 0,
            synced: Position::default(),
            cut_at: Position::default(),
            cut_ms: i64::MIN,
            newest_ms: i64::MIN,
        }
    }
}

impl Start {
    fn put(&self, out: &mut Vec<u8>) {
        for number in
            [self.segment, u64::from(self.next_series), u64::from(self.next_pair), self.synced.0, self.cut_at.0]
        {
            put(out, number);
        }
        put_signed(out, self.cut_ms);
        put_signed(out, self.newest_ms);
    }

    pub(crate) fn read(content: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(content);
        Some(Self {
            segment: reader.number()?,
            next_series: reader.small()?,
            next_pair: reader.small()?,
            synced: Position(reader.number()?),
            cut_at: Position(reader.number()?),
            cut_ms: reader.signed()?,
            newest_ms: reader.signed()?,
        })
    }
}

/// What a checkpoint keeps of one series.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) id: u32,
    pub(crate) last: Last,
    pub(crate) open: Option<OpenChunk>,
    pub(crate) late: Vec<(i64, f64)>,
    pub(crate) late_histograms: Vec<HistogramAt>,
    pub(crate) packed_histograms: Vec<Vec<u8>>,
    pub(crate) histograms: Vec<HistogramAt>,
    pub(crate) starts: Starts,
}

const HAS_BITS: u8 = 1;
const IS_HISTOGRAM: u8 = 2;
const HAS_MORE: u8 = 4;
const HAS_STARTS: u8 = 8;

fn put_state(out: &mut Vec<u8>, id: u32, series: &Series) {
    let (last, unsaved) = (series.last(), series.unsaved());
    let has_more = !(unsaved.late.is_empty()
        && unsaved.late_histograms.is_empty()
        && unsaved.packed_histograms.is_empty()
        && unsaved.histograms.is_empty());
    put(out, u64::from(id));
    // The open chunk tells the newest sample too.
    let bits = last.bits.filter(|_| unsaved.open.is_empty());
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    out.push(
        flag(bits.is_some(), HAS_BITS)
            | flag(last.is_histogram, IS_HISTOGRAM)
            | flag(has_more, HAS_MORE)
            | flag(!unsaved.starts.is_empty(), HAS_STARTS),
    );
    put_signed(out, last.timestamp_ms);
    if let Some(bits) = bits {
        put_float(out, f64::from_bits(bits));
    }
    put_bytes(out, unsaved.open);
    if has_more {
        put_size(out, unsaved.late.len());
        for (timestamp_ms, value) in unsaved.late {
            put_signed(out, *timestamp_ms);
            put_float(out, *value);
        }
        put_size(out, unsaved.packed_histograms.len());
        for packed in unsaved.packed_histograms {
            put_bytes(out, packed);
        }
        for histograms in [unsaved.histograms, unsaved.late_histograms] {
            put_size(out, histograms.len());
            for (timestamp_ms, histogram) in histograms {
                put_signed(out, *timestamp_ms);
                put_histogram(out, histogram);
            }
        }
    }
    if !unsaved.starts.is_empty() {
        put_starts(out, unsaved.starts);
    }
}

fn put_starts(out: &mut Vec<u8>, starts: &[(i64, i64)]) {
    put_size(out, starts.len());
    for (timestamp_ms, start_ms) in starts {
        put_signed(out, *timestamp_ms);
        put_signed(out, *start_ms);
    }
}

/// Reads the states of a frame; `None` when it is damaged.
pub(crate) fn read_states(content: &[u8], mut each: impl FnMut(State)) -> Option<()> {
    let mut reader = Reader::new(content);
    while !reader.is_empty() {
        let id = reader.small()?;
        let flags = reader.byte()?;
        let timestamp_ms = reader.signed()?;
        let bits = if flags & HAS_BITS != 0 { Some(reader.float()?.to_bits()) } else { None };
        let open = reader.bytes()?;
        let open = if open.is_empty() { None } else { Some(OpenChunk::restore(open)?) };
        let mut state = State {
            id,
            last: Last { timestamp_ms, bits, is_histogram: flags & IS_HISTOGRAM != 0 },
            open,
            late: Vec::new(),
            late_histograms: Vec::new(),
            packed_histograms: Vec::new(),
            histograms: Vec::new(),
            starts: Starts::default(),
        };
        if flags & HAS_MORE != 0 {
            for _ in 0..reader.size()? {
                state.late.push((reader.signed()?, reader.float()?));
            }
            for _ in 0..reader.size()? {
                state.packed_histograms.push(reader.bytes()?.to_vec());
            }
            for histograms in [&mut state.histograms, &mut state.late_histograms] {
                for _ in 0..reader.size()? {
                    histograms.push((reader.signed()?, read_histogram(&mut reader)?.into()));
                }
            }
        }
        if flags & HAS_STARTS != 0 {
            let mut changes = Vec::new();
            for _ in 0..reader.size()? {
                changes.push((reader.signed()?, reader.signed()?));
            }
            state.starts = Starts::restore(changes)?;
        }
        each(state);
    }
    Some(())
}

/// Returns the path of a checkpoint.
pub(crate) fn path(directory: &Path, segment: u64) -> PathBuf {
    directory.join(format!("{segment:016x}.checkpoint"))
}

/// Returns the checkpoints of a directory, oldest first.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(".checkpoint"))
            .and_then(|name| u64::from_str_radix(name, 16).ok());
        found.extend(number.map(|number| (number, path)));
    }
    found.sort_unstable();
    Ok(found)
}

/// Writes frames of about [`FRAME_BYTES`].
struct Frames<W> {
    out: W,
    frame: Vec<u8>,
    packer: frame::Packer,
    kind: u8,
    count: u64,
}

impl<W: io::Write> Frames<W> {
    fn new(out: W) -> Self {
        Self { out, frame: Vec::new(), packer: frame::Packer::default(), kind: 0, count: 0 }
    }

    /// Returns where to put the next entry of a kind.
    fn entry(&mut self, kind: u8) -> io::Result<&mut Vec<u8>> {
        if self.kind != kind || self.frame.len() >= FRAME_BYTES {
            self.end()?;
            self.kind = kind;
            frame::begin(&mut self.frame);
            self.frame.push(kind);
        }
        Ok(&mut self.frame)
    }

    fn end(&mut self) -> io::Result<()> {
        if !self.frame.is_empty() {
            frame::end(&mut self.frame, 0, &mut self.packer);
            self.out.write_all(&self.frame)?;
            self.frame.clear();
            self.count += 1;
        }
        self.kind = 0;
        Ok(())
    }
}

impl Head {
    /// Writes a checkpoint of all that is in memory now. The log has been rotated to `start.segment` before, so that whatever comes
    /// meanwhile is in that segment.
    pub(crate) fn checkpoint(&self, directory: &Path, mut start: Start) -> io::Result<Start> {
        {
            let index = read(&self.index);
            start.next_series = index.next_series();
            start.next_pair = index.next_pair();
        }
        start.newest_ms = self.newest_ms();
        let temporary = directory.join("checkpoint.new");
        let written = self.write_checkpoint(&temporary, &mut start);
        let target = path(directory, start.segment);
        let placed =
            written.and_then(|()| std::fs::rename(&temporary, &target)).and_then(|()| sync_directory(directory));
        if let Err(error) = placed {
            std::fs::remove_file(&temporary).unwrap_or_default();
            return Err(error);
        }
        for (segment, old) in list(directory)? {
            if segment != start.segment {
                std::fs::remove_file(old)?;
            }
        }
        Ok(start)
    }

    fn write_checkpoint(&self, target: &Path, start: &mut Start) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(FRAME_BYTES * 2, File::create(target)?);
        out.write_all(MAGIC)?;
        let mut frames = Frames::new(out);
        for (id, scope) in (0_u32..).zip(read(&self.scopes).iter()) {
            record::put_scope(frames.entry(NAMES)?, id, &scope.labels);
        }
        for (metric, metadata) in read(&self.metadata).iter() {
            record::put_metadata(frames.entry(NAMES)?, metric, metadata);
        }
        // The lock is given back now and then: writers of new series wait for it.
        for first in (0..start.next_pair).step_by(NAMES_AT_ONCE) {
            let index = read(&self.index);
            for id in first..start.next_pair.min(first.saturating_add(NAMES_AT_ONCE_32)) {
                if let Some((name, value)) = index.pair(id)
                    && !index.members(id).is_empty()
                {
                    record::put_pair(frames.entry(NAMES)?, id, name, value);
                }
            }
        }
        self.put_series(&mut frames, start.next_series)?;
        let mut exemplars = super::lock(&self.exemplars).all();
        // Those of younger series are in the log, as these are.
        exemplars.retain(|(series, _)| *series < start.next_series);
        for some in exemplars.chunks(EXEMPLARS_AT_ONCE) {
            record::put_exemplars(frames.entry(NAMES)?, some);
        }
        let mut outcome = Ok(());
        self.for_all(|id, series| {
            if id < start.next_series && outcome.is_ok() {
                outcome = frames.entry(STATES).map(|out| put_state(out, id, series));
            }
        });
        outcome?;
        // Only now: a chunk may have been closed before its series was written here, and the log before is going to be cut.
        start.synced = self.files.sync()?;
        start.put(frames.entry(START)?);
        let count = frames.count + 2;
        put(frames.entry(END)?, count);
        frames.end()?;
        let file = frames.out.into_inner()?;
        file.sync_all()
    }

    fn put_series<W: io::Write>(&self, frames: &mut Frames<W>, end: u32) -> io::Result<()> {
        // Some at a time: the index must be locked before the series are.
        let mut known = Vec::new();
        for first in (0..end).step_by(NAMES_AT_ONCE) {
            known.clear();
            let ids = first..end.min(first.saturating_add(NAMES_AT_ONCE_32));
            self.with_each(ids, |_, id, series| {
                let entry = |series: &mut Series| (id, series.scope, series.created_s, series.deleted().to_vec());
                known.extend(series.map(entry));
            });
            let index = read(&self.index);
            for (id, scope, created_s, deleted) in &known {
                let pairs = index.encoded_pairs(*id);
                if pairs.is_empty() {
                    continue;
                }
                let entry = SeriesEntry { id: *id, scope: *scope, created_s: *created_s, pairs };
                record::put_series(frames.entry(NAMES)?, &entry);
                for range in deleted {
                    record::put_deleted(frames.entry(NAMES)?, *id, *range);
                }
            }
        }
        Ok(())
    }
}
