//! Branch and bound, depth first: strike out what cannot be chosen, bound by multipliers, split ([`crate::branch`]).
//! Every closed node leaves its reason in the proof.

use std::cell::Cell;
use std::rc::Rc;

use crate::certificate::{End, Multiplier, Node, Proof, Step, Term};
use crate::narrow::{Bounded, bound, excess, propagate, ranges, simplest};
use crate::relaxation::{Group, Relaxed, relax};
use crate::rows::{Case, Members, Rows};
use crate::solve::Stop;
use crate::table::{BETTER, Table, real};

/// More rows than this are not given to the relaxation: the tightest are.
const RELAXED_ROWS_MAX: usize = 48;
/// How often a node is bounded anew after options were struck out.
const ROUNDS_MAX: usize = 6;
/// In each of the first nodes a selection is looked for, later in every eighth.
const FIRST_NODES: usize = 12;

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
pub(crate) type Left = Vec<Vec<usize>>;

pub(crate) struct Search<'a> {
    pub(crate) table: &'a Table,
    pub(crate) active: &'a [bool],
    pub(crate) wanted: Wanted,
    /// By how much a selection must be better to count.
    step: i64,
    pub(crate) limits: Vec<i64>,
    best: Option<Vec<usize>>,
    nodes: Vec<Node>,
    /// How many nodes were looked at since the last one was taken, those included that were only tried.
    looked: Cell<u64>,
    /// The multipliers that closed the last node.
    closing: Rc<Vec<u64>>,
    pub(crate) stop: Stop,
}

pub(crate) struct Task {
    node: usize,
    pub(crate) left: Left,
    /// The cases of the counts above.
    pub(crate) cases: Rc<Vec<Case>>,
    multipliers: Rc<Vec<u64>>,
    /// What the relaxation of the parent preferred, by choice.
    pub(crate) preferred: Rc<Vec<usize>>,
}

/// What the linear relaxation says of a node.
pub(crate) struct Look {
    pub(crate) relaxed: Relaxed,
    /// Multipliers in whole numbers, for all rows.
    pub(crate) times: Vec<u64>,
    /// What the mixture costs, or how full its fullest row is when any selection will do; infinite when there is none.
    pub(crate) value: f64,
}

/// What becomes of a node.
pub(crate) enum Fate {
    Closed(Vec<Multiplier>),
    Split(Split),
    /// A selection was found and any was wanted.
    Done,
}

/// Two parts of a node, the more promising one first, each with multipliers to begin with.
pub(crate) struct Split {
    pub(crate) way: Way,
    pub(crate) times: [Rc<Vec<u64>>; 2],
}

pub(crate) enum Way {
    /// The options of a choice.
    Options { choice: usize, near: Vec<usize>, far: Vec<usize> },
    /// How many of these are chosen: at most so many, or more.
    Count { members: Rc<Members>, at_most: i64, few_first: bool },
}

impl<'a> Search<'a> {
    /// `active` tells for each row whether it counts; [`BETTER`] always does, when the best is wanted.
    pub(crate) fn new(table: &'a Table, active: &'a [bool], wanted: Wanted) -> Self {
        let closing = Rc::new(vec![0; table.limits.len()]);
        let limits = table.limits.clone();
        Self {
            table,
            active,
            wanted,
            step: table.step,
            limits,
            best: None,
            nodes: Vec::new(),
            looked: Cell::new(0),
            closing,
            stop: Stop::default(),
        }
    }

    /// Looks only for what is better by more than this.
    pub(crate) fn within(mut self, within: i64) -> Self {
        self.step = self.step.max(within.saturating_add(1));
        self
    }

    pub(crate) fn rows<'b>(&'b self, cases: &'b [Case]) -> Rows<'b> {
        Rows { table: self.table, limits: &self.limits, active: self.active, cases, rounded: None }
    }

