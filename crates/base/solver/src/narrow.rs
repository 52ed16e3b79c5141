//! What cannot be chosen any more is struck out, and every time a step of the proof says why.

use crate::certificate::Step;
use crate::rows::Rows;
use crate::search::Left;
use crate::table::BETTER;

/// Strikes out options that break a row by themselves, until none does; returns a row that nothing keeps to.
pub(crate) fn propagate(rows: &Rows<'_>, left: &mut Left, steps: &mut Vec<Step>) -> Option<usize> {
    loop {
        let (lows, _) = ranges(rows, left);
        for (row, low) in lows.iter().enumerate() {
            if rows.counts(row) && *low > rows.limit(row) {
                return Some(row);
            }
        }
        let mut struck: Vec<(usize, usize, Vec<usize>)> = Vec::new();
        for (choice, options) in left.iter_mut().enumerate() {
            for (row, cells) in rows.of(choice) {
                if !rows.counts(row) || options.len() < 2 {
                    continue;
                }
                let min = options.iter().map(|option| cells.value(*option)).min().unwrap_or(0);
                let room = rows.limit(row).saturating_sub(lows[row] - min);
                if options.iter().all(|option| cells.value(*option) <= room) {
                    continue;
                }
                let broken: Vec<usize> = options.iter().copied().filter(|option| cells.value(*option) > room).collect();
                options.retain(|option| cells.value(*option) <= room);
                struck.push((row, choice, broken));
            }
        }
        if struck.is_empty() {
            return None;
        }
        struck.sort_by_key(|(row, choice, _)| (*row, *choice));
        for same in struck.chunk_by(|a, b| a.0 == b.0) {
            let mut times = vec![0; rows.len()];
            times[same[0].0] = 1;
            let part =
                |(_, choice, options): &(usize, usize, Vec<usize>)| rows.table.part(*choice, options.iter().copied());
            steps.push(Step { multipliers: rows.multipliers(&times), options: same.iter().map(part).collect() });
        }
        if let Some((row, _, _)) = struck.iter().find(|(_, choice, _)| left[*choice].is_empty()) {
            return Some(*row);
        }
    }
}

/// Returns the smallest and the greatest sum of each row.
pub(crate) fn ranges(rows: &Rows<'_>, left: &Left) -> (Vec<i64>, Vec<i64>) {
    let mut lows = vec![0_i64; rows.len()];
    let mut highs = vec![0_i64; rows.len()];
    for (choice, options) in left.iter().enumerate() {
        for (row, cells) in rows.of(choice) {
            let values = options.iter().map(|option| cells.value(*option));
            let (low, high) = values.fold((i64::MAX, i64::MIN), |(low, high), value| (low.min(value), high.max(value)));
            lows[row] += low;
            highs[row] += high;
        }
    }
    (lows, highs)
}

/// Adds up exactly what multipliers prove, and strikes out what they refute.
pub(crate) fn bound(rows: &Rows<'_>, left: &mut Left, times: &[u64], steps: &mut Vec<Step>) -> Bounded {
    if times.iter().all(|times| *times == 0) || (times[BETTER] > 0 && !rows.counts(BETTER)) {
        return Bounded::Open;
    }
    let (excess, mins) = excess(rows, left, times);
    if excess > 0 {
        return Bounded::Broken;
    }
    let mut parts = Vec::new();
    for (choice, options) in left.iter_mut().enumerate() {
        if options.len() < 2 {
            continue;
        }
        let others = excess - mins[choice];
        let mut refuted = Vec::new();
        options.retain(|option| {
            let broken = others + rows.weigh(choice, *option, times) > 0;
            if broken {
                refuted.push(*option);
            }
            !broken
        });
        if !refuted.is_empty() {
            parts.push(rows.table.part(choice, refuted));
        }
    }
    if parts.is_empty() {
        return Bounded::Open;
    }
    steps.push(Step { multipliers: rows.multipliers(times), options: parts });
    Bounded::Narrowed
}

/// Returns by how much the smallest sum exceeds the limit, and the smallest value of each choice.
pub(crate) fn excess(rows: &Rows<'_>, left: &Left, times: &[u64]) -> (i128, Vec<i128>) {
    let least = |(choice, options): (usize, &Vec<usize>)| {
        options.iter().map(|option| rows.weigh(choice, *option, times)).min().unwrap_or(0)
    };
    let mins: Vec<i128> = left.iter().enumerate().map(least).collect();
    let used = times.iter().enumerate().filter(|(_, times)| **times > 0);
    let limit: i128 = used.map(|(row, times)| i128::from(*times) * i128::from(rows.limit(row))).sum();
    (mins.iter().sum::<i128>() - limit, mins)
}

/// Returns the smallest multipliers of nearly the same proportions that still refute what is left.
pub(crate) fn simplest(rows: &Rows<'_>, left: &Left, times: &[u64]) -> Vec<u64> {
    let largest = times.iter().copied().max().unwrap_or(0);
    for bits in 0..58 {
        let rounded: Vec<u64> = times
            .iter()
            .map(|times| {
                let scaled = (u128::from(*times) << bits) + u128::from(largest) / 2;
                u64::try_from(scaled / u128::from(largest.max(1))).unwrap_or(u64::MAX)
            })
            .collect();
        if (times[BETTER] == 0) == (rounded[BETTER] == 0) && excess(rows, left, &rounded).0 > 0 {
            return rounded;
        }
    }
    times.to_vec()
}

pub(crate) enum Bounded {
    Broken,
    Narrowed,
    Open,
}

impl Bounded {
    pub(crate) fn without_narrowing(self) -> Self {
        match self {
            Self::Broken => Self::Broken,
            Self::Narrowed | Self::Open => Self::Open,
        }
    }
}
