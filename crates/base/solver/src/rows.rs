//! The bounds that count at one node: those of the model, and the cases of the counts above it.

use std::rc::Rc;

use crate::certificate::{Multiplier, Term};
use crate::table::{BETTER, Table, greatest_divisor};

/// Options that are counted, by choice: whether each kept option is; empty where none of a choice is.
pub(crate) type Members = Vec<Vec<bool>>;

/// One case of a count: at most so many of these options are chosen, or, with −1, at least.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The node of the proof that tells the cases apart.
    pub(crate) node: usize,
    pub(crate) members: Rc<Members>,
    pub(crate) sign: i64,
    /// Of the count times the sign.
    pub(crate) limit: i64,
}

/// Rows `0..limits.len()` are the table's, those after them the cases.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) table: &'a Table,
    pub(crate) limits: &'a [i64],
    pub(crate) active: &'a [bool],
    pub(crate) cases: &'a [Case],
    /// The limit of what is optimised, where the options left allow a stricter one.
    pub(crate) rounded: Option<i64>,
}

/// The values of one choice in one row.
#[derive(Clone, Copy)]
pub(crate) enum Cells<'a> {
    Table { values: &'a [i64], width: usize, at: usize },
    Case { members: &'a [bool], sign: i64 },
}

impl Cells<'_> {
    pub(crate) fn value(self, option: usize) -> i64 {
        match self {
            Self::Table { values, width, at } => values[option * width + at],
            Self::Case { members, sign } => {
                if members[option] {
                    sign
                } else {
                    0
                }
            }
        }
    }
}

impl<'a> Rows<'a> {
    pub(crate) fn len(&self) -> usize {
        self.limits.len() + self.cases.len()
    }

    pub(crate) fn limit(&self, row: usize) -> i64 {
        if let (BETTER, Some(rounded)) = (row, self.rounded) {
            return rounded;
        }
        self.limits.get(row).copied().unwrap_or_else(|| self.cases[row - self.limits.len()].limit)
    }

    /// Tells whether a row's limit counts now.
    pub(crate) fn counts(&self, row: usize) -> bool {
        if row == BETTER { self.limits[BETTER] != i64::MAX } else { self.active.get(row).copied().unwrap_or(true) }
    }

    /// The greatest absolute sum of a row.
    pub(crate) fn total(&self, row: usize) -> f64 {
        self.table.totals.get(row).copied().unwrap_or_else(|| {
            let members = &self.cases[row - self.limits.len()].members;
            #[expect(clippy::cast_precision_loss, reason = "only chooses a scale")]
            let total = members.len() as f64;
            total
        })
    }

    /// Returns the rows that a choice adds something to, with what its options add.
    pub(crate) fn of(&self, choice: usize) -> impl Iterator<Item = (usize, Cells<'a>)> + use<'a> {
        let column = &self.table.columns[choice];
        let (values, width) = (column.all_values(), column.rows.len());
        let first = self.limits.len();
        let own = column.rows.iter().enumerate().map(move |(at, row)| (*row, Cells::Table { values, width, at }));
        let cases = self.cases.iter().enumerate().filter(move |(_, case)| !case.members[choice].is_empty());
        own.chain(
            cases.map(move |(at, case)| (first + at, Cells::Case { members: &case.members[choice], sign: case.sign })),
        )
    }

    /// Adds up rows times numbers for one option. Cannot overflow: the scale was chosen so that sums stay below 2^110.
    pub(crate) fn weigh(&self, choice: usize, option: usize, times: &[u64]) -> i128 {
        let column = &self.table.columns[choice];
        let pairs = column.rows.iter().zip(column.values(option));
        let own: i128 = pairs.map(|(row, value)| i128::from(times[*row]) * i128::from(*value)).sum();
        let cases = self.cases.iter().zip(&times[self.limits.len()..]);
        let counted = cases.filter(|(case, _)| case.members[choice].get(option).copied().unwrap_or(false));
        own + counted.map(|(case, times)| i128::from(case.sign) * i128::from(*times)).sum::<i128>()
    }

    /// Writes multipliers as a proof has them.
    pub(crate) fn multipliers(&self, times: &[u64]) -> Vec<Multiplier> {
        let divisor = times.iter().fold(0, |divisor, times| greatest_divisor(divisor, *times)).max(1);
        let used = times.iter().enumerate().filter(|(_, times)| **times > 0);
        let term = |row: usize| match row.checked_sub(self.limits.len()) {
            Some(case) => Term::Count(self.cases[case].node),
            None if row == BETTER && self.rounded.is_some() => Term::Rounded,
            None => row.checked_sub(1).map_or(Term::Better, Term::Bound),
        };
        used.map(|(row, times)| Multiplier { of: term(row), times: times / divisor }).collect()
    }

    /// Finds out whether sums of what is optimised can come as near to its limit as it says, with the options left.
    pub(crate) fn round(mut self, left: &[Vec<usize>], step: i64) -> Self {
        let limit = self.limits[BETTER];
        if limit == i64::MAX {
            return self;
        }
        let (mut base, mut divisor) = (0_i64, 0_u64);
        for (column, options) in self.table.columns.iter().zip(left) {
            let cost = |option: usize| column.values(option)[BETTER];
            let Some(first) = options.first().map(|first| cost(*first)) else { return self };
            base += first;
            for option in options {
                divisor = greatest_divisor(divisor, first.abs_diff(cost(*option)));
            }
            if divisor == step.unsigned_abs() {
                return self;
            }
        }
        if let Ok(divisor @ 1..) = i64::try_from(divisor) {
            let rounded = base + (limit - base).div_euclid(divisor) * divisor;
            self.rounded = Some(rounded).filter(|rounded| *rounded < limit);
        }
        self
    }
}
