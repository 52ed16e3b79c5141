//! Cutting: the head's oldest samples become blocks; series without samples are forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use maru_prom::Labels;

use super::chunks::{ChunkReader, Position};
use super::series::{HeadSamples, HistogramAt, range_end};
use super::{Head, lock, read};
use crate::block::{BlockError, BlockInfo, BlockWriter, TimeRange};
use crate::chunk::{ChunkError, EncodedChunk, SAMPLES_MAX, encode_floats, encode_histograms};
use crate::limits::SetAside;
use crate::select::merge;
use crate::starts::{Starts, StartsOfSamples};

/// What was cut.
#[derive(Debug)]
pub(crate) struct Cut {
    /// Chunks before this place that end before `end_ms` are in the blocks.
    pub(crate) at: Position,
    pub(crate) end_ms: i64,
    pub(crate) blocks: Vec<BlockInfo>,
}

/// The chunks that go into one block.
struct Part {
    /// The end of the block's span.
    range: i64,
    at: Position,
    end_ms: i64,
    reader: ChunkReader,
}

/// Buffers that are used for one series after another: what is asked for again and again would leave holes in the memory.
#[derive(Debug, Default)]
struct Buffers {
    frame: Vec<u8>,
    timestamps: Vec<i64>,
    values: Vec<f64>,
    histograms: Vec<HistogramAt>,
    starts: Starts,
}

impl Buffers {
    /// Reads copied samples of a series, tidied, without what is hidden.
    fn read(&mut self, head: &Head, copy: &HeadSamples, reader: &ChunkReader) {
        let Self { frame, timestamps, values, histograms, starts } = self;
        starts.clone_from(&copy.starts);
        timestamps.clear();
        values.clear();
        histograms.clear();
        copy.read(reader, frame, timestamps, values, histograms, &mut |reason| {
            head.report(SetAside { file: "head".into(), moved_to: None, reason });
        });
        merge::tidy(timestamps, values, histograms);
        for range in &copy.deleted {
            merge::hide(*range, timestamps, values, histograms);
        }
    }
}

/// A block could not be made of what the head has.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CutError {
    #[error("could not write the block")]
    Block(#[from] BlockError),
    #[error("could not pack the samples of {series:?}")]
    Chunk {
        series: Labels,
        #[source]
        source: ChunkError,
    },
}

impl Head {
    /// Returns the first moment of all samples.
    pub(crate) fn oldest_ms(&self) -> Option<i64> {
        let mut oldest = None;
        self.for_all(|_, series| {
            if let Some(first) = series.first_ms() {
                oldest = Some(oldest.map_or(first, |oldest: i64| oldest.min(first)));
            }
        });
        oldest
    }

    /// Writes all samples before `end_ms` into blocks, one for each span. The head keeps them until [`Head::drop_cut`].
    pub(crate) fn cut(
        &self,
        end_ms: i64,
        writer: impl Fn() -> Result<BlockWriter, BlockError>,
    ) -> Result<Cut, CutError> {
        let mut adding = self.adding();
        self.for_all(|id, series| series.close_before(id, end_ms, &mut adding));
        drop(adding);
        let at = self.files.end();
        let mut ranges = BTreeSet::new();
        self.for_all(|_, series| {
            let chunks = series.chunks.iter().filter(|chunk| chunk.position < at && chunk.last_ms() < end_ms);
            ranges.extend(chunks.map(|chunk| range_end(chunk.first_ms, self.range_ms)));
        });
        let mut order: Vec<u32> = {
            let index = read(&self.index);
            let mut all: Vec<u32> = index.all().collect();
            self.sort(&index, &mut all);
            all
        };
        if ranges.is_empty() {
            order.clear();
        }
        let mut blocks = Vec::new();
        let mut buffers = Buffers::default();
        for range in ranges {
            let mut writer = writer()?;
            writer.reserve(order.len());
            // Chunk by chunk: series go in the order of labels, chunks lie in that of time, so that windows would all be kept to the end.
            let reader = ChunkReader::new(self.files.view(), &BTreeMap::new());
            let part = Part { range, at, end_ms, reader };
            for id in &order {
                self.cut_series(*id, &part, &mut buffers, &mut writer)?;
            }
            blocks.extend(writer.finish()?);
        }
        Ok(Cut { at, end_ms, blocks })
    }

    fn cut_series(
        &self,
        id: u32,
        part: &Part,
        buffers: &mut Buffers,
        writer: &mut BlockWriter,
    ) -> Result<(), CutError> {
        let copy = self.with(id, |series| {
            let mut copy = HeadSamples::default();
            copy.chunks.extend(series.chunks.iter().filter(|chunk| {
                chunk.position < part.at
                    && chunk.last_ms() < part.end_ms
                    && range_end(chunk.first_ms, self.range_ms) == part.range
            }));
            if !copy.chunks.is_empty() {
                copy.deleted = series.deleted().to_vec();
                copy.starts = series.starts();
            }
            copy
        });
        let Some(copy) = copy.filter(|copy| !copy.is_empty()) else { return Ok(()) };
        buffers.read(self, &copy, &part.reader);
        add(&self.labels(id), buffers, writer)
    }

