//! Depth-first branch and bound: strike out what cannot be chosen, bound by multipliers, split.
//! Every closed node leaves its reason in the proof.
//!
//! Long because closing, striking out and splitting share one node.

use std::rc::Rc;

use crate::certificate::{End, Multiplier, Node, Proof, Step};
use crate::relaxation::{Group, Relaxed, relax};
use crate::solve::Stop;
use crate::table::{BETTER, Table};

/// More rows than this are not given to the relaxation: the tightest are.
const RELAXED_ROWS_MAX: usize = 48;
/// How often a node is bounded anew after options were struck out.
const ROUNDS_MAX: usize = 6;
/// More exchanges than this are not tried in pairs.
const PAIRED_MOVES_MAX: usize = 1_500;

/// Counts down; deterministic, unlike a clock.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    pub(crate) nodes: u64,
    pub(crate) stop: Stop,
}

/// How a search ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Selected, as kept options; with the proof that nothing is better when that was asked for.
    Found(Vec<usize>, Option<Proof>),
    /// Nothing can be selected.
    Refuted(Proof, Rc<Vec<u64>>),
    /// The budget is spent.
    Spent {
        /// The best selection so far.
        best: Option<Vec<usize>>,
        /// What none undercuts, and why.
        floor: Option<Floor>,
    },
}

/// A sum that no selection undercuts.
#[derive(Debug)]
pub(crate) struct Floor {
    pub(crate) at_least: i64,
    /// Refutes all that is less.
    pub(crate) proof: Proof,
}

/// What is asked of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Any selection.
    Any,
    /// The best.
    Best,
}

/// Options that are left, by choice.
type Left = Vec<Vec<usize>>;

pub(crate) struct Search<'a> {
    table: &'a Table,
    active: &'a [bool],
    wanted: Wanted,
    /// By how much a selection must be better to count.
    step: i64,
    limits: Vec<i64>,
    best: Option<Vec<usize>>,
    /// What the root proves that none undercuts.
    floor: Option<Floor>,
    nodes: Vec<Node>,
    /// The multipliers that closed the last node.
    closing: Rc<Vec<u64>>,
}

struct Task {
    node: usize,
    left: Left,
    multipliers: Rc<Vec<u64>>,
    /// What the relaxation of the parent preferred, by choice.
    preferred: Rc<Vec<usize>>,
}

/// What becomes of a node.
enum Fate {
    Closed(Vec<Multiplier>),
    Split {
        choice: usize,
        near: Vec<usize>,
        far: Vec<usize>,
    },
    /// A selection was found and any was wanted.
    Done,
}

impl<'a> Search<'a> {
    /// `active` tells for each row whether it counts; [`BETTER`] always does, when the best is wanted.
    pub(crate) fn new(table: &'a Table, active: &'a [bool], wanted: Wanted) -> Self {
        let closing = Rc::new(vec![0; table.limits.len()]);
        Self {
            table,
            active,
            wanted,
            step: table.step,
            limits: table.limits.clone(),
            best: None,
            floor: None,
            nodes: Vec::new(),
            closing,
        }
    }

    /// Looks only for what is better by more than this.
    pub(crate) fn within(mut self, within: i64) -> Self {
        self.step = self.step.max(within.saturating_add(1));
        self
    }

