//! One series of the head: its full chunks, its open one, and what came late.
//! Long because all ways in and out of one series keep the same invariants.

use std::collections::BTreeMap;
use std::sync::Arc;

use maru_prom::Histogram;

use super::chunks::{ChunkFiles, ChunkReader, ChunkRef, HISTOGRAMS, LATE};
use super::open::{self, OpenChunk};
use crate::block::TimeRange;
use crate::chunk::{EncodedChunk, decode_floats, decode_histograms, encode_floats, encode_histograms};
use crate::ingest::RefusalReason;
use crate::starts::{Extent, StartChange, Starts};

/// Samples of a full chunk.
const CHUNK_SAMPLES: u8 = 120;
/// Samples of the first chunk at least; each series has its own number, so that not all fill up in the same moment.
const FIRST_CHUNK_SAMPLES: u8 = 60;
/// Late samples that wait to be packed.
const LATE_SAMPLES: usize = 64;
/// Histograms that wait to be packed.
const RAW_HISTOGRAMS: usize = 16;

/// A histogram with its time.
pub(crate) type HistogramAt = (i64, Arc<Histogram>);

/// What adding a sample needs besides the series.
#[derive(Debug)]
pub(crate) struct Adding<'a> {
    pub(crate) files: &'a ChunkFiles,
    /// The span of the first blocks: no chunk reaches over its end.
    pub(crate) range_ms: i64,
    /// The newest sample of all.
    pub(crate) newest_ms: i64,
    /// How far behind that a late sample may be; 0 when none may be late.
    pub(crate) late_window_ms: i64,
    pub(crate) timestamps: Vec<i64>,
    pub(crate) values: Vec<f64>,
    pub(crate) bytes: Vec<u8>,
}

/// What became of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is the newest of its series.
    Newest,
    /// It is older than the newest and was added.
    Late,
    /// It was there already.
    Same,
    /// It was refused.
    Refused(RefusalReason),
}

/// A series' samples.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    open: OpenChunk,
    /// The open chunk ends before this moment.
    until_ms: i64,
    pub(crate) chunks: Vec<ChunkRef>,
    /// The newest sample that was not late; the least number when there was none.
    pub(crate) last_ms: i64,
    last_bits: u64,
    more: Option<Box<More>>,
    pub(crate) scope: u32,
    /// When it was made, in seconds since 1970.
    pub(crate) created_s: u32,
    chunk_samples: u8,
    last_is_histogram: bool,
    /// `last_bits` is that of the newest sample; not so when the newest sample was found in a file.
    is_last_known: bool,
    /// Its labels get another number when they come again.
    pub(crate) is_retired: bool,
}

/// What few series have.
#[derive(Debug, Clone, Default)]
struct More {
    /// Sorted by time.
    late: Vec<(i64, f64)>,
    /// Sorted by time.
    late_histograms: Vec<HistogramAt>,
    packed_histograms: Vec<Vec<u8>>,
    raw_histograms: Vec<HistogramAt>,
    /// The newest one, to tell whether the next one goes on from it.
    last_histogram: Option<Arc<Histogram>>,
    histograms_first_ms: i64,
    histograms: usize,
    deleted: Vec<TimeRange>,
    starts: Starts,
}

/// Samples that are not in a file, copied out of a series.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeadSamples {
    pub(crate) chunks: Vec<ChunkRef>,
    pub(crate) open: Vec<u8>,
    pub(crate) late: Vec<(i64, f64)>,
    pub(crate) packed_histograms: Vec<Vec<u8>>,
    pub(crate) histograms: Vec<HistogramAt>,
    pub(crate) late_histograms: Vec<HistogramAt>,
    pub(crate) deleted: Vec<TimeRange>,
    pub(crate) starts: Starts,
}

/// What is at some moment already.
enum Existing {
    Float(u64),
    Histogram(Arc<Histogram>),
}

