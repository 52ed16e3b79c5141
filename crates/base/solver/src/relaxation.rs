//! The linear relaxation: options may be mixed. Finds multipliers for the bounds in floating point;
//! what they prove is then added up exactly elsewhere, so an inexact number costs time and never truth.
//!
//! Primal simplex with generalised upper bounding (Dantzig and Van Slyke 1967): each group has one key option,
//! so that the matrix to solve has one row for each bound and none for each group.

use crate::solve::Stop;

const TINY: f64 = 1e-9;
/// After so many steps without progress the first and not the best column enters (Bland): no cycles.
const STALLED: usize = 40;

/// One of so many parts of the groups is looked through for a column, at least so many groups, and more when it has none.
const PRICED_PARTS: usize = 8;
const PRICED_GROUPS_MIN: usize = 6;

/// The options of one choice: values in each row (scaled so that every limit is 1) and costs.
#[derive(Debug)]
pub(crate) struct Group {
    /// Row-wise values of option 0, then of option 1 …
    pub(crate) values: Vec<f64>,
    pub(crate) costs: Vec<f64>,
    /// The option to begin with, when one is thought to be near the answer.
    pub(crate) start: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct Relaxed {
    /// No mixture keeps to all rows: `multipliers` refute all.
    pub(crate) infeasible: bool,
    /// One for each row, none below zero.
    pub(crate) multipliers: Vec<f64>,
    /// What the mixture costs; how full its fullest row is, when costs do not count.
    pub(crate) value: f64,
    /// The share of each option in each group.
    pub(crate) shares: Vec<Vec<f64>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Basic {
    Slack(usize),
    /// Adds one to every limit.
    Artificial,
    Mixed(usize, usize),
}

struct Simplex<'a> {
    groups: &'a [Group],
    rows: usize,
    keys: Vec<usize>,
    basics: Vec<Basic>,
    /// What each row may hold before the artificial comes in.
    limit: f64,
    /// Whether costs count, or only the artificial.
    optimise: bool,
    /// The group whose columns are looked at next.
    cursor: usize,
    /// The sum of the key options' values in each row.
    keys_sum: Vec<f64>,
    stop: &'a Stop,
}

/// Solves the relaxation: the cheapest mixture, or, without `optimise`, the one whose fullest row is least full.
/// Whoever says stop gets multipliers that prove less.
pub(crate) fn relax(groups: &[Group], rows: usize, optimise: bool, stop: &Stop) -> Relaxed {
    let keys = groups.iter().map(|group| group.start.unwrap_or_else(|| lightest(group, rows))).collect();
    let basics = (0..rows).map(Basic::Slack).collect();
    let limit = if optimise { 1.0 } else { 0.0 };
    let mut simplex =
        Simplex { groups, rows, keys, basics, limit, optimise: false, cursor: 0, keys_sum: Vec::new(), stop };
    simplex.add_keys();
    let start = simplex.limits_left();
    let worst = (0..rows).min_by(|a, b| start[*a].total_cmp(&start[*b]));
    let mut multipliers = vec![0.0; rows];
    let mut fullness = 0.0;
    if let Some(worst) = worst.filter(|worst| start[*worst] < 0.0) {
        simplex.basics[worst] = Basic::Artificial;
        multipliers = simplex.run();
        let amounts = simplex.amounts();
        let artificial = simplex.basics.iter().position(|basic| *basic == Basic::Artificial);
        fullness = artificial.map_or(0.0, |at| amounts[at] + limit);
        if fullness > 1.0 + TINY {
            return Relaxed { infeasible: true, multipliers, value: 0.0, shares: simplex.shares() };
        }
    }
    if optimise {
        simplex.optimise = true;
        multipliers = simplex.run();
    } else {
        multipliers.fill(0.0);
    }
    let shares = simplex.shares();
    let parts = groups.iter().zip(&shares);
    let cost = || parts.map(|(group, shares)| group.costs.iter().zip(shares).map(|(a, b)| a * b).sum::<f64>()).sum();
    let value = if optimise { cost() } else { fullness };
    Relaxed { infeasible: false, multipliers, value, shares }
}

/// Returns the option that takes least of all rows together.
fn lightest(group: &Group, rows: usize) -> usize {
    let weight = |option: &usize| -> f64 { group.values[option * rows..(option + 1) * rows].iter().sum() };
    (0..group.costs.len()).min_by(|a, b| weight(a).total_cmp(&weight(b))).unwrap_or(0)
}

/// What enters, and how the amounts of the basic columns fall as it grows.
struct Entering {
    column: Basic,
    rates: Vec<f64>,
}

impl Simplex<'_> {
    fn values(&self, group: usize, option: usize) -> &[f64] {
        &self.groups[group].values[option * self.rows..(option + 1) * self.rows]
    }