    /// Searches. `multipliers` and `hint` come from a similar search, when there was one.
    pub(crate) fn run(
        mut self,
        budget: &mut Budget,
        multipliers: Option<&Rc<Vec<u64>>>,
        hint: Option<&[usize]>,
    ) -> Ended {
        let zero = || Rc::new(vec![0; self.limits.len()]);
        let mut multipliers = multipliers.map_or_else(zero, Rc::clone);
        if multipliers.iter().enumerate().any(|(row, times)| *times > 0 && !self.counts(row)) {
            let kept = multipliers.iter().enumerate().map(|(row, times)| if self.counts(row) { *times } else { 0 });
            multipliers = Rc::new(kept.collect());
        }
        let left: Left = self.table.columns.iter().map(|column| (0..column.kept.len()).collect()).collect();
        if let Some(hint) = hint {
            self.try_selection(&left, hint.to_vec());
            if self.wanted == Wanted::Any && self.best.is_some() {
                return Ended::Found(self.best.unwrap_or_default(), None);
            }
        }
        self.nodes.push(Node::default());
        let mut open = vec![Task { node: 0, left, multipliers, preferred: Rc::default() }];
        while let Some(mut task) = open.pop() {
            let Some(nodes) = budget.nodes.checked_sub(1).filter(|_| !budget.stop.is_stopped()) else {
                return Ended::Spent { best: self.best, floor: self.floor };
            };
            budget.nodes = nodes;
            let mut steps = Vec::new();
            let fate = self.process(&mut task, &mut steps);
            self.nodes[task.node].steps = steps;
            match fate {
                Fate::Closed(multipliers) => self.nodes[task.node].end = End::Combination(multipliers),
                Fate::Done => break,
                Fate::Split { choice, near, far } => {
                    let child = self.nodes.len();
                    self.nodes.extend([Node::default(), Node::default()]);
                    let options = |options: &[usize]| self.table.part(choice, options.iter().copied()).options;
                    let branches = vec![(options(&near), child), (options(&far), child + 1)];
                    self.nodes[task.node].end = End::Split { choice, branches };
                    let mut other = task.left.clone();
                    other[choice] = far;
                    task.left[choice] = near;
                    let (multipliers, preferred) = (Rc::clone(&task.multipliers), Rc::clone(&task.preferred));
                    open.push(Task { node: child + 1, left: other, multipliers, preferred });
                    open.push(Task { node: child, ..task });
                }
            }
        }
        let proof = Proof { nodes: self.nodes };
        match (self.best, self.wanted) {
            (Some(best), Wanted::Any) => Ended::Found(best, None),
            (Some(best), Wanted::Best) => Ended::Found(best, Some(proof)),
            (None, _) => Ended::Refuted(proof, self.closing),
        }
    }

    /// Tells whether a row's limit counts now.
    fn counts(&self, row: usize) -> bool {
        if row == BETTER { self.limits[BETTER] != i64::MAX } else { self.active[row] }
    }

    fn process(&mut self, task: &mut Task, steps: &mut Vec<Step>) -> Fate {
        let mut round = 0;
        loop {
            round += 1;
            if let Some(row) = self.propagate(&mut task.left, steps) {
                let mut times = vec![0; self.limits.len()];
                times[row] = 1;
                return self.close(times);
            }
            if task.left.iter().all(|options| options.len() == 1) {
                // All rows were just seen to hold.
                let selection = task.left.iter().map(|options| options[0]).collect();
                if self.accept(selection) {
                    return Fate::Done;
                }
                continue;
            }
            if round == 1 && task.multipliers.iter().any(|times| *times > 0) {
                match self.bound(&mut task.left, &task.multipliers, steps) {
                    Bounded::Broken => return self.close(task.multipliers.to_vec()),
                    Bounded::Narrowed => continue,
                    Bounded::Open => {}
                }
            }
            let (rows, relaxed) = self.relax(&task.left, &task.preferred);
            task.preferred = Rc::new(most(&task.left, &relaxed.shares));
            let latest = Rc::new(self.whole(&rows, &relaxed));
            task.multipliers = Rc::clone(&latest);
            if task.node == 0 {
                self.raise_floor(&task.left, &latest, steps);
            }
            // Bounding anew must end also where each round strikes out little: then only the sum is looked at.
            let bounded = if round < ROUNDS_MAX {
                self.bound(&mut task.left, &latest, steps)
            } else {
                self.bound(&mut task.left.clone(), &latest, &mut Vec::new()).without_narrowing()
            };
            match bounded {
                Bounded::Broken => {
                    let simple = if task.node == 0 { self.simplest(&task.left, &latest) } else { latest.to_vec() };
                    return self.close(simple);
                }
                Bounded::Narrowed => continue,
                Bounded::Open => {}
            }
            let before = self.limits[BETTER];
            let worth_a_try = self.wanted == Wanted::Any || task.node.is_multiple_of(8) || is_pure(&relaxed);
            if worth_a_try && self.try_selection(&task.left, task.preferred.to_vec()) {
                return Fate::Done;
            }
            if self.limits[BETTER] != before && round < ROUNDS_MAX {
                continue;
            }
            return self.split(&task.left, &relaxed);
        }
    }