impl Series {
    pub(crate) fn new(id: u32, scope: u32, created_s: u32) -> Self {
        let spread = id.wrapping_mul(0x9e37_79b9) >> 24;
        let extra = spread * u32::from(CHUNK_SAMPLES - FIRST_CHUNK_SAMPLES) / 256;
        Self {
            open: OpenChunk::default(),
            until_ms: i64::MIN,
            chunks: Vec::new(),
            last_ms: i64::MIN,
            last_bits: 0,
            more: None,
            scope,
            created_s,
            chunk_samples: FIRST_CHUNK_SAMPLES + u8::try_from(extra).unwrap_or_default(),
            last_is_histogram: false,
            is_last_known: false,
            is_retired: false,
        }
    }

    /// Adds a float.
    pub(crate) fn add(&mut self, id: u32, timestamp_ms: i64, value: f64, adding: &mut Adding<'_>) -> Outcome {
        if timestamp_ms <= self.last_ms {
            return self.add_late(id, timestamp_ms, value, adding);
        }
        if self.open.count >= u16::from(self.chunk_samples) || timestamp_ms >= self.until_ms {
            self.close(id, adding);
        }
        if self.last_is_histogram {
            self.close_histograms(id, adding);
            self.last_is_histogram = false;
        }
        if self.open.count == 0 {
            self.until_ms = range_end(timestamp_ms, adding.range_ms);
        }
        self.open.push(timestamp_ms, value);
        self.last_ms = timestamp_ms;
        self.last_bits = value.to_bits();
        self.is_last_known = true;
        Outcome::Newest
    }

    /// Adds a histogram.
    pub(crate) fn add_histogram(
        &mut self,
        id: u32,
        timestamp_ms: i64,
        histogram: &Arc<Histogram>,
        adding: &mut Adding<'_>,
    ) -> Outcome {
        if timestamp_ms <= self.last_ms {
            return self.add_late_histogram(id, timestamp_ms, histogram, adding);
        }
        if self.open.count > 0 {
            self.close(id, adding);
        }
        let is_full = self
            .more
            .as_ref()
            .is_some_and(|more| more.histograms >= usize::from(self.chunk_samples) || timestamp_ms >= self.until_ms);
        if is_full {
            self.close_histograms(id, adding);
        }
        let more = self.more.get_or_insert_default();
        if more.histograms == 0 {
            more.histograms_first_ms = timestamp_ms;
            self.until_ms = range_end(timestamp_ms, adding.range_ms);
        }
        let before = more.last_histogram.as_deref().filter(|_| self.last_is_histogram);
        let reset_hint = histogram.hint_behind(before);
        let histogram = if reset_hint == histogram.reset_hint {
            Arc::clone(histogram)
        } else {
            Arc::new(Histogram { reset_hint, ..Histogram::clone(histogram) })
        };
        more.last_histogram = Some(Arc::clone(&histogram));
        more.raw_histograms.push((timestamp_ms, histogram));
        more.histograms += 1;
        if more.raw_histograms.len() >= RAW_HISTOGRAMS
            && let Ok(packed) = encode_histograms(&more.raw_histograms)
        {
            more.packed_histograms.extend(packed.iter().map(EncodedChunk::to_bytes));
            more.raw_histograms = Vec::new();
        }
        self.last_ms = timestamp_ms;
        self.last_is_histogram = true;
        Outcome::Newest
    }

    /// Packs the open chunk into a file. When no file takes it, it stays open.
    fn close(&mut self, id: u32, adding: &mut Adding<'_>) {
        if self.open.count == 0 {
            return;
        }
        adding.timestamps.clear();
        adding.values.clear();
        if open::read(self.open.bytes(), &mut adding.timestamps, &mut adding.values).is_none() {
            debug_assert!(false, "an open chunk is read by who wrote it");
        }
        if let Some(chunk) = pack(id, 0, &adding.timestamps, &adding.values, adding.files) {
            self.push_chunk(chunk);
            self.open.clear();
            self.chunk_samples = CHUNK_SAMPLES;
        }
    }