    fn cost(&self, group: usize, option: usize) -> f64 {
        if self.optimise { self.groups[group].costs[option] } else { 0.0 }
    }

    /// What the key options leave of each limit.
    fn limits_left(&self) -> Vec<f64> {
        self.keys_sum.iter().map(|sum| self.limit - sum).collect()
    }

    fn add_keys(&mut self) {
        let mut sums = vec![0.0; self.rows];
        for (group, key) in self.keys.iter().enumerate() {
            sums.iter_mut().zip(self.values(group, *key)).for_each(|(sum, value)| *sum += value);
        }
        self.keys_sum = sums;
    }

    fn set_key(&mut self, group: usize, option: usize) {
        self.keys[group] = option;
        // Anew: what is added and taken off many times is not exact.
        self.add_keys();
    }

    fn column(&self, basic: Basic) -> Vec<f64> {
        match basic {
            Basic::Slack(row) => (0..self.rows).map(|at| if at == row { 1.0 } else { 0.0 }).collect(),
            Basic::Artificial => vec![-1.0; self.rows],
            Basic::Mixed(group, option) => {
                let key = self.values(group, self.keys[group]);
                self.values(group, option).iter().zip(key).map(|(value, key)| value - key).collect()
            }
        }
    }

    fn basic_cost(&self, basic: Basic) -> f64 {
        match basic {
            Basic::Slack(_) => 0.0,
            // In the second phase it must stay at zero.
            Basic::Artificial => {
                if self.optimise {
                    1e6
                } else {
                    1.0
                }
            }
            Basic::Mixed(group, option) => self.cost(group, option) - self.cost(group, self.keys[group]),
        }
    }

    fn factors(&self) -> Option<Factors> {
        Factors::new(self.basics.iter().map(|basic| self.column(*basic)).collect())
    }

    fn amounts(&self) -> Vec<f64> {
        self.factors().map_or_else(|| vec![0.0; self.rows], |factors| factors.solve(&self.limits_left()))
    }

    fn shares(&self) -> Vec<Vec<f64>> {
        let mut shares: Vec<Vec<f64>> = self.groups.iter().map(|group| vec![0.0; group.costs.len()]).collect();
        for (group, key) in self.keys.iter().enumerate() {
            shares[group][*key] = 1.0;
        }
        for (basic, amount) in self.basics.iter().zip(self.amounts()) {
            if let Basic::Mixed(group, option) = basic {
                shares[*group][*option] += amount;
                shares[*group][self.keys[*group]] -= amount;
            }
        }
        shares
    }

    /// Pivots until nothing improves; returns the multipliers of the rows.
    fn run(&mut self) -> Vec<f64> {
        let mut best = vec![0.0; self.rows];
        let mut stalled = 0;
        for _ in 0..50 * (self.rows + self.groups.len()) + 1_000 {
            let Some(factors) = self.factors().filter(|_| !self.stop.is_stopped()) else { break };
            let costs: Vec<f64> = self.basics.iter().map(|basic| self.basic_cost(*basic)).collect();
            let prices = factors.solve_transposed(&costs);
            best = prices.iter().map(|price| (-price).max(0.0)).collect();
            let Some(column) = self.entering(&prices, stalled > STALLED) else { break };
            let rates = factors.solve(&self.column(column));
            let amounts = factors.solve(&self.limits_left());
            match self.pivot(&Entering { column, rates }, &amounts) {
                Some(step) if step > TINY => stalled = 0,
                Some(_) => stalled += 1,
                None => break,
            }
        }
        best
    }

    /// Finds a column that improves: the best of some groups, beginning behind those that were looked at last.
    fn entering(&mut self, prices: &[f64], first: bool) -> Option<Basic> {
        let mut best: Option<(f64, Basic)> = None;
        let mut offer = |reduced: f64, column: Basic| {
            let better = reduced < -TINY && best.is_none_or(|(least, _)| !first && reduced < least);
            if better {
                best = Some((reduced, column));
            }
            better
        };
        let mut is_some = false;
        for (row, price) in prices.iter().enumerate() {
            is_some |= offer(-price, Basic::Slack(row));
        }
        let count = self.groups.len();
        let enough = (count / PRICED_PARTS).max(PRICED_GROUPS_MIN);
        let from = if first { 0 } else { self.cursor };
        for looked in 0..count {
            if is_some && !first && looked >= enough {
                break;
            }
            let group = (from + looked) % count;
            self.cursor = (group + 1) % count;
            let reduced = |option: usize| {
                let values = self.values(group, option).iter().zip(prices);
                self.cost(group, option) - values.map(|(value, price)| value * price).sum::<f64>()
            };
            let base = reduced(self.keys[group]);
            for option in 0..self.groups[group].costs.len() {
                is_some |= offer(reduced(option) - base, Basic::Mixed(group, option));
            }
        }
        best.map(|(_, column)| column)
    }