    fn close(&mut self, times: Vec<u64>) -> Fate {
        let written = Table::multipliers(&times);
        self.closing = Rc::new(times);
        Fate::Closed(written)
    }

    /// Takes a selection that keeps to all rows; returns whether that was all that was wanted.
    fn accept(&mut self, selection: Vec<usize>) -> bool {
        let parts = self.table.columns.iter().zip(&selection);
        let sum: i64 = parts.map(|(column, option)| column.values(*option)[BETTER]).sum();
        if self.best.is_none() || sum <= self.limits[BETTER] {
            self.best = Some(selection);
            if self.wanted == Wanted::Best {
                self.limits[BETTER] = sum - self.step;
            }
        }
        self.wanted == Wanted::Any
    }

    /// Strikes out options that break a row by themselves, until none does; returns a row that nothing keeps to.
    fn propagate(&self, left: &mut Left, steps: &mut Vec<Step>) -> Option<usize> {
        loop {
            let (lows, _) = self.ranges(left);
            for (row, low) in lows.iter().enumerate() {
                if self.counts(row) && *low > self.limits[row] {
                    return Some(row);
                }
            }
            let mut struck: Vec<(usize, usize, Vec<usize>)> = Vec::new();
            for (choice, column) in self.table.columns.iter().enumerate() {
                for (at, row) in column.rows.iter().enumerate() {
                    if !self.counts(*row) || left[choice].len() < 2 {
                        continue;
                    }
                    let options = &mut left[choice];
                    let min = options.iter().map(|option| column.values(*option)[at]).min().unwrap_or(0);
                    let room = self.limits[*row].saturating_sub(lows[*row] - min);
                    if options.iter().all(|option| column.values(*option)[at] <= room) {
                        continue;
                    }
                    let broken: Vec<usize> =
                        options.iter().copied().filter(|option| column.values(*option)[at] > room).collect();
                    options.retain(|option| column.values(*option)[at] <= room);
                    struck.push((*row, choice, broken));
                }
            }
            if struck.is_empty() {
                return None;
            }
            struck.sort_by_key(|(row, choice, _)| (*row, *choice));
            for same in struck.chunk_by(|a, b| a.0 == b.0) {
                let mut times = vec![0; self.limits.len()];
                times[same[0].0] = 1;
                let options =
                    same.iter().map(|(_, choice, options)| self.table.part(*choice, options.iter().copied())).collect();
                steps.push(Step { multipliers: Table::multipliers(&times), options });
            }
            if let Some((row, _, _)) = struck.iter().find(|(_, choice, _)| left[*choice].is_empty()) {
                return Some(*row);
            }
        }
    }

    /// Returns the smallest and the greatest sum of each row.
    fn ranges(&self, left: &Left) -> (Vec<i64>, Vec<i64>) {
        let mut lows = vec![0_i64; self.limits.len()];
        let mut highs = vec![0_i64; self.limits.len()];
        for (column, options) in self.table.columns.iter().zip(left) {
            for (at, row) in column.rows.iter().enumerate() {
                let values = options.iter().map(|option| column.values(*option)[at]);
                let (low, high) =
                    values.fold((i64::MAX, i64::MIN), |(low, high), value| (low.min(value), high.max(value)));
                lows[*row] += low;
                highs[*row] += high;
            }
        }
        (lows, highs)
    }