    /// Searches. `multipliers` and `hint` come from a similar search, when there was one.
    pub(crate) fn run(
        mut self,
        budget: &mut Budget,
        multipliers: Option<&Rc<Vec<u64>>>,
        hint: Option<&[usize]>,
    ) -> Ended {
        self.stop = budget.stop.clone();
        let zero = || Rc::new(vec![0; self.limits.len()]);
        let mut multipliers = multipliers.map_or_else(zero, Rc::clone);
        let none = self.rows(&[]);
        if multipliers.iter().enumerate().any(|(row, times)| *times > 0 && !none.counts(row)) {
            let kept = multipliers.iter().enumerate().map(|(row, times)| if none.counts(row) { *times } else { 0 });
            multipliers = Rc::new(kept.collect());
        }
        let left: Left = self.table.columns.iter().map(|column| (0..column.kept.len()).collect()).collect();
        if let Some(hint) = hint {
            // What is wanted better is begun with; for others a mixture mends more in less time.
            if self.wanted == Wanted::Best || self.keeps(hint) {
                self.try_selection(&left, hint.to_vec());
            }
            if self.wanted == Wanted::Any && self.best.is_some() {
                return Ended::Found(self.best.unwrap_or_default(), None);
            }
        }
        self.nodes.push(Node::default());
        let mut open = vec![Task { node: 0, left, cases: Rc::default(), multipliers, preferred: Rc::default() }];
        while let Some(mut task) = open.pop() {
            let Some(nodes) = budget.nodes.checked_sub(1).filter(|_| !budget.stop.is_stopped()) else {
                open.push(task);
                return self.give_up(open);
            };
            let mut steps = Vec::new();
            let fate = self.process(&mut task, &mut steps);
            budget.nodes = nodes.saturating_sub(self.looked.take().saturating_sub(1));
            self.nodes[task.node].steps = steps;
            match fate {
                Fate::Closed(multipliers) => self.nodes[task.node].end = End::Combination(multipliers),
                Fate::Done => break,
                Fate::Split(split) => self.divide(task, split, &mut open),
            }
        }
        let proof = self.proof();
        match (self.best, self.wanted) {
            (Some(best), Wanted::Any) => Ended::Found(best, None),
            (Some(best), Wanted::Best) => Ended::Found(best, Some(proof)),
            (None, _) => Ended::Refuted(proof, self.closing),
        }
    }

    fn proof(&mut self) -> Proof {
        let mut nodes = std::mem::take(&mut self.nodes);
        // A single combination holds for options that others beat as well.
        let rounded = |end: &End| matches!(end, End::Combination(all) if all.iter().any(|one| one.of == Term::Rounded));
        let is_single = matches!(nodes.as_slice(), [node] if node.steps.is_empty() && !rounded(&node.end));
        if let Some(root) = nodes.first_mut().filter(|_| !is_single) {
            root.beaten = self.table.beaten();
        }
        Proof { nodes }
    }

    /// Makes two tasks of one.
    fn divide(&mut self, mut task: Task, split: Split, open: &mut Vec<Task>) {
        let child = self.nodes.len();
        self.nodes.extend([Node::default(), Node::default()]);
        let [first, second] = split.times;
        let mut other = Task {
            node: child + 1,
            left: task.left.clone(),
            cases: Rc::clone(&task.cases),
            multipliers: second,
            preferred: Rc::clone(&task.preferred),
        };
        let parent = std::mem::replace(&mut task.node, child);
        task.multipliers = first;
        self.nodes[parent].end = match split.way {
            Way::Options { choice, near, far } => {
                let options = |options: &[usize]| self.table.part(choice, options.iter().copied()).options;
                let branches = vec![(options(&near), child), (options(&far), child + 1)];
                other.left[choice] = far;
                task.left[choice] = near;
                End::Split { choice, branches }
            }
            Way::Count { members, at_most, few_first } => {
                let few = Case { node: parent, members: Rc::clone(&members), sign: 1, limit: at_most };
                let many = Case { sign: -1, limit: -(at_most + 1), ..few.clone() };
                let (mine, others) = if few_first { (few, many) } else { (many, few) };
                Rc::make_mut(&mut task.cases).push(mine);
                Rc::make_mut(&mut other.cases).push(others);
                let marked = |marks: &Vec<bool>| -> Vec<usize> { (0..marks.len()).filter(|at| marks[*at]).collect() };
                let parts = members.iter().enumerate().filter(|(_, marks)| !marks.is_empty());
                End::Count {
                    options: parts.map(|(choice, marks)| self.table.part(choice, marked(marks))).collect(),
                    at_most: at_most.unsigned_abs(),
                    few: if few_first { child } else { child + 1 },
                    many: if few_first { child + 1 } else { child },
                }
            }
        };
        open.push(other);
        open.push(task);
    }

