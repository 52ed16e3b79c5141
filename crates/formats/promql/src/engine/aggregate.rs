//! Aggregations that keep one value per group and step: rows are added as they are computed, and not kept.

use std::collections::HashMap;
use std::ops::Range;

use maru_prom::{Labels, METRIC_NAME};

use super::answer::EvaluateError;
use super::column::{Column, Row, Vector};
use super::context::{Context, Frame, Worker};
use super::gathered::Accumulator;
use super::rows::{Head, Rows};
use crate::{Aggregation, Aggregator, Grouping};

/// Series of one group that one thread adds up before another may go on: a constant, so that the order of additions
/// (and with it the last digit) does not depend on the machine.
const PART: usize = 128;

/// Series by the group that they belong to.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    pub(crate) groups: Vec<Group>,
}

/// One group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) labels: Labels,
    pub(crate) drop_name: bool,
    /// Indices of the series, rising.
    pub(crate) members: Vec<usize>,
}

impl Groups {
    /// Groups `heads`.
    pub(crate) fn new(heads: &[Head], grouping: &Grouping) -> Self {
        let names = match grouping {
            Grouping::By(names) | Grouping::Without(names) => names,
        };
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.sort_unstable();
        let is_by = matches!(grouping, Grouping::By(_));
        if is_by && names.is_empty() {
            let members: Vec<usize> = (0..heads.len()).collect();
            let drop_name = heads.iter().any(|head| head.drop_name);
            let all = Group { labels: Labels::empty(), drop_name, members };
            return Self { groups: if heads.is_empty() { Vec::new() } else { vec![all] } };
        }
        let keeps = |name: &str| {
            let is_named = names.binary_search(&name).is_ok();
            if is_by { is_named } else { !is_named && name != METRIC_NAME }
        };
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut groups: Vec<Group> = Vec::new();
        let mut key = String::new();
        for (index, head) in heads.iter().enumerate() {
            key.clear();
            for (name, value) in head.labels.iter().filter(|(name, _)| keeps(name)) {
                // Neither names nor values hold this byte in practice; where one does, its length tells it apart.
                key.push_str(name);
                key.push('\u{1}');
                key.push_str(value);
                key.push('\u{2}');
                if value.contains('\u{1}') || value.contains('\u{2}') {
                    key.push_str(&value.len().to_string());
                }
            }
            let place = places.get(key.as_str()).copied().unwrap_or_else(|| {
                places.insert(key.clone(), groups.len());
                groups.push(Group { labels: head.labels.filtered(keeps), drop_name: false, members: Vec::new() });
                groups.len() - 1
            });
            groups[place].members.push(index);
            groups[place].drop_name |= head.drop_name;
        }
        Self { groups }
    }
}

/// A piece of work: series of one group, or several small groups.
struct Part {
    /// Groups, and which of their members.
    pieces: Vec<(usize, Range<usize>)>,
}

/// What a piece of work brought.
enum Done {
    /// A whole group.
    Column(Column),
    /// A part of a large one.
    Part(Accumulator),
}

/// Cuts groups into parts of about [`PART`] series.
fn parts(groups: &Groups) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut small = Part { pieces: Vec::new() };
    let mut small_series = 0;
    for (index, group) in groups.groups.iter().enumerate() {
        let count = group.members.len();
        if count > PART {
            let cuts = (0..count.div_ceil(PART)).map(|cut| cut * PART..count.min((cut + 1) * PART));
            parts.extend(cuts.map(|range| Part { pieces: vec![(index, range)] }));
            continue;
        }
        small.pieces.push((index, 0..count));
        small_series += count;
        if small_series >= PART {
            parts.push(std::mem::replace(&mut small, Part { pieces: Vec::new() }));
            small_series = 0;
        }
    }
    if !small.pieces.is_empty() {
        parts.push(small);
    }
    parts
}

