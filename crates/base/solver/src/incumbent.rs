//! Selections that keep to all bounds, from ones that nearly do: the sooner a good one is known, the more is struck out.

use crate::search::{Left, Search, Wanted};
use crate::table::{BETTER, real};

/// More exchanges than this are not tried in pairs.
const PAIRED_MOVES_MAX: usize = 1_500;

impl Search<'_> {
    /// Tells whether a selection keeps to all rows.
    pub(crate) fn keeps(&self, selection: &[usize]) -> bool {
        self.violation(&self.sums(selection), &[], &[], &[]) <= 0.0
    }

    fn sums(&self, selection: &[usize]) -> Vec<i64> {
        let mut sums = vec![0_i64; self.limits.len()];
        for (column, option) in self.table.columns.iter().zip(selection) {
            column.rows.iter().zip(column.values(*option)).for_each(|(row, value)| sums[*row] += value);
        }
        sums
    }

    /// Repairs and improves a selection; returns whether one was found and any was wanted.
    pub(crate) fn try_selection(&mut self, left: &Left, mut selection: Vec<usize>) -> bool {
        let mut sums = self.sums(&selection);
        for _ in 0..2 * selection.len() + 8 {
            if self.violation(&sums, &[], &[], &[]) <= 0.0 {
                break;
            }
            let mend = if self.stop.is_stopped() { None } else { self.repair(left, &selection, &sums) };
            let Some((choice, option)) = mend else { return false };
            self.exchange(&mut selection, &mut sums, choice, option);
        }
        if self.violation(&sums, &[], &[], &[]) > 0.0 {
            return false;
        }
        if self.wanted == Wanted::Best {
            for _ in 0..4 * selection.len() {
                if self.stop.is_stopped() {
                    break;
                }
                match self.improve(left, &selection, &sums) {
                    Some((choice, option)) => self.exchange(&mut selection, &mut sums, choice, option),
                    None => {
                        let Some(pair) = self.improve_by_two(left, &selection, &sums) else { break };
                        pair.into_iter().for_each(|(at, option)| self.exchange(&mut selection, &mut sums, at, option));
                    }
                }
            }
        }
        self.accept(selection)
    }

    fn exchange(&self, selection: &mut [usize], sums: &mut [i64], choice: usize, option: usize) {
        let column = &self.table.columns[choice];
        let pairs = column.values(selection[choice]).iter().zip(column.values(option));
        column.rows.iter().zip(pairs).for_each(|(row, (old, new))| sums[*row] += new - old);
        selection[choice] = option;
    }

    /// Returns by how much active rows are broken, each in parts of its range, after one exchange; all rows when
    /// `rows` is empty.
    fn violation(&self, sums: &[i64], rows: &[usize], old: &[i64], new: &[i64]) -> f64 {
        let broken = |row: usize, sum: i64| {
            let over = sum.saturating_sub(self.limits[row]);
            if row == BETTER || !self.active[row] || over <= 0 {
                0.0
            } else {
                real(over) / self.table.totals[row].max(1.0)
            }
        };
        if rows.is_empty() {
            return sums.iter().enumerate().map(|(row, sum)| broken(row, *sum)).sum();
        }
        let changed = rows.iter().zip(old.iter().zip(new));
        changed.map(|(row, (old, new))| broken(*row, sums[*row] - old + new) - broken(*row, sums[*row])).sum()
    }

    /// Finds the exchange that mends most for what it costs.
    fn repair(&self, left: &Left, selection: &[usize], sums: &[i64]) -> Option<(usize, usize)> {
        let mut best: Option<(f64, usize, usize)> = None;
        let cost_unit = self.table.totals[BETTER].max(1.0);
        for (choice, options) in left.iter().enumerate().filter(|(_, options)| options.len() > 1) {
            let column = &self.table.columns[choice];
            let old = column.values(selection[choice]);
            for option in options.iter().filter(|option| **option != selection[choice]) {
                let new = column.values(*option);
                let change = self.violation(sums, &column.rows, old, new);
                if change < 0.0 {
                    let cost = (real(new[BETTER] - old[BETTER]) / cost_unit).max(1e-9);
                    let worth = -change / cost;
                    if best.is_none_or(|(most, _, _)| worth > most) {
                        best = Some((worth, choice, *option));
                    }
                }
            }
        }
        best.map(|(_, choice, option)| (choice, option))
    }

    /// Finds the exchange that saves most and breaks nothing.
    fn improve(&self, left: &Left, selection: &[usize], sums: &[i64]) -> Option<(usize, usize)> {
        let mut best: Option<(i64, usize, usize)> = None;
        for (choice, options) in left.iter().enumerate() {
            let column = &self.table.columns[choice];
            let old = column.values(selection[choice]);
            for option in options {
                let new = column.values(*option);
                let saved = old[BETTER] - new[BETTER];
                if saved > best.map_or(0, |(most, _, _)| most) {
                    let keeps = column.rows.iter().enumerate().all(|(at, row)| {
                        *row == BETTER || !self.active[*row] || sums[*row] - old[at] + new[at] <= self.limits[*row]
                    });
                    if keeps {
                        best = Some((saved, choice, *option));
                    }
                }
            }
        }
        best.map(|(_, choice, option)| (choice, option))
    }

    /// Looks for two exchanges that together save and break nothing, where one alone does not.
    fn improve_by_two(&self, left: &Left, selection: &[usize], sums: &[i64]) -> Option<[(usize, usize); 2]> {
        let mut moves: Vec<(i64, usize, usize)> = Vec::new();
        for (choice, options) in left.iter().enumerate().filter(|(_, options)| options.len() > 1) {
            let column = &self.table.columns[choice];
            let old = column.values(selection[choice])[BETTER];
            let others = options.iter().filter(|option| **option != selection[choice]);
            moves.extend(others.map(|option| (column.values(*option)[BETTER] - old, choice, *option)));
        }
        if moves.len() > PAIRED_MOVES_MAX {
            return None;
        }
        moves.sort_unstable();
        let mut best: Option<(i64, [(usize, usize); 2])> = None;
        let mut after = sums.to_vec();
        for (change, choice, option) in moves.iter().take_while(|(change, ..)| *change < 0) {
            let column = &self.table.columns[*choice];
            let deltas = || {
                let pairs = column.values(selection[*choice]).iter().zip(column.values(*option));
                column.rows.iter().zip(pairs.map(|(old, new)| new - old))
            };
            deltas().for_each(|(row, delta)| after[*row] += delta);
            let broken = |row: usize| row != BETTER && self.active[row] && after[row] > self.limits[row];
            let broken_rows: Vec<usize> = column.rows.iter().copied().filter(|row| broken(*row)).collect();
            let least = best.map_or(0, |(least, _)| least);
            for (other_change, other, with) in moves.iter().take_while(|(other, ..)| change + other < least) {
                if other == choice {
                    continue;
                }
                let column = &self.table.columns[*other];
                let pairs = column.values(selection[*other]).iter().zip(column.values(*with));
                let keeps = column.rows.iter().zip(pairs).all(|(row, (old, new))| {
                    *row == BETTER || !self.active[*row] || after[*row] + new - old <= self.limits[*row]
                });
                if keeps && broken_rows.iter().all(|row| column.rows.contains(row)) {
                    let least = best.map_or(0, |(least, _)| least);
                    if change + other_change < least {
                        best = Some((change + other_change, [(*choice, *option), (*other, *with)]));
                    }
                }
            }
            deltas().for_each(|(row, delta)| after[*row] -= delta);
        }
        best.map(|(_, pair)| pair)
    }
}