    fn push_chunk(&mut self, chunk: ChunkRef) {
        if self.chunks.len() == self.chunks.capacity() {
            self.chunks.reserve_exact(2);
        }
        self.chunks.push(chunk);
    }

    fn close_histograms(&mut self, id: u32, adding: &Adding<'_>) {
        let Some(more) = &mut self.more else { return };
        if more.histograms == 0 {
            return;
        }
        let mut samples = Vec::with_capacity(more.histograms);
        for packed in &more.packed_histograms {
            if decode_histograms(packed, &mut samples).is_err() {
                debug_assert!(false, "packed histograms are read by who packed them");
            }
        }
        samples.extend(more.raw_histograms.iter().cloned());
        let Some(chunks) = pack_histograms(id, 0, &samples, adding.files) else { return };
        more.packed_histograms = Vec::new();
        more.raw_histograms = Vec::new();
        more.histograms = 0;
        self.chunks.extend(chunks);
        self.drop_more();
    }

    fn drop_more(&mut self) {
        if self.more.as_ref().is_some_and(|more| more.is_empty()) {
            self.more = None;
        }
    }

    fn add_late(&mut self, id: u32, timestamp_ms: i64, value: f64, adding: &mut Adding<'_>) -> Outcome {
        match self.existing(timestamp_ms, adding) {
            Some(Existing::Float(bits)) if bits == value.to_bits() => return Outcome::Same,
            Some(_) => return Outcome::Refused(RefusalReason::DuplicateTimestamp),
            None => {}
        }
        if let Some(reason) = too_late(timestamp_ms, adding) {
            return Outcome::Refused(reason);
        }
        self.put_late(id, timestamp_ms, value, adding);
        Outcome::Late
    }

    /// Adds a late sample without asking whether it may come.
    pub(crate) fn put_late(&mut self, id: u32, timestamp_ms: i64, value: f64, adding: &mut Adding<'_>) {
        let more = self.more.get_or_insert_default();
        match more.late.binary_search_by_key(&timestamp_ms, |(at, _)| *at) {
            Ok(_) => return,
            Err(place) => more.late.insert(place, (timestamp_ms, value)),
        }
        if more.late.len() >= LATE_SAMPLES {
            self.close_late(id, adding);
        }
    }

    fn add_late_histogram(
        &mut self,
        id: u32,
        timestamp_ms: i64,
        histogram: &Arc<Histogram>,
        adding: &mut Adding<'_>,
    ) -> Outcome {
        match self.existing(timestamp_ms, adding) {
            Some(Existing::Histogram(own)) if own.is_same_data(histogram) => return Outcome::Same,
            Some(_) => return Outcome::Refused(RefusalReason::DuplicateTimestamp),
            None => {}
        }
        if let Some(reason) = too_late(timestamp_ms, adding) {
            return Outcome::Refused(reason);
        }
        self.put_late_histogram(id, timestamp_ms, histogram, adding);
        Outcome::Late
    }

    /// Adds a late histogram without asking whether it may come.
    pub(crate) fn put_late_histogram(
        &mut self,
        id: u32,
        timestamp_ms: i64,
        histogram: &Arc<Histogram>,
        adding: &mut Adding<'_>,
    ) {
        let more = self.more.get_or_insert_default();
        match more.late_histograms.binary_search_by_key(&timestamp_ms, |(at, _)| *at) {
            Ok(_) => return,
            Err(place) => more.late_histograms.insert(place, (timestamp_ms, Arc::clone(histogram))),
        }
        if more.late_histograms.len() >= LATE_SAMPLES {
            self.close_late(id, adding);
        }
    }

