//! Merging: several blocks become one, series by series, without what was deleted.

use std::path::Path;
use std::sync::Arc;

use maru_prom::Labels;

use super::{Cancel, plan};
use crate::block::series::{self, ChunkPlace, SeriesPiece};
use crate::block::{
    Block, BlockError, BlockId, BlockInfo, BlockSeries, BlockWriter, NameMemo, Samples, TimeRange, WriteOptions,
};
use crate::chunk::{self, Column, EncodedChunk};
use crate::starts::{Starts, StartsOfSamples};

/// Samples in one chunk of a merged block: a smaller one than two thirds of it is packed anew with its neighbours.
pub(crate) const CHUNK_SAMPLES: usize = 1440;

/// Goes over a block's series in order, one piece in memory at a time.
pub(crate) struct Cursor {
    pub(crate) block: Arc<Block>,
    next: u32,
    piece: Option<Arc<SeriesPiece>>,
    current: Option<BlockSeries>,
    names: NameMemo,
}

impl Cursor {
    fn new(block: Arc<Block>) -> Result<Self, BlockError> {
        let mut cursor = Self { block, next: 0, piece: None, current: None, names: NameMemo::default() };
        cursor.advance()?;
        Ok(cursor)
    }

    /// Goes to the next series.
    fn advance(&mut self) -> Result<(), BlockError> {
        let total = self.block.info().series;
        self.current = None;
        if u64::from(self.next) >= total {
            return Ok(());
        }
        let per_piece = u32::try_from(series::PER_PIECE).unwrap_or(1);
        if self.next.is_multiple_of(per_piece) || self.piece.is_none() {
            self.piece = self.block.series_piece(self.next);
        }
        let found = self.piece.as_ref().and_then(|piece| self.block.series_at(self.next, piece, &mut self.names));
        let Some(found) = found else { return Err(damaged(&self.block)) };
        self.current = Some(found);
        self.next += 1;
        Ok(())
    }
}

/// Says that a block cannot be merged since pieces of it are damaged: what is whole stays where it is.
pub(crate) fn damaged(block: &Block) -> BlockError {
    let reason =
        block.damage().first().map_or_else(|| "a series cannot be read".to_owned(), |damage| damage.reason.clone());
    BlockError::Damaged { path: block.path().to_owned(), reason }
}

/// Goes over the series of several blocks together: calls `each` with a label set and all that have it.
pub(crate) fn for_each_series(
    blocks: &[Arc<Block>],
    cancel: &Cancel<'_>,
    mut each: impl FnMut(&Labels, &[(&Block, &BlockSeries)]) -> Result<(), BlockError>,
) -> Result<(), BlockError> {
    let mut cursors = blocks.iter().map(|block| Cursor::new(Arc::clone(block))).collect::<Result<Vec<_>, _>>()?;
    loop {
        cancel.check()?;
        let least = cursors.iter().filter_map(|cursor| cursor.current.as_ref()).map(BlockSeries::labels).min();
        let Some(labels) = least.cloned() else { return Ok(()) };
        let has = |cursor: &&Cursor| cursor.current.as_ref().is_some_and(|series| *series.labels() == labels);
        let holders: Vec<(&Block, &BlockSeries)> =
            cursors.iter().filter(has).filter_map(|cursor| Some((&*cursor.block, cursor.current.as_ref()?))).collect();
        each(&labels, &holders)?;
        for cursor in &mut cursors {
            if cursor.current.as_ref().is_some_and(|series| *series.labels() == labels) {
                cursor.advance()?;
            }
        }
    }
}