    /// Adds up exactly what multipliers prove, and strikes out what they refute.
    fn bound(&self, left: &mut Left, times: &[u64], steps: &mut Vec<Step>) -> Bounded {
        if times.iter().all(|times| *times == 0) || (times[BETTER] > 0 && !self.counts(BETTER)) {
            return Bounded::Open;
        }
        let (excess, mins) = self.excess(left, times);
        if excess > 0 {
            return Bounded::Broken;
        }
        let mut parts = Vec::new();
        for (choice, options) in left.iter_mut().enumerate() {
            if options.len() < 2 {
                continue;
            }
            let column = &self.table.columns[choice];
            let others = excess - mins[choice];
            let broken = |option: &usize| others + weigh(&column.rows, column.values(*option), times) > 0;
            let refuted: Vec<usize> = options.iter().copied().filter(broken).collect();
            if !refuted.is_empty() {
                options.retain(|option| !refuted.contains(option));
                parts.push(self.table.part(choice, refuted));
            }
        }
        if parts.is_empty() {
            return Bounded::Open;
        }
        steps.push(Step { multipliers: Table::multipliers(times), options: parts });
        Bounded::Narrowed
    }

    fn excess(&self, left: &Left, times: &[u64]) -> (i128, Vec<i128>) {
        let mut mins = Vec::with_capacity(left.len());
        for (column, options) in self.table.columns.iter().zip(left) {
            let values = options.iter().map(|option| weigh(&column.rows, column.values(*option), times));
            mins.push(values.min().unwrap_or(0));
        }
        let limit: i128 = times
            .iter()
            .zip(&self.limits)
            .filter(|(times, _)| **times > 0)
            .map(|(times, limit)| i128::from(*times) * i128::from(*limit))
            .sum();
        (mins.iter().sum::<i128>() - limit, mins)
    }

    /// Remembers why nothing is less than what multipliers prove, when that is more than was known.
    fn raise_floor(&mut self, left: &Left, times: &[u64], steps: &[Step]) {
        let Some(at_least) = self.floor(left, times) else { return };
        if self.floor.as_ref().is_none_or(|known| known.at_least < at_least) {
            let node = Node { steps: steps.to_vec(), end: End::Combination(Table::multipliers(times)) };
            self.floor = Some(Floor { at_least, proof: Proof { nodes: vec![node] } });
        }
    }

    /// Returns what multipliers prove that no selection undercuts.
    fn floor(&self, left: &Left, times: &[u64]) -> Option<i64> {
        let unit = i128::from(times[BETTER]);
        if unit == 0 {
            return None;
        }
        let (excess, _) = self.excess(left, times);
        let proved = (excess + unit * i128::from(self.limits[BETTER])).div_euclid(unit);
        i64::try_from(proved).ok()
    }

    /// Solves the linear relaxation of what is left; returns which rows it knew, in original units.
    fn relax(&self, left: &Left, preferred: &[usize]) -> (Vec<(usize, f64)>, Relaxed) {
        let (lows, highs) = self.ranges(left);
        let mut rows: Vec<(usize, f64)> = Vec::new();
        for row in 1..self.limits.len() {
            if self.active[row] && highs[row] > self.limits[row] {
                rows.push((row, real(self.limits[row] - lows[row]).max(1e-3)));
            }
        }
        if rows.len() > RELAXED_ROWS_MAX {
            let tightness = |row: usize, room: f64| room / real(highs[row] - lows[row]);
            rows.sort_by(|a, b| tightness(a.0, a.1).total_cmp(&tightness(b.0, b.1)));
            rows.truncate(RELAXED_ROWS_MAX);
            rows.sort_by_key(|(row, _)| *row);
        }
        let optimise = self.wanted == Wanted::Best;
        let scale = cost_scale(self.table, left);
        let mut place = vec![usize::MAX; self.limits.len()];
        rows.iter().enumerate().for_each(|(at, (row, _))| place[*row] = at);
        let mut groups = Vec::new();
        let open = left.iter().enumerate().filter(|(_, options)| options.len() > 1);
        for (choice, options) in open {
            let column = &self.table.columns[choice];
            let start = preferred.get(choice).and_then(|start| options.iter().position(|option| option == start));
            let mut group = Group { values: vec![0.0; options.len() * rows.len()], costs: Vec::new(), start };
            for (at, row) in column.rows.iter().enumerate() {
                let min = options.iter().map(|option| column.values(*option)[at]).min().unwrap_or(0);
                for (slot, option) in options.iter().enumerate() {
                    let value = real(column.values(*option)[at] - min);
                    if *row == BETTER {
                        group.costs.push(value / scale);
                    } else if place[*row] != usize::MAX {
                        group.values[slot * rows.len() + place[*row]] = value / rows[place[*row]].1;
                    }
                }
            }
            groups.push(group);
        }
        let mut relaxed = relax(&groups, rows.len(), optimise);
        let unit = if relaxed.infeasible { 1.0 } else { scale };
        for (times, (_, room)) in relaxed.multipliers.iter_mut().zip(&rows) {
            *times *= unit / room;
        }
        (rows, relaxed)
    }