    /// Ends with the best so far and with what all that is left open proves together.
    fn give_up(mut self, open: Vec<Task>) -> Ended {
        let mut floor = Some(self.limits[BETTER].saturating_add(1));
        for task in open {
            let rows = self.rows(&task.cases);
            floor = match (self.floor(&rows, &task.left, &task.multipliers), floor) {
                (Some(mine), Some(floor)) => Some(floor.min(mine)),
                _ => None,
            };
            self.nodes[task.node].end = End::Combination(rows.multipliers(&task.multipliers));
        }
        let proof = self.proof();
        Ended::Spent { best: self.best, floor: floor.map(|at_least| Floor { at_least, proof }) }
    }

    fn process(&mut self, task: &mut Task, steps: &mut Vec<Step>) -> Fate {
        let mut round = 0;
        loop {
            round += 1;
            let rows = self.rows(&task.cases).round(&task.left, self.table.step);
            if let Some(row) = propagate(&rows, &mut task.left, steps) {
                let mut times = vec![0; rows.len()];
                times[row] = 1;
                let written = rows.multipliers(&times);
                return self.close(written, times);
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
                match bound(&rows, &mut task.left, &task.multipliers, steps) {
                    Bounded::Broken => {
                        let written = rows.multipliers(&task.multipliers);
                        return self.close(written, task.multipliers.to_vec());
                    }
                    Bounded::Narrowed => continue,
                    Bounded::Open => {}
                }
            }
            let look = self.look(&task.left, &task.cases, &task.preferred);
            task.preferred = Rc::new(most(&task.left, &look.relaxed.shares));
            task.multipliers = Rc::new(look.times.clone());
            let rows = self.rows(&task.cases).round(&task.left, self.table.step);
            // Bounding anew must end also where each round strikes out little: then only the sum is looked at.
            let bounded = if round < ROUNDS_MAX {
                bound(&rows, &mut task.left, &look.times, steps)
            } else {
                bound(&rows, &mut task.left.clone(), &look.times, &mut Vec::new()).without_narrowing()
            };
            match bounded {
                Bounded::Broken => {
                    let simple = if task.node == 0 { simplest(&rows, &task.left, &look.times) } else { look.times };
                    let written = rows.multipliers(&simple);
                    return self.close(written, simple);
                }
                Bounded::Narrowed => continue,
                Bounded::Open => {}
            }
            let before = self.limits[BETTER];
            let worth_a_try = self.wanted == Wanted::Any
                || task.node < FIRST_NODES
                || task.node.is_multiple_of(8)
                || is_pure(&look.relaxed);
            if worth_a_try && self.try_selection(&task.left, task.preferred.to_vec()) {
                return Fate::Done;
            }
            if self.limits[BETTER] != before && round < ROUNDS_MAX {
                continue;
            }
            return self.branch(task, &look);
        }
    }

    fn close(&mut self, written: Vec<Multiplier>, mut times: Vec<u64>) -> Fate {
        times.truncate(self.limits.len());
        self.closing = Rc::new(times);
        Fate::Closed(written)
    }