    /// Forgets what the blocks of a cut have.
    pub(crate) fn drop_cut(&self, cut: &Cut) -> BTreeSet<u32> {
        let mut needed = BTreeSet::new();
        self.for_all(|_, series| {
            series.drop_chunks(|chunk| chunk.position < cut.at && chunk.last_ms() < cut.end_ms, cut.end_ms);
            needed.extend(series.chunks.iter().map(|chunk| chunk.position.file()));
        });
        self.raise_oldest(|| self.oldest_ms());
        needed
    }

    /// Forgets series that have had no samples for a while. It takes two rounds: in the first their labels would get a new number, but
    /// a writer who found the old one may still use it.
    pub(crate) fn forget_empty(&self, before_ms: i64, before_s: u32) {
        let (mut gone, mut retired, mut scopes) = (Vec::new(), Vec::new(), Vec::new());
        self.for_all(|id, series| {
            let is_unused = series.is_empty() && series.last_ms < before_ms && series.created_s < before_s;
            if series.is_empty() && series.is_retired {
                gone.push(id);
            } else if is_unused {
                series.is_retired = true;
                retired.push(id);
                scopes.push(series.scope);
            }
        });
        self.active.fetch_sub(retired.len(), Ordering::Relaxed);
        for scope in scopes {
            if let Some(state) = self.scope_state(scope) {
                state.series.fetch_sub(1, Ordering::Relaxed);
            }
        }
        if !retired.is_empty() {
            let mut index = self.index.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            index.retire(|id| retired.binary_search(&id).is_ok());
            drop(index);
            for table in &self.wire {
                let mut table = table.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
                table.remove(|id| retired.binary_search(&id).is_ok());
            }
            for state in read(&self.scopes).iter() {
                let mut overflow = lock(&state.overflow_series);
                if overflow.is_some_and(|id| retired.binary_search(&id).is_ok()) {
                    *overflow = None;
                }
            }
        }
        if !gone.is_empty() {
            self.remove(&gone);
        }
    }

    fn remove(&self, gone: &[u32]) {
        let mut index = self.index.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        index.remove(gone);
        self.order.write().unwrap_or_else(std::sync::PoisonError::into_inner).remove(gone);
        let mut pages = self.pages.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for id in gone {
            let Some(slot) = pages.get_mut(*id as usize / super::PAGE) else { continue };
            let Some(page) = slot else { continue };
            let mut slots = lock(&page.0);
            if let Some(series) = slots.get_mut(*id as usize % super::PAGE) {
                *series = None;
            }
            let is_empty = slots.len() == super::PAGE && slots.iter().all(Option::is_none);
            drop(slots);
            if is_empty {
                *slot = None;
            }
        }
        drop(pages);
        lock(&self.exemplars).remove(gone);
    }

    /// Writes all samples of the head into one block, without changing the head.
    pub(crate) fn write_all(&self, mut writer: BlockWriter) -> Result<Option<BlockInfo>, CutError> {
        let everything = self.select(&[], TimeRange { start_ms: i64::MIN, end_ms: i64::MAX }, None).unwrap_or_default();
        let reader = ChunkReader::new(self.files.view(), &BTreeMap::new());
        let mut buffers = Buffers::default();
        writer.reserve(everything.len());
        for (labels, copy) in everything {
            buffers.read(self, &copy, &reader);
            add(&labels, &buffers, &mut writer)?;
        }
        Ok(writer.finish()?)
    }
}

/// Packs the samples of a series and adds them to a block.
fn add(labels: &Labels, samples: &Buffers, writer: &mut BlockWriter) -> Result<(), CutError> {
    let refused = |source| CutError::Chunk { series: labels.clone(), source };
    let mut chunks = pack(&samples.timestamps, &samples.values, &samples.histograms).map_err(refused)?;
    if !samples.starts.is_empty() {
        let mut all = StartsOfSamples::default();
        let floats = samples.timestamps.iter().copied();
        all.add(&samples.starts, floats.chain(samples.histograms.iter().map(|(at, _)| *at)));
        all.tidy();
        chunks.extend(all.changes().encode().map_err(refused)?);
    }
    if !chunks.is_empty() {
        writer.add(labels, &chunks)?;
    }
    Ok(())
}

/// Returns how many bytes of which file are wanted.
pub(crate) fn wanted<'a>(copies: impl Iterator<Item = &'a HeadSamples>) -> BTreeMap<u32, u64> {
    let mut wanted = BTreeMap::new();
    for chunk in copies.flat_map(|copy| &copy.chunks) {
        *wanted.entry(chunk.position.file()).or_default() += chunk.length() as u64;
    }
    wanted
}

/// Samples of one chunk in a block.
const BLOCK_CHUNK_SAMPLES: usize = 960;

fn pack(timestamps: &[i64], values: &[f64], histograms: &[HistogramAt]) -> Result<Vec<EncodedChunk>, ChunkError> {
    let mut chunks = Vec::new();
    // Equal parts: a short last chunk would pack badly.
    let parts = timestamps.len().div_ceil(BLOCK_CHUNK_SAMPLES).max(1);
    let size = timestamps.len().div_ceil(parts).clamp(1, SAMPLES_MAX);
    for (timestamps, values) in timestamps.chunks(size).zip(values.chunks(size)) {
        chunks.push(encode_floats(timestamps, values)?);
    }
    if !histograms.is_empty() {
        chunks.extend(encode_histograms(histograms)?);
    }
    Ok(chunks)
}