    /// Lets a column enter and another leave; returns how far it went.
    fn pivot(&mut self, entering: &Entering, amounts: &[f64]) -> Option<f64> {
        let mut key_rates = vec![0.0; self.groups.len()];
        let mut key_amounts = vec![1.0; self.groups.len()];
        if let Basic::Mixed(group, _) = entering.column {
            key_rates[group] += 1.0;
        }
        for ((basic, rate), amount) in self.basics.iter().zip(&entering.rates).zip(amounts) {
            if let Basic::Mixed(group, _) = basic {
                key_rates[*group] -= rate;
                key_amounts[*group] -= amount;
            }
        }
        let slots = entering.rates.iter().zip(amounts).enumerate().map(|(at, (rate, amount))| (at, *rate, *amount));
        let keys = key_rates.iter().zip(&key_amounts).enumerate();
        let keys = keys.map(|(at, (rate, amount))| (self.rows + at, *rate, *amount));
        let mut leaving: Option<(f64, f64, usize)> = None;
        for (at, rate, amount) in slots.chain(keys) {
            if rate > TINY {
                let step = amount.max(0.0) / rate;
                let sooner = leaving.is_none_or(|(least, best_rate, _)| {
                    step < least - TINY || (step <= least + TINY && rate > best_rate)
                });
                if sooner {
                    leaving = Some((step, rate, at));
                }
            }
        }
        let (step, _, at) = leaving?;
        if at < self.rows {
            self.basics[at] = entering.column;
            return Some(step);
        }
        let group = at - self.rows;
        let heir = self.basics.iter().position(|basic| matches!(basic, Basic::Mixed(of, _) if *of == group));
        match (heir.map(|heir| (heir, self.basics[heir])), entering.column) {
            (Some((heir, Basic::Mixed(_, option))), column) => {
                self.basics[heir] = column;
                self.set_key(group, option);
            }
            (_, Basic::Mixed(of, option)) if of == group => self.set_key(group, option),
            _ => return None,
        }
        Some(step)
    }
}

/// A matrix of columns in lower and upper triangles, rows exchanged.
struct Factors {
    size: usize,
    /// Row-wise.
    matrix: Vec<f64>,
    order: Vec<usize>,
}

impl Factors {
    fn new(columns: Vec<Vec<f64>>) -> Option<Self> {
        let size = columns.len();
        let mut matrix = vec![0.0; size * size];
        for (at, column) in columns.iter().enumerate() {
            for (row, value) in column.iter().enumerate() {
                matrix[row * size + at] = *value;
            }
        }
        let mut order: Vec<usize> = (0..size).collect();
        for step in 0..size {
            let at = |row: &usize| matrix[row * size + step].abs();
            let pivot = (step..size).max_by(|a, b| at(a).total_cmp(&at(b)))?;
            if at(&pivot) < 1e-12 {
                return None;
            }
            if pivot != step {
                order.swap(pivot, step);
                for column in 0..size {
                    matrix.swap(pivot * size + column, step * size + column);
                }
            }
            for row in step + 1..size {
                let factor = matrix[row * size + step] / matrix[step * size + step];
                if factor != 0.0 {
                    matrix[row * size + step] = factor;
                    for column in step + 1..size {
                        matrix[row * size + column] -= factor * matrix[step * size + column];
                    }
                }
            }
        }
        Some(Self { size, matrix, order })
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        self.matrix[row * self.size + column]
    }

    fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut x: Vec<f64> = self.order.iter().map(|row| right[*row]).collect();
        for row in 0..self.size {
            let known: f64 = (0..row).map(|column| self.at(row, column) * x[column]).sum();
            x[row] -= known;
        }
        for row in (0..self.size).rev() {
            let known: f64 = (row + 1..self.size).map(|column| self.at(row, column) * x[column]).sum();
            x[row] = (x[row] - known) / self.at(row, row);
        }
        x
    }

    fn solve_transposed(&self, right: &[f64]) -> Vec<f64> {
        let mut x = right.to_vec();
        for row in 0..self.size {
            let known: f64 = (0..row).map(|column| self.at(column, row) * x[column]).sum();
            x[row] = (x[row] - known) / self.at(row, row);
        }
        for row in (0..self.size).rev() {
            let known: f64 = (row + 1..self.size).map(|column| self.at(column, row) * x[column]).sum();
            x[row] -= known;
        }
        let mut result = vec![0.0; self.size];
        for (at, row) in self.order.iter().enumerate() {
            result[*row] = x[at];
        }
        result
    }
}
