//! Reading: selections over blocks, the head and what came late, merged.

pub(crate) mod merge;
mod thinned;

use std::cmp::Ordering;
use std::sync::Arc;

use maru_prom::{Histogram, Labels, Matcher};

use crate::block::{Block, BlockSeries, Samples, TimeRange};
use crate::blocks::ReadHints;
use crate::chunk::Column;
use crate::errors::SelectError;
use crate::head::chunks::{ChunkReader, ChunkView};
use crate::head::cut::wanted;
use crate::head::series::HeadSamples;
use crate::limits::SetAside;
use crate::starts::{Starts, StartsOfSamples};
use crate::store::Inner;

use self::thinned::{Thinned, read_means};

/// What the reader is going to do, from which the store chooses what to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelectHints {
    /// The step between two evaluations in milliseconds; 0 for an instant.
    pub step_ms: i64,
    /// The function right around the selector, such as `rate`; empty for none.
    pub function: String,
    /// The length of a range selector in milliseconds; 0 for none.
    pub window_ms: i64,
    /// Series at most; more is an error.
    pub series_max: Option<usize>,
    /// Whether thinned-out blocks may answer when the step and window are long enough.
    pub allows_downsampled: bool,
}

/// The samples that a block has of a series.
#[derive(Debug)]
struct BlockPart {
    block: Arc<Block>,
    series: BlockSeries,
    range: TimeRange,
    reading: Reading,
}

/// What is read of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Column(Column),
    /// Of a downsampled block, see [`Thinned::Means`].
    Means,
}

/// The samples that the head has.
#[derive(Debug)]
struct HeadPart {
    samples: HeadSamples,
    reader: Arc<ChunkReader>,
}

/// One series of a selection. Reading it is what costs; many may be read at once from several threads while writes go on.
#[derive(Debug)]
pub struct SelectedSeries {
    labels: Labels,
    range: TimeRange,
    blocks: Vec<BlockPart>,
    head: Option<HeadPart>,
    store: Arc<Inner>,
}

impl SelectedSeries {
    /// Returns the series' labels.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Appends the samples of the selection's range in the order of time: floats to the first two, histograms to the third. No moment is in both.
    /// The vectors are empty before; what is damaged is named by the store and left out.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read(
        &self,
        timestamps: &mut Vec<i64>,
        values: &mut Vec<f64>,
        histograms: &mut Vec<(i64, Arc<Histogram>)>,
    ) -> Result<(), SelectError> {
        self.read_parts(timestamps, values, histograms, None);
        Ok(())
    }

    /// As [`SelectedSeries::read`], and tells when the counters behind the samples started, in milliseconds since 1970: `starts` beside the floats,
    /// `histogram_starts` beside the histograms, 0 where nobody knows; both stay empty when no start is known at all.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read_with_starts(
        &self,
        timestamps: &mut Vec<i64>,
        values: &mut Vec<f64>,
        histograms: &mut Vec<(i64, Arc<Histogram>)>,
        starts: &mut Vec<i64>,
        histogram_starts: &mut Vec<i64>,
    ) -> Result<(), SelectError> {
        let mut all = StartsOfSamples::default();
        self.read_parts(timestamps, values, histograms, Some(&mut all));
        all.tidy();
        all.of(timestamps.iter().copied(), starts);
        all.of(histograms.iter().map(|(at, _)| *at), histogram_starts);
        Ok(())
    }

    fn read_parts(
        &self,
        timestamps: &mut Vec<i64>,
        values: &mut Vec<f64>,
        histograms: &mut Vec<(i64, Arc<Histogram>)>,
        mut starts: Option<&mut StartsOfSamples>,
    ) {
        let mut add = |own: &Starts, timestamps: &[i64], histograms: &[(i64, Arc<Histogram>)]| {
            if let Some(starts) = &mut starts
                && !own.is_empty()
            {
                starts.add(own, timestamps.iter().copied().chain(histograms.iter().map(|(at, _)| *at)));
            }
        };
        if !self.blocks.is_empty() {
            let mut samples = Samples {
                timestamps: std::mem::take(timestamps),
                values: std::mem::take(values),
                histograms: std::mem::take(histograms),
            };
            for part in &self.blocks {
                let (floats, with_buckets) = (samples.timestamps.len(), samples.histograms.len());
                // Missing samples are named by the block's damage.
                match part.reading {
                    Reading::Column(column) => {
                        part.block.read(&part.series, part.range, column, &mut samples);
                    }
                    Reading::Means => read_means(&part.block, &part.series, part.range, &mut samples),
                }
                let own = part.block.starts(&part.series);
                let new = |all: usize, before: usize| before.min(all)..all;
                let timestamps = samples.timestamps.get(new(samples.timestamps.len(), floats)).unwrap_or_default();
                let histograms = samples.histograms.get(new(samples.histograms.len(), with_buckets));
                add(&own, timestamps, histograms.unwrap_or_default());
            }
            *timestamps = samples.timestamps;
            *values = samples.values;
            *histograms = samples.histograms;
        }
        if let Some(part) = &self.head {
            if timestamps.is_empty() && histograms.is_empty() {
                self.read_head(part, timestamps, values, histograms);
                add(&part.samples.starts, timestamps, histograms);
            } else {
                let (mut own_timestamps, mut own_values, mut own_histograms) = (Vec::new(), Vec::new(), Vec::new());
                self.read_head(part, &mut own_timestamps, &mut own_values, &mut own_histograms);
                add(&part.samples.starts, &own_timestamps, &own_histograms);
                timestamps.append(&mut own_timestamps);
                values.append(&mut own_values);
                histograms.append(&mut own_histograms);
            }
        }
        merge::tidy(timestamps, values, histograms);
    }

    fn read_head(
        &self,
        part: &HeadPart,
        timestamps: &mut Vec<i64>,
        values: &mut Vec<f64>,
        histograms: &mut Vec<(i64, Arc<Histogram>)>,
    ) {
        let mut damaged =
            |reason: String| self.store.head.report(SetAside { file: "head".into(), moved_to: None, reason });
        part.samples.read(&part.reader, &mut Vec::new(), timestamps, values, histograms, &mut damaged);
        merge::tidy(timestamps, values, histograms);
        merge::clip(self.range, timestamps, values, histograms);
        for range in &part.samples.deleted {
            merge::hide(*range, timestamps, values, histograms);
        }
    }
}

