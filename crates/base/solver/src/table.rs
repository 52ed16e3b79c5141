//! A model prepared for the search: every bound an "at most", options that others beat put aside.

use crate::certificate::{Beaten, Part};
use crate::model::{Model, Quantity, Scope};

/// What is made as small as can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// The cost.
    Cost,
    /// The sum of a bound (with the sign of its side).
    Bound(usize),
}

/// More threads than this are not started.
const THREADS_MAX: usize = 4;
/// Fewer options than this are looked through sooner than a thread starts.
const OPTIONS_FOR_THREADS: usize = 10_000;
/// The row of what is optimised; row `n + 1` is bound `n`.
pub(crate) const BETTER: usize = 0;

/// One choice: its options that no other beats, with their values in the rows that it touches.
#[derive(Debug)]
pub(crate) struct Column {
    /// Rows in ascending order, the first is always [`BETTER`].
    pub(crate) rows: Vec<usize>,
    /// The values of option 0, then of option 1 …
    values: Vec<i64>,
    /// For each kept option: itself and those that it beats, as places in the model.
    pub(crate) kept: Vec<Vec<usize>>,
}

impl Column {
    pub(crate) fn values(&self, option: usize) -> &[i64] {
        let width = self.rows.len();
        &self.values[option * width..(option + 1) * width]
    }

    /// The values of all options, one after the other.
    pub(crate) fn all_values(&self) -> &[i64] {
        &self.values
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    /// What each row's sum may be; [`BETTER`]'s is set by the search.
    pub(crate) limits: Vec<i64>,
    /// The greatest absolute sum of each row.
    pub(crate) totals: Vec<f64>,
    /// By how much sums of [`BETTER`] differ at least.
    pub(crate) step: i64,
}

impl Table {
    pub(crate) fn new(model: &Model, aim: Aim) -> Self {
        let mut lines: Vec<(Quantity, &Scope, i64)> = vec![match aim {
            Aim::Cost => (Quantity::Cost, &Scope::All, 1),
            Aim::Bound(bound) => {
                let bound = &model.bounds[bound];
                (bound.quantity, &bound.scope, bound.limit.sign())
            }
        }];
        lines.extend(model.bounds.iter().map(|bound| (bound.quantity, &bound.scope, bound.limit.sign())));
        let mut limits = vec![i64::MAX];
        limits.extend(model.bounds.iter().map(|bound| bound.limit.sign() * bound.limit.value()));
        let touching = touching(model, &lines);
        let columns = columns(model, touching, &lines, &limits);
        let mut totals = vec![0.0; limits.len()];
        let mut step = 0;
        for column in &columns {
            for (at, row) in column.rows.iter().enumerate() {
                let values = (0..column.kept.len()).map(|option| column.values(option)[at].unsigned_abs());
                #[expect(clippy::cast_precision_loss, reason = "only chooses a scale")]
                let largest = values.max().unwrap_or(0) as f64;
                totals[*row] += largest;
            }
        }
        for (choice, options) in model.choices.iter().enumerate() {
            let (quantity, scope, _) = lines[BETTER];
            if scope.has(choice) {
                let values = (0..options.options.len()).map(|option| model.value(quantity, choice, option));
                step = values.fold(step, |step, value| greatest_divisor(step, value.unsigned_abs()));
            }
        }
        let step = i64::try_from(step.max(1)).unwrap_or(1);
        Self { columns, limits, totals, step }
    }

    /// Writes options as a proof has them.
    pub(crate) fn part(&self, choice: usize, options: impl IntoIterator<Item = usize>) -> Part {
        let kept = &self.columns[choice].kept;
        let mut options: Vec<usize> = options.into_iter().map(|option| kept[option][0]).collect();
        options.sort_unstable();
        Part { choice, options }
    }

    /// Writes which options were put aside.
    pub(crate) fn beaten(&self) -> Vec<Beaten> {
        let classes = self.columns.iter().enumerate().flat_map(|(choice, column)| {
            column.kept.iter().filter(|class| class.len() > 1).map(move |class| (choice, class))
        });
        classes.map(|(choice, class)| Beaten { choice, by: class[0], options: class[1..].to_vec() }).collect()
    }