impl<'q> Context<'q> {
    /// Evaluates an aggregation.
    pub(crate) fn aggregation(&self, aggregation: &'q Aggregation, frame: &Frame) -> Result<Vector, EvaluateError> {
        let mark = self.mark();
        let vector = match aggregation.operator {
            Aggregator::Topk
            | Aggregator::Bottomk
            | Aggregator::Limitk
            | Aggregator::LimitRatio
            | Aggregator::Quantile
            | Aggregator::CountValues => self.ranked(aggregation, frame)?,
            Aggregator::Avg
            | Aggregator::Count
            | Aggregator::Group
            | Aggregator::Max
            | Aggregator::Min
            | Aggregator::Stddev
            | Aggregator::Stdvar
            | Aggregator::Sum => {
                let source = self.source(&aggregation.expression, frame, aggregation.operator.name())?;
                let rows = source.into_rows(*frame);
                let groups = Groups::new(&rows.heads, &aggregation.grouping);
                self.accumulate(aggregation, &rows, groups)?
            }
        };
        let samples = vector.rows.iter().map(|row| row.column.samples()).sum();
        let bytes = vector.rows.iter().map(|row| row.column.bytes()).sum();
        self.settle(mark, samples, bytes)?;
        Ok(vector)
    }

    fn accumulate(&self, aggregation: &Aggregation, rows: &Rows<'_>, groups: Groups) -> Result<Vector, EvaluateError> {
        let steps = rows.frame.grid.steps;
        let position = aggregation.expression.inner().span();
        let operator = aggregation.operator;
        let start = || Accumulator::new(operator, steps, position);
        let add = |accumulator: &mut Accumulator, members: &[usize], worker: &mut Worker| {
            let mut column = std::mem::take(&mut worker.column);
            for index in members {
                if steps > 64 {
                    self.check()?;
                }
                column.reset(steps);
                rows.producer.produce(*index, worker, &mut column)?;
                let metric = rows.heads[*index].labels.metric_name();
                accumulator.add(&column, metric, &mut worker.notes);
            }
            worker.column = column;
            Ok::<(), EvaluateError>(())
        };
        let parts = parts(&groups);
        let done = self.each_chunk(&rows.frame, parts.len(), 1, |range, worker| {
            let mut done = Vec::new();
            for part in &parts[range] {
                for (group, range) in &part.pieces {
                    let members = &groups.groups[*group].members;
                    let mut accumulator = start();
                    add(&mut accumulator, &members[range.clone()], worker)?;
                    if range.len() == members.len() {
                        let column = accumulator.finish(&mut worker.notes);
                        self.hold(column.samples(), column.bytes())?;
                        done.push((*group, Done::Column(column)));
                    } else {
                        self.hold(steps, Accumulator::bytes(operator, steps))?;
                        done.push((*group, Done::Part(accumulator)));
                    }
                }
            }
            Ok(done)
        })?;
        let mut worker = self.worker(&rows.frame);
        let mut gathered: Vec<Option<Accumulator>> = groups.groups.iter().map(|_| None).collect();
        let mut columns: Vec<Option<Column>> = groups.groups.iter().map(|_| None).collect();
        let mut is_redone = vec![false; groups.groups.len()];
        for (group, done) in done.into_iter().flatten() {
            let accumulator = match done {
                Done::Column(column) => {
                    columns[group] = Some(column);
                    continue;
                }
                Done::Part(accumulator) => accumulator,
            };
            match &mut gathered[group] {
                Some(_) if is_redone[group] => {}
                Some(own) => {
                    if own.merge(accumulator) {
                        continue;
                    }
                    // Histograms that do not go together, or means beyond floats: added up once more, in one go.
                    let mut again = start();
                    let mut uncounted = self.worker(&rows.frame);
                    add(&mut again, &groups.groups[group].members, &mut uncounted)?;
                    worker.notes.merge(uncounted.notes);
                    *own = again;
                    is_redone[group] = true;
                }
                place => *place = Some(accumulator),
            }
        }
        let mut vector = Vector { rows: Vec::with_capacity(groups.groups.len()) };
        for ((group, column), accumulator) in groups.groups.into_iter().zip(columns).zip(gathered) {
            let column = column.or_else(|| accumulator.map(|accumulator| accumulator.finish(&mut worker.notes)));
            if let Some(column) = column.filter(|column| !column.is_empty()) {
                vector.rows.push(Row { labels: group.labels, drop_name: group.drop_name, column });
            }
        }
        self.absorb(&mut worker, &rows.frame);
        Ok(vector)
    }
}