    /// Makes multipliers whole numbers, as exact as sums in 128 bits allow.
    fn whole(&self, rows: &[(usize, f64)], relaxed: &Relaxed) -> Vec<u64> {
        let with_cost = self.wanted == Wanted::Best && !relaxed.infeasible;
        let mut weight = if with_cost { self.table.totals[BETTER].max(1.0) } else { 0.0 };
        let mut largest: f64 = if with_cost { 1.0 } else { 0.0 };
        for ((row, _), times) in rows.iter().zip(&relaxed.multipliers) {
            weight += times * (self.table.totals[*row] + real(self.limits[*row]).abs());
            largest = largest.max(*times);
        }
        let mut whole = vec![0; self.limits.len()];
        if largest <= 0.0 {
            return whole;
        }
        let power = (100.0 - weight.max(1e-300).log2()).min(58.0 - largest.log2()).floor();
        let scale = power.exp2();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 2^58")]
        let round = |value: f64| (value * scale).round() as u64;
        for ((row, _), times) in rows.iter().zip(&relaxed.multipliers) {
            whole[*row] = round(*times);
        }
        if with_cost {
            whole[BETTER] = round(1.0);
            if whole[BETTER] == 0 {
                whole.fill(0);
            }
        }
        whole
    }

    /// Returns the smallest multipliers of nearly the same proportions that still refute what is left.
    fn simplest(&self, left: &Left, times: &[u64]) -> Vec<u64> {
        let largest = times.iter().copied().max().unwrap_or(0);
        for bits in 0..58 {
            let rounded: Vec<u64> = times
                .iter()
                .map(|times| {
                    let scaled = (u128::from(*times) << bits) + u128::from(largest) / 2;
                    u64::try_from(scaled / u128::from(largest.max(1))).unwrap_or(u64::MAX)
                })
                .collect();
            if (times[BETTER] == 0) == (rounded[BETTER] == 0) && self.excess(left, &rounded).0 > 0 {
                return rounded;
            }
        }
        times.to_vec()
    }

