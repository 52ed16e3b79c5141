//! What to merge, to downsample, to remove and to read: pure decisions over what is known of the blocks.

use std::collections::{BTreeMap, BTreeSet};

use super::{BlocksOptions, ReadHints};
use crate::block::{BlockId, BlockInfo, TimeRange};
use crate::chunk::Column;

/// So many blocks in one window are merged even when they are small beside the largest.
const SMALL_BLOCKS_MAX: usize = 8;

/// Blocks to merge into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merge {
    pub(crate) sources: Vec<BlockId>,
    pub(crate) resolution_ms: i64,
    pub(crate) level: u8,
}

/// Samples as they came in a window of time, to downsample to some resolutions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Downsample {
    pub(crate) window: TimeRange,
    pub(crate) sources: Vec<BlockId>,
    /// Each resolution with the blocks whose place the new one takes.
    pub(crate) resolutions: Vec<Replaced>,
}

/// A resolution, and the blocks of it whose place the new one takes.
pub(crate) type Replaced = (i64, Vec<BlockId>);

/// Returns the window of `span_ms` that contains all of `range`.
fn window_of(range: TimeRange, span_ms: i64) -> Option<TimeRange> {
    let start_ms = range.start_ms.div_euclid(span_ms).checked_mul(span_ms)?;
    let end_ms = start_ms.checked_add(span_ms - 1)?;
    (range.end_ms <= end_ms).then_some(TimeRange { start_ms, end_ms })
}

/// Tells whether a window is past, so that only late samples may still come to it.
fn is_past(window: TimeRange, options: &BlocksOptions, newest_ms: i64) -> bool {
    let grace_ms = options.spans_ms.first().copied().unwrap_or_default();
    window.end_ms.saturating_add(grace_ms) < newest_ms
}

/// Returns the next blocks to merge: those in the shortest window that has several.
pub(crate) fn merge(infos: &[BlockInfo], options: &BlocksOptions, newest_ms: i64) -> Option<Merge> {
    for span_ms in options.spans_ms.iter().filter(|span| **span > 0) {
        let mut windows: BTreeMap<(i64, i64), Vec<&BlockInfo>> = BTreeMap::new();
        for info in infos {
            if let Some(window) = window_of(info.range, *span_ms)
                && is_past(window, options, newest_ms)
            {
                windows.entry((info.resolution_ms, window.start_ms)).or_default().push(info);
            }
        }
        for ((resolution_ms, _), mut sources) in windows {
            let largest = sources.iter().map(|info| info.bytes).max().unwrap_or_default();
            let others = sources.iter().map(|info| info.bytes).sum::<u64>() - largest;
            // A few late samples are not worth writing a large block anew.
            let is_worth = others.saturating_mul(4) >= largest || sources.len() >= SMALL_BLOCKS_MAX;
            if sources.len() >= 2 && is_worth {
                sources.sort_by_key(|info| info.id);
                let level = sources.iter().map(|info| info.level).max().unwrap_or_default().saturating_add(1);
                return Some(Merge { sources: sources.iter().map(|info| info.id).collect(), resolution_ms, level });
            }
        }
    }
    None
}

