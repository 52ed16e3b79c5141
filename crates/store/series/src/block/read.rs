//! Reading samples of a block, and checking all of it.

use std::sync::Arc;

use super::files;
use super::open::{Block, BlockSeries, NameMemo, index_of, last_contents};
use super::piece::Kind;
use super::series::ChunkPlace;
use super::{Damage, Samples, TimeRange, times};
use crate::chunk::{self, Column, EncodedChunk};
use crate::starts::Starts;

impl Block {
    /// Appends the samples of `series` within `range` to `into`: those of `column` (`Floats` and `Histograms` give both kinds), deleted ones left out.
    /// Returns how many samples are missing since their piece is damaged.
    pub fn read(&self, series: &BlockSeries, range: TimeRange, column: Column, into: &mut Samples) -> u64 {
        match column {
            Column::Floats | Column::Histograms => {
                self.read_column(series, range, Column::Floats, into)
                    + self.read_column(series, range, Column::Histograms, into)
            }
            Column::Count | Column::Sum | Column::Min | Column::Max | Column::Starts => {
                self.read_column(series, range, column, into)
            }
        }
    }

    /// As [`Block::read`], but only exactly this column.
    pub(crate) fn read_column(
        &self,
        series: &BlockSeries,
        range: TimeRange,
        column: Column,
        into: &mut Samples,
    ) -> u64 {
        let mut missing = 0;
        let tombstones = self.tombstones();
        let deleted = tombstones.of(series.ordinal);
        for place in series.chunks() {
            if place.column != column || !range.overlaps(place.first_ms, place.last_ms) {
                continue;
            }
            if self.read_chunk(place, range, deleted, into).is_none() {
                missing += u64::from(place.samples);
            }
        }
        missing
    }

    /// Returns when the counters behind a series' samples started.
    pub(crate) fn starts(&self, series: &BlockSeries) -> Starts {
        let mut starts = Starts::default();
        for place in series.chunks().iter().filter(|place| place.column == Column::Starts) {
            let mut changes = Samples::default();
            // What is damaged is named; its samples have no starts then.
            if self.read_chunk(place, TimeRange::all(), &[], &mut changes).is_some() {
                changes.timestamps.iter().zip(&changes.values).for_each(|(at, start)| starts.push(*at, *start));
            }
        }
        starts
    }

    /// Appends the samples of one chunk; `None` when it is damaged, nothing is appended then.
    fn read_chunk(
        &self,
        place: &ChunkPlace,
        range: TimeRange,
        deleted: &[TimeRange],
        into: &mut Samples,
    ) -> Option<()> {
        let count = index_of(place.samples);
        let values = self.values_piece(place.page)?;
        let start = index_of(place.offset);
        let packed = values.get(start..start + index_of(place.length));
        let per_piece = u32::try_from(times::PER_PIECE).unwrap_or(1);
        let times = self.times_piece(place.times / per_piece)?;
        let packed_times = times.get(index_of(place.times % per_piece));
        let (Some(packed), Some(packed_times)) = (packed, packed_times) else {
            self.note(files::CHUNKS, format!("values {}: a chunk lies outside of them", place.page));
            return None;
        };
        let (floats, histograms) = (into.timestamps.len(), into.histograms.len());
        let decoded = if place.column == Column::Histograms {
            let mut timestamps = Vec::new();
            chunk::decode_times(packed_times, count, &mut timestamps)
                .and_then(|()| chunk::decode_histogram_values(packed, count))
                .map(|found| into.histograms.extend(timestamps.into_iter().zip(found.into_iter().map(Arc::new))))
        } else {
            chunk::decode_times(packed_times, count, &mut into.timestamps)
                .and_then(|()| chunk::decode_values(packed, count, &mut into.values))
        };
        if let Err(error) = decoded {
            into.timestamps.truncate(floats);
            into.values.truncate(floats);
            self.note(files::CHUNKS, format!("values {} at {}: {error}", place.page, place.offset));
            return None;
        }
        if range.start_ms > place.first_ms || range.end_ms < place.last_ms {
            into.keep_from(floats, histograms, |at| range.contains(at));
        }
        if deleted.iter().any(|span| span.overlaps(place.first_ms, place.last_ms)) {
            into.keep_from(floats, histograms, |at| !deleted.iter().any(|span| span.contains(at)));
        }
        Some(())
    }

    /// Returns a chunk as it was written, unless some of it was deleted or is damaged.
    pub(crate) fn whole_chunk(&self, series: &BlockSeries, place: &ChunkPlace) -> Option<EncodedChunk> {
        if self.tombstones().of(series.ordinal).iter().any(|span| span.overlaps(place.first_ms, place.last_ms)) {
            return None;
        }
        let values = self.values_piece(place.page)?;
        let start = index_of(place.offset);
        let per_piece = u32::try_from(times::PER_PIECE).unwrap_or(1);
        let times = self.times_piece(place.times / per_piece)?;
        Some(EncodedChunk {
            column: place.column,
            samples: place.samples,
            first_ms: place.first_ms,
            last_ms: place.last_ms,
            times: times.get(index_of(place.times % per_piece))?.to_vec(),
            values: values.get(start..start + index_of(place.length))?.to_vec(),
        })
    }

    /// Reads every piece and decodes every chunk; returns all damage.
    #[must_use]
    pub fn verify(&self) -> Vec<Damage> {
        let copy = self.index.metadata().map_err(|error| error.to_string());
        if let Err(reason) = copy.and_then(|metadata| last_contents(&self.index, metadata.len())) {
            self.note(files::INDEX, format!("contents' copy at the end: {reason}"));
        }
        for name in &self.contents.names {
            for place in &name.dictionaries {
                self.check_piece(place.piece, Kind::Dictionary);
            }
            for place in &name.postings {
                self.check_piece(place.piece, Kind::Postings);
            }
        }
        let mut samples = Samples::default();
        let mut memo = NameMemo::default();
        for ordinal in 0..u32::try_from(self.contents.info.series).unwrap_or(u32::MAX) {
            let Some(piece) = self.series_piece(ordinal) else { continue };
            let Some(series) = self.series_at(ordinal, &piece, &mut memo) else { continue };
            for column in [Column::Floats, Column::Count, Column::Sum, Column::Min, Column::Max, Column::Starts] {
                samples.clear();
                self.read(&series, TimeRange::all(), column, &mut samples);
            }
        }
        // From the disk once more, as the cache may have been asked above.
        for number in 0..u32::try_from(self.contents.values.len()).unwrap_or(u32::MAX) {
            self.check_piece(number, Kind::Values);
        }
        for number in 0..u32::try_from(self.contents.times.len()).unwrap_or(u32::MAX) {
            self.check_piece(number, Kind::Times);
        }
        self.damage()
    }

    fn check_piece(&self, number: u32, kind: Kind) {
        let (table, file_name) = match kind {
            Kind::Values => (&self.contents.values, files::CHUNKS),
            Kind::Times => (&self.contents.times, files::CHUNKS),
            _ => (&self.contents.index, files::INDEX),
        };
        let Some(place) = table.get(index_of(number)) else { return };
        for offset in std::iter::once(place.offset).chain((place.copy > 0).then_some(place.copy)) {
            if let Err(reason) = self.read_piece(*place, offset, kind) {
                self.note(file_name, format!("{} {number} at byte {offset}: {reason}", kind.name()));
            }
        }
    }
}