    /// Splits the options of the choice that is mixed most evenly, so that the mixture ends.
    fn split(&self, left: &Left, relaxed: &Relaxed) -> Fate {
        let open = left.iter().enumerate().filter(|(_, options)| options.len() > 1);
        let mut chosen: Option<(f64, usize, &Vec<f64>)> = None;
        for ((choice, _), shares) in open.zip(&relaxed.shares) {
            let most = shares.iter().copied().fold(0.0, f64::max);
            if chosen.is_none_or(|(least, _, _)| most < least - 1e-9) {
                chosen = Some((most, choice, shares));
            }
        }
        // Some choice has two options, or the node would be closed; if ever not, the checker refuses this end.
        let Some((most, choice, shares)) = chosen else { return Fate::Closed(Vec::new()) };
        let options = &left[choice];
        let top = shares.iter().position(|share| *share >= most).unwrap_or(0);
        if most > 1.0 - 1e-6 {
            // Nothing is mixed: the relaxation is no help any more.
            let (near, far) = options.iter().partition(|option| **option == options[top]);
            return Fate::Split { choice, near, far };
        }
        // Options are in the order of what is optimised: cut there where half of the mixture is on each side.
        let mut below = 0.0;
        let mut cut = 0;
        for (at, share) in shares.iter().enumerate() {
            let rest: f64 = shares[at + 1..].iter().sum();
            below += share;
            cut = at + 1;
            if below >= 0.5 || rest < 1e-6 || (below > 1e-6 && below + shares[at + 1] > 0.999) {
                break;
            }
        }
        let cut = cut.clamp(1, options.len() - 1);
        let (cheap, dear) = options.split_at(cut);
        let (near, far) = if top < cut { (cheap, dear) } else { (dear, cheap) };
        Fate::Split { choice, near: near.to_vec(), far: far.to_vec() }
    }

    /// Repairs and improves a selection; returns whether one was found and any was wanted.
    fn try_selection(&mut self, left: &Left, mut selection: Vec<usize>) -> bool {
        let mut sums = vec![0_i64; self.limits.len()];
        for (column, option) in self.table.columns.iter().zip(&selection) {
            column.rows.iter().zip(column.values(*option)).for_each(|(row, value)| sums[*row] += value);
        }
        for _ in 0..2 * selection.len() + 8 {
            if self.violation(&sums, &[], &[], &[]) <= 0.0 {
                break;
            }
            let Some((choice, option)) = self.repair(left, &selection, &sums) else { return false };
            self.exchange(&mut selection, &mut sums, choice, option);
        }
        if self.violation(&sums, &[], &[], &[]) > 0.0 {
            return false;
        }
        if self.wanted == Wanted::Best {
            for _ in 0..4 * selection.len() {
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
}

/// Looks for two exchanges that together save and break nothing, where one alone does not.
impl Search<'_> {
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

enum Bounded {
    Broken,
    Narrowed,
    Open,
}

impl Bounded {
    fn without_narrowing(self) -> Self {
        match self {
            Self::Broken => Self::Broken,
            Self::Narrowed | Self::Open => Self::Open,
        }
    }
}

/// Tells whether no options are mixed.
fn is_pure(relaxed: &Relaxed) -> bool {
    relaxed.shares.iter().all(|shares| shares.iter().any(|share| *share > 1.0 - 1e-6))
}

/// Cannot overflow: the scale was chosen so that sums stay below 2^110.
fn weigh(rows: &[usize], values: &[i64], times: &[u64]) -> i128 {
    rows.iter().zip(values).map(|(row, value)| i128::from(times[*row]) * i128::from(*value)).sum()
}

fn cost_scale(table: &Table, left: &Left) -> f64 {
    let spread = |(column, options): (&crate::table::Column, &Vec<usize>)| {
        let costs = || options.iter().map(|option| column.values(*option)[BETTER]);
        costs().max().unwrap_or(0) - costs().min().unwrap_or(0)
    };
    real(table.columns.iter().zip(left).map(spread).max().unwrap_or(1)).max(1.0)
}

/// Returns the option of each choice that has the greatest share.
fn most(left: &Left, shares: &[Vec<f64>]) -> Vec<usize> {
    let mut shares = shares.iter();
    let pick = |options: &Vec<usize>| {
        if options.len() < 2 {
            return options[0];
        }
        let Some(shares) = shares.next() else { return options[0] };
        let best = (0..options.len()).rev().max_by(|a, b| shares[*a].total_cmp(&shares[*b]));
        options[best.unwrap_or(0)]
    };
    left.iter().map(pick).collect()
}

#[expect(clippy::cast_precision_loss, reason = "guides the search; proofs are added up in whole numbers")]
fn real(value: i64) -> f64 {
    value as f64
}