/// Returns the next window to downsample: past, with samples as they came, and not downsampled or only without its late samples.
/// Windows in `empty` have none.
pub(crate) fn downsample(
    infos: &[BlockInfo],
    options: &BlocksOptions,
    newest_ms: i64,
    empty: &BTreeSet<(i64, i64)>,
) -> Option<Downsample> {
    let longest = options.resolutions_ms.iter().copied().max()?;
    let span_ms = options.spans_ms.iter().copied().find(|span| *span >= longest.saturating_mul(6))?;
    let raw: Vec<&BlockInfo> = infos.iter().filter(|info| info.resolution_ms == 0).collect();
    let mut windows: BTreeMap<(i64, i64), Vec<Replaced>> = BTreeMap::new();
    for resolution in options.resolutions_ms.iter().copied().filter(|resolution| *resolution > 0) {
        let own: Vec<&BlockInfo> = infos.iter().filter(|info| info.resolution_ms == resolution).collect();
        for window in missing_windows(&raw, &own, span_ms).into_iter().chain(stale_windows(&raw, &own, options)) {
            let is_kept = options.retention_ms.is_none_or(|kept| window.start_ms > newest_ms.saturating_sub(kept));
            let inside = |info: &&&BlockInfo| window_contains(window, info.range);
            let replaced: Vec<&&BlockInfo> = own.iter().filter(inside).collect();
            // When most of what it was made of is gone already, an incomplete block is worth more than a new one.
            let stands_for: u64 = replaced.iter().map(|info| info.samples).sum();
            let available: u64 = raw_in(&raw, window).map(|info| info.samples).sum();
            let is_empty = empty.contains(&(window.start_ms, window.end_ms));
            if !is_empty && is_past(window, options, newest_ms) && is_kept && available >= stands_for {
                let entry = windows.entry((window.start_ms, window.end_ms)).or_default();
                if entry.iter().all(|(own, _)| *own != resolution) {
                    entry.push((resolution, replaced.iter().map(|info| info.id).collect()));
                }
            }
        }
    }
    let ((start_ms, end_ms), resolutions) = windows.into_iter().next()?;
    let window = TimeRange { start_ms, end_ms };
    Some(Downsample { window, sources: raw_in(&raw, window).map(|info| info.id).collect(), resolutions })
}