    /// Packs what came late, a chunk for each span of a block.
    fn close_late(&mut self, id: u32, adding: &mut Adding<'_>) {
        let Some(more) = &mut self.more else { return };
        let mut chunks = Vec::new();
        for group in more.late.chunk_by(|a, b| range_end(a.0, adding.range_ms) == range_end(b.0, adding.range_ms)) {
            let (timestamps, values): (Vec<i64>, Vec<f64>) = group.iter().copied().unzip();
            let Some(chunk) = pack(id, LATE, &timestamps, &values, adding.files) else { return };
            chunks.push(chunk);
        }
        let same =
            |a: &HistogramAt, b: &HistogramAt| range_end(a.0, adding.range_ms) == range_end(b.0, adding.range_ms);
        for group in more.late_histograms.chunk_by(same) {
            let Some(packed) = pack_histograms(id, LATE, group, adding.files) else { return };
            chunks.extend(packed);
        }
        more.late = Vec::new();
        more.late_histograms = Vec::new();
        for chunk in chunks {
            self.push_chunk(chunk);
        }
        self.drop_more();
    }

    /// Returns what is at a moment, wherever in the head it is.
    fn existing(&self, timestamp_ms: i64, adding: &mut Adding<'_>) -> Option<Existing> {
        if timestamp_ms == self.last_ms && !self.last_is_histogram && self.is_last_known {
            return Some(Existing::Float(self.last_bits));
        }
        let range = TimeRange { start_ms: timestamp_ms, end_ms: timestamp_ms };
        let copied = self.copy(range);
        if copied.is_empty() {
            return None;
        }
        let reader = ChunkReader::new(adding.files.view(), &BTreeMap::new());
        let (mut timestamps, mut values, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
        // A damaged chunk cannot say what it had.
        copied.read(&reader, &mut adding.bytes, &mut timestamps, &mut values, &mut histograms, &mut |_| {});
        let at = timestamps.iter().position(|at| *at == timestamp_ms).and_then(|place| values.get(place));
        let histogram = histograms.into_iter().find(|(at, _)| *at == timestamp_ms);
        at.map(|value| Existing::Float(value.to_bits()))
            .or_else(|| histogram.map(|(_, histogram)| Existing::Histogram(histogram)))
    }

    /// Copies what a reader of `range` needs.
    pub(crate) fn copy(&self, range: TimeRange) -> HeadSamples {
        let mut copied = HeadSamples::default();
        copied.chunks.extend(
            self.chunks.iter().filter(|chunk| chunk.first_ms <= range.end_ms && range.start_ms <= chunk.last_ms()),
        );
        if self.open.count > 0 && self.open.first_ms <= range.end_ms && range.start_ms <= self.open.last_ms {
            copied.open = self.open.bytes().to_vec();
        }
        if let Some(more) = &self.more {
            let is_in = |at: i64| (range.start_ms..=range.end_ms).contains(&at);
            copied.late = more.late.iter().filter(|(at, _)| is_in(*at)).copied().collect();
            copied.late_histograms = more.late_histograms.iter().filter(|(at, _)| is_in(*at)).cloned().collect();
            if more.histograms > 0 && more.histograms_first_ms <= range.end_ms && range.start_ms <= self.last_ms {
                copied.packed_histograms.clone_from(&more.packed_histograms);
                copied.histograms.clone_from(&more.raw_histograms);
            }
            copied.deleted.clone_from(&more.deleted);
            copied.starts.clone_from(&more.starts);
        }
        copied
    }

    /// Tells whether there may be samples in `range`.
    pub(crate) fn has(&self, range: TimeRange) -> bool {
        let is_in = |first: i64, last: i64| first <= range.end_ms && range.start_ms <= last;
        (self.open.count > 0 && is_in(self.open.first_ms, self.open.last_ms))
            || self.chunks.iter().any(|chunk| is_in(chunk.first_ms, chunk.last_ms()))
            || self.more.as_ref().is_some_and(|more| {
                (more.histograms > 0 && is_in(more.histograms_first_ms, self.last_ms))
                    || more.late.iter().any(|(at, _)| is_in(*at, *at))
                    || more.late_histograms.iter().any(|(at, _)| is_in(*at, *at))
            })
    }

    /// Tells whether there are no samples.
    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
            && self.open.count == 0
            && self
                .more
                .as_ref()
                .is_none_or(|more| more.histograms == 0 && more.late.is_empty() && more.late_histograms.is_empty())
    }