    /// Takes a selection that keeps to all rows; returns whether that was all that was wanted.
    pub(crate) fn accept(&mut self, selection: Vec<usize>) -> bool {
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

    /// Returns what multipliers prove that no selection undercuts.
    fn floor(&self, rows: &Rows<'_>, left: &Left, times: &[u64]) -> Option<i64> {
        let mut limits = self.limits.clone();
        limits[BETTER] = 0;
        let rows = Rows { limits: &limits, rounded: None, ..*rows };
        let unit = i128::from(*times.first()?);
        let (excess, _) = excess(&rows, left, times);
        if unit == 0 {
            // Nothing at all is left, or nothing is known.
            return (excess > 0).then_some(i64::MAX);
        }
        let proved = excess.div_euclid(unit) + i128::from(excess.rem_euclid(unit) > 0);
        i64::try_from(proved).ok()
    }

    /// Solves the linear relaxation of what is left.
    pub(crate) fn look(&self, left: &Left, cases: &[Case], preferred: &[usize]) -> Look {
        self.looked.set(self.looked.get() + 1);
        let all = self.rows(cases);
        let (lows, highs) = ranges(&all, left);
        let mut rows: Vec<(usize, f64)> = Vec::new();
        for row in 1..all.len() {
            if all.counts(row) && highs[row] > all.limit(row) {
                rows.push((row, real(all.limit(row) - lows[row]).max(1e-3)));
            }
        }
        if rows.len() > RELAXED_ROWS_MAX {
            let tightness = |row: usize, room: f64| room / real(highs[row] - lows[row]);
            rows.sort_by(|a, b| tightness(a.0, a.1).total_cmp(&tightness(b.0, b.1)));
            rows.truncate(RELAXED_ROWS_MAX);
            rows.sort_by_key(|(row, _)| *row);
        }
        let scale = cost_scale(self.table, left);
        let mut place = vec![usize::MAX; all.len()];
        rows.iter().enumerate().for_each(|(at, (row, _))| place[*row] = at);
        let mut groups = Vec::new();
        let open = left.iter().enumerate().filter(|(_, options)| options.len() > 1);
        for (choice, options) in open {
            let start = preferred.get(choice).and_then(|start| options.iter().position(|option| option == start));
            let mut group = Group { values: vec![0.0; options.len() * rows.len()], costs: Vec::new(), start };
            for (row, cells) in all.of(choice) {
                let min = options.iter().map(|option| cells.value(*option)).min().unwrap_or(0);
                if row == BETTER {
                    group.costs.extend(options.iter().map(|option| real(cells.value(*option) - min) / scale));
                } else if place[row] != usize::MAX {
                    let (at, room) = (place[row], rows[place[row]].1);
                    for (slot, option) in options.iter().enumerate() {
                        group.values[slot * rows.len() + at] = real(cells.value(*option) - min) / room;
                    }
                }
            }
            groups.push(group);
        }
        let mut relaxed = relax(&groups, rows.len(), self.wanted == Wanted::Best, &self.stop);
        let value = match (relaxed.infeasible, self.wanted) {
            (true, _) => f64::INFINITY,
            (false, Wanted::Best) => relaxed.value.mul_add(scale, real(lows[BETTER])),
            (false, Wanted::Any) => relaxed.value,
        };
        let unit = if relaxed.infeasible { 1.0 } else { scale };
        for (times, (_, room)) in relaxed.multipliers.iter_mut().zip(&rows) {
            *times *= unit / room;
        }
        let times = self.whole(&all, &rows, &relaxed);
        Look { relaxed, times, value }
    }

    /// Makes multipliers whole numbers, as exact as sums in 128 bits allow.
    fn whole(&self, all: &Rows<'_>, rows: &[(usize, f64)], relaxed: &Relaxed) -> Vec<u64> {
        let with_cost = self.wanted == Wanted::Best && !relaxed.infeasible;
        let mut weight = if with_cost { self.table.totals[BETTER].max(1.0) } else { 0.0 };
        let mut largest: f64 = if with_cost { 1.0 } else { 0.0 };
        for ((row, _), times) in rows.iter().zip(&relaxed.multipliers) {
            weight += times * (all.total(*row) + real(all.limit(*row)).abs());
            largest = largest.max(*times);
        }
        let mut whole = vec![0; all.len()];
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
}

/// Tells whether no options are mixed.
fn is_pure(relaxed: &Relaxed) -> bool {
    relaxed.shares.iter().all(|shares| shares.iter().any(|share| *share > 1.0 - 1e-6))
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