fn raw_in<'a>(raw: &'a [&'a BlockInfo], window: TimeRange) -> impl Iterator<Item = &'a BlockInfo> {
    raw.iter().copied().filter(move |info| window.overlaps(info.range.start_ms, info.range.end_ms))
}

fn window_contains(window: TimeRange, range: TimeRange) -> bool {
    window.start_ms <= range.start_ms && range.end_ms <= window.end_ms
}

/// Returns the windows with samples as they came that no downsampled block touches.
fn missing_windows(raw: &[&BlockInfo], own: &[&BlockInfo], span_ms: i64) -> Vec<TimeRange> {
    let mut numbers = BTreeSet::new();
    for info in raw {
        let (first, last) = (info.range.start_ms.div_euclid(span_ms), info.range.end_ms.div_euclid(span_ms));
        numbers.extend((first..=last).take(1 << 12));
    }
    let windows = numbers.into_iter().map(|number| {
        let start_ms = number.saturating_mul(span_ms);
        TimeRange { start_ms, end_ms: start_ms.saturating_add(span_ms - 1) }
    });
    windows.filter(|window| !own.iter().any(|info| window.overlaps(info.range.start_ms, info.range.end_ms))).collect()
}

/// Returns the windows of downsampled blocks to which samples came since they were made.
fn stale_windows(raw: &[&BlockInfo], own: &[&BlockInfo], options: &BlocksOptions) -> Vec<TimeRange> {
    let is_stale =
        |info: &&&BlockInfo| raw_in(raw, covered(info, options)).any(|raw| raw.newest_source > info.newest_source);
    own.iter().filter(is_stale).map(|info| covered(info, options)).collect()
}

/// Returns the time for which a downsampled block stands: the shortest window around its samples.
fn covered(info: &BlockInfo, options: &BlocksOptions) -> TimeRange {
    options.spans_ms.iter().find_map(|span| window_of(info.range, *span)).unwrap_or(info.range)
}

/// Returns the blocks that time or space is up for, in the order in which to remove them.
pub(crate) fn expired(infos: &[BlockInfo], options: &BlocksOptions, newest_ms: i64) -> Vec<BlockId> {
    let mut gone = Vec::new();
    let mut kept: Vec<&BlockInfo> = Vec::new();
    for info in infos {
        let limit = if info.resolution_ms == 0 { options.retention_ms } else { options.retention_downsampled_ms };
        if limit.is_some_and(|limit| info.range.end_ms < newest_ms.saturating_sub(limit)) {
            gone.push(info.id);
        } else {
            kept.push(info);
        }
    }
    let Some(bytes_max) = options.retention_bytes else { return gone };
    kept.sort_by_key(|info| (info.range.end_ms, info.id));
    let mut bytes: u64 = kept.iter().map(|info| info.bytes).sum();
    let mut thinned: u64 = kept.iter().filter(|info| info.resolution_ms > 0).map(|info| info.bytes).sum();
    // Downsampled samples reach much further back for their bytes: they go first only where they take more than half.
    for info in kept.iter().filter(|info| info.resolution_ms > 0) {
        if bytes > bytes_max && thinned > bytes_max / 2 {
            gone.push(info.id);
            bytes -= info.bytes;
            thinned -= info.bytes;
        }
    }
    for info in kept.iter().filter(|info| info.resolution_ms == 0) {
        if bytes > bytes_max {
            gone.push(info.id);
            bytes -= info.bytes;
        }
    }
    gone
}

/// Returns the column of a downsampled block from which `function` gets the same answer as from the samples as they came,
/// when steps, windows and their ends lie on the resolution's grid.
fn exact_column(function: &str) -> Option<Column> {
    match function {
        "min_over_time" => Some(Column::Min),
        "max_over_time" => Some(Column::Max),
        "sum_over_time" => Some(Column::Sum),
        // Intervals keep their first and last sample, and those around each reset of a counter.
        "rate" | "increase" | "delta" | "last_over_time" | "present_over_time" => Some(Column::Floats),
        _ => None,
    }
}

/// Returns the column to read when there are only downsampled samples; what that is worth, the reader knows.
fn best_column(function: &str) -> Column {
    exact_column(function).unwrap_or(Column::Floats)
}

/// Returns the longest resolution that answers a query as well as samples as they came, or 0.
fn resolution(range: TimeRange, hints: ReadHints<'_>, options: &BlocksOptions) -> i64 {
    if exact_column(hints.function).is_none() || hints.step_ms <= 0 || hints.window_ms <= 0 {
        return 0;
    }
    let fits = |resolution: &&i64| {
        let grid = **resolution;
        grid > 0
            && hints.step_ms % grid == 0
            && hints.window_ms % grid == 0
            // The first window begins behind its start, so the range may begin one later than the grid.
            && (range.start_ms.rem_euclid(grid) == 0 || range.start_ms.rem_euclid(grid) == 1)
    };
    options.resolutions_ms.iter().rev().find(fits).copied().unwrap_or_default()
}

/// One block to read, the part of the range, and the column.
pub(crate) type Part = (BlockId, TimeRange, Column);

/// Returns what to read for `range`, in the order of time.
pub(crate) fn read(infos: &[BlockInfo], range: TimeRange, hints: ReadHints<'_>, options: &BlocksOptions) -> Vec<Part> {
    let touching = |info: &&BlockInfo| range.overlaps(info.range.start_ms, info.range.end_ms);
    let raw: Vec<&BlockInfo> = infos.iter().filter(touching).filter(|info| info.resolution_ms == 0).collect();
    let chosen = resolution(range, hints, options);
    let mut parts: Vec<Part> = Vec::new();
    let mut rest = vec![range];
    if chosen > 0 {
        for info in infos.iter().filter(touching).filter(|info| info.resolution_ms == chosen) {
            // Late samples that came since make it incomplete.
            let window = covered(info, options);
            if raw_in(&raw, window).all(|raw| raw.newest_source <= info.newest_source) {
                take(&mut parts, &mut rest, (info.id, window), best_column(hints.function));
            }
        }
    }
    let left = std::mem::take(&mut rest);
    for info in &raw {
        for span in &left {
            if let Some(part) = common(*span, info.range) {
                parts.push((info.id, part, Column::Floats));
            }
        }
    }
    // Where samples as they came are gone, the finest downsampled ones serve.
    rest = left;
    for info in &raw {
        cut(&mut rest, info.range);
    }
    for resolution in &options.resolutions_ms {
        for info in infos.iter().filter(touching).filter(|info| info.resolution_ms == *resolution) {
            take(&mut parts, &mut rest, (info.id, info.range), best_column(hints.function));
        }
    }
    parts.sort_by_key(|(id, span, _)| (span.start_ms, *id));
    parts
}

fn common(a: TimeRange, b: TimeRange) -> Option<TimeRange> {
    let both = TimeRange { start_ms: a.start_ms.max(b.start_ms), end_ms: a.end_ms.min(b.end_ms) };
    (both.start_ms <= both.end_ms).then_some(both)
}

/// Reads from a block what it covers of `rest`, and takes that out of `rest`.
fn take(parts: &mut Vec<Part>, rest: &mut Vec<TimeRange>, block: (BlockId, TimeRange), column: Column) {
    let (id, window) = block;
    parts.extend(rest.iter().filter_map(|span| common(*span, window)).map(|part| (id, part, column)));
    cut(rest, window);
}

fn cut(rest: &mut Vec<TimeRange>, hole: TimeRange) {
    let pieces = rest.iter().flat_map(|span| {
        let before = TimeRange { start_ms: span.start_ms, end_ms: span.end_ms.min(hole.start_ms.saturating_sub(1)) };
        let after = TimeRange { start_ms: span.start_ms.max(hole.end_ms.saturating_add(1)), end_ms: span.end_ms };
        [(before, hole.start_ms > span.start_ms), (after, hole.end_ms < span.end_ms)]
    });
    *rest = pieces.filter(|(span, is_left)| *is_left && span.start_ms <= span.end_ms).map(|(span, _)| span).collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn info(id: u64, hours: (i64, i64), resolution_ms: i64, bytes: u64) -> BlockInfo {
        BlockInfo {
            id: BlockId(id),
            range: TimeRange { start_ms: hours.0 * HOUR, end_ms: hours.1 * HOUR - 1 },
            resolution_ms,
            level: 1,
            replaces: Vec::new(),
            newest_source: BlockId(id),
            series: 1,
            samples: 100,
            bytes,
        }
    }

    fn ids(numbers: &[u64]) -> Vec<BlockId> {
        numbers.iter().map(|number| BlockId(*number)).collect()
    }

    #[test]
    fn neighbours_merge_when_their_window_is_past() {
        let options = BlocksOptions::default();
        let blocks = [info(1, (0, 2), 0, 10), info(2, (2, 4), 0, 10), info(3, (4, 6), 0, 10), info(4, (6, 8), 0, 10)];
        assert_eq!(merge(&blocks, &options, 7 * HOUR), None);
        let planned = merge(&blocks, &options, 9 * HOUR).unwrap();
        assert_eq!((planned.sources, planned.level), (ids(&[1, 2, 3]), 2));
        // Late samples of one window merge among themselves at once, but not into a far larger block.
        let late = [info(1, (0, 6), 0, 1000), info(7, (0, 1), 0, 10), info(8, (0, 2), 0, 10)];
        assert_eq!(merge(&late, &options, 9 * HOUR).unwrap().sources, ids(&[7, 8]));
        assert_eq!(merge(&[info(1, (0, 6), 0, 1000), info(9, (0, 2), 0, 20)], &options, 9 * HOUR), None);
        // Different resolutions never mix.
        assert_eq!(merge(&[info(1, (0, 2), 0, 10), info(2, (0, 2), 300_000, 10)], &options, 9 * HOUR), None);
    }

    #[test]
    fn windows_are_downsampled_once_and_again_after_late_samples() {
        let options = BlocksOptions { retention_ms: Some(10 * 24 * HOUR), ..BlocksOptions::default() };
        let mut blocks = vec![info(1, (0, 6), 0, 10)];
        assert_eq!(downsample(&blocks, &options, 7 * HOUR, &BTreeSet::new()), None);
        let planned = downsample(&blocks, &options, 9 * HOUR, &BTreeSet::new()).unwrap();
        assert_eq!(planned.window, TimeRange { start_ms: 0, end_ms: 6 * HOUR - 1 });
        assert_eq!(planned.resolutions, [(300_000, Vec::new()), (HOUR, Vec::new())]);
        blocks.push(BlockInfo { newest_source: BlockId(1), ..info(2, (0, 6), 300_000, 1) });
        blocks.push(BlockInfo { newest_source: BlockId(1), ..info(3, (0, 6), HOUR, 1) });
        assert_eq!(downsample(&blocks, &options, 9 * HOUR, &BTreeSet::new()), None);
        blocks.push(info(4, (1, 2), 0, 1));
        let planned = downsample(&blocks, &options, 9 * HOUR, &BTreeSet::new()).unwrap();
        assert_eq!(planned.sources, ids(&[1, 4]));
        assert_eq!(planned.resolutions, [(300_000, ids(&[2])), (HOUR, ids(&[3]))]);
        assert_eq!(
            downsample(&blocks, &options, 20 * 24 * HOUR, &BTreeSet::new()),
            None,
            "beyond retention only late samples are left"
        );
    }

    #[test]
    fn old_and_large_blocks_expire() {
        let options = BlocksOptions {
            retention_ms: Some(10 * HOUR),
            retention_downsampled_ms: Some(50 * HOUR),
            retention_bytes: Some(100),
            ..BlocksOptions::default()
        };
        let blocks =
            [info(1, (0, 2), 0, 60), info(2, (0, 2), 300_000, 20), info(3, (14, 16), 0, 60), info(4, (16, 18), 0, 60)];
        assert_eq!(expired(&blocks, &options, 18 * HOUR), ids(&[1, 3]));
        assert_eq!(expired(&blocks[..2], &options, 60 * HOUR), ids(&[1, 2]));
    }

    #[test]
    fn queries_on_the_grid_read_downsampled_blocks_and_others_do_not() {
        let options = BlocksOptions::default();
        let blocks = [
            info(1, (0, 6), 0, 10),
            BlockInfo { newest_source: BlockId(1), ..info(2, (0, 6), 300_000, 1) },
            BlockInfo { newest_source: BlockId(1), ..info(3, (0, 6), HOUR, 1) },
            info(4, (6, 8), 0, 10),
        ];
        let range = TimeRange { start_ms: 1, end_ms: 8 * HOUR };
        let hints = ReadHints { step_ms: HOUR, window_ms: HOUR, function: "rate" };
        let chosen = |hints, range| {
            read(&blocks, range, hints, &options).iter().map(|(id, _, column)| (id.0, *column)).collect::<Vec<_>>()
        };
        assert_eq!(chosen(hints, range), [(3, Column::Floats), (4, Column::Floats)]);
        let hints = ReadHints { step_ms: 600_000, window_ms: 600_000, function: "max_over_time" };
        assert_eq!(chosen(hints, range), [(2, Column::Max), (4, Column::Floats)]);
        assert_eq!(chosen(ReadHints { step_ms: 15_000, ..hints }, range), [(1, Column::Floats), (4, Column::Floats)]);
        assert_eq!(
            chosen(ReadHints { function: "stddev_over_time", ..hints }, range),
            [(1, Column::Floats), (4, Column::Floats)]
        );
        let off_grid = TimeRange { start_ms: 77, ..range };
        assert_eq!(chosen(hints, off_grid), [(1, Column::Floats), (4, Column::Floats)]);
        // Late samples make the downsampled blocks incomplete.
        let mut with_late = blocks.to_vec();
        with_late.push(info(9, (1, 2), 0, 1));
        let parts = read(&with_late, range, hints, &options);
        assert_eq!(parts.iter().map(|(id, _, _)| id.0).collect::<Vec<_>>(), [1, 9, 4]);
        // Where samples as they came are gone, the finest downsampled ones serve.
        let parts = read(&blocks[1..], range, ReadHints { step_ms: 0, window_ms: 0, function: "" }, &options);
        assert_eq!(parts.iter().map(|(id, _, _)| id.0).collect::<Vec<_>>(), [2, 4]);
    }
}