    /// Returns the first moment of all samples.
    pub(crate) fn first_ms(&self) -> Option<i64> {
        let chunks = self.chunks.iter().map(|chunk| chunk.first_ms);
        let open = (self.open.count > 0).then_some(self.open.first_ms);
        let more = self.more.iter().flat_map(|more| {
            let histograms = (more.histograms > 0).then_some(more.histograms_first_ms);
            let late = more.late.first().map(|(at, _)| *at);
            let late_histograms = more.late_histograms.first().map(|(at, _)| *at);
            [histograms, late, late_histograms].into_iter().flatten()
        });
        chunks.chain(open).chain(more).min()
    }

    /// Hides the samples in `range` that are there now; returns what is hidden.
    pub(crate) fn delete(&mut self, range: TimeRange) -> Option<TimeRange> {
        let range = TimeRange { start_ms: range.start_ms, end_ms: range.end_ms.min(self.last_ms) };
        if range.start_ms > range.end_ms || !self.has(range) {
            return None;
        }
        self.more.get_or_insert_default().deleted.push(range);
        Some(range)
    }

    /// Hides samples as it was read back from the log.
    pub(crate) fn restore_deleted(&mut self, range: TimeRange) {
        let deleted = &mut self.more.get_or_insert_default().deleted;
        if !deleted.contains(&range) {
            deleted.push(range);
        }
    }

    pub(crate) fn deleted(&self) -> &[TimeRange] {
        self.more.as_ref().map_or(&[], |more| &more.deleted)
    }

    /// Says when the counter behind the sample at a moment, which was just added, started (0: nobody knows); returns what the log must tell.
    pub(crate) fn set_start(&mut self, id: u32, timestamp_ms: i64, start_ms: i64) -> Option<StartChange> {
        if start_ms == 0 && self.more.as_ref().is_none_or(|more| more.starts.is_empty()) {
            return None;
        }
        let extent = if timestamp_ms >= self.last_ms { Extent::On } else { Extent::Only };
        let more = self.more.get_or_insert_default();
        let is_new = more.starts.set(timestamp_ms, start_ms, extent);
        self.drop_more();
        is_new.then_some(StartChange { series: id, timestamp_ms, start_ms, extent })
    }

    /// Takes back what the log told.
    pub(crate) fn restore_start(&mut self, change: &StartChange) {
        self.more.get_or_insert_default().starts.set(change.timestamp_ms, change.start_ms, change.extent);
        self.drop_more();
    }

    /// Takes back what a checkpoint told.
    pub(crate) fn restore_starts(&mut self, starts: Starts) {
        if !starts.is_empty() {
            self.more.get_or_insert_default().starts = starts;
        }
    }

    pub(crate) fn starts(&self) -> Starts {
        self.more.as_ref().map(|more| more.starts.clone()).unwrap_or_default()
    }

    /// Packs all that is before `end_ms` into files.
    pub(crate) fn close_before(&mut self, id: u32, end_ms: i64, adding: &mut Adding<'_>) {
        if self.open.count > 0 && self.open.first_ms < end_ms {
            self.close(id, adding);
        }
        let Some(more) = &self.more else { return };
        if more.histograms > 0 && more.histograms_first_ms < end_ms {
            self.close_histograms(id, adding);
        }
        let is_before = |more: &More| {
            more.late.first().is_some_and(|(at, _)| *at < end_ms)
                || more.late_histograms.first().is_some_and(|(at, _)| *at < end_ms)
        };
        if self.more.as_ref().is_some_and(|more| is_before(more)) {
            self.close_late(id, adding);
        }
    }