/// Merges `blocks` into a new one beneath `parent`. `None` when all of it was deleted.
pub(crate) fn run(
    parent: &Path,
    id: BlockId,
    blocks: &[Arc<Block>],
    planned: &plan::Merge,
    cancel: &Cancel<'_>,
) -> Result<Option<BlockInfo>, BlockError> {
    let infos = || blocks.iter().map(|block| block.info());
    let options = WriteOptions {
        id,
        resolution_ms: planned.resolution_ms,
        level: planned.level,
        replaces: planned.sources.clone(),
        newest_source: infos().map(|info| info.newest_source).max().unwrap_or(id),
    };
    let mut writer = BlockWriter::create(parent, options)?;
    let most = infos().map(|info| info.series).max().unwrap_or_default();
    writer.reserve(usize::try_from(most).unwrap_or_default());
    for_each_series(blocks, cancel, |labels, holders| {
        let mut chunks = Vec::new();
        for column in [Column::Floats, Column::Histograms, Column::Count, Column::Sum, Column::Min, Column::Max] {
            merge_column(holders, column, &mut chunks)?;
        }
        if chunks.is_empty() {
            return Ok(());
        }
        chunks.extend(starts(holders, TimeRange::all())?.encode().map_err(refused)?);
        writer.add(labels, &chunks)
    })?;
    if planned.resolution_ms > 0 {
        writer.set_samples(infos().map(|info| info.samples).sum());
    }
    writer.finish()
}

/// Appends the chunks of one column from all that have the series.
fn merge_column(
    holders: &[(&Block, &BlockSeries)],
    column: Column,
    into: &mut Vec<EncodedChunk>,
) -> Result<(), BlockError> {
    let mut places: Vec<(&Block, &BlockSeries, &ChunkPlace)> = holders
        .iter()
        .flat_map(|(block, series)| series.chunks().iter().map(move |place| (*block, *series, place)))
        .filter(|(_, _, place)| place.column == column)
        .collect();
    places.sort_by_key(|(_, _, place)| place.first_ms);
    let follow = places.windows(2).all(|pair| pair[0].2.last_ms < pair[1].2.first_ms);
    let are_large = places.iter().all(|(_, _, place)| is_large(place)) || places.len() == 1;
    if follow && are_large {
        let whole: Option<Vec<EncodedChunk>> =
            places.iter().map(|(block, series, place)| block.whole_chunk(series, place)).collect();
        if let Some(whole) = whole {
            into.extend(whole);
            return Ok(());
        }
    }
    let mut samples = Samples::default();
    for (block, series) in holders {
        let mut own = Samples::default();
        if block.read_column(series, TimeRange::all(), column, &mut own) > 0 {
            return Err(damaged(block));
        }
        samples.merge(own);
    }
    into.extend(pack(&samples, column)?);
    Ok(())
}

/// Returns when the counters behind all samples of a series started.
pub(crate) fn starts(holders: &[(&Block, &BlockSeries)], range: TimeRange) -> Result<Starts, BlockError> {
    let has_any = |(_, series): &(&Block, &BlockSeries)| series.chunks().iter().any(|c| c.column == Column::Starts);
    if !holders.iter().any(has_any) {
        return Ok(Starts::default());
    }
    let mut all = StartsOfSamples::default();
    for (block, series) in holders {
        let mut own = Samples::default();
        if block.read(series, range, Column::Floats, &mut own) > 0 {
            return Err(damaged(block));
        }
        let moments = own.timestamps.iter().copied().chain(own.histograms.iter().map(|(at, _)| *at));
        all.add(&block.starts(series), moments);
    }
    all.tidy();
    Ok(all.changes())
}

/// Says that a chunk cannot be packed.
pub(crate) fn refused(error: chunk::ChunkError) -> BlockError {
    BlockError::Limit(format!("this chunk: {error}"))
}

fn is_large(place: &ChunkPlace) -> bool {
    usize::try_from(place.samples).unwrap_or_default() >= CHUNK_SAMPLES * 2 / 3
}

/// Packs samples into chunks of about equal size.
pub(crate) fn pack(samples: &Samples, column: Column) -> Result<Vec<EncodedChunk>, BlockError> {
    let mut chunks = Vec::new();
    let size = |count: usize| count.div_ceil(count.div_ceil(CHUNK_SAMPLES).max(1)).max(1);
    let length = size(samples.timestamps.len());
    for (timestamps, values) in samples.timestamps.chunks(length).zip(samples.values.chunks(length)) {
        chunks.push(chunk::encode_column(column, timestamps, values).map_err(refused)?);
    }
    for histograms in samples.histograms.chunks(size(samples.histograms.len())) {
        chunks.extend(chunk::encode_histograms(histograms).map_err(refused)?);
    }
    Ok(chunks)
}