    /// Writes a selection as places in the model.
    pub(crate) fn selection(&self, options: &[usize]) -> Vec<usize> {
        self.columns.iter().zip(options).map(|(column, option)| column.kept[*option][0]).collect()
    }
}

pub(crate) fn greatest_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Returns for each choice the rows that it adds something to.
fn touching(model: &Model, lines: &[(Quantity, &Scope, i64)]) -> Vec<Vec<usize>> {
    let mut touching: Vec<Vec<usize>> = vec![vec![BETTER]; model.choices.len()];
    for (row, (quantity, scope, _)) in lines.iter().enumerate().skip(1) {
        let mut touch = |choice: usize| {
            let mut options = 0..model.choices[choice].options.len();
            if options.any(|option| model.value(*quantity, choice, option) != 0) {
                touching[choice].push(row);
            }
        };
        match scope {
            Scope::All => (0..model.choices.len()).for_each(&mut touch),
            Scope::Only(choices) => choices.iter().copied().for_each(&mut touch),
        }
    }
    touching
}

/// Looks for the options that none beats, of many options on several threads.
fn columns(model: &Model, touching: Vec<Vec<usize>>, lines: &[(Quantity, &Scope, i64)], limits: &[i64]) -> Vec<Column> {
    let options: usize = model.choices.iter().map(|choice| choice.options.len()).sum();
    let work: Vec<(usize, Vec<usize>)> = touching.into_iter().enumerate().collect();
    let make = |part: &[(usize, Vec<usize>)]| -> Vec<Column> {
        part.iter().map(|(choice, rows)| column(model, *choice, rows.clone(), lines, limits)).collect()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    if cores < 2 || options < OPTIONS_FOR_THREADS {
        return make(&work);
    }
    std::thread::scope(|scope| {
        let parts: Vec<_> =
            work.chunks(work.len().div_ceil(cores)).map(|part| scope.spawn(move || make(part))).collect();
        let joined = parts.into_iter().map(|part| part.join());
        joined.flat_map(|columns| columns.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

fn column(model: &Model, choice: usize, rows: Vec<usize>, lines: &[(Quantity, &Scope, i64)], limits: &[i64]) -> Column {
    let alone =
        |row: usize| row != BETTER && matches!(lines[row].1, Scope::Only(choices) if choices.as_slice() == [choice]);
    let values_of = |option: usize| -> Vec<i64> {
        let value = |row: &usize| {
            let (quantity, scope, sign) = lines[*row];
            // Row 0 is kept also where it adds nothing.
            if scope.has(choice) { sign * model.value(quantity, choice, option) } else { 0 }
        };
        rows.iter().map(value).collect()
    };
    // A bound on this choice alone only lets options pass or not: how far they pass makes none better.
    let is_alone: Vec<bool> = rows.iter().map(|row| alone(*row)).collect();
    let width = rows.len();
    let count = model.choices[choice].options.len();
    // Side by side in memory: they are compared with each other many times.
    let mut all: Vec<i64> = Vec::with_capacity(count * width);
    let mut ranks: Vec<i64> = Vec::with_capacity(count * width);
    for option in 0..count {
        let values = values_of(option);
        let pairs = values.iter().zip(rows.iter().zip(&is_alone));
        ranks.extend(pairs.map(|(value, (row, alone))| if *alone { i64::from(*value > limits[*row]) } else { *value }));
        all.extend(values);
    }
    let rank = |option: usize| &ranks[option * width..(option + 1) * width];
    // Those that beat come before those they beat.
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_cached_key(|option| {
        let ranks = rank(*option);
        (ranks.first().copied(), ranks.iter().map(|value| i128::from(*value)).sum::<i128>(), *option)
    });
    let mut kept: Vec<Vec<usize>> = Vec::new();
    let mut frontier: Vec<i64> = Vec::new();
    for option in order {
        let mine = rank(option);
        let is_beaten = |other: &[i64]| other.iter().zip(mine).all(|(better, worse)| better <= worse);
        // Those of nearly the same cost beat most: from behind.
        match frontier.chunks_exact(width).rposition(is_beaten) {
            Some(by) => kept[by].push(option),
            None => {
                kept.push(vec![option]);
                frontier.extend_from_slice(mine);
            }
        }
    }
    let values = kept.iter().flat_map(|class| &all[class[0] * width..(class[0] + 1) * width]).copied().collect();
    Column { rows, values, kept }
}

#[expect(clippy::cast_precision_loss, reason = "guides the search; proofs are added up in whole numbers")]
pub(crate) fn real(value: i64) -> f64 {
    value as f64
}