    /// Forgets chunks that a block has now, and what is hidden before `end_ms`.
    pub(crate) fn drop_chunks(&mut self, mut is_gone: impl FnMut(&ChunkRef) -> bool, end_ms: i64) {
        self.chunks.retain(|chunk| !is_gone(chunk));
        if self.chunks.capacity() > self.chunks.len() + 4 {
            self.chunks.shrink_to_fit();
        }
        if let Some(more) = &mut self.more {
            more.deleted.retain(|range| range.end_ms >= end_ms);
        }
        // What came late meanwhile may be older.
        let needed_ms = self.first_ms().map_or(end_ms, |first| first.min(end_ms));
        if let Some(more) = &mut self.more
            && !more.starts.is_empty()
        {
            more.starts.forget_before(needed_ms);
        }
        self.drop_more();
    }

    /// Returns what a checkpoint keeps beside the chunks.
    pub(crate) fn unsaved(&self) -> Unsaved<'_> {
        let more = self.more.as_deref();
        Unsaved {
            open: self.open.bytes(),
            late: more.map_or(&[], |more| &more.late),
            late_histograms: more.map_or(&[], |more| &more.late_histograms),
            packed_histograms: more.map_or(&[], |more| &more.packed_histograms),
            histograms: more.map_or(&[], |more| &more.raw_histograms),
            starts: more.map_or(&[], |more| more.starts.changes()),
        }
    }

    /// Takes back the open chunk from a checkpoint, unless a chunk that was written later has its samples.
    pub(crate) fn restore_open(&mut self, open: OpenChunk, range_ms: i64) {
        if open.count == 0 || open.last_ms <= self.last_ms {
            return;
        }
        self.last_ms = open.last_ms;
        self.last_bits = open.last_value().to_bits();
        self.last_is_histogram = false;
        self.is_last_known = true;
        self.until_ms = range_end(open.first_ms, range_ms);
        self.open = open;
    }

    /// Takes back a chunk that was found in a file, in the order of the file.
    pub(crate) fn restore_chunk(&mut self, chunk: ChunkRef) {
        if !chunk.is_late() && chunk.last_ms() > self.last_ms {
            self.last_ms = chunk.last_ms();
            self.last_is_histogram = chunk.is_histograms();
            self.is_last_known = false;
        }
        self.push_chunk(chunk);
    }

    /// Remembers the newest moment, though its samples may be in blocks.
    pub(crate) fn restore_last_when_newer(&mut self, last: Last) {
        if last.timestamp_ms > self.last_ms || (last.timestamp_ms == self.last_ms && !self.is_last_known) {
            self.last_ms = last.timestamp_ms;
            self.last_is_histogram = last.is_histogram;
            self.last_bits = last.bits.unwrap_or_default();
            self.is_last_known = last.bits.is_some();
        }
    }

    /// Returns what is known of the newest sample.
    pub(crate) fn last(&self) -> Last {
        let bits = self.is_last_known.then_some(self.last_bits);
        Last { timestamp_ms: self.last_ms, bits, is_histogram: self.last_is_histogram }
    }

    /// Memory beyond the struct itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.open.heap_bytes()
            + self.chunks.capacity() * size_of::<ChunkRef>()
            + self
                .more
                .as_ref()
                .map_or(0, |more| size_of::<More>() + more.late.capacity() * 16 + more.starts.heap_bytes())
    }
}

/// What is known of a series' newest sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) timestamp_ms: i64,
    /// The bits of a float, when they are known.
    pub(crate) bits: Option<u64>,
    pub(crate) is_histogram: bool,
}

/// See [`Series::unsaved`].
#[derive(Debug)]
pub(crate) struct Unsaved<'a> {
    pub(crate) open: &'a [u8],
    pub(crate) late: &'a [(i64, f64)],
    pub(crate) late_histograms: &'a [HistogramAt],
    pub(crate) packed_histograms: &'a [Vec<u8>],
    pub(crate) histograms: &'a [HistogramAt],
    pub(crate) starts: &'a [(i64, i64)],
}