/// Returns the selected series of a store.
pub(crate) fn select(
    store: &Arc<Inner>,
    matchers: &[Matcher],
    range: TimeRange,
    hints: &SelectHints,
) -> Result<Vec<SelectedSeries>, SelectError> {
    let too_many = |_| SelectError::TooManySeries { series_max: hints.series_max.unwrap_or_default() };
    // The head comes first: what moves from it into a block meanwhile is found twice, never not at all.
    let files_before = store.head.files.view();
    let found = store.head.select(matchers, range, hints.series_max).map_err(too_many)?;
    let wanted = wanted(found.iter().map(|(_, samples)| samples));
    // Files may come and go while series are looked for.
    let reader = Arc::new(ChunkReader::new(joined(files_before, store.head.files.view()), &wanted));
    let mut selected: Vec<SelectedSeries> = found
        .into_iter()
        .map(|(labels, samples)| SelectedSeries {
            labels,
            range,
            blocks: Vec::new(),
            head: Some(HeadPart { samples, reader: Arc::clone(&reader) }),
            store: Arc::clone(store),
        })
        .collect();
    for (part, found) in block_parts(store, matchers, range, hints)? {
        let (block, range_of_block, reading) = part;
        selected = join(
            selected,
            found,
            |series| BlockPart { block: Arc::clone(&block), series, range: range_of_block, reading },
            store,
            range,
        );
        if hints.series_max.is_some_and(|max| selected.len() > max) {
            return Err(too_many(selected.len()));
        }
    }
    Ok(selected)
}

/// A block with the span to read of it, and what.
type Part = (Arc<Block>, TimeRange, Reading);

/// Returns what blocks have. Downsampled ones serve where they give the same answer, and where samples as they came are gone.
fn block_parts(
    store: &Inner,
    matchers: &[Matcher],
    range: TimeRange,
    hints: &SelectHints,
) -> Result<Vec<(Part, Vec<BlockSeries>)>, SelectError> {
    let function = if hints.allows_downsampled { hints.function.as_str() } else { "" };
    let thinned = Thinned::of(function);
    let (step_ms, window_ms) = if hints.allows_downsampled { (hints.step_ms, hints.window_ms) } else { (0, 0) };
    let mut read_hints = ReadHints { step_ms, window_ms, function };
    'again: loop {
        let mut parts = Vec::new();
        for (block, span, column) in store.blocks.select(range, read_hints) {
            let found = block.select(matchers, span);
            let mut reading = Reading::Column(column);
            if block.info().resolution_ms > 0 && !found.is_empty() {
                let has_histograms = thinned.needs_all_histograms() && found.iter().any(BlockSeries::has_histograms);
                if has_histograms && read_hints.step_ms > 0 {
                    // It is right for floats only: samples as they came, where there are any.
                    read_hints.step_ms = 0;
                    continue 'again;
                }
                if has_histograms || thinned == Thinned::Refused {
                    return Err(SelectError::Downsampled {
                        function: function.to_owned(),
                        what: if has_histograms { "native histogram" } else { "sample" },
                        interval: std::time::Duration::from_millis(block.info().resolution_ms.unsigned_abs()),
                        end_ms: block.info().range.end_ms.min(span.end_ms),
                    });
                }
                if thinned == Thinned::Means {
                    reading = Reading::Means;
                }
            }
            parts.push(((block, span, reading), found));
        }
        return Ok(parts);
    }
}

/// Returns the files of two moments.
fn joined(before: ChunkView, after: ChunkView) -> ChunkView {
    if Arc::ptr_eq(&before, &after) {
        return after;
    }
    let mut all = std::collections::BTreeMap::clone(&after);
    for (number, file) in before.iter() {
        all.entry(*number).or_insert_with(|| Arc::clone(file));
    }
    Arc::new(all)
}

/// Joins two lists that are in the order of labels.
fn join(
    selected: Vec<SelectedSeries>,
    found: Vec<BlockSeries>,
    part: impl Fn(BlockSeries) -> BlockPart,
    store: &Arc<Inner>,
    range: TimeRange,
) -> Vec<SelectedSeries> {
    let mut joined = Vec::with_capacity(selected.len().max(found.len()));
    let mut left = selected.into_iter().peekable();
    for series in found {
        let mut order = Ordering::Less;
        while let Some(next) = left.peek() {
            order = compare(&next.labels, series.labels());
            if order.is_ge() {
                break;
            }
            joined.extend(left.next());
        }
        match left.peek_mut() {
            Some(same) if order.is_eq() => {
                same.blocks.push(part(series));
                joined.extend(left.next());
            }
            _ => joined.push(SelectedSeries {
                labels: series.labels().clone(),
                range,
                blocks: vec![part(series)],
                head: None,
                store: Arc::clone(store),
            }),
        }
    }
    joined.extend(left);
    joined
}

/// Compares labels; equal ones, which are most of them, cost least.
fn compare(a: &Labels, b: &Labels) -> Ordering {
    if a.key() == b.key() { Ordering::Equal } else { a.cmp(b) }
}