impl More {
    fn is_empty(&self) -> bool {
        self.late.is_empty()
            && self.late_histograms.is_empty()
            && self.histograms == 0
            && self.deleted.is_empty()
            && self.starts.is_empty()
    }
}

fn too_late(timestamp_ms: i64, adding: &Adding<'_>) -> Option<RefusalReason> {
    if adding.late_window_ms == 0 {
        return Some(RefusalReason::OutOfOrder);
    }
    (timestamp_ms < adding.newest_ms.saturating_sub(adding.late_window_ms)).then_some(RefusalReason::TooOld)
}

/// Returns the end of the block's span in which a moment is.
pub(crate) fn range_end(timestamp_ms: i64, range_ms: i64) -> i64 {
    timestamp_ms.div_euclid(range_ms).saturating_add(1).saturating_mul(range_ms)
}

fn pack(id: u32, flags: u8, timestamps: &[i64], values: &[f64], files: &ChunkFiles) -> Option<ChunkRef> {
    let (first, last) = (*timestamps.first()?, *timestamps.last()?);
    let encoded = encode_floats(timestamps, values).ok()?;
    files.append(id, flags, first, last, &encoded.to_bytes()).ok()?
}

fn pack_histograms(id: u32, flags: u8, samples: &[HistogramAt], files: &ChunkFiles) -> Option<Vec<ChunkRef>> {
    let mut chunks = Vec::new();
    for encoded in encode_histograms(samples).ok()? {
        let bytes = encoded.to_bytes();
        chunks.push(files.append(id, flags | HISTOGRAMS, encoded.first_ms, encoded.last_ms, &bytes).ok()??);
    }
    Some(chunks)
}

impl HeadSamples {
    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
            && self.open.is_empty()
            && self.late.is_empty()
            && self.packed_histograms.is_empty()
            && self.histograms.is_empty()
            && self.late_histograms.is_empty()
    }

    /// Appends all samples: those that came in order first, then late ones. Damaged chunks are told to `damaged` and left out.
    pub(crate) fn read(
        &self,
        reader: &ChunkReader,
        frame: &mut Vec<u8>,
        timestamps: &mut Vec<i64>,
        values: &mut Vec<f64>,
        histograms: &mut Vec<HistogramAt>,
        damaged: &mut dyn FnMut(String),
    ) {
        for is_late in [false, true] {
            for chunk in self.chunks.iter().filter(|chunk| chunk.is_late() == is_late) {
                if let Err(reason) = read_chunk(chunk, reader, frame, timestamps, values, histograms) {
                    damaged(reason);
                }
            }
            if is_late {
                break;
            }
            if open::read(&self.open, timestamps, values).is_none() {
                damaged("an open chunk in memory".to_owned());
            }
            for packed in &self.packed_histograms {
                if let Err(error) = decode_histograms(packed, histograms) {
                    damaged(error.to_string());
                }
            }
            histograms.extend(self.histograms.iter().cloned());
        }
        timestamps.extend(self.late.iter().map(|(at, _)| *at));
        values.extend(self.late.iter().map(|(_, value)| *value));
        histograms.extend(self.late_histograms.iter().cloned());
    }
}

fn read_chunk(
    chunk: &ChunkRef,
    reader: &ChunkReader,
    frame: &mut Vec<u8>,
    timestamps: &mut Vec<i64>,
    values: &mut Vec<f64>,
    histograms: &mut Vec<HistogramAt>,
) -> Result<(), String> {
    let decoded = reader.read(chunk, frame, |bytes| {
        if chunk.is_histograms() {
            decode_histograms(bytes, histograms)
        } else {
            decode_floats(bytes, timestamps, values)
        }
    });
    decoded.map_err(|damage| damage.to_string())?.map_err(|error| error.to_string())
}
